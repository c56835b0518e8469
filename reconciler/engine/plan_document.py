"""The plan file's document: its parts, as JSON has them. The loading is in `plan_file.py`."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from reconciler.model.change import Action, Cause
from reconciler.spec.fields import SpecName
from reconciler.spec.models import Guards

FORMAT = 3

Count = Annotated[int, Field(ge=0)]


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
    may: bool = Field(False, description="Whether it can't be decided without the platform.")
    note: str = Field("", description="What a reader must know of it, as the end of a sentence.")


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
    said: bool = Field(False, description="Whether the sentences on who gains access say it too, where there are any.")


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
    adopted: bool = Field(False, description="Whether it was there before a spec adopted it.")
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
    images: Count | None = Field(None, description="Images that it holds, where that was counted.")
    force: bool = Field(False, description="Whether the images, and what others gave, may go.")
    gains: tuple[AccessPart, ...] = Field((), description="Who gets access.")
    losses: tuple[AccessPart, ...] = Field((), description="Who loses access.")
    foreign: tuple[ForeignPart, ...] = Field((), description="What others gave that goes with it.")
    notes: tuple[str, ...] = Field((), description="What a reader must know.")


class BesidePart(LivePart):
    """A live resource that no change is about: it goes along with one that is deleted, or stands above one that changes."""

    address: str = Field(description="The resource.")
    kind: str = Field(description="Its kind.")


class GrantedPart(_Part):
    """Access that no change gives, and that a guard objects to."""

    address: str = Field(description="The resource that gives it.")
    access: AccessPart = Field(description="Who can do what.")


class BasisPart(_Part):
    """What the plan was made from beside its changes: all that is computed of it is computed again when it is loaded."""

    rules: Guards = Field(description="The guards' rules, as the spec has them.")
    owned: Count = Field(description="How many resources the owner owns: what a share of deletes is a share of.")
    destroy: bool = Field(False, description="Whether it removes all that the owner owns; no share of deletes then.")
    allow_delete: tuple[str, ...] = Field((), description="Repositories that --allow-delete named.")
    granted: tuple[GrantedPart, ...] = Field((), description="Access that a guard objects to and that no change gives.")
    beside: tuple[BesidePart, ...] = Field((), description="Live resources that changes take along or stand below.")


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

    format: Literal[3] = Field(description="The format's version.")
    tool: str = Field(description="The version of the tool that made the plan.")
    owner: SpecName = Field(description="The spec's name.")
    spec_hash: str = Field(description="A hash of what the spec says, whatever its order.")
    base: str = Field(
        description="The folder that relative paths in the spec start from, relative to the folder of this file."
    )
    variables: dict[str, str] = Field(
        {},
        description="The environment variables that the spec takes values from. `${env:NAME}` stands for a value; the hash here"
        " is what the value must have when the plan is loaded.",
    )
    registries: tuple[R, ...] = Field(description="The registries, as the spec has them.")
    where: dict[str, str] = Field(
        {},
        description="Where each registry stands, and as which role calls are made, if any. A path that is relative in the spec is"
        " relative to the folder of this file here.",
    )
    changes: tuple[ChangePart, ...] = Field(description="The changes in the order in which they are applied.")
    graph: tuple[tuple[str, str], ...] = Field(description="Pairs: the first must be done before the second.")
    basis: BasisPart = Field(description="What the plan was made from beside its changes.")
    guards: tuple[VerdictPart, ...] = Field(description="The guards' verdicts.")
    problems: tuple[ProblemPart, ...] = Field(description="Why the plan can't be applied.")
    foreign: tuple[ForeignPart, ...] = Field(
        description="Access that somebody else gave; it is kept, unless a change says that it goes."
    )
    unowned: dict[str, Count] = Field(description="Per registry, repositories under its prefix that nobody owns.")
    nobodys: dict[str, tuple[str, ...]] = Field({}, description="Of these, the names of the first few.")
    runtime: tuple[str, ...] = Field(description="Resources that were created at run time; they are left alone.")
    unchanged: Count = Field(description="How many resources are as the spec wants them.")
    left_out: Count = Field(0, description="How many changes and problems were left out, since no --target names them.")
    warnings: tuple[str, ...] = Field((), description="What the guards or the command line name and nothing has.")
    unclear: dict[str, str] = Field(
        {},
        description="The owner's resources whose origin is neither spec nor runtime, each with it; they are left alone.",
    )
