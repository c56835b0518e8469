"""Plans and sessions, with the catalog of this build's platforms handed in."""

from __future__ import annotations

from functools import partial, update_wrapper

from reconciler.engine import sessions
from reconciler.engine.plan import make_plan
from reconciler.platforms.catalog import CATALOG

plan = partial(make_plan, platforms=CATALOG)
session = partial(sessions.session, platforms=CATALOG)
sessions_of = partial(sessions.sessions_of, platforms=CATALOG)
open_session = partial(sessions.open_session, platforms=CATALOG)

for bound in (plan, session, sessions_of, open_session):
    update_wrapper(bound, bound.func)  # so that help() shows what each does
