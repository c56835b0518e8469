"""Two registries near each other: in one spec, in two specs of one owner, and over one folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler import parse_spec
from reconciler.errors import SpecError
from reconciler.model.change import Action
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document
from tests.sandbox.local import LocalSandbox


def spec(*registries: Document, repositories: list[Document]) -> Document:
    return {"version": 1, "name": "tests", "registries": list(registries), "repositories": repositories}


def repository(name: str, registry: str) -> Document:
    return {"name": name, "registry": registry}


def names(aws: AwsSandbox, region: str) -> set[str]:
    return {item["repositoryName"] for item in aws.client("ecr", region).describe_repositories()["repositories"]}


def untag(aws: AwsSandbox, region: str) -> None:
    """As a release before the mark of the registry left them."""
    ecr = aws.client("ecr", region)
    for item in ecr.describe_repositories()["repositories"]:
        ecr.untag_resource(resourceArn=item["repositoryArn"], tagKeys=["reconciler-registry"])


@pytest.mark.parametrize("marked", [True, False])
def test_a_registry_once_copied_to_a_region_deletes_nothing_of_one_that_lives_there(
    aws: AwsSandbox, marked: bool
) -> None:
    images = aws.registry("images", replication_regions=["eu-west-1"])
    app = repository("app", "images")
    aws.apply(spec(images, repositories=[app]))
    both = spec(
        aws.registry("images"),
        aws.registry("images-eu", region="eu-west-1"),
        repositories=[app, repository("x", "images-eu")],
    )
    aws.apply({**both, "guards": {"max_deletes": "100%"}})
    aws.client("iam").tag_role(RoleName="images-pull", Tags=[{"Key": "reconciler-region-eu-west-1", "Value": "v1-0"}])
    if not marked:
        untag(aws, "eu-west-1")
    plan = aws.plan(both)
    assert "images.repository.eu-x@eu-west-1" not in {change.address for change in plan.changes}
    assert plan.problems == ()
    aws.apply(both)
    assert names(aws, "eu-west-1") == {"images-eu-x"}
    assert aws.plan(both).changes == ()


def test_two_specs_of_one_owner_leave_each_other_s_repositories_alone(aws: AwsSandbox) -> None:
    one = spec(aws.registry("images"), repositories=[repository("app", "images")])
    other = spec(aws.registry("images-eu"), repositories=[repository("x", "images-eu")])
    aws.apply(one)
    aws.apply(other)
    assert aws.plan(one).changes == ()
    assert aws.plan(other).changes == ()
    assert names(aws, "us-east-1") == {"images-app", "images-eu-x"}
    (problem,) = aws.plan(spec(aws.registry("images"), repositories=[repository("eu-x", "images")])).problems
    assert problem.address == "images.repository.eu-x"
    assert "belongs to the registry 'images-eu' of the spec 'tests'" in problem.message


def test_every_object_carries_its_registry_s_name(aws: AwsSandbox) -> None:
    aws.apply(spec(aws.registry("images"), repositories=[repository("app", "images")]))
    assert aws.tag("app", "reconciler-registry") == "images"
    roles = aws.state()["roles"]
    assert {role["tags"]["reconciler-registry"] for role in roles.values()} == {"images"}
    untag(aws, "us-east-1")
    plan = aws.plan(spec(aws.registry("images"), repositories=[repository("app", "images")]))
    assert [(change.address, change.action) for change in plan.changes] == [("images.repository.app", Action.UPDATE)]
    aws.carry_out(plan)
    assert aws.tag("app", "reconciler-registry") == "images"


def test_two_specs_of_one_owner_over_one_folder_leave_each_other_s_repositories_alone(local: LocalSandbox) -> None:
    one = spec(local.registry("images", path="data"), repositories=[repository("app", "images")])
    other = spec(local.registry("other", path="./data"), repositories=[repository("x", "other")])
    local.apply(one)
    local.apply(other)
    assert local.plan(one).changes == ()
    assert local.plan(other).changes == ()


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("data", "data", "registry a has the same path"),
        ("data", "./data", "registry a has the same path ('./data' and 'data' are both"),
        ("data", "data/../data/", "registry a has the same path"),
        ("data", "link", "registry a has the same path"),
        ("data", "data/below", "its path is inside that of registry a"),
        ("link", "data/below/deep", "its path is inside that of registry a"),
    ],
)
def test_two_registries_over_one_folder_are_an_error_at_the_second_one_s_line(
    tmp_path: Path, first: str, second: str, words: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    rows = [{"name": name, "platform": "local", "path": path} for name, path in (("a", first), ("b", second))]
    with pytest.raises(SpecError) as raised:
        parse_spec(yaml.dump({"version": 1, "name": "t", "registries": rows}), base=str(tmp_path))
    assert words in str(raised.value)


def test_folders_side_by_side_are_fine(tmp_path: Path) -> None:
    rows = [{"name": name, "platform": "local", "path": f"data{name}"} for name in ("", "a", "ab") if name]
    rows.append({"name": "z", "platform": "local", "path": "data"})
    assert (
        len(parse_spec(yaml.dump({"version": 1, "name": "t", "registries": rows}), base=str(tmp_path)).registries) == 3
    )
