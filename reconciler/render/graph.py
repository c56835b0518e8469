"""A dependency graph as mermaid or Graphviz dot."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.words import one_line


def mermaid(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> str:
    """A mermaid flowchart; an arrow goes from what comes first to what needs it."""
    names = {node: f"n{index}" for index, node in enumerate(sorted(nodes))}
    lines = ["flowchart LR", *(f'  {name}["{entities(node)}"]' for node, name in names.items())]
    lines += [f"  {names[before]} --> {names[after]}" for before, after in sorted(edges)]
    return "\n".join(lines) + "\n"


def dot(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> str:
    """A Graphviz digraph; an arrow goes from what comes first to what needs it."""
    lines = ["digraph reconciler {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_string(node)};" for node in sorted(nodes)]
    lines += [f"  {_string(before)} -> {_string(after)};" for before, after in sorted(edges)]
    return "\n".join([*lines, "}"]) + "\n"


def entities(text: str) -> str:
    """The text in a quoted label of a mermaid diagram."""
    # https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters
    escaped = one_line(text).replace("#", "#35;")
    return escaped.replace('"', "#quot;").replace("<", "#lt;").replace("`", "#96;")


def _string(text: str) -> str:
    # https://graphviz.org/doc/info/lang.html: in quotes, only the quote needs a backslash; labels read one of their own
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
