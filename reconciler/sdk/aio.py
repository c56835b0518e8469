"""The same registry for programs that run on asyncio. Its calls are made by a few threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from reconciler.model.service import Credentials
from reconciler.platforms.catalog import Spec

from .access import GivenAccess, RegistryAccess
from .registry import ArtifactRegistry, Permission, Repository, artifact_registry

P = ParamSpec("P")
R = TypeVar("R")
#: calls under way at once; what is beyond waits for its turn
THREADS = 16


class AsyncArtifactRegistry:
    """As ArtifactRegistry; an async context manager. A call that is cancelled is not awaited any more, and goes on to its end."""

    def __init__(self, registry: ArtifactRegistry) -> None:
        self._registry = registry
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"registry-{registry.name}")

    @property
    def name(self) -> str:
        """The registry's name in the spec."""
        return self._registry.name

    @property
    def platform(self) -> str:
        """The name of its platform, such as aws."""
        return self._registry.platform

    def __repr__(self) -> str:
        return f"<AsyncArtifactRegistry {self.name} on {self.platform}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Waits for what is under way, and closes the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._registry.close()

    async def create_repository(self, name: str, **settings: Any) -> Repository:
        """As ArtifactRegistry.create_repository."""
        return await self._run(self._registry.create_repository, name, **settings)

    async def get_repository(self, name: str) -> Repository:
        """As ArtifactRegistry.get_repository."""
        return await self._run(self._registry.get_repository, name)

    async def list_repositories(self) -> list[Repository]:
        """As ArtifactRegistry.list_repositories."""
        return await self._run(self._registry.list_repositories)

    async def delete_repository(self, name: str, *, force: bool = False) -> None:
        """As ArtifactRegistry.delete_repository."""
        await self._run(self._registry.delete_repository, name, force=force)

    async def generate_credentials(
        self, repository: str, permission: Permission = "pull", ttl_seconds: float = 3600
    ) -> Credentials:
        """As ArtifactRegistry.generate_credentials."""
        return await self._run(self._registry.generate_credentials, repository, permission, ttl_seconds)

    async def add_cross_account_access(
        self, repository: str, access: RegistryAccess, permission: Permission = "pull"
    ) -> None:
        """As ArtifactRegistry.add_cross_account_access."""
        await self._run(self._registry.add_cross_account_access, repository, access, permission)

    async def get_cross_account_access(self, repository: str) -> list[GivenAccess]:
        """As ArtifactRegistry.get_cross_account_access."""
        return await self._run(self._registry.get_cross_account_access, repository)

    async def remove_cross_account_access(
        self, repository: str, access: RegistryAccess, permission: Permission = "pull"
    ) -> None:
        """As ArtifactRegistry.remove_cross_account_access."""
        await self._run(self._registry.remove_cross_account_access, repository, access, permission)

    async def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(copy_context().run, partial(call, *args, **kwargs)))


def async_artifact_registry(name: str | None = None, *, spec: str | Path | Spec | None = None) -> AsyncArtifactRegistry:
    """As artifact_registry."""
    return AsyncArtifactRegistry(artifact_registry(name, spec=spec))
