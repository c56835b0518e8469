"""Outcomes in words and as JSON values."""

from __future__ import annotations

import pytest

from reconciler.engine.write import Outcome, Status
from reconciler.model.address import Address
from reconciler.model.change import Action
from reconciler.places import Place
from reconciler.render.outcome import closing_line, outcome_line, outcome_record

PLACES = (Place("grant", "one", "registry.yaml", 9, 5), Place("grant", "two", "more.yaml", 1, 3))
DONE = Outcome(Address("box.repository.app"), Action.CREATE, Status.DONE, seconds=0.1234)
FAILED = Outcome(Address("box.access.app"), Action.UPDATE, Status.FAILED, "refused", 1.0, "id-1", PLACES)


def test_an_outcome_is_a_line_and_an_error_names_the_lines_of_its_grants() -> None:
    assert outcome_line(DONE) == "  + box.repository.app created (0.1 s)"
    assert outcome_line(FAILED).splitlines() == [
        "  ~ box.access.app FAILED: refused",
        "      grant one at registry.yaml:9:5",
        "      grant two at more.yaml:1:3",
    ]


@pytest.mark.parametrize("action", Action)
def test_every_action_has_a_word_for_done(action: Action) -> None:
    line = outcome_line(Outcome(Address("box.repository.app"), action, Status.DONE))
    assert line.endswith(f" {action.value.removesuffix('e')}ed (0.0 s)")


def test_the_record_has_only_what_there_is() -> None:
    assert outcome_record(DONE) == {
        "address": "box.repository.app",
        "action": "create",
        "status": "done",
        "seconds": 0.123,
    }
    assert outcome_record(FAILED)["message"] == "refused"
    assert outcome_record(FAILED)["request_id"] == "id-1"


def test_the_closing_line_counts_each_status_that_there_is() -> None:
    assert closing_line([FAILED, DONE, DONE], interrupted=False) == "Apply: 2 done, 1 failed."
    assert closing_line([FAILED, DONE, DONE], interrupted=False, destroy=True) == "Destroy: 2 done, 1 failed."
    skipped = Outcome(Address("box.access.app"), Action.UPDATE, Status.SKIPPED)
    assert closing_line([DONE, skipped], interrupted=True) == "Interrupted: 1 done, 1 skipped."
