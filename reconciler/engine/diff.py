"""Desired against live: which changes there are, and why. Pure and linear in the resources."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain

from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change, FieldChange, PlanProblem
from reconciler.model.kind import GivesAccess, HoldsImages, Home, Kind, Releasable, Trait
from reconciler.model.orphaned import CanBeOrphaned
from reconciler.model.renewal import Renewable
from reconciler.model.resource import Desired, Live

from .beside import Beside, given
from .cause import cause, mark_of, marks_written
from .conflict import at_two_addresses, in_another_registry, not_to_be_adopted, otherwise_made, owned
from .difference import PLANNED, Difference
from .fields import changes_of, changes_to, set_by
from .meant import meant
from .neighbours import hanging, with_neighbours
from .new import images_before, native_name
from .order import needs_of_going
from .picture import Picture
from .weaker import Pushers, weakenings
from .whole import as_it_goes, ended, foreign_below


def diff(picture: Picture, owner: str, adopt: Collection[str] = (), *, shown: bool = True) -> Difference:
    """What makes live equal to desired. `adopt`: addresses that may be taken over although nobody marked them. `shown`: whether
    somebody will look at the fields that an update changes."""
    picture = with_neighbours(ended(picture), owner)
    found = _Differ(picture, owner, frozenset(adopt), shown=shown).run()
    return hanging(picture, found, lambda part: _Differ(part, owner, frozenset(adopt), shown=False).run())


class _Differ:
    def __init__(self, picture: Picture, owner: str, adopt: frozenset[str], *, shown: bool) -> None:
        self.shown = shown
        self.picture = picture
        self.owner = owner
        self.adopt = adopt
        self.pushers = Pushers(picture)
        self.beside = Beside(picture, self.adopt)
        self.found = Difference(pushers=self.pushers.asked, pending=dict(picture.pending))
        self.said: set[PlanProblem] = set()
        self.blocked: set[Address] = set()  # addresses with a conflict: nothing below them is looked at

    def run(self) -> Difference:
        live = self.picture.live
        for address, why in self.picture.unseen.items():
            if why:
                self.problem(address, why)
        for address, wanted in self.picture.desired.items():
            self.wanted(self.kind(wanted).fitted(wanted, live.get(address)), live.get(address))
        self.unwanted()
        self.made_again()
        # a note of what is gone is one too: it is deleted, and counts among the deletes
        self.found.owned = sum(
            1
            for item in live.values()
            if item.marks.owner == self.owner and not (item.vacant and item.marks.applied is None)
        )
        for address in map(Address, self.adopt - self.picture.desired.keys()):
            known = meant(address, self.picture.desired)
            self.problem(address, f"--adopt: the spec has no such address{known}")
        return self.found

    def kind(self, item: Desired | Live) -> Kind:
        return self.picture.kinds[item.address.registry][item.kind]

    def home(self, item: Desired | Live) -> Home:
        return self.picture.homes.get(item.address.registry) or Home(self.owner)

    def problem(self, address: Address, message: str, *, conflict: bool = False) -> None:
        self.blocked.add(address)
        found = PlanProblem(address, message, conflict)
        if found not in self.said:  # what is below a replaced resource is looked at twice
            self.said.add(found)
            self.found.problems.append(found)

    def wanted(self, wanted: Desired, live: Live | None) -> None:
        if wanted.address in self.picture.unseen:
            return
        if wanted.parent in self.blocked:
            self.blocked.add(wanted.address)
            return
        if wanted.address in self.picture.twice:
            self.problem(wanted.address, at_two_addresses(wanted.address, self.picture))
            return
        if live is not None and live.moot:
            if not live.vacant and live.marks.owner is None and wanted.address in self.adopt:
                self.take_over(wanted, live)
            self.found.remark(wanted.address, live.notes)
            return
        if live is None or live.vacant:
            self.add(wanted, live, Action.CREATE, self.missing_cause(wanted, live))
            return
        marks = live.marks
        if marks.owner is not None and marks.elsewhere(wanted.address.registry):
            said = in_another_registry(live, wanted, self.owner, self.picture)
            self.problem(wanted.address, said, conflict=True)
        elif (marks.owner == self.owner and marks.origin in PLANNED) or self.lost_its_mark(wanted, live):
            self.compare(wanted, live)
        elif marks.owner not in (None, self.owner):
            said = owned(live, wanted, self.owner, self.picture)
            self.problem(wanted.address, said, conflict=True)
        elif wanted.adopt or not self.adopt.isdisjoint((wanted.address, wanted.parent)):
            self.take_over(wanted, live)
        elif marks.owner == self.owner:
            self.problem(wanted.address, otherwise_made(live, self.how_to_adopt(wanted)), conflict=True)
        elif fixed := self.fixed(wanted, live):
            self.problem(wanted.address, not_to_be_adopted(live, fixed), conflict=True)
        else:
            said = f"{live.native or 'it'} already exists and has no owner; {self.how_to_adopt(wanted)}"
            self.problem(wanted.address, said, conflict=True)

    def lost_its_mark(self, wanted: Desired, live: Live) -> bool:
        """A document below a resource of ours that says just what is wanted, without our mark: only the mark is missing."""
        if live.marks.owner is not None or wanted.parent is None or not self.inherits(live):
            return False
        parent = self.picture.live.get(wanted.parent)
        ours = parent is not None and parent.marks.owner == self.owner and parent.marks.origin in PLANNED
        return ours and live.settings == wanted.settings

    def inherits(self, item: Desired | Live) -> bool:
        return Trait.INHERITS in self.kind(item).traits

    def take_over(self, wanted: Desired, live: Live) -> None:
        if fixed := self.fixed(wanted, live):
            self.problem(wanted.address, not_to_be_adopted(live, fixed), conflict=True)
        else:
            # nothing says whether it was ever ours, and lost its marks by hand
            unmarked = live.marks.applied is None
            self.add(wanted, live, Action.ADOPT, Cause.CHANGED if unmarked else Cause.PENDING)

    def fixed(self, wanted: Desired, live: Live) -> list[str]:
        """The settings that differ and can't be changed."""
        names = sorted(self.kind(wanted).immutable)
        return [name for name in names if getattr(live.settings, name) != getattr(wanted.settings, name)]

    def how_to_adopt(self, wanted: Desired) -> str:
        everywhere = self.copies[wanted.address.anywhere]
        ours = [at for at in everywhere if at == wanted.address or self.adoptable(at)]
        where = " everywhere" if len(ours) > 1 else ""
        return f"to adopt it{where}, add {' '.join(f'--adopt {at}' for at in ours)} to plan and apply" + (
            " (or `adopt: true` in the spec)" if isinstance(self.kind(wanted), HoldsImages) else ""
        )

    @cached_property
    def copies(self) -> Mapping[str, list[Address]]:
        """The addresses of the spec that differ in their region alone."""
        found: dict[str, list[Address]] = {}
        for address in self.picture.desired:
            found.setdefault(address.anywhere, []).append(address)
        return found

    def adoptable(self, address: Address) -> bool:
        """Whether it exists and nobody owns it."""
        live = self.picture.live.get(address)
        return live is not None and not live.vacant and live.marks.owner is None

    def compare(self, wanted: Desired, live: Live) -> None:
        if live.settings == wanted.settings:
            if self.well_marked(wanted, live):
                self.found.leave(wanted.address, self.kind(wanted).remarks(live, wanted, changed=False))
            else:
                why = Cause.CHANGED if mark_of(wanted, live) is not False else Cause.BOTH
                self.add(wanted, live, Action.UPDATE, why)
            return
        action = Action.REPLACE if self.fixed(wanted, live) else Action.UPDATE
        kind = self.kind(wanted)
        apart = kind.stands if isinstance(kind, Renewable) and not live.version else ""
        self.add(wanted, live, action, cause(live.marks.applied, wanted, live, apart))

    def well_marked(self, wanted: Desired, live: Live) -> bool:
        """Whether what is set as wanted has the marks that say so; what inherits has those of another resource beside its hash."""
        marks = live.marks
        whole = (marks.origin == "spec" and marks.registry is not None) or self.inherits(live)
        return whole and not live.owed and marks.applied is not None and mark_of(wanted, live) is not False

    def missing_cause(self, wanted: Desired, live: Live | None) -> Cause:
        if live is not None and live.marks.applied is not None:
            return Cause.DRIFT  # only its mark is left
        if Trait.REMEMBERED not in self.kind(wanted).traits:
            return Cause.CHANGED
        parent = self.picture.live.get(wanted.parent) if wanted.parent else None
        return Cause.PENDING if parent is not None and not parent.vacant else Cause.CHANGED

    def add(self, wanted: Desired, live: Live | None, action: Action, why: Cause) -> None:
        kind = self.kind(wanted)
        changed: tuple[FieldChange, ...] = ()
        if self.shown or action is not Action.UPDATE:
            there = live is not None and not live.vacant
            changed = (
                changes_to(kind, live, wanted.settings)
                if live is not None and there
                else set_by(kind, wanted, self.home(wanted))
            )
        if live is not None and not changed and action is Action.UPDATE:
            changed = () if live.owed else marks_written(wanted, live)
        for limit in self.limits(wanted, live if live is not None else self.picture.live.get(wanted.address), action):
            self.problem(wanted.address, limit)
        before = given(live)
        gains, losses = self.access(wanted, before, before.of(wanted.settings))
        gains = tuple(sorted({*gains, *self.beside.waiting(live), *(live.cut_off if live is not None else ())}))
        if isinstance(kind, Renewable) and live is not None and not live.vacant and why is not Cause.DRIFT:
            gains = (*gains, *kind.another_login(wanted.address, live.settings, wanted.settings))
        maybe = images_before(self.picture, kind, wanted, self.adopt) if action is Action.CREATE else ""
        remarks = kind.remarks(live, wanted, changed=True) if live is not None else ()
        change = Change(
            action=action,
            address=wanted.address,
            kind=wanted.kind,
            cause=why,
            desired=wanted,
            live=live,
            fields=changed,
            fingerprint=kind.fingerprint(live),
            needs=wanted.needs,
            gains=gains,
            losses=losses,
            notes=tuple(filter(None, (*remarks, self.beside.idle(wanted), maybe))),
            native_name=None if action is Action.UPDATE else native_name(self.picture, kind, wanted),
            may_be_there=maybe != "",
        )
        self.found.changes[wanted.address] = self.weaker(change)

    def weaker(self, change: Change) -> Change:
        """The change with what gets weaker by it in its notes."""
        weaker = tuple(self.pushers.said(change, item) for item in weakenings(self.picture, change))
        return replace(change, notes=(*change.notes, *weaker)) if weaker else change

    def limits(self, wanted: Desired, live: Live | None, action: Action) -> Iterator[str]:
        """Which limits of the platform the write would exceed."""
        kind = self.kind(wanted)
        found = [kind.limit(wanted, live), self.picture.refused.get(wanted.address)]
        if wanted.parent is not None and action is not Action.UPDATE and self.inherits(wanted):
            above = self.picture.desired.get(wanted.parent)
            if above is not None and wanted.parent not in self.found.changes:  # its mark is one more there
                found.append(self.kind(above).limit(above, self.picture.live.get(wanted.parent)))
        yield from filter(None, found)

    def access(
        self, item: Desired | Live, before: Given, after: Given
    ) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
        """Who gains and who loses by what a resource's whole document gives, others' parts included."""
        return self.beside.changed(self.kind(item), item.address, before, after, self.home(item))

    def unwanted(self) -> None:
        doomed: list[Live] = []
        noted: dict[Address, list[Address]] = {}  # what is left alone with a note, by what carries that
        for address, live in self.picture.live.items():
            if address in self.picture.desired or live.marks.owner != self.owner:
                continue
            if address in self.picture.twice:
                if live.parent not in self.picture.twice:
                    self.problem(address, at_two_addresses(address, self.picture))
                continue
            if live.vacant and live.marks.applied is None:
                continue
            if address in self.picture.released and live.marks.origin in PLANNED:
                self.found.changes[address] = self.released(live)
            elif live.parent in self.picture.released and live.marks.origin in PLANNED:
                if Trait.SHARED in self.kind(live).traits:  # our part of it; what is not shared stays as it is
                    doomed.append(live)
            elif live.marks.origin == "spec":
                doomed.append(live)
            elif live.marks.origin == "runtime":
                self.found.runtime.append(address)
            elif live.parent is None or not self.inherits(live):  # what inherits its origin is named with its parent
                self.found.unclear[address] = live.marks.origin or ""
            else:
                noted.setdefault(live.parent, []).append(address)
        doomed = self.found.kept_for(self.found.spared(doomed, noted), self.picture.desired)
        going = {live.address for live in doomed}
        left = chain(self.found.runtime, self.found.unclear, *noted.values())
        self.found.emptied(map(self.picture.live.__getitem__, left), going)
        tops = {live.address: live for live in doomed if live.parent not in going}
        foreign = foreign_below(self.picture, self.beside.going, tops)
        for live in tops.values():
            if refusal := self.kind(live).refusal(live):
                self.problem(live.address, refusal)
            self.found.changes[live.address] = self.weaker(self.removal(live, tuple(foreign.get(live.address, ()))))

    def removal(self, live: Live, foreign: tuple[ForeignAccess, ...]) -> Change:
        kind = self.kind(live)
        along = sorted(self.below(live.address), key=lambda item: item.address)
        shared = Trait.SHARED in self.kind(live).traits
        kept = given(live).of(None) if shared else Given()
        losses = set(self.access(live, given(live), kept)[1])
        going = list(self.below(live.address, vacant=True))
        losses.update(access for item in going for access in self.access(item, given(item), Given())[1])
        known = {item.address for item in going if isinstance(self.kind(item), GivesAccess)}
        # what was given above it stays, and reaches nothing any more
        ended = (*foreign, *self.beside.above.get(live.address, ()))
        losses.update(access for item in ended if item.address not in known for access in item.access)
        whole = going if shared else [live, *going]
        notes = (note for item in whole for note in self.kind(item).takes_along(item))
        return Change(
            action=Action.DELETE,
            address=live.address,
            kind=live.kind,
            cause=Cause.DRIFT if isinstance(kind, CanBeOrphaned) and kind.is_orphan(live) else Cause.PENDING,
            live=live,
            fingerprint=self.kind(live).fingerprint(live),
            needs=needs_of_going(live, along, self.picture.live),
            along=tuple(item.address for item in along),
            losses=tuple(sorted(losses)),
            foreign=foreign,
            notes=(*self.kind(live).remarks_gone(as_it_goes(self.picture, live)), *notes),
        )

    def released(self, live: Live) -> Change:
        kind = self.kind(live)
        left = kind.left(live.settings) if isinstance(kind, Releasable) else live.settings
        return Change(
            action=Action.RELEASE,
            address=live.address,
            kind=live.kind,
            cause=Cause.PENDING,
            live=live,
            fields=changes_of(kind, live.settings, left),
            fingerprint=kind.fingerprint(live),
            needs=live.needs,
            notes=live.notes,
        )

    @cached_property
    def children(self) -> Mapping[Address, list[Live]]:
        """Live resources by the parent that takes them along."""
        found: dict[Address, list[Live]] = {}
        for item in self.picture.live.values():
            if item.parent is not None:
                found.setdefault(item.parent, []).append(item)
        return found

    def below(self, address: Address, *, vacant: bool = False) -> Iterator[Live]:
        """Everything of ours that goes along with a live resource; with `vacant`, documents of others alone too."""
        for item in self.children.get(address, ()):
            if vacant or not item.vacant:
                yield item
                yield from self.below(item.address, vacant=vacant)

    def made_again(self) -> None:
        """What stood below a replaced resource goes with it, and what is wanted there is created again, beside what others had."""
        replaced = [change for change in self.found.changes.values() if change.action is Action.REPLACE]
        if not replaced:
            return
        children: dict[Address, list[Desired]] = {}
        for wanted in self.picture.desired.values():
            if wanted.parent is not None:
                children.setdefault(wanted.parent, []).append(wanted)
        for change in replaced:
            along = sorted(self.below(change.address), key=lambda item: item.address)
            for item in along:
                self.found.changes.pop(item.address, None)
            wanted_below = children.get(change.address, ())
            again = {wanted.address for wanted in wanted_below}
            lost = {access for item in along if item.address not in again for access in self.replaced(item, None)[1]}
            for wanted in wanted_below:
                there = self.picture.live.get(wanted.address)
                if wanted.address not in self.found.changes and there is not None:
                    self.found.unchanged -= 1
                self.add(self.kind(wanted).fitted(wanted, there), None, Action.CREATE, change.cause)
                gains, losses = self.replaced(there, wanted)
                lost.update(losses)
                is_there = there is not None and not there.vacant
                self.found.changes[wanted.address] = replace(
                    self.found.changes[wanted.address], gains=gains, again=is_there
                )
            self.found.changes[change.address] = replace(
                change, along=tuple(item.address for item in along), losses=tuple(sorted(lost))
            )

    def replaced(self, live: Live | None, wanted: Desired | None) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
        """Who gains and who loses by what is below a replaced resource before and after; what others put there stays."""
        item = wanted or live
        if item is None:
            return (), ()
        before = given(live)
        return self.access(item, before, before.of(wanted.settings if wanted is not None else None))
