"""Calls that fail on demand, whichever cloud they go to: the behaviour of which each stand-in says what its failures look like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .serving import Answer, Call


@dataclass
class FailsNext(ABC):
    """The next `times` calls of an operation (`tokens:PUT`, `tokens:*`, `*`) fail; -1: all. `lost`: each is carried out, and its
    answer is lost. `passing`: how many of them are let through before."""

    operation: str
    kind: str
    times: int = 1
    lost: bool = False
    failed: int = 0
    passing: int = 0

    @abstractmethod
    def fault(self, call: Call) -> Answer:
        """What is answered to a call that fails."""

    def concerns(self, call: Call) -> bool:
        """Whether it may be one of those that fail."""
        pattern = self.operation
        return pattern in ("*", call.operation) or (pattern.endswith("*") and call.operation.startswith(pattern[:-1]))

    def before(self, call: Call) -> Answer | None:
        return None if self.lost else self._fail(call)

    def after(self, call: Call) -> Answer | None:
        return self._fail(call) if self.lost else None

    def _fail(self, call: Call) -> Answer | None:
        if not self.concerns(call) or self.failed == self.times:
            return None
        if self.passing:
            self.passing -= 1
            return None
        self.failed += 1
        return self.fault(call)
