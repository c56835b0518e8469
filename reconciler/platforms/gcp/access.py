"""The IAM policy of an Artifact Registry repository: our grants' members, among whatever others put there.

Which members are ours stands as hashes in the repository's labels. https://cloud.google.com/artifact-registry/docs/access-control
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import ADMIN, DELETE_IMAGES, PUSH, Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import plain, text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.spec.models import Grant
from reconciler.words import Named, counted

from . import iam, inclusion, labels, members, policy_write, record, room, taken
from .iam import Binding, Document
from .labels import MAX_LABELS
from .ledgers import RepositoryLedger
from .rules import RACED, REGISTRY
from .spec import GcpRegistry
from .target import GcpTarget

if TYPE_CHECKING:
    from .session import GcpSession

KIND = "access"
READER, WRITER = "roles/artifactregistry.reader", "roles/artifactregistry.writer"
ROLES = (READER, WRITER)
#: what Google's roles can do with images: https://cloud.google.com/artifact-registry/docs/access-control#roles; who has access, only
#: .admin and owners change
_VERBS = {
    READER: ("pull",),
    WRITER: ("pull", PUSH),
    "roles/artifactregistry.createOnPushWriter": ("pull", PUSH),
    "roles/artifactregistry.createOnPushRepoAdmin": ("pull", PUSH, DELETE_IMAGES),
    "roles/artifactregistry.repoAdmin": ("pull", PUSH, DELETE_IMAGES),
    "roles/artifactregistry.admin": ("pull", PUSH, ADMIN),
    "roles/owner": ("pull", PUSH, ADMIN),
    "roles/editor": ("pull", PUSH, DELETE_IMAGES),
    "roles/viewer": ("pull",),
}


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Our members, sorted. `by`: which grants name each, which no policy says: "" where the registry's own account is meant."""

    bindings: tuple[Binding, ...] = ()
    by: tuple[tuple[Binding, tuple[str, ...]], ...] = field(default=(), compare=False)

    def as_v1(self) -> dict[str, Any]:
        """What the mark is a hash of: what stands on the platform."""
        return {"bindings": plain(self.bindings)} if self.bindings else {}


def members_of(target: GcpTarget) -> Iterator[str]:
    """Whom a grant names, each in its one form."""
    for email in target.service_account_emails:
        yield "allUsers" if email == "*" else members.normal(f"serviceAccount:{email}")
    yield from map(members.normal, target.members)
    for service in target.allowed_service_types:
        agent = members.worker if service == "worker" else members.compute
        yield from map(agent, target.project_numbers)


def settings_of(registry: GcpRegistry, grants: Iterable[Grant]) -> AccessSettings:
    """The members that the registry's own accounts and the grants are."""
    by: dict[Binding, set[str]] = {
        Binding(READER, f"serviceAccount:{registry.email('pull')}"): {""},
        Binding(WRITER, f"serviceAccount:{registry.email('push')}"): {""},
    }
    for grant in grants:
        role = READER if grant.permission == "pull" else WRITER
        for member in members_of(grant.to) if isinstance(grant.to, GcpTarget) else ():
            by.setdefault(Binding(role, member), set()).add(grant.name)
    return AccessSettings(tuple(sorted(by)), tuple((item, tuple(sorted(by[item]))) for item in sorted(by)))


_READS = "artifactregistry.repositories.getIamPolicy", "artifactregistry.repositories.get"
_WRITES = "artifactregistry.repositories.setIamPolicy", "artifactregistry.repositories.update", *_READS


class AccessKind(Kind, GivesAccess):
    """The IAM policy of one repository."""

    name = KIND
    settings = AccessSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS, Trait.REMEMBERED})
    after = ("repository",)
    permissions = {
        Verb.LIST: ("artifactregistry.repositories.getIamPolicy",),
        Verb.READ: _READS,
        **dict.fromkeys((Verb.CREATE, Verb.UPDATE, Verb.DELETE), _WRITES),
    }

    def access(self, address: Address, settings: AccessSettings) -> Iterator[Access]:
        for item in settings.bindings:
            yield from _accesses(address, item.role, item.member)

    def access_by_grant(self, address: Address, settings: AccessSettings) -> Iterator[tuple[str, Access]]:
        by = dict(settings.by)
        for item in settings.bindings:
            for found in _accesses(address, item.role, item.member):
                yield from ((grant, found) for grant in by.get(item, ("",)))

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[list[Access], list[Access]]:
        """By the whole policy, and by who includes whom: a pool covers its identities."""
        then, now = list(_entries(address, before)), list(_entries(address, after))
        return inclusion.beyond(now, then), inclusion.beyond(then, now)

    def shown(self, settings: AccessSettings) -> dict[str, Any]:
        shown: dict[str, list[Named]] = {}
        for item in settings.bindings:
            shown.setdefault("can pull" if item.role == READER else "can pull and push", []).append(
                Named(item.member, members.principal(item.member).label)
            )
        return dict(shown)

    def altered(self, settings: AccessSettings) -> str | None:
        return _altered(settings.bindings)

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterator[str]:
        if not changed:
            return
        yield from live.notes
        new = {*wanted.settings.bindings} - {*live.settings.bindings}
        yield from taken.said(json.loads(live.rest or "{}"), ROLES, new, "the grant")

    def takes_along(self, live: Live) -> Iterator[str]:
        # https://cloud.google.com/iam/docs/reference/rest/v1/Policy#auditconfig
        audited = sorted(str(item.get("service")) for item in json.loads(live.rest or "{}").get("auditConfigs") or ())
        if audited:
            yield f"somebody else's audit configuration in its IAM policy goes with it: {', '.join(audited)}"

    def in_order(self, rest: str) -> str:
        return text(iam.in_order(json.loads(rest))) if rest else ""

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        others = json.loads(live.rest) if live is not None and live.rest else {}
        fault = iam.too_many(desired.settings.bindings, others)
        if fault is None:
            return None
        grants = sorted({name for _, names in desired.settings.by for name in names if name})
        return (
            f"{fault}; it is made from {counted(len(grants), 'grant')} ({', '.join(grants[:5])}): grant groups instead"
        )

    def list(self, session: GcpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        there = {repository.address: repository for repository in found["repository"]}
        asked: dict[Address, Mapping[str, str]] = {}
        for at, repository in there.items():
            here = at.sibling(KIND)
            # foreign access to any repository of ours, or that is to be ours, is reported, whether a grant covers it or not
            if repository.marks.owner == session.owner or here in wanted or at in wanted:
                asked[here] = ledger.texts(at)
        for at, item in wanted.items():
            if item.kind == KIND and (fault := room.missing(item, wanted, there.get(at.sibling("repository")))):
                session.refused[at] = fault
        for live in _lives(session, asked):
            yield taken.over(live, wanted.get(live.address), json.loads(live.rest or "{}"), ROLES)

    def read(self, session: GcpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        texts = session.ledger(RepositoryLedger).read(addresses)
        yield from _lives(session, dict(zip(addresses, texts, strict=True)))

    def create(self, session: GcpSession, write: Write) -> Live:
        return self._write(session, write)

    def update(self, session: GcpSession, write: Write, live: Live) -> Live:
        theirs = iam.theirs(json.loads(live.rest or "{}"), ROLES, write.desired.settings.bindings)
        return self._write(session, write, theirs)

    def _write(self, session: GcpSession, write: Write, theirs: Collection[str] = ()) -> Live:
        at, wanted = write.desired.address, write.desired.settings.bindings
        # what is made with its record has no other
        (texts,) = session.ledger(RepositoryLedger).read([at]) if not write.carried else ({},)
        after = {item.hash for item in wanted}
        recorded = self._made_room(session, write, texts, after)
        with session.ledger(RepositoryLedger).noting(write, theirs):
            policy = _send(session, write, recorded, wanted)
        return _live(session, at, policy, write.marks, after)

    def _made_room(
        self, session: GcpSession, write: Write, texts: Mapping[str, str], after: Collection[str]
    ) -> set[str]:
        """What is recorded as ours when there is room for the record of what is to be ours beside it: where there is none, what goes
        first goes before what comes."""
        at = write.desired.address
        recorded = labels.recorded(texts)
        others = len(texts) - record.labels_for(len(recorded))
        if others + record.labels_for(len(recorded.union(after))) <= MAX_LABELS:
            return recorded
        stays = recorded.intersection(after)
        _send(session, write, recorded, [item for item in write.desired.settings.bindings if item.hash in stays])
        kept = record.packed(labels.ACCESS, stays)
        gone = [key for key in record.keys(labels.ACCESS, texts) if key not in kept]
        session.ledger(RepositoryLedger).change(at, kept, gone)
        return stays

    def take_back(self, session: GcpSession, address: Address) -> None:
        session.ledger(RepositoryLedger).forget(address)

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        at, ledger = live.address, session.ledger(RepositoryLedger)
        (texts,) = ledger.read([at])
        if session.policy(at) is not None:
            _put(session, at, labels.recorded(texts), ())
        ledger.forget(at)


def _send(session: GcpSession, write: Write, recorded: Collection[str], bindings: Iterable[Binding]) -> Document:
    """The policy with these members of ours, the grants of which an error names."""
    at = write.desired.address
    try:
        return _put(session, at, recorded, bindings, policy_write.names_fresh(write))
    except PlatformError as error:
        if policy_write.unknown_member(error):
            raise _with_grants(error, write) from None
        raise


def _put(
    session: GcpSession, at: Address, recorded: Collection[str], bindings: Iterable[Binding], fresh: bool = False
) -> Document:
    def send(document: Document) -> Document:
        return _set(session, at, document)

    return policy_write.write(session, at, lambda: session.policy(at), send, ROLES, recorded, bindings, fresh)


def _set(session: GcpSession, at: Address, document: Document) -> Document:
    path = f"{session.name_of(at)}:setIamPolicy"
    return dict(session.json("POST", REGISTRY, "SetIamPolicy", path, at=at, body={"policy": document}))


def put_back(session: GcpSession, at: Address, policy: Document) -> None:
    """Puts into a policy what is missing of one that others had made. Raises PlatformError."""

    def once() -> None:
        there = session.policy(at) or {}
        after = iam.joined(there, policy)
        if not iam.same(there, after):
            _set(session, at, after)

    session.patiently(
        once, lambda error: isinstance(error, PlatformError) and error.code == RACED, policy_write.PATIENCE, most=3.0
    )


@lru_cache(maxsize=4096)
def _altered(bindings: tuple[Binding, ...]) -> str | None:
    """Which of the members would be read back otherwise."""
    for item in bindings:
        if item.role not in ROLES or members.is_deleted(item.member) or members.normal(item.member) != item.member:
            return f"the member {item.member} of {item.role}"
    return None if bindings == tuple(sorted(set(bindings))) else "the order of the members"


def _accesses(at: Address, role: str, member: str, may: bool = False, note: str = "") -> Iterator[Access]:
    who = members.principal(members.normal(member))
    known = _VERBS.get(role)
    for verb in known or (f"do what {role} allows with",):
        yield Access(who, verb, at.registry, at.name, at.where, may, note)


def _entries(at: Address, given: Given) -> Iterator[inclusion.Entry]:
    """Who can do what, by our members and by those of others."""
    for item in given.settings.bindings if given.settings is not None else ():
        yield from ((item.member, access) for access in _accesses(at, item.role, item.member))
    others = json.loads(given.rest) if given.rest else {}
    for binding in iam.bindings_of(others):
        note = iam.condition_of(binding)
        for member in binding.get("members") or ():
            if not members.is_deleted(member):
                for access in _accesses(at, str(binding.get("role")), member, bool(note), note):
                    yield members.normal(member), access


def _with_grants(error: PlatformError, write: Write) -> PlatformError:
    """The error with the members that it can be about, and their grants' places: Google does not always say which."""
    by: tuple[tuple[Binding, tuple[str, ...]], ...] = write.desired.settings.by
    said = [(item, names) for item, names in by if item.member.partition(":")[2].lower() in error.message.lower()]
    suspects = [
        f"{item.member} (grant {', '.join(name for name in names if name)})" for item, names in said or by if any(names)
    ]
    grants = {name for _, names in said or by for name in names}
    return PlatformError(
        f"{error.message}; it can be about {'; '.join(suspects)}" if suspects else error.message,
        address=error.address,
        operation=error.operation,
        code=error.code,
        hint=_how_to_make([item.member for item, names in said or by if any(names)]),
        places=tuple(item for item in write.desired.source if item.kind == "grant" and item.name in grants),
    )


#: with which API on, a project has an account that no one creates: https://cloud.google.com/iam/docs/service-agents,
#: https://cloud.google.com/compute/docs/access/service-accounts#default_service_account
_COME_WITH = (
    (members.worker, "Cloud Run's agent", "run.googleapis.com"),
    (members.compute, "the nodes' default account", "compute.googleapis.com"),
)


def _how_to_make(named: Collection[str]) -> str:
    """What to do about members of which Google does not find one."""
    principals = {item: members.principal(item) for item in named}
    apis = [
        f"{what} of project {who.account} is there once `gcloud services enable {api} --project {who.account}` was run"
        for item, who in principals.items()
        for make, what, api in _COME_WITH
        if make(who.account) == item
    ]
    others = len(apis) < len(principals) or not apis
    create = "create the account or group first, or remove it from the grant"
    return "; ".join((*apis, *([create] if others else ["or remove it from the grant"])))


def _lives(session: GcpSession, asked: Mapping[Address, Mapping[str, str]]) -> Iterator[Live]:
    ledger = session.ledger(RepositoryLedger)
    for (at, texts), policy in zip(asked.items(), session.map(session.policy, asked), strict=True):
        marks = ledger.marks(at, texts)
        live = _live(session, at, policy or {}, marks, labels.recorded(texts))
        if live.settings.bindings or live.rest or live.notes or marks.applied is not None:
            yield live


def _live(session: GcpSession, at: Address, policy: Document, marks: Marks, recorded: set[str]) -> Live:
    found = iam.ours(policy, ROLES, recorded)
    others = {key: value for key, value in iam.without(policy, ROLES, recorded).items() if key != "etag"}
    dead = iam.dead(policy, ROLES, recorded)
    marks = iam.noted_again(marks, AccessSettings(found), recorded, (*found, *dead))
    own = bool(found) or marks.applied is not None
    repository = at.sibling("repository")
    return Live(
        address=at,
        kind=KIND,
        settings=AccessSettings(found),
        marks=marks if own else Marks(),
        native=f"{session.name_of(at)} (IAM policy)",
        needs=(repository, *_accounts(session, found)),
        parent=repository,
        rest="" if iam.is_empty(others) else text(iam.in_order(others)),
        etag=str(policy.get("etag", "")),
        vacant=not found,
        notes=tuple(
            f"{members.principal(item.member).label} is still a member; the next write removes it" for item in dead
        ),
        foreign=tuple(_removable(session, at, others)),
    )


def _accounts(session: GcpSession, found: Iterable[Binding]) -> Iterator[Address]:
    """The registry's own accounts among the members: they are deleted after the policy that names them."""
    emails = {f"serviceAccount:{session.registry.email(name)}": name for name in ("pull", PUSH)}
    names = sorted({emails[item.member] for item in found if item.member in emails})
    return (Address.of(session.name, "account", name) for name in names)


def _removable(session: GcpSession, at: Address, others: Document) -> Iterator[ForeignAccess]:
    """Whom others gave access, each with the command that removes it."""
    where = f"--location {session.location_of(at)} --project {session.registry.project}"
    identifier = session.registry.repository_id(at.name)
    for item in foreign(at, others):
        role, member = item.what.partition(" of ")[0], item.what.partition(" of ")[2]
        condition = " --all" if item.access and item.access[0].note else ""
        removal = (
            f"run `gcloud artifacts repositories remove-iam-policy-binding {identifier} {where} --role {role}"
            f" --member '{member}'{condition}`"
        )
        yield replace(item, removal=removal)


def foreign(at: Address, others: Mapping[str, Any]) -> Iterator[ForeignAccess]:
    """What the bindings of others give, member by member."""
    for item in iam.bindings_of(others):
        role, note = str(item.get("role")), iam.condition_of(item)
        for member in item.get("members") or ():
            gone = members.is_deleted(member)
            given = () if gone else tuple(_accesses(at, role, member, bool(note), note))
            yield ForeignAccess(at, taken.named(role, member), given)
