"""One comment of ours on a pull or merge request: found by a hidden marker, and changed instead of written again."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from reconciler.errors import ReconcilerError
from reconciler.words import one_line

#: seconds to wait for an answer, and at most for a limit to pass; how often a call is made
TIMEOUT, LONGEST_WAIT, ATTEMPTS = 30.0, 120.0, 5
_LOG = logging.getLogger("reconciler.comments")


class Refused(ReconcilerError):
    """The token may not comment: a workflow on a pull request from a fork, say. Whoever asked goes on without."""


class _Later(Exception):
    """The host asks to come back in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"asked to wait for {seconds:g} s")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that is there. `mine`: whether whoever holds the token has written it; None: that can't be known."""

    id: int
    body: str
    mine: bool | None
    where: str = ""


def marker(owner: str, what: str) -> str:
    """What a comment begins with that is shown to nobody, by which it is found again. `owner`: the spec's name."""
    return f"<!-- reconciler:{owner}:{what} -->"


class Host(ABC):
    """Where the request is. A context manager: connections are closed at the end."""

    #: what the token must allow, for people
    needs: str

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        # redirects are not followed: a token goes to nobody but the host
        self._client = httpx.Client(base_url=url, headers=dict(headers), timeout=TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @abstractmethod
    def comments(self) -> Iterator[Comment]:
        """All comments of the request, page by page. Raises ReconcilerError."""

    @abstractmethod
    def create(self, body: str) -> Comment:
        """Writes a comment. Raises ReconcilerError."""

    @abstractmethod
    def change(self, comment: Comment, body: str) -> Comment | None:
        """Changes a comment; None if it is not there any more. Raises ReconcilerError."""

    def call(self, method: str, path: str, *, gone: bool = False, **more: Any) -> httpx.Response | None:
        """The answer to a call, made again where the host asks to wait; None if what it is about is `gone`, where that is no error.
        Raises Refused, and ReconcilerError with what the host says."""
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(ATTEMPTS), wait=_wait, retry=retry_if_exception(_passes), reraise=True
            ):
                with attempt:
                    answer = self._client.request(method, path, **more)
                    if (seconds := asked_to_wait(answer)) is not None:
                        raise _Later(seconds)
        except _Later as error:
            raise ReconcilerError(f"{method} {path}: the host's limit did not pass: {error}") from None
        except httpx.HTTPError as error:
            raise ReconcilerError(f"{method} {path}: {type(error).__name__}: {one_line(str(error))}") from None
        if answer.status_code in (401, 403):
            raise Refused(f"{method} {path}: {answer.status_code}: {_said(answer)}")
        if answer.status_code == 404 and gone:
            return None
        if answer.status_code >= 300:
            raise ReconcilerError(f"{method} {path}: {answer.status_code}: {_said(answer)}{_request_id(answer)}")
        return answer


def stick(host: Host, mark: str, text: str) -> Comment:
    """Creates our comment, or changes the one that is there. A comment of somebody else with the same marker is left alone. Raises
    ReconcilerError."""
    body = f"{mark}\n{text}"
    ours = [item for item in host.comments() if item.body.lstrip().startswith(mark) and item.mine is not False]
    for comment in ours:
        if comment.body.replace("\r\n", "\n") == body:
            return comment
        if (changed := host.change(comment, body)) is not None:
            return changed
    return host.create(body)


def asked_to_wait(answer: httpx.Response) -> float | None:
    """How many seconds the host asks to wait before the call is made again; None if it does not.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit: 403 or 429 with
    `retry-after`, or with `x-ratelimit-remaining: 0`. https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/: 429
    """
    limited = answer.status_code in (403, 429) and (
        "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
    )
    if not limited and answer.status_code not in (429, 502, 503, 504):
        return None
    try:
        return max(0.0, float(answer.headers.get("retry-after", "1")))
    except ValueError:
        return 1.0


def _passes(error: BaseException) -> bool:
    return (isinstance(error, _Later) and error.seconds <= LONGEST_WAIT) or isinstance(error, httpx.TransportError)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    seconds = error.seconds if isinstance(error, _Later) else float(state.attempt_number)
    _LOG.debug("asked to wait, %s s", seconds)
    return seconds


def _said(answer: httpx.Response) -> str:
    """What the host says, in a line."""
    try:
        found = answer.json()
        text = str(found.get("message") or found.get("error") or found) if isinstance(found, dict) else str(found)
        if isinstance(found, dict) and found.get("errors"):
            text = f"{text} {found['errors']}"
    except ValueError:
        text = answer.text
    return one_line(text[:300]) or answer.reason_phrase


def _request_id(answer: httpx.Response) -> str:
    found = answer.headers.get("x-github-request-id") or answer.headers.get("x-request-id")
    return f" (request id {one_line(found)})" if found else ""
