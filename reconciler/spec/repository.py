"""One image repository, as the spec states it: the same fields on every platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, JsonValue, Tag

from .fields import Count, Fault, Flag, Model, NativeName, RegistryName, RepositoryName, Text

TagPattern = Annotated[
    str,
    Text(r"[A-Za-z0-9._*-]{1,128}", "a tag: letters, digits and . _ -, with the wildcard *, at most 128 characters"),
]
LabelKey = Annotated[
    str,
    Text(r"[A-Za-z][A-Za-z0-9_.:/@+=-]{0,127}", "a letter, then letters, digits and _.:/@+=-, at most 128 characters"),
]
LabelValue = Annotated[
    str, Text(r"[A-Za-z0-9 _.:/@+=-]{0,256}", "letters, digits, spaces and _.:/@+=-, at most 256 characters")
]


class ImmutableTags(Model):
    """Tags can't be moved once pushed, except those that match."""

    except_: tuple[TagPattern, ...] = Field(
        alias="except",
        min_length=1,
        description="Patterns of tags that can still be moved, such as `latest`.",
    )


def _immutable_form(value: object) -> str:
    return "exceptions" if isinstance(value, dict | ImmutableTags) else "flag"


ImmutableTagsField = Annotated[
    Annotated[Flag, Tag("flag")] | Annotated[ImmutableTags, Tag("exceptions")],
    Discriminator(_immutable_form),
]


class Retention(Model):
    """Which images are removed by the platform itself. At least one of keep_last and untagged_days."""

    keep_last: Count | None = Field(
        None,
        ge=1,
        description="Images to keep, newest first; older ones are removed. AWS counts every image, including untagged"
        " ones, and leaves removing untagged ones to untagged_days if that is set.",
    )
    untagged_days: Count | None = Field(
        None, ge=1, description="Remove an untagged image this many days after its push."
    )
    keep_tags: tuple[TagPattern, ...] = Field(
        (),
        description="Patterns of tags whose images are never removed. They don't count towards keep_last, except on"
        " AWS, where a rule counts every image.",
    )

    def fault(self) -> str | None:
        if self.keep_last is None and self.untagged_days is None:
            return "needs keep_last or untagged_days (or remove retention)"
        return None


class Encryption(Model):
    """Encryption at rest. It can't change: another key is a replace, which loses the images."""

    kms_key: str = Field(
        min_length=1,
        description="The key, as the platform names it: on AWS a key's ARN, on Google Cloud"
        " projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.",
    )


class RepositoryDefaults(Model):
    """Settings that are merged under every repository; the repository's own value wins."""

    description: str = Field("", max_length=256, description="What the repository is for.")
    immutable_tags: ImmutableTagsField = Field(
        False,
        description="Whether tags are immutable: true, false, or `{except: [...]}` with the tags that can still be moved.",
    )
    scan_on_push: Flag = Field(False, description="Whether the platform scans each pushed image.")
    retention: Retention | None = Field(None, description="Which images the platform removes automatically.")
    lifecycle_policy: dict[str, JsonValue] | None = Field(
        None, description="AWS: an ECR lifecycle policy to use as is, instead of `retention`."
    )
    encryption: Encryption | None = Field(None, description="Encrypt with a key of your own.")
    labels: dict[LabelKey, LabelValue] = Field(
        {}, description="The repository's labels (tags on AWS). Azure has no such."
    )
    protect: Flag = Field(
        False,
        description="Never delete or replace the repository, until this is applied as false. Stored on the platform.",
    )
    adopt: Flag = Field(False, description="Adopt a repository that already exists and has no owner.")
    delete_images: Flag = Field(
        False,
        description="Allow the repository to be deleted or replaced while it holds images, or access that somebody else gave."
        " Stored on the platform once applied.",
    )


def excepts_all(pattern: str) -> bool:
    """Whether an exception from immutable tags excepts every tag."""
    return not pattern.strip("*")


class Repository(RepositoryDefaults):
    """One image repository in a registry."""

    name: RepositoryName = Field(description="The name, unique in its registry.")
    registry: RegistryName = Field(description="The registry that holds it.")
    native_name: NativeName | None = Field(
        None,
        description="AWS: the whole name of the ECR repository, instead of the registry's prefix and `name`. It can't change: another"
        " name is a replace, which loses the images.",
    )
    release: Flag = Field(
        False,
        description="Stop managing it: its marks and grants are removed, and the repository is kept with its images and settings.",
    )

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the repository by itself, beyond its fields' types."""
        if self.release and self.adopt:
            yield Fault(("release",), "adopt takes the repository over and release lets go of it: remove one of them")

    @property
    def tags_immutable(self) -> bool:
        """Whether tags can't be moved, exceptions aside."""
        return self.immutable_tags is not False

    @property
    def movable_tags(self) -> tuple[str, ...]:
        """Patterns of the tags that may be moved although tags are immutable, sorted."""
        return tuple(sorted(set(self.immutable_tags.except_))) if isinstance(self.immutable_tags, ImmutableTags) else ()


def shown_tags(immutable: bool, movable: tuple[str, ...]) -> dict[str, Any] | bool | str:
    """`immutable_tags` as the spec writes it; exceptions from nothing, which no spec can say, are said in words."""
    if not movable:
        return immutable
    return {"except": list(movable)} if immutable else f"false, with exceptions from it: {', '.join(movable)}"


def merge_defaults(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`defaults` under `own`: mappings merge key by key, anything else of `own` wins, null takes a default away."""
    merged = dict(defaults)
    for key, value in own.items():
        under = merged.get(key)
        merged[key] = merge_defaults(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return {key: value for key, value in merged.items() if value is not None}
