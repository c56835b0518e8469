"""Addresses: a text with parts."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.address import Address

names = st.from_regex(r"[a-z0-9]+([._/-][a-z0-9]+){0,4}", fullmatch=True)
places = st.sampled_from(["", "us-west-2", "eu-west-1"])


@settings(max_examples=50)
@given(st.from_regex(r"[a-z]+(-[a-z]+)*", fullmatch=True), st.sampled_from(["repository", "role"]), names, places)
def test_an_address_has_the_parts_that_it_was_made_of(registry: str, kind: str, name: str, where: str) -> None:
    made = Address.of(registry, kind, name, where)
    assert (made.registry, made.kind, made.name, made.where) == (registry, kind, name, where)
    again = Address(str(made))
    assert (again.registry, again.kind, again.name, again.where) == (registry, kind, name, where)
    below = made.sibling("access")
    assert (below.registry, below.kind, below.name, below.where) == (registry, "access", name, where)
    assert isinstance(below, Address)


def test_an_address_is_its_text_wherever_a_text_is_wanted() -> None:
    made = Address.of("images", "repository", "team/app.a", "us-west-2")
    text = "images.repository.team/app.a@us-west-2"
    assert made == text
    assert {made: 1}[text] == 1  # type: ignore[index]  # a plain text finds it, as what a user types does
    assert f"{made}" == json.loads(json.dumps(made)) == text
    assert type(pickle.loads(pickle.dumps(made))) is Address
    assert sorted([made, Address("images.access.x")])[0] == "images.access.x"


@pytest.mark.parametrize("text", ["", "images", "images.role"])
def test_what_a_user_types_may_be_no_address_and_still_compares(text: str) -> None:
    assert Address(text).registry == text.partition(".")[0]
    assert Address(text) != Address.of("images", "role", "pull")
