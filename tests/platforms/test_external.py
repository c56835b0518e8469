"""Registries that somebody else runs: reached, logged in to, and asked what they have."""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import parse_spec
from reconciler.cli.app import run
from reconciler.engine.expand import estate_of
from reconciler.errors import PlatformError
from reconciler.model.platform import Estate
from reconciler.platforms.catalog import CATALOG
from reconciler.platforms.external.hosts import host_of
from reconciler.platforms.external.platform import PLATFORM
from reconciler.platforms.external.spec import ExternalRegistry
from tests.command_line import Reconciler, serving
from tests.emulators.distribution import Distribution, available, docker_registry
from tests.images import Image
from tests.registries import open_document, served
from tests.sandbox.local import LocalSandbox

PASSWORD = "pass:word"
ALL = frozenset({"pull", "push", "*"})
pytestmark = [
    pytest.mark.slow,
    # where everything is to be there, what is missing fails
    pytest.mark.skipif(bool(available()) and not os.environ.get("CI"), reason=available() or "it is there"),
]


@pytest.fixture(scope="module")
def by_basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with docker_registry(tmp_path_factory.mktemp("basic"), users={"alice": PASSWORD}) as found:
        found.push("team/app", ("alice", PASSWORD))
        found.push("other", ("alice", PASSWORD))
        yield found


@pytest.fixture(scope="module")
def _by_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with docker_registry(tmp_path_factory.mktemp("token"), tokens=True) as found:
        assert found.tokens is not None
        found.tokens.users = {"alice": PASSWORD}
        found.tokens.rights = {"alice": {"*": ALL, "catalog": ALL}}
        found.push("team/app", ("alice", PASSWORD))
        yield found


@pytest.fixture
def by_token(_by_token: Distribution) -> Distribution:
    """With its service as it is at first: alice may do all."""
    assert _by_token.tokens is not None
    _by_token.tokens.reset()
    _by_token.tokens.rights = {"alice": {"*": ALL, "catalog": ALL}}
    return _by_token


class Folder:
    """A spec of one external registry, `onprem`, in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.registry: dict[str, Any] = {"name": "onprem", "platform": "external"}
        self.repositories = ["team/app"]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Runs a command that must end with `code`; all that it printed."""
        document = {
            "version": 1,
            "name": "tests",
            "registries": [self.registry],
            "repositories": [{"name": name, "registry": "onprem"} for name in self.repositories],
        }
        (self.path / "registry.yaml").write_text(yaml.safe_dump(document))
        output, errors = StringIO(), StringIO()
        with chdir(self.path), redirect_stdout(output), redirect_stderr(errors):
            found = run(arguments)
        said = output.getvalue() + errors.getvalue()
        assert found == code, said
        assert PASSWORD not in said
        return said

    def at(self, registry: Distribution) -> None:
        """Names the registry, its authority, and the login in the environment."""
        self.registry |= {
            "url": registry.url,
            "ca_file": str(registry.authority.file),
            "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
        }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("REG_USER", "alice")
    monkeypatch.setenv("REG_PASSWORD", PASSWORD)
    return Folder(tmp_path)


@pytest.fixture(params=["by_basic", "by_token"])
def registry(request: pytest.FixtureRequest) -> Distribution:
    found: Distribution = request.getfixturevalue(request.param)
    return found


def test_a_plan_says_what_appears_with_the_first_push_and_what_nobody_names(
    folder: Folder, registry: Distribution
) -> None:
    folder.at(registry)
    folder.repositories = ["team/app", "team/new", "team/next"]
    for command in ("plan", "drift"):
        said = folder(command)
        assert "registry onprem does not have team/new and team/next yet: they appear with the first push" in said
        assert said.count("No ") == 1
    registry.push("team/new", ("alice", PASSWORD))
    said = folder("plan")
    assert "registry onprem does not have team/next yet: it appears with the first push" in said
    folder.repositories = ["team/app"]
    assert "that the spec does not name: " in folder("drift")
    assert "team/new" in folder("drift")


def test_an_apply_a_destroy_and_a_retired_registry_touch_nothing_in_it(folder: Folder, registry: Distribution) -> None:
    folder.at(registry)
    assert "No changes" in folder("apply", "--yes")
    assert "Nothing to destroy" in folder("destroy", "--yes")
    folder.registry["retired"] = True
    said = folder("plan")
    assert "No changes" in said
    assert "--adopt" not in said
    folder.registry["retired"] = False
    assert "does not have" not in folder("plan"), "team/app is still there"


def test_a_wrong_login_ends_a_plan_with_what_to_check(
    folder: Folder, registry: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.at(registry)
    monkeypatch.setenv("REG_PASSWORD", "guessed")
    said = folder("plan", code=1)
    assert "registry onprem: " in said
    assert "refuses the login of user alice" in said
    assert "check the variables REG_USER and REG_PASSWORD" in said
    assert "guessed" not in said


def test_a_wrong_login_is_found_where_everybody_gets_a_token(
    folder: Folder, by_token: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then /v2/ answers 200 to any login: the token service decides."""
    assert by_token.tokens is not None
    by_token.tokens.rights[""] = {"*": frozenset({"pull"}), "catalog": ALL}
    folder.at(by_token)
    monkeypatch.setenv("REG_PASSWORD", "guessed")
    assert "the registry's token service refuses the login of user alice" in folder("plan", code=1)
    del folder.registry["credentials"]
    folder("plan")


@pytest.mark.parametrize(
    ("rights", "said"), [(ALL, "does not have team/never yet"), (frozenset(), "does not say whether it has")]
)
def test_a_catalog_that_is_refused_means_that_each_is_asked_for_by_itself(
    folder: Folder, by_token: Distribution, rights: frozenset[str], said: str
) -> None:
    assert by_token.tokens is not None
    by_token.tokens.rights["alice"] = {"team/app": ALL, "team/never": rights, "reconciler": ALL}
    folder.at(by_token)
    folder.repositories = ["team/app", "team/never"]
    found = folder("plan")
    assert said in found
    assert "team/never" in found
    assert "that the spec does not name" not in found
    assert "does not have team/app" not in found


def test_a_login_that_may_not_pull_what_is_named_is_said_and_stops_nothing(
    folder: Folder, by_token: Distribution
) -> None:
    assert by_token.tokens is not None
    folder.at(by_token)
    by_token.tokens.rights["alice"] = {"catalog": ALL}
    assert "registry onprem does not say whether it has team/app: it answers 401" in folder("plan")
    by_token.tokens.rights["alice"] = {"catalog": ALL, "team/app": frozenset({"pull"})}
    assert "does not say" not in folder("plan")


def test_a_registry_of_our_own_is_one_like_any_other(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = LocalSandbox(tmp_path / "local")
    with served(sandbox, open_document(sandbox, "team/app", "team/other")) as registry:
        registry.push("team/app", Image(1))
        login = registry.issue("*", ttl=600)
        monkeypatch.setenv("REG_USER", login.username)
        monkeypatch.setenv("REG_PASSWORD", login.password)
        folder.registry |= {
            "url": registry.server.url,
            "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
        }
        said = folder("plan")
        assert "does not have team/app" not in said
        monkeypatch.setenv("REG_PASSWORD", "guessed")
        assert "the login of user" in folder("plan", code=1)


def test_what_is_wrong_with_the_way_there_is_a_sentence_each(folder: Folder, by_basic: Distribution) -> None:
    folder.at(by_basic)
    authority = folder.registry.pop("ca_file")
    assert "the registry's certificate is not trusted: no authority that is trusted here has signed it" in folder(
        "plan", code=1
    )
    folder.registry["ca_file"] = "nowhere.pem"
    assert "nowhere.pem can't be read: No such file or directory" in folder("plan", code=1)
    folder.registry["ca_file"] = authority
    folder.registry["url"] = "https://localhost:1"
    assert "the registry refuses connections" in folder("plan", code=1)


def test_the_login_comes_from_a_docker_config(folder: Folder, by_basic: Distribution, tmp_path: Path) -> None:
    folder.at(by_basic)
    folder.registry["credentials"] = {"docker_config": "config.json"}
    auth = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    for key in (by_basic.place, f"https://{by_basic.place}", f"https://{by_basic.place}/v2/"):
        for entry in ({"auth": auth}, {"username": "alice", "password": PASSWORD}):
            (tmp_path / "config.json").write_text(json.dumps({"auths": {key: entry}}))
            folder("plan")
    for text, said in (
        ("{}", f"config.json has no login for {by_basic.place}"),
        ("[1", "config.json is no JSON"),
        (json.dumps({"auths": {by_basic.place: {"auth": "!"}}}), f"`auth` of {by_basic.place} can't be read"),
        (json.dumps({"auths": {by_basic.place: {}}}), "has no user name and password"),
        (json.dumps({"auths": {f"{by_basic.place}0": {"auth": auth}}}), "has no login for"),
        (json.dumps({"credsStore": "no-such"}), "docker-credential-no-such, which config.json names, is not installed"),
    ):
        (tmp_path / "config.json").write_text(text)
        assert said in folder("plan", code=1).replace(f"{tmp_path}/", "").replace("./", "")
    (tmp_path / "config.json").write_text("{}")
    assert re.search(rf"log in with `docker --config \S+ login {by_basic.place}`", folder("plan", code=1))
    (tmp_path / "config.json").unlink()
    assert "config.json can't be read" in folder("plan", code=1)
    folder.registry["credentials"] = {"docker_config": "logins.json"}
    (tmp_path / "logins.json").write_text("{}")
    assert "write one into it" in folder("plan", code=1), "by another name docker writes none"


def test_a_credential_helper_is_asked_as_docker_asks_it(
    folder: Folder, by_basic: Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.at(by_basic)
    folder.registry["credentials"] = {"docker_config": "config.json"}
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {by_basic.place: "mine"}}))
    helper = tmp_path / "docker-credential-mine"
    answer = json.dumps({"ServerURL": by_basic.place, "Username": "alice", "Secret": PASSWORD})
    helper.write_text(
        f'#!/bin/sh\n[ "$1" = get ] || exit 1\nread -r host || true\n[ "$host" = {by_basic.place} ] || exit 1\ncat <<E\n{answer}\nE\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    folder("plan")
    helper.write_text("#!/bin/sh\necho 'credentials not found in native keychain'; exit 1\n")
    assert f"docker-credential-mine, which config.json names, has no login for {by_basic.place}" in folder(
        "plan", code=1
    ).replace(f"{tmp_path}/", "").replace("./", "")


@pytest.mark.parametrize("public", [False, True])
def test_a_registry_of_ours_is_one_of_somebody_else_for_others(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    """Its credentials log in; a wrong login is found, also where anybody may pull something."""
    ours = Reconciler(tmp_path / "ours")
    ours.folder.mkdir()
    everyone = {
        "name": "all",
        "registry": "sandbox",
        "repositories": ["app-b"],
        "to": {"type": "local", "users": ["*"]},
    }
    document = {
        "version": 1,
        "name": "ours",
        "guards": {"allow_public": True},
        "registries": [{"name": "sandbox", "platform": "local", "path": "store"}],
        "repositories": [{"name": name, "registry": "sandbox"} for name in ("app-a", "app-b")],
        "grants": [everyone] if public else [],
    }
    (ours.folder / "registry.yaml").write_text(yaml.safe_dump(document))
    ours("apply", "--yes")
    with serving(ours, "sandbox") as url:
        login = json.loads(ours("credentials", "sandbox/*", "--format", "json"))
        monkeypatch.setenv("REG_USER", login["username"])
        monkeypatch.setenv("REG_PASSWORD", login["password"])
        folder.registry |= {
            "url": url,
            "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
        }
        folder.repositories = ["app-a", "app-c"]
        said = folder("plan")
        assert "registry onprem does not have app-c yet: it appears with the first push" in said
        assert "app-a" not in said
        assert login["password"] not in said
        monkeypatch.setenv("REG_PASSWORD", "guessed")
        assert f"refuses the login of user {login['username']}" in folder("plan", code=1)


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("", "b", "REG_USER is not set, or empty"),
        ("", "", "REG_USER and REG_PASSWORD are not set, or empty"),
        ("a:b", "c", "the user name holds a colon"),
        ("a", "b\n", "the login holds a control character, such as a line break"),
    ],
)
def test_a_login_that_can_be_none_is_refused_before_it_is_sent(
    folder: Folder, by_basic: Distribution, monkeypatch: pytest.MonkeyPatch, name: str, password: str, said: str
) -> None:
    folder.at(by_basic)
    monkeypatch.setenv("REG_USER", name)
    monkeypatch.setenv("REG_PASSWORD", password)
    assert said in folder("plan", code=1)


def test_a_session_pickles_without_its_login(folder: Folder, by_basic: Distribution) -> None:
    folder.at(by_basic)
    folder("plan")
    spec = parse_spec((folder.path / "registry.yaml").read_text())
    session = CATALOG["external"].open(estate_of(spec), spec.registries[0])
    session.check()
    assert PASSWORD.encode() not in pickle.dumps(session)
    assert PASSWORD not in repr(vars(session))
    session.close()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://registry.example.com", "registry.example.com"),
        ("https://registry.example.com/", "registry.example.com"),
        ("https://registry.example.com:443", "registry.example.com"),
        ("https://registry.example.com:5000", "registry.example.com:5000"),
        ("http://localhost:5000", "localhost:5000"),
        ("https://registry-1.docker.io", "https://index.docker.io/v1/"),
    ],
)
def test_a_registry_is_logged_in_to_by_its_host(url: str, host: str) -> None:
    assert host_of(ExternalRegistry(name="a", platform="external", url=url)) == host


def session_in(folder: Path, registry: ExternalRegistry) -> Any:
    """A session whose paths start from a folder."""
    return PLATFORM.open(Estate("shop", str(folder), (registry,)), registry)


@pytest.mark.parametrize(
    ("url", "keys", "user"),
    [
        ("https://registry.example.com", ["registry.example.com:443"], "first"),
        ("https://registry.example.com", ["https://registry.example.com:443/v2/"], "first"),
        ("https://registry.example.com:443", ["registry.example.com"], "first"),
        ("https://registry.example.com", ["registry.example.com:443", "registry.example.com"], "second"),
        ("http://localhost", ["localhost:80"], "first"),
        ("https://registry.example.com", ["registry.example.com:80"], ""),
        ("https://registry.example.com:5000", ["registry.example.com:443", "registry.example.com"], ""),
    ],
)
def test_a_config_may_name_the_port_that_is_meant_without_it(
    tmp_path: Path, url: str, keys: list[str], user: str
) -> None:
    registry = ExternalRegistry.model_validate(
        {"name": "a", "platform": "external", "url": url, "credentials": {"docker_config": "config.json"}}
    )
    users = zip(keys, ("first", "second"), strict=False)
    auths = {key: {"username": name, "password": PASSWORD} for key, name in users}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    session = session_in(tmp_path, registry)
    if user:
        assert session.login.username == user
    else:
        with pytest.raises(PlatformError, match="has no login for"):
            _ = session.login


@pytest.mark.parametrize(
    "config",
    [
        {"credHelpers": {"registry.example.com:443": "mine"}},
        {"credsStore": "mine", "auths": {"registry.example.com:443": {}}},
    ],
)
def test_a_helper_is_asked_for_the_registry_as_the_config_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    helper = tmp_path / "docker-credential-mine"
    helper.write_text(
        '#!/bin/sh\nread -r host || true\n[ "$host" = registry.example.com:443 ] || exit 1\n'
        'echo \'{"Username": "alice", "Secret": "x"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    registry = ExternalRegistry.model_validate(
        {
            "name": "a",
            "platform": "external",
            "url": "https://registry.example.com",
            "credentials": {"docker_config": "config.json"},
        }
    )
    assert session_in(tmp_path, registry).login.username == "alice"
