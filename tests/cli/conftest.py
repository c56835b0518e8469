"""A folder with the module's SPEC, in which its commands run; and a host of requests to comment on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.comments import waiting
from reconciler.render.review_document import review_json
from tests.command_line import in_this_process
from tests.review.specs import replaced, reviewed

from .forge import TOKEN, Forge

#: what of the environment says where a run is
PLACES = (
    *("GITHUB_TOKEN", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH", "GITHUB_REF", "GITHUB_SHA"),
    *("GITLAB_CI", "GITLAB_TOKEN", "CI_COMMIT_SHA", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"),
)


@pytest.fixture
def here(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, which is the current one, with `SPEC` of the test's module as its registry.yaml."""
    (tmp_path / "registry.yaml").write_text(request.module.SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def applied(here: Path) -> Path:
    """The same folder, with the spec applied."""
    in_this_process("apply", "--yes")
    return here


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> Iterator[Forge]:
    """A host with one request, which this run is for."""
    found = Forge(request.param)
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    if found.kind == "github":
        said = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": found.url,
            "GITHUB_REPOSITORY": "acme/images",
            "GITHUB_REF": "refs/pull/7/merge",
        }
    else:
        said = {
            "GITLAB_CI": "true",
            "GITLAB_TOKEN": TOKEN,
            "CI_API_V4_URL": found.url,
            "CI_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_IID": "7",
        }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    yield found
    found.close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for a host's limits; nothing really waits."""
    found: list[float] = []
    monkeypatch.setattr(waiting, "sleep", found.append)
    return found


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A saved review, as a path."""
    path = tmp_path / "review.json"
    path.write_text(review_json(reviewed(tmp_path, replaced(("[alice, bob]", "[alice, bob, carol]")))))
    return str(path)
