"""What others put on an Artifact Registry repository, and what of it waits in a rescue file since a replacement was cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reconciler.model.address import Address
from reconciler.spec.messages import first_sentence
from reconciler.words import plural

from . import access, cleanup, iam, labels, members
from .iam import Document
from .ledgers import RepositoryLedger

if TYPE_CHECKING:
    from .session import GcpSession


@dataclass(frozen=True)
class Others:
    """`policy`: the IAM policy without our members and without an etag; empty if none is left. `cleanup`: their cleanup policies.
    `dry_run`: whether these delete nothing."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    labels: dict[str, str] = field(default_factory=dict)
    policy: Document = field(default_factory=dict)
    cleanup: Document = field(default_factory=dict)
    dry_run: bool = False

    def __bool__(self) -> bool:
        return bool(self.labels or self.policy or self.cleanup)

    def over(self, before: Others) -> Others:
        """These, and what only `before` has."""
        return Others(
            {**before.labels, **self.labels},
            iam.joined(self.policy, before.policy),
            {**before.cleanup, **self.cleanup},
            self.dry_run or before.dry_run,
        )

    @property
    def plain(self) -> dict[str, Any]:
        """The parts as JSON values."""
        return {"labels": self.labels, "policy": self.policy, "cleanup": self.cleanup, "dry_run": self.dry_run}


def others_of(session: GcpSession, at: Address) -> Others:
    """What others have on a repository, read now. Raises PlatformError."""
    found = session.raw_repository(at) or {}
    there = found.get("labels") or {}
    policy = session.policy(at.sibling(access.KIND)) or {}
    left = iam.without(policy, access.ROLES, labels.recorded(there))
    left.pop("etag", None)
    return Others(
        labels.foreign(there),
        {} if iam.is_empty(left) else _without_deleted(left),
        cleanup.foreign(found.get("cleanupPolicies") or {}),
        bool(found.get("cleanupPolicyDryRun", False)),
    )


def _without_deleted(policy: Document) -> Document:
    """The policy as it can be written on a new repository, where Google does not take whom it has deleted."""
    bindings = []
    for item in iam.bindings_of(policy):
        kept = [one for one in item.get("members") or () if not members.is_deleted(one)]
        bindings += [{**item, "members": kept}] if kept else []
    return {**policy, "bindings": bindings} if bindings else {}


def put_back(session: GcpSession, at: Address, others: Others) -> None:
    """Puts on a repository that is there what is missing of it, beside whatever is there by now. As JSON, so that nothing of it is
    lost that the library does not know. Raises PlatformError."""
    with session.ledger(RepositoryLedger).alone(at):
        found = session.raw_repository(at) or {}
        there, policies = found.get("labels") or {}, found.get("cleanupPolicies") or {}
        body: Document = {}
        if others.labels.keys() - there.keys():
            body["labels"] = {**others.labels, **there}
        if others.cleanup.keys() - policies.keys():
            body["cleanupPolicies"] = {**others.cleanup, **policies}
            # where none of ours must run, theirs stay in the dry run in which they were
            if others.dry_run and not cleanup.ours(policies):
                body["cleanupPolicyDryRun"] = True
        if body:
            session.patch(at, body, ",".join(body))
    if others.policy:
        access.put_back(session, at.sibling(access.KIND), others.policy)


@cache
def _adapter() -> TypeAdapter[Others]:
    return TypeAdapter(Others)


def waiting(session: GcpSession, at: Address) -> Others | None:
    """What waits to be put back on a repository; None if nothing does.

    Raises PlatformError if its file can't be read, or is none that this tool has written.
    """
    found = session.rescue.kept(at, session.name_of(at))
    if found is None:
        return None
    try:
        others = _adapter().validate_python(found)
        if ours := sorted(key for key in others.labels if labels.is_ours(key)):
            raise ValueError(f"it holds reserved labels: {', '.join(ours)}")
        if any(key.startswith(cleanup.OURS) for key in others.cleanup):
            raise ValueError("it holds cleanup policies of reconciler")
    except (ValidationError, ValueError) as error:
        why = first_sentence(error) if isinstance(error, ValidationError) else str(error)
        raise session.rescue.unfit(at, session.name_of(at), why) from None
    return others


def note(session: GcpSession, at: Address, others: Others) -> str:
    """What else to know about it."""
    return session.rescue.note(at, session.name_of(at), _named(others), others.plain)


def strays(session: GcpSession, owing: Iterable[Address]) -> Iterator[str]:
    """What is to be said of what waits in files and no apply puts back. `owing`: the addresses of what it is put back on."""
    known = {session.rescue.path(at, session.name_of(at)) for at in owing}

    def named(found: dict[str, Any]) -> str:
        try:
            return _named(_adapter().validate_python(found))
        except ValidationError:
            return ""

    return session.rescue.notices(session.name, known, "repository", f"{session.project}/", named)


def _named(others: Others) -> str:
    """What there is of it."""
    parts = [
        f"{plural(len(found), one, several)} {', '.join(found)}"
        for one, several, found in (
            ("label", "labels", labels.shown(others.labels)),
            # what they say stands in the file, of which nothing says that it is a policy's
            ("cleanup policy", "cleanup policies", [f"'{name}'" for name in sorted(others.cleanup)]),
        )
        if found
    ]
    return "; ".join([*parts, *(["IAM policy"] if others.policy else [])]) or "nothing"
