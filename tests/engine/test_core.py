"""The pure core with plain values: hashes, differences, order, guards, and why things differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine import guard
from reconciler.engine.cause import cause
from reconciler.engine.diff import diff
from reconciler.engine.fields import differences
from reconciler.engine.order import edges_of, going_with, needed_first, ordered
from reconciler.engine.picture import Picture
from reconciler.engine.plan import Plan, count_images
from reconciler.engine.wishes import Wishes
from reconciler.model import canonical
from reconciler.model.access import ADMIN, DELETE_IMAGES, Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change
from reconciler.model.kind import Found, GivesAccess, HoldsImages, Kind, Trait, Write
from reconciler.model.marks import APPLIED, Marks
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.render.report import report_of
from reconciler.spec.models import Guards
from reconciler.spec.registry import RegistryBase


@dataclass(frozen=True, slots=True)
class Box:
    """Settings for tests."""

    size: int = 0
    users: tuple[str, ...] = ()
    fixed: str = ""


class BoxKind(Kind, GivesAccess):
    """A kind that is only looked at."""

    name = "box"
    settings: ClassVar[type] = Box
    immutable = frozenset({"fixed"})

    def access(self, address: Address, settings: Box) -> Iterator[Access]:
        for user in settings.users:
            yield Access(Principal(user, account=user), "pull", "r", address.name)

    def list(self, session: Any, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        yield from ()

    def read(self, session: Any, addresses: Sequence[Address]) -> Iterator[Live]:
        yield from ()

    def create(self, session: Any, write: Write) -> Live:
        raise AssertionError

    def update(self, session: Any, write: Write, live: Live) -> Live:
        raise AssertionError

    def delete(self, session: Any, live: Live, *, force: bool) -> None:
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Crate:
    """Settings of what holds images."""

    fixed: str = ""
    may_go: bool = False
    guarded: bool = False


class CrateKind(BoxKind, HoldsImages):
    """A kind that holds two images."""

    name = "crate"
    settings: ClassVar[type] = Crate

    def access(self, address: Address, settings: Any) -> Iterator[Access]:
        yield from ()

    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        return NativeName(wanted.address.name, f"{registry.name}.example.com/{wanted.address.name}")

    def protected(self, settings: Crate) -> bool:
        return settings.guarded

    def labels(self, settings: Crate) -> Collection[str]:
        return ()

    def tags_movable(self, settings: Crate) -> bool:
        return True

    def images_may_go(self, settings: Crate) -> bool:
        return settings.may_go

    def count(self, session: Any, live: Live) -> int:
        return 2

    def given_by_others(self, session: Any, live: Live) -> tuple[ForeignAccess, ...]:
        return ()


KINDS = {"r": {"box": BoxKind()}}


def desired(name: str, settings: Box | None = None, *needs: str, parent: Address | None = None) -> Desired:
    return Desired(
        Address.of("r", "box", name),
        "box",
        settings or Box(),
        tuple(Address.of("r", "box", need) for need in needs),
        parent,
    )


def live(wanted: Desired, owner: str | None = "me", origin: Any = "spec", **fields: Any) -> Live:
    found = canonical.applied(wanted, owner or "", origin)
    return replace(found, **fields) if owner else replace(found, marks=Marks(), **fields)


def test_what_a_platform_wants_back_with_a_write_makes_no_plan_stale() -> None:
    there = live(desired("a"))
    kind = KINDS["r"]["box"]
    assert kind.fingerprint(replace(there, etag="1")) == kind.fingerprint(replace(there, etag="2"))
    for moved in (replace(there, rest="x"), replace(there, vacant=True), replace(there, settings=Box(9))):
        assert kind.fingerprint(moved) != kind.fingerprint(there)
    assert kind.fingerprint(replace(there, marks=Marks("other", "spec"))) != kind.fingerprint(there)


def test_the_owner_of_what_inherits_it_does_not_count_for_its_fingerprint() -> None:
    class Inheriting(BoxKind):
        traits = frozenset({Trait.INHERITS})

    there = live(desired("a"))
    assert Inheriting().fingerprint(replace(there, marks=Marks("other", "spec"))) == Inheriting().fingerprint(there)


def test_what_was_applied_is_what_is_found_and_needs_no_change() -> None:
    wanted = desired("a", Box(3), "b", parent=Address("r.box.b"))
    found = canonical.applied(wanted, "me")
    assert (found.marks, found.needs, found.parent) == (
        Marks("me", "spec", canonical.applied_hash(Box(3)), "r"),
        wanted.needs,
        wanted.parent,
    )
    assert changes([wanted], [found]) == {}


def changes(wanted: list[Desired], there: list[Live], **wishes: Any) -> dict[str, Action]:
    picture = Picture(KINDS, {item.address: item for item in wanted}, {item.address: item for item in there})
    found = diff(picture, "me", **wishes)
    assert found.problems == []
    return {address.removeprefix("r.box."): change.action for address, change in found.changes.items()}


def test_equal_settings_have_equal_hashes_and_others_have_not() -> None:
    assert canonical.applied_hash(Box(1, ("a",))) == canonical.applied_hash(Box(1, ("a",)))
    assert canonical.applied_hash(Box(1)) != canonical.applied_hash(Box(2))


def test_the_hash_is_versioned_and_does_not_move_between_releases() -> None:
    # a change of this value tells every user that everything was changed by hand: raise the version instead
    assert canonical.applied_hash(Box(1, ("a", "b"))) == "v1-0644ae92cf53234a"


def test_a_field_that_a_release_adds_changes_no_old_hash() -> None:
    @dataclass(frozen=True, slots=True)
    class Later:
        size: int = 0
        users: tuple[str, ...] = ()
        fixed: str = ""
        added: str = "default"

    assert canonical.applied_hash(Later(1)) == canonical.applied_hash(Box(1))
    assert canonical.applied_hash(Later(1, added="x")) != canonical.applied_hash(Box(1))


@pytest.mark.parametrize(
    ("mark", "there", "expected"),
    [
        (canonical.applied_hash(Box(1)), Box(2), Cause.DRIFT),
        (canonical.applied_hash(Box(2)), Box(2), Cause.PENDING),
        (canonical.applied_hash(Box(3)), Box(2), Cause.BOTH),
        (None, Box(2), Cause.CHANGED),
        ("v0-0123456789abcdef", Box(2), Cause.CHANGED),
        ("by hand", Box(2), Cause.CHANGED),
    ],
)
def test_why_live_differs_is_told_from_the_mark_and_never_guessed(
    mark: str | None, there: Box, expected: Cause
) -> None:
    wanted = desired("a", Box(1))
    assert cause(mark, wanted, replace(live(wanted), settings=there)) is expected


def test_what_differs_by_the_login_alone_that_nobody_touched_is_outdated_and_no_drift() -> None:
    wanted = desired("a", Box(1, fixed="good"))
    mark = canonical.applied_hash(wanted.settings)
    worn = replace(live(wanted), settings=replace(wanted.settings, fixed="ended"))
    changed = replace(live(wanted), settings=replace(worn.settings, size=2))
    assert cause(mark, wanted, worn, "fixed") is Cause.OUTDATED
    assert cause(mark, wanted, worn) is Cause.DRIFT
    assert cause(mark, wanted, changed, "fixed") is Cause.DRIFT


def test_a_mark_of_an_unknown_form_on_what_is_as_wanted_is_left_alone() -> None:
    wanted = desired("a", Box(1))
    there = replace(live(wanted), marks=Marks("me", "spec", "v9-0123456789abcdef", "r"))
    assert changes([wanted], [there]) == {}


@pytest.mark.parametrize("mark", [None, canonical.applied_hash(Box(7))])
def test_a_missing_or_stale_mark_is_written_again_and_nothing_else(mark: str | None) -> None:
    wanted = desired("a", Box(1))
    there = replace(live(wanted), marks=Marks("me", "spec", mark))
    found = diff(Picture(KINDS, {wanted.address: wanted}, {wanted.address: there}), "me")
    (change,) = found.changes.values()
    assert [(field.path, field.old, field.new) for field in change.fields] == [
        (APPLIED, mark, canonical.applied_hash(Box(1)))
    ]


def test_only_what_is_owned_with_origin_spec_is_deleted() -> None:
    items = [desired(name) for name in "abcd"]
    there = [
        live(items[0]),
        live(items[1], origin="runtime"),
        live(items[2], owner="other"),
        live(items[3], owner=None),
    ]
    assert changes([], there) == {"a": Action.DELETE}
    no_origin = replace(live(items[0]), marks=Marks("me", None, "x"))
    assert changes([], [no_origin]) == {}, "what may have been made at run time is not deleted"


@pytest.mark.parametrize("origin", ["by hand", "SPEC", "import"])
def test_an_origin_that_is_neither_spec_nor_runtime_is_nobodys(origin: str) -> None:
    wanted, other = desired("a", Box(1)), desired("b")
    below = desired("c", Box(1), "b", parent=other.address)
    there = {item.address: live(item, origin=origin) for item in (wanted, other, below)}
    found = diff(Picture(KINDS, {wanted.address: wanted}, there), "me")
    assert found.changes == {}, "neither changed nor deleted"
    assert found.runtime == []
    assert found.unclear == {other.address: origin, below.address: origin}
    (problem,) = found.problems
    assert problem.address == wanted.address
    assert f"has the reconciler-origin '{origin}', which is neither spec nor runtime" in problem.message
    assert f"--adopt {wanted.address}" in problem.message
    adopted = diff(Picture(KINDS, {wanted.address: wanted}, there), "me", [wanted.address])
    assert [change.action for change in adopted.changes.values()] == [Action.ADOPT]


def test_an_origin_that_is_missing_is_put_right_if_the_resource_is_wanted_and_named_if_not() -> None:
    wanted, other = desired("a", Box(1)), desired("b")
    there = {item.address: live(item, origin=None) for item in (wanted, other)}
    found = diff(Picture(KINDS, {wanted.address: wanted}, there), "me")
    assert {change.address: change.action for change in found.changes.values()} == {wanted.address: Action.UPDATE}
    assert (found.runtime, found.unclear, found.problems) == ([], {other.address: ""}, [])


def test_a_fixed_setting_makes_a_replace_and_what_stands_below_is_made_again() -> None:
    parent = desired("a", Box(fixed="x"))
    child = desired("b", Box(1), "a", parent=parent.address)
    there = [live(replace(parent, settings=Box(fixed="y"))), live(child)]
    assert changes([parent, child], there) == {"a": Action.REPLACE, "b": Action.CREATE}


@pytest.mark.parametrize(("before", "now", "allowed"), [(True, False, True), (True, True, True), (False, True, False)])
def test_permission_to_lose_images_counts_once_it_was_applied(before: bool, now: bool, allowed: bool) -> None:
    """What is deleted and made again in the commit that allows it was allowed by nobody who could look at it before."""
    at = Address.of("r", "crate", "a")
    kinds = {"r": {"crate": CrateKind()}}
    there = canonical.applied(Desired(at, "crate", Crate("old", before)), "me")
    seen = Picture(kinds, {at: Desired(at, "crate", Crate("new", now))}, {at: there})
    found = diff(seen, "me")
    count_images(found, seen, {"r": None}, Wishes())  # type: ignore[dict-item]  # the kind asks no session
    change = found.changes[at]
    assert (change.action, change.images, change.force) == (Action.REPLACE, 2, allowed)
    assert [verdict.guard for verdict in guard.images([change], kinds)] == ([] if allowed else ["images"])


def test_what_goes_with_its_parent_has_no_change_of_its_own() -> None:
    parent = desired("a")
    child = desired("b", Box(users=("eve",)), "a", parent=parent.address)
    picture = Picture(KINDS, {}, {item.address: live(item) for item in (parent, child)})
    (change,) = diff(picture, "me").changes.values()
    assert (change.address, change.along) == ("r.box.a", ("r.box.b",))
    assert [access.principal.label for access in change.losses] == ["eve"]


def gains_and_losses(before: tuple[str, ...], after: tuple[str, ...], others: tuple[str, ...] = ()) -> list[list[str]]:
    """The users who gain and who lose when our settings change beside what others gave."""

    class Shared(BoxKind):
        traits = frozenset({Trait.SHARED})

        def access(self, address: Address, settings: Box) -> Iterator[Access]:
            for user in settings.users:
                yield Access(Principal(user, public=user == "everyone"), "pull", "r", address.name)

    kinds = {"r": {"box": Shared()}}
    wanted = desired("a", Box(users=after))
    given = tuple(
        ForeignAccess(wanted.address, user, tuple(Shared().access(wanted.address, Box(users=(user,)))))
        for user in others
    )
    there = live(desired("a", Box(users=before)), foreign=given)
    picture = Picture(kinds, {wanted.address: wanted} if after else {}, {wanted.address: there}, given)
    (change,) = diff(picture, "me").changes.values()
    return [[item.principal.label for item in found] for found in (change.gains, change.losses)]


def test_what_others_gave_counts_before_and_after() -> None:
    assert gains_and_losses(("eve",), ("bob",)) == [["bob"], ["eve"]]
    assert gains_and_losses(("eve",), ("bob",), ("eve", "bob")) == [[], []]
    assert gains_and_losses(("eve",), (), ("eve",)) == [[], []], "a delete of ours leaves theirs"


def test_what_everyone_can_do_is_nobodys_gain_or_loss() -> None:
    assert gains_and_losses(("eve",), ("bob",), ("everyone",)) == [[], []]
    assert gains_and_losses(("eve",), ("everyone",)) == [["everyone"], []]
    assert gains_and_losses(("everyone",), ("eve",)) == [[], ["everyone"]]


def test_a_replacement_compares_what_stands_below_it_before_and_after() -> None:
    parent = desired("a", Box(fixed="x"))
    child = desired("b", Box(users=("bob", "eve")), "a", parent=parent.address)
    given = (ForeignAccess(child.address, "x", tuple(BoxKind().access(child.address, Box(users=("bob", "dan"))))),)
    there = {
        parent.address: live(replace(parent, settings=Box(fixed="y"))),
        child.address: live(replace(child, settings=Box(users=("ann", "dan"))), foreign=given),
    }
    found = diff(Picture(KINDS, {item.address: item for item in (parent, child)}, there, given), "me").changes
    assert [item.principal.label for item in found[child.address].gains] == ["eve"]
    assert [item.principal.label for item in found[parent.address].losses] == ["ann"]


def test_fields_are_told_by_path_and_lists_as_wholes() -> None:
    old = {"a": {"b": 1, "gone": "x"}, "list": [1, 2], "same": [1]}
    new = {"a": {"b": 2, "new": True}, "list": [2, 1], "same": [1]}
    assert [(item.path, item.old, item.new) for item in differences(old, new)] == [
        ("a.b", 1, 2),
        ("a.gone", "x", None),
        ("a.new", None, True),
        ("list", [1, 2], [2, 1]),
    ]


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y.z", "w"]), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("xyz"), values), st.dictionaries(st.sampled_from("xyz"), values))
def test_there_are_field_changes_exactly_where_something_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    def clean(value: Any) -> Any:
        # None is how a change says that there is nothing: settings leave such fields out
        if isinstance(value, dict):
            return {key: item for key, below in value.items() if (item := clean(below)) not in (None, {})}
        return value

    old, new = clean(old), clean(new)
    assert bool(differences(old, new)) == (old != new)
    there = {(item.path, str(item.old), str(item.new)) for item in differences(old, new)}
    back = {(item.path, str(item.new), str(item.old)) for item in differences(new, old)}
    assert there == back


def change(
    name: str, action: Action, *needs: str, there: tuple[str, ...] | None = None, along: tuple[Address, ...] = ()
) -> Change:
    wanted = desired(name, None, *needs)
    was = live(desired(name, None, *there)) if there is not None else None
    return Change(action, wanted.address, "box", Cause.PENDING, wanted, was, needs=wanted.needs, along=along)


def order_of(*items: Change) -> str:
    changes = {item.address: item for item in items}
    return "".join(address.removeprefix("r.box.") for address in ordered(changes, edges_of(changes)))


def test_creates_come_before_what_needs_them_and_deletes_after() -> None:
    assert (
        order_of(change("a", Action.CREATE, "b"), change("b", Action.CREATE, "c"), change("c", Action.CREATE)) == "cba"
    )
    assert order_of(
        change("a", Action.DELETE, there=()), change("b", Action.DELETE, "a", there=("a",)), change("c", Action.CREATE)
    ) in ("bac", "bca", "cba")


def test_what_stops_needing_something_changes_before_that_is_deleted() -> None:
    assert order_of(change("a", Action.DELETE, there=()), change("z", Action.UPDATE, there=("a",))) == "za"


@pytest.mark.parametrize("action", Action)
def test_what_goes_waits_for_what_it_needs_that_is_made_again_and_for_nothing_else(action: Action) -> None:
    gone = change("a", Action.DELETE, "b", there=("b",))
    items = (gone, change("b", action, there=None if action is Action.CREATE else ()))
    edges = edges_of({item.address: item for item in items})
    before = {Action.CREATE: (("r.box.b", "r.box.a"),)}
    after = (("r.box.a", "r.box.b"),) if items[1].lets_go else ()
    assert edges == before.get(action, after)


def test_what_goes_along_is_waited_for_like_its_parent() -> None:
    assert (
        order_of(
            change("a", Action.DELETE, there=(), along=(Address("r.box.m"),)),
            change("z", Action.DELETE, "m", there=("m",)),
        )
        == "za"
    )


def test_what_takes_the_place_of_others_is_made_before_these_go_wherever_they_are() -> None:
    made = change("z", Action.CREATE)
    assert made.desired is not None
    instead = tuple(Address(f"r.box.{name}") for name in "zabm")
    made = replace(made, desired=replace(made.desired, instead_of=instead))
    others = (
        change("z@there", Action.DELETE, there=()),
        change("a", Action.DELETE, there=()),
        change("b", Action.UPDATE, there=()),  # it stays, and waits for nothing
        change("c", Action.DELETE, there=(), along=(Address("r.box.m@there"),)),
        change("d", Action.DELETE, there=()),
    )
    changes = {item.address: item for item in (made, *others)}
    gone = ("r.box.a", "r.box.c", "r.box.z@there")
    assert edges_of(changes) == tuple(("r.box.z", address) for address in gone)
    assert going_with(changes.values()) == {f"r.box.{name}" for name in "zacdm"}


@given(st.permutations([("a", ("b", "c")), ("b", ("d",)), ("c", ()), ("d", ()), ("e", ())]))
def test_the_order_does_not_depend_on_the_order_of_the_input(rows: list[tuple[str, tuple[str, ...]]]) -> None:
    items = {item.address: item for item in (change(name, Action.CREATE, *needs) for name, needs in rows)}
    edges = edges_of(items)
    assert "".join(address[-1] for address in ordered(items, edges)) == "cdbae"
    assert edges[0] == ("r.box.b", "r.box.a")
    assert needed_first({Address("r.box.b")}, edges) == {"r.box.b", "r.box.d"}


@pytest.mark.parametrize(
    ("limit", "owned", "deletes", "passes"),
    [
        (None, 10, 10, True),
        (None, 11, 3, True),
        (None, 11, 4, False),
        (None, 100, 30, True),
        (None, 100, 31, False),
        ("10%", 100, 10, True),
        ("10%", 100, 11, False),
        ("10%", 5, 1, False),
        (0, 100, 1, False),
        (5, 3, 5, True),
    ],
)
def test_the_share_of_deletes_is_guarded(limit: int | str | None, owned: int, deletes: int, passes: bool) -> None:
    items = [change(str(number), Action.DELETE, there=()) for number in range(deletes)]
    verdict = guard.max_deletes(Guards(max_deletes=limit), items, owned)
    assert verdict.passed is passes
    assert str(deletes) in verdict.message


def test_what_goes_along_counts_as_deleted() -> None:
    item = change("a", Action.DELETE, there=(), along=(Address("r.box.x"), Address("r.box.y")))
    assert not guard.max_deletes(Guards(max_deletes=2), [item], 10).passed


def test_the_number_of_deletes_is_the_sum_of_what_the_last_line_of_the_plan_says() -> None:
    def along(name: str, count: int) -> tuple[Address, ...]:
        return tuple(Address(f"r.access.{name}{number}") for number in range(count))

    items = [
        change("a", Action.DELETE, there=(), along=along("a", 2)),
        change("b", Action.DELETE, there=()),
        change("c", Action.REPLACE, there=(), along=along("c", 1)),
        change("d", Action.UPDATE, there=()),
    ]
    for most, end in ((5, " are allowed (max_deletes: 5); if this"), (6, " allowed (max_deletes: 6)")):
        said = guard.max_deletes(Guards(max_deletes=most), items, 10).message
        assert said.startswith(
            "the plan deletes 6 resources: 1 to replace (and 1 resource with it) and 2 to delete (and 2 resources with them);"
            f" at most {most}{end}"
        )
    verdict = guard.max_deletes(Guards(max_deletes=5), items[1:2], 10)
    assert verdict.message == "the plan deletes 1 resource; at most 5 allowed (max_deletes: 5)"
    report = report_of(Plan("o", ".", "", (), changes=tuple(items)))
    assert report.headline == (
        "1 to update, 1 to replace (and 1 resource with it), 2 to delete (and 2 resources with them)"
    )


@pytest.mark.parametrize(
    ("action", "where", "destroy", "why"),
    [
        (Action.DELETE, "", True, "apply protect: false first"),
        (Action.DELETE, "eu-1", True, "apply protect: false first"),
        (Action.REPLACE, "", False, "apply protect: false on its own first, then the other changes"),
        (
            Action.DELETE,
            "",
            False,
            "put it back into the spec with protect: false for the repository, apply, then take it out again",
        ),
        (
            Action.DELETE,
            "eu-1",
            False,
            "put the region eu-1 back into the spec with protect: false for the repository, apply, then take the region eu-1 out"
            " again",
        ),
    ],
)
def test_what_is_protected_says_how_it_is_not_any_more(action: Action, where: str, destroy: bool, why: str) -> None:
    at = Address.of("r", "crate", "app", where)
    item = Change(action, at, "crate", Cause.PENDING, live=Live(at, "crate", Crate(guarded=True), Marks()))
    (verdict,) = guard.protect(Guards(), [item], {"r": {"crate": CrateKind()}}, destroy=destroy)
    assert verdict.message.endswith(f"it was applied with protect: true; {why}")


@pytest.mark.parametrize("of", ["", " all repositories of the place", " all repositories under team/"])
@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (ADMIN, "x could delete images and change who has access (r.box.a)"),
        (DELETE_IMAGES, "x could delete images (r.box.a)"),
    ],
)
def test_whoever_can_administer_is_guarded_whatever_it_is_about(verb: str, said: str, of: str) -> None:
    given = [(Address("r.box.a"), Access(Principal("x"), f"{verb}{of}", "r", "" if of else "a"))]
    (verdict,) = guard.accounts(Guards(), given, {})
    assert (verdict.guard, verdict.message.partition(";")[0]) == ("allow_admin", said)
    assert list(guard.accounts(Guards(allow_admin=True), given, {})) == []


@pytest.mark.parametrize("verb", ["pull", "push", f"{DELETE_IMAGES}x", "pull all repositories of the place"])
def test_whoever_administers_nothing_is_not_guarded_so(verb: str) -> None:
    given = [(Address("r.box.a"), Access(Principal("x"), verb, "r", "a"))]
    assert list(guard.accounts(Guards(), given, {})) == []


def test_accounts_are_guarded_except_the_registrys_own() -> None:
    def verdicts(account: str, **fields: Any) -> list[str]:
        access = Access(Principal("x", account=account), "pull", "r", "a")
        return [item.guard for item in guard.accounts(Guards(**fields), [(Address("r.box.a"), access)], {"r": "own"})]

    assert verdicts("stranger") == []
    assert verdicts("stranger", allowed_accounts=("friend",)) == ["allowed_accounts"]
    assert verdicts("friend", allowed_accounts=("friend",)) == []
    assert verdicts("own", allowed_accounts=("friend",)) == []
    assert verdicts("", allowed_accounts=()) == []
