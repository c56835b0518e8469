"""The ledger of a registry without roles: an empty ECR repository, `reconciler/` and the registry's name, whose tags are all that it
is for. What else could be tagged by ECR's means alone may leave the spec, and would take along what is noted of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Verb, Write
from reconciler.model.ledger import Texts
from reconciler.model.marks import PREFIX, Marks
from reconciler.model.resource import Desired, Live
from reconciler.spec.registry import RegistryBase
from reconciler.words import Named

from . import policy
from .ledgers import (
    AT,
    LEDGER,
    LEDGER_READ,
    MARKS,
    NO_REPOSITORY,
    RegistryLedger,
    carrier_of,
    hand_over,
    is_ours,
    ledger_arn,
    notes_of,
    others_of,
    regions_named,
    tags_in,
)
from .left import LOOK, check_none_noted
from .policy_access import foreign
from .spec import AwsRegistry
from .tags import as_list

if TYPE_CHECKING:
    from .session import AwsSession

EXISTS = ("RepositoryAlreadyExistsException",)
NO_POLICY = ("RepositoryPolicyNotFoundException", "RepositoryNotFoundException")


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """The region that it is in: the registry's own."""

    region: str


class LedgerKind(Kind):
    """The repository for marks. Made before whatever is noted on it. One in another region is of the registry's past: it is deleted
    once there is one in the registry's own, or a role, which has what was noted on it."""

    name = LEDGER
    settings = LedgerSettings
    after = ("role",)
    permissions = {
        Verb.LIST: ("ecr:ListTagsForResource", "ecr:GetRepositoryPolicy"),
        Verb.READ: LEDGER_READ,
        Verb.CREATE: ("ecr:CreateRepository", "ecr:TagResource", "iam:TagRole", *LEDGER_READ),
        Verb.UPDATE: ("ecr:TagResource", "ecr:ListTagsForResource"),
        Verb.DELETE: ("ecr:DeleteRepository", "iam:UntagRole", "ecr:UntagResource", *LEDGER_READ, *LOOK),
    }

    def shown(self, settings: LedgerSettings) -> dict[str, Any]:
        return {"region": Named(settings.region, settings.region)}

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        asked = isinstance(registry, AwsRegistry) and wanted.settings == LedgerSettings(registry.region)
        return None if asked else "the region"

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """It is in the registry's own region."""
        return self.shown(LedgerSettings(home.registry.region)) if isinstance(home.registry, AwsRegistry) else {}

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger, home = session.ledger(RegistryLedger), carrier_of(session.registry)
        role = Address.of(session.name, "role", "pull")
        known = ledger.texts(role) if is_ours(session, ledger.texts(role)) else {}
        mine = known if home == role else tags_in(session, home) or {}
        regions = [at for at in others_of(session, mine, known) if at.kind == LEDGER]
        lives = [
            live for at in (home, *regions) if at.kind == LEDGER and (live := _read(session, at, mine)) is not None
        ]
        there = [live.address for live in lives if not live.vacant and _is_ours(session, live)]
        session.carriers = tuple(dict.fromkeys((home, *([role] if known else []), *there)))
        for live in lives:
            yield replace(live, foreign=tuple(_put_there(session, live))) if live.address in there else live

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        mine: Texts | None = None
        for at in addresses:
            if at.name == MARKS:
                mine = session.ledger(RegistryLedger).of_carrier(carrier_of(session.registry)) if mine is None else mine
                live = _read(session, at, mine)
                if live is not None:
                    yield live

    def create(self, session: AwsSession, write: Write) -> Live:
        """With what is noted elsewhere, where the registry had roles or another region; each says from then on where the other is."""
        at, here = write.desired.address, session.registry.region
        with session.ledger_lock:
            others = session.ledger(RegistryLedger).others()
            for other, texts in others.items():
                say_where(session, other, texts, here)
            regions = [session.region_of(other) for other in others if other.kind == LEDGER]
            notes = {key: value for texts in others.values() for key, value in notes_of(texts).items()}
            tags = {**notes, **({AT: " ".join(regions)} if regions else {}), **write.marks.texts()}
            created = session.call(
                "ecr",
                "create_repository",
                here,
                address=at,
                absent=EXISTS,
                repositoryName=session.registry.ledger_name,
                tags=as_list(tags),
            )
        if created is None:  # an answer to our own call was lost on the way, or somebody else was faster
            tags = dict(tags_in(session, at) or {})
            if Marks.of(tags) != write.marks:
                raise PlatformError(
                    "somebody else created it since the plan was made",
                    address=at,
                    operation="ecr:CreateRepository",
                    hint="make a new plan",
                )
        return _live(session, at, tags)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        at = live.address
        session.ledger(RegistryLedger).change(at, write.marks.texts())
        return _live(session, at, tags_in(session, at) or {})

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        """Deletes it, unless it has become somebody else's; ECR refuses if somebody has pushed images into it."""
        at, region = live.address, session.region_of(live.address)
        check_none_noted(session, at)
        hand_over(session, at)
        if is_ours(session, tags_in(session, at) or {}):
            name = session.registry.ledger_name
            session.call("ecr", "delete_repository", region, address=at, absent=NO_REPOSITORY, repositoryName=name)
        home = carrier_of(session.registry)
        texts = session.ledger(RegistryLedger).of_carrier(home)
        if at != home and texts:
            say_where(session, home, texts, region, there=False)


def say_where(session: AwsSession, carrier: Address, texts: Texts, region: str, *, there: bool = True) -> None:
    """Says on a carrier that there is a ledger in a region, or that there is none any more. `texts`: what it says now."""
    others = [item for item in texts.get(AT, "").split() if item != region]
    said = " ".join([*others, region] if there else others)
    if said != texts.get(AT, ""):
        session.ledger(RegistryLedger).change(carrier, *(({AT: said}, ()) if said else ({}, (AT,))))


def _put_there(session: AwsSession, live: Live) -> Iterator[ForeignAccess]:
    """What others have put on a ledger, which would go along with it: nothing of ours is there but tags."""
    at, region = live.address, session.region_of(live.address)
    name = session.registry.ledger_name
    answer = session.call("ecr", "get_repository_policy", region, address=at, absent=NO_POLICY, repositoryName=name)
    if answer is not None:
        yield from foreign(at, policy.parsed(answer["policyText"]))
    ours = {*notes_of(session.ledger(RegistryLedger).texts(at)), *Marks("", "", "", "").texts(), AT}
    tags = tags_in(session, at) or {}
    for key in sorted(tags.keys() - ours):
        if not key.startswith((PREFIX, "aws:")):
            yield ForeignAccess(at, f"the tag '{key}'", (), f"remove the tag '{key}' from the ECR repository {name}")


def _is_ours(session: AwsSession, live: Live) -> bool:
    return (live.marks.owner, live.marks.registry) == (session.owner, session.name)


def _read(session: AwsSession, at: Address, mine: Texts) -> Live | None:
    """The ledger at an address; vacant if only the registry's own carrier says that there is one. `mine`: what that says now."""
    tags = tags_in(session, at)
    home = at == carrier_of(session.registry)
    if tags is not None and (home or is_ours(session, tags)):
        session.ledger(RegistryLedger).learn(at, tags)
        return _live(session, at, tags)
    if home or session.region_of(at) not in regions_named(session, mine):
        return None
    marks = Marks(session.owner, "spec", "", session.name)  # the note of one: it is taken away, as that of what is gone
    return replace(_live(session, at, {}), marks=marks, vacant=True)


def _live(session: AwsSession, at: Address, tags: Texts) -> Live:
    region = session.region_of(at)
    return Live(
        address=at,
        kind=LEDGER,
        settings=LedgerSettings(region),
        marks=Marks.of(tags),
        native=ledger_arn(session.registry, region),
    )
