"""The stand-ins' shapes against what is published: botocore's service model, and AWS's own client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import botocore.session
import pytest

from tests.emulators.aws import PrincipalNotFound, RegistryPolicy, Replication, Says, TaggingIndex
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import ACCOUNT, AwsSandbox


def shape_problems(service: str, operation: str, body: dict[str, Any]) -> list[str]:
    """Members that the published output shape of an operation does not have."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation).output_shape
    assert model is not None

    def walk(value: Any, shape: Any, path: str) -> list[str]:
        if shape.type_name == "structure":
            return [
                problem
                for key, item in value.items()
                for problem in (
                    walk(item, shape.members[key], f"{path}.{key}") if key in shape.members else [f"{path}.{key}"]
                )
            ]
        if shape.type_name == "list":
            return [problem for item in value for problem in walk(item, shape.member, f"{path}[]")]
        return [] if isinstance(value, str | int | bool) else [path]

    return walk(body, model, operation)


def answered(answer: Answer | None) -> Answer:
    assert answer is not None
    return answer


RULES = [{"destinations": [{"region": "us-west-2", "registryId": ACCOUNT}]}]


def test_replication_answers_have_the_published_shape() -> None:
    stand_in = Replication()
    put = Call("ecr", "PutReplicationConfiguration", "us-east-1", {"replicationConfiguration": {"rules": RULES}})
    for operation, call in (
        ("PutReplicationConfiguration", put),
        ("DescribeRegistry", Call("ecr", "DescribeRegistry", "us-east-1", {})),
    ):
        assert shape_problems("ecr", operation, answered(stand_in.before(call)).body) == []


def test_registry_policy_answers_have_the_published_shape_and_errors() -> None:
    stand_in = RegistryPolicy()
    service = botocore.session.get_session().get_service_model("ecr")
    for operation, body in (
        ("PutRegistryPolicy", {"policyText": json.dumps({"Statement": []})}),
        ("GetRegistryPolicy", {}),
        ("DeleteRegistryPolicy", {}),
    ):
        call = Call("ecr", operation, "us-east-1", body)
        assert shape_problems("ecr", operation, answered(stand_in.before(call)).body) == []
    for operation, body in (
        ("GetRegistryPolicy", {}),
        ("PutRegistryPolicy", {"policyText": '{"Statement": [{"Action": "s3:*"}]}'}),
    ):
        answer = answered(stand_in.before(Call("ecr", operation, "us-east-1", body)))
        assert answer.error in {shape.name for shape in service.operation_model(operation).error_shapes}


def test_the_unknown_principal_error_is_one_that_the_operation_publishes() -> None:
    call = Call("ecr", "SetRepositoryPolicy", "us-east-1", {"policyText": "role/x"})
    answer = answered(PrincipalNotFound("role/x", 1).before(call))
    operation = botocore.session.get_session().get_service_model("ecr").operation_model("SetRepositoryPolicy")
    assert answer.error in {shape.name for shape in operation.error_shapes}


def test_the_tagging_index_has_the_published_shape(aws: AwsSandbox) -> None:
    aws.make_foreign("app-a", owner="tests")
    call = Call("tagging", "GetResources", "us-east-1", {})
    body = answered(TaggingIndex(aws.moto).before(call)).body
    assert len(body["ResourceTagMappingList"]) == 1
    assert shape_problems("resourcegroupstaggingapi", "GetResources", body) == []


def test_what_is_said_of_a_repository_has_the_published_shape(aws: AwsSandbox) -> None:
    aws.make_foreign("app-a")
    odd = {"imageTagMutability": "SOMETIMES", "encryptionConfiguration": {"encryptionType": "QUANTUM"}}
    call = Call("ecr", "DescribeRepositories", "us-east-1", {"repositoryNames": ["images-app-a"]})
    body = answered(Says(aws.moto, "images-app-a", odd).before(call)).body
    assert body["repositories"][0]["imageTagMutability"] == "SOMETIMES"
    assert shape_problems("ecr", "DescribeRepositories", body) == []


@pytest.mark.skipif(shutil.which("aws") is None, reason="LOUD: no aws client on PATH: only our own code read this")
def test_the_aws_client_reads_what_we_applied(aws: AwsSandbox) -> None:
    aws.apply(
        aws.document(
            {"name": "app-a", "retention": {"keep_last": 3}, "labels": {"team": "a"}},
            grants=({"name": "one", "to": aws.target("1")},),
            registry={"replication_regions": ["eu-west-1"]},
        )
    )

    def client(*arguments: str) -> Any:
        command = ["aws", *arguments, "--region", "us-east-1", "--output", "json", "--endpoint-url", aws.proxy.url]
        return json.loads(subprocess.run(command, check=True, capture_output=True, env=os.environ.copy()).stdout)

    found = json.loads(client("ecr", "get-repository-policy", "--repository-name", "images-app-a")["policyText"])
    assert found["Statement"][0]["Principal"] == {"AWS": ["arn:aws:iam::987654321091:root"]}
    rules = client("ecr", "describe-registry")["replicationConfiguration"]["rules"]
    assert rules[0]["repositoryFilters"] == [{"filter": "images-", "filterType": "PREFIX_MATCH"}]
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"
    tags = {tag["Key"]: tag["Value"] for tag in client("ecr", "list-tags-for-resource", "--resource-arn", arn)["tags"]}
    assert (tags["team"], tags["reconciler-owner"]) == ("a", "tests")
