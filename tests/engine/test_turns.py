"""In which order parts of one document are changed, so that what stays is there all the time; looked at in all orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.engine.turns import MOST_BEGINNINGS, Around, turns
from reconciler.model.access import Neighbour
from reconciler.model.address import Address

#: what each part has before and after: one letter for each thing
Parts = Mapping[str, tuple[str, str]]
SOME = st.frozensets(st.sampled_from("abcd"), max_size=3).map(lambda found: "".join(sorted(found)))


def turns_of(parts: Parts, still: str = "") -> Mapping[Address, tuple[set[Address], set[str]]]:
    """What each change waits for, and what it says to be missing after it. `still`: what a part has that stays."""
    there = [Neighbour(Address(at), *map(frozenset, has)) for at, has in parts.items()]
    stays = Neighbour(Address("stays"), frozenset(still), frozenset(still))
    near = {item.address: (*(one for one in there if one is not item), stays) for item in there}
    own = {item.address: item for item in there}

    def lost(at: Address, around: Around) -> frozenset[str]:
        given: frozenset[str] = own[at].before - own[at].after
        return given.difference(*(item.after for item in around if item.after is not None))

    found = turns(near, lost)
    assert all(bool(item.missing) == bool(item.until) == bool(item.notes) for item in found.values())
    return {at: (set(found[at].waits), set(found[at].missing)) if at in found else (set(), set()) for at in own}


def missing_in(order: Sequence[str], parts: Parts, still: str = "") -> Iterator[tuple[str, set[str]]]:
    """After which change of an order what is newly missing that is there before and after all."""
    stays = set("".join(before for before, _ in parts.values())) & set("".join(after for _, after in parts.values()))
    there = {at: before for at, (before, _) in parts.items()}
    had = stays
    for at in order:
        there[at] = parts[at][1]
        has = stays & set("".join(there.values()) + still)
        yield at, had - has
        had = has


def follows(order: Sequence[str], found: Mapping[Address, tuple[set[Address], set[str]]]) -> bool:
    return all(order.index(first) < order.index(at) for at, (waits, _) in found.items() for first in waits)


@given(st.dictionaries(st.sampled_from(["one", "other", "third", "zz"]), st.tuples(SOME, SOME), min_size=2), SOME)
@example({"one": ("x", "y"), "other": ("xyz", "")}, "")
@example({"one": ("x", ""), "other": ("y", "x"), "third": ("x", "y")}, "")  # only the one that is last must wait
@example({"one": ("x", ""), "other": ("", "x"), "third": ("", "x")}, "")  # either is enough
@example({"one": ("a", "b"), "other": ("b", "a"), "third": ("a", "")}, "")
def test_the_least_is_missing_whichever_way_the_turns_are_taken_and_that_is_said(parts: Parts, still: str) -> None:
    found = turns_of(parts, still)
    orders = {order: list(missing_in(order, parts, still)) for order in permutations(parts)}
    least = min(sum(len(some) for _, some in steps) for steps in orders.values())
    told = set().union(*(missing for _, missing in found.values()))
    assert sum(len(missing) for _, missing in found.values()) == least
    taken = [steps for order, steps in orders.items() if follows(order, found)]
    assert taken, "turns that nobody can take"
    for steps in taken:
        assert set().union(*(some for _, some in steps)) <= told


@given(st.dictionaries(st.sampled_from(["one", "other", "third", "zz"]), st.tuples(SOME, SOME), min_size=2), SOME)
def test_a_change_waits_for_those_alone_that_get_what_it_takes_away(parts: Parts, still: str) -> None:
    for at, (waits, _) in turns_of(parts, still).items():
        before, after = map(set, parts[at])
        for first in waits:
            gets = set(parts[first][1]) - set(parts[first][0])
            kept = set(still).union(*(set(had) & set(has) for had, has in parts.values()))
            assert (before - after) & gets - kept, (at, first)


def test_many_that_change_places_in_rings_are_ordered_all_the_same() -> None:
    """The search for the order in which the least is missing ends."""
    letters = [chr(start) for start in range(ord("a"), ord("a") + 24)]
    rings = [letters[start : start + 3] for start in range(0, 24, 3)]
    parts = {f"part-{one}": (one, ring[place - 1]) for ring in rings for place, one in enumerate(ring)}
    assert 2 ** len(parts) > MOST_BEGINNINGS
    found = turns_of(parts)
    assert sum(len(missing) for _, missing in found.values()) == len(rings), "one of each ring has to begin"
    assert sum(len(waits) for waits, _ in found.values()) == len(parts) - len(rings)
