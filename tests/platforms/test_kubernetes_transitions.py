"""What the contract promises of every platform, of what is in a cluster: any spec converges, a chain of specs ends as its last one
alone would, any change by hand is reverted, and what others put there stays."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.platforms.kubernetes.login_document import KEY
from tests.onprem import Stage, notes_of, secret_name

#: the accounts of each namespace, with the pull secrets that others have given them
ACCOUNTS: Mapping[str, tuple[str, ...]] = {"default": (), "build.er": ("theirs",), "web": ("one", "two")}
MERGE = "application/merge-patch+json"

#: of each grant that there is, which of three namespaces and which accounts it is for
GRANTS = st.dictionaries(
    st.sampled_from(("pull", "more", "third")),
    st.tuples(
        st.sets(st.integers(0, 2), min_size=1),
        # one of them is there: a secret is made once somebody can have it, and stays while the spec wants it
        st.builds(set.union, st.sets(st.sampled_from(tuple(ACCOUNTS)), min_size=1), st.sets(st.just("missing"))),
    ),
    max_size=3,
)


def namespaces_of(stage: Stage) -> list[str]:
    """Three new namespaces with their accounts; and the guard on deletes is off."""
    stage.document["guards"] = {"max_deletes": "100%"}
    found = [stage.cluster.namespace() for _ in range(3)]
    for namespace in found:
        for account, theirs in ACCOUNTS.items():
            stage.cluster.service_account(namespace, account, *theirs)
    return found


def write(stage: Stage, grants: Any, namespaces: list[str]) -> None:
    """Writes a spec with these grants."""
    stage.document["grants"].clear()
    for name, (where, accounts) in sorted(grants.items()):
        to = {
            "type": "kubernetes",
            "cluster": "prod",
            "namespaces": [namespaces[at] for at in sorted(where)],
            "service_accounts": sorted(accounts),
        }
        stage.document["grants"].append({"name": name, "registry": "onprem", "to": to})
    stage.write()


def state(stage: Stage, namespaces: list[str]) -> Any:
    """All that is in the namespaces, by their places in the list, and what is noted of them."""
    found: list[Any] = []
    for namespace in namespaces:
        base = f"/api/v1/namespaces/{namespace}"
        secrets = [
            (item["metadata"]["name"], item["type"], item.get("data"), item["metadata"].get("annotations"))
            for item in stage.cluster.request("GET", f"{base}/secrets")["items"]
        ]
        links = {name: sorted(stage.cluster.pull_secrets(namespace, name)) for name in ACCOUNTS}
        found.append((sorted(secrets, key=str), links))
    noted = list(map(json.dumps, map(json.loads, ((notes_of(stage) or {}).get("data") or {}).values())))
    text = json.dumps([found, noted])
    # the longest first: one name may begin as another does
    for at, namespace in sorted(enumerate(namespaces), key=lambda item: -len(item[1])):
        text = text.replace(namespace, f"namespace-{at}")
    found, noted = json.loads(text)
    return [found, sorted(noted)]  # by the names that they have now


def alone(stage: Stage, grants: Any) -> Any:
    """The state that a spec leaves by itself; afterwards nothing of it is left."""
    namespaces = namespaces_of(stage)
    empty = state(stage, namespaces)
    write(stage, grants, namespaces)
    stage.apply()
    found = state(stage, namespaces)
    write(stage, {}, namespaces)
    stage.apply()
    assert state(stage, namespaces) == empty
    return found


@settings(max_examples=12)
@given(chain=st.lists(GRANTS, min_size=2, max_size=3))
def test_a_chain_of_specs_ends_as_its_last_one_alone_would(stage: Stage, chain: Any) -> None:
    namespaces = namespaces_of(stage)
    for grants in chain:
        write(stage, grants, namespaces)
        stage.apply()
        assert "No changes" in stage.plan()
    last = state(stage, namespaces)
    write(stage, {}, namespaces)
    stage.apply()
    assert last == alone(stage, chain[-1])


def _forged(stage: Stage) -> str:
    auth = base64.b64encode(b"mallory:guessed").decode()
    host = stage.registry.url.removeprefix("https://")
    return base64.b64encode(json.dumps({"auths": {host: {"auth": auth}}}).encode()).decode()


HANDS: Mapping[str, Callable[[Stage, str, str], Any]] = {
    "another login": lambda stage, secret, _: stage.cluster.request(
        "PATCH", secret, {"data": {KEY: _forged(stage)}}, kind=MERGE
    ),
    "no login": lambda stage, secret, _: stage.cluster.request(
        "PATCH", secret, {"data": {KEY: base64.b64encode(b"{}").decode()}}, kind=MERGE
    ),
    "the secret is gone": lambda stage, secret, _: stage.cluster.request("DELETE", secret),
    "the mark of what was applied is gone": lambda stage, secret, _: stage.cluster.request(
        "PATCH", secret, {"metadata": {"annotations": {"reconciler-applied": None}}}, kind=MERGE
    ),
    "another identity": lambda stage, secret, _: stage.cluster.request(
        "PATCH", secret, {"metadata": {"annotations": {"reconciler-identity": "somebody"}}}, kind=MERGE
    ),
    "no link": lambda stage, _, account: stage.cluster.request(
        "PATCH", account, {"imagePullSecrets": [{"name": "one"}, {"name": "two"}]}, kind=MERGE
    ),
    "no links at all": lambda stage, _, account: stage.cluster.request(
        "PATCH", account, {"imagePullSecrets": None}, kind=MERGE
    ),
}


@pytest.mark.parametrize("hand", HANDS)
def test_any_change_by_hand_is_drift_and_reverted(stage: Stage, hand: str) -> None:
    namespaces = namespaces_of(stage)
    write(stage, {"pull": ({0}, {"web"})}, namespaces)
    stage.apply()
    good = state(stage, namespaces)
    base = f"/api/v1/namespaces/{namespaces[0]}"
    HANDS[hand](stage, f"{base}/secrets/{secret_name(stage, 'pull')}", f"{base}/serviceaccounts/web")
    assert state(stage, namespaces) != good
    cause = "changed" if hand == "the mark of what was applied is gone" else "drifted"
    assert f"Drift: 1 {cause}" in stage.run("drift", code=2)
    stage.apply()
    after = state(stage, namespaces)
    if hand == "no links at all":  # what others had there, their own hand has taken away
        assert after[0][0][1]["web"] == [secret_name(stage, "pull")]
    else:
        assert after == good
    assert "No changes" in stage.plan()


def test_what_others_add_to_what_is_ours_stays(stage: Stage) -> None:
    namespaces = namespaces_of(stage)
    write(stage, {"pull": ({0}, {"web"})}, namespaces)
    stage.apply()
    base = f"/api/v1/namespaces/{namespaces[0]}"
    secret = f"{base}/secrets/{secret_name(stage, 'pull')}"
    theirs = {
        "metadata": {"labels": {"team": "theirs"}, "annotations": {"note": "theirs"}},
        "data": {"other": base64.b64encode(b"theirs").decode()},
    }
    stage.cluster.request("PATCH", secret, theirs, kind=MERGE)
    stage.login_as("bob", "an0ther-passw0rd")
    stage.apply()
    found = stage.secret(namespaces[0], secret_name(stage, "pull"))
    assert found["metadata"]["labels"]["team"] == found["metadata"]["annotations"]["note"] == "theirs"
    assert base64.b64decode(found["data"]["other"]) == b"theirs"
    assert "No changes" in stage.plan()
