"""The stand-in's faults on demand, from this process and over HTTP, and what every request has in common."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.emulators.gcp import Fails, FailsOften, Quota, Server, project_number

pytest_plugins = ["tests.emulators.gcp.fixtures"]

PROJECT = "/v1/projects/my-project"
REPOSITORIES = f"{PROJECT}/locations/us-central1/repositories"
DOCKER = {"format": "DOCKER"}


def make(http: httpx.Client, name: str = "app") -> httpx.Response:
    return http.post(REPOSITORIES, params={"repositoryId": name}, json=DOCKER)


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        # https://github.com/kubernetes-sigs/promo-tools/issues/637
        (
            "RESOURCE_EXHAUSTED",
            429,
            "Quota exceeded for quota metric 'Requests per project per region' and limit 'Requests per project per region per "
            "minute per region' of service 'artifactregistry.googleapis.com' for consumer "
            f"'project_number:{project_number('my-project')}'.",
        ),
        ("UNAVAILABLE", 503, "The service is currently unavailable."),
        ("INTERNAL", 500, "Internal error encountered."),
        (
            "ABORTED",
            409,
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        ),
    ],
)
def test_a_call_fails_as_often_as_it_is_told(
    kind: str, code: int, text: str, stand_in: Server, http: httpx.Client
) -> None:
    stand_in.behaviours.append(Fails("CreateRepository", kind, times=2))
    for _ in range(2):
        assert http.get(REPOSITORIES).json() == {}
        assert make(http).json() == {"error": {"code": code, "message": text, "status": kind}}
    assert make(http).status_code == 200


def test_a_connection_closes_before_the_call_or_after_it(stand_in: Server, http: httpx.Client) -> None:
    stand_in.behaviours.append(Fails("CreateRepository", "drop"))
    with pytest.raises(httpx.RemoteProtocolError):
        make(http)
    assert http.get(REPOSITORIES).json() == {}
    stand_in.behaviours[:] = [Fails("CreateRepository", "drop", lost=True)]
    with pytest.raises(httpx.RemoteProtocolError):
        make(http)
    # it was carried out: whoever tries again meets their own work
    assert make(http).json()["error"]["status"] == "ALREADY_EXISTS"


def test_a_quota_holds_until_it_is_refilled(stand_in: Server, http: httpx.Client) -> None:
    quota = Quota("CreateRepository", calls=2)
    stand_in.behaviours.append(quota)
    codes = [make(http, f"app-{number}").status_code for number in range(4)]
    assert codes == [200, 200, 429, 429]
    quota.refill()
    assert make(http, "app-3").status_code == 200
    assert quota.refused == 2


def test_a_share_of_all_calls_fails_the_same_in_every_run(stand_in: Server, http: httpx.Client) -> None:
    def codes() -> list[int]:
        stand_in.reset()
        stand_in.behaviours.append(FailsOften(seed=7))
        return [_code(http, number) for number in range(200)]

    first = codes()
    assert first == codes()
    assert {200, 429, 503, 409, 0} == set(first)
    assert 40 < sum(code != 200 for code in first) < 100


def _code(http: httpx.Client, number: int) -> int:
    try:
        return http.get(f"{PROJECT}/locations", params={"pageSize": 1 + number}).status_code
    except httpx.RemoteProtocolError:
        return 0


def test_who_lacks_a_permission_is_told_which(stand_in: Server, http: httpx.Client) -> None:
    make(http)
    stand_in.cloud.state.knobs.denied += [
        ("artifactregistry.repositories.setIamPolicy", "/app$"),
        ("iam.serviceAccounts.create", ""),
    ]
    body: dict[str, Any] = {"policy": {}}
    got = http.post(f"{REPOSITORIES}/app:setIamPolicy", json=body)
    assert got.status_code == 403
    assert got.json()["error"]["message"] == (
        "Permission 'artifactregistry.repositories.setIamPolicy' denied on resource "
        f"'//artifactregistry.googleapis.com/{REPOSITORIES.removeprefix('/v1/')}/app' (or it may not exist)."
    )
    make(http, "other")
    assert http.post(f"{REPOSITORIES}/other:setIamPolicy", json=body).status_code == 200
    got = http.post(f"{PROJECT}/serviceAccounts", json={"accountId": "images-pull"})
    assert got.json()["error"]["status"] == "PERMISSION_DENIED"
    wanted = ["artifactregistry.repositories.setIamPolicy", "artifactregistry.repositories.get"]
    path = f"{REPOSITORIES}/{{}}:testIamPermissions"
    assert http.post(path.format("app"), json={"permissions": wanted}).json() == {"permissions": wanted[1:]}
    assert http.post(path.format("other"), json={"permissions": wanted}).json() == {"permissions": wanted}
    assert http.post(path.format("app"), json={"permissions": ["artifactregistry.*"]}).status_code == 400
    assert http.post(path.format("none"), json={"permissions": wanted}).status_code == 404


def test_an_api_that_is_off_says_where_it_is_turned_on(http: httpx.Client) -> None:
    service = f"{PROJECT}/services/artifactregistry.googleapis.com"
    http.post(f"{service}:disable", json={})
    number = project_number("my-project")
    error = make(http).json()["error"]
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert error["message"] == (
        f"Artifact Registry API has not been used in project {number} before or it is disabled. Enable it by visiting "
        f"https://console.developers.google.com/apis/api/artifactregistry.googleapis.com/overview?project={number} then retry. "
        "If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
    assert http.get(f"{PROJECT}/serviceAccounts").status_code == 200
    http.post(f"{service}:enable", json={})
    assert make(http).status_code == 200


def test_a_key_that_artifact_registry_may_not_use(stand_in: Server, http: httpx.Client) -> None:
    # https://github.com/hashicorp/terraform-provider-google/issues/13008
    key = "projects/my-project/locations/us-central1/keyRings/r/cryptoKeys/k"
    stand_in.cloud.state.knobs.denied_keys.add(key)
    body = {**DOCKER, "kmsKeyName": key}
    got = http.post(REPOSITORIES, params={"repositoryId": "app"}, json=body)
    assert got.json()["error"]["message"].startswith("Permission denied on Cloud KMS key.")


def test_errors_of_the_old_kind_are_for_the_client_that_gets_them(http: httpx.Client) -> None:
    path = f"{PROJECT}/serviceAccounts/nobody@my-project.iam.gserviceaccount.com"
    old = [{"domain": "global", "message": "Unknown service account", "reason": "notFound"}]
    assert "errors" not in http.get(path).json()["error"]
    agent = {"user-agent": "google-api-go-client/0.5 Terraform/1.10"}
    assert http.get(path, headers=agent).json()["error"]["errors"] == old
    assert http.get(path, params={"prettyPrint": "false"}).json()["error"]["errors"] == old


def test_what_is_no_call_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/nothing").status_code == 404
    assert http.get("/v1/nothing").headers["content-type"].startswith("text/html")
    assert http.put(f"{REPOSITORIES}/app").status_code == 404
    for body in (b"{", b"[]", b"null"):
        got = http.post(REPOSITORIES, params={"repositoryId": "app"}, content=body)
        assert got.json()["error"]["status"] == "INVALID_ARGUMENT", body
    got = http.post(REPOSITORIES, params={"repositoryId": "app", "force": "true"}, json=DOCKER)
    assert 'Unknown name "force": Cannot bind query parameter.' in got.json()["error"]["message"]


def test_calls_are_written_down_and_a_reset_forgets_all(stand_in: Server, http: httpx.Client) -> None:
    make(http)
    http.get(f"{REPOSITORIES}/app", headers={"x-goog-user-project": "billed"})
    assert stand_in.operations() == ["artifactregistry:CreateRepository", "artifactregistry:GetRepository"]
    created, got = stand_in.calls
    assert (created.region, created.body["query"], created.body["json"]) == (
        "us-central1",
        {"repositoryId": "app"},
        DOCKER,
    )
    assert got.headers["x-goog-user-project"] == "billed"
    stand_in.reset()
    assert stand_in.calls == []
    assert http.get(REPOSITORIES).json() == {}


def test_many_threads_at_once(http: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda number: make(http, f"app-{number % 20}").status_code, range(80)))
    assert (codes.count(200), codes.count(409)) == (20, 60)
    assert len(http.get(REPOSITORIES).json()["repositories"]) == 20


def test_over_http_a_test_in_another_process_can_do_the_same(stand_in: Server, http: httpx.Client) -> None:
    def tell(command: str, **body: Any) -> Any:
        got = http.post(f"/_stand-in/{command}", json=body)
        assert got.status_code == 200, got.text
        return got.json()

    tell("faults", operation="CreateRepository", kind="UNAVAILABLE", times=1)
    assert [make(http).status_code for _ in range(2)] == [503, 200]
    tell("quota", operation="GetRepository", calls=1)
    assert [http.get(f"{REPOSITORIES}/app").status_code for _ in range(2)] == [200, 429]
    tell("quota", operation="GetRepository", calls=1)
    assert http.get(f"{REPOSITORIES}/app").status_code == 200
    name = f"{REPOSITORIES.removeprefix('/v1/')}/app"
    tell("push", repository=name, package="web", tag="v1")
    assert len(http.get(f"{REPOSITORIES}/app/packages").json()["packages"]) == 1
    tell("services", project="my-project", service="artifactregistry.googleapis.com", on=False)
    assert make(http, "more").status_code == 403
    assert [call["operation"] for call in tell("calls")["calls"]][:2] == ["CreateRepository", "CreateRepository"]
    tell("reset")
    assert http.get(REPOSITORIES).json() == {}
    tell("knobs", flaps=[404], denied=[["artifactregistry.repositories.create", ""]], permitted=["example.com"])
    knobs = stand_in.cloud.state.knobs
    assert (knobs.flaps, knobs.permitted) == ((404,), {"example.com"})
    assert make(http).status_code == 403


@pytest.mark.parametrize(
    ("command", "body", "text"),
    [
        ("nothing", {}, "POST to one of calls, faults, knobs, push, quota, reset, services under /_stand-in/"),
        ("knobs", {"flap": []}, "the knobs are "),
        ("faults", {"kind": "drop"}, "operation"),
        ("push", {"repository": "none"}, "KeyError"),
    ],
)
def test_what_it_is_told_wrongly_it_refuses(command: str, body: dict[str, Any], text: str, http: httpx.Client) -> None:
    got = http.post(f"/_stand-in/{command}", json=body)
    assert got.status_code == 400
    assert text in got.json()["error"]
