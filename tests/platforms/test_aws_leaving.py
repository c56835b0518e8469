"""What leaves a spec on AWS: repositories that are released with their copies."""

from __future__ import annotations

import copy
import json

import pytest

from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import StalePlan
from reconciler.render.change_item import change_item
from reconciler.render.sentences import all_gains, all_losses
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox

WEB = "images.repository.web"


class Refusing(Quiet):
    """No tag is taken away in that region."""

    def before(self, call: Call) -> Answer | None:
        if (call.operation, call.region) == ("UntagResource", "eu-west-1"):
            return Answer(400, {"message": "no"}, "AccessDeniedException")
        return None


def test_a_release_that_was_interrupted_before_its_copies_is_finished_by_the_next(aws: AwsSandbox) -> None:
    document = aws.document("web", "api", registry={"replication_regions": ["eu-west-1"]})
    aws.apply(document)
    refusing = Refusing()
    aws.proxy.behaviours.append(refusing)
    done = aws.carry_out(aws.plan(document, release=[WEB]))
    assert {item.address: item.status.value for item in done} == {WEB: "done", f"{WEB}@eu-west-1": "failed"}
    aws.proxy.behaviours.remove(refusing)
    aws.apply(document, release=[WEB])
    for region in ("us-east-1", "eu-west-1"):
        client = aws.client("ecr", region)
        (found,) = client.describe_repositories(repositoryNames=["images-web"])["repositories"]
        tags = client.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
        assert not [item for item in tags if item["Key"].startswith("reconciler-")], region


def test_no_advice_to_release_a_copy_is_given(aws: AwsSandbox) -> None:
    """It would let go of the repository in the home region, too."""
    document = aws.document({"name": "web", "adopt": True}, registry={"replication_regions": ["eu-west-1"]})
    for region in ("us-east-1", "eu-west-1"):
        aws.client("ecr", region).create_repository(repositoryName="images-web")
    aws.apply(document)
    plan = aws.plan(aws.document({"name": "web", "adopt": True}, guards={"max_deletes": 9}))
    (message,) = [item.message for item in plan.violations if item.guard == "adopted"]
    assert "images.repository.web@eu-west-1" in message
    assert "release: true" not in message


BOB = "987654321091"
TRUSTED = {"replication_regions": ["eu-west-1"], "trusted_principals": [BOB]}


def said(plan: Plan) -> tuple[list[str], list[str]]:
    """Who gains and who loses by a plan as a whole."""
    return [item.text for item in all_gains(plan)], [item.text for item in all_losses(plan)]


def through_the_roles(what: str, can: str) -> list[str]:
    both = "and" if can == "can now" else "or"
    return [f"account {BOB} {can} pull {both} push {what}, through the registry's roles"]


def test_whoever_comes_to_a_repository_by_its_marks_loses_it_when_it_is_released_and_gains_it_when_it_is_adopted(
    aws: AwsSandbox,
) -> None:
    document = aws.document("web", "api", registry=TRUSTED)
    aws.apply(document)
    here = "web (and the copy in eu-west-1)"
    plan = aws.plan(document, release=[WEB])
    assert said(plan) == ([], through_the_roles(here, "can no longer"))
    assert loads(dumps(plan), platforms=aws.platforms).changes == plan.changes, (
        "what a saved plan says is computed again"
    )
    aws.carry_out(plan)
    document = aws.document({"name": "web", "adopt": True}, "api", registry=TRUSTED)
    plan = aws.plan(document)
    assert [item.action for item in plan.changes] == ["adopt", "adopt"]
    assert said(plan) == (through_the_roles(here, "can now"), [])
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_whoever_comes_to_all_of_a_registry_gains_what_is_new_and_loses_what_is_deleted(aws: AwsSandbox) -> None:
    aws.apply(aws.document("web", registry=TRUSTED))
    plan = aws.plan(aws.document("api", registry=TRUSTED, guards={"max_deletes": 9}))
    gains, losses = said(plan)
    assert gains == through_the_roles("api (and the copy in eu-west-1)", "can now")
    assert losses == through_the_roles("web (and the copy in eu-west-1)", "can no longer")


def test_who_comes_to_all_of_a_registry_by_the_plan_is_said_once(aws: AwsSandbox) -> None:
    first = aws.plan(aws.document("web", registry=TRUSTED))
    assert [text for text in said(first)[0] if "web" in text] == []
    aws.apply(aws.document("web"))
    gains, losses = said(aws.plan(aws.document("web", "api", registry={"trusted_principals": [BOB]})))
    assert gains == [
        f"account {BOB} can now pull from every repository as images-pull",
        f"account {BOB} can now push to every repository as images-push",
    ]
    own = aws.document("web")["registries"][0]["account_id"]
    assert losses == [f"account {own} can no longer pull from any repository as images-pull"]


def test_a_mark_that_was_removed_by_hand_is_access_that_comes_back(aws: AwsSandbox) -> None:
    document = aws.document("web", registry={"trusted_principals": [BOB]})
    aws.apply(document)
    ecr = aws.client("ecr")
    (found,) = ecr.describe_repositories()["repositories"]
    ecr.untag_resource(resourceArn=found["repositoryArn"], tagKeys=["reconciler-registry"])
    assert said(aws.plan(document)) == (through_the_roles("web", "can now"), [])


def test_a_role_that_reaches_more_by_hand_loses_nothing_that_does_not_hang_on_marks(aws: AwsSandbox) -> None:
    document = aws.document("web", registry={"trusted_principals": [BOB]})
    aws.apply(document)
    iam = aws.client("iam")
    policy = iam.get_role_policy(RoleName="images-pull", PolicyName="reconciler")["PolicyDocument"]
    for statement in policy["Statement"]:
        statement.pop("Condition", None)
    iam.put_role_policy(RoleName="images-pull", PolicyName="reconciler", PolicyDocument=json.dumps(policy))
    losses = said(aws.plan(document, release=[WEB]))[1]
    assert through_the_roles("web", "can no longer")[0] in losses, "as images-push, which is as it was"
    iam.delete_role_policy(RoleName="images-push", PolicyName="reconciler")
    losses = said(aws.plan(document, release=[WEB]))[1]
    assert [text for text in losses if "through the registry's roles" in text] == []


def test_a_release_says_which_settings_go_with_the_marks(aws: AwsSandbox) -> None:
    web = {"name": "web", "description": "the site", "protect": True, "delete_images": True, "labels": {"team": "a"}}
    document = aws.document(web)
    aws.apply(document)
    (change,) = aws.plan(document, release=[WEB]).changes
    assert [(item.path, item.new) for item in change.fields] == [
        ("delete_images", False),
        ("description", ""),
        ("protect", False),
    ]
    assert "is kept, with its images and its other settings, and is no longer owned by this spec" in [
        detail.text for detail in change_item(change).details
    ]
    aws.carry_out(aws.plan(document, release=[WEB]))
    (found,) = aws.client("ecr").describe_repositories()["repositories"]
    tags = aws.client("ecr").list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


def test_a_saved_plan_is_stale_where_a_role_gives_more_than_it_says(aws: AwsSandbox) -> None:
    document = aws.document("web", registry={"trusted_principals": [BOB]})
    aws.apply(document)
    kept_quiet = json.loads(dumps(aws.plan(document, release=[WEB])))
    kept_quiet["basis"]["reaching"] = []
    for change in kept_quiet["changes"]:
        change.pop("losses")
    saved = dumps(aws.plan(document, release=[WEB]))
    with pytest.raises(StalePlan) as refused:
        aws.carry_out(loads(json.dumps(kept_quiet), platforms=aws.platforms), saved=True)
    assert refused.value.moved == {WEB: "images.role.push, which gives access to it, is not as the plan has it"}
    iam = aws.client("iam")
    trust = iam.get_role(RoleName="images-pull")["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Principal"]["AWS"] = ["987654321092"]
    iam.update_assume_role_policy(RoleName="images-pull", PolicyDocument=json.dumps(trust))
    with pytest.raises(StalePlan) as refused:
        aws.carry_out(loads(saved, platforms=aws.platforms), saved=True)
    assert refused.value.moved == {WEB: "images.role.pull, which gives access to it, is not as the plan has it"}
    trust["Statement"][0]["Principal"]["AWS"] = [f"arn:aws:iam::{BOB}:root"]
    iam.update_assume_role_policy(RoleName="images-pull", PolicyDocument=json.dumps(trust))
    aws.carry_out(loads(saved, platforms=aws.platforms), saved=True)


def test_a_region_that_leaves_is_said_of_whoever_comes_to_it_and_not_of_the_roles(aws: AwsSandbox) -> None:
    aws.apply(aws.document("web", registry=TRUSTED))
    plan = aws.plan(aws.document("web", registry={"trusted_principals": [BOB]}, guards={"max_deletes": 9}))
    losses = said(plan)[1]
    texts = [text for text in losses if text.startswith(f"account {BOB}") and "any repository" in text]
    assert [text.partition(" in eu-west-1 as ")[2] for text in texts] == ["images-pull", "images-push"]
    assert f"account {BOB} can no longer pull from any repository in eu-west-1 as images-pull" in texts
    assert [text for text in losses if text.startswith("role images")] == []


def test_nothing_is_adopted_where_a_role_that_reaches_it_is_not_as_planned(aws: AwsSandbox) -> None:
    """Who comes to it would be somebody else than the plan says."""
    document = aws.document("web", registry={"trusted_principals": [BOB]})
    aws.apply(document)
    aws.client("ecr").create_repository(repositoryName="images-api")
    iam = aws.client("iam")

    def trust(account: str) -> None:
        found = iam.get_role(RoleName="images-pull")["Role"]["AssumeRolePolicyDocument"]
        found["Statement"][0]["Principal"]["AWS"] = [f"arn:aws:iam::{account}:root"]
        iam.update_assume_role_policy(RoleName="images-pull", PolicyDocument=json.dumps(found))

    trust("666666666666")
    document = aws.document("web", {"name": "api", "adopt": True}, registry={"trusted_principals": [BOB]})
    saved = dumps(aws.plan(document))
    trust("777777777777")
    done = aws.carry_out(loads(saved, platforms=aws.platforms), saved=True, skip_stale=True)
    assert {item.address: item.status.value for item in done} == {
        "images.role.pull": "stale",
        "images.repository.api": "skipped",
    }


def test_an_adoption_says_what_others_gave(aws: AwsSandbox) -> None:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="images-web")
    everyone = {"Sid": "open", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    ecr.set_repository_policy(
        repositoryName="images-web", policyText=json.dumps({"Version": "2012-10-17", "Statement": [everyone]})
    )
    rules = [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
            "action": {"type": "expire"},
        }
    ]
    ecr.put_lifecycle_policy(repositoryName="images-web", lifecyclePolicyText=json.dumps({"rules": rules}))
    plan = aws.plan(aws.document({"name": "web", "adopt": True}))
    assert {item.address for item in plan.foreign} == {"images.access.web", "images.lifecycle.web"}
    assert [item.guard for item in plan.strangers] == ["allow_public"]


@pytest.mark.parametrize(
    ("name", "registry"),
    [("renamed", "images"), ("tests", "shop")],
)
def test_a_spec_or_a_registry_with_another_name_keeps_everything_by_the_documented_way(
    aws: AwsSandbox, name: str, registry: str
) -> None:
    old = aws.document({"name": "web"}, registry={"prefix": "images-"})
    aws.apply(old)
    (before,) = aws.client("ecr").describe_repositories()["repositories"]
    aws.apply(old, release=[WEB])
    aws.apply(old, destroy=True)
    new = copy.deepcopy(old) | {"name": name}
    new["registries"][0]["name"] = new["repositories"][0]["registry"] = registry
    new["repositories"][0]["adopt"] = True
    aws.apply(new)
    assert aws.plan(new).changes == ()
    (after,) = aws.client("ecr").describe_repositories()["repositories"]
    assert (after["repositoryName"], after["createdAt"]) == ("images-web", before["createdAt"])


def test_what_a_policy_may_deny_is_said_of_who_comes_by_the_marks(aws: AwsSandbox) -> None:
    document = aws.document("api", registry={"trusted_principals": [BOB]})
    aws.apply(document)
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="images-web")
    nobody = {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "ecr:*"}
    ecr.set_repository_policy(
        repositoryName="images-web", policyText=json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    )
    document = aws.document({"name": "web", "adopt": True}, "api", registry={"trusted_principals": [BOB]})
    plan = aws.plan(document)
    what = "pull {} push web, through the registry's roles"
    gain = f"account {BOB} may now be able to {what.format('and')}, unless statement 'no' denies it"
    assert said(plan) == ([gain], [])
    assert said(loads(dumps(plan), platforms=aws.platforms)) == ([gain], [])
    aws.carry_out(plan)
    assert said(aws.plan(document, release=[WEB])) == (
        [],
        [f"account {BOB} may no longer be able to {what.format('or')}, which statement 'no' may have denied before"],
    )


def test_a_copy_that_is_released_takes_its_home_along_and_the_plan_says_so(aws: AwsSandbox) -> None:
    document = aws.document("web", registry={"replication_regions": ["eu-west-1"]})
    aws.apply(document)
    said = f"release {WEB}@eu-west-1: a repository is released with all its copies, so {WEB} is released too"
    assert aws.plan(document, release=[f"{WEB}@eu-west-1"]).warnings == (said,)
    assert aws.plan(document, release=[WEB]).warnings == ()


def test_a_conflict_names_every_address_to_adopt_in_one_line(aws: AwsSandbox) -> None:
    aws.make_foreign("web")
    aws.client("ecr", "eu-west-1").create_repository(repositoryName="images-web")
    document = aws.document("web", registry={"replication_regions": ["eu-west-1"]})
    line = f"to adopt it everywhere, add --adopt {WEB} --adopt {WEB}@eu-west-1 to plan and apply (or `adopt: true` in the spec)"
    assert [item.message.endswith(line) for item in aws.plan(document).problems] == [True, True]
    (left,) = aws.plan(document, adopt=[WEB]).problems
    assert left.address == f"{WEB}@eu-west-1"
    assert left.message.endswith(line), "what is copied holds what was given already"
    assert aws.plan(document, adopt=[WEB, f"{WEB}@eu-west-1"]).problems == ()
