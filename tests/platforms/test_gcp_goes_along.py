"""What others put on a repository and goes with it is named before it goes, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import Plan, loads
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.model.change import Action, Change
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.gcp import Fails, Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, LOCATION, PROJECT, GcpSandbox, key

REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
UNTAGGED = {"action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "86400s"}}
NEWEST = {"action": "KEEP", "mostRecentVersions": {"keepCount": 5}}
AUDITS = [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}]
ONE = (
    'somebody else\'s label goes with it: cost="42"',
    "somebody else's cleanup policy goes with it: 'theirs' (delete untagged images older than 1 day)",
)
SEVERAL = (
    'somebody else\'s labels go with it: cost="42", team="infra"',
    "somebody else's cleanup policies go with it: 'newest' (keep the 5 newest of each image), 'theirs' (delete untagged images"
    " older than 1 day)",
    "somebody else's audit configuration in its IAM policy goes with it: allServices",
)


def document_of(gcp: GcpSandbox, **registry: str) -> Document:
    row = {"name": "app-a", "labels": {"team": "shop"}, "retention": {"keep_last": 3}}
    return gcp.document(row, registry=registry, guards={"max_deletes": "100%"})


def theirs(gcp: GcpSandbox, *, several: bool = False) -> None:
    """A repository of the spec, on which others have something too; with `several` under the key of a label of the spec too."""
    if several:
        gcp.apply(gcp.document("app-a"))
        gcp.put_foreign_tag("app-a", "team", "infra")
    gcp.apply(document_of(gcp))
    gcp.put_foreign_tag("app-a", "cost", "42")
    more = {"theirs": UNTAGGED, **({"newest": NEWEST} if several else {})}
    gcp.estate.change(REPOSITORY, "cleanupPolicies", lambda found: {**found, **more})
    if several:
        policy = {**gcp.estate.policy(REPOSITORY), "version": 3, "auditConfigs": AUDITS}
        gcp.estate.call("POST", f"{REPOSITORY}:setIamPolicy", {"policy": policy})


def going(gcp: GcpSandbox, how: str) -> Plan:
    """A plan that deletes the repository."""
    if how == "destroyed":
        return gcp.plan(document_of(gcp), destroy=True)
    document = document_of(gcp, **{"location": {"location": ELSEWHERE}, "layout": {"layout": "shared"}}.get(how, {}))
    if how == "removed":
        document["repositories"] = []
    if how == "retired":
        document["registries"][0]["retired"] = True
    return gcp.plan(document)


def repository_of(plan: Plan) -> Change:
    (found,) = (item for item in plan.changes if item.kind == "repository" and item.live is not None)
    return found


@pytest.mark.parametrize("how", ["removed", "location", "layout", "retired", "destroyed"])
@pytest.mark.parametrize(("several", "said"), [(False, ONE), (True, SEVERAL)])
def test_labels_and_policies_of_others_that_go_are_named_however_the_repository_goes(
    gcp: GcpSandbox, how: str, several: bool, said: tuple[str, ...]
) -> None:
    theirs(gcp, several=several)
    plan = going(gcp, how)
    change = repository_of(plan)
    assert (change.action, change.notes) == (Action.DELETE, said)
    assert all(f"        {note}\n" in joined(plan_lines(report_of(plan))) for note in said)
    assert dumps(loads(dumps(plan))) == dumps(plan)
    # what is put there later was not named, so the repository stays
    gcp.put_foreign_tag("app-a", "later", "1")
    outcomes = {item.address: item for item in gcp.carry_out(plan)}
    assert outcomes[change.address].status is Status.STALE
    assert outcomes[change.address].message == "what others keep in the same document changed"
    assert gcp.tag("app-a", "later") == "1"


def test_where_others_have_nothing_there_nothing_of_theirs_is_said_to_go(gcp: GcpSandbox) -> None:
    gcp.apply(document_of(gcp))
    assert repository_of(going(gcp, "location")).notes == ()


@pytest.mark.parametrize("fields", [{"release": True}, {"encryption": key("one")}, {"description": "x"}])
def test_what_stays_or_is_restored_is_not_said_to_go(gcp: GcpSandbox, fields: Document) -> None:
    theirs(gcp, several=True)
    document = document_of(gcp)
    document["repositories"][0].update(fields)
    assert not any("goes with it" in note or "go with it" in note for note in repository_of(gcp.plan(document)).notes)


def test_a_delete_says_that_what_waits_to_be_restored_is_not(gcp: GcpSandbox, stand_in: Server) -> None:
    theirs(gcp)
    document = document_of(gcp)
    document["repositories"][0]["encryption"] = key("one")
    stand_in.behaviours.append(Fails("UpdateRepository", "INVALID_ARGUMENT", times=-1))
    plan = gcp.plan(document, allow_delete=["images.repository.app-a"])
    assert any("the next apply restores it" in item.message for item in gcp.carry_out(plan))
    stand_in.behaviours.clear()
    change = repository_of(going(gcp, "removed"))
    (kept,) = Path(gcp.rescue).glob("reconciler-rescue-*")
    waits = """label cost="42"; cleanup policy 'theirs'"""
    first, *rest = change.notes
    assert first.startswith(f"a replacement was interrupted: what others put on it ({waits}) is kept in {kept} (")
    assert rest == ["that file is deleted with it, and nothing in it is restored", ONE[0]]
    gcp.carry_out(going(gcp, "removed"))
    assert not kept.exists()
