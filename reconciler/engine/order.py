"""The order of changes: creates before what needs them, deletes after. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from reconciler.model.change import Action, Change

if TYPE_CHECKING:
    import networkx as nx

#: (before, after) pairs of addresses, sorted
Edges = tuple[tuple[str, str], ...]


def edges_of(changes: Mapping[str, Change]) -> Edges:
    """The changes' dependencies: an edge from each change to each that must wait for it."""
    found: set[tuple[str, str]] = set()
    carried_by = {below: change.address for change in changes.values() for below in change.along}
    for change in changes.values():
        if change.action is not Action.DELETE:
            for need in change.needs:
                if need in changes and changes[need].action is not Action.DELETE:
                    found.add((need, change.address))
        for need in change.needs if change.live is None else (*change.needs, *change.live.needs):
            holder = carried_by.get(need, need)
            if holder != change.address and holder in changes and changes[holder].action is Action.DELETE:
                found.add((change.address, holder))
    return tuple(sorted(found))


def ordered(addresses: Iterable[str], edges: Edges) -> list[str]:
    """The addresses in an order that respects the edges; the same however they are given."""
    if not edges:
        return sorted(addresses)
    import networkx as nx

    return list(nx.lexicographical_topological_sort(_graph(addresses, edges)))


def needed_first(chosen: set[str], edges: Edges) -> set[str]:
    """The chosen addresses, and all that must happen before them."""
    if not edges:
        return chosen
    import networkx as nx

    graph = _graph(chosen, edges)
    return chosen | {before for address in chosen for before in nx.ancestors(graph, address)}


def _graph(addresses: Iterable[str], edges: Edges) -> nx.DiGraph[str]:
    import networkx as nx  # here: it costs 100 ms to import, and most plans have nothing to order

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(addresses)
    graph.add_edges_from(edges)
    return graph
