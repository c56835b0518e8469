"""Google Cloud in the spec: Artifact Registry in one project and location. Facts of Google have their sources in `rules.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Text, each
from reconciler.spec.registry import GrantTarget, RegistryBase, refused
from reconciler.spec.repository import Repository
from reconciler.words import some_of

from . import members, rules
from .target import GcpTarget, ServiceAccountEmail

__all__ = ["GcpRegistry", "GcpTarget"]

Project = Annotated[
    str,
    Text(
        r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "a project id: 6 to 30 lower-case letters, digits and dashes, starting with a letter",
    ),
]
Location = Annotated[str, Text(rules.LOCATION, "a region or multi-region, such as europe-west1 or europe")]


class GcpRegistry(RegistryBase):
    """Google Artifact Registry in one project and location."""

    grant_types = ("gcp", "kubernetes")
    whole_login = "a grant to a cluster hands on a login of the registry's account to pull, which can pull all of its repositories"
    naming = "name"
    identity = ("impersonate_service_account",)
    leaves_out = True

    platform: Literal["gcp"] = Field(description="Google Artifact Registry.")
    project: Project = Field(description="The project id that holds the registry.")
    location: Location = Field(description="The region or multi-region.")
    layout: Literal["repository", "shared"] = Field(
        "repository",
        description="`repository`: one Artifact Registry repository each, so that grants are exact; `shared`: one for all.",
    )
    impersonate_service_account: ServiceAccountEmail | None = Field(
        None, description="Make every call as this service account."
    )
    quota_project: Project | None = Field(
        None, description="The project whose quota the calls count towards. Default: that of the credentials."
    )
    trusted_principals: tuple[Annotated[str, Text(rules.MEMBER, rules.MEMBER_SAYS, why=rules.member_fault)], ...] = (
        Field((), description="Who may impersonate the pull and push service accounts. Default: nobody.")
    )

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        where = (self.project, self.location)
        account = self.impersonate_service_account
        return where if account is None else (*where, f"as {account}")

    @property
    def unseen(self) -> str:
        return f"roles on project {self.project}, its folders and its organization, which reach the repositories too"

    @property
    def is_one(self) -> bool:
        return self.layout == "shared"

    @property
    def own_account(self) -> str:
        return self.project

    def found_by(self, later: RegistryBase) -> bool:
        return super().found_by(later) and isinstance(later, GcpRegistry)

    def native_name(self, repository: str) -> str:
        return f"{self.name}-{repository}" if self.layout == "repository" else f"{self.name}/{repository}"

    def names_shared_with(self, other: RegistryBase) -> str:
        there = isinstance(other, GcpRegistry) and (other.project, other.location) == (self.project, self.location)
        return f"in the same project and location ({self.project} {self.location})" if there else ""

    def name_clash(self, other: RegistryBase, native: str) -> str | None:
        if self.layout != "shared" or native != self.name or not self.names_shared_with(other):
            return None
        return (
            f"on the platform it is '{native}', as is registry {self.name}, which has layout: shared, in the same project and"
            f" location ({self.project} {self.location}): give one of them another name"
        )

    def repository_id(self, name: str) -> str:
        """The id of the Artifact Registry repository with this name in addresses (`named`)."""
        one = self.name if self.layout == "shared" else f"shared/{self.name}"
        return self.name if name == one else f"{self.name}-{name.removeprefix('apart/')}"

    def named(self, identifier: str) -> str | None:
        """The name in addresses of an Artifact Registry repository; None if its id is none of the registry's.

        In layout `shared` the one repository has the registry's name. What the other layout has left there has a name too.
        """
        if identifier == self.name:
            return self.name if self.layout == "shared" else f"shared/{self.name}"
        name = identifier.removeprefix(f"{self.name}-")
        if name in ("", identifier):
            return None
        return f"apart/{name}" if self.layout == "shared" and name == self.name else name

    def uri(self, name: str, where: str = "") -> str:
        """What the images of the Artifact Registry repository with this name in addresses are pulled from, before an image's name.

        https://cloud.google.com/artifact-registry/docs/docker/names: `example.com:p` is `example.com/p` there.
        """
        return f"{self.host_in(where or self.location)}/{self.project.replace(':', '/')}/{self.repository_id(name)}"

    def host_in(self, location: str) -> str:
        """What clients log in to for a location's repositories."""
        return f"{location}-docker.pkg.dev"

    def image_uri(self, repository: str) -> str:
        """What a repository of the spec is pushed to and pulled from: an image's name must follow Artifact Registry's repository, and
        is the spec's own."""
        return f"{self.uri(self.name if self.layout == 'shared' else repository)}/{repository}"

    def email(self, account: str) -> str:
        """The email of one of its two service accounts: `pull` or `push`."""
        return f"{self.name}-{account}@{members.domain_of(self.project)}"

    def name_fault(self, native: str) -> str | None:
        identifier = native if self.layout == "repository" else native.partition("/")[0]
        fault = rules.repository_id_fault(identifier)
        more = "; layout: shared allows longer image paths" if self.layout == "repository" else ""
        return None if fault is None else f"{fault}{more}"

    def notes(self, repositories: Sequence[Repository] = ()) -> Iterator[str]:
        both = [
            item.name
            for item in repositories
            if item.retention is not None and None not in (item.retention.keep_last, item.retention.untagged_days)
        ]
        if both:
            yield (
                f"with keep_last, untagged_days changes nothing on Google Cloud ({some_of(both)}): untagged images beyond the newest"
                " are deleted like all others"
            )

    def faults(self) -> Iterator[Fault]:
        yield from each(self._place_faults(), self._account_faults(), self._trust_faults())

    def _place_faults(self) -> Iterator[Fault]:
        if instead := rules.no_location(self.location):
            yield Fault(("location",), f"Google has no location '{self.location}': the multi-region is '{instead}'")

    def _account_faults(self) -> Iterator[Fault]:
        if fault := rules.account_id_fault(f"{self.name}-push"):
            yield Fault(("name",), fault)

    def _trust_faults(self) -> Iterator[Fault]:
        for index, member in enumerate(self.trusted_principals):
            if member in self.trusted_principals[:index]:
                yield Fault(("trusted_principals", index), f"'{member}' is listed twice")
            if fault := rules.public(member):
                yield Fault(("trusted_principals", index), fault)

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        why = "is for AWS; use retention on Google Cloud"
        named = "is for AWS; on Google Cloud, the name follows from the registry's layout"
        yield from each(
            self._label_faults(repository),
            refused(repository, "lifecycle_policy", why),
            refused(repository, "native_name", named),
            self._tag_faults(repository),
            self._retention_faults(repository),
            self._key_faults(repository),
        )

    def _label_faults(self, repository: Repository) -> Iterator[Fault]:
        if len(repository.labels) > rules.MAX_LABELS:
            yield Fault(("labels",), f"at most {rules.MAX_LABELS} labels")
        for key, value in repository.labels.items():
            if fault := rules.label_fault(key, value):
                yield Fault(("labels", key), fault)

    def _tag_faults(self, repository: Repository) -> Iterator[Fault]:
        if repository.movable_tags:
            yield Fault(
                ("immutable_tags", "except"),
                "Artifact Registry has no exceptions from immutable tags: write true or false",
                unable=True,
            )

    def _retention_faults(self, repository: Repository) -> Iterator[Fault]:
        retention = repository.retention
        for index, pattern in enumerate(retention.keep_tags if retention is not None else ()):
            if fault := rules.prefix_fault(pattern):
                yield Fault(("retention", "keep_tags", index), fault)

    def _key_faults(self, repository: Repository) -> Iterator[Fault]:
        if repository.encryption is not None:
            fault = rules.key_fault(repository.encryption.kms_key, self.location)
            if fault is not None:
                yield Fault(("encryption", "kms_key"), fault)

    def together_faults(self, repositories: Sequence[Repository]) -> Iterator[tuple[Repository, Fault]]:
        if self.layout == "shared" and repositories:
            first = repositories[0]
            for item in repositories[1:]:
                for field in rules.SHARED:
                    if getattr(item, field) != getattr(first, field):
                        yield item, Fault((field,), rules.differs(field, self.name, first.name))

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        if self.layout == "shared" and narrowed:
            yield Fault(
                ("repositories",),
                f"registry {self.name} has layout: shared, where Google Cloud can only grant access to all of its repositories;"
                " use layout: repository, or remove repositories",
            )
