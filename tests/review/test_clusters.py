"""What a change of a cluster in the spec means: what was made there stays, and who is named there may be somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.review.model import Risk

from .specs import lines, replaced, reviewed, said, verdict

GRANTS = """\
grants:
  - name: shop
    registry: hub
    to: {type: kubernetes, cluster: prod, namespaces: [shop]}
"""
BASE = f"""\
version: 1
name: acme
clusters:
  - {{name: prod, context: prod, kubeconfig: kube/prod}}
  - {{name: stage, context: stage}}
registries:
  - name: hub
    platform: external
    url: https://registry.example.com
    credentials: {{env: {{username: A, password: B}}}}
  - name: inner
    platform: external
    url: https://inner.example.com
    credentials: {{kubernetes_secret: {{cluster: stage, namespace: a, name: b}}}}
repositories:
  - {{name: app, registry: hub}}
{GRANTS}"""
PROD = "  - {name: prod, context: prod, kubeconfig: kube/prod}\n"
STAYS = "what grant shop made there stays as it is, and pods go on pulling with it for as long as its login is good"
#: what is changed in the text, the verdict, and what is said of each risk
CASES: dict[str, tuple[list[tuple[str, str]], list[str], dict[Risk, list[str]]]] = {
    "reached by another context": (
        [("context: prod", "context: other")],
        ["widens", "unmanaged"],
        {
            Risk.WIDENS: [
                "cluster prod is reached otherwise: if that is another cluster, whom grant shop names there can pull from now on"
            ],
            Risk.UNMANAGED: [
                f"cluster prod is reached otherwise: unless that is the same cluster, {STAYS}: neither a plan nor drift looks at it"
                " again; to delete it, apply without these grants first"
            ],
        },
    ),
    "reached by the same file in other words": (
        [("kube/prod", "./kube/../kube/prod")],
        ["cosmetic"],
        {},
    ),
    "notes in another namespace": (
        [("kube/prod}", "kube/prod, namespace: notes}")],
        ["unmanaged"],
        {
            Risk.UNMANAGED: [
                "cluster prod has its notes in namespace notes from now on, and not in default: the next apply notes the secrets of"
                " grant shop anew, and the next plan names their links, which stay when a grant goes unless --adopt takes them over"
            ]
        },
    ),
    "notes in another namespace, and the grant leaves": (
        [("kube/prod}", "kube/prod, namespace: notes}"), (GRANTS, "")],
        ["unmanaged"],
        {
            Risk.UNMANAGED: [
                f"cluster prod has its notes in namespace notes from now on, and not in default: {STAYS}: neither a plan nor drift"
                " looks at it again; to delete it, apply without these grants first"
            ]
        },
    ),
    "removed with its grants": (
        [(PROD, ""), (GRANTS, "")],
        ["unmanaged"],
        {
            Risk.UNMANAGED: [
                f"cluster prod leaves the spec: unless another name of the spec is for the same cluster, {STAYS}: neither a plan nor"
                " drift looks at it again; to delete it, apply without these grants first"
            ]
        },
    ),
    "called otherwise": (
        [("name: prod", "name: live"), ("cluster: prod", "cluster: live")],
        ["cosmetic"],
        {},
    ),
    "removed, while its grant goes to another": (
        [(PROD, ""), ("cluster: prod", "cluster: stage")],
        ["widens", "unmanaged"],
        {
            Risk.WIDENS: [
                "service account shop/default in cluster stage can now pull all repositories of the registry"
            ],
            Risk.UNMANAGED: [
                f"cluster prod leaves the spec: unless another name of the spec is for the same cluster, {STAYS}: neither a plan nor"
                " drift looks at it again; to delete it, apply without these grants first"
            ],
        },
    ),
    "a login from elsewhere": (
        [("context: stage", "context: other")],
        ["widens"],
        {
            Risk.WIDENS: [
                "cluster stage is reached otherwise: if that is another cluster, registry inner has its login from there"
            ]
        },
    ),
    "added": ([(PROD, f"{PROD}  - {{name: new, in_cluster: true}}\n")], ["cosmetic"], {}),
    "in another order": (
        [(PROD, ""), ("context: stage}\n", f"context: stage}}\n{PROD}")],
        [],
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_edit_of_a_cluster_is_said_with_what_stays_there(tmp_path: Path, case: str) -> None:
    pairs, risks, messages = CASES[case]
    found = reviewed(tmp_path, replaced(*pairs, base=BASE), BASE)
    assert verdict(found) == risks
    assert {risk: said(found, risk) for risk in (Risk.WIDENS, Risk.UNMANAGED) if said(found, risk)} == messages


@pytest.mark.parametrize("on", ["external", "aws"])
def test_a_new_grant_to_a_cluster_says_who_gains_at_its_line_and_nothing_else(tmp_path: Path, on: str) -> None:
    aws = '"123456789012"'
    base = replaced((GRANTS, "grants: []\n"), base=BASE)
    if on == "aws":
        hub = BASE[BASE.index("  - name: hub") : BASE.index("  - name: inner")]
        base = replaced((hub, f"  - {{name: hub, platform: aws, account_id: {aws}, region: us-east-1}}\n"), base=base)
    found = reviewed(tmp_path, replaced(("grants: []\n", GRANTS), base=base), base)
    assert verdict(found) == ["widens"]


def test_a_grant_to_a_cluster_that_is_called_otherwise_changes_nothing_for_anybody(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(("name: shop\n", "name: store\n"), base=BASE), BASE)
    assert verdict(found) == ["cosmetic"]


def test_that_a_cluster_may_be_another_is_no_certainty(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(("context: prod", "context: other"), base=BASE), BASE)
    assert [(item.risk, item.may) for item in found.findings] == [(Risk.WIDENS, True), (Risk.UNMANAGED, False)]


def test_it_is_said_at_the_line_of_the_cluster(tmp_path: Path) -> None:
    text = replaced(("context: prod", "context: other"), base=BASE)
    found = reviewed(tmp_path, text, BASE)
    for risk in (Risk.WIDENS, Risk.UNMANAGED):
        assert lines(found, text, risk) == ["- {name: prod, context: other, kubeconfig: kube/prod}"]
