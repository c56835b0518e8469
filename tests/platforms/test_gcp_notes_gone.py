"""The locations of a registry, where what says them is gone, or where something is left alone that no later plan would find."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler import Plan, loads
from reconciler.engine.plan_file import dumps
from tests.emulators.gcp import Fails, Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, LOCATION, PROJECT, GcpSandbox

PULL, PUSH = (
    f"projects/{PROJECT}/serviceAccounts/images-{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("pull", "push")
)
LAYOUTS = ("repository", "shared")
ORIGIN = "reconciler-origin"
GONE = (
    f"registry images: images-pull@{PROJECT}.iam.gserviceaccount.com does not say any more in which locations the registry has"
    " repositories (it was deleted by hand, or its description was replaced)"
)
MADE_AGAIN = f"{GONE}; it has some in {LOCATION} too: the note of that is made again with the note of {ELSEWHERE}"
STAYS = (
    f"images.account.pull: stays, since it carries the note of images.location.{LOCATION}, where something is left alone that no"
    " later plan would find without it; it goes with the next plan once that has been deleted by hand or says reconciler-origin=spec"
    " again"
)


def document_of(gcp: GcpSandbox, *names: str, **registry: object) -> Document:
    rows = [{"name": name, "delete_images": True} for name in names]
    return gcp.document(*rows, registry=registry, guards={"max_deletes": "100%"})


def notes(gcp: GcpSandbox) -> list[str]:
    words = gcp.estate.account(PULL)["description"].split()
    return sorted(word.partition("=")[0].removeprefix("at-") for word in words if word.startswith("at-"))


def places(gcp: GcpSandbox) -> set[str]:
    return {name.split("/")[3] for name in gcp.estate.repositories()}


def written(plan: Plan, saved: bool) -> Plan:
    return loads(dumps(plan)) if saved else plan


def carried_out(gcp: GcpSandbox, plan: Plan, *, saved: bool = False) -> None:
    assert [item for item in gcp.carry_out(written(plan, saved), saved=saved) if item.message] == []


def deleted(gcp: GcpSandbox) -> dict[str, object]:
    gcp.estate.remove(PULL)
    return {}


def both_deleted(gcp: GcpSandbox) -> dict[str, object]:
    gcp.estate.remove(PUSH)
    return deleted(gcp)


def replaced(gcp: GcpSandbox) -> dict[str, object]:
    gcp.estate.change(PULL, "description", lambda _: "the account with which we pull")
    return {"adopt": ["images.account.pull"]}


def without_notes(gcp: GcpSandbox) -> dict[str, object]:
    gcp.estate.change(
        PULL, "description", lambda found: " ".join(word for word in found.split() if not word.startswith("at-"))
    )
    return {}


Hand = Callable[[GcpSandbox], dict[str, object]]
HANDS: tuple[Hand, ...] = (deleted, both_deleted, replaced, without_notes)


def half_moved(gcp: GcpSandbox, stand_in: Server, layout: str, *left: str) -> Document:
    """A registry whose move deleted nothing; the document of now."""
    gcp.apply(document_of(gcp, "app-a", "app-b", layout=layout))
    moved = document_of(gcp, *left, layout=layout, location=ELSEWHERE)
    stand_in.behaviours.append(Fails("DeleteRepository", "PERMISSION_DENIED", times=-1))
    gcp.carry_out(gcp.plan(moved))
    assert notes(gcp) == [LOCATION, ELSEWHERE]
    return moved


@pytest.mark.parametrize(
    ("hand", "left"),
    [
        *((hand, ("app-a",)) for hand in HANDS),
        # without either account, nothing of the registry is where it is looked at: as if there had never been one
        *((hand, ()) for hand in HANDS if hand is not both_deleted),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_notes_of_all_locations_are_made_again(
    gcp: GcpSandbox, stand_in: Server, hand: Hand, layout: str, left: tuple[str, ...]
) -> None:
    moved = half_moved(gcp, stand_in, layout, *left)
    plan = gcp.plan(moved, **hand(gcp))
    assert MADE_AGAIN in plan.warnings
    # the deletes still fail: what is left is noted
    gcp.carry_out(plan)
    assert notes(gcp) == [LOCATION, ELSEWHERE]
    stand_in.behaviours.clear()
    plan = gcp.plan(moved)
    assert MADE_AGAIN not in plan.warnings
    carried_out(gcp, plan)
    assert (places(gcp), notes(gcp)) == ({ELSEWHERE} if left else set(), [ELSEWHERE])
    assert gcp.plan(moved).changes == ()


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("left", [("app-a",), ()])
@pytest.mark.parametrize("hand", [deleted, replaced, without_notes])
def test_one_apply_leaves_a_location_whose_note_was_gone(
    gcp: GcpSandbox, stand_in: Server, hand: Hand, left: tuple[str, ...], saved: bool
) -> None:
    moved = half_moved(gcp, stand_in, "repository", *left)
    stand_in.behaviours.clear()
    carried_out(gcp, gcp.plan(moved, **hand(gcp)), saved=saved)
    assert (places(gcp), notes(gcp)) == ({ELSEWHERE} if left else set(), [ELSEWHERE])
    assert gcp.plan(moved).changes == ()


class Denies:
    """An operation is denied, but in the registry's own location."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation or f"/locations/{ELSEWHERE}/" in call.body["path"]:
            return None
        return Answer(error="PERMISSION_DENIED", body={"message": "not allowed"})

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize("operation", ["ListLocations", "ListRepositories"])
def test_where_the_locations_can_t_be_looked_at_that_is_said(gcp: GcpSandbox, stand_in: Server, operation: str) -> None:
    moved = half_moved(gcp, stand_in, "repository", "app-a")
    gcp.estate.remove(PULL)
    stand_in.behaviours[:] = [Denies(operation)]
    (said,) = (line for line in gcp.plan(moved).warnings if line.startswith("registry images"))
    assert said == (
        f"{GONE}; whether it has some in another location than {ELSEWHERE} can't be looked up (PERMISSION_DENIED: not allowed):"
        " before you apply this, see to it that Google answers, and allow artifactregistry.locations.list and"
        " artifactregistry.repositories.list to these credentials, or no later plan looks there"
    )


def test_a_location_that_can_t_be_looked_at_hides_no_other(gcp: GcpSandbox, stand_in: Server) -> None:
    moved = half_moved(gcp, stand_in, "repository", "app-a")
    gcp.estate.remove(PULL)
    stand_in.behaviours[:] = [DeniesIn("asia-south1")]
    warnings = [line for line in gcp.plan(moved).warnings if line.startswith("registry images")]
    assert any("whether it has some in asia-south1 can't be looked up" in line for line in warnings)
    assert any("it has some in europe-west1 too" in line for line in warnings)


class DeniesIn(Denies):
    """The listing of one location is denied."""

    def __init__(self, location: str) -> None:
        super().__init__("ListRepositories")
        self.location = location

    def before(self, call: Call) -> Answer | None:
        return super().before(call) if f"/locations/{self.location}/" in call.body["path"] else None


def test_a_registry_that_is_new_or_whose_notes_stand_asks_for_no_other_location(
    gcp: GcpSandbox, stand_in: Server
) -> None:
    gcp.apply(document_of(gcp, "app-a"))
    assert gcp.plan(document_of(gcp, "app-a")).changes == ()
    gcp.estate.remove(PUSH)
    gcp.apply(document_of(gcp, "app-a"))
    assert "ListLocations" not in {call.operation for call in stand_in.calls}


@pytest.mark.parametrize("origin", [None, "runtime", "by-hand"])
@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_what_is_left_alone_in_a_location_keeps_its_note(
    gcp: GcpSandbox, origin: str | None, saved: bool, meanwhile: bool
) -> None:
    gcp.apply(document_of(gcp, "app-a", "app-b"))
    gcp.push_image("app-b")
    moved = document_of(gcp, "app-a", location=ELSEWHERE)
    name = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-b"

    def alone(labels: Document) -> Document:
        return {key: labels[key] for key in labels if key != ORIGIN} | ({ORIGIN: origin} if origin else {})

    if meanwhile:  # after the plan, to which it was not there yet
        labels = gcp.estate.settings(name)["labels"]
        gcp.apply(document_of(gcp, "app-a"))
        plan = gcp.plan(moved)
        gcp.estate.make(name, {"format": "DOCKER", "labels": alone(labels)})
        messages = [item.message for item in gcp.carry_out(written(plan, saved), saved=saved) if item.message]
        assert [line.partition("\n")[0] for line in messages] == [
            f"artifactregistry:ListRepositories: images-app-b of this registry is still in {LOCATION}"
        ]
    else:
        gcp.estate.change(name, "labels", alone)
        carried_out(gcp, gcp.plan(moved), saved=saved)
    at = f"images.repository.app-b@{LOCATION}"
    for _ in range(2):
        plan = gcp.plan(moved)
        assert plan.changes == ()
        assert at in plan.runtime if origin == "runtime" else plan.unclear == {at: origin or ""}
        assert notes(gcp) == [LOCATION, ELSEWHERE]
    gcp.estate.change(name, "labels", lambda labels: labels | {ORIGIN: "spec"})
    gcp.apply(moved)
    assert (places(gcp), notes(gcp)) == ({ELSEWHERE}, [ELSEWHERE])
    assert gcp.plan(moved).changes == ()


@pytest.mark.parametrize(
    ("name", "without"), [("teamx-copy", ""), ("images-app-a", "reconciler-owner"), ("images-app-a", "")]
)
def test_only_where_a_plan_sees_something_of_the_registry_is_it_said_to_be(
    gcp: GcpSandbox, name: str, without: str
) -> None:
    """Labels may have been copied along with a repository."""
    document = document_of(gcp, "app-a", location=ELSEWHERE)
    gcp.apply(document)
    (ours,) = gcp.estate.repositories()
    labels = {key: text for key, text in gcp.estate.settings(ours)["labels"].items() if key != without}
    there = f"projects/{PROJECT}/locations/{LOCATION}/repositories/{name}"
    gcp.estate.make(there, {"format": "DOCKER", "labels": labels})
    gcp.estate.remove(PULL)
    plan = gcp.plan(document)
    seen = (name, without) == ("images-app-a", "")
    assert (MADE_AGAIN in plan.warnings) is seen
    assert {str(change.address) for change in plan.changes if change.lets_go} == (
        {f"images.repository.app-a@{LOCATION}", f"images.location.{LOCATION}"} if seen else set()
    )
    carried_out(gcp, plan)
    assert (there in gcp.estate.repositories()) is not seen
    assert notes(gcp) == [ELSEWHERE]


@pytest.mark.parametrize("origin", [None, "runtime", "by-hand"])
@pytest.mark.parametrize("how", ["retired", "destroy"])
@pytest.mark.parametrize("saved", [False, True])
def test_the_account_stays_whose_note_alone_shows_what_is_left_alone(
    gcp: GcpSandbox, stand_in: Server, origin: str | None, how: str, saved: bool
) -> None:
    moved = half_moved(gcp, stand_in, "repository", "app-a", "app-b")
    stand_in.behaviours.clear()
    name = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
    gcp.estate.change(name, "labels", lambda labels: without(labels, ORIGIN) | ({ORIGIN: origin} if origin else {}))
    gone = document_of(gcp, location=ELSEWHERE, retired=True) if how == "retired" else moved
    at = f"images.repository.app-a@{LOCATION}"
    for _ in range(2):
        plan = gcp.plan(gone, destroy=how == "destroy")
        assert at in plan.runtime if origin == "runtime" else plan.unclear == {at: origin or ""}
        assert plan.warnings == (STAYS,)
        carried_out(gcp, plan, saved=saved)
        assert gcp.estate.repositories() == [name]
        assert gcp.estate.accounts() == [PULL]
    assert plan.changes == ()
    gcp.estate.change(name, "labels", lambda labels: labels | {ORIGIN: "spec"})
    carried_out(gcp, gcp.plan(gone, destroy=how == "destroy"), saved=saved)
    assert gcp.estate.repositories() == gcp.estate.accounts() == []


@pytest.mark.parametrize("how", ["retired", "destroy"])
def test_the_account_stays_if_what_it_notes_is_left_alone_since_the_plan(
    gcp: GcpSandbox, stand_in: Server, how: str
) -> None:
    moved = half_moved(gcp, stand_in, "repository", "app-a")
    stand_in.behaviours.clear()
    name = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-c"
    labels = gcp.estate.settings(name.replace("app-c", "app-a"))["labels"]
    gone = document_of(gcp, location=ELSEWHERE, retired=True) if how == "retired" else moved
    plan = gcp.plan(gone, destroy=how == "destroy")
    gcp.estate.make(name, {"format": "DOCKER", "labels": without(labels, ORIGIN)})
    messages = [item.message for item in gcp.carry_out(plan) if item.message]
    assert [line.partition("\n")[0] for line in messages] == [
        f"artifactregistry:ListRepositories: images-app-c of this registry is still in {LOCATION}"
    ]
    assert gcp.estate.accounts() == [PULL]
    assert gcp.plan(gone, destroy=how == "destroy").warnings == (STAYS,)


def without(labels: Document, key: str) -> Document:
    return {name: labels[name] for name in labels if name != key}
