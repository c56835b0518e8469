"""Who can do what: the access that resources give, ours and other people's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from .address import Address

#: the verb of what an administrator alone should do: change who has access, delete images or the repository
ADMIN = "change or delete"
#: the verb of whoever can delete images, and not change who has access
DELETE_IMAGES = "delete images in"
#: the verb that uploads images and sets tags
PUSH = "push"


def does(verb: str, which: str) -> bool:
    """Whether a verb is one of these, alone or with what it is about: `push`, `push all repositories of the registry`."""
    return verb == which or verb.startswith(f"{which} ")


#: what is noted of a gain, where some of those that it is said of had it before, and of its reverse
COULD_ALREADY = "as {} could already"
STILL_CAN = "but {} still can"
_HAD_IT = re.compile(rf"(?:^|, ){COULD_ALREADY.format('(.+)')}")


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """Who has access. `account` is "" where the principal belongs to none; `public` means everyone. `organization`: whoever it is
    belongs to this one, in whichever account."""

    label: str
    account: str = ""
    public: bool = False
    organization: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One thing that one principal can do with one repository ("" where the verb says which) in one place.

    `may`: whether it is so can't be decided here, since it hangs on what only the platform knows. `note`: what a reader must
    know of it, as the end of a sentence: `unless statement 'x' denies it`.
    """

    principal: Principal
    verb: str
    registry: str
    repository: str
    where: str = ""
    may: bool = False
    note: str = ""


def taken(gain: Access) -> Access:
    """A gain as the loss that its reverse is. Of what is noted of it, only who could do it before has a reverse: they still can."""
    had = _HAD_IT.search(gain.note)
    return replace(gain, note=STILL_CAN.format(had[1]) if had else "")


@dataclass(frozen=True, slots=True, order=True)
class ForeignAccess:
    """Access to a resource of ours that somebody else gave: always reported, never removed.

    `access`: what it gives now. `removal`: how to remove it with the platform's own means, as an imperative sentence; "" where that
    isn't known. `after`: what it gives once the plan is applied, where that differs. `stays`: whether it was given above the
    resource, so that it does not go with it. `place`: the address that it has once a spec takes it over; None if none can. `through`:
    the address of what gives it, where that can be taken over, and it changes with that from then on. `at_runtime`: whether a program
    gave it by the runtime interface of this registry.
    """

    address: Address
    what: str
    access: tuple[Access, ...] = ()
    removal: str = field(default="", compare=False)
    after: tuple[Access, ...] | None = field(default=None, compare=False)
    stays: bool = False
    place: Address | None = field(default=None, compare=False)
    through: Address | None = field(default=None, compare=False)
    at_runtime: bool = field(default=False, compare=False)

    @property
    def left(self) -> tuple[Access, ...]:
        """What it gives once the plan is applied."""
        return self.access if self.after is None else self.after


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What another registry of the spec has in the same native document before and after a plan is carried out, as settings. None:
    nothing."""

    address: Address
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Given:
    """All that gives access to one resource at one time: our settings (None: none), and what others gave.

    `rest`, `foreign`: as in Live. `neighbours`: what other registries of the spec have in the same native document. `by`: settings of
    the resource by which somebody has it (`GivesAccess.by`); None: there is none.
    """

    settings: Any = None
    rest: str = ""
    foreign: tuple[ForeignAccess, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    by: Any = None

    @property
    def had(self) -> tuple[Any, ...]:
        """What neighbours have before the plan, as settings."""
        return tuple(item.before for item in self.neighbours if item.before is not None)

    @property
    def will_have(self) -> tuple[Any, ...]:
        """What neighbours have after it, as settings."""
        return tuple(item.after for item in self.neighbours if item.after is not None)

    def of(self, settings: Any) -> Given:
        """The same with other settings of ours."""
        return replace(self, settings=settings)
