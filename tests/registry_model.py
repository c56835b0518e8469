"""What a registry must hold after pushes, deletes and collections, told without any of its code, and the few images of the play."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from tests.images import CONFIG, LAYER, descriptor, digest

DAY = 24 * 3600
#: numbers that never repeat: which push came later
_ORDER = count()


@dataclass(frozen=True)
class Item:
    """A manifest and what belongs to it.

    `blobs`: what must be there before it. `elsewhere`: layers that may come from elsewhere. `children`: the manifests that it lists.
    """

    name: str
    body: bytes
    blobs: tuple[bytes, ...] = ()
    elsewhere: tuple[bytes, ...] = ()
    children: tuple[Item, ...] = ()
    subject: str = ""

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest(self.body)

    @property
    def refers_to(self) -> set[str]:
        """The digests of all that it names, but its subject."""
        return {digest(body) for body in (*self.blobs, *self.elsewhere)} | {item.digest for item in self.children}

    def all(self) -> Iterator[Item]:
        """It and what it lists, at any depth."""
        yield self
        for child in self.children:
            yield from child.all()


def _image(name: str, config: bytes, *layers: bytes, elsewhere: bytes = b"", **more: Any) -> Item:
    rows = [descriptor(body, LAYER) for body in layers]
    if elsewhere:
        rows.append(descriptor(elsewhere, LAYER, urls=["https://example.org/layer"]))
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, CONFIG), "layers": rows}
    body = json.dumps({**document, **more}).encode()
    subject = more.get("subject", {}).get("digest", "")
    return Item(name, body, (config, *layers), (elsewhere,) if elsewhere else (), subject=subject)


def _index(name: str, *children: Item, blobs: Iterable[bytes] = ()) -> Item:
    rows = [
        *(descriptor(item.body, OCI_INDEX if item.children else OCI_MANIFEST) for item in children),
        *(descriptor(body, LAYER) for body in blobs),
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()
    return Item(name, body, tuple(blobs), children=children)


def _bytes(number: int) -> bytes:
    return f"layer {number} ".encode() * (4 * number)


#: small, and some shared between images, so that a mount, a second push and a collection meet the same content
IMAGES = tuple(
    _image(name, f'{{"image":"{name}"}}'.encode(), _bytes(1), _bytes(2 + number)) for number, name in enumerate("abcd")
)
MANY = _index("a and b", *IMAGES[:2])
ITEMS = (
    *IMAGES,
    _image("with a layer from elsewhere", b'{"image":"elsewhere"}', _bytes(2), elsewhere=_bytes(9)),
    MANY,
    _index("b and c", *IMAGES[1:3]),
    _index("an index and d", MANY, IMAGES[3]),
    _index("build cache", blobs=(_bytes(2), _bytes(7))),
    _image("sbom of a", b'{"kind":"sbom"}', _bytes(8), subject=descriptor(IMAGES[0].body, OCI_MANIFEST)),
    _image(
        "signature of a and b",
        b'{"kind":"signature"}',
        subject=descriptor(MANY.body, OCI_INDEX),
        artifactType="application/x.signature",
    ),
)
BY_NAME = {item.name: item for item in ITEMS}
BY_DIGEST = {item.digest: item for item in ITEMS}
BODIES = {digest(body): body for item in ITEMS for body in (*item.blobs, *item.elsewhere)}


@dataclass
class Rules:
    """What `apply` has set."""

    keep_last: int | None = None
    untagged_days: int | None = None
    keep_tags: tuple[str, ...] = ()
    immutable: bool = False


@dataclass
class Times:
    """When a manifest was pushed, and last pushed or asked for: seconds of the play. `order`: its place among all pushes."""

    pushed: float
    used: float
    order: int


@dataclass
class Repository:
    """What one repository must hold. `blobs`: when each was last pushed or asked for; without those that may be gone."""

    held: dict[str, Times] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, float] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)

    def pushed(self, item: Item, tag: str, now: float) -> None:
        """A manifest was pushed under a tag ("": under its digest)."""
        self.held[item.digest] = Times(now, now, next(_ORDER))
        if tag:
            self.tags[tag] = item.digest

    def deleted(self, part: str, wanted: str) -> None:
        """One of `tags`, `held` or `blobs` went; a manifest takes its tags along."""
        del getattr(self, part)[wanted]
        self.tags = {tag: found for tag, found in self.tags.items() if found in self.held}

    def refuses(self, item: Item, tag: str) -> bool:
        """Whether the tag stands for another manifest and must not move."""
        return self.rules.immutable and self.tags.get(tag, item.digest) != item.digest

    def users(self, wanted: str) -> set[str]:
        """The manifests that name a digest, as a blob, layer or child."""
        return {found for found in self.held if found != wanted and wanted in BY_DIGEST[found].refers_to}

    def referrers(self, wanted: str) -> set[str]:
        """The manifests whose subject it is."""
        return {found for found in self.held if BY_DIGEST[found].subject == wanted}

    def needed(self) -> set[str]:
        """The digests that some manifest names."""
        return {wanted for found in self.held for wanted in BY_DIGEST[found].refers_to}

    def with_parts(self, digests: Iterable[str]) -> set[str]:
        """The manifests, what they list, and what refers to any of them."""
        found: set[str] = set()
        waiting = [item for item in digests if item in self.held]
        while waiting:
            if (wanted := waiting.pop()) not in found:
                found.add(wanted)
                parts = BY_DIGEST[wanted].refers_to & self.held.keys()
                waiting += [*parts, *self.referrers(wanted)]
        return found

    def may_go(self, now: float, grace: float) -> set[str]:
        """The manifests that retention may remove at this time; no others."""
        rules, tagged = self.rules, set(self.tags.values())
        in_use = {found for found, times in self.held.items() if now - times.used < grace}
        chosen = {found for tag, found in self.tags.items() if any(fnmatchcase(tag, glob) for glob in rules.keep_tags)}
        kept = self.with_parts(in_use | chosen)
        tops = {
            found
            for found in self.held.keys() - kept
            if not self.users(found) and BY_DIGEST[found].subject not in self.held
        }
        gone = set()
        if rules.untagged_days is not None:
            oldest = now - rules.untagged_days * DAY
            gone = {found for found in tops - tagged if self.held[found].pushed < oldest}
        if rules.keep_last is not None:
            gone |= set(sorted(tops - gone, key=lambda found: -self.held[found].order)[rules.keep_last :])
        stays = kept | self.with_parts(tops - gone)
        along = self.with_parts(gone) - gone - stays
        return gone | (along - self.with_parts(along & tagged))

    def collected(self, left: set[str], now: float, grace: float) -> None:
        """A collection has removed all manifests but those. Blobs that none needs may be gone once their grace is over."""
        for wanted in self.held.keys() - left:
            self.deleted("held", wanted)
        needed = self.needed()
        self.blobs = {name: at for name, at in self.blobs.items() if name in needed or now - at < grace}
