"""The errors that people see. The command line alone turns them into text and exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .places import Place
from .redaction import redacted
from .words import one_line


class ReconcilerError(Exception):
    """The base of every error that this package raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in the spec, and where: `file:line:column: path: message`."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: "
        return one_line(place + (f"{self.path}: {self.message}" if self.path else self.message))


class SpecError(ReconcilerError):
    """The spec is not valid. `problems` holds every error of every file, in the order of the text."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PlatformError(ReconcilerError):
    """A platform refused or failed a call: which resource, which call, its request id, and what to do next.

    What a cloud, or anything before it, has said may repeat what it was sent: no secret that is known as one is kept (`redacted`).
    """

    def __init__(
        self,
        message: str,
        *,
        address: str = "",
        operation: str = "",
        request_id: str = "",
        code: str = "",
        hint: str = "",
        places: tuple[Place, ...] = (),
    ) -> None:
        self.message = redacted(message)
        self.address = address
        self.operation = operation
        self.request_id = redacted(request_id)
        self.code = redacted(code)
        self.hint = redacted(hint)
        #: what in the spec the refused document is made of, so that the caller can name the lines
        self.places = places
        super().__init__(self.message)

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.address, self.operation) if part)
        text = f"{where}: {self.message}" if where else self.message
        if self.request_id:
            text += f" (request id {self.request_id})"
        # what a cloud says may hold any character; `message` keeps them as they came
        return f"{one_line(text)}\n  {one_line(self.hint)}" if self.hint else one_line(text)

    @property
    def sentence(self) -> str:
        """What failed, with its request id and what to do next, where the address is said already: one line."""
        request = f" (request id {self.request_id})" if self.request_id else ""
        return one_line(f"{self.message}{request}" + (f"; {self.hint}" if self.hint else ""))

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments are lost by Exception's own pickling, and an executor may be another process
        return (_platform_error, (type(self), self.message, {k: v for k, v in self.__dict__.items() if k != "message"}))


class TimeIsUp(PlatformError):
    """A platform throttled a call until the run's time limit ran out."""


class RepositoryNotFound(PlatformError):
    """The registry has no such repository, or what is there of that name is not the registry's."""


class RepositoryExists(PlatformError):
    """A repository of that name is there already, whoever made it."""


class RepositoryNotEmpty(PlatformError):
    """A repository that was to be deleted holds images, or what others put on it."""


class RepositoryOfSpec(PlatformError):
    """A repository is the spec's: what becomes of it is said there."""


class UnsupportedAccess(PlatformError):
    """The platform, or the registry as it is set up, can't give such access."""


class CredentialsDenied(PlatformError):
    """No credentials can be had that give just what was asked for, for as long as it was asked for."""


def _platform_error(kind: type[PlatformError], message: str, fields: dict[str, object]) -> PlatformError:
    error = kind(message)
    error.__dict__.update(fields)
    return error


class RegistryNotFound(ReconcilerError):
    """Nothing says where a registry of that name is: no spec that has it, and no binding."""


class ReadFailed(ReconcilerError):
    """One or more registries could not be read, so there is no plan. `failures`: the cause by registry name."""

    def __init__(self, failures: dict[str, ReconcilerError]) -> None:
        self.failures = failures
        lines = (f"registry {name}: {str(cause).removeprefix(f'{name}: ')}" for name, cause in sorted(failures.items()))
        super().__init__("\n".join(lines))


class Moved(ReconcilerError):
    """What is there is no longer what was read right before: somebody else was faster, and nothing was written.

    A kind raises it where its platform refuses an etag; the change is stale then, not failed.
    """


class Halted(ReconcilerError):
    """A stopped reading, since something read beside it had failed: that failure is the one to report."""


class PlanRefused(ReconcilerError):
    """The plan holds problems (conflicts of ownership, a platform's limits), so it can't be applied."""


class PlanConflict(PlanRefused):
    """Conflicts of ownership are all that is in the plan's way: what it wants exists already and is not the spec's."""


class GuardViolation(ReconcilerError):
    """A guard stops the plan. The message names each guard, its numbers and the addresses."""


class StalePlan(ReconcilerError):
    """Resources changed since the plan was made. `moved`: what changed, by address. `applied`: whether everything is as the plan
    would leave it, most likely because it has been applied."""

    def __init__(self, moved: dict[str, str], *, applied: bool = False) -> None:
        self.moved = moved
        self.applied = applied
        lines = [one_line(f"{address}: {what}") for address, what in sorted(moved.items())]
        super().__init__(
            "nothing of this plan is left to do, most likely since it has been applied already; nothing was written"
            if applied
            else "\n  ".join(("the plan is stale; nothing was written:", *lines, "make a new plan and review it"))
        )


class OtherSpec(StalePlan):
    """A saved plan was not made from the spec that it is to be applied with. `differs`: what of that is other, a sentence each."""

    def __init__(self, name: str, differs: Sequence[str]) -> None:
        super().__init__({})
        self.differs = tuple(differs)
        head = f"the plan was not made from {name}; nothing was written:"
        lines = [one_line(line) for line in differs]
        self.args = ("\n  ".join((head, *lines, "make a new plan and review it")),)


def reason(error: Exception) -> str:
    """Why a file can't be used, in words of people: for what reading and parsing it raises."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, AttributeError | TypeError):
        return "a value in it is of the wrong type"
    return one_line(getattr(error, "strerror", None) or str(error))


def os_sentence(error: OSError) -> str:
    """What the operating system said, as one line: `sandbox/control: Permission denied`."""
    said = error.strerror or str(error) or type(error).__name__
    return one_line(f"{error.filename}: {said}" if error.filename is not None else said)
