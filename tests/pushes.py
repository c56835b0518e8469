"""Pushes, one request after the other, each at the server that the caller says; in between, the caller does what it likes."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from tests.images import digest
from tests.registry_model import Item, Repository

#: how a blob is pushed. CHECKED: as clients do, which first ask whether it is there
AT_ONCE, TWO_REQUESTS, CHUNKS, CUT_OFF, MOUNT, CHECKED = WAYS = (
    "at once",
    "two requests",
    "chunks",
    "cut off",
    "mount",
    "checked",
)
#: answers 416 with which a resumed upload may be told how far it is: what was cut off may still be on its way
PATIENCE = 200


@dataclass(frozen=True)
class Answer:
    """A server's answer. `headers`: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Client:
    """One connection to one server, over which thousands of small requests go: written by hand, since libraries take longer to read
    an answer than the server to make it. `token`: what it logs in with."""

    def __init__(self, url: str, token: str = "") -> None:
        self.token = token
        self.host, _, port = url.partition("//")[2].partition(":")
        self.port = int(port)
        self._connection = socket.create_connection((self.host, self.port), timeout=30)
        self._answers = self._connection.makefile("rb")

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request. Underscores of the headers' names stand for hyphens."""
        self._connection.sendall(self._head(method, path, len(body), headers) + body)
        status = int(self._answers.readline().split()[1])
        found: dict[str, str] = {}
        while line := self._answers.readline().decode().rstrip():
            name, _, value = line.partition(": ")
            found[name.lower()] = value
        empty = method == "HEAD" or status in (204, 304)
        return Answer(status, found, b"" if empty else self._answers.read(int(found["content-length"])))

    def _head(self, method: str, path: str, length: int, headers: dict[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {length}"]
        lines += [f"Authorization: Bearer {self.token}"] if self.token else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def cut_off(self, method: str, path: str, body: bytes, sent: int, **headers: str) -> None:
        """A request of which only `sent` bytes of the body arrive. Returns once the server has closed the connection."""
        with socket.create_connection((self.host, self.port), timeout=30) as connection:
            connection.sendall(self._head(method, path, len(body), headers) + body[:sent])
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass

    def close(self) -> None:
        """Closes the connection."""
        self._answers.close()
        self._connection.close()


class Stopped(Exception):
    """The push was refused, and might be."""


#: each yield asks for the client of the next request
Steps = Generator[None, Client, None]


class Push:
    """An image on its way into a repository.

    `elsewhere`: also the layers that may come from elsewhere. `asks`: whether each of an index's images is there, as clients do.
    `parts`: when each that has been pushed was pushed or seen there. `doomed`: one of them may be gone by now, so the push may fail.
    """

    def __init__(
        self, play: Play, name: str, item: Item, tag: str, ways: Sequence[str], *, elsewhere: bool, asks: bool
    ) -> None:
        self.play, self.name, self.item, self.tag = play, name, item, tag
        self._elsewhere, self._asks = elsewhere, asks
        self.parts: dict[str, float] = {}
        self.doomed = False
        self._ways = cycle(ways)
        self._steps = self._manifest(item, tag)
        next(self._steps)

    def __repr__(self) -> str:
        return f"<push of {self.item!r} to {self.name}:{self.tag}>"

    def step(self, client: Client) -> bool:
        """Makes the next request; False if that was the last. Raises AssertionError for an answer that no push should get."""
        try:
            self._steps.send(client)
        except (StopIteration, Stopped):
            return False
        return True

    @property
    def _repository(self) -> Repository:
        return self.play.repositories[self.name]

    def _check(self, answer: Answer, *statuses: int) -> Answer:
        if answer.status in statuses:
            return answer
        assert answer.status < 500, answer
        assert self.doomed, f"{self!r}: {answer.status} {answer.body!r}"
        raise Stopped

    def _has(self, wanted: str) -> None:
        self.parts[wanted] = self.play.now

    def _manifest(self, item: Item, tag: str) -> Steps:
        for child in item.children:
            yield from self._child(child)
        for body in (*item.blobs, *(item.elsewhere if self._elsewhere else ())):
            yield from self._blob(body)
        client = yield
        path = f"/v2/{self.name}/manifests/{tag or item.digest}"
        refused = self._repository.refuses(item, tag)
        answer = client.request("PUT", path, item.body)
        if refused:
            assert answer.status == 409 or (self.doomed and answer.status == 400), answer
            raise Stopped
        self._check(answer, 201)
        self._repository.pushed(item, tag, self.play.now)
        self._has(item.digest)

    def _child(self, child: Item) -> Steps:
        if self._asks:
            client = yield
            answer = client.request("HEAD", f"/v2/{self.name}/manifests/{child.digest}")
            assert answer.status == (200 if child.digest in self._repository.held else 404), answer
            if answer.status == 200:
                self._repository.held[child.digest].used = self.play.now
                self._has(child.digest)
                return
        yield from self._manifest(child, "")

    # -- blobs

    def _blob(self, body: bytes) -> Steps:
        way, wanted = next(self._ways), digest(body)
        if way == CHECKED:
            client = yield
            answer = client.request("HEAD", f"/v2/{self.name}/blobs/{wanted}")
            assert answer.status in ((200,) if wanted in self._repository.blobs else (200, 404)), answer
            if answer.status == 200:
                self._arrived(wanted)
                return
        if way == MOUNT:
            source = next(name for name in self.play.repositories if name != self.name)
            client = yield
            path = f"/v2/{self.name}/blobs/uploads/?mount={wanted}&from={source}"
            answer = self._check(client.request("POST", path), 201, 202)
            if answer.status == 201:
                self._arrived(wanted)
                return
            assert wanted not in self.play.repositories[source].blobs, answer
            self._has("upload")
            yield from self._put(answer.headers["location"], wanted, body)
        elif way in (TWO_REQUESTS, CHUNKS, CUT_OFF):
            client = yield
            answer = self._check(client.request("POST", f"/v2/{self.name}/blobs/uploads/"), 202)
            self._has("upload")
            chunks = self._chunks if way == CHUNKS else self._cut_off if way == CUT_OFF else self._put
            yield from chunks(answer.headers["location"], wanted, body)
        else:
            client = yield
            self._check(client.request("POST", f"/v2/{self.name}/blobs/uploads/?digest={wanted}", body), 201)
            self._arrived(wanted)

    def _put(self, location: str, wanted: str, rest: bytes) -> Steps:
        client = yield
        self._check(client.request("PUT", f"{location}?digest={wanted}", rest), 201)
        self._arrived(wanted)

    def _chunks(self, location: str, wanted: str, body: bytes) -> Steps:
        """Two chunks, and nothing more with the PUT."""
        middle = len(body) // 2
        for first, last in ((0, middle), (middle, len(body))):
            client = yield
            sent = client.request("PATCH", location, body[first:last], Content_Range=f"{first}-{last - 1}")
            self._check(sent, 202)
            self._has("upload")
        yield from self._put(location, wanted, b"")

    def _cut_off(self, location: str, wanted: str, body: bytes) -> Steps:
        """A chunk that is cut off; then the server says how far it is, and the rest follows."""
        client = yield
        client.cut_off("PATCH", location, body, len(body) // 2)
        self._has("upload")
        client = yield
        answer = self._check(client.request("GET", location), 204)
        for _ in range(PATIENCE):
            offset = _offset(answer)
            client = yield
            last = len(body) - 1
            answer = client.request("PATCH", location, body[offset:], Content_Range=f"{offset}-{last}")
            if answer.status != 416:
                break
        self._check(answer, 202)
        yield from self._put(location, wanted, b"")

    def _arrived(self, wanted: str) -> None:
        self.parts.pop("upload", None)
        self._has(wanted)
        self._repository.blobs[wanted] = self.play.now


class Play:
    """The time of the play, in seconds, and what the repositories must hold."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.repositories = {name: Repository() for name in names}


def _offset(answer: Answer) -> int:
    """How many bytes the server has. It says 0-0 for none and for one: here it is none, since halves of bodies have more."""
    last = int(answer.headers["range"].rpartition("-")[2])
    return last + 1 if last else 0
