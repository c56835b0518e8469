"""The stand-in against recorded exchanges with Google: ../shared/evidence/gcp, every request in order, answers field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.command_line import ROOT
from tests.emulators.gcp import RECORDED_FLAPS, Server, project_number, push

pytest_plugins = ["tests.emulators.gcp.fixtures"]

EVIDENCE = ROOT.parent / "shared" / "evidence" / "gcp"
MISSING = f"NOT RUN: {EVIDENCE} is not here; the stand-in is not compared with recorded exchanges"
LOGS = [path.name for path in sorted(EVIDENCE.glob("*.http.log"))] or ["missing"]
PROJECT = "my-project"
NAMES = {
    "${projectId}": PROJECT,
    "${uniqueId}": "abc123",
    "${projectNumber}": project_number(PROJECT),
    "${kccVersion}": "1.0",
}
#: what the recordings have in the place of every etag
ETAG = "abcdef0123A="
Document = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """A recorded request and its answer."""

    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int
    answer_headers: list[tuple[str, str]]
    answer: Any


def exchanges(text: str) -> list[Exchange]:
    """What a `*.http.log` has: request line, headers, body, status line, headers, body; `---` between exchanges."""
    return [_exchange(part.strip()) for part in re.split(r"^---$", text, flags=re.MULTILINE)]


def _exchange(text: str) -> Exchange:
    for placeholder, value in NAMES.items():
        text = text.replace(placeholder, value)
    request, status, answer = re.split(r"^(\d{3} [A-Z].*)$", text, maxsplit=1, flags=re.MULTILINE)
    line, *headers = request.partition("\n\n")[0].splitlines()
    method, url = line.split(" ", 1)
    parts = urlsplit(url)
    answer_headers, _, body = answer.strip().partition("\n\n")
    return Exchange(
        method,
        f"{parts.path}?{parts.query}",
        dict(_header(header) for header in headers),
        request.partition("\n\n")[2].strip(),
        int(status[:3]),
        [_header(header) for header in answer_headers.splitlines()],
        json.loads(body),
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value


def normal(value: Any) -> Any:
    """A body with its ids, times and etags replaced by what they are."""
    if isinstance(value, dict):
        return {key: _normal_member(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"(?<=/operations/)([0-9a-f-]{36}|\$\{operationID\})$", "ID", value)
        return "TIME" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z", value) else value
    return value


def _normal_member(key: str, value: Any) -> Any:
    if key == "etag" and re.fullmatch(r"[A-Za-z0-9+/]+=*", value):
        return "ETAG"
    if key in ("uniqueId", "oauth2ClientId") and re.fullmatch(r"\d{21}", value):
        return "ID"
    return normal(value)


def _denied(server: Server) -> None:
    server.cloud.state.knobs.denied.append(("cloudkms.cryptoKeys.setIamPolicy", "kmscryptokey"))


def _flapping(server: Server) -> None:
    server.cloud.state.knobs.flaps = RECORDED_FLAPS


def _project_policy(server: Server) -> None:
    policy = recorded("project-policy-deleted-member.http.log")[0].answer
    body = {"policy": {"bindings": policy["bindings"]}}
    assert httpx.post(f"{server.url}/v1/projects/{PROJECT}:setIamPolicy", json=body).status_code == 200


#: what was so before an exchange, by its number in the file, and is not to be seen in the file
BEFORE: dict[tuple[str, int], Callable[[Server], None]] = {
    ("errors-403.http.log", 1): _denied,
    ("service-account-eventual-409.http.log", 0): _flapping,
    ("project-policy-deleted-member.http.log", 0): _project_policy,
}
#: members that a file lacks although other files have them in the same answer: that one's Get has no registryUri
NOT_YET = {"repository-iam-policy.http.log": {"registryUri"}}


def recorded(name: str) -> list[Exchange]:
    if not EVIDENCE.is_dir():
        pytest.skip(MISSING)
    return exchanges((EVIDENCE / name).read_text())


@pytest.mark.parametrize("name", LOGS)
def test_a_recorded_session_goes_the_same_way(name: str, stand_in: Server, http: httpx.Client) -> None:
    operation, etag = "", ""
    for number, exchange in enumerate(recorded(name)):
        if (name, number) in BEFORE:
            BEFORE[name, number](stand_in)
        target = exchange.target.replace("${operationID}", operation)
        body = exchange.body.replace(ETAG, etag)
        got = http.request(exchange.method, target, headers=exchange.headers, content=body)
        answer: Document = got.json()
        where = f"{name}, exchange {number}: {exchange.method} {target}"
        assert got.status_code == exchange.status, f"{where}: {answer}"
        lacking = NOT_YET.get(name, set()) - exchange.answer.keys()
        ours = {key: value for key, value in answer.items() if key not in lacking}
        assert normal(ours) == normal(exchange.answer), where
        assert set(exchange.answer_headers) <= _headers(got), where
        operation = str(answer.get("name", "")).partition("/operations/")[2] or operation
        etag = answer.get("etag", etag)


def _headers(got: httpx.Response) -> set[tuple[str, str]]:
    return {(name.decode().title(), value.decode()) for name, value in got.headers.raw}


def test_etags_change_with_every_write_and_no_id_comes_twice(stand_in: Server, http: httpx.Client) -> None:
    seen = []
    for name, members in (("first-one", ["allUsers"]), ("second-one", ["allAuthenticatedUsers"])):
        repositories = f"/v1/projects/{PROJECT}/locations/us/repositories"
        seen.append(http.post(f"{repositories}?repositoryId={name}", json={"format": "DOCKER"}).json()["name"])
        policy = {"bindings": [{"role": "roles/artifactregistry.reader", "members": members}]}
        writes = [http.post(f"{repositories}/{name}:setIamPolicy", json={"policy": policy}) for _ in range(2)]
        seen += [write.json()["etag"] for write in writes]
        account = http.post(f"/v1/projects/{PROJECT}/serviceAccounts", json={"accountId": name}).json()
        seen += [account["uniqueId"], account["etag"]]
    assert len(set(seen)) == len(seen)


# c7n's flights have answers without their requests: each is asked for here as Cloud Custodian asked

CUSTODIAN = "cloud-custodian"
REPOSITORIES = f"/v1/projects/{CUSTODIAN}/locations/us-central1/repositories"
ACCOUNT = f"test-sa-actions@{CUSTODIAN}.iam.gserviceaccount.com"


def _two_repositories(server: Server, http: httpx.Client) -> None:
    first = {
        "format": "DOCKER",
        "description": "Cloud Custodian test artifact repository",
        "labels": {"goog-terraform-provisioned": "true", "env": "default"},
    }
    second = {
        "format": "DOCKER",
        "description": "Repository to store images related to App Engine Standard deployments.",
    }
    http.post(f"{REPOSITORIES}?repositoryId=c7n-artifact-repo", json=first)
    http.post(f"{REPOSITORIES}?repositoryId=gae-standard", json=second)
    found = server.cloud.state.repositories[f"{REPOSITORIES.removeprefix('/v1/')}/gae-standard"]
    push(found, "app", "v1", size=475_091_591)


def _patch(http: httpx.Client) -> httpx.Response:
    labels = {"labels": {"env": "production", "goog-terraform-provisioned": "true"}}
    return http.patch(f"{REPOSITORIES}/c7n-artifact-repo?alt=json&updateMask=labels", json=labels)


def _list(server: Server, http: httpx.Client) -> httpx.Response:
    _two_repositories(server, http)
    return http.get(f"{REPOSITORIES}?alt=json")


def _patched(server: Server, http: httpx.Client) -> httpx.Response:
    _two_repositories(server, http)
    return _patch(http)


def _got(server: Server, http: httpx.Client) -> httpx.Response:
    _two_repositories(server, http)
    _patch(http)
    return http.get(f"{REPOSITORIES}/c7n-artifact-repo?alt=json")


def _never_set(server: Server, http: httpx.Client) -> httpx.Response:
    return http.get(f"/v1/projects/{CUSTODIAN}/locations/global/keyRings/keyring-169:getIamPolicy?alt=json")


def _disabled(server: Server, http: httpx.Client) -> httpx.Response:
    accounts = f"/v1/projects/{CUSTODIAN}/serviceAccounts"
    body = {"accountId": "test-sa-actions", "serviceAccount": {"displayName": "test-sa-actions"}}
    http.post(accounts, json=body)
    http.post(f"{accounts}/{ACCOUNT}:disable", json={})
    return http.get(f"{accounts}/{ACCOUNT}?alt=json")


def _roles(server: Server, http: httpx.Client) -> httpx.Response:
    # the recording was cut to its first role of 300
    return http.get("/v1/roles?alt=json&pageSize=1")


FLIGHTS: dict[str, Callable[[Server, httpx.Client], httpx.Response]] = {
    "list-repositories.json": _list,
    "patch-labels.json": _patched,
    "get-repository.json": _got,
    "get-iam-policy-never-set.json": _never_set,
    "get-service-account-disabled.json": _disabled,
    "iam-list-roles-nextPageToken.json": _roles,
}


@pytest.mark.parametrize("name", FLIGHTS)
def test_a_flight_of_cloud_custodian_has_the_same_answer(name: str, stand_in: Server, http: httpx.Client) -> None:
    flight = EVIDENCE / "c7n" / name
    if not flight.exists():
        pytest.skip(MISSING)
    # one of them kept the name of another project in its URI
    expected = json.loads(flight.read_text().replace("stacklet-test-policies", CUSTODIAN))
    got = FLIGHTS[name](stand_in, http)
    assert got.status_code == int(expected["headers"]["status"])
    assert _without_token(normal(got.json())) == _without_token(normal(expected["body"]))
    assert got.headers["content-type"] == expected["headers"]["content-type"]


def _without_token(body: Document) -> Document:
    return body | ({"nextPageToken": "TOKEN"} if body.get("nextPageToken") else {})


def test_the_etag_of_a_policy_never_set_is_the_recorded_one(stand_in: Server, http: httpx.Client) -> None:
    assert _never_set(stand_in, http).json() == {"etag": "ACAB"}


#: of gcloud's recorded requests, those that are refused: the account is made twice, and `nope` is not there
REFUSED = {("POST", "/v1/projects/my-project/serviceAccounts?alt=json", 2): 409}


def test_what_gcloud_was_recorded_to_send_is_understood(stand_in: Server, http: httpx.Client) -> None:
    path = EVIDENCE / "gcloud-528-requests.jsonl"
    if not path.exists():
        pytest.skip(MISSING)
    operation, times = "", dict[tuple[str, str], int]()
    for line in path.read_text().splitlines():
        sent = json.loads(line)
        key = (sent["method"], sent["path"])
        times[key] = times.get(key, 0) + 1
        target = sent["path"].replace("00000001", operation)
        got = (
            http.request(sent["method"], target, json=sent["body"])
            if sent["body"]
            else http.request(*_bare(sent, target))
        )
        expected = 404 if "/nope" in target else REFUSED.get((*key, times[key]), 200)
        assert got.status_code == expected, f"{sent['command']}: {sent['method']} {target}: {got.text}"
        assert got.headers["content-type"] == "application/json; charset=UTF-8"
        operation = str(got.json().get("name", "")).partition("/operations/")[2] or operation
    described = http.get("/v1/projects/my-project/locations/us-central1/repositories/app").json()
    assert described["labels"] == {"a": "b", "c": "d"}
    assert described["description"] == "e"
    assert described["dockerConfig"] == {"immutableTags": True}
    assert described["mode"] == "STANDARD_REPOSITORY"


def _bare(sent: Document, target: str) -> tuple[str, str]:
    return sent["method"], target


def test_every_file_of_the_evidence_is_compared() -> None:
    if not EVIDENCE.is_dir():
        pytest.skip(MISSING)
    there = {str(path.relative_to(EVIDENCE)) for path in EVIDENCE.rglob("*") if path.is_file()}
    compared = {*LOGS, *(str(Path("c7n") / name) for name in FLIGHTS), "gcloud-528-requests.jsonl"}
    assert there == {*compared, "README.md"}
