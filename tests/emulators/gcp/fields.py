"""Proto3's JSON: enums as words or numbers, names in camel or snake case, durations, masks. Pure functions.

https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .wire import Document, camel, invalid, snake


@dataclass(frozen=True)
class Enum:
    """An enum's words; a word's place is its number, the first of them means unset, and `-` is a number that has no word."""

    name: str
    words: tuple[str, ...]

    def word(self, value: Any, path: str) -> str:
        """The word of a value that was sent as a word in any case or as a number. Raises Refusal for any other."""
        word = value.upper() if isinstance(value, str) else "-"
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self.words):
            word = self.words[value]
        if word == "-" or word not in self.words:
            # the wording is not recorded
            raise invalid(f"Invalid value at '{path}' (type.googleapis.com/{self.name}), {_shown(value)}")
        return word


@dataclass(frozen=True)
class Message:
    """A message's fields by their camel-case names. `output`: names of fields that clients may send but not set."""

    fields: Mapping[str, Any]
    output: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Map:
    """A map from strings to a field."""

    values: Any


@dataclass(frozen=True)
class Repeated:
    """A list of a field."""

    items: Any


#: a duration, and anything that is kept as it was sent
DURATION, ANY = "duration", "any"


def read(schema: Message, sent: Any, path: str) -> Document:
    """What a client sent, in canonical form: camel case, enums as words, durations in seconds, without what is unset.

    A name that the message has not is an error, in the words of https://github.com/router-for-me/CLIProxyAPI/issues/1531.

    Proto3 has no difference between unset and its default, and an answer has no defaults
    (https://protobuf.dev/programming-guides/json/#presence); an empty dockerConfig comes back as none
    (hashicorp/terraform-provider-google#14846). Raises Refusal for unknown names and for values of a wrong type.
    """
    if not isinstance(sent, dict):
        raise invalid(f"Invalid value at '{path}', {_shown(sent)}")
    found: Document = {}
    for name, value in sent.items():
        known = name if name in schema.fields else camel(name)
        if known not in schema.fields and known not in schema.output:
            where = "" if path == "request" else f" at '{path}'"
            raise invalid(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')
        if value is None or known in schema.output:
            continue
        item = _value(schema.fields[known], value, f"{path}.{snake(known)}")
        if item not in ("", False, 0, {}, []):
            found[known] = item
    return found


def _value(kind: Any, value: Any, path: str) -> Any:
    if isinstance(kind, Message):
        return read(kind, value, path)
    if isinstance(kind, Map) and isinstance(value, dict):
        # an entry of a map is there even where it is empty
        return {key: _value(kind.values, item, f"{path}[{key}].value") for key, item in value.items()}
    if isinstance(kind, Repeated) and isinstance(value, list):
        return [_value(kind.items, item, f"{path}[{number}]") for number, item in enumerate(value)]
    if isinstance(kind, Enum):
        word = kind.word(value, path)
        return "" if word == kind.words[0] else word
    if kind == DURATION:
        return duration(value, path)
    if kind is int and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if kind == ANY or (
        isinstance(kind, type) and isinstance(value, kind) and (kind is bool) == isinstance(value, bool)
    ):
        return value
    raise invalid(f"Invalid value at '{path}', {_shown(value)}")


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def duration(value: Any, path: str) -> str:
    """A duration in seconds, as `1209600s`, which may be sent as `1209600.0s`, as gcloud 528 does. Raises Refusal for `14d`.

    https://protobuf.dev/programming-guides/json/: seconds with up to nine digits after the point, and `s`. Terraform's users write
    days, which its provider expands (https://github.com/simple-container-com/api/pull/384).
    """
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)s", value) if isinstance(value, str) else None
    if found is None or Decimal(found.group(1)) > 315_576_000_000:
        raise invalid(f"Invalid value at '{path}' (type.googleapis.com/google.protobuf.Duration), {_shown(value)}")
    whole, _, fraction = found.group(1).partition(".")
    fraction = fraction.rstrip("0")
    return f"{int(whole)}{'.' if fraction else ''}{fraction}s"


def written(schema: Any, value: Any, numbers: bool) -> Any:
    """A value in canonical form as it is answered: its enums as numbers if `numbers`, else as words."""
    if isinstance(schema, Message) and isinstance(value, dict):
        return {key: written(schema.fields.get(key), item, numbers) for key, item in value.items()}
    if isinstance(schema, Map):
        return {key: written(schema.values, item, numbers) for key, item in value.items()}
    if isinstance(schema, Repeated):
        return [written(schema.items, item, numbers) for item in value]
    if isinstance(schema, Enum) and numbers:
        return schema.words.index(value)
    return value


def mask_paths(text: str) -> tuple[str, ...]:
    """A mask's paths in camel case; a mask may be sent in snake case too, as gcloud sends `cleanup_policies`."""
    return tuple(camel(path.strip()) for path in text.split(",") if path.strip())


def masked(now: Document, sent: Document, paths: tuple[str, ...]) -> Document:
    """`now` with what the paths name taken from `sent`: set where it is there, unset where it is not."""
    found = {**now}
    for path in paths:
        head, _, rest = path.partition(".")
        if rest:
            part = masked(found.get(head, {}), sent.get(head, {}), (rest,))
            found = {**found, head: part}
        elif head in sent:
            found[head] = sent[head]
        else:
            found.pop(head, None)
    return {key: value for key, value in found.items() if value != {}}


def unknown_paths(schema: Message, paths: tuple[str, ...]) -> Iterator[str]:
    """The paths of a mask that name no field of the message."""
    for path in paths:
        kind: Any = schema
        for name in path.split("."):
            if isinstance(kind, Map):
                kind = kind.values
            elif isinstance(kind, Message) and name in kind.fields:
                kind = kind.fields[name]
            elif isinstance(kind, Message) and name in kind.output:
                kind = ANY
            else:
                yield path
                break
