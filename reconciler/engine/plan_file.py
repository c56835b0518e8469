"""The plan file: a plan as versioned JSON, the same bytes for the same inputs."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from reconciler.errors import ReconcilerError
from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import plain
from reconciler.model.change import Action, Cause, Change, FieldChange, PlanProblem
from reconciler.model.marks import Marks
from reconciler.model.platform import Platform, Platforms
from reconciler.model.resource import Desired, Live
from reconciler.places import Place
from reconciler.spec.registry import RegistryBase

from .expand import platform_of
from .guard import Verdict
from .plan import Plan

FORMAT = 2


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrincipalPart(_Part):
    """Who has access."""

    label: str = Field(description="The principal in words.")
    account: str = Field("", description="Its account or project, where it belongs to one.")
    public: bool = Field(False, description="Whether it is everyone.")


class AccessPart(_Part):
    """One thing that one principal can do with one repository."""

    principal: PrincipalPart = Field(description="Who.")
    verb: str = Field(description="What, such as pull or push.")
    registry: str = Field(description="The registry.")
    repository: str = Field(description="The repository; empty where the verb says which.")
    where: str = Field("", description="The region, where the registry has several.")


class ForeignPart(_Part):
    """Access that somebody else gave."""

    address: str = Field(description="The resource that gives it.")
    what: str = Field(description="What gives it.")
    access: tuple[AccessPart, ...] = Field((), description="Who can do what.")


class FieldPart(_Part):
    """One field's change."""

    path: str = Field(description="The field, such as retention.keep_last.")
    old: JsonValue = Field(description="The live value; null for nothing.")
    new: JsonValue = Field(description="The value after apply; null for nothing.")
    theirs: Literal["", "old", "new"] = Field("", description="Which of the two is somebody else's, if one is.")


class PlacePart(_Part):
    """A place in the spec's text."""

    kind: Literal["registry", "repository", "grant"] = Field(description="What stands there.")
    name: str = Field(description="Its name; of a repository, REGISTRY/NAME.")
    file: str = Field(description="The file.")
    line: int = Field(description="The line, from 1.")
    column: int = Field(description="The column, from 1.")


class DesiredPart(_Part):
    """The resource as the spec wants it."""

    settings: dict[str, JsonValue] = Field(description="Its settings; what is left out is at its default.")
    needs: tuple[str, ...] = Field((), description="Addresses that must exist first.")
    parent: str | None = Field(None, description="The resource that takes this one along.")
    source: tuple[PlacePart, ...] = Field((), description="Where it comes from in the spec.")


class LivePart(_Part):
    """The resource as it was observed."""

    settings: dict[str, JsonValue] = Field(description="Its settings; what is left out is at its default.")
    native: str = Field("", description="The platform's own name for it.")
    owner: str | None = Field(None, description="The spec that owns it.")
    origin: str | None = Field(None, description="Whether a spec or a running program made it: spec or runtime.")
    applied: str | None = Field(None, description="The hash of what was last applied.")
    registry: str | None = Field(None, description="The registry whose mark it carries.")
    needs: tuple[str, ...] = Field((), description="Addresses that it needs.")
    parent: str | None = Field(None, description="The resource that takes this one along.")
    rest: str = Field("", description="What else its native document holds, as canonical text.")
    vacant: bool = Field(False, description="Whether nothing in the native document is ours.")
    owed: bool = Field(False, description="Whether what others had put on it waits to be put back.")
    notes: tuple[str, ...] = Field((), description="What a reader must know of it.")


class ChangePart(_Part):
    """One action on one address."""

    action: Action = Field(description="What happens.")
    address: str = Field(description="The resource.")
    kind: str = Field(description="Its kind.")
    cause: Cause = Field(description="Why live and spec differ, as far as the marks say.")
    fields: tuple[FieldPart, ...] = Field((), description="What changes, field by field.")
    fingerprint: str = Field(description="Of what was observed; a change whose resource has another by now is stale.")
    desired: DesiredPart | None = Field(None, description="What it will be; null for a delete.")
    live: LivePart | None = Field(None, description="What it was; null if it was not there.")
    needs: tuple[str, ...] = Field((), description="Addresses that it needs.")
    along: tuple[str, ...] = Field((), description="What goes with it when it is deleted.")
    images: int | None = Field(None, description="Images that it holds, where that was counted.")
    force: bool = Field(False, description="Whether the images, and what others gave, may go.")
    gains: tuple[AccessPart, ...] = Field((), description="Who gets access.")
    losses: tuple[AccessPart, ...] = Field((), description="Who loses access.")
    foreign: tuple[ForeignPart, ...] = Field((), description="What others gave that goes with it.")
    notes: tuple[str, ...] = Field((), description="What a reader must know.")


class VerdictPart(_Part):
    """What one guard says."""

    guard: str = Field(description="The guard.")
    passed: bool = Field(description="Whether it lets the plan pass.")
    message: str = Field(description="Why, with the numbers.")
    addresses: tuple[str, ...] = Field((), description="What it stops the plan for.")


class ProblemPart(_Part):
    """Why the plan can't be applied."""

    address: str = Field(description="The resource.")
    message: str = Field(description="What is wrong, and what to do.")


R = TypeVar("R")


class PlanDocument(_Part, Generic[R]):
    """A saved plan of reconciler. `R`: what a registry is."""

    format: Literal[2] = Field(description="The format's version.")
    tool: str = Field(description="The version of the tool that made the plan.")
    owner: str = Field(description="The spec's name.")
    spec_hash: str = Field(description="A hash of what the spec says, whatever its order.")
    base: str = Field(description="The folder that relative paths in the spec start from.")
    registries: tuple[R, ...] = Field(description="The registries, as the spec has them.")
    changes: tuple[ChangePart, ...] = Field(description="The changes in the order in which they are applied.")
    graph: tuple[tuple[str, str], ...] = Field(description="Pairs: the first must be done before the second.")
    guards: tuple[VerdictPart, ...] = Field(description="The guards' verdicts.")
    problems: tuple[ProblemPart, ...] = Field(description="Why the plan can't be applied.")
    foreign: tuple[ForeignPart, ...] = Field(
        description="Access that somebody else gave; it is kept, unless a change says that it goes."
    )
    unowned: dict[str, int] = Field(description="Per registry, repositories under its prefix that nobody owns.")
    runtime: tuple[str, ...] = Field(description="Resources that were created at run time; they are left alone.")
    unchanged: int = Field(description="How many resources are as the spec wants them.")
    left_out: int = Field(0, description="How many changes and problems were left out, since no --target names them.")
    unclear: dict[str, str] = Field(
        {},
        description="The owner's resources whose origin is neither spec nor runtime, each with it; they are left alone.",
    )
    destroy: bool = Field(False, description="Whether the plan is to remove all that the owner owns.")


def tool_version() -> str:
    """This package's version."""
    return version("reconciler")


def dumps(plan: Plan) -> str:
    """The plan file's text: JSON, ending in a newline."""
    document = {
        "format": FORMAT,
        "tool": tool_version(),
        "owner": plan.owner,
        "spec_hash": plan.spec_hash,
        "base": plan.base,
        "registries": [registry.model_dump(mode="json", exclude_defaults=True) for registry in plan.registries],
        "changes": [_change(change) for change in plan.changes],
        "graph": plain(plan.graph),
        "guards": plain(plan.verdicts),
        "problems": plain(plan.problems),
        "foreign": plain(plan.foreign),
        "unowned": dict(plan.unowned),
        "runtime": list(plan.runtime),
        "unchanged": plan.unchanged,
        "left_out": plan.left_out,
        "unclear": dict(plan.unclear),
        "destroy": plan.destroy,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def _change(change: Change) -> dict[str, Any]:
    document: dict[str, Any] = {
        "action": change.action.value,
        "address": change.address,
        "kind": change.kind,
        "cause": change.cause.value,
        "fingerprint": change.fingerprint,
        "fields": [_field(item) for item in change.fields],
    }
    if change.desired is not None:
        wanted = change.desired
        document["desired"] = {
            "settings": plain(wanted.settings),
            "needs": list(wanted.needs),
            "parent": wanted.parent,
            "source": plain(wanted.source),
        }
    if change.live is not None:
        live = change.live
        document["live"] = {
            "settings": plain(live.settings),
            "native": live.native,
            **plain(live.marks),
            "needs": list(live.needs),
            "parent": live.parent,
            "rest": live.rest,
            "vacant": live.vacant,
            **({"owed": True} if live.owed else {}),
            "notes": list(live.notes),
        }
    for name in ("needs", "along", "images", "force", "gains", "losses", "foreign", "notes"):
        value = getattr(change, name)
        if value is not None and value is not False and value != ():  # 0 images is something to know
            document[name] = plain(value)
    return document


def _field(item: FieldChange) -> dict[str, Any]:
    document = {"path": item.path, "old": item.old, "new": item.new}
    return {**document, "theirs": item.theirs} if item.theirs else document


def loads(text: str | bytes, name: str = "the plan", *, platforms: Platforms) -> Plan:
    """The plan in a plan file's text. `platforms`: the catalog, which knows registries and kinds.

    Raises ReconcilerError if it is no plan file, one of another format, or of a platform that this build does not have.
    """
    try:
        data = json.loads(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise ReconcilerError(f"{name} is not a plan file: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise ReconcilerError(f"{name} is not a plan file of format {FORMAT} (its format is {found}); make a new plan")
    try:
        return _Loading(PlanDocument[dict[str, JsonValue]].model_validate(data), platforms).plan()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReconcilerError(f"{name} is damaged: {where}: {first['msg']}; make a new plan") from None


def read(path: Path, *, platforms: Platforms) -> Plan:
    """The plan in a file. Raises ReconcilerError if it can't be read or is no plan file."""
    try:
        return loads(path.read_bytes(), str(path), platforms=platforms)
    except OSError as error:
        raise ReconcilerError(f"{path} can't be read: {error.strerror}") from None


class _Loading:
    """From the file's parts to the plan's values, with the catalog's registries and kinds."""

    def __init__(self, document: PlanDocument[dict[str, JsonValue]], platforms: Platforms) -> None:
        self.document = document
        self.platforms: dict[str, Platform] = {}
        self.adapters: dict[tuple[str, str], TypeAdapter[Any]] = {}
        self.registries = tuple(self.registry(item, platforms) for item in document.registries)

    def registry(self, item: dict[str, JsonValue], platforms: Platforms) -> RegistryBase:
        platform = platform_of(platforms, str(item.get("platform")))
        registry = platform.registry.model_validate(item)
        self.platforms[registry.name] = platform
        return registry

    def plan(self) -> Plan:
        document = self.document
        return Plan(
            owner=document.owner,
            base=document.base,
            spec_hash=document.spec_hash,
            registries=self.registries,
            changes=tuple(self.change(part) for part in document.changes),
            graph=tuple((Address(first), Address(then)) for first, then in document.graph),
            verdicts=tuple(
                Verdict(part.guard, part.passed, part.message, _addresses(part.addresses)) for part in document.guards
            ),
            problems=tuple(PlanProblem(Address(part.address), part.message) for part in document.problems),
            foreign=_foreign(document.foreign),
            unowned=document.unowned,
            runtime=_addresses(document.runtime),
            unchanged=document.unchanged,
            left_out=document.left_out,
            unclear={Address(address): origin for address, origin in document.unclear.items()},
            destroy=document.destroy,
        )

    def adapter(self, address: Address, kind: str) -> TypeAdapter[Any]:
        platform = self.platforms[address.registry]
        key = platform.name, kind
        if key not in self.adapters:
            self.adapters[key] = TypeAdapter(platform.kinds[kind].settings)
        return self.adapters[key]

    def desired(self, address: Address, kind: str, part: DesiredPart) -> Desired:
        return Desired(
            address,
            kind,
            self.adapter(address, kind).validate_python(part.settings),
            _addresses(part.needs),
            _address(part.parent),
            source=tuple(Place(**item.model_dump()) for item in part.source),
        )

    def live(self, address: Address, kind: str, part: LivePart) -> Live:
        return Live(
            address,
            kind,
            self.adapter(address, kind).validate_python(part.settings),
            Marks(part.owner, part.origin, part.applied, part.registry),
            native=part.native,
            needs=_addresses(part.needs),
            parent=_address(part.parent),
            rest=part.rest,
            vacant=part.vacant,
            owed=part.owed,
            notes=part.notes,
        )

    def change(self, part: ChangePart) -> Change:
        address = Address(part.address)
        return Change(
            action=part.action,
            address=address,
            kind=part.kind,
            cause=part.cause,
            desired=self.desired(address, part.kind, part.desired) if part.desired is not None else None,
            live=self.live(address, part.kind, part.live) if part.live is not None else None,
            fields=tuple(FieldChange(item.path, item.old, item.new, item.theirs) for item in part.fields),
            fingerprint=part.fingerprint,
            needs=_addresses(part.needs),
            along=_addresses(part.along),
            images=part.images,
            force=part.force,
            gains=_accesses(part.gains),
            losses=_accesses(part.losses),
            foreign=_foreign(part.foreign),
            notes=part.notes,
        )


def _address(text: str | None) -> Address | None:
    return None if text is None else Address(text)


def _addresses(texts: tuple[str, ...]) -> tuple[Address, ...]:
    return tuple(map(Address, texts))


def _accesses(found: tuple[AccessPart, ...]) -> tuple[Access, ...]:
    return tuple(
        Access(Principal(**part.principal.model_dump()), part.verb, part.registry, part.repository, part.where)
        for part in found
    )


def _foreign(found: tuple[ForeignPart, ...]) -> tuple[ForeignAccess, ...]:
    return tuple(ForeignAccess(Address(part.address), part.what, _accesses(part.access)) for part in found)
