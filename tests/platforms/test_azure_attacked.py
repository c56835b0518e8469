"""Attacks on Azure that came through once: hands, forgeries, operations that are not seen, tiers without room."""

from __future__ import annotations

from reconciler import Plan
from reconciler.platforms.azure import roles
from reconciler.platforms.azure.assignment_settings import native_names
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.azure import RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import principal


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
