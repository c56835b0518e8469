"""The contract of a kind of resource. docs/architecture.md has a worked example of adding one.

What every kind must have is small; what is rare (access, images) is an interface of its own that a kind may offer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

from reconciler.spec.registry import RegistryBase

from .access import Access, ForeignAccess, Given, Principal
from .address import Address
from .canonical import fingerprint, plain
from .marks import Marks
from .resource import Desired, Live, NativeName, Settings
from .weakening import Weakening

#: in the place of a principal where only what is given counts
NOBODY = Principal("")


class Trait(StrEnum):
    """What is peculiar about a kind."""

    UPSERTS = "upserts"  # a create would overwrite what somebody else made meanwhile, so it is read before
    SHARED = "shared"  # others write into the same native document: a delete takes our part out and leaves theirs
    INHERITS = "inherits"  # another resource says whose it is, so its owner doesn't count for its fingerprint
    REMEMBERED = (
        "remembered"  # another resource says that it was applied: what that doesn't say is new, not removed by hand
    )
    COMMON = "common"  # registries of one spec can have parts of one native document, which `document` says
    OVERLAPS = "overlaps"  # several resources of a registry can give the same access: one that goes takes no more than it alone gave


class Verb(StrEnum):
    """What a kind does with its platform."""

    LIST = "list"
    READ = "read"
    COUNT = "count"  # the images, and what others gave: before a delete or a replace
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    RELEASE = "release"


class Uncounted(Exception):
    """Images can't be counted by whoever asks; why, in words."""


#: in the place of a count of images that the platform does not say
UNCOUNTED = -1
#: what has been listed already: the resources of each kind that has
Found = Mapping[str, Sequence[Live]]


@dataclass(frozen=True)
class Write:
    """What a create, an update or a replace is given.

    `marks`: to be put on the resource. `changed`: the settings' fields that differ (empty: the marks alone).
    `children`: resources that this plan creates below this one, so that one call can carry the marks of all.
    `carried`: whether the parent was made in this run and so already carries this resource's mark.
    `fresh`: which of the resource's needs were made in this run.
    """

    desired: Desired
    marks: Marks
    changed: frozenset[str] = frozenset()
    children: tuple[Desired, ...] = ()
    carried: bool = False
    fresh: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Home:
    """Whose a resource is: the owner's, in a registry as the spec has it (None: nobody knows it)."""

    owner: str
    registry: RegistryBase | None = None

    @property
    def account(self) -> str:
        """The registry's own account, or ""."""
        return self.registry.own_account if self.registry is not None else ""


class Kind(ABC):
    """One kind of resource: its settings, the facts that follow from them, and the verbs.

    The facts are pure. The verbs talk to the platform through the session and raise PlatformError; each write returns the
    resource as the platform answered it, so that the engine can compare it with what was wanted.
    """

    name: ClassVar[str]
    settings: ClassVar[type]
    #: settings that can't change: a difference is a replace
    immutable: ClassVar[frozenset[str]] = frozenset()
    traits: ClassVar[frozenset[Trait]] = frozenset()
    #: the kinds that must be listed before this one; kinds that don't wait for each other are listed side by side
    after: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[str] = ""  # where it is, in words, if that is not the registry's own platform: "a cluster"
    #: what must be allowed there for each verb, in the words of whoever allows it
    permissions: ClassVar[Mapping[Verb, tuple[str, ...]]] = {}

    # -- facts --------------------------------------------------------------------------------------------------

    def shown(self, settings: Settings) -> dict[str, Any]:
        """The settings as nested plain values, defaults included, for people and for the field-by-field difference."""
        return {name: plain(getattr(settings, name)) for name in settings.__dataclass_fields__}

    @cached_property
    def blank(self) -> dict[str, Any]:
        """What is shown of settings that are all at their default."""
        missing = any(item.default is MISSING for item in fields(self.settings))
        return {} if missing else self.shown(self.settings())

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """What is shown of settings of which nothing need be said: a create shows only what differs from it."""
        return self.blank

    def altered(self, settings: Settings) -> str | None:
        """Which part of the settings would be read back otherwise than it stands there, once it was written, in words; or None.

        What a spec asks for never is; what somebody wrote into a plan file may be, and would say one thing and do another. Pure.
        """
        return None

    def weakens(self, before: Settings | None, after: Settings | None) -> Iterable[Weakening]:
        """What the settings protected before and do not protect after. None: there is no such resource, where that by which it
        stands is there. Pure."""
        return ()

    def weakens_there(self, live: Live, wanted: Desired) -> Iterable[Weakening]:
        """The same of what is there, of which more may be known than its settings: what others keep beside them, say. Pure."""
        return self.weakens(live.settings, wanted.settings)

    def weakens_gone(self, live: Live) -> Iterable[Weakening]:
        """The same of what is there and goes. Pure."""
        return self.weakens(live.settings, None)

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterable[str]:
        """What else a reader of the plan must know of what is there, in sentences without its name. `changed`: whether the plan
        changes it; what is said where it does not is said in each plan. Pure."""
        return live.notes if changed else ()

    def remarks_gone(self, live: Live) -> Iterable[str]:
        """What a reader of the plan must know of what is there and goes, in sentences without its name. Pure."""
        return live.notes

    def danger(self, before: Settings, after: Settings) -> str:
        """What a change of the settings endangers beyond what it says, as a sentence without its end, so that it needs permission; ""
        if nothing. Pure."""
        return ""

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        """Which part of what is wanted no spec with this registry asks for, in words; or None. What somebody wrote into a plan file
        may be such. Pure."""
        return None

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        """What is wanted, in the one of several forms that mean the same in which it is there already, or else fits beside what
        others keep in the same document. Of what it returns, it returns the same. Pure."""
        return desired

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        """Which limit of the platform the write would exceed, with the numbers; or None."""
        return None

    def refusal(self, live: Live) -> str | None:
        """Why the platform would refuse to take ours out of a document that stays, with what to do; or None. Pure."""
        return None

    def takes_along(self, live: Live) -> Iterable[str]:
        """What else others have on it that goes when it is deleted as a whole, beside the access that they gave, in sentences without
        its name. Pure."""
        return ()

    def beside(self, live: Live) -> Mapping[str, Any]:
        """What others hold where the settings can stand, by the path under which it is shown: ours takes its place, and when
        ours goes it is given back."""
        return {}

    def document(self, address: Address, registry: RegistryBase) -> str:
        """Which native document the resource is a part of, among those of its kind on the platform: of COMMON kinds, other registries
        may have parts of the same one. Pure."""
        return address

    def meanwhile(self, live: Live) -> Iterable[Live]:
        """As what else it may be found when it is written: neighbours are written in the same run, logins are renewed alone. Pure."""
        return ()

    def in_order(self, rest: str) -> str:
        """What others keep in the same document (`Live.rest`) in the one form in which it is compared, where the platform answers
        its parts in any order. It is never written."""
        return rest

    def fingerprint(self, live: Live | None) -> str:
        """What a saved plan remembers of a live resource of this kind, or of its absence."""
        compared = replace(live, rest=self.in_order(live.rest)) if live is not None and live.rest else live
        return fingerprint(compared, inherits=Trait.INHERITS in self.traits)

    # -- verbs --------------------------------------------------------------------------------------------------

    @abstractmethod
    def list(self, session: Any, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        """All resources of this kind in the registry, read in bulk; details only of what is wanted or owned.

        `wanted`: the registry's desired resources, of all kinds. `found`: what the kinds in `after` have listed.
        """

    @abstractmethod
    def read(self, session: Any, addresses: Sequence[Address]) -> Iterator[Live]:
        """Exactly these resources, all of this kind, as they are now; nothing for those that aren't there.

        An address that `list` would never give to a resource is of none that is there, whatever its name begins with.
        """

    def read_one(self, session: Any, address: Address) -> Live | None:
        """One resource as it is now; None if it isn't there."""
        # compared: what is read is written next, and must never be something else than what was asked for
        return next((live for live in self.read(session, (address,)) if live.address == address), None)

    @abstractmethod
    def create(self, session: Any, write: Write) -> Live:
        """Makes the resource; fails if it exists and is not exactly what would have been made
        (a kind that UPSERTS was read right before)."""

    @abstractmethod
    def update(self, session: Any, write: Write, live: Live) -> Live:
        """Changes the live resource, which was read right before; also how an existing one is adopted, and how ours is put
        into a native document that exists but is vacant."""

    @abstractmethod
    def delete(self, session: Any, live: Live, *, force: bool) -> None:
        """Deletes it. It is no error if it is gone. Without `force`, one that holds images stays and it is an error."""

    def take_back(self, session: Any, address: Address) -> None:  # noqa: B027 - most kinds carry their own marks
        """Takes away the note of a resource that was to be made below one that was made with that note, and was not. Left there, what
        somebody else makes at the address later would count as ours. Raises PlatformError."""

    def replace(self, session: Any, write: Write, live: Live, *, force: bool) -> Live:
        """Deletes it and makes it anew, since an immutable setting differs. Whatever others put on it is there afterwards too."""
        self.delete(session, live, force=force)
        return self.create(session, write)


class GivesAccess:
    """What a kind offers whose settings give access."""

    #: the fields that the sentences on who gains access say, of a new resource; None: all
    said: ClassVar[frozenset[str] | None] = None
    #: where these are all: but for these fields
    unsaid: ClassVar[frozenset[str]] = frozenset()
    #: whether such a resource is nothing but access, so that who gains by a new one says all of it
    nothing_else: ClassVar[bool] = False
    #: the kind of the resource of the same name without which it gives nothing; "" if it gives it by itself
    by: ClassVar[str] = ""

    @abstractmethod
    def access(self, address: Address, settings: Settings) -> Iterable[Access]:
        """Who can do what because of these settings. Pure."""

    def access_by_grant(self, address: Address, settings: Settings) -> Iterable[tuple[str, Access]]:
        """The same, each with the name of the grant that gives it: "" where the registry's own settings do. Pure."""
        return (("", item) for item in self.access(address, settings))

    def native_principals(self, settings: Settings) -> Mapping[str, str]:
        """What the platform itself calls the principals, such as by an ARN, by their labels, where it does. Pure."""
        return {}

    def may_deny(self, given: Given) -> str:
        """What of a whole document may deny access that is given elsewhere, in words; "" if nothing. Pure."""
        return ""

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """Who can do what after and could not before, and the other way round: differences of what the whole document gives.

        What everyone could do already, or still can, is no gain or loss of anybody else. A platform on which more can be said
        of who includes whom says it here; what it can't decide is a gain or loss that `may` be. `home`: whose the resource is.
        Pure.
        """
        then, now = self._whole(address, before), self._whole(address, after)
        return _beyond(now, then), _beyond(then, now)

    def beyond(self, these: set[Access], those: set[Access]) -> Iterable[Access]:
        """What these give and those do not. Pure."""
        return _beyond(these, those)

    def had(self, gains: set[Access], others: set[Access]) -> Iterable[Access]:
        """The gains, with a note of each that the same principal had already by what others gave. Of what OVERLAPS. Pure."""
        return gains

    def kept(self, losses: set[Access], ours: set[Access], others: set[Access]) -> Iterable[Access]:
        """The losses, with a note of what of each the same principal keeps by what is ours, or others gave. Of what OVERLAPS.
        Pure."""
        return losses

    def _whole(self, address: Address, given: Given) -> set[Access]:
        found = {access for item in given.foreign for access in item.access}
        return found if given.settings is None else found.union(self.access(address, given.settings))


def _beyond(these: set[Access], those: set[Access]) -> list[Access]:
    """These without those, and without what everyone has there."""
    public = {replace(item, principal=NOBODY) for item in those if item.principal.public}
    return [item for item in these - those if replace(item, principal=NOBODY) not in public]


class ReachesMarked:
    """What a kind offers whose resources give access to whatever carries the registry's marks, whatever it is called."""

    @abstractmethod
    def all_of(self, registry: str) -> Iterable[Address]:
        """The addresses of all such resources that a registry can have. Pure."""

    @abstractmethod
    def reaches(self, address: Address, given: Given, home: Home) -> Iterable[Access]:
        """Who can do what by one such resource with all that carries the marks, per place (`Access.where`), without a repository.
        Pure."""


class Releasable:
    """What a kind offers that can let go of a resource and leave it. `comes_back`: whether a spec that still has it makes it its own
    again, since nothing there says that nobody owns it."""

    comes_back: ClassVar[bool] = False

    @abstractmethod
    def left(self, settings: Settings) -> Settings:
        """The settings as they are read once it is let go of: without those that stand in our marks alone. Pure."""

    @abstractmethod
    def release(self, session: Any, live: Live) -> Live | None:
        """Takes our marks away, and those of what stands below it; all else stays as it is. Returns it as it is then, None if it is
        gone. Raises PlatformError."""


class ExpiresUncounted:
    """What a kind offers whose settings say which images expire, on a platform that counts none. `uncounted`: why, as a sentence."""

    uncounted: ClassVar[str]


class ExpiresImages:
    """What a kind offers whose settings say which images expire."""

    @abstractmethod
    def expiring(self, session: Any, wanted: Sequence[Desired]) -> Mapping[Address, int]:
        """How many images there are now that would expire by what is wanted, by address; what can't be counted is left out. Removes
        nothing. Raises PlatformError."""


class HoldsImages:
    """What a kind offers whose resources hold images: they are pulled from it, and deleted with it. `noun`: what people call one.
    `exclusive`: whether the platform itself refuses to make one that is there."""

    noun: ClassVar[str] = "repository"
    exclusive: ClassVar[bool] = False
    #: where the images alone make one, and nothing of ours: what becomes of those that are there before it is the spec's, as a
    #: sentence without its end
    images_before: ClassVar[str] = ""

    @abstractmethod
    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        """What the platform calls the resource, and where its images are pulled from. `registry`: its own; `others`: the spec's other
        registries. Pure."""

    @abstractmethod
    def protected(self, settings: Settings) -> bool:
        """Whether the settings forbid that the resource is deleted or replaced. Pure."""

    @abstractmethod
    def labels(self, settings: Settings) -> Collection[str]:
        """The keys of the labels that the settings ask for. Pure."""

    @abstractmethod
    def tags_movable(self, settings: Settings) -> bool:
        """Whether any tag can be moved: tags are not immutable, or every one is excepted. Pure."""

    @abstractmethod
    def images_may_go(self, settings: Settings) -> bool:
        """Whether the settings allow that images are deleted with the resource. Pure."""

    @abstractmethod
    def count(self, session: Any, live: Live) -> int:
        """How many images it holds now. Raises Uncounted if the platform does not say it to these credentials."""

    @abstractmethod
    def given_by_others(self, session: Any, live: Live) -> tuple[ForeignAccess, ...]:
        """Access that others gave and that would go along with it, read now."""
