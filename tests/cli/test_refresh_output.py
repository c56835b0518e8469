"""What `reconciler refresh` renews whether or not anybody reads what it prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reconciler.engine.renew
from reconciler.cli import refresh
from reconciler.model.address import Address
from reconciler.model.renewal import Renewal, Renewed


def test_output_that_nobody_reads_stops_no_renewal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "registry.yaml"
    spec.write_text("version: 1\nname: demo\nregistries:\n  - {name: images, platform: local, path: ./images}\n")
    renewed: list[str] = []

    def renew(*_: Any, **__: Any) -> Iterator[Renewal]:
        for name in ("one", "two"):
            renewed.append(name)
            yield Renewal(Address(f"images.pull-secret.{name}"), Renewed.RENEWED)

    def closed(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(reconciler.engine.renew, "renew", renew)
    monkeypatch.setattr("typer.echo", closed)
    with pytest.raises(BrokenPipeError):
        refresh.run(spec)
    assert renewed == ["one", "two"]
