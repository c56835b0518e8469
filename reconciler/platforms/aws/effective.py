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

from reconciler.model.access import ADMIN, COULD_ALREADY, STILL_CAN, Principal
from reconciler.model.canonical import text
from reconciler.words import some_of

from . import inclusion, policy
from .condition import Condition
from .inclusion import Who, action_covered, is_pattern
from .policy import Statement
from .sources import ANY_VALUE, one_source, positive

#: a statement's conditions are looked at value by value up to so many combinations, and as one beyond
MOST_COMBINATIONS = 200
Actions = frozenset[str]


@dataclass(frozen=True, slots=True)
class Verb:
    """A word for what `members` allow: it takes all of `needs`, or (`any_of`) one of them.

    `each`: every member is of use by itself, so that the word stands for all of them or for none.
    `core`: it is said of what has one of `needs`: other verbs have the other members too.
    """

    word: str
    needs: tuple[str, ...]
    members: tuple[str, ...]
    any_of: bool = False
    each: bool = False
    core: bool = False

    def held(self, actions: Actions) -> bool | None:
        """Whether these actions are enough for it."""
        answers = [action_covered(actions, item) for item in self.needs]
        if self.any_of:
            return True if True in answers else None if None in answers else False
        return inclusion.joined(answers)

    def said_of(self, actions: Collection[str]) -> set[str]:
        """Those of the actions that the verb says, if it is the word for them. What else a pattern allows is only said by a verb that
        any action is enough for."""
        if (self.each and not set(self.members).issubset(actions)) or (
            self.core and not set(self.needs) & set(actions)
        ):
            return set()
        return {item for item in actions if self._touched(item)}

    def _touched(self, action: str) -> bool:
        return (
            not action.startswith("!")
            and (self.any_of or not is_pattern(action))
            and any(action_covered((action,), item) is not False for item in self.members)
        )


@dataclass(frozen=True, slots=True)
class Words:
    """How a document's actions are said: by verbs, and by `other` (with `{}`) where there is none.

    `still`: what is said where of those that lose something (or of the resources) some keep it. `placed`: whether statements
    name resources beside principals. `alone`: whether nothing else can allow it, so that a Deny only counts for what is allowed here.
    """

    verbs: tuple[Verb, ...]
    other: str = "perform {} on"
    covers: Callable[[str, str, str], bool | None] = inclusion.principal_covers
    still: Callable[[Who, Collection[Who]], Iterable[str]] = lambda who, kept: (STILL_CAN.format(_named(kept)),)
    placed: bool = False
    alone: bool = False


def _named(kept: Iterable[Who]) -> str:
    return some_of(sorted({principal_of(who).label for who in kept}))


ECR = Words(
    (
        Verb("pull", policy.WORKER_PULL, policy.PULL),
        Verb("push", policy.PUSH, policy.PUSH),
        Verb("read", policy.READ, policy.READ, each=True),
        Verb(ADMIN, policy.ADMIN, policy.ADMIN, any_of=True),
    )
)


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
        if not narrow.principal and principal is False:
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
        if held or known:
            notes += self.left(
                who, actions, held or (lambda allowed: all(action_covered(allowed, item) for item in known))
            )
        notes.sort(key=lambda note: not note.startswith("except "))  # of what is lost, not of a Deny
        return Difference(who, what, may or bool(who.other), ", ".join(notes))

    def left(self, who: Who, actions: Collection[str], held: Callable[[Actions], bool | None]) -> Iterator[str]:
        """Who of those that gain or lose it has it without that, and is not denied it: a role of the account, say."""
        kept: list[Who] = []
        for item, allowed in self.base.allows.items():
            some = item != who and self.among(who, item) and held(allowed) and not self.denies_all(item, actions)
            # what another one covers is said with that
            if some and not any(self.covers(one, item) is True for one in kept):
                kept = [one for one in kept if self.covers(item, one) is not True] + [item]
        if kept and self.losing:
            yield from self.words.still(who, kept)
        elif kept and self.words is ECR:  # of resources, what comes beside others is more of them
            yield COULD_ALREADY.format(_named(kept))

    def among(self, who: Who, one: Who) -> bool:
        """Whether the one is some of who it is, here or in more places."""
        everywhere = self.words.placed and inclusion.pattern_covers(one.place, who.place) is True
        return self.covers(replace(who, place=one.place) if everywhere else who, one) is True

    def denies_all(self, who: Who, actions: Collection[str]) -> bool:
        """Whether one statement denies somebody all of these for sure."""
        return any(
            self.covers(deny.who, who) is True and all(action_covered(deny.actions, item) is True for item in actions)
            for deny in self.base.denies
        )

    def overlaps(self, deny: Deny, who: Who, actions: Iterable[str]) -> bool:
        """Whether a Deny may be about the same principal and actions."""
        about = any(
            action.startswith("!") or action_covered((item,), action) is not False or inclusion.matches(action, item)
            for action in actions
            for item in deny.actions
        )
        about = about and inclusion.patterns_meet(deny.who.place, who.place)
        if not about or not deny.who.principal or not who.principal:
            return about
        covers = self.words.covers
        if covers is inclusion.resource_covers:
            return inclusion.patterns_meet(deny.who.principal, who.principal)
        either = (covers(deny.who.principal, who.principal, ""), covers(who.principal, deny.who.principal, ""))
        return either != (False, False)

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
        return frozenset().union(*about) - {policy.LOGIN if deny.who.principal != "*" else ""}

    def unsaid(self, actions: Iterable[str], said: Iterable[str]) -> set[str]:
        members = {item for verb in self.words.verbs for item in verb.members}
        return inclusion.unsaid(actions, said, members)

    def still_denied(self, deny: Deny, action: str) -> bool:
        return any(
            action_covered(item.actions, action) is True and self.covers(item.who, deny.who) is True
            for item in self.more.denies
        )


def principal_of(who: Who) -> Principal:
    """The principals in words, as one; `public` if any of them may be anybody."""
    found = principals_of(who)
    label = " and ".join(item.label for item in found)
    return replace(found[0], label=label, public=any(item.public for item in found))


@lru_cache(maxsize=4096)
def principals_of(who: Who) -> tuple[Principal, ...]:
    """The principal in words, with its conditions and what else narrows it, once for each of those that the conditions name."""
    left: dict[str, object] = json.loads(who.other) if who.other else {}
    but = left.pop("NotPrincipal", None)
    suffix = f" (with {', '.join(f'{key} {text(value)}' for key, value in sorted(left.items()))})" if left else ""
    if who.principal or but is None:
        found = policy.who(who.principal or "*", who.conditions)
        return tuple(replace(item, label=item.label + suffix) for item in found)
    excepted = policy.normal({"Principal": but}).principals
    names = " and ".join(one.label for item in excepted for one in policy.who(item))
    return (Principal(f"anyone but {names}{policy.suffix(who.conditions)}{suffix}", public=True),)
