"""The stand-in's service accounts as they come, flap and go, and its policies with their etags."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.emulators.gcp import RECORDED_FLAPS, Server
from tests.emulators.gcp.asking import (
    ACCOUNTS,
    MEMBER,
    PULL,
    READER,
    REPOSITORIES,
    WRITER,
    error,
    make,
    make_account,
    policy,
    set_policy,
)

pytest_plugins = ["tests.emulators.gcp.fixtures"]

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
