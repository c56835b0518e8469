"""Values that a spec takes from the environment, which a review does not read: whoever they name may be anybody. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.engine.guard import Verdict
from reconciler.engine.plan import Plan
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.words import all_of, any_of, plural

from .model import Finding, Review, Risk

#: what is so whatever the variables stand for
_SURE = (Risk.CREATES, Risk.COSMETIC)
#: the parts of what stands for a variable that no spec has by chance
_PART = re.compile(
    r"(?:0-)?unknown-[0-9a-f]{12}|o-[0-9a-f]{12}(?:/r-[0-9a-f]{4})?|us-un[a-j]+-1|\b[0-9]{12}\b|[0-9a-f]{12}"
)
#: texts, each with what is said in its place
Pieces = Sequence[tuple[str, str]]
#: the end of what hangs on a variable
NOT_KNOWN = "(what the variable stands for is not known here)"
#: of a principal that a variable names
ANYBODY = "whoever that is: it may be anybody"


def unknown(review: Review, variables: Mapping[str, str]) -> Review:
    """The review with the names of the variables in place of what stands for their values."""
    if not variables:
        return review
    pieces = _pieces(variables)
    names = all_of([f"${{env:{name}}}" for name in sorted(variables)])
    stand = plural(len(variables), "stands", "stand")
    warning = (
        f"a review reads no environment variable unless --env names it: what {names} {stand} for is not known here"
    )
    return replace(
        review,
        owner=_text(review.owner, pieces),
        plan=_plan(review.plan, pieces),
        findings=tuple(_same_perhaps([_finding(finding, pieces) for finding in review.findings])),
        by_base=_verdicts(review.by_base, pieces),
        warnings=(*review.warnings, warning),
    )


def _plan(plan: Plan, pieces: Pieces) -> Plan:
    problems = tuple(
        replace(item, address=Address(_text(item.address, pieces)), message=_text(item.message, pieces))
        for item in plan.problems
    )
    return replace(plan, problems=problems, verdicts=_verdicts(plan.verdicts, pieces))


def _verdicts(verdicts: Iterable[Verdict], pieces: Pieces) -> tuple[Verdict, ...]:
    return tuple(
        replace(
            item,
            message=_unsure(item.message, pieces),
            addresses=tuple(Address(_text(address, pieces)) for address in item.addresses),
        )
        for item in verdicts
    )


def _same_perhaps(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings; who loses what somebody unknown gains may be that somebody, and lose nothing."""
    strangers: dict[tuple[str, str, str, str], list[Access]] = {}
    for access in (access for finding in findings for access in finding.gains if ANYBODY in access.note):
        strangers.setdefault((access.registry, access.repository, access.verb, access.where), []).append(access)
    for finding in findings:
        losses = []
        for access in finding.losses:
            key = access.registry, access.repository, access.verb, access.where
            same = [
                item.principal.label
                for item in strangers.get(key, ())
                if item.principal.account in ("", access.principal.account) or "$" in item.principal.account
            ]
            if same:
                note = ", ".join(filter(None, (access.note, f"unless that is {any_of(sorted(same))}")))
                access = replace(access, may=True, note=note)
            losses.append(access)
        both = (*finding.gains, *losses)
        narrows = finding.risk is Risk.NARROWS
        yield replace(
            finding, losses=tuple(losses), may=all(item.may for item in both) if narrows and both else finding.may
        )


def _finding(finding: Finding, pieces: Pieces) -> Finding:
    gains, losses = (_given(items, pieces) for items in (finding.gains, finding.losses))
    both = (*gains, *losses)
    is_access = finding.risk in (Risk.WIDENS, Risk.NARROWS)
    messages = tuple(_text(message, pieces) for message in finding.messages)
    unsure = messages != finding.messages or any(_text(item, pieces) != item for item in finding.addresses)
    return replace(
        finding,
        messages=messages,
        addresses=tuple(Address(_text(address, pieces)) for address in finding.addresses),
        gains=gains,
        losses=losses,
        may=all(item.may for item in both)
        if is_access and both
        else finding.may or (unsure and finding.risk not in _SURE),
    )


def _given(items: Iterable[Access], pieces: Pieces) -> tuple[Access, ...]:
    found = []
    for item in items:
        label = _text(item.principal.label, pieces)
        before = item
        item = replace(
            item,
            verb=_text(item.verb, pieces),
            note=_text(item.note, pieces),
            repository=_text(item.repository, pieces),
            where=_text(item.where, pieces),
        )
        if item != before:  # what it is about is not known
            item = replace(item, may=True)
        if label == item.principal.label:
            found.append(item)
            continue
        principal = replace(item.principal, label=label, account=_text(item.principal.account, pieces))
        account = item.principal.account
        known = f" in account {account}" if account and _text(account, pieces) == account else ""
        note = ", ".join(filter(None, (item.note, f"{ANYBODY}{known}")))
        found.append(replace(item, principal=principal, may=True, note=note))
    return tuple(sorted(found))


def _unsure(text: str, pieces: Pieces) -> str:
    found = _text(text, pieces)
    return found if found == text else f"{found} {NOT_KNOWN}"


def named(text: str, variables: Mapping[str, str]) -> str:
    """The text with the names of variables in the place of what stands for them. `variables`: to that."""
    return _text(text, _pieces(variables))


def _text(text: str, pieces: Pieces) -> str:
    for piece, said in pieces:
        if piece in text:
            text = text.replace(piece, said)
    return text


def _pieces(variables: Mapping[str, str]) -> Pieces:
    """What stands for variables, and the parts of it that a principal's name is made of, each with what is said instead; the longest
    first."""
    found = {
        piece: f"${{env:{name}}}"
        for name, value in sorted(variables.items())
        for piece in (value, value.removesuffix("/*"), *_PART.findall(value))
        if piece
    }
    return sorted(found.items(), key=lambda item: (-len(item[0]), item))
