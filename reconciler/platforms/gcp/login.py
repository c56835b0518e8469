"""What logs in to Artifact Registry: an access token of the registry's pull account, for somebody who has no Google credentials."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.call_log import current_address
from reconciler.model.service import Credentials

from .account import IMPERSONATES
from .description import carrier_of
from .rules import DENIED
from .session import GcpSession
from .sign_in import SCOPES
from .spec import GcpRegistry

#: the service that makes them
_CREDENTIALS = "iamcredentials"
_OPERATION = "GenerateAccessToken"
#: seconds, and the longest without a policy of the organization that lets it be more:
#: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
_LIFE = 3600
#: whoever logs in with an access token: https://cloud.google.com/artifact-registry/docs/docker/authentication#token
_USERNAME = "oauth2accesstoken"
#: seconds until an account that was just made, and who may impersonate it, are known:
#: https://cloud.google.com/iam/docs/access-change-propagation
_PATIENCE = 120.0


class LoginSession(GcpSession):
    """A session that makes logins for clusters."""

    #: a login is a token, which ends
    lasting = False

    def login_host(self) -> str:
        return self.registry.host_in(self.registry.location)

    def login_of(self, grant: str) -> Credentials:
        """An access token of the pull account: it can pull what the account can, whatever the grant. Raises PlatformError."""
        at = carrier_of(self.registry)  # which is the account to pull
        try:
            answer = self.patiently(self._token, lambda error: _denies(error) and at in self.made, _PATIENCE)
        except PlatformError as error:
            if _denies(error):
                error.hint = _hint(self.registry)
            raise
        token, ends = answer.get("accessToken"), _time(answer.get("expireTime"))
        if not isinstance(token, str) or not token or ends is None:
            raise PlatformError(
                "the answer has no token with an end",
                address=current_address(),
                operation=f"{_CREDENTIALS}:{_OPERATION}",
                hint="check the endpoint override if one is set, and anything between here and Google",
            )
        return Credentials(self.login_host(), _USERNAME, token, ends)

    def _token(self) -> Any:
        # the project of an account is `-` here, and nothing else: the method's own documentation
        path = f"projects/-/serviceAccounts/{self.registry.email(carrier_of(self.registry).name)}:generateAccessToken"
        body = {"scope": list(SCOPES), "lifetime": f"{_LIFE}s"}
        return self.json("POST", _CREDENTIALS, _OPERATION, path, at=current_address(), body=body)


def _denies(error: BaseException) -> bool:
    """Whether it says that whoever asks may not have a token of the account, and not that the API is off."""
    return isinstance(error, PlatformError) and error.code == DENIED and "getAccessToken" in error.message


def _hint(registry: GcpRegistry) -> str:
    needs = f"whoever runs this needs {IMPERSONATES} on {registry.email(carrier_of(registry).name)}"
    return f"{needs}: name them in trusted_principals of registry {registry.name}, and apply"


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None
