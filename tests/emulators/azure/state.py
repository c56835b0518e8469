"""What the stand-in holds, in memory, and how it can be told to misbehave."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from .wire import Document

#: calls of any kind, beyond those that find an operation under way, after which it is over
UNSEEN = 3
TENANT = "11111111-1111-1111-1111-111111111111"
_IDS = UUID("6f1c2b1e-7f34-4b0a-9d0e-3b7d0d5f6a10")


@dataclass
class Knobs:
    """How the stand-in differs from one that works at once and lets everybody do everything.

    polls: how many looks at an operation find it under way
    retry_after: seconds that the operations' own answers ask to wait; 0: they ask for none, as recorded in 2025
    failing: kinds of operations (`registries`, `replications`, `tokens`) that end with this code and message instead
    taken: names of registries that somebody else has
    login_server: what a registry's login server is; `{name}`, `{hash}` and `{here}` (this server) stand for themselves
    settling: how many PUTs of a just-deleted replication come to nothing
    page: items on one page of a list
    seed: of the order of lists; None: sorted
    odd_casing: whether ids and locations come back in another casing
    fresh: whether a fresh identity is known only with its principalType
    unknown_principals: object ids that don't exist
    principal_types: what principals are, by their object ids: the type that is said must be that
    refused_names: how many names of new role assignments can't be taken, however often they are sent
    missing_groups: resource groups that don't exist, in lower case
    denied: beginnings of actions, such as `roleAssignments:PUT`, that the caller may not do
    blind: whether the data plane refuses the caller
    synchronous: whether a registry is made at once: 200, as recorded in 2023
    late_usages: whether what a registry stores is said without the images that were deleted only some minutes later
    """

    polls: int = 0
    retry_after: int = 0
    failing: dict[str, tuple[str, str]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    login_server: str = "{name}.azurecr.io"
    settling: int = 0
    page: int = 100
    seed: int | None = 0
    odd_casing: bool = False
    fresh: bool = True
    unknown_principals: set[str] = field(default_factory=set)
    principal_types: dict[str, str] = field(default_factory=dict)
    refused_names: int = 0
    missing_groups: set[str] = field(default_factory=set)
    denied: list[str] = field(default_factory=list)
    blind: bool = False
    synchronous: bool = False
    late_usages: bool = False


@dataclass
class Resource:
    """A tracked resource: a registry, a replication, an identity. `document`: as it was last written, without what follows from the
    rest; `state`: how its last operation stands."""

    id: str
    name: str
    location: str
    tags: dict[str, str]
    properties: Document
    created: str
    modified: str
    state: str = "Succeeded"


@dataclass
class Child(Resource):
    """What a registry has without tags of its own: a scope map, a token. `passwords`: by name, each with its value and expiry."""

    passwords: dict[str, Document] = field(default_factory=dict)


@dataclass
class Registry(Resource):
    """A container registry. `since`: credentials issued before this number are void; `images`: tags by repository;
    `hidden`: those that are not listed; `freed`: bytes of images that were deleted."""

    sku: str = "Basic"
    replications: dict[str, Resource] = field(default_factory=dict)
    scope_maps: dict[str, Child] = field(default_factory=dict)
    tokens: dict[str, Child] = field(default_factory=dict)
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    since: int = 0
    hidden: set[str] = field(default_factory=set)
    freed: int = 0

    @property
    def abac(self) -> bool:
        return bool(self.properties.get("roleAssignmentMode") == "AbacRepositoryPermissions")


@dataclass
class Assignment:
    """A role assignment. `scope`: as it was written."""

    name: str
    scope: str
    role: str
    principal: str
    properties: Document

    @property
    def id(self) -> str:
        scope = "" if self.scope == "/" else self.scope
        return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{self.name}"


@dataclass
class Operation:
    """A long-running operation. `left`: looks that find it under way; `finish`: what it does at its end; `word`: its status until
    then; `signatures`: of which one must come back with each look, unchanged; azure-core goes on with the first."""

    name: str
    word: str
    left: int
    finish: Callable[[], object]
    error: tuple[str, str] | None = None
    done: bool = False
    signatures: set[str] = field(default_factory=set)
    calls: int = 0

    def end(self) -> None:
        """Carries it out, once."""
        if not self.done:
            self.done = True
            self.left = 0
            self.finish()


class State:
    """All that the stand-in holds. Ids are never given twice, over resets either. `here`: host and port of the server."""

    _numbers = itertools.count(1)

    def __init__(self, here: str = "localhost") -> None:
        self.here = here
        self.knobs = Knobs()
        self.registries: dict[str, Registry] = {}
        self.identities: dict[str, Resource] = {}
        self.assignments: dict[str, Assignment] = {}
        #: names of role assignments that can't be taken
        self.refused_names: set[str] = set()
        self.operations: dict[str, Operation] = {}
        #: object ids by client id, of who logs in
        self.principals: dict[str, str] = {}
        #: what the caller was told of secrets, so that a test can look for them
        self.secrets: list[str] = []

    def next_number(self) -> int:
        """A number that was not given before."""
        return next(State._numbers)

    def tick(self) -> None:
        """A call has been made: what nobody looks at is carried out too, somewhat later."""
        for operation in self.operations.values():
            operation.calls += 1
            if operation.calls > self.knobs.polls + UNSEEN:
                operation.end()

    def shuffled(self, items: list[Any]) -> list[Any]:
        """The items in the arbitrary order of a list: it is the same for the same items."""
        if self.knobs.seed is None:
            return items
        random.Random(f"{self.knobs.seed} {len(items)}").shuffle(items)
        return items

    def principal_of(self, client: str) -> str:
        """The object id of who logs in with a client id."""
        return self.principals.setdefault(client.lower(), str(uuid5(_IDS, client.lower())))

    def login_server(self, name: str) -> str:
        """The login server of a registry of that name."""
        digest = hashlib.sha256(name.lower().encode()).hexdigest()[:8]
        return self.knobs.login_server.format(name=name.lower(), hash=digest, here=self.here)


def now() -> str:
    """The time as `systemData` has it: with an offset, and six digits of a second's fraction."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def zulu(time: str) -> str:
    """A time as a registry's creationDate has it."""
    return time.replace("+00:00", "Z")


def fresh_id() -> str:
    """A new UUID."""
    return str(uuid4())
