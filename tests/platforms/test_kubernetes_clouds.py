"""Pull secrets of registries on AWS, Google Cloud and Azure, on a real cluster's API: whose login they hold, until when,
and what becomes of it.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
import yaml

from reconciler.platforms.kubernetes.login_document import KEY
from tests.cluster import ADMIN, Cluster
from tests.command_line import in_this_process
from tests.emulators.aws_logins import AuthorizationTokens, NotYetAssumed, OneHour
from tests.emulators.azure import jwt
from tests.emulators.azure.faults import Fails
from tests.emulators.fails import FailsNext
from tests.emulators.gcp.tokens import DENIED
from tests.emulators.servers import free_port
from tests.emulators.serving import Answer, Call
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.base import Document
from tests.sandbox.gcp import GcpSandbox

MADE, ENDS = "reconciler-made", "reconciler-valid-until"
REPOSITORIES = ("app-a", "app-b")


class Cloud(Protocol):
    """A cloud whose registry `images` has repositories app-a and app-b. `identity`: who logs in by the grant; `who`: who gains
    access by it, where {namespace} stands for one of its own; `logs_in`: the address of what logs in; `life`: hours that a login is
    good for; `denied`: what is said to whoever may not make one."""

    host: str
    identity: str
    who: str
    logs_in: str
    life: float
    denied: tuple[str, str]

    def registry(self) -> Document:
        """The registry, as the spec has it."""

    @property
    def calls(self) -> list[Call]:
        """Those that the cloud was asked."""

    def pulled(self, username: str, password: str) -> Sequence[str]:
        """Which repositories a login can pull, as the cloud says; none if it takes no such login."""

    def move(self, ends: datetime, to: datetime) -> None:
        """Makes logins that end at one time end at another."""

    def deny(self) -> None:
        """Nobody may make a login any more."""


@dataclass
class Aws:
    """moto has no registry that one could log in to: what a login can pull is what the role can that it was made as."""

    sandbox: AwsSandbox
    tokens: AuthorizationTokens = field(default_factory=AuthorizationTokens)
    host = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    logs_in = "images.role.pull "
    identity = f"role images-pull of account {ACCOUNT}"
    who = "service account {namespace}/web in cluster prod"
    life = 1.0
    denied = ("AccessDenied", "trusted_principals of registry images must have whoever runs this")

    def __post_init__(self) -> None:
        self.sandbox.proxy.behaviours.append(self.tokens)

    @property
    def calls(self) -> list[Call]:
        return self.sandbox.proxy.calls

    def registry(self) -> Document:
        return self.sandbox.registry(trusted_principals=[ACCOUNT])

    def pulled(self, username: str, password: str) -> Sequence[str]:
        assumed = {call.body["RoleArn"] for call in self.sandbox.proxy.calls if call.operation == "AssumeRole"}
        as_the_role = self.tokens.made.get(password, "test") != "test"
        own = {f"arn:aws:iam::{ACCOUNT}:role/images-pull"}
        return REPOSITORIES if username == "AWS" and as_the_role and assumed == own else ()

    def move(self, ends: datetime, to: datetime) -> None:
        """Nobody asks AWS when a token ends."""

    def deny(self) -> None:
        self.sandbox.proxy.behaviours.append(NotYetAssumed())


@dataclass
class Google:
    """The stand-in's tokens name the account that they are of; what that can pull, its repositories' policies say."""

    sandbox: GcpSandbox
    host = "europe-west1-docker.pkg.dev"
    account = "images-pull@my-project.iam.gserviceaccount.com"
    logs_in = "images.account.pull "
    identity = f"service account {account}"
    who = "service account {namespace}/web in cluster prod"
    life = 1.0
    denied = (
        "iamcredentials:GenerateAccessToken",
        f"whoever runs this needs roles/iam.serviceAccountTokenCreator on {account}",
        "name them in trusted_principals of registry images",
    )

    @property
    def calls(self) -> list[Call]:
        return self.sandbox.stand_in.calls

    def registry(self) -> Document:
        return self.sandbox.registry()

    def pulled(self, username: str, password: str) -> Sequence[str]:
        if username != "oauth2accesstoken" or not password.startswith(f"ya29.stand-in.{self.account}."):
            return ()
        reader = f"serviceAccount:{self.account}"
        return [item for item in REPOSITORIES if reader in self.sandbox.readers(item)]

    def move(self, ends: datetime, to: datetime) -> None:
        """Nobody asks Google when a token ends."""

    def deny(self) -> None:
        self.sandbox.stand_in.cloud.state.knobs.denied.append(("iam.serviceAccounts.getAccessToken", ".*"))


@dataclass
class Azure:
    """The stand-in takes passwords of tokens, and gives access tokens for what their scope maps allow."""

    sandbox: AzureSandbox
    logs_in = "images.scope-map.nodes "
    identity = "token nodes"
    who = "whoever holds token nodes"
    life = 24.0
    denied = ("registries:generateCredentials",)

    @property
    def host(self) -> str:
        return str(self.sandbox.acr.properties["loginServer"])

    @property
    def calls(self) -> list[Call]:
        return self.sandbox.server.calls

    def registry(self) -> Document:
        return self.sandbox.registry()

    def pulled(self, username: str, password: str) -> Sequence[str]:
        return [item for item in REPOSITORIES if self._may(username, password, item)]

    def _may(self, username: str, password: str, repository: str) -> bool:
        query = {"service": self.host, "scope": f"repository:{repository}:pull"}
        with httpx.Client(verify=ssl.create_default_context(cafile=str(self.sandbox.server.ca))) as http:
            got = http.get(f"https://{self.host}/oauth2/token", params=query, auth=(username, password))
        access = jwt.claims(str(got.json().get("access_token", ""))).get("access", [])
        return any((item["Name"], item["Actions"]) == (repository, ["pull"]) for item in access)

    def move(self, ends: datetime, to: datetime) -> None:
        for password in self.sandbox.acr.tokens["nodes"].passwords.values():
            if datetime.fromisoformat(password["expiry"]).replace(microsecond=0) == ends:
                password["expiry"] = to.isoformat()

    def deny(self) -> None:
        self.sandbox.server.behaviours.append(Fails("registries:generateCredentials", "refused", times=-1))


@dataclass
class Stage:
    """A spec of a cloud's registry and a cluster, `prod`, in a folder of the test. `said`: all that was printed."""

    cloud: Cloud
    cluster: Cluster
    folder: Path
    document: Document
    namespaces: list[str]
    said: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the secret."""
        return f"{self.document['name']}-nodes"

    def run(self, *arguments: str, code: int = 0) -> str:
        """Runs a command that must end with `code`; all that it printed."""
        (self.folder / "registry.yaml").write_text(yaml.safe_dump(self.document))
        with chdir(self.folder):
            done = in_this_process(*arguments, code=code)
        self.said.append(done.stdout + done.stderr)
        return self.said[-1]

    def apply(self, *arguments: str, code: int = 0) -> str:
        """Applies; what it printed."""
        return self.run("apply", "--yes", *arguments, code=code)

    def secret(self, namespace: str = "") -> Any:
        """The secret in a namespace, the first if \"\"."""
        return self.cluster.request("GET", self._path(namespace))

    def change(self, body: Document, manager: str, namespace: str = "") -> None:
        """Changes the secret by hand."""
        path = f"{self._path(namespace)}?fieldManager={manager}"
        self.cluster.request("PATCH", path, body, kind="application/merge-patch+json")

    def login(self, namespace: str = "") -> tuple[str, str, str]:
        """Host, user name and password in the secret."""
        document = json.loads(base64.b64decode(self.secret(namespace)["data"][KEY]))
        ((host, entry),) = document["auths"].items()
        assert base64.b64decode(entry["auth"]).decode() == f"{entry['username']}:{entry['password']}"
        return host, entry["username"], entry["password"]

    def life(self, namespace: str = "") -> tuple[datetime, datetime]:
        """From when to when the login is good, as the secret notes it."""
        texts = self.secret(namespace)["metadata"]["annotations"]
        return datetime.fromisoformat(texts[MADE]), datetime.fromisoformat(texts[ENDS])

    def grow_old(self, part: float) -> None:
        """Moves the life of all logins so that this part of it is over."""
        for namespace in self.namespaces:
            made, ends = self.life(namespace)
            life = ends - made
            begun = datetime.now(UTC).replace(microsecond=0) - part * life
            self.cloud.move(ends, begun + life)
            texts = {MADE: begun.isoformat(), ENDS: (begun + life).isoformat()}
            self.change({"metadata": {"annotations": texts}}, "reconciler", namespace)

    def _path(self, namespace: str) -> str:
        return f"/api/v1/namespaces/{namespace or self.namespaces[0]}/secrets/{self.name}"


@pytest.fixture(params=["aws", "gcp", "azure"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Each cloud in turn, with nothing in it."""
    found: Cloud = {"aws": Aws, "gcp": Google, "azure": Azure}[request.param](request.getfixturevalue(request.param))
    return found


@pytest.fixture
def stage(cloud: Cloud, cluster: Cluster, tmp_path: Path) -> Stage:
    namespaces = [cluster.namespace("web") for _ in range(3)]
    to = {"type": "kubernetes", "cluster": "prod", "namespaces": namespaces, "service_accounts": ["web"]}
    document = {
        "version": 1,
        "guards": {"max_deletes": "100%"},
        "name": f"s{abs(hash(tmp_path)) % 10**8}",
        "clusters": [{"name": "prod", "kubeconfig": str(cluster.kubeconfig(ADMIN))}],
        "registries": [cloud.registry()],
        "repositories": [{"name": item, "registry": "images"} for item in REPOSITORIES],
        "grants": [{"name": "nodes", "registry": "images", "to": to}],
    }
    return Stage(cloud, cluster, tmp_path, document, namespaces)


def test_a_grant_becomes_a_secret_that_pulls_until_its_noted_end(stage: Stage) -> None:
    planned = stage.run("plan")
    for namespace in stage.namespaces:
        assert f"images: {stage.cloud.who.format(namespace=namespace)} can now pull" in planned
    assert stage.cloud.identity in planned
    stage.apply()
    for namespace in stage.namespaces:
        host, username, password = stage.login(namespace)
        assert host == stage.cloud.host
        assert tuple(stage.cloud.pulled(username, password)) == REPOSITORIES
        made, ends = stage.life(namespace)
        assert ends - made == pytest.approx(timedelta(hours=stage.cloud.life), abs=timedelta(minutes=2))
        assert stage.cluster.pull_secrets(namespace, "web") == [stage.name]
    assert "No changes" in stage.run("plan")


def test_a_login_that_nobody_renewed_in_time_is_renewed_by_a_plan(stage: Stage) -> None:
    stage.apply()
    uid, before = stage.secret()["metadata"]["uid"], stage.login()
    stage.grow_old(0.7)
    assert "No changes" in stage.run("plan")
    stage.grow_old(0.8)
    planned = stage.run("plan")
    assert f"images.pull-secret.prod/{stage.namespaces[0]}/nodes" in planned
    assert "and was not renewed in time" in planned
    assert "Plan: 3 to update" in planned
    stage.apply()
    made, _ = stage.life()
    assert datetime.now(UTC) - made < timedelta(minutes=2)
    assert stage.secret()["metadata"]["uid"] == uid
    assert stage.login()[:2] == before[:2]
    for namespace in stage.namespaces:
        assert tuple(stage.cloud.pulled(*stage.login(namespace)[1:])) == REPOSITORIES
    assert "No changes" in stage.run("plan")


def test_a_login_that_has_ended_is_renewed(stage: Stage) -> None:
    stage.apply()
    stage.grow_old(1.5)
    assert "one that ended at 20" in stage.run("drift", code=2)
    stage.apply()
    assert stage.life()[1] > datetime.now(UTC)
    assert "No changes" in stage.run("plan")


@pytest.mark.parametrize(
    ("cloud", "asked"),
    [
        ("aws", {"AssumeRole", "GetAuthorizationToken"}),
        ("gcp", {"GenerateAccessToken"}),
        ("azure", {"registries:GET", "tokens:GET", "tokens:list", "scopeMaps:GET", "registries:generateCredentials"}),
    ],
    indirect=["cloud"],
)
def test_refresh_renews_with_no_other_call_than_those_for_a_login(stage: Stage, asked: set[str]) -> None:
    stage.apply()
    before = [stage.secret(namespace)["metadata"]["uid"] for namespace in stage.namespaces]
    stage.grow_old(0.6)
    stage.cloud.calls.clear()
    said = stage.run("refresh")
    for namespace in stage.namespaces:
        assert f"images.pull-secret.prod/{namespace}/nodes renewed, good until 20" in said
    # signing in to Azure is no call of its API
    assert {call.operation for call in stage.cloud.calls if call.service != "entra"} == asked
    for namespace in stage.namespaces:
        assert tuple(stage.cloud.pulled(*stage.login(namespace)[1:])) == REPOSITORIES
        assert datetime.now(UTC) - stage.life(namespace)[0] < timedelta(minutes=2)
        assert stage.login(namespace)[2] not in said
    after = [stage.secret(namespace) for namespace in stage.namespaces]
    assert [item["metadata"]["uid"] for item in after] == before
    stage.cloud.calls.clear()
    assert stage.run("refresh").count(" good until 20") == len(stage.namespaces)
    assert [stage.secret(namespace) for namespace in stage.namespaces] == after, "nothing was due"
    assert {call.operation for call in stage.cloud.calls if call.service != "entra"} <= {"registries:GET", "tokens:GET"}
    assert "No changes" in stage.run("plan")


def test_a_login_that_can_t_be_renewed_is_left_and_said_with_what_to_do(stage: Stage) -> None:
    stage.apply()
    stage.grow_old(1.5)
    before = [stage.secret(namespace) for namespace in stage.namespaces]
    stage.cloud.deny()
    said = stage.run("refresh", code=1)
    for words in (*stage.cloud.denied, *(f"prod/{namespace}/nodes failed: " for namespace in stage.namespaces)):
        assert words in said
    assert said.count("it held one that ended at 20") == len(stage.namespaces)
    assert [stage.secret(namespace) for namespace in stage.namespaces] == before


def test_a_login_that_a_hand_changed_is_drift_that_names_the_manager(stage: Stage) -> None:
    stage.apply()
    host, username, _ = stage.login()
    auth = base64.b64encode(f"{username}:theirs".encode()).decode()
    document = json.dumps({"auths": {host: {"auth": auth}}})
    stage.change({"data": {KEY: base64.b64encode(document.encode()).decode()}}, "a-person")
    drift = stage.run("drift", code=2)
    assert "login: changed by hand (live), good (spec)" in drift
    assert "what it holds was last written by a-person at 20" in drift
    stage.apply()
    assert tuple(stage.cloud.pulled(*stage.login()[1:])) == REPOSITORIES
    assert "No changes" in stage.run("plan")


def test_whoever_may_not_make_a_login_hears_what_to_do(stage: Stage) -> None:
    grants = stage.document["grants"]
    stage.document["grants"] = []
    stage.apply()
    stage.document["grants"] = grants
    stage.cloud.deny()
    said = stage.apply(code=1)
    for words in stage.cloud.denied:
        assert words in said
    assert "images.pull-secret.prod/" in said


def test_a_cluster_that_is_not_reached_is_named_with_what_to_check(stage: Stage) -> None:
    nobody = f"https://localhost:{free_port()}"
    stage.document["clusters"][0]["kubeconfig"] = str(stage.cluster.kubeconfig(ADMIN, url=nobody))
    said = stage.run("plan", code=1)
    assert "cluster prod can't be reached: nothing answers there" in said
    assert "check the server in the kubeconfig, and the network" in said


def test_a_registry_without_the_grant_has_nothing_in_the_cluster_any_more(stage: Stage) -> None:
    stage.apply()
    stage.document["grants"].clear()
    planned = stage.run("plan")
    for namespace in stage.namespaces:
        assert f"images: {stage.cloud.who.format(namespace=namespace)} can no longer pull" in planned
    stage.apply()
    assert stage.cluster.pull_secrets(stage.namespaces[0], "web") == []
    assert "No changes" in stage.run("plan")


def test_nothing_that_is_printed_or_saved_holds_a_login(stage: Stage) -> None:
    stage.run("plan", "--out", "plan.json", "-v")
    stage.run("show", "plan.json")
    stage.apply("plan.json", "-v")
    first = stage.login()[2]
    stage.grow_old(0.8)
    stage.run("plan", "--out", "later.json", "-v")
    stage.run("drift", code=2)
    stage.apply("later.json", "-v")
    stage.said += [(stage.folder / name).read_text() for name in ("plan.json", "later.json")]
    for secret in {first, *(stage.login(namespace)[2] for namespace in stage.namespaces)}:
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert [text for text in stage.said if form in text] == []


def test_who_can_and_a_review_name_the_service_accounts(stage: Stage) -> None:
    account = stage.cloud.who.format(namespace=stage.namespaces[0])
    given = json.loads(stage.run("who-can", "--format", "json").partition("note:")[0])
    assert any(account in json.dumps(item) and '"nodes"' in json.dumps(item) for item in given)
    stage.run("who-can")
    before = {**stage.document, "grants": []}
    (stage.folder / "base.yaml").write_text(yaml.safe_dump(before))
    assert account in stage.run("review", "--base", "base.yaml")


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
def test_a_role_that_was_just_made_is_assumed_once_iam_knows_it(aws: AwsSandbox, stage: Stage) -> None:
    not_yet = NotYetAssumed(times=2)
    aws.proxy.behaviours.append(not_yet)
    stage.apply()
    assert not_yet.refused == 2
    assert "No changes" in stage.run("plan")


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
@pytest.mark.parametrize(("chained", "hours"), [(False, 4), (True, 1)])
def test_a_login_lasts_as_long_as_the_longest_session_that_the_role_can_have(
    aws: AwsSandbox, stage: Stage, chained: bool, hours: int
) -> None:
    stage.document["registries"][0]["max_session"] = "4h"
    if chained:
        aws.proxy.behaviours.append(OneHour())
    stage.apply()
    made, ends = stage.life()
    assert ends - made == pytest.approx(timedelta(hours=hours), abs=timedelta(minutes=2))


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
def test_only_a_secret_that_is_written_costs_calls_of_aws(aws: AwsSandbox, stage: Stage) -> None:
    stage.apply()
    aws.proxy.calls.clear()
    stage.run("plan")
    assert {"AssumeRole", "GetAuthorizationToken"}.isdisjoint(call.operation for call in aws.proxy.calls)


@pytest.mark.parametrize("cloud", ["azure"], indirect=True)
def test_secrets_that_come_later_end_no_login_of_the_others(azure: AzureSandbox, stage: Stage) -> None:
    """A token has two passwords: the third that is made ends the first."""
    namespaces = stage.document["grants"][0]["to"]["namespaces"]
    later = [namespaces.pop(), namespaces.pop()]
    stage.apply()
    while later:
        namespaces.append(later.pop())
        stage.apply()
        for namespace in namespaces:
            assert tuple(stage.cloud.pulled(*stage.login(namespace)[1:])) == REPOSITORIES
            assert stage.life(namespace) == stage.life(namespaces[0])
    assert "No changes" in stage.run("plan")
    made = [call for call in azure.server.calls if call.operation == "registries:generateCredentials"]
    assert len(made) == 1


@pytest.mark.parametrize("cloud", ["azure"], indirect=True)
def test_a_login_that_was_ended_before_its_time_is_drift(stage: Stage) -> None:
    stage.apply()
    ask = ("credentials", "images/*", "--as", "nodes", "--ttl", "1h")
    stage.run(*ask)
    assert "No changes" in stage.run("plan")
    stage.run(*ask)
    assert tuple(stage.cloud.pulled(*stage.login()[1:])) == ()
    assert "login: one that another has replaced (live), good (spec)" in stage.run("drift", code=2)
    stage.apply()
    for namespace in stage.namespaces:
        assert tuple(stage.cloud.pulled(*stage.login(namespace)[1:])) == REPOSITORIES
    assert "No changes" in stage.run("plan")


def test_a_destroy_takes_secrets_away_before_what_they_log_in_as(stage: Stage) -> None:
    stage.apply()
    said = stage.run("destroy", "--yes")
    gone = said[said.index("Plan:") :]
    last_secret = max(gone.index(f"images.pull-secret.prod/{namespace}/nodes") for namespace in stage.namespaces)
    assert last_secret < gone.index(stage.cloud.logs_in)
    for namespace in stage.namespaces:
        assert stage.cluster.pull_secrets(namespace, "web") == []
        with stage.cluster.http() as http:
            assert http.get(f"/api/v1/namespaces/{namespace}/secrets/{stage.name}").status_code == 404


@dataclass
class Says(FailsNext):
    """Calls of an operation are answered with this."""

    answer: Answer = field(default_factory=Answer)

    def fault(self, call: Call) -> Answer:
        return self.answer


@pytest.mark.parametrize("cloud", ["gcp"], indirect=True)
def test_tokens_of_an_account_that_was_just_made_are_had_once_iam_knows_it(gcp: GcpSandbox, stage: Stage) -> None:
    denied = Answer(error="PERMISSION_DENIED", body={"message": DENIED})
    not_yet = Says("GenerateAccessToken", "", 2, answer=denied)
    gcp.stand_in.behaviours.append(not_yet)
    stage.apply()
    assert not_yet.failed == 2
    assert "No changes" in stage.run("plan")


@pytest.mark.parametrize("cloud", ["gcp"], indirect=True)
@pytest.mark.parametrize("answer", [{"accessToken": "ya29.secret"}, {"expireTime": "2030-01-01T00:00:00Z"}])
def test_an_answer_without_a_token_or_its_end_makes_no_secret(gcp: GcpSandbox, stage: Stage, answer: Document) -> None:
    gcp.stand_in.behaviours.append(Says("GenerateAccessToken", "", -1, answer=Answer(body=answer)))
    said = stage.apply(code=1)
    assert "the answer has no token with an end" in said
    assert "ya29.secret" not in said
    with stage.cluster.http() as http:
        path = f"/api/v1/namespaces/{stage.namespaces[0]}/secrets/{stage.name}"
        assert http.get(path).status_code == 404


@pytest.mark.parametrize("cloud", ["aws", "gcp"], indirect=True)
def test_a_login_of_another_identity_is_made_anew(stage: Stage) -> None:
    """A registry that moved to another project is logged in to at the same host, as somebody else."""
    stage.apply()
    before = stage.login()
    stage.change({"metadata": {"annotations": {"reconciler-identity": "somebody else"}}}, "reconciler")
    assert 'identity: "somebody else"' in stage.run("plan")
    stage.apply()
    assert stage.login()[:2] == before[:2]
    assert stage.login()[2] != before[2]
    assert "No changes" in stage.run("plan")
