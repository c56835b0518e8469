"""The contract of a platform and of its kinds. docs/architecture.md has a worked example of adding one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess
from reconciler.model.canonical import plain
from reconciler.model.resource import Desired, Estate, Live, Marks, Observation, Scope, Settings
from reconciler.model.service import DEFAULT_OPTIONS, Collected, Credentials, Server, ServerOptions
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase


@dataclass(frozen=True)
class Write:
    """What a create or an update is given.

    `marks`: to be put on the resource. `changed`: the settings' fields that differ (empty: the marks alone).
    `children`: applied hashes of resources that this plan creates below this one, so that one call can carry all marks.
    `carried`: whether the parent was made in this run and so already carries this resource's mark.
    `fresh`: which of the resource's needs were made in this run.
    """

    desired: Desired
    marks: Marks
    changed: frozenset[str] = frozenset()
    children: Mapping[str, str] = field(default_factory=dict)
    carried: bool = False
    fresh: frozenset[str] = frozenset()


class Kind(ABC):
    """One kind of resource: its settings, what can be told from them, and the four verbs.

    What is told from settings is pure. The verbs talk to the platform through the session; each write returns the resource
    as the platform answered it, so that the engine can compare it with what was wanted. They raise PlatformError.
    """

    name: ClassVar[str]
    settings: ClassVar[type]
    #: settings that can't change: a difference is a replace
    immutable: ClassVar[frozenset[str]] = frozenset()
    #: whether a create would overwrite what somebody else made meanwhile, so that it must be read before
    upserts: ClassVar[bool] = False
    #: whether others write into the same native document: a delete takes our part out of it and leaves theirs
    shared: ClassVar[bool] = False
    #: whether deleting one can delete images
    holds_images: ClassVar[bool] = False
    #: whether its settings give access
    gives_access: ClassVar[bool] = False

    def access(self, address: str, settings: Settings) -> Iterable[Access]:
        """Who can do what because of these settings."""
        return ()

    def shown(self, settings: Settings) -> dict[str, Any]:
        """The settings as nested plain values, defaults included, for people and for the field-by-field difference."""
        return {name: plain(getattr(settings, name)) for name in settings.__dataclass_fields__}

    @cached_property
    def blank(self) -> dict[str, Any]:
        """What is shown of settings that are all at their default: a create tells only what differs from it."""
        missing = any(item.default is MISSING for item in fields(self.settings))
        return {} if missing else self.shown(self.settings())

    def protected(self, settings: Settings) -> bool:
        """Whether the settings forbid that the resource is deleted or replaced."""
        return False

    def images_may_go(self, settings: Settings) -> bool:
        """Whether the settings allow that images are deleted with the resource."""
        return False

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        """Which limit of the platform the write would exceed, with the numbers; or None."""
        return None

    @abstractmethod
    def observe(self, session: Any, scope: Scope, found: Observation) -> Iterator[Live]:
        """The live resources of this kind that the scope asks for; `found` holds what the kinds before it yielded."""

    @abstractmethod
    def create(self, session: Any, write: Write) -> Live:
        """Makes the resource; fails if it exists and is not exactly what would have been made
        (a kind that `upserts` was read right before)."""

    @abstractmethod
    def update(self, session: Any, write: Write, live: Live) -> Live:
        """Changes the live resource, which was read right before; also how an existing one is adopted, and how ours is put
        into a native document that exists but is vacant."""

    @abstractmethod
    def delete(self, session: Any, live: Live, *, force: bool) -> None:
        """Deletes it. It is no error if it is gone. Without `force`, one that holds images stays and it is an error."""

    def replace(self, session: Any, write: Write, live: Live, *, force: bool) -> Live:
        """Deletes it and makes it anew, since an immutable setting differs. Whatever others put on it is there afterwards too."""
        self.delete(session, live, force=force)
        return self.create(session, write)

    def given_by_others(self, session: Any, live: Live) -> tuple[ForeignAccess, ...]:
        """Access that others gave and that would go along with a resource that holds images, read now."""
        return ()


class Session(ABC):
    """A connection to one registry's platform. Pickles as its registry, so that an executor may be anywhere."""

    def __init__(self, platform: Platform, estate: Estate, registry: RegistryBase) -> None:
        self.platform = platform
        self.estate = estate
        self.owner = estate.owner
        self.name = registry.name

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.platform, self.estate, self.name)

    @abstractmethod
    def check(self) -> None:
        """Fails with a PlatformError unless the platform can be reached as who the spec says. The first thing that is called."""

    def observe(self, scope: Scope) -> Observation:
        """What the scope asks for, read in bulk, kind by kind in the platform's order."""
        found = Observation()
        for kind in self.platform.kinds.values():
            for live in kind.observe(self, scope, found):
                found.live[live.address] = live
        return found

    def read(self, address: str) -> Live | None:
        """One resource, read again now; None if it is not there."""
        return self.observe(Scope({}, frozenset([address]))).live.get(address)

    @abstractmethod
    def count_images(self, live: Live) -> int:
        """How many images a live resource holds."""

    def credentials(self, repositories: str, *, push: bool, ttl: float, user: str | None = None) -> Credentials:
        """Credentials that are good for `ttl` seconds and for the repositories that a name or glob selects.

        With `user`, they can do no more than the spec's grants let that user do. Raises PlatformError.
        """
        raise PlatformError("this build can't issue credentials for this platform", operation="credentials")

    def server(self, options: ServerOptions = DEFAULT_OPTIONS) -> Server:
        """The registry's own server, not yet started. Raises PlatformError where the platform has its own."""
        raise PlatformError("only registries of platform local are served from here", operation="serve")

    def collect(self, *, grace: float, dry_run: bool = False) -> list[Collected]:
        """Carries out retention and removes what no image needs, unless it is younger than `grace` seconds.

        Raises PlatformError where the platform does so itself.
        """
        raise PlatformError("this platform removes images itself, by the retention in the spec", operation="gc")

    def close(self) -> None:  # noqa: B027 - most sessions hold nothing
        """Lets go of connections."""


@dataclass(frozen=True, slots=True)
class Output:
    """A value that other programs need, such as a repository's URI."""

    address: str
    name: str
    value: str


class Platform(ABC):
    """One platform: its kinds in the order in which they are observed, and how a session is opened."""

    name: ClassVar[str]
    kinds: Mapping[str, Kind]

    @abstractmethod
    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        """The registry's desired resources. Pure."""

    @abstractmethod
    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        """A session; makes no call yet. Here, and no earlier, the platform's own library is imported."""

    @abstractmethod
    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        """Values for other programs, known from the spec alone. Pure."""


def _reopen(platform: Platform, estate: Estate, name: str) -> Session:
    return platform.open(estate, estate.registry(name))
