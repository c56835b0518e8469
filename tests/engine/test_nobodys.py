"""What a destroy says of what the spec describes and nobody owns."""

from __future__ import annotations

import pytest

from reconciler.engine.nobodys import nobodys
from reconciler.engine.picture import picture
from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live

SETTINGS = object()


def said(*lives: Live, retired: tuple[str, ...] = ()) -> list[str]:
    found = {live.address: live for live in lives}
    described = {at: Desired(at, "box", SETTINGS) for at in (*found, Address.of("r", "box", "absent"))}
    return list(nobodys(picture({"r": {}}, {"r": described}, {"r": found}, destroy=True), described, retired))


def live(name: str, owner: str | None = None, parent: str = "", vacant: bool = False, registry: str = "") -> Live:
    above = Address.of("r", "box", parent) if parent else None
    marks = Marks(owner, registry=registry or None)
    return Live(Address.of("r", "box", name), "box", SETTINGS, marks, parent=above, vacant=vacant, native=f"box {name}")


def test_what_has_no_owner_is_named_with_what_to_do() -> None:
    assert said(live("a"), live("b", "tests"), live("c", "others")) == [
        "r.box.a has no owner, so that it stays as it is: to have it deleted too, run `reconciler apply --adopt r.box.a` first"
    ]
    assert said(live("b"), live("a")) == [
        "r.box.a, r.box.b have no owner, so that they stay as they are: to have one of them deleted too, run `reconciler apply"
        " --adopt` with its address first"
    ]


def test_of_a_registry_that_is_retired_nothing_can_be_adopted_before_it_is_not() -> None:
    """The spec has no address of it."""
    assert said(live("a"), retired=("r",)) == [
        "r.box.a has no owner, so that it stays as it is: to have it deleted too, take `retired` out of registry r, run"
        " `reconciler apply --adopt r.box.a`, and put it back"
    ]
    assert said(live("b"), live("a"), retired=("r", "s")) == [
        "r.box.a, r.box.b have no owner, so that they stay as they are: to have one of them deleted too, take `retired` out of"
        " registry r, run `reconciler apply --adopt` with its address, and put it back"
    ]


def test_what_another_registry_has_by_its_mark_is_named_with_what_to_do() -> None:
    """As if nothing were there, nothing else says of it."""
    assert said(live("a", "tests", registry="old"), live("b", "tests", parent="a", registry="old")) == [
        "r.box.a belongs to a registry 'old' by its mark, so that it stays as it is: to have it deleted too, set"
        " reconciler-registry back to r, or, if the registry was called 'old' before, change its name back first"
    ]
    assert said(live("b", "tests", registry="old"), live("a", registry="old"), live("c", "tests", registry="r")) == [
        "r.box.a, r.box.b belong to a registry 'old' by their marks, so that they stay as they are: to have them deleted too, set"
        " reconciler-registry back to r, or, if the registry was called 'old' before, change its name back first"
    ]


@pytest.mark.parametrize(
    "lives",
    [
        (),
        (live("a", "tests"),),
        (live("a", vacant=True),),
        (live("a", "tests"), live("b", parent="a")),
    ],
)
def test_nothing_is_said_of_what_goes_or_is_not_there(lives: tuple[Live, ...]) -> None:
    assert said(*lives) == []


def test_what_stands_below_is_named_with_what_it_stands_below() -> None:
    assert [text.partition(" ")[0] for text in said(live("a"), live("b", parent="a"))] == ["r.box.a"]
