"""Pull secrets and their links, on a real cluster's API and a real registry: what is made, changed, left and taken away."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.address import Address
from reconciler.model.ledger import Texts
from reconciler.platforms.kubernetes.login_document import KEY, TYPE
from reconciler.platforms.kubernetes.notes import Notes
from tests.cluster import ADMIN, await_that
from tests.onprem import OTHER, PASSWORD, Stage, login_in, notes_of, secret_name


def test_a_grant_becomes_a_secret_with_one_login_and_a_link(stage: Stage) -> None:
    namespace = stage.cluster.namespace("default")
    stage.grant("prod", namespace, "default")
    stage.apply()
    name = f"{stage.document['name']}-prod"
    secret = stage.secret(namespace, name)
    auth = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    host = stage.registry.url.removeprefix("https://")
    assert secret["type"] == TYPE
    assert login_in(secret) == {"auths": {host: {"username": "alice", "password": PASSWORD, "auth": auth}}}
    assert stage.cluster.pull_secrets(namespace, "default") == [name]
    assert "No changes" in stage.plan()


def test_what_others_have_linked_stays_when_ours_comes_and_when_it_goes(stage: Stage) -> None:
    namespace = stage.cluster.namespace()
    stage.cluster.service_account(namespace, "app", "theirs", "other")
    stage.grant("prod", namespace, "app")
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == ["theirs", "other", secret_name(stage)]
    stage.document["grants"].clear()
    stage.write()
    said = stage.plan()
    assert f"service account {namespace}/app in cluster prod can no longer pull any repository of the registry" in said
    applied = stage.apply()
    assert applied.index("onprem.link.") < applied.index("onprem.pull-secret."), "a list never names what is gone"
    assert stage.cluster.pull_secrets(namespace, "app") == ["theirs", "other"]
    assert stage.secret(namespace, secret_name(stage)) is None
    assert notes_of(stage) is None
    assert "No changes" in stage.plan()


def test_a_login_that_was_rotated_is_drift_and_is_written_in_place(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    before = stage.secret(namespace, secret_name(stage))
    stage.login_as("bob", OTHER)
    drift = stage.reconciler("drift", code=2)
    assert "login: another one (live), good (spec)" in drift
    stage.apply()
    after = stage.secret(namespace, secret_name(stage))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    (entry,) = login_in(after)["auths"].values()
    assert (entry["username"], entry["password"]) == ("bob", OTHER)
    assert "No changes" in stage.plan()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "none that a kubelet can read"),
        ({"auths": {}}, "none that a kubelet can read"),
        ({"auths": {"elsewhere.example.com": {"auth": "YTpi"}}}, "one of elsewhere.example.com"),
        ({"auths": {"HOST": {"auth": "!!"}}}, "none that a kubelet can read"),
        (
            {"auths": {"HOST": {"username": "alice", "password": "pass:word"}}},
            "one that kubelets read, and not every client",
        ),
        ({"auths": {"HOST": {"auth": "YTpi"}, "ghcr.io": {"auth": "YTpi"}}}, "beside 1 other login"),
        ({"auths": {"HOST": {"auth": "YTpi"}}}, "another one"),
    ],
)
def test_what_a_hand_made_of_the_login_is_said_and_healed(stage: Stage, config: Any, said: str) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}"
    good = stage.secret(namespace, secret_name(stage))["data"]
    text = json.dumps(config).replace("HOST", stage.registry.url.removeprefix("https://"))
    body = {"data": {KEY: base64.b64encode(text.encode()).decode()}}
    stage.cluster.request("PATCH", f"{at}?fieldManager=a-person", body, kind="application/merge-patch+json")
    drift = stage.reconciler("drift", code=2)
    assert f"login: {said} (live), good (spec)" in drift
    assert "what it holds was last written by a-person at 20" in drift
    stage.apply()
    assert stage.secret(namespace, secret_name(stage))["data"] == good


def test_a_foreign_secret_of_that_name_is_a_conflict_and_can_be_adopted(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    name = secret_name(stage)
    theirs = {
        "metadata": {"name": name, "labels": {"team": "theirs"}},
        "type": TYPE,
        "data": {KEY: base64.b64encode(b"{}").decode()},
    }
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
    said = stage.plan(code=6)
    at = f"onprem.pull-secret.prod/{namespace}/prod"
    assert f"secret {name} in namespace {namespace} of cluster prod already exists and has no owner" in said
    stage.apply("--adopt", at)
    found = stage.secret(namespace, name)
    assert found["metadata"]["labels"]["team"] == "theirs"
    assert list(login_in(found)["auths"]) == [stage.registry.url.removeprefix("https://")]
    assert "No changes" in stage.plan()


def test_adopting_a_secret_says_which_other_logins_it_loses(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    entry = {"auth": base64.b64encode(b"bob:token").decode()}
    held = json.dumps({"auths": {"ghcr.io": entry, stage.registry.place: entry, "https://quay.io": {}}})
    theirs = {
        "metadata": {"name": secret_name(stage)},
        "type": TYPE,
        "data": {KEY: base64.b64encode(held.encode()).decode()},
    }
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
    at = f"onprem.pull-secret.prod/{namespace}/prod"
    said = stage.plan("--adopt", at, "--out", "plan.json")
    assert "its logins for ghcr.io and https://quay.io go: it is to hold that of registry onprem alone" in said
    assert "its logins for ghcr.io and https://quay.io go" in stage.apply("plan.json")


def test_a_secret_of_another_type_is_not_offered_for_adoption(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    theirs = {"metadata": {"name": secret_name(stage)}, "type": "Opaque"}
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
    said = stage.plan(code=6)
    assert (
        "already exists and has no owner; it can't be adopted: its type differs from the spec and can't be changed"
        in said
    )
    assert "else use another name, or remove what is there if nobody needs it" in said
    assert "--adopt" not in said


def test_a_copy_in_another_namespace_is_nobody_s_and_stays(stage: Stage) -> None:
    namespace, other = stage.cluster.namespace("app"), stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    name = secret_name(stage)
    copy = stage.secret(namespace, name)
    copy["metadata"] = {key: copy["metadata"][key] for key in ("name", "annotations", "labels")}
    stage.cluster.request("POST", f"/api/v1/namespaces/{other}/secrets", copy)
    assert "No changes" in stage.plan()
    stage.document["grants"][0]["to"]["namespaces"] = [namespace, other]
    stage.write()
    assert f"secret {name} in namespace {other} of cluster prod already exists and has no owner" in stage.plan(code=6)
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.secret(other, name) is not None
    assert stage.secret(namespace, name) is None


def test_a_secret_of_a_wrong_type_is_made_anew(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    name = secret_name(stage)
    at = f"/api/v1/namespaces/{namespace}/secrets"
    found = stage.secret(namespace, name)
    stage.cluster.request("DELETE", f"{at}/{name}")
    wrong = {"metadata": {"name": name, "annotations": found["metadata"]["annotations"]}, "type": "Opaque"}
    stage.cluster.request("POST", at, wrong)
    said = stage.plan()
    assert f'type: "Opaque" → "{TYPE}"' in said
    stage.apply()
    after = stage.secret(namespace, name)
    assert after["type"] == TYPE
    assert login_in(after) == login_in(found)
    assert "No changes" in stage.plan()


def test_what_is_not_there_yet_is_pending_with_a_sentence(stage: Stage) -> None:
    missing, there = "soon", stage.cluster.namespace("app")
    missing = f"{there}-soon"
    stage.grant("one", missing, "app")
    stage.grant("two", there, "app", "later")
    said = stage.plan()
    no_namespace = (
        f"onprem.link.prod/{missing}/one/app, onprem.pull-secret.prod/{missing}/one: namespace {missing} of cluster prod is not"
        " there, or has no service account of grant one: run `reconciler apply` again once it has one\n"
    )
    no_account = (
        f"onprem.link.prod/{there}/two/later: service account {there}/later is not in cluster prod: run `reconciler apply` again once"
        " it is there\n"
    )
    assert "Pending: can't be done yet\n" in said
    assert f"\n  {no_namespace}" in said
    assert f"\n  {no_account}" in said
    assert "Plan: 2 to create, 3 pending, 0 unchanged." in said
    assert "Apply: 2 done, 3 pending." in stage.apply()
    assert stage.cluster.pull_secrets(there, "app") == [secret_name(stage, "two")]
    said = stage.plan("--detailed-exitcode", "--out", "plan.json", code=2)
    assert said.startswith("No changes yet, 3 pending. 2 resources match the spec.\n\nPending: can't be done yet\n")
    assert no_account in stage.run("show", "plan.json")
    assert "No changes yet, 3 pending." in stage.apply("plan.json")
    drift = stage.run("drift", code=2)
    assert "Pending: can't be done yet" in drift
    assert "Drift: 3 pending, 2 unchanged." in drift
    assert "3 pending" in stage.run("drift", "--format", "markdown", code=2).partition("\n")[0]
    assert "Pending" not in stage.plan("--target", f"onprem.pull-secret.prod/{there}/two")
    assert "pending" not in stage.plan("--destroy")
    stage.cluster.service_account(there, "later")
    stage.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": missing}})
    stage.cluster.service_account(missing, "app")
    stage.apply()
    assert stage.cluster.pull_secrets(there, "later") == [secret_name(stage, "two")]
    assert stage.cluster.pull_secrets(missing, "app") == [secret_name(stage, "one")]
    assert stage.plan("--detailed-exitcode").startswith("No changes. 5 resources match the spec.")


def test_a_forced_apply_by_another_manager_is_drift_that_names_it(stage: Stage) -> None:
    namespace = stage.cluster.namespace()
    stage.cluster.service_account(namespace, "app", "theirs")
    stage.grant("prod", namespace, "app")
    stage.apply()
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "app", "namespace": namespace},
        "imagePullSecrets": [{"name": "theirs"}],
    }
    at = f"/api/v1/namespaces/{namespace}/serviceaccounts/app?fieldManager=argocd-controller&force=true"
    stage.cluster.request("PATCH", at, body, kind="application/apply-patch+yaml")
    drift = stage.reconciler("drift", code=2)
    assert "its list of pull secrets was last written by argocd-controller at 20" in drift
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == ["theirs", secret_name(stage)]
    assert "No changes" in stage.plan()


def test_who_lists_our_secret_by_themselves_keeps_it(stage: Stage) -> None:
    """What a GitOps tool writes is its own: there is nothing for us to add, and nothing to take away."""
    namespace = stage.cluster.namespace()
    stage.cluster.service_account(namespace, "app", secret_name(stage))
    stage.grant("prod", namespace, "app")
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)]
    assert "No changes" in stage.plan()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)]


def test_fifty_writers_on_one_service_account_lose_nothing(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    for number in range(25):
        stage.grant(f"g{number}", namespace, "app")
    at = f"/api/v1/namespaces/{namespace}/serviceaccounts/app"

    def write(number: int) -> None:
        with stage.cluster.http() as http:
            while True:
                found = http.get(at).json()
                names = [*found.get("imagePullSecrets", []), {"name": f"theirs-{number}"}]
                version = found["metadata"]["resourceVersion"]
                body = {"metadata": {"resourceVersion": version}, "imagePullSecrets": names}
                answer = http.patch(at, json=body, headers={"Content-Type": "application/merge-patch+json"})
                if answer.status_code != 409:
                    answer.raise_for_status()
                    return

    with ThreadPoolExecutor(26) as pool:
        others = [pool.submit(write, number) for number in range(25)]
        stage.apply()
        for other in others:
            other.result()
    ours = {secret_name(stage, f"g{number}") for number in range(25)}
    assert {*stage.cluster.pull_secrets(namespace, "app")} == ours | {f"theirs-{number}" for number in range(25)}
    assert "No changes" in stage.plan()


def test_names_with_dots_and_of_253_characters_work(stage: Stage) -> None:
    long = ".".join(["a" * 62] * 4)[:253].rstrip(".")
    namespace = stage.cluster.namespace("a.b", long)
    stage.grant("prod", namespace, "a.b", long)
    stage.apply()
    for account in ("a.b", long):
        assert stage.cluster.pull_secrets(namespace, account) == [secret_name(stage)]
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    for account in ("a.b", long):
        assert stage.cluster.pull_secrets(namespace, account) == []


def test_skopeo_pulls_with_nothing_but_what_is_in_the_secret(stage: Stage, tmp_path: Path) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    (tmp_path / "auth.json").write_text(json.dumps(login_in(stage.secret(namespace, secret_name(stage)))))
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(stage.registry.authority.file.read_bytes())
    image = f"docker://{stage.registry.url.removeprefix('https://')}/team/app"
    command = ["skopeo", "list-tags", f"--cert-dir={certificates}", f"--authfile={tmp_path / 'auth.json'}", image]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Tags"]


def test_a_pod_that_is_admitted_afterwards_carries_it(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    pod = {
        "metadata": {"name": "web"},
        "spec": {
            "serviceAccountName": "app",
            "automountServiceAccountToken": False,
            "containers": [{"name": "web", "image": "team/app"}],
        },
    }
    at = f"/api/v1/namespaces/{namespace}/pods"

    def carries() -> bool:
        """Whether a new pod does: admission decides by a copy that follows the service account."""
        made = stage.cluster.request("POST", f"{at}?dryRun=All", pod)
        found: bool = made["spec"].get("imagePullSecrets") == [{"name": secret_name(stage)}]
        return found

    await_that(carries)
    made = stage.cluster.request("POST", at, pod)
    assert made["spec"]["imagePullSecrets"] == [{"name": secret_name(stage)}]


def test_plans_and_logs_hold_no_secret_and_no_hash_of_one(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    folder = stage.reconciler.folder
    said = [
        stage.plan("--out", "plan.json", "-v"),
        stage.reconciler("show", "plan.json"),
        stage.apply("plan.json", "-v"),
    ]
    stage.login_as("bob", OTHER)
    said += [stage.plan("--out", "later.json"), (folder / "plan.json").read_text(), (folder / "later.json").read_text()]
    auth = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    hidden = [PASSWORD, auth, OTHER]
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        for text in (PASSWORD, auth, f"alice:{PASSWORD}"):
            hidden.append(hashlib.new(algorithm, text.encode()).hexdigest()[:12])  # noqa: PERF401
    for text in said:
        assert [item for item in hidden if item in text] == []


def test_a_cluster_can_get_another_name(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    before = stage.secret(namespace, secret_name(stage))
    stage.document["clusters"][0]["name"] = "production"
    stage.document["grants"][0]["to"]["cluster"] = "production"
    stage.write()
    assert "No changes" in stage.plan()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert before["metadata"]["uid"]
    assert stage.secret(namespace, secret_name(stage)) is None
    assert stage.cluster.pull_secrets(namespace, "app") == []


def test_one_cluster_by_two_names_is_an_error_and_deletes_nothing(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.document["clusters"].append({"name": "same", "kubeconfig": str(stage.cluster.kubeconfig(ADMIN))})
    stage.write()
    assert "clusters prod and same are one" in stage.plan(code=1)

    def answered_last_first(notes: Notes, carriers: Sequence[Address]) -> Sequence[Texts]:
        return [notes._fetched(item) for item in reversed(carriers)][::-1]

    with stage.monkeypatch.context() as patched:
        patched.setattr(Notes, "fetch", answered_last_first)
        assert "clusters prod and same are one" in stage.plan(code=1)
    stage.document["clusters"][1]["kubeconfig"] = stage.document["clusters"][0]["kubeconfig"]
    stage.write()
    assert "it is reached as cluster prod is, so it is the same" in stage.run("validate", code=1)
    assert stage.secret(namespace, secret_name(stage)) is not None


def test_a_pod_of_the_cluster_reaches_it_as_its_service_account(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.run_in_a_pod()
    stage.document["clusters"] = [{"name": "prod", "in_cluster": True}]
    stage.grant("prod", namespace, "app")
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)]
    assert "No changes" in stage.plan()


def test_a_grant_that_moves_to_another_registry_is_refused_and_by_another_name_moves(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.document["registries"].append({**stage.document["registries"][0], "name": "second"})
    stage.document["grants"][0]["registry"] = "second"
    stage.write()
    refused = "does not move in one apply from registry onprem to second: give the grant another name with it"
    assert refused in stage.plan(code=1)
    stage.document["grants"][0]["name"] = "moved"
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage, "moved")]
    assert stage.secret(namespace, secret_name(stage)) is None
    assert "No changes" in stage.plan()


def test_the_longest_names_of_a_spec_and_a_grant_make_a_secret_and_notes(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    # the most that the spec takes, with a dash at the end
    stage.document["name"] = f"{stage.document['name']:a<39}-"
    grant = "g" * 63
    stage.grant(grant, namespace, "app")
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage, grant)]
    assert "No changes" in stage.plan()
    for name, said in ((f"{stage.document['name']}a", "at most 40 characters"), (stage.document["name"], "")):
        stage.document["name"] = name
        stage.document["grants"][0]["name"] = grant if said else f"{grant}g"
        stage.write()
        assert (said or "at most 63 characters") in stage.run("validate", code=1)


def test_guards_do_not_pass_on_what_an_external_registry_does_not_have(stage: Stage) -> None:
    stage.document["guards"] = {"require_immutable_tags": True, "require_labels": ["team"]}
    stage.write()
    said = stage.plan(code=3)
    why = "this is up to the external registry's operator, and no spec can say it"
    at = "onprem.repository.team/app"
    assert f"tags of {at} can be moved, and nothing there can meet guards.require_immutable_tags: {why}" in said
    assert f"{at} has no label 'team', which guards.require_labels lists: {why}" in said
