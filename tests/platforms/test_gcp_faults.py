"""What Google does to a run: calls that fail, answers that are lost, other writers, refusals; and what is said of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import httpx
import pytest

from reconciler import Plan
from reconciler.errors import PlatformError, ReadFailed
from reconciler.platforms.gcp.access import READER
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.gcp import RECORDED_FLAPS, Fails, FailsOften, Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import GcpSandbox

REPOSITORY = "projects/my-project/locations/europe-west1/repositories/images-app-a"
STRANGER = "serviceAccount:stranger@strangers.iam.gserviceaccount.com"
MEMBERS = [f"serviceAccount:robot-{number}@strangers.iam.gserviceaccount.com" for number in range(12)]


def document_of(gcp: GcpSandbox, *members: str, **registry: Any) -> Document:
    to = {"type": "gcp", "members": list(members or MEMBERS[:2])}
    return gcp.document(
        {"name": "app-a", "labels": {"team": "shop"}, "retention": {"keep_last": 3}},
        "app-b",
        grants=({"name": "robots", "to": to},),
        registry={"trusted_principals": [MEMBERS[0]], **registry},
        guards={"max_deletes": "100%"},
    )


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def members_of(gcp: GcpSandbox, role: str = READER) -> list[str]:
    """Who has the role on app-a without a condition."""
    return [
        member
        for item in gcp.estate.policy(REPOSITORY).get("bindings", [])
        if item["role"] == role and "condition" not in item
        for member in item["members"]
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_third_of_all_calls_failing_still_converges(gcp: GcpSandbox, stand_in: Server, seed: int) -> None:
    document = document_of(gcp)
    often = FailsOften(seed)
    stand_in.behaviours.append(often)
    gcp.apply(document)
    gcp.apply(document_of(gcp, *MEMBERS[1:4]))
    assert often.failed > 10
    stand_in.behaviours.clear()
    plan = gcp.plan(document_of(gcp, *MEMBERS[1:4]))
    assert (plan.changes, plan.foreign) == ((), ())


@pytest.mark.parametrize(
    "operation",
    [
        *("CreateServiceAccount", "PatchServiceAccount", "CreateRepository", "UpdateRepository", "SetIamPolicy"),
        *("DeleteRepository", "DeleteServiceAccount"),
    ],
)
def test_a_lost_answer_changes_nothing_of_what_comes_of_it(gcp: GcpSandbox, stand_in: Server, operation: str) -> None:
    document = document_of(gcp)
    gcp.apply(document)
    good = gcp.state()
    gcp.reset()
    for wishes in ({}, {"destroy": True}, {}):
        stand_in.behaviours.append(Fails(operation, "drop", times=2, lost=True))
        gcp.apply(document, **wishes)
        stand_in.behaviours.clear()
    assert gcp.state() == good
    assert gcp.plan(document).foreign == ()


@dataclass
class CutOff:
    """After so many calls that write nothing gets through any more, as if the run had been killed there."""

    left: int
    cut: bool = field(default=False)

    def before(self, call: Call) -> Answer | None:
        if not self.cut and not call.operation.startswith(("Get", "List")):
            self.left -= 1
            self.cut = self.left < 0
        return Answer(status=400, body={"error": {"status": "CUT_OFF", "message": "killed"}}) if self.cut else None

    def after(self, call: Call) -> Answer | None:
        return None


def test_a_run_that_is_cut_off_at_any_call_leaves_no_member_that_nobody_owns(gcp: GcpSandbox, stand_in: Server) -> None:
    first, second = document_of(gcp, *MEMBERS[:3]), document_of(gcp, *MEMBERS[2:5])
    calls = 0
    for calls in range(60):
        gcp.reset()
        gcp.apply(first)
        cut = CutOff(calls)
        stand_in.behaviours.append(cut)
        gcp.carry_out(gcp.plan(second))
        stand_in.behaviours.clear()
        plan = gcp.plan(second)
        assert [item.what for item in plan.foreign] == [], calls
        assert gcp.plan(first).foreign == (), calls
        gcp.apply(second)
        assert gcp.plan(second).changes == ()
        if not cut.cut:
            break
    assert 4 < calls < 59, "each call was cut off once"


def test_a_first_run_that_is_cut_off_at_any_call_converges(gcp: GcpSandbox, stand_in: Server) -> None:
    document = document_of(gcp)
    for calls in range(60):
        gcp.reset()
        cut = CutOff(calls)
        stand_in.behaviours.append(cut)
        gcp.carry_out(gcp.plan(document))
        stand_in.behaviours.clear()
        assert gcp.plan(document).foreign == (), calls
        gcp.apply(document)
        assert gcp.plan(document).changes == ()
        if not cut.cut:
            return
    pytest.fail("it never came to its end")


def test_two_writers_of_one_policy_lose_nothing_in_200_rounds(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(document_of(gcp, MEMBERS[0]))
    stand_in.calls.clear()
    rounds = 200
    lost: list[int] = []

    def other() -> None:
        with httpx.Client(base_url=stand_in.url) as client:
            for number in range(rounds):
                while True:
                    policy = client.get(f"/v1/{REPOSITORY}:getIamPolicy").json()
                    mine = {"role": "roles/artifactregistry.admin", "members": [f"user:{number}@example.com"]}
                    policy.setdefault("bindings", []).append(mine)
                    answer = client.post(f"/v1/{REPOSITORY}:setIamPolicy", json={"policy": policy})
                    if answer.status_code == 200:
                        break
                    lost.append(number)

    thread = Thread(target=other)
    thread.start()
    turns = 0
    while thread.is_alive() or turns < 4:
        gcp.carry_out(gcp.plan(document_of(gcp, MEMBERS[turns % 2])))
        turns += 1
    thread.join()
    gcp.apply(document_of(gcp, MEMBERS[0]))
    there = {member for item in gcp.estate.policy(REPOSITORY)["bindings"] for member in item["members"]}
    assert {f"user:{number}@example.com" for number in range(rounds)} <= there
    assert {MEMBERS[0]} <= there
    assert MEMBERS[1] not in there
    sent = [call.body["json"]["policy"] for call in stand_in.calls if call.operation == "SetIamPolicy"]
    assert sent
    assert all(policy.get("etag") for policy in sent)


def test_the_record_stands_before_the_policy_is_written(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(document_of(gcp, *MEMBERS[:2]))
    stand_in.calls.clear()
    gcp.apply(document_of(gcp, *MEMBERS[1:3]))
    writes = [call for call in stand_in.calls if call.operation in ("UpdateRepository", "SetIamPolicy")]
    of_app = [call for call in writes if "images-app-a" in call.body["path"]]
    assert [call.operation for call in of_app] == ["UpdateRepository", "SetIamPolicy", "UpdateRepository"]
    both, after = (call.body["json"]["labels"]["reconciler-access"] for call in (of_app[0], of_app[2]))
    # pull, push and three robots; then two
    assert (len(both), len(after)) == (5 * 7, 4 * 7)


def test_a_member_by_hand_is_reported_with_the_command_that_removes_it(gcp: GcpSandbox) -> None:
    document = document_of(gcp)
    gcp.apply(document)
    gcp.estate.change_policy(REPOSITORY, lambda found: found.append({"role": READER, "members": [STRANGER]}))
    plan = gcp.plan(document)
    assert plan.changes == ()
    (foreign,) = plan.foreign
    assert foreign.what == f"{READER} of {STRANGER}"
    assert foreign.removal == (
        "run `gcloud artifacts repositories remove-iam-policy-binding images-app-a --location europe-west1 --project my-project"
        f" --role {READER} --member '{STRANGER}'`"
    )
    gcp.apply(document_of(gcp, MEMBERS[5]))
    assert STRANGER in members_of(gcp)


def test_a_deleted_member_of_ours_goes_with_the_next_write_and_others_stay(gcp: GcpSandbox) -> None:
    document = document_of(gcp)
    gcp.apply(document)
    dead, theirs = f"deleted:{MEMBERS[0]}?uid=123", f"deleted:{STRANGER}?uid=456"

    def delete(bindings: list[Document]) -> None:
        (item,) = [one for one in bindings if one["role"] == READER]
        item["members"] = [*(one for one in item["members"] if one != MEMBERS[0]), dead, theirs]

    gcp.estate.change_policy(REPOSITORY, delete)
    plan = gcp.plan(document)
    assert [change.address for change in plan.changes] == ["images.access.app-a"]
    assert "is still a member; the next write removes it" in words(plan)
    gcp.apply(document)
    found = members_of(gcp)
    assert MEMBERS[0] in found
    assert dead not in found
    assert theirs in found
    assert gcp.plan(document).changes == ()


def test_a_fresh_account_is_believed_after_three_good_reads(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.cloud.state.knobs.flaps = RECORDED_FLAPS
    stand_in.cloud.state.knobs.member_refusals = 2
    document = document_of(gcp)
    gcp.apply(document)
    reads = Counter(call.body["path"] for call in stand_in.calls if call.operation == "GetServiceAccount")
    assert min(reads.values()) > len(RECORDED_FLAPS)
    refused = [
        call for call in stand_in.calls if call.operation == "SetIamPolicy" and "repositories" in call.body["path"]
    ]
    assert len(refused) > 2, "asked again after it was refused"
    assert gcp.plan(document).changes == ()


def test_an_account_that_flaps_while_it_is_changed_keeps_what_is_noted_in_its_description(
    gcp: GcpSandbox, stand_in: Server
) -> None:
    gcp.apply(document_of(gcp, trusted_principals=["group:admins@example.com"]))
    after = document_of(gcp, trusted_principals=["group:others@example.com"])
    plan = gcp.plan(after)
    stand_in.cloud.state.accounts["images-pull@my-project.iam.gserviceaccount.com"].flaps = [200, 404]
    gcp.carry_out(plan)
    gcp.apply(after)
    plan = gcp.plan(after)
    assert (plan.changes, plan.foreign) == ((), ())


def test_an_unknown_member_is_named_with_its_grant_at_once(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(document_of(gcp))
    stand_in.cloud.state.knobs.unknown_members = {MEMBERS[7]}
    stand_in.calls.clear()
    outcomes = gcp.carry_out(gcp.plan(document_of(gcp, MEMBERS[7])))
    failed = [item.message for item in outcomes if item.message]
    assert len(failed) == 2
    for message in failed:
        assert f"can be about {MEMBERS[7]} (grant robots)" in message
        assert "create the account or group first, or remove it from the grant" in message
    assert sum(call.operation == "SetIamPolicy" for call in stand_in.calls) == 2
    stand_in.cloud.state.knobs.unknown_members = set()
    plan = gcp.plan(document_of(gcp))
    assert (plan.changes, plan.foreign) == ((), ()), "what was recorded too early is taken back"


def test_a_domain_that_is_not_permitted_is_asked_once_and_its_constraint_is_named(
    gcp: GcpSandbox, stand_in: Server
) -> None:
    gcp.apply(document_of(gcp))
    stand_in.cloud.state.knobs.permitted = {"my-project"}
    stand_in.calls.clear()
    outcomes = gcp.carry_out(gcp.plan(document_of(gcp, "group:all@elsewhere.example")))
    failed = [item.message for item in outcomes if item.message]
    assert len(failed) == 2
    assert all("constraints/iam.allowedPolicyMemberDomains" in message for message in failed)
    assert sum(call.operation == "SetIamPolicy" for call in stand_in.calls) == 2


def test_an_api_that_is_off_is_one_sentence_with_the_command(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.cloud.state.switch("my-project", "artifactregistry.googleapis.com", False)
    with pytest.raises(ReadFailed) as failed:
        gcp.plan(document_of(gcp))
    assert "the API artifactregistry.googleapis.com is off in project my-project" in str(failed.value)
    assert "gcloud services enable artifactregistry.googleapis.com --project my-project" in str(failed.value)


def test_an_operation_is_awaited_and_named_when_it_fails(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.cloud.state.knobs.operation_calls = 4
    gcp.apply(document_of(gcp))
    stand_in.cloud.state.knobs.operation_error = "INTERNAL"
    outcomes = gcp.carry_out(gcp.plan(gcp.document("app-a", "app-b", "app-c")))
    (message,) = [item.message for item in outcomes if item.address == "images.repository.app-c"]
    assert "/operations/" in message


@pytest.mark.parametrize(
    ("text", "said"), [("<html>login</html>", "did not come from Google"), ("[]", "did not come from Google")]
)
def test_a_proxy_s_page_is_no_answer(gcp: GcpSandbox, stand_in: Server, text: str, said: str) -> None:
    gcp.apply(document_of(gcp))

    class Page:
        def before(self, call: Call) -> Answer | None:
            return Answer(status=200, text=text)

        def after(self, call: Call) -> Answer | None:
            return None

    stand_in.behaviours.append(Page())
    with pytest.raises(ReadFailed, match=said):
        gcp.plan(document_of(gcp))


def test_a_policy_without_an_etag_is_never_written(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(document_of(gcp))

    class NoEtag:
        def before(self, call: Call) -> Answer | None:
            return Answer(status=200, body={"bindings": []}) if call.operation == "GetIamPolicy" else None

        def after(self, call: Call) -> Answer | None:
            return None

    stand_in.behaviours.append(NoEtag())
    with pytest.raises(ReadFailed, match="came without an etag"):
        gcp.plan(document_of(gcp))


def test_a_plan_makes_one_call_for_each_repository_and_six_more(gcp: GcpSandbox, stand_in: Server) -> None:
    names = [f"app-{number}" for number in range(100)]
    document = gcp.document(*names)
    gcp.apply(document)
    stand_in.calls.clear()
    assert gcp.plan(document).changes == ()
    assert len(stand_in.calls) <= 100 + 100 // 1000 + 6


def test_a_plan_says_that_it_does_not_see_roles_on_the_project(gcp: GcpSandbox) -> None:
    document = document_of(gcp)
    unseen = "Not seen (images): roles on project my-project, its folders and its organization, which reach the repositories too."
    assert unseen in words(gcp.plan(document))
    gcp.apply(document)
    assert unseen in words(gcp.plan(document))


def test_an_endpoint_in_clear_is_for_this_machine_alone(gcp: GcpSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY", "http://registry.example.com/")
    with pytest.raises((ReadFailed, PlatformError), match="http is for this machine alone"):
        gcp.plan(document_of(gcp))
