"""An ECR repository policy: our grants' statements, among whatever others put there.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.words import any_of

from . import access_settings, effective, names, own_ids, policy, shared, statements
from .access_settings import AccessSettings
from .ledgers import RepositoryLedger, repository_arn
from .policy import Document, Statement
from .policy_access import accesses, dead_principals, differing, of_others, removable

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("RepositoryPolicyNotFoundException", "RepositoryNotFoundException")
#: seconds that a role made in this run may take to become visible to ECR (hashicorp/terraform-provider-aws#39064)
PATIENCE = 60.0


class AccessKind(Kind, GivesAccess):
    """The repository policy of one repository in one region."""

    name = "access"
    settings = AccessSettings
    #: the form, which no sentence on who gains access says
    unsaid = frozenset({access_settings.SHARED})
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
        for statement in settings.apart():
            for item in accesses(address, statement):
                yield own_ids.grant_of(statement.sid) or "", item

    def native_principals(self, settings: AccessSettings) -> Mapping[str, str]:
        return {
            one.label: policy.whole(principal, settings.partition)
            for item in settings.statements
            for principal in item.principals
            if names.account_of(principal)
            for one in policy.who(principal, item.conditions)
        }

    def may_deny(self, given: Given) -> str:
        denies = [effective.name_of(item) for item in _statements(given) if item.effect != "Allow"]
        return any_of(denies)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[list[Access], list[Access]]:
        """By the whole policy, and by who includes whom: an account covers its roles, `function:*` covers a function."""
        then, now = _statements(before), _statements(after)
        gains, losses = effective.gains(then, now, home.account), effective.losses(then, now, home.account)
        return list(differing(address, gains)), list(differing(address, losses))

    def shown(self, settings: AccessSettings) -> dict[str, Any]:
        return access_settings.shown(settings)

    def altered(self, settings: AccessSettings) -> str | None:
        return access_settings.altered(settings)

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        return access_settings.fitted(desired, live)

    def in_order(self, rest: str) -> str:
        document = policy.parsed(rest)
        found = sorted((policy.in_order(item) for item in policy.statements_of(document)), key=text)
        return text({**document, "Statement": found}) if document else ""

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        refusal = self.refusal(live) if live is not None else None
        return refusal or access_settings.too_long(
            desired.settings, policy.parsed(live.rest) if live is not None else {}
        )

    def refusal(self, live: Live) -> str | None:
        dead = dead_principals(policy.parsed(live.rest))
        said = f"AWS refuses a policy that names a deleted principal: {'; '.join(dead)}; remove it from that statement"
        return said if dead else None

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        asked: dict[Address, Marks] = {}
        for repository in found["repository"]:
            at = repository.address.sibling(self.name)
            # foreign access to any repository of ours, or that is to be ours, is reported: the policy is read whether a grant covers
            # it or not
            if repository.marks.owner == session.owner or at in wanted or repository.address in wanted:
                asked[at] = ledger.marks(at)
        grants = (item.settings.grants() for item in wanted.values() if item.kind == self.name)
        session.grants = frozenset().union(*grants)
        session.granted |= {at: wanted[at].settings for at in asked if at in wanted}
        yield from _lives(session, asked)

    def fingerprint(self, live: Live | None) -> str:
        """By which grants somebody has access does not count: where ids have codes, only a spec knows the names, and whoever applies
        a saved plan reads none."""
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
    return (given.settings.statements if given.settings is not None else ()) + of_others(given.rest)


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
    for statement in ours.apart():
        arns = [item for item in statement.principals if not item.startswith("service:") and item != "*"]
        grant = own_ids.grant_of(statement.sid)
        if arns and grant is not None:
            suspects.append(f"{', '.join(arns)} (grant {grant})")
            grants.add(grant)
    dead = dead_principals(document)
    hints = ["create the role or account first, or remove it from the grant"] if suspects else []
    hints += ["remove a deleted principal from the foreign statement that names it, then run again"] if dead else []
    suspects += dead
    if not suspects:
        return error
    return PlatformError(
        f"AWS can't find a principal of the policy: {'; '.join(suspects)}; it says: {error.message}",
        address=error.address,
        operation=error.operation,
        request_id=error.request_id,
        code=error.code,
        hint="; ".join(hints),
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
    settings = AccessSettings(ours, names.partition(session.registry.region))
    settings = replace(settings, shares=shared.shares_of(ours, wanted.apart(), session.grants))
    others = statements.foreign(present)
    # statements of ours are ours by their id; the repository's owner is who made them
    own = bool(ours) or marks.applied is not None
    gone = document is None
    return Live(
        address=at,
        kind=AccessKind.name,
        settings=settings,
        marks=marks if own else Marks(),
        native=f"{repository_arn(session, at)} (policy)",
        needs=(repository,),
        parent=repository,
        rest=json.dumps({**present, "Statement": others})
        if others or present.keys() - {"Version", "Statement"}
        else "",
        vacant=gone or not own,
        notes=("the policy was deleted; only its mark is left",) if gone else tuple(_dead(settings.apart())),
        foreign=tuple(removable(session, at, present)),
    )


def _dead(apart: Iterable[Statement]) -> Iterator[str]:
    for item in apart:
        for principal in item.principals:
            if policy.is_deleted(principal):
                kind, grant = policy.deleted_kind(principal), own_ids.grant_of(item.sid)
                whose = f"grant {grant}" if grant is not None else "a statement of several grants"
                yield f"{whose} still names a deleted {kind} ({principal})"
