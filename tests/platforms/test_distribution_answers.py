"""What a registry answers is read within limits, and means no more than it says."""

from __future__ import annotations

import gzip
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from reconciler.errors import PlatformError
from reconciler.platforms.distribution.auth import Busy
from reconciler.platforms.distribution.client import RegistryClient
from reconciler.platforms.distribution.deadline import limit
from reconciler.platforms.distribution.limits import LONGEST, TooLong, limited
from reconciler.platforms.distribution.refusal import Refusal
from tests.emulators.distribution import Elsewhere
from tests.emulators.serving import served


def read(sent: bytes, encoding: str = "") -> bytes:
    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": encoding} if encoding else {}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(sent))

    transport = httpx.MockTransport(answer)
    with httpx.Client(transport=transport, event_hooks={"response": [limited]}) as client:
        return client.get("https://registry.example.com/v2/").content


def test_what_is_packed_is_unpacked_whole() -> None:
    text = json.dumps([f"{number:040x}" for number in range(50_000)]).encode()
    assert read(gzip.compress(text), "GZip") == text
    assert read(text, "identity") == text


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_what_is_longer_than_the_limit_is_not_read(encoding: str) -> None:
    def sent(length: int) -> bytes:
        return gzip.compress(b"a" * length, 1) if encoding else b"a" * length

    assert len(read(sent(LONGEST), encoding)) == LONGEST
    with pytest.raises(TooLong):
        read(sent(LONGEST + 1), encoding)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate"])
def test_what_is_packed_as_nobody_asked_for_is_not_unpacked(encoding: str) -> None:
    with pytest.raises(httpx.DecodingError, match="not asked for"):
        read(b"abc", encoding)


def test_what_can_t_be_unpacked_is_said_so() -> None:
    with pytest.raises(httpx.DecodingError, match="can't be unpacked"):
        read(b"no gzip", "gzip")


class Dripping(socketserver.BaseRequestHandler):
    """Answers with a beginning, and then drop by drop, until whoever asks has gone."""

    begins = b""
    drop = b"a"

    def handle(self) -> None:
        try:
            while self.request.recv(1 << 16):
                self.request.sendall(self.begins)
                while True:
                    self.request.sendall(self.drop)
                    time.sleep(0.05)
        except OSError:
            return


@pytest.mark.parametrize(
    ("begins", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"", b"H"),
    ],
)
def test_an_answer_without_an_end_is_given_up_when_its_time_is_over(begins: bytes, drop: bytes) -> None:
    handler = type("Handler", (Dripping,), {"begins": begins, "drop": drop})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            with httpx.Client(timeout=30, trust_env=False) as client:
                limit(client, 0.5)
                with pytest.raises(httpx.ReadTimeout):
                    client.get(f"http://127.0.0.1:{server.server_address[1]}/v2/")
        finally:
            server.shutdown()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with served(Elsewhere()) as found:
        yield found


def test_a_list_of_tags_that_is_too_long_leaves_open_what_is_there(elsewhere: Elsewhere) -> None:
    elsewhere.answers["/v2/app/tags/list"] = (200, {}, " " * (LONGEST + 1))
    with RegistryClient(elsewhere.url) as asked:
        assert asked.holds("app") == Refusal("the registry answers more than 16 MiB, which is not read")


@pytest.mark.parametrize(
    ("codes", "missing"),
    [
        (["NAME_UNKNOWN"], True),
        (["NOT_FOUND"], True),
        (["DENIED"], False),
        (["NAME_UNKNOWN", "UNAUTHORIZED"], False),
        ([7], False),
    ],
)
def test_a_404_says_that_nothing_is_there_by_its_codes_alone(
    elsewhere: Elsewhere, codes: list[Any], missing: bool
) -> None:
    text = json.dumps({"errors": [{"code": code} for code in codes]})
    elsewhere.answers["/v2/app/tags/list"] = (404, {}, text)
    with RegistryClient(elsewhere.url) as asked:
        found = asked.holds("app")
    assert (found is False) == missing
    assert isinstance(found, Refusal) != missing


@pytest.mark.parametrize("link", ["http://[::1", "/v2/_catalog/", "/docker/v2/_catalog?n=1"])
@pytest.mark.parametrize("relation", ['rel="next"', "REL=NEXT", 'rel="prev next"'])
def test_a_next_page_that_is_not_followed_leaves_open_what_is_there(
    elsewhere: Elsewhere, link: str, relation: str
) -> None:
    elsewhere.answers["/v2/_catalog"] = (200, {"Link": f"<{link}>; {relation}"}, '{"repositories": ["a"]}')
    with RegistryClient(elsewhere.url) as asked:
        assert isinstance(asked.repositories(), Refusal)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "", 1),
        (429, "7", 7),
        (503, "0", 1),
        (503, "", None),
        (503, "nonsense", None),
        (503, "Wed, 21 Oct 2015 07:28:00 GMT", 1),
    ],
)
def test_whoever_is_busy_is_asked_again_when_it_says(
    elsewhere: Elsewhere, status: int, header: str, seconds: float | None
) -> None:
    elsewhere.answers["/v2/"] = (status, {"Retry-After": header} if header else {}, "")
    with RegistryClient(elsewhere.url) as asked, pytest.raises(Busy) as failed:
        asked.check_login()
    assert failed.value.seconds == seconds
    assert failed.value.hint == "run again later"


def test_a_token_service_that_is_busy_is_no_service_without_tokens(elsewhere: Elsewhere) -> None:
    realm = f'Bearer realm="{elsewhere.url}/token"'
    elsewhere.answers["/v2/"] = (401, {"WWW-Authenticate": realm}, "")
    elsewhere.answers["/token"] = (503, {"Retry-After": "5"}, "")
    with (
        RegistryClient(elsewhere.url) as asked,
        pytest.raises(PlatformError, match="token service answers 503") as failed,
    ):
        asked.check_login()
    assert isinstance(failed.value, Busy)
    assert failed.value.seconds == 5
