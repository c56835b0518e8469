"""Another location or layout: what there was is deleted only once what takes its place is there, with all access to it."""

from __future__ import annotations

from itertools import permutations

import pytest

from reconciler import Outcome, Plan, loads
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import PlanConflict, StalePlan
from reconciler.model.address import Address
from tests.emulators.gcp import Fails, Server
from tests.emulators.proxy import Answer, Call
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, LOCATION, PROJECT, GcpSandbox

PLACES: dict[str, Document] = {
    "apart": {},
    "shared": {"layout": "shared"},
    "apart elsewhere": {"location": ELSEWHERE},
    "shared elsewhere": {"layout": "shared", "location": ELSEWHERE},
}
ELSE = "elsewhere"
#: from each layout and location to each other
MOVES = list(permutations(PLACES, 2))
#: the second is called as the registry, whose name is that of the one repository of layout `shared`
NAMES = ("app-a", "images")


def document_of(gcp: GcpSandbox, place: str, *, images_may_go: bool = True) -> Document:
    repositories = ({"name": name, "delete_images": images_may_go} for name in NAMES)
    return gcp.document(*repositories, registry=PLACES[place], guards={"max_deletes": "100%"})


def named(place: str) -> list[str]:
    """The full names of the repositories in a place, sorted."""
    fields = PLACES[place]
    parent = f"projects/{PROJECT}/locations/{fields.get('location', LOCATION)}/repositories"
    return [f"{parent}/images"] if "layout" in fields else [f"{parent}/images-{name}" for name in NAMES]


def moved(gcp: GcpSandbox, before: str, after: str) -> Plan:
    """The plan of a move of repositories that hold images, and on which others have a label."""
    gcp.apply(document_of(gcp, before))
    for name in named(before):
        gcp.estate.change(name, "labels", lambda found: {**found, "cost": "42"})
    return gcp.plan(document_of(gcp, after))


def deletes(plan: Plan) -> set[Address]:
    return {change.address for change in plan.changes if change.lets_go}


@pytest.mark.parametrize("operation", ["CreateRepository", "SetIamPolicy"])
@pytest.mark.parametrize(("before", "after"), MOVES)
def test_what_there_was_stays_where_what_takes_its_place_can_t_be_made(
    gcp: GcpSandbox, stand_in: Server, before: str, after: str, operation: str
) -> None:
    plan = moved(gcp, before, after)
    there = {name: (gcp.estate.settings(name), gcp.estate.policy(name)) for name in named(before)}
    assert len(deletes(plan)) >= len(there)
    stand_in.behaviours.append(Fails(operation, "PERMISSION_DENIED", times=-1))
    outcomes: dict[Address, Outcome] = {item.address: item for item in gcp.carry_out(plan)}
    assert {outcomes[at].status for at in deletes(plan)} == {Status.SKIPPED}
    for at in deletes(plan):
        assert "it depends on " in outcomes[at].message
    assert {name: (gcp.estate.settings(name), gcp.estate.policy(name)) for name in there} == there
    stand_in.behaviours.clear()
    gcp.apply(document_of(gcp, after))
    assert sorted(gcp.estate.repositories()) == named(after)
    assert gcp.plan(document_of(gcp, after)).changes == ()


class Watch:
    """The calls that write to repositories, in their order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def before(self, call: Call) -> Answer | None:
        return None

    def after(self, call: Call) -> Answer | None:
        if call.operation in ("CreateRepository", "SetIamPolicy", "DeleteRepository"):
            self.seen.append(call.operation)
        return None


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_saved_plan_of_a_move_makes_all_that_is_new_before_it_deletes_anything(
    gcp: GcpSandbox, stand_in: Server, before: str, after: str
) -> None:
    plan = moved(gcp, before, after)
    loaded = loads(dumps(plan))
    assert loaded.graph == plan.graph
    assert dumps(loaded) == dumps(plan)
    watch = Watch()
    stand_in.behaviours.append(watch)
    assert [item.message for item in gcp.carry_out(loaded, saved=True) if item.message] == []
    assert watch.seen[-len(named(before)) :] == ["DeleteRepository"] * len(named(before))
    assert watch.seen.count("CreateRepository") == len(named(after))
    assert sorted(gcp.estate.repositories()) == named(after)
    assert gcp.plan(document_of(gcp, after)).changes == ()


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_delete_of_a_move_that_is_targeted_takes_along_what_takes_its_place(
    gcp: GcpSandbox, before: str, after: str
) -> None:
    gcp.apply(document_of(gcp, before))
    whole = gcp.plan(document_of(gcp, after))
    (old, *_) = sorted(change.address for change in whole.changes if change.lets_go and change.kind == "repository")
    plan = gcp.plan(document_of(gcp, after), targets=[old])
    targeted = {change.address for change in plan.changes}
    instead = {change.address for change in whole.changes if (change.address, old) in whole.graph}
    assert {address.kind for address in instead} == {"repository", "access"}
    assert instead < targeted
    # the other way round, what is new is made without anything being deleted, and a file of that can be loaded
    one = gcp.plan(document_of(gcp, after), targets=[min(at for at in instead if at.kind == "repository")])
    assert deletes(one) == set()
    assert dumps(loads(dumps(one))) == dumps(one)
    assert [item.message for item in gcp.carry_out(loads(dumps(one)), saved=True) if item.message] == []


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_nothing_is_deleted_where_what_takes_its_place_is_somebody_else_s(
    gcp: GcpSandbox, before: str, after: str
) -> None:
    gcp.apply(document_of(gcp, before))
    for name in named(after):
        gcp.estate.make(name, {"format": "DOCKER"})
    for targets in ([], ["images.repository.*"], sorted(deletes(gcp.plan(document_of(gcp, after))))):
        plan = gcp.plan(document_of(gcp, after), targets=targets)
        assert deletes(plan), targets
        with pytest.raises(PlanConflict, match="already exists and has no owner"):
            gcp.carry_out(plan)
    assert {*named(before)} < {*gcp.estate.repositories()}


def test_a_repository_of_somebody_else_in_the_place_that_is_left_is_in_nobody_s_way(gcp: GcpSandbox) -> None:
    gcp.apply(document_of(gcp, "apart"))
    taken = named("apart")[0]
    gcp.estate.remove(taken)
    gcp.estate.make(taken, {"format": "DOCKER"})
    plan = loads(dumps(gcp.plan(document_of(gcp, "apart elsewhere"))))
    assert [item.message for item in gcp.carry_out(plan, saved=True) if item.message] == []
    assert sorted(gcp.estate.repositories()) == sorted([taken, *named("apart elsewhere")])


def test_a_location_in_which_another_run_made_something_meanwhile_stays_noted(gcp: GcpSandbox) -> None:
    """Noted nowhere, no plan would see it again, with its images."""
    guards = {"max_deletes": "100%"}
    gcp.apply(gcp.document("app-a", guards=guards))
    moved = gcp.document("app-a", registry={"location": ELSEWHERE}, guards=guards)
    plan = gcp.plan(moved)
    gcp.apply(gcp.document("app-a", "app-b", guards=guards))
    gcp.push_image("app-b")
    outcomes = {str(item.address): item.message for item in gcp.carry_out(plan)}
    assert outcomes["images.location.europe-west1"] == (
        "artifactregistry:ListRepositories: images-app-b of this registry is still in europe-west1\n"
        "  another run has made it, or the plan did not see it: make a new plan"
    )
    (change,) = (item for item in gcp.plan(moved).changes if item.kind == "repository")
    assert (change.address, change.images) == ("images.repository.app-b@europe-west1", 1)


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize(
    ("before", "after"), [(before, after) for before, after in MOVES if before.endswith(ELSE) != after.endswith(ELSE)]
)
def test_nothing_is_made_in_a_location_that_another_run_has_left_meanwhile(
    gcp: GcpSandbox, before: str, after: str, saved: bool
) -> None:
    """While the plan waits at its question, say. What is made there without the location's note, no later plan would find."""
    there, here = (gcp.document(registry=PLACES[place], guards={"max_deletes": "100%"}) for place in (before, after))
    gcp.apply(there)
    plan = gcp.plan(document_of(gcp, before))
    gcp.apply(here)
    place = Address.of("images", "location", PLACES[before].get("location", LOCATION))
    why = f"{place}, which it needs, does not exist"
    made = [change.address for change in plan.changes if change.kind == "repository"]
    if saved:
        with pytest.raises(StalePlan) as stale:
            gcp.carry_out(loads(dumps(plan)), saved=True)
        assert stale.value.moved == dict.fromkeys(made, why)
    else:
        outcomes = {item.address: (item.status, item.message) for item in gcp.carry_out(plan)}
        assert {at: outcomes[at] for at in made} == dict.fromkeys(made, (Status.STALE, f"{why}; make a new plan"))
        assert {outcomes[at][0] for at in outcomes.keys() - made} == {Status.SKIPPED}
    assert gcp.estate.repositories() == []
    assert gcp.plan(here).changes == ()


def test_a_note_that_the_same_plan_writes_is_not_asked_for(gcp: GcpSandbox) -> None:
    assert [item.message for item in gcp.apply(document_of(gcp, "apart")) if item.message] == []
    moved = gcp.plan(document_of(gcp, "apart elsewhere"))
    assert [item.message for item in gcp.carry_out(moved) if item.message] == []
