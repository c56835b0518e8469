"""64 clients at once push and pull small images, alone and while somebody guesses passwords: how long each push and pull takes.

`python -m bench.crowd clients|guess|deaf` is one of the processes; what it needs, secrets among it, it reads from standard input.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import aiohttp

from bench.registry import Target, ours, theirs
from tests.images import Image, digest

CLIENTS, SECONDS, ROUNDS = 64, 10.0, 3
#: requests of a burst of guesses, and seconds between two bursts
GUESSES, PAUSE = 250, 1.0
#: where clients and the guesser come from: the server limits the connections of an address
HONEST, OTHER = "127.0.0.2", "127.0.0.3"


@dataclass
class Work:
    """What a process does. `login`: user name and password, or none."""

    place: str
    login: list[str]
    seconds: float = SECONDS


@dataclass
class Times:
    """Seconds of each push and pull."""

    push: list[float]
    pull: list[float]


def crowd() -> None:
    """Prints the 50th and 99th percentile of pushes and pulls in milliseconds: alone, and while passwords are guessed."""
    if shutil.which("docker-registry") is None:
        print("\n(64 clients at once are not measured: docker-registry not found)")
        return
    with (
        tempfile.TemporaryDirectory() as name,
        ours(Path(name) / "ours") as our,
        theirs(Path(name) / "theirs") as their,
    ):
        _compare(our, their)


def _compare(our: Target, their: Target) -> None:
    alone, machine, beside = Times([], []), Times([], []), Times([], [])
    with _deaf() as nobody:
        for _ in range(ROUNDS):
            _add(alone, _measured(our))
            with _guessing(replace(our, place=nobody)):
                _add(machine, _measured(our))
            with _guessing(our):
                _add(beside, _measured(our))
    other = _measured(their)
    print(
        f"\n{CLIENTS} clients at once, half with Basic and half with tokens; milliseconds of a push (2 blobs) or a pull"
    )
    print(f"{'':<34} {'push p50':>9} {'p99':>7} {'pull p50':>9} {'p99':>7} {'pushes/s':>9}")
    rows = {
        "reconciler": alone,
        "passwords guessed at another server": machine,
        "the same, passwords are guessed": beside,
        "docker-registry, without logins": other,
    }
    for name, times in rows.items():
        figures = [1000 * value for each in (times.push, times.pull) for value in _percentiles(each)]
        rate = len(times.push) / SECONDS / (1 if times is other else ROUNDS)
        print(f"{name:<35} {figures[0]:>8.0f} {figures[1]:>7.0f} {figures[2]:>9.0f} {figures[3]:>7.0f} {rate:>9.0f}")
    for name, than in (("than alone", alone), ("than beside a guesser at another server", machine)):
        push, pull = (
            _percentiles(b)[1] / _percentiles(a)[1] for a, b in ((than.push, beside.push), (than.pull, beside.pull))
        )
        print(f"p99 while passwords are guessed, times {name}: push {push:.2f}, pull {pull:.2f} (target: at most 2)")


@contextmanager
def _deaf() -> Iterator[str]:
    """Where a server is that closes all connections: what the guesser costs the machine, and not the server that is measured."""
    command = [sys.executable, "-m", "bench.crowd", "deaf"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _percentiles(times: list[float]) -> tuple[float, float]:
    parts = statistics.quantiles(times, n=100)
    return parts[49], parts[98]


def _add(to: Times, more: Times) -> None:
    to.push += more.push
    to.pull += more.pull


def _measured(target: Target) -> Times:
    done = subprocess.run(
        [sys.executable, "-m", "bench.crowd", "clients"], input=_work(target), check=True, stdout=subprocess.PIPE
    )
    return Times(**json.loads(done.stdout))


@contextmanager
def _guessing(target: Target) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.crowd", "guess"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(_work(target))
        process.stdin.close()
        try:
            yield
        finally:
            process.terminate()


def _work(target: Target) -> bytes:
    login = target.login[-1].split(":", 1) if target.login else []
    return json.dumps(asdict(Work(target.place, login))).encode()


# -- the clients' process ----------------------------------------------------------------------------------------


async def clients(work: Work) -> Times:
    """What each push and pull took."""
    times = Times([], [])
    connector = aiohttp.TCPConnector(limit=0, local_addr=(HONEST, 0))
    async with aiohttp.ClientSession(f"http://{work.place}", connector=connector) as http:
        end = time.monotonic() + work.seconds
        await asyncio.gather(*(_client(http, work, number, end, times) for number in range(CLIENTS)))
    return times


async def _client(http: aiohttp.ClientSession, work: Work, number: int, end: float, times: Times) -> None:
    chance = random.Random(number)
    headers = await _login(http, work, by_token=number % 2 == 1)
    while time.monotonic() < end:
        image = Image(chance.randrange(1 << 40), layers=1, size=4000)
        started = time.monotonic()
        for name, body in image.blobs.items():
            await _push_blob(http, headers, name, body)
        tag = f"/v2/app/manifests/client-{number}"
        kind = {"Content-Type": image.document["mediaType"]}
        async with http.put(tag, data=image.manifest, headers=headers | kind) as answer:
            answer.raise_for_status()
        pushed = time.monotonic()
        for path in (tag, *(f"/v2/app/blobs/{name}" for name in image.blobs)):
            async with http.get(path, headers=headers | {"Accept": kind["Content-Type"]}) as answer:
                answer.raise_for_status()
                assert digest(await answer.read()) in (digest(image.manifest), path.rpartition("/")[2])
        times.push.append(pushed - started)
        times.pull.append(time.monotonic() - pushed)


async def _login(http: aiohttp.ClientSession, work: Work, *, by_token: bool) -> dict[str, str]:
    if not work.login:
        return {}
    basic = {"Authorization": _basic(*work.login)}
    if not by_token:
        return basic
    async with http.get("/token", params={"scope": "repository:app:pull,push"}, headers=basic) as answer:
        answer.raise_for_status()
        return {"Authorization": f"Bearer {(await answer.json())['token']}"}


async def _push_blob(http: aiohttp.ClientSession, headers: dict[str, str], name: str, body: bytes) -> None:
    async with http.post("/v2/app/blobs/uploads/", headers=headers) as answer:
        answer.raise_for_status()
        place = answer.headers["Location"]
    place = place.partition(str(http._base_url))[2] if place.startswith("http") else place
    joined = "&" if "?" in place else "?"
    kind = {"Content-Type": "application/octet-stream"}
    async with http.put(f"{place}{joined}digest={name}", data=body, headers=headers | kind) as answer:
        answer.raise_for_status()


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


# -- the guesser's process ---------------------------------------------------------------------------------------


async def guess(work: Work) -> None:
    """Logs in with wrong secrets for an ID that there is, many at a time, and leaves before the answer; until it is ended."""
    host, _, port = work.place.partition(":")
    while True:
        await asyncio.gather(*(_guess_once(host, int(port), work.login) for _ in range(GUESSES)))
        await asyncio.sleep(PAUSE)


async def _guess_once(host: str, port: int, login: list[str]) -> None:
    wrong = f"{login[1][:-12]}{random.randbytes(6).hex()}"
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(host, port, local_addr=(OTHER, 0))
        writer.write(f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: {_basic(login[0], wrong)}\r\n\r\n".encode())
        await writer.drain()
        writer.close()


def deaf() -> None:
    """Closes all connections, and prints where."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        print(f"127.0.0.1:{server.getsockname()[1]}", flush=True)
        while True:
            server.accept()[0].close()


if __name__ == "__main__":
    if sys.argv[1] == "deaf":
        deaf()
    given = Work(**json.loads(sys.stdin.read()))
    if sys.argv[1] == "guess":
        asyncio.run(guess(given))
    else:
        print(json.dumps(asdict(asyncio.run(clients(given)))))
