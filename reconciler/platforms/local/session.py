"""A session with a local registry: its folder."""

from __future__ import annotations

from pathlib import Path

from reconciler.engine.resource import Estate, Live, parts
from reconciler.platforms.base import Platform, Session

from .spec import LocalRegistry
from .store import Store


class LocalSession(Session):
    """The folder of one local registry."""

    def __init__(self, platform: Platform, estate: Estate, registry: LocalRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.path = registry.path
        self.store = Store((Path(estate.base) / Path(registry.path).expanduser()).absolute())

    def check(self) -> None:
        self.store.check()

    def count_images(self, live: Live) -> int:
        return len(self.store.manifests(self.repository_of(live.address)))

    @staticmethod
    def repository_of(address: str) -> str:
        """The repository that an address is about."""
        return parts(address).name
