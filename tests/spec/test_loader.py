"""Loading a spec: what is right, and every way of being wrong, with its place and what to do."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import load_spec, parse_spec
from reconciler.errors import SpecError
from reconciler.spec.source import MAX_BYTES

HEAD = """\
version: 1
name: tests
registries:
  - name: images
    platform: aws
    account_id: "123456789012"
    region: us-east-1
  - {name: gcp-all, platform: gcp, project: my-project, location: europe-west1, layout: shared}
  - {name: gcp-each, platform: gcp, project: my-project, location: europe-west1}
  - {name: az, platform: azure, subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: g,
     location: westeurope, registry_name: acmeimages, sku: Basic}
  - {name: onprem, platform: external, url: "https://registry.example.com"}
  - {name: sandbox, platform: local, path: here}
"""


def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SpecError) as found:
        parse_spec(text, environ=environ)
    return [str(problem) for problem in found.value.problems]


def only(text: str, **environ: str) -> str:
    (problem,) = problems(text, environ)
    return problem


def repository(row: str) -> str:
    return f"{HEAD}repositories:\n  - {{{row}}}\n"


def grant(row: str) -> str:
    return f"{HEAD}repositories:\n  - {{name: app-a, registry: images}}\ngrants:\n  - {{name: g, {row}}}\n"


def test_the_documented_spec_loads() -> None:
    spec = load_spec(Path(__file__).parents[2] / "examples" / "every-platform" / "registry.yaml", {})
    assert [registry.platform for registry in spec.registries] == ["aws", "gcp", "azure", "external", "local"]
    app = spec.repositories[0]
    assert app.labels == {"team": "payments"}, "the repository's own value wins over the default"
    assert app.retention is not None
    assert (app.retention.keep_last, app.retention.untagged_days) == (50, 7)


def test_all_errors_come_at_once_each_with_file_line_and_column() -> None:
    text = """\
version: 1
name: Tests
registries:
  - {name: images, platform: aws, account_id: 123456789012, region: us-east-1}
repositories:
  - name: app-a
    registry: imges
    scan_on_pull: true
grants:
  - name: g
    registry: imags
    to: {type: azure, principal_ids: []}
"""
    assert problems(text) == [
        "registry.yaml:2:7: name: 'Tests' must be a lower-case letter, then lower-case letters, digits and dashes, at most 40"
        " characters",
        'registry.yaml:4:47: registries[0].account_id: YAML reads 123456789012 as a number: quote it ("123456789012")',
        "registry.yaml:7:15: repositories[0].registry: no registry is named 'imges' (did you mean 'images'?)",
        "registry.yaml:8:5: repositories[0].scan_on_pull: unknown key (did you mean 'scan_on_push'?)",
        "registry.yaml:11:15: grants[0].registry: no registry is named 'imags' (did you mean 'images'?)",
        "registry.yaml:12:38: grants[0].to.principal_ids: must not be empty",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (repository("name: a, registry: imges"), "no registry is named 'imges' (did you mean 'images'?)"),
        (repository("name: a, registry: images, keep: 1"), "unknown key (known: adopt, "),
        (repository("registry: images"), "repositories[0].name: is required"),
        (repository("name: App, registry: images"), "'App' must be words of lower-case letters"),
        (repository("name: a__b, registry: images"), "ECR refuses the repository name 'images-a__b'"),
        (repository(f"name: {'a' * 250}, registry: images"), "has 257 characters; ECR allows 2 to 256"),
        (repository("name: a/b, registry: gcp-each"), "Artifact Registry refuses the repository id 'gcp-each-a/b'"),
        (repository("name: a, registry: images, description: 5"), 'YAML reads 5 as a number: quote it ("5")'),
        (repository("name: a, registry: images, protect: 1"), "protect: must be true or false"),
        (
            repository("name: a, registry: images, labels: {country: no}"),
            'YAML reads no as true or false: quote it ("no")',
        ),
        (repository("name: a, registry: images, labels: {reconciler-x: y}"), "'reconciler-' or 'aws:' are reserved"),
        (repository("name: a, registry: images, labels: [x]"), "labels: must be a mapping"),
        (repository("name: a, registry: images, retention: {keep_tags: [v]}"), "needs keep_last or untagged_days"),
        (repository("name: a, registry: images, retention: {keep_last: 0}"), "keep_last: must be 1 or more, not 0"),
        (
            repository("name: a, registry: images, immutable_tags: {except: [x], exept: [y]}"),
            "(did you mean 'except'?)",
        ),
        (repository("name: a, registry: images, immutable_tags: {except: [a, b, c, d, e, f]}"), "at most 5 exceptions"),
        (repository("name: a, registry: images, encryption: {kms_key: alias/x}"), "must be a key's ARN"),
        (
            repository("name: a, registry: images, encryption: {kms_key: 'arn:aws:kms:eu-west-1:123456789012:key/x'}"),
            "the key is in eu-west-1, the registry in us-east-1",
        ),
        (repository("name: a, registry: sandbox, encryption: {kms_key: x}"), "the local platform does not encrypt"),
        (repository("name: a, registry: images, lifecycle_policy: {rules: []}"), "needs a list of rules"),
        (repository("name: a, registry: az, retention: {untagged_days: 1}"), "retention needs sku: Premium, not Basic"),
        (
            repository("name: a, registry: onprem, retention: {keep_last: 1}"),
            "this is up to the external registry's operator",
        ),
        (
            grant("registry: images, to: {type: gcp, service_account_emails: ['a@b.iam.gserviceaccount.com']}"),
            "a grant to 'gcp' is not supported by registry images, which can grant to aws or kubernetes",
        ),
        (
            grant("registry: onprem, to: {type: aws, account_ids: ['123456789012']}"),
            "is not supported by registry onprem, which can grant to kubernetes",
        ),
        (
            grant("registry: images, repositories: [ap-a], to: {type: aws, account_ids: ['123456789012']}"),
            "registry images has no repository named 'ap-a' (did you mean 'app-a'?)",
        ),
        (
            grant(
                "registry: gcp-all, repositories: ['x*'], to: {type: gcp, service_account_emails: ['a@b.iam.gserviceaccount.com']}"
            ),
            "use layout: repository, or remove repositories",
        ),
        (grant("registry: images, to: {type: aws}"), "names nobody"),
        (
            grant("registry: images, to: {type: aws, account_ids: ['1']}"),
            "'1' must be an AWS account id (12 digits, quoted)",
        ),
        (grant("registry: images, to: {type: asw}"), "(did you mean 'aws'?)"),
        (grant("registry: images, to: {account_ids: ['123456789012']}"), "grants[0].to.type: is required"),
        (
            grant("registry: images, permission: push, to: {type: aws, account_ids: ['123456789012']}"),
            "must be pull, push-pull or admin, not 'push'",
        ),
        (
            grant("registry: images, to: {type: aws, account_ids: ['123456789012', '123456789012']}"),
            "'123456789012' is listed twice",
        ),
        (
            grant(
                "registry: images, to: {type: aws, role_arns: ['arn:aws:iam::123456789012:role/r'], allowed_service_types: [worker]}"
            ),
            "worker needs account_ids or function_arns",
        ),
        (
            grant("registry: images, to: {type: aws, account_ids: ['123456789012'], regions: [us-east-1]}"),
            "grants[0].to.regions: regions restrict only the worker statement; add allowed_service_types: [worker], or"
            " remove regions",
        ),
        (
            grant(
                "registry: images, to: {type: aws, regions: [us-east-1],"
                " function_arns: ['arn:aws:lambda:eu-west-1:123456789012:function:f']}"
            ),
            "'arn:aws:lambda:eu-west-1:123456789012:function:f' is in eu-west-1, which is not listed in regions",
        ),
        (
            grant("registry: images, to: {type: aws, role_arns: ['arn:aws-cn:iam::123456789012:role/r']}"),
            "is not in the partition aws of us-east-1",
        ),
        (
            "version: 1\nname: x\nregistries:\n  - {name: i, platform: aws, account_id: '123456789012', region: us-east-1,"
            " trusted_principals: ['123456789012', {principal: '123456789013', external_id: xx},"
            " {principal: '123456789013', external_id: xx}]}\n",
            "trusted_principals[2]: is listed twice",
        ),
        (f"{HEAD}guards: {{max_deletes: ten}}\n", "'ten' must be a number, or a percentage such as 10%"),
        (f"{HEAD}guards: {{allowed_accounts: [12345]}}\n", 'YAML reads 12345 as a number: quote it ("12345")'),
        (f"{HEAD}guard: {{}}\n", "guard: unknown key (did you mean 'guards'?)"),
        (f"{HEAD}repositories: {{}}\n", "repositories: must be a list"),
        ("name: x\n", "version: is required"),
        ("version: 2\nname: x\n", "version: must be 1, not '2'"),
        ("version: true\nname: x\n", "version: must be 1, not 'true'"),
        ("version: 1.0\nname: x\n", "version: must be 1, not '1.0'"),
        ("version: null\nname: x\n", "version: must be 1, not 'null'"),
        ("version: [1]\nname: x\n", "version: must be 1, not ''"),
        ('version: "1"\nname: x\n', "version: must be the number 1, not a string: remove the quotes"),
        ("- a\n", "must be a mapping"),
        ("", "the spec is empty"),
        ("# nothing\n", "the spec is empty"),
        ("version: 1\nname: x\nx-a: 1\nx-b: 2\nx-a: 3\n", "5:1: x-a: the key appears twice (first at line 3)"),
        (
            '{"format": 3, "tool": "1", "changes": []}',
            "is a plan file, not a spec: `reconciler show registry.yaml` prints it, `reconciler apply registry.yaml` applies it",
        ),
        ("version: 1\nname: [\n", "not YAML: "),
        ("version: 1\nname: x\nname: y\n", "the key appears twice (first at line 2)"),
        ("version: 1\nname: !secret x\n", "the tag !secret is not supported here"),
        ("version: 1\nname: x\ndefaults: &d {repository: *d}\n", "the anchor contains itself"),
        ("version: 1\n---\nname: x\n", "not YAML: but found another document"),
    ],
)
def test_each_error_says_what_is_wrong_and_what_to_do(text: str, expected: str) -> None:
    assert expected in only(text)


def test_lambda_is_an_alias_of_worker() -> None:
    row = "registry: images, to: {{type: aws, account_ids: ['123456789012'], allowed_service_types: {}}}"
    ours, alias = (parse_spec(grant(row.format(given))) for given in ("[worker]", "[lambda]"))
    assert alias == ours
    assert "'worker' is listed twice" in only(grant(row.format("[worker, lambda]")))
    assert only(grant(row.format("[lamda]"))).endswith("must be worker or lambda, not 'lamda' (did you mean 'lambda'?)")
    assert only(grant(row.format("[ecs]"))).endswith("must be worker or lambda, not 'ecs'")


@pytest.mark.parametrize("number", ["012345678901", "123456789012", "0x12", "1_000_000"])
def test_ids_that_yaml_would_turn_into_numbers_are_told_to_be_quoted(number: str) -> None:
    text = (
        f"version: 1\nname: x\nregistries:\n  - {{name: i, platform: aws, account_id: {number}, region: us-east-1}}\n"
    )
    assert only(text) == (
        f'registry.yaml:4:42: registries[0].account_id: YAML reads {number} as a number: quote it ("{number}")'
    )


def test_names_defined_twice_show_both_places() -> None:
    text = (
        repository("name: a, registry: images") + "  - {name: a, registry: images}\n  - {name: a, registry: sandbox}\n"
    )
    assert only(text).endswith("repositories[1].name: 'a' is defined twice: here and at registry.yaml:15:12")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("region: us-east-1", "region: us-east-1", True),
        ("region: us-east-1, replication_regions: [eu-west-1]", "region: eu-west-1", True),
        ("region: us-east-1", "region: eu-west-1", False),
    ],
)
def test_registries_whose_repositories_could_not_be_told_apart_are_refused(first: str, second: str, told: bool) -> None:
    text = (
        "version: 1\nname: x\nregistries:\n"
        f"  - {{name: images, platform: aws, account_id: '123456789012', {first}}}\n"
        f"  - {{name: images-eu, platform: aws, account_id: '123456789012', {second}}}\n"
        "repositories:\n  - {name: eu-app, registry: images}\n"
    )
    # a name that only starts like another's is nothing to worry about
    assert len(parse_spec(text + "  - {name: application, registry: images-eu}\n").repositories) == 2
    text += "  - {name: app, registry: images-eu}\n"
    if told:
        with pytest.raises(SpecError) as raised:
            parse_spec(text)
        says = [f"{item.line}: {item.message}" for item in raised.value.problems]
        place = f"in the same account and region ({'eu-west-1' if 'replication' in first else 'us-east-1'})"
        assert says == [
            f"7: on the platform it is 'images-eu-app', as is repository app of registry images-eu, {place}: give one of"
            " them another native_name",
            f"8: on the platform it is 'images-eu-app', as is repository eu-app of registry images, {place}: give one of"
            " them another native_name",
        ]
    else:
        assert len(parse_spec(text).registries) == 2


def test_environment_variables_are_taken_and_a_missing_one_is_told_at_its_line() -> None:
    text = HEAD.replace('"123456789012"', '"${env:ACCOUNT}"')
    assert only(text) == "registry.yaml:6:17: registries[0].account_id: the environment variable ACCOUNT is not set"
    assert parse_spec(text, environ={"ACCOUNT": "210987654321"}).registries[0].own_account == "210987654321"


def test_the_value_of_an_environment_variable_is_in_no_error() -> None:
    text = HEAD.replace('"123456789012"', '"${env:ACCOUNT}"')
    told = only(text, ACCOUNT="hunter2")
    assert "hunter2" not in told
    assert "'${env:ACCOUNT}' must be an AWS account id" in told


def test_a_wrong_default_is_told_once_at_the_default() -> None:
    text = repository("name: a, registry: images") + "  - {name: b, registry: images}\n"
    text += "defaults: {repository: {retention: {keep_lst: 3}}}\n"
    assert problems(text) == [
        "registry.yaml:17:37: defaults.repository.retention.keep_lst: unknown key (did you mean 'keep_last'?)"
    ]


def test_defaults_merge_under_each_repository_and_null_takes_one_away() -> None:
    text = repository("name: a, registry: images, retention: {keep_last: 5}, labels: {own: '1'}") + (
        "  - {name: b, registry: images, retention: null}\n"
        "defaults: {repository: {retention: {keep_last: 9, untagged_days: 3}, labels: {team: t}, scan_on_push: true}}\n"
    )
    first, second = parse_spec(text).repositories
    assert first.retention is not None
    assert (first.retention.keep_last, first.retention.untagged_days) == (5, 3)
    assert first.labels == {"team": "t", "own": "1"}
    assert second.retention is None
    assert first.scan_on_push
    assert second.scan_on_push


def test_anchors_and_merge_keys_work_as_in_yaml() -> None:
    text = repository("name: a, registry: images, <<: &base {scan_on_push: true, description: base}") + (
        "  - {name: b, registry: images, <<: *base, description: own}\n"
    )
    first, second = parse_spec(text).repositories
    assert (first.scan_on_push, first.description, second.scan_on_push, second.description) == (
        True,
        "base",
        True,
        "own",
    )


def test_an_anchor_bomb_is_refused_quickly() -> None:
    text = "version: 1\nname: x\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert any("an anchor bomb" in problem for problem in problems(text))


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 60_000, "? " * 60_000])
def test_text_that_nests_too_deep_is_refused_instead_of_ending_the_process(text: str) -> None:
    assert "levels deep" in only(text)


def test_a_few_hundred_levels_are_refused_too() -> None:
    assert "levels deep" in only("version: 1\nname: x\ndefaults: " + "[" * 900 + "]" * 900)


def test_a_file_over_the_limit_is_refused_with_its_size() -> None:
    assert "33,554,433 bytes" in only("#" * (MAX_BYTES + 1))


@pytest.mark.parametrize("data", [b"\xff bad", b"version: \x00"])
def test_bytes_that_are_no_text_are_told(data: bytes) -> None:
    with pytest.raises(SpecError, match="not YAML"):
        parse_spec(data)


def test_a_folder_is_merged_and_a_name_in_two_files_shows_both(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nname: x\nregistries:\n  - {name: s, platform: local, path: p}\n")
    (tmp_path / "b.yml").write_text("version: 1\nrepositories:\n  - {name: a, registry: s}\n")
    (tmp_path / "c.yaml").write_text("repositories:\n  - {name: b, registry: s}\n")
    (tmp_path / "notes.txt").write_text("not a spec")
    spec = load_spec(tmp_path)
    assert [item.name for item in spec.repositories] == ["a", "b"]
    assert spec.base == str(tmp_path)
    (tmp_path / "c.yaml").write_text("name: y\nrepositories:\n  - {name: a, registry: s}\n")
    with pytest.raises(SpecError) as found:
        load_spec(tmp_path)
    assert [str(problem).removeprefix(str(tmp_path)) for problem in found.value.problems] == [
        f"/c.yaml:1:1: name: is defined twice: here and at {tmp_path}/a.yaml:2:1",
        f"/c.yaml:3:12: repositories[1].name: 'a' is defined twice: here and at {tmp_path}/b.yml:3:12",
    ]


def test_hidden_files_are_no_part_of_a_folder_and_folders_in_it_are(tmp_path: Path) -> None:
    (tmp_path / "a.YAML").write_text("version: 1\nname: x\nregistries:\n  - {name: s, platform: local, path: p}\n")
    for place, name in ((".", "b.Yml"), ("teams", "c.yaml"), ("teams/web", "d.yml")):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / name).write_text(f"repositories:\n  - {{name: {name[0]}, registry: s}}\n")
    for place, name in (
        (".", "._a.yaml"),
        (".", ".pre-commit-config.yaml"),
        (".github", "w.yml"),
        ("teams/.x", "y.yaml"),
    ):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / name).write_bytes(b"\x00\x05not a spec")
    (tmp_path / "folder.yaml").mkdir()
    spec = load_spec(tmp_path)
    assert [item.name for item in spec.repositories] == ["b", "c", "d"]
    (tmp_path / "teams" / "c.yaml").write_text("repositories:\n  - {name: C, registry: s}\n")
    with pytest.raises(SpecError) as found:
        load_spec(tmp_path)
    assert [problem.file for problem in found.value.problems] == [str(tmp_path / "teams" / "c.yaml")]


def test_a_file_of_a_folder_that_lost_what_was_in_it_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nname: x\n")
    (tmp_path / "b.yaml").write_text("# repositories: []\n")
    assert load_spec(tmp_path).name == "x"
    (tmp_path / "c.yaml").write_text(" \n")
    with pytest.raises(SpecError) as found:
        load_spec(tmp_path)
    assert [str(problem) for problem in found.value.problems] == [
        f"{tmp_path}/c.yaml:1:1: the file is empty; if that is intended, add a comment"
    ]
    (tmp_path / "c.yaml").unlink()
    (tmp_path / "a.yaml").write_text("# version: 1\n")
    with pytest.raises(SpecError, match="the folder's files contain only comments"):
        load_spec(tmp_path)


def test_a_hidden_file_is_read_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / ".spec.yaml").write_text("version: 1\nname: x\n")
    assert load_spec(tmp_path / ".spec.yaml").name == "x"
    with pytest.raises(SpecError, match=r"the folder has no \.yaml, \.yml or \.json files"):
        load_spec(tmp_path)


def test_top_level_keys_that_begin_with_x_are_free(tmp_path: Path) -> None:
    text = (
        "x-base: &base {scan_on_push: true, description: base}\n"
        "x-odd: [{whatever: [!secret 1, '${env:NOT_SET}']}]\n"
        "x-text: &text said once\n"
        + repository("name: a, registry: images, <<: *base, description: own")
        + "  - {name: b, registry: images, description: *text}\n"
    )
    first, second = parse_spec(text).repositories
    assert (first.scan_on_push, second.description) == (True, "said once")
    assert "x-no: unknown key" in only(repository("name: a, registry: images, x-no: 1")).replace("repositories[0].", "")
    assert "xbase: unknown key" in only(f"{HEAD}xbase: 1\n")
    (tmp_path / "a.yaml").write_text(f"{HEAD}x-base: 1\n")
    (tmp_path / "b.yaml").write_text("x-base: 2\n")
    assert load_spec(tmp_path).name == "tests", "anchors belong to their file, so two files may name them alike"


def test_a_free_key_that_is_used_is_checked_where_it_stands() -> None:
    text = "x-base: &base {scan_on_pull: true}\n" + repository("name: a, registry: images, <<: *base")
    assert only(text) == "registry.yaml:1:16: repositories[0].scan_on_pull: unknown key (did you mean 'scan_on_push'?)"


def test_a_version_in_quotes_in_another_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nname: x\n")
    (tmp_path / "b.yaml").write_text('version: "1"\n')
    with pytest.raises(SpecError, match=r"b.yaml:1:1: version: is defined twice"):
        load_spec(tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"can't be read: No such file"):
        load_spec(tmp_path / "registry.yaml")
    with pytest.raises(SpecError, match=r"the folder has no \.yaml, \.yml or \.json files"):
        load_spec(tmp_path)


@given(st.text(max_size=200))
def test_no_text_makes_the_loader_fail_otherwise_than_with_spec_errors(text: str) -> None:
    with pytest.raises(SpecError):
        parse_spec(text.encode("utf-8", "surrogatepass"))


@given(
    st.lists(
        st.sampled_from(
            [
                "version: 1\n",
                "name: x\n",
                "registries:\n",
                "  - name: a\n",
                "    platform: aws\n",
                "grants: [",
                "{",
                "}",
                "]\n",
                "a: &a [*a]\n",
                "repositories: *a\n",
                "\t",
                "'",
                "- - -\n",
                "? x\n",
                "!!python/object:os.system x\n",
            ]
        ),
        max_size=12,
    )
)
def test_no_yaml_makes_the_loader_fail_otherwise_than_with_spec_errors(pieces: list[str]) -> None:
    with suppress(SpecError):
        assert parse_spec("".join(pieces)).name == "x"


def test_a_part_of_a_spec_folder_that_cannot_be_read_is_an_error_and_never_left_out(tmp_path: Path) -> None:
    """Left out, what it names would be planned for deletion."""
    (tmp_path / "a.yaml").write_text("version: 1\nname: t\n")
    (tmp_path / "b.yaml").symlink_to("gone.yaml")
    os.mkfifo(tmp_path / "c.yml")
    with pytest.raises(SpecError) as raised:
        load_spec(tmp_path)
    assert [Path(problem.file).name for problem in raised.value.problems] == ["b.yaml", "c.yml"]
    assert all("can't be read" in problem.message for problem in raised.value.problems)


def test_folders_that_links_lead_to_are_read_once(tmp_path: Path) -> None:
    spec, teams = tmp_path / "spec", tmp_path / "teams"
    spec.mkdir()
    teams.mkdir()
    (spec / "a.yaml").write_text("version: 1\nname: t\nregistries: [{name: r, platform: local, path: x}]\n")
    (teams / "b.yaml").write_text("repositories: [{name: b, registry: r}]\n")
    (spec / "one").symlink_to(teams)
    (spec / "two").symlink_to(teams)
    (teams / "round").symlink_to(spec)
    assert [item.name for item in load_spec(spec).repositories] == ["b"]
