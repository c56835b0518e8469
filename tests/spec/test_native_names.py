"""What a spec may say of the names that the platform has for repositories."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from reconciler import Spec, SpecError, parse_spec
from reconciler.model.address import Address
from reconciler.model.kind import Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired
from reconciler.platforms.aws.repository_names import name_of
from reconciler.platforms.aws.repository_settings import KIND, native_name, native_of, own_tags, settings_of
from reconciler.platforms.aws.spec import AwsRegistry
from tests.sandbox.base import Document

AWS = {"platform": "aws", "account_id": "123456789012", "region": "us-east-1"}
ELSEWHERE: dict[str, Document] = {
    "local": {"path": "box"},
    "gcp": {"project": "my-project", "location": "europe"},
    "azure": {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "resource_group": "rg",
        "location": "westeurope",
        "registry_name": "imagesprod",
    },
    "external": {"url": "https://registry.example.com"},
}


def spec(*repositories: Document, registries: list[Document] | None = None, **registry: Any) -> Spec:
    rows = registries or [{"name": "images", **AWS, **registry}]
    document = {"version": 1, "name": "t", "registries": rows}
    document["repositories"] = [{"registry": "images", **row} for row in repositories]
    return parse_spec(json.dumps(document))


def faults(*repositories: Document, **top: Any) -> list[str]:
    with pytest.raises(SpecError) as raised:
        spec(*repositories, **top)
    return [f"{item.path}: {item.message}" for item in raised.value.problems]


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_a_whole_name_is_for_aws_alone(platform: str) -> None:
    registry = {"name": "images", "platform": platform, **ELSEWHERE[platform]}
    (message,) = faults({"name": "app", "native_name": "legacy"}, registries=[registry])
    assert message.startswith("repositories[0].native_name: is for AWS; ")


@pytest.mark.parametrize("platform", ELSEWHERE)
def test_so_is_a_prefix(platform: str) -> None:
    registry = {"name": "images", "platform": platform, "prefix": "x", **ELSEWHERE[platform]}
    (message,) = faults(registries=[registry])
    assert message.startswith("registries[0].prefix: unknown key")


@pytest.mark.parametrize("prefix", ["Team/", "/", "-", "a//", "a..b-", "a b", "ü/", "a" * 255])
def test_a_prefix_that_no_name_begins_with_is_refused(prefix: str) -> None:
    (message,) = faults(prefix=prefix)
    assert message.startswith("registries[0].prefix: ")
    assert "must be empty, or words of lower-case letters and digits, joined by" in message


@pytest.mark.parametrize(
    ("prefix", "row", "at", "says"),
    [
        ("", {"name": "b"}, "name", "has 1 character; ECR allows 2 to 256"),
        ("a", {"name": "b"}, "", ""),
        ("", {"name": "a" * 255}, "", ""),
        ("a", {"name": "a" * 255}, "", ""),
        ("a/", {"name": "a" * 255}, "name", "has 257 characters; ECR allows 2 to 256"),
        ("x/", {"name": "app", "native_name": "a" * 256}, "", ""),
        ("x/", {"name": "app", "native_name": "a" * 257}, "native_name", "must be words of lower-case letters"),
        ("x/", {"name": "app", "native_name": "b"}, "native_name", "has 1 character; ECR allows 2 to 256"),
        ("x/", {"name": "app", "native_name": "b__c"}, "native_name", "words must be joined by a single"),
        ("x/", {"name": "app", "native_name": "B/c"}, "native_name", "must be words of lower-case letters"),
        ("x/", {"name": "app", "native_name": "b//c"}, "native_name", "must be words of lower-case letters"),
        ("x/", {"name": "app", "native_name": ""}, "native_name", "must be words of lower-case letters"),
        ("x/", {"name": "a--b"}, "name", "words must be joined by a single"),
        # a name that ECR would refuse stands in the spec alone
        ("x/", {"name": "a--b", "native_name": "ab"}, "", ""),
    ],
)
def test_ecr_s_rule_holds_for_the_whole_name(prefix: str, row: Document, at: str, says: str) -> None:
    if not says:
        assert spec(row, prefix=prefix)
        return
    (message,) = faults(row, prefix=prefix)
    assert message.startswith(f"repositories[0].{at}: ")
    assert says in message


def test_two_repositories_of_one_name_are_told_at_both_places() -> None:
    two = ({"name": "app", "native_name": "legacy"}, {"name": "api", "native_name": "legacy"}, {"name": "legacy"})
    why = "give one of them another native_name"
    assert faults(*two) == [
        f"repositories[1].native_name: on the platform it is 'legacy', as is repository app of this registry: {why}"
    ]
    assert faults(*two, prefix="") == [
        f"repositories[1].native_name: on the platform it is 'legacy', as is repository app of this registry: {why}",
        f"repositories[2].name: on the platform it is 'legacy', as is repository app of this registry: {why}",
    ]


@pytest.mark.parametrize(
    ("other", "clash"),
    [
        ({}, True),
        ({"region": "eu-west-1"}, False),
        ({"region": "eu-west-1", "replication_regions": ["us-east-1"]}, False),
        ({"account_id": "123456789013"}, False),
        ({"prefix": "images-"}, False),
    ],
)
def test_two_registries_clash_where_their_names_do_and_only_there(other: Document, clash: bool) -> None:
    registries = [{"name": "images", **AWS}, {"name": "other", **AWS, **other}]
    native = "other-legacy" if "replication_regions" in other else "legacy"
    rows = ({"name": "app", "native_name": native}, {"registry": "other", "name": "api", "native_name": native})
    if other.get("prefix"):
        rows[1]["native_name"] = "images-api"
    if not clash and "replication_regions" not in other:
        assert len(spec(*rows, registries=registries).repositories) == 2
        return
    where = "in the same account and region (us-east-1): give one of them another native_name"
    assert faults(*rows, registries=registries) == [
        f"repositories[{index}].native_name: on the platform it is '{native}', as is repository {name} of registry"
        f" {registry}, {where}"
        for index, name, registry in ((0, "api", "other"), (1, "app", "images"))
    ]


def test_a_replication_rule_copies_what_has_the_prefix_and_nothing_else() -> None:
    copied: Document = {"replication_regions": ["eu-west-1"]}
    (message,) = faults({"name": "app"}, prefix="", **copied)
    assert message.startswith("registries[0].prefix: a replication rule chooses repositories by their prefix")
    (message,) = faults({"name": "app", "native_name": "legacy"}, **copied)
    assert message == (
        "repositories[0].native_name: registry images replicates 'images-*', and 'legacy' does not begin with that, so it would not"
        " be copied: move it to a registry without replication_regions"
    )
    assert spec({"name": "app", "native_name": "images-legacy"}, **copied)


def test_scanning_that_says_nothing_of_names_is_of_what_has_the_prefix() -> None:
    basic: Document = {"scanning": {"type": "basic"}}
    (message,) = faults({"name": "app"}, prefix="", **basic)
    assert message.startswith("registries[0].scanning: says nothing of names, and with an empty prefix")
    (message,) = faults({"name": "app", "native_name": "legacy"}, **basic)
    assert message.startswith(
        "repositories[0].native_name: registry images has 'images-*' scanned, and 'legacy' does not"
    )
    assert spec({"name": "app", "native_name": "images-legacy"}, **basic)
    assert spec({"name": "app", "native_name": "legacy"}, scanning={"type": "basic", "on_push": ["leg*"]}, prefix="")


def test_a_registry_whose_prefix_another_s_rule_copies_is_refused() -> None:
    copied: Document = {"replication_regions": ["eu-west-1"]}
    registries: list[Document] = [{"name": "images", **AWS, **copied}, {"name": "images-eu", **AWS}]
    (message,) = faults(registries=registries)
    assert message == (
        "registries[0]: it replicates 'images-*', which includes 'images-eu-*' of registry images-eu in the same account and region"
        " (us-east-1): give one of them another prefix"
    )
    registries[1]["prefix"] = "im"
    rows = (
        {"registry": "images-eu", "name": "ages-x"},
        {"registry": "images-eu", "name": "x", "native_name": "images-y"},
    )
    assert faults(*rows, registries=registries) == [
        f"repositories[{index}].{field}: on AWS it is '{native}', and registry images replicates 'images-*' from the same account and"
        " region (us-east-1): give it another name"
        for index, field, native in ((0, "name", "images-x"), (1, "native_name", "images-y"))
    ]


words = st.from_regex(r"[a-z0-9]{1,3}([._/-][a-z0-9]{1,3}){0,2}", fullmatch=True)
prefixes = st.one_of(
    st.none(), st.just(""), st.just("images-"), st.builds("{}{}".format, words, st.sampled_from(["", "-", "/", "."]))
)


@given(
    prefix=prefixes,
    rows=st.dictionaries(words, st.one_of(st.none(), words, words.map("images-{}".format)), min_size=1, max_size=6),
)
@example(prefix="", rows={"images-app": None, "app": None})
@example(prefix="images-x/", rows={"app": None, "x/app": "ab", "images-x/app": "cd"})
@example(prefix="", rows={"app": "images-app", "images-app": "app"})
def test_names_in_the_spec_and_in_ecr_are_one_to_one(prefix: str | None, rows: dict[str, str | None]) -> None:
    registry: Document = {} if prefix is None else {"prefix": prefix}
    given_names = [{"name": name, **({"native_name": native} if native else {})} for name, native in rows.items()]
    try:
        found = spec(*given_names, **registry)
    except SpecError:  # two of one name, or one that ECR refuses
        reject()
    here = found.registries[0]
    assert isinstance(here, AwsRegistry)
    natives: dict[str, str] = {}
    for item in found.repositories:
        at = Address.of("images", KIND, item.name)
        settings = settings_of(here, item, "us-east-1")
        native = native_of(here, at, settings)
        assert native == native_name(here, item)
        tags = own_tags(Write(Desired(at, KIND, settings), Marks("t", "spec", None, "images")), {})
        # there and back, also where the prefix has changed meanwhile
        for then in (here, here.model_copy(update={"prefix": "other/"}), here.model_copy(update={"prefix": None})):
            assert name_of(then, native, tags, ours=True) == item.name
        natives[native] = item.name
    assert len(natives) == len(found.repositories)
