"""Stand-ins for GitHub's and GitLab's REST APIs over a real socket, with one request and its comments.

The answers' shapes are those of https://docs.github.com/en/rest/issues/comments and https://docs.gitlab.com/api/notes/.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from reconciler.cli.app import run

TOKEN = "ghs_secret0123456789"
MARK = "<!-- reconciler:acme:review -->"
PAGE = 3
#: what stands for an answer that never comes: the connection is closed, before or after the call is carried out
CUT, CUT_AFTER = -1, -2
FORBIDDEN = {"message": "Resource not accessible by integration"}


class Forge:
    """GitHub, or GitLab. `kind`: which of them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.comments: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        #: answers to give instead, in order: (METHOD or `METHOD PATH`, status, headers, body); a text is sent as HTML. Where the
        #: status is negative (but CUT), the call is carried out all the same.
        self.instead: list[tuple[str, int, dict[str, str], Any]] = []
        self.me = "github-actions[bot]" if kind == "github" else "bot"
        #: whether GET /user answers, and GraphQL's viewer
        self.user, self.viewer = kind == "gitlab", True
        self._number = 0
        forge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                status, headers, found = forge.answer(self.command, self.path, dict(self.headers), body)
                if status in (CUT, CUT_AFTER):
                    self.close_connection = True
                    return
                html = isinstance(found, str)
                data = b"" if status == 204 else found.encode() if html else json.dumps(found).encode()
                self.send_response(status)
                for name, value in {
                    "Content-Type": "text/html" if html else "application/json",
                    "Content-Length": str(len(data)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - the names that http.server asks for

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def change(self) -> str:
        """The method that changes a comment."""
        return "PATCH" if self.kind == "github" else "PUT"

    @property
    def listed(self) -> str:
        """The path of the comments."""
        return (
            "/repos/acme/images/issues/7/comments" if self.kind == "github" else "/projects/12/merge_requests/7/notes"
        )

    def one(self, number: int) -> str:
        """The path of a comment."""
        return f"/repos/acme/images/issues/comments/{number}" if self.kind == "github" else f"{self.listed}/{number}"

    def made(self, *methods: str) -> list[str]:
        """The calls with these methods, but GraphQL's, as methods."""
        return [method for method, path in self.calls if method in methods and path != "/graphql"]

    def written(self, author: str, body: str) -> dict[str, Any]:
        self._number += 1
        number = self._number
        if self.kind == "github":
            who: dict[str, Any] = {"user": {"login": author}}
        else:
            who = {"author": {"id": len(author), "username": author}, "system": False}
        found = {"id": number, "body": body, "html_url": f"https://github.example/c/{number}", **who}
        self.comments.append(found)
        return found

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        self.calls.append((method, path))
        given = {name.lower(): value for name, value in headers.items()}
        token = given.get("authorization", "").removeprefix("Bearer ") or given.get("private-token")
        if token != TOKEN:
            return 401, {}, {"message": "Bad credentials"}
        name, _, query = path.partition("?")
        wanted = (f"{method} {name}",) if path in ("/user", "/graphql") else (method, f"{method} {name}")
        if self.instead and self.instead[0][0] in wanted:
            _, status, more, found = self.instead.pop(0)
            if status < CUT:
                self.carried_out(method, name, query, body)
            return (CUT if status == CUT_AFTER else abs(status) if status < CUT else status), more, found
        return self.carried_out(method, name, query, body)

    def carried_out(self, method: str, name: str, query: str, body: Any) -> tuple[int, dict[str, str], Any]:
        if name == "/user":
            # https://docs.github.com/en/rest/users/users#get-the-authenticated-user: not for the token of a workflow or of an app
            return (200, {}, {"id": len(self.me), "login": self.me}) if self.user else (403, {}, FORBIDDEN)
        if name == "/graphql":
            assert body == {"query": "query { viewer { login } }"}
            return (200, {}, {"data": {"viewer": {"login": self.me}}}) if self.viewer else (403, {}, FORBIDDEN)
        if method == "GET":
            return self.page(name, query)
        if method == "POST":
            return 201, {}, self.written(self.me, body["body"])
        number = int(name.rpartition("/")[2])
        found = next((item for item in self.comments if item["id"] == number), None)
        if found is None:
            return 404, {}, {"message": "Not Found"}
        if method == "DELETE":
            self.comments.remove(found)
            return 204, {}, None
        found["body"] = body["body"]
        return 200, {}, found

    def page(self, name: str, query: str) -> tuple[int, dict[str, str], Any]:
        page = int(dict(part.split("=") for part in query.split("&")).get("page", "1"))
        found = self.comments[(page - 1) * PAGE : page * PAGE]
        more = page * PAGE < len(self.comments)
        if self.kind == "github":
            link = f'<{self.url}{name}?per_page=100&page={page + 1}>; rel="next"'
            return 200, {"Link": link} if more else {}, found
        return 200, {"x-next-page": str(page + 1) if more else ""}, found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def comment(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What the command prints, which is never the token."""
    assert run(["comment", *arguments]) == code
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err
    return printed.out + printed.err
