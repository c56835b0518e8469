"""A sandbox is a platform that tests play on: an empty account, a way to look at everything in it that is not our code, hands that
change things behind our back, and what a spec can say there. The contract suite runs on every sandbox.

The tests that need no more of the engine than plan and apply reach it through here.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel

from reconciler import Outcome, Plan, Spec, Wishes, parse_spec
from reconciler.engine.apply import apply, succeeded
from reconciler.engine.plan import make_plan
from reconciler.model.address import Address
from reconciler.model.platform import Platforms
from reconciler.platforms.catalog import CATALOG

from .fields import COMMON, ELSEWHERE, Fields

Document = dict[str, Any]
Hand = tuple[str, Callable[[], Any]]
#: libyaml's, where it is there: the same text, and much sooner
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
Strategies = Mapping[str, st.SearchStrategy[Any]]


@dataclass(frozen=True)
class Setting:
    """A setting that the contract changes in the spec and by hand. `address`: whose it is; `field`: as a plan shows it; `values`:
    what the spec says first, what a hand makes of it, and what the spec says later; `put`: makes a document say a value."""

    address: str
    field: str
    values: tuple[str, str, str]
    put: Callable[[Document, str], Any]


@dataclass(frozen=True)
class TakesAlong:
    """A change of a spec that deletes one resource, and one below it. `before`, `after`: the specs; `address`: what is deleted;
    `along`: what goes with it; `gone`: whether it is, asked without our code. It is by what goes along that
    access is lost."""

    before: Document
    after: Document
    address: str
    along: str
    gone: Callable[[], bool]


class Sandbox(ABC):
    """One platform, ready to be played on. Where a repository is meant, it is one of registry `images`."""

    platform: ClassVar[str]
    #: a server process answers here: its tests are left out of `script/test --quick`
    slow: ClassVar[bool] = False
    #: how many examples a property is tried on, and how many specs follow each other in a chain at most
    examples: ClassVar[int] = 60
    longest_chain: ClassVar[int] = 4

    #: a place in which the registry has nothing
    empty_place: ClassVar[str] = "elsewhere"
    #: names of repositories: two plain ones, and two of the other shapes that the platform takes
    names: ClassVar[tuple[str, str, str, str]] = ("app-a", "app-b", "team/c", "d.e")
    #: what a hand may write into any mark, and no code of ours would
    any_mark: ClassVar[str] = "by hand"
    #: a kind whose resources go with those that they stand below
    below: ClassVar[str] = "access"
    #: the tests of the contract that promise what can't be here, each with its reason: they are reported as xfailed with it
    inapplicable: ClassVar[Mapping[str, str]] = {}
    #: where relative paths of a spec start
    base = "."
    #: where files are kept of what others had put on a resource that is replaced
    rescue = "."
    #: the catalog that is handed to the engine
    platforms: Platforms = CATALOG

    # -- what a spec can say here

    @abstractmethod
    def registry(self, name: str = "images", **fields: Any) -> Document:
        """A registry of this platform as the spec writes it."""

    @abstractmethod
    def target(self, who: str) -> Document:
        """A grant's target of this platform; `who` is one digit."""

    @abstractmethod
    def everyone(self) -> Document:
        """A grant's target that is everyone."""

    @property
    @abstractmethod
    def rich(self) -> Document:
        """Registries, repositories and grants that use every kind of resource."""

    #: any target of a grant
    targets: ClassVar[st.SearchStrategy[Document]]
    #: optional fields of a registry, and of a repository those that not every platform has or of which it takes other values: any
    #: value of each
    registry_fields: ClassVar[Strategies] = {}
    repository_fields: ClassVar[Strategies] = {}
    #: the platform's models
    models: ClassVar[tuple[type[BaseModel], ...]]
    #: the changes of fields that not every platform has or that are others here than those of COMMON, and the fields that no change
    #: here is for, be they in COMMON: each with its reason
    fields: ClassVar[Fields]
    elsewhere: ClassVar[Mapping[str, str]]

    @classmethod
    def changes(cls) -> Fields:
        """The changes of all fields, as they are expected here."""
        common = {field: change for field, change in COMMON.items() if field not in cls.elsewhere}
        return {**common, **cls.fields}

    @classmethod
    def no_changes(cls) -> Mapping[str, str]:
        """The fields that no change here is for, with their reasons."""
        every = {field: reason for field, reason in ELSEWHERE.items() if field not in cls.fields}
        return {**every, **cls.elsewhere}

    def valid(self, document: Document) -> Document:
        """A drawn document without what the platform's rules refuse. Whatever it says is of its registries alone, so that documents
        that follow each other never want what another registry has."""
        return document

    # -- where things stand: what the contract says of a repository is said of another resource on some platforms

    def access(self, repository: str) -> Address:
        """The address of what gives access to a repository: to `app-a` what the grant gives that is for it alone, to all others what
        the grant gives that is for all."""
        return Address.of("images", "access", repository)

    def foreign_at(self, repository: str) -> str:
        """The address at which it is reported what others gave on a repository."""
        return self.access(repository)

    def grants_at(self, address: Address) -> set[str]:
        """Of the grants `one`, for all repositories, and `two`, for `app-a`, those that a resource comes from."""
        if address.kind != "access":
            return set()
        return {"one", "two"} if address.name == "app-a" else {"one"}

    def needed(self, repository: str) -> set[str]:
        """Addresses of what a repository's access needs."""
        return {f"images.repository.{repository}"}

    def setting(self) -> Setting:
        """A setting that can be changed in the spec and by `change_setting`."""

        def put(document: Document, value: str) -> None:
            document["repositories"][0]["description"] = value

        return Setting("images.repository.app-a", "description", ("the shop", "by hand", "the new shop"), put)

    def change_setting(self) -> None:
        """Changes that setting by hand."""
        self.describe("app-a")

    @property
    def full_row(self) -> Document:
        """What a repository can say beside its name, description and labels."""
        return {"retention": {"keep_last": 5}}

    def takes_along(self, document: Document) -> TakesAlong:
        """What of this document can leave it so that one resource is deleted with one below it."""
        after = copy.deepcopy(document)
        del after["repositories"][1]
        return TakesAlong(
            document,
            after,
            "images.repository.app-b",
            "images.access.app-b",
            lambda: "app-b" not in self.repository_names(),
        )

    @property
    def labelled_at(self) -> str:
        """The address of what has labels."""
        return "images.repository.app-a"

    def put_labels(self, document: Document, labels: Mapping[str, str]) -> None:
        """Makes a document say labels of what has them."""
        document["repositories"][0]["labels"] = dict(labels)

    def make_foreign_labelled(self) -> None:
        """Makes what has labels, without an owner."""
        self.make_foreign("app-a")

    def destroy_around(self, document: Document) -> None:
        """Destroys all of a document's that can go without what is none of its."""
        self.apply(document, destroy=True)

    def meddle(self, repository: str) -> str:
        """Changes a repository's access by hand, in a place that a change of ours would write over; what a stale plan says then."""
        self.give_foreign_access(repository)
        return "others keep in the same document"

    # -- what is there, without our code

    @abstractmethod
    def state(self) -> Document:
        """Everything on the platform."""

    @abstractmethod
    def repository_names(self) -> set[str]:
        """Names of the repositories of which anything is there, in any place."""

    @abstractmethod
    def foreign_access(self, repository: str) -> list[Any]:
        """What others than us put into a repository's access document, as it is stored."""

    @abstractmethod
    def tag(self, repository: str, key: str) -> str:
        """The value of a repository's tag."""

    # -- changes by hand

    @abstractmethod
    def reset(self) -> None:
        """Empties the platform."""

    @abstractmethod
    def hands(self) -> list[Hand]:
        """Ways to change what is on the platform now, behind our back; each a name and a function."""

    @abstractmethod
    def push_image(self, repository: str, tag: str = "v1") -> None:
        """Puts an image into a repository."""

    @abstractmethod
    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        """Makes a repository that nobody (or somebody else) owns."""

    @abstractmethod
    def give_foreign_access(self, repository: str) -> None:
        """Gives somebody access to a repository."""

    @abstractmethod
    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        """Puts a tag on a repository."""

    @abstractmethod
    def describe(self, repository: str) -> None:
        """Changes a setting of a repository: its description to `by hand`, where it has one."""

    @abstractmethod
    def remove_access(self, repository: str) -> None:
        """Removes a repository's access document."""

    @abstractmethod
    def remove_repository(self, repository: str) -> None:
        """Removes a repository."""

    # -- our code

    def document(self, *repositories: Document | str, grants: tuple[Document, ...] = (), **top: Any) -> Document:
        """A spec with one registry `images`."""
        rows = [{"name": item} if isinstance(item, str) else item for item in repositories]
        return {
            "version": 1,
            "name": top.pop("name", "tests"),
            "registries": [self.registry(**top.pop("registry", {}))],
            "repositories": [{"registry": "images", **row} for row in rows],
            "grants": [{"registry": "images", **grant} for grant in grants],
            **top,
        }

    def whole_document(self) -> Document:
        """A spec that asks for every kind of resource."""
        return self.rich_document()

    def rich_document(self) -> Document:
        """A spec that uses nearly every kind of resource, and may delete them all."""
        return {"version": 1, "name": "tests", "guards": {"max_deletes": "100%"}, **copy.deepcopy(self.rich)}

    def spec(self, document: Document) -> Spec:
        """The document as a loaded spec."""
        return parse_spec(yaml.dump(document, Dumper=_DUMPER, sort_keys=False), base=self.base)

    def plan(self, document: Document, *, executor: Any = None, **wishes: Any) -> Plan:
        """The document's plan."""
        wished = Wishes(**{"rescue": self.rescue, **wishes})
        return make_plan(self.spec(document), wished, platforms=self.platforms, executor=executor)

    def carry_out(self, plan: Plan, **how: Any) -> list[Outcome]:
        """Applies a plan, whatever comes of it."""
        return apply(plan, platforms=self.platforms, **{"rescue": self.rescue, **how})

    def apply(self, document: Document, **wishes: Any) -> list[Outcome]:
        """Plans and applies the document; every change must be done."""
        outcomes = self.carry_out(self.plan(document, **wishes))
        assert succeeded(outcomes), [outcome for outcome in outcomes if outcome.message]
        return outcomes
