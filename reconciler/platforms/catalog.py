"""The platforms that there are. A new one is a folder and a line in each of the two lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, cast, get_args

from pydantic import Field

from reconciler.spec import models

from .aws.spec import AwsRegistry
from .aws.target import AwsTarget
from .azure.spec import AzureRegistry, AzureTarget, AzureTokenTarget
from .external.spec import ExternalRegistry
from .gcp.spec import GcpRegistry, GcpTarget
from .kubernetes.spec import KubernetesTarget
from .local.spec import LocalRegistry, LocalTarget

if TYPE_CHECKING:
    from reconciler.model.platform import Platform

Registry = Annotated[
    AwsRegistry | GcpRegistry | AzureRegistry | ExternalRegistry | LocalRegistry,
    Field(discriminator="platform"),
]
Target = Annotated[
    AwsTarget | GcpTarget | AzureTarget | AzureTokenTarget | KubernetesTarget | LocalTarget,
    Field(discriminator="type"),
]


class Grant(models.Grant):
    """A rule that lets a foreign principal pull (or push) named repositories."""

    to: Target = Field(description="Who is given access.")


class Spec(models.Spec):
    """Registries, repositories and grants, in one reviewed file."""

    registries: tuple[Registry, ...] = Field((), description="Collections of repositories, each on one platform.")
    grants: tuple[Grant, ...] = Field((), description="Who else can pull or push which repositories.")


class _Catalog(Mapping[str, "Platform"]):
    """The platforms' code by name, each imported when it is first asked for. A folder with a spec alone is none of them."""

    def __getitem__(self, name: str) -> Platform:
        module = f"{__package__}.{name}.platform"
        if name not in self:
            raise KeyError(name)
        return cast("Platform", import_module(module).PLATFORM)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._specified() if name in self)

    def __contains__(self, name: object) -> bool:
        return name in self._specified() and find_spec(f"{__package__}.{name}.platform") is not None

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @staticmethod
    def _specified() -> list[str]:
        registries = get_args(get_args(Registry)[0])
        return [get_args(item.model_fields["platform"].annotation)[0] for item in registries]


CATALOG: Mapping[str, Platform] = _Catalog()
