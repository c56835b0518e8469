"""The programming interface: spec and engine with the catalog of this build's platforms handed in."""

from __future__ import annotations

from functools import partial, update_wrapper

from .engine import plan_file
from .engine.apply import apply as _apply
from .engine.plan import make_plan
from .engine.sessions import open_session as _open_session
from .engine.sessions import session as _session
from .engine.sessions import sessions_of as _sessions_of
from .platforms.catalog import CATALOG, Spec
from .spec import loader

load_spec = partial(loader.load_spec, model=Spec)
parse_spec = partial(loader.parse_spec, model=Spec)
plan = partial(make_plan, platforms=CATALOG)
apply = partial(_apply, platforms=CATALOG)
session = partial(_session, platforms=CATALOG)
sessions_of = partial(_sessions_of, platforms=CATALOG)
open_session = partial(_open_session, platforms=CATALOG)
dumps = plan_file.dumps
loads = partial(plan_file.loads, platforms=CATALOG)
read_plan = partial(plan_file.read, platforms=CATALOG)

for bound in (load_spec, parse_spec, plan, apply, session, sessions_of, open_session, loads, read_plan):
    update_wrapper(bound, bound.func)  # so that help() shows what each does
