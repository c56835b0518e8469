"""Managed identities, and of subscriptions and groups what clients ask before anything else."""

from __future__ import annotations

import re
from urllib.parse import unquote

from . import registries
from .state import TENANT, Resource, State, fresh_id, now
from .tags import tags_in
from .wire import Asked, Document, Refusal, Reply, invalid

IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def _key(asked: Asked) -> str:
    return asked.path.lower()


def put_identity(state: State, asked: Asked) -> Reply:
    """One that is made anew has another principal."""
    body, name = asked.object(), asked.names["identity"]
    if not isinstance(body.get("location"), str):
        raise invalid("The location property is required for this definition.", "LocationRequired")
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}", name):
        raise invalid(f"The name '{name}' is not valid.", "InvalidResourceName")
    found, time = state.identities.get(_key(asked)), now()
    if found is not None:
        found.tags, found.modified = tags_in(body, found.tags) or {}, time
        return Reply(200, shown_identity(found))
    names = asked.names
    identifier = f"/subscriptions/{names['subscription']}/resourcegroups/{names['group']}/providers/{IDENTITY}/{name}"
    properties = {"tenantId": TENANT, "principalId": fresh_id(), "clientId": fresh_id(), "isolationScope": "None"}
    made = Resource(identifier, name, body["location"].lower(), tags_in(body) or {}, properties, time, time, "Fresh")
    state.identities[_key(asked)] = made
    state.principals[properties["clientId"]] = properties["principalId"]
    return Reply(201, shown_identity(made))


def patch_identity(state: State, asked: Asked) -> Reply:
    found, body = _identity(state, asked), asked.object()
    tags = tags_in(body, found.tags)
    if tags is not None:
        found.tags = tags
    found.modified = now()
    return Reply(200, shown_identity(found))


def get_identity(state: State, asked: Asked) -> Reply:
    return Reply(200, shown_identity(_identity(state, asked)))


def delete_identity(state: State, asked: Asked) -> Reply:
    """Its role assignments stay behind (../../shared/azure/traps.md, 10)."""
    return Reply(200 if state.identities.pop(_key(asked), None) is not None else 204)


def _identity(state: State, asked: Asked) -> Resource:
    found = state.identities.get(_key(asked))
    if found is None:
        name = asked.names["identity"]
        raise Refusal(
            404,
            "ResourceNotFound",
            f"The Resource '{IDENTITY}/{name}' under resource group '{asked.names['group']}' was not found. For more details"
            " please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    return found


def listed_identities(state: State, asked: Asked) -> list[Document]:
    start = asked.path.lower() + "/"
    return [shown_identity(item) for key, item in sorted(state.identities.items()) if key.startswith(start)]


def shown_identity(item: Resource) -> Document:
    """Its id is in another casing than was asked, as in the published example."""
    return {
        "name": item.name,
        "type": IDENTITY,
        "id": item.id,
        "location": item.location,
        "tags": dict(item.tags),
        "properties": dict(item.properties),
    }


def get_tags(state: State, asked: Asked) -> Reply:
    """A registry's tags as a resource of their own, which `az tag` reads and writes."""
    found = registries.existing(state, asked)
    identifier = f"{found.id}/providers/Microsoft.Resources/tags/default"
    kind = "Microsoft.Resources/tags"
    return Reply(200, {"id": identifier, "name": "default", "type": kind, "properties": {"tags": dict(found.tags)}})


def patch_tags(state: State, asked: Asked) -> Reply:
    """Some of them: https://learn.microsoft.com/rest/api/resources/tags/update-at-scope; keys have no case."""
    found, operation = registries.existing(state, asked), str(asked.object().get("operation", "")).lower()
    if operation not in ("merge", "replace", "delete"):
        raise invalid(f"The tag operation '{operation}' is none of Merge, Replace and Delete.", "InvalidTagOperation")
    given = {str(key): str(value) for key, value in (asked.properties().get("tags") or {}).items()}
    keys = {key.lower() for key in given}
    kept = (
        {} if operation == "replace" else {key: value for key, value in found.tags.items() if key.lower() not in keys}
    )
    found.tags = kept if operation == "delete" else {**kept, **given}
    return get_tags(state, asked)


def named(state: State, asked: Asked) -> Reply:
    """Of Microsoft Graph, what `az role assignment list` asks for names; who is not there is left out
    (https://learn.microsoft.com/graph/api/directoryobject-getbyids)."""
    wanted = {str(item).lower() for item in asked.object().get("ids") or ()}
    found = [
        {
            "@odata.type": "#microsoft.graph.servicePrincipal",
            "id": item.properties["principalId"],
            "displayName": item.name,
            "servicePrincipalNames": [item.properties["clientId"]],
        }
        for item in state.identities.values()
        if item.properties["principalId"] in wanted
    ]
    return Reply(200, {"value": found})


def get_group(state: State, asked: Asked) -> Reply:
    name = asked.names["group"]
    _check_group(state, name)
    identifier = f"/subscriptions/{asked.names['subscription']}/resourceGroups/{name}"
    return Reply(
        200,
        {
            "id": identifier,
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": "westeurope",
            "properties": {"provisioningState": "Succeeded"},
        },
    )


def _check_group(state: State, name: str) -> None:
    if name.lower() in state.knobs.missing_groups:
        raise Refusal(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def subscriptions(state: State, asked: Asked) -> list[Document]:
    identifier = "00000000-0000-0000-0000-000000000000"
    return [
        {
            "id": f"/subscriptions/{identifier}",
            "subscriptionId": identifier,
            "tenantId": TENANT,
            "displayName": "stand-in",
            "state": "Enabled",
        }
    ]


def everything(state: State, asked: Asked) -> list[Document]:
    """How `az` finds a registry by its name: `$filter=resourceType eq '...' and name eq '...'`."""
    wanted = unquote(asked.query.get("$filter", ""))
    kind = re.search(r"resourceType eq '([^']+)'", wanted, re.IGNORECASE)
    name = re.search(r"name eq '([^']+)'", wanted, re.IGNORECASE)
    found = [
        {"id": item.id, "name": item.name, "type": registries.TYPE, "location": item.location, "tags": dict(item.tags)}
        for item in state.registries.values()
    ]
    return [
        item
        for item in found
        if (kind is None or kind[1].lower() == registries.TYPE.lower())
        and (name is None or str(item["name"]).lower() == name[1].lower())
    ]


def metadata(state: State, asked: Asked) -> Reply:
    """What `az` registers a cloud by: ../../shared/azure/clients.md. Until 2022 it is a list of clouds, and then this one alone: az
    2.91 asks for 2022-09-01 and can't read a list."""
    here = f"https://{state.here}"
    cloud: Document = {
        "name": "standin",
        "portal": here,
        "authentication": {
            "loginEndpoint": here,
            "audiences": [here, f"{here}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": here,
        "graph": here,
        "graphAudience": here,
        "microsoftGraphResourceId": here,
        "suffixes": {"acrLoginServer": "localhost"},
    }
    return Reply(200, cloud if asked.query.get("api-version", "") >= "2022" else [cloud])
