"""From files to a Spec: reads, merges, validates, and reports everything that is wrong at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from reconciler.errors import Problem, SpecError

from .advice import not_a_spec
from .include import with_included
from .models import Spec
from .source import (
    MAX_ALIASED,
    Values,
    aliased_nodes,
    bytes_of,
    files_of,
    folder_of,
    is_record,
    name_of,
    parse,
    place_of,
    problem_at,
    twice,
)
from .text import SpecText
from .validation import LISTS, Known, Validation

#: what the top-level keys begin with that a spec may have beside its own
FREE = "x-"
_TAG_NULL = "tag:yaml.org,2002:null"
#: a file that lost what was in it would be planned for deletion
_EMPTY = "the file is empty; if that is intended, add a comment"
S = TypeVar("S", bound=Spec)


def load_spec(
    path: str | Path,
    environ: Mapping[str, str] | None = None,
    *,
    model: type[S],
    text: bool = False,
    known: Known | None = None,
) -> S:
    """The spec in a YAML file (`-`: standard input), or in all YAML and JSON files of a folder and of the folders in it, merged;
    plan files, and what else this tool keeps in JSON, are no part of it.

    `model`: the Spec with the registries and targets that there are. `environ` is what `${env:NAME}` is taken from (the
    process's environment if None). `text`: whether to keep what was written (`Spec.take_text`). `known`: rows that are valid. Raises
    SpecError with every problem of every file.
    """
    path = Path(path)
    problems: list[Problem] = []
    texts: list[tuple[str, bytes]] = []
    folder = False
    try:
        folder = path.is_dir()
        for file in files_of(path):
            try:
                if folder and file.exists() and not file.is_file():  # a pipe would be waited for
                    raise OSError(errno.EINVAL, "not a file")
                data = bytes_of(file)
                if not (folder and file.suffix.lower() == ".json" and is_record(data)):
                    texts.append((name_of(file), data))
            except (OSError, ValueError) as error:
                problems.append(_unreadable(file, error))
    except (OSError, ValueError) as error:  # the folder itself, or what the path can't be
        problems.append(_unreadable(Path(getattr(error, "filename", None) or path), error))
    if not texts and not problems:
        problems.append(Problem(str(path), 1, 1, "", "the folder has no .yaml, .yml or .json files"))
    base = path if folder else folder_of(path)
    return _load(texts, model, problems, str(base), os.environ if environ is None else environ, text=text, known=known)


def _unreadable(file: Path, error: OSError | ValueError) -> Problem:
    hint = " (give the path of the spec, or run in its folder)" if isinstance(error, FileNotFoundError) else ""
    return Problem(name_of(file), 1, 1, "", f"can't be read: {getattr(error, 'strerror', None) or error}{hint}")


def parse_spec(
    text: str | bytes,
    name: str = "registry.yaml",
    environ: Mapping[str, str] | None = None,
    base: str = ".",
    *,
    model: type[S],
) -> S:
    """The spec in a text. `model` as for `load_spec`; `name` is the file name that errors give.

    Raises SpecError with every problem.
    """
    data = text.encode() if isinstance(text, str) else text
    return _load([(name, data)], model, [], base, {} if environ is None else environ)


def _load(
    texts: Iterable[tuple[str, bytes]],
    model: type[S],
    problems: list[Problem],
    base: str,
    environ: Mapping[str, str],
    *,
    text: bool = False,
    known: Known | None = None,
) -> S:
    trees: list[MappingNode] = []
    texts = list(texts)
    several = len(texts) > 1
    for name, data in texts:
        before = len(problems)
        tree = parse(name, data, problems)
        if tree is not None and b"&" in data and (reason := _bomb(tree)):
            problems.append(problem_at(tree, "", reason))
        elif isinstance(tree, MappingNode):
            trees.append(tree)
        elif tree is None and not _blank(data) and several:
            continue  # comments alone: somebody means it so
        elif len(problems) == before:
            empty = _EMPTY if several else "the spec is empty"
            problems.append(Problem(name, 1, 1, "", empty if tree is None else not_a_spec(data)))
    if not trees:
        raise SpecError(problems or [Problem(base, 1, 1, "", "the folder's files contain only comments")])
    trees = with_included(trees, base, problems)
    whole = not problems
    root = _merged([_without_free(tree, problems) for tree in trees], problems)
    try:
        reading = Values(environ, problems)
        values = reading.of(root)
    except RecursionError:
        problems.append(problem_at(root, "", "nested hundreds of levels deep"))
        raise SpecError(problems) from None
    spec = Validation(model, root, values, problems, base, whole=whole, known=known).spec()
    if spec is None:
        raise SpecError(problems)
    spec._variables = reading.variables
    if text:
        spec._text = SpecText(root, values)
    return spec


def _blank(data: bytes) -> bool:
    """Whether there is nothing in the file, comments neither; a mark of the byte order is nothing."""
    return not data.lstrip(b"\xef\xbb\xbf\xff\xfe").strip(b"\0 \t\r\n")


def _bomb(tree: Node) -> str:
    try:
        added = aliased_nodes(tree)
    except RecursionError:
        return "its anchors are nested hundreds of levels deep"
    return f"its aliases expand to {added:,} more values: an anchor bomb" if added > MAX_ALIASED else ""


def _without_free(tree: MappingNode, problems: list[Problem]) -> MappingNode:
    """A file's tree without the top-level keys that are free (`x-...`). Anchors in them stand wherever an alias names them."""
    first: dict[str, Node] = {}
    for key, _ in tree.value:
        name = str(key.value)
        if name.startswith(FREE) and name in first:
            problems.append(problem_at(key, name, twice(first[name])))
        first.setdefault(name, key)
    kept = [(key, value) for key, value in tree.value if not str(key.value).startswith(FREE)]
    return MappingNode(tree.tag, kept, tree.start_mark, tree.end_mark) if len(kept) < len(tree.value) else tree


def _merged(trees: list[MappingNode], problems: list[Problem]) -> MappingNode:
    """One tree out of the files' trees: lists concatenate, anything else stands in one file alone."""
    if len(trees) == 1:
        return trees[0]
    entries: dict[str, tuple[Node, Node]] = {}
    for tree in trees:
        for key, value in tree.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if name not in entries:
                entries[name] = (key, value)
                continue
            first = entries[name]
            if name in LISTS and _TAG_NULL in (value.tag, first[1].tag):  # left empty in one of them
                entries[name] = first if value.tag == _TAG_NULL else (key, value)
            elif name in LISTS and isinstance(value, SequenceNode) and isinstance(first[1], SequenceNode):
                both = SequenceNode(value.tag, [*first[1].value, *value.value], first[1].start_mark, value.end_mark)
                entries[name] = (first[0], both)
            elif not (name == "version" and (value.tag, value.value) == (first[1].tag, first[1].value)):
                problems.append(problem_at(key, name, f"is defined twice: here and at {place_of(first[0])}"))
    top = trees[0]
    return MappingNode(top.tag, list(entries.values()), top.start_mark, top.end_mark)
