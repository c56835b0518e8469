"""Long-running operations of Artifact Registry."""

from __future__ import annotations

from .fields import written
from .schemas import REPOSITORY
from .state import Operation, State
from .wire import Asked, Document, not_found

TYPE = "type.googleapis.com/google.devtools.artifactregistry.v1."
EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}


def started(operation: Operation) -> Document:
    """What a create and a delete answer. In the recordings it is never done, however soon it is."""
    return {"name": operation.name, "metadata": {"@type": f"{TYPE}OperationMetadata"}}


def get(state: State, asked: Asked) -> Document:
    """The operation as it stands."""
    operation = state.operations.get(asked.path.removeprefix("/v1/"))
    if operation is None:
        raise not_found()
    found = started(operation)
    if operation.response is not None:
        found |= {"done": True, "response": written(REPOSITORY, operation.response, asked.numbers)}
    return found
