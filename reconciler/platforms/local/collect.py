"""Retention and garbage collection of a local registry.

What retention removes is decided as ECR decides it (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html):
an index keeps its images, and what refers to a subject goes with its subject.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import PlatformError
from reconciler.model.service import Collected
from reconciler.spec.selection import matches_any

from .content import Content
from .documents import RepositoryDocument

#: seconds after which an upload to which nothing was added is removed
IDLE_UPLOAD = 24 * 3600.0
DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest as retention sees it.

    `pushed`: seconds since 1970. `children`: digests of an index's images. `in_use`: a client has pushed or asked for it just now,
    so that what needs it may be on its way: it is neither removed nor counted.
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
    below = _with_what_belongs_to_them(held, kept_apart)
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
        rest = (image for image in alone if image.digest not in gone)
        newest_first = sorted(rest, key=lambda image: (-image.pushed, image.digest))
        gone |= {image.digest for image in newest_first[rules.keep_last :]}
    tops = {image.digest for image in alone}
    # an index that refers to a part of itself belongs to nothing that stands alone: it stays, with all of its parts
    circles = held.keys() - _with_what_belongs_to_them(held, tops) - below
    stay = _with_what_belongs_to_them(held, (tops - gone) | circles) | below
    taken_along = _with_what_belongs_to_them(held, gone) - gone - stay
    # a part that has a tag of its own is an image of its own from now on
    return gone | (taken_along - _with_what_belongs_to_them(held, {item for item in taken_along if held[item].tags}))


def _with_what_belongs_to_them(held: Mapping[str, Image], digests: set[str]) -> set[str]:
    """The images, their children, and what refers to any of them."""
    by_subject: dict[str, list[str]] = {}
    for image in held.values():
        if image.subject is not None:
            by_subject.setdefault(image.subject, []).append(image.digest)
    found: set[str] = set()
    waiting = [digest for digest in digests if digest in held]
    while waiting:
        digest = waiting.pop()
        if digest not in found:
            found.add(digest)
            waiting += [item for item in (*held[digest].children, *by_subject.get(digest, ())) if item in held]
    return found


def collect(content: Content, *, grace: float, dry_run: bool = False) -> list[Collected]:
    """Carries out each repository's retention, then removes blobs that no image needs and uploads that were abandoned.

    Returns what was removed, or would be with `dry_run`: an item for each repository where that is anything, and one for the
    registry as a whole. What was pushed, or asked for, within `grace` seconds stays: what needs it may be on its way. Each step
    holds the registry's lock, so that a push comes either before it, and is seen, or after it, and finds out what is missing. Raises
    PlatformError if another process keeps the lock, and OSError if the disk fails.
    """
    now = time.time()
    done = []
    for name in content.documents.repositories.names():
        with content.changing():
            done.append(_collect_repository(content, name, now, grace, dry_run))
    done.append(_collect_content(content, now, grace, dry_run))
    return [item for item in done if item.images or item.blobs or item.uploads or item.trouble]


def _collect_repository(content: Content, name: str, now: float, grace: float, dry_run: bool) -> Collected:
    try:
        settings = (content.documents.repositories.read(name) or RepositoryDocument(name)).settings
        held = dict(content.each_manifest(name))
    except (OSError, PlatformError) as error:  # what is kept, or what a manifest needs, is unknown: so nothing goes
        return Collected(name, trouble=f"nothing is removed: {error}")
    # `or ()`: whoever edits the file by hand may write null
    rules = Rules(settings.keep_last, settings.untagged_days, tuple(settings.keep_tags or ()))
    tags: dict[str, list[str]] = {}
    for tag, digest in content.tagged(name).items():
        tags.setdefault(digest, []).append(tag)
    images = []
    for digest, item in held.items():
        times = content.times_of(name, digest)
        in_use = now - max(times.pushed, times.asked) < grace
        images.append(Image(digest, times.pushed, tuple(tags.get(digest, ())), item.manifests, item.subject, in_use))
    gone = expired(images, rules, now)
    needed = {blob for digest, item in held.items() if digest not in gone for blob in item.refers_to}
    links = [path for digest, path in content.links(name) if digest not in needed and _old(path, now - grace)]
    if not dry_run:
        for digest in sorted(gone):
            content.remove_manifest_locked(name, digest)
        for path in links:
            path.unlink(missing_ok=True)
    return Collected(name, tuple(sorted(gone)), len(links))


def _collect_content(content: Content, now: float, grace: float, dry_run: bool) -> Collected:
    """Removes content that no repository has, abandoned uploads, and what a crash left half-written."""
    size = blobs = 0
    with content.changing():
        needed = {digest for name in content.repositories() for digest, _ in content.links(name)}
        for digest, path in content.blobs():
            if digest not in needed and _old(path, now - grace):
                blobs += 1
                size += path.stat().st_size
                if not dry_run:
                    path.unlink(missing_ok=True)
    idle = [path for path in content.uploads() if _old(path, now - IDLE_UPLOAD)]
    half = [path for path in (content.root / "temporary").glob("*") if _old(path, now - IDLE_UPLOAD)]
    for path in (*idle, *half):
        with suppress(OSError):
            size += path.stat().st_size
            if not dry_run:
                path.unlink()
    return Collected("", (), blobs, len(idle), size)


def _old(path: Path, oldest: float) -> bool:
    try:
        return os.stat(path).st_mtime <= oldest
    except OSError:
        return False
