"""What a reader of each plan must know of a repository that is there: what others' cleanup policies delete, and that nothing is
scanned. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from reconciler.model.resource import Live
from reconciler.model.weakening import Weakening
from reconciler.platforms.rescue import GOES_ALONG
from reconciler.words import all_of, plural

from . import cleanup, labels
from .repository_settings import UNSCANNED, RepositorySettings, foreign_cleanup, in_dry_run, others_on, parts_of


def said(live: Live, wanted: RepositorySettings, *, changed: bool) -> Iterator[str]:
    """The sentences. `changed`: whether the repository changes, so that what is so from then on is said as a weakening."""
    for note in live.notes:
        if wanted.scan_on_push or not note.startswith(UNSCANNED):
            yield note
    theirs = foreign_cleanup(live)
    deleting = cleanup.deleting(theirs)
    dry_run = in_dry_run(live)
    for name in deleting:
        if not dry_run and not (changed and _kept_no_longer(live, wanted)):
            yield f"{_deletes(live, wanted, name)}; {removal(live, name)}"
    if changed and (rest := theirs if dry_run and not wanted.cleanup else theirs.keys() - deleting.keys()):
        also = ", ".join(cleanup.shown_foreign({name: theirs[name] for name in rest}))
        dry = "; they delete nothing, since they are in a dry run" if dry_run and not wanted.cleanup else ""
        yield f"has cleanup policies that were not made from a spec: {also}{dry}"


def weaker(live: Live, wanted: RepositorySettings) -> Iterator[Weakening]:
    """What others' cleanup policies delete after an apply and did not before."""
    went = _kept_no_longer(live, wanted)
    for name in cleanup.deleting(foreign_cleanup(live)):
        if in_dry_run(live) and wanted.cleanup:
            end = ": the retention of the spec ends their dry run"
        elif went and not in_dry_run(live):
            end = f", those too that the retention has kept ({all_of(went)})"
        else:
            continue
        yield Weakening("retention", f"after the apply, {_deletes(live, wanted, name)}{end}; {removal(live, name)}")


def going_along(live: Live) -> Iterator[str]:
    """What others have on it that goes when it is deleted, beside access, in sentences."""
    if live.owed:
        yield GOES_ALONG
    if theirs := labels.shown(others_on(live)):
        yield f"somebody else's {plural(len(theirs), 'label goes', 'labels go')} with it: {', '.join(theirs)}"
    if theirs := cleanup.shown_foreign(foreign_cleanup(live)):
        go = plural(len(theirs), "cleanup policy goes", "cleanup policies go")
        yield f"somebody else's {go} with it: {', '.join(theirs)}"


def unscanned_before(live: Live, found: Weakening) -> Weakening:
    """What is said of scanning that is turned off, where nothing is scanned as it is."""
    if found.setting != "scan_on_push" or not any(note.startswith(UNSCANNED) for note in live.notes):
        return found
    return replace(found, what="its images are not scanned either if the project's scanning API is turned on later")


def removal(live: Live, name: str) -> str:
    """How a cleanup policy is removed: https://cloud.google.com/sdk/gcloud/reference/artifacts/repositories/delete-cleanup-policies"""
    project, location, identifier = parts_of(live.native)
    where = f"--location {location} --project {project}"
    return (
        f"to remove it, run `gcloud artifacts repositories delete-cleanup-policies {identifier} {where}"
        f" --policynames {shlex.quote(name)}`"
    )


def _deletes(live: Live, wanted: RepositorySettings, name: str) -> str:
    theirs = foreign_cleanup(live)
    what = cleanup.words(theirs[name]).removeprefix("delete ")
    unless = " that no other policy keeps" if cleanup.keeping(wanted.cleanup, theirs) and "keeps" not in what else ""
    return f"the cleanup policy '{name}', which is not from a spec, deletes {what}{unless}"


def _kept_no_longer(live: Live, wanted: RepositorySettings) -> list[str]:
    """What our policies keep now, if they keep nothing after the apply; where they delete all else, that is said by itself."""
    settings: RepositorySettings = live.settings
    return cleanup.kept_in_words(settings.cleanup) if not cleanup.kept_in_words(wanted.cleanup) else []
