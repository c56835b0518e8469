"""The thread that serves: a port that is taken is an error of whoever starts it, and a stopped server can be stopped again."""

from __future__ import annotations

import httpx
import pytest

from tests.emulators.gcp.server import Server
from tests.emulators.serving import served


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with served(Server()) as first:
        with pytest.raises(OSError, match="address already in use"):
            Server(int(first.url.rpartition(":")[2])).start()
        assert httpx.get(f"{first.url}/v1/nothing").status_code == 404
    first.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.url)
