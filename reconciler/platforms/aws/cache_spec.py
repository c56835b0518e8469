"""What a registry fetches from other registries, in the spec: ECR's pull-through cache rules.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from reconciler.spec.fields import Fault, Model, Text, each
from reconciler.words import counted

from . import names
from .target import RoleArn

#: stands for every repository without a rule or template of a longer prefix
ROOT = "ROOT"
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html (ecrRepositoryPrefix)
PREFIX = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*/?|ROOT"
PREFIX_SAYS = "words of lower-case letters and digits, joined by '.', '_' or '-', in parts separated by '/'; or ROOT, for all names"
#: in one region, whoever made them: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
MAX_CACHES = 50
#: registries that ECR reads without credentials, and those that it reads only with them (upstreamRegistryUrl, same source)
_OPEN = ("public.ecr.aws", "quay.io", "registry.k8s.io")
_CLOSED = ("cgr.dev", "ghcr.io", "registry-1.docker.io", "registry.gitlab.com")
_AZURE = r"[a-zA-Z0-9]{5,50}\.azurecr\.io"
_ECR = rf"({names.ACCOUNT})\.dkr\.ecr\.({names.REGION})\.amazonaws\.com(\.cn)?"
_UPSTREAM = "|".join([*map(re.escape, (*_OPEN, *_CLOSED)), _AZURE, _ECR])

Upstream = Annotated[
    str,
    Text(
        _UPSTREAM,
        f"a registry that ECR can fetch from: {', '.join((*_OPEN, *_CLOSED))}, NAME.azurecr.io, or"
        " ACCOUNT.dkr.ecr.REGION.amazonaws.com",
    ),
]
SecretArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:ecr-pullthroughcache/[a-zA-Z0-9/_+=.@-]+",
        "the ARN of a secret of AWS Secrets Manager whose name begins with ecr-pullthroughcache/",
        612,
    ),
]


def cache_prefix(text: str) -> bool:
    """Whether a rule can have this prefix."""
    return 2 <= len(text) <= 30 and re.fullmatch(PREFIX, text) is not None


CachePrefix = Annotated[str, Text(rf"(?=.{{2,30}}$)({PREFIX})", f"2 to 30 characters: {PREFIX_SAYS}")]


class PullThroughCache(Model):
    """A rule by which ECR fetches images of another registry when somebody pulls them here."""

    prefix: CachePrefix = Field(
        description="What the names of the cached repositories begin with, before a /; ROOT: of all that no other rule is for."
    )
    upstream: Upstream = Field(description="The registry that images are fetched from, as ECR names it.")
    credentials: SecretArn | None = Field(
        None,
        description="The secret with the credentials for it, which ECR reads. Needed for all but ECR, Quay and Kubernetes.",
    )
    role_arn: RoleArn | None = Field(
        None, description="The role as which ECR reads another ECR registry. Needed if that is of another account."
    )
    upstream_prefix: CachePrefix | None = Field(
        None,
        description="What the names begin with there, if it is another ECR registry. Default: ROOT, all names.",
    )

    @property
    def of_ecr(self) -> re.Match[str] | None:
        """The other ECR registry's account and region; None for what is no ECR registry."""
        return re.fullmatch(_ECR, self.upstream)

    def fault(self) -> str | None:
        if self.of_ecr and self.credentials is not None:
            return "ECR reads another ECR registry as a role: write role_arn in the place of credentials"
        if not self.of_ecr and self.role_arn is not None:
            return f"ECR reads {self.upstream} with credentials, not as a role: remove role_arn"
        if not self.of_ecr and self.upstream not in _OPEN and self.credentials is None:
            return f"ECR reads {self.upstream} only with credentials"
        if self.upstream_prefix not in (None, ROOT):
            if not self.of_ecr:
                return "upstream_prefix is for another ECR registry only: remove it"
            if (
                self.prefix == ROOT
            ):  # https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-private-wildcards.html
                return "with the prefix ROOT, upstream_prefix can only be ROOT too: remove it"
        return None


def cache_faults(rules: Sequence[PullThroughCache], account: str, region: str) -> Iterator[Fault]:
    """What ECR would refuse of the rules of a registry in an account and region; paths are below the list."""
    yield from twice(rules)
    for index, rule in enumerate(rules):
        yield from each(
            _credentials_faults(rule, index, account, region),
            _role_faults(rule, index, account),
            _upstream_faults(rule, index, account, region),
        )


def twice(items: Sequence[Model]) -> Iterator[Fault]:
    """A fault for each prefix that an item before has too: a / at the end is always assumed."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        prefix = str(item.__dict__.get("prefix", "")).rstrip("/")
        if prefix and prefix in seen:
            yield Fault((index, "prefix"), f"'{prefix}' is listed twice (a / at the end makes no difference)")
        seen.add(prefix)


def _credentials_faults(rule: PullThroughCache, index: int, account: str, region: str) -> Iterator[Fault]:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-rule.html#cache-rule-prereq
    if rule.credentials is not None:
        there = (names.arn_part(rule.credentials, 3), names.arn_part(rule.credentials, 4))
        if there != (region, account):
            yield Fault(
                (index, "credentials"),
                f"the secret is in {there[0]} of account {there[1]}; the registry is in {region} of account {account}, and ECR"
                " reads a secret of its own account and region only",
            )


def _role_faults(rule: PullThroughCache, index: int, account: str) -> Iterator[Fault]:
    yield from role_faults(rule.role_arn, (index, "role_arn"), account)


def role_faults(role_arn: str | None, at: tuple[str | int, ...], account: str) -> Iterator[Fault]:
    """A fault if a role that ECR is to assume is not of the registry's account (customRoleArn)."""
    if role_arn is not None and names.arn_part(role_arn, 4) != account:
        yield Fault(at, f"must be a role of the registry's own account, {account}")


def _upstream_faults(rule: PullThroughCache, index: int, account: str, region: str) -> Iterator[Fault]:
    if rule.of_ecr is None:
        return
    theirs = rule.of_ecr.groups()[:2]
    if theirs == (account, region):
        yield Fault((index, "upstream"), "is this registry itself")
    elif theirs[0] != account and rule.role_arn is None:
        yield Fault((index, "upstream"), f"is of account {theirs[0]}, which ECR reads only as a role: add role_arn")


def note_faults(rules: int, templates: int, regions: int, room: int) -> Iterator[Fault]:
    """A fault if there are more rules and templates than tags that can note them. `templates`: one in several regions is as many.
    `room`: how many tags are left beside the notes of the regions."""
    room = max(room, 0)
    if rules + templates > room:
        found = [counted(rules, "rule")] * bool(rules) + [counted(templates, "template")] * bool(templates)
        each_region = ", a template one in each region" if templates else ""
        yield Fault(
            ("pull_through_cache" if rules else "creation_templates",),
            f"{' and '.join(found)} need a tag each to be noted{each_region}: beside those of {counted(regions, 'region')}, {room}"
            " are left",
        )
