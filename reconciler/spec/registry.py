"""What every platform's registry and grant models have in common: the questions that the core asks them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from .fields import Fault, Flag, GrantName, Model, RegistryName
from .repository import Repository, RepositoryDefaults

#: what is said of a spec without registries: without a state file, nothing else knows where one was
NO_REGISTRY = (
    "the spec has no registries: what a removed registry holds is kept, and no plan finds it;"
    " to delete it first, set `retired: true` on the registry"
)


class GrantTarget(Model):
    """Who a grant is for. Each platform has its own; `type` says which."""

    type: str = Field(description="Which kind of principal.")

    @property
    def named_cluster(self) -> tuple[tuple[str, ...], str] | None:
        """Where below the target a cluster of the spec is named, and its name; None if none is."""
        return None

    def secrets(self, owner: str, grant: str) -> Iterator[tuple[str, str, str]]:
        """The secrets that a spec called `owner` makes in clusters for a grant of that name: each by cluster, namespace and name."""
        yield from ()

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the target by itself, beyond its fields' types."""
        yield from ()


class Note(str):
    """What a writer of a spec may not expect, as the end of a sentence. `of`: the repository at whose line it is said; "": at the
    registry's."""

    of: str = ""

    @classmethod
    def about(cls, text: str, names: Sequence[str]) -> Note:
        """A note about what these repositories say themselves, said at the line of the first."""
        note = cls(text)
        note.of = names[0]
        return note


class RegistryBase(Model):
    """A collection of repositories with shared identity and access control."""

    name: RegistryName = Field(description="The registry's name: the first part of every address in it.")
    platform: str = Field(description="The platform that holds it.")

    retired: Flag = Field(
        False,
        description="Plan to delete everything in it, even if the spec still lists repositories and grants for it.",
    )

    #: the grant types that the platform can honour
    grant_types: ClassVar[tuple[str, ...]]
    #: the permissions, and what else beside them, that its grants can give
    permissions: ClassVar[tuple[str, ...]] = ("pull", "push-pull")
    beside: ClassVar[tuple[str, ...]] = ()
    #: what a login that is made for a cluster can do with the registry, whatever a grant says of it, in words; "" if grants say it
    whole_login: ClassVar[str] = ""
    #: the keys that say where its repositories stand, and what they are called there
    placing: ClassVar[tuple[str, ...]] = ()
    #: the key by which a repository's name on the platform can be another
    naming: ClassVar[str] = "native_name"
    #: the keys that say as whom calls are made
    identity: ClassVar[tuple[str, ...]] = ()
    #: whether there is anything that its platform can't honour and that is left out where it comes from the defaults (`Fault.unable`)
    leaves_out: ClassVar[bool] = False
    #: of how many repositories its sessions must know the names, to try its login with
    tried_with: ClassVar[int] = 0
    #: whether whoever can push can delete images too
    pushers_delete: ClassVar[bool] = False

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        """Where it stands, for people: account and region, a folder, a host; and as whom calls are made, if the registry says so.

        `base`: the folder that relative paths start from. `start`: the folder that they are said relative to, or None: resolved.
        """
        return ()

    def portable(self, base: str) -> dict[str, Any]:
        """The registry as a spec writes it that may be in another folder, as JSON values. `base`: the folder that relative paths
        start from."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def named_cluster(self) -> tuple[tuple[str, ...], str] | None:
        """Where below the registry a cluster of the spec is named, and its name; None if none is."""
        return None

    def login_moves(self, later: RegistryBase) -> Iterator[tuple[str, str]]:
        """How the login that the spec gives for it goes elsewhere in a later form: by key, each as a sentence."""
        yield from ()

    @property
    def login_secret(self) -> tuple[str, str, str] | None:
        """The secret that its login is read from, by cluster, namespace and name; None if that is no secret of a cluster."""
        return None

    @property
    def unseen(self) -> str:
        """Access to the registry's repositories that no plan reads, in words; "" if there is none."""
        return ""

    @property
    def is_one(self) -> bool:
        """Whether all its repositories are one on the platform, so that access to one of them is access to all."""
        return False

    @property
    def common_labels(self) -> Mapping[str, str]:
        """The registry's labels that count as each of its repositories' own, where the platform has none of a repository."""
        return {}

    @property
    def own_account(self) -> str:
        """The account (project, tenant) that holds the registry, "" where there is none. It is no stranger to itself."""
        return ""

    def found_by(self, later: RegistryBase) -> bool:
        """Whether a plan of a later form of the registry still finds what this one holds; else that stays behind, unwatched."""
        return type(self) is type(later) and self.own_account == later.own_account

    def still_finds(self, later: RegistryBase) -> Collection[str]:
        """The kinds of what this registry made that a plan of a later form finds although it does not find the rest (`found_by`): it
        is refused then."""
        return ()

    def met_by(self, other: RegistryBase) -> Collection[str]:
        """The kinds of what this registry made that stand in the way of one that the spec calls otherwise, since the platform's own
        names of them are the same: a plan of that one is refused. Empty: none."""
        return ()

    @abstractmethod
    def native_name(self, repository: str) -> str:
        """The repository's name on the platform, unless the spec gives another."""

    def names_shared_with(self, other: RegistryBase) -> str:
        """Where the repositories of both registries have their names in common, so that no two may be the same, in words; "" if
        nowhere."""
        return ""

    def name_clash(self, other: RegistryBase, native: str) -> str | None:
        """Why a repository of another registry of the same spec can't have this name on the platform because of this one, or None."""
        return None

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

    def default_faults(self, defaults: RepositoryDefaults) -> Iterator[Fault]:
        """What the platform can't honour of the defaults for repositories where the registry itself takes settings from them; paths
        are below the registry."""
        yield from ()

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        """What the platform can't honour of a repository's settings; paths are below the repository."""
        yield from ()

    def together_faults(self, repositories: Sequence[Repository]) -> Iterator[tuple[Repository, Fault]]:
        """What the platform can't honour of the registry's repositories together, each with the one that it is about; paths are below
        that."""
        yield from ()

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        """What the platform can't honour of a grant; paths are below the grant.

        `repositories`: names that the grant covers; `narrowed`: whether the grant lists repositories at all.
        """
        yield from ()

    def targets_faults(self, grants: Sequence[tuple[str, GrantTarget]]) -> Iterator[tuple[int, Fault]]:
        """What the platform can't honour of the registry's grants together, each with its grant's place in these; paths are below
        `to`. `grants`: their names, and whom they are for."""
        yield from ()

    def named_faults(self, target: GrantTarget, name: str) -> Iterator[Fault]:
        """What is wrong with a grant's name, where the platform gives it to something; paths are below the grant."""
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
    """A fault where the repository has this setting, which the platform does not have."""
    if getattr(repository, field) != type(repository).model_fields[field].default:
        yield Fault((field,), why, unable=True)


Permission = Literal["pull", "push-pull", "admin"]
Beside = Literal["read"]


class GrantBase(Model):
    """A rule that lets a foreign principal pull (or push) named repositories."""

    name: GrantName = Field(
        description="A unique name, also given to the statement, binding or secret that the grant becomes."
    )
    registry: RegistryName = Field(description="The registry that it gives access to.")
    repositories: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Names or globs of this spec's repositories. Default: all of the registry's.",
    )
    permission: Permission = Field(
        "pull",
        description="What the principal can do: pull, push-pull, or admin: everything, which `guards.allow_admin` must allow.",
    )
    also: tuple[Beside, ...] = Field(
        (), description="What else it can do: read lists and describes images, repositories and scan findings."
    )
