"""serve, credentials and gc, as a user runs them; and the same in code."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import reconciler as package
from reconciler.errors import PlatformError
from reconciler.model.service import collecting, issuing
from reconciler.model.service import serving as served_by
from reconciler.platforms.local.session import LocalSession
from tests.command_line import Reconciler, in_this_process, serving, url_of
from tests.images import Image, digest
from tests.registries import EVERYONE

pytestmark = pytest.mark.slow  # server processes

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "name": "tests",
    "guards": {"allow_public": True},
    "registries": [{"name": "sandbox", "platform": "local", "path": "store"}],
    "repositories": [
        {"name": "app-a", "registry": "sandbox", "retention": {"keep_last": 1}},
        {"name": "team/app-b", "registry": "sandbox"},
        {"name": "closed", "registry": "sandbox"},
    ],
    "grants": [{**EVERYONE, "registry": "sandbox", "repositories": ["app-a", "team/app-b"]}],
}


@pytest.fixture
def here(tmp_path: Path) -> Reconciler:
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(DOCUMENT))
    found = Reconciler(tmp_path)
    found("apply", "--yes")
    return found


@contextmanager
def served_here(folder: Path, name: str) -> Iterator[str]:
    """A registry of the folder's spec, served in this process; gives its URL."""
    with (
        package.session(package.load_spec(folder / "registry.yaml"), name) as opened,
        served_by(opened).server() as server,
    ):
        yield server.url


def push(url: str, name: str, image: Image, tag: str) -> None:
    with httpx.Client(base_url=url) as http:
        for wanted, body in image.blobs.items():
            http.post(f"/v2/{name}/blobs/uploads/", params={"digest": wanted}, content=body).raise_for_status()
        http.put(f"/v2/{name}/manifests/{tag}", content=image.manifest).raise_for_status()


def test_serve_tells_where_and_credentials_are_for_there(here: Reconciler) -> None:
    with serving(here, "sandbox") as url:
        found = json.loads(here("credentials", "sandbox/team/app-b", "--push", "--ttl", "15m", "--format", "json"))
        assert list(found) == ["registry", "username", "password", "expires_at"]
        assert found["registry"] == url.removeprefix("http://")
        left = datetime.fromisoformat(found["expires_at"]) - datetime.now(UTC)
        assert 14 * 60 < left.total_seconds() <= 15 * 60
        login = (found["username"], found["password"])
        assert httpx.get(f"{url}/v2/", auth=login).status_code == 200
        assert httpx.post(f"{url}/v2/team/app-b/blobs/uploads/", auth=login).status_code == 202
        assert httpx.get(f"{url}/v2/closed/tags/list", auth=login).status_code == 404, "as if it were not there"
    process = here.start("serve", "--port", "0")
    url_of(process, "sandbox")
    process.kill()
    process.communicate()
    text = here("credentials", "sandbox/app-a")
    assert "registry:   127.0.0.1:5000\n" in text, (
        "that server is dead: where the next one will be unless told otherwise"
    )
    assert [line.partition(":")[0] for line in text.splitlines()] == ["registry", "username", "password", "expires_at"]


def test_output_has_the_uri_at_the_server_that_runs_and_else_at_the_usual_place(here: Reconciler) -> None:
    with serving(here, "sandbox") as url:
        place = url.removeprefix("http://")
        found = json.loads(here("output"))
        assert found["sandbox.repository.team/app-b"] == {"name": "team/app-b", "uri": f"{place}/team/app-b"}
        lines = here("output", "--format", "dotenv").splitlines()
        assert f"SANDBOX_REPOSITORY_TEAM_APP_B_URI={place}/team/app-b" in lines
        assert "SANDBOX_REPOSITORY_TEAM_APP_B_NAME=team/app-b" in lines
    with chdir(here.folder):
        stopped = in_this_process("output")
    assert json.loads(stopped.stdout)["sandbox.repository.app-a"]["uri"] == "127.0.0.1:5000/app-a"
    assert stopped.stderr == (
        "note: registry sandbox is not being served; `reconciler serve sandbox` serves it at 127.0.0.1:5000,"
        " unless given another --host or --port\n"
    )


def test_behind_a_proxy_clients_and_credentials_are_told_its_address(here: Reconciler) -> None:
    process = here.start(
        "serve", "--port", "0", "--url", "https://registry.example.com/", "--trusted-proxy", "10.0.0.0/8"
    )
    try:
        challenge = httpx.get(f"{url_of(process, 'sandbox')}/v2/").headers["WWW-Authenticate"]
        assert 'realm="https://registry.example.com/token"' in challenge
        assert "registry:   registry.example.com\n" in here("credentials", "sandbox/app-a")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        process.communicate()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--url", "registry.example.com", "not the URL of a registry"),
        ("--url", "https://registry.example.com/path", "and no path"),
        ("--url", "https://user:secret@registry.example.com", "not the URL of a registry"),
        ("--url", 'https://x"y', "not the URL of a registry"),
        ("--trusted-proxy", "proxy.example.com", "not an address, such as 10.0.0.7"),
        ("--trusted-proxy", "10.0.0.7/8", "the network is 10.0.0.0/8"),
    ],
)
def test_an_address_that_is_none_is_an_error(here: Reconciler, option: str, value: str, said: str) -> None:
    found = here("serve", option, value, code=1)
    assert said in found
    assert "secret" not in found


@pytest.mark.slow
def test_the_only_registry_need_not_be_named(here: Reconciler) -> None:
    process = here.start("serve", "--port", "0")
    try:
        assert httpx.get(f"{url_of(process, 'sandbox')}/v2/").status_code == 401
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        process.communicate()


@pytest.mark.slow
def test_sigterm_lets_requests_under_way_finish(here: Reconciler) -> None:
    process = here.start("serve", "--port", "0")
    url = url_of(process, "sandbox")
    location = httpx.post(f"{url}/v2/app-a/blobs/uploads/").headers["Location"]
    halfway, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"first half, "
        halfway.set()
        go_on.wait(20)
        yield b"second half"

    answers: list[int] = []
    wanted = digest(b"first half, second half")
    sender = threading.Thread(
        target=lambda: answers.append(
            httpx.put(f"{url}{location}", params={"digest": wanted}, content=body(), timeout=30).status_code
        )
    )
    sender.start()
    halfway.wait(20)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    go_on.set()
    sender.join()
    assert process.wait(timeout=30) == 0
    process.communicate()
    assert answers == [201]
    assert (here.folder / "store/blobs/sha256" / wanted.partition(":")[2]).exists()


@pytest.mark.slow
def test_requests_are_logged_without_secrets(here: Reconciler) -> None:
    process = here.start("serve", "--port", "0", "-v")
    url = url_of(process, "sandbox")
    found = json.loads(here("credentials", "sandbox/closed", "--format", "json"))
    login = (found["username"], found["password"])
    token = httpx.get(f"{url}/token", params={"scope": "repository:closed:pull"}, auth=login).json()["token"]
    httpx.get(f"{url}/v2/closed/tags/list", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    process.terminate()
    _, log = process.communicate(timeout=30)
    assert re.search(r'"GET /v2/closed/tags/list HTTP/1.1" 200 \d+ \d+ ms$', log, re.MULTILINE), log
    assert found["password"] not in log
    assert token not in log


def test_gc_tells_what_goes_and_what_it_was(here: Reconciler) -> None:
    with served_here(here.folder, "sandbox") as url:
        for number in range(2):
            push(url, "app-a", Image(number), f"v{number}")
        gone = digest(Image(0).manifest)
        path = here.folder / "store/manifests/app-a/sha256" / gone.partition(":")[2]
        os.utime(path, (time.time() - 10, time.time() - 10))
        told = here("gc", "--dry-run", "--grace", "0")
        assert told.splitlines()[:2] == ["app-a: 1 image and 3 blobs would be removed", f"  - {gone} (v0)"]
        assert path.exists()
        told = here("gc", "sandbox", "--grace", "0")
        assert told.splitlines()[:2] == ["app-a: 1 image and 3 blobs removed", f"  - {gone} (v0)"]
        assert not path.exists()
        assert here("gc", "--grace", "0s") == "Nothing to remove.\n"
        assert httpx.get(f"{url}/v2/app-a/tags/list").json()["tags"] == ["v1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "sandbx"), "no registry is named 'sandbx' (did you mean 'sandbox'?)"),
        (("credentials", "sandbox"), "'sandbox' is not REGISTRY/REPO"),
        (("credentials", "sandbox/"), "is not REGISTRY/REPO"),
        (("credentials", "sandbox/nope"), "no repository nope"),
        (("credentials", "sandbox/closed", "--as", "alice"), "no grant lets user alice pull from closed"),
        (("credentials", "sandbox/app-a", "--ttl", "0"), "more than 0 seconds"),
        (("credentials", "sandbox/app-a", "--ttl", "soon"), "'soon' is not a duration"),
        (("gc", "--grace", "1 year"), "is not a duration"),
        (("serve", "--host", "192.0.2.1"), "can't listen on 192.0.2.1:5000"),
        (
            ("serve", "--port", "0", "--tls-cert", "nothing.pem"),
            "the certificate nothing.pem can't be read: No such file or directory",
        ),
        (
            ("serve", "--port", "0", "--tls-cert", "registry.yaml", "--tls-key", "no.pem"),
            "the private key no.pem can't be read: No such file or directory",
        ),
        (
            ("serve", "--port", "0", "--tls-cert", "registry.yaml", "--tls-key", "registry.yaml"),
            "the certificate registry.yaml with the private key registry.yaml can't be used\n",
        ),
        (("serve", "--port", "0", "--tls-cert", "registry.yaml"), "the certificate registry.yaml can't be used\n"),
        (("serve", "--port", "0", "--tls-key", "registry.yaml"), "--tls-key needs --tls-cert"),
    ],
)
def test_errors_say_what_to_do(here: Reconciler, arguments: tuple[str, ...], said: str) -> None:
    assert said in here(*arguments, code=1)


def test_a_registry_of_a_cloud_is_not_served_from_here(tmp_path: Path) -> None:
    registry = {"name": "images", "platform": "gcp", "project": "acme-images", "location": "europe-west1"}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump({"version": 1, "name": "tests", "registries": [registry]}))
    here = Reconciler(tmp_path)
    for name in ("images",), ():
        assert here("serve", *name, code=1) == "Error: only local registries can be served; images is on gcp\n"
        assert "images can only be removed from local registries; images is on gcp" in here("gc", *name, code=1)
    told = here("credentials", "images/app", code=1)
    assert told == (
        "Error:\ncredentials: this build can't issue credentials for platform gcp\n"
        "  log in with the platform's own command\n"
    )
    with package.session(package.load_spec(tmp_path / "registry.yaml")) as images:
        for interface in (issuing, served_by, collecting):
            with pytest.raises(PlatformError, match="platform gcp"):
                interface(images)


def test_the_example_for_the_conformance_program_takes_pushes_from_everyone(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "conformance" / "registry.yaml"
    (tmp_path / "registry.yaml").write_text(example.read_text())
    here = Reconciler(tmp_path)
    here("apply", "--yes")
    with served_here(here.folder, "conformance") as url:
        push(url, "conformance/repo1", Image(1), "v1")
        (blob, *_) = Image(1).blobs
        params = {"mount": blob, "from": "conformance/repo1"}
        assert httpx.post(f"{url}/v2/conformance/repo2/blobs/uploads/", params=params).status_code == 201


def test_in_code_a_registry_runs_for_a_block_on_a_free_port(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    spec = package.load_spec(path)
    package.apply(package.plan(spec))
    before = threading.active_count()
    with package.session(spec, "sandbox") as sandbox:
        assert isinstance(sandbox, LocalSession)
        with sandbox.server() as first, sandbox.server() as second:
            assert first.url != second.url
            issued = sandbox.credentials("closed", push=True, ttl=60)
            login = (issued.username, issued.password)
            assert httpx.get(f"{first.url}/v2/closed/tags/list", auth=login).json()["tags"] == []
            push(second.url, "app-a", Image(1), "v1")
            assert httpx.get(f"{first.url}/v2/app-a/tags/list").json()["tags"] == ["v1"]
        with pytest.raises(httpx.ConnectError):
            httpx.get(first.url)
        assert not (tmp_path / "store/control/server/running.json").exists()
    assert threading.active_count() == before
    with pytest.raises(PlatformError, match="no repository nope"), package.session(spec) as sandbox:
        issuing(sandbox).credentials("nope", push=False, ttl=60)


def test_the_code_in_the_documentation_runs_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(DOCUMENT))
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "local.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "docs/local.md", "exec"), {})
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")
