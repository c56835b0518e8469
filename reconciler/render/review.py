"""A review as text, and what every form of it says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.model.access import Access
from reconciler.places import Spot
from reconciler.review.document import risks_of
from reconciler.review.model import Finding, Review, Risk
from reconciler.review.unknown import NOT_KNOWN
from reconciler.words import all_of, counted, one_line

from .escapes import no_command
from .sentences import Sentence, gained, lost

#: what --fail-on takes beside risks
GUARDS = "guards"
#: what a review has no findings of
NOTHING = "the change of the spec has no effect: nobody gains or loses access, and nothing is changed"
#: where there is more than could be reviewed
NOTHING_READ = "nothing changes of what was reviewed"
#: of a spec that has faults
UNREADABLE = "the spec can't be read"
#: after the findings: what nobody can tell without the platforms
UNKNOWN = (
    "It compares two specs alone: access that others granted on the platform, and changes made there by hand, are not"
    " known here."
)


#: what lets somebody change what others pull
_CHANGES = re.compile(r"\b(?:change or delete|delete|push)\b")


def sentences(finding: Finding) -> list[str]:
    """What a finding says, a sentence each: on access first, the worst of that before all else."""
    gains, losses = (_told_apart(given, finding.several) for given in (finding.gains, finding.losses))
    return [*_worst_first(gained(gains)), *_worst_first(lost(losses)), *finding.messages]


def _told_apart(given: Iterable[Access], several: Collection[str]) -> Iterator[Access]:
    """The access with the registry's name before that of a repository which more than one registry has."""
    for access in given:
        name = access.repository
        yield replace(access, repository=f"{access.registry}/{name}") if name in several else access


def _worst_first(access: Iterable[Sentence]) -> list[str]:
    """What is about everyone, then who can change what others pull, then the rest, each in its order."""
    found = sorted(access, key=lambda item: (not item.public, _CHANGES.search(item.what) is None))
    return [sentence.text for sentence in found]


def place(finding: Finding) -> str:
    """Where a finding's cause is: `FILE:LINE:COLUMN`, and where the base has it; "" if nowhere."""
    here = finding.spot.at if finding.spot else ""
    if finding.base is None or not finding.removed:
        return here
    return f"{here} (base {finding.base.at})"


def base_of(finding: Finding) -> str:
    """Where the base has what was removed, as the end of a sentence; "" if nothing was."""
    there = finding.base if finding.removed else None
    return f" (removed from the base's {there.at})" if there is not None else ""


def objections(review: Review) -> Iterator[tuple[str, str]]:
    """What stops the plan, by its name: guards of the head and of the base, and problems."""
    yield from ((item.guard, item.message) for item in review.by_head)
    yield from ((str(item.address), item.message) for item in review.plan.problems)
    for item in review.loosened:
        yield item.guard, f"{item.message} (by the base's guards, which this change loosens)"


def headline(review: Review) -> str:
    """What the change does, in a line: `destroys and widens (3 findings)`."""
    head, base = ([item.message for item in given] for given in (review.by_head, review.loosened))
    stops = stopping(head, base, problems=bool(review.plan.problems))
    found = [(finding.risk, finding.title) for finding in review.findings]
    return f"{counted_risks(found, unread=bool(review.unread))}{stops}"


def stopping(head: Collection[str], base: Collection[str], *, problems: bool) -> str:
    """What stops the plan, as the end of a headline; "" if nothing does. `head`, `base`: what the guards of each object to."""
    sure = not perhaps(head)
    some = [word for word, there in (("guards", head and sure), ("problems", problems)) if there]
    if some:
        return f"; {all_of(some)} stop the plan{'' if sure else ', and guards may'}"
    would = "may" if perhaps(base) else "would"
    if head:
        return f"; guards may stop the plan{', and those of the base would' if base and would == 'would' else ''}"
    return f"; guards of the base {would} stop the plan" if base else ""


def perhaps(messages: Collection[str]) -> bool:
    """Whether all that guards object to hangs on variables that are not known, and there is something."""
    return bool(messages) and all(message.endswith(NOT_KNOWN) for message in messages)


def counted_risks(findings: Sequence[tuple[Risk, str]], *, unread: bool = False) -> str:
    """The risks of findings in words, `may` where all findings of one may only be so. `findings`: each one's risk and title.
    `unread`: whether there is more that was not reviewed."""
    if not findings:
        return NOTHING_READ if unread else NOTHING
    titles: list[str] = []
    for risk in risks_of(risk for risk, _ in findings):
        some = [title for one, title in findings if one is risk]
        titles.append(risk.value if risk.value in some else some[0])
    return f"{all_of(titles)} ({counted(len(findings), 'finding')})"


def review_text(review: Review) -> str:
    """The whole review, for a terminal."""
    return "".join(f"{no_command(line)}\n" for line in _lines(review))


def _lines(review: Review) -> Iterator[str]:
    for finding in review.findings:
        yield f"{finding.title}: {one_line(place(finding)) or 'the spec as a whole'}"
        yield from (f"  {one_line(sentence)}" for sentence in sentences(finding))
        yield ""
    if review.by_head:
        may = "may " if perhaps([item.message for item in review.by_head]) else ""
        yield f"Guards that {may}stop the plan"
        yield from (f"  {item.guard}: {one_line(item.message)}" for item in review.by_head)
        yield ""
    if review.loosened:
        would = "may" if perhaps([item.message for item in review.loosened]) else "would"
        yield f"Guards of the base that {would} stop the plan, and that the head loosens"
        yield from (f"  {item.guard}: {one_line(item.message)}" for item in review.loosened)
        yield ""
    for name, platform in review.unread.items():
        yield f"Not reviewed: registry {one_line(name)}, since platform {one_line(platform)} is not in this build."
    yield from (f"Warning: {one_line(warning)}" for warning in review.warnings)
    if review.plan.problems:
        yield "Problems that stop the plan"
        yield from (f"  {item.address}: {one_line(item.message)}" for item in review.plan.problems)
        yield ""
    yield f"Review of {one_line(review.owner)}: {headline(review)}."
    if review.verdict not in ((), (Risk.COSMETIC,)):
        yield UNKNOWN


def spot_in(spot: Spot | None) -> dict[str, object] | None:
    """A place as JSON."""
    return None if spot is None else {"file": spot.file, "line": spot.line, "column": spot.column}
