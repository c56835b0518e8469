"""Long-running operations of Artifact Registry."""

from __future__ import annotations

from .fields import written
from .schemas import REPOSITORY
from .state import Operation, State
from .wire import Asked, Document, not_found

TYPE = "type.googleapis.com/google.devtools.artifactregistry.v1."
#: the number of each status in an operation's error: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
RPC_CODES = {
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
}
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
    if operation.done and operation.error:
        return found | {"done": True, "error": {"code": RPC_CODES[operation.error], "message": "The operation failed."}}
    if operation.done:
        found |= {"done": True, "response": written(REPOSITORY, operation.response, asked.numbers)}
    return found
