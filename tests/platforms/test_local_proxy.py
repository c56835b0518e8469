"""Real clients, `reconciler serve`, and between them a proxy that ends TLS: skopeo and buildah, which check its certificate."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.command_line import Reconciler, url_of
from tests.images import Image, digest
from tests.proxy import FORWARDED, SEARCHED, Proxy

DOCUMENT = {
    "version": 1,
    "name": "tests",
    "registries": [{"name": "sandbox", "platform": "local", "path": "store"}],
    "repositories": [{"name": "app", "registry": "sandbox"}],
}
#: of the server's own log: method, target and status
LOGGED = re.compile(r'"(\S+ \S+) HTTP/1\.1" (\d+) ')

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _programs() -> None:
    missing = [name for name in ("nginx", "skopeo", "buildah") if shutil.which(name, path=SEARCHED) is None]
    if missing:
        message = f"{', '.join(missing)} not installed: the local registry is not checked behind a proxy (Debian: apt install)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@dataclass
class Behind:
    """A registry behind a proxy, and what is logged in to it. `seen`: the server's requests, once it has ended."""

    folder: Path
    proxy: Proxy
    username: str
    password: str = field(repr=False)
    seen: list[str] = field(default_factory=list)

    def run(self, *command: str, secret: str = "", fails: bool = False) -> str:
        """Runs a command; `secret`: its standard input. Returns what it printed (its errors, if it is to fail)."""
        done = subprocess.run(command, input=secret, capture_output=True, text=True, timeout=120)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def skopeo(self, verb: str, *arguments: str, secret: str = "", fails: bool = False) -> str:
        """Runs skopeo."""
        return self.run("skopeo", "--insecure-policy", verb, *arguments, secret=secret, fails=fails)

    def login(self, program: str, *, fails: bool = False) -> str:
        """Logs in with skopeo or buildah, each of which reads the other's file."""
        login = ("login", *self.trusting, *self.authfile, "--username", self.username, "--password-stdin")
        return self.run(program, *login, self.proxy.place, secret=self.password, fails=fails)

    @property
    def trusting(self) -> tuple[str, str]:
        """The option that makes a client trust the proxy's certificate, and no other."""
        return "--cert-dir", str(self.proxy.authority)

    @property
    def authfile(self) -> tuple[str, str]:
        """The option for a file of the test's own with logins."""
        return "--authfile", str(self.folder / "auth.json")

    def at(self, tag: str) -> str:
        """The image of that tag."""
        return f"docker://{self.proxy.place}/app:{tag}"


@contextmanager
def behind(folder: Path, *options: str, headers: dict[str, str]) -> Iterator[Behind]:
    """Serves a registry behind a proxy that adds the headers. `options`: of `reconciler serve`; {place} is the proxy's."""
    (folder / "registry.yaml").write_text(yaml.safe_dump(DOCUMENT))
    reconciler = Reconciler(folder)
    reconciler("apply", "--yes")
    issued = json.loads(reconciler("credentials", "sandbox/app", "--push", "--format", "json"))
    proxy = Proxy(folder / "proxy")
    found = Behind(folder, proxy, issued["username"], issued["password"])
    options = tuple(option.format(place=proxy.place) for option in options)
    server = reconciler.start("serve", "sandbox", "--port", "0", "-v", *options)
    try:
        with proxy.before(url_of(server, "sandbox"), headers):
            yield found
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors
    assert "Traceback" not in errors, errors
    assert issued["password"] not in errors
    found.seen = [" ".join(match) for match in LOGGED.findall(errors)]


def check_that_all_came_through_the_proxy(registry: Behind) -> None:
    """Also the requests for tokens: with another realm than the proxy's, clients would ask elsewhere."""
    came = registry.proxy.requests()
    assert sorted(came) == sorted(registry.seen)
    assert any(re.match(r"(GET|POST) /token\S* 200", line) for line in came), came


#: options of the server, and what the proxy adds: with --url, it need not say anything, not even the Host that it was asked for
WAYS = pytest.mark.parametrize(
    ("options", "headers"),
    [
        pytest.param(("--url", "https://{place}"), {}, id="url"),
        pytest.param(("--trusted-proxy", "127.0.0.1"), FORWARDED, id="trusted proxy"),
    ],
)


@WAYS
def test_skopeo_logs_in_pushes_and_pulls_through_a_tls_proxy(
    tmp_path: Path, options: tuple[str, ...], headers: dict[str, str]
) -> None:
    image = Image(1, layers=3, size=300_000)
    source = image.write(tmp_path / "image")
    with behind(tmp_path, *options, headers=headers) as registry:
        registry.login("skopeo")
        trusted = str(registry.proxy.authority)
        registry.skopeo("copy", *registry.authfile, "--dest-cert-dir", trusted, source, registry.at("v1"))
        copy = f"dir:{tmp_path / 'copy'}"
        registry.skopeo("copy", *registry.authfile, "--src-cert-dir", trusted, registry.at("v1"), copy)
        # without the authority's certificate, it is refused: so it was checked
        no = f"dir:{tmp_path / 'no'}"
        said = registry.skopeo("copy", *registry.authfile, registry.at("v1"), no, fails=True)
        assert "certificate signed by unknown authority" in said
    found = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir() if path.name != "version"}
    assert found.pop("manifest.json") == image.manifest
    assert found == {name.partition(":")[2]: body for name, body in image.blobs.items()}
    check_that_all_came_through_the_proxy(registry)


@WAYS
def test_buildah_builds_logs_in_pushes_and_pulls_through_a_tls_proxy(
    tmp_path: Path, options: tuple[str, ...], headers: dict[str, str]
) -> None:
    (tmp_path / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (tmp_path / "hello").write_text("hello")
    policy = ("--signature-policy", str(tmp_path / "policy.json"))
    with behind(tmp_path, *options, headers=headers) as registry:

        def buildah(storage: str, *arguments: str) -> str:
            root, run = str(tmp_path / storage), str(tmp_path / f"{storage}-run")
            return registry.run("buildah", "--storage-driver", "vfs", "--root", root, "--runroot", run, *arguments)

        over_tls = (*registry.authfile, *registry.trusting, "--tls-verify=true", *policy)
        registry.login("buildah")
        container = buildah("here", "from", "scratch").strip()
        buildah("here", "copy", container, str(tmp_path / "hello"), "/hello")
        buildah("here", "config", "--entrypoint", '["/hello"]', container)
        built = buildah("here", "commit", "--rm", *policy, container, "localhost/hello:v1").strip()
        digests = tmp_path / "digest"
        buildah("here", "push", *over_tls, "--digestfile", str(digests), "localhost/hello:v1", registry.at("v1"))
        pulled = buildah("there", "pull", *over_tls, registry.at("v1")).strip()
        # buildah's name of an image is the digest of its configuration, which names its layers
        assert pulled == built
    stored = tmp_path / "store/manifests/app/sha256" / digests.read_text().partition(":")[2]
    assert digest(stored.read_bytes()) == digests.read_text()
    check_that_all_came_through_the_proxy(registry)


def test_nobody_is_logged_in_through_a_proxy_that_the_server_was_not_told_of(tmp_path: Path) -> None:
    """Its word is not taken, so the realm is http, and the proxy answers 400 to what is not TLS."""
    with behind(tmp_path, headers={**FORWARDED, "Host": "$http_host"}) as registry:
        said = registry.login("skopeo", fails=True)
    assert "bearer token" in said
    assert [line.rpartition(" ")[2] for line in registry.proxy.requests() if "/token" in line] == ["400"]
    assert not any("/token" in line for line in registry.seen)
