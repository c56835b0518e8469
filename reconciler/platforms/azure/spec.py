"""Azure in the spec: one Azure Container Registry. Facts of Azure have their sources in `rules.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Flag, Text, each, repeated
from reconciler.spec.registry import GrantTarget, Note, RegistryBase, refused
from reconciler.spec.repository import LabelKey, LabelValue, Repository
from reconciler.words import plural, some_of

from . import rules
from .target import TOKEN_TARGETS, AzureTarget, AzureTokenTarget, Uuid

__all__ = ["AzureRegistry", "AzureTarget", "AzureTokenTarget"]

Location = Annotated[str, Text(r"[a-z0-9]+", "an Azure location, such as westeurope")]
ResourceGroup = Annotated[str, Text(r"[\w().-]{0,89}[\w()-]", "a resource group's name", 90)]
AcrName = Annotated[str, Text(r"[A-Za-z0-9]{5,50}", "5 to 50 letters and digits")]
#: what login servers end with: https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure,
#: https://learn.microsoft.com/azure/china/resources-developer-guide
_SUFFIXES = {"public": "azurecr.io", "china": "azurecr.cn", "government": "azurecr.us"}


class AzureRegistry(RegistryBase):
    """One Azure Container Registry."""

    grant_types = ("azure", "azure-token", "kubernetes")
    placing = ("registry_name", "resource_group", "subscription_id", "location", "cloud")
    identity = ("tenant_id",)
    leaves_out = True

    platform: Literal["azure"] = Field(description="Azure Container Registry.")
    subscription_id: Uuid = Field(description="The subscription that holds the registry.")
    resource_group: ResourceGroup = Field(description="The resource group that holds the registry. It must exist.")
    location: Location = Field(
        description="The home location, which can't change: the plan is refused if the registry is in another one."
    )
    registry_name: AcrName = Field(description="The global name: 5 to 50 letters and digits.")
    sku: Literal["Basic", "Standard", "Premium"] | None = Field(
        None,
        description="The pricing tier. Default: Basic for a registry that is created; an adopted one keeps what it has.",
    )
    replication_regions: tuple[Location, ...] = Field((), description="Locations of geo-replications; Premium only.")
    role_assignment_mode: Literal["abac", "legacy"] | None = Field(
        None,
        description="Whether role assignments can be for single repositories (`abac`) or are for the whole registry (`legacy`)."
        " Default: abac for a registry that is created; an adopted one keeps what it has. A change ends all credentials that were"
        " issued.",
    )
    public_network_access: Flag | None = Field(
        None,
        description="Whether the registry can be reached from the internet; false is Premium only. Default: true for a registry that"
        " is created; an adopted one keeps what it has.",
    )
    labels: dict[LabelKey, LabelValue] = Field({}, description="The registry's tags.")
    adopt: Flag = Field(False, description="Adopt a registry that already exists and has no owner.")
    tenant_id: Uuid | None = Field(None, description="The tenant to log in to. Default: that of the credentials.")
    cloud: Literal["public", "china", "government"] = Field("public", description="Which of Azure's clouds it is in.")

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        away = () if self.cloud == "public" else (f"cloud {self.cloud}",)
        signed_in = () if self.tenant_id is None else (f"tenant {self.tenant_id}",)
        group = (f"resource group {self.resource_group}", f"subscription {self.subscription_id}")
        return (self.registry_name, self.location, *group, *signed_in, *away)

    @property
    def own_account(self) -> str:
        return self.subscription_id.lower()

    def found_by(self, later: RegistryBase) -> bool:
        return super().found_by(later) and isinstance(later, AzureRegistry) and self._id == later._id

    def still_finds(self, later: RegistryBase) -> Collection[str]:
        """The identities, which are called after the registry's name in the spec."""
        return ("identity",) if isinstance(later, AzureRegistry) and self._group == later._group else ()

    def met_by(self, other: RegistryBase) -> Collection[str]:
        """All but the identities, which are called after the registry's name in the spec."""
        same = isinstance(other, AzureRegistry) and other._id == self._id
        return ("registry", "mode", "replication", "repository", "assignment", "scope-map", "token") if same else ()

    @property
    def common_labels(self) -> Mapping[str, str]:
        return self.labels

    @property
    def resource(self) -> str:
        """The id of the registry, in the casing of the spec."""
        return f"{self.group}/providers/Microsoft.ContainerRegistry/registries/{self.registry_name}"

    @property
    def _id(self) -> tuple[str, str]:
        """In which of Azure's clouds it is, and its id as it is compared: Azure's ids have no case."""
        return self.cloud, self.resource.lower()

    @property
    def _name(self) -> tuple[str, str]:
        """What no two registries have in common: names are one in each of Azure's clouds."""
        return self.cloud, self.registry_name.lower()

    @property
    def _group(self) -> tuple[str, str]:
        """The same of its resource group."""
        return self.cloud, self.group.lower()

    @property
    def group(self) -> str:
        """The id of its resource group."""
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def made_with(self) -> str:
        """The role assignment mode that the registry is made with."""
        return self.role_assignment_mode or "abac"

    @property
    def known_mode(self) -> str:
        """The role assignment mode that it has by the spec alone; "" where that is decided by a registry that was there before."""
        return self.role_assignment_mode or ("" if self.adopt else "abac")

    @property
    def _tier_said(self) -> str:
        """The tier for people, where another one is needed."""
        return self.sku or ("that which an adopted registry has" if self.adopt else "Basic, the default")

    @property
    def usual_server(self) -> str:
        """What its images are pulled from, unless Azure adds a hash."""
        return f"{self.registry_name.lower()}.{_SUFFIXES[self.cloud]}"

    def identity_name(self, job: str) -> str:
        """The name of one of its two managed identities: `pull` or `push`."""
        return f"{self.name}-{job}"

    def native_name(self, repository: str) -> str:
        return repository

    def name_fault(self, native: str) -> str | None:
        if len(native) <= rules.MAX_REPOSITORY:
            return None
        return (
            f"Azure takes repository names of at most {rules.MAX_REPOSITORY} characters; '{native}' has {len(native)}"
        )

    def notes(self, repositories: Sequence[Repository] = ()) -> Iterator[str]:
        described = [item.name for item in repositories if item.description]
        if described:
            said = f"Azure has no description of a repository: that of {some_of(described)} stays in the spec alone"
            yield Note.about(said, described)
        if taken := [item.name for item in repositories if item.adopt]:
            yield Note.about(
                f"a repository on Azure is a note, and needs no adopt, as {some_of(taken)} {plural(len(taken), 'has', 'have')} it:"
                " a registry that is there is taken over by its own adopt",
                taken,
            )
        if any(item.retention is not None for item in repositories):
            yield (
                "Azure removes untagged manifests only if they were untagged after retention was switched on, and none of OCI's media"
                " types"
            )

    def faults(self) -> Iterator[Fault]:
        yield from each(
            repeated(self, "replication_regions"),
            self._tier(),
            self._home(),
            self._network(),
            self._labels(),
            self._names(),
        )

    def _tier(self) -> Iterator[Fault]:
        if self.replication_regions and self.sku != "Premium":
            yield Fault(("sku",), f"geo-replication needs sku: Premium, not {self._tier_said}")

    def _home(self) -> Iterator[Fault]:
        if self.location in self.replication_regions:
            at = self.replication_regions.index(self.location)
            yield Fault(("replication_regions", at), f"{self.location} is the registry's own location")

    def _network(self) -> Iterator[Fault]:
        if self.public_network_access is False and self.sku != "Premium":
            fault = f"public_network_access: false needs sku: Premium, not {self._tier_said}"
            yield Fault(("public_network_access",), fault)

    def _labels(self) -> Iterator[Fault]:
        for path, fault in rules.label_faults(self.labels):
            yield Fault(("labels", *path), fault)

    def _names(self) -> Iterator[Fault]:
        if fault := rules.identity_fault(self.identity_name("push")):
            yield Fault(("name",), fault)

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        yield from each(
            self._retention(repository),
            refused(repository, "immutable_tags", rules.NO_IMMUTABLE_TAGS),
            refused(repository, "scan_on_push", rules.NO_SCANS),
            refused(repository, "encryption", rules.NO_KEYS),
            refused(repository, "lifecycle_policy", "is for AWS; use retention on Azure"),
            refused(repository, "native_name", "is for AWS; on Azure, name is the repository's own name"),
            refused(repository, "labels", rules.NO_LABELS),
        )

    def _retention(self, repository: Repository) -> Iterator[Fault]:
        retention = repository.retention
        if retention is None:
            return
        if retention.keep_last is not None:
            yield Fault(("retention", "keep_last"), rules.ONLY_UNTAGGED.format(field="keep_last"), unable=True)
        if retention.keep_tags:
            yield Fault(("retention", "keep_tags"), rules.ONLY_UNTAGGED.format(field="keep_tags"), unable=True)
        if retention.untagged_days is None:
            return
        at = ("retention", "untagged_days")
        if self.sku != "Premium":
            yield Fault(at, f"retention needs sku: Premium, not {self._tier_said}", unable=True)
        elif retention.untagged_days > rules.MAX_UNTAGGED_DAYS:
            yield Fault(at, f"Azure takes at most {rules.MAX_UNTAGGED_DAYS} days")

    def together_faults(self, repositories: Sequence[Repository]) -> Iterator[tuple[Repository, Fault]]:
        days = [untagged_days(item) for item in repositories]
        for item, here in zip(repositories[1:], days[1:], strict=True):
            if here != days[0]:
                at = ("retention", "untagged_days") if here is not None else ()
                yield (
                    item,
                    Fault(
                        at,
                        f"Azure has one retention for a whole registry: untagged_days is {_said(here)}, and {_said(days[0])} for"
                        f" {repositories[0].name}; make them the same (in defaults, say)",
                    ),
                )

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        if isinstance(target, AzureTarget) and narrowed and self.role_assignment_mode == "legacy":
            yield Fault(("repositories",), legacy_fault(self.name))

    def targets_faults(self, grants: Sequence[tuple[str, GrantTarget]]) -> Iterator[tuple[int, Fault]]:
        said: dict[str, tuple[str, str]] = {}
        for at, (name, target) in enumerate(grants):
            if not isinstance(target, AzureTarget):
                continue
            for principal in target.principal_ids:
                first, kind = said.setdefault(principal.lower(), (name, target.principal_type))
                if kind != target.principal_type:
                    message = f"grant {first} says that {principal} is a {kind}; an object id is of one kind: make them the same"
                    yield at, Fault(("principal_type",), message)
                    break

    def named_faults(self, target: GrantTarget, name: str) -> Iterator[Fault]:
        if isinstance(target, TOKEN_TARGETS) and (fault := rules.token_fault(name)):
            yield Fault(("name",), fault)

    def clashes(self, other: RegistryBase, base: str) -> str | None:
        if isinstance(other, AzureRegistry) and other._name == self._name:
            return f"registry {other.name} has the same registry_name"
        return None


def untagged_days(repository: Repository) -> int | None:
    """After how many days the repository's untagged images go; None: they stay."""
    return repository.retention.untagged_days if repository.retention is not None else None


def legacy_fault(name: str) -> str:
    """That a grant can't be for some of the repositories."""
    return (
        f"registry {name} has role_assignment_mode: legacy, where Azure can only grant access to all of its repositories; use"
        " role_assignment_mode: abac, or remove repositories, or grant to azure-token"
    )


def _said(days: int | None) -> str:
    return "not set" if days is None else str(days)
