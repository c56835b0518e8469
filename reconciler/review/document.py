"""A review as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reconciler.engine.guard import Verdict
from reconciler.model.access import Access
from reconciler.places import Spot
from reconciler.spec.fields import Text
from reconciler.spec.variables import NAME
from reconciler.words import in_utf8

from .model import RANK, Finding, Review, Risk, titled

FORMAT = 1
#: a spec's name, and one that has variables whose values are not known
OWNER = rf"[a-z][a-z0-9-]{{0,39}}|[a-z0-9-]*(?:\$\{{env:{NAME.pattern}\}}[a-z0-9-]*)+"
_MOST_OWNER = 200
#: the name of a spec whose own can't be read
UNNAMED = "spec"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _in_utf8(cls, value: object) -> object:
        """Texts as they can be written: the names of files, wherever they are said, may have other bytes."""
        if isinstance(value, tuple):
            return tuple(in_utf8(item) if isinstance(item, str) else item for item in value)
        return in_utf8(value) if isinstance(value, str) else value


class SpotPart(_Part):
    """A place in a file."""

    file: str = Field(description="The file, as the spec was given.")
    line: Annotated[int, Field(ge=1)] = Field(description="The line, from 1.")
    column: Annotated[int, Field(ge=1)] = Field(description="The column, from 1.")

    @property
    def spot(self) -> Spot:
        """The place."""
        return Spot(self.file, self.line, self.column)


class AccessPart(_Part):
    """What one principal can do with some repositories."""

    registry: str = Field(description="The registry.")
    principal: str = Field(description="The principal in words.")
    account: str = Field("", description="Its account or project, if it belongs to one.")
    public: bool = Field(False, description="Whether it is anyone at all.")
    verbs: tuple[str, ...] = Field(description="What the principal can do, such as pull or push.")
    repositories: tuple[str, ...] = Field(
        description="The repositories; an empty name if the verb says what it is about."
    )
    where: tuple[str, ...] = Field(description="The regions; an empty name is the registry's own.")
    may: bool = Field(False, description="Whether only the platform can decide it.")
    note: str = Field("", description="What else to know about it, as the end of a sentence.")


class FindingPart(_Part):
    """What one cause in the text does."""

    risk: Risk = Field(description="What it means.")
    may: bool = Field(False, description="Whether it can't be decided that it is so. It counts as if it were.")
    place: SpotPart | None = Field(
        description="The value that causes it; of what was removed, what it was removed from. null: the spec as a whole."
    )
    base: SpotPart | None = Field(None, description="Where the base has what was changed or removed.")
    removed: bool = Field(False, description="Whether what causes it was removed.")
    messages: tuple[str, ...] = Field(description="What is to be said of it, a sentence each.")
    addresses: tuple[str, ...] = Field(description="The resources that it is about.")
    gains: tuple[AccessPart, ...] = Field((), description="Who can do what from then on.")
    losses: tuple[AccessPart, ...] = Field((), description="Who can do what no longer.")

    @property
    def title(self) -> str:
        """The risk in words."""
        return titled(self.risk, may=self.may)


class GuardPart(_Part):
    """What one guard objects to."""

    guard: str = Field(description="The guard.")
    message: str = Field(description="Why, with the numbers.")
    addresses: tuple[str, ...] = Field((), description="The resources that it stops.")


class ErrorPart(_Part):
    """Why a spec can't be read."""

    message: str = Field(description="What is wrong, with the value that it is about.")
    place: SpotPart | None = Field(description="Where the head has it; null for what is wrong in the base.")


class ReviewDocument(_Part):
    """What a change of a spec means, in reconciler's format."""

    format: Literal[1] = Field(description="The format's version.")
    owner: Annotated[str, Text(OWNER, "a spec's name", _MOST_OWNER)] = Field(
        description="The spec's name. `${env:NAME}` stands in it for the value of a variable that is not known."
    )
    verdict: tuple[Risk, ...] = Field(description="All that the change does, the worst first.")
    findings: tuple[FindingPart, ...] = Field(description="One for each cause and risk, the worst first.")
    by_head: tuple[GuardPart, ...] = Field((), description="What the head's guards object to: it stops a plan.")
    by_base: tuple[GuardPart, ...] = Field((), description="What the base's guards object to.")
    unread: dict[str, str] = Field({}, description="Registries that were not reviewed, to their platform.")
    problems: tuple[str, ...] = Field((), description="Why a plan could not be applied, as far as the specs say it.")
    warnings: tuple[str, ...] = Field((), description="What to know about the review itself.")
    errors: tuple[ErrorPart, ...] = Field(
        (), description="Why a spec can't be read: then nothing was reviewed, and there is no finding."
    )

    @property
    def risks(self) -> tuple[Risk, ...]:
        """What the findings do, the worst first. The `verdict` of a document that somebody else wrote may be anything."""
        return risks_of(finding.risk for finding in self.findings)

    @property
    def loosened(self) -> tuple[GuardPart, ...]:
        """What the base's guards object to and the head's do not."""
        ours = {(item.guard, item.addresses) for item in self.by_head}
        return tuple(item for item in self.by_base if (item.guard, item.addresses) not in ours)


def risks_of(risks: Iterable[Risk]) -> tuple[Risk, ...]:
    """Each of the risks once, the worst first; cosmetic only where there is no other."""
    found = sorted(set(risks), key=RANK.__getitem__)
    return tuple(risk for risk in found if risk is not Risk.COSMETIC or len(found) == 1)


def unreadable(owner: str, errors: Iterable[ErrorPart]) -> ReviewDocument:
    """The document of a review that could not be made, since a spec can't be read. `owner`: the spec's name, if it is known."""
    return ReviewDocument(format=FORMAT, owner=_owner(owner), verdict=(), findings=(), errors=tuple(errors))


def _owner(name: str) -> str:
    """The spec's name, if it is no longer than one is shown: a variable may be called anything."""
    return name if len(name) <= _MOST_OWNER else UNNAMED


def document_of(review: Review, messages: Iterable[tuple[str, ...]]) -> ReviewDocument:
    """The review's document. `messages`: what is to be said of each finding."""
    return ReviewDocument(
        format=FORMAT,
        owner=_owner(review.owner),
        verdict=review.verdict,
        findings=tuple(_finding(item, said) for item, said in zip(review.findings, messages, strict=True)),
        by_head=_guards(review.by_head),
        by_base=_guards(review.by_base),
        unread=dict(review.unread),
        problems=tuple(f"{item.address}: {item.message}" for item in review.plan.problems),
        warnings=review.warnings,
    )


def _finding(finding: Finding, messages: tuple[str, ...]) -> FindingPart:
    return FindingPart(
        risk=finding.risk,
        may=finding.may,
        place=_spot(finding.spot),
        base=_spot(finding.base),
        removed=finding.removed,
        messages=messages,
        addresses=finding.addresses,
        gains=tuple(together(finding.gains)),
        losses=tuple(together(finding.losses)),
    )


def _spot(spot: Spot | None) -> SpotPart | None:
    return None if spot is None else SpotPart(file=spot.file, line=spot.line, column=spot.column)


def _guards(verdicts: Iterable[Verdict]) -> tuple[GuardPart, ...]:
    return tuple(GuardPart(guard=item.guard, message=item.message, addresses=item.addresses) for item in verdicts)


def together(access: Iterable[Access]) -> list[AccessPart]:
    """The access, with one part for all repositories and regions with which a principal can do the same."""
    verbs: dict[tuple[Access, str, str], set[str]] = {}
    for item in access:
        who = Access(item.principal, "", item.registry, "", "", item.may, item.note)
        verbs.setdefault((who, item.repository, item.where), set()).add(item.verb)
    places: dict[tuple[Access, str, tuple[str, ...]], set[str]] = {}
    for (who, repository, where), some in verbs.items():
        places.setdefault((who, repository, tuple(sorted(some))), set()).add(where)
    repositories: dict[tuple[Access, tuple[str, ...], tuple[str, ...]], set[str]] = {}
    for (who, repository, some_verbs), some in places.items():
        repositories.setdefault((who, some_verbs, tuple(sorted(some))), set()).add(repository)
    return [
        AccessPart(
            registry=who.registry,
            principal=who.principal.label,
            account=who.principal.account,
            public=who.principal.public,
            verbs=some_verbs,
            repositories=tuple(sorted(names)),
            where=where,
            may=who.may,
            note=who.note,
        )
        for (who, some_verbs, where), names in sorted(repositories.items())
    ]
