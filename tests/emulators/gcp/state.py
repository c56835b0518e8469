"""What the stand-in holds, in memory, and how it can be told to misbehave."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .wire import Document

#: the reads of a fresh service account in the recording: there, not there, there, and not there three times more.
#: k8s-config-connector at cdb85ecf, composerenvironmentbasic/_http.log: evidence/gcp/service-account-eventual-409.http.log
RECORDED_FLAPS = (200, 404, 200, 404, 404, 404)


@dataclass
class Knobs:
    """How the stand-in differs from one that works at once and lets everybody do everything.

    flaps: what the first reads of a fresh service account answer: 200, 404 or 403
    operation_calls: how many calls of any kind after a create or a delete it is carried out
    operation_error: the status with which operations end instead
    member_refusals: how many policies that name a fresh account are refused
    accounts_at_most: how many accounts a project may have
    unknown_members: members that don't exist
    permitted: domains and projects whose members may be named, as domain-restricted sharing has it; None: all
    denied: a permission, and a pattern of the resources on which the caller lacks it
    denied_keys: keys that Artifact Registry may not use
    """

    flaps: tuple[int, ...] = RECORDED_FLAPS
    operation_calls: int = 0
    operation_error: str = ""
    member_refusals: int = 0
    accounts_at_most: int = 100
    unknown_members: set[str] = field(default_factory=set)
    permitted: set[str] | None = None
    denied: list[tuple[str, str]] = field(default_factory=list)
    denied_keys: set[str] = field(default_factory=set)

    def denies(self, permission: str, resource: str) -> bool:
        """Whether the caller lacks the permission on the resource."""
        return any(known == permission and re.search(pattern, resource) for known, pattern in self.denied)


@dataclass
class Repository:
    """A repository. `settings`: in canonical form; `visible`: its create has been carried out."""

    name: str
    settings: Document
    created: str
    updated: str
    visible: bool = True
    images: list[Image] = field(default_factory=list)

    @property
    def parts(self) -> tuple[str, str, str]:
        """Project, location, id."""
        _, project, _, location, _, repository = self.name.split("/")
        return project, location, repository


@dataclass(frozen=True)
class Image:
    """An image in a repository. `size`: bytes."""

    package: str
    digest: str
    tags: tuple[str, ...]
    size: int
    uploaded: str


@dataclass
class Operation:
    """A long-running operation. `left`: calls until `finish` is called, which gives its response; or, with an `error`, `undo`."""

    name: str
    finish: Callable[[], Document]
    undo: Callable[[], object]
    left: int
    error: str = ""
    done: bool = False
    response: Document = field(default_factory=dict)

    def end(self) -> None:
        """Carries it out, or lets it fail."""
        self.done = True
        if self.error:
            self.undo()
        else:
            self.response = self.finish()


@dataclass
class Account:
    """A service account. `flaps`: what its next reads answer; `refusals`: how many policies that name it are refused."""

    project: str
    email: str
    unique_id: str
    etag: str
    settings: Document
    disabled: bool = False
    flaps: list[int] = field(default_factory=list)
    refusals: int = 0

    @property
    def name(self) -> str:
        return f"projects/{self.project}/serviceAccounts/{self.email}"


@dataclass
class Policy:
    """An allow policy. `uids`: the unique id that each service account of `bindings` had when it was named, by email."""

    etag: bytes
    bindings: list[Document] = field(default_factory=list)
    was_set: bool = False
    audit: Any = None
    uids: dict[str, str] = field(default_factory=dict)


class State:
    """All that the stand-in holds. Ids are never given twice, over resets either."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.repositories: dict[str, Repository] = {}
        self.operations: dict[str, Operation] = {}
        self._under_way: list[Operation] = []
        self.accounts: dict[str, Account] = {}
        self.once_known: set[str] = set()
        self.policies: dict[str, Policy] = {}
        self.project_settings: dict[str, Document] = {}
        #: services that are off, by project; scanning is off in a new project
        self.services_off: defaultdict[str, set[str]] = defaultdict(lambda: {"containerscanning.googleapis.com"})

    def account(self, email: str) -> Account | None:
        """The live account of this email."""
        return self.accounts.get(email)

    def is_on(self, project: str, service: str) -> bool:
        """Whether the project has the service's API enabled."""
        return service not in self.services_off[project]

    def switch(self, project: str, service: str, on: bool) -> None:
        """Enables or disables an API."""
        (self.services_off[project].discard if on else self.services_off[project].add)(service)

    def start(self, parent: str, finish: Callable[[], Document], undo: Callable[[], object]) -> Operation:
        """A new operation under `parent`; it is carried out now, or after as many further calls as the knobs say."""
        name = f"{parent}/operations/{uuid4()}"
        operation = Operation(name, finish, undo, self.knobs.operation_calls, self.knobs.operation_error)
        self.operations[operation.name] = operation
        self._under_way.append(operation)
        self._advance()
        return operation

    def tick(self) -> None:
        """A call has been made: operations get on."""
        for operation in self._under_way:
            operation.left -= 1
        self._advance()

    def _advance(self) -> None:
        for operation in self._under_way:
            if operation.left <= 0:
                operation.end()
        self._under_way = [operation for operation in self._under_way if not operation.done]

    def next_number(self) -> int:
        """A number that was not given before."""
        return next(State._numbers)

    def new_etag(self) -> bytes:
        """Eight bytes, as recorded etags have; like theirs, the first is 7."""
        return b"\x07\x06" + (0x5A0000000000 + self.next_number()).to_bytes(6, "big")

    def unique_id(self) -> str:
        """21 digits, as recorded unique ids have."""
        return f"1{self.next_number():020d}"


def project_number(project: str) -> str:
    """A project's number: twelve digits, the same for the same id."""
    return str(10**11 + int(hashlib.sha256(project.encode()).hexdigest(), 16) % (9 * 10**11))


def now() -> str:
    """The time, as answers have it: six digits of a second's fraction."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
