"""Who may assume a registry's roles, in the spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from reconciler.spec.fields import Fault, Model, Text

from . import names
from .federation import subject_fault

Trusted = Annotated[str, Text(rf"{names.ACCOUNT}|{names.PRINCIPAL_ARN}", "an account id, or the ARN of a role or user")]
Subject = Annotated[str, Text(r"[^\x00-\x1f]+", "a subject without control characters", 1000)]


class NarrowedPrincipal(Model):
    """A principal that may assume the roles only with an external id, or as a member of an organization."""

    principal: Trusted = Field(description="An account id, or the ARN of a role or user.")
    external_id: (
        Annotated[str, Text(r"[\w+=,.@:/-]{2,1224}", "an external id: 2 to 1,224 letters, digits and + = , . @ : / -")]
        | None
    ) = Field(None, description="The external ID that it must give.")
    org_id: Annotated[str, Text(r"o-[a-z0-9]{10,32}", "an organization's id, such as o-a1b2c3d4e5")] | None = Field(
        None, description="The AWS organization that it must belong to."
    )

    def fault(self) -> str | None:
        if self.external_id is None and self.org_id is None:
            return "give external_id, org_id, or both; without either, write the principal as plain text"
        return None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class FederatedPrincipal(Model):
    """Workloads that log in with a token of an OpenID Connect provider, such as a CI system's."""

    oidc: Annotated[
        str, Text(r"[a-z0-9-]+(\.[a-z0-9-]+)+(/[\w.~-]+)*", "an OpenID Connect provider, without https://")
    ] = Field(description="The provider, as IAM names it: token.actions.githubusercontent.com.")
    subject: Annotated[tuple[Subject, ...], BeforeValidator(_as_list)] = Field(
        min_length=1,
        description="The subjects to trust: repo:my-org/my-repo:ref:refs/heads/main. * matches any text, ? one character.",
    )
    audience: str = Field(
        "sts.amazonaws.com", min_length=1, max_length=255, description="The audience that the token must have."
    )


def _trusted_form(value: Any) -> str:
    if isinstance(value, NarrowedPrincipal):
        return "narrowed"
    if isinstance(value, dict):
        return "federated" if value.keys() & {"oidc", "subject", "audience"} else "narrowed"
    return "federated" if isinstance(value, FederatedPrincipal) else "principal"


TrustedPrincipal = Annotated[
    Annotated[Trusted, Tag("principal")]
    | Annotated[NarrowedPrincipal, Tag("narrowed")]
    | Annotated[FederatedPrincipal, Tag("federated")],
    Discriminator(_trusted_form),
]


def subject_faults(item: FederatedPrincipal, at: tuple[str | int, ...]) -> Iterator[Fault]:
    for subject in item.subject:
        fault = subject_fault(item.oidc, subject)
        if fault is not None:
            yield Fault(at, f"'{subject}' {fault}")
