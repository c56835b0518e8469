"""What a change of a registry on Azure means, at the line that causes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.render.review import review_text
from reconciler.review.model import Risk

from .specs import lines, replaced, reviewed, said, verdict

BASE = """\
version: 1
name: acme
registries:
  - name: images
    platform: azure
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: images
    location: westeurope
    registry_name: acmeimages
    sku: Premium
    replication_regions: [northeurope]
    labels: {team: a}
repositories:
  - {name: checkout, registry: images}
  - {name: payments, registry: images, protect: true}
  - {name: team/web, registry: images}
grants:
  - name: kubelets
    registry: images
    to: {type: azure, principal_ids: [00000001-aaaa-bbbb-cccc-dddddddddddd]}
  - name: builders
    registry: images
    repositories: [checkout]
    permission: push-pull
    to: {type: azure, principal_ids: [00000002-aaaa-bbbb-cccc-dddddddddddd], principal_type: Group}
  - name: partner
    registry: images
    repositories: [team/*]
    to: {type: azure-token}
"""
KUBELETS, BUILDERS = (f"0000000{number}-aaaa-bbbb-cccc-dddddddddddd" for number in (1, 2))
#: what is changed, the verdict, and what is said of each risk with the lines that cause it
CASES: dict[str, tuple[list[tuple[str, str]], list[str], dict[Risk, list[str]], list[str]]] = {
    "another principal": (
        [("00000001-aaaa", "00000003-aaaa")],
        ["widens", "narrows"],
        {
            Risk.WIDENS: [
                "service principal 00000003-aaaa-bbbb-cccc-dddddddddddd can now pull checkout, payments, team/web"
            ],
            Risk.NARROWS: [f"service principal {KUBELETS} can no longer pull checkout, payments, team/web"],
        },
        ["to: {type: azure, principal_ids: [00000003-aaaa-bbbb-cccc-dddddddddddd]}"],
    ),
    "pull instead of push": (
        [("permission: push-pull", "permission: pull")],
        ["narrows"],
        {Risk.NARROWS: [f"group {BUILDERS} can no longer push checkout"]},
        ["permission: pull"],
    ),
    "one more repository of a token": (
        [("[team/*]", "[team/*, checkout]")],
        ["widens"],
        {Risk.WIDENS: ["whoever holds token partner can now pull checkout"]},
        ["repositories: [team/*, checkout]"],
    ),
    "a new repository, which a grant covers": (
        [("grants:", "  - {name: team/api, registry: images}\ngrants:")],
        ["widens", "creates"],
        {
            Risk.WIDENS: [
                f"service principal {KUBELETS} can now pull team/api",
                "whoever holds token partner can now pull team/api",
                "team/api: covered by grant kubelets (which covers every repository, present and future) and grant partner (by"
                " team/*)",
            ],
            Risk.CREATES: ["team/api: a new repository"],
        },
        ["- {name: team/api, registry: images}"],
    ),
    "a location less": (
        [("    replication_regions: [northeurope]\n", "")],
        ["weakens"],
        {
            Risk.WEAKENS: [
                "replication northeurope of registry images: no images are kept in northeurope any more: clients there pull from"
                " another location of the registry"
            ]
        },
        [],
    ),
    "a location more": (
        [("[northeurope]", "[northeurope, uksouth]")],
        ["creates"],
        {Risk.CREATES: ["replication uksouth of registry images: new"]},
        ["replication_regions: [northeurope, uksouth]"],
    ),
    "no public network": (
        [("sku: Premium", "sku: Premium\n    public_network_access: false")],
        ["narrows"],
        {Risk.NARROWS: ["whoever comes through no private endpoint can no longer reach the registry"]},
        ["public_network_access: false"],
    ),
    "no protection": (
        [(", protect: true", "")],
        ["weakens"],
        {Risk.WEAKENS: ["payments: a later plan may delete it"]},
        ["- {name: payments, registry: images}"],
    ),
    "the mode that it has": (
        [("sku: Premium", "sku: Premium\n    role_assignment_mode: abac")],
        ["cosmetic"],
        {
            Risk.COSMETIC: [
                'role_assignment_mode of registry images: (none) → "abac": nobody gains or loses access by it'
            ]
        },
        ["role_assignment_mode: abac"],
    ),
    "a label": (
        [("{team: a}", "{team: b}")],
        ["cosmetic"],
        {
            Risk.COSMETIC: [
                'labels.team of registry images: "a" → "b"; 1 resource is written again: nobody gains or loses access by it'
            ]
        },
        ["labels: {team: b}"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_has_its_risk_its_sentence_and_its_line(tmp_path: Path, case: str) -> None:
    pairs, expected, sentences, causes = CASES[case]
    head = replaced(*pairs, base=BASE)
    found = reviewed(tmp_path, head, BASE)
    assert verdict(found) == expected
    for risk, wanted in sentences.items():
        assert said(found, risk) == wanted
        assert not causes or lines(found, head, risk) in (causes, causes * 2)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("", "role_assignment_mode: legacy", "role assignments of mode abac count no longer"),
        (
            "role_assignment_mode: legacy",
            "role_assignment_mode: abac",
            "role assignments of mode legacy count no longer",
        ),
        (
            "adopt: true",
            "adopt: true\n    role_assignment_mode: legacy",
            "if the registry is in mode abac, all credentials",
        ),
    ],
)
def test_another_mode_needs_permission(tmp_path: Path, before: str, after: str, what: str) -> None:
    whole = replaced(("    repositories: [checkout]\n", ""), ("    repositories: [team/*]\n", ""), base=BASE)
    base, head = (replaced(("sku: Premium", f"sku: Premium\n    {one}"), base=whole) for one in (before, after))
    (verdict_of,) = [item for item in reviewed(tmp_path, head, base).plan.verdicts if item.guard == "dangerous"]
    assert what in verdict_of.message
    assert verdict_of.message.endswith("add --allow images.mode.acmeimages")


def test_another_location_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    head = replaced(("location: westeurope", "location: eastus"), base=BASE)
    found = reviewed(tmp_path, head, BASE)
    assert [item.address for item in found.plan.problems] == ["images.registry.acmeimages"]
    assert "Problems that stop the plan" in review_text(found)


def test_in_mode_legacy_a_grant_reaches_what_is_not_in_the_spec(tmp_path: Path) -> None:
    whole = replaced(("    repositories: [checkout]\n", ""), base=BASE)
    head = replaced(("sku: Premium", "sku: Premium\n    role_assignment_mode: legacy"), base=whole)
    found = reviewed(tmp_path, head, whole)
    assert verdict(found) == ["widens", "narrows"]
    assert f"service principal {KUBELETS} can now pull all repositories of the registry" in review_text(found)


def test_a_repository_that_goes_takes_its_access_along_at_its_own_line(tmp_path: Path) -> None:
    head = replaced(("  - {name: payments, registry: images, protect: true}\n", ""), base=BASE)
    found = reviewed(tmp_path, head, BASE)
    assert verdict(found) == ["destroys", "narrows"]
    assert said(found, Risk.NARROWS) == [f"service principal {KUBELETS} can no longer pull payments"]
    assert {item.base.line for item in found.findings if item.base is not None} == {15}


ADOPTED = replaced(("sku: Premium", "sku: Premium\n    adopt: true"), ("    repositories: [checkout]\n", ""), base=BASE)


def test_a_registry_whose_mode_no_spec_says_changes_no_mode(tmp_path: Path) -> None:
    for head in (ADOPTED, replaced(("{team: a}", "{team: b}"), base=ADOPTED)):
        found = reviewed(tmp_path, head, ADOPTED)
        assert [item for item in found.plan.verdicts if item.guard == "dangerous"] == []
        assert not any(change.kind in ("mode", "assignment") for change in found.plan.changes)


def test_a_grant_on_a_registry_whose_mode_no_spec_says_may_be_for_all_of_it(tmp_path: Path) -> None:
    head = replaced(("00000001-aaaa", "00000003-aaaa"), base=ADOPTED)
    found = said(reviewed(tmp_path, head, ADOPTED), Risk.WIDENS)
    who = "service principal 00000003-aaaa-bbbb-cccc-dddddddddddd"
    assert found == [
        f"{who} can now pull checkout, payments, team/web",
        f"{who} may now be able to pull all repositories of the registry, if the registry is in mode legacy",
    ]


LEGACY = replaced(
    ("sku: Premium", "sku: Premium\n    role_assignment_mode: legacy"),
    ("    repositories: [checkout]\n", ""),
    base=BASE.replace("grants:", "guards: {max_deletes: 1}\ngrants:", 1),
)
#: without anything that needs Premium
BASIC = replaced(("    sku: Premium\n    replication_regions: [northeurope]\n", "    sku: Basic\n"), base=BASE)


@pytest.mark.parametrize("pair", [("legacy", "abac"), ("abac", "legacy")])
def test_a_change_of_the_mode_narrows_and_is_no_delete_of_the_assignments_in_whose_place_others_come(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    """As a plan has it: the assignments of the old mode stand beside those of the new one until that counts."""
    before, after = (LEGACY.replace("mode: legacy", f"mode: {mode}") for mode in pair)
    found = reviewed(tmp_path, after, before)
    assert [item.guard for item in found.plan.violations] == ["dangerous"]
    ends = (
        "all credentials that were issued end, so that nodes and pipelines can't pull or push until they log in again"
    )
    assert any(ends in item for item in said(found, Risk.NARROWS))
    assert "cosmetic" not in verdict(found)
    assert f"role_assignment_mode: {pair[1]}" in "".join(lines(found, after, Risk.NARROWS))


def test_what_else_changes_of_a_registry_is_said_beside_what_is_made_in_it(tmp_path: Path) -> None:
    found = reviewed(tmp_path, BASE.replace("team: a", "team: b"), BASIC)
    assert said(found, Risk.CREATES) == ["replication northeurope of registry images: new"]
    beside = "2 resources are written again: what it does together with the registry's other changes is said of these"
    assert said(found, Risk.COSMETIC) == [
        f'sku of registry images: "Basic" → "Premium"; {beside}',
        f'labels.team of registry images: "a" → "b"; {beside}',
    ]


def test_what_the_repositories_set_for_the_whole_registry_is_said_at_their_lines(tmp_path: Path) -> None:
    head = BASIC.replace("sku: Basic", "sku: Premium").replace(", protect: true", "")
    before = head.replace("sku: Premium", "sku: Basic")
    head = head.replace(", registry: images}", ", registry: images, retention: {untagged_days: 3}}")
    found = reviewed(tmp_path, head, before)
    assert said(found, Risk.WEAKENS) == ["acmeimages: untagged images are deleted after 3 days"]
    assert "checkout" in lines(found, head, Risk.WEAKENS)[0]
    assert said(found, Risk.COSMETIC) == [
        'sku of registry images: "Basic" → "Premium"; 1 resource is written again: nobody gains or loses access by it'
    ]
