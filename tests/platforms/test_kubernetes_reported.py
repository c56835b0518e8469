"""What was reported of other tools that reach clusters and put pull secrets there. Each test has the reports in a comment."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reconciler.errors import PlatformError
from reconciler.platforms.distribution.client import RegistryClient
from reconciler.platforms.kubernetes.login_document import KEY, TYPE
from reconciler.platforms.kubernetes.plugin import NoLogin, Plugin
from tests.cluster import ADMIN, await_that
from tests.command_line import ROOT
from tests.emulators.distribution import Elsewhere
from tests.emulators.kubernetes import Fails, KubernetesWire
from tests.emulators.proxy import Proxy
from tests.emulators.serving import served
from tests.onprem import OTHER, PASSWORD, Stage, login_in, notes_of, secret_name

pytestmark = pytest.mark.slow
SECRET = "Hunter22xyz"
MERGE = "application/merge-patch+json"


def apart(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs a command in a process of its own: its code, and all that it printed."""
    command = [sys.executable, "-m", "reconciler", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    return done.returncode, done.stdout + done.stderr


def reach_by(stage: Stage, change: Callable[[dict[str, Any]], None]) -> None:
    """Reaches the cluster by a kubeconfig of the admin that is changed."""
    path = stage.cluster.kubeconfig(ADMIN)
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document))
    stage.document["clusters"][0]["kubeconfig"] = str(path)
    stage.write()


def as_user(stage: Stage, **more: Any) -> None:
    """Reaches the cluster by a kubeconfig whose user has more than a token."""
    reach_by(stage, lambda document: document["users"][0]["user"].update(more))


def at_cluster(stage: Stage, **more: Any) -> None:
    """Reaches the cluster by a kubeconfig whose cluster has more, or something else."""
    reach_by(stage, lambda document: document["clusters"][0]["cluster"].update(more))


def credential(token: str, seconds: float) -> str:
    """What a command prints as a login. `seconds`: until its end."""
    end = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"token": token, "expirationTimestamp": end}
    return json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})


def auth(name: str, word: str) -> str:
    """A login by Basic."""
    return base64.b64encode(f"{name}:{word}".encode()).decode()


def granted(stage: Stage, *accounts: str) -> str:
    """A namespace with a grant to it."""
    namespace = stage.cluster.namespace(*(accounts or ("app",)))
    stage.grant("prod", namespace, *(accounts or ("app",)))
    return namespace


# -- who acts ----------------------------------------------------------------------------------------------------------


# kubernetes-client/python#362, fabric8io/kubernetes-client#7951, kubernetes-client/javascript#2355
def test_whoever_acts_as_somebody_has_the_rights_of_that_one_alone(stage: Stage) -> None:
    namespace = granted(stage)
    as_user(stage, **{"as": "nobody"})
    said = stage.apply(code=1)
    assert "user nobody may not get" in said
    assert stage.secret(namespace, secret_name(stage)) is None


def test_all_groups_that_somebody_acts_in_count(stage: Stage) -> None:
    granted(stage)
    as_user(stage, **{"as": "nobody", "as-groups": ["a", "system:masters"], "as-user-extra": {"Why/a": ["b", "c"]}})
    stage.apply()


def test_whoever_may_not_act_as_somebody_is_told_that(stage: Stage) -> None:
    granted(stage)
    reach_by(
        stage,
        lambda document: document["users"][0].update(user={"token": stage.cluster.tokens["other"], "as": "nobody"}),
    )
    said = stage.plan(code=1)
    assert "user other may not act as nobody in cluster prod, as its kubeconfig says" in said
    assert "Role" not in said


@pytest.mark.parametrize(
    "acting", [{"as-groups": ["a"]}, {"as-uid": "1"}, {"as": 7}, {"as": "a\nb"}, {"as": "a", "as-groups": [1]}]
)
def test_one_who_can_t_be_acted_as_is_refused(stage: Stage, acting: dict[str, Any]) -> None:
    granted(stage)
    as_user(stage, **acting)
    said = stage.plan(code=1)
    assert "cluster prod can't be reached as the spec says: " in said
    assert "as whom to act" in said or "acts as (`as`) can't be sent" in said


# kubernetes-client/python#552, #2354, project-codeflare/codeflare-sdk#1124, harbur/kubernetic#66, Dentrax/kubesql#1
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda document: document["users"][0].update(user={"auth-provider": {"name": "azure", "config": {}}}),
            "its kubeconfig logs in by the auth-provider azure, which is gone",
        ),
        (
            lambda document: document["users"][0].update(
                user={"auth-provider": {"name": "oidc", "config": {"id-token": "x"}}}
            ),
            "the auth-provider oidc of its kubeconfig gives no login",
        ),
        (lambda document: document.pop("users"), "its kubeconfig has no user admin, whom context test names"),
        (
            lambda document: document["contexts"][0]["context"].update(user="misspelt"),
            "its kubeconfig has no user misspelt, whom context test names",
        ),
        (lambda document: document["users"][0].update(user={}), "cluster prod is asked without a login that it knows"),
        (
            lambda document: document["contexts"][0]["context"].pop("user"),
            "cluster prod is asked without a login that it knows",
        ),
    ],
)
def test_a_kubeconfig_without_a_login_is_said_to_have_none(
    stage: Stage, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    granted(stage)
    reach_by(stage, change)
    found = stage.plan(code=1)
    assert said in found
    assert "anonymous may not" not in found
    assert "with a Role" not in found, "that would give everybody rights"


# kubernetes/kubernetes#52919, kelproject/pykube#57
def test_a_token_in_a_file_may_end_with_a_line_break(stage: Stage) -> None:
    granted(stage)

    def change(document: dict[str, Any]) -> None:
        user = document["users"][0]["user"]
        (stage.cluster.folder / "token").write_text(user.pop("token") + "\n")
        user["tokenFile"] = "token"

    reach_by(stage, change)
    stage.apply()


def test_the_token_of_a_pod_may_end_with_a_line_break(stage: Stage) -> None:
    granted(stage)
    stage.document["clusters"] = [{"name": "prod", "in_cluster": True}]
    stage.write()
    stage.run_in_a_pod()
    token = stage.reconciler.folder / "token"
    token.write_text(token.read_text() + "\n")
    stage.apply()


@pytest.mark.parametrize("token", [f"{SECRET}\nabc", f"{SECRET}ü"])
def test_a_token_that_can_t_be_sent_is_no_answer_of_the_cluster(stage: Stage, token: str) -> None:
    granted(stage)
    as_user(stage, token=token)
    said = stage.plan(code=1)
    assert "its login can't be sent: it has a line break in it, or a character that is none of ASCII" in said
    assert SECRET not in said


# -- the command for the login -------------------------------------------------------------------------------------------


# kubernetes-client/python#741, #233, #2354
def test_what_a_command_says_in_the_middle_of_a_run_is_not_passed_on(stage: Stage, tmp_path: Path) -> None:
    granted(stage)
    runs = tmp_path / "runs"
    fails = f"echo 'refresh token {SECRET} has expired' >&2; exit 3"
    good = credential(stage.cluster.tokens[ADMIN], -60)
    stage.reach_by(f"echo x >> {runs}\n[ $(wc -l < {runs}) -gt 1 ] && {{ {fails}; }}\ncat <<'E'\n{good}\nE")
    code, said = apart(stage.reconciler.folder, "plan")
    assert code == 1
    assert "the command that its kubeconfig names for the login gives none" in said
    assert SECRET not in said
    assert "ERROR:" not in said


# kubernetes-client/python#741, DataBiosphere/toil#2867: a token with less than 5 minutes left counts as ended there
@pytest.mark.parametrize("seconds", [30, 240])
def test_a_command_runs_once_for_a_token_that_is_still_good(stage: Stage, tmp_path: Path, seconds: float) -> None:
    granted(stage, *(f"app-{number}" for number in range(10)))
    good = credential(stage.cluster.tokens[ADMIN], seconds)
    stage.reach_by(f"echo x >> {tmp_path}/runs\ncat <<'E'\n{good}\nE")
    stage.plan()
    assert (tmp_path / "runs").read_text().count("x") == 1


def command(tmp_path: Path, answer: str) -> Plugin:
    from kubernetes.config.kube_config import ConfigNode

    (tmp_path / "answer").write_text(answer)
    wanted = {"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": ["answer"]}
    return Plugin(ConfigNode("exec", wanted), str(tmp_path), None, 60)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("seconds", "due"), [(3600, False), (30, False), (0, True), (-3600, True)])
def test_a_login_is_due_once_it_ends(tmp_path: Path, seconds: float, due: bool) -> None:
    found = command(tmp_path, credential("x", seconds))
    assert not found.due
    assert found.login() == {"token": "x"}
    assert found.due is due


@pytest.mark.parametrize(
    "status",
    [
        "[]",
        '{"token": ""}',
        '{"token": 7}',
        '{"clientCertificateData": "x"}',
        f'{{"token": "{SECRET}", "expirationTimestamp": "x"}}',
    ],
)
def test_an_answer_of_a_command_that_gives_no_login_is_said_without_what_it_holds(tmp_path: Path, status: str) -> None:
    with pytest.raises(NoLogin, match=r"gives none$") as raised:
        command(
            tmp_path,
            f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {status}}}',
        ).login()
    assert raised.value.__cause__ is None


# -- certificates --------------------------------------------------------------------------------------------------------


def weak(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, one that it has signed, and the key of that: without key identifiers, as of EKS and microk8s."""
    key, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)

    def made(subject: x509.Name, of: Any, number: int, extension: x509.ExtensionType, critical: bool) -> bytes:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(of.public_key())
        builder = builder.serial_number(number).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(9))
        signed = builder.add_extension(extension, critical=critical).sign(key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    files = tmp_path / "weak-ca.pem", tmp_path / "weak.pem", tmp_path / "weak.key"
    files[0].write_bytes(made(name, key, 1, x509.BasicConstraints(True, None), True))
    there = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    files[1].write_bytes(made(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]), leaf, 2, there, False))
    none = serialization.NoEncryption()
    files[2].write_bytes(leaf.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))
    return files


def as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifies as strictly as that does by default."""
    usual = ssl.create_default_context

    def stricter(*arguments: Any, **more: Any) -> ssl.SSLContext:
        found = usual(*arguments, **more)
        found.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return found

    monkeypatch.setattr(ssl, "create_default_context", stricter)


def embedded(path: Path | str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


@contextmanager
def behind(stage: Stage, authority: Path, context: ssl.SSLContext) -> Iterator[None]:
    """Reaches the cluster by a server with another certificate, and trusts an authority for that."""
    trusted = ssl.create_default_context(cafile=str(stage.cluster.ca))
    proxy = Proxy(stage.cluster.url, KubernetesWire(stage.cluster.tokens), trusted)
    proxy.tls, proxy.host = context, "localhost"
    with served(proxy):
        at_cluster(stage, **{"server": proxy.url, "certificate-authority": str(authority)})
        yield


# kubernetes-client/python#2394, urllib3/urllib3#3614, canonical/microk8s#5537, openssl/openssl#28391
def test_certificates_of_a_cluster_that_python_3_13_would_refuse_are_verified(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted(stage)
    authority, certificate, key = weak(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with behind(stage, authority, context):
        as_python_3_13(monkeypatch)
        stage.plan()


# kubernetes-client/python#2160
def test_an_authority_that_another_one_has_signed_is_trusted_for_a_cluster(stage: Stage, tmp_path: Path) -> None:
    granted(stage)
    authority = trustme.CA().create_child_ca()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with behind(stage, file, context):
        stage.plan()


def test_a_cluster_whose_authority_is_not_trusted_is_not_asked(stage: Stage, tmp_path: Path) -> None:
    granted(stage)
    at_cluster(stage, **{"certificate-authority": str(weak(tmp_path)[0])})
    assert "its certificate is not trusted" in stage.plan(code=1)
    at_cluster(stage, **{"tls-server-name": "elsewhere.example"})
    assert "its certificate is not trusted" in stage.plan(code=1)


@pytest.mark.parametrize(
    ("where", "key", "said"),
    [
        ("clusters", "certificate-authority-data", "the certificates of its authority can't be read: they are no PEM"),
        ("users", "client-certificate-data", "the certificate of its login, or the key of that, can't be read"),
        ("users", "client-key-data", "client-key-data of its kubeconfig can't be read"),
    ],
)
def test_certificates_of_a_kubeconfig_that_can_t_be_read_are_named(
    stage: Stage, where: str, key: str, said: str
) -> None:
    granted(stage)
    text = "7" if key == "client-key-data" else base64.b64encode(b"no PEM").decode()
    reach_by(stage, lambda document: document[where][0][where[:-1]].update({key: text}))
    assert said in stage.plan(code=1)


# kubernetes-client/python#765, #1236, #1782, kelproject/pykube#133: the client writes them into files that the end of Python removes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("by", ["kubeconfig", "command"])
def test_a_run_that_is_cut_off_leaves_no_private_key(
    stage: Stage, cluster_proxy: Proxy, tmp_path: Path, number: signal.Signals, by: str
) -> None:
    granted(stage)
    _, certificate, key = weak(tmp_path)

    def change(document: dict[str, Any]) -> None:
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        cluster["server"] = cluster_proxy.url
        cluster["certificate-authority-data"] = embedded(cluster.pop("certificate-authority"))
        if by == "kubeconfig":
            user |= {"client-certificate-data": embedded(certificate), "client-key-data": embedded(key)}
            return
        answer = json.loads(credential(user.pop("token"), 3600))
        answer["status"] |= {"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
        (tmp_path / "answer").write_text(json.dumps(answer))
        wanted = {"apiVersion": answer["apiVersion"], "command": "cat", "args": [f"{tmp_path}/answer"]}
        user["exec"] = {**wanted, "interactiveMode": "Never"}

    reach_by(stage, change)
    cluster_proxy.behaviours.append(Fails("secrets:get", "slow", seconds=30))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "plan"],
        cwd=stage.reconciler.folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until = time.monotonic() + 30
        while not any(call.operation == "secrets:get" for call in cluster_proxy.calls):
            assert time.monotonic() < until
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(number)
        running.communicate(timeout=40)
    finally:
        running.kill()
        running.wait()
    assert not [path for path in temporary.rglob("*") if path.is_file() and "PRIVATE KEY" in path.read_text()]


# kelproject/pykube#133, kubernetes-client/python#1531
def test_a_finished_run_leaves_no_file_of_a_kubeconfig(stage: Stage, tmp_path: Path) -> None:
    granted(stage)
    _, certificate, key = weak(tmp_path)
    as_user(stage, **{"client-certificate-data": embedded(certificate), "client-key-data": embedded(key)})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code, said = apart(stage.reconciler.folder, "plan", env={"TMPDIR": str(temporary)})
    assert code == 0, said
    assert not list(temporary.rglob("tmp*"))


# -- proxies ---------------------------------------------------------------------------------------------------------------


@contextmanager
def asking_proxy() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A proxy that lets nobody through: its address with a login, and who asked for what with which."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_CONNECT(self) -> None:
            seen.append((self.path, self.headers.get("Proxy-Authorization", "")))
            self.send_response(502 if seen[-1][1] else 407)
            self.send_header("Proxy-Authenticate", "Basic realm=proxy")
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://someone:{SECRET}%2F@127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# kubernetes-client/python#1696, #1127, #1063, #735, ansible-collections/kubernetes.core#55
@pytest.mark.parametrize("where", ["HTTPS_PROXY", "proxy-url"])
def test_the_login_in_a_proxy_s_address_is_sent_for_clusters(stage: Stage, where: str) -> None:
    granted(stage)
    env = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}  # that is how the registry is reached
    stage.document["registries"][0]["url"] = stage.registry.url.replace("localhost", "127.0.0.1")
    with asking_proxy() as (url, seen):
        if where == "proxy-url":
            at_cluster(stage, **{"proxy-url": url})
        else:
            stage.write()
            env |= {"HTTPS_PROXY": url, "https_proxy": url}
        _, said = apart(stage.reconciler.folder, "plan", env=env)
    assert (stage.cluster.url.partition("//")[2], f"Basic {auth('someone', f'{SECRET}/')}") in seen
    assert "the proxy on the way there does not let the call through" in said
    assert SECRET not in said


# client-go: `proxy-url` of a kubeconfig takes the place of what the environment says, NO_PROXY with it
def test_a_proxy_of_the_kubeconfig_counts_before_no_proxy(stage: Stage) -> None:
    granted(stage)
    with asking_proxy() as (url, seen):
        at_cluster(stage, **{"proxy-url": url})
        apart(stage.reconciler.folder, "plan", env={"NO_PROXY": "localhost", "no_proxy": "localhost"})
    assert seen, "the proxy was passed by"


# kubernetes-client/python#2460, #1578, #1995, devopsspiral/KubeLibrary#131
@pytest.mark.parametrize("no", ["localhost", ".localhost,localhost", "10.0.0.0/8,localhost", "LOCALHOST", "*"])
def test_no_proxy_is_heeded_for_clusters(stage: Stage, no: str) -> None:
    granted(stage)
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    code, said = apart(stage.reconciler.folder, "plan", env={**proxy, "NO_PROXY": no, "no_proxy": no})
    assert code == 0, said


# dotnet/sdk-container-builds#467, dstackai/dstack#3190, nolar/kopf#1277: users look for the fault in the wrong place
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "http://no-such-proxy.invalid:3128"])
def test_a_proxy_that_can_t_be_reached_is_not_said_to_be_the_cluster(stage: Stage, proxy: str) -> None:
    granted(stage)
    at_cluster(stage, **{"proxy-url": proxy})
    assert "cluster prod can't be reached: the proxy on the way there does not answer" in stage.plan(code=1)


def test_a_proxy_that_wants_a_login_is_said_to(stage: Stage) -> None:
    granted(stage)
    with asking_proxy() as (url, _):
        at_cluster(stage, **{"proxy-url": f"http://{url.rpartition('@')[2]}"})
        assert "cluster prod can't be reached: the proxy on the way there wants a login" in stage.plan(code=1)


# -- who wrote a login ------------------------------------------------------------------------------------------------------


# kubernetes/kubernetes#81524, #107650: the time is that of the manager's last write, of whichever field
def test_a_label_by_who_once_made_a_secret_is_no_login_changed_by_hand(stage: Stage, tokens: list[str]) -> None:
    namespace = granted(stage)
    data = {KEY: base64.b64encode(b'{"auths":{"a":{"auth":"YTpi"}}}').decode()}
    body = {"metadata": {"name": secret_name(stage)}, "type": TYPE, "data": data}
    at = f"/api/v1/namespaces/{namespace}/secrets"
    stage.cluster.request("POST", f"{at}?fieldManager=Terraform", body)
    stage.apply("--adopt", f"onprem.pull-secret.prod/{namespace}/prod")
    time.sleep(1.1)  # the times have seconds
    labels = {"metadata": {"labels": {"team": "a"}}}
    stage.cluster.request("PATCH", f"{at}/{secret_name(stage)}?fieldManager=Terraform", labels, kind=MERGE)
    assert "No changes" in stage.plan()


def test_another_key_in_a_secret_is_no_login_changed_by_hand(stage: Stage, tokens: list[str]) -> None:
    namespace = granted(stage)
    stage.apply()
    time.sleep(1.1)
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}?fieldManager=other"
    stage.cluster.request("PATCH", at, {"data": {"extra": "YQ=="}}, kind=MERGE)
    assert "No changes" in stage.plan()
    held = json.loads(base64.b64decode(stage.secret(namespace, secret_name(stage))["data"][KEY]))
    other = base64.b64encode(json.dumps(held, indent=1).encode()).decode()
    stage.cluster.request("PATCH", at, {"data": {KEY: other}}, kind=MERGE)
    said = stage.plan()
    assert "login: changed by hand" in said
    assert "what it holds was last written by other" in said


# -- what pods name, and what is noted ----------------------------------------------------------------------------------------


# pfnet/image-pull-secrets-provisioner#56
def test_a_plan_that_deletes_a_secret_says_what_it_does_to_pods_that_run(stage: Stage) -> None:
    namespace = granted(stage)
    assert "pods that run" not in stage.apply()
    container = {"name": "web", "image": "team/app", "imagePullPolicy": "Always"}
    spec = {"serviceAccountName": "app", "automountServiceAccountToken": False, "containers": [container]}
    pod = {"metadata": {"name": "web"}, "spec": spec}
    at = f"/api/v1/namespaces/{namespace}/pods"
    await_that(lambda: bool(stage.cluster.request("POST", f"{at}?dryRun=All", pod)["spec"].get("imagePullSecrets")))
    (named,) = stage.cluster.request("POST", at, pod)["spec"]["imagePullSecrets"]
    stage.document["grants"][0]["name"] = "live"
    stage.write()
    said = stage.apply()
    assert "pods that run and name it can't pull by it from then on: have them made anew" in said
    assert stage.secret(namespace, named["name"]) is None


# estafette/estafette-vulnerability-scanner#3, grafana/k6-operator#61, #69, redhat-developer/argocd-terraform-controller#24
def test_a_plan_whose_notes_a_config_map_can_t_hold_is_refused(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app", "b")
    stage.grant("prod", namespace, "app")
    stage.apply()
    at = f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes"
    link, left = (
        next(len(value) for key, value in notes_of(stage)["data"].items() if key.startswith("link.")),
        (1 << 20) - sum(map(len, notes_of(stage)["data"].values())),
    )
    stage.document["grants"].clear()
    stage.grant("prod", namespace, "app", "b")
    # the name of the other service account is two characters shorter
    stage.cluster.request("PATCH", at, {"data": {"filler": "x" * (left - link + 2 + 1)}}, kind=MERGE)
    said = stage.plan(code=1)
    assert (
        "the notes of what the spec makes in cluster prod would take 1048577 bytes, and a ConfigMap holds 1048576"
        in said
    )
    assert "make two specs of it" in said
    stage.cluster.request("PATCH", at, {"data": {"filler": "x" * (left - link + 2)}}, kind=MERGE)
    stage.apply()


# -- the login that a cluster's secret holds ----------------------------------------------------------------------------------


def source(stage: Stage, **auths: dict[str, str]) -> str:
    """Has the login come out of a secret of the cluster; the namespace of that."""
    namespace = stage.cluster.namespace()
    data = {KEY: base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}
    body = {"metadata": {"name": "source"}, "type": TYPE, "data": data}
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
    at = {"cluster": "prod", "namespace": namespace, "name": "source"}
    stage.document["registries"][0]["credentials"] = {"kubernetes_secret": at}
    stage.write()
    return namespace


# keel-hq/keel#419, argoproj-labs/argocd-image-updater#572
@pytest.mark.parametrize("entry", [None, {"auth": "%%%"}, {"username": "alice"}])
def test_a_secret_without_the_login_is_no_reason_to_log_in_by_docker(
    stage: Stage, entry: dict[str, str] | None
) -> None:
    granted(stage)
    source(stage, other={"auth": "YTpi"}, **({stage.registry.place: entry} if entry else {}))
    said = stage.plan(code=1)
    assert "source of cluster prod" in said
    assert "log in again" not in said
    assert "docker login" not in said
    assert f"put one for {stage.registry.place} into it" in said


# argoproj/argo-helm#1353, kubeflow/katib#1725
def test_the_roles_of_the_page_suffice_to_refresh_a_login_out_of_a_secret(stage: Stage) -> None:
    namespace = granted(stage)
    there = source(stage, **{stage.registry.place: {"auth": auth("alice", PASSWORD)}})
    stage.apply()
    stage.cluster.allow("renewer", namespace, ["get", "patch"], "secrets", names=[secret_name(stage)])
    stage.reach("renewer")
    assert f"user renewer may not get secret source in namespace {there}" in stage.run("refresh", code=1)
    stage.cluster.allow("renewer", there, ["get"], "secrets", names=["source"])
    stage.run("refresh")
    page = (ROOT / "docs" / "kubernetes.md").read_text().partition("## Roles")[2].partition("\n## ")[0]
    assert "| plan, drift, apply, refresh | `get` | the secret that `credentials.kubernetes_secret` names" in page


# -- registries ------------------------------------------------------------------------------------------------------------------


# kubernetes-client/python#2394, urllib3/urllib3#3614: the same certificates are those of simple private registries
def test_certificates_of_a_registry_that_python_3_13_would_refuse_are_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate, key = weak(tmp_path)
    secure = Elsewhere()
    secure.tls, secure.host = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "localhost"
    secure.tls.load_cert_chain(certificate, key)
    secure.answers = {"/v2/_catalog": (200, {}, '{"repositories": ["app"]}')}
    as_python_3_13(monkeypatch)
    with served(secure):
        with RegistryClient(secure.url, ca_file=authority) as asked:
            assert asked.repositories() == frozenset({"app"})
        with RegistryClient(secure.url) as asked, pytest.raises(PlatformError, match="is not trusted"):
            asked.repositories()


# -- what stays as it was ------------------------------------------------------------------------------------------------------------


# terraform-provider-kubernetes#263, #38 (automount), #292, #1043 (tokens), knative/eventing#6707, crossplane#5558, strimzi#7056,
# stackrox/stackrox#12124, opendatahub-io/data-science-pipelines-operator#1111 (entries of others)
def test_nothing_else_of_an_account_moves(stage: Stage) -> None:
    namespace = stage.cluster.namespace()
    body = {
        "metadata": {
            "name": "app",
            "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
            "labels": {"a": "b"},
            "finalizers": ["example.com/x"],
        },
        "automountServiceAccountToken": False,
        "secrets": [{"name": "app-token-x"}],
        "imagePullSecrets": [{"name": "z"}, {"name": "app-dockercfg-x2xwj"}],
    }
    at = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    before = stage.cluster.request("POST", at, body)
    stage.grant("prod", namespace, "app")
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == ["z", "app-dockercfg-x2xwj", secret_name(stage)]
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    after = stage.cluster.request("GET", f"{at}/app")
    for document in (before, after):
        for key in ("resourceVersion", "managedFields"):
            document["metadata"].pop(key)
    assert before == after


# openshift/origin#15894 (twice), charts that write `- {}`
@pytest.mark.parametrize("entries", [[{}], [{"name": ""}], [{"name": "a"}, {"name": "a"}], [{}, {"name": "a"}, {}]])
def test_odd_entries_of_others_stay(stage: Stage, entries: Any) -> None:
    namespace = stage.cluster.namespace()
    at = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    made = stage.cluster.request("POST", at, {"metadata": {"name": "app"}, "imagePullSecrets": entries})
    stage.grant("prod", namespace, "app")
    stage.apply()
    now = stage.cluster.request("GET", f"{at}/app")["imagePullSecrets"]
    assert now == [*made["imagePullSecrets"], {"name": secret_name(stage)}]
    assert "No changes" in stage.plan()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.request("GET", f"{at}/app").get("imagePullSecrets") == made["imagePullSecrets"]


# stackrox/acs-fleet-manager#1330, openshift/origin#20225, titansoft-pte-ltd/imagepullsecret-patcher#10: OLM makes it anew
def test_an_account_that_was_made_anew_is_linked_again(stage: Stage) -> None:
    namespace = granted(stage)
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/app")
    assert f"service account {namespace}/app is not in cluster prod" in stage.plan()
    stage.cluster.service_account(namespace, "app", "other")
    stage.run("drift", code=2)
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == ["other", secret_name(stage)]


# argoproj/argo-cd#5390, redhat-appstudio/infra-deployments#3402, redhat-cop/rhel-edge-automation-arch#169
@pytest.mark.parametrize("kind", ["strategic-merge-patch", "merge-patch", "put", "json-patch"])
def test_whoever_takes_our_entry_out_is_named(stage: Stage, kind: str) -> None:
    namespace = stage.cluster.namespace()
    stage.cluster.service_account(namespace, "app", "a")
    stage.grant("prod", namespace, "app")
    stage.apply()
    at = f"/api/v1/namespaces/{namespace}/serviceaccounts/app"
    wanted = [{"name": "b"}]
    if kind == "put":
        account = {**stage.cluster.request("GET", at), "imagePullSecrets": wanted}
        stage.cluster.request("PUT", f"{at}?fieldManager=other", account)
    else:
        patch: Any = {"imagePullSecrets": wanted}
        if kind == "json-patch":
            patch = [{"op": "add", "path": "/imagePullSecrets", "value": wanted}]
        stage.cluster.request("PATCH", f"{at}?fieldManager=other", patch, kind=f"application/{kind}+json")
    assert "its list of pull secrets was last written by other" in stage.run("drift", code=2)


# kubernetes/kubernetes#127938: who applies what is there already has none
def test_an_entry_of_managed_fields_without_a_time_is_in_nobody_s_way(stage: Stage) -> None:
    namespace = stage.cluster.namespace()
    stage.cluster.service_account(namespace, "app", "a")
    stage.grant("prod", namespace, "app")
    stage.apply()
    body: Any = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": namespace}}
    body["imagePullSecrets"] = [{"name": "a"}]
    at = f"/api/v1/namespaces/{namespace}/serviceaccounts/app?force=true&fieldManager="
    for manager in ("argocd-controller", "flux"):
        stage.cluster.request("PATCH", f"{at}{manager}", body, kind="application/apply-patch+yaml")
    drift = stage.run("drift", code=2)
    assert "its list of pull secrets was last written by " in drift
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == ["a", secret_name(stage)]


# emberstack/kubernetes-reflector#238: a secret without our marks is never deleted
def test_a_secret_that_others_made_anew_is_theirs(stage: Stage) -> None:
    namespace = granted(stage)
    stage.apply()
    at = f"/api/v1/namespaces/{namespace}/secrets"
    there = stage.secret(namespace, secret_name(stage))
    stage.cluster.request("DELETE", f"{at}/{secret_name(stage)}")
    body = {"metadata": {"name": secret_name(stage)}, "type": there["type"], "data": there["data"]}
    stage.cluster.request("POST", f"{at}?fieldManager=velero", body)
    assert "already exists and has no owner" in stage.run("plan", code=None)
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.secret(namespace, secret_name(stage)) is not None


# titansoft-pte-ltd/imagepullsecret-patcher#17, nabsul/k8s-ecr-login-renew#16, emberstack/kubernetes-reflector#337
def test_a_login_that_changes_at_its_source_arrives_in_place(stage: Stage) -> None:
    namespace = granted(stage)
    there = source(stage, **{stage.registry.place: {"auth": auth("alice", PASSWORD)}})
    stage.apply()
    before = stage.secret(namespace, secret_name(stage))["metadata"]["uid"]
    document = json.dumps({"auths": {stage.registry.place: {"auth": auth("bob", OTHER)}}})
    data = {KEY: base64.b64encode(document.encode()).decode()}
    stage.cluster.request("PATCH", f"/api/v1/namespaces/{there}/secrets/source", {"data": data}, kind=MERGE)
    assert "login: another one" in stage.plan()
    stage.apply()
    after = stage.secret(namespace, secret_name(stage))
    (entry,) = login_in(after)["auths"].values()
    assert (entry["username"], after["metadata"]["uid"]) == ("bob", before)


# kubernetes-client/python (tls-server-name, KUBECONFIG of several files, harbur/kubernetic#66)
@pytest.mark.parametrize("form", ["slash", "server name", "relative authority", "capitals", "several files"])
def test_a_kubeconfig_in_any_dress_is_read(stage: Stage, form: str) -> None:
    granted(stage)

    def change(document: dict[str, Any]) -> None:
        cluster = document["clusters"][0]["cluster"]
        if form == "slash":
            cluster["server"] += "/"
        if form == "server name":
            cluster |= {"server": cluster["server"].replace("localhost", "127.0.0.1"), "tls-server-name": "localhost"}
        if form == "relative authority":
            cluster["certificate-authority"] = os.path.relpath(cluster["certificate-authority"], stage.cluster.folder)
        if form == "capitals":
            cluster["server"] = cluster["server"].replace("localhost", "LOCALHOST")

    reach_by(stage, change)
    path = stage.document["clusters"][0]["kubeconfig"]
    env = {}
    if form == "several files":
        stage.document["clusters"] = [{"name": "prod", "context": "test"}]
        stage.write()
        env = {"KUBECONFIG": f"/not-there:{path}"}
    code, said = apart(stage.reconciler.folder, "plan", env=env)
    assert code == 0, said


# A path that is none of the API's (Rancher's /k8s/clusters/c-1 of another server)
def test_what_stands_before_the_api_is_followed_nowhere(stage: Stage) -> None:
    granted(stage)
    at_cluster(stage, server=f"{stage.cluster.url}/k8s/clusters/c-1")
    assert "so it is no Kubernetes API" in stage.plan(code=1)


# stacklok/toolhive#3622, openshift/openshift-controller-manager#319, redhat-cop/namespace-configuration-operator#36
def test_a_second_apply_and_a_refresh_write_nothing(stage: Stage) -> None:
    namespace = granted(stage)
    stage.apply()
    name = stage.document["name"]
    objects = (
        f"{namespace}/serviceaccounts/app",
        f"{namespace}/secrets/{secret_name(stage)}",
        f"default/configmaps/reconciler-{name}-notes",
    )

    def versions() -> list[str]:
        return [
            stage.cluster.request("GET", f"/api/v1/namespaces/{at}")["metadata"]["resourceVersion"] for at in objects
        ]

    before = versions()
    stage.apply()
    stage.run("refresh")
    assert versions() == before


# application-stacks/runtime-component-operator#350, alexellis/registry-creds#9
def test_a_grant_that_goes_while_it_is_pending_leaves_nothing(stage: Stage) -> None:
    namespace = stage.cluster.namespace()
    stage.grant("prod", namespace, "not-there")
    stage.apply()
    stage.document["grants"].clear()
    stage.write()
    assert "No changes" in stage.apply()
    assert stage.secret(namespace, secret_name(stage)) is None
    assert notes_of(stage) is None


# kubernetes-client/python#2258, kubernetes/kubernetes#81114 (CVE-2019-11250), linkerd/linkerd2#2383: of the libraries too
def test_the_most_talkative_log_holds_no_login(stage: Stage) -> None:
    granted(stage)
    script = "import logging, sys; logging.basicConfig(level=1); from reconciler.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "apply", "--yes"]
    done = subprocess.run(command, cwd=stage.reconciler.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "DEBUG:" in done.stderr
    for hidden in (PASSWORD, auth("alice", PASSWORD), stage.cluster.tokens[ADMIN]):
        assert hidden not in done.stdout + done.stderr


# kubernetes-client/python#552, #2354, #2093
def test_a_command_of_another_version_is_said_to_give_no_login(stage: Stage) -> None:
    granted(stage)
    answer = {"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {"token": "x"}}
    stage.reach_by(f"echo '{json.dumps(answer)}'")
    assert "the command that its kubeconfig names for the login gives none" in stage.plan(code=1)
