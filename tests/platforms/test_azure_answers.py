"""What is read in the answers of a registry's own endpoint, and in what comes instead."""

from __future__ import annotations

from http.client import RemoteDisconnected
from typing import Any

import pytest
import requests
from azure.core.exceptions import ServiceResponseError
from urllib3.exceptions import ProtocolError

from reconciler.platforms.azure.answers import Said, is_own, said_in
from reconciler.platforms.azure.denials import unreached


@pytest.mark.parametrize(
    ("method", "path", "status", "text", "own"),
    [
        ("GET", "/acr/v1/app-a", 404, '{"errors": [{"code": "NAME_UNKNOWN"}]}', True),
        ("GET", "/acr/v1/team%2Fc", 404, '{"errors": [{"code": "NAME_UNKNOWN"}]}', True),
        ("DELETE", "/acr/v1/app-a", 404, '{"errors": [{"code": "NAME_UNKNOWN"}]}', True),
        ("GET", "/acr/v1/app-a", 404, '{"errors": {"code": "NAME_UNKNOWN"}}', False),
        ("GET", "/acr/v1/app-a", 404, '{"errors": []}', False),
        ("GET", "/acr/v1/app-a", 404, '["NAME_UNKNOWN"]', False),
        ("GET", "/acr/v1/app-a", 404, "", False),
        ("GET", "/acr/v1/app-a", 200, '{"manifestCount": 0}', True),
        ("GET", "/acr/v1/app-a", 200, '{"manifestCount": -1}', False),
        ("GET", "/acr/v1/app-a", 200, '{"manifestCount": true}', False),
        ("GET", "/acr/v1/app-a", 204, "", False),
        ("GET", "/acr/v1/_catalog", 200, '{"repositories": []}', True),
        ("GET", "/acr/v1/_catalog?last=a&n=100", 200, '{"repositories": ["b"]}', True),
        ("GET", "/acr/v1/_catalog", 200, '{"repositories": null}', True),
        ("GET", "/acr/v1/_catalog", 200, '{"repositories": [null]}', False),
        ("GET", "/acr/v1/_catalog", 404, '{"errors": [{"code": "NAME_UNKNOWN"}]}', False),
        ("POST", "/oauth2/exchange", 200, '{"access_token": "x"}', False),
        ("POST", "/oauth2/token", 200, '{"access_token": "x"}', True),
        ("DELETE", "/acr/v1/app-a", 202, '{"manifestsDeleted": [], "tagsDeleted": []}', True),
        ("DELETE", "/acr/v1/app-a", 202, "", True),
        ("DELETE", "/acr/v1/app-a", 204, "", False),
        ("GET", "/login", 200, "{}", False),
    ],
)
def test_which_answers_are_the_registry_s(method: str, path: str, status: int, text: str, own: bool) -> None:
    assert is_own(method, f"https://acmeimages.azurecr.io{path}", status, text) is own


@pytest.mark.parametrize(
    "found", [None, {}, {"errors": "x"}, {"errors": [1]}, {"errors": [{"code": 1, "message": []}]}]
)
def test_an_error_that_says_nothing_is_nothing(found: Any) -> None:
    assert said_in(found) == Said()


def test_what_keeps_an_answer_away_is_said_without_the_name_of_a_program_s_parts() -> None:
    gone = ProtocolError("Connection aborted.", RemoteDisconnected("Remote end closed connection without response"))
    assert unreached("a.azurecr.io", ServiceResponseError(gone, error=requests.ConnectionError(gone))) == (
        "a.azurecr.io can't be reached: Remote end closed connection without response"
    )
    late = requests.ReadTimeout("HTTPSConnectionPool(host='a.azurecr.io', port=443): Read timed out. (read timeout=60)")
    assert unreached("a.azurecr.io", ServiceResponseError(late, error=late)) == (
        "a.azurecr.io can't be reached: Read timed out. (read timeout=60)"
    )
    assert unreached("a.azurecr.io", OSError()) == "a.azurecr.io can't be reached: OSError"
