"""What the ids of statements that grants share say: read back from the JSON alone, and whatever somebody writes there by hand."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.model.address import Address
from reconciler.model.kind import Home
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.platforms.aws import access_settings, own_ids, policy, shared, shared_ids, statements
from reconciler.platforms.aws.access import AccessKind
from reconciler.platforms.aws.access_settings import AccessSettings, settings_of
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import Spec
from reconciler.spec.loader import parse_spec
from reconciler.spec.models import Grant
from tests.sandbox.aws import ACCOUNT
from tests.sandbox.base import Document

AT = Address("images.access.web")
OTHER = "987654321091"
REGISTRY = AwsRegistry(name="images", platform="aws", account_id=ACCOUNT, region="us-east-1")
KIND = AccessKind()


def arn(number: int) -> str:
    return f"arn:aws:iam::{OTHER}:role/deployers/team-{number}"


_ARNS = st.integers(0, 60).map(arn)
_TARGETS = st.one_of(
    st.fixed_dictionaries({"role_arns": st.lists(_ARNS, min_size=1, max_size=6, unique=True)}),
    st.fixed_dictionaries(
        {
            "account_ids": st.lists(st.sampled_from([OTHER, "987654321092", "*"]), min_size=1, unique=True),
            "role_arns": st.lists(_ARNS, max_size=2, unique=True),
        }
    ),
    st.fixed_dictionaries(
        {
            "organization_ids": st.lists(st.sampled_from(["o-a1b2c3d4e5", "o-a1b2c3d4e6"]), min_size=1, unique=True),
            "organization_paths": st.sampled_from([[], ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"]]),
        }
    ),
    st.fixed_dictionaries(
        {
            "services": st.lists(
                st.sampled_from(["codebuild", "ecs-tasks", "lambda", "build.apprunner"]), min_size=1, unique=True
            ),
            "source_accounts": st.just([OTHER]),
        }
    ),
    st.fixed_dictionaries({"allowed_service_types": st.just(["worker"]), "account_ids": st.just([OTHER])}),
)
_GRANT = st.fixed_dictionaries(
    {
        "to": _TARGETS.map(lambda target: {"type": "aws", **target}),
        "permission": st.sampled_from(["pull", "push-pull"]),
        "also": st.sampled_from([[], ["read"]]),
    }
)
_GRANTS = st.tuples(
    st.lists(_GRANT, min_size=1, max_size=60), st.sampled_from(["g-{}", "deployers-of-the-payments-team-{}"])
)


def parsed(found: list[Document], name: str) -> tuple[Grant, ...]:
    grants = [{"name": name.format(number), "registry": "images", **item} for number, item in enumerate(found)]
    registry = {"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}
    document: dict[str, Any] = {"version": 1, "name": "tests", "registries": [registry], "grants": grants}
    return parse_spec(
        json.dumps({**document, "repositories": [{"name": "web", "registry": "images"}]}), model=Spec
    ).grants


def forms(apart: tuple[Statement, ...]) -> list[AccessSettings]:
    """The statements in each form, whether they are long enough for it or not."""
    found = [AccessSettings(apart)]
    for others in (0, shared.MAX_POLICY - 400, shared.MAX_POLICY):
        ours, shares = shared.in_one_form(apart, "aws", others)
        found.append(AccessSettings(ours, "aws", shares))
    return found


def there(settings: AccessSettings, seed: int = 0) -> list[Document]:
    """The statements as AWS may answer them: lists in any order."""
    document: list[Document] = json.loads(json.dumps(statements.merged({}, settings.statements, "aws")["Statement"]))
    shuffle = random.Random(seed).shuffle
    for item in document:
        for principals in item["Principal"].values():
            shuffle(principals)
        shuffle(item["Action"])
    shuffle(document)
    return document


def read_back(found: list[Document], apart: tuple[Statement, ...] = (), *names: str) -> AccessSettings:
    ours = statements.ours({"Statement": found})
    return AccessSettings(ours, "aws", shared.shares_of(ours, apart, names))


def live_of(settings: AccessSettings, rest: str = "") -> Live:
    return Live(AT, KIND.name, settings, Marks("tests", "spec"), rest=rest)


def gives(apart: tuple[Statement, ...]) -> set[object]:
    """By which of its statements each principal may do what, one by one."""
    return {
        (item.sid, principal, action, item.conditions, item.effect, item.other)
        for item in apart
        for principal in item.principals
        for action in item.actions
    }


@given(_GRANTS, st.integers())
def test_what_is_written_in_any_form_says_who_has_which_grant(grants: tuple[list[Document], str], seed: int) -> None:
    made = parsed(*grants)
    apart = statements.of_grants(made, REGISTRY)
    every = forms(apart)
    assert settings_of(made, REGISTRY) in every
    for form in every:
        found = there(form, seed)
        codes = any((said := shared_ids.read(item)) and said.codes for item in form.statements)
        # by the names that the policy itself says; where it has codes, whoever knows the names knows whose they are
        alone = read_back(found, (), *([item.name for item in made] if codes else []))
        assert alone == form
        assert alone.shares == form.shares
        assert alone.apart() == apart
        assert KIND.altered(form) is None
        sids = [item["Sid"] for item in found if shared_ids.is_shared(item["Sid"])]
        assert len(set(sids)) == len(sids)
        wanted = Desired(AT, KIND.name, settings_of(made, REGISTRY))
        assert KIND.fitted(wanted, live_of(alone)).settings == alone, "the next plan is empty"
        gains, losses = KIND.gains_and_losses(AT, live_of(form).given, live_of(every[0]).given, Home("tests", REGISTRY))
        assert (list(gains), list(losses)) == ([], [])


@pytest.mark.slow  # many random statements
@given(
    _GRANTS,
    st.sampled_from(["add", "add known", "remove", "swap", "action", "drop action", "condition", "id"]),
    st.data(),
)
def test_a_statement_that_is_edited_by_hand_is_drift_and_gives_nobody_another_s_grant(
    grants: tuple[list[Document], str], edit: str, data: st.DataObject
) -> None:
    made = parsed(*grants)
    apart = statements.of_grants(made, REGISTRY)
    form = data.draw(st.sampled_from(forms(apart)[1:]))
    found = there(form)
    mine = [item for item in found if shared_ids.is_shared(item["Sid"])]
    assume(mine)
    item = data.draw(st.sampled_from(mine))
    _edit(item, edit, mine, data)
    read = read_back(found, apart)
    assume(read != form)  # swapped with itself, say
    healed = KIND.fitted(Desired(AT, KIND.name, form), live_of(read)).settings
    assert (healed != read, healed.apart()) == (True, apart), "it is healed"
    wanted = gives(apart)
    for one in gives(read.apart()):
        sid = one[0]  # type: ignore[index]
        assert one in wanted or shared_ids.is_shared(sid), "no grant gives what it does not"
    actual = {one[1:] for one in gives(read.statements)}  # type: ignore[index]
    assert {one[1:] for one in gives(read.apart())} == actual, "and all that is there is said"  # type: ignore[index]
    assert KIND.shown(read) != KIND.shown(form)
    assert "changed by hand" in str(KIND.shown(read).get(access_settings.SHARED, "changed by hand"))


def _edit(item: Document, edit: str, mine: list[Document], data: st.DataObject) -> None:
    principals = next(iter(item["Principal"].values()))
    if edit == "add":
        principals.append("arn:aws:iam::666666666666:root" if "AWS" in item["Principal"] else "x.amazonaws.com")
    elif edit == "add known":
        principals += [
            who for who in data.draw(st.sampled_from(mine))["Principal"].get("AWS", ()) if who not in principals
        ]
    elif edit == "remove":
        principals.pop()
    elif edit == "swap":
        other = next(iter(data.draw(st.sampled_from(mine))["Principal"].values()))
        principals[0], other[0] = other[0], principals[0]
    elif edit == "action":
        item["Action"].append("ecr:DeleteRepository")
    elif edit == "drop action":
        item["Action"].pop()
    elif edit == "condition":
        item.setdefault("Condition", {}).setdefault("StringLike", {})["aws:SourceVpc"] = "vpc-*"
    else:
        item["Sid"] = re.sub(
            "[YZ]([a-z0-9])", lambda match: match[0][0] + ("b" if match[1] == "a" else "a"), item["Sid"], count=1
        )


ENTRIES = "YaYb"
ONE = policy.normal(
    {"Sid": "", "Effect": "Allow", "Principal": {"AWS": ["111111111111", "222222222222"]}, "Action": list(policy.PULL)}
)
GOOD = shared_ids.id_of(ONE, (("a",), ("b",)), codes=False)
HEAD = GOOD.removesuffix(ENTRIES)


@pytest.mark.parametrize(
    "entries",
    [
        "YaYb" * 2_500, "YaW99999", "YaW" + "9" * 5_000, "YaW0", "YaYbW1", "YaW2", "YaZaYb", "YaXXbYb", "YbYa", "YaYbW2",
        "YaZ" * 3_000, "Y" + "aX" * 5_000, "Y" + "aZ" * 4_999 + "aYb",
    ],
)  # fmt: skip
def test_an_id_that_somebody_made_up_says_nothing(entries: str) -> None:
    assert GOOD == HEAD + ENTRIES
    assert shared_ids.read(replace(ONE, sid=GOOD)) == shared_ids.Read((("a",), ("b",)), codes=False)
    forged = replace(ONE, sid=HEAD + entries)
    assert shared_ids.read(forged) is None
    assert shared.shares_of([forged], ()) == ()


@pytest.mark.parametrize(
    "sid",
    [
        "ReconcilerGrants" + "Pull" * 2_500 + "!",
        "ReconcilerGrantsPull" + "Ya" * 5_000 + "!",
        "ReconcilerGrants" + "Aa" * 5_000,
        "ReconcilerGrantsPullN00000" + "YaW1" * 2_500 + "!",
        "ReconcilerGrantsPullN00000" + "Ya" * 5_000 + "W",
        "ReconcilerGrantsPull" + "1" * 10_000 + "!",
    ],
)
def test_a_long_id_that_is_not_ours_is_foreign(sid: str) -> None:
    assert not shared_ids.is_shared(sid)
    assert not statements.is_ours(sid)


def test_no_grant_s_statement_is_taken_for_a_shared_one() -> None:
    for grant in ("grants", "grants-pull", "pull", "g", "c"):
        assert not shared_ids.is_shared(own_ids.sid(grant))
        assert own_ids.grant_of(own_ids.sid(grant)) == grant
    assert not statements.is_ours(own_ids.unknown("k3f9"))
    for old in (
        "ReconcilerGrantsPull",
        "ReconcilerGrantsPullPush2",
        "ReconcilerGrantsPullPush2YprodXlambdasY2048",
        GOOD,
    ):
        assert own_ids.grant_of(old) is None
        assert statements.is_ours(old)
        assert shared_ids.is_checked(old) == (old == GOOD)


def test_an_entry_longer_than_any_id_should_be_stands_alone() -> None:
    grants = [{"to": {"type": "aws", "role_arns": [arn(1)]}, "permission": "pull"} for _ in range(12)]
    beside = [{"to": {"type": "aws", "role_arns": [arn(number)]}, "permission": "pull"} for number in range(2, 60)]
    settings = settings_of(parsed([*grants, *beside], "deployers-of-the-payments-{}"), REGISTRY)
    for codes in (settings, AccessSettings(*_named(settings))):
        for item in codes.statements:
            assert len(item.sid) <= shared_ids.MOST or len(set(map(str, _entries(item)))) == 1
    assert any(len(item.sid) > shared_ids.MOST for item in _named(settings)[0])


def _named(settings: AccessSettings) -> tuple[tuple[Statement, ...], str]:
    return shared.in_form(settings.apart(), 0)[0], "aws"


def _entries(item: Statement) -> tuple[shared_ids.Entry, ...]:
    said = shared_ids.read(item)
    return said.entries if said is not None else ()


def test_roles_of_two_grants_that_sort_between_each_other_stand_apart_where_one_id_is_too_long() -> None:
    every = [arn(number) for number in range(10, 60)]
    targets = [every[::2], every[1::2], every[::5]]
    grants = [{"to": {"type": "aws", "role_arns": arns}, "permission": "pull"} for arns in targets]
    apart = statements.of_grants(parsed(grants, "deployers-of-the-payments-team-{}"), REGISTRY)
    found, shares = shared.in_form(apart, 0)
    assert all(len(item.sid) <= shared_ids.MOST for item in found)
    assert shared.taken_apart(found, shares) == list(apart)


def test_codes_are_longer_where_two_grants_would_have_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"g-{number}" for number in range(40)]
    assert shared_ids.width_for(names) == 4
    monkeypatch.setattr(shared_ids, "WIDTHS", (1, 6))
    assert shared_ids.width_for(names) == 6
    monkeypatch.setattr(shared_ids, "WIDTHS", (1,))
    assert shared_ids.width_for(names) == 0
    grants = [{"to": {"type": "aws", "role_arns": [arn(number)]}, "permission": "pull"} for number in range(100)]
    settings = settings_of(parsed(grants, "deployers-of-the-pay-roll-team-{}"), REGISTRY)
    assert "N" in {shared_ids.short(item.sid)[len("ReconcilerGrantsPull")] for item in settings.statements}, (
        "names, then"
    )


def test_a_code_that_two_grants_have_is_of_the_one_that_gives_its_principal_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = [{"to": {"type": "aws", "role_arns": [arn(number)]}, "permission": "pull"} for number in range(2)]
    apart = statements.of_grants(parsed(first, "g-{}"), REGISTRY)
    found, shares = shared.in_form(apart, 4)
    monkeypatch.setattr(
        shared_ids, "code_of", lambda name, width: {"g-2": code_of("g-0", width)}.get(name, code_of(name, width))
    )
    assert shared.shares_of(found, apart, ["g-2"]) == shares
    assert shared.shares_of(found, apart[1:], ["g-0", "g-2"]) != shares
    said = {sid for _, _, sids in shared.shares_of(found, apart[1:], ["g-0", "g-2"]) for sid in sids}
    either = own_ids.unknown(code_of("g-0", 4), "", [own_ids.sid("g-2"), own_ids.sid("g-0")])
    assert said == {own_ids.sid("g-1"), either}
    assert own_ids.title(either) == f"g-0 or g-2 (code {code_of('g-0', 4)})"
    worker = own_ids.unknown("k3f9", own_ids.WORKER, [own_ids.sid("a-b"), own_ids.sid("c")])
    assert own_ids.title(worker) == "a-b or c (code k3f9) (worker)"
    assert own_ids.grant_of(worker) is None


def test_of_two_statements_with_one_id_the_grants_own_is_the_one_of_which_it_holds() -> None:
    grants = [{"to": {"type": "aws", "role_arns": [arn(number)]}, "permission": "pull"} for number in range(60)]
    settings = settings_of(parsed(grants, "g-{}"), REGISTRY)
    found = there(settings)
    for actions in (["ecr:DeleteRepository", "ecr:PutImage"], [*policy.PULL, "ecr:PutImage"], ["ecr:*"]):
        copy = {**found[0], "Action": actions}
        for both in ([copy, *found], [*found, copy]):
            back = read_back(both, settings.apart())
            assert back.shares == settings.shares
            extra = [item for item in back.apart() if own_ids.grant_of(item.sid) is None]
            assert [(item.actions, len(item.principals)) for item in extra] == [
                (tuple(sorted(actions)), len(found[0]["Principal"]["AWS"]))
            ]
            assert [item for item in back.apart() if item not in extra] == list(settings.apart())


code_of = shared_ids.code_of


@pytest.mark.parametrize("count", [10, 31, 32, 40, 60])
@pytest.mark.parametrize("name", ["g{}", "team-{}", "deployers-of-team-{}"])
def test_grants_of_two_services_each_are_as_a_plan_says_they_are(name: str, count: int) -> None:
    to = {"type": "aws", "services": ["codebuild", "ecs-tasks"], "source_accounts": [OTHER]}
    settings = settings_of(parsed([{"to": to}] * count, name), REGISTRY)
    assert KIND.altered(settings) is None


def test_anyone_beside_accounts_in_one_statement_is_as_a_plan_says() -> None:
    targets: list[Document] = [{"account_ids": ["*", OTHER]}, {"account_ids": [OTHER]}, {"role_arns": [arn(1)]}]
    grants = [{"to": {"type": "aws", **targets[number % 3]}} for number in range(60)]
    apart = statements.of_grants(parsed(grants, "g-{}"), REGISTRY)
    for form in forms(apart):
        assert KIND.altered(form) is None
        assert form.apart() == apart


def test_what_was_put_into_a_statement_and_stands_elsewhere_by_its_grant_is_no_grant_s() -> None:
    grants = [{"to": {"type": "aws", "role_arns": [arn(number)]}, "permission": "pull"} for number in range(60)]
    settings = settings_of(parsed(grants, "g-{}"), REGISTRY)
    apart = settings.apart()
    found = there(settings)
    first, second = found[:2]
    first["Principal"]["AWS"].append(second["Principal"]["AWS"][0])
    extra = [item for item in read_back(found, apart).apart() if shared_ids.is_shared(item.sid)]
    assert [item.principals for item in extra] == [(second["Principal"]["AWS"][0],)]


def test_iam_lints_find_nothing_in_shared_statements() -> None:
    from parliament import analyze_policy_string  # slow to import

    grants = [{"to": {"type": "aws", "role_arns": [arn(number)]}, "permission": "pull"} for number in range(100)]
    for name in ("g-{}", "deployers-of-the-payments-team-{}"):
        document = statements.merged({}, settings_of(parsed(grants, name), REGISTRY).statements, "aws")
        for item in document["Statement"]:
            assert re.fullmatch("[A-Za-z0-9]+", item["Sid"])
            item["Resource"] = "*"  # of an identity's policy, which it can read
            del item["Principal"]
        findings = analyze_policy_string(json.dumps(document)).findings
        assert {item.issue for item in findings if item.severity != "MUTED"} <= {"RESOURCE_STAR"}


def test_the_page_on_aws_reads_an_id_as_it_is_read() -> None:
    page = Path("docs/aws.md").read_text(encoding="utf-8")
    block = page.split('```json title="a shared statement"\n')[1].split("```")[0]
    found = policy.normal(json.loads(block))
    said = shared_ids.read(found)
    assert said is not None
    rows = dict(re.findall(r"^\| `(arn:[^`]+|\d{12})` \| (.+) \|$", page, re.M))
    assert {who: re.findall("`([a-z0-9-]+)`", grants) for who, grants in rows.items()} == {
        who: list(entry) for who, entry in zip(found.principals, said.entries, strict=True)
    }
