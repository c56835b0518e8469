"""Conditions of Azure's role assignments: what is written, what is understood, and what is not."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.platforms.azure.condition import DATA_ACTIONS, MAX, Names, meaning, size, written
from tests.azure_conditions import (
    BASE,
    CONTRIBUTOR,
    LISTER,
    NAME,
    READ,
    READER,
    WRITER,
    is_,
    names,
    one,
    reading,
    under,
)

WORDS = st.text("ab01", min_size=1, max_size=3)
PATHS = st.lists(WORDS, min_size=1, max_size=3).map("/".join)
PREFIXES = PATHS.map(lambda path: f"{path}/")
NAMES = st.builds(Names, st.frozensets(PATHS, max_size=6), st.frozensets(PREFIXES, max_size=4))
SOME = NAMES.filter(lambda names: bool(names.exact or names.prefixes))


def limited(to: Names, *, named: Iterable[str], all_of: Iterable[str]) -> dict[str, Names | None]:
    return {action: to if action in named else None for action in all_of}


def test_a_condition_names_every_action_and_repository_sorted() -> None:
    assert written(names("web", "Api", "team/"), list(reversed(WRITER))) == (
        f"((!(ActionMatches{{'{BASE}/content/read'}}) AND !(ActionMatches{{'{BASE}/content/write'}})"
        f" AND !(ActionMatches{{'{BASE}/metadata/read'}}) AND !(ActionMatches{{'{BASE}/metadata/write'}}))"
        f" OR ({NAME} StringEqualsIgnoreCase 'api' OR {NAME} StringEqualsIgnoreCase 'web'"
        f" OR {NAME} StringStartsWithIgnoreCase 'team/'))"
    )


@given(SOME, st.sampled_from([READER, WRITER, CONTRIBUTOR]))
def test_what_is_written_means_what_was_asked_for(wanted: Names, actions: tuple[str, ...]) -> None:
    assert meaning(written(wanted, actions), actions) == dict.fromkeys(actions, wanted)


@given(SOME, SOME)
def test_two_conditions_are_equal_only_if_they_mean_the_same(one: Names, other: Names) -> None:
    assert (
        (written(one, READER) == written(other, READER)) == (one == other) == (one.within(other) and other.within(one))
    )


@pytest.mark.parametrize(
    ("wanted", "actions", "said"),
    [
        (names(), READER, "a condition needs an action and a repository"),
        (names("a"), (), "a condition needs an action and a repository"),
        (names("it's"), READER, "\"it's\" can't be the name of a repository"),
        (names("a' or '"), READER, "\"a' or '\" can't be the name of a repository"),
        (names("a*"), READER, "'a*' can't be the name of a repository"),
        (names("stra\u00dfe"), READER, "'stra\u00dfe' can't be the name of a repository"),
        (names("a b/"), READER, "'a b/' can't be the name of a repository"),
        (names("a\n"), READER, "'a\\n' can't be the name of a repository"),
        (names("a"), LISTER, "'Microsoft.ContainerRegistry/registries/catalog/read' is not an action on repositories"),
        (names("a"), [f"{BASE}/*"], f"'{BASE}/*' is not an action on repositories"),
    ],
)
def test_what_no_condition_can_say_is_not_written(wanted: Names, actions: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        written(wanted, actions)


def test_a_prefix_needs_its_slash() -> None:
    with pytest.raises(ValueError, match=r"^the prefix 'app-' does not end with a slash$"):
        Names(frozenset(), frozenset({"app-"}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (names("App", "TEAM/"), names("app", "team/")),
        (names("team/a", "team/"), names("team/")),
        (names("team/sub/", "team/"), names("team/")),
    ],
)
def test_names_are_compared_by_what_they_cover(one: Names, other: Names) -> None:
    assert one == other
    assert hash(one) == hash(other)


def test_what_names_cover() -> None:
    found = names("web", "team/")
    assert [found.covers(name) for name in ("web", "WEB", "team/a", "Team/b/c")] == [True] * 4
    # the Kelvin sign is a k only to those who fold more than Azure is known to
    assert [names("kit").covers(name) for name in ("team", "webs", "we", "\u212ait")] == [False] * 4


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        (names("a"), names("a", "b"), True),
        (names("a", "b"), names("a"), False),
        (names("t/a"), names("t/"), True),
        (names("t/"), names("t/a"), False),
        (names("t/s/"), names("t/"), True),
        (names("t/"), names("t/s/"), False),
        (names("t"), names("t/"), False),
        (names(), names(), True),
        (names(), names("a"), True),
    ],
)
def test_inclusion(inner: Names, outer: Names, within: bool) -> None:
    assert inner.within(outer) is within


@given(NAMES, NAMES, PATHS)
@example(names("a"), names("a/"), "a")
def test_inclusion_is_what_cover_says(inner: Names, outer: Names, name: str) -> None:
    if inner.within(outer):
        assert outer.covers(name) or not inner.covers(name)
    else:
        assert any(not outer.covers(item) for item in [*inner.exact, *(f"{prefix}zz" for prefix in inner.prefixes)])


#: https://github.com/MicrosoftDocs/azure-management-docs/blob/main/articles/container-registry/container-registry-rbac-abac-repository-permissions.md
NGINX = """(
 (
  !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'})
  AND
  !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/read'})
 )
 OR 
 (
  @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEqualsIgnoreCase 'nginx'
 )
)"""  # noqa: W291 as it is published
#: the answer of `az role assignment create`, from the same page
BACKEND = (
    "( (  !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'})  AND  "
    "!(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/metadata/read'}) ) OR  (  "
    "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'backend/' ))"
)
#: the same page
TWO = NGINX.replace(
    "StringEqualsIgnoreCase 'nginx'",
    """StringStartsWithIgnoreCase 'backend/'
  OR
  @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'frontend/js/'""",
)
#: https://github.com/HoussemDellai/aks-course/blob/main/410_acr_abac/terraform/role_assignment.tf, of the private preview
RESOURCE = NGINX.replace("@Request", "@Resource").replace(
    "StringEqualsIgnoreCase 'nginx'", "StringStartsWithIgnoreCase 'team1/'"
)
#: https://learn.microsoft.com/azure/role-based-access-control/conditions-role-assignments-rest
BLOBS = (
    "((!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'})) OR "
    "(@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringEquals 'blobs-example-container'))"
)


@pytest.mark.parametrize(
    ("condition", "to"),
    [(NGINX, names("nginx")), (BACKEND, names("backend/")), (TWO, names("backend/", "frontend/js/"))],
)
def test_published_conditions_are_understood(condition: str, to: Names) -> None:
    found = meaning(condition, WRITER)
    # the reader's condition on a writer: it may write everywhere
    assert found == limited(to, named=READER, all_of=WRITER)
    assert meaning(condition, READER) == meaning(written(to, READER), READER)
    # from the command line it comes without newlines, as the page says: tr -d '\n'
    assert meaning(condition.replace("\n", ""), WRITER) == found


@pytest.mark.parametrize("condition", [RESOURCE, BLOBS])
def test_published_conditions_on_something_else_are_not_understood(condition: str) -> None:
    assert meaning(condition, READER) is None


def test_an_action_that_is_not_named_is_not_restricted() -> None:
    condition = written(names("web"), READER)
    assert meaning(condition, CONTRIBUTOR) == limited(names("web"), named=READER, all_of=CONTRIBUTOR)
    assert meaning(condition, LISTER) == {LISTER[0]: None}


def test_conditions_on_several_actions_each() -> None:
    write = f"{BASE}/content/write"
    condition = f"{reading(is_('web'))} AND ((!(ActionMatches{{'{write}'}})) OR ({under('team/')}))"
    assert meaning(condition, CONTRIBUTOR) == {
        **dict.fromkeys(CONTRIBUTOR),
        READ: names("web"),
        write: names("team/"),
    }


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        (f"{BASE}/*", WRITER),
        (f"{BASE}/*/read", READER),
        (f"{BASE}/content/*", (READ, f"{BASE}/content/write")),
        ("*", WRITER),
        ("*/read", READER),
        ("Microsoft.ContainerRegistry/*/content/*d", (READ,)),
        (f"{BASE}/content/read*", (READ,)),
        (f"{BASE}/content/read*d", ()),
        (f"{BASE}/con*ent/con*ent/read", ()),
        ("Microsoft.Storage/*", ()),
        (BASE, ()),
        (READ, (READ,)),
    ],
)
def test_wildcards_in_actions(pattern: str, named: tuple[str, ...]) -> None:
    condition = f"!(ActionMatches{{'{pattern}'}}) OR {is_('web')}"
    assert meaning(condition, WRITER) == limited(names("web"), named=named, all_of=WRITER)


def test_an_action_that_fits_only_without_case_is_not_understood() -> None:
    condition = reading(is_("web")).replace(READ, READ.lower())
    assert meaning(condition, [READ]) is None
    assert meaning(condition, [f"{BASE}/content/write"]) == {f"{BASE}/content/write": None}


def test_a_wildcard_that_takes_in_the_catalog_is_not_understood() -> None:
    condition = f"!(ActionMatches{{'Microsoft.ContainerRegistry/*'}}) OR {is_('web')}"
    assert meaning(condition, READER) == dict.fromkeys(READER, names("web"))
    assert meaning(condition, [*READER, *LISTER]) is None


@pytest.mark.parametrize(
    "condition",
    [
        written(names("a", "b", "t/"), [READ]),
        # another order, twice the same, what a prefix covers anyway
        reading(f"{under('t/')} OR {is_('b')} OR {is_('a')} OR {is_('B')} OR {is_('t/x')} OR {under('T/s/')}"),
        reading(f"({is_('a')} OR {is_('b')}) OR ({under('t/')})"),
        reading(f"((({is_('a')}))) || ({is_('b')} || {under('t/')})"),
        # by negation
        reading(f"!(!({is_('a')}) AND !({is_('b')}) AND NOT {under('t/')})"),
        reading(f"NOT (NOT ({is_('a')}) && NOT ({is_('b')}) && !{under('t/')})"),
        reading(f"!!({is_('a')} OR {is_('b')} OR {under('t/')})"),
        # by intersection
        reading(
            f"({is_('a')} OR {is_('b')} OR {under('t/')} OR {is_('c')}) AND !({is_('c')}) AND !({under('u/')} AND {is_('x')})"
        ),
        reading(f"({under('t/')} AND !{under('t/s/')}) OR {under('t/s/')} OR {is_('a')} OR {is_('b')}"),
        reading(f"{NAME} ForAnyOfAnyValues:StringEqualsIgnoreCase {{'a', 'B'}} OR {under('t/')}"),
        reading(f"{NAME} ForAnyOfAnyValues:StringLikeIgnoreCase{{ 'a','b' ,\t'T/*' }}"),
        reading(f"{NAME} StringLikeIgnoreCase 't/*' OR {NAME}StringLikeIgnoreCase'a' OR {is_('b')}"),
        # without what fits the action, or with the action on the other side
        f"ActionMatches{{'{READ}'}} AND ({is_('a')} OR {is_('b')} OR {under('t/')})",
        f"(({is_('a')}) OR ({is_('b')}) OR ({under('t/')})) OR !ActionMatches {{ '{READ}' }}",
        reading(f"{is_('a')} OR {is_('b')} OR {under('t/')}").replace(" ", "\r\n\t "),
        f"\n(!(ActionMatches{{'{READ}'}}))OR({is_('a')}OR {is_('b')}OR(({under('t/')}))) ",
    ],
)
def test_the_same_in_other_words(condition: str) -> None:
    assert meaning(condition, [READ]) == {READ: names("a", "b", "t/")}


def test_a_condition_on_names_alone_is_for_every_action() -> None:
    assert meaning(is_("web"), READER) == dict.fromkeys(READER, names("web"))


def test_none_at_all_and_all() -> None:
    assert one(f"{is_('a')} AND {is_('b')}") == names()
    assert one(f"{under('a/')} AND {under('b/')}") == names()
    assert one(f"{is_('a')} OR !{is_('a')}") is None
    assert one(f"{under('t/')} AND {is_('t/a')}") == names("t/a")
    assert one(f"{under('t/')} AND {under('t/s/')}") == names("t/s/")


def test_as_many_different_names_as_somebody_likes() -> None:
    many = names(*(f"team/app-{index}" for index in range(5_000)), *(f"team-{index}/" for index in range(500)))
    assert meaning(written(many, READER), READER) == dict.fromkeys(READER, many)


#: expressions with what they mean for a name, as functions of that name
ATOMS = st.one_of(
    PATHS.map(lambda path: (is_(path.upper()), lambda name: name == path)),
    PREFIXES.map(lambda prefix: (under(prefix), lambda name: name.startswith(prefix))),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda item: (f"!({item[0]})", lambda name: not item[1](name))),
        st.tuples(inner, inner).map(
            lambda both: (f"({both[0][0]}) OR ({both[1][0]})", lambda name: both[0][1](name) or both[1][1](name))
        ),
        st.tuples(inner, inner).map(
            lambda both: (f"({both[0][0]})AND({both[1][0]})", lambda name: both[0][1](name) and both[1][1](name))
        ),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.lists(PATHS, min_size=1, max_size=20))
def test_what_is_understood_is_what_the_expression_says(expression, paths) -> None:  # type: ignore[no-untyped-def]
    found = one(expression[0])
    if found == "?":
        return
    for path in paths:
        assert (found is None or (isinstance(found, Names) and found.covers(path))) == expression[1](path)


def test_a_size_is_in_bytes() -> None:
    assert MAX == 4096
    assert size("") == 0
    assert size("a\u00e9\u20ac") == 6
    condition = written(names("web"), READER)
    assert size(condition) == len(condition)


def test_how_many_repositories_fit() -> None:
    def fits(count: int) -> bool:
        return size(written(names(*(f"team/app-{index:08}" for index in range(count))), READER)) <= MAX

    assert (fits(34), fits(35)) == (True, False)


def test_the_roles_include_each_other() -> None:
    assert set(READER) < set(WRITER) < set(CONTRIBUTOR)
    assert all(list(actions) == sorted(set(actions)) for actions in DATA_ACTIONS.values())
