"""The local registry's files: whole or not there, one writer at a time, and told when they are damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from reconciler import apply, session
from reconciler.engine.write import Status
from reconciler.errors import PlatformError, ReadFailed
from reconciler.model.address import Address
from reconciler.model.service import collecting
from reconciler.platforms.local import store
from reconciler.platforms.local.store import Store
from tests.sandbox.local import LocalSandbox


def test_names_with_slashes_and_dots_are_one_file_each_inside_the_folder(local: LocalSandbox) -> None:
    names = ("team/app", "team.app", "a/b/c")
    local.apply(local.document(*names))
    assert len(local.state()) == 3
    assert {path.parent for path in local.root.rglob("*.json")} == {local.root / "control" / "repositories"}
    assert Store(local.root).names("repositories") == sorted(names)


def test_a_damaged_file_fails_the_run_by_name_with_what_to_do(local: LocalSandbox) -> None:
    document = local.document("app-a")
    local.apply(document)
    path = local.root / "control/repositories/app-a.json"
    for damage in ("{", "[]"):
        path.write_text(damage)
        with pytest.raises(ReadFailed, match=r"registry images: .*app-a\.json"):
            local.plan(document)


def test_a_path_that_is_a_file_is_told(local: LocalSandbox) -> None:
    local.root.write_text("not a folder")
    with pytest.raises(ReadFailed, match="can't be read"):
        local.plan(local.document("app-a"))


def test_a_writer_waits_for_another_and_then_tells(local: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    plan = local.plan(local.document("app-a"))
    local.root.mkdir()
    with FileLock(local.root / ".lock"):
        (outcome,) = apply(plan, raise_on_failure=False)
    assert outcome.status is Status.FAILED
    assert "another process has been writing" in outcome.message


def test_access_that_comes_up_right_before_a_delete_is_not_lost(local: LocalSandbox) -> None:
    local.apply(local.document("app-a"))
    with session(local.spec(local.document("app-a"))) as opened:
        kind = opened.platform.kinds["repository"]
        live = kind.read_one(opened, Address("images.repository.app-a"))
        assert live is not None
        local.give_foreign_access("app-a")
        before = local.state()
        with pytest.raises(PlatformError, match="somebody else has given access"):
            kind.delete(opened, live, force=False)
        assert local.state() == before
        kind.delete(opened, live, force=True)
    assert local.state() == {}


#: each process imports no more than this
WRITER = """
import sys
from pathlib import Path
from reconciler.platforms.local.store import Store

_, root, name = sys.argv
box = Store(Path(root))
for number in range(50):
    with box.writing():
        box.write("repositories", "shared", {"writer": name, "text": str(number) * 10_000})
        found = box.read("repositories", "shared")
        assert found is not None
        assert found["writer"] == name, "nobody else writes while we hold the lock"
"""


def test_two_processes_never_write_into_each_other(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Store(tmp_path).read("repositories", "shared") is not None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Store(tmp_path)
    box.write("repositories", "a", {"old": True})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PlatformError, match="No space left on device"):
        box.write("repositories", "a", {"old": False})
    assert box.read("repositories", "a") == {"old": True}
    assert [path.name for path in (tmp_path / "control/repositories").iterdir()] == ["a.json"]


def test_a_copy_of_a_document_is_no_repository_and_takes_nothing_along(local: LocalSandbox) -> None:
    """A backup made by hand carries our marks: its delete must never become the original's."""
    document = local.document(
        {"name": "app", "delete_images": True},
        grants=({"name": "one", "to": local.target("1")},),
        guards={"max_deletes": 9},
    )
    local.apply(document)
    local.push_image("app")
    control = local.root / "control"
    for section in ("repositories", "access"):
        backup = control / section / "app%40backup.json"
        backup.write_text((control / section / "app.json").read_text())
    before = {path: path.read_bytes() for path in sorted(local.root.rglob("*")) if path.is_file()}
    assert local.plan(document).changes == ()
    local.apply(document)
    assert {path: path.read_bytes() for path in sorted(local.root.rglob("*")) if path.is_file()} == before


def test_one_damaged_document_does_not_end_the_collection_of_the_others(local: LocalSandbox) -> None:
    local.apply(local.document("app-a", "app-b"))
    (local.root / "control/repositories/app-a.json").write_text('{"settings": 7}')
    with session(local.spec(local.document("app-a", "app-b"))) as opened:
        (found,) = collecting(opened).collect(grace=0)
    assert found.repository == "app-a"
    assert "nothing was removed" in found.trouble
    assert "app-a.json" in found.trouble
