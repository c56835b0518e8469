"""Values on AWS that no spec can ask for: each differs from every desired one, is shown as it is, and is put right."""

from __future__ import annotations

import copy
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.canonical import applied_hash
from reconciler.model.change import Action, Cause
from reconciler.platforms.aws import native
from reconciler.platforms.aws.replication import ReplicationSettings
from reconciler.platforms.aws.repository_settings import RepositorySettings
from reconciler.platforms.aws.tags import decoded, encoded
from reconciler.words import value
from tests.emulators.aws import Quiet, Says
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

AT = "images.repository.app-a"
WILDCARD = {"filterType": "WILDCARD", "filter": "release-*"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, native.Mutability()),
        ({"imageTagMutability": "MUTABLE"}, native.Mutability()),
        ({"imageTagMutability": "IMMUTABLE"}, native.Mutability(True)),
        (
            {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": [WILDCARD]},
            native.Mutability(True, ("release-*",)),
        ),
        (
            {"imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": [WILDCARD]},
            native.Mutability(other="MUTABLE_WITH_EXCLUSION except release-*"),
        ),
        (
            {
                "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                "imageTagMutabilityExclusionFilters": [{"filterType": "REGEX", "filter": "v.*"}, WILDCARD],
            },
            native.Mutability(other='IMMUTABLE_WITH_EXCLUSION except release-*, {"filter":"v.*","filterType":"REGEX"}'),
        ),
        ({"imageTagMutability": "SOMETIMES"}, native.Mutability(other="SOMETIMES")),
    ],
)
def test_what_a_spec_cannot_say_of_tags_is_kept_as_ecr_says_it(said: Document, expected: native.Mutability) -> None:
    assert native.mutability_of(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ""),
        ({"encryptionType": "AES256"}, ""),
        ({"encryptionType": "KMS", "kmsKey": KEY}, KEY),
        ({"encryptionType": "KMS"}, "the AWS managed key"),
        ({"encryptionType": "KMS_DSSE", "kmsKey": KEY}, f"KMS_DSSE {KEY}"),
        ({"encryptionType": "QUANTUM"}, "QUANTUM"),
        ({"encryptionType": "KMS", "kmsKey": KEY, "layers": "2"}, f'KMS {KEY} {{"layers":"2"}}'),
    ],
)
def test_what_a_spec_cannot_say_of_encryption_is_kept_as_ecr_says_it(said: Document, expected: str) -> None:
    assert native.encryption_of({"encryptionConfiguration": said}) == expected


@given(st.text(string.ascii_uppercase + "_", min_size=1).filter(lambda word: word not in ("MUTABLE", "IMMUTABLE")))
def test_no_unknown_word_for_mutability_counts_as_a_known_one(word: str) -> None:
    found = native.mutability_of({"imageTagMutability": word})
    assert found.other == word or (word == native.EXCEPT and found.immutable)


def test_the_hashes_in_the_clouds_are_still_the_same() -> None:
    everything = RepositorySettings("d", True, ("latest",), True, KEY, (("team", "a"),), True, True)
    assert applied_hash(RepositorySettings()) == "v1-44136fa355b3678a"
    assert applied_hash(everything) == "v1-52cc23e02662b733"
    assert applied_hash(ReplicationSettings(("eu-west-1",))) == "v1-57139b1a12d42e8f"


@pytest.mark.parametrize(
    ("wanted", "word"),
    [(True, native.IMMUTABLE), (False, native.MUTABLE), ({"except": ["release-*"]}, native.EXCEPT)],
)
def test_mutable_with_exclusion_is_drift_shown_and_put_right(aws: AwsSandbox, wanted: Any, word: str) -> None:
    document = aws.document({"name": "app-a", "immutable_tags": wanted})
    aws.apply(document)
    aws.client("ecr").put_image_tag_mutability(
        repositoryName="images-app-a",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[WILDCARD],
    )
    (change,) = aws.plan(document).changes
    assert (change.address, change.action, change.cause) == (AT, Action.UPDATE, Cause.DRIFT)
    assert [(item.path, item.old) for item in change.fields] == [
        ("immutable_tags", "MUTABLE_WITH_EXCLUSION except release-*")
    ]
    aws.apply(document)
    assert aws.plan(document).changes == ()
    assert aws.state()["repositories"]["us-east-1/images-app-a"]["imageTagMutability"] == word


def test_a_mutability_that_aws_adds_one_day_is_drift_and_put_right(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "immutable_tags": True})
    aws.apply(document)
    odd = {"imageTagMutability": "IMMUTABLE_AT_NIGHT"}
    aws.proxy.behaviours.append(Says(aws.moto, "images-app-a", odd, until="PutImageTagMutability"))
    (change,) = aws.plan(document).changes
    assert [(item.path, item.old, item.new) for item in change.fields] == [
        ("immutable_tags", "IMMUTABLE_AT_NIGHT", True)
    ]
    aws.apply(document)
    assert "ecr:PutImageTagMutability" in aws.proxy.operations()
    assert aws.plan(document).changes == ()


@pytest.mark.parametrize("kind", ["KMS_DSSE", "QUANTUM"])
def test_an_encryption_that_no_spec_can_ask_for_is_a_replacement(aws: AwsSandbox, kind: str) -> None:
    document = aws.document({"name": "app-a", "encryption": {"kms_key": KEY}})
    aws.apply(document)
    odd = {"encryptionConfiguration": {"encryptionType": kind, "kmsKey": KEY}}
    aws.proxy.behaviours.append(Says(aws.moto, "images-app-a", odd, until="DeleteRepository"))
    (change,) = aws.plan(document).changes
    assert (change.action, change.cause) == (Action.REPLACE, Cause.DRIFT)
    assert [(item.path, item.old, item.new) for item in change.fields] == [("encryption", f"{kind} {KEY}", KEY)]
    aws.apply(document)
    assert aws.plan(document).changes == ()


@pytest.mark.parametrize(
    ("beyond", "shown"),
    [
        ({"deleteReplication": {"enabled": True}}, [{"deleteReplication": {"enabled": True}}]),
        ({"deleteReplication": {"enabled": False}}, None),
    ],
)
def test_a_replication_rule_that_does_more_than_a_spec_can_say_is_drift(
    aws: AwsSandbox, beyond: Document, shown: list[Document] | None
) -> None:
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    aws.apply(document)
    (rule,) = aws.replication.rules["us-east-1"]
    before = copy.deepcopy(rule)
    rule.update(beyond)
    changes = aws.plan(document).changes
    if shown is None:
        assert changes == (), "what ECR does without the setting"
        return
    (change,) = changes
    assert (change.address, change.cause) == ("images.replication.rule", Cause.DRIFT)
    assert [(item.path, item.old, item.new) for item in change.fields] == [("other", shown, [])]
    assert value(shown) == "(deleteReplication (enabled true))"
    aws.apply(document)
    assert aws.replication.rules["us-east-1"] == [before]
    assert aws.plan(document).changes == ()


def test_a_rule_that_chooses_repositories_in_another_way_is_not_ours(aws: AwsSandbox) -> None:
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    aws.apply(document)
    # its API client reads a filter type that it does not know as it is
    odd = {
        "destinations": [{"region": "ap-south-1", "registryId": "123456789012"}],
        "repositoryFilters": [{"filter": "images-", "filterType": "SUFFIX_MATCH"}],
    }
    aws.replication.rules["us-east-1"].append(copy.deepcopy(odd))
    assert aws.plan(document).changes == ()
    aws.apply({**document, "registries": [aws.registry(replication_regions=["us-west-2"])]})
    assert odd in aws.replication.rules["us-east-1"], "kept, as every rule of somebody else's"


@pytest.mark.parametrize(
    ("description", "value"),
    [
        ("the checkout service", "the checkout service"),
        ("a=b: c/d_e+f-g@h.i", "a=b: c/d_e+f-g@h.i"),
        ("Zürich 東京", "Zürich 東京"),
        ("checkout, payments (old)", "=:checkout=2C payments =28old=29"),
        ("50% = half, Zürich", "=:50=25 =3D half=2C Zürich"),
        ("=:odd", "=:=3D:odd"),
        ("", ""),
    ],
)
def test_a_description_stands_in_its_tag_with_the_characters_that_aws_takes(description: str, value: str) -> None:
    assert encoded(description) == value
    assert decoded(value) == description


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_description_comes_back_from_its_tag(description: str) -> None:
    value = encoded(description)
    assert decoded(value) == description
    assert all(sign.isalnum() or sign in " _.:/=+-@" for sign in value)


def test_a_description_with_commas_and_parentheses_converges(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "description": "checkout, payments (old) → 50 %"})
    aws.apply(document)
    assert aws.tag("app-a", "reconciler-description") == "=:checkout=2C payments =28old=29 =E2=86=92 50 =25"
    assert aws.plan(document).changes == ()
    aws.describe("app-a")
    (change,) = aws.plan(document).changes
    assert [(item.path, item.old, item.new) for item in change.fields] == [
        ("description", "by hand", "checkout, payments (old) → 50 %")
    ]


def test_a_repository_whose_tags_would_be_too_many_is_told_at_plan(aws: AwsSandbox) -> None:
    labels = {f"label-{number}": "x" for number in range(10)}
    document = aws.document({"name": "app-a", "labels": labels})
    aws.apply(document)
    tags = [{"Key": f"theirs-{number}", "Value": "x"} for number in range(33)]
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"
    aws.client("ecr").tag_resource(resourceArn=arn, tags=tags)
    document["repositories"][0]["description"] = "one more tag"
    (problem,) = aws.plan(document).problems
    assert problem.address == AT
    assert problem.message.startswith(
        "the repository would have 51 tags; ECR allows at most 50: 33 set by somebody else"
    )
    aws.client("ecr").untag_resource(resourceArn=arn, tagKeys=["theirs-0"])
    assert aws.plan(document).problems == ()


def test_the_mark_of_a_first_policy_counts_on_a_repository_that_stays_as_it_is(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    tags = [{"Key": f"theirs-{number}", "Value": "x"} for number in range(45)]
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"
    aws.client("ecr").tag_resource(resourceArn=arn, tags=tags)
    assert aws.plan(document).problems == ()
    document["repositories"][0]["retention"] = {"keep_last": 5}
    (problem,) = aws.plan(document).problems
    assert problem.address == "images.lifecycle.app-a"
    assert problem.message.startswith(
        "the repository would have 51 tags; ECR allows at most 50: 45 set by somebody else"
    )
    aws.client("ecr").untag_resource(resourceArn=arn, tagKeys=["theirs-0"])
    aws.apply(document)
    assert aws.plan(document).changes == ()


def test_statements_of_others_count_on_a_repository_that_is_replaced(aws: AwsSandbox) -> None:
    document = aws.document("app-a", grants=({"name": "one", "to": aws.target("1")},))
    aws.apply(document)
    ecr, name = aws.client("ecr"), "images-app-a"
    policy = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
    theirs = {
        **policy["Statement"][0],
        "Sid": "theirs",
        "Principal": {"AWS": [f"arn:aws:iam::987654321091:role/a-rather-long-name-{n:03}" for n in range(160)]},
    }
    policy["Statement"].append(theirs)
    ecr.set_repository_policy(repositoryName=name, policyText=json.dumps(policy))
    roles = [f"arn:aws:iam::987654321091:role/ours-{number:04}" for number in range(60)]
    document["grants"].append({"name": "many", "registry": "images", "to": {"type": "aws", "role_arns": roles}})
    alone = [problem.address for problem in aws.plan(document).problems]
    assert alone == ["images.access.app-a"]
    document["repositories"][0]["encryption"] = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/k"}
    assert [problem.address for problem in aws.plan(document).problems] == alone


class Quota(Quiet):
    """GetAccountSummary of an account whose quota for trust policies was raised.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
    """

    def __init__(self, characters: int) -> None:
        self.characters = characters

    def before(self, call: Call) -> Answer | None:
        if call.operation != "GetAccountSummary":
            return None
        entry = f"<entry><key>AssumeRolePolicySizeQuota</key><value>{self.characters}</value></entry>"
        result = f"<GetAccountSummaryResult><SummaryMap>{entry}</SummaryMap></GetAccountSummaryResult>"
        return Answer(text=f"<GetAccountSummaryResponse>{result}</GetAccountSummaryResponse>")


def test_a_trust_policy_that_iam_would_refuse_is_told_at_plan(aws: AwsSandbox) -> None:
    def trusting(count: int) -> Document:
        roles = [f"arn:aws:iam::123456789012:role/r{number:04}" for number in range(count)]
        return aws.document("app-a", registry={"trusted_principals": roles})

    # 105 characters and 39 for each role: IAM counts no white space
    aws.apply(trusting(49))
    assert "iam:GetAccountSummary" not in aws.proxy.operations(), "asked only where it matters"
    problems = aws.plan(trusting(50)).problems
    assert [problem.address for problem in problems] == ["images.role.pull", "images.role.push"]
    assert {problem.message for problem in problems} == {
        "the trust policy would have 2,055 characters; IAM allows at most 2,048 in this account; trust whole accounts instead of"
        " single roles, or have the account's quota 'Role trust policy length' raised"
    }
    assert aws.plan(trusting(50), destroy=True).problems == (), "what goes may have been too long"
    aws.proxy.behaviours.append(Quota(4096))
    aws.apply(trusting(50))
    aws.proxy.calls.clear()
    assert aws.plan(trusting(50)).changes == ()
    assert "iam:GetAccountSummary" not in aws.proxy.operations(), "nothing is to be written"
    assert "at most 4,096 in this account" in aws.plan(trusting(120)).problems[0].message
