"""Grants that share statements, where one for each would make the policy too long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.who_can import lines
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.who_can import chosen, who_can
from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.platforms.aws import policy, shared, statements
from reconciler.platforms.aws.access import AccessKind, AccessSettings, settings_of
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import CATALOG
from reconciler.render.report import report_of
from reconciler.render.sentences import all_gains, all_losses
from reconciler.render.text import joined, plan_lines
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.base import Document

AT = Address("images.access.web")
OTHER = "987654321091"
REGISTRY = AwsRegistry(name="images", platform="aws", account_id=ACCOUNT, region="us-east-1")


def arn(number: int) -> str:
    return f"arn:aws:iam::{OTHER}:role/deployers/team-{number}"


def role(number: int, **fields: Any) -> Document:
    to = {"type": "aws", "role_arns": [arn(number)]}
    return {"name": f"team-{number}", "registry": "images", "to": to, "repositories": ["web"], **fields}


def document_of(aws: AwsSandbox, *grants: Document) -> Document:
    document = aws.document("web")
    document["grants"] = list(grants)
    return document


def written(aws: AwsSandbox) -> list[Document]:
    found = aws.client("ecr").get_repository_policy(repositoryName="images-web")["policyText"]
    return list(json.loads(found)["Statement"])


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def test_eighty_roles_with_a_grant_each_fit_and_each_still_says_its_grants(aws: AwsSandbox) -> None:
    grants = [role(number) for number in range(80)]
    document = document_of(aws, *grants, role(7, name="also"))
    plan = aws.plan(document)
    aws.carry_out(plan)
    there = written(aws)
    of_principal = {arn(number): {f"team-{number}", *(["also"] if number == 7 else [])} for number in range(80)}
    marks = {principal: shared.grants_of(item["Sid"]) for item in there for principal in item["Principal"]["AWS"]}
    assert sorted(marks) == sorted(arn(number) for number in range(80))
    assert all(f"team-{number}" in marks[arn(number)] for number in range(80) if number != 7)
    of_seven = {name for item in there if arn(7) in item["Principal"]["AWS"] for name in shared.grants_of(item["Sid"])}
    assert {"also", "team-7"} <= of_seven
    assert all(len(item["Sid"]) <= shared.MOST_NAMED for item in there)
    for item in there:
        by_principal = [
            name
            for who in item["Principal"]["AWS"]
            for name in sorted(of_principal[who] & {*shared.grants_of(item["Sid"])})
        ]
        assert shared.grants_of(item["Sid"]) == tuple(by_principal), "the names stand in the order of the principals"
    assert aws.plan(document).changes == ()
    (change,) = [item for item in plan.changes if item.kind == "access"]
    assert change.desired is not None
    by = [sids for _, principal, sids in change.desired.settings.shares if principal == arn(7)]
    assert sorted(sid for sids in by for sid in sids) == ["ReconcilerXalso", "ReconcilerXteamX7"]
    saved = loads(dumps(plan), platforms=aws.platforms)
    assert words(saved) == words(plan)
    said = list(lines(chosen(who_can(aws.spec(document), CATALOG), "pull", "web", "team-7 of")))
    who = f"role deployers/team-7 of account {OTHER} can pull web"
    assert said == ["images:", f"  {who} (grant also)", f"  {who} (grant team-7)"]
    document["grants"].pop(3)
    later = words(aws.plan(document))
    assert f"role deployers/team-3 of account {OTHER} can no longer pull web" in later


def test_a_change_of_form_alone_is_no_change_of_access_and_the_plan_says_the_form(aws: AwsSandbox) -> None:
    few = [role(number) for number in range(20)]
    aws.apply(document_of(aws, *few))
    assert len(written(aws)) == 20
    many = [*few, *(role(number) for number in range(20, 40))]
    plan = aws.plan(document_of(aws, *many))
    assert all_losses(plan) == []
    assert [item.text for item in all_gains(plan)] == sorted(
        f"role deployers/team-{number} of account {OTHER} can now pull web" for number in range(20, 40)
    )
    assert "shared by grants: (none) → statement ReconcilerGrantsPull of 29 grants and statement" in words(plan)
    assert "team-3." not in words(plan), "what a grant gives has not changed"
    aws.carry_out(plan)
    assert len(written(aws)) == 2
    plan = aws.plan(document_of(aws, *few))
    assert "shared by grants: statement ReconcilerGrantsPull of 29 grants" in words(plan)
    assert "team-3." not in words(plan)
    assert all_gains(plan) == []
    assert len(all_losses(plan)) == 20
    aws.carry_out(plan)
    assert len(written(aws)) == 20


def test_a_saved_plan_of_shared_statements_is_applied_by_who_reads_no_spec(aws: AwsSandbox) -> None:
    grants = [role(number) for number in range(60)]
    aws.apply(document_of(aws, *grants))
    document = document_of(aws, *grants, role(70))
    saved = dumps(aws.plan(document))
    done = aws.carry_out(loads(saved, platforms=aws.platforms), saved=True, verify=True)
    assert [item.status.value for item in done] == ["done"]
    assert aws.plan(document).changes == ()


def test_a_grant_with_another_name_changes_the_mark_and_nobody_s_access(aws: AwsSandbox) -> None:
    grants = [role(number) for number in range(60)]
    aws.apply(document_of(aws, *grants))
    grants[3]["name"] = "renamed"
    document = document_of(aws, *grants, role(7, name="second"))
    plan = aws.plan(document)
    assert (all_gains(plan), all_losses(plan), len(plan.changes)) == ([], [], 1)
    aws.carry_out(plan)
    names = [name for item in written(aws) for name in shared.grants_of(item["Sid"])]
    assert sorted(names) == sorted(grant["name"] for grant in document["grants"])
    assert aws.plan(document).changes == ()


def test_where_the_names_do_not_fit_either_a_shared_statement_says_what_for(aws: AwsSandbox) -> None:
    grants = [role(number, name=f"deployers-of-the-payments-team-{number}") for number in range(100)]
    document = document_of(aws, *grants)
    aws.apply(document)
    plan = aws.plan(document)
    assert [item["Sid"] for item in written(aws)] == ["ReconcilerGrantsPull"]
    assert plan.changes == ()
    grants[3]["name"] = "renamed"
    plan = aws.plan(document_of(aws, *grants, role(7, name="second")))
    assert (plan.changes, plan.problems) == ((), ()), "nothing on the platform names a grant then"


def test_a_principal_that_is_put_into_a_shared_statement_by_hand_is_drift_that_no_grant_names(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(60)))
    aws.apply(document)
    there = written(aws)
    there[0]["Principal"]["AWS"].append("arn:aws:iam::666666666666:root")
    aws.client("ecr").set_repository_policy(
        repositoryName="images-web", policyText=json.dumps({"Version": "2012-10-17", "Statement": there})
    )
    plan = aws.plan(document)
    assert [item.text for item in all_losses(plan)] == ["account 666666666666 can no longer pull web"]
    assert "grants to pull 2.principals: account 666666666666 → (none)" in words(plan)
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_a_plan_that_says_another_grant_than_there_is_a_principal_for_is_damaged(aws: AwsSandbox) -> None:
    plan = json.loads(dumps(aws.plan(document_of(aws, *(role(number) for number in range(60))))))
    for change in plan["changes"]:
        if change["kind"] == "access":
            change["desired"]["settings"]["shares"][0][1] = arn(99)
    with pytest.raises(ReconcilerError, match="by which grant somebody has access would not be written as shown"):
        loads(json.dumps(plan), platforms=aws.platforms)


def test_what_is_longer_than_a_policy_in_any_form_names_its_grants(aws: AwsSandbox) -> None:
    plan = aws.plan(document_of(aws, *(role(number) for number in range(200))))
    (problem,) = plan.problems
    assert (
        "characters; ECR allows at most 10,240; it is made from the grants team-0, team-1, team-10" in problem.message
    )


_ARNS = st.integers(0, 90).map(arn)
_TARGETS = st.one_of(
    st.fixed_dictionaries({"role_arns": st.lists(_ARNS, min_size=1, max_size=6, unique=True)}),
    st.fixed_dictionaries({"account_ids": st.just([OTHER])}),
    st.fixed_dictionaries({"organization_ids": st.just(["o-a1b2c3d4e5"])}),
    st.fixed_dictionaries(
        {
            "services": st.lists(st.sampled_from(["codebuild", "ecs-tasks", "sagemaker"]), min_size=1, unique=True),
            "source_accounts": st.just([OTHER]),
        }
    ),
    st.fixed_dictionaries({"allowed_service_types": st.just(["worker"]), "account_ids": st.just([OTHER])}),
)
_GRANTS = st.lists(
    st.fixed_dictionaries(
        {
            "to": _TARGETS.map(lambda target: {"type": "aws", **target}),
            "permission": st.sampled_from(["pull", "push-pull"]),
            "also": st.sampled_from([[], ["read"]]),
        }
    ),
    min_size=1,
    max_size=70,
)


@given(_GRANTS)
def test_in_either_form_the_same_principals_can_do_the_same(found: list[Document]) -> None:
    from reconciler.platforms.catalog import Spec
    from reconciler.spec.loader import parse_spec

    document = {
        "version": 1,
        "name": "tests",
        "registries": [{"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}],
        "repositories": [{"name": "web", "registry": "images"}],
        "grants": [{"name": f"g-{number}", "registry": "images", **grant} for number, grant in enumerate(found)],
    }
    grants = parse_spec(json.dumps(document), model=Spec).grants
    settings = settings_of(grants, REGISTRY)
    apart = statements.of_grants(grants, REGISTRY)
    assert allowed(settings.statements) == allowed(apart)
    assert statements.ours(statements.merged({}, settings.statements, "aws")) == settings.statements
    assert AccessKind().altered(settings) is None
    if shared.size_of(apart, "aws") > shared.MOST_APART:
        assert shared.size_of(settings.statements, "aws") < shared.size_of(apart, "aws")
        assert sorted(shared.taken_apart(settings.statements, settings.shares)) == list(apart)
    else:
        assert (settings.statements, settings.shares) == (apart, ())


def allowed(found: tuple[policy.Statement, ...]) -> set[object]:
    """Who may do what under which conditions, one by one."""
    return {
        (principal, action, item.conditions, item.effect, item.other)
        for item in found
        for principal in item.principals
        for action in item.actions
    }


def test_no_grant_s_statement_is_taken_for_a_shared_one() -> None:
    for grant in ("grants", "grants-pull", "pull", "g"):
        assert not shared.is_shared(statements.sid(grant))
        assert statements.grant_of(statements.sid(grant)) == grant
    assert statements.grant_of("ReconcilerGrantsPull") is None
    assert statements.title("ReconcilerGrantsPullPush2") == "grants to pull and push 2"
    named = "ReconcilerGrantsPullPush2YprodXlambdasY2048"
    assert statements.title(named) == "grants to pull and push 2"
    assert shared.grants_of(named) == ("prod-lambdas", "2048")
    assert shared.described(named) == "statement ReconcilerGrantsPullPush2 of 2 grants"
    assert statements.grant_of(named) is None
    assert statements.is_ours(named)


def test_what_two_shared_statements_of_one_sort_hold_beside_what_grants_give_is_shown_for_each() -> None:
    def pull(sid: str, account: str) -> policy.Statement:
        return policy.normal(
            {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": account}, "Action": list(policy.PULL)}
        )

    there = (pull("ReconcilerGrantsPullYa", "111111111111"), pull("ReconcilerGrantsPullYb", "222222222222"))
    shown = AccessKind().shown(AccessSettings(there))
    assert [len(item["principals"]) for item in shown.values() if isinstance(item, dict)] == [1, 1]
    alike = tuple(pull("ReconcilerXa", account * 12) for account in "123")
    shown = AccessKind().shown(AccessSettings(alike))
    assert list(shown) == ["a", "a (2)", "a (3)"]


@pytest.mark.parametrize("count", [10, 31, 32, 40, 60])
@pytest.mark.parametrize("name", ["g{}", "team-{}", "deployers-of-team-{}"])
def test_grants_of_two_services_each_are_as_a_plan_says_they_are(name: str, count: int) -> None:
    from reconciler.platforms.catalog import Spec
    from reconciler.spec.loader import parse_spec

    to = {"type": "aws", "services": ["codebuild", "ecs-tasks"], "source_accounts": [OTHER]}
    document = {
        "version": 1,
        "name": "tests",
        "registries": [{"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}],
        "repositories": [{"name": "web", "registry": "images"}],
        "grants": [{"name": name.format(number), "registry": "images", "to": to} for number in range(count)],
    }
    settings = settings_of(parse_spec(json.dumps(document), model=Spec).grants, REGISTRY)
    assert AccessKind().altered(settings) is None
