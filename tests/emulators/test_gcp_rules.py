"""The stand-in's rules for what no recording shows: a table, each line with its source and both sides of the limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.emulators.gcp import Server

pytest_plugins = ["tests.emulators.gcp.fixtures"]

PROJECT = "my-project"
DOCS = "https://cloud.google.com/artifact-registry/docs"
REFERENCE = f"{DOCS}/reference/rest/v1/projects.locations.repositories"
DISCOVERY = "https://artifactregistry.googleapis.com/$discovery/rest?version=v1"
IAM = "https://iam.googleapis.com/$discovery/rest?version=v1"
GITHUB = "https://github.com"
JSON = "https://protobuf.dev/programming-guides/json/"
INVALID = "Request contains an invalid argument."
KEY = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"


@dataclass(frozen=True)
class Case:
    """A request that is taken (`text` is None), or refused as INVALID_ARGUMENT with a text that has `text` in it."""

    what: str
    source: str
    sent: dict[str, Any] = field(default_factory=dict)
    text: str | None = None
    name: str = "app"
    location: str = "us-central1"
    mask: str = ""

    def __str__(self) -> str:
        return self.what

    def check(self, got: httpx.Response) -> None:
        """Compares the answer."""
        if self.text is None:
            assert got.status_code == 200, got.text
            return
        error = got.json()["error"]
        assert (got.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
        assert self.text in error["message"]


def labels(number: int) -> dict[str, Any]:
    return {"labels": {f"key-{index}": "" for index in range(number)}}


def cleanup(**policies: dict[str, Any]) -> dict[str, Any]:
    return {"cleanupPolicies": policies}


OLD = {"action": "DELETE", "condition": {"olderThan": "86400s"}}
RECENT = {"keepCount": 3}
BOTH = {**OLD, "action": "KEEP", "mostRecentVersions": RECENT}
VIRTUAL = {"mode": "VIRTUAL_REPOSITORY"}
UPSTREAM = {"virtualRepositoryConfig": {"upstreamPolicies": [{"id": "a", "repository": "r", "priority": 1}]}}
REMOTE = {"mode": "REMOTE_REPOSITORY", "remoteRepositoryConfig": {"dockerRepository": {"publicRepository": 1}}}
DOT = "invalid repository labels (&map[a.b:c]): key \"a.b\" contains invalid character '.' at index 1"
CAPITAL = "value \"Bc\" contains invalid character 'B' at index 0"
UNKNOWN = "Invalid JSON payload received. Unknown name \"immutable\" at 'repository': Cannot find field."
LABEL_TEXT = f"{GITHUB}/simple-container-com/api/issues/164"
CLEANUP_DOCS = f"{DOCS}/repositories/cleanup-policy-overview"
NAMES, LOCATIONS = f"{DOCS}/repositories/create-repos", f"{DOCS}/repositories/repo-locations"
UNKNOWN_PLACE = f"{GITHUB}/hashicorp/terraform-provider-google/issues/10184"

CREATES = [
    Case("a multi-region", LOCATIONS, location="europe"),
    Case("eu is no location", LOCATIONS, text=INVALID, location="eu"),
    Case("a location that is none", UNKNOWN_PLACE, text=INVALID, location="eu-west3"),
    Case("a name of 63", NAMES, name="a" * 63),
    Case("a name of 64", NAMES, text=INVALID, name="a" * 64),
    Case("a name that ends with a hyphen", NAMES, text=INVALID, name="app-"),
    Case("a name that starts with a digit", NAMES, text=INVALID, name="1app"),
    Case("a name with a capital", NAMES, text=INVALID, name="App"),
    Case("a name with an underscore", NAMES, text=INVALID, name="a_b"),
    Case("no name", DISCOVERY, text=INVALID, name=""),
    Case("a gcr.io name in its place", f"{DOCS}/transition/setup-gcr-repo", name="eu.gcr.io", location="europe"),
    Case("a gcr.io name elsewhere", f"{DOCS}/transition/setup-gcr-repo", text="eu.gcr.io", name="eu.gcr.io"),
    Case("no format", f"{GITHUB}/stackshy/cloudemu/pull/1190", {"format": 0}, INVALID),
    Case("an unknown format", f"{GITHUB}/stackshy/cloudemu/pull/1190", {"format": "OCI"}, "Invalid value at"),
    Case("a number that is no format", JSON, {"format": 4}, "Invalid value at"),
    Case("a mode that is not said", DISCOVERY, {"mode": "MODE_UNSPECIFIED"}),
    Case("a mode that must be said", DISCOVERY, {"disallowUnspecifiedMode": True}, "mode"),
    Case("an unknown field", f"{GITHUB}/router-for-me/CLIProxyAPI/issues/1531", {"immutable": True}, UNKNOWN),
    Case("a text for a boolean", JSON, {"cleanupPolicyDryRun": "yes"}, "Invalid value at"),
    Case("names in snake case", JSON, {"docker_config": {"immutable_tags": True}, "cleanup_policy_dry_run": False}),
    Case("64 labels", REFERENCE, labels(64)),
    Case("65 labels", REFERENCE, labels(65), "invalid repository labels"),
    Case("a key of 63", REFERENCE, {"labels": {"a" * 63: "b" * 63}}),
    Case("a key of 64", REFERENCE, {"labels": {"a" * 64: ""}}, "longer than 63"),
    Case("a value of 64", REFERENCE, {"labels": {"a": "b" * 64}}, "longer than 63"),
    Case("a key that starts with a digit", REFERENCE, {"labels": {"1a": ""}}, "must start with a lowercase letter"),
    Case("a key with a dot", LABEL_TEXT, {"labels": {"a.b": "c"}}, DOT),
    Case("a value with a capital", REFERENCE, {"labels": {"a": "Bc"}}, CAPITAL),
    Case("ten cleanup policies", CLEANUP_DOCS, cleanup(**{f"p{number}": OLD for number in range(10)})),
    Case("eleven cleanup policies", CLEANUP_DOCS, cleanup(**{f"p{number}": OLD for number in range(11)}), "maximum of 10"),
    Case("an id of 127", REFERENCE, cleanup(**{"a" * 127: OLD})),
    Case("an id of 128", REFERENCE, cleanup(**{"a" * 128: OLD}), "127 characters"),
    Case("an id that is not the key", REFERENCE, cleanup(a={**OLD, "id": "b"}), "the id of the policy is b"),
    Case("no action", REFERENCE, cleanup(a={"condition": OLD["condition"]}), "DELETE or KEEP"),
    Case("words of any case", "gcloud 528", cleanup(a={"action": "Delete", "condition": {"tagState": "untagged"}})),
    Case("words as numbers", JSON, cleanup(a={"action": 1, "condition": {"tagState": 2}})),
    Case("most recent with keep", REFERENCE, cleanup(a={"action": "KEEP", "mostRecentVersions": RECENT})),
    Case("most recent with delete", REFERENCE, cleanup(a={"action": "DELETE", "mostRecentVersions": RECENT}), "KEEP"),
    Case("most recent and a condition", CLEANUP_DOCS, cleanup(a=BOTH), "same policy"),
    Case("neither of the two", CLEANUP_DOCS, cleanup(a={"action": "DELETE"}), "is needed"),
    Case("an age in days", JSON, cleanup(a={"action": "DELETE", "condition": {"olderThan": "1d"}}), "Duration"),
    Case("cleanup of a virtual repository", f"{DOCS}/repositories/cleanup-policy", {**VIRTUAL, **cleanup(a=OLD)}, "virtual"),
    Case("cleanup of a remote repository", f"{DOCS}/repositories/cleanup-policy", {**REMOTE, **cleanup(a=OLD)}),
    Case("upstreams of a virtual repository", REFERENCE, {**VIRTUAL, **UPSTREAM}),
    Case("upstreams of a standard repository", REFERENCE, UPSTREAM, "upstream policies"),
    Case("a remote repository of nothing", REFERENCE, {"mode": "REMOTE_REPOSITORY"}, "remote_repository_config"),
    Case("docker's settings for npm", REFERENCE, {"format": "NPM", "dockerConfig": {"immutableTags": True}}, "docker_config"),
    Case("a key in the same place", f"{DOCS}/cmek", {"kmsKeyName": KEY.format("us-central1")}),
    Case("a key elsewhere", f"{DOCS}/cmek", {"kmsKeyName": KEY.format("global")}, "the key is in global"),
    Case("a key of another cloud", REFERENCE, {"kmsKeyName": "arn:aws:kms:us-east-1:123456789012:key/k"}, "kms_key_name"),
]  # fmt: skip
PATCHES = [
    Case("another format", f"{DOCS}/repositories/manage-repos", {"format": "NPM"}, "format can't be changed", mask="format"),
    Case("another mode", f"{DOCS}/repositories/manage-repos", VIRTUAL, "mode can't be changed", mask="mode"),
    Case("another mode without a mask", f"{DOCS}/repositories/manage-repos", VIRTUAL, "mode can't be changed"),
    Case("a key", REFERENCE, {"kmsKeyName": KEY.format("us-central1")}, "kmsKeyName can't be changed", mask="kmsKeyName"),
    Case("the format as it is", REFERENCE, {"format": "DOCKER"}, mask="format"),
    Case("output in the body", "gcloud 528", {"createTime": "x", "registryUri": "x", "sizeBytes": "9", "name": "x"}, mask="labels"),
    Case("a mask in snake case", "gcloud 528", cleanup(a=OLD), mask="cleanup_policies,cleanup_policy_dry_run"),
    Case("a mask with dots", "gcloud 528", {"dockerConfig": {"immutableTags": True}}, mask="dockerConfig.immutableTags"),
    Case("a mask of no field", JSON, {}, "Invalid field mask: labelz", mask="labels,labelz"),
    Case("a mask of no field within one", JSON, {}, "Invalid field mask", mask="dockerConfig.mutable"),
    Case("65 labels", REFERENCE, labels(65), "invalid repository labels", mask="labels"),
    Case("a rule that does not hold outside of the mask", REFERENCE, labels(65), mask="description"),
]  # fmt: skip


def path(case: Case) -> str:
    return f"/v1/projects/{PROJECT}/locations/{case.location}/repositories"


@pytest.mark.parametrize("case", CREATES, ids=str)
def test_creating_a_repository(case: Case, http: httpx.Client) -> None:
    body = {"format": "DOCKER", **case.sent}
    case.check(http.post(path(case), params={"repositoryId": case.name}, json=body))
    there = http.get(f"{path(case)}/{case.name}") if case.name else None
    assert there is None or there.status_code == (200 if case.text is None else 404)


@pytest.mark.parametrize("case", PATCHES, ids=str)
def test_patching_a_repository(case: Case, http: httpx.Client) -> None:
    http.post(path(case), params={"repositoryId": case.name}, json={"format": "DOCKER", "labels": {"a": "b"}})
    before = http.get(f"{path(case)}/app").json()
    case.check(http.patch(f"{path(case)}/app", params={"updateMask": case.mask} if case.mask else {}, json=case.sent))
    assert case.text is None or http.get(f"{path(case)}/app").json() == before


READER = "roles/artifactregistry.reader"
POOL = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool"
WORKFORCE = "//iam.googleapis.com/locations/global/workforcePools/pool"
PREFIXED = f"{GITHUB}/GoogleCloudPlatform/python-docs-samples/issues/11037"
NOBODY = f"{GITHUB}/hashicorp/terraform-provider-google/issues/12989"
ROLE_FORM, ROLE_OTHER = (
    f"{GITHUB}/kubernetes/k8s.io/pull/3968",
    f"{GITHUB}/hashicorp/terraform-provider-google/issues/9130",
)
TOO_MANY = f"{GITHUB}/kubeflow/pipelines/issues/1146"
GHOST = f"{GITHUB}/GoogleCloudPlatform/data-migration-tool/issues/58"
CONDITION = {"title": "until", "expression": "request.time < timestamp('2027-01-01T00:00:00Z')"}


def bindings(*members: str, role: str = READER, **more: Any) -> dict[str, Any]:
    return {"bindings": [{"role": role, "members": list(members), **more}]}


def many(kind: str, number: int) -> dict[str, Any]:
    return bindings(*(f"{kind}:somebody-{index}@example.com" for index in range(number)))


WHO, STORAGE = "nobody@my-project.iam.gserviceaccount.com", "roles/storage.objectViewer"
AGAIN = bindings("user:somebody-0@example.com", role="roles/artifactregistry.writer")
TWICE = {"bindings": [*many("user", 1500)["bindings"], *AGAIN["bindings"]]}
OLDER = {**bindings("allUsers", condition=CONDITION), "version": 1}
GOOD_MEMBERS = [
    "allUsers",
    "allAuthenticatedUsers",
    "user:dev@example.com",
    "group:devs@example.com",
    "domain:example.com",
    "serviceAccount:123456789012-compute@developer.gserviceaccount.com",
    "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com",
    "serviceAccount:other-project.svc.id.goog[namespace/account]",
    f"principal:{POOL}/subject/repo:org/app:ref:refs/heads/main",
    f"principalSet:{POOL}/attribute.repository/org/app",
    f"principalSet:{POOL}/group/devs",
    f"principalSet:{POOL}/*",
    f"principalSet:{POOL}.svc.id.goog/namespace/shop",
    f"principalSet:{POOL}.svc.id.goog/kubernetes.cluster/https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
    f"principal:{POOL}.svc.id.goog/kubernetes.serviceaccount.uid/7d3e",
    f"principal:{WORKFORCE}/subject/dev@example.com",
    f"principalSet:{WORKFORCE}/group/devs",
    "deleted:serviceAccount:gone@my-project.iam.gserviceaccount.com?uid=112011146970661392355",
    f"deleted:principal:{WORKFORCE}/subject/dev",
]
POLICIES = [
    *(Case(f"the member {member}", DISCOVERY, bindings(member)) for member in GOOD_MEMBERS),
    Case("a member without a type", PREFIXED, bindings("dev@example.com"), "must be prefixed of the form '<type>:<value>'"),
    Case("a type that is none", NOBODY, bindings("robot:dev@example.com"), INVALID),
    Case("an address that is none", NOBODY, bindings("user:dev"), INVALID),
    Case("a pool without a number", NOBODY, bindings(f"principalSet:{POOL.replace('123456789012', 'name')}/*"), INVALID),
    Case("a set that is one", NOBODY, bindings(f"principalSet:{POOL}/subject/x"), INVALID),
    Case("an account that is not there", GHOST, bindings("allUsers", f"serviceAccount:{WHO}"), f"account {WHO} does not exist."),
    Case("a role that is none", ROLE_FORM, bindings("allUsers", role="reader"), 'must be in the form "roles/{role}"'),
    Case("a role of another service", ROLE_OTHER, bindings("allUsers", role=STORAGE), f"Role {STORAGE} is not supported"),
    Case("a custom role", DISCOVERY, bindings("allUsers", role="projects/my-project/roles/puller")),
    Case("a binding of nobody", DISCOVERY, bindings(), INVALID),
    Case("1,500 members", DISCOVERY, many("user", 1500)),
    Case("1,501 members", TOO_MANY, many("user", 1501), "in the policy (1,501) is larger than the maximum allowed size 1,500."),
    Case("one in two bindings counts twice", DISCOVERY, TWICE, "(1,501)"),
    Case("250 groups", DISCOVERY, many("group", 250)),
    Case("251 groups", DISCOVERY, many("group", 251), "groups"),
    Case("a condition in version 3", DISCOVERY, {**bindings("allUsers", condition=CONDITION), "version": 3}),
    Case("a condition in version 1", DISCOVERY, OLDER, "must specify version 3"),
    Case("version 2", DISCOVERY, {"version": 2}, "version 2"),
    Case("an etag that is none", JSON, {"etag": "***"}, "Base64 decoding failed"),
    Case("the etag of a policy never set", "recorded: c7n/get-iam-policy-never-set.json", {"etag": "ACAB"}),
    Case("no policy at all is an empty one", DISCOVERY, {}),
]  # fmt: skip


@pytest.mark.parametrize("case", POLICIES, ids=str)
def test_setting_a_policy(case: Case, http: httpx.Client) -> None:
    http.post(path(case), params={"repositoryId": "app"}, json={"format": "DOCKER"})
    case.check(http.post(f"{path(case)}/app:setIamPolicy", json={"policy": case.sent}))
    if case.text is not None:
        assert http.get(f"{path(case)}/app:getIamPolicy").json() == {"etag": "ACAB"}


def account(**settings: str) -> dict[str, Any]:
    return {"serviceAccount": settings}


ACCOUNTS = [
    Case("an id of 6", IAM, name="abc-de"),
    Case("an id of 5", IAM, text="abcde", name="abcde"),
    Case("an id of 30", IAM, name="a" * 30),
    Case("an id of 31", IAM, text="a" * 31, name="a" * 31),
    Case("an id that ends with a hyphen", IAM, text="images-", name="images-"),
    Case("an id with an underscore", IAM, text="images_pull", name="images_pull"),
    Case("a description of 256 bytes", IAM, account(description="é" * 128), name="images-pull"),
    Case("a description of 258 bytes", IAM, account(description="é" * 129), "256 bytes", name="images-pull"),
    Case("a display name of 100 bytes", IAM, account(displayName="a" * 100), name="images-pull"),
    Case("a display name of 101 bytes", IAM, account(displayName="a" * 101), "100 bytes", name="images-pull"),
    Case("labels", IAM, {"serviceAccount": {"labels": {}}}, "Cannot find field.", name="images-pull"),
]


@pytest.mark.parametrize("case", ACCOUNTS, ids=str)
def test_creating_a_service_account(case: Case, http: httpx.Client) -> None:
    case.check(http.post(f"/v1/projects/{PROJECT}/serviceAccounts", json={"accountId": case.name, **case.sent}))


ACCOUNT_PATCHES = [
    Case("the description", IAM, {**account(description="d"), "updateMask": "description"}),
    Case("nothing is named", IAM, account(description="d"), INVALID),
    Case("the email", IAM, {**account(email="d"), "updateMask": "email"}, INVALID),
    Case("a long one", IAM, {**account(description="a" * 257), "updateMask": "description"}, "256 bytes"),
]


@pytest.mark.parametrize("case", ACCOUNT_PATCHES, ids=str)
def test_patching_a_service_account(case: Case, http: httpx.Client) -> None:
    made = http.post(f"/v1/projects/{PROJECT}/serviceAccounts", json={"accountId": "images-pull"}).json()
    case.check(http.patch(f"/v1/{made['name']}", json=case.sent))


def test_every_rule_has_a_source() -> None:
    for case in (*CREATES, *PATCHES, *POLICIES, *ACCOUNTS, *ACCOUNT_PATCHES):
        assert case.source.startswith(("https://", "recorded: ", "gcloud 528")), case.what


def test_domain_restricted_sharing_refuses_everybody_else(stand_in: Server, http: httpx.Client) -> None:
    # https://github.com/terraform-google-modules/terraform-example-foundation/issues/1257
    stand_in.cloud.state.knobs.permitted = {"example.com", "my-project"}
    case = Case("one of another customer", "", text="do not belong to a permitted customer")
    http.post(path(case), params={"repositoryId": "app"}, json={"format": "DOCKER"})
    for member in (
        "allUsers",
        "user:dev@example.org",
        "domain:example.org",
        "serviceAccount:a@elsewhere.iam.gserviceaccount.com",
    ):
        case.check(http.post(f"{path(case)}/app:setIamPolicy", json={"policy": bindings(member)}))
    ours = bindings("user:dev@example.com", "domain:example.com")
    assert http.post(f"{path(case)}/app:setIamPolicy", json={"policy": ours}).status_code == 200
