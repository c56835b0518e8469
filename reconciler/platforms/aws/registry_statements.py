"""Statements of a registry policy: who can copy images into an account, or have them cached there. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-examples.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.spec.registry import RegistryBase
from reconciler.words import some_of

from . import effective, inclusion, names, policy, sources
from .inclusion import Who
from .policy import Document, Statement
from .replication_spec import ALL
from .spec import AwsRegistry
from .verbs import Verb, Words, principal_of, principals_of

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-create-replication.html
REPLICATION = ("ecr:CreateRepository", "ecr:ReplicateImage")
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
PULL_THROUGH = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
ACTIONS = {"replication": REPLICATION, "pull-through": PULL_THROUGH}
_PARTS = {"replication": "Replication", "pull-through": "PullThrough"}
#: the end of the id of an organization's statement
ORGANIZATION = "Organization"
#: what stands in an id for what only names and prefixes may hold
_LETTERS = str.maketrans({"-": "X", "/": "Y", ".": "Z", "_": "W"})
_OURS = re.compile(r"Reconciler((?:X[a-z0-9]+)+)(Replication|PullThrough)(Organization)?(X[a-zX-Z0-9W]+)?")
#: the type, the prefix, and whether it is for organizations: of each there is one statement
_Key = tuple[str, str, bool]


def sid(registry: str, kind: str, prefix: str, *, organization: bool = False) -> str:
    """The id of a registry's statement: of `images` for replication to `images-*`, `ReconcilerXimagesReplicationXimagesX`."""
    words = "".join(f"X{word}" for word in registry.split("-"))
    end = "" if prefix == ALL else "X" + prefix.translate(_LETTERS)
    return f"Reconciler{words}{_PARTS[kind]}{ORGANIZATION if organization else ''}{end}"


def registry_of(statement_id: str) -> str | None:
    """The registry whose statement it is, by its id; None if it is none of ours."""
    match = _OURS.fullmatch(statement_id)
    return match.group(1)[1:].replace("X", "-") if match else None


def resource(region: str, account: str, kind: str, prefix: str) -> str:
    """The ARN of an account's repositories whose names begin with a prefix, `*` for all."""
    if prefix == ALL:
        return names.repository_arn(account, region, ALL)
    end = "/*" if kind == "pull-through" and not prefix.endswith("/") else "*"
    return names.repository_arn(account, region, f"{prefix}{end}")


def mirror_of(registries: Iterable[RegistryBase], region: str, account: str) -> AwsRegistry | None:
    """The registry of the spec that lets images into an account's region: the first that is there; None if none is."""
    found = (item for item in sorted(registries, key=lambda item: item.name) if isinstance(item, AwsRegistry))
    return next(
        (item for item in found if item.account_id == account and region in item.regions and not item.retired), None
    )


def wanted_by(registries: Iterable[RegistryBase], here: AwsRegistry, region: str) -> tuple[Statement, ...]:
    """The statements that the spec asks for in a region of a registry, in their one form, sorted: its own grants, and what other
    registries that are copied there need."""
    registries = tuple(registries)
    groups: dict[_Key, set[str]] = {}
    for grant in here.registry_policy:
        prefix = grant.prefix or here.name_prefix
        found = {*grant.to.account_ids, *grant.to.principal_arns}
        if found:
            groups.setdefault((grant.type, prefix, False), set()).update(found)
        if grant.to.organization_ids:
            groups.setdefault((grant.type, prefix, True), set()).update(grant.to.organization_ids)
    if mirror_of(registries, region, here.account_id) is here:
        for item in registries:
            copied = isinstance(item, AwsRegistry) and not item.retired and item.copied_to_accounts
            if isinstance(item, AwsRegistry) and copied and (region, here.account_id) in copied:
                groups.setdefault(("replication", item.copied_prefix, False), set()).add(item.account_id)
    return tuple(sorted(policy.normal(_statement(here, region, *key, whom)) for key, whom in groups.items()))


def _statement(
    here: AwsRegistry, region: str, kind: str, prefix: str, organization: bool, whom: Iterable[str], account: str = ""
) -> Document:
    partition = names.partition(region)
    found: Document = {
        "Sid": sid(here.name, kind, prefix, organization=organization),
        "Effect": "Allow",
        "Principal": "*" if organization else {"AWS": sorted(policy.whole(item, partition) for item in whom)},
        "Action": list(ACTIONS[kind]),
        "Resource": [resource(region, account or here.account_id, kind, prefix)],
    }
    if organization:
        found["Condition"] = {"StringEquals": {sources.ORGANIZATION: sorted(whom)}}
    return found


def needed_for(registry: AwsRegistry, region: str, account: str) -> Document:
    """The registry policy that another account needs in a region, so that the registry's images can be copied there."""
    prefix, whom = registry.copied_prefix, [registry.account_id]
    statement = _statement(registry, region, "replication", prefix, False, whom, account)
    return {"Version": "2012-10-17", "Statement": [statement]}


def ours(document: Document, registry: str) -> tuple[Statement, ...]:
    """A registry's statements, in their one form, sorted."""
    return tuple(sorted(policy.normal(item) for item in policy.statements_of(document) if is_of(item, registry)))


def is_of(statement: Document, registry: str) -> bool:
    """Whether a statement is a registry's."""
    return registry_of(str(statement.get("Sid", ""))) == registry


def merged(document: Document, registry: str, wanted: Iterable[Statement], partition: str) -> Document:
    """The document with a registry's statements replaced; all else stays as it is."""
    kept = [item for item in policy.statements_of(document) if not is_of(item, registry)]
    added = [policy.document_of(item, partition) for item in wanted]
    return {"Version": "2012-10-17", **document, "Statement": [*kept, *added]}


def altered(statements: tuple[Statement, ...]) -> str | None:
    """Which part of a registry's statements no spec could ask for, in words; or None."""
    if list(statements) != sorted(set(statements)):
        return "the order of the statements"
    for item in statements:
        usual = item.effect == "Allow" and item.actions in ACTIONS.values() and bool(item.principals)
        arns = resources_of(item)
        whole = len(arns) == 1 and item.other == text({"Resource": arns[0]})
        if not (usual and whole and registry_of(item.sid)) or policy.normal(policy.document_of(item, "aws")) != item:
            return f"the {policy.named(item.sid)}"
    return None


def other_of(statement: Statement) -> Document:
    """What a statement holds that is no usual part of one: NotPrincipal, NotAction, NotResource."""
    found: Document = json.loads(statement.other) if statement.other else {}
    return {key: value for key, value in found.items() if key != "Resource"}


def resources_of(statement: Statement) -> list[str]:
    """The ARNs that a statement is about."""
    other = json.loads(statement.other) if statement.other else {}
    return [str(arn) for arn in policy.listed(other.get("Resource"))]


def reaching(statement: Statement, here: AwsRegistry, region: str) -> bool:
    """Whether a statement may be about repositories whose names begin with the registry's prefix."""
    place = names.repository_arn(here.account_id, region, "")
    found = (rest for arn in resources_of(statement) or [ALL] for rest in inclusion.behind(arn, place))
    return any(inclusion.patterns_meet(rest, f"{here.name_prefix}*") for rest in found if ":" not in rest)


def gains(
    at: Address,
    before: Iterable[Statement],
    after: Iterable[Statement],
    own: str,
    denies: Iterable[Statement] = (),
    place: str = "",
) -> Iterator[Access]:
    """What `after` gives and `before` does not. `own`: the registry's account; `denies`: statements of both that may forbid it;
    `place`: how the ARNs of the repositories begin that the policy is for, "" where that is not known."""
    then, now = _comparable((*denies, *before), (*denies, *after), place)
    return _accesses(at, effective.gains(then, now, own, _WORDS))


def losses(
    at: Address, before: Iterable[Statement], after: Iterable[Statement], own: str, place: str = ""
) -> Iterator[Access]:
    """What `before` gives and `after` does not, with what of it stays."""
    then, now = _comparable(before, after, place)
    return _accesses(at, effective.losses(then, now, own, _WORDS))


def accesses(at: Address, statement: Statement, denies: Iterable[Statement] = (), place: str = "") -> Iterator[Access]:
    """Who can do what because of a statement that allows it. `denies`: others that may forbid it."""
    return gains(at, (), (statement,), "", denies, place)


def _comparable(
    before: Iterable[Statement], after: Iterable[Statement], place: str
) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
    """The statements of two documents of one region, in which each thing is said in one way."""
    then, now = (tuple(map(_usual, these)) for these in (before, after))
    arns = (arn for item in (*then, *now) for arn in resources_of(item))
    # a registry policy is of one region of one account: any resource is any repository there
    whole = place or next((found[0] for arn in arns if (found := _REPOSITORY.match(arn))), "")
    then, now = (tuple(item for item in some if not place or _is_in(item, place)) for some in (then, now))
    return tuple(_whole(item, whole) for item in then), tuple(_whole(item, whole) for item in now)


def _is_in(statement: Statement, place: str) -> bool:
    """Whether a statement may be about anything in a place: one whose resources are all elsewhere gives and denies nothing there."""
    arns = resources_of(statement)
    return not arns or any(_behind(arn, place) for arn in arns)


def _behind(arn: str, place: str) -> set[str]:
    """What an ARN says of names in a place, as whole ARNs; itself where a variable of the policy stands for what only AWS knows."""
    # no name of a repository has a colon, which `*` would match too
    found = {f"{place}{rest}" for rest in inclusion.behind(arn, place) if ":" not in inclusion.without_variables(rest)}
    return found or ({arn} if inclusion.without_variables(arn) != arn else set())


def _whole(statement: Statement, place: str) -> Statement:
    """The statement with what of its resources is in a place, if any is. `place`: how the ARNs of that begin; "": it is not known."""
    found = {one for arn in resources_of(statement) for one in _behind(arn, place)} if place else set()
    if not found:
        return statement
    widest = [one for one in found if not any(inclusion.pattern_covers(other, one) for other in found - {one})]
    return replace(statement, other=text({**json.loads(statement.other), "Resource": sorted(widest or found)}))


def _usual(statement: Statement) -> Statement:
    """The statement with the actions that a registry policy can allow in the place of patterns for them."""
    actions = (
        [known for known in policy.REGISTRY if inclusion.matches(item, known)] or [item] for item in statement.actions
    )
    return replace(statement, actions=tuple(sorted({one for found in actions for one in found})))


def _accesses(at: Address, found: Iterable[effective.Difference]) -> Iterator[Access]:
    for item in found:
        for principal in principals_of(item.who):
            yield Access(principal, f"{item.what} {_into(item.who.place)}", at.registry, "", "", item.may, item.note)


def _still(who: Who, kept: Collection[Who]) -> Iterator[str]:
    """What stays: the same principal's narrower resources, and others that are a part of who loses it."""
    same = [one for one in kept if replace(one, place=who.place) == who]
    if same:
        yield f"except {some_of(sorted({_part(one, who) for one in same}))}"
    others = [one for one in kept if one not in same]
    if others:
        labels = {
            principal_of(one).label + ("" if one.place == who.place else f" (into {_part(one, who)})") for one in others
        }
        yield f"but {some_of(sorted(labels))} still can"


def _part(one: Who, of: Who) -> str:
    """A narrower one's resource, with its region where that isn't the same."""
    place = _into(one.place)
    region = names.arn_part(one.place, 3)
    return place.removesuffix(f" of {region}") if region == names.arn_part(of.place, 3) else place


#: how the ARNs of the repositories of one region of one account begin
_REPOSITORY = re.compile(r"arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/")

_WORDS = Words(
    (
        Verb("replicate images into", ("ecr:ReplicateImage",), REPLICATION, core=True),
        Verb("cache upstream images in", ("ecr:BatchImportUpstreamImage",), PULL_THROUGH, core=True),
    ),
    still=_still,
    placed=True,
)


def _into(arn: str) -> str:
    region, name = names.arn_part(arn, 3), names.arn_part(arn, 5).partition("/")[2]
    where = f" of {region}" if region not in ("", "*") else ""
    return f"{'every repository' if name in ('', ALL) else name}{where}"
