"""What plan, apply and refresh may do in a cluster: the kinds say it, the page says it, and the calls are no others."""

from __future__ import annotations

import re

from reconciler.model.kind import Verb
from reconciler.platforms.kubernetes.link import LinkKind
from reconciler.platforms.kubernetes.secret import SecretKind
from tests.command_line import ROOT
from tests.emulators.kubernetes import KubernetesCall
from tests.emulators.proxy import Proxy
from tests.onprem import OTHER, Stage, secret_name


def permissions(*verbs: Verb) -> set[str]:
    """What the kinds say that these verbs need, as `get secrets`."""
    return {item for kind in (SecretKind, LinkKind) for verb in verbs for item in kind.permissions.get(verb, ())}


def test_the_roles_of_the_kinds_suffice_for_plan_and_apply_and_hold_nothing_more(
    stage: Stage, cluster_proxy: Proxy
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.document["clusters"][0]["namespace"] = namespace
    stage.reach("reconciler", url=cluster_proxy.url)
    named = {
        "secrets": secret_name(stage),
        "configmaps": f"reconciler-{stage.document['name']}-notes",
        "serviceaccounts": "app",
    }

    def allow(found: set[str]) -> None:
        for verb, resource in sorted(item.split() for item in found):
            # a create has no name yet: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
            names = [] if verb == "create" else [named[resource]]
            stage.cluster.allow("reconciler", namespace, [verb], resource, names=names)
        cluster_proxy.calls.clear()

    def used() -> set[str]:
        calls = [call for call in cluster_proxy.calls if isinstance(call, KubernetesCall)]
        assert {call.namespace or call.name for call in calls} == {namespace}
        found = {" ".join(reversed(call.operation.split(":"))) for call in calls}
        # asked for, and done without where it is refused
        assert "get namespaces" in found
        return found - {"get namespaces"}

    refused = stage.plan(code=1)
    assert (
        f"user reconciler may not get ConfigMap {named['configmaps']} in namespace {namespace} of cluster prod"
        in refused
    )
    assert "without rights in it, a namespace that does not exist looks the same" in refused
    reads, writes = permissions(Verb.LIST, Verb.READ), permissions(*Verb)
    allow(reads)
    assert "Plan: 2 to create" in stage.plan()
    assert used() == reads
    assert f"user reconciler may not patch ConfigMap {named['configmaps']} in namespace {namespace}" in stage.apply(
        code=1
    )
    allow(writes - reads)
    stage.apply()
    assert "No changes" in stage.plan()
    stage.login_as("bob", OTHER)
    stage.apply()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == []
    assert used() == writes


def test_the_page_names_the_rights_that_the_kinds_need() -> None:
    table = (ROOT / "docs" / "kubernetes.md").read_text().partition("## Roles")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    shown: dict[str, set[str]] = {"plan": set(), "apply": set(), "refresh": set()}
    words = {"configmap": "configmaps", "secret": "secrets", "service account": "serviceaccounts"}
    for who, verbs, objects in rows[1:]:
        resources = [name for word, name in words.items() if word in objects.lower()]
        shown[who.partition(",")[0]] |= {
            f"{verb} {name}" for verb in re.findall("`([a-z]+)`", verbs) for name in resources
        }
    reads = permissions(Verb.LIST, Verb.READ)
    assert shown == {
        "plan": reads,
        "apply": permissions(*Verb) - reads,
        "refresh": {"get secrets", "patch secrets"},
    }
