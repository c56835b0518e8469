"""A registry without roles: what is noted of it as a whole stands on an ECR repository of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.engine.apply import succeeded
from reconciler.errors import ReadFailed, SpecError
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import ACCOUNT, AwsSandbox

LEDGER = "reconciler/images"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ecr:DescribeRegistry", "Resource": "*"}],
}
EVERYTHING = {"max_deletes": "100%"}


class NoIam(Quiet):
    """Credentials that may do nothing in IAM, as of a team whose platform group keeps it to itself."""

    def before(self, call: Call) -> Answer | None:
        if call.service != "iam":
            return None
        return Answer(403, {"message": "User is not authorized to perform this action"}, "AccessDenied")


class OneRegion(Quiet):
    """An account whose organization allows one region: a service control policy denies the rest."""

    def before(self, call: Call) -> Answer | None:
        if call.service != "ecr" or call.region == "us-east-1":
            return None
        return Answer(400, {"message": "with an explicit deny in a service control policy"}, "AccessDeniedException")


def without(aws: AwsSandbox, *repositories: Any, **registry: Any) -> dict[str, Any]:
    return aws.document(*repositories, registry={"roles": False, **registry}, guards=EVERYTHING)


def ledgers(aws: AwsSandbox) -> dict[str, dict[str, str]]:
    """The tags of each ledger, by region and name."""
    return {
        name: item["tags"]
        for name, item in aws.state()["repositories"].items()
        if name.split("/", 1)[1].startswith("recon")
    }


def converged(aws: AwsSandbox, document: dict[str, Any]) -> None:
    plan = aws.plan(document)
    assert plan.changes == (), joined(plan_lines(report_of(plan)))


def test_no_role_is_made_and_the_marks_of_regions_and_rules_stand_on_the_ledger(aws: AwsSandbox) -> None:
    document = without(aws, "web", replication_regions=["eu-west-1"], scanning={"type": "basic"})
    plan = aws.plan(document)
    assert "images.ledger.marks" in joined(plan_lines(report_of(plan)))
    aws.apply(document)
    assert aws.state()["roles"] == {}
    (tags,) = ledgers(aws).values()
    assert {key for key in tags if "region" in key or "applied-" in key} == {
        "reconciler-region-us-east-1",
        "reconciler-region-eu-west-1",
        "reconciler-applied-replication-us-east-1",
        "reconciler-applied-scanning-us-east-1",
        "reconciler-applied-scanning-eu-west-1",
    }
    assert list(ledgers(aws)) == [f"us-east-1/{LEDGER}"]
    converged(aws, document)


def test_without_any_right_to_iam(aws: AwsSandbox) -> None:
    aws.proxy.behaviours.append(NoIam())
    document = without(aws, "web", replication_regions=["eu-west-1"])
    aws.apply(document)
    converged(aws, document)
    fewer = without(aws, "web")
    aws.apply(fewer)
    assert set(aws.state()["repositories"]) == {"us-east-1/images-web", f"us-east-1/{LEDGER}"}
    converged(aws, fewer)


def test_a_region_that_leaves_is_known_by_the_ledger(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web", replication_regions=["eu-west-1", "us-west-2"]))
    after = without(aws, "web", replication_regions=["us-west-2"])
    gone = {str(change.address) for change in aws.plan(after).changes if change.lets_go}
    assert gone == {"images.region.eu-west-1", "images.repository.web@eu-west-1"}
    aws.apply(after)
    converged(aws, after)


def test_the_ledger_is_no_repository_of_the_registry(aws: AwsSandbox) -> None:
    document = without(aws, "web", prefix="")
    aws.apply(document)
    converged(aws, document)
    assert "reconciler" not in joined(plan_lines(report_of(aws.plan(without(aws, prefix=""))))).replace(
        "reconciler plan", ""
    )


@pytest.mark.parametrize("before", [True, False])
def test_roles_come_and_go_and_nothing_that_was_noted_is_lost(aws: AwsSandbox, before: bool) -> None:
    def document(roles: bool, *regions: str) -> dict[str, Any]:
        fields = {"replication_regions": list(regions), "scanning": {"type": "basic", "on_push": ["*"]}}
        return aws.document("web", registry={"roles": roles, **fields}, guards=EVERYTHING)

    aws.client("ecr").put_registry_scanning_configuration(
        scanType="BASIC",
        rules=[{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}],
    )
    aws.apply(document(before, "eu-west-1"))
    notes = noted(aws)
    assert "P:+" in notes["reconciler-applied-scanning-us-east-1"]  # theirs too
    aws.apply(document(not before, "eu-west-1"))
    converged(aws, document(not before, "eu-west-1"))
    assert noted(aws) == notes
    assert bool(ledgers(aws)) is before
    # and what leaves the spec later is known by what was handed over
    aws.apply(document(not before))
    converged(aws, document(not before))
    assert set(aws.repository_names()) == {"web"}
    assert len([name for name in aws.state()["repositories"] if name.endswith("web")]) == 1


def noted(aws: AwsSandbox) -> dict[str, str]:
    """What is noted of the registry as a whole, wherever it stands."""
    roles = [item["tags"] for name, item in aws.state()["roles"].items() if name == "images-pull"]
    return {
        key: value
        for tags in (*roles, *ledgers(aws).values())
        for key, value in tags.items()
        if key.startswith(("reconciler-region", "reconciler-applied-", "reconciler-rule"))
    }


@pytest.mark.parametrize("before", [True, False])
def test_a_region_that_leaves_with_the_change_of_roles_goes_too(aws: AwsSandbox, before: bool) -> None:
    aws.apply(aws.document("web", registry={"roles": before, "replication_regions": ["eu-west-1"]}, guards=EVERYTHING))
    after = aws.document("web", registry={"roles": not before}, guards=EVERYTHING)
    aws.apply(after)
    assert [name for name in aws.state()["repositories"] if "web" in name] == ["us-east-1/images-web"]
    assert "reconciler-region-eu-west-1" not in noted(aws)
    converged(aws, after)


def test_a_role_that_cannot_be_deleted_does_not_bring_back_what_was_forgotten(aws: AwsSandbox) -> None:
    class NoDelete(Quiet):
        def before(self, call: Call) -> Answer | None:
            refused = call.operation == "DeleteRole" and call.body["RoleName"] == "images-pull"
            return Answer(403, {"message": "no"}, "AccessDenied") if refused else None

    aws.apply(aws.document("web", registry={"replication_regions": ["eu-west-1"]}, guards=EVERYTHING))
    refusing = NoDelete()
    aws.proxy.behaviours.append(refusing)
    outcomes = aws.carry_out(aws.plan(without(aws, "web", replication_regions=["eu-west-1"])))
    assert [str(item.address) for item in outcomes if item.message] == ["images.role.pull"]
    aws.carry_out(aws.plan(without(aws, "web", replication_regions=["us-west-2"])))
    assert noted(aws).keys() >= {"reconciler-region-us-west-2"}
    assert "reconciler-region-eu-west-1" not in noted(aws)
    # the roles come back while the ledger is there: the region that only the ledger knows is kept
    aws.proxy.behaviours.remove(refusing)
    back = aws.document("web", registry={"replication_regions": ["us-west-2"]}, guards=EVERYTHING)
    aws.apply(back)
    assert ledgers(aws) == {}
    converged(aws, back)
    fewer = aws.document("web", guards=EVERYTHING)
    assert "images.repository.web@us-west-2" in {str(item.address) for item in aws.plan(fewer).changes}


def test_another_home_region_is_found_by_the_ledger_that_is_left_behind(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web"))
    moved = without(aws, "web", region="eu-west-1")
    text = joined(plan_lines(report_of(aws.plan(moved))))
    assert "images.repository.web@us-east-1" in text
    assert "-   ledger marks@us-east-1" in text
    aws.apply(moved)
    assert set(aws.state()["repositories"]) == {"eu-west-1/images-web", f"eu-west-1/{LEDGER}"}
    assert "reconciler-ledgers" not in ledgers(aws)[f"eu-west-1/{LEDGER}"]
    converged(aws, moved)


def test_a_move_that_was_cut_off_is_finished(aws: AwsSandbox) -> None:
    class NoDelete(Quiet):
        def before(self, call: Call) -> Answer | None:
            refused = call.operation == "DeleteRepository" and call.body["repositoryName"] == LEDGER
            return Answer(403, {"message": "no"}, "AccessDeniedException") if refused else None

    aws.apply(without(aws, "web"))
    moved = without(aws, "web", region="eu-west-1")
    refusing = NoDelete()
    aws.proxy.behaviours.append(refusing)
    assert not succeeded(aws.carry_out(aws.plan(moved)))
    assert len(ledgers(aws)) == 2
    aws.proxy.behaviours.remove(refusing)
    aws.apply(moved)
    assert list(ledgers(aws)) == [f"eu-west-1/{LEDGER}"]
    converged(aws, moved)


def test_regions_that_are_not_open_to_the_account_hold_nothing(aws: AwsSandbox) -> None:
    aws.proxy.behaviours.append(OneRegion())
    document = without(aws, "web")
    aws.apply(document)
    converged(aws, document)


def test_the_other_regions_are_asked_only_while_there_is_no_ledger(aws: AwsSandbox) -> None:
    document = without(aws, "web")
    aws.apply(document)
    aws.proxy.calls.clear()
    converged(aws, document)
    assert {call.region for call in aws.proxy.calls if call.service == "ecr"} == {"us-east-1"}


def test_where_there_is_no_ledger_all_regions_are_asked_for_one(aws: AwsSandbox, all_regions: list[str]) -> None:
    aws.apply(without(aws, "web", region="sa-east-1"))
    aws.proxy.calls.clear()
    plan = aws.plan(without(aws, "web"))
    asked = {call.region for call in aws.proxy.calls if call.operation == "ListTagsForResource"}
    assert asked >= set(all_regions)
    assert len(all_regions) > 20
    assert "images.ledger.marks@sa-east-1" in {str(item.address) for item in plan.changes}


def test_what_somebody_else_has_under_the_ledgers_name_is_left_alone(aws: AwsSandbox) -> None:
    aws.client("ecr").create_repository(repositoryName=LEDGER)
    plan = aws.plan(without(aws, "web"))
    assert [str(item.address) for item in plan.problems] == ["images.ledger.marks"]
    assert "exists" in plan.problems[0].message


def test_images_that_somebody_pushed_into_the_ledger_are_not_deleted_with_it(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web"))
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 1, "digest": f"sha256:{7:064}"}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [layer]}
    aws.client("ecr").put_image(repositoryName=LEDGER, imageManifest=json.dumps(manifest), imageTag="v1")
    with_roles = aws.document("web", guards=EVERYTHING)
    outcomes = aws.carry_out(aws.plan(with_roles))
    assert [str(item.address) for item in outcomes if item.message] == ["images.ledger.marks"]
    assert list(ledgers(aws)) == [f"us-east-1/{LEDGER}"]


def test_retired_and_gone(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web", replication_regions=["eu-west-1"]))
    aws.apply(without(aws, "web", replication_regions=["eu-west-1"], retired=True))
    assert aws.state()["repositories"] == {}


def test_two_registries_of_one_account_one_of_them_without_roles(aws: AwsSandbox) -> None:
    document = without(aws, "web", replication_regions=["eu-west-1"], scanning={"type": "basic"})
    other = {**aws.registry("tools"), "replication_regions": ["us-west-2"], "scanning": {"type": "basic"}}
    document["registries"].append(other)
    document["repositories"].append({"name": "cli", "registry": "tools"})
    aws.apply(document)
    converged(aws, document)
    assert set(aws.state()["roles"]) == {"tools-pull", "tools-push"}


@pytest.mark.parametrize(
    ("registry", "repository", "said"),
    [
        ({"trusted_principals": [ACCOUNT]}, {"name": "a"}, "this one makes none (roles: false)"),
        ({"max_session": "1h"}, {"name": "a"}, "this one makes none (roles: false)"),
        ({}, {"name": "a", "native_name": LEDGER}, "in which marks of registry images stand"),
        ({"prefix": "reconciler/"}, {"name": "images"}, "in which marks of registry images stand"),
    ],
)
def test_what_a_registry_without_roles_cannot_say(
    aws: AwsSandbox, registry: dict[str, Any], repository: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        aws.spec(without(aws, repository, **registry))
    assert said in str(caught.value)


def test_another_registry_cannot_have_the_name_of_the_ledger(aws: AwsSandbox) -> None:
    document = without(aws, "web")
    document["registries"].append({**aws.registry("tools"), "prefix": ""})
    document["repositories"].append({"name": "a", "registry": "tools", "native_name": LEDGER})
    with pytest.raises(SpecError) as caught:
        aws.spec(document)
    assert "in which marks of registry images stand" in str(caught.value)


class Refusing(Quiet):
    """No call of one operation about the ledger is allowed."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def before(self, call: Call) -> Answer | None:
        about = str(call.body.get("repositoryName", call.body.get("RoleName", "")))
        refused = call.operation == self.operation and about in (LEDGER, "images-pull")
        return Answer(403, {"message": "no"}, "AccessDenied") if refused else None


def cut_off(aws: AwsSandbox, document: dict[str, Any], operation: str) -> None:
    refusing = Refusing(operation)
    aws.proxy.behaviours.append(refusing)
    assert not succeeded(aws.carry_out(aws.plan(document)))
    aws.proxy.behaviours.remove(refusing)


@pytest.mark.parametrize("then", ["retired", "roles", "a third region", "back"])
def test_after_a_move_that_was_cut_off_the_spec_may_change_and_nothing_stays(aws: AwsSandbox, then: str) -> None:
    aws.apply(without(aws, "web"))
    cut_off(aws, without(aws, "web", region="eu-west-1"), "DeleteRepository")
    assert len(ledgers(aws)) == 2
    document = {
        "retired": without(aws, "web", region="eu-west-1", retired=True),
        "roles": aws.document("web", registry={"region": "eu-west-1"}, guards=EVERYTHING),
        "a third region": without(aws, "web", region="us-west-2"),
        "back": without(aws, "web"),
    }[then]
    aws.carry_out(aws.plan(document))
    aws.apply(document)
    converged(aws, document)
    here = document["registries"][0]["region"]
    assert list(ledgers(aws)) == ([] if then in ("retired", "roles") else [f"{here}/{LEDGER}"])
    assert "reconciler-ledgers" not in json.dumps(aws.state()["roles"])


def test_a_destroy_after_a_move_that_was_cut_off_leaves_no_ledger(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web"))
    moved = without(aws, "web", region="eu-west-1")
    cut_off(aws, moved, "DeleteRepository")
    aws.carry_out(aws.plan(moved, destroy=True))
    assert aws.plan(moved, destroy=True).changes == ()
    assert aws.state()["repositories"] == {}


def test_the_note_of_a_ledger_that_is_gone_is_taken_away(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web"))
    with_roles = aws.document("web", guards=EVERYTHING)
    cut_off(aws, with_roles, "UntagRole")
    assert ledgers(aws) == {}
    assert "reconciler-ledgers" in json.dumps(aws.state()["roles"])
    aws.apply(with_roles)
    assert "reconciler-ledgers" not in json.dumps(aws.state()["roles"])
    converged(aws, with_roles)


@pytest.mark.parametrize("said", ["eu-west-1", "nowhere", "EU west"])
@pytest.mark.parametrize("roles", [True, False])
def test_a_note_of_where_a_ledger_is_may_be_anything(aws: AwsSandbox, roles: bool, said: str) -> None:
    document = aws.document("web", registry={"roles": roles, "replication_regions": ["us-west-2"]}, guards=EVERYTHING)
    aws.apply(document)
    # of that name, somebody else's
    aws.client("ecr", "eu-west-1").create_repository(repositoryName=LEDGER)
    tag = {"Key": "reconciler-ledgers", "Value": said}
    if roles:
        aws.client("iam").tag_role(RoleName="images-pull", Tags=[tag])
    else:
        arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{LEDGER}"
        aws.client("ecr").tag_resource(resourceArn=arn, tags=[tag])
    aws.apply(document)
    assert f"eu-west-1/{LEDGER}" in ledgers(aws)
    converged(aws, document)


class Elsewhere(Quiet):
    """Another region answers the question for a ledger like this, so many times."""

    def __init__(self, status: int, code: str, times: int) -> None:
        self.answer = Answer(status, {"message": "no"}, code)
        self.left = times

    def before(self, call: Call) -> Answer | None:
        if (call.operation, call.region) != ("ListTagsForResource", "eu-west-1") or not self.left:
            return None
        self.left -= 1
        return self.answer


def test_a_region_that_is_throttled_is_asked_again_before_it_counts_as_empty(aws: AwsSandbox) -> None:
    aws.apply(without(aws, "web", region="eu-west-1"))
    aws.proxy.behaviours.append(Elsewhere(400, "ThrottlingException", times=2))
    moved = without(aws, "web")
    aws.apply(moved)
    assert list(ledgers(aws)) == [f"us-east-1/{LEDGER}"]
    assert set(aws.state()["repositories"]) == {f"us-east-1/{LEDGER}", "us-east-1/images-web"}


def test_a_region_that_fails_is_not_taken_for_an_empty_one(aws: AwsSandbox) -> None:
    aws.proxy.behaviours.append(Elsewhere(400, "ServerException", times=1000))
    with pytest.raises(ReadFailed, match="ListTagsForResource"):
        aws.plan(without(aws, "web"))
