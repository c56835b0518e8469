"""The stand-ins for pull-through cache rules and creation templates, against what AWS publishes: the service model, the examples of
its clients, and the client that is made from the model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import boto3
import botocore.session
import pytest

from tests.emulators.aws_by_prefix import ByPrefix, CreationTemplates, PullThroughCaches
from tests.emulators.proxy import Answer, Call
from tests.emulators.test_aws_behaviours import answered, shape_problems
from tests.sandbox.aws import HUB, SECRET, TEMPLATE, AwsSandbox

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-rule.html (AWS CLI), with our account
RULE = {
    "ecrRepositoryPrefix": "docker-hub",
    "upstreamRegistryUrl": "registry-1.docker.io",
    "credentialArn": HUB["credentials"],
}


def asked(stand_in: ByPrefix, operation: str, **body: Any) -> Answer:
    return answered(stand_in.before(Call("ecr", operation, "us-east-1", body)))


def test_every_answer_has_the_published_shape() -> None:
    stand_in = PullThroughCaches()
    named = {"ecrRepositoryPrefix": "docker-hub"}
    for operation, body in (
        ("CreatePullThroughCacheRule", RULE),
        ("DescribePullThroughCacheRules", {}),
        ("DescribePullThroughCacheRules", {"ecrRepositoryPrefixes": ["docker-hub"]}),
        ("UpdatePullThroughCacheRule", {**named, "credentialArn": f"{SECRET}2"}),
        ("DeletePullThroughCacheRule", named),
    ):
        answer = asked(stand_in, operation, **body)
        assert (answer.status, shape_problems("ecr", operation, answer.body)) == (200, [])
        assert answer.body
    assert stand_in.rules == {"us-east-1": {}}


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("CreatePullThroughCacheRule", RULE, "PullThroughCacheRuleAlreadyExistsException"),
        (
            "CreatePullThroughCacheRule",
            {**RULE, "ecrRepositoryPrefix": "docker-hub/"},
            "PullThroughCacheRuleAlreadyExistsException",
        ),
        ("CreatePullThroughCacheRule", {**RULE, "ecrRepositoryPrefix": "X"}, "InvalidParameterException"),
        ("CreatePullThroughCacheRule", {"ecrRepositoryPrefix": "hub"}, "InvalidParameterException"),
        ("CreatePullThroughCacheRule", {**RULE, "credentialArn": "arn:aws:x"}, "InvalidParameterException"),
        (
            "CreatePullThroughCacheRule",
            {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"},
            "UnsupportedUpstreamRegistryException",
        ),
        (
            "CreatePullThroughCacheRule",
            {"ecrRepositoryPrefix": "mcr", "upstreamRegistryUrl": "mcr.microsoft.com"},
            "UnsupportedUpstreamRegistryException",
        ),
        (
            "CreatePullThroughCacheRule",
            {**RULE, "ecrRepositoryPrefix": "b2", "credentialArn": f"{SECRET}9"},
            "SecretNotFoundException",
        ),
        (
            "UpdatePullThroughCacheRule",
            {"ecrRepositoryPrefix": "docker-hub", "credentialArn": f"{SECRET}9"},
            "SecretNotFoundException",
        ),
        ("UpdatePullThroughCacheRule", {"ecrRepositoryPrefix": "docker-hub"}, "InvalidParameterException"),
        ("UpdatePullThroughCacheRule", {"ecrRepositoryPrefix": "nope"}, "PullThroughCacheRuleNotFoundException"),
        ("DeletePullThroughCacheRule", {"ecrRepositoryPrefix": "nope"}, "PullThroughCacheRuleNotFoundException"),
        (
            "DescribePullThroughCacheRules",
            {"ecrRepositoryPrefixes": ["nope"]},
            "PullThroughCacheRuleNotFoundException",
        ),
        ("DescribePullThroughCacheRules", {"maxResults": 1001}, "InvalidParameterException"),
    ],
)
def test_each_error_is_one_that_the_operation_publishes(operation: str, body: dict[str, Any], code: str) -> None:
    stand_in = PullThroughCaches(unknown_secrets={f"{SECRET}9"})
    asked(stand_in, "CreatePullThroughCacheRule", **RULE)
    answer = asked(stand_in, operation, **body)
    assert (answer.status, answer.error) == (400, code), answer.body
    published = botocore.session.get_session().get_service_model("ecr").operation_model(operation).error_shapes
    assert code in {shape.name for shape in published}


def test_rules_come_in_pages_and_there_are_at_most_50(aws: AwsSandbox) -> None:
    client = boto3.client("ecr", region_name="us-east-1", endpoint_url=aws.proxy.url)
    for number in range(50):
        client.create_pull_through_cache_rule(ecrRepositoryPrefix=f"quay-{number:02}", upstreamRegistryUrl="quay.io")
    pages = list(client.get_paginator("describe_pull_through_cache_rules").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["pullThroughCacheRules"]) for page in pages] == [20, 20, 10]
    found = [item["ecrRepositoryPrefix"] for page in pages for item in page["pullThroughCacheRules"]]
    assert found == [f"quay-{number:02}" for number in range(50)]
    with pytest.raises(client.exceptions.LimitExceededException):
        client.create_pull_through_cache_rule(ecrRepositoryPrefix="one-more", upstreamRegistryUrl="quay.io")


#: AWS's own examples: create-a-new-repository-creation-template-1713296923053, update-a-repository-creation-template-1713299261276,
#: describe-a-repository-creation-template-1713298784302 and delete-a-repository-creation-template-1713298142230, as the clients that
#: are made from its models have them: https://github.com/aws/aws-sdk-js-v3/tree/main/clients/client-ecr/src/commands,
#: https://github.com/aws/aws-sdk-net (ECRSamples)
CREATED = {
    "appliedFor": ["REPLICATION", "PULL_THROUGH_CACHE"],
    "description": "Repos for testing images",
    "encryptionConfiguration": {"encryptionType": "AES256"},
    "imageTagMutability": "MUTABLE",
    "lifecyclePolicy": json.dumps(
        {
            "rules": [
                {
                    "rulePriority": 1,
                    "description": "Expire images older than 14 days",
                    "selection": {
                        "tagStatus": "untagged",
                        "countType": "sinceImagePushed",
                        "countUnit": "days",
                        "countNumber": 14,
                    },
                    "action": {"type": "expire"},
                }
            ]
        }
    ),
    "prefix": "eng/test",
    "repositoryPolicy": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "LambdaECRPullPolicy",
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "ecr:BatchGetImage",
                }
            ],
        }
    ),
    "resourceTags": [{"Key": "environment", "Value": "test"}],
}
UPDATED = {
    "appliedFor": ["REPLICATION"],
    "prefix": "eng/test",
    "resourceTags": [{"Key": "environment", "Value": "test"}],
}
LISTED = {
    "eng/test": {
        "appliedFor": ["PULL_THROUGH_CACHE", "REPLICATION"],
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "imageTagMutability": "MUTABLE",
    },
    "eng/replication-test": {
        "appliedFor": ["REPLICATION"],
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "imageTagMutability": "IMMUTABLE",
    },
}


def template_of(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = answer.body["repositoryCreationTemplate"]
    return {key: value for key, value in found.items() if not key.endswith("At")}


def test_the_published_examples_of_templates_are_answered_as_published() -> None:
    stand_in = CreationTemplates()
    made = asked(stand_in, "CreateRepositoryCreationTemplate", **CREATED)
    assert template_of(made) == CREATED
    assert shape_problems("ecr", "CreateRepositoryCreationTemplate", made.body) == []
    changed = asked(stand_in, "UpdateRepositoryCreationTemplate", **UPDATED)
    assert template_of(changed) == {**CREATED, **UPDATED}
    assert shape_problems("ecr", "UpdateRepositoryCreationTemplate", changed.body) == []
    stand_in = CreationTemplates()
    for prefix, members in LISTED.items():
        more = {} if members["imageTagMutability"] == "MUTABLE" else {"imageTagMutability": "IMMUTABLE"}
        body = {"prefix": prefix, "appliedFor": members["appliedFor"], **more}
        asked(stand_in, "CreateRepositoryCreationTemplate", **body)
    found = asked(stand_in, "DescribeRepositoryCreationTemplates", maxResults=123, nextToken="", prefixes=["eng"])
    assert shape_problems("ecr", "DescribeRepositoryCreationTemplates", found.body) == []
    times = {"createdAt", "updatedAt", "prefix"}
    assert {
        item["prefix"]: {key: value for key, value in item.items() if key not in times}
        for item in found.body["repositoryCreationTemplates"]
    } == LISTED
    gone = asked(stand_in, "DeleteRepositoryCreationTemplate", prefix="eng/test")
    assert template_of(gone) == {"prefix": "eng/test", **LISTED["eng/test"]}


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("CreateRepositoryCreationTemplate", CREATED, "TemplateAlreadyExistsException"),
        (
            "CreateRepositoryCreationTemplate",
            {"prefix": "eng/test/", "appliedFor": ["REPLICATION"]},
            "TemplateAlreadyExistsException",
        ),
        ("CreateRepositoryCreationTemplate", {"prefix": "eng"}, "InvalidParameterException"),
        ("CreateRepositoryCreationTemplate", {"prefix": "eng", "appliedFor": ["PUSH"]}, "InvalidParameterException"),
        (
            "UpdateRepositoryCreationTemplate",
            {"prefix": "eng/test", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
            "InvalidParameterException",
        ),
        ("UpdateRepositoryCreationTemplate", {"prefix": "eng"}, "TemplateNotFoundException"),
        ("DeleteRepositoryCreationTemplate", {"prefix": "eng"}, "TemplateNotFoundException"),
        ("DescribeRepositoryCreationTemplates", {"maxResults": 0}, "InvalidParameterException"),
    ],
)
def test_each_error_about_a_template_is_one_that_the_operation_publishes(
    operation: str, body: dict[str, Any], code: str
) -> None:
    stand_in = CreationTemplates()
    asked(stand_in, "CreateRepositoryCreationTemplate", **CREATED)
    answer = asked(stand_in, operation, **body)
    assert (answer.status, answer.error) == (400, code), answer.body
    published = botocore.session.get_session().get_service_model("ecr").operation_model(operation).error_shapes
    assert code in {shape.name for shape in published}


def client(aws: AwsSandbox, command: str, *arguments: str) -> Any:
    """What AWS's own client says to a command."""
    line = ["aws", "ecr", command, *arguments, "--region", "us-east-1", "--output", "json"]
    line += ["--endpoint-url", aws.proxy.url]
    return json.loads(subprocess.run(line, check=True, capture_output=True, env=os.environ.copy()).stdout)


@pytest.mark.skipif(shutil.which("aws") is None, reason="LOUD: no aws client on PATH: only our own code read this")
def test_the_aws_client_and_we_read_what_the_other_has_written_of_rules(aws: AwsSandbox) -> None:
    prefix = ("--ecr-repository-prefix", "docker-hub")
    upstream = ("--upstream-registry-url", "registry-1.docker.io")
    secret = ("--credential-arn", HUB["credentials"])
    made = client(aws, "create-pull-through-cache-rule", *prefix, *upstream, *secret)
    assert {key: made[key] for key in RULE} == RULE
    document = aws.document("web", registry={"pull_through_cache": [HUB]})
    aws.apply(document, adopt=["images.pull_through_cache.docker-hub"])
    (found,) = client(aws, "describe-pull-through-cache-rules")["pullThroughCacheRules"]
    assert {key: found[key] for key in RULE} == RULE
    client(aws, "update-pull-through-cache-rule", *prefix, "--credential-arn", f"{SECRET}2")
    (change,) = aws.plan(document).changes
    assert [(item.path, item.old) for item in change.fields] == [("credentials", f"{SECRET}2")]
    assert client(aws, "delete-pull-through-cache-rule", *prefix)["ecrRepositoryPrefix"] == "docker-hub"
    assert [change.action.value for change in aws.plan(document).changes] == ["create"]


@pytest.mark.skipif(shutil.which("aws") is None, reason="LOUD: no aws client on PATH: only our own code read this")
def test_the_aws_client_and_we_read_what_the_other_has_written_of_templates(aws: AwsSandbox) -> None:
    prefix = ("--prefix", "docker-hub")
    document = aws.document(
        "web", registry={"creation_templates": [{**TEMPLATE, "immutable_tags": {"except": ["latest"]}}]}
    )
    aws.apply(document)
    (found,) = client(aws, "describe-repository-creation-templates")["repositoryCreationTemplates"]
    assert found["appliedFor"] == ["PULL_THROUGH_CACHE"]
    assert found["imageTagMutabilityExclusionFilters"] == [{"filterType": "WILDCARD", "filter": "latest"}]
    client(aws, "update-repository-creation-template", *prefix, "--image-tag-mutability", "MUTABLE")
    (change,) = aws.plan(document).changes
    assert [(item.path, item.old, item.new) for item in change.fields] == [
        ("immutable_tags", False, {"except": ["latest"]})
    ]
    client(aws, "delete-repository-creation-template", *prefix)
    client(aws, "create-repository-creation-template", *prefix, "--applied-for", "PULL_THROUGH_CACHE")
    assert [change.action.value for change in aws.plan(document).changes] == ["update"]
