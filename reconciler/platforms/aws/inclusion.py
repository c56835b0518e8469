"""Whether one principal, condition, resource or action of a policy includes another. Pure.

Answers: True (proved), False (refuted), None (can't be decided here, since it hangs on what only AWS knows).
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from . import names
from .condition import Condition
from .sources import ANY_VALUE, ORGANIZATION, ORGANIZATION_PATHS, one_source, organization_of, positive

_ARN = frozenset({"ArnEquals", "ArnLike"})
#: keys that a request may or may not have, whoever the principal is, so that such a condition surely narrows
_OF_THE_REQUEST = re.compile(
    r"aws:source(arn|account|orgid|orgpaths|vpc|vpce|vpcarn)|sts:externalid|[\w.-]+(/[\w./-]+)?:(sub|aud|azp)", re.I
)
#: keys of the request that no other condition is about: whether such a condition holds says nothing of the others
_OF_ITSELF = re.compile(r"sts:externalid|[\w.-]+(/[\w./-]+)?:(sub|aud|azp)", re.I)
#: keys that say who the principal is: they surely narrow only what is for everyone
_OF_THE_PRINCIPAL = re.compile(r"aws:principal(account|arn|orgid|orgpaths|type)", re.I)
#: keys that name principals as a policy does
_OF_SOME = re.compile(r"aws:principal(account|arn)", re.I)
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
_VARIABLE = re.compile(r"\$\{[^}]*\}")
#: what stands for a `*` and a `?` of a narrower pattern while a wider one is matched with it
_MANY, _ONE = "\x01", "\x02"


@dataclass(frozen=True, slots=True)
class Who:
    """A principal of a policy (in the form of `Statement.principals`, "" where `other` says who) with its conditions.

    In a policy of permissions `principal` is the resource. `other`: what else the statement holds, as canonical text: it is
    compared as a whole and nothing is known of it. `place`: the resource, in a policy that names resources beside principals.
    """

    principal: str
    conditions: tuple[Condition, ...] = ()
    other: str = ""
    place: str = ""

    @property
    def anything(self) -> bool:
        """Whether it is everyone (every resource), without any condition."""
        return self == Who("*")


def joined(answers: Iterable[bool | None]) -> bool | None:
    """All of them: False if one is, else None if one is."""
    found = set(answers)
    return False if False in found else None if None in found else True


def principal_covers(wide: str, narrow: str, own: str) -> bool | None:
    """Whether what a policy gives to one principal it gives to the other. `own`: the account whose policy it is.

    An account stands for the roles and users in it, which need its permission too; in the policy's own account a role that is
    named needs no other permission, so that naming it may give more than naming the account.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    if wide in (narrow, "*"):
        return True
    if "canonicaluser:" in f"{wide} {narrow}":
        return None  # another name for an account, which only AWS can translate
    account = names.account_of(narrow)
    if narrow == "*" or not account or names.account_of(wide) != account:
        return False
    if wide == account:
        return None if account == own else True
    return _is_session_of(narrow, wide)


def _is_session_of(session: str, role: str) -> bool:
    kind, _, path = names.arn_part(session, 5).partition("/")
    of_role, _, name = names.arn_part(role, 5).partition("/")
    return (kind, of_role) == ("assumed-role", "role") and path.split("/")[0] == name.rpartition("/")[2]


def resource_covers(wide: str, narrow: str, own: str) -> bool | None:
    """Whether one resource pattern includes another: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html"""
    return pattern_covers(wide, narrow)


def conditions_cover(wide: Who, narrow: Who) -> bool | None:
    """Whether all that the narrower one's conditions let through is let through by the wider one's."""
    return joined(_condition_covers(item, narrow) for item in wide.conditions if item not in narrow.conditions)


def conditions_meet(one: Who, other: Who) -> bool:
    """Whether there may be a request that the conditions of both let through."""
    if one_source((*one.conditions, *other.conditions)) is False:
        return False
    return all(_conditions_meet(a, b) for a in one.conditions for b in other.conditions)


def _conditions_meet(one: Condition, other: Condition) -> bool:
    ours, theirs = _organizations(one), _organizations(other)
    if ours and theirs and not ours & theirs:  # an account is in one organization
        return False
    if one.key.lower() != other.key.lower() or not all(positive(item.operator, "") for item in (one, other)):
        return True
    literal = one.operator == other.operator == "StringEquals"
    return any(
        a == b or "${" in a + b or (not literal and patterns_meet(a, b)) for a in one.values for b in other.values
    )


def _organizations(condition: Condition) -> set[str]:
    """The organizations that a condition asks for, one of them; nothing where it doesn't, or where that isn't known."""
    prefix = {ORGANIZATION: "", ORGANIZATION_PATHS: ANY_VALUE}.get(condition.key)
    if prefix is None or not positive(condition.operator, prefix):
        return set()
    found = {organization_of(item, condition.key) for item in condition.values}
    return set() if "" in found else found


def of_some(who: Who) -> bool:
    """Whether it is everyone with a condition that may mean just some accounts, roles or users."""
    return who.principal == "*" and any(_OF_SOME.fullmatch(item.key) for item in who.conditions)


def of_principals(who: Who) -> bool:
    """Whether its conditions say who the principal is."""
    return any(_OF_THE_PRINCIPAL.fullmatch(item.key) for item in who.conditions)


def _condition_covers(wide: Condition, narrow: Who) -> bool | None:
    prefix = ANY_VALUE if wide.operator.startswith(ANY_VALUE) else ""
    if not positive(wide.operator, prefix):
        return None
    same = [
        item for item in narrow.conditions if item.key.lower() == wide.key.lower() and positive(item.operator, prefix)
    ]
    answers = [_values_cover(wide, item) for item in same]
    if True in answers:
        return True
    if not same and (told := _organization_covers(wide, narrow)) is not None:
        return told
    others = [item for item in narrow.conditions if item not in same and not _OF_ITSELF.fullmatch(item.key)]
    # a source has an ARN and an account: asking for its own account too takes nothing away
    others = [item for item in others if one_source((*same, item)) is not True]
    # what other conditions let through may be just that
    if others and not _OF_ITSELF.fullmatch(wide.key):
        return None
    if same:
        return False if answers == [False] else None
    everyones = narrow.principal == "*" and _OF_THE_PRINCIPAL.fullmatch(wide.key)
    return False if everyones or _OF_THE_REQUEST.fullmatch(wide.key) else None


def _organization_covers(wide: Condition, narrow: Who) -> bool | None:
    """Whether an organization, or what is below one of its paths, includes the other; None where they aren't those two.

    Whoever has a path of an organization is in it. Accounts may be in an organization outside each of its units.
    """
    one = narrow.conditions[0] if len(narrow.conditions) == 1 else None
    if narrow.principal != "*" or one is None:
        return None
    if (wide.key, one.key) == (ORGANIZATION, ORGANIZATION_PATHS) and positive(one.operator, ANY_VALUE):
        mine = [organization_of(path) for path in one.values]
        return joined(_value_covered(name, "StringEquals", wide) if name else None for name in mine)
    if (wide.key, one.key) == (ORGANIZATION_PATHS, ORGANIZATION) and positive(one.operator, ""):
        mine = [organization_of(name, ORGANIZATION) for name in one.values]
        apart = [organization_of(path) not in ("", *mine) or "/ou-" in path for path in wide.values]
        return False if all(mine) and all(apart) else None
    return None


def _values_cover(wide: Condition, narrow: Condition) -> bool | None:
    return joined(_value_covered(item, narrow.operator, wide) for item in narrow.values)


def _value_covered(value: str, operator: str, wide: Condition) -> bool | None:
    operators = wide.operator.removeprefix(ANY_VALUE), operator.removeprefix(ANY_VALUE)
    answers = {_one_covers(item, operators[0], value, operators[1]) for item in wide.values}
    return True if True in answers else None if None in answers else False


def _one_covers(wide: str, wide_operator: str, narrow: str, narrow_operator: str) -> bool | None:
    if wide == narrow and (wide_operator == narrow_operator or not re.search(r"[*?]", wide)):
        return True
    if "${" in wide or "${" in narrow:
        return None  # a policy variable
    if wide_operator == "StringEquals":
        return wide == narrow if narrow_operator == "StringEquals" else None if re.search(r"[*?]", narrow) else False
    literal = narrow_operator == "StringEquals"
    if wide_operator not in _ARN:
        return pattern_covers(wide, narrow, literal=literal)
    parts, of_narrow = wide.split(":", 5), narrow.split(":", 5)
    if len(parts) != 6 or len(of_narrow) != 6:
        return None
    if narrow_operator not in _ARN and not literal and "*" in narrow:
        return None  # its star may stand for several parts of the ARN
    return joined(pattern_covers(a, b, literal=literal) for a, b in zip(parts, of_narrow, strict=True))


@lru_cache(maxsize=4096)
def pattern_covers(wide: str, narrow: str, *, literal: bool = False) -> bool | None:
    """Whether one pattern of `*` and `?` matches all that another (with `literal`: just that text) matches."""
    if wide == narrow and not literal:
        return True
    symbols = narrow if literal else narrow.replace("*", _MANY).replace("?", _ONE)
    if _matcher(wide).match(symbols):
        return True
    sample = narrow if literal else narrow.replace("*", "zQ7").replace("?", "Z")
    return None if _matcher(wide).match(sample) else False


def patterns_meet(one: str, other: str) -> bool:
    """Whether there may be a text that both patterns match."""
    one, other = (without_variables(item) for item in (one, other))
    starts = [re.split(r"[*?]", item)[0] for item in (one, other)]
    ends = [re.split(r"[*?]", item)[-1] for item in (one, other)]
    if not (is_pattern(one) or is_pattern(other)):
        return one == other
    begins = starts[0].startswith(starts[1]) or starts[1].startswith(starts[0])
    return begins and (ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])) and _meet(one, other)


def without_variables(pattern: str) -> str:
    """The pattern with a `*` for each variable of a policy."""
    return _VARIABLE.sub("*", pattern)


def arns_meet(one: str, other: str) -> bool:
    """Whether there may be a resource that both patterns match: each part of an ARN is matched by itself."""
    parts = [item.split(":", 5) for item in (one, other)]
    if any(len(item) < 6 for item in parts):
        return patterns_meet(one, other)
    return all(patterns_meet(a, b) for a, b in zip(*parts, strict=True))


@lru_cache(maxsize=4096)
def _meet(one: str, other: str) -> bool:
    # how much of the one can be behind what is read of the other, letter by letter
    at = {0}
    for letter in f"{other}\0":
        at = _through(one, at)
        if letter == "\0":
            return len(one) in at
        if letter == "*":
            at = set(range(min(at), len(one) + 1)) if at else set()
        else:
            at = {
                index if one[index] == "*" else index + 1
                for index in at
                if index < len(one) and (one[index] in ("*", "?", letter) or letter == "?")
            }
    return False


def _through(pattern: str, at: set[int]) -> set[int]:
    """With where one is behind each `*` that may stand for nothing."""
    found = set(at)
    for index in sorted(at):
        while index < len(pattern) and pattern[index] == "*":
            index += 1
            found.add(index)
    return found


def behind(pattern: str, start: str) -> set[str]:
    """What of a pattern is left behind a text with which all begins that it is asked about; nothing where it matches none of that."""
    left = {pattern}
    for char in start:
        ahead: set[str] = set()
        for item in left:
            rest = item.lstrip("*")
            if rest != item:
                ahead.add(f"*{rest}")
            if rest[:1] in (char, "?"):
                ahead.add(rest[1:])
        left = ahead
    return left


@lru_cache(maxsize=4096)
def _matcher(pattern: str) -> re.Pattern[str]:
    # fnmatch's expressions don't backtrack, whatever somebody wrote; a bracket means nothing to AWS
    return re.compile(translate(pattern.replace("[", "[[]").replace("?", f"[!{_MANY}]")))


def is_pattern(action: str) -> bool:
    """Whether an action can match more than its own text."""
    return "*" in action or "?" in action


def action_covered(patterns: Collection[str], action: str) -> bool | None:
    """Whether actions include another. All but some (NotAction) are written `!a, b`, and not decided."""
    if action in patterns or "*" in patterns:
        return True
    if any(not item.startswith("!") and matches(item, action) for item in patterns):
        return True
    but = [item for item in patterns if item.startswith("!")]
    if action.startswith("!"):
        return None if patterns else False
    return None if any(not any(matches(no, action) for no in item[1:].split(", ")) for item in but) else False


def common(one: Collection[str], other: Collection[str]) -> set[str]:
    """The actions that may be in both, by the words of the narrower one."""
    found = {item for item in one if action_covered(other, item) is not False}
    return found | {item for item in other if action_covered(one, item) is not False}


@lru_cache(maxsize=4096)
def matches(pattern: str, action: str) -> bool:
    """Whether an action is the pattern or fits it; actions are compared without case."""
    return pattern_covers(pattern.lower(), action.lower()) is True


def known(pattern: str, actions: Iterable[str]) -> bool:
    """Whether there are known actions that the pattern stands for: else nothing that is known comes or goes with it."""
    return is_pattern(pattern) and any(matches(pattern, item) for item in actions if item != pattern)


def unsaid(actions: Iterable[str], said: Iterable[str], members: Iterable[str] = ()) -> set[str]:
    """The actions that were not said: those of a verb, and others that are no part of a pattern that was said."""
    wide = [item for item in said if is_pattern(item)]
    left = set(actions) - set(said)
    return {item for item in left if item in members or not any(matches(one, item) for one in wide)}


def listed(actions: Iterable[str]) -> str:
    """Actions in words: those that none of the others includes."""
    return ", ".join(sorted(f"all but {item[1:]}" if item.startswith("!") else item for item in widest(actions)))


def widest(actions: Iterable[str]) -> set[str]:
    """Those of the actions that none of the others includes."""
    chosen = set(actions)
    return {item for item in chosen if not any(matches(wide, item) for wide in chosen - {item})} or chosen
