"""`reconciler serve`: the registry server of a local registry."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from reconciler.errors import ReconcilerError

from .exits import Exit
from .options import DEFAULT_SPEC, Grace, RegistryArgument, SpecOption, local_session, log_calls, seconds

EXAMPLES = (
    "Examples: reconciler serve; reconciler serve sandbox --port 0;"
    " reconciler serve sandbox --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem"
)


def run(
    registry: RegistryArgument = None,
    spec: SpecOption = DEFAULT_SPEC,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any free one.")] = 5000,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve HTTPS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = None,
    gc_every: Annotated[
        float,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            show_default=False,
            help="How often retention is carried out. [default: 1h]",
        ),
    ] = 3600.0,
    grace: Grace = 3600.0,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log each request: method, path, status, bytes, milliseconds; never a header. Twice: where this program failed,"
            " too.",
        ),
    ] = 0,
) -> int:
    """Run the server of a local registry. Ctrl-C and SIGTERM stop it, once requests under way are answered."""
    from reconciler.model.service import ServerOptions, serving

    log_calls(verbose, "reconciler.requests")
    if tls_key is not None and tls_cert is None:
        raise ReconcilerError("--tls-key needs --tls-cert: a key alone makes no HTTPS")
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    options = ServerOptions(
        host,
        port,
        str(tls_cert or ""),
        str(tls_key or ""),
        collect_every=gc_every,
        grace=grace,
        log_requests=verbose > 0,
    )
    with (
        local_session(spec, registry, "only local registries can be served") as session,
        serving(session).server(options) as server,
    ):
        typer.echo(f"serving registry {session.name} at {server.url}")
        sys.stdout.flush()
        stop.wait()
    return Exit.OK
