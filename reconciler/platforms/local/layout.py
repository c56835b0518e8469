"""Names and files of a local registry's content, and what is in them. Reads; writes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from . import manifest as manifests
from .manifest import Manifest, ManifestError

#: a tag that says what its manifest refers to: that of a list of a subject's referrers, and cosign's
_REFERRER = re.compile(r"(sha256|sha512)-([0-9a-f]{64})(\.(?:sig|att|sbom))?")


def fallback_tag(subject: str) -> str:
    """The tag under which a client without the referrers API keeps the list of a subject's referrers.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
    """
    algorithm, _, hexadecimal = subject.partition(":")
    return f"{algorithm}-{hexadecimal[:64]}"


def refers_by(tag: str, subject: str) -> bool:
    """Whether a tag says that its manifest refers to that subject, and nothing else."""
    match = _REFERRER.fullmatch(tag)
    return match is not None and fallback_tag(subject) == f"{match[1]}-{match[2]}"


def subject_of(tags: Collection[str]) -> str | None:
    """The digest that cosign's signature, attestation or SBOM refers to by its tags
    (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery). None if it has any other tag: it is an
    image then."""
    found = {_REFERRER.fullmatch(tag) for tag in tags}
    subjects = {f"{match[1]}:{match[2]}" if match and match[3] else None for match in found}
    return subjects.pop() if len(subjects) == 1 else None


def tagged_subject(tags: Collection[str], held: Collection[str]) -> str | None:
    """The one among the digests that are held whose list of referrers has these tags, and no other."""
    found = {_REFERRER.fullmatch(tag) for tag in tags}
    named = {f"{match[1]}:{match[2]}" if match and not match[3] else None for match in found}
    subject = named.pop() if len(named) == 1 else None
    if subject is None or subject.startswith("sha256"):
        return subject if subject in held else None
    return next((digest for digest in held if digest.startswith(subject)), None)  # the tag has but half of a sha512


def listed_subject(tags: Collection[str], entries: Collection[str | None]) -> str | None:
    """The subject of an index, if that is nothing but a list of its referrers. `entries`: the subjects of what it lists, None for
    what is an image. No tag: a list that another has taken the place of. "" if it lists nothing, and does not say of whom.

    An image with several platforms can have any tag, also one that looks like a list's: what it lists says what it is.
    """
    subjects = set(entries)
    if len(subjects) > 1 or None in subjects:
        return None
    subject = subjects.pop() if subjects else ""
    if subject:
        return subject if all(refers_by(tag, subject) for tag in tags) else None
    named = {match and f"{match[1]}:{match[2]}" for match in map(_REFERRER.fullmatch, tags) if not (match and match[3])}
    return None if len(named) > 1 or None in named else (named.pop() if named else "")


def digests_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """The digests that name the files below a folder, each with its file, in any order.

    One by one as the disk lists them. What is added meanwhile may be left out, and what is removed may still come.
    """
    for algorithm in ("sha256", "sha512"):
        with suppress(FileNotFoundError), os.scandir(folder / algorithm) as found:
            for item in found:
                yield f"{algorithm}:{item.name}", Path(item.path)


def below(digest: str) -> str:
    """Where, below a folder, the file of a digest is."""
    algorithm, _, hexadecimal = digest.partition(":")
    return f"{algorithm}/{hexadecimal}"


def in_order(text: str) -> tuple[str, str]:
    """The key of lexical order: case-insensitive, by the specification; upper case first among texts that are otherwise the same."""
    return text.lower(), text


@lru_cache(maxsize=4096)
def media_type_of(path: Path) -> str:
    """The media type of a stored manifest. Raises OSError. Remembered: its file never changes, it is named by its digest."""
    return parsed(path).media_type


class Damaged(OSError):
    """A stored manifest can't be read: what was accepted once parses, so that the disk has it no longer as it was."""


def parsed(path: Path) -> Manifest:
    """A stored manifest without its annotations, which can be large. Raises OSError, also for one that is damaged."""
    try:
        return replace(manifests.parse(path.read_bytes()), annotations={})
    except ManifestError as error:
        raise Damaged(f"{path}: {error}") from None
