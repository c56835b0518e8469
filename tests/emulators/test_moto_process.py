"""moto as the tests run it."""

from __future__ import annotations

import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.process import run

ECR = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=x",
    "Content-Type": "application/x-amz-json-1.1",
}
IAM = {
    "Authorization": ECR["Authorization"].replace("eu-west-1/ecr", "us-east-1/iam"),
    "Content-Type": "application/x-www-form-urlencoded",
}


@pytest.mark.slow  # a process
def test_one_connection_carries_calls_to_several_services_and_those_that_fail(moto: str) -> None:
    connection = HTTPConnection(urlsplit(moto).netloc)
    connection.connect()
    first = connection.sock
    said = []
    for headers, operation, body in (
        (ECR, "DescribeRepositories", '{"repositoryNames": ["nowhere"]}'),
        (IAM, "", "Action=GetRole&RoleName=nobody&Version=2010-05-08"),
        (ECR, "DescribeRepositories", "{}"),
    ):
        target = {"X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{operation}"} if operation else {}
        connection.request("POST", "/", body, {**headers, **target})
        answer = connection.getresponse()
        said.append((answer.status, answer.read().decode()))
    assert connection.sock is first
    connection.close()
    (missing, why), (no_role, xml), (listed, empty) = said
    assert (missing, no_role, listed) == (400, 404, 200)
    assert "RepositoryNotFoundException" in why
    assert "<Code>NoSuchEntity</Code>" in xml
    assert '"repositories"' in empty


ASK = """
import sys
from urllib.request import Request, urlopen
for _ in range(3):
    urlopen(Request(sys.argv[1], b"Action=ListRoles&Version=2010-05-08", {"Authorization": sys.argv[2]}))
"""


@pytest.mark.slow  # a process
def test_the_bench_counts_the_calls_by_its_log(moto: str, moto_log: Path, tmp_path: Path) -> None:
    figures = run([sys.executable, "-c", ASK, f"{moto}/", IAM["Authorization"]], tmp_path, {}, moto_log)
    assert figures.calls == 3
