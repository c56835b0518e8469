"""What each change of a spec means, and the line that causes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.review.model import Risk

from .specs import ABSENT, BASE, lines, replaced, review_text, reviewed, said, verdict

KMS = 'encryption: {kms_key: "arn:aws:kms:eu-central-1:111111111111:key/mrk-1"}'
PAYMENTS = "  - {name: payments, registry: images, protect: true}\n"
#: what is changed in the text, the verdict, and for each risk the lines that cause it
CASES: dict[str, tuple[list[tuple[str, str]], list[str], dict[Risk, list[str]]]] = {
    "an account is added": (
        [('["222222222222"]}', '["222222222222", "333333333333"]}')],
        ["widens"],
        {Risk.WIDENS: ['to: {type: aws, account_ids: ["222222222222", "333333333333"]}']},
    ),
    "an account is added in a list of lines": (
        [('        - "333333333333"\n', '        - "333333333333"\n        - "222222222222"\n')],
        ["widens"],
        {Risk.WIDENS: ['- "222222222222"']},
    ),
    "a grant covers more": (
        [("repositories: [cart]", "repositories: [cart, payments]")],
        ["widens"],
        {Risk.WIDENS: ["repositories: [cart, payments]"]},
    ),
    "a grant covers everything": (
        [("    repositories: [cart]\n", "")],
        ["widens"],
        {Risk.WIDENS: ["- name: production"]},
    ),
    "a permission shrinks": (
        [("permission: push-pull", "permission: pull")],
        ["narrows"],
        {Risk.NARROWS: ["permission: pull"]},
    ),
    "a principal is taken for another": (
        [("users: [alice, bob]", "users: [alice, carol]")],
        ["widens", "narrows"],
        {Risk.WIDENS: ["to: {type: local, users: [alice, carol]}"], Risk.NARROWS: ["to: {type: local, users: [alice, carol]}"]},
    ),
    "anyone": (
        [("users: [alice, bob]", "users: ['*']")],
        ["widens"],
        {Risk.WIDENS: ["to: {type: local, users: ['*']}"]},
    ),
    "a default protects less": (
        [("immutable_tags: true", "immutable_tags: {except: [latest]}")],
        ["weakens"],
        {Risk.WEAKENS: ["immutable_tags: {except: [latest]}"]},
    ),
    "retention in the defaults": (
        [('keep_last: 100, untagged_days: 14, keep_tags: ["v*"]', "keep_last: 200, untagged_days: 7")],
        ["weakens"],
        {
            Risk.WEAKENS: ["retention: {keep_last: 200, untagged_days: 7}"] * 2,
            Risk.COSMETIC: ["retention: {keep_last: 200, untagged_days: 7}"],
        },
    ),
    "one repository is not scanned": (
        [("{name: cart, registry: images}", "{name: cart, registry: images, scan_on_push: false}")],
        ["weakens"],
        {Risk.WEAKENS: ["- {name: cart, registry: images, scan_on_push: false}"]},
    ),
    "protection goes": (
        [(", protect: true", ", delete_images: true")],
        ["weakens"],
        {Risk.WEAKENS: ["- {name: payments, registry: images, delete_images: true}"] * 2},
    ),
    "another key": (
        [(", protect: true", f", protect: true, {KMS}")],
        ["destroys"],
        {Risk.DESTROYS: [f"- {{name: payments, registry: images, protect: true, {KMS}}}"]},
    ),
    "a repository leaves": (
        [(PAYMENTS, "")],
        ["destroys", "narrows"],
        {Risk.DESTROYS: ["repositories:"], Risk.NARROWS: ["repositories:"]},
    ),
    "a repository is let go of": (
        [("{name: cart, registry: images}", "{name: cart, registry: images, release: true}")],
        ["unmanaged", "narrows"],
        {Risk.UNMANAGED: ["- {name: cart, registry: images, release: true}"]},
    ),
    "a region is left": (
        [("    replication_regions: [eu-west-1]\n", "")],
        ["destroys", "narrows"],
        {Risk.DESTROYS: ["- name: images"], Risk.NARROWS: ["- name: images"]},
    ),
    "a region is added": (
        [("[eu-west-1]", "[eu-west-1, us-east-1]")],
        ["widens", "creates"],
        {Risk.WIDENS: ["replication_regions: [eu-west-1, us-east-1]"], Risk.CREATES: ["replication_regions: [eu-west-1, us-east-1]"]},
    ),
    "the home moves": (
        [("region: eu-central-1", "region: us-east-1")],
        ["destroys", "widens", "narrows", "creates"],
        {risk: ["region: us-east-1"] for risk in (Risk.DESTROYS, Risk.WIDENS, Risk.NARROWS, Risk.CREATES)},
    ),
    "another account": (
        [('account_id: "111111111111"', 'account_id: "999999999999"')],
        ["widens", "unmanaged", "creates"],
        {risk: ['account_id: "999999999999"'] for risk in (Risk.WIDENS, Risk.UNMANAGED, Risk.CREATES)},
    ),
    "another folder": (
        [(".reconciler/box", ".reconciler/other")],
        ["widens", "unmanaged", "creates"],
        {risk: ["path: .reconciler/other"] for risk in (Risk.WIDENS, Risk.UNMANAGED, Risk.CREATES)},
    ),
    "the same folder": ([(".reconciler/box", ".reconciler/box/")], ["cosmetic"], {Risk.COSMETIC: ["path: .reconciler/box/"]}),
    "retired": (
        [("    path: .reconciler/box\n", "    path: .reconciler/box\n    retired: true\n")],
        ["destroys", "narrows"],
        {Risk.DESTROYS: ["retired: true"], Risk.NARROWS: ["retired: true"]},
    ),
    "another name": ([("name: acme", "name: acne")], ["unmanaged"], {Risk.UNMANAGED: ["name: acne"]}),
    "the last trusted role goes": (
        [('trusted_principals: ["arn:aws:iam::111111111111:role/ci"]', "trusted_principals: []")],
        ["widens", "narrows"],
        {Risk.WIDENS: ["trusted_principals: []"], Risk.NARROWS: ["trusted_principals: []"]},
    ),
    "another role is trusted": (
        [(':role/ci"]', ':role/ci", "arn:aws:iam::222222222222:role/deploy"]')],
        ["widens"],
        {Risk.WIDENS: ['trusted_principals: ["arn:aws:iam::111111111111:role/ci", "arn:aws:iam::222222222222:role/deploy"]']},
    ),
    "a guard allows more": (
        [('222222", "333333333333"]', '222222", "333333333333", "444444444444"]')],
        ["weakens"],
        {Risk.WEAKENS: ['allowed_accounts: ["222222222222", "333333333333", "444444444444"]']},
    ),
    "a guard goes": ([('  protect: ["payments*"]\n', "")], ["weakens"], {Risk.WEAKENS: ["guards:"]}),
    "a guard allows less": (
        [('222222", "333333333333"]', '222222", "333333333333"]\n  max_deletes: 0')],
        ["cosmetic"],
        {Risk.COSMETIC: ["max_deletes: 0"]},
    ),
    "an order": ([("[alice, bob]", "[bob, alice]")], ["cosmetic"], {Risk.COSMETIC: ["to: {type: local, users: [bob, alice]}"]}),
    "a description": (
        [("{name: cart, registry: images}", "{name: cart, registry: images, description: baskets}")],
        ["cosmetic"],
        {Risk.COSMETIC: ["- {name: cart, registry: images, description: baskets}"]},
    ),
    "a comment": ([("version: 1", "version: 1 # one")], [], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_change_has_its_verdict_and_the_lines_that_cause_it(tmp_path: Path, name: str) -> None:
    pairs, expected, causes = CASES[name]
    head = replaced(*pairs)
    found = reviewed(tmp_path, head)
    assert verdict(found) == expected, review_text(found)
    for risk, there in causes.items():
        assert lines(found, head, risk) == there, review_text(found)
    assert {finding.risk for finding in found.findings} <= {*causes, *(Risk(word) for word in expected)}


def test_a_registry_that_leaves_is_unmanaged_and_nothing_of_it_is_deleted(tmp_path: Path) -> None:
    start = BASE.index("  - name: box")
    head = BASE[:start] + BASE[BASE.index("repositories:\n") :]
    head = replaced(("  - {name: tool, registry: box}\n", ""), base=head)
    head = head[: head.index("  - name: team")]
    found = reviewed(tmp_path, head)
    assert verdict(found) == ["unmanaged"]
    assert found.plan.changes == ()
    assert said(found, Risk.UNMANAGED) == [
        "registry box leaves the spec: its 1 repository and the access that the spec gave there stay as they are, unwatched:"
        " neither a plan nor drift looks at it again; to delete it all, apply retired: true first"
    ]
    (finding,) = found.findings
    assert finding.base is not None
    assert BASE.splitlines()[finding.base.line - 1] == "  - name: box"


def test_a_value_that_many_use_is_one_cause_at_its_anchor(tmp_path: Path) -> None:
    base = replaced(
        ("version: 1\n", 'version: 1\nx-accounts: &prod ["333333333333"]\n'),
        ('["222222222222"]}', "*prod}"),
        ('account_ids:\n        - "333333333333"', "account_ids: *prod"),
    )
    head = replaced(('&prod ["333333333333"]', '&prod ["333333333333", "222222222222"]'), base=base)
    found = reviewed(tmp_path, head, base)
    assert lines(found, head, Risk.WIDENS) == ['x-accounts: &prod ["333333333333", "222222222222"]']
    assert said(found, Risk.WIDENS) == [
        "account 222222222222 can now pull and push cart (and the copy in eu-west-1)",
        "account 222222222222 can now pull payments (and the copy in eu-west-1)",
        "push does not include deleting images",
    ]


def test_a_new_repository_says_which_grants_cover_it_and_how(tmp_path: Path) -> None:
    head = replaced((PAYMENTS, f"{PAYMENTS}  - {{name: cart-2, registry: images}}\n"), ("[cart]", '["cart*"]'))
    base = replaced(("[cart]", '["cart*"]'))
    found = reviewed(tmp_path, head, base)
    assert lines(found, head, Risk.WIDENS) == ["- {name: cart-2, registry: images}"]
    text = said(found, Risk.WIDENS)
    assert (
        "cart-2: covered by grant production (by cart*) and grant staging (which covers every repository, present and future)"
        in text
    )


def test_who_can_overwrite_tags_is_named(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(("immutable_tags: true", "immutable_tags: false")))
    who = "role ci of account 111111111111"
    assert said(found, Risk.WEAKENS) == [
        f"cart: tags can be moved from the apply on: account 333333333333 and {who} can overwrite them",
        f"payments: tags can be moved from the apply on: {who} can overwrite them",
        "tool: tags can be moved from the apply on; the spec lets nobody push",
    ]


def test_a_replacement_says_the_gap_and_a_shorter_retention_which_images(tmp_path: Path) -> None:
    found = reviewed(
        tmp_path, replaced((", protect: true", f", protect: true, {KMS}"), ("keep_last: 100", "keep_last: 3"))
    )
    assert said(found, Risk.DESTROYS) == [
        "payments: the repository is replaced, since its encryption can't be changed: it is deleted and created again, nobody can"
        " pull from it in between, and it is empty afterwards (while it holds an image, apply refuses, unless --allow-delete names"
        " it); so is its copy in eu-west-1"
    ]
    assert said(found, Risk.WEAKENS) == [
        "cart, tool: images 4 to 100, counted from the newest, expire after the apply (keep_last: 100 → 3)"
        "; plan --count-expiring asks how many"
    ]


def test_a_pull_request_that_loosens_a_guard_and_uses_it_is_told_so(tmp_path: Path) -> None:
    loosened = replaced(
        ('["222222222222", "333333333333"]', '["222222222222", "333333333333", "444444444444"]'),
        ('["222222222222"]}', '["222222222222", "444444444444"]}'),
    )
    found = reviewed(tmp_path, loosened)
    assert verdict(found) == ["widens", "weakens"]
    assert found.by_head == ()
    (verdict_of_base,) = found.loosened
    assert (verdict_of_base.guard, "444444444444" in verdict_of_base.message) == ("allowed_accounts", True)
    assert "Guards of the base that would stop the plan, and that the head loosens" in review_text(found)


def test_a_platform_that_is_not_in_this_build_is_named(tmp_path: Path, without_external: None) -> None:
    absent = f"  - {ABSENT}\nrepositories:\n"
    head = replaced(
        ("repositories:\n", absent),
        ("{name: cart, registry: images}", "{name: cart, registry: images, scan_on_push: false}"),
    )
    found = reviewed(tmp_path, head)
    assert found.unread == {"eu": "external"}
    assert "Not reviewed: registry eu, since platform external is not in this build." in review_text(found)
    assert "weakens" in verdict(found)


ARN = "arn:aws:iam::222222222222:role"


@pytest.mark.parametrize(("old", "new"), [("deploy", "deploy-admin"), ("deploy", "release"), ("al", "al2")])
def test_what_takes_the_place_of_another_is_where_it_stands(tmp_path: Path, old: str, new: str) -> None:
    listed = f"role_arns: [\n        {ARN}/x,\n        {ARN}/{old}\n      ]}}"
    base = replaced(('account_ids: ["222222222222"]}', listed))
    head = replaced((f"{ARN}/{old}\n", f"{ARN}/{new}\n"), base=base)
    found = reviewed(tmp_path, head, base)
    assert lines(found, head, Risk.WIDENS) == [f"{ARN}/{new}"]
    assert verdict(found) == ["widens", "narrows"]
    assert not said(found, Risk.COSMETIC), "what has an effect is not said to have none"


def test_a_permission_and_what_is_given_beside_it_change_together(tmp_path: Path) -> None:
    to = 'to: {type: aws, account_ids: ["222222222222"]}'
    head = replaced((to, f"permission: push-pull\n    {to}"))
    base = replaced((to, f"also: [read]\n    {to}"))
    found = reviewed(tmp_path, head, base)
    assert lines(found, head, Risk.WIDENS) == ["permission: push-pull"]
    assert not said(found, Risk.COSMETIC)


def test_a_replacement_beside_another_change_names_what_can_t_be_changed(tmp_path: Path) -> None:
    head = replaced((", protect: true}", f", protect: true, description: x, {KMS}}}"))
    found = reviewed(tmp_path, head)
    (finding,) = [item for item in found.findings if item.risk is Risk.DESTROYS]
    assert finding.messages[0].startswith(
        "payments: the repository is replaced, since its encryption can't be changed:"
    )
    assert finding.spot is not None
    assert head.splitlines()[finding.spot.line - 1][finding.spot.column - 1 :].startswith("encryption:")


@pytest.mark.parametrize(
    ("own", "risk"),
    [("encryption: null", Risk.DESTROYS), ("immutable_tags: null", Risk.WEAKENS), ("retention: null", Risk.COSMETIC)],
)
def test_null_over_a_default_is_a_change_with_a_place(tmp_path: Path, own: str, risk: Risk) -> None:
    tool = "  - {name: tool, registry: box"
    base = replaced(
        ("    scan_on_push: true\n", f"    scan_on_push: true\n    {KMS}\n"), (tool, f"{tool}, encryption: null")
    )
    head = replaced(("{name: cart, registry: images}", f"{{name: cart, registry: images, {own}}}"), base=base)
    found = reviewed(tmp_path, head, base)
    assert lines(found, head, risk) == [f"- {{name: cart, registry: images, {own}}}"]


def test_a_registry_that_could_not_be_reviewed_is_never_said_to_have_no_effect(
    tmp_path: Path, without_external: None
) -> None:
    base = replaced(("repositories:\n", f"  - {ABSENT}\nrepositories:\n  - {{name: far, registry: eu}}\n"))
    found = reviewed(tmp_path, replaced(("  - {name: far, registry: eu}\n", ""), base=base), base)
    assert found.findings == ()
    (warning,) = found.warnings
    assert warning.startswith("registry eu changes at ")
    text = review_text(found)
    assert "no effect" not in text
    assert "nobody gains" not in text
    assert "nothing changes of what was reviewed" in text


SCANNED = "scanning: {{type: {}, {}: [images-*]}}"
TEMPLATE = "creation_templates: [{{prefix: x, for: [create_on_push], immutable_tags: {}}}]"
CACHE = "pull_through_cache: [{{prefix: xy, upstream: {}}}]"
ONCE, ALWAYS = "are no longer scanned when they are pushed", "are no longer scanned continuously"
AWS_WEAKER = {
    "scanning ends": (SCANNED.format("basic", "on_push"), "", ONCE),
    "scanning is basic": (
        SCANNED.format("enhanced", "on_push"),
        SCANNED.format("basic", "on_push"),
        "basic instead of enhanced",
    ),
    "continuous ends": (SCANNED.format("enhanced", "continuous"), SCANNED.format("enhanced", "on_push"), ALWAYS),
    "template": (TEMPLATE.format("true"), TEMPLATE.format("false"), "tags can be moved"),
    "upstream": (
        CACHE.format("quay.io"),
        CACHE.format("public.ecr.aws"),
        "comes from public.ecr.aws instead of quay.io",
    ),
    "sessions": ("max_session: 1h", "max_session: 12h", "lasts up to 12 hours instead of 1 hour"),
}


@pytest.mark.parametrize("name", AWS_WEAKER)
def test_what_a_registry_itself_protects_less(tmp_path: Path, name: str) -> None:
    before, after, words = AWS_WEAKER[name]
    at = "    region: eu-central-1\n"
    base = replaced((at, f"{at}    {before}\n"))
    found = reviewed(tmp_path, replaced((at, f"{at}    {after}\n")), base)
    assert "weakens" in verdict(found), review_text(found)
    assert any(words in item for item in said(found, Risk.WEAKENS)), review_text(found)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("immutable_tags: {except: [a*]}", "immutable_tags: {except: [a1]}"),
        ('keep_tags: ["v*"]', 'keep_tags: ["*"]'),
        ('protect: ["payments*"]', 'protect: ["pay*"]'),
        ("  protect:", "  max_deletes: 0\n  protect:"),
    ],
)
def test_what_protects_more_is_no_weakening(tmp_path: Path, before: str, after: str) -> None:
    base = replaced(("immutable_tags: true", before)) if "immutable" in before else BASE
    assert "weakens" not in verdict(reviewed(tmp_path, replaced((before, after), base=base), base))


def test_a_grant_with_another_name_that_is_for_more_is_at_who_was_added(tmp_path: Path) -> None:
    head = replaced(("name: staging", "name: stage"), ('["222222222222"]}', '["222222222222", "333333333333"]}'))
    found = reviewed(tmp_path, head)
    assert verdict(found) == ["widens"]
    assert lines(found, head, Risk.WIDENS) == ['to: {type: aws, account_ids: ["222222222222", "333333333333"]}']


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("prefix: '*'", "prefix: images-", ["narrows"]),
        ("prefix: images-", "prefix: '*'", ["widens"]),
        ("prefix: images-", "prefix: images-a", ["narrows"]),
    ],
)
def test_a_registry_policy_for_fewer_names_lets_nobody_do_more(
    tmp_path: Path, before: str, after: str, expected: list[str]
) -> None:
    at = "    region: eu-central-1\n"
    policy = at + '    registry_policy: [{{type: replication, {}, to: {{account_ids: ["333333333333"]}}}}]\n'
    base, head = (replaced((at, policy.format(prefix))) for prefix in (before, after))
    assert verdict(reviewed(tmp_path, head, base)) == expected


def test_an_account_in_the_place_of_another_among_those_that_are_allowed_is_where_it_stands(tmp_path: Path) -> None:
    head = replaced(('["222222222222", "333333333333"]', '["444444444444", "333333333333"]'))
    found = reviewed(tmp_path, head)
    (finding,) = found.findings
    assert finding.messages == ("guards.allowed_accounts allows 444444444444 too",)
    assert finding.spot is not None
    assert head.splitlines()[finding.spot.line - 1][finding.spot.column - 1 :].startswith('"444444444444"')
