"""What was found by attacking external registries and pull secrets: each test says what should be."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.app import run
from reconciler.platforms.kubernetes.login_document import KEY
from tests.cluster import ADMIN, running
from tests.emulators.kubernetes import Fails
from tests.emulators.proxy import Proxy
from tests.emulators.serving import Answer
from tests.onprem import OTHER, PASSWORD, Stage, secret_name

MERGE = "application/merge-patch+json"


def known(number: int) -> pytest.MarkDecorator:
    """A fault that is known and not yet mended, by its number in the list of what was found: issue 18 stays open for it."""
    return pytest.mark.xfail(
        reason=f"known fault {number} of external registries and pull secrets, to be mended", strict=True
    )


AUTH = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()


class Once:
    """Does something before a call, once."""

    def __init__(self, operation: str, act: Callable[[], None]) -> None:
        self.operation, self.act, self.done = operation, act, False

    def before(self, call: Any) -> None:
        if call.operation == self.operation and not self.done:
            self.done = True
            self.act()

    def after(self, call: Any) -> None:
        return None


class Says(Fails):
    """A call is answered with this."""

    answer = Answer()

    def fault(self, call: Any) -> Answer:
        return self.answer


def elsewhere(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another run of the same spec, which reaches the cluster directly."""
    document = copy.deepcopy(stage.document)
    document["clusters"][0]["kubeconfig"] = str(stage.cluster.kubeconfig(ADMIN))
    folder = stage.reconciler.folder / "other"
    folder.mkdir(exist_ok=True)
    (folder / "registry.yaml").write_text(yaml.safe_dump(document))
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def renamed(stage: Stage, proxy: Proxy) -> str:
    """The namespace of a grant that was applied and has another name in the spec now."""
    stage.reach(url=proxy.url)
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.document["grants"][0]["name"] = "live"
    stage.write()
    return namespace


# -- 1: a rename of a grant that fails takes the old secret away all the same ------------------------------------


def test_01_a_renamed_grant_whose_new_secret_is_refused_leaves_the_old_one(stage: Stage, cluster_proxy: Proxy) -> None:
    namespace = renamed(stage, cluster_proxy)
    assert "Nobody gains or loses access." in stage.plan()
    cluster_proxy.behaviours.append(Fails("secrets:create", "403"))
    stage.apply(code=1)
    assert stage.cluster.pull_secrets(namespace, "app") != [], "the plan said that nobody loses access"


def test_01_a_renamed_grant_is_linked_before_the_old_link_goes(stage: Stage, cluster_proxy: Proxy) -> None:
    renamed(stage, cluster_proxy)
    seen: list[list[str]] = []

    class Looks:
        def before(self, call: Any) -> None:
            return None

        def after(self, call: Any) -> None:
            if call.operation == "serviceaccounts:patch":
                seen.append([item["name"] for item in call.sent["imagePullSecrets"]])

    cluster_proxy.behaviours.append(Looks())
    stage.apply()
    assert [] not in seen, f"pods that are made meanwhile have no pull secret: {seen}"


# -- 2: a registry that is gone, or no longer takes the login, can't be retired -----------------------------------


@pytest.mark.parametrize("trouble", ["password", "user", "registry"])
@pytest.mark.parametrize("command", ["retired", "destroy", "grant"])
def test_02_what_is_given_up_needs_no_registry(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, trouble: str, command: str
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    registry = stage.document["registries"][0]
    if trouble == "password":
        monkeypatch.delenv("REG_PASSWORD")
    if trouble == "user":
        stage.login_as("alice", "no longer")
    if trouble == "registry":
        registry["url"] = "https://localhost:1"
    if command == "retired":
        registry["retired"] = True
    if command == "grant":
        stage.document["grants"].clear()
    stage.write()
    stage.run(*(("destroy",) if command == "destroy" else ("apply",)), "--yes", code=None)
    assert stage.secret(namespace, secret_name(stage)) is None, "the login stays in the cluster"


# -- 3: a review calls it cosmetic that the login goes to another host, or is another's ---------------------------


def test_03_a_review_of_a_new_address_or_login_is_not_cosmetic(stage: Stage) -> None:
    stage.grant("prod", "checkout", "app")
    (stage.reconciler.folder / "old.yaml").write_text(yaml.safe_dump(stage.document))
    registry = stage.document["registries"][0]
    before = dict(registry)
    registry["url"] = "https://evil.example.com"
    stage.write()
    said = stage.run("review", "--base", "old.yaml")
    registry.update(before)
    registry["credentials"] = {"env": {"username": "ADMIN_USER", "password": "ADMIN_PASSWORD"}}
    stage.write()
    other = stage.run("review", "--base", "old.yaml")
    assert "nobody gains or loses access by it" not in said, "the next plan sends the login to that host"
    assert "registry onprem: its login goes to https://evil.example.com and no longer to " in said
    assert (
        "whoever uses pull-secret prod/checkout/prod can now do what the login in ADMIN_USER and ADMIN_PASSWORD may"
        in other
    )
    registry.update(before)
    registry["ca_file"] = "other.pem"
    stage.write()
    authority = stage.run("review", "--base", "old.yaml")
    assert "its login goes to whatever has a certificate of the authorities in other.pem too" in authority
    assert "nobody gains or loses access by it" not in other, "pods get the login of an administrator"


def test_03_a_plan_with_another_login_does_not_say_that_nobody_gains(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    monkeypatch.setenv("ADMIN_USER", "bob")
    monkeypatch.setenv("ADMIN_PASSWORD", OTHER)
    stage.document["registries"][0]["credentials"] = {"env": {"username": "ADMIN_USER", "password": "ADMIN_PASSWORD"}}
    stage.write()
    said = stage.plan()
    assert "Nobody gains or loses access." not in said
    assert "by hand or by an interrupted apply" not in said, "the spec has changed; nobody has touched the secret"


# -- 4: a saved plan goes to another cluster ----------------------------------------------------------------------


def test_04_a_saved_plan_is_of_the_cluster_that_it_was_made_of(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.plan("--out", "plan.json")
    with running(tmp_path_factory.mktemp("second")) as second:
        second.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        second.service_account(namespace, "app")
        Path(stage.document["clusters"][0]["kubeconfig"]).write_text(second.kubeconfig(ADMIN).read_text())
        stage.run("apply", "plan.json", "--yes", code=None)
        with second.http() as http:
            there = http.get(f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}").status_code
    assert there == 404, "the login is in a cluster that nobody reviewed"


# -- 5: secrets that are printed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["https://bob:Hunter22xyz@reg.example.com", "bob:Hunter22xyz@reg", "reg?password=Hunter22xyz"]
)
def test_05_a_login_in_the_key_of_a_secret_is_not_shown(stage: Stage, key: str) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    text = base64.b64encode(json.dumps({"auths": {key: {"auth": "YTpi"}}}).encode()).decode()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"data": {KEY: text}}, kind=MERGE)
    said = stage.plan("--out", "plan.json") + (stage.reconciler.folder / "plan.json").read_text()
    assert "Hunter22xyz" not in said


@pytest.mark.parametrize(
    "message", [f"denied: auth {AUTH}", f"login alice:{PASSWORD} is banned", f'{{"auths":{{"h":{{"auth":"{AUTH}"}}}}}}']
)
def test_05_what_an_admission_webhook_repeats_is_not_shown(stage: Stage, cluster_proxy: Proxy, message: str) -> None:
    stage.reach(url=cluster_proxy.url)
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    says = Says("secrets:create", "403")
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden"}
    says.answer = Answer(403, {**status, "code": 403, "message": message})
    cluster_proxy.behaviours.append(says)
    said = stage.run("apply", "--yes", code=None)
    assert PASSWORD not in said
    assert AUTH not in said


@pytest.mark.parametrize("proxy", ["http://user:Hunter22/xyz@127.0.0.1:1", "http://user:Hunter22#xyz@127.0.0.1:1"])
def test_05_the_password_of_a_proxy_is_not_shown(stage: Stage, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    said = stage.run("plan", code=1)
    assert "Hunter22" not in said
    assert "internal error" not in said


@pytest.fixture
def plugin(stage: Stage) -> Callable[[str], str]:
    """Plans with a kubeconfig whose plugin is this script."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")

    def does(body: str) -> str:
        stage.reach_by(body)
        command = [sys.executable, "-m", "reconciler", "plan"]
        done = subprocess.run(command, cwd=stage.reconciler.folder, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return does


def test_05_what_a_plugin_of_a_kubeconfig_says_is_not_passed_on(plugin: Callable[[str], str]) -> None:
    assert "Hunter22xyz" not in plugin("echo 'refresh token Hunter22xyz has expired' >&2; exit 3")


# -- 6: a plugin that fails is said to be a user without rights ---------------------------------------------------


@pytest.mark.parametrize("body", ["exit 1", "echo '{}'", "echo nonsense"])
def test_06_a_plugin_that_fails_is_what_the_error_says(plugin: Callable[[str], str], body: str) -> None:
    said = plugin(body)
    assert "system:anonymous" not in said, "the hint tells to give everybody rights in the cluster"
    assert "ERROR:root" not in said


# -- 7: two runs at once, and a secret that nobody finds again ----------------------------------------------------


def test_07_a_run_that_was_slower_does_not_take_the_note_of_the_faster_one(stage: Stage, cluster_proxy: Proxy) -> None:
    stage.reach(url=cluster_proxy.url)
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    cluster_proxy.behaviours.append(Once("secrets:create", lambda: void(elsewhere(stage, "apply", "--yes"))))
    stage.run("apply", "--yes", code=None)
    cluster_proxy.behaviours.clear()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert "No changes" in stage.plan()
    assert stage.secret(namespace, secret_name(stage)) is None, "the login stays for good, and no plan finds it"


def void(_: object) -> None:
    """Nothing is returned."""


# -- 8: a namespace that is gone, with its Role -------------------------------------------------------------------


def test_08_a_namespace_that_went_with_its_role_does_not_stop_the_spec(stage: Stage) -> None:
    cluster = stage.cluster
    gone, kept = cluster.namespace("app"), cluster.namespace("app")
    stage.grant("prod", gone, "app")
    stage.grant("other", kept, "app")
    notes = f"reconciler-{stage.document['name']}-notes"
    cluster.allow("reconciler", "default", ["get", "patch", "delete"], "configmaps", names=[notes])
    cluster.allow("reconciler", "default", ["create"], "configmaps")
    for namespace, grant in ((gone, "prod"), (kept, "other")):
        name = secret_name(stage, grant)
        cluster.allow("reconciler", namespace, ["get", "patch", "delete"], "secrets", names=[name])
        cluster.allow("reconciler", namespace, ["create"], "secrets")
        cluster.allow("reconciler", namespace, ["get", "patch"], "serviceaccounts", names=["app"])
    stage.reach("reconciler")
    stage.apply()
    # what a controller does when a namespace is deleted
    at, rbac = f"/api/v1/namespaces/{gone}", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{gone}"
    for path in (f"{at}/secrets/{secret_name(stage)}", f"{at}/serviceaccounts/app"):
        cluster.request("DELETE", path)
    cluster.request("DELETE", f"{rbac}/rolebindings")
    cluster.request("DELETE", f"{rbac}/roles")
    cluster.request("DELETE", at)
    finalized = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": gone}, "spec": {"finalizers": []}}
    with cluster.http() as http:
        http.put(f"{at}/finalize", json=finalized).raise_for_status()
        assert http.get(at).status_code == 404
    time.sleep(2)
    stage.document["grants"] = [item for item in stage.document["grants"] if item["name"] == "other"]
    stage.write()
    # no Role can be made in a namespace that is not there, which is what the hint asks for
    stage.apply()
    assert "No changes" in stage.plan()


# -- 9: registries that are renamed, and grants that move ---------------------------------------------------------


def second_registry(stage: Stage, name: str) -> None:
    found = copy.deepcopy(stage.document["registries"][0])
    found |= {"name": name, "url": found["url"].replace("localhost", "127.0.0.1")}
    stage.document["registries"].append(found)


def test_09_a_grant_that_moves_to_another_registry_is_told_the_way(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    second_registry(stage, "second")
    stage.document["grants"][0]["registry"] = "second"
    stage.write()
    said = stage.run("plan", code=None)
    assert "the spec describes the same resource twice" not in said, "it describes it once"
    assert "change its name back" not in said, "no registry has another name"
    assert "give the grant another name with it, or apply once without the grant" in said


def test_09_a_registry_s_old_name_does_not_unlink_what_it_has_under_its_new_one(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.document["registries"][0]["name"] = "harbor"
    stage.document["grants"][0]["registry"] = stage.document["repositories"][0]["registry"] = "harbor"
    stage.write()
    assert "its mark reconciler-registry says 'onprem': if that is wrong, set it back to 'harbor'" in stage.plan(code=6)
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"metadata": {"annotations": {"reconciler-registry": "harbor"}}}, kind=MERGE)
    stage.apply()
    assert "No changes" in stage.plan()
    second_registry(stage, "onprem")  # a new registry that takes the old name, without any grant
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)]


# -- 10: a secret that is being deleted ---------------------------------------------------------------------------


def test_10_a_secret_that_waits_for_a_finalizer_is_not_said_to_be_deleted_nor_to_match(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"metadata": {"finalizers": ["example.com/x"]}}, kind=MERGE)
    stage.cluster.request("DELETE", at)
    said = stage.run("plan", code=None)
    assert "No changes. 2 resources match the spec." not in said, "it is being deleted"
    stage.document["grants"].clear()
    stage.write()
    stage.run("apply", "--yes", code=None)
    assert "No changes. 0 resources" not in stage.run("plan", code=None), "the login is still there"


def test_10_an_immutable_secret_is_said_by_the_plan_or_made_anew(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"immutable": True}, kind=MERGE)
    stage.login_as("bob", OTHER)
    planned = stage.run("plan", code=None)
    applied = stage.run("apply", "--yes", code=None)
    assert "immutable" in planned or "No changes" in stage.run("plan", code=None), applied


# -- 11: internal errors, by what is in a cluster or in the environment -------------------------------------------


@pytest.mark.parametrize("operation", ["configmaps:get", "secrets:get"])
def test_11_an_answer_without_metadata_is_said_so(stage: Stage, cluster_proxy: Proxy, operation: str) -> None:
    stage.reach(url=cluster_proxy.url)
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    cluster_proxy.behaviours.append(Says(operation, "200"))
    assert "internal error" not in stage.run("plan", code=None)


def test_11_half_a_character_in_a_secret_does_not_stop_the_plan(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    text = base64.b64encode(b'{"auths":{"\\ud800":{"auth":"YTpi"}}}').decode()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"data": {KEY: text}}, kind=MERGE)
    said = stage.run("plan", code=None)
    assert "internal error" not in said
    stage.apply()


@pytest.mark.parametrize("name", ["REG_USER", "REG_PASSWORD"])
def test_11_a_login_that_is_no_utf8_is_said_so(stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "caf\udce9")  # what os.environ has of a Latin-1 terminal's é
    assert "internal error" not in stage.run("plan", code=1)


# -- 12: what only an apply says ----------------------------------------------------------------------------------


def test_12_a_namespace_of_notes_that_is_not_there_is_said_by_the_plan(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.document["clusters"][0]["namespace"] = "nowhere"
    stage.write()
    assert "nowhere" in stage.run("plan", code=None), "the apply fails at each resource"


def test_12_a_login_out_of_the_spec_s_own_pull_secret_is_an_error(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    source = {"cluster": "prod", "namespace": namespace, "name": secret_name(stage)}
    stage.document["registries"][0]["credentials"] = {"kubernetes_secret": source}
    stage.write()
    stage.run("validate", code=1)  # with it, destroy deletes the only copy of the login


def test_12_a_grant_on_a_registry_without_a_login_is_an_error_of_the_spec(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    del stage.document["registries"][0]["credentials"]
    stage.write()
    stage.run("validate", code=1)


# -- registries that are odd --------------------------------------------------------------------------------------

WORD = "Tr0ub4dor-hunter"
BASIC = base64.b64encode(f"alice:{WORD}".encode()).decode()
Got = tuple[int, dict[str, str], Any]
LOG_IN: Got = (401, {"WWW-Authenticate": 'Basic realm="x"'}, {})
FINE = {"Content-Type": "application/json"}


@contextmanager
def odd_registry(answer: Callable[[BaseHTTPRequestHandler], Got | None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if (got := answer(self)) is None:
                return
            status, headers, body = got
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("REG_USER", "alice")
    monkeypatch.setenv("REG_PASSWORD", WORD)

    def does(url: str, *arguments: str, login: bool = True, names: Sequence[str] = ("team/app",)) -> tuple[int, str]:
        registry: dict[str, Any] = {"name": "onprem", "platform": "external", "url": url}
        if login:
            registry["credentials"] = {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}}
        document = {
            "version": 1,
            "name": "t",
            "registries": [registry],
            "repositories": [{"name": name, "registry": "onprem"} for name in names],
        }
        (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
        output = StringIO()
        with chdir(tmp_path), redirect_stdout(output), redirect_stderr(output):
            code = run(("plan", *arguments))
        return code, output.getvalue()

    return does


def logged_in(request: BaseHTTPRequestHandler) -> bool:
    return request.headers.get("Authorization", "").startswith("Basic")


@pytest.mark.parametrize(
    "message", [f"invalid password {WORD} for alice", f"auth={BASIC}", f"alice:{WORD} is not known"]
)
@pytest.mark.parametrize("at", ["login", "catalog"])
def test_05_a_login_that_a_registry_repeats_is_not_shown(plans: Any, message: str, at: str) -> None:
    errors = {"errors": [{"code": "UNAUTHORIZED", "message": message}]}

    def answer(request: BaseHTTPRequestHandler) -> Got:
        if at == "login":
            return 401, LOG_IN[1], errors
        if request.path == "/v2/":
            return (200, FINE, {}) if logged_in(request) else LOG_IN
        return 403, FINE, errors

    with odd_registry(answer) as url:
        _, said = plans(url)
    assert WORD not in said
    assert BASIC not in said


def by_name(request: BaseHTTPRequestHandler) -> Got:
    """A service that gives tokens for what is there alone, and none for nothing."""
    if request.path.startswith("/token"):
        if "team%2Fapp" in request.path or "team/app" in request.path:
            return 200, FINE, {"token": "good"}
        return 403, FINE, {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}
    if request.headers.get("Authorization") != "Bearer good":
        port = int(str(request.headers.get("Host")).rpartition(":")[2])
        realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="ghcr.io",scope="repository:user/image:pull"'
        return 401, {"WWW-Authenticate": realm}, {"errors": [{"code": "UNAUTHORIZED"}]}
    return (405, FINE, {}) if "_catalog" in request.path else (200, FINE, {"name": "team/app", "tags": []})


@pytest.mark.parametrize("login", [True, False])
def test_13_a_service_that_gives_tokens_for_what_is_there_alone_is_no_wrong_login(plans: Any, login: bool) -> None:
    """ghcr.io: the service refuses a repository that it does not show (oras-project/oras#1128, openai/tunnel-client#75)."""
    with odd_registry(by_name) as url:
        code, said = plans(url, login=login)
    assert code == 0, said


def test_13_nor_for_a_saved_plan_or_a_refresh(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    with odd_registry(by_name) as url:
        registry = stage.document["registries"][0]
        registry["url"] = url
        del registry["ca_file"]
        stage.grant("prod", namespace, "app")
        stage.plan("--out", "plan.json")
        assert "Apply: 2 done" in stage.run("apply", "plan.json", "--yes")
        stage.login_as("bob", OTHER)
        assert "renewed" in stage.run("refresh")


def test_13_a_login_that_gets_a_token_for_no_repository_is_refused_after_few_tries(plans: Any) -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> Got:
        if request.path.startswith("/token"):
            asked.append(request.path)
            return 403, FINE, {"errors": [{"code": "DENIED"}]}
        return by_name(request)

    with odd_registry(answer) as url:
        code, said = plans(url, names=[f"team/app-{number}" for number in range(9)])
    assert code == 1
    assert "token service refuses the login of user alice" in said
    assert len(asked) == 4, "for nothing, and for three of the nine"


def catalog(answer: Callable[[BaseHTTPRequestHandler], Got]) -> Callable[[BaseHTTPRequestHandler], Got]:
    def all_of(request: BaseHTTPRequestHandler) -> Got:
        if not logged_in(request):
            return LOG_IN
        return (200, FINE, {}) if request.path == "/v2/" else answer(request)

    return all_of


@pytest.mark.slow  # much to read
@pytest.mark.parametrize("which", ["catalog", "tags"])
def test_14_a_registry_that_gives_all_at_once_is_read(plans: Any, which: str) -> None:
    """Not all heed `n`: 26000 repositories, or tags that are commits, are more than 1 MiB."""

    def answer(request: BaseHTTPRequestHandler) -> Got:
        if "_catalog" in request.path:
            if which == "tags":
                return 403, FINE, {"errors": [{"code": "DENIED"}]}
            names = [f"group-{number % 50}/some-service-name-{number:06d}/component" for number in range(26000)]
            return 200, FINE, {"repositories": ["team/app", *names]}
        return 200, FINE, {"name": "team/app", "tags": [f"{number:040x}" for number in range(26000)]}

    with odd_registry(catalog(answer)) as url:
        code, said = plans(url)
    assert "the registry answers 200" not in said
    assert code == 0


@pytest.mark.parametrize(
    "link",
    [
        '</artifactory/api/docker/docker/v2/_catalog?last=b&n=1>; rel="next"',
        '</v2/_catalog/?last=b&n=1>; rel="next"',
        '</v2/_catalog?last=b>; rel="Next"',
    ],
)
def test_14_a_page_whose_next_one_is_not_read_is_not_all_that_there_is(plans: Any, link: str) -> None:
    def answer(request: BaseHTTPRequestHandler) -> Got:
        if "_catalog" in request.path and "last=" not in request.path:
            return 200, {**FINE, "Link": link}, {"repositories": ["b"]}
        if "_catalog" in request.path:
            return 200, FINE, {"repositories": ["team/app"]}
        return 200, FINE, {"name": "team/app", "tags": []}

    with odd_registry(catalog(answer)) as url:
        _, said = plans(url)
    assert "does not have team/app yet" not in said, "it has it, on the next page"


def test_14_an_empty_page_in_the_middle_is_no_endless_list(plans: Any) -> None:
    def answer(request: BaseHTTPRequestHandler) -> Got:
        if "/tags/" in request.path:
            return 200, FINE, {"name": "team/app", "tags": []}
        if "last=" not in request.path:  # all on it was others'
            return 200, {**FINE, "Link": '</v2/_catalog?last=b>; rel="next"'}, {"repositories": []}
        return 200, FINE, {"repositories": ["team/app"]}

    with odd_registry(catalog(answer)) as url:
        code, said = plans(url)
    assert code == 0, said


@pytest.mark.parametrize("code", ["DENIED", "UNAUTHORIZED"])
def test_14_a_404_that_says_denied_is_not_missing(plans: Any, code: str) -> None:
    def answer(request: BaseHTTPRequestHandler) -> Got:
        return 404, FINE, {"errors": [{"code": code, "message": "no"}]}

    with odd_registry(catalog(answer)) as url:
        _, said = plans(url)
    assert "does not have team/app yet" not in said


def test_14_one_503_is_asked_again(plans: Any) -> None:
    failed: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> Got:
        if not failed:
            failed.append(request.path)
            return 503, {"Retry-After": "1"}, b"busy"
        if "/tags/" in request.path:
            return 200, FINE, {"name": "team/app", "tags": []}
        return 200, FINE, {"repositories": ["team/app"]}

    with odd_registry(catalog(answer)) as url:
        code, said = plans(url)
    assert code == 0, said


@pytest.mark.slow  # much to unpack
def test_15_an_answer_that_unpacks_to_much_is_not_held_in_memory(plans: Any, tmp_path: Path) -> None:
    bomb = gzip.compress(b'{"repositories":["' + b"a" * 400_000_000 + b'"]}', 6)  # 390 kB on the wire

    def answer(request: BaseHTTPRequestHandler) -> Got:
        return 200, {**FINE, "Content-Encoding": "gzip"}, bomb

    with odd_registry(catalog(answer)) as url:
        plans(url)
        # getrusage would say the most that this process has held before it started the other one, and it holds the bomb
        code = (
            "from pathlib import Path\nfrom reconciler.cli.app import run\nrun(('plan',))\n"
            "held = next(line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith('VmHWM'))\n"
            "print(int(held.split()[1]) // 1024)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert int(done.stdout.split()[-1]) < 300, "MB"


def test_15_an_answer_that_never_ends_ends_the_run_in_time(plans: Any) -> None:
    def answer(request: BaseHTTPRequestHandler) -> Got | None:
        if not logged_in(request):
            return LOG_IN
        if request.path == "/v2/":
            return 200, FINE, {}
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        end = time.monotonic() + 25
        try:
            while time.monotonic() < end:
                request.wfile.write(b"1\r\n \r\n")
                time.sleep(0.5)
        except OSError:
            pass
        request.close_connection = True
        return None

    with odd_registry(answer) as url:
        start = time.monotonic()
        plans(url, "--timeout", "3s")
        assert time.monotonic() - start < 15


def test_15_headers_that_never_end_end_the_run_in_time(plans: Any) -> None:
    ended = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> Got | None:
        if not logged_in(request):
            return LOG_IN
        if request.path == "/v2/":
            return 200, FINE, {}
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        try:
            for _ in range(100):
                request.wfile.write(b"a")
                time.sleep(0.2)
        except OSError:
            ended.set()
        request.close_connection = True
        return None

    with odd_registry(answer) as url:
        _, said = plans(url, "--timeout", "1s")
        assert ended.wait(60), "whoever asks has waited for all of it"
    assert "does not answer in time" in said


# -- 16: edited plans ---------------------------------------------------------------------------------------------


def edited(stage: Stage, edit: Callable[[dict[str, Any]], None], *arguments: str) -> str:
    """Saves a plan, edits it, and applies it; what that printed."""
    stage.plan("--out", "plan.json")
    path = stage.reconciler.folder / "plan.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return stage.run("apply", "plan.json", "--yes", *arguments, code=None)


@pytest.mark.parametrize("arguments", [(), ("--spec", "registry.yaml")])
def test_16_a_plan_with_another_login_than_it_says_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    monkeypatch.setenv("ADMIN_USER", "bob")
    monkeypatch.setenv("ADMIN_PASSWORD", OTHER)

    def edit(document: dict[str, Any]) -> None:
        document["registries"][0]["credentials"]["env"] = {"username": "ADMIN_USER", "password": "ADMIN_PASSWORD"}

    said = edited(stage, edit, *arguments)
    assert stage.secret(namespace, secret_name(stage)) is None, said  # it says: the login in REG_USER and REG_PASSWORD


@pytest.mark.parametrize("key", ["identity", "secret"])
@pytest.mark.parametrize("arguments", [(), ("--spec", "registry.yaml")])
def test_16_a_plan_that_says_another_secret_or_login_than_it_makes_is_refused(
    stage: Stage, key: str, arguments: tuple[str, ...]
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    words = {"identity": "a robot that only reads", "secret": "harmless-prod"}[key]

    def edit(document: dict[str, Any]) -> None:
        for change in document["changes"]:
            if key in change["desired"]["settings"]:
                change["desired"]["settings"][key] = words
            for item in change["fields"]:
                if item["path"] == key:
                    item["new"] = words

    said = edited(stage, edit, *arguments)
    assert stage.secret(namespace, secret_name(stage)) is None, said


def test_16_a_plan_whose_cluster_was_edited_is_not_the_spec_s(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    other = str(stage.cluster.kubeconfig(ADMIN))

    def edit(document: dict[str, Any]) -> None:
        document["clusters"][0]["kubeconfig"] = other

    said = edited(stage, edit, "--spec", "registry.yaml")
    assert "Apply: 2 done" not in said
    # and without --spec, nothing on the screen says which kubeconfig or context it is


# -- 17: kubeconfigs that say too much ----------------------------------------------------------------------------


def planned_with(stage: Stage, document: Any) -> str:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    path = stage.reconciler.folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(document))
    stage.document["clusters"][0]["kubeconfig"] = str(path)
    stage.write()
    command = [sys.executable, "-m", "reconciler", "plan"]
    done = subprocess.run(command, cwd=stage.reconciler.folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "admin", "client-key-data": "Hunter22xyz"},
        {"name": "admin", "exec": {"command": "x", "env": [{"name": "VAULT", "value": "Hunter22xyz"}]}},
    ],
)
def test_17_what_is_indented_wrongly_in_a_kubeconfig_is_not_shown(stage: Stage, entry: dict[str, Any]) -> None:
    document = yaml.safe_load(stage.cluster.kubeconfig(ADMIN).read_text())
    document["users"] = [entry]  # beside `user`, not in it
    assert "Hunter22xyz" not in planned_with(stage, document)


def test_17_an_unverified_cluster_is_said_in_a_sentence(stage: Stage) -> None:
    document = yaml.safe_load(stage.cluster.kubeconfig(ADMIN).read_text())
    found = document["clusters"][0]["cluster"]
    del found["certificate-authority"]
    found["insecure-skip-tls-verify"] = True
    assert "InsecureRequestWarning" not in planned_with(stage, document)


# -- 18: links whose note is lost ---------------------------------------------------------------------------------


def test_18_who_loses_access_by_a_secret_that_goes_is_said_without_notes_too(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes")
    stage.apply()
    stage.document["grants"].clear()
    stage.write()
    said = stage.plan()
    assert "1 to delete" in said
    assert "Nobody gains or loses access." not in said, "pods of that service account can no longer pull"


def test_18_a_link_that_is_nobody_s_can_be_adopted_or_that_is_refused(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes")
    stage.apply()
    said = stage.run("plan", "--adopt", f"onprem.link.prod/{namespace}/prod/app", code=None)
    assert "No changes. 1 resource" not in said, "--adopt is heard by nobody"


# -- 19: one cluster of several is down ---------------------------------------------------------------------------


def test_19_a_target_in_one_cluster_does_not_need_the_others(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    down = {"name": "down", "kubeconfig": str(stage.cluster.kubeconfig(url="https://localhost:1"))}
    stage.document["clusters"].append(down)
    stage.write()
    stage.apply("--target", f"onprem.pull-secret.prod/{namespace}/prod")


# -- 20: a saved plan, and a secret that has moved since ----------------------------------------------------------


def test_20_a_login_that_somebody_wrote_after_the_review_makes_the_plan_stale(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.login_as("bob", OTHER)
    stage.plan("--out", "plan.json")
    host = stage.registry.url.removeprefix("https://")
    theirs = base64.b64encode(json.dumps({"auths": {host: {"auth": "YTpi"}}}).encode()).decode()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    stage.cluster.request("PATCH", at, {"data": {KEY: theirs}}, kind=MERGE)
    stage.run("apply", "plan.json", "--yes", code=None)
    assert stage.secret(namespace, secret_name(stage))["data"][KEY] == theirs, "it was written after the review"


def test_20_a_plan_that_was_not_applied_is_not_said_to_be(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.login_as("bob", OTHER)
    stage.plan("--out", "plan.json")
    stage.login_as("alice", PASSWORD)
    assert "this plan has been applied already" not in stage.run("apply", "plan.json", "--yes", code=None)


# -- 21: two specs whose names meet -------------------------------------------------------------------------------


def test_21_another_spec_s_secret_is_not_said_to_have_no_owner_nor_taken(stage: Stage) -> None:
    """Spec `s-eu` with a grant `prod`, and spec `s` with a grant `eu-prod`."""
    namespace = stage.cluster.namespace("app")
    name = stage.document["name"]
    stage.document["name"] = f"{name}-eu"
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.document["name"] = name
    stage.document["grants"].clear()
    stage.grant("eu-prod", namespace, "app")
    said = stage.run("plan", code=6)
    stage.run("apply", "--yes", "--adopt", f"onprem.pull-secret.prod/{namespace}/eu-prod", code=None)
    owner = stage.secret(namespace, f"{name}-eu-prod")["metadata"]["annotations"]["reconciler-owner"]
    assert owner == f"{name}-eu", "its other owner was never named"
    assert "has no owner" not in said
