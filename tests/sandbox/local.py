"""The local platform as a sandbox: a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import strategies as st

from reconciler.platforms.local.spec import LocalRegistry, LocalTarget

from .base import Document, Hand, Sandbox
from .fields import registry, target


class LocalSandbox(Sandbox):
    """A folder."""

    platform = "local"
    targets = st.lists(st.sampled_from(["alice", "bob", "carol"]), min_size=1, unique=True).map(
        lambda names: {"type": "local", "users": names}
    )
    models = (LocalRegistry, LocalTarget)
    fields = {
        "LocalTarget.users": (target(users=["carol"]), "state"),
        "LocalRegistry.retired": (registry(retired=True), "state"),
        "LocalRegistry.path": (registry(path="elsewhere"), "moved"),
    }
    elsewhere = {
        "LocalRegistry.name": "another registry: the chains of test_transitions.py",
        "LocalRegistry.platform": "another platform: the contract suite runs on each",
        "Grant.also": "refused: test_aws_verbs.py",
        "LocalTarget.type": "one type per platform",
        "Repository.encryption": "refused: test_loader.py",
        "Repository.native_name": "refused: test_native_names.py",
        "Repository.lifecycle_policy": "refused: test_loader.py",
    }

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = str(folder)
        self.root = folder / "sandbox"

    def registry(self, name: str = "images", **fields: Any) -> Document:
        return {"name": name, "platform": "local", "path": "sandbox" if name == "images" else name, **fields}

    def target(self, who: str) -> Document:
        return {"type": "local", "users": [f"user{who}"]}

    def everyone(self) -> Document:
        return {"type": "local", "users": ["*"]}

    @property
    def rich(self) -> Document:
        return {
            "registries": [self.registry()],
            "repositories": [
                {"name": "app-a", "registry": "images", "labels": {"team": "a"}, "retention": {"keep_last": 3}},
                {"name": "app-b", "registry": "images", "immutable_tags": True},
            ],
            "grants": [{"name": "one", "registry": "images", "to": {"type": "local", "users": ["alice", "bob"]}}],
        }

    def state(self) -> Document:
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.suffix == ".json")
        found = {str(path.relative_to(self.folder)): json.loads(path.read_text()) for path in files}
        for document in found.values():
            document.pop("created_at", None)  # as a cloud's own time, it is another one in each run
        return found

    def repository_names(self) -> set[str]:
        return {unquote(place.rpartition("/")[2].removesuffix(".json")) for place in self.state()}

    def foreign_access(self, repository: str) -> list[Any]:
        path = self._path("access", repository)
        entries = json.loads(path.read_text())["entries"] if path.exists() else []
        return [entry for entry in entries if "grant" not in entry]

    def tag(self, repository: str, key: str) -> str:
        document = json.loads(self._path("repositories", repository).read_text())
        tags: dict[str, str] = {**document["marks"], **document["labels"]}
        return tags[key]

    def reset(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def hands(self) -> list[Hand]:
        return list(self._hands())

    def _hands(self) -> Iterator[Hand]:
        for path in sorted(self.root.glob("control/*/*.json")):
            place = f"{path.parent.name}/{path.name}"
            yield f"remove {place}", path.unlink
            if path.parent.name == "repositories":
                yield f"describe {place}", self._edit(path, lambda d: d["settings"].update(description="by hand"))
                yield f"movable {place}", self._edit(path, lambda d: d["settings"].update(movable_tags=["x"]))
                yield f"keep {place}", self._edit(path, lambda d: d["settings"].update(keep_last=7))
                yield f"forget {place}", self._edit(path, lambda d: d["marks"].pop("reconciler-applied"))
                yield f"unname {place}", self._edit(path, lambda d: d["marks"].pop("reconciler-registry", None))
                if json.loads(path.read_text())["labels"]:
                    yield f"relabel {place}", self._edit(path, _relabel)
            else:
                yield f"empty {place}", self._edit(path, lambda d: d.update(entries=[]))
                yield f"open {place}", self._edit(path, lambda d: d["entries"][0].update(users=["mallory"]))
                yield f"push {place}", self._edit(path, lambda d: d["entries"][0].update(permission="push-pull"))
                yield f"forget {place}", self._edit(path, lambda d: d["marks"].pop("reconciler-applied"))

    def _edit(self, path: Path, change: Callable[[Document], Any]) -> Callable[[], None]:
        def edit() -> None:
            document = json.loads(path.read_text())
            change(document)
            path.write_text(json.dumps(document))

        return edit

    def _path(self, section: str, repository: str) -> Path:
        path = self.root / "control" / section / f"{repository}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def push_image(self, repository: str, tag: str = "v1") -> None:
        path = self.root / "manifests" / repository / "sha256" / (tag.encode().hex() * 8)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        marks = {"reconciler-owner": owner, "reconciler-origin": origin} if owner else {}
        self._path("repositories", repository).write_text(json.dumps({"settings": {}, "labels": {}, "marks": marks}))

    def give_foreign_access(self, repository: str) -> None:
        path = self._path("access", repository)
        document = json.loads(path.read_text()) if path.exists() else {"entries": [], "marks": {}}
        document["entries"].append({"users": ["stranger"], "permission": "pull", "note": "by hand"})
        path.write_text(json.dumps(document))

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        self._edit(self._path("repositories", repository), lambda d: d["labels"].update({key: value}))()

    def describe(self, repository: str) -> None:
        self._edit(self._path("repositories", repository), lambda d: d["settings"].update(description="by hand"))()

    def remove_access(self, repository: str) -> None:
        self._path("access", repository).unlink()

    def remove_repository(self, repository: str) -> None:
        self._path("repositories", repository).unlink()


def _relabel(document: Document) -> None:
    own = document["marks"].get("reconciler-labels", "").split()
    for key in own:
        document["labels"][key] = "by hand"


SANDBOX = LocalSandbox


@pytest.fixture
def local(tmp_path: Path) -> LocalSandbox:
    """An empty folder."""
    folder = tmp_path / "local"
    folder.mkdir()
    return LocalSandbox(folder)
