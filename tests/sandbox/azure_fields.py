"""Each field of a spec on Azure, with the change of it that the contract tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import Fields, guards, registry, target, top

SUBSCRIPTION, TENANT = "00000000-0000-0000-0000-000000000000", "11111111-1111-1111-1111-111111111111"


def principal(number: int | str) -> str:
    """An object id of somebody."""
    return f"{int(number):08d}-aaaa-bbbb-cccc-dddddddddddd"


def _kept(days: int) -> dict[str, Any]:
    return {"repository": {"retention": {"untagged_days": days}}}


def _all_kept(document: dict[str, Any]) -> None:
    """Another retention: a registry has one for all of its repositories."""
    for row in document["repositories"]:
        row["retention"] = {"untagged_days": 9}


def _smaller(document: dict[str, Any]) -> None:
    """Another tier, without what Premium alone has."""
    document["registries"][0].update(sku="Standard", replication_regions=[])
    document["defaults"] = {}


def _legacy(document: dict[str, Any]) -> None:
    """The other mode, in which no grant is for single repositories."""
    document["registries"][0]["role_assignment_mode"] = "legacy"
    for row in document["grants"]:
        if row["to"]["type"] == "azure":
            row.pop("repositories", None)


FIELDS: Fields = {
    # it stays in the spec alone, with a note in the plan
    "Repository.description": (lambda document: document["repositories"][0].update(description="the shop"), "same"),
    "Repository.retention": (_all_kept, "state"),
    "Spec.defaults": (top(defaults=_kept(9)), "state"),
    "Guards.allowed_accounts": (guards(allowed_accounts=[SUBSCRIPTION]), "same"),
    "AzureRegistry.resource_group": (registry(resource_group="next", registry_name="acmenext"), "moved"),
    "AzureRegistry.subscription_id": (
        registry(subscription_id="22222222-0000-0000-0000-000000000000", registry_name="acmenext"),
        "moved",
    ),
    "AzureRegistry.sku": (_smaller, "state"),
    "AzureRegistry.replication_regions": (registry(replication_regions=["uksouth"]), "state"),
    "AzureRegistry.role_assignment_mode": (_legacy, "state"),
    "AzureRegistry.public_network_access": (registry(public_network_access=False), "state"),
    "AzureRegistry.labels": (registry(labels={"team": "b", "tier": "1"}), "state"),
    "AzureRegistry.adopt": (registry(adopt=True), "same"),
    "AzureRegistry.tenant_id": (registry(tenant_id=TENANT), "same"),
    # another address, where the tests do not give one
    "AzureRegistry.cloud": (registry(cloud="china"), "same"),
    "AzureRegistry.retired": (registry(retired=True), "state"),
    "AzureTarget.principal_ids": (target(principal_ids=[principal(3)]), "state"),
    "AzureTarget.principal_type": (target(principal_type="User"), "state"),
}
ELSEWHERE: Mapping[str, str] = {
    "Repository.immutable_tags": "refused: test_azure_spec.py",
    "Repository.scan_on_push": "refused: test_azure_spec.py",
    "Repository.labels": "refused: test_azure_spec.py",
    "Repository.encryption": "refused: test_azure_spec.py",
    "Repository.native_name": "refused: test_azure_spec.py",
    "Repository.lifecycle_policy": "refused: test_azure_spec.py",
    "Grant.also": "refused: test_aws_verbs.py",
    "AzureRegistry.name": "another registry: the chains of test_transitions.py",
    "AzureRegistry.platform": "another platform: the contract suite runs on each",
    "AzureRegistry.location": "refused: test_azure_registry.py",
    "AzureRegistry.registry_name": "refused: test_azure_registry.py",
    "AzureTarget.type": "the targets of test_transitions.py are of both types",
    "AzureTokenTarget.type": "the targets of test_transitions.py are of both types",
}
#: what the contract promises and Azure has no place for
INAPPLICABLE: Mapping[str, str] = {
    "test_a_grant_to_everyone_is_refused_unless_it_is_allowed": "no grant on Azure is for everyone",
    "test_a_repository_with_access_that_others_gave_is_not_deleted_without_permission": "what others gave is a role assignment on the"
    " registry or above it, and outlives a repository",
    "test_access_that_others_give_after_the_plan_makes_a_delete_stale": "what others gave is a role assignment on the registry or"
    " above it, and outlives a repository",
    "test_a_released_repository_stays_without_our_marks_and_statements": "a repository has no tags, and what is given on it stands in"
    " conditions that are for other repositories too",
    "test_destroy_and_a_retired_registry_leave_what_is_released": "a registry goes with all that is in it: its delete is refused"
    " while it holds images",
    "test_a_delete_is_not_done_already_where_the_resource_only_has_other_marks": "a released repository has no marks left, and can't"
    " be told from one that is gone",
    "test_a_repository_s_own_name_and_uri_are_said_where_it_is_created_or_adopted": "a login server may carry a hash, and is not"
    " known before its registry is there: test_a_login_server_is_read_and_never_derived",
}
