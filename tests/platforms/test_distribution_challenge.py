"""What WWW-Authenticate headers ask for, by a table of forms that registries send and that RFC 9110 allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.platforms.distribution.challenge import Challenge, challenges

DOCKER_HUB = {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"}
#: sources: ../shared/kubernetes/facts.md, "Registries"; https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1 for the last ones
FORMS = {
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"': [Challenge("bearer", DOCKER_HUB)],
    'BASIC realm="Sonatype Nexus Repository Manager"': [
        Challenge("basic", {"realm": "Sonatype Nexus Repository Manager"})
    ],
    'Bearer realm="https://harbor.example.com/service/token",service="harbor-registry"': [
        Challenge("bearer", {"realm": "https://harbor.example.com/service/token", "service": "harbor-registry"})
    ],
    'Bearer realm="https://git.example.com/jwt/auth",service="container_registry",error="invalid_token"': [
        Challenge(
            "bearer",
            {"realm": "https://git.example.com/jwt/auth", "service": "container_registry", "error": "invalid_token"},
        )
    ],
    'Bearer realm="r",service="s",scope="repository:app:pull,push"': [
        Challenge("bearer", {"realm": "r", "service": "s", "scope": "repository:app:pull,push"})
    ],
    'Basic realm="a, b", Bearer realm="c",service=d': [
        Challenge("basic", {"realm": "a, b"}),
        Challenge("bearer", {"realm": "c", "service": "d"}),
    ],
    "Negotiate, Basic realm=x": [Challenge("negotiate"), Challenge("basic", {"realm": "x"})],
    'Negotiate YII=, Bearer realm="q"': [Challenge("negotiate", {}, "YII="), Challenge("bearer", {"realm": "q"})],
    'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"': [
        Challenge("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
        Challenge("basic", {"realm": "simple"}),
    ],
    'Bearer REALM = "a" ,\tservice= "b" , , Basic': [
        Challenge("bearer", {"realm": "a", "service": "b"}),
        Challenge("basic"),
    ],
    'Basic realm="x" Bearer realm="y"': [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
    'Bearer realm="first", realm="second"': [Challenge("bearer", {"realm": "first"})],
    "": [],
    " , ,": [],
    'realm="x"': [],
    'Bearer realm="never closed': [Challenge("bearer")],
}


@pytest.mark.parametrize("header", FORMS)
def test_a_header_is_read_by_the_grammar(header: str) -> None:
    assert list(challenges([header])) == FORMS[header]


def test_several_headers_are_several_lists() -> None:
    assert [item.scheme for item in challenges(["Basic realm=a", 'Bearer realm="b"'])] == ["basic", "bearer"]


WORDS = st.text("abcdefgXYZ0123456789._~-", min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@given(st.lists(st.tuples(WORDS, st.dictionaries(WORDS.map(str.lower), VALUES, max_size=3)), max_size=4))
def test_what_is_written_is_what_is_read(wanted: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        scheme + " " * bool(fields) + ",".join(f"{key}={quoted(value)}" for key, value in fields.items())
        for scheme, fields in wanted
    )
    assert list(challenges([header])) == [Challenge(scheme.lower(), fields) for scheme, fields in wanted]


@given(st.text(st.sampled_from('Bearer Basic realm="x\\", =;\t'), max_size=200))
def test_any_text_is_answered(header: str) -> None:
    assert all(item.scheme == item.scheme.lower() for item in challenges([header]))
