"""A repository creation template: the settings of the repositories that ECR makes by itself under a prefix.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepositoryCreationTemplate.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Verb
from reconciler.model.ledger import Texts
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Weakening
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository, RepositoryDefaults, shown_tags
from reconciler.words import Named, all_of

from . import lifecycle, names, native, repository_settings
from .by_prefix import PrefixKind, Raw, permissions
from .lifecycle import LifecycleKind, LifecycleSettings
from .lifecycle_rules import policy_faults
from .policy_access import foreign
from .spec import AwsRegistry
from .tags import as_dict, as_list
from .template_spec import KIND, REPLICATION, CreationTemplate

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("TemplateNotFoundException",)
POLICY = "repositoryPolicy"
#: what ECR says of a template that is in its settings, or is no setting at all
_KNOWN = frozenset(
    {
        *("prefix", "description", "encryptionConfiguration", "resourceTags", "imageTagMutability"),
        *("imageTagMutabilityExclusionFilters", "lifecyclePolicy", "appliedFor", "customRoleArn"),
        *("createdAt", "updatedAt"),
    }
)


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """What a template can be set to.

    `used_for`: when ECR uses it, sorted. `encryption`, `mutability`: as of a repository. `labels`: the tags of the repositories that
    it makes. `lifecycle`: None for no lifecycle policy.
    """

    used_for: tuple[str, ...] = ()
    description: str = ""
    role_arn: str = ""
    tags_immutable: bool = False
    movable_tags: tuple[str, ...] = ()
    encryption: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    lifecycle: LifecycleSettings | None = None
    mutability: str = ""


_PERMISSIONS = permissions(
    "ecr:DescribeRepositoryCreationTemplates",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    # of whoever says how repositories are made:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html#repository-creation-templates-iam
    *("ecr:CreateRepository", "ecr:PutLifecyclePolicy"),
)


class CreationTemplateKind(PrefixKind):
    """The creation templates in the home region, and those for replication in the replication regions."""

    name = KIND
    settings = TemplateSettings
    noun = "creation template"
    permissions = {**_PERMISSIONS, Verb.UPDATE: (*_PERMISSIONS[Verb.UPDATE], "ecr:SetRepositoryPolicy")}

    def shown(self, settings: TemplateSettings) -> dict[str, Any]:
        shown = super().shown(replace(settings, lifecycle=None))
        tags = shown_tags(shown.pop("tags_immutable"), shown.pop("movable_tags"))
        tags = shown.pop("mutability") or tags
        return {
            "for": shown.pop("used_for"),
            **shown,
            "immutable_tags": tags,
            "encryption": settings.encryption or Named("", "AES-256"),
            "labels": dict(settings.labels),
            "lifecycle": LifecycleKind().shown(settings.lifecycle) if settings.lifecycle is not None else {},
        }

    def weakens(self, before: TemplateSettings | None, after: TemplateSettings | None) -> Iterator[Weakening]:
        if before is None:
            # what it takes over from a template with a shorter prefix is not known here
            for item in LifecycleKind().weakens(None, after.lifecycle) if after is not None else ():
                yield Weakening("creation_templates", f"in repositories that ECR makes by it, {item.what}", may=True)
            if after is not None and not after.tags_immutable:
                what = "in repositories that ECR makes by it, tags can be moved, which a template for more may have forbidden"
                yield Weakening("creation_templates", what, may=True)
            return
        made = "in repositories that it makes"
        if after is None:
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates.html
            what = "repositories that ECR makes by it get ECR's own settings from the apply on, or those of another template"
            lost = [
                name
                for name, has in (("immutable tags", before.tags_immutable), ("a retention", before.lifecycle))
                if has
            ]
            yield Weakening("creation_templates", f"{what}{f': no longer {all_of(lost)}' if lost else ''}", may=True)
            return
        if (fewer := sorted(set(before.used_for) - set(after.used_for))) and (
            before.tags_immutable or before.lifecycle
        ):
            what = f"what ECR makes for {all_of(fewer)} gets ECR's own settings from the apply on, or those of another template"
            yield Weakening("creation_templates", what, may=True)
        moved = set(after.movable_tags) - set(before.movable_tags)
        if before.tags_immutable and (not after.tags_immutable or moved):
            yield Weakening("creation_templates", f"{made} tags can be moved")
        for item in LifecycleKind().weakens(before.lifecycle, after.lifecycle):
            if not item.quiet:
                yield Weakening("creation_templates", f"{made} {item.what}", may=item.may)

    def altered(self, settings: TemplateSettings) -> str | None:
        if settings.mutability:
            return "mutability"
        if settings.movable_tags and not settings.tags_immutable:
            return "movable_tags"
        if settings.encryption and re.fullmatch(names.KEY_ARN, settings.encryption) is None:
            return "encryption"
        if settings.lifecycle is not None and any(policy_faults({"rules": json.loads(settings.lifecycle.rules)}, ())):
            return "lifecycle"
        said = {
            "for": settings.used_for,
            "description": settings.description,
            "labels": dict(settings.labels),
            **({"role_arn": settings.role_arn} if settings.role_arn else {}),
            **({"immutable_tags": {"except": settings.movable_tags}} if settings.movable_tags else {}),
        }
        try:
            CreationTemplate.model_validate({"prefix": "any", **said})
        except ValidationError as error:
            return str(error.errors()[0]["loc"][0])
        return None

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        if not isinstance(registry, AwsRegistry):
            return "the template"
        region = wanted.address.where or registry.region
        for item in registry.creation_templates:
            if item.prefix == wanted.address.name and region in item.regions(registry.region, registry.copied_to):
                return _unasked(wanted.settings, item, registry, region)
        return "the template"

    def is_prefix(self, text: str) -> bool:
        with suppress(ValidationError):
            return bool(CreationTemplate.model_validate({"prefix": text, "for": [REPLICATION]}))
        return False

    def pages(self, session: AwsSession, at: Address) -> Mapping[str, Raw]:
        region = session.region_of(at)
        name = "describe_repository_creation_templates"
        found = session.pages("ecr", name, "repositoryCreationTemplates", region, address=at, maxResults=1000)
        return {item["prefix"]: item for item in found}

    def settings_of(self, raw: Raw) -> TemplateSettings:
        image_tags = native.mutability_of(raw)
        policy = raw.get("lifecyclePolicy")
        return TemplateSettings(
            used_for=tuple(sorted(item.lower() for item in raw.get("appliedFor", ()))),
            description=raw.get("description", ""),
            role_arn=raw.get("customRoleArn", ""),
            tags_immutable=image_tags.immutable,
            movable_tags=image_tags.movable,
            encryption=native.encryption_of(raw),
            labels=tuple(sorted(as_dict(raw.get("resourceTags", ())).items())),
            lifecycle=lifecycle.normal(json.loads(policy)) if policy else None,
            mutability=image_tags.other,
        )

    def rest_of(self, raw: Raw) -> str:
        others = {key: value for key, value in raw.items() if key not in _KNOWN and value}
        return text(others) if others else ""

    def foreign_of(self, at: Address, raw: Raw) -> Iterator[ForeignAccess]:
        """A repository policy, which no spec gives: whoever it names has access to each repository that the template makes."""
        if raw.get(POLICY):
            said = ", ".join(item.what for item in foreign(at, json.loads(raw[POLICY])))
            yield ForeignAccess(at, f"a repository policy for the repositories that it makes ({said})")

    def make(self, session: AwsSession, at: Address, wanted: TemplateSettings) -> Raw:
        members = {name: value for name, value in _members(wanted).items() if value not in ("", [])}
        return self._call(session, "create", at, **members)

    def change(self, session: AwsSession, at: Address, wanted: TemplateSettings, live: Live) -> Raw:
        # all that is known is sent, and an empty value takes away what was there; AWS does not say of each member whether leaving
        # it out keeps it. What others set is sent as it is
        others: Texts = json.loads(live.rest or "{}")
        policy = {POLICY: others[POLICY]} if POLICY in others else {}
        return self._call(session, "update", at, **_members(wanted), **policy)

    def remove(self, session: AwsSession, at: Address) -> None:
        name, region = "delete_repository_creation_template", session.region_of(at)
        session.call("ecr", name, region, address=at, absent=GONE, prefix=at.name)

    def _call(self, session: AwsSession, verb: str, at: Address, **params: Any) -> Raw:
        name, region = f"{verb}_repository_creation_template", session.region_of(at)
        answer: Raw = session.call("ecr", name, region, address=at, prefix=at.name, **params)
        written: Raw = answer["repositoryCreationTemplate"]
        return written


def _unasked(wanted: TemplateSettings, asked: CreationTemplate, registry: AwsRegistry, region: str) -> str | None:
    """Which part of the settings neither a template nor any defaults ask for."""
    found = settings_of(registry, asked, RepositoryDefaults(), region) if _merges(asked, registry) else None
    own = TemplateSettings(
        used_for=tuple(sorted(asked.for_)) if region == registry.region else (REPLICATION,),
        description=asked.description,
        role_arn=asked.role_arn or "",
    )
    for name in ("used_for", "description", "role_arn"):
        if getattr(wanted, name) != getattr(own, name):
            return name.replace("used_for", "for")
    for name, fields in (("immutable_tags", ("tags_immutable", "movable_tags")), ("encryption", ("encryption",))):
        said = name in asked.model_fields_set and found is not None
        if said and any(getattr(wanted, field) != getattr(found, field) for field in fields):
            return name
    made = {
        "name": "made-by-ecr",
        "registry": registry.name,
        "labels": dict(wanted.labels),
        **({"encryption": {"kms_key": wanted.encryption}} if wanted.encryption else {}),
    }
    try:
        faults = list(registry.repository_faults(Repository.model_validate(made)))
    except ValidationError as error:
        return str(error.errors()[0]["loc"][0])
    if faults:
        return str(faults[0].loc[0])
    if not wanted.role_arn and (wanted.labels or wanted.encryption):
        return "labels" if wanted.labels else "encryption"
    if wanted.encryption and names.arn_part(wanted.encryption, 3) != region:
        return "encryption"
    return None


def _merges(asked: CreationTemplate, registry: AwsRegistry) -> bool:
    """Whether a template makes a repository by itself, without the spec's defaults."""
    with suppress(ValidationError):
        return bool(asked.repository(RepositoryDefaults(), registry.name))
    return False


def _members(wanted: TemplateSettings) -> dict[str, Any]:
    """The settings as calls have them."""
    rules = wanted.lifecycle
    return {
        "appliedFor": [item.upper() for item in wanted.used_for],
        "description": wanted.description,
        "customRoleArn": wanted.role_arn,
        **native.mutability_for(wanted.tags_immutable, wanted.movable_tags),
        "encryptionConfiguration": native.encryption_for(wanted.encryption),
        "resourceTags": as_list(dict(wanted.labels)),
        "lifecyclePolicy": (rules.policy or f'{{"rules":{rules.rules}}}') if rules is not None else "",
    }


def settings_of(
    registry: AwsRegistry, template: CreationTemplate, defaults: RepositoryDefaults, region: str
) -> TemplateSettings:
    """What the spec asks for in a region: where images are copied to, for replication alone."""
    wanted = template.repository(defaults, registry.name)
    made = repository_settings.settings_of(registry, wanted, region)
    return TemplateSettings(
        used_for=tuple(sorted(template.for_)) if region == registry.region else (REPLICATION,),
        description=template.description,
        role_arn=template.role_arn or "",
        tags_immutable=made.tags_immutable,
        movable_tags=made.movable_tags,
        encryption=made.encryption,
        labels=made.labels,
        lifecycle=lifecycle.settings_of(wanted),
    )
