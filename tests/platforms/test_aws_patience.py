"""AWS that is late, in its own way, or not AWS at all: what passes is waited for, and nothing is taken for "there is nothing"."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from reconciler import apply, session
from reconciler.engine.apply import succeeded
from reconciler.engine.expand import estate_of
from reconciler.engine.plan import make_plan
from reconciler.engine.sessions import sessions_of
from reconciler.engine.write import Outcome, Status
from reconciler.errors import ReadFailed
from reconciler.model.address import Address
from reconciler.platforms.aws.session import AwsSession
from reconciler.render.outcome import outcome_record
from tests.emulators.aws import PrincipalNotFound, Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document


@dataclass
class Refuses(Quiet):
    """Refuses the first `times` calls of an operation (-1: all), with AWS's own code."""

    operation: str
    code: str
    times: int = 1
    message: str = "not now"
    tries: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation or self.tries == self.times:
            return None
        self.tries += 1
        return Answer(404 if "NoSuch" in self.code else 400, {"message": self.message}, self.code)


@dataclass
class NotAws(Quiet):
    """A proxy's login page, with a status that looks like success, for one operation."""

    operation: str
    status: int = 200

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        return Answer(self.status, text="<html><body>Please log in</body></html>")


def small(aws: AwsSandbox, **registry: Any) -> Document:
    grant = {"name": "one", "to": aws.target("1")}
    return aws.document(
        {"name": "app-a", "retention": {"keep_last": 3}},
        grants=(grant,),
        registry=registry,
        guards={"max_deletes": "100%"},
    )


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("PutRolePolicy", "NoSuchEntity"),
        ("GetRole", "NoSuchEntity"),
        ("GetRolePolicy", "NoSuchEntity"),
        ("ListRolePolicies", "NoSuchEntity"),
        ("TagRole", "NoSuchEntity"),
        ("PutLifecyclePolicy", "RepositoryNotFoundException"),
        ("SetRepositoryPolicy", "RepositoryNotFoundException"),
        ("DescribeRepositories", "RepositoryNotFoundException"),
    ],
)
def test_what_this_run_made_and_a_service_does_not_know_yet_is_waited_for(
    aws: AwsSandbox, operation: str, code: str
) -> None:
    document = small(aws)
    plan = aws.plan(document)
    late = Refuses(operation, code, times=2)
    aws.proxy.behaviours.append(late)
    outcomes = aws.carry_out(plan, verify=True)
    assert succeeded(outcomes), [outcome for outcome in outcomes if outcome.message]
    assert late.tries == 2
    assert aws.plan(document).changes == ()


def test_what_somebody_else_removed_is_not_waited_for(aws: AwsSandbox) -> None:
    document = small(aws)
    aws.apply(document)
    document["repositories"][0]["retention"] = {"keep_last": 4}
    gone = Refuses("PutLifecyclePolicy", "RepositoryNotFoundException", times=-1)
    plan = aws.plan(document)
    aws.proxy.behaviours.append(gone)
    (outcome,) = aws.carry_out(plan)
    assert (outcome.status, gone.tries) == (Status.FAILED, 1)


@pytest.mark.parametrize("operation", ["TagRole", "CreateRole"])
def test_two_writes_to_one_role_at_once_let_each_other_through(aws: AwsSandbox, operation: str) -> None:
    document = small(aws, replication_regions=["eu-west-1", "us-west-2"])
    busy = Refuses(operation, "ConcurrentModification", times=2)
    aws.proxy.behaviours.append(busy)
    aws.apply(document)
    assert busy.tries == 2
    assert aws.plan(document).changes == ()


def test_a_role_that_iam_answers_as_it_was_is_read_until_it_is_as_written(aws: AwsSandbox) -> None:
    document = small(aws)
    aws.apply(document)
    before = aws.client("iam").get_role(RoleName="images-pull")["Role"]
    document["registries"][0]["trusted_principals"] = ["arn:aws:iam::123456789012:role/ci"]
    plan = aws.plan(document)

    class Old(Quiet):
        """GetRole of the pull role, twice as it was before the trust was changed."""

        def __init__(self) -> None:
            self.written, self.tries = False, 0

        def before(self, call: Call) -> Answer | None:
            if call.operation == "UpdateAssumeRolePolicy" and call.body["RoleName"] == "images-pull":
                self.written = True
            if call.operation != "GetRole" or call.body["RoleName"] != "images-pull" or not self.written:
                return None
            if self.tries == 2:
                return None
            self.tries += 1
            trust = quote(json.dumps(before["AssumeRolePolicyDocument"]))
            tags = "".join(
                f"<member><Key>{tag['Key']}</Key><Value>{tag['Value']}</Value></member>" for tag in before["Tags"]
            )
            return Answer(
                text="<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>images-pull</RoleName>"
                f"<RoleId>AROAEXAMPLEEXAMPLE123</RoleId><Arn>{before['Arn']}</Arn>"
                f"<CreateDate>2026-01-01T00:00:00Z</CreateDate><MaxSessionDuration>43200</MaxSessionDuration>"
                f"<AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument><Tags>{tags}</Tags>"
                "</Role></GetRoleResult></GetRoleResponse>"
            )

    old = Old()
    aws.proxy.behaviours.append(old)
    outcomes = aws.carry_out(plan)
    assert succeeded(outcomes), outcomes
    assert old.tries == 2


def test_the_other_text_for_a_role_that_ecr_does_not_know_yet_is_waited_for_too(aws: AwsSandbox) -> None:
    role = "arn:aws:iam::123456789012:role/images-pull"
    grant = {"name": "pullers", "to": {"type": "aws", "role_arns": [role]}}
    document = aws.document("app-a", grants=(grant,))
    text = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
    late = Refuses("SetRepositoryPolicy", "InvalidParameterException", times=2, message=text)
    aws.proxy.behaviours.append(late)
    aws.apply(document)
    assert late.tries == 2


@pytest.mark.parametrize(
    "operation", ["GetCallerIdentity", "DescribeRepositories", "GetRole", "ListTagsForResource", "GetRepositoryPolicy"]
)
@pytest.mark.parametrize("status", [200, 403])
def test_an_answer_that_is_not_awss_is_an_error_and_never_an_empty_registry(
    aws: AwsSandbox, operation: str, status: int
) -> None:
    document = small(aws, replication_regions=["eu-west-1"])
    aws.apply(document)
    aws.proxy.behaviours.append(NotAws(operation, status))
    with pytest.raises(ReadFailed) as failed:
        aws.plan(document)
    assert f":{operation}: " in str(failed.value)
    if status == 200:
        assert "the answer did not come from AWS" in str(failed.value) or "parse" in str(failed.value)
        assert "a proxy with a login page" in str(failed.value)


def test_rules_that_could_not_be_read_are_not_overwritten(aws: AwsSandbox) -> None:
    theirs = {"destinations": [{"region": "ap-south-1", "registryId": "111122223333"}]}
    aws.replication.rules["us-east-1"] = [theirs]
    plan = aws.plan(small(aws, replication_regions=["eu-west-1"]))
    aws.proxy.behaviours.insert(0, NotAws("DescribeRegistry"))
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in aws.carry_out(plan)}
    assert outcomes["images.replication.rule"].status is Status.FAILED
    assert aws.replication.rules["us-east-1"] == [theirs]


@pytest.mark.parametrize("operation", ["SetRepositoryPolicy", "CreateRole", "CreateRepository", "PutLifecyclePolicy"])
def test_a_write_whose_answer_is_not_awss_has_a_failed_outcome_and_the_rest_goes_on(
    aws: AwsSandbox, operation: str
) -> None:
    plan = aws.plan(small(aws))
    aws.proxy.behaviours.append(NotAws(operation))
    outcomes = aws.carry_out(plan)
    assert len(outcomes) == len(plan.changes)
    assert Status.FAILED in {outcome.status for outcome in outcomes}
    assert all("Traceback" not in outcome.message for outcome in outcomes)


def test_a_fault_of_a_kind_is_a_failed_outcome_not_the_end_of_the_run(
    aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from reconciler.platforms.aws.lifecycle import LifecycleKind

    def fault(*_: Any) -> None:
        raise KeyError("policyText")

    caplog.set_level(logging.DEBUG, "reconciler.faults")
    monkeypatch.setattr(LifecycleKind, "create", fault)
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in aws.carry_out(aws.plan(small(aws)))}
    broken = outcomes.pop("images.lifecycle.app-a")
    assert broken.status is Status.FAILED
    assert "internal error (KeyError: 'policyText'); please report it" in broken.message
    assert {outcome.status for outcome in outcomes.values()} == {Status.DONE}
    assert "Traceback" in caplog.text, "for whoever looks into it"


def test_the_hint_names_the_permission_that_aws_says_is_missing(aws: AwsSandbox) -> None:
    message = (
        "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecr:TagResource on resource:"
        " arn:aws:ecr:us-east-1:123456789012:repository/images-app-a because no identity-based policy allows it"
    )
    plan = aws.plan(small(aws))
    aws.proxy.behaviours.append(Refuses("CreateRepository", "AccessDeniedException", -1, message))
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in aws.carry_out(plan)}
    assert "allow ecr:TagResource to these credentials" in outcomes["images.repository.app-a"].message


class LosesTags(Quiet):
    """CreateRole that drops the tags it was sent: seen where a proxy or an old endpoint rewrites requests."""

    def __init__(self, aws: AwsSandbox) -> None:
        self.aws = aws

    def after(self, call: Call) -> Answer | None:
        if call.operation == "CreateRole":
            keys = ["reconciler-owner", "reconciler-origin", "reconciler-applied"]
            self.aws.client("iam").untag_role(RoleName=call.body["RoleName"], TagKeys=keys)
        return None


def test_marks_that_were_not_kept_are_reported_and_not_called_done(
    aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.platforms.aws.role.SETTLING", 1.0)
    plan = aws.plan(small(aws))
    aws.proxy.behaviours.append(LosesTags(aws))
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in aws.carry_out(plan)}
    assert outcomes["images.role.pull"].status is Status.FAILED
    assert "its owner is nobody, not tests" in outcomes["images.role.pull"].message


def test_tags_that_a_create_left_out_are_found_by_verify(aws: AwsSandbox) -> None:
    class Untagged(Quiet):
        def after(self, call: Call) -> Answer | None:
            if call.operation == "CreateRepository":
                arn = f"arn:aws:ecr:us-east-1:123456789012:repository/{call.body['repositoryName']}"
                keys = [tag["Key"] for tag in call.body["tags"]]
                aws.client("ecr").untag_resource(resourceArn=arn, tagKeys=keys)
            return None

    plan = aws.plan(aws.document("app-a"))
    aws.proxy.behaviours.append(Untagged())
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in aws.carry_out(plan, verify=True)}
    assert "its owner is nobody" in outcomes["images.repository.app-a"].message


def test_the_log_has_the_lines_of_the_spec_that_an_error_is_about(aws: AwsSandbox) -> None:
    role = "arn:aws:iam::987654321091:role/gone"
    grant = {"name": "pullers", "to": {"type": "aws", "role_arns": [role]}}
    plan = aws.plan(aws.document("app-a", grants=(grant,)))
    aws.proxy.behaviours.append(PrincipalNotFound("role/gone", times=-1))
    failed = next(outcome for outcome in apply(plan, raise_on_failure=False) if outcome.status is Status.FAILED)
    (place,) = failed.places
    assert outcome_record(failed)["places"] == [f"grant pullers at registry.yaml:{place.line}:{place.column}"]


def test_a_role_whose_create_was_cut_off_is_read_without_waiting_for_a_policy_that_was_never_put(
    aws: AwsSandbox,
) -> None:
    document = small(aws)
    spec = aws.spec(document)
    with sessions_of(estate_of(spec), platforms=aws.platforms) as sessions:
        plan = make_plan(spec, platforms=aws.platforms, sessions=sessions)
        refusing = Refuses("PutRolePolicy", "AccessDeniedException", times=-1)
        aws.proxy.behaviours.append(refusing)
        assert not succeeded(aws.carry_out(plan, sessions=sessions))
        aws.proxy.behaviours.remove(refusing)
        aws.proxy.calls.clear()
        again = make_plan(spec, platforms=aws.platforms, sessions=sessions)
        assert aws.proxy.operations().count("iam:GetRolePolicy") == 2, "asked once for each role"
        assert succeeded(aws.carry_out(again, sessions=sessions))


def test_what_was_made_in_one_region_is_not_waited_for_in_another(aws: AwsSandbox) -> None:
    spec = aws.spec(small(aws, replication_regions=["eu-west-1"]))
    with session(spec) as opened:
        assert isinstance(opened, AwsSession)
        opened.made("ecr", "us-east-1", "images-app-a")
        at = Address.of("images", "access", "app-a", "eu-west-1")
        absent = ("RepositoryNotFoundException",)
        aws.proxy.calls.clear()
        assert opened.repository_call("get_repository_policy", at, absent=absent) is None
        assert len(aws.proxy.calls) == 1
        opened.forget("ecr", "us-east-1", "images-app-a")
        assert (
            opened.repository_call("get_repository_policy", Address.of("images", "access", "app-a"), absent=absent)
            is None
        )
        assert len(aws.proxy.calls) == 2


def test_a_policy_that_ecr_finds_wrong_is_reported_in_its_own_words(aws: AwsSandbox) -> None:
    document = small(aws)
    aws.apply(document)
    aws.give_foreign_access("app-a")
    document["grants"] = []
    text = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
    wrong = Refuses("SetRepositoryPolicy", "InvalidParameterException", times=-1, message=text)
    plan = aws.plan(document)
    aws.proxy.behaviours.append(wrong)
    (outcome,) = aws.carry_out(plan)
    assert "Invalid repository policy provided" in outcome.message
    assert "principal" not in outcome.message
    assert wrong.tries == 1
