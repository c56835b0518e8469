"""The repositories of a registry as they are listed: whose they are, their tags, and what waits to be put back on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.marks import OWNER, Marks
from reconciler.model.resource import Desired, Live

from . import access, lifecycle
from .ledgers import RepositoryLedger, repository_arn
from .repository_settings import KIND, RepositorySettings, live_of
from .spec import AwsRegistry
from .tags import Tags, as_dict
from .waiting import Others, access_of, note, waiting

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("RepositoryNotFoundException",)


def in_region(session: AwsSession, region: str) -> dict[Address, dict[str, Any]]:
    """The repositories of a region that are the registry's, by address and sorted by name."""
    prefix, where = session.registry.prefix, session.where(region)
    at = Address.of(session.name, "region", region)
    found = session.pages("ecr", "describe_repositories", "repositories", region, address=at, maxResults=1000)
    return {
        Address.of(session.name, KIND, item["repositoryName"].removeprefix(prefix), where): item
        for item in sorted(found, key=lambda item: str(item["repositoryName"]))
        if item["repositoryName"].startswith(prefix)
    }


def copies_of(registry: AwsRegistry, repository: str) -> Iterator[Address]:
    """The addresses of a repository in the registry's replication regions.

    They are made before the one in the home region, and deleted after it: ECR makes a copy that is not there with the first image
    that it replicates, as nobody's and with settings of its own (https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html).
    """
    return (Address.of(registry.name, KIND, repository, region) for region in sorted(registry.replication_regions))


def has_longest_prefix(session: AwsSession, at: Address) -> bool:
    """Whether no other registry of the spec has a longer prefix that fits: what has no mark of a registry is that one's."""
    native, region, here = session.native_of(at), session.region_of(at), session.registry
    fitting = (
        other.prefix
        for other in session.estate.registries
        if isinstance(other, AwsRegistry) and other.account_id == here.account_id and region in other.regions
    )
    return not any(len(prefix) > len(here.prefix) and native.startswith(prefix) for prefix in fitting)


def describe_one(session: AwsSession, at: Address) -> Any:
    """ECR's answer about the repository that an address is about; None if it isn't there."""
    names = [session.native_of(at)]
    return session.call("ecr", "describe_repositories", session.region_of(at), absent=GONE, repositoryNames=names)


def tags_of(
    session: AwsSession, wanted: Mapping[Address, Desired], described: Mapping[str, Mapping[Address, dict[str, Any]]]
) -> dict[Address, Tags]:
    """Each repository's tags: in bulk where the tagging API lists it and nothing hangs on it, one by one elsewhere. `described`: by
    region. The policies that the spec wants are read beside them, since each operation has a rate of its own.

    GetResources is eventually consistent, so whatever would lead to a change, a conflict or a delete is asked for again.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/overview.html
    """
    ledger = session.ledger(RepositoryLedger)
    known: dict[Address, Tags] = {}
    doubtful: list[Address] = []
    reads: list[tuple[Callable[[Address], Any], list[Address]]] = []
    regions = [region for region, found in described.items() if found]
    for region, listed in zip(regions, session.map(lambda region: _listed(session, region), regions), strict=True):
        asked: list[Address] = []
        for at, repository in described[region].items():
            tags = listed.get(repository["repositoryArn"])
            if tags is not None and _settled(session, wanted, at, repository, tags):
                known[at] = tags
            else:
                asked.append(at)
        doubtful += asked
        reads.append((lambda at: dict(ledger.read([at])[0]), asked))
        for kind, read in ((lifecycle.LifecycleKind.name, lifecycle.read), (access.AccessKind.name, access.read)):
            below = (at.sibling(kind) for at in described[region])
            reads.append((partial(read, session), [at for at in below if at in wanted]))
    found = zip(reads, session.maps(*reads), strict=True)
    session.ahead = {at: answer for (_, asked), answers in found for at, answer in zip(asked, answers, strict=True)}
    known.update((at, session.ahead.pop(at)) for at in doubtful)
    return known


def _listed(session: AwsSession, region: str) -> dict[str, Tags]:
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


def _settled(
    session: AwsSession, wanted: Mapping[Address, Desired], at: Address, repository: dict[str, Any], tags: Tags
) -> bool:
    """Whether these tags, right or late, lead to no change: then they are not asked for again."""
    live = live_of(at, repository, tags)
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
    waits = waiting(session, live.address, live.native) if ours else None
    return live if waits is None else replace(live, owed=True, **_said(session, live.address, live.native, waits))


def missing(session: AwsSession, addresses: Iterable[Address]) -> Iterator[Live]:
    """The repositories that a replacement has deleted and not made again, where something waits to be put back on them."""
    for at in addresses:
        native = repository_arn(session, at)
        waits = waiting(session, at, native)
        if waits is not None:
            said = _said(session, at, native, waits)
            yield Live(at, KIND, RepositorySettings(), Marks(), native, vacant=True, owed=True, **said)


def _said(session: AwsSession, at: Address, native: str, waits: Others) -> dict[str, Any]:
    given = access_of(at, access.foreign(at.sibling(access.AccessKind.name), waits.policy))
    return {"notes": (note(session, at, native, waits),), "foreign": given}
