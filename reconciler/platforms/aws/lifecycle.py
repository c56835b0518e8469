"""An ECR lifecycle policy: which images ECR removes by itself. Compared by meaning.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reconciler.model import weakening
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import ExpiresImages, Found, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Kept, Weakening
from reconciler.spec.repository import Repository, Retention
from reconciler.words import Named

from . import preview
from .ledgers import RepositoryLedger, repository_arn
from .lifecycle_rules import sent
from .waiting import waiting

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("LifecyclePolicyNotFoundException", "RepositoryNotFoundException")
#: An image that a rule selects is never expired by a rule of lower priority, so a rule that selects tags and expires only
#: beyond this many images keeps them. It is above the most images that a repository can hold (100,000 by quota).
KEEP = 1_000_000
#: what holds of a rule over any image: it counts those too that rules before it select (rules "can still identify" what others
#: have marked), and removes none of them (what matches the tags of a rule is not expired by one of lower priority):
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html#lp_evaluation_rules
EXCEPT_SELECTED = ", unless an earlier rule selects them"


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """The rules as canonical JSON: sorted by priority, numbered from 1, without descriptions.

    `policy`: the text that is sent, where a spec gives it: with the user's descriptions and numbers. Policies are compared,
    and marked, by their rules alone. Raises ValueError if it says something else than the rules.
    """

    rules: str
    policy: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        try:
            agree = not self.policy or canonical(json.loads(self.policy)) == self.rules
        except (TypeError, AttributeError):  # JSON, and no policy
            agree = False
        if not agree:
            raise ValueError("the policy's text differs from its rules")

    def as_v1(self) -> dict[str, str]:
        """As hashes of version v1 have it: the rules."""
        return {"rules": self.rules}


def settings_of(repository: Repository) -> LifecycleSettings | None:
    """The policy that the spec asks for: the raw one, or one made from retention; None if neither is given."""
    if repository.lifecycle_policy is not None:
        return replace(normal(dict(repository.lifecycle_policy)), policy=sent(repository.lifecycle_policy))
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
    return LifecycleSettings(canonical(policy))


def canonical(policy: dict[str, Any]) -> str:
    """The rules of a policy as canonical JSON."""
    rules = sorted(policy.get("rules", ()), key=lambda rule: int(rule.get("rulePriority", 0)))
    return text([_rule(number, rule) for number, rule in enumerate(rules, 1)])


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


def _kept(settings: LifecycleSettings) -> Kept | None:
    """The retention that the policy's rules are made from; None if they are made from none."""
    days = last = None
    tags: list[str] = []
    for rule in json.loads(settings.rules):
        selection = rule["selection"]
        count = selection.get("countNumber")
        if selection.get("tagStatus") == "untagged":
            days = count
        elif selection.get("tagStatus") == "any":
            last = count
        else:
            tags += selection.get("tagPatternList", ())
    if days is None and last is None:
        return None
    # not validated: what is there may be more than a spec can ask for
    found = Retention.model_construct(keep_last=last, untagged_days=days, keep_tags=tuple(sorted(tags)))
    same = canonical({"rules": rules_of(found)}) == settings.rules
    return Kept(last, days, found.keep_tags) if same else None


class LifecycleKind(Kind, ExpiresImages):
    """The lifecycle policy of one repository in one region."""

    name = "lifecycle"
    settings = LifecycleSettings
    traits = frozenset({Trait.UPSERTS, Trait.INHERITS, Trait.REMEMBERED})
    after = ("repository",)
    permissions = {
        Verb.LIST: ("ecr:GetLifecyclePolicy",),
        Verb.READ: ("ecr:GetLifecyclePolicy", "ecr:ListTagsForResource"),
        Verb.COUNT: preview.PERMISSIONS,
        Verb.CREATE: ("ecr:PutLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource"),
        Verb.UPDATE: ("ecr:PutLifecyclePolicy", "ecr:TagResource"),
        Verb.DELETE: ("ecr:DeleteLifecyclePolicy", "ecr:UntagResource"),
    }

    def shown(self, settings: LifecycleSettings) -> dict[str, Any]:
        rules = json.loads(settings.rules)
        return {f"rule {rule['rulePriority']}": _shown(rule, after=index) for index, rule in enumerate(rules)}

    def weakens(self, before: LifecycleSettings | None, after: LifecycleSettings | None) -> Iterator[Weakening]:
        then = Kept() if before is None else _kept(before)
        now = Kept() if after is None else _kept(after)
        if after is None:
            if before is not None:
                what = f"its images no longer expire by these rules: {_rules_in_words(before)}"
                yield Weakening("retention", what, quiet=True)
        elif then is None or now is None:  # rules that no retention says
            if before != after:
                what = "other images may expire after the apply than before"
                yield Weakening("lifecycle_policy", what, may=True, expires=True)
        else:
            # what the rule for untagged images selects, none after it expires: EXCEPT_SELECTED
            yield from weakening.of_retention(then, now, shields=True)

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        asked: dict[Address, Marks] = {}
        owed: list[Address] = []
        for repository in found["repository"]:
            at = repository.address.sibling(self.name)
            marks = ledger.marks(at)
            # one that somebody made removes images, so it is reported whether the spec wants a policy or not
            if at in wanted or repository.address in wanted or repository.marks.owner == session.owner:
                asked[at] = marks
            if repository.owed and at in wanted:
                owed.append(at)
        lives = {live.address: _reported(live, wanted) for live in _lives(session, asked)}
        for at in owed:  # it comes back with the repository, and is somebody else's then as before
            waits = waiting(session, at.sibling("repository"))
            if waits is not None and waits.lifecycle and at not in lives:
                lives[at] = _live(session, at, waits.lifecycle, Marks())
        yield from lives.values()

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        texts = zip(addresses, ledger.read(addresses), strict=True)
        yield from _lives(session, {at: ledger.marks(at, carried) for at, carried in texts})

    def create(self, session: AwsSession, write: Write) -> Live:
        at = write.desired.address
        with session.ledger(RepositoryLedger).noting(write):
            policy = _text(write.desired.settings)
            answer = session.repository_call("put_lifecycle_policy", at, lifecyclePolicyText=policy)
        return _live(session, at, answer["lifecyclePolicyText"], write.marks)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        if "rules" in write.changed or live.marks.owner is None:
            return self.create(session, write)
        with session.ledger(RepositoryLedger).noting(write):
            return replace(live, marks=write.marks)

    def expiring(self, session: AwsSession, wanted: Sequence[Desired]) -> Mapping[Address, int]:
        return preview.expiring(session, {item.address: _text(item.settings) for item in wanted})

    def take_back(self, session: AwsSession, address: Address) -> None:
        session.ledger(RepositoryLedger).forget(address)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.repository_call("delete_lifecycle_policy", live.address, absent=GONE)
        session.ledger(RepositoryLedger).forget(live.address)


def _text(wanted: LifecycleSettings) -> str:
    """The policy as it is written."""
    return wanted.policy or f'{{"rules":{wanted.rules}}}'


def _reported(live: Live, wanted: Mapping[Address, Desired]) -> Live:
    """A policy that nobody owns and the spec does not want, as something that others put there."""
    if live.address in wanted or live.marks.owner is not None:
        return live
    what = f"a lifecycle policy that was not made from a spec ({_rules_in_words(live.settings)})"
    return replace(live, vacant=True, foreign=(ForeignAccess(live.address, what),))


def _rules_in_words(settings: LifecycleSettings) -> str:
    """What the rules do, in their order; one with anything unusual is given as it is."""
    rules = json.loads(settings.rules)
    return "; ".join(in_words(rule, after=index) or text(rule) for index, rule in enumerate(rules))


def read(session: AwsSession, at: Address) -> str | None:
    """The text of the lifecycle policy of the repository that an address is about; None if it has none."""
    answer = session.repository_call("get_lifecycle_policy", at, absent=GONE)
    return answer["lifecyclePolicyText"] if answer else None


def _lives(session: AwsSession, asked: Mapping[Address, Marks]) -> Iterator[Live]:
    """The policies at these addresses; a mark without a policy is one too. A policy without our mark is nobody's."""
    ahead = session.ahead
    answers = session.map(lambda at: ahead.pop(at) if at in ahead else read(session, at), asked)
    for (at, marks), policy in zip(asked.items(), answers, strict=True):
        if policy is not None or marks.applied is not None:
            yield _live(session, at, policy, marks if marks.applied is not None else Marks())


def _live(session: AwsSession, at: Address, policy: str | None, marks: Marks) -> Live:
    repository = at.sibling("repository")
    return Live(
        address=at,
        kind=LifecycleKind.name,
        settings=normal(json.loads(policy or "{}")),
        marks=marks,
        native=f"{repository_arn(session, at)} (lifecycle policy)",
        needs=(repository,),
        parent=repository,
        vacant=policy is None,
        notes=() if policy else ("the policy was deleted; only its mark is left",),
    )


_WHICH = {"untagged": "untagged images", "any": "images", "tagged": "images tagged"}


def _shown(rule: dict[str, Any], after: int) -> Named | dict[str, Any]:
    words = in_words(rule, after)
    return Named(words) if words else {key: value for key, value in rule.items() if key != "rulePriority"}


def in_words(rule: dict[str, Any], after: int = 0) -> str:
    """What a rule does, for people; "" for one with anything unusual. `after`: how many rules come before it."""
    selection = dict(rule["selection"])
    which = _WHICH.get(selection.pop("tagStatus", ""))
    tags = [*selection.pop("tagPatternList", ()), *(f"{prefix}*" for prefix in selection.pop("tagPrefixList", ()))]
    number, kind, unit = (selection.pop(key, None) for key in ("countNumber", "countType", "countUnit"))
    if which is None or selection or rule.get("action") != {"type": "expire"}:
        return ""
    which = f"{which} {' and '.join(tags)}" if tags else which
    but = EXCEPT_SELECTED if after and which == _WHICH["any"] else ""
    if kind == "imageCountMoreThan":
        if number == KEEP:
            return f"keep {which}"
        return f"remove {which} that are not among the newest {number}{but}"
    if kind == "sinceImagePushed":
        return f"remove {which} {number} {unit} after their push{but}"
    return ""
