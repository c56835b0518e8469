"""The JSON Schemas of what people and programs write and read: the spec and the plan file."""

from __future__ import annotations

import json

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text(document: str) -> str:
    """The schema of `spec` or `plan` as JSON text that ends in a newline."""
    if document == "spec":
        from .platforms.catalog import Spec

        schema = Spec.model_json_schema(by_alias=True)
        title = "A reconciler spec"
    else:
        from .engine.plan_document import PlanDocument
        from .platforms.catalog import Registry

        schema = PlanDocument[Registry].model_json_schema(by_alias=True)
        title = "A saved plan of reconciler"
    return json.dumps({"$schema": DIALECT, **schema, "title": title}, indent=2, ensure_ascii=False) + "\n"
