"""What may stand in a request's path. https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests"""

from __future__ import annotations

import re

from aiohttp import web

from reconciler.platforms.local.manifest import is_digest

from .errors import ApiError, digest_invalid, manifest_unknown

_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")
#: characters of a repository's name
NAME_MOST = 255


def repository_of(request: web.Request) -> str:
    """The name of the repository that the request is about. Raises ApiError 400."""
    name = request.match_info["name"]
    if len(name) > NAME_MOST or _NAME.fullmatch(name) is None:
        raise ApiError(
            400, "NAME_INVALID", f"{name[:100]!r} is not a valid repository name", {"name": name[:NAME_MOST]}
        )
    return name


def digest_of(text: str) -> str:
    """The text, if it is a digest. Raises ApiError 400."""
    if not is_digest(text):
        raise digest_invalid(text[:200])
    return text


def reference_of(request: web.Request) -> str:
    """The tag or digest that the request is about. Raises ApiError 400, or 404 for a read of what can't be a tag."""
    reference = request.match_info["reference"]
    if ":" in reference:
        return digest_of(reference)
    if _TAG.fullmatch(reference) is None:
        if request.method in ("GET", "HEAD"):
            raise manifest_unknown(reference[:200])
        raise tag_invalid(reference)
    return reference


def tag_of(text: str) -> str:
    """The text, if it can be a tag. Raises ApiError 400."""
    if _TAG.fullmatch(text) is None:
        raise tag_invalid(text)
    return text


def tag_invalid(text: str) -> ApiError:
    """400: the text can't be a tag."""
    return ApiError(
        400,
        "MANIFEST_INVALID",
        f"{text[:200]!r} is not a valid tag: at most 128 letters, digits and `_.-`, and no `.` or `-` first",
    )


def upload_of(request: web.Request) -> str:
    """The ID of the upload that the request is about. Raises ApiError 404."""
    upload = request.match_info["upload"]
    if _UPLOAD.fullmatch(upload) is None:
        raise UploadUnknown
    return upload


class UploadUnknown(ApiError):
    """404: no such upload is under way."""

    def __init__(self) -> None:
        super().__init__(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload; start another with POST")
