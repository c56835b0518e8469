"""What readers of reviews were misled by: each a change that a colleague makes, and what is to be said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.review.model import Finding, Review, Risk

from .specs import BASE, lines, replaced, review_text, reviewed, said, verdict

REGION = "    region: eu-central-1\n"
TOOL = "  - {name: tool, registry: box}\n"


def with_repository(text: str, base: str = BASE) -> str:
    return replaced((TOOL, f"{TOOL}  - {text}\n"), base=base)


#: without copies, since those have the registry's names
ALONE = replaced(("    replication_regions: [eu-west-1]\n", ""))


def the(found: Review, risk: Risk) -> Finding:
    (finding,) = [item for item in found.findings if item.risk is risk]
    return finding


# -- what may be somebody's, or may be there already ---------------------------------------------------------------------


def test_a_new_repository_whose_name_is_not_known_may_be_covered_by_any_grant(tmp_path: Path) -> None:
    found = reviewed(tmp_path, with_repository('{name: "${env:NAME}", registry: images}'))
    assert the(found, Risk.WIDENS).title == "may widen"
    assert "${env:NAME}: grant production (cart) may cover it, whatever its name is" in said(found, Risk.WIDENS)
    assert "grant team" not in review_text(found), "of another registry"


def test_an_adopted_repository_is_taken_over_with_its_images(tmp_path: Path) -> None:
    found = reviewed(tmp_path, with_repository("{name: old, registry: images, adopt: true, retention: {keep_last: 1}}"))
    assert said(found, Risk.CREATES) == [
        "old: a repository of that name is taken over, with the images that it holds, and gets the spec's settings; if there is none,"
        " it is made, with its copy in eu-west-1"
    ]
    assert the(found, Risk.WEAKENS).title == "may weaken"
    assert said(found, Risk.WEAKENS)[0].startswith(
        "old: if it is there already, all images but the newest one, and those with tags like v*, expire after the apply"
        " (keep_last: none → 1)"
    )


def test_an_adopted_local_repository_says_what_expires_too(tmp_path: Path) -> None:
    found = reviewed(tmp_path, with_repository("{name: old, registry: box, adopt: true, retention: {keep_last: 1}}"))
    assert any(
        "all images but the newest one, and those with tags like v*, expire" in text
        for text in said(found, Risk.WEAKENS)
    )


def test_a_repository_that_was_adopted_says_how_it_can_be_deleted(tmp_path: Path) -> None:
    base = with_repository("{name: old, registry: images, adopt: true}")
    found = reviewed(tmp_path, BASE, base)
    assert "it may have been there before the spec adopted it: then apply refuses" in said(found, Risk.DESTROYS)[0]


def test_a_grant_that_covers_nothing_says_whom_it_will_let_in(tmp_path: Path) -> None:
    grant = """\
  - name: future
    registry: images
    repositories: ["new-*"]
    permission: push-pull
    to: {type: aws, account_ids: ["999999999999"]}
"""
    found = reviewed(tmp_path, f"{BASE}{grant}")
    assert verdict(found) == ["cosmetic"]
    text = " ".join(said(found, Risk.COSMETIC))
    assert (
        "grant future covers no repository yet; it will let 999999999999 push and pull whatever is called new-*" in text
    )
    assert "nobody gains or loses access by it" not in text
    more = reviewed(tmp_path, f"{BASE}{grant.replace('999999999999', '*')}", f"{BASE}{grant}")
    assert "it will let * push and pull whatever is called new-*" in " ".join(said(more, Risk.COSMETIC))


def test_a_grant_that_covers_nothing_any_more_and_lets_anyone_in_says_both(tmp_path: Path) -> None:
    head = replaced(("repositories: [cart]", 'repositories: ["new-*"]'), ('"333333333333"\n', '"*"\n'))
    found = reviewed(tmp_path, head)
    assert verdict(found) == ["narrows"]
    assert "it will let * push and pull whatever is called new-*" in review_text(found)


# -- names on the platform ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", ["legacy/tool", "images-x"])
def test_one_repository_with_a_name_of_its_own_gives_nobody_anything_else(tmp_path: Path, native: str) -> None:
    found = reviewed(tmp_path, with_repository(f"{{name: x, registry: images, native_name: {native}}}", ALONE), ALONE)
    assert {access.repository for finding in found.findings for access in finding.gains} == {"x"}
    assert {finding.risk for finding in found.findings} == {Risk.WIDENS, Risk.CREATES}
    assert all(finding.spot for finding in found.findings)


def test_another_prefix_replaces_and_gives_the_roles_nothing(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced((REGION, f"{REGION}    prefix: shop/\n")))
    assert "every repository" not in review_text(found)
    assert "any repository" not in review_text(found)
    assert all("since its name can't be changed" in text for text in said(found, Risk.DESTROYS))


def test_a_repository_with_another_name_here_and_the_same_there_stays(tmp_path: Path) -> None:
    base = with_repository("{name: x, registry: images, native_name: legacy/x}", ALONE)
    head = with_repository("{name: y, registry: images, native_name: legacy/x}", ALONE)
    found = reviewed(tmp_path, head, base)
    assert "destroys" not in verdict(found), review_text(found)
    assert said(found, Risk.COSMETIC) == ["repository images/x is now called y, and stays what it is on the platform"]


# -- words ----------------------------------------------------------------------------------------------------------------


def test_a_role_that_nobody_has_any_more_is_lost_for_any_repository(tmp_path: Path) -> None:
    trusted = '    trusted_principals: ["arn:aws:iam::111111111111:role/ci"]\n'
    found = reviewed(tmp_path, replaced((trusted, "")))
    assert "can no longer push to any repository as images-push" in review_text(found)


def test_what_is_deleted_with_its_copy_is_said_once(tmp_path: Path) -> None:
    found = reviewed(
        tmp_path,
        replaced(("  - {name: cart, registry: images}\n", ""), ("repositories: [cart]", "repositories: [payments]")),
    )
    (text,) = said(found, Risk.DESTROYS)
    assert text.startswith("cart: the repository is deleted, with whatever images it holds")
    assert text.endswith("; so is its copy in eu-west-1")
    copies = reviewed(tmp_path, replaced(("    replication_regions: [eu-west-1]\n", "")))
    (text,) = said(copies, Risk.DESTROYS)
    assert text.startswith("cart, payments: the copy in eu-west-1 is deleted, with whatever images it holds")


def test_what_is_no_repository_is_said_with_its_kind_and_its_registry(tmp_path: Path) -> None:
    new = reviewed(tmp_path, replaced((REGION, f"{REGION}    scanning: {{type: enhanced}}\n")))
    assert "scanning rules of registry images: new" in said(new, Risk.CREATES)
    longer = reviewed(
        tmp_path,
        replaced((REGION, f"{REGION}    max_session: 12h\n")),
        replaced((REGION, f"{REGION}    max_session: 1h\n")),
    )
    assert said(longer, Risk.WEAKENS) == [
        "role pull of registry images, role push of registry images: a session lasts up to 12 hours instead of 1 hour"
    ]


def test_a_value_of_its_own_that_goes_gives_way_to_the_default(tmp_path: Path) -> None:
    own = replaced(("{name: tool, registry: box}", "{name: tool, registry: box, retention: {keep_last: 20}}"))
    gone = reviewed(tmp_path, BASE, own)
    assert any(
        "keep_last" in text and "keep_last 20 → keep_last 100, untagged_days 14" in text
        for text in said(gone, Risk.COSMETIC)
    ), review_text(gone)


def test_a_policy_that_removes_more_is_at_the_policy_and_said_once(tmp_path: Path) -> None:
    rule = "{rulePriority: 1, selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: %d}, action: {type: expire}}"
    text = "{name: x, registry: images, lifecycle_policy: {rules: [%s]}}"
    base = replaced(('retention: {keep_last: 100, untagged_days: 14, keep_tags: ["v*"]}', "labels: {}"))
    was, now = (with_repository(text % (rule % count), base) for count in (50, 5))
    found = reviewed(tmp_path, now, was)
    assert verdict(found) == ["weakens"]
    assert [finding.risk for finding in found.findings] == [Risk.WEAKENS], review_text(found)
    spot = the(found, Risk.WEAKENS).spot
    assert spot is not None
    assert now.splitlines()[spot.line - 1][spot.column - 1 :].startswith("{rulePriority: 1")


def test_a_retention_that_goes_says_the_rules_by_which_images_no_longer_expire(tmp_path: Path) -> None:
    head = replaced(('    retention: {keep_last: 100, untagged_days: 14, keep_tags: ["v*"]}\n', ""))
    found = reviewed(tmp_path, head)
    assert verdict(found) == ["cosmetic"]
    (quiet, ends) = said(found, Risk.COSMETIC)
    assert quiet.endswith("nobody gains or loses access by it")
    assert ends == (
        "cart, payments: its images no longer expire by these rules: keep images tagged v*; remove untagged images 14 days after"
        " their push; remove images that are not among the newest 100, unless an earlier rule selects them"
    )
    assert {"images.lifecycle.cart", "images.lifecycle.payments"} <= set(the(found, Risk.COSMETIC).addresses)


def test_a_registry_that_scans_nothing_is_not_said_to_stop(tmp_path: Path) -> None:
    (text,) = said(reviewed(tmp_path, replaced(("scan_on_push: true", "scan_on_push: false"))), Risk.WEAKENS)
    assert text.startswith("cart, payments: new images are not scanned")


def test_filters_that_are_left_are_named_beside_those_that_go(tmp_path: Path) -> None:
    scanning = "    scanning: {{type: enhanced, continuous: [{}]}}\n"
    was = replaced((REGION, REGION + scanning.format('"images-*", "images-pay*"')))
    now = replaced((REGION, REGION + scanning.format('"images-pay*"')))
    assert said(reviewed(tmp_path, now, was), Risk.WEAKENS) == [
        f"scanning rules of registry images: repositories like images-* are no longer scanned {how}, but those like images-pay* still"
        " are"
        for how in ("continuously", "when they are pushed")
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "creation_templates: [{prefix: ROOT, for: [create_on_push], immutable_tags: true, retention: {keep_last: 50}}]",
            "get ECR's own settings from the apply on, or those of another template: no longer immutable tags and a retention",
        ),
        (
            "pull_through_cache: [{prefix: pub, upstream: public.ecr.aws}]",
            "nothing more is cached from public.ecr.aws: what is not there yet can't be pulled",
        ),
    ],
)
def test_a_template_or_a_cache_that_goes_weakens(tmp_path: Path, line: str, words: str) -> None:
    found = reviewed(tmp_path, BASE, replaced((REGION, f"{REGION}    {line}\n")))
    assert "weakens" in verdict(found), review_text(found)
    assert any(text.endswith(words) for text in said(found, Risk.WEAKENS)), review_text(found)


# -- guards ---------------------------------------------------------------------------------------------------------------


def test_a_guard_that_protects_less_names_what_may_be_deleted(tmp_path: Path) -> None:
    base = with_repository("{name: payments-worker, registry: images}")
    head = replaced(('protect: ["payments*"]', 'protect: ["payments"]'), base=base)
    assert said(reviewed(tmp_path, head, base), Risk.WEAKENS) == [
        "guards.protect no longer names payments*: a later plan may delete images/payments-worker"
    ]


def test_a_repository_that_a_guard_still_protects_says_so(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced((", protect: true", "")))
    assert said(found, Risk.WEAKENS) == [
        "payments: a later plan may delete or replace it, once guards.protect no longer names it"
    ]


def test_what_a_guard_objects_to_in_the_base_too_is_said_so(tmp_path: Path) -> None:
    base = replaced(('["222222222222"]}', '["444444444444"]}'))
    found = reviewed(tmp_path, replaced(("scan_on_push: true", "scan_on_push: false"), base=base), base)
    assert [item.guard for item in found.by_head] == ["allowed_accounts"]
    assert all(item.message.endswith("; the base has that too") for item in found.by_head)
    new = reviewed(tmp_path, base)
    assert not any("the base has that too" in item.message for item in new.by_head)


def test_the_number_of_deletes_says_of_what(tmp_path: Path) -> None:
    retention = '    retention: {keep_last: 100, untagged_days: 14, keep_tags: ["v*"]}\n'
    head = replaced((retention, ""), ("guards:\n", "guards:\n  max_deletes: 0\n"))
    (guard,) = [item for item in reviewed(tmp_path, head).by_head if item.guard == "max_deletes"]
    assert guard.message.startswith("the plan deletes 4 resources of kind lifecycle; at most 0 are allowed")


def test_the_default_of_deletes_is_said_in_words(tmp_path: Path) -> None:
    base = replaced(("guards:\n", "guards:\n  max_deletes: 20%\n"))
    assert (
        "max_deletes goes from 20% to the default (30%, and no limit for up to 10 resources): one plan may delete more"
        in said(reviewed(tmp_path, BASE, base), Risk.WEAKENS)
    )


def test_a_protected_repository_that_goes_everywhere_is_put_back_everywhere(tmp_path: Path) -> None:
    base = replaced(('  protect: ["payments*"]\n', ""))
    head = replaced(("  - {name: payments, registry: images, protect: true}\n", ""), base=base)
    protected = [item.message for item in reviewed(tmp_path, head, base).by_head if item.guard == "protect"]
    assert len(protected) == 2
    assert not any("put the region" in text for text in protected)


# -- variables ------------------------------------------------------------------------------------------------------------


def test_who_loses_what_somebody_unknown_gains_may_be_that_somebody(tmp_path: Path) -> None:
    base = replaced(('account_ids: ["222222222222"]}', 'role_arns: ["arn:aws:iam::444444444444:role/ci"]}'))
    head = replaced(("444444444444:role/ci", "444444444444:role/${env:ROLE}"), base=base)
    found = reviewed(tmp_path, head, base)
    assert {finding.title for finding in found.findings} == {"may widen", "may narrow"}
    assert "it may be anybody in account 444444444444" in review_text(found)
    assert "unless that is role ${env:ROLE} of account 444444444444" in review_text(found)
    other = reviewed(tmp_path, replaced(("444444444444:role/ci", "555555555555:role/${env:ROLE}"), base=base), base)
    assert the(other, Risk.NARROWS).title == "narrows", "of another account, it is somebody else"


def test_a_region_that_is_not_known_may_be_the_one_that_was_there(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(("region: eu-central-1", 'region: "${env:REGION}"')))
    assert the(found, Risk.DESTROYS).title == "may destroy"
    assert all(finding.title == "may narrow" for finding in found.findings if finding.risk is Risk.NARROWS)


# -- places ---------------------------------------------------------------------------------------------------------------


def test_what_leaves_a_list_that_an_anchor_names_is_at_the_anchor(tmp_path: Path) -> None:
    anchor = 'x-people: &people ["222222222222", "333333333333"]\n'
    base = replaced(
        ("name: acme\n", f"name: acme\n{anchor}"), ('account_ids: ["222222222222"]', "account_ids: *people")
    )
    head = replaced((', "333333333333"]\n', "]\n"), base=base)
    found = reviewed(tmp_path, head, base)
    assert lines(found, head, Risk.NARROWS) == ['x-people: &people ["222222222222"]']


def test_repositories_of_one_name_are_told_apart_by_their_registries(tmp_path: Path) -> None:
    base = with_repository("{name: cart, registry: box}")
    head = replaced((", registry: box}\n  - {name: cart, registry: box}\n", ", registry: box}\n"), base=base)
    found = reviewed(tmp_path, head, base)
    assert said(found, Risk.DESTROYS)[0].startswith("box/cart: the repository is deleted")
    assert said(found, Risk.NARROWS) == [
        "user alice can no longer pull box/cart",
        "user bob can no longer pull box/cart",
    ]


def test_as_whom_calls_are_made_is_pointed_out(tmp_path: Path) -> None:
    role = "    assume_role: {role_arn: arn:aws:iam::111111111111:role/deployer}\n"
    found = reviewed(tmp_path, replaced((REGION, REGION + role)))
    assert verdict(found) == ["cosmetic"]
    assert "registry images: plans and applies act as somebody else from now on" in said(found, Risk.COSMETIC)


def test_a_grant_of_a_repository_that_is_new_or_goes_is_not_said_to_do_nothing(tmp_path: Path) -> None:
    """Who gains and who loses is said at the repository's own line; the grant's must not say the contrary."""
    rows = "  - {name: news, registry: box}\n  - {name: tool, registry: box}\n"
    world = 'grants:\n  - {name: world, registry: box, repositories: [news], to: {type: local, users: ["*"]}}\n'
    both = replaced(("  - {name: tool, registry: box}\n", rows), ("grants:\n", world))
    came, went = reviewed(tmp_path, both), reviewed(tmp_path, BASE, both)
    assert said(came, Risk.WIDENS)[0].startswith("anyone can now pull news")
    assert said(came, Risk.COSMETIC) == [
        "grant world is added; 1 resource is written again: who gains access by it is said of news, which is new"
    ]
    assert said(went, Risk.COSMETIC) == [
        "grant world is removed: who loses access by it is said of news, which is removed"
    ]


def test_a_folder_that_the_spec_calls_otherwise_still_belongs_to_the_old_name(tmp_path: Path) -> None:
    head = BASE.replace("name: box", "name: crate").replace("registry: box", "registry: crate")
    found = reviewed(tmp_path, head)
    assert [item.address for item in found.plan.problems] == ["crate.repository.tool"]
    assert said(found, Risk.CREATES) == []
    assert any("is called crate from now on" in item for item in said(found, Risk.UNMANAGED))
