"""Images that tests and the bench push: made here, byte by byte, so that nothing is fetched."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(body: bytes, algorithm: str = "sha256") -> str:
    """The body's digest."""
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def descriptor(body: bytes, media_type: str, algorithm: str = "sha256", **more: Any) -> dict[str, Any]:
    """A descriptor of the body."""
    return {"mediaType": media_type, "digest": digest(body, algorithm), "size": len(body), **more}


def layer(seed: int, size: int) -> tuple[bytes, str]:
    """A gzipped tar of one file of random bytes, and the digest of the tar itself."""
    content = random.Random(seed).randbytes(size)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        member = tarfile.TarInfo(f"file-{seed}")
        member.size = size
        archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), 1, mtime=0), digest(plain.getvalue())


class Image:
    """An image: its blobs by digest, and its manifest."""

    def __init__(self, seed: int, layers: int = 2, size: int = 1000, algorithm: str = "sha256") -> None:
        made = [layer(seed * 1000 + number, size) for number in range(layers)]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [plain for _, plain in made]},
            }
        ).encode()
        self.config = descriptor(config, CONFIG, algorithm)
        self.blobs = {digest(body, algorithm): body for body in (config, *(body for body, _ in made))}
        self.document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.config,
            "layers": [descriptor(body, LAYER, algorithm) for body, _ in made],
        }

    @property
    def manifest(self) -> bytes:
        """The manifest's bytes."""
        return json.dumps(self.document).encode()

    def write(self, folder: Path, tag: str = "latest") -> str:
        """Writes an OCI image layout; returns what skopeo calls it. image-spec v1.1.0, image-layout.md"""
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for name, body in {**self.blobs, digest(self.manifest): self.manifest}.items():
            (blobs / name.partition(":")[2]).write_bytes(body)
        entry = descriptor(self.manifest, OCI_MANIFEST, annotations={"org.opencontainers.image.ref.name": tag})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        (folder / "index.json").write_text(json.dumps(index))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return f"oci:{folder}:{tag}"
