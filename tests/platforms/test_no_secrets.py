"""What a cloud answers, or what is between it and us, may repeat the token that it was sent: no error shows that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import botocore.exceptions
import botocore.parsers
import pytest
import yaml
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

from reconciler.errors import PlatformError
from reconciler.platforms.aws import troubles as aws_troubles
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.azure import troubles as azure_troubles
from reconciler.platforms.azure.spec import AzureRegistry
from tests.command_line import as_a_process
from tests.emulators.gcp import Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.gcp import GcpSandbox

SUBJECT, TOKEN = "SUBJECTSECRET1", "ya29.TOKENSECRET2"


class Repeats:
    """Answers one operation with an error that repeats the header by which it was authorised."""

    def __init__(self, operation: str, status: int, page: bool) -> None:
        self.operation, self.status, self.page = operation, status, page

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        text = f"bad credentials {call.headers['authorization']} here"
        if self.page:
            return Answer(status=self.status, text=f"<html><title>{text}</title>{text}</html>")
        status = "UNAUTHENTICATED" if self.status == 401 else "PERMISSION_DENIED"
        return Answer(status=self.status, body={"error": {"code": self.status, "status": status, "message": text}})

    def after(self, call: Call) -> Answer | None:
        return None


@contextmanager
def tokens(answer: str) -> Iterator[str]:
    """The URL of a server of tokens. `answer`: what it answers with."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["content-length"])).decode()
            code, kind, body = {
                "a token": (200, "application/json", json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})),
                "an error": (400, "application/json", json.dumps({"error": "invalid_grant", "error_description": f"subject {form}"})),
                "a page": (403, "text/html", f"<html><title>Sign in</title>{form} {SUBJECT}</html>"),
                "no token": (200, "application/json", json.dumps({"something": SUBJECT})),
                "text": (200, "text/plain", f"no JSON: {form}"),
            }[answer]  # fmt: skip
            self.send_response(code)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "behaviour", "shown"),
    [
        ("an error", None, "invalid_grant: subject grant_type=urn"),
        ("an error", None, "subject_token=[hidden]"),
        ("a page", None, 'a web page, "Sign in"'),
        ("text", None, "credentials: the answer did not come from Google"),
        ("no token", None, "credentials: the answer did not come from Google"),
        ("a token", Repeats("ListRepositories", 401, False), "UNAUTHENTICATED: bad credentials Bearer [hidden] here"),
        ("a token", Repeats("GetServiceAccount", 403, False), "PERMISSION_DENIED: bad credentials Bearer [hidden] here"),
        ("a token", Repeats("GetServiceAccount", 403, True), "HTTP 403, without Google's reason for it"),
    ],
)  # fmt: skip
def test_a_token_that_an_answer_repeats_is_in_nothing_that_is_printed(
    gcp: GcpSandbox,
    stand_in: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    behaviour: Repeats | None,
    shown: str,
) -> None:
    (tmp_path / "subject").write_text(SUBJECT)
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(gcp.document("app-a")))
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "federation.json"))
    if behaviour is not None:
        stand_in.behaviours.append(behaviour)
    with tokens(answer) as url:
        pool = "projects/123456789012/locations/global/workloadIdentityPools/ci/providers/github"
        federation = {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/{pool}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": url,
            "credential_source": {"file": str(tmp_path / "subject")},
        }
        (tmp_path / "federation.json").write_text(json.dumps(federation))
        monkeypatch.chdir(tmp_path)
        done = as_a_process("plan", "-vv", "--timeout", "10s", code=1)
    said = done.stdout + done.stderr
    assert shown in said
    assert "SECRET" not in said


LOGS = """
import logging
import azure.core.pipeline.policies, botocore.auth, google.auth.transport.requests, google.cloud.artifactregistry_v1, urllib3
from reconciler.cli.options import log_calls
log_calls(9)
names = (name for name in ("", *logging.root.manager.loggerDict) if name.split(".")[0] != "reconciler")
print(*(name for name in names if logging.getLogger(name).isEnabledFor(logging.DEBUG)))
"""


def test_v_turns_on_no_log_of_a_library_which_would_write_tokens_past_us() -> None:
    """Google's own writes the token that it exchanges: github.com/googleapis/google-auth-library-python (_helpers.request_log)."""
    done = subprocess.run([sys.executable, "-c", LOGS], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "\n"


AWS = AwsRegistry(name="images", platform="aws", account_id="123456789012", region="eu-central-1")
AZURE = AzureRegistry.model_validate(
    {
        "name": "images",
        "platform": "azure",
        "subscription_id": "00000000-0000-0000-0000-000000000001",
        "tenant_id": "00000000-0000-0000-0000-000000000002",
        "resource_group": "group",
        "location": "westeurope",
        "registry_name": "shopimages",
    }
)


def aws_error(error: Exception) -> PlatformError:
    return aws_troubles.translated(error, "images", "ecr:DescribeRepositories", AWS, "eu-central-1")


def azure_error(error: Exception) -> PlatformError:
    return azure_troubles.translated(error, "images", "registries:GET", AZURE)


def refused(message: str) -> Exception:
    answer: Any = {"Error": {"Code": "SignatureDoesNotMatch", "Message": message}}
    return botocore.exceptions.ClientError(answer, "DescribeRepositories")


def denied(message: str) -> Exception:
    text = json.dumps({"error": {"code": "AuthorizationFailed", "message": message}})
    response: Any = SimpleNamespace(status_code=401, reason="", headers={}, text=lambda: text)
    return HttpResponseError(message=message, response=response)


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJTRUNSRVQifQ.SECRET"
REPEATED = (
    f"bad credentials Bearer {JWT} here",
    f"the token {JWT} has expired",
    "client_id=x&client_secret=SECRET&scope=y",
    "grant_type=refresh_token&refresh_token=SECRET&service=x",
    "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=SECRET",
    "the canonical request is 'x-amz-security-token:SECRET\nhost;x-amz-date'",
    "WebIdentityToken=SECRET&Version=2011-06-15",
    "<html><title>Sign in</title>SECRET</html>",
)


@pytest.mark.parametrize("text", REPEATED)
def test_no_error_of_any_cloud_repeats_a_token(text: str) -> None:
    broken = botocore.parsers.ResponseParserError(f"Unable to parse response, invalid XML received:\nb'{text}'")
    failed = botocore.exceptions.CredentialRetrievalError(provider="custom-process", error_msg=text)
    errors = [aws_error(item) for item in (refused(text), broken, failed)]
    errors += [azure_error(item) for item in (denied(text), ClientAuthenticationError(text))]
    for error in errors:
        assert "SECRET" not in str(error)
        assert "SECRET" not in f"{vars(error)}"
