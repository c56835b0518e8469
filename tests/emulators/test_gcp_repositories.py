"""The stand-in's repositories as they change: operations, pages, masks, enums, and what clients ask of a project."""

from __future__ import annotations

import httpx
import pytest

from tests.emulators.gcp import Server, project_number, push
from tests.emulators.gcp.asking import (
    PROJECT,
    REPOSITORIES,
    error,
    make,
)
from tests.emulators.gcp.paging import page
from tests.emulators.gcp.wire import Asked

pytest_plugins = ["tests.emulators.gcp.fixtures"]


def test_what_takes_long_is_carried_out_some_calls_later(stand_in: Server, http: httpx.Client) -> None:
    stand_in.cloud.state.knobs.operation_calls = 2
    operation = make(http)
    assert error(http.get(f"{REPOSITORIES}/app")) == (404, "NOT_FOUND")
    assert http.get(operation).json()["done"] is True
    assert http.get(f"{REPOSITORIES}/app").status_code == 200
    make(http, "more")
    got = http.post(REPOSITORIES, params={"repositoryId": "more"}, json={"format": "DOCKER"})
    assert error(got) == (409, "ALREADY_EXISTS")
    deletion = f"/v1/{http.delete(f'{REPOSITORIES}/app').json()['name']}"
    assert "done" not in http.get(deletion).json()
    assert http.get(deletion).json()["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert error(http.get(f"{REPOSITORIES}/app")) == (404, "NOT_FOUND")
    assert error(http.get(f"{PROJECT}/locations/us/operations/nothing")) == (404, "NOT_FOUND")


def test_an_operation_that_fails_says_so_and_leaves_all_as_it_was(stand_in: Server, http: httpx.Client) -> None:
    make(http)
    stand_in.cloud.state.knobs.operation_error = "INTERNAL"
    deletion = f"/v1/{http.delete(f'{REPOSITORIES}/app').json()['name']}"
    for operation in (deletion, make(http, "more")):
        found = http.get(operation).json()
        assert (found["done"], found["error"]["code"], "response" in found) == (True, 13, False)
    listed = http.get(REPOSITORIES).json()["repositories"]
    assert [found["name"].rpartition("/")[2] for found in listed] == ["app"]
    stand_in.cloud.state.knobs.operation_error = ""
    assert http.get(make(http, "more")).json()["done"] is True


def test_a_delete_takes_the_images_along_without_a_word(stand_in: Server, http: httpx.Client) -> None:
    make(http)
    assert http.get(f"{REPOSITORIES}/app/packages").json() == {}
    assert "sizeBytes" not in http.get(f"{REPOSITORIES}/app").json()
    found = stand_in.cloud.state.repositories[f"{REPOSITORIES.removeprefix('/v1/')}/app"]
    first = push(found, "team/web", "v1", size=7)
    push(found, "team/web", "v2", size=5)
    (package,) = http.get(f"{REPOSITORIES}/app/packages?pageSize=1").json()["packages"]
    assert package["name"].endswith("/repositories/app/packages/team%2Fweb")
    images = http.get(f"{REPOSITORIES}/app/dockerImages").json()["dockerImages"]
    assert f"us-central1-docker.pkg.dev/my-project/app/team/web@{first.digest}" in [image["uri"] for image in images]
    assert http.get(f"{REPOSITORIES}/app").json()["sizeBytes"] == "12"
    assert http.delete(f"{REPOSITORIES}/app").status_code == 200
    assert error(http.get(f"{REPOSITORIES}/app/packages")) == (404, "NOT_FOUND")


def test_a_patch_without_a_mask_replaces_all_that_can_change(http: httpx.Client) -> None:
    make(http, description="d", labels={"a": "b"}, dockerConfig={"immutableTags": True})
    got = http.patch(f"{REPOSITORIES}/app", json={"labels": {"c": "d"}}).json()
    assert (got["labels"], got["format"], got["mode"]) == ({"c": "d"}, "DOCKER", "STANDARD_REPOSITORY")
    assert not {"description", "dockerConfig"} & got.keys()


def test_what_is_unset_is_not_answered(http: httpx.Client) -> None:
    # https://github.com/hashicorp/terraform-provider-google/issues/14846
    make(http, dockerConfig={"immutableTags": False}, cleanupPolicyDryRun=False, cleanupPolicies={}, description="")
    found = http.get(f"{REPOSITORIES}/app").json()
    assert not {"dockerConfig", "cleanupPolicyDryRun", "cleanupPolicies", "description", "labels"} & found.keys()
    made = http.patch(f"{REPOSITORIES}/app?updateMask=labels", json={"labels": {"empty": ""}}).json()
    assert made["labels"] == {"empty": ""}


@pytest.mark.parametrize("numbers", [True, False])
def test_enums_are_answered_in_kind(numbers: bool, http: httpx.Client) -> None:
    kind = {"$alt": "json;enum-encoding=int"} if numbers else {"alt": "json"}
    policies = {"p": {"action": "delete", "condition": {"tagState": 1}}}
    # a label that is called like an enum is a label
    made = make(http, cleanupPolicies=policies, labels={"format": "DOCKER".lower(), "mode": "x"})
    one, action, tagged = (1, 1, 1) if numbers else ("DOCKER", "DELETE", "TAGGED")
    answers = [
        http.get(f"{REPOSITORIES}/app", params=kind).json(),
        http.get(REPOSITORIES, params=kind).json()["repositories"][0],
        http.patch(f"{REPOSITORIES}/app", params={**kind, "updateMask": "description"}, json={}).json(),
        http.get(made, params=kind).json()["response"],
    ]
    for found in answers:
        assert found["format"] == one
        assert found["cleanupPolicies"] == {"p": {"id": "p", "action": action, "condition": {"tagState": tagged}}}
        assert found["labels"] == {"format": "docker", "mode": "x"}


def test_pages_neither_repeat_nor_hide_what_stays(http: httpx.Client) -> None:
    for number in range(7):
        make(http, f"app-{number}")
    first = http.get(REPOSITORIES, params={"pageSize": 3}).json()
    http.delete(f"{REPOSITORIES}/app-0")
    http.delete(f"{REPOSITORIES}/app-2")
    make(http, "app-1a")
    second = http.get(REPOSITORIES, params={"pageSize": 3, "pageToken": first["nextPageToken"]}).json()
    names = [found["name"].rpartition("/")[2] for page in (first, second) for found in page["repositories"]]
    assert names == ["app-0", "app-1", "app-2", "app-3", "app-4", "app-5"]
    # https://google.aip.dev/158
    for query in ({"pageToken": "x"}, {"pageSize": -1}, {"pageSize": "many"}, {"orderBy": "size"}, {"page": 1}):
        assert error(http.get(REPOSITORIES, params=query)) == (400, "INVALID_ARGUMENT"), query
    elsewhere = REPOSITORIES.replace("us-central1", "us")
    assert error(http.get(elsewhere, params={"pageToken": first["nextPageToken"]})) == (400, "INVALID_ARGUMENT")


def test_a_larger_page_is_the_largest() -> None:
    items = {f"{number:04}": number for number in range(1500)}
    for size, expected in (("", 100), ("0", 100), ("7", 7), ("1000", 1000), ("1001", 1000)):
        found, token = page(Asked("GET", "/v1/x", {"pageSize": size}), items, default=100, most=1000)
        assert (len(found), bool(token)) == (expected, True)


def test_a_filter_lets_names_through(http: httpx.Client) -> None:
    for name in ("images-a", "images-b", "other"):
        make(http, name)

    def names(text: str) -> list[str]:
        found = http.get(REPOSITORIES, params={"filter": text}).json().get("repositories", [])
        return [item["name"].rpartition("/")[2] for item in found]

    parent = REPOSITORIES.removeprefix("/v1/")
    assert names(f'name="{parent}/images-*"') == ["images-a", "images-b"]
    assert names(f'name="{parent}/*A"') == ["images-a"]
    assert names(f'name="{parent}/images-a"') == ["images-a"]
    assert names(f'name="{parent}/none"') == []
    assert error(http.get(REPOSITORIES, params={"filter": "labels.a:b"})) == (400, "INVALID_ARGUMENT")


def test_scanning_depends_on_the_projects_api(http: httpx.Client) -> None:
    make(http, vulnerabilityScanningConfig={"enablementConfig": "INHERITED"})
    make(http, "off", vulnerabilityScanningConfig={"enablementConfig": "DISABLED"})

    def state(name: str) -> str:
        found = http.get(f"{REPOSITORIES}/{name}").json()["vulnerabilityScanningConfig"]
        return f"{found['enablementConfig']} {found['enablementState']}"

    assert (state("app"), state("off")) == ("INHERITED SCANNING_DISABLED", "DISABLED SCANNING_DISABLED")
    service = f"{PROJECT}/services/containerscanning.googleapis.com"
    assert http.get(service).json()["state"] == "DISABLED"
    assert http.post(f"{service}:enable", json={}).json()["done"] is True
    assert http.get(service).json()["state"] == "ENABLED"
    assert (state("app"), state("off")) == ("INHERITED SCANNING_ACTIVE", "DISABLED SCANNING_DISABLED")


def test_a_domain_scoped_project_is_a_folder_of_its_domain(http: httpx.Client) -> None:
    # https://cloud.google.com/artifact-registry/docs/docker/names, https://cloud.google.com/iam/docs/service-account-types
    scoped = REPOSITORIES.replace("my-project", "example.com:p")
    http.post(scoped, params={"repositoryId": "app"}, json={"format": "DOCKER"})
    assert http.get(f"{scoped}/app").json()["registryUri"] == "us-central1-docker.pkg.dev/example.com/p/app"
    assert http.get(f"{scoped}/app:getIamPolicy").json() == {"etag": "ACAB"}
    made = http.post("/v1/projects/example.com:p/serviceAccounts", json={"accountId": "images-pull"}).json()
    assert made["email"] == "images-pull@p.example.com.iam.gserviceaccount.com"
    for path in ("/v1/projects/example.com:p", "/v3/projects/example.com:p"):
        assert http.get(path).json()["projectId"] == "example.com:p"
    assert http.post("/v1/projects/example.com:p:getIamPolicy").json() == {"etag": "ACAB"}


def test_what_else_clients_ask_of_a_project(http: httpx.Client) -> None:
    assert http.get(PROJECT).json()["projectNumber"] == project_number("my-project")
    for version in ("v1", "v1beta2"):
        places = http.get(f"/{version}/projects/my-project/locations").json()["locations"]
        assert {"us", "europe", "asia", "us-central1"} <= {place["locationId"] for place in places}
    settings = f"{PROJECT}/projectSettings"
    assert http.get(settings).json()["legacyRedirectionState"] == "REDIRECTION_FROM_GCR_IO_DISABLED"
    wanted = {"legacyRedirectionState": 2}
    changed = http.patch(settings, params={"updateMask": "legacyRedirectionState"}, json=wanted).json()
    assert changed["legacyRedirectionState"] == "REDIRECTION_FROM_GCR_IO_ENABLED"
    assert http.get(f"{PROJECT}/services?filter=state:DISABLED").json()["services"][0]["config"]["name"] == (
        "containerscanning.googleapis.com"
    )
