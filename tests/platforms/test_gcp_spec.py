"""What a spec can say of Google Artifact Registry, and what Google would refuse of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.errors import SpecError
from reconciler.platforms.catalog import Spec
from reconciler.platforms.gcp.spec import GcpRegistry, GcpTarget
from reconciler.spec.loader import parse_spec

Document = dict[str, Any]
POOL = "principalSet://iam.googleapis.com/projects/{}/locations/global/workloadIdentityPools/p"
ACCOUNT = "ci@my-project.iam.gserviceaccount.com"
KEY = "projects/my-project/locations/europe-west1/keyRings/images/cryptoKeys/one"


def registry(**fields: Any) -> Document:
    return {"name": "images", "platform": "gcp", "project": "my-project", "location": "europe-west1", **fields}


def document(*repositories: Document, to: Document | None = None, **fields: Any) -> Document:
    rows = [{"name": f"app-{number}", "registry": "images", **row} for number, row in enumerate(repositories)]
    grant = {"name": "g", "registry": "images", "to": {"type": "gcp", **(to or {"service_account_emails": [ACCOUNT]})}}
    return {
        "version": 1,
        "name": "t",
        "registries": [registry(**fields)],
        "repositories": rows or [{"name": "app", "registry": "images"}],
        "grants": [grant],
    }


def spec(found: Document) -> Spec:
    return parse_spec(json.dumps(found), model=Spec)


def messages(found: Document) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec(found)
    return [f"{item.path}: {item.message}" for item in caught.value.problems]


def test_what_google_can_do_is_valid() -> None:
    found = spec(
        document(
            {
                "immutable_tags": True,
                "retention": {"keep_last": 5, "untagged_days": 7, "keep_tags": ["v*", "release-*", "*"]},
                "encryption": {"kms_key": KEY},
                "labels": {"team": "shop", "tier": ""},
            },
            to={
                "project_numbers": ["123456789012"],
                "allowed_service_types": ["worker", "compute"],
                "service_account_emails": ["*"],
                "members": [
                    "group:devs@example.com",
                    "serviceAccount:deploy@other-project.iam.gserviceaccount.com",
                    "serviceAccount:my-project.svc.id.goog[shop/cart]",
                    "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
                    "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.repository/o/r",
                    "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/group/g",
                    "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*",
                    "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.level2/x",
                    "principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/ann",
                    "serviceAccount:acme.example.com@appspot.gserviceaccount.com",
                ],
            },
            impersonate_service_account=ACCOUNT,
            quota_project="billing-project",
            trusted_principals=["group:platform@example.com"],
        )
    )
    (here,) = found.registries
    assert isinstance(here, GcpRegistry)
    assert here.place(".") == ("my-project", "europe-west1", f"as {ACCOUNT}")
    assert isinstance(found.grants[0].to, GcpTarget)


@pytest.mark.parametrize(
    ("repository", "message"),
    [
        (
            {"immutable_tags": {"except": ["latest"]}},
            "repositories[0].immutable_tags.except: Artifact Registry has no exceptions from immutable tags: write true or false",
        ),
        (
            {"retention": {"keep_last": 1, "keep_tags": ["v1"]}},
            "repositories[0].retention.keep_tags[0]: Google keeps images by the beginning of a tag: 'v1' alone can't be kept; write"
            " 'v1*'",
        ),
        (
            {"retention": {"keep_last": 1, "keep_tags": ["*-rc"]}},
            "repositories[0].retention.keep_tags[0]: Google keeps images by the beginning of a tag, not by its end or its middle as"
            " in '*-rc': give the tags to keep one beginning, and write 'BEGINNING*'",
        ),
        (
            {"retention": {"keep_last": 1, "keep_tags": ["*-rc", "v*.*"]}},
            "repositories[0].retention.keep_tags[1]: Google keeps images by the beginning of a tag: 'v*.*' has a wildcard before its"
            " end; 'v*' keeps these, and all others that begin with 'v'",
        ),
        (
            {"retention": {"keep_last": 1, "keep_tags": ["v*.1"]}},
            "repositories[0].retention.keep_tags[0]: Google keeps images by the beginning of a tag: 'v*.1' has a wildcard before its"
            " end; 'v*' keeps these, and all others that begin with 'v'",
        ),
        (
            {"encryption": {"kms_key": "arn:aws:kms:eu-west-1:123456789012:key/x"}},
            "repositories[0].encryption.kms_key: must be a key of Cloud KMS:"
            " projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
        ),
        (
            {"encryption": {"kms_key": KEY.replace("europe-west1", "us")}},
            "repositories[0].encryption.kms_key: the key is in us, the registry in europe-west1",
        ),
        (
            {"labels": {"Team": "shop"}},
            "repositories[0].labels.Team: Google allows keys of at most 63 lower-case letters, digits, '_' and '-', that begin with a"
            " letter",
        ),
        (
            {"labels": {"team": "The Shop"}},
            "repositories[0].labels.team: Google allows values of at most 63 lower-case letters, digits, '_' and '-'",
        ),
        (
            {"labels": {"reconciler-x": "y"}},
            "repositories[0].labels.reconciler-x: keys that start with 'reconciler-' are reserved",
        ),
        ({"labels": {f"l{number}": "" for number in range(57)}}, "repositories[0].labels: at most 56 labels"),
    ],
)
def test_what_google_can_t_do_is_an_error_that_says_so(repository: Document, message: str) -> None:
    assert message in messages(document(repository))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"location": "eu"}, "registries[0].location: Google has no location 'eu': the multi-region is 'europe'"),
        (
            {"trusted_principals": ["user:eve@example.com"]},
            "registries[0].trusted_principals[0]: 'user:eve@example.com' is a person, whom no spec names: put them into a group, and"
            " write group:EMAIL",
        ),
        (
            {"trusted_principals": ["allUsers"]},
            "registries[0].trusted_principals[0]: 'allUsers' is anyone",
        ),
        (
            {"trusted_principals": ["group:a@b.c", "group:a@b.c"]},
            "registries[0].trusted_principals[1]: 'group:a@b.c' is listed twice",
        ),
    ],
)
def test_what_is_wrong_with_a_registry(fields: Document, message: str) -> None:
    assert message in messages(document(**fields))


def test_a_registry_whose_service_accounts_google_would_refuse() -> None:
    text = json.dumps(document()).replace('"images"', f'"{"a" * 26}"')
    with pytest.raises(
        SpecError, match=r"its service account would be 'a{26}-push' \(31 characters\); Google takes 6 to 30"
    ):
        parse_spec(text, model=Spec)


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ({"members": []}, "grants[0].to: names nobody: give service_account_emails, members, or project_numbers"),
        (
            {"members": ["ann@example.com"]},
            "must be a principal as Google writes it: serviceAccount:EMAIL, group:EMAIL",
        ),
        (
            {"members": ["user:ann@example.com"]},
            "grants[0].to.members[0]: 'user:ann@example.com' is a person, whom no spec names: put them into a group, and write"
            " group:EMAIL",
        ),
        (
            {"members": ["domain:example.com"]},
            "'domain:example.com' is everyone of a domain: make a group of those who need it, and write group:EMAIL",
        ),
        (
            {"members": [f"{POOL.format('acme-ci')}/attribute.repository/acme/shop"]},
            "Google names a project here by its number, and 'acme-ci' is an id; to see the number, run `gcloud projects describe"
            " acme-ci --format='value(projectNumber)'`",
        ),
        (
            {"members": ["principalSet://iam.googleapis.com/locations/global/workloadIdentityPools/x/*"]},
            "a workload identity pool is one of a project: principalSet://iam.googleapis.com/projects/NUMBER/locations/global/...",
        ),
        (
            {"members": [f"{POOL.format('1')}/attribute.repository/acme/*"]},
            "Google compares values whole: '*' can only be all of a pool (principalSet://.../*), no part of a value",
        ),
        (
            {"members": ["principal://iam.googleapis.com/bogus/subject/x"]},
            "must be a principal as Google writes it",
        ),
        (
            {"members": ["principalSet://cloudresourcemanager.googleapis.com/projects/acme-ci/type/ServiceAccount"]},
            "Google names a project here by its number, and 'acme-ci' is an id",
        ),
        (
            {"members": ["principalSet://cloudresourcemanager.googleapis.com/folders/12/type/ServiceAccount"]},
            "is of a folder or an organization, whose projects only Google knows: name each project"
            " (principalSet://cloudresourcemanager.googleapis.com/projects/NUMBER/type/ServiceAccount), or a group",
        ),
        ({"members": ["allUsers"]}, "'allUsers' is anyone; for anyone, write service_account_emails: ['*']"),
        ({"members": ["allAuthenticatedUsers"]}, "'allAuthenticatedUsers' is anyone with a Google account"),
        (
            {"service_account_emails": [ACCOUNT], "members": [f"serviceAccount:{ACCOUNT}"]},
            f"grants[0].to.members[0]: 'serviceAccount:{ACCOUNT}' is in service_account_emails too",
        ),
        (
            {"project_numbers": ["1234"]},
            "a project alone is not a principal: add allowed_service_types: [worker] or [compute]",
        ),
        (
            {"service_account_emails": [ACCOUNT], "allowed_service_types": ["compute"]},
            "compute needs project_numbers: whose nodes?",
        ),
        (
            {"service_account_emails": [ACCOUNT], "allowed_service_types": ["worker"]},
            "worker needs project_numbers: whose Cloud Run?",
        ),
    ],
)
def test_what_is_wrong_with_whom_a_grant_is_for(to: Document, message: str) -> None:
    assert any(message in item for item in messages(document(to=to))), messages(document(to=to))


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("immutable_tags", True, False),
        ("scan_on_push", True, False),
        ("retention", {"keep_last": 5}, {"keep_last": 6}),
        ("encryption", {"kms_key": KEY}, {"kms_key": f"{KEY}2"}),
        ("labels", {"team": "a"}, {"team": "b"}),
    ],
)
def test_what_is_one_on_google_cloud_can_t_differ(field: str, one: object, other: object) -> None:
    (message,) = messages(document({field: one}, {field: one}, {field: other}, layout="shared"))
    assert message.startswith(
        f"repositories[2].{field}: registry images has layout: shared: its repositories are one on Google Cloud, and {field} must be"
        " the same for all of them; that of app-0 is another"
    )
    spec(document({field: one}, {field: one}, layout="shared"))
    spec(document({field: one}, {field: other}))


def test_a_description_may_differ_in_layout_shared() -> None:
    spec(document({"description": "one"}, {"description": "other", "protect": True}, layout="shared"))


def two(first: Document, second: Document, *rows: tuple[str, str]) -> Document:
    """Two registries and repositories, each as (registry, name), without grants."""
    both = [registry(**first), registry(**second)]
    repositories = [{"name": name, "registry": where} for where, name in rows]
    return {"version": 1, "name": "t", "registries": both, "repositories": repositories}


def test_what_would_be_one_repository_on_google_cloud_is_an_error_at_both() -> None:
    where = "in the same project and location (my-project europe-west1): give one of them another name"
    rows = (("imm", "a-b"), ("imm-a", "b"), ("imm", "other"))
    assert messages(two({"name": "imm"}, {"name": "imm-a"}, *rows)) == [
        f"repositories[0].name: on the platform it is 'imm-a-b', as is repository b of registry imm-a, {where}",
        f"repositories[1].name: on the platform it is 'imm-a-b', as is repository a-b of registry imm, {where}",
    ]
    for elsewhere in ({"location": "us-central1"}, {"project": "next-project"}):
        spec(two({"name": "imm"}, {"name": "imm-a", **elsewhere}, *rows))


def test_a_repository_is_not_called_as_all_of_another_registry_are() -> None:
    rows = (("ixx", "a-b"), ("ixx-a-b", "c"), ("ixx", "other"))
    assert messages(two({"name": "ixx"}, {"name": "ixx-a-b", "layout": "shared"}, *rows)) == [
        "repositories[0].name: on the platform it is 'ixx-a-b', as is registry ixx-a-b, which has layout: shared, in the same project"
        " and location (my-project europe-west1): give one of them another name"
    ]
    spec(two({"name": "ixx"}, {"name": "ixx-a-b"}, *rows))
