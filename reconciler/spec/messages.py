"""pydantic's errors as sentences for people, at their place in the text."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml import Node, ScalarNode

from reconciler.errors import Problem
from reconciler.words import any_of, counted, did_you_mean

from .partial import models_of
from .source import Loc, exists, locate, path_text, problem_at

_PLAIN = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "none_required": "must be null",
    "string_unicode": "must be text in UTF-8",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping (`key: value`)",
    "dataclass_type": "must be a mapping (`key: value`)",
    "mapping_type": "must be a mapping (`key: value`)",
    "model_type": "must be a mapping (`key: value`)",
    "model_attributes_type": "must be a mapping (`key: value`)",
}


#: the end of pydantic's path where a mapping's key is what is wrong
_KEY = "[key]"


def sentence(details: ErrorDetails) -> str:
    """What pydantic found, in words of ours, as the end of a sentence about the value."""
    context = details.get("ctx") or {}
    match details["type"]:
        case "missing" | "union_tag_not_found":
            return "is required"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "unknown key"
        case "too_short" | "string_too_short":
            least = context.get("min_length", 1)
            return "must not be empty" if least == 1 else f"must have {least} or more"
        case "too_long" | "string_too_long":
            return f"must have at most {context['max_length']}"
        case "greater_than_equal":
            return f"must be {context['ge']} or more"
        case "less_than_equal":
            return f"must be {context['le']} or less"
        case "literal_error" | "union_tag_invalid" | "enum":
            expected = context.get("expected") or context["expected_tags"]
            return f"must be {any_of(_choices(expected))}"
        case "value_error" | "assertion_error":
            return str(context["error"])
        case kind:
            return _PLAIN.get(kind, details["msg"])


def first_sentence(error: ValidationError) -> str:
    """The first thing that is wrong, with its path: `changes.0.action: must be create or delete`."""
    details = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, details["loc"])), sentence(details)) if part)


def _choices(expected: str) -> list[str]:
    return [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def problems_of(error: ValidationError, annotation: Any, root: Node, at: Loc, fallback: Loc = ()) -> list[Problem]:
    """The problems of one validated item. `at`: the item's path; `fallback`: where its merged defaults stand."""
    found: dict[tuple[int, int, str], Problem] = {}
    for details in error.errors(include_url=False):
        loc = details["loc"]
        inherited = bool(fallback) and _depth(root, fallback, loc) > _depth(root, at, loc)
        problem = _problem(details, annotation, root, fallback if inherited else at)
        position = (problem.line, problem.column, problem.path)
        if (
            position not in found or details["type"] == "text"
        ):  # a union reports each member; our own sentence says most
            found[position] = problem
    return list(found.values())


def _depth(root: Node, base: Loc, loc: Loc) -> int:
    """How many parts of a path the text has below `base`."""
    at = base
    for part in loc:
        at = (*at, part) if exists(root, (*at, part)) else at
    return len(at) - len(base)


def _problem(details: ErrorDetails, annotation: Any, root: Node, base: Loc) -> Problem:
    kind, loc = details["type"], details["loc"]
    context = details.get("ctx") or {}
    unknown_key = kind == "extra_forbidden"
    if kind.startswith("union_tag"):
        loc = (*loc, context["discriminator"].strip("'"))
    node = locate(root, (*base, *loc), key=unknown_key or loc[-1:] == (_KEY,))
    if kind == "missing" or kind == "union_tag_not_found":
        node = locate(root, (*base, *loc[:-1]))
        return problem_at(node, path_text((*_shown(root, base, loc[:-1]), loc[-1])), "is required")
    message = sentence(details)
    raw = node.value if isinstance(node, ScalarNode) else ""
    if unknown_key:
        known = sorted(_keys_at(annotation, loc[:-1]))
        message = f"unknown key{did_you_mean(str(loc[-1]), known) or ' (known: ' + ', '.join(known) + ')'}"
    elif kind == "string_type" and isinstance(node, ScalarNode) and not node.style and raw:
        message = f'YAML reads {raw} as {_yaml_kind(details["input"])}: quote it ("{raw}")'
    elif kind in ("literal_error", "union_tag_invalid"):
        expected = context["expected" if kind == "literal_error" else "expected_tags"]
        words = _choices(expected)
        if raw in words:  # the right word as another type: 1 in quotes
            message = f"must be the number {raw}, not a text: leave out the quotes"
        else:
            message = f"must be {any_of(words)}, not '{raw}'{did_you_mean(raw, words)}"
    elif kind == "text":
        message = f"'{raw}' {message}" if message.startswith("must") and raw else message
    elif kind in ("greater_than_equal", "less_than_equal") and raw:
        message = f"{message}, not {raw}"
    elif kind == "string_too_long":
        message = f"has {counted(len(raw), 'character')}; at most {context['max_length']} are allowed"
    return problem_at(node, path_text(_shown(root, base, loc)), message)


def _yaml_kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "nothing"


def _shown(root: Node, base: Loc, loc: Loc) -> Loc:
    """The path without the parts that pydantic adds for the members of unions."""
    shown: Loc = base
    for part in loc:
        if exists(root, (*shown, part)):
            shown = (*shown, part)
    return shown


def _keys_at(annotation: Any, loc: Loc) -> set[str]:
    models = list(models_of(annotation))
    for part in loc:
        fields = [
            field for model in models for key, field in model.model_fields.items() if (field.alias or key) == part
        ]
        if fields:
            models = [inner for field in fields for inner in models_of(field.annotation)]
        elif isinstance(part, str):
            models = [model for model in models if _has_tag(model, part)] or models
    return {field.alias or key for model in models for key, field in model.model_fields.items()}


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(
        get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
        for field in model.model_fields.values()
    )
