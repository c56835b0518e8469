"""Changes of resources as findings, one for each cause in the text. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from reconciler.engine.basis import images_may_go
from reconciler.engine.guard import danger_of
from reconciler.engine.weaker import weakenings
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import GivesAccess, HoldsImages
from reconciler.places import Spot
from reconciler.spec.selection import matches_any
from reconciler.words import all_of, natural, plural

from .causes import registry_of
from .compared import Compared
from .edits import Edit, How, Item
from .model import RANK, Finding, Risk
from .said import adopted, deleted, deleted_where_it_was, named, new, quietly, replaced
from .whole import OfTheWhole


def findings_of(compared: Compared) -> list[Finding]:
    """The findings, the worst first, then in the order of the text."""
    found = _Findings(compared).findings()
    return sorted(found, key=lambda item: (RANK[item.risk], item.spot or Spot("", 0, 0), item.messages))


#: of an edit of a registry beside others that do something
_BESIDE = "what it does together with the registry's other changes is said of these"


class _Findings(OfTheWhole):
    def findings(self) -> Iterator[Finding]:
        self.of_the_whole()
        for change in self.changes.values():
            self.of_change(change)
        self.of_guards()
        self.of_unknown()
        self.of_nothing()
        self.cosmetic()
        self.ended()
        for part in self.parts.values():
            yield self.finding(part)

    # -- one change -----------------------------------------------------------------------------------------------

    def of_change(self, change: Change) -> None:
        kind = self.seen.kinds[change.registry][change.kind]
        holds = isinstance(kind, HoldsImages)
        if change.action is Action.RELEASE:
            part = self.part(Risk.UNMANAGED, self.causes.setting(change, "release"))
            part.addresses.add(change.address)
            part.say("it stays as it is, with its images, and is no longer the spec's", self.label(change.address))
        elif change.removes and holds:
            self.destroyed(change)
        elif change.action is Action.CREATE and (holds or self.stands_alone(change)):
            self.created(change)
        if danger := danger_of(change, kind):
            part = self.part(Risk.NARROWS, self.causes.setting(change, ""))
            part.addresses.add(change.address)
            part.say(danger, self.label(change.address))
        for weakening in weakenings(self.seen, change):
            if weakening.quiet:
                self.ending.append((change, weakening))
                continue
            edit = self.causes.setting(change, weakening.setting)
            part = self.part(Risk.WEAKENS, edit, may=weakening.may)
            part.addresses.add(change.address)
            self.used.update(map(id, self.causes.alike(change, edit)))
            still = weakening.setting == "protect" and self.guarded(change.address)
            end = ", once guards.protect no longer names it" if still else ""
            part.say(f"{self.pushers.said(change, weakening)}{end}", self.label(change.address))
        self.access(change)

    def stands_alone(self, change: Change) -> bool:
        """Whether what a change makes is said by itself: it is of nothing else, and more than the access that is said anyway, such as
        what a grant puts elsewhere."""
        if change.desired is not None and change.desired.parent is not None:
            return False
        kind = self.seen.kinds[change.registry][change.kind]
        return not kind.elsewhere and not (isinstance(kind, GivesAccess) and kind.nothing_else)

    def guarded(self, at: Address) -> bool:
        """Whether guards of the head protect a repository, whatever its own settings are."""
        names = (at.name, f"{at.registry}/{at.name}")
        return any(matches_any(name, self.head.guards.protect) for name in names)

    def destroyed(self, change: Change) -> None:
        edit = self.causes.cause_of_removal(change, change.address)
        part = self.part(Risk.DESTROYS, edit, may=self.unsure(edit))
        part.addresses.update((change.address, *change.along))
        kind = self.seen.kinds[change.registry][change.kind]
        if images_may_go(change, kind, ()):
            end = " (delete_images: true allows that)"
        elif (change.registry, change.address.name) in self.adopting:
            end = " (it may have been there before the spec adopted it: then apply refuses, unless --allow-delete names it)"
        else:
            end = " (while it holds an image, apply refuses, unless --allow-delete names it)"
        at = change.address
        where_it_was = at.where and any(
            at.registry == item.name and at.where in item.place("") for item in self.before.registries
        )
        noun = kind.noun if isinstance(kind, HoldsImages) else ""
        what = deleted_where_it_was(at.where, end) if where_it_was else deleted(end, noun)
        if change.action is Action.REPLACE:
            fixed = [item.path for item in change.fields if item.path.split(".")[0] in kind.immutable]
            # where the registry says what its repositories are called, none has a setting for that
            of_registry = edit is not None and edit.item[0] == "registry" and fixed == ["native_name"]
            what = replaced("its name" if of_registry else f"its {all_of(fixed)}" if fixed else "that", end, noun)
        part.happen(what, self.label(change.address), change.address.where)

    def created(self, change: Change) -> None:
        part = self.part(Risk.CREATES, self.causes.cause_of_making(change))
        part.addresses.add(change.address)
        # who can use it is said where the access is
        below = (item.address for item in self.below.get(change.address, ()))
        part.addresses.update(at for at in below if not self.causes.gives(at))
        at, wanted = change.address, change.desired
        kind = self.seen.kinds[change.registry][change.kind]
        if not isinstance(kind, HoldsImages):
            part.say("new", self.label(at))
        elif wanted is not None and wanted.adopt:
            part.happen(adopted(kind.noun), self.label(at), at.where)
            self.adopted(change)
        else:
            part.happen(new(kind.noun), self.label(at), at.where)

    def adopted(self, change: Change) -> None:
        """What a repository loses by being taken over, if it was there: its settings become the spec's."""
        for item in (change, *self.below.get(change.address, ())):
            kind = self.seen.kinds[item.registry][item.kind]
            before = kind.settings() if item is change else None
            for weakening in kind.weakens(before, item.desired.settings if item.desired is not None else None):
                part = self.part(Risk.WEAKENS, self.causes.cause_of_making(change), may=True)
                part.addresses.add(item.address)
                part.say(f"if it is there already, {self.pushers.said(item, weakening)}", self.label(change.address))

    @cached_property
    def below(self) -> Mapping[Address, list[Change]]:
        """The changes of what is wanted below each resource."""
        found: dict[Address, list[Change]] = {}
        for change in self.changes.values():
            if change.desired is not None and change.desired.parent is not None:
                found.setdefault(change.desired.parent, []).append(change)
        return found

    def ended(self) -> None:
        """What settings did that merely ends, beside what differs in the text."""
        for change, ending in self.ending:
            part = self.part(Risk.COSMETIC, self.causes.setting(change, ending.setting), may=ending.may)
            part.addresses.add(change.address)
            part.say(ending.what, self.label(change.address))

    # -- access ---------------------------------------------------------------------------------------------------

    def access(self, change: Change) -> None:
        for access in change.gains:
            home = self.causes.home_of(change, access) or change.address
            label = self.label(home)
            for edit, grants in self.causes.causes_of(change, access, gained=True):
                gained = replace(access, may=access.may or self.unsure(edit))
                part = self.part(Risk.WIDENS, edit, may=gained.may)
                part.addresses.add(change.address)
                part.gains.add(gained)
                if grants:
                    part.covering.setdefault((label, home.name), set()).update(grants)
                for grant in grants:
                    self.gaining.setdefault(grant, set()).add(label)
        for access in change.losses:
            label = self.label(self.causes.home_of(change, access) or change.address)
            for edit, grants in self.causes.causes_of(change, access, gained=False):
                for grant in grants:
                    self.losing.setdefault(grant, set()).add(label)
                lost = replace(access, may=access.may or self.unsure(edit))
                part = self.part(Risk.NARROWS, edit, may=lost.may)
                below = [at for at in change.along if self.causes.gives(at)]
                part.addresses.update(below or [change.address])
                part.losses.add(lost)

    def _registry_of(self, edit: Edit, grants: Mapping[str, str]) -> str:
        return grants.get(edit.item[1], "") if edit.item[0] == "grant" else registry_of(edit)

    def _identifies(self, edit: Edit) -> bool:
        """Whether an edit says as whom reconciler acts."""
        here = (item for item in self.head.registries if ("registry", item.name) == edit.item)
        return any(edit.path[:1] == (key,) for item in here for key in item.identity)

    def renames(self) -> Collection[Item]:
        """Says which repositories have another name now, and are what they were on the platform. Returns those that are gone."""
        gone: set[Item] = set()
        for (registry, name), was in self.renamed.items():
            item, before = (("repository", f"{registry}/{one}") for one in (name, was))
            edit = next(iter(self.causes.of.get(item, ())), None)
            if edit is not None and not any(one.path for one in self.causes.of.get(before, ())):
                gone.add(before)
                self.part(Risk.COSMETIC, edit).messages.append(
                    f"repository {before[1]} is now called {name}, and stays what it is on the platform"
                )
        return gone

    def _default(self, edit: Edit) -> object:
        """What holds where a repository has no value of its own at the place of an edit."""
        if edit.item[0] != "repository" or not edit.path or edit.how not in (How.ADDED, How.REMOVED):
            return None
        spec = self.head if edit.how is How.REMOVED else self.base
        registry, _, name = edit.item[1].partition("/")
        rows = (item for item in spec.repositories_by_registry.get(registry, ()) if item.name == name)
        found: object = next((item.model_dump(mode="json", by_alias=True) for item in rows), None)
        for key in edit.path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _elsewhere(self, edit: Edit) -> str:
        """Where it is said who gains or loses access by an edit of a grant: at what is new or gone; "" if nobody does."""
        grant = edit.item[1] if edit.item[0] == "grant" else ""
        new, gone = (found.get(grant, ()) for found in (self.gaining, self.losing))
        said = [
            f"who {who} access by it is said of {named(sorted(names, key=natural))}, which {plural(len(names), 'is', 'are')} {how}"
            for names, who, how, not_by in ((new, "gains", "new", How.REMOVED), (gone, "loses", "removed", How.ADDED))
            if names and edit.how not in (not_by, How.RENAMED)
        ]
        return "; ".join(said)

    def cosmetic(self) -> None:
        """What else differs in the text: nobody gains or loses anything by it."""
        known = {registry.name for registry in (*self.before.registries, *self.after.registries)}
        grants = {grant.name: grant.registry for grant in (*self.base.grants, *self.head.grants)}
        quiet = [edit for edit in self.edits if id(edit) not in self.used]
        # what was not reviewed may do anything
        quiet = [edit for edit in quiet if self._registry_of(edit, grants) in {"", *known}]
        if not quiet:
            return
        touched: dict[Item, set[Address]] = {}
        for change in self.changes.values():
            source = change.desired.source if change.desired is not None else ()
            of_repository = any(place.kind == "repository" for place in source)
            for place in source:
                if place.kind != "registry" or not of_repository:
                    touched.setdefault((place.kind, place.name), set()).add(change.address)
        gone = self.renames()
        if all(edit.item[0] == "defaults" for edit in self.edits):
            touched["defaults", ""] = set(self.changes)
        for edit in quiet:
            if edit.item in gone:
                continue  # it is said where it is now
            part = self.part(Risk.COSMETIC, edit)
            part.addresses |= touched.get(edit.item, set())
            if edit.how is How.ADDED and not edit.path and part.messages:
                continue  # so is it of what is not new
            elsewhere = self._elsewhere(edit) or (_BESIDE if id(edit) in self.perhaps else "")
            part.messages.append(quietly(edit, len(touched.get(edit.item, ())), self._default(edit), elsewhere))
            if self._identifies(edit):
                part.messages.append(f"registry {edit.item[1]}: plans and applies act as somebody else from now on")
