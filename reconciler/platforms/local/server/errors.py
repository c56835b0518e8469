"""Errors as the distribution specification wants them: a status, and a body with codes.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web


class ApiError(Exception):
    """One answer that is an error. `more`: further entries of its body, as `error` makes them."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        more: tuple[dict[str, Any], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.errors = [error(code, message, detail), *more]

    def response(self) -> web.Response:
        """The answer."""
        return web.json_response({"errors": self.errors}, status=self.status, headers=self.headers)


def error(code: str, message: str, detail: Any = None) -> dict[str, Any]:
    """One entry of an error's body, with one of the specification's codes."""
    return {"code": code, "message": message, **({"detail": detail} if detail is not None else {})}


def blob_unknown(digest: str) -> ApiError:
    """404: the repository has no such blob."""
    return ApiError(404, "BLOB_UNKNOWN", f"the repository has no blob {digest}", {"digest": digest})


def manifest_unknown(reference: str) -> ApiError:
    """404: the repository has no such manifest."""
    return ApiError(404, "MANIFEST_UNKNOWN", f"the repository has no manifest {reference}", {"reference": reference})


def digest_invalid(digest: str, why: str = "") -> ApiError:
    """400: the text is not a digest, or, as `why` says, not that of the content."""
    message = why or f"{digest!r} is not a digest: sha256 or sha512, a colon, and lower-case hexadecimal digits"
    return ApiError(400, "DIGEST_INVALID", message, {"digest": digest})
