"""Reviews of specs of this build's platforms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from reconciler.errors import Problem, ReconcilerError, SpecError
from reconciler.platforms.catalog import CATALOG, Spec
from reconciler.review.document import OWNER, UNNAMED, ErrorPart, ReviewDocument, SpotPart, unreadable
from reconciler.review.edits import edits
from reconciler.review.make import make_review
from reconciler.review.model import Review
from reconciler.review.unknown import named
from reconciler.review.unknown import unknown as unknown_in
from reconciler.spec import loader
from reconciler.spec.source import bytes_of, files_of, is_stream
from reconciler.spec.validation import Known
from reconciler.spec.variables import StandIns

#: what the name of a base's file begins with in an error
_BASE = "base "
#: where a text has the name of its spec
_NAME = re.compile(rf"""^\{{?[ ]{{0,2}}"?name"?: *["']?({OWNER})["']? *,?(?: #.*)?$""", re.MULTILINE)


def review(
    base: str | Path | None,
    head: str | Path,
    *,
    folder: str = "",
    shown: str = "",
    environ: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
    whole: bool = False,
) -> Review:
    """What the change from one spec to another means; each a file or a folder. `base`: None if there was no spec, so that all of the
    head is new. Makes no call, and reads no environment variable but those in `environ`: what any other stands for is unknown, and
    may be anything.

    `folder`: what the names of the base's files begin with, and `shown`: what they are said to begin with instead. `warnings`: to be
    said in the review. `whole`: as for `make_review`.

    Raises SpecError with every problem of either spec.
    """
    unknown = StandIns(environ or {})
    if base is None:
        with TemporaryDirectory(prefix="reconciler-base-") as into:
            nothing = Path(into, "base.yaml")
            nothing.write_text(f"version: 1\nname: {json.dumps(_load(head, unknown).name)}\n")
            return review(nothing, head, environ=environ, warnings=warnings, whole=whole)
    before = _load(base, unknown, folder)
    stood_for = dict(unknown)
    was = before.take_text()
    after = _load(head, unknown, known=Known(before, was.values))
    if any(unknown[name] != text for name, text in stood_for.items()):
        before = _load(base, unknown, folder)  # what stands for a variable is another since
        was = before.take_text()
    was.folder, was.shown = folder, shown
    now = after.take_text()
    differing, start = edits(was, now), now.spot(())
    del was, now  # as large as the specs
    found = make_review(before, after, differing, unknown, CATALOG, warnings, whole=whole)
    return replace(unknown_in(found, dict(unknown)), spot=start)


def faults(error: SpecError, base: str | Path | None, head: str | Path) -> ReviewDocument:
    """The document of a review that could not be made, since a spec can't be read: each fault with its place in the head."""
    return unreadable(_name_in(head) or _name_in(base) or UNNAMED, map(_error, error.problems))


def _error(problem: Problem) -> ErrorPart:
    if problem.file.startswith(_BASE):
        return ErrorPart(message=str(problem), place=None)
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return ErrorPart(message=message, place=SpotPart(file=problem.file, line=problem.line, column=problem.column))


def _name_in(path: str | Path | None) -> str:
    """The name that a spec has in its text, which may be broken; "" if none is found."""
    if path is None or is_stream(Path(path)):
        return ""
    try:
        texts = [bytes_of(file).decode("utf-8", "replace") for file in files_of(Path(path)) if file.is_file()]
    except (OSError, ValueError):
        return ""
    return next((match[1] for text in texts if (match := _NAME.search(text))), "")


def read_review(path: str | Path) -> ReviewDocument:
    """A review that was saved as JSON. Raises ReconcilerError if it is none."""
    try:
        return ReviewDocument.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise ReconcilerError(f"{path} can't be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise ReconcilerError(f"{path} is no review saved by `review --format json`: {where}: {first['msg']}") from None


def _load(path: str | Path, unknown: StandIns, folder: str = "", known: Known | None = None) -> Spec:
    """The spec, with stand-ins for variables that look as each place needs it."""
    while True:
        try:
            return loader.load_spec(path, unknown, model=Spec, text=True, known=known)
        except SpecError as error:
            wrong = {name for problem in error.problems for name in unknown.uses.get(_place(problem), ())}
            if wrong and unknown.another(wrong):
                continue
            said = [replace(item, message=named(item.message, dict(unknown))) for item in error.problems]
            if not folder:
                raise SpecError(said) from None
            raise SpecError([replace(item, file=f"{_BASE}{item.file.removeprefix(folder)}") for item in said]) from None


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column
