"""What a registry, a token service or a proxy's address holds of a password stands in no error."""

from __future__ import annotations

import base64
import sys
from urllib.parse import quote

import httpx
import pytest

from reconciler.errors import PlatformError
from reconciler.platforms.distribution.auth import Login, said_of
from reconciler.platforms.distribution.client import RegistryClient

PASSWORD = "p/ss wörd+?>~"
LOGIN = Login("alice", PASSWORD)
BOTH = f"alice:{PASSWORD}".encode()


def said(message: str, login: Login = LOGIN) -> str:
    errors = {"errors": [{"code": "DENIED", "message": message}]}
    return said_of(httpx.Response(403, json=errors), login)


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        PASSWORD.upper(),
        BOTH.decode(),
        quote(PASSWORD, safe=""),
        base64.b64encode(BOTH).decode(),
        base64.b64encode(BOTH).decode().rstrip("="),
        base64.urlsafe_b64encode(BOTH).decode(),
        base64.b64encode(PASSWORD.encode()).decode(),
        quote(base64.b64encode(BOTH).decode(), safe=""),
    ],
)
def test_a_password_that_is_repeated_in_any_form_is_hidden(form: str) -> None:
    assert said(f"<{form}> is no login") == " (DENIED: <[hidden]> is no login)"


def test_a_password_at_the_end_of_what_is_shown_is_hidden_before_the_text_is_cut() -> None:
    assert PASSWORD[:6] not in said("x" * 286 + PASSWORD)


def test_a_short_password_is_hidden_as_a_word_and_leaves_other_words_as_they_are() -> None:
    short = Login("alice", "a")
    assert said("a bad password: alice:a", short) == " (DENIED: [hidden] bad password: [hidden])"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "address", ["http://user:Hunter22/x@proxy", "http://user:Hunter22#x@proxy", "ftp://u:Hunter22@h"]
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
def test_a_proxy_that_cannot_be_read_is_said_by_its_variable_alone(
    environment: pytest.MonkeyPatch, name: str, address: str
) -> None:
    environment.setenv(name, address)
    with pytest.raises(PlatformError) as failed:
        RegistryClient("https://registry.example.com", LOGIN)
    assert failed.value.message == f"the proxy in {name} can't be read"
    assert failed.value.operation == "GET https://registry.example.com/v2/"
    assert "Hunter22" not in str(failed.value)


def test_a_socks_proxy_without_its_library_says_what_to_install(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "socks5://user:Hunter22@proxy:1080")
    environment.setitem(sys.modules, "socksio", None)
    with pytest.raises(PlatformError) as failed:
        RegistryClient("https://registry.example.com", LOGIN)
    assert "HTTPS_PROXY gives a SOCKS proxy, and the library that speaks SOCKS is not installed" in str(failed.value)
    assert "pip install 'httpx[socks]'" in failed.value.hint
    assert "Hunter22" not in str(failed.value)
