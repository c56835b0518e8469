"""Long-running operations as recorded: `azure-asyncoperation` for what is made, `Location` under the provider's operationResults for
what is deleted, each with a signature that changes with every look and must come back unchanged.

evidence/azure/recorded/registry-create-201.json, registry-200-replication-delete.json, scopemap-token-create.json
"""

from __future__ import annotations

from collections.abc import Callable

from .state import Operation, State
from .wire import NULL, Asked, Refusal, Reply

PROVIDER = "Microsoft.ContainerRegistry"


def start(
    state: State,
    asked: Asked,
    kind: str,
    resource: str,
    word: str,
    finish: Callable[[], object],
    fail: Callable[[], object],
    error: tuple[str, str] | None = None,
) -> dict[str, str]:
    """Starts the making of something; the headers of the answer to that. `fail`: what is left of it if it fails; `error`: the code
    and the message with which it does."""
    error = error or state.knobs.failing.get(kind)
    operation = _new(state, kind, word, fail if error else finish, error)
    path = f"{resource}/operationStatuses/{operation.name}"
    return {"Azure-AsyncOperation": _url(state, asked, path, operation), **_wait(state)}


def start_delete(state: State, asked: Asked, kind: str, location: str, finish: Callable[[], object]) -> dict[str, str]:
    """Starts a delete; the headers of the answer to that."""
    error = state.knobs.failing.get(f"{kind}:delete")
    operation = _new(state, kind, "Deleting", finish, error)
    subscription = asked.names["subscription"]
    path = f"/subscriptions/{subscription}/providers/{PROVIDER}/locations/{location.upper()}/operationResults/{operation.name}"
    return {"Location": _url(state, asked, path, operation), **_wait(state)}


def look(state: State, asked: Asked) -> Reply:
    """How an operation stands: `{"status": "Creating"}`, `Succeeded`, or `Failed` with its error, all of them 200."""
    operation = _known(state, asked)
    headers = {"Azure-AsyncOperation": _again(state, asked, operation), **_wait(state)}
    if not _advanced(operation):
        return Reply(200, {"status": operation.word}, headers)
    if operation.error is not None:
        code, message = operation.error
        return Reply(200, {"status": "Failed", "error": {"code": code, "message": message}}, headers)
    return Reply(200, {"status": "Succeeded"}, headers)


def result(state: State, asked: Asked) -> Reply:
    """How a delete stands: 202 with `null`, then 200 with nothing. What is answered of one that failed is recorded nowhere; Azure
    Storage says it in a 200 (https://github.com/pulumi/pulumi-azure-native/issues/4835)."""
    operation = _known(state, asked)
    if not _advanced(operation):
        return Reply(202, NULL, {"Location": _again(state, asked, operation), **_wait(state)})
    if operation.error is not None:
        raise Refusal(409, *operation.error)
    return Reply(200)


def _new(state: State, kind: str, word: str, finish: Callable[[], object], error: tuple[str, str] | None) -> Operation:
    operation = Operation(f"{kind}-{state.next_number():032x}", word, state.knobs.polls, finish, error)
    state.operations[operation.name] = operation
    return operation


def _known(state: State, asked: Asked) -> Operation:
    operation = state.operations.get(asked.names["operation"])
    if operation is None:
        raise Refusal(404, "OperationNotFound", f"The operation {asked.names['operation']} could not be found.")
    if asked.query.get("s") not in operation.signatures:
        raise Refusal(401, "InvalidSignature", "The signature of the operation's URL is not valid.")
    return operation


def _advanced(operation: Operation) -> bool:
    """Whether it is done by now: one more look has been made."""
    if operation.left > 0:
        operation.left -= 1
        return False
    operation.end()
    return True


def _again(state: State, asked: Asked, operation: Operation) -> str:
    return _url(state, asked, asked.path, operation)


def _url(state: State, asked: Asked, path: str, operation: Operation) -> str:
    signature = f"{state.next_number():064x}"
    operation.signatures.add(signature)
    version = asked.query.get("api-version", "")
    return f"https://{state.here}{path}?api-version={version}&t=638800000000000000&c=MIIH&s={signature}&h=x"


def _wait(state: State) -> dict[str, str]:
    return {"Retry-After": str(state.knobs.retry_after)} if state.knobs.retry_after else {}
