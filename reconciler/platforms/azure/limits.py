"""How many scope maps and tokens a registry would have, against what its tier takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.address import Address
from reconciler.model.resource import Desired
from reconciler.words import all_of

from . import notes, rules
from .token_settings import KIND, MAP_KIND, is_ours, marks_of

Documents = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Count:
    """What there would be of one thing. `what`: its plural; the numbers: of grants of the spec, of our notes, and of anybody else."""

    what: str
    of_grants: int
    of_notes: int
    of_others: int

    def fault(self, sku: str) -> str | None:
        """Why a tier does not take so many, or None."""
        parts = {"of grants": self.of_grants, "for notes of repositories": self.of_notes, "of others": self.of_others}
        count, most = sum(parts.values()), rules.TOKENS.get(sku, max(rules.TOKENS.values()))
        if count <= most:
            return None
        said = all_of([f"{number} {of}" for of, number in parts.items() if number])
        return (
            f"the registry would have {count} {self.what} ({said}); sku {sku} allows {most}: choose a larger sku, or use fewer grants"
            " of type azure-token"
        )


@dataclass(frozen=True)
class Estimate:
    """A registry's scope maps and tokens as Azure lists them, and what its spec asks for. `owner`, `registry`: whose marks are ours;
    `before`: the tier that it has, "" where there is no registry yet; `after`: the one that it is to have."""

    scope_maps: Documents
    tokens: Documents
    wanted: Mapping[Address, Desired]
    owner: str
    registry: str
    before: str
    after: str

    def refusal(self) -> tuple[Address, str] | None:
        """What of the spec would be too much, and why; None: nothing is. It is said of something that is made or changed: of the
        registry's tier, or of what is not there yet."""
        fault = next(filter(None, (count.fault(self.after) for count in self.counts())), None) or self._on_the_way()
        at = next(self._growing(), None) if fault else None
        return (at, fault) if at is not None and fault is not None else None

    def _on_the_way(self) -> str | None:
        """Why a tier does not take what is there while grants take the place of others: what is new is made before what goes is
        deleted. None if it does."""
        # a larger tier comes first, and a smaller one last
        most = max(rules.TOKENS.get(sku, max(rules.TOKENS.values())) for sku in (self.before or self.after, self.after))
        going = len(self._ours - {at.name for at in self._of(MAP_KIND)})
        for count in self.counts():
            there = count.of_grants + count.of_notes + count.of_others
            if going and there + going > most:
                return (
                    f"while it is changed, the registry would have {there + going} {count.what}, {going} of them of grants that go;"
                    f" its sku allows {most}: apply without the new grants first, and then with them"
                )
        return None

    def counts(self) -> Iterator[Count]:
        """What there would be once all is as the spec says."""
        maps, ours = self._named(self.scope_maps), self._ours
        grants = {at.name for at in self._of(MAP_KIND)}
        noted = self._notes
        kept = (name for name in maps if not name.startswith("_") and name not in noted)
        yield Count(
            "scope maps",
            len(grants),
            sum(map(bool, noted.values())),
            sum(1 for name in kept if name not in grants and name not in ours),
        )
        tokens = {at.name for at in self._of(KIND)}
        yield Count("tokens", len(tokens), 0, len(self._named(self.tokens).keys() - tokens - ours))

    def _growing(self) -> Iterator[Address]:
        there = self._named(self.scope_maps), self._named(self.tokens)
        if self.before != self.after:
            yield from self._of("registry")
        yield from (at for at in self._of(MAP_KIND) if at.name not in there[0])
        yield from (at for at in self._of(KIND) if at.name not in there[1])
        noted = {note.name for note in notes.read(self.scope_maps)}
        yield from (at for at in self._of("repository") if at.name not in noted)

    def _of(self, kind: str) -> list[Address]:
        return sorted(at for at, item in self.wanted.items() if item.kind == kind)

    def _named(self, items: Documents) -> dict[str, Mapping[str, Any]]:
        return {str(item.get("name", "")).lower(): item for item in items}

    @property
    def _ours(self) -> set[str]:
        """The scope maps of grants that the last apply had."""
        return {
            name
            for name, item in self._named(self.scope_maps).items()
            if not name.startswith(rules.NOTES) and is_ours(marks_of(item), self.owner, self.registry)
        }

    @property
    def _notes(self) -> Mapping[str, Sequence[str]]:
        """Our maps of notes, with the actions that they would have: none in one that goes."""
        there = {note.name: note for note in notes.read(self.scope_maps)}
        gone: dict[str, notes.Note | None] = {
            name: None for name, note in there.items() if (note.owner, note.origin) == (self.owner, "spec")
        }
        wanted = {
            at.name: notes.Note(
                at.name,
                protect=self.wanted[at].settings.protect,
                delete_images=self.wanted[at].settings.delete_images,
                adopted=at.name in there and (there[at.name].adopted or not there[at.name].owner),
            )
            for at in self._of("repository")
        }
        ours, taken = notes.divided(self.scope_maps, self.owner)
        return notes.arranged(ours, {**gone, **wanted}, taken)
