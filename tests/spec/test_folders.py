"""Which files of a folder are the spec: none of it is left out without a word, and what the tool writes itself is no part of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler import apply, load_spec, plan
from reconciler.api.plan_file import dumps
from reconciler.errors import SpecError
from reconciler.platforms.rescue import Rescue

HEAD = "version: 1\nname: x\nregistries: [{name: s, platform: local, path: data}]\n"


def names(folder: Path) -> list[str]:
    return [item.name for item in load_spec(folder).repositories]


def told(folder: Path) -> list[str]:
    with pytest.raises(SpecError) as found:
        load_spec(folder)
    return [f"{Path(problem.file).name}: {problem.message}" for problem in found.value.problems]


def test_a_json_file_of_a_folder_is_part_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "b.json").write_text('{"repositories": [{"name": "b", "registry": "s"}]}')
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.JSON").write_text('{"repositories": [{"name": "c", "registry": "s"}]}')
    assert names(tmp_path) == ["b", "c"]
    (tmp_path / "package.json").write_text('{"scripts": {}}')
    assert told(tmp_path)[0].startswith("package.json: unknown key")
    (tmp_path / "package.json").write_text('{"scripts": ')
    assert told(tmp_path)[0].startswith("package.json: not YAML")


def test_what_the_tool_writes_into_the_folder_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "b.json").write_text('{"repositories": [{"name": "b", "registry": "s"}]}')
    spec = load_spec(tmp_path)
    made = plan(spec)
    (tmp_path / "plan.json").write_text(dumps(made, tmp_path))
    address = made.changes[0].address
    Rescue(str(tmp_path), spec.name).keep(address, "b", {"policy": "{}"})
    apply(made)
    tags = tmp_path / "data" / "tags" / "b"
    tags.mkdir(parents=True)
    (tags / "v1.yaml").write_text("a tag")
    assert names(tmp_path) == ["b"]
    folders = {item.name for item in (tmp_path / "data").iterdir() if item.is_dir()}
    assert {"control", "temporary"} <= folders


def test_a_folder_of_nothing_but_plans_holds_no_spec(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"format": 3, "changes": []}))
    assert told(tmp_path) == [f"{tmp_path.name}: the folder has no .yaml, .yml or .json files"]


@pytest.mark.parametrize("section", ["registries", "repositories", "grants"])
def test_a_list_that_one_file_leaves_empty_is_the_others(tmp_path: Path, section: str) -> None:
    rows = {
        "registries": "  - {name: t, platform: local, path: other}\n",
        "repositories": "  - {name: b, registry: s}\n",
        "grants": "  - {name: g, registry: s, to: {type: local, users: [a]}}\n",
    }
    (tmp_path / "a.yaml").write_text(HEAD)
    for empty, full in (("b.yaml", "c.yaml"), ("c.yaml", "b.yaml")):
        (tmp_path / empty).write_text(f"{section}:\n")
        (tmp_path / full).write_text(f"{section}:\n{rows[section]}")
        assert len(getattr(load_spec(tmp_path), section)) == (2 if section == "registries" else 1)
        (tmp_path / full).write_text(f"{section}:\n")
        assert len(getattr(load_spec(tmp_path), section)) == (1 if section == "registries" else 0)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf\n"])
def test_a_file_of_nothing_but_a_byte_order_mark_is_empty(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "b.yaml").write_bytes(mark)
    assert told(tmp_path) == ["b.yaml: the file is empty; if that is intended, add a comment"]
    (tmp_path / "a.yaml").unlink()
    assert told(tmp_path / "b.yaml") == ["b.yaml: the spec is empty"]
