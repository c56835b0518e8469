"""Guards that stand in a file of their own, which other people can be asked to review."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from yaml import MappingNode, Node, ScalarNode

from reconciler.errors import Problem

from .source import MAX_ALIASED, aliased_nodes, bytes_of, is_stream, parse, place_of, problem_at

#: where the file is named, and what is replaced by what it holds
_GUARDS, _KEY = "guards", "include"
PATH = f"{_GUARDS}.{_KEY}"
_SUFFIXES = (".yaml", ".yml", ".json")


def with_included(trees: Iterable[MappingNode], base: str, problems: list[Problem]) -> list[MappingNode]:
    """The trees of a spec's files, with what `guards.include` names in its place; a file of the spec's own folder that is named so
    is no part of the spec by itself.

    `base`: the folder that the name is relative to. What can't be included, or stands in both, is added to `problems`.
    """
    found: list[MappingNode] = []
    named: set[str] = set()
    for tree in trees:
        guards = _of(tree, _GUARDS)
        name = _of(guards[1], _KEY) if guards is not None and isinstance(guards[1], MappingNode) else None
        if guards is None or name is None or not isinstance(guards[1], MappingNode):
            found.append(tree)
            continue
        path = _path(name[1], base, problems)
        theirs = _read(path, name[1], problems) if path is not None else None
        if path is not None:
            named.add(os.path.realpath(path))
        entries = [(key, value) for key, value in guards[1].value if key is not name[0]]
        both = _joined(entries, theirs, problems) if theirs is not None else entries
        merged = MappingNode(guards[1].tag, both, guards[1].start_mark, guards[1].end_mark)
        top = [(key, merged if key is guards[0] else value) for key, value in tree.value]
        found.append(MappingNode(tree.tag, top, tree.start_mark, tree.end_mark))
    return [tree for tree in found if os.path.realpath(str(tree.start_mark.name)) not in named]


def names_included(name: str, data: bytes) -> list[str]:
    """The paths that a spec's file includes, relative to the spec's folder; none for a file that can't be parsed."""
    if _KEY.encode() not in data.replace(b"\0", b""):  # which UTF-16 has between letters
        return []
    tree = parse(name, data, [])
    guards = _of(tree, _GUARDS) if tree is not None else None
    named = _of(guards[1], _KEY) if guards is not None else None
    return [named[1].value] if named is not None and isinstance(named[1], ScalarNode) and named[1].value else []


def _of(node: Node, name: str) -> tuple[Node, Node] | None:
    """A key of a mapping and its value, where the mapping itself has it."""
    entries = node.value if isinstance(node, MappingNode) else ()
    return next(((key, value) for key, value in entries if key.value == name), None)


def _path(node: Node, base: str, problems: list[Problem]) -> Path | None:
    if not isinstance(node, ScalarNode) or not node.value or "${" in node.value or "\0" in node.value:
        problems.append(problem_at(node, PATH, "must be the path of a file, relative to the spec's folder"))
        return None
    path = Path(base, node.value)
    if os.path.realpath(path) == os.path.realpath(str(node.start_mark.name)):
        problems.append(problem_at(node, PATH, "can't be the file that includes it"))
        return None
    if path.suffix.lower() not in _SUFFIXES or is_stream(path):
        problems.append(problem_at(node, PATH, "must be a file whose name ends in .yaml, .yml or .json"))
        return None
    return path


def _read(path: Path, node: Node, problems: list[Problem]) -> MappingNode | None:
    try:
        data = bytes_of(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problems.append(problem_at(node, PATH, f"{path} can't be read: {reason}"))
        return None
    before = len(problems)
    tree = parse(str(path), data, problems)
    if len(problems) > before:
        return None
    if not isinstance(tree, MappingNode):
        problems.append(Problem(str(path), 1, 1, "", "must be a mapping with the keys of guards, such as max_deletes"))
        return None
    if b"&" in data and aliased_nodes(tree) > MAX_ALIASED:
        problems.append(problem_at(tree, "", "its aliases expand to too many values: an anchor bomb"))
        return None
    if (merge := _of(tree, "<<")) is not None:  # what it brings would be overridden by a key of the same name
        problems.append(problem_at(merge[0], "", "write the keys of guards out: this file can't merge them in"))
        return None
    if (nested := _of(tree, _KEY)) is not None:
        problems.append(problem_at(nested[0], _KEY, "an included file can't include another"))
        return None
    return tree


def _joined(ours: list[tuple[Node, Node]], theirs: MappingNode, problems: list[Problem]) -> list[tuple[Node, Node]]:
    """Both files' keys. A key of both would leave open which counts, and who may change it."""
    first = {key.value: key for key, _ in theirs.value if isinstance(key, ScalarNode)}
    for key, _ in ours:
        if isinstance(key, ScalarNode) and key.value in first:
            there = place_of(first[key.value])
            problems.append(
                problem_at(key, f"{_GUARDS}.{key.value}", f"is set in the included file too, at {there}: remove one")
            )
    return [
        *theirs.value,
        *((key, value) for key, value in ours if not (isinstance(key, ScalarNode) and key.value in first)),
    ]
