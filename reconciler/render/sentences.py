"""Access in words: who can do what with which repositories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.engine.plan import Plan
from reconciler.model.access import ADMIN, Access, ForeignAccess
from reconciler.words import all_of, any_of, natural, plural

#: more names than this are counted, not listed
MOST_NAMES = 12
_LOST = "can no longer"
#: the same of what can't be decided; "may pull" alone could be read as a permission
_MAY = {"can now": "may now be able to", _LOST: "may no longer be able to", "can": "may be able to"}
_VERB_ORDER = ("pull", "push", "read")
#: what is said of whoever gets the verb ADMIN
_DANGER = " (danger: that allows deleting images, and letting others in)"


@dataclass(frozen=True, slots=True, order=True)
class Sentence:
    """Who can do what with which repositories of a registry: `account 1 can now pull app-a, app-b`.

    `public`: whether it is about everyone. `what`: the text without who it is about.
    """

    registry: str
    text: str
    public: bool = False
    what: str = ""


def gained(access: Iterable[Access], *, gathered: bool = False) -> list[Sentence]:
    """Sentences for access that is given. If `gathered`, of many repositories in one of them some are named and the others counted;
    what is lost names every one, always."""
    return list(_sentences(access, "can now", gathered))


def lost(access: Iterable[Access]) -> list[Sentence]:
    """Sentences for access that is taken away."""
    return list(_sentences(access, _LOST))


def held(access: Iterable[Access]) -> list[Sentence]:
    """Sentences for access that there is."""
    return list(_sentences(access, "can"))


def folded(sentences: Iterable[Sentence]) -> list[Sentence]:
    """The sentences in their order, with one in the place of many that say the same of different principals, where the first of them
    stood; what is public stays as it is."""
    everything = list(sentences)
    groups: dict[tuple[str, str, bool], list[Sentence]] = {}
    for sentence in everything:
        groups.setdefault(_saying(sentence), []).append(sentence)
    found: list[Sentence] = []
    for sentence in everything:
        registry, what, public = _saying(sentence)
        group = groups[registry, what, public]
        if public or len(group) <= MOST_NAMES:
            found.append(sentence)
        elif sentence is group[0]:
            names = ", ".join(sentence.text.removesuffix(f" {what}") for sentence in group[:3])
            text = f"{len(group)} principals {what}: {names} and {len(group) - 3} more (--full names them)"
            found.append(Sentence(registry, text, what=what))
    return found


def _saying(sentence: Sentence) -> tuple[str, str, bool]:
    return sentence.registry, sentence.what or sentence.text, sentence.public


def given(item: ForeignAccess) -> list[Sentence]:
    """What somebody else gave, a sentence for each principal: `account 1 can pull app-a (statement 'debug')`."""
    sentences = [replace(sentence, text=f"{sentence.text} ({item.what})") for sentence in held(item.access)]
    return sentences or [Sentence(item.address.partition(".")[0], item.what)]


def _sentences(access: Iterable[Access], verb: str, gathered: bool = False) -> Iterator[Sentence]:
    per_repository: dict[tuple[str, str, str, bool, str], dict[str, set[str]]] = {}
    public: set[str] = set()
    for item in access:
        if item.principal.public:
            public.add(item.principal.label)
        key = item.registry, item.principal.label, item.repository, item.may, item.note
        verbs = per_repository.setdefault(key, {})
        verbs.setdefault(item.verb, set()).add(item.where)
    merged: dict[tuple[str, str, str, tuple[str, ...], bool, str, bool], list[str]] = {}
    for (registry, label, repository, may, note), verbs in per_repository.items():
        by_place: dict[tuple[str, ...], list[str]] = {}
        for name, found in verbs.items():
            by_place.setdefault(tuple(sorted(found)), []).append(name)
        # what says by itself what it is about is a sentence of its own
        alone = [(places, [name]) for places, names in by_place.items() for name in names]
        for places, names in by_place.items() if repository else alone:
            danger = ADMIN in names and verb != _LOST
            merged.setdefault((registry, label, _verbs(names, verb), places, may, note, danger), []).append(repository)
    for (registry, label, what, places, may, note, danger), repositories in sorted(merged.items()):
        what = f"{what}{_names(repositories, gathered)}{_copies(places, len(repositories))}"
        everyone = verb == _LOST and label.partition(" (")[0] == "anyone"
        if verb == _LOST:  # "not from every one" would leave some
            what = what.replace(" every repository", " any repository")
            what = what if everyone else what.replace(" all repositories ", " any repository ")
        end = (f", {note}" if note else "") + (_DANGER if danger else "")
        said = f"{_MAY[verb] if may else verb} {what}{end}"
        whole = f"{_no_longer_all(label, what, may)}{end}" if everyone else f"{label} {said}"
        yield Sentence(registry, whole, label in public, said)


def _no_longer_all(label: str, what: str, may: bool) -> str:
    """That it ends that whoever asks may, whereas some still can: "anyone can no longer" reads as if nobody could."""
    return f"{'perhaps ' if may else ''}not {label.replace('anyone', 'everyone', 1)} can {what} any more"


def _verbs(names: list[str], verb: str) -> str:
    known = [name for name in _VERB_ORDER if name in names]
    several = any_of if verb == _LOST else all_of  # who can no longer "pull and push" might still do either
    return several(known + sorted(set(names) - set(known)))


def _names(repositories: list[str], gathered: bool) -> str:
    if repositories == [""]:
        return ""
    names = sorted(repositories, key=natural)
    if len(names) <= MOST_NAMES or not gathered:
        return f" {', '.join(names)}"
    return f" {', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more (--full names them)"


def _copies(places: tuple[str, ...], repositories: int) -> str:
    away = [place for place in places if place]
    if not away:
        return ""
    return (
        f" (and the {plural(len(away) * repositories, 'copy', 'copies')} in {', '.join(away)})"
        if "" in places
        else f" in {', '.join(away)}"
    )


def all_gains(plan: Plan, *, gathered: bool = False) -> list[Sentence]:
    """Who gains access by the plan as a whole; what is only moved from one resource to another counts as neither.

    `gathered`: as for `gained`.
    """
    return gained(_net(plan)[0], gathered=gathered)


def all_losses(plan: Plan) -> list[Sentence]:
    """Who loses access by the plan as a whole."""
    return lost(_net(plan)[1])


def net_gains(plan: Plan) -> set[Access]:
    """Who can do what after the plan as a whole and could not before."""
    return _net(plan)[0]


def net_losses(plan: Plan) -> set[Access]:
    """Who can do what no longer after the plan as a whole."""
    return _net(plan)[1]


def _net(plan: Plan) -> tuple[set[Access], set[Access]]:
    gains = {access for change in plan.changes for access in change.gains}
    losses = {access for change in plan.changes for access in change.losses}
    return gains - losses, losses - gains
