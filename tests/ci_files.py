"""What is ready to copy for CI, and a job's shell that runs its steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.cli.forge import TOKEN, Forge
from tests.command_line import ROOT
from tests.review.specs import BASE, replaced
from tests.review.test_git_base import Clone

ACTION = ROOT / "action.yml"
GITHUB = sorted((ROOT / "examples" / "ci" / "github").glob("*.yml"))
GITLAB = ROOT / "examples" / "ci" / "gitlab" / ".gitlab-ci.yml"
CI_PAGE = ROOT / "docs" / "ci.md"
#: the program, as the script that pip writes: nothing is taken from the current folder
RUN = f"PYTHONPATH='{ROOT}' PYTHONSAFEPATH=1 exec '{sys.executable}' -m reconciler \"$@\""
TOOLS = Path(sys.executable).parent


def load(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


class Runner:
    """A job's shell on a clone with a change of the spec, where `reconciler` is the one that is tested."""

    def __init__(self, folder: Path) -> None:
        (folder / "clone").mkdir()
        self.clone = Clone(folder / "clone")
        self.clone.git("update-ref", "refs/remotes/origin/main", "main")
        self.clone.write(replaced(("[alice, bob]", "[alice, bob, carol]")))
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.program("reconciler", RUN)
        installed = folder / "reconciler" / "bin"
        installed.mkdir(parents=True)
        isolated = f'if [ "$1 $2 $3" = "-I -m reconciler" ]; then shift 3; {RUN}; fi'
        self.program("python", f"{isolated}\nexec '{sys.executable}' \"$@\"", installed)
        self.program("apt-get", "exit 0")
        self.program("pip", "exit 0")
        self.summary, self.output = folder / "summary", folder / "output"
        self.environ = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder),
            "OWNED": str(folder / "owned"),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_BASE_REF": "main",
            "GITHUB_REPOSITORY": "acme/images",
            "LC_ALL": "C.UTF-8",
        }

    def program(self, name: str, text: str, folder: Path | None = None) -> None:
        path = (folder or self.programs) / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """As GitHub runs `shell: bash`
        (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell)."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.clone.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def owned(self) -> bool:
        """Whether code of the checkout was run, of what `hostile` has put there."""
        return Path(self.environ["OWNED"]).exists()

    def hostile(self) -> None:
        """Names each module that these steps run or import, in the checkout too: as a file, and as a folder."""
        text = "import os\nopen(os.environ['OWNED'], 'a').write(__name__)\n"
        for name in ("pip", "venv", "ensurepip"):
            for part in ("__init__", "__main__"):
                self.clone.write(text, f"{name}/{part}.py")
        for name in ("json", "reconciler", "sitecustomize", "usercustomize", "yaml", "typer", "pydantic"):
            self.clone.write(text, f"{name}.py")

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


def all_steps(path: Path, job: str = "") -> list[str]:
    found = load(path)
    listed = found["jobs"][job]["steps"] if job else found["runs"]["steps"]
    return [step["run"] for step in listed if "run" in step]


def steps(path: Path, job: str = "") -> list[str]:
    """The shell steps that install nothing."""
    return [text for text in all_steps(path, job) if "pip install" not in text]


def installs() -> dict[str, str]:
    """What installs, by its file."""
    found = {path.name: text for path in GITHUB for job in load(path)["jobs"] for text in all_steps(path, job)[:1]}
    found[ACTION.name] = all_steps(ACTION)[0]
    found[GITLAB.name] = load_gitlab()[".reconciler"]["before_script"][1]
    return found


def github(name: str) -> Path:
    return next(path for path in GITHUB if path.name == f"{name}.yml")


class Commenting:
    """The step that comments, after a run that has left a review."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        (self.script,) = steps(github("comment"), "comment")
        (review,) = steps(github("review"), "review")
        runner.run(review)
        self.review = runner.summary.parent / "untrusted" / "review.json"
        self.review.parent.mkdir()
        (runner.summary.parent / "review.json").rename(self.review)
        self.forge = Forge("github")

    def run(self, *numbers: int) -> subprocess.CompletedProcess[str]:
        """`numbers`: the open requests with that commit."""
        lines = "".join(f"echo {number}; " for number in numbers)
        self.runner.program("gh", f'printf "%s\\n" "$@" > "$HOME/asked"; {lines}')
        return self.runner.run(
            self.script,
            GITHUB_TOKEN=TOKEN,
            GITHUB_API_URL=self.forge.url,
            OWNER="fork",
            BRANCH="x; touch owned",
            SHA="0123456789abcdef0123456789abcdef01234567",
            RUN="https://github.example/runs/1",
        )


LOCAL = re.sub(r"  - name: images\n(    .*\n)+", "", BASE).replace('  protect: ["payments*"]\n', "")
LOCAL = re.sub(r"  - \{name: (cart|payments), .*\n", "", LOCAL)
LOCAL = re.sub(r"  - name: (staging|production)\n(    .*\n|      .*\n)+", "", LOCAL)


def load_gitlab() -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]  # pyyaml's own
    found: dict[str, Any] = yaml.load(GITLAB.read_text(), Loader)
    return found
