"""The order of changes: creates before what needs them, deletes after. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .change import Action, Change

if TYPE_CHECKING:
    import networkx as nx

    Graph = nx.DiGraph[str]


def graph_of(changes: Mapping[str, Change]) -> Graph:
    """The changes' dependencies: an edge from each change to those that must wait for it."""
    import networkx as nx  # here: it costs 60 ms to import, and a plan with no changes has nothing to order

    graph: Graph = nx.DiGraph()
    graph.add_nodes_from(changes)
    carried_by = {below: change.address for change in changes.values() for below in change.along}
    for change in changes.values():
        if change.action is not Action.DELETE:
            for need in change.needs:
                if need in changes and changes[need].action is not Action.DELETE:
                    graph.add_edge(need, change.address)
        for need in change.needs if change.live is None else (*change.needs, *change.live.needs):
            holder = carried_by.get(need, need)
            if holder != change.address and holder in changes and changes[holder].action is Action.DELETE:
                graph.add_edge(change.address, holder)
    return graph


def ordered(graph: Graph) -> list[str]:
    """Addresses in an order that respects the graph; the same for the same graph, however it was built."""
    import networkx as nx

    return list(nx.lexicographical_topological_sort(graph))


def needed_first(graph: Graph, chosen: set[str]) -> set[str]:
    """The chosen addresses, and all that must happen before them."""
    import networkx as nx

    return chosen | {before for address in chosen for before in nx.ancestors(graph, address)}


def edges(graph: Graph) -> tuple[tuple[str, str], ...]:
    """The graph's edges, (before, after), sorted."""
    return tuple(sorted(graph.edges))
