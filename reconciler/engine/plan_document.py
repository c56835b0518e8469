"""The plan file's document: its parts, as JSON has them. The loading is in `plan_file.py`."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from reconciler.model.change import Action, Cause
from reconciler.spec.cluster import Cluster
from reconciler.spec.fields import SpecName
from reconciler.spec.models import Guards

FORMAT = 3

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrincipalPart(_Part):
    """Who has access."""

    label: str = Field(description="The principal in words.")
    account: str = Field("", description="Its account or project, if it belongs to one.")
    public: bool = Field(False, description="Whether it is anyone at all.")
    organization: str = Field("", description="The organization, where it is whoever belongs to it.")


class AccessPart(_Part):
    """One thing that one principal can do with one repository."""

    principal: PrincipalPart = Field(description="Who.")
    verb: str = Field(description="What the principal can do, such as pull or push.")
    registry: str = Field(description="The registry.")
    repository: str = Field(description="The repository; empty if the verb names what it is about.")
    where: str = Field("", description="The region, if the registry has several.")
    may: bool = Field(False, description="Whether only the platform can decide it.")
    note: str = Field("", description="What else to know about it, as the end of a sentence.")


class ForeignPart(_Part):
    """Access that somebody else gave."""

    address: str = Field(description="The resource that grants it.")
    what: str = Field(description="What grants it.")
    access: tuple[AccessPart, ...] = Field((), description="Who can do what.")
    after: tuple[AccessPart, ...] | None = Field(
        None, description="Who can do what once the plan is applied, if not what they can now."
    )
    stays: bool = Field(False, description="Whether it was given above the resource, and does not go with it.")
    through: str | None = Field(
        None, description="The address of what gives it, where a plan can take that over: it then changes with that."
    )


class FieldPart(_Part):
    """One field's change."""

    path: str = Field(description="The field, such as retention.keep_last.")
    old: JsonValue = Field(description="The live value; null for nothing.")
    new: JsonValue = Field(description="The value after apply; null for nothing.")
    theirs: Literal["", "old", "new"] = Field(
        "", description="Which of the two values was set by somebody else, if any."
    )
    said: bool = Field(False, description="Whether the sentences on who gains access cover it, if there are any.")


class PlacePart(_Part):
    """A place in the spec's text."""

    kind: Literal["registry", "repository", "grant"] = Field(description="What kind of thing it is.")
    name: str = Field(description="Its name; for a repository, REGISTRY/NAME.")
    file: str = Field(description="The file.")
    line: int = Field(description="The line, from 1.")
    column: int = Field(description="The column, from 1.")


class DesiredPart(_Part):
    """The resource as the spec wants it."""

    settings: dict[str, JsonValue] = Field(description="Its settings; those left out have their default values.")
    needs: tuple[str, ...] = Field((), description="Addresses that must exist first.")
    parent: str | None = Field(None, description="The resource whose deletion deletes this one.")
    instead_of: tuple[str, ...] = Field(
        (), description="Resources that are there and whose place it takes: they are deleted only after it is made."
    )
    source: tuple[PlacePart, ...] = Field((), description="Where in the spec it comes from.")


class LivePart(_Part):
    """The resource as it was observed."""

    settings: dict[str, JsonValue] = Field(description="Its settings; those left out have their default values.")
    native: str = Field("", description="Its native name on the platform.")
    owner: str | None = Field(None, description="The spec that owns it.")
    origin: str | None = Field(None, description="Whether it was created from a spec or at run time: spec or runtime.")
    applied: str | None = Field(None, description="A hash of what was last applied.")
    registry: str | None = Field(None, description="The registry whose mark it carries.")
    adopted: bool = Field(False, description="Whether it existed before a spec adopted it.")
    needs: tuple[str, ...] = Field((), description="Addresses that it depends on.")
    parent: str | None = Field(None, description="The resource whose deletion deletes this one.")
    rest: str = Field("", description="What else its native document holds, as canonical text.")
    vacant: bool = Field(False, description="Whether nothing in the native document is managed by the spec.")
    owed: bool = Field(False, description="Whether what others put on it is yet to be restored.")
    notes: tuple[str, ...] = Field((), description="What else to know about it.")
    stands_at: str | None = Field(
        None, description="Where it stands, of what another resource can take the place of under another name."
    )
    version: str = Field(
        "", description="Of what holds a secret, which of its states it is, where somebody else has written it last."
    )


class NativeNamePart(_Part):
    """What the platform calls a repository."""

    name: str = Field(description="The name.")
    uri: str = Field(description="The URI that its images are pulled from.")
    note: str = Field("", description="What the URI depends on that the spec does not say, as the end of a sentence.")


class ChangePart(_Part):
    """One action on one address."""

    action: Action = Field(description="What happens.")
    address: str = Field(description="The resource.")
    kind: str = Field(description="Its kind.")
    cause: Cause = Field(description="Why live and spec differ, as far as the marks say.")
    fields: tuple[FieldPart, ...] = Field((), description="What changes, field by field.")
    fingerprint: str = Field(
        description="A hash of what was observed; if the resource's has changed since, the change is stale."
    )
    desired: DesiredPart | None = Field(None, description="The desired resource; null for a delete.")
    live: LivePart | None = Field(None, description="The live resource; null if it did not exist.")
    needs: tuple[str, ...] = Field((), description="Addresses that it depends on.")
    along: tuple[str, ...] = Field((), description="Resources that are deleted with it.")
    images: Annotated[int, Field(ge=-1)] | None = Field(
        None, description="How many images it holds, if they were asked for; -1 if they can't be counted."
    )
    expiring: Count | None = Field(None, description="How many images expire by it, if they were counted.")
    force: bool = Field(False, description="Whether its images, and what others gave, may be deleted.")
    gains: tuple[AccessPart, ...] = Field((), description="Who is given access.")
    losses: tuple[AccessPart, ...] = Field((), description="Who loses access.")
    foreign: tuple[ForeignPart, ...] = Field((), description="What others gave that is deleted with it.")
    notes: tuple[str, ...] = Field((), description="What else to know.")
    native_name: NativeNamePart | None = Field(
        None, description="What the platform calls a repository that is created, replaced or adopted."
    )


class BesidePart(LivePart):
    """A live resource that no change is about, and that says something of one that is."""

    address: str = Field(description="The resource.")
    kind: str = Field(description="Its kind.")


class GrantedPart(_Part):
    """Access that no change gives, and that a guard objects to."""

    address: str = Field(description="The resource that grants it.")
    access: AccessPart = Field(description="Who can do what.")


class PushersPart(_Part):
    """Who can overwrite tags of a repository once they can be overwritten."""

    address: str = Field(description="The repository.")
    who: tuple[str, ...] = Field(description="Who can push to it, by the spec and by what others gave.")


class VerdictPart(_Part):
    """What one guard says."""

    guard: str = Field(description="The guard.")
    passed: bool = Field(description="Whether it lets the plan pass.")
    message: str = Field(description="Why, with the numbers.")
    addresses: tuple[str, ...] = Field((), description="What it stops the plan for.")


class BasisPart(_Part):
    """What the plan was made from beside its changes: all that is computed of it is computed again when it is loaded."""

    rules: Guards = Field(description="The guards' rules, as the spec has them.")
    owned: Count = Field(description="How many resources the owner owns: what a share of deletes is a share of.")
    destroy: bool = Field(
        False, description="Whether the plan deletes all that the owner owns; max_deletes does not apply then."
    )
    allow_delete: tuple[str, ...] = Field((), description="Repositories that --allow-delete named.")
    allow: tuple[str, ...] = Field(
        (), description="Resources that --allow named: a dangerous change of them is allowed."
    )
    granted: tuple[GrantedPart, ...] = Field((), description="Access that a guard objects to and that no change gives.")
    required: tuple[VerdictPart, ...] = Field((), description="What guards say of the spec itself, whatever changes.")
    beside: tuple[BesidePart, ...] = Field(
        (), description="Live resources that are deleted with a changed resource, or are the parent of one."
    )
    reaching: tuple[BesidePart, ...] = Field(
        (),
        description="Live resources that give access by marks, where a change sets or removes marks.",
    )
    pushers: tuple[PushersPart, ...] = Field((), description="Who can overwrite tags that a change makes movable.")
    sharing: tuple[BesidePart, ...] = Field(
        (),
        description="Live resources of other registries that are parts of the same native document as a changed one.",
    )


class ProblemPart(_Part):
    """Problems because of which the plan can't be applied."""

    address: str = Field(description="The resource.")
    message: str = Field(description="What is wrong, and what to do.")
    conflict: bool = Field(False, description="Whether it is that the resource exists already and is not the spec's.")


R = TypeVar("R")


class PlanDocument(_Part, Generic[R]):
    """A saved plan of reconciler. `R`: what a registry is."""

    format: Literal[3] = Field(description="The format's version.")
    tool: str = Field(description="The version of the tool that made the plan.")
    owner: SpecName = Field(description="The spec's name.")
    spec_hash: str = Field(description="A hash of the spec's content, independent of its order.")
    base: str = Field(
        description="The folder that relative paths in the spec are relative to, itself relative to this file's folder."
    )
    variables: dict[str, str] = Field(
        {},
        description="The environment variables that the spec uses, each with the hash that its value must have when the plan is"
        " loaded. `${env:NAME}` takes the place of a value.",
    )
    registries: tuple[R, ...] = Field(description="The registries, as the spec has them.")
    clusters: tuple[Cluster, ...] = Field((), description="The clusters, as the spec has them.")
    where: dict[str, str] = Field(
        {},
        description="Where each registry is, and the role that calls are made as, if any; and by `cluster NAME`, how each cluster is"
        " reached. Relative paths are relative to this file's folder.",
    )
    examples: dict[str, tuple[str, ...]] = Field(
        {}, description="Per registry whose login may have to be tried with them, some repositories of the spec."
    )
    places: dict[str, dict[str, str]] = Field(
        {},
        description="By what the places were known that the spec only names, such as `cluster NAME`, the surest first: apply refuses"
        " a plan of others.",
    )
    changes: tuple[ChangePart, ...] = Field(description="The changes in the order in which they are applied.")
    graph: tuple[tuple[str, str], ...] = Field(description="Pairs: the first must be done before the second.")
    basis: BasisPart = Field(description="What the plan was made from, besides its changes.")
    guards: tuple[VerdictPart, ...] = Field(description="The guards' verdicts.")
    problems: tuple[ProblemPart, ...] = Field(description="Problems because of which the plan can't be applied.")
    foreign: tuple[ForeignPart, ...] = Field(
        description="Access that somebody else gave; it is kept unless a change says otherwise."
    )
    unowned: dict[str, Count] = Field(description="Per registry, repositories under its prefix that nobody owns.")
    nobodys: dict[str, tuple[str, ...]] = Field({}, description="The names of the first few of these.")
    runtime: tuple[str, ...] = Field(description="Resources that were created at run time; they are left alone.")
    unchanged: Count = Field(description="How many resources match the spec.")
    left_out: Count = Field(
        0, description="How many changes and problems were left out because no --target matches them."
    )
    warnings: tuple[str, ...] = Field(
        (),
        description="Warnings, such as names in guards or on the command line that match nothing, and what there is to know of"
        " resources that do not change.",
    )
    unclear: dict[str, str] = Field(
        {},
        description="The owner's resources whose origin is neither spec nor runtime, each with its origin; they are left alone.",
    )
