"""Variables of the environment, which a review never reads: whoever they name may be anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.api.review import faults, read_review
from reconciler.errors import ReconcilerError, SpecError
from reconciler.render.review import stopping
from reconciler.render.review_document import review_json
from reconciler.render.review_markdown import review_markdown
from reconciler.review.model import Risk
from reconciler.review.unknown import NOT_KNOWN

from .specs import BASE, replaced, review_text, reviewed, said, verdict


@pytest.fixture(autouse=True)
def _a_secret_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROD", "CI", "NAME"):
        monkeypatch.setenv(name, "hunter2")


def test_a_principal_that_a_variable_names_may_widen(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(('["222222222222"]}', '["222222222222", "${env:PROD}"]}')))
    (finding,) = found.findings
    assert (finding.risk, finding.may, finding.title) == (Risk.WIDENS, True, "may widen")
    assert verdict(found) == ["widens"], "what can't be told counts"
    assert said(found, Risk.WIDENS) == [
        "account ${env:PROD} may now be able to pull cart, payments (and the copies in eu-west-1), whoever that is: it may be anybody"
    ]
    (guard,) = found.by_head
    assert guard.message.startswith("${env:PROD} would have access, and guards.allowed_accounts does not list it")
    assert found.warnings == (
        "a review reads no environment variable unless --env names it: what ${env:PROD} stands for is not known here",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('account_id: "111111111111"', 'account_id: "${env:PROD}"'),
        ("region: eu-central-1", "region: ${env:NAME}"),
        (".reconciler/box", "${env:NAME}"),
        ("[alice, bob]", '[alice, "${env:NAME}"]'),
        ('"arn:aws:iam::111111111111:role/ci"', '"${env:CI}"'),
        ('"arn:aws:iam::111111111111:role/ci"', '"arn:aws:iam::${env:PROD}:role/ci"'),
        ('"arn:aws:iam::111111111111:role/ci"', '"arn:aws:iam::111111111111:role/${env:CI}"'),
        ("{name: cart, registry: images}", "{name: cart, registry: images, description: 'by ${env:NAME}, 1'}"),
        ("{name: cart, registry: images}", "{name: cart, registry: images, labels: {team: '${env:NAME}'}}"),
    ],
)
def test_a_variable_can_stand_anywhere_and_its_value_nowhere(tmp_path: Path, old: str, new: str) -> None:
    base = (
        replaced(("role/ci", "role/ci")) if "account_id" not in new else replaced((":111111111111:", ":${env:PROD}:"))
    )
    found = reviewed(tmp_path, replaced((old, new), base=base), base)
    text = review_text(found)
    assert "${env:" in text
    assert "hunter2" not in text
    assert "unknown" not in text.replace("not known", "")
    assert "0000000000" not in text


def test_the_same_variable_in_both_is_the_same_whoever_that_is(tmp_path: Path) -> None:
    base = replaced(('["222222222222"]}', '["${env:PROD}"]}'))
    found = reviewed(tmp_path, replaced(("[alice, bob]", "[alice]"), base=base), base)
    assert verdict(found) == ["narrows"]
    assert said(found, Risk.NARROWS) == ["user bob can no longer pull tool"]


def test_a_variable_in_the_place_of_a_principal_may_narrow_too(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(('["222222222222"]}', '["${env:PROD}"]}')))
    assert verdict(found) == ["widens", "narrows"]
    assert said(found, Risk.NARROWS) == [
        "account 222222222222 may no longer be able to pull cart, payments (and the copies in eu-west-1), unless that is account"
        " ${env:PROD}"
    ]


def test_what_is_wrong_with_either_spec_is_said_of_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        reviewed(tmp_path, BASE, replaced(("platform: local", "platform: locl")))
    assert "base.yaml:19:" in str(error.value)
    with pytest.raises(
        SpecError, match=r"head\.yaml:31:20: grants\[1\]\.repositories\[0\]: registry images has no repository"
    ):
        reviewed(tmp_path, replaced(("[cart]", "[cartt]")))


def test_a_variable_that_fits_nowhere_is_an_error_that_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"head\.yaml:29:11: grants\[1\]\.name"):
        reviewed(tmp_path, replaced(("name: production", 'name: "not ${env:NAME}"')))


def test_nobody_can_write_what_stands_for_a_variable(tmp_path: Path) -> None:
    base = replaced(("[alice, bob]", '[alice, "${env:NAME}"]'))
    for word in ("unknown-1", "unknown-10", "000000000001"):
        found = reviewed(tmp_path, replaced(("[alice, bob]", f'[alice, "{word}"]')), base)
        assert verdict(found) == ["widens", "narrows"]
        assert said(found, Risk.WIDENS) == [f"user {word} can now pull tool"]
        assert reviewed(tmp_path, base, base).findings == ()


def test_a_grant_to_repositories_that_a_variable_names_may_cover_any(tmp_path: Path) -> None:
    base = replaced(("[cart]", '[cart, "${env:NAME}*"]'))
    more = reviewed(
        tmp_path, replaced(('- "333333333333"', '- "333333333333"\n        - "222222222222"'), base=base), base
    )
    assert [
        item for item in said(more, Risk.WIDENS) if "grant production covers repositories that a variable names" in item
    ]
    new = reviewed(
        tmp_path, replaced(("repositories:\n", "repositories:\n  - {name: new, registry: images}\n"), base=base), base
    )
    assert [
        item for item in said(new, Risk.WIDENS) if "grant production covers repositories that a variable names" in item
    ]
    two = "repositories:\n  - {name: new, registry: images}\n  - {name: newer, registry: images}\n"
    head = replaced(("repositories:\n", two), base=base)
    text = "grant production covers repositories that a variable names, so it may cover any of the registry"
    found = [item.spot for item in reviewed(tmp_path, head, base).findings if text in item.messages]
    there = [head.splitlines()[spot.line - 1].strip() for spot in found if spot is not None]
    assert there == ["- {name: new, registry: images}", "- {name: newer, registry: images}"]
    added = reviewed(tmp_path, base)
    assert verdict(added) == ["widens"]


def test_in_a_registry_whose_account_is_not_known_whoever_is_added_may_gain(tmp_path: Path) -> None:
    base = replaced(('account_id: "111111111111"', 'account_id: "${env:PROD}"'), (":111111111111:", ":${env:PROD}:"))
    role = '["222222222222"], role_arns: ["arn:aws:iam::222222222222:role/x"]'
    found = reviewed(tmp_path, replaced(('["222222222222"]', role), base=base), base)
    (finding,) = found.findings
    assert (finding.risk, finding.may) == (Risk.WIDENS, True)


def test_a_value_that_is_named_is_taken_and_used(tmp_path: Path) -> None:
    from reconciler.api.review import review

    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "head.yaml").write_text(replaced(("[alice, bob]", '[alice, "${env:NAME}"]')))
    found = review(tmp_path / "base.yaml", tmp_path / "head.yaml", environ={"NAME": "bob"})
    assert (found.findings, found.warnings) == ((), ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("to: {type: local, users: [alice, bob]}", 'to: {type: local, users: [alice, "${env:NAME}"]}'),
        ('account_ids: ["222222222222"]', 'role_arns: ["arn:aws:iam::${env:PROD}"]'),
        ('account_ids: ["222222222222"]', 'organization_paths: ["${env:PROD}"]'),
        ('account_ids: ["222222222222"]', 'account_ids: ["222222222222"], function_arns: ["${env:PROD}"]'),
    ],
)
def test_values_of_many_forms_can_be_unknown(tmp_path: Path, old: str, new: str) -> None:
    head = replaced((old, new))
    if "function_arns" in new:
        head = replaced(("function_arns", "allowed_service_types: [worker], function_arns"), base=head)
    assert reviewed(tmp_path, head).findings


@pytest.mark.parametrize("name", ["${env:NAME}", "team-${env:NAME}", "${env:NAME}-${env:CI}"])
def test_a_name_that_a_variable_gives_is_the_same_in_each_review(tmp_path: Path, name: str) -> None:
    base = replaced(("name: acme", f"name: '{name}'"))
    head = replaced(("[alice, bob]", "[alice, bob, carol]"), base=base)
    found = [reviewed(tmp_path, head, base) for _ in range(2)]
    assert [item.owner for item in found] == [name, name]
    assert review_text(found[0]).splitlines()[-2] == f"Review of {name}: widens (1 finding)."
    assert review_json(found[0]) == review_json(found[1])
    (tmp_path / "review.json").write_text(review_json(found[0]))
    assert read_review(tmp_path / "review.json").owner == name


def test_a_spec_that_can_t_be_read_has_the_same_name(tmp_path: Path) -> None:
    head = replaced(("name: acme", 'name: "${env:NAME}"'), ("[cart]", "[cartt]"))
    with pytest.raises(SpecError) as error:
        reviewed(tmp_path, head)
    assert faults(error.value, None, tmp_path / "head.yaml").owner == "${env:NAME}"


def test_a_variable_s_name_that_is_too_long_to_show(tmp_path: Path) -> None:
    long = replaced(("name: acme", f"name: '${{env:{'X' * 300}}}'"))
    (tmp_path / "review.json").write_text(review_json(reviewed(tmp_path, long, long)))
    assert read_review(tmp_path / "review.json").owner == "spec"


@pytest.mark.parametrize("owner", ["", "Acme", "-acme", "x" * 41, "a -->", "${env:}", "${env:A}\n", "${env:A|json}"])
def test_what_is_no_name_is_none_of_a_saved_review(tmp_path: Path, owner: str) -> None:
    document = {"format": 1, "owner": owner, "verdict": [], "findings": []}
    (tmp_path / "review.json").write_text(json.dumps(document))
    with pytest.raises(ReconcilerError, match="owner: must be a spec's name, at most 200 characters"):
        read_review(tmp_path / "review.json")


ACCOUNT = ('["222222222222"]}', '["222222222222", "${env:PROD}"]}')


def test_guards_that_hang_on_a_variable_may_stop_the_plan(tmp_path: Path) -> None:
    found = reviewed(tmp_path, replaced(ACCOUNT))
    text, marked = review_text(found), review_markdown(found)
    assert "\nGuards that may stop the plan\n" in text
    assert text.splitlines()[-2] == "Review of acme: may widen (1 finding); guards may stop the plan."
    assert marked.splitlines()[0] == "### acme: may widen (1 finding); guards may stop the plan"
    assert "\n#### :no_entry: May stop the plan\n" in marked


def test_guards_of_the_base_that_hang_on_a_variable_may_too(tmp_path: Path) -> None:
    listed = '  allowed_accounts: ["222222222222", "333333333333"]\n'
    found = reviewed(tmp_path, replaced(ACCOUNT, (listed, "")))
    text, marked = review_text(found), review_markdown(found)
    assert "\nGuards of the base that may stop the plan, and that the head loosens\n" in text
    assert text.splitlines()[-2].endswith("; guards of the base may stop the plan.")
    assert marked.splitlines()[0].endswith("; guards of the base may stop the plan")
    assert "\n#### :no_entry: The base's guards may stop it, and this change loosens them\n" in marked


MAY = f"x {NOT_KNOWN}"


@pytest.mark.parametrize(
    ("head", "base", "problems", "said"),
    [
        ([], [], False, ""),
        (["x"], [MAY], False, "; guards stop the plan"),
        (["x", MAY], ["x"], True, "; guards and problems stop the plan"),
        ([MAY], [], False, "; guards may stop the plan"),
        ([MAY], [MAY], False, "; guards may stop the plan"),
        ([MAY], ["x", MAY], False, "; guards may stop the plan, and those of the base would"),
        ([MAY], ["x"], True, "; problems stop the plan, and guards may"),
        ([], ["x"], False, "; guards of the base would stop the plan"),
        ([], ["x"], True, "; problems stop the plan"),
        ([], [MAY], False, "; guards of the base may stop the plan"),
    ],
)
def test_what_stops_a_plan_is_said_as_surely_as_it_is_known(
    head: list[str], base: list[str], problems: bool, said: str
) -> None:
    assert stopping(head, base, problems=problems) == said
