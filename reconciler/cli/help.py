"""`reconciler help`: the pages of the documentation and their sections, as they came with this version."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from reconciler.errors import ReconcilerError
from reconciler.words import SHOWN_NAMES, all_of, any_of, did_you_mean

from .commands import COMMANDS
from .exits import Exit
from .help_tables import as_lists, as_table, names_in, rows_of, without_tables
from .printing import coloured

EXAMPLES = "Examples: reconciler help; reconciler help spec; reconciler help guards; reconciler help plan"
#: beside the package in the source tree, in it where it is installed
_FOLDERS = (Path(__file__).parents[1] / "docs", Path(__file__).parents[2] / "docs")
_HEADING = re.compile(r"^(#+) (.+)$")
_FENCE = re.compile(r"^ *```")
#: for the tests and whoever writes the pages
_COMMENT = re.compile(r"^<!--.*-->\n+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a page and what stands below it. `level`: 1 is the page itself."""

    page: str
    level: int
    heading: str
    text: str

    @property
    def topic(self) -> str:
        """What it is asked for by: the page's name, or the heading as one word."""
        if self.level == 1:
            return self.page
        return _word(self.heading)


def _word(text: str) -> str:
    """A heading, or what somebody typed for it, as one word."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "")).strip("-")


def sections_of(page: str, text: str) -> Iterator[Section]:
    """The page as a whole, then each of its sections with those below it."""
    lines = text.splitlines(keepends=True)
    found: list[tuple[int, int, str]] = []
    code = False
    for number, line in enumerate(lines):
        code ^= bool(_FENCE.match(line))
        if not code and (match := _HEADING.match(line)):
            found.append((number, len(match[1]), match[2]))
    for index, (start, level, heading) in enumerate(found):
        end = next((number for number, other, _ in found[index + 1 :] if other <= level), len(lines))
        yield Section(page, level, heading, "".join(lines[start:end]).rstrip("\n") + "\n")


def sections() -> list[Section]:
    """All sections of all pages, in the order of the pages' names. Raises ReconcilerError if the pages are not installed."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    if folder is None:
        raise ReconcilerError("the help pages are not installed; `reconciler --help` lists the commands")
    pages = sorted(folder.glob("*.md"))
    texts = [(path.stem, _COMMENT.sub("", path.read_text(encoding="utf-8"))) for path in pages]
    return [section for page, text in texts for section in sections_of(page, text)]


def topics(incomplete: str) -> list[str]:
    """The topics that begin like this, for the shell."""
    try:
        return sorted({section.topic for section in sections() if section.topic.startswith(incomplete)})
    except (ReconcilerError, OSError):
        return []


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            autocompletion=topics,
            help="A page, a section of a page, a field of the spec, or a command. [default: list them]",
        ),
    ] = None,
) -> int:
    """Print a page or a section of the documentation. Without a topic, lists them all."""
    known = sections()
    topic = " ".join(words or ())
    if not topic:
        typer.echo("\n".join(_listed(known)))
        return Exit.OK
    found = [section for section in known if section.topic == _word(topic)]
    if found:
        texts = list(_texts([item for item in found if item.level == 1] or found))
    elif fields := list(_fields(topic, known)):
        texts = fields
    elif typed := _of_type(topic, known):
        texts = [typed.text]
    else:
        texts = [next(section.text for section in known if section.topic == _nearest(topic, known))]
    for text in texts:
        _show(text)
    return Exit.OK


def _texts(found: list[Section]) -> Iterator[str]:
    """What sections say, that of the spec's page first; where several pages have one that is called so, each with its page's name."""
    ordered = sorted(found, key=lambda item: item.page != "spec")
    named = len({item.page for item in ordered}) > 1
    yield from (f"From the page `{item.page}`:\n\n{item.text}\n" if named else item.text for item in ordered)


def _of_type(topic: str, known: list[Section]) -> Section | None:
    """The innermost section of the spec's page that is about a type of grant."""
    row = f"| `type` | `{topic}` |"
    found = [section for section in known if section.page == "spec" and row in section.text]
    return max(found, key=lambda item: item.level, default=None)


def see_also(command: str) -> str:
    """Which topics of the documentation are about a command, as lines to stand below its own help; "" if none is."""
    try:
        found = dict.fromkeys(section.topic for section in sections() if command in section.topic.split("-"))
    except (ReconcilerError, OSError):
        return ""
    about = [f"    reconciler help {topic}\n" for topic in found if topic != command]
    return "".join(("\n  See also:\n", *about)) if about else ""


def _fields(name: str, known: list[Section]) -> Iterator[str]:
    """What the spec's tables say of a field, a text for each section that has one of that name."""
    inner = [section for section in known if section.page == "spec" and section.level > 1]
    whole = next((section for section in known if section.page == "spec"), None)
    top = whole.text.partition("\n## ")[0] if whole is not None else ""
    texts = [("The spec", top), *((section.heading, section.text.partition("\n### ")[0]) for section in inner)]
    for heading, text in texts:
        rows = list(rows_of(text, name))
        if rows:
            yield "".join((f"{heading}\n\n", *(as_table(headings, row) for headings, row in rows), "\n"))


def _nearest(topic: str, known: list[Section]) -> str:
    """The one topic that has all words of what was asked for. Raises ReconcilerError with what may be meant where there is not just
    one."""
    names = {section.topic for section in known}
    words = [word for word in _word(topic).split("-") if word]
    alike = sorted(
        name
        for name in names
        if words and all(any(part.startswith(word) for part in name.split("-")) for word in words)
    )
    if len(alike) == 1:
        return alike[0]
    fields = {name for section in known if section.page == "spec" for name in names_in(section.text)}
    near = (
        f" (did you mean {any_of([repr(name) for name in alike[:SHOWN_NAMES]])}?)"
        if alike
        else did_you_mean(topic.lower(), {*names, *COMMANDS}, least=0.7)
        or did_you_mean(topic.lower(), fields, least=0.85)
        or _mentioned(topic, known)
    )
    raise ReconcilerError(f"there is no help on '{topic}'{near}; `reconciler help` lists the topics")


def _mentioned(topic: str, known: list[Section]) -> str:
    word = re.compile(rf"\b{re.escape(topic)}", re.IGNORECASE)
    pages = [section.page for section in known if section.level == 1 and word.search(section.text)]
    return f" (it is mentioned in {all_of(pages)})" if pages and topic else ""


def _listed(known: list[Section]) -> Iterator[str]:
    yield "`reconciler help TOPIC` prints one of these pages, or a section of it."
    yield "`reconciler help COMMAND` prints the same as `reconciler COMMAND --help`."
    for page in [section for section in known if section.level == 1]:
        yield f"\n{page.topic}: {page.heading}"
        below = ", ".join(section.topic for section in known if section.page == page.page and section.level > 1)
        yield from textwrap.wrap(below, 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _show(text: str) -> None:
    if not coloured():
        typer.echo(without_tables(text, shutil.get_terminal_size().columns), nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(as_lists(text)))
