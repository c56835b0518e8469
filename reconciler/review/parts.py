"""What is known of findings while they are looked for: one for each cause in the text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.engine.pushing import of_push
from reconciler.engine.weaker import Pushers
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.model.kind import HoldsImages
from reconciler.model.weakening import Weakening
from reconciler.places import Spot
from reconciler.spec.repository import Repository

from .causes import Causes, ways
from .compared import Compared
from .edits import Edit, How
from .model import Finding, Risk
from .said import Happens, together


@dataclass
class Part:
    """What is known of one finding so far: all that one cause does of one risk."""

    risk: Risk
    edit: Edit | None
    messages: list[str] = field(default_factory=list)
    addresses: set[Address] = field(default_factory=set)
    gains: set[Access] = field(default_factory=set)
    losses: set[Access] = field(default_factory=set)
    #: messages of single resources, by what they say, to the resources' names
    same: dict[str, set[str]] = field(default_factory=dict)
    #: what happens to repositories, to their names, to the places in which it does
    happens: dict[Happens, dict[str, set[str]]] = field(default_factory=dict)
    #: the grants that cover new repositories, by their names
    covering: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    may: bool = True

    def say(self, text: str, name: str) -> None:
        """Adds a message of one resource."""
        self.same.setdefault(text, set()).add(name)

    def happen(self, what: Happens, name: str, where: str) -> None:
        """Adds what happens to a repository in one place."""
        self.happens.setdefault(what, {}).setdefault(name, set()).add(where)


class Parts:
    """The findings so far."""

    def __init__(self, compared: Compared) -> None:
        self.base, self.head = compared.base, compared.head
        self.before, self.after = compared.before, compared.after
        self.seen, self.changes = compared.seen, compared.changes
        self.renamed = compared.renamed
        self.edits = compared.differing
        self.unknown = compared.unknown
        self.causes = Causes(compared)
        self.pushers = Pushers(compared.seen)
        #: repositories that the base would have adopted
        self.adopting = {(item.registry, item.name) for item in self.base.repositories if item.adopt}
        self.several = _several((*self.base.repositories, *self.head.repositories))
        self.parts: dict[tuple[Risk, Spot | None, Spot | None], Part] = {}
        #: to whom, by grant, access comes with a repository that is new, or goes with one that goes: by the repositories' names
        self.gaining: dict[str, set[str]] = {}
        self.losing: dict[str, set[str]] = {}
        #: what merely ends, by which change
        self.ending: list[tuple[Change, Weakening]] = []
        #: edits that something was found of
        self.used: set[int] = set()
        #: edits of a registry of which another edit does something, in which they may have a part
        self.perhaps: set[int] = set()
        #: which edits are at each place
        self.at: dict[Spot, list[int]] = {}
        for edit in self.edits:
            self.at.setdefault(edit.spot, []).append(id(edit))

    def part(self, risk: Risk, edit: Edit | None, *, may: bool = False) -> Part:
        """What one cause does of one risk. One place in the text is one cause, however many items use its value."""
        # what is removed from a list is removed from one place; items that are gone each had their own
        gone = edit.base if edit is not None and edit.how is How.REMOVED and not edit.path else None
        key = (risk, edit.spot if edit else None, gone)
        found = self.parts.setdefault(key, Part(risk, edit))
        found.may = found.may and may
        if edit is not None:
            self.used.update(self.at[edit.spot])
            if edit.path and isinstance(edit.path[-1], int) and risk is not Risk.COSMETIC:
                # one element in the place of another is one change of the list
                alike = (one for one in self.causes.of[edit.item] if one.path[:-1] == edit.path[:-1])
                self.used.update(map(id, alike))
            if edit.item[0] in ("grant", "registry", "guards") and risk is not Risk.COSMETIC:
                # which of them does it can't always be told apart: none of them does nothing
                beside = {id(one) for one in self.causes.of[edit.item]}
                (self.perhaps if edit.item[0] == "registry" else self.used).update(beside)
        return found

    def finding(self, part: Part) -> Finding:
        messages = [*part.messages, *together(_happening(part)), *together(part.same)]
        messages += together(self._covered(part))
        edit = part.edit
        if note := of_push(part.gains, self.head.registries):
            messages.append(note)
        return Finding(
            part.risk,
            tuple(messages),
            edit.spot if edit else None,
            edit.base if edit else None,
            removed=edit is not None and edit.how is How.REMOVED,
            may=part.may,
            addresses=tuple(sorted(part.addresses)),
            gains=tuple(sorted(part.gains)),
            losses=tuple(sorted(part.losses)),
            several=self.several,
        )

    def _covered(self, part: Part) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for (label, name), by in part.covering.items():
            found.setdefault(
                f"covered by {ways([self.causes.grants[True][one] for one in sorted(by)], name)}", set()
            ).add(label)
        return found

    def label(self, at: Address) -> str:
        """What a resource is called: a repository, and what stands below it, by its name; anything else by its kind and registry."""
        item = self.seen.desired.get(at) or self.seen.live.get(at)
        home = item.parent if item is not None and item.parent is not None else at
        kind = self.seen.kinds[at.registry].get(home.kind)
        if isinstance(kind, HoldsImages):
            return f"{at.registry}/{at.name}" if at.name in self.several else at.name
        return f"{at.kind.replace('_', ' ')} {at.name} of registry {at.registry}"

    def unsure(self, edit: Edit | None) -> bool:
        """Whether an edit of a registry, or of a repository's setting, does what it does only if a variable stands for something else
        than what was there."""
        if (
            edit is None
            or (edit.item[0], edit.path) == ("repository", ())
            or edit.item[0] not in ("registry", "repository")
        ):
            return False
        return self.unknown.within([edit.old, edit.new])


def _several(repositories: Iterable[Repository]) -> frozenset[str]:
    """The names that repositories of more than one registry have."""
    by: dict[str, set[str]] = {}
    for item in repositories:
        by.setdefault(item.name, set()).add(item.registry)
    return frozenset(name for name, registries in by.items() if len(registries) > 1)


def _happening(part: Part) -> Mapping[str, set[str]]:
    """What happens, in words, to the names of the repositories."""
    found: dict[str, set[str]] = {}
    for what, places in part.happens.items():
        for name, where in places.items():
            found.setdefault(what.said(where), set()).add(name)
    return found
