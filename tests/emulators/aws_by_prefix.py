"""Pull-through cache rules and creation templates, which moto does not have: stand-ins that answer as AWS documents.

What they take is checked against the service model that botocore publishes; test_aws_by_prefix.py holds them against published
exchanges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .aws import Quiet
from .aws_model import request_faults
from .proxy import Answer, Call

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
OPEN = ("public.ecr.aws", "quay.io", "registry.k8s.io")
CLOSED = ("cgr.dev", "ghcr.io", "registry-1.docker.io", "registry.gitlab.com")
#: in one region: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
MOST_RULES = 50
NOW = 1_700_000_000
Members = dict[str, Any]


def refusal(code: str, message: str) -> Answer:
    return Answer(400, {"message": message}, code)


class ByPrefix(Quiet):
    """What all operations have in common: a wrong request is refused; lists come in pages."""

    account = "123456789012"
    operations: dict[str, Callable[[Call], Answer]]

    def before(self, call: Call) -> Answer | None:
        carry_out = self.operations.get(call.operation) if call.service == "ecr" else None
        if carry_out is None:
            return None
        faults = request_faults("ecr", call.operation, call.body)
        return refusal("InvalidParameterException", "; ".join(faults)) if faults else carry_out(call)

    def page(self, call: Call, found: list[Members], key: str, **more: Any) -> Answer:
        size = call.body.get("maxResults", 100)
        start = int(call.body.get("nextToken") or 0)
        token = {"nextToken": str(start + size)} if start + size < len(found) else {}
        return Answer(body={key: found[start : start + size], **token, **more})


@dataclass
class PullThroughCaches(ByPrefix):
    """An account's pull-through cache rules by region and prefix. `unknown_secrets`: ARNs of secrets that are not there.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html
    """

    rules: dict[str, dict[str, Members]] = field(default_factory=dict)
    unknown_secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.operations = {
            "CreatePullThroughCacheRule": self.create,
            "DescribePullThroughCacheRules": self.describe,
            "UpdatePullThroughCacheRule": self.update,
            "DeletePullThroughCacheRule": self.delete,
        }

    def of(self, call: Call) -> dict[str, Members]:
        return self.rules.setdefault(call.region, {})

    def create(self, call: Call) -> Answer:
        body, prefix = call.body, call.body["ecrRepositoryPrefix"]
        upstream = body["upstreamRegistryUrl"]
        if prefix.rstrip("/") in {key.rstrip("/") for key in self.of(call)}:
            return refusal(
                "PullThroughCacheRuleAlreadyExistsException", f"a rule with the prefix '{prefix}' already exists"
            )
        if upstream not in (*OPEN, *CLOSED) and not upstream.endswith((".azurecr.io", ".amazonaws.com")):
            return refusal("UnsupportedUpstreamRegistryException", f"{upstream} is not supported")
        if upstream in CLOSED and "credentialArn" not in body:
            return refusal("UnsupportedUpstreamRegistryException", f"{upstream} requires authentication")
        if body.get("upstreamRepositoryPrefix", "ROOT") != "ROOT" and prefix == "ROOT":
            return refusal(
                "InvalidParameterException", "upstreamRepositoryPrefix can be set only where the prefix is not ROOT"
            )
        if body.get("credentialArn") in self.unknown_secrets:
            return refusal("SecretNotFoundException", f"the secret {body['credentialArn']} was not found")
        if len(self.of(call)) >= MOST_RULES:
            return refusal("LimitExceededException", f"the registry has {MOST_RULES} rules")
        made = {"upstreamRepositoryPrefix": "ROOT", **body, "registryId": self.account, "createdAt": NOW}
        self.of(call)[prefix] = made
        return Answer(body=made)

    def describe(self, call: Call) -> Answer:
        asked = call.body.get("ecrRepositoryPrefixes", list(self.of(call)))
        if unknown := [prefix for prefix in asked if prefix not in self.of(call)]:
            return _no_rule(unknown[0])
        found = [{"updatedAt": NOW, **self.of(call)[prefix]} for prefix in sorted(asked)]
        return self.page(call, found, "pullThroughCacheRules")

    def update(self, call: Call) -> Answer:
        prefix = call.body["ecrRepositoryPrefix"]
        if prefix not in self.of(call):
            return _no_rule(prefix)
        given: Members = {key: call.body[key] for key in ("credentialArn", "customRoleArn") if key in call.body}
        if not given:  # pulumi/pulumi-aws#5714
            message = "Invalid input: Please set either credential arn or role arn to update the credential"
            return refusal("InvalidParameterException", message)
        if given.get("credentialArn") in self.unknown_secrets:
            return refusal("SecretNotFoundException", f"the secret {given['credentialArn']} was not found")
        rule = self.of(call)[prefix] = {**self.of(call)[prefix], **given, "updatedAt": NOW + 1}
        left_out = ("createdAt", "upstreamRegistry", "upstreamRegistryUrl")
        return Answer(body={key: value for key, value in rule.items() if key not in left_out})

    def delete(self, call: Call) -> Answer:
        rule = self.of(call).pop(call.body["ecrRepositoryPrefix"], None)
        if rule is None:
            return _no_rule(call.body["ecrRepositoryPrefix"])
        return Answer(body={key: value for key, value in rule.items() if key not in ("updatedAt", "upstreamRegistry")})


def _no_rule(prefix: str) -> Answer:
    return refusal("PullThroughCacheRuleNotFoundException", f"the rule with the prefix '{prefix}' was not found")


@dataclass
class CreationTemplates(ByPrefix):
    """An account's repository creation templates by region and prefix.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepositoryCreationTemplate.html. In the published examples, an
    update keeps what it does not name, and a listing by a prefix has those below it. `forgetful`: an update takes away what it does
    not name, as the documentation says of imageTagMutability.
    """

    templates: dict[str, dict[str, Members]] = field(default_factory=dict)
    forgetful: bool = False

    def __post_init__(self) -> None:
        self.operations = {
            "CreateRepositoryCreationTemplate": self.create,
            "DescribeRepositoryCreationTemplates": self.describe,
            "UpdateRepositoryCreationTemplate": self.update,
            "DeleteRepositoryCreationTemplate": self.delete,
        }

    def of(self, call: Call) -> dict[str, Members]:
        return self.templates.setdefault(call.region, {})

    def answer(self, template: Members) -> Answer:
        return Answer(body={"registryId": self.account, "repositoryCreationTemplate": template})

    def create(self, call: Call) -> Answer:
        prefix = call.body["prefix"]
        if prefix.rstrip("/") in {key.rstrip("/") for key in self.of(call)}:
            return refusal("TemplateAlreadyExistsException", f"a template with the prefix '{prefix}' already exists")
        made = {
            "imageTagMutability": "MUTABLE",
            "encryptionConfiguration": {"encryptionType": "AES256"},
            "createdAt": NOW,
            "updatedAt": NOW,
        }
        return self.written(call, {**made, **call.body})

    def describe(self, call: Call) -> Answer:
        asked = call.body.get("prefixes")
        found = [
            template
            for prefix, template in sorted(self.of(call).items())
            if asked is None or any(prefix == item or prefix.startswith(f"{item}/") for item in asked)
        ]
        return self.page(call, found, "repositoryCreationTemplates", registryId=self.account)

    def update(self, call: Call) -> Answer:
        prefix = call.body["prefix"]
        if prefix not in self.of(call):
            return _no_template(prefix)
        kept = {"imageTagMutability": "MUTABLE", "createdAt": NOW} if self.forgetful else self.of(call)[prefix]
        return self.written(call, {**kept, **call.body, "updatedAt": NOW + 1})

    def written(self, call: Call, template: Members) -> Answer:
        excepting = template["imageTagMutability"].endswith("_WITH_EXCLUSION")
        if excepting != ("imageTagMutabilityExclusionFilters" in call.body):
            return refusal("InvalidParameterException", "imageTagMutabilityExclusionFilters go with WITH_EXCLUSION")
        if not excepting:
            template.pop("imageTagMutabilityExclusionFilters", None)
        # an empty value takes the member away, as Terraform's provider does it
        kept = {key: value for key, value in template.items() if value not in ("", [])}
        self.of(call)[call.body["prefix"]] = kept
        return self.answer(kept)

    def delete(self, call: Call) -> Answer:
        template = self.of(call).pop(call.body["prefix"], None)
        return _no_template(call.body["prefix"]) if template is None else self.answer(template)


def _no_template(prefix: str) -> Answer:
    return refusal("TemplateNotFoundException", f"the template with the prefix '{prefix}' was not found")
