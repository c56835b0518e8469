"""What logs in to an ECR registry: an authorization token of its pull role, for somebody who has no AWS credentials."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.call_log import current_address
from reconciler.model.service import Credentials

from . import names
from .role_documents import PULL_ROLE, USUAL_SESSION
from .session import PATIENCE, AwsSession

#: how STS says no, and how other services do: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_DENIED = ("AccessDenied", "AccessDeniedException")
#: a session that is longer than the role's own limit, or than the hour that whoever is a role already can have:
#: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (DurationSeconds)
TOO_LONG = "ValidationError"


class LoginSession(AwsSession):
    """A session that makes logins for clusters."""

    #: a login is a token, which ends
    lasting = False

    def login_host(self) -> str:
        return names.registry_host(self.registry.account_id, self.registry.region)

    def login_of(self, grant: str) -> Credentials:
        """An authorization token of the pull role: it can pull what the role can, whatever the grant.

        It ends when the token or the role's session does, whichever is first: a token is good for 12 hours, and stands for the
        credentials that it was had with (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html).
        Raises PlatformError.
        """
        return self.token_by(_assumed(self))

    def token_by(self, given: Mapping[str, Any]) -> Credentials:
        """An authorization token that was had with what `sts:AssumeRole` gave. Raises PlatformError."""
        answer = self.as_role("ecr", "get_authorization_token", given)
        try:
            (data,) = answer["authorizationData"]
            text = base64.b64decode(data["authorizationToken"], validate=True).decode()
            ends = min(data["expiresAt"], given["Expiration"])
        except (KeyError, TypeError, ValueError):
            text = ""
        username, _, password = text.partition(":")
        if not (username and password):
            raise PlatformError(
                "the answer has no token that a client could log in with",
                address=current_address(),
                operation="ecr:GetAuthorizationToken",
                hint="check AWS_ENDPOINT_URL and anything between here and AWS; then run again",
            )
        return Credentials(self.login_host(), username, password, ends)


def _assumed(session: AwsSession) -> Mapping[str, Any]:
    """Credentials of the pull role, for as long as they can be had."""
    longest = session.registry.max_session_seconds
    try:
        return assumed(session, PULL_ROLE, longest)
    except PlatformError as error:
        if error.code != TOO_LONG or longest <= USUAL_SESSION:
            raise
    return assumed(session, PULL_ROLE, USUAL_SESSION)


def assumed(session: AwsSession, role: str, seconds: int, policy: str = "") -> Mapping[str, Any]:
    """Credentials of one of the registry's roles for so many seconds. `policy`: what they can do no more than, as a session policy.
    Raises PlatformError; its code is TOO_LONG where the session would be longer than it can be."""
    arn, name = session.registry.role_arns[role], session.registry.role_name(role)
    narrowed: dict[str, Any] = {"Policy": policy} if policy else {}
    ask = partial(
        session.call,
        "sts",
        "assume_role",
        RoleArn=arn,
        RoleSessionName=f"reconciler-{session.owner}",
        DurationSeconds=seconds,
        **narrowed,
    )
    try:
        # a role that was just made may not be assumed yet: IAM is eventually consistent
        answer = session.patiently(ask, lambda error: _denies(error) and session.is_new("iam", "", name), PATIENCE)
    except PlatformError as error:
        if _denies(error):
            error.hint = _hint(session, arn)
        raise
    found: Mapping[str, Any] = answer["Credentials"]
    return found


def _denies(error: BaseException) -> bool:
    return isinstance(error, PlatformError) and error.code in _DENIED


def _hint(session: AwsSession, arn: str) -> str:
    if session.registry.trusted_principals:
        return (
            f"trusted_principals of registry {session.name} must have whoever runs this, without a condition: add them and apply;"
            f" and allow them sts:AssumeRole on {arn}"
        )
    return f"allow sts:AssumeRole on {arn} to whoever runs this; once the registry has trusted_principals, these must have them too"
