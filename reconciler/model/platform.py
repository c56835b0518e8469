"""The contract of a platform and of its sessions."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any, ClassVar, TypeVar, cast

from reconciler.spec.cluster import Cluster
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from reconciler.words import APPLY_AGAIN

from .access import Principal
from .address import Address
from .kind import Kind
from .ledger import Ledger
from .rates import Rates
from .resource import Desired, Live

L = TypeVar("L", bound=Ledger)
#: calls under way at once, per registry, unless somebody says otherwise. A call costs some 2 ms of CPU: with answers 40 ms away, 20
#: keep a core busy, and with more a plan of 1,000 repositories did not come sooner (script/bench rates)
PARALLELISM = 32
#: seconds in which calls that the platform throttles are tried again, unless somebody says otherwise
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Estate:
    """What a session must know beyond its own registry: the owner, the folder of relative paths, all registries and clusters.

    `parallelism`: how many calls a session may have under way at once. `timeout`: for how many seconds it may try what is throttled.
    `rescue`: the folder for files that keep what others had put on a resource while it is replaced. `rates`: how often each operation
    may be called, as far as the run has learned it; all its sessions share them. `examples`: by registry, some repositories that the
    spec has in it, where its login may have to be tried with them. `named`: by registry, all of them; empty where there is no spec.
    """

    owner: str
    base: str
    registries: tuple[RegistryBase, ...]
    parallelism: int = PARALLELISM
    timeout: float = TIMEOUT
    rescue: str = "."
    rates: Rates = field(default_factory=Rates, repr=False, compare=False)
    clusters: tuple[Cluster, ...] = ()
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    named: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False)

    def registry(self, name: str) -> RegistryBase:
        """The registry of that name."""
        return next(item for item in self.registries if item.name == name)


def _nobody(done: int, more: int) -> None:
    """Nobody counts."""


class Session(ABC):
    """A connection to one registry's platform. Pickles as its registry, so that an executor may be anywhere.

    `halt` is set while a listing that has failed comes to its end: what is listed side by side starts no further call.
    `until`: when, on the monotonic clock, what is throttled is given up. `given_up`: after Ctrl-C it stays set, and nobody waits for
    what is under way.
    """

    #: seconds for which what is read may still be what was there before a write, where no write waits until it is
    behind: float = 0.0
    #: whether the session itself sees to it that no more than `parallelism` calls are under way, however many threads make them
    limits_calls: ClassVar[bool] = False

    def __init__(self, platform: Platform, estate: Estate, registry: RegistryBase) -> None:
        self.platform = platform
        self.estate = estate
        self.owner = estate.owner
        self.name = registry.name
        self.halt = Event()
        self.given_up = False
        #: whether nothing of the registry is wanted any more: what only what is wanted needs can be left out of a listing
        self.giving_up = False
        #: what the caller named, where that is all that it asks for and the spec wants each of it: what can't be needed for that may
        #: be left out of a listing. Empty: it asks for everything
        self.targeted: frozenset[Address] = frozenset()
        #: set by whoever wants what is carried out to stop; a call that only waits for its turn is not sent then
        self.stop = Event()
        #: takes how many reads are done, and of how many more it is known now that they are to be done
        self.on_step: Callable[[int, int], None] = _nobody
        #: what a listing found of the wanted that the platform would not take, in words: limits that only it knows
        self.refused: dict[Address, str] = {}
        #: what of the wanted a listing has not looked at: nothing is planned for it. Each with why it could not, in words, which is
        #: in the way of a plan with it; "" where nothing that the caller named needs it
        self.unseen: dict[Address, str] = {}
        #: what a listing found that can't be done yet, as it waits for what no spec makes, or can't be looked at: nothing is planned
        #: for it. Each with why, and what to do, in words
        self.pending: dict[Address, str] = {}
        #: what else a listing found that a reader of the plan must know, in sentences
        self.notices: list[str] = []
        self._ledgers: dict[type[Ledger], Ledger] = {}
        self.begin()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.platform, self.estate, self.name)

    def begin(self) -> None:
        """The time limit of the estate starts now, and once more before a plan that somebody has thought about is carried out."""
        self.until = time.monotonic() + self.estate.timeout

    @abstractmethod
    def check(self) -> None:
        """Fails with a PlatformError unless the platform can be reached as who the spec says. The first thing that is called."""

    def barred(self, at: Address, why: str, *, wanted: bool) -> None:
        """For a listing: that a resource can't be looked at, and why, in words. What is wanted is in the way of a plan; what is not
        wanted any more, and was made, is pending: whoever has deleted where it was may have deleted the right to look there."""
        if wanted:
            self.unseen[at] = why
        else:
            made = "an earlier apply has made it, and it stays as it is, since it can't be looked at"
            self.pending[at] = f"{made}: {why}; {APPLY_AGAIN} then"

    def absent(self) -> str:
        """Why nothing of the registry is there, in words, where that can be known at once: "its folder /a/b is not there"."""
        return ""

    def learn(self, resources: Iterable[Desired | Live]) -> None:  # noqa: B027 - most names follow from the address
        """Takes what is known of repositories before they are read by their addresses, of each what is to be read: a platform where
        a repository's own name does not follow from its address looks it up there."""

    def ledger(self, ledger: type[L]) -> L:
        """The session's ledger of that class, made when it is first asked for."""
        found = self._ledgers.get(ledger)
        return cast(L, found if found is not None else self._ledgers.setdefault(ledger, ledger(self)))

    def give_up(self) -> None:
        """No further call is started, and `close` waits for none."""
        self.given_up = True
        self.halt.set()

    def close(self) -> None:  # noqa: B027 - most sessions hold nothing
        """Lets go of connections."""


@dataclass(frozen=True, slots=True)
class Output:
    """A value that other programs need, such as a repository's URI. `note`: a sentence on what it depends on; "" if on nothing."""

    address: Address
    name: str
    value: str
    note: str = ""


class Platform(ABC):
    """One platform: its kinds, and how a session is opened."""

    name: ClassVar[str]
    #: the platform's registries, as the spec writes them
    registry: ClassVar[type[RegistryBase]]
    kinds: Mapping[str, Kind]

    @property
    def own_kinds(self) -> Mapping[str, Kind]:
        """The kinds of what is on the platform itself: what it must allow is theirs alone."""
        return {name: kind for name, kind in self.kinds.items() if not kind.elsewhere}

    @abstractmethod
    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        """The registry's desired resources. Pure."""

    def known_as(self, principal: str) -> Callable[[Principal], bool] | None:
        """Whether a principal as access names it is, or includes, the one that the platform's own text is for, such as an ARN; None
        of what is no such text. Pure."""
        return None

    def now_found(
        self, item: Desired, earlier: RegistryBase, registry: RegistryBase, wanted: Mapping[Address, Desired]
    ) -> Desired:
        """What an earlier form of a registry had made of a resource, as plans of the registry find it: under its address of now, and
        with the registry's own names of now in its settings, where they stand for the same resources. `wanted`: what the registry
        asks for. Pure."""
        return item

    def renamed(self, item: Desired, name: str, earlier: RegistryBase, registry: RegistryBase) -> Any:
        """The settings of a repository of an earlier form of a registry, as they are read under the name that it has now. Pure."""
        return item.settings

    @abstractmethod
    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        """A session; makes no call yet. Here, and no earlier, the platform's own library is imported."""

    @abstractmethod
    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        """Values for other programs: of each repository its name on the platform (`name`), what its images are pulled from (`uri`),
        and what else the platform has. From the spec, of a registry on this machine from its files, and what only the platform
        knows from there. Raises PlatformError, where something is not known yet too."""


#: the platforms that there are, by name; whoever plans or applies hands them in
Platforms = Mapping[str, Platform]


def _reopen(platform: Platform, estate: Estate, name: str) -> Session:
    return platform.open(estate, estate.registry(name))
