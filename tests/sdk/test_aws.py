"""A program's registry on AWS: what it calls, what its credentials can do, and access beside the spec's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from reconciler import (
    ArtifactRegistry,
    AwsAccess,
    CredentialsDenied,
    GivenAccess,
    GuardViolation,
    RepositoryExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
    UnsupportedAccess,
    artifact_registry,
)
from reconciler.platforms.aws import policy, runtime_access
from reconciler.platforms.aws.issuing import session_policy
from tests.emulators.aws_logins import AuthorizationTokens
from tests.sandbox.aws import ACCOUNT, FOREIGN_STATEMENT, AwsSandbox
from tests.sandbox.base import Document

A, B = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{A}:role/deploy"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes here but who says so."""
    monkeypatch.setattr(runtime_access, "SETTLING", 0.02)


@pytest.fixture
def document(aws: AwsSandbox) -> Document:
    return aws.document("base", registry={"trusted_principals": [f"arn:aws:iam::{ACCOUNT}:role/ci"]})


@pytest.fixture
def registry(aws: AwsSandbox, document: Document, tmp_path: Path) -> Iterator[ArtifactRegistry]:
    """A registry whose spec was applied."""
    aws.apply(document)
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(document))
    with artifact_registry("images", spec=path) as found:
        yield found


def calls(aws: AwsSandbox) -> list[str]:
    """What was called since the last look."""
    found = [call.operation for call in aws.proxy.calls]
    aws.proxy.calls.clear()
    return found


def written(name: str, region: str = "us-east-1") -> Document:
    """A repository's policy, read by boto3."""
    ecr = boto3.client("ecr", region_name=region)
    found: Document = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
    return found


def test_a_repository_is_made_in_two_calls_and_is_what_ecr_has(aws: AwsSandbox, registry: ArtifactRegistry) -> None:
    registry.get_repository("base")
    calls(aws)
    made = registry.create_repository("my-app")
    assert len(calls(aws)) <= 2
    assert made.native_name == "images-my-app"
    assert made.uri == f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/images-my-app"
    (there,) = boto3.client("ecr", region_name="us-east-1").describe_repositories(repositoryNames=["images-my-app"])[
        "repositories"
    ]
    assert there["createdAt"] == made.created_at
    assert registry.get_repository("my-app") == registry.get_repository("images-my-app") == made
    assert [item.name for item in registry.list_repositories()] == ["base", "my-app"]
    with pytest.raises(RepositoryExists, match="made at run time"):
        registry.create_repository("my-app")
    with pytest.raises(RepositoryNotFound):
        registry.get_repository("nope")


def test_it_outlives_apply_and_destroy_of_the_spec(
    aws: AwsSandbox, registry: ArtifactRegistry, document: Document
) -> None:
    registry.create_repository("my-app")
    registry.add_cross_account_access("my-app", AwsAccess(account_ids=[A]))
    plan = aws.plan(document)
    assert (plan.changes, plan.runtime) == ((), ("images.repository.my-app",))
    aws.carry_out(aws.plan(document, destroy=True))
    assert registry.get_cross_account_access("my-app") == [GivenAccess(AwsAccess(account_ids=(A,)))]


def test_a_repository_with_images_is_deleted_by_force_alone(aws: AwsSandbox, registry: ArtifactRegistry) -> None:
    registry.create_repository("my-app")
    registry.add_cross_account_access("my-app", AwsAccess(account_ids=[A]))  # goes along: a program gave it
    aws.push_image("my-app")
    with pytest.raises(RepositoryNotEmpty, match="1 image"):
        registry.delete_repository("my-app")
    registry.delete_repository("my-app", force=True)
    with pytest.raises(RepositoryNotFound):
        registry.delete_repository("my-app")


def test_what_others_gave_is_in_the_way_of_a_delete(aws: AwsSandbox, registry: ArtifactRegistry) -> None:
    registry.create_repository("my-app")
    ecr = boto3.client("ecr", region_name="us-east-1")
    text = json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN_STATEMENT]})
    ecr.set_repository_policy(repositoryName="images-my-app", policyText=text)
    with pytest.raises(RepositoryNotEmpty, match="legacy access, by hand"):
        registry.delete_repository("my-app")


# -- credentials


def allows(document: Document, action: str, resource: str) -> bool:
    """Whether a session policy lets an action through: https://docs.aws.amazon.com/IAM/latest/UserGuide/
    reference_policies_evaluation-logic.html. It has neither conditions nor denies."""
    statements = policy.statements_of(document)
    assert all(item.keys() == {"Effect", "Action", "Resource"} and item["Effect"] == "Allow" for item in statements)
    return any(
        action in policy.listed(item["Action"]) and ({"*", resource} & set(policy.listed(item["Resource"])))
        for item in statements
    )


@pytest.mark.parametrize("permission", ["pull", "push-pull"])
def test_credentials_can_do_what_was_asked_for_with_that_repository_alone(
    aws: AwsSandbox, registry: ArtifactRegistry, permission: Any
) -> None:
    aws.proxy.behaviours.append(AuthorizationTokens())
    registry.create_repository("my-app")
    calls(aws)
    seen: list[Document] = []
    aws.proxy.behaviours.append(Watches("sts:AssumeRole", seen))
    found = registry.generate_credentials("images-my-app", permission, 900)
    assert found.registry == f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    assert found.username == "AWS"
    assert found.password not in repr(found)
    assert found.expires_at is not None
    assert 0 < (found.expires_at - datetime.now(UTC)).total_seconds() <= 901
    (asked,) = seen
    role = "images-pull" if permission == "pull" else "images-push"
    assert asked["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/{role}"
    assert asked["DurationSeconds"] == "900"
    narrowed = json.loads(asked["Policy"])
    mine, other = (f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-{name}" for name in ("my-app", "base"))
    for action in (
        *policy.PULL,
        *policy.PUSH,
        "ecr:DeleteRepository",
        "ecr:BatchDeleteImage",
        "ecr:SetRepositoryPolicy",
    ):
        may = action in policy.PULL or (permission == "push-pull" and action in policy.PUSH)
        assert allows(narrowed, action, mine) is may
        assert not allows(narrowed, action, other)
    assert allows(narrowed, "ecr:GetAuthorizationToken", "*")


class Watches:
    """Keeps what the calls of an operation were sent with."""

    def __init__(self, operation: str, seen: list[Document]) -> None:
        self.operation, self.seen = operation, seen

    def before(self, call: Any) -> None:
        if f"{call.service}:{call.operation}" == self.operation:
            self.seen.append(dict(call.body))

    def after(self, call: Any) -> None:
        return None


@pytest.mark.parametrize(("seconds", "said"), [(899, "15 minutes to 1 hour"), (3601, "max_session of the registry")])
def test_a_time_that_aws_does_not_give_is_refused_with_its_limits(
    registry: ArtifactRegistry, seconds: int, said: str
) -> None:
    with pytest.raises(CredentialsDenied, match=said):
        registry.generate_credentials("base", "pull", seconds)


def test_a_session_policy_has_room_for_many_repositories_and_not_for_all() -> None:
    arns = [f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-app-{number}" for number in range(20)]
    assert len(session_policy("pull", arns)) < 2048


# -- access


def test_access_is_given_once_in_each_region_and_taken_back_part_by_part(aws: AwsSandbox, tmp_path: Path) -> None:
    document = aws.document("base", registry={"replication_regions": ["us-west-2"]})
    aws.apply(document)
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(document))
    registry = artifact_registry("images", spec=path)
    worker = AwsAccess(account_ids=[A, B], regions=["us-east-1"], allowed_service_types=["worker"])
    for _ in range(2):
        registry.add_cross_account_access("base", worker)
    registry.add_cross_account_access("base", AwsAccess(role_arns=[ROLE]), "push-pull")
    for region in ("us-east-1", "us-west-2"):
        statements = {item["Sid"]: item for item in written("images-base", region)["Statement"]}
        assert set(statements) == {"ReconcilerRuntimePull", "ReconcilerRuntimePushPull", "ReconcilerRuntimeWorker"}
        assert statements["ReconcilerRuntimeWorker"]["Principal"] == {"Service": ["lambda.amazonaws.com"]}
    assert registry.get_cross_account_access("base") == [
        GivenAccess(AwsAccess(account_ids=(A, B), regions=("us-east-1",), allowed_service_types=("worker",))),
        GivenAccess(AwsAccess(role_arns=(ROLE,)), "push-pull"),
    ]
    registry.remove_cross_account_access("base", AwsAccess(account_ids=[A]))
    assert registry.get_cross_account_access("base")[0] == GivenAccess(
        AwsAccess(account_ids=(B,), regions=("us-east-1",), allowed_service_types=("worker",))
    )
    registry.remove_cross_account_access("base", AwsAccess(account_ids=[A, B]))
    registry.remove_cross_account_access("base", AwsAccess(role_arns=[ROLE]), "push-pull")
    registry.remove_cross_account_access("base", AwsAccess(role_arns=[ROLE]), "push-pull")
    assert registry.get_cross_account_access("base") == []
    with pytest.raises(Exception, match="RepositoryPolicyNotFound"):
        written("images-base")


def test_spec_others_and_programs_give_side_by_side(
    aws: AwsSandbox, registry: ArtifactRegistry, document: Document
) -> None:
    registry.add_cross_account_access("base", AwsAccess(account_ids=[A]))
    aws.give_foreign_access("base")
    grant = {"name": "partner", "registry": "images", "to": {"type": "aws", "account_ids": [A]}}
    aws.apply({**document, "grants": [grant]})
    sids = {item["Sid"] for item in written("images-base")["Statement"]}
    assert {"ReconcilerXpartner", "ReconcilerRuntimePull", FOREIGN_STATEMENT["Sid"]} <= sids
    plan = aws.plan({**document, "grants": [grant]})
    assert plan.changes == ()
    assert any(item.what.startswith("given at run time") for item in plan.foreign)
    registry.remove_cross_account_access("base", AwsAccess(account_ids=[A]))
    assert {item["Sid"] for item in written("images-base")["Statement"]} == sids - {"ReconcilerRuntimePull"}
    registry.add_cross_account_access("base", AwsAccess(account_ids=[B]))
    aws.apply(document)
    assert registry.get_cross_account_access("base") == [GivenAccess(AwsAccess(account_ids=(B,)))]


def test_guards_of_the_spec_hold_at_run_time(aws: AwsSandbox, tmp_path: Path) -> None:
    document = aws.document("base", guards={"allowed_accounts": [A]})
    aws.apply(document)
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(document))
    registry = artifact_registry("images", spec=path)
    registry.add_cross_account_access("base", AwsAccess(account_ids=[A]))
    for who in ([B], ["*"]):
        with pytest.raises(GuardViolation):
            registry.add_cross_account_access("base", AwsAccess(account_ids=who))
    with pytest.raises(UnsupportedAccess, match="whose functions"):
        registry.add_cross_account_access("base", AwsAccess(allowed_service_types=["worker"]))
    assert registry.get_cross_account_access("base") == [GivenAccess(AwsAccess(account_ids=(A,)))]


def test_all_of_sixteen_who_give_access_at_once_win(
    registry: ArtifactRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_access, "SETTLING", 0.6)
    accounts = [f"{100000000000 + number}" for number in range(16)]
    failed: list[BaseException] = []

    def give(account: str) -> None:
        try:
            registry.add_cross_account_access("base", AwsAccess(account_ids=[account]))
        except BaseException as error:  # reported below
            failed.append(error)

    threads = [threading.Thread(target=give, args=(account,)) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    (given,) = registry.get_cross_account_access("base")
    assert isinstance(given.access, AwsAccess)
    assert list(given.access.account_ids) == accounts
