"""Faults on demand: behaviours for the server, which answer in the place of the stand-in or lose what it answered."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.emulators.fails import FailsNext
from tests.emulators.serving import Answer, Call

#: what share-wise faults answer: the ways in which a call to Azure fails and may be made again
KINDS = ("throttled", "500", "503", "drop")
_CODES = {"500": "InternalServerError", "503": "ServiceUnavailable", "409": "Conflict", "403": "AuthorizationFailed"}


def fault(kind: str, retry_after: int = 0) -> Answer:
    """An answer by its kind: an HTTP status, `throttled`, `drop` (the connection is closed), `page` (a proxy's), or a code of ARM,
    which is 400."""
    if kind == "drop":
        return Answer(drop=True)
    if kind == "page":
        return Answer(status=200, text="<html>log in</html>")
    if kind == "throttled":
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        body = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}
        return Answer(status=429, body=body, headers=headers)
    if kind.isdigit():
        return Answer(status=int(kind), body={"error": {"code": _CODES.get(kind, "Failed"), "message": "It failed."}})
    return Answer(status=400, body={"error": {"code": kind, "message": "It is refused."}})


def refused(status: int, code: str, message: str = "It is refused.") -> Answer:
    """What Azure Resource Manager answers where it refuses something."""
    return Answer(status, {"error": {"code": code, "message": message}})


@dataclass
class Answers:
    """Calls of an operation are answered so, so often (-1: always); None: as they would be."""

    operation: str
    answer: Callable[[Call], Answer | None]
    times: int = -1

    def before(self, call: Call) -> Answer | None:
        found = self.answer(call) if call.operation == self.operation and self.times else None
        self.times -= found is not None
        return found

    def after(self, call: Call) -> Answer | None:
        return None


@dataclass
class Fails(FailsNext):
    """Calls of Azure's own API fail in the ways of `fault`."""

    retry_after: int = 0

    def concerns(self, call: Call) -> bool:
        return call.service != "entra" and super().concerns(call)

    def fault(self, call: Call) -> Answer:
        return fault(self.kind, self.retry_after)


@dataclass
class FailsOften:
    """A share of all calls fails in one of the KINDS, and some answers to calls that were carried out are lost on the way.

    The same call at its same try fails in every run: it does not hang on the order in which threads make them.
    """

    seed: int
    share: float = 0.3
    failed: int = 0
    tries: Counter[str] = field(default_factory=Counter)

    def before(self, call: Call) -> Answer | None:
        chance = self._chance(call)
        if call.service == "entra" or chance.random() >= self.share:
            return None
        self.failed += 1
        return fault(chance.choice(KINDS))

    def after(self, call: Call) -> Answer | None:
        if call.service == "entra" or self._chance(call).random() >= self.share / 6:
            return None
        self.failed += 1
        return Answer(drop=True)

    def _chance(self, call: Call) -> random.Random:
        name = f"{call.operation} {call.body.get('path')}"
        self.tries[name] += 1
        return random.Random(f"{self.seed} {name} {self.tries[name]}")
