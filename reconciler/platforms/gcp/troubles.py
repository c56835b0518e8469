"""What goes wrong with a call to Google, in words: its errors, answers that aren't Google's, and credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import google.api_core.exceptions as api_errors
import google.auth.exceptions as auth_errors
import requests
from google.protobuf.json_format import ParseError

from reconciler.errors import PlatformError
from reconciler.model.call_log import current_address
from reconciler.platforms.http import Trouble

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
#: statuses that pass by themselves
_PASSING = ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN")
#: how Google says that an API is off: evidence/gcp/errors-403.http.log, https://cloud.google.com/apis/docs/troubleshooting
_OFF = re.compile(r"has not been used in project \S+ before or it is disabled|SERVICE_DISABLED")
_API = re.compile(r"\b([a-z]+\.googleapis\.com)\b")
#: a count that is used up, not a rate: no waiting changes it (https://github.com/kubeflow/pipelines/issues/1052)
_COUNT = re.compile(r"Maximum number of|maximum number of")
#: what is said of a policy that names somebody whom the organization does not permit:
#: https://cloud.google.com/resource-manager/docs/organization-policy/restricting-domains
_NOT_PERMITTED = "do not belong to a permitted customer"
CONSTRAINT = "constraints/iam.allowedPolicyMemberDomains"
#: what to do about an answer that Google does not write
_BETWEEN = (
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
    """Whether IAM does not know what was asked about, or may not: of an account that was made a moment ago it says "not there" or
    "forbidden", now and then (GoogleCloudPlatform/magic-modules#8815, hashicorp/terraform-provider-google#19624)."""
    if isinstance(error, Refusal | PlatformError):
        status = error.status if isinstance(error, Refusal) else error.code
        return status == "NOT_FOUND" or (status == "PERMISSION_DENIED" and "may not exist" in str(error))
    return False


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
    OSError,
)


def understood(error: Exception) -> Exception:
    """One of the classes above for what the library or the connection raised; what is said of credentials stays as it is."""
    if isinstance(error, api_errors.GoogleAPICallError):
        response = getattr(error, "response", None)
        return refusal_of(int(error.code or 0), json_of(response) if response is not None else None)
    if isinstance(error, ParseError | requests.JSONDecodeError | requests.TooManyRedirects):
        return NotGoogle()
    if isinstance(error, auth_errors.TransportError):
        return NoAnswer(str(error))
    if isinstance(error, requests.RequestException | OSError):
        return NoAnswer(_plain(error))
    return error


def _plain(error: Exception) -> str:
    """Why there was no answer, without the objects that requests prints."""
    text = str(error)
    found = re.search(
        r"(Connection refused|Connection reset by peer|Read timed out|timed out|Name or service not known)", text
    )
    return found[1] if found else f"{type(error).__name__}: {text}"


def translated(error: Exception, address: str, operation: str, registry: GcpRegistry) -> PlatformError:
    """The error for people: what Google said, and what to do about it."""
    address = address or current_address()
    if isinstance(error, Refusal):
        if error.status == "PERMISSION_DENIED" and _OFF.search(f"{error.message} {error.details}"):
            return api_off(error, address, operation, registry)
        if _NOT_PERMITTED in error.message:
            hint = f"the organization policy {CONSTRAINT} does not permit them: remove them from the grants, or have it permit them"
        else:
            hint = _hint(error, operation, registry)
        return PlatformError(
            f"{error.status}: {error.message}", address=address, operation=operation, code=error.status, hint=hint
        )
    if isinstance(error, auth_errors.DefaultCredentialsError):
        return PlatformError(
            "there are no Google credentials",
            address=address,
            operation=operation,
            hint="run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the file of a workload"
            " identity federation",
        )
    if isinstance(error, auth_errors.GoogleAuthError):
        whose = registry.impersonate_service_account
        hint = (
            f"these credentials need roles/iam.serviceAccountTokenCreator on {whose}, or log in again with `gcloud auth"
            " application-default login`"
            if whose is not None
            else "log in again: `gcloud auth application-default login`"
        )
        return PlatformError(
            f"the credentials gave no token: {_said(error)}",
            address=address,
            operation=operation,
            code="auth",
            hint=hint,
        )
    hint = (
        _BETWEEN
        if isinstance(error, NotGoogle)
        else "check the network, and the endpoint override if one is set; then run again"
    )
    return PlatformError(str(error), address=address, operation=operation, code=type(error).__name__, hint=hint)


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
        hint=f"turn it on, then run again some minutes later: gcloud services enable {api} --project {registry.project}",
    )


def _hint(error: Refusal, operation: str, registry: GcpRegistry) -> str:
    if error.status.isdigit():
        return _BETWEEN
    trouble = _TROUBLES.get(error.status)
    if trouble is None:
        return ""
    if trouble is Trouble.LOGIN:
        return "log in again: `gcloud auth application-default login`"
    return trouble.hint(operation=operation, cloud="Google", account=f"project {registry.project}")
