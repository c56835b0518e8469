"""Notes of a merge request on GitLab.

https://docs.gitlab.com/api/notes/#merge-requests
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from reconciler.errors import ReconcilerError

from .sticky import Comment, Host


class GitLab(Host):
    """A merge request of a project, by the project's number or path."""

    needs = "a token with the scope api in GITLAB_TOKEN (CI_JOB_TOKEN may not write notes)"

    def __init__(self, url: str, token: str, project: str, number: int) -> None:
        super().__init__(url, {"PRIVATE-TOKEN": token})
        self._notes = f"/projects/{quote(project, safe='')}/merge_requests/{number}/notes"
        self._user: int | None = None

    def comments(self) -> Iterator[Comment]:
        page = "1"
        while page:
            answer = self.call("GET", self._notes, params={"per_page": "100", "page": page, "sort": "asc"})
            if answer is None:
                return
            yield from (self._comment(item) for item in answer.json() if not item.get("system"))
            page = answer.headers.get("x-next-page", "")

    def create(self, body: str) -> Comment:
        answer = self.call("POST", self._notes, json={"body": body})
        return self._comment(answer.json() if answer is not None else {})

    def change(self, comment: Comment, body: str) -> Comment | None:
        answer = self.call("PUT", f"{self._notes}/{comment.id}", gone=True, json={"body": body})
        return self._comment(answer.json()) if answer is not None else None

    def _comment(self, item: Mapping[str, Any]) -> Comment:
        author = (item.get("author") or {}).get("id")
        return Comment(int(item["id"]), str(item.get("body") or ""), author == self.user)

    @property
    def user(self) -> int:
        """The number of who writes with the token."""
        if self._user is None:
            answer = self.call("GET", "/user")
            self._user = int(answer.json()["id"]) if answer is not None else 0
        return self._user


def of_environment(environ: Mapping[str, str], number: int | None, token: str) -> GitLab:
    """The merge request that a pipeline runs for. Raises ReconcilerError if that is not known.

    https://docs.gitlab.com/ci/variables/predefined_variables/
    """
    project, found = environ.get("CI_PROJECT_ID", ""), environ.get("CI_MERGE_REQUEST_IID", "")
    if not project:
        raise ReconcilerError("CI_PROJECT_ID is not set; it is in every pipeline")
    if number is None and not found.isdecimal():
        raise ReconcilerError("this pipeline is of no merge request; name one with --number")
    url = environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4")
    return GitLab(url, token, project, number if number is not None else int(found))
