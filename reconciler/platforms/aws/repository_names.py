"""Which address each ECR repository is for: what the spec wants by its name there, what is the registry's by its marks, and what
nobody owns under the registry's prefix.

ECR's names follow from the spec's alone; the other way round, the tag `reconciler-repository` says the name in the spec where it
does not follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired

from . import access, lifecycle
from .repository_listing import described_in, settled, tagged_in
from .repository_settings import KIND
from .spec import AwsRegistry
from .tags import REPOSITORY, Tags, as_dict

if TYPE_CHECKING:
    from .session import AwsSession

#: what can be a name in an address
_NAME = re.compile(r"[^\s@]+")
#: ECR's description of a repository, and its tags
There = tuple[dict[str, Any], Tags]


@dataclass(frozen=True, slots=True)
class _Likely:
    """A repository that may be the registry's. `at`: the address that it is for, as far as that is known before its tags are read;
    `by_name`: whether it is the one that the spec wants there."""

    region: str
    described: dict[str, Any]
    at: Address
    by_name: bool

    @property
    def native(self) -> str:
        return str(self.described["repositoryName"])

    @property
    def arn(self) -> str:
        return str(self.described["repositoryArn"])


def registrys_own(
    session: AwsSession, wanted: Mapping[Address, Desired], regions: Iterable[str]
) -> dict[Address, There]:
    """The registry's repositories in these regions by address, and what has its prefix; the session knows all their names then.

    One that the spec wants by its name is at that address, whoever owns it. What is marked as the registry's is at the address of the
    name that it was made for, which may be wanted under another name now: it is replaced then. An account may hold many more: of
    those that nobody owns, only what begins with a prefix that is not empty is of any interest.
    """
    regions = list(regions)
    repositories = {at: item for at, item in wanted.items() if item.kind == KIND}
    session.learn(repositories.values())
    described = dict(zip(regions, session.map(partial(described_in, session), regions), strict=True))
    some = [region for region, found in described.items() if found]
    bulk = dict(zip(some, session.map(partial(tagged_in, session), some), strict=True))
    named = {(session.region_of(at), session.native_of(at)): at for at in repositories}
    likely = [
        found
        for region in some
        for item in described[region]
        if (found := _likely(session, named, region, item, bulk[region].get(item["repositoryArn"]))) is not None
    ]
    tags = _tags_of(session, wanted, likely, bulk)
    there = _addressed(session, repositories.keys(), [(item, tags[item.arn]) for item in likely])
    for at, (item, _) in there.items():
        session.call_it(at, item["repositoryName"])
    return there


def _likely(
    session: AwsSession,
    named: Mapping[tuple[str, str], Address],
    region: str,
    described: dict[str, Any],
    tags: Tags | None,
) -> _Likely | None:
    """The repository, unless it is known before its tags are read that it is none of the registry's."""
    native = described["repositoryName"]
    if native == session.registry.ledger_name:  # it is marked as the registry's, and is none of the spec's repositories
        return None
    at = named.get((region, native))
    if at is not None:
        return _Likely(region, described, at, True)
    ours = tags is not None and not Marks.of(tags).elsewhere(session.name)
    if not ours and not _under_prefix(session.registry, native):
        return None
    name = name_of(session.registry, native, tags or {}, ours=ours)
    return _Likely(region, described, Address.of(session.name, KIND, name, session.where(region)), False)


def _tags_of(
    session: AwsSession,
    wanted: Mapping[Address, Desired],
    likely: Iterable[_Likely],
    bulk: Mapping[str, dict[str, Tags]],
) -> dict[str, Tags]:
    """Each repository's tags by its ARN: in bulk where the tagging API lists it and nothing hangs on it, one by one elsewhere. The
    policies that the spec wants are read beside them, since each operation has a rate of its own.

    GetResources is eventually consistent, so whatever would lead to a change, a conflict or a delete is asked for again.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/overview.html
    """
    known: dict[str, Tags] = {}
    asked: dict[str, list[_Likely]] = {}
    below: dict[str, list[Address]] = {}
    for item in likely:
        tags = bulk[item.region].get(item.arn)
        if tags is not None and settled(session, wanted, item.at, item.described, tags):
            known[item.arn] = tags
        else:
            asked.setdefault(item.region, []).append(item)
        if item.by_name:
            below.setdefault(item.region, []).append(item.at)
    reads: list[tuple[Callable[[Any], Any], list[Any]]] = []
    for region in bulk:
        reads.append((partial(_tags, session), asked.get(region, [])))
        for kind, read in ((lifecycle.LifecycleKind.name, lifecycle.read), (access.AccessKind.name, access.read)):
            addresses = (at.sibling(kind) for at in below.get(region, ()))
            reads.append((partial(read, session), [at for at in addresses if at in wanted]))
    session.ahead = {}
    for (_, items), answers in zip(reads, session.maps(*reads), strict=True):
        for item, answer in zip(items, answers, strict=True):
            if isinstance(item, _Likely):
                known[item.arn] = answer
            else:
                session.ahead[item] = answer
    return known


def _tags(session: AwsSession, item: _Likely) -> Tags:
    absent = ("RepositoryNotFoundException",)
    answer = session.call(
        "ecr", "list_tags_for_resource", item.region, address=item.at, absent=absent, resourceArn=item.arn
    )
    return as_dict(answer["tags"]) if answer else {}


def _addressed(
    session: AwsSession, wanted: Iterable[Address], found: Iterable[tuple[_Likely, Tags]]
) -> dict[Address, There]:
    """The registry's among these repositories, each at an address of its own."""
    there: dict[Address, There] = {}
    ours: list[tuple[_Likely, Tags]] = []
    others: list[tuple[_Likely, Tags]] = []
    for item, tags in found:
        if item.by_name:
            there[item.at] = item.described, tags
        elif is_here(session, item.native, item.region, tags):
            (ours if _is_ours(session, tags) else others).append((item, tags))
    taken = {*wanted}
    for item, tags in (*ours, *others):
        mine = _is_ours(session, tags)
        names = [name_of(session.registry, item.native, tags, ours=mine), item.native, f"={item.native}"]
        addresses = (Address.of(session.name, KIND, name, session.where(item.region)) for name in names)
        # what was made for a name is replaced if that is wanted otherwise now; what nobody owns never stands in for what is wanted
        free = (at for at in addresses if at not in there and (mine or at not in taken))
        at = next(free, None)
        if at is not None:
            there[at] = item.described, tags
    return dict(_in_order(there))


def _in_order(there: Mapping[Address, There]) -> Iterator[tuple[Address, There]]:
    """By region, and there by ECR's names."""
    yield from sorted(there.items(), key=lambda found: (found[0].where, found[1][0]["repositoryName"]))


def _is_ours(session: AwsSession, tags: Tags) -> bool:
    return Marks.of(tags).owner == session.owner and not Marks.of(tags).elsewhere(session.name)


def _under_prefix(registry: AwsRegistry, native: str) -> bool:
    prefix = registry.name_prefix
    return bool(prefix) and native.startswith(prefix) and native != prefix


def name_of(registry: AwsRegistry, native: str, tags: Tags, *, ours: bool) -> str:
    """The name in the spec that an ECR repository was made for: as its tag says, or as it follows from its name.

    Only by the registry's name (`usual_prefix`) does it follow for sure: another prefix may have been another when it was made.
    """
    said = tags.get(REPOSITORY, "") if ours else ""
    if _NAME.fullmatch(said):
        return said
    prefixes = (registry.usual_prefix, registry.name_prefix) if ours else (registry.name_prefix,)
    return next((native[len(one) :] for one in prefixes if native.startswith(one) and native != one), native)


def is_here(session: AwsSession, native: str, region: str, tags: Tags) -> bool:
    """Whether a repository that the spec does not want by its name is this registry's: by its marks, or by its prefix where the marks
    name no registry."""
    marks = Marks.of(tags)
    if marks.registry is not None:
        return _is_ours(session, tags) or _under_prefix(session.registry, native)
    if marks.owner != session.owner and not _under_prefix(session.registry, native):
        return False
    return _nearest(session, native, region) == session.name


def _nearest(session: AwsSession, native: str, region: str) -> str:
    """The registry whose repositories are named most like this one, or the first: what has no mark of a registry is that one's."""
    here = session.registry
    near = [
        other
        for other in session.estate.registries
        if isinstance(other, AwsRegistry)
        and other.account_id == here.account_id
        and (other.name == here.name or region in other.regions)
    ]

    def likeness(other: AwsRegistry) -> int:
        return max(len(one) if native.startswith(one) else 0 for one in (other.name_prefix, other.usual_prefix))

    return max(near, key=likeness).name
