"""The registry's own endpoint, asked only before something is deleted: how many images there are, and their delete.

Whoever may manage a registry need not reach its images: in mode abac not even its owner does
(https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from azure.containerregistry import ContainerRegistryClient
from azure.core.exceptions import HttpResponseError

from reconciler.errors import PlatformError
from reconciler.model.call_log import working_on
from reconciler.model.kind import Uncounted

from . import endpoints
from .pipeline import Patient
from .troubles import FAILURES, translated

if TYPE_CHECKING:
    from .session import AzureSession

T = TypeVar("T")
#: what a registry answers whoever has no right there
_REFUSED = (401, 403)


class DataPlane:
    """A registry's images."""

    def __init__(self, session: AzureSession) -> None:
        self._session = session
        self._known: ContainerRegistryClient | None = None
        self._lock, self._renewed = RLock(), False
        self._open = ExitStack()

    @property
    def _client(self) -> ContainerRegistryClient:
        with self._lock:
            if self._known is None:
                session = self._session
                server = session.login_server
                if not server:
                    raise PlatformError(
                        "its login server is not known yet", operation="registries:get", hint="run again"
                    )
                self._known = ContainerRegistryClient(
                    f"https://{server}",
                    session.signed_in,
                    audience=endpoints.cloud(session.registry).audience,
                    transport=Patient(session.transport, session.sending),
                    retry_total=0,
                )
                self._open.enter_context(self._known)
            return self._known

    def count(self, name: str, at: str) -> int:
        """How many images a repository holds; 0 if it is not there. Raises Uncounted if it may not be asked, and PlatformError."""
        found = self._asked(at, "repositories:get", lambda client: client.get_repository_properties(name))
        return int(found.manifest_count or 0) if found is not None else 0

    def count_beside(self, names: Collection[str]) -> int:
        """How many images are in repositories that are none of these. Raises Uncounted if it may not be asked; PlatformError."""
        at = self._session.own_address()
        listed = self._asked(at, "catalog:list", lambda client: list(client.list_repository_names())) or []
        return sum(self.count(name, at) for name in sorted(listed) if name not in names)

    def delete(self, name: str, at: str) -> None:
        """Deletes a repository with its images; one that is not there is no error. Raises PlatformError."""
        try:
            self._asked(at, "repositories:delete", lambda client: client.delete_repository(name))
        except Uncounted as error:
            raise PlatformError(
                f"these credentials may not delete its images: {error}",
                address=at,
                operation="repositories:delete",
                hint="give them Container Registry Repository Contributor on the registry (AcrDelete in mode legacy), or delete the"
                f" repository with `az acr repository delete --name {self._session.registry.registry_name} --repository {name}`",
            ) from None

    def _asked(self, at: str, operation: str, ask: Callable[[ContainerRegistryClient], T]) -> T | None:
        used = self._client
        try:
            with working_on(at):
                return ask(used)
        except HttpResponseError as error:
            if error.status_code == 404:
                return None
            if error.status_code == 401 and self._again(used):
                return self._asked(at, operation, ask)
            if error.status_code in _REFUSED:
                raise Uncounted(f"{self._session.login_server} refuses these credentials") from None
            raise translated(error, at, operation, self._session.registry) from None
        except FAILURES as error:
            raise translated(error, at, operation, self._session.registry) from None

    def _again(self, used: ContainerRegistryClient) -> bool:
        """Logs in anew, once: a change of the role assignment mode ends every login that there was, ours too. Whether there is now
        another one than was used."""
        with self._lock:
            if used is self._known and not self._renewed:
                self._known, self._renewed = None, True
            return used is not self._known

    def close(self) -> None:
        """Lets go of what it holds; its connections are the session's."""
        self._open.close()
