"""What the stand-in for Azure does where no recording is: each rule with its source, asked over its socket."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.command_line import ROOT
from tests.emulators.azure import Fails, Server, jwt, may, push, token_may
from tests.emulators.azure.conditions import lets

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acmeimages"
IDENTITIES = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
READER, WRITER = "b93aa761-3e63-49ed-ac28-beffa264f7ac", "2a1e307c-b015-4ebd-883e-5b7698a07328"
PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
WHO, GUID = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000001"
_DATA = "Microsoft.ContainerRegistry/registries/repositories"


def make(arm: httpx.Client, sku: str = "Premium", **properties: Any) -> None:
    got = arm.put(REGISTRY, json={"location": "westeurope", "sku": {"name": sku}, "properties": properties})
    assert got.status_code == 201, got.text


def assign(arm: httpx.Client, role: str = READER, name: str = GUID, who: str = WHO, **more: Any) -> httpx.Response:
    properties = {
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
        "principalId": who,
        "principalType": "ServicePrincipal",
        **more,
    }
    path = f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments/{name}"
    return arm.put(path, json={"properties": {key: value for key, value in properties.items() if value is not None}})


def error(got: httpx.Response) -> tuple[int, str]:
    return got.status_code, got.json()["error"]["code"]


def test_one_assignment_for_each_principal_role_and_scope(arm: httpx.Client) -> None:
    """https://github.com/hashicorp/terraform-provider-azurerm/issues/24045; troubleshooting.md: what may not change in place."""
    make(arm)
    assert assign(arm).status_code == 201
    assert assign(arm).status_code == 200
    assert error(assign(arm, name=GUID.replace("1", "2"))) == (409, "RoleAssignmentExists")
    assert error(assign(arm, who=WHO.replace("1", "2"))) == (400, "RoleAssignmentUpdateNotPermitted")


def test_a_name_of_a_role_assignment_that_can_t_be_taken_is_refused_each_time(
    arm: httpx.Client, azure_stand_in: Server
) -> None:
    """https://github.com/microsoft/AzureTRE/issues/1592, https://github.com/Azure/ARO-RP/issues/670"""
    make(arm)
    azure_stand_in.cloud.state.knobs.refused_names = 1
    for _ in range(2):
        assert error(assign(arm)) == (400, "HashConflictOnDifferentRoleAssignmentIds")
    assert assign(arm, name=GUID.replace("1", "2")).status_code == 201


def test_a_fresh_identity_is_found_with_its_type_alone(arm: httpx.Client) -> None:
    """https://learn.microsoft.com/azure/role-based-access-control/troubleshooting"""
    make(arm)
    first = arm.put(f"{IDENTITIES}/images-pull", json={"location": "westeurope"}).json()["properties"]["principalId"]
    assert error(assign(arm, who=first, principalType=None)) == (400, "PrincipalNotFound")
    assert assign(arm, who=first).status_code == 201
    assert arm.delete(f"{IDENTITIES}/images-pull").status_code == 200
    again = arm.put(f"{IDENTITIES}/images-pull", json={"location": "westeurope"}).json()["properties"]["principalId"]
    assert again != first
    listed = arm.get(f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments", params={"$filter": "atScope()"})
    assert [item["properties"]["principalId"] for item in listed.json()["value"]] == [first], "it stays behind"


def test_a_put_of_a_token_takes_its_passwords_away_and_a_patch_does_not(arm: httpx.Client) -> None:
    """https://github.com/Azure/acr/issues/667"""
    make(arm)
    body = {"properties": {"scopeMapId": f"{REGISTRY}/scopeMaps/_repositories_pull"}}
    arm.put(f"{REGISTRY}/tokens/partner", json=body)
    given = arm.post(
        f"{REGISTRY}/generateCredentials", json={"tokenId": f"{REGISTRY}/tokens/partner", "name": "password1"}
    )
    (first,) = given.json()["passwords"]
    assert len(first["value"]) > 30
    both = arm.post(
        f"{REGISTRY}/generateCredentials", json={"tokenId": f"{REGISTRY}/tokens/partner", "name": "password2"}
    )
    assert ["value" in item for item in both.json()["passwords"]] == [False, True], "a value is shown once"

    def passwords() -> list[str]:
        found = arm.get(f"{REGISTRY}/tokens/partner").json()["properties"]["credentials"]["passwords"]
        assert all("value" not in item for item in found)
        return [item["name"] for item in found]

    arm.patch(f"{REGISTRY}/tokens/partner", json=body)
    assert passwords() == ["password1", "password2"]
    arm.put(f"{REGISTRY}/tokens/partner", json=body)
    assert passwords() == []


def test_lists_come_in_pages_and_in_any_order(azure_stand_in: Server, arm: httpx.Client) -> None:
    make(arm)
    names = [f"map-{number}" for number in range(7)]
    for name in names:
        arm.put(f"{REGISTRY}/scopeMaps/{name}", json={"properties": {"actions": ["repositories/x/content/read"]}})
    azure_stand_in.cloud.state.knobs.page = 3
    found, url = [], f"{REGISTRY}/scopeMaps?api-version=2025-11-01"
    arm.params = httpx.QueryParams()
    while url:
        page = arm.get(url).json()
        assert len(page["value"]) <= 3
        found += [item["name"] for item in page["value"]]
        url = page.get("nextLink", "")
    assert sorted(found) == sorted([*names, "_repositories_admin", "_repositories_pull", "_repositories_push"])
    assert found != sorted(found)


@pytest.mark.parametrize(
    ("sku", "properties", "code"),
    [
        ("Basic", {"publicNetworkAccess": "Disabled"}, "FeatureNotSupported"),
        ("Basic", {"anonymousPullEnabled": True}, "FeatureNotSupported"),
        ("Standard", {"policies": {"retentionPolicy": {"status": "enabled", "days": 3}}}, "FeatureNotSupported"),
        ("Gold", {}, "InvalidSku"),
    ],
)
def test_what_a_tier_does_not_have(arm: httpx.Client, sku: str, properties: dict[str, Any], code: str) -> None:
    """terraform-provider-azurerm, internal/services/containers/container_registry_resource.go"""
    got = arm.put(REGISTRY, json={"location": "westeurope", "sku": {"name": sku}, "properties": properties})
    assert error(got) == (400, code)


def test_a_tier_goes_down_only_without_replications(arm: httpx.Client) -> None:
    """https://github.com/hashicorp/terraform-provider-azurerm/issues/24838"""
    make(arm)
    arm.put(f"{REGISTRY}/replications/northeurope", json={"location": "northeurope"})
    assert arm.patch(REGISTRY, json={"sku": {"name": "Basic"}}).status_code == 409
    regions = [item["location"] for item in arm.get(f"{REGISTRY}/replications").json()["value"]]
    assert sorted(regions) == ["northeurope", "westeurope"], "the home location is in the list"


CONDITION = (
    f"((!(ActionMatches{{'{_DATA}/content/read'}}) AND !(ActionMatches{{'{_DATA}/metadata/read'}})) OR"
    f" (@Request[{_DATA}:name] StringEqualsIgnoreCase 'app-a'))"
)


@pytest.mark.parametrize(
    ("action", "name", "wanted"),
    [
        ("content/read", "app-a", True),
        ("content/read", "APP-A", True),
        ("content/read", "app-b", False),
        ("content/write", "app-b", True),
    ],
)
def test_an_action_that_a_condition_does_not_name_is_not_restricted(action: str, name: str, wanted: bool) -> None:
    """The condition of ACR's page; https://learn.microsoft.com/azure/role-based-access-control/conditions-troubleshoot, cause 2."""
    assert lets(CONDITION, f"{_DATA}/{action}", name) is wanted


def test_each_mode_honours_its_own_roles_and_a_switch_ends_what_was_issued(
    azure_stand_in: Server, arm: httpx.Client
) -> None:
    """https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions"""
    state = azure_stand_in.cloud.state
    state.knobs.login_server = "{here}"
    make(arm)
    assign(arm, READER, condition=CONDITION, conditionVersion="2.0")
    assign(arm, PULL, name=GUID.replace("1", "2"))
    registry = state.registries["acmeimages"]
    assert may(state, WHO, registry, "app-b", "pull"), "legacy: AcrPull"
    push(registry, "app-a")
    server = registry.properties["loginServer"]
    entra = {"grant_type": "access_token", "service": server, "access_token": jwt.written({"oid": WHO}, 3600)}
    refresh = arm.post("/oauth2/exchange", data=entra).json()["refresh_token"]
    asked = {"grant_type": "refresh_token", "service": server, "scope": "repository:app-a:pull"}
    before = arm.post("/oauth2/token", data={**asked, "refresh_token": refresh})
    assert before.status_code == 200
    arm.patch(REGISTRY, json={"properties": {"roleAssignmentMode": "AbacRepositoryPermissions"}})
    assert [may(state, WHO, registry, name, "pull") for name in ("app-a", "app-b")] == [True, False]
    assert arm.post("/oauth2/token", data={**asked, "refresh_token": refresh}).status_code == 401
    headers = {"Authorization": f"Bearer {before.json()['access_token']}"}
    assert arm.get("/v2/app-a/tags/list", headers=headers).status_code == 401
    fresh = arm.post("/oauth2/exchange", data=entra).json()["refresh_token"]
    token = arm.post("/oauth2/token", data={**asked, "refresh_token": fresh}).json()["access_token"]
    got = arm.get("/v2/app-a/tags/list", headers={"Authorization": f"Bearer {token}"})
    assert got.json() == {"name": "app-a", "tags": ["v1"]}


def test_a_token_can_do_what_its_scope_map_says(azure_stand_in: Server, arm: httpx.Client) -> None:
    make(arm)
    actions = ["repositories/app-a/content/read", "repositories/team/*/content/read"]
    arm.put(f"{REGISTRY}/scopeMaps/partner", json={"properties": {"actions": actions}})
    body = {"properties": {"scopeMapId": f"{REGISTRY}/scopeMaps/partner"}}
    arm.put(f"{REGISTRY}/tokens/partner", json=body)
    registry = azure_stand_in.cloud.state.registries["acmeimages"]
    can = [name for name in ("app-a", "app-b", "team/x", "team-x") if token_may(registry, "partner", name, "pull")]
    assert can == ["app-a", "team/x"]
    assert not token_may(registry, "partner", "app-a", "push")
    assert error(arm.delete(f"{REGISTRY}/scopeMaps/partner")) == (409, "ScopeMapInUse")
    arm.patch(f"{REGISTRY}/tokens/partner", json={"properties": {"status": "disabled"}})
    assert not token_may(registry, "partner", "app-a", "pull")


def test_a_throttled_call_says_how_long_to_wait(azure_stand_in: Server, arm: httpx.Client) -> None:
    azure_stand_in.behaviours.append(Fails("registries:GET", "throttled", retry_after=7))
    got = arm.get(REGISTRY)
    assert (got.status_code, got.headers["retry-after"]) == (429, "7")
    assert arm.get(REGISTRY).status_code == 404


def test_a_cloud_is_described_alone_since_2022_and_in_a_list_before(bare: httpx.Client) -> None:
    """az 2.91 asks for 2022-09-01 and takes no list (azure-cli, command_modules/cloud/custom.py)."""
    new, old = (
        bare.get("/metadata/endpoints", params={"api-version": version}).json()
        for version in ("2022-09-01", "2019-05-01")
    )
    assert (old, new["name"], new["suffixes"]) == ([new], "standin", {"acrLoginServer": "localhost"})


def test_tags_are_merged_replaced_and_deleted_by_keys_without_case(arm: httpx.Client) -> None:
    """https://learn.microsoft.com/rest/api/resources/tags/update-at-scope"""
    make(arm)
    path = f"{REGISTRY}/providers/Microsoft.Resources/tags/default"

    def after(operation: str, **tags: str) -> Any:
        arm.patch(path, json={"operation": operation, "properties": {"tags": tags}})
        assert arm.get(path).json()["properties"]["tags"] == arm.get(REGISTRY).json()["tags"]
        return arm.get(REGISTRY).json()["tags"]

    assert after("Merge", cost="42", team="a") == {"cost": "42", "team": "a"}
    assert after("Merge", Team="b") == {"cost": "42", "Team": "b"}
    assert after("Delete", TEAM="") == {"cost": "42"}
    assert after("Replace", only="1") == {"only": "1"}
    got = arm.patch(path, json={"operation": "Add", "properties": {"tags": {}}})
    assert error(got) == (400, "InvalidTagOperation")


def test_graph_names_the_identities_that_are_there(arm: httpx.Client) -> None:
    """`az role assignment list` asks it for the names of principals."""
    made = arm.put(f"{IDENTITIES}/images-pull", json={"location": "westeurope"}).json()["properties"]
    got = arm.post("/v1.0/directoryObjects/getByIds", json={"ids": [made["principalId"], WHO]}).json()["value"]
    assert [(item["id"], item["displayName"], item["servicePrincipalNames"]) for item in got] == [
        (made["principalId"], "images-pull", [made["clientId"]])
    ]


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "tests.emulators.azure", "--port", "0", "--ca-out", str(ca)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().split()
            assert ready[0] == "ready"
            assert ready[1].startswith("https://localhost:")
            with httpx.Client(verify=ssl.create_default_context(cafile=str(ca))) as client:
                got = client.get(f"{ready[1]}/metadata/endpoints", params={"api-version": "2022-09-01"})
            assert got.json()["resourceManager"] == ready[1]
        finally:
            process.terminate()
    assert process.returncode == 0


def test_the_replication_of_the_home_location_is_neither_made_nor_deleted(arm: httpx.Client) -> None:
    """https://github.com/Azure/azure-rest-api-specs/issues/10233, https://github.com/Azure/acr/issues/294"""
    make(arm)
    path = f"{REGISTRY}/replications/westeurope"
    assert arm.put(path, json={"location": "westeurope", "tags": {"a": "b"}}).status_code == 200
    assert arm.get(path).json()["tags"] == {}
    assert error(arm.delete(path)) == (400, "HomeReplicationCannotBeDeleted")


def test_the_replication_that_was_just_deleted_is_taken_and_comes_to_nothing(
    arm: httpx.Client, azure_stand_in: Server
) -> None:
    """https://github.com/Azure/azure-rest-api-specs/issues/18934"""
    make(arm)
    azure_stand_in.cloud.state.knobs.settling = 1
    path, body = f"{REGISTRY}/replications/northeurope", {"location": "northeurope"}

    def look(url: str) -> httpx.Response:
        return arm.get(url, params=dict(parse_qsl(urlsplit(url).query)))

    def operation() -> Any:
        got = arm.put(path, json=body)
        assert got.status_code == 201
        return look(got.headers["azure-asyncoperation"]).json()["status"]

    assert operation() == "Succeeded"
    assert look(arm.delete(path).headers["location"]).status_code == 200
    assert (operation(), arm.get(path).status_code) == ("Failed", 404)
    assert operation() == "Succeeded"


def test_what_needs_a_larger_tier_can_t_come_with_it(arm: httpx.Client) -> None:
    """https://github.com/hashicorp/terraform-provider-azurerm/issues/8698"""
    make(arm, "Basic")
    body = {"sku": {"name": "Premium"}, "properties": {"publicNetworkAccess": "Disabled"}}
    assert error(arm.patch(REGISTRY, json=body)) == (400, "FeatureNotSupported")
    assert arm.patch(REGISTRY, json={"sku": body["sku"]}).status_code == 200
    assert arm.patch(REGISTRY, json={"properties": body["properties"]}).status_code == 200


def test_a_principal_is_of_the_type_that_is_said(arm: httpx.Client, azure_stand_in: Server) -> None:
    """https://github.com/Azure/modern-web-app-pattern-dotnet/issues/129, https://github.com/Azure/azure-cli/issues/11594"""
    make(arm)
    azure_stand_in.cloud.state.knobs.principal_types[WHO] = "Group"
    assert error(assign(arm)) == (400, "UnmatchedPrincipalType")
    assert error(assign(arm, principalType="MSI")) == (400, "InvalidPrincipalType")
    assert assign(arm, principalType="Group").status_code == 201
