"""Renews the logins that what a spec has made holds, registry by registry; nothing else is read or written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.model.call_log import working_on
from reconciler.model.kind import Kind
from reconciler.model.platform import Platforms, Session
from reconciler.model.renewal import Renewable, Renewal, Renewed
from reconciler.model.resource import Desired
from reconciler.spec.models import Spec

from .expand import estate_of, expand
from .sessions import open_session


def renew(
    spec: Spec, now: datetime, chosen: Callable[[Desired], bool] = lambda desired: True, *, platforms: Platforms
) -> Iterator[Renewal]:
    """What becomes of each login, in the order of addresses. One that can't be renewed stops no other.

    `chosen`: whether a resource is looked at. Raises ReadFailed if a registry's platform is not in this build.
    """
    kinds, wanted = expand(spec, platforms)
    estate = estate_of(spec)
    for name, group in wanted.items():
        due = {at: item for at, item in sorted(group.items()) if _holds(kinds[name], item) and chosen(item)}
        if not due:
            continue
        try:
            session = open_session(estate, name, platforms=platforms)
        except ReconcilerError as error:
            yield from (Renewal(at, Renewed.FAILED, message=str(error)) for at in due)
            continue
        try:
            yield from (_renewed(session, kinds[name], item, now) for item in due.values())
        finally:
            session.close()


def _holds(kinds: Mapping[str, Kind], item: Desired) -> bool:
    return isinstance(kinds[item.kind], Renewable)


def _renewed(session: Session, kinds: Mapping[str, Kind], item: Desired, now: datetime) -> Renewal:
    kind = kinds[item.kind]
    assert isinstance(kind, Renewable)
    with working_on(item.address):
        try:
            return kind.renew(session, item, now)
        except ReconcilerError as error:
            return Renewal(Address(item.address), Renewed.FAILED, message=str(error).removeprefix(f"{item.address}: "))
