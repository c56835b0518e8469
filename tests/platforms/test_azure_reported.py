"""What other tools' users reported of Azure, and what is done about it here; each report stands with its tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from reconciler.engine.write import Status
from tests.emulators.azure import Server
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document

READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
GRANT = f"images.assignment.{principal(1)}-pull"


def refused(status: int, code: str, message: str = "It is refused.") -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


@dataclass
class Answers:
    """Calls of an operation are answered so, so often (-1: always); None: as they would be."""

    operation: str
    answer: Callable[[Call], Answer | None]
    times: int = -1

    def before(self, call: Call) -> Answer | None:
        found = self.answer(call) if call.operation == self.operation and self.times else None
        self.times -= found is not None
        return found

    def after(self, call: Call) -> Answer | None:
        return None


def granted(azure: AzureSandbox) -> Document:
    return azure.document("app-a", grants=({"name": "kubelets", "to": azure.target("1")},))


# -- role assignments: https://github.com/hashicorp/terraform-provider-azurerm/issues/17155,
# https://github.com/microsoft/AzureTRE/issues/1592, https://github.com/Azure/azure-cli/issues/13368 (once in 100 to 1,000),
# https://github.com/Azure/ARO-RP/issues/670 ("surely down to uuid5 ... it still happens on retry")


@pytest.mark.parametrize("refused_names", [1, 2])
@pytest.mark.parametrize("before", [(), ("app-a",)], ids=["its own identities", "a grant"])
def test_a_role_assignment_whose_name_azure_can_t_take_gets_another_one_and_is_ours(
    azure: AzureSandbox, before: tuple[str, ...], refused_names: int
) -> None:
    document = granted(azure)
    if before:
        azure.apply({**document, "grants": []})
    azure.cloud.knobs.refused_names = refused_names
    azure.apply(document)
    assert len(azure.cloud.refused_names) == refused_names
    plan = azure.plan(document)
    assert (plan.changes, plan.foreign) == ((), ())
    azure.apply({**document, "grants": []})
    assert principal(1) not in {item.principal for item in azure.cloud.assignments.values()}


def test_a_role_assignment_under_another_name_is_found_while_the_list_lacks_it(
    azure: AzureSandbox, azure_stand_in: Server
) -> None:
    document = granted(azure)
    azure.apply({**document, "grants": []})
    azure.cloud.knobs.refused_names = 2
    azure.apply(document)
    plan = azure.plan({**document, "grants": []})
    azure_stand_in.behaviours.append(Answers("roleAssignments:list", lambda call: Answer(200, {"value": []})))
    assert [outcome.status for outcome in azure.carry_out(plan)] == [Status.DONE]
    assert principal(1) not in {item.principal for item in azure.cloud.assignments.values()}


def test_a_role_assignment_that_azure_takes_under_no_name_says_what_to_do(azure: AzureSandbox) -> None:
    document = granted(azure)
    azure.apply({**document, "grants": []})
    azure.cloud.knobs.refused_names = 100
    (outcome,) = azure.carry_out(azure.plan(document))
    assert "HashConflictOnDifferentRoleAssignmentIds" in outcome.message
    assert f"--adopt {GRANT}" in outcome.message
