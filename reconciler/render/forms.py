"""A plan as a text, in the form that is asked for."""

from __future__ import annotations

from typing import Literal, get_args

from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.errors import ReconcilerError
from reconciler.words import any_of, did_you_mean

from .markdown import plan_markdown
from .report import report_of
from .text import joined, plan_lines

Form = Literal["text", "markdown", "json"]


def render(plan: Plan, form: Form = "text") -> str:
    """The plan as `reconciler plan --full --format FORM` prints it, without colours; it ends in a newline.

    `text` is for people, `markdown` for a comment on a pull request, `json` is the plan file. Raises ReconcilerError
    for another form.
    """
    if form == "json":
        return dumps(plan)
    if form == "markdown":
        return plan_markdown(report_of(plan))
    if form == "text":
        return joined(plan_lines(report_of(plan)))
    near = did_you_mean(str(form), get_args(Form))
    raise ReconcilerError(f"{form!r} is not an output format of a plan{near}: {any_of(get_args(Form))}")
