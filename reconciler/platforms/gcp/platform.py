"""Google Cloud: what a registry on Artifact Registry consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.model.address import Address
from reconciler.model.platform import Estate, Output, Platform, Session
from reconciler.model.resource import Desired
from reconciler.platforms.extras import needing
from reconciler.platforms.kubernetes.link import LinkKind
from reconciler.platforms.kubernetes.secret import SecretKind
from reconciler.platforms.kubernetes.settings import desired as in_clusters
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository

from . import access, account, repository_settings
from .access import AccessKind
from .account import AccountKind
from .description import carrier_of
from .location import LocationKind, LocationSettings
from .repository import RepositoryKind
from .spec import GcpRegistry
from .target import GcpTarget


def _pull_account(registry: str, grant: str) -> tuple[Address, ...]:
    """Whose login a cluster has by a grant."""
    return (Address.of(registry, account.KIND, account.ACCOUNTS[0]),)


class GcpPlatform(Platform):
    """Service accounts, locations, repositories and their IAM policies, and pull secrets in clusters."""

    name = "gcp"
    registry = GcpRegistry
    kinds = {
        kind.name: kind
        for kind in (
            AccountKind(),
            LocationKind(),
            RepositoryKind(),
            AccessKind(),
            SecretKind(_pull_account),
            LinkKind(),
        )
    }

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        here = _gcp(registry)
        source = spec.source(here.name)
        made = accounts_of(spec)
        trusted = tuple(sorted({made[item] for item in here.trusted_principals if item in made}))
        accounts = []
        for name in account.ACCOUNTS:
            at = Address.of(here.name, account.KIND, name)
            accounts.append(at)
            needs = tuple(item for item in trusted if item != at and item.registry != here.name)
            yield Desired(at, account.KIND, account.settings_of(here, name), needs, source=source)
        carrier = carrier_of(here)
        place = Address.of(here.name, LocationKind.name, here.location)
        yield Desired(place, LocationKind.name, LocationSettings(here.location), (carrier,), carrier, source=source)
        for name, repositories in _together(here, spec.repositories_by_registry[here.name]).items():
            home = Address.of(here.name, repository_settings.KIND, name)
            settings = repository_settings.settings_of(here, repositories)
            adopt = any(item.adopt for item in repositories)
            where = tuple(item for one in repositories for item in spec.source(here.name, one.name))
            before = _before(here, home, repositories)
            yield Desired(
                home,
                repository_settings.KIND,
                settings,
                (place,),
                adopt=adopt,
                source=tuple(dict.fromkeys(where)),
                instead_of=before,
            )
            by = spec.grants_by_repository.get((here.name, repositories[0].name), ())
            grants = tuple(item for item in by if isinstance(item.to, GcpTarget))
            members = {item for grant in grants for item in _members(grant.to)}
            waits = sorted({made[item] for item in members if item in made} | {*accounts})
            yield Desired(
                home.sibling(access.KIND),
                access.KIND,
                access.settings_of(here, grants),
                (home, *waits),
                home,
                adopt,
                spec.source(here.name, repositories[0].name, grants),
                before,
            )
        who = f"service account {here.email(carrier.name)}"
        yield from in_clusters(spec, here, lambda _: who, _pull_account)

    def now_found(
        self, item: Desired, earlier: RegistryBase, registry: RegistryBase, wanted: Mapping[Address, Desired]
    ) -> Desired:
        """What stands in another location has that in its address; in another layout it has another name there."""
        then, now = _gcp(earlier), _gcp(registry)

        def found(at: Address) -> Address:
            if at.kind not in (repository_settings.KIND, access.KIND):
                return at
            name = now.named(then.repository_id(at.name))
            location = at.where or then.location
            return (
                at
                if name is None
                else Address.of(at.registry, at.kind, name, "" if location == now.location else location)
            )

        parent = found(item.parent) if item.parent is not None else None
        return replace(item, address=found(item.address), parent=parent, needs=tuple(map(found, item.needs)))

    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        with needing("gcp", registry.name, "Google Cloud"):
            from .login import LoginSession

        return LoginSession(self, estate, _gcp(registry))

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        here = _gcp(registry)
        for name in account.ACCOUNTS:
            yield Output(Address.of(here.name, account.KIND, name), "email", here.email(name))
        for wanted in spec.repositories_by_registry[here.name]:
            at = Address.of(here.name, repository_settings.KIND, wanted.name)
            yield Output(at, "name", here.native_name(wanted.name))
            yield Output(at, "uri", here.image_uri(wanted.name))


def _gcp(registry: RegistryBase) -> GcpRegistry:
    if not isinstance(registry, GcpRegistry):
        raise TypeError(f"registry {registry.name} is not on Google Cloud")
    return registry


def _together(here: GcpRegistry, repositories: Sequence[Repository]) -> Mapping[str, Sequence[Repository]]:
    """Which repositories of the spec are one on Google Cloud, by the name in addresses of that."""
    if here.layout == "shared":
        return {here.name: repositories} if repositories else {}
    return {item.name: (item,) for item in repositories}


def _before(here: GcpRegistry, home: Address, repositories: Sequence[Repository]) -> tuple[Address, ...]:
    """What held the images of these repositories before a move: the same in another location, or what the other layout has there.
    Google lets the old and the new one be side by side, since neither a location nor a layout has the other's full names."""
    other = [f"{here.name}-{item.name}" for item in repositories] if here.layout == "shared" else [here.name]
    names = filter(None, map(here.named, other))
    return (home, *(Address.of(here.name, repository_settings.KIND, name) for name in names))


def _members(target: object) -> Iterator[str]:
    return access.members_of(target) if isinstance(target, GcpTarget) else iter(())


def accounts_of(spec: Spec) -> Mapping[str, Address]:
    """The service accounts that the spec makes, as members, to their addresses: a grant to one must wait for it."""
    return {
        f"serviceAccount:{item.email(name)}": Address.of(item.name, account.KIND, name)
        for item in spec.registries
        if isinstance(item, GcpRegistry)
        for name in account.ACCOUNTS
    }


PLATFORM = GcpPlatform()
