"""The endpoints of manifests by tag and digest, of the tags of a repository, and of the referrers of a manifest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from itertools import islice
from typing import Any
from urllib.parse import quote

from aiohttp import web

from reconciler.platforms.local import manifest as manifests
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.documents import RepositoryDocument
from reconciler.platforms.local.layout import in_order, media_type_of
from reconciler.platforms.local.manifest import OCI_INDEX, ManifestError
from reconciler.platforms.local.refusals import Missing, Refused
from reconciler.spec.selection import matches_any

from .auth import Doorkeeper
from .errors import ApiError, digest_invalid, error, manifest_unknown
from .names import digest_of, reference_of, repository_of, tag_of

#: bytes. The specification wants at least 4 MiB: spec.md#pushing-manifests
MANIFEST_MOST = 8 << 20
#: seconds in which a manifest must have arrived: 8 MiB at 140 kB a second
BODY_SECONDS = 60.0
#: tags that one push can set; https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
TAGS_MOST = 10


class Manifests:
    """The endpoints under /v2/NAME/manifests/, /v2/NAME/tags/ and /v2/NAME/referrers/, and /v2/_catalog."""

    def __init__(self, door: Doorkeeper, content: Content) -> None:
        self.door = door
        self.content = content

    async def get(self, request: web.Request) -> web.Response:
        """GET and HEAD /v2/NAME/manifests/REFERENCE"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        reference = reference_of(request)
        try:
            digest, path = self.content.manifest(name, reference)
            body = path.read_bytes()
            media_type = media_type_of(path)
        except (Missing, FileNotFoundError):
            raise manifest_unknown(reference) from None
        if request.method == "HEAD" and self.content.is_due(name, digest):
            try:
                await asyncio.to_thread(self.content.keep_manifest, name, digest)
            except Missing:
                raise manifest_unknown(reference) from None
        headers = {"Docker-Content-Digest": digest, "Content-Type": media_type, "ETag": f'"{digest}"'}
        if request.headers.get("If-None-Match", "").strip() in (f'"{digest}"', digest):
            return web.Response(status=304, headers=headers)
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(body))})
        return web.Response(body=body, headers=headers)

    async def put(self, request: web.Request) -> web.Response:
        """PUT /v2/NAME/manifests/REFERENCE, with ?tag=TAG any number of times if the reference is a digest"""
        name = repository_of(request)
        caller = await self.door.enter(request, name, "push")
        reference = reference_of(request)
        body = await _body(request)
        self.door.still(request, caller, name, "push")
        digest, tags = _named(reference, body, request.query.getall("tag", []))
        try:
            found = await asyncio.to_thread(manifests.parse, body, request.headers.get("Content-Type", ""))
        except ManifestError as problem:
            raise ApiError(400, "MANIFEST_INVALID", str(problem)) from None
        try:
            missing = await asyncio.to_thread(
                self.content.put_manifest, name, digest, body, found, tags, lambda tag: self._movable(name, tag)
            )
        except Refused as problem:
            raise ApiError(409, "DENIED", str(problem)) from None
        if missing:
            first, *rest = (
                error("MANIFEST_BLOB_UNKNOWN", f"the repository has no {item}: push it first", {"digest": item})
                for item in missing[:100]
            )
            raise ApiError(400, first["code"], first["message"], first["detail"], more=tuple(rest))
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if found.subject is not None:
            headers["OCI-Subject"] = found.subject
        if ":" in reference and tags:
            headers["OCI-Tag"] = ", ".join(tags)
        return web.Response(status=201, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v2/NAME/manifests/REFERENCE: a digest removes the manifest and its tags, a tag only itself"""
        name = repository_of(request)
        await self.door.enter(request, name, "delete")
        reference = reference_of(request)
        remove = self.content.remove_manifest if ":" in reference else self.content.remove_tag
        try:
            await asyncio.to_thread(remove, name, reference)
        except Missing:
            raise manifest_unknown(reference) from None
        except Refused as problem:
            raise ApiError(405, "UNSUPPORTED", str(problem), {"digest": reference}) from None
        return web.Response(status=202)

    async def referrers(self, request: web.Request) -> web.Response:
        """GET /v2/NAME/referrers/DIGEST"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        digest = digest_of(request.match_info["digest"])
        found = await asyncio.to_thread(self.content.referrers, name, digest)
        headers = {"Content-Type": OCI_INDEX}
        if wanted := request.query.get("artifactType"):
            found = [item for item in found if item.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}).encode()
        return web.Response(body=body, headers=headers)

    async def tags(self, request: web.Request) -> web.Response:
        """GET /v2/NAME/tags/list"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        return _page(request, {"name": name}, "tags", self.content.tags(name))

    async def catalog(self, request: web.Request) -> web.Response:
        """GET /v2/_catalog: the repositories that the caller may pull from"""
        caller = await self.door.caller(request)
        if caller.issued is None and not self.door.open_to_everyone():
            raise self.door.challenge(request, "log in to list repositories", "registry:catalog:*")
        return _page(request, {}, "repositories", self.door.visible(caller))

    def _movable(self, name: str, tag: str) -> bool:
        settings = (self.content.documents.repositories.read_again(name) or RepositoryDocument(name)).settings
        # `or ()`: whoever edits the file by hand may write null
        return not settings.tags_immutable or matches_any(tag, settings.movable_tags or ())


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _whole(request)
    except TimeoutError:
        raise ApiError(
            408,
            "MANIFEST_INVALID",
            f"the manifest did not arrive within {BODY_SECONDS:.0f} seconds",
            headers={"Connection": "close"},
        ) from None


async def _whole(request: web.Request) -> bytes:
    length = request.content_length
    if length is not None and length > MANIFEST_MOST:
        raise _too_large()
    body = bytearray()
    async for block in request.content.iter_any():
        body += block
        if len(body) > MANIFEST_MOST:
            raise _too_large()
    return bytes(body)


def _too_large() -> ApiError:
    return ApiError(
        413, "SIZE_INVALID", f"a manifest can have at most {MANIFEST_MOST:,} bytes", headers={"Connection": "close"}
    )


def _named(reference: str, body: bytes, tags: list[str]) -> tuple[str, list[str]]:
    """The manifest's digest and its tags. Raises ApiError."""
    if ":" not in reference:
        return f"sha256:{hashlib.sha256(body).hexdigest()}", [reference]
    algorithm = reference.partition(":")[0]
    digest = f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
    if digest != reference:
        raise digest_invalid(reference, f"the manifest's digest is {digest}, not {reference}")
    if len(tags) > TAGS_MOST:
        raise ApiError(414, "UNSUPPORTED", f"one push can set at most {TAGS_MOST} tags")
    return digest, list(dict.fromkeys(tag_of(tag) for tag in tags))


def _page(request: web.Request, document: dict[str, Any], key: str, items: list[str]) -> web.Response:
    """One page of a sorted list, with a Link to the next one. Raises ApiError."""
    query = request.query
    most = query.get("n", "")
    if most and (not most.isascii() or not most.isdigit() or len(most) > 9):
        raise ApiError(400, "UNSUPPORTED", f"n must be a number, not {most[:40]!r}")
    last = query.get("last", "")
    rest = (item for item in items if in_order(item) > in_order(last))
    page = list(islice(rest, int(most))) if most else list(rest)
    headers = {}
    if most and page and next(rest, None) is not None:
        headers["Link"] = f'<{request.path}?n={int(most)}&last={quote(page[-1], safe="")}>; rel="next"'
    return web.json_response({**document, key: page}, headers=headers)
