"""Conditions of Azure's role assignments that are not understood, and text that is made to harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.platforms.azure.condition import meaning
from tests.azure_conditions import NAME, READ, READER, is_, names, one, under


@pytest.mark.parametrize(
    "expression",
    [
        # operators that mind the case grant less than ours
        f"{NAME} StringEquals 'web'",
        f"{NAME} StringStartsWith 'team/'",
        f"{NAME} StringLike 'team/*'",
        f"{NAME} ForAnyOfAnyValues:StringEquals {{'web'}}",
        f"{is_('web')} OR {NAME} StringEquals 'web'",
        # more than names and prefixes can say
        f"!({is_('web')})",
        f"{NAME} StringNotEqualsIgnoreCase 'web'",
        f"{under('t/')} AND !{is_('t/a')}",
        f"{under('t/')} AND !{under('t/s/')}",
        under("app-"),
        f"{under('app-')} OR {is_('web')}",
        f"{NAME} StringLikeIgnoreCase '*'",
        f"{NAME} StringLikeIgnoreCase 'app*'",
        f"{NAME} StringLikeIgnoreCase 'a*b'",
        f"{NAME} StringLikeIgnoreCase '*/*'",
        f"{NAME} StringLikeIgnoreCase 'a?'",
        f"{NAME} StringLikeIgnoreCase 'a\\*'",
        f"{NAME} ForAnyOfAnyValues:StringLikeIgnoreCase {{'t/*', 'a*'}}",
        is_("a*"),
        is_("t/*"),
        under("t/*"),
        # cross products that aren't documented, or say something else of a name that isn't there
        f"{NAME} ForAnyOfAnyValues:StringStartsWithIgnoreCase {{'t/'}}",
        f"{NAME} ForAllOfAnyValues:StringEqualsIgnoreCase {{'a'}}",
        f"{NAME} ForAnyOfAllValues:StringEqualsIgnoreCase {{'a', 'b'}}",
        f"{NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase 'a'",
        f"{NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase {{}}",
        f"{NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase {{'a',}}",
        f"{NAME} StringEqualsIgnoreCase {{'a', 'b'}}",
        # other sources, attributes, functions
        f"{is_('web')} AND @Environment[UtcNow] DateTimeLessThan '2027-01-01T00:00:00.0Z'",
        f"{is_('web')} OR @Environment[isPrivateLink] BoolEquals true",
        f"{is_('web')} AND @Principal[Microsoft.Directory/CustomSecurityAttributes/Id:A_b] StringEquals 'c'",
        f"Exists {NAME}",
        "SubOperationMatches{'Blob.List'}",
        is_("web").replace("@Request", "@Resource"),
        is_("web").replace(":name", ":tag"),
        f"'web' StringEqualsIgnoreCase {NAME}",
        f"{NAME} StringEqualsIgnoreCase {NAME}",
        "true",
        # Azure wants parentheses here
        f"{is_('a')} OR {is_('b')} AND {is_('c')}",
        f"{is_('a')} && {is_('b')} || {is_('c')}",
        # texts
        is_(""),
        is_("it\\'s"),
        is_("it''s"),
        is_("a b"),
        is_("stra\u00dfe"),
        is_("\u212ait"),
        is_("a\x00"),
        is_("web").replace("'", '"'),
        is_("web").replace("'", "\u2019"),
        is_("web").removesuffix("'"),
        # keywords are as documented
        f"{is_('a')} or {is_('b')}",
        f"not ({is_('a')})",
        is_("a").replace("StringEqualsIgnoreCase", "stringequalsignorecase"),
        f"{is_('a')} ORx {is_('b')}",
        f"{is_('a')}\u00a0OR {is_('b')}",
        # no condition
        "",
        "()",
        f"{is_('a')} OR",
        f"OR {is_('a')}",
        f"{is_('a')} {is_('b')}",
        f"{is_('a')} NOT {is_('b')}",
        f"({is_('a')}",
        f"{is_('a')})",
        f"{is_('a')}) OR ({is_('b')}) AND ({is_('c')}",
        f"{is_('a')} ()",
        "!",
        f"{is_('a')} ;",
    ],
)
def test_what_is_not_understood_says_nothing(expression: str) -> None:
    assert one(expression) == "?"


@pytest.mark.parametrize(
    "condition", ["", " ", "\n", "(", ")", ")(", "()", "!", "NOT", "AND", "'", "\ud800", "ActionMatches{'*'"]
)
def test_what_is_no_condition_says_nothing(condition: str) -> None:
    assert meaning(condition, READER) is None


MANY = 100_000


@pytest.mark.parametrize(
    ("condition", "understood"),
    [
        ("(" * MANY + is_("web") + ")" * MANY, True),
        ("!(" * MANY + is_("web") + ")" * MANY, True),
        ("NOT " * MANY + is_("web"), True),
        ("(" * MANY, False),
        (")" * MANY, False),
        ("()" * MANY, False),
        ("(" * MANY + is_("web") + ")" * (MANY - 1), False),
        (" " * MANY, False),
        (" " * MANY + is_("web") + "\n" * MANY, True),
        (is_("web") + " " * MANY + "x", False),
        (is_("a" * MANY).removesuffix("'"), False),
        (f"{NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase {{'a'" + " , 'a'" * 25_000, False),
        (f"ActionMatches{{'{'a*' * (MANY // 2)}'}} OR {is_('web')}", True),
        (f"ActionMatches{{'{'*' * MANY}b'}} OR {is_('web')}", True),
        (" OR ".join([is_("web")] * 1_200), True),
        (f"{NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase {{'web'" + ",'web'" * 20_000 + "}", True),
    ],
)
def test_hostile_text_is_read_once_and_without_the_stack(condition: str, understood: bool) -> None:
    assert meaning(condition, [READ]) == ({READ: names("web")} if understood else None)


@given(st.text("()!{}' aOR\n*@", max_size=60))
def test_any_text_is_answered(text: str) -> None:
    found = meaning(text, READER)
    assert found is None or set(found) == set(READER)
