"""AWS: what an ECR registry consists of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.model.access import Principal
from reconciler.model.address import Address
from reconciler.model.platform import Estate, Output, Platform, Session
from reconciler.model.resource import Desired
from reconciler.platforms.extras import needing
from reconciler.platforms.kubernetes.link import LinkKind
from reconciler.platforms.kubernetes.secret import SecretKind
from reconciler.platforms.kubernetes.settings import desired as in_clusters
from reconciler.spec.models import Grant, Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository

from . import (
    asked_for,
    creation_template,
    lifecycle,
    names,
    pull_through_cache,
    registry_policy,
    registry_statements,
    replication,
    replication_owned,
    repository_settings,
    role_access,
    role_documents,
    scanning,
    shared_ids,
)
from .access import AccessKind
from .access_settings import AccessSettings, settings_of
from .creation_template import CreationTemplateKind
from .ledger_repository import LedgerKind, LedgerSettings
from .ledgers import LEDGER, MARKS, carrier_of
from .lifecycle import LifecycleKind
from .pull_through_cache import PullThroughCacheKind
from .region import RegionKind, RegionSettings
from .registry_policy import RegistryPolicyKind
from .replication import ReplicationKind
from .repository import RepositoryKind
from .repository_listing import copies_of
from .repository_settings import RepositorySettings
from .role import RoleKind
from .scanning import ScanningKind
from .spec import AwsRegistry
from .target import AwsTarget


def _pull_role(registry: str, grant: str) -> tuple[Address, ...]:
    """Whose login a cluster has by a grant."""
    return (Address.of(registry, RoleKind.name, role_documents.PULL_ROLE),)


class AwsPlatform(Platform):
    """Roles or a ledger, regions, repositories with their lifecycle and repository policies, the replication rule, and pull secrets
    in clusters."""

    name = "aws"
    registry = AwsRegistry
    kinds = {
        kind.name: kind
        for kind in (
            RoleKind(),
            LedgerKind(),
            RegionKind(),
            RepositoryKind(),
            LifecycleKind(),
            AccessKind(),
            ReplicationKind(),
            ScanningKind(),
            PullThroughCacheKind(),
            CreationTemplateKind(),
            RegistryPolicyKind(),
            SecretKind(_pull_role),
            LinkKind(),
        )
    }

    def known_as(self, principal: str) -> Callable[[Principal], bool] | None:
        return asked_for.includes(principal)

    def now_found(
        self, item: Desired, earlier: RegistryBase, registry: RegistryBase, wanted: Mapping[Address, Desired]
    ) -> Desired:
        """What is at home has no region in its address; roles have none at all, and name its repositories by its prefix."""
        then, now = _aws(earlier), _aws(registry)
        if item.kind == RoleKind.name:
            asked = wanted.get(item.address)
            settings = item.settings if asked is None else role_access.renamed(item.settings, asked.settings, then, now)
            return replace(item, settings=settings)
        if then.region == now.region:
            return item

        def called(at: Address) -> Address:
            region = at.where or then.region
            return Address.of(at.registry, at.kind, at.name, "" if region == now.region else region)

        def moved(at: Address) -> Address:
            return at if at.kind == RoleKind.name else called(at)

        parent = moved(item.parent) if item.parent is not None else None
        return replace(item, address=called(item.address), parent=parent, needs=tuple(map(moved, item.needs)))

    def renamed(self, item: Desired, name: str, earlier: RegistryBase, registry: RegistryBase) -> Any:
        settings: RepositorySettings = item.settings
        native = repository_settings.native_of(_aws(earlier), item.address, settings)
        return replace(settings, native_name="" if native == _aws(registry).usual_prefix + name else native)

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        here = _aws(registry)
        source = spec.source(here.name)
        roles = roles_of(spec)
        trusted = tuple(sorted({roles[arn] for arn in here.trusted_arns if arn in roles}))
        anywhere = any(
            not repository_settings.native_name(here, item).startswith(here.name_prefix)
            for item in spec.repositories_by_registry[here.name]
        )
        ledger = Address.of(here.name, LEDGER, MARKS)
        for name in role_documents.ROLES if here.roles else ():
            at = Address.of(here.name, RoleKind.name, name)
            settings = role_documents.settings_of(here, name, spec.name, anywhere=anywhere)
            before = (ledger,) if name == "pull" else ()
            yield Desired(at, RoleKind.name, settings, trusted, source=source, instead_of=before)
        carrier = carrier_of(here)
        if not here.roles:
            role = Address.of(here.name, RoleKind.name, "pull")
            yield Desired(ledger, LEDGER, LedgerSettings(here.region), source=source, instead_of=(role, ledger))
        copies: list[Address] = [carrier]
        given = _Given(
            here, roles, shared_ids.width_for(item.name for item in spec.grants if item.registry == here.name)
        )
        for region in here.regions:
            marker = Address.of(here.name, RegionKind.name, region)
            yield Desired(marker, RegionKind.name, RegionSettings(region), (carrier,), carrier, source=source)
            for wanted in spec.repositories_by_registry[here.name]:
                by = spec.grants_by_repository.get((here.name, wanted.name), ())
                grants = tuple(item for item in by if isinstance(item.to, AwsTarget))
                needs = (marker, *(copies_of(here, wanted.name) if region == here.region else ()))
                for desired in _in_region(spec, here, region, needs, wanted, grants, given):
                    if region != here.region and desired.kind != LifecycleKind.name:
                        copies.append(desired.address)
                    yield desired
        for region in here.regions if here.scanning is not None else ():
            at = Address.of(here.name, ScanningKind.name, scanning.RULES, "" if region == here.region else region)
            yield Desired(at, ScanningKind.name, scanning.settings_of(here), (carrier,), source=source)
        # what ECR makes, it makes by a template: these come first
        templates = list(_templates(spec, here, carrier))
        yield from templates
        copies += (item.address for item in templates if item.address.where)
        for cache in here.pull_through_cache:
            at = Address.of(here.name, PullThroughCacheKind.name, cache.prefix)
            first = tuple(item.address for item in templates if item.address == at.sibling(CreationTemplateKind.name))
            yield Desired(
                at, PullThroughCacheKind.name, pull_through_cache.settings_of(cache), (carrier, *first), source=source
            )
        for region in here.regions:
            statements = registry_policy.settings_of(spec.registries, here, region)
            if statements.statements:
                at = _policy_at(here, region)
                yield Desired(at, RegistryPolicyKind.name, statements, (carrier,), source=source)
        if here.copied_prefix:
            at = Address.of(here.name, ReplicationKind.name, replication_owned.RULE)
            rule = replication.settings_of(here)
            mirrors = (
                (registry_statements.mirror_of(spec.registries, *place), place[0]) for place in here.copied_to_accounts
            )
            letting_in = (_policy_at(mirror, region) for mirror, region in mirrors if mirror is not None)
            yield Desired(at, ReplicationKind.name, rule, (*copies, *letting_in), source=source)
        who = f"role {here.role_name(role_documents.PULL_ROLE)} of account {here.account_id}"
        yield from in_clusters(spec, here, lambda _: who, _pull_role)

    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        with needing("aws", registry.name, "AWS"):
            from .runtime_access import RuntimeSession

        return RuntimeSession(self, estate, _aws(registry))

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        here = _aws(registry)
        for name, arn in here.role_arns.items():
            yield Output(Address.of(here.name, RoleKind.name, name), "arn", arn)
        for region, account in here.copied_to_accounts:
            if registry_statements.mirror_of(spec.registries, region, account) is not None:
                continue
            document = json.dumps(registry_statements.needed_for(here, region, account))
            at = Address.of(here.name, ReplicationKind.name, replication_owned.RULE)
            yield Output(at, f"registry_policy_{account}_{region}", document)
        for wanted in spec.repositories_by_registry[here.name]:
            for region in here.regions:
                at = Address.of(here.name, RepositoryKind.name, wanted.name, "" if region == here.region else region)
                native = repository_settings.name_of(here, at, repository_settings.native_name(here, wanted))
                yield Output(at, "name", native.name)
                yield Output(at, "uri", native.uri)
                yield Output(at, "arn", names.repository_arn(here.account_id, region, native.name))


def _aws(registry: RegistryBase) -> AwsRegistry:
    if not isinstance(registry, AwsRegistry):
        raise TypeError(f"registry {registry.name} is not on AWS")
    return registry


def _policy_at(registry: AwsRegistry, region: str) -> Address:
    where = "" if region == registry.region else region
    return Address.of(registry.name, RegistryPolicyKind.name, registry_policy.POLICY, where)


def roles_of(spec: Spec) -> Mapping[str, Address]:
    """The ARNs of the roles that the spec makes, to their addresses: a grant to one, or a role that trusts it, must wait for it."""
    return {
        arn: Address.of(item.name, RoleKind.name, name)
        for item in spec.registries
        if isinstance(item, AwsRegistry)
        for name, arn in item.role_arns.items()
    }


def _templates(spec: Spec, here: AwsRegistry, carrier: Address) -> Iterator[Desired]:
    """The creation templates, in every region that each is for."""
    for item in here.creation_templates:
        for region in item.regions(here.region, here.copied_to):
            at = Address.of(here.name, CreationTemplateKind.name, item.prefix, "" if region == here.region else region)
            settings = creation_template.settings_of(here, item, spec.defaults.repository, region)
            yield Desired(at, CreationTemplateKind.name, settings, (carrier,), source=spec.source(here.name))


def _in_region(
    spec: Spec,
    here: AwsRegistry,
    region: str,
    needs: tuple[Address, ...],
    wanted: Repository,
    grants: tuple[Grant, ...],
    given: _Given,
) -> Iterator[Desired]:
    """One repository in one region, with what stands below it."""
    where = "" if region == here.region else region
    home = Address.of(here.name, RepositoryKind.name, wanted.name, where)
    source = spec.source(here.name, wanted.name)
    settings = repository_settings.settings_of(here, wanted, region)
    yield Desired(home, RepositoryKind.name, settings, needs, None, wanted.adopt, source)
    below = (home,)
    rules = lifecycle.settings_of(wanted)
    if rules is not None:
        at = Address.of(here.name, LifecycleKind.name, wanted.name, where)
        yield Desired(at, LifecycleKind.name, rules, below, home, wanted.adopt, source)
    if grants:
        access_settings, waits = given.by(grants)
        yield Desired(
            Address.of(here.name, AccessKind.name, wanted.name, where),
            AccessKind.name,
            access_settings,
            (home, *waits) if waits else below,
            home,
            wanted.adopt,
            spec.source(here.name, wanted.name, grants),
        )


class _Given:
    """What grants give in a registry, and which roles of the spec they wait for; most repositories share a few sets of grants."""

    def __init__(self, here: AwsRegistry, roles: Mapping[str, Address], width: int) -> None:
        self._here, self._roles, self._width = here, roles, width
        self._known: dict[tuple[int, ...], tuple[AccessSettings, list[Address]]] = {}

    def by(self, grants: tuple[Grant, ...]) -> tuple[AccessSettings, list[Address]]:
        """The settings of these grants, which live as long as the spec, and the addresses of the roles."""
        key = tuple(map(id, grants))
        if key not in self._known:
            self._known[key] = settings_of(grants, self._here, self._width), _waits(grants, self._roles)
        return self._known[key]


def _waits(grants: tuple[Grant, ...], roles: Mapping[str, Address]) -> list[Address]:
    """The roles of this spec that the grants name: they must be there before a policy can."""
    return sorted(
        {roles[arn] for grant in grants if isinstance(grant.to, AwsTarget) for arn in grant.to.arns if arn in roles}
    )


PLATFORM = AwsPlatform()
