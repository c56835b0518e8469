"""What ECR calls repositories: a registry's prefix, a repository's whole name, and whose each is by its marks alone."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from reconciler.api.plan_file import loads
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import ReconcilerError, StalePlan
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.change import Action, Cause
from reconciler.model.marks import ADOPTED
from reconciler.platforms.aws.repository_settings import RepositorySettings
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.contract.test_native_names import said_once, values_of
from tests.sandbox.aws import ACCOUNT, FOREIGN_STATEMENT, AwsSandbox
from tests.sandbox.base import Document

from .test_aws_rescue import broken

GRANT = {"name": "one", "to": {"type": "aws", "account_ids": ["987654321091"]}}
#: no hand's, but what the first release that had no other names wrote for a repository without settings
NOTHING_SET = "v1-44136fa355b3678a"


def native_names(aws: AwsSandbox) -> set[str]:
    return {key.split("/", 1)[1] for key in aws.state()["repositories"]}


def tags(aws: AwsSandbox, native: str, region: str = "us-east-1") -> dict[str, str]:
    found: dict[str, str] = aws.state()["repositories"][f"{region}/{native}"]["tags"]
    return found


def actions(plan: Plan) -> dict[str, Action]:
    return {change.address: change.action for change in plan.changes}


def make(aws: AwsSandbox, native: str, **marks: str) -> None:
    aws.client("ecr").create_repository(
        repositoryName=native, tags=[{"Key": f"reconciler-{key}", "Value": value} for key, value in marks.items()]
    )


def put_image(aws: AwsSandbox, native: str) -> None:
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 1, "digest": "sha256:" + "0" * 64}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [layer]}
    aws.client("ecr").put_image(
        repositoryName=native, imageTag="v1", imageManifest=json.dumps({**manifest, "config": layer})
    )


def given(aws: AwsSandbox, prefix: str | None, *rows: Document | str, **top: Any) -> Document:
    registry = {} if prefix is None else {"prefix": prefix}
    return aws.document(*rows, grants=(GRANT,), registry=registry, guards={"max_deletes": "100%"}, **top)


LEGACY = {"name": "app-a", "native_name": "shop/legacy_api", "retention": {"keep_last": 3}}


@pytest.mark.parametrize(
    ("prefix", "rows", "expected"),
    [
        (None, ("app-a", "team/b"), {"images-app-a": None, "images-team/b": None}),
        ("images-", ("app-a",), {"images-app-a": None}),
        ("", ("app-a", "team/b"), {"app-a": "app-a", "team/b": "team/b"}),
        ("team/", ("app-a", "x/b"), {"team/app-a": "app-a", "team/x/b": "x/b"}),
        (None, (LEGACY, "app-b"), {"shop/legacy_api": "app-a", "images-app-b": None}),
        ("", (LEGACY, "app-b"), {"shop/legacy_api": "app-a", "app-b": "app-b"}),
        # the name that it would have anyway
        ("team/", ({"name": "app-a", "native_name": "images-app-a"},), {"images-app-a": None}),
    ],
)
def test_names_are_as_the_spec_gives_them_and_all_that_stands_below_is_under_them(
    aws: AwsSandbox, prefix: str | None, rows: tuple[Any, ...], expected: dict[str, str | None]
) -> None:
    document = given(aws, prefix, *rows)
    plan = aws.plan(document)
    names = [row["name"] for row in document["repositories"]]
    said_once(plan, values_of(document), *(f"images.repository.{name}" for name in names))
    aws.apply(document)
    state = aws.state()["repositories"]
    assert state.keys() == {f"us-east-1/{native}" for native in expected}
    assert {key.partition("/")[2]: item["tags"].get("reconciler-repository") for key, item in state.items()} == expected
    assert all("policy" in item for item in state.values())
    assert sum("lifecycle" in item for item in state.values()) == (LEGACY in rows)
    assert aws.plan(document).changes == ()
    assert actions(aws.plan(document, destroy=True)).keys() >= {f"images.repository.{name}" for name in names}
    aws.apply(document, destroy=True)
    assert aws.state()["repositories"] == {}


def test_where_no_name_is_given_nothing_that_stood_there_changes(aws: AwsSandbox) -> None:
    aws.apply(aws.document("app-a"))
    assert tags(aws, "images-app-a") == {
        "reconciler-owner": "tests",
        "reconciler-registry": "images",
        "reconciler-origin": "spec",
        "reconciler-applied": NOTHING_SET,
    }


def test_another_name_is_a_replace_and_so_is_the_way_back(aws: AwsSandbox) -> None:
    first, second = given(aws, None, "app-a"), given(aws, None, {"name": "app-a", "native_name": "shop/app"})
    aws.apply(first)
    start = aws.state()
    for document, old, new in ((second, "images-app-a", "shop/app"), (first, "shop/app", "images-app-a")):
        put_image(aws, old)
        plan = aws.plan(document)
        assert actions(plan)["images.repository.app-a"] is Action.REPLACE
        assert [item.guard for item in plan.violations] == ["images"]
        (change,) = [change for change in plan.changes if change.kind == "repository"]
        assert change.cause is Cause.PENDING
        assert change.images == 1
        assert change.native_name is not None
        assert change.native_name.name == new
        text = joined(plan_lines(report_of(plan)))
        assert f" as {new}, pulled from {ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{new}" in text
        aws.apply(document, allow_delete=["images.repository.app-a"])
        assert native_names(aws) == {new}
        assert "policy" in aws.state()["repositories"][f"us-east-1/{new}"]
        assert aws.plan(document).changes == ()
    assert aws.state() == start


def test_the_plan_says_both_names_of_what_is_replaced(aws: AwsSandbox) -> None:
    aws.apply(given(aws, None, {"name": "app-a", "native_name": "shop/app"}))
    text = joined(plan_lines(report_of(aws.plan(given(aws, None, {"name": "app-a", "native_name": "shop/api"})))))
    assert 'native_name: "shop/app" → "shop/api"' in text
    text = joined(plan_lines(report_of(aws.plan(given(aws, None, "app-a")))))
    assert 'native_name: "shop/app" → the registry\'s name and its own' in text


def test_another_prefix_replaces_every_repository_and_the_replication_rule(aws: AwsSandbox) -> None:
    copied = {"replication_regions": ["eu-west-1"]}
    before, after = aws.document("a", "b", registry=copied), aws.document("a", "b", registry={**copied, "prefix": "t/"})
    for document in (before, after):
        document["guards"] = {"max_deletes": "100%"}
    aws.apply(before)
    start = aws.state()
    plan = aws.plan(after)
    repositories = {key: action for key, action in actions(plan).items() if ".repository." in key}
    assert repositories == {
        f"images.repository.{name}{where}": Action.REPLACE for name in "ab" for where in ("", "@eu-west-1")
    }
    aws.apply(after)
    assert set(aws.state()["repositories"]) == {f"{r}/t/{name}" for r in ("us-east-1", "eu-west-1") for name in "ab"}
    (rule,) = aws.replication.rules["us-east-1"]
    assert rule["repositoryFilters"] == [{"filter": "t/", "filterType": "PREFIX_MATCH"}]
    assert aws.plan(after).changes == ()
    aws.apply(before)
    assert aws.state() == start


def test_a_rule_whose_prefix_is_changed_is_known_as_ours_whenever_that_is_cut_off(aws: AwsSandbox) -> None:
    copied = {"replication_regions": ["eu-west-1"]}
    before, after = (aws.document(registry={**copied, **more}) for more in ({}, {"prefix": "t/"}))
    aws.apply(before)
    start = aws.state()
    for cut in ("PutReplicationConfiguration", "UntagRole", "TagRole"):
        with broken(aws, cut):
            aws.carry_out(aws.plan(after))
        # the spec is reverted
        aws.apply(before)
        assert aws.state() == start, cut
        assert aws.plan(before).changes == ()


def test_what_leaves_the_spec_is_known_by_its_marks_whatever_it_is_called(aws: AwsSandbox) -> None:
    aws.apply(given(aws, "", LEGACY, "app-b"))
    make(aws, "somebody-s")
    document = given(aws, None, "c")
    assert actions(aws.plan(document)).items() >= {
        ("images.repository.app-a", Action.DELETE),
        ("images.repository.app-b", Action.DELETE),
        ("images.repository.c", Action.CREATE),
    }
    aws.apply(document)
    assert native_names(aws) == {"images-c", "somebody-s"}


def test_with_an_empty_prefix_what_nobody_owns_is_none_of_ours(aws: AwsSandbox) -> None:
    for name in ("theirs", "images-theirs", "a/b"):
        make(aws, name)
    make(aws, "of-another-spec", owner="another", registry="images", origin="spec")
    document = given(aws, "", "app-a")
    aws.apply(document)
    aws.proxy.calls.clear()
    plan = aws.plan(document)
    assert (plan.changes, plan.unowned, plan.foreign) == ((), {}, ())
    assert aws.proxy.operations().count("ecr:ListTagsForResource") == 0, "nobody's tags were read"
    assert aws.proxy.operations().count("ecr:GetRepositoryPolicy") == 1
    document["registries"][0]["retired"] = True
    aws.apply(document)
    assert native_names(aws) == {"theirs", "images-theirs", "a/b", "of-another-spec"}


def test_under_a_prefix_what_nobody_owns_is_counted(aws: AwsSandbox) -> None:
    for name in ("team/theirs", "team/a", "images-theirs", "team"):
        make(aws, name)
    document = given(aws, "team/", "app-a", {"name": "a", "native_name": "of/a"})
    plan = aws.plan(document)
    # a name that would be that of another repository's address is said as ECR has it
    assert plan.nobodys == {"images": ("team/a", "theirs")}
    aws.apply(document)
    assert aws.plan(document).unowned == {"images": 2}
    assert native_names(aws) >= {"team/theirs", "team/a", "of/a"}


def test_an_estate_is_adopted_under_the_names_that_it_has(aws: AwsSandbox) -> None:
    for name in ("payments", "shop/legacy_api"):
        make(aws, name)
        put_image(aws, name)
    rows = ({"name": "payments"}, {**LEGACY, "name": "api"})
    document = given(aws, "", *rows)
    assert [problem.message.partition(";")[0] for problem in aws.plan(document).problems] == [
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name} already exists and has no owner"
        for name in ("shop/legacy_api", "payments")
    ]
    for row in document["repositories"]:
        row["adopt"] = True
    plan = aws.plan(document)
    assert {key: action for key, action in actions(plan).items() if ".repository." in key} == {
        "images.repository.api": Action.ADOPT,
        "images.repository.payments": Action.ADOPT,
    }
    aws.apply(document)
    assert native_names(aws) == {"payments", "shop/legacy_api"}
    assert tags(aws, "shop/legacy_api")["reconciler-repository"] == "api"
    assert tags(aws, "shop/legacy_api")[ADOPTED] == "true"
    assert aws.plan(document).changes == ()
    # let go of, nothing of ours is left on it
    (outcome,) = [
        item for item in aws.apply(document, release=["images.repository.api"]) if ".repository." in item.address
    ]
    assert outcome.status is Status.DONE
    assert tags(aws, "shop/legacy_api") == {}


def test_what_another_spec_owns_under_the_name_is_never_taken_over(aws: AwsSandbox) -> None:
    make(aws, "shop/app", owner="another", registry="images", origin="spec")
    document = given(aws, None, {"name": "app-a", "native_name": "shop/app", "adopt": True})
    (problem,) = [item for item in aws.plan(document).problems if ".repository." in item.address]
    assert "is owned by the spec 'another'" in problem.message


def test_two_registries_of_one_prefix_have_what_their_marks_say(aws: AwsSandbox) -> None:
    registries = [aws.registry("one", prefix="team/"), aws.registry("two", prefix="team/")]
    rows = [{"name": "a", "registry": "one"}, {"name": "b", "registry": "two"}]
    document: Document = {"version": 1, "name": "tests", "registries": registries, "repositories": rows}
    document["guards"] = {"max_deletes": "100%"}
    make(aws, "team/nobodys")
    make(aws, "team/b")
    rows[1]["adopt"] = True  # type: ignore[assignment]  # the rows before it hold strings alone
    aws.apply(document)
    plan = aws.plan(document)
    assert (plan.changes, plan.problems, plan.unowned) == ((), (), {"one": 1})
    assert tags(aws, "team/a")["reconciler-registry"] == "one"
    assert tags(aws, "team/b")["reconciler-registry"] == "two"
    document["registries"][1]["retired"] = True
    aws.apply(document, allow_delete=["two.repository.b"])
    assert native_names(aws) == {"team/a", "team/nobodys"}


@pytest.mark.parametrize("row", [LEGACY, {"name": "app-a"}], ids=["whole name", "prefix"])
def test_marks_that_a_hand_removes(aws: AwsSandbox, row: Document) -> None:
    document = given(aws, "team/", row)
    native = row.get("native_name", "team/app-a")
    aws.apply(document)
    good = aws.state()
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{native}"

    def untag(key: str) -> None:
        aws.client("ecr").untag_resource(resourceArn=arn, tagKeys=[f"reconciler-{key}"])

    for key in ("repository", "registry"):
        untag(key)
        (change,) = aws.plan(document).changes
        assert (change.address, change.action) == ("images.repository.app-a", Action.UPDATE)
        if key == "repository":
            assert change.cause is Cause.DRIFT
            assert [(item.path, item.old, item.new) for item in change.fields] == [("known_as", "(none)", None)]
        aws.apply(document)
        assert aws.state() == good
    # out of the spec, it is still ours
    untag("repository")
    gone = aws.plan(given(aws, "team/"))
    name = "shop/legacy_api" if "native_name" in row else "app-a"
    assert actions(gone)[f"images.repository.{name}"] is Action.DELETE
    untag("registry")
    assert actions(aws.plan(given(aws, "team/"))) == actions(gone)
    untag("owner")
    assert not [address for address in actions(aws.plan(given(aws, "team/"))) if ".repository." in address]
    problems = [problem.message for problem in aws.plan(document).problems]
    assert len(problems) == 1
    assert "already exists and has no owner" in problems[0]


def test_another_name_in_the_spec_for_the_same_repository_loses_nothing(aws: AwsSandbox) -> None:
    document = given(aws, None, LEGACY)
    aws.apply(document)
    put_image(aws, "shop/legacy_api")
    document["repositories"][0]["name"] = "api"
    plan = aws.plan(document)
    assert actions(plan) == {"images.repository.api": Action.UPDATE}
    assert [(item.path, item.old, item.new) for item in plan.changes[0].fields] == [("known_as", "app-a", None)]
    aws.carry_out(loads(dumps(plan)), saved=True)
    assert tags(aws, "shop/legacy_api")["reconciler-repository"] == "api"
    assert aws.plan(document).changes == ()


def test_names_that_change_places(aws: AwsSandbox) -> None:
    document = given(aws, None, {"name": "a", "native_name": "xx"}, {"name": "b", "native_name": "yy"}, "c")
    aws.apply(document)
    rows = document["repositories"]
    rows[0]["native_name"], rows[1]["native_name"] = "yy", "images-c"
    rows[2]["native_name"] = "zz"
    for _ in range(2):
        aws.apply(document)
        assert {name: tags(aws, name).get("reconciler-repository") for name in native_names(aws)} == {
            "yy": "a",
            "images-c": "b",
            "zz": "c",
        }
        assert aws.plan(document).changes == ()


def test_what_is_there_under_the_new_name_is_not_passed_over(aws: AwsSandbox) -> None:
    aws.apply(given(aws, None, "app-a"))
    make(aws, "shop/app")
    document = given(aws, None, {"name": "app-a", "native_name": "shop/app"})
    (problem,) = [item for item in aws.plan(document).problems if item.address == "images.repository.app-a"]
    assert "shop/app already exists and has no owner" in problem.message
    plan = aws.plan(document, adopt=["images.repository.app-a"])
    assert actions(plan).items() >= {
        ("images.repository.app-a", Action.ADOPT),
        ("images.repository.images-app-a", Action.DELETE),
    }
    aws.carry_out(loads(dumps(plan)))
    assert native_names(aws) == {"shop/app"}
    assert aws.plan(document).changes == ()


@pytest.mark.parametrize("then", ["shop/app", "shop/other", None])
@pytest.mark.parametrize("operation", ["DeleteRepository", "CreateRepository", "SetRepositoryPolicy"])
def test_a_replacement_under_another_name_that_is_cut_off_loses_nothing_of_others(
    aws: AwsSandbox, operation: str, then: str | None
) -> None:
    aws.apply(given(aws, None, "app-a"))
    aws.give_foreign_access("app-a")
    aws.put_foreign_tag("app-a", "cost-centre", "42")
    with broken(aws, operation):
        aws.carry_out(aws.plan(given(aws, None, {"name": "app-a", "native_name": "shop/app"})))
    row = {"name": "app-a", **({"native_name": then} if then else {})}
    document = given(aws, None, row)
    aws.apply(document)
    native = then or "images-app-a"
    assert native_names(aws) == {native}
    found = aws.state()["repositories"][f"us-east-1/{native}"]
    assert FOREIGN_STATEMENT in found["policy"]["Statement"]
    assert len(found["policy"]["Statement"]) == 2
    assert found["tags"]["cost-centre"] == "42"
    assert aws.plan(document).changes == ()


def test_a_saved_plan_and_another_process_find_what_the_names_stand_for(aws: AwsSandbox) -> None:
    first = given(aws, "team/", LEGACY, "app-b")
    aws.carry_out(loads(dumps(aws.plan(first))), saved=True, verify=True)
    assert aws.plan(first).changes == ()
    changed = given(aws, "team/", {**LEGACY, "description": "new", "retention": {"keep_last": 4}}, "app-b")
    changed["grants"].append({**GRANT, "name": "two", "registry": "images"})
    aws.carry_out(loads(dumps(aws.plan(changed))), saved=True, verify=True)
    assert aws.plan(changed).changes == ()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for document in (given(aws, "team/", {**LEGACY, "native_name": "else/where"}, "app-b"), first):
            plan = aws.plan(document, executor=pool)
            assert plan.changes
            outcomes = aws.carry_out(plan, executor=pool, verify=True)
            assert {item.status for item in outcomes} == {Status.DONE}, [item.message for item in outcomes]
            assert aws.plan(document).changes == ()
    assert native_names(aws) == {"shop/legacy_api", "team/app-b"}


@pytest.mark.parametrize("thorough", [False, True])
def test_a_plan_that_points_to_another_repository_is_refused(aws: AwsSandbox, thorough: bool) -> None:
    """What stands above a change has no change of its own, so nothing of it is shown."""
    document = given(aws, None, LEGACY, "app-b")
    aws.apply(document)
    document["grants"].append({**GRANT, "name": "two", "registry": "images", "repositories": ["app-b"]})
    plan = json.loads(dumps(aws.plan(document)))
    (beside,) = plan["basis"]["beside"]
    assert beside["address"] == "images.repository.app-b"
    beside["settings"]["native_name"] = "shop/legacy_api"
    if thorough:
        beside["applied"] = applied_hash(RepositorySettings(native_name="shop/legacy_api"))
    before = aws.state()
    with pytest.raises((StalePlan, ReconcilerError), match=r"images\.repository\.app-b"):
        aws.carry_out(loads(json.dumps(plan)), saved=True)
    assert aws.state() == before
    beside["settings"]["known_as"] = "app-a"
    beside["applied"] = applied_hash(RepositorySettings(native_name="shop/legacy_api", known_as="app-a"))
    with pytest.raises(ReconcilerError, match=r"images\.repository\.app-b"):
        loads(json.dumps(plan))


def test_roles_reach_what_has_no_prefix_by_its_marks(aws: AwsSandbox) -> None:
    for document, named in (
        (given(aws, None, "bb"), "images-*"),
        (given(aws, None, LEGACY, "bb"), "*"),
        (given(aws, "team/", "bb"), "team/*"),
        (given(aws, "", "bb"), "*"),
    ):
        aws.apply(document)
        (_, images) = aws.state()["roles"]["images-pull"]["inline"]["reconciler"]["Statement"]
        assert images["Resource"] == [f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{named}"]
        assert images["Condition"]["StringEquals"] == {
            "aws:ResourceTag/reconciler-owner": "tests",
            "aws:ResourceTag/reconciler-registry": "images",
        }


def test_addresses_are_by_the_names_in_the_spec(aws: AwsSandbox) -> None:
    document = given(aws, "", LEGACY)
    aws.apply(document)
    aws.client("ecr").set_repository_policy(
        repositoryName="shop/legacy_api",
        policyText=json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN_STATEMENT]}),
    )
    plan = aws.plan(document)
    assert [item.address for item in plan.foreign] == ["images.access.app-a"]
    assert [change.address for change in plan.changes] == [Address("images.access.app-a")]
    aws.apply(document)
    assert len(aws.state()["repositories"]["us-east-1/shop/legacy_api"]["policy"]["Statement"]) == 2


def test_a_sibling_s_rule_that_gets_another_prefix_makes_no_plan_stale(aws: AwsSandbox) -> None:
    def two(one: Document, other: Document) -> Document:
        registries = [aws.registry("images", **one), aws.registry("other", **other)]
        return {"version": 1, "name": "tests", "registries": registries, "repositories": []}

    copied: Document = {"replication_regions": ["eu-west-1"]}
    chain: list[tuple[Document, Document]] = [
        ({}, {**copied, "prefix": "old/"}),
        ({**copied, "prefix": "new/"}, {}),
        (copied, {**copied, "prefix": "o/"}),
    ]
    for one, other in [*chain, *reversed(chain)]:
        aws.apply(two(one, other))
        assert aws.plan(two(one, other)).changes == ()
        found = {rule["repositoryFilters"][0]["filter"] for rule in aws.replication.rules["us-east-1"]}
        assert found == {
            item.get("prefix", f"{name}-")
            for name, item in (("images", one), ("other", other))
            if copied.items() <= item.items()
        }
