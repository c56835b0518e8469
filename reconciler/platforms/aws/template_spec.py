"""How ECR sets up the repositories that it makes by itself, in the spec: its repository creation templates.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError

from reconciler.model.marks import applied_key
from reconciler.spec.fields import Fault, Model, Text, each, repeated
from reconciler.spec.repository import (
    Encryption,
    ImmutableTagsField,
    LabelKey,
    LabelValue,
    Repository,
    RepositoryDefaults,
    Retention,
    merge_defaults,
)
from reconciler.words import counted

from .cache_spec import PREFIX, PREFIX_SAYS, role_faults, twice
from .tags import MAX_KEY
from .target import RoleArn

KIND = "creation_template"
REPLICATION = "replication"
UseCase = Literal["pull_through_cache", "replication", "create_on_push"]
#: what a template takes from the spec's defaults, unless it says it itself
SHARED = frozenset({"immutable_tags", "retention", "lifecycle_policy", "encryption", "labels"})
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepositoryCreationTemplate.html (prefix)
TemplatePrefix = Annotated[str, Text(PREFIX, PREFIX_SAYS, 256)]


class CreationTemplate(Model):
    """The settings of the repositories that ECR makes under a prefix. What it does not say is as in the spec's defaults."""

    prefix: TemplatePrefix = Field(
        description="What the names of the repositories begin with, before a /; ROOT: of all that no other template is for."
    )
    for_: tuple[UseCase, ...] = Field(
        alias="for",
        min_length=1,
        description="When ECR makes repositories by it. With replication it is in the replication regions too.",
    )
    role_arn: RoleArn | None = Field(
        None, description="The role as which ECR makes the repositories. Needed for labels and encryption."
    )
    description: str = Field("", max_length=256, description="What the template is for.")
    immutable_tags: ImmutableTagsField | None = Field(
        None, description="As of a repository. Default: that of `defaults`."
    )
    retention: Retention | None = Field(None, description="As of a repository. Default: that of `defaults`.")
    lifecycle_policy: dict[str, JsonValue] | None = Field(
        None, description="An ECR lifecycle policy to use as is, instead of `retention`. Default: that of `defaults`."
    )
    encryption: Encryption | None = Field(None, description="As of a repository. Default: that of `defaults`.")
    labels: dict[LabelKey, LabelValue] | None = Field(
        None, description="As of a repository. They are merged with those of `defaults`; null: none."
    )

    def repository(self, defaults: RepositoryDefaults, registry: str) -> Repository:
        """A repository with the settings of those that it makes. `registry`: the registry's name.

        Raises ValidationError if what it says and the defaults don't go together.
        """
        under = defaults.model_dump(include=set(SHARED), exclude_unset=True, by_alias=True)
        own = self.model_dump(include=set(SHARED), exclude_unset=True, by_alias=True)
        return Repository.model_validate({**merge_defaults(under, own), "name": "made-by-ecr", "registry": registry})

    def regions(self, home: str, replicated: Sequence[str]) -> tuple[str, ...]:
        """Where it is made: in the home region, and with replication where images are copied to."""
        return (home, *(sorted(replicated) if REPLICATION in self.for_ else ()))


def template_faults(templates: Sequence[CreationTemplate], account: str, regions: Sequence[str]) -> Iterator[Fault]:
    """What can't be of the templates by themselves; paths are below the list. `regions`: the home region, then the others."""
    yield from twice(templates)
    for index, template in enumerate(templates):
        yield from each(
            (Fault((index, "for", *fault.loc[1:]), fault.message) for fault in repeated(template, "for_")),
            _role_faults(template, index, account),
            _room_faults(template, index, regions),
        )


def _role_faults(template: CreationTemplate, index: int, account: str) -> Iterator[Fault]:
    yield from role_faults(template.role_arn, (index, "role_arn"), account)


def _room_faults(template: CreationTemplate, index: int, regions: Sequence[str]) -> Iterator[Fault]:
    """A fault if a tag's key that notes it would be too long."""
    where = template.regions(regions[0], regions[1:])
    room = MAX_KEY - len(note_start(KIND)) - max(map(len, where)) - 1
    if len(template.prefix) > room:
        yield Fault(
            (index, "prefix"),
            f"has {counted(len(template.prefix), 'character')}; it is noted in a tag's key, which has room for {room}",
        )


def note_start(kind: str) -> str:
    """What the keys of the notes of a kind begin with, before the region, a / and the prefix."""
    return f"{applied_key(kind)}-"


def merged_faults(
    templates: Sequence[CreationTemplate],
    defaults: RepositoryDefaults,
    registry: str,
    check: Callable[[Repository], Iterator[Fault]],
) -> Iterator[Fault]:
    """What ECR would refuse of the templates once they are merged with the defaults. `check`: what it would of a repository."""
    for index, template in enumerate(templates):
        yield from each(_merged(template, index, defaults, registry, check))


def _merged(
    template: CreationTemplate,
    index: int,
    defaults: RepositoryDefaults,
    registry: str,
    check: Callable[[Repository], Iterator[Fault]],
) -> Iterator[Fault]:
    try:
        wanted = template.repository(defaults, registry)
    except ValidationError as error:
        for item in error.errors():  # anything else is wrong in the template, or in the defaults, by itself
            if item["type"] == "text" and item["loc"][0] in template.model_fields_set:
                yield Fault((index, *item["loc"]), f"with what defaults.repository says, it {item['msg']}")
        return
    yield from (Fault((index, *fault.loc), fault.message) for fault in check(wanted))
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html
    needing = [name for name in ("labels", "encryption") if getattr(wanted, name)]
    if needing and template.role_arn is None:
        yield Fault(
            (index,),
            f"has {' and '.join(needing)}, its own or those of defaults.repository, which ECR gives to repositories only as a role of"
            f" yours: add role_arn, or `{needing[0]}: null`",
        )
