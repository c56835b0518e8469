"""What others had on a replication that failed and is made anew waits in a file: each plan names it, and an apply clears it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler import loads
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import ReadFailed
from reconciler.model.change import Action
from reconciler.platforms.rescue import GOES_ALONG, Rescue
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import Server
from tests.emulators.azure.state import Resource
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

from .test_azure_states import Refuses

AT = "images.replication.northeurope"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def of(azure: AzureSandbox) -> Resource:
    return azure.acr.replications["northeurope"]


def files(azure: AzureSandbox) -> list[Path]:
    return list(Path(azure.rescue).iterdir())


@pytest.fixture
def document(azure: AzureSandbox) -> Document:
    found = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    azure.apply(found)
    there = of(azure)
    there.state, there.tags["cost-center"] = "Failed", "42"
    return found


def killed_before_the_drop(azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Rescue, "drop", lambda *_: None)
        azure.apply(document)


def refused(azure: AzureSandbox, document: Document, verb: str) -> None:
    azure.server.behaviours.append(Refuses(f"replications:{verb}", 1))
    (outcome,) = azure.carry_out(azure.plan(document))
    assert outcome.status is Status.FAILED
    azure.server.behaviours.clear()


def said(azure: AzureSandbox, what: str = "tag cost-center") -> str:
    (file,) = files(azure)
    return f"a replacement was interrupted: what others put on it ({what}) is kept in {file} ("


def test_a_file_that_stayed_after_all_was_put_back_is_named_and_cleared_by_the_next_apply(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_drop(azure, document, monkeypatch)
    plan = azure.plan(document)
    (change,) = plan.changes
    assert (change.address, change.action, change.fields) == (AT, Action.UPDATE, ())
    assert change.notes[0].startswith(said(azure))
    assert said(azure) in words(plan)
    assert loads(dumps(plan)).changes == plan.changes
    azure.apply(document)
    assert (of(azure).tags["cost-center"], files(azure)) == ("42", [])
    assert azure.plan(document).changes == ()
    of(azure).state = "Failed"
    del of(azure).tags["cost-center"]
    azure.apply(document)
    assert "cost-center" not in of(azure).tags, "what somebody took away since does not come back"


def test_a_delete_that_is_refused_leaves_no_file(azure: AzureSandbox, document: Document) -> None:
    """All of it still stands on the replication, and whoever takes it away from there means it."""
    refused(azure, document, "DELETE")
    assert (of(azure).tags["cost-center"], files(azure)) == ("42", [])


def test_a_delete_that_is_refused_keeps_a_file_that_was_there_before(azure: AzureSandbox, document: Document) -> None:
    there = of(azure)
    refused(azure, document, "PUT")
    there.state, there.tags = "Failed", {key: value for key, value in there.tags.items() if key != "cost-center"}
    azure.acr.replications["northeurope"] = there
    refused(azure, document, "DELETE")
    assert said(azure) in words(azure.plan(document))
    azure.apply(document)
    assert (of(azure).tags["cost-center"], files(azure)) == ("42", [])


def test_a_replication_that_was_not_made_again_is_planned_with_what_waits_for_it(
    azure: AzureSandbox, document: Document
) -> None:
    of(azure).properties["zoneRedundancy"] = "Enabled"
    refused(azure, document, "PUT")
    plan = azure.plan(document)
    (change,) = plan.changes
    assert change.action is Action.CREATE
    assert change.notes[0].startswith(said(azure, "tag cost-center; its place in all zones"))
    assert loads(dumps(plan)).changes == plan.changes
    assert [item.status for item in azure.carry_out(plan, saved=True)] == [Status.DONE]
    assert of(azure).properties["zoneRedundancy"] == "Enabled"
    assert (of(azure).tags["cost-center"], files(azure)) == ("42", [])
    assert azure.plan(document).changes == ()


def test_a_file_whose_region_left_the_spec_is_named_by_each_plan_until_somebody_removes_it(
    azure: AzureSandbox, document: Document
) -> None:
    refused(azure, document, "PUT")
    (file,) = files(azure)
    for without in (azure.document("app-a", registry={"sku": "Premium"}), azure.document("app-a")):
        assert list(azure.plan(without).warnings) == [
            f"a replacement of {RESOURCE}/replications/northeurope was interrupted: what others put on it (tag cost-center) is kept"
            f" in {file}. No apply puts it back, since the spec has no replication of its own there: put back by hand what is still"
            " needed, then delete the file"
        ]
    assert azure.plan(azure.document("app-a", registry={"registry_name": "acmeothers"})).warnings == ()
    file.write_text("{")
    (warning,) = azure.plan(without).warnings
    assert warning.startswith(
        f"{file}, which keeps what others put on a replication before it was replaced, can't be read: "
    )
    file.unlink()
    assert azure.plan(without).warnings == ()


def test_a_file_goes_with_its_replication_and_the_plan_says_so(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_drop(azure, document, monkeypatch)
    without = azure.document("app-a", registry={"sku": "Premium"}, guards={"max_deletes": "100%"})
    plan = azure.plan(without)
    (change,) = plan.changes
    first, second = change.notes[:2]
    assert first.startswith(said(azure))
    assert second == GOES_ALONG
    assert {item.status for item in azure.carry_out(plan)} == {Status.DONE}
    assert files(azure) == []


def test_what_waits_is_put_back_on_a_replication_that_is_let_go_of(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_drop(azure, document, monkeypatch)
    del of(azure).tags["cost-center"]
    plan = azure.plan(document, release=[f"images.registry.{NAME}"])
    assert {item.status for item in azure.carry_out(plan)} == {Status.DONE}
    assert of(azure).tags == {"cost-center": "42"}
    assert files(azure) == []


@pytest.mark.parametrize(("content", "why"), [({"tags": {"reconciler-owner": "x"}}, "reserved"), ({"x": 1}, "x")])
def test_a_file_that_says_what_is_never_kept_is_an_error(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch, content: dict[str, Any], why: str
) -> None:
    killed_before_the_drop(azure, document, monkeypatch)
    (file,) = files(azure)
    file.write_text(json.dumps({**json.loads(file.read_text()), "others": content}))
    with pytest.raises(ReadFailed, match=f"was not written by reconciler: .*{why}"):
        azure.plan(document)


def test_a_tag_in_another_casing_is_the_same_tag(
    azure: AzureSandbox, document: Document, azure_stand_in: Server
) -> None:
    there = of(azure)
    refused(azure, document, "PUT")
    there.state, there.tags = "Succeeded", {"Cost-Center": "43"}
    azure.acr.replications["northeurope"] = there
    azure.apply(document, adopt=[AT])
    assert {key: value for key, value in of(azure).tags.items() if key.lower() == "cost-center"} == {
        "Cost-Center": "43"
    }
    assert files(azure) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("reconciler-registry", "other"), ("reconciler-origin", "byhand"), ("reconciler-owner", "somebody")],
)
def test_a_file_of_a_replication_that_no_plan_changes_is_named_all_the_same(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    killed_before_the_drop(azure, document, monkeypatch)
    of(azure).tags[key] = value
    (file,) = files(azure)
    assert any(f"kept in {file}. No apply puts it back" in item for item in azure.plan(document).warnings)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("comes", [True, False])
def test_a_file_that_came_or_went_since_the_plan_is_why_it_is_stale(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch, there: bool, comes: bool
) -> None:
    if there:
        killed_before_the_drop(azure, document, monkeypatch)
        of(azure).properties["regionEndpointEnabled"] = False
    else:
        refused(azure, document, "PUT")
    (file,) = files(azure)
    away = file.rename(Path(azure.rescue).with_name("away")) if comes else file
    plan = azure.plan(document)
    if comes:
        away.rename(file)
    else:
        file.unlink()
    (outcome,) = azure.carry_out(plan)
    assert (outcome.status, outcome.message) == (
        Status.STALE,
        "what waits in a file to be put back on it changed since the plan was made",
    )
