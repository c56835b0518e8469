"""What users of other tools for Google Cloud reported of them, and was so here: who acts as an account, whose a member is, fresh
accounts, keys, agents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.engine.plan import Plan
from reconciler.errors import ReadFailed
from reconciler.model.access import Given
from reconciler.model.address import Address
from reconciler.model.kind import Home
from reconciler.platforms.gcp.access import READER
from reconciler.platforms.gcp.account import AccountKind, AccountSettings
from reconciler.platforms.gcp.spec import GcpRegistry
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.gcp import Fails, Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import LOCATION, PROJECT, GcpSandbox, account, key
from tests.sandbox.gcp_hands import TOKEN_CREATOR

REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
PUSH = f"projects/{PROJECT}/serviceAccounts/images-push@{PROJECT}.iam.gserviceaccount.com"
OLD = f"serviceAccount:{account('old')}"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def notes(plan: Plan) -> list[str]:
    return [note for change in plan.changes for note in change.notes]


def failures(gcp: GcpSandbox, document: Document) -> list[str]:
    return [item.message for item in gcp.carry_out(gcp.plan(document)) if item.message]


def granting(gcp: GcpSandbox, **to: Any) -> Document:
    return gcp.document("app-a", grants=({"name": "robots", "to": {"type": "gcp", **to}},))


@pytest.mark.parametrize(
    "role",
    [
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.workloadIdentityUser",
        "roles/iam.serviceAccountKeyAdmin",
        "roles/iam.serviceAccountAdmin",
        "roles/iam.serviceAccountUser",
        "roles/iam.securityAdmin",
    ],
)
def test_whoever_can_become_an_account_by_any_role_is_said_to_and_guarded(gcp: GcpSandbox, role: str) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change_policy(PUSH, lambda found: found.append({"role": role, "members": ["allUsers"]}))
    said = words(gcp.plan(gcp.document("app-a")))
    assert f"anyone can impersonate images-push, which can pull and push all images of the registry ({role} of" in said
    assert "allow_public: anyone has access" in said
    assert f"remove-iam-policy-binding images-push@{PROJECT}.iam.gserviceaccount.com" in said


CUSTOM = ("projects/my-project/roles/x", "organizations/123456789012/roles/y", "roles/iam.somethingNew")


@pytest.mark.parametrize("role", CUSTOM)
def test_what_a_role_that_is_not_known_allows_is_said_to_be_not_known_and_guarded(gcp: GcpSandbox, role: str) -> None:
    gcp.apply(gcp.document("app-a"))
    stranger = "serviceAccount:x@evil-project.iam.gserviceaccount.com"
    binding = {"role": role, "members": ["allAuthenticatedUsers", stranger]}
    gcp.estate.change_policy(PUSH, lambda found: found.append(binding))
    said = words(gcp.plan(gcp.document("app-a", guards={"allowed_accounts": ["other-project"]})))
    what = f"can do what {role} allows with images-push, which can pull and push all images of the registry"
    assert f"anyone with a Google account {what} ({role} of allAuthenticatedUsers" in said
    assert f"service account x@evil-project.iam.gserviceaccount.com {what} ({role} of {stranger}" in said
    assert "allow_public: anyone with a Google account has access (images.account.push)" in said
    assert "allowed_accounts: evil-project has access, and guards.allowed_accounts does not list it" in said


@pytest.mark.parametrize(
    ("role", "does"),
    [
        ("roles/iam.serviceAccountUser", "impersonate"),
        ("projects/my-project/roles/x", "do what projects/my-project/roles/x allows with"),
    ],
)
def test_who_can_do_something_with_an_account_gains_it_when_that_is_enabled_and_loses_it_with_it(
    gcp: GcpSandbox, role: str, does: str
) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change_policy(PUSH, lambda found: found.append({"role": role, "members": ["group:ops@example.com"]}))
    gone = gcp.plan(gcp.document(registry={"retired": True}, guards={"max_deletes": "100%"}))
    assert f"group ops@example.com can no longer {does} images-push, which can pull and push" in words(gone)
    gcp.estate.call("POST", f"{PUSH}:disable", {})
    assert f"group ops@example.com can now {does} images-push, which can pull" in words(gcp.plan(gcp.document("app-a")))


@pytest.mark.parametrize(
    "role", ["roles/iam.serviceAccountViewer", "roles/iam.securityReviewer", "of a deleted member"]
)
def test_whoever_may_only_look_at_an_account_is_not_said_to_become_it(gcp: GcpSandbox, role: str) -> None:
    gcp.apply(gcp.document("app-a"))
    member = "group:audit@example.com"
    if role == "of a deleted member":
        role, member = "projects/my-project/roles/x", "deleted:user:x@example.com?uid=123456789012345678901"
    gcp.estate.change_policy(PUSH, lambda found: found.append({"role": role, "members": [member]}))
    said = words(gcp.plan(gcp.document("app-a")))
    assert f"{role} of {member}" in said
    assert "impersonate" not in said
    assert "can do what" not in said


@pytest.mark.parametrize(
    ("role", "gained"),
    [("roles/owner", ["impersonate"]), ("roles/editor", ["impersonate"]), ("roles/viewer", []), ("roles/new", ["do what"])],
)  # fmt: skip
def test_a_basic_role_on_an_account_is_what_it_is_on_a_project(role: str, gained: list[str]) -> None:
    """Of a policy that is given to no server: the stand-in takes IAM's own roles alone."""
    at, nobody = Address.of("images", "account", "push"), AccountSettings()
    policy = {"bindings": [{"role": role, "members": ["group:ops@example.com"]}]}
    given = Given(nobody, rest=json.dumps({"policy": policy}))
    home = Home("shop", GcpRegistry(name="images", platform="gcp", project=PROJECT, location=LOCATION))
    gains, _ = AccountKind().gains_and_losses(at, Given(nobody), given, home)
    assert [
        " ".join(item.verb.split()[: len(words.split())]) for item, words in zip(gains, gained, strict=True)
    ] == gained


def test_an_account_that_is_enabled_again_gains_what_it_could_do(gcp: GcpSandbox) -> None:
    document = gcp.document("app-a", registry={"trusted_principals": ["group:ops@example.com"]})
    gcp.apply(document)
    gcp.estate.call("POST", f"{PUSH}:disable", {})
    said = words(gcp.plan(document))
    assert "disabled: true → false" in said
    assert f"service account images-push@{PROJECT}.iam.gserviceaccount.com can now pull and push all images of" in said
    assert "group ops@example.com can now impersonate images-push, which can pull and push all images of the" in said
    assert "Nobody gains" not in said
    gcp.apply(document)
    assert gcp.plan(document).changes == ()


def test_an_email_is_one_whatever_its_case(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    by_hand = {"role": READER, "members": [OLD.replace("old@", "Old@")]}
    gcp.estate.change_policy(REPOSITORY, lambda found: found.append(by_hand))
    plan = gcp.plan(granting(gcp, service_account_emails=[account("old")]))
    assert [access for change in plan.changes for access in change.gains] == []


def test_a_member_of_others_that_a_grant_names_is_said_to_become_the_spec_s(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change_policy(REPOSITORY, lambda found: found.append({"role": READER, "members": [OLD]}))
    document = granting(gcp, service_account_emails=[account("old")])
    said = (
        f"somebody else gave {READER} to service account {account('old')}: it is the spec's from the apply on, and goes"
    )
    assert notes(gcp.plan(document)) == [f"{said} with the grant"]
    gcp.apply(document)
    other = granting(gcp, service_account_emails=[account("old"), account("new")])
    assert notes(gcp.plan(other)) == []


def test_somebody_whom_others_trust_already_gains_nothing_and_is_said_to_become_the_spec_s(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    by_hand = {"role": TOKEN_CREATOR, "members": ["group:Ops@example.com"]}
    for name in ("pull", "push"):
        gcp.estate.change_policy(PUSH.replace("push", name), lambda found: found.append(by_hand))
    plan = gcp.plan(gcp.document("app-a", registry={"trusted_principals": ["group:ops@example.com"]}))
    assert [access for change in plan.changes for access in change.gains] == []
    said = f"somebody else gave {TOKEN_CREATOR} to group Ops@example.com: it is the spec's from the apply on, and goes with"
    assert notes(plan) == [f"{said} trusted_principals"] * 2


def test_a_key_that_artifact_registry_may_not_use_is_not_the_caller_s_fault(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.cloud.state.knobs.denied_keys = {key("one")["kms_key"]}
    message, *_ = failures(gcp, gcp.document({"name": "app-a", "encryption": key("one")}))
    assert "give roles/cloudkms.cryptoKeyEncrypterDecrypter on the key to Artifact Registry's own account" in message
    assert (
        "run `gcloud kms keys add-iam-policy-binding KEY --role roles/cloudkms.cryptoKeyEncrypterDecrypter --member"
        in message
    )
    assert "serviceAccount:service-NUMBER@gcp-sa-artifactregistry.iam.gserviceaccount.com`" in message
    assert "allow artifactregistry" not in message


@pytest.mark.parametrize(
    ("service", "what", "api", "email"),
    [
        ("worker", "Cloud Run's agent", "run", "service-123456789012@serverless-robot-prod.iam"),
        ("compute", "the nodes' default account", "compute", "123456789012-compute@developer"),
    ],
)
def test_an_agent_that_is_not_there_comes_with_its_api(
    gcp: GcpSandbox, stand_in: Server, service: str, what: str, api: str, email: str
) -> None:
    gcp.apply(gcp.document("app-a"))
    stand_in.cloud.state.knobs.unknown_members = {f"serviceAccount:{email}.gserviceaccount.com"}
    (message,) = failures(gcp, granting(gcp, project_numbers=["123456789012"], allowed_service_types=[service]))
    command = f"gcloud services enable {api}.googleapis.com --project 123456789012"
    assert f"{what} of project 123456789012 is there once `{command}` was run; or remove it from the grant" in message
    assert "create the account" not in message


def test_a_location_that_google_may_not_have_is_named(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.behaviours.append(Fails("ListRepositories", "INVALID_ARGUMENT", times=-1))
    with pytest.raises(ReadFailed, match="if Artifact Registry has no location europe-west1, give another: `gcloud"):
        gcp.plan(gcp.document("app-a"))
