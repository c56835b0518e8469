"""State transitions as properties: the oracles of Acto (SOSP 2023), which tests operators the same way.

Any valid spec converges; a chain of specs ends where its last one would have ended alone; any change by hand is healed.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.base import Document, Sandbox

KEYS = ("team", "tier", "cost.center")

retentions = st.fixed_dictionaries(
    {"keep_last": st.integers(1, 500)},
    optional={
        "untagged_days": st.integers(1, 60),
        "keep_tags": st.lists(st.sampled_from(["v*", "release-*"]), unique=True),
    },
)
immutable = st.one_of(
    st.booleans(),
    st.lists(st.sampled_from(["latest", "dev-*", "x"]), min_size=1, unique=True).map(lambda tags: {"except": tags}),
)
#: of a repository, on every platform that has no other values in its sandbox
repository_fields: dict[str, st.SearchStrategy[Any]] = {
    "description": st.sampled_from(["", "the shop", "the other shop"]),
    "immutable_tags": immutable,
    "scan_on_push": st.booleans(),
    "labels": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["a", "b"]), max_size=3),
    "retention": retentions,
    "delete_images": st.booleans(),
    "adopt": st.booleans(),
}


@st.composite
def documents(draw: Any, sandbox: Sandbox) -> Document:
    """Any valid spec of one or two registries."""
    repositories = st.fixed_dictionaries({}, optional={**repository_fields, **sandbox.repository_fields})
    registry_fields = st.fixed_dictionaries({}, optional=dict(sandbox.registry_fields))
    registries = ["images", *(["other"] if draw(st.booleans()) else [])]
    rows = [
        {"name": name, "registry": registry, **draw(repositories)}
        for registry in registries
        for name in draw(st.lists(st.sampled_from(sandbox.names), unique=True, max_size=3))
    ]
    grants = []
    for name in draw(st.lists(st.sampled_from(["one", "two", "three-3"]), unique=True)):
        registry = draw(st.sampled_from(registries))
        grant = {"name": name, "registry": registry, "to": draw(sandbox.targets)}
        names = [row["name"] for row in rows if row["registry"] == registry]
        if names and draw(st.booleans()):
            grant["repositories"] = draw(st.lists(st.sampled_from([*names, "app-*"]), min_size=1, unique=True))
        if draw(st.booleans()):
            grant["permission"] = "push-pull"
        grants.append(grant)
    return sandbox.valid(
        {
            "version": 1,
            "name": "tests",
            "guards": {"max_deletes": "100%"},
            "registries": [sandbox.registry(name, **draw(registry_fields)) for name in registries],
            "repositories": rows,
            "grants": grants,
        }
    )


def all_registries(sandbox: Sandbox, document: Document) -> Document:
    """The document with both registries: a registry that left the spec can't be known (there is no state file)."""
    document = copy.deepcopy(document)
    if len(document["registries"]) == 1:
        document["registries"].append(sandbox.registry("other"))
    return document


def property_of(sandbox: Sandbox) -> settings:
    """How a property is tried in the sandbox."""
    found = settings(max_examples=sandbox.examples)
    return settings(found, suppress_health_check=list(HealthCheck)) if sandbox.slow else found


@pytest.mark.slow  # any spec, and any hand
class TestAnySpec:
    """In each sandbox."""

    def test_any_valid_spec_converges(self, sandbox: Sandbox) -> None:
        @property_of(sandbox)
        @given(document=documents(sandbox))
        def converges(document: Document) -> None:
            sandbox.reset()
            sandbox.apply(document)
            assert sandbox.plan(document).changes == ()

        converges()

    @pytest.mark.slow  # the longest of all, also where nothing is far away
    def test_a_chain_of_specs_ends_as_its_last_one_alone(self, sandbox: Sandbox) -> None:
        @property_of(sandbox)
        @given(chain=st.lists(documents(sandbox), min_size=2, max_size=sandbox.longest_chain))
        def ends_as_its_last(chain: list[Document]) -> None:
            chain = [all_registries(sandbox, document) for document in chain]
            sandbox.reset()
            for document in chain:
                sandbox.apply(document)
            end = sandbox.state()
            assert sandbox.plan(chain[-1]).changes == ()
            sandbox.reset()
            sandbox.apply(chain[-1])
            assert end == sandbox.state()

        ends_as_its_last()

    def test_any_change_by_hand_is_healed(self, sandbox: Sandbox) -> None:
        healed: set[str] = set()

        @property_of(sandbox)
        @given(document=documents(sandbox), data=st.data())
        def is_healed(document: Document, data: st.DataObject) -> None:
            sandbox.reset()
            sandbox.apply(document)
            good = sandbox.state()
            hands = sandbox.hands()
            if not hands:
                return
            name, change = data.draw(st.sampled_from(hands), label="by hand")
            change()
            sandbox.apply(document, allow_delete=[])
            assert sandbox.state() == good, name
            assert sandbox.plan(document).changes == (), name
            healed.add(name)

        is_healed()
        assert len(healed) >= 5, "most specs have something that a hand can change"


def test_every_single_change_by_hand_is_healed(sandbox: Sandbox) -> None:
    """Not a sample: each hand that the sandbox has, on a spec that uses every kind of resource."""
    document = sandbox.rich_document()
    sandbox.apply(document)
    good = sandbox.state()
    assert sandbox.plan(document).changes == ()
    hands = sandbox.hands()
    assert len({name for name, _ in hands}) == len(hands) >= 10
    for name, change in hands:
        change()
        if sandbox.state() == good:
            pytest.fail(f"{name} changed nothing")
        sandbox.apply(document)
        assert sandbox.state() == good, name  # of which the plan has no changes
