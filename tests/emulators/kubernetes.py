"""How the Kubernetes API travels over HTTP: the call that a request makes, and refusals as the server writes them.

https://kubernetes.io/docs/reference/using-api/api-concepts/, https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from .fails import FailsNext
from .proxy import Request
from .serving import Answer, Call

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?P<below>/[^/]+)?)?"
)
#: the verbs of RBAC: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_ALL = {"get": "list", "delete": "deletecollection"}
_REASONS = {500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


@dataclass
class KubernetesCall(Call):
    """A request, whose `operation` is a resource with a verb of RBAC, `secrets:patch`. `sent`: its body, read as JSON."""

    method: str = ""
    path: str = ""
    user: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    sent: Any = None

    @property
    def content_type(self) -> str:
        """What the body is said to be."""
        return self.headers.get("content-type", "")


class KubernetesWire:
    """The API, over which users log in with `tokens`."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._users = {f"Bearer {token}": user for user, token in tokens.items()}

    def call(self, request: Request) -> KubernetesCall:
        """The call of a request. The `operation` of what is no resource is its path with the method."""
        path = urlsplit(request.path).path
        try:
            sent = json.loads(request.body) if request.body else None
        except ValueError:  # kubectl speaks protobuf too
            sent = None
        found = _PATH.fullmatch(path)
        parts = {key: value or "" for key, value in found.groupdict().items()} if found else {}
        resource, name = parts.pop("resource", path) + parts.pop("below", ""), parts.get("name", "")
        verb = _VERBS[request.method] if found else request.method
        if isinstance(sent, dict):
            name = parts["name"] = name or str((sent.get("metadata") or {}).get("name") or "")
        if found and not found["name"]:
            verb = _ALL.get(verb, verb)
        user = self._users.get(request.headers.get("authorization", ""), "system:anonymous")
        body = sent if isinstance(sent, dict) else {}
        return KubernetesCall(
            "kubernetes",
            f"{resource}:{verb}",
            "",
            body,
            request.headers,
            method=request.method,
            path=request.path,
            user=user,
            sent=sent,
            **parts,
        )

    def response(self, call: Call, answer: Answer) -> web.Response:
        """A Status, or a text as it is."""
        headers = dict(answer.headers)
        if answer.text:
            return web.Response(status=answer.status, text=answer.text, headers=headers)
        return web.json_response(answer.body, status=answer.status, headers=headers)


@dataclass
class Fails(FailsNext):
    """Calls fail with an HTTP status: 409, 429, 403 or of the server's own failures; or in another way: `drop` cuts the connection,
    `slow` is the server's own answer after `seconds`, `page` is the login page of a proxy. `name`: of that object alone.
    """

    name: str = ""
    seconds: float = 60.0

    def concerns(self, call: Call) -> bool:
        return super().concerns(call) and self.name in ("", getattr(call, "name", ""))

    def fault(self, call: Call) -> Answer:
        assert isinstance(call, KubernetesCall)
        if self.kind == "drop":
            return Answer(drop=True)
        if self.kind == "slow":
            return Answer(delay=self.seconds, own=True)
        if self.kind == "page":
            return Answer(text="<html>log in</html>", headers={"Content-Type": "text/html"})
        if self.kind == "429":
            # https://github.com/kubernetes/kubernetes/blob/v1.20.2/staging/src/k8s.io/apiserver/pkg/server/filters/maxinflight.go
            text = "Too many requests, please try again later.\n"
            return Answer(429, text=text, headers={"Retry-After": "1", "Content-Type": "text/plain; charset=utf-8"})
        return Answer(int(self.kind), _status(call, int(self.kind)))


def _status(call: KubernetesCall, code: int) -> dict[str, Any]:
    """A refusal in the server's words: those that were recorded, ../shared/evidence/kubernetes."""
    resource, _, verb = call.operation.rpartition(":")
    named = f'{resource} "{call.name}"'
    made = verb == "create"
    if code == 409:
        reason = "AlreadyExists" if made else "Conflict"
        changed = "the object has been modified; please apply your changes to the latest version and try again"
        message = f"{named} already exists" if made else f"Operation cannot be fulfilled on {named}: {changed}"
    elif code == 403:
        reason = "Forbidden"
        where = f'in the namespace "{call.namespace}"' if call.namespace else "at the cluster scope"
        may = f'User "{call.user}" cannot {verb} resource "{resource}" in API group "{call.group}" {where}'
        # a create is decided by its path, which has no name
        named = resource if made or not call.name else named
        message = f"{named} is forbidden: {may}"
    else:
        reason, message = _REASONS[code], "the server has failed on purpose"
    details = {"kind": resource}
    if call.name and not (code == 403 and made):
        details["name"] = call.name
    base = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**base, "message": message, "reason": reason, "details": details, "code": code}
