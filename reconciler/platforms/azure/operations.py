"""Operations of Azure Resource Manager that take long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.polling.arm_polling import ARMPolling

from reconciler.errors import PlatformError
from reconciler.platforms.http import HttpSession

from . import states
from .documents import Document
from .troubles import code_of, is_absent

#: seconds in which an operation must be carried out: geo-replications take minutes (terraform-provider-azurerm waits 30)
OPERATION = 1800.0
#: with which an operation ends that was not carried out:
#: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
_BAD = ("failed", "canceled")
#: what lets one look at a delete, which Azure asks for on the subscription: https://github.com/Azure/acr/issues/143
_LOOK = "Microsoft.ContainerRegistry/locations/operationResults/read"


class Unseen(Exception):
    """Azure has taken what was asked for, and does not say how it goes: that may not be asked, or is not seen yet."""


class _Passing(PlatformError):
    """What is looked at may be otherwise soon."""


class Polling(ARMPolling):
    """Looks at an operation until it is done, for so long as an operation may take. Raises PlatformError after that."""

    def __init__(self, timeout: float, at: str, operation: str) -> None:
        super().__init__(timeout)
        self._at, self._action = at, operation
        self._until = time.monotonic() + OPERATION

    def _sleep(self, delay: float) -> None:
        if time.monotonic() + delay > self._until:
            raise PlatformError(
                f"it is not done after {OPERATION:.0f} seconds",
                address=self._at,
                operation=self._action,
                hint="Azure may still carry it out: run again in some minutes",
            )
        super()._sleep(delay)


def outcome(arm: ARMPipelineClient[Any, Any], initial: Any, polling: Polling) -> Document:
    """What an operation ends with, as JSON. `initial`: the answer to the call that began it. Raises HttpResponseError where it
    failed, also where a 200 says so (https://github.com/pulumi/pulumi-azure-native/issues/4835), and Unseen; of a POST, of whose
    address there is no GET, HttpResponseError instead of that."""
    method = initial.http_request.method
    polling.initialize(arm, initial, lambda response: response)
    try:
        polling.run()
    except HttpResponseError as error:
        # the first look may find nothing: https://github.com/hashicorp/go-azure-sdk/issues/740
        if method != "POST" and (
            is_absent(error) or (error.status_code, code_of(error)) == (403, "AuthorizationFailed")
        ):
            raise Unseen from None
        raise
    final: Any = polling.resource()
    text = final.http_response.text() if final is not None else ""
    found = json.loads(text) if text.strip() else {}
    if not isinstance(found, dict):
        found = {}
    if str(found.get("status")).lower() in _BAD:
        raise HttpResponseError(response=final.http_response)
    if not found and method not in ("DELETE", "POST"):
        raise Unseen
    return found


def is_unseen(error: BaseException) -> bool:
    """Whether a look found nothing, which another one may find."""
    return isinstance(error, HttpResponseError) and is_absent(error)


def seen_by_itself(
    session: HttpSession, at: str, operation: str, method: str, read: Callable[[], Document | None]
) -> Document:
    """What an operation that is not seen ends with, by looks at what it is of. `method`: of the call that began it; `read`: how it is
    looked at. Raises PlatformError."""

    def gone() -> Document:
        if read() is None:
            return {}
        raise _Passing(
            "Azure took the delete, and it is still there",
            address=at,
            operation=operation,
            hint=f"allow {_LOOK} on the subscription to these credentials, which says why; or run again once it is gone",
        )

    def there() -> Document:
        found = read()
        if found is not None:
            return found
        said = "Azure took it, and it is not there"
        raise _Passing(said, address=at, operation=operation, hint="run again; changes already made are kept")

    def passes(error: BaseException) -> bool:
        return isinstance(error, _Passing)

    if method == "DELETE":
        return session.patiently(gone, passes, states.PATIENCE)
    return states.settled(session, at, partial(session.patiently, there, passes, session.behind)) or {}
