"""The site of the documentation: it builds, and every link in it leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.command_line import ROOT

pytestmark = pytest.mark.slow  # builds


class Links(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        self.targets += [value for key in ("href", "src") if (value := given.get(key))]


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def broken(site: Path) -> list[str]:
    """Each link of the site that leads nowhere."""
    pages = {path: Links(path) for path in site.rglob("*.html") if path.name != "404.html"}
    found = []
    for path, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            to = to / "index.html" if to.is_dir() else to
            there = to.is_file() and (not parts.fragment or to not in pages or parts.fragment in pages[to].anchors)
            if not there:
                found.append(f"{path.relative_to(site)}: {target}")
    return found


def test_the_site_builds_and_no_link_in_it_is_broken(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert broken(tmp_path / "site") == []
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / "site" / page.stem / "index.html").is_file()
    home = (tmp_path / "site" / "index.html").read_text()
    assert 'href="spec/"' in home
    assert 'src="first-plan.svg"' in home
    headings = re.findall(r"<h2[^>]*>([^<]+)", home)
    assert headings[:2] == ["Installation", "A first plan"], "what it is stands above them"
    style = (tmp_path / "site" / "site.css").read_text()
    for rule in (
        "table:not([class]) { font-size: inherit",
        "pre > code { white-space: pre-wrap",
        "td:first-child code:not(.path), .md-typeset code.option { white-space: nowrap",
    ):
        assert rule in style
    commands = (tmp_path / "site" / "commands" / "index.html").read_text()
    assert "<code>apply [SPEC|PLAN]</code>" in commands
    assert '<code class="option">--spec</code>' in commands
    spec = (tmp_path / "site" / "spec" / "index.html").read_text()
    assert '<td><code class="path">creation_templates[].<wbr>retention.<wbr>keep_last</code>' in spec
    for path in (tmp_path / "site").rglob("*.html"):
        html = path.read_text()
        assert not re.search(r"<thead>\s*<tr>\s*(<th[^>]*></th>\s*)+</tr>", html), path
        assert not re.search(r"<code>[^<]*\\\|[^<]*</code></td>", html), path
    (tmp_path / "site" / "spec" / "index.html").unlink()
    assert broken(tmp_path / "site")  # such a test must be able to fail


@pytest.mark.parametrize("link", ["nowhere.md", "spec.md#nowhere", "../nowhere.md", "#nowhere"])
def test_a_broken_link_fails_the_build(tmp_path: Path, link: str) -> None:
    for name in ("docs", "examples", "script"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs" / "api.md").open("a") as page:
        page.write(f"\n[a link]({link})\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stdout + done.stderr
