"""What users of other tools for Google Cloud have reported: disabled accounts, members in other forms, fresh accounts."""

from __future__ import annotations

import pytest

from reconciler import Plan
from reconciler.render.change_item import change_item
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.gcp import LOCATION, PROJECT, GcpSandbox

REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
PUSH = f"images-push@{PROJECT}.iam.gserviceaccount.com"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def verbs(found: object) -> set[tuple[str, str]]:
    assert isinstance(found, tuple)
    return {(item.principal.label, item.verb) for item in found}


@pytest.mark.parametrize("trusted", [[], ["group:admins@example.com"]])
def test_who_enables_an_account_gives_back_all_that_it_could_do(gcp: GcpSandbox, trusted: list[str]) -> None:
    """hashicorp/terraform-provider-google: `disabled` of google_service_account; it is how a leaked account is stopped."""
    document = gcp.document("app-a", registry={"trusted_principals": trusted})
    gcp.apply(document)
    gcp.estate.call("POST", f"projects/{PROJECT}/serviceAccounts/{PUSH}:disable")
    plan = gcp.plan(document)
    (change,) = plan.changes
    all_of_it = "pull and push all images of the registry"
    acting = f"impersonate images-push, which can {all_of_it}"
    assert verbs(change.gains) == {(f"service account {PUSH}", all_of_it)} | {
        (f"group {member.partition(':')[2]}", acting) for member in trusted
    }
    assert change.losses == ()
    said = words(plan)
    assert f"+ images: service account {PUSH} can now {all_of_it}" in said
    assert f"by hand: service account {PUSH} can no longer {all_of_it}" in change_item(change).by_hand
    assert "it was disabled by hand, perhaps since its tokens leaked" in said
    assert "Nobody gains or loses access" not in said
    gcp.apply(document)
    assert gcp.plan(document).changes == ()


def test_whom_a_disabled_account_would_trust_gains_by_the_apply_that_enables_it(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a", registry={"trusted_principals": ["group:admins@example.com"]}))
    gcp.estate.call("POST", f"projects/{PROJECT}/serviceAccounts/{PUSH}:disable")
    plan = gcp.plan(gcp.document("app-a", registry={"trusted_principals": ["group:ci@example.com"]}))
    (change,) = [item for item in plan.changes if item.address == "images.account.push"]
    assert {label for label, _ in verbs(change.gains)} == {f"service account {PUSH}", "group ci@example.com"}
    assert change.losses == (), "whom nobody believes loses nothing"


def test_a_disabled_account_that_is_deleted_gives_and_takes_nothing(gcp: GcpSandbox) -> None:
    document = gcp.document("app-a", registry={"trusted_principals": ["group:admins@example.com"]})
    gcp.apply(document)
    gcp.estate.call("POST", f"projects/{PROJECT}/serviceAccounts/{PUSH}:disable")
    (change,) = [item for item in gcp.plan(document, destroy=True).changes if item.address == "images.account.push"]
    assert (change.gains, change.losses) == ((), ())
