"""Whom a program lets in: the same as a grant's `to` in a spec, by platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from reconciler.errors import UnsupportedAccess
from reconciler.spec.models import Grant


@dataclass(frozen=True)
class RegistryAccess:
    """Whom access is for. Each platform has its own."""

    type: ClassVar[str] = ""

    def target(self) -> dict[str, Any]:
        """What a grant's `to` says in a spec."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"type": self.type, **{key: _plain(value) for key, value in given.items() if value not in (None, ())}}


@dataclass(frozen=True)
class AwsAccess(RegistryAccess):
    """AWS accounts, roles and services. docs/spec.md, "AWS: grants", has what each field means."""

    type: ClassVar[str] = "aws"

    account_ids: Sequence[str] = ()
    regions: Sequence[str] = ()
    role_arns: Sequence[str] = ()
    principal_arns: Sequence[str] = ()
    allowed_service_types: Sequence[str] = ()


@dataclass(frozen=True)
class GcpAccess(RegistryAccess):
    """Google Cloud service accounts, service agents of projects, and other members."""

    type: ClassVar[str] = "gcp"

    project_numbers: Sequence[str] = ()
    service_account_emails: Sequence[str] = ()
    allowed_service_types: Sequence[str] = ()
    members: Sequence[str] = ()


@dataclass(frozen=True)
class AzureAccess(RegistryAccess):
    """Principals of Microsoft Entra, by their object IDs."""

    type: ClassVar[str] = "azure"

    principal_ids: Sequence[str] = ()
    principal_type: str | None = None


@dataclass(frozen=True)
class LocalAccess(RegistryAccess):
    """Users of a local registry's server."""

    type: ClassVar[str] = "local"

    users: Sequence[str] = ()


@dataclass(frozen=True)
class GivenAccess:
    """What somebody was given at run time: `permission` is pull or push-pull."""

    access: RegistryAccess
    permission: str = "pull"


_TYPES: dict[str, type[RegistryAccess]] = {item.type: item for item in (AwsAccess, GcpAccess, AzureAccess, LocalAccess)}


def given_by(grant: Grant) -> GivenAccess:
    """What a grant of a session gives, as a program has it."""
    to = grant.to.model_dump(exclude_defaults=True, exclude={"type"})
    return GivenAccess(_TYPES[grant.to.type](**to), grant.permission)


def checked(access: object) -> RegistryAccess:
    """What somebody passed as access. Raises UnsupportedAccess for anything else."""
    if isinstance(access, RegistryAccess) and access.type:
        return access
    known = ", ".join(sorted(item.__name__ for item in _TYPES.values()))
    raise UnsupportedAccess(f"access is one of {known}, not {type(access).__name__}", operation="access")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
