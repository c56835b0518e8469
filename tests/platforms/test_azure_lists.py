"""What Azure answers that a plan or an apply must not take for something else: lists without an end, pages that come twice, a 404 to
what is written, and a scope map that another run made meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from reconciler.engine.write import Outcome, Status
from reconciler.errors import PlatformError, ReadFailed
from reconciler.model.kind import UNCOUNTED
from reconciler.platforms.azure import lists
from reconciler.platforms.azure.notes import Notes
from tests.emulators.azure import Fails, Server
from tests.emulators.azure.cloud import find
from tests.emulators.azure.wire import asked
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.base import Document

LISTS = ["roleAssignments:list", "userAssignedIdentities:list", "scopeMaps:list", "tokens:list", "replications:list"]


@dataclass
class Edited:
    """The answers of an operation, changed. `edit`: the true answer's body and the call, to the body that is answered."""

    server: Server
    operation: str
    edit: Callable[[Document, Call], Document]
    calls: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        self.calls += 1
        query = "&".join(f"{key}={quote(value)}" for key, value in call.body["query"].items() if key != "again")
        found = find(asked("GET", f"{call.body['path']}?{query}", {}, b""))
        assert found is not None
        return Answer(200, self.edit(dict(self.server.cloud.answer(found).body), call))

    def after(self, call: Call) -> Answer | None:
        return None


def test_a_list_whose_pages_repeat_is_an_error(azure: AzureSandbox, azure_stand_in: Server) -> None:
    document = azure.rich_document()
    azure.apply(document)
    here = azure_stand_in.url

    def same(body: Document, call: Call) -> Document:
        return {**body, "nextLink": f"{here}{call.body['path']}?api-version=2025-11-01&again=1"}

    def other(body: Document, call: Call) -> Document:
        number = int(call.body["query"].get("again", 0)) + 1
        return {**body, "nextLink": f"{here}{call.body['path']}?api-version=2025-11-01&again={number}"}

    for operation in LISTS:
        for edit, most in ((same, 2), (other, lists.FRUITLESS + 1)):
            edited = Edited(azure_stand_in, operation, edit)
            azure_stand_in.behaviours[:] = [edited]
            with pytest.raises(ReadFailed) as raised:
                azure.plan(document)
            (cause,) = raised.value.failures.values()
            assert isinstance(cause, PlatformError)
            assert (cause.operation, cause.code) == (operation, "EndlessList")
            assert cause.message == "the pages of this list come again and again, so that it has no end"
            assert edited.calls <= most


@pytest.mark.parametrize("operation", LISTS)
def test_what_two_pages_have_is_listed_once(azure: AzureSandbox, azure_stand_in: Server, operation: str) -> None:
    document = azure.rich_document()
    azure.apply(document)

    def twice(body: Document, call: Call) -> Document:
        again = [{**item, "id": item["id"].upper()} for item in body["value"]]
        return {**body, "value": [*again, *body["value"]]}

    edited = Edited(azure_stand_in, operation, twice)
    azure_stand_in.behaviours[:] = [edited]
    plan = azure.plan(document)
    assert edited.calls
    assert (plan.changes, plan.foreign, plan.problems) == ((), (), ())


def test_pages_may_be_empty_and_an_item_counts_as_it_came_last() -> None:
    pages: list[tuple[list[dict[str, Any]], str | None]] = [
        ([{"id": "/A", "v": 1}], "2"),
        ([], "3"),
        ([{"id": "/a", "v": 2}, {"v": 3}, {"v": 3}], "4"),
        ([{"id": "/b", "v": 4}], None),
    ]
    found = lists.resources("images", "tokens:list", pages)
    assert [item["v"] for item in found] == [2, 3, 3, 4]


# -- a 404 to what is written


WRITTEN = [
    "roleAssignments:PUT",
    "replications:PUT",
    "scopeMaps:PUT",
    "tokens:PUT",
    "userAssignedIdentities:PUT",
    "registries:PUT",
]
CHANGED = ["roleAssignments:PUT", "scopeMaps:PATCH", "userAssignedIdentities:PATCH", "registries:PATCH"]


def failed(outcomes: list[Outcome]) -> Outcome:
    (found,) = [item for item in outcomes if item.status is Status.FAILED]
    return found


@pytest.mark.parametrize("operation", WRITTEN)
def test_a_404_to_what_is_made_keeps_what_azure_said(
    azure: AzureSandbox, azure_stand_in: Server, operation: str
) -> None:
    plan = azure.plan(azure.rich_document())
    azure_stand_in.behaviours.append(Fails(operation, "404"))
    found = [item for item in azure.carry_out(plan) if item.status is Status.FAILED]
    assert found
    for item in found:
        assert "Failed: It failed." in item.message
        assert "request id" in item.message
        assert "what it is in, or what it names, is gone or not yet seen everywhere: make a new plan" in item.message
        assert "did not converge" not in item.message


@pytest.mark.parametrize("operation", CHANGED)
def test_a_404_to_what_is_changed_keeps_what_azure_said(
    azure: AzureSandbox, azure_stand_in: Server, operation: str
) -> None:
    before, after = azure.rich_document(), azure.rich_document()
    azure.apply(before)
    after["registries"][0]["labels"] = {"team": "b"}
    after["grants"][1]["repositories"] = ["app-a"]
    after["grants"][2]["repositories"] = ["app-a"]
    for item in azure.cloud.identities.values():
        item.tags["reconciler-applied"] = "v1-0000000000000000"
    plan = azure.plan(after)
    azure_stand_in.behaviours.append(Fails(operation, "404"))
    message = failed(list(azure.carry_out(plan))).message
    assert "Failed: It failed." in message
    assert "did not converge" not in message


# -- two applies at once


@pytest.mark.parametrize(
    ("there", "one", "other"),
    [
        ((), ("app-1",), ("app-2", "app-3")),
        (("app-0",), ("app-0", "app-1"), ("app-0", "app-2")),
        (("app-0",), ("app-0", "app-1"), ()),
    ],
)
def test_notes_of_two_applies_at_once_outlive_both(
    azure: AzureSandbox,
    there: tuple[str, ...],
    one: tuple[str, ...],
    other: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second reads the notes, then the first writes its own and is done, then the second writes."""
    azure.apply(azure.document(*there))
    first, second = azure.plan(azure.document(*one)), azure.plan(azure.document(*other))
    read = Notes._read
    ran: list[bool] = []

    def late(self: Notes, *args: Any) -> Any:
        if not ran:
            ran.append(True)
            assert {item.status for item in azure.carry_out(first)} == {Status.DONE}
        return read(self, *args)

    monkeypatch.setattr(Notes, "_read", late)
    assert {item.status for item in azure.carry_out(second)} == {Status.DONE}
    assert azure.repository_names() == {*one, *other} - ({*there} - {*other})


class EndlessCatalog:
    """A catalog whose next page is the same again."""

    calls = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != "data:catalog":
            return None
        self.calls += 1
        return Answer(200, {"repositories": ["app-a"]}, headers={"Link": '</acr/v1/_catalog?last=app-a>; rel="next"'})

    def after(self, call: Call) -> Answer | None:
        return None


def test_a_catalog_whose_pages_repeat_counts_nothing(azure: AzureSandbox, azure_stand_in: Server) -> None:
    azure.apply(azure.document("app-a"))
    azure.push_image("app-a")
    catalog = EndlessCatalog()
    azure_stand_in.behaviours.append(catalog)
    plan = azure.plan(azure.document("app-a"), destroy=True)
    (change,) = (item for item in plan.changes if item.kind == "registry")
    server = azure_stand_in.url.removeprefix("https://")
    assert f"its images can't be counted: the pages of the catalog of {server} come again and again" in change.notes
    assert change.images == UNCOUNTED
    assert catalog.calls == 2
