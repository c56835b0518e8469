"""What a session offers beside plan and apply: credentials, a server, retention."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

#: seconds that content which no image needs stays: a push may be under way. As in Zot: https://zotregistry.dev/v2.1.0/articles/storage/
GRACE = 3600.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What logs in to a registry: `docker login REGISTRY -u USERNAME -p PASSWORD`. `expires_at` has a time zone.

    The password is shown by nothing but an explicit look at it.
    """

    registry: str
    username: str
    password: str = field(repr=False)
    expires_at: datetime


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
    """How a registry is served. Port 0: any free one. `certificate` and `key`: PEM files for TLS.

    Every `collect_every` seconds, what Session.collect would remove with `grace` is removed.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: str = ""
    key: str = ""
    collect_every: float = 3600.0
    grace: float = GRACE
    log_requests: bool = False


DEFAULT_OPTIONS = ServerOptions()


@dataclass(frozen=True, slots=True)
class Collected:
    """What retention and garbage collection removed from a repository ("" for the registry as a whole), or would remove.

    `size`: bytes. `trouble`: why nothing was removed from it.
    """

    repository: str
    images: tuple[str, ...] = ()
    blobs: int = 0
    uploads: int = 0
    size: int = 0
    trouble: str = ""
