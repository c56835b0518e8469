"""The JSON Schemas of what people and programs write and read: the spec, a file of a folder of specs or of guards, the plan
file, and a review."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: of a spec that is a folder, one file has these
_ONCE = ("version", "name")


class _ForEditors(GenerateJsonSchema):
    """Schemas whose errors and hints are what a writer needs: no titles, which say a key's name again, and where a key says which
    form a mapping has (`platform`, `type`), a wrong value of it is answered with the right ones and nothing else."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        found = super().tagged_union_schema(schema)
        if "discriminator" not in found:
            return _by_type(found["oneOf"])
        key, forms = found["discriminator"]["propertyName"], found["discriminator"]["mapping"]
        return {
            "type": "object",
            "required": [key],
            "properties": {key: {"enum": sorted(forms)}},
            "allOf": [
                {"if": {"required": [key], "properties": {key: {"const": name}}}, "then": {"$ref": form}}
                for name, form in forms.items()
            ],
        }


def _by_type(forms: list[JsonSchemaValue]) -> JsonSchemaValue:
    """A union of mappings and other values: what is wrong in a mapping is told of the mapping."""
    mappings, others = ([form for form in forms if ("$ref" in form) is wanted] for wanted in (True, False))

    def one_of(some: list[JsonSchemaValue]) -> JsonSchemaValue:
        return some[0] if len(some) == 1 else {"oneOf": some}

    return {"if": {"type": "object"}, "then": one_of(mappings), "else": one_of(others)}


def schema_text(document: str) -> str:
    """The schema of `spec`, `part`, `guards`, `plan` or `review` as JSON text that ends in a newline."""
    if document == "plan":
        schema = _plan()
    elif document == "review":
        schema = _review()
    elif document == "guards":
        schema = _guards()
    else:
        schema = _spec(part=document == "part")
    return json.dumps({"$schema": DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"


def _spec(*, part: bool) -> dict[str, Any]:
    """The schema of a spec, or of a file of a folder of them, which need not have what another file has."""
    from .platforms.catalog import Spec

    schema = _schema(Spec)
    if part:
        schema["required"] = [name for name in schema["required"] if name not in _ONCE]
        schema["description"] += " This file is part of a folder: other files may hold the keys that it leaves out."
        for name in _ONCE:
            schema["properties"][name]["description"] += " One file of the folder must have it."
    for name in ("registries", "repositories", "grants", "clusters"):
        schema["properties"][name]["type"] = ["array", "null"]  # a list may be left empty
    return schema


def _guards() -> dict[str, Any]:
    """The schema of a file that `guards.include` names."""
    from .spec.models import Guards

    schema = _schema(Guards)
    del schema["properties"]["include"]
    return schema


def _plan() -> dict[str, Any]:
    from .engine.plan_document import PlanDocument
    from .platforms.catalog import Registry

    return _schema(PlanDocument[Registry])


def _review() -> dict[str, Any]:
    from .review.document import ReviewDocument

    return _schema(ReviewDocument)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, schema_generator=_ForEditors)
    # an editor shows a document's title above every hint
    for described in (schema, *schema.get("$defs", {}).values()):
        described.pop("title", None)
    return schema
