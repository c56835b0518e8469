"""What a change of a registry on Google Cloud means, at the line that causes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.review.model import Risk

from .specs import lines, replaced, reviewed, said, verdict

EXAMPLE = (Path(__file__).parents[2] / "examples" / "gcp" / "registry.yaml").read_text()
SHOP = "attribute.repository/acme/shop"
KEEP = '{keep_last: 100, keep_tags: ["release-*"]}'
#: what is changed in the example, the verdict, and for each risk the lines that cause it
CASES: dict[str, tuple[list[tuple[str, str]], list[str], dict[Risk, list[str]]]] = {
    "another location": (
        [("location: europe-west1", "location: europe-west4")],
        ["destroys", "widens", "narrows", "creates"],
        {risk: ["location: europe-west4"] for risk in (Risk.DESTROYS, Risk.WIDENS, Risk.NARROWS, Risk.CREATES)},
    ),
    "somebody else may impersonate": (
        [("ci-runner@acme-images", "cd-runner@acme-images")],
        ["widens", "narrows"],
        {Risk.WIDENS: ['trusted_principals: ["serviceAccount:cd-runner@acme-images.iam.gserviceaccount.com"]']},
    ),
    "all of a pool": (
        [(SHOP, "*")],
        ["widens"],
        {
            Risk.WIDENS: [
                f'- "principalSet://{"iam.googleapis.com/projects/210987654321/locations/global"}/workloadIdentityPools/github/*"'
            ]
        },
    ),
    "pull instead of push": (
        [("permission: push-pull", "permission: pull")],
        ["narrows"],
        {Risk.NARROWS: ["permission: pull"]},
    ),
    "fewer images": (
        [("keep_last: 100", "keep_last: 10")],
        ["weakens"],
        {Risk.WEAKENS: ['retention: {keep_last: 10, keep_tags: ["release-*"]}']},
    ),
    "the nodes instead of Cloud Run": (
        [("allowed_service_types: [worker]", "allowed_service_types: [compute]")],
        ["widens", "narrows"],
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_has_its_risk_and_its_line(tmp_path: Path, case: str) -> None:
    pairs, expected, causes = CASES[case]
    head = replaced(*pairs, base=EXAMPLE)
    found = reviewed(tmp_path, head, EXAMPLE)
    assert verdict(found) == expected
    for risk, wanted in causes.items():
        assert lines(found, head, risk) == wanted


def test_another_layout_destroys_every_repository(tmp_path: Path) -> None:
    alike = replaced(
        ("    immutable_tags: false\n", ""),
        ("    labels: {team: payments}\n", ""),
        ("    repositories: [checkout]\n", ""),
        base=EXAMPLE,
    )
    shared = "location: europe-west1\n    layout: shared\n"
    found = reviewed(tmp_path, replaced(("location: europe-west1\n", shared), base=alike), alike)
    (destroyed,) = said(found, Risk.DESTROYS)
    assert destroyed.startswith("checkout, payments-api: the repository is deleted, with whatever images it holds")
    assert said(found, Risk.CREATES) == ["images: a new repository"]


def test_untagged_images_have_no_tags_that_could_be_kept(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced((KEEP, "{untagged_days: 3}"), base=EXAMPLE), EXAMPLE)
    (weakened,) = said(found, Risk.WEAKENS)
    assert weakened == (
        "checkout, payments-api: untagged images expire 3 days after their push, those among the newest 100 too, which were kept"
        " before"
    )


def test_another_location_deletes_all_that_there_is_and_no_copy(tmp_path: Path) -> None:
    head = replaced(("location: europe-west1", "location: europe-west4"), base=EXAMPLE)
    (destroyed,) = said(reviewed(tmp_path, head, EXAMPLE), Risk.DESTROYS)
    assert destroyed.startswith(
        "checkout, payments-api: the repository in europe-west1 is deleted, with whatever images it holds"
    )
