"""The stand-in as a fixture: one server for a session of tests, emptied between them.

Tests that use it say `pytest_plugins = ["tests.emulators.gcp.fixtures"]`.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from .server import Server, serving


@pytest.fixture(scope="session")
def gcp_server() -> Iterator[Server]:
    """The server, which ends with the session."""
    with serving() as server:
        yield server


@pytest.fixture
def stand_in(gcp_server: Server) -> Server:
    """The server with nothing in it; fresh service accounts are known at once."""
    gcp_server.reset()
    gcp_server.cloud.state.knobs.flaps = ()
    return gcp_server


@pytest.fixture
def http(stand_in: Server) -> Iterator[httpx.Client]:
    """A client whose paths are those of the stand-in."""
    with httpx.Client(base_url=stand_in.url) as client:
        yield client
