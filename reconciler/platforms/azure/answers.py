"""What a registry's own endpoint answers: which answers are its own, and what it says where it refuses. Pure.

Whatever stands between here and there (a proxy, an ingress behind a private DNS name, a login page) answers too. What it says must
never count as "there are no images": Azure deletes a registry with all that is in it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Document = dict[str, Any]
#: a repository that is not there: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
UNKNOWN = "NAME_UNKNOWN"
#: locked against deletes: https://learn.microsoft.com/azure/container-registry/container-registry-image-lock
LOCKED = "REGISTRY_DISALLOWED_OPERATION"
#: how a registry says that it is not reached from here, which it calls DENIED as it calls other refusals:
#: https://learn.microsoft.com/azure/container-registry/container-registry-troubleshoot-access
_FROM_HERE = re.compile(r"client with ip|firewall|public (?:network )?access|private endpoint", re.IGNORECASE)
_CATALOG = "/acr/v1/_catalog"


@dataclass(frozen=True, slots=True)
class Said:
    """The first error that a registry names in `{"errors": [{"code", "message"}]}`; empty if it names none."""

    code: str = ""
    message: str = ""

    @property
    def is_network(self) -> bool:
        """Whether it lets nobody in from where these calls come from, whatever roles they have."""
        return self.code == "DENIED" and _FROM_HERE.search(self.message) is not None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.message) if part)


#: no error was named
NOTHING = Said()


def document_of(text: str) -> Document | None:
    """A body as a JSON object; None if it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def said_in(found: Document | None) -> Said:
    """What a registry says of its refusal."""
    errors = (found or {}).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return Said()
    code, message = first.get("code"), first.get("message")
    return Said(code if isinstance(code, str) else "", message if isinstance(message, str) else "")


def is_own(method: str, url: str, status: int, text: str) -> bool:
    """Whether an answer can be the registry's: what was asked for is in it, or an error is. A 404 is the registry's only where it
    says itself that it does not know the repository."""
    path, found = urlsplit(url).path, document_of(text)
    if status >= 400:
        is_repository = path.startswith("/acr/v1/") and path != _CATALOG
        return status != 404 or (is_repository and said_in(found).code == UNKNOWN)
    if method == "DELETE":
        return status == 202 and (found is not None or not text.strip())
    return status == 200 and found is not None and _holds(path, found)


def _holds(path: str, found: Document) -> bool:
    if path.startswith("/oauth2/"):
        return isinstance(found.get("refresh_token" if path == "/oauth2/exchange" else "access_token"), str)
    if path == _CATALOG:
        names = found.get("repositories", "")
        # of an empty list, a server in Go may make null
        return names is None or (isinstance(names, list) and all(isinstance(name, str) and name for name in names))
    count = found.get("manifestCount")
    return isinstance(count, int) and not isinstance(count, bool) and count >= 0
