"""A real cluster's API for tests: the kube-apiserver that `script/cluster` builds, with etcd behind it and a proxy before it.

There are no controllers and no kubelet behind it: `default` service accounts are not made, and a Terminating namespace stays.
https://v1-20.docs.kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators.distribution import Authority
from tests.emulators.proxy import Answer, Call, Proxy, Request
from tests.emulators.servers import free_port
from tests.emulators.serving import served

VERSION = "1.20.2"
#: who has all rights; the others have those that a test gives them
ADMIN = "admin"
USERS = (ADMIN, "reconciler", "planner", "renewer", "nobody")


def program() -> Path:
    """Where `script/cluster` keeps what it has built."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "reconciler", f"kube-apiserver-{VERSION}")


def unavailable() -> str:
    """Why these tests can't run here; "" if they can."""
    if not program().exists():
        return "there is no kube-apiserver here: `script/cluster` builds it, in some 10 minutes"
    return "" if shutil.which("etcd") else "etcd is not installed: `apt-get install etcd-server`"


def token(user: str) -> str:
    """What a user logs in with."""
    return f"token-of-{user}"


class KubernetesWire:
    """The API of Kubernetes: `get secrets prod/name`, with `metadata` of the body where it is JSON."""

    _VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

    def call(self, request: Request) -> Call | None:
        """Of named objects in a namespace. `service`: the resource; `operation`: the verb; `region`: `NAMESPACE/NAME`."""
        parts = urlsplit(request.path).path.strip("/").split("/")
        if len(parts) < 5 or parts[2] != "namespaces":
            return None
        name = parts[5] if len(parts) > 5 else ""
        return Call(
            parts[4],
            self._VERBS.get(request.method, request.method),
            f"{parts[3]}/{name}",
            _json(request),
            request.headers,
        )

    def response(self, call: Call, answer: Answer) -> web.Response:
        """A Status, as it is recorded; `text`: what is no JSON, as a 429 is."""
        headers = dict(answer.headers)
        if answer.text:
            return web.Response(status=answer.status, text=answer.text, headers=headers)
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "code": answer.status,
            **answer.body,
        }
        return web.json_response(body, status=answer.status, headers=headers)


def _json(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class ClusterProxy(Proxy):
    """The proxy before a cluster, over TLS with the cluster's own authority."""

    host = "localhost"

    def __init__(self, target: str, authority: Authority) -> None:
        super().__init__(target, KubernetesWire())
        self.tls = authority.context()
        self.trusted = ssl.create_default_context(cafile=str(authority.file))


@dataclass
class Cluster:
    """A cluster that runs. `direct`: the server itself, without the proxy. `start`: starts another server of it, without some of the
    plugins for admission."""

    direct: str
    authority: Authority
    proxy: ClusterProxy
    folder: Path
    start: Callable[[str], str]
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    @cached_property
    def admitting(self) -> str:
        """A second server, which gives pods what their service accounts have, as clusters do."""
        return self.start("")

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return self.proxy.url

    def http(self, user: str = ADMIN, url: str = "") -> httpx.Client:
        """A client that speaks HTTP to the server itself, as a user."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        headers = {"Authorization": f"Bearer {token(user)}"}
        return httpx.Client(base_url=url or self.direct, headers=headers, verify=context, timeout=30)

    def kubeconfig(self, user: str = ADMIN, *, url: str = "") -> Path:
        """A kubeconfig whose current context is the cluster as a user."""
        file = self.folder / f"kubeconfig-{user}-{len(url)}"
        ca = self.authority.file
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
            "clusters": [{"name": "tests", "cluster": {"server": url or self.url, "certificate-authority": str(ca)}}],
            "users": [{"name": user, "user": {"token": token(user)}}],
        }
        file.write_text(yaml.safe_dump(document))
        return file

    def call(self, method: str, path: str, body: Any = None, *, kind: str = "application/json", expect: int = 0) -> Any:
        """What the server answers the administrator. `expect`: the status that it must have; any that is no error if 0."""
        with self.http() as client:
            content = None if body is None else json.dumps(body).encode()
            answer = client.request(method, path, content=content, headers={"Content-Type": kind})
        assert answer.status_code == expect if expect else answer.is_success, answer.text
        return answer.json()

    def namespace(self, *accounts: str) -> str:
        """A new namespace with these service accounts."""
        name = f"team-{next(self._names)}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for account in accounts:
            self.account(name, account)
        return name

    def account(self, namespace: str, name: str, *secrets: str) -> None:
        """A new service account that names these pull secrets."""
        body = {"metadata": {"name": name}, "imagePullSecrets": [{"name": item} for item in secrets]}
        self.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", body)

    def linked(self, namespace: str, name: str) -> list[str]:
        """The pull secrets that a service account names."""
        found = self.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
        return [item["name"] for item in found.get("imagePullSecrets") or ()]

    def secret(self, namespace: str, name: str) -> Any:
        """A secret; None if there is none."""
        with self.http() as client:
            answer = client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return None if answer.status_code == 404 else answer.json()

    def allow(self, user: str, namespace: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """Gives a user a Role in a namespace with these rules, and takes away what it had there."""
        base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        role = {"metadata": {"name": user}, "rules": list(rules)}
        subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        reference = {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": user}, "subjects": [subject], "roleRef": reference}
        with self.http() as client:
            for kind, body in (("roles", role), ("rolebindings", binding)):
                client.delete(f"{base}/{kind}/{user}")
                answer = client.post(f"{base}/{kind}", json=body)
                assert answer.status_code == 201, answer.text


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster, until the block is over."""
    with ExitStack() as stack:
        authority = Authority(folder)
        etcd = _etcd(folder, stack)
        tokens = folder / "tokens.csv"
        tokens.write_text("".join(f"{token(u)},{u},{u}{',system:masters' if u == ADMIN else ''}\n" for u in USERS))
        key = folder / "service-accounts.key"
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

        def start(disabled: str) -> str:
            url = _apiserver(folder, stack, authority, etcd, tokens, key, disabled=disabled)
            _wait(url, authority, folder)
            return url

        # in general without: no controller makes the tokens that it wants service accounts to have
        direct = start("ServiceAccount")
        proxy = stack.enter_context(served(ClusterProxy(direct, authority)))
        yield Cluster(direct, authority, proxy, folder, start)


def _etcd(folder: Path, stack: ExitStack) -> str:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    flags = {
        "data-dir": str(folder / "etcd"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
    }
    _start(folder, stack, "etcd", ["etcd", *(f"--{name}={value}" for name, value in flags.items())])
    return client


def _apiserver(
    folder: Path, stack: ExitStack, authority: Authority, etcd: str, tokens: Path, key: Path, *, disabled: str
) -> str:
    port = free_port()
    flags = {
        "etcd-servers": etcd,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": str(port),
        "insecure-port": "0",
        "tls-cert-file": str(authority.certificate),
        "tls-private-key-file": str(authority.key),
        "token-auth-file": str(tokens),
        "authorization-mode": "RBAC",
        "endpoint-reconciler-type": "none",
        "service-account-key-file": str(key),
        "service-account-signing-key-file": str(key),
        "service-account-issuer": "https://localhost",
        "service-cluster-ip-range": "10.0.0.0/24",
        "cert-dir": str(folder / "certificates"),
        **({"disable-admission-plugins": disabled} if disabled else {}),
    }
    arguments = [str(program()), *(f"--{name}={value}" for name, value in flags.items())]
    _start(folder, stack, f"kube-apiserver-{port}", arguments)
    return f"https://localhost:{port}"


def _start(folder: Path, stack: ExitStack, name: str, arguments: Sequence[str]) -> None:
    with (folder / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output)

    def end() -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    stack.callback(end)


def _wait(url: str, authority: Authority, folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    deadline = time.monotonic() + 90
    headers = {"Authorization": f"Bearer {token(ADMIN)}"}
    with httpx.Client(base_url=url, verify=context, headers=headers) as client:
        while time.monotonic() < deadline:
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
    logs = "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in sorted(folder.glob("*.log")))
    raise RuntimeError(f"the cluster did not start within 90 seconds\n{logs}")


#: what tests on a cluster are marked with: where everything is to be there, what is missing fails
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(unavailable()) and not os.environ.get("CI"), reason=unavailable() or "it is there"),
]


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def cluster(_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster whose proxy does nothing yet."""
    _cluster.proxy.reset()
    yield _cluster
    _cluster.proxy.reset()
