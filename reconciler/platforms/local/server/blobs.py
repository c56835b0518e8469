"""The endpoints of blobs and their uploads: monolithic, chunked, streamed, mounted, resumed, cancelled."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import StreamReader, web

from reconciler.platforms.local.content import Content
from reconciler.platforms.local.manifest import is_digest
from reconciler.platforms.local.refusals import Missing, Refused, WrongDigest
from reconciler.platforms.local.upload import Upload
from reconciler.words import counted

from . import sending
from .auth import Caller, Doorkeeper
from .errors import ApiError, blob_unknown, digest_invalid
from .names import UploadUnknown, digest_of, repository_of, upload_of
from .threads import Threads, to_its_end

#: seconds in which a client must send something; one that is slower loses its connection, not what has arrived
PATIENCE = 60.0
#: seconds for which a request waits while another one, of this server or another's, sends to the same upload
WAITING = 60.0
#: bytes a second that must arrive on average, after PATIENCE seconds: a body is no way to keep a connection for ever
SLOWEST = 1024
#: bytes below which a block is hashed and written at once: handing it to a thread would take longer
SMALL = 1 << 16
#: bytes after which what has arrived is synced to the disk, while more arrives
FLUSH = 16 << 20
#: uploads that are kept open; the one that was used the longest ago is closed, and opened again when it is needed
OPEN_UPLOADS = 512
#: seconds after which an upload that another server holds is asked for again
TURN = 0.05
_RANGE = re.compile(r"(?:bytes[= ])?(\d{1,18})-(\d{1,18})(?:/(?:\d+|\*))?")


class Blobs:
    """The endpoints under /v2/NAME/blobs/."""

    def __init__(self, door: Doorkeeper, content: Content, threads: Threads) -> None:
        self.door = door
        self.content = content
        self.threads = threads
        self._uploads: OrderedDict[str, tuple[Upload, asyncio.Lock]] = OrderedDict()

    # -- blobs --------------------------------------------------------------------------------------------------

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD /v2/NAME/blobs/DIGEST"""
        name = repository_of(request)
        await self.door.enter(request, name, "pull")
        digest = digest_of(request.match_info["digest"])
        try:
            # a pull needs no grace, and waits for nobody; HEAD asks what a push may leave out
            if request.method == "HEAD" and (await asyncio.to_thread(self.content.blob, name, digest))[1]:
                await self.threads.note(self.content.keep_blob, name, digest)
            file = await asyncio.to_thread(self._opened, name, digest)
        except (Missing, FileNotFoundError):
            raise blob_unknown(digest) from None
        headers = {
            "Docker-Content-Digest": digest,
            "Content-Type": "application/octet-stream",
            "Cache-Control": "private, max-age=31536000, immutable",
        }
        return await sending.answer(request, file, digest, headers)

    def _opened(self, name: str, digest: str) -> sending.OpenFile:
        """The blob's file. Raises Missing, and FileNotFoundError if it goes meanwhile."""
        self.content.blob(name, digest)
        return sending.OpenFile(self.content.blob_path(digest))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v2/NAME/blobs/DIGEST"""
        name = repository_of(request)
        await self.door.enter(request, name, "delete")
        digest = digest_of(request.match_info["digest"])
        try:
            await self.threads.change(self.content.remove_blob, name, digest)
        except Missing:
            raise blob_unknown(digest) from None
        except Refused as error:
            raise ApiError(405, "UNSUPPORTED", str(error), {"digest": digest}) from None
        return web.Response(status=202, headers={"Docker-Content-Digest": digest})

    # -- uploads ------------------------------------------------------------------------------------------------

    async def start(self, request: web.Request) -> web.Response:
        """POST /v2/NAME/blobs/uploads/"""
        name = repository_of(request)
        caller = await self.door.enter(request, name, "push")
        query = request.query
        if "mount" in query:
            digest = query["mount"]
            # arguments that are not valid fall back to an upload, as the specification wants
            if is_digest(digest) and await self.threads.change(self._mount, caller, name, digest, query.get("from")):
                return _created(name, digest)
            return self._accepted(await self._new(name))
        if "digest" in query:
            digest = digest_of(query["digest"])
            upload = await self._new(name, digest.partition(":")[0])
            try:
                async with self._busy(upload):
                    return await self._complete(request, caller, upload, digest)
            except BaseException:
                self._drop(upload)  # the client does not know its ID, and would start anew
                raise
        algorithm = query.get("digest-algorithm", "sha256")
        if algorithm not in ("sha256", "sha512"):
            raise ApiError(400, "DIGEST_INVALID", "digest-algorithm must be sha256 or sha512")
        return self._accepted(await self._new(name, algorithm))

    async def status(self, request: web.Request) -> web.Response:
        """GET and HEAD /v2/NAME/blobs/uploads/ID"""
        # a client that has a token to read with asks with that: https://github.com/opencontainers/distribution-spec/tree/main/conformance
        _, upload = await self._find(request, also="pull")
        try:
            arrived = await asyncio.to_thread(upload.arrived)
        except Missing:
            raise self._ended(upload) from None
        return web.Response(status=204, headers=_place(upload, arrived))

    async def append(self, request: web.Request) -> web.Response:
        """PATCH /v2/NAME/blobs/uploads/ID"""
        _, upload = await self._find(request)
        async with self._busy(upload):
            self._check_range(request, upload)
            await self._receive(request, upload)
            return self._accepted(upload)

    async def finish(self, request: web.Request) -> web.Response:
        """PUT /v2/NAME/blobs/uploads/ID?digest=DIGEST"""
        digests = request.query.getall("digest", [])
        try:
            caller, upload = await self._find(request)
            if not digests:
                raise ApiError(400, "DIGEST_INVALID", "the digest parameter is missing")
            digest = digest_of(digests[0])
            async with self._busy(upload):
                self._check_range(request, upload)
                return await self._complete(request, caller, upload, digest)
        except UploadUnknown:
            if await self._is_there(request, digests):
                return _created(repository_of(request), digests[0])  # the answer to the same request got lost
            raise

    async def _is_there(self, request: web.Request, digests: list[str]) -> bool:
        """Whether the repository has the blob that an upload which is not under way would make; its grace starts anew. The caller may
        push to it."""
        name = repository_of(request)
        if len(digests) != 1 or not is_digest(digests[0]):
            return False
        if not await asyncio.to_thread(self.content.has_blob, name, digests[0]):
            return False
        try:
            await self.threads.change(self.content.keep_blob, name, digests[0])
        except Missing:
            return False
        return True

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE /v2/NAME/blobs/uploads/ID"""
        _, upload = await self._find(request, also="delete")
        async with self._busy(upload):
            self._drop(upload)
        return web.Response(status=204)

    # -- their parts --------------------------------------------------------------------------------------------

    def _mount(self, caller: Caller, name: str, digest: str, source: str | None) -> bool:
        """Puts a blob that the caller may read into the repository: of the source, or of any repository; False if there is none."""
        if source is not None:
            sources = [source] if self.door.may(caller, source, "pull") or source == name else []
        else:  # as much work for a blob that nobody has as for one that only others may read: it takes as long
            sources = [name, *self.door.readable(caller)]
        holders = (item for item in sources if self.content.has_blob(item, digest))
        found = next((item for item in holders if item == name or self.door.may(caller, item, "pull")), None)
        return found is not None and self.content.mount(name, digest, [found])

    async def _new(self, name: str, algorithm: str = "sha256") -> Upload:
        upload = await asyncio.to_thread(self.content.start_upload, name, algorithm)
        self._remember(upload)
        return upload

    def _remember(self, upload: Upload) -> None:
        self._uploads[upload.id] = (upload, asyncio.Lock())
        if len(self._uploads) > OPEN_UPLOADS:
            for number, (idle, lock) in list(self._uploads.items()):
                if not lock.locked() and number != upload.id:
                    del self._uploads[number]
                    idle.close()
                    return

    async def _find(self, request: web.Request, also: str = "") -> tuple[Caller, Upload]:
        name = repository_of(request)
        caller = await self.door.enter(request, name, "push", also)
        number = upload_of(request)
        if number not in self._uploads:
            try:
                found = await asyncio.to_thread(self.content.resume_upload, name, number)
            except Missing:
                raise UploadUnknown from None
            if number in self._uploads:  # another request was quicker
                found.close()
            else:
                self._remember(found)
        upload = self._uploads[number][0]
        if upload.name != name:
            raise UploadUnknown
        self._uploads.move_to_end(number)
        return caller, upload

    @asynccontextmanager
    async def _busy(self, upload: Upload) -> AsyncIterator[None]:
        """Holds the upload, among this server's requests and then among all servers on the folder."""
        lock = self._uploads[upload.id][1]
        try:
            async with asyncio.timeout(WAITING):
                await lock.acquire()
        except TimeoutError:
            raise self._taken() from None
        try:
            await self._claim(upload)
            try:
                yield
            finally:  # by nobody but who has claimed it: what others have written would count as seen
                if upload.lost:
                    self._drop(upload)
                upload.release()
        finally:
            lock.release()

    async def _claim(self, upload: Upload) -> None:
        end = time.monotonic() + WAITING
        try:
            while not await asyncio.to_thread(upload.claim):
                if time.monotonic() > end:
                    raise self._taken()
                await asyncio.sleep(TURN)
        except Missing:  # ended while this request waited, or at another server
            raise self._ended(upload) from None

    def _taken(self) -> ApiError:
        return ApiError(409, "BLOB_UPLOAD_INVALID", "another request is still sending to this upload")

    def _ended(self, upload: Upload) -> ApiError:
        self._uploads.pop(upload.id, None)
        upload.close()
        return UploadUnknown()

    def _check_range(self, request: web.Request, upload: Upload) -> None:
        text = request.headers.get("Content-Range")
        if text is None:
            return
        match = _RANGE.fullmatch(text.strip())
        first, last = (int(match[1]), int(match[2])) if match else (-1, -1)
        length = request.content_length
        if match is None or first != upload.offset or last < first - 1:
            raise ApiError(
                416,
                "BLOB_UPLOAD_INVALID",
                f"Content-Range is {text[:60]!r}, but the next chunk starts at {upload.offset}",
                headers=_place(upload),
            )
        if length is not None and length != last - first + 1:
            raise ApiError(400, "SIZE_INVALID", f"Content-Range {text[:60]!r} does not fit {counted(length, 'byte')}")

    async def _receive(self, request: web.Request, upload: Upload) -> None:
        """Appends the body. A body that is cut off leaves what has arrived, whole blocks of it."""
        content: StreamReader = request.content
        expected = request.headers.get("Content-Range")
        before = upload.offset
        async for block in _blocks(content, upload):
            if len(block) < SMALL:
                upload.append(block)
            else:
                # hashing lets go of the interpreter; meanwhile the next block arrives
                await to_its_end(asyncio.to_thread(upload.append, block))
        match = _RANGE.fullmatch(expected.strip()) if expected is not None else None
        if match is not None and upload.offset - before != int(match[2]) - int(match[1]) + 1:
            upload.truncate(before)
            raise ApiError(400, "SIZE_INVALID", f"Content-Range {expected!r} does not match the body")

    async def _complete(self, request: web.Request, caller: Caller, upload: Upload, digest: str) -> web.Response:
        before = upload.offset
        if before == 0:
            upload.use(digest.partition(":")[0])
        try:
            await self._receive(request, upload)
            await self.door.still(request, caller, upload.name, "push")
        except BaseException:
            upload.truncate(before)  # so that the same request can be made again
            raise
        try:
            await to_its_end(self.threads.change(self.content.finish_upload, upload, digest))
        except WrongDigest as error:
            self._drop(upload)
            raise digest_invalid(digest, str(error)) from None
        except Missing:  # `collect` has removed it
            self._drop(upload)
            raise UploadUnknown from None
        except BaseException:  # the lock is taken, the disk is full
            upload.take_back(before)
            raise
        self._uploads.pop(upload.id, None)
        return _created(upload.name, digest)

    def _drop(self, upload: Upload) -> None:
        self._uploads.pop(upload.id, None)
        self.content.drop_upload(upload)

    def _accepted(self, upload: Upload) -> web.Response:
        return web.Response(status=202, headers=_place(upload))

    def close(self) -> None:
        """Closes the files of all uploads; they can be resumed by another server."""
        for upload, _ in self._uploads.values():
            upload.close()


async def _blocks(content: StreamReader, upload: Upload) -> AsyncIterator[bytes]:
    """The body as it arrives. The disk writes meanwhile, so that little is left to wait for at the end."""
    flushing: asyncio.Future[None] | None = None
    flushed = before = upload.offset
    started = time.monotonic()
    try:
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    block = await content.readany()
            except TimeoutError:
                silence = ApiError(408, "BLOB_UPLOAD_INVALID", f"nothing has arrived for {PATIENCE:.0f} seconds")
                silence.headers.update({**_place(upload), "Connection": "close"})
                raise silence from None
            if not block:
                return
            yield block
            if time.monotonic() - started > PATIENCE + (upload.offset - before) / SLOWEST:
                slow = ApiError(408, "BLOB_UPLOAD_INVALID", f"fewer than {SLOWEST:,} bytes arrive per second")
                slow.headers.update({**_place(upload), "Connection": "close"})
                raise slow
            if upload.offset - flushed >= FLUSH and (flushing is None or flushing.done()):
                if flushing is not None:
                    flushing.result()  # raises what the disk said
                flushing, flushed = asyncio.ensure_future(asyncio.to_thread(upload.sync)), upload.offset
    finally:
        if flushing is not None:
            await flushing


def _place(upload: Upload, arrived: int | None = None) -> dict[str, str]:
    last = (upload.offset if arrived is None else arrived) - 1
    return {
        "Location": f"/v2/{upload.name}/blobs/uploads/{upload.id}",
        "Range": f"0-{max(last, 0)}",
        "Docker-Upload-UUID": upload.id,
    }


def _created(name: str, digest: str) -> web.Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return web.Response(status=201, headers=headers)
