"""Saved plans at the command line: from another folder, from a pipe, without what is secret, and with parts that are stale."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from reconciler.spec.source import folder_of, is_stream
from tests.command_line import COMMAND, _environ
from tests.command_line import in_this_process as reconciler

pytestmark = pytest.mark.slow  # many commands, and hashes that are slow on purpose

SPEC: dict[str, Any] = {
    "version": 1,
    "name": "tests",
    "registries": [{"name": "images", "platform": "local", "path": "box"}],
    "repositories": [{"name": "app-a", "registry": "images"}, {"name": "app-b", "registry": "images"}],
    "grants": [{"name": "one", "registry": "images", "to": {"type": "local", "users": ["alice"]}}],
}


def write(folder: Path, spec: dict[str, Any] = SPEC, name: str = "registry.yaml") -> None:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text(yaml.safe_dump(spec, sort_keys=False))


def piped(data: bytes, *arguments: str, code: int = 0) -> str:
    """Runs a command with that on standard input, through a pipe; returns what it printed."""
    done = subprocess.run([*COMMAND, *arguments], input=data, capture_output=True, env=_environ(), timeout=60)
    assert done.returncode == code, (done.stdout + done.stderr).decode()
    return (done.stderr if code == 1 else done.stdout).decode()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- paths


@pytest.mark.parametrize("spec", ["registry.yaml", "specs", "specs/registry.yaml"])
def test_a_plan_made_in_one_folder_writes_to_the_same_place_from_another(
    here: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    write(here / "specs")
    root = here if spec == "registry.yaml" else here / "specs"
    (here / "plans").mkdir()
    reconciler("plan", spec, "--out", "plans/plan.json")
    monkeypatch.chdir(here / "plans")
    reconciler("apply", "plan.json", "--yes")
    assert (root / "box/control/repositories/app-a.json").exists()
    assert sorted(here.rglob("app-a.json")) == sorted((root / "box").rglob("app-a.json"))


def test_a_plan_moves_with_its_workspace(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI the job that applies has checked the repository out somewhere else than the one that planned."""
    write(here / "one")
    reconciler("plan", "one/registry.yaml", "--out", "one/plan.json")
    (here / "one").rename(here / "two")
    reconciler("apply", "two/plan.json", "--yes")
    assert (here / "two/box/control/repositories/app-a.json").exists()
    assert not (here / "one").exists()


# -- what is secret


SECRET = "s3cr3t-Value"


def with_secret(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {**SPEC, "repositories": [{"name": "app-a", "registry": "images", "description": "key ${env:KEY_A} of x"}]}
    spec["grants"] = [{"name": "one", "registry": "images", "to": {"type": "local", "users": ["${env:WHO}"]}}]
    write(here, spec)
    monkeypatch.setenv("KEY_A", SECRET)
    monkeypatch.setenv("WHO", "a")


def test_the_file_keeps_the_reference_and_apply_reads_the_variable_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_secret(here, monkeypatch)
    reconciler("plan", "--out", "plan.json")
    text = (here / "plan.json").read_text()
    assert SECRET not in text
    assert '"description": "key ${env:KEY_A} of x"' in text
    assert SECRET not in reconciler("plan", "--format", "json").stdout
    assert f'description: "key {SECRET} of x"' in reconciler("show", "plan.json").stdout
    reconciler("apply", "plan.json", "--yes")
    stored = json.loads((here / "box/control/repositories/app-a.json").read_text())
    assert stored["settings"]["description"] == f"key {SECRET} of x"
    assert "No changes." in reconciler("plan").stdout


def test_a_variable_that_is_not_set_or_has_another_value_refuses_the_plan(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_secret(here, monkeypatch)
    reconciler("plan", "--out", "plan.json")
    monkeypatch.setenv("KEY_A", "other")
    monkeypatch.delenv("WHO")
    said = reconciler("apply", "plan.json", "--yes", code=1).stderr
    assert "plan.json: the environment variable WHO is not set, and the spec uses it" in said
    assert "plan.json: the environment variable KEY_A has changed since the plan was made" in said
    assert SECRET not in said
    assert not (here / "box").exists()


def test_the_hash_of_the_spec_is_none_of_a_value(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_secret(here, monkeypatch)
    first = json.loads(reconciler("plan", "--format", "json").stdout)
    monkeypatch.setenv("KEY_A", "other")
    second = json.loads(reconciler("plan", "--format", "json").stdout)
    assert first["spec_hash"] == second["spec_hash"]
    assert first["variables"] != second["variables"]


def test_a_reference_that_is_not_the_spec_s_brings_nothing_in(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_SECRET", SECRET)
    reconciler("plan", "--out", "plan.json")
    document = json.loads((here / "plan.json").read_text())
    document["changes"][0]["notes"] = ["${env:HOME_SECRET}"]
    (here / "plan.json").write_text(json.dumps(document))
    said = reconciler("show", "plan.json", code=1).stderr
    assert "is damaged: it refers to the environment variable HOME_SECRET" in said
    assert SECRET not in said


@pytest.mark.parametrize("mode", [None, 0o644, 0o666])
def test_plan_files_and_logs_are_their_owner_s_alone(here: Path, mode: int | None) -> None:
    for name in ("plan.json", "outcomes.jsonl"):
        if mode is not None:
            (here / name).write_text("before\n")
            (here / name).chmod(mode)
    reconciler("plan", "--out", "plan.json")
    reconciler("apply", "plan.json", "--yes", "--log", "outcomes.jsonl")
    assert {(here / name).stat().st_mode & 0o777 for name in ("plan.json", "outcomes.jsonl")} == {0o600}
    assert ((here / "outcomes.jsonl").read_text().startswith("before\n")) == (mode is not None)
    assert json.loads((here / "plan.json").read_text())["format"] == 3


def test_a_plan_goes_into_a_pipe_too(here: Path) -> None:
    done = subprocess.run([*COMMAND, "plan", "--out", "/dev/stderr"], capture_output=True, env=_environ(), timeout=60)
    assert done.stderr.decode() == reconciler("plan", "--format", "json").stdout


# -- what is a plan, and what is a spec


def test_a_spec_written_as_json_is_a_spec(here: Path) -> None:
    (here / "spec.json").write_text(json.dumps(SPEC, indent=1))
    assert "images.access.app-a" in reconciler("graph", "spec.json").stdout
    reconciler("apply", "spec.json", "--yes")
    assert (here / "box/control/repositories/app-a.json").exists()
    assert "No changes." in reconciler("plan").stdout


@pytest.mark.parametrize("place", ["-", "/dev/stdin"])
def test_a_plan_from_a_pipe(here: Path, place: str) -> None:
    reconciler("plan", "--out", "plan.json")
    data = (here / "plan.json").read_bytes()
    assert piped(data, "show", place) == reconciler("show", "plan.json").stdout
    assert piped(data, "graph", place) == reconciler("graph", "plan.json").stdout
    assert "no terminal to confirm on" in piped(data, "apply", place, code=1)
    piped(data, "apply", place, "--yes")
    assert (here / "box/control/repositories/app-a.json").exists()


@pytest.mark.parametrize(("place", "text"), [("-", yaml.safe_dump(SPEC)), ("/dev/stdin", json.dumps(SPEC))])
def test_a_spec_from_a_pipe(here: Path, place: str, text: str) -> None:
    data = text.encode()
    name = "standard input" if place == "-" else place
    assert f"{name} is valid" in piped(data, "validate", place)
    assert piped(data, "plan", place) == reconciler("plan").stdout
    assert piped(data, "graph", place) == reconciler("graph").stdout
    piped(data, "apply", place, "--yes")
    assert (here / "box/control/repositories/app-a.json").exists(), "relative paths start from the current folder"
    assert f"Error: {name}:2:1: not YAML" in piped(b"[", "apply", place, code=1)


def test_an_error_in_a_spec_from_a_pipe_has_its_line(here: Path) -> None:
    assert "standard input:1:16: nam: unknown key (did you mean 'name'?)" in piped(
        b'{"version": 1, "nam": "x"}', "apply", "-", code=1
    )


@pytest.mark.parametrize("command", ["apply", "graph", "show"])
def test_a_plan_that_was_cut_off_is_called_a_plan(here: Path, command: str) -> None:
    reconciler("plan", "--out", "plan.json")
    (here / "plan.json").write_bytes((here / "plan.json").read_bytes()[:1000])
    assert reconciler(command, "plan.json", code=1).stderr.startswith("Error: plan.json is not a plan file: ")


def test_a_plan_that_is_not_there_is_told(here: Path) -> None:
    assert "nope.json:1:1: can't be read: No such file or directory" in reconciler("apply", "nope.json", code=1).stderr


def test_an_edited_plan_is_not_applied_and_not_shown(here: Path) -> None:
    reconciler("plan", "--out", "plan.json")
    document = json.loads((here / "plan.json").read_text())
    (access,) = [change for change in document["changes"] if change["address"] == "images.access.app-a"]
    access["desired"]["settings"]["entries"][0]["users"] = ["*"]
    document["guards"] = []
    (here / "plan.json").write_text(json.dumps(document))
    for command in (["show", "plan.json"], ["graph", "plan.json"], ["apply", "plan.json", "--yes"]):
        said = reconciler(*command, code=1)
        assert said.stdout == ""
        assert said.stderr.startswith("Error: plan.json is damaged: images.access.app-a: 'fields' does not follow from")
    assert not (here / "box").exists()


# -- destroy, and what is stale


def test_a_destroy_is_planned_saved_and_applied(here: Path) -> None:
    reconciler("apply", "--yes")
    shown = reconciler("plan", "--destroy", "--out", "plan.json").stdout
    assert "2 to delete" in shown
    assert reconciler("show", "plan.json").stdout in shown
    assert "2 done" in reconciler("apply", "plan.json", "--yes").stdout
    assert list(here.glob("box/control/*/*.json")) == []


def test_skip_stale_applies_the_rest_and_exits_with_4(here: Path) -> None:
    reconciler("apply", "--yes")
    spec = {**SPEC, "grants": [{"name": "one", "registry": "images", "to": {"type": "local", "users": ["bob"]}}]}
    write(here, spec)
    reconciler("plan", "--out", "plan.json")
    path = here / "box/control/access/app-a.json"
    document = json.loads(path.read_text())
    document["entries"].append({"users": ["stranger"]})
    path.write_text(json.dumps(document))
    before = path.read_bytes()
    assert "the plan is stale; nothing was written" in reconciler("apply", "plan.json", "--yes", code=4).stderr
    told = reconciler("apply", "plan.json", "--yes", "--skip-stale", code=4).stdout
    assert "what others keep in the same document changed" in told
    assert "1 done" in told
    assert path.read_bytes() == before
    assert "bob" in (here / "box/control/access/app-b.json").read_text()
    assert "1 to update" in reconciler("plan").stdout


def test_skip_stale_skips_what_depends_on_what_is_stale(here: Path) -> None:
    reconciler("plan", "--out", "plan.json")
    reconciler("apply", "--yes", "--target", "images.repository.app-a")
    told = reconciler("apply", "plan.json", "--yes", "--skip-stale", code=4).stdout
    assert "it depends on images.repository.app-a, which was stale" in told
    assert not (here / "box/control/access/app-a.json").exists()
    assert (here / "box/control/access/app-b.json").exists()


def test_skip_stale_is_for_saved_plans_and_changes_nothing_where_nothing_is_stale(here: Path) -> None:
    assert "--skip-stale needs a saved plan" in reconciler("apply", "--yes", "--skip-stale", code=1).stderr
    reconciler("plan", "--out", "plan.json")
    assert "4 done" in reconciler("apply", "plan.json", "--yes", "--skip-stale").stdout


# -- where a plan, and what it writes, stands


def test_a_folder_under_dev_is_a_folder_like_any_other(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of shared memory, where there is one: a file in it is no pipe."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        pytest.skip("no /dev/shm")
    with TemporaryDirectory(dir=shared) as folder:
        reconciler("plan", "--out", f"{folder}/plan.json")
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        reconciler("apply", f"{folder}/plan.json", "--yes")
        assert list(Path().iterdir()) == []
        write(Path(folder))
        reconciler("apply", f"{folder}/registry.yaml", "--yes")
        assert Path(folder, "box/control/repositories/app-a.json").exists()
    assert (here / "box/control/repositories/app-a.json").exists()


def test_what_is_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with socket(AF_UNIX) as listener:
        listener_path = tmp_path / "socket"
        listener.bind(str(listener_path))
    streams = [Path("-"), Path("/dev/stdin"), Path("/dev/null"), tmp_path / "pipe", tmp_path / "link", listener_path]
    assert [path for path in streams if not is_stream(path)] == []
    others = [tmp_path, tmp_path / "file", tmp_path / "nope", Path("/dev/shm"), Path("/proc/self/status")]
    assert [path for path in others if is_stream(path)] == []
    reading, writing = os.pipe()
    with open(reading), open(writing, "w"), open(tmp_path / "file") as file:
        assert is_stream(Path(f"/dev/fd/{reading}"))
        assert not is_stream(Path(f"/dev/fd/{file.fileno()}"))
        assert folder_of(Path(f"/dev/fd/{reading}")) == Path()
        assert folder_of(Path(f"/dev/fd/{file.fileno()}")) == tmp_path.resolve()


@pytest.mark.parametrize("link", ["folder", "file", "spec's folder"])
def test_links_on_the_way_to_a_plan_change_nothing(here: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    store = here / "store/1/2"
    store.mkdir(parents=True)
    (here / "work").mkdir()
    write(here / "work/deep")
    (here / "artifacts").symlink_to("store/1/2")
    (here / "latest.json").symlink_to("store/1/2/plan.json")
    (here / "spec").symlink_to("work/deep")
    out = "latest.json" if link == "file" else "artifacts/plan.json"
    spec, root = ("spec/registry.yaml", here / "work/deep") if link == "spec's folder" else ("registry.yaml", here)
    reconciler("plan", spec, "--out", out)
    assert json.loads((store / "plan.json").read_text())["base"] == os.path.relpath(root.resolve(), store.resolve())
    monkeypatch.chdir(here / "artifacts")
    reconciler("apply", "plan.json", "--yes")
    assert [path.parents[2] for path in here.rglob("app-a.json") if path.parent.name == "repositories"] == [
        root / "box"
    ]


def test_the_plan_says_where_each_registry_stands_and_who_makes_the_calls(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "plans").mkdir()
    reconciler("plan", "--out", "plans/plan.json")
    monkeypatch.chdir(here / "plans")
    text = Path("plan.json").read_text()
    assert f"registry images (local {here.resolve()}/box)\n" in reconciler("show", "plan.json").stdout
    assert (
        f"<summary>registry images (local {here.resolve()}/box)"
        in reconciler("show", "plan.json", "--format", "markdown").stdout
    )
    assert json.loads(text)["where"] == {"images": "local ../box"}
    document = json.loads(text) | {"base": "../other"}
    Path("plan.json").write_text(json.dumps(document))
    said = reconciler("apply", "plan.json", "--yes", code=1).stderr
    assert said.startswith("Error: plan.json is damaged: 'where' does not follow from the rest of it")
    Path("plan.json").write_text(json.dumps(document | {"where": {"images": "local ../other/box"}}))
    assert f"registry images (local {here.resolve()}/other/box)\n" in reconciler("show", "plan.json").stdout


@pytest.mark.parametrize("path", ["~/box", "{here}/box", "link/box"])
def test_where_a_registry_stands_is_said_in_full_and_kept_as_it_moves(
    here: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("HOME", str(here / "home"))
    (here / "elsewhere").mkdir()
    (here / "link").symlink_to("elsewhere")
    given = path.format(here=here)
    place = {"~/box": here / "home/box", "link/box": here / "elsewhere/box"}.get(path, here / "box")
    write(here, {**SPEC, "registries": [{"name": "images", "platform": "local", "path": given}]})
    reconciler("plan", "--out", "plan.json")
    assert f"registry images (local {place.resolve()})\n" in reconciler("show", "plan.json").stdout
    assert json.loads((here / "plan.json").read_text())["where"] == {"images": f"local {given}"}


def test_a_plan_that_was_moved_away_says_which_folder_is_not_there(here: Path) -> None:
    reconciler("apply", "--yes")
    write(
        here,
        {
            **SPEC,
            "repositories": [{"name": "app-a", "registry": "images", "description": "x"}, SPEC["repositories"][1]],
        },
    )
    (here / "far/away").mkdir(parents=True)
    for options in ([], ["--destroy"]):
        reconciler("plan", *options, "--out", "plan.json")
        (here / "plan.json").rename(here / "far/away/plan.json")
        said = reconciler("apply", "far/away/plan.json", "--yes", code=4).stderr
        assert f"registry images: its folder {here.resolve()}/far/away/box does not exist" in said
        assert "was deleted since" not in said
        assert list((here / "far/away").iterdir()) == [here / "far/away/plan.json"]
    assert (here / "box/control/repositories/app-a.json").exists()


# -- what is said of a plan that was saved


def test_show_and_apply_say_the_same_of_one_file(here: Path) -> None:
    grants = [
        {"name": "one", "registry": "images", "repositories": ["app-a"], "to": {"type": "local", "users": ["zoe", "amy"]}},
        {"name": "two", "registry": "images", "to": {"type": "local", "users": ["bob"]}, "permission": "push-pull"},
        {"name": "three", "registry": "images", "repositories": ["app-b"], "to": {"type": "local", "users": ["amy"]}},
        {"name": "four", "registry": "images", "to": {"type": "local", "users": ["carl"]}},
    ]  # fmt: skip
    write(here, {**SPEC, "grants": grants})
    reconciler("plan", "--out", "plan.json")
    shown = reconciler("show", "plan.json").stdout
    assert reconciler("apply", "plan.json", code=1).stdout == shown


@pytest.mark.parametrize("why", ["a guard", "a problem"])
def test_a_saved_plan_that_apply_refuses_says_so(here: Path, why: str) -> None:
    if why == "a guard":
        public = [{"name": "one", "registry": "images", "to": {"type": "local", "users": ["*"]}}]
        write(here, {**SPEC, "grants": public})
    else:
        write(here / "other", {**SPEC, "name": "other", "registries": [{**SPEC["registries"][0], "path": "../box"}]})
        reconciler("apply", "other/registry.yaml", "--yes")
    code = 3 if why == "a guard" else 6
    said = reconciler("plan", "--out", "d.json", code=code).stdout.splitlines()[-1]
    heading = "Guards that stop the plan" if why == "a guard" else "The plan can't be applied"
    assert said == (
        f'Saved to d.json; apply will refuse it. Fix what is listed above under "{heading}", then plan again.'
    )
    reconciler("apply", "d.json", "--yes", code=code)


def test_a_saved_plan_that_can_be_applied_says_how(here: Path) -> None:
    said = reconciler("plan", "--out", "d.json").stdout.splitlines()[-1]
    assert said == "Saved to d.json. To apply exactly this plan: reconciler apply d.json"
