"""The registry's own endpoint: logging in, the catalog, images. Which registry is asked is said by the host, as on Azure; where
several have this server's own, it is the last one made.

evidence/azure/recorded/dataplane-catalog.json; https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

from . import jwt
from .access import may, may_list, token_may
from .registries import IMAGE
from .state import Registry, State
from .wire import Asked, Document, Refusal, Reply

VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
#: seconds: good for three hours and for one
REFRESH, ACCESS = 11_700, 4_500
#: the only one whose tokens are taken once those for Azure Resource Manager are not: ../../shared/azure/facts.md, Tokens; the words:
#: https://github.com/MicrosoftDocs/azure-docs/pull/128528
AUDIENCE = "https://containerregistry.azure.net"
USER = "00000000-0000-0000-0000-000000000000"
_VERBS = {"pull": "pull", "push": "push", "delete": "delete", "metadata_read": "pull", "metadata_write": "push"}


def push(registry: Registry, repository: str, tag: str = "v1") -> str:
    """Puts an image into a repository by hand; its digest."""
    digest = "sha256:" + hashlib.sha256(f"{registry.name}/{repository}:{tag}".encode()).hexdigest()
    registry.images.setdefault(repository, {})[tag] = digest
    return digest


def of_host(state: State, asked: Asked) -> Registry:
    """The registry whose login server is asked. Raises Refusal."""
    host = asked.headers.get("host", "")
    found = [item for item in state.registries.values() if item.properties["loginServer"].lower() == host.lower()]
    if not found:
        raise Refusal(404, "NAME_UNKNOWN", f"no registry answers at {host}")
    return found[-1]


def exchange(state: State, asked: Asked) -> Reply:
    """A refresh token for an access token of Entra."""
    registry, form = of_host(state, asked), asked.object()
    said = jwt.claims(str(form.get("access_token", "")))
    if form.get("grant_type") not in ("access_token", "access_token_refresh_token") or not said.get("oid"):
        raise _unauthorized("AADSTS", "the Entra access token is not valid")
    policy = (registry.properties.get("policies") or {}).get("azureADAuthenticationAsArmPolicy") or {}
    if policy.get("status") == "disabled" and said.get("aud") != AUDIENCE:
        raise _unauthorized("UNAUTHORIZED", "token validation failed")
    made = jwt.written(
        _own(state, registry, "refresh_token", {"oid": said["oid"], "appid": said.get("appid")}), REFRESH
    )
    state.secrets.append(made)
    return Reply(200, {"refresh_token": made}, {"x-ms-ratelimit-remaining-calls-per-second": "166.65"})


def token(state: State, asked: Asked) -> Reply:
    """An access token for a scope, with what whoever asks can do of it: by a refresh token, or a token's name and password."""
    registry = of_host(state, asked)
    form: Document = asked.object() if asked.method == "POST" else dict(asked.query)
    who = _who(state, registry, asked, form)
    scopes = str(form.get("scope", "")).split()
    granted = [found for item in scopes if (found := _granted(state, registry, who, item)) is not None]
    made = jwt.written(_own(state, registry, "access_token", {**who, "access": granted}), ACCESS)
    state.secrets.append(made)
    return Reply(200, {"access_token": made}, {"x-ms-ratelimit-remaining-calls-per-second": "166.63"})


def _who(state: State, registry: Registry, asked: Asked, form: Document) -> Document:
    basic = asked.headers.get("authorization", "")
    name, password = str(form.get("username", "")), str(form.get("password", ""))
    if basic.lower().startswith("basic "):
        name, _, password = base64.b64decode(basic[6:]).decode().partition(":")
    if name and name != USER:
        found = registry.tokens.get(name.lower())
        good = {item["value"] for item in found.passwords.values() if not _ended(item)} if found is not None else set()
        if found is None or found.properties["status"] != "enabled" or password not in good:
            raise _unauthorized("UNAUTHORIZED", "the token's name or password is wrong")
        return {"token": found.name}
    said = jwt.claims(str(form.get("refresh_token") or password))
    if said.get("grant_type") != "refresh_token" or said.get("aud") != registry.properties["loginServer"]:
        raise _unauthorized("UNAUTHORIZED", "the refresh token is not valid")
    if said.get("number", 0) < registry.since:
        raise _unauthorized(
            "UNAUTHORIZED", "the refresh token was issued before the registry's role assignment mode changed"
        )
    return {"oid": said["oid"]}


def _ended(password: Document) -> bool:
    return "expiry" in password and datetime.fromisoformat(password["expiry"]) <= datetime.now(UTC)


def _granted(state: State, registry: Registry, who: Document, scope: str) -> Document | None:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    if kind == "registry":
        allowed = "oid" in who and not state.knobs.blind and may_list(state, who["oid"], registry)
        return {"Type": kind, "Name": name, "Actions": ["*"]} if allowed else None
    wanted = ["pull", "push", "delete"] if actions == "*" else [item for item in actions.split(",") if item in _VERBS]
    found = [item for item in wanted if _allowed(state, registry, who, name, _VERBS[item])]
    return {"Type": kind, "Name": name, "Actions": found} if found else None


def _allowed(state: State, registry: Registry, who: Document, repository: str, action: str) -> bool:
    if "token" in who:
        return token_may(registry, who["token"], repository, action)
    return not state.knobs.blind and may(state, who["oid"], registry, repository, action)


def _own(state: State, registry: Registry, kind: str, more: Document) -> Document:
    return {
        "iss": "Azure Container Registry",
        "aud": registry.properties["loginServer"],
        "version": "1.0",
        "grant_type": kind,
        "number": state.next_number(),
        **{key: value for key, value in more.items() if value is not None},
    }


def _unauthorized(code: str, message: str) -> Refusal:
    return Refusal(401, code, message, errors=[{"code": "UNAUTHORIZED", "message": message}])


def _checked(state: State, asked: Asked, kind: str, name: str, action: str) -> Registry:
    """The registry, if whoever asks has a token for that. Raises Refusal with the challenge."""
    registry = of_host(state, asked)
    said = jwt.claims(asked.headers.get("authorization", "").partition(" ")[2])
    fresh = said.get("grant_type") == "access_token" and said.get("number", 0) >= registry.since
    if fresh:
        for item in said.get("access", []):
            if (item["Type"], item["Name"]) == (kind, name) and {action, "*"} & set(item["Actions"]):
                return registry
    raise challenge(registry, f"{kind}:{name}:{action}" if name else "", denied=fresh)


def challenge(registry: Registry, scope: str, *, denied: bool = False) -> Refusal:
    """401 with where a token is had, as recorded."""
    server = registry.properties["loginServer"]
    parts = [f'realm="https://{server}/oauth2/token"', f'service="{server}"', *([f'scope="{scope}"'] if scope else [])]
    if denied:
        parts.append('error="insufficient_scope"')
    kind, _, rest = scope.partition(":")
    name, _, action = rest.rpartition(":")
    detail = [{"Type": kind, "Name": name, "Action": action}] if scope else None
    message = "authentication required, visit https://aka.ms/acr/authorization for more information."
    refusal = Refusal(401, "UNAUTHORIZED", message)
    refusal.more = {
        "challenge": f"Bearer {','.join(parts)}",
        "errors": [{"code": "UNAUTHORIZED", "message": message, "detail": detail}],
    }
    return refusal


def base(state: State, asked: Asked) -> Reply:
    """`/v2/`: whether a token is good."""
    registry = of_host(state, asked)
    said = jwt.claims(asked.headers.get("authorization", "").partition(" ")[2])
    if said.get("grant_type") != "access_token" or said.get("number", 0) < registry.since:
        raise challenge(registry, "")
    return Reply(200, {}, VERSION)


def catalog(state: State, asked: Asked) -> Reply:
    """All repositories, in pages (`n`, `last`)."""
    registry = _checked(state, asked, "registry", "catalog", "*")
    size, last = int(asked.query.get("n", 100)), asked.query.get("last", "")
    names = [name for name in sorted(registry.images) if name > last and name not in registry.hidden]
    page = names[:size]
    more = {"Link": f'<{asked.path}?last={page[-1]}&n={size}&orderby=>; rel="next"'} if len(names) > size else {}
    return Reply(200, {"repositories": page}, {**VERSION, **more})


def attributes(state: State, asked: Asked) -> Reply:
    """A repository's own: how many manifests and tags it has."""
    name = asked.names["repository"]
    registry = _checked(state, asked, "repository", name, "metadata_read")
    tags = _tags_of(registry, name)
    return Reply(
        200,
        {
            "registry": registry.properties["loginServer"],
            "imageName": name,
            "createdTime": registry.created,
            "lastUpdateTime": registry.modified,
            "manifestCount": len(set(tags.values())),
            "tagCount": len(tags),
            "changeableAttributes": {
                "deleteEnabled": True,
                "writeEnabled": True,
                "readEnabled": True,
                "listEnabled": name not in registry.hidden,
            },
        },
    )


def delete_repository(state: State, asked: Asked) -> Reply:
    name = asked.names["repository"]
    registry = _checked(state, asked, "repository", name, "delete")
    tags = _tags_of(registry, name)
    del registry.images[name]
    registry.hidden.discard(name)
    registry.freed += IMAGE * len(set(tags.values()))
    return Reply(202, {"manifestsDeleted": sorted(set(tags.values())), "tagsDeleted": sorted(tags)})


def tags(state: State, asked: Asked) -> Reply:
    name = asked.names["repository"]
    registry = _checked(state, asked, "repository", name, "pull")
    return Reply(200, {"name": name, "tags": sorted(_tags_of(registry, name))}, VERSION)


def manifest(state: State, asked: Asked) -> Reply:
    """A manifest by its tag or digest; its content is a small one of nothing."""
    name, reference = asked.names["repository"], asked.names["reference"]
    registry = _checked(state, asked, "repository", name, "pull")
    found = _tags_of(registry, name)
    digest = found.get(reference) or next((item for item in found.values() if item == reference), None)
    if digest is None:
        raise _unknown("MANIFEST_UNKNOWN", f"manifest tagged by {reference!r} is not found")
    media = "application/vnd.oci.image.manifest.v1+json"
    body = {"schemaVersion": 2, "mediaType": media, "config": {}, "layers": []}
    return Reply(200, body, {**VERSION, "Docker-Content-Digest": digest, "Content-Type": media})


def _tags_of(registry: Registry, name: str) -> dict[str, str]:
    if name not in registry.images:
        raise _unknown("NAME_UNKNOWN", f'repository "{name}" is not found')
    return registry.images[name]


def _unknown(code: str, message: str) -> Refusal:
    refusal = Refusal(404, code, message)
    refusal.more = {"errors": [{"code": code, "message": message}]}
    return refusal
