"""One image repository, as the spec states it: the same fields on every platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, JsonValue, Tag

from .fields import Count, Fault, Flag, Model, RegistryName, RepositoryName, Text

TagPattern = Annotated[str, Text(r"[A-Za-z0-9._*-]{1,128}", "a tag, with * for any characters")]
LabelKey = Annotated[str, Text(r"[A-Za-z][A-Za-z0-9_.:/@+=-]{0,127}", "a letter, then letters, digits and _.:/@+=-")]
LabelValue = Annotated[str, Text(r"[A-Za-z0-9 _.:/@+=-]{0,256}", "letters, digits, spaces and _.:/@+=-")]


class ImmutableTags(Model):
    """Tags can't be moved once pushed, except those that match."""

    except_: tuple[TagPattern, ...] = Field(
        alias="except",
        min_length=1,
        description="Patterns of tags that may still be moved, such as `latest`.",
    )


def _immutable_form(value: object) -> str:
    return "exceptions" if isinstance(value, dict | ImmutableTags) else "flag"


class Retention(Model):
    """Which images are removed by the platform itself. At least one of keep_last and untagged_days."""

    keep_last: Count | None = Field(
        None,
        ge=1,
        description="Images to keep, newest first; older ones are removed. AWS counts every image, untagged ones too, and"
        " leaves the removal of untagged ones to untagged_days if that is given.",
    )
    untagged_days: Count | None = Field(
        None, ge=1, description="Days after its push that an untagged image is removed."
    )
    keep_tags: tuple[TagPattern, ...] = Field(
        (),
        description="Patterns of tags whose images are never removed. They don't count for keep_last; on AWS they do, since a"
        " rule of ECR counts every image.",
    )

    def fault(self) -> str | None:
        if self.keep_last is None and self.untagged_days is None:
            return "needs keep_last or untagged_days (or leave retention out)"
        return None


class Encryption(Model):
    """Encryption at rest. It can't change: another key is a replace, which loses the images."""

    kms_key: str = Field(min_length=1, description="The key, in the platform's own notation (on AWS a key's ARN).")


class RepositoryDefaults(Model):
    """Settings that are merged under every repository; the repository's own value wins."""

    description: str = Field("", max_length=256, description="What the repository is for.")
    immutable_tags: Annotated[
        Annotated[Flag, Tag("flag")] | Annotated[ImmutableTags, Tag("exceptions")],
        Discriminator(_immutable_form),
    ] = Field(False, description="Whether a pushed tag can't be moved; `{except: [...]}` names those that can.")
    scan_on_push: Flag = Field(False, description="Whether the platform scans each pushed image.")
    retention: Retention | None = Field(None, description="Which images the platform removes by itself.")
    lifecycle_policy: dict[str, JsonValue] | None = Field(
        None, description="AWS: an ECR lifecycle policy as it is, instead of one made from `retention`."
    )
    encryption: Encryption | None = Field(None, description="Encryption with a key of your own.")
    labels: dict[LabelKey, LabelValue] = Field({}, description="Labels (tags on AWS and Azure) of the repository.")
    protect: Flag = Field(
        False,
        description="Never deleted or replaced by any plan, until applied as false. Remembered by the platform.",
    )
    adopt: Flag = Field(False, description="Take over a repository that already exists and that nobody owns.")
    delete_images: Flag = Field(
        False,
        description="May be deleted or replaced although it holds images, or access that somebody else gave."
        " Remembered by the platform once applied.",
    )


class Repository(RepositoryDefaults):
    """One image repository in a registry."""

    name: RepositoryName = Field(description="The name in its registry; unique there.")
    registry: RegistryName = Field(description="The registry that holds it.")
    release: Flag = Field(
        False,
        description="Let go of it: marks and grants are taken away, and the repository stays with its images and settings.",
    )

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the repository by itself, beyond its fields' types."""
        if self.release and self.adopt:
            yield Fault(
                ("release",), "adopt takes the repository over and release lets go of it: leave one of them out"
            )

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
