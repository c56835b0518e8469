"""What a test in another process tells the stand-in, over HTTP: POST to paths under /_stand-in/, with JSON.

| path | JSON | what it does |
|---|---|---|
| reset | `{}` | forgets everything |
| knobs | members of `Knobs` by name | how the stand-in behaves |
| faults | `operation` (`*`: any), `kind` (a status, or `drop`), `times`, `lost` | the next calls fail |
| quota | `operation`, `calls` | calls after so many are over the quota; again with `calls` refills it |
| services | `project`, `service`, `on` | turns an API on or off |
| push | `repository` (its full name), `package`, `tag`, `size` | puts an image into it |
| calls | `{}` | answers the calls so far |
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .faults import Fails, Quota
from .images import push
from .state import Knobs
from .wire import Asked, Document

if TYPE_CHECKING:
    from .server import Server

PREFIX = "/_stand-in/"


def control(server: Server, asked: Asked) -> tuple[int, Document]:
    """Does what is asked. 400 says what is wrong with it."""
    command = COMMANDS.get(asked.path.removeprefix(PREFIX))
    if command is None or asked.method != "POST":
        return 400, {"error": f"POST to one of {', '.join(sorted(COMMANDS))} under {PREFIX}"}
    try:
        with server.cloud.lock:
            return 200, command(server, asked.body) or {}
    except (KeyError, TypeError, ValueError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}


def _reset(server: Server, body: Document) -> None:
    server.reset()


def _knobs(server: Server, body: Document) -> None:
    known = {field.name for field in fields(Knobs)}
    if not body.keys() <= known:
        raise ValueError(f"the knobs are {', '.join(sorted(known))}")
    for name, value in body.items():
        setattr(server.cloud.state.knobs, name, _as(getattr(Knobs(), name), value))


def _as(like: Any, value: Any) -> Any:
    """A JSON value as the kind of value that the knob has."""
    if isinstance(like, tuple):
        return tuple(value)
    if isinstance(like, list):
        return [tuple(item) for item in value]
    return set(value) if isinstance(value, list) else value


def _faults(server: Server, body: Document) -> None:
    server.behaviours.append(Fails(**body))


def _quota(server: Server, body: Document) -> None:
    server.behaviours[:] = [
        one for one in server.behaviours if not (isinstance(one, Quota) and one.operation == body["operation"])
    ]
    server.behaviours.append(Quota(**body))


def _services(server: Server, body: Document) -> None:
    server.cloud.state.switch(body["project"], body["service"], bool(body["on"]))


def _push(server: Server, body: Document) -> Document:
    repository = server.cloud.state.repositories[body["repository"]]
    return {"digest": push(repository, body["package"], body["tag"], int(body.get("size", 1000))).digest}


def _calls(server: Server, body: Document) -> Document:
    return {"calls": [{"operation": call.operation, "service": call.service, **call.body} for call in server.calls]}


COMMANDS = {
    "reset": _reset,
    "knobs": _knobs,
    "faults": _faults,
    "quota": _quota,
    "services": _services,
    "push": _push,
    "calls": _calls,
}
