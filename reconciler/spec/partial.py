"""What is valid of a row that is not: so that what else is wrong with it is reported in the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from .fields import Absent, Fault, Model
from .source import Loc

_NONE: Any = object()


@dataclass
class Part:
    """The valid parts of one value.

    `item`: its model, in which a field that is not valid raises Absent. `indexes`: where the items that a list has left stand in the
    text. `faults`: what the models themselves find wrong. Paths are below the value.
    """

    item: Any = None
    indexes: dict[Loc, list[int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def partial(annotation: Any, value: Any) -> Part:
    """The valid parts of a value that is not valid as a whole; no item where not even its model is known."""
    part = Part()
    item = _valid(annotation, value, (), part)
    part.item = None if item is _NONE else item
    return part


def in_text(loc: Loc, indexes: Mapping[Loc, list[int]]) -> Loc:
    """The path in the text of a path in what was left of it."""
    found: Loc = ()
    for part in loc:
        left = indexes.get(found)
        found = (*found, left[part] if left is not None and isinstance(part, int) else part)
    return found


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models among which an annotation chooses."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from models_of(argument)


def _valid(annotation: Any, value: Any, at: Loc, part: Part) -> Any:
    """The value's valid parts, or _NONE."""
    if isinstance(value, dict):
        model = _model_of(annotation, value)
        if model is not None:
            return _model(model, value, at, part)
        if get_origin(annotation) is dict:
            one = _adapter(annotation)
            return {key: item for key, item in value.items() if _value(one, {key: item}) is not _NONE} or _NONE
    if isinstance(value, list) and get_origin(_bare(annotation)) is tuple:
        return _list(get_args(_bare(annotation))[0], value, at, part)
    return _NONE


def _bare(annotation: Any) -> Any:
    """`tuple[X, ...]` of `Annotated[tuple[X, ...], ...] | None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return annotation
    return next((found for item in get_args(annotation) if get_origin(found := _bare(item)) is tuple), annotation)


def _model_of(annotation: Any, value: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model that the value means, or None where that is not certain."""
    if get_origin(_bare(annotation)) is tuple or get_origin(annotation) is dict:
        return None
    models = list(models_of(annotation))
    tagged = [model for model in models if _tagged(model, value)]
    if tagged or len(models) < 2:
        return next(iter(tagged or models), None)
    return _by_keys(models, value)


def _by_keys(models: list[type[BaseModel]], value: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model with the most of the value's keys, if it is one alone."""
    shared = sorted((len(value.keys() & _names(model)), at) for at, model in enumerate(models))
    return models[shared[-1][1]] if shared[-1][0] > shared[-2][0] else None


def meant_model(models: list[type[BaseModel]], key: str, value: Any) -> tuple[type[BaseModel], str] | None:
    """Of models that a key tells apart, the one that a value means whose key is missing or wrong, and what that should be: by the
    nearest word, else by its other keys; None where that is not certain."""
    if not isinstance(value, dict) or len(models) < 2:
        return None
    tags = {get_args(model.model_fields[key].annotation)[0]: model for model in models if key in model.model_fields}
    near = get_close_matches(str(value.get(key)), tags, n=1)
    model = tags[near[0]] if near else _by_keys(models, value)
    return next(((found, tag) for tag, found in tags.items() if found is model), None)


def _tagged(model: type[BaseModel], value: Mapping[str, Any]) -> bool:
    return any(
        get_origin(info.annotation) is Literal and info.is_required() and value.get(name) in get_args(info.annotation)
        for name, info in model.model_fields.items()
        if isinstance(value.get(name), str)
    )


def _names(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def _model(model: type[BaseModel], value: Mapping[str, Any], at: Loc, part: Part) -> Any:
    found: dict[str, Any] = {}
    meant = {name for key in value.keys() - _names(model) for name in get_close_matches(key, _names(model), n=3)}
    wrong: list[str] = []
    whole = True
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key not in value:
            if info.is_required() or key in meant:  # a key that was misspelt is no default
                wrong.append(name)
            continue
        item = _value(_field_adapter(model, name), value[key])
        if item is _NONE:
            whole = False
            item = _valid(info.annotation, value[key], (*at, key), part)
        if item is _NONE:
            wrong.append(name)
        else:
            found[key] = item
    item = model.model_construct(**found)
    for name in wrong:  # the default is not what the text says
        item.__dict__.pop(name, None)
    if wrong or not whole:  # else it is what pydantic has reported already
        part.faults += _own_fault(item, at)
    return item


def _own_fault(item: BaseModel, at: Loc) -> Iterator[Fault]:
    try:
        fault = item.fault() if isinstance(item, Model) else None
    except Absent:
        return
    if fault is not None:
        yield Fault(at, fault)


def _list(annotation: Any, value: list[Any], at: Loc, part: Part) -> Any:
    found: list[Any] = []
    indexes: list[int] = []
    for index, row in enumerate(value):
        item = _value(_adapter(annotation), row)
        if item is _NONE:
            item = _valid(annotation, row, (*at, index), part)
        if item is not _NONE:
            found.append(item)
            indexes.append(index)
    part.indexes[at] = indexes
    return tuple(found) if found else _NONE


def _value(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return _NONE


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


@cache
def _field_adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    info: FieldInfo = model.model_fields[name]
    annotation: Any = info.annotation
    for item in info.metadata:
        annotation = Annotated[annotation, item]
    return TypeAdapter(annotation)
