"""The repositories of a registry as they are listed: whose they are, their tags, and what waits to be put back on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.marks import OWNER, Marks
from reconciler.model.resource import Desired, Live

from . import access, policy_access
from .ledgers import RepositoryLedger, repository_arn
from .repository_settings import KIND, RepositorySettings, live_of
from .spec import AwsRegistry
from .tags import Tags, as_dict
from .waiting import Others, access_of, note, waiting

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("RepositoryNotFoundException",)


def copies_of(registry: AwsRegistry, repository: str) -> Iterator[Address]:
    """The addresses of a repository in the registry's replication regions.

    They are made before the one in the home region, and deleted after it: ECR makes a copy that is not there with the first image
    that it replicates, as nobody's and with settings of its own (https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html).
    """
    return (Address.of(registry.name, KIND, repository, region) for region in registry.copied_to)


def describe_one(session: AwsSession, at: Address) -> Any:
    """ECR's answer about the repository that an address is about; None if it isn't there."""
    names = [session.native_of(at)]
    return session.call("ecr", "describe_repositories", session.region_of(at), absent=GONE, repositoryNames=names)


def described_in(session: AwsSession, region: str) -> list[dict[str, Any]]:
    """Every repository of the account in a region, whoever owns it, sorted by name: ECR lists by no other rule."""
    at = Address.of(session.name, "region", region)
    found = session.pages("ecr", "describe_repositories", "repositories", region, address=at, maxResults=1000)
    return sorted(found, key=lambda item: str(item["repositoryName"]))


def tagged_in(session: AwsSession, region: str) -> dict[str, Tags]:
    """By ARN, the tags of the owner's repositories that the tagging API knows of."""
    found = session.pages(
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList",
        region,
        address=Address.of(session.name, "region", region),
        ResourceTypeFilters=["ecr:repository"],
        TagFilters=[{"Key": OWNER, "Values": [session.owner]}],
        ResourcesPerPage=100,
    )
    return {item["ResourceARN"]: as_dict(item["Tags"]) for item in found}


def settled(
    session: AwsSession, wanted: Mapping[Address, Desired], at: Address, repository: dict[str, Any], tags: Tags
) -> bool:
    """Whether these tags, right or late, lead to no change: then they are not asked for again."""
    live = live_of(session.registry, at, repository, tags)
    if at not in wanted and (live.marks.origin == "runtime" or live.marks.elsewhere(session.name)):
        return True
    ledger = session.ledger(RepositoryLedger)
    below = [item for kind in ("lifecycle", "access") if (item := wanted.get(at.sibling(kind))) is not None]
    desired = wanted.get(at)
    return (
        desired is not None
        and (live.marks.owner, live.marks.registry) == (session.owner, session.name)
        and live.settings == desired.settings
        and live.marks.applied == applied_hash(desired.settings)
        and all(ledger.marks(item.address, tags).applied == applied_hash(item.settings) for item in below)
    )


def owing(session: AwsSession, live: Live) -> Live:
    """With what others had on it, if that waits to be put back: if it is this registry's."""
    ours = live.marks.owner == session.owner and not live.marks.elsewhere(session.name)
    waits = waiting(session, live.address) if ours else None
    return live if waits is None else replace(live, owed=True, **_said(session, live.address, waits))


def missing(session: AwsSession, addresses: Iterable[Address]) -> Iterator[Live]:
    """The repositories that a replacement has deleted and not made again, where something waits to be put back on them."""
    for at in addresses:
        waits = waiting(session, at)
        if waits is not None:
            said = _said(session, at, waits)
            native = repository_arn(session, at)
            yield Live(at, KIND, RepositorySettings(), Marks(), native, vacant=True, owed=True, **said)


def _said(session: AwsSession, at: Address, waits: Others) -> dict[str, Any]:
    given = access_of(at, policy_access.foreign(at.sibling(access.AccessKind.name), waits.policy))
    return {"notes": (note(session, at, waits),), "foreign": given}
