"""Whatever can be known of a wrong spec is said in one run: pydantic stops at the first level that is wrong, the loader doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import load_spec, parse_spec
from reconciler.errors import SpecError
from reconciler.spec.models import Guards

HEAD = """\
version: 1
name: tests
registries:
  - {name: images, platform: aws, account_id: "123456789012", region: us-east-1}
"""


def told(text: str, head: str = HEAD) -> list[str]:
    """Each problem's path and sentence."""
    with pytest.raises(SpecError) as found:
        parse_spec(head + text)
    return [f"{problem.path}: {problem.message}" for problem in found.value.problems]


def registry(row: str) -> list[str]:
    return told(f"  - {row}\n")


def test_every_field_that_a_row_lacks_is_named() -> None:
    assert registry("{name: b, platform: aws}") == [
        "registries[1].account_id: is required",
        "registries[1].region: is required",
    ]
    assert told("grants: [{}]\nrepositories: [{}]\n") == [
        "grants[0].name: is required",
        "grants[0].registry: is required",
        "grants[0].to: is required",
        "repositories[0].name: is required",
        "repositories[0].registry: is required",
    ]


def test_a_registry_of_no_platform_still_needs_a_name() -> None:
    assert registry("{nam: b}") == ["registries[1].name: is required", "registries[1].platform: is required"]
    assert [problem.split(": ")[0] for problem in registry("{name: B, platform: asw}")] == [
        "registries[1].name",
        "registries[1].platform",
    ]


def test_what_a_wrong_row_refers_to_is_looked_up() -> None:
    assert told(
        "grants:\n  - {name: g, registry: uss, permission: write, to: {type: aws, role_arns: [x]}}\n"
        "  - {name: h, registry: images, repositories: [web], to: {type: asw}}\n"
        "  - {name: i, registry: images, permission: no, to: {type: local, users: [alice]}}\n"
    ) == [
        "grants[0].registry: no registry is named 'uss'",
        "grants[0].permission: must be pull, push-pull or admin, not 'write'",
        "grants[0].to.role_arns[0]: 'x' must be an IAM role's ARN, such as arn:aws:iam::123456789012:role/ci",
        "grants[1].repositories[0]: registry images has no repository named 'web'",
        "grants[1].to.type: must be aws, gcp, azure, azure-token, kubernetes or local, not 'asw' (did you mean 'aws'?)",
        "grants[2].permission: must be pull, push-pull or admin, not 'no'",
        "grants[2].to.type: a grant to 'local' is not supported by registry images, which can grant to aws or kubernetes",
    ]


def test_a_row_whose_registry_is_wrong_is_checked_against_what_is_known_of_it() -> None:
    assert told(
        "  - {name: other, platform: aws, account_id: 5}\n"
        "repositories:\n  - {name: a__b, registry: other}\ngrants:\n  - {name: g, registry: other, to: {type: local, users: [a]}}\n"
    ) == [
        "registries[1].region: is required",
        'registries[1].account_id: YAML reads 5 as a number: quote it ("5")',
        "repositories[0].name: ECR refuses the repository name 'other-a__b': words must be joined by a single '.', '_' or '-'",
        "grants[0].to.type: a grant to 'local' is not supported by registry other, which can grant to aws or kubernetes",
    ]


def test_the_right_parts_of_a_mapping_are_checked_beside_the_wrong_ones() -> None:
    reserved = "keys that start with 'reconciler-' or 'aws:' are reserved"
    row = '{name: a, registry: images, labels: {"aws:x": y, reconciler-owner: z, n: 3, 9x: "y"},'
    row += " retention: {keep_last: 0, keep_tags: [a*b*c*d*e*f]}}"
    assert told(f"repositories:\n  - {row}\n") == [
        f"repositories[0].labels.aws:x: {reserved}",
        f"repositories[0].labels.reconciler-owner: {reserved}",
        'repositories[0].labels.n: YAML reads 3 as a number: quote it ("3")',
        "repositories[0].labels.9x: '9x' must be a letter, then letters, digits and _.:/@+=-, at most 128 characters",
        "repositories[0].retention.keep_last: must be 1 or more, not 0",
        "repositories[0].retention.keep_tags[0]: 'a*b*c*d*e*f' has 5 wildcards (*); ECR allows at most 4",
    ]


def test_the_right_items_of_a_list_are_checked_at_their_own_places() -> None:
    assert registry(
        "{name: b, platform: aws, account_id: '123456789013', region: eu-west-1, max_session: 9m,"
        " replication_regions: [x, eu-west-1, us-west-2, us-west-2],"
        " trusted_principals: [{principal: x}, {principal: 'y'},"
        " {oidc: token.actions.githubusercontent.com, subject: ['', 'actor:y'], audience: ''}]}"
    ) == [
        "registries[1].max_session: is 9m; IAM allows 1h to 12h",
        "registries[1].replication_regions[0]: 'x' must be an AWS region, such as us-east-1",
        "registries[1].replication_regions[1]: eu-west-1 is the registry's own region",
        "registries[1].replication_regions[3]: 'us-west-2' is listed twice",
        "registries[1].trusted_principals[0]: give external_id, org_id, or both; without either, write the principal as plain text",
        "registries[1].trusted_principals[0].principal: 'x' must be an account id, or the ARN of a role or user",
        "registries[1].trusted_principals[1]: give external_id, org_id, or both; without either, write the principal as plain text",
        "registries[1].trusted_principals[1].principal: 'y' must be an account id, or the ARN of a role or user",
        "registries[1].trusted_principals[2].subject: 'actor:y' must name its owner (repo:my-org/...), or anyone's"
        " workflows on GitHub could log in",
        "registries[1].trusted_principals[2].subject[0]: must be a subject without control characters, at most 1000 characters",
        "registries[1].trusted_principals[2].audience: must not be empty",
    ]


def test_the_rules_between_fields_are_checked_beside_a_wrong_one_and_once_where_it_is_a_default() -> None:
    assert told(
        "defaults: {repository: {retention: {keep_tags: [v, ' ']}, labels: {n: 3}}}\n"
        "repositories:\n  - {name: A, registry: images}\n  - {name: b, registry: imges}\n"
    ) == [
        "defaults.repository.retention: needs keep_last or untagged_days (or remove retention)",
        "defaults.repository.retention.keep_tags[1]: ' ' must be a tag: letters, digits and . _ -, with the wildcard *,"
        " at most 128 characters",
        'defaults.repository.labels.n: YAML reads 3 as a number: quote it ("3")',
        "repositories[0].name: 'A' must be words of lower-case letters and digits, joined by '.', '_' or '-', in parts separated by"
        " '/',"
        " at most 255 characters",
        "repositories[1].registry: no registry is named 'imges' (did you mean 'images'?)",
    ]


def test_a_key_that_is_misspelt_is_no_default() -> None:
    assert told("grants:\n  - {name: g, registry: images, to: {type: aws, account_id: ['123456789012']}}\n") == [
        "grants[0].to.account_id: unknown key (did you mean 'account_ids'?)"
    ]


@pytest.mark.parametrize("value", ["[]", "0", "false", "''"])
@pytest.mark.parametrize("section", ["guards", "defaults"])
def test_a_section_that_is_no_mapping_is_told(section: str, value: str) -> None:
    known = {"guards": ", ".join(sorted(Guards.model_fields)), "defaults": "repository"}
    assert told(f"{section}: {value}\n") == [f"{section}: must be a mapping (known: {known[section]})"]


def test_what_should_be_a_mapping_is_answered_with_its_keys() -> None:
    arn = "arn:aws:iam::123456789012:role/ci"
    aws = "name: b, platform: aws, account_id: '123456789012', region: us-east-1"
    assert registry(f"{{{aws}, assume_role: {arn}}}") == [
        f"registries[1].assume_role: must be a mapping: `role_arn: {arn}` (known: external_id, role_arn)"
    ]
    assert registry(f"{{{aws}, assume_role: [], trusted_principals: [[]]}}") == [
        "registries[1].assume_role: must be a mapping with role_arn (known: external_id, role_arn)",
        "registries[1].trusted_principals[0]: must be a string, or a mapping",
    ]
    row = "{name: a, registry: images, retention: 3, encryption: key, immutable_tags: latest, labels: x}"
    assert told(f"repositories: [{row}]\ngrants: [{{name: g, registry: images, to: '123456789012'}}, x]\n") == [
        "repositories[0].retention: must be a mapping (known: keep_last, keep_tags, untagged_days)",
        "repositories[0].encryption: must be a mapping: `kms_key: key` (known: kms_key)",
        "repositories[0].immutable_tags: must be true or false, or a mapping with except (known: except)",
        "repositories[0].labels: must be a mapping (`key: value`)",
        "grants[0].to: must be a mapping with type",
        "grants[1]: must be a mapping with name, registry, and to (known: also, name, permission, registry, repositories, to)",
    ]


@pytest.mark.parametrize(("kind", "fault"), [("", "is required"), ("type: awss, ", "must be")])
def test_whom_a_grant_is_to_is_looked_at_although_its_type_is_not_known(kind: str, fault: str) -> None:
    target = f"{{{kind}account_ids: ['1'], regions: [mars]}}"
    first, *others = told(f"grants: [{{name: g, registry: images, to: {target}}}]\n")
    assert first.startswith(f"grants[0].to.type: {fault}")
    assert others == [
        "grants[0].to.account_ids[0]: '1' must be an AWS account id (12 digits, quoted), or '*' for anyone",
        "grants[0].to.regions[0]: 'mars' must be an AWS region, such as us-east-1",
    ]


def test_a_registry_is_looked_at_although_its_platform_is_not_known() -> None:
    assert registry("{name: b, platform: asw, region: mars}") == [
        "registries[1].platform: must be aws, gcp, azure, external or local, not 'asw' (did you mean 'aws'?)",
        "registries[1].region: 'mars' must be an AWS region, such as us-east-1",
    ]


def test_a_fault_that_only_follows_from_another_is_not_told() -> None:
    """The default of a field that is wrong is not what the text says."""
    assert told("grants:\n  - {name: g, registry: images, to: {type: aws, account_ids: ['1']}}\n") == [
        "grants[0].to.account_ids[0]: '1' must be an AWS account id (12 digits, quoted), or '*' for anyone"
    ]
    assert told("repositories:\n  - {name: a, registry: images, retention: {keep_last: x}}\n") == [
        "repositories[0].retention.keep_last: must be a whole number"
    ]
    # the region is unknown, so nothing that hangs on it is said
    assert told(
        "registries:\n  - {name: b, platform: aws, account_id: '123456789013', region: EU, replication_regions: [eu-west-1]}\n"
        "repositories:\n  - {name: a, registry: b, encryption: {kms_key: 'arn:aws:kms:eu-west-1:123456789012:key/x'}}\n",
        "version: 1\nname: tests\n",
    ) == ["registries[0].region: 'EU' must be an AWS region, such as us-east-1"]


def test_what_may_stand_where_nothing_can_be_read_is_not_said_to_be_missing(tmp_path: Path) -> None:
    refers = "repositories:\n  - {name: a, registry: s, protekt: 1}\n"
    refers += "grants:\n  - {name: g, registry: s, repositories: [b], to: {type: local}}\n"
    (tmp_path / "a.yaml").write_text("version: 1\nname: t\nregistries: [")
    (tmp_path / "b.yaml").write_text(refers)
    with pytest.raises(SpecError) as found:
        load_spec(tmp_path)
    assert [problem.path or problem.message[:8] for problem in found.value.problems] == [
        "not YAML",
        "repositories[0].protekt",
        "grants[0].to.users",
    ]
    # a registry or a repository whose name is wrong may be the one that is meant
    assert told("  - {nam: s, platform: local, path: p}\n" + refers) == [
        "registries[1].name: is required",
        "registries[1].nam: unknown key (did you mean 'name'?)",
        "repositories[0].protekt: unknown key (did you mean 'protect'?)",
        "grants[0].to.users: is required",
    ]
    known = "repositories:\n  - {nam: b, registry: images}\ngrants:\n"
    assert told(
        f"{known}  - {{name: g, registry: images, repositories: [b], to: {{type: aws, account_ids: [x]}}}}\n"
    ) == [
        "repositories[0].name: is required",
        "repositories[0].nam: unknown key (did you mean 'name'?)",
        "grants[0].to.account_ids[0]: 'x' must be an AWS account id (12 digits, quoted), or '*' for anyone",
    ]


def test_a_variable_that_is_not_set_hides_nothing_else() -> None:
    assert told("repositories:\n  - {name: '${env:NO}', registry: imges}\n") == [
        "repositories[0].name: the environment variable NO is not set",
        "repositories[0].registry: no registry is named 'imges' (did you mean 'images'?)",
    ]
