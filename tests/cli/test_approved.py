"""A saved plan is applied only with the spec that it was made from, and leaves a summary for the workflow that it runs in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.app import run
from reconciler.render.outcome import MOST_SUMMARY

SPEC = """\
version: 1
name: demo
clusters:
  - {name: prod, context: prod}
  - {name: stage, context: stage}
registries:
  - {name: box, platform: local, path: box}
repositories:
  - {name: app-a, registry: box}
  - {name: app-b, registry: box, protect: true}
grants:
  - {name: team, registry: box, to: {type: local, users: [alice]}}
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.yaml").write_text(SPEC)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    assert run(["plan", "--out", "plan.json"]) == 0


def test_with_the_spec_that_it_was_made_from_it_is_applied(capsys: pytest.CaptureFixture[str]) -> None:
    Path("registry.yaml").write_text(f"# a comment is no other spec\n{SPEC}")
    assert run(["apply", "plan.json", "--yes", "--spec", "registry.yaml"]) == 0
    assert capsys.readouterr().out.endswith("Apply: 4 done.\n")


def test_the_order_of_clusters_is_no_difference() -> None:
    rows = "  - {name: prod, context: prod}\n", "  - {name: stage, context: stage}\n"
    Path("registry.yaml").write_text(SPEC.replace("".join(rows), "".join(reversed(rows))))
    assert run(["apply", "plan.json", "--yes", "--spec", "registry.yaml"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("[alice]", "[alice, bob]", ["box.access.app-a: team.principals differs", "box.access.app-b: team.principals differs"]),
        ("  - {name: app-a, registry: box}\n", "", ["box.access.app-a: the plan makes it, and the spec does not have it",
                                                      "box.repository.app-a: the plan makes it, and the spec does not have it"]),
        ("path: box", "path: other", ["registry box: path differs"]),
        ("name: demo", "name: other", ["the plan is of the spec 'demo', and this one is 'other'"]),
        ("grants:\n", "guards: {max_deletes: 3}\ngrants:\n", ["the guards differ"]),
        ("  - {name: box", "  - {name: more, platform: local, path: more}\n  - {name: box",
         ["registry more was not in it when the plan was made"]),
        ("context: prod}", "context: other}", ["cluster prod: context differs"]),
        ("  - {name: stage, context: stage}\n", "", ["cluster stage is not in it"]),
        ("registries:\n", "  - {name: more, context: more}\nregistries:\n",
         ["cluster more was not in it when the plan was made"]),
    ],
)  # fmt: skip
def test_with_another_spec_it_is_refused_with_what_differs(
    capsys: pytest.CaptureFixture[str], old: str, new: str, differs: list[str]
) -> None:
    Path("registry.yaml").write_text(SPEC.replace(old, new))
    assert run(["apply", "plan.json", "--yes", "--spec", "registry.yaml"]) == 4
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["Error:", "the plan was not made from registry.yaml; nothing was written:"]
    assert sorted(said[2:-1]) == [f"  {item}" for item in differs]
    assert said[-1] == "  make a new plan and review it"
    assert not Path("box").exists()


def test_what_the_plan_does_not_change_counts_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--yes"]) == 0
    assert run(["plan", "--out", "plan.json"]) == 0
    Path("registry.yaml").write_text(SPEC.replace("[alice]", "[alice, bob]"))
    capsys.readouterr()
    assert run(["apply", "plan.json", "--yes", "--spec", "registry.yaml"]) == 4
    assert "it says something else of what the plan does not change" in capsys.readouterr().err


def test_a_spec_is_compared_with_a_saved_plan_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--yes", "--spec", "registry.yaml"]) == 1
    assert "--spec is for a saved plan" in capsys.readouterr().err


def test_outcomes_are_left_for_the_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert run(["apply", "--yes", "--job-summary"]) == 0
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("### demo: Apply: 4 done.\n\n| | resource | outcome |\n|---|---|---|\n")
    assert "| + | `box.repository.app-a` | created |\n" in summary
    values = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (values["changed"], values["widens"]) == ("true", "true")
    (gain,) = json.loads(values["gains"])
    assert (gain["principal"], gain["verbs"], gain["repositories"]) == ("user alice", ["pull"], ["app-a", "app-b"])
    (tmp_path / "output").unlink()
    assert run(["apply", "--yes", "--job-summary"]) == 0
    assert (tmp_path / "output").read_text() == "changed=false\nwidens=false\ngains=[]\n"
    assert (tmp_path / "summary").read_text().endswith("### demo: Apply: nothing to do.\n\n\n")


def test_what_failed_comes_first_and_a_summary_has_a_largest_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconciler.engine.write import Outcome, Status
    from reconciler.model.address import Address
    from reconciler.model.change import Action
    from reconciler.render.outcome import outcomes_markdown

    done = [
        Outcome(Address(f"box.repository.{'x' * 90}{number}"), Action.CREATE, Status.DONE) for number in range(20_000)
    ]
    failed = Outcome(Address("box.repository.z"), Action.CREATE, Status.FAILED, message="a | b\n::error::c @team")
    text = outcomes_markdown("demo", [*done, failed], "Apply: 1 failed.")
    assert (
        text.splitlines()[4] == "| + | `box.repository.z` | **failed**: a \\| b\\\\n::<!-- -->error::c @<!-- -->team |"
    )
    assert len(text.encode()) < MOST_SUMMARY + 1000 < 1024 * 1024
    assert text.splitlines()[-1].startswith("and ")


def test_without_a_workflow_nothing_is_applied(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--yes", "--job-summary"]) == 1
    assert "--job-summary: GITHUB_STEP_SUMMARY and GITHUB_OUTPUT not set" in capsys.readouterr().err
    assert not Path("box").exists()
