"""Azure: what a registry on Azure Container Registry consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.platform import Estate, Output, Platform
from reconciler.model.resource import Desired
from reconciler.platforms.extras import needing
from reconciler.platforms.kubernetes.link import LinkKind
from reconciler.platforms.kubernetes.secret import SecretKind
from reconciler.platforms.kubernetes.settings import desired as in_clusters
from reconciler.spec.models import Grant, Spec
from reconciler.spec.registry import RegistryBase

from . import assignment_settings, identity, registry_settings, replication, repository, roles, rules, token_settings
from .assignment import AssignmentKind
from .identity import IDENTITIES, IdentityKind
from .mode import ModeKind, ModeSettings
from .registry import RegistryKind
from .replication import ReplicationKind, ReplicationSettings
from .repository import RepositoryKind
from .spec import AzureRegistry
from .target import TOKEN_TARGETS
from .token import ScopeMapKind, TokenKind
from .token_settings import ScopeMapSettings, TokenSettings

if TYPE_CHECKING:
    from .session import AzureSession


def _token_of(registry: str, grant: str) -> tuple[Address, ...]:
    """Whose login a cluster has by a grant: its token, and the scope map with which that goes."""
    return tuple(Address.of(registry, kind, grant) for kind in (token_settings.KIND, token_settings.MAP_KIND))


class AzurePlatform(Platform):
    """A registry, its mode, replications, identities, repositories, role assignments, scope maps and tokens; pull
    secrets in clusters."""

    name = "azure"
    registry = AzureRegistry
    kinds = {
        kind.name: kind
        for kind in (
            RegistryKind(),
            IdentityKind(),
            ReplicationKind(),
            RepositoryKind(),
            AssignmentKind(),
            ModeKind(),
            ScopeMapKind(),
            TokenKind(),
            SecretKind(_token_of, gives=False),
            # what a token's scope map gives is said of whoever holds the token
            LinkKind(gives=False),
        )
    }

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        here = _azure(registry)
        source = spec.source(here.name)
        repositories = spec.repositories_by_registry[here.name]
        home = _home(here)
        settings = _settings(here, repositories)
        yield Desired(home, "registry", settings, adopt=here.adopt, source=source)
        identities = {}
        for job in IDENTITIES:
            at = identities[job] = Address.of(here.name, "identity", job)
            # after the registry: that its name is somebody else's is found before anything is made
            yield Desired(at, "identity", identity.settings_of(here), (home,), source=source)
        for location in here.replication_regions:
            at = Address.of(here.name, replication.KIND, location)
            yield Desired(at, replication.KIND, ReplicationSettings(location), (home,), source=source)
        for item in repositories:
            at = Address.of(here.name, repository.KIND, item.name)
            where = spec.source(here.name, item.name)
            yield Desired(at, repository.KIND, repository.settings_of(item), (home,), adopt=item.adopt, source=where)
        yield from self._access(spec, here, home, identities)

    def _access(
        self, spec: Spec, here: AzureRegistry, home: Address, identities: dict[str, Address]
    ) -> Iterator[Desired]:
        grants = list(_grants(spec, here))
        of_job = partial(assignment_settings.address_of, here.name)
        assigned = []
        for settings in assignment_settings.of_identities(here):
            at = of_job(settings.principal, settings.job)
            assigned.append(at)
            needs = (home, identities[settings.principal])
            source = spec.source(here.name)
            # in mode legacy, the role to pull is the catalog's too
            also = (roles.LIST,) if settings.job == roles.PULL else ()
            before = tuple(old for job in (settings.job, *also) for old in _in_modes(of_job(settings.principal, job)))
            yield Desired(at, "assignment", settings, needs, None, here.adopt, source, before)
        for settings, by in assignment_settings.of_grants(here, grants):
            at = of_job(settings.principal, settings.job)
            assigned.append(at)
            source = spec.source(here.name, None, by)
            noted = _noted(here, settings.names)
            # who may do more or less than before keeps the old role until the new one is there
            places = [of_job(settings.principal, job) for job in roles.GRANTED]
            before = (*(item for item in places if item != at), *(old for item in places for old in _in_modes(item)))
            yield Desired(at, "assignment", settings, (home, *noted), source=source, instead_of=before)
        mode = Address.of(here.name, "mode", home.name)
        wanted = ModeSettings(here.role_assignment_mode or "")
        # what one mode needs and the other does not, too, and what whoever keeps a role could do before
        principals = {at.name.rpartition("-")[0] for at in assigned}
        all_jobs = (*roles.GRANTED, roles.LIST)
        jobs = [of_job(principal, job) for principal in sorted(principals) for job in all_jobs]
        old = tuple(item for at in jobs for item in _in_modes(at))
        source = spec.source(here.name)
        yield Desired(mode, "mode", wanted, (home, *assigned), home, here.adopt, source, instead_of=old)
        for grant, names in grants:
            if isinstance(grant.to, TOKEN_TARGETS):
                at = Address.of(here.name, token_settings.MAP_KIND, grant.name)
                actions = ScopeMapSettings(token_settings.actions_of(grant, names))
                source = spec.source(here.name, None, (grant,))
                yield Desired(at, token_settings.MAP_KIND, actions, (home, *_noted(here, names)), source=source)
                own = Address.of(here.name, token_settings.KIND, grant.name)
                yield Desired(own, token_settings.KIND, TokenSettings(grant.name), (at,), at, source=source)
        with_token = {grant.name for grant, _ in grants}
        yield from in_clusters(
            spec,
            here,
            lambda grant: f"token {grant.name.lower()}",
            _token_of,
            lambda grant: grant.name in with_token,
        )

    def now_found(
        self, item: Desired, earlier: RegistryBase, registry: RegistryBase, wanted: Mapping[Address, Desired]
    ) -> Desired:
        """A role assignment of the mode that the registry had stands beside those of the mode that it is to have."""
        now = _azure(registry)
        if item.kind != assignment_settings.KIND or not now.known_mode:
            return item
        role = assignment_settings.role_of(item.settings)
        at = assignment_settings.address_in(now.name, item.settings.principal, role, now.known_mode)
        return replace(item, address=at)

    def open(self, estate: Estate, registry: RegistryBase) -> AzureSession:
        with needing("azure", registry.name, "Azure"):
            from .passwords import IssuingSession

        return IssuingSession(self, estate, _azure(registry))

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        """Reads the registry and its identities: a login server may carry a hash, and it and ids follow from nothing in the spec."""
        here = _azure(registry)
        with closing(self.open(Estate(spec.name, spec.base, spec.registries), here)) as session:
            server = session.login_server
            known = [(at, session.identity(at)) for at in _identities(here)] if server else []
        if not server:
            raise PlatformError(
                "its login server is not known yet",
                address=_home(here),
                hint="Azure says it once the registry is made: apply first",
            )
        yield Output(_home(here), "login_server", server)
        for at, found in known:
            yield from identity.outputs(at, found or {})
        for wanted in spec.repositories_by_registry[here.name]:
            at = Address.of(here.name, repository.KIND, wanted.name)
            yield Output(at, "name", wanted.name)
            yield Output(at, "uri", f"{server}/{wanted.name}")


def _azure(registry: RegistryBase) -> AzureRegistry:
    if not isinstance(registry, AzureRegistry):
        raise TypeError(f"registry {registry.name} is not on Azure")
    return registry


def _identities(here: AzureRegistry) -> list[Address]:
    return [Address.of(here.name, "identity", job) for job in IDENTITIES]


def _in_modes(at: Address) -> Iterator[Address]:
    """Where a role assignment is found once the registry is to have another mode than that of its role."""
    yield from (Address(f"{at}-{mode}") for mode in rules.MODES)


def _noted(here: AzureRegistry, names: Sequence[str]) -> Iterator[Address]:
    """The repositories that a grant is for: none is given of one that another spec has, or that nobody has adopted."""
    return (Address.of(here.name, repository.KIND, name) for name in names)


def _grants(spec: Spec, here: AzureRegistry) -> Iterator[tuple[Grant, Sequence[str]]]:
    """The registry's grants in the order of their names, each with the names of the repositories that it covers, but for those that
    are let go of."""
    covered: dict[str, list[str]] = {}
    for item in (row for row in spec.repositories_by_registry[here.name] if not row.release):
        for grant in spec.grants_by_repository.get((here.name, item.name), ()):
            covered.setdefault(grant.name, []).append(item.name)
    for grant in sorted(spec.grants, key=lambda item: item.name):
        if grant.registry == here.name and grant.name in covered:
            yield grant, covered[grant.name]


_home, _settings = registry_settings.address_of, registry_settings.settings_of

PLATFORM = AzurePlatform()
