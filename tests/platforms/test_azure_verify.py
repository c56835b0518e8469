"""Verifying on Azure, whose lists may lag behind what was written."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from reconciler.engine.write import Outcome, Status
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import RESOURCE, AzureSandbox
from tests.sandbox.base import Document

LISTED = {
    "assignment": ("roleAssignments:list", f"{RESOURCE}/providers/Microsoft.Authorization/roleAssignments"),
    "repository": ("scopeMaps:list", f"{RESOURCE}/scopeMaps"),
    "registry": ("registries:GET", RESOURCE),
}


class Behind:
    """A list that answers what it held before, `times` times once something was written."""

    def __init__(self, azure: AzureSandbox, kind: str, times: int) -> None:
        self.kind, self.times, self.asked = kind, times, 0
        self.operation, path = LISTED[kind]
        self.before_it: Any = azure.call("GET", path)
        self.written = False

    def on_outcome(self, outcome: Outcome) -> None:
        self.written = self.written or outcome.address.kind == self.kind

    def before(self, call: Call) -> Answer | None:
        if not self.written or call.operation != self.operation or self.asked == self.times:
            return None
        self.asked += 1
        return Answer(200, self.before_it)

    def after(self, call: Call) -> Answer | None:
        return None


def specs(azure: AzureSandbox, kind: str) -> tuple[Document, Document]:
    """Two that differ in one resource of the kind."""

    def grant(name: str) -> tuple[Document, ...]:
        return ({"name": "one", "repositories": [name], "to": azure.target("1")},)

    names = ["app-a", "app-b"]
    if kind == "assignment":
        return azure.document(*names, grants=grant("app-a")), azure.document(*names, grants=grant("app-b"))
    if kind == "repository":
        return azure.document("app-a"), azure.document({"name": "app-a", "protect": True})
    return azure.document("app-a"), azure.document("app-a", registry={"labels": {"team": "a"}})


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("times", [1, 2])
def test_a_list_that_lags_behind_is_asked_again(azure: AzureSandbox, kind: str, times: int) -> None:
    first, then = specs(azure, kind)
    azure.apply(first)
    plan = azure.plan(then)
    assert [change.kind for change in plan.changes] == [kind]
    lags = Behind(azure, kind, times)
    azure.server.behaviours.append(lags)
    (outcome,) = azure.carry_out(plan, verify=True, on_outcome=lags.on_outcome)
    assert (outcome.status, lags.asked) == (Status.DONE, times)


def test_one_that_never_catches_up_fails(azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.session.AzureSession.behind", 0.5)
    first, then = specs(azure, "assignment")
    azure.apply(first)
    lags = Behind(azure, "assignment", -1)
    azure.server.behaviours.append(lags)
    outcome = azure.carry_out(azure.plan(then), verify=True, on_outcome=lags.on_outcome)[-1]
    assert (outcome.status, outcome.message) == (
        Status.FAILED,
        'did not converge: repositories is "app-a", not "app-b"',
    )
    assert lags.asked > 1


def test_a_stop_ends_the_waiting(azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.platforms.azure.session.AzureSession.behind", 1e6)
    first, then = specs(azure, "assignment")
    azure.apply(first)
    plan, stop = azure.plan(then), Event()

    class Stops(Behind):
        """Asks for a stop once the list is asked for the second time."""

        def before(self, call: Call) -> Answer | None:
            answer = super().before(call)
            if self.asked == 2:
                stop.set()
            return answer

    lags = Stops(azure, "assignment", -1)
    azure.server.behaviours.append(lags)
    (outcome,) = azure.carry_out(plan, verify=True, stop=stop, on_outcome=lags.on_outcome)
    assert (outcome.status, lags.asked) == (Status.DONE, 2)
