"""What a session may offer beside plan and apply: credentials, a server, garbage collection. Each is an interface of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol, Self, runtime_checkable

from reconciler.errors import PlatformError
from reconciler.words import counted, plural

from .platform import Session

#: seconds that content which no image needs stays: a push may be under way. As in Zot: https://zotregistry.dev/v2.1.0/articles/storage/
GRACE = 3600.0
#: the code of the error that there is no such repository
NO_REPOSITORY = "NoRepository"
#: connections that one address may have at once; a client that pulls has a handful
CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Credentials:
    """What logs in to a registry: `docker login REGISTRY -u USERNAME -p PASSWORD`. `expires_at` has a time zone; None: they
    have no end that is known here.

    `repr` leaves the password out. `served`: whether the registry is being served now; if not, `registry`
    is its default address. `notes`: what whoever uses them must know, as sentences. `made_at`: None of what is made now.
    """

    registry: str
    username: str
    password: str = field(repr=False)
    expires_at: datetime | None
    served: bool = True
    notes: tuple[str, ...] = ()
    made_at: datetime | None = None


class Server(ABC):
    """A registry's own server, in this process. A context manager: it answers while the block runs."""

    url: str

    @abstractmethod
    def __enter__(self) -> Self:
        """Starts it; returns once it answers. Raises PlatformError if it can't listen."""

    @abstractmethod
    def __exit__(self, *exception: object) -> None:
        """Stops it: what is under way may finish."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a registry is served. Port 0 picks a free one. `certificate` and `key`: PEM files for TLS.

    `url`: where clients reach it, if that is elsewhere: scheme, host and port. `trusted_proxies`: whose X-Forwarded-* headers say
    so for each request. `connections_per_address`: how many a client that is not such a proxy can have at once.

    Every `collect_every` seconds (never if 0), the server removes what `collect` would with the same `grace`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: str = ""
    key: str = ""
    url: str = ""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    collect_every: float = 3600.0
    grace: float = GRACE
    log_requests: bool = False
    connections_per_address: int = CONNECTIONS


DEFAULT_OPTIONS = ServerOptions()


@dataclass(frozen=True, slots=True)
class Collected:
    """What retention and garbage collection removed from a repository ("" for the registry as a whole), or would remove.

    `size`: bytes. `tags`: by an image's digest, those that went with it. `trouble`: why nothing, or no more, was removed from it.
    """

    repository: str
    images: tuple[str, ...] = ()
    blobs: int = 0
    uploads: int = 0
    size: int = 0
    trouble: str = ""
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def said(self, would: str = "removed") -> str:
        """What is removed, in a line. `would`: what is done with it."""
        if self.trouble and not (self.images or self.blobs):
            return f"{self.repository or 'content'}: {self.trouble}"
        blobs = counted(self.blobs, "blob")
        if self.repository:
            trouble = f"; {self.trouble}" if self.trouble else ""
            return f"{self.repository}: {counted(len(self.images), 'image')} and {blobs} {would}{trouble}"
        uploads = counted(self.uploads, "unfinished upload")
        return f"content: {blobs} and {uploads} {would}, {self.size:,} {plural(self.size, 'byte')}"

    def names(self) -> list[str]:
        """The images' digests, each with its tags."""
        return [
            f"{digest} ({', '.join(self.tags[digest])})" if self.tags.get(digest) else digest for digest in self.images
        ]


@runtime_checkable
class IssuesCredentials(Protocol):
    """A session that hands out credentials."""

    def credentials(self, repositories: str, *, push: bool, ttl: float, user: str | None = None) -> Credentials:
        """Credentials that are good for `ttl` seconds and for the repositories that a name or glob selects.

        With `user`, a user or a grant as the platform has it, they can do no more than the spec's grants allow. Raises PlatformError.
        """


@runtime_checkable
class LogsIn(Protocol):
    """A session that makes what logs in to its registry for somebody who has no account on its platform, such as a cluster.

    `lasting`: whether that is the same each time and has no end, so that what somebody holds can be compared with it.
    """

    lasting: bool

    def login_host(self) -> str:
        """The registry as clients log in to it: `host` or `host:port`. Raises PlatformError."""

    def login_of(self, grant: str) -> Credentials:
        """What whoever a grant is for logs in with, for as long as the platform lets it be good. Raises PlatformError."""


@runtime_checkable
class FewLogins(Protocol):
    """A session of whose logins only some are good at a time: a new one may end an earlier one before its time."""

    def is_over(self, grant: str, ends: datetime) -> bool:
        """Whether a login of a grant that was to end at this time, to the second, has been ended. Raises PlatformError."""


@runtime_checkable
class Serves(Protocol):
    """A session whose registry has a server of its own here."""

    def server(self, options: ServerOptions = DEFAULT_OPTIONS) -> Server:
        """The registry's server, not yet started."""


@runtime_checkable
class Collects(Protocol):
    """A session that carries out retention itself, where the platform doesn't."""

    def collect(self, *, grace: float, dry_run: bool = False) -> list[Collected]:
        """Carries out retention and removes what no image needs, unless it is younger than `grace` seconds. Raises PlatformError."""


def not_served(registry: str, place: str) -> str:
    """What is said where no server of the registry runs. `place`: where one listens unless it is told otherwise."""
    return (
        f"registry {registry} is not being served; `reconciler serve {registry}` serves it at {place},"
        " unless given another --host or --port"
    )


def issuing(session: Session) -> IssuesCredentials:
    """The session, as one that issues credentials. Raises PlatformError if it can't."""
    if isinstance(session, IssuesCredentials):
        return session
    raise PlatformError(
        f"this build can't issue credentials for platform {session.platform.name}",
        operation="credentials",
        hint="log in with the platform's own command",
    )


def serving(session: Session) -> Serves:
    """The session, as one that can serve its registry. Raises PlatformError if the platform has its own server."""
    if isinstance(session, Serves):
        return session
    raise PlatformError(
        f"platform {session.platform.name} has servers of its own: nothing is served from here", operation="serve"
    )


def collecting(session: Session) -> Collects:
    """The session, as one that carries out retention. Raises PlatformError if the platform does so itself."""
    if isinstance(session, Collects):
        return session
    raise PlatformError(
        f"platform {session.platform.name} removes images itself, by the retention in the spec", operation="gc"
    )
