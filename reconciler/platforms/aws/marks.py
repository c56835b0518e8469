"""Our tags on AWS: who made a resource, what was last applied, and which labels are ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import get_args

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.platform import Write
from reconciler.model.resource import Marks, Origin

from . import names
from .session import AwsSession

PREFIX = "reconciler-"
OWNER, ORIGIN, APPLIED = "reconciler-owner", "reconciler-origin", "reconciler-applied"
LABELS, DESCRIPTION = "reconciler-labels", "reconciler-description"
PROTECT, DELETE_IMAGES = "reconciler-protect", "reconciler-delete-images"
REGION = "reconciler-region-"

_ORIGINS: Mapping[str, Origin] = {origin: origin for origin in get_args(Origin)}

Tags = dict[str, str]


def applied_key(kind: str) -> str:
    """The tag of a parent that holds the applied hash of a document below it, which can't be tagged itself."""
    return f"{APPLIED}-{kind}"


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the APIs want them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def as_dict(tags: list[dict[str, str]]) -> Tags:
    """Tags as the APIs give them."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def marks_of(tags: Mapping[str, str], applied: str = APPLIED) -> Marks:
    """The marks that the tags tell."""
    return Marks(tags.get(OWNER), _ORIGINS.get(tags.get(ORIGIN, "")), tags.get(applied))


def inherited(tags: Mapping[str, str], kind: str) -> Marks:
    """The marks of a document below the tagged resource: ours only if we put it there."""
    key = applied_key(kind)
    return marks_of(tags, key) if key in tags else Marks()


def own_labels(tags: Mapping[str, str]) -> Tags:
    """The labels that a spec asked for."""
    return {key: tags[key] for key in tags.get(LABELS, "").split() if key in tags}


def foreign(tags: Mapping[str, str]) -> Tags:
    """The tags that no spec asked for."""
    own = own_labels(tags)
    return {key: value for key, value in tags.items() if key not in own and not key.startswith(PREFIX)}


def tags_of_marks(marks: Marks) -> Tags:
    """The tags that tell the marks."""
    return {OWNER: marks.owner or "", ORIGIN: marks.origin or "", APPLIED: marks.applied or ""}


def repository_arn(session: AwsSession, address: Address) -> str:
    """The ARN of the ECR repository that an address is about."""
    return names.repository_arn(session.registry.account_id, session.region_of(address), session.native_of(address))


def read_tags(session: AwsSession, address: Address) -> Tags:
    """The tags of the ECR repository that an address is about; none if it does not exist."""
    answer = session.call(
        "ecr",
        "list_tags_for_resource",
        session.region_of(address),
        address=address,
        absent=("RepositoryNotFoundException",),
        resourceArn=repository_arn(session, address),
    )
    return as_dict(answer["tags"]) if answer else {}


def write_tags(session: AwsSession, address: Address, put: Mapping[str, str], remove: list[str] | None = None) -> None:
    """Puts and removes tags of the ECR repository that an address is about; all others stay."""
    arn, region = repository_arn(session, address), session.region_of(address)
    if put:
        session.call("ecr", "tag_resource", region, address=address, resourceArn=arn, tags=as_list(put))
    if remove:
        session.call("ecr", "untag_resource", region, address=address, resourceArn=arn, tagKeys=remove)


def record(session: AwsSession, write: Write) -> None:
    """Notes on the repository what was applied of a document below it, unless the repository was made with that note."""
    if not write.carried:
        key = applied_key(write.desired.address.kind)
        write_tags(session, write.desired.address, {key: write.marks.applied or ""})


def forget(session: AwsSession, address: Address) -> None:
    """Takes that note away."""
    write_tags(session, address, {}, [applied_key(address.kind)])


@contextmanager
def taken_back(session: AwsSession, write: Write) -> Iterator[None]:
    """If the document can't be written although the repository was made with the note that it is, takes the note back."""
    try:
        yield
    except PlatformError:
        if write.carried:
            with suppress(PlatformError):  # the first error is the one to tell
                forget(session, write.desired.address)
        raise
