"""What other tools' users reported of role assignments and tokens on Azure, and of refusals; each report stands with its tests."""

from __future__ import annotations

import pytest

from reconciler.engine.plan import Plan
from reconciler.engine.write import Status
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import Answers, Server, refused
from tests.emulators.serving import Answer
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document

READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
GRANT = f"images.assignment.{principal(1)}-pull"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


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


@pytest.mark.parametrize(
    ("kind", "said"), [("ForeignGroup", "foreign group"), ("Device", "device"), ("Robot", "principal")]
)
def test_who_is_no_service_principal_is_not_called_one(azure: AzureSandbox, kind: str, said: str) -> None:
    """https://github.com/kubernetes-sigs/cluster-api-provider-azure/issues/4625 lists the types; there may be more some day."""
    document = azure.document("app-a")
    azure.apply(document)
    stranger = "99999999-0000-0000-0000-000000000001"
    azure.assign(stranger, READER)
    (found,) = [item for item in azure.cloud.assignments.values() if item.principal == stranger]
    found.properties["principalType"] = kind
    text = words(azure.plan(document))
    assert f"{said} {stranger}" in text
    assert f"service principal {stranger}" not in text


def test_an_adopted_role_assignment_keeps_its_delegated_identity(azure: AzureSandbox) -> None:
    """https://github.com/hashicorp/terraform-provider-azurerm/issues/9348: what Lighthouse asks for on each assignment to a managed
    identity."""
    document = granted(azure)
    azure.apply({**document, "grants": []})
    delegated = "/subscriptions/x/resourceGroups/y/providers/Microsoft.Compute/virtualMachines/z"
    azure.assign(principal(1), READER, delegatedManagedIdentityResourceId=delegated)
    azure.apply(document, adopt=[GRANT])
    (found,) = [item for item in azure.cloud.assignments.values() if item.principal == principal(1)]
    assert found.properties["delegatedManagedIdentityResourceId"] == delegated
    azure.apply({**document, "repositories": [*document["repositories"], {"name": "app-b", "registry": "images"}]})
    (found,) = [item for item in azure.cloud.assignments.values() if item.principal == principal(1)]
    assert found.properties["delegatedManagedIdentityResourceId"] == delegated


@pytest.mark.parametrize("operation", ["scopeMaps:GET", "tokens:GET"])
def test_what_is_not_seen_right_after_it_was_made_is_made(
    azure: AzureSandbox, azure_stand_in: Server, operation: str
) -> None:
    """https://github.com/hashicorp/terraform-provider-azurerm/issues/32935: a GET right after the PUT answers 404; the PUT has
    answered with all of it."""
    azure.apply(azure.document("app-a"))
    document = azure.document("app-a", grants=({"name": "partner", "to": {"type": "azure-token"}},))
    plan = azure.plan(document)
    gone = refused(404, "ResourceNotFound")
    there = "tokens" if operation.startswith("tokens") else "scope_maps"
    azure_stand_in.behaviours.append(
        Answers(operation, lambda call: gone if "partner" in getattr(azure.acr, there) else None, 1)
    )
    assert [outcome.message for outcome in azure.carry_out(plan)] == ["", ""]


# -- what to do about a refusal


@pytest.mark.parametrize(
    ("code", "status", "message", "hint"),
    [
        # https://github.com/Azure/modern-web-app-pattern-dotnet/issues/129
        (
            "UnmatchedPrincipalType",
            400,
            "The PrincipalId 'x' has type 'Group' , which is different from specified PrinciaplType 'ServicePrincipal'.",
            "set principal_type to that",
        ),
        # https://github.com/hashicorp/terraform-provider-azurerm/issues/24045, .../12079
        ("RoleAssignmentExists", 409, "The role assignment already exists.", f"--adopt {GRANT}"),
        ("InvalidPrincipalId", 400, "The principal ID is not valid.", "check principal_ids"),
        ("Conflict", 409, "Another operation is in progress.", "run again when that is over"),
        ("ResourceGroupBeingDeleted", 409, "The group is being deleted.", "choose another resource_group"),
        ("NobodyKnowsIt", 400, "Something is wrong.", "change what Azure names"),
    ],
)
def test_each_refusal_says_what_to_do(
    azure: AzureSandbox, azure_stand_in: Server, code: str, status: int, message: str, hint: str
) -> None:
    azure.apply(azure.document("app-a"))
    plan = azure.plan(granted(azure))
    azure_stand_in.behaviours.append(Answers("roleAssignments:PUT", lambda call: refused(status, code, message)))
    (outcome,) = azure.carry_out(plan)
    said, _, todo = outcome.message.partition("\n")
    assert f"{code}: {message}" in said
    assert hint in todo


@pytest.mark.parametrize(
    ("message", "namespace"),
    [
        (
            "The subscription is not registered to use namespace 'Microsoft.ManagedIdentity'.",
            "Microsoft.ManagedIdentity",
        ),
        ("The subscription is not registered.", "Microsoft.ManagedIdentity"),
    ],
)
def test_the_provider_that_is_not_registered_is_the_one_of_the_hint(
    azure: AzureSandbox, azure_stand_in: Server, message: str, namespace: str
) -> None:
    """https://github.com/nforgeio/neonKUBE/issues/1670, https://github.com/Azure/msrestazure-for-python/issues/53: 409, and which one
    it is stands in the message."""
    answer = refused(409, "MissingSubscriptionRegistration", message)
    azure_stand_in.behaviours.append(Answers("userAssignedIdentities:PUT", lambda call: answer))
    outcomes = azure.carry_out(azure.plan(azure.document("app-a")))
    (said,) = [outcome.message for outcome in outcomes if outcome.address == "images.identity.pull"]
    assert f"--namespace {namespace} " in said


def test_a_registry_whose_provider_is_not_registered_says_which(azure: AzureSandbox, azure_stand_in: Server) -> None:
    message = "The subscription is not registered to use namespace 'Microsoft.ContainerRegistry'."
    answer = refused(409, "MissingSubscriptionRegistration", message)
    azure_stand_in.behaviours.append(Answers("registries:PUT", lambda call: answer))
    failed = [item.message for item in azure.carry_out(azure.plan(azure.document("app-a"))) if item.message]
    assert "--namespace Microsoft.ContainerRegistry " in failed[0]
