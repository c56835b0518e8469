"""The pages of the documentation: their blocks, and a shell that runs these as a reader would.

Conventions of README.md and docs/*.md:

- every block is fenced and says its language; `console` has commands (`$ `) with what they print below, `sh` is a script;
- a block with a title (```` ```yaml title="registry.yaml" ````) is a file in the reader's folder;
- `…` in what a command prints stands for anything in that line, and in a line of its own for any number of lines;
- `<!-- run by: FILE -->` right above a block says what runs it instead of test_pages.py; `elsewhere` has that file's blocks.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients import configured, write_docker
from tests.command_line import ROOT
from tests.emulators.servers import free_port

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?$')
_RUN_BY = re.compile(r"^<!-- run by: (.+) -->$")
#: what asks for a password
_ASKS = re.compile(r"^\w+ login (?!.*--password-stdin)")
_DONE = "\x01done"
_SECRET = re.compile(r"^password: +(\S+)$", re.MULTILINE)
#: the port that the pages speak of
PORT = ":5000"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line`: that of its fence; `run_by`: the file that runs it instead of test_pages.py, or ""."""

    page: str
    line: int
    language: str
    title: str
    text: str
    run_by: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Of a `console` block: each command and what it prints."""
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:].rstrip("\n"), ""))
            elif found and found[-1][0].endswith("\\") and not found[-1][1]:
                found[-1] = (f"{found[-1][0]}\n{line.rstrip()}", "")
            else:
                assert found, f"{self.page}:{self.line}: the block does not begin with a command"
                found[-1] = (found[-1][0], found[-1][1] + line)
        return found


def blocks(page: Path) -> Iterator[Block]:
    """The page's fenced blocks, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        if lines[number].lstrip().startswith("```"):
            fence = _FENCE.match(lines[number])
            assert fence, f"{page.name}:{number + 1}: not a fence that these tests can read: {lines[number]}"
            end = lines.index("```", number + 1)
            run_by = _RUN_BY.match(lines[number - 1])
            text = "".join(f"{line}\n" for line in lines[number + 1 : end])
            yield Block(
                page.name, number + 1, fence["language"], fence["title"] or "", text, run_by[1] if run_by else ""
            )
            number = end
        number += 1


def elsewhere(file: str) -> list[Block]:
    """The blocks that the pages say are run by this file, by its path in the repository."""
    return [block for page in PAGES for block in blocks(page) if block.run_by == file]


def matches(expected: str, printed: str) -> bool:
    """Whether a command printed what the page shows."""
    lines = [
        "(?:.*\n)*" if line == "…" else f"{re.escape(line).replace('…', '.*')}\n" for line in expected.splitlines()
    ]
    return re.fullmatch("".join(lines), printed) is not None


class Shell:
    """A bash in a folder, where `reconciler` is the one that is tested and `serve` listens on a free port.

    `programs`: an empty folder for what it needs; `hub`: where the clients find Docker Hub, `127.0.0.1:PORT`.
    """

    def __init__(self, folder: Path, programs: Path, hub: str = "") -> None:
        port = free_port()
        self.port = f":{port}"
        self._secret = programs / "secret"
        command = programs / "reconciler"
        command.write_text(
            f'#!/bin/sh\nif [ "$1" = serve ]; then shift; set -- serve --port {port} "$@"; fi\n'
            f"exec '{sys.executable}' -m reconciler \"$@\"\n"
        )
        command.chmod(0o755)
        environ = {
            **os.environ,
            **configured(programs, hub),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
        }
        write_docker(programs, f"127.0.0.1{self.port}")
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._rest = b""
        self._code = 0

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(b"kill $(jobs -p) 2>/dev/null; wait; exit\n")
        self._bash.stdin.close()
        self._bash.stdout.read()
        self._bash.wait(60)
        self._bash.stdout.close()

    def run(self, command: str, lines: int = 0) -> tuple[str, int]:
        """Runs a command; what it printed, and its exit code. `lines`: how many to wait for from one in the background.

        Asked for a password, it gives the last one that was printed.
        """
        if _ASKS.match(command):
            command = f"'{sys.executable}' -m tests.terminal '{self._secret}' {command}"
        # what reads standard input must not read the commands that come after it
        self._send(f"(exit {self._code})\n{{ {command.replace(PORT, self.port)}\n}} </dev/null\n")
        printed = "".join(self._line() for _ in range(lines))
        self._send(f"printf '\\n%s %s\\n' '{_DONE}' $?\n")
        while not (line := self._line()).startswith(_DONE):
            printed += line
        self._code = int(line.split()[1])
        printed = printed.removesuffix("\n").replace("\r\n", "\n").replace(self.port, PORT)
        if secret := _SECRET.search(printed):
            self._secret.write_text(secret[1])
        return printed + ("\n" if printed and not printed.endswith("\n") else ""), self._code

    def _send(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text.encode())

    def _line(self) -> str:
        deadline = time.monotonic() + 120
        assert self._bash.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._bash.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                assert waiting.select(deadline - time.monotonic()), "the command neither ends nor prints"
                some = os.read(self._bash.stdout.fileno(), 65536)
                assert some, f"the shell has ended: {self._rest.decode()}"
                self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode() + "\n"
