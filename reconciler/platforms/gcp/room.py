"""The room that a repository's labels have for the record of its policy's members, and an account's description for its marks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.words import counted

from . import description, record
from .labels import MAX_LABELS
from .ledgers import AccountLedger
from .repository_settings import labels_taken

if TYPE_CHECKING:
    from .session import GcpSession


def missing(item: Desired, wanted: Mapping[Address, Desired], live: Live | None) -> str | None:
    """Why the labels of a repository have no room for the record of its members, with the numbers; or None. Pure."""
    home = wanted.get(item.address.sibling("repository"))
    if home is None:
        return None
    others = json.loads(live.rest or "{}").get("labels", {}) if live is not None else {}
    fixed = labels_taken(home.settings, live is not None and live.marks.adopted) + len(others)
    room = MAX_LABELS - fixed
    count = len(item.settings.bindings)
    if record.labels_for(count) <= room:
        return None
    theirs = f", {counted(len(others), 'label')} of somebody else" if others else ""
    said = len(home.settings.labels)
    return (
        f"{counted(count, 'member')} of its IAM policy need {counted(record.labels_for(count), 'label')} to record that they are"
        f" this spec's, {record.EACH} in each; Artifact Registry allows {MAX_LABELS}: {max(room, 0)} are left"
        f" beside {counted(said, 'label')} of the spec and {fixed - len(others) - said} marks{theirs}:"
        " grant groups instead of single principals, or remove labels"
    )


def in_description(
    session: GcpSession, item: Desired, live: Live | None, wanted: Mapping[Address, Desired]
) -> dict[Address, str]:
    """Why an account's description has no room for its marks, with the numbers, by the addresses of what stands there: the account,
    and the locations that are yet to be noted. Empty if there is room.

    Counted is what stands there at most while a run is under way: the record of whom the spec wants beside that of who is there, and
    the locations of then and of now, those too whose notes are gone and are made again.
    """
    at = item.address
    hashes = {one.hash for one in (*item.settings.bindings, *(live.settings.bindings if live is not None else ()))}
    applied = applied_hash(item.settings)
    adopted = live is not None and (live.marks.adopted or live.marks.owner is None)
    marks = Marks(session.owner, "spec", applied, session.name, adopted)
    texts = {**marks.texts(), **({description.MEMBERS: record.sealed(hashes)} if hashes else {})}
    new: dict[Address, str] = {}
    if at == description.carrier_of(session.registry):
        ledger = session.ledger(AccountLedger)
        noted = {*ledger.locations(ledger.texts(at))}
        new = {one: one.name for one in wanted if one.kind == "location" and one.name not in noted}
        places = {*noted, *new.values(), *session.unnoted}
        texts |= {f"{description.AT}{location}": applied for location in sorted(places)}
    rest = json.loads(live.rest) if live is not None and live.rest else {}
    theirs = [str(rest.get(part, "")) for part in ("description", "behind")]
    fault = description.too_long(description.written(texts, *theirs))
    if fault is None:
        return {}
    fewer = ["trust a group instead of single principals"] if len(hashes) > 1 else []
    shorten = ["shorten what somebody else wrote there"] if any(theirs) else []
    advice = ", or ".join([*fewer, *shorten])
    said = f"{fault}{f'; {advice}' if advice else ''}"
    return {at: f"its {said}", **dict.fromkeys(new, f"it is noted on {at}, whose {said}")}
