"""What goes wrong with a call to Google, in words: its errors, answers that aren't Google's, and credentials."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google.api_core.exceptions as api_errors
import google.auth.exceptions as auth_errors
import requests
from google.protobuf.json_format import ParseError

from reconciler.errors import PlatformError
from reconciler.model.call_log import current_address
from reconciler.platforms.http import Trouble
from reconciler.redaction import redacted, unnamed_hidden
from reconciler.words import one_line

from . import rules
from .executable import CommandFailed, failure_of
from .rules import DENIED, PERMISSIONS, REGISTRY
from .spec import GcpRegistry

#: the status of an error, and what it means: https://cloud.google.com/apis/design/errors#handling_errors
_TROUBLES = {
    "UNAUTHENTICATED": Trouble.LOGIN,
    "PERMISSION_DENIED": Trouble.DENIED,
    "RESOURCE_EXHAUSTED": Trouble.QUOTA,
    "UNAVAILABLE": Trouble.SERVER,
    "INTERNAL": Trouble.SERVER,
    "DEADLINE_EXCEEDED": Trouble.SERVER,
    "UNKNOWN": Trouble.SERVER,
}
_KNOWN = (*_TROUBLES, "NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION")
#: statuses that pass by themselves
_PASSING = ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN")
#: how Google says that an API is off: evidence/gcp/errors-403.http.log, https://cloud.google.com/apis/docs/troubleshooting
_OFF = re.compile(r"has not been used in project \S+ before or it is disabled|SERVICE_DISABLED")
_OF_PROJECT = re.compile(r"has not been used in project (\S+) before")
#: how google-auth begins what it says of an account that it may not act as
_NOT_ACTING = "Unable to acquire impersonated credentials"
#: https://google.aip.dev/auth/4117 (service_account_impersonation_url)
_IMPERSONATES = re.compile(r"/serviceAccounts/([a-z0-9.-]+@[a-z0-9.-]+):generateAccessToken$")
_API = re.compile(r"\b([a-z]+\.googleapis\.com)\b")
#: a count that is used up, not a rate: no waiting changes it (https://github.com/kubeflow/pipelines/issues/1052)
_COUNT = re.compile(r"Maximum number of|maximum number of")
#: what is said of a policy that names somebody whom the organization does not permit:
#: https://cloud.google.com/resource-manager/docs/organization-policy/restricting-domains
_NOT_PERMITTED = "do not belong to a permitted customer"
CONSTRAINT = "constraints/iam.allowedPolicyMemberDomains"
#: where Google's libraries look for credentials first: https://cloud.google.com/docs/authentication/application-default-credentials
_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
#: as much of what Google's library says of a file of credentials as holds nothing of what stands in it
_REASON = re.compile(
    r"File .* (was not found|is not a valid json file)|File [^\n]*|Failed to load [^\n]* credentials from [^\n]*"
    r"|The file [^\n]* does not have a valid type|The file holds no credentials of Google's"
    r"|Executables need to be explicitly allowed [^\n]*"
)
#: what to do about an answer that Google does not write
BETWEEN = (
    "check the endpoint override if one is set, and anything between here and Google, such as a proxy with a login page"
)


class NotGoogle(Exception):
    """The answer is none of Google's: a proxy's page, say. It must not count as "there is nothing"."""

    def __init__(self) -> None:
        super().__init__("the answer did not come from Google")


class NoAnswer(Exception):
    """The connection failed, or broke off before the answer came: the call may have been carried out."""


class Refusal(Exception):
    """Google's answer is an error. `status`: its word for it, by which what HTTP says with one code is told apart."""

    def __init__(self, http: int, status: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.http, self.status, self.message, self.details = http, status, message, details

    @property
    def throttles(self) -> bool:
        """Whether the call is made too often."""
        return self.http == 429 and not _COUNT.search(self.message)

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed soon."""
        return self.status in _PASSING or self.http in (502, 503, 504)


def is_unknown(error: BaseException) -> bool:
    """Whether IAM does not know what was asked about, or may not (`rules.is_unknown`)."""
    return isinstance(error, Refusal) and rules.is_unknown(error.status, error.message)


def refusal_of(http: int, body: Any) -> Refusal:
    """The refusal that an answer is. `body`: its JSON, or None if it has none."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return Refusal(
            http, "UNAVAILABLE" if http >= 500 else str(http), f"HTTP {http}, without Google's reason for it"
        )
    details = error.get("details") or ()
    return Refusal(
        http, str(error.get("status", http)), str(error.get("message", "")), json.dumps(details, sort_keys=True)
    )


def json_of(response: requests.Response) -> Any:
    """The JSON of an answer, None if it is none."""
    try:
        return response.json()
    except ValueError:
        return None


#: what the library, the connection and the credentials raise
FAILURES = (
    api_errors.GoogleAPICallError,
    auth_errors.GoogleAuthError,
    requests.RequestException,
    ParseError,
    json.JSONDecodeError,  # google-auth, of what a server of tokens answers
    OSError,
    subprocess.SubprocessError,  # google-auth, of the command of executable credentials
)


def understood(error: Exception) -> Exception:
    """One of the classes above for what the library or the connection raised; what is said of credentials stays as it is."""
    if (failed := failure_of(error)) is not None:
        return failed
    if isinstance(error, api_errors.GoogleAPICallError):
        response = getattr(error, "response", None)
        return refusal_of(int(error.code or 0), json_of(response) if response is not None else None)
    if isinstance(error, ParseError | json.JSONDecodeError | requests.TooManyRedirects):
        return NotGoogle()
    if isinstance(error, auth_errors.TransportError):
        return NoAnswer(str(error))
    if isinstance(error, requests.exceptions.ProxyError):
        return NoAnswer(f"the proxy of HTTPS_PROXY or HTTP_PROXY gave no connection ({_short(error) or 'it refused'})")
    if isinstance(error, requests.RequestException | OSError):
        return NoAnswer(_plain(error))
    return error


def _plain(error: Exception) -> str:
    """Why there was no answer, without the objects that requests prints."""
    return _short(error) or f"{type(error).__name__}: {error}"


def _short(error: Exception) -> str:
    """The few words in an error that say what happened; "" if it has none of those that are known."""
    found = re.search(
        r"(Connection refused|Connection reset by peer|Read timed out|timed out|Name or service not known)", str(error)
    )
    return found[1] if found else ""


def translated(error: Exception, address: str, operation: str, registry: GcpRegistry) -> PlatformError:
    """The error for people: what Google said, and what to do about it."""
    address = address or current_address()
    if isinstance(error, Refusal):
        if error.status == "PERMISSION_DENIED" and _OFF.search(f"{error.message} {error.details}"):
            return api_off(error, address, operation, registry)
        if _NOT_PERMITTED in error.message:
            hint = f"the organization policy {CONSTRAINT} does not permit them: remove them from the grants, or have it permit them"
        else:
            hint = _of_key(error, registry) or _hint(error, operation, registry)
        return PlatformError(
            f"{error.status}: {error.message}", address=address, operation=operation, code=error.status, hint=hint
        )
    if isinstance(error, CommandFailed):
        message = f"the credentials gave no token: {error.said}"
        return PlatformError(message, address=address, operation=operation, code="auth", hint=error.hint)
    if isinstance(error, auth_errors.DefaultCredentialsError):
        message, hint = _unusable(error)
        return PlatformError(message, address=address, operation=operation, hint=hint)
    if isinstance(error, auth_errors.MutualTLSChannelError):
        hint = "set what it names right, or unset it"
        return PlatformError(_said(error), address=address, operation=operation, hint=hint)
    if isinstance(error, auth_errors.GoogleAuthError):
        said, hint = _no_token(error, registry)
        return PlatformError(
            f"the credentials gave no token: {unnamed_hidden(said)}",
            address=address,
            operation=operation,
            code="auth",
            hint=hint,
        )
    hint = (
        BETWEEN
        if isinstance(error, NotGoogle)
        else "check the network, and the endpoint override if one is set; then run again"
    )
    return PlatformError(str(error), address=address, operation=operation, code=type(error).__name__, hint=hint)


def _no_token(error: auth_errors.GoogleAuthError, registry: GcpRegistry) -> tuple[str, str]:
    """What is said of credentials that give no token, and what to do. Why IAM gives none for another account, it says in its own form
    of an error; what any other server says is not repeated."""
    said, given = _said(error), registry.impersonate_service_account
    whose = given or _impersonated_by_file()
    if not whose or _NOT_ACTING not in said:
        return said, _again()
    # https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#access
    role = "roles/iam.serviceAccountTokenCreator" if given else "roles/iam.workloadIdentityUser"
    needed = f"these credentials need {role} on {whose}"
    why = _refusal_in(error.args[1]) if len(error.args) > 1 else None
    if why is None:
        return said, f"{needed}, or {_again()}"
    said = f"{said}: {why.status}: {one_line(why.message)}"
    if _OFF.search(f"{why.message} {why.details}"):
        project = _OF_PROJECT.search(why.message)
        where = project[1] if project else registry.project
        return (
            said,
            f"turn it on, then run again some minutes later: {_turn_on('iamcredentials.googleapis.com', where)}",
        )
    if "permission to use project" in why.message:
        return (
            said,
            "these credentials need roles/serviceusage.serviceUsageConsumer on that project, or set another quota_project",
        )
    if why.status == "NOT_FOUND":
        return said, f"check that there is a service account {whose}"
    return said, needed if why.status == DENIED else f"{needed}, or {_again()}"


def _impersonated_by_file() -> str:
    """The account whose tokens the file of a workload identity federation asks for; "" if there is none."""
    try:
        found = json.loads(Path(os.environ[_FILE]).read_text(encoding="utf-8"))
        match = _IMPERSONATES.search(found["service_account_impersonation_url"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return match[1] if match else ""


def _refusal_in(answer: object) -> Refusal | None:
    """The error that an answer's text is, if it has the form of Google's: https://cloud.google.com/apis/design/errors#http_mapping"""
    try:
        body = json.loads(str(answer))
    except ValueError:
        return None
    found = refusal_of(0, body)
    return found if found.status in _KNOWN and found.message else None


def _again() -> str:
    """How to get credentials that give a token."""
    path = os.environ.get(_FILE)
    if path:
        return f"check the file that {_FILE} names, {one_line(path)}, and the files that it names"
    return "log in again: `gcloud auth application-default login`"


def _unusable(error: auth_errors.DefaultCredentialsError) -> tuple[str, str]:
    """What is said of credentials that can't be used, and what to do. What stands in their file is not repeated."""
    path = os.environ.get(_FILE)
    texts = [str(item) for item in error.args]
    found = _REASON.match(texts[0]) if texts else None
    if not path and (found is None or not texts[0].startswith(("File ", "The file ", "Failed "))):
        return (
            "there are no Google credentials",
            f"run `gcloud auth application-default login`, or set {_FILE} to the file of a workload identity federation",
        )
    reason = one_line(found[0]) if found else f"Google's library can't read them ({type(error).__name__})"
    missing = next((item for text in texts[1:] for item in re.findall(r"missing fields [\w, ]+", text)), "")
    message = f"the Google credentials can't be used: {reason}{f' ({missing})' if missing else ''}"
    if "ALLOW_EXECUTABLES" in reason:
        return message, "set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 if you trust the command in the file"
    if not path:
        return message, "log in again: `gcloud auth application-default login`"
    return message, f"{_FILE} is set to {one_line(path)}: put that file right, set it to another, or unset it"


def _said(error: auth_errors.GoogleAuthError) -> str:
    """What an error of the credentials says; the answer of a token server beside it may hold anything, and is not repeated."""
    return str(error.args[0]) if error.args else type(error).__name__


def api_off(error: Refusal, address: str, operation: str, registry: GcpRegistry) -> PlatformError:
    """One of the project's APIs is off."""
    found = _API.search(error.message) or _API.search(error.details)
    api = found[1] if found else "artifactregistry.googleapis.com"
    return PlatformError(
        f"the API {api} is off in project {registry.project}",
        address=address,
        operation=operation,
        code=error.status,
        hint=f"turn it on, then run again some minutes later: {_turn_on(api, registry.project)}",
    )


def _turn_on(api: str, project: str) -> str:
    return f"gcloud services enable {api} --project {project}"


def of_note(error: PlatformError, location: str, registry: GcpRegistry, account: str, text: str) -> PlatformError:
    """The error where Google does not take a location that is noted in the description of a service account. `text`: the description
    without that note.

    https://cloud.google.com/sdk/gcloud/reference/iam/service-accounts/update
    """
    first = f"{error.hint}; or, " if error.code == DENIED else ""  # which may be all that is wrong
    command = (
        f"gcloud iam service-accounts update {account} --project {registry.project} --description {shlex.quote(text)}"
    )
    # a text that would be shown otherwise than it stands there must not be written by it
    way = f"run `{command}`" if one_line(redacted(command)) == command else "write the rest as it stands there"
    return PlatformError(
        f"{error.message}; the description of the service account {account} notes that registry {registry.name} has repositories in"
        f" {location} (its word at-{location}=...)",
        address=error.address,
        operation=error.operation,
        code=error.code,
        hint=f"{first}if Artifact Registry has no location {location} (`gcloud artifacts locations list` names those that it has),"
        f" take that word out: {way}",
    )


def _of_key(error: Refusal, registry: GcpRegistry) -> str:
    """What to do where it is Artifact Registry that is denied a key, not the caller: https://cloud.google.com/artifact-registry/docs/cmek"""
    if error.status != DENIED or "Cloud KMS" not in error.message:
        return ""
    return (
        "give roles/cloudkms.cryptoKeyEncrypterDecrypter on the key to Artifact Registry's own account in project"
        f" {registry.project}, service-NUMBER@gcp-sa-artifactregistry.iam.gserviceaccount.com, where NUMBER is the project's (`gcloud"
        f" projects describe {registry.project} --format='value(projectNumber)'`): run `gcloud kms keys add-iam-policy-binding KEY"
        " --role roles/cloudkms.cryptoKeyEncrypterDecrypter --member"
        " serviceAccount:service-NUMBER@gcp-sa-artifactregistry.iam.gserviceaccount.com`"
    )


def _hint(error: Refusal, operation: str, registry: GcpRegistry) -> str:
    if error.status.isdigit():
        return BETWEEN
    trouble = _TROUBLES.get(error.status)
    if error.status == "INVALID_ARGUMENT" and operation == f"{REGISTRY}:ListRepositories":
        return f"if Artifact Registry has no location {registry.location}, give another: `gcloud artifacts locations list` names them"
    if trouble is None:
        return ""
    if trouble is Trouble.LOGIN:
        return _again()
    if trouble is Trouble.DENIED:
        operation = PERMISSIONS.get(operation, operation)
    return trouble.hint(operation=operation, cloud="Google", account=f"project {registry.project}")
