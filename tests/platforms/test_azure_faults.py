"""What Azure does to a run: calls and operations that fail, lost answers, runs that are killed; and a mode that changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from reconciler import loads, session
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.errors import GuardViolation, ReadFailed
from reconciler.model.address import Address
from reconciler.model.change import Action
from reconciler.model.kind import Uncounted
from reconciler.platforms.azure.repository import data_plane
from reconciler.platforms.azure.session import AzureSession
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import Fails, FailsOften, Server, may, token_may
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document


@pytest.fixture
def document(azure: AzureSandbox) -> Document:
    return azure.rich_document()


def second(document: Document) -> Document:
    """The same with a change of each kind."""
    after: Document = {**document, "registries": [dict(document["registries"][0])]}
    after["registries"][0] |= {"replication_regions": ["uksouth"], "labels": {"tier": "1"}}
    after["repositories"] = [
        *document["repositories"][1:],
        {"name": "app-x", "registry": "images", "retention": {"untagged_days": 7}},
    ]
    after["grants"] = [
        {**document["grants"][0], "repositories": ["app-x"]},
        {**document["grants"][2], "permission": "push-pull"},
        {"name": "second-partner", "registry": "images", "to": {"type": "azure-token"}},
    ]
    return after


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


@pytest.mark.parametrize("seed", range(3))
def test_a_third_of_all_calls_failing_still_converges(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.pipeline.PAUSE", 0.01)
    often = FailsOften(seed)
    azure_stand_in.behaviours.append(often)
    azure.apply(document)
    azure.apply(second(document))
    assert often.failed > 10
    azure_stand_in.behaviours.clear()
    plan = azure.plan(second(document))
    assert (plan.changes, plan.foreign) == ((), ())


@pytest.mark.parametrize("kind", ["throttled", "500", "503"])
@pytest.mark.parametrize(
    "operation", ["tokens:PUT", "roleAssignments:PUT", "data:attributes", "data:delete", "tokens:list"]
)
def test_an_answer_in_whose_place_another_is_asked_for_leaves_no_connection_open(
    azure: AzureSandbox,
    azure_stand_in: Server,
    document: Document,
    operation: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.pipeline.PAUSE", 0.01)
    answers: list[requests.Response] = []
    send = requests.Session.send

    def sent(self: requests.Session, *args: Any, **options: Any) -> requests.Response:
        answers.append(send(self, *args, **options))
        return answers[-1]

    monkeypatch.setattr(requests.Session, "send", sent)
    azure.apply(document)
    azure.push_image("app-b")
    del document["repositories"][1]
    document["grants"].append({"name": "next-partner", "registry": "images", "to": {"type": "azure-token"}})
    document["grants"].append({"name": "late", "registry": "images", "to": azure.target("5")})
    failing = Fails(operation, kind, times=2)
    azure_stand_in.behaviours.append(failing)
    azure.apply(document)
    assert failing.failed == 2
    assert [answer.url for answer in answers if not answer.raw.closed] == []


READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
WRITES = [
    "registries:PUT",
    "registries:PATCH",
    "replications:PUT",
    "scopeMaps:PUT",
    "scopeMaps:PATCH",
    "tokens:PUT",
    "roleAssignments:PUT",
    "userAssignedIdentities:PUT",
    "replications:DELETE",
    "tokens:DELETE",
    "roleAssignments:DELETE",
]


@pytest.mark.parametrize("operation", WRITES)
def test_a_lost_answer_changes_nothing_of_what_comes_of_it(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, operation: str
) -> None:
    third = second(document)
    del third["grants"][-1]

    def all_three(*behaviours: Fails) -> Document:
        azure.reset()
        azure_stand_in.behaviours.extend(behaviours)
        for each in (document, second(document), third):
            azure.apply(each)
        return azure.state()

    good = all_three()
    lost = Fails(operation, "drop", times=2, lost=True)
    assert all_three(lost) == good
    assert lost.failed == 2
    assert azure.plan(third).changes == ()


@dataclass
class CutOff:
    """All calls after so many are refused, as if the run had been killed there."""

    left: int
    cut: bool = False

    def before(self, call: Call) -> Answer | None:
        if call.service == "entra":
            return None
        self.left -= 1
        self.cut = self.cut or self.left < 0
        return Answer(status=400, body={"error": {"code": "CutOff", "message": "killed"}}) if self.cut else None

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize("first_run", [True, False])
def test_a_run_that_is_cut_off_at_any_call_converges(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, first_run: bool
) -> None:
    after = document if first_run else second(document)
    if not first_run:
        azure.apply(document)
    azure.apply(after)
    good = azure.state()
    for calls in range(0, 400, 3):
        azure.reset()
        if not first_run:
            azure.apply(document)
        plan = azure.plan(after)
        cut = CutOff(calls)
        azure_stand_in.behaviours.append(cut)
        azure.carry_out(plan)
        azure_stand_in.behaviours.clear()
        assert azure.plan(after).foreign == (), calls
        azure.apply(after)
        assert azure.state() == good, calls
        if not cut.cut:
            return
    pytest.fail("it never came to its end")


def test_an_operation_that_fails_is_said_with_code_request_and_address(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    azure.cloud.knobs.failing = {"tokens": ("TokenCreationFailed", "The token could not be created.")}
    (failed,) = [item for item in azure.carry_out(azure.plan(document)) if item.address == "images.token.partner"]
    assert "TokenCreationFailed: The token could not be created." in failed.message
    assert failed.request_id
    assert "run again; changes already made are kept" in failed.message
    azure.cloud.knobs.failing = {}
    azure.apply(document)
    assert azure.plan(document).changes == ()


def test_no_signature_and_no_secret_stands_in_a_log_or_a_message(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    azure.cloud.knobs.polls = 2
    azure.cloud.knobs.failing = {"replications": ("Failed", f"see {azure_stand_in.url}/x?s=SIGNATURE&sig=1")}
    outcomes = azure.carry_out(azure.plan(document))
    said = caplog.text.replace("aiohttp.access", "") + " ".join(item.message for item in outcomes)
    said = "\n".join(line for line in said.splitlines() if '"GET /' not in line)  # the stand-in's own log
    assert "SIGNATURE" not in said
    assert "&h=x" not in said
    assert "stand-in-secret" not in said
    for secret in azure.cloud.secrets:
        assert secret not in said


@pytest.mark.parametrize("operation", ["registries:GET", "roleAssignments:list", "scopeMaps:list", "tokens:list"])
def test_a_proxy_s_page_is_no_answer(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, operation: str
) -> None:
    azure.apply(document)
    azure_stand_in.behaviours.append(Fails(operation, "page", times=-1))
    with pytest.raises(ReadFailed, match="the answer did not come from Azure"):
        azure.plan(document)


def test_an_identity_that_was_made_anew_gets_its_roles_and_the_dead_ones_go(
    azure: AzureSandbox, document: Document
) -> None:
    azure.apply(document)
    good = azure.state()
    (pull,) = [key for key, item in azure.cloud.identities.items() if item.name == "images-pull"]
    del azure.cloud.identities[pull]
    azure.apply(document)
    azure.apply(document)
    assert azure.state() == good
    assert azure.plan(document).changes == ()


def test_a_token_keeps_its_passwords_through_every_change(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.call("POST", f"{RESOURCE}/generateCredentials", {"tokenId": f"{RESOURCE}/tokens/partner"})
    before = dict(azure.acr.tokens["partner"].passwords)
    assert len(before) == 2
    azure.apply(second(document))
    azure.call("PATCH", f"{RESOURCE}/tokens/partner", {"properties": {"status": "disabled"}})
    plan = azure.plan(second(document))
    assert [(item.address, item.action) for item in plan.changes] == [("images.token.partner", Action.UPDATE)]
    azure.apply(second(document))
    assert azure.acr.tokens["partner"].passwords == before
    assert token_may(azure.acr, "partner", "team/c", "push")


def test_two_grants_to_one_principal_are_one_assignment(azure: AzureSandbox) -> None:
    grants = tuple(
        {"name": f"grant-{name}", "repositories": [name], "to": azure.target("1")} for name in ("app-a", "app-b")
    )
    document = azure.document("app-a", "app-b", "app-c", grants=grants)
    azure.apply(document)
    (found,) = [item for item in azure.cloud.assignments.values() if item.principal == principal(1)]
    assert "grants=grant-app-a,grant-app-b" in found.properties["description"]
    can = [name for name in ("app-a", "app-b", "app-c") if may(azure.cloud, principal(1), azure.acr, name, "pull")]
    assert can == ["app-a", "app-b"]
    del document["grants"][0]
    (change,) = azure.plan(document).changes
    assert (change.action, [item.repository for item in change.losses]) == (Action.UPDATE, ["app-a"])


def test_a_condition_over_the_limit_is_an_error_of_the_plan_with_the_numbers(azure: AzureSandbox) -> None:
    names = [f"a-rather-long-name-of-a-repository-{number:03}" for number in range(60)]
    plan = azure.plan(azure.document(*names, grants=({"name": "all-of-them", "to": azure.target("1")},)))
    (problem,) = plan.problems
    assert "characters for 60 repositories; Azure allows at most 4096 (grants all-of-them)" in problem.message


@pytest.mark.parametrize(("before", "after"), [("legacy", "abac"), ("abac", "legacy")])
def test_a_mode_changes_after_its_assignments_are_there_and_the_old_ones_go_after_it(
    azure: AzureSandbox, azure_stand_in: Server, before: str, after: str
) -> None:
    def document(mode: str) -> Document:
        grants = ({"name": "kubelets", "to": azure.target("1")},)
        registry = {"role_assignment_mode": mode}
        return azure.document("app-a", "app-b", grants=grants, registry=registry, guards={"max_deletes": "100%"})

    azure.apply(document(before))
    assert may(azure.cloud, principal(1), azure.acr, "app-a", "pull")
    mode = f"images.mode.{NAME}"
    refused = azure.plan(document(after), allow=[])
    (verdict,) = refused.violations
    assert (verdict.guard, verdict.addresses) == ("dangerous", (mode,))
    assert "all credentials that were issued end" in verdict.message
    assert f"add --allow {mode}" in verdict.message
    role = {"legacy": "AcrPull", "abac": "Container Registry Repository Reader"}[before]
    assert (
        f"{role} of service principal {principal(1)} on the registry counts no longer, and another one takes its place"
        in words(refused)
    )
    with pytest.raises(GuardViolation):
        azure.carry_out(refused)
    plan = azure.plan(document(after), allow=[mode])
    assert loads(dumps(plan)).violations == ()
    azure_stand_in.calls.clear()
    assert all(item.message == "" for item in azure.carry_out(plan))
    writes = [
        call.operation
        for call in azure_stand_in.calls
        if call.operation in ("roleAssignments:PUT", "roleAssignments:DELETE")
        or (call.operation == "registries:PATCH" and "properties" in call.body["json"])
    ]
    switch = writes.index("registries:PATCH")
    assert set(writes[:switch]) == {"roleAssignments:PUT"}
    assert set(writes[switch + 1 :]) == {"roleAssignments:DELETE"}
    assert may(azure.cloud, principal(1), azure.acr, "app-a", "pull")
    assert azure.plan(document(after)).changes == ()
    assert azure.acr.name == NAME


def test_killed_between_scope_map_and_token_the_next_apply_makes_the_token(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, tmp_path: Path
) -> None:
    azure_stand_in.behaviours.append(Fails("tokens:PUT", "CutOff", times=-1))
    azure.carry_out(azure.plan(document))
    assert "partner" in azure.acr.scope_maps
    assert "partner" not in azure.acr.tokens
    azure_stand_in.behaviours.clear()
    azure.apply(document)
    assert azure.plan(document).changes == ()
    assert "partner" in azure.acr.tokens


def test_what_others_gave_is_reported_with_its_removal_and_what_voids_ours_says_so(azure: AzureSandbox) -> None:
    document = azure.document(
        "app-a", "app-b", grants=({"name": "one", "repositories": ["app-a"], "to": azure.target("1")},)
    )
    azure.apply(document)
    given = azure.assign(STRANGER, READER)
    wide = azure.assign(principal(1), READER, "/subscriptions/00000000-0000-0000-0000-000000000000")
    plan = azure.plan(document)
    assert plan.changes == ()
    found = {item.what: item for item in plan.foreign}
    assert set(found) == {
        f"Container Registry Repository Reader of service principal {STRANGER} on the registry",
        f"Container Registry Repository Reader of service principal {principal(1)} on"
        " /subscriptions/00000000-0000-0000-0000-000000000000, which reaches every repository whatever its grants say",
    }
    assert {item.removal for item in plan.foreign} == {
        f"run `az role assignment delete --ids {one}`" for one in (given, wide)
    }
    assert {item.verb for one in plan.foreign for item in one.access} == {"pull all repositories of the registry"}
    assert STRANGER in words(plan)


def test_somebody_s_assignment_of_the_same_triple_is_a_conflict_and_can_be_adopted(azure: AzureSandbox) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    theirs = azure.assign(principal(1), READER)
    document["grants"] = [{"name": "one", "registry": "images", "to": azure.target("1")}]
    address = f"images.assignment.{principal(1)}-pull"
    (problem,) = azure.plan(document).problems
    assert (problem.address, "has no owner" in problem.message) == (address, True)
    azure.apply(document, adopt=[address])
    (found,) = [item for item in azure.cloud.assignments.values() if item.principal == principal(1)]
    assert found.id == theirs, "by its own name"
    assert "app-a" in found.properties["condition"]
    assert azure.plan(document).changes == ()


def test_an_identity_that_is_made_while_it_is_asked_for_is_not_forgotten(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    """Whoever asked before it was made gets the answer after it was, from another thread."""
    with session(azure.spec(document)) as opened:
        assert isinstance(opened, AzureSession)
        azure_session = opened

        class Meanwhile:
            def before(self, call: Call) -> Answer | None:
                return None

            def after(self, call: Call) -> Answer | None:
                if call.operation == "userAssignedIdentities:GET":
                    azure_session.learn_principal("pull", principal(7))
                return None

        azure_stand_in.behaviours.append(Meanwhile())
        assert opened.principal("pull") == principal(7)


def test_a_run_that_changes_the_mode_logs_in_anew(azure: AzureSandbox) -> None:
    """Its own login ends too: https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions"""
    document = azure.document("app-a", registry={"role_assignment_mode": "legacy"})
    azure.apply(document)
    azure.push_image("app-a")
    at = Address.of("images", "repository", "app-a")
    with session(azure.spec(document)) as opened:
        assert isinstance(opened, AzureSession)
        plane = opened.part(data_plane)
        assert plane.count("app-a", at) == 1
        azure.call("PATCH", RESOURCE, {"properties": {"roleAssignmentMode": "AbacRepositoryPermissions"}})
        assert plane.count("app-a", at) == 1
        azure.cloud.knobs.blind = True
        azure.call("PATCH", RESOURCE, {"properties": {"roleAssignmentMode": "LegacyRegistryPermissions"}})
        with pytest.raises(Uncounted, match="refuses these credentials"):
            plane.count("app-a", at)
