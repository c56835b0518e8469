"""Comments of a pull request on GitHub.

https://docs.github.com/en/rest/issues/comments
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, Field, TypeAdapter

from reconciler.errors import ReconcilerError

from .sticky import Comment, Host, Refused

#: who writes with the token of a workflow, where the host can't be asked
WORKFLOW = "github-actions[bot]"


class _User(BaseModel):
    login: Annotated[str, Field(min_length=1)]


class _Item(BaseModel):
    id: int
    body: str | None = None
    html_url: str = ""
    user: _User | None = None


class _Viewer(BaseModel):
    viewer: _User


class _Data(BaseModel):
    data: _Viewer


_USER, _DATA, _ITEM, _ITEMS = TypeAdapter(_User), TypeAdapter(_Data), TypeAdapter(_Item), TypeAdapter(list[_Item])


class GitHub(Host):
    """A pull request of a repository, `OWNER/NAME`."""

    needs = "permissions: pull-requests: write"
    address = "GITHUB_API_URL"

    def __init__(self, url: str, token: str, repository: str, number: int) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        super().__init__(url, headers)
        self._issue = f"/repos/{repository}/issues/{number}/comments"
        self._one = f"/repos/{repository}/issues/comments"
        # https://docs.github.com/en/enterprise-server/graphql/guides/forming-calls-with-graphql#the-graphql-endpoint
        self._graphql = f"{url.rstrip('/').removesuffix('/v3')}/graphql"
        self._login = ""

    def comments(self) -> Iterator[Comment]:
        path: str | None = f"{self._issue}?per_page=100"
        seen: set[str] = set()
        while path is not None:
            answer = self.call("GET", path)
            if answer is None:
                return
            yield from (_comment(item) for item in self.read(answer, _ITEMS))
            following = answer.links.get("next", {}).get("url")
            path = self.moving_on(self.at_host(str(following), answer), seen) if following else None

    def create(self, body: str) -> Comment:
        return self._written(self.call("POST", self._issue, once=True, json={"body": body}))

    def change(self, comment: Comment, body: str) -> Comment | None:
        answer = self.call("PATCH", f"{self._one}/{comment.id}", gone=True, json={"body": body})
        return self._written(answer) if answer is not None else None

    def delete(self, comment: Comment) -> None:
        self.call("DELETE", f"{self._one}/{comment.id}", gone=True)

    def _written(self, answer: httpx.Response | None) -> Comment:
        assert answer is not None
        return _comment(self.read(answer, _ITEM))

    def me(self) -> str:
        """The login of who writes with the token. The token of a workflow or of an app's installation may not `GET /user` ("Resource
        not accessible by integration"); GraphQL's viewer gives its login, `NAME[bot]`
        (https://docs.github.com/en/graphql/reference/queries#viewer)."""
        if not self._login:
            try:
                answer = self.call("GET", "/user")
                assert answer is not None
                self._login = self.read(answer, _USER).login
            except Refused as error:
                if error.status != 403:
                    raise
                self._login = self._viewer()
        return self._login

    def _viewer(self) -> str:
        try:
            answer = self.call("POST", self._graphql, gone=True, json={"query": "query { viewer { login } }"})
        except Refused:
            return WORKFLOW
        return self.read(answer, _DATA).data.viewer.login if answer is not None else WORKFLOW


def _comment(item: _Item) -> Comment:
    return Comment(item.id, item.body or "", item.user.login if item.user else "", item.html_url)


def of_environment(environ: Mapping[str, str], number: int | None, token: str) -> GitHub:
    """The pull request that a workflow runs for. Raises ReconcilerError if that is not known.

    https://docs.github.com/en/actions/reference/workflows-and-actions/variables
    """
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", repository):
        raise ReconcilerError("GITHUB_REPOSITORY does not say OWNER/NAME; it is set in every workflow")
    found = number if number is not None else _number(environ)
    if found is None:
        raise ReconcilerError("this run is of no pull request; name one with --number")
    return GitHub(environ.get("GITHUB_API_URL") or "https://api.github.com", token, repository, found)


def commit(environ: Mapping[str, str]) -> str:
    """The commit that a workflow runs for, as people know it: of a pull request its last one, not the merge of it that GITHUB_SHA is;
    "" if that is not known."""
    event = _event(environ)
    for path in (("pull_request", "head", "sha"), ("workflow_run", "head_sha")):
        if isinstance(found := _at(event, *path), str):
            return found
    return "" if "issue" in event else environ.get("GITHUB_SHA", "")  # of a comment, it is the default branch's


def _number(environ: Mapping[str, str]) -> int | None:
    """The number of the pull request, from the ref or the event
    (https://docs.github.com/en/webhooks/webhook-events-and-payloads). Raises ReconcilerError if there are several."""
    if match := re.fullmatch(r"refs/pull/([0-9]+)/(merge|head)", environ.get("GITHUB_REF", "")):
        return int(match.group(1))
    event = _event(environ)
    if isinstance(found := _at(event, "pull_request", "number"), int):
        return found
    if _at(event, "issue", "pull_request") is not None and isinstance(found := _at(event, "issue", "number"), int):
        return found
    # the same commit may be in requests of other repositories, whose numbers mean something else here
    here, listed = _at(event, "repository", "id"), _at(event, "workflow_run", "pull_requests")
    ours = [
        number
        for item in (listed if isinstance(listed, list) else ())
        if here is not None and _at(item, "base", "repo", "id") == here
        if isinstance(number := _at(item, "number"), int)
    ]
    if len(ours) > 1:
        raise ReconcilerError(
            f"this run is of several pull requests ({', '.join(map(str, ours))}); name each with --number"
        )
    return ours[0] if ours else None


def _event(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the run was started by; empty if that can't be read."""
    path = environ.get("GITHUB_EVENT_PATH")
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _at(value: object, *path: str) -> object:
    """What is at a path of an event; None if nothing is."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
