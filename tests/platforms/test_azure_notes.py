"""Notes of repositories, of which many threads write at once: what could not be noted is not said to be done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.engine.write import Status
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox

REGISTRY = f"images.registry.{NAME}"
NAMES = [f"app-{number}" for number in range(12)]
REFUSED = Answer(403, {"error": {"code": "AuthorizationFailed", "message": "refused on purpose"}})
NO_GUARD: dict[str, Any] = {"guards": {"max_deletes": "100%"}}


@dataclass(slots=True)
class Slowly:
    """Calls of these operations are answered so, after long enough for other threads to wait for the same batch of notes."""

    operations: tuple[str, ...]
    answer: Answer

    def before(self, call: Call) -> Answer | None:
        if call.operation not in self.operations:
            return None
        time.sleep(0.2)
        return self.answer

    def after(self, call: Call) -> Answer | None:
        return None


def noted(azure: AzureSandbox) -> dict[str, Any]:
    return {
        key: found.properties["actions"] for key, found in azure.acr.scope_maps.items() if key.startswith("reconciler-")
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), NAMES),
        (NAMES, ()),
        (NAMES, [{"name": name, "protect": True} for name in NAMES]),
        (NAMES, [{"name": name, "release": True} for name in NAMES]),
        ([{"name": name, "delete_images": True} for name in NAMES], NAMES),
    ],
    ids=["made", "deleted", "protected", "released", "images kept"],
)
def test_notes_that_could_not_be_written_are_not_done(before: Any, after: Any, azure: AzureSandbox) -> None:
    """Whoever waited for the batch that another thread wrote has failed with it."""
    azure.apply(azure.document("app-a", *before, **NO_GUARD))
    plan = azure.plan(azure.document("app-a", *after, **NO_GUARD))
    found = noted(azure)
    azure.server.behaviours.append(Slowly(("scopeMaps:PATCH", "scopeMaps:PUT", "scopeMaps:DELETE"), REFUSED))
    outcomes = [item for item in azure.carry_out(plan) if str(item.address) != REGISTRY]
    azure.server.behaviours.clear()
    assert noted(azure) == found
    assert [item.status for item in outcomes] == [Status.FAILED] * len(NAMES)
    assert all("refused on purpose" in item.message for item in outcomes)


@pytest.mark.parametrize("actions", [[None, "x"], {"a": 1}, 5], ids=["an item", "a mapping", "a number"])
def test_whoever_waits_for_notes_that_nobody_can_read_is_not_done(actions: Any, azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    plan = azure.plan(azure.document("app-a", *NAMES))
    said = {
        "id": f"{RESOURCE}/scopeMaps/reconciler-spec-1",
        "name": "reconciler-spec-1",
        "properties": {"actions": actions},
    }
    azure.server.behaviours.append(Slowly(("scopeMaps:GET",), Answer(200, said)))
    outcomes = azure.carry_out(plan)
    azure.server.behaviours.clear()
    there = {action.split("/")[1] for found in noted(azure).values() for action in found}
    done = {str(item.address).rpartition(".")[2] for item in outcomes if item.status is Status.DONE}
    assert len(outcomes) == len(NAMES)
    assert done <= there


def test_no_access_is_given_on_a_repository_whose_note_was_refused(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    grants = tuple({"name": f"partner-{name}", "repositories": [name], "to": {"type": "azure-token"}} for name in NAMES)
    plan = azure.plan(azure.document("app-a", *NAMES, grants=grants))
    azure.server.behaviours.append(Slowly(("scopeMaps:PATCH",), REFUSED))
    outcomes = azure.carry_out(plan)
    azure.server.behaviours.clear()
    assert not azure.acr.tokens
    assert {item.status for item in outcomes if item.address.kind in {"scope-map", "token"}} == {Status.SKIPPED}
