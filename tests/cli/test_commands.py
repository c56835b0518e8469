"""The command line as its users run it: its output and its exit code, of a process where that makes a difference."""

from __future__ import annotations

import inspect
import json
import os
import re
import select
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from reconciler.model.platform import PARALLELISM, TIMEOUT
from tests.command_line import as_a_process
from tests.command_line import in_this_process as reconciler
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.local import LocalSandbox

SPEC = """\
version: 1
name: tests
registries:
  - {name: images, platform: local, path: box}
repositories:
  - {name: app-a, registry: images}
  - {name: app-b, registry: images, protect: true}
grants:
  - {name: one, registry: images, to: {type: local, users: [alice]}}
"""


def test_plan_apply_plan(here: Path) -> None:
    assert "Plan: 4 to create" in reconciler("plan").stdout
    assert not (here / "box").exists(), "a plan writes nothing"
    assert "Apply: 4 done." in as_a_process("apply", "--yes").stdout
    assert reconciler("plan", "--detailed-exitcode").stdout.startswith("No changes.")
    assert "No drift." in reconciler("drift").stdout


def test_exit_code_2_tells_changes_where_it_is_asked_for(here: Path) -> None:
    reconciler("plan", code=0)
    as_a_process("plan", "--detailed-exitcode", code=2)
    reconciler("drift", code=2)


def test_exit_code_1_is_an_error_with_its_line(here: Path) -> None:
    (here / "registry.yaml").write_text(SPEC.replace("registry: images}", "registry: imges}", 1))
    for command in (["validate"], ["plan"], ["apply", "--yes"], ["drift"], ["output"], ["graph"], ["destroy", "--yes"]):
        told = (as_a_process if command == ["validate"] else reconciler)(*command, code=1).stderr
        assert (
            "registry.yaml:6:29: repositories[0].registry: no registry is named 'imges' (did you mean 'images'?)"
            in told
        )
        assert "Traceback" not in told


def test_exit_code_1_also_for_a_wrong_option(here: Path) -> None:
    assert "No such option: --nope" in reconciler("plan", "--nope", code=1).stderr


def test_exit_code_6_is_a_conflict_and_the_plan_still_shows_the_rest(here: Path) -> None:
    path = here / "box/control/repositories/app-a.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"settings": {}}')
    told = reconciler("plan", code=6).stdout
    assert (
        "images.repository.app-a: box/control/repositories/app-a.json already exists and has no owner; to adopt it, add --adopt"
        in told
    )
    assert "images.repository.app-b" in told
    assert "the plan can't be applied" in reconciler("apply", "--yes", code=6).stderr
    assert json.loads(path.read_text()) == {"settings": {}}
    reconciler("apply", "--yes", "--adopt", "images.repository.app-a")
    assert reconciler("plan").stdout.startswith("No changes.")


def test_exit_code_3_is_a_guard(here: Path) -> None:
    reconciler("apply", "--yes")
    (here / "registry.yaml").write_text(SPEC.replace("  - {name: app-b, registry: images, protect: true}\n", ""))
    assert "protect: images.repository.app-b is protected" in reconciler("plan", code=3).stdout
    assert "nothing was written" in as_a_process("apply", "--yes", code=3).stderr
    assert (here / "box/control/repositories/app-b.json").exists()


def test_exit_code_4_is_a_stale_plan_and_nothing_is_written(here: Path) -> None:
    reconciler("apply", "--yes")
    (here / "registry.yaml").write_text(SPEC.replace("alice", "alice, bob").replace("app-a,", "app-a, description: x,"))
    reconciler("plan", "--out", "plan.json")
    access = here / "box/control/access/app-a.json"
    document = json.loads(access.read_text())
    document["entries"].append({"users": ["stranger"]})
    access.write_text(json.dumps(document))
    before = {path: path.read_bytes() for path in sorted(here.rglob("*.json"))}
    told = as_a_process("apply", "plan.json", "--yes", code=4).stderr
    assert "images.access.app-a: what others keep in the same document changed" in told
    assert {path: path.read_bytes() for path in sorted(here.rglob("*.json"))} == before


def test_a_saved_plan_is_shown_and_applied_as_it_is(here: Path) -> None:
    first = reconciler("plan", "--out", "plan.json").stdout
    assert reconciler("show", "plan.json").stdout in first
    (here / "registry.yaml").unlink()
    reconciler("apply", "plan.json", "--yes")
    assert (here / "box/control/repositories/app-a.json").exists()
    assert "to plan instead" in reconciler("apply", "plan.json", "--target", "x", code=1).stderr


@pytest.mark.parametrize("text", ["{", "{}", '{"format": 2}', '{"format": 1}'])
def test_a_damaged_plan_file_is_refused_in_words(here: Path, text: str) -> None:
    (here / "plan.json").write_text(text)
    told = reconciler("show", "plan.json", code=1).stderr
    assert told.startswith("Error: plan.json is ")
    assert "Traceback" not in told


def test_the_plan_file_is_the_same_bytes_for_the_same_inputs(here: Path) -> None:
    reconciler("plan", "--out", "one.json")
    reconciler("plan", "--out", "two.json", "--parallelism", "1")
    assert (here / "one.json").read_bytes() == (here / "two.json").read_bytes()
    assert reconciler("plan", "--format", "json").stdout == (here / "one.json").read_text()


def test_apply_asks_and_without_a_terminal_it_refuses(here: Path) -> None:
    told = as_a_process("apply", code=1).stderr
    assert "there is no terminal to confirm on; nothing was written" in told
    assert not (here / "box").exists()


@pytest.mark.slow  # a terminal
def test_on_a_terminal_only_yes_means_yes(here: Path) -> None:
    import pty

    def answer(word: bytes) -> int:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "reconciler", "apply"])
        seen = b""
        while b"'yes' is accepted" not in seen:
            readable, _, _ = select.select([terminal], [], [], 60)
            assert readable, f"it asks nothing: {seen!r}"
            seen += os.read(terminal, 4096)
        os.write(terminal, word + b"\n")
        while True:
            try:
                if not os.read(terminal, 4096):
                    break
            except OSError:  # the other end is closed
                break
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert answer(b"y") == 1
    assert not (here / "box").exists()
    assert answer(b"yes") == 0
    assert (here / "box").exists()


@pytest.mark.slow  # a terminal
def test_colour_is_for_terminals_and_no_color_takes_it_away(here: Path) -> None:
    import pty

    def output(**environ: str) -> bytes:
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", CI="1", **environ)  # a bar is no colour
            os.execv(sys.executable, [sys.executable, "-m", "reconciler", "plan"])
        seen = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        os.close(terminal)
        os.waitpid(pid, 0)
        return seen

    assert b"\x1b[" in output()
    assert b"\x1b[" not in output(NO_COLOR="1")
    assert "\x1b[" not in reconciler("plan").stdout


def test_the_log_has_a_line_of_json_for_each_outcome(here: Path) -> None:
    reconciler("apply", "--yes", "--log", "outcomes.jsonl")
    rows = [json.loads(line) for line in (here / "outcomes.jsonl").read_text().splitlines()]
    assert {row["address"] for row in rows} == {
        f"images.{kind}.app-{name}" for kind in ("repository", "access") for name in "ab"
    }
    assert {(row["action"], row["status"]) for row in rows} == {("create", "done")}
    assert all({"time", "seconds"} <= row.keys() for row in rows)


def test_destroy_takes_everything_but_what_is_protected(here: Path) -> None:
    reconciler("apply", "--yes")
    reconciler("destroy", "--yes", code=3)
    (here / "registry.yaml").write_text(SPEC.replace("protect: true", "protect: false"))
    reconciler("apply", "--yes")
    assert reconciler("destroy", "--yes").stdout.endswith("Destroy: 2 done.\n")
    assert list(here.glob("box/control/*/*.json")) == []
    assert reconciler("destroy", "--yes").stdout == "Nothing to destroy.\n"
    assert reconciler("destroy", "--yes", "--target", "images.*").stdout == "Nothing to destroy.\n"


def test_graph_and_output(here: Path) -> None:
    mermaid = reconciler("graph").stdout
    assert mermaid.startswith("flowchart LR")
    assert '["images.repository.app-a"]' in mermaid
    assert '"images.repository.app-a" -> "images.access.app-a";' in reconciler("graph", "--format", "dot").stdout
    reconciler("plan", "--out", "plan.json")
    assert (
        '"images.repository.app-a" -> "images.access.app-a";'
        in reconciler("graph", "plan.json", "--format", "dot").stdout
    )
    assert json.loads(reconciler("output").stdout)["images.repository.app-a"] == {
        "name": "app-a",
        "uri": "127.0.0.1:5000/app-a",
    }
    assert not (here / "box").exists(), "it writes nothing"


def test_drift_in_every_form_says_the_same(here: Path) -> None:
    reconciler("apply", "--yes")
    stored = here / "box" / "control" / "repositories" / "app-a.json"
    document = json.loads(stored.read_text())
    document["settings"]["description"] = "by hand"
    stored.write_text(json.dumps(document))
    text, markdown, plan = (
        reconciler("drift", "--format", form, code=2).stdout for form in ("text", "markdown", "json")
    )
    heading = "Drift: changed since the last apply, by hand or by an interrupted apply"
    assert text.startswith(f"{heading}\n  images.repository.app-a differs\n")
    assert f"#### {heading}\n\n```diff\n! images.repository.app-a differs\n" in markdown
    assert 'description: "by hand" (live)' in text
    assert 'description: "by hand" (live)' in markdown
    assert [change["address"] for change in json.loads(plan)["changes"]] == ["images.repository.app-a"]
    reconciler("apply", "--yes")
    assert "### tests: No drift\n" in reconciler("drift", "--format", "markdown").stdout


def test_what_others_gave_everyone_is_no_drift_of_the_spec_and_ends_with_2(here: Path) -> None:
    reconciler("apply", "--yes")
    stored = here / "box" / "control" / "access" / "app-b.json"
    document = json.loads(stored.read_text()) if stored.exists() else {"entries": [], "marks": {}}
    document["entries"].append({"users": ["*"], "permission": "pull", "note": "by hand"})
    stored.write_text(json.dumps(document))
    text = reconciler("drift", code=2).stdout
    assert text.startswith("Drift: foreign access; every resource matches the spec.\n")
    assert "Foreign access that the guards would not allow in the spec\n  allow_public: anyone has access" in text
    markdown = reconciler("drift", "--format", "markdown", code=2).stdout
    assert markdown.startswith("### tests: Drift: foreign access; every resource matches the spec\n")
    for form in (text, markdown):
        assert "No drift" not in form, "the head and the exit code agree"
        assert "delete the entry without a grant whose users are" in form
        assert "from box/control/access/app-b.json" in form
    assert reconciler("plan", "--detailed-exitcode").stdout.startswith("No changes.")


def test_what_protects_or_permits_nothing_is_said(here: Path) -> None:
    (here / "registry.yaml").write_text(SPEC + 'guards: {protect: ["app-*", "images/app-b", "ap-a"]}\n')
    plan = reconciler("plan", "--allow-delete", "images.access.app-a").stdout
    assert "guards.protect: no repository is named 'ap-a' (did you mean 'app-a'?), so it protects nothing\n" in plan
    assert "--allow-delete images.access.app-a: only repositories need this permission" in plan
    assert "'app-*'" not in plan
    assert "it protects nothing" in reconciler("drift", code=2).stdout
    assert "it protects nothing" in reconciler("plan", "--format", "markdown").stdout
    reconciler("plan", "--out", "plan.json")
    assert "it protects nothing" in reconciler("show", "plan.json").stdout


def test_output_of_one_registry_does_not_need_another_one_s_platform(here: Path, without_external: None) -> None:
    spec = SPEC.replace(
        "registries:\n", "registries:\n  - {name: hub, platform: external, url: https://registry.example.com}\n"
    )
    (here / "registry.yaml").write_text(spec)
    all_of_them = reconciler("output", code=1)
    assert (
        "registry hub: platform external is not available in this build; its values are left out" in all_of_them.stderr
    )
    assert "images.repository.app-a" in json.loads(all_of_them.stdout)
    one = reconciler("output", "--registry", "images")
    assert json.loads(one.stdout) == json.loads(all_of_them.stdout)
    assert one.stderr.startswith("note: registry images is not being served; ")
    assert "no such registry (did you mean 'images'?)" in reconciler("output", "--registry", "imges", code=1).stderr


def test_output_on_aws_gives_uris_and_role_arns_without_any_call() -> None:
    example = str(Path(__file__).parents[2] / "examples" / "aws")
    lines = as_a_process(
        "output", example, "--format", "dotenv", AWS_ENDPOINT_URL="http://127.0.0.1:1"
    ).stdout.splitlines()
    assert "IMAGES_ROLE_PULL_ARN=arn:aws:iam::123456789012:role/images-pull" in lines
    assert "IMAGES_REPOSITORY_CHECKOUT_NAME=images-checkout" in lines
    assert "IMAGES_REPOSITORY_CHECKOUT_URI=123456789012.dkr.ecr.us-east-1.amazonaws.com/images-checkout" in lines
    assert (
        "IMAGES_REPOSITORY_CHECKOUT_EU_WEST_1_URI=123456789012.dkr.ecr.eu-west-1.amazonaws.com/images-checkout" in lines
    )


def test_output_as_dotenv_refuses_two_values_of_one_name_and_json_keeps_both(here: Path) -> None:
    """`app-a` in eu-west-1 and `app-a-eu-west-1` would be one variable: whoever reads the file would use the wrong image."""
    names = ("app-a", "app-a-eu-west-1")
    document = {
        "version": 1,
        "name": "tests",
        "registries": [
            {
                "name": "images",
                "platform": "aws",
                "account_id": "123456789012",
                "region": "us-east-1",
                "replication_regions": ["eu-west-1"],
            }
        ],
        "repositories": [{"name": name, "registry": "images"} for name in names],
    }
    (here / "registry.yaml").write_text(yaml.safe_dump(document))
    refused = reconciler("output", "--format", "dotenv", code=1)
    assert refused.stdout == ""
    assert "IMAGES_REPOSITORY_APP_A_EU_WEST_1_URI" in refused.stderr
    assert "images.repository.app-a@eu-west-1 and images.repository.app-a-eu-west-1" in refused.stderr
    assert "--format json" in refused.stderr
    values = json.loads(reconciler("output").stdout)
    assert values["images.repository.app-a@eu-west-1"] != values["images.repository.app-a-eu-west-1"]


def test_the_list_of_commands_fits_in_a_terminal_of_80_columns() -> None:
    told = as_a_process("--help", COLUMNS="80").stdout
    assert [line for line in told.splitlines() if line.startswith("  ") and line.endswith("...")] == []
    assert max(map(len, told.splitlines())) <= 80


def test_an_optional_argument_stands_in_one_pair_of_brackets() -> None:
    for command, argument in (("plan", "SPEC"), ("apply", "SPEC|PLAN"), ("serve", "REGISTRY")):
        usage = reconciler(command, "--help").stdout.splitlines()[0]
        assert usage == f"Usage: reconciler {command} [OPTIONS] [{argument}]"


def test_a_platform_that_this_build_lacks_is_told(here: Path, without_external: None) -> None:
    example = str(Path(__file__).parents[2] / "examples" / "every-platform")
    assert "is valid" in reconciler("validate", example).stdout
    told = reconciler("plan", example, code=1).stderr
    assert "registry images-onprem: platform external is not available in this build" in told
    for name in ("apply", "drift", "destroy", "graph"):
        assert "is not available in this build" in reconciler(name, example, code=1).stderr


def test_the_example_of_every_platform_can_say_its_values(here: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "every-platform"
    comment = "".join(line for line in (example / "registry.yaml").read_text().splitlines(True) if line[0] == "#")
    (command,) = re.findall("`reconciler (output [^`]*)`", comment)
    values = json.loads(reconciler(*command.split(), str(example)).stdout)
    assert {address.split(".")[0] for address in values} == {"images", "images-eu", "images-onprem", "sandbox"}


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (
            ["--help"],
            (
                "boto3",
                "botocore",
                "google",
                "azure",
                "networkx",
                "deepdiff",
                "pydantic",
                "yaml",
                "rich",
                "reconciler.render",
            ),
        ),
        (["--version"], ("boto3", "botocore", "google", "azure", "networkx", "deepdiff", "pydantic", "yaml", "rich")),
        (
            ["validate"],
            (
                "boto3",
                "botocore",
                "google",
                "azure",
                "networkx",
                "deepdiff",
                "rich",
                "aiohttp",
                "argon2",
                "reconciler.cli.plan",
                "reconciler.render",
            ),
        ),
        (["plan"], ("boto3", "botocore", "google", "azure", "aiohttp", "argon2", "itsdangerous", "uvloop")),
    ],
)
def test_what_needs_no_cloud_imports_no_cloud_library(
    here: Path, arguments: list[str], banned: tuple[str, ...]
) -> None:
    code = (
        "import sys\nfrom reconciler.cli.app import run\n"
        f"assert run({arguments!r}) == 0\n"
        f"loaded = sorted(set({banned!r}) & set(sys.modules))\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_platform_imports_its_cloud_s_library_when_a_session_opens() -> None:
    code = (
        "import sys\nfrom reconciler.platforms.catalog import CATALOG\n"
        "assert 'aws' in [platform.name for platform in CATALOG.values()]\n"
        "loaded = sorted({'boto3', 'botocore', 'google', 'azure'} & set(sys.modules))\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    "command",
    [
        *("validate", "plan", "apply", "drift", "destroy", "show", "graph", "output", "schema"),
        *("credentials", "serve", "gc"),
    ],
)
def test_every_command_has_help_with_examples(command: str) -> None:
    assert f"reconciler {command}" in reconciler(command, "--help").stdout.split("Example")[1]


def test_verbose_logs_each_call_with_address_duration_and_request_id_and_no_secret(
    aws: AwsSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = aws.document("app-a", grants=({"name": "one", "to": aws.target("1")},))
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    done = as_a_process("apply", "--yes", "-v")
    lines = done.stderr.splitlines()
    assert any(" images sts:GetCallerIdentity " in line for line in lines)
    (created,) = [line for line in lines if "ecr:CreateRepository" in line]
    assert " images.repository.app-a ecr:CreateRepository " in created
    assert " ms 200 request-id=" in created
    (listed,) = [line for line in lines if "ecr:DescribeRepositories" in line]
    assert " images.region.us-east-1 ecr:DescribeRepositories " in listed
    assert len(lines) == len(aws.proxy.calls)
    assert "SECRETSECRETSECRET" not in done.stdout + done.stderr
    assert "Signature" not in done.stderr


@pytest.mark.slow
def test_sigterm_finishes_what_is_under_way_and_tells_what_was_not_started(local: LocalSandbox, tmp_path: Path) -> None:
    import signal
    import time

    names = [f"app-{number:04}" for number in range(1500)]
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(local.document(*names)))
    with (tmp_path / "output.txt").open("w") as file:  # a pipe that nobody reads would stop the process
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "apply", "--yes", "--parallelism", "1"],
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("sandbox/control/repositories/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    output = (tmp_path / "output.txt").read_text()
    assert code == 1, output[-2000:]
    assert "Stopping: finishing what is under way; nothing new is started." in output
    assert "Interrupted: " in output
    made = len(list(tmp_path.glob("sandbox/control/repositories/*.json")))
    assert f"Interrupted: {made} done, {1500 - made} skipped." in output
    assert not list(tmp_path.glob("sandbox/control/repositories/.*")), "no half-written file is left"


@pytest.mark.parametrize("command", ["plan", "apply", "drift", "destroy"])
def test_the_command_lines_defaults_are_the_engines(command: str) -> None:
    defaults = inspect.signature(import_module(f"reconciler.cli.{command}").run).parameters
    assert defaults["parallelism"].default == PARALLELISM
    assert defaults["timeout"].default == TIMEOUT


def test_a_time_limit_that_is_no_time_is_an_error(here: Path) -> None:
    assert "'soon' is not a duration" in reconciler("plan", "--timeout", "soon", code=1).stderr
    reconciler("plan", "--timeout", "30m")
