"""How Google's JSON APIs travel over HTTP: what a request asks, and how a refusal is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Document = dict[str, Any]

#: the HTTP code of each status: https://cloud.google.com/apis/design/errors#error_mapping. ALREADY_EXISTS and ABORTED share theirs
HTTP_CODES: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
#: `reason` in `errors[]`. The first three are recorded, the fourth ends Terraform's messages:
#: https://github.com/hashicorp/terraform-provider-google/issues/6503
REASONS: Mapping[str, str] = {
    "NOT_FOUND": "notFound",
    "ALREADY_EXISTS": "alreadyExists",
    "PERMISSION_DENIED": "forbidden",
    "INVALID_ARGUMENT": "badRequest",
    "FAILED_PRECONDITION": "failedPrecondition",
    "ABORTED": "aborted",
    "RESOURCE_EXHAUSTED": "rateLimitExceeded",
    "UNAVAILABLE": "backendError",
}
INVALID = "Request contains an invalid argument."
NOT_FOUND = "Requested entity was not found."
#: https://cloud.google.com/apis/docs/system-parameters
_PARAMETERS = """
alt $alt prettyPrint $prettyPrint key $key fields $fields quotaUser userIp access_token oauth_token callback $callback uploadType
upload_protocol $.xgafv userProject $userProject trace $trace
"""
SYSTEM_PARAMETERS = frozenset(_PARAMETERS.split())


class Refusal(Exception):
    """A call that is refused with one of the statuses of HTTP_CODES."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def invalid(message: str = INVALID) -> Refusal:
    """400 INVALID_ARGUMENT."""
    return Refusal("INVALID_ARGUMENT", message)


def not_found(message: str = NOT_FOUND) -> Refusal:
    """404 NOT_FOUND."""
    return Refusal("NOT_FOUND", message)


@dataclass(frozen=True)
class Asked:
    """One request. `names`: what its route found in the path; `query`: decoded, the last value of each key."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Document = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> bool:
        """Whether enums are answered as numbers: `$alt=json;enum-encoding=int`."""
        alternative = self.query.get("$alt") or self.query.get("alt", "")
        return "enum-encoding=int" in alternative

    @property
    def errors_too(self) -> bool:
        """Whether a refusal has `errors[]`.

        In the recordings they are there exactly where Google's generated Go client asked, which says `prettyPrint=false`.
        """
        agent = self.headers.get("user-agent", "")
        return "google-api-go-client" in agent or self.query.get("prettyPrint") == "false"

    def parameter(self, name: str) -> str:
        """A query parameter by its camel-case name, which may be sent in snake case too; empty if it is not there."""
        return self.query.get(name) or self.query.get(snake(name), "")

    def only(self, *parameters: str) -> None:
        """Refuses query parameters that the method does not have.

        https://cloud.google.com/service-infrastructure/docs/service-management/reference/rpc/google.api#grpc-transcoding: what is
        left of the query names fields of the request. The wording is not recorded.
        """
        known = {spelling for name in parameters for spelling in (name, snake(name))} | SYSTEM_PARAMETERS
        for name in self.query:
            if name not in known:
                raise invalid(
                    f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                    f"Field '{name}' could not be found in request message."
                )


def asked(method: str, target: str, headers: Mapping[str, str], data: bytes) -> Asked:
    """The request of an HTTP message. `target`: path and query; `headers`: keys in lower case.

    Raises Refusal for a body that is no JSON object.
    """
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    body: Any = {}
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body = {
            camel(name): value for name, value in parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)
        }
    elif data.strip():
        try:
            body = json.loads(data)
        except ValueError:
            raise invalid("Invalid JSON payload received. Unexpected token.") from None
    if not isinstance(body, dict):
        raise invalid("Invalid JSON payload received. Expected an object.")
    return Asked(method, unquote(parts.path), query, body, headers)


def refused(refusal: Refusal, errors_too: bool) -> Document:
    """The body of a refusal. https://cloud.google.com/apis/design/errors#http_mapping"""
    error: Document = {
        "code": HTTP_CODES[refusal.status],
        "message": refusal.message,
        "status": refusal.status,
    }
    if errors_too:
        reason = REASONS.get(refusal.status, "unknown")
        error["errors"] = [{"domain": "global", "message": refusal.message, "reason": reason}]
    return {"error": error}


def snake(name: str) -> str:
    """`updateMask` as `update_mask`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found.group(1).lower(), name)


def camel(name: str) -> str:
    """`update_mask` as `updateMask`."""
    return re.sub(r"_([a-z0-9])", lambda found: found.group(1).upper(), name)
