"""A dependency graph as mermaid or Graphviz dot."""

from __future__ import annotations

from collections.abc import Iterable


def mermaid(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> str:
    """A mermaid flowchart; an arrow goes from what comes first to what needs it."""
    names = {node: f"n{index}" for index, node in enumerate(sorted(nodes))}
    lines = ["flowchart LR", *(f'  {name}["{node}"]' for node, name in names.items())]
    lines += [f"  {names[before]} --> {names[after]}" for before, after in sorted(edges)]
    return "\n".join(lines) + "\n"


def dot(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> str:
    """A Graphviz digraph; an arrow goes from what comes first to what needs it."""
    lines = ["digraph reconciler {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f'  "{node}";' for node in sorted(nodes)]
    lines += [f'  "{before}" -> "{after}";' for before, after in sorted(edges)]
    return "\n".join([*lines, "}"]) + "\n"
