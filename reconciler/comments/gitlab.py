"""Notes of a merge request on GitLab.

https://docs.gitlab.com/api/notes/#merge-requests
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter

from reconciler.errors import ReconcilerError

from .sticky import Comment, Host


class _User(BaseModel):
    id: int


class _Item(BaseModel):
    id: int
    body: str | None = None
    author: _User | None = None
    system: bool = False


_USER, _ITEM, _ITEMS = TypeAdapter(_User), TypeAdapter(_Item), TypeAdapter(list[_Item])


class GitLab(Host):
    """A merge request of a project, by the project's number or path."""

    needs = "a token with the scope api in GITLAB_TOKEN (CI_JOB_TOKEN may not write notes)"
    address = "CI_API_V4_URL"

    def __init__(self, url: str, token: str, project: str, number: int) -> None:
        super().__init__(url, {"PRIVATE-TOKEN": token})
        self._notes = f"/projects/{quote(project, safe='')}/merge_requests/{number}/notes"
        self._user = ""

    def comments(self) -> Iterator[Comment]:
        page, seen = "1", {"1"}
        while page:
            answer = self.call("GET", self._notes, params={"per_page": "100", "page": page, "sort": "asc"})
            if answer is None:
                return
            yield from (_comment(item) for item in self.read(answer, _ITEMS) if not item.system)
            following = answer.headers.get("x-next-page", "")
            page = self.moving_on(following, seen) if following else ""

    def create(self, body: str) -> Comment:
        return self._written(self.call("POST", self._notes, once=True, json={"body": body}))

    def change(self, comment: Comment, body: str) -> Comment | None:
        answer = self.call("PUT", f"{self._notes}/{comment.id}", gone=True, json={"body": body})
        return self._written(answer) if answer is not None else None

    def delete(self, comment: Comment) -> None:
        self.call("DELETE", f"{self._notes}/{comment.id}", gone=True)

    def _written(self, answer: httpx.Response | None) -> Comment:
        assert answer is not None
        return _comment(self.read(answer, _ITEM))

    def me(self) -> str:
        """The number of who writes with the token."""
        if not self._user:
            answer = self.call("GET", "/user")
            assert answer is not None
            self._user = str(self.read(answer, _USER).id)
        return self._user


def _comment(item: _Item) -> Comment:
    return Comment(item.id, item.body or "", str(item.author.id) if item.author else "")


def of_environment(environ: Mapping[str, str], number: int | None, token: str) -> GitLab:
    """The merge request that a pipeline runs for. Raises ReconcilerError if that is not known.

    https://docs.gitlab.com/ci/variables/predefined_variables/
    """
    project, found = environ.get("CI_PROJECT_ID", ""), environ.get("CI_MERGE_REQUEST_IID", "")
    if not project:
        raise ReconcilerError("CI_PROJECT_ID is not set; it is in every pipeline")
    if number is None and not found.isdecimal():
        raise ReconcilerError("this pipeline is of no merge request; name one with --number")
    url = environ.get("CI_API_V4_URL") or "https://gitlab.com/api/v4"
    return GitLab(url, token, project, number if number is not None else int(found))


def commit(environ: Mapping[str, str]) -> str:
    """The commit that a pipeline runs for, as people know it: of a merged result the branch's own last one; "" if not known."""
    return environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA", "")
