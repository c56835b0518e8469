"""Credentials that get their token from a command: why it gave none is said, and nothing of what it was given or printed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import google.auth
import pytest

from reconciler.errors import ReadFailed
from reconciler.platforms.gcp.calls import sent
from reconciler.platforms.gcp.executable import CommandFailed
from tests.sandbox.gcp import GcpSandbox

#: nothing by which it would be known as a secret
SECRET = "k3j9x8q7w6e5r4t3y2u1i0o9p8a7s6d5f4g3h2j1"
PROVIDER = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/providers/github"
#: what no form says to be a secret
PASSWORD, PIN = "correcthorsebatterystaple", 240117
TOKEN = {"version": 1, "success": True, "token_type": "urn:ietf:params:oauth:token-type:id_token", "id_token": SECRET}
BY_HAND = "run the command that stands in the file of credentials by hand, as who and where reconciler runs"
ANSWERS = f"{BY_HAND}, and check that it answers as https://google.aip.dev/auth/4117 says"
NO_FORM = "their command did not answer as it must"
#: what the command does, in sh; why it gave no token; and what to do
COMMANDS = {
    "exit": (
        f"echo 'token is {SECRET}'; exit 3",
        "their command ended with exit code 3; what it printed is not repeated",
        BY_HAND,
    ),
    "signal": (
        f"echo {SECRET}; kill -9 $$",
        "their command ended with exit code -9; what it printed is not repeated",
        BY_HAND,
    ),
    "no JSON": (f"echo '{SECRET} is none'", f"{NO_FORM}, which is not repeated", ANSWERS),
    "no text": ("printf '\\377\\376'", f"{NO_FORM}, which is not repeated", ANSWERS),
    "nothing": ("true", f"{NO_FORM}, which is not repeated", ANSWERS),
    "a number": ("echo 7", f"{NO_FORM}, which is not repeated", ANSWERS),
    "no version": ("echo '[1]'", f"{NO_FORM}: The executable response is missing the version field", ANSWERS),
    "no token": (
        f"echo '{json.dumps({key: TOKEN[key] for key in TOKEN if key != 'id_token'})}'",
        f"{NO_FORM}, which is not repeated",
        ANSWERS,
    ),
    "no success": (
        f'echo \'{{"version": 1, "success": false, "code": "401", "message": "bad {PASSWORD}"}}\'',
        "their command answered that it has no token (code 401); what else it said is not repeated",
        BY_HAND,
    ),
    "no success with a code": (
        f'echo \'{{"version": 1, "success": false, "code": "{PASSWORD}", "message": "no"}}\'',
        "their command answered that it has no token; what else it said is not repeated",
        BY_HAND,
    ),
    "another version": (
        f'echo \'{{"version": {PIN}, "success": true}}\'',
        f"{NO_FORM}, which is not repeated",
        ANSWERS,
    ),
    "no reason": (
        'echo \'{"version": 1, "success": false}\'',
        f"{NO_FORM}: Error code and message fields are required in the response",
        ANSWERS,
    ),
}


def credentials(folder: Path, monkeypatch: pytest.MonkeyPatch, command: Path, **fields: Any) -> None:
    """A file of credentials with this command, which is allowed."""
    path = folder / "credentials.json"
    source = {"executable": {"command": f"{command} --password={SECRET} {SECRET}", "timeout_millis": 5000, **fields}}
    document = {
        "type": "external_account",
        "audience": PROVIDER,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "http://127.0.0.1:9/token",
        "credential_source": source,
    }
    path.write_text(json.dumps(document))
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")


def script(folder: Path, text: str, mode: int = 0o755) -> Path:
    path = folder / "command.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def failure(gcp: GcpSandbox) -> str:
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(gcp.document("app-a"))
    return str(failed.value)


def said(why: str, hint: str) -> str:
    return f"registry images: credentials: the credentials gave no token: {why}\n  {hint}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_gives_no_token_is_said_without_what_it_printed(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    text, why, hint = COMMANDS[name]
    credentials(tmp_path, monkeypatch, script(tmp_path, text))
    assert failure(gcp) == said(why, hint)


def test_a_command_that_takes_too_long_is_said_with_the_setting_and_without_its_arguments(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(command: list[str], *, timeout: float, **_: Any) -> None:
        assert SECRET in command
        raise subprocess.TimeoutExpired(command, timeout, output=SECRET.encode())

    credentials(tmp_path, monkeypatch, script(tmp_path, "true"), timeout_millis=7500)
    monkeypatch.setattr(subprocess, "run", run)
    why = "their command was not done after 7.5 seconds"
    assert failure(gcp) == said(why, f"{BY_HAND}, or let it take longer: `timeout_millis` beside it, at most 120000")


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [(None, 0, "No such file or directory"), ("true", 0o644, "Permission denied"), ("", 0o755, "Exec format error")],
)
def test_a_command_that_can_t_be_run_is_said_with_its_path_and_without_its_arguments(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, mode: int, why: str
) -> None:
    path = tmp_path / "command.sh"
    if text is not None:
        path.write_text(text and f"#!/bin/sh\n{text}\n")
        path.chmod(mode)
    credentials(tmp_path, monkeypatch, path)
    assert failure(gcp) == said(f"their command can't be run: {why} ({path})", BY_HAND)


def test_a_file_that_the_command_does_not_write_is_said_as_that(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "token.json"
    credentials(tmp_path, monkeypatch, script(tmp_path, "true"), output_file=str(output))
    why = f"the file that their command writes can't be read: No such file or directory ({output})"
    assert failure(gcp) == said(why, BY_HAND)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"expiration_time": 7}, "The token returned by the executable is expired."),
        ({"token_type": PASSWORD}, "Executable returned unsupported token type."),
    ],
)
def test_what_google_s_library_says_of_an_answer_in_words_of_its_own_is_said(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    credentials(tmp_path, monkeypatch, script(tmp_path, f"echo '{json.dumps({**TOKEN, **fields})}'"))
    found = failure(gcp)
    assert found.startswith(f"registry images: credentials: the credentials gave no token: {why}\n")
    assert not any(secret in found for secret in (SECRET, PASSWORD))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_token_that_is_made_anew_in_the_middle_of_a_run_is_no_other_matter(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    text, why, hint = COMMANDS[name]
    credentials(tmp_path, monkeypatch, script(tmp_path, text))
    found: Any = google.auth.default()[0]
    with pytest.raises(CommandFailed) as failed:
        sent("iam:GetServiceAccount", lambda: found.refresh(None))
    assert (failed.value.said, failed.value.hint) == (why, hint)
    with pytest.raises(KeyError, match="other"):  # whatever else is raised stays as it is
        sent("iam:GetServiceAccount", lambda: TOKEN["other"])
