"""Entra, as far as a service principal logs in: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow."""

from __future__ import annotations

from . import jwt
from .state import State
from .wire import Asked, Document, Refusal, Reply


def configuration(state: State, asked: Asked) -> Reply:
    """OpenID's discovery document of a tenant."""
    here, tenant = f"https://{state.here}", asked.names["tenant"]
    return Reply(
        200,
        {
            "token_endpoint": f"{here}/{tenant}/oauth2/v2.0/token",
            "authorization_endpoint": f"{here}/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{here}/{tenant}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{here}/{tenant}/discovery/v2.0/keys",
            "issuer": f"{here}/{tenant}/v2.0",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        },
    )


def discovery(state: State, asked: Asked) -> Reply:
    """Which authorities there are."""
    here = f"https://{state.here}"
    return Reply(
        200,
        {
            "tenant_discovery_endpoint": f"{here}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": state.here, "preferred_cache": state.here, "aliases": [state.here]}],
        },
    )


def token(state: State, asked: Asked) -> Reply:
    """A token for whoever has a secret or a federated token, for an hour. Its `oid` is the principal that role assignments name."""
    form = asked.object()
    client = str(form.get("client_id", ""))
    if not client or not (form.get("client_secret") or form.get("client_assertion")):
        raise Refusal(401, "invalid_client", "AADSTS7000216: 'client_assertion' or 'client_secret' is required.")
    tenant = asked.names["tenant"]
    audience = str(form.get("scope") or form.get("resource") or "").partition("/.default")[0].strip()
    said = {
        "aud": audience,
        "iss": f"https://{state.here}/{tenant}/",
        "oid": state.principal_of(client),
        "sub": state.principal_of(client),
        "appid": client,
        "tid": tenant,
        "since": state.next_number(),
    }
    body: Document = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
    made = jwt.written(said, 3599)
    state.secrets.append(made)
    return Reply(200, {**body, "access_token": made})
