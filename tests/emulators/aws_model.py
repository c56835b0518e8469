"""What botocore's service model says of calls: which requests AWS refuses, by their shapes alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session

_TYPES: dict[str, Any] = {"structure": dict, "list": list, "string": str, "integer": int}


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)


def request_faults(service: str, operation: str, body: dict[str, Any]) -> list[str]:
    """What is wrong with a request, against the operation's published shape: members, types, lengths, patterns and values."""
    return list(_faults(body, _service(service).operation_model(operation).input_shape, operation))


def _faults(value: Any, shape: Any, at: str) -> Iterator[str]:
    if not isinstance(value, _TYPES[shape.type_name]):
        yield f"{at} must be of type {shape.type_name}"
        return
    if shape.type_name == "structure":
        yield from (f"{at}.{name} is required" for name in shape.required_members if name not in value)
        for name, item in value.items():
            if name not in shape.members:
                yield f"{at}.{name} is unknown"
            else:
                yield from _faults(item, shape.members[name], f"{at}.{name}")
        return
    rules = shape.metadata
    size = value if isinstance(value, int) else len(value)
    if not rules.get("min", size) <= size <= rules.get("max", size):
        yield f"{at} must be {rules.get('min', 0)} to {rules.get('max')}, not {size}"
    if shape.type_name == "list":
        for index, item in enumerate(value):
            yield from _faults(item, shape.member, f"{at}[{index}]")
    if "pattern" in rules and re.fullmatch(rules["pattern"], value) is None:
        yield f"{at} must match {rules['pattern']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"{at} must be one of {rules['enum']}"
