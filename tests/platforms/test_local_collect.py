"""Retention and garbage collection of a local registry: what goes, and above all what stays."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.service import Collected
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from reconciler.platforms.local.retention import DAY, Belongings, Image, Rules, expired
from reconciler.platforms.local.server.running import LocalServer
from reconciler.platforms.local.store import Store
from reconciler.spec.selection import matches_any
from tests import images
from tests.images import descriptor, digest
from tests.registries import Served, make_older, open_document, served
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # each has a server, or a folder, of its own

NOW = 1_000_000_000.0


#: half of the images have no tag, some two
TAGS: list[tuple[str, ...]] = [
    *([()] * 8),
    *(("v1",), ("v2",), ("dev",), ("release-1",), ("latest",)),
    *(("v1", "latest"), ("dev", "v2"), ("release-1", "v2")),
]


def repository(count: int, data: bytes) -> list[Image]:
    """Images, indexes of earlier ones, and artifacts whose subject is an earlier or an unknown one: five bytes make each.

    Drawn as bytes, since hypothesis draws many small values slowly. Nothing belongs to itself by a detour: for that there is
    test_an_index_that_refers_to_a_part_of_itself_stays_whole.
    """
    found: list[Image] = []
    belongs: nx.DiGraph[str] = nx.DiGraph()  # from an image to what goes and stays with it
    for number, (age, tags, index, parts, refers) in enumerate(zip(*[iter(data[: 5 * count])] * 5, strict=True)):
        name = f"d{number:02}"
        below = [index % (number + 1), parts % 16, parts // 16] if index >= 128 else []
        children = tuple(f"d{part:02}" for part in dict.fromkeys(below) if part < number)
        belongs.add_node(name)
        belongs.add_edges_from((name, child) for child in children)
        subject = (f"d{refers % number:02}" if number and refers < 224 else "unknown") if refers >= 128 else None
        if subject is not None and subject in belongs:
            if subject in nx.descendants(belongs, name):
                subject = None
            else:
                belongs.add_edge(subject, name)
        found.append(Image(name, NOW - age % 41 * DAY - 1, TAGS[tags % 16], children, subject))
    return found


REPOSITORIES = st.builds(repository, st.integers(0, 12), st.binary(min_size=5 * 12, max_size=5 * 12))
RULES = st.builds(
    Rules,
    st.none() | st.integers(1, 5),
    st.none() | st.integers(1, 30),
    st.lists(st.sampled_from(["release-*", "latest"]), max_size=2).map(tuple),
)


def parts_of(held: dict[str, Image], image: Image) -> set[str]:
    found = {image.digest}
    waiting = [image.digest]
    while waiting:
        for child in held[waiting.pop()].children:
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


@settings(max_examples=500)
@given(held=REPOSITORIES, rules=RULES)
def test_retention_keeps_what_it_must(held: list[Image], rules: Rules) -> None:
    by_digest = {image.digest: image for image in held}
    gone = expired(held, rules, NOW)
    stay = [image for image in held if image.digest not in gone]
    assert gone <= by_digest.keys()
    if rules.keep_last is None and rules.untagged_days is None:
        assert not gone
    for image in stay:
        assert parts_of(by_digest, image).isdisjoint(gone), "an image that stays is whole"
    for image in held:
        if any(matches_any(tag, rules.keep_tags) for tag in image.tags):
            assert image.digest not in gone
        if image.digest in gone and image.tags and rules.keep_last is None:
            pytest.fail("without keep_last, nothing that has a tag goes")
    if rules.keep_last is not None and rules.untagged_days is None:
        assert len(stay) >= min(rules.keep_last, len(held))
    assert expired(reversed(held), rules, NOW) == gone, "in any order"


@settings(max_examples=500)
@given(held=REPOSITORIES, rules=RULES)
def test_retention_comes_to_rest(held: list[Image], rules: Rules) -> None:
    """What one run leaves apart (a tagged part of an index that went) the next ones decide; then nothing goes any more."""
    for _ in range(len(held) + 1):
        gone = expired(held, rules, NOW)
        if not gone:
            break
        held = [image for image in held if image.digest not in gone]
    assert expired(held, rules, NOW) == set()
    alone = [
        image
        for image in held
        if not any(image.digest in other.children for other in held)
        and (image.subject is None or image.subject not in {other.digest for other in held})
    ]
    kept_apart = [image for image in alone if any(matches_any(tag, rules.keep_tags) for tag in image.tags)]
    if rules.keep_last is not None:
        counted = [image for image in alone if image.subject is None and image not in kept_apart]
        assert len(counted) <= rules.keep_last
    if rules.untagged_days is not None:
        oldest = NOW - rules.untagged_days * DAY
        assert not [image for image in alone if not image.tags and image.pushed < oldest]


@settings(max_examples=500)
@given(held=REPOSITORIES, rules=RULES)
def test_each_image_goes_after_all_that_it_belongs_to(held: list[Image], rules: Rules) -> None:
    by_digest = {image.digest: image for image in held}
    there = dict(by_digest)
    gone = expired(held, rules, NOW)
    levels = list(Belongings(by_digest).levels(gone))
    assert sorted(name for level in levels for name in level) == sorted(gone)
    for level in levels:
        for name in level:
            image = there.pop(name)
            assert image.subject not in gone or image.subject not in there
            assert not [other for other in there.values() if name in other.children]


def test_what_belongs_to_itself_by_a_detour_stays_whole() -> None:
    """An image that lists what refers to it goes with nothing: neither could go first."""
    held = [
        Image("top", NOW - 40 * DAY, children=("part",)),
        Image("part", NOW - 40 * DAY, children=("leaf",)),
        Image("list", NOW - 40 * DAY, children=("part",), subject="part"),
        Image("leaf", NOW - 40 * DAY),
    ]
    gone = expired(held, Rules(untagged_days=30), NOW)
    assert gone == {"top", "part", "list", "leaf"}
    assert list(Belongings({image.digest: image for image in held}).levels(gone)) == [["top"]]


def test_the_newest_stay_and_an_index_keeps_its_images() -> None:
    held = [
        Image("old", NOW - 3),
        Image("part", NOW - 9),
        Image("index", NOW - 2, ("v1",), ("part",)),
        Image("new", NOW),
    ]
    assert expired(held, Rules(keep_last=2), NOW) == {"old"}
    assert expired(held, Rules(keep_last=1), NOW) == {"old", "index", "part"}


def test_what_refers_to_an_image_goes_with_it_and_stays_with_it() -> None:
    held = [
        Image("a", NOW - 40 * DAY),
        Image("signature", NOW - 39 * DAY, subject="a"),
        Image("b", NOW - 40 * DAY, ("v1",)),
        Image("sbom", NOW - 39 * DAY, subject="b"),
    ]
    assert expired(held, Rules(untagged_days=30), NOW) == {"a", "signature"}


def test_what_refers_to_something_is_never_counted_whether_that_is_there_or_not() -> None:
    images = [Image(f"v{number}", NOW - 10 + number, (f"v{number}",)) for number in range(4)]
    there = [Image(f"sbom-{number}", NOW, subject="v3") for number in range(5)]
    absent = [Image(f"signature-{number}", NOW, subject="gone") for number in range(5)]
    assert expired([*images, *there, *absent], Rules(keep_last=3), NOW) == {"v0"}
    assert expired([*images, *there, *absent], Rules(untagged_days=1), NOW + 2 * DAY) == {
        item.digest for item in absent
    }


def test_an_index_that_refers_to_a_part_of_itself_stays_whole() -> None:
    held = [
        Image("a", NOW - 40 * DAY),
        Image("signature", NOW, subject="a"),
        Image("part", NOW),
        Image("index", NOW, children=("part", "signature"), subject="part"),
    ]
    assert expired(held, Rules(untagged_days=30), NOW) in (set(), {"a"})


# -- on a registry -----------------------------------------------------------------------------------------------


@pytest.fixture
def registry(local: LocalSandbox) -> Iterator[Served]:
    rows = [{"name": "app", "retention": {"keep_last": 2, "untagged_days": 7, "keep_tags": ["release-*"]}}, "plain"]
    with served(local, open_document(local, *rows)) as found:
        yield found


def signed(registry: Served, number: int) -> tuple[str, str]:
    """An image with the tag vNUMBER, pushed, and what a signer's tag for it begins with."""
    wanted = registry.push("app", images.Image(number), f"v{number}")
    return wanted, wanted.replace(":", "-")


@pytest.mark.slow
@pytest.mark.parametrize("suffixes", [[".sig"], [".sig", ".att", ".sbom"], [""]])
def test_signatures_by_tag_belong_to_their_image_and_push_none_out(registry: Served, suffixes: list[str]) -> None:
    """quay#6650, harbor#16022, zot#906: cosign's tags, and the lists of older clients."""
    names = {}
    for number in range(1, 4):
        wanted, name = signed(registry, number)
        names[wanted] = [f"v{number}"]
        for place, suffix in enumerate(suffixes):
            signature = images.Image(100 * number + place)
            held = registry.push("app", signature, "unused")
            registry.http.delete("/v2/app/manifests/unused")
            body = signature.manifest
            if not suffix:  # a list of what has a subject
                named = {**signature.document, "subject": descriptor(images.Image(number).manifest, OCI_MANIFEST)}
                referrer = json.dumps(named).encode()
                assert registry.put("app", images.digest(referrer), referrer).status_code == 201
                assert registry.http.delete(f"/v2/app/manifests/{held}").status_code == 202
                row = descriptor(referrer, OCI_MANIFEST)
                body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row]}).encode()
            assert registry.put("app", f"{name}{suffix}", body).status_code == 201, held
            names[wanted].append(f"{name}{suffix}")
    make_older(registry.sandbox.root, 5000)
    registry.session.collect(grace=3600)
    tags = registry.http.get("/v2/app/tags/list").json()["tags"]
    rest = list(names.values())[1:]
    assert sorted(tags) == sorted(tag for group in rest for tag in group), "the first image and its own went, no more"
    second = next(digest for digest, tags in names.items() if tags == rest[0])
    assert registry.http.delete(f"/v2/app/manifests/{second}").status_code == 202
    make_older(registry.sandbox.root, 8 * DAY)
    registry.session.collect(grace=3600)
    tags = registry.http.get("/v2/app/tags/list").json()["tags"]
    assert sorted(tags) == sorted(rest[1]), "what is left of an image that was deleted goes as what has no tag"


@pytest.mark.slow
def test_a_tag_that_only_looks_like_a_signature_s_is_an_image_s(registry: Served) -> None:
    _, name = signed(registry, 1)
    odd = [f"{name}.sig-old", f"x{name}.sig", f"{name[:-1]}.sig", f"{name}.sig", "v2"]
    for number, tag in enumerate(odd[:3]):
        registry.push("app", images.Image(10 + number), tag)
    both = registry.push("app", images.Image(20), odd[3])
    registry.put("app", odd[4], images.Image(20).manifest)
    make_older(registry.sandbox.root, 5000)
    registry.session.collect(grace=3600)
    assert sorted(registry.http.get("/v2/app/tags/list").json()["tags"]) == sorted(odd[2:]), both


@pytest.mark.slow
def test_the_server_says_what_it_collects(local: LocalSandbox, caplog: pytest.LogCaptureFixture) -> None:
    row = {"name": "app", "retention": {"keep_last": 1}}
    with served(local, open_document(local, row)) as registry:
        gone = registry.push("app", images.Image(1), "v1")
        registry.push("app", images.Image(2), "v2")
    make_older(local.root, 8000)
    with served(local, open_document(local, row), collect_every=0.05):
        for _ in range(3000):
            if "removed" in caplog.text:
                break
            time.sleep(0.01)
    said = [record.getMessage() for record in caplog.records if gone in record.getMessage()]
    assert said, "seen without -v"
    assert said[0].startswith("garbage collection: app: 1 image and ")
    assert said[0].endswith(f"removed; {gone} (v1)")


def test_a_server_that_never_collects_does_not_try(local: LocalSandbox) -> None:
    with served(local, open_document(local, "app"), collect_every=0.0) as registry:
        assert isinstance(registry.server, LocalServer)
        asyncio.run(registry.server._collect_again_and_again())  # it ends by itself


def content(registry: Served) -> Content:
    return Content(Store(registry.sandbox.root))


def sums(found: list[Collected]) -> dict[str, tuple[int, int, int]]:
    return {item.repository: (len(item.images), item.blobs, item.uploads) for item in found}


def test_retention_is_carried_out_and_what_no_image_needs_goes_after_its_grace(registry: Served) -> None:
    pushed = []
    for number, tag in enumerate(["release-1", "v1", "v2", "v3"]):
        pushed.append(registry.push("app", images.Image(number), tag))
        make_older(registry.sandbox.root, 10)
    assert registry.session.collect(grace=3600) == [], "all of it is young"
    make_older(registry.sandbox.root, 4000)
    assert sums(registry.session.collect(grace=3600, dry_run=True)) == {"app": (1, 3, 0)}
    assert registry.http.get("/v2/app/manifests/v1").status_code == 200, "a dry run"
    found = registry.session.collect(grace=3600)
    assert sums(found) == {"app": (1, 3, 0), "": (0, 3, 0)}
    assert registry.http.get("/v2/app/tags/list").json()["tags"] == ["release-1", "v2", "v3"]
    assert registry.http.get(f"/v2/app/manifests/{pushed[1]}").status_code == 404
    assert found[-1].size == sum(len(body) for body in images.Image(1).blobs.values())
    for number, tag in ((0, "release-1"), (2, "v2"), (3, "v3")):
        assert registry.http.get(f"/v2/app/manifests/{tag}").status_code == 200
        for wanted, body in images.Image(number).blobs.items():
            assert registry.http.get(f"/v2/app/blobs/{wanted}").content == body
    assert registry.session.collect(grace=0) == []


def index_of(*children: images.Image) -> bytes:
    rows = [descriptor(image.manifest, OCI_MANIFEST) for image in children]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()


def tags(registry: Served) -> list[str]:
    return list(registry.http.get("/v2/app/tags/list").json()["tags"])


def push_untagged(registry: Served, *children: images.Image) -> None:
    for image in children:
        for body in image.blobs.values():
            registry.push_blob("app", body)
        assert registry.put("app", digest(image.manifest), image.manifest).status_code == 201


CHILDREN = (images.Image(11), images.Image(12))


def test_a_push_of_an_image_for_several_architectures_is_neither_removed_nor_counted_on_its_way(
    registry: Served,
) -> None:
    for number, tag in enumerate(["v1", "v2"]):
        registry.push("app", images.Image(number), tag)
    make_older(registry.sandbox.root, 5000)
    push_untagged(registry, *CHILDREN)
    assert registry.session.collect(grace=3600) == []
    assert registry.put("app", "v3", index_of(*CHILDREN)).status_code == 201
    assert tags(registry) == ["v1", "v2", "v3"], "it counts once its grace is over"
    make_older(registry.sandbox.root, 5000)
    registry.session.collect(grace=3600)
    assert tags(registry) == ["v2", "v3"]
    for image in CHILDREN:
        assert registry.http.get(f"/v2/app/manifests/{digest(image.manifest)}").status_code == 200


def test_what_is_pushed_again_is_new_again(registry: Served) -> None:
    for number, tag in enumerate(["v1", "v2", "v3"]):
        registry.push("app", images.Image(number), tag)
        make_older(registry.sandbox.root, 5000)
    assert registry.put("app", "again", images.Image(0).manifest).status_code == 201
    registry.session.collect(grace=3600)
    assert "again" in tags(registry)
    make_older(registry.sandbox.root, 5000)
    registry.session.collect(grace=3600)
    assert tags(registry) == ["again", "v1", "v3"], "both are tags of the image that was pushed last"


def test_a_push_that_is_cut_off_before_its_tag_is_known_as_a_push(
    registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, tag in enumerate(["v1", "v2", "v3"]):
        registry.push("app", images.Image(number), tag)
        make_older(registry.sandbox.root, 5000)
    stored = Content._put

    def full(self: Content, path: Path, body: bytes) -> None:
        if path.parent.parent.name == "tags":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        stored(self, path, body)

    monkeypatch.setattr(Content, "_put", full)
    assert registry.put("app", "again", images.Image(0).manifest).status_code == 503
    registry.session.collect(grace=3600)
    assert "v1" in tags(registry)


def test_an_untagged_child_that_is_pushed_or_asked_for_again_waits_for_its_index(registry: Served) -> None:
    push_untagged(registry, *CHILDREN)
    make_older(registry.sandbox.root, 8 * DAY)
    first, second = CHILDREN
    assert registry.put("app", digest(first.manifest), first.manifest).status_code == 201
    assert registry.http.head(f"/v2/app/manifests/{digest(second.manifest)}").status_code == 200
    assert registry.session.collect(grace=3600) == []
    assert registry.put("app", "v1", index_of(*CHILDREN)).status_code == 201


def test_which_image_is_the_newest_outlives_a_copy_of_the_folder_that_drops_times(registry: Served) -> None:
    for number, tag in enumerate(["v1", "v2", "v3"]):
        registry.push("app", images.Image(number), tag)
        make_older(registry.sandbox.root, 5000)
    newest = registry.sandbox.root / "manifests/app/sha256" / digest(images.Image(2).manifest).partition(":")[2]
    os.utime(newest, (0, 0))
    registry.session.collect(grace=3600)
    assert tags(registry) == ["v2", "v3"]


def test_content_stays_while_any_repository_has_it(registry: Served) -> None:
    image = images.Image(1)
    registry.push("plain", image, "v1")
    wanted = registry.push("app", image, "v1")
    registry.http.delete(f"/v2/app/manifests/{wanted}")
    assert sums(registry.session.collect(grace=0)) == {"app": (0, 3, 0)}
    for wanted, body in image.blobs.items():
        assert registry.http.get(f"/v2/plain/blobs/{wanted}").content == body
        assert registry.http.get(f"/v2/app/blobs/{wanted}").status_code == 404


def test_a_blob_that_a_push_was_told_of_has_its_grace_anew(registry: Served) -> None:
    wanted = registry.push_blob("plain", b"layer of a push that begins now")
    forgotten = registry.push_blob("plain", b"layer of a push that never came")
    make_older(registry.sandbox.root, 5000)
    assert registry.http.head(f"/v2/plain/blobs/{wanted}").status_code == 200
    registry.session.collect(grace=3600)
    assert registry.http.head(f"/v2/plain/blobs/{wanted}").status_code == 200
    assert registry.http.head(f"/v2/plain/blobs/{forgotten}").status_code == 404


def test_untagged_images_go_after_their_days_and_indexes_keep_theirs(registry: Served) -> None:
    parts = [images.Image(number) for number in (1, 2)]
    for image in parts:
        registry.push("app", image, "x")
    registry.http.delete("/v2/app/manifests/x")
    rows = [descriptor(image.manifest, OCI_MANIFEST) for image in parts]
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()
    registry.put("app", "many", index)
    lonely = registry.push("app", images.Image(3), "y")
    registry.http.delete("/v2/app/manifests/y")
    make_older(registry.sandbox.root, 8 * DAY)
    (found,) = (item for item in registry.session.collect(grace=3600) if item.repository == "app")
    assert found.images == (lonely,)
    for image in parts:
        assert registry.http.get(f"/v2/app/manifests/{digest(image.manifest)}").status_code == 200


def test_uploads_that_nobody_goes_on_with_and_what_a_crash_left_are_removed(registry: Served) -> None:
    location = registry.http.post("/v2/plain/blobs/uploads/").headers["Location"]
    registry.http.patch(location, content=b"abandoned")
    (registry.sandbox.root / "temporary" / "half").write_text("written")
    assert registry.session.collect(grace=0) == [], "they may still be on their way"
    make_older(registry.sandbox.root, 2 * DAY)
    assert sums(registry.session.collect(grace=0)) == {"": (0, 0, 1)}
    assert not list((registry.sandbox.root / "temporary").iterdir())
    answer = registry.http.put(location, params={"digest": digest(b"abandoned")})
    assert registry.code(answer) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_nothing_is_removed_beside_a_manifest_that_is_damaged(registry: Served) -> None:
    wanted = registry.push("plain", images.Image(1), "v1")
    path = registry.sandbox.root / "manifests/plain/sha256" / wanted.partition(":")[2]
    path.write_text("{")
    (found,) = registry.session.collect(grace=0)
    assert found.repository == "plain"
    assert "nothing was removed" in found.trouble
    assert path.name in found.trouble
    for blob in images.Image(1).blobs:
        assert registry.http.head(f"/v2/plain/blobs/{blob}").status_code == 200


def test_it_is_collected_while_it_is_served(local: LocalSandbox) -> None:
    document = open_document(local, {"name": "app", "retention": {"keep_last": 1}})
    with served(local, document, collect_every=0.1, grace=0.0) as registry:
        for number in range(3):
            registry.push_blob("app", f"blob {number} that no image needs".encode())
        deadline = time.monotonic() + 20
        while list(content(registry).blobs()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(content(registry).blobs()) == []
