"""Nobody can stop the server: who guesses passwords waits alone, rights are looked up, and files are read beside the event loop."""

from __future__ import annotations

import errno
import http.client
import json
import select
import socket
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from filelock import FileLock

from reconciler.platforms.local import credentials
from reconciler.platforms.local.server import logins, manifests, threads
from reconciler.platforms.local.server.auth import Caller, Doorkeeper
from reconciler.platforms.local.times import TimesKept
from tests.images import CONFIG, Image, descriptor, digest
from tests.registries import Served, make_older, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with served(local, local.document("app", "other")) as found:
        yield found


class Gate:
    """Checks of passwords that wait until they are let through."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun: list[str] = []
        self.change = threading.Condition()

    def __call__(self, hashed: str, secret: str) -> bool:
        with self.change:
            self.begun.append(secret)
            self.change.notify_all()
        self.open.wait(60)
        return credentials.is_right(hashed, secret)

    def until(self, number: int) -> None:
        """Returns once that many checks have begun."""
        with self.change:
            assert self.change.wait_for(lambda: len(self.begun) >= number, 30), self.begun


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setattr(logins, "is_right", made)
    yield made
    made.open.set()


def wrong(login: tuple[str, str], number: int) -> tuple[str, str]:
    """A guess for the same ID."""
    return login[0], f"{login[1][:21]}{number:043d}"


def send(registry: Served, login: tuple[str, str], address: str = "") -> socket.socket:
    """A request whose answer nobody has read yet. `address`: whose it is, as a proxy says."""
    host, _, port = registry.place.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    basic = b64encode(":".join(login).encode()).decode()
    forwarded = f"X-Forwarded-For: {address}\r\n" if address else ""
    connection.sendall(f"GET /v2/ HTTP/1.1\r\nHost: x\r\n{forwarded}Authorization: Basic {basic}\r\n\r\n".encode())
    return connection


def test_while_guesses_are_checked_pushes_and_pulls_go_on(registry: Served, gate: Gate) -> None:
    guessed, honest = registry.login("app", push=True), registry.login("app", push=True)
    gate.open.set()
    assert registry.http.get("/v2/", auth=honest).status_code == 200
    gate.open.clear()
    waiting = [send(registry, wrong(guessed, number)) for number in range(logins.QUEUE_OF_ADDRESS)]
    gate.until(2)
    registry.http.auth = honest
    image = Image(1)
    registry.push("app", image, "v1")
    for blob, body in image.blobs.items():
        assert registry.http.get(f"/v2/app/blobs/{blob}").content == body
    assert len(gate.begun) == 2, "the honest one's was remembered, and the guesses come one at a time"
    gate.open.set()
    for connection in waiting:
        assert connection.recv(12) == b"HTTP/1.1 401"
        connection.close()


def test_who_guesses_too_much_at_once_is_sent_away_at_once_and_told_when_to_come_again(
    registry: Served, gate: Gate
) -> None:
    login, other = registry.login("app"), registry.login("app")
    guesses = [send(registry, wrong(login, number)) for number in range(logins.QUEUE_OF_ADDRESS + 1)]
    (refused,), _, _ = select.select(guesses, [], [], 30)
    answer = http.client.HTTPResponse(refused)
    answer.begin()
    assert (answer.status, answer.getheader("Retry-After")) == (429, "1")
    assert json.loads(answer.read())["errors"][0]["code"] == "TOOMANYREQUESTS"
    with ThreadPoolExecutor(1) as pool:
        honest = pool.submit(lambda: httpx.get(f"{registry.server.url}/v2/", auth=other, timeout=30))
        gate.open.set()
        assert honest.result().status_code == 200, "another ID has a queue of its own"
    for connection in guesses:
        connection.close()
    assert registry.http.get("/v2/", auth=login).status_code == 200


def test_nothing_is_computed_for_clients_that_have_left(registry: Served, gate: Gate) -> None:
    login = registry.login("app")
    first = send(registry, wrong(login, 0))
    gate.until(1)
    for number in range(1, logins.QUEUE_OF_ADDRESS):
        send(registry, wrong(login, number)).close()
    other = registry.login("app")
    # once this one's turn has come, all that waited before it have had theirs
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: httpx.get(f"{registry.server.url}/v2/", auth=other, timeout=30))
        gate.open.set()
        assert answer.result().status_code == 200
    first.close()
    assert gate.begun == [wrong(login, 0)[1][21:], other[1][21:]]


def test_one_secret_is_checked_once_for_all_who_send_it_and_then_remembered(registry: Served, gate: Gate) -> None:
    login = registry.login("app")
    crowd = [send(registry, login) for _ in range(3 * logins.QUEUE)]
    gate.until(1)
    gate.open.set()
    for connection in crowd:
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()
    for _ in range(5):
        assert registry.http.get("/v2/", auth=login).status_code == 200
    assert gate.begun == [login[1][21:]]


def test_a_login_is_remembered_for_a_minute_after_its_last_use(
    registry: Served, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.open.set()
    login = registry.login("app")
    monkeypatch.setattr(logins, "REMEMBERED", 0.0)
    for _ in range(2):
        assert registry.http.get("/v2/", auth=login).status_code == 200
    assert len(gate.begun) == 2


def test_what_is_remembered_is_worth_nothing_once_the_credentials_are_gone(registry: Served) -> None:
    login = registry.login("app")
    assert registry.http.get("/v2/", auth=login).status_code == 200
    for path in registry.sandbox.root.glob("control/credentials/*.json"):
        path.unlink()
    assert registry.http.get("/v2/", auth=login).status_code == 401


def test_no_secret_is_kept_in_memory_as_it_was_sent(registry: Served) -> None:
    found = logins.Attempt(registry.session.documents.credentials.read(registry.login("app")[1][4:20]), "s3cret")  # type: ignore[arg-type]
    assert "s3cret" not in repr(found)


# -- files --------------------------------------------------------------------------------------------------------

_watched: list[tuple[str, str]] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and event in ("open", "os.listdir", "os.scandir"):
        _watched.append((threading.current_thread().name, str(arguments[0])))


@contextmanager
def watching() -> Iterator[list[tuple[str, str]]]:
    """What the process opens and lists meanwhile, with the name of the thread."""
    global _watched
    if not getattr(sys, "_reconciler_watched", False):
        sys.addaudithook(_note)  # it can't be taken away again
        sys._reconciler_watched = True  # type: ignore[attr-defined]  # a mark of our own
    found: list[tuple[str, str]] = []
    _watched = found
    try:
        yield found
    finally:
        _watched = None


def everything(registry: Served, image: Image, subject: str) -> None:
    """One request to each endpoint."""
    http = registry.http
    registry.push("app", image, "v1")
    location = http.post("/v2/app/blobs/uploads/").headers["Location"]
    http.patch(location, content=b"x" * 100_000)
    http.get(location)
    http.put(location, params={"digest": digest(b"x" * 100_000)})
    http.delete(http.post("/v2/app/blobs/uploads/").headers["Location"])
    http.post("/v2/app/blobs/uploads/", params={"mount": digest(b"x" * 100_000), "from": "other"})
    http.post("/v2/other/blobs/uploads/", params={"mount": digest(b"x" * 100_000)})
    document = {**image.document, "subject": descriptor(image.manifest, image.document["mediaType"])}
    registry.put("app", "signature", json.dumps(document).encode())
    for path in (
        "manifests/v1",
        f"manifests/{subject}",
        f"blobs/{image.config['digest']}",
        "tags/list",
        f"referrers/{subject}",
        "manifests/nothing",
    ):
        for method in ("HEAD", "GET"):
            http.request(method, f"/v2/app/{path}")
    http.get("/v2/_catalog")
    http.get("/token", params={"scope": "repository:app:pull"})
    http.delete(f"/v2/app/blobs/{digest(b'x' * 100_000)}")
    http.delete("/v2/app/manifests/signature")
    http.delete(f"/v2/app/manifests/{subject}")


def test_nothing_that_reads_files_runs_on_the_event_loop(local: LocalSandbox) -> None:
    with served(local, open_document(local, "app", "other")) as registry:
        login = registry.login("*", push=True)
        with watching() as found:
            for auth in (None, login):
                registry.http.auth = auth if auth else httpx.Auth()
                image = Image(1)
                everything(registry, image, digest(image.manifest))
    ours = [(thread, path) for thread, path in found if str(local.root) in path]
    assert {thread.partition("_")[0] for thread, _ in ours} >= {"changes"}, "the hook sees what is opened"
    assert [path for thread, path in ours if thread == "registry-images"] == []


def count(local: LocalSandbox, names: list[str], ask: Callable[[Served], Any]) -> int:
    """How many files a request opens, and folders it lists, once it was made before."""
    with served(local, local.document(*names)) as registry:
        ask(registry)
        with watching() as found:
            ask(registry)
    return sum(str(local.root) in path for _, path in found)


@pytest.mark.parametrize("path", ["/v2/app/manifests/v1", "/v2/absent/manifests/v1", "/v2/_catalog", "/v2/"])
def test_a_request_without_a_login_reads_no_more_in_a_registry_of_many_repositories(
    local: LocalSandbox, path: str
) -> None:
    few = count(local, ["app"], lambda at: at.http.get(path))
    many = count(local, ["app", *(f"more-{number}" for number in range(300))], lambda at: at.http.get(path))
    assert few <= 1
    assert many <= few + 1, "the list of those that are open to everyone is made again after a change, no more"


def test_a_page_looks_at_what_it_lists_and_no_further(local: LocalSandbox) -> None:
    names = [f"app-{number:03}" for number in range(200)]
    with served(local, open_document(local, *names)) as registry:
        pages = [("", 3, names[:3]), ("app-150", 2, names[151:153]), ("zz", 5, [])]
        registry.http.get("/v2/_catalog")
        seen: list[str] = []
        real = Doorkeeper.may
        with pytest.MonkeyPatch.context() as patch:

            def may(self: Doorkeeper, caller: Caller, name: str, action: str) -> bool:
                seen.append(name)
                return real(self, caller, name, action)

            patch.setattr(Doorkeeper, "may", may)
            for last, most, expected in pages:
                seen.clear()
                found = registry.http.get("/v2/_catalog", params={"last": last, "n": most}).json()
                assert found == {"repositories": expected}
                assert len(seen) <= most + 1
            seen.clear()
            wanted = registry.push_blob("app-007", b"a blob")
            for digest_of_one, status in ((wanted, 201), (digest(b"nobody has it"), 202)):
                params = {"mount": digest_of_one}
                assert registry.http.post("/v2/app-100/blobs/uploads/", params=params).status_code == status
            assert seen == ["app-007"], "rights are looked at where the blob is"


# -- what others hold up ------------------------------------------------------------------------------------------


def test_a_question_is_answered_whoever_keeps_the_registry_s_lock(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "NOTING", 0.1)
    image = Image(1)
    with served(local, open_document(local, "app")) as registry:
        registry.push("app", image, "v1")
        make_older(local.root, 5000)
        with FileLock(local.root / ".lock"):
            for path in ("manifests/v1", f"blobs/{image.config['digest']}"):
                for method in ("HEAD", "GET"):
                    assert registry.http.request(method, f"/v2/app/{path}").status_code == 200
        for missing in ("manifests/v2", f"blobs/{digest(b'nothing')}"):
            assert registry.http.head(f"/v2/app/{missing}").status_code == 404


def test_a_full_disk_keeps_nobody_from_asking(local: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(local, open_document(local, "app")) as registry:
        registry.push("app", Image(1), "v1")
        make_older(local.root, 5000)

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(TimesKept, "asked", full)
        assert registry.http.head("/v2/app/manifests/v1").status_code == 200


def test_guesses_from_one_network_or_from_two_addresses_keep_nobody_else_out(local: LocalSandbox, gate: Gate) -> None:
    trusted = (ip_network("127.0.0.0/8"),)
    with served(local, local.document("app"), trusted_proxies=trusted) as registry:
        login = registry.login("app")
        addresses = [*(f"2001:db8::{number}" for number in range(8)), *["192.0.2.1"] * 4, *["192.0.2.2"] * 4]
        crowd = [send(registry, wrong(login, number), address) for number, address in enumerate(addresses)]
        gate.until(1)
        refused = [item for item in select.select(crowd, [], [], 30)[0] if item.recv(12) == b"HTTP/1.1 429"]
        assert refused, "the /64 is one address"
        honest = send(registry, login, "192.0.2.7")
        gate.open.set()
        assert honest.recv(12) == b"HTTP/1.1 200"
        for connection in (*crowd, honest):
            connection.close()


# -- sizes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(local: LocalSandbox) -> Iterator[Served]:
    with served(local, open_document(local, "app")) as found:
        yield found


def referrer(subject: bytes, number: int, size: int, kind: str = "application/vnd.example.sbom") -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": kind,
            "config": descriptor(b"{}", CONFIG),
            "layers": [],
            "subject": descriptor(subject, "application/vnd.oci.image.manifest.v1+json"),
            "annotations": {"number": str(number), "text": "x" * size},
        }
    ).encode()


def pages(registry: Served, path: str) -> Iterator[list[dict[str, Any]]]:
    following: str | None = path
    while following:
        answer = registry.http.get(following)
        assert answer.status_code == 200, answer.text
        yield answer.json()["manifests"]
        following = answer.links.get("next", {}).get("url")


def test_referrers_come_in_pages_that_are_never_large(opened: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "REFERRERS_MOST", 20_000)
    opened.push_blob("app", b"{}")
    image = Image(1)
    opened.push("app", image, "v1")
    kinds = ["application/vnd.example.sbom", "application/vnd.example.signature"]
    wanted: dict[str, list[str]] = {kind: [] for kind in kinds}
    for number in range(40):
        body = referrer(image.manifest, number, 3_000, kinds[number % 2])
        assert opened.put("app", digest(body), body).status_code == 201
        wanted[kinds[number % 2]].append(digest(body))
    path = f"/v2/app/referrers/{digest(image.manifest)}"
    found = list(pages(opened, path))
    assert len(found) > 5
    assert all(len(json.dumps(page)) < 25_000 for page in found)
    everything = [item["digest"] for page in found for item in page]
    assert everything == sorted(wanted[kinds[0]] + wanted[kinds[1]]), "each once, in order"
    for kind in kinds:
        filtered = list(pages(opened, f"{path}?artifactType={kind}"))
        assert len(filtered) > 2
        assert [item["digest"] for page in filtered for item in page] == sorted(wanted[kind])
    assert opened.http.get(path, params={"last": "sha256:" + "f" * 64}).json()["manifests"] == []


def test_a_descriptor_of_a_referrer_has_a_limit_and_an_image_s_annotations_have_none(opened: Served) -> None:
    opened.push_blob("app", b"{}")
    image = Image(1)
    opened.push("app", image, "v1")
    large = referrer(image.manifest, 1, manifests.DESCRIPTOR_MOST)
    answer = opened.put("app", digest(large), large)
    assert opened.code(answer) == (413, "SIZE_INVALID")
    assert "annotations of a manifest with a subject" in answer.json()["errors"][0]["message"]
    alone = json.loads(large)
    del alone["subject"]
    assert opened.put("app", "large", json.dumps(alone).encode()).status_code == 201
    fits = referrer(image.manifest, 1, manifests.DESCRIPTOR_MOST - 1_000)
    assert opened.put("app", digest(fits), fits).status_code == 201
    (listed,) = opened.http.get(f"/v2/app/referrers/{digest(image.manifest)}").json()["manifests"]
    assert listed["annotations"] == json.loads(fits)["annotations"]


def test_a_page_of_referrers_looks_at_so_many_and_goes_on_with_the_next(
    opened: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "REFERRERS_READ", 4)
    opened.push_blob("app", b"{}")
    image = Image(1)
    opened.push("app", image, "v1")
    bodies = [referrer(image.manifest, number, 10, "rare" if number == 7 else "common") for number in range(15)]
    for body in bodies:
        assert opened.put("app", digest(body), body).status_code == 201
    found = list(pages(opened, f"/v2/app/referrers/{digest(image.manifest)}?artifactType=rare"))
    assert len(found) == 4
    assert [item["digest"] for page in found for item in page] == [digest(bodies[7])]


@pytest.mark.parametrize("filler", [b"[]", b"{}"])
def test_a_manifest_of_very_many_parts_is_refused_before_it_is_read(opened: Served, filler: bytes) -> None:
    body = b'{"schemaVersion": 2, "x": [' + b",".join([filler] * 110_000) + b"]}"
    answer = opened.put("app", "large", body)
    assert opened.code(answer) == (400, "MANIFEST_INVALID")
    assert "more than 100,000 lists, objects and values" in answer.json()["errors"][0]["message"]


def test_lists_have_pages_also_for_who_asks_for_all(opened: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "TAGS_LISTED", 4)
    image = Image(1)
    opened.push("app", image, "tag-0")
    for number in range(1, 10):
        opened.put("app", f"tag-{number}", image.manifest)
    found: list[str] = []
    following: str | None = "/v2/app/tags/list?n=1000"
    while following:
        answer = opened.http.get(following)
        assert len(answer.json()["tags"]) <= 4
        found += answer.json()["tags"]
        following = answer.links.get("next", {}).get("url")
    assert found == [f"tag-{number}" for number in range(10)]
