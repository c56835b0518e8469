"""A real Kubernetes API for tests: the kube-apiserver and the etcd of script/cluster, on loopback, with an authority of their own.

Tests take the fixture `cluster`, and make namespaces of their own in it.
There are no controllers and there is no kubelet: nothing makes `default` service accounts, no pod runs, and a namespace that is
deleted stays Terminating. New pods get what their service account has, as everywhere.
"""

from __future__ import annotations

import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.command_line import ROOT
from tests.emulators.distribution import Authority
from tests.emulators.kubernetes import KubernetesWire
from tests.emulators.proxy import Proxy
from tests.emulators.servers import free_port
from tests.emulators.serving import served

Document = dict[str, Any]

#: what `cluster` serves, and what its `GET /version` says
VERSION = "1.20.2"
#: who may log in: `admin` may do all, the others what a test allows them
ADMIN = "admin"
USERS = (ADMIN, "reconciler", "nobody", "renewer", "other")
#: seconds for a server to start on a busy machine
_PATIENCE = 120
#: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
_RBAC = "rbac.authorization.k8s.io"


@cache
def _programs() -> Path | None:
    """The folder of script/cluster, None if it has not been built."""
    asked = subprocess.run([ROOT / "script" / "cluster", "--cached"], capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip()) if asked.returncode == 0 else None


def available() -> str:
    """Why these tests can't run here; "" if they can."""
    missing = f"there is no kube-apiserver {VERSION}: `script/cluster` builds it once, in a few minutes"
    return "" if _programs() is not None else f"NOT RUN: {missing}"


def require() -> None:
    """Skips a test that can't run here, and fails it in CI, where everything is to be there."""
    if why := available():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


def await_that(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {_PATIENCE} seconds"
        time.sleep(0.02)


@dataclass
class Cluster:
    """A kube-apiserver that runs. `tokens`: by user."""

    url: str
    authority: Authority
    tokens: Mapping[str, str]
    folder: Path

    def __post_init__(self) -> None:
        self._names = count(1)

    @property
    def ca(self) -> Path:
        """The file of the authority that has signed its certificate."""
        return self.authority.file

    def http(self, user: str = ADMIN) -> httpx.Client:
        """A client that sends what it is told, as the user; "": without a token."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        trusted = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(base_url=self.url, verify=trusted, headers=headers, timeout=60)

    def kubeconfig(self, user: str = "reconciler", *, url: str = "", token: str | None = None) -> Path:
        """A file whose only context, `test`, is the user. `url`: of a proxy in front; `token`: in the place of the user's."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {"name": "test", "cluster": {"server": url or self.url, "certificate-authority": str(self.ca)}}
            ],
            "users": [{"name": user, "user": {"token": self.tokens[user] if token is None else token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        path = self.folder / f"kubeconfig-{next(self._names)}.yaml"
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)
        return path

    def request(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> Document:
        """What the server answers the admin. Raises httpx.HTTPStatusError if it refuses. `kind`: the body's."""
        with self.http() as http:
            sent = {} if body is None else {"json": body, "headers": {"Content-Type": kind}}
            answer = http.request(method, path, **sent)
            answer.raise_for_status()
            found: Document = answer.json()
            return found

    def namespace(self, *accounts: str) -> str:
        """Makes a namespace that no other test has, with these service accounts; its name."""
        name = f"test-{next(self._names)}-{secrets.token_hex(3)}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for account in accounts:
            self.service_account(name, account)
        return name

    def service_account(self, namespace: str, name: str, *pull_secrets: str) -> Document:
        """Makes a service account with these pull secrets, which need not be there."""
        body: Document = {"metadata": {"name": name}}
        if pull_secrets:
            body["imagePullSecrets"] = [{"name": item} for item in pull_secrets]
        return self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", body)

    def pull_secrets(self, namespace: str, account: str) -> list[str]:
        """The names of a service account's pull secrets, in its order."""
        found = self.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
        return [item.get("name", "") for item in found.get("imagePullSecrets", [])]

    def allow(
        self, user: str, namespace: str, verbs: Sequence[str], *resources: str, names: Sequence[str] = ()
    ) -> None:
        """Lets a user do this with resources of a namespace, by a Role of its own. `names`: with these objects alone."""
        rule: Document = {"apiGroups": [""], "resources": list(resources), "verbs": list(verbs)}
        if names:
            rule["resourceNames"] = list(names)
        self.allow_rules(user, namespace, rule)

    def allow_rules(self, user: str, namespace: str, *rules: Document) -> None:
        """The same with rules as a Role has them; a namespace "" is all of the cluster, by a ClusterRole. Returns once they count."""
        name = f"{user}-{next(self._names)}"
        prefix = "" if namespace else "Cluster"
        place = f"/apis/{_RBAC}/v1/namespaces/{namespace}" if namespace else f"/apis/{_RBAC}/v1"
        role = {"apiGroup": _RBAC, "kind": f"{prefix}Role", "name": name}
        subjects = [{"kind": "User", "apiGroup": _RBAC, "name": user}]
        metadata = {"metadata": {"name": name}}
        self.request("POST", f"{place}/{prefix.lower()}roles", {**metadata, "rules": list(rules)})
        binding = {**metadata, "roleRef": role, "subjects": subjects}
        self.request("POST", f"{place}/{prefix.lower()}rolebindings", binding)
        for rule in rules:
            self.await_access(user, namespace, rule)

    def await_access(self, user: str, namespace: str, rule: Document) -> None:
        """Waits until the server heeds a rule that it has taken: it decides by a copy, which follows."""
        attributes = {
            "namespace": namespace,
            "verb": rule["verbs"][0],
            "group": rule["apiGroups"][0],
            "resource": rule["resources"][0],
            "name": rule.get("resourceNames", [""])[0],
        }
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        await_that(
            lambda: bool(
                self.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]
            )
        )


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Runs etcd and a kube-apiserver until the block is over."""
    programs = _programs()
    assert programs is not None, available()
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder)
    tokens = {user: secrets.token_hex(16) for user in USERS}
    # https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
    lines = (f'{tokens[user]},{user},{user},"{"system:masters" if user == ADMIN else ""}"\n' for user in USERS)
    (folder / "tokens.csv").write_text("".join(lines))
    with ExitStack() as stack:
        store = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        etcd = {
            "data-dir": folder / "etcd",
            "listen-client-urls": store,
            "advertise-client-urls": store,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            # what is stored need not outlive the machine
            "unsafe-no-fsync": "true",
        }
        stack.enter_context(_process(programs / "etcd", etcd, folder / "etcd.log"))
        port = free_port()
        apiserver = {
            "etcd-servers": store,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": port,
            "insecure-port": 0,
            "tls-cert-file": authority.certificate,
            "tls-private-key-file": authority.key,
            "cert-dir": folder / "certificates",
            "token-auth-file": folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "endpoint-reconciler-type": "none",
            "service-cluster-ip-range": "10.0.0.0/24",
            "service-account-issuer": "https://localhost",
            "service-account-key-file": authority.key,
            "service-account-signing-key-file": authority.key,
        }
        log = folder / "kube-apiserver.log"
        process = stack.enter_context(_process(programs / "kube-apiserver", apiserver, log))
        cluster = Cluster(f"https://localhost:{port}", authority, tokens, folder)
        _wait(cluster, process, log)
        yield cluster


@contextmanager
def _process(program: Path, options: Mapping[str, object], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program. It ends with this process, however that does: setpriv(1), PR_SET_PDEATHSIG of prctl(2)."""
    command = [str(program), *(f"--{name}={value}" for name, value in options.items())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        # what it has stored goes with its folder
        process.kill()
        process.wait(30)


def _wait(cluster: Cluster, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    with cluster.http() as http:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"kube-apiserver ended: {log.read_text()[-2000:]}")
            try:
                if http.get("/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise RuntimeError(f"kube-apiserver was not ready within {_PATIENCE} seconds: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for the session; each test makes namespaces of its own in it."""
    require()
    with running(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def cluster_proxy(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy in front of the cluster, with a certificate of the same authority: it logs calls, and tests put faults into it."""
    trusted = ssl.create_default_context(cafile=str(cluster.ca))
    proxy = Proxy(cluster.url, KubernetesWire(cluster.tokens), trusted)
    proxy.tls, proxy.host = cluster.authority.context(), "localhost"
    with served(proxy):
        yield proxy
