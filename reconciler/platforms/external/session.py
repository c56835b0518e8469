"""A session with a registry that somebody else runs: it is reached, and logged in to."""

from __future__ import annotations

from functools import cached_property

from reconciler.errors import PlatformError
from reconciler.model.platform import Estate, Platform
from reconciler.model.service import Credentials
from reconciler.platforms.distribution.auth import Login
from reconciler.platforms.distribution.client import RegistryClient
from reconciler.platforms.distribution.refusal import Refusal
from reconciler.platforms.http import HttpSession
from reconciler.platforms.paths import path_of

from . import hosts, login
from .spec import ExternalRegistry


class ExternalSession(HttpSession):
    """A registry of others. Its login is the operator's: it is handed on as it is."""

    lasting = True

    def __init__(self, platform: Platform, estate: Estate, registry: ExternalRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.registry = registry
        #: why the registry can't be asked; None if it can, or was not tried
        self.trouble: PlatformError | None = None
        self._tried = False

    @cached_property
    def login(self) -> Login | None:
        """The operator's login; None if there is none. Raises PlatformError."""
        return login.login_of(self, self.registry)

    @cached_property
    def client(self) -> RegistryClient:
        """What asks the registry. Raises PlatformError if the login can't be had."""
        given = self.registry.ca_file
        ca_file = path_of(given, self.estate.base, "ca_file") if given is not None else None
        return RegistryClient(hosts.api_of(self.registry), self.login, ca_file, self)

    def check(self) -> None:
        """Whether a registry is there, and takes the login. Trouble with it is raised where something is wanted of the registry: what
        is given up needs none. It is asked once: each of many secrets holds the same login."""
        if self._tried:
            return
        self._tried = True
        try:
            self.client.check_login(known=self.estate.examples.get(self.name, ()))
        except PlatformError as error:
            error.address = error.address or self.name
            self.trouble = error

    def login_host(self) -> str:
        return hosts.host_of(self.registry)

    def login_of(self, grant: str) -> Credentials:
        """The operator's login."""
        self._reached()
        found = self.login
        if found is None:
            raise PlatformError(
                f"registry {self.name} has no login in the spec, and whoever has none needs no pull secret",
                address=self.name,
                operation="log in",
                hint="remove the grant, or give `credentials`",
            )
        return Credentials(self.login_host(), found.username, found.password, None)

    def credentials(self, repositories: str, *, push: bool, ttl: float, user: str | None = None) -> Credentials:
        """The operator's login, whatever is asked for."""
        if user is not None:
            raise PlatformError(
                "an external registry has no users of this spec",
                address=self.name,
                operation="credentials",
                hint="leave out --as: the login is the operator's",
            )
        found = self.login_of("")
        note = "the login is the operator's: what it may do, and until when, is up to the registry"
        return Credentials(found.registry, found.username, found.password, None, notes=(note,))

    def is_there(self, repository: str) -> bool | None:
        self._reached()
        found = self.client.holds(repository)
        return None if isinstance(found, Refusal) else found

    def all_there(self) -> list[str]:
        self._reached()
        found = self.client.repositories()
        if isinstance(found, Refusal):
            raise PlatformError(
                f"which repositories registry {self.name} has can't be known: {found.why}",
                address=self.name,
                operation="list",
                hint="ask for each by its name",
            )
        return sorted(found)

    def _reached(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()
        super().close()
