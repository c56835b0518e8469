"""References in place of values: whatever the values and the texts are, they come back as they were, and no value is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.platforms.catalog import Spec
from reconciler.spec.loader import parse_spec
from reconciler.spec.variables import hidden, proof, revealed

pytestmark = pytest.mark.slow  # hashes that are slow on purpose

TEXTS = st.text(st.sampled_from('ab"\\\n${env:A}|jsonB'), max_size=12)
VALUES = st.recursive(TEXTS, lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3))
VARIABLES = st.dictionaries(st.sampled_from(["A", "B", "json", "_c1"]), TEXTS, max_size=3)


@given(VALUES, VARIABLES)
def test_what_was_hidden_comes_back(value: Any, variables: dict[str, str]) -> None:
    safe = hidden({"old": value}, variables)
    assert revealed(safe, variables) == {"old": value}


@given(st.text("xyz", max_size=5), st.text("xyz", max_size=5), st.text("stuvw", min_size=1, max_size=5))
def test_a_value_is_found_inside_a_longer_text_however_short_it_is(before: str, after: str, secret: str) -> None:
    safe = hidden([f"{before}{secret}{after}", {"old": {secret: secret}}], {"NAME": secret})
    assert safe == [f"{before}${{env:NAME}}{after}", {"old": {"${env:NAME}": "${env:NAME}"}}]


def test_of_two_values_the_longer_is_taken_where_one_is_a_part_of_the_other() -> None:
    variables = {"A": "one", "B": "one-two"}
    assert hidden(["one-two", "one"], variables) == ["${env:B}", "${env:A}"]


def test_a_value_inside_text_that_is_json_is_found_too() -> None:
    secret = 'a "b"\n'
    text = json.dumps({"key": secret})
    assert hidden(text, {"NAME": secret}) == '{"key": "${env:NAME|json}"}'


def test_a_text_that_looks_like_a_reference_takes_nothing_from_the_environment() -> None:
    """Somebody else's tag on the platform, say: it must not bring a secret of whoever applies into the plan."""
    assert hidden("${env:HOME}", {}) == "${env:}HOME}"
    assert revealed("${env:}HOME}", {"HOME": "/root"}) == "${env:HOME}"
    with pytest.raises(ValueError, match="the environment variable HOME, but the spec does not"):
        revealed("${env:HOME}", {})


def test_the_file_s_own_words_stay() -> None:
    assert hidden(["create", "recreate"], {"A": "create"}, {"create"}) == ["create", "re${env:A}"]


def test_a_proof_depends_on_value_name_and_salt() -> None:
    assert len({proof("A", "x", "s"), proof("A", "y", "s"), proof("B", "x", "s"), proof("A", "x", "t")}) == 4
    assert proof("A", "x", "s") == proof("A", "x", "s")


def test_a_spec_knows_which_variables_it_took_values_from() -> None:
    text = """\
version: 1
name: tests
registries: [{name: images, platform: local, path: "${env:PLACE}/box"}]
"""
    spec = parse_spec(text, environ={"PLACE": "here", "OTHER": "x"}, model=Spec)
    assert spec.variables == {"PLACE": "here"}
    assert "here" not in repr(spec._variables.keys())
