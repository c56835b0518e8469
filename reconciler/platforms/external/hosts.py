"""What an external registry is called: by whoever logs in, and where its API is. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from .spec import ExternalRegistry

#: what Docker writes for Docker Hub, whose registry has another name (https://github.com/docker/cli, cli/config/credentials)
HUB = "https://index.docker.io/v1/"
#: the names of its registry
HUBS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
#: where its API is: https://docs.docker.com/reference/api/registry/latest/
_HUB_API = "https://registry-1.docker.io"
#: the ports that need not be said: https://www.rfc-editor.org/rfc/rfc9110#section-4.2
_PORTS = {"http": 80, "https": 443}


def host_of(registry: ExternalRegistry) -> str:
    """The registry as clients log in to it, `host` or `host:port`; Docker Hub is logged in to as HUB."""
    url = urlsplit(registry.url)
    host = url.hostname or ""
    if host in HUBS:
        return HUB
    return host if url.port in (None, _PORTS[url.scheme]) else f"{host}:{url.port}"


def api_of(registry: ExternalRegistry) -> str:
    """Where the registry's API is, whichever of its names the spec gives, and however it writes that."""
    host = host_of(registry)
    return _HUB_API if host == HUB else f"{urlsplit(registry.url).scheme}://{host}"


def asked_as(registry: ExternalRegistry, name: str) -> str:
    """A repository's name as the registry's API has it: official images of Docker Hub, which have one part for whoever pulls them,
    are below `library` (https://github.com/distribution/reference, normalize.go)."""
    return f"library/{name}" if host_of(registry) == HUB and "/" not in name else name
