"""One comment of ours on a pull or merge request: found by a hidden marker, and changed instead of written again."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_incrementing

from reconciler.errors import ReconcilerError
from reconciler.redaction import redacted
from reconciler.words import one_line

from . import waiting
from .waiting import GATEWAY, Later, asked_to_wait, words_of

#: seconds to wait for an answer
TIMEOUT = 30.0
#: pages of a hundred comments that are read: ten times as many comments as GitLab takes on a request
#: (https://docs.gitlab.com/administration/instance_limits/#number-of-comments-per-issue-merge-request-or-commit)
MOST_PAGES = 500
#: what a host answers where there is no such thing, or no more
_GONE = (404, 410)
_LOG = logging.getLogger("reconciler.comments")
_T = TypeVar("_T")


class Refused(ReconcilerError):
    """The token may not do that: a workflow on a pull request from a fork, say. Whoever asked goes on without. `status`: 401 or 403,
    or 0 where nothing was asked."""

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class Unsure(ReconcilerError):
    """A call that must not be made twice may have been carried out, or not: the connection broke, or a gateway answered."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that is there. `author`: as the host's `me` gives it, or "" if it has none any more."""

    id: int
    body: str
    author: str
    where: str = ""


def marker(name: str, what: str) -> str:
    """What a comment begins with that is shown to nobody, by which it is found again. `name`: whose comment it is."""
    return f"<!-- reconciler:{name}:{what} -->"


class Host(ABC):
    """Where the request is. A context manager: connections are closed at the end."""

    #: what the token must allow, and the variable that says where the host is, for people
    needs: str
    address: str

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        try:
            # redirects are not followed: a token goes to nobody but the host
            self._client = httpx.Client(base_url=url, headers=dict(headers), timeout=TIMEOUT, follow_redirects=False)
        except httpx.InvalidURL as error:
            raise ReconcilerError(f"{self.address} is no address: {one_line(str(error))}") from None
        if self._client.base_url.scheme not in ("http", "https"):
            raise ReconcilerError(f"{self.address} is no address: it does not begin with https://")
        self._waited = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @abstractmethod
    def me(self) -> str:
        """Who writes with the token. Raises ReconcilerError."""

    @abstractmethod
    def comments(self) -> Iterator[Comment]:
        """All comments of the request, page by page, the oldest first. Raises ReconcilerError."""

    @abstractmethod
    def create(self, body: str) -> Comment:
        """Writes a comment. Raises Unsure where it may be there already, and ReconcilerError."""

    @abstractmethod
    def change(self, comment: Comment, body: str) -> Comment | None:
        """Changes a comment; None if it is not there any more. Raises ReconcilerError."""

    @abstractmethod
    def delete(self, comment: Comment) -> None:
        """Deletes a comment, if it is there still. Raises ReconcilerError."""

    def call(
        self, method: str, path: str, *, gone: bool = False, once: bool = False, **more: Any
    ) -> httpx.Response | None:
        """The answer to a call, made again where the host asks to wait; None if what it is about is `gone`, where that is no
        error. `once`: it is not made again where it may have been carried out, and Unsure is raised. Raises Refused, and
        ReconcilerError with what the host says."""

        def goes_on(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome is not None else None
            again = isinstance(error, Later) or (isinstance(error, httpx.TransportError) and not once)
            return again and self._waited + _seconds(state) <= waiting.PATIENCE

        stop = stop_after_attempt(waiting.ATTEMPTS)
        try:
            for attempt in Retrying(stop=stop, wait=_seconds, retry=goes_on, sleep=self.sleep, reraise=True):
                with attempt:
                    answer = self._client.request(method, path, **more)
                    if once and answer.status_code in GATEWAY:
                        raise Unsure(_failed(method, path, answer))
                    if (later := asked_to_wait(answer)) is not None:
                        raise later
        except Later as error:
            raise ReconcilerError(f"{method} {path}: the host's limit did not pass: {error}") from None
        except httpx.HTTPError as error:
            kind = Unsure if once else ReconcilerError
            raise kind(f"{method} {path}: {type(error).__name__}: {one_line(str(error))}") from None
        if answer.status_code in (401, 403):
            raise Refused(f"{method} {path}: {answer.status_code}: {_said(answer)}", answer.status_code)
        if answer.status_code in _GONE and gone:
            return None
        if answer.status_code >= 300:
            raise ReconcilerError(_failed(method, path, answer))
        return answer

    def read(self, answer: httpx.Response, form: TypeAdapter[_T]) -> _T:
        """What an answer says. Raises ReconcilerError where it is not of that form: a proxy's page, say."""
        try:
            return form.validate_json(answer.content)
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"{part}: " for part in (".".join(map(str, first["loc"])),) if part)
            kind = answer.headers.get("content-type", "").partition(";")[0]
            why = f"{where}{first['msg']}" if kind in ("", "application/json") else f"it is {one_line(kind[:60])}"
            call = f"{answer.request.method} {answer.request.url.path}"
            raise ReconcilerError(
                f"{call}: {answer.status_code}, but with another answer than this call has: {why}; is {self.address} right?"
            ) from None

    def at_host(self, url: str, answer: httpx.Response) -> str:
        """The whole address that an answer names, which may be relative to its own (https://www.rfc-editor.org/rfc/rfc8288#section-3.1),
        if it is at the host. Raises ReconcilerError if it is elsewhere, where no token goes."""
        try:
            here, there = self._client.base_url, answer.url.join(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise ReconcilerError(f"the next page of comments is at no address: {one_line(str(error))}") from None
        if (there.scheme, there.raw_host, there.port) != (here.scheme, here.raw_host, here.port):
            raise ReconcilerError(f"the next page of comments is at another host than {self.address} says")
        return str(there)

    def moving_on(self, page: str, seen: set[str]) -> str:
        """The page that comes next, which is noted in those `seen`. Raises ReconcilerError for one that was read already, and where
        there are more than any request has: such a host would never come to an end."""
        why = "one that was read already" if page in seen else ""
        if len(seen) >= MOST_PAGES:
            why = f"one more, after {MOST_PAGES} of them"
        if why:
            raise ReconcilerError(f"the next page of comments is {why}; is {self.address} right?")
        seen.add(page)
        return page

    def sleep(self, seconds: float) -> None:
        """Waits, and keeps count of it."""
        _LOG.debug("waiting for %s s", seconds)
        self._waited += seconds
        waiting.sleep(seconds)


def stick(host: Host, mark: str, text: str) -> Comment:
    """Creates our comment, or changes the one that is there. A comment of somebody else with the same marker is left alone; of
    several of ours, the first is kept. Raises ReconcilerError."""
    # what may have been written is looked for before it is written again
    again = Retrying(
        stop=stop_after_attempt(waiting.ATTEMPTS),
        retry=retry_if_exception_type(Unsure),
        wait=wait_incrementing(start=2, increment=2),
        sleep=host.sleep,
        reraise=True,
    )
    return again(_stick, host, mark, f"{mark}\n{text}")


def _stick(host: Host, mark: str, body: str) -> Comment:
    marked = [item for item in host.comments() if item.body.lstrip().startswith(mark)]
    kept: Comment | None = None
    for comment in (item for item in marked if item.author == host.me()):
        if kept is not None:
            _delete(host, comment)
        elif comment.body.replace("\r\n", "\n") == body:
            kept = comment
        else:
            kept = host.change(comment, body)
    return kept or host.create(body)


def _delete(host: Host, comment: Comment) -> None:
    """One that was written twice. A token that may not delete has done what matters."""
    try:
        host.delete(comment)
    except Refused as error:
        _LOG.debug("left alone: %s", error)


def _seconds(state: RetryCallState) -> float:
    """How long to wait before the next attempt."""
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, Later):
        return float(state.attempt_number)
    return error.seconds * (2 ** (state.attempt_number - 1) if error.growing else 1)


def _failed(method: str, path: str, answer: httpx.Response) -> str:
    return f"{method} {path}: {answer.status_code}: {_said(answer)}{_request_id(answer)}"


def _said(answer: httpx.Response) -> str:
    """What the host says, in a line."""
    try:
        found = json.loads(words_of(answer))
        text = str(found.get("message") or found.get("error") or found) if isinstance(found, dict) else str(found)
        if isinstance(found, dict) and found.get("errors"):
            text = f"{text} {found['errors']}"
    except (ValueError, RecursionError):  # no JSON, or nested as deep as no answer is
        text = words_of(answer)
    return one_line(redacted(text)[:300] or answer.reason_phrase)


def _request_id(answer: httpx.Response) -> str:
    found = answer.headers.get("x-github-request-id") or answer.headers.get("x-request-id")
    return f" (request id {one_line(found)})" if found else ""
