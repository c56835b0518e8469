"""A saved plan in which one resource takes another's place survives its file, in the order that it was made in."""

from __future__ import annotations

import pytest

from reconciler import loads
from reconciler.engine.plan_file import dumps
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"roles": False}), ({"roles": False}, {}), ({"roles": False}, {"roles": False, "region": "us-west-2"})],
)
def test_a_saved_plan_in_which_something_takes_another_s_place_is_carried_out(
    aws: AwsSandbox, before: Document, after: Document
) -> None:
    def document(fields: Document) -> Document:
        return aws.document("app-a", guards={"max_deletes": "100%"}, registry=fields)

    aws.apply(document(before))
    plan = aws.plan(document(after))
    loaded = loads(dumps(plan))
    assert loaded.graph == plan.graph
    assert dumps(loaded) == dumps(plan)
    assert all(item.message == "" for item in aws.carry_out(loaded, saved=True))
    assert aws.plan(document(after)).changes == ()


def test_a_saved_plan_without_what_something_takes_the_place_of_is_carried_out(aws: AwsSandbox) -> None:
    def document(fields: Document) -> Document:
        return aws.document("app-a", guards={"max_deletes": "100%"}, registry=fields)

    aws.apply(document({}))
    plan = aws.plan(document({"roles": False}), targets=["images.ledger.*"])
    assert [item.address for item in plan.changes if item.lets_go] == []
    loaded = loads(dumps(plan))
    assert dumps(loaded) == dumps(plan)
    assert all(item.message == "" for item in aws.carry_out(loaded, saved=True))
