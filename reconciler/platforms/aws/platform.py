"""AWS: what an ECR registry consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.address import Address
from reconciler.model.platform import Estate, Output, Platform, Session
from reconciler.model.resource import Desired
from reconciler.spec.models import Grant, Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository

from . import access, lifecycle, names, replication, repository_settings, role_documents, statements
from .access import AccessKind
from .lifecycle import LifecycleKind
from .region import RegionKind, RegionSettings
from .replication import ReplicationKind
from .repository import RepositoryKind
from .repository_listing import copies_of
from .role import RoleKind
from .spec import AwsRegistry, AwsTarget


class AwsPlatform(Platform):
    """Roles, regions, repositories with their lifecycle and repository policies, and the replication rule."""

    name = "aws"
    registry = AwsRegistry
    kinds = {
        kind.name: kind
        for kind in (RoleKind(), RegionKind(), RepositoryKind(), LifecycleKind(), AccessKind(), ReplicationKind())
    }

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        here = _aws(registry)
        source = spec.source(here.name)
        roles = roles_of(spec)
        trusted = tuple(sorted({roles[arn] for arn in here.trusted_arns if arn in roles}))
        for name in role_documents.ROLES:
            at = Address.of(here.name, RoleKind.name, name)
            yield Desired(at, RoleKind.name, role_documents.settings_of(here, name, spec.name), trusted, source=source)
        pull = Address.of(here.name, RoleKind.name, "pull")
        copies: list[Address] = [pull]
        for region in here.regions:
            marker = Address.of(here.name, RegionKind.name, region)
            yield Desired(marker, RegionKind.name, RegionSettings(region), (pull,), pull, source=source)
            for wanted in spec.repositories_by_registry[here.name]:
                grants = spec.grants_by_repository.get((here.name, wanted.name), ())
                needs = (marker, *(copies_of(here, wanted.name) if region == here.region else ()))
                for desired in _in_region(spec, here, region, needs, wanted, grants, roles):
                    if region != here.region and desired.kind != LifecycleKind.name:
                        copies.append(desired.address)
                    yield desired
        if here.replication_regions:
            at = Address.of(here.name, ReplicationKind.name, replication.RULE)
            settings = replication.settings_of(here)
            yield Desired(at, ReplicationKind.name, settings, tuple(copies), source=source)

    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        from .session import AwsSession

        return AwsSession(self, estate, _aws(registry))

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        here = _aws(registry)
        for name in role_documents.ROLES:
            yield Output(Address.of(here.name, RoleKind.name, name), "arn", here.role_arns[name])
        for wanted in spec.repositories_by_registry[here.name]:
            for region in here.regions:
                at = Address.of(here.name, RepositoryKind.name, wanted.name, "" if region == here.region else region)
                host = f"{here.account_id}.dkr.ecr.{region}.{names.dns_suffix(region)}"
                native = here.native_name(wanted.name)
                yield Output(at, "uri", f"{host}/{native}")
                yield Output(at, "arn", names.repository_arn(here.account_id, region, native))


def _aws(registry: RegistryBase) -> AwsRegistry:
    if not isinstance(registry, AwsRegistry):
        raise TypeError(f"registry {registry.name} is not on AWS")
    return registry


def roles_of(spec: Spec) -> Mapping[str, Address]:
    """The ARNs of the roles that the spec makes, to their addresses: a grant to one, or a role that trusts it, must wait for it."""
    return {
        arn: Address.of(item.name, RoleKind.name, name)
        for item in spec.registries
        if isinstance(item, AwsRegistry)
        for name, arn in item.role_arns.items()
    }


def _in_region(
    spec: Spec,
    here: AwsRegistry,
    region: str,
    needs: tuple[Address, ...],
    wanted: Repository,
    grants: tuple[Grant, ...],
    roles: Mapping[str, Address],
) -> Iterator[Desired]:
    """One repository in one region, with what stands below it."""
    where = "" if region == here.region else region
    home = Address.of(here.name, RepositoryKind.name, wanted.name, where)
    source = spec.source(here.name, wanted.name)
    settings = repository_settings.settings_of(wanted, region)
    yield Desired(home, RepositoryKind.name, settings, needs, None, wanted.adopt, source)
    below = (home,)
    rules = lifecycle.settings_of(wanted)
    if rules is not None:
        at = Address.of(here.name, LifecycleKind.name, wanted.name, where)
        yield Desired(at, LifecycleKind.name, rules, below, home, wanted.adopt, source)
    if grants:
        policy = access.AccessSettings(statements.of_grants(grants, here), names.partition(here.region))
        waits = _waits(grants, roles)
        yield Desired(
            Address.of(here.name, AccessKind.name, wanted.name, where),
            AccessKind.name,
            policy,
            (home, *waits) if waits else below,
            home,
            wanted.adopt,
            spec.source(here.name, wanted.name, grants),
        )


def _waits(grants: tuple[Grant, ...], roles: Mapping[str, Address]) -> list[Address]:
    """The roles of this spec that the grants name: they must be there before a policy can."""
    return sorted(
        {
            roles[arn]
            for grant in grants
            if isinstance(grant.to, AwsTarget)
            for arn in grant.to.role_arns
            if arn in roles
        }
    )


PLATFORM = AwsPlatform()
