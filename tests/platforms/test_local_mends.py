"""Half-done requests, half-done removals, and what only looks like a list of referrers or like an image."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock

from reconciler.platforms.local import collect as collecting
from reconciler.platforms.local import folder as folders
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.layout import listed_subject, subject_of
from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from reconciler.platforms.local.server import running
from reconciler.platforms.local.store import Store
from reconciler.platforms.local.upload import Upload
from tests.images import Image, descriptor, digest
from tests.registries import Served, make_older, open_document, served
from tests.registry_model import DAY
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # most have a server of their own


def started(local: LocalSandbox, **retention: Any) -> Any:
    row = {
        "name": "app",
        "immutable_tags": {"except": ["v*", "sha*"]},
        **({"retention": retention} if retention else {}),
    }
    return served(local, open_document(local, row, "other"), collect_every=0)


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with started(local, keep_last=1) as found:
        yield found


def index_of(*bodies: bytes) -> bytes:
    entries = [descriptor(body, OCI_MANIFEST) for body in bodies]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def signature_of(subject: bytes, number: int, algorithm: str = "sha256") -> bytes:
    """A manifest without layers whose subject is another; the repository needs the blob `{}`."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": f"application/x.signature{number}",
        "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [],
        "subject": descriptor(subject, OCI_MANIFEST, algorithm),
    }
    return json.dumps(document).encode()


def put(registry: Served, reference: str, body: bytes, **more: Any) -> str:
    assert registry.put("app", reference, body, **more).status_code == 201, reference
    return digest(body)


def status(registry: Served, reference: str) -> int:
    return registry.http.get(f"/v2/app/manifests/{reference}").status_code


def tags(registry: Served) -> list[str]:
    return list(registry.http.get("/v2/app/tags/list").json()["tags"])


def list_of(subject: bytes) -> str:
    return digest(subject).replace(":", "-")


def aged(registry: Served, seconds: float = 8.0 * DAY) -> list[str]:
    make_older(registry.sandbox.root, seconds)
    return [item.said() for item in registry.session.collect(grace=3600)]


# -- requests that are cut off by the server's end ---------------------------------------------------------------


def test_an_upload_whose_end_is_cancelled_becomes_its_blob_whole_or_not_at_all(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that ends it waits for the lock, and the server ends meanwhile: what it has hashed is not cut."""
    monkeypatch.setattr(running, "LAST_REQUESTS", 0.2)
    monkeypatch.setattr(running, "LAST_WORDS", 0.1)
    body = b"x" * 300_000
    waiting = threading.Event()
    adding = Content.adding

    def waits(self: Content, name: str) -> Any:
        waiting.set()
        return adding(self, name)

    monkeypatch.setattr(Content, "adding", waits)
    lock = FileLock(local.root / ".lock", thread_local=False)
    with started(local) as registry:
        location = registry.http.post("/v2/app/blobs/uploads/").headers["location"]
        lock.acquire()

        def push() -> None:
            with suppress(httpx.HTTPError):  # the server ends without an answer
                httpx.put(f"{registry.server.url}{location}", params={"digest": digest(body)}, content=body, timeout=60)

        pushing = threading.Thread(target=push)
        pushing.start()
        assert waiting.wait(30)
        free = threading.Timer(2.0, lambda: lock.release(force=True))
        free.start()
    pushing.join()
    free.join()
    path = Content(Store(local.root)).blob_path(digest(body))
    assert not path.exists() or path.read_bytes() == body


# -- lists of referrers, and what looks like one -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "entries", "subject"),
    [
        ([], [], ""),
        ([], ["sha256:a"], "sha256:a"),
        ([], ["sha256:a", None], None),
        ([], ["sha256:a", "sha256:b"], None),
        ([f"sha256-{'a' * 64}"], [f"sha256:{'a' * 64}"], f"sha256:{'a' * 64}"),
        ([f"sha512-{'a' * 64}"], [f"sha512:{'a' * 128}"], f"sha512:{'a' * 128}"),
        ([f"sha256-{'a' * 64}"], [], f"sha256:{'a' * 64}"),
        ([f"sha256-{'a' * 64}"], [None, None], None),
        ([f"sha256-{'a' * 64}", "v1"], [f"sha256:{'a' * 64}"], None),
        (["v1"], [], None),
    ],
)
def test_an_index_is_a_list_of_referrers_by_what_it_lists(
    given: list[str], entries: list[str | None], subject: str | None
) -> None:
    assert listed_subject(given, entries) == subject


def test_only_cosign_s_tags_say_by_themselves_what_a_manifest_refers_to() -> None:
    wanted = f"sha256-{'a' * 64}"
    assert subject_of([f"{wanted}.sig", f"{wanted}.att"]) == f"sha256:{'a' * 64}"
    assert subject_of([wanted]) is None
    assert subject_of([f"{wanted}.sig", "v1"]) is None


def test_an_image_with_a_tag_like_a_digest_is_an_image(local: LocalSandbox) -> None:
    """A tag made of the hash of its sources, or of its own digest, keeps it and counts it."""
    with started(local, untagged_days=1) as registry:
        registry.push("app", Image(1), f"sha256-{'ab' * 32}")
        many = index_of(Image(1).manifest)
        put(registry, f"sha256-{'cd' * 32}", many)
        aged(registry)
        assert tags(registry) == [f"sha256-{'ab' * 32}", f"sha256-{'cd' * 32}"]


def test_images_with_their_own_digests_as_tags_are_counted(registry: Served) -> None:
    for number in range(5):
        registry.push("app", Image(number), list_of(Image(number).manifest))
        make_older(registry.sandbox.root, 10)
    aged(registry)
    assert tags(registry) == [list_of(Image(4).manifest)]


def test_lists_of_referrers_push_no_image_out(registry: Served) -> None:
    """Of a subject that is named by its SHA-512; and an empty one, which another has replaced."""
    image = Image(1)
    for body in (*image.blobs.values(), b"{}"):
        registry.push_blob("app", body)
    wanted = digest(image.manifest, "sha512")
    assert registry.put("app", wanted, image.manifest, tag="v1").status_code == 201
    signature = signature_of(image.manifest, 1, "sha512")
    put(registry, digest(signature), signature)
    name = f"sha512-{wanted[7:71]}"
    put(registry, name, index_of())
    put(registry, name, index_of(signature))
    aged(registry)
    assert status(registry, "v1") == 200
    assert status(registry, digest(signature)) == 200
    assert tags(registry) == [name, "v1"]


def test_a_signature_with_a_subject_and_cosign_s_tag_goes_with_its_image(registry: Served) -> None:
    registry.push_blob("app", b"{}")
    registry.push("app", Image(1), "v1")
    signature = signature_of(Image(1).manifest, 1)
    put(registry, f"{list_of(Image(1).manifest)}.sig", signature)
    make_older(registry.sandbox.root, 10)
    registry.push("app", Image(2), "v2")
    aged(registry)
    assert tags(registry) == ["v2"]
    assert status(registry, digest(signature)) == 404


def test_signatures_whose_image_went_before_a_collection_was_cut_off_go_later(registry: Served) -> None:
    content: Content = registry.session.content
    registry.push_blob("app", b"{}")
    for number in range(4):
        registry.push("app", Image(number), f"v{number}")
        signature = signature_of(Image(number).manifest, number)
        put(registry, digest(signature), signature)
        make_older(registry.sandbox.root, 10)
    make_older(registry.sandbox.root, 8 * DAY)
    steps = collecting.Collection(content, grace=3600).steps()
    while content.count_manifests("app") == 8:
        next(steps)
    steps.close()  # the server is told to end
    assert content.count_manifests("app") == 5, "three images are gone"
    aged(registry, 10)
    assert content.count_manifests("app") == 2, "the newest image and its signature"


# -- tags and documents that can't be read -----------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"sha256:abc", b"\xff\xfe"])
def test_a_damaged_tag_is_no_proof_that_its_image_has_none(local: LocalSandbox, damage: bytes) -> None:
    with started(local, untagged_days=1) as registry:
        registry.push("app", Image(1), "fixed")
        registry.push("app", Image(2), "v2")
        path = local.root / "tags/app/fixed"
        path.write_bytes(damage)
        (said,) = [item for item in aged(registry) if item.startswith("app")]
        assert said == "app: nothing was removed: the tag fixed is damaged: push its image again, or delete the tag"
        assert status(registry, digest(Image(1).manifest)) == 200
        assert status(registry, "fixed") == 404
        put(registry, "fixed", Image(1).manifest)  # although it is immutable
        assert status(registry, "fixed") == 200
        assert not [item for item in aged(registry) if "nothing was removed" in item]


def test_a_rule_that_is_no_number_is_trouble_of_its_repository_alone(registry: Served) -> None:
    path = registry.sandbox.root / "control/repositories/app.json"
    document = json.loads(path.read_text())
    document["settings"]["keep_last"] = "1"
    path.write_text(json.dumps(document))
    registry.push("other", Image(1), "v1")
    registry.push_blob("other", b"nobody needs it")
    said = aged(registry)
    assert [item for item in said if item.startswith("app: nothing was removed")]
    assert [item for item in said if item.startswith("other: 0 images and 1 blob removed")]


def test_a_fault_in_a_collection_does_not_end_those_to_come(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    again = threading.Event()
    calls: list[int] = []

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            again.set()
            return []
        raise ValueError("a fault")

    monkeypatch.setattr("reconciler.platforms.local.session.collect", failing)
    with served(local, open_document(local, "app"), collect_every=0.05):
        assert again.wait(30)
    assert "please report it" in caplog.text


# -- disks that fail ---------------------------------------------------------------------------------------------


class Full:
    """A file whose write ends short, and that can't be cut either."""

    def __init__(self, file: Any) -> None:
        self.file, self.writes = file, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, block: Any) -> int:
        self.writes += 1
        if self.writes == 1:
            return int(self.file.write(block[:10]))
        raise OSError(errno.ENOSPC, "No space left on device")

    def truncate(self, size: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_upload_that_can_be_neither_written_nor_cut_is_lost(tmp_path: Path) -> None:
    upload = Upload("app", tmp_path / "upload")
    upload.append(b"A" * 100)
    real: Any = upload._file
    upload._file = Full(real)  # type: ignore[assignment]  # a file whose disk is full
    with pytest.raises(OSError, match="No space left"):
        upload.append(b"B" * 100)
    upload._file = real
    assert upload.lost
    upload.close()


def test_an_upload_becomes_no_blob_if_its_file_has_another_length(registry: Served) -> None:
    content: Content = registry.session.content
    upload = content.start_upload("app")
    upload.append(b"A" * 100)
    with upload.path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(Exception, match="104 bytes are stored, but 100 arrived"):
        content.finish_upload(upload, digest(b"A" * 100))
    assert not content.has_blob("app", digest(b"A" * 100))
    content.drop_upload(upload)


def test_what_can_t_be_removed_in_one_repository_stops_no_other_and_stays_whole(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {"retention": {"keep_last": 1}}
    with served(local, open_document(local, {"name": "app", **rules}, {"name": "other", **rules})) as registry:
        for name in ("app", "other"):
            for number in range(2):
                registry.push(name, Image(number), f"v{number}")
                make_older(local.root, 10)
        real = Path.rename

        def refused(self: Path, target: Any) -> Any:
            if "manifests/app/" in str(self):
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return real(self, target)

        monkeypatch.setattr(Path, "rename", refused)
        said = aged(registry)
        assert [item for item in said if item.startswith("app: nothing more was removed:")]
        assert [item for item in said if item.startswith("other: 1 image")]
        assert tags(registry) == ["v0", "v1"], "the tag that went before its manifest is there again"
        assert status(registry, "v0") == 200
        assert not list((local.root / "temporary").glob("*"))


def test_a_delete_that_fails_leaves_the_tag(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of referrers, which is to become shorter, can't be written."""
    registry.push_blob("app", b"{}")
    registry.push("app", Image(1), "v1")
    first, second = signature_of(Image(1).manifest, 1), signature_of(Image(1).manifest, 2)
    put(registry, "v-sbom-1", first)
    put(registry, "v-sbom-2", second)
    put(registry, list_of(Image(1).manifest), index_of(first, second))

    def full(path: Path, body: bytes, root: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(folders, "put_file", full)
        assert registry.http.delete(f"/v2/app/manifests/{digest(first)}").status_code == 503
    assert "v-sbom-1" in tags(registry)
    assert status(registry, "v-sbom-1") == 200
    assert registry.http.delete(f"/v2/app/manifests/{digest(first)}").status_code == 202


# -- removals that are cut off -----------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing after it is done: what a process that is killed leaves."""


def killed_at(number: int, monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> bool:
    """Whether the call came to that rename or unlink, and no further."""
    left = number

    def counted(real: Any) -> Any:
        def step(self: Path, *args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left <= 0:
                raise Killed
            left -= 1
            return real(self, *args, **kwargs)

        return step

    with monkeypatch.context() as killing:
        killing.setattr(Path, "rename", counted(Path.rename))
        killing.setattr(Path, "unlink", counted(Path.unlink))
        replaced = os.replace
        killing.setattr(os, "replace", lambda source, target: counted(lambda _, *a: replaced(source, target))(Path()))
        try:
            call()
        except Killed:
            return True
    return False


def test_a_delete_of_a_signature_can_be_repeated_wherever_it_was_cut_off(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a push of one that is half removed lists it again."""
    number, killed = 0, True
    while killed:
        local.reset()
        with started(local) as registry:
            content: Content = registry.session.content
            registry.push_blob("app", b"{}")
            registry.push("app", Image(1), "v1")
            first, second = signature_of(Image(1).manifest, 1), signature_of(Image(1).manifest, 2)
            for body in (first, second):
                put(registry, digest(body), body)
            put(registry, list_of(Image(1).manifest), index_of(first))  # an earlier list, as older clients leave it
            put(registry, list_of(Image(1).manifest), index_of(first, second))
            killed = killed_at(number, monkeypatch, partial(content.remove_manifest, "app", digest(first)))
            listed = f"/v2/app/referrers/{digest(Image(1).manifest)}"
            if status(registry, digest(first)) == 200:
                put(registry, digest(first), first)
                assert digest(first) in registry.http.get(listed).text, number
                assert registry.http.delete(f"/v2/app/manifests/{digest(first)}").status_code == 202, number
            rows = registry.http.get(listed).json()["manifests"]
            assert [row["digest"] for row in rows] == [digest(second)], number
            assert registry.http.delete(f"/v2/app/manifests/{digest(second)}").status_code == 202, number
        number += 1
    assert number > 5, "it was cut off at many places"


def test_folders_of_subjects_go_with_the_last_that_refers_to_them(registry: Served) -> None:
    registry.push_blob("app", b"{}")
    for number in range(5):
        registry.push("app", Image(number), f"v{number}")
        signature = signature_of(Image(number).manifest, number)
        put(registry, digest(signature), signature)
        make_older(registry.sandbox.root, 10)
    aged(registry)
    assert len(list((registry.sandbox.root / "referrers/app/sha256").iterdir())) == 1


# -- answers that got lost ---------------------------------------------------------------------------------------


def test_a_finish_of_an_upload_that_is_unknown_gives_its_blob_grace(registry: Served) -> None:
    wanted = registry.push_blob("app", b"pushed long ago")
    make_older(registry.sandbox.root, 7200)
    answer = registry.http.put("/v2/app/blobs/uploads/" + "0" * 32, params={"digest": wanted}, content=b"")
    assert answer.status_code == 201
    registry.session.collect(grace=3600)
    assert registry.http.head(f"/v2/app/blobs/{wanted}").status_code == 200


def test_a_finish_that_is_sent_again_to_another_server_is_answered_as_before(local: LocalSandbox) -> None:
    body = b"of two servers"
    with started(local) as first, started(local) as second:
        location = first.http.post("/v2/app/blobs/uploads/").headers["location"]
        assert second.http.patch(location, content=body).status_code == 202
        for registry in (first, second, second):
            answer = registry.http.put(location, params={"digest": digest(body)})
            assert answer.status_code == 201, registry.server.url


def test_who_waits_for_the_registry_waits_as_long_as_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    class Kept(FileLock):
        def __init__(self, path: Any, timeout: float = -1, **more: Any) -> None:
            asked.append(timeout)
            super().__init__(path, timeout, **more)

    monkeypatch.setattr("reconciler.platforms.local.store.FileLock", Kept)
    with Store(tmp_path / "store").writing(3.0):
        pass
    assert asked == [3.0]


def test_nothing_of_a_registry_goes_while_a_folder_of_it_is_missing(local: LocalSandbox) -> None:
    with started(local, untagged_days=1) as registry:
        registry.push("app", Image(1), "v1")
        make_older(local.root, 8 * DAY)
        (local.root / "tags").rename(local.root / "later")
        content = Content(Store(local.root))
        (found,) = collecting.collect(content, grace=3600)
        assert (
            found.trouble
            == "nothing was removed: the folder tags/ does not exist; is the registry still being copied here?"
        )
        (local.root / "later").rename(local.root / "tags")
        assert collecting.collect(content, grace=3600) == []
        assert status(registry, "v1") == 200
