"""From when to when the login in a secret is good, as the secret notes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from reconciler.model.service import Credentials

_MADE, _ENDS = "reconciler-made", "reconciler-valid-until"
#: the parts of its life after which a login is renewed by `reconciler refresh`, and after which a plan renews it, since nobody did
DUE, LATE = 0.5, 0.75
#: how what is said of a login begins that is over
ENDED = "one that ended at"


def noted(login: Credentials) -> dict[str, str | None]:
    """The annotations of a secret with a login; of one without an end, that there are none."""
    if login.expires_at is None:
        return {_MADE: None, _ENDS: None}
    return {_MADE: _text(login.made_at or datetime.now(UTC)), _ENDS: _text(login.expires_at)}


def made(texts: Mapping[str, str]) -> datetime | None:
    """When the login was made; None where that is not noted."""
    return _time(texts.get(_MADE))


def ends(texts: Mapping[str, str]) -> datetime | None:
    """When the login ends; None where no end is noted."""
    return _time(texts.get(_ENDS))


def used(texts: Mapping[str, str], now: datetime) -> float:
    """Which part of its life a login has used up: 1 and more once it has ended, 1 where its life isn't noted."""
    begun, end = made(texts), ends(texts)
    if begun is None or end is None or end <= begun:
        return 1.0
    return (now - begun) / (end - begun)


def trouble(texts: Mapping[str, str], now: datetime) -> str:
    """What is wrong with a login that has an end, in words; "" if nothing is."""
    end = ends(texts)
    if end is None:
        return "one whose end is not noted"
    if end <= now:
        return f"{ENDED} {_text(end)}"
    return f"one that ends at {_text(end)}, and was not renewed in time" if used(texts, now) >= LATE else ""


def left(texts: Mapping[str, str]) -> str:
    """What a login is that is good, in words."""
    end = ends(texts)
    return f"one that is good until {_text(end)}" if end is not None else "a good one"


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
