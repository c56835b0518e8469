"""`plan --count-expiring`: how many images a changed retention removes, asked of the platform."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.weaker import UNCOUNTED
from reconciler.errors import PlatformError, ReconcilerError
from reconciler.platforms.aws import preview
from reconciler.platforms.local.collect import collect
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.aws_preview import LifecyclePreview
from tests.emulators.proxy import Call
from tests.emulators.test_aws_behaviours import answered, shape_problems
from tests.images import Image
from tests.platforms.test_local_collect_beside import Registry
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document
from tests.sandbox.local import LocalSandbox

EXPIRE = "images 21 to 50, counted from the newest, expire after the apply (keep_last: 50 → 20)"


def keeping(aws: AwsSandbox, last: int, *more: str) -> Document:
    document = aws.document("web", "api", *more)
    for repository in document["repositories"]:
        repository["retention"] = {"keep_last": last}
    return document


def notes(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {change.address: change.notes for change in plan.changes if change.kind in ("lifecycle", "repository")}


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def calls(aws: AwsSandbox) -> int:
    return sum(call.operation == "StartLifecyclePolicyPreview" for call in aws.proxy.calls)


@pytest.fixture
def before(aws: AwsSandbox) -> LifecyclePreview:
    aws.apply(keeping(aws, 50))
    stand_in = LifecyclePreview({"images-web": 23, "images-api": 0})
    aws.proxy.stand_ins.append(stand_in)
    return stand_in


def test_it_says_how_many_images_expire(aws: AwsSandbox, before: LifecyclePreview) -> None:
    before.looks, before.busy = 2, 1
    plan = aws.plan(keeping(aws, 20, "new"), count_expiring=True)
    found = notes(plan)
    assert found["images.lifecycle.web"] == (EXPIRE, "23 images expire by it, of those that are there now")
    assert found["images.lifecycle.api"] == (EXPIRE, "no image expires by it, of those that are there now")
    assert found["images.lifecycle.new"] == (), "a new repository holds none"
    assert calls(aws) == 3, "one was in the way"
    assert json.loads(before.started["images-web"])["rules"][0]["selection"]["countNumber"] == 20
    assert aws.client("ecr").get_lifecycle_policy(repositoryName="images-web")["lifecyclePolicyText"].count("50") == 1
    saved = loads(dumps(plan), platforms=aws.platforms)
    assert words(saved) == words(plan)
    done = aws.carry_out(saved, saved=True, verify=True)
    assert {item.status.value for item in done} == {"done"}


def test_nobody_who_does_not_ask_is_kept_waiting(aws: AwsSandbox, before: LifecyclePreview) -> None:
    assert notes(aws.plan(keeping(aws, 20)))["images.lifecycle.web"] == (f"{EXPIRE}{UNCOUNTED}",)
    assert notes(aws.plan(keeping(aws, 60), count_expiring=True))["images.lifecycle.web"] == (), "more are kept"
    assert calls(aws) == 0


@pytest.mark.parametrize("status", ["FAILED", "EXPIRED"])
def test_a_preview_that_fails_leaves_it_unknown(aws: AwsSandbox, before: LifecyclePreview, status: str) -> None:
    before.ends = status
    assert notes(aws.plan(keeping(aws, 20), count_expiring=True))["images.lifecycle.web"] == (f"{EXPIRE}{UNCOUNTED}",)


def test_somebody_else_s_preview_is_not_taken_for_ours(aws: AwsSandbox, before: LifecyclePreview) -> None:
    before.theirs = '{"rules":[]}'
    assert notes(aws.plan(keeping(aws, 20), count_expiring=True))["images.lifecycle.web"] == (f"{EXPIRE}{UNCOUNTED}",)


def test_one_that_takes_too_long_leaves_it_unknown(
    aws: AwsSandbox, before: LifecyclePreview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "PATIENCE", 0.0)
    before.looks = 10**6
    assert notes(aws.plan(keeping(aws, 20), count_expiring=True))["images.lifecycle.web"] == (f"{EXPIRE}{UNCOUNTED}",)
    before.busy = 10**6
    with pytest.raises(PlatformError, match="LifecyclePolicyPreviewInProgressException"):
        aws.plan(keeping(aws, 20), count_expiring=True)


def test_a_repository_that_is_gone_meanwhile_has_none_to_count(aws: AwsSandbox, before: LifecyclePreview) -> None:
    before.counts = {"images-web": 23}
    found = notes(aws.plan(keeping(aws, 20), count_expiring=True))
    assert found["images.lifecycle.api"] == (f"{EXPIRE}{UNCOUNTED}",)
    assert found["images.lifecycle.web"] == (EXPIRE, "23 images expire by it, of those that are there now")


def test_a_count_that_was_written_into_a_saved_plan_is_damage(aws: AwsSandbox, before: LifecyclePreview) -> None:
    document = json.loads(dumps(aws.plan(keeping(aws, 60), count_expiring=True)))
    document["changes"][0]["expiring"] = 3
    with pytest.raises(ReconcilerError, match="counts images that expire, and none do by it"):
        loads(json.dumps(document), platforms=aws.platforms)


def test_the_stand_in_answers_as_aws_publishes() -> None:
    stand_in = LifecyclePreview({"web": 1}, looks=1)
    body = {"repositoryName": "web"}
    for operation, more in (
        ("StartLifecyclePolicyPreview", {"lifecyclePolicyText": json.dumps({"rules": [{"rulePriority": 1}] * 9})}),
        ("GetLifecyclePolicyPreview", {"maxResults": 1}),
        ("GetLifecyclePolicyPreview", {}),
    ):
        answer = answered(stand_in.before(Call("ecr", operation, "us-east-1", {**body, **more})))
        assert (answer.status, shape_problems("ecr", operation, answer.body)) == (200, [])
    assert answer.body["summary"] == {"expiringImageTotalCount": 1}


def test_a_local_registry_counts_what_its_garbage_collection_removes(tmp_path: Path) -> None:
    local = LocalSandbox(tmp_path)
    document = local.document("web", "api")
    local.apply(document)
    registry = Registry(local.root)
    for number in range(5):
        registry.push(Image(number), f"v{number}", name="web")
    registry.age(2 * 24 * 3600)
    registry.push(Image(9), "new", name="web")
    for repository in document["repositories"]:
        repository["retention"] = {"keep_last": 2}
    plan = local.plan(document, count_expiring=True)
    found = {name.rpartition(".")[2]: said[-1] for name, said in notes(plan).items()}
    assert found == {
        "web": "3 images expire by it, of those that are there now",
        "api": "no image expires by it, of those that are there now",
    }
    assert words(loads(dumps(plan), platforms=local.platforms)) == words(plan)
    local.carry_out(plan)
    (collected,) = [item for item in collect(registry.content, grace=3600.0) if item.images]
    assert len(collected.images) == 3
