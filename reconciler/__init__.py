"""Reconciler: declare in one file who can pull or push which container image.

spec = load_spec("registry.yaml")
the_plan = plan(spec)
print(render(the_plan))
outcomes = apply(the_plan)

with session(spec, "sandbox") as sandbox, serving(sandbox).server() as server:   # a local registry, in this process
    login = issuing(sandbox).credentials("app-a", push=True, ttl=600)

Every error that it raises on purpose is a ReconcilerError. docs/api.md has more (`reconciler help api`).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.apply import ApplyFailed, apply
    from .api.plan import plan, session
    from .api.plan_file import dumps, loads
    from .api.spec import load_spec, parse_spec
    from .engine.guard import Verdict
    from .engine.plan import Plan
    from .engine.wishes import Wishes
    from .engine.write import Outcome, Status
    from .errors import (
        CredentialsDenied,
        GuardViolation,
        OtherSpec,
        PlanConflict,
        PlanRefused,
        PlatformError,
        Problem,
        ReadFailed,
        ReconcilerError,
        RegistryNotFound,
        RepositoryExists,
        RepositoryNotEmpty,
        RepositoryNotFound,
        RepositoryOfSpec,
        SpecError,
        StalePlan,
        TimeIsUp,
        UnsupportedAccess,
    )
    from .model.access import Access, ForeignAccess, Neighbour, Principal
    from .model.address import Address
    from .model.change import Action, Cause, Change, FieldChange, PlanProblem
    from .model.resource import Desired, Live, NativeName
    from .model.service import Credentials, ServerOptions, collecting, issuing, serving
    from .places import Place
    from .platforms.catalog import Spec
    from .render.forms import render
    from .sdk.access import AwsAccess, AzureAccess, GcpAccess, GivenAccess, LocalAccess, RegistryAccess
    from .sdk.aio import AsyncArtifactRegistry, async_artifact_registry
    from .sdk.registry import ArtifactRegistry, Repository, artifact_registry

    __version__: str

__all__ = [
    "Access",
    "Action",
    "Address",
    "ApplyFailed",
    "ArtifactRegistry",
    "AsyncArtifactRegistry",
    "AwsAccess",
    "AzureAccess",
    "Cause",
    "Change",
    "Credentials",
    "CredentialsDenied",
    "Desired",
    "FieldChange",
    "ForeignAccess",
    "GcpAccess",
    "GivenAccess",
    "GuardViolation",
    "Live",
    "LocalAccess",
    "NativeName",
    "Neighbour",
    "OtherSpec",
    "Outcome",
    "Place",
    "Plan",
    "PlanConflict",
    "PlanProblem",
    "PlanRefused",
    "PlatformError",
    "Principal",
    "Problem",
    "ReadFailed",
    "ReconcilerError",
    "RegistryAccess",
    "RegistryNotFound",
    "Repository",
    "RepositoryExists",
    "RepositoryNotEmpty",
    "RepositoryNotFound",
    "RepositoryOfSpec",
    "ServerOptions",
    "Spec",
    "SpecError",
    "StalePlan",
    "Status",
    "TimeIsUp",
    "UnsupportedAccess",
    "Verdict",
    "Wishes",
    "__version__",
    "apply",
    "artifact_registry",
    "async_artifact_registry",
    "collecting",
    "dumps",
    "issuing",
    "load_spec",
    "loads",
    "parse_spec",
    "plan",
    "render",
    "serving",
    "session",
]

#: imported when they are first used: `reconciler --help` needs none of them
_HOMES = {
    "Access": "model.access",
    "Action": "model.change",
    "Address": "model.address",
    "ApplyFailed": "api.apply",
    "ArtifactRegistry": "sdk.registry",
    "AsyncArtifactRegistry": "sdk.aio",
    "AwsAccess": "sdk.access",
    "AzureAccess": "sdk.access",
    "Cause": "model.change",
    "Change": "model.change",
    "Credentials": "model.service",
    "CredentialsDenied": "errors",
    "Desired": "model.resource",
    "FieldChange": "model.change",
    "ForeignAccess": "model.access",
    "GcpAccess": "sdk.access",
    "GivenAccess": "sdk.access",
    "GuardViolation": "errors",
    "Live": "model.resource",
    "LocalAccess": "sdk.access",
    "NativeName": "model.resource",
    "Neighbour": "model.access",
    "OtherSpec": "errors",
    "Outcome": "engine.write",
    "Place": "places",
    "Plan": "engine.plan",
    "PlanConflict": "errors",
    "PlanProblem": "model.change",
    "PlanRefused": "errors",
    "PlatformError": "errors",
    "Principal": "model.access",
    "Problem": "errors",
    "ReadFailed": "errors",
    "ReconcilerError": "errors",
    "RegistryAccess": "sdk.access",
    "RegistryNotFound": "errors",
    "Repository": "sdk.registry",
    "RepositoryExists": "errors",
    "RepositoryNotEmpty": "errors",
    "RepositoryNotFound": "errors",
    "RepositoryOfSpec": "errors",
    "ServerOptions": "model.service",
    "Spec": "platforms.catalog",
    "SpecError": "errors",
    "StalePlan": "errors",
    "Status": "engine.write",
    "TimeIsUp": "errors",
    "UnsupportedAccess": "errors",
    "Verdict": "engine.guard",
    "Wishes": "engine.wishes",
    "apply": "api.apply",
    "artifact_registry": "sdk.registry",
    "async_artifact_registry": "sdk.aio",
    "collecting": "model.service",
    "dumps": "api.plan_file",
    "issuing": "model.service",
    "load_spec": "api.spec",
    "loads": "api.plan_file",
    "parse_spec": "api.spec",
    "plan": "api.plan",
    "render": "render.forms",
    "serving": "model.service",
    "session": "api.plan",
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        from .words import DISTRIBUTION

        return version(DISTRIBUTION)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


class _Package(ModuleType):
    """This package. Python binds a package inside it to its name here as soon as anything in that is imported; `render` stays the
    function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
