"""A session with a local registry: its folder, its server, the credentials that it issues."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from reconciler.errors import PlatformError
from reconciler.model.platform import Estate, Platform, Session
from reconciler.model.service import DEFAULT_OPTIONS, NO_REPOSITORY, Collected, Credentials, Server, ServerOptions
from reconciler.platforms.extras import needing
from reconciler.platforms.paths import path_of
from reconciler.spec.selection import covered

from .collect import collect
from .content import Content
from .documents import AccessDocument, Documents
from .spec import LocalRegistry
from .store import Store

#: where `reconciler serve` listens unless --host and --port say otherwise: where clients look for a container registry
DEFAULT_PLACE = "127.0.0.1:5000"


class LocalSession(Session):
    """The folder of one local registry."""

    def __init__(self, platform: Platform, estate: Estate, registry: LocalRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.path = registry.path
        self.folder = registry.folder(estate.base)
        self.store = Store(path_of(registry.path, estate.base, "its path", f"registry {registry.name}: ").absolute())
        self.documents = Documents(self.store)
        self.content = Content(self.store)

    def check(self) -> None:
        self.store.check()

    def file_of(self, section: str, name: str) -> str:
        """Where a document is, for people: below the registry's path as the spec has it."""
        return os.path.join(self.path, self.store.path(section, name).relative_to(self.store.root))

    def absent(self) -> str:
        return "" if self.store.root.exists() else f"its folder {self.folder} does not exist"

    def credentials(self, repositories: str, *, push: bool, ttl: float, user: str | None = None) -> Credentials:
        # imported here: plan and apply do without the library for hashes
        with needing("local", self.name, "issuing credentials"):
            from .credentials import CredentialStore

        names = self.documents.repositories.names()
        chosen = list(covered([repositories], names, set(names)))
        if not chosen:
            raise PlatformError(
                f"registry {self.name} has no repository {repositories}",
                operation="credentials",
                code=NO_REPOSITORY,
                hint=f"it has {_listed(names)}; add a new one to the spec and run `reconciler apply`",
            )
        issued = CredentialStore(self.documents)
        for name in chosen if user is not None else ():
            self._check_grant(user or "", name, "push" if push else "pull")
        issued.remove_expired()
        place = self.documents.served_at()
        found = issued.issue(place or DEFAULT_PLACE, frozenset(chosen), push=push, ttl=ttl, user=user or "")
        return found if place else replace(found, served=False)

    def _check_grant(self, user: str, name: str, action: str) -> None:
        access = self.documents.access.read(name) or AccessDocument(name)
        if action not in access.allows(user):
            raise PlatformError(
                f"no grant lets user {user} {action} {'to' if action == 'push' else 'from'} {name}",
                operation="credentials",
                hint="add a grant to the spec if it has none, and run `reconciler apply`: a grant takes effect once it is applied",
            )

    def server(self, options: ServerOptions = DEFAULT_OPTIONS) -> Server:
        # imported here: nothing else needs the libraries for HTTP and tokens
        with needing("local", self.name, "the server"):
            from .server.running import LocalServer

        self.store.check()
        return LocalServer(
            self.name, self.content, options, lambda end: collect(self.content, grace=options.grace, end=end)
        )

    def collect(self, *, grace: float, dry_run: bool = False) -> list[Collected]:
        return collect(self.content, grace=grace, dry_run=dry_run)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return (", ".join(found[:10]) or "none yet") + more
