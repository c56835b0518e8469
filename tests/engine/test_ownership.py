"""One native object, one address: whose an object is says its mark, and no object that the spec wants is deleted by another."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.diff import diff
from reconciler.engine.picture import picture
from reconciler.model import canonical
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.model.marks import REGISTRY, Marks
from reconciler.model.resource import Desired, Live
from reconciler.render.change_item import change_item

from .test_core import Box, BoxKind

KINDS = {name: {"box": BoxKind()} for name in ("images", "images-eu")}


def wanted(registry: str, name: str) -> Desired:
    return Desired(Address.of(registry, "box", name), "box", Box())


def there(registry: str, name: str, *, mark: str | None, owner: str = "me", native: str = "") -> Live:
    found = canonical.applied(wanted(registry, name), owner)
    return replace(found, marks=replace(found.marks, registry=mark), native=native)


def planned(desired: list[Desired], live: list[Live]) -> tuple[dict[str, Action], list[tuple[str, str]]]:
    by_registry = {name: {item.address: item for item in desired if item.address.registry == name} for name in KINDS}
    listed = {name: {item.address: item for item in live if item.address.registry == name} for name in KINDS}
    found = diff(picture(KINDS, by_registry, listed), "me")
    return (
        {address: change.action for address, change in found.changes.items()},
        [(problem.address, problem.message) for problem in found.problems],
    )


def test_what_is_another_registry_s_by_its_mark_is_left_alone_whatever_its_name_begins_with() -> None:
    assert planned([], [there("images", "eu-x", mark="images-eu")]) == ({}, [])


def test_what_is_another_registry_s_and_wanted_is_a_conflict_that_names_both() -> None:
    changes, ((address, message),) = planned([wanted("images", "eu-x")], [there("images", "eu-x", mark="images-eu")])
    assert (changes, address) == ({}, "images.box.eu-x")
    assert message == (
        "it belongs to the registry 'images-eu' of the spec 'me', and this is the registry 'images' of the spec 'me'; its mark"
        " reconciler-registry says 'images-eu': if that is wrong, set it back to 'images'; otherwise take it out of"
        " the registry 'images' in the spec (taken out of 'images-eu', it is deleted)"
    )


def test_what_another_spec_owns_in_another_registry_is_no_mark_to_be_set_back() -> None:
    theirs = there("images", "eu-x", mark="images-eu")
    theirs = replace(theirs, marks=replace(theirs.marks, owner="them"))
    _, ((_, message),) = planned([wanted("images", "eu-x")], [theirs])
    assert message == (
        "it belongs to the registry 'images-eu' of the spec 'them', and this is the registry 'images' of the spec 'me';"
        " an owned resource is never taken over: to leave it there, remove it here; to have it here, release the repositories there,"
        " destroy what is left there, then apply here"
    )


def test_a_missing_mark_of_the_registry_is_written_and_a_whole_one_needs_no_change() -> None:
    assert planned([wanted("images", "x")], [there("images", "x", mark="images")]) == ({}, [])
    live = there("images", "x", mark=None)
    found = diff(
        picture(KINDS, {"images": {live.address: wanted("images", "x")}}, {"images": {live.address: live}}), "me"
    )
    (change,) = found.changes.values()
    assert (change.action, change.cause) == (Action.UPDATE, Cause.CHANGED)
    assert [(item.path, item.old, item.new) for item in change.fields] == [(REGISTRY, None, "images")]


def test_one_native_object_under_two_addresses_is_refused_at_both_and_nothing_is_done_to_it() -> None:
    twins = [there("images", "eu-x", mark=None, native="arn"), there("images-eu", "x", mark=None, native="arn")]
    for desired in (
        [],
        [wanted("images-eu", "x")],
        [wanted("images", "eu-x")],
        [wanted("images", "eu-x"), wanted("images-eu", "x")],
    ):
        changes, problems = planned(desired, twins)
        assert changes == {}
        assert sorted(address for address, _ in problems) == ["images-eu.box.x", "images.box.eu-x"]
        assert all("is also" in message for _, message in problems)


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "images", "images-eu"])),
    st.sets(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(["eu-a", "eu-b", "a", "b", "c"]))),
)
def test_no_object_that_the_spec_wants_is_deleted_at_another_address(
    marks: dict[str, str | None], names: set[tuple[str, str]]
) -> None:
    live = [
        there(registry, f"{prefix}{name}", mark=mark, native=f"images-eu-{name}")
        for name, mark in marks.items()
        for registry, prefix in (("images", "eu-"), ("images-eu", ""))
    ]
    native = {item.address: item.native for item in live}
    desired = [wanted(*item) for item in sorted(names)]
    changes, _ = planned(desired, live)
    doomed = {native[Address(address)] for address, action in changes.items() if action is Action.DELETE}
    assert not doomed & {native[item.address] for item in desired if item.address in native}


def test_marks_without_a_registry_are_nobody_elses() -> None:
    assert not Marks("me").elsewhere("images")
    assert not Marks("me", registry="images").elsewhere("images")
    assert Marks("me", registry="images-eu").elsewhere("images")


def test_settings_as_wanted_under_a_mark_of_something_else_are_not_said_to_be_changed_by_hand_alone() -> None:
    """The tag call of an update failed after the setting was written: the mark is still that of before."""
    live = there("images", "x", mark="images")
    live = replace(live, marks=replace(live.marks, applied=canonical.applied_hash(Box(7))))
    found = diff(
        picture(KINDS, {"images": {live.address: wanted("images", "x")}}, {"images": {live.address: live}}), "me"
    )
    (change,) = found.changes.values()
    assert (change.action, change.cause) == (Action.UPDATE, Cause.BOTH)
    item = change_item(change)
    assert "changed since the last apply, by hand or by an interrupted apply" in [
        detail.text for detail in item.details
    ]
