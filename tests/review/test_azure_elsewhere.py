"""A registry on Azure that becomes another one: whether the plan refuses it is said by the review."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.review.model import Risk

from .specs import replaced, reviewed, said
from .test_azure import BASE

HAS = "its 3 repositories and the access that the spec gave there stay as they are, unwatched"
OTHER_NAME = ("registry_name: acmeimages", "registry_name: acmeother")
REFUSED = (
    "it is the identity of registry acmeimages, which another registry_name leaves behind with its images: put acmeimages back,"
    " and give acmeother a second registry in the spec, under another name; once its images are copied, retire the first"
)


@pytest.mark.parametrize(
    "more", [(), (("location: westeurope", "location: uksouth"),), (("sku: Premium", "sku: Standard"),)]
)
def test_another_registry_name_is_refused(tmp_path: Path, more: tuple[tuple[str, str], ...]) -> None:
    base = BASE.replace("    replication_regions: [northeurope]\n", "")
    found = reviewed(tmp_path, replaced(OTHER_NAME, *more, base=base), base)
    assert [(item.address, item.message) for item in found.plan.problems] == [
        (f"images.identity.{job}", REFUSED) for job in ("pull", "push")
    ]
    assert said(found, Risk.UNMANAGED) == [
        f"registry images is another registry from now on: {HAS}: a plan is refused until it is put back"
    ]


@pytest.mark.parametrize(
    "pair",
    [
        ("resource_group: images", "resource_group: other"),
        (
            "subscription_id: 00000000-0000-0000-0000-000000000000",
            "subscription_id: 00000000-0000-0000-0000-000000000001",
        ),
        ("registry_name: acmeimages", "registry_name: acmeimages\n    cloud: china"),
    ],
)
def test_another_place_is_not(tmp_path: Path, pair: tuple[str, str]) -> None:
    found = reviewed(tmp_path, replaced(pair, base=BASE), BASE)
    assert found.plan.problems == ()
    assert said(found, Risk.UNMANAGED) == [
        f"registry images is another registry from now on: {HAS}: neither a plan nor drift looks at it again; to delete it all, apply"
        " retired: true first"
    ]
    assert said(found, Risk.COSMETIC) == []


def test_the_name_in_another_casing_is_the_same_registry(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(("registry_name: acmeimages", "registry_name: AcmeImages"), base=BASE), BASE)
    assert (found.plan.problems, said(found, Risk.UNMANAGED)) == ((), [])


def test_a_registry_under_another_name_of_the_spec_is_refused_as_by_the_plan(tmp_path: Path) -> None:
    pairs = ("  - name: images", "  - name: pics"), ("registry: images", "registry: pics")
    head = BASE
    for old, new in pairs:
        head = head.replace(old, new)
    found = reviewed(tmp_path, head, BASE)
    assert said(found, Risk.UNMANAGED) == [
        "registry images is called pics from now on: what it holds belongs to the old name: a plan is refused until that is put back,"
        " or it is released under it and adopted (`reconciler help renaming-a-registry-or-a-spec`)"
    ]
    assert {"pics.registry.acmeimages", "pics.repository.checkout"} <= {item.address for item in found.plan.problems}
    assert said(found, Risk.CREATES) == ["identity pull of registry pics, identity push of registry pics: new"]
    assert said(found, Risk.WIDENS) == []
