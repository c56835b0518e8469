"""Reviews of specs of this build's platforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from reconciler.errors import Problem, ReconcilerError, SpecError
from reconciler.platforms.catalog import CATALOG, Spec
from reconciler.review.document import ReviewDocument
from reconciler.review.edits import edits
from reconciler.review.make import make_review
from reconciler.review.model import Review
from reconciler.review.unknown import unknown as unknown_in
from reconciler.spec import loader
from reconciler.spec.validation import Known
from reconciler.spec.variables import StandIns


def review(
    base: str | Path,
    head: str | Path,
    *,
    folder: str = "",
    shown: str = "",
    environ: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
    whole: bool = False,
) -> Review:
    """What the change from one spec to another means; each a file or a folder. Makes no call, and reads no environment variable but
    those in `environ`: what any other stands for is unknown, and may be anything.

    `folder`: what the names of the base's files begin with, and `shown`: what they are said to begin with instead. `warnings`: to be
    said in the review. `whole`: as for `make_review`.

    Raises SpecError with every problem of either spec.
    """
    unknown = StandIns(environ or {})
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
            if not folder:
                raise
            problems = [replace(item, file=f"base {item.file.removeprefix(folder)}") for item in error.problems]
            raise SpecError(problems) from None


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column
