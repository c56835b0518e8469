"""What each kind says that it must be allowed, against what the proxy saw it call: no call is undeclared, no permission unused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.kind import Verb
from reconciler.platforms.aws.platform import PLATFORM
from reconciler.platforms.aws.session import AwsSession
from tests.emulators.aws import PrincipalNotFound, Quiet
from tests.emulators.aws_preview import LifecyclePreview
from tests.emulators.proxy import Answer, Call
from tests.platforms.test_aws_documents import normal_rules
from tests.platforms.test_aws_session import Denied
from tests.sandbox.aws import AS_ROLE, ECR, HUB, QUAY, SECRET, TEMPLATE, AwsSandbox
from tests.sandbox.base import Document

HEADER = "x-verb"
KEY = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/mrk-1"}
OTHER_KEY = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/mrk-2"}
#: the kind and the verb that calls are made for; it travels to the proxy as a header
VERB: ContextVar[str] = ContextVar("verb", default="")
#: which function of a kind belongs to which verb
FUNCTIONS = {
    "list": Verb.LIST,
    "read": Verb.READ,
    "count": Verb.COUNT,
    "given_by_others": Verb.COUNT,
    "expiring": Verb.COUNT,
    "create": Verb.CREATE,
    "update": Verb.UPDATE,
    "delete": Verb.DELETE,
    "replace": Verb.REPLACE,
    "release": Verb.RELEASE,
}


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call carries the kind and the verb that it is made for."""

    def within(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if VERB.get():  # a verb that asks another one
                return function(*arguments, **named)
            token = VERB.set(name)
            try:
                result = function(*arguments, **named)
                return iter(tuple(result)) if isinstance(result, Iterator) else result
            finally:
                VERB.reset(token)

        return run

    for kind in PLATFORM.own_kinds.values():
        for function, verb in FUNCTIONS.items():
            original = getattr(kind, function, None)
            if original is not None:
                # on the object: a copy of it that an executor pickles is not asked
                monkeypatch.setitem(vars(kind), function, within(f"{kind.name} {verb.value}", original))

    client = AwsSession.client

    def with_header(self: AwsSession, service: str, region: str = "") -> Any:
        found = client(self, service, region)
        found.meta.events.register("before-call", _note, unique_id="verb")
        return found

    monkeypatch.setattr(AwsSession, "client", with_header)


def _note(params: dict[str, Any], **_: Any) -> None:
    params["headers"][HEADER] = VERB.get() or "none"


def needed(call: Call, with_key: set[str]) -> set[str]:
    """What IAM asks for a call: as a rule the action of its name, and more where tags, keys or a service's own role come along.

    `with_key`: the repositories so far that have a key of their own.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/supported-iam-actions-tagging.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags_roles.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/using-service-linked-roles.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced-iam.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html
    """
    found = {f"{'tag' if call.service == 'tagging' else call.service}:{call.operation}"}
    if call.operation == "CreateRepository" and "kmsKey" in call.body.get("encryptionConfiguration", {}):
        with_key.add(call.body["repositoryName"])
        found |= {"kms:DescribeKey", "kms:CreateGrant"}
    if call.operation == "DeleteRepository" and call.body["repositoryName"] in with_key:
        found.add("kms:RetireGrant")
    if call.operation == "PutReplicationConfiguration" and call.body["replicationConfiguration"]["rules"]:
        found.add("iam:CreateServiceLinkedRole")
    if call.operation == "PutRegistryScanningConfiguration" and call.body["scanType"] == "ENHANCED":
        found |= {
            "inspector2:Enable",
            "inspector2:Disable",
            "inspector2:ListAccountPermissions",
            "iam:CreateServiceLinkedRole",
        }
    if call.operation in ("CreatePullThroughCacheRule", "CreateRepositoryCreationTemplate"):
        found.add("iam:CreateServiceLinkedRole")
    if call.body.get("customRoleArn"):
        found.add("iam:PassRole")
    if call.operation in ("CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"):
        found.add("ecr:CreateRepository")
        found |= {"ecr:PutLifecyclePolicy"} if call.body.get("lifecyclePolicy") else set()
        found |= {"ecr:SetRepositoryPolicy"} if call.body.get("repositoryPolicy") else set()
    if call.operation == "CreateRepository" and call.body.get("tags"):
        found.add("ecr:TagResource")
    if call.operation == "CreateRole" and any(key.startswith("Tags.") for key in call.body):
        found.add("iam:TagRole")
    return found


LET_IN = {
    "Sid": "theirs",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": "ecr:ReplicateImage",
    "Resource": "arn:aws:ecr:us-east-1:123456789012:repository/theirs-*",
}


class LostAnswer(Quiet):
    """The first answer of an operation is lost, after it was carried out."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.lost = False

    def after(self, call: Call) -> Answer | None:
        if call.operation != self.operation or self.lost:
            return None
        self.lost = True
        return Answer(drop=True)


@contextmanager
def behaving(aws: AwsSandbox, behaviour: Any) -> Iterator[None]:
    aws.proxy.behaviours.append(behaviour)
    yield
    aws.proxy.behaviours.remove(behaviour)


def document(aws: AwsSandbox, **registry: Any) -> Document:
    return aws.document(
        {"name": "app-a", "retention": {"keep_last": 3}, "labels": {"team": "a"}},
        {"name": "app-b", "encryption": KEY},
        grants=({"name": "one", "to": aws.target("1")},),
        registry={
            "replication_regions": ["eu-west-1"],
            "scanning": {"type": "enhanced"},
            "pull_through_cache": [HUB, ECR],
            "creation_templates": [{**AS_ROLE, "retention": {"keep_last": 3}}],
            "registry_policy": [{"type": "replication", "to": {"account_ids": ["222222222222"]}}],
            **registry,
        },
        guards={"max_deletes": "100%"},
    )


def live_through_everything(aws: AwsSandbox) -> None:
    """An estate's life: made, changed in every way, read, spoilt by hand, replaced, taken down."""
    ecr, iam = aws.client("ecr"), aws.client("iam")
    with behaving(aws, LostAnswer("CreateRepository")):
        aws.apply(document(aws))
    changed = document(aws, replication_regions=["us-west-2"], trusted_principals=["arn:aws:iam::123456789012:role/ci"])
    changed["repositories"][0] |= {
        "immutable_tags": True,
        "scan_on_push": True,
        "labels": {},
        "retention": {"keep_last": 4},
    }
    changed["grants"][0]["to"] = aws.target("2")
    aws.proxy.stand_ins.append(LifecyclePreview({"images-app-a": 1}))
    fewer = {**changed, "repositories": [{**changed["repositories"][0], "retention": {"keep_last": 1}}]}
    assert any(change.expiring == 1 for change in aws.plan(fewer, count_expiring=True).changes)
    iam.update_role(RoleName="images-pull", MaxSessionDuration=7200)
    # a region is looked at again before its note goes: here, at what may be the registry's by its name
    left = aws.client("ecr", "eu-west-1")
    left.create_repository(repositoryName="images-theirs")
    aws.apply(changed)
    left.delete_repository(repositoryName="images-theirs")
    roles = [f"arn:aws:iam::123456789012:role/r{number}" for number in range(60)]
    assert aws.plan(document(aws, trusted_principals=roles)).problems != ()
    for key in ("reconciler-region-us-east-1", "reconciler-applied-replication-us-east-1"):
        iam.untag_role(RoleName="images-pull", TagKeys=[key])
        iam.tag_role(RoleName="images-pull", Tags=[{"Key": key, "Value": "v1-0000000000000000"}])
    aws.apply(changed)
    # what others put there survives a replacement, and the delete of what is ours beside it
    aws.give_foreign_access("app-a")
    aws.give_foreign_access("app-b")
    ecr.put_lifecycle_policy(repositoryName="images-app-b", lifecyclePolicyText=json.dumps({"rules": normal_rules()}))
    changed["repositories"][1]["encryption"] = OTHER_KEY
    aws.apply(changed)
    changed["grants"] = []
    del changed["repositories"][0]["retention"]
    aws.apply(changed)
    for behaviour in (
        PrincipalNotFound("987654321091", times=1),
        Denied("PutLifecyclePolicy"),
        Denied("CreateRepository", "us-east-1"),  # of what is replaced; its copies come first
    ):
        again = document(aws)
        again["repositories"].append({"name": "app-c", "registry": "images", "retention": {"keep_last": 3}})
        with behaving(aws, behaviour):
            aws.carry_out(aws.plan(again, allow_delete=["images.repository.app-b"]))
        aws.apply(again, allow_delete=["images.repository.app-b"])
        aws.apply(changed)
    # let go of while what others had put there waits, since a replacement was cut off
    again = document(aws)
    again["repositories"][1]["labels"] = {"team": "b"}
    aws.put_foreign_tag("app-b", "team", "infra")
    with behaving(aws, Denied("PutLifecyclePolicy")):
        aws.carry_out(aws.plan(again, allow_delete=["images.repository.app-b"]))
    ecr.delete_repository_policy(repositoryName="images-app-b")
    again["repositories"][1] = {"name": "app-b", "registry": "images", "release": True}
    aws.apply(again)
    assert "PutLifecyclePolicy" in {
        call.operation for call in aws.proxy.calls if call.headers[HEADER] == "repository release"
    }
    for region in ("us-east-1", "eu-west-1"):
        aws.client("ecr", region).delete_repository(repositoryName="images-app-b", force=True)
    aws.apply(changed)
    cache_in_every_way(aws, changed)
    template_in_every_way(aws, changed)
    # other names, beside a rule that may be of any registry
    theirs = {"filter": "theirs/", "filterType": "PREFIX_MATCH"}
    destinations = [{"region": "eu-west-1", "registryId": "123456789012"}]
    rule = {"destinations": destinations, "repositoryFilters": [theirs]}
    aws.replication.rules["us-east-1"].append(rule)
    other = aws.registry("other", retired=True)
    named = {**changed, "registries": [{**changed["registries"][0], "prefix": "names/"}, other]}
    aws.apply(named)
    aws.apply(changed)
    aws.replication.rules["us-east-1"].remove(rule)
    live_without_roles(aws)
    # a statement of somebody else's keeps the registry policy there
    policies = aws.registry_policies.policies
    policies["us-east-1"] = json.dumps({"Statement": [*json.loads(policies["us-east-1"])["Statement"], LET_IN]})
    destroyed = aws.plan(changed, destroy=True, allow_delete=["images.repository.app-a", "images.repository.app-b"])
    ecr.create_repository(repositoryName="theirs")
    aws.carry_out(destroyed, saved=True)
    ecr.delete_repository(repositoryName="theirs")
    assert json.loads(policies.pop("us-east-1"))["Statement"] == [LET_IN]


#: kinds of what an account has one of for each prefix
BY_PREFIX = ("pull_through_cache", "creation_template")


def live_without_roles(aws: AwsSandbox) -> None:
    """The roles go and come back, and the ledger that takes their place moves."""
    ecr = aws.client("ecr")
    nothing: Document = {"pull_through_cache": [], "creation_templates": [], "registry_policy": []}

    def bare(roles: bool = False, **fields: Any) -> Document:
        usual = {
            "name": "bare",
            "replication_regions": ["eu-west-1"],
            "scanning": {"type": "enhanced"},
            "pull_through_cache": [{**QUAY, "prefix": "bare-quay"}],
            "creation_templates": [{**TEMPLATE, "prefix": "bare-quay"}],
            "registry_policy": [{"type": "replication", "to": {"account_ids": ["222222222222"]}}],
        }
        return aws.document(
            {"name": "app-z", "registry": "bare"},
            name="others",
            registry={**usual, "roles": roles, **fields},
            guards={"max_deletes": "100%"},
        )

    with behaving(aws, LostAnswer("CreateRepository")):
        aws.apply(bare())
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/reconciler/bare"
    keys = (
        "",
        "-replication-us-east-1",
        *(f"-{kind}-us-east-1/bare-quay" for kind in BY_PREFIX),
    )
    mark = "v1-0000000000000000"
    wrong = dict.fromkeys([*(f"reconciler-applied{key}" for key in keys), "reconciler-region-us-east-1"], mark)
    # without its filter it would be one that may be anybody's, and stay
    wrong["reconciler-applied-scanning-us-east-1"] = f"{mark} c:bare-+"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": value} for key, value in wrong.items()])
    aws.apply(bare())
    usual = bare()["registries"][0]
    more: Document = {
        "pull_through_cache": [*usual["pull_through_cache"], QUAY],
        "creation_templates": [*usual["creation_templates"], {**TEMPLATE, "prefix": "ROOT"}],
    }
    for refused in ("CreateRepositoryCreationTemplate", "CreatePullThroughCacheRule"):  # the template comes first
        with behaving(aws, Denied(refused)):
            aws.carry_out(aws.plan(bare(**more)))
    aws.apply(bare(pull_through_cache=[{**usual["pull_through_cache"][0], "upstream": "public.ecr.aws"}]))
    # what may be another registry's that has no roles either
    aws.caches.rules["us-east-1"]["ROOT"] = {"ecrRepositoryPrefix": "ROOT", "upstreamRegistryUrl": "quay.io"}
    aws.templates.templates["us-east-1"]["ROOT"] = {"prefix": "ROOT", "appliedFor": ["REPLICATION"]}
    two = bare(**more)
    two["registries"].append(aws.registry("nothing", roles=False))
    assert aws.plan(two).problems != ()
    aws.caches.rules["us-east-1"].pop("ROOT")
    aws.templates.templates["us-east-1"].pop("ROOT")
    aws.apply(bare(prefix="names/", region="us-west-2"))
    aws.apply(bare(prefix="names/"))
    aws.apply(bare())
    aws.apply(bare(roles=True))
    # what is noted on both, where a role stays that could not be deleted
    with behaving(aws, Denied("DeleteRole")):
        aws.carry_out(aws.plan(bare()))
        aws.carry_out(aws.plan(bare(replication_regions=["us-west-2"])))
        aws.carry_out(aws.plan(bare(replication_regions=[], scanning=None, **nothing)))
    aws.apply(bare(roles=True))
    aws.carry_out(aws.plan(bare(), destroy=True), saved=True)
    aws.apply(bare())
    aws.carry_out(aws.plan(bare(), destroy=True), saved=True)


def cache_in_every_way(aws: AwsSandbox, document: Document) -> None:
    """Pull-through cache rules are updated, made anew after somebody deleted them, replaced, and refused."""
    west = {**ECR, "upstream": "123456789012.dkr.ecr.us-west-2.amazonaws.com"}
    quay = {"prefix": "quay", "upstream": "quay.io", "credentials": f"{SECRET}1"}
    for rules in (
        [{**HUB, "credentials": f"{SECRET}2"}, {**ECR, "role_arn": f"{ECR['role_arn']}-more"}, quay],
        [{key: value for key, value in quay.items() if key != "credentials"}, west],
        [HUB, ECR],
    ):
        aws.apply({**document, "registries": [{**document["registries"][0], "pull_through_cache": rules}]})
    aws.caches.rules["us-east-1"].clear()
    aws.apply(document)
    for rules in (
        [HUB, ECR, QUAY],
        [{**HUB, "upstream": "ghcr.io"}, ECR],
    ):  # a new one, and one in the place of another
        with behaving(aws, Denied("CreatePullThroughCacheRule")):
            wanted = {**document["registries"][0], "pull_through_cache": rules}
            aws.carry_out(aws.plan({**document, "registries": [wanted]}))
    # one that may be another registry's
    aws.caches.rules["us-east-1"]["ROOT"] = {"ecrRepositoryPrefix": "ROOT", "upstreamRegistryUrl": "quay.io"}
    wanted = {**document["registries"][0], "pull_through_cache": [HUB, ECR, QUAY]}
    assert aws.plan({**document, "registries": [wanted, aws.registry("other")]}).problems != ()
    aws.caches.rules["us-east-1"].pop("ROOT")


def template_in_every_way(aws: AwsSandbox, document: Document) -> None:
    """Creation templates are updated beside a policy of others, made anew after somebody deleted them, and refused."""
    there = aws.templates.templates["us-east-1"]
    there["docker-hub"]["repositoryPolicy"] = '{"Version":"2012-10-17","Statement":[]}'
    registry = document["registries"][0]
    usual = registry["creation_templates"]
    changed = [{**usual[0], "immutable_tags": True, "role_arn": f"{AS_ROLE['role_arn']}-more"}]
    for templates in (changed, usual):
        aws.apply({**document, "registries": [{**registry, "creation_templates": templates}]})
    there.clear()
    aws.apply(document)
    more = {**document, "registries": [{**registry, "creation_templates": [*usual, {**TEMPLATE, "prefix": "ROOT"}]}]}
    with behaving(aws, Denied("CreateRepositoryCreationTemplate")):
        aws.carry_out(aws.plan(more))
    there["ROOT"] = {"prefix": "ROOT", "appliedFor": ["REPLICATION"]}
    assert aws.plan({**more, "registries": [*more["registries"], aws.registry("other")]}).problems != ()
    there.pop("ROOT")


@pytest.mark.usefixtures("marked")
def test_each_verb_calls_what_it_declares_and_declares_what_it_calls(
    aws: AwsSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for what is kept while a repository is replaced
    live_through_everything(aws)
    assert aws.state() == {"replication": {}, "roles": {}, "repositories": {}}
    seen: dict[str, set[str]] = {}
    with_key: set[str] = set()
    for call in aws.proxy.calls:
        if (
            HEADER not in call.headers
        ):  # the ledger is looked for in other regions in passing, by listing and reading it
            assert call.operation == "ListTagsForResource"
            assert ":repository/reconciler/" in call.body["resourceArn"]
            continue
        seen.setdefault(call.headers[HEADER], set()).update(needed(call, with_key))
    assert seen.pop("none") == {"sts:GetCallerIdentity"}, "only the check of who we are belongs to no kind"
    declared = {
        f"{kind.name} {verb.value}": set(actions)
        for kind in PLATFORM.own_kinds.values()
        for verb, actions in kind.permissions.items()
    }
    assert seen.keys() == declared.keys()
    assert {
        name: (sorted(seen[name] - actions), sorted(actions - seen[name]))
        for name, actions in declared.items()
        if seen[name] != actions
    } == {}


def test_the_documentation_lists_what_the_kinds_declare() -> None:
    text = (Path(__file__).parents[2] / "docs" / "aws.md").read_text().partition("## Permissions")[2]
    to_plan, _, to_apply = text.partition("To apply, also")
    at_login = {"sts:AssumeRole"}  # on the role that the spec names
    reading = {Verb.LIST, Verb.COUNT}
    declared = [
        (verb, set(actions)) for kind in PLATFORM.own_kinds.values() for verb, actions in kind.permissions.items()
    ]
    reads = {"sts:GetCallerIdentity", *at_login}.union(*(actions for verb, actions in declared if verb in reading))
    writes = at_login.union(*(actions for verb, actions in declared if verb not in reading))
    names = re.compile(r"\b(?:ecr|iam|inspector2|kms|sts|tag):[A-Z]\w+")
    assert set(names.findall(to_plan.split("```")[1])) == reads
    assert set(names.findall(to_apply.split("```")[1])) == writes - reads
