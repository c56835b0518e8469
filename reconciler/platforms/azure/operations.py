"""Operations of Azure Resource Manager that take long."""

from __future__ import annotations

import time

from azure.mgmt.core.polling.arm_polling import ARMPolling

from reconciler.errors import PlatformError

#: seconds in which an operation must be carried out: geo-replications take minutes (terraform-provider-azurerm waits 30)
OPERATION = 1800.0


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
