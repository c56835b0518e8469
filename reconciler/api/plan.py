"""Plans and sessions, with this build's platforms."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import AbstractContextManager

from reconciler.engine import sessions as engine
from reconciler.engine.observe import OnRead
from reconciler.engine.plan import Plan, make_plan
from reconciler.engine.sessions import Sessions
from reconciler.engine.wishes import Wishes
from reconciler.model.platform import Estate, Session
from reconciler.platforms.catalog import CATALOG
from reconciler.spec.models import Spec


def plan(
    spec: Spec,
    wishes: Wishes | None = None,
    *,
    executor: Executor | None = None,
    sessions: Sessions | None = None,
    on_read: OnRead | None = None,
) -> Plan:
    """What apply would change: reads the platforms and writes nothing.

    `wishes`: what the command line adds to a spec. `executor`: where registries are read (threads if None). `sessions`: of all the
    spec's registries, if the caller goes on to use them; opened and closed here if None. `on_read`: called as reads are
    found and done, with the registry, how many were done and how many more there are.

    Raises ReadFailed if a registry can't be read, and ReconcilerError if a target matches nothing. What else prevents apply
    is in the plan: `problems`, and `violations` of guards.
    """
    return make_plan(spec, wishes, platforms=CATALOG, executor=executor, sessions=sessions, on_read=on_read)


def session(spec: Spec, name: str | None = None) -> AbstractContextManager[Session]:
    """A context manager: a session with one of the spec's registries, closed at the end. `name`: not needed where there is only one.

    Raises ReconcilerError if there is no such registry, and PlatformError if its platform is not in this build.
    """
    return engine.session(spec, name, platforms=CATALOG)


def sessions_of(estate: Estate) -> AbstractContextManager[Sessions]:
    """A context manager: a session for each registry of the estate, closed at the end. Raises PlatformError as `session` does."""
    return engine.sessions_of(estate, platforms=CATALOG)


def open_session(estate: Estate, name: str) -> Session:
    """A session with one of the estate's registries, which the caller closes. Raises PlatformError as `session` does."""
    return engine.open_session(estate, name, platforms=CATALOG)
