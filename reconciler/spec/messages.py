"""pydantic's errors as sentences for people, at their place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from yaml import Node, ScalarNode

from reconciler.errors import Problem
from reconciler.words import all_of, any_of, counted, did_you_mean

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
    "string_unicode": "must be a string in UTF-8",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping (`key: value`)",
    "dataclass_type": "must be a mapping (`key: value`)",
    "mapping_type": "must be a mapping (`key: value`)",
    "model_type": "must be a mapping (`key: value`)",
    "model_attributes_type": "must be a mapping (`key: value`)",
}


IS_REQUIRED = "is required"
#: what would be of the type that is asked for without its quotes: https://yaml.org/type/bool.html
_QUOTED = {
    "bool_type": re.compile("true|false|yes|no|on|off", re.I),
    "int_type": re.compile("[0-9]+"),
    "float_type": re.compile(r"[0-9]+(\.[0-9]+)?"),
}
#: what a model's mapping is missed by
_MAPPINGS = {"dataclass_type", "model_type", "model_attributes_type"}
_A_MAPPING = "must be a mapping"
_A_NUMBER = "must be a number"
#: the end of pydantic's path where a mapping's key is what is wrong
_KEY = "[key]"


def sentence(details: ErrorDetails) -> str:
    """What pydantic found, in words of ours, as the end of a sentence about the value."""
    context = details.get("ctx") or {}
    match details["type"]:
        case "missing" | "union_tag_not_found":
            return IS_REQUIRED
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "unknown key"
        case "too_short" | "string_too_short":
            least = context.get("min_length", 1)
            return "must not be empty" if least == 1 else f"must have at least {least}"
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
    errors = error.errors(include_url=False)
    for details in errors:
        loc = details["loc"]
        if details["type"] == "too_short" and any(item["loc"][:-1] == loc for item in errors):
            continue  # only what is right is counted
        inherited = bool(fallback) and _depth(root, fallback, loc) > _depth(root, at, loc)
        problem = _problem(details, annotation, root, fallback if inherited else at)
        position = (problem.line, problem.column, problem.path)
        there = found.get(position)
        if there is None or details["type"] == "text":  # a union reports each member; our own sentence says most
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
        return problem_at(node, path_text((*_shown(root, base, loc[:-1]), loc[-1])), IS_REQUIRED)
    message = sentence(details)
    raw = node.value if isinstance(node, ScalarNode) else ""
    if unknown_key:
        known = sorted(_keys_at(annotation, loc[:-1]))
        message = f"unknown key{did_you_mean(str(loc[-1]), known) or ' (known: ' + ', '.join(known) + ')'}"
    elif kind == "string_type" and isinstance(node, ScalarNode) and not node.style and raw:
        message = f'YAML reads {raw} as {_yaml_kind(details["input"])}: quote it ("{raw}")'
    elif kind in _QUOTED and _quoted(node, _QUOTED[kind]):
        message = f"{message}, not a string: remove the quotes"
    elif kind in ("literal_error", "union_tag_invalid"):
        expected = context["expected" if kind == "literal_error" else "expected_tags"]
        words = _choices(expected)
        if raw in words:  # the right word as another type: 1 in quotes
            message = f"must be the number {raw}, not a string: remove the quotes"
        else:
            message = f"must be {any_of(words)}, not '{raw}'{did_you_mean(raw, words)}"
    elif kind in _PLAIN and kind not in _MAPPINGS and _shown(root, base, loc) == _shown(root, base, loc[:-1]):
        # a choice between a plain value and a mapping: it was taken for the plain one
        other = list(_models_at(annotation, loc[:-1]))
        message += f", or {_mapping(other, '').removeprefix('must be ')}" if other else ""
    elif kind in _MAPPINGS:
        message = _mapping(list(_models_at(annotation, loc)), raw)
    elif kind == "text" and message.startswith(_A_NUMBER) and _quoted(node, _QUOTED["int_type"]):
        message = f"'{raw}' {message}: remove the quotes"
    elif kind == "text":
        message = f"'{raw}' {message}" if message.startswith("must") and raw else message
    elif kind in ("greater_than_equal", "less_than_equal") and raw:
        message = f"{message}, not {raw}"
    elif kind == "string_too_long":
        message = f"has {counted(len(raw), 'character')}; at most {context['max_length']} are allowed"
    return problem_at(node, path_text(_shown(root, base, loc)), message)


def _quoted(node: Node, pattern: re.Pattern[str]) -> bool:
    """Whether a text is in quotes, and fits the pattern."""
    return isinstance(node, ScalarNode) and node.style in ("'", '"') and pattern.fullmatch(node.value) is not None


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


def _mapping(models: Sequence[type[BaseModel]], raw: str) -> str:
    """That a value must be a mapping, with the keys that one of these models needs and has. `raw`: a text in its place, which is most
    likely meant for the one key that is needed."""
    if not models:
        return _PLAIN["mapping_type"]
    required = [
        key
        for key, field in _fields(models[0])
        if field.is_required() and all(key in dict(_fields(model)) for model in models)
    ]
    known = f" (known: {', '.join(sorted(key for key, _ in _fields(models[0])))})" if len(models) == 1 else ""
    if len(models) == 1 and len(required) == 1 and raw and models[0].model_fields[required[0]].annotation is str:
        return f"{_A_MAPPING}: `{required[0]}: {raw}`{known}"
    return f"{_A_MAPPING}{f' with {all_of(required)}' if required else ''}{known}"


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _models_at(annotation: Any, loc: Loc) -> list[type[BaseModel]]:
    """The models that a value may be of, at a path below the annotation's."""
    models = list(models_of(annotation))
    for part in loc:
        found = [field for model in models for key, field in _fields(model) if key == part]
        if found:
            models = [inner for field in found for inner in models_of(field.annotation)]
        elif isinstance(part, str):
            named = [model for model in models if model.__name__ == part or _has_tag(model, part)]
            models = named or models
    return models


def _keys_at(annotation: Any, loc: Loc) -> set[str]:
    return {key for model in _models_at(annotation, loc) for key, _ in _fields(model)}


def untagged(error: ValidationError, annotation: Any) -> Iterator[tuple[Loc, str, list[type[BaseModel]]]]:
    """Where a value does not say which of several models it is of, or says it wrong: the path, the key that says it, the models."""
    for details in error.errors(include_url=False, include_input=False):
        if details["type"].startswith("union_tag"):
            yield details["loc"], details["ctx"]["discriminator"].strip("'"), _models_at(annotation, details["loc"])


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(
        get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
        for field in model.model_fields.values()
    )
