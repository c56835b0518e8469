"""A stage is a platform that tests play on: an empty account, a way to look at everything in it that is not our code,
and hands that change things behind our back. The contract suite runs on every stage; a new platform adds one here."""

from __future__ import annotations

import json
import shutil
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import yaml

from reconciler import apply, parse_spec
from reconciler import plan as make_plan
from reconciler.engine.apply import succeeded
from reconciler.engine.plan import Plan, Wishes
from reconciler.engine.write import Outcome
from reconciler.spec.models import Spec
from tests.emulators.aws import Replication
from tests.emulators.proxy import Proxy

Document = dict[str, Any]
Hand = tuple[str, Callable[[], Any]]
ACCOUNT = "123456789012"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


class Stage(ABC):
    """One platform, ready to be played on."""

    platform: str

    @abstractmethod
    def registry(self, name: str = "images", **fields: Any) -> Document:
        """A registry of this platform as the spec writes it."""

    @abstractmethod
    def target(self, who: str) -> Document:
        """A grant's target of this platform; `who` is one digit."""

    @abstractmethod
    def state(self) -> Document:
        """Everything on the platform, read without our code."""

    @abstractmethod
    def reset(self) -> None:
        """Empties the platform."""

    @abstractmethod
    def hands(self) -> list[Hand]:
        """Ways to change what is on the platform now, behind our back; each a name and a function."""

    @abstractmethod
    def push_image(self, repository: str, tag: str = "v1") -> None:
        """Puts an image into a repository of registry `images`."""

    @abstractmethod
    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        """Makes a repository in registry `images` that nobody (or somebody else) owns."""

    @abstractmethod
    def give_foreign_access(self, repository: str) -> None:
        """Gives somebody access to a repository of registry `images` behind our back."""

    @abstractmethod
    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        """Puts a label on a repository of registry `images` behind our back."""

    def document(self, *repositories: Document | str, grants: tuple[Document, ...] = (), **top: Any) -> Document:
        """A spec with one registry `images`."""
        rows = [{"name": item} if isinstance(item, str) else item for item in repositories]
        return {
            "version": 1,
            "name": top.pop("name", "tests"),
            "registries": [self.registry(**top.pop("registry", {}))],
            "repositories": [{"registry": "images", **row} for row in rows],
            "grants": [{"registry": "images", **grant} for grant in grants],
            **top,
        }

    def spec(self, document: Document) -> Spec:
        """The document as a loaded spec."""
        return parse_spec(yaml.safe_dump(document, sort_keys=False), base=self.base)

    base = "."

    def plan(self, document: Document, **wishes: Any) -> Plan:
        """The document's plan."""
        return make_plan(self.spec(document), Wishes(**wishes))

    def apply(self, document: Document, **wishes: Any) -> list[Outcome]:
        """Plans and applies the document; every change must be done."""
        outcomes = apply(self.plan(document, **wishes))
        assert succeeded(outcomes), [outcome for outcome in outcomes if outcome.message]
        return outcomes


class LocalStage(Stage):
    """A folder."""

    platform = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = str(folder)
        self.root = folder / "sandbox"

    def registry(self, name: str = "images", **fields: Any) -> Document:
        return {"name": name, "platform": "local", "path": "sandbox" if name == "images" else name, **fields}

    def target(self, who: str) -> Document:
        return {"type": "local", "users": [f"user{who}"]}

    def state(self) -> Document:
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file() and path.suffix == ".json")
        return {str(path.relative_to(self.folder)): json.loads(path.read_text()) for path in files}

    def reset(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def hands(self) -> list[Hand]:
        return list(self._hands())

    def _hands(self) -> Iterator[Hand]:
        for path in sorted(self.root.glob("control/*/*.json")):
            place = f"{path.parent.name}/{path.name}"
            yield f"remove {place}", path.unlink
            if path.parent.name == "repositories":
                yield f"describe {place}", self._edit(path, lambda d: d["settings"].update(description="by hand"))
                yield f"movable {place}", self._edit(path, lambda d: d["settings"].update(movable_tags=["x"]))
                yield f"keep {place}", self._edit(path, lambda d: d["settings"].update(keep_last=7))
                yield f"forget {place}", self._edit(path, lambda d: d["marks"].pop("reconciler-applied"))
                if json.loads(path.read_text())["labels"]:
                    yield f"relabel {place}", self._edit(path, _relabel)
            else:
                yield f"empty {place}", self._edit(path, lambda d: d.update(entries=[]))
                yield f"open {place}", self._edit(path, lambda d: d["entries"][0].update(users=["mallory"]))
                yield f"push {place}", self._edit(path, lambda d: d["entries"][0].update(permission="push-pull"))
                yield f"forget {place}", self._edit(path, lambda d: d["marks"].pop("reconciler-applied"))

    def _edit(self, path: Path, change: Callable[[Document], Any]) -> Callable[[], None]:
        def edit() -> None:
            document = json.loads(path.read_text())
            change(document)
            path.write_text(json.dumps(document))

        return edit

    def _path(self, section: str, repository: str) -> Path:
        path = self.root / "control" / section / f"{repository}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def push_image(self, repository: str, tag: str = "v1") -> None:
        path = self.root / "manifests" / repository / "sha256" / (tag.encode().hex() * 8)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        marks = {"reconciler-owner": owner, "reconciler-origin": origin} if owner else {}
        self._path("repositories", repository).write_text(json.dumps({"settings": {}, "labels": {}, "marks": marks}))

    def give_foreign_access(self, repository: str) -> None:
        path = self._path("access", repository)
        document = json.loads(path.read_text()) if path.exists() else {"entries": [], "marks": {}}
        document["entries"].append({"users": ["stranger"], "permission": "pull", "note": "by hand"})
        path.write_text(json.dumps(document))

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        self._edit(self._path("repositories", repository), lambda d: d["labels"].update({key: value}))()


def _relabel(document: Document) -> None:
    own = document["marks"].get("reconciler-labels", "").split()
    for key in own:
        document["labels"][key] = "by hand"


class AwsStage(Stage):
    """moto behind a proxy, one account, three regions."""

    platform = "aws"

    def __init__(self, proxy: Proxy, moto: str) -> None:
        self.proxy = proxy
        self.moto = moto
        self.replication = Replication()
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

    def reset(self) -> None:
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
        everyone["Statement"][0]["Principal"] = {"AWS": "*"}
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
        yield f"shorten {name}", lambda: iam.update_role(**named, MaxSessionDuration=3600)
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

    def give_foreign_access(self, repository: str) -> None:
        ecr, named = self.client("ecr"), {"repositoryName": f"images-{repository}"}
        try:
            document = json.loads(ecr.get_repository_policy(**named)["policyText"])
        except ecr.exceptions.RepositoryPolicyNotFoundException:
            document = {"Version": "2008-10-17", "Statement": []}
        document["Statement"].append(FOREIGN_STATEMENT)
        ecr.set_repository_policy(**named, policyText=json.dumps(document))

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-{repository}"
        self.client("ecr").tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": value}])


FOREIGN_STATEMENT = {
    "Sid": "legacy access, by hand",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}
_OTHER_SELECTION = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 999}


def _redirect(rules: list[Document]) -> None:
    rules[0]["destinations"] = [{"region": "ap-south-1", "registryId": ACCOUNT}]
