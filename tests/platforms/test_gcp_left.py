"""What is left in a location of which nothing would say any more that the registry was there: looked for before the note goes."""

from __future__ import annotations

import pytest

from reconciler import Outcome, Plan, loads
from reconciler.engine.plan_file import dumps
from tests.emulators.gcp import Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, LOCATION, PROJECT, GcpSandbox

LAYOUTS = ("repository", "shared")
MAKE_ANEW = "another run has made it, or the plan did not see it: make a new plan"
ACCOUNTS = [
    f"projects/{PROJECT}/serviceAccounts/images-{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("pull", "push")
]


def named(identifier: str, location: str = LOCATION) -> str:
    return f"projects/{PROJECT}/locations/{location}/repositories/{identifier}"


def document_of(gcp: GcpSandbox, *names: str, **registry: object) -> Document:
    rows = [{"name": name, "delete_images": True} for name in names]
    return gcp.document(*rows, registry=registry, guards={"max_deletes": "100%"})


class Late:
    """The listing of a location answers some times as if nothing were there."""

    def __init__(self, times: int, location: str = LOCATION) -> None:
        self.times, self.location = times, location

    def before(self, call: Call) -> Answer | None:
        if (
            call.operation != "ListRepositories"
            or f"/locations/{self.location}/" not in call.body["path"]
            or not self.times
        ):
            return None
        self.times -= 1
        return Answer(status=200, body={"repositories": []})

    def after(self, call: Call) -> Answer | None:
        return None


def messages(outcomes: list[Outcome]) -> dict[str, str]:
    return {str(item.address): item.message for item in outcomes if item.message}


def still(identifiers: str, location: str = LOCATION) -> str:
    verb = "are" if " " in identifiers else "is"
    return (
        f"artifactregistry:ListRepositories: {identifiers} of this registry {verb} still in {location}\n  {MAKE_ANEW}"
    )


def written(plan: Plan, saved: bool) -> Plan:
    return loads(dumps(plan)) if saved else plan


@pytest.mark.parametrize(
    ("layout", "copy", "without"),
    [
        ("repository", "teamx-copy", ()),
        ("repository", "images2", ()),
        ("shared", "teamx-copy", ()),
        # of what begins as the registry's name, a plan sees in this layout what says that it is the registry's
        ("shared", "images-copy", ("reconciler-registry",)),
        ("shared", "images-copy", ("reconciler-owner",)),
    ],
)
def test_what_no_plan_sees_in_a_location_keeps_nobody_from_leaving_it(
    gcp: GcpSandbox, layout: str, copy: str, without: tuple[str, ...]
) -> None:
    gcp.apply(document_of(gcp, "app-a", layout=layout))
    (ours,) = gcp.estate.repositories()
    labels = {key: text for key, text in gcp.estate.settings(ours)["labels"].items() if key not in without}
    gcp.estate.make(named(copy), {"format": "DOCKER", "labels": labels})
    moved = document_of(gcp, "app-a", layout=layout, location=ELSEWHERE)
    assert messages(gcp.carry_out(gcp.plan(moved))) == {}
    assert gcp.plan(moved).changes == ()
    assert gcp.estate.settings(named(copy))["labels"] == labels


@pytest.mark.parametrize("without", ["reconciler-registry", "reconciler-applied", "cost"])
def test_whatever_a_plan_would_delete_in_a_location_keeps_its_note(gcp: GcpSandbox, without: str) -> None:
    gcp.apply(document_of(gcp, "app-a"))
    moved = document_of(gcp, "app-a", location=ELSEWHERE)
    plan = gcp.plan(moved)
    gcp.apply(document_of(gcp, "app-a", "app-b"))
    gcp.push_image("app-b")
    gcp.estate.change(
        named("images-app-b"), "labels", lambda labels: {key: labels[key] for key in labels if key != without}
    )
    assert messages(gcp.carry_out(plan)) == {f"images.location.{LOCATION}": still("images-app-b")}
    (change,) = (item for item in gcp.plan(moved).changes if item.kind == "repository")
    assert (change.address, change.images) == (f"images.repository.app-b@{LOCATION}", 1)


#: from each layout to each other, with a plan that was saved or not
LATE = [
    *((before, after, saved, 1) for before in LAYOUTS for after in LAYOUTS for saved in (False, True)),
    # a plan file in whose listing nothing was there does not say what the other layout called it
    *((before, after, saved, 2) for before in LAYOUTS for after in LAYOUTS for saved in (False, before == after)),
    ("shared", "repository", True, 2),
]


@pytest.mark.parametrize(("before", "after", "saved", "times"), sorted(set(LATE)))
def test_a_location_whose_listing_is_late_twice_keeps_its_note(
    gcp: GcpSandbox, stand_in: Server, before: str, after: str, saved: bool, times: int
) -> None:
    """What the plan names is asked for by its own name too."""
    gcp.apply(document_of(gcp, "app-a", "app-b", layout=before))
    there = gcp.estate.repositories()
    stand_in.behaviours.append(Late(times))
    moved = document_of(gcp, "app-a", "app-b", layout=after, location=ELSEWHERE)
    left = ", ".join(name.rpartition("/")[2] for name in there)
    said = messages(gcp.carry_out(written(gcp.plan(moved), saved), saved=saved))
    assert said == {f"images.location.{LOCATION}": still(left)}
    assert {*there} < {*gcp.estate.repositories()}
    gcp.apply(moved)
    assert not {*there} & {*gcp.estate.repositories()}
    assert gcp.plan(moved).changes == ()


@pytest.mark.parametrize("places", [(LOCATION,), (ELSEWHERE,), (LOCATION, ELSEWHERE)])
def test_a_retired_registry_keeps_its_accounts_where_a_listing_was_late(
    gcp: GcpSandbox, stand_in: Server, places: tuple[str, ...]
) -> None:
    """Elsewhere, what a move has left there, as the note on the pull account says."""
    gcp.apply(document_of(gcp, "app-a", location=ELSEWHERE))
    (note,) = (word for word in gcp.estate.account(ACCOUNTS[0])["description"].split() if word.startswith("at-"))
    labels = gcp.estate.settings(named("images-app-a", ELSEWHERE))["labels"]
    gcp.apply(document_of(gcp, "app-a"))
    gcp.estate.change(ACCOUNTS[0], "description", lambda found: f"{found} {note}")
    gcp.estate.make(named("images-app-a", ELSEWHERE), {"format": "DOCKER", "labels": labels})
    for place in {LOCATION, ELSEWHERE}.difference(places):
        gcp.estate.remove(named("images-app-a", place))
    stand_in.behaviours.extend(Late(1, place) for place in places)
    retired = document_of(gcp, retired=True)
    said = messages(gcp.carry_out(gcp.plan(retired)))
    where = " and ".join(still("images-app-a", place).partition(": ")[2].partition("\n")[0] for place in places)
    line = f"artifactregistry:ListRepositories: {where}\n  {MAKE_ANEW}"
    assert said == {"images.account.pull": line, "images.account.push": line}
    assert gcp.estate.accounts() == ACCOUNTS
    gcp.apply(retired)
    assert (gcp.estate.repositories(), gcp.estate.accounts()) == ([], [])


@pytest.mark.parametrize("gone", ACCOUNTS)
def test_the_last_account_of_a_retired_registry_stays_where_a_listing_was_late(
    gcp: GcpSandbox, stand_in: Server, gone: str
) -> None:
    gcp.apply(document_of(gcp, "app-a"))
    gcp.estate.remove(gone)
    (last,) = gcp.estate.accounts()
    stand_in.behaviours.append(Late(1))
    retired = document_of(gcp, retired=True)
    (said,) = messages(gcp.carry_out(gcp.plan(retired))).values()
    assert said == still("images-app-a")
    assert gcp.estate.accounts() == [last]
    # what the plan deletes too is in no account's way, in whatever order that is done
    assert messages(gcp.carry_out(gcp.plan(retired))) == {}
    assert (gcp.estate.repositories(), gcp.estate.accounts()) == ([], [])


@pytest.mark.parametrize("after", LAYOUTS)
def test_a_location_is_left_by_images_whose_names_no_repository_can_have(gcp: GcpSandbox, after: str) -> None:
    gcp.apply(document_of(gcp, "app-a", "team/c", "d.e", layout="shared"))
    names = ("app-a", "team/c", "d.e") if after == "shared" else ("app-a",)
    moved = document_of(gcp, *names, layout=after, location=ELSEWHERE)
    assert messages(gcp.carry_out(gcp.plan(moved))) == {}
    assert gcp.plan(moved).changes == ()


class Goes:
    """A repository whose delete was under way is gone once this is called."""

    def __init__(self, gcp: GcpSandbox, operation: str) -> None:
        self.gcp, self.operation = gcp, operation

    def before(self, call: Call) -> Answer | None:
        if call.operation == self.operation and named("images-app-a") in self.gcp.estate.repositories():
            self.gcp.estate.remove(named("images-app-a"))
        return None

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize("images", [0, 1])
@pytest.mark.parametrize("operation", ["ListDockerImages", "ListPackages"])
def test_a_repository_that_goes_while_its_images_are_counted_is_gone(
    gcp: GcpSandbox, stand_in: Server, operation: str, images: int
) -> None:
    gcp.apply(document_of(gcp, "app-a"))
    if images:
        gcp.push_image("app-a")
    stand_in.behaviours.append(Goes(gcp, operation))
    plan = gcp.plan(document_of(gcp))
    (change,) = (item for item in plan.changes if item.kind == "repository")
    if operation == "ListDockerImages":
        assert change.images == 0
    outcomes = gcp.carry_out(plan)
    assert [item.status.value for item in outcomes] == ["done"] * len(plan.changes)
    assert gcp.estate.repositories() == []


@pytest.mark.parametrize("how", ["retired", "destroy"])
@pytest.mark.parametrize("name", ["pull", "push"])
def test_an_account_whose_description_was_replaced_stays_with_advice_that_works(
    gcp: GcpSandbox, how: str, name: str
) -> None:
    document = document_of(gcp, "app-a")
    gcp.apply(document)
    (mine,) = (account for account in ACCOUNTS if f"images-{name}@" in account)
    gcp.estate.change(mine, "description", lambda _: "ours")
    at = f"images.account.{name}"
    command = f"run `reconciler apply --adopt {at}`"
    advice = (
        f"take `retired` out of registry images, {command}, and put it back" if how == "retired" else f"{command} first"
    )
    gone = document_of(gcp, retired=True) if how == "retired" else document
    plan = gcp.plan(gone, destroy=how == "destroy")
    assert f"{at} has no owner, so that it stays as it is: to have it deleted too, {advice}" in plan.warnings
    gcp.apply(document_of(gcp) if how == "retired" else document, adopt=[at])
    gcp.apply(gone, destroy=how == "destroy", allow_delete=[at])
    assert gcp.estate.accounts() == []


@pytest.mark.parametrize("how", ["retired", "destroy"])
@pytest.mark.parametrize("text", ["Used by CI", "-ci"])
def test_an_account_that_says_another_registry_is_named_where_all_goes(gcp: GcpSandbox, how: str, text: str) -> None:
    """As it does when people write on right behind our last word."""
    document = document_of(gcp, "app-a")
    gcp.apply(document)
    before = gcp.estate.account(ACCOUNTS[1])["description"]
    gcp.estate.change(ACCOUNTS[1], "description", lambda found: found + text)
    gone = document_of(gcp, retired=True) if how == "retired" else document
    said = f"images{text.partition(' ')[0]}"
    for _ in range(2):
        plan = gcp.plan(gone, destroy=how == "destroy")
        assert plan.warnings == (
            f"images.account.push belongs to a registry '{said}' by its mark, so that it stays as it is: to have it deleted too, set"
            f" reconciler-registry back to images, or, if the registry was called '{said}' before, change its name back first",
        )
        gcp.carry_out(plan)
        assert gcp.estate.accounts() == [ACCOUNTS[1]]
    gcp.estate.change(ACCOUNTS[1], "description", lambda _: before)
    gcp.apply(gone, destroy=how == "destroy")
    assert gcp.estate.accounts() == []
