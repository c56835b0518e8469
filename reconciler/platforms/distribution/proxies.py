"""Whether calls go through a proxy that the environment names: https://www.python-httpx.org/environment_variables/"""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from urllib.request import getproxies, proxy_bypass

import httpx

_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


def bypassed(registry: httpx.URL) -> dict[str, httpx.BaseTransport | None]:
    """What httpx is told of a registry whose address is in a network of NO_PROXY, such as `10.0.0.0/8`, which httpx does not heed
    and Go, curl and the client of clusters do. It matters for the registry alone: a token service of another host has a public
    address."""
    return {f"all://{registry.netloc.decode()}": None} if _in_network(registry.host) else {}


def named() -> str:
    """The variables that say of proxies, for people: what they hold is not shown, since it may be a password."""
    names = [name for name in (*_VARIABLES, *map(str.lower, _VARIABLES)) if os.environ.get(name)]
    return " or ".join(names) or "the system's settings"


def is_proxied(url: httpx.URL) -> bool:
    """Whether a call to there goes through a proxy."""
    proxies = getproxies()
    return bool(proxies.get(url.scheme) or proxies.get("all")) and not (proxy_bypass(url.host) or _in_network(url.host))


def _in_network(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    for item in getproxies().get("no", "").split(","):
        try:
            if "/" in item and address in ip_network(item.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False
