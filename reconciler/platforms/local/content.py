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

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote

from . import manifest as manifests
from .documents import Documents
from .layout import below, digests_in, fallback_tag, in_order, parsed
from .manifest import OCI_INDEX, Manifest
from .refusals import Deleted, Exists, Missing, Refused, WrongDigest
from .store import PRIVATE_FILE, Store, encoded, make_folder, put_file, sync_folder, write_error
from .times import FRESH, Times, TimesKept
from .upload import Upload


class Content:
    """Blobs, manifests, tags and referrers of one registry."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.documents = Documents(store)
        self.root = store.root
        self.times = TimesKept(self.root)
        self._busy = Lock()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Holds the registry's lock, among this process's threads first: they wait without asking the disk again and again.

        Raises PlatformError if another process keeps the lock for too long.
        """
        with self._busy, self.store.writing():
            yield

    @contextmanager
    def adding(self, name: str) -> Iterator[None]:
        """As `changing`, to add to a repository. Raises Deleted if it was deleted meanwhile: otherwise the next repository of its
        name would begin with what was added."""
        with self.changing():
            if self.documents.repositories.read_again(name) is None:
                raise Deleted(name)
            yield

    # -- blobs --------------------------------------------------------------------------------------------------

    def blob(self, name: str, digest: str) -> tuple[int, bool]:
        """The blob's size in bytes, and whether it is time to call `keep_blob`. Raises Missing."""
        try:
            linked = self._link(name, digest).stat()
            return self.blob_path(digest).stat().st_size, time.time() - linked.st_mtime > FRESH
        except OSError:
            raise Missing(digest) from None

    def keep_blob(self, name: str, digest: str) -> None:
        """Makes the blob's grace start anew: a client that has seen the blob pushes its manifest next. Raises Missing."""
        with self.changing():
            try:
                os.utime(self._link(name, digest))
            except OSError:
                raise Missing(digest) from None

    def blob_path(self, digest: str) -> Path:
        """Where the content is; ask `blob` first."""
        return self.root / "blobs" / below(digest)

    def mount(self, name: str, digest: str, sources: Iterable[str]) -> bool:
        """Puts a blob of one of the source repositories into this one; False if none has it. Raises Deleted."""
        with self.adding(name):
            if not any(self._has_blob(source, digest) for source in sources):
                return False
            self._put_link(name, digest)
        return True

    def remove_blob(self, name: str, digest: str) -> None:
        """Takes the blob out of the repository. Raises Missing, and Refused while a manifest needs it."""
        with self.changing():
            if not self._link(name, digest).exists():
                raise Missing(digest)
            self._refuse_part(name, digest)
            self._link(name, digest).unlink(missing_ok=True)

    def _refuse_part(self, name: str, digest: str, but: str | None = None) -> None:
        """Raises Refused if a manifest of the repository refers to the digest. `but`: the digest of one that may."""
        for user, found in self.each_manifest(name):
            if digest in found.refers_to and user not in (digest, but):
                tags = ", ".join(tag for tag, tagged in self.tagged(name).items() if tagged == user)
                raise Refused(f"{digest} is part of {user}{f' ({tags})' if tags else ''}; delete that manifest first")

    def _link(self, name: str, digest: str) -> Path:
        return self.root / "links" / encoded(name) / below(digest)

    def _put_link(self, name: str, digest: str) -> None:
        link = self._link(name, digest)
        make_folder(link.parent)
        link.touch(mode=PRIVATE_FILE)

    def has_blob(self, name: str, digest: str) -> bool:
        """Whether the repository has the blob."""
        return self._has_blob(name, digest)

    def _has_blob(self, name: str, digest: str) -> bool:
        return self._link(name, digest).exists() and self.blob_path(digest).exists()

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
        except OSError:
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
            try:
                if path.exists():  # never replaced: it may be somebody else's, and is what the digest says
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

    # -- manifests ----------------------------------------------------------------------------------------------

    def manifest(self, name: str, reference: str) -> tuple[str, Path]:
        """The digest and file of a manifest by tag or digest. Raises Missing."""
        digest = reference if ":" in reference else self._tagged(name, reference)
        path = self._manifest_path(name, digest)
        if not path.is_file():
            raise Missing(reference)
        return digest, path

    def missing(self, name: str, found: Manifest) -> list[str]:
        """Digests that the manifest needs and that the repository does not have."""
        return [
            *(digest for digest in found.blobs if not self._has_blob(name, digest)),
            *(digest for digest in found.manifests if not self._has_entry(name, digest)),
        ]

    def _has_entry(self, name: str, digest: str) -> bool:
        """Whether the repository has what an index lists: a manifest, or a blob of a build cache
        (https://github.com/moby/buildkit/blob/master/README.md#registry-push-image-and-cache-separately)."""
        return self._manifest_path(name, digest).is_file() or self._has_blob(name, digest)

    def put_manifest(
        self,
        name: str,
        digest: str,
        body: bytes,
        found: Manifest,
        tags: Collection[str],
        movable: Callable[[str], bool],
        *,
        only_new: bool = False,
    ) -> list[str]:
        """Makes the manifest visible under its digest and the tags; if it needs what is missing, returns those digests instead.

        Raises Refused if a tag stands for another manifest and is not `movable`, and Deleted. With `only_new`, raises Exists if one
        of the tags is there; without tags, if the manifest is.
        """
        path = self._manifest_path(name, digest)
        with self.adding(name):
            if only_new and (any(self._read_tag(name, tag) for tag in tags) or (not tags and path.is_file())):
                raise Exists(digest)
            if missing := self.missing(name, found):
                return missing
            for tag in tags:
                before = self._read_tag(name, tag)
                if before is not None and before != digest and not movable(tag):
                    raise Refused(f"tag {tag} is immutable and stands for {before}")
            if not path.exists():
                self._sync_blobs(name, found)
                if found.subject is not None:
                    entry = json.dumps(found.descriptor(digest, len(body))).encode()
                    self._put(self._referrers(name, found.subject) / below(digest), entry)
                self._put(path, body)
            # before the tags: cut off here, an old image would be one that retention takes under its new tag
            self.times.pushed(name, digest)
            for tag in tags:
                if self._read_tag(name, tag) != digest:
                    self._put(self._tags(name) / tag, digest.encode())
        return []

    def is_due(self, name: str, digest: str) -> bool:
        """Whether it is time to call `keep_manifest` for a manifest that a client asks for. Raises Missing."""
        try:
            return time.time() - self.times.read(name, digest, self._manifest_path(name, digest)).asked > FRESH
        except OSError:
            raise Missing(digest) from None

    def keep_manifest(self, name: str, digest: str) -> None:
        """Makes the manifest's grace start anew, as `keep_blob` does for a blob's. Raises Missing."""
        path = self._manifest_path(name, digest)
        with self.changing():
            if not path.is_file():
                raise Missing(digest)
            self.times.asked(name, digest, path)

    def remove_manifest(self, name: str, digest: str) -> None:
        """Removes a manifest with its tags and from its subject's referrers. Raises Missing, and Refused while an index lists it."""
        with self.changing():
            path = self._manifest_path(name, digest)
            if path.is_file():
                # the list of a subject's referrers is mended when one of them goes
                subject = parsed(path).subject
                self._refuse_part(name, digest, self._read_tag(name, fallback_tag(subject)) if subject else None)
            self.remove_manifest_locked(name, digest)

    def remove_manifest_locked(self, name: str, digest: str) -> None:
        """As `remove_manifest`, for a caller that holds the lock."""
        path = self._manifest_path(name, digest)
        if not path.is_file():
            raise Missing(digest)
        subject = parsed(path).subject
        for tag in self.tags(name):
            if self._read_tag(name, tag) == digest:
                (self._tags(name) / tag).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
        self.times.forget(name, digest)
        if subject is not None:
            (self._referrers(name, subject) / below(digest)).unlink(missing_ok=True)
            self._clean_fallback(name, subject, digest)

    def remove_tag(self, name: str, tag: str) -> None:
        """Removes a tag; the manifest stays. Raises Missing."""
        with self.changing():
            try:
                (self._tags(name) / tag).unlink()
            except OSError:
                raise Missing(tag) from None

    def each_manifest(self, name: str) -> Iterator[tuple[str, Manifest]]:
        """The repository's manifests with their digests, in any order. Raises OSError for one that is damaged."""
        for path in self.manifest_files(name):
            yield f"{path.parent.name}:{path.name}", parsed(path)

    def manifest_files(self, name: str) -> list[Path]:
        """The files of the repository's manifests, one each, sorted."""
        folder = self.root / "manifests" / encoded(name)
        return sorted(item for item in folder.glob("*/*") if item.is_file())

    def times_of(self, name: str, digest: str) -> Times:
        """When the manifest was pushed and asked for. Raises OSError."""
        return self.times.read(name, digest, self._manifest_path(name, digest))

    def _manifest_path(self, name: str, digest: str) -> Path:
        return self.root / "manifests" / encoded(name) / below(digest)

    def _sync_blobs(self, name: str, found: Manifest) -> None:
        """Returns once the disk has the blobs' names, so that a power cut can't leave the manifest without its blobs."""
        for algorithm in {digest.partition(":")[0] for digest in found.refers_to if self._has_blob(name, digest)}:
            sync_folder(self.root / "blobs" / algorithm)
            sync_folder(self.root / "links" / encoded(name) / algorithm)

    # -- tags and referrers -------------------------------------------------------------------------------------

    def tags(self, name: str) -> list[str]:
        """The repository's tags in lexical order."""
        try:
            return sorted(os.listdir(self._tags(name)), key=in_order)
        except OSError:
            return []

    def tagged(self, name: str) -> dict[str, str]:
        """Digest by tag."""
        found = ((tag, self._read_tag(name, tag)) for tag in self.tags(name))
        return {tag: digest for tag, digest in found if digest is not None}

    def referrers(self, name: str, subject: str, after: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Digests and descriptors of the manifests whose subject it is, sorted by digest: those after `after`, one by one."""
        for digest, path in sorted(digests_in(self._referrers(name, subject))):
            if digest > after and self._manifest_path(name, digest).is_file():
                with suppress(OSError, ValueError):
                    yield digest, json.loads(path.read_bytes())

    def _tags(self, name: str) -> Path:
        return self.root / "tags" / encoded(name)

    def _referrers(self, name: str, subject: str) -> Path:
        return self.root / "referrers" / encoded(name) / below(subject)

    def _read_tag(self, name: str, tag: str) -> str | None:
        try:
            return (self._tags(name) / tag).read_text()
        except OSError:
            return None

    def _tagged(self, name: str, tag: str) -> str:
        digest = self._read_tag(name, tag)
        if digest is None or not manifests.is_digest(digest):
            raise Missing(tag)
        return digest

    def _clean_fallback(self, name: str, subject: str, digest: str) -> None:
        """Takes the manifest out of the index that a client without the referrers API keeps under the tag of the subject."""
        tag = fallback_tag(subject)
        before = self._read_tag(name, tag)
        if before is None:
            return
        path = self._manifest_path(name, before)
        try:
            document = json.loads(path.read_bytes())
            if parsed(path).media_type != OCI_INDEX:
                return
        except (OSError, ValueError):
            return
        kept = [item for item in document.get("manifests") or [] if item["digest"] != digest]
        if len(kept) == len(document.get("manifests") or []):
            return
        if kept:
            body = json.dumps({**document, "manifests": kept}, separators=(",", ":")).encode()
            after = f"sha256:{hashlib.sha256(body).hexdigest()}"
            self._put(self._manifest_path(name, after), body)
            self._put(self._tags(name) / tag, after.encode())
        else:
            (self._tags(name) / tag).unlink(missing_ok=True)
        if before not in self.tagged(name).values():
            path.unlink(missing_ok=True)

    def _put(self, path: Path, body: bytes) -> None:
        put_file(path, body, self.root)

    # -- whole repositories -------------------------------------------------------------------------------------

    def forget(self, name: str) -> None:
        """Removes all that a repository holds, manifests first. The caller holds the lock. Raises PlatformError if the disk fails."""
        for part in ("manifests", "tags", "referrers", "links", "uploads", "times"):
            folder = self.root / part / encoded(name)
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise write_error(folder, error) from None

    def repositories(self) -> list[str]:
        """The names of repositories that hold blobs, also of those that are no longer in the registry."""
        try:
            return sorted(unquote(name) for name in os.listdir(self.root / "links"))
        except OSError:
            return []

    def links(self, name: str) -> Iterator[tuple[str, Path]]:
        """The digests of the blobs that the repository has, each with the file that says so."""
        yield from digests_in(self.root / "links" / encoded(name))

    def blobs(self) -> Iterator[tuple[str, Path]]:
        """The digests of all content, each with its file."""
        yield from digests_in(self.root / "blobs")

    def uploads(self) -> Iterator[Path]:
        """The files of all uploads that were started and not finished."""
        yield from (self.root / "uploads").glob("*/*")
