"""The rooms and the arrows between them: who may import whom, read off the source.

Every import counts: at the top of a file, inside a function, under TYPE_CHECKING, and those by a name made at run time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1] / "reconciler"
#: from the ground up; what stands in one line are siblings, which don't import each other
FLOORS = (
    ("words", "places", "redaction"),
    ("errors",),
    ("spec",),
    ("model",),
    ("engine", "platforms", "comments"),
    ("review",),
    ("render",),
    ("api", "schemas"),
    ("sdk",),
    ("cli",),
    ("__main__",),
)
#: modules that are imported by a name made at run time
BY_NAME = {
    "platforms.catalog": [f"platforms.{path.parent.name}.platform" for path in ROOT.glob("platforms/*/platform.py")],
    "cli.app": [f"cli.{path.stem}" for path in ROOT.glob("cli/*.py") if "EXAMPLES" in path.read_text()],
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# the package's own __init__ only hands on what is asked for, and everything is below it
MODULES = {name_of(path): path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(module: str, path: Path) -> Iterator[str]:
    """The modules of this package that a file names in an import, wherever it stands."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (item.name.removeprefix("reconciler.") for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *base]
            elif base[0] == "reconciler":
                base = base[1:]
            else:
                continue
            for item in node.names:
                below = ".".join([*base, item.name])
                yield below if below in MODULES else ".".join(base) or "api"  # the package hands on what api binds


@cache
def graph() -> nx.DiGraph[str]:
    found: nx.DiGraph[str] = nx.DiGraph()
    for module, path in MODULES.items():
        found.add_node(module)
        names = [*imported(module, path), *BY_NAME.get(module, ())]
        found.add_edges_from((module, name) for name in names if name in MODULES and name != module)
    return found


def room(module: str) -> str:
    return module.split(".")[0]


def floor_of(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


@pytest.mark.slow  # the graph of all modules is made here
def test_the_reader_sees_imports_of_every_sort() -> None:
    edges = graph().edges
    assert ("engine.diff", "model.kind") in edges, "at the top"
    assert ("cli.show", "api.plan_file") in edges, "inside a function"
    assert ("platforms.catalog", "model.platform") in edges, "under TYPE_CHECKING"
    assert ("platforms.aws.access", "platforms.aws.policy") in edges, "relative, of a module"
    assert ("platforms.catalog", "platforms.local.platform") in edges, "by a name made at run time"
    assert len(MODULES) > 100
    assert len(edges) > 300


@pytest.mark.slow  # all modules are parsed
def test_no_other_module_imports_by_a_name_made_at_run_time() -> None:
    found = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.ImportFrom) and node.module == "importlib")
        or (isinstance(node, ast.Import) and any(item.name == "importlib" for item in node.names))
        or (isinstance(node, ast.Name) and node.id == "__import__")
    }
    assert found == set(BY_NAME)


def test_no_import_goes_in_a_circle() -> None:
    circles = [sorted(found) for found in nx.strongly_connected_components(graph()) if len(found) > 1]
    assert circles == [], "each of them imports itself by way of the others"


def test_no_arrow_runs_back_up() -> None:
    up = [
        (module, name)
        for module, name in graph().edges
        if room(name) != room(module) and floor_of(name) >= floor_of(module)
    ]
    assert up == [], "the first imports what stands above it or beside it"


def test_platforms_do_not_know_each_other() -> None:
    platforms = {path.parent.name for path in ROOT.glob("platforms/*/platform.py")}
    for module, name in graph().edges:
        one, other = module.split("."), name.split(".")
        # what several share stands in folders of its own, which know none of them
        if one[0] == other[0] == "platforms" and len(one) > 2 and len(other) > 2 and other[1] in platforms:
            assert one[1] == other[1], f"{module} imports {name}"


@pytest.mark.parametrize("name", ["words", "places", "redaction", "errors", "spec", "model", "engine", "render"])
def test_the_core_imports_no_cloud_library(name: str) -> None:
    banned = ("boto3", "botocore", "google", "azure", "kubernetes", "aiohttp", "httpx")
    paths = [path for module, path in MODULES.items() if room(module) == name]
    assert paths
    for path in paths:
        for node in ast.walk(tree(path)):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not [item for item in names if item.split(".")[0] in banned], path


@pytest.mark.parametrize("name", ["spec", "model", "engine", "render"])
def test_the_core_names_no_platform(name: str) -> None:
    platforms = {path.parent.name for path in ROOT.glob("platforms/*/spec.py")}
    for module, path in MODULES.items():
        if room(module) != name:
            continue
        for node in ast.walk(tree(path)):
            identifier = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            assert identifier.lower() not in platforms, f"{path}:{getattr(node, 'lineno', 0)}"
            assert text not in platforms, f"{path}:{getattr(node, 'lineno', 0)}"
