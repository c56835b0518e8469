"""What a spec can say of Azure, and what Azure would refuse or does not have: at its line, with the reason."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from reconciler import Spec, parse_spec
from reconciler.errors import SpecError
from reconciler.platforms.azure import rules

PRINCIPAL = "11111111-1111-1111-1111-111111111111"


def document(
    *repositories: dict[str, Any] | str, grants: tuple[dict[str, Any], ...] = (), **registry: Any
) -> dict[str, Any]:
    rows = [{"name": item} if isinstance(item, str) else item for item in repositories]
    home = {
        "name": "images",
        "platform": "azure",
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "resource_group": "images",
        "location": "westeurope",
        "registry_name": "acmeimages",
        "sku": "Premium",
    }
    return {
        "version": 1,
        "name": "shop",
        "registries": [home | registry],
        "repositories": [{"registry": "images", **row} for row in rows],
        "grants": [{"registry": "images", **grant} for grant in grants],
    }


def load(found: dict[str, Any]) -> Spec:
    return parse_spec(yaml.safe_dump(found, sort_keys=False))


def grant(*principals: str, **fields: Any) -> dict[str, Any]:
    return {"name": "kubelets", "to": {"type": "azure", "principal_ids": list(principals or [PRINCIPAL])}, **fields}


def problems(found: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as refused:
        load(found)
    return [(item.path, item.message) for item in refused.value.problems]


@pytest.mark.parametrize(
    ("row", "path", "said"),
    [
        ({"immutable_tags": True}, "immutable_tags", rules.NO_IMMUTABLE_TAGS),
        ({"immutable_tags": {"except": ["latest"]}}, "immutable_tags", rules.NO_IMMUTABLE_TAGS),
        ({"scan_on_push": True}, "scan_on_push", rules.NO_SCANS),
        ({"encryption": {"kms_key": "x"}}, "encryption", rules.NO_KEYS),
        ({"retention": {"keep_last": 3}}, "retention.keep_last", rules.ONLY_UNTAGGED.format(field="keep_last")),
        (
            {"retention": {"untagged_days": 3, "keep_tags": ["v*"]}},
            "retention.keep_tags",
            rules.ONLY_UNTAGGED.format(field="keep_tags"),
        ),
        ({"retention": {"untagged_days": 366}}, "retention.untagged_days", "Azure takes at most 365 days"),
        ({"labels": {"team": "shop"}}, "labels", rules.NO_LABELS),
        ({"lifecycle_policy": {"rules": []}}, "lifecycle_policy", "is for AWS; use retention on Azure"),
        ({"native_name": "x"}, "native_name", "is for AWS; on Azure, name is the repository's own name"),
    ],
)
def test_what_azure_does_not_have_is_an_error_that_says_so(row: dict[str, Any], path: str, said: str) -> None:
    assert problems(document({"name": "app-a", **row})) == [(f"repositories[0].{path}", said)]
    if said.startswith("Azure Container Registry"):
        assert "https://learn.microsoft.com/azure/" in said, "with its source"


def test_a_registry_has_one_retention() -> None:
    found = document(
        {"name": "app-a", "retention": {"untagged_days": 7}},
        {"name": "app-b", "retention": {"untagged_days": 14}},
        "app-c",
    )
    said = "Azure has one retention for a whole registry: untagged_days is {}, and 7 for app-a; make them the same (in defaults, say)"
    assert problems(found) == [
        ("repositories[1].retention.untagged_days", said.format(14)),
        ("repositories[2]", said.format("not set")),
    ]


@pytest.mark.parametrize(
    ("registry", "path", "said"),
    [
        (
            {"sku": "Basic", "replication_regions": ["northeurope"]},
            "sku",
            "geo-replication needs sku: Premium, not Basic",
        ),
        (
            {"sku": "Standard", "public_network_access": False},
            "public_network_access",
            "public_network_access: false needs sku: Premium, not Standard",
        ),
        (
            {"replication_regions": ["northeurope", "westeurope"]},
            "replication_regions[1]",
            "westeurope is the registry's own location",
        ),
        (
            {"labels": {"reconciler-owner": "x"}},
            "labels.reconciler-owner",
            "keys that start with 'reconciler-' are reserved",
        ),
        (
            {"labels": {"microsoft-x": "x"}},
            "labels.microsoft-x",
            "Azure keeps keys that start with microsoft, azure, windows for itself",
        ),
        ({"labels": {"a/b": "x"}}, "labels.a/b", "a tag's key on Azure has no '/'"),
        (
            {"labels": {"team": "x", "Team": "y"}},
            "labels.Team",
            "'team' is the same key on Azure, which compares them without case",
        ),
        ({"labels": {f"l{number}": "" for number in range(41)}}, "labels", "at most 40 labels"),
    ],
)
def test_what_azure_would_refuse_of_a_registry(registry: dict[str, Any], path: str, said: str) -> None:
    assert problems(document(**registry)) == [(f"registries[0].{path}", said)]


def test_in_legacy_mode_a_grant_is_for_the_whole_registry() -> None:
    (found,) = problems(document("app-a", grants=(grant(repositories=["app-a"]),), role_assignment_mode="legacy"))
    assert found[0] == "grants[0].repositories"
    assert "has role_assignment_mode: legacy, where Azure can only grant access to all of its repositories" in found[1]
    assert load(document("app-a", grants=(grant(),), role_assignment_mode="legacy"))
    assert load(document("app-a", grants=(grant(repositories=["app-a"]),)))


def test_a_grant_s_name_is_that_of_a_token() -> None:
    def of(name: str) -> dict[str, Any]:
        return document("app-a", grants=({"name": name, "to": {"type": "azure-token"}},))

    assert problems(of("abc")) == [
        (
            "grants[0].name",
            "its token would be called 'abc' (3 characters); Azure takes 5 to 49 letters, digits and hyphens",
        )
    ]
    assert problems(of("a" * 50))[0][0] == "grants[0].name"
    assert "are reserved" in problems(of("reconciler-1"))[0][1]
    assert load(of("partner"))
    assert load(document("app-a", grants=(grant(name="abc"),))), "a role assignment has a name of its own"


def test_a_principal_is_named_once_in_any_case() -> None:
    upper = "ABCDEF00-1111-1111-1111-111111111111"
    assert problems(document("app-a", grants=(grant(upper, upper.lower()),))) == [
        ("grants[0].to.principal_ids[1]", f"'{upper.lower()}' is listed twice")
    ]


def test_one_registry_of_azure_is_one_of_the_spec() -> None:
    found = document("app-a")
    found["registries"].append({**found["registries"][0], "name": "again", "registry_name": "ACMEIMAGES"})
    assert any("registry again has the same registry_name" in message for _, message in problems(found))
