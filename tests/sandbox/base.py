"""A sandbox is a platform that tests play on: an empty account, a way to look at everything in it that is not our code, hands that
change things behind our back, and what a spec can say there. The contract suite runs on every sandbox.

The tests that need no more of the engine than plan and apply reach it through here.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel

from reconciler import Outcome, Plan, Spec, Wishes, parse_spec
from reconciler.engine.apply import apply, succeeded
from reconciler.engine.plan import make_plan
from reconciler.model.platform import Platforms
from reconciler.platforms.catalog import CATALOG

from .fields import COMMON, ELSEWHERE, Fields

Document = dict[str, Any]
Hand = tuple[str, Callable[[], Any]]
#: libyaml's, where it is there: the same text, and much sooner
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
Strategies = Mapping[str, st.SearchStrategy[Any]]


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
        """Changes a repository's description to `by hand`."""

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
