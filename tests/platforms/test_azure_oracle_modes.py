"""Who gains and who loses by a plan on Azure where a switch of the mode was cut off, was made by a hand, or is left out or taken
alone, compared with what the stand-in lets them do before and after."""

from __future__ import annotations

from random import Random

import pytest

from reconciler import Plan, dumps, loads
from reconciler.engine.apply import succeeded
from reconciler.platforms.azure.rules import MODES
from reconciler.render.sentences import all_gains, all_losses, net_gains, net_losses
from tests.emulators.azure import Fails, Server
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

from .test_azure_oracle import SEEDS, Can, carried_out, others, said, spec, truth, without_what_is_in_the_way

MODE = f"images.mode.{NAME}"


def cut_off(random: Random, azure: AzureSandbox, stand_in: Server, document: Document) -> None:
    """An apply in which Azure refuses some calls."""
    operation = random.choice(["registries:PATCH", "roleAssignments:PUT", "roleAssignments:DELETE"])
    stand_in.behaviours.append(Fails(operation, "403", times=random.randint(1, 3)))
    azure.carry_out(planned(azure, document))
    stand_in.behaviours.clear()


def planned(azure: AzureSandbox, document: Document, targets: list[str] | None = None) -> Plan:
    """The plan, with what is in its way taken over."""
    without_what_is_in_the_way(azure, document)
    plan = azure.plan(document, targets=targets or [], allow=[MODE])
    if plan.problems:
        adopt = sorted({item.address for item in plan.problems})
        plan = azure.plan(document, targets=targets or [], allow=[MODE], adopt=adopt)
    assert (plan.problems, plan.violations) == ((), ())
    return plan


def check(azure: AzureSandbox, plan: Plan) -> None:
    """That a plan that is saved can be carried out, and says what it does, and nothing else."""
    before = truth(azure)
    outcomes = azure.carry_out(loads(dumps(plan)), saved=True)
    assert succeeded(outcomes), outcomes
    compare(plan, before, truth(azure))


def compare(plan: Plan, before: set[Can], after: set[Can]) -> None:
    text = [item.text for item in (*all_gains(plan), *all_losses(plan))]
    gains, losses = said(net_gains(plan), before), said(net_losses(plan))
    for gone, come, found in ((before, after, gains), (after, before, losses)):
        unsaid, untrue = (come - gone) - found.sure - found.perhaps, found.sure - (come - gone)
        assert (unsaid, untrue, found.not_so - (come & gone)) == (set(), set(), set()), text


def some(random: Random, azure: AzureSandbox, document: Document) -> list[str]:
    """What a plan can be about alone."""
    changes = [change.address for change in planned(azure, document).changes]
    alone = [item for item in changes if item == MODE]
    assigned = [item for item in changes if item.kind == "assignment"]
    return list(random.choice([alone, assigned, [item for item in changes if random.random() < 0.4]]))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_says_what_is_left_of_a_switch_that_was_cut_off(
    azure: AzureSandbox, azure_stand_in: Server, seed: int
) -> None:
    random = Random(f"cut off {seed}")
    first, then = random.sample(list(MODES), 2)
    carried_out(azure, spec(random, azure, first))
    others(random, azure)
    document = spec(random, azure, then)
    cut_off(random, azure, azure_stand_in, document)
    document = random.choice([document, spec(random, azure, then), spec(random, azure, first)])
    check(azure, planned(azure, document))
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_so_it_does_where_a_hand_switched(azure: AzureSandbox, seed: int) -> None:
    random = Random(f"hand {seed}")
    first, then = random.sample(list(MODES), 2)
    document = spec(random, azure, first)
    carried_out(azure, document)
    others(random, azure)
    azure.call("PATCH", RESOURCE, {"properties": {"roleAssignmentMode": MODES[then]}})
    document = random.choice([document, spec(random, azure, first), spec(random, azure, then)])
    check(azure, planned(azure, document))
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_so_it_does_where_it_is_about_a_part(azure: AzureSandbox, azure_stand_in: Server, seed: int) -> None:
    random = Random(f"part {seed}")
    first, then = random.sample(list(MODES), 2)
    carried_out(azure, spec(random, azure, first))
    others(random, azure)
    document = spec(random, azure, random.choice([first, then, then]))
    if random.random() < 0.3:
        cut_off(random, azure, azure_stand_in, document)
    for _ in range(3):
        if targets := some(random, azure, document):
            check(azure, planned(azure, document, targets))
    check(azure, planned(azure, document))
    assert azure.plan(document).changes == ()
