"""Comments of a pull request on GitHub.

https://docs.github.com/en/rest/issues/comments
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import ReconcilerError

from .sticky import Comment, Host, Refused

#: who writes with the token of a workflow, which may not ask who it is
WORKFLOW = "github-actions[bot]"


class GitHub(Host):
    """A pull request of a repository, `OWNER/NAME`."""

    needs = "permissions: pull-requests: write"

    def __init__(self, url: str, token: str, repository: str, number: int) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        super().__init__(url, headers)
        self._issue = f"/repos/{repository}/issues/{number}/comments"
        self._one = f"/repos/{repository}/issues/comments"
        self._login: str | None = None

    def comments(self) -> Iterator[Comment]:
        path: str | None = f"{self._issue}?per_page=100"
        while path is not None:
            answer = self.call("GET", path)
            if answer is None:
                return
            for item in answer.json():
                yield self._comment(item)
            following = answer.links.get("next", {}).get("url")
            path = str(following) if following else None

    def create(self, body: str) -> Comment:
        answer = self.call("POST", self._issue, json={"body": body})
        return self._comment(answer.json() if answer is not None else {})

    def change(self, comment: Comment, body: str) -> Comment | None:
        answer = self.call("PATCH", f"{self._one}/{comment.id}", gone=True, json={"body": body})
        return self._comment(answer.json()) if answer is not None else None

    def _comment(self, item: Mapping[str, Any]) -> Comment:
        author = str((item.get("user") or {}).get("login", ""))
        return Comment(
            int(item["id"]), str(item.get("body") or ""), author == self.login, str(item.get("html_url", ""))
        )

    @property
    def login(self) -> str:
        """Who writes with the token."""
        if self._login is None:
            try:
                answer = self.call("GET", "/user")
                self._login = str(answer.json()["login"]) if answer is not None else WORKFLOW
            except Refused:  # «Resource not accessible by integration»: the token of a workflow
                self._login = WORKFLOW
        return self._login


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
    return GitHub(environ.get("GITHUB_API_URL", "https://api.github.com"), token, repository, found)


def _number(environ: Mapping[str, str]) -> int | None:
    if match := re.fullmatch(r"refs/pull/([0-9]+)/(merge|head)", environ.get("GITHUB_REF", "")):
        return int(match.group(1))
    path = environ.get("GITHUB_EVENT_PATH")
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return None
    found = event.get("pull_request") or next(iter((event.get("workflow_run") or {}).get("pull_requests") or ()), None)
    number = (found or {}).get("number")
    return number if isinstance(number, int) else None
