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

#: a tag that says what its manifest refers to
_REFERRER = re.compile(r"sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")


def fallback_tag(subject: str) -> str:
    """The tag under which a client without the referrers API keeps the list of a subject's referrers.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
    """
    algorithm, _, hexadecimal = subject.partition(":")
    return f"{algorithm}-{hexadecimal[:64]}"


def subject_of(tags: Collection[str]) -> str | None:
    """The digest that a manifest without a subject refers to by its tags: the list of a subject's referrers under `sha256-HEX`, or
    cosign's signature, attestation or SBOM (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery).
    None if it has any other tag: then it is an image."""
    found = {_REFERRER.fullmatch(tag) for tag in tags}
    subjects = {f"sha256:{match[1]}" if match else None for match in found}
    return subjects.pop() if len(subjects) == 1 else None


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
