"""What is in a repository: enough for a client that counts before it deletes, and for `gcloud artifacts docker images list`."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from .paging import page
from .repositories import existing, registry_uri
from .state import Image, Repository, State, now
from .wire import Asked, Document

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def push(repository: Repository, package: str, tag: str, size: int = 1000) -> Image:
    """Puts an image into the repository; its tag moves to it. `size`: bytes."""
    digest = "sha256:" + hashlib.sha256(f"{package}:{tag}:{size}".encode()).hexdigest()
    repository.images = [
        Image(one.package, one.digest, tuple(set(one.tags) - {tag}), one.size, one.uploaded)
        if one.package == package
        else one
        for one in repository.images
        if one.digest != digest
    ]
    made = Image(package, digest, (tag,), size, now())
    repository.images.append(made)
    return made


def packages(state: State, asked: Asked) -> Document:
    """A page of the repository's packages: for Docker each image's name is one."""
    asked.only("filter", "orderBy", "pageSize", "pageToken")
    found = existing(state, asked)
    there = {
        image.package: {
            # slashes in the name are escaped: https://artifactregistry.googleapis.com/$discovery/rest?version=v1, Package.name
            "name": f"{found.name}/packages/{quote(image.package, safe='')}",
            "createTime": image.uploaded,
            "updateTime": image.uploaded,
        }
        for image in found.images
    }
    items, token = page(asked, there, default=100, most=1000)
    answer: Document = {"packages": list(items)} if items else {}
    return answer | ({"nextPageToken": token} if token else {})


def docker_images(state: State, asked: Asked) -> Document:
    """A page of the repository's images."""
    asked.only("orderBy", "pageSize", "pageToken")
    found = existing(state, asked)
    there = {f"{image.package}@{image.digest}": _docker_image(found, image) for image in found.images}
    items, token = page(asked, there, default=100, most=1000)
    answer: Document = {"dockerImages": list(items)} if items else {}
    return answer | ({"nextPageToken": token} if token else {})


def _docker_image(repository: Repository, image: Image) -> Document:
    found = {
        "name": f"{repository.name}/dockerImages/{quote(image.package, safe='')}@{image.digest}",
        "uri": f"{registry_uri(repository)}/{image.package}@{image.digest}",
        "imageSizeBytes": str(image.size),
        "uploadTime": image.uploaded,
        "updateTime": image.uploaded,
        "mediaType": MANIFEST,
    }
    return found | ({"tags": sorted(image.tags)} if image.tags else {})
