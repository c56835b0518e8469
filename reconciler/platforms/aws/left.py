"""Whether repositories of a registry are left in regions where no plan will look for them any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.platforms.noted_place import refuse_left

from .ledgers import RegistryLedger, carrier_of
from .repository_names import registrys_own

if TYPE_CHECKING:
    from .session import AwsSession

#: what ECR and the tagging API must allow for looking
LOOK = ("ecr:DescribeRepositories", "ecr:ListTagsForResource", "tag:GetResources")


def check_none_left(
    session: AwsSession,
    regions: Iterable[str],
    at: Address,
    but: Collection[Address] = (),
    *,
    left_alone: Collection[str] = (),
) -> None:
    """Looks again whether repositories of the registry that the spec made are in these regions. `but`: addresses of repositories that
    need not be gone yet. `left_alone`: in which of the regions also those count that a plan names and leaves alone, since nothing
    says that the spec made them. Raises PlatformError if some are."""
    there: dict[str, list[str]] = {}
    for found, (described, tags) in registrys_own(session, {}, sorted({*regions})).items():
        marks = Marks.of(tags)
        region = session.region_of(found)
        ours = marks.owner == session.owner and not marks.elsewhere(session.name)
        if ours and (marks.origin == "spec" or region in left_alone) and found not in but:
            there.setdefault(region, []).append(str(described["repositoryName"]))
    refuse_left(there, at, "ecr:DescribeRepositories")


def check_none_noted(session: AwsSession, at: Address) -> None:
    """The same in every region that the registry extends to, for whoever deletes what carries the notes of these, as only the delete
    of the whole registry does; what the plan names may be about to go. Raises PlatformError."""
    home = carrier_of(session.registry)
    if at != home:
        return
    ledger = session.ledger(RegistryLedger)
    (texts,) = ledger.read([home])
    regions = {*session.registry.regions}
    # by its note alone a plan names what it leaves alone in a region that the spec does not have
    noted = {*ledger.regions(texts)} - regions
    check_none_left(session, regions | noted, at, session.named, left_alone=noted)
