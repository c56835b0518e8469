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
    from .engine.apply import Outcome, apply
    from .engine.observe import session
    from .engine.plan import Plan, Wishes
    from .engine.plan import make_plan as plan
    from .spec.loader import load_spec
    from .spec.models import Spec

__all__ = ["Outcome", "Plan", "Spec", "Wishes", "apply", "load_spec", "plan", "session"]

#: imported when they are first used: `reconciler --help` needs none of them
_HOMES = {
    "Outcome": ("engine.apply", "Outcome"),
    "Plan": ("engine.plan", "Plan"),
    "Spec": ("spec.models", "Spec"),
    "Wishes": ("engine.plan", "Wishes"),
    "apply": ("engine.apply", "apply"),
    "load_spec": ("spec.loader", "load_spec"),
    "plan": ("engine.plan", "make_plan"),
    "session": ("engine.observe", "session"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
