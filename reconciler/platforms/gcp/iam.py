"""Google's allow policies: what of one is ours by the record of it, and the policy with that changed. Pure.

A policy is kept as the JSON that came, so that nothing in it is lost. https://cloud.google.com/iam/docs/reference/rest/v1/Policy
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.canonical import records
from reconciler.model.marks import Marks
from reconciler.model.resource import Settings
from reconciler.words import counted

from . import members, record

Document = dict[str, Any]

#: members of one policy, each as often as it stands there, and how many of these may be groups and domains:
#: https://cloud.google.com/iam/quotas#limits
MAX_MEMBERS, MAX_GROUPS = 1_500, 250
#: the newest version: with an older one conditions would be left out
VERSION = 3


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """One member of one role, without a condition."""

    role: str
    member: str

    @property
    def hash(self) -> str:
        """What is recorded of it."""
        return record.hash_of(self.role, members.normal(self.member))

    def alive_in(self, those: Collection[Binding]) -> bool:
        """Whether those, each in its one form, name this member, which was not deleted."""
        return not members.is_deleted(self.member) and Binding(self.role, members.normal(self.member)) in those


def noted_again(marks: Marks, settings: Settings, recorded: Collection[str], there: Iterable[Binding]) -> Marks:
    """The marks; without what was applied where the record names members that are not there, though all is as it was applied: a run
    that was cut off has left that, and whoever is added later by hand would count as ours."""
    left = set(recorded) - {item.hash for item in there}
    if left and marks.applied is not None and records(marks.applied, settings):
        return replace(marks, applied=None)
    return marks


def bindings_of(document: Mapping[str, Any]) -> list[Document]:
    """The bindings of a policy; what is none is left out."""
    found = document.get("bindings") or []
    return [item for item in found if isinstance(item, dict)]


def condition_of(binding: Mapping[str, Any]) -> str:
    """The condition of a binding, as the end of a sentence; "" if it has none."""
    condition = binding.get("condition")
    if not condition:
        return ""
    title = condition.get("title", "") if isinstance(condition, dict) else ""
    return f"if condition '{title}' holds"


def is_plain(binding: Mapping[str, Any], roles: Collection[str]) -> bool:
    """Whether a binding gives one of the roles and says nothing else: with a condition, or with what is not known here, it is
    somebody else's."""
    more = (value for key, value in binding.items() if key not in ("role", "members"))
    return binding.get("role") in roles and not any(more)


def _all(document: Mapping[str, Any], roles: Collection[str]) -> Iterator[Binding]:
    for item in bindings_of(document):
        if is_plain(item, roles):
            yield from (Binding(item["role"], member) for member in item.get("members") or ())


def _owned(document: Mapping[str, Any], roles: Collection[str], recorded: Collection[str]) -> Callable[[Binding], bool]:
    """Whether a member of a plain binding is ours.

    The record does not say the unique id of whom it names. Whoever was deleted while somebody of the name is a member is not ours:
    a write of ours takes our own one away when it puts its successor there.
    """
    alive = {Binding(item.role, members.normal(item.member)) for item in _all(document, roles) if _is_alive(item)}

    def owned(item: Binding) -> bool:
        if item.hash not in recorded or _is_alive(item):
            return item.hash in recorded
        succeeded = Binding(item.role, members.normal(item.member)) in alive
        return not succeeded and _as_theirs(item) not in recorded

    return owned


def _as_theirs(item: Binding) -> str:
    """What is recorded of a deleted member of others while its successor is made one of ours."""
    return record.hash_of(item.role, item.member)


def theirs(others: Mapping[str, Any], roles: Collection[str], wanted: Collection[Binding]) -> set[str]:
    """What must be recorded beside the wanted members: that the deleted members of others that have their names are not ours. A run
    that is cut off before the successor is there would leave that open."""
    dead = (item for item in _all(others, roles) if not _is_alive(item))
    return {_as_theirs(item) for item in dead if Binding(item.role, members.normal(item.member)) in wanted}


def _is_alive(item: Binding) -> bool:
    return not members.is_deleted(item.member)


def ours(document: Mapping[str, Any], roles: Collection[str], recorded: Collection[str]) -> tuple[Binding, ...]:
    """The members that the record says are ours, sorted, each in its one form; without those that were deleted."""
    found = filter(_owned(document, roles, recorded), _all(document, roles))
    return tuple(sorted({Binding(item.role, members.normal(item.member)) for item in found if _is_alive(item)}))


def dead(document: Mapping[str, Any], roles: Collection[str], recorded: Collection[str]) -> tuple[Binding, ...]:
    """Members of ours that were deleted: the next write leaves them out."""
    found = filter(_owned(document, roles, recorded), _all(document, roles))
    return tuple(sorted(item for item in found if not _is_alive(item)))


def without(
    document: Mapping[str, Any], roles: Collection[str], recorded: Collection[str], but: Collection[Binding] = ()
) -> Document:
    """The policy without what the record says is ours, but for these: all else as it came."""
    owned = _owned(document, roles, recorded)
    left = []
    for item in bindings_of(document):
        if is_plain(item, roles):
            found = (Binding(item["role"], one) for one in item.get("members") or ())
            kept = [one.member for one in found if not owned(one) or one.alive_in(but)]
            if not kept:
                continue
            item = {**item, "members": kept}
        left.append(item)
    return {**document, "bindings": left} if left else {key: document[key] for key in document if key != "bindings"}


def merged(
    document: Mapping[str, Any], roles: Collection[str], recorded: Collection[str], wanted: Iterable[Binding]
) -> Document:
    """The policy with these members in the place of what the record says is ours; who is there already stays as they are written."""
    wanted = sorted(wanted)
    found = without(document, roles, recorded, wanted)
    there = {Binding(item.role, members.normal(item.member)) for item in _all(found, roles) if _is_alive(item)}
    bindings = [dict(item) for item in bindings_of(found)]
    for binding in wanted:
        if binding in there:
            continue
        beside = next((item for item in bindings if is_plain(item, (binding.role,))), None)
        if beside is None:
            beside = {"role": binding.role, "members": []}
            bindings.append(beside)
        beside["members"] = [*(beside.get("members") or ()), binding.member]
    # a policy that has a condition is refused unless its version says so
    version = {"version": VERSION} if any(item.get("condition") for item in bindings) else {}
    return {**found, **version, "bindings": bindings}


def taken_over(others: Mapping[str, Any], roles: Collection[str], wanted: Collection[Binding]) -> tuple[Binding, ...]:
    """Which members that others have put there are to be ours, as they are written there."""
    return tuple(sorted({item for item in _all(others, roles) if item.alive_in(wanted)}))


def joined(policy: Mapping[str, Any], more: Mapping[str, Any]) -> Document:
    """A policy with what only the other has."""
    bindings = [dict(item) for item in bindings_of(policy)]
    for item in bindings_of(more):
        there = next((one for one in bindings if _same_role(one, item)), None)
        if there is None:
            bindings.append(dict(item))
        else:
            gone = [one for one in item.get("members") or () if one not in there["members"]]
            there["members"] = [*there["members"], *gone]
    found: Document = {**more, **policy}
    if any(item.get("condition") for item in bindings):
        found["version"] = VERSION
    return {**found, "bindings": bindings} if bindings else found


def _same_role(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    def rest(binding: Mapping[str, Any]) -> Document:
        return {key: value for key, value in binding.items() if key != "members"}

    return rest(one) == rest(other)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two policies give the same, in whatever order."""
    return in_order(one) == in_order(other)


def in_order(document: Mapping[str, Any]) -> Document:
    """A policy in one order, without its etag and its version."""
    bindings = [{**item, "members": sorted(set(item.get("members") or ()))} for item in bindings_of(document)]
    rest = {key: value for key, value in document.items() if key not in ("etag", "version", "bindings")}
    return {**rest, "bindings": sorted(bindings, key=lambda item: (str(item.get("role")), str(item.get("condition"))))}


def is_empty(document: Mapping[str, Any]) -> bool:
    """Whether nothing stands in it."""
    return not bindings_of(document) and not document.keys() - {"etag", "version", "bindings"}


def too_many(wanted: Collection[Binding], others: Mapping[str, Any]) -> str | None:
    """Which limit of Google's the policy would exceed, with the numbers; or None."""
    theirs = [str(member) for item in bindings_of(others) for member in item.get("members") or ()]
    ours_ = [item.member for item in wanted]
    for most, what, found, foreign in (
        (MAX_MEMBERS, "member", ours_, theirs),
        (MAX_GROUPS, "group and domain", list(filter(_is_group, ours_)), list(filter(_is_group, theirs))),
    ):
        if len(found) + len(foreign) > most:
            count = counted(len(found) + len(foreign), what, "groups and domains" if what != "member" else "")
            beside = f", of which somebody else put {len(foreign)} there" if foreign else ""
            return f"its IAM policy would have {count}{beside}; Google allows at most {most:,}"
    return None


def _is_group(member: str) -> bool:
    return member.startswith(("group:", "domain:"))
