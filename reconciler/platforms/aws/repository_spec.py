"""What ECR can't honour of a repository in the spec."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.model.marks import PREFIX
from reconciler.spec.fields import Fault, each
from reconciler.spec.repository import ImmutableTags, Repository

from . import names
from .lifecycle_rules import policy_faults, retention_faults, wildcard_faults
from .registry_fields import RegistryFields
from .tags import MAX_VALUE, encoded

#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html (imageTagMutabilityExclusionFilters)
MAX_EXCLUSIONS = 5
#: `*` in one of them: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ecr/repository.go
MAX_EXCLUSION_WILDCARDS = 2
#: ECR allows 50 tags; the rest is kept for the tool's marks
MAX_LABELS = 36
_RESERVED = (PREFIX, "aws:")


def faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    """What ECR can't honour of a repository's settings; paths are below the repository."""
    yield from each(
        _copied_faults(registry, repository),
        _exception_faults(registry, repository),
        _description_faults(registry, repository),
        _label_faults(registry, repository),
        _removal_faults(registry, repository),
        _key_faults(registry, repository),
    )


def _copied_faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    native = repository.native_name
    if native is not None and registry.copies_by_prefix and not native.startswith(registry.name_prefix):
        yield Fault(
            ("native_name",),
            f"registry {registry.name} replicates '{registry.name_prefix}*', and '{native}' does not begin with that, so it would not"
            f" be copied: move it to a registry without {registry.replication_field}",
        )
    elif native is not None and registry.scans_by_prefix and not native.startswith(registry.name_prefix):
        yield Fault(
            ("native_name",),
            f"registry {registry.name} has '{registry.name_prefix}*' scanned, and '{native}' does not begin with that, so it would"
            " not be scanned: name in scanning what is to be",
        )


def _exception_faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    if len(repository.movable_tags) > MAX_EXCLUSIONS:
        yield Fault(("immutable_tags", "except"), f"ECR allows at most {MAX_EXCLUSIONS} exceptions")
    if isinstance(repository.immutable_tags, ImmutableTags):
        at = ("immutable_tags", "except")
        yield from wildcard_faults(repository.immutable_tags.except_, at, MAX_EXCLUSION_WILDCARDS)


def _description_faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    size = len(encoded(repository.description))
    if size > MAX_VALUE:
        yield Fault(
            ("description",),
            f"on AWS it is stored in a tag, where it takes {size} characters; a tag holds at most {MAX_VALUE}"
            " (characters other than letters, digits, spaces and _ . : / = + - @ take three or more)",
        )


def _removal_faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    if repository.lifecycle_policy is not None:
        yield from policy_faults(repository.lifecycle_policy, ("lifecycle_policy",))
    elif repository.retention is not None:
        yield from retention_faults(repository.retention, ("retention",))


def _label_faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    for key in repository.labels:
        if key.lower().startswith(_RESERVED):
            yield Fault(("labels", key), "keys that start with 'reconciler-' or 'aws:' are reserved")
    if len(repository.labels) > MAX_LABELS:
        yield Fault(
            ("labels",),
            f"at most {MAX_LABELS} labels: ECR allows 50 tags, some of which reconciler needs for its marks",
        )
    elif len(" ".join(repository.labels)) > 256:
        yield Fault(("labels",), "the keys are too long: together they can have at most 256 characters")


def _key_faults(registry: RegistryFields, repository: Repository) -> Iterator[Fault]:
    if repository.encryption is None:
        return
    key, at = repository.encryption.kms_key, ("encryption", "kms_key")
    if re.fullmatch(names.KEY_ARN, key) is None:
        yield Fault(
            at,
            "must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias",
        )
    elif names.arn_part(key, 3) != registry.region:
        yield Fault(at, f"the key is in {names.arn_part(key, 3)}, the registry in {registry.region}")
    elif registry.copied_to and not key.rpartition("/")[2].startswith("mrk-"):
        yield Fault(at, "the registry is replicated, so the key must be a multi-Region key (mrk-...)")
