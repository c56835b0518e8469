"""Whom a registry's own settings let in, which no spec asks for and somebody may have switched on by hand."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from reconciler.model.access import DELETE_IMAGES, PUSH, Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.resource import Live

from . import roles
from .reach import WHOLE
from .registry_settings import RegistrySettings

if TYPE_CHECKING:
    from .session import AzureSession


def to_anyone(at: Address, settings: RegistrySettings) -> Iterator[Access]:
    """What anonymous pulls let anybody do."""
    if settings.anonymous_pull:
        yield Access(Principal("anyone", public=True), f"{roles.PULL} {WHOLE}", at.registry, "")


def to_admin(at: Address, settings: RegistrySettings) -> Iterator[Access]:
    """What the admin user can do."""
    if settings.admin_user:
        admin = Principal("whoever has the password of the admin user")
        # who has access is none of what it can change
        yield from (Access(admin, f"{verb} {WHOLE}", at.registry, "") for verb in (roles.PULL, PUSH, DELETE_IMAGES))


def switched_on(session: AzureSession, live: Live) -> Iterator[ForeignAccess]:
    """What the settings of a registry that is not ours give, until it is adopted."""
    at, name = live.address, quote(session.registry.registry_name)
    for what, option, access in (
        ("its anonymous pull", "anonymous-enabled", to_anyone(at, live.settings)),
        ("its admin user", "admin-enabled", to_admin(at, live.settings)),
    ):
        if found := tuple(access):
            removal = f"run `az acr update --name {name} --{option} false`"
            yield ForeignAccess(at, what, found, removal, place=at)
