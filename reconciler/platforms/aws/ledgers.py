"""Where marks stand on AWS of what can't be tagged: policies' on their repository, regions' and the replication rule's on the
pull role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.ledger import Ledger, Texts
from reconciler.model.marks import PREFIX, applied_key

from . import names, tags

if TYPE_CHECKING:
    from .session import AwsSession

#: IAM's codes for a role that isn't there
GONE = ("NoSuchEntity", "NoSuchEntityException")
_REGION = f"{PREFIX}region-"
_RULE = f"{applied_key('replication')}-"


class RepositoryLedger(Ledger):
    """The tags of ECR repositories, which carry the marks of their lifecycle and repository policies."""

    session: AwsSession

    def carrier(self, at: Address) -> Address:
        return at.sibling("repository")

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        return self.session.map(self._tags, carriers)

    def _tags(self, at: Address) -> Texts:
        answer = self.session.call(
            "ecr",
            "list_tags_for_resource",
            self.session.region_of(at),
            address=at,
            absent=("RepositoryNotFoundException",),
            resourceArn=repository_arn(self.session, at),
        )
        return tags.as_dict(answer["tags"]) if answer else {}

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        arn, region = repository_arn(self.session, at), self.session.region_of(at)
        if put:
            self.session.call("ecr", "tag_resource", region, address=at, resourceArn=arn, tags=tags.as_list(put))
        if remove:
            gone = ("RepositoryNotFoundException",)
            self.session.call(
                "ecr", "untag_resource", region, address=at, absent=gone, resourceArn=arn, tagKeys=list(remove)
            )


class RoleLedger(Ledger):
    """The tags of the pull role, which carry the marks of regions and of replication rules."""

    session: AwsSession

    def carrier(self, at: Address) -> Address:
        return at if at.kind == "role" else Address.of(at.registry, "role", "pull")

    def key(self, at: Address) -> str:
        # more than one region has a rule only while a registry moves
        return f"{_REGION}{at.name}" if at.kind == "region" else f"{_RULE}{self.session.region_of(at)}"

    def regions(self, texts: Texts) -> Iterator[str]:
        """The regions that the registry extends to, sorted."""
        return _after(_REGION, texts)

    def regions_with_a_rule(self, texts: Texts) -> Iterator[str]:
        """The regions in which a replication rule of ours was made, sorted."""
        return _after(_RULE, texts)

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        return self.session.map(self._tags, carriers)

    def _tags(self, role: Address) -> Texts:
        name = self.session.registry.role_name(role.name)
        answer = self.session.call("iam", "get_role", address=role, absent=GONE, RoleName=name)
        return tags.as_dict(answer["Role"].get("Tags", ())) if answer else {}

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        name = self.session.registry.role_name(self.carrier(at).name)
        if put:
            self.session.call("iam", "tag_role", address=at, RoleName=name, Tags=tags.as_list(put))
        if remove:
            self.session.call("iam", "untag_role", address=at, absent=GONE, RoleName=name, TagKeys=list(remove))


def _after(prefix: str, texts: Texts) -> Iterator[str]:
    return (key.removeprefix(prefix) for key in sorted(texts) if key.startswith(prefix))


def repository_arn(session: AwsSession, at: Address) -> str:
    """The ARN of the ECR repository that an address is about."""
    return names.repository_arn(session.registry.account_id, session.region_of(at), session.native_of(at))
