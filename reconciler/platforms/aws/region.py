"""A region that the registry extends to, as a mark on the pull role: without it, a region that is no longer in the spec
would be forgotten together with the repositories that were made there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model.address import Address
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Live, Marks, Observation, Scope

from . import marks as tagging
from .role import pull_role, tag_pull_role
from .session import AwsSession


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """Nothing but the region itself."""

    region: str


class RegionKind(Kind):
    """A region in which the registry has repositories. Made before the first of them, deleted after the last."""

    name = "region"
    settings = RegionSettings

    def observe(self, session: AwsSession, scope: Scope, found: Observation) -> Iterator[Live]:
        if scope.only is not None and not scope.names(self.name):
            return
        role = pull_role(session, found)
        for key in sorted(role[1] if role else ()):
            region = key.removeprefix(tagging.REGION)
            if region != key and scope.wants(Address.of(session.name, self.name, region)) and role is not None:
                yield _live(session, region, tagging.marks_of(role[1], key))

    def create(self, session: AwsSession, write: Write) -> Live:
        region = write.desired.address.name
        tag_pull_role(session, write.desired.address, {tagging.REGION + region: write.marks.applied or ""})
        return _live(session, region, write.marks)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        tag_pull_role(session, live.address, {}, [tagging.REGION + live.address.name])


def _live(session: AwsSession, region: str, marks: Marks) -> Live:
    role = Address.of(session.name, "role", "pull")
    return Live(
        address=Address.of(session.name, RegionKind.name, region),
        kind=RegionKind.name,
        settings=RegionSettings(region),
        marks=marks,
        native=f"region {region}",
        needs=(role,),
        parent=role,
        inherits=True,
    )
