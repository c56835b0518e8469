"""What registries that somebody else runs answer that is not so, or not all: a plan says what it knows, and no more."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from reconciler.platforms.external.hosts import api_of, host_of
from reconciler.platforms.external.spec import ExternalRegistry
from tests.emulators.distribution import Elsewhere

from .test_external import PASSWORD, Folder

BASIC = "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
REFUSED = (401, {"WWW-Authenticate": "BASIC realm=r"}, '{"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}')
UNKNOWN: tuple[int, dict[str, str], str] = (404, {}, '{"errors": [{"code": "NAME_UNKNOWN", "message": "unknown"}]}')
pytestmark = pytest.mark.slow


def listed(*names: str) -> tuple[int, dict[str, str], str]:
    return 200, {}, json.dumps({"repositories": names})


def tags(name: str) -> tuple[int, dict[str, str], str]:
    return 200, {}, json.dumps({"name": name, "tags": ["v1"]})


def test_a_registry_that_lets_anybody_in_is_asked_with_the_login_all_the_same(
    folder: Folder, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nexus and Artifactory can let anybody read: without the login they would show what is public alone."""
    elsewhere.answers |= {
        "/v2/ ": (200, {}, "{}"),
        "/v2/_catalog ": listed("public"),
        f"/v2/_catalog {BASIC}": listed("public", "team/app"),
    }
    said = folder("plan")
    assert "does not have" not in said
    assert "registry onprem has 1 repository that the spec does not name: public" in said
    monkeypatch.setenv("REG_PASSWORD", "guessed")
    assert "the registry refuses the login of user alice (UNAUTHORIZED: no)" in folder("plan", code=1)


def test_a_login_by_basic_is_sent_once_it_was_asked_for(folder: Folder, elsewhere: Elsewhere) -> None:
    elsewhere.answers["/v2/_catalog"] = listed("team/app")
    folder("plan")
    assert elsewhere.seen == [
        ("/v2/", ""),
        ("/v2/", ""),
        ("/v2/", BASIC),
        ("/v2/_catalog", BASIC),
        ("/v2/team/app/tags/list", BASIC),
    ]


def test_a_service_that_gives_no_token_for_what_is_not_there_is_asked_whether_the_login_is_right(
    folder: Folder, elsewhere: Elsewhere
) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{elsewhere.url}/token",service="s"'}
    elsewhere.answers |= {
        "/v2/": (401, challenge, ""),
        "/v2/ Bearer ok": (200, {}, "{}"),
        "/v2/_catalog": UNKNOWN,
        "/v2/team/app/tags/list": (401, challenge, ""),
        "/token": (403, {}, '{"errors": [{"code": "DENIED", "message": "denied"}]}'),
    }
    assert "token service refuses the login of user alice (DENIED: denied)" in folder("plan", code=1)
    elsewhere.answers["/token?service=s"] = (200, {}, '{"token": "ok"}')
    said = folder("plan")
    assert "registry onprem does not say whether it has team/app: the registry's token service refuses" in said


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            (200, {"Link": '</v2/_catalog?last=a>; rel="next"'}, '{"repositories": ["a"]}'),
            "the registry's list of repositories does not end",
        ),
        ((200, {}, "<html>welcome</html>"), "the registry answers 200 and nothing that can be read"),
        ((200, {}, '{"repositories": [7]}'), "the registry answers 200 and nothing that can be read"),
        ((200, {}, "[" * 100_000), "the registry answers 200 and nothing that can be read"),
        ((500, {}, ""), "the registry answers 500"),
        ((200, {"Content-Encoding": "gzip"}, "no gzip"), "the registry answers what can't be unpacked"),
        ((403, {}, ""), "it lists its repositories to others alone (403)"),
    ],
)
def test_a_list_that_can_t_be_read_makes_no_repository_missing(
    folder: Folder, elsewhere: Elsewhere, answer: tuple[int, dict[str, str], str], why: str
) -> None:
    elsewhere.answers |= {"/v2/_catalog": answer, "/v2/new/tags/list": UNKNOWN}
    folder.repositories = ["team/app", "new"]
    for command in ("plan", "drift"):
        said = folder(command)
        assert f"which other repositories registry onprem has can't be known: {why}" in said
        assert "registry onprem does not have new yet: it appears with the first push" in said
        assert "team/app" not in said


def test_names_that_are_none_are_shown_so_that_they_do_nothing(folder: Folder, elsewhere: Elsewhere) -> None:
    elsewhere.answers["/v2/_catalog"] = listed("team/app", "\x1b[2J", "../up", "", "z" * 9000)
    said = folder("plan")
    assert "registry onprem has 4 repositories that the spec does not name: " in said
    assert r"\x1b[2J" in said
    assert "\x1b" not in said
    assert len(said) < 1000


def test_a_login_that_can_list_and_not_pull_is_said(folder: Folder, elsewhere: Elsewhere) -> None:
    elsewhere.answers |= {"/v2/_catalog": listed("team/app"), "/v2/team/app/tags/list": REFUSED}
    said = folder("plan")
    assert "registry onprem does not say whether it has team/app: it answers 401 (UNAUTHORIZED: no)" in said


def test_a_login_in_what_a_registry_says_is_no_part_of_an_error(folder: Folder, elsewhere: Elsewhere) -> None:
    echo = json.dumps({"errors": [{"code": "DENIED", "message": f"Authorization: {BASIC} is none of ours"}]})
    elsewhere.answers[f"/v2/ {BASIC}"] = (403, {}, echo)
    said = folder("plan", "-v", code=1)
    assert "refuses the login of user alice (DENIED: " in said
    assert BASIC.split()[1] not in said


@pytest.mark.parametrize("field", ["ca_file", "docker_config"])
def test_the_home_of_a_user_who_has_none_is_an_error_of_the_spec(folder: Folder, field: str) -> None:
    path = "~no-such-user/file"
    folder.registry["url"] = "https://localhost:1"
    folder.registry |= {"ca_file": path} if field == "ca_file" else {"credentials": {"docker_config": path}}
    said = folder("plan", code=1)
    assert f"registry onprem: {path} names a user who has no home directory here" in said
    assert f"change {'' if field == 'ca_file' else 'credentials.'}{field}" in said


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"credsStore": "x/../../mine"}, "names 'x/../../mine', which is no credential helper"),
        ({"credsStore": "-mine"}, "names '-mine', which is no credential helper"),
        ({"credsStore": "mine"}, "what docker-credential-mine has for HOST is a token of a login by a browser"),
        (
            {"auths": {"HOST": {"auth": "YTo=", "identitytoken": "SECRET"}}},
            "the login for HOST is a token of a login by a browser",
        ),
    ],
)
def test_what_is_no_login_by_name_and_password_is_said_to_be_none(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: dict[str, object], said: str
) -> None:
    host = folder.registry["url"].partition("//")[2]
    ran = tmp_path / "ran"
    for place in ("docker-credential-mine", "mine"):
        (tmp_path / place).write_text(
            f'#!/bin/sh\ntouch "{ran}"\necho \'{{"Username": "<token>", "Secret": "SECRET"}}\'\n'
        )
        (tmp_path / place).chmod(0o755)
    (tmp_path / "docker-credential-x").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text(json.dumps(document).replace("HOST", host))
    folder.registry["credentials"] = {"docker_config": "config.json"}
    found = folder("plan", code=1)
    assert said.replace("HOST", host) in found
    assert "SECRET" not in found
    assert ran.exists() == (document.get("credsStore") == "mine")


def test_an_empty_helper_of_a_registry_is_none(folder: Folder, elsewhere: Elsewhere, tmp_path: Path) -> None:
    host = folder.registry["url"].partition("//")[2]
    document = {
        "auths": {host: {"auth": BASIC.split()[1]}},
        "credHelpers": {host: ""},
        "credsStore": "no-such",
    }
    (tmp_path / "config.json").write_text(json.dumps(document))
    folder.registry["credentials"] = {"docker_config": "config.json"}
    elsewhere.answers["/v2/_catalog"] = listed("team/app")
    assert "No changes" in folder("plan")


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_is_asked_where_its_api_is_whatever_it_is_called(host: str) -> None:
    registry = ExternalRegistry(name="hub", platform="external", url=f"https://{host}")
    assert api_of(registry) == "https://registry-1.docker.io"
    assert host_of(registry) == "https://index.docker.io/v1/"


def test_a_saved_plan_applies_and_what_is_for_other_platforms_is_refused(folder: Folder, elsewhere: Elsewhere) -> None:
    elsewhere.answers["/v2/_catalog"] = listed("team/app", "old")
    folder("plan", "--out", "plan.json")
    text = (folder.path / "plan.json").read_text()
    assert PASSWORD not in text
    assert BASIC.split()[1] not in text
    folder("apply", "plan.json")
    assert "only local registries can be served; onprem is on external" in folder("serve", "onprem", code=1)
    assert "can only be removed from local registries; onprem is on external" in folder("gc", "onprem", code=1)
    assert "leave out --as: the login is the operator's" in folder("credentials", "onprem/*", "--as", "x", code=1)
    assert "Nobody" in folder("who-can")
