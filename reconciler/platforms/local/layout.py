"""Names and files of a local registry's content, and what is in them. Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from . import manifest as manifests
from .manifest import Manifest, ManifestError


def fallback_tag(subject: str) -> str:
    """The tag under which a client without the referrers API keeps the list of a subject's referrers.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
    """
    algorithm, _, hexadecimal = subject.partition(":")
    return f"{algorithm}-{hexadecimal[:64]}"


def digests_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """The digests that name the files below a folder, each with its file, in any order."""
    for path in folder.glob("*/*"):
        yield f"{path.parent.name}:{path.name}", path


def below(digest: str) -> Path:
    """Where, below a folder, the file of a digest is."""
    algorithm, _, hexadecimal = digest.partition(":")
    return Path(algorithm) / hexadecimal


def in_order(text: str) -> tuple[str, str]:
    """The key of lexical order: case-insensitive, by the specification; upper case first among texts that are otherwise the same."""
    return text.lower(), text


def media_type_of(path: Path) -> str:
    """The media type of a stored manifest. Raises OSError."""
    return parsed(path).media_type


@lru_cache(maxsize=4096)
def parsed(path: Path) -> Manifest:
    """A stored manifest without its annotations, which can be large. Its file never changes: it is named by its digest."""
    try:
        return replace(manifests.parse(path.read_bytes()), annotations={})
    except ManifestError as error:  # what was accepted once parses; this one was damaged on the disk
        raise OSError(f"{path}: {error}") from None
