"""What the disk, the clock and half-made copies do to a local registry: nothing that is needed is taken for something that is not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import PlatformError
from reconciler.platforms.local import collect as collecting
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.folder import COARSEST, touch
from reconciler.platforms.local.images import Images
from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from reconciler.platforms.local.store import COLLECTING, Store
from reconciler.platforms.local.upload import Upload
from tests.images import Image, descriptor, digest
from tests.registries import Served, make_older, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    app = {"name": "app", "retention": {"keep_last": 2, "keep_tags": ["release-*"]}, "immutable_tags": True}
    with served(local, open_document(local, app, "other")) as found:
        yield found


def blobs(registry: Served) -> set[str]:
    return {item for item, _ in Content(Store(registry.sandbox.root)).blobs()}


def whole(registry: Served, image: Image, tag: str) -> bool:
    return registry.http.get(f"/v2/app/manifests/{tag}").content == image.manifest and all(
        registry.http.get(f"/v2/app/blobs/{item}").content == body for item, body in image.blobs.items()
    )


def index_of(*bodies: bytes) -> bytes:
    entries = [descriptor(body, OCI_MANIFEST) for body in bodies]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def referrer(subject: bytes, seed: int) -> tuple[Image, bytes]:
    image = Image(seed)
    return image, json.dumps({**image.document, "subject": descriptor(subject, OCI_MANIFEST)}).encode()


# -- what can't be read is not what isn't there -------------------------------------------------------------------


def test_while_a_folder_is_not_copied_yet_nothing_goes(registry: Served, tmp_path: Path) -> None:
    """`cp -a` in order of names: blobs and control come before links, manifests and tags, and nothing of any repository goes."""
    image = Image(1)
    registry.push("app", image, "v1")
    make_older(registry.sandbox.root, 5000)
    copy = tmp_path / "copy"
    for part in ("blobs", "control"):
        shutil.copytree(registry.sandbox.root / part, copy / part)
    content = Content(Store(copy))
    before = {item for item, _ in content.blobs()}
    for part in ("links", "manifests", "tags"):
        (found,) = collecting.collect(content, grace=3600)
        assert f"the folder {part}/ does not exist; is the registry still being copied here?" in found.trouble
        assert {item for item, _ in content.blobs()} == before
        shutil.copytree(registry.sandbox.root / part, copy / part)
    assert not [item for item in collecting.collect(content, grace=3600) if item.trouble or item.blobs]


def test_a_folder_that_can_t_be_listed_ends_the_collection(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.push("app", Image(1), "v1")
    make_older(registry.sandbox.root, 5000)
    before, real = blobs(registry), os.listdir

    def failing(path: Any = ".") -> list[str]:
        if str(path).endswith("/links"):
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return real(path)

    monkeypatch.setattr(os, "listdir", failing)
    found = registry.session.collect(grace=0)
    monkeypatch.undo()
    assert [item.trouble for item in found if "Too many open files" in item.trouble]
    assert blobs(registry) == before


def test_a_tag_that_can_t_be_read_is_still_a_tag(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [Image(number) for number in range(4)]
    for number, image in enumerate(images):
        registry.push("app", image, f"release-{number}")
    make_older(registry.sandbox.root, 5000)
    real = Path.read_text

    def failing(self: Path, *arguments: Any, **more: Any) -> str:
        if self.name == "release-0":
            raise OSError(errno.EIO, "Input/output error", str(self))
        return real(self, *arguments, **more)

    monkeypatch.setattr(Path, "read_text", failing)
    found = registry.session.collect(grace=0)
    other = registry.put("app", "release-0", images[1].manifest)
    monkeypatch.undo()
    assert [item.trouble for item in found if item.repository == "app"], "nothing is known of it"
    assert other.status_code == 503, "it is immutable, and what it stands for is not known"
    assert all(whole(registry, image, f"release-{number}") for number, image in enumerate(images))


def test_what_can_t_be_listed_or_opened_is_no_empty_list_and_no_404(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("app", Image(1), "v1")
    location = registry.http.post("/v2/app/blobs/uploads/").headers["Location"]
    with served(registry.sandbox, open_document(registry.sandbox, "app")) as again:

        def failing(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(os, "listdir", failing)
        monkeypatch.setattr(Upload, "_state", failing)
        assert again.http.get("/v2/app/tags/list").status_code == 507
        assert again.http.get(location).status_code == 507
        monkeypatch.undo()
        assert again.http.get(location).status_code == 204


# -- lists of referrers -------------------------------------------------------------------------------------------


def test_lists_that_a_longer_one_has_replaced_push_no_image_out(registry: Served) -> None:
    image = Image(1)
    registry.push("app", image, "v1")
    tag = digest(image.manifest).replace(":", "-")
    registry.sandbox.apply(open_document(registry.sandbox, {"name": "app", "retention": {"keep_last": 1}}, "other"))
    bodies = []
    for seed in range(2, 6):
        made, body = referrer(image.manifest, seed)
        for blob in made.blobs.values():
            registry.push_blob("app", blob)
        assert registry.put("app", digest(body), body).status_code == 201
        bodies.append(body)
        assert registry.put("app", tag, index_of(*bodies)).status_code == 201
    make_older(registry.sandbox.root, 5000)
    registry.session.collect(grace=3600)
    assert whole(registry, image, "v1")
    assert registry.http.get(f"/v2/app/manifests/{tag}").content == index_of(*bodies)


@pytest.mark.parametrize("otherwise", ["another tag", "another index"])
def test_a_list_that_is_something_else_too_keeps_what_it_lists(registry: Served, otherwise: str) -> None:
    image = Image(1)
    registry.push("other", image, "v1")
    made, body = referrer(image.manifest, 2)
    for blob in made.blobs.values():
        registry.push_blob("other", blob)
    registry.put("other", digest(body), body)
    listed = index_of(body)
    registry.put("other", digest(image.manifest).replace(":", "-"), listed)
    outer = listed if otherwise == "another tag" else index_of(listed)
    assert registry.put("other", "bundle", outer).status_code == 201
    refused = registry.http.delete(f"/v2/other/manifests/{digest(body)}")
    assert registry.code(refused) == (405, "UNSUPPORTED")
    assert registry.http.get("/v2/other/manifests/bundle").content == outer
    assert registry.http.get(f"/v2/other/manifests/{digest(body)}").content == body


def test_a_referrer_goes_after_the_list_that_names_it(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image(1)
    registry.push("other", image, "v1")
    bodies = []
    for seed in (2, 3):
        made, body = referrer(image.manifest, seed)
        for blob in made.blobs.values():
            registry.push_blob("other", blob)
        registry.put("other", digest(body), body)
        bodies.append(body)
    tag = digest(image.manifest).replace(":", "-")
    registry.put("other", tag, index_of(*bodies))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Images, "_put", full)
    assert registry.http.delete(f"/v2/other/manifests/{digest(bodies[0])}").status_code == 503
    monkeypatch.undo()
    for item in registry.http.get(f"/v2/other/manifests/{tag}").json()["manifests"]:
        assert registry.http.get(f"/v2/other/manifests/{item['digest']}").status_code == 200
    assert registry.http.delete(f"/v2/other/manifests/{digest(bodies[0])}").status_code == 202
    assert registry.http.get(f"/v2/other/manifests/{tag}").content != index_of(*bodies)


# -- times --------------------------------------------------------------------------------------------------------


def test_a_touched_file_has_another_time_also_where_times_are_coarse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "file", os.utime

    def coarse(where: Any, times: Any = None, *, ns: tuple[int, int] | None = None) -> None:
        now = time.time_ns() if ns is None else ns[1]
        real(where, ns=(now, now // COARSEST * COARSEST))

    monkeypatch.setattr(os, "utime", coarse)
    path.touch()
    coarse(path, ns=(0, time.time_ns()))
    seen = [path.stat().st_mtime_ns]
    for _ in range(5):
        touch(path)
        assert path.stat().st_mtime_ns != seen[-1]
        seen.append(path.stat().st_mtime_ns)


def test_a_collection_during_which_the_clock_goes_back_removes_nothing_more(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push_blob("app", b"a blob that no image needs")
    make_older(registry.sandbox.root, 5000)
    before, now = blobs(registry), time.time()
    steps = collecting.Collection(registry.session.content, grace=10).steps()
    monkeypatch.setattr("reconciler.platforms.local.collect.time.time", lambda: now - 7200)
    while True:
        try:
            next(steps)
        except StopIteration:
            break
    monkeypatch.undo()
    assert blobs(registry) == before


def test_what_a_client_has_seen_stays_for_all_of_the_grace(registry: Served) -> None:
    """That it was seen is noted once in a minute: the last note may be older than the client's question."""
    wanted = registry.push_blob("app", b"a blob")
    make_older(registry.sandbox.root, 50)
    assert registry.http.head(f"/v2/app/blobs/{wanted}").status_code == 200
    registry.session.collect(grace=40)
    assert registry.http.head(f"/v2/app/blobs/{wanted}").status_code == 200


# -- the disk -----------------------------------------------------------------------------------------------------


def test_an_upload_that_the_disk_may_have_lost_is_lost(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"a blob"
    location = registry.http.post("/v2/app/blobs/uploads/").headers["Location"]
    registry.http.patch(location, content=body)
    real, failures = os.fsync, [OSError(errno.EIO, "Input/output error")]

    def failing(handle: int) -> None:
        if failures and f"/uploads/app/{location.rpartition('/')[2]}" in os.readlink(f"/proc/self/fd/{handle}"):
            raise failures.pop()
        real(handle)

    monkeypatch.setattr(os, "fsync", failing)
    assert registry.http.put(location, params={"digest": digest(body)}).status_code == 507
    monkeypatch.undo()
    assert not failures
    assert registry.http.get(location).status_code == 404, "start anew"
    assert registry.http.head(f"/v2/app/blobs/{digest(body)}").status_code == 404


def test_what_is_damaged_on_the_disk_is_healed_by_pushing_it_again(registry: Served) -> None:
    image = Image(1)
    registry.push("app", image, "v1")
    root, wanted = registry.sandbox.root, digest(image.manifest)
    for path in (root / "manifests/app/sha256" / wanted[7:], *(root / "blobs/sha256").iterdir()):
        path.write_bytes(path.read_bytes()[:10])
    assert not whole(registry, image, "v1")
    registry.push("app", image, "v1")
    assert whole(registry, image, "v1")


def test_a_manifest_that_is_damaged_can_go_and_holds_only_the_others_up(registry: Served) -> None:
    first, second = Image(1), Image(2)
    registry.push("other", first, "v1")
    registry.push("other", second, "v2")
    (registry.sandbox.root / "manifests/other/sha256" / digest(first.manifest)[7:]).write_bytes(b"{")
    assert registry.http.delete(f"/v2/other/manifests/{digest(second.manifest)}").status_code == 507, (
        "what the damaged one needs is not known"
    )
    for image in (first, second):
        assert registry.http.delete(f"/v2/other/manifests/{digest(image.manifest)}").status_code == 202


def test_a_disk_that_is_full_can_be_collected(registry: Served) -> None:
    assert (registry.sandbox.root / COLLECTING).exists(), "made with the folder: a full disk takes no new file"


def test_a_finish_that_failed_can_be_sent_again_with_its_body(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = registry.http.post("/v2/app/blobs/uploads/").headers["Location"]
    registry.http.patch(location, content=b"first, ")

    def locked(*_: Any) -> None:
        raise PlatformError("another process has been writing", operation="lock")

    monkeypatch.setattr(Content, "finish_upload", locked)
    body = b"first, second"
    assert registry.http.put(location, params={"digest": digest(body)}, content=b"second").status_code == 503
    monkeypatch.undo()
    assert registry.http.put(location, params={"digest": digest(body)}, content=b"second").status_code == 201
    assert registry.http.get(f"/v2/app/blobs/{digest(body)}").content == body


def test_what_is_wrong_with_the_folder_is_for_the_log_alone(registry: Served, caplog: pytest.LogCaptureFixture) -> None:
    (registry.sandbox.root / "control/repositories/other.json").write_text("{")
    answer = registry.http.get("/v2/other/tags/list")
    assert answer.status_code == 503
    assert str(registry.sandbox.root) not in answer.text
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "other.json can't be read" in said
    assert "\n" not in said
