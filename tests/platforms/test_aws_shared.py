"""Grants that share statements, where one for each would make the policy too long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.cli.who_can import lines
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.who_can import chosen, who_can
from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.model.change import Cause
from reconciler.platforms.aws import policy, shared, shared_ids
from reconciler.platforms.aws.access import AccessKind
from reconciler.platforms.aws.access_settings import AccessSettings
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import CATALOG
from reconciler.render.report import report_of
from reconciler.render.sentences import all_gains, all_losses
from reconciler.render.text import joined, plan_lines
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.base import Document

PULLS = list(policy.WORKER_PULL)
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


def readable(item: Document) -> dict[str, tuple[str, ...]]:
    """Who has which grants, from one statement as JSON alone: its principals in any order."""
    found = policy.normal(item)
    said = shared_ids.read(found)
    assert said is not None
    return dict(zip(found.principals, said.entries, strict=True))


def put(aws: AwsSandbox, there: list[Document]) -> None:
    aws.client("ecr").set_repository_policy(
        repositoryName="images-web", policyText=json.dumps({"Version": "2012-10-17", "Statement": there})
    )


def test_eighty_roles_with_a_grant_each_fit_and_each_still_says_its_grants(aws: AwsSandbox) -> None:
    grants = [role(number) for number in range(80)]
    document = document_of(aws, *grants, role(7, name="also"))
    plan = aws.plan(document)
    assert "shared by grants: 3 statements that name their grants" in words(plan), "the first plan says the form too"
    aws.carry_out(plan)
    there = written(aws)
    of_principal: dict[str, tuple[str, ...]] = {}
    for item in there:
        item["Principal"]["AWS"].reverse()  # AWS answers them in any order
        of_principal |= readable(item)
    assert of_principal == {
        arn(number): (("also",) if number == 7 else ()) + (f"team-{number}",) for number in range(80)
    }
    assert all(len(item["Sid"]) <= shared_ids.MOST for item in there)
    assert aws.plan(document).changes == ()
    (change,) = [item for item in plan.changes if item.kind == "access"]
    assert change.desired is not None
    by = [sids for _, principal, sids in change.desired.settings.shares if principal == arn(7)]
    assert by == [("ReconcilerXalso", "ReconcilerXteamX7")]
    saved = loads(dumps(plan), platforms=aws.platforms)
    assert words(saved) == words(plan)
    said = list(lines(chosen(who_can(aws.spec(document), CATALOG), "pull", "web", "team-7 of")))
    who = f"role deployers/team-7 of account {OTHER} can pull web"
    assert said == ["images:", f"  {who} (grant also)", f"  {who} (grant team-7)"]
    document["grants"].pop(3)
    later = words(aws.plan(document))
    assert f"role deployers/team-3 of account {OTHER} can no longer pull web" in later
    assert f"team-3.principals: role deployers/team-3 of account {OTHER} → (none)" in later, (
        "its name is on the platform"
    )
    assert "shared by grants" not in later, "the form has not changed"


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
    assert "shared by grants: (none) → 2 statements that name their grants" in words(plan)
    assert "team-3." not in words(plan), "what a grant gives has not changed"
    aws.carry_out(plan)
    assert len(written(aws)) == 2
    plan = aws.plan(document_of(aws, *few))
    assert "shared by grants: 2 statements that name their grants → (none)" in words(plan)
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
    assert f"team-3.principals: role deployers/team-3 of account {OTHER} → (none)" in words(plan)
    assert f"renamed.principals: (none) → role deployers/team-3 of account {OTHER}" in words(plan)
    aws.carry_out(plan)
    names = [name for item in written(aws) for entry in readable(item).values() for name in entry]
    assert sorted(names) == sorted(grant["name"] for grant in document["grants"])
    assert aws.plan(document).changes == ()


def long_named(count: int) -> list[Document]:
    return [role(number, name=f"deployers-of-the-payments-team-{number}") for number in range(count)]


def test_where_the_names_do_not_fit_either_a_code_says_each_grant(aws: AwsSandbox) -> None:
    grants = long_named(100)
    document = document_of(aws, *grants)
    plan = aws.plan(document)
    assert "shared by grants: 3 statements with their grants' codes" in words(plan)
    aws.carry_out(plan)
    found = {principal: entry for item in written(aws) for principal, entry in readable(item).items()}
    assert found == {arn(number): (shared_ids.code_of(grants[number]["name"], 4),) for number in range(100)}
    assert aws.plan(document).changes == ()
    code = shared_ids.code_of(grants[3]["name"], 4)
    grants[3]["name"] = "renamed"
    document = document_of(aws, *grants, role(7, name="second"))
    plan = aws.plan(document)
    (change,) = plan.changes
    assert (all_gains(plan), all_losses(plan), change.cause) == ([], [], Cause.PENDING)
    assert f"renamed.principals: (none) → role deployers/team-3 of account {OTHER}" in words(plan)
    assert f"a grant that the registry no longer has (code {code}) principals: role" in words(plan)
    assert "team-4." not in words(plan)
    saved = loads(dumps(plan), platforms=aws.platforms)
    assert words(saved) == words(plan)
    assert [item.status.value for item in aws.carry_out(saved, saved=True, verify=True)] == ["done"]
    assert aws.plan(document).changes == ()


def test_a_grant_that_is_for_another_repository_now_keeps_its_name_beside_codes(aws: AwsSandbox) -> None:
    grants = long_named(100)
    document = aws.document("web", "other")
    document["grants"] = grants
    aws.apply(document)
    grants[3]["repositories"] = ["other"]
    said = words(aws.plan(document))
    assert f"deployers-of-the-payments-team-3.principals: role deployers/team-3 of account {OTHER} → (none)" in said
    assert "no longer has" not in said


def test_the_ids_of_before_are_ours_and_replaced(aws: AwsSandbox) -> None:
    grants = [role(number) for number in range(60)]
    document = document_of(aws, *grants)
    aws.apply(document)
    there = written(aws)
    names = "".join(f"YteamX{number}" for number in range(60))
    for number, item in enumerate(there, start=1):
        item["Sid"] = f"ReconcilerGrantsPull{number if number > 1 else ''}{names if number > 1 else ''}"
    put(aws, there)
    plan = aws.plan(document)
    assert (all_gains(plan), all_losses(plan), len(plan.changes), plan.foreign) == ([], [], 1, ())
    was = f"{len(there)} statements of an older form"
    assert f"shared by grants: {was} → {len(there)} statements that name their grants" in words(plan)
    assert "team-" not in words(plan)
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_a_principal_that_is_put_into_a_shared_statement_by_hand_is_drift_that_no_grant_names(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(60)))
    aws.apply(document)
    there = written(aws)
    there[0]["Principal"]["AWS"].append("arn:aws:iam::666666666666:root")
    put(aws, there)
    plan = aws.plan(document)
    assert [item.text for item in all_losses(plan)] == ["account 666666666666 can no longer pull web"]
    assert "access to pull that no grant names.principals: account 666666666666 → (none)" in words(plan)
    assert (
        "shared by grants: 2 statements that name their grants and 1 statement changed by hand → 3 statements"
        in words(plan)
    )
    assert "team-" not in words(plan)
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_an_action_that_is_put_into_a_shared_statement_by_hand_is_shown_alone(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(30)), *(role(number) for number in range(30, 50)))
    aws.apply(document)
    there = written(aws)
    there[0]["Action"].append("ecr:DeleteRepository")
    put(aws, there)
    plan = aws.plan(document)
    assert " access that no grant names.may: ecr:DeleteRepository → (none)" in words(plan)
    assert " team-" not in words(plan).replace("/team-", ""), "what the grants give has not changed"
    assert len(all_losses(plan)) == len(there[0]["Principal"]["AWS"])
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_a_condition_that_is_put_into_a_shared_statement_by_hand_is_shown(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(50)))
    aws.apply(document)
    there = written(aws)
    there[0]["Condition"] = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    put(aws, there)
    plan = aws.plan(document)
    assert "access to pull that no grant names.if: aws:SourceVpc is vpc-1 → (none)" in words(plan)
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_beside_statements_of_others_a_shorter_form_is_taken_and_kept(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(36)))
    aws.plan(document_of(aws))
    aws.apply(document_of(aws))
    foreign = [
        {
            "Sid": f"other{number}",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{number:012}:root"},
            "Action": PULLS,
        }
        for number in range(100, 126)
    ]
    put(aws, foreign)
    plan = aws.plan(document)
    assert plan.problems == ()
    assert "shared by grants: 2 statements that name their grants" in words(plan)
    saved = loads(dumps(plan), platforms=aws.platforms)
    assert words(saved) == words(plan)
    aws.carry_out(saved, saved=True)
    assert aws.plan(document).changes == ()
    ours = [item for item in written(aws) if not item["Sid"].startswith("other")]
    put(aws, [*ours, foreign[0]])
    assert aws.plan(document).changes == (), "it says the same, so it stays"
    put(aws, [*ours, *foreign])
    assert aws.plan(document).changes == ()
    put(aws, [*ours, foreign[0]])
    document["grants"].append(role(50))
    plan = aws.plan(document)
    assert "shared by grants: 2 statements that name their grants → (none)" in words(plan)
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_beside_statements_of_others_a_repository_that_is_replaced_has_the_shorter_form(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(36)))
    aws.apply(document_of(aws))
    accounts = [f"arn:aws:iam::{number:012}:root" for number in range(100, 190)]
    theirs = {"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": accounts}, "Action": PULLS}
    put(aws, [theirs])
    aws.apply(document)
    document["repositories"][0]["encryption"] = {"kms_key": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"}
    plan = aws.plan(document)
    assert plan.problems == ()
    saved = loads(dumps(plan), platforms=aws.platforms)
    assert words(saved) == words(plan)
    assert {item.status.value for item in aws.carry_out(saved, saved=True, verify=True)} == {"done"}
    assert sum(shared_ids.is_shared(item["Sid"]) for item in written(aws)) == 2
    assert aws.plan(document).changes == ()


def test_a_plan_that_says_another_grant_than_there_is_a_principal_for_is_damaged(aws: AwsSandbox) -> None:
    plan = json.loads(dumps(aws.plan(document_of(aws, *(role(number) for number in range(60))))))
    for change in plan["changes"]:
        if change["kind"] == "access":
            change["desired"]["settings"]["shares"][0][1] = arn(99)
    with pytest.raises(ReconcilerError, match="by which grant somebody has access would not be written as shown"):
        loads(json.dumps(plan), platforms=aws.platforms)


def test_what_is_longer_than_a_policy_in_any_form_says_what_makes_it_shorter(aws: AwsSandbox) -> None:
    wide = role(0, name="wide", to={"type": "aws", "role_arns": [arn(number) for number in range(200, 220)]})
    (problem,) = aws.plan(document_of(aws, wide, *(role(number) for number in range(200)))).problems
    size, _, rest = problem.message.removeprefix("the repository policy would have ").partition(" ")
    assert int(size.replace(",", "")) > shared.MAX_POLICY
    assert rest == (
        "characters; ECR allows at most 10,240; it is made from 201 grants (wide with 20 principals, team-0 with 1 principal,"
        " team-1 with 1 principal and 198 more): for this repository, put the principals of team-0, team-1, team-10 and 198 more"
        " into one grant, which gives nobody more access: the policy would still have 11,529 characters; or grant account"
        " 987654321091 as a whole (account_ids) instead of its 220 roles and users, which gives access to all that the account"
        " lets in"
    )


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
