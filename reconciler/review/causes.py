"""What in the text of a spec causes each part of a plan: changes of resources to findings, one for each cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from reconciler.engine.picture import Picture
from reconciler.engine.weaker import Pushers, said, weakenings
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import GivesAccess, HoldsImages
from reconciler.model.resource import Desired, Live
from reconciler.places import Spot
from reconciler.spec.models import Grant, Spec
from reconciler.spec.source import Loc
from reconciler.spec.variables import StandIns
from reconciler.words import all_of, counted, natural, plural, value

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


def findings_of(
    base: Spec,
    head: Spec,
    before: Spec,
    after: Spec,
    differing: Sequence[Edit],
    unknown: StandIns,
    seen: Picture,
    changes: Mapping[Address, Change],
) -> list[Finding]:
    """The findings, the worst first, then in the order of the text. `before`, `after`: the specs without what can't be reviewed."""
    found = _Causes(base, head, before, after, differing, unknown, seen, changes).findings()
    return sorted(found, key=lambda item: (RANK[item.risk], item.spot or Spot("", 0, 0), item.messages))


class _Causes:
    def __init__(
        self,
        base: Spec,
        head: Spec,
        before: Spec,
        after: Spec,
        differing: Sequence[Edit],
        unknown: StandIns,
        seen: Picture,
        changes: Mapping[Address, Change],
    ) -> None:
        self.base, self.head = base, head
        self.before, self.after = before, after
        self.seen, self.changes = seen, changes
        self.edits = differing
        self.unknown = unknown
        self.pushers = Pushers(seen)
        self.parts: dict[tuple[Risk, Spot | None, Spot | None], Part] = {}
        #: edits that something was found of
        self.used: set[int] = set()
        #: which edits each item has
        self.of: dict[Item, list[Edit]] = {}
        #: which edits are at each place
        self.at: dict[Spot, list[int]] = {}
        for edit in self.edits:
            self.of.setdefault(edit.item, []).append(edit)
            self.at.setdefault(edit.spot, []).append(id(edit))
        #: what grants of the head were called in the base, where that is another name
        self.were = {edit.item[1]: edit.was for edit in self.edits if edit.how is How.RENAMED}

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
            if edit.item[0] in ("grant", "registry") and risk is not Risk.COSMETIC:
                # which of them does it can't always be told apart: none of them does nothing
                self.used.update(id(one) for one in self.of[edit.item])
        return found

    def finding(self, part: Part) -> Finding:
        messages = [*part.messages]
        for text, names in sorted(part.same.items(), key=lambda item: (sorted(item[1], key=natural), item[0])):
            who = sorted(names, key=natural)
            messages.append(f"{_named(who)}: {text}" if who != [""] else text)
        edit = part.edit
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
        for edit in self.of.get(("name", ""), ()):
            self.part(Risk.UNMANAGED, edit).messages.append(
                f"the spec's name changes from {edit.old} to {edit.new}: all that {edit.old} owns stays as it is, and is in"
                " the way of the next plan; this review compares as if the spec had been called so before"
            )
        kept = {registry.name: registry for registry in self.head.registries}
        for registry in self.base.registries:
            now = kept.get(registry.name)
            if registry.retired or (now is not None and registry.found_by(now)):
                continue
            found = self.of.get(("registry", registry.name), [])
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
            found = self.nearest(("guards", ""), setting)
            self.part(Risk.WEAKENS, found).messages.append(message)

    def of_unknown(self) -> None:
        """What may widen, since it hangs on a variable's value: which repositories a grant covers, or whose a registry is."""
        unsure = {
            registry.name
            for registry in (*self.before.registries, *self.after.registries)
            if self.unknown.within(registry.own_account)
        }
        created = {
            change.registry: self.cause_of_making(change)
            for change in self.changes.values()
            if change.action is Action.CREATE and self.seen.kinds[change.registry][change.kind].name == "repository"
        }
        for grant in self.after.grants:
            found = [edit for edit in self.edits_of(grant.name, gained=True) if edit.how is not How.RENAMED]
            if self.unknown.within(list(grant.repositories or ())):
                causes = [*found[:1], *([created[grant.registry]] if grant.registry in created else [])]
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
            part = self.part(Risk.UNMANAGED, self.setting(change, "release"))
            part.addresses.add(change.address)
            part.same.setdefault("it stays as it is, with its images, and is no longer the spec's", set()).add(
                change.address.name
            )
        elif change.removes and holds:
            self.destroyed(change)
        elif change.action is Action.CREATE and (holds or change.desired is None or change.desired.parent is None):
            self.created(change)
        for weakening in weakenings(self.seen, change):
            part = self.part(Risk.WEAKENS, self.setting(change, weakening.setting), may=weakening.may)
            part.addresses.add(change.address)
            who = self.pushers.of(change.address) if weakening.overwrites else None
            part.same.setdefault(said(weakening, who), set()).add(change.address.name)
        self.access(change)

    def destroyed(self, change: Change) -> None:
        edit = self.cause_of_removal(change, change.address)
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
        allowed = change.live is not None and self._images_may_go(change)
        text += (
            " (delete_images: true allows that)"
            if allowed
            else " (while it holds any, the guard `images` stops the apply)"
        )
        part.same.setdefault(text, set()).add(change.address.name)

    def _images_may_go(self, change: Change) -> bool:
        kind = self.seen.kinds[change.registry][change.kind]
        return isinstance(kind, HoldsImages) and change.live is not None and kind.images_may_go(change.live.settings)

    def created(self, change: Change) -> None:
        part = self.part(Risk.CREATES, self.cause_of_making(change))
        part.addresses.add(change.address)
        below = {
            at
            for at, item in self.changes.items()
            if item.desired is not None and item.desired.parent == change.address
        }
        # who can use it is said where the access is
        part.addresses.update(at for at in below if not self.gives(at))
        if change.address.where:
            text = f"a copy of the {change.kind} in {change.address.where}"
        else:
            text = f"a new {change.kind.replace('_', ' ')}"
        part.same.setdefault(text, set()).add(change.address.name)

    # -- access ---------------------------------------------------------------------------------------------------

    def access(self, change: Change) -> None:
        for access in change.gains:
            for edit, how in self.causes_of(change, access, gained=True):
                part = self.part(Risk.WIDENS, edit, may=access.may)
                part.addresses.add(change.address)
                part.gains.add(access)
                if how:
                    part.same.setdefault(how, set()).add(access.repository or change.address.name)
        for access in change.losses:
            for edit, how in self.causes_of(change, access, gained=False):
                part = self.part(Risk.NARROWS, edit, may=access.may)
                below = [at for at in change.along if self.gives(at)]
                part.addresses.update(below or [change.address])
                part.losses.add(access)
                if how:
                    part.same.setdefault(how, set()).add(access.repository or change.address.name)

    def gives(self, at: Address) -> bool:
        """Whether what is at an address gives access."""
        return isinstance(self.seen.kinds[at.registry][at.kind], GivesAccess)

    def causes_of(self, change: Change, access: Access, *, gained: bool) -> list[tuple[Edit | None, str]]:
        """The edits by which somebody gains or loses one thing, each with what is to be said of it."""
        home = self.home_of(change)
        grants = self.grants_that_give(change, access, gained=gained)
        if home is not None:
            made = self.changes.get(home)
            if gained and made is not None and made.action is Action.CREATE:
                by = f"covered by {_ways(grants, home.name)}" if grants else ""
                return [(self.cause_of_making(made), by)]
            if not gained and (home not in self.seen.desired or home in self.seen.released):
                return [(self.cause_of_going(change, home), "")]
        found = [edit for grant in grants if (edit := self.edit_of_grant(grant, access, gained=gained)) is not None]
        return [(edit, "") for edit in found] or [(self.edit_of_registry(change, access), "")]

    def home_of(self, change: Change) -> Address | None:
        """The repository that a change is of, or that it stands below."""
        if isinstance(self.seen.kinds[change.registry][change.kind], HoldsImages):
            return change.address
        item = change.desired or change.live
        return item.parent if item is not None else None

    def cause_of_going(self, change: Change, home: Address) -> Edit | None:
        """Why a repository is no longer the spec's: of one that was removed, the list of a grant that it left, which is a line that
        the head has; else where it was itself."""
        edit = self.cause_of_removal(change, home)
        if edit is None or edit.path or edit.how is not How.REMOVED:
            return edit
        lists = (
            one
            for grant in self.before.grants_by_repository.get((home.registry, home.name), ())
            for one in self.edits_of(grant.name, gained=False)
            if one.path[:1] == ("repositories",) and one.how is How.REMOVED and one.old == home.name
        )
        return next(lists, edit)

    def edits_of(self, grant: str, *, gained: bool) -> list[Edit]:
        """The edits of a grant, by its name in the head if access is gained, else in the base."""
        if not gained:
            grant = next((name for name, was in self.were.items() if was == grant), grant)
        return self.of.get(("grant", grant), [])

    def grants_that_give(self, change: Change, access: Access, *, gained: bool) -> list[Grant]:
        """The grants by which somebody has what is gained, or had what is lost."""
        spec = self.after if gained else self.before
        known = {grant.name: grant for grant in spec.grants}
        names: set[str] = set()
        for item in self.giving(change, gained=gained):
            kind = self.seen.kinds[change.registry][item.kind]
            if isinstance(kind, GivesAccess):
                names |= {
                    grant
                    for grant, one in kind.access_by_grant(item.address, item.settings)
                    if (one.principal.label, one.verb) == (access.principal.label, access.verb)
                }
        return [known[name] for name in sorted(names) if name in known]

    def giving(self, change: Change, *, gained: bool) -> Iterator[Desired | Live]:
        """What gives access in a change, as it will be, or as it was."""
        if gained:
            yield from (item for item in (change.desired,) if item is not None)
        else:
            yield from (item for item in (change.live,) if item is not None)
            yield from (self.seen.live[at] for at in change.along if at in self.seen.live)

    def edit_of_grant(self, grant: Grant, access: Access, *, gained: bool) -> Edit | None:
        """Which edit of a grant lets somebody in, or keeps somebody out."""
        found = self.edits_of(grant.name, gained=gained)
        whole = next((edit for edit in found if not edit.path and edit.how is not How.RENAMED), None)
        if whole is not None or not found:
            return whole
        wanted = How.ADDED if gained else How.REMOVED
        covering = [edit for edit in found if edit.path[:1] == ("repositories",)]
        other = self.same_grant(grant, gained=gained)
        if covering and other is not None and not self.covers(other, access.repository, gained=not gained):
            exact = [
                edit
                for edit in covering
                if edit.how is wanted and fnmatchcase(access.repository, str(edit.new if gained else edit.old))
            ]
            return (exact or covering)[0]
        people = [edit for edit in found if edit.path[:1] == ("to",)]
        others = [edit for edit in found if edit not in people and edit not in covering]
        right = [edit for edit in people if edit.how in (wanted, How.CHANGED)]
        by_name = _nearest_name(right, access) or _nearest_name(people, access)
        if by_name is not None and (by_name in right or not others):
            return by_name
        fitting = [edit for edit in others if edit.how in (wanted, How.CHANGED)]
        if other is not None and other.permission != grant.permission:
            fitting = [edit for edit in others if edit.path == ("permission",)] or fitting
        return next(iter((*fitting, *others, *right, *people, *covering, *found)), None)

    def same_grant(self, grant: Grant, *, gained: bool) -> Grant | None:
        """The grant as the other spec has it."""
        spec = self.before if gained else self.after
        if gained:
            name = self.were.get(grant.name, grant.name)
        else:
            name = next((now for now, was in self.were.items() if was == grant.name), grant.name)
        return next((item for item in spec.grants if item.name == name), None)

    def covers(self, grant: Grant, repository: str, *, gained: bool) -> bool:
        """Whether a grant covers a repository in the head (`gained`) or in the base."""
        names = self._covered_after if gained else self._covered_before
        return (grant.name, repository) in names

    @cached_property
    def _covered_after(self) -> frozenset[tuple[str, str]]:
        return _covered(self.after)

    @cached_property
    def _covered_before(self) -> frozenset[tuple[str, str]]:
        return _covered(self.before)

    def edit_of_registry(self, change: Change, access: Access) -> Edit | None:
        found = self.of.get(("registry", change.registry), [])
        whole = [edit for edit in found if not edit.path]
        exact = _nearest_name(found, access)
        named = [
            edit
            for edit in found
            if access.where and access.where in str(edit.new if access in change.gains else edit.old)
        ]
        return next(iter((*whole, *([exact] if exact else ()), *named, *found)), None) or self.setting(change, "")

    # -- which edit -----------------------------------------------------------------------------------------------

    def nearest(self, item: Item, path: Loc) -> Edit | None:
        """The edit of an item whose path has most in common with a path that it begins with, or that begins with it."""
        best: Edit | None = None
        for edit in self.of.get(item, ()):
            common = min(len(edit.path), len(path))
            if edit.path[:common] == path[:common] and (best is None or len(edit.path) > len(best.path)):
                best = edit
        return best

    def setting(self, change: Change, name: str) -> Edit | None:
        """The edit that changes a setting of a resource: of its repository, else of the defaults, else of its registry."""
        path: Loc = tuple(name.split(".")) if name else ()
        own: Item = ("repository", f"{change.registry}/{change.address.name}")
        found = self.nearest(own, path) if path else None
        found = found or (self.nearest(("defaults", ""), ("repository", *path)) if path else None)
        if found is None and path:
            found = self.nearest(("registry", change.registry), path)
        some = (
            *self.of.get(own, ()),
            *self.of.get(("defaults", ""), ()),
            *self.of.get(("registry", change.registry), ()),
        )
        return found or next(iter(some), None)

    def cause_of_removal(self, change: Change, at: Address) -> Edit | None:
        """What deletes, replaces or lets go of the repository at an address."""
        item: Item = ("repository", f"{at.registry}/{at.name}")
        own, registry = self.of.get(item, []), self.of.get(("registry", at.registry), [])
        whole = [edit for edit in own if not edit.path and edit.how is How.REMOVED]
        released = [edit for edit in own if edit.path == ("release",)] if at in self.seen.released else []
        fixed = self.seen.kinds[change.registry][change.kind].immutable
        replaced = change.fields if change.action is Action.REPLACE else ()
        fields = sorted((item.path.split(".")[0] for item in replaced), key=lambda name: name not in fixed)
        set_by = [
            self.nearest(item, (name,)) or self.nearest(("defaults", ""), ("repository", name)) for name in fields
        ]
        retired = [edit for edit in registry if edit.path == ("retired",)]
        named = [edit for edit in registry if at.where and at.where in str(edit.old)]
        defaults = self.of.get(("defaults", ""), ())
        some = (*whole, *released, *filter(None, set_by), *retired, *named, *registry, *own, *defaults)
        return next(iter(some), None)

    def cause_of_making(self, change: Change) -> Edit | None:
        own = self.of.get(("repository", f"{change.registry}/{change.address.name}"), [])
        whole = next((edit for edit in own if not edit.path and edit.how is How.ADDED), None)
        registry = self.of.get(("registry", change.registry), [])
        where = change.address.where
        named = [edit for edit in registry if where and where in str(edit.new)]
        new = [edit for edit in registry if not edit.path]
        return whole or next(iter((*new, *named, *registry, *own)), None)

    # -- the rest -------------------------------------------------------------------------------------------------

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


def _covered(spec: Spec) -> frozenset[tuple[str, str]]:
    return frozenset((grant.name, name) for (_, name), grants in spec.grants_by_repository.items() for grant in grants)


def _nearest_name(edits: Iterable[Edit], access: Access) -> Edit | None:
    """Of the values that were added, changed or removed, the one that names the principal best; None if none does."""
    scored = [(_names(edit, access), edit) for edit in edits]
    best = max((score for score, _ in scored), default=0)
    return next((edit for score, edit in scored if score == best), None) if best else None


def _names(edit: Edit, access: Access) -> int:
    """How well a value names a principal: 3 by itself, 2 by the word that it ends with, 1 by a part of a word; 0: not at all."""
    principal = access.principal
    words = principal.label.replace(",", " ").split()
    best = 0
    for one in (edit.new, edit.old):
        for text in map(str, one if isinstance(one, list) else [one]):
            last = text.rpartition(":")[2].rpartition("/")[2]
            if (
                text in (principal.account, principal.organization)
                or text in words
                or (text == "*" and principal.public)
            ):
                best = max(best, 3)
            elif last and last in words and (not principal.account or principal.account in text):
                best = max(best, 2)
            elif last and last in principal.label and (not principal.account or principal.account in text):
                best = max(best, 1)
    return best


def registry_of(edit: Edit) -> str:
    """The registry that an edit is about; "" if it is of none."""
    kind, name = edit.item
    if kind == "registry":
        return name
    value = edit.new if isinstance(edit.new, dict) else edit.old if isinstance(edit.old, dict) else {}
    if kind == "repository":
        return name.partition("/")[0]
    return str(value.get("registry", "")) if kind == "grant" else ""


def _ways(grants: Sequence[Grant], repository: str) -> str:
    """By what grants cover a repository: `grant staging, which covers every repository`."""
    ways = []
    for grant in grants:
        globs = [item for item in grant.repositories or () if fnmatchcase(repository, item)]
        by = (
            "which covers every repository, present and future" if grant.repositories is None else f"by {all_of(globs)}"
        )
        ways.append(f"grant {grant.name} ({by})")
    return all_of(ways)


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
