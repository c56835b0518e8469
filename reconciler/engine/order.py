"""The order of changes: creates before what needs them, deletes after. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.change import Change

if TYPE_CHECKING:
    import networkx as nx

#: (before, after) pairs of addresses, sorted
Edges = tuple[tuple[Address, Address], ...]


def edges_of(changes: Mapping[Address, Change]) -> Edges:
    """The changes' dependencies: an edge from each change to each that must wait for it."""
    found: set[tuple[Address, Address]] = set()
    carried_by = {below: change.address for change in changes.values() for below in change.along}
    for change in changes.values():
        if not change.lets_go:
            for need in change.needs:
                if need in changes and not changes[need].lets_go:
                    found.add((need, change.address))
        for need in change.needs if change.live is None else (*change.needs, *change.live.needs):
            holder = carried_by.get(need, need)
            if holder != change.address and holder in changes and changes[holder].lets_go:
                found.add((change.address, holder))
    return tuple(sorted(found))


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
