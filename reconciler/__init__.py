"""Reconciler: who can pull or push which container image, in one file, made true by apply.

spec = load_spec("registry.yaml")
the_plan = plan(spec)
outcomes = apply(the_plan)

with session(spec, "sandbox") as sandbox, sandbox.server() as server:   # a local registry, served in this process
    login = sandbox.credentials("app-a", push=True, ttl=600)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import apply, dumps, load_spec, loads, open_session, parse_spec, plan, session, sessions_of
    from .engine.plan import Plan, Wishes
    from .engine.write import Outcome
    from .platforms.catalog import Spec

__all__ = [
    "Outcome",
    "Plan",
    "Spec",
    "Wishes",
    "apply",
    "dumps",
    "load_spec",
    "loads",
    "open_session",
    "parse_spec",
    "plan",
    "session",
    "sessions_of",
]

#: imported when they are first used: `reconciler --help` needs none of them
_HOMES = {
    "Outcome": "engine.write",
    "Plan": "engine.plan",
    "Spec": "platforms.catalog",
    "Wishes": "engine.plan",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'api')}"), name)
