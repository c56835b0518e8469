"""Attacks on Azure that came through once: hands, forgeries, operations that are not seen, tiers without room."""

from __future__ import annotations

import copy
import os
from contextlib import closing
from typing import Any

import pytest

from reconciler import Plan, dumps, loads
from reconciler.engine.write import Status
from reconciler.errors import PlatformError
from reconciler.model.platform import Estate
from reconciler.platforms.azure import roles
from reconciler.platforms.azure.assignment_settings import native_names
from reconciler.platforms.azure.passwords import IssuingSession
from reconciler.platforms.azure.rules import MODES
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from reconciler.review.make import planned
from tests.emulators.azure import Answers, Server, refused
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document

REGISTRY = f"images.registry.{NAME}"


def filled(azure: AzureSandbox, left: int) -> None:
    """Others have so many scope maps that a Basic registry has room for so many more."""
    number = 0
    while len([name for name in azure.acr.scope_maps if not name.startswith("_")]) < 100 - left:
        said = {"actions": ["repositories/x/content/read"]}
        azure.call("PUT", f"{RESOURCE}/scopeMaps/other{number:04}", {"properties": said})
        number += 1


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def test_whoever_has_an_assignment_without_names_of_grants_loses_access_with_it(azure: AzureSandbox) -> None:
    document = azure.document("app-a", grants=({"name": "one", "to": azure.target("1")},))
    azure.apply(document)
    (found,) = (item for item in azure.cloud.assignments.values() if item.principal == principal(1))
    found.properties["description"] = found.properties["description"].replace(" grants=one", "")
    text = words(azure.plan({**document, "grants": []}))
    # its condition is for one repository: none of the registry's identities ever has one
    assert "gone since" not in text
    assert f"service principal {principal(1)} can no longer pull app-a" in text
    assert "can now pull app-a" not in words(azure.plan(document))
    found.properties.pop("condition")
    text = words(azure.plan({**document, "grants": []}))
    assert f"service principal {principal(1)} may no longer be able to pull any repository of the registry" in text
    # whoever a grant names is there
    assert f"service principal {principal(1)} can no longer pull any repository" in words(azure.plan(document))
    outcomes = azure.carry_out(loads(dumps(azure.plan(document))), saved=True)
    assert [(item.status, item.message) for item in outcomes] == [(Status.DONE, "")]
    assert azure.plan(document).changes == ()


def test_a_forged_assignment_of_ours_is_access_of_somebody(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    role = roles.of_job("abac", "push")
    assert role is not None
    marks = "reconciler: owner=tests registry=images origin=spec"
    azure.assign(STRANGER, role.guid, name=next(native_names(RESOURCE, STRANGER, role)), description=marks)
    text = words(azure.plan(azure.document("app-a")))
    assert f"service principal {STRANGER} may no longer be able to push any repository of the registry" in text
    switched = words(azure.plan(azure.document("app-a", registry={"role_assignment_mode": "legacy"})))
    (line,) = (line for line in switched.splitlines() if f"{STRANGER} on the registry counts no longer" in line)
    assert "takes its place" not in line


@pytest.mark.parametrize(("status", "code"), [(404, "ResourceNotFound"), (403, "AuthorizationFailed")])
def test_a_password_whose_operation_is_not_seen_at_once_is_handed_out_or_says_why_not(
    status: int, code: str, azure: AzureSandbox, azure_stand_in: Server
) -> None:
    """generateCredentials is a POST, of whose address there is no GET."""
    document = azure.document("app-a", grants=({"name": "partner", "to": {"type": "azure-token"}},))
    azure.apply(document)
    spec = azure.spec(document)
    path = "/providers/Microsoft.ContainerRegistry/locations/WESTEUROPE/operationResults/x?api-version=2025-11-01&s=1"
    url = f"https://{azure.cloud.here}/subscriptions/00000000-0000-0000-0000-000000000000{path}"
    made = {"name": "password1", "value": "sesame", "expiry": "2099-01-01T00:00:00Z"}
    taken = Answer(202, text="null", headers={"Location": url})
    looks: list[int] = []

    def look(call: Call) -> Answer:
        looks.append(1)
        first = refused(status, code, "It is not seen.") if len(looks) == 1 or status == 403 else None
        return first or Answer(200, {"username": "partner", "passwords": [made]})

    azure_stand_in.behaviours.append(Answers("registries:generateCredentials", lambda call: taken))
    azure_stand_in.behaviours.append(Answers("operationResults:GET", look))
    session = azure.platforms["azure"].open(Estate(spec.name, spec.base, spec.registries), spec.registries[0])
    assert isinstance(session, IssuingSession)
    with closing(session):
        if status == 404:
            assert session.credentials("*", push=False, ttl=3600, user="partner").password == "sesame"
        else:
            with pytest.raises(PlatformError, match="AuthorizationFailed"):
                session.credentials("*", push=False, ttl=3600, user="partner")


def test_an_operation_that_ends_as_not_allowed_says_so(azure: AzureSandbox) -> None:
    """The look at it is answered with 200: what is not allowed is what it did."""
    registry = {"sku": "Premium"}
    azure.apply(azure.document("app-a", registry=registry))
    azure.cloud.knobs.failing["replications"] = ("AuthorizationFailed", "The client may not do that in northeurope.")
    document = azure.document("app-a", registry={**registry, "replication_regions": ["northeurope"]})
    (outcome,) = azure.carry_out(azure.plan(document))
    assert "The client may not do that in northeurope" in outcome.message


def test_a_smaller_tier_without_room_for_a_note_that_moves_is_an_error_of_the_plan(azure: AzureSandbox) -> None:
    """The registry has it before any scope map changes."""
    azure.apply(azure.document({"name": "app-a", "protect": True}, registry={"sku": "Standard"}))
    filled(azure, 0)
    document = azure.document("app-a", registry={"sku": "Basic"})
    (problem,) = azure.plan(document).problems
    assert (problem.address, problem.message) == (
        REGISTRY,
        "while it is changed, the registry would have 101 scope maps, 1 of them for notes that go; its sku allows 100: apply with sku"
        " Standard first, and then with Basic",
    )
    azure.apply(azure.document("app-a", registry={"sku": "Standard"}))
    azure.apply(document)
    assert (azure.acr.sku, azure.plan(document).changes) == ("Basic", ())


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("QuotaExceeded", False),
        ("ScopeMapInUse", False),
        ("AnotherOperationInProgress", True),
        ("RegistryBeingDeleted", True),
    ],
)
def test_only_what_ends_by_itself_is_to_be_waited_for(
    code: str, passes: bool, azure: AzureSandbox, azure_stand_in: Server
) -> None:
    azure.apply(azure.document("app-a"))
    plan = azure.plan(azure.document("app-a", grants=({"name": "partner", "to": {"type": "azure-token"}},)))
    azure_stand_in.behaviours.append(Answers("scopeMaps:PUT", lambda call: refused(409, code, "It can't be.")))
    (failed,) = (item for item in azure.carry_out(plan) if item.status is Status.FAILED)
    assert code in failed.message
    assert ("run again when that is over" in failed.message) == passes
    assert ("choose a larger sku" in failed.message) == (code == "QuotaExceeded")


@pytest.mark.parametrize("how", ["destroy", "release"])
def test_what_waits_for_a_replication_that_is_not_there_goes_with_its_registry_and_is_named(
    how: str, azure: AzureSandbox
) -> None:
    registry = {"sku": "Premium", "replication_regions": ["northeurope"]}
    document = azure.document("app-a", registry=registry, guards={"max_deletes": "100%"})
    azure.apply(document)
    found = azure.acr.replications["northeurope"]
    found.tags["cost"], found.state = "42", "Failed"
    azure.cloud.knobs.failing["replications"] = ("RegionDown", "There is no room.")
    azure.carry_out(azure.plan(document))
    azure.cloud.knobs.failing.clear()
    assert "northeurope" not in azure.acr.replications
    (waits,) = os.listdir(azure.rescue)
    wishes: dict[str, Any] = {"destroy": True} if how == "destroy" else {"release": (REGISTRY,)}
    plan = azure.plan(document, **wishes)
    (change,) = (item for item in plan.changes if item.address == REGISTRY)
    (said,) = (note for note in change.notes if waits in note)
    assert "northeurope: a replacement was interrupted: what others put on it (tag cost) is kept in" in said
    assert "that file is deleted with it, and nothing in it is restored" in said
    assert [item for item in azure.carry_out(loads(dumps(plan)), saved=True) if item.message] == []
    assert os.listdir(azure.rescue) == []


def reviewed(azure: AzureSandbox, base: Document, head: Document) -> tuple[set[str], set[str]]:
    """Who loses access by a change of the spec, and the guards that stop it, as a review says."""
    found = planned(azure.spec(base), azure.spec(head), azure.platforms).plan
    losses = {item.principal.label for change in found.changes for item in change.losses}
    return losses, {item.guard for item in found.violations}


def there(azure: AzureSandbox, mode: str) -> None:
    """A registry that was there before."""
    said = {"roleAssignmentMode": MODES[mode]}
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Premium"}, "properties": said})


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_review_knows_that_an_adopted_registry_keeps_its_mode_where_the_spec_drops_it(
    mode: str, azure: AzureSandbox
) -> None:
    there(azure, mode)
    grants = ({"name": "one", "to": azure.target("1")},)
    base = azure.document("app-a", registry={"adopt": True, "role_assignment_mode": mode}, grants=grants)
    head = azure.document("app-a", registry={"adopt": True}, grants=grants)
    azure.apply(base)
    assert azure.plan(head).changes == ()
    assert reviewed(azure, base, head) == (set(), set())


def test_a_review_of_a_switch_of_an_adopted_registry_counts_no_more_deletes_than_the_plan(azure: AzureSandbox) -> None:
    there(azure, "abac")
    grants = ({"name": "one", "to": azure.target("1")}, {"name": "two", "to": azure.target("2")})
    base = azure.document("app-a", "app-b", registry={"adopt": True}, grants=grants)
    head = copy.deepcopy(base)
    head["registries"][0]["role_assignment_mode"] = "legacy"
    azure.apply(base)
    assert azure.plan(head).violations == ()
    assert "max_deletes" not in reviewed(azure, base, head)[1]


def test_a_plan_with_targets_needs_room_for_these_alone(azure: AzureSandbox) -> None:
    old = {"name": "earlier", "repositories": ["app-b"], "to": {"type": "azure-token"}}
    azure.apply(azure.document("app-a", "app-b", grants=(old,)))
    filled(azure, 1)
    grant = {"name": "partner", "repositories": ["app-b"], "to": {"type": "azure-token"}}
    document = azure.document({"name": "app-a", "protect": True}, "app-b", grants=(grant,))
    assert azure.plan(document).problems != ()
    targets = ("images.scope-map.partner", "images.token.partner")
    plan = azure.plan(document, targets=targets)
    assert plan.problems == ()
    assert [item for item in azure.carry_out(plan) if item.message] == []
    # and no room is left for another one
    grants = ({**grant, "name": "another"}, grant)
    document = azure.document({"name": "app-a", "protect": True}, "app-b", grants=grants)
    plan = azure.plan(document, targets=("images.scope-map.another",))
    (problem,) = plan.problems
    assert problem.message.startswith(
        "the registry would have 101 scope maps (3 of grants, 1 for notes of repositories, and 97 of"
    )


def test_targets_move_a_note_only_where_there_is_room_for_it_meanwhile(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a", "app-b"))
    filled(azure, 0)
    document = azure.document({"name": "app-a", "protect": True}, {"name": "app-b", "protect": True})
    (problem,) = azure.plan(document, targets=("images.repository.app-a",)).problems
    assert (problem.address, "101 scope maps" in problem.message) == ("images.repository.app-a", True)
