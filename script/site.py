"""Hook of mkdocs.yml: what the site shows from outside docs/.

README.md is its first page; the examples and the pages of the top folder are there too, and links lead to their place in the site.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
#: page of the site: file of the repository
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
#: wider, for the tables of the spec, which are read like the text around them and whose names stay in one piece; long lines of code
#: are wrapped, where they would be cut off
STYLE = """\
.md-grid { max-width: 80rem }
.md-typeset table:not([class]) { font-size: inherit }
.md-typeset td:first-child code:not(.path), .md-typeset code.option { white-space: nowrap }
.md-typeset td:nth-child(2), .md-typeset td:last-child { min-width: 6rem; overflow-wrap: anywhere }
.md-typeset td:nth-child(4) { min-width: 13rem }
.md-typeset pre > code { white-space: pre-wrap; overflow-wrap: anywhere }
"""
#: a table without headings has an empty row in Markdown, which needs one
_NO_HEADINGS = re.compile(r"<thead>\s*<tr>\s*(?:<th[^>]*></th>\s*)+</tr>\s*</thead>\s*")
_OPTION = re.compile(r"<code>(-[^<]{1,30})</code>")
#: a field below others, as the tables of the spec name it
_PATH = re.compile(r"<td><code>([a-z_]+(?:\[\])?\.[a-z_.\[\]]+)</code>")
_CODE = re.compile(r"`[^`]+`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the files from outside docs/."""
    for page, name in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    examples = sorted((ROOT / "examples").glob("*/registry.yaml"))
    for path in sorted((ROOT / "examples").glob("*/*.yaml")):
        files.append(
            File.generated(config, path.relative_to(ROOT).as_posix(), content=path.read_text(encoding="utf-8"))
        )
    blocks = (
        f'## {path.parent.name}\n\n```yaml title="{path.relative_to(ROOT).as_posix()}"\n{path.read_text(encoding="utf-8")}```\n'
        for path in examples
    )
    files.append(File.generated(config, "site.css", content=STYLE))
    files.append(File.generated(config, "examples.md", content="# Examples\n\n" + "\n".join(blocks)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the repository has them, turned into the site's."""
    folder = "." if page.file.src_uri in PAGES else "docs"
    linked = _LINK.sub(lambda link: f"]({_in_the_site(folder, link[1])}", markdown)
    return "\n".join(_piped(line) if line.startswith("|") else line for line in linked.split("\n"))


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Tables without an empty row on top, options that a browser doesn't break after their hyphens, and paths that it breaks after
    their dots alone: whole, some would take half of the page from what they mean."""
    html = _PATH.sub(lambda found: f'<td><code class="path">{found[1].replace(".", ".<wbr>")}</code>', html)
    return _OPTION.sub(r'<code class="option">\1</code>', _NO_HEADINGS.sub("", html))


def _piped(row: str) -> str:
    """A row of a table with plain pipes in its code: GitHub wants them escaped there, and Python-Markdown shows the backslash."""
    return _CODE.sub(lambda code: code[0].replace(r"\|", "|"), row)


def _in_the_site(folder: str, link: str) -> str:
    """A link of a page in this folder of the repository, from the top of the site."""
    target = (ROOT / folder / link).resolve().relative_to(ROOT).as_posix()
    for page, name in PAGES.items():
        if target == name:
            return page
    return "examples.md" if target == "examples" else target.removeprefix("docs/")
