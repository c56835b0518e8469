"""What goes wrong with a call to Azure, in words: its errors, operations that fail, answers that aren't Azure's, and credentials."""

from __future__ import annotations

import json
import re
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, DecodeError, HttpResponseError

from reconciler.errors import PlatformError
from reconciler.model.call_log import current_address
from reconciler.platforms.http import Trouble
from reconciler.redaction import unnamed_hidden

from .hints import ENTRA_HINTS, HINTS, NotCarriedOut, hint_for
from .spec import AzureRegistry

#: what to do about an answer that Azure does not write
BETWEEN = (
    "check the endpoint override if one is set, and anything between here and Azure, such as a proxy with a login page"
)
#: methods of which a 404 is an answer; of all others it is a refusal
_ABSENT = ("GET", "HEAD", "DELETE")
#: whose message is enough
_IN_USE = {"RegistryNameAlreadyInUse", "AlreadyInUse", "AlreadyExists"}
#: codes of what is refused only while something else goes on, such as AnotherOperationInProgress, ReplicationBeingDeleted:
#: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
_PASSES = re.compile("Conflict|InProgress|Being|^Operation")
#: a resource provider in a message
_NAMESPACE = re.compile(r"\bMicrosoft\.[A-Za-z]+\b")
#: signatures in the URLs of operations, which some messages repeat
_SIGNED = re.compile(r"https://\S+\?\S+")
#: what each kind of credentials said, where azure-identity tried several: `ChainedTokenCredential` joins them so
_TRIED = re.compile(r"^\t(\w+): (.*)$", re.MULTILINE)
#: how they say that nobody has set them up: azure.identity.CredentialUnavailableError, whose texts these are
_NOT_SET_UP = re.compile(
    r"unavailable|not (found|installed|fully configured|available|on path)|no (accounts|managed identity)|Please run",
    re.IGNORECASE,
)
#: why Entra gives none, and what to do: https://learn.microsoft.com/entra/identity-platform/reference-error-codes#aadsts-error-codes
_ENTRA = re.compile(r"\b(AADSTS[0-9]+)\b")


#: what OpenSSL says of a certificate that nobody here has signed
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


class NotAzure(Exception):
    """The answer is none of Azure's: a proxy's page, say. It must not count as "there is nothing". `status`: its HTTP status."""

    def __init__(self, status: int = 0) -> None:
        super().__init__()
        self.status = status


def code_of(error: Exception) -> str:
    """Azure's word for an error; "" if it said none."""
    found = getattr(getattr(error, "error", None), "code", None)
    if found:
        return str(found)
    response = getattr(error, "response", None)
    said = said_in(response).get("code") if response is not None else None
    return str(said) if said else ""


def said_in(response: Any) -> dict[str, Any]:
    """The `error` of an answer's JSON; empty if there is none."""
    try:
        found = json.loads(response.text())
    except Exception:  # whatever is wrong with it, it says nothing
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {}


def is_absent(error: HttpResponseError) -> bool:
    """Whether what was asked for, or was to be deleted, is not there: Azure says so itself. A 404 without its JSON is a proxy's, or
    another service's. What is written is never absent: Azure refuses it, since something that it is in or names is not there."""
    request = getattr(error.response, "request", None)
    if getattr(request, "method", "") not in _ABSENT:
        return False
    return error.status_code == 404 and code_of(error) not in ("", "SubscriptionNotFound", "InvalidResourceType")


def translated(error: Exception, address: str, operation: str, registry: AzureRegistry) -> PlatformError:
    """The error for people: what Azure said, and what to do about it."""
    address = address or current_address()
    if isinstance(error, NotAzure | DecodeError | json.JSONDecodeError):
        said = "the answer did not come from Azure"
        return PlatformError(said, address=address, operation=operation, code="NotAzure", hint=BETWEEN)
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _refusal(error, address, operation, registry)
    if isinstance(error, ClientAuthenticationError):
        said, hint = _no_token(error)
        return PlatformError(
            f"the credentials gave no token: {said}", address=address, operation=operation, code="auth", hint=hint
        )
    return PlatformError(
        _first_line(error),
        address=address,
        operation=operation,
        code=type(error).__name__,
        hint="trust the authority that signed the certificate (REQUESTS_CA_BUNDLE), or check the endpoint override"
        if _UNTRUSTED in str(error)
        else "check the network, and the endpoint override if one is set; then run again",
    )


def _no_token(error: Exception) -> tuple[str, str]:
    """Why the credentials gave no token, and what to do."""
    text = str(error)
    tried = dict(_TRIED.findall(text))
    # whatever is not set up for any of the others is no reason
    whose, why = next(
        ((name, why) for name, why in reversed(tried.items()) if _ENTRA.search(why) or not _NOT_SET_UP.search(why)),
        ("", ""),
    )
    code = _ENTRA.search(why or text)
    hint = ENTRA_HINTS.get(code[1], "") if code is not None else ""
    if _UNTRUSTED in why:
        hint = "trust the authority that signed its certificate (REQUESTS_CA_BUNDLE), or check AZURE_AUTHORITY_HOST"
    elif whose and code is None:
        hint = "check the network, and AZURE_AUTHORITY_HOST if it is set; then run again"
    # the rest of what Entra says is numbers for its support, and times
    why = _SIGNED.sub("(a signed URL)", re.split(r" Trace ID: |\r|\n", why)[0])
    said = f"{whose}: {why}" if whose else _first_line(error)
    usual = "log in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret or a federated token"
    return unnamed_hidden(said), hint or usual


def _refusal(error: HttpResponseError, address: str, operation: str, registry: AzureRegistry) -> PlatformError:
    response: Any = error.response
    code = code_of(error)
    said = str(getattr(error.error, "message", "") or said_in(response).get("message") or "")
    status = int(error.status_code or 0)
    if code == "AuthorizationFailed" and operation.endswith((":get", ":list")):
        hint = "give these credentials a role with that action there; to plan, Reader is enough"
    elif code in HINTS:
        hint = hint_for(code, registry, address, _namespace(said, operation))
    elif status == 401:
        hint = "log in again: `az login`"
    elif status == 403:
        hint = Trouble.DENIED.hint(operation=operation, account=f"subscription {registry.subscription_id}")
    elif status >= 500:
        hint = Trouble.SERVER.hint(cloud="Azure")
    elif not code and status < 300:  # the answer to a write, whose provisioningState is Failed or Canceled
        hint = "run again; if it fails again, ask Azure's support about the request id"
    elif not code:
        hint = BETWEEN
    elif status == 404:
        hint = "what it is in, or what it names, is gone or not yet seen everywhere: make a new plan"
    elif status < 300:
        hint = "run again; changes already made are kept"
    elif code in _IN_USE:
        hint = ""
    elif status == 409 and _PASSES.search(code):
        hint = "something else is being done with it: run again when that is over"
    else:
        hint = "change what Azure names, in the spec or there, and run again; its support can look the request id up"
    without = "the operation failed" if status < 300 else f"HTTP {status}"
    message = f"{code}: {said}" if code else f"{without}, without Azure's reason for it"
    kind = NotCarriedOut if status < 300 else PlatformError
    return kind(
        _SIGNED.sub("(a signed URL)", message),
        address=address,
        operation=operation,
        request_id=str(response.headers.get("x-ms-request-id", "")),
        code=code or str(status),
        hint=hint,
    )


def _namespace(said: str, operation: str) -> str:
    """The provider that is not registered, which only the message names (https://github.com/Azure/msrestazure-for-python/issues/53)."""
    found = _NAMESPACE.search(said)
    if found is not None:
        return found[0]
    return (
        "Microsoft.ManagedIdentity" if operation.startswith("userAssignedIdentities") else "Microsoft.ContainerRegistry"
    )


def _first_line(error: Exception) -> str:
    """What an error says at first: azure-identity goes on with what each kind of credentials said, which may hold anything."""
    return _SIGNED.sub("(a signed URL)", str(error).strip().partition("\n")[0]) or type(error).__name__


#: what the library, the connection and the credentials raise
FAILURES = (AzureError, NotAzure, OSError, json.JSONDecodeError)
