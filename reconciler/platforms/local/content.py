"""The images of a local registry, as files. Nothing here knows HTTP.

    PATH/blobs/ALGORITHM/HEX                      content, shared by all repositories
    PATH/links/NAME/ALGORITHM/HEX                 empty: the repository has that blob
    PATH/manifests/NAME/ALGORITHM/HEX             a manifest, as it was pushed
    PATH/tags/NAME/TAG                            the digest that the tag stands for
    PATH/referrers/NAME/ALGORITHM/HEX/ALGORITHM/HEX   below a subject: the descriptor of a manifest that names it
    PATH/uploads/NAME/ID                          what has arrived of an upload
    PATH/times/NAME/ALGORITHM/HEX                 when a manifest was pushed and asked for (times.py)

Each file is written under another name, synced and renamed, so it is there whole or not at all. What makes an image visible is
the rename of its manifest, which comes after everything that the manifest needs. Whatever a crash leaves is invisible and is
removed by `collect`. Whoever makes content visible or removes it holds the store's lock.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from .folder import NEEDED, touch, unlink_unchanged
from .layout import digests_in
from .refusals import Missing, Refused, WrongDigest
from .removal import TRIES, Removal
from .store import encoded, make_folder, write_error
from .times import FRESH
from .upload import Upload


class Content(Removal):
    """Blobs, manifests, tags and referrers of one registry."""

    # -- blobs --------------------------------------------------------------------------------------------------

    def blob(self, name: str, digest: str) -> tuple[int, bool]:
        """The blob's size in bytes, and whether it is time to call `keep_blob`. Raises Missing."""
        try:
            linked = self._link(name, digest).stat()
            return self.blob_path(digest).stat().st_size, time.time() - linked.st_mtime > FRESH
        except FileNotFoundError:
            raise Missing(digest) from None

    def keep_blob(self, name: str, digest: str) -> None:
        """Makes the blob's grace start anew: a client that has seen the blob pushes its manifest next. Raises Missing."""
        with self.changing():
            try:
                touch(self._link(name, digest))
            except FileNotFoundError:
                raise Missing(digest) from None

    def mount(self, name: str, digest: str, sources: Iterable[str]) -> bool:
        """Puts a blob of one of the source repositories into this one; False if none has it. Raises Deleted."""
        source = next((source for source in sources if self._has_blob(source, digest)), None)
        if source is None:
            return False
        with self.adding(name):
            if not self._has_blob(source, digest):
                return False
            self._put_link(name, digest)
        return True

    def remove_blob(self, name: str, digest: str) -> None:
        """Takes the blob out of the repository. Raises Missing, and Refused while a manifest needs it."""
        link = self._link(name, digest)
        for _ in range(TRIES):
            try:
                seen = link.stat().st_mtime_ns
            except FileNotFoundError:
                raise Missing(digest) from None
            self._refuse_part(name, digest)
            with self.changing():
                if unlink_unchanged(link, seen):
                    return
        raise Refused(f"{digest} keeps being pushed by others")

    def has_blob(self, name: str, digest: str) -> bool:
        """Whether the repository has the blob."""
        return self._has_blob(name, digest)

    # -- uploads ------------------------------------------------------------------------------------------------

    def start_upload(self, name: str, algorithm: str = "sha256") -> Upload:
        """A new, empty upload to the repository."""
        folder = self._uploads(name)
        make_folder(folder)
        return Upload(name, folder / uuid.uuid4().hex, algorithm)

    def resume_upload(self, name: str, upload_id: str) -> Upload:
        """An upload of an earlier process. `upload_id` must be 32 hexadecimal digits. Raises Missing."""
        try:
            return Upload(name, self._uploads(name) / upload_id, resumed=True)
        except FileNotFoundError:
            raise Missing(upload_id) from None

    def finish_upload(self, upload: Upload, digest: str) -> None:
        """Makes the upload a blob of its repository. Raises WrongDigest, and Missing if `collect` has removed the upload."""
        found = upload.digest(digest.partition(":")[0])
        if found != digest:
            raise WrongDigest(f"the content's digest is {found}, not {digest}")
        upload.sync()
        path = self.blob_path(digest)
        make_folder(path.parent)
        with self.adding(upload.name):
            if upload.size() != upload.offset:
                raise WrongDigest(f"{upload.size():,} bytes are stored, but {upload.offset:,} arrived")
            try:
                # never replaced: it may be somebody else's, and is what the digest says; unless its size shows that it is not
                if path.exists() and path.stat().st_size == upload.path.stat().st_size:
                    upload.path.unlink()
                else:
                    os.replace(upload.path, path)
            except FileNotFoundError:
                raise Missing(upload.id) from None
            self._put_link(upload.name, digest)
        upload.close()

    def drop_upload(self, upload: Upload) -> None:
        """Removes the upload and what has arrived of it."""
        upload.close()
        upload.path.unlink(missing_ok=True)

    def _uploads(self, name: str) -> Path:
        return self.root / "uploads" / encoded(name)

    # -- whole repositories -------------------------------------------------------------------------------------

    def forget(self, name: str) -> list[Path]:
        """Takes all that a repository holds out of sight, manifests first; returns what `discard` then removes without the lock.

        The caller holds the lock. Raises PlatformError if the disk fails.
        """
        aside = []
        for part in ("manifests", "tags", "referrers", "links", "uploads", "times"):
            folder = self.root / part / encoded(name)
            try:
                aside.append(self.put_aside(folder))
            except OSError as error:
                raise write_error(folder, error) from None
        return [path for path in aside if path is not None]

    def discard(self, aside: Iterable[Path]) -> None:
        """Removes what was put aside. What the disk does not let go of now is collected."""
        for path in aside:
            shutil.rmtree(path, ignore_errors=True)

    def repositories(self) -> list[str]:
        """The names of repositories that hold blobs, also of those that are no longer in the registry. Raises OSError."""
        try:
            return sorted(unquote(name) for name in os.listdir(self.root / "links"))
        except FileNotFoundError:
            return []

    def missing_folder(self) -> str | None:
        """The first folder without which what is there would look as if nobody needed it, in a copy that is not finished, say. None
        if all are there, or no content is. Raises OSError."""
        if next(self.blobs(), None) is None and not (self.root / "manifests").is_dir():
            return None
        return next((part for part in NEEDED if not (self.root / part).is_dir()), None)

    def links(self, name: str) -> Iterator[tuple[str, Path]]:
        """The digests of the blobs that the repository has, each with the file that says so."""
        yield from digests_in(self.root / "links" / encoded(name))

    def blobs(self) -> Iterator[tuple[str, Path]]:
        """The digests of all content, each with its file."""
        yield from digests_in(self.root / "blobs")

    def remove_link(self, name: str, digest: str, seen: int) -> bool:
        """Takes a blob that no manifest needs out of the repository; False if its time is no longer `seen`, nanoseconds: whatever
        needs a blob makes its time new. The caller holds the lock."""
        return unlink_unchanged(self._link(name, digest), seen)

    def take_blob(self, digest: str, seen: int) -> Path | None:
        """Puts content that no repository has aside, as `put_aside`. None if its time is no longer `seen`, nanoseconds: a repository
        has it by now. The caller holds the lock."""
        path = self.blob_path(digest)
        with suppress(FileNotFoundError):
            if path.stat().st_mtime_ns == seen:
                return self.put_aside(path)
        return None

    def uploads(self) -> Iterator[Path]:
        """The files of all uploads that were started and not finished."""
        yield from (self.root / "uploads").glob("*/*")
