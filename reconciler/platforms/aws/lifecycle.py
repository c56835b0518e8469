"""An ECR lifecycle policy: which images ECR removes by itself. Compared by meaning.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Live, Marks, Observation, Scope
from reconciler.spec.repository import Repository, Retention

from . import marks as tagging
from .marks import Tags
from .session import AwsSession

GONE = ("LifecyclePolicyNotFoundException", "RepositoryNotFoundException")
#: An image that a rule selects is never expired by a rule of lower priority, so a rule that selects tags and expires only
#: beyond this many images keeps them. It is above the most images that a repository can hold (100,000 by quota).
KEEP = 1_000_000


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """The rules as canonical JSON: sorted by priority, numbered from 1, without descriptions."""

    rules: str


def settings_of(repository: Repository) -> LifecycleSettings | None:
    """The policy that the spec asks for: the raw one, or one made from retention; None if neither is given."""
    if repository.lifecycle_policy is not None:
        return normal(dict(repository.lifecycle_policy))
    return of_retention(repository.retention) if repository.retention is not None else None


@lru_cache(maxsize=1024)
def of_retention(retention: Retention) -> LifecycleSettings:
    """The policy made from a retention; most repositories of a spec share a few."""
    return normal({"rules": rules_of(retention)})


def rules_of(retention: Retention) -> list[dict[str, Any]]:
    """ECR's rules for a retention. Several patterns in one rule would select only images with all of them: so one each."""
    rules = [
        {"tagStatus": "tagged", "tagPatternList": [pattern], "countType": "imageCountMoreThan", "countNumber": KEEP}
        for pattern in sorted(set(retention.keep_tags))
    ]
    if retention.untagged_days is not None:
        days = retention.untagged_days
        rules.append(
            {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
        )
    if retention.keep_last is not None:  # tagStatus any must come last
        rules.append({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": retention.keep_last})
    return [
        {"rulePriority": number, "selection": selection, "action": {"type": "expire"}}
        for number, selection in enumerate(rules, 1)
    ]


def normal(policy: dict[str, Any]) -> LifecycleSettings:
    """The policy in its one form: what counts is the rules' order, not their numbers, texts, or the order in lists."""
    rules = sorted(policy.get("rules", ()), key=lambda rule: int(rule.get("rulePriority", 0)))
    return LifecycleSettings(text([_rule(number, rule) for number, rule in enumerate(rules, 1)]))


def _rule(number: int, rule: dict[str, Any]) -> dict[str, Any]:
    selection = {
        key: sorted(set(value)) if isinstance(value, list) else value
        for key, value in rule.get("selection", {}).items()
        if value not in (None, [])
    }
    if str(selection.get("countType", "")).startswith("since"):
        selection.setdefault("countUnit", "days")
    rest = {key: value for key, value in rule.items() if key not in ("rulePriority", "description", "selection")}
    return {**rest, "rulePriority": number, "selection": selection}


class LifecycleKind(Kind):
    """The lifecycle policy of one repository in one region."""

    name = "lifecycle"
    settings = LifecycleSettings
    upserts = True

    def shown(self, settings: LifecycleSettings) -> dict[str, Any]:
        return {f"rule {rule['rulePriority']}": in_words(rule) for rule in json.loads(settings.rules)}

    def observe(self, session: AwsSession, scope: Scope, found: Observation) -> Iterator[Live]:
        asked: list[tuple[Address, Tags]] = []
        for at, tags in repositories_of(session, scope, found, self.name):
            key = tagging.applied_key(self.name)
            if key in tags:
                found.recorded[at] = tags[key]
            if key in tags or at in scope.desired or scope.only is not None:
                asked.append((at, tags))
        answers = session.map(lambda item: read(session, item[0]), asked)
        for (at, tags), policy in zip(asked, answers, strict=True):
            if policy is not None or tagging.applied_key(self.name) in tags:
                yield _live(session, at, policy, tagging.inherited(tags, self.name))

    def create(self, session: AwsSession, write: Write) -> Live:
        at = write.desired.address
        with tagging.taken_back(session, write):
            policy = f'{{"rules":{write.desired.settings.rules}}}'
            answer = session.repository_call("put_lifecycle_policy", at, lifecyclePolicyText=policy)
        tagging.record(session, write)
        return _live(session, at, answer["lifecyclePolicyText"], write.marks)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        if write.changed or live.marks.owner is None:
            return self.create(session, write)
        tagging.record(session, write)
        return live

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.repository_call("delete_lifecycle_policy", live.address, absent=GONE)
        tagging.forget(session, live.address)


def repositories_of(session: AwsSession, scope: Scope, found: Observation, kind: str) -> Iterator[tuple[Address, Tags]]:
    """The address of that kind for each repository that was found or asked for, with the repository's tags."""
    if scope.only is not None:
        wanted = sorted(at for at in scope.only if at.kind == kind)
        yield from zip(wanted, session.map(lambda at: tagging.read_tags(session, at), wanted), strict=True)
        return
    for at, tags in found.extra.get("tags", {}).items():
        if at in found.live:
            where = at
            yield Address.of(where.registry, kind, where.name, where.where), tags


def read(session: AwsSession, at: Address) -> str | None:
    """The text of the lifecycle policy of the repository that an address is about; None if it has none."""
    answer = session.repository_call("get_lifecycle_policy", at, absent=GONE)
    return answer["lifecyclePolicyText"] if answer else None


def _live(session: AwsSession, at: Address, policy: str | None, marks: Marks) -> Live:
    where = at
    repository = Address.of(where.registry, "repository", where.name, where.where)
    return Live(
        address=at,
        kind=LifecycleKind.name,
        settings=normal(json.loads(policy or "{}")),
        marks=marks,
        vacant=policy is None,
        notes=() if policy else ("the policy is gone, only its mark is left",),
        native=f"{tagging.repository_arn(session, at)} (lifecycle policy)",
        needs=(repository,),
        parent=repository,
        inherits=True,
    )


_WHICH = {"untagged": "untagged images", "any": "images", "tagged": "images tagged"}


def in_words(rule: dict[str, Any]) -> str:
    """What a rule does, for people; one with anything unusual as its JSON."""
    selection = dict(rule["selection"])
    which = _WHICH.get(selection.pop("tagStatus", ""))
    tags = [*selection.pop("tagPatternList", ()), *(f"{prefix}*" for prefix in selection.pop("tagPrefixList", ()))]
    number, kind, unit = (selection.pop(key, None) for key in ("countNumber", "countType", "countUnit"))
    if which is None or selection or rule.get("action") != {"type": "expire"}:
        return text({key: value for key, value in rule.items() if key != "rulePriority"})
    which = f"{which} {' and '.join(tags)}" if tags else which
    if kind == "imageCountMoreThan":
        return f"keep {which}" if number == KEEP else f"remove {which} beyond the newest {number}"
    if kind == "sinceImagePushed":
        return f"remove {which} {number} {unit} after their push"
    return text({key: value for key, value in rule.items() if key != "rulePriority"})
