"""Access and counts in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.engine.plan import Plan
from reconciler.model.access import Access, ForeignAccess
from reconciler.model.change import Action, Change, FieldChange
from reconciler.words import plural

SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "-/+", Action.DELETE: "-", Action.ADOPT: "!"}
#: more names than this are counted, not listed
MOST_NAMES = 12
_VERB_ORDER = ("pull", "push")


@dataclass(frozen=True, slots=True, order=True)
class Sentence:
    """Who can do what with which repositories of a registry: `account 1 can now pull app-a, app-b`."""

    registry: str
    text: str


def gained(access: Iterable[Access]) -> list[Sentence]:
    """Sentences for access that is given."""
    return list(_sentences(access, "can now"))


def lost(access: Iterable[Access]) -> list[Sentence]:
    """Sentences for access that is taken away."""
    return list(_sentences(access, "can no longer"))


def held(access: Iterable[Access]) -> list[Sentence]:
    """Sentences for access that there is."""
    return list(_sentences(access, "can"))


def given(item: ForeignAccess) -> list[str]:
    """What somebody else gave, a sentence for each principal: `account 1 can pull app-a (statement 'debug')`."""
    return [f"{sentence.text} ({item.what})" for sentence in held(item.access)] or [item.what]


def _sentences(access: Iterable[Access], verb: str) -> Iterator[Sentence]:
    per_repository: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for item in access:
        verbs = per_repository.setdefault((item.registry, item.principal.label, item.repository), {})
        verbs.setdefault(item.verb, set()).add(item.where)
    merged: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (registry, label, repository), verbs in per_repository.items():
        by_place: dict[tuple[str, ...], list[str]] = {}
        for name, found in verbs.items():
            by_place.setdefault(tuple(sorted(found)), []).append(name)
        for places, names in by_place.items():
            merged.setdefault((registry, label, _verbs(names), places), []).append(repository)
    for (registry, label, what, places), repositories in sorted(merged.items()):
        yield Sentence(registry, f"{label} {verb} {what}{_names(repositories)}{_copies(places)}")


def _verbs(names: list[str]) -> str:
    known = [name for name in _VERB_ORDER if name in names]
    return " and ".join(known + sorted(set(names) - set(known)))


def _names(repositories: list[str]) -> str:
    if repositories == [""]:
        return ""
    names = sorted(repositories)
    if len(names) <= MOST_NAMES:
        return f" {', '.join(names)}"
    return f" {', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"


def _copies(places: tuple[str, ...]) -> str:
    away = [place for place in places if place]
    if not away:
        return ""
    copies = "copy" if len(away) == 1 else "copies"
    return f" (and the {copies} in {', '.join(away)})" if "" in places else f" in {', '.join(away)}"


def value(item: object) -> str:
    """A field's value as people read it."""
    if item is None:
        return "(none)"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return f'"{item}"'
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {value(below)}" for key, below in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(value(below) for below in item) + "]"
    return str(item)


def field_line(change: FieldChange, *, new: bool) -> str:
    """`path: old → new`, or `path: value` where nothing was there."""
    if new:
        return f"{change.path}: {value(change.new)}"
    return f"{change.path}: {value(change.old)} → {value(change.new)}"


def title(change: Change) -> str:
    """The kind and the name: `repository app-a`, `access app-a@eu-west-1`."""
    _, kind, name = change.address.split(".", 2)
    return f"{kind} {name}"


def totals(plan: Plan) -> str:
    """`3 to create, 1 to update` and so on; only what there is."""
    counts = plan.counts
    words = {
        Action.CREATE: "to create",
        Action.UPDATE: "to update",
        Action.REPLACE: "to replace",
        Action.DELETE: "to delete",
        Action.ADOPT: "to adopt",
    }
    return ", ".join(f"{counts[action]} {text}" for action, text in words.items() if counts[action]) or "nothing to do"


def left_out(plan: Plan) -> str:
    """What the targets leave undone, in words; "" if nothing is."""
    if not plan.left_out:
        return ""
    verb = "is" if plan.left_out == 1 else "are"
    return f"{plan.left_out} {plural(plan.left_out, 'change')} {verb} left out by --target."


def removal(change: Change) -> str:
    """What is lost with a delete or replace, in words; "" if nothing is."""
    if change.images is None:
        return ""
    count = f"{change.images} {plural(change.images, 'image')}"
    if not change.images:
        return "holds no images"
    return f"holds {count}, which {'will be deleted' if change.force else 'may not be deleted without permission'}"


def all_gains(plan: Plan) -> list[Sentence]:
    """Who gains access by the plan as a whole; what is only moved from one resource to another counts as neither."""
    return gained(_net(plan)[0])


def all_losses(plan: Plan) -> list[Sentence]:
    """Who loses access by the plan as a whole."""
    return lost(_net(plan)[1])


def _net(plan: Plan) -> tuple[set[Access], set[Access]]:
    gains = {access for change in plan.changes for access in change.gains}
    losses = {access for change in plan.changes for access in change.losses}
    return gains - losses, losses - gains
