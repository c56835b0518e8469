"""Where clients stumble: behind a proxy, with odd hosts, when they ask before they send, when what they send fails."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import httpx
import pytest

from reconciler.platforms.local.content import Content
from reconciler.platforms.local.store import Store
from tests.images import Image, digest
from tests.registries import Served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "registry.example.com:8443"}


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with served(local, open_document(local, "app")) as found:
        yield found


def realm(answer: httpx.Response) -> str:
    assert answer.status_code == 401
    found = re.match(r'Bearer realm="([^"]*)/token",service="images"', answer.headers["WWW-Authenticate"])
    assert found is not None, answer.headers["WWW-Authenticate"]
    return found[1]


# -- where the server is ------------------------------------------------------------------------------------------


def test_with_a_url_that_is_where_clients_are_sent_whatever_they_say(local: LocalSandbox) -> None:
    with served(local, local.document("app"), url="https://registry.example.com") as registry:
        for headers in ({}, FORWARDED, {"Host": "elsewhere.example.com"}):
            assert realm(registry.http.get("/v2/", headers=headers)) == "https://registry.example.com"
        assert registry.issue("app").registry == "registry.example.com", "what to log in to"
        login = registry.login("app", push=True)
        location = registry.http.post("/v2/app/blobs/uploads/", auth=login).headers["Location"]
        assert location.startswith("/v2/app/blobs/uploads/"), "it holds at whichever address the client knows"


def test_forwarded_headers_are_believed_from_trusted_proxies_alone(local: LocalSandbox) -> None:
    document = local.document("app")
    with served(local, document, trusted_proxies=(ip_network("127.0.0.0/8"),)) as registry:
        assert realm(registry.http.get("/v2/", headers=FORWARDED)) == "https://registry.example.com:8443"
        assert realm(registry.http.get("/v2/")) == registry.server.url
        both = {"X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "forged.example.com, registry.example.com"}
        assert realm(registry.http.get("/v2/", headers=both)) == "https://registry.example.com", (
            "the nearest one's word"
        )
        odd = {"X-Forwarded-Proto": "javascript", "X-Forwarded-Host": 'x",realm="https://evil.example.com'}
        assert realm(registry.http.get("/v2/", headers=odd)) == "http://localhost"
    for proxies in ((), (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))):
        with served(local, document, trusted_proxies=proxies) as registry:
            assert realm(registry.http.get("/v2/", headers=FORWARDED)) == registry.server.url


@pytest.mark.parametrize(
    "host",
    ['x",service="evil', "a b", "x/token?y=", "user@x", "x\\", "", "[::1", "[::1]evil", "x:port", "x" * 300, "é"],
)
def test_a_host_that_is_none_never_gets_into_the_realm(registry: Served, host: str) -> None:
    place, _, port = registry.place.partition(":")
    with socket.create_connection((place, int(port)), timeout=20) as connection:
        connection.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        said = answer.getheader("WWW-Authenticate") or ""
        assert (answer.status, said) == (401, 'Bearer realm="http://localhost/token",service="images"')


@pytest.mark.parametrize("host", ["registry", "registry.example.com", "10.0.0.7:5000", "[::1]:5000", "[fe80::1]"])
def test_any_other_host_does(registry: Served, host: str) -> None:
    assert realm(registry.http.get("/v2/", headers={"Host": host})) == f"http://{host}"


# -- clients that ask first ---------------------------------------------------------------------------------------


class Asking:
    """A client that waits to be asked for its body."""

    def __init__(self, registry: Served, request: str, length: int, version: str = "1.1", **headers: str) -> None:
        place, _, port = registry.place.partition(":")
        self.socket = socket.create_connection((place, int(port)), timeout=20)
        lines = [f"{request} HTTP/{version}", "Host: x", f"Content-Length: {length}", "Expect: 100-continue"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def asked(self) -> bool:
        return self.socket.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def answer(self) -> http.client.HTTPResponse:
        found = http.client.HTTPResponse(self.socket)
        found.begin()
        return found


@contextmanager
def asking(registry: Served, request: str, length: int, version: str = "1.1", **headers: str) -> Iterator[Asking]:
    client = Asking(registry, request, length, version, **headers)
    try:
        yield client
    finally:
        client.socket.close()


def test_a_body_is_asked_for_once_its_sender_may_send_it(registry: Served) -> None:
    body = b"a blob"
    upload = f"POST /v2/app/blobs/uploads/?digest={digest(body)}"
    with asking(registry, upload, len(body)) as client:
        assert client.asked()
        client.socket.sendall(body)
        assert client.answer().status == 201
    manifest = Image(1).manifest
    with asking(registry, "PUT /v2/app/manifests/v1", len(manifest)) as client:
        assert client.asked()
        client.socket.sendall(manifest)
        assert client.answer().status == 400, "its blobs are missing"
    form = b"grant_type=password&username=&password="
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with asking(registry, "POST /token", len(form), **kind) as client:
        assert client.asked()
        client.socket.sendall(form)
        assert client.answer().status == 200


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("PUT /v2/closed/manifests/v1", {}, 401),
        ("POST /v2/closed/blobs/uploads/?digest=sha256:" + "0" * 64, {}, 401),
        ("PUT /v2/app/manifests/v1", {"Authorization": "Bearer no"}, 401),
        ("PUT /v2/app/manifests/v1", {"Authorization": "Basic bm86bm8="}, 401),
        ("PUT /v2/BAD/manifests/v1", {}, 400),
        ("POST /token", {"Content-Type": "text/plain"}, 415),
        ("PUT /v2/", {}, 405),
    ],
)
def test_it_is_not_asked_for_before_the_login_and_the_connection_ends(
    local: LocalSandbox, request_line: str, headers: dict[str, str], status: int
) -> None:
    closed = {"name": "closed"}
    everyone = {"name": "open", "repositories": ["app"], "permission": "push-pull", "to": local.everyone()}
    document = local.document("app", closed, grants=(everyone,), guards={"allow_public": True})
    with served(local, document) as registry, asking(registry, request_line, 1000, **headers) as client:
        answer = client.answer()
        assert (answer.status, answer.getheader("Connection")) == (status, "close")
        answer.read()
        assert client.socket.recv(1) == b"", "what comes next could be its body, or another request"


def test_an_older_client_s_expectation_is_no_expectation(registry: Served) -> None:
    body = b"a blob"
    with asking(registry, f"POST /v2/app/blobs/uploads/?digest={digest(body)}", len(body), "1.0") as client:
        client.socket.sendall(body)
        assert client.answer().status == 201


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v2/app%0a/manifests/x", 400, "NAME_INVALID"),
        ("/v2/a%0Ab/tags/list", 400, "NAME_INVALID"),
        ("/%0d%0aX", 404, "UNSUPPORTED"),
    ],
)
def test_a_line_break_in_a_path_is_a_letter_like_others(
    registry: Served, caplog: pytest.LogCaptureFixture, path: str, status: int, code: str
) -> None:
    assert registry.code(registry.http.get(path)) == (status, code)
    assert not [record for record in caplog.records if "\n" in record.getMessage()]


# -- what fails ---------------------------------------------------------------------------------------------------


def uploads(registry: Served) -> int:
    return len(list(Content(Store(registry.sandbox.root)).uploads()))


def test_a_single_request_upload_that_fails_leaves_nothing_behind(registry: Served) -> None:
    wanted = digest(b"what was meant")
    wrong = registry.http.post("/v2/app/blobs/uploads/", params={"digest": wanted}, content=b"what came")
    assert registry.code(wrong) == (400, "DIGEST_INVALID")
    assert uploads(registry) == 0
    place, _, port = registry.place.partition(":")
    with socket.create_connection((place, int(port)), timeout=20) as connection:
        head = f"POST /v2/app/blobs/uploads/?digest={wanted} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 70_000)
        while not uploads(registry):
            pass
    while uploads(registry):  # once the server has noticed that the client has gone
        pass
    ranged = {"Content-Range": "5-10"}
    registry.http.post("/v2/app/blobs/uploads/", params={"digest": wanted}, content=b"123456", headers=ranged)
    assert uploads(registry) == 0


def test_a_finish_whose_answer_got_lost_can_be_sent_again(registry: Served) -> None:
    """Jib#4301: most of what failed there had come."""
    body = b"a blob"
    location = registry.http.post("/v2/app/blobs/uploads/").headers["Location"]
    for _ in range(2):
        done = registry.http.put(location, params={"digest": digest(body)}, content=body)
        assert done.status_code == 201
        assert done.headers["Docker-Content-Digest"] == digest(body)
    other = registry.http.put(location, params={"digest": digest(b"another")}, content=b"another")
    assert registry.code(other) == (404, "BLOB_UPLOAD_UNKNOWN")
    closed = registry.http.put(location.replace("/app/", "/other/"), params={"digest": digest(body)})
    assert closed.status_code == 401


def test_a_tag_that_must_be_new_is_set_once(registry: Served) -> None:
    first, second = Image(1), Image(2)
    new = {"If-None-Match": "*"}
    for image in (first, second):
        for body in image.blobs.values():
            registry.push_blob("app", body)

    def put(reference: str, image: Image, **params: str) -> httpx.Response:
        path = f"/v2/app/manifests/{reference}"
        return registry.http.put(path, content=image.manifest, headers=new, params=params)

    assert put("v1", first).status_code == 201
    for image in (first, second):
        refused = put("v1", image)
        assert refused.status_code == 412
        assert "the repository already has the tag v1" in refused.json()["errors"][0]["message"]
    assert registry.http.get("/v2/app/manifests/v1").content == first.manifest
    assert registry.http.get(f"/v2/app/manifests/{digest(second.manifest)}").status_code == 404
    assert put(digest(second.manifest), second).status_code == 201
    assert put(digest(second.manifest), second).status_code == 412
    assert put(digest(second.manifest), second, tag="v2").status_code == 201, "the tag is new"
    assert put(digest(second.manifest), second, tag="v1").status_code == 412
    other = registry.http.put("/v2/app/manifests/v1", content=second.manifest, headers={"If-None-Match": '"x"'})
    assert other.status_code == 201, "nothing else is asked with that header"
