"""`who-can`: who can do what by the spec alone, and by which grant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.cli.who_can import NOTE

SPEC = """\
version: 1
name: demo
registries:
  - name: images
    platform: aws
    account_id: "111111111111"
    region: us-east-1
    replication_regions: [eu-west-1]
    trusted_principals: ["arn:aws:iam::111111111111:role/ci"]
  - {name: sandbox, platform: local, path: box}
  - {name: old, platform: local, path: old, retired: true}
repositories:
  - {name: web, registry: images}
  - {name: payments, registry: images}
  - {name: app, registry: sandbox}
  - {name: gone, registry: old}
grants:
  - {name: staging, registry: images, to: {type: aws, account_ids: ["222222222222"]}}
  - {name: production, registry: images, repositories: [web], permission: push-pull, to: {type: aws, account_ids: ["222222222222"]}}
  - {name: company, registry: images, repositories: [web], to: {type: aws, organization_ids: [o-abcdefghij]}}
  - {name: team, registry: sandbox, permission: push-pull, to: {type: local, users: [alice, bob]}}
  - {name: all, registry: sandbox, to: {type: local, users: ["*"]}}
  - {name: past, registry: old, to: {type: local, users: [carol]}}
"""
COMPANY = "any principal of organization o-abcdefghij can pull web (and the copy in eu-west-1) (grant company)"
STAGING = "account 222222222222 can pull payments, web (and the copies in eu-west-1) (grant staging)"
PRODUCTION = "account 222222222222 can pull and push web (and the copy in eu-west-1) (grant production)"
CI = (
    "role ci of account 111111111111 can pull and push every repository (and the copy in eu-west-1),"
    " through the registry's roles (the registry)"
)
ALL = "anyone can pull app (grant all)"
TEAM = ("user alice can pull and push app (grant team)", "user bob can pull and push app (grant team)")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "registry.yaml"
    path.write_text(SPEC)
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(["who-can", *arguments]) == 0
    printed, errors = capsys.readouterr()
    assert errors == f"{NOTE}\n"
    return printed.splitlines()


def paragraph(registry: str, *sentences: str) -> list[str]:
    return [f"{registry}:", *(f"  {sentence}" for sentence in sentences)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [*paragraph("images", PRODUCTION, STAGING, COMPANY, CI), "", *paragraph("sandbox", ALL, *TEAM)]),
        (
            ["--repository", "pay*"],
            paragraph("images", STAGING.replace("payments, web", "payments").replace("copies", "copy"), CI),
        ),
        (["--principal", "222222222222", "--repository", "web"],
         paragraph("images", PRODUCTION, STAGING.replace("payments, web", "web").replace("copies", "copy"), COMPANY)),
        (["--principal", "ALICE"], [*paragraph("images", COMPANY), "", *paragraph("sandbox", ALL, TEAM[0])]),
        (["--verb", "push", "--principal", "bob"], paragraph("sandbox", TEAM[1].replace("pull and ", ""))),
        (["--verb", "push", "--principal", "o-none"], ["Nobody."]),
        (["--repository", "app"], paragraph("sandbox", ALL, *TEAM)),
        (["--repository", "sandbox/app"], paragraph("sandbox", ALL, *TEAM)),
        (["--repository", "sandbox/*", "--verb", "push"], paragraph("sandbox", *(line.replace("pull and ", "") for line in TEAM))),
    ],
)  # fmt: skip
def test_each_principal_says_its_grants(
    spec: str, capsys: pytest.CaptureFixture[str], options: list[str], expected: list[str]
) -> None:
    assert said(capsys, spec, *options) == expected


def test_json_has_an_entry_for_each_grant(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, spec, "--format", "json", "--principal", "bob", "--verb", "push")
    found: list[dict[str, Any]] = json.loads("\n".join(printed))
    assert found == [
        {
            "principal": "user bob",
            "native": "",
            "account": "",
            "organization": "",
            "public": False,
            "verb": "push",
            "registry": "sandbox",
            "repository": "app",
            "where": "",
            "certain": True,
            "note": "",
            "grant": "team",
        }
    ]
    assert (
        json.loads("\n".join(said(capsys, spec, "--format", "json", "--principal", "bob", "--repository", "payments")))
        == []
    )


def test_a_repository_that_is_not_there_is_no_answer(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["who-can", spec, "--repository", "pyments"]) == 1
    error = "Error: --repository pyments: the spec has no such repository (did you mean 'payments'?)\n"
    assert capsys.readouterr().err == error
    assert run(["who-can", spec, "--repository", "images/app"]) == 1
    assert capsys.readouterr().err.startswith("Error: --repository images/app: the spec has no such repository")


@pytest.mark.parametrize(("verb", "near"), [("pul", " (did you mean 'pull'?)"), ("fly", ""), ("or", ""), ("", "")])
def test_a_verb_that_there_is_not_is_no_answer(
    spec: str, capsys: pytest.CaptureFixture[str], verb: str, near: str
) -> None:
    assert run(["who-can", spec, "--verb", verb]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "",
        f"Error: --verb {verb}: there is no such verb{near} (known: change, delete, pull, push)\n",
    )


@pytest.mark.parametrize("asked", ["arn:aws:s3:::bucket", "role/ci", "user:alice"])
def test_a_principal_as_a_platform_writes_it_is_no_answer(
    spec: str, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    assert run(["who-can", spec, "--principal", asked]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "",
        f"Error: --principal {asked}: nobody is called like that here; give a part of a name as it is printed, such as 'role ci of"
        " account 123456789012', or an account\n",
    )


def test_a_verb_that_nobody_has_is_a_question_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(SPEC.split("grants:")[0].replace("    trusted_principals", "    # trusted_principals"))
    assert said(capsys, str(path), "--verb", "push") == ["Nobody."]


ROLE = """\
version: 1
name: demo
registries:
  - {name: images, platform: aws, account_id: "111111111111", region: us-east-1}
repositories:
  - {name: web, registry: images}
grants:
  - {name: role, registry: images, to: {type: aws, role_arns: ["arn:aws:iam::222222222222:role/path/ci"]}}
  - {name: whole, registry: images, to: {type: aws, account_ids: ["333333333333"]}}
"""
EVERYBODY = """\
  - {name: all, registry: images, to: {type: aws, account_ids: ["*"]}}
  - {name: company, registry: images, to: {type: aws, organization_ids: [o-abcdefghij]}}
"""
BY_ROLE = "role path/ci of account 222222222222 can pull web (grant role)"
BY_ACCOUNT = "account 333333333333 can pull web (grant whole)"


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        ("arn:aws:iam::222222222222:role/path/ci", [BY_ROLE]),
        ("arn:aws:sts::222222222222:assumed-role/ci/session", [BY_ROLE]),
        ("arn:aws:iam::222222222222:role/other-ci", []),
        ("arn:aws:iam::222222222222:role/ci", []),
        ("arn:aws:iam::222222222222:user/ci", []),
        ("arn:aws:iam::222222222222:root", []),
        ("arn:aws:iam::333333333333:role/any", [BY_ACCOUNT]),
        ("arn:aws:iam::333333333333:root", [BY_ACCOUNT]),
        ("333333333333", [BY_ACCOUNT]),
    ],
)
def test_a_principal_is_asked_for_by_its_arn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arn: str, expected: list[str]
) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(ROLE)
    assert said(capsys, str(path), "--principal", arn) == (paragraph("images", *expected) if expected else ["Nobody."])
    path.write_text(ROLE + EVERYBODY)
    everybody = [
        *expected,
        "any principal of organization o-abcdefghij can pull web (grant company)",
        "anyone can pull web (grant all)",
    ]
    assert sorted(said(capsys, str(path), "--principal", arn)[1:]) == sorted(f"  {line}" for line in everybody)


def test_json_says_what_the_platform_calls_a_principal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(ROLE + EVERYBODY)
    found = json.loads("\n".join(said(capsys, str(path), "--format", "json")))
    assert {item["grant"]: item["native"] for item in found if item["grant"]} == {
        "role": "arn:aws:iam::222222222222:role/path/ci",
        "whole": "arn:aws:iam::333333333333:root",
        "all": "",
        "company": "",
    }


@pytest.mark.parametrize("name", ["app", "images"])
def test_whoever_can_pull_one_of_what_is_one_on_the_platform_can_pull_it_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """With `layout: shared` all repositories are one on Google Cloud, which is called as the registry is."""
    path = tmp_path / "registry.yaml"
    path.write_text(
        f"""\
version: 1
name: demo
registries: [{{name: images, platform: gcp, project: my-project, location: europe-west1, layout: shared}}]
repositories: [{{name: {name}, registry: images}}, {{name: other, registry: images}}]
grants: [{{name: ci, registry: images, permission: push-pull, to: {{type: gcp, members: ["group:ci@example.com"]}}}}]
"""
    )
    everything = said(capsys, str(path))
    assert "  group ci@example.com can pull and push every repository (grant ci)" in everything
    for one in (name, "other", f"images/{name}"):
        assert said(capsys, str(path), "--repository", one) == everything
