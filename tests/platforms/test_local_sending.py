"""What is sent of a file: ranges, conditions, and what becomes of clients that leave, read nothing, or pull what is removed."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from reconciler.platforms.local.server import sending
from tests.images import digest
from tests.registries import Served, as_served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

SIZES = {"small": 2048, "large": 3 * sending.SMALL}
#: more than the kernel keeps of what a client does not read
HUGE = 24 << 20


@pytest.fixture(scope="module", params=["plain", "tls"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The kernel sends files over plain TCP alone: everything holds for TLS too."""
    sandbox = LocalSandbox(tmp_path_factory.mktemp("sending"))
    with served(sandbox, open_document(sandbox, "app"), **tls(sandbox.folder, request.param == "tls")) as found:
        yield found


@pytest.fixture(params=SIZES)
def body(request: pytest.FixtureRequest) -> bytes:
    return random.Random(1).randbytes(SIZES[request.param])


def tls(folder: Path, wanted: bool) -> dict[str, str]:
    """The server's options for HTTPS."""
    certificate = folder / "cert.pem"
    if wanted:
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    return {"certificate": str(certificate)} if wanted else {}


@contextmanager
def connected(registry: Served, receive: int = 0) -> Iterator[socket.socket]:
    """A connection. `receive`: bytes that the kernel keeps for it."""
    host, _, port = registry.place.partition(":")
    with socket.socket() as client:
        if receive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.settimeout(30)
        client.connect((host, int(port)))
        with as_served(client, registry) as wrapped:
            yield wrapped


def ask(client: socket.socket, path: str, headers: str = "") -> bytes:
    """Asks for a file; returns what of its body came with the header."""
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n{headers}\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        more = client.recv(1 << 12)
        assert more, got
        got += more
    return got.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_s_etag_is_its_digest_and_who_has_it_gets_304(registry: Served, body: bytes, algorithm: str) -> None:
    wanted = registry.push_blob("app", body, algorithm)
    path = f"/v2/app/blobs/{wanted}"
    for method in ("GET", "HEAD"):
        answer = registry.http.request(method, path)
        assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{wanted}"')
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Content-Length"] == str(len(body))
        for known in (f'"{wanted}"', f'W/"{wanted}"', f'"other", "{wanted}"', "*", wanted):
            again = registry.http.request(method, path, headers={"If-None-Match": known, "Range": "bytes=0-9"})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", f'"{wanted}"'), known
        other = registry.http.request(method, path, headers={"If-None-Match": '"other"'})
        assert other.content == (body if method == "GET" else b"")
        assert registry.http.request(method, path, headers={"If-Match": f'"{wanted}", "other"'}).status_code == 200
        assert registry.http.request(method, path, headers={"If-Match": '"other"'}).status_code == 412


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=100-199", 100, 200), ("Bytes=100-", 100, None), ("bytes=-100", -100, None), ("bytes=0-99999999", 0, None)],
)
def test_one_range_is_sent(registry: Served, body: bytes, asked: str, first: int, last: int | None) -> None:
    wanted = registry.push_blob("app", body)
    expected = body[first:last]
    begin = first % len(body)
    # a strong validator that is the blob's changes nothing
    for more in ({}, {"If-Range": f'"{wanted}"'}):
        answer = registry.http.get(f"/v2/app/blobs/{wanted}", headers={"Range": asked, **more})
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(body)}"
        assert answer.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-9,20-29", "bytes=0-9, 20-29", "lines=1-2", "bytes=x-y", "bytes=--1", "bytes=-", "9-10"],
)
def test_several_ranges_other_units_and_what_is_no_range_are_ignored(registry: Served, body: bytes, asked: str) -> None:
    answer = registry.http.get(f"/v2/app/blobs/{registry.push_blob('app', body)}", headers={"Range": asked})
    assert (answer.status_code, answer.content == body) == (200, True)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("other", ["weak", "digest", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_range_of_other_content_is_answered_with_all_of_this_one(registry: Served, body: bytes, other: str) -> None:
    wanted = registry.push_blob("app", body)
    value = {"weak": f'W/"{wanted}"', "digest": f'"{digest(b"other")}"'}.get(other, other)
    answer = registry.http.get(f"/v2/app/blobs/{wanted}", headers={"Range": "bytes=5-9", "If-Range": value})
    assert (answer.status_code, answer.content == body) == (200, True)


@pytest.mark.parametrize("asked", ["bytes=5000000-", "bytes=5000000-5000001", "bytes=-0", "bytes=9-0"])
def test_a_range_beyond_the_end_is_416_and_tells_the_size(registry: Served, body: bytes, asked: str) -> None:
    path = f"/v2/app/blobs/{registry.push_blob('app', body)}"
    answer = registry.http.get(path, headers={"Range": asked})
    assert registry.code(answer) == (416, "SIZE_INVALID")
    assert answer.headers["Content-Range"] == f"bytes */{len(body)}"
    head = registry.http.head(path, headers={"Range": asked})
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(body))), "ranges are for GET alone"


def test_a_blob_that_is_removed_while_it_is_sent_is_sent_whole(registry: Served) -> None:
    path, blob, body = huge(registry, 1)
    with connected(registry, 1 << 14) as client:
        got = ask(client, path)
        blob.unlink()
        assert digest(got + rest(client, len(body) - len(got))) == digest(body)
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: here\r\n\r\n")
        assert client.recv(1 << 12).startswith(b"HTTP/1.1 401"), "the connection is good for more"
    assert_closed(blob)


def test_a_client_that_leaves_leaves_no_file_open_and_no_trace_in_the_log(
    registry: Served, caplog: pytest.LogCaptureFixture
) -> None:
    path, blob, _ = huge(registry, 2)
    with connected(registry, 1 << 14) as client:
        ask(client, path)
    assert_closed(blob)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_client_that_says_goodbye_and_reads_nothing_leaves_no_file_open(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends its half of the connection: its part in the limits is over, and so must be what is sent to it."""
    monkeypatch.setattr(sending, "LOOK", 0.05)
    with served(local, open_document(local, "app")) as registry:
        path, blob, _ = huge(registry, 6)
        with connected(registry, 1 << 14) as client:
            ask(client, path)
            client.shutdown(socket.SHUT_WR)
            assert_closed(blob)


def test_a_file_that_became_shorter_ends_the_connection_and_is_told(
    registry: Served, caplog: pytest.LogCaptureFixture
) -> None:
    path, blob, body = huge(registry, 3)
    with connected(registry, 1 << 14) as client:
        got = ask(client, path)
        os.truncate(blob, HUGE // 2)
        assert len(rest(client, len(body) - len(got))) < len(body) - len(got)
    assert_closed(blob)
    assert "the response was cut short: the file is shorter than it was" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("secure", [False, True])
def test_a_client_that_reads_nothing_loses_its_connection(
    local: LocalSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, secure: bool
) -> None:
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    with served(local, open_document(local, "app"), **tls(local.folder, secure)) as registry:
        path, blob, body = huge(registry, 4)
        with connected(registry, 1 << 14) as client:
            got = ask(client, path)
            assert_closed(blob)
            assert len(rest(client, len(body) - len(got))) < len(body) - len(got)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_server_that_stops_sends_the_rest_of_a_pull(local: LocalSandbox) -> None:
    with ExitStack() as running:
        registry = running.enter_context(served(local, open_document(local, "app")))
        path, _, body = huge(registry, 5)
        with connected(registry, 1 << 14) as client:
            got = ask(client, path)
            stopping = threading.Thread(target=running.close)
            stopping.start()
            while is_listening(registry):
                time.sleep(0.01)
            assert digest(got + rest(client, len(body) - len(got))) == digest(body)
            stopping.join()


def huge(registry: Served, seed: int) -> tuple[str, Path, bytes]:
    """The path of a blob that the kernel can't keep whole, its file, and what is in it."""
    body = random.Random(seed).randbytes(HUGE)
    wanted = registry.push_blob("app", body)
    kind, _, name = wanted.partition(":")
    return f"/v2/app/blobs/{wanted}", next(registry.sandbox.root.glob(f"blobs/{kind}/**/{name}")), body


def rest(client: socket.socket, size: int) -> bytes:
    """What else comes, up to that many bytes."""
    got = bytearray()
    with suppress(ConnectionError):
        while len(got) < size and (more := client.recv(1 << 16)):
            got += more
    return bytes(got)


def assert_closed(file: Path) -> None:
    """Waits until no descriptor of this process, in which the server runs, is the file's."""
    for _ in range(3000):
        names = [os.readlink(item) for item in Path("/proc/self/fd").iterdir() if item.is_symlink()]
        if not [name for name in names if name.removesuffix(" (deleted)") == str(file)]:
            return
        time.sleep(0.01)
    raise AssertionError(f"{file} is still open")


def is_listening(registry: Served) -> bool:
    """Whether the server takes new connections."""
    try:
        with connected(registry):
            return True
    except OSError:
        return False
