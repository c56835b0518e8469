"""A real client against the real command: `reconciler serve`, credentials from `reconciler credentials`, images by skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.platforms.local.manifest import OCI_INDEX, OCI_MANIFEST
from tests.command_line import Reconciler, serving
from tests.images import Image, descriptor, digest

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "name": "tests",
    "guards": {"allow_public": True},
    "registries": [{"name": "sandbox", "platform": "local", "path": "store"}],
    "repositories": [
        {"name": name, "registry": "sandbox", **more}
        for name, more in (
            ("app-a", {}),
            ("app-b", {}),
            ("team/tools/lint", {}),
            ("pinned", {"immutable_tags": {"except": ["latest"]}}),
            ("open", {}),
        )
    ],
    "grants": [
        {
            "name": "alice",
            "registry": "sandbox",
            "repositories": ["app-a"],
            "to": {"type": "local", "users": ["alice"]},
        },
        {"name": "open", "registry": "sandbox", "repositories": ["open"], "to": {"type": "local", "users": ["*"]}},
    ],
}

pytestmark = pytest.mark.slow


class Skopeo:
    """skopeo, with an auth file of its own."""

    def __init__(self, folder: Path, place: str) -> None:
        self.folder = folder
        self.place = place

    def __call__(self, verb: str, *arguments: str, fails: bool = False) -> str:
        """Runs a command; returns what it printed (its errors, if it is to fail)."""
        done = subprocess.run(
            ["skopeo", "--insecure-policy", verb, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "REGISTRY_AUTH_FILE": str(self.folder / "auth.json")},
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def at(self, reference: str) -> str:
        """A reference in the registry."""
        return f"docker://{self.place}/{reference}"

    def push(self, image: str, reference: str, login: str, **options: Any) -> str:
        """Copies an image into the registry."""
        creds = ["--dest-creds", login] if login else []
        return self("copy", "--all", "--dest-tls-verify=false", *creds, image, self.at(reference), **options)

    def pull(self, reference: str, target: Path, login: str, **options: Any) -> str:
        """Copies an image out of the registry, as it is."""
        creds = ["--src-creds", login] if login else []
        return self("copy", "--all", "--src-tls-verify=false", *creds, self.at(reference), f"dir:{target}", **options)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reconciler, str]]:
    if shutil.which("skopeo") is None:
        message = (
            "skopeo is not installed: the local registry is not checked with a real client (Debian: apt install skopeo)"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("skopeo")
    (folder / "registry.yaml").write_text(yaml.safe_dump(DOCUMENT))
    reconciler = Reconciler(folder)
    reconciler("apply", "--yes")
    with serving(reconciler, "sandbox") as url:
        yield reconciler, url.partition("//")[2]


@pytest.fixture
def skopeo(command: tuple[Reconciler, str], tmp_path: Path) -> Skopeo:
    return Skopeo(tmp_path, command[1])


@pytest.fixture
def reconciler(command: tuple[Reconciler, str]) -> Reconciler:
    return command[0]


def login(reconciler: Reconciler, repository: str, *options: str) -> str:
    found = json.loads(reconciler("credentials", f"sandbox/{repository}", "--format", "json", *options))
    return f"{found['username']}:{found['password']}"


def files(folder: Path) -> dict[str, bytes]:
    """What a `dir:` copy holds: blobs by digest, and the manifest."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "version"}


@pytest.mark.parametrize("repository", ["app-a", "team/tools/lint"])
def test_an_image_goes_in_and_comes_out_as_it_was(
    skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path, repository: str
) -> None:
    image = Image(1, layers=3, size=300_000)
    source = image.write(tmp_path / "image")
    skopeo.push(source, f"{repository}:v1", login(reconciler, repository, "--push"))
    skopeo.pull(f"{repository}:v1", tmp_path / "copy", login(reconciler, repository))
    found = files(tmp_path / "copy")
    assert found.pop("manifest.json") == image.manifest
    assert found == {name.partition(":")[2]: body for name, body in image.blobs.items()}


def test_inspect_list_and_delete(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    image = Image(2)
    credentials = login(reconciler, "app-b", "--push")
    for tag in ("v1", "v2"):
        skopeo.push(image.write(tmp_path / "image"), f"app-b:{tag}", credentials)
    found = json.loads(skopeo("inspect", "--tls-verify=false", "--creds", credentials, skopeo.at("app-b:v1")))
    assert found["Digest"] == digest(image.manifest)
    assert found["Layers"] == [item["digest"] for item in image.document["layers"]]
    assert found["RepoTags"] == ["v1", "v2"]
    listed = json.loads(skopeo("list-tags", "--tls-verify=false", "--creds", credentials, skopeo.at("app-b")))
    assert listed["Tags"] == ["v1", "v2"]
    skopeo("delete", "--tls-verify=false", "--creds", credentials, skopeo.at("app-b:v1"))
    listed = json.loads(skopeo("list-tags", "--tls-verify=false", "--creds", credentials, skopeo.at("app-b")))
    assert listed["Tags"] == []
    assert "manifest unknown" in skopeo.pull("app-b:v2", tmp_path / "copy", credentials, fails=True)


def test_login_with_issued_credentials(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    name, _, password = login(reconciler, "app-a", "--push").partition(":")
    assert "Login Succeeded" in skopeo("login", "--tls-verify=false", "-u", name, "-p", password, skopeo.place)
    skopeo.push(Image(3).write(tmp_path / "image"), "app-a:login", "")
    skopeo.pull("app-a:login", tmp_path / "copy", "")
    skopeo("logout", skopeo.place)
    skopeo.pull("app-a:login", tmp_path / "again", "", fails=True)
    wrong = skopeo("login", "--tls-verify=false", "-u", name, "-p", password + "x", skopeo.place, fails=True)
    assert "invalid username/password" in wrong


def test_pull_only_credentials_can_t_push(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    pull = login(reconciler, "app-a")
    said = skopeo.push(Image(4).write(tmp_path / "image"), "app-a:v4", pull, fails=True)
    assert "issued for pulling only" in said
    skopeo("delete", "--tls-verify=false", "--creds", pull, skopeo.at("app-a:v1"), fails=True)


def test_expired_credentials_can_t_pull(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    skopeo.push(Image(5).write(tmp_path / "image"), "app-a:v5", login(reconciler, "app-a", "--push"))
    short = login(reconciler, "app-a", "--ttl", "2s")
    skopeo.pull("app-a:v5", tmp_path / "before", short)
    time.sleep(2.5)
    skopeo.pull("app-a:v5", tmp_path / "after", short, fails=True)


def test_a_grant_opens_exactly_its_repositories(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    image = Image(6).write(tmp_path / "image")
    for repository in ("app-a", "app-b"):
        skopeo.push(image, f"{repository}:v6", login(reconciler, repository, "--push"))
    alice = login(reconciler, "app-a", "--as", "alice")
    assert alice.startswith("alice:")
    skopeo.pull("app-a:v6", tmp_path / "a", alice)
    assert "alice may not pull" in skopeo.pull("app-b:v6", tmp_path / "b", alice, fails=True)
    assert "alice may not push" in skopeo.push(image, "app-a:v7", alice, fails=True)
    said = reconciler("credentials", "sandbox/app-b", "--as", "alice", code=1)
    assert "no grant lets user alice pull from app-b" in said


def test_everyone_pulls_what_the_spec_opens_to_everyone(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    skopeo.push(Image(7).write(tmp_path / "image"), "open:v1", login(reconciler, "open", "--push"))
    skopeo.pull("open:v1", tmp_path / "copy", "")
    skopeo.pull("app-a:v1", tmp_path / "no", "", fails=True)
    skopeo.push(Image(7).write(tmp_path / "image"), "open:v2", "", fails=True)


def test_a_push_to_what_was_not_created_says_how_to_create_it(
    skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path
) -> None:
    credentials = login(reconciler, "*", "--push")
    said = skopeo.push(Image(8).write(tmp_path / "image"), "nope:v1", credentials, fails=True)
    assert "reconciler apply" in said


def test_immutable_tags_stay_and_their_exceptions_move(skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path) -> None:
    credentials = login(reconciler, "pinned", "--push")
    first, second = Image(9).write(tmp_path / "first"), Image(10).write(tmp_path / "second")
    for tag in ("v1", "latest"):
        skopeo.push(first, f"pinned:{tag}", credentials)
        skopeo.push(first, f"pinned:{tag}", credentials)
    skopeo.push(second, "pinned:latest", credentials)
    assert "tag v1 is immutable" in skopeo.push(second, "pinned:v1", credentials, fails=True)


def test_an_image_of_many_platforms_and_a_copy_between_repositories(
    skopeo: Skopeo, reconciler: Reconciler, tmp_path: Path
) -> None:
    images = [Image(seed, size=50_000) for seed in (11, 12)]
    layout = tmp_path / "layout"
    rows = []
    for image, architecture in zip(images, ("amd64", "arm64"), strict=True):
        image.write(layout)
        platform = {"os": "linux", "architecture": architecture}
        rows.append(descriptor(image.manifest, OCI_MANIFEST, platform=platform))
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).encode()
    (layout / "blobs/sha256" / digest(index).partition(":")[2]).write_bytes(index)
    entry = descriptor(index, OCI_INDEX, annotations={"org.opencontainers.image.ref.name": "many"})
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    credentials = login(reconciler, "app-*", "--push")
    skopeo.push(f"oci:{layout}:many", "app-a:many", credentials)
    skopeo(
        "copy",
        "--all",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--src-creds",
        credentials,
        "--dest-creds",
        credentials,
        skopeo.at("app-a:many"),
        skopeo.at("app-b:many"),
    )
    skopeo.pull("app-b:many", tmp_path / "copy", credentials)
    found = files(tmp_path / "copy")
    assert found["manifest.json"] == index
    for image in images:
        assert image.manifest in found.values()
