"""Operations on a registry or a replication that failed, or are still under way: a plan says so, and an apply mends or waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler import loads
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import GuardViolation, PlanRefused, ReadFailed
from reconciler.model.change import Action, Cause
from reconciler.render.report import NO_CHANGES, report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import Server
from tests.emulators.azure.state import Resource
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, AzureSandbox
from tests.sandbox.base import Document

REGISTRY, REPLICATION = f"images.registry.{NAME}", "images.replication.northeurope"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


@pytest.fixture
def document(azure: AzureSandbox) -> Document:
    found = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    azure.apply(found)
    return found


def of(azure: AzureSandbox, address: str) -> Resource:
    return azure.acr if address == REGISTRY else azure.acr.replications["northeurope"]


@dataclass
class Ends:
    """What is under way is over once its resource has been read so many times."""

    item: Resource
    operation: str
    reads: int
    word: str = "Succeeded"
    seen: list[str] = field(default_factory=list)

    def before(self, call: Call) -> Answer | None:
        if call.operation == self.operation:
            self.seen.append(self.item.state)
            self.reads -= 1
            if self.reads == 0:
                self.item.state = self.word
        return None

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize(("word", "how"), [("Failed", "failed"), ("Canceled", "was canceled")])
def test_a_registry_whose_last_operation_failed_is_written_again(
    azure: AzureSandbox, document: Document, word: str, how: str
) -> None:
    azure.acr.state = word
    plan = azure.plan(document)
    (change,) = plan.changes
    assert (change.address, change.action, change.cause) == (REGISTRY, Action.UPDATE, Cause.DRIFT)
    assert [(item.path, item.old, item.new) for item in change.fields] == [("provisioning_state", word, "Succeeded")]
    assert change.notes == (f"Azure reports that its last operation {how}: an apply sends its settings again",)
    assert loads(dumps(plan)).changes == plan.changes
    azure.apply(document)
    assert azure.acr.state == "Succeeded"
    assert azure.plan(document).changes == ()


def test_a_registry_that_fails_again_is_said(azure: AzureSandbox, azure_stand_in: Server, document: Document) -> None:
    azure.acr.state = "Failed"
    plan = azure.plan(document)

    class Again:
        def before(self, call: Call) -> Answer | None:
            return None

        def after(self, call: Call) -> Answer | None:
            if call.operation != "registries:PATCH":
                return None
            azure.acr.state = "Failed"
            return Answer(200, {"id": azure.acr.id, "name": NAME, "properties": {"provisioningState": "Failed"}})

    azure_stand_in.behaviours.append(Again())
    (failed,) = azure.carry_out(plan)
    assert failed.status is Status.FAILED
    assert failed.message == (
        f"registries:update: the operation failed, without Azure's reason for it (request id {failed.request_id})\n"
        "  run again; if it fails again, ask Azure's support about the request id"
    )


@pytest.mark.parametrize("word", ["Failed", "Canceled"])
def test_a_replication_that_failed_is_made_anew(azure: AzureSandbox, document: Document, word: str) -> None:
    """https://github.com/Azure/ARO-HCP/pull/2366"""
    there = of(azure, REPLICATION)
    there.state, there.tags["cost-center"] = word, "42"
    azure.cloud.knobs.settling = 2
    plan = azure.plan(document)
    (change,) = plan.changes
    assert (change.address, change.action) == (REPLICATION, Action.REPLACE)
    assert f'provisioning_state: "{word}" → "Succeeded"' in words(plan)
    assert "an apply deletes it and makes it anew; clients there pull from another location of the registry" in words(
        plan
    )
    assert loads(dumps(plan)).changes == plan.changes
    azure.apply(document)
    after = of(azure, REPLICATION)
    assert (after is there, after.state, after.tags["cost-center"]) == (False, "Succeeded", "42")
    assert azure.plan(document).changes == ()


@dataclass
class Refuses:
    """Calls of an operation are refused, so often."""

    operation: str
    times: int

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation or not self.times:
            return None
        self.times -= 1
        return Answer(403, {"error": {"code": "AuthorizationFailed", "message": "refused on purpose"}})

    def after(self, call: Call) -> Answer | None:
        return None


def test_tags_of_others_are_kept_where_what_failed_can_t_be_made_anew(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    """Between the delete and the create they stand on nothing; the next apply puts them on what it makes."""
    there = of(azure, REPLICATION)
    there.state, there.tags["cost-center"] = "Failed", "42"
    azure_stand_in.behaviours.append(Refuses("replications:PUT", 1))
    plan = azure.plan(document)
    (outcome,) = azure.carry_out(plan)
    assert outcome.status is Status.FAILED
    assert "what others put on it is kept in " in outcome.message
    assert "the next apply restores it" in outcome.message
    assert "northeurope" not in azure.acr.replications
    azure.apply(document)
    assert of(azure, REPLICATION).tags["cost-center"] == "42"
    assert list(Path(azure.rescue).iterdir()) == []
    assert azure.plan(document).changes == ()


def test_tags_that_were_kept_come_back_on_what_others_have_made_meanwhile(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    there = of(azure, REPLICATION)
    there.state, there.tags["cost-center"] = "Failed", "42"
    azure_stand_in.behaviours.append(Refuses("replications:PUT", 1))
    azure.carry_out(azure.plan(document))
    there.state, there.tags = "Succeeded", {"cost-center": "43", "team": "other"}
    azure.acr.replications["northeurope"] = there
    azure.apply(document, adopt=[REPLICATION])
    found = of(azure, REPLICATION).tags
    assert (found["cost-center"], found["team"]) == ("43", "other"), "what stands there now counts"
    assert list(Path(azure.rescue).iterdir()) == []


def test_a_replication_that_failed_can_be_adopted_and_is_made_anew_then(
    azure: AzureSandbox, document: Document
) -> None:
    there = of(azure, REPLICATION)
    there.state, there.tags = "Failed", {"cost-center": "42"}
    (problem,) = azure.plan(document).problems
    assert problem.conflict
    plan = azure.plan(document, adopt=[REPLICATION])
    (change,) = plan.changes
    assert (change.action, change.notes) == (
        Action.ADOPT,
        (
            "Azure reports that its last operation failed: once it is adopted, the next apply deletes it and makes it anew; clients"
            " there pull from another location of the registry meanwhile",
        ),
    )
    (outcome,) = azure.carry_out(plan)
    assert "the operation failed, without Azure's reason for it" in outcome.message
    assert "run again" in outcome.message
    assert [item.action for item in azure.plan(document).changes] == [Action.REPLACE]
    with pytest.raises(GuardViolation, match="was there before reconciler adopted it and would be replaced"):
        azure.apply(document)
    azure.apply(document, allow_delete=[REPLICATION])
    after = of(azure, REPLICATION)
    assert (after.state, after.tags["cost-center"]) == ("Succeeded", "42")
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize(("word", "doing"), [("Creating", "created"), ("Updating", "updated")])
@pytest.mark.parametrize(("address", "operation"), [(REGISTRY, "registries:GET"), (REPLICATION, "replications:GET")])
def test_what_is_under_way_is_no_match_and_an_apply_waits_for_it(
    azure: AzureSandbox,
    azure_stand_in: Server,
    document: Document,
    address: str,
    operation: str,
    word: str,
    doing: str,
) -> None:
    of(azure, address).state = word
    plan = azure.plan(document)
    assert NO_CHANGES not in words(plan)
    (change,) = plan.changes
    assert (change.address, change.action) == (address, Action.UPDATE)
    assert change.notes == (
        f"it is being {doing}: run again when that is done; an apply waits for it, at most 10 minutes",
    )
    ends = Ends(of(azure, address), operation, 3)
    azure_stand_in.behaviours.append(ends)
    assert [item.status for item in azure.carry_out(plan, verify=True)] == [Status.DONE]
    assert ends.seen[:3] == [word] * 3
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize(("address", "operation"), [(REGISTRY, "registries:GET"), (REPLICATION, "replications:GET")])
def test_what_begins_after_the_plan_makes_it_wait_and_not_stale_unless_it_fails(
    azure: AzureSandbox, azure_stand_in: Server, document: Document, address: str, operation: str
) -> None:
    of(azure, address).properties |= {"adminUserEnabled": True, "regionEndpointEnabled": False}
    for word, status in (("Failed", Status.STALE), ("Succeeded", Status.DONE)):
        plan = azure.plan(document)
        assert [item.address for item in plan.changes] == [address]
        of(azure, address).state = "Updating"
        azure_stand_in.behaviours.append(Ends(of(azure, address), operation, 2, word))
        (outcome,) = azure.carry_out(plan)
        azure_stand_in.behaviours.clear()
        assert outcome.status is status
        if status is Status.STALE:
            assert outcome.message == 'provisioning_state was "Succeeded", is now "Failed"'
            of(azure, address).state = "Succeeded"
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize("address", [REGISTRY, REPLICATION])
def test_what_does_not_end_is_said(
    azure: AzureSandbox, document: Document, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://github.com/Azure/acr/issues/647"""
    monkeypatch.setattr("reconciler.platforms.azure.states.PATIENCE", 0.0)
    of(azure, address).state = "Updating"
    (failed,) = azure.carry_out(azure.plan(document))
    assert failed.status is Status.FAILED
    assert failed.message == (
        "it is still being updated\n  run again when that is done; what stays so for hours, Azure's support alone can end"
    )


@pytest.mark.parametrize("address", [REGISTRY, REPLICATION])
def test_what_is_being_deleted_can_t_be_planned(azure: AzureSandbox, document: Document, address: str) -> None:
    of(azure, address).state = "Deleting"
    plan = azure.plan(document)
    assert NO_CHANGES not in words(plan)
    (problem,) = plan.problems
    assert (problem.address, problem.message) == (address, "it is being deleted: run again when that is done")
    with pytest.raises(PlanRefused):
        azure.carry_out(plan)


def test_what_is_being_deleted_and_is_to_go_is_waited_for(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    azure.acr.state = "Deleting"
    plan = azure.plan(document, destroy=True)
    assert "it is being deleted: run again when that is done; an apply waits for it, at most 10 minutes" in words(plan)

    class Gone(Ends):
        def before(self, call: Call) -> Answer | None:
            super().before(call)
            if self.reads == 0:
                azure.cloud.registries.pop(NAME, None)
            return None

    azure_stand_in.behaviours.append(Gone(azure.acr, "registries:GET", 3, "Deleting"))
    assert {item.status for item in azure.carry_out(plan)} == {Status.DONE}
    assert azure.cloud.registries == {}


def test_a_replication_that_is_made_anew_is_in_all_zones_as_before(azure: AzureSandbox, document: Document) -> None:
    there = of(azure, REPLICATION)
    there.state, there.properties["zoneRedundancy"] = "Failed", "Enabled"
    azure.apply(document)
    after = of(azure, REPLICATION)
    assert (after is there, after.properties.get("zoneRedundancy")) == (False, "Enabled")


def test_a_rescue_file_that_can_t_be_read_stops_a_replacement_before_it_deletes(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    there = of(azure, REPLICATION)
    there.state, there.tags["cost-center"] = "Failed", "42"
    azure_stand_in.behaviours.append(Refuses("replications:PUT", 1))
    azure.carry_out(azure.plan(document))
    there.state, there.tags = "Failed", {key: value for key, value in there.tags.items() if key != "cost-center"}
    azure.acr.replications["northeurope"] = there
    plan = azure.plan(document)
    (file,) = Path(azure.rescue).iterdir()
    file.write_text("{")
    (outcome,) = azure.carry_out(plan)
    assert "can't be read" in outcome.message
    assert "northeurope" in azure.acr.replications
    with pytest.raises(ReadFailed, match="can't be read"):
        azure.plan(document)
