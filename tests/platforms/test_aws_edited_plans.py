"""Roles and statements in a plan, whoever edited it: what is said is what is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from reconciler.engine import guard
from reconciler.engine.plan import Plan
from reconciler.engine.plan_again import again
from reconciler.engine.plan_document import PlanDocument
from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.plan_parts import Loading
from reconciler.errors import PlanRefused, ReconcilerError
from reconciler.model.address import Address
from reconciler.model.canonical import plain
from reconciler.platforms.aws import own_ids, policy, statements
from reconciler.platforms.aws.access import AccessKind
from reconciler.platforms.aws.access_settings import AccessSettings
from reconciler.platforms.aws.condition import Condition
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.role import RoleKind
from reconciler.platforms.aws.role_documents import RoleSettings, permissions, settings_of, trust_policy
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import CATALOG
from reconciler.render.markdown import plan_markdown
from reconciler.render.report import report_of
from reconciler.render.sentences import held
from reconciler.render.text import joined, plan_lines
from reconciler.spec.models import Guards
from tests.sandbox.aws import ACCOUNT, AwsSandbox

Json = dict[str, Any]
STRANGER = "666666666666"
REGISTRY = AwsRegistry(
    name="images", platform="aws", account_id=ACCOUNT, region="us-east-1", trusted_principals=(ACCOUNT,)
)

pytestmark = pytest.mark.slow  # three properties of any statement
PUSH_ROLE = Address("images.role.push")
PUSHING = settings_of(REGISTRY, "push", "tests")
IMAGES = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-*"
PUSHES = "can now push to every repository as images-push"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def said(plan: Plan, address: str) -> list[str]:
    """What the text says of one change, below its head."""
    lines = words(plan).splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.endswith(f" {address}")]
    found = []
    for line in lines[start + 1 :]:
        if not line.startswith("        "):
            break
        found.append(line.strip())
    return found


def first_plan(aws: AwsSandbox, **fields: Any) -> Plan:
    return aws.plan(aws.document("app-a", registry={"trusted_principals": [ACCOUNT], **fields}))


def test_a_plan_of_another_account_does_not_say_this_one_s_uri(aws: AwsSandbox) -> None:
    plan = first_plan(aws)
    uri = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/images-app-a"
    assert said(plan, "images.repository.app-a")[0] == f"as images-app-a, pulled from {uri}"
    document = json.loads(dumps(plan))
    (change,) = [change for change in document["changes"] if change["address"] == "images.repository.app-a"]
    change["native_name"]["uri"] = uri.replace(ACCOUNT, STRANGER)
    with pytest.raises(ReconcilerError, match=r"images\.repository\.app-a: 'native_name' does not follow"):
        loads(json.dumps(document), "plan.json", platforms=CATALOG)


def edited_throughout(plan: Plan, address: str, **edit: Any) -> Plan:
    """What somebody gets who edits the settings in a plan file, and all that follows from them."""
    document = json.loads(dumps(plan))
    (change,) = [change for change in document["changes"] if change["address"] == address]
    change["desired"]["settings"] |= edit
    loading = Loading(PlanDocument[dict[str, JsonValue]].model_validate(document), CATALOG, ".", {})
    return loads(dumps(again(loading.plan(), loading.kinds)), "plan.json", platforms=CATALOG)


# -- roles that can do more than their name says -----------------------------------------------------------------


def test_a_role_with_the_permissions_of_its_registry_says_just_who_may_assume_it(aws: AwsSandbox) -> None:
    assert said(first_plan(aws), "images.role.push") == [f"account {ACCOUNT} {PUSHES}"]


def test_a_plan_file_that_widens_a_role_in_settings_and_fields_alone_is_damaged(aws: AwsSandbox) -> None:
    document = json.loads(dumps(first_plan(aws)))
    for change in document["changes"]:
        if change["kind"] == "role":
            change["desired"]["settings"]["repositories"] = ["*"]
            del change["desired"]["settings"]["tags"]
            change["fields"].append({"path": "repositories", "old": None, "new": ["*"]})
            change["fields"].append({"path": "tags", "old": None, "new": None})
            change["fields"].sort(key=lambda item: item["path"])
    with pytest.raises(ReconcilerError, match=r"images\.role\.(pull|push): 'gains' does not follow"):
        loads(json.dumps(document), "plan.json", platforms=CATALOG)


TAGS = [["reconciler-owner", "tests"], ["reconciler-registry", "images"]]
OWNED = "reconciler-owner: tests"
HERE = "reconciler-registry: images"
OURS = f"images-* in us-east-1 of account {ACCOUNT}"
DANGER = " (danger: that allows deleting images, and letting others in)"
WIDER = IMAGES.replace("images-", "images")


@pytest.mark.parametrize(
    ("edit", "can"),
    [
        ({"repositories": ["*"], "tags": []}, "pull and push any repository"),
        ({"repositories": ["*"]}, f"pull and push any repository tagged {OWNED} and {HERE}"),
        ({"tags": []}, f"pull and push {OURS}"),
        ({"tags": TAGS[:1]}, f"pull and push {OURS} tagged {OWNED}"),
        (
            {"tags": [["reconciler-owner", "x"], TAGS[1]]},
            f"pull and push {OURS} tagged reconciler-owner: x and {HERE}",
        ),
        (
            {"repositories": [WIDER]},
            f"pull and push images* in us-east-1 of account {ACCOUNT} tagged {OWNED} and {HERE}",
        ),
        ({"actions": ["ecr:*"]}, f"pull, push, read, and change or delete {OURS} tagged {OWNED} and {HERE}{DANGER}"),
    ],
)
def test_a_role_that_an_edited_plan_widens_says_on_what_it_can_act(aws: AwsSandbox, edit: Json, can: str) -> None:
    plan = edited_throughout(first_plan(aws), "images.role.push", **edit)
    told = said(plan, "images.role.push")
    assert told[-2:] == [f"account {ACCOUNT} can now assume images-push", f"role images-push can now {can}"]
    fields = ["may" if name == "actions" else name for name in edit]
    assert all(any(line.startswith(name) for line in told) for name in fields), "the fields are shown as well"
    assert "every repository as images-push" not in words(plan)
    granted = RoleKind().access(PUSH_ROLE, replace(PUSHING, **{key: as_tuples(value) for key, value in edit.items()}))
    assert f"role images-push can {can}" in [item.text for item in held(granted)]


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def test_a_guard_sees_whom_a_widened_role_trusts_and_what_it_can_do() -> None:
    wide = replace(PUSHING, trusted=(STRANGER, "*"), repositories=("*",), tags=())
    granted = [(PUSH_ROLE, item) for item in RoleKind().access(PUSH_ROLE, wide)]
    assert "role images-push can pull and push any repository" in [
        item.text for item in held(item for _, item in granted)
    ]
    verdicts = guard.accounts(Guards(allowed_accounts=()), granted, {"images": ACCOUNT})
    assert [verdict.guard for verdict in verdicts] == ["allowed_accounts", "allow_public"]


def test_a_setting_of_a_new_role_that_is_not_the_default_is_shown(aws: AwsSandbox) -> None:
    assert said(first_plan(aws, max_session="12h"), "images.role.push") == [
        "max_session_seconds: 43200",
        f"account {ACCOUNT} {PUSHES}",
    ]


def test_a_new_role_that_nobody_may_assume_says_so_and_nothing_raw(aws: AwsSandbox) -> None:
    plan = aws.plan(aws.document("app-a"))
    assert said(plan, "images.role.push") == ["trusted: nobody may assume it"]
    assert said(plan, "images.role.pull") == [f"account {ACCOUNT} can now pull from every repository as images-pull"]


# -- where it is written, and as whom


def test_a_plan_says_the_account_the_region_and_the_role_that_calls_are_made_as(aws: AwsSandbox) -> None:
    plan = first_plan(aws)
    head = f"registry images (aws {ACCOUNT} us-east-1"
    document = json.loads(dumps(plan))
    assert document["where"] == {"images": f"aws {ACCOUNT} us-east-1"}
    assert words(plan).splitlines()[0] == f"{head})"
    role = f"arn:aws:iam::{STRANGER}:role/deploy"
    document["registries"][0]["assume_role"] = {"role_arn": role}
    with pytest.raises(ReconcilerError, match=r"^plan\.json is damaged: 'where' does not follow"):
        loads(json.dumps(document), "plan.json", platforms=CATALOG)
    document["where"]["images"] += f" as {role}"
    edited = loads(json.dumps(document), "plan.json", platforms=CATALOG)
    assert words(edited).splitlines()[0] == f"{head} as {role})"
    assert f"<summary>{head} as {role}): 4 changes" in plan_markdown(report_of(edited)).replace("<!-- -->", "")


# -- statements that would be written otherwise ------------------------------------------------------------------


def deny(who: str) -> Json:
    return {"sid": "", "principals": [who], "actions": ["sts:AssumeRole"], "effect": "Deny"}


TWICE = [
    {"operator": "StringEquals", "key": "sts:ExternalId", "values": ["x"]},
    {"operator": "StringEquals", "key": "sts:externalid", "values": ["y"]},
]
NOT_AS_THEY_STAND: tuple[Json, ...] = (
    deny(STRANGER),
    deny("*"),
    {**deny(STRANGER), "effect": "Allow", "conditions": TWICE},
    {**deny(STRANGER), "effect": "Allow", "conditions": TWICE[:1], "other": '{"NotPrincipal":{"AWS":"*"}}'},
    {**deny(STRANGER), "effect": "Allow", "conditions": TWICE[:1], "sid": "x"},
    {**deny(STRANGER), "effect": "Allow", "conditions": TWICE[:1], "other": '{"Effect":"Deny"}'},
    {**deny(STRANGER), "effect": "Allow"},
)


@pytest.mark.parametrize("statement", NOT_AS_THEY_STAND, ids=range(len(NOT_AS_THEY_STAND)))
def test_a_role_s_statement_that_would_be_written_otherwise_is_damage(aws: AwsSandbox, statement: Json) -> None:
    aws.apply(aws.document("app-a", registry={"trusted_principals": [ACCOUNT]}))
    before = aws.state()["roles"]
    plan = first_plan(aws, max_session="2h")
    with pytest.raises(ReconcilerError, match="trusted_if would not be written as shown"):
        edited_throughout_or_damaged(plan, "images.role.push", trusted_if=[statement])
    assert aws.state()["roles"] == before


def edited_throughout_or_damaged(plan: Plan, address: str, **edit: Any) -> Plan:
    """The same for an edit that `Loading` refuses: through the text, as a file."""
    document = json.loads(dumps(plan))
    (change,) = [change for change in document["changes"] if change["address"] == address]
    change["desired"]["settings"] |= edit
    return loads(json.dumps(document), "plan.json", platforms=CATALOG)


def test_the_statements_of_a_grant_that_would_be_written_otherwise_are_damage(aws: AwsSandbox) -> None:
    plan = aws.plan(aws.document("app-a", grants=({"name": "one", "to": aws.target("1")},)))
    (one,) = [change for change in plan.changes if change.kind == "access"]
    assert one.desired is not None
    (statement,) = json.loads(json.dumps(plain(one.desired.settings)))["statements"]
    edits: list[Callable[[Json], Any]] = [
        lambda item: item.update(conditions=TWICE),
        lambda item: item.update(sid="theirs"),
        lambda item: item.update(other='{"NotAction":"ecr:*"}', actions=[], principals=["*", "*"]),
        lambda item: item.update(principals=list(reversed(["1", *item["principals"]]))),
        lambda item: item.update(actions=["ECR:*"]),
    ]
    for edit in edits:
        edited = copy.deepcopy(statement)
        edit(edited)
        with pytest.raises(ReconcilerError, match=r"^plan\.json is damaged: the settings of images\.access\.app-a: "):
            edited_throughout_or_damaged(plan, one.address, statements=[edited])


def test_a_plan_of_values_that_would_be_written_otherwise_is_refused_before_anything_is_written(
    aws: AwsSandbox,
) -> None:
    plan = first_plan(aws)
    denied = Statement("", (STRANGER,), ("sts:AssumeRole",), (), "Deny")
    changes = tuple(
        replace(item, desired=replace(item.desired, settings=replace(item.desired.settings, trusted_if=(denied,))))
        if item.kind == "role" and item.desired is not None
        else item
        for item in plan.changes
    )
    with pytest.raises(PlanRefused, match=r"images\.role\.push: trusted_if would not be written as shown"):
        aws.carry_out(replace(plan, changes=changes))
    assert aws.state()["roles"] == {}
    assert aws.state()["repositories"] == {}


# -- any statement at all

NAMES = st.sampled_from(["sts:ExternalId", "sts:externalid", "aws:PrincipalOrgID", "aws:principalorgid", "x:y"])
VALUES = st.lists(st.sampled_from(["a", "b", "*", "true"]), max_size=2).map(tuple)
CONDITIONS = st.lists(st.builds(Condition, st.sampled_from(["StringEquals", "StringLike"]), NAMES, VALUES), max_size=3)
ARNS = (f"arn:aws:iam::{STRANGER}:root", f"arn:aws:iam::{STRANGER}:role/ci")
ANY_STATEMENT = st.builds(
    Statement,
    st.sampled_from(["", "x", "ReconcilerXone", "ReconcilerXoneWorker"]),
    st.lists(
        st.sampled_from([STRANGER, "*", *ARNS, "service:lambda.amazonaws.com", "federated:arn:x", "canonicaluser:y", ""]),
        max_size=2,
    ).map(tuple),
    st.lists(st.sampled_from([*policy.PULL[:2], "ecr:*", "ECR:*", "sts:AssumeRole", "sts:assumerole"]), max_size=2).map(tuple),
    CONDITIONS.map(tuple),
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["", "{}", "x", '{"NotPrincipal":"*"}', '{"NotAction":"ecr:*"}', '{"Effect":"Deny"}', '{"Resource":"*"}']),
)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(ANY_STATEMENT, max_size=2))
def test_statements_are_written_as_they_stand_or_are_damage(found: list[Statement]) -> None:
    wanted = AccessSettings(tuple(found))
    document = json.loads(json.dumps(statements.merged({}, wanted.statements, wanted.partition)))
    written = tuple(policy.normal(item) for item in document["Statement"])
    ours = all(own_ids.grant_of(item.sid) is not None for item in found)
    assert (AccessKind().altered(wanted) is None) == (written == wanted.statements and ours and found == sorted(found))


@settings(max_examples=500)
@given(st.lists(ANY_STATEMENT, max_size=2))
def test_trust_is_written_as_it_stands_or_is_damage(found: list[Statement]) -> None:
    wanted = replace(PUSHING, trusted=(), trusted_if=tuple(found))
    if RoleKind().altered(wanted) is None and found:
        document = json.loads(json.dumps(trust_policy(REGISTRY, wanted)))
        assert tuple(policy.normal(item) for item in document["Statement"]) == wanted.trusted_if
        assert {item.effect for item in wanted.trusted_if} == {"Allow"}


@given(
    st.lists(st.sampled_from([IMAGES, "*"]), max_size=2),
    st.lists(st.sampled_from(["ecr:PutImage", "ecr:*", policy.LOGIN]), max_size=2),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])), max_size=2),
)
def test_permissions_are_written_as_they_stand_or_are_damage(
    repositories: list[str], actions: list[str], tags: list[tuple[str, str]]
) -> None:
    wanted = RoleSettings((ACCOUNT,), tuple(actions), tuple(repositories), tags=tuple(tags))
    if RoleKind().altered(wanted) is None:
        (_, images) = permissions(wanted)["Statement"]
        assert (images["Resource"], images["Action"]) == (repositories, actions)
        asked = images.get("Condition", {}).get("StringEquals", {})
        assert asked == {f"aws:ResourceTag/{key}": value for key, value in tags}
        assert len(asked) == len(tags)
