"""AWS as a sandbox: moto behind a proxy, one account, three regions."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import strategies as st

from reconciler import Spec
from reconciler.platforms.aws.cache_spec import PullThroughCache
from reconciler.platforms.aws.registry_policy_spec import RegistryPolicyGrant, RegistryPolicyPrincipals
from reconciler.platforms.aws.replication_spec import AccountDestination, Replication
from reconciler.platforms.aws.scanning_spec import Scanning
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.aws.target import AwsTarget
from reconciler.platforms.aws.template_spec import CreationTemplate
from tests.emulators.aws import RegistryPolicy, ScanningRules, TaggingIndex
from tests.emulators.aws import Replication as Rules
from tests.emulators.aws_by_prefix import CreationTemplates, PullThroughCaches
from tests.emulators.aws_wire import AwsWire
from tests.emulators.moto_client import moto_client
from tests.emulators.proxy import Proxy, proxy_to
from tests.emulators.servers import moto_server

from .base import Document, Hand, Sandbox
from .botocore_once import remember
from .fields import Change, grant, registry, repository, target

ACCOUNT = "123456789012"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
#: the regions that there are for our code, unless a test takes `all_regions`: also such as nothing is in
WORLD = (*REGIONS, "us-west-1", "eu-central-1", "ap-south-1", "af-south-1")
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/mrk-{{}}"
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 77},
            "action": {"type": "expire"},
        }
    ]
}
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:ecr-pullthroughcache/hub-AbCdE"
HUB = {"prefix": "docker-hub", "upstream": "registry-1.docker.io", "credentials": f"{SECRET}1"}
ECR = {
    "prefix": "theirs",
    "upstream": "987654321091.dkr.ecr.eu-west-1.amazonaws.com",
    "role_arn": f"arn:aws:iam::{ACCOUNT}:role/fetch",
}
QUAY = {"prefix": "ROOT", "upstream": "quay.io"}
TEMPLATE: Document = {"prefix": "docker-hub", "for": ["pull_through_cache"]}
AS_ROLE = {**TEMPLATE, "role_arn": f"arn:aws:iam::{ACCOUNT}:role/make"}
FOREIGN_STATEMENT = {
    "Sid": "legacy access, by hand",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}
_OTHER_SELECTION = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 999}


def _lifecycle_policy(days: int) -> Document:
    return {
        "rules": [
            {
                "rulePriority": 10,
                "description": "by hand",
                # no retention becomes such a rule: what means the same is not sent again, whatever its text
                "selection": {
                    "tagStatus": "tagged",
                    "tagPrefixList": ["build-"],
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": days,
                },
                "action": {"type": "expire"},
            }
        ]
    }


def _replicating(**replication: Any) -> Change:
    """A change of the first registry's replication, which takes the place of the short form."""
    return registry(replication=replication, replication_regions=[])


def _letting_in(kind: str, prefix: str = "", **to: Any) -> Change:
    """A change of the first registry's registry policy."""
    return registry(registry_policy=[{"type": kind, "to": to, **({"prefix": prefix} if prefix else {})}])


def _arn(repository: str) -> str:
    return f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-{repository}"


def _narrowed(target: Document) -> Document:
    """The target without regions and sources where they would narrow nothing, or would leave out a function; services with a source,
    since without one they count as public, which a guard refuses."""
    if set(target.get("services", ())) - {"lambda"} and not (
        target.get("source_accounts") or target.get("source_arns")
    ):
        target = {**target, "source_accounts": ["987654321091"]}
    worker = "allowed_service_types" in target or target.get("function_arns") or "lambda" in target.get("services", ())
    dropped = set()
    if not worker and "services" not in target:
        dropped |= {"source_accounts", "source_arns"}
    functions = target.get("function_arns") or ("source_arns" in target and "source_arns" not in dropped)
    if not worker or (functions and "us-east-1" not in target.get("regions", ())):
        dropped.add("regions")
    return {key: value for key, value in target.items() if key not in dropped}


class AwsSandbox(Sandbox):
    """moto behind a proxy, one account, three regions."""

    platform = "aws"
    slow = True
    empty_place = "ap-south-1"
    examples = int(
        os.environ.get("AWS_EXAMPLES", "6")
    )  # each takes seconds; with --hypothesis-profile=explore, others each time
    longest_chain = 3
    targets = st.fixed_dictionaries(
        {
            "type": st.just("aws"),
            "account_ids": st.lists(st.sampled_from(["987654321091", "987654321092"]), min_size=1, unique=True),
        },
        optional={
            "role_arns": st.lists(
                st.sampled_from(["arn:aws:iam::987654321091:role/r", f"arn:aws:iam::{ACCOUNT}:role/images-pull"]),
                unique=True,
            ),
            "principal_arns": st.lists(
                st.sampled_from(["arn:aws:iam::987654321091:user/eve", f"arn:aws:iam::{ACCOUNT}:role/images-push"]),
                unique=True,
            ),
            "regions": st.lists(st.sampled_from(["us-east-1", "eu-west-1"]), unique=True),
            "allowed_service_types": st.just(["worker"]),
            "organization_ids": st.lists(st.sampled_from(["o-a1b2c3d4e5", "o-a1b2c3d4e6"]), unique=True),
            "organization_paths": st.just(["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"]),
            "services": st.lists(st.sampled_from(["codebuild", "build.apprunner", "lambda"]), min_size=1, unique=True),
            "source_accounts": st.just(["987654321091"]),
            "source_arns": st.just(["arn:aws:lambda:us-east-1:987654321091:function:g"]),
            "function_arns": st.lists(
                st.sampled_from(["arn:aws:lambda:us-east-1:987654321091:function:f"]), unique=True
            ),
        },
    ).map(_narrowed)
    registry_fields = {
        "replication_regions": st.lists(st.sampled_from(["us-west-2", "eu-west-1"]), unique=True),
        "registry_policy": st.lists(
            st.sampled_from(
                [
                    {"type": "replication", "to": {"account_ids": ["222222222222"]}, "prefix": "in/"},
                    {"type": "pull-through", "to": {"organization_ids": ["o-a1b2c3d4e5"]}, "prefix": "hub"},
                ]
            ),
            unique_by=str,
        ),
        "replication": st.fixed_dictionaries(
            {
                "accounts": st.sampled_from(
                    [["222222222222"], [{"account_id": "222222222222", "regions": ["us-west-2"]}]]
                )
            },
            optional={
                "regions": st.lists(st.sampled_from(["us-west-2", "eu-west-1"]), unique=True),
                "filter": st.sampled_from(["prefix", "all"]),
            },
        ),
        "trusted_principals": st.lists(
            st.sampled_from(
                [
                    ACCOUNT,
                    f"arn:aws:iam::{ACCOUNT}:role/ci",
                    {"principal": "987654321091", "external_id": "ours"},
                    {"principal": ACCOUNT, "org_id": "o-a1b2c3d4e5"},
                    {"oidc": "token.actions.githubusercontent.com", "subject": "repo:acme/shop:*"},
                ]
            ),
            unique_by=str,
        ),
        "max_session": st.sampled_from(["1h", "90m", "12h"]),
        "roles": st.sampled_from([True, False]),
        "scanning": st.just({"type": "basic"}),  # an account has one type
        "prefix": st.sampled_from(["", "team/", "x"]),
        "creation_templates": st.lists(
            st.fixed_dictionaries(
                {
                    "prefix": st.sampled_from(["ROOT", "hub"]),
                    "for": st.lists(st.sampled_from(["replication", "create_on_push"]), min_size=1, unique=True),
                    "role_arn": st.just(AS_ROLE["role_arn"]),
                },
                optional={
                    "description": st.sampled_from(["", "made by ECR"]),
                    "immutable_tags": st.sampled_from([True, False, {"except": ["v*"]}]),
                    "lifecycle_policy": st.integers(1, 90).map(_lifecycle_policy),
                    "encryption": st.sampled_from("12").map(lambda number: {"kms_key": KEY.format(number)}),
                    "labels": st.dictionaries(st.sampled_from(["team", "tier"]), st.sampled_from("ab"), max_size=2),
                },
            ),
            max_size=2,
            unique_by=lambda row: row["prefix"],
        ),
        "pull_through_cache": st.lists(
            st.sampled_from([HUB, {**HUB, "credentials": f"{SECRET}2"}, {**HUB, "upstream": "ghcr.io"}, ECR, QUAY]),
            unique_by=lambda row: row["prefix"],
        ),
    }
    repository_fields = {
        "lifecycle_policy": st.integers(1, 90).map(_lifecycle_policy),
        "encryption": st.sampled_from("12").map(lambda number: {"kms_key": KEY.format(number)}),
        "native_name": st.sampled_from(["legacy", "old/app"]),
    }
    models = (
        *(AwsRegistry, AwsTarget, Scanning, PullThroughCache, CreationTemplate, Replication, AccountDestination),
        *(RegistryPolicyGrant, RegistryPolicyPrincipals),
    )
    fields = {
        "Repository.encryption": (repository(encryption={"kms_key": KEY.format(1)}), "state"),
        "Repository.native_name": (repository(native_name="images-of-a/legacy"), "state"),
        "Repository.lifecycle_policy": (repository(lifecycle_policy=LIFECYCLE), "state"),
        "Grant.also": (grant(also=["read"]), "state"),
        "AwsRegistry.prefix": (registry(prefix="team/"), "state"),
        "AwsRegistry.roles": (registry(roles=False), "state"),
        "AwsRegistry.region": (registry(region="us-west-2"), "state"),
        "AwsRegistry.replication_regions": (registry(replication_regions=["us-west-2"]), "state"),
        "AwsRegistry.registry_policy": (_letting_in("replication", account_ids=["222222222222"]), "state"),
        "RegistryPolicyGrant.type": (_letting_in("pull-through", "hub", account_ids=["222222222222"]), "state"),
        "RegistryPolicyGrant.to": (_letting_in("replication", account_ids=["333333333333"]), "state"),
        "RegistryPolicyGrant.prefix": (_letting_in("replication", "*", account_ids=["222222222222"]), "state"),
        "RegistryPolicyPrincipals.account_ids": (_letting_in("replication", account_ids=["444444444444"]), "state"),
        "RegistryPolicyPrincipals.principal_arns": (
            _letting_in("pull-through", "hub", principal_arns=["arn:aws:iam::222222222222:role/r"]),
            "state",
        ),
        "RegistryPolicyPrincipals.organization_ids": (
            _letting_in("pull-through", "*", organization_ids=["o-a1b2c3d4e5"]),
            "state",
        ),
        "AwsRegistry.replication": (_replicating(regions=["us-west-2"]), "state"),
        "Replication.regions": (_replicating(regions=["us-west-2"], accounts=["222222222222"]), "state"),
        "Replication.accounts": (_replicating(regions=["eu-west-1"], accounts=["222222222222"]), "state"),
        "Replication.filter": (_replicating(regions=["eu-west-1"], filter="all"), "state"),
        "AccountDestination.account_id": (_replicating(accounts=[{"account_id": "222222222222"}]), "state"),
        "AccountDestination.regions": (
            _replicating(accounts=[{"account_id": "222222222222", "regions": ["us-west-2"]}]),
            "state",
        ),
        "AwsRegistry.trusted_principals": (registry(trusted_principals=[f"arn:aws:iam::{ACCOUNT}:role/ci"]), "state"),
        "AwsRegistry.retired": (registry(retired=True), "state"),
        "AwsRegistry.max_session": (registry(max_session="2h"), "state"),
        "AwsRegistry.scanning": (registry(scanning={"type": "enhanced"}), "state"),
        "Scanning.type": (registry(scanning={"type": "enhanced", "on_push": ["images-*"]}), "state"),
        "Scanning.on_push": (registry(scanning={"type": "basic", "on_push": ["images-a*"]}), "state"),
        "Scanning.continuous": (registry(scanning={"type": "enhanced", "continuous": ["*"]}), "state"),
        "AwsRegistry.pull_through_cache": (registry(pull_through_cache=[HUB]), "state"),
        "PullThroughCache.prefix": (registry(pull_through_cache=[{**HUB, "prefix": "team/hub/"}]), "state"),
        "PullThroughCache.upstream": (registry(pull_through_cache=[{**HUB, "upstream": "ghcr.io"}]), "state"),
        "PullThroughCache.credentials": (registry(pull_through_cache=[{**HUB, "credentials": f"{SECRET}2"}]), "state"),
        "PullThroughCache.role_arn": (registry(pull_through_cache=[ECR]), "state"),
        "PullThroughCache.upstream_prefix": (
            registry(pull_through_cache=[{**ECR, "upstream_prefix": "team"}]),
            "state",
        ),
        "AwsRegistry.creation_templates": (registry(creation_templates=[TEMPLATE]), "state"),
        "CreationTemplate.prefix": (registry(creation_templates=[{**TEMPLATE, "prefix": "ROOT"}]), "state"),
        "CreationTemplate.for_": (registry(creation_templates=[{**TEMPLATE, "for": ["replication"]}]), "state"),
        "CreationTemplate.role_arn": (registry(creation_templates=[AS_ROLE]), "state"),
        "CreationTemplate.description": (registry(creation_templates=[{**TEMPLATE, "description": "hub"}]), "state"),
        "CreationTemplate.immutable_tags": (
            registry(creation_templates=[{**TEMPLATE, "immutable_tags": {"except": ["latest"]}}]),
            "state",
        ),
        "CreationTemplate.retention": (
            registry(creation_templates=[{**TEMPLATE, "retention": {"untagged_days": 3}}]),
            "state",
        ),
        "CreationTemplate.lifecycle_policy": (
            registry(creation_templates=[{**TEMPLATE, "lifecycle_policy": LIFECYCLE}]),
            "state",
        ),
        "CreationTemplate.encryption": (
            registry(creation_templates=[{**AS_ROLE, "encryption": {"kms_key": KEY.format(1)}}]),
            "state",
        ),
        "CreationTemplate.labels": (registry(creation_templates=[{**AS_ROLE, "labels": {"team": "a"}}]), "state"),
        "AwsTarget.account_ids": (target(account_ids=["987654321092"]), "state"),
        "AwsTarget.regions": (target(regions=["us-east-1"]), "state"),
        "AwsTarget.role_arns": (target(role_arns=["arn:aws:iam::987654321091:role/r"]), "state"),
        "AwsTarget.principal_arns": (target(principal_arns=["arn:aws:iam::987654321091:user/eve"]), "state"),
        "AwsTarget.allowed_service_types": (target(allowed_service_types=[]), "state"),
        "AwsTarget.organization_ids": (target(organization_ids=["o-a1b2c3d4e5"]), "state"),
        "AwsTarget.organization_paths": (target(organization_paths=["o-a1b2c3d4e5/r-ab12/*"]), "state"),
        "AwsTarget.services": (target(services=["codebuild"], source_accounts=["987654321091"]), "state"),
        "AwsTarget.source_accounts": (target(source_accounts=["987654321092"]), "state"),
        "AwsTarget.source_arns": (target(source_arns=["arn:aws:lambda:us-east-1:987654321091:function:f"]), "state"),
        "AwsTarget.function_arns": (
            target(function_arns=["arn:aws:lambda:us-east-1:987654321091:function:f"]),
            "state",
        ),
    }
    elsewhere = {
        "AwsRegistry.name": "another registry: the chains of test_transitions.py",
        "AwsRegistry.platform": "another platform: the contract suite runs on each",
        "AwsRegistry.account_id": "another account: test_aws_session.py",
        "AwsRegistry.assume_role": "another identity: test_aws_session.py",
        "AwsTarget.type": "one type per platform",
    }

    def __init__(self, proxy: Proxy, moto: str, folder: Path) -> None:
        self.proxy = proxy
        self.moto = moto
        self.replication = Rules()
        self.caches = PullThroughCaches()
        self.templates = CreationTemplates()
        self.registry_policies = RegistryPolicy()
        self.rescue = str(folder)  # of its own: what is replaced in another process has the same names

    def client(self, service: str, region: str = "us-east-1") -> Any:
        return moto_client(self.moto, service, region)

    def registry(self, name: str = "images", **fields: Any) -> Document:
        return {"name": name, "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1", **fields}

    def target(self, who: str) -> Document:
        return {"type": "aws", "account_ids": [f"98765432109{who}"]}

    def everyone(self) -> Document:
        return {"type": "aws", "account_ids": ["*"]}

    @property
    def rich(self) -> Document:
        return {
            "registries": [self.registry(replication_regions=["eu-west-1"])],
            "repositories": [
                {"name": "app-a", "registry": "images", "labels": {"team": "a"}, "retention": {"keep_last": 3}},
                {"name": "app-b", "registry": "images", "immutable_tags": {"except": ["latest"]}},
            ],
            "grants": [
                {
                    "name": "one",
                    "registry": "images",
                    "to": {"type": "aws", "account_ids": ["987654321091"], "allowed_service_types": ["worker"]},
                }
            ],
        }

    def valid(self, document: Document) -> Document:
        for index, here in enumerate(document["registries"]):
            for of_roles in ("trusted_principals", "max_session") if here.get("roles") is False else ():
                here.pop(of_roles, None)
            replication = here.get("replication", {})
            if replication:
                here.pop("replication_regions", None)
            if index:  # an account has one rule for all
                replication.pop("filter", None)
            copied = here.get("replication_regions") or (replication and replication.get("filter") != "all")
            if here.get("prefix"):
                here["prefix"] = f"{here['name']}.{here['prefix']}"
            # a rule is of the account: each registry has prefixes of its own
            for key in ("pull_through_cache", "creation_templates"):
                rows = [{**row, "prefix": f"{here['name']}/{row['prefix']}".lower()} for row in here.get(key, ())]
                here |= {key: rows} if rows else {}
            by_prefix = copied or here.get("scanning", {}).keys() == {"type"}
            if here.get("prefix") == "" and (index or by_prefix):
                del here["prefix"]
            seen: set[str] = set()
            for row in document["repositories"]:
                native = row.pop("native_name", None) if row["registry"] == here["name"] else None
                if native is not None and native not in seen:
                    seen.add(native)
                    start = here.get("prefix", f"{here['name']}-") if by_prefix else f"of-{here['name']}/"
                    row["native_name"] = f"{start}{native}"
        return document

    def spec(self, document: Document) -> Spec:
        named = any("prefix" in row for row in document["registries"])
        named = named or any("native_name" in row for row in document.get("repositories", ()))
        # what has no usual prefix is found by the tagging API alone, and moto's lists no ECR repositories
        if named and not any(isinstance(item, TaggingIndex) for item in self.proxy.behaviours):
            self.proxy.behaviours.append(TaggingIndex(self.moto))
        return super().spec(document)

    def whole_document(self) -> Document:
        document = self.rich_document()
        document["registries"][0] |= {
            "scanning": {"type": "basic"},
            "pull_through_cache": [HUB],
            "creation_templates": [TEMPLATE],
            "registry_policy": [{"type": "replication", "to": {"account_ids": ["222222222222"]}}],
        }
        document["registries"].append(self.registry("bare", roles=False))
        return document

    def reset(self) -> None:
        for kept in Path(self.rescue).glob("reconciler-rescue-*"):
            kept.unlink()
        urllib.request.urlopen(urllib.request.Request(f"{self.moto}/moto-api/reset", method="POST"), timeout=20)
        self.proxy.reset()
        self.replication = Rules()
        self.registry_policies = RegistryPolicy()
        self.caches = PullThroughCaches()
        self.templates = CreationTemplates()
        self.proxy.stand_ins += [self.caches, self.templates]
        self.proxy.behaviours += [self.replication, self.registry_policies, ScanningRules()]

    def state(self) -> Document:
        scanning = {region: found for region in REGIONS if (found := self._scanning(region))}
        policies = {region: found for region in REGIONS if (found := self.registry_policy(region))}
        return {
            **({"scanning": scanning} if scanning else {}),
            **({"caches": caches} if (caches := _said(self.caches.rules)) else {}),
            **({"templates": templates} if (templates := _said(self.templates.templates)) else {}),
            **({"registry policies": policies} if policies else {}),
            "replication": {
                region: sorted(map(str, rules)) for region, rules in self.replication.rules.items() if rules
            },
            "roles": {
                role["RoleName"]: self._role(role["RoleName"]) for role in self.client("iam").list_roles()["Roles"]
            },
            "repositories": {
                f"{region}/{item['repositoryName']}": self._repository(region, item)
                for region in REGIONS
                for item in self.client("ecr", region).describe_repositories()["repositories"]
            },
        }

    def registry_policy(self, region: str = "us-east-1") -> Document:
        """The account's registry policy in a region; empty if it has none."""
        found: Document = json.loads(self.registry_policies.policies.get(region, "{}"))
        return found

    def _scanning(self, region: str) -> Document:
        """The account's type and filters; nothing where they are as of a new account."""
        found = self.client("ecr", region).get_registry_scanning_configuration()["scanningConfiguration"]
        rules = {rule["scanFrequency"]: sorted(map(str, rule["repositoryFilters"])) for rule in found["rules"]}
        return {} if (found["scanType"], rules) == ("BASIC", {}) else {"type": found["scanType"], **rules}

    def _role(self, name: str) -> Document:
        iam = self.client("iam")
        role = iam.get_role(RoleName=name)["Role"]
        inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
        return {
            "trust": role["AssumeRolePolicyDocument"],
            "tags": {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
            "session": role["MaxSessionDuration"],
            "inline": {item: iam.get_role_policy(RoleName=name, PolicyName=item)["PolicyDocument"] for item in inline},
        }

    def _repository(self, region: str, item: Document) -> Document:
        ecr, name = self.client("ecr", region), item["repositoryName"]
        found = {key: value for key, value in item.items() if key not in ("createdAt", "repositoryUri")}
        tags = ecr.list_tags_for_resource(resourceArn=item["repositoryArn"])["tags"]
        found["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        if not found.get("imageTagMutabilityExclusionFilters"):
            found.pop("imageTagMutabilityExclusionFilters", None)
        with suppress(ecr.exceptions.LifecyclePolicyNotFoundException):
            found["lifecycle"] = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])
        with suppress(ecr.exceptions.RepositoryPolicyNotFoundException):
            found["policy"] = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
        return found

    def repository_names(self) -> set[str]:
        return {
            item["repositoryName"].removeprefix("images-")
            for region in REGIONS
            for item in self.client("ecr", region).describe_repositories()["repositories"]
            if not item["repositoryName"].startswith("reconciler/")
        }

    def foreign_access(self, repository: str) -> list[Any]:
        statements = self._policy(repository)["Statement"]
        return [item for item in statements if not item["Sid"].startswith("Reconciler")]

    def tag(self, repository: str, key: str) -> str:
        tags = self.client("ecr").list_tags_for_resource(resourceArn=_arn(repository))["tags"]
        found: dict[str, str] = {tag["Key"]: tag["Value"] for tag in tags}
        return found[key]

    def hands(self) -> list[Hand]:
        hands: list[Hand] = []
        # sorted: what threads made has no order of its own, and hypothesis draws by position
        for key, found in sorted(self.state()["repositories"].items()):
            region, name = key.split("/", 1)
            hands += self._repository_hands(region, name, found)
        for name, role in sorted(self.state()["roles"].items()):
            hands += self._role_hands(name, role)
        for what, found_by_region in (("rule", self.caches.rules), ("template", self.templates.templates)):
            for region, by_prefix in sorted(found_by_region.items()):
                for prefix in sorted(by_prefix):
                    hands += _prefix_hands(f"the {what} {prefix} in {region}", by_prefix, prefix)
        for region, rules in sorted(self.replication.rules.items()):
            if rules:
                hands.append((f"stop replication of {region}", partial(self.replication.rules.pop, region)))
                hands.append((f"redirect replication of {region}", partial(_redirect, self.replication.rules, region)))
        for region in sorted(self.registry_policies.policies):
            delete = partial(self.registry_policies.policies.pop, region)
            hands.append((f"delete the registry policy of {region}", delete))
        return hands

    def _repository_hands(self, region: str, name: str, found: Document) -> Iterator[Hand]:
        ecr, arn = self.client("ecr", region), found["repositoryArn"]
        place = f"{name} in {region}"
        named = {"repositoryName": name}

        def tag(key: str, value: str) -> Callable[[], None]:
            return lambda: ecr.tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": value}])

        def untag(key: str) -> Callable[[], None]:
            return lambda: ecr.untag_resource(resourceArn=arn, tagKeys=[key])

        # a ledger is empty, so its other settings are of no interest; where nothing else of its registry is there that
        # bears its marks, what was noted on it asks to be adopted
        ledger = name.startswith("reconciler/")
        if not ledger or self._is_witnessed(name):
            yield f"delete {place}", lambda: ecr.delete_repository(**named, force=True)
        if not ledger:
            yield from self._setting_hands(place, named, found)
            yield f"describe {place}", tag("reconciler-description", "by hand")
        for key in sorted(found["tags"]):
            if key != "reconciler-owner" and not _is_sole_witness(
                key
            ):  # without it, it is nobody's, and asks to be adopted
                yield f"untag {key} of {place}", untag(key)
            # with another origin it asks to be adopted too, with another registry it is that one's
            if key not in ("reconciler-owner", "reconciler-origin", "reconciler-registry"):
                yield f"retag {key} of {place}", tag(key, "v1-0000000000000000" if "applied" in key else "by hand")
        if "lifecycle" in found:
            yield f"delete the lifecycle policy of {place}", lambda: ecr.delete_lifecycle_policy(**named)
            text = json.dumps({"rules": [{**found["lifecycle"]["rules"][0], "selection": _OTHER_SELECTION}]})
            yield (
                f"other lifecycle policy of {place}",
                lambda: ecr.put_lifecycle_policy(**named, lifecyclePolicyText=text),
            )
        if "policy" in found:
            yield f"delete the policy of {place}", lambda: ecr.delete_repository_policy(**named)
            changed = json.loads(json.dumps(found["policy"]))
            changed["Statement"][0]["Principal"] = {"AWS": "AROAEXAMPLEEXAMPLE123"}
            yield (
                f"deleted principal in the policy of {place}",
                lambda: ecr.set_repository_policy(**named, policyText=json.dumps(changed)),
            )
            ghost = json.loads(json.dumps(found["policy"]))
            ghost["Statement"].append({**FOREIGN_STATEMENT, "Sid": "ReconcilerXghost"})
            yield (
                f"a statement of a grant that is not in the spec in the policy of {place}",
                lambda: ecr.set_repository_policy(**named, policyText=json.dumps(ghost)),
            )

    def _setting_hands(self, place: str, named: Document, found: Document) -> Iterator[Hand]:
        ecr = self.client("ecr", place.rpartition(" in ")[2])
        other = "MUTABLE" if found["imageTagMutability"] != "MUTABLE" else "IMMUTABLE"
        yield f"mutability of {place}", lambda: ecr.put_image_tag_mutability(**named, imageTagMutability=other)
        scan = {"scanOnPush": not found["imageScanningConfiguration"]["scanOnPush"]}
        yield (
            f"scanning of {place}",
            lambda: ecr.put_image_scanning_configuration(**named, imageScanningConfiguration=scan),
        )

    def _is_witnessed(self, ledger: str) -> bool:
        registry = ledger.removeprefix("reconciler/")
        there = self.state()["repositories"].items()
        return any(
            found["tags"].get("reconciler-registry") == registry and not key.endswith(f"/{ledger}")
            for key, found in there
        )

    def _role_hands(self, name: str, role: Document) -> Iterator[Hand]:
        iam = self.client("iam")
        named = {"RoleName": name}

        def delete() -> None:
            for inline in role["inline"]:
                iam.delete_role_policy(**named, PolicyName=inline)
            iam.delete_role(**named)

        everyone = json.loads(json.dumps(role["trust"]))
        everyone["Statement"] = [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]
        wide = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}}
        yield f"delete the role {name}", delete
        yield (
            f"trust everyone with {name}",
            lambda: iam.update_assume_role_policy(**named, PolicyDocument=json.dumps(everyone)),
        )
        yield (
            f"widen {name}",
            lambda: iam.put_role_policy(**named, PolicyName="reconciler", PolicyDocument=json.dumps(wide)),
        )
        yield f"strip {name}", lambda: iam.delete_role_policy(**named, PolicyName="reconciler")
        yield f"shorten {name}", lambda: iam.update_role(**named, MaxSessionDuration=7200)
        for key in role["tags"]:
            if key != "reconciler-owner" and not _is_sole_witness(key):
                yield f"untag {key} of {name}", partial(iam.untag_role, **named, TagKeys=[key])

    def push_image(self, repository: str, tag: str = "v1") -> None:
        layer = {
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "size": 1,
            "digest": f"sha256:{tag.encode().hex():0>64}",
        }
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [layer]}
        self.client("ecr").put_image(
            repositoryName=f"images-{repository}", imageTag=tag, imageManifest=json.dumps({**manifest, "config": layer})
        )

    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        tags = (
            [{"Key": "reconciler-owner", "Value": owner}, {"Key": "reconciler-origin", "Value": origin}]
            if owner
            else []
        )
        self.client("ecr").create_repository(repositoryName=f"images-{repository}", tags=tags)

    def _policy(self, repository: str) -> Document:
        ecr = self.client("ecr")
        try:
            found: Document = json.loads(ecr.get_repository_policy(repositoryName=f"images-{repository}")["policyText"])
        except ecr.exceptions.RepositoryPolicyNotFoundException:
            return {"Version": "2008-10-17", "Statement": []}
        return found

    def give_foreign_access(self, repository: str) -> None:
        document = self._policy(repository)
        document["Statement"].append(FOREIGN_STATEMENT)
        self.client("ecr").set_repository_policy(repositoryName=f"images-{repository}", policyText=json.dumps(document))

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        self.client("ecr").tag_resource(resourceArn=_arn(repository), tags=[{"Key": key, "Value": value}])

    def describe(self, repository: str) -> None:
        self.put_foreign_tag(repository, "reconciler-description", "by hand")

    def remove_access(self, repository: str) -> None:
        self.client("ecr").delete_repository_policy(repositoryName=f"images-{repository}")

    def remove_repository(self, repository: str) -> None:
        self.client("ecr").delete_repository(repositoryName=f"images-{repository}", force=True)


def _said(found: Mapping[str, Mapping[str, Document]]) -> Document:
    """What is in each region by prefix, but for the times."""
    times = ("createdAt", "updatedAt")
    return {
        region: {
            prefix: {key: value for key, value in item.items() if key not in times}
            for prefix, item in sorted(items.items())
        }
        for region, items in found.items()
        if items
    }


def _is_sole_witness(key: str) -> bool:
    """Whether a tag is the only note that something without tags of its own is ours: without it that asks to be adopted."""
    return "/" in key or key.startswith("reconciler-applied-registry_policy-")


def _prefix_hands(what: str, found: dict[str, Document], prefix: str) -> Iterator[Hand]:
    yield f"delete {what}", partial(found.pop, prefix)
    item = found[prefix]
    if "upstreamRegistryUrl" in item:
        yield f"redirect {what}", lambda: item.update(upstreamRegistryUrl="registry.gitlab.com")
        if "credentialArn" in item:
            yield f"other credentials of {what}", lambda: item.update(credentialArn=f"{SECRET}9")
    else:
        other = "MUTABLE" if item["imageTagMutability"] != "MUTABLE" else "IMMUTABLE"
        yield f"mutability of {what}", lambda: item.update(imageTagMutability=other)
        yield f"labels of {what}", lambda: item.update(resourceTags=[{"Key": "by", "Value": "hand"}])


def _redirect(rules_of: dict[str, list[Document]], region: str) -> None:
    rules = rules_of[region]
    rules[0]["destinations"] = [{"region": "ap-south-1", "registryId": ACCOUNT}]


SANDBOX = AwsSandbox


@pytest.fixture(autouse=True, scope="session")
def _botocore_remembers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        remember(patch)
        yield


@pytest.fixture(autouse=True)
def _no_identity_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRETSECRET")


@pytest.fixture(scope="session")
def moto_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What moto's process prints."""
    return tmp_path_factory.mktemp("moto") / "moto.log"


@pytest.fixture(scope="session")
def moto(moto_log: Path) -> Iterator[str]:
    """The URL of a process of moto's."""
    with moto_server(moto_log) as url:
        yield url


@pytest.fixture(scope="session")
def proxy(moto: str) -> Iterator[Proxy]:
    """The proxy in front of moto."""
    with proxy_to(moto, AwsWire()) as running:
        yield running


@pytest.fixture
def all_regions() -> list[str]:
    """The names of all regions that have ECR, which are there for our code then."""
    found: list[str] = botocore.session.Session().get_available_regions("ecr")
    return found


_every_region = botocore.session.Session.get_available_regions


def _few_regions(session: botocore.session.Session, service: str, partition_name: str = "aws", **how: Any) -> list[str]:
    found: list[str] = _every_region(session, service, partition_name, **how)
    return [region for region in found if partition_name != "aws" or region in WORLD]


@pytest.fixture
def aws(
    request: pytest.FixtureRequest, moto: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AwsSandbox:
    """An empty AWS account, of the regions of WORLD where the test does not take `all_regions`: what looks for something in all
    regions asks each the same, and 30 that are empty show no more than 4."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    if "all_regions" not in request.fixturenames:
        monkeypatch.setattr("botocore.session.Session.get_available_regions", _few_regions)
    folder = tmp_path / "rescue"
    folder.mkdir()
    sandbox = AwsSandbox(proxy, moto, folder)
    sandbox.reset()
    return sandbox
