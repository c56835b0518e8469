"""Role assignments that others gave: on the registry, and above it where they reach somebody whom a grant narrows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from reconciler.model.access import ADMIN, DELETE_IMAGES, PUSH, Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.platforms import described

from . import assignment_settings, roles
from .assignment_settings import AssignmentSettings, principal_of
from .documents import properties
from .others_roles import BUILT_IN, IMPORT, OtherRole
from .reach import WHOLE

Document = Mapping[str, Any]
#: what they let somebody do, by the ids of their definitions
Known = Mapping[str, OtherRole]
#: what is said of one without a condition, beside those of ours to the same principal
VOIDS = ", which reaches every repository whatever its grants say"
#: what AcrDelete and its like are for
_DELETES = {ADMIN, DELETE_IMAGES}


@dataclass(frozen=True)
class Here:
    """A registry whose role assignments are looked at.

    `registry`: its name in the spec; `resource`: its id; `owner`: whose ours are. `mode`: which roles count there; `after`: which do
    once the plan is applied. `granted`: the principals to whom the spec gives something. `own`: `pull` and `push` by the principals
    of the registry's own identities. `adopts`: whether what these have can be taken over.
    """

    registry: str
    resource: str
    owner: str
    mode: str
    after: str
    granted: frozenset[str] = frozenset()
    own: Mapping[str, str] = field(default_factory=dict)
    adopts: bool = False

    @property
    def switches(self) -> bool:
        """Whether other roles count once the plan is applied."""
        return self.mode != self.after

    def is_ours(self, item: Document) -> bool:
        """Whether a plan manages it, or deletes it if the spec does not have it: whatever else says that it is ours is others'."""
        found = marks_of(item)
        ours = (found.owner, found.origin) == (self.owner, "spec") and not found.elsewhere(self.registry)
        return ours and is_at(item, self.resource) and roles.of_guid(_guid(item)) is not None

    def principals(self, items: Iterable[Document]) -> set[str]:
        """To whom we give something, or shall."""
        return {*self.granted, *(_principal(item) for item in items if self.is_ours(item))}


def named_as_ours(item: Document) -> bool:
    """Whether a role assignment has a name that we would give it."""
    role = roles.of_guid(_guid(item))
    name = str(item.get("id", "")).rpartition("/")[2].lower()
    scope = str(properties(item).get("scope", ""))
    return role is not None and name in assignment_settings.native_names(scope, _principal(item), role)


def marks_of(item: Document) -> Marks:
    """The marks of a role assignment: none where they were copied onto one that we have neither made nor adopted."""
    marks = Marks.of(described.parsed(str(properties(item).get("description") or "")).texts)
    return marks if marks.adopted or named_as_ours(item) else Marks()


def unknown(items: Iterable[Document], here: Here) -> set[str]:
    """The ids of the roles of which it must be asked what they allow: on the registry, and above it of those to whom we give access,
    or of everybody where other roles are to count, unless we assign them or they are built in and known."""
    listed = list(items)
    ours = here.principals(listed)
    reaching = (item for item in listed if here.switches or is_at(item, here.resource) or _principal(item) in ours)
    return {_guid(item) for item in reaching if roles.of_guid(_guid(item)) is None} - BUILT_IN.keys()


def foreign(at: Address, items: Iterable[Document], here: Here, known: Known = BUILT_IN) -> Iterator[ForeignAccess]:
    """What others gave, and above the registry to everybody whose access changes with the mode. `known`: what other roles allow."""
    listed = _sorted(items)
    ours = here.principals(listed)
    for item in listed:
        if here.is_ours(item):
            continue
        on_it, reaches = is_at(item, here.resource), _principal(item) in ours
        given, after = (tuple(_access(at, item, mode, known)) for mode in (here.mode, here.after))
        if on_it or (reaches and (given or after)) or given != after:
            removal = f"run `az role assignment delete --ids {quote(str(item.get('id', '')))}`"
            what = f"{_named(item, here, known)}{_more(item, here.mode, given, known, voids=reaches)}"
            changed = after if here.switches else None
            place = _place(item, here) if on_it else None
            yield ForeignAccess(at, what, given, removal, changed, stays=not on_it, place=place)


def above_of(items: Iterable[Document], principal: str, resource: str) -> list[Document]:
    """What a principal is assigned above the registry."""
    return [item for item in _sorted(items) if _principal(item) == principal and not is_at(item, resource)]


def roles_of(items: Iterable[Document]) -> set[str]:
    """The ids of the roles of which it must be asked what they are called."""
    return {guid for item in items if roles.of_guid(guid := _guid(item)) is None} - BUILT_IN.keys()


def also_has(item: Document, known: Known) -> str:
    """A role of an identity that is not ours to give, and ends with the identity."""
    scope = str(properties(item).get("scope", "")) or "/"
    return f"it also has {_role(item, known)} on {scope}, which somebody else gave it: what uses it there loses that"


def waiting(at: Address, items: Iterable[Document], here: Here, known: Known = BUILT_IN) -> Iterator[ForeignAccess]:
    """What others gave above a registry that is yet to be made, to those whom its grants narrow."""
    for item in _sorted(items):
        given = tuple(_access(at, item, here.after, known))
        if given and _principal(item) in here.granted:
            what = f"{_named(item, here, known)}{_more(item, here.after, given, known, voids=True)}"
            removal = f"run `az role assignment delete --ids {quote(str(item.get('id', '')))}`"
            yield ForeignAccess(at, what, (), removal, given, stays=True)


def switched(items: Iterable[Document], here: Here, known: Known = BUILT_IN) -> Iterator[str]:
    """A sentence for each role assignment at the registry and above it that counts now and counts no longer in the other mode, or the
    other way round."""
    for item in _sorted(items):
        now, then = (_counts(item, mode, known) for mode in (here.mode, here.after))
        what = _named(item, here, known)
        if now - then:
            ours = ", and another one takes its place" if here.is_ours(item) and _comes_again(item, here) else ""
            role = roles.of_guid(_guid(item))
            lets = "" if role is not None or now - then - _DELETES else " for deleting images"
            yield f"{what} counts no longer{lets}{ours}"
        elif then - now and not here.is_ours(item):
            yield f"{what} counts from then on{'' if then - now - _DELETES else ' for deleting images'}"


def _comes_again(item: Document, here: Here) -> bool:
    """Whether whoever has one of ours gets another one in the other mode."""
    return _principal(item) in here.own or _principal(item) in here.granted


def _sorted(items: Iterable[Document]) -> list[Document]:
    return sorted(items, key=lambda item: str(item.get("id", "")).lower())


def _counts(item: Document, mode: str, known: Known) -> set[str]:
    """For what it counts in a mode."""
    role = roles.of_guid(_guid(item))
    if role is not None:
        return {role.job} if role.mode == mode else set()
    found = set(known.get(_guid(item), OtherRole("")).verbs.get(mode, ()))
    return found | {IMPORT} if PUSH in found else found  # whoever pushes needs no import


def is_at(item: Document, resource: str) -> bool:
    """Whether it is on the resource itself, and not above it."""
    return str(properties(item).get("scope", "")).lower() == resource.lower()


def _named(item: Document, here: Here, known: Known) -> str:
    scope = "the registry" if is_at(item, here.resource) else str(properties(item).get("scope", "")) or "/"
    who = here.own.get(_principal(item))
    named = _who(item) if who is None else principal_of(AssignmentSettings(who), here.registry).label
    return f"{_role(item, known)} of {named} on {scope}"


def _more(item: Document, mode: str, given: Iterable[Access], known: Known, *, voids: bool) -> str:
    """What there is to know of it, beside what it lets somebody do."""
    if not given:
        return _nothing(item, mode, known)
    # whoever can only let others in, or have images copied, reaches none by that
    sure = any(not access.may and access.verb not in (ADMIN, f"{IMPORT} {WHOLE}") for access in given)
    if voids and sure and not properties(item).get("condition"):
        return VOIDS
    return ""


def _nothing(item: Document, mode: str, known: Known) -> str:
    """Why it lets nobody do anything with images now."""
    if not _counts(item, mode, known) and _counts(item, roles.other_mode(mode), known):
        return f", which counts for nothing in mode {mode}"
    role = roles.of_guid(_guid(item))
    if role is not None and role.job != roles.LIST:
        return ", whose condition lets nothing through"
    return ", which lists the names of repositories" if role is not None else ", which reaches no image"


def _place(item: Document, here: Here) -> Address | None:
    """Where a spec could take it over; None of another owner's, and of a role that we do not assign."""
    role = roles.of_guid(_guid(item))
    if role is None or marks_of(item).owner not in (None, here.owner):
        return None
    own = here.own.get(_principal(item)) if here.adopts else None
    who = own or _principal(item)
    return assignment_settings.address_in(here.registry, who, role, here.after)


def _principal(item: Document) -> str:
    return str(properties(item).get("principalId", "")).lower()


def _who(item: Document) -> str:
    kind = str(properties(item).get("principalType") or "ServicePrincipal")
    return principal_of(AssignmentSettings(_principal(item), kind), "").label


def _guid(item: Document) -> str:
    return str(properties(item).get("roleDefinitionId", "")).rpartition("/")[2].lower()


def _role(item: Document, known: Known) -> str:
    role = roles.of_guid(_guid(item)) or known.get(_guid(item))
    return role.name if role is not None else f"role {_guid(item)}"


def _access(at: Address, item: Document, mode: str, known: Known) -> Iterator[Access]:
    """What it lets somebody do in this mode."""
    kind = str(properties(item).get("principalType") or "ServicePrincipal")
    role = roles.of_guid(_guid(item))
    if role is not None:
        if role.mode == mode:
            said = assignment_settings.read_condition(str(properties(item).get("condition") or ""), role)
            yield from assignment_settings.access(
                at, AssignmentSettings(_principal(item), kind, role.job, mode, **said)
            )
        return
    who, other = Principal(_who(item)), known.get(_guid(item), OtherRole(f"role {_guid(item)}", known=False))
    # a condition of a role that is not ours is not read
    note = "where its condition allows it" if properties(item).get("condition") else ""
    for verb in other.verbs.get(mode, ()):
        yield Access(who, verb if verb == ADMIN else f"{verb} {WHOLE}", at.registry, "", may=bool(note), note=note)
    if not other.known:
        what = f"do what {other.name} allows with {WHOLE}"
        yield Access(who, what, at.registry, "", may=True, note="which these credentials may not ask")
