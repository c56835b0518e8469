"""The locations of a registry, where what says them is gone, or where something is left alone that no later plan would find."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler import Plan, loads
from reconciler.engine.plan_file import dumps
from reconciler.errors import PlanRefused
from reconciler.platforms.gcp.description import MAX_DESCRIPTION
from reconciler.platforms.gcp.troubles import BETWEEN
from tests.emulators.gcp import Fails, Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, LOCATION, PROJECT, GcpSandbox

PULL, PUSH = (
    f"projects/{PROJECT}/serviceAccounts/images-{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("pull", "push")
)
LAYOUTS = ("repository", "shared")
ORIGIN = "reconciler-origin"
THIRD = "asia-south1"
EMAIL = f"images-pull@{PROJECT}.iam.gserviceaccount.com"
WHAT = "in which locations registry images has repositories"
GONE = f"{EMAIL} is not there, so that nothing says {WHAT}"
REPLACED = f"{EMAIL} does not say {WHAT} (its description was replaced, or it was made by somebody else)"
NOT_NOTED = f"{EMAIL} does not say {WHAT} (no apply has noted it yet, or it was taken out by hand)"


def made_again(why: str, here: str = ELSEWHERE) -> str:
    return f"{why}; it has some in {LOCATION} too: that is noted again with {here}, unless all of it goes"


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
HANDS: dict[Hand, str] = {deleted: GONE, both_deleted: GONE, replaced: REPLACED, without_notes: NOT_NOTED}


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
    assert made_again(HANDS[hand]) in plan.warnings
    # the deletes still fail: what is left is noted
    gcp.carry_out(plan)
    assert notes(gcp) == [LOCATION, ELSEWHERE]
    stand_in.behaviours.clear()
    plan = gcp.plan(moved)
    assert plan.warnings == ()
    carried_out(gcp, plan)
    assert (places(gcp), notes(gcp)) == ({ELSEWHERE} if left else set(), [ELSEWHERE])
    assert gcp.plan(moved).changes == ()


@pytest.mark.parametrize("hand", [hand for hand in HANDS if hand is not both_deleted])
@pytest.mark.parametrize("left", [("app-a",), ()])
def test_a_registry_that_goes_on_to_a_third_location_leaves_nothing_in_those_of_which_the_notes_are_gone(
    gcp: GcpSandbox, stand_in: Server, hand: Hand, left: tuple[str, ...]
) -> None:
    half_moved(gcp, stand_in, "repository", *left)
    stand_in.behaviours.clear()
    third = document_of(gcp, *left, location=THIRD)
    plan = gcp.plan(third, **hand(gcp))
    both = f"{LOCATION} and {ELSEWHERE}" if left else LOCATION
    (said,) = (line for line in plan.warnings if line.startswith(HANDS[hand]))
    assert said.startswith(f"{HANDS[hand]}; it has some in {both} too: ")
    carried_out(gcp, plan)
    assert (places(gcp), notes(gcp)) == ({THIRD} if left else set(), [THIRD])
    assert gcp.plan(third).changes == ()


@pytest.mark.parametrize("hand", HANDS)
def test_a_registry_that_is_retired_is_gone_only_where_it_was_too(
    gcp: GcpSandbox, stand_in: Server, hand: Hand
) -> None:
    half_moved(gcp, stand_in, "repository", "app-a")
    stand_in.behaviours.clear()
    hand(gcp)
    retired = document_of(gcp, location=ELSEWHERE, retired=True)
    plan = gcp.plan(retired)
    assert made_again(HANDS[hand]) in plan.warnings
    gcp.apply(retired)
    assert gcp.estate.repositories() == []


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
    assert gcp.plan(moved).warnings == (unknown(GONE, operation),)


def unknown(why: str, operation: str = "ListLocations") -> str:
    what = {"ListLocations": "locations", "ListRepositories": "repositories"}[operation]
    return (
        f"{why}; whether it has some in another location than {ELSEWHERE} can't be looked up (PERMISSION_DENIED: not allowed):"
        f" before you apply this, allow artifactregistry.{what}.list to these credentials in project {PROJECT}, unless it has never"
        " been in another location: no later plan looks there"
    )


@pytest.mark.parametrize("body", [{"locations": [{}]}, {"locations": [{"locationId": ""}]}])
def test_locations_without_names_are_none_of_google_s(gcp: GcpSandbox, stand_in: Server, body: Document) -> None:
    moved = half_moved(gcp, stand_in, "repository", "app-a")
    gcp.estate.remove(PULL)
    stand_in.behaviours[:] = [Answers(body)]
    (said,) = gcp.plan(moved).warnings
    assert f"can't be looked up (the answer did not come from Google): before you apply this, {BETWEEN}, unless" in said


class Answers:
    """The locations are answered with this."""

    def __init__(self, body: Document) -> None:
        self.body = body

    def before(self, call: Call) -> Answer | None:
        return Answer(body=self.body) if call.operation == "ListLocations" else None

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize("targets", [["images.account.*"], ["images.account.push"]])
def test_of_a_registry_that_is_only_being_made_nothing_is_said_that_is_not_so(
    gcp: GcpSandbox, stand_in: Server, targets: list[str]
) -> None:
    stand_in.behaviours[:] = [Denies("ListLocations")]
    document = document_of(gcp, "app-a", location=ELSEWHERE)
    assert gcp.plan(document).warnings == ()
    gcp.apply(document, targets=targets)
    why = NOT_NOTED if "images.account.*" in targets else GONE
    assert gcp.plan(document).warnings == (unknown(why),)
    gcp.apply(document)
    assert gcp.plan(document).warnings == ()


def test_a_location_that_can_t_be_looked_at_hides_no_other(gcp: GcpSandbox, stand_in: Server) -> None:
    moved = half_moved(gcp, stand_in, "repository", "app-a")
    gcp.estate.remove(PULL)
    stand_in.behaviours[:] = [DeniesIn(THIRD)]
    found, failed = gcp.plan(moved).warnings
    assert failed.startswith(f"{GONE}; whether it has some in {THIRD} can't be looked up")
    assert found == made_again(GONE)


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
    assert (made_again(GONE) in plan.warnings) is seen
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
    ends = f"images.access.app-a@{LOCATION}: is left alone; what it gives to images.account.push ends, since that is deleted"
    for warnings in ((STAYS, ends), (STAYS,)):
        plan = gcp.plan(gone, destroy=how == "destroy")
        assert at in plan.runtime if origin == "runtime" else plan.unclear == {at: origin or ""}
        assert plan.warnings == warnings
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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whether_all_notes_fit_is_known_before_anything_is_written(
    gcp: GcpSandbox, stand_in: Server, layout: str
) -> None:
    """Those, too, that are made again beside what people wrote."""
    moved = half_moved(gcp, stand_in, layout, "app-a")
    adopt = ["images.account.pull"]

    def written_by_people(size: int) -> str:
        gcp.estate.change(PULL, "description", lambda _: "x" * size)
        return "x" * size

    text = written_by_people(1)
    gcp.carry_out(gcp.plan(moved, adopt=adopt))  # the deletes fail: all notes stand there
    assert notes(gcp) == [LOCATION, ELSEWHERE]
    room = MAX_DESCRIPTION - (len(gcp.estate.account(PULL)["description"]) - len(text))
    text = written_by_people(room + 1)
    plan = gcp.plan(moved, adopt=adopt)
    assert [(problem.address, problem.message) for problem in plan.problems] == [
        (
            "images.account.pull",
            f"its description, in which its marks stand, would have {MAX_DESCRIPTION + 1} bytes; Google allows at most"
            f" {MAX_DESCRIPTION}; shorten what somebody else wrote there",
        )
    ]
    with pytest.raises(PlanRefused):
        gcp.carry_out(plan)
    assert gcp.estate.account(PULL)["description"] == text
    written_by_people(room)
    plan = gcp.plan(moved, adopt=adopt)
    assert plan.problems == ()
    gcp.carry_out(plan)
    assert notes(gcp) == [LOCATION, ELSEWHERE]
    assert len(gcp.estate.account(PULL)["description"]) == MAX_DESCRIPTION
