"""From the plan file's parts to the plan's values, with the catalog's registries and kinds."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.change import Change, FieldChange, PlanProblem
from reconciler.model.kind import HoldsImages, Kind
from reconciler.model.marks import Marks
from reconciler.model.platform import Platforms
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.places import Place
from reconciler.spec.messages import first_sentence
from reconciler.spec.registry import RegistryBase

from .basis import Basis
from .expand import platform_of
from .guard import Verdict
from .plan import Plan
from .plan_document import (
    AccessPart,
    BasisPart,
    ChangePart,
    DesiredPart,
    ForeignPart,
    LivePart,
    PlanDocument,
    VerdictPart,
)

_ADDRESS = re.compile(r"[^.\s@]+\.[^.\s@]+\.[^\s@]+(@[^\s@]+)?")


class Loading:
    """One document's values. Raises ValueError (or pydantic's ValidationError, which is one) for what no plan can have."""

    def __init__(
        self,
        document: PlanDocument[dict[str, JsonValue]],
        platforms: Platforms,
        folder: str | Path,
        variables: Mapping[str, str],
    ) -> None:
        self.document = document
        self.folder = folder
        self.variables = variables
        self.adapters: dict[type, TypeAdapter[Any]] = {}
        self.kinds: dict[str, Mapping[str, Kind]] = {}
        self.registries = tuple(self.registry(item, platforms) for item in document.registries)
        self.foreign: dict[Address, list[ForeignAccess]] = {}
        for part in document.foreign:
            self.foreign.setdefault(self.known(part.address), []).append(_foreign(part))

    def registry(self, item: dict[str, JsonValue], platforms: Platforms) -> RegistryBase:
        wanted = str(item.get("platform"))
        if not wanted.isidentifier():
            raise ValueError("a registry has no platform")
        platform = platform_of(platforms, wanted)
        registry = platform.registry.model_validate(item)
        fault = next(registry.faults(), None)
        if fault is not None:
            raise ValueError(f"registry {registry.name}: {fault.message}")
        if registry.name in self.kinds:
            raise ValueError(f"registry {registry.name} appears twice")
        self.kinds[registry.name] = platform.kinds
        return registry

    def known(self, text: str, kind: str | None = None) -> Address:
        """The address. `kind`: what it must be of."""
        address = _address(text)
        if address.registry not in self.kinds:
            raise ValueError(f"{text}: there is no registry {address.registry}")
        if address.kind not in self.kinds[address.registry] or kind not in (None, address.kind):
            raise ValueError(f"{text} is not a kind of registry {address.registry}")
        return address

    def plan(self) -> Plan:
        document = self.document
        if "\0" in document.base:
            raise ValueError("base: not a path")
        changes = tuple(self.change(part) for part in document.changes)
        twice = [address for address, count in Counter(change.address for change in changes).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]} has two changes")
        if any(name not in self.kinds for name in document.unowned):
            raise ValueError("unowned: names an unknown registry")
        return Plan(
            owner=document.owner,
            base=os.path.realpath(os.path.join(os.path.realpath(self.folder), document.base)),
            spec_hash=document.spec_hash,
            registries=self.registries,
            clusters=document.clusters,
            places=document.places,
            examples=document.examples,
            changes=changes,
            graph=tuple((_address(first), _address(then)) for first, then in document.graph),
            verdicts=_verdicts(document.guards),
            problems=tuple(
                PlanProblem(Address(part.address), part.message, part.conflict) for part in document.problems
            ),
            foreign=tuple(map(_foreign, document.foreign)),
            unowned=document.unowned,
            nobodys=document.nobodys,
            runtime=tuple(map(self.known, document.runtime)),
            unchanged=document.unchanged,
            left_out=document.left_out,
            unclear={self.known(address): origin for address, origin in document.unclear.items()},
            warnings=document.warnings,
            basis=self.basis(document.basis),
            variables=self.variables,
        )

    def basis(self, part: BasisPart) -> Basis:
        return Basis(
            rules=part.rules,
            owned=part.owned,
            destroy=part.destroy,
            allow_delete=tuple(map(Address, part.allow_delete)),
            allow=tuple(map(Address, part.allow)),
            granted=tuple((self.known(item.address), _access(item.access)) for item in part.granted),
            required=_verdicts(part.required),
            beside=tuple(self.live(self.known(item.address, item.kind), item) for item in part.beside),
            reaching=tuple(self.live(self.known(item.address, item.kind), item) for item in part.reaching),
            pushers=tuple((self.known(item.address), item.who) for item in part.pushers),
            sharing=tuple(self.live(self.known(item.address, item.kind), item) for item in part.sharing),
        )

    def settings(self, address: Address, values: dict[str, JsonValue]) -> Any:
        kind = self.kinds[address.registry][address.kind].settings
        if kind not in self.adapters:
            self.adapters[kind] = TypeAdapter(kind)
        try:
            return self.adapters[kind].validate_python(values)
        except ValidationError as error:
            raise ValueError(f"the settings of {address}: {first_sentence(error)}") from None

    def parent(self, address: Address, text: str | None) -> Address | None:
        """The resource that takes the address's along. What stands below a repository that is made is not read before it is
        written, so it must be that repository's."""
        if text is None:
            return None
        parent = self.known(text)
        holds = isinstance(self.kinds[parent.registry][parent.kind], HoldsImages)
        if parent.registry != address.registry or (holds and parent.sibling(address.kind) != address):
            raise ValueError(f"{text} can't be the parent of {address}")
        return parent

    def desired(self, address: Address, part: DesiredPart) -> Desired:
        settings = self.settings(address, part.settings)
        try:
            altered = self.kinds[address.registry][address.kind].altered(settings)
        except Exception as error:  # they are none that the kind would have made
            raise ValueError(f"the settings of {address} can't be written ({type(error).__name__})") from None
        if altered:
            raise ValueError(f"the settings of {address}: {altered} would not be written as shown")
        return Desired(
            address,
            address.kind,
            settings,
            _addresses(part.needs),
            self.parent(address, part.parent),
            source=tuple(Place(**item.model_dump()) for item in part.source),
            instead_of=_addresses(part.instead_of),
        )

    def live(self, address: Address, part: LivePart) -> Live:
        return Live(
            address,
            address.kind,
            self.settings(address, part.settings),
            Marks(part.owner, part.origin, part.applied, part.registry, part.adopted),
            native=part.native,
            needs=_addresses(part.needs),
            parent=self.parent(address, part.parent),
            rest=part.rest,
            vacant=part.vacant,
            owed=part.owed,
            notes=part.notes,
            stands_at=_address(part.stands_at) if part.stands_at is not None else None,
            version=part.version,
            foreign=tuple(self.foreign.get(address, ())),
        )

    def change(self, part: ChangePart) -> Change:
        address = self.known(part.address, part.kind)
        return Change(
            action=part.action,
            address=address,
            kind=part.kind,
            cause=part.cause,
            desired=self.desired(address, part.desired) if part.desired is not None else None,
            live=self.live(address, part.live) if part.live is not None else None,
            fields=tuple(FieldChange(**item.model_dump()) for item in part.fields),
            fingerprint=part.fingerprint,
            needs=_addresses(part.needs),
            along=_addresses(part.along),
            images=part.images,
            expiring=part.expiring,
            force=part.force,
            gains=tuple(map(_access, part.gains)),
            losses=tuple(map(_access, part.losses)),
            foreign=tuple(map(_foreign, part.foreign)),
            notes=part.notes,
            native_name=NativeName(**part.native_name.model_dump()) if part.native_name is not None else None,
        )


def _address(text: str) -> Address:
    if _ADDRESS.fullmatch(text) is None or not text.isprintable():
        raise ValueError(f"{text!r:.100} is not an address")
    return Address(text)


def _verdicts(parts: Iterable[VerdictPart]) -> tuple[Verdict, ...]:
    return tuple(Verdict(part.guard, part.passed, part.message, _addresses(part.addresses)) for part in parts)


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    return tuple(map(_address, texts))


def _access(part: AccessPart) -> Access:
    principal = Principal(**part.principal.model_dump())
    return Access(principal, part.verb, part.registry, part.repository, part.where, part.may, part.note)


def _foreign(part: ForeignPart) -> ForeignAccess:
    after = None if part.after is None else tuple(map(_access, part.after))
    through = None if part.through is None else _address(part.through)
    access = tuple(map(_access, part.access))
    return ForeignAccess(_address(part.address), part.what, access, "", after, part.stays, through=through)
