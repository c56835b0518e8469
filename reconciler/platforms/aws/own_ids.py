"""The ids of statements that one grant has for itself: each names its grant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.words import any_of

from . import names, sources
from .policy import Statement
from .target import LAMBDA

#: what the statement of a grant is for, at the end of its id; none for that of accounts, roles and users
WORKER, ORGANIZATION, ORGANIZATION_PATHS = "Worker", "Organization", "OrganizationPaths"
_PARTS = {WORKER: "worker", ORGANIZATION: "organization", ORGANIZATION_PATHS: "organization paths"}
_PART = rf"({'|'.join(_PARTS)}|Service((?:[XY][a-z0-9]+)+))?"
_OURS = re.compile(rf"Reconciler((?:X[a-z0-9]+)+){_PART}")
#: in the place of a grant of which only its code is known: never written
_UNKNOWN = re.compile(rf"ReconcilerC([a-z0-9]+){_PART}((?:Z[a-z0-9X]+)*)")


def sid(grant: str, part: str = "") -> str:
    """The statement id of a grant: `prod-lambdas` is `ReconcilerXprodXlambdas`. Letters and digits, as IAM wants them."""
    return f"ReconcilerX{encoded(grant)}{part}"


def unknown(code: str, part: str = "", either: Iterable[str] = ()) -> str:
    """What stands for the statement of a grant of which only the code is known. No statement has it for its id. `either`: the ids of
    the statements of the grants that have this code, where there are several."""
    return f"ReconcilerC{code}{part}{''.join(f'Z{encoded(name)}' for name in sorted(grants_of(either)))}"


def encoded(grant: str) -> str:
    """A grant's name in an id, where only letters and digits may stand: `prodXlambdas`."""
    return grant.replace("-", "X")


def decoded(name: str) -> str:
    """A grant's name, from how an id has it."""
    return name.replace("X", "-")


def of_service(principal: str) -> str:
    """The end of the id of a service's statement: `build.apprunner.amazonaws.com` is `ServiceXbuildYapprunner`."""
    return f"ServiceX{names.short_service(principal).replace('-', 'X').replace('.', 'Y')}"


def part_of(principal: str, statement: Statement) -> str:
    """The end of the id that a grant's own statement would have, if it is for this principal of the statement."""
    kind, _, service = principal.partition(":")
    if kind == "service":
        return WORKER if service == LAMBDA else of_service(service)
    asked = {item.key for item in statement.conditions} if principal == "*" else set()
    if sources.ORGANIZATION_PATHS in asked:
        return ORGANIZATION_PATHS
    return ORGANIZATION if sources.ORGANIZATION in asked else ""


def grant_of(statement_id: str) -> str | None:
    """The grant that a statement id names, or None if it names none."""
    match = _OURS.fullmatch(statement_id)
    return decoded(match.group(1)[1:]) if match else None


def grants_of(statement_ids: Iterable[str]) -> frozenset[str]:
    """The grants that statement ids name."""
    return frozenset(grant for item in statement_ids if (grant := grant_of(item)) is not None)


def title(statement_id: str) -> str:
    """The statement for people: its grant, and which of the grant's it is, if there are several."""
    match = _OURS.fullmatch(statement_id)
    said = str(grant_of(statement_id))
    if match is None and (match := _UNKNOWN.fullmatch(statement_id)) is not None:
        either = any_of([decoded(name) for name in match.group(4).split("Z")[1:]])
        said = f"{either or 'a grant that the registry no longer has'} (code {match.group(1)})"
    if match is None or match.group(2) is None:
        return said
    service = (match.group(3) or "")[1:].replace("X", "-").replace("Y", ".")
    return f"{said} ({_PARTS.get(match.group(2)) or f'service {service}'})"
