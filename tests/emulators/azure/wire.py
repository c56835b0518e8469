"""How Azure Resource Manager travels over HTTP: what a request asks, and how answers and errors are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

Document = dict[str, Any]


class Refusal(Exception):
    """A call that is refused. `more`: what stands beside `error` in its body."""

    def __init__(self, http: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.http, self.code, self.message, self.more = http, code, message, more


@dataclass(frozen=True)
class Reply:
    """An answer. `body`: JSON; None: empty; NULL: the word `null`, as recorded while a delete is under way."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


NULL = object()


@dataclass(frozen=True)
class Asked:
    """One request. `path`: decoded, as it was sent; `names`: what its route found in the path; `body`: JSON, or a form's fields."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    def object(self) -> Document:
        """The body, which must be a JSON object. Raises Refusal."""
        if not isinstance(self.body, dict):
            raise invalid("The request content was invalid and could not be deserialized.", "InvalidRequestContent")
        return self.body

    def properties(self) -> Document:
        """The body's `properties`; empty if it has none. Raises Refusal."""
        found = self.object().get("properties") or {}
        if not isinstance(found, dict):
            raise invalid("The request content was invalid and could not be deserialized.", "InvalidRequestContent")
        return found


def invalid(message: str, code: str = "InvalidParameter") -> Refusal:
    """400."""
    return Refusal(400, code, message)


def not_found(name: str) -> Refusal:
    """404, as recorded of a child of a registry: evidence/azure/recorded/scopemap-token-create.json."""
    return Refusal(404, "ResourceNotFound", f"The resource {name} could not be found.", status="Failed")


def asked(method: str, target: str, headers: Mapping[str, str], data: bytes) -> Asked:
    """The request of an HTTP message. `target`: path and query; `headers`: keys in lower case. Raises Refusal for a broken body."""
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    body: Any = None
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body = dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))
    elif data.strip():
        try:
            body = json.loads(data)
        except ValueError:
            raise invalid(
                "The request content was invalid and could not be deserialized.", "InvalidRequestContent"
            ) from None
    return Asked(method, unquote(parts.path), query, body, headers, {}, target)


def refused(refusal: Refusal) -> Reply:
    """How a refusal is written."""
    return Reply(refusal.http, {"error": {"code": refusal.code, "message": refusal.message}, **refusal.more})


def usual_headers(method: str, url: str) -> dict[str, str]:
    """What stands on every answer of Azure Resource Manager; the numbers are recorded."""
    left = "global-reads" if method == "GET" else "writes"
    return {
        "Cache-Control": "no-cache",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "x-ms-request-id": str(uuid4()),
        "x-ms-correlation-request-id": str(uuid4()),
        f"x-ms-ratelimit-remaining-subscription-{left}": "16499" if method == "GET" else "800",
    }
