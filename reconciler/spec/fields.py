"""The field types that the models of every platform share, each with the sentence that an error says."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema


class Absent(AttributeError):
    """A field of a row that is not valid: whatever is computed from it is unknown."""


class Model(BaseModel):
    """The base of all spec models: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @property
    def whole(self) -> bool:
        """Whether every field is valid: it is not where the row that it stands in was wrong."""
        return self.__dict__.keys() >= type(self).model_fields.keys()

    def fault(self) -> str | None:
        """What is wrong between its fields, as a sentence, or None."""
        return None

    @model_validator(mode="after")
    def _between_fields(self) -> Self:
        fault = self.fault()
        if fault is not None:
            raise PydanticCustomError("text", "{says}", {"says": fault})
        return self

    if not TYPE_CHECKING:  # so that a checker still knows which attributes there are

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise Absent(name)
            return super().__getattr__(name)


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule that looks at more than one field found: the path below the checked model, and a sentence.

    `unable`: whether the platform has no such thing, so that it is left out where it comes from the defaults alone.
    """

    loc: tuple[str | int, ...]
    message: str
    unable: bool = False


@dataclass(frozen=True)
class Text:
    """Metadata of a string field that must match `pattern` whole; a mismatch is reported with the sentence `says`, or with what `why`
    knows of the value."""

    pattern: str
    says: str
    most: int | None = None
    why: Callable[[str], str | None] = lambda value: None

    def fits(self, value: str) -> bool:
        """Whether a field may have that value."""
        short = self.most is None or len(value) <= self.most
        return short and re.fullmatch(self.pattern, value) is not None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        limit = f", at most {self.most} characters" if self.most is not None else ""

        def check(value: str) -> str:
            if not self.fits(value):
                raise PydanticCustomError("text", "{says}", {"says": self.why(value) or f"must be {self.says}{limit}"})
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # an editor checks the text before ${env:NAME} is replaced
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$|\\$\\{{env:"}


SpecName = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9-]{0,39}",
        "a lower-case letter, then lower-case letters, digits and dashes, at most 40 characters",
    ),
]
RegistryName = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9]*(-[a-z0-9]+)*",
        "lower-case letters and digits in words joined by single dashes, starting with a letter",
        40,
    ),
]
_PARTS = (
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
    "words of lower-case letters and digits, joined by '.', '_' or '-', in parts separated by '/'",
)
REPOSITORY = Text(*_PARTS, 255)
RepositoryName = Annotated[str, REPOSITORY]
#: the whole name, prefix included, which a platform may take to be longer
NativeName = Annotated[str, Text(*_PARTS, 256)]
GRANT = Text(
    r"[a-z][a-z0-9]*(-[a-z0-9]+)*",
    "lower-case letters and digits in words joined by single dashes, starting with a letter",
    63,
)
GrantName = Annotated[str, GRANT]
#: relative to the spec's folder
FilePath = Annotated[str, Text(r"[^\x00\r\n]+", "a path in one line, without NUL characters")]
Flag = StrictBool
Count = StrictInt


def each(*checks: Iterator[Fault]) -> Iterator[Fault]:
    """What all the checks find. One that asks for a field which is not valid ends there, and the others go on."""
    for check in checks:
        with suppress(Absent):
            yield from check


def repeated(model: Model, field: str) -> Iterator[Fault]:
    """A fault for each value that a list holds twice."""
    seen: set[Hashable] = set()
    for index, value in enumerate(getattr(model, field)):
        if isinstance(value, Model) and not value.whole:
            continue
        if value in seen:
            yield Fault((field, index), f"'{value}' is listed twice" if isinstance(value, str) else "is listed twice")
        seen.add(value)
