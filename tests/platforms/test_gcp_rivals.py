"""What users of other tools for Google Cloud have reported: disabled accounts, members in other forms, fresh accounts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from reconciler import Plan
from reconciler.platforms.gcp.access import READER
from reconciler.render.change_item import change_item
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.gcp import Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import LOCATION, PROJECT, GcpSandbox
from tests.sandbox.gcp_hands import TOKEN_CREATOR

CI = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci"
GKE = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/p1.svc.id.goog"
OLD = "serviceAccount:old@other-project.iam.gserviceaccount.com"
GONE = "deleted:serviceAccount:gone@other-project.iam.gserviceaccount.com?uid=123"
REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
PUSH = f"images-push@{PROJECT}.iam.gserviceaccount.com"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def granted(gcp: GcpSandbox, *members: str) -> Document:
    return gcp.document("app-a", grants=({"name": "old", "to": {"type": "gcp", "members": list(members)}},))


def give(gcp: GcpSandbox, *members: str, name: str = REPOSITORY, role: str = READER) -> None:
    """By hand: into the binding of the role if there is one."""

    def add(bindings: list[Document]) -> None:
        there = next((item for item in bindings if item["role"] == role), None)
        if there is None:
            there = {"role": role, "members": []}
            bindings.append(there)
        there["members"] += members

    gcp.estate.change_policy(name, add)


def members_of(gcp: GcpSandbox, name: str = REPOSITORY, role: str = READER) -> list[str]:
    return [one for item in gcp.estate.policy(name)["bindings"] if item["role"] == role for one in item["members"]]


@dataclass
class Unknown:
    """The first `times` calls of an operation on an account, once it was made, find it not, as IAM says that of fresh accounts."""

    operation: str
    status: str
    times: int = 2
    everything: bool = False
    made: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def before(self, call: Call) -> Answer | None:
        email = str(call.body["path"]).rpartition("/")[2].partition(":")[0]
        known = not self.everything and email not in self.made
        if call.service != "iam" or call.operation != self.operation or known or len(self.refused) >= self.times:
            return None
        self.refused.append(email)
        # hashicorp/terraform-provider-google#15042
        denied = "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist)."
        words = denied if self.status == "PERMISSION_DENIED" else "Unknown service account"
        return Answer(error=self.status, body={"message": words})

    def after(self, call: Call) -> Answer | None:
        if call.operation == "CreateServiceAccount":
            self.made.add(f"{call.body['json']['accountId']}@{PROJECT}.iam.gserviceaccount.com")
        return None


@dataclass
class CutOff:
    """From the first call of an operation on nothing that changes anything gets through, as if the run had been killed."""

    operation: str
    over: bool = False

    def before(self, call: Call) -> Answer | None:
        self.over = self.over or call.operation == self.operation
        if not self.over or call.operation.startswith(("Get", "List")):
            return None
        return Answer(status=400, body={"error": {"status": "CUT_OFF", "message": "killed"}})

    def after(self, call: Call) -> Answer | None:
        return None


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


def test_a_dead_member_of_others_stays_whoever_of_its_name_is_granted_and_no_longer(gcp: GcpSandbox) -> None:
    """hashicorp/terraform-provider-google#7278: an undelete gives it back what it had."""
    gcp.apply(gcp.document("app-a"))
    give(gcp, GONE)
    successor = "serviceAccount:gone@other-project.iam.gserviceaccount.com"
    gcp.apply(granted(gcp, successor))
    assert {GONE, successor} <= set(members_of(gcp))
    plan = gcp.plan(granted(gcp, successor))
    assert plan.changes == ()
    assert [item.what for item in plan.kept] == [f"{READER} of {GONE}"]
    for document in (granted(gcp, successor, OLD), gcp.document("app-a")):
        gcp.apply(document)
        assert GONE in members_of(gcp)
    assert successor not in members_of(gcp)


@pytest.mark.parametrize("operation", ["SetIamPolicy", "UpdateRepository"])
def test_a_dead_member_of_others_stays_when_the_run_that_names_its_successor_is_cut_off(
    gcp: GcpSandbox, stand_in: Server, operation: str
) -> None:
    successor = "serviceAccount:gone@other-project.iam.gserviceaccount.com"
    gcp.apply(gcp.document("app-a"))
    give(gcp, GONE)
    plan = gcp.plan(granted(gcp, successor))
    cut = CutOff(operation)
    stand_in.behaviours.append(cut)
    gcp.carry_out(plan)
    stand_in.behaviours.clear()
    assert cut.over
    plan = gcp.plan(granted(gcp, successor))
    assert [item.what for item in plan.kept] == [f"{READER} of {GONE}"]
    gcp.apply(granted(gcp, successor))
    assert {GONE, successor} <= set(members_of(gcp))
    assert gcp.plan(granted(gcp, successor)).changes == ()


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_dead_principal_whom_others_trusted_stays_when_its_successor_is_trusted(
    gcp: GcpSandbox, stand_in: Server, cut_off: bool
) -> None:
    successor = "serviceAccount:gone@other-project.iam.gserviceaccount.com"
    gcp.apply(gcp.document("app-a"))
    push = f"projects/{PROJECT}/serviceAccounts/{PUSH}"
    give(gcp, GONE, name=push, role=TOKEN_CREATOR)
    document = gcp.document("app-a", registry={"trusted_principals": [successor]})
    if cut_off:
        plan = gcp.plan(document)
        stand_in.behaviours.append(CutOff("SetIamPolicy"))
        gcp.carry_out(plan)
        stand_in.behaviours.clear()
    gcp.apply(document)
    assert {GONE, successor} <= set(members_of(gcp, push, TOKEN_CREATOR))
    plan = gcp.plan(document)
    assert plan.changes == ()
    assert [item.what for item in plan.kept] == [f"{TOKEN_CREATOR} of {GONE}"]


def test_a_dead_member_of_ours_goes_with_the_next_write(gcp: GcpSandbox) -> None:
    successor = "serviceAccount:gone@other-project.iam.gserviceaccount.com"
    gcp.apply(granted(gcp, successor))

    def die(bindings: list[Document]) -> None:
        for item in bindings:
            item["members"] = [GONE if member == successor else member for member in item["members"]]

    gcp.estate.change_policy(REPOSITORY, die)
    (change,) = gcp.plan(granted(gcp, successor)).changes
    assert any("is still a member; the next write removes it" in note for note in change.notes)
    gcp.apply(granted(gcp, successor))
    assert GONE not in members_of(gcp)


def test_whom_others_gave_access_is_said_to_become_the_spec_s(gcp: GcpSandbox) -> None:
    """hashicorp/terraform-provider-google#9510: what others gave goes when the grant does."""
    gcp.apply(gcp.document("app-a"))
    give(gcp, OLD)
    plan = gcp.plan(granted(gcp, OLD))
    (change,) = plan.changes
    assert change.notes == (
        f"somebody else gave {READER} to service account old@other-project.iam.gserviceaccount.com: it is the spec's from the apply"
        " on, and goes with the grant",
    )
    assert (change.gains, plan.kept) == ((), ())
    gcp.apply(granted(gcp, OLD))
    (change,) = gcp.plan(gcp.document("app-a")).changes
    assert verbs(change.losses) == {("service account old@other-project.iam.gserviceaccount.com", "pull")}


def test_whom_others_let_impersonate_an_account_becomes_the_spec_s_too(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    give(gcp, OLD, name=f"projects/{PROJECT}/serviceAccounts/{PUSH}", role=TOKEN_CREATOR)
    plan = gcp.plan(gcp.document("app-a", registry={"trusted_principals": [OLD]}))
    (push,) = [item for item in plan.changes if item.address == "images.account.push"]
    assert any(f"somebody else gave {TOKEN_CREATOR} to service account old@" in note for note in push.notes)
    assert (push.gains, plan.kept) == ((), ())


def test_the_case_of_an_email_makes_nobody_somebody_else(gcp: GcpSandbox) -> None:
    """GoogleCloudPlatform/magic-modules#1957."""
    gcp.apply(gcp.document("app-a"))
    other = OLD.replace("old@other", "Old@Other")
    give(gcp, other, "group:Devs@Example.com")
    plan = gcp.plan(granted(gcp, OLD, "group:devs@example.com"))
    (change,) = plan.changes
    assert (change.gains, change.losses, plan.kept) == ((), (), ())
    gcp.apply(granted(gcp, OLD, "group:devs@example.com"))
    assert {other, "group:Devs@Example.com"} <= set(members_of(gcp))
    assert OLD not in members_of(gcp)
    gcp.apply(granted(gcp, OLD, "group:devs@example.com", "group:ops@example.com"))
    assert {other, "group:Devs@Example.com", "group:ops@example.com"} <= set(members_of(gcp)), "kept as it is written"
    assert gcp.plan(granted(gcp, OLD, "group:devs@example.com", "group:ops@example.com")).changes == ()
    gcp.apply(gcp.document("app-a"))
    assert not {other, "group:Devs@Example.com", "group:ops@example.com"} & set(members_of(gcp))


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "NOT_FOUND"])
@pytest.mark.parametrize("trusted", [[], ["group:admins@example.com"]])
@pytest.mark.parametrize("operation", ["GetServiceAccount", "GetIamPolicy", "SetIamPolicy", "PatchServiceAccount"])
def test_an_account_of_this_run_that_iam_does_not_know_yet_is_waited_for(
    gcp: GcpSandbox, stand_in: Server, operation: str, trusted: list[str], status: str
) -> None:
    """GoogleCloudPlatform/magic-modules#8815: 403 as well as 404."""
    document = gcp.document("app-a", registry={"trusted_principals": trusted})
    unknown = Unknown(operation, status)
    plan = gcp.plan(document)
    stand_in.behaviours.append(unknown)
    assert [item.message for item in gcp.carry_out(plan) if item.message] == []
    assert bool(unknown.refused) == (operation != "SetIamPolicy" or bool(trusted))
    assert gcp.plan(document).changes == ()


@pytest.mark.parametrize("status", ["PERMISSION_DENIED", "NOT_FOUND"])
def test_an_account_that_was_there_before_is_not_waited_for(gcp: GcpSandbox, stand_in: Server, status: str) -> None:
    gcp.apply(gcp.document("app-a"))
    plan = gcp.plan(gcp.document("app-a", registry={"trusted_principals": ["group:admins@example.com"]}))
    unknown = Unknown("SetIamPolicy", status, times=99, everything=True)
    stand_in.behaviours.append(unknown)
    assert len([item for item in gcp.carry_out(plan) if item.message]) == 2
    assert len(unknown.refused) == 2, "each account once"


def test_a_fresh_account_that_flaps_with_403_is_believed_in_the_end(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.cloud.state.knobs.flaps = (200, 403, 200, 404, 403, 403)
    document = gcp.document("app-a")
    gcp.apply(document)
    assert gcp.plan(document).changes == ()


@pytest.mark.parametrize(
    "member",
    [
        f"principalSet://{GKE}/namespace/shop",
        f"principalSet://{GKE}/kubernetes.cluster/https://container.googleapis.com/v1/projects/p1/locations/l/clusters/c",
        f"principal://{GKE}/kubernetes.serviceaccount.uid/7d3e-11",
        f"principal://{GKE}/subject/ns/shop/sa/cart",
        f"principalSet://{CI}/attribute.level2/x",
        "principalSet://cloudresourcemanager.googleapis.com/projects/42/type/ServiceAccount",
        "serviceAccount:acme.example.com@appspot.gserviceaccount.com",
    ],
)
def test_members_of_google_s_own_pages_are_taken(gcp: GcpSandbox, member: str) -> None:
    """https://cloud.google.com/iam/docs/principal-identifiers"""
    document = granted(gcp, member)
    gcp.apply(document)
    assert member in members_of(gcp)
    plan = gcp.plan(document)
    assert (plan.changes, plan.kept) == ((), ())
