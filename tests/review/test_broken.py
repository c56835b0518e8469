"""Changes by which a review was broken: each said less, or more, than what an apply would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import SpecError
from reconciler.review.model import Finding, Review, Risk

from .specs import lines, replaced, review_text, reviewed, said, verdict

HEAD = """\
version: 1
name: t
registries: [{name: images, platform: aws, account_id: "111111111111", region: eu-central-1}]
repositories:
"""
GRANT = """\
grants: [{name: g, registry: images, repositories: [app], to: {type: aws, account_ids: ["222222222222"]}}]
"""
REGION = "    region: eu-central-1\n"
GAINS, LOSES = "account 222222222222 can now pull", "account 222222222222 can no longer pull"


def rows(*repositories: str, grants: str = GRANT) -> str:
    return HEAD + "".join(f"  - {{registry: images, {row}}}\n" for row in repositories) + grants


def the(found: Review, risk: Risk) -> Finding:
    (finding,) = [item for item in found.findings if item.risk is risk]
    return finding


# -- names on the platform change hands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "head", "gone"),
    [
        (
            ["name: app, native_name: xx, protect: true", "name: b, native_name: yy"],
            ["name: app, native_name: yy, protect: true"],
            "xx",
        ),
        (["name: app", "name: b"], ["name: app, native_name: images-b"], "images-app"),
    ],
)
def test_the_name_of_one_that_leaves_taken_by_another_deletes_what_had_its_own(
    tmp_path: Path, base: list[str], head: list[str], gone: str
) -> None:
    found = reviewed(tmp_path, rows(*head), rows(*base))
    assert verdict(found) == ["destroys", "widens", "narrows"], review_text(found)
    assert said(found, Risk.DESTROYS)[0].startswith(f"{gone}: the repository is deleted, with whatever images it holds")
    assert said(found, Risk.WIDENS) == [f"{GAINS} app"]
    assert said(found, Risk.NARROWS) == [f"{LOSES} {gone}"]
    assert said(found, Risk.COSMETIC) == ["repository images/b is now called app, and stays what it is on the platform"]


def test_release_of_one_that_takes_another_s_name_deletes_what_had_its_own(tmp_path: Path) -> None:
    base = rows("name: app, native_name: xx", "name: b, native_name: yy", grants="")
    head = rows("name: app, native_name: yy, release: true", grants="")
    assert "destroys" in verdict(reviewed(tmp_path, head, base))


def test_names_that_move_on_give_access_to_what_has_them_now(tmp_path: Path) -> None:
    base = rows("name: app, native_name: xx", "name: b, native_name: yy")
    found = reviewed(tmp_path, rows("name: c, native_name: xx", "name: app, native_name: yy"), base)
    assert verdict(found) == ["widens", "narrows"], review_text(found)
    assert (said(found, Risk.WIDENS), said(found, Risk.NARROWS)) == ([f"{GAINS} app"], [f"{LOSES} c"])


def test_two_that_swap_names_lose_nothing_and_give_access_to_the_other(tmp_path: Path) -> None:
    base = rows("name: app, native_name: xx", "name: b, native_name: yy")
    found = reviewed(tmp_path, rows("name: b, native_name: xx", "name: app, native_name: yy"), base)
    assert verdict(found) == ["widens", "narrows"], review_text(found)
    assert (said(found, Risk.WIDENS), said(found, Risk.NARROWS)) == ([f"{GAINS} app"], [f"{LOSES} b"])


def test_a_rename_that_keeps_the_usual_name_there_destroys_nothing_and_says_what_is_weaker(tmp_path: Path) -> None:
    base = rows("name: app, protect: true, immutable_tags: true", grants="")
    found = reviewed(tmp_path, rows("name: c, native_name: images-app", grants=""), base)
    assert verdict(found) == ["weakens"], review_text(found)
    assert said(found, Risk.WEAKENS) == [
        "c: a later plan may delete or replace it",
        "c: tags can be moved from the apply on; the spec lets nobody push",
    ]
    assert found.by_head == ()


def test_a_repository_that_gives_its_name_to_a_new_one_is_made_anew(tmp_path: Path) -> None:
    base = rows("name: app, native_name: xx, immutable_tags: true", grants="")
    found = reviewed(tmp_path, rows("name: app", "name: c, native_name: xx", grants=""), base)
    assert verdict(found) == ["weakens", "creates"], review_text(found)
    assert said(found, Risk.CREATES) == ["app: a new repository"]
    assert said(found, Risk.WEAKENS) == ["c: tags can be moved from the apply on; the spec lets nobody push"]


# -- guards ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"), [("*", "[*]"), ("ap*", "ap[*]"), ("a?p", "a[?]p"), ("app*", "app?*"), ("[ab]*", "*a*")]
)
def test_a_pattern_is_no_text_that_another_pattern_matches(tmp_path: Path, before: str, after: str) -> None:
    guards = 'guards: {{protect: ["{}"]}}\n'
    base = rows("name: app", grants=GRANT + guards.format(before))
    found = reviewed(tmp_path, rows("name: app", grants=GRANT + guards.format(after)), base)
    assert verdict(found) == ["weakens"], review_text(found)


@pytest.mark.parametrize(("before", "after"), [("payments*", "pay*"), ("a?p", "*"), ("[ab]*", "*"), ("a-b", "a-*")])
def test_a_pattern_that_matches_all_that_another_does_protects_as_much(tmp_path: Path, before: str, after: str) -> None:
    guards = 'guards: {{protect: ["{}"]}}\n'
    base = rows("name: app", grants=GRANT + guards.format(before))
    assert verdict(reviewed(tmp_path, rows("name: app", grants=GRANT + guards.format(after)), base)) == ["cosmetic"]


@pytest.mark.parametrize(("limit", "weaker"), [("30%", True), ("50%", True), ("3", True), ('"100%"', False)])
def test_without_a_limit_of_its_own_a_small_estate_has_none(tmp_path: Path, limit: str, weaker: bool) -> None:
    base = rows("name: app", grants=f"{GRANT}guards: {{max_deletes: {limit}}}\n")
    assert ("weakens" in verdict(reviewed(tmp_path, rows("name: app"), base))) is weaker


# -- retention ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{keep_last: 1, untagged_days: 365}", "{keep_last: 1}"),
        ("{keep_last: 10, untagged_days: 5}", "{keep_last: 20}"),
    ],
)
def test_on_aws_untagged_images_without_a_rule_of_their_own_fall_to_the_rule_for_all(
    tmp_path: Path, before: str, after: str
) -> None:
    base, head = (rows(f"name: app, retention: {item}") for item in (before, after))
    found = reviewed(tmp_path, head, base)
    assert any(
        "untagged images expire like all others, unless they are among the newest" in text
        for text in said(found, Risk.WEAKENS)
    )
    plain = replaced(('    retention: {keep_last: 100, untagged_days: 14, keep_tags: ["v*"]}\n', ""))
    local = [
        replaced(("registry: box}", f"registry: box, retention: {item}}}"), base=plain) for item in (after, before)
    ]
    assert verdict(reviewed(tmp_path, *local)) == ["cosmetic"], "there, keep_last is about all images"


def test_untagged_images_that_expired_before_are_not_said_to_have_been_kept(tmp_path: Path) -> None:
    base, head = (
        rows(f"name: app, retention: {item}") for item in ("{keep_last: 10}", "{keep_last: 10, untagged_days: 365}")
    )
    assert said(reviewed(tmp_path, head, base), Risk.WEAKENS) == [
        "app: untagged images expire 365 days after their push, those among the newest 10 too, which were kept before; plan"
        " --count-expiring asks how many"
    ]


# -- variables ------------------------------------------------------------------------------------------------------------

PAY = 'grants: [{name: g, registry: images, repositories: ["%s"], permission: %s, to: {type: aws, account_ids: ["222222222222"]}}]\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (rows('name: "${env:N}"', grants=""), rows('name: "${env:N}"', grants=PAY % ("pay*", "push-pull"))),
        (rows('name: "${env:N}"', grants=PAY % ("x*", "pull")), rows('name: "${env:N}"', grants=PAY % ("y*", "pull"))),
        (
            rows('name: "${env:N}"', grants=PAY % ("x*", "pull")),
            rows('name: "${env:N}"', grants=PAY % ("x*", "push-pull")),
        ),
        (
            rows("name: app, native_name: xx", grants=PAY % ("x*", "pull")),
            rows('name: "${env:N}", native_name: xx', grants=PAY % ("x*", "pull")),
        ),
    ],
)
def test_a_repository_of_both_specs_whose_name_is_not_known_may_be_covered(
    tmp_path: Path, before: str, after: str
) -> None:
    found = reviewed(tmp_path, after, before)
    assert the(found, Risk.WIDENS).title == "may widen", review_text(found)
    assert any("may cover it, whatever its name is" in text for text in said(found, Risk.WIDENS))


@pytest.mark.parametrize(
    ("before", "after", "risk"),
    [
        ("immutable_tags: {except: ['u*']}", "immutable_tags: {except: ['${env:X}']}", "may weaken"),
        (
            "retention: {keep_last: 1, keep_tags: ['${env:X}']}",
            "retention: {keep_last: 1, keep_tags: ['u*']}",
            "may weaken",
        ),
    ],
)
def test_what_stands_for_a_variable_is_matched_by_no_pattern(
    tmp_path: Path, before: str, after: str, risk: str
) -> None:
    found = reviewed(tmp_path, rows(f"name: app, {after}"), rows(f"name: app, {before}"))
    assert risk in [finding.title for finding in found.findings], review_text(found)


def test_of_an_unknown_account_naming_a_role_may_give_more(tmp_path: Path) -> None:
    base = rows("name: app").replace('"111111111111"', '"${env:ACC}"')
    head = base.replace('account_ids: ["222222222222"]', 'role_arns: ["arn:aws:iam::222222222222:role/x"]')
    found = reviewed(tmp_path, head, base)
    assert {"may widen", "narrows"} <= {finding.title for finding in found.findings}, review_text(found)


@pytest.mark.parametrize(
    "to",
    [
        'organization_paths: ["${env:P}"]',
        'role_arns: ["${env:P}"]',
        'role_arns: ["arn:aws:iam::444444444444:role/${env:P}"]',
        'account_ids: ["${env:P}"]',
        'function_arns: ["${env:P}"]',
    ],
)
def test_nothing_that_stands_for_a_variable_is_shown(tmp_path: Path, to: str) -> None:
    head = rows("name: app").replace('account_ids: ["222222222222"]', to)
    text = review_text(reviewed(tmp_path, head, rows("name: app"))) + review_text(
        reviewed(tmp_path, rows("name: app"), head)
    )
    assert "unknown-" not in text
    assert "${env:P}" in text
    assert "may widen" in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('allowed_accounts: ["${env:X}"]', 'allowed_accounts: ["222222222222"]'),
        ("require_labels: [x]", 'require_labels: ["${env:X}"]'),
    ],
)
def test_a_guard_that_a_variable_names_may_be_weaker(tmp_path: Path, before: str, after: str) -> None:
    base = rows("name: app", grants=f"{GRANT}guards: {{{before}}}\n")
    found = reviewed(tmp_path, rows("name: app", grants=f"{GRANT}guards: {{{after}}}\n"), base)
    assert the(found, Risk.WEAKENS).title == "may weaken"


def test_an_error_shows_nothing_that_stands_for_a_variable(tmp_path: Path) -> None:
    head = replaced(
        ("- {name: cart, registry: images}", '- {name: "${env:N}", registry: images}'),
        ("repositories: [cart]", "repositories: [payments]"),
        ("  - name: team\n    registry: box\n", '  - name: team\n    registry: box\n    repositories: ["${env:N}"]\n'),
    )
    with pytest.raises(SpecError) as caught:
        reviewed(tmp_path, head)
    text = " ".join(problem.message for problem in caught.value.problems)
    assert "registry box has no repository named '${env:N}'" in text.replace("https://", "").replace(".example", "")
    assert "unknown-" not in text


def test_a_name_there_that_a_variable_says_may_be_the_same(tmp_path: Path) -> None:
    found = reviewed(tmp_path, rows('name: app, native_name: "${env:Q}"'), rows('name: app, native_name: "${env:P}"'))
    assert the(found, Risk.DESTROYS).title == "may destroy"


# -- templates ------------------------------------------------------------------------------------------------------------

ROOT = "{prefix: ROOT, for: [create_on_push, replication], immutable_tags: true, retention: {keep_last: 100}}"


@pytest.mark.parametrize(
    "after",
    [
        f"[{ROOT}, {{prefix: team, for: [create_on_push], immutable_tags: false, retention: {{keep_last: 1}}}}]",
        f"[{ROOT.replace('create_on_push, ', '')}]",
        "[]",
    ],
)
def test_templates_that_leave_what_they_made_to_others_may_weaken(tmp_path: Path, after: str) -> None:
    base, head = (replaced((REGION, f"{REGION}    creation_templates: {item}\n")) for item in (f"[{ROOT}]", after))
    found = reviewed(tmp_path, head, base)
    assert "may weaken" in [finding.title for finding in found.findings], review_text(found)


# -- places ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "risk", "line"),
    [
        ("    prefix: p/\n", Risk.DESTROYS, "prefix: p/"),
        (
            '    replication: {accounts: [{account_id: "222222222222", regions: [eu-west-1]}]}\n',
            Risk.CREATES,
            "replication:",
        ),
        ('    trusted_principals: ["arn:aws:iam::222222222222:root"]\n', Risk.WIDENS, "trusted_principals:"),
        ("    retired: true\n", Risk.DESTROYS, "retired: true"),
        ("    retired: true\n", Risk.NARROWS, "retired: true"),
    ],
)
def test_what_a_registry_s_edit_does_is_at_that_edit_beside_another_one(
    tmp_path: Path, more: str, risk: Risk, line: str
) -> None:
    base = replaced(
        ("    replication_regions: [eu-west-1]\n", ""),
        ('    trusted_principals: ["arn:aws:iam::111111111111:role/ci"]\n', ""),
    )
    head = replaced((REGION, f"{REGION}    max_session: 2h\n{more}"), base=base)
    found = reviewed(tmp_path, head, base)
    assert {text.partition(": ")[0] for text in lines(found, head, risk)} == {line.partition(":")[0]}, review_text(
        found
    )
    if "prefix" in more:
        assert "since its name can't be changed" in said(found, Risk.DESTROYS)[0]


def test_a_prefix_that_changes_beside_a_region_says_who_loses_the_region_and_no_pattern(tmp_path: Path) -> None:
    head = replaced((REGION, f"{REGION}    prefix: p/\n"), ("    replication_regions: [eu-west-1]\n", ""))
    text = review_text(reviewed(tmp_path, head))
    assert "tagged reconciler-owner" not in text
    assert "can no longer pull from any repository in eu-west-1 as images-pull" in text


def test_several_copies_are_said_in_the_plural(tmp_path: Path) -> None:
    base = replaced(("[eu-west-1]", "[eu-west-1, us-east-1]"))
    head = replaced(("  - {name: payments, registry: images, protect: true}\n", ""), base=base)
    assert said(reviewed(tmp_path, head, base), Risk.DESTROYS)[0].endswith(
        "; so are its copies in eu-west-1 and us-east-1"
    )


def test_a_registry_without_repositories_that_leaves_has_none(tmp_path: Path) -> None:
    box = "  - name: box\n    platform: local\n    path: .reconciler/box\n"
    rest = (
        ("  - {name: tool, registry: box}\n", ""),
        ("  - name: team\n    registry: box\n    to: {type: local, users: [alice, bob]}\n", ""),
    )
    base = replaced(*rest)
    (text,) = said(reviewed(tmp_path, replaced((box, ""), base=base), base), Risk.UNMANAGED)
    assert text.startswith("registry box leaves the spec: what the spec made there stays as it is, unwatched")
