"""The stand-in as a fixture: one server for a session of tests, emptied between them.

Tests that use it say `pytest_plugins = ["tests.emulators.azure.fixtures"]`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import pytest

from .server import Server, serving


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, which ends with the session."""
    with serving(tmp_path_factory.mktemp("azure") / "ca.pem") as server:
        yield server


@pytest.fixture
def azure_stand_in(azure_server: Server) -> Server:
    """The server with nothing in it."""
    azure_server.reset()
    return azure_server


@pytest.fixture
def bare(azure_stand_in: Server) -> Iterator[httpx.Client]:
    """A client whose paths are those of Azure Resource Manager, with a token; it sends addresses as they are."""
    trusted = ssl.create_default_context(cafile=str(azure_stand_in.ca))
    with httpx.Client(base_url=azure_stand_in.url, verify=trusted, headers={"Authorization": "Bearer x"}) as client:
        yield client


@pytest.fixture
def arm(bare: httpx.Client) -> httpx.Client:
    """The same, with an api-version in each address."""
    bare.params = httpx.QueryParams({"api-version": "2025-11-01"})
    return bare
