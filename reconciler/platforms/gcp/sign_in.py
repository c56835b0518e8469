"""As whom calls to Google are made, and to which addresses."""

from __future__ import annotations

import logging
import os
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import google.auth
import google.auth.credentials
import google.auth.exceptions
import google.auth.impersonated_credentials
import google.auth.transport.requests

from reconciler.errors import PlatformError, os_sentence

from .spec import GcpRegistry

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
#: gcloud's own variables: https://cloud.google.com/sdk/gcloud/reference/config/set (api_endpoint_overrides, auth/disable_credentials)
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_{}"
_ANONYMOUS = "CLOUDSDK_AUTH_DISABLE_CREDENTIALS"
#: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
_IMPERSONATING = "{}/v1/projects/-/serviceAccounts/{}:generateAccessToken"
#: it warns of credentials that are of no project, which the spec says
logging.getLogger("google.auth._default").setLevel(logging.ERROR)


def endpoint(service: str) -> str:
    """Where a service answers, without a slash at the end: Google's own address, or what the variable says.

    Raises PlatformError if that is no https URL, nor an http one of this machine.
    """
    name = OVERRIDE.format(service.upper())
    given = os.environ.get(name, "")
    if not given:
        return f"https://{service}.googleapis.com"
    parts = urlsplit(given)
    here = parts.scheme == "http" and _is_here(parts.hostname)
    if not parts.hostname or not (parts.scheme == "https" or here):
        raise PlatformError(
            f"{name} is '{given}'",
            operation="configuration",
            hint="give an https URL; http is for this machine alone, such as http://127.0.0.1:8080/",
        )
    return given.rstrip("/")


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or (host is not None and ip_address(host).is_loopback)
    except ValueError:
        return False


def is_anonymous() -> bool:
    """Whether calls are made as nobody."""
    return os.environ.get(_ANONYMOUS, "").lower() in ("1", "true", "yes")


def credentials(registry: GcpRegistry) -> Any:
    """The credentials that the registry says. Raises google.auth's errors."""
    if is_anonymous():
        nobody: Any = google.auth.credentials.AnonymousCredentials
        return nobody()
    quota = registry.quota_project
    source = _of_this_machine(quota)
    if registry.impersonate_service_account is None:
        return source
    target = registry.impersonate_service_account
    impersonated: Any = google.auth.impersonated_credentials.Credentials
    return impersonated(
        source,
        target,
        list(SCOPES),
        quota_project_id=quota,
        iam_endpoint_override=_IMPERSONATING.format(endpoint("iamcredentials"), target),
    )


def _of_this_machine(quota: str | None) -> Any:
    """The credentials that Google's libraries find. Raises google.auth's errors."""
    scoped: Any = google.auth.credentials.with_scopes_if_required
    try:
        # given scopes, it asks Resource Manager which project a federation is of: the spec says the project, and that API may be off,
        # or out of reach
        found, _ = google.auth.default(quota_project_id=quota)
        return scoped(found, SCOPES)
    except google.auth.exceptions.GoogleAuthError:
        raise
    except OSError as error:
        raise unusable(f"File {os_sentence(error)}") from None
    except Exception:  # JSON that is no credentials: the library takes it for some
        raise unusable("The file holds no credentials of Google's") from None


def unusable(why: str) -> Exception:
    """The library's own error for credentials that can't be used."""
    error: Any = google.auth.exceptions.DefaultCredentialsError
    found: Exception = error(why)
    return found
