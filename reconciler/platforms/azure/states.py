"""How the last operation on a registry or a replication stands: its `provisioningState`, in the words of
azure-mgmt-containerregistry 15."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.resource import Live
from reconciler.words import duration

from .documents import properties

if TYPE_CHECKING:
    from .session import AzureSession

Document = dict[str, Any]
SUCCEEDED, DELETING = "Succeeded", "Deleting"
#: with which an operation has ended, and what was asked for may not be there
_BAD = ("Failed", "Canceled")
_DOING = {"Creating": "being created", "Updating": "being updated", DELETING: "being deleted"}
#: seconds in which what is under way is waited for before it is written: a geo-replication takes minutes, and one that is stuck
#: (https://github.com/Azure/acr/issues/647) must not hold a run up for ever
PATIENCE = 600.0
_LATER = "run again when that is done; what stays so for hours, Azure's support alone can end"


class _UnderWay(PlatformError):
    """Something is still under way."""


def failure(found: Mapping[str, Any]) -> str:
    """Azure's word for an end that its last operation should not have had; "" if there is none."""
    word = _word(found)
    return word if word in _BAD else ""


def under_way(found: Mapping[str, Any]) -> str:
    """Azure's word for what is being done with it; "" if nothing is."""
    word = _word(found)
    return "" if word in (*_BAD, SUCCEEDED) else word


def _word(found: Mapping[str, Any]) -> str:
    word = str(properties(found).get("provisioningState") or SUCCEEDED)
    return word[:1].upper() + word[1:].lower()


def written(live: Live) -> Live:
    """What a write has ended with: what its answer still calls under way was that write."""
    return replace(live, settings=replace(live.settings, under_way=""))


def over(live: Live | None) -> Live | None:
    """The same of what may not be there."""
    return written(live) if live is not None else None


def doing(word: str) -> str:
    """What is being done, as the end of a sentence."""
    return _DOING.get(word, f"in state {word}")


def limit(word: str) -> str | None:
    """Why nothing can be written of what is being deleted; None if it is not."""
    return f"it is {doing(word)}: run again when that is done" if word == DELETING else None


def remark(failed: str, word: str, mended: str) -> tuple[str, ...]:
    """What there is to say of how its last operation stands. `mended`: what an apply does about one that failed."""
    if failed:
        how = "was canceled" if failed == "Canceled" else "failed"
        return (f"Azure reports that its last operation {how}: {mended}",)
    return (
        (f"it is {doing(word)}: run again when that is done; an apply waits for it, at most {duration(PATIENCE)}",)
        if word
        else ()
    )


def settled(session: AzureSession, at: str, read: Callable[[], Document | None]) -> Document | None:
    """What `read` gives, once nothing is under way with it: what is written meanwhile is refused, or comes to nothing. Raises
    PlatformError if something still is after some minutes."""

    def once() -> Document | None:
        found = read()
        if found is not None and (word := under_way(found)):
            raise _UnderWay(f"it is still {doing(word)}", address=at, hint=_LATER)
        return found

    return session.patiently(once, lambda error: isinstance(error, _UnderWay), PATIENCE)
