"""Which entries of a shared document are ours, as short hashes in texts that Google keeps beside it: labels, a description. Pure."""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

#: characters of a hash: 35 bits, so that a member of others is hardly ever taken for one of ours
SIZE = 7
#: hashes in the value of one label, which has 63 characters
EACH = 63 // SIZE
#: characters of the sum of several hashes: what people write is not taken for hashes of ours, though a word may have their form
SUM = 4
_HASH = re.compile(f"[a-z2-7]{{{SIZE}}}")


def hash_of(*words: str) -> str:
    """The hash of what is recorded, in letters that the values of labels may have."""
    return b32encode(sha256("\n".join(words).encode()).digest()).decode().lower()[:SIZE]


def joined(hashes: Iterable[str]) -> str:
    """The hashes as one text, sorted."""
    return "".join(sorted(set(hashes)))


def parted(text: str) -> set[str]:
    """The hashes that a text holds; what is none is left out."""
    return {part for part in _parts(text, SIZE) if _HASH.fullmatch(part)}


def sealed(hashes: Iterable[str]) -> str:
    """The hashes as one text that ends with a sum of them; "" if there are none."""
    text = joined(hashes)
    return text and text + hash_of(text)[:SUM]


def opened(text: str) -> set[str]:
    """The hashes of a sealed text; none of any other."""
    found = parted(text[:-SUM])
    return found if sealed(found) == text else set()


def packed(key: str, hashes: Iterable[str]) -> dict[str, str]:
    """Labels that hold the hashes: under the key, then under the key with -2, -3 and so on."""
    values = _parts(joined(hashes), EACH * SIZE)
    return {key if number == 1 else f"{key}-{number}": value for number, value in enumerate(values, 1)}


def labels_for(count: int) -> int:
    """How many labels that many hashes need."""
    return -(-count // EACH)


def keys(key: str, labels: Iterable[str]) -> Iterator[str]:
    """Those of the keys of labels that hold hashes of this record."""
    return (item for item in labels if item == key or re.fullmatch(rf"{re.escape(key)}-[0-9]{{1,2}}", item))


def unpacked(key: str, labels: Mapping[str, str]) -> set[str]:
    """The hashes that labels hold."""
    return {found for item in keys(key, labels) for found in parted(labels[item])}


def _parts(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
