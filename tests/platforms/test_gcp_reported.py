"""What a fresh mind found in the platform for Google, and what reading it again did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.model.address import Address
from reconciler.platforms.gcp import iam
from reconciler.platforms.gcp.access import READER, ROLES
from reconciler.platforms.gcp.iam import Binding
from reconciler.platforms.gcp.repository_settings import live_of
from tests.emulators.gcp import Fails, Server, schemas
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import LOCATION, PROJECT, GcpSandbox, account, key
from tests.sandbox.gcp_hands import TOKEN_CREATOR

REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
EMAIL = f"images-pull@{PROJECT}.iam.gserviceaccount.com"
PULL = f"projects/{PROJECT}/serviceAccounts/{EMAIL}"
THEIRS = {"action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "86400s"}}
#: with a field that the library of this day does not know
NEWER = {**THEIRS, "brandNew": "x"}


def failures(gcp: GcpSandbox, document: Document) -> list[str]:
    return [item.message for item in gcp.carry_out(gcp.plan(document)) if item.message]


def robots(gcp: GcpSandbox, *names: str, **repository: Any) -> Document:
    to = {"type": "gcp", "service_account_emails": [account(name) for name in names]}
    return gcp.document({"name": "app-a", **repository}, grants=({"name": "robots", "to": to},))


@pytest.mark.parametrize("change", [{"retention": {"untagged_days": 3}}, {"encryption": key("one")}])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_foreign_cleanup_policy_keeps_what_the_library_does_not_know(
    gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch, change: Document, dry_run: bool
) -> None:
    monkeypatch.setitem(schemas.CLEANUP_POLICY.fields, "brandNew", str)
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change(REPOSITORY, "cleanupPolicies", lambda found: {**(found or {}), "theirs": NEWER})
    gcp.estate.change(REPOSITORY, "cleanupPolicyDryRun", lambda _: dry_run)
    assert failures(gcp, gcp.document({"name": "app-a", **change}, guards={"max_deletes": "100%"})) == []
    found = gcp.estate.settings(REPOSITORY)
    assert found["cleanupPolicies"]["theirs"]["brandNew"] == "x"
    # what deletes nothing goes on deleting nothing, unless a retention of ours must run
    assert bool(found.get("cleanupPolicyDryRun")) == (dry_run and "retention" not in change)


def test_a_dry_run_of_others_that_a_retention_would_end_is_said(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change(REPOSITORY, "cleanupPolicies", lambda _: {"theirs": THEIRS})
    gcp.estate.change(REPOSITORY, "cleanupPolicyDryRun", lambda _: True)
    (change,) = gcp.plan(gcp.document({"name": "app-a", "retention": {"untagged_days": 3}})).changes
    said = "after the apply, the cleanup policy 'theirs', which is not from a spec, deletes untagged images older than 1 day"
    assert any(f"{said}: the retention of the spec ends their dry run; to remove it" in note for note in change.notes)


@pytest.mark.parametrize("calls", [0, 3, 8])
def test_a_create_whose_answer_is_lost_is_waited_for_while_it_is_carried_out(
    gcp: GcpSandbox, stand_in: Server, calls: int
) -> None:
    stand_in.cloud.state.knobs.operation_calls = calls
    stand_in.behaviours.append(Fails("CreateRepository", "drop", lost=True))
    assert failures(gcp, gcp.document("app-a")) == []
    assert gcp.plan(gcp.document("app-a")).changes == ()


def test_an_account_of_this_run_that_another_one_trusts_is_waited_for(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.cloud.state.knobs.member_refusals = 1
    document = gcp.document("app-a")
    document["registries"].append(gcp.registry("second", trusted_principals=[f"serviceAccount:{EMAIL}"]))
    assert failures(gcp, document) == []


@pytest.mark.parametrize("whom", ["push", "pull"])
def test_an_account_may_trust_the_other_one_and_itself(gcp: GcpSandbox, whom: str) -> None:
    trusted = f"serviceAccount:images-{whom}@{PROJECT}.iam.gserviceaccount.com"
    assert failures(gcp, gcp.document("app-a", registry={"trusted_principals": [trusted]})) == []


@pytest.mark.parametrize("good", [1, 2, 3, 4])
def test_an_account_that_flaps_keeps_its_notes(gcp: GcpSandbox, stand_in: Server, good: int) -> None:
    gcp.apply(gcp.document("app-a"))
    plan = gcp.plan(gcp.document("app-a", registry={"trusted_principals": ["group:admins@example.com"]}))
    stand_in.cloud.state.accounts[EMAIL].flaps = [200] * good + [404]
    gcp.carry_out(plan)
    assert "at-europe-west1" in gcp.estate.account(PULL)["description"]


def test_who_else_may_act_as_an_account_is_named_with_the_command_that_removes_it(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    other = {"role": TOKEN_CREATOR, "members": ["user:one@example.com", "user:two@example.com"]}
    gcp.estate.change_policy(PULL, lambda found: found.append(other))
    found = {item.what: item.removal for item in gcp.plan(gcp.document("app-a")).foreign}
    assert found == {
        f"{TOKEN_CREATOR} of user:{name}@example.com": (
            f"run `gcloud iam service-accounts remove-iam-policy-binding {EMAIL} --project {PROJECT} --role {TOKEN_CREATOR}"
            f" --member 'user:{name}@example.com'`"
        )
        for name in ("one", "two")
    }


class Cut:
    """Whatever is written to policies and labels after so many such writes is refused, as if the run had been killed there."""

    def __init__(self, left: int) -> None:
        self.left = left

    def before(self, call: Call) -> Answer | None:
        if not call.operation.startswith(("Get", "List")):
            self.left -= 1
        return Answer(status=400, body={"error": {"status": "CUT_OFF", "message": "x"}}) if self.left < 0 else None

    def after(self, call: Call) -> Answer | None:
        return None


def test_a_record_that_a_cut_off_run_left_makes_nobody_else_s_member_ours(gcp: GcpSandbox, stand_in: Server) -> None:
    """The spec takes the change back: all is as it was applied, but for the record of a member that never came."""
    first, second = robots(gcp, "deploy"), robots(gcp, "deploy", "batch-1")
    gcp.apply(first)
    good = gcp.state()
    cut = Cut(1)
    stand_in.behaviours.append(cut)
    gcp.carry_out(gcp.plan(second))
    stand_in.behaviours.clear()
    assert gcp.state() != good
    gcp.apply(first)
    assert gcp.state() == good
    assert gcp.plan(first).changes == ()
    stranger = f"serviceAccount:{account('batch-1')}"
    gcp.estate.change_policy(REPOSITORY, lambda found: found.append({"role": READER, "members": [stranger]}))
    plan = gcp.plan(first)
    assert plan.changes == ()
    assert [item.what for item in plan.foreign] == [f"{READER} of {stranger}"]


def test_a_binding_that_says_more_than_is_known_here_is_somebody_else_s() -> None:
    member = f"serviceAccount:{account('deploy')}"
    odd = {"role": READER, "members": [member], "until": "June"}
    ours = Binding(READER, member)
    assert iam.ours({"bindings": [odd]}, ROLES, {ours.hash}) == ()
    assert iam.without({"bindings": [odd]}, ROLES, {ours.hash})["bindings"] == [odd]
    written = iam.merged({"etag": "x", "bindings": [odd]}, ROLES, {ours.hash}, [ours])
    assert written["bindings"] == [odd, {"role": READER, "members": [member]}]
    assert iam.joined({"bindings": [odd]}, written)["bindings"] == written["bindings"]


def test_a_word_for_scanning_that_is_not_known_here_is_shown_and_no_inherited(gcp: GcpSandbox) -> None:
    found = {"name": REPOSITORY, "format": "DOCKER", "vulnerabilityScanningConfig": {"enablementConfig": "HOURLY"}}
    settings = live_of(Address("images.repository.app-a"), found).settings
    assert (settings.scan_on_push, settings.scanning) == (True, "HOURLY")
    said = {"enablementConfig": "ENABLEMENT_CONFIG_UNSPECIFIED"}
    known = live_of(Address("images.repository.app-a"), found | {"vulnerabilityScanningConfig": said})
    assert known.settings.scanning == ""


@dataclass
class LostThen:
    """The next SetIamPolicy is carried out and its answer lost; what follows of these operations is refused, once each."""

    refused: dict[str, str]
    lost: bool = False

    def before(self, call: Call) -> Answer | None:
        if not self.lost or call.operation not in self.refused:
            return None
        return Answer(error=self.refused.pop(call.operation), body={"message": "no"})

    def after(self, call: Call) -> Answer | None:
        if self.lost or call.operation != "SetIamPolicy":
            return None
        self.lost = True
        return Answer(error="UNAVAILABLE", body={"message": "The service is currently unavailable."})


@pytest.mark.parametrize(
    "refused",
    [
        {"SetIamPolicy": "PERMISSION_DENIED"},
        {"SetIamPolicy": "INVALID_ARGUMENT"},
        {"SetIamPolicy": "NOT_FOUND"},
        {"GetIamPolicy": "PERMISSION_DENIED"},
    ],
)
def test_a_refusal_after_a_lost_answer_makes_no_member_of_ours_a_stranger(
    gcp: GcpSandbox, stand_in: Server, refused: dict[str, str]
) -> None:
    gcp.apply(robots(gcp, "nightly", "release"))
    behaviour = LostThen(dict(refused))
    plan = gcp.plan(robots(gcp, "nightly", "deploy"))
    stand_in.behaviours.append(behaviour)
    assert any("no" in item.message for item in gcp.carry_out(plan))
    assert (behaviour.lost, behaviour.refused) == (True, {})
    stand_in.behaviours.clear()
    assert f"serviceAccount:{account('deploy')}" in str(gcp.estate.policy(REPOSITORY)), "it was carried out"
    document = robots(gcp, "nightly")
    assert gcp.plan(document).foreign == ()
    gcp.apply(document)
    assert account("deploy") not in str(gcp.estate.policy(REPOSITORY))
    assert gcp.plan(document).changes == ()


def test_a_refusal_alone_leaves_the_record_as_it_was(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(robots(gcp, "nightly"))
    before = gcp.estate.settings(REPOSITORY)["labels"]
    stand_in.behaviours.append(Fails("SetIamPolicy", "PERMISSION_DENIED", times=-1))
    assert failures(gcp, robots(gcp, "deploy"))
    assert gcp.estate.settings(REPOSITORY)["labels"] == before
