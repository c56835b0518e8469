"""What keeps clients from using up the server's connections, and what is logged of requests that are none."""

from __future__ import annotations

import http.client
import json
import logging
import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from reconciler.platforms.local.server import connections, turns
from reconciler.platforms.local.server.front import counted_as
from tests.command_line import Reconciler, url_of
from tests.images import digest
from tests.platforms.test_local_sending import tls
from tests.registries import Served, as_served, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

ASK = b"GET /v2/app/tags/list HTTP/1.1\r\nHost: here\r\n\r\n"
#: requests with bodies
BODIES = ["POST /token", "PUT /v2/app/manifests/v1", "POST /v2/app/blobs/uploads/?digest=" + digest(b"")]
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    monkeypatch.setattr(connections, "SWEEP", 0.02)
    for name in ("HANDSHAKE", "HEADER", "IDLE", "BODY"):
        monkeypatch.setattr(connections, name, 0.3)


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    with served(local, open_document(local, "app"), connections_per_address=5) as found:
        yield found


def connect(registry: Served, source: str = "127.0.0.2") -> socket.socket:
    """A connection of that client."""
    host, _, port = registry.place.partition(":")
    return socket.create_connection((host, int(port)), timeout=30, source_address=(source, 0))


def ends(client: socket.socket) -> bool:
    """Whether the server ends the connection; what it sends before is thrown away."""
    try:
        while client.recv(1 << 12):
            pass
    except ConnectionError:
        pass
    return True


def answer(client: socket.socket) -> tuple[int, http.client.HTTPMessage, bytes]:
    """What the server answers."""
    found = http.client.HTTPResponse(client)
    found.begin()
    return found.status, found.headers, found.read()


# -- time --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sent", [b"", b"GET /v2/ HTTP/1.1\r\nHost: here\r\nAuthor", ASK + b"GET /v2/ HTT"])
def test_a_connection_whose_header_does_not_come_ends(registry: Served, sent: bytes) -> None:
    with connect(registry) as client:
        client.sendall(sent)
        assert ends(client)


@pytest.mark.usefixtures("quick")
def test_a_header_that_trickles_in_has_no_more_time_than_another(registry: Served) -> None:
    with connect(registry) as client:
        client.sendall(b"GET /v2/ HTTP/1.1\r\nX-")

        def trickle() -> None:
            for _ in range(3000):
                client.sendall(b"X")
                time.sleep(0.01)

        with pytest.raises(ConnectionError):
            trickle()


@pytest.mark.usefixtures("quick")
def test_an_idle_connection_ends(registry: Served) -> None:
    with connect(registry) as client:
        client.sendall(ASK)
        assert answer(client)[0] == 200
        assert ends(client)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("path", BODIES)
def test_a_body_that_stops_coming_ends_the_connection(registry: Served, path: str) -> None:
    with connect(registry) as client:
        client.sendall(f"{path} HTTP/1.1\r\nHost: here\r\n{FORM}Content-Length: 100\r\n\r\nx".encode())
        assert ends(client)


@pytest.mark.usefixtures("quick")
def test_tls_that_is_not_agreed_on_ends(local: LocalSandbox) -> None:
    with served(local, open_document(local, "app"), **tls(local.folder, True)) as found:
        for sent in (b"", b"\x16\x03\x01"):
            with connect(found) as client:
                client.sendall(sent)
                assert ends(client)


@pytest.mark.usefixtures("quick")
def test_a_request_that_takes_longer_than_a_connection_may_wait_is_answered(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(name: str) -> list[str]:
        time.sleep(1.0)  # several times as long
        return []

    monkeypatch.setattr(registry.session.content, "tags", slow)
    with connect(registry) as client:
        client.sendall(ASK)
        assert answer(client)[0] == 200


# -- number ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True])
def test_more_connections_of_one_address_than_it_may_have_are_answered_with_503(
    local: LocalSandbox, secure: bool
) -> None:
    with (
        served(local, open_document(local, "app"), connections_per_address=5, **tls(local.folder, secure)) as registry,
        ExitStack() as kept,
    ):
        for _ in range(5):
            kept.enter_context(ask_of(registry, "127.0.0.2", 200))
        with refused(registry, "127.0.0.2") as headers:
            assert headers["Retry-After"] == str(connections.RETRY)
            assert headers["Connection"] == "close"
            assert headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        with ask_of(registry, "127.0.0.3", 200):
            pass  # others are served
        kept.close()
        for _ in range(3000):
            with ask_of(registry, "127.0.0.2") as status:
                if status == 200:
                    return
            time.sleep(0.01)
        raise AssertionError("the address is refused for ever")


def test_connections_far_beyond_the_limit_are_closed_without_a_word(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TOLD", 2)
    with ExitStack() as kept:
        for _ in range(5 + 2):
            kept.enter_context(connect(registry))
        with connect(registry) as client:
            assert ends(client)
        with ask_of(registry, "127.0.0.3", 200):
            pass


def test_half_requests_of_one_address_leave_the_others_alone(registry: Served) -> None:
    """1,100 of them used up the file descriptors of the whole server."""
    with ExitStack() as kept:
        for _ in range(300):
            kept.enter_context(connect(registry)).sendall(b"GET /v2/ HTTP/1.1\r\nX-Half: ")
        open_here = len(os.listdir("/proc/self/fd"))
        with ask_of(registry, "127.0.0.3", 200):
            pass
        assert open_here < 300 + 5 + connections.TOLD + 100, "the server, in this process, has kept few of them"


def test_the_number_of_all_connections_is_bounded_too(local: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FEWEST", 3)
    monkeypatch.setattr(connections, "RESERVE", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    with served(local, open_document(local, "app")) as registry, ExitStack() as kept:
        for number in range(3):
            kept.enter_context(ask_of(registry, f"127.0.0.{number + 2}", 200))
        with refused(registry, "127.0.0.9"):
            pass


def test_a_trusted_proxy_has_as_many_connections_as_it_needs(local: LocalSandbox) -> None:
    with (
        served(
            local,
            open_document(local, "app"),
            connections_per_address=1,
            trusted_proxies=(ip_network("127.0.0.2/32"),),
        ) as registry,
        ExitStack() as kept,
    ):
        for _ in range(20):
            kept.enter_context(ask_of(registry, "127.0.0.2", 200))
        kept.enter_context(ask_of(registry, "127.0.0.3", 200))
        with refused(registry, "127.0.0.3"):
            pass


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%lo", "fe80::"),
    ],
)
def test_a_client_of_ipv6_is_counted_by_its_network(address: str, counted: str) -> None:
    assert counted_as(address) == counted


@pytest.mark.slow
def test_serve_has_a_limit_of_one_s_own_and_takes_the_descriptors_that_it_may_have(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(json.dumps(LocalSandbox(tmp_path).document("app")))
    here = Reconciler(tmp_path)
    here("apply", "--yes")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))  # the process inherits it
    try:
        process = here.start("serve", "images", "--port", "0", "--connections-per-address", "2")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        host, _, port = url_of(process, "images").partition("//")[2].partition(":")
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (min(hard, 1 << 16), hard)
        with ExitStack() as kept:
            for wanted in (401, 401, 503):
                client = kept.enter_context(socket.create_connection((host, int(port)), timeout=30))
                client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: here\r\n\r\n")
                assert answer(client)[0] == wanted
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def ask_of(registry: Served, source: str, expected: int | None = None) -> Iterator[int]:
    """A connection of that client on which one request was answered; gives the status."""
    with connection_of(registry, source) as client:
        client.sendall(ASK)
        status = answer(client)[0]
        assert expected in (None, status)
        yield status


@contextmanager
def refused(registry: Served, source: str) -> Iterator[http.client.HTTPMessage]:
    """A connection of that client that is refused in the specification's form; gives the answer's headers."""
    with connection_of(registry, source) as client:
        client.sendall(ASK)
        status, headers, body = answer(client)
        assert (status, json.loads(body)["errors"][0]["code"]) == (503, "UNAVAILABLE")
        assert ends(client)
        yield headers


@contextmanager
def connection_of(registry: Served, source: str) -> Iterator[socket.socket]:
    """As `connect`, with TLS if the server has it."""
    with connect(registry, source) as client, as_served(client, registry) as wrapped:
        yield wrapped


def test_who_has_guessed_waits_with_many_new_connections_and_nobody_else(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "A_SECOND", 0.01)
    monkeypatch.setattr(turns, "AT_ONCE", 1)
    many = turns.AT_ONCE + 2
    wrong = ASK.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic bm86bm8=\r\n\r\n")
    with ExitStack() as stack:

        def crowd(source: str) -> list[socket.socket]:
            made = [stack.enter_context(connect(registry, source)) for _ in range(many)]
            for client in made:
                client.sendall(ASK)
            return made

        with ExitStack() as before:
            stack, after = before, stack
            for client in crowd("127.0.0.9"):
                assert answer(client)[0] == 200, "it has guessed nothing"
            stack = after
        with connect(registry, "127.0.0.9") as guesser:
            guesser.sendall(wrong)
            assert answer(guesser)[0] == 401
        guessers = crowd("127.0.0.9")
        for client in guessers[: turns.AT_ONCE]:
            assert answer(client)[0] == 200
        for client in crowd("127.0.0.10"):
            assert answer(client)[0] == 200
        waiting, _, _ = select.select(guessers[turns.AT_ONCE :], [], [], 0)
        assert not waiting


# -- requests that are none --------------------------------------------------------------------------------------

MALFORMED = {
    "not HTTP": b"SSH-2.0-client s3cret\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00s3cret\r\n\r\n",
    "a header's name": b"GET /v2/ HTTP/1.1\r\nHost: here\r\nAuthor\x00ization: s3cret\r\n\r\n",
    "a header's value": b"GET /v2/ HTTP/1.1\r\nHost: here\r\nAuthorization: s3\x00cret s3cret\r\n\r\n",
    "a huge header": b"GET /v2/ HTTP/1.1\r\nHost: here\r\nAuthorization: %b\r\n\r\n" % (b"s3cret" * 20_000),
    "many headers": b"GET /v2/ HTTP/1.1\r\nHost: here\r\n%b\r\n" % (b"X-X: s3cret\r\n" * 500),
    "a huge address": b"GET /%b HTTP/1.1\r\nHost: here\r\n\r\n" % (b"s3cret" * 20_000),
    "an address": b"GET http://[s3cret HTTP/1.1\r\nHost: here\r\n\r\n",
    "another version": b"GET /v2/ HTTP/9.9\r\nHost: here\r\nAuthorization: s3cret\r\n\r\n",
    "two lengths": b"PUT /v2/app/manifests/x HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\ns3cret",
    "the size of a chunk": b"PUT /v2/app/manifests/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzs3cret\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_one_line_in_the_log(
    registry: Served, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO)
    with connect(registry) as client:
        client.sendall(sent)
        assert answer(client)[0] == 400
        assert ends(client)
    (line,) = lines(caplog)
    assert line.startswith("127.0.0.2: malformed request: ")


@pytest.mark.parametrize("path", BODIES)
def test_a_body_whose_chunks_become_malformed_is_one_line_in_the_log(
    registry: Served, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.INFO)
    with connect(registry) as client:
        client.sendall(
            f"{path} HTTP/1.1\r\nHost: here\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n6\r\ns3cret\r\n".encode()
        )
        # an answer to another request means that this one has entered
        assert registry.http.get("/v2/app/tags/list").status_code == 200
        client.sendall(b"zs3cret\r\n\r\n")
        assert answer(client)[0] == 400
        assert ends(client)
    (line,) = lines(caplog)
    assert line.startswith("127.0.0.2: malformed request: ")


@pytest.mark.parametrize("path", BODIES)
def test_a_client_that_leaves_before_its_body_has_arrived_is_one_line_in_the_log(
    registry: Served, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.INFO)
    with connect(registry) as client:
        client.sendall(f"{path} HTTP/1.1\r\nHost: here\r\n{FORM}Content-Length: 100\r\n\r\ns3cret".encode())
        client.shutdown(socket.SHUT_WR)
        assert ends(client)
    for _ in range(3000):
        if lines(caplog):
            break
        time.sleep(0.01)
    (line,) = lines(caplog)
    assert line.startswith("127.0.0.2: disconnected before")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the server has logged, which holds no secret and no traceback."""
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text
    return [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
