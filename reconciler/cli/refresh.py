"""`reconciler refresh`: renews the logins in pull secrets before they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError
from reconciler.words import all_of, did_you_mean, one_line

from .exits import Exit, told
from .options import DEFAULT_SPEC, SpecArgument, Verbose, log_calls

if TYPE_CHECKING:
    from reconciler.model.renewal import Renewal
    from reconciler.platforms.catalog import Spec

EXAMPLES = "Examples: reconciler refresh; reconciler refresh --cluster prod --in-cluster"
EXITS = told(
    ok="no login of ours is left that has to be renewed", error="an error, or a login that could not be renewed"
)


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    cluster: Annotated[
        list[str] | None,
        typer.Option("--cluster", metavar="NAME", help="Only the pull secrets in this cluster. Repeatable."),
    ] = None,
    in_cluster: Annotated[
        bool,
        typer.Option(
            "--in-cluster", help="Reach the one cluster of --cluster from its own pods, whatever the spec says."
        ),
    ] = False,
    verbose: Verbose = 0,
) -> int:
    """Renew the logins in pull secrets before they end. Those are renewed that have used up half of their life, and those that differ
    from what they should be. It needs `get` and `patch` on these secrets, and makes nothing."""
    from datetime import UTC, datetime

    from reconciler.api.spec import load_spec
    from reconciler.engine.renew import renew
    from reconciler.model.renewal import Renewed
    from reconciler.platforms.catalog import CATALOG

    log_calls(verbose)
    loaded = load_spec(spec)
    names = _known(loaded, cluster or [], in_cluster=in_cluster)
    if in_cluster:
        loaded = loaded.reached_from_pods(names[0])
    failed = False
    # all are renewed before the first line is printed: nobody need be there to read it
    done = list(
        renew(loaded, datetime.now(UTC), lambda wanted: _cluster_of(wanted.address) in names, platforms=CATALOG)
    )
    for item in done:
        bad = item.outcome is Renewed.FAILED
        failed |= bad
        typer.echo(line(item), err=bad)
    if not done:
        where = f" in cluster {all_of(names)}" if cluster else ""
        typer.echo(f"No grant of the spec makes a pull secret{where}.")
    return Exit.ERROR if failed else Exit.OK


def line(item: Renewal) -> str:
    """What became of one login."""
    from reconciler.model.renewal import Renewed

    good = "" if item.outcome is Renewed.GOOD else ", good"
    end = f"{good} until {item.until.isoformat(timespec='seconds').replace('+00:00', 'Z')}" if item.until else ""
    message, _, hint = item.message.partition("\n")
    said = f": {one_line(message)}" if message else ""
    more = f"\n  {one_line(hint.strip())}" if hint.strip() else ""
    return f"{item.address} {item.outcome.value}{end}{said}{more}"


def _known(spec: Spec, asked: list[str], *, in_cluster: bool) -> list[str]:
    names = [item.name for item in spec.clusters]
    for name in asked:
        if name not in names:
            known = ", ".join(names) or "none"
            raise ReconcilerError(
                f"--cluster {name}: the spec has no such cluster{did_you_mean(name, names)}; it has {known}"
            )
    if in_cluster and len(set(asked)) != 1:
        raise ReconcilerError("--in-cluster is for one cluster: name it with --cluster NAME")
    return list(dict.fromkeys(asked)) or names


def _cluster_of(address: str) -> str:
    return address.split(".", 2)[2].partition("/")[0]
