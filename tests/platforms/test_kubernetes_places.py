"""A saved plan is applied to the cluster that it was made of, wherever its kubeconfig leads by then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.placed import apart
from reconciler.platforms.kubernetes.connection import authorities
from tests.cluster import ADMIN, Cluster, require, running
from tests.emulators.proxy import Proxy
from tests.onprem import Stage, secret_name

PLAN = "plan.json"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another cluster, in which users may do the same."""
    require()
    with running(tmp_path_factory.mktemp("second")) as found:
        yield found


@pytest.fixture
def namespace(stage: Stage) -> str:
    """A namespace with a grant that is planned, in a file."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    return namespace


def may_do_all_but_see_the_namespace(cluster: Cluster, stage: Stage, namespace: str) -> None:
    """The Role of the page, for the user `reconciler`."""
    notes = f"reconciler-{stage.document['name']}-notes"
    cluster.allow("reconciler", "default", ["get", "patch", "delete"], "configmaps", names=[notes])
    cluster.allow("reconciler", namespace, ["get", "patch", "delete"], "secrets", names=[secret_name(stage)])
    cluster.allow("reconciler", namespace, ["get", "patch"], "serviceaccounts", names=["app"])
    cluster.allow("reconciler", "default", ["create"], "configmaps")
    cluster.allow("reconciler", namespace, ["create"], "secrets")


def leads_to(stage: Stage, cluster: Cluster, user: str = ADMIN, url: str = "") -> None:
    """From now on the kubeconfig of the spec leads to a cluster."""
    text = cluster.kubeconfig(user, url=url).read_text()
    Path(stage.document["clusters"][0]["kubeconfig"]).write_text(text)


def places(stage: Stage) -> Any:
    """What the plan says of clusters, by name."""
    return json.loads((stage.reconciler.folder / PLAN).read_text())["places"]


@pytest.mark.parametrize("arguments", [(), ("--spec", "registry.yaml"), ("--skip-stale",)])
@pytest.mark.parametrize("user", [ADMIN, "reconciler"])
def test_a_plan_of_another_cluster_is_refused_with_what_differs(
    stage: Stage, namespace: str, second: Cluster, user: str, arguments: tuple[str, ...]
) -> None:
    second.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    second.service_account(namespace, "app")
    if user != ADMIN:
        may_do_all_but_see_the_namespace(stage.cluster, stage, namespace)
        may_do_all_but_see_the_namespace(second, stage, namespace)
    stage.reach(user)
    stage.plan("--out", PLAN)
    leads_to(stage, second, user)
    said = stage.run("apply", PLAN, "--yes", *arguments, code=1)
    with second.http() as http:
        assert http.get(f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}").status_code == 404
    assert f"onprem.link.prod/{namespace}/prod/app: cluster prod can't be taken for the one that the plan was" in said
    by = "its namespace default by its uid was " if user == ADMIN else f"its address was {stage.cluster.url}, "
    assert by in said
    assert "nothing was written" in said
    assert "reach the one that was reviewed, or make a new plan and review it" in said
    leads_to(stage, stage.cluster, user)
    assert "Apply: 2 done" in stage.run("apply", PLAN, "--yes", *arguments)


def test_the_same_cluster_by_another_address_is_the_same_where_that_can_be_known(
    stage: Stage, namespace: str, cluster_proxy: Proxy
) -> None:
    stage.reach()
    stage.plan("--out", PLAN)
    leads_to(stage, stage.cluster, url=cluster_proxy.url)
    assert "Apply: 2 done" in stage.run("apply", PLAN, "--yes")


def test_whoever_may_not_see_the_namespace_is_told_of_another_address(
    stage: Stage, namespace: str, cluster_proxy: Proxy
) -> None:
    may_do_all_but_see_the_namespace(stage.cluster, stage, namespace)
    stage.reach("reconciler")
    stage.plan("--out", PLAN)
    assert list(places(stage)["cluster prod"]) == ["address"]
    leads_to(stage, stage.cluster, "reconciler", url=cluster_proxy.url)
    said = stage.run("apply", PLAN, "--yes", code=1)
    assert f"its address was {stage.cluster.url}, vouched for by authorities with the SHA-256 " in said
    assert f"and is {cluster_proxy.url}, vouched for by" in said


def test_the_right_to_see_the_namespace_is_all_that_its_uid_needs(stage: Stage, namespace: str) -> None:
    may_do_all_but_see_the_namespace(stage.cluster, stage, namespace)
    stage.cluster.allow("reconciler", "default", ["get"], "namespaces", names=["default"])
    stage.reach("reconciler")
    stage.plan("--out", PLAN)
    uid = stage.cluster.request("GET", "/api/v1/namespaces/default")["metadata"]["uid"]
    assert places(stage)["cluster prod"]["namespace default by its uid"] == uid


def without(document: dict[str, Any]) -> None:
    del document["places"]


def of_nothing(document: dict[str, Any]) -> None:
    document["places"]["cluster prod"] = {}


@pytest.mark.parametrize("edit", [without, of_nothing])
def test_a_plan_that_does_not_say_of_which_cluster_it_is_is_refused(
    stage: Stage, namespace: str, edit: Callable[[dict[str, Any]], None]
) -> None:
    stage.plan("--out", PLAN)
    path = stage.reconciler.folder / PLAN
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    said = stage.run("apply", PLAN, "--yes", code=1)
    assert "the plan has nothing by which it is known now" in said
    assert stage.secret(namespace, secret_name(stage)) is None


def test_a_plan_file_holds_no_login_of_a_server_s_address(stage: Stage, namespace: str) -> None:
    path = stage.cluster.kubeconfig(ADMIN)
    document = yaml.safe_load(path.read_text())
    server = document["clusters"][0]["cluster"]
    server["server"] = server["server"].replace("://", "://bob:Hunter22xyz@")
    path.write_text(yaml.safe_dump(document))
    stage.document["clusters"][0]["kubeconfig"] = str(path)
    stage.write()
    stage.run("plan", "--out", PLAN, code=None)
    saved = stage.reconciler.folder / PLAN
    assert not saved.exists() or "Hunter22xyz" not in saved.read_text()


def test_what_comes_first_and_was_known_both_times_decides() -> None:
    by_both, by_address = {"uid": "1", "address": "a"}, {"address": "a"}
    assert apart(by_both, {"uid": "1", "address": "b"}) == ""
    assert apart(by_both, {"uid": "2", "address": "a"}) == "its uid was 1, and is 2"
    assert apart(by_both, by_address) == apart(by_address, by_both) == ""
    assert apart(by_both, {"address": "b"}) == "its address was a, and is b"
    assert apart({}, by_both) == "the plan has nothing by which it is known now"


def test_authorities_are_the_same_in_any_order_and_spacing(tmp_path: Path, cluster: Cluster, second: Cluster) -> None:
    one, other = (item.ca.read_text() for item in (cluster, second))
    files = [tmp_path / str(number) for number in range(3)]
    for file, text in zip(
        files, (one + other, f"{other}\n\n# a comment\n{one}".replace("\n", "\r\n"), one), strict=True
    ):
        file.write_text(text)
    first, again, fewer = (authorities(file.read_bytes()) for file in files)
    assert first == again
    assert first != fewer
    assert authorities(None) == "vouched for by the system's authorities"
