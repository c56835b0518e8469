"""What a comparison of desired and live found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.model.address import Address
from reconciler.model.change import Change, PlanProblem
from reconciler.model.marks import ORIGIN
from reconciler.model.resource import Desired, Live
from reconciler.words import APPLY_AGAIN, all_of, plural, some_of

#: origins of what a plan may change: one that was removed by hand is put right
PLANNED = ("spec", None)


@dataclass
class Difference:
    """The changes by address, the problems, and what was left alone. `unclear`: to the origin that it says it has. `pushers`: who can
    push to what changes so that tags can be overwritten. `remarks`: what there is to say of what is unchanged, in sentences.
    `pending`: what can't be done yet, with why."""

    changes: dict[Address, Change] = field(default_factory=dict)
    problems: list[PlanProblem] = field(default_factory=list)
    runtime: list[Address] = field(default_factory=list)
    unclear: dict[Address, str] = field(default_factory=dict)
    unchanged: int = 0
    owned: int = 0
    left_out: int = 0
    pushers: dict[Address, tuple[str, ...]] = field(default_factory=dict)
    remarks: dict[Address, tuple[str, ...]] = field(default_factory=dict)
    pending: dict[Address, str] = field(default_factory=dict)

    def leave(self, address: Address, remarks: Iterable[str]) -> None:
        """Nothing is to be changed there."""
        self.unchanged += 1
        self.remark(address, remarks)

    def remark(self, address: Address, remarks: Iterable[str]) -> None:
        """What there is to say of what is there unless a change of it is planned."""
        if found := tuple(remarks):
            self.remarks[address] = found

    def spared(self, doomed: Iterable[Live], noted: Mapping[Address, Iterable[Address]]) -> list[Live]:
        """Of what is to be deleted, what is: whatever carries the note of something that is left alone stays, since no later plan
        would find that without it. `noted`: what is left alone, by what carries the note of it."""
        going = []
        for live in doomed:
            if live.address not in noted:
                going.append(live)
                continue
            names = sorted(noted[live.address])
            self.remarks[live.address] = (
                f"stays, since it carries the {plural(len(names), 'note', 'notes')} of {all_of(names)}, where something is left alone"
                " that no later plan would find without it; it goes with the next plan once that has been deleted by hand or says"
                f" {ORIGIN}=spec again",
            )
        return going

    def kept_for(self, doomed: Iterable[Live], desired: Mapping[Address, Desired]) -> list[Live]:
        """Of what is to be deleted, what is: where what takes the place of something can't be made yet, that stays, with all that it
        needs."""
        coming = {place.anywhere: at for at in self.pending if at in desired for place in desired[at].instead_of}
        left = {live.address: live for live in doomed}
        kept: dict[Address, Address] = {}
        for live in left.values() if coming else ():
            places = [at.anywhere for at in (live.address, live.stands_at) if at is not None]
            if not live.vacant and (first := next((coming[at] for at in places if at in coming), None)):
                kept |= {at: first for at in (live.address, *live.needs) if at in left}
        self.pending |= {
            at: f"it stays until {first} takes its place: {APPLY_AGAIN} then" for at, first in kept.items()
        }
        return [live for at, live in left.items() if at not in kept]

    def emptied(self, left: Iterable[Live], going: Collection[Address]) -> None:
        """What is left alone and needs what is deleted stays, and gives that nothing any more: no change says who loses by it."""
        for live in left:
            ended = sorted({at for at in live.needs if at in going})
            if ended:
                said = f"is left alone; what it gives to {all_of(ended)} ends, since that is deleted"
                self.remarks[live.address] = (*self.remarks.get(live.address, ()), said)

    def remarked(self) -> Iterator[str]:
        """The remarks, each once, with whom it is about."""
        about: dict[str, list[str]] = {}
        for address, sentences in self.remarks.items():
            for sentence in sentences if address not in self.changes else ():
                about.setdefault(sentence, []).append(address)
        yield from (f"{some_of(addresses)}: {sentence}" for sentence, addresses in about.items())
