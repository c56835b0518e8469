"""Changes of resources as findings, one for each cause in the text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.engine.basis import images_may_go
from reconciler.engine.pushing import of_push
from reconciler.engine.weaker import Pushers, weakenings
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import HoldsImages
from reconciler.places import Spot
from reconciler.words import all_of, counted, natural, plural, value

from .causes import Causes, registry_of
from .compared import Compared
from .edits import Edit, How, Item
from .guards import loosened
from .model import RANK, Finding, Risk

#: resources of a spec that one message names; the others are counted
MOST_NAMED = 12
#: characters of a value that a message shows
MOST_SHOWN = 60


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
    may: bool = True


def findings_of(compared: Compared) -> list[Finding]:
    """The findings, the worst first, then in the order of the text."""
    found = _Findings(compared).findings()
    return sorted(found, key=lambda item: (RANK[item.risk], item.spot or Spot("", 0, 0), item.messages))


class _Findings:
    def __init__(self, compared: Compared) -> None:
        self.base, self.head = compared.base, compared.head
        self.before, self.after = compared.before, compared.after
        self.seen, self.changes = compared.seen, compared.changes
        self.edits = compared.differing
        self.unknown = compared.unknown
        self.causes = Causes(compared)
        self.pushers = Pushers(compared.seen)
        self.parts: dict[tuple[Risk, Spot | None, Spot | None], Part] = {}
        #: edits that something was found of
        self.used: set[int] = set()
        #: which edits are at each place
        self.at: dict[Spot, list[int]] = {}
        for edit in self.edits:
            self.at.setdefault(edit.spot, []).append(id(edit))

    def findings(self) -> Iterator[Finding]:
        self.of_the_whole()
        for change in self.changes.values():
            self.of_change(change)
        self.of_guards()
        self.of_unknown()
        self.cosmetic()
        for part in self.parts.values():
            yield self.finding(part)

    # -- what is noted --------------------------------------------------------------------------------------------

    def part(self, risk: Risk, edit: Edit | None, *, may: bool = False) -> Part:
        """What one cause does of one risk. One place in the text is one cause, however many items use its value."""
        # what is removed from a list is removed from one place; items that are gone each had their own
        gone = edit.base if edit is not None and edit.how is How.REMOVED and not edit.path else None
        key = (risk, edit.spot if edit else None, gone)
        found = self.parts.setdefault(key, Part(risk, edit))
        found.may = found.may and may
        if edit is not None:
            self.used.update(self.at[edit.spot])
            if edit.item[0] in ("grant", "registry", "guards") and risk is not Risk.COSMETIC:
                # which of them does it can't always be told apart: none of them does nothing
                self.used.update(id(one) for one in self.causes.of[edit.item])
        return found

    def finding(self, part: Part) -> Finding:
        messages = [*part.messages]
        for text, names in sorted(part.same.items(), key=lambda item: (sorted(item[1], key=natural), item[0])):
            who = sorted(names, key=natural)
            messages.append(f"{_named(who)}: {text}" if who != [""] else text)
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
        )

    # -- the whole spec -------------------------------------------------------------------------------------------

    def of_the_whole(self) -> None:
        for edit in self.causes.of.get(("name", ""), ()):
            self.part(Risk.UNMANAGED, edit).messages.append(
                f"the spec's name changes from {edit.old} to {edit.new}: all that {edit.old} owns stays as it is, and is in"
                " the way of the next plan; this review compares as if the spec had been called so before"
            )
        kept = {registry.name: registry for registry in self.head.registries}
        for registry in self.base.registries:
            now = kept.get(registry.name)
            if registry.retired or (now is not None and registry.found_by(now)):
                continue
            found = self.causes.of.get(("registry", registry.name), [])
            cause = next((one for one in found if not one.path), found[0] if found else None)
            count = counted(len(self.base.repositories_by_registry[registry.name]), "repository", "repositories")
            what = "leaves the spec" if now is None else "is another registry from now on"
            part = self.part(Risk.UNMANAGED, cause)
            part.messages.append(
                f"registry {registry.name} {what}: its {count} and the access that the spec gave there stay as they are, unwatched:"
                " neither a plan nor drift looks at them again; to delete them, apply retired: true first"
            )
            # what else of it differs is part of that
            self.used.update(id(one) for one in found)
            self.used.update(
                id(one) for one in self.edits if one.how is How.REMOVED and self._is_in(one, registry.name)
            )

    def _is_in(self, edit: Edit, registry: str) -> bool:
        return isinstance(edit.old, dict) and edit.old.get("registry") == registry

    def of_guards(self) -> None:
        for setting, message in loosened(self.base.guards, self.head.guards):
            below = [edit for edit in self.causes.of.get(("guards", ""), ()) if edit.path[:1] == setting]
            # of several values of one list, the one that is spoken of
            spoken = [edit for edit in below if str(edit.old if edit.how is How.REMOVED else edit.new) in message]
            found = next(iter(spoken), None) or self.causes.nearest(("guards", ""), setting)
            self.part(Risk.WEAKENS, found).messages.append(message)

    def of_unknown(self) -> None:
        """What may widen, since it hangs on a variable's value: which repositories a grant covers, or whose a registry is."""
        unsure = {
            registry.name
            for registry in (*self.before.registries, *self.after.registries)
            if self.unknown.within(registry.own_account)
        }
        created: dict[str, dict[Spot, Edit]] = {}
        for change in self.changes.values():
            holds = isinstance(self.seen.kinds[change.registry][change.kind], HoldsImages)
            if change.action is Action.CREATE and holds and (edit := self.causes.cause_of_making(change)) is not None:
                created.setdefault(change.registry, {})[edit.spot] = edit
        for grant in self.after.grants:
            found = [edit for edit in self.causes.edits_of(grant.name, gained=True) if edit.how is not How.RENAMED]
            if self.unknown.within(list(grant.repositories or ())):
                causes = [*found[:1], *created.get(grant.registry, {}).values()]
                text = (
                    f"grant {grant.name} covers repositories that a variable names, so it may cover any of the registry"
                )
            elif grant.registry in unsure:
                causes = [edit for edit in found if id(edit) not in self.used]
                text = f"the account of registry {grant.registry} is not known, so neither is what grant {grant.name} gave before"
            else:
                continue
            for edit in causes:
                self.part(Risk.WIDENS, edit, may=True).messages.append(text)

    # -- one change -----------------------------------------------------------------------------------------------

    def of_change(self, change: Change) -> None:
        kind = self.seen.kinds[change.registry][change.kind]
        holds = isinstance(kind, HoldsImages)
        if change.action is Action.RELEASE:
            part = self.part(Risk.UNMANAGED, self.causes.setting(change, "release"))
            part.addresses.add(change.address)
            part.same.setdefault("it stays as it is, with its images, and is no longer the spec's", set()).add(
                change.address.name
            )
        elif change.removes and holds:
            self.destroyed(change)
        elif change.action is Action.CREATE and (holds or change.desired is None or change.desired.parent is None):
            self.created(change)
        for weakening in weakenings(self.seen, change):
            part = self.part(Risk.WEAKENS, self.causes.setting(change, weakening.setting), may=weakening.may)
            part.addresses.add(change.address)
            part.same.setdefault(self.pushers.said(change, weakening), set()).add(change.address.name)
        self.access(change)

    def destroyed(self, change: Change) -> None:
        edit = self.causes.cause_of_removal(change, change.address)
        part = self.part(Risk.DESTROYS, edit)
        part.addresses.update((change.address, *change.along))
        where = f" in {change.address.where}" if change.address.where else ""
        if change.action is Action.REPLACE:
            fixed = self.seen.kinds[change.registry][change.kind].immutable
            fields = (
                all_of([item.path for item in change.fields if item.path.split(".")[0] in fixed]) or "what can't change"
            )
            text = (
                f"the repository{where} is replaced, since its {fields} can't be changed: it is deleted and created again,"
                " nobody can pull from it in between, and it is empty afterwards"
            )
        else:
            text = f"the repository{where} is deleted, with whatever images it holds"
        allowed = images_may_go(change, self.seen.kinds[change.registry][change.kind], ())
        text += (
            " (delete_images: true allows that)"
            if allowed
            else " (while it holds any, the guard `images` stops the apply)"
        )
        part.same.setdefault(text, set()).add(change.address.name)

    def created(self, change: Change) -> None:
        part = self.part(Risk.CREATES, self.causes.cause_of_making(change))
        part.addresses.add(change.address)
        below = {
            at
            for at, item in self.changes.items()
            if item.desired is not None and item.desired.parent == change.address
        }
        # who can use it is said where the access is
        part.addresses.update(at for at in below if not self.causes.gives(at))
        if change.address.where:
            text = f"a copy of the {change.kind} in {change.address.where}"
        else:
            text = f"a new {change.kind.replace('_', ' ')}"
        part.same.setdefault(text, set()).add(change.address.name)

    # -- access ---------------------------------------------------------------------------------------------------

    def access(self, change: Change) -> None:
        for access in change.gains:
            for edit, how in self.causes.causes_of(change, access, gained=True):
                part = self.part(Risk.WIDENS, edit, may=access.may)
                part.addresses.add(change.address)
                part.gains.add(access)
                if how:
                    part.same.setdefault(how, set()).add(access.repository or change.address.name)
        for access in change.losses:
            for edit, how in self.causes.causes_of(change, access, gained=False):
                part = self.part(Risk.NARROWS, edit, may=access.may)
                below = [at for at in change.along if self.causes.gives(at)]
                part.addresses.update(below or [change.address])
                part.losses.add(access)
                if how:
                    part.same.setdefault(how, set()).add(access.repository or change.address.name)

    def _registry_of(self, edit: Edit, grants: Mapping[str, str]) -> str:
        return grants.get(edit.item[1], "") if edit.item[0] == "grant" else registry_of(edit)

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
        for edit in quiet:
            part = self.part(Risk.COSMETIC, edit)
            part.addresses |= touched.get(edit.item, set())
            part.messages.append(_quietly(edit, len(touched.get(edit.item, ()))))


def _named(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"


def _shown(item: Any) -> str:
    text = value(item)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _quietly(edit: Edit, touched: int) -> str:
    kind, name = edit.item
    what = f"{kind} {name}".strip()
    key = ".".join(str(part) for part in edit.path if isinstance(part, str))
    if edit.how is How.RENAMED:
        said = f"{kind} {edit.was} is now called {name}"
    elif not edit.path:
        said = f"{what} is {edit.how.value}"
    elif isinstance(edit.path[-1], int):
        one = _shown(edit.new if edit.how is How.ADDED else edit.old)
        said = (
            f"{one} is added to {key} of {what}" if edit.how is How.ADDED else f"{one} is removed from {key} of {what}"
        )
    elif edit.how is How.CHANGED and isinstance(edit.new, list):
        said = f"{key} of {what} has another order"
    else:
        said = f"{key} of {what}: {_shown(edit.old)} → {_shown(edit.new)}"
    rewritten = f"; {counted(touched, 'resource')} {plural(touched, 'is', 'are')} written again" if touched else ""
    return f"{said}{rewritten}: nobody gains or loses access by it"
