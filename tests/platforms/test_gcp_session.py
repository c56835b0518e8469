"""As whom calls to Google are made, and what is said when there are no credentials, or none that give a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import google.auth
import google.auth.exceptions
import google.oauth2.credentials
import pytest
import requests

from reconciler.errors import ReadFailed
from reconciler.model.platform import Estate
from reconciler.platforms.gcp.platform import PLATFORM
from reconciler.platforms.gcp.session import GcpSession
from reconciler.platforms.gcp.spec import GcpRegistry
from reconciler.platforms.gcp.troubles import translated, understood
from tests.emulators.gcp import Sends, Server
from tests.sandbox.gcp import GcpSandbox

PROVIDER = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/providers/github"
DEPLOYER = "deployer@my-project.iam.gserviceaccount.com"
REGISTRY = GcpRegistry(
    name="images", platform="gcp", project="my-project", location="europe-west1", impersonate_service_account=DEPLOYER
)
SECRET = "ya29.SECRETSECRETSECRET"


@pytest.fixture
def signed_in(gcp: GcpSandbox, stand_in: Server, monkeypatch: pytest.MonkeyPatch) -> GcpSandbox:
    """With a person's credentials, and the stand-in as the one that makes tokens of service accounts."""
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS", f"{stand_in.url}/")

    def default(**asked: Any) -> tuple[Any, str]:
        person: Any = google.oauth2.credentials.Credentials
        return person(SECRET, quota_project_id=asked["quota_project_id"]), "my-project"

    monkeypatch.setattr(google.auth, "default", default)
    return gcp


def tokens(stand_in: Server) -> set[str]:
    return {call.headers.get("authorization", "") for call in stand_in.calls if call.service != "iamcredentials"}


def test_calls_carry_the_credentials_and_the_quota_project(signed_in: GcpSandbox, stand_in: Server) -> None:
    document = signed_in.document("app-a", registry={"quota_project": "billing-project"})
    stand_in.calls.clear()
    signed_in.plan(document)
    assert tokens(stand_in) == {f"Bearer {SECRET}"}
    assert {call.headers.get("x-goog-user-project") for call in stand_in.calls} == {"billing-project"}


def test_calls_are_made_as_the_account_that_the_registry_names(signed_in: GcpSandbox, stand_in: Server) -> None:
    made = {"accountId": "deployer", "serviceAccount": {}}
    signed_in.estate.call("POST", "projects/my-project/serviceAccounts", made)
    stand_in.calls.clear()
    signed_in.apply(signed_in.document("app-a", registry={"impersonate_service_account": DEPLOYER}))
    (asked,) = {call.headers["authorization"] for call in stand_in.calls if call.service == "iamcredentials"}
    assert asked == f"Bearer {SECRET}"
    # a session to plan with, and one to apply with
    assert len(tokens(stand_in)) == 2
    assert all(token.startswith(f"Bearer ya29.stand-in.{DEPLOYER}.") for token in tokens(stand_in))


def test_an_account_that_may_not_be_impersonated_is_named_and_no_token_is(
    signed_in: GcpSandbox, stand_in: Server
) -> None:
    stand_in.cloud.state.knobs.denied = [("iam.serviceAccounts.getAccessToken", ".*")]
    signed_in.estate.call(
        "POST", "projects/my-project/serviceAccounts", {"accountId": "deployer", "serviceAccount": {}}
    )
    with pytest.raises(ReadFailed) as failed:
        signed_in.plan(signed_in.document("app-a", registry={"impersonate_service_account": DEPLOYER}))
    said = str(failed.value)
    assert "the credentials gave no token" in said
    assert f"roles/iam.serviceAccountTokenCreator on {DEPLOYER}" in said
    assert "SECRET" not in said


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        (
            "PERMISSION_DENIED",
            "Caller does not have required permission to use project other. Grant the caller the role",
            "these credentials need roles/serviceusage.serviceUsageConsumer on that project, or set another quota_project",
        ),
        (
            "PERMISSION_DENIED",
            "IAM Service Account Credentials API has not been used in project 12 before or it is disabled.",
            "turn it on, then run again some minutes later: gcloud services enable iamcredentials.googleapis.com --project 12",
        ),
        ("NOT_FOUND", "Not found; Gaia id not found for email", f"check that there is a service account {DEPLOYER}"),
        (
            "PERMISSION_DENIED",
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
            f"these credentials need roles/iam.serviceAccountTokenCreator on {DEPLOYER}",
        ),
        (
            "RESOURCE_EXHAUSTED",
            "Quota exceeded",
            f"these credentials need roles/iam.serviceAccountTokenCreator on {DEPLOYER}, or log in again: `gcloud auth",
        ),
    ],
)
def test_why_an_account_can_t_be_impersonated_is_said_as_google_says_it(status: str, text: str, hint: str) -> None:
    answer = json.dumps({"error": {"code": 403, "message": text, "status": status}})
    error: Any = google.auth.exceptions.RefreshError
    found = translated(error("Unable to acquire impersonated credentials", answer), "", "credentials", REGISTRY)
    assert (
        found.message == f"the credentials gave no token: Unable to acquire impersonated credentials: {status}: {text}"
    )
    assert found.hint.startswith(hint)
    # what that says is all: a login would change nothing
    assert ("log in" in found.hint) == (status == "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("why", ["denied", "refused by the pool"])
def test_a_federation_that_may_not_act_as_its_account_is_said_with_the_role_and_the_account(
    gcp: GcpSandbox, stand_in: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    url = f"{stand_in.url}/v1/projects/-/serviceAccounts/{DEPLOYER}:generateAccessToken"
    fields = {"audience": "//iam.googleapis.com/nothing"} if why != "denied" else {}
    config = federated(stand_in, tmp_path, service_account_impersonation_url=url, **fields)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(config))
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(gcp.document("app-a"))
    said = str(failed.value)
    denied = (
        "PERMISSION_DENIED: Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
    )
    assert (denied in said) == (why == "denied")
    assert (f"these credentials need roles/iam.workloadIdentityUser on {DEPLOYER}" in said) == (why == "denied")
    assert (f"check the file that GOOGLE_APPLICATION_CREDENTIALS names, {config}" in said) == (why != "denied")
    assert "SUBJECT" not in said


@pytest.mark.parametrize("answer", [SECRET, json.dumps({"token": SECRET}), json.dumps({"error": SECRET}), ""])
def test_an_answer_that_is_no_error_of_google_s_is_not_repeated(answer: str) -> None:
    error: Any = google.auth.exceptions.RefreshError
    found = translated(error("Unable to acquire impersonated credentials", answer), "", "credentials", REGISTRY)
    assert "SECRET" not in f"{found.message} {found.hint}"


def test_what_a_token_server_answers_is_not_repeated(signed_in: GcpSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(google.oauth2.credentials.Credentials):
        def refresh(self, request: Any) -> None:
            failure: Any = google.auth.exceptions.RefreshError
            raise failure("invalid_grant: Bad Request", {"refresh_token": SECRET})

    broken: Any = Broken
    monkeypatch.setattr(google.auth, "default", lambda **_: (broken(None), "my-project"))
    with pytest.raises(ReadFailed) as failed:
        signed_in.plan(signed_in.document("app-a"))
    assert "invalid_grant: Bad Request" in str(failed.value)
    assert "gcloud auth application-default login" in str(failed.value)
    assert "SECRET" not in str(failed.value)


def test_without_credentials_it_says_how_to_get_some(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(ReadFailed, match="there are no Google credentials") as failed:
        gcp.plan(gcp.document("app-a"))
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(failed.value)


HIDDEN = "SECRET-SECRET"
FEDERATION = {
    "type": "external_account",
    "audience": "a",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "File {} was not found"),
        ("", "File {} is not a valid json file"),
        (f'{{"{HIDDEN}', "File {} is not a valid json file"),
        (f'["{HIDDEN}"]', "The file holds no credentials of Google's"),
        (f'"{HIDDEN}"', "The file holds no credentials of Google's"),
        ({"type": HIDDEN, "private_key": HIDDEN}, "The file {} does not have a valid type"),
        (
            {"type": "service_account", "private_key": HIDDEN, "client_email": "a@b", "token_uri": "https://x"},
            "Failed to load service account credentials from {}",
        ),
        (
            {"type": "authorized_user", "client_secret": HIDDEN},
            "Failed to load authorized user credentials from {} (missing fields",
        ),
        (FEDERATION | {"credential_source": {}}, "Failed to load external account credentials from {}"),
    ],
)
def test_credentials_that_can_t_be_used_are_named_with_the_reason_and_nothing_of_what_they_hold(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: Any, reason: str
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    path = tmp_path / "credentials.json"
    if text is not None:
        path.write_text(text if isinstance(text, str) else json.dumps(text))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(gcp.document("app-a"))
    said = str(failed.value)
    assert f"the Google credentials can't be used: {reason.format(path)}" in said
    assert f"GOOGLE_APPLICATION_CREDENTIALS is set to {path}: put that file right" in said
    assert HIDDEN not in said


def test_a_folder_is_no_file_of_credentials(gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))
    with pytest.raises(ReadFailed, match=f"can't be used: File {tmp_path}: Is a directory"):
        gcp.plan(gcp.document("app-a"))


def test_a_command_that_makes_tokens_must_be_allowed(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.delenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", raising=False)
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(FEDERATION | {"credential_source": {"executable": {"command": HIDDEN}}}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(ReadFailed, match="set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 if you trust") as failed:
        gcp.plan(gcp.document("app-a"))
    assert HIDDEN not in str(failed.value)


def test_a_federation_without_its_token_names_both_files(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(FEDERATION | {"credential_source": {"file": str(tmp_path / "token")}}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(ReadFailed, match=f"gave no token: File '{tmp_path / 'token'}' was not found") as failed:
        gcp.plan(gcp.document("app-a"))
    assert f"check the file that GOOGLE_APPLICATION_CREDENTIALS names, {path}, and the files that it" in str(
        failed.value
    )


def test_a_proxy_that_does_not_answer_is_named_as_one() -> None:
    error = understood(requests.exceptions.ProxyError("HTTPSConnectionPool ... [Errno 111] Connection refused"))
    assert str(error) == "the proxy of HTTPS_PROXY or HTTP_PROXY gave no connection (Connection refused)"


def federated(stand_in: Server, folder: Path, **fields: Any) -> Path:
    """The file of a workload identity federation, as `gcloud iam workload-identity-pools create-cred-config` writes it."""
    subject = folder / "subject.jwt"
    subject.write_text("SUBJECT")
    config = folder / "federation.json"
    config.write_text(
        json.dumps(
            {
                "type": "external_account",
                "audience": PROVIDER,
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{stand_in.url}/v1/token",
                "credential_source": {"file": str(subject)},
                **fields,
            }
        )
    )
    return config


@pytest.mark.parametrize("as_account", [False, True])
def test_a_workload_identity_federation_signs_in(
    gcp: GcpSandbox, stand_in: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, as_account: bool
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    fields = {}
    if as_account:
        made = {"accountId": "deployer", "serviceAccount": {}}
        gcp.estate.call("POST", "projects/my-project/serviceAccounts", made)
        path = f"v1/projects/-/serviceAccounts/{DEPLOYER}:generateAccessToken"
        fields["service_account_impersonation_url"] = f"{stand_in.url}/{path}"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(federated(stand_in, tmp_path, **fields)))
    document = gcp.document("app-a")
    stand_in.calls.clear()
    gcp.apply(document)
    asked = {call.operation for call in stand_in.calls if call.service in ("sts", "iamcredentials")}
    assert asked == ({"Token", "GenerateAccessToken"} if as_account else {"Token"})
    given = {call.headers["authorization"] for call in stand_in.calls if call.service in ("artifactregistry", "iam")}
    start = f"Bearer ya29.stand-in.{DEPLOYER}." if as_account else "Bearer ya29.federated.SUBJECT."
    assert given
    assert all(token.startswith(start) for token in given)
    assert gcp.repository_names() == {"app-a"}


def test_a_federation_that_is_refused_is_said_without_the_subject_s_token(
    gcp: GcpSandbox, stand_in: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    config = federated(stand_in, tmp_path, audience="//iam.googleapis.com/nothing")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(config))
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(gcp.document("app-a"))
    assert "the credentials gave no token" in str(failed.value)
    assert "SUBJECT" not in str(failed.value)


@pytest.mark.parametrize("operation", ["ListRepositories", "GetIamPolicy", "GetServiceAccount"])
def test_an_answer_that_sends_elsewhere_is_not_followed(gcp: GcpSandbox, stand_in: Server, operation: str) -> None:
    """Whoever sends calls elsewhere would be believed, and could be given tokens."""
    document = gcp.document("app-a")
    gcp.apply(document)
    stand_in.behaviours.append(Sends(operation, f"{stand_in.url}/elsewhere"))
    stand_in.calls.clear()
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(document)
    assert "the answer did not come from Google" in str(failed.value)
    assert "such as a proxy with a login page" in str(failed.value)


def test_a_time_limit_holds_for_calls_that_find_no_answer(gcp: GcpSandbox) -> None:
    spec = gcp.spec(gcp.document("app-a"))
    for timeout, patience in ((10.0, 10.0), (1800.0, 60.0)):
        assert (
            GcpSession(PLATFORM, Estate("tests", ".", spec.registries, timeout=timeout), REGISTRY).patience == patience
        )
