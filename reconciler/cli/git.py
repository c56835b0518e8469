"""git, asked about one clone: never about another that a hook's environment names. Nothing is run that its configuration names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.errors import ReconcilerError
from reconciler.redaction import redacted
from reconciler.words import any_of, did_you_mean

#: the two that git itself passes on to another repository: what they hold is of the command line, such as safe.directory
#: (https://github.com/git/git/blob/master/run-command.c, prepare_other_repo_env)
_KEPT = frozenset({"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"})
#: what would change how a path is read (https://git-scm.com/docs/git#_environment_variables), and where refs are looked for
_OURS = (
    *(f"GIT_{how}_PATHSPECS" for how in ("GLOB", "NOGLOB", "ICASE", "LITERAL")),
    "GIT_NAMESPACE",
    "GIT_ATTR_SOURCE",
)
#: a commit before another: `~2`, `^`, `^2` (https://git-scm.com/docs/gitrevisions)
_EXPRESSION = re.compile(r"(?P<ref>.+?)(?P<steps>(?:[~^][0-9]*)*)")
#: HEAD, FETCH_HEAD: files of the clone, which no push makes
_HEAD = re.compile(r"(?:[A-Z]+_)?HEAD")
_ID = re.compile(r"[0-9a-f]{4,64}")
#: where a name may be a ref's, in the order in which it is most likely meant
_PLACES = ("refs/remotes/", "refs/heads/", "refs/tags/", "refs/")
#: how a job is told to fetch all of the history
WHOLE = "or `fetch-depth: 0` of actions/checkout, or `GIT_DEPTH: 0` on GitLab"


class NoRepository(ReconcilerError):
    """git is not there, or the folder is in no repository of git's."""


class Git:
    """git in one folder of a clone. Raises NoRepository, and ReconcilerError where git does not read the clone."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise NoRepository("git is not installed; install git, or give the path of a spec as --base")
        self._program, self._folder = program, folder
        self._environ = _environ(program)
        #: the top of the clone's files
        self.root = self.text("rev-parse", "--show-toplevel").rstrip("\n")

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """What git did; no error is one here."""
        # nothing that a repository's configuration names is run (fsmonitor), and nobody is asked anything
        return subprocess.run(  # noqa: S603 - no shell, and a ref that looks like an option is none
            [self._program, "-c", "core.fsmonitor=false", *arguments],
            cwd=self._folder,
            input=given,
            capture_output=True,
            check=False,
            env=self._environ,
        )

    def text(self, *arguments: str) -> str:
        """What git printed. Raises ReconcilerError with what it says."""
        found = self.run(*arguments)
        if found.returncode == 0:
            return found.stdout.decode("utf-8", "surrogateescape")
        said = redacted(found.stderr.decode("utf-8", "replace"))  # the URL of a remote may have a token
        if "dubious ownership" in said:
            raise ReconcilerError(_ownership(said, self._folder))
        if "not a git repository" in said:
            raise NoRepository(f"{self._folder} is in no git repository; give the path of a spec as --base")
        lines = [line.removeprefix("fatal: ") for line in said.strip().splitlines()]
        name = next((item for item in arguments if not item.startswith("-")), "")
        raise ReconcilerError(f"git {name}: {lines[0] if lines else f'exit code {found.returncode}'}")

    def names(self, *arguments: str) -> list[str]:
        """What git printed, a name each, with a NUL after it."""
        return [name for name in self.text(*arguments).split("\0") if name]

    @property
    def shallow(self) -> bool:
        """Whether a part of the history is not here."""
        return self.text("rev-parse", "--is-shallow-repository").strip() == "true"

    def commits(self, name: str) -> Mapping[str, str]:
        """All that a name may mean, each to its commit: a ref's full name, HEAD, or a commit id, with `~2` and `^` after it. A tag or
        a branch that is named like a branch of a remote hides nothing; git would take the tag
        (https://git-scm.com/docs/gitrevisions)."""
        match = _EXPRESSION.fullmatch(name)
        if match is None:
            return {}
        ref, steps = match["ref"], match["steps"]
        found: dict[str, str] = {}
        for item, start in self._refs(ref):
            if commit := self._commit(f"{start}{steps}"):
                found[f"{item}{steps}"] = commit
        return found

    def _refs(self, ref: str) -> Iterable[tuple[str, str]]:
        """What a name may be, and the object's id."""
        wanted = [ref] if ref.startswith("refs/") else [f"{place}{ref}" for place in _PLACES]
        there = dict(
            line.split(" ", 1)
            for line in self.text("for-each-ref", "--format=%(refname) %(objectname)", *wanted).splitlines()
        )
        yield from ((item, there[item]) for item in wanted if item in there)
        if (_HEAD.fullmatch(ref) or ref == "@") and (commit := self._commit(ref)):
            yield ref, commit
        if _ID.fullmatch(ref):
            ids = self.text("rev-parse", f"--disambiguate={ref}").split()
            commits = {commit: one for one in ids if (commit := self._commit(one))}
            if len(commits) == 1:
                yield from ((commit, commit) for commit in commits)

    def _commit(self, name: str) -> str:
        """The commit's id; "" if it is none."""
        ran = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return ran.stdout.decode().strip() if ran.returncode == 0 else ""

    def _other(self, name: str) -> str:
        """What a ref or an id stands for that is no commit, such as `blob`; "" where that is nothing, or a commit."""
        match = _EXPRESSION.fullmatch(name)
        ref = match["ref"] if match is not None else ""
        found = [start for _, start in self._refs(ref)] if ref else []
        if _ID.fullmatch(ref):
            found += self.text("rev-parse", f"--disambiguate={ref}").split()
        kinds = {self.run("cat-file", "-t", f"{item}^{{}}").stdout.decode().strip() for item in found} - {""}
        return any_of(sorted(kinds)) if "commit" not in kinds else ""

    def missing(self, name: str) -> str:
        """What to do where no commit has that name, as the end of a sentence."""
        if other := self._other(name):
            return f"is a {other} and no commit; give a branch, a tag of a commit, or a commit's id"
        known = [
            line.split("/", 2)[2]
            for line in self.text("for-each-ref", "--format=%(refname)").splitlines()
            if line.count("/") > 1
        ]
        remotes = self.text("remote").split()
        remote, _, branch = name.removeprefix("refs/remotes/").partition("/")
        if ":" in name:
            ref = name.partition(":")[0]
            return f"git knows no such ref here; write the ref alone, {ref}: the spec's own path is looked up in it"
        ask = f"{remote} {branch}:refs/remotes/{remote}/{branch}" if remote in remotes and branch else ""
        if self.shallow:
            deeper = f"git fetch --unshallow {ask}".strip()
            return f"git knows no such ref here; fetch the history first: `{deeper}`, {WHOLE}"
        near = did_you_mean(name, known, 0.75)
        if ask:
            return f"git knows no such ref here{near}; `git fetch {ask}` fetches it if it is on the server"
        if near:
            return f"git knows no such ref here{near}"
        some = (
            f"; branches of {any_of(remotes)} begin with {any_of([f'{item}/' for item in remotes])}" if remotes else ""
        )
        return f"git knows no such ref here{some or ', and this clone has no remote'}; `git branch --all` lists those that there are"


def _environ(program: str) -> dict[str, str]:
    """The environment without what would make git look at another repository: a hook's GIT_DIR and GIT_INDEX_FILE, say."""
    listed = subprocess.run([program, "rev-parse", "--local-env-vars"], capture_output=True, check=False, text=True)  # noqa: S603
    dropped = {*listed.stdout.split(), *_OURS} - _KEPT
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    # messages in English, which are looked at; no object in the place of another; nobody is asked anything
    return {
        **kept,
        "LC_ALL": "C",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def _ownership(said: str, folder: Path) -> str:
    match = re.search(r"repository at '(.+)'", said)
    root = match[1] if match else str(folder.resolve())
    return (
        f"git does not read the clone at {root}, since it belongs to somebody else; if you trust it:"
        f" `git config --global --add safe.directory {root}`"
    )
