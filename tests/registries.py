"""A local registry that is served, for tests: the spec applied, the server in this process, a client that speaks HTTP to it."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from reconciler import session
from reconciler.model.service import Credentials, Server, ServerOptions, serving
from reconciler.platforms.local.session import LocalSession
from tests.images import Image, digest
from tests.sandbox.local import LocalSandbox

EVERYONE: dict[str, Any] = {"name": "everyone", "permission": "push-pull", "to": {"type": "local", "users": ["*"]}}


@dataclass
class Served:
    """A registry that answers at `server.url`."""

    sandbox: LocalSandbox
    session: LocalSession
    server: Server
    http: httpx.Client

    @property
    def place(self) -> str:
        """Its host and port."""
        return self.server.url.partition("//")[2]

    def issue(self, repository: str, *, push: bool = False, ttl: float = 600, user: str | None = None) -> Credentials:
        """Credentials."""
        return self.session.credentials(repository, push=push, ttl=ttl, user=user)

    def login(self, repository: str, **wanted: Any) -> tuple[str, str]:
        """Credentials as httpx wants them."""
        issued = self.issue(repository, **wanted)
        return issued.username, issued.password

    def push_blob(self, name: str, body: bytes, algorithm: str = "sha256") -> str:
        """Pushes a blob with one POST; returns its digest."""
        wanted = digest(body, algorithm)
        answer = self.http.post(f"/v2/{name}/blobs/uploads/", params={"digest": wanted}, content=body)
        assert answer.status_code == 201, answer.text
        return wanted

    def push(self, name: str, image: Image, tag: str = "latest") -> str:
        """Pushes an image; returns its manifest's digest."""
        for body in image.blobs.values():
            self.push_blob(name, body)
        answer = self.put(name, tag, image.manifest)
        assert answer.status_code == 201, answer.text
        return digest(image.manifest)

    def put(self, name: str, reference: str, body: bytes, media_type: str = "", **params: Any) -> httpx.Response:
        """PUTs a manifest."""
        headers = {"Content-Type": media_type} if media_type else {}
        return self.http.put(f"/v2/{name}/manifests/{reference}", content=body, headers=headers, params=params)

    def code(self, answer: httpx.Response) -> tuple[int, str]:
        """The status of an error and the code of its first entry."""
        return answer.status_code, answer.json()["errors"][0]["code"]


@contextmanager
def served(sandbox: LocalSandbox, document: dict[str, Any], **options: Any) -> Iterator[Served]:
    """Applies the document and serves its registry `images`."""
    sandbox.apply(document)
    # verify: reading the certificates of all authorities takes longer than most tests, and none of them is ours
    with (
        session(sandbox.spec(document), "images") as opened,
        serving(opened).server(ServerOptions(**options)) as server,
        httpx.Client(base_url=server.url, timeout=30, verify=False) as http,
    ):
        assert isinstance(opened, LocalSession)
        yield Served(sandbox, opened, server, http)


def open_document(sandbox: LocalSandbox, *repositories: Any) -> dict[str, Any]:
    """A spec whose repositories are open to everyone, also to push."""
    return sandbox.document(*repositories, grants=(EVERYONE,), guards={"allow_public": True})


def make_older(root: Path, seconds: float) -> None:
    """Makes all content of a registry's folder older: blobs, links, uploads and manifests."""
    for part in ("blobs", "links", "manifests", "uploads", "temporary"):
        for path in (root / part).rglob("*"):
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))
    for path in (root / "times").glob("*/*/*"):
        times = json.loads(path.read_text())
        path.write_text(json.dumps({name: then - seconds for name, then in times.items()}))


@contextmanager
def as_served(client: socket.socket, registry: Served) -> Iterator[socket.socket]:
    """The connected socket, with TLS if the server has it, whoever signed its certificate."""
    if not registry.server.url.startswith("https"):
        yield client
        return
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(client) as wrapped:
        yield wrapped
