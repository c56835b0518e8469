"""Scope maps, tokens and the passwords of tokens."""

from __future__ import annotations

import re
import secrets
import string
from typing import Any

from . import operations
from .registries import TYPE, cased, existing, system_data
from .state import Child, Registry, State, now
from .wire import NULL, Asked, Document, Refusal, Reply, invalid, not_found

#: of each, tokens and scope maps: docs.azure.cn container-registry-skus (../../shared/azure/facts.md)
AT_MOST = {"Basic": 100, "Standard": 500, "Premium": 50_000}
MAX_ACTIONS = 500
_ACTION = re.compile(
    r"(repositories|gateway)/(?P<name>[^*]*|(?:[^*]+/)?\*)/(content/(read|write|delete)|metadata/(read|write)|config/(read|write)|contentWrite|delete)"
)
_BASE64 = string.ascii_letters + string.digits + "+/"
_NAMES = {"scopeMaps": r"[a-zA-Z0-9-]{5,50}", "tokens": r"[a-zA-Z0-9-]{5,50}"}


def put_scope_map(state: State, asked: Asked) -> Reply:
    """Made at once: 200, as recorded. What the body does not say is gone."""
    home, name, given = existing(state, asked), asked.names["scope_map"], asked.properties()
    if name.startswith("_"):
        raise invalid(f"The scope map {name} is a system one.", "SystemScopeMapNotModifiable")
    found = home.scope_maps.get(name.lower())
    if found is None:
        _check_name("scopeMaps", name)
        _check_count(home, "scopeMaps", sum(1 for item in home.scope_maps if not item.startswith("_")))
    said: Document = {"actions": _actions(given.get("actions")), "type": "UserDefined"}
    if given.get("description"):
        said["description"] = _description(given["description"])
    time = now()
    identifier = f"{home.id}/scopeMaps/{name}"
    home.scope_maps[name.lower()] = Child(
        identifier, name, "", {}, said, found.created if found is not None else time, time
    )
    return Reply(200, shown_scope_map(state, home.scope_maps[name.lower()]))


def patch_scope_map(state: State, asked: Asked) -> Reply:
    found = _scope_map(state, asked)
    if found.name.startswith("_"):
        raise invalid(f"The scope map {found.name} is a system one.", "SystemScopeMapNotModifiable")
    given = asked.properties()
    if "actions" in given:
        found.properties["actions"] = _actions(given["actions"])
    if "description" in given:
        found.properties["description"] = _description(given["description"])
    found.modified = now()
    return Reply(200, shown_scope_map(state, found))


def get_scope_map(state: State, asked: Asked) -> Reply:
    return Reply(200, shown_scope_map(state, _scope_map(state, asked)))


def delete_scope_map(state: State, asked: Asked) -> Reply:
    """One that a token has is refused: what the service says of that is not recorded."""
    home, name = existing(state, asked), asked.names["scope_map"]
    found = home.scope_maps.get(name.lower())
    if found is None:
        return Reply(204)
    if name.startswith("_"):
        raise invalid(f"The scope map {name} is a system one.", "SystemScopeMapNotModifiable")
    users = [item.name for item in home.tokens.values() if item.properties["scopeMapId"].lower() == found.id.lower()]
    if users:
        raise Refusal(409, "ScopeMapInUse", f"The scope map {name} is used by the token {users[0]}.")
    del home.scope_maps[name.lower()]
    return Reply(200)


def _scope_map(state: State, asked: Asked) -> Child:
    found = existing(state, asked).scope_maps.get(asked.names["scope_map"].lower())
    if found is None:
        raise not_found(asked.names["scope_map"])
    return found


def shown_scope_map(state: State, item: Child) -> Document:
    return {
        "type": f"{TYPE}/scopeMaps",
        "id": cased(state, item.id),
        "name": item.name,
        "systemData": system_data(item),
        "properties": {"creationDate": item.created, "provisioningState": item.state, **item.properties},
    }


def put_token(state: State, asked: Asked) -> Reply:
    """A long-running operation, as recorded. What the body does not say of credentials is gone: https://github.com/Azure/acr/issues/667."""
    home, name, given = existing(state, asked), asked.names["token"], asked.properties()
    found = home.tokens.get(name.lower())
    if found is None:
        _check_name("tokens", name)
        _check_count(home, "tokens", len(home.tokens))
    said = {"scopeMapId": _map_of(home, given.get("scopeMapId")), "status": _status(given.get("status", "enabled"))}
    certificates = (given.get("credentials") or {}).get("certificates") or []
    time = now()
    made = Child(f"{home.id}/tokens/{name}", name, "", {}, said, found.created if found else time, time, "Creating")
    made.properties["certificates"] = [_certificate(item) for item in certificates]
    home.tokens[name.lower()] = made

    def finish() -> None:
        made.state = "Succeeded"

    headers = operations.start(
        state, asked, "tokens", made.id, "Creating", finish, lambda: home.tokens.pop(name.lower(), None)
    )
    return Reply(201, shown_token(state, made), headers)


def patch_token(state: State, asked: Asked) -> Reply:
    found, home, given = _token(state, asked), existing(state, asked), asked.properties()
    if "scopeMapId" in given:
        found.properties["scopeMapId"] = _map_of(home, given["scopeMapId"])
    if "status" in given:
        found.properties["status"] = _status(given["status"])
    if "credentials" in given:
        kept = {item.get("name") for item in (given["credentials"] or {}).get("passwords") or []}
        found.passwords = {key: value for key, value in found.passwords.items() if key in kept}
    found.modified = now()
    return Reply(200, shown_token(state, found))


def get_token(state: State, asked: Asked) -> Reply:
    return Reply(200, shown_token(state, _token(state, asked)))


def delete_token(state: State, asked: Asked) -> Reply:
    home, name = existing(state, asked), asked.names["token"]
    if name.lower() not in home.tokens:
        return Reply(204)
    headers = operations.start_delete(
        state, asked, "tokens", home.location, lambda: home.tokens.pop(name.lower(), None)
    )
    return Reply(202, NULL, headers)


def _token(state: State, asked: Asked) -> Child:
    found = existing(state, asked).tokens.get(asked.names["token"].lower())
    if found is None:
        raise not_found(asked.names["token"])
    return found


def shown_token(state: State, item: Child) -> Document:
    """Passwords without their values, which are shown once."""
    credentials: Document = {
        "passwords": [_without_value(name, found) for name, found in sorted(item.passwords.items())]
    }
    if item.properties.get("certificates"):
        credentials["certificates"] = item.properties["certificates"]
    properties = {key: value for key, value in item.properties.items() if key != "certificates"}
    return {
        "type": f"{TYPE}/tokens",
        "id": cased(state, item.id),
        "name": item.name,
        "systemData": system_data(item),
        "properties": {
            "creationDate": item.created,
            "provisioningState": item.state,
            **properties,
            "credentials": credentials,
        },
    }


def generate(state: State, asked: Asked) -> Reply:
    """Both passwords of a token, of which the new one has its value: terraform-provider-azurerm#13782. 200, as recorded."""
    home, given = existing(state, asked), asked.object()
    name = str(given.get("tokenId", "")).rpartition("/tokens/")[2]
    token = home.tokens.get(name.lower())
    if token is None:
        raise not_found(name)
    wanted = given.get("name")
    if wanted not in (None, "password1", "password2"):
        raise invalid(f"The password '{wanted}' is none of password1 and password2.")
    fresh = [wanted] if wanted else ["password1", "password2"]
    for key in fresh:
        # in the form that https://github.com/microsoft/security-utilities has of them (SEC101/176)
        value = "".join(secrets.choice(_BASE64) for _ in range(42)) + "+ACRA" + secrets.token_hex(3)[:5]
        state.secrets.append(value)
        expiry = {"expiry": given["expiry"]} if given.get("expiry") else {}
        token.passwords[key] = {"creationTime": now(), "value": value, **expiry}
    shown = [
        {"name": key, **found} if key in fresh else _without_value(key, found)
        for key, found in sorted(token.passwords.items())
    ]
    return Reply(200, {"username": token.name, "passwords": shown})


def _without_value(name: str, found: Document) -> Document:
    return {"name": name, **{key: value for key, value in found.items() if key != "value"}}


def _certificate(item: Any) -> Document:
    return {"name": str(item.get("name")), "thumbprint": "feeb79a888bf1415f8e17c4965a2a5bb5c8a2ff7"}


def _map_of(home: Registry, identifier: Any) -> str:
    name = str(identifier or "").rpartition("/scopeMaps/")[2]
    if name.lower() not in home.scope_maps:
        raise invalid(f"The scope map '{identifier}' could not be found.", "ScopeMapNotFound")
    return home.scope_maps[name.lower()].id


def _status(said: Any) -> str:
    if said not in ("enabled", "disabled"):
        raise invalid(f"The status '{said}' is none of enabled and disabled.")
    return str(said)


def _actions(found: Any) -> list[str]:
    """Wildcards stand for a whole name or the rest of one after a slash (D token page: ../../shared/azure/facts.md)."""
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise invalid("The actions of a scope map are a list.")
    if len(found) > MAX_ACTIONS:
        raise invalid(f"A scope map has at most {MAX_ACTIONS} actions.", "TooManyActions")
    for item in found:
        if not _ACTION.fullmatch(item):
            raise invalid(f"The action '{item}' is not known.", "InvalidAction")
    return list(dict.fromkeys(found))


def _description(said: Any) -> str:
    if not isinstance(said, str) or len(said) > 256:
        raise invalid("A description has at most 256 characters.")
    return said


def _check_name(kind: str, name: str) -> None:
    if not re.fullmatch(_NAMES[kind], name):
        raise invalid(f"The name '{name}' must have 5 to 50 letters, digits and hyphens.", "InvalidName")


def _check_count(home: Registry, what: str, count: int) -> None:
    if count >= AT_MOST[home.sku]:
        # as said of webhooks: https://github.com/microsoft/vscode-docker/issues/1281
        said = f"Quota exceeded for resource type {what} for the registry SKU {home.sku}. Learn more about the limits of tiers."
        raise Refusal(409, "QuotaExceeded", said)
