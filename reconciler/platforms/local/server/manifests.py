"""The endpoints of manifests by tag and digest, of the tags of a repository, and of the referrers of a manifest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from reconciler.platforms.local import manifest as manifests
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.documents import RepositoryDocument
from reconciler.platforms.local.layout import in_order, media_type_of
from reconciler.platforms.local.manifest import OCI_INDEX, Manifest, ManifestError
from reconciler.platforms.local.refusals import Exists, Missing, Refused
from reconciler.spec.selection import matches_any

from . import sending
from .auth import Doorkeeper
from .errors import ApiError, digest_invalid, error, manifest_unknown
from .names import digest_of, reference_of, repository_of, tag_of
from .threads import Threads

#: bytes. The specification wants at least 4 MiB: spec.md#pushing-manifests
MANIFEST_MOST = 8 << 20
#: seconds in which a manifest must have arrived: 8 MiB at 140 kB a second
BODY_SECONDS = 60.0
#: tags that one push can set; https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
TAGS_MOST = 10
#: tags and repositories of one page, whatever `n` says
TAGS_LISTED, REPOSITORIES_LISTED = 10_000, 1_000
#: bytes of a page of referrers, and of one of their descriptors; clients read indexes of up to 4 MiB:
#: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
REFERRERS_MOST, DESCRIPTOR_MOST = 1 << 18, 1 << 17
#: referrers that are looked at for one page
REFERRERS_READ = 1_000


class Manifests:
    """The endpoints under /v2/NAME/manifests/, /v2/NAME/tags/ and /v2/NAME/referrers/, and /v2/_catalog."""

    def __init__(self, door: Doorkeeper, content: Content, threads: Threads) -> None:
        self.door = door
        self.content = content
        self.threads = threads

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD /v2/NAME/manifests/REFERENCE"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        reference = reference_of(request)
        try:
            found = await asyncio.to_thread(self._found, name, reference, request.method == "HEAD")
        except (Missing, FileNotFoundError):
            raise manifest_unknown(reference) from None
        if found.is_due:
            try:
                await self.threads.note(self.content.keep_manifest, name, found.digest)
            except BaseException as problem:
                found.file.close()
                if isinstance(problem, Missing):
                    raise manifest_unknown(reference) from None
                raise
        headers = {"Docker-Content-Digest": found.digest, "Content-Type": found.media_type}
        return await sending.answer(request, found.file, found.digest, headers)

    def _found(self, name: str, reference: str, head: bool) -> _Found:
        digest, path = self.content.manifest(name, reference)
        media_type, is_due = media_type_of(path), head and self.content.is_due(name, digest)
        return _Found(digest, media_type, is_due, sending.OpenFile(path))

    async def put(self, request: web.Request) -> web.Response:
        """PUT /v2/NAME/manifests/REFERENCE, with ?tag=TAG any number of times if the reference is a digest"""
        name = repository_of(request)
        caller = await self.door.enter(request, name, "push")
        reference = reference_of(request)
        body = await _body(request)
        await self.door.still(request, caller, name, "push")
        try:
            digest, tags, found = await asyncio.to_thread(_read, request, reference, body)
            missing = await self.threads.change(
                self.content.put_manifest,
                name,
                digest,
                body,
                found,
                tags,
                lambda tag: self._movable(name, tag),
                only_new=request.headers.get("If-None-Match", "").strip() == "*",
            )
        except Exists:
            what = f"a manifest {reference}" if ":" in reference and not tags else f"the tag {' or '.join(tags)}"
            raise ApiError(412, "DENIED", f"the repository already has {what}, and If-None-Match is *") from None
        except Refused as problem:
            raise ApiError(409, "DENIED", str(problem)) from None
        if missing:
            first, *rest = (
                error("MANIFEST_BLOB_UNKNOWN", f"the repository has no {item}: push it first", {"digest": item})
                for item in missing
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
            await self.threads.change(remove, name, reference)
        except Missing:
            raise manifest_unknown(reference) from None
        except Refused as problem:
            raise ApiError(405, "UNSUPPORTED", str(problem), {"digest": reference}) from None
        return web.Response(status=202)

    async def referrers(self, request: web.Request) -> web.Response:
        """GET /v2/NAME/referrers/DIGEST, as many at once as fit into a page"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        digest = digest_of(request.match_info["digest"])
        wanted = request.query.get("artifactType", "")
        found, last = await self.threads.list(self._referrers, name, digest, request.query.get("last", ""), wanted)
        headers = {"Content-Type": OCI_INDEX}
        if wanted:
            headers["OCI-Filters-Applied"] = "artifactType"
        if last:
            query = urlencode({**({"artifactType": wanted} if wanted else {}), "last": last}, safe="")
            headers["Link"] = f'<{request.path}?{query}>; rel="next"'
        return web.Response(body=found, headers=headers)

    def _referrers(self, name: str, digest: str, after: str, wanted: str) -> tuple[bytes, str]:
        """A page of a subject's referrers, as an index, and the digest of its last if there are more; else ""."""
        page: list[str] = []
        size, last = 0, ""
        for number, (referrer, descriptor) in enumerate(self.content.referrers(name, digest, after)):
            if number == REFERRERS_READ:
                break
            if not wanted or descriptor.get("artifactType") == wanted:
                text = json.dumps(descriptor)
                if page and size + len(text) > REFERRERS_MOST:
                    break
                page.append(text)
                size += len(text)
            last = referrer
        else:
            last = ""
        return f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{",".join(page)}]}}'.encode(), last

    async def tags(self, request: web.Request) -> web.Response:
        """GET /v2/NAME/tags/list"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        return await self.threads.list(
            lambda: _page(request, {"name": name}, "tags", self.content.tags(name), TAGS_LISTED)
        )

    async def catalog(self, request: web.Request) -> web.Response:
        """GET /v2/_catalog: the repositories that the caller may pull from"""
        caller = await self.door.caller(request)
        if caller.issued is None and not await self.threads.catalog(self.door.open_to_everyone):
            raise self.door.challenge(request, "log in to list repositories", "registry:catalog:*")
        after = request.query.get("last", "")
        return await self.threads.catalog(
            lambda: _page(request, {}, "repositories", self.door.visible(caller, after), REPOSITORIES_LISTED)
        )

    def _movable(self, name: str, tag: str) -> bool:
        settings = (self.content.documents.repositories.read_again(name) or RepositoryDocument(name)).settings
        # `or ()`: whoever edits the file by hand may write null
        return not settings.tags_immutable or matches_any(tag, settings.movable_tags or ())


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest. `is_due`: it is time to call `keep_manifest`."""

    digest: str
    media_type: str
    is_due: bool
    file: sending.OpenFile


def _read(request: web.Request, reference: str, body: bytes) -> tuple[str, list[str], Manifest]:
    """The digest, the tags and the manifest of a push. Raises ApiError."""
    digest, tags = _named(reference, body, request.query.getall("tag", []))
    try:
        found = manifests.pushed(body, request.headers.get("Content-Type", ""))
    except ManifestError as problem:
        raise ApiError(400, "MANIFEST_INVALID", str(problem)) from None
    if found.subject is not None and len(json.dumps(found.descriptor(digest, len(body)))) > DESCRIPTOR_MOST:
        raise ApiError(
            413,
            "SIZE_INVALID",
            f"the annotations of a manifest with a subject are listed among its referrers: at most {DESCRIPTOR_MOST:,} bytes",
        )
    return digest, tags, found


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


def _page(request: web.Request, document: dict[str, Any], key: str, items: Iterable[str], at_most: int) -> web.Response:
    """One page of a sorted list, with a Link to the next one. `at_most`: items of a page, whatever is asked for. Raises ApiError."""
    query = request.query
    asked = query.get("n", "")
    if asked and (not asked.isascii() or not asked.isdigit() or len(asked) > 9):
        raise ApiError(400, "UNSUPPORTED", f"n must be a number, not {asked[:40]!r}")
    most = min(int(asked), at_most) if asked else at_most
    last = query.get("last", "")
    rest = (item for item in items if in_order(item) > in_order(last))
    page = list(islice(rest, most))
    headers = {}
    if page and next(rest, None) is not None:
        headers["Link"] = f'<{request.path}?n={most}&last={quote(page[-1], safe="")}>; rel="next"'
    return web.json_response({**document, key: page}, headers=headers)
