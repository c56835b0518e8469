"""The order of changes: creates before what needs them, deletes after, and after what takes the place of what goes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.resource import Live

if TYPE_CHECKING:
    import networkx as nx

#: (before, after) pairs of addresses, sorted
Edges = tuple[tuple[Address, Address], ...]


def edges_of(changes: Mapping[Address, Change], *, waiting: bool = True) -> Edges:
    """The changes' dependencies: an edge from each change to each that must wait for it. `waiting`: also where it does not need it
    but only waits for it (`Change.waits`)."""
    found: set[tuple[Address, Address]] = set()
    going = _going(changes.values())
    carried_by = {below: change.address for change in changes.values() for below in change.along}
    for change in changes.values():
        for need in change.needs:
            # what goes, too, waits for what it needs that is made again
            if need in changes and (
                changes[need].action is Action.CREATE if change.lets_go else not changes[need].lets_go
            ):
                found.add((need, change.address))
        for need in change.needs if change.live is None else (*change.needs, *change.live.needs):
            holder = carried_by.get(need, need)
            if holder != change.address and holder in changes and changes[holder].lets_go:
                found.add((change.address, holder))
        for place in change.desired.instead_of if change.desired is not None else ():
            found.update((change.address, holder) for holder in going.get(place, ()))
    for first, then in _waits(changes) if waiting else ():
        if not _follows(first, then, found):  # two may wait for each other: one of them has to begin
            found.add((first, then))
    return tuple(sorted(found))


def needs_of_going(top: Live, along: Iterable[Live], there: Mapping[Address, Live]) -> tuple[Address, ...]:
    """What a delete, and all that goes along with it, needs until it is over, sorted. What needs the deleted resource itself goes
    before it, so that nothing which goes along keeps that. `there`: all that is there."""
    below = {need for item in along for need in item.needs}
    return tuple(
        sorted({*top.needs, *(need for need in below if need not in there or top.address not in there[need].needs)})
    )


def _waits(changes: Mapping[Address, Change]) -> Iterator[tuple[Address, Address]]:
    for at in sorted(changes):
        yield from ((first, at) for first in changes[at].waits if first in changes and not changes[first].lets_go)


def _follows(then: Address, first: Address, edges: Collection[tuple[Address, Address]]) -> bool:
    """Whether one must be done after another."""
    found, left = {first}, [first]
    while left:
        now = left.pop()
        new = {after for before, after in edges if before == now} - found
        found |= new
        left += new
    return then in found


def going_with(changes: Iterable[Change]) -> frozenset[str]:
    """Of what the changes let go of, the addresses without their regions: with what goes along."""
    return frozenset(_going(changes))


def _going(changes: Iterable[Change]) -> dict[str, set[Address]]:
    """The changes that let go of something, by the addresses of all that goes, without their regions."""
    found: dict[str, set[Address]] = {}
    for change in changes:
        stands_at = (change.live.stands_at,) if change.live is not None and change.live.stands_at is not None else ()
        for at in (change.address, *change.along, *stands_at) if change.lets_go else ():
            found.setdefault(at.anywhere, set()).add(change.address)
    return found


def ordered(addresses: Iterable[Address], edges: Edges) -> list[Address]:
    """The addresses in an order that respects the edges; the same however they are given."""
    if not edges:
        return sorted(addresses)
    import networkx as nx

    return list(nx.lexicographical_topological_sort(_graph(addresses, edges)))


def needed_first(chosen: set[Address], edges: Edges) -> set[Address]:
    """The chosen addresses, and all that must happen before them."""
    if not edges:
        return chosen
    import networkx as nx

    graph = _graph(chosen, edges)
    return chosen | {before for address in chosen for before in nx.ancestors(graph, address)}


def _graph(addresses: Iterable[Address], edges: Edges) -> nx.DiGraph[Address]:
    import networkx as nx  # here: it costs 100 ms to import, and most plans have nothing to order

    graph: nx.DiGraph[Address] = nx.DiGraph()
    graph.add_nodes_from(addresses)
    graph.add_edges_from(edges)
    return graph
