"""What ECR takes as a lifecycle policy: checked before anything is called. Pure.

Keys, types and values: https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
How rules go together: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html#lp_evaluation_rules
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.spec.fields import Fault
from reconciler.spec.repository import Retention
from reconciler.words import counted, did_you_mean

#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html (lifecyclePolicyText)
LENGTHS = (100, 30_720)
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html (Rules per lifecycle policy)
MAX_RULES = 50
#: `*` in one pattern (tagPatternList)
MAX_WILDCARDS = 4

Loc = tuple[str | int, ...]
_LISTS = ("tagPatternList", "tagPrefixList")
#: count types that take days, and what else each asks for; a count type that is not here is AWS's newest, and left alone
_SINCE = ("sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned")
_COUNTS = ("imageCountMoreThan", *_SINCE)


def sent(policy: Mapping[str, Any]) -> str:
    """A policy of the spec as the text that ECR is sent."""
    return json.dumps(policy, separators=(",", ":"), ensure_ascii=False)


def retention_faults(retention: Retention, at: Loc) -> Iterator[Fault]:
    """What ECR would refuse of the rules that a retention becomes."""
    yield from wildcard_faults(retention.keep_tags, (*at, "keep_tags"), MAX_WILDCARDS)
    others = (retention.keep_last is not None) + (retention.untagged_days is not None)
    if len(set(retention.keep_tags)) + others > MAX_RULES:
        yield Fault(
            (*at, "keep_tags"),
            f"ECR allows at most {MAX_RULES} rules, so at most {MAX_RULES - others} patterns here, each of which is a rule",
        )


def wildcard_faults(patterns: Iterable[str], at: Loc, most: int) -> Iterator[Fault]:
    """Each pattern with more wildcards than ECR takes."""
    for index, pattern in enumerate(patterns):
        if pattern.count("*") > most:
            yield Fault((*at, index), f"'{pattern}' has {pattern.count('*')} wildcards (*); ECR allows at most {most}")


def policy_faults(policy: Mapping[str, Any], at: Loc) -> Iterator[Fault]:
    """What ECR would refuse of a policy."""
    yield from _unknown(policy, ("rules",), at)
    rules = policy.get("rules")
    if not isinstance(rules, list) or not rules:
        yield Fault(at, "needs a list of rules, as ECR's lifecycle policies have")
        return
    if len(rules) > MAX_RULES:
        yield Fault((*at, "rules"), f"has {len(rules)} rules; ECR allows at most {MAX_RULES}")
    valid: list[tuple[int, dict[str, Any]]] = []
    for index, rule in enumerate(rules):
        faults = list(_rule(rule, (*at, "rules", index)))
        yield from faults
        if not faults:
            valid.append((index, rule))
    yield from _together(valid, (*at, "rules"))
    size = len(sent(policy))
    least, most = LENGTHS
    if not least <= size <= most:
        yield Fault(at, f"is {counted(size, 'character')} as JSON; ECR allows {least} to {most}")


def _unknown(found: Mapping[str, Any], known: Sequence[str], at: Loc) -> Iterator[Fault]:
    for key in found:
        if key not in known:
            hint = did_you_mean(key, known) or f" (known: {', '.join(known)})"
            yield Fault((*at, key), f"unknown key{hint}")


def _text(value: object) -> str:
    return "" if isinstance(value, str) else "must be a string"


def _number(value: object) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    hint = ", not a string: remove the quotes" if isinstance(value, str) and value.isdecimal() else ""
    return "" if good else f"must be a whole number{hint or ', 1 or more'}"


def _texts(value: object) -> str:
    good = isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)
    return "" if good else "must be a list of text, and not empty"


def _one_of(*words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value in words:
            return ""
        return f"must be {' or '.join(words)}, not {json.dumps(value)}{did_you_mean(str(value), words)}"

    return check


def _mapping(value: object) -> str:
    return "" if isinstance(value, dict) else "must be a mapping (`key: value`)"


Checks = Mapping[str, Callable[[object], str]]
_RULE: Checks = {"rulePriority": _number, "description": _text, "selection": _mapping, "action": _mapping}
_SELECTION: Checks = {
    "tagStatus": _one_of("tagged", "untagged", "any"),
    "tagPatternList": _texts,
    "tagPrefixList": _texts,
    "storageClass": _text,
    "countType": _text,
    "countUnit": _one_of("days"),
    "countNumber": _number,
}
_ACTION: Checks = {"type": _text, "targetStorageClass": _text}


def _checked(found: Mapping[str, Any], checks: Checks, required: Sequence[str], at: Loc) -> Iterator[Fault]:
    """Unknown keys, keys that are missing, and values of a wrong type."""
    yield from _unknown(found, tuple(checks), at)
    missing = [key for key in required if key not in found]
    if missing:
        yield Fault(at, f"needs {' and '.join(missing)}")
    for key, check in checks.items():
        if key in found and (reason := check(found[key])):
            yield Fault((*at, key), reason)


def _rule(rule: object, at: Loc) -> Iterator[Fault]:
    if not isinstance(rule, dict):
        yield Fault(at, _mapping(rule))
        return
    yield from _checked(rule, _RULE, ("rulePriority", "selection", "action"), at)
    selection, action = rule.get("selection"), rule.get("action")
    if isinstance(selection, dict):
        below = (*at, "selection")
        yield from _checked(selection, _SELECTION, ("tagStatus", "countType", "countNumber"), below)
        yield from _tags(selection, below)
        yield from _count(selection, below)
    if isinstance(action, dict):
        below = (*at, "action")
        yield from _checked(action, _ACTION, ("type",), below)
        if action.get("type") == "transition" and "targetStorageClass" not in action:
            yield Fault(below, "needs targetStorageClass, since its type is transition")


def _tags(selection: Mapping[str, Any], at: Loc) -> Iterator[Fault]:
    status, lists = selection.get("tagStatus"), [name for name in _LISTS if name in selection]
    if len(lists) > 1:
        yield Fault(at, "has tagPatternList and tagPrefixList; ECR allows only one of them in a rule")
    if status == "tagged" and not lists:
        yield Fault(at, "needs tagPatternList or tagPrefixList, since its tagStatus is tagged")
    elif status in ("untagged", "any") and lists:
        yield Fault((*at, lists[0]), f"is only for tagStatus tagged, not {status}")
    patterns = selection.get("tagPatternList")
    if isinstance(patterns, list):
        texts = [item if isinstance(item, str) else "" for item in patterns]
        yield from wildcard_faults(texts, (*at, "tagPatternList"), MAX_WILDCARDS)


def _count(selection: Mapping[str, Any], at: Loc) -> Iterator[Fault]:
    count = selection.get("countType")
    if count in _SINCE and "countUnit" not in selection:
        yield Fault(at, f"needs countUnit (days), since its countType is {count}")
    if count == "imageCountMoreThan" and "countUnit" in selection:
        yield Fault((*at, "countUnit"), f"ECR allows no unit if countType is {count}")
    if count not in _COUNTS:
        return
    place = "archive" if count == "sinceImageTransitioned" else "standard"
    if selection.get("storageClass", "standard") != place:
        here = (*at, "storageClass") if "storageClass" in selection else at
        yield Fault(here, f"storageClass must be {place} if countType is {count}")


def _together(rules: Sequence[tuple[int, dict[str, Any]]], at: Loc) -> Iterator[Fault]:
    """What is wrong between rules, each of which is right by itself."""
    first: dict[int, int] = {}
    groups: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for index, rule in rules:
        priority = rule["rulePriority"]
        if priority in first:
            yield Fault((*at, index, "rulePriority"), f"rules[{first[priority]}] also has priority {priority}")
        first.setdefault(priority, index)
        groups[rule["selection"].get("storageClass", "standard")].append((index, rule))
    for group in groups.values():
        yield from _of_one_class(group, at)


def _of_one_class(rules: Sequence[tuple[int, dict[str, Any]]], at: Loc) -> Iterator[Fault]:
    # one rule for any image, the last, and one for untagged ones:
    # https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_ecr.LifecycleRule.html (rulePriority, tagStatus)
    last = max(rule["rulePriority"] for _, rule in rules)
    untagged: list[int] = []
    prefixes: dict[frozenset[str], int] = {}
    for index, rule in rules:
        selection = rule["selection"]
        status = selection["tagStatus"]
        if status == "any" and rule["rulePriority"] != last:
            yield Fault(
                (*at, index, "rulePriority"),
                f"a rule whose tagStatus is any must come last: its number must be above {last}",
            )
        if status == "untagged":
            if untagged:
                yield Fault(
                    (*at, index), f"rules[{untagged[0]}] is also for untagged images; ECR allows only one such rule"
                )
            untagged.append(index)
        chosen = frozenset(selection.get("tagPrefixList", ()))
        if chosen and chosen in prefixes:
            yield Fault((*at, index, "selection", "tagPrefixList"), f"rules[{prefixes[chosen]}] has the same prefixes")
        prefixes.setdefault(chosen, index)
