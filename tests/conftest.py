"""Fixtures: the sandboxes, and a clean environment."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from reconciler.platforms.catalog import CATALOG
from tests.sandbox import PLATFORMS, sandbox_class
from tests.sandbox.base import Sandbox

#: each platform has a fixture of its name
pytest_plugins = ["tests.cluster", "tests.onprem", *(f"tests.sandbox.{platform}" for platform in PLATFORMS)]

# examples are the same in every run, so that a red build is red for everybody; --hypothesis-profile=explore looks further
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", parent=settings.get_profile("ci"), derandomize=False, max_examples=300)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-update", action="store_true", help="write the golden files anew; review their diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a file in tests/golden."""

    def compare(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--golden-update"):
            path.write_text(text)
        assert text == path.read_text(), f"{name} differs; if that is meant, pytest --golden-update and review the diff"

    return compare


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays to the end: to look through it for garbage, again and again, was a third of collecting's time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a server or git's processes is slow, all else is quick; the longest come first."""
    slow_platforms = {platform for platform in PLATFORMS if sandbox_class(platform).slow}
    slow = {*slow_platforms, "azure_server", "cluster", "forge", "gcp_server", "stand_in", "http", "clone"}
    # where several processes share the tests, none is to be left alone at the end with the longest: those of pages and of installing
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        used = {*getattr(item, "fixturenames", ()), parameters.get("sandbox")}
        platform = parameters.get("sandbox")
        if platform and (why := sandbox_class(str(platform)).inapplicable.get(getattr(item, "originalname", ""))):
            item.add_marker(pytest.mark.xfail(run=False, reason=why))
        item.add_marker("slow" if used & slow or item.get_closest_marker("slow") else "quick")


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without_external(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that can validate specs for one of the platforms, and does not have it."""
    there = type(CATALOG).__contains__
    monkeypatch.setattr(type(CATALOG), "__contains__", lambda self, name: name != "external" and there(self, name))


@pytest.fixture(params=PLATFORMS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Every platform in turn: what is asserted on it is the contract."""
    found: Sandbox = request.getfixturevalue(request.param)
    return found
