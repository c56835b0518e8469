"""Faults on demand: behaviours for the server, which answer in the place of the stand-in or lose what it answered."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field

from tests.emulators.fails import FailsNext
from tests.emulators.proxy import Answer, Call

from .state import project_number

#: what share-wise faults answer: the ways in which a call to Google fails and may be made again
KINDS = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "ABORTED", "drop")
TEXTS = {
    "UNAVAILABLE": "The service is currently unavailable.",
    # what a policy's race says too, as on a repository: https://github.com/hashicorp/terraform-provider-google/issues/25305
    "ABORTED": "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
    "INTERNAL": "Internal error encountered.",
    "DEADLINE_EXCEEDED": "Deadline expired before operation could complete.",
}


def fault(kind: str, call: Call) -> Answer:
    """An answer by its status' name; `drop` closes the connection."""
    if kind == "drop":
        return Answer(drop=True)
    text = quota_text(call) if kind == "RESOURCE_EXHAUSTED" else TEXTS.get(kind, kind)
    return Answer(error=kind, body={"message": text})


def quota_text(call: Call) -> str:
    """What a call over its quota is told: https://github.com/kubernetes-sigs/promo-tools/issues/637."""
    found = re.search(r"/projects/([^/]+)", str(call.body.get("path", "")))
    per = "Requests per project per region"
    return (
        f"Quota exceeded for quota metric '{per}' and limit '{per} per minute per region' of service "
        f"'{call.service}.googleapis.com' for consumer 'project_number:{project_number(found.group(1) if found else '-')}'."
    )


@dataclass
class Fails(FailsNext):
    """Calls fail in the ways of `fault`."""

    def fault(self, call: Call) -> Answer:
        return fault(self.kind, call)


@dataclass
class Sends:
    """Calls of an operation are sent to another address, as a proxy with a login page does."""

    operation: str
    to: str

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        return Answer(status=302, text="<html>Moved</html>", headers={"Location": self.to})

    def after(self, call: Call) -> Answer | None:
        return None


@dataclass
class Quota:
    """`calls` calls of an operation (`*`: of any) are let through until `refill`; those after them are over the quota."""

    operation: str
    calls: int
    used: int = 0
    refused: int = 0

    def before(self, call: Call) -> Answer | None:
        if self.operation not in ("*", call.operation):
            return None
        if self.used < self.calls:
            self.used += 1
            return None
        self.refused += 1
        return fault("RESOURCE_EXHAUSTED", call)

    def after(self, call: Call) -> Answer | None:
        return None

    def refill(self) -> None:
        """A minute is over."""
        self.used = 0


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
        if chance.random() >= self.share:
            return None
        self.failed += 1
        return fault(chance.choice(KINDS), call)

    def after(self, call: Call) -> Answer | None:
        if self._chance(call).random() >= self.share / 6:
            return None
        self.failed += 1
        return Answer(drop=True)

    def _chance(self, call: Call) -> random.Random:
        name = f"{call.operation} {call.body.get('path')}"
        self.tries[name] += 1
        return random.Random(f"{self.seed} {name} {self.tries[name]}")
