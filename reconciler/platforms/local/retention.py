"""What a local registry's retention removes. Pure.

It is decided as ECR decides it (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html): an index keeps its
images, and what refers to a subject goes with its subject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.spec.selection import matches_any

DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest as retention sees it.

    `pushed`: seconds since 1970. `children`: digests of an index's images. `subject`: what it refers to, by itself or by its tag
    (layout.py). `in_use`: a client has pushed or asked for it just now, so that what needs it may be on its way: it is neither
    removed nor counted.
    """

    digest: str
    pushed: float
    tags: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    subject: str | None = None
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """A repository's retention. `keep_last`: a number of images. None: no such rule."""

    keep_last: int | None = None
    untagged_days: int | None = None
    keep_tags: tuple[str, ...] = field(default=())


class Belongings:
    """What belongs to images of a repository: an index's images, and what refers to a subject."""

    def __init__(self, held: Mapping[str, Image]) -> None:
        self.held = held
        self._by_subject: dict[str, list[str]] = {}
        for image in held.values():
            if image.subject is not None:
                self._by_subject.setdefault(image.subject, []).append(image.digest)

    def directly(self, digest: str) -> Iterator[str]:
        """The digests of what belongs to one image itself."""
        for item in (*self.held[digest].children, *self._by_subject.get(digest, ())):
            if item in self.held:
                yield item

    def add(self, found: set[str], digests: Iterable[str]) -> None:
        """Adds the images and all that belongs to them, and to that, to a set that is whole in this way already."""
        waiting = [digest for digest in digests if digest in self.held]
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found.add(digest)
                waiting += self.directly(digest)

    def of(self, digests: Iterable[str]) -> set[str]:
        """The images, and all that belongs to them, and to that."""
        found: set[str] = set()
        self.add(found, digests)
        return found

    def levels(self, gone: set[str]) -> Iterator[list[str]]:
        """The order in which images go: each after all that it belongs to. What belongs to itself by a detour is left out, with
        what belongs to that: it stays."""
        waits = Counter(item for digest in gone for item in self.directly(digest))
        level = sorted(digest for digest in gone if not waits[digest])
        while level:
            yield level
            below = []
            for digest in level:
                for item in self.directly(digest):
                    waits[item] -= 1
                    if not waits[item] and item in gone:
                        below.append(item)
            level = below


def expired(images: Iterable[Image], rules: Rules, now: float) -> set[str]:
    """The digests that retention removes. `now`: seconds since 1970. Pure."""
    held = {image.digest: image for image in images}
    if rules.keep_last is None and rules.untagged_days is None:
        return set()
    kept_apart = {
        image.digest
        for image in held.values()
        if image.in_use or any(matches_any(tag, rules.keep_tags) for tag in image.tags)
    }
    belongings = Belongings(held)
    below = belongings.of(kept_apart)
    part_of_another = {child for image in held.values() for child in image.children}
    alone = [
        image
        for image in held.values()
        if image.digest not in below
        and image.digest not in part_of_another
        and (image.subject is None or image.subject not in held)
    ]
    gone = set()
    if rules.untagged_days is not None:
        oldest = now - rules.untagged_days * DAY
        gone = {image.digest for image in alone if not image.tags and image.pushed < oldest}
    if rules.keep_last is not None:
        # what refers to something, be that there or not, is no image: signatures must not push images out
        rest = (image for image in alone if image.digest not in gone and image.subject is None)
        newest_first = sorted(rest, key=lambda image: (-image.pushed, image.digest))
        gone |= {image.digest for image in newest_first[rules.keep_last :]}
        if len(newest_first) >= rules.keep_last:
            # what referred to an image that has gone goes once as many images are newer: a collection may have been cut off before
            oldest_kept = newest_first[rules.keep_last - 1].pushed
            gone |= {
                item.digest
                for item in alone
                if item.subject is not None and not item.tags and item.pushed < oldest_kept
            }
    tops = {image.digest for image in alone}
    # an index that refers to a part of itself belongs to nothing that stands alone: it stays, with all of its parts
    circles = held.keys() - belongings.of(tops) - below
    stay = belongings.of((tops - gone) | circles) | below
    taken_along = belongings.of(gone) - gone - stay
    # a part that has a tag of its own is an image of its own from now on
    return gone | (taken_along - belongings.of({item for item in taken_along if held[item].tags}))
