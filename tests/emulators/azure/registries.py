"""Container registries and their replications."""

from __future__ import annotations

import re
from typing import Any

from . import operations
from .state import Child, Registry, Resource, State, now, zulu
from .tags import tags_in
from .wire import NULL, Asked, Document, Refusal, Reply, invalid, not_found

TYPE = "Microsoft.ContainerRegistry/registries"
#: bytes of each image
IMAGE = 12_345_678
SKUS = ("Basic", "Standard", "Premium")
ABAC, LEGACY = "AbacRepositoryPermissions", "LegacyRegistryPermissions"
#: of a registry of which nothing was said, as recorded
_DEFAULTS: Document = {
    "adminUserEnabled": False,
    "dataEndpointEnabled": False,
    "publicNetworkAccess": "Enabled",
    "networkRuleBypassOptions": "AzureServices",
    "networkRuleBypassAllowedForTasks": False,
    "zoneRedundancy": "Disabled",
    "anonymousPullEnabled": False,
    "roleAssignmentMode": LEGACY,
}
#: what a PATCH may change: azure-mgmt-containerregistry 15, RegistryPropertiesUpdateParameters
_PATCHED = frozenset({*_DEFAULTS, "networkRuleSet", "policies", "encryption"} - {"zoneRedundancy"})
#: scope maps that every registry has from the start
SYSTEM = {
    "_repositories_admin": ["content/delete", "content/read", "content/write", "metadata/read", "metadata/write"],
    "_repositories_pull": ["content/read", "metadata/read"],
    "_repositories_push": ["content/read", "content/write", "metadata/read", "metadata/write"],
}


def check_name(state: State, asked: Asked) -> Reply:
    """evidence/azure/recorded/check-name.json, examples RegistryCheckNameNotAvailable."""
    name = str(asked.object().get("name", ""))
    if not re.fullmatch(r"[a-zA-Z0-9]{5,50}", name):
        return Reply(
            200,
            {
                "nameAvailable": False,
                "reason": "Invalid",
                "message": "The specified resource name is invalid: 5 to 50 alphanumeric characters.",
            },
        )
    if name.lower() in state.registries or name.lower() in {item.lower() for item in state.knobs.taken}:
        message = f"The registry {name} is already in use."
        return Reply(200, {"nameAvailable": False, "reason": "AlreadyExists", "message": message})
    return Reply(200, {"nameAvailable": True})


def existing(state: State, asked: Asked) -> Registry:
    """The registry that a request is about. Raises Refusal."""
    found = state.registries.get(asked.names["registry"].lower())
    if found is None or not found.id.lower().startswith(asked.path.lower().partition("/providers/")[0] + "/"):
        path = asked.path.partition("/providers/")
        raise Refusal(
            404,
            "ResourceNotFound",
            f"The Resource '{TYPE}/{asked.names['registry']}' under resource group '{path[0].rpartition('/')[2]}' was not found. For"
            " more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    return found


def put(state: State, asked: Asked) -> Reply:
    """Makes a registry, or writes one anew: what the body does not say is as it is by default."""
    name, body = asked.names["registry"], asked.object()
    sku = _sku(body, required=True)
    if not isinstance(body.get("location"), str) or not body["location"]:
        raise invalid("The location property is required for this definition.", "LocationRequired")
    found = state.registries.get(name.lower())
    if name.lower() in {item.lower() for item in state.knobs.taken} or (found and existing_elsewhere(found, asked)):
        raise Refusal(
            409,
            "RegistryNameAlreadyInUse",
            f"The registry {name} is already in use.",
        )
    properties = _merged(_DEFAULTS, asked.properties())
    _check(sku, properties)
    time = now()
    if found is not None:
        if found.location.lower() != body["location"].lower():
            raise Refusal(
                409,
                "InvalidResourceLocation",
                f"The resource '{name}' already exists in location '{found.location}' in resource group"
                f" '{asked.names['group']}'. A resource with the same name cannot be created in location '{body['location']}'.",
            )
        _change_sku(found, sku)
        _change_mode(state, found, properties)
        found.tags, found.properties, found.modified = tags_in(body, found.tags) or {}, properties, time
        return Reply(200, shown(state, found))
    if not re.fullmatch(r"[a-zA-Z0-9]{5,50}", name):
        raise invalid(f"The specified registry name {name} is invalid.", "InvalidRegistryName")
    made = Registry(
        id=f"/subscriptions/{asked.names['subscription']}/resourceGroups/{asked.names['group']}/providers/{TYPE}/{name}",
        name=name,
        location=body["location"].lower(),
        tags=tags_in(body) or {},
        properties=properties,
        created=time,
        modified=time,
        state="Creating",
        sku=sku,
    )
    made.properties["loginServer"] = state.login_server(name)
    for key, actions in SYSTEM.items():
        every = [f"repositories/*/{action}" for action in actions]
        said = {"actions": every, "type": "SystemDefined", "description": key}
        made.scope_maps[key] = Child(f"{made.id}/scopeMaps/{key}", key, "", {}, said, time, time)
    state.registries[name.lower()] = made

    def finish() -> None:
        made.state = "Succeeded"

    if state.knobs.synchronous:
        finish()
        return Reply(200, shown(state, made))
    headers = operations.start(
        state, asked, "registries", made.id, "Creating", finish, lambda: state.registries.pop(name.lower(), None)
    )
    return Reply(201, shown(state, made), headers)


def existing_elsewhere(found: Registry, asked: Asked) -> bool:
    """Whether a registry is in another group or subscription than the one asked about."""
    return not asked.path.lower().startswith(found.id.lower().partition("/providers/")[0] + "/")


def patch(state: State, asked: Asked) -> Reply:
    """Changes what the body says; `tags` are the whole map."""
    found, body = existing(state, asked), asked.object()
    sku = _sku(body, required=False) or found.sku
    given = asked.properties()
    unknown = sorted(given.keys() - _PATCHED)
    if unknown:
        raise invalid(f"The property '{unknown[0]}' can't be updated.")
    properties = _merged(found.properties, given)
    # what needs a larger tier can't come with it: https://github.com/hashicorp/terraform-provider-azurerm/issues/8698
    _check(min(sku, found.sku, key=_rank), properties)
    _change_sku(found, sku)
    _change_mode(state, found, properties)
    tags = tags_in(body, found.tags)
    found.tags = found.tags if tags is None else tags
    found.properties, found.modified = properties, now()
    # the state is of the last operation, which this one is
    found.state = "Succeeded"
    return Reply(200, shown(state, found))


def get(state: State, asked: Asked) -> Reply:
    return Reply(200, shown(state, existing(state, asked)))


def delete(state: State, asked: Asked) -> Reply:
    """Deletes it with all that is in it, without asking."""
    try:
        found = existing(state, asked)
    except Refusal:
        return Reply(204)

    def finish() -> None:
        state.registries.pop(found.name.lower(), None)
        for name in [key for key, item in state.assignments.items() if item.scope.lower().startswith(found.id.lower())]:
            del state.assignments[name]

    headers = operations.start_delete(state, asked, "registries", found.location, finish)
    found.state = "Deleting"
    return Reply(202, shown(state, found), headers)


def usages(state: State, asked: Asked) -> Reply:
    """examples RegistryListUsages. How soon a delete counts: https://learn.microsoft.com/azure/container-registry/container-registry-faq"""
    found = existing(state, asked)
    stored = sum(IMAGE * len(set(tags.values())) for tags in found.images.values())
    stored += found.freed if state.knobs.late_usages else 0
    rows = [
        {"name": "Size", "limit": 107374182400, "currentValue": stored, "unit": "Bytes"},
        {"name": "Webhooks", "limit": 10, "currentValue": 0, "unit": "Count"},
    ]
    return Reply(200, {"value": rows})


def system_data(item: Resource) -> Document:
    """Who made and changed a thing, and when."""
    return {
        "createdBy": "ea0eddd2-3d60-47f8-b3bf-7ec8ae554d10",
        "createdByType": "Application",
        "createdAt": item.created,
        "lastModifiedBy": "ea0eddd2-3d60-47f8-b3bf-7ec8ae554d10",
        "lastModifiedByType": "Application",
        "lastModifiedAt": item.modified,
    }


def shown(state: State, item: Registry) -> Document:
    """A registry as it is answered. On Basic there is no networkRuleSet (../../shared/azure/traps.md, 7)."""
    policies = _merged(
        {
            "quarantinePolicy": {"status": "disabled"},
            "trustPolicy": {"type": "Notary", "status": "disabled"},
            "retentionPolicy": {"days": 7, "lastUpdatedTime": item.modified, "status": "disabled"},
            "exportPolicy": {"status": "enabled"},
            "azureADAuthenticationAsArmPolicy": {"status": "enabled"},
        },
        item.properties.get("policies") or {},
    )
    rules = item.properties.get("networkRuleSet") or {"defaultAction": "Allow", "ipRules": []}
    properties = {
        "loginServer": item.properties["loginServer"],
        "creationDate": zulu(item.created),
        "provisioningState": item.state,
        **({"networkRuleSet": rules} if item.sku != "Basic" else {}),
        "policies": policies,
        "encryption": {"status": "disabled"},
        "dataEndpointHostNames": [],
        "privateEndpointConnections": [],
        **{
            key: value
            for key, value in item.properties.items()
            if key not in ("loginServer", "policies", "networkRuleSet")
        },
    }
    return {
        "sku": {"name": item.sku, "tier": item.sku},
        "type": TYPE,
        "id": cased(state, item.id),
        "name": item.name,
        "location": item.location.upper() if state.knobs.odd_casing else item.location,
        "tags": dict(item.tags),
        "systemData": system_data(item),
        "properties": properties,
    }


def cased(state: State, identifier: str) -> str:
    """An id as it comes back."""
    return identifier.replace("/resourceGroups/", "/resourcegroups/") if state.knobs.odd_casing else identifier


def put_replication(state: State, asked: Asked) -> Reply:
    """Premium alone. Where one was just deleted, 201 is answered and the operation fails, for a while
    (https://github.com/Azure/azure-rest-api-specs/issues/18934; with which code, is not known here)."""
    home, name, body = existing(state, asked), asked.names["replication"], asked.object()
    location = str(body.get("location", "")).lower().replace(" ", "")
    if home.sku != "Premium":
        raise Refusal(400, "FeatureNotSupported", "Geo-replication is supported in the Premium tier only.")
    if not location:
        raise invalid("The location property is required for this definition.", "LocationRequired")
    if location == home.location:
        # nothing is made, and nothing is said: https://github.com/Azure/azure-rest-api-specs/issues/10233
        return Reply(200, shown_replication(state, own_replication(home)))
    found = home.replications.get(name.lower())
    time = now()
    properties = {"regionEndpointEnabled": True, "zoneRedundancy": "Disabled", **asked.properties()}
    if found is not None:
        found.tags, found.properties, found.modified = tags_in(body, found.tags) or {}, properties, time
        return Reply(200, shown_replication(state, found))
    identifier = f"{home.id}/replications/{name}"
    made = Resource(identifier, name, location, tags_in(body) or {}, properties, time, time, "Creating")
    home.replications[name.lower()] = made

    def finish() -> None:
        made.state = "Succeeded"

    def fail() -> None:
        home.replications.pop(name.lower(), None)

    error = None
    if home.deleted.get(name.lower(), 0) > 0:
        home.deleted[name.lower()] -= 1
        error = "ResourceNotFound", f"The resource {name} could not be found."
    headers = operations.start(state, asked, "replications", identifier, "Creating", finish, fail, error)
    return Reply(201, shown_replication(state, made), headers)


def _replication(state: State, asked: Asked) -> Resource:
    home, name = existing(state, asked), asked.names["replication"]
    if name.lower() == home.location:
        return own_replication(home)
    found = home.replications.get(name.lower())
    if found is None:
        raise not_found(name)
    return found


def own_replication(home: Registry) -> Resource:
    """The home location, which is in the list too (terraform-provider-azurerm, container_registry_resource.go)."""
    properties = {"regionEndpointEnabled": True, "zoneRedundancy": "Disabled"}
    identifier = f"{home.id}/replications/{home.location}"
    return Resource(identifier, home.location, home.location, {}, properties, home.created, home.created)


def get_replication(state: State, asked: Asked) -> Reply:
    return Reply(200, shown_replication(state, _replication(state, asked)))


def patch_replication(state: State, asked: Asked) -> Reply:
    """One that failed stays so: https://github.com/Azure/ARO-HCP/pull/2366"""
    found, body = _replication(state, asked), asked.object()
    tags = tags_in(body, found.tags)
    found.tags = found.tags if tags is None else tags
    found.properties = _merged(found.properties, asked.properties())
    found.modified = now()
    return Reply(200, shown_replication(state, found))


def delete_replication(state: State, asked: Asked) -> Reply:
    """That of the home location is refused, with this code: https://github.com/Azure/acr/issues/294 (somebody's command line could:
    https://github.com/Azure/acr/issues/729)."""
    home, name = existing(state, asked), asked.names["replication"]
    found = home.replications.get(name.lower())
    if name.lower() == home.location:
        raise invalid(
            "The replication in the registry's own location can't be deleted.", "HomeReplicationCannotBeDeleted"
        )
    if found is None:
        return Reply(204)

    def finish() -> None:
        home.replications.pop(name.lower(), None)
        home.deleted[name.lower()] = state.knobs.settling

    return Reply(202, NULL, operations.start_delete(state, asked, "replications", found.location, finish))


def shown_replication(state: State, item: Resource) -> Document:
    """While it is being made, its status is a time alone, as recorded."""
    status: Document = {"timestamp": zulu(item.modified)}
    if item.state == "Succeeded":
        status = {"displayStatus": "Ready", "message": "The replication is ready.", **status}
    return {
        "type": f"{TYPE}/replications",
        "id": cased(state, item.id),
        "name": item.name,
        "location": item.location.upper() if state.knobs.odd_casing else item.location,
        "tags": dict(item.tags),
        "systemData": system_data(item),
        "properties": {"provisioningState": item.state, "status": status, **item.properties},
    }


def _sku(body: Document, *, required: bool) -> str:
    found = body.get("sku")
    name = found.get("name") if isinstance(found, dict) else None
    if name is None and not required:
        return ""
    if name not in SKUS:
        raise invalid(f"The SKU '{name}' is not supported: {', '.join(SKUS)}.", "InvalidSku")
    return str(name)


def _merged(before: Document, given: Any) -> Document:
    """`given` over `before`, mapping by mapping."""
    found = dict(before)
    for key, value in (given or {}).items():
        under = found.get(key)
        found[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return found


def _rank(sku: str) -> int:
    """How large a tier is; one that nobody can ask for is the largest."""
    return SKUS.index(sku) if sku in SKUS else len(SKUS)


def _check(sku: str, properties: Document) -> None:
    """What each tier has: ../../shared/azure/facts.md (terraform-provider-azurerm, container_registry_resource.go)."""
    if properties.get("publicNetworkAccess") == "Disabled" and sku in SKUS[:-1]:
        raise invalid("Disabling public network access is supported in the Premium tier only.", "FeatureNotSupported")
    if properties.get("anonymousPullEnabled") and sku == "Basic":
        raise invalid("Anonymous pull is supported in the Standard and Premium tiers only.", "FeatureNotSupported")
    retention = (properties.get("policies") or {}).get("retentionPolicy") or {}
    if retention.get("status") == "enabled" and sku in SKUS[:-1]:
        raise invalid("The retention policy is supported in the Premium tier only.", "FeatureNotSupported")
    if not 0 <= int(retention.get("days", 7)) <= 365:
        raise invalid("A retention has 0 to 365 days.")
    if properties.get("roleAssignmentMode") not in (ABAC, LEGACY):
        raise invalid(f"The role assignment mode '{properties.get('roleAssignmentMode')}' is not known.")


def _check_large(properties: Document) -> None:
    """What the largest tier alone has: https://learn.microsoft.com/azure/container-registry/container-registry-skus"""
    rules = properties.get("networkRuleSet") or {}
    policies = properties.get("policies") or {}
    used = (
        rules.get("defaultAction") == "Deny" or rules.get("ipRules"),
        properties.get("privateEndpointConnections"),
        properties.get("dataEndpointEnabled"),
        (properties.get("encryption") or {}).get("status") == "enabled",
        (policies.get("trustPolicy") or {}).get("status") == "enabled",
        (policies.get("exportPolicy") or {}).get("status") == "disabled",
    )
    if any(used):
        raise invalid("The registry has features that are supported in the Premium tier only.", "FeatureNotSupported")


def _change_sku(found: Registry, sku: str) -> None:
    if sku != "Premium" and found.replications:
        raise Refusal(
            409,
            "CannotDowngradeWithReplications",
            f"The registry has replications: they must be deleted before it is {sku}.",
        )
    if sku != "Premium":
        _check_large(found.properties)
    found.sku = sku


def _change_mode(state: State, found: Registry, properties: Document) -> None:
    """A switch ends all credentials that were issued before it (D rbac-abac page: ../../shared/azure/facts.md)."""
    if properties["roleAssignmentMode"] != found.properties["roleAssignmentMode"]:
        found.since = state.next_number()
    properties.setdefault("loginServer", found.properties["loginServer"])
