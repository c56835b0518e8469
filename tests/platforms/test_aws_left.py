"""What is left in a region of which nothing would say any more that the registry was there: looked for before the note goes."""

from __future__ import annotations

import pytest

from reconciler import Outcome, loads
from reconciler.engine.plan_file import dumps
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

HOME, OTHER = "us-east-1", "eu-west-1"
MAKE_ANEW = "another run has made it, or the plan did not see it: make a new plan"


def document_of(aws: AwsSandbox, *names: str, **registry: object) -> Document:
    rows = [{"name": name, "delete_images": True} for name in names]
    return aws.document(*rows, registry=registry, guards={"max_deletes": "100%"})


def messages(outcomes: list[Outcome]) -> dict[str, str]:
    return {str(item.address): item.message for item in outcomes if item.message}


def there(aws: AwsSandbox, region: str) -> list[str]:
    return sorted(item["repositoryName"] for item in aws.client("ecr", region).describe_repositories()["repositories"])


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("roles", [True, False])
@pytest.mark.parametrize(("before", "after"), [({"replication_regions": [OTHER]}, {}), ({"region": OTHER}, {})])
def test_a_region_in_which_another_run_made_something_meanwhile_stays_noted(
    aws: AwsSandbox, before: Document, after: Document, roles: bool, saved: bool
) -> None:
    """Noted nowhere, no plan would see it again, with its images."""
    before, after = {**before, "roles": roles}, {**after, "roles": roles}
    aws.apply(document_of(aws, "app-a", **before))
    wanted = document_of(aws, "app-a", **after)
    plan = aws.plan(wanted)
    aws.apply(document_of(aws, "app-a", "app-b", **before))
    said = messages(aws.carry_out(loads(dumps(plan)) if saved else plan, saved=saved))
    assert said[f"images.region.{OTHER}"] == (
        f"ecr:DescribeRepositories: images-app-b of this registry is still in {OTHER}\n  {MAKE_ANEW}"
    )
    assert there(aws, OTHER) == ["images-app-b", *ledger(OTHER if not roles and "region" in before else "")]
    aws.apply(wanted)
    assert there(aws, OTHER) == []
    assert aws.plan(wanted).changes == ()


@pytest.mark.parametrize("roles", [True, False])
def test_a_retired_registry_keeps_its_notes_where_another_run_made_something_meanwhile(
    aws: AwsSandbox, roles: bool
) -> None:
    fields = {"replication_regions": [OTHER], "roles": roles}
    aws.apply(document_of(aws, "app-a", **fields))
    retired = document_of(aws, retired=True, roles=roles)
    plan = aws.plan(retired)
    aws.apply(document_of(aws, "app-a", "app-b", **fields))
    carrier = "images.role.pull" if roles else "images.ledger.marks"
    assert messages(aws.carry_out(plan)) == {
        carrier: "ecr:DescribeRepositories: images-app-b of this registry is still in eu-west-1 and images-app-b of this registry is"
        f" still in us-east-1\n  {MAKE_ANEW}"
    }
    aws.apply(retired)
    assert (there(aws, HOME), there(aws, OTHER)) == ([], [])
    assert aws.plan(retired).changes == ()


@pytest.mark.parametrize("tags", [{"reconciler-owner": None}, {"reconciler-registry": "b"}])
def test_what_no_plan_would_delete_in_a_region_keeps_nobody_from_leaving_it(
    aws: AwsSandbox, tags: dict[str, str | None]
) -> None:
    marks = {"reconciler-owner": "tests", "reconciler-registry": "images", "reconciler-origin": "spec", **tags}
    aws.apply(document_of(aws, "app-a", region=OTHER))
    plan = aws.plan(document_of(aws, "app-a"))
    pairs = [{"Key": key, "Value": text} for key, text in marks.items() if text]
    aws.client("ecr", OTHER).create_repository(repositoryName="images-theirs", tags=pairs)
    assert messages(aws.carry_out(plan)) == {}
    assert there(aws, OTHER) == ["images-theirs"]


ORIGIN = "reconciler-origin"


def give_origin(aws: AwsSandbox, region: str, origin: str | None) -> None:
    """The repository app-a of a region says that origin from now on."""
    client = aws.client("ecr", region)
    arn = client.describe_repositories(repositoryNames=["images-app-a"])["repositories"][0]["repositoryArn"]
    client.untag_resource(resourceArn=arn, tagKeys=[ORIGIN])
    if origin:
        client.tag_resource(resourceArn=arn, tags=[{"Key": ORIGIN, "Value": origin}])


def stays(carrier: str) -> str:
    return (
        f"{carrier}: stays, since it carries the note of images.region.{OTHER}, where something is left alone that no later plan"
        " would find without it; it goes with the next plan once that has been deleted by hand or says reconciler-origin=spec again"
    )


@pytest.mark.parametrize("origin", [None, "runtime", "by-hand"])
@pytest.mark.parametrize("how", ["left", "retired", "destroy"])
@pytest.mark.parametrize("roles", [True, False])
@pytest.mark.parametrize("saved", [False, True])
def test_what_is_left_alone_in_a_region_that_left_the_spec_keeps_its_note_and_what_carries_that(
    aws: AwsSandbox, origin: str | None, how: str, roles: bool, saved: bool
) -> None:
    carrier = "images.role.pull" if roles else "images.ledger.marks"
    aws.apply(document_of(aws, "app-a", replication_regions=[OTHER], roles=roles))
    give_origin(aws, OTHER, origin)
    document = document_of(aws, *(["app-a"] if how != "retired" else []), roles=roles, retired=how == "retired")
    at = f"images.repository.app-a@{OTHER}"
    for _ in range(2):
        plan = aws.plan(document, destroy=how == "destroy")
        assert at in plan.runtime if origin == "runtime" else plan.unclear == {at: origin or ""}
        assert (stays(carrier) in plan.warnings) is (how != "left")
        assert messages(aws.carry_out(loads(dumps(plan)) if saved else plan, saved=saved)) == {}
        assert there(aws, OTHER) == ["images-app-a"]
    assert plan.changes == ()
    give_origin(aws, OTHER, "spec")
    aws.apply(document, destroy=how == "destroy")
    assert there(aws, OTHER) == []
    plan = aws.plan(document, destroy=how == "destroy")
    assert (plan.changes, stays(carrier) in plan.warnings) == ((), False)


@pytest.mark.parametrize("origin", [None, "runtime", "by-hand"])
@pytest.mark.parametrize("retired", [False, True])
def test_what_is_left_alone_in_a_region_since_the_plan_keeps_its_note(
    aws: AwsSandbox, origin: str | None, retired: bool
) -> None:
    aws.apply(document_of(aws, replication_regions=[OTHER]))
    document = document_of(aws, retired=retired)
    plan = aws.plan(document)
    pairs = [{"Key": f"reconciler-{key}", "Value": text} for key, text in (("owner", "tests"), ("registry", "images"))]
    aws.client("ecr", OTHER).create_repository(repositoryName="images-app-a", tags=pairs)
    give_origin(aws, OTHER, origin)
    at = "images.role.pull" if retired else f"images.region.{OTHER}"
    assert messages(aws.carry_out(plan)) == {
        at: f"ecr:DescribeRepositories: images-app-a of this registry is still in {OTHER}\n  {MAKE_ANEW}"
    }
    assert (stays("images.role.pull") in aws.plan(document).warnings) is retired


def ledger(region: str) -> list[str]:
    """What a registry without roles has in its region, beside its repositories."""
    return ["reconciler/images"] if region else []


@pytest.mark.parametrize("roles", [True, False])
@pytest.mark.parametrize(("before", "after"), [({"replication_regions": [OTHER]}, {}), ({"region": OTHER}, {})])
def test_nothing_is_made_in_a_region_that_another_run_has_left_meanwhile(
    aws: AwsSandbox, before: Document, after: Document, roles: bool
) -> None:
    """While the plan waits at its question, say. What is made there without the region's note, no later plan would find."""
    before, after = {**before, "roles": roles}, {**after, "roles": roles}
    aws.apply(document_of(aws, **before))
    plan = aws.plan(document_of(aws, "app-a", **before))
    here = document_of(aws, **after)
    aws.apply(here)
    aws.carry_out(plan)
    aws.apply(here)
    assert there(aws, OTHER) == []
    assert aws.plan(here).changes == ()
