"""What a plan says of statements that grants share: whose they are, and what somebody or AWS has changed in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.platforms.aws import policy, shared_ids, statements
from reconciler.platforms.aws.policy import Statement
from reconciler.render.sentences import all_losses
from tests.platforms.test_aws_shared import OTHER, arn, document_of, put, role, words, written
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

DEAD = "AROAEXAMPLEEXAMPLE123"
#: two names of one code of four characters
FIRST, SECOND = (f"deployers-of-the-payments-team-{number}" for number in (254, 1068))
CODE = shared_ids.code_of(FIRST, 4)


def clashing(aws: AwsSandbox) -> Document:
    """FIRST lets roles 1 and 2 pull web, SECOND role 3 pull other, and so many others pull web that its policy has codes."""
    document = aws.document("web", "other")
    document["grants"] = [
        *(role(number, name=f"deployers-of-the-payments-team-{number}") for number in range(100, 190)),
        grant(FIRST, "web", 1, 2),
        grant(SECOND, "other", 3),
    ]
    return document


def grant(name: str, repository: str, *roles: int) -> Document:
    return role(
        0, name=name, repositories=[repository], to={"type": "aws", "role_arns": [arn(number) for number in roles]}
    )


def who(*numbers: int) -> str:
    return " and ".join(f"role deployers/team-{number} of account {OTHER}" for number in numbers)


def test_a_code_is_so_long_that_it_tells_all_the_registry_s_grants_apart(aws: AwsSandbox) -> None:
    assert shared_ids.code_of(SECOND, 4) == CODE
    document = clashing(aws)
    aws.apply(document)
    (entry,) = {entry for item in written(aws) for entry in _entries(item) if entry[0][:4] == CODE}
    assert entry == (shared_ids.code_of(FIRST, 6),)
    *others, _, second = document["grants"]
    plan = aws.plan(document | {"grants": [*others, grant(FIRST, "web", 2), second]})
    assert f"{FIRST}.principals: {who(1)} and {who(2)} → {who(2)}" in words(plan)
    assert SECOND not in words(plan)
    both = {**grant(SECOND, "web", 1, 3), "repositories": ["web", "other"]}
    moved = words(aws.plan(document | {"grants": [*others, grant(FIRST, "web", 2), both]}))
    assert f"{FIRST}.principals: {who(1)} and {who(2)} → {who(2)}" in moved
    assert f"{SECOND}.principals: (none) → {who(1)} and {who(3)}" in moved
    gone = words(aws.plan(document | {"grants": [*others, second]}))
    assert f"a grant that the registry no longer has (code {entry[0]}) principals: {who(1, 2)} → (none)" in gone
    assert SECOND not in gone


def test_a_code_that_two_grants_have_since_it_was_written_names_both(aws: AwsSandbox) -> None:
    document = clashing(aws)
    *others, first, second = document["grants"]
    aws.apply(document | {"grants": [*others, first]})
    aws.apply(document)
    assert (CODE,) in [entry for item in written(aws) for entry in _entries(item)], "what says the same stays"
    said = words(aws.plan(document | {"grants": [*others, grant(FIRST, "web", 2), second]}))
    assert f"{SECOND} or {FIRST} (code {CODE}) principals: {who(1)} → (none)" in said


def _entries(item: Document) -> list[shared_ids.Entry]:
    said = shared_ids.read(policy.normal(item))
    return list(said.entries) if said is not None else []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({DEAD: 1}, "1 statement that names a deleted principal"),
        ({DEAD: 2}, "2 statements that name deleted principals"),
        ({"arn:aws:iam::666666666666:root": 1}, "1 statement changed by hand"),
        ({"arn:aws:iam::666666666666:root": 2}, "2 statements changed by hand"),
    ],
)
def test_the_form_says_how_many_of_each_there_are(aws: AwsSandbox, change: dict[str, int], said: str) -> None:
    document = document_of(aws, *(role(number) for number in range(60)))
    aws.apply(document)
    there = written(aws)
    for principal, several in change.items():
        for item in there[:several]:
            item["Principal"]["AWS"][0] = principal
    left = len(there) - sum(change.values())
    whole = "1 statement that names its grants" if left == 1 else f"{left} statements that name their grants"
    put(aws, there)
    plan = aws.plan(document)
    assert f"shared by grants: {whole} and {said} → 3 statements that name their grants" in words(plan)
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


@pytest.mark.parametrize("beside", [True, False], ids=["a new statement", "one of ours"])
def test_not_principal_in_a_shared_statement_is_shown(aws: AwsSandbox, beside: bool) -> None:
    document = document_of(aws, *(role(number) for number in range(60)))
    aws.apply(document)
    there = written(aws)
    if beside:
        but: dict[str, Any] = {"AWS": "arn:aws:iam::000000000102:root"}
        there.append({"Sid": "ReconcilerGrantsPull", "Effect": "Allow", "NotPrincipal": but, "Action": ["ecr:*"]})
    else:
        there[0]["NotPrincipal"] = there[0].pop("Principal")
    put(aws, there)
    plan = aws.plan(document)
    what = "admin access" if beside else "access to pull"
    assert f"{what} that no grant names.other.NotPrincipal" in words(plan)
    assert "(none) → (none)" not in words(plan)
    assert all_losses(plan) != []
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_a_copy_of_a_shared_statement_with_other_actions_is_no_grant_s(aws: AwsSandbox) -> None:
    document = document_of(aws, *(role(number) for number in range(60)))
    aws.apply(document)
    there = written(aws)
    put(aws, [*there, {**json.loads(json.dumps(there[0])), "Action": ["ecr:PutImage", "ecr:DeleteRepository"]}])
    plan = aws.plan(document)
    assert "access that no grant names.may: ecr:DeleteRepository and ecr:PutImage → (none)" in words(plan)
    assert " team-" not in words(plan).replace("/team-", "")
    aws.carry_out(plan)
    assert aws.plan(document).changes == ()


def test_a_shared_statement_is_called_by_what_it_gives_and_not_by_its_id() -> None:
    for actions, said in (
        ((*policy.PULL, *policy.PUSH), "access to pull and push that no grant names"),
        (policy.WORKER_PULL, "access to pull that no grant names"),
        (policy.EVERYTHING, "admin access that no grant names"),
        (("ecr:PutImage",), "access that no grant names"),
        ((*policy.PULL, "ecr:PutImage"), "access that no grant names"),
        ((), "access that no grant names"),
    ):
        for sid in ("ReconcilerGrantsPull", "ReconcilerGrantsAdmin"):
            assert statements.title(Statement(sid, (OTHER,), tuple(sorted(actions)))) == said


def test_the_page_on_aws_says_how_a_name_becomes_a_code() -> None:
    page = Path("docs/aws.md").read_text(encoding="utf-8")
    program = page.split('```python title="code.py"\n')[1].split("```")[0]
    for name in (FIRST, SECOND, "a", "prod-lambdas"):
        said = subprocess.run([sys.executable, "-c", program, name], capture_output=True, text=True, check=True)
        assert said.stdout == f"{shared_ids.code_of(name, 4)}\n"
