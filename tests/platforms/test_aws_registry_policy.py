"""The registry policy: our statements among those of others in the account's one document."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import parse_spec
from reconciler.api.plan_file import loads
from reconciler.engine.plan_file import dumps
from reconciler.errors import GuardViolation, ReconcilerError, SpecError, StalePlan
from reconciler.model.address import Address
from reconciler.model.change import Cause
from reconciler.platforms.aws import policy, registry_statements
from reconciler.platforms.aws.registry_policy import RegistryPolicyKind, settings_of
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import CATALOG
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.platforms.test_aws_copying import Refused
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.base import Document

AT = Address("images.registry_policy.statements")
OTHER, THIRD = "222222222222", "333333333333"
REPLICATION: Document = {"type": "replication", "to": {"account_ids": [OTHER]}}
CACHE: Document = {"type": "pull-through", "to": {"organization_ids": ["o-a1b2c3d4e5"]}, "prefix": "docker-hub"}
FOREIGN: Document = {
    "Sid": "by hand, in words",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{THIRD}:root"},
    "Action": "ecr:ReplicateImage",
    "Resource": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/legacy-*",
}
BASE: Document = {"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}


def letting_in(aws: AwsSandbox, *grants: Document, **registry: Any) -> Document:
    return aws.document(registry={"registry_policy": list(grants), **registry}, guards={"max_deletes": "100%"})


def put(aws: AwsSandbox, *statements: Document, **top: Any) -> None:
    document = {"Version": "2008-10-17", **top, "Statement": list(statements)}
    aws.registry_policies.policies["us-east-1"] = json.dumps(document)


def words(aws: AwsSandbox, document: Document) -> str:
    return joined(plan_lines(report_of(aws.plan(document))))


#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-examples.html: all repositories, several accounts,
#: a prefix; and https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
PUBLISHED: list[tuple[Document, Document]] = [
    (
        {"type": "replication", "to": {"account_ids": ["111122223333"]}, "prefix": "*"},
        {
            "Sid": "ReplicationAccessCrossAccount",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
            "Resource": ["arn:aws:ecr:us-west-2:444455556666:repository/*"],
        },
    ),
    (
        {"type": "replication", "to": {"account_ids": ["111122223333", "777788889999"]}, "prefix": "*"},
        {
            "Sid": "ReplicationAccessCrossAccount",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::777788889999:root"]},
            "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
            "Resource": ["arn:aws:ecr:us-west-2:444455556666:repository/*"],
        },
    ),
    (
        {"type": "replication", "to": {"account_ids": ["111122223333"]}, "prefix": "prod-"},
        {
            "Sid": "ReplicationAccessCrossAccount",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
            "Resource": ["arn:aws:ecr:us-west-2:444455556666:repository/prod-*"],
        },
    ),
    (
        {
            "type": "pull-through",
            "to": {"principal_arns": ["arn:aws:iam::444455556666:user/iam_user"]},
            "prefix": "ecr-public",
        },
        {
            "Sid": "PullThroughCacheFromReadOnlyRole",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::444455556666:user/iam_user"},
            "Action": ["ecr:CreateRepository", "ecr:BatchImportUpstreamImage"],
            "Resource": "arn:aws:ecr:us-west-2:444455556666:repository/ecr-public/*",
        },
    ),
]


@pytest.mark.parametrize(("grant", "statement"), PUBLISHED)
def test_the_statements_that_aws_publishes_can_be_said(grant: Document, statement: Document) -> None:
    fields = {**BASE, "account_id": "444455556666", "region": "us-west-2", "registry_policy": [grant]}
    registry = AwsRegistry.model_validate(fields)
    assert not list(registry.faults())
    settings = settings_of([registry], registry, "us-west-2")
    (ours,) = settings.statements
    assert ours == policy.normal({**statement, "Sid": ours.sid})
    assert RegistryPolicyKind().altered(settings) is None


WRONG: list[tuple[Document, str]] = [
    ({"type": "pull-through", "to": {"account_ids": [OTHER]}}, "prefix: pull-through needs the prefix of the cache"),
    ({"type": "replication", "to": {}}, "to: names nobody: give account_ids, principal_arns or organization_ids"),
    (
        {"type": "replication", "to": {"principal_arns": [f"arn:aws:iam::{OTHER}:role/r"]}},
        "to.principal_arns: images are replicated by an account, not by a role or user: give account_ids",
    ),
    (
        {"type": "replication", "to": {"account_ids": [ACCOUNT]}},
        f"to.account_ids[0]: {ACCOUNT} is the registry's own account, which needs no permission",
    ),
    ({"type": "replication", "to": {"account_ids": [OTHER, OTHER]}}, f"to.account_ids[1]: '{OTHER}' is listed twice"),
    (
        {"type": "pull-through", "prefix": "a", "to": {"principal_arns": [f"arn:aws-cn:iam::{OTHER}:role/r"]}},
        f"to.principal_arns[0]: 'arn:aws-cn:iam::{OTHER}:role/r' is not in the partition aws",
    ),
    ({"type": "replication", "to": {"account_ids": [OTHER]}, "prefix": "A"}, "prefix: 'A' must be what names of ECR"),
]


@pytest.mark.parametrize(("grant", "says"), WRONG)
def test_what_no_registry_policy_can_say_is_told_at_its_place(grant: Document, says: str) -> None:
    document = {"version": 1, "name": "t", "registries": [{**BASE, "registry_policy": [grant]}]}
    with pytest.raises(SpecError) as raised:
        parse_spec(json.dumps(document))
    (problem,) = raised.value.problems
    assert f"{problem.path}: {problem.message}".startswith(f"registries[0].registry_policy[0].{says}")


def test_it_is_made_read_back_and_leaves_and_others_stay_byte_for_byte(aws: AwsSandbox) -> None:
    put(aws, FOREIGN, Id="theirs")
    for grants in ((REPLICATION,), (REPLICATION, CACHE), (CACHE,), ()):
        document = letting_in(aws, *grants)
        aws.apply(document)
        found = aws.registry_policy()
        assert (found["Version"], found["Id"], found["Statement"][0]) == ("2008-10-17", "theirs", FOREIGN)
        assert len(found["Statement"]) == 1 + len(grants)
        assert aws.plan(document).changes == ()


@pytest.mark.parametrize("how", ["left", "retired", "destroyed"])
def test_with_the_last_statement_the_policy_goes(aws: AwsSandbox, how: str) -> None:
    document = letting_in(aws, REPLICATION, CACHE, replication_regions=["eu-west-1"])
    aws.apply(document)
    assert len(aws.registry_policy()["Statement"]) == len(aws.registry_policy("eu-west-1")["Statement"]) == 2
    if how == "destroyed":
        aws.apply(document, destroy=True)
    else:
        change: Document = {"registry_policy": []} if how == "left" else {"retired": True}
        document["registries"][0] |= change
        aws.apply(document)
    assert aws.registry_policy() == aws.registry_policy("eu-west-1") == {}


def test_drift_by_hand_is_healed_and_makes_a_saved_plan_stale(aws: AwsSandbox) -> None:
    document = letting_in(aws, REPLICATION)
    aws.apply(document)
    good = aws.registry_policy()
    bad = copy.deepcopy(good)
    bad["Statement"][0]["Principal"]["AWS"] = f"arn:aws:iam::{THIRD}:root"
    put(aws, *bad["Statement"])
    plan = aws.plan(document)
    (change,) = plan.changes
    assert (change.address, change.cause) == (AT, Cause.DRIFT)
    text = words(aws, document)
    assert f"account {OTHER} can now replicate images into images-* of us-east-1" in text
    assert f"account {THIRD} can no longer replicate images into images-* of us-east-1" in text
    saved = loads(dumps(plan))
    put(aws, *bad["Statement"], FOREIGN)
    with pytest.raises(StalePlan):
        aws.carry_out(saved, saved=True)
    aws.apply(document)
    assert aws.registry_policy()["Statement"] == [FOREIGN, *good["Statement"]]
    put(aws, FOREIGN)
    aws.apply(document)
    assert aws.registry_policy()["Statement"] == [FOREIGN, *good["Statement"]]


def test_two_registries_of_an_account_share_the_document(aws: AwsSandbox) -> None:
    document = letting_in(aws, REPLICATION)
    document["registries"].append(aws.registry("images-eu", registry_policy=[REPLICATION]))
    plan = aws.plan(document)
    assert all(outcome.status.value == "done" for outcome in aws.carry_out(plan, saved=True))
    assert len(aws.registry_policy()["Statement"]) == 2
    assert aws.plan(document).changes == ()
    document["registries"][0]["registry_policy"] = []
    aws.apply(document)
    (left,) = aws.registry_policy()["Statement"]
    assert registry_statements.registry_of(left["Sid"]) == "images-eu"


@pytest.mark.parametrize("cut", ["PutRegistryPolicy", "TagRole", "UntagRole", "DeleteRegistryPolicy"])
def test_cut_off_at_any_write_the_next_run_converges(aws: AwsSandbox, cut: str) -> None:
    chain = [letting_in(aws), letting_in(aws, REPLICATION), letting_in(aws, CACHE), letting_in(aws)]
    for document in chain:
        refused = Refused(cut)
        aws.proxy.behaviours.append(refused)
        aws.carry_out(aws.plan(document))
        aws.proxy.behaviours.remove(refused)
        aws.apply(document)
        assert aws.plan(document).changes == ()
    assert aws.registry_policy() == {}


def test_who_is_let_in_is_said_and_guarded(aws: AwsSandbox) -> None:
    document = letting_in(aws, REPLICATION, CACHE)
    text = words(aws, document)
    assert f"images: account {OTHER} can now replicate images into images-* of us-east-1" in text
    assert (
        "images: any principal of organization o-a1b2c3d4e5 can now cache upstream images in docker-hub/* of us-east-1"
    ) in text
    document["guards"]["allowed_accounts"] = [THIRD]
    document["guards"]["allowed_organizations"] = ["o-zzzzzzzzzz"]
    with pytest.raises(GuardViolation) as raised:
        aws.apply(document)
    assert f"{OTHER} would have access" in str(raised.value)
    assert "organization o-a1b2c3d4e5 would have access" in str(raised.value)


def test_foreign_statements_for_names_of_ours_are_reported(aws: AwsSandbox) -> None:
    document = letting_in(aws, REPLICATION)
    everything = {**FOREIGN, "Sid": "all", "Resource": "*"}
    put(aws, FOREIGN, everything)
    foreign = aws.plan(document).foreign
    assert [(item.address, item.what) for item in foreign] == [(AT, "statement 'all' of the registry policy")]
    assert [item.principal.account for one in foreign for item in one.access] == [THIRD]
    aws.apply(document)
    assert aws.registry_policy()["Statement"][:2] == [FOREIGN, everything]


def test_a_policy_that_is_too_long_is_a_problem_of_the_plan_with_the_numbers(aws: AwsSandbox) -> None:
    grants = [{**REPLICATION, "prefix": f"team-{number}-{'x' * 60}"} for number in range(40)]
    (problem,) = aws.plan(letting_in(aws, *grants)).problems
    assert problem.message.endswith("characters with 0 statements of others; ECR allows at most 10,240")


def test_a_principal_that_ecr_does_not_know_is_looked_for_among_those_of_the_policy(aws: AwsSandbox) -> None:
    class Refuses(Quiet):
        def before(self, call: Call) -> Answer | None:
            if call.operation != "PutRegistryPolicy":
                return None
            # the text is ECR's: pulumi/pulumi-aws#2326
            text = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'"
            return Answer(400, {"message": text}, "InvalidParameterException")

    aws.proxy.behaviours.insert(0, Refuses())
    (failed,) = [
        item for item in aws.carry_out(aws.plan(letting_in(aws, REPLICATION))) if item.status.value == "failed"
    ]
    assert "perhaps one of these does not exist, or not any more: " in failed.message
    assert OTHER in failed.message.splitlines()[-1]


def test_an_edited_plan_file_lets_nobody_do_more(aws: AwsSandbox) -> None:
    plan = json.loads(dumps(aws.plan(letting_in(aws, REPLICATION))))
    (change,) = [item for item in plan["changes"] if item["address"] == AT]
    change["desired"]["settings"]["statements"][0]["actions"] = ["ecr:*"]
    with pytest.raises(ReconcilerError):
        aws.carry_out(loads(json.dumps(plan)), saved=True)
    assert aws.registry_policy() == {}


def two_accounts(**mirror: Any) -> Any:
    source = {**BASE, "replication": {"accounts": [{"account_id": OTHER, "regions": ["eu-west-1"]}, THIRD]}}
    other = {**BASE, "name": "mirror", "account_id": OTHER, "region": "eu-west-1", **mirror}
    return parse_spec(json.dumps({"version": 1, "name": "t", "registries": [source, other]}))


def test_where_the_spec_has_the_other_account_too_its_registry_lets_the_images_in_first() -> None:
    spec = two_accounts()
    source, mirror = spec.registries
    made = {item.address: item for item in CATALOG["aws"].expand(spec, mirror)}
    at = Address("mirror.registry_policy.statements")
    (statement,) = made[at].settings.statements
    assert policy.document_of(statement, "aws") == {
        "Sid": "ReconcilerXmirrorReplicationXimagesX",
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
        "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
        "Resource": f"arn:aws:ecr:eu-west-1:{OTHER}:repository/images-*",
    }
    (rule,) = [item for item in CATALOG["aws"].expand(spec, source) if item.kind == "replication"]
    assert at in rule.needs
    printed = [item.name for item in CATALOG["aws"].outputs(spec, source) if item.name.startswith("registry_policy")]
    assert printed == [f"registry_policy_{THIRD}_us-east-1"]
    elsewhere = two_accounts(region="us-west-2")
    assert not [item for item in CATALOG["aws"].expand(elsewhere, elsewhere.registries[1]) if item.kind == at.kind]


VALUES = st.recursive(st.text(max_size=5) | st.booleans(), lambda below: st.lists(below, max_size=2), max_leaves=4)
STATEMENTS = st.dictionaries(
    st.sampled_from(["Sid", "Effect", "Principal", "NotAction", "Action", "Condition"]), VALUES
)


@given(st.lists(STATEMENTS, max_size=4), st.sampled_from([(), (REPLICATION,), (REPLICATION, CACHE)]))
def test_statements_of_others_of_any_shape_stay(foreign: list[Document], grants: tuple[Document, ...]) -> None:
    registry = AwsRegistry.model_validate({**BASE, "registry_policy": grants})
    wanted = settings_of([registry], registry, "us-east-1").statements
    once = registry_statements.merged({"Id": "x", "Statement": foreign}, "images", wanted, "aws")
    assert once["Statement"][: len(foreign)] == foreign
    assert registry_statements.ours(once, "images") == wanted
    assert registry_statements.merged(once, "images", wanted, "aws") == once
    assert registry_statements.merged(once, "images", (), "aws")["Statement"] == foreign


def test_two_accounts_of_one_spec_are_made_in_order_and_taken_down(aws: AwsSandbox) -> None:
    mirror = {"account_id": OTHER, "assume_role": {"role_arn": f"arn:aws:iam::{OTHER}:role/x"}}
    document = aws.document(registry={"replication": {"accounts": [OTHER]}}, guards={"max_deletes": "100%"})
    document["registries"].append({**aws.registry("mirror"), **mirror})
    aws.registry_policies.policies["us-east-1"] = json.dumps({"Statement": [FOREIGN]})
    assert "must let the images in" not in words(aws, document), "it is let in by this very plan"
    aws.apply(document)
    operations = [call.operation for call in aws.proxy.calls]
    assert operations.index("PutRegistryPolicy") < operations.index("PutReplicationConfiguration")
    assert aws.registry_policy()["Statement"][1]["Sid"] == "ReconcilerXmirrorReplicationXimagesX"
    assert aws.plan(document).changes == ()
    document["registries"][0]["replication"] = {"regions": ["eu-west-1"]}
    aws.apply(document)
    assert aws.registry_policy()["Statement"] == [FOREIGN]
    aws.apply(document, destroy=True)
    assert aws.registry_policy()["Statement"] == [FOREIGN]


@pytest.mark.slow  # the linter takes a second to import
def test_iam_lints_find_nothing_in_what_is_written() -> None:
    from parliament import analyze_policy_string

    grants = [grant for grant, _ in PUBLISHED] + [CACHE]
    registry = AwsRegistry.model_validate({**BASE, "registry_policy": grants})
    wanted = settings_of([registry], registry, "us-east-1").statements
    document = registry_statements.merged({}, "images", wanted, "aws")
    findings = analyze_policy_string(json.dumps(document)).findings
    found = [item for item in findings if item.severity != "MUTED"]
    # the linter knows no resource for this action; AWS publishes it with one (pull-through-cache-iam.html)
    known = [{"action": "ecr:BatchImportUpstreamImage", "required_format": "*"}]
    assert [(item.issue, item.detail) for item in found if item.detail != known] == []


def test_statements_of_a_registry_of_that_name_in_another_spec_are_a_conflict(aws: AwsSandbox) -> None:
    grants = [{"type": "replication", "to": {"account_ids": ["333333333333"]}}]
    theirs = aws.document(
        "theirs", name="others", registry={"roles": False, "region": "eu-west-1", "registry_policy": grants}
    )
    aws.apply(theirs)
    before = aws.registry_policy("eu-west-1")
    mine = [REPLICATION]
    document = aws.document(
        "web", registry={"roles": False, "replication_regions": ["eu-west-1"], "registry_policy": mine}
    )
    plan = aws.plan(document)
    assert [str(item.address) for item in plan.problems] == ["images.registry_policy.statements@eu-west-1"]
    assert aws.registry_policy("eu-west-1") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("XimagesReplication", "XtoolsReplication"), ('"aws"', '"aws-cn"'), ('"aws"', '"aws:iam::6:root,arn:aws"')],
)
def test_an_edited_plan_file_writes_for_no_other_registry_and_partition(aws: AwsSandbox, old: str, new: str) -> None:
    grants = [REPLICATION]
    held = json.loads(dumps(aws.plan(aws.document("web", registry={"registry_policy": grants}))))
    for item in held["changes"]:
        if item["address"] == "images.registry_policy.statements":
            settings = item["desired"]["settings"]
            settings["partition"] = settings.get("partition", "aws")
            item["desired"]["settings"] = json.loads(json.dumps(settings).replace(old, new))
            assert item["desired"]["settings"] != settings
    try:
        edited = loads(json.dumps(held))
    except ReconcilerError:
        return
    aws.carry_out(edited, saved=True)
    assert aws.registry_policy("us-east-1") in (None, {})


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"region": "us-west-2", "registry_policy": [REPLICATION]},
    ],
)
def test_a_statement_with_the_id_of_a_registry_that_has_none_there_is_somebody_else_s(
    aws: AwsSandbox, other: dict[str, Any]
) -> None:
    letting = [{"type": "replication", "to": {"account_ids": [OTHER]}}]
    document = aws.document("web", registry={"registry_policy": letting, "replication_regions": []})
    document["registries"].append({**document["registries"][0], "name": "other", "registry_policy": [], **other})
    aws.apply(document)
    policies = aws.registry_policies.policies
    policy = json.loads(policies["us-east-1"])
    policy["Statement"].append(
        {
            "Sid": "ReconcilerXotherReplicationXimagesX",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{THIRD}:root"},
            "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
            "Resource": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/*",
        }
    )
    policies["us-east-1"] = json.dumps(policy)
    plan = aws.plan(document)
    assert plan.changes == ()
    assert any(THIRD in item.principal.label for found in plan.foreign for item in found.access)
    # whoever has it by that statement gains nothing by one of ours
    more = {**REPLICATION, "to": {"account_ids": [THIRD]}, "prefix": "*"}
    document["registries"][0]["registry_policy"] = [REPLICATION, more]
    assert [change.gains for change in aws.plan(document).changes] == [()]
