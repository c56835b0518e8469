"""The description of a service account, in which its marks stand, since an account has no labels. Pure.

`reconciler: owner=shop registry=images origin=spec applied=v1-0123456789abcdef at-europe-west1=v1-0123456789abcdef`
"""

from __future__ import annotations

import re

from reconciler.model.address import Address
from reconciler.model.canonical import is_applied_hash
from reconciler.model.marks import APPLIED, PREFIX
from reconciler.platforms import described
from reconciler.platforms.described import Said, written

from . import record, rules
from .spec import GcpRegistry

__all__ = [
    "AT",
    "CARRIER",
    "MAX_DESCRIPTION",
    "MEMBERS",
    "Said",
    "carrier_of",
    "parsed",
    "too_long",
    "without",
    "written",
]

#: bytes of UTF-8: https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts#ServiceAccount.FIELDS.description
MAX_DESCRIPTION = 256
#: what the key of a location's note begins with, and the key of the hashes of members that are ours, with their sum
AT, MEMBERS = f"{PREFIX}at-", f"{PREFIX}members"
#: the address of the account that carries what is noted of a registry
CARRIER = "pull"


def carrier_of(registry: GcpRegistry) -> Address:
    """The account in whose description the locations of a registry are noted."""
    return Address.of(registry.name, "account", CARRIER)


def parsed(text: str) -> Said:
    """What the description of an account says. A word is ours only if its value, too, has the form in which we write it."""
    return described.parsed(text, _is_ours)


def _is_ours(key: str, value: str) -> bool:
    if key == MEMBERS:
        return bool(record.opened(value))
    if key.startswith(AT):
        place = key.removeprefix(AT)
        return re.fullmatch(rules.LOCATION, place) is not None and is_applied_hash(value)
    return described.is_mark(key) and (key != APPLIED or is_applied_hash(value))


def without(text: str, location: str) -> str:
    """The description without what is noted of a location."""
    said = parsed(text)
    texts = {key: value for key, value in said.texts.items() if key != f"{AT}{location}"}
    return written(texts, said.before, said.behind)


def too_long(text: str) -> str | None:
    """Why Google would refuse a description, with the numbers; or None."""
    size = len(text.encode())
    if size <= MAX_DESCRIPTION:
        return None
    return f"description, in which its marks stand, would have {size} bytes; Google allows at most {MAX_DESCRIPTION}"
