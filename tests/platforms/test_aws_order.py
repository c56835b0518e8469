"""What comes first on AWS, and what counts whatever order AWS answers it in: public bug reports of other tools, tried on this one."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

import pytest

from reconciler import loads
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import SpecError
from reconciler.model.address import Address
from reconciler.platforms.aws.access import AccessKind
from reconciler.render.report import report_of
from reconciler.render.text import drift_lines, joined
from tests.emulators.aws import AnyOrder, PrincipalsMustBeThere, Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import FOREIGN_STATEMENT, LIFECYCLE, AwsSandbox
from tests.sandbox.base import Document

pytestmark = pytest.mark.slow  # many plans against AWS's stand-in

OWN = "123456789012"
STRANGERS = [f"arn:aws:iam::{number}:root" for number in ("111122223333", "444455556666", "777788889999")]
MANY: Document = {**FOREIGN_STATEMENT, "Principal": {"AWS": STRANGERS}}
GRANT = {"name": "one", "to": {"type": "aws", "account_ids": ["987654321091", "987654321092"]}}


def give(aws: AwsSandbox, *statements: Document) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    aws.client("ecr").set_repository_policy(repositoryName="images-app-a", policyText=text)


def test_order_in_a_statement_of_others_is_no_movement(aws: AwsSandbox) -> None:
    """crossplane-contrib/provider-aws#780: a grant is given, changed and taken away beside it, also by a saved plan."""
    aws.apply(aws.document("app-a"))
    give(aws, MANY, {**MANY, "Sid": "more"})
    aws.proxy.behaviours.append(AnyOrder(aws.moto))
    for grants in ((GRANT,), ({**GRANT, "to": aws.target("1")},), ()):
        document = aws.document("app-a", grants=grants)
        outcomes = aws.carry_out(loads(dumps(aws.plan(document))), saved=True)
        assert [(item.status, item.message) for item in outcomes] == [(Status.DONE, "")]
        assert aws.plan(document).changes == ()
    kept = aws._policy("app-a")["Statement"]
    assert sorted((item["Sid"], sorted(item["Principal"]["AWS"])) for item in kept) == [
        (sid, sorted(STRANGERS)) for sid in sorted((str(MANY["Sid"]), "more"))
    ]


def faults_of(aws: AwsSandbox, document: Document) -> list[str]:
    with pytest.raises(SpecError) as found:
        aws.spec(document)
    return [f"{problem.path}: {problem.message}" for problem in found.value.problems]


def trusting(aws: AwsSandbox, *principals: Any, **others: Any) -> Document:
    found = aws.document("app-a", registry={"trusted_principals": list(principals)})
    found["registries"] += [aws.registry(name, **fields) for name, fields in others.items()]
    return found


ROLE = f"arn:aws:iam::{OWN}:role/zzz-pull"


@pytest.mark.parametrize("late", [0, 2])
def test_a_role_that_is_trusted_is_made_first_and_waited_for(aws: AwsSandbox, late: int) -> None:
    """hashicorp/terraform-provider-aws#184, #12436."""
    aws.proxy.behaviours.append(PrincipalsMustBeThere(aws.moto, late))
    document = trusting(aws, {"principal": ROLE, "external_id": "ours"}, zzz={})
    aws.apply(document)
    assert aws.plan(document).changes == ()
    document["registries"][1]["trusted_principals"] = [f"arn:aws:iam::{OWN}:role/mmm-push"]
    document["registries"].append(aws.registry("mmm"))
    aws.apply(document)


def test_a_role_that_nobody_made_is_an_error_that_names_the_registry(aws: AwsSandbox) -> None:
    aws.proxy.behaviours.append(PrincipalsMustBeThere(aws.moto))
    outcomes = {item.address: item for item in aws.carry_out(aws.plan(trusting(aws, f"arn:aws:iam::{OWN}:role/gone")))}
    failed = outcomes[Address("images.role.pull")]
    assert failed.status is Status.FAILED
    assert "Invalid principal in policy" in failed.message
    assert "remove it from trusted_principals" in failed.message
    assert [place.kind for place in failed.places] == ["registry"]


def test_a_registry_whose_roles_would_have_to_be_there_before_themselves_is_an_error(aws: AwsSandbox) -> None:
    own = trusting(aws, f"arn:aws:iam::{OWN}:role/images-push")
    assert faults_of(aws, own) == [
        f"registries[0].trusted_principals[0]: 'arn:aws:iam::{OWN}:role/images-push' is a role of this registry itself;"
        " a principal must exist before IAM accepts it"
    ]
    each = trusting(aws, ROLE, zzz={"trusted_principals": [f"arn:aws:iam::{OWN}:role/mmm-pull"]})
    each["registries"].append(aws.registry("mmm", trusted_principals=[f"arn:aws:iam::{OWN}:role/images-pull"]))
    assert faults_of(aws, each) == [
        "registries[0]: registries images, mmm, zzz trust roles of each other, and a role must exist before it can be trusted:"
        " remove one of these trusts"
    ]


def test_copies_are_made_before_the_repository_that_is_copied_and_deleted_after_it(aws: AwsSandbox) -> None:
    """aws/containers-roadmap#140: ECR makes a copy that is not there itself, as nobody's."""
    document = aws.document("app-a", "app-b", registry={"replication_regions": ["eu-west-1", "us-west-2"]})
    document["guards"] = {"max_deletes": "100%"}
    aws.apply(document)
    regions = [call.region for call in aws.proxy.calls if call.operation == "CreateRepository"]
    assert len(regions) == 6
    for name in ("app-a", "app-b"):
        order = [
            call.region
            for call in aws.proxy.calls
            if call.operation == "CreateRepository" and call.body["repositoryName"] == f"images-{name}"
        ]
        assert order[-1] == "us-east-1"
    aws.proxy.calls.clear()
    del document["repositories"][0]
    aws.apply(document)
    gone = [call.region for call in aws.proxy.calls if call.operation == "DeleteRepository"]
    assert (gone[0], sorted(gone)) == ("us-east-1", ["eu-west-1", "us-east-1", "us-west-2"])


def test_a_role_in_an_instance_profile_keeps_what_it_may_do_until_it_is_out(aws: AwsSandbox) -> None:
    """hashicorp/terraform#2177."""
    document = aws.document("app-a")
    document["guards"] = {"max_deletes": "100%"}
    aws.apply(document)
    iam = aws.client("iam")
    iam.create_instance_profile(InstanceProfileName="theirs")
    iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="images-pull")
    outcomes = {item.address: item for item in aws.carry_out(aws.plan(document, destroy=True))}
    failed = outcomes[Address("images.role.pull")]
    assert failed.status is Status.FAILED
    assert "instance profile theirs" in failed.message
    assert iam.list_role_policies(RoleName="images-pull")["PolicyNames"] == ["reconciler"]
    iam.remove_role_from_instance_profile(InstanceProfileName="theirs", RoleName="images-pull")
    aws.apply(document, destroy=True)


def test_a_dead_principal_of_others_is_a_problem_before_anything_is_written(aws: AwsSandbox) -> None:
    """hashicorp/terraform-provider-aws#38178: AWS refuses every write of such a policy."""
    aws.apply(aws.document("app-a"))
    dead = {**MANY, "Principal": {"AWS": ["AROAEXAMPLEEXAMPLEEX1", "arn:aws:iam::111122223333:root"]}}
    give(aws, dead)
    assert aws.plan(aws.document("app-a")).problems == ()
    (problem,) = aws.plan(aws.document("app-a", grants=(GRANT,))).problems
    assert problem.address == "images.access.app-a"
    assert problem.message == (
        "AWS refuses a policy that names a deleted principal: AROAEXAMPLEEXAMPLEEX1 (deleted, in the foreign"
        f" statement '{MANY['Sid']}'); remove it from that statement"
    )


@pytest.mark.parametrize("whole", [False, True], ids=["the grant", "the repository, which is released"])
def test_what_is_taken_out_beside_a_dead_principal_is_a_problem_too(aws: AwsSandbox, whole: bool) -> None:
    """What stays is written as well, so AWS refuses that too; a policy that goes with its repository is not written."""
    aws.apply(aws.document("app-a", grants=(GRANT,)))
    dead = {**MANY, "Principal": {"AWS": ["AROAEXAMPLEEXAMPLEEX1", "arn:aws:iam::111122223333:root"]}}
    give(aws, dead, *aws._policy("app-a")["Statement"])
    after = aws.document("app-a")
    if whole:
        after["repositories"][0]["release"] = True
    (problem,) = aws.plan(after).problems
    assert (problem.address, problem.message) == (
        "images.access.app-a",
        "AWS refuses a policy that names a deleted principal: AROAEXAMPLEEXAMPLEEX1 (deleted, in the foreign"
        f" statement '{MANY['Sid']}'); remove it from that statement",
    )
    assert aws.plan(aws.document()).problems == ()


class RefusesTheDead(Quiet):
    """ECR finds no principal that was deleted (hashicorp/terraform-provider-aws#38178)."""

    def before(self, call: Call) -> Answer | None:
        if call.operation != "SetRepositoryPolicy" or "AROA" not in call.body["policyText"]:
            return None
        return Answer(400, {"message": "Principal not found"}, "InvalidParameterException")


@pytest.mark.parametrize("left", [(), ({**GRANT, "permission": "push-pull"},)], ids=["nothing", "a grant"])
def test_a_dead_principal_of_others_that_no_plan_saw_has_a_hint_of_its_own(
    aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch, left: tuple[Document, ...]
) -> None:
    aws.apply(aws.document("app-a", grants=(GRANT,)))
    give(aws, {**MANY, "Principal": {"AWS": "AROAEXAMPLEEXAMPLEEX1"}}, *aws._policy("app-a")["Statement"])
    monkeypatch.setattr(AccessKind, "refusal", lambda *_: None)
    aws.proxy.behaviours.append(RefusesTheDead())
    (outcome,) = aws.carry_out(aws.plan(aws.document("app-a", grants=left)))
    hint = "remove a deleted principal from the foreign statement that names it, then run again"
    assert outcome.status is Status.FAILED
    assert hint in outcome.message
    assert ("create the role or account first, or remove it from the grant; " in outcome.message) == bool(left)


def rule(*places: tuple[str, str], prefix: str = "theirs-") -> Document:
    return {
        "destinations": [{"region": region, "registryId": account} for region, account in places],
        "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}],
    }


def test_replication_rules_of_the_specs_other_registries_count(aws: AwsSandbox) -> None:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html: 10 rules."""
    aws.replication.rules["us-east-1"] = [rule(("eu-west-1", OWN), prefix=f"theirs-{number}") for number in range(9)]
    fields = {"replication_regions": ["eu-west-1"]}
    one = aws.document("app-a", registry=fields)
    assert aws.plan(one).problems == ()
    two = aws.document("app-a", registry=fields)
    two["registries"].append(aws.registry("more", **fields))
    assert {problem.message for problem in aws.plan(two).problems} == {
        "the account would have 11 replication rules; ECR allows at most 10"
    }


def test_the_same_region_of_two_accounts_is_two_destinations(aws: AwsSandbox) -> None:
    """hashicorp/terraform-provider-aws#21898: 25 unique destinations."""
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    places = [("us-west-2", f"{number:012}") for number in range(1, 26)]
    aws.replication.rules["us-east-1"] = [rule(*places[1:])]
    assert aws.plan(document).problems == ()
    aws.replication.rules["us-east-1"] = [rule(*places)]
    (problem,) = aws.plan(document).problems
    assert problem.message == "the account would replicate to 26 destinations; ECR allows at most 25"
    aws.apply(aws.document("app-a"))


class Unknown(Quiet):
    """SetRepositoryPolicy on a repository that ECR does not know yet. The second such call asks for a stop."""

    def __init__(self) -> None:
        self.stop = Event()
        self.seen = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation == "SetRepositoryPolicy":
            self.seen += 1
            if self.seen == 2:
                self.stop.set()
            return Answer(400, {"message": "not there"}, "RepositoryNotFoundException")
        return None


def test_a_stop_ends_the_waiting_for_what_is_not_known_yet(aws: AwsSandbox) -> None:
    """hashicorp/terraform#20709: the tool seems to hang."""
    unknown = Unknown()
    aws.proxy.behaviours.append(unknown)
    plan = aws.plan(aws.document("app-a", grants=(GRANT,)))
    outcomes = {item.address: item for item in aws.carry_out(plan, stop=unknown.stop)}
    failed = outcomes[Address("images.access.app-a")]
    assert failed.status is Status.FAILED
    assert "RepositoryNotFoundException" in failed.message
    assert 2 <= unknown.seen <= 3, "a minute of it would be more"


def test_drift_says_what_a_hand_did_beside_the_spec(aws: AwsSandbox) -> None:
    """A newcomer's first question: would it have been seen?"""
    document = aws.document("app-a", "app-b")
    aws.apply(document)
    give(aws, {**FOREIGN_STATEMENT, "Principal": "*"})
    aws.client("ecr").put_lifecycle_policy(repositoryName="images-app-b", lifecyclePolicyText=json.dumps(LIFECYCLE))
    plan = aws.plan(document)
    assert [verdict.message for verdict in plan.strangers] == [
        "anyone has access (images.access.app-a), and guards.allow_public is not true"
    ]
    text = joined(drift_lines(report_of(plan)))
    assert "Foreign access that the guards would not allow in the spec" in text
    assert "images.lifecycle.app-b: a lifecycle policy that was not made from a spec (" in text
    assert aws.carry_out(plan) == [], "it stops no plan"
    document["guards"] = {"allow_public": True}
    assert aws.plan(document).strangers == ()
    give(aws, MANY)
    document["guards"] = {"allowed_accounts": ["111122223333", "444455556666"]}
    assert [verdict.message for verdict in aws.plan(document).strangers] == [
        "777788889999 has access, and guards.allowed_accounts does not list it (images.access.app-a)"
    ]
    members = {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}}
    give(aws, {**FOREIGN_STATEMENT, **members})
    document["guards"] = {"allowed_organizations": ["o-a1b2c3d4e6"]}
    plan = aws.plan(document)
    assert [verdict.message for verdict in plan.strangers] == [
        "organization o-a1b2c3d4e5 has access, and guards.allowed_organizations does not list it (images.access.app-a)"
    ]
    assert "any principal of organization o-a1b2c3d4e5 can pull app-a (statement" in joined(
        drift_lines(report_of(plan))
    )


def test_drift_does_not_say_of_what_a_replacement_makes_again_that_it_is_not_there(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "retention": {"keep_last": 3}}, grants=(GRANT,))
    aws.apply(document)
    document["repositories"][0]["encryption"] = {"kms_key": f"arn:aws:kms:us-east-1:{OWN}:key/k"}
    text = joined(drift_lines(report_of(aws.plan(document))))
    for kind in ("access", "lifecycle"):
        assert f"images.{kind}.app-a is deleted with images.repository.app-a and created again" in text
    assert "is not there" not in text
