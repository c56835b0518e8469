"""A replacement that is cut off between the delete and the create loses nothing of what others had put on the repository."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
import yaml

from reconciler.api.plan_file import loads
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Outcome, Status
from reconciler.errors import ReadFailed, StalePlan
from reconciler.model.address import Address
from reconciler.model.change import Action
from reconciler.platforms.rescue import Rescue
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.apply_process import run_apply
from tests.command_line import in_this_process
from tests.emulators.aws import PrincipalNotFound, Quiet, too_many
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import FOREIGN_STATEMENT, LIFECYCLE, AwsSandbox
from tests.sandbox.base import Document

from .test_aws_troubles import kill_at

AT = Address("images.repository.app-a")
KEY = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/1"}
NATIVE = "us-east-1/images-app-a"
ARN = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"


@dataclass
class Broken(Quiet):
    """Some operations fail as they do where the KMS key can't be used.

    The text is ECR's own: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html (KmsException)
    """

    operations: tuple[str, ...]
    on: bool = True

    def before(self, call: Call) -> Answer | None:
        if self.on and call.operation in self.operations:
            return Answer(400, {"message": "The operation failed due to a KMS exception."}, "KmsException")
        return None


@pytest.fixture
def rescue(aws: AwsSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(aws, "rescue", ".")
    return folder


def with_grant(aws: AwsSandbox) -> Document:
    return aws.document({"name": "app-a", "labels": {"team": "web"}}, grants=({"name": "one", "to": aws.target("1")},))


def as_others_left_it(aws: AwsSandbox) -> Document:
    """A repository of ours with tags, a statement and a lifecycle policy of others; returns the spec that replaces it."""
    document = with_grant(aws)
    aws.apply(document)
    aws.give_foreign_access("app-a")
    aws.put_foreign_tag("app-a", "cost-centre", "42")
    ecr = aws.client("ecr")
    ecr.put_lifecycle_policy(repositoryName="images-app-a", lifecyclePolicyText=json.dumps(LIFECYCLE))
    document["repositories"][0]["encryption"] = KEY
    return document


def check_all_is_there(aws: AwsSandbox, document: Document) -> None:
    state = aws.state()["repositories"][NATIVE]
    assert FOREIGN_STATEMENT in state["policy"]["Statement"]
    assert len(state["policy"]["Statement"]) == 2
    assert state["tags"]["cost-centre"] == "42"
    assert state["lifecycle"] == LIFECYCLE
    assert state["encryptionConfiguration"]["kmsKey"] == KEY["kms_key"]
    assert aws.plan(document).changes == ()


@contextmanager
def broken(aws: AwsSandbox, *operations: str) -> Iterator[None]:
    behaviour = Broken(operations)
    aws.proxy.behaviours.append(behaviour)
    yield
    behaviour.on = False


def replacement(outcomes: list[Outcome]) -> Outcome:
    return next(outcome for outcome in outcomes if outcome.address == AT)


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ("CreateRepository", Action.CREATE),
        ("SetRepositoryPolicy", Action.UPDATE),
        ("PutLifecyclePolicy", Action.UPDATE),
    ],
)
def test_a_replacement_that_is_cut_off_keeps_what_others_had_and_the_next_apply_puts_it_back(
    aws: AwsSandbox, rescue: Path, operation: str, left: Action
) -> None:
    document = as_others_left_it(aws)
    plan = aws.plan(document)
    text = joined(plan_lines(report_of(plan)))
    assert "is deleted and created again: nobody can pull from it in between, and it is empty afterwards" in text
    with broken(aws, operation):
        failed = replacement(aws.carry_out(plan))
    assert failed.status is Status.FAILED
    (file,) = rescue.glob("reconciler-rescue-*.json")
    assert str(file.name) in failed.message
    assert "the next apply restores it" in failed.message
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = aws.plan(document)
    change = next(change for change in again.changes if change.address == AT)
    assert change.action is left
    assert (
        "a replacement was interrupted: what others put on it (tags, policy, lifecycle policy) is kept in"
        in change.notes[0]
    )
    assert file.name in change.notes[0]
    aws.apply(document)
    check_all_is_there(aws, document)
    assert list(rescue.glob("*rescue*")) == []


def test_a_release_puts_back_what_an_interrupted_replacement_left_in_the_folder_that_it_is_given(
    aws: AwsSandbox, rescue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`release` had no --rescue: nothing of it was restored, and no later plan mentioned it."""
    document = as_others_left_it(aws)
    with broken(aws, "SetRepositoryPolicy"):
        assert replacement(aws.carry_out(aws.plan(document))).status is Status.FAILED
    assert list(rescue.glob("reconciler-rescue-*.json"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "registry.yaml").write_text(yaml.safe_dump(document))
    in_this_process("release", AT, "--yes", "--rescue", str(rescue))
    state = aws.state()["repositories"][NATIVE]
    assert state["policy"]["Statement"] == [FOREIGN_STATEMENT]
    assert state["lifecycle"] == LIFECYCLE
    assert list(rescue.glob("*rescue*")) == []


def test_killed_at_any_call_after_the_delete_nothing_of_others_is_lost(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    aws.proxy.calls.clear()
    assert run_apply(rescue, document) == 0
    operations = [call.operation for call in aws.proxy.calls]
    for number in range(operations.index("DeleteRepository") + 1, len(operations) + 1):
        aws.reset()
        as_others_left_it(aws)
        kill_at(number, aws, rescue, document)
        aws.apply(document)
        check_all_is_there(aws, document)
        assert list(rescue.glob("*rescue*")) == [], number


def test_a_whole_replacement_leaves_no_file_behind(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    aws.apply(document)
    check_all_is_there(aws, document)
    assert list(rescue.iterdir()) == []


def test_nothing_is_deleted_where_the_file_cannot_be_written(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    before = aws.state()
    failed = replacement(aws.carry_out(aws.plan(document), rescue="no/such/folder", sessions=None))
    assert failed.status is Status.FAILED
    assert "--rescue DIR" in failed.message
    assert aws.state() == before


def test_what_somebody_put_there_meanwhile_stays(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "CreateRepository"):
        aws.carry_out(aws.plan(document))
    del document["grants"][0]
    (file,) = rescue.glob("reconciler-rescue-*.json")
    kept = file.read_bytes()
    aws.apply(document)
    file.write_bytes(kept)  # as if the run had been killed before it removed the file
    file.chmod(0o600)
    aws.put_foreign_tag("app-a", "cost-centre", "43")
    other = {**FOREIGN_STATEMENT, "Sid": "another"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [other]})
    aws.client("ecr").set_repository_policy(repositoryName="images-app-a", policyText=policy)
    aws.apply(document)
    state = aws.state()["repositories"][NATIVE]
    assert state["policy"]["Statement"] == [other, FOREIGN_STATEMENT]
    assert state["tags"]["cost-centre"] == "43"


def test_a_file_is_not_put_on_what_is_not_ours(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "CreateRepository"):
        aws.carry_out(aws.plan(document))
    aws.make_foreign("app-a")
    plan = aws.plan(document)
    assert [problem.address for problem in plan.problems] == [AT]
    assert len(list(rescue.glob("reconciler-rescue-*.json"))) == 1


def test_a_damaged_file_is_an_error_with_its_name(aws: AwsSandbox, rescue: Path) -> None:
    document = with_grant(aws)
    path = Rescue(".", "tests").path(AT, ARN)
    path.write_text("{")
    path.chmod(0o600)
    with pytest.raises(ReadFailed) as raised:
        aws.plan(document)
    assert path.name in str(raised.value)
    assert "repair the file" in str(raised.value)


def test_what_aws_refuses_to_take_back_stays_in_the_file(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    plan = aws.plan(document)
    aws.proxy.behaviours.append(PrincipalNotFound("111122223333", times=1))
    assert replacement(aws.carry_out(plan)).status is Status.FAILED
    (file,) = rescue.glob("reconciler-rescue-*.json")
    assert json.loads(file.read_text())["others"]["policy"]["Statement"] == [FOREIGN_STATEMENT]
    aws.apply(document)
    check_all_is_there(aws, document)


def test_what_waits_is_said_as_access_that_is_gained_and_no_guard_keeps_it_from_coming_back(
    aws: AwsSandbox, rescue: Path
) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "SetRepositoryPolicy"):
        aws.carry_out(aws.plan(document))
    plan = aws.plan(document)
    assert "account 111122223333 can now pull app-a" in joined(plan_lines(report_of(plan)))
    assert loads(dumps(plan)).changes == plan.changes
    guarded = {**document, "guards": {"allowed_accounts": ["987654321091"]}}
    assert aws.plan(guarded).violations == (), "it stood there before, and no guard asked"
    aws.apply(guarded)
    check_all_is_there(aws, guarded)


def test_what_waits_and_is_there_is_no_gain(aws: AwsSandbox, rescue: Path) -> None:
    """Killed between the file and the delete."""
    document = as_others_left_it(aws)
    theirs = {"Version": "2012-10-17", "Statement": [FOREIGN_STATEMENT]}
    Rescue(".", "tests").keep(AT, ARN, {"tags": {}, "policy": theirs, "lifecycle": ""})
    text = joined(plan_lines(report_of(aws.plan(document))))
    assert "account 111122223333 can pull app-a" in text
    assert "account 111122223333 can now" not in text


@dataclass
class StopAt(Quiet):
    """Throttles an operation once, for which a stop is asked."""

    operation: str
    stop: Event
    seen: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation or self.seen > 1:
            return None
        self.stop.set()
        self.seen += 1
        return too_many(call)


@pytest.mark.parametrize("operation", ["CreateRepository", "SetRepositoryPolicy", "PutLifecyclePolicy"])
def test_a_stop_does_not_leave_a_replacement_half_done(aws: AwsSandbox, rescue: Path, operation: str) -> None:
    document = as_others_left_it(aws)
    stop = Event()
    aws.proxy.behaviours.append(StopAt(operation, stop))
    done = replacement(aws.carry_out(aws.plan(document), stop=stop))
    assert (done.status, done.message) == (Status.DONE, "")
    assert list(rescue.iterdir()) == []
    aws.apply(document)
    check_all_is_there(aws, document)


def test_a_stop_before_the_delete_leaves_the_repository_and_no_file(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    stop = Event()
    aws.proxy.behaviours.append(StopAt("DeleteRepository", stop))
    halted = replacement(aws.carry_out(aws.plan(document), stop=stop))
    assert halted.status is Status.FAILED
    assert "it was not sent" in halted.message
    assert list(rescue.iterdir()) == []
    aws.apply(document)
    check_all_is_there(aws, document)


def test_every_failure_on_the_way_back_names_the_file(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "CreateRepository"):
        aws.carry_out(aws.plan(document))
        again = replacement(aws.carry_out(aws.plan(document)))
    (file,) = rescue.glob("reconciler-rescue-*.json")
    assert again.status is Status.FAILED
    assert file.name in again.message
    aws.apply(document)
    check_all_is_there(aws, document)


def test_a_statement_that_was_made_anew_meanwhile_is_not_put_back_beside_itself(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "SetRepositoryPolicy"):
        aws.carry_out(aws.plan(document))
    anew = {**FOREIGN_STATEMENT, "Action": "ecr:BatchGetImage"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [anew]})
    aws.client("ecr").set_repository_policy(repositoryName="images-app-a", policyText=text)
    aws.apply(document)
    kept = [item for item in aws.state()["repositories"][NATIVE]["policy"]["Statement"] if item["Sid"] == anew["Sid"]]
    assert kept == [anew]


def test_a_replacement_while_something_waits_puts_that_back_too(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "SetRepositoryPolicy"):
        aws.carry_out(aws.plan(document))
    document["repositories"][0]["encryption"] = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/2"}
    aws.apply(document, allow_delete=[AT])
    state = aws.state()["repositories"][NATIVE]
    assert FOREIGN_STATEMENT in state["policy"]["Statement"]
    assert (state["tags"]["cost-centre"], state["lifecycle"]) == ("42", LIFECYCLE)
    assert list(rescue.iterdir()) == []


def test_a_delete_that_is_refused_leaves_no_file_and_a_deleted_repository_none_either(
    aws: AwsSandbox, rescue: Path
) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "DeleteRepository"):
        aws.carry_out(aws.plan(document))
    assert list(rescue.iterdir()) == [], "all of it still stands on the repository"
    with broken(aws, "SetRepositoryPolicy"):
        aws.carry_out(aws.plan(document))
    assert len(list(rescue.iterdir())) == 1
    aws.apply({**document, "repositories": [], "grants": [], "guards": {"max_deletes": "100%"}}, allow_delete=[AT])
    assert list(rescue.iterdir()) == []


def test_a_lifecycle_policy_that_waits_is_somebody_else_s_as_before(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "CreateRepository"):
        aws.carry_out(aws.plan(document))
    document["repositories"][0]["retention"] = {"keep_last": 3}
    assert [problem.address for problem in aws.plan(document).problems] == ["images.lifecycle.app-a"]
    del document["repositories"][0]["retention"]
    aws.apply(document)
    check_all_is_there(aws, document)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"tagz": 1}, "tagz"),
        ({"tags": [1]}, "tags"),
        ([], "it holds nothing that others set"),
        ({"policy": {"Statement": "x"}}, "its policy is not valid"),
        ({"tags": {"reconciler-delete-images": "true"}}, "reconciler-delete-images"),
    ],
)
def test_a_file_that_this_tool_has_not_written_is_refused(
    aws: AwsSandbox, rescue: Path, others: object, words: str
) -> None:
    aws.apply(with_grant(aws))
    path = Rescue(".", "tests").path(AT, ARN)
    head = {"format": 1, "owner": "tests", "address": AT, "native": ARN}
    path.write_text(json.dumps({**head, "others": others}))
    for mode, said in ((0o644, "users other than you can read or write it"), (0o600, words)):
        path.chmod(mode)
        with pytest.raises(ReadFailed) as raised:
            aws.plan(with_grant(aws))
        assert said in str(raised.value)
        assert path.name in str(raised.value)


def test_a_saved_plan_knows_what_waits(aws: AwsSandbox, rescue: Path) -> None:
    document = as_others_left_it(aws)
    with broken(aws, "SetRepositoryPolicy"):
        aws.carry_out(aws.plan(document))
    plan = loads(dumps(aws.plan(document)))
    (file,) = rescue.iterdir()
    kept = file.read_bytes()
    file.unlink()
    with pytest.raises(StalePlan):
        aws.carry_out(plan, saved=True)
    file.write_bytes(kept.replace(b"111122223333", b"999999999999"))
    file.chmod(0o600)
    with pytest.raises(StalePlan):
        aws.carry_out(plan, saved=True)
