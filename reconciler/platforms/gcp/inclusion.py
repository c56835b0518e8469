"""Which members include which others: who gains access by a change, and who could do it all before. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.model.access import Access
from reconciler.model.kind import NOBODY

from . import members

#: a member, and what it can do
Entry = tuple[str, Access]

_EVERYONE = "allUsers"
_SIGNED_IN = "allAuthenticatedUsers"
_POOL = "principalSet://"
#: an account of Kubernetes: https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#principal-id-examples
_KUBERNETES = re.compile(r".+\.svc\.id\.goog/subject/ns/(?P<namespace>[^/]+)/sa/[^/]+")


def covering(member: str) -> Iterator[str]:
    """Those who are a member too, whenever this one is: itself, its whole pool, and everyone.

    https://cloud.google.com/iam/docs/principal-identifiers. Whoever is signed in to Google is an account or a person; identities
    of a pool may be neither. Who is in a group or a domain, only Google knows.
    """
    yield member
    kind, _, who = member.partition("://")
    if kind in ("principal", "principalSet"):
        for part in ("/subject/", "/group/", "/attribute.", "/namespace/", "/kubernetes."):
            pool, found, rest = who.partition(part)
            if found:
                if named := _KUBERNETES.fullmatch(f"{pool}{part}{rest}"):
                    yield f"{_POOL}{pool}/namespace/{named['namespace']}"
                yield f"{_POOL}{pool}/*"
                break
    elif member != _EVERYONE:
        yield _SIGNED_IN
    yield _EVERYONE


def beyond(these: Iterable[Entry], those: Iterable[Entry]) -> list[Access]:
    """What these can do and those could not. What can be done without a condition can be done with one."""
    known = {(members.normal(member), replace(access, principal=NOBODY)) for member, access in those}
    found = []
    for member, access in these:
        what = replace(access, principal=NOBODY)
        certain = replace(what, may=False, note="")
        if not any((other, one) in known for other in covering(members.normal(member)) for one in (what, certain)):
            found.append(access)
    return list(dict.fromkeys(found))
