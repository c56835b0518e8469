"""State transitions as properties: the oracles of Acto (SOSP 2023), which tests operators the same way.

Any valid spec converges; a chain of specs ends where its last one would have ended alone; any change by hand is healed.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stages import AwsStage, Document, LocalStage, Stage

NAMES = ("app-a", "app-b", "team/c", "d.e")
KEYS = ("team", "tier", "cost.center")
KEY = "arn:aws:kms:us-east-1:123456789012:key/mrk-{}"

retentions = st.fixed_dictionaries(
    {"keep_last": st.integers(1, 500)},
    optional={
        "untagged_days": st.integers(1, 60),
        "keep_tags": st.lists(st.sampled_from(["v*", "release-*"]), unique=True),
    },
)
raw_policies = st.integers(1, 90).map(
    lambda days: {
        "rules": [
            {
                "rulePriority": 10,
                "description": "by hand",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": days,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
immutable = st.one_of(
    st.booleans(),
    st.lists(st.sampled_from(["latest", "dev-*", "x"]), min_size=1, unique=True).map(lambda tags: {"except": tags}),
)


def repositories(platform: str) -> st.SearchStrategy[Document]:
    """One repository's settings."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "description": st.sampled_from(["", "the shop", "the other shop"]),
        "immutable_tags": immutable,
        "scan_on_push": st.booleans(),
        "labels": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["a", "b"]), max_size=3),
        "retention": retentions,
        "delete_images": st.booleans(),
        "adopt": st.booleans(),
    }
    if platform == "aws":
        optional["lifecycle_policy"] = raw_policies
        optional["encryption"] = st.sampled_from("12").map(lambda number: {"kms_key": KEY.format(number)})
    return st.fixed_dictionaries({}, optional=optional)


def targets(platform: str) -> st.SearchStrategy[Document]:
    """One grant's target."""
    if platform == "local":
        users = st.lists(st.sampled_from(["alice", "bob", "carol"]), min_size=1, unique=True)
        return users.map(lambda names: {"type": "local", "users": names})
    accounts = st.lists(st.sampled_from(["987654321091", "987654321092"]), min_size=1, unique=True)
    roles = st.lists(
        st.sampled_from(["arn:aws:iam::987654321091:role/r", "arn:aws:iam::123456789012:role/images-pull"]), unique=True
    )
    functions = st.lists(st.sampled_from(["arn:aws:lambda:us-east-1:987654321091:function:f"]), unique=True)
    return st.fixed_dictionaries(
        {"type": st.just("aws"), "account_ids": accounts},
        optional={
            "role_arns": roles,
            "regions": st.lists(st.sampled_from(["us-east-1", "eu-west-1"]), unique=True),
            "allowed_service_types": st.just(["worker"]),
            "function_arns": functions,
        },
    )


@st.composite
def documents(draw: Any, platform: str) -> Document:
    """Any valid spec of one or two registries."""
    registries = ["images", *(["other"] if draw(st.booleans()) else [])]
    rows = [
        {"name": name, "registry": registry, **draw(repositories(platform))}
        for registry in registries
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    ]
    grants = []
    for name in draw(st.lists(st.sampled_from(["one", "two", "three-3"]), unique=True)):
        registry = draw(st.sampled_from(registries))
        grant = {"name": name, "registry": registry, "to": draw(targets(platform))}
        names = [row["name"] for row in rows if row["registry"] == registry]
        if names and draw(st.booleans()):
            grant["repositories"] = draw(st.lists(st.sampled_from([*names, "app-*"]), min_size=1, unique=True))
        if draw(st.booleans()):
            grant["permission"] = "push-pull"
        grants.append(grant)
    return {
        "version": 1,
        "name": "tests",
        "guards": {"max_deletes": "100%"},
        "registries": [{"name": name, **draw(registry_fields(platform, name))} for name in registries],
        "repositories": rows,
        "grants": grants,
    }


def registry_fields(platform: str, name: str) -> st.SearchStrategy[Document]:
    """A registry's fields beyond its name."""
    if platform == "local":
        return st.just({"platform": "local", "path": name})
    base = {"platform": "aws", "account_id": "123456789012", "region": "us-east-1"}
    return st.fixed_dictionaries(
        {},
        optional={
            "replication_regions": st.lists(st.sampled_from(["us-west-2", "eu-west-1"]), unique=True),
            "trusted_principals": st.lists(
                st.sampled_from(["123456789012", "arn:aws:iam::123456789012:role/ci"]), unique=True
            ),
        },
    ).map(lambda more: {**base, **more})


def all_registries(document: Document, platform: str) -> Document:
    """The document with both registries: a registry that left the spec can't be known (there is no state file)."""
    document = copy.deepcopy(document)
    if len(document["registries"]) == 1:
        fields = {"platform": "local", "path": "other"}
        if platform == "aws":
            fields = {"platform": "aws", "account_id": "123456789012", "region": "us-east-1"}
        document["registries"].append({"name": "other", **fields})
    return document


def converges(stage: Stage, document: Document) -> None:
    stage.reset()
    stage.apply(document)
    assert stage.plan(document).changes == ()


def chain_ends_as_its_last(stage: Stage, chain: list[Document]) -> None:
    chain = [all_registries(document, stage.platform) for document in chain]
    stage.reset()
    for document in chain:
        stage.apply(document)
    end = stage.state()
    assert stage.plan(chain[-1]).changes == ()
    stage.reset()
    stage.apply(chain[-1])
    assert end == stage.state()


def hand_is_healed(stage: Stage, document: Document, data: st.DataObject) -> None:
    stage.reset()
    stage.apply(document)
    good = stage.state()
    hands = stage.hands()
    if not hands:
        return
    name, change = data.draw(st.sampled_from(hands).map(lambda hand: hand), label="by hand")
    change()
    stage.apply(document, allow_delete=[])
    assert stage.state() == good, name
    assert stage.plan(document).changes == (), name


quick = settings(max_examples=60)
slow = settings(max_examples=25, suppress_health_check=list(HealthCheck))


class TestLocal:
    """On a folder."""

    @quick
    @given(document=documents("local"))
    def test_any_valid_spec_converges(self, local: LocalStage, document: Document) -> None:
        converges(local, document)

    @quick
    @given(chain=st.lists(documents("local"), min_size=2, max_size=4))
    def test_a_chain_of_specs_ends_as_its_last_one_alone(self, local: LocalStage, chain: list[Document]) -> None:
        chain_ends_as_its_last(local, chain)

    @quick
    @given(document=documents("local"), data=st.data())
    def test_any_change_by_hand_is_healed(self, local: LocalStage, document: Document, data: st.DataObject) -> None:
        hand_is_healed(local, document, data)


class TestAws:
    """On moto."""

    @slow
    @given(document=documents("aws"))
    def test_any_valid_spec_converges(self, aws: AwsStage, document: Document) -> None:
        converges(aws, document)

    @slow
    @given(chain=st.lists(documents("aws"), min_size=2, max_size=3))
    def test_a_chain_of_specs_ends_as_its_last_one_alone(self, aws: AwsStage, chain: list[Document]) -> None:
        chain_ends_as_its_last(aws, chain)

    @slow
    @given(document=documents("aws"), data=st.data())
    def test_any_change_by_hand_is_healed(self, aws: AwsStage, document: Document, data: st.DataObject) -> None:
        hand_is_healed(aws, document, data)


RICH: dict[str, Document] = {
    "local": {
        "registries": [{"name": "images", "platform": "local", "path": "sandbox"}],
        "repositories": [
            {"name": "app-a", "registry": "images", "labels": {"team": "a"}, "retention": {"keep_last": 3}},
            {"name": "app-b", "registry": "images", "immutable_tags": True},
        ],
        "grants": [{"name": "one", "registry": "images", "to": {"type": "local", "users": ["alice", "bob"]}}],
    },
    "aws": {
        "registries": [
            {
                "name": "images",
                "platform": "aws",
                "account_id": "123456789012",
                "region": "us-east-1",
                "replication_regions": ["eu-west-1"],
            }
        ],
        "repositories": [
            {"name": "app-a", "registry": "images", "labels": {"team": "a"}, "retention": {"keep_last": 3}},
            {"name": "app-b", "registry": "images", "immutable_tags": {"except": ["latest"]}},
        ],
        "grants": [
            {
                "name": "one",
                "registry": "images",
                "to": {"type": "aws", "account_ids": ["987654321091"], "allowed_service_types": ["worker"]},
            }
        ],
    },
}


def test_every_single_change_by_hand_is_healed(stage: Stage) -> None:
    """Not a sample: each hand that the stage has, on a spec that uses every kind of resource."""
    document = {"version": 1, "name": "tests", "guards": {"max_deletes": "100%"}, **RICH[stage.platform]}
    stage.apply(document)
    good = stage.state()
    names = [name for name, _ in stage.hands()]
    assert len(set(names)) == len(names) >= 10
    for name in names:
        dict(stage.hands())[name]()
        if stage.state() == good:
            pytest.fail(f"{name} changed nothing")
        stage.apply(document)
        assert stage.state() == good, name
        assert stage.plan(document).changes == (), name
