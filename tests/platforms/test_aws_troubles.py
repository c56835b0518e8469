"""AWS on a bad day: killed in the middle, throttled, answers lost, roles not visible yet."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import yaml

from reconciler import apply
from reconciler.engine.apply import succeeded
from reconciler.engine.write import Outcome, Status
from reconciler.platforms.aws.platform import PLATFORM
from reconciler.render.outcome import outcome_line
from tests.apply_process import run_apply
from tests.emulators.aws import Faults, KillAfter, PrincipalNotFound, Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

GRANT = {"name": "one", "to": {"type": "aws", "account_ids": ["987654321091"]}}


def small(aws: AwsSandbox) -> Document:
    return aws.document(
        {"name": "app-a", "retention": {"keep_last": 3}}, "app-b", grants=(GRANT,), guards={"max_deletes": "100%"}
    )


def test_killed_at_any_api_call_the_next_apply_converges(aws: AwsSandbox, tmp_path: Path) -> None:
    document = small(aws)
    assert run_apply(tmp_path, document) == 0
    total, good = len(aws.proxy.calls), aws.state()
    assert total > 15
    killed = 0
    for number in range(1, total + 1):
        aws.reset()
        kill_at(number, aws, tmp_path, document)
        killed += 1
        aws.apply(document)
        assert aws.plan(document).changes == (), number
        assert aws.state() == good, number
    assert killed == total


def kill_at(number: int, aws: AwsSandbox, folder: Path, document: Document) -> None:
    """Applies the document and kills the process at that call, every other time after the call was carried out."""
    killer = KillAfter(number, carried_out=number % 2 == 0)
    aws.proxy.behaviours.append(killer)

    def started(pid: int) -> None:
        killer.pid = pid

    assert run_apply(folder, document, started) != 0, number
    assert killer.killed, (number, (folder / "said").read_text())
    aws.proxy.behaviours.remove(killer)


def test_killed_while_it_deletes_and_updates_the_next_apply_converges(aws: AwsSandbox, tmp_path: Path) -> None:
    first = small(aws)
    second = aws.document({"name": "app-a", "labels": {"team": "x"}}, "app-c", guards={"max_deletes": "100%"})
    aws.apply(first)
    aws.proxy.calls.clear()
    assert run_apply(tmp_path, second) == 0
    total, good = len(aws.proxy.calls), aws.state()
    for number in range(1, total + 1, 3):
        aws.reset()
        aws.apply(first)
        kill_at(number, aws, tmp_path, second)
        aws.apply(second)
        assert aws.state() == good, number


@pytest.mark.parametrize("seed", range(4))
def test_with_30_percent_of_calls_failing_apply_still_converges(aws: AwsSandbox, seed: int) -> None:
    document = small(aws)
    aws.apply(document)
    good, calm = aws.state(), len(aws.proxy.calls)
    aws.reset()
    faults = Faults(seed)
    aws.proxy.behaviours.append(faults)
    aws.apply(document)
    assert faults.failed > 3
    # each call is tried 1 / (1 - 0.35) times on average; three times that is a bound that a retry storm would break
    assert len(aws.proxy.calls) < calm * 5
    aws.proxy.behaviours.remove(faults)
    assert aws.state() == good
    assert aws.plan(document).changes == ()


ROLE = "arn:aws:iam::123456789012:role/images-pull"


def with_role(aws: AwsSandbox, arn: str = ROLE) -> Document:
    grant = {"name": "pullers", "repositories": ["app-a"], "to": {"type": "aws", "role_arns": [arn]}}
    return aws.document("app-a", "app-b", grants=(grant,))


def test_a_role_made_in_this_run_is_waited_for(aws: AwsSandbox) -> None:
    late = PrincipalNotFound("images-pull", times=3)
    aws.proxy.behaviours.append(late)
    document = with_role(aws)
    aws.apply(document)
    assert late.tries == 4
    operations = aws.proxy.operations()
    assert operations.index("iam:CreateRole") < operations.index("ecr:SetRepositoryPolicy")
    assert aws.plan(document).changes == ()


def test_a_role_that_never_appears_fails_with_the_line_of_the_grant(
    aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.platforms.aws.access.PATIENCE", 3.0)
    never = PrincipalNotFound("images-pull", times=-1)
    aws.proxy.behaviours.append(never)
    document = with_role(aws)
    plan = aws.plan(document)
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in apply(plan, raise_on_failure=False)}
    failed = outcomes.pop("images.access.app-a")
    assert failed.status is Status.FAILED
    assert never.tries > 2
    line = outcome_line(failed)
    assert f"AWS can't find a principal of the policy: {ROLE} (grant pullers)" in line
    assert "request id proxy-request" in line
    text = yaml.safe_dump(document, sort_keys=False)
    row = next(
        number for number, row in enumerate(text.splitlines(), 1) if "pullers" in row or "- registry: images" in row
    )
    (place,) = failed.places
    assert (place.kind, place.name, place.file) == ("grant", "pullers", "registry.yaml")
    assert place.line >= row
    assert f"grant pullers at registry.yaml:{place.line}:{place.column}" in line
    assert succeeded(outcomes.values()), "only what depends on it is stopped"
    # the mark that the repository was made with is taken back: the missing policy is pending work, not drift
    aws.proxy.behaviours.remove(never)
    again = aws.plan(document)
    assert [(change.address, change.cause.value) for change in again.changes] == [("images.access.app-a", "pending")]


def test_a_principal_that_is_not_of_this_run_fails_at_once(aws: AwsSandbox) -> None:
    never = PrincipalNotFound("role/gone", times=-1)
    aws.proxy.behaviours.append(never)
    outcomes: dict[str, Outcome] = {
        o.address: o
        for o in apply(aws.plan(with_role(aws, "arn:aws:iam::987654321091:role/gone")), raise_on_failure=False)
    }
    assert outcomes["images.access.app-a"].status is Status.FAILED
    assert never.tries == 1


def test_a_failure_skips_what_depends_on_it_and_nothing_else(aws: AwsSandbox) -> None:
    from tests.platforms.test_aws_session import Denied

    aws.proxy.behaviours.append(Denied("PutLifecyclePolicy"))
    document = small(aws)
    outcomes: dict[str, Status] = {
        outcome.address: outcome.status for outcome in apply(aws.plan(document), raise_on_failure=False)
    }
    assert outcomes.pop("images.lifecycle.app-a") is Status.FAILED
    assert set(outcomes.values()) == {Status.DONE}
    aws.reset()
    aws.proxy.behaviours.append(Denied("CreateRepository"))
    outcomes = {outcome.address: outcome.status for outcome in apply(aws.plan(document), raise_on_failure=False)}
    assert {address for address, status in outcomes.items() if status is Status.SKIPPED} == {
        "images.access.app-a",
        "images.access.app-b",
        "images.lifecycle.app-a",
    }


def test_a_stop_finishes_what_is_under_way_and_starts_nothing_new(aws: AwsSandbox) -> None:
    stop = threading.Event()
    document = aws.document(*(f"app-{number}" for number in range(20)))
    outcomes = apply(
        aws.plan(document), raise_on_failure=False, parallelism=2, stop=stop, on_outcome=lambda outcome: stop.set()
    )
    done = [outcome for outcome in outcomes if outcome.status is Status.DONE]
    skipped = [outcome for outcome in outcomes if outcome.status is Status.SKIPPED]
    assert 1 <= len(done) <= 3
    assert len(done) + len(skipped) == len(outcomes)
    assert all("interrupted" in outcome.message or "it depends on" in outcome.message for outcome in skipped)
    aws.apply(document)
    assert aws.plan(document).changes == ()


def test_a_policy_that_aws_would_refuse_for_its_size_is_a_problem_of_the_plan(aws: AwsSandbox) -> None:
    roles = [f"arn:aws:iam::987654321091:role/a-rather-long-role-name-{number:04}" for number in range(200)]
    grant = {"name": "many", "to": {"type": "aws", "role_arns": roles}}
    problems = aws.plan(aws.document("app-a", grants=(grant,))).problems
    assert [problem.address for problem in problems] == ["images.access.app-a"]
    assert "ECR allows at most 10,240" in problems[0].message
    assert "1 grant (many with 200 principals)" in problems[0].message


def test_a_create_that_meets_somebody_elses_repository_fails_and_leaves_it(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    plan = aws.plan(document)
    aws.make_foreign("app-a")
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in apply(plan, raise_on_failure=False)}
    assert outcomes["images.repository.app-a"].status is Status.FAILED
    assert "somebody else created it" in outcomes["images.repository.app-a"].message
    assert aws.state()["repositories"]["us-east-1/images-app-a"]["tags"] == {}


class Lies(Quiet):
    """Answers a write with something else than was asked for, as a platform does that normalises or ignores a field."""

    def before(self, call: Call) -> Answer | None:
        if call.operation != "PutLifecyclePolicy":
            return None
        text = call.body["lifecyclePolicyText"].replace('"countNumber":3', '"countNumber":4')
        return Answer(body={"repositoryName": call.body["repositoryName"], "lifecyclePolicyText": text})


def test_an_answer_that_is_not_what_was_asked_for_is_told(aws: AwsSandbox) -> None:
    aws.proxy.behaviours.append(Lies())
    outcomes: dict[str, Outcome] = {
        outcome.address: outcome for outcome in apply(aws.plan(small(aws)), raise_on_failure=False)
    }
    lied = outcomes["images.lifecycle.app-a"]
    assert lied.status is Status.FAILED
    assert "did not converge" in lied.message
    assert "that are not among the newest 4" in lied.message


def test_verify_reads_what_was_touched_again_and_tells_what_did_not_converge(aws: AwsSandbox) -> None:
    hands: list[str] = []

    def meddle(outcome: Outcome) -> None:
        if outcome.address == "images.repository.app-b" and not hands:
            hands.append("scanning")
            ecr = aws.client("ecr")
            ecr.put_image_scanning_configuration(
                repositoryName="images-app-b", imageScanningConfiguration={"scanOnPush": True}
            )

    plan = aws.plan(small(aws))
    outcomes: dict[str, Outcome] = {
        outcome.address: outcome for outcome in apply(plan, raise_on_failure=False, verify=True, on_outcome=meddle)
    }
    assert outcomes.pop("images.repository.app-b").message == "did not converge: scan_on_push is true, not false"
    assert succeeded(outcomes.values())


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_other_partitions_have_their_own_arns_and_converge(aws: AwsSandbox, region: str, partition: str) -> None:
    grant = {"name": "one", "to": {"type": "aws", "account_ids": ["987654321091"], "allowed_service_types": ["worker"]}}
    document = aws.document("app-a", grants=(grant,), registry={"region": region})
    aws.apply(document)
    assert aws.plan(document).changes == ()
    found = aws.client("ecr", region).get_repository_policy(repositoryName="images-app-a")["policyText"]
    assert f"arn:{partition}:iam::987654321091:root" in found
    assert f"arn:{partition}:lambda:*:987654321091:function:*" in found
    spec = aws.spec(document)
    values = {item.value for item in PLATFORM.outputs(spec, spec.registries[0])}
    host = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    assert f"123456789012.dkr.ecr.{region}.{host}/images-app-a" in values
    assert f"arn:{partition}:iam::123456789012:role/images-pull" in values
