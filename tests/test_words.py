"""Words that all rooms use."""

from __future__ import annotations

import json
import pickle

import pytest

from reconciler.words import Named, duration, in_utf8, one_line, value


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


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (None, "(none)"),
        ([], "(none)"),
        ({}, "(none)"),
        (True, "true"),
        (7, "7"),
        ("7", '"7"'),
        (["a"], '"a"'),
        (["a", "b"], '"a" and "b"'),
        (["a", "b", "c"], '"a", "b", and "c"'),
        ({"except": ["latest", "dev"]}, 'except ("latest" and "dev")'),
        ({"a b": {"c": 1, "d": "x"}, "e": False}, 'a b (c 1, d "x"), e false'),
        (Named("1", "account 1"), "account 1"),
        ([Named("1", "account 1"), Named("*", "anyone")], "account 1 and anyone"),
        (Named("x", "account 1 → everyone"), '"account 1 → everyone"'),
        (Named("x", "a (live), b (spec)"), '"a (live), b (spec)"'),
        (Named("x", 'role "a"'), """'role "a"'"""),
        (Named("x", "a\nb"), '"a\\nb"'),
    ],
)
def test_a_value_is_shown_in_words(item: object, shown: str) -> None:
    assert value(item) == shown


def test_what_has_words_is_its_value_everywhere_else() -> None:
    named = Named("1", "account 1")
    assert (named == "1", json.dumps([named]), hash(named)) == (True, '["1"]', hash("1"))
    copied = pickle.loads(pickle.dumps(named))
    assert (copied, copied.words) == ("1", "account 1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x\udcff/é", "x\\xff/é"),
        ("\udc80", "\\x80"),
        ("\ud800", "\\ud800"),
        ("\udc7f", "\\udc7f"),
        ("a\\b", "a\\b"),
        ("", ""),
    ],
)
def test_a_byte_that_is_no_utf_8_is_shown_as_one(text: str, shown: str) -> None:
    assert in_utf8(text) == one_line(text) == shown
    assert in_utf8(shown) == shown
