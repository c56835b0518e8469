"""Which entry of a docker config.json is for a registry. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.errors import PlatformError

from .hosts import HUB, HUBS, host_of
from .spec import ExternalRegistry

_OPERATION = "log in"
#: how well a key names a host: as `docker login` writes it, as its name alone, by a URL, or with what is below it
_EXACT, _BARE, _URL, _BELOW = range(4)


def entry_of(registry: ExternalRegistry, entries: Mapping[str, Any], source: str) -> tuple[str, Any] | None:
    """What `auths` or `credHelpers` have for a registry, with the host that it names; None if they have nothing. `source`: where they
    come from, for people.

    Docker takes the key that is the host, and else any whose host it is, whatever stands before and behind
    (https://github.com/docker/cli, cli/config/credentials/file_store.go, ConvertToHostname). The key that names it best counts here;
    one with the port that is meant without it is for the same registry, if there is none without. Raises PlatformError if several
    logins are for what is below the host, and none for the host itself.
    """
    host = host_of(registry)
    port = "80" if registry.url.startswith("http://") else "443"
    for name in (host,) if host == HUB or ":" in host else (host, f"{host}:{port}"):
        ranks = {key: rank for key in entries if (rank := _rank(key, name)) is not None}
        best = [key for key, rank in ranks.items() if rank == min(ranks.values())]
        if best and ranks[best[0]] == _BELOW and any(entries[key] != entries[best[0]] for key in best):
            raise refused(
                registry,
                f"{source} has a login for each of {len(best)} places below {name}, and none for the host itself",
                "have `credentials` name what holds the one that is meant",
            )
        if best:
            return name, entries[best[0]]
    return None


def refused(registry: ExternalRegistry, message: str, hint: str) -> PlatformError:
    """That there is no login."""
    return PlatformError(message, address=registry.name, operation=_OPERATION, hint=hint)


def _rank(key: str, host: str) -> int | None:
    if key == host:
        return _EXACT
    bare = key.partition("://")[2] or key
    name, _, below = bare.partition("/")
    if name not in (HUBS if host == HUB else {host}):
        return None
    if below.rstrip("/") not in ("", "v1", "v2"):
        return _BELOW
    return _BARE if key == name else _URL
