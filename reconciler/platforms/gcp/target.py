"""Who on Google Cloud a grant can be for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Text, each, repeated
from reconciler.spec.registry import GrantTarget

from . import rules

ProjectNumber = Annotated[str, Text(r"[0-9]{4,20}", "a project number, quoted")]
ServiceAccountEmail = Annotated[
    str, Text(r"[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com", "a service account's email")
]
ServiceAccount = Annotated[
    str,
    Text(r"[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com|\*", "a service account's email, or '*' for anyone"),
]
Member = Annotated[str, Text(rules.MEMBER, rules.MEMBER_SAYS, why=rules.member_fault)]
#: services that act for a project, by its number
Service = Literal["worker", "compute"]


class GcpTarget(GrantTarget):
    """Google principals: service accounts, groups, workloads of federated pools, and the agents of projects."""

    type: Literal["gcp"] = Field(description="Service accounts, other principals, Cloud Run and nodes on Google Cloud.")
    project_numbers: tuple[ProjectNumber, ...] = Field((), description="Projects, by number.")
    service_account_emails: tuple[ServiceAccount, ...] = Field((), description="Service accounts, or '*' for anyone.")
    members: tuple[Member, ...] = Field(
        (),
        description="Principals as Google writes them: serviceAccount:, group:, principal:// and principalSet://.",
    )
    allowed_service_types: tuple[Service, ...] = Field(
        (),
        description="What of those projects can pull: worker is Cloud Run's service agent, compute the default service account of the"
        " nodes of GKE and Compute Engine.",
    )

    def faults(self) -> Iterator[Fault]:
        lists = ("project_numbers", "service_account_emails", "members", "allowed_service_types")
        yield from each(*(repeated(self, field) for field in lists), self._principals(), self._in_both())

    def _principals(self) -> Iterator[Fault]:
        if not (self.service_account_emails or self.project_numbers or self.members):
            yield Fault(
                (),
                "names nobody: give service_account_emails, members, or project_numbers with allowed_service_types",
            )
        elif self.project_numbers and not self.allowed_service_types:
            yield Fault(
                ("project_numbers",),
                "a project alone is not a principal: add allowed_service_types: [worker] or [compute]",
            )
        elif self.allowed_service_types and not self.project_numbers:
            whose = "Cloud Run" if self.allowed_service_types == ("worker",) else "nodes"
            yield Fault(
                ("allowed_service_types",),
                f"{' and '.join(self.allowed_service_types)} needs project_numbers: whose {whose}?",
            )

    def _in_both(self) -> Iterator[Fault]:
        for index, member in enumerate(self.members):
            if fault := rules.public(member):
                yield Fault(("members", index), f"{fault}; for anyone, write service_account_emails: ['*']")
            elif member.removeprefix("serviceAccount:") in self.service_account_emails:
                yield Fault(("members", index), f"'{member}' is in service_account_emails too")
