"""The room that a repository's labels have for the record of its policy's members. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.model.address import Address
from reconciler.model.resource import Desired, Live
from reconciler.words import counted

from . import record
from .labels import MAX_LABELS
from .repository_settings import labels_taken


def missing(item: Desired, wanted: Mapping[Address, Desired], live: Live | None) -> str | None:
    """Why the labels of a repository have no room for the record of its members, with the numbers; or None."""
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
