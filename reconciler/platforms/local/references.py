"""Which manifests of a repository refer to a digest: found without reading each manifest each time."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from .layout import Damaged, digests_in, parsed
from .store import encoded

#: bytes, about, that are remembered of all repositories: more than 150,000 images of ten layers
MOST = 64 << 20
#: bytes that a remembered manifest takes beside its references, about
_EACH = 300


class References:
    """What the manifests of a registry's repositories refer to, shortened to 8 bytes each.

    It only makes looking faster: what it finds is read again, and what it has not seen yet is read at each call.
    """

    def __init__(self, root: Path, most: int = MOST) -> None:
        self.root = root
        self.most = most
        self._reading = Lock()
        self._known: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def users(self, name: str, digest: str) -> list[str]:
        """The digests of the repository's manifests that refer to this one. Raises OSError for another that is damaged: what that
        refers to is unknown."""
        short = _short(digest)
        with self._reading:
            maybe = [user for user, packed in self._read(name, digest).items() if short in packed]
        return [user for user in maybe if self._refers(name, user, digest)]

    def _refers(self, name: str, user: str, digest: str) -> bool:
        algorithm, _, hexadecimal = user.partition(":")
        try:
            return digest in parsed(self._manifests(name) / algorithm / hexadecimal).refers_to
        except FileNotFoundError:  # removed meanwhile
            return False

    def _read(self, name: str, but: str) -> dict[str, bytes]:
        before = self._known.pop(name, {})
        self._sizes.pop(name, None)
        found = {}
        for digest, path in digests_in(self._manifests(name)):
            packed = before.get(digest)
            if packed is None:
                try:
                    packed = b"".join(map(_short, parsed(path).refers_to))
                except FileNotFoundError:
                    continue
                except Damaged:
                    if digest == but:
                        continue
                    raise
            found[digest] = packed
        self._remember(name, found)
        return found

    def _remember(self, name: str, found: dict[str, bytes]) -> None:
        size = sum(_EACH + len(packed) for packed in found.values())
        if size > self.most:
            return
        self._known[name], self._sizes[name] = found, size
        while sum(self._sizes.values()) > self.most:
            oldest, _ = self._known.popitem(last=False)
            del self._sizes[oldest]

    def _manifests(self, name: str) -> Path:
        return self.root / "manifests" / encoded(name)


def _short(digest: str) -> bytes:
    return bytes.fromhex(digest.partition(":")[2][:16])
