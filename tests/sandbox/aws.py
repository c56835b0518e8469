"""AWS as a sandbox: moto behind a proxy, one account, three regions."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import strategies as st

from reconciler.platforms.aws.spec import AwsRegistry, AwsTarget
from tests.emulators.aws import Replication
from tests.emulators.aws_wire import AwsWire
from tests.emulators.proxy import Proxy, proxy_to
from tests.emulators.servers import moto_server

from .base import Document, Hand, Sandbox
from .fields import registry, repository, target

ACCOUNT = "123456789012"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
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


def _arn(repository: str) -> str:
    return f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-{repository}"


def _narrowed(target: Document) -> Document:
    """The target without regions where they would narrow nothing, or would leave out a function."""
    worker = "allowed_service_types" in target or target.get("function_arns")
    if target.get("regions") and (not worker or (target.get("function_arns") and "us-east-1" not in target["regions"])):
        return {key: value for key, value in target.items() if key != "regions"}
    return target


class AwsSandbox(Sandbox):
    """moto behind a proxy, one account, three regions."""

    platform = "aws"
    slow = True
    empty_place = "ap-south-1"
    examples = 25
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
            "regions": st.lists(st.sampled_from(["us-east-1", "eu-west-1"]), unique=True),
            "allowed_service_types": st.just(["worker"]),
            "function_arns": st.lists(
                st.sampled_from(["arn:aws:lambda:us-east-1:987654321091:function:f"]), unique=True
            ),
        },
    ).map(_narrowed)
    registry_fields = {
        "replication_regions": st.lists(st.sampled_from(["us-west-2", "eu-west-1"]), unique=True),
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
    }
    repository_fields = {
        "lifecycle_policy": st.integers(1, 90).map(_lifecycle_policy),
        "encryption": st.sampled_from("12").map(lambda number: {"kms_key": KEY.format(number)}),
    }
    models = (AwsRegistry, AwsTarget)
    fields = {
        "Repository.encryption": (repository(encryption={"kms_key": KEY.format(1)}), "state"),
        "Repository.lifecycle_policy": (repository(lifecycle_policy=LIFECYCLE), "state"),
        "AwsRegistry.region": (registry(region="us-west-2"), "state"),
        "AwsRegistry.replication_regions": (registry(replication_regions=["us-west-2"]), "state"),
        "AwsRegistry.trusted_principals": (registry(trusted_principals=[f"arn:aws:iam::{ACCOUNT}:role/ci"]), "state"),
        "AwsRegistry.retired": (registry(retired=True), "state"),
        "AwsRegistry.max_session": (registry(max_session="2h"), "state"),
        "AwsTarget.account_ids": (target(account_ids=["987654321092"]), "state"),
        "AwsTarget.regions": (target(regions=["us-east-1"]), "state"),
        "AwsTarget.role_arns": (target(role_arns=["arn:aws:iam::987654321091:role/r"]), "state"),
        "AwsTarget.allowed_service_types": (target(allowed_service_types=[]), "state"),
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
        self.replication = Replication()
        self.rescue = str(folder)  # of its own: what is replaced in another process has the same names
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = "us-east-1") -> Any:
        if (service, region) not in self._clients:
            session = boto3.Session(aws_access_key_id="hand", aws_secret_access_key="hand", region_name=region)
            client: Any = session.client(service, endpoint_url=self.moto)  # type: ignore[call-overload]  # the stubs want a literal
            self._clients[service, region] = client
        return self._clients[service, region]

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

    def reset(self) -> None:
        for kept in Path(self.rescue).glob("reconciler-rescue-*"):
            kept.unlink()
        urllib.request.urlopen(urllib.request.Request(f"{self.moto}/moto-api/reset", method="POST"), timeout=20)
        self.proxy.reset()
        self.replication = Replication()
        self.proxy.behaviours.append(self.replication)

    def state(self) -> Document:
        return {
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
        for region, rules in sorted(self.replication.rules.items()):
            if rules:
                hands.append((f"stop replication of {region}", partial(self.replication.rules.pop, region)))
                hands.append((f"redirect replication of {region}", partial(_redirect, rules)))
        return hands

    def _repository_hands(self, region: str, name: str, found: Document) -> Iterator[Hand]:
        ecr, arn = self.client("ecr", region), found["repositoryArn"]
        place = f"{name} in {region}"
        named = {"repositoryName": name}
        other = "MUTABLE" if found["imageTagMutability"] != "MUTABLE" else "IMMUTABLE"

        def tag(key: str, value: str) -> Callable[[], None]:
            return lambda: ecr.tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": value}])

        def untag(key: str) -> Callable[[], None]:
            return lambda: ecr.untag_resource(resourceArn=arn, tagKeys=[key])

        yield f"delete {place}", lambda: ecr.delete_repository(**named, force=True)
        yield f"mutability of {place}", lambda: ecr.put_image_tag_mutability(**named, imageTagMutability=other)
        scan = {"scanOnPush": not found["imageScanningConfiguration"]["scanOnPush"]}
        yield (
            f"scanning of {place}",
            lambda: ecr.put_image_scanning_configuration(**named, imageScanningConfiguration=scan),
        )
        yield f"describe {place}", tag("reconciler-description", "by hand")
        for key in sorted(found["tags"]):
            if key != "reconciler-owner":  # without it the repository is nobody's, and asks to be adopted
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
            if key != "reconciler-owner":
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


def _redirect(rules: list[Document]) -> None:
    rules[0]["destinations"] = [{"region": "ap-south-1", "registryId": ACCOUNT}]


SANDBOX = AwsSandbox


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
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a moto_server process."""
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture(scope="session")
def proxy(moto: str) -> Iterator[Proxy]:
    """The proxy in front of moto."""
    with proxy_to(moto, AwsWire()) as running:
        yield running


@pytest.fixture
def aws(moto: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AwsSandbox:
    """An empty AWS account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    folder = tmp_path / "rescue"
    folder.mkdir()
    sandbox = AwsSandbox(proxy, moto, folder)
    sandbox.reset()
    return sandbox
