"""Where moto is not AWS: behaviours for the proxy that answer as AWS documents.

Each one's shape is checked against the service model that botocore publishes, in test_aws_behaviours.py.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .aws_wire import QUERY_SERVICES
from .moto_client import moto_client
from .proxy import Answer, Call


class Quiet:
    """A behaviour that does nothing; the base of those that look at one side only."""

    def before(self, call: Call) -> Answer | None:
        return None

    def after(self, call: Call) -> Answer | None:
        return None


@dataclass
class Replication(Quiet):
    """A registry's replication configuration. moto refuses a second rule ("This feature is disabled"); ECR takes ten.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutReplicationConfiguration.html
    """

    account: str = "123456789012"
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def before(self, call: Call) -> Answer | None:
        if call.operation == "DescribeRegistry":
            rules = self.rules.get(call.region, [])
            return Answer(body={"registryId": self.account, "replicationConfiguration": {"rules": rules}})
        if call.operation == "PutReplicationConfiguration":
            configuration = call.body["replicationConfiguration"]
            if len(configuration["rules"]) > 10:
                return Answer(400, {"message": "at most 10 rules"}, "ValidationException")
            self.rules[call.region] = configuration["rules"]
            return Answer(body={"replicationConfiguration": configuration})
        return None


@dataclass
class RegistryPolicy(Quiet):
    """An account's registry policy in each region. moto refuses ecr:BatchImportUpstreamImage, which a registry policy can allow.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutRegistryPolicy.html,
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
    """

    account: str = "123456789012"
    policies: dict[str, str] = field(default_factory=dict)

    def before(self, call: Call) -> Answer | None:
        if call.operation not in ("GetRegistryPolicy", "PutRegistryPolicy", "DeleteRegistryPolicy"):
            return None
        if call.operation == "PutRegistryPolicy":
            text = call.body["policyText"]
            if len(text) > 10_240 or not all(map(self._whole, json.loads(text)["Statement"])):
                message = (
                    "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'"
                )
                return Answer(400, {"message": message}, "InvalidParameterException")
            self.policies[call.region] = text
        elif call.region not in self.policies:
            message = f"Registry policy does not exist in the registry with id '{self.account}'"
            return Answer(400, {"message": message}, "RegistryPolicyNotFoundException")
        found = self.policies[call.region]
        if call.operation == "DeleteRegistryPolicy":
            del self.policies[call.region]
        return Answer(body={"registryId": self.account, "policyText": found})

    def _whole(self, statement: dict[str, Any]) -> bool:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        return {"Effect", "Principal", "Resource"} <= statement.keys() and all(
            one.startswith("ecr:") for one in actions
        )


class ScanningRules(Quiet):
    """What ECR refuses of a scanning configuration, and moto takes; and that rules which are not sent stay as they are.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutRegistryScanningConfiguration.html,
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_RegistryScanningRule.html, hashicorp/terraform-provider-aws#31423
    """

    def before(self, call: Call) -> Answer | None:
        if call.operation != "PutRegistryScanningConfiguration":
            return None
        rules = call.body.get("rules")
        if rules is None:
            return Answer(400, {"message": "the emulator wants rules"}, "InvalidParameterException")
        frequencies = [rule["scanFrequency"] for rule in rules]
        wrong = (
            len(set(frequencies)) < len(frequencies)
            or (call.body["scanType"] == "BASIC" and "CONTINUOUS_SCAN" in frequencies)
            or any(not 1 <= len(rule["repositoryFilters"]) <= 100 for rule in rules)
        )
        return Answer(400, {"message": "wrong rules"}, "InvalidParameterException") if wrong else None


@dataclass
class PrincipalNotFound(Quiet):
    """SetRepositoryPolicy that does not find a principal, for the first `times` tries (-1: for ever).

    The text is ECR's own, from hashicorp/terraform-provider-aws#39064.
    """

    principal: str
    times: int
    tries: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != "SetRepositoryPolicy" or self.principal not in call.body["policyText"]:
            return None
        self.tries += 1
        if self.times >= 0 and self.tries > self.times:
            return None
        message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'"
        return Answer(400, {"message": message}, "InvalidParameterException")


@dataclass
class TaggingIndex(Quiet):
    """GetResources that lists ECR repositories, as AWS's does and moto's does not. `late`: ARNs that it does not know yet.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """

    endpoint: str
    late: set[str] = field(default_factory=set)

    def before(self, call: Call) -> Answer | None:
        if call.operation != "GetResources":
            return None
        wanted = call.body.get("TagFilters", [])
        client = moto_client(self.endpoint, "ecr", call.region)
        found = []
        for repository in client.describe_repositories(maxResults=1000)["repositories"]:
            arn = repository["repositoryArn"]
            tags = {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(resourceArn=arn)["tags"]}
            if arn not in self.late and all(tags.get(item["Key"]) in item["Values"] for item in wanted):
                found.append(
                    {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
                )
        size = int(call.body.get("ResourcesPerPage", 100))
        start = int(call.body.get("PaginationToken") or 0)
        following = str(start + size) if start + size < len(found) else ""
        return Answer(body={"ResourceTagMappingList": found[start : start + size], "PaginationToken": following})


@dataclass
class Says(Quiet):
    """DescribeRepositories that says something of a repository that moto can't, until a write of `until` has been made.

    What AWS may say there: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Repository.html
    """

    endpoint: str
    name: str
    members: dict[str, Any]
    until: str = ""
    over: bool = False

    def before(self, call: Call) -> Answer | None:
        self.over = self.over or call.operation == self.until
        if self.over or call.operation != "DescribeRepositories":
            return None
        client = moto_client(self.endpoint, "ecr", call.region)
        # as AWS's answer, but for the times, which JSON has as numbers
        found = [{**item, "createdAt": 0} for item in client.describe_repositories(**call.body)["repositories"]]
        return Answer(
            body={
                "repositories": [
                    {**item, **self.members} if item["repositoryName"] == self.name else item for item in found
                ]
            }
        )


@dataclass
class Faults(Quiet):
    """Fails a share of all calls in one of four ways, before or after they are carried out."""

    seed: int
    share: float = 0.3

    def __post_init__(self) -> None:
        self._tries: Counter[str] = Counter()
        self.failed = 0

    def before(self, call: Call) -> Answer | None:
        chance = self._chance(call)
        if chance.random() >= self.share:
            return None
        self.failed += 1
        return chance.choice(
            [
                Answer(400, {"message": "Rate exceeded"}, "ThrottlingException"),
                Answer(503, {"message": "try again"}, "ServiceUnavailable"),
                Answer(500, {"message": "internal"}, "InternalFailure"),
                Answer(drop=True),
            ]
        )

    def after(self, call: Call) -> Answer | None:
        # the answer to a call that was carried out is lost on the way: the retry meets its own work
        if self._chance(call).random() < self.share / 6:
            self.failed += 1
            return Answer(drop=True)
        return None

    def _chance(self, call: Call) -> random.Random:
        """The same for the same call at its same try: which calls fail does not hang on the order in which threads make them."""
        name = f"{call.service} {call.operation} {call.region} {sorted(call.body.items())}"
        self._tries[name] += 1
        return random.Random(f"{self.seed} {name} {self._tries[name]}")


@dataclass
class Throttled(Quiet):
    """Takes `rate` calls a second of each operation, as from a bucket of `burst` tokens, and refuses the others.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html describes such buckets; the codes are those of the JSON
    and of the query protocol: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
    """

    rate: float
    burst: float
    tokens: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def before(self, call: Call) -> Answer | None:
        now = time.monotonic()
        tokens, then = self.tokens.get((call.region, call.operation), (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        self.tokens[call.region, call.operation] = (tokens - 1 if tokens >= 1 else tokens, now)
        (self.taken if tokens >= 1 else self.refused)[call.operation] += 1
        return None if tokens >= 1 else too_many(call)


def too_many(call: Call) -> Answer:
    """How a call is refused that comes too soon after others."""
    code = "Throttling" if call.service in QUERY_SERVICES else "ThrottlingException"
    return Answer(400, {"message": "Rate exceeded"}, code)


@dataclass
class ThrottledUntil(Quiet):
    """Refuses an operation until another one was called so many times."""

    operation: str
    other: str
    times: int
    seen: int = 0
    refused: int = 0

    def before(self, call: Call) -> Answer | None:
        self.seen += call.operation == self.other
        if call.operation != self.operation or self.seen >= self.times:
            return None
        self.refused += 1
        return too_many(call)


@dataclass
class KillAfter(Quiet):
    """Kills a process at its call number `number` (from 1), before or after the server carries it out."""

    number: int
    carried_out: bool
    pid: int = 0
    seen: int = 0
    chosen: Call | None = None
    killed: bool = False

    def before(self, call: Call) -> Answer | None:
        self.seen += 1
        if self.seen == self.number:
            self.chosen = call
        return None if self.carried_out else self._kill(call)

    def after(self, call: Call) -> Answer | None:
        return self._kill(call) if self.carried_out else None

    def _kill(self, call: Call) -> Answer | None:
        if call is not self.chosen or self.killed:
            return None
        self.killed = True
        os.kill(self.pid, signal.SIGKILL)
        return Answer(drop=True)


@dataclass
class AnyOrder(Quiet):
    """Policies with their principals, actions and statements in another order at every answer, and a list of one as a text.

    crossplane-contrib/provider-aws#780 ("no two subsequent calls … returns the same policy order") and #700.
    """

    endpoint: str
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def before(self, call: Call) -> Answer | None:
        return self._mixed(call) if call.operation == "GetRepositoryPolicy" else None

    def after(self, call: Call) -> Answer | None:
        return self._mixed(call) if call.operation == "SetRepositoryPolicy" else None

    def _mixed(self, call: Call) -> Answer | None:
        client = moto_client(self.endpoint, "ecr", call.region)
        name = call.body["repositoryName"]
        try:
            document = json.loads(client.get_repository_policy(repositoryName=name)["policyText"])
        except client.exceptions.ClientError:
            return None
        for statement in document["Statement"]:
            statement["Action"] = self.shuffled(statement["Action"])
            if isinstance(statement.get("Principal"), dict):
                statement["Principal"] = {kind: self.shuffled(who) for kind, who in statement["Principal"].items()}
        self.random.shuffle(document["Statement"])
        answer = {"registryId": "123456789012", "repositoryName": name, "policyText": json.dumps(document)}
        return Answer(body=answer)

    def shuffled(self, value: Any) -> Any:
        """A list in another order, or its one item."""
        found = list(value) if isinstance(value, list) else [value]
        self.random.shuffle(found)
        return found[0] if len(found) == 1 else found


@dataclass
class PrincipalsMustBeThere(Quiet):
    """IAM refuses a trust policy that names a role which is not there, or was made so lately that it is not known for some calls.

    The text is IAM's own: hashicorp/terraform-provider-aws#184. `late`: how many calls a role stays unknown.
    """

    endpoint: str
    late: int = 0
    refused: list[str] = field(default_factory=list)

    def before(self, call: Call) -> Answer | None:
        where = {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"}
        if call.operation not in where:
            return None
        client = moto_client(self.endpoint, "iam", "us-east-1")
        there = {role["Arn"] for role in client.list_roles()["Roles"]}
        for statement in json.loads(call.body[where[call.operation]])["Statement"]:
            named = statement["Principal"].get("AWS", [])
            for arn in named if isinstance(named, list) else [named]:
                unknown = arn not in there or self.refused.count(arn) < self.late
                if ":role/" in arn and unknown:
                    self.refused.append(arn)
                    text = f'Invalid principal in policy: "AWS":"{arn}"'
                    return Answer(400, {"message": text}, "MalformedPolicyDocument")
        return None
