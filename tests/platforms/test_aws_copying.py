"""Replication to other accounts, and of everything that an account has."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler import parse_spec
from reconciler.api.plan_file import loads
from reconciler.engine.plan_file import dumps
from reconciler.errors import GuardViolation, PlanRefused, ReconcilerError, SpecError, StalePlan
from reconciler.model.access import Access, Principal
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.platforms.aws.replication import ReplicationKind, ReplicationSettings, settings_of
from reconciler.platforms.aws.replication_rules import rule_of
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import CATALOG
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.base import Document

AT = Address("images.replication.rule")
OTHER, THIRD = "222222222222", "333333333333"
#: of others: for all repositories, as most real rules are, and by prefix
THEIRS_FOR_ALL: Document = {"destinations": [{"region": "ap-south-1", "registryId": THIRD}]}
THEIRS: Document = {
    "destinations": [{"region": "eu-central-1", "registryId": ACCOUNT}],
    "repositoryFilters": [{"filter": "legacy-", "filterType": "PREFIX_MATCH"}],
}


@dataclass
class Refused(Quiet):
    """An operation that is refused."""

    operation: str

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        return Answer(400, {"message": "not authorized"}, "AccessDeniedException")


def copying(aws: AwsSandbox, *repositories: Document | str, **replication: Any) -> Document:
    registry = {"replication": replication} if replication else {}
    return aws.document(*(repositories or ("app-a",)), registry=registry, guards={"max_deletes": "100%"})


def rules(aws: AwsSandbox) -> list[Document]:
    return aws.replication.rules.get("us-east-1", [])


def words(aws: AwsSandbox, document: Document, **wishes: Any) -> str:
    return joined(plan_lines(report_of(aws.plan(document, **wishes))))


FORMS: list[tuple[Document, Document]] = [
    ({"regions": ["eu-west-1"]}, {"destinations": [{"region": "eu-west-1", "registryId": ACCOUNT}]}),
    ({"accounts": [OTHER]}, {"destinations": [{"region": "us-east-1", "registryId": OTHER}]}),
    (
        {"accounts": [{"account_id": OTHER, "regions": ["us-west-2", "us-east-1"]}, THIRD], "regions": ["eu-west-1"]},
        {
            "destinations": [
                {"region": "eu-west-1", "registryId": ACCOUNT},
                {"region": "us-east-1", "registryId": OTHER},
                {"region": "us-east-1", "registryId": THIRD},
                {"region": "us-west-2", "registryId": OTHER},
            ]
        },
    ),
]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(("replication", "rule"), FORMS)
def test_each_form_is_written_as_ecr_has_it_and_read_back(
    aws: AwsSandbox, replication: Document, rule: Document, everything: bool
) -> None:
    aws.replication.rules["us-east-1"] = [copy.deepcopy(THEIRS)]
    document = copying(aws, **replication, filter="all" if everything else "prefix")
    filters: Document = {"repositoryFilters": [{"filter": "images-", "filterType": "PREFIX_MATCH"}]}
    aws.apply(document)
    assert rules(aws) == [THEIRS, {**rule, **({} if everything else filters)}]
    assert aws.plan(document).changes == ()
    regions = {key.partition("/")[0] for key in aws.state()["repositories"]}
    assert regions == {"us-east-1", *replication.get("regions", ())}, "in other accounts nothing is ours"
    aws.apply(document, destroy=True)
    assert aws.state()["roles"] == {}
    assert rules(aws) == [THEIRS]


def test_the_short_form_means_the_same(aws: AwsSandbox) -> None:
    aws.apply(aws.document("app-a", registry={"replication_regions": ["eu-west-1"]}))
    assert aws.plan(copying(aws, regions=["eu-west-1"])).changes == ()


#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication-examples.html (the accounts and regions are ours)
PUBLISHED: list[tuple[Document, Document]] = [
    (
        {"regions": ["us-west-2"], "filter": "all"},
        {"destinations": [{"region": "us-west-2", "registryId": ACCOUNT}]},
    ),
    (
        {"regions": ["us-west-1", "us-west-2"], "filter": "all"},
        {
            "destinations": [
                {"region": "us-west-1", "registryId": ACCOUNT},
                {"region": "us-west-2", "registryId": ACCOUNT},
            ]
        },
    ),
    (
        {"accounts": [{"account_id": OTHER, "regions": ["us-west-2"]}], "filter": "all"},
        {"destinations": [{"region": "us-west-2", "registryId": OTHER}]},
    ),
    (
        {"regions": ["us-west-1"], "filter": "prefix"},
        {
            "destinations": [{"region": "us-west-1", "registryId": ACCOUNT}],
            "repositoryFilters": [{"filter": "prod", "filterType": "PREFIX_MATCH"}],
        },
    ),
]


@pytest.mark.parametrize(("replication", "rule"), PUBLISHED)
def test_the_rules_that_aws_publishes_can_be_said(replication: Document, rule: Document) -> None:
    fields: Document = {"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}
    registry = AwsRegistry.model_validate({**fields, "prefix": "prod", "replication": replication})
    assert not list(registry.faults())
    settings = settings_of(registry)
    assert rule_of(settings.prefix, settings.destinations, ACCOUNT) == rule


WRONG: list[tuple[Document, str]] = [
    (
        {"replication_regions": ["eu-west-1"], "replication": {"regions": ["us-west-2"]}},
        "replication_regions: is the short form of replication: name these regions there",
    ),
    ({"replication": {}}, "replication: copies nothing: give regions, accounts, or both"),
    ({"replication": {"regions": ["us-east-1"]}}, "replication.regions[0]: us-east-1 is the registry's own region"),
    (
        {"replication": {"regions": ["cn-north-1"]}},
        "replication.regions[0]: cn-north-1 is not in the partition aws of us-east-1",
    ),
    ({"replication": {"regions": ["eu-west-1", "eu-west-1"]}}, "replication.regions[1]: 'eu-west-1' is listed twice"),
    (
        {"replication": {"accounts": [ACCOUNT]}},
        f"replication.accounts[0]: {ACCOUNT} is the registry's own account: name its regions in regions",
    ),
    (
        {"replication": {"accounts": [OTHER, {"account_id": OTHER, "regions": ["us-west-2"]}]}},
        f"replication.accounts[1]: account {OTHER} is listed twice: give it one entry with all its regions",
    ),
    (
        {"replication": {"accounts": [{"account_id": OTHER, "regions": ["us-west-2", "us-west-2"]}]}},
        "replication.accounts[0].regions[1]: 'us-west-2' is listed twice",
    ),
    (
        {"replication": {"accounts": [{"account_id": OTHER, "regions": ["us-gov-west-1"]}]}},
        "replication.accounts[0].regions[0]: us-gov-west-1 is not in the partition aws of us-east-1",
    ),
    (
        {"replication": {"accounts": [f"4444444444{number}" for number in range(10, 36)]}},
        "replication: has 26 destinations; ECR replicates to at most 25",
    ),
    (
        {"prefix": "x", "replication": {"accounts": [OTHER]}},
        "prefix: has one character, and the filter of a replication rule has at least 2: give a longer prefix, or remove replication",
    ),
    (
        {"prefix": "", "replication": {"accounts": [OTHER]}},
        "prefix: a replication rule chooses repositories by their prefix, and with an empty one it would copy every repository of the"
        " account: give a prefix, remove replication, or say in replication that this is meant (filter: all)",
    ),
    (
        {"replication": {"accounts": ["12"]}},
        "replication.accounts[0]: '12' must be an AWS account id: 12 digits, quoted",
    ),
]


def text_of(*registries: Document, repositories: tuple[Document, ...] = ()) -> str:
    known = {"platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}
    rows = [{"name": f"r{index}", **known, **row} for index, row in enumerate(registries)]
    return json.dumps({"version": 1, "name": "t", "registries": rows, "repositories": list(repositories)})


def problems(*registries: Document, repositories: tuple[Document, ...] = ()) -> list[str]:
    try:
        parse_spec(text_of(*registries, repositories=repositories))
    except SpecError as error:
        return [f"{item.path}: {item.message}" for item in error.problems]
    return []


@pytest.mark.parametrize(("fields", "says"), WRONG)
def test_what_can_t_be_replicated_is_told_at_its_place(fields: Document, says: str) -> None:
    assert problems(fields) == [f"registries[0].{says}"]


def test_with_all_names_are_free_and_an_account_has_one_such_rule() -> None:
    everything: Document = {"prefix": "", "replication": {"regions": ["eu-west-1"], "filter": "all"}}
    legacy = {"name": "app", "registry": "r0", "native_name": "legacy"}
    assert problems(everything, repositories=(legacy,)) == []
    # another registry's repositories are copied too, as the rule is for all; what they are called is no clash
    assert problems(everything, {"prefix": "r0-x"}) == []
    message, _ = problems(everything, {**everything, "prefix": "b/"})
    assert message == (
        "registries[0]: it replicates all repositories of the account, and so does registry r1 in the same account and region"
        " (us-east-1): an account has one rule for all"
    )
    elsewhere = {"regions": ["us-west-2"], "filter": "all"}
    assert problems(everything, {"prefix": "b/", "region": "us-west-1", "replication": elsewhere}) == []


def test_a_rule_for_all_that_somebody_made_is_a_conflict_also_if_ours_had_a_prefix(aws: AwsSandbox) -> None:
    for before in (None, {"regions": ["eu-west-1"]}):
        aws.reset()
        if before is not None:
            aws.apply(copying(aws, **before))
        there = [*rules(aws), copy.deepcopy(THEIRS_FOR_ALL)]
        aws.replication.rules["us-east-1"] = there
        document = copying(aws, regions=["eu-west-1"], filter="all")
        plan = aws.plan(document)
        assert [problem.address for problem in plan.problems] == [AT]
        assert plan.problems[0].message == (
            "replication rule for all repositories in us-east-1 already exists and has no owner; to adopt it, add --adopt"
            " images.replication.rule to plan and apply"
        )
        with pytest.raises(PlanRefused):
            aws.apply(document)
        assert THEIRS_FOR_ALL in rules(aws)
        aws.apply(document, adopt=[AT])
        assert rules(aws) == [{"destinations": [{"region": "eu-west-1", "registryId": ACCOUNT}]}]
        assert aws.plan(document).changes == ()


def test_a_foreign_rule_for_all_stays_beside_ours_with_a_prefix(aws: AwsSandbox) -> None:
    aws.replication.rules["us-east-1"] = [copy.deepcopy(THEIRS_FOR_ALL)]
    for replication in ({"regions": ["eu-west-1"]}, {"accounts": [OTHER]}, {}):
        document = copying(aws, **replication)
        aws.apply(document)
        assert THEIRS_FOR_ALL in rules(aws)
        assert len(rules(aws)) == (2 if replication else 1)
        assert aws.plan(document).changes == ()


def test_from_a_prefix_to_all_and_back_whenever_that_is_cut_off(aws: AwsSandbox) -> None:
    documents = [copying(aws, regions=["eu-west-1"], filter=name) for name in ("prefix", "all")]
    ends = []
    for document in documents:
        aws.reset()
        aws.apply(document)
        ends.append(aws.state())
    aws.reset()
    aws.apply(documents[0])
    for before, after in ((0, 1), (1, 0)):
        for cut in ("PutReplicationConfiguration", "TagRole", "UntagRole"):
            refused = Refused(cut)
            aws.proxy.behaviours.append(refused)
            aws.carry_out(aws.plan(documents[after]))
            aws.proxy.behaviours.remove(refused)
            aws.apply(documents[before])  # the spec is reverted
            assert aws.state() == ends[before], cut
            assert aws.plan(documents[before]).changes == ()
        aws.apply(documents[after])
        assert aws.state() == ends[after]


def test_a_rule_for_all_that_lost_its_note_with_the_role_is_ours_only_as_it_is_wanted(aws: AwsSandbox) -> None:
    document = copying(aws, regions=["eu-west-1"], filter="all")
    aws.apply(document)
    good = aws.state()
    iam = aws.client("iam")
    for destinations, conflict in ((rules(aws)[0]["destinations"], False), (THEIRS_FOR_ALL["destinations"], True)):
        for inline in iam.list_role_policies(RoleName="images-pull")["PolicyNames"]:
            iam.delete_role_policy(RoleName="images-pull", PolicyName=inline)
        iam.delete_role(RoleName="images-pull")
        aws.replication.rules["us-east-1"] = [{"destinations": destinations}]
        plan = aws.plan(document)
        assert [problem.address for problem in plan.problems] == ([AT] if conflict else [])
        if not conflict:
            aws.apply(document)
            assert aws.state() == good


def test_the_rule_for_all_goes_from_one_registry_to_another_in_two_steps(aws: AwsSandbox) -> None:
    def two(owner: str, *, name: str = "all") -> Document:
        replication = {"regions": ["eu-west-1"], "filter": name}
        rows = [aws.registry(item, **({"replication": replication} if item == owner else {})) for item in ("a", "b")]
        return {"version": 1, "name": "tests", "guards": {"max_deletes": "100%"}, "registries": rows}

    aws.apply(two("a"))
    (problem,) = aws.plan(two("b")).problems
    assert problem.message == (
        "registry a has the account's rule for all repositories until the spec is applied there: do that first, with --target 'a.*'"
    )
    aws.apply(two("b"), targets=["a.*"])
    assert rules(aws) == []
    aws.apply(two("b"))
    assert aws.plan(two("b")).changes == ()
    # a sibling's rule for all makes no plan of ours stale
    plan = aws.plan(
        {**two("b"), "registries": [aws.registry("a", replication_regions=["us-west-2"]), two("b")["registries"][1]]}
    )
    aws.replication.rules["us-east-1"][0]["destinations"] = [{"region": "us-west-1", "registryId": ACCOUNT}]
    assert all(outcome.status.value == "done" for outcome in aws.carry_out(plan, saved=True))


def test_who_gets_copies_is_said_and_guarded(aws: AwsSandbox) -> None:
    document = copying(aws, accounts=[OTHER, {"account_id": THIRD, "regions": ["eu-west-1"]}])
    text = words(aws, document)
    assert f"images: account {OTHER} in us-east-1 can now receive copies of images-*" in text
    assert f"images: account {THIRD} in eu-west-1 can now receive copies of images-*" in text
    assert (
        f"account {THIRD} in eu-west-1 and account {OTHER} in us-east-1 must let the images in: `reconciler output --registry images`"
        " prints the registry policy for that"
    ) in text
    document["guards"]["allowed_accounts"] = [THIRD]
    with pytest.raises(
        GuardViolation, match=f"{OTHER} would have access, and guards.allowed_accounts does not list it"
    ):
        aws.apply(document)
    document["guards"]["allowed_accounts"] = [OTHER, THIRD]
    aws.apply(document)
    text = words(aws, copying(aws, accounts=[OTHER], filter="all"))
    assert f"account {OTHER} in us-east-1 can now receive copies of every repository" in text
    assert f"account {THIRD} in eu-west-1 can no longer receive copies of images-*" in text
    assert "must let" not in text, "it was let in before"
    assert "every repository" not in words(aws, document)


def test_destinations_that_were_changed_by_hand_are_drift_in_the_same_words(aws: AwsSandbox) -> None:
    document = copying(aws, accounts=[OTHER])
    aws.apply(document)
    good = copy.deepcopy(rules(aws))
    rules(aws)[0]["destinations"] = [{"region": "us-east-1", "registryId": THIRD}]
    plan = aws.plan(document)
    (change,) = plan.changes
    assert (change.address, change.cause) == (AT, Cause.DRIFT)
    assert [(item.path, item.old, item.new) for item in change.fields] == [
        ("destinations", [f"us-east-1/{THIRD}"], [f"us-east-1/{OTHER}"])
    ]
    text = words(aws, document)
    assert f"account {THIRD} in us-east-1 can no longer receive copies of images-*" in text
    assert f"account {OTHER} in us-east-1 can now receive copies of images-*" in text
    saved = loads(dumps(plan))
    rules(aws)[0]["destinations"].append({"region": "us-east-1", "registryId": "444444444444"})
    with pytest.raises(StalePlan):
        aws.carry_out(saved, saved=True)
    aws.apply(document)
    assert rules(aws) == good


def test_an_account_s_own_regions_are_no_gain_of_anybody() -> None:
    settings = ReplicationSettings(("eu-west-1", f"us-east-1/{OTHER}"))
    assert list(ReplicationKind().access(AT, settings)) == [
        Access(Principal(f"account {OTHER} in us-east-1", OTHER), "receive copies of images-*", "images", "")
    ]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (ReplicationSettings(("eu-west-1", f"us-east-1/{OTHER}")), None),
        (ReplicationSettings(("eu-west-1",), prefix="*"), None),
        (ReplicationSettings(("eu-west-1",), prefix="t/"), None),
        (ReplicationSettings(("eu-west-1",), prefix="a- b-"), "the prefix"),
        (ReplicationSettings(("eu-west-1",), prefix="a-*"), "the prefix"),
        (ReplicationSettings(()), "the destinations"),
        (ReplicationSettings(("us-west-2", "eu-west-1")), "the destinations"),
        (ReplicationSettings(("eu-west-1/x",)), "the destinations"),
        (ReplicationSettings(("eu-west-1",), rules=2), "what the rule holds beyond its destinations and its filter"),
        (
            ReplicationSettings(("eu-west-1",), other="[{}]"),
            "what the rule holds beyond its destinations and its filter",
        ),
    ],
)
def test_settings_that_no_spec_could_ask_for_are_told(settings: ReplicationSettings, says: str | None) -> None:
    assert ReplicationKind().altered(settings) == says


def test_an_edited_plan_file_copies_to_nobody_else(aws: AwsSandbox) -> None:
    plan = json.loads(dumps(aws.plan(copying(aws, accounts=[OTHER]))))
    (change,) = [item for item in plan["changes"] if item["address"] == AT]
    change["desired"]["settings"]["destinations"] = [f"us-east-1/{THIRD}"]
    with pytest.raises(ReconcilerError):
        aws.carry_out(loads(json.dumps(plan)), saved=True)
    assert rules(aws) == []


def test_output_prints_the_registry_policy_of_each_account_that_gets_copies() -> None:
    replication = {"accounts": [{"account_id": OTHER, "regions": ["eu-west-1"]}], "filter": "all"}
    spec = parse_spec(text_of({"name": "images", "replication": replication}))
    found = {
        item.name: json.loads(item.value)
        for item in CATALOG["aws"].outputs(spec, spec.registries[0])
        if item.address == AT
    }
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-examples.html (all repositories)
    assert found == {
        f"registry_policy_{OTHER}_eu-west-1": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "ReconcilerXimagesReplication",
                    "Effect": "Allow",
                    "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
                    "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
                    "Resource": [f"arn:aws:ecr:eu-west-1:{OTHER}:repository/*"],
                }
            ],
        }
    }


def test_what_leaves_and_what_is_retired_goes_and_the_foreign_stays(aws: AwsSandbox) -> None:
    for leaving in ({}, {"retired": True}):
        aws.reset()
        aws.replication.rules["us-east-1"] = [copy.deepcopy(THEIRS)]
        aws.apply(copying(aws, accounts=[OTHER], filter="all"))
        document = copying(aws)
        document["registries"][0] |= leaving
        (change,) = [item for item in aws.plan(document).changes if item.address == AT]
        assert change.action is Action.DELETE
        assert [access.principal.account for access in change.losses] == [OTHER]
        aws.apply(document)
        assert rules(aws) == [THEIRS]
