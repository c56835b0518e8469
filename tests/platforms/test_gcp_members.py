"""Who members of Google's policies are, which include which, and what of a policy is ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.access import Given
from reconciler.model.address import Address
from reconciler.model.kind import Home
from reconciler.platforms.gcp import cleanup, description, iam, labels, members, record
from reconciler.platforms.gcp.access import READER, ROLES, WRITER, AccessKind, AccessSettings
from reconciler.platforms.gcp.iam import Binding
from reconciler.spec.repository import Retention

AT = Address("images.access.web")
POOL = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"
#: https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#principal-id-examples
GKE = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/p1.svc.id.goog"
SHOP = f"principalSet://{POOL}/attribute.repository/acme/shop"
#: a deleted one of a name that is ours counts as ours: its hash has no unique id
DEAD = "deleted:serviceAccount:old@other-project.iam.gserviceaccount.com?uid=123"
SA = "serviceAccount:ci@other-project.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("member", "label", "account", "public"),
    [
        (SA, "service account ci@other-project.iam.gserviceaccount.com", "other-project", False),
        ("serviceAccount:x@p.example.com.iam.gserviceaccount.com", None, "example.com:p", False),
        (members.worker("42"), "Cloud Run of project 42", "42", False),
        (members.compute("42"), "the nodes' default service account of project 42", "42", False),
        ("serviceAccount:p1.svc.id.goog[ns/ksa]", "Kubernetes service account ns/ksa of project p1", "p1", False),
        ("group:dev@example.com", "group dev@example.com", "example.com", False),
        (SHOP, "identities with repository acme/shop of pool github of project 123456789012", "123456789012", False),
        (f"principal://{POOL}/subject/me", "identity me of pool github of project 123456789012", "123456789012", False),
        (f"principalSet://{POOL}/*", "every identity of pool github of project 123456789012", "123456789012", False),
        (
            "principalSet://cloudresourcemanager.googleapis.com/projects/42/type/ServiceAccount",
            "every service account of project 42",
            "42",
            False,
        ),
        (
            f"principalSet://{GKE}/namespace/shop",
            "identities with namespace shop of pool p1.svc.id.goog of project 123456789012",
            "123456789012",
            False,
        ),
        ("allUsers", "anyone", "", True),
        ("allAuthenticatedUsers", "anyone with a Google account", "", True),
    ],
)
def test_a_member_in_words(member: str, label: str | None, account: str, public: bool) -> None:
    found = members.principal(member)
    assert (label or found.label, found.account, found.public) == (found.label, account, public)


def test_the_emails_of_a_domain_s_project_and_the_project_of_an_email_agree() -> None:
    for project in ("acme-images", "example.com:acme"):
        assert members.principal(f"serviceAccount:pull@{members.domain_of(project)}").account == project


def given_by(*bindings: dict[str, Any], ours: tuple[Binding, ...] = ()) -> Given:
    return Given(AccessSettings(ours), json.dumps({"bindings": list(bindings)}) if bindings else "")


def gains(before: Given, after: Given) -> set[tuple[str, str, bool]]:
    found, _ = AccessKind().gains_and_losses(AT, before, after, Home("tests"))
    return {(item.principal.label, item.verb, item.may) for item in found}


def test_who_could_do_it_as_one_of_many_gains_nothing() -> None:
    own = given_by(ours=(Binding(READER, SHOP),))
    whole = {"role": READER, "members": [f"principalSet://{POOL}/*"]}
    assert gains(given_by(whole), own) == set()
    assert gains(given_by(), own) == {(members.principal(SHOP).label, "pull", False)}
    assert gains(given_by(ours=(Binding(READER, SHOP),)), given_by(whole)) == {
        ("every identity of pool github of project 123456789012", "pull", False)
    }
    assert gains(given_by({"role": READER, "members": ["allUsers"]}), own) == set()
    account = given_by(ours=(Binding(WRITER, SA),))
    assert {
        verb for _, verb, _ in gains(given_by({"role": READER, "members": ["allAuthenticatedUsers"]}), account)
    } == {"push"}


@pytest.mark.parametrize("member", [f"principalSet://{GKE}/namespace/shop", f"principalSet://{GKE}/*"])
def test_an_account_of_kubernetes_is_one_of_its_namespace_and_of_its_pool(member: str) -> None:
    one = given_by(ours=(Binding(READER, f"principal://{GKE}/subject/ns/shop/sa/cart"),))
    assert gains(given_by({"role": READER, "members": [member]}), one) == set()
    other = given_by(ours=(Binding(READER, f"principal://{GKE}/subject/ns/other/sa/cart"),))
    assert bool(gains(given_by({"role": READER, "members": [member]}), other)) == (not member.endswith("*"))
    uid = given_by(ours=(Binding(READER, f"principal://{GKE}/kubernetes.serviceaccount.uid/7d3e"),))
    assert bool(gains(given_by({"role": READER, "members": [member]}), uid)) == (not member.endswith("*"))


def test_a_condition_may_hold_or_not() -> None:
    conditional = {"role": READER, "members": [SA], "condition": {"title": "until June", "expression": "x"}}
    (gained,) = gains(given_by(), given_by(conditional))
    assert gained[1:] == ("pull", True)
    assert gains(given_by({"role": READER, "members": [SA]}), given_by(conditional)) == set()
    assert len(gains(given_by(conditional), given_by(ours=(Binding(READER, SA),)))) == 1


MEMBERS = st.sampled_from([SA, SHOP, "allUsers", "group:Dev@Example.com", DEAD, "user:a@example.com"])
BINDINGS = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from([*ROLES, "roles/artifactregistry.admin", "projects/p/roles/x"]),
            "members": st.lists(MEMBERS, min_size=1, unique=True),
        },
        optional={"condition": st.just({"title": "t", "expression": "e"})},
    ),
    max_size=5,
)
OURS = st.lists(st.builds(Binding, st.sampled_from(ROLES), st.sampled_from([SA, SHOP, "allUsers"])), unique=True)


def flat(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (item["role"], member, str(item.get("condition")))
        for item in iam.bindings_of(document)
        for member in item["members"]
    }


@given(BINDINGS, OURS, OURS)
def test_a_write_takes_what_is_recorded_and_nothing_else(
    found: list[dict[str, Any]], before: list[Binding], after: list[Binding]
) -> None:
    document = {"etag": "ACAB", "auditConfigs": [{"service": "x"}], "bindings": found}
    recorded = {item.hash for item in before}
    written = iam.merged(document, ROLES, recorded, after)
    theirs = flat(iam.without(document, ROLES, recorded))
    wanted = {(item.role, item.member, "None") for item in after}
    # a member that others had put there is not put there twice
    assert {(role, members.normal(member), condition) for role, member, condition in flat(written)} == {
        (role, members.normal(member), condition) for role, member, condition in theirs | wanted
    }
    assert theirs <= flat(written)
    assert (written["etag"], written["auditConfigs"]) == ("ACAB", [{"service": "x"}])
    assert iam.ours(written, ROLES, {item.hash for item in after}) == tuple(sorted(set(after)))
    assert iam.same(written, iam.merged(written, ROLES, {item.hash for item in after}, after))
    if any(item.get("condition") for item in iam.bindings_of(written)):
        assert written["version"] == 3


@given(st.sets(st.text(min_size=1, max_size=4), max_size=60))
def test_a_record_is_read_as_it_was_written(words: set[str]) -> None:
    hashes = {record.hash_of(word) for word in words}
    packed = record.packed(labels.ACCESS, hashes)
    assert record.unpacked(labels.ACCESS, {**packed, "team": "a", "reconciler-access-x": "a" * 7}) == hashes
    assert len(packed) == record.labels_for(len(hashes))
    assert all(len(value) <= 63 for value in packed.values())
    assert record.parted(record.joined(hashes)) == hashes


def test_a_description_keeps_what_stood_there() -> None:
    texts = {"reconciler-owner": "shop", "reconciler-at-europe-west1": "v1-0123456789abcdef"}
    for before in ("", "made by hand", "x | y", "reconcile: no"):
        for behind in (
            "",
            " | used by the billing job, ask ops ticket=77",
            " | reconciler: x",
            " at-EU=1 at-=x",
            "  owner=me",
        ):
            said = description.parsed(description.written(texts, before, behind))
            assert (dict(said.texts), said.before, said.behind) == (texts, before, behind)
    assert description.parsed("made by hand").texts == {}
    assert description.too_long("é" * 128) is None
    assert "258 bytes" in (description.too_long("é" * 129) or "")


@pytest.mark.parametrize(
    ("retention", "count"),
    [
        (Retention(untagged_days=7), 1),
        (Retention(untagged_days=7, keep_tags=("v*",)), 1),
        (Retention(keep_last=5), 2),
        (Retention(keep_last=5, untagged_days=7), 2),
        (Retention(keep_last=5, keep_tags=("v*", "release-*")), 3),
        (Retention(keep_last=5, keep_tags=("*",)), 3),
    ],
)
def test_retention_is_at_most_three_policies_which_say_it_back(retention: Retention, count: int) -> None:
    policies = cleanup.of_retention(retention)
    assert len(cleanup.written(policies)) == count
    kept = cleanup.kept(policies)
    assert kept is not None
    assert kept.keep_last == retention.keep_last
    assert cleanup.ours(cleanup.written(policies)) == policies


def test_a_policy_is_compared_by_what_it_means() -> None:
    """As gcloud writes it: evidence/gcp/gcloud-528-requests.jsonl."""
    ours = cleanup.of_retention(Retention(untagged_days=14))
    said = {"action": "Delete", "condition": {"tagState": "untagged", "olderThan": "1209600.0s"}}
    assert cleanup.ours({cleanup.UNTAGGED: {**said, "id": cleanup.UNTAGGED}, "theirs": said}) == ours
    assert cleanup.foreign({cleanup.UNTAGGED: said, "theirs": said}) == {"theirs": said}
    assert cleanup.shown_foreign({"theirs": said}) == ["'theirs' (delete untagged images older than 14 days)"]
