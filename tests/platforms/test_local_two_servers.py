"""Two servers on one folder: neither takes for granted what the other may have changed."""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from reconciler import session
from reconciler.model.service import serving
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.server import blobs
from reconciler.platforms.local.store import Store
from reconciler.platforms.local.upload import Upload
from tests.images import Image, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

FIRST, SECOND = b"the first chunk, ", b"and the second one"
BODY = FIRST + SECOND


@pytest.fixture
def two(local: LocalSandbox) -> Iterator[tuple[Served, Served]]:
    document = open_document(local, "app", "other")
    with served(local, document) as first, served(local, document) as second:
        assert first.place != second.place
        yield first, second


def start(registry: Served, name: str = "app") -> str:
    return str(registry.http.post(f"/v2/{name}/blobs/uploads/").headers["Location"])


def test_chunks_that_come_in_turn_are_one_blob_whichever_server_ends_it(two: tuple[Served, Served]) -> None:
    for ending in two:
        location = start(two[0])
        for number in range(6):
            body = f"chunk {number} ".encode()
            answer = two[number % 2].http.patch(location, content=body)
            assert answer.status_code == 202
            assert answer.headers["Range"] == f"0-{8 * (number + 1) - 1}"
            assert [at.http.get(location).headers["Range"] for at in two] == [answer.headers["Range"]] * 2
        whole = b"".join(f"chunk {number} ".encode() for number in range(6))
        assert ending.http.put(location, params={"digest": digest(whole)}).status_code == 201
        for at in two:
            assert at.http.get(f"/v2/app/blobs/{digest(whole)}").content == whole
            assert at.http.get(location).status_code == 404, "it has ended, at both"
            assert at.http.patch(location, content=b"more").status_code == 404
            assert at.http.delete(location).status_code == 404
        assert two[0].http.get(f"/v2/app/blobs/{digest(whole)}").content == whole, "nothing was added to it"
        assert two[0].http.delete(f"/v2/app/blobs/{digest(whole)}").status_code == 202


def test_a_server_s_own_hash_is_worth_nothing_once_another_has_written(two: tuple[Served, Served]) -> None:
    """Content of the same size: as long as the first server left it, and another all the same."""
    location = start(two[0])
    two[0].http.patch(location, content=FIRST)
    (path,) = Content(Store(two[0].sandbox.root)).uploads()
    path.write_bytes(b"x" * len(FIRST))
    answer = two[0].http.put(location, params={"digest": digest(BODY)}, content=SECOND)
    assert two[0].code(answer) == (400, "DIGEST_INVALID")
    assert two[0].http.get(f"/v2/app/blobs/{digest(BODY)}").status_code == 404


def test_content_that_is_there_is_never_replaced(two: tuple[Served, Served]) -> None:
    two[0].push_blob("other", BODY)
    path = two[0].sandbox.root / "blobs" / "sha256" / digest(BODY)[7:]
    before = path.stat().st_ino
    for at in two:
        location = start(at)
        at.http.patch(location, content=FIRST)
        other = two[1] if at is two[0] else two[0]
        other.http.patch(location, content=SECOND)
        assert at.http.put(location, params={"digest": digest(BODY)}).status_code == 201
    assert (path.stat().st_ino, path.read_bytes()) == (before, BODY)
    assert list(Content(Store(two[0].sandbox.root)).uploads()) == []


def test_a_server_that_has_an_upload_open_adds_nothing_to_the_blob_that_it_became(two: tuple[Served, Served]) -> None:
    location = start(two[0])
    two[0].http.patch(location, content=FIRST)
    assert two[1].http.put(location, params={"digest": digest(BODY)}, content=SECOND).status_code == 201
    for method in ("patch", "put"):
        answer = getattr(two[0].http, method)(location, content=b"evil", params={"digest": digest(BODY + b"evil")})
        assert two[0].code(answer) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert two[0].http.get(f"/v2/app/blobs/{digest(BODY)}").content == BODY


def test_two_requests_to_one_upload_at_two_servers_come_one_after_the_other(
    two: tuple[Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    location = start(two[0])
    host, _, port = two[0].place.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
        slow.sendall(head.encode() + FIRST)
        path = two[0].sandbox.root / "uploads" / "app" / location.rpartition("/")[2]
        while path.stat().st_size < len(FIRST):
            pass
        monkeypatch.setattr(blobs, "WAITING", 0.2)
        assert two[1].code(two[1].http.patch(location, content=b"between")) == (409, "BLOB_UPLOAD_INVALID")
        monkeypatch.undo()
        slow.sendall(SECOND)
        assert slow.recv(12) == b"HTTP/1.1 202"
    assert two[1].http.put(location, params={"digest": digest(BODY)}).status_code == 201
    assert two[0].http.get(f"/v2/app/blobs/{digest(BODY)}").content == BODY


def test_who_waited_in_vain_for_an_upload_does_not_take_it_for_unchanged(
    two: tuple[Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server had it, added to it, and was killed."""
    location = start(two[0])
    two[0].http.patch(location, content=FIRST)
    path = two[0].sandbox.root / "uploads" / "app" / location.rpartition("/")[2]
    with path.open("ab") as killed:
        fcntl.flock(killed, fcntl.LOCK_EX)
        killed.write(SECOND)
        killed.flush()
        monkeypatch.setattr(blobs, "WAITING", 0.2)
        assert two[0].http.patch(location, content=b"between").status_code == 409
        monkeypatch.undo()
    assert two[0].http.patch(location, content=b", and more").headers["Range"] == f"0-{len(BODY) + 9}"
    whole = BODY + b", and more"
    assert two[0].http.put(location, params={"digest": digest(whole)}).status_code == 201
    assert two[0].http.get(f"/v2/app/blobs/{digest(whole)}").content == whole


def test_an_upload_that_was_canceled_at_one_server_is_gone_at_the_other(two: tuple[Served, Served]) -> None:
    location = start(two[0])
    two[0].http.patch(location, content=FIRST)
    two[1].http.patch(location, content=SECOND)
    assert two[1].http.delete(location).status_code == 204
    for at in two:
        assert at.http.get(location).status_code == 404
        assert at.http.put(location, params={"digest": digest(BODY)}).status_code == 404


def test_a_token_of_one_server_is_good_at_the_other_and_after_a_restart(local: LocalSandbox) -> None:
    document = local.document("app")
    with served(local, document) as first, served(local, document) as second:
        login = first.login("app", push=True)
        params = {"scope": "repository:app:pull,push"}
        bearer = {"Authorization": f"Bearer {first.http.get('/token', params=params, auth=login).json()['token']}"}
        for at in (first, second):
            assert at.http.post("/v2/app/blobs/uploads/", headers=bearer).status_code == 202
            assert at.http.post("/v2/app/blobs/uploads/").status_code == 401
    with served(local, document) as again:
        assert again.http.get("/v2/app/tags/list", headers=bearer).status_code == 200
        for name in list(local.root.glob("control/credentials/*.json")):
            name.unlink()
        assert again.http.get("/v2/app/tags/list", headers=bearer).status_code == 401, "its credentials are gone"
    assert (local.root / ".token-key").stat().st_mode & 0o777 == 0o600


def test_a_token_of_a_registry_is_no_good_at_another_that_has_a_copy_of_its_folder(
    local: LocalSandbox, tmp_path: Path
) -> None:
    copy = LocalSandbox(tmp_path / "copy")
    with served(local, local.document("app")) as first:
        login = first.login("app")
        token = first.http.get("/token", params={"scope": "repository:app:pull"}, auth=login).json()["token"]
        shutil.copytree(local.root, copy.folder / "twin")
    document = json.loads(json.dumps(copy.document("app")).replace('"images"', '"twin"').replace('"sandbox"', '"twin"'))
    (tmp_path / "copy").mkdir(exist_ok=True)
    with (
        session(copy.spec(document), "twin") as opened,
        serving(opened).server() as server,
    ):
        answer = httpx.get(f"{server.url}/v2/app/tags/list", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, 'error="invalid_token"' in answer.headers["WWW-Authenticate"]) == (401, True)
        assert httpx.get(f"{server.url}/v2/app/tags/list", auth=login).status_code == 200, (
            "its logins are the copy's too"
        )


def test_images_that_are_pushed_at_one_server_are_pulled_at_the_other(two: tuple[Served, Served]) -> None:
    image = Image(1)
    two[0].push("app", image, "v1")
    for wanted, body in image.blobs.items():
        assert two[1].http.get(f"/v2/app/blobs/{wanted}").content == body
    assert two[1].http.get("/v2/app/manifests/v1").content == image.manifest
    assert two[1].http.delete(f"/v2/app/manifests/{digest(image.manifest)}").status_code == 202
    assert two[0].http.get("/v2/app/manifests/v1").status_code == 404


def test_an_upload_is_measured_and_hashed_again_where_it_was_changed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        one = Upload("app", tmp_path / "upload")
        other = Upload("app", tmp_path / "upload", resumed=True)
        stack.callback(one.close)
        stack.callback(other.close)
        assert one.claim()
        assert not other.claim(), "one has it"
        one.append(b"abc")
        one.release()
        assert other.claim()
        assert other.offset == 3
        other.truncate(0)
        other.append(b"xyz")
        other.release()
        assert one.claim()
        assert one.digest("sha256") == digest(b"xyz")
