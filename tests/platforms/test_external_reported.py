"""What public reports of other tools say of registries and their logins; each test names those that it is from."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml
from aiohttp import web

from reconciler.platforms.distribution.trouble import trouble
from reconciler.platforms.external import hosts
from reconciler.platforms.kubernetes.login_document import KEY, TYPE
from tests.emulators.distribution import Elsewhere, docker_registry
from tests.emulators.kubernetes import Fails
from tests.emulators.proxy import Proxy
from tests.emulators.serving import Answer, served
from tests.onprem import OTHER, PASSWORD, Stage, secret_name

from .test_external import Folder
from .test_external_lies import listed, tags

pytestmark = pytest.mark.slow
MERGE = "application/merge-patch+json"


def auth(name: str, word: str) -> str:
    return base64.b64encode(f"{name}:{word}".encode()).decode()


class Programmed(Elsewhere):
    """Answers by a function."""

    def __init__(self, does: Callable[[web.BaseRequest], web.StreamResponse]) -> None:
        super().__init__()
        self.does = does

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(
            (f"{request.path_qs} {request.headers.get('Cookie', '')}", request.headers.get("Authorization", ""))
        )
        return self.does(request)


def config(folder: Folder, **parts: Any) -> None:
    """Has the login come from a config.json."""
    folder.registry["credentials"] = {"docker_config": "config.json"}
    (folder.path / "config.json").write_text(json.dumps(parts))


def host_of(folder: Folder) -> str:
    found: str = folder.registry["url"].partition("//")[2]
    return found


def apart(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs a command in a process of its own: its code, and all that it printed."""
    command = [sys.executable, "-m", "reconciler", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    return done.returncode, done.stdout + done.stderr


def program(folder: Path, name: str, body: str) -> None:
    """Makes a credential helper of a shell script."""
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def granted(stage: Stage, *accounts: str) -> str:
    namespace = stage.cluster.namespace(*(accounts or ("app",)))
    stage.grant("prod", namespace, *(accounts or ("app",)))
    return namespace


@pytest.mark.parametrize("other", ["https://{}/v1/", "http://{}/v2/", "https://{}"])
def test_what_a_config_json_has_for_exactly_this_host_counts_before_older_forms(
    folder: Folder, elsewhere: Elsewhere, other: str
) -> None:
    """containers/image#96, oras-project/oras#1143, docker/cli#3665: `docker login` writes the host, and leaves older forms."""
    elsewhere.answers["/v2/_catalog"] = listed("team/app")
    host = host_of(folder)
    config(folder, auths={other.format(host): {"auth": auth("old", "former")}, host: {"auth": auth("alice", PASSWORD)}})
    folder("plan")


def test_what_docker_login_writes_for_docker_hub_counts_before_its_other_names(
    folder: Folder, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docker/cli#3678: `docker.io` is what `docker login docker.io/x` leaves; a pull uses the other."""
    monkeypatch.setattr(hosts, "_HUB_API", elsewhere.url)
    folder.registry["url"] = "https://docker.io"
    auths = {"docker.io": auth("old", "former"), "https://index.docker.io/v1/": auth("alice", PASSWORD)}
    config(folder, auths={key: {"auth": value} for key, value in auths.items()})
    folder("plan")


def test_what_a_catalog_leaves_out_is_asked_for_by_itself(folder: Folder, elsewhere: Elsewhere) -> None:
    """distribution/distribution#2307."""
    elsewhere.answers["/v2/_catalog"] = listed("another")
    assert "does not have team/app" not in folder("plan")


def test_a_real_cache_of_another_registry_has_what_can_be_pulled_through_it(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with two registries, of which the second is the cache of the first."""
    with docker_registry(tmp_path / "up") as upstream:
        upstream.push("team/app", ("a", "b"))
        with monkeypatch.context() as there:
            there.setenv("SSL_CERT_FILE", str(upstream.authority.file))
            there.setenv("REGISTRY_PROXY_REMOTEURL", upstream.url)
            started = docker_registry(tmp_path / "cache")
            cache = started.__enter__()
        try:
            folder.at(cache)
            del folder.registry["credentials"]
            said = folder("plan")
            certificates = cache.authority.folder / "certs"
            certificates.mkdir(exist_ok=True)
            (certificates / "ca.crt").write_bytes(cache.authority.file.read_bytes())
            command = ["skopeo", "inspect", f"--cert-dir={certificates}", f"docker://{cache.place}/team/app:latest"]
            assert subprocess.run(command, capture_output=True, check=False).returncode == 0, "it can be pulled"
        finally:
            started.__exit__(None, None, None)
    assert "does not have team/app" not in said


@pytest.mark.parametrize("status", [307, 400, 406, 500, 504])
def test_an_odd_answer_for_one_repository_stops_nothing(folder: Folder, elsewhere: Elsewhere, status: int) -> None:
    """kubernetes/registry.k8s.io#326, kubernetes/k8s.io#6984 (307), HylandSoftware/Harbor.Tagd#27 (504),
    vivekjuneja/docker_registry_cli#4."""
    headers = {"Location": "https://elsewhere.example/v2/team/app/tags/list"} if status == 307 else {}
    elsewhere.answers["/v2/team/app/tags/list"] = (status, headers, "")
    assert "registry onprem does not say whether it has team/app" in folder("plan")


@pytest.mark.parametrize("name", ["mine", "ecr-login"])
def test_a_helper_that_gives_logins_that_end_is_read_with_and_handed_on_to_no_cluster(
    stage: Stage, tmp_path: Path, name: str
) -> None:
    """terraform-provider-helm#861, terraform-aws-eks-blueprints-addons#284, pulumi/pulumi-docker#1149,
    upmc-enterprises/registry-creds#68: each plan has a change, and nobody knows when pods can't pull any more. ECR's own
    gives the same login for some hours."""
    stage.document["registries"][0]["credentials"] = {"docker_config": "config.json"}
    (stage.reconciler.folder / "config.json").write_text(json.dumps({"credHelpers": {stage.registry.place: name}}))
    stage.write()
    # two logins that both work, as tokens of ECR do
    another = f"[ -e {tmp_path}/ran ] && u=bob && p='{OTHER}'\ntouch {tmp_path}/ran\n" if name == "mine" else ""
    answer = 'echo "{\\"Username\\":\\"$u\\",\\"Secret\\":\\"$p\\"}"'
    program(tmp_path, name, f"u=alice; p='{PASSWORD}'\n{another}{answer}")
    stage.monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "No changes" in stage.plan()
    namespace = granted(stage)
    (tmp_path / "ran").unlink(missing_ok=True)
    said = stage.apply(code=1)
    assert f"docker-credential-{name} gives logins that end, and not when they do" in said
    assert "name a login that lasts in `credentials`" in said
    assert stage.secret(namespace, secret_name(stage)) is None


def test_a_registry_that_wants_to_be_asked_after_the_time_limit_ends_the_run_at_once(
    folder: Folder, elsewhere: Elsewhere
) -> None:
    """docker/hub-feedback#2201, #1850: limits of hours. The default time limit is 30 minutes, which are slept."""
    elsewhere.answers = {"/v2/": (429, {"Retry-After": "21600"}, "toomanyrequests")}
    said = folder("plan", "--timeout", "12s", code=1)
    assert (
        "registry onprem throttles it, and is to be asked again in 6 hours: the time limit of 12 seconds is over before"
        in said
    )
    assert "run with a longer --timeout" in said


def test_a_cluster_that_wants_to_be_asked_after_the_time_limit_ends_the_run_at_once(
    stage: Stage, cluster_proxy: Proxy
) -> None:
    class Later(Fails):
        def fault(self, call: Any) -> Answer:
            return Answer(429, text="Too many requests", headers={"Retry-After": "21600"})

    granted(stage)
    stage.reach(url=cluster_proxy.url)
    cluster_proxy.behaviours.append(Later("secrets:get", "429", times=-1))
    said = stage.plan("--timeout", "12s", code=1)
    assert (
        "cluster prod throttles it, and is to be asked again in 6 hours: the time limit of 12 seconds is over before"
        in said
    )


def test_a_registry_that_gives_smaller_pages_is_read(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joxit/docker-registry-ui#306, andrey-pohilko/registry-cli#113: `catalog.maxentries`; without `n` it answers."""
    monkeypatch.setenv("REGISTRY_CATALOG_MAXENTRIES", "100")
    with docker_registry(tmp_path / "registry", users={"alice": PASSWORD}) as found:
        for name in ("team/app", "other"):
            found.push(name, ("alice", PASSWORD))
        folder.at(found)
        assert "registry onprem has 1 repository that the spec does not name: other" in folder("plan")


@pytest.mark.parametrize("how", ["unpadded", "line break", "wrapped"])
@pytest.mark.parametrize("source", ["docker_config", "kubernetes_secret"])
def test_auth_is_read_as_docker_and_kubelets_read_it(stage: Stage, how: str, source: str) -> None:
    """kubernetes/kubernetes#82147, #82148, #85687: Docker Desktop writes it without padding, others break lines. Go skips
    line breaks."""
    stage.login_as("bob", OTHER)
    plain = auth("bob", OTHER)
    assert plain.endswith("=")
    forms = {"unpadded": plain.rstrip("="), "line break": f"{plain}\n", "wrapped": f"{plain[:8]}\n{plain[8:]}"}
    document = json.dumps({"auths": {stage.registry.place: {"auth": forms[how]}}})
    if source == "docker_config":
        (stage.reconciler.folder / "config.json").write_text(document)
        stage.document["registries"][0]["credentials"] = {"docker_config": "config.json"}
    else:
        namespace = stage.cluster.namespace()
        data = {KEY: base64.b64encode(document.encode()).decode()}
        body = {"metadata": {"name": "source"}, "type": TYPE, "data": data}
        stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
        at = {"cluster": "prod", "namespace": namespace, "name": "source"}
        stage.document["registries"][0]["credentials"] = {"kubernetes_secret": at}
    stage.write()
    stage.plan()


@pytest.mark.parametrize(
    "key",
    [
        "https://index.docker.io/v2/",
        "index.docker.io/v1/",
        "https://index.docker.io/v1",
        "https://registry-1.docker.io",
        "https://docker.io/",
    ],
)
def test_every_form_of_docker_hub_is_read(
    folder: Folder, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """castai/kvisor#332, openshift/origin#7580, operator-framework/operator-registry#682."""
    monkeypatch.setattr(hosts, "_HUB_API", elsewhere.url)
    folder.registry["url"] = "https://docker.io"
    config(folder, auths={key: {"auth": auth("alice", PASSWORD)}})
    folder("plan")


def test_a_key_with_a_path_is_read(folder: Folder, elsewhere: Elsewhere) -> None:
    """podman-container-tools/skopeo#773, oras-project/oras-go#836: podman and kubelets have logins by path, and docker
    itself takes such a key for its host (ConvertToHostname of github.com/docker/cli,
    cli/config/credentials/file_store.go)."""
    config(folder, auths={f"{host_of(folder)}/team": {"auth": auth("alice", PASSWORD)}})
    folder("plan")


@pytest.mark.parametrize("other", ["bob", "alice"])
def test_of_several_logins_below_a_host_none_is_guessed(folder: Folder, elsewhere: Elsewhere, other: str) -> None:
    elsewhere.answers["/v2/_catalog"] = listed("team/app")
    logins = {"team": auth("alice", PASSWORD), "other": auth(other, PASSWORD)}
    config(folder, auths={f"{host_of(folder)}/{path}": {"auth": login} for path, login in logins.items()})
    said = folder("plan", code=int(other == "bob"))
    assert ("has a login for each of 2 places below" in said) == (other == "bob")


def test_the_key_file_of_a_google_service_account_is_a_password_as_it_is_downloaded(
    folder: Folder, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containers/image#1259, rancher/rancher#6956, wercker/docs#432, k3s-io/k3s#1610: `_json_key` with the file as it is
    downloaded."""
    key = '{\n  "type": "service_account",\n  "private_key": "x"\n}'
    monkeypatch.setenv("REG_USER", "_json_key")
    monkeypatch.setenv("REG_PASSWORD", key)
    elsewhere.answers[f"/v2/ Basic {auth('_json_key', key)}"] = (200, {}, "{}")
    folder("validate")
    code, said = apart(folder.path, "plan")
    assert code == 0 or "one line" in said or "_json_key_base64" in said, said


@pytest.mark.parametrize("kind", ["Basic", "Bearer"])
def test_no_cookie_is_sent(folder: Folder, kind: str) -> None:
    """goharbor/harbor#14404, #11115, dotnet/sdk#37221, dotnet/sdk-container-builds#418: Harbor gives whoever has no login
    a session, and takes who comes with one for that; no other client of registries keeps cookies."""

    def does(request: web.BaseRequest) -> web.StreamResponse:
        challenge = f'Bearer realm="{found.url}/token",service="s"' if kind == "Bearer" else "Basic realm=r"
        session = {"Set-Cookie": "sid=anonymous; Path=/; HttpOnly"}
        if request.path == "/token":
            return web.json_response({"token": "t"}, headers=session)
        if not request.headers.get("Authorization"):
            return web.Response(status=401, headers={"WWW-Authenticate": challenge, **session})
        return web.json_response({"repositories": ["team/app"], "tags": []})

    with served(Programmed(does)) as found:
        folder.registry["url"] = found.url
        folder("plan")
    assert not [path for path, _ in found.seen if "sid=" in path]


def test_a_network_in_no_proxy_is_heeded_for_registries_as_for_clusters(
    folder: Folder, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """curl/curl#9773, pydantic/httpx2#1165, python/cpython#149746, dask/dask-kubernetes#420: Go, curl and the client of
    clusters do."""
    with docker_registry(tmp_path / "registry", users={"alice": PASSWORD}) as found:
        found.push("team/app", ("alice", PASSWORD))
        folder.at(found)
        folder.registry["url"] = found.url.replace("localhost", "127.0.0.1")
        folder("plan")
        env = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
        code, said = apart(folder.path, "plan", env={**env, "NO_PROXY": "127.0.0.0/8", "no_proxy": "127.0.0.0/8"})
    assert code == 0, said


def chained(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """The certificate of an authority below another one, and a server with a certificate of it."""
    authority = trustme.CA().create_child_ca()
    leaf = authority.issue_cert("localhost")
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return file, context


def test_an_authority_that_another_one_has_signed_can_be_trusted(
    folder: Folder, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """kubernetes-client/python#2160 (and docker, curl and Go, which take whatever `ca.crt` holds for trusted; so does
    Python 3.13): the hint says to give the certificate of the authority that signed it, which is what was given."""
    authority, context = chained(tmp_path)
    secure = Elsewhere()
    secure.tls, secure.host = context, "localhost"
    with served(secure):
        secure.answers = elsewhere.answers
        folder.registry |= {"url": secure.url, "ca_file": str(authority)}
        folder("plan")


@pytest.mark.parametrize("challenge", ['Digest realm="r", nonce="n"', "Negotiate", "NTLM", "Bearer"])
def test_a_login_that_was_not_sent_is_not_said_to_be_refused(
    folder: Folder, elsewhere: Elsewhere, challenge: str
) -> None:
    """podman-container-tools/skopeo#375, bazelbuild/rules_k8s#141, AzureAD/azure-activedirectory-library-for-dotnet#888."""
    elsewhere.answers = {"/v2/": (401, {"WWW-Authenticate": challenge}, "")}
    said = folder("plan", code=1)
    assert not any(header for _, header in elsewhere.seen)
    assert "refuses the login of user alice" not in said


@pytest.mark.parametrize("said", ["exit status 2: gpg: decryption failed: No secret key", "pass not initialized"])
def test_a_helper_that_fails_is_not_said_to_have_no_login(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """docker/docker-credential-helpers#299, #118, #217, replicate/cog#2588, #3166. One without the login says
    `credentials not found in native keychain` (github.com/docker/docker-credential-helpers, credentials/error.go)."""
    config(folder, credHelpers={host_of(folder): "mine"})
    program(tmp_path, "mine", f"echo '{said}'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = folder("plan", code=1)
    assert "docker-credential-mine, which " in found
    assert "fails with exit code 1" in found
    assert "docker-credential-mine get` by hand, which says why" in found
    assert "has no login for" not in found
    assert said not in found


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "http://no-such-proxy.invalid:3128"])
def test_a_proxy_that_can_t_be_reached_is_named_for_a_registry(folder: Folder, proxy: str) -> None:
    """dotnet/sdk-container-builds#467, dstackai/dstack#3190, nolar/kopf#1277: users look for the fault in the wrong place."""
    folder.registry["url"] = "https://registry.example.com"
    folder("validate")
    _, said = apart(folder.path, "plan", env={"HTTPS_PROXY": proxy, "https_proxy": proxy})
    assert "proxy" in said.lower()


@pytest.mark.parametrize(
    ("kind", "cause", "whose"),
    [
        (httpx.ConnectError, OSError(101, "Network is unreachable"), "the proxy to registry.example.com can't be"),
        (httpx.ConnectTimeout, TimeoutError("timed out"), "the proxy to registry.example.com can't be connected to"),
        (httpx.ReadTimeout, TimeoutError("timed out"), "the registry does not answer in time"),
        (httpx.ConnectError, ConnectionResetError(104, "Connection reset by peer"), "the registry closes"),
    ],
)
def test_what_is_said_of_a_proxy_is_that_it_can_t_be_reached(
    monkeypatch: pytest.MonkeyPatch, kind: type[httpx.TransportError], cause: OSError, whose: str
) -> None:
    url = httpx.URL("https://registry.example.com/v2/")
    error = kind("", request=httpx.Request("GET", url))
    error.__cause__ = cause
    monkeypatch.setenv("HTTPS_PROXY", "http://user:Hunter22@proxy.example.com:3128")
    said = trouble(error, url, None)
    assert said.message.startswith(whose)
    assert "Hunter22" not in f"{said} {said.hint}"
    monkeypatch.setenv("NO_PROXY", "registry.example.com")
    assert "proxy" not in trouble(error, url, None).message


@pytest.mark.parametrize("form", ["no auth", "unpadded"])
def test_what_a_kubelet_can_read_is_not_said_to_be_none(stage: Stage, form: str) -> None:
    """kubernetes/website#26673 (only user name and password: works), kubernetes/kubernetes#82148; containers/image#1660:
    skopeo can't."""
    namespace = granted(stage)
    stage.apply()
    entry = {"auth": auth("bob", OTHER).rstrip("=")} if form == "unpadded" else {"username": "bob", "password": OTHER}
    data = base64.b64encode(json.dumps({"auths": {stage.registry.place: entry}}).encode()).decode()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"data": {KEY: data}}, kind=MERGE)
    assert "login: another one → good" in stage.plan()


def test_what_another_registry_of_the_spec_names_at_the_same_address_is_named(
    folder: Folder, elsewhere: Elsewhere
) -> None:
    """google/go-containerregistry#1431, knative/serving#13126, enix/kube-image-keeper#237: one login for each project of one host."""
    elsewhere.answers["/v2/_catalog"] = listed("team/app", "other/app")
    elsewhere.answers["/v2/other/app/tags/list"] = tags("other/app")
    document = {
        "version": 1,
        "name": "tests",
        "registries": [folder.registry, {**folder.registry, "name": "second"}],
        "repositories": [
            {"name": "team/app", "registry": "onprem"},
            {"name": "other/app", "registry": "second"},
        ],
    }
    (folder.path / "registry.yaml").write_text(yaml.safe_dump(document))
    code, said = apart(folder.path, "plan")
    assert code == 0, said
    assert "that the spec does not name" not in said


def test_an_official_image_of_docker_hub_is_asked_for_by_its_whole_name(
    folder: Folder, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """argoproj-labs/argocd-image-updater#377 (`defaultns: library`), docker-archive/docker-registry#1071 (401 for what is
    not there): docker.io/nginx, which `output` prints, is library/nginx to the API."""
    monkeypatch.setattr(hosts, "_HUB_API", elsewhere.url)
    folder.registry["url"] = "https://docker.io"
    folder.repositories = ["nginx"]
    elsewhere.answers["/v2/library/nginx/tags/list"] = tags("library/nginx")
    refused = '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
    elsewhere.answers["/v2/nginx/tags/list"] = (401, {}, refused)
    assert "does not say whether it has nginx" not in folder("plan")
