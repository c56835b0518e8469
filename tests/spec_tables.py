"""The tables of docs/spec.md, made from the models: each field with its type, default and meaning.

`pytest tests/test_docs.py --golden-update` writes them into the page, between markers such as `<!-- Guards -->` and
`<!-- /Guards -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.aws.target import AwsTarget
from reconciler.platforms.azure.spec import AzureRegistry, AzureTarget, AzureTokenTarget
from reconciler.platforms.catalog import Grant, Spec
from reconciler.platforms.external.spec import ExternalRegistry
from reconciler.platforms.gcp.spec import GcpRegistry, GcpTarget
from reconciler.platforms.kubernetes.spec import KubernetesTarget
from reconciler.platforms.local.spec import LocalRegistry, LocalTarget
from reconciler.spec.cluster import Cluster
from reconciler.spec.fields import Text
from reconciler.spec.models import Guards
from reconciler.spec.registry import GrantTarget, RegistryBase
from reconciler.spec.repository import Repository, RepositoryDefaults

#: each has a table; what stands below a field has its rows there, as `retention.keep_last`
TABLES: tuple[type[BaseModel], ...] = (
    Spec,
    RegistryBase,
    AwsRegistry,
    LocalRegistry,
    GcpRegistry,
    AzureRegistry,
    ExternalRegistry,
    Cluster,
    Repository,
    Grant,
    AwsTarget,
    LocalTarget,
    GcpTarget,
    AzureTarget,
    AzureTokenTarget,
    KubernetesTarget,
    Guards,
)
#: models whose fields stand in a table of their own
_ELSEWHERE = (RepositoryDefaults, GrantTarget, RegistryBase, Guards, Repository, Grant, Cluster)
_PLAIN: dict[type, list[str]] = {bool: ["`true`", "`false`"], int: ["a number"], str: ["a string"], NoneType: []}
_HEAD = "| field | type | default | meaning |\n|---|---|---|---|\n"


def with_tables(page: str) -> str:
    """The page with each table made anew between its markers."""
    for model in TABLES:
        name = model.__name__
        between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        page, found = between.subn(lambda _, model=model: f"\n{table(model)}\n", page)  # type: ignore[misc]  # a default binds the loop's model
        assert found == 1, f"docs/spec.md has {found} places for the table of {name}"
    return page


def table(model: type[BaseModel]) -> str:
    """The model's fields as a table in markdown."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in _rows(model, ""))


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    inherited = RegistryBase.model_fields if issubclass(model, RegistryBase) and model is not RegistryBase else {}
    for name, info in sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()):
        if name in inherited:
            continue  # the table of what all registries have
        key = f"{prefix}{info.alias or name}"
        annotation = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        default = "required" if info.is_required() else _said(info.get_default(call_default_factory=True))
        yield f"`{key}`", _cell(type_of(annotation)), default, _cell(info.description or "")
        many = "[]" if get_origin(info.annotation) is tuple else ""
        for below in _models(info.annotation):
            if not issubclass(below, _ELSEWHERE):
                yield from _rows(below, f"{key}{many}.")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _said(default: object) -> str:
    """A default as the spec writes it."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    return "" if default is None or default == "" or isinstance(default, dict | BaseModel) else f"`{default}`"


def type_of(annotation: Any) -> str:
    """What a value must be, in words: those that an error says, where the type has them."""
    return _either(_choices(annotation))


def _choices(annotation: Any) -> list[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        text = next((item for item in arguments[1:] if isinstance(item, Text)), None)
        if text is not None:
            return [text.says + (f", at most {text.most} characters" if text.most is not None else "")]
        given = next((item.json_schema_input_type for item in arguments[1:] if isinstance(item, BeforeValidator)), None)
        return _choices(arguments[0] if given in (None, PydanticUndefined) else given)
    if origin is Literal:
        return [f"`{value}`" for value in arguments]
    if origin is tuple:
        item = type_of(arguments[0])
        return ["a list" if item in ("a string", "a mapping") else f"a list, each {item}"]
    if origin in (Union, UnionType):
        return [choice for argument in arguments for choice in _choices(argument)]
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return ["a mapping"]
    return _PLAIN[annotation]


def _either(choices: Iterable[str]) -> str:
    """The choices, without those that another one begins with."""
    given = list(dict.fromkeys(choices))
    *most, last = [one for one in given if not any(other != one and other.startswith(one) for other in given)]
    if not most:
        return last
    return f"{'; '.join(most)}; or {last}" if any("," in one for one in most) else f"{', '.join(most)} or {last}"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def described(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model and all that its fields lead to."""
    found: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += [below for info in current.model_fields.values() for below in _models(info.annotation)]
    return found
