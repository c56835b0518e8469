"""What a local registry keeps survives kills, crowds, liars and a full disk, and takes little memory."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from reconciler.platforms.local.content import Content
from reconciler.platforms.local.server import blobs, manifests
from reconciler.platforms.local.server.auth import Doorkeeper
from reconciler.platforms.local.server.running import LocalServer
from reconciler.platforms.local.store import Store
from reconciler.platforms.local.upload import Upload
from tests.command_line import Reconciler, url_of
from tests.images import Image, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with served(local, open_document(local, "app", "other")) as found:
        yield found


def check_whole(root: Path, *names: str) -> int:
    """Every manifest that is visible has all its blobs, and all content is what its name says; returns how many manifests."""
    content = Content(Store(root))
    found = 0
    for name in names:
        for wanted in {*content.tagged(name).values(), *(item for item, _ in content.each_manifest(name))}:
            _, path = content.manifest(name, wanted)
            assert digest(path.read_bytes()) == wanted
            found += 1
        for wanted, manifest in content.each_manifest(name):
            assert content.missing(name, manifest) == [], wanted
    for wanted, path in content.blobs():
        with path.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == wanted.partition(":")[2]
    return found


def start(registry: Served) -> str:
    return str(registry.http.post("/v2/app/blobs/uploads/").headers["Location"])


# -- crashes -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_kill_9_in_mid_push_leaves_nothing_broken_and_nothing_half_visible(local: LocalSandbox) -> None:
    (local.folder / "registry.yaml").write_text(yaml.safe_dump(open_document(local, "app")))
    reconciler = Reconciler(local.folder)
    reconciler("apply", "--yes")
    images = [Image(seed, layers=3, size=200_000) for seed in range(40)]
    chance = random.Random(7)
    pushed = 0
    for _ in range(8):
        process = reconciler.start("serve", "--port", "0")
        url = url_of(process, "images")

        def push(url: str, first: int) -> None:
            registry = Served(local, None, None, httpx.Client(base_url=url, timeout=10))  # type: ignore[arg-type]  # only pushed to
            try:
                for number in range(first, len(images), 2):
                    registry.push("app", images[number], f"v{number}")
            except (httpx.HTTPError, AssertionError):
                pass  # the server is dead

        threads = [threading.Thread(target=push, args=(url, first)) for first in (0, 1)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.02, 0.4))
        process.kill()
        process.wait()
        for thread in threads:
            thread.join()
        process.communicate()
        pushed = max(pushed, check_whole(local.root, "app"))
    assert pushed, "some pushes came through"
    with served(local, open_document(local, "app")) as registry:
        for number, image in enumerate(images):
            registry.push("app", image, f"v{number}")
    assert check_whole(local.root, "app") == len(images)


def test_an_upload_goes_on_after_a_restart(local: LocalSandbox) -> None:
    document = open_document(local, "app")
    body = random.Random(1).randbytes(300_000)
    with served(local, document) as registry:
        location = start(registry)
        registry.http.patch(location, content=body[:100_000], headers={"Content-Range": "0-99999"})
    with served(local, document) as registry:
        assert registry.http.get(location).headers["Range"] == "0-99999"
        answer = registry.http.put(location, params={"digest": digest(body)}, content=body[100_000:])
        assert answer.status_code == 201
        assert registry.http.get(f"/v2/app/blobs/{digest(body)}").content == body


def test_more_uploads_than_are_kept_open(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "OPEN_UPLOADS", 3)
    locations = [start(registry) for _ in range(10)]
    for part in (b"first ", b"second"):
        for location in locations:
            assert registry.http.patch(location, content=part).status_code == 202
    for location in locations:
        assert registry.http.put(location, params={"digest": digest(b"first second")}).status_code == 201


# -- crowds ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_several_uploads_at_once_of_the_same_blob(registry: Served) -> None:
    body = random.Random(2).randbytes(2_000_000)

    def push(_: int) -> int:
        location = httpx.post(f"{registry.server.url}/v2/app/blobs/uploads/").headers["Location"]
        url = f"{registry.server.url}{location}?digest={digest(body)}"
        return httpx.put(url, content=body, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, range(16))) == {201}
    assert registry.http.get(f"/v2/app/blobs/{digest(body)}").content == body
    assert [name for name, _ in Content(Store(registry.sandbox.root)).blobs()] == [digest(body)]
    assert not list(Content(Store(registry.sandbox.root)).uploads())


def test_pushes_of_one_tag_at_once_end_with_one_of_them(registry: Served) -> None:
    images = [Image(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda image: registry.push("app", image, "latest"), images))
    answer = registry.http.get("/v2/app/manifests/latest")
    assert answer.content in {image.manifest for image in images}
    assert check_whole(registry.sandbox.root, "app") == 8


@pytest.mark.slow
def test_collecting_beside_pushes_breaks_no_image(registry: Served) -> None:
    """Without any grace a push may be told that its blob has gone; what it is told is there must be whole."""
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            registry.session.collect(grace=0)

    collector = threading.Thread(target=collect)
    collector.start()
    accepted = refused = 0
    try:
        for seed in range(60):
            image = Image(seed % 20, size=100)
            for body in image.blobs.values():
                registry.push_blob("app", body)
            answer = registry.put("app", f"v{seed}", image.manifest)
            if answer.status_code == 201:
                accepted += 1
            else:
                assert registry.code(answer) == (400, "MANIFEST_BLOB_UNKNOWN")
                refused += 1
    finally:
        stop.set()
        collector.join()
    assert accepted + refused == 60
    registry.session.collect(grace=0)
    check_whole(registry.sandbox.root, "app")
    for tag in registry.http.get("/v2/app/tags/list").json()["tags"]:
        manifest = registry.http.get(f"/v2/app/manifests/{tag}").json()
        for item in (manifest["config"], *manifest["layers"]):
            assert registry.http.get(f"/v2/app/blobs/{item['digest']}").status_code == 200


# -- liars, and those who leave ----------------------------------------------------------------------------------


def raw(registry: Served, request: str, body: bytes = b"") -> tuple[int, bytes]:
    """Sends a request as it is written; returns the answer's status and body."""
    host, _, port = registry.place.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def cut(registry: Served, request: str, body: bytes) -> None:
    """Sends the beginning of a request, and leaves."""
    host, _, port = registry.place.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        time.sleep(0.2)


def test_a_body_that_is_shorter_than_it_says_is_not_taken_for_whole(registry: Served) -> None:
    location = start(registry)
    body = b"half"
    cut(registry, f"PUT {location}?digest={digest(body)} HTTP/1.1\nHost: x\nContent-Length: 400", body)
    assert registry.http.head(f"/v2/app/blobs/{digest(body)}").status_code == 404
    answer = registry.http.put(location, params={"digest": digest(body)}, content=body)
    assert answer.status_code == 201, "the same request can be made again"


def test_a_chunk_that_is_cut_off_leaves_what_arrived_to_be_resumed(registry: Served) -> None:
    location = start(registry)
    cut(registry, f"PATCH {location} HTTP/1.1\nHost: x\nContent-Length: 1000", b"x" * 400)
    first = int(registry.http.get(location).headers["Range"].partition("-")[2]) + 1
    assert first == 400
    rest = b"x" * (1000 - first)
    registry.http.patch(location, content=rest, headers={"Content-Range": f"{first}-999"})
    assert registry.http.put(location, params={"digest": digest(b"x" * 1000)}).status_code == 201


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\nContent-Length: 6",
        "Content-Length: -5",
        "Content-Length: 99999999999999999999999",
        "Content-Length: five",
        "Transfer-Encoding: chunked\nContent-Length: 5",
        "Transfer-Encoding: nonsense",
    ],
)
def test_a_length_that_can_t_be_is_refused_and_the_server_lives(registry: Served, head: str) -> None:
    location = start(registry)
    status, _ = raw(registry, f"PATCH {location} HTTP/1.1\nHost: x\n{head}", b"hello")
    assert status == 400
    registry.push_blob("app", b"still there")


def test_a_gzipped_body_is_kept_as_it_was_sent(registry: Served) -> None:
    import gzip

    body = gzip.compress(b"0" * 1_000_000)
    location = start(registry)
    answer = registry.http.put(
        location, params={"digest": digest(body)}, content=body, headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 201


@pytest.mark.slow
def test_a_client_that_falls_silent_is_told_and_others_are_served(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "PATIENCE", 0.5)
    location = start(registry)
    request = f"PATCH {location} HTTP/1.1\nHost: x\nContent-Length: 1000"
    host, _, port = registry.place.partition(":")
    silent = [socket.create_connection((host, int(port)), timeout=20) for _ in range(50)]
    try:
        for connection in silent:
            connection.sendall(b"GET /v2/ HTTP/1.1\r\n")
        status, answer = raw(registry, request, b"slow")
        assert status == 408
        assert b"BLOB_UPLOAD_INVALID" in answer
        registry.push("app", Image(1))
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.slow
def test_a_body_that_trickles_in_for_ever_is_ended(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "PATIENCE", 0.4)
    monkeypatch.setattr(manifests, "BODY_SECONDS", 0.4)
    host, _, port = registry.place.partition(":")
    for request in (f"PATCH {start(registry)}", "PUT /v2/app/manifests/v1"):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode())
            connection.settimeout(0.1)
            said = b""
            while not said:
                connection.sendall(b"x")
                with suppress(TimeoutError):
                    said = connection.recv(1000)
        assert said.startswith(b"HTTP/1.1 408")


@pytest.mark.slow
def test_what_was_sent_before_the_server_ends_is_answered(local: LocalSandbox) -> None:
    """Halves of bodies that wait in the sockets when it is told to end: it takes the other halves, and answers."""
    body = b"first half, second half"
    with served(local, open_document(local, "app")) as registry:
        host, _, port = registry.place.partition(":")
        locations = [start(registry) for _ in range(3)]
        registry.http.close()
        assert isinstance(registry.server, LocalServer)
        assert registry.server._loop is not None
        registry.server._loop.call_soon_threadsafe(time.sleep, 0.5)  # busy: it has read nothing when it is told to end
        pushes = [socket.create_connection((host, int(port)), timeout=60) for _ in locations]
        for connection, location in zip(pushes, locations, strict=True):
            request = f"PUT {location}?digest={digest(body)} HTTP/1.1\nHost: x\nContent-Length: {len(body)}\n\n"
            connection.sendall(request.replace("\n", "\r\n").encode() + body[:12])

        def finish() -> None:
            for connection in pushes:
                connection.sendall(body[12:])

        rest = threading.Timer(1.0, finish)
        rest.start()
    rest.join()
    assert {connection.recv(12) for connection in pushes} == {b"HTTP/1.1 201"}
    for connection in pushes:
        connection.close()
    check_whole(local.root, "app")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/../../../../etc/passwd",
        "/v2/%2e%2e/%2e%2e/manifests/latest",
        "/v2/app/manifests/..%2f..%2f..%2fcontrol",
        "/v2/app/blobs/..%2f..%2fcontrol%2frepositories%2fapp.json",
        "/v2/app/blobs/sha256:../../../control",
        "/v2/app/blobs/uploads/..%2f..%2f..%2fcontrol%2frepositories%2fapp.json",
        "/v2/app%00/tags/list",
        "/v2/app/manifests/%00",
        "/v2/" + "a" * 5000 + "/tags/list",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_no_path_leads_out_of_the_store(registry: Served, method: str, path: str) -> None:
    status, answer = raw(registry, f"{method} {path} HTTP/1.1\nHost: x\nContent-Length: 0")
    assert 400 <= status < 500
    assert b"reconciler-owner" not in answer
    assert b"root:" not in answer


def test_a_full_disk_is_told_and_the_upload_is_as_long_as_it_was(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = start(registry)
    registry.http.patch(location, content=b"before")

    def full(self: Upload, block: bytes) -> None:
        self._file.write(block[: len(block) // 2])
        self.truncate(self.offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Upload, "append", full)
        answer = registry.http.patch(location, content=b"does not fit")
        assert answer.status_code == 507
        assert "No space left" in answer.json()["errors"][0]["message"]
    assert registry.http.get(location).headers["Range"] == "0-5"
    answer = registry.http.put(location, params={"digest": digest(b"before after")}, content=b" after")
    assert answer.status_code == 201


# -- memory ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_layer_of_2_gib_takes_less_than_200_mb_of_memory(local: LocalSandbox) -> None:
    (local.folder / "registry.yaml").write_text(yaml.safe_dump(open_document(local, "app")))
    reconciler = Reconciler(local.folder)
    reconciler("apply", "--yes")
    block, blocks = random.Random(3).randbytes(1 << 20), 2048
    whole = hashlib.sha256()
    for _ in range(blocks):
        whole.update(block)
    process = reconciler.start("serve", "--port", "0")
    try:
        with httpx.Client(base_url=url_of(process, "images"), timeout=120) as client:
            location = client.post("/v2/app/blobs/uploads/").headers["Location"]
            answer = client.patch(location, content=(block for _ in range(blocks)))
            assert answer.headers["Range"] == f"0-{blocks * len(block) - 1}"
            wanted = f"sha256:{whole.hexdigest()}"
            assert client.put(location, params={"digest": wanted}).status_code == 201
            back = hashlib.sha256()
            with client.stream("GET", f"/v2/app/blobs/{wanted}") as answer:
                for part in answer.iter_raw(1 << 20):
                    back.update(part)
            assert back.digest() == whole.digest()
        status = Path(f"/proc/{process.pid}/status").read_text()
        (peak,) = (int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak < 200
    finally:
        process.terminate()
        process.communicate()
        shutil.rmtree(local.root)


# -- the control side and the images together --------------------------------------------------------------------


def test_a_repository_that_is_deleted_takes_its_images_along_and_is_empty_when_it_is_made_again(
    registry: Served,
) -> None:
    sandbox = registry.sandbox
    registry.push("app", Image(1), "v1")
    registry.push("other", Image(1), "v1")
    gone = open_document(sandbox, "other")
    guarded = sandbox.plan(gone)
    assert guarded.verdicts, "a repository that holds images is not deleted without permission"
    sandbox.apply(gone, allow_delete=("images.repository.app",))
    assert registry.http.get("/v2/app/manifests/v1").status_code == 401, (
        "as of any that is not there, or not for everyone"
    )
    sandbox.apply(open_document(sandbox, "app", "other"))
    assert registry.http.get("/v2/app/tags/list").json()["tags"] == []
    assert registry.http.get("/v2/app/manifests/v1").status_code == 404
    for wanted in Image(1).blobs:
        assert registry.http.head(f"/v2/app/blobs/{wanted}").status_code == 404
        assert registry.http.head(f"/v2/other/blobs/{wanted}").status_code == 200


def test_a_push_that_comes_while_its_repository_is_deleted_is_refused(registry: Served) -> None:
    image = Image(2)
    for body in image.blobs.values():
        registry.push_blob("app", body)
    location = start(registry)
    registry.http.auth = registry.login("app", push=True)
    registry.sandbox.apply(open_document(registry.sandbox, "other"))
    assert registry.code(registry.put("app", "v1", image.manifest)) == (404, "NAME_UNKNOWN")
    assert registry.http.put(location, params={"digest": digest(b"x")}, content=b"x").status_code == 404


def test_a_repository_that_is_deleted_between_the_door_and_the_shelf_gets_nothing(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(2)
    for body in image.blobs.values():
        registry.push_blob("app", body)
        registry.push_blob("other", body)
    (blob, *_) = image.blobs
    location = start(registry)
    body = image.blobs[blob]
    registry.sandbox.apply(open_document(registry.sandbox, "other"))
    monkeypatch.setattr(Doorkeeper, "created", lambda self, name: True)
    monkeypatch.setattr(Doorkeeper, "rights", lambda self, caller, name: frozenset(["pull", "push"]))
    for answer in (
        registry.put("app", "v1", image.manifest),
        registry.http.post("/v2/app/blobs/uploads/", params={"mount": blob, "from": "other"}),
        registry.http.post("/v2/app/blobs/uploads/", params={"digest": blob}, content=body),
    ):
        assert registry.code(answer) == (404, "NAME_UNKNOWN")
    assert registry.http.put(location, params={"digest": blob}, content=body).status_code == 404
    assert not (registry.sandbox.root / "manifests" / "app").exists()
    assert not (registry.sandbox.root / "links" / "app").exists()


def test_settings_that_are_applied_while_it_serves_hold_at_once(registry: Served) -> None:
    first, second = Image(3), Image(4)
    registry.push("app", first, "v1")
    registry.push("app", second, "v1")
    pinned = {"name": "app", "immutable_tags": {"except": ["dev-*"]}}
    registry.sandbox.apply(open_document(registry.sandbox, pinned, "other"))
    registry.push("app", second, "v1")
    answer = registry.put("app", "v1", first.manifest)
    assert registry.code(answer) == (409, "DENIED")
    assert "tag v1 is immutable and already points to sha256:" in answer.json()["errors"][0]["message"]
    for image in (first, second):
        registry.push("app", image, "dev-1")
