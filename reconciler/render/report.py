"""What a plan says to its readers, computed once. A form (text, markdown, ...) lays these values out and adds no fact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.engine.plan import Plan
from reconciler.engine.pushing import of_push
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change, PlanProblem
from reconciler.spec.registry import RegistryBase
from reconciler.words import natural, some_of

from . import counts, sentences
from .change_item import BY_WHOM, UNTOUCHED, ChangeItem, change_item, reading_order
from .sentences import Sentence

NO_CHANGES = "No changes"
NOTHING_TO_DESTROY = "Nothing to destroy"
_NO_DRIFT = "No drift"
_FOREIGN_ALONE = "Drift: foreign access; every resource matches the spec"
NOBODY = "Nobody gains or loses access."


class Topic(StrEnum):
    """What a section is about."""

    GAINS = "gains"
    LOSSES = "losses"
    FOREIGN = "foreign"
    PROBLEMS = "problems"
    IN_THE_WAY = "in the way"
    VIOLATIONS = "violations"
    STRANGERS = "strangers"


HEADINGS = {
    Topic.GAINS: "Who gains access",
    Topic.LOSSES: "Who loses access",
    Topic.FOREIGN: "Foreign access (given by somebody else, kept)",
    Topic.PROBLEMS: "The plan can't be applied",
    Topic.IN_THE_WAY: "What is in the way of the spec",
    Topic.VIOLATIONS: "Guards that stop the plan",
    Topic.STRANGERS: "Foreign access that the guards would not allow in the spec",
}
#: in the order in which they are read
CAUSE_HEADINGS = {
    Cause.DRIFT: f"Drift: changed since the last apply, {BY_WHOM}",
    Cause.BOTH: f"Drift and pending: changed since the last apply, {BY_WHOM}, and the spec has changed too",
    Cause.OUTDATED: f"Outdated: {UNTOUCHED}",
    Cause.CHANGED: "Changed: differs, but there is no record of what was last applied, so the cause is unknown",
    Cause.PENDING: "Pending: the spec has changed since the last apply",
}


@dataclass(frozen=True, slots=True)
class RegistrySection:
    """A registry with its changes in reading order. `title`: `registry images (aws 123456789012 us-east-1)`."""

    name: str
    title: str
    size: str
    changes: tuple[ChangeItem, ...]


@dataclass(frozen=True, slots=True)
class CauseSection:
    """All changes of one cause, sorted by address."""

    cause: Cause
    heading: str
    changes: tuple[ChangeItem, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of a section. `subject`: the registry, address or guard that it is about. `addresses`: where it applies."""

    subject: str
    text: str
    addresses: tuple[str, ...] = ()
    public: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """All statements on one topic; false if there are none. `note`: what to know of all of them, as a sentence without its end."""

    topic: Topic
    statements: tuple[Statement, ...]
    note: str = ""

    @property
    def heading(self) -> str:
        """Its heading, the same in every form."""
        return HEADINGS[self.topic]

    def __bool__(self) -> bool:
        return bool(self.statements)


@dataclass(frozen=True, slots=True)
class Report:
    """A plan for people.

    `headline`: what there is to do. `registries`: only those with changes. `gains`, `losses`: by the plan as a whole.
    `foreign`: what others gave and keep. `as_wanted`, `left_alone`, `left_out`: sentences; "" where there is nothing to say.
    `drift_totals`: how much differs, by cause. `warnings`: sentences on what the spec or the command line names and nothing has.
    `graph`: (before, after), as in the plan.
    """

    owner: str
    headline: str
    counts: Mapping[Action, int]
    unchanged: int
    as_wanted: str
    registries: tuple[RegistrySection, ...]
    gains: Section
    losses: Section
    foreign: Section
    problems: Section
    violations: Section
    strangers: Section
    left_alone: str
    left_out: str
    drift_totals: str
    warnings: tuple[str, ...] = ()
    graph: tuple[tuple[str, str], ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to change and nothing wrong."""
        return not self.registries and not self.problems

    @property
    def in_the_way(self) -> Section:
        """The problems where no plan is shown."""
        return replace(self.problems, topic=Topic.IN_THE_WAY)

    @property
    def nobody(self) -> str:
        """Said where something changes and nobody's access does; "" elsewhere."""
        return NOBODY if self.registries and not self.gains and not self.losses else ""

    @property
    def no_drift(self) -> str:
        """What is said where there is nothing to change."""
        return _FOREIGN_ALONE if self.strangers else _NO_DRIFT

    @property
    def drift(self) -> str:
        """The last line of what `drift` shows."""
        if self.quiet and not self.strangers:
            return f"{_NO_DRIFT}. {self.as_wanted}"
        return f"Drift: {self.drift_totals}."

    @property
    def by_cause(self) -> tuple[CauseSection, ...]:
        """All changes again, by cause: what `drift` shows."""
        groups: dict[Cause, list[ChangeItem]] = {cause: [] for cause in CAUSE_HEADINGS}
        for section in self.registries:
            for item in section.changes:
                groups[item.cause].append(item)
        return tuple(
            CauseSection(cause, CAUSE_HEADINGS[cause], tuple(sorted(items, key=lambda item: natural(item.address))))
            for cause, items in groups.items()
            if items
        )


def report_of(plan: Plan, *, full: bool = True, gathered: bool = False) -> Report:
    """Everything that a reader of the plan must know. Unless `full`, one sentence on gains stands for many that say the same of
    different principals. If `gathered`, one on gains names some of many repositories; one on losses names all. Pure."""
    registries = tuple(_registries(plan, full, gathered))
    gains = sentences.all_gains(plan, gathered=gathered)
    nothing = NOTHING_TO_DESTROY if plan.destroy else NO_CHANGES
    return Report(
        owner=plan.owner,
        headline=counts.totals(plan.counts, _along(plan)) if plan.changes or plan.problems else nothing,
        counts=plan.counts,
        unchanged=plan.unchanged,
        as_wanted="" if plan.destroy else counts.as_wanted(plan.unchanged),
        registries=registries,
        gains=replace(
            _access(Topic.GAINS, gains if full else sentences.folded(gains)),
            note=of_push(sentences.net_gains(plan), plan.registries),
        ),
        losses=_access(Topic.LOSSES, sentences.all_losses(plan)),
        foreign=_foreign(plan),
        problems=Section(
            Topic.PROBLEMS,
            tuple(_problems(plan.problems)),
        ),
        violations=Section(
            Topic.VIOLATIONS,
            tuple(Statement(item.guard, item.message, item.addresses) for item in plan.violations),
        ),
        strangers=Section(
            Topic.STRANGERS,
            (*(Statement(item.guard, item.message, item.addresses) for item in plan.strangers), *_removals(plan)),
        ),
        left_alone=" ".join(
            filter(
                None,
                (
                    counts.left_alone(plan.unowned, len(plan.runtime), plan.unclear, plan.nobodys),
                    counts.unseen({item.name: item.unseen for item in plan.registries if item.unseen}),
                ),
            )
        ),
        left_out=counts.left_out(plan.left_out),
        drift_totals=_drift_totals(plan),
        warnings=plan.warnings,
        graph=plan.graph,
    )


def _drift_totals(plan: Plan) -> str:
    conflicts = sum(problem.conflict for problem in plan.problems)
    foreign = {address for verdict in plan.strangers for address in verdict.addresses}
    problems = len(plan.problems) - conflicts
    return counts.drift_totals(
        plan.causes, plan.unchanged, foreign=len(foreign), conflicts=conflicts, problems=problems
    )


def _problems(problems: Iterable[PlanProblem]) -> Iterator[Statement]:
    """The problems; those of which the same is said, such as of all that is in one place, are one."""
    alike: dict[str, list[Address]] = {}
    for item in problems:
        alike.setdefault(item.message, []).append(item.address)
    yield from (Statement(some_of(found), message, tuple(found)) for message, found in alike.items())


def _removals(plan: Plan) -> Iterator[Statement]:
    """How to remove what the guards would not let the spec give: reconciler leaves it where it is. Where the plan writes the same
    document, that is another once it has been applied, and what was read before says nothing of how to change it."""
    written = {change.address for change in plan.changes}
    # statements that have no name of their own share one, and are removed by the same commands
    alike = Counter((item.address, item.what, item.removal) for item in plan.objectionable if item.removal)
    for (address, what, removal), count in alike.items():
        if address not in written:
            several = f" (there are {count})" if count > 1 else ""
            yield Statement(address, f"to remove {what}{several}, {removal}", (address,))


def _along(plan: Plan) -> Mapping[Action, int]:
    found: Counter[Action] = Counter()
    for change in plan.changes:
        found[change.action] += len(change.along)
    return found


def _registries(plan: Plan, full: bool, gathered: bool) -> Iterator[RegistrySection]:
    grouped: dict[str, list[Change]] = {}
    for change in plan.changes:
        grouped.setdefault(change.registry, []).append(change)
    for registry in plan.registries:
        if changes := grouped.get(registry.name):
            items = tuple(
                change_item(change, full=full, gathered=gathered) for change in sorted(changes, key=reading_order)
            )
            yield RegistrySection(registry.name, _title(registry, plan.base), counts.changes(len(items)), items)


def _title(registry: RegistryBase, base: str) -> str:
    return f"registry {registry.name} ({' '.join((registry.platform, *registry.place(base)))})"


def _access(topic: Topic, said: list[Sentence]) -> Section:
    return Section(topic, tuple(Statement(item.registry, item.text, public=item.public) for item in said))


def _foreign(plan: Plan) -> Section:
    statements = (
        Statement(item.address, sentence.text, (item.address,), sentence.public)
        for item in plan.kept
        for sentence in sentences.given(item)
    )
    return Section(Topic.FOREIGN, tuple(statements))
