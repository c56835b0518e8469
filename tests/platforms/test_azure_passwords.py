"""Credentials on Azure: passwords of a grant's token, which end, and which nothing but the answer to whoever asked ever holds."""

from __future__ import annotations

import base64
import json
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from reconciler import session
from reconciler.errors import PlatformError
from reconciler.model.service import Credentials, issuing
from reconciler.platforms.azure.passwords import IssuingSession, _Password, choice
from reconciler.platforms.azure.session import AzureSession
from tests.command_line import in_this_process
from tests.emulators.azure import Fails, Server
from tests.sandbox.azure import RESOURCE, AzureSandbox
from tests.sandbox.base import Document

PULL, PUSH = "partner", "pusher"


@pytest.fixture
def document(azure: AzureSandbox) -> Document:
    to = {"type": "azure-token"}
    document = azure.document(
        "app-a",
        "team/c",
        "team/d",
        grants=(
            {"name": PULL, "repositories": ["team/*"], "to": to},
            {"name": PUSH, "repositories": ["app-a"], "permission": "push-pull", "to": to},
            {"name": "kubelets", "to": azure.target("1")},
        ),
    )
    azure.apply(document)
    return document


def issued(
    azure: AzureSandbox, document: Document, repositories: str, user: str | None = PULL, **how: Any
) -> Credentials:
    with session(azure.spec(document)) as opened:
        return issuing(opened).credentials(repositories, user=user, **{"push": False, "ttl": 3600.0, **how})


def refusal(azure: AzureSandbox, document: Document, repositories: str, user: str | None = PULL, **how: Any) -> str:
    with pytest.raises(PlatformError) as error:
        issued(azure, document, repositories, user, **how)
    return f"{error.value.message}; {error.value.hint}"


def can(server: Server, login: Credentials, scope: str) -> list[str] | None:
    """What the registry lets a login do in a repository; None if it takes the login for nobody's."""
    trusted = ssl.create_default_context(cafile=str(server.ca))
    answer = httpx.get(
        f"{server.url}/oauth2/token",
        params={"service": login.registry, "scope": scope},
        auth=(login.username, login.password),
        verify=trusted,
    )
    if answer.status_code == 401:
        return None
    payload = answer.json()["access_token"].split(".")[1]
    access = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["access"]
    return [action for item in access for action in item["Actions"]]


def test_a_grant_s_token_logs_in_until_the_password_ends(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    login = issued(azure, document, "*")
    assert (login.registry, login.username) == (azure_stand_in.url.removeprefix("https://"), PULL)
    assert login.expires_at is not None
    assert abs(login.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    assert can(azure_stand_in, login, "repository:team/c:pull,push") == ["pull"]
    assert can(azure_stand_in, login, "repository:app-a:pull") == []
    assert login.notes == ()
    pusher = issued(azure, document, "app-a", PUSH, push=True)
    assert can(azure_stand_in, pusher, "repository:app-a:pull,push") == ["pull", "push"]
    azure.acr.tokens[PULL].passwords["password1"]["expiry"] = "2026-01-01T00:00:00.0000000Z"
    assert can(azure_stand_in, login, "repository:team/c:pull") is None


def test_the_two_passwords_take_turns_and_what_ends_is_said(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    first, second = issued(azure, document, "*"), issued(azure, document, "*", ttl=7200)
    pull = "repository:team/c:pull"
    assert [can(azure_stand_in, login, pull) for login in (first, second)] == [["pull"], ["pull"]]
    third = issued(azure, document, "*")
    assert [can(azure_stand_in, login, pull) for login in (first, second, third)] == [None, ["pull"], ["pull"]]
    assert first.expires_at is not None
    ended = first.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert third.notes == (
        f"token partner has two passwords: an earlier one, good until {ended}, ended with this one",
        "the registry takes the password within 60 seconds",
    )
    plan = azure.plan(document)
    assert (plan.changes, plan.foreign) == ((), ()), "passwords are no drift"


@pytest.mark.parametrize(
    "actions",
    [
        ["repositories/team/c/content/read", "repositories/team/d/content/read", "repositories/team/d/content/delete"],
        ["repositories/*/content/read"],
        ["repositories/team/*/content/read"],
        ["repositories/team/c/content/read", "repositories/team/d/content/read", "repositories/secret/metadata/write"],
        ["repositories/team/c/content/read", "repositories/team/d/content/read", "repositories/secret/content/read"],
        ["repositories/team/c/content/read"],
    ],
)
def test_a_scope_map_that_a_hand_changed_logs_nobody_in(
    azure: AzureSandbox, document: Document, actions: list[str]
) -> None:
    azure.call("PATCH", f"{RESOURCE}/scopeMaps/{PULL}", {"properties": {"actions": actions}})
    assert refusal(azure, document, "*") == (
        "scope map partner was changed by hand, so that its token does not do what the grant gives; run `reconciler apply`,"
        " which writes it as the grant is"
    )
    assert azure.acr.tokens[PULL].passwords == {}
    azure.apply(document)
    assert issued(azure, document, "*").username == PULL


def test_a_password_without_an_end_is_somebody_s_and_stays(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    token = {"tokenId": f"{RESOURCE}/tokens/{PULL}"}
    by_hand = azure.call("POST", f"{RESOURCE}/generateCredentials", {**token, "name": "password1"})
    value = by_hand["passwords"][0]["value"]
    for _ in range(3):
        assert can(azure_stand_in, issued(azure, document, "*"), "repository:team/c:pull") == ["pull"]
        assert azure.acr.tokens[PULL].passwords["password1"]["value"] == value
    azure.call("POST", f"{RESOURCE}/generateCredentials", {**token, "name": "password2"})
    before = dict(azure.acr.tokens[PULL].passwords)
    assert refusal(azure, document, "*") == (
        "both passwords of token partner have no end: somebody made them by hand, and may use them; remove one with"
        " `az acr token credential delete --registry acmeimages --name partner --password2`"
    )
    assert azure.acr.tokens[PULL].passwords == before


NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        ((None, None), (None, None), "password1"),
        ((-2, 1), (None, None), "password2"),
        ((-2, 1), (-1, 5), "password1"),
        ((-1, 5), (-2, 1), "password2"),
        ((-1, 5), (-9, -8), "password2"),
        ((-9, -8), (-20, 100), "password1"),
        ((-9, None), (-1, 5), "password2"),
        ((-9, None), (-1, None), None),
    ],
)
def test_which_password_is_made_anew(
    first: tuple[int | None, int | None], second: tuple[int | None, int | None], chosen: str | None
) -> None:
    def at(hours: int | None) -> datetime | None:
        return None if hours is None else NOW + timedelta(hours=hours)

    found = choice([_Password(f"password{n}", at(a), at(b)) for n, (a, b) in enumerate((first, second), 1)], NOW)
    assert (found.name if found else None) == chosen


@pytest.mark.parametrize(
    ("asked", "user", "push", "said"),
    [
        (
            "team/c",
            PULL,
            False,
            "the token of grant partner reaches team/d too, and Azure can't narrow a token; ask for images/'*', which is all that"
            " the grant gives, or write a grant for team/c alone",
        ),
        (
            "team/*",
            PULL,
            True,
            "grant partner lets nobody push; leave out --push, or give the grant `permission: push-pull`",
        ),
        (
            "app-a",
            PUSH,
            False,
            "the token of grant pusher can push too, and Azure can't narrow a token; add --push, or write a grant with"
            " `permission: pull`",
        ),
        ("app-a", PULL, False, "grant partner gives nothing on app-a; it gives access to team/c, team/d"),
        (
            "*",
            None,
            False,
            "on Azure, credentials are those of a grant of type azure-token or kubernetes; name the grant with --as, of those whose"
            " token reaches images/*: partner, pusher",
        ),
        (
            "team/c",
            None,
            False,
            "on Azure, credentials are those of a grant of type azure-token or kubernetes; name the grant with --as, of those whose"
            " token reaches images/team/c: partner",
        ),
        (
            "nowhere",
            None,
            False,
            "on Azure, credentials are those of a grant of type azure-token or kubernetes; no token reaches images/nowhere: write a"
            " grant to azure-token, apply, and name it with --as",
        ),
        (
            "*",
            "kubelets",
            False,
            "registry images has no token for a grant kubelets; it has partner, pusher; a grant of type azure-token or kubernetes has"
            " one once it is applied",
        ),
    ],
)
def test_what_a_token_can_t_give_is_refused(
    azure: AzureSandbox, document: Document, asked: str, user: str | None, push: bool, said: str
) -> None:
    assert refusal(azure, document, asked, user, push=push) == said
    assert azure.acr.tokens[PULL].passwords == {}


def test_what_is_not_as_it_was_applied_is_refused(azure: AzureSandbox, document: Document) -> None:
    azure.call("PATCH", f"{RESOURCE}/tokens/{PULL}", {"properties": {"status": "disabled"}})
    assert refusal(azure, document, "*") == "token partner is disabled; run `reconciler apply`, which enables it"
    everything = {"scopeMapId": f"{RESOURCE}/scopeMaps/_repositories_admin", "status": "enabled"}
    azure.call("PATCH", f"{RESOURCE}/tokens/{PULL}", {"properties": everything})
    assert refusal(azure, document, "*") == (
        "somebody gave token partner the scope map _repositories_admin; run `reconciler apply`, which gives it its own"
    )
    azure.apply(document)
    assert issued(azure, document, "*").username == PULL
    other = {**document, "name": "other"}
    assert refusal(azure, other, "*").startswith("the scope map of token partner belongs to spec tests; ")
    assert refusal(azure, document, "*", ttl=1e12).startswith("Azure takes no date after the year 9999; ")


def test_a_refusal_of_azure_names_the_call_and_a_lost_answer_is_asked_for_again(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    azure_stand_in.behaviours.append(Fails("registries:generateCredentials", "refused"))
    with pytest.raises(PlatformError) as error:
        issued(azure, document, "*")
    assert (error.value.operation, error.value.address) == ("registries:generateCredentials", "images.token.partner")
    azure_stand_in.behaviours.append(Fails("registries:generateCredentials", "drop", times=2, lost=True))
    assert can(azure_stand_in, issued(azure, document, "*"), "repository:team/c:pull") == ["pull"]


def test_the_command_prints_the_password_and_nothing_else_has_it(
    azure: AzureSandbox,
    azure_stand_in: Server,
    document: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="")
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    done = in_this_process("credentials", "images/*", "--as", PULL, "--ttl", "7d", "--format", "json", "-vv")
    found = json.loads(done.stdout)
    assert found["username"] == PULL
    assert abs(datetime.fromisoformat(found["expires_at"]) - datetime.now(UTC) - timedelta(days=7)) < timedelta(
        minutes=1
    )
    assert "generateCredentials" in done.stderr + caplog.text
    assert found["password"] not in done.stderr + caplog.text
    login = issued(azure, document, "*")
    assert login.password not in repr(login)
    done = in_this_process("credentials", "images/*", "--as", PULL)
    assert "note: token partner has two passwords: an earlier one, good until " in done.stderr
    texts = [in_this_process(*command).stdout for command in (["plan"], ["plan", "--format", "json"], ["drift"])]
    for secret in azure_stand_in.cloud.state.secrets:
        assert all(secret not in text for text in texts)


def test_a_session_of_azure_is_one_that_issues_credentials(azure: AzureSandbox, document: Document) -> None:
    with session(azure.spec(document)) as opened:
        assert isinstance(opened, AzureSession)
        assert isinstance(issuing(opened), IssuingSession)
