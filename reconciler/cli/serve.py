"""`reconciler serve`: the registry server of a local registry."""

from __future__ import annotations

import re
import signal
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from reconciler.errors import ReconcilerError

from .exits import Exit
from .options import DEFAULT_SPEC, Grace, RegistryArgument, SpecOption, local_session, log_calls, seconds

EXAMPLES = (
    "Examples: reconciler serve; reconciler serve sandbox --port 0;"
    " reconciler serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem"
)

#: file descriptors that a server wants; systems have limits of millions, and it needs no more than this
DESCRIPTORS = 1 << 16


#: a scheme, a name or an address, a port
_URL = re.compile(r"(https?)://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?", re.IGNORECASE)


def _public(text: str) -> str:
    """The URL without a slash at its end. Raises BadParameter."""
    if _URL.fullmatch(text) is None:
        raise typer.BadParameter(
            "not the URL of a registry: it must be https:// and a host, with a port if it is not 443, and no path"
        )
    return text.rstrip("/")


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise ReconcilerError(
            f"--trusted-proxy {text}: not an address, such as 10.0.0.7, or a network, such as 10.0.0.0/24"
        ) from None
    if "/" in text and str(found.network_address) != text.partition("/")[0].lower():
        raise ReconcilerError(f"--trusted-proxy {text}: an address in a network; the network is {found}")
    return found


def run(
    registry: RegistryArgument = None,
    spec: SpecOption = DEFAULT_SPEC,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")] = 5000,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve HTTPS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's private key (PEM).")] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            parser=_public,
            help="The URL that clients use when it is behind a proxy, such as https://registry.example.com.",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Trust X-Forwarded-Proto, -Host and -For from this proxy: an address or a network. Repeatable.",
        ),
    ] = None,
    gc_every: Annotated[
        float,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            show_default=False,
            help="How often to remove what retention no longer keeps; 0 for never (run `reconciler gc` instead). [default: 1h]",
        ),
    ] = 3600.0,
    grace: Grace = 3600.0,
    connections_per_address: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Maximum number of connections from one address; more are answered with 503."
        ),
    ] = 256,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log each request: method, path, status, bytes, milliseconds; never a header. -vv also shows"
            " tracebacks.",
        ),
    ] = 0,
) -> int:
    """Serve a local registry. Ctrl-C and SIGTERM stop it once requests under way are answered."""
    from reconciler.model.service import ServerOptions, serving

    log_calls(verbose, "reconciler.requests")
    if tls_key is not None and tls_cert is None:
        raise ReconcilerError("--tls-key needs --tls-cert as well")
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    options = ServerOptions(
        host,
        port,
        str(tls_cert or ""),
        str(tls_key or ""),
        url or "",
        tuple(_network(text) for text in trusted_proxy or ()),
        collect_every=gc_every,
        grace=grace,
        log_requests=verbose > 0,
        connections_per_address=connections_per_address,
    )
    _raise_descriptors()
    with (
        local_session(spec, registry, "only local registries can be served") as session,
        serving(session).server(options) as server,
    ):
        typer.echo(f"serving registry {session.name} at {server.url}")
        if url:
            typer.echo(f"its URL for clients is {url}")
        sys.stdout.flush()
        stop.wait()
    return Exit.OK


def _raise_descriptors() -> None:
    """Lets this process have as many files and connections open as it may."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
