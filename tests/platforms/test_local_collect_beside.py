"""Garbage collection of a local registry beside others who use it: between any two of its steps anything may happen."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.service import ServerOptions
from reconciler.platforms.local import collect as collecting
from reconciler.platforms.local import manifest as manifests
from reconciler.platforms.local import store
from reconciler.platforms.local.collect import LET_GO, Collection, collect
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.documents import RepositoryDocument, RepositorySettings
from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from reconciler.platforms.local.references import References
from reconciler.platforms.local.refusals import Missing, Refused
from reconciler.platforms.local.server.running import LocalServer
from reconciler.platforms.local.store import LOCK_POLL, Store
from tests.images import Image, descriptor, digest
from tests.registries import make_older, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

GRACE = 3600.0
DAY = 24 * 3600.0


class Registry:
    """A folder, used as the server uses it."""

    def __init__(self, root: Path, kind: type[Content] = Content) -> None:
        self.root = root
        self.content = kind(Store(root))

    def settings(self, name: str, **settings: Any) -> None:
        with self.content.changing():
            self.content.documents.repositories.write(RepositoryDocument(name, RepositorySettings(**settings)))

    def put(self, body: bytes, *tags: str, name: str = "app") -> list[str]:
        """Pushes a manifest; returns what is missing."""
        found = manifests.parse(body)
        return self.content.put_manifest(name, digest(body), body, found, tags, lambda tag: True)

    def push_blob(self, body: bytes, name: str = "app") -> None:
        upload = self.content.start_upload(name)
        upload.append(body)
        self.content.finish_upload(upload, digest(body))

    def push(self, image: Image, *tags: str, name: str = "app") -> None:
        for body in image.blobs.values():
            self.push_blob(body, name)
        assert self.put(image.manifest, *tags, name=name) == []

    def age(self, seconds: float) -> None:
        """Makes all that is there older."""
        make_older(self.root, seconds)

    def whole(self, name: str, wanted: str) -> None:
        """Raises AssertionError unless everything that the manifest refers to is there."""
        _, path = self.content.manifest(name, wanted)
        found = manifests.parse(path.read_bytes())
        assert self.content.missing(name, found) == [], wanted
        for child in found.manifests:
            self.whole(name, child)

    def all_whole(self) -> None:
        for name in self.content.documents.repositories.names():
            for wanted in (
                *self.content.tagged(name).values(),
                *(item for item, _ in self.content.each_manifest(name)),
            ):
                self.whole(name, wanted)


def index_of(*parts: bytes, **more: Any) -> bytes:
    rows = [descriptor(part, manifests.parse(part).media_type) for part in parts]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows, **more}).encode()


def signature_of(subject: bytes, image: Image) -> bytes:
    return json.dumps({**image.document, "subject": descriptor(subject, OCI_MANIFEST)}).encode()


OLD, SIGNATURE, NEW = Image(1), Image(2), Image(9)
FIRST, SECOND, THIRD = Image(3), Image(4), Image(5)
INDEX = index_of(FIRST.manifest, SECOND.manifest)
INNER = index_of(THIRD.manifest)
OUTER = index_of(INNER)
SIGNED = signature_of(OLD.manifest, SIGNATURE)
#: the blob of OLD that nothing else has
LAYER = next(body for wanted, body in OLD.blobs.items() if wanted != OLD.config["digest"])
#: an image that one repository alone has, and its blob
LONELY = Image(8)
ALONE = digest(next(body for wanted, body in LONELY.blobs.items() if wanted != LONELY.config["digest"]))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose time is over: a signed one, one for two architectures, an index of an index. And one that stays."""
    registry = Registry(tmp_path_factory.mktemp("template") / "store")
    registry.settings("app", keep_last=1, untagged_days=7)
    registry.settings("other")
    registry.settings("third")
    registry.push(OLD, "old")
    registry.push(SIGNATURE)
    assert registry.put(SIGNED) == []
    for image in (FIRST, SECOND, THIRD):
        registry.push(image)
    for body, tag in ((INDEX, "many"), (INNER, ""), (OUTER, "nested")):
        assert registry.put(body, *([tag] if tag else [])) == []
    registry.push(LONELY, "lonely", name="third")
    registry.age(30 * DAY)
    for name in ("app", "other"):
        registry.push(NEW, "new", name=name)
    registry.age(DAY)
    return registry.root


@dataclass
class Then:
    """What must hold at the end. `check`: more than that all is whole."""

    check: Callable[[Registry], None] = field(default=lambda registry: None)


def an_index_of_an_old_image(registry: Registry) -> Then:
    body = index_of(FIRST.manifest)
    if registry.put(body, "again"):
        registry.push(FIRST)
        assert registry.put(body, "again") == []
    return Then(lambda later: later.whole("app", digest(body)))


def an_index_of_an_old_index(registry: Registry) -> Then:
    body = index_of(INNER, NEW.manifest)
    if registry.put(body, "again"):
        registry.push(THIRD)
        assert registry.put(INNER) == []
        assert registry.put(body, "again") == []
    return Then(lambda later: later.whole("app", digest(body)))


def an_old_image_under_a_new_tag(registry: Registry) -> Then:
    if registry.put(OLD.manifest, "again"):
        registry.push(OLD, "again")
    return Then(lambda later: later.whole("app", later.content.tagged("app")["again"]))


def an_image_with_the_layers_of_an_old_one(registry: Registry) -> Then:
    body = json.dumps({**OLD.document, "annotations": {"a": "b"}}).encode()
    if registry.put(body, "again"):
        for blob in OLD.blobs.values():
            registry.push_blob(blob)
        assert registry.put(body, "again") == []
    return Then(lambda later: later.whole("app", digest(body)))


def somebody_asks_for_a_child(registry: Registry) -> Then:
    try:
        registry.content.keep_manifest("app", digest(FIRST.manifest))
    except Missing:
        return Then()
    return Then(lambda later: later.whole("app", digest(FIRST.manifest)))


def somebody_asks_for_an_index(registry: Registry) -> Then:
    try:
        registry.content.keep_manifest("app", digest(OUTER))
    except Missing:
        return Then()
    return Then(lambda later: later.whole("app", digest(OUTER)))


def somebody_asks_for_a_blob(registry: Registry) -> Then:
    try:
        registry.content.keep_blob("app", digest(LAYER))
    except Missing:
        return Then()
    return Then(lambda later: assert_blob(later, "app"))


def a_blob_is_mounted(registry: Registry) -> Then:
    if not registry.content.mount("other", digest(LAYER), ["app"]):
        return Then()
    return Then(lambda later: assert_blob(later, "other"))


def a_blob_is_pushed_elsewhere(registry: Registry) -> Then:
    registry.push_blob(LAYER, "other")
    return Then(lambda later: assert_blob(later, "other"))


def a_blob_moves_from_one_repository_to_another(registry: Registry) -> Then:
    """To one whose blobs were listed before it came, from one whose blobs are listed after it went."""
    assert registry.content.mount("app", ALONE, ["third"])
    registry.content.remove_manifest("third", digest(LONELY.manifest))
    registry.content.remove_blob("third", ALONE)

    def check(later: Registry) -> None:
        assert later.content.blob_path(ALONE).read_bytes() == LONELY.blobs[ALONE]

    return Then(check)


def assert_blob(registry: Registry, name: str) -> None:
    registry.content.blob(name, digest(LAYER))
    assert registry.content.blob_path(digest(LAYER)).read_bytes() == LAYER


def a_signature_of_an_old_image(registry: Registry) -> Then:
    """What it signs was there when it came: so both stay, and so does the other signature."""
    there = [item for item, _ in registry.content.each_manifest("app")]
    registry.push(Image(6))
    body = signature_of(OLD.manifest, Image(6))
    assert registry.put(body) == []
    if digest(OLD.manifest) not in there:
        return Then()

    def check(later: Registry) -> None:
        later.whole("app", digest(OLD.manifest))
        found = {item for item, _ in later.content.referrers("app", digest(OLD.manifest))}
        assert found == {digest(body), digest(SIGNED)}

    return Then(check)


def the_index_is_deleted(registry: Registry) -> Then:
    with suppress(Missing):
        registry.content.remove_manifest("app", digest(INDEX))
    return Then()


def another_collects(registry: Registry) -> Then:
    for _ in Collection(registry.content, grace=GRACE).steps():
        pass
    return Then()


def retention_is_taken_away(registry: Registry) -> Then:
    there = {item for item, _ in registry.content.each_manifest("app")}
    registry.settings("app")
    return Then(lambda later: assert_kept(later, there))


def assert_kept(registry: Registry, there: set[str]) -> None:
    assert there == {item for item, _ in registry.content.each_manifest("app")}


def the_repository_is_made_anew(registry: Registry) -> Then:
    content = registry.content
    with content.changing():
        aside = content.forget("app")
        content.documents.repositories.remove("app")
    content.discard(aside)
    registry.settings("app", keep_last=1, untagged_days=7)
    registry.push(OLD, "old")
    registry.push(NEW, "new")

    def check(later: Registry) -> None:
        assert later.content.tags("app") == ["new", "old"]

    return Then(check)


def the_repository_is_deleted(registry: Registry) -> Then:
    content = registry.content
    with content.changing():
        aside = content.forget("app")
        content.documents.repositories.remove("app")
    content.discard(aside)
    return Then()


def times_are_lost(registry: Registry) -> Then:
    shutil.rmtree(registry.root / "times", ignore_errors=True)
    return Then()


EVENTS = [
    an_index_of_an_old_image,
    an_index_of_an_old_index,
    an_old_image_under_a_new_tag,
    an_image_with_the_layers_of_an_old_one,
    somebody_asks_for_a_child,
    somebody_asks_for_an_index,
    somebody_asks_for_a_blob,
    a_blob_is_mounted,
    a_blob_is_pushed_elsewhere,
    a_blob_moves_from_one_repository_to_another,
    a_signature_of_an_old_image,
    the_index_is_deleted,
    another_collects,
    retention_is_taken_away,
    the_repository_is_made_anew,
    the_repository_is_deleted,
    times_are_lost,
]


def collection(registry: Registry, grace: float = GRACE) -> Iterator[float]:
    return Collection(registry.content, grace=grace).steps()


@pytest.mark.parametrize("grace", [GRACE, pytest.param(0.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_whatever_happens_between_two_steps_leaves_everything_whole(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: Callable[[Registry], Then], grace: float
) -> None:
    monkeypatch.setattr(collecting, "IMAGES_AT_ONCE", 1)
    monkeypatch.setattr(collecting, "FILES_AT_ONCE", 4)
    if event is a_blob_moves_from_one_repository_to_another:
        monkeypatch.setattr(collecting, "READ_AT_ONCE", 1)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # nothing is cut off here, and it takes most of the time
    at = 0
    while True:
        registry, other = (Registry(tmp_path / str(at)) for _ in range(2))
        shutil.copytree(template, registry.root)
        steps = collection(registry, grace)
        if not _advance(steps, at):
            break
        then = event(other)
        for _ in steps:
            pass
        other.all_whole()
        then.check(other)
        at += 1
    assert at > 20, "as many steps as there are batches, and more"


def _advance(steps: Iterator[float], count: int) -> bool:
    return all(next(steps, None) is not None for _ in range(count))


def test_between_any_two_steps_the_lock_is_free_and_all_that_is_there_is_whole(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "IMAGES_AT_ONCE", 1)
    monkeypatch.setattr(collecting, "FILES_AT_ONCE", 4)
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    before = set(registry.content.tags("app"))
    for _ in collection(registry):
        with Store(registry.root).claiming(".lock") as free:
            assert free
        registry.all_whole()
    assert before - set(registry.content.tags("app")) == {"old", "many", "nested"}
    assert LET_GO > LOCK_POLL, "whoever waits in another process looks at least once while it is free"


def test_one_collects_at_a_time(template: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    with Store(registry.root).claiming(store.COLLECTING):
        (found,) = collect(registry.content, grace=GRACE)
        assert "another process is collecting" in found.trouble
        assert collect(registry.content, grace=GRACE, dry_run=True), "that only looks"
    assert sum(len(item.images) for item in collect(registry.content, grace=GRACE)) == 9


def test_a_collection_ends_with_its_server(template: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    end = threading.Event()
    end.set()
    assert collect(registry.content, grace=GRACE, end=end) == []
    assert registry.content.tags("app") == ["many", "nested", "new", "old"]
    begun, told = threading.Event(), []

    def collection(end: threading.Event) -> None:
        begun.set()
        told.append(end.wait(60))

    with LocalServer("store", registry.content, ServerOptions(collect_every=0.01), collection):
        assert begun.wait(60)
    assert told == [True]


def test_what_is_left_of_manifests_that_are_gone_is_removed(template: Path, tmp_path: Path) -> None:
    """By a crash between two files, or by hand."""
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    registry.settings("app")
    for body in (OLD.manifest, SIGNED):
        (registry.root / "manifests/app/sha256" / digest(body).partition(":")[2]).unlink()
    collect(registry.content, grace=GRACE)
    assert registry.content.tags("app") == ["many", "nested", "new"]
    gone = {digest(body).partition(":")[2] for body in (OLD.manifest, SIGNED)}
    for part in ("times", "referrers"):
        assert not gone & {path.name for path in (registry.root / part).rglob("*") if path.is_file()}
    assert len(list((registry.root / "times/app").rglob("*"))) > 5


def test_what_was_put_aside_and_not_removed_is_collected(template: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    with registry.content.changing():
        registry.content.forget("app")
    assert not (registry.root / "manifests/app").exists()
    assert list((registry.root / "temporary").iterdir())
    for path in (registry.root / "temporary").iterdir():
        os.utime(path, (0, 0))
    collect(registry.content, grace=GRACE)
    assert not list((registry.root / "temporary").iterdir())


# -- how long the lock is held -----------------------------------------------------------------------------------


class Counting(Content):
    """Counts the files that are opened, renamed or removed while the lock is held once: the most of all times."""

    most = 0
    _held = False
    _opened = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        with super().changing():
            self._held, self._opened = True, 0
            try:
                yield
            finally:
                self._held = False
                self.most = max(self.most, self._opened)

    def saw(self, event: str) -> None:
        if self._held and event in ("open", "os.listdir", "os.scandir", "os.rename", "os.remove"):
            self._opened += 1


_WATCHING: list[Counting] = []


def _saw(event: str, _: object) -> None:
    for content in _WATCHING:
        content.saw(event)


sys.addaudithook(_saw)


@contextmanager
def counting(registry: Registry) -> Iterator[Counting]:
    assert isinstance(registry.content, Counting)
    registry.content.most = 0
    _WATCHING.append(registry.content)
    try:
        yield registry.content
    finally:
        _WATCHING.remove(registry.content)


def opened_under_the_lock(root: Path, count: int, work: Callable[[Registry], object]) -> int:
    registry = Registry(root / str(count), Counting)
    registry.settings("app", keep_last=count // 2)
    registry.settings("other")
    for number in range(count):
        registry.push(Image(number, layers=1, size=10), f"v{number}")
    registry.age(DAY)
    with counting(registry) as content:
        work(registry)
    return content.most


def collects(registry: Registry) -> None:
    assert sum(len(item.images) for item in collect(registry.content, grace=GRACE)) > 5


def deletes_an_image(registry: Registry) -> None:
    registry.content.remove_manifest("app", digest(Image(3, layers=1, size=10).manifest))


def deletes_a_blob(registry: Registry) -> None:
    registry.push_blob(b"needed by nobody")
    registry.content.remove_blob("app", digest(b"needed by nobody"))


def deletes_the_repository(registry: Registry) -> None:
    with registry.content.changing():
        registry.content.forget("app")


def pushes(registry: Registry) -> None:
    registry.push(Image(1000, layers=1, size=10), "more")


@pytest.mark.parametrize(
    "work", [collects, deletes_an_image, deletes_a_blob, deletes_the_repository, pushes], ids=lambda work: work.__name__
)
def test_what_is_done_under_the_lock_does_not_grow_with_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Registry], object]
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(collecting, "IMAGES_AT_ONCE", 4, raising=False)
    monkeypatch.setattr(collecting, "FILES_AT_ONCE", 4, raising=False)
    few, many = (opened_under_the_lock(tmp_path, count, work) for count in (12, 48))
    assert 0 < few == many


def test_a_read_waits_for_nobody_who_changes_something(local: LocalSandbox) -> None:
    """The lock is held all the while; whoever waited for it would be told so after 30 seconds."""
    with served(local, open_document(local, "app")) as registry:
        wanted = registry.push("app", OLD, "old")
        folder = Registry(registry.sandbox.root)
        folder.age(DAY)
        (blob, body) = next(iter(OLD.blobs.items()))
        with folder.content.changing():
            for path in ("manifests/old", f"manifests/{wanted}", f"referrers/{wanted}", "tags/list", f"blobs/{blob}"):
                answer = registry.http.get(f"/v2/app/{path}", timeout=10)
                assert answer.status_code == 200
        assert answer.content == body


# -- which manifests refer to a digest ---------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1000, 1 << 20])
def test_who_refers_to_a_digest_is_found_whatever_is_remembered(template: Path, tmp_path: Path, most: int) -> None:
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    references = References(registry.root, most)
    child, index = digest(FIRST.manifest), digest(INDEX)
    for _ in range(2):
        assert references.users("app", child) == [index]
        assert references.users("app", digest(LAYER)) == [digest(OLD.manifest)]
        assert references.users("other", child) == []
    assert sum(references._sizes.values()) <= most
    more = index_of(FIRST.manifest, NEW.manifest)
    registry.put(more, "more")
    assert sorted(references.users("app", child)) == sorted([index, digest(more)])
    registry.content.remove_manifest("app", index)
    assert references.users("app", child) == [digest(more)]


def test_what_is_remembered_of_one_repository_makes_room_for_the_next(template: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    registry.push(NEW, name="other")
    size = References(registry.root)
    size.users("app", digest(LAYER))
    references = References(registry.root, size._sizes["app"])
    references.users("app", digest(LAYER))
    assert list(references._known) == ["app"]
    references.users("other", digest(LAYER))
    assert list(references._known) == ["other"]


# -- deleting beside pushes --------------------------------------------------------------------------------------


def test_a_child_whose_index_comes_while_it_is_deleted_stays(template: Path, tmp_path: Path) -> None:
    """Between the reading and the lock, on another server."""
    registry, other = (Registry(tmp_path / "store") for _ in range(2))
    shutil.copytree(template, registry.root)
    body = index_of(NEW.manifest)
    reading = registry.content._read_to_remove("app", digest(NEW.manifest))
    assert other.put(body, "index") == []
    with registry.content.changing():
        assert not registry.content.remove_read("app", digest(NEW.manifest), reading)
    other.whole("app", digest(body))


def test_the_fallback_list_of_referrers_is_mended_once_for_each_that_goes(template: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "store")
    shutil.copytree(template, registry.root)
    registry.settings("app")
    artifacts = [signature_of(NEW.manifest, Image(number)) for number in (1, 3, 4)]
    for body in artifacts:
        assert registry.put(body) == []
    tag = f"sha256-{digest(NEW.manifest).partition(':')[2]}"
    assert registry.put(index_of(*artifacts), tag) == []
    before = {item for item, _ in registry.content.each_manifest("app")}
    for number, body in enumerate(artifacts):
        registry.content.remove_manifest("app", digest(body))
        listed = artifacts[number + 1 :]
        found = registry.content.tagged("app").get(tag)
        assert (found is None) == (not listed)
        if found is not None:
            _, path = registry.content.manifest("app", found)
            rows = json.loads(path.read_bytes())["manifests"]
            assert [row["digest"] for row in rows] == [digest(item) for item in listed]
    after = {item for item, _ in registry.content.each_manifest("app")}
    assert before - after == {digest(body) for body in (*artifacts, index_of(*artifacts))}
    assert after < before


class Late(Content):
    """Says when it wants the lock."""

    wanted = threading.Event()

    @contextmanager
    def changing(self) -> Iterator[None]:
        self.wanted.set()
        with super().changing():
            yield


def collect_at_once(content: Content) -> None:
    collect(content, grace=0)


def remove_child(content: Content) -> None:
    with suppress(Refused):
        content.remove_manifest("other", digest(NEW.manifest))


def remove_layer(content: Content) -> None:
    with suppress(Refused):
        content.remove_blob("third", ALONE)


@pytest.mark.parametrize("part", ["manifests", "tags"])
@pytest.mark.parametrize("work", [collect_at_once, remove_child, remove_layer], ids=lambda work: work.__name__)
def test_what_is_read_in_the_midst_of_a_push_is_read_again(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Content], None], part: str
) -> None:
    """A push holds the lock and has written some of its files, while somebody else reads what refers to what it needs."""
    registry, late = Registry(tmp_path / "store"), Registry(tmp_path / "store", Late)
    shutil.copytree(template, registry.root)
    registry.settings("app")  # nothing goes there, so that the lock is wanted first where the push is
    registry.settings("other", untagged_days=1)
    within, wanted = threading.Event(), threading.Event()
    monkeypatch.setattr(Late, "wanted", wanted)
    stored = Content._put

    def slow(self: Content, path: Path, body: bytes) -> None:
        if path.is_relative_to(registry.root / part):
            within.set()
            wanted.wait(60)
        stored(self, path, body)

    monkeypatch.setattr(Content, "_put", slow)
    body, name = index_of(NEW.manifest), "other"
    if work is remove_layer:
        registry.content.remove_manifest("third", digest(LONELY.manifest))
        body, name = LONELY.manifest, "third"
    else:
        registry.content.remove_tag("other", "new")
        body = NEW.manifest if part == "tags" else body
    push = threading.Thread(target=registry.put, args=(body, "again"), kwargs={"name": name})
    push.start()
    assert within.wait(60)
    work(late.content)
    wanted.set()
    push.join()
    registry.all_whole()
    for tagged in registry.content.tagged(name).values():
        registry.whole(name, tagged)
