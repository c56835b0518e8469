"""Which edit of a spec's text causes a change of a resource, or that somebody gains or loses access by it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property

from reconciler.model.access import Access, Principal
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import GivesAccess, HoldsImages
from reconciler.model.resource import Desired, Live
from reconciler.spec.models import Grant, Spec
from reconciler.spec.source import Loc
from reconciler.words import all_of

from .compared import Compared
from .edits import Edit, How, Item


class Causes:
    """The edits between two specs, by what they do."""

    def __init__(self, compared: Compared) -> None:
        self.before, self.after = compared.before, compared.after
        self.seen, self.changes = compared.seen, compared.changes
        self.renamed = compared.renamed
        #: which edits each item has
        self.of: dict[Item, list[Edit]] = {}
        for edit in compared.differing:
            self.of.setdefault(edit.item, []).append(edit)
        #: what grants of the head were called in the base, where that is another name
        self.were = {edit.item[1]: edit.was for edit in compared.differing if edit.how is How.RENAMED}

    def gives(self, at: Address) -> bool:
        """Whether what is at an address gives access."""
        return isinstance(self.seen.kinds[at.registry][at.kind], GivesAccess)

    def causes_of(self, change: Change, access: Access, *, gained: bool) -> list[tuple[Edit | None, list[str]]]:
        """The edits by which somebody gains or loses one thing, each with the grants that cover what is new, or gone, by it."""
        home = self.home_of(change, access)
        grants = self.grants_that_give(change, access, gained=gained)
        if home is not None:
            made = self.changes.get(home)
            if gained and made is not None and made.action is Action.CREATE:
                return [(self.cause_of_making(made), [grant.name for grant in grants])]
            if not gained and (home not in self.seen.desired or home in self.seen.released):
                return [(self.cause_of_going(change, home), [grant.name for grant in grants])]
        found = [edit for grant in grants if (edit := self.edit_of_grant(grant, access, gained=gained)) is not None]
        return [(edit, []) for edit in found] or [(self.edit_of_registry(change, access), [])]

    def home_of(self, change: Change, access: Access) -> Address | None:
        """The repository that a change is of, or that it stands below; of what is for several, the one that the access names."""
        if isinstance(self.seen.kinds[change.registry][change.kind], HoldsImages):
            return change.address
        item = change.desired or change.live
        parent = item.parent if item is not None else None
        return parent or self.repositories.get((access.registry, access.repository, access.where))

    @cached_property
    def repositories(self) -> Mapping[tuple[str, str, str], Address]:
        """The addresses of repositories, before and after, by registry, name and place."""
        return {
            (at.registry, at.name, at.where): at
            for items in (self.seen.live, self.seen.desired)
            for at, item in items.items()
            if isinstance(self.seen.kinds[at.registry][item.kind], HoldsImages)
        }

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
        known = self.grants[gained]
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

    @cached_property
    def grants(self) -> Mapping[bool, Mapping[str, Grant]]:
        """The grants of the head (True) and of the base, by name."""
        return {
            gained: {grant.name: grant for grant in spec.grants}
            for gained, spec in ((True, self.after), (False, self.before))
        }

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
        if gained:
            name = self.were.get(grant.name, grant.name)
        else:
            name = next((now for now, was in self.were.items() if was == grant.name), grant.name)
        return self.grants[not gained].get(name)

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
        gone = change.removes or change.lets_go
        whole = [edit for edit in found if not edit.path or (gone and edit.path == ("retired",))]
        exact = _nearest_name(found, access)
        named = [
            edit
            for edit in found
            if access.where and access.where in str(edit.new if access in change.gains else edit.old)
        ]
        some = (*whole, *([exact] if exact else ()), *named, *self.of_kind(change, found), *found)
        return next(iter(some), None) or self.setting(change, "")

    def of_kind(self, change: Change, found: Iterable[Edit]) -> list[Edit]:
        """Of a registry's edits, those that a change of a kind follows from: of the key that is called like it, else of where the
        registry's repositories stand and what they are called."""
        edits = [edit for edit in found if edit.path]
        named = [edit for edit in edits if str(edit.path[0]).startswith(change.kind)]
        named = named or [edit for edit in edits if str(edit.path[0]).endswith(f"_{change.kind}")]
        keys = {key for item in self.after.registries if item.name == change.registry for key in item.placing}
        return named or [edit for edit in edits if edit.path[0] in keys]

    def own(self, at: Address) -> Item:
        """The repository of the text that an address is about."""
        return self.item_of(at.registry, at.name)

    def item_of(self, registry: str, name: str) -> Item:
        """A repository of the text: by its name of now, else by the one that it had."""
        item: Item = ("repository", f"{registry}/{name}")
        was = self.renamed.get((registry, name))
        return item if item in self.of or was is None else ("repository", f"{registry}/{was}")

    # -- which edit -----------------------------------------------------------------------------------------------

    def nearest(self, item: Item, path: Loc) -> Edit | None:
        """The edit of an item whose path has most in common with a path that it begins with, or that begins with it."""
        best: Edit | None = None
        for edit in self.of.get(item, ()):
            common = min(len(edit.path), len(path))
            if edit.path[:common] == path[:common] and (best is None or _closer(edit, best)):
                best = edit
        return best

    def setting(self, change: Change, name: str) -> Edit | None:
        """The edit that changes a setting of a resource: of its repository, else of the defaults, else of its registry."""
        path: Loc = tuple(name.split(".")) if name else ()
        own = self.own(change.address)
        found = self.nearest(own, path) if path else None
        if found is None and path[:1] == ("retention",):  # a policy says the same in its own words
            found = self.nearest(own, ("lifecycle_policy",)) or self.nearest(
                ("defaults", ""), ("repository", "lifecycle_policy")
            )
        found = found or (self.nearest(("defaults", ""), ("repository", *path)) if path else None)
        if found is None and path:
            found = self.nearest(("registry", change.registry), path) or next(self._of_any(change.registry, path), None)
        registry = self.of.get(("registry", change.registry), ())
        some = (*self.of.get(own, ()), *self.of.get(("defaults", ""), ()), *self.of_kind(change, registry), *registry)
        return found or next(iter(some), None)

    def _of_any(self, registry: str, path: Loc) -> Iterator[Edit]:
        """The edits of a setting of a registry's repositories: the platform may have one for all of them."""
        for (kind, name), edits in self.of.items():
            if kind == "repository" and name.partition("/")[0] == registry:
                yield from (edit for edit in edits if edit.path[:1] == path[:1])

    def alike(self, change: Change, edit: Edit | None) -> Iterator[Edit]:
        """The edits by which the other repositories say the same, where one of them changes what all have in common."""
        if edit is not None and edit.path and edit.item[0] == "repository" and edit.item != self.own(change.address):
            yield from self._of_any(change.registry, edit.path)

    def cause_of_removal(self, change: Change, at: Address) -> Edit | None:
        """What deletes, replaces or lets go of the repository at an address."""
        item = self.own(at)
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
        placing = self.of_kind(change, registry)
        some = (*whole, *released, *filter(None, set_by), *retired, *named, *placing, *registry, *own, *defaults)
        return next(iter(some), None)

    def cause_of_making(self, change: Change) -> Edit | None:
        own = self.of.get(self.own(change.address), [])
        whole = next((edit for edit in own if not edit.path and edit.how is How.ADDED), None)
        registry = self.of.get(("registry", change.registry), [])
        where = change.address.where
        named = [edit for edit in registry if where and where in str(edit.new)]
        new = [edit for edit in registry if not edit.path]
        return whole or next(iter((*new, *named, *self.of_kind(change, registry), *registry, *own)), None)


def _closer(edit: Edit, other: Edit) -> bool:
    """Whether an edit says more than another one: it is of a smaller value, or what took the place of one that is gone."""
    if len(edit.path) != len(other.path):
        return len(edit.path) > len(other.path)
    return other.how is How.REMOVED and edit.how is not How.REMOVED


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
            elif _names_a_part(access.principal, text, last):
                best = max(best, 1)
    return best


def _names_a_part(principal: Principal, text: str, last: str) -> bool:
    """Whether a value may be about a principal: about its account as a whole, or about what a part of its name says."""
    if principal.account:
        return principal.account in text and (last in principal.label or last == "root")
    return last != "" and last in principal.label


def registry_of(edit: Edit) -> str:
    """The registry that an edit is about; "" if it is of none."""
    kind, name = edit.item
    if kind == "registry":
        return name
    value = edit.new if isinstance(edit.new, dict) else edit.old if isinstance(edit.old, dict) else {}
    if kind == "repository":
        return name.partition("/")[0]
    return str(value.get("registry", "")) if kind == "grant" else ""


def ways(grants: Sequence[Grant], repository: str) -> str:
    """By what grants cover a repository: `grant staging, which covers every repository`."""
    found = []
    for grant in grants:
        globs = [item for item in grant.repositories or () if fnmatchcase(repository, item)]
        by = (
            "which covers every repository, present and future" if grant.repositories is None else f"by {all_of(globs)}"
        )
        found.append(f"grant {grant.name} ({by})")
    return all_of(found)
