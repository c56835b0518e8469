"""Google Cloud in the spec: Artifact Registry in one project and location, and who on Google a grant can be for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from reconciler.model.marks import PREFIX
from reconciler.spec.fields import Fault, Text, each, repeated
from reconciler.spec.registry import GrantTarget, RegistryBase, refused
from reconciler.spec.repository import Repository

#: https://cloud.google.com/artifact-registry/docs/repositories/create-repos (repository id)
_REPOSITORY_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
#: https://cloud.google.com/artifact-registry/docs/repositories/label-repos
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
MAX_LABELS = 56  # of 64; the rest is kept for the tool's marks

Project = Annotated[
    str,
    Text(
        r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "a project id: 6 to 30 lower-case letters, digits and dashes, starting with a letter",
    ),
]
ProjectNumber = Annotated[str, Text(r"[0-9]{4,20}", "a project number, quoted")]
Location = Annotated[str, Text(r"[a-z]+(-[a-z]+[0-9]+)?", "a region or multi-region, such as europe-west1 or eu")]
ServiceAccount = Annotated[
    str,
    Text(r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com|\*", "a service account's email, or '*' for anyone"),
]


class GcpRegistry(RegistryBase):
    """Google Artifact Registry in one project and location."""

    grant_types = ("gcp",)

    platform: Literal["gcp"] = Field(description="Google Artifact Registry.")
    project: Project = Field(description="The project id that holds the registry.")
    location: Location = Field(description="The region or multi-region.")
    layout: Literal["repository", "shared"] = Field(
        "repository",
        description="`repository`: one Artifact Registry repository each, so that grants are exact; `shared`: one for all.",
    )

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        return (self.project, self.location)

    @property
    def own_account(self) -> str:
        return self.project

    def native_name(self, repository: str) -> str:
        return f"{self.name}-{repository}" if self.layout == "repository" else f"{self.name}/{repository}"

    def name_fault(self, native: str) -> str | None:
        identifier = native if self.layout == "repository" else native.partition("/")[0]
        if _REPOSITORY_ID.fullmatch(identifier) is None:
            return (
                f"Artifact Registry refuses the repository id '{identifier}': at most 63 lower-case letters, digits and"
                " dashes" + ("; layout: shared allows longer image paths" if self.layout == "repository" else "")
            )
        return None

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        why = "is for AWS; use retention on Google Cloud"
        yield from each(
            self._label_faults(repository),
            refused(repository, "lifecycle_policy", why),
            refused(
                repository, "native_name", "is for AWS; on Google Cloud, the name follows from the registry's layout"
            ),
        )

    def _label_faults(self, repository: Repository) -> Iterator[Fault]:
        if len(repository.labels) > MAX_LABELS:
            yield Fault(("labels",), f"at most {MAX_LABELS} labels")
        for key, value in repository.labels.items():
            if not (_LABEL.fullmatch(key) and _LABEL.fullmatch(value)):
                yield Fault(("labels", key), "Google allows at most 63 lower-case letters, digits, '_' and '-'")
            elif key.startswith(PREFIX):
                yield Fault(("labels", key), "keys that start with 'reconciler-' are reserved")

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        if self.layout == "shared" and narrowed:
            yield Fault(
                ("repositories",),
                f"registry {self.name} has layout: shared, where Google Cloud can only grant access to all of its repositories;"
                " use layout: repository, or remove repositories",
            )


class GcpTarget(GrantTarget):
    """Google service accounts, and the Cloud Run service agents of projects."""

    type: Literal["gcp"] = Field(description="Service accounts and Cloud Run on Google Cloud.")
    project_numbers: tuple[ProjectNumber, ...] = Field((), description="Projects, by number.")
    service_account_emails: tuple[ServiceAccount, ...] = Field((), description="Service accounts, or '*' for anyone.")
    allowed_service_types: tuple[Literal["worker"], ...] = Field(
        (), description="Services of those projects that can pull: worker is Cloud Run's service agent."
    )

    def faults(self) -> Iterator[Fault]:
        lists = ("project_numbers", "service_account_emails", "allowed_service_types")
        yield from each(*(repeated(self, field) for field in lists), self._principals())

    def _principals(self) -> Iterator[Fault]:
        if not (self.service_account_emails or self.project_numbers):
            yield Fault((), "names nobody: give service_account_emails, or project_numbers with allowed_service_types")
        elif self.project_numbers and not self.allowed_service_types:
            yield Fault(
                ("project_numbers",),
                "a project alone is not a principal: add allowed_service_types: [worker]",
            )
        elif self.allowed_service_types and not self.project_numbers:
            yield Fault(("allowed_service_types",), "worker needs project_numbers: whose Cloud Run?")
