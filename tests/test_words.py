"""Words that all rooms use."""

from __future__ import annotations

import pytest

from reconciler.words import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (0.5, "0.5 seconds"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (1800.0, "30 minutes"),
        (5400, "90 minutes"),
        (7200, "2 hours"),
    ],
)
def test_a_time_is_said_in_the_largest_unit_that_it_is_a_whole_number_of(seconds: float, words: str) -> None:
    assert duration(seconds) == words
