"""Reconciler: who can pull or push which container image, in one file, made true by apply.

spec = load_spec("registry.yaml")
the_plan = plan(spec)
outcomes = apply(the_plan)

with session(spec, "sandbox") as sandbox, serving(sandbox).server() as server:   # a local registry, in this process
    login = issuing(sandbox).credentials("app-a", push=True, ttl=600)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.apply import apply
    from .api.plan import plan, session
    from .api.plan_file import dumps, loads
    from .api.spec import load_spec, parse_spec
    from .engine.plan import Plan, Wishes
    from .engine.write import Outcome
    from .model.service import collecting, issuing, serving
    from .platforms.catalog import Spec

__all__ = [
    "Outcome",
    "Plan",
    "Spec",
    "Wishes",
    "apply",
    "collecting",
    "dumps",
    "issuing",
    "load_spec",
    "loads",
    "parse_spec",
    "plan",
    "serving",
    "session",
]

#: imported when they are first used: `reconciler --help` needs none of them
_HOMES = {
    "Outcome": "engine.write",
    "Plan": "engine.plan",
    "Spec": "platforms.catalog",
    "Wishes": "engine.plan",
    "apply": "api.apply",
    "collecting": "model.service",
    "dumps": "api.plan_file",
    "issuing": "model.service",
    "load_spec": "api.spec",
    "loads": "api.plan_file",
    "parse_spec": "api.spec",
    "plan": "api.plan",
    "serving": "model.service",
    "session": "api.plan",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
