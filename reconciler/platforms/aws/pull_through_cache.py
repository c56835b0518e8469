"""A pull-through cache rule: what is pulled by its prefix, ECR fetches from another registry.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reconciler.model.address import Address
from reconciler.model.kind import Verb
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Weakening
from reconciler.spec.registry import RegistryBase

from .by_prefix import PrefixKind, Raw, permissions
from .cache_spec import MAX_CACHES, ROOT, PullThroughCache, cache_prefix
from .ledgers import LEDGER_PUT, LEDGER_REMOVE
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("PullThroughCacheRuleNotFoundException",)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The registry that images come from, and how ECR reads it: with a secret, or as a role ("": as anybody).

    `upstream_prefix`: what the names begin with there, "" for all names.
    """

    upstream: str = ""
    credentials: str = ""
    role_arn: str = ""
    upstream_prefix: str = ""


_PERMISSIONS = permissions(
    "ecr:DescribePullThroughCacheRules",
    "ecr:CreatePullThroughCacheRule",
    "ecr:UpdatePullThroughCacheRule",
    "ecr:DeletePullThroughCacheRule",
)


class PullThroughCacheKind(PrefixKind):
    """The pull-through cache rules in the home region."""

    name = "pull_through_cache"
    settings = CacheSettings
    # ecr:UpdatePullThroughCacheRule takes neither
    immutable = frozenset({"upstream", "upstream_prefix"})
    noun = "pull-through cache rule"
    most = MAX_CACHES
    permissions = {
        **_PERMISSIONS,
        Verb.UPDATE: (*_PERMISSIONS[Verb.UPDATE], "ecr:DeletePullThroughCacheRule"),
        Verb.REPLACE: (
            *("ecr:DescribePullThroughCacheRules", "ecr:CreatePullThroughCacheRule", "ecr:DeletePullThroughCacheRule"),
            *("iam:PassRole", "iam:CreateServiceLinkedRole", *LEDGER_PUT, *LEDGER_REMOVE),
        ),
    }

    def weakens(self, before: CacheSettings | None, after: CacheSettings | None) -> Iterator[Weakening]:
        if before is not None and after is None:
            what = f"nothing more is cached from {before.upstream}: what is not there yet can't be pulled"
            yield Weakening("pull_through_cache", what)
        if before is not None and after is not None:
            places = [f"{item.upstream}/{item.upstream_prefix}".rstrip("/") for item in (before, after)]
            if places[0] != places[1]:
                what = f"what is pulled by its prefix comes from {places[1]} instead of {places[0]}"
                yield Weakening("pull_through_cache", what, may=True)

    def altered(self, settings: CacheSettings) -> str | None:
        said = {
            "credentials": settings.credentials,
            "role_arn": settings.role_arn,
            "upstream_prefix": settings.upstream_prefix,
        }
        given = {name: value for name, value in said.items() if value}
        try:
            # whichever prefix it is: the address says it
            PullThroughCache.model_validate({"prefix": "any", "upstream": settings.upstream, **given})
        except ValidationError as error:
            places = [str(item["loc"][0]) for item in error.errors() if item["loc"]]
            return " and ".join(places) or "upstream"
        return "upstream_prefix" if settings.upstream_prefix == ROOT else None

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        rules = registry.pull_through_cache if isinstance(registry, AwsRegistry) else ()
        asked = any(item.prefix == wanted.address.name and settings_of(item) == wanted.settings for item in rules)
        return None if asked and not wanted.address.where else "the rule"

    def is_prefix(self, text: str) -> bool:
        return cache_prefix(text)

    def pages(self, session: AwsSession, at: Address) -> Mapping[str, Raw]:
        region = session.region_of(at)
        name = "describe_pull_through_cache_rules"
        found = session.pages("ecr", name, "pullThroughCacheRules", region, address=at, maxResults=1000)
        return {item["ecrRepositoryPrefix"]: item for item in found}

    def settings_of(self, raw: Raw) -> CacheSettings:
        prefix = raw.get("upstreamRepositoryPrefix", ROOT)
        return CacheSettings(
            raw["upstreamRegistryUrl"],
            raw.get("credentialArn", ""),
            raw.get("customRoleArn", ""),
            "" if prefix == ROOT else prefix,
        )

    def make(self, session: AwsSession, at: Address, wanted: CacheSettings) -> Raw:
        prefix = {"upstreamRepositoryPrefix": wanted.upstream_prefix} if wanted.upstream_prefix else {}
        return self._call(
            session, "create", at, upstreamRegistryUrl=wanted.upstream, **prefix, **_credentials_of(wanted)
        )

    def change(self, session: AwsSession, at: Address, wanted: CacheSettings, live: Live) -> Raw:
        now = _credentials_of(wanted)
        if _credentials_of(live.settings).keys() - now.keys():
            # an update can't take them away ("Please set either credential arn or role arn": pulumi/pulumi-aws#5714); the rule
            # stays noted as ours meanwhile
            self.remove(session, at)
            return self.make(session, at, wanted)
        # the answer has no upstream, which never changes
        return {"upstreamRegistryUrl": live.settings.upstream, **self._call(session, "update", at, **now)}

    def remove(self, session: AwsSession, at: Address) -> None:
        self._call(session, "delete", at, absent=GONE)

    def _call(self, session: AwsSession, verb: str, at: Address, **params: Any) -> Raw:
        name, region = f"{verb}_pull_through_cache_rule", session.region_of(at)
        answer: Raw = session.call("ecr", name, region, address=at, ecrRepositoryPrefix=at.name, **params)
        return answer


def settings_of(rule: PullThroughCache) -> CacheSettings:
    """What the spec asks for."""
    prefix = rule.upstream_prefix
    return CacheSettings(
        rule.upstream, rule.credentials or "", rule.role_arn or "", "" if prefix in (None, ROOT) else str(prefix)
    )


def _credentials_of(settings: CacheSettings) -> dict[str, str]:
    """How ECR reads the other registry, as calls have it."""
    found = {"credentialArn": settings.credentials, "customRoleArn": settings.role_arn}
    return {name: value for name, value in found.items() if value}
