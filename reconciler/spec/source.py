"""YAML text to plain values, with every value's place kept: the node tree stays, and a path finds its mark."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from reconciler.errors import Problem

from .advice import complaint, is_terraform, not_a_spec, with_advice
from .variables import NAME, StandIns

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # pyyaml built without libyaml: slower, the same result
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]  # two names for one interface

MAX_BYTES = 32 * 1024 * 1024
#: nodes that aliases may add beyond those that are written out: what an anchor bomb exceeds
MAX_ALIASED = 1_000_000
MAX_DEPTH = 100
#: characters of a number: far more than any has, and fewer than Python reads
#: (https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation)
MAX_NUMBER = 1000
TOO_DEEP = f"more than {MAX_DEPTH} levels deep"
#: openers of collections, below which no text can nest deep enough for libyaml's composer
#: (it overflows the C stack somewhere above 20,000)
_HARMLESS = 10_000

#: what the top level of a plan file and of a rescue file has, and no spec
_RECORDS = ({"format", "changes"}, {"format", "address", "others"})
#: the folders of a registry that is itself a folder: tags, whatever they are called, are no files of a spec
_REGISTRY = frozenset({"control", "blobs", "links", "manifests", "tags", "referrers", "uploads", "temporary"})

Loc = tuple[str | int, ...]
_ENV = re.compile(r"\$\{env:([^}]*)\}")
_DIGITS = re.compile(r"[0-9][0-9_]*")
#: an open file by its number: a link to wherever the file stands
_DESCRIPTOR = re.compile(r"/dev/(fd/[0-9]+|stdout|stderr)|/proc/[^/]+/fd/[0-9]+")
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"


def problem_at(node: Node, path: str, message: str) -> Problem:
    """A problem at the start of a node."""
    mark = node.start_mark
    return Problem(str(mark.name), mark.line + 1, mark.column + 1, path, message)


def twice(first: Node) -> str:
    """What is said of a key that a mapping has already."""
    return f"the key appears twice (first at line {first.start_mark.line + 1})"


def place_of(node: Node) -> str:
    """Where a node begins, for people: `FILE:LINE:COLUMN`."""
    mark = node.start_mark
    return f"{mark.name}:{mark.line + 1}:{mark.column + 1}"


def path_text(loc: Loc) -> str:
    """A path as people write it: `grants[2].to.account_ids[0]`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(name: str, data: bytes, problems: list[Problem]) -> Node | None:
    """The node tree of one file, or None with the reason added to `problems`."""
    if len(data) > MAX_BYTES:
        problems.append(
            Problem(name, 1, 1, "", f"the file has {len(data):,} bytes; a spec can have at most {MAX_BYTES:,} (32 MiB)")
        )
        return None
    try:
        _refuse_deep(name, data)
        return yaml.compose(_Stream(name, data), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        if is_terraform(data):
            problems.append(Problem(name, 1, 1, "", not_a_spec(data)))
            return None
        line, column, reason = complaint(data, error, _Loader)
        if "nesting depth" in reason:  # libyaml's own limit, which may come first
            reason = TOO_DEEP
        problems.append(Problem(name, line, column, "", f"not YAML: {reason}"))
    except yaml.reader.ReaderError as error:
        line = data[: error.position].count(b"\n") + 1
        problems.append(Problem(name, line, 1, "", f"not YAML: {with_advice(error.reason, '')}"))
    return None


class _Stream(io.BytesIO):
    """Bytes with a name, which pyyaml writes into every mark."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


def _refuse_deep(name: str, data: bytes) -> None:
    """Stop before libyaml's recursive composer overflows the C stack: 100,000 brackets end the process otherwise."""
    # (indentation can't get there: it needs n²/2 characters for n levels, and the file's size is bounded)
    if sum(data.count(opener) for opener in (b"[", b"{", b"- ", b"? ")) < _HARMLESS:
        return
    depth = 0
    for event in yaml.parse(_Stream(name, data), Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark: Any = event.start_mark  # libyaml's marks serve too; the types don't say so
                raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class Values:
    """Turns node trees into plain values; collects what is wrong on the way.

    Scalars follow YAML 1.1 as pyyaml does, with two differences that protect ids: whatever is written as digits alone is a
    number (012345678901 too, which other YAML readers would alter), and keys and dates stay text.
    """

    def __init__(self, environ: Mapping[str, str], problems: list[Problem]) -> None:
        self._environ = environ
        self._problems = problems
        #: the variables that values were taken from, and these
        self.variables: dict[str, str] = {}
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()

    def of(self, node: Node, loc: Loc = ()) -> Any:
        """The node's plain value; None where the node is wrong (the problem is then noted)."""
        if isinstance(node, ScalarNode):
            return self._scalar(node, loc)
        key = id(node)
        if key in self._done:
            return self._done[key]
        if key in self._open:
            self._note(node, loc, "the anchor contains itself")
            return None
        self._open.add(key)
        value: Any = None
        if isinstance(node, MappingNode):
            value = self._mapping(node, loc)
        elif isinstance(node, SequenceNode):
            value = self._sequence(node, loc)
        self._open.discard(key)
        self._done[key] = value
        return value

    def _note(self, node: Node, loc: Loc, message: str) -> None:
        self._problems.append(problem_at(node, path_text(loc), message))

    def _sequence(self, node: SequenceNode, loc: Loc) -> list[Any]:
        if node.tag != _TAG + "seq":
            self._note(node, loc, f"the tag {node.tag} is not supported here")
        return [self.of(item, (*loc, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, loc: Loc) -> dict[str, Any]:
        if node.tag != _TAG + "map":
            self._note(node, loc, f"the tag {node.tag} is not supported here")
        own: dict[str, Any] = {}
        first: dict[str, Node] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._note(key_node, loc, "a key must be plain text")
                continue
            key = key_node.value
            if key_node.tag == _MERGE:
                for part in self._merged(value_node, loc):
                    merged = {**part, **merged}
                continue
            if key in first:
                self._note(key_node, (*loc, key), twice(first[key]))
                continue
            first[key] = key_node
            own[key] = self.of(value_node, (*loc, key))
        return {**merged, **own} if merged else own

    def _merged(self, node: Node, loc: Loc) -> Iterator[dict[str, Any]]:
        for part in node.value if isinstance(node, SequenceNode) else [node]:
            value = self.of(part, (*loc, "<<"))
            if isinstance(value, dict):
                yield value
            elif value is not None:
                self._note(part, (*loc, "<<"), "only mappings can be merged")

    def _scalar(self, node: ScalarNode, loc: Loc) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if len(text) > MAX_NUMBER and ((not node.style and _DIGITS.fullmatch(text)) or kind in ("int", "float")):
            self._note(node, loc, f"a number of {len(text):,} characters; a number can have at most {MAX_NUMBER:,}")
            return None
        if not node.style and _DIGITS.fullmatch(text):
            return int(text.replace("_", ""))
        if kind == "str" or kind in ("timestamp", "value"):
            return self._interpolated(node, loc) if "${" in text else text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("yes", "true", "on")
        if kind in ("int", "float"):
            return _number(text, kind)
        self._note(node, loc, f"the tag {node.tag} is not supported here")
        return None

    def _interpolated(self, node: ScalarNode, loc: Loc) -> str:
        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if not NAME.fullmatch(name):
                self._note(node, loc, f"'{match.group(0)}' is not the name of an environment variable")
            elif name not in self._environ:
                self._note(node, loc, f"the environment variable {name} is not set")
            elif not _is_text(self._environ[name]):
                self._note(node, loc, f"the environment variable {name} is not UTF-8")
            else:
                if isinstance(self._environ, StandIns):
                    mark = node.start_mark
                    self._environ.used(name, (str(mark.name), mark.line + 1, mark.column + 1))
                return self.variables.setdefault(name, self._environ[name])
            return match.group(0)

        return _ENV.sub(value, node.value)


def _is_text(value: str) -> bool:
    """Whether the bytes that it came from were; Python keeps others as surrogates (PEP 383)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(text: str, kind: str) -> int | float | str:
    try:
        return int(text.replace("_", ""), 0) if kind == "int" else float(text.replace("_", ""))
    except ValueError:  # YAML 1.1's sexagesimals (1:30) and octals (0o is fine, 017 is not): never what was meant
        return text


def aliased_nodes(root: Node) -> int:
    """How many nodes aliases add: the tree's size with every alias written out, less its size as it stands."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Node) -> int:
        if isinstance(node, ScalarNode):
            sizes.setdefault(id(node), 1)
            return 1
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in open_nodes:  # a cycle: Values reports it
            return 0
        open_nodes.add(key)
        children = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
        sizes[key] = 1 + sum(size(child) for child in children)
        open_nodes.discard(key)
        return sizes[key]

    return size(root) - len(sizes)


def locate(root: Node, loc: Loc, *, key: bool = False) -> Node:
    """The node at a path, or the deepest that exists on the way; with `key`, a mapping's key instead of its value.

    Parts of the path that the text doesn't have (pydantic names the member of a union) are passed over.
    """
    node = root
    found: Node = root
    for part in loc:
        child = _child(node, part)
        if child is None:
            continue
        found, node = child
    return found if key else node


def _child(node: Node, part: str | int) -> tuple[Node, Node] | None:
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, MappingNode) and isinstance(part, str):
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if key_node.value == part:
                return key_node, value_node
            if key_node.tag == _MERGE:
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
        for source in merged:
            if isinstance(source, MappingNode) and (hit := _child(source, part)) is not None:
                return hit
    return None


def exists(root: Node, loc: Loc) -> bool:
    """Whether the text has every part of the path."""
    node = root
    for part in loc:
        child = _child(node, part)
        if child is None:
            return False
        node = child[1]
    return True


def is_stream(path: Path) -> bool:
    """Whether the path is standard input, or what is neither a regular file nor a folder (a pipe, a socket, a device): read once, and
    in no folder that means anything."""
    if str(path) in ("-", "/dev/stdin"):
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says what is wrong with it
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_of(path: Path) -> Path:
    """The folder that relative paths in a spec start from: its own, and the current one for a stream."""
    if is_stream(path):
        return Path()
    return real_folder_of(path) if _DESCRIPTOR.fullmatch(str(path)) else path.parent


def real_folder_of(path: Path) -> Path:
    """The folder in which a file stands, wherever links lead, and the current one for a stream."""
    return Path() if is_stream(path) else Path(os.path.realpath(path)).parent


def name_of(path: Path) -> str:
    """What the file is called in messages."""
    return "standard input" if str(path) == "-" else str(path)


def bytes_of(path: Path) -> bytes:
    """What the file or stream holds. Raises OSError."""
    if str(path) != "-":
        return path.read_bytes()
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer.read()


def files_of(path: Path) -> list[Path]:
    """The YAML and JSON files of a spec: the file itself, or those of a folder and the folders in it, sorted by their path.

    What is hidden (its name begins with a dot) is not part of a spec. Everything else with such a name is, whether it can be read or
    not: a part that is left out would be planned for deletion. Raises OSError for a folder that can't be listed.
    """
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    seen = {os.path.realpath(path)}
    for folder, below, names in os.walk(path, onerror=_raise, followlinks=True):
        # a folder that links lead to twice is read once, so that none of them leads in a circle
        here = sorted(name for name in below if not name.startswith("."))
        below.clear()
        if ".lock" in names and "control" in here:
            here = [name for name in here if name not in _REGISTRY]
        for name in here:
            place = os.path.realpath(Path(folder, name))
            if place not in seen:
                seen.add(place)
                below.append(name)
        files = (Path(folder, name) for name in names if not name.startswith("."))
        found += (file for file in files if file.suffix.lower() in (".yaml", ".yml", ".json"))
    return sorted(found)


def is_record(data: bytes) -> bool:
    """Whether a JSON file is a plan file or a rescue file: what this tool has written, and no part of a spec."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and any(document.keys() >= keys for keys in _RECORDS)


def _raise(error: OSError) -> None:
    raise error
