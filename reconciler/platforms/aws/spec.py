"""AWS in the spec: an ECR registry (one account and region), and who on AWS a grant can be for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeGuard

from reconciler.spec.fields import Absent, Fault, each, repeated
from reconciler.spec.registry import GrantTarget, RegistryBase
from reconciler.spec.repository import Repository, RepositoryDefaults
from reconciler.words import counted

from . import clashes, names, repository_spec
from .cache_spec import cache_faults, note_faults
from .registry_fields import RegistryFields
from .replication_spec import ALL, MAX_DESTINATIONS, prefix_faults, region_faults
from .scanning_spec import MAX_NOTED
from .tags import MAX_TAGS
from .target import AwsTarget
from .template_spec import merged_faults, template_faults
from .trusted import FederatedPrincipal, NarrowedPrincipal, subject_faults

#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html (repositoryName)
_ECR_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
#: regions that a registry with scanning can be in: two of the pull role's tags are for each
MOST_SCANNED = 20
#: tags for the regions and for what is noted by prefix; ten are for the marks of the role itself and of the replication rule
MOST_NOTED = MAX_TAGS - 10


class AwsRegistry(RegistryFields):
    """Amazon ECR in one account and region, with IAM roles for pull and push, and replication."""

    def notes(self, repositories: Sequence[Repository] = ()) -> Iterator[str]:
        if self.roles and not self.trusted_principals:
            yield "nobody may assume the push role: trusted_principals is not set"

    def waits_for(self, other: RegistryBase) -> bool:
        return isinstance(other, AwsRegistry) and not set(self.trusted_arns).isdisjoint(other.role_arns.values())

    def name_fault(self, native: str) -> str | None:
        if native == self.ledger_name:
            return f"'{native}' is the ECR repository in which marks of registry {self.name} stand if it has no roles"
        if not 2 <= len(native) <= 256:
            return f"the ECR repository name '{native}' has {counted(len(native), 'character')}; ECR allows 2 to 256"
        if _ECR_NAME.fullmatch(native) is None:
            return f"ECR refuses the repository name '{native}': words must be joined by a single '.', '_' or '-'"
        return None

    def faults(self) -> Iterator[Fault]:
        yield from each(
            repeated(self, "replication_regions"),
            repeated(self, "trusted_principals"),
            self._region_faults(),
            self._replication_faults(),
            self._registry_policy_faults(),
            self._prefix_faults(),
            self._role_faults(),
            self._session_faults(),
            self._scanning_faults(),
            self._cache_faults(),
            self._template_faults(),
            self._note_faults(),
            self._self_trust_faults(),
            self._trust_faults(),
        )

    def _region_faults(self) -> Iterator[Fault]:
        if len(self.replication_regions) > MAX_DESTINATIONS:
            yield Fault(("replication_regions",), f"ECR replicates to at most {MAX_DESTINATIONS} destinations")
        yield from region_faults(self.replication_regions, self.region, ("replication_regions",))

    def _replication_faults(self) -> Iterator[Fault]:
        if self.replication is None:
            return
        if self.replication_regions:
            yield Fault(("replication_regions",), "is the short form of replication: name these regions there")
        for fault in self.replication.faults(self.region, self.account_id):
            yield replace(fault, loc=("replication", *fault.loc))

    def _registry_policy_faults(self) -> Iterator[Fault]:
        for index, grant in enumerate(self.registry_policy):
            for fault in grant.faults(self.name_prefix, names.partition(self.region), self.account_id):
                yield replace(fault, loc=("registry_policy", index, *fault.loc))

    def _prefix_faults(self) -> Iterator[Fault]:
        copies = self.copied_to or self.copied_to_accounts
        if copies and self.copied_prefix != ALL:
            yield from prefix_faults(self.name_prefix, self.replication_field)

    def _role_faults(self) -> Iterator[Fault]:
        for field in ("trusted_principals", "max_session") if not self.roles else ():
            if field in self.model_fields_set:
                yield Fault((field,), "is for the roles that a registry makes, and this one makes none (roles: false)")

    def _session_faults(self) -> Iterator[Fault]:
        if not 3600 <= self.max_session_seconds <= 43_200:
            # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html (MaxSessionDuration)
            yield Fault(("max_session",), f"is {self.max_session}; IAM allows 1h to 12h")

    def _scanning_faults(self) -> Iterator[Fault]:
        if self.scanning is None:
            return
        for fault in self.scanning.faults():
            yield replace(fault, loc=("scanning", *fault.loc))
        if self.scanning.by_prefix and not self.name_prefix:
            yield Fault(
                ("scanning",),
                "says nothing of names, and with an empty prefix every repository of the account would be scanned: name those that"
                " are the registry's",
            )
        size = self.scanning.size_of_note(self.name_prefix)
        if size > MAX_NOTED:
            yield Fault(
                ("scanning",),
                f"its filters have {size} characters together; they are noted in a tag, which has room for {MAX_NOTED}",
            )
        if len(self.copied_to) > MOST_SCANNED - 1:
            yield Fault(
                ("scanning",),
                f"a registry with scanning can be in at most {MOST_SCANNED} regions: a role has {MAX_TAGS} tags for the marks of all",
            )

    def _cache_faults(self) -> Iterator[Fault]:
        for fault in cache_faults(self.pull_through_cache, self.account_id, self.region):
            yield replace(fault, loc=("pull_through_cache", *fault.loc))

    def _template_faults(self) -> Iterator[Fault]:
        for fault in template_faults(self.creation_templates, self.account_id, self.regions):
            yield replace(fault, loc=("creation_templates", *fault.loc))

    def default_faults(self, defaults: RepositoryDefaults) -> Iterator[Fault]:
        for fault in merged_faults(self.creation_templates, defaults, self.name, self.repository_faults):
            yield replace(fault, loc=("creation_templates", *fault.loc))

    def _note_faults(self) -> Iterator[Fault]:
        room = MOST_NOTED - len(self.regions) * (1 if self.scanning is None else 2)
        copies = [item.regions(self.region, self.copied_to) for item in self.creation_templates]
        yield from note_faults(len(self.pull_through_cache), sum(map(len, copies)), len(self.regions), room)

    def _self_trust_faults(self) -> Iterator[Fault]:
        for index, principal in self._trusted():
            if principal in self.role_arns.values():
                yield Fault(
                    ("trusted_principals", index),
                    f"'{principal}' is a role of this registry itself; a principal must exist before IAM accepts it",
                )

    def _trust_faults(self) -> Iterator[Fault]:
        for index, principal in self._trusted():
            if isinstance(principal, FederatedPrincipal):
                yield from each(subject_faults(principal, ("trusted_principals", index, "subject")))
        home = names.partition(self.region)
        for index, principal in self._trusted():
            if isinstance(principal, str) and names.arn_part(principal, 1) not in ("", home):
                yield Fault(("trusted_principals", index), f"'{principal}' is not in the partition {home}")

    def _trusted(self) -> Iterator[tuple[int, str | FederatedPrincipal]]:
        for index, item in enumerate(self.trusted_principals):
            with suppress(Absent):
                yield index, item.principal if isinstance(item, NarrowedPrincipal) else item

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        return repository_spec.faults(self, repository)

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        if target.named_cluster is not None and not self.roles:
            yield Fault(
                ("to", "type"),
                f"registry {self.name} has roles: false, and so no role by which a cluster could pull: make roles, or grant to aws",
            )
        if isinstance(target, AwsTarget):
            yield from each(
                *(
                    self._partition_faults(target, field)
                    for field in ("role_arns", "principal_arns", "function_arns", "source_arns")
                )
            )

    def _partition_faults(self, target: AwsTarget, field: str) -> Iterator[Fault]:
        home = names.partition(self.region)
        for index, arn in enumerate(getattr(target, field)):
            if names.arn_part(arn, 1) != home:
                yield Fault(("to", field, index), f"'{arn}' is not in the partition {home} of {self.region}")

    def clashes(self, other: RegistryBase, base: str) -> str | None:
        return clashes.of(self, other) if self._shares_account(other) else None

    def name_clash(self, other: RegistryBase, native: str) -> str | None:
        return clashes.of_name(self, other, native) if self._shares_account(other) else None

    def names_shared_with(self, other: RegistryBase) -> str:
        return clashes.names_shared(self, other) if self._shares_account(other) else ""

    def _shares_account(self, other: RegistryBase) -> TypeGuard[AwsRegistry]:
        return isinstance(other, AwsRegistry) and other.account_id == self.account_id
