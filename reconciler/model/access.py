"""Who can do what: the access that resources give, ours and other people's."""

from __future__ import annotations

from dataclasses import dataclass

from .address import Address


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """Who has access. `account` is "" where the principal belongs to none; `public` means everyone."""

    label: str
    account: str = ""
    public: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One thing that one principal can do with one repository ("" where the verb says which) in one place."""

    principal: Principal
    verb: str
    registry: str
    repository: str
    where: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ForeignAccess:
    """Access to a resource of ours that somebody else gave: always reported, never removed."""

    address: Address
    what: str
    access: tuple[Access, ...] = ()
