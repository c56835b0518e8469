"""The canonical form of settings, and the hashes made of it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any, cast

from .marks import Marks, Origin
from .resource import Desired, Live, Settings

#: The form that this release writes. A release that changes `plain` gets a new version and keeps the old form in `FORMS`.
VERSION = "v1"
ABSENT = "absent"
_MARK = re.compile(r"v[0-9]+-[0-9a-f]{16}")


@cache
def _fields_of(kind: Any) -> tuple[tuple[str, Callable[[Any], Any], Any], ...]:
    if not is_dataclass(kind):
        raise TypeError(f"settings must be frozen dataclasses of plain values, not {kind}")
    return tuple(
        (item.name, attrgetter(item.name), MISSING if item.default is MISSING else item.default)
        for item in fields(kind)
    )


_SCALARS = (str, int, bool, float, type(None))


def plain(value: Any, form: str = "") -> Any:
    """Settings as JSON values. Fields at their default are left out, so that a new field changes no old hash.

    `form`: the method (`as_v1`) with which a value whose shape has changed since says how a version of the hash wrote it.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is tuple:
        return [plain(item, form) for item in value]
    if isinstance(value, str):  # an address
        return str(value)
    if form and (then := getattr(value, form, None)) is not None:
        return then()
    result = {}
    for name, get, default in _fields_of(cast(Hashable, kind)):
        item = get(value)
        if item != default:
            result[name] = plain(item, form)
    return result


#: json.dumps would make an encoder for each call
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def text(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return _encode(value)


def digest(value: Any) -> str:
    """16 hex digits of the SHA-256 of a JSON value's canonical text."""
    return sha256(text(value).encode()).hexdigest()[:16]


@lru_cache(maxsize=4096)
def _form_v1(settings: Settings) -> str:
    # most resources of a registry are set alike, and equal settings have one hash
    return digest(plain(settings, "as_v1"))


#: every form whose hash this release can still compute
FORMS: dict[str, Callable[[Settings], str]] = {VERSION: _form_v1}


def applied_hash(settings: Settings) -> str:
    """The mark that says what was applied: `v1-` and a short hash."""
    return f"{VERSION}-{FORMS[VERSION](settings)}"


def is_applied_hash(text: str) -> bool:
    """Whether a text has the form of `applied_hash`, of this version or of another one."""
    return _MARK.fullmatch(text) is not None


def records(mark: str, settings: Settings) -> bool | None:
    """Whether the mark is the hash of these settings; None if its form is unknown here."""
    version, _, value = mark.partition("-")
    form = FORMS.get(version)
    return None if form is None else form(settings) == value


def fingerprint(live: Live | None, *, inherits: bool = False) -> str:
    """What a saved plan remembers of a live resource: it changes when anything that a write would overwrite changes.

    `inherits`: another resource says whose it is, so that its owner doesn't count.
    """
    if live is None:
        return ABSENT
    owner = None if inherits else [live.marks.owner, live.marks.origin, live.marks.registry]
    if owner is not None and live.marks.adopted:
        owner.append("adopted")
    waits = [list(live.notes)] if live.owed else []
    version = [{"version": live.version}] if live.version else []
    return digest([plain(live.settings), live.rest, live.vacant, owner, *waits, *version])


def applied(desired: Desired, owner: str, origin: Origin = "spec") -> Live:
    """The resource as it would be found right after it was applied."""
    return Live(
        desired.address,
        desired.kind,
        desired.settings,
        Marks(owner, origin, applied_hash(desired.settings), desired.address.registry, adopted=desired.adopt),
        needs=desired.needs,
        parent=desired.parent,
    )
