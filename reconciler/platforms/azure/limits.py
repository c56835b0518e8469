"""How many scope maps and tokens a registry would have, against what its tier takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reconciler.model.address import Address
from reconciler.model.resource import Desired
from reconciler.words import all_of, counted, plural

from . import notes, rules
from .target import TOKEN_TYPES
from .token_settings import KIND, MAP_KIND, is_ours, map_of, marks_of

Documents = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Count:
    """What there would be of one thing once all is as the spec says. `what`: its plural; the numbers: of grants of the spec, of our
    notes, and of anybody else. `new_grants`, `new_notes`: those of them that are not there yet; `going_grants`, `going_notes`: what
    is there besides and goes, but only once all that is new is made."""

    what: str
    of_grants: int
    of_notes: int
    of_others: int
    new_grants: int
    new_notes: int
    going_grants: int
    going_notes: int

    @property
    def _after(self) -> int:
        return self.of_grants + self.of_notes + self.of_others

    def fault(self, sku: str) -> str | None:
        """Why a tier does not take so many, or None."""
        parts = {"of grants": self.of_grants, "for notes of repositories": self.of_notes, "of others": self.of_others}
        if self._after <= _most(sku):
            return None
        said = all_of([f"{number} {of}" for of, number in parts.items() if number])
        return (
            f"the registry would have {self._after} {self.what} ({said}); sku {sku} allows {_most(sku)}: choose a larger sku, or use"
            f" fewer grants of type {TOKEN_TYPES}"
        )

    def fault_on_the_way(self, before: str, after: str) -> str | None:
        """Why a tier does not take what is there at once while what is new takes the place of what goes, or None. `before`: the tier
        that there is, "" for none. The registry has the other one before any scope map changes, also where that is smaller."""
        most, count = _most(after), self._after + self.going_grants + self.going_notes
        if count <= most or not (self.new_grants or self.new_notes):
            return None
        parts = {"of grants": self.going_grants, "for notes": self.going_notes}
        said = all_of([f"{number} of them {of} that go" for of, number in parts.items() if number])
        kept = f"apply with sku {before} first, and then with {after}" if before and count <= _most(before) else ""
        return (
            f"while it is changed, the registry would have {count} {self.what}, {said}; its sku allows {most}:"
            f" {kept or self._way_out(count - most)}"
        )

    def _way_out(self, missing: int) -> str:
        """What to do where so many are too much for a while. Where nothing is new, what is there fits."""
        if missing <= self.new_grants:
            return "apply without the new grants first, and then with them"
        if missing <= self.going_grants:
            new = ["the new grants"] if self.new_grants else []
            return f"apply without {all_of([*new, 'the changes of repositories'])} first, and then with them"
        grants = missing - self.going_grants
        if grants > self.of_grants:
            return "choose a larger sku, which may be a smaller one again after that"
        again = plural(grants, "that grant", "those grants")
        return (
            "choose a larger sku, which may be a smaller one again after that; or apply without the changes of repositories and with"
            f" {counted(grants, 'grant')} less first, then with the changes, and then with {again}"
        )


def _most(sku: str) -> int:
    return rules.TOKENS.get(sku, max(rules.TOKENS.values()))


@dataclass(frozen=True)
class Estimate:
    """A registry's scope maps and tokens as Azure lists them, and what its spec asks for. `owner`, `registry`: whose marks are ours;
    `before`: the tier that it has, "" where there is no registry yet; `after`: the one that it is to have. `targets`: what alone is
    written, so that nothing goes; empty: all is as the spec says."""

    scope_maps: Documents
    tokens: Documents
    wanted: Mapping[Address, Desired]
    owner: str
    registry: str
    before: str = ""
    after: str = ""
    targets: frozenset[Address] = frozenset()

    def refusal(self) -> tuple[Address, str] | None:
        """What of the spec would be too much, and why; None: nothing is. It is said of something that is made or changed: of the
        registry's tier, or of what is not there yet."""
        counts = tuple(self.counts())
        on_the_way = (count.fault_on_the_way(self.before, self.after) for count in counts)
        faults = (*(count.fault(self.after) for count in counts), *on_the_way)
        fault = next(filter(None, faults), None)
        at = next(self._growing(), None) if fault else None
        return (at, fault) if at is not None and fault is not None else None

    def counts(self) -> Iterator[Count]:
        """What there would be."""
        maps, tokens = _named(self.scope_maps), _named(self.tokens)
        grants, wanted = {at.name for at in self._of(MAP_KIND)}, {at.name for at in self._of(KIND)}
        if self.targets:
            grants, wanted = grants | self._ours, wanted | (tokens.keys() & self._ours)
        own = self._ours | grants
        # Azure keeps a scope map that a token has: with one of others it is theirs from then on
        theirs = {map_of(item) for name, item in tokens.items() if name not in own}
        going, notes_after = self._ours - grants - theirs, self._notes
        kept = {name for name in maps if not name.startswith("_")} - notes_after.keys() - grants - going
        yield Count(
            "scope maps",
            of_grants=len(grants),
            of_notes=sum(map(bool, notes_after.values())),
            of_others=len(kept),
            new_grants=len(grants - maps.keys()),
            new_notes=sum(1 for name, actions in notes_after.items() if actions and name not in maps),
            going_grants=len(going),
            going_notes=sum(1 for name, actions in notes_after.items() if not actions and name in maps),
        )
        yield Count(
            "tokens",
            of_grants=len(wanted),
            of_notes=0,
            of_others=len(tokens.keys() - wanted - self._ours),
            new_grants=len(wanted - tokens.keys()),
            new_notes=0,
            going_grants=len(tokens.keys() & self._ours - wanted),
            going_notes=0,
        )

    def held(self) -> Mapping[str, str]:
        """What keeps a note where it is, as a sentence without its end, by the name of its repository: somebody's token that has the
        map, of which nothing would be left."""
        by_map: dict[str, list[str]] = {}
        for name, item in sorted(_named(self.tokens).items()):
            by_map.setdefault(map_of(item), []).append(name)
        if not any(name.startswith(rules.NOTES) for name in by_map):
            return {}
        there, found = _named(self.scope_maps), {}
        for name, actions in self._notes.items():
            if not actions and name in by_map and name in there:
                has, gets = (
                    ("that token has", "it has") if len(by_map[name]) == 1 else ("those tokens have", "they have")
                )
                why = f"Azure keeps it as long as {has} it, so that this fails until {gets} another one"
                said = f"{notes.held(name, by_map[name])}: {why}"
                found.update(dict.fromkeys(notes.names_in(there[name]), said))
        return found

    def _growing(self) -> Iterator[Address]:
        there = _named(self.scope_maps), _named(self.tokens)
        if self.before != self.after:
            yield from self._of("registry")
        yield from (at for at in self._of(MAP_KIND) if at.name not in there[0])
        yield from (at for at in self._of(KIND) if at.name not in there[1])
        noted = self._noted
        yield from (at for at in self._of("repository") if noted.get(at.name) is not None)

    def _of(self, kind: str) -> list[Address]:
        written = self.targets or self.wanted
        return sorted(at for at, item in self.wanted.items() if item.kind == kind and at in written)

    @cached_property
    def _ours(self) -> set[str]:
        """The scope maps of grants that the last apply had."""
        return {
            name
            for name, item in _named(self.scope_maps).items()
            if not name.startswith(rules.NOTES) and is_ours(marks_of(item), self.owner, self.registry)
        }

    @cached_property
    def _notes(self) -> Mapping[str, Sequence[str]]:
        """Our maps of notes, with the actions that they would have: none in one that goes."""
        ours, taken = notes.divided(self.scope_maps, self.owner)
        return notes.arranged(ours, self._noted, taken)

    @cached_property
    def _noted(self) -> Mapping[str, notes.Note | None]:
        """The notes that are written, and those that go (None), by the names of their repositories."""
        there = {note.name: note for note in notes.read(self.scope_maps)}
        found: dict[str, notes.Note | None] = {
            name: None
            for name, note in there.items()
            if (note.owner, note.origin) == (self.owner, "spec") and not self.targets
        }
        for at in self._of("repository"):
            before = there.get(at.name)
            settings = self.wanted[at].settings
            note = notes.Note(
                at.name,
                protect=settings.protect,
                delete_images=settings.delete_images,
                adopted=before is not None and (before.adopted or not before.owner),
            )
            if before == note and before.owner == self.owner and not (before.twice or before.by_hand):
                found.pop(at.name, None)
            else:
                found[at.name] = note
        return found


def _named(items: Documents) -> dict[str, Mapping[str, Any]]:
    return {str(item.get("name", "")).lower(): item for item in items}
