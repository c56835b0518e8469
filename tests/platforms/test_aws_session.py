"""Who we are on AWS: checked before anything else, and told in words."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

from reconciler import session
from reconciler.errors import PlatformError, ReadFailed
from reconciler.places import Place
from reconciler.platforms.aws.session import AwsSession
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox


def test_credentials_for_another_account_are_refused_and_nothing_else_is_called(aws: AwsSandbox) -> None:
    document = aws.document("app-a", registry={"account_id": "210987654321"})
    with pytest.raises(ReadFailed) as refused:
        aws.plan(document)
    assert "these credentials are for account 123456789012, but registry images says 210987654321" in str(refused.value)
    assert aws.proxy.operations() == ["sts:GetCallerIdentity"]


def test_no_credentials_are_told_before_any_call(aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ReadFailed, match="registry images: sts:GetCallerIdentity: there are no AWS credentials"):
        aws.plan(aws.document("app-a"))
    assert aws.proxy.calls == []


def test_a_profile_that_is_not_there_is_told(aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nope")
    with pytest.raises(ReadFailed, match=r"nope.*\n.*AWS_PROFILE"):
        aws.plan(aws.document("app-a"))


def test_every_call_is_made_as_the_assumed_role_with_its_external_id(aws: AwsSandbox) -> None:
    role = {"role_arn": "arn:aws:iam::210987654321:role/reconciler", "external_id": "shared-with-us"}
    document = aws.document("app-a", registry={"account_id": "210987654321", "assume_role": role})
    aws.apply(document)
    first, second, *_ = aws.proxy.calls
    assert (first.operation, first.body["RoleArn"], first.body["ExternalId"]) == (
        "AssumeRole",
        role["role_arn"],
        "shared-with-us",
    )
    assert first.body["RoleSessionName"] == "reconciler-tests"
    assert second.operation == "GetCallerIdentity"
    assert aws.plan(document).changes == ()
    # moto keeps accounts apart: nothing was made in our own
    assert aws.client("ecr").describe_repositories()["repositories"] == []


@pytest.mark.parametrize("how", ["assume_role", "profile"])
def test_every_call_stands_in_the_log_those_that_get_credentials_too(
    aws: AwsSandbox, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    role = "arn:aws:iam::210987654321:role/reconciler"
    fields: dict[str, Any] = {"account_id": "210987654321"}
    if how == "assume_role":
        fields["assume_role"] = {"role_arn": role}
    else:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        (tmp_path / "config").write_text(
            f"[profile ours]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n"
            "[profile base]\naws_access_key_id = x\naws_secret_access_key = y\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "ours")
    with caplog.at_level(logging.INFO, "reconciler.calls"):
        aws.plan(aws.document("app-a", registry=fields))
    logged = [line for record in caplog.records for line in record.getMessage().split() if ":" in line]
    assert sorted(logged) == sorted(aws.proxy.operations())
    assert "sts:AssumeRole" in logged
    first = next(record.getMessage() for record in caplog.records if "sts:AssumeRole" in record.getMessage())
    assert re.fullmatch(r"images sts:AssumeRole \d+ ms 200 request-id=\S+", first)


def test_credentials_may_come_from_any_service_that_botocore_knows(aws: AwsSandbox) -> None:
    """A login by SSO asks AWS's sso service, web identities ask sts: our loader of models must find them all."""
    usual = botocore.loaders.Loader()
    with session(aws.spec(aws.document("app-a"))) as opened:
        assert isinstance(opened, AwsSession)
        base = opened._session()
        ours = base.get_component("data_loader")
        for kind in ("service-2", "endpoint-rule-set-1"):
            assert set(usual.list_available_services(kind)) <= set(ours.list_available_services(kind))
        assert base.create_client("sso", region_name="us-east-1").meta.service_model.service_name == "sso"


class Denied(Quiet):
    """Refuses one operation as IAM does: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html"""

    def __init__(self, operation: str, region: str = "") -> None:
        self.operation, self.region = operation, region

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation or self.region not in ("", call.region):
            return None
        message = f"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecr:{self.operation}"
        return Answer(400, {"message": message}, "AccessDeniedException")


def test_a_registry_that_cannot_be_read_fails_the_run_by_name_and_nothing_is_planned(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    document["registries"].append(
        {"name": "images-west", "platform": "aws", "account_id": "123456789012", "region": "us-west-2"}
    )
    aws.proxy.behaviours.append(Denied("DescribeRepositories"))
    with pytest.raises(ReadFailed) as failed:
        aws.plan(document)
    assert set(failed.value.failures) == {"images", "images-west"}
    text = str(failed.value)
    assert "registry images: images.region.us-east-1: ecr:DescribeRepositories: AccessDeniedException" in text
    assert "request id proxy-request" in text
    assert "allow ecr:DescribeRepositories to these credentials in account 123456789012" in text


class NotEnabled(Quiet):
    """A region that the account has not enabled answers so to every call (the text is from
    hashicorp/terraform-provider-aws#12940, the code ECR's own)."""

    def __init__(self, region: str) -> None:
        self.region = region

    def before(self, call: Call) -> Answer | None:
        if call.region != self.region or call.service == "iam":
            return None
        message = "The security token included in the request is invalid."
        return Answer(400, {"message": message}, "UnrecognizedClientException")


def test_a_region_that_the_account_has_not_enabled_is_named_and_not_only_the_credentials_blamed(
    aws: AwsSandbox,
) -> None:
    aws.proxy.behaviours.append(NotEnabled("af-south-1"))
    with pytest.raises(ReadFailed) as failed:
        aws.plan(aws.document("app-a", registry={"replication_regions": ["af-south-1"]}))
    text = str(failed.value)
    assert "registry images: images.region.af-south-1: ecr:DescribeRepositories: UnrecognizedClientException" in text
    assert "the account has not enabled the region af-south-1" in text


def test_after_a_call_that_failed_no_further_ones_are_made_and_the_first_one_is_told(aws: AwsSandbox) -> None:
    names = [f"app-{number:02}" for number in range(40)]
    document = aws.document(*names)
    aws.apply(document)
    aws.proxy.calls.clear()
    aws.proxy.behaviours.append(Denied("ListTagsForResource"))
    with pytest.raises(ReadFailed) as failed:
        aws.plan(document, parallelism=8)
    assert "images.repository.app-00: ecr:ListTagsForResource: AccessDeniedException" in str(failed.value)
    # those that were under way, at most one for each worker
    assert 1 <= aws.proxy.operations().count("ecr:ListTagsForResource") <= 8


def test_what_is_read_side_by_side_comes_in_the_order_it_was_asked_for(aws: AwsSandbox) -> None:
    with session(aws.spec(aws.document("app-a"))) as opened:
        assert isinstance(opened, AwsSession)
        assert opened.map(str, range(100)) == [str(number) for number in range(100)]
        assert opened.map(str, []) == []

        def odd_ones_fail(number: int) -> int:
            if number % 2:
                raise ValueError(number)
            return number

        for _ in range(20):
            with pytest.raises(ValueError, match=r"^1$"):
                opened.map(odd_ones_fail, range(100))


def test_no_route_is_told_with_what_to_do(aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("reconciler.platforms.aws.clients.MAX_ATTEMPTS", 1)
    from reconciler.platforms.aws import clients

    clients.config.cache_clear()
    try:
        with pytest.raises(ReadFailed, match="check the network"):
            aws.plan(aws.document("app-a"))
    finally:
        clients.config.cache_clear()


def test_every_call_has_a_timeout_and_standard_retries() -> None:
    from reconciler.platforms.aws.clients import config

    found: Any = config()
    assert (found.connect_timeout, found.read_timeout) == (10, 60)
    assert found.retries == {"mode": "standard", "total_max_attempts": 10}


def test_errors_of_other_processes_survive_pickling() -> None:
    import pickle

    grant = Place("grant", "g", "registry.yaml", 1, 1)
    error = PlatformError(
        "no", address="images.role.pull", operation="iam:GetRole", request_id="r1", hint="do", places=(grant,)
    )
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "images.role.pull: iam:GetRole: no (request id r1)\n  do"
    assert again.places == (grant,)


def test_the_secret_key_is_in_no_output(aws: AwsSandbox, capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    from reconciler import dumps

    plan = aws.plan(aws.document("app-a"))
    assert "SECRETSECRETSECRET" not in dumps(plan) + repr(plan)
    assert json.loads(dumps(plan))["owner"] == "tests"
