"""What policies give as a whole: all their statements together, and what one gives that another does not. Pure.

An action is allowed if any statement allows it and none denies it:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product

from reconciler.model.access import COULD_ALREADY
from reconciler.model.canonical import text

from . import inclusion, policy
from .condition import Condition
from .inclusion import Who, action_covered, is_pattern
from .policy import Statement
from .sources import ANY_VALUE, one_source, positive
from .verbs import ECR, Actions, Verb, Words, excepted_by, named, resources_but

#: a statement's conditions are looked at value by value up to so many combinations, and as one beyond
MOST_COMBINATIONS = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that one document gives and the other does not. `who` in words, `what` for Access.verb."""

    who: Who
    what: str
    may: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """What one statement denies to one principal."""

    who: Who
    actions: Actions
    name: str


@dataclass
class Document:
    """Statements by what they do."""

    allows: dict[Who, Actions] = field(default_factory=dict)
    denies: list[Deny] = field(default_factory=list)


def name_of(statement: Statement) -> str:
    """The statement for people."""
    return policy.named(statement.sid)


def actions_of(statement: Statement) -> Actions:
    """Its actions, patterns beside the known actions that they match; all but some (NotAction) as `!a, b`."""
    known = (*policy.PULL, *policy.PUSH, *policy.READ, *policy.ADMIN, policy.LOGIN, *policy.ASSUME)
    found = set(statement.actions)
    for pattern in filter(is_pattern, statement.actions):
        found.update(item for item in known if inclusion.matches(pattern, item))
    denied = _other(statement).get("NotAction")
    if denied is not None:
        found.add(f"!{', '.join(sorted(policy.spelled(str(item)) for item in policy.listed(denied)))}")
    return frozenset(found)


def whos_of(statement: Statement, *, placed: bool = False) -> Iterator[Who]:
    """Whom the statement is about, each value of its conditions apart; a principal that was deleted is nobody.

    `placed`: as in `Words`.
    """
    left = {key: value for key, value in _other(statement).items() if key != "NotAction"}
    places = (policy.listed(left.pop("Resource", None)) or ["*"]) if placed else [""]
    other = text(left) if left else ""
    for principal, conditions, place in product(statement.principals or ("",), _apart(statement), places):
        if not policy.is_deleted(principal):
            yield Who(principal, conditions, other, str(place))


def _other(statement: Statement) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads(statement.other) if statement.other else {}
    return found


def _apart(statement: Statement) -> Iterator[tuple[Condition, ...]]:
    choices = [
        [replace(item, values=(one,)) for one in item.values] if _of_any(item.operator) and item.values else [item]
        for item in statement.conditions
    ]
    combinations = 1
    for choice in choices:
        combinations *= len(choice)
    if combinations > MOST_COMBINATIONS or statement.effect != "Allow":
        yield statement.conditions
    else:
        found = list(product(*choices))
        yield from [item for item in found if one_source(item) is not False] or found


def _of_any(operator: str) -> bool:
    return positive(operator, "") or positive(operator, ANY_VALUE)


def document_of(statements: Iterable[Statement], *, placed: bool = False) -> Document:
    """The statements by what they do; one that is twice there counts once. `placed`: as in `Words`."""
    found = Document()
    for statement in statements:
        actions = actions_of(statement)
        for who in whos_of(statement, placed=placed):
            if statement.effect == "Allow":
                found.allows[who] = found.allows.get(who, frozenset()) | actions
            else:
                found.denies.append(Deny(who, actions, name_of(statement)))
    return found


def gains(
    before: tuple[Statement, ...], after: tuple[Statement, ...], own: str = "", words: Words = ECR
) -> tuple[Difference, ...]:
    """What `after` gives and `before` does not. `own`: the account whose policies they are."""
    return _compared(_unnamed(before), _unnamed(after), own, words, losing=False)


def losses(
    before: tuple[Statement, ...], after: tuple[Statement, ...], own: str = "", words: Words = ECR
) -> tuple[Difference, ...]:
    """What `before` gives and `after` does not."""
    return _compared(_unnamed(after), _unnamed(before), own, words, losing=True)


def _unnamed(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements without the names of those that allow, so that equal ones are compared once in a large estate."""
    return tuple(item if item.effect != "Allow" else replace(item, sid="") for item in statements)


@lru_cache(maxsize=4096)
def _compared(
    base: tuple[Statement, ...], more: tuple[Statement, ...], own: str, words: Words, *, losing: bool
) -> tuple[Difference, ...]:
    if base == more:
        return ()
    one, other = (document_of(statements, placed=words.placed) for statements in (base, more))
    return tuple(_Comparison(one, other, own, words, losing=losing).run())


def _denied(denied: Collection[str], action: str) -> bool:
    """Whether an action is denied for sure; one that is no pattern is by a Deny of all but others (NotAction), too."""
    answer = action_covered(denied, action)
    return answer is True or (answer is None and not is_pattern(action) and not action.startswith("!"))


class _Comparison:
    """What one document (`more`) gives beyond another (`base`): the gains, or with `losing` the losses."""

    def __init__(self, base: Document, more: Document, own: str, words: Words, *, losing: bool) -> None:
        self.base = base
        self.more = more
        self.own = own
        self.words = words
        self.losing = losing

    def run(self) -> Iterator[Difference]:
        for who, actions in self.more.allows.items():
            if not actions <= self.base.allows.get(who, frozenset()):
                yield from self.beyond(who, actions)
        yield from self.denied()

    def covers(self, wide: Who, narrow: Who) -> bool | None:
        """Whether what is given to the one is given to the other."""
        place = wide.place == narrow.place or inclusion.pattern_covers(wide.place, narrow.place)
        if wide == narrow or replace(wide, place="").anything:
            return place
        principal = self.words.covers(wide.principal, narrow.principal, self.own) if wide.principal else None
        if principal is False and (not narrow.principal or inclusion.of_some(narrow)):
            principal = None
        unknown = None if wide.other or narrow.other else True
        return inclusion.joined((place, principal, inclusion.conditions_cover(wide, narrow), unknown))

    def reach(self, document: Document, who: Who) -> tuple[Actions, Actions]:
        """What a document allows somebody for sure, and what it may allow."""
        sure: set[str] = set()
        possible: set[str] = set()
        for wide, actions in document.allows.items():
            answer = self.covers(wide, who)
            if answer is not False:
                possible |= actions
            if answer:
                sure |= actions
        return frozenset(sure), frozenset(possible)

    def beyond(self, who: Who, actions: Actions) -> Iterator[Difference]:
        sure, possible = self.reach(self.base, who)
        new = {item for item in actions if not action_covered(sure, item)}
        if not new:
            return
        together = self.reach(self.more, who)[0] | actions
        said: set[str] = set()
        for verb in self.verbs(new):
            touching = verb.said_of(new)
            if touching and verb.held(together) and not verb.held(sure):
                said |= touching
                yield self.difference(who, verb.word, verb.members, verb.held(possible) is not False, verb.held)
        if left := self.unsaid(new, said):
            may = any(
                item.startswith("!")
                or action_covered(possible, item) is not False
                or (inclusion.known(item, actions) and not inclusion.known(item, new))
                for item in left
            )
            yield self.difference(who, self.words.other.format(inclusion.listed(left)), left, may)

    def verbs(self, actions: Iterable[str]) -> tuple[Verb, ...]:
        # all of AWS is more than any verb says
        return () if self.words.covers is inclusion.resource_covers and "*" in actions else self.words.verbs

    def difference(
        self,
        who: Who,
        what: str,
        actions: Collection[str],
        may: bool,
        held: Callable[[Actions], bool | None] | None = None,
    ) -> Difference:
        denying = " or ".join(sorted({deny.name for deny in self.more.denies if self.overlaps(deny, who, actions)}))
        note = f"which {denying} may have denied before" if self.losing else f"unless {denying} denies it"
        notes = [note] if denying else []
        known = [action for action in actions if not action.startswith("!")]
        kept: list[Who] = []
        if held or known:
            kept = self.left(
                who, actions, held or (lambda allowed: all(action_covered(allowed, item) for item in known))
            )
            notes += self.said(who, kept)
        notes.sort(key=lambda note: not note.startswith("except "))  # of what is lost, not of a Deny
        if self.losing and not may:
            some = held or (lambda allowed: any(action_covered(allowed, item) for item in inclusion.widest(known)))
            may = some(self.perhaps(who, kept)) is not False
        return Difference(who, what, may or bool(who.other), ", ".join(notes))

    def said(self, who: Who, kept: Collection[Who]) -> Iterator[str]:
        if kept and self.losing:
            yield from self.words.still(who, kept)
        elif kept and self.words is ECR:  # of resources, what comes beside others is more of them
            yield COULD_ALREADY.format(named(kept))

    def left(self, who: Who, actions: Collection[str], held: Callable[[Actions], bool | None]) -> list[Who]:
        """Which of those that gain or lose it have it without that, and are not denied it: a role of the account, say."""
        kept: list[Who] = []
        sure = self.reach(self.base, who)[0]
        for item, allowed in self.base.allows.items():
            both = self.shared(who, item)
            if both is None or both == who or not held(self.undenied(both, allowed | sure, actions)):
                continue
            # what another one covers is said with that
            if not any(self.covers(one, both) is True for one in kept):
                kept = [one for one in kept if self.covers(both, one) is not True] + [both]
        return kept

    def shared(self, who: Who, one: Who) -> Who | None:
        """What both are about, where that is known: of principal, place and conditions each, one side includes the other."""
        if not (who.principal and one.principal) or who.other or one.other:
            return one if self.covers(who, one) is True else None
        covers, own, placed = self.words.covers, self.own, inclusion.pattern_covers
        within, around = inclusion.conditions_cover(who, one) is True, inclusion.conditions_cover(one, who) is True
        # of everyone in an organization, nobody knows whether an account is one
        narrower = covers(who.principal, one.principal, own) is True and (within or not inclusion.of_principals(who))
        wider = covers(one.principal, who.principal, own) is True and (around or not inclusion.of_principals(one))
        inside, outside = (a == b or placed(a, b) is True for a, b in ((who.place, one.place), (one.place, who.place)))
        if not ((narrower or wider) and (within or around) and (inside or outside)):
            return None
        return Who(
            (one if narrower else who).principal,
            # of a resource, what narrows it is said before
            (one if within or covers is inclusion.resource_covers else who).conditions,
            place=(one if inside else who).place,
        )

    def perhaps(self, who: Who, kept: Collection[Who]) -> Actions:
        """What some of those that lose something may still be allowed, beside those that are said to keep it: an account that may be
        in an organization, say, or a place that only crosses theirs."""
        found = set(self.reach(self.base, who)[0])
        for item, allowed in self.base.allows.items():
            if self.of_all(who) and not self.of_all(item):
                continue  # whatever some have, not everyone has it any more
            if self.meet(item, who) and not any(self.around(one, who, item) for one in kept):
                found |= {action for action in allowed if not self.surely_denied(item, action)}
        return frozenset(action for action in found if not self.surely_denied(who, action))

    def of_all(self, who: Who) -> bool:
        """Whether it is about everyone, be it under conditions that don't say who they are."""
        return (
            who.principal == "*"
            and self.words.covers is not inclusion.resource_covers
            and not inclusion.of_principals(who)
        )

    def around(self, one: Who, who: Who, other: Who) -> bool:
        """Whether one includes all that two others share."""
        both, covers = (who, other), self.words.covers
        return (
            any(one.place == item.place or inclusion.pattern_covers(one.place, item.place) for item in both)
            and any(covers(one.principal, item.principal, self.own) for item in both if item.principal)
            and any(inclusion.conditions_cover(one, item) for item in both)
        )

    def meet(self, one: Who, other: Who) -> bool:
        """Whether there may be anybody (or any resource) whom both are about."""
        if not inclusion.patterns_meet(one.place, other.place) or not inclusion.conditions_meet(one, other):
            return False
        if not one.principal or not other.principal:
            return not any(
                inclusion.pattern_covers(no, b.principal)
                for a, b in ((one, other), (other, one))
                for no in resources_but(a)
            )
        covers = self.words.covers
        if covers is inclusion.resource_covers:
            return inclusion.arns_meet(one.principal, other.principal)
        return (covers(one.principal, other.principal, ""), covers(other.principal, one.principal, "")) != (
            False,
            False,
        )

    def surely_denied(self, who: Who, action: str) -> bool:
        """Whether the base denies an action to all of who it is."""
        return any(_denied(deny.actions, action) and self.covers(deny.who, who) is True for deny in self.base.denies)

    def undenied(self, who: Who, allowed: Actions, actions: Collection[str]) -> Actions:
        """Which of these actions somebody has: they are allowed, and no statement of the base denies them to all of who it is."""
        denied = {item for deny in self.base.denies if self.denies(deny, who) for item in deny.actions}
        return frozenset(item for item in actions if action_covered(allowed, item) and not _denied(denied, item))

    def denies(self, deny: Deny, who: Who) -> bool:
        """Whether a Deny may be about all of who it is. What a condition of the request says, is not so of every request."""
        excepted = any(self.words.covers(item, who.principal, self.own) for item in excepted_by(deny.who))
        if excepted or self.covers(replace(deny.who, conditions=()), who) is False:
            return False
        met = inclusion.conditions_cover(deny.who, who)
        return met is True or (met is None and inclusion.of_principals(deny.who))

    def overlaps(self, deny: Deny, who: Who, actions: Iterable[str]) -> bool:
        """Whether a Deny may be about the same principal and actions."""
        about = any(
            action.startswith("!") or action_covered((item,), action) is not False or inclusion.matches(action, item)
            for action in actions
            for item in deny.actions
        )
        return about and self.meet(deny.who, who)

    def denied(self) -> Iterator[Difference]:
        """Denies of the base alone: what they forbade may be allowed now (with `losing`: what they forbid was allowed)."""
        for deny in self.base.denies:
            left = {item for item in deny.actions if not self.still_denied(deny, item)}
            if self.words.alone:
                left = inclusion.common(left, self.allowed(deny))
            if not left:
                continue
            note = f"since {deny.name} denies it" if self.losing else f"which {deny.name} denied"
            said: set[str] = set()
            for verb in self.verbs(left):
                touching = verb.said_of(left)
                if touching:
                    said |= touching
                    yield Difference(deny.who, verb.word, True, note)
            if unsaid := self.unsaid(left, said):
                yield Difference(deny.who, self.words.other.format(inclusion.listed(unsaid)), True, note)

    def allowed(self, deny: Deny) -> Actions:
        """What is allowed to those (on those resources) that the Deny may be about."""
        about = (actions for who, actions in self.more.allows.items() if self.overlaps(deny, who, actions))
        # to log in is on no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
        # so that it is among all but some
        return frozenset().union(*about) - {policy.LOGIN if deny.who.principal not in ("*", "") else ""}

    def unsaid(self, actions: Iterable[str], said: Iterable[str]) -> set[str]:
        members = {item for verb in self.words.verbs for item in verb.members}
        return inclusion.unsaid(actions, said, members)

    def still_denied(self, deny: Deny, action: str) -> bool:
        return any(
            action_covered(item.actions, action) is True and self.covers(item.who, deny.who) is True
            for item in self.more.denies
        )
