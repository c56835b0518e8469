"""What a local registry keeps since an image refers to it, and that nobody else on the machine reads it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.platforms.local.collect import collect
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from reconciler.platforms.local.store import Store
from tests.images import CONFIG, LAYER, Image, descriptor, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with served(local, open_document(local, "app", "other")) as found:
        yield found


def gc(registry: Served) -> None:
    collect(Content(Store(registry.sandbox.root)), grace=0)


def index_of(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}).encode()


def test_the_child_of_an_index_is_not_deleted_while_the_index_is_there(registry: Served) -> None:
    child = registry.push("app", Image(1), "v1-amd64")
    index = index_of(descriptor(Image(1).manifest, OCI_MANIFEST))
    assert registry.put("app", "v1", index).status_code == 201
    refused = registry.http.delete(f"/v2/app/manifests/{child}")
    assert registry.code(refused) == (405, "UNSUPPORTED")
    assert f"{child} is part of {digest(index)} (v1); delete that manifest first" in refused.text
    assert registry.http.get(f"/v2/app/manifests/{child}").status_code == 200
    assert registry.http.get("/v2/app/tags/list").json()["tags"] == ["v1", "v1-amd64"]
    assert registry.http.delete(f"/v2/app/manifests/{digest(index)}").status_code == 202
    assert registry.http.delete(f"/v2/app/manifests/{child}").status_code == 202


def test_an_index_may_list_the_blobs_of_a_build_cache_and_keeps_them(registry: Served) -> None:
    """https://github.com/moby/buildkit: `--cache-to type=registry` of versions that don't write image manifests."""
    config, layer = b'{"layers":[]}', b"a cached layer"
    entries = [descriptor(layer, LAYER), descriptor(config, "application/vnd.buildkit.cacheconfig.v0")]
    refused = registry.put("app", "cache", index_of(*entries))
    assert registry.code(refused) == (400, "MANIFEST_BLOB_UNKNOWN")
    for body in (config, layer):
        registry.push_blob("app", body)
    assert registry.put("app", "cache", index_of(*entries)).status_code == 201
    gc(registry)
    for body in (config, layer):
        assert registry.http.get(f"/v2/app/blobs/{digest(body)}").content == body
        assert registry.code(registry.http.delete(f"/v2/app/blobs/{digest(body)}")) == (405, "UNSUPPORTED")
    assert registry.http.delete("/v2/app/manifests/cache").status_code == 202


@pytest.mark.parametrize("more", [{"urls": ["https://example.org/layer"]}, {"mediaType": FOREIGN}])
def test_a_layer_that_may_come_from_elsewhere_is_not_asked_for_and_kept_if_it_is_here(
    registry: Served, more: dict[str, Any]
) -> None:
    config, layer = b"{}", b"a layer that its maker gives out alone"
    registry.push_blob("app", config)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, CONFIG),
            "layers": [{**descriptor(layer, LAYER), **more}],
        }
    ).encode()
    assert registry.put("app", "v1", manifest).status_code == 201
    registry.push_blob("app", layer)
    gc(registry)
    assert registry.http.get(f"/v2/app/blobs/{digest(layer)}").content == layer
    assert registry.code(registry.http.delete(f"/v2/app/blobs/{digest(layer)}")) == (405, "UNSUPPORTED")
    assert registry.http.delete(f"/v2/app/manifests/{digest(manifest)}").status_code == 202
    gc(registry)
    assert registry.http.get(f"/v2/app/blobs/{digest(layer)}").status_code == 404


def test_nobody_else_on_the_machine_reads_what_is_in_a_registry(local: LocalSandbox) -> None:
    before = os.umask(0)
    try:
        with served(local, open_document(local, "app")) as registry:
            registry.push("app", Image(2), "v1")
            registry.http.post("/v2/app/blobs/uploads/")
            root = registry.sandbox.root
            modes = {path.relative_to(root): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    wide = {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert wide == {}
    assert {Path(part) for part in ("blobs", "links", "manifests", "tags", "uploads")} <= modes.keys()


def test_what_an_earlier_build_made_for_all_to_read_is_private_with_the_next_write(local: LocalSandbox) -> None:
    document = open_document(local, "app")
    with served(local, document) as registry:
        registry.push("app", Image(3), "v1")
        root = registry.sandbox.root
    for part in root.iterdir():
        if part.is_dir():
            part.chmod(0o755)
    local.apply({**document, "repositories": [*document["repositories"], {"name": "more", "registry": "images"}]})
    assert {stat.S_IMODE(part.stat().st_mode) for part in root.iterdir() if part.is_dir()} == {0o700}
