"""The Spec: the validated YAML.

Which registries and targets there are is the platforms' to say: `platforms/catalog.py` has the Spec with all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic_core import PydanticKnownError

from reconciler.places import Place

from .cluster import Cluster
from .fields import Flag, Model, SpecName, Text
from .registry import GrantBase, GrantTarget, RegistryBase
from .repository import LabelKey, Repository, RepositoryDefaults
from .selection import covered
from .text import SpecText

Percent = Annotated[str, Text(r"(100|[0-9]{1,2})%", "a number, or a percentage such as 10%")]
Glob = Annotated[str, Text(r"[A-Za-z0-9._/*?\[\]!-]+", "a name, with the wildcards * and ?")]


class Grant(GrantBase):
    """A rule that lets a foreign principal pull (or push) named repositories."""

    to: GrantTarget = Field(description="Who is given access.")


class Defaults(Model):
    """Values that are merged under the spec's own."""

    repository: RepositoryDefaults = Field(RepositoryDefaults(), description="Defaults for every repository.")


class Guards(Model):
    """Rules that stop a plan."""

    include: str | None = Field(
        None,
        description="A file with more of these keys, relative to the spec's folder, so that other people can be asked to review it."
        " Each key may be in only one of the two.",
    )
    max_deletes: Annotated[int, Field(strict=True, ge=0)] | Percent | None = Field(
        None,
        description="The most resources that one plan may delete: a number, or a percentage of those that the spec owns."
        " Default: 30%, if it owns more than 10.",
    )
    protect: tuple[Glob, ...] = Field((), description="Repositories that no plan may delete or replace.")
    allowed_accounts: tuple[str, ...] | None = Field(
        None,
        description="The only accounts or projects that grants may name, besides the registry's own. Default: any.",
    )
    allowed_organizations: tuple[str, ...] | None = Field(
        None,
        description="The only organizations that grants may name. Default: any, or none if allowed_accounts is set, since an"
        " organization's accounts are not known here.",
    )
    require_labels: tuple[LabelKey, ...] = Field(
        (), description="Labels that every repository must have, with any value."
    )
    require_immutable_tags: Flag = Field(
        False,
        description="Whether every repository must have immutable tags. Exceptions are allowed, but not `*`.",
    )
    max_grants_per_repository: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None, description="The most grants that may cover one repository. Default: any number."
    )
    allow_public: Flag = Field(False, description="Whether grants to anyone are allowed.")
    allow_admin: Flag = Field(
        False,
        description="Whether grants may let others delete images and change who has access (permission: admin).",
    )


def _number(value: object) -> object:
    """The value, if it is a whole number: `true` and `1.0` equal 1, and are something else in a text."""
    if type(value) is not int:
        raise PydanticKnownError("literal_error", {"expected": "1"})
    return value


class Spec(Model):
    """Registries, repositories and grants, in one reviewed file."""

    # top-level keys that begin with x- are free: the loader leaves them out, and editors must not mark them
    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    version: Annotated[Literal[1], BeforeValidator(_number)] = Field(description="The format's version.")
    name: SpecName = Field(description="The spec's name: the owner of everything that it creates.")
    defaults: Defaults = Field(Defaults(), description="Default values for every repository.")
    guards: Guards = Field(Guards(), description="Rules that stop a plan.")
    clusters: tuple[Cluster, ...] = Field((), description="Kubernetes clusters that grants can name.")
    registries: tuple[RegistryBase, ...] = Field((), description="Collections of repositories, each on one platform.")
    repositories: tuple[Repository, ...] = Field((), description="Image repositories.")
    grants: tuple[Grant, ...] = Field((), description="Who else can pull or push which repositories.")

    #: the folder that relative paths in the spec start from
    _base: str = PrivateAttr("")
    _places: Mapping[tuple[str, str], Place] = PrivateAttr({})
    _variables: Mapping[str, str] = PrivateAttr({})
    _text: SpecText | None = PrivateAttr(None)
    _left_out: tuple[str, ...] = PrivateAttr(())

    def take_text(self) -> SpecText:
        """What was written, value by value, which is as large as the spec and is not kept any longer by it. Raises ValueError for a
        spec that was loaded without."""
        found, self._text = self._text, None
        if found is None:
            raise ValueError("the spec was loaded without its text")
        return found

    def without(self, registries: Collection[str]) -> Self:
        """The spec without these registries and what is in them."""
        kept = {
            "registries": tuple(item for item in self.registries if item.name not in registries),
            "repositories": tuple(item for item in self.repositories if item.registry not in registries),
            "grants": tuple(item for item in self.grants if item.registry not in registries),
        }
        return self._with(kept)

    def with_repositories(self, repositories: Iterable[Repository]) -> Self:
        """The spec with these repositories alone."""
        return self._with({"repositories": tuple(repositories)})

    def reached_from_pods(self, cluster: str) -> Self:
        """The spec with one of its clusters reached from that cluster's own pods."""
        found = (
            item.model_copy(update={"context": None, "kubeconfig": None, "in_cluster": True})
            if item.name == cluster
            else item
            for item in self.clusters
        )
        return self._with({"clusters": tuple(found)})

    def with_clusters_called(self, names: Mapping[str, str]) -> Self:
        """The spec with clusters and grants to them by other names of these. A login that is read in one stays named as it is."""
        grants = []
        for item in self.grants:
            named = item.to.named_cluster
            if named is not None and named[1] in names:
                to = item.to.model_copy(update={named[0][-1]: names[named[1]]})
                item = item.model_copy(update={"to": to})
            grants.append(item)
        clusters = (item.model_copy(update={"name": names.get(item.name, item.name)}) for item in self.clusters)
        return self._with({"grants": tuple(grants), "clusters": tuple(clusters)})

    def without_grants_to(self, clusters: Collection[str]) -> Self:
        """The spec without the grants to these clusters."""
        left = (
            item for item in self.grants if item.to.named_cluster is None or item.to.named_cluster[1] not in clusters
        )
        return self._with({"grants": tuple(left)})

    def guarded_by(self, guards: Guards) -> Self:
        """The spec with other guards."""
        return self._with({"guards": guards})

    def named(self, name: str) -> Self:
        """The spec by another name."""
        return self._with({"name": name})

    def _with(self, fields: Mapping[str, Any]) -> Self:
        # not a copy, which would take along what was computed of the old fields
        found = type(self).model_construct(
            **({name: getattr(self, name) for name in type(self).model_fields} | dict(fields))
        )
        for name in ("_base", "_places", "_variables", "_text", "_left_out"):
            setattr(found, name, getattr(self, name))
        return cast(Self, found)

    @property
    def base(self) -> str:
        """The folder that relative paths in the spec start from, as it was given."""
        return self._base

    @property
    def places(self) -> Mapping[tuple[str, str], Place]:
        """Where things stand in the text, by kind and name (of a repository, `REGISTRY/NAME`)."""
        return self._places

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables that `${env:NAME}` took values from, with their values."""
        return self._variables

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the defaults ask for and a registry's platform does not have, a sentence for each registry."""
        return self._left_out

    def source(
        self, registry: str, repository: str | None = None, grants: Iterable[GrantBase] = ()
    ) -> tuple[Place, ...]:
        """The places of a registry, one of its repositories and some grants; empty for a spec that was not read from text."""
        places = self._places  # once: what is private is slow to come by
        if not places:
            return ()
        keys = [("registry", registry)]
        if repository is not None:
            keys.append(("repository", f"{registry}/{repository}"))
        keys += (("grant", grant.name) for grant in grants)
        return tuple(places[key] for key in keys if key in places)

    @cached_property
    def repositories_by_registry(self) -> Mapping[str, tuple[Repository, ...]]:
        """Each registry's repositories, sorted by name."""
        found: dict[str, list[Repository]] = {registry.name: [] for registry in self.registries}
        for repository in self.repositories:
            found[repository.registry].append(repository)
        return {name: tuple(sorted(group, key=lambda item: item.name)) for name, group in found.items()}

    @cached_property
    def grants_by_repository(self) -> Mapping[tuple[str, str], tuple[Grant, ...]]:
        """(registry, repository) to the grants that cover it, sorted by grant name."""
        found: dict[tuple[str, str], list[Grant]] = {}
        names = {key: [item.name for item in group] for key, group in self.repositories_by_registry.items()}
        exact = {key: frozenset(group) for key, group in names.items()}
        for grant in self.grants:
            for name in covered(grant.repositories, names[grant.registry], exact[grant.registry]):
                found.setdefault((grant.registry, name), []).append(grant)
        return {key: tuple(sorted(group, key=lambda item: item.name)) for key, group in found.items()}
