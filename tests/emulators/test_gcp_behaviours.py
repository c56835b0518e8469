"""The stand-in's resources as they change: accounts that flap and go, policies with etags, operations, pages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.emulators.gcp import RECORDED_FLAPS, Server, project_number, push
from tests.emulators.gcp.paging import page
from tests.emulators.gcp.wire import Asked

pytest_plugins = ["tests.emulators.gcp.fixtures"]

PROJECT = "/v1/projects/my-project"
REPOSITORIES = f"{PROJECT}/locations/us-central1/repositories"
ACCOUNTS = f"{PROJECT}/serviceAccounts"
PULL = "images-pull@my-project.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{PULL}"
READER, WRITER = "roles/artifactregistry.reader", "roles/artifactregistry.writer"
Document = dict[str, Any]


def make(http: httpx.Client, name: str = "app", **settings: Any) -> str:
    """Makes a repository; its operation's path."""
    got = http.post(REPOSITORIES, params={"repositoryId": name}, json={"format": "DOCKER", **settings})
    assert got.status_code == 200, got.text
    return f"/v1/{got.json()['name']}"


def make_account(http: httpx.Client, name: str = "images-pull") -> Document:
    got = http.post(ACCOUNTS, json={"accountId": name})
    assert got.status_code == 200, got.text
    found: Document = got.json()
    return found


def policy(http: httpx.Client, version: int = 0) -> Document:
    query = {"options.requestedPolicyVersion": version} if version else {}
    found: Document = http.get(f"{REPOSITORIES}/app:getIamPolicy", params=query).json()
    return found


def set_policy(http: httpx.Client, *members: str, **more: Any) -> httpx.Response:
    bindings = [{"role": READER, "members": list(members)}] if members else []
    return http.post(f"{REPOSITORIES}/app:setIamPolicy", json={"policy": {"bindings": bindings, **more}})


def error(got: httpx.Response) -> tuple[int, str]:
    return got.status_code, got.json()["error"]["status"]


# service accounts


def test_a_fresh_account_flaps_as_recorded_and_a_write_ends_that(stand_in: Server, http: httpx.Client) -> None:
    stand_in.cloud.state.knobs.flaps = RECORDED_FLAPS
    path = f"/v1/{make_account(http)['name']}"
    assert [http.get(path).status_code for _ in range(8)] == [200, 404, 200, 404, 404, 404, 200, 200]
    patch = {"serviceAccount": {"description": "d"}, "updateMask": "description"}
    writes = [
        ("PATCH", "", patch),
        ("POST", ":disable", {}),
        ("POST", ":enable", {}),
        ("POST", ":setIamPolicy", {"policy": {}}),
    ]
    for number, (method, verb, body) in enumerate(writes):
        other = f"/v1/{make_account(http, f'images-{number}')['name']}"
        assert http.get(other).status_code == 200
        assert http.request(method, f"{other}{verb}", json=body).status_code == 200
        assert [http.get(other).status_code for _ in range(3)] == [200, 200, 200], verb


def test_a_fresh_account_may_be_unknown_to_policies_for_a_while(stand_in: Server, http: httpx.Client) -> None:
    stand_in.cloud.state.knobs.member_refusals = 2
    make(http)
    make_account(http)
    assert [set_policy(http, MEMBER).status_code for _ in range(3)] == [400, 400, 200]


def test_a_binding_follows_the_account_and_not_its_name(http: httpx.Client) -> None:
    make(http)
    first = make_account(http)
    set_policy(http, MEMBER, "user:dev@example.com")
    etag = policy(http)["etag"]
    assert http.delete(f"{ACCOUNTS}/{PULL}").json() == {}
    gone = f"deleted:{MEMBER}?uid={first['uniqueId']}"
    assert policy(http) == {
        "version": 1,
        "etag": etag,
        "bindings": [{"role": READER, "members": [gone, "user:dev@example.com"]}],
    }
    # it is a member no more
    assert error(set_policy(http, MEMBER)) == (400, "INVALID_ARGUMENT")
    # made anew under the old name it has nothing; the old binding stays, and is written back as it is
    second = make_account(http)
    assert second["uniqueId"] != first["uniqueId"]
    assert policy(http)["bindings"][0]["members"] == [gone, "user:dev@example.com"]
    assert set_policy(http, gone, MEMBER).json()["bindings"][0]["members"] == [gone, MEMBER]


def test_an_account_is_found_by_its_id_and_without_its_project(http: httpx.Client) -> None:
    made = make_account(http)
    for path in (f"{ACCOUNTS}/{made['uniqueId']}", f"/v1/projects/-/serviceAccounts/{PULL}"):
        assert http.get(path).json() == made
    # https://iam.googleapis.com/$discovery/rest?version=v1: who is not there is a 404, but a 403 without a project
    assert error(http.get(f"{ACCOUNTS}/nobody@my-project.iam.gserviceaccount.com")) == (404, "NOT_FOUND")
    refused = http.get("/v1/projects/-/serviceAccounts/nobody@my-project.iam.gserviceaccount.com")
    assert error(refused) == (403, "PERMISSION_DENIED")
    assert error(http.get(f"/v1/projects/other/serviceAccounts/{PULL}")) == (404, "NOT_FOUND")


def test_accounts_come_twenty_at_a_time_and_at_most_a_hundred(stand_in: Server, http: httpx.Client) -> None:
    for number in range(100):
        make_account(http, f"images-{number:03}")
    assert error(http.post(ACCOUNTS, json={"accountId": "one-more"})) == (429, "RESOURCE_EXHAUSTED")
    sizes, token = [], ""
    while True:
        found = http.get(ACCOUNTS, params={"pageToken": token} if token else {}).json()
        sizes.append(len(found["accounts"]))
        if not (token := found.get("nextPageToken", "")):
            break
    assert sizes == [20, 20, 20, 20, 20]
    assert len(http.get(ACCOUNTS, params={"pageSize": 1000}).json()["accounts"]) == 100
    assert http.get("/v1/projects/other/serviceAccounts").json() == {}


def test_an_account_has_a_policy_of_its_own(http: httpx.Client) -> None:
    path = f"/v1/{make_account(http)['name']}"
    assert http.post(f"{path}:getIamPolicy?options.requestedPolicyVersion=3").json() == {"etag": "ACAB"}
    binding = {"role": "roles/iam.serviceAccountTokenCreator", "members": ["user:dev@example.com"]}
    body = {"policy": {"bindings": [binding], "etag": "ACAB"}, "updateMask": "bindings,etag"}
    assert http.post(f"{path}:setIamPolicy", json=body).json()["bindings"] == [binding]
    assert error(http.post(f"{path}:setIamPolicy", json=body)) == (409, "ABORTED")
    reader = {"policy": {"bindings": [{"role": READER, "members": ["allUsers"]}]}}
    # GoogleCloudPlatform's accounts take roles of IAM: https://github.com/hashicorp/terraform-provider-google/issues/9130
    assert "is not supported for this resource." in http.post(f"{path}:setIamPolicy", json=reader).text


def test_a_token_names_its_account_and_holds_for_an_hour_at_most(stand_in: Server, http: httpx.Client) -> None:
    make_account(http)
    path = f"/v1/projects/-/serviceAccounts/{PULL}:generateAccessToken"
    body = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "900s"}
    assert PULL in http.post(path, json=body).json()["accessToken"]
    for wrong in ({**body, "lifetime": "3601s"}, {**body, "scope": []}, {**body, "lifetime": "0s"}):
        assert error(http.post(path, json=wrong)) == (400, "INVALID_ARGUMENT")
    nobody = http.post(path.replace("images-pull", "nobody"), json=body)
    stand_in.cloud.state.knobs.denied.append(("iam.serviceAccounts.getAccessToken", "images-pull"))
    denied = http.post(path, json=body)
    # https://github.com/google-github-actions/auth/issues/340: one who lacks the permission can't tell the two apart
    assert nobody.json() == denied.json()
    assert error(denied) == (403, "PERMISSION_DENIED")


# policies


def test_a_stale_etag_is_aborted_and_none_overwrites(http: httpx.Client) -> None:
    make(http)
    first = set_policy(http, "user:a@example.com", etag="ACAB").json()["etag"]
    second = set_policy(http, "user:b@example.com", etag=first).json()["etag"]
    got = set_policy(http, "user:c@example.com", etag=first)
    assert error(got) == (409, "ABORTED")
    message = got.json()["error"]["message"]
    assert message.startswith(
        "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. "
        "The request's ETag '\\007\\006"
    )
    assert policy(http)["etag"] == second
    assert set_policy(http, "user:c@example.com").json()["bindings"] == [
        {"role": READER, "members": ["user:c@example.com"]}
    ]


def test_an_etag_is_bytes_whatever_its_letters(stand_in: Server, http: httpx.Client) -> None:
    make(http)
    set_policy(http)
    stored = stand_in.cloud.state.policies[f"{REPOSITORIES.removeprefix('/v1/')}/app"]
    for text in ("Bw/7+/8AAQI=", "Bw_7-_8AAQI=", "Bw_7-_8AAQI", "Bw/7+/8AAQJ="):
        stored.etag = bytes.fromhex("070ffbfbff000102")
        got = set_policy(http, "allUsers", etag=text)
        assert got.status_code == 200, got.text
        stored = stand_in.cloud.state.policies[f"{REPOSITORIES.removeprefix('/v1/')}/app"]


def test_two_writers_who_keep_to_the_etag_lose_nothing(http: httpx.Client) -> None:
    make(http)

    def add(who: str) -> int:
        aborted = 0
        while True:
            found = policy(http)
            members = [member for binding in found.get("bindings", []) for member in binding["members"]]
            got = set_policy(http, *members, f"user:{who}@example.com", etag=found["etag"])
            if got.status_code == 200:
                return aborted
            assert error(got) == (409, "ABORTED")
            aborted += 1

    names = [f"{writer}-{number}" for number in range(30) for writer in ("a", "b")]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, names))
    assert sorted(policy(http)["bindings"][0]["members"]) == sorted(f"user:{name}@example.com" for name in names)


def test_a_condition_shows_in_version_3_alone_and_needs_it(http: httpx.Client) -> None:
    make(http)
    condition = {"title": "until", "expression": "request.time < timestamp('2027-01-01T00:00:00Z')"}
    binding = {"role": READER, "members": ["user:dev@example.com"], "condition": condition}
    written = set_policy(http, bindings=[binding], version=3).json()
    assert written["version"] == 3
    assert policy(http, version=3) == written
    old = policy(http)
    assert old["version"] == 1
    assert old["bindings"][0]["role"].startswith(f"{READER}_withcond_")
    assert "condition" not in old["bindings"][0]
    # https://artifactregistry.googleapis.com/$discovery/rest?version=v1, Policy.version
    assert error(set_policy(http, "allUsers", etag=old["etag"])) == (400, "INVALID_ARGUMENT")
    assert set_policy(http, "allUsers", etag=old["etag"], version=3).json()["version"] == 1
    assert error(http.get(f"{REPOSITORIES}/app:getIamPolicy", params={"options.requestedPolicyVersion": 2})) == (
        400,
        "INVALID_ARGUMENT",
    )


def test_bindings_of_one_role_are_merged(http: httpx.Client) -> None:
    make(http)
    twice = [{"role": READER, "members": ["user:a@example.com", "user:b@example.com"]}] * 2
    other = {"role": WRITER, "members": ["user:a@example.com"]}
    assert set_policy(http, bindings=[*twice, other]).json()["bindings"] == [twice[0], other]


def test_a_policy_goes_with_its_repository(http: httpx.Client) -> None:
    make(http)
    set_policy(http, "allUsers")
    http.delete(f"{REPOSITORIES}/app")
    assert error(http.get(f"{REPOSITORIES}/app:getIamPolicy")) == (404, "NOT_FOUND")
    make(http)
    assert policy(http) == {"etag": "ACAB"}


# repositories


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
