"""A session with a registry that somebody else runs: it is reached, and logged in to."""

from __future__ import annotations

from functools import cached_property

from reconciler.errors import PlatformError, TimeIsUp
from reconciler.model.platform import Estate, Platform
from reconciler.model.service import Credentials
from reconciler.platforms.distribution.auth import Login
from reconciler.platforms.distribution.client import RegistryClient
from reconciler.platforms.distribution.refusal import Refusal
from reconciler.platforms.distribution.trouble import NoAnswer
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
            known = self.estate.examples.get(self.name, ())
            self.client.check_login(known=[self.asked_as(name) for name in known])
        except PlatformError as error:
            error.address = error.address or self.name
            self.trouble = error

    def asked_as(self, name: str) -> str:
        """A repository's name in the registry's API."""
        return hosts.asked_as(self.registry, name)

    def named_beside(self) -> set[str]:
        """What other registries of the spec at the same address name, which have a login of their own, as the API has it."""
        here = hosts.api_of(self.registry)
        return {
            hosts.asked_as(other, name)
            for other in self.estate.registries
            if other.name != self.name and isinstance(other, ExternalRegistry) and hosts.api_of(other) == here
            for name in self.estate.named.get(other.name, ())
        }

    def holds(self, name: str) -> bool | Refusal:
        """Whether there is such a repository, as the registry's client says it. Raises PlatformError."""
        return self.client.holds(self.asked_as(name))

    def answer_for(self, name: str) -> bool | Refusal:
        """`holds`, where an answer that says nothing of one repository is a Refusal: it says nothing of others either. Raises
        PlatformError if no answer comes, or none in time."""
        try:
            return self.holds(name)
        except (NoAnswer, TimeIsUp):
            raise
        except PlatformError as error:
            return Refusal(error.message)

    def login_host(self) -> str:
        return hosts.host_of(self.registry)

    def login_of(self, grant: str) -> Credentials:
        """The operator's login, for a cluster. Raises PlatformError also where it is one that ends."""
        self._reached()
        return self._credentials(self._for_clusters)

    @cached_property
    def _for_clusters(self) -> Login | None:
        """The login, once it is known that it lasts: to know that, a helper may run again."""
        if self.login is not None:
            login.check_lasting(self, self.registry, self.login)
        return self.login

    def _credentials(self, found: Login | None) -> Credentials:
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
        self._reached()
        found = self._credentials(self.login)
        note = "the login is the operator's: what it may do, and until when, is up to the registry"
        return Credentials(found.registry, found.username, found.password, None, notes=(note,))

    def is_there(self, repository: str) -> bool | None:
        self._reached()
        found = self.holds(repository)
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
