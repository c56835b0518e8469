"""Garbage collection of a large local registry, beside pushes: is it linear, how long does it keep others waiting, what does it take?

`python -m bench.collect FOLDER collect` is one collection in a process of its own, `python -m bench.collect FOLDER push` pushes
small images into the same registry until it is told to end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.process import resident
from reconciler.platforms.local import manifest as manifests
from reconciler.platforms.local.collect import collect
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.documents import RepositoryDocument, RepositorySettings
from reconciler.platforms.local.store import Store
from tests.images import CONFIG, LAYER, Image, descriptor, digest

SIZES = (10_000, 30_000, 100_000)
#: seconds between two pushes
PAUSE = 0.05
GRACE = 3600.0
BASE = b"a layer that all of them have"


def collecting() -> None:
    """Prints a row for each size and for each collection: one that removes half of the images, then one that removes nothing."""
    print(
        "\ngc of one repository (a tag and two blobs of its own for each image), beside pushes of a thread and of a process:"
        "\nfirst it removes half of the images, then there is nothing to remove"
    )
    print(
        f"{'images':>8} {'removed':>8} {'s':>7} {'s/1,000':>8} {'MiB':>5} {'lock held, max s':>17}"
        f" {'push max s: thread':>19} {'process':>8} {'alone':>6}"
    )
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "store"
            _build(folder, size)
            alone = _alone(folder)
            for held in (size, size // 2):
                with _pushing(folder) as slowest:
                    run = [sys.executable, "-m", "bench.collect", str(folder), "collect"]
                    done = subprocess.run(run, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout)
                print(
                    f"{held:>8,} {found['removed']:>8,} {found['seconds']:>7.1f} {found['seconds'] / held * 1000:>8.3f}"
                    f" {found['peak']:>5.0f} {found['lock']:>17.3f} {found['push']:>19.3f} {slowest[0]:>8.3f} {alone:>6.3f}"
                )


def _build(folder: Path, size: int) -> None:
    """A registry of images that were pushed long ago, written as files: by HTTP it would take an hour."""
    content = Content(Store(folder))
    settings = RepositorySettings(keep_last=size // 2)
    with content.changing():
        content.documents.repositories.write(RepositoryDocument("app", settings))
        content.documents.repositories.write(RepositoryDocument("pushed", RepositorySettings()))
    then = time.time() - 30 * 24 * 3600
    parts = ("blobs", "links/app", "manifests/app", "times/app")
    for part in parts:
        (folder / part / "sha256").mkdir(parents=True)
    (folder / "tags/app").mkdir(parents=True)
    rows = [descriptor(BASE, LAYER)]
    for number in range(size):
        blobs = [f"{what} {number}".encode() for what in ("config", "layer")]
        config, layer = (descriptor(body, kind) for body, kind in zip(blobs, (CONFIG, LAYER), strict=True))
        document = {"schemaVersion": 2, "mediaType": manifests.OCI_MANIFEST, "config": config, "layers": [*rows, layer]}
        body = json.dumps(document).encode()
        wanted = digest(body)
        _write(folder / "manifests/app", wanted, body, then)
        _write(
            folder / "times/app", wanted, json.dumps({"pushed": then + number, "asked": then + number}).encode(), then
        )
        (folder / "tags/app" / f"v{number}").write_text(wanted)
        for blob in (*blobs, *([BASE] if number == 0 else [])):
            _write(folder / "blobs", digest(blob), blob, then)
            _write(folder / "links/app", digest(blob), b"", then)
    os.sync()


def _write(folder: Path, wanted: str, body: bytes, then: float) -> None:
    path = folder / "sha256" / wanted.partition(":")[2]
    path.write_bytes(body)
    os.utime(path, (then, then))


def _push(content: Content, number: int) -> float:
    """Pushes a manifest with a tag; returns how many seconds that took."""
    image = Image(number % 50, layers=1, size=100)
    for wanted, body in image.blobs.items():
        upload = content.start_upload("pushed")
        upload.append(body)
        content.finish_upload(upload, wanted)
    found = manifests.parse(image.manifest)
    started = time.monotonic()
    missing = content.put_manifest("pushed", digest(image.manifest), image.manifest, found, ["v"], lambda tag: True)
    assert not missing
    return time.monotonic() - started


def _alone(folder: Path) -> float:
    content = Content(Store(folder))
    return max(_push(content, number) for number in range(50))


@contextmanager
def _pushing(folder: Path) -> Iterator[list[float]]:
    """Pushes from another process while the block runs; its list has one item then, the seconds that the slowest took."""
    command = [sys.executable, "-m", "bench.collect", str(folder), "push"]
    slowest: list[float] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        yield slowest
        output, _ = process.communicate("")
        slowest.append(float(output))


def _push_until_told() -> None:
    content, slowest, end = Content(Store(Path(sys.argv[1]))), 0.0, threading.Event()
    threading.Thread(target=_wait_to_be_told, args=(end,), daemon=True).start()
    print("pushing", flush=True)
    number = 0
    while not end.wait(PAUSE):
        slowest, number = max(slowest, _push(content, number)), number + 1
    print(slowest)


def _wait_to_be_told(end: threading.Event) -> None:
    sys.stdin.read()
    end.set()


class _Measured(Content):
    """Notes the longest time for which one thread has held the lock."""

    longest = 0.0

    @contextmanager
    def changing(self) -> Iterator[None]:
        with super().changing():
            started = time.monotonic()
            try:
                yield
            finally:
                self.longest = max(self.longest, time.monotonic() - started)


def _collect() -> None:
    content, end, slowest = _Measured(Store(Path(sys.argv[1]))), threading.Event(), [0.0]
    pushing = Content(content.store)
    pushing._busy = content._busy  # as the server: one object, but only the collection's times are noted

    def push() -> None:
        number = 0
        while not end.wait(PAUSE):
            slowest[0], number = max(slowest[0], _push(pushing, number)), number + 1

    thread = threading.Thread(target=push)
    thread.start()
    started = time.monotonic()
    done = collect(content, grace=GRACE)
    seconds = time.monotonic() - started
    end.set()
    thread.join()
    print(
        json.dumps(
            {
                "seconds": seconds,
                "removed": sum(len(item.images) for item in done),
                "peak": resident(str(os.getpid()), "VmHWM:"),
                "lock": content.longest,
                "push": slowest[0],
            }
        )
    )


if __name__ == "__main__":
    _push_until_told() if sys.argv[2] == "push" else _collect()
