"""Why settings differ, by the hash of what was last applied, and what of them does. Pure."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.canonical import applied_hash, records
from reconciler.model.change import Cause, FieldChange
from reconciler.model.marks import APPLIED, ORIGIN, REGISTRY
from reconciler.model.resource import Desired, Live


def cause(mark: str | None, wanted: Desired, live: Live, apart: str = "") -> Cause:
    """Why settings differ, by the hash of what was last applied; never a guess. `apart`: a setting that may differ without that
    anybody has changed what is there; "" if none may."""
    if mark is None:
        return Cause.CHANGED
    as_wanted = records(mark, wanted.settings)
    there = replace(live.settings, **{apart: getattr(wanted.settings, apart)}) if apart else live.settings
    as_live = records(mark, there)
    if as_wanted is None or as_live is None:
        return Cause.CHANGED
    if as_wanted:
        return Cause.OUTDATED if apart and there == wanted.settings else Cause.DRIFT
    return Cause.PENDING if as_live else Cause.BOTH


def mark_of(wanted: Desired, live: Live) -> bool | None:
    """Whether what is wanted is what was last applied; None if nothing is recorded, or in a form that is unknown here."""
    return None if live.marks.applied is None else records(live.marks.applied, wanted.settings)


def marks_written(wanted: Desired, live: Live) -> tuple[FieldChange, ...]:
    """The fields of a change that writes nothing but our marks: those that are not as they should be."""
    marks = live.marks
    well = marks.applied is not None and records(marks.applied, wanted.settings) is not False
    if well and not (marks.registry and marks.origin == "spec"):
        registry = () if marks.registry else (FieldChange(REGISTRY, None, wanted.address.registry),)
        return (*(() if marks.origin == "spec" else (FieldChange(ORIGIN, marks.origin, "spec"),)), *registry)
    return (FieldChange(APPLIED, marks.applied, applied_hash(wanted.settings)),)


def changed_settings(wanted: Desired, live: Live | None) -> frozenset[str]:
    """The top-level settings that differ; empty when the marks alone are written, or all is new."""
    if live is None:
        return frozenset()
    names = type(wanted.settings).__dataclass_fields__
    return frozenset(name for name in names if getattr(wanted.settings, name) != getattr(live.settings, name))
