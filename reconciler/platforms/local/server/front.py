"""Where the server is for its clients, and who they are: behind a proxy, neither is what the connection says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

#: https://www.rfc-editor.org/rfc/rfc9110#section-7.2, without the exotic: a name or an address, and a port
_HOST = re.compile(r"([A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Front:
    """What clients see. `url`: where they reach the server, "" for wherever they say they do. `proxies`: whose X-Forwarded-*
    headers are believed (https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For)."""

    url: str = ""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    def origin(self, request: web.Request) -> str:
        """The server's address as the client knows it: scheme, host and port. Never text that could end a quoted string."""
        if self.url:
            return self.url
        scheme, host = request.scheme, request.headers.get("Host", "")
        if self.trusts(request.remote):
            said = _last(request, "X-Forwarded-Proto").lower()
            scheme = said if said in ("http", "https") else scheme
            host = _last(request, "X-Forwarded-Host") or host
        return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"

    def client(self, request: web.Request) -> str:
        """The client's address: of the connection, or what the trusted proxies say of theirs."""
        address = request.remote or ""
        forwarded = [item.strip() for item in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
        # each proxy adds the address that it sees: the first from the end that is no proxy is the client's
        while self.trusts(address) and forwarded and _address(forwarded[-1]) is not None:
            address = forwarded.pop()
        return address

    def trusts(self, address: str | None) -> bool:
        """Whether a proxy that is trusted has this address."""
        return self.proxies != () and _within(_address(address or ""), self.proxies)


#: clients come by themselves
NO_PROXY = Front()


def _last(request: web.Request, header: str) -> str:
    """What the nearest proxy said: a list grows at its end."""
    return ",".join(request.headers.getall(header, [])).rpartition(",")[2].strip()


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _within(address: IPv4Address | IPv6Address | None, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def counted_as(address: str) -> str:
    """Whom a connection or a login counts for: an IPv4 address, or the /64 of an IPv6 address, which is what one client has at least
    (https://www.rfc-editor.org/rfc/rfc6177#section-2)."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        found = IPv6Address(int(found) >> 64 << 64)
    return str(found) if found is not None else address
