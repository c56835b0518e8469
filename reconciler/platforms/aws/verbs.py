"""Words for what statements allow: verbs for actions that belong together, and principals. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from reconciler.model.access import ADMIN, STILL_CAN, Principal
from reconciler.model.canonical import text
from reconciler.words import some_of

from . import inclusion, policy
from .inclusion import Who, action_covered, is_pattern

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
    still: Callable[[Who, Collection[Who]], Iterable[str]] = lambda who, kept: (STILL_CAN.format(named(kept)),)
    placed: bool = False
    alone: bool = False


def principal_of(who: Who) -> Principal:
    """The principals in words, as one; `public` if any of them may be anybody."""
    found = principals_of(who)
    label = " and ".join(item.label for item in found)
    return replace(found[0], label=label, public=any(item.public for item in found))


def excepted_by(who: Who) -> tuple[str, ...]:
    """Those that NotPrincipal leaves out."""
    but = json.loads(who.other).get("NotPrincipal") if who.other else None
    return () if but is None else policy.normal({"Principal": but}).principals


def resources_but(who: Who) -> tuple[str, ...]:
    """Those that NotResource leaves out."""
    but = json.loads(who.other).get("NotResource") if who.other else None
    return tuple(str(arn) for arn in policy.listed(but))


@lru_cache(maxsize=4096)
def principals_of(who: Who) -> tuple[Principal, ...]:
    """The principal in words, with its conditions and what else narrows it, once for each of those that the conditions name."""
    left: dict[str, object] = json.loads(who.other) if who.other else {}
    but = left.pop("NotPrincipal", None)
    suffix = f" (with {', '.join(f'{key} {text(value)}' for key, value in sorted(left.items()))})" if left else ""
    if who.principal or but is None:
        found = policy.who(who.principal or "*", who.conditions)
        return tuple(replace(item, label=item.label + suffix) for item in found)
    names = " and ".join(one.label for item in excepted_by(who) for one in policy.who(item))
    return (Principal(f"anyone but {names}{policy.suffix(who.conditions)}{suffix}", public=True),)


def named(kept: Iterable[Who]) -> str:
    """Principals in words, once each."""
    return some_of(sorted({principal_of(who).label for who in kept}))


ECR = Words(
    (
        Verb("pull", policy.WORKER_PULL, policy.PULL),
        Verb("push", policy.PUSH, policy.PUSH),
        Verb("read", policy.READ, policy.READ, each=True),
        Verb(ADMIN, policy.ADMIN, policy.ADMIN, any_of=True),
    )
)
