"""Registries for tests: Debian's docker-registry over TLS with a private authority, by Basic or with a service of tokens.

https://distribution.github.io/distribution/about/configuration/, https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import trustme
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.emulators.servers import free_port
from tests.emulators.serving import Call, Handler, Serving, served

PROGRAM = "docker-registry"
SERVICE, ISSUER = "registry.example.com", "tests"
#: seconds that a token lasts
LIFETIME = 300


def available() -> str:
    """Why these tests can't run here; "" if they can."""
    return "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed: `apt-get install {PROGRAM}`"


@dataclass
class Authority:
    """A private authority, and what it signs for this machine. `file`: its certificate."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.file = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)
        leaf = self.ca.issue_cert("localhost", "127.0.0.1")
        self.certificate, self.key = self.folder / "server.pem", self.folder / "server.key"
        self.certificate.write_bytes(b"".join(item.bytes() for item in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(self.key)
        self.leaf = leaf

    def context(self) -> ssl.SSLContext:
        """For a server in this process."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.leaf.configure_cert(context)
        return context


class TokenService(Serving):
    """A service of tokens as docker-registry wants them: who logs in with which password, and what each may do.

    `rights`: by user ("" is whoever has no login), what it may do with each repository; a repository `*` is any. `answer`: what it
    answers in the place of that: a status and a body.
    """

    host = "localhost"

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self.tls = authority.context()
        self.users: dict[str, str] = {}
        self.rights: dict[str, Mapping[str, frozenset[str]]] = {}
        self.answer: tuple[int, str] | None = None
        self._key = ECKey.import_key(authority.leaf.private_key_pem.bytes())
        certificate = x509.load_pem_x509_certificate(authority.leaf.cert_chain_pems[0].bytes())
        der = certificate.public_bytes(serialization.Encoding.DER)
        self._x5c = [base64.b64encode(der).decode()]

    @asynccontextmanager
    async def handler(self) -> AsyncIterator[Handler]:
        yield self._answered

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        query = request.rel_url.query
        scopes = query.getall("scope", [])
        header = request.headers.get("Authorization", "")
        user = self._user(header)
        self.calls.append(Call("token", " ".join(scopes), "", {"user": user, "header": header, **query}))
        if self.answer is not None:
            status, text = self.answer
            return web.Response(status=status, text=text, content_type="application/json")
        if user is None:
            body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
            return web.json_response(body, status=401, headers={"WWW-Authenticate": f'Basic realm="{SERVICE}"'})
        return web.json_response({"token": self._token(user, scopes), "expires_in": LIFETIME})

    def _user(self, header: str) -> str | None:
        if not header:
            return "" if "" in self.rights else None
        scheme, _, encoded = header.partition(" ")
        name, _, password = base64.b64decode(encoded).decode().partition(":")
        return name if scheme == "Basic" and self.users.get(name) == password else None

    def _token(self, user: str, scopes: list[str]) -> str:
        rights = self.rights.get(user, {})
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = rights.get(name, rights.get("*", frozenset()))
            access.append({"type": kind, "name": name, "actions": [a for a in actions.split(",") if a in allowed]})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": now + LIFETIME,
            "nbf": now - 10,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "access": access,
        }
        header = {"alg": "ES256", "typ": "JWT", "x5c": self._x5c}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])


class Elsewhere(Serving):
    """What answers everything as it is told to: an HTTP status, headers and a body for each path, and a list of the requests.

    An answer for `path header` is for whoever sends that as Authorization, and one for a path with a query for that query.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[int, dict[str, str], str]] = {}
        self.seen: list[tuple[str, str]] = []

    @asynccontextmanager
    async def handler(self) -> AsyncIterator[Handler]:
        yield self._answered

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        header = request.headers.get("Authorization", "")
        self.seen.append((request.path, header))
        places = (f"{request.path} {header}", request.path_qs, request.path)
        found = next((self.answers[place] for place in places if place in self.answers), None)
        status, headers, text = found or (404, {}, "404 page not found")
        return web.Response(status=status, headers=headers, text=text)


@dataclass
class Distribution:
    """A docker-registry that runs. `tokens`: its service, where it has one."""

    url: str
    authority: Authority
    tokens: TokenService | None = None

    @property
    def place(self) -> str:
        """Its host and port."""
        return self.url.partition("//")[2]

    def let_in(self, users: Mapping[str, str]) -> None:
        """Lets these in by Basic, with these passwords, and nobody else from now on: it reads the file again once that is newer."""
        (self.authority.folder / "htpasswd").write_text("".join(f"{_hashed(*item)}\n" for item in users.items()))

    def push(self, name: str, login: tuple[str, str]) -> None:
        """Pushes an image of one layer, by skopeo, which is no client of ours."""
        from tests.images import Image

        folder = self.authority.folder / f"image-{uuid.uuid4()}"
        source = Image(1).write(folder, "latest")
        certificates = self.authority.folder / "certs"
        certificates.mkdir(exist_ok=True)
        shutil.copy(self.authority.file, certificates / "ca.crt")
        command = [
            "skopeo",
            "copy",
            "--quiet",
            f"--dest-cert-dir={certificates}",
            f"--dest-creds={login[0]}:{login[1]}",
        ]
        subprocess.run([*command, source, f"docker://{self.place}/{name}:latest"], check=True)


@contextmanager
def docker_registry(
    folder: Path, *, users: Mapping[str, str] | None = None, tokens: bool = False
) -> Iterator[Distribution]:
    """Runs one until the block is over. `users`: their passwords, by Basic; `tokens`: with a service of tokens instead."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        authority = Authority(folder)
        port = free_port()
        document: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {
                "addr": f"127.0.0.1:{port}",
                "secret": "tests",
                "tls": {"certificate": str(authority.certificate), "key": str(authority.key)},
            },
        }
        service = None
        if tokens:
            service = stack.enter_context(served(TokenService(authority)))
            bundle = authority.file
            document["auth"] = {
                "token": {
                    "realm": f"{service.url}/token",
                    "service": SERVICE,
                    "issuer": ISSUER,
                    "rootcertbundle": str(bundle),
                }
            }
        elif users is not None:
            (folder / "htpasswd").write_text("".join(f"{_hashed(name, word)}\n" for name, word in users.items()))
            document["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
        (folder / "config.yml").write_text(yaml.safe_dump(document))
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen([PROGRAM, "serve", str(folder / "config.yml")], stdout=output, stderr=output)
        stack.callback(_end, process)
        url = f"https://localhost:{port}"
        _wait(url, process, log, authority)
        yield Distribution(url, authority, service)


def _hashed(name: str, password: str) -> str:
    """A line of htpasswd, of which docker-registry takes bcrypt alone."""
    return f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.file)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{PROGRAM} ended: {log.read_text()[-2000:]}")
        try:
            httpx.get(f"{url}/v2/", timeout=2, verify=context)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"{PROGRAM} did not start within 30 seconds")
