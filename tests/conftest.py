"""Fixtures: the stages, and a clean environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.emulators.aws_wire import AwsWire
from tests.emulators.proxy import Proxy, proxy_to
from tests.emulators.servers import moto_server
from tests.stages import AwsStage, LocalStage, Stage

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a server process is slow; all else is quick."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        slow = "aws" in names or parameters.get("stage") == "aws" or item.get_closest_marker("slow")
        item.add_marker("slow" if slow else "quick")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRETSECRET")


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a moto_server process."""
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture(scope="session")
def proxy(moto: str) -> Iterator[Proxy]:
    """The proxy in front of moto."""
    with proxy_to(moto, AwsWire()) as running:
        yield running


@pytest.fixture
def aws(moto: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AwsStage:
    """An empty AWS account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    stage = AwsStage(proxy, moto)
    stage.reset()
    return stage


@pytest.fixture
def local(tmp_path: Path) -> LocalStage:
    """An empty folder."""
    folder = tmp_path / "local"
    folder.mkdir()
    return LocalStage(folder)


@pytest.fixture(params=["local", "aws"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Every platform in turn: what is asserted on it is the contract."""
    found: Stage = request.getfixturevalue(request.param)
    return found
