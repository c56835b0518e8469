"""An ECR repository policy: our grants' statements, among whatever others put there.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import plain, text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.spec.models import Grant
from reconciler.words import Named, any_of, counted

from . import effective, names, policy, shared, statements
from .ledgers import RepositoryLedger, repository_arn
from .policy import Document, Statement
from .shared import Shares
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("RepositoryPolicyNotFoundException", "RepositoryNotFoundException")
#: seconds that a role made in this run may take to become visible to ECR (hashicorp/terraform-provider-aws#39064)
PATIENCE = 60.0
#: what is shown beside the grants, where they share statements; no grant has a name with spaces
SHARED = "shared by grants"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Our statements, sorted, and the partition that accounts are written in. `shares`: who has access by which grant, where grants
    share a statement; the platform does not say it, the spec does."""

    statements: tuple[Statement, ...] = ()
    partition: str = "aws"
    shares: Shares = ()

    def as_v1(self) -> dict[str, Any]:
        """What the mark is a hash of: what stands on the platform. By which grant somebody has access changes nothing there."""
        whose = {} if self.partition == "aws" else {"partition": self.partition}
        return ({"statements": plain(self.statements, "as_v1")} if self.statements else {}) | whose


def settings_of(grants: Iterable[Grant], registry: AwsRegistry) -> AccessSettings:
    """The statements of grants, in the form in which they are written."""
    partition = names.partition(registry.region)
    found, shares = shared.in_one_form(statements.of_grants(grants, registry), partition)
    return AccessSettings(found, partition, shares)


def _grants(settings: AccessSettings) -> set[str]:
    """The grants that the settings are made from."""
    apart = shared.taken_apart(settings.statements, settings.shares)
    return {grant for item in apart if (grant := statements.grant_of(item.sid)) is not None}


class AccessKind(Kind, GivesAccess):
    """The repository policy of one repository in one region."""

    name = "access"
    settings = AccessSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS, Trait.REMEMBERED})
    after = ("repository",)
    permissions = {
        Verb.LIST: ("ecr:GetRepositoryPolicy",),
        Verb.READ: ("ecr:GetRepositoryPolicy", "ecr:ListTagsForResource"),
        Verb.CREATE: ("ecr:SetRepositoryPolicy", "ecr:TagResource", "ecr:UntagResource"),
        Verb.UPDATE: ("ecr:SetRepositoryPolicy", "ecr:TagResource"),
        Verb.DELETE: ("ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy", "ecr:UntagResource"),
    }

    def access(self, address: Address, settings: AccessSettings) -> Iterator[Access]:
        for statement in settings.statements:
            yield from accesses(address, statement)

    def access_by_grant(self, address: Address, settings: AccessSettings) -> Iterator[tuple[str, Access]]:
        """Also where grants share a statement."""
        for statement in shared.taken_apart(settings.statements, settings.shares):
            for item in accesses(address, statement):
                yield statements.grant_of(statement.sid) or "", item

    def may_deny(self, given: Given) -> str:
        denies = [effective.name_of(item) for item in _statements(given) if item.effect != "Allow"]
        return any_of(denies)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[list[Access], list[Access]]:
        """By the whole policy, and by who includes whom: an account covers its roles, `function:*` covers a function."""
        then, now = _statements(before), _statements(after)
        gains, losses = effective.gains(then, now, home.account), effective.losses(then, now, home.account)
        return list(_accesses(address, gains)), list(_accesses(address, losses))

    def shown(self, settings: AccessSettings) -> dict[str, Any]:
        apart = shared.taken_apart(settings.statements, settings.shares)
        shown: dict[str, Any] = {}
        for item in sorted(apart):
            title = statements.title(item.sid)
            further = (f"{title} ({number})" for number in count(2))
            shown[next(key for key in chain((title,), further) if key not in shown)] = _shown(item)
        among = [
            Named(item.sid, shared.described(item.sid)) for item in settings.statements if shared.is_shared(item.sid)
        ]
        return shown | {SHARED: sorted(among, key=lambda item: item.words)} if among else shown

    def altered(self, settings: AccessSettings) -> str | None:
        return _altered(settings)

    def in_order(self, rest: str) -> str:
        document = policy.parsed(rest)
        found = sorted((policy.in_order(item) for item in policy.statements_of(document)), key=text)
        return text({**document, "Statement": found}) if document else ""

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        document = policy.parsed(live.rest) if live is not None else {}
        if dead := dead_principals(document):
            return (
                f"AWS refuses a policy that names a deleted principal: {'; '.join(dead)}; remove it from that statement"
            )
        others = policy.statements_of(document)
        size = shared.size_of(desired.settings.statements, desired.settings.partition, others)
        if size <= shared.MAX_POLICY:
            return None
        grants = sorted(_grants(desired.settings))
        foreign = f" and {counted(len(others), 'foreign statement')}" if others else ""
        return (
            f"the repository policy would have {size:,} characters; ECR allows at most {shared.MAX_POLICY:,};"
            f" it is made from the grants {', '.join(grants)}{foreign}: grant whole accounts instead of single roles"
        )

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        asked: dict[Address, Marks] = {}
        for repository in found["repository"]:
            at = repository.address.sibling(self.name)
            # foreign access to any repository of ours, or that is to be ours, is reported: the policy is read whether a grant covers
            # it or not
            if repository.marks.owner == session.owner or at in wanted or repository.address in wanted:
                asked[at] = ledger.marks(at)
        session.granted |= {at: wanted[at].settings for at in asked if at in wanted}
        yield from _lives(session, asked)

    def fingerprint(self, live: Live | None) -> str:
        """What the spec alone says of it does not count: whoever applies a saved plan reads no spec."""
        if live is not None and live.settings.shares:
            live = replace(live, settings=replace(live.settings, shares=()))
        return super().fingerprint(live)

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        texts = zip(addresses, ledger.read(addresses), strict=True)
        yield from _lives(session, {at: ledger.marks(at, carried) for at, carried in texts})

    def create(self, session: AwsSession, write: Write) -> Live:
        return self._write(session, write, {})

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        if not write.changed:
            with session.ledger(RepositoryLedger).noting(write):
                return replace(live, marks=write.marks)
        return self._write(session, write, json.loads(live.rest) if live.rest else {})

    def _write(self, session: AwsSession, write: Write, before: Document) -> Live:
        at = write.desired.address
        document = statements.merged(before, write.desired.settings.statements, write.desired.settings.partition)
        session.granted[at] = write.desired.settings
        with session.ledger(RepositoryLedger).noting(write):
            answer = _set(session, at, document, write)
        return _live(session, at, policy.parsed(answer["policyText"]), write.marks)

    def take_back(self, session: AwsSession, address: Address) -> None:
        session.ledger(RepositoryLedger).forget(address)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        document = json.loads(live.rest) if live.rest else {}
        if policy.statements_of(document):
            _set(session, live.address, document)
        else:
            session.repository_call("delete_repository_policy", live.address, absent=GONE)
        session.ledger(RepositoryLedger).forget(live.address)


def _statements(given: Given) -> tuple[Statement, ...]:
    """All statements of a policy, ours and others'."""
    return (given.settings.statements if given.settings is not None else ()) + _of_others(given.rest)


@lru_cache(maxsize=4096)
def _of_others(rest: str) -> tuple[Statement, ...]:
    return tuple(policy.normal(item) for item in policy.statements_of(policy.parsed(rest)))


@lru_cache(maxsize=4096)
def _altered(settings: AccessSettings) -> str | None:
    there = statements.ours(statements.merged({}, settings.statements, settings.partition))
    if there == settings.statements:
        known = shared.shares_of(there, there, settings.shares) == settings.shares
        named = all(statements.grant_of(sid) for _, _, sids in settings.shares for sid in sids)
        return None if known and named else "by which grant somebody has access"
    lost = next((item for item in settings.statements if item not in there), None)
    return f"the {policy.named(lost.sid)}" if lost is not None else "the order of the statements"


def _accesses(at: Address, found: Iterable[effective.Difference]) -> Iterator[Access]:
    for item in found:
        for who in effective.principals_of(item.who):
            yield Access(who, item.what, at.registry, at.name, at.where, item.may, item.note)


def accesses(at: Address, statement: Statement, denies: tuple[Statement, ...] = ()) -> Iterator[Access]:
    """Who can do what because of a statement on the policy at an address. `denies`: others that may forbid it."""
    return _accesses(at, effective.gains(denies, (*denies, statement)))


def _set(session: AwsSession, at: Address, document: Document, write: Write | None = None) -> Any:
    """Sets the policy; `write` is what of it is ours, if anything is. A principal that AWS does not find is waited for if it
    is a role that was made in this run."""
    fresh = write is not None and any(need.kind == "role" for need in write.fresh)

    def put() -> Any:
        return session.repository_call("set_repository_policy", at, policyText=shared.text_of(document))

    try:
        return session.patiently(put, lambda error: fresh and _unknown_principal(error, fresh), PATIENCE)
    except PlatformError as error:
        if _unknown_principal(error, fresh):
            raise _with_grants(error, document, write) from None
        raise


def _unknown_principal(error: BaseException, fresh: bool) -> bool:
    # ECR has two texts for it (hashicorp/terraform-provider-aws#39064 and #1164); the second is said of other faults too
    if not isinstance(error, PlatformError) or error.code != "InvalidParameterException":
        return False
    return "rincipal" in error.message or (fresh and "Invalid repository policy" in error.message)


def _with_grants(error: PlatformError, document: Document, write: Write | None) -> PlatformError:
    """The error with the principals that it can be about, and their grants' places: AWS does not say which."""
    suspects: list[str] = []
    grants: set[str] = set()
    ours = write.desired.settings if write is not None else AccessSettings()
    for statement in shared.taken_apart(ours.statements, ours.shares):
        arns = [item for item in statement.principals if not item.startswith("service:") and item != "*"]
        grant = statements.grant_of(statement.sid)
        if arns and grant is not None:
            suspects.append(f"{', '.join(arns)} (grant {grant})")
            grants.add(grant)
    suspects += dead_principals(document)
    if not suspects:
        return error
    return PlatformError(
        f"AWS can't find a principal of the policy: {'; '.join(suspects)}; it says: {error.message}",
        address=error.address,
        operation=error.operation,
        request_id=error.request_id,
        code=error.code,
        hint="create the role or account first, or remove it from the grant",
        places=tuple(
            place
            for place in (write.desired.source if write is not None else ())
            if place.kind == "grant" and place.name in grants
        ),
    )


def read(session: AwsSession, at: Address) -> Document | None:
    """The policy of the repository that an address is about; None if it has none."""
    answer = session.repository_call("get_repository_policy", at, absent=GONE)
    return policy.parsed(answer["policyText"]) if answer else None


def _lives(session: AwsSession, asked: Mapping[Address, Marks]) -> Iterator[Live]:
    """The policies at these addresses; a mark without a policy is one too."""
    ahead = session.ahead
    answers = session.map(lambda at: ahead.pop(at) if at in ahead else read(session, at), asked)
    for (at, marks), document in zip(asked.items(), answers, strict=True):
        if document is not None or marks.applied is not None:
            yield _live(session, at, document, marks)


def _live(session: AwsSession, at: Address, document: Document | None, marks: Marks) -> Live:
    repository = at.sibling("repository")
    present = document or {}
    ours = statements.ours(present)
    wanted = session.granted.get(at) or AccessSettings()
    shares = shared.shares_of(ours, wanted.statements, wanted.shares)
    others = statements.foreign(present)
    # statements of ours are ours by their id; the repository's owner is who made them
    own = bool(ours) or marks.applied is not None
    gone = document is None
    return Live(
        address=at,
        kind=AccessKind.name,
        settings=AccessSettings(ours, names.partition(session.registry.region), shares),
        marks=marks if own else Marks(),
        native=f"{repository_arn(session, at)} (policy)",
        needs=(repository,),
        parent=repository,
        rest=json.dumps({**present, "Statement": others})
        if others or present.keys() - {"Version", "Statement"}
        else "",
        vacant=gone or not own,
        notes=("the policy was deleted; only its mark is left",)
        if gone
        else tuple(_dead(shared.taken_apart(ours, shares))),
        foreign=tuple(_removable(session, at, present)),
    )


def _dead(apart: Iterable[Statement]) -> Iterator[str]:
    for item in apart:
        for principal in item.principals:
            if policy.is_deleted(principal):
                kind, grant = policy.deleted_kind(principal), statements.grant_of(item.sid)
                whose = f"grant {grant}" if grant is not None else f"{policy.named(item.sid)} of several grants"
                yield f"{whose} still names a deleted {kind} ({principal})"


def _removable(session: AwsSession, at: Address, document: Document) -> Iterator[ForeignAccess]:
    """What others put into a policy, each with the commands that remove it.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/set-repository-policy.html
    """
    there = f"--region {session.region_of(at)} --repository-name {session.native_of(at)}"
    alone = len(policy.listed(document.get("Statement"))) == 1
    for item in foreign(at, document):
        removal = (
            f"run `aws ecr delete-repository-policy {there}`"
            if alone
            else f"run `aws ecr get-repository-policy {there} --query policyText --output text > policy.json`, delete the"
            f" statement from policy.json, then run `aws ecr set-repository-policy {there} --policy-text file://policy.json`"
        )
        yield replace(item, removal=removal)


def foreign(at: Address, document: Document) -> Iterator[ForeignAccess]:
    """What the statements of a policy that are not ours give, and what they deny."""
    found = [policy.normal(item) for item in statements.foreign(document)]
    denies = tuple(item for item in found if item.effect != "Allow")
    for statement in found:
        name = effective.name_of(statement)
        if statement.effect != "Allow":
            whom = " and ".join(effective.principal_of(who).label for who in effective.whos_of(statement)) or "nobody"
            name = f"{name} denies {effective.verbs_denied(statement)} to {whom}"
            yield ForeignAccess(at, name)
        else:
            given = tuple(sorted(accesses(at, statement, denies)))
            yield ForeignAccess(at, name if given else f"{name} names only principals that were deleted", given)


def _shown(statement: Statement) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "principals": policy.principals_shown(statement.principals),
        "may": policy.may_shown(statement.actions),
    }
    if statement.conditions:
        shown["if"] = policy.conditions_shown(statement.conditions)
    if statement.effect != "Allow":
        shown["effect"] = Named(statement.effect)
    if statement.other:
        shown["other"] = json.loads(statement.other)
    return shown


def dead_principals(document: Document) -> list[str]:
    """The deleted principals of foreign statements, in words: AWS refuses to write a policy that names one."""
    found = []
    for item in statements.foreign(document):
        dead = [principal for principal in policy.normal(item).principals if policy.is_deleted(principal)]
        if dead:
            found.append(f"{', '.join(dead)} (deleted, in the foreign {policy.named(str(item.get('Sid', '')))})")
    return found
