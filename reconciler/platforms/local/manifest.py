"""What a manifest says: its media type, what it refers to, its subject. Pure.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md and image-index.md;
https://distribution.github.io/distribution/spec/manifest-v2-2/ for Docker's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = frozenset([OCI_MANIFEST, DOCKER_MANIFEST])
INDEXES = frozenset([OCI_INDEX, DOCKER_LIST])
#: layers of these types are fetched from elsewhere, so that the registry need not hold them
_ELSEWHERE = re.compile(
    r"application/vnd\.oci\.image\.layer\.nondistributable\.v1\.tar(\+.*)?"
    r"|application/vnd\.docker\.image\.rootfs\.foreign\.diff\.tar(\.gzip)?"
)
#: the fields of a manifest, by themselves and as readers find them that take upper case for lower case:
#: https://github.com/opencontainers/distribution-spec/security/advisories/GHSA-mc8v-mgrf-8f4m, https://pkg.go.dev/encoding/json
_FIELDS = frozenset(
    ["schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"]
)
_LOWER = {name.lower(): name for name in _FIELDS}
#: lists and objects of a manifest that is pushed: more than fit into 8 MiB, if they say anything
PARTS_MOST = 100_000
#: blobs and manifests that a manifest may refer to; ECR takes 4,200 layers and Docker 127:
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
REFERENCES_MOST = 10_000
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")


class ManifestError(ValueError):
    """The manifest is not valid; the message says why."""


def is_digest(text: str) -> bool:
    """Whether the text is a digest that this registry can check: sha256 or sha512, in lower-case hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest.

    `blobs`: the digests of the blobs that it needs in its own repository. `manifests`: those of an index's entries, which it needs
    there too, be they manifests or (a build cache's) blobs. `elsewhere`: those of layers that may be fetched from elsewhere: they
    need not be here, and stay if they are.
    """

    media_type: str
    blobs: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    subject: str | None = None
    artifact_type: str = ""
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def refers_to(self) -> frozenset[str]:
        """All that must not be removed while the manifest is there."""
        return frozenset((*self.blobs, *self.manifests, *self.elsewhere))

    def descriptor(self, digest: str, size: int) -> dict[str, Any]:
        """Its descriptor, as the referrers of its subject list it. `size`: bytes."""
        shown: dict[str, Any] = {"mediaType": self.media_type, "digest": digest, "size": size}
        if self.artifact_type:
            shown["artifactType"] = self.artifact_type
        if self.annotations:
            shown["annotations"] = self.annotations
        return shown


def pushed(body: bytes, content_type: str) -> Manifest:
    """A manifest that is pushed: as `parse`, but one that means the same to every reader. Raises ManifestError."""
    # while they are parsed, the interpreter does nothing else
    if body.count(b"[") + body.count(b"{") + body.count(b",") > PARTS_MOST:
        raise ManifestError(f"it has more than {PARTS_MOST:,} lists, objects and values")
    document = _object(body, _each_once)
    found = _parsed(document, content_type)
    if len(found.refers_to) > REFERENCES_MOST:  # while each is looked for, nobody else can push
        raise ManifestError(f"it refers to more than {REFERENCES_MOST:,} blobs and manifests")
    for name in document.keys() - _FIELDS:
        if name.lower() in _LOWER:
            raise ManifestError(f"{name!r} is not {_LOWER[name.lower()]!r}: some readers ignore case")
    for name in ("manifests",) if found.media_type in MANIFESTS else ("config", "layers"):
        if document.get(name):
            raise ManifestError(f"it is a {found.media_type} and has {name}: it can't be both a manifest and an index")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Readers differ in which of two fields of one name they believe."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ManifestError("an object has a duplicate field")
    return found


def parse(body: bytes, content_type: str = "") -> Manifest:
    """The manifest. `content_type`: as pushed, parameters are ignored. Raises ManifestError."""
    return _parsed(_object(body), content_type)


def _parsed(document: dict[str, Any], content_type: str) -> Manifest:
    media_type = _media_type(document, content_type.partition(";")[0].strip().lower())
    if document.get("schemaVersion") == 1:
        raise ManifestError("manifests of schema 1 are not supported: push an OCI or a Docker schema 2 manifest")
    if document.get("schemaVersion") != 2:
        raise ManifestError("schemaVersion must be 2")
    subject = document.get("subject")
    blobs: list[str] = []
    elsewhere: list[str] = []
    children: list[str] = []
    artifact_type = _text(document, "artifactType")
    if media_type in MANIFESTS:
        config = _descriptor(document.get("config"), "config")
        blobs = [config["digest"]]
        artifact_type = artifact_type or _text(config, "mediaType")
        for index, layer in enumerate(_list(document, "layers")):
            item = _descriptor(layer, f"layers[{index}]")
            fetched = item.get("urls") or _ELSEWHERE.fullmatch(_text(item, "mediaType"))
            (elsewhere if fetched else blobs).append(item["digest"])
    else:
        children = [
            _descriptor(item, f"manifests[{index}]")["digest"]
            for index, item in enumerate(_list(document, "manifests"))
        ]
    return Manifest(
        media_type,
        tuple(dict.fromkeys(blobs)),
        tuple(dict.fromkeys(children)),
        tuple(dict.fromkeys(elsewhere)),
        _descriptor(subject, "subject")["digest"] if subject is not None else None,
        artifact_type,
        _annotations(document),
    )


def _object(body: bytes, hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> dict[str, Any]:
    """`hook`: what makes an object of its members."""
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=hook)
    except ManifestError:
        raise
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ManifestError(f"the manifest is not JSON: {reason}") from None
    if not isinstance(document, dict):
        raise ManifestError("the manifest is not a JSON object")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _media_type(document: dict[str, Any], pushed_as: str) -> str:
    said = _text(document, "mediaType")
    if not said:
        # OCI 1.0 manifests need not say their type: it is that of the push, or follows from their form
        form = OCI_INDEX if "manifests" in document and "layers" not in document else OCI_MANIFEST
        said = pushed_as if pushed_as in MANIFESTS | INDEXES else form
        if pushed_as in INDEXES and form != OCI_INDEX:
            raise ManifestError(f"pushed as {pushed_as}, but it has no manifests")
        if pushed_as in MANIFESTS and form == OCI_INDEX:
            raise ManifestError(f"pushed as {pushed_as}, but it is an index")
        if said not in (OCI_MANIFEST, OCI_INDEX):
            raise ManifestError(f"a manifest of type {said} must say its mediaType")
        return said
    if pushed_as and pushed_as != "application/octet-stream" and pushed_as != said.lower():
        raise ManifestError(f"pushed as {pushed_as}, but its mediaType is {said}")
    if said not in MANIFESTS | INDEXES:
        raise ManifestError(f"manifests of type {said} are not supported; push an OCI or a Docker schema 2 manifest")
    return said


def _descriptor(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError(f"{where} must be a descriptor")
    digest = value.get("digest")
    if not isinstance(digest, str) or not is_digest(digest):
        raise ManifestError(f"{where}.digest must be a sha256 or sha512 digest")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestError(f"{where}.size must be a number of bytes")
    if not _text(value, "mediaType"):
        raise ManifestError(f"{where}.mediaType is missing")
    return value


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestError(f"{key} must be a list")
    return value


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ManifestError(f"{key} must be text")
    return value


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    value = document.get("annotations") or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ManifestError("annotations must map names to text")
    return value
