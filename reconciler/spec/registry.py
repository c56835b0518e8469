"""What every platform's registry and grant models have in common: the questions that the core asks them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from .fields import Fault, Flag, GrantName, Model, RegistryName
from .repository import Repository

#: what is said of a spec without registries: without a state file, nothing else knows where one was
NO_REGISTRY = (
    "the spec has no registry: what a registry holds that has left the spec stays there, and no plan finds it;"
    " `retired: true` on a registry deletes what is in it first"
)


class GrantTarget(Model):
    """Who a grant is for. Each platform has its own; `type` says which."""

    type: str = Field(description="Which kind of principal.")

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the target by itself, beyond its fields' types."""
        yield from ()


class RegistryBase(Model):
    """A collection of repositories with shared identity and access control."""

    name: RegistryName = Field(description="The registry's name: the first part of every address in it.")
    platform: str = Field(description="The platform that holds it.")

    retired: Flag = Field(
        False,
        description="Everything of it is planned for deletion, whatever repositories and grants the spec still has for it.",
    )

    #: the grant types that the platform can honour
    grant_types: ClassVar[tuple[str, ...]]

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        """Where it stands, for people: account and region, a folder, a host; and as whom calls are made, if the registry says so.

        `base`: the folder that relative paths start from. `start`: the folder that they are said relative to, or None: resolved.
        """
        return ()

    @property
    def own_account(self) -> str:
        """The account (project, tenant) that holds the registry, "" where there is none. It is no stranger to itself."""
        return ""

    @abstractmethod
    def native_name(self, repository: str) -> str:
        """The repository's name on the platform."""

    def name_fault(self, native: str) -> str | None:
        """Why the platform would refuse the native name, or None."""
        return None

    def notes(self, repositories: Sequence[Repository] = ()) -> Iterator[str]:
        """What a writer of the spec may not expect, though nothing is wrong with it; each the end of a sentence.

        `repositories`: those of the registry.
        """
        yield from ()

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the registry by itself, beyond its fields' types."""
        yield from ()

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        """What the platform can't honour of a repository's settings; paths are below the repository."""
        yield from ()

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        """What the platform can't honour of a grant; paths are below the grant.

        `repositories`: names that the grant covers; `narrowed`: whether the grant lists repositories at all.
        """
        yield from ()

    def waits_for(self, other: RegistryBase) -> bool:
        """Whether something of this registry can only be made once something of the other is there."""
        return False

    def clashes(self, other: RegistryBase, base: str) -> str | None:
        """Why this registry and another of the same spec would get in each other's way, or None.

        `base`: the folder that relative paths start from.
        """
        return None


def refused(repository: Repository, field: str, why: str) -> Iterator[Fault]:
    """A fault where the repository has this setting, which the platform can't honour."""
    if getattr(repository, field) is not None:
        yield Fault((field,), why)


Permission = Literal["pull", "push-pull"]


class GrantBase(Model):
    """A rule that lets a foreign principal pull (or push) named repositories."""

    name: GrantName = Field(description="Unique; it names the statement, binding or secret that the grant becomes.")
    registry: RegistryName = Field(description="The registry that it opens.")
    repositories: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Names and globs over this spec's repositories; left out: all of the registry's.",
    )
    permission: Permission = Field("pull", description="What the principal may do.")
