"""Credentials for images: a token of the registry's pull or push role, in a session that can do no more than was asked for.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session: a session has what both the role and its
session policy allow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import ceil

from reconciler.errors import CredentialsDenied, PlatformError
from reconciler.model.address import Address
from reconciler.model.service import NO_REPOSITORY, Credentials
from reconciler.spec.selection import is_glob, matches_any
from reconciler.words import duration

from . import names, policy
from .login import TOO_LONG, LoginSession, assumed
from .repository_names import registrys_own
from .repository_settings import KIND, live_of
from .role_documents import PULL_ROLE, PUSH_ROLE

#: seconds of the shortest session: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (DurationSeconds)
SHORTEST = 900
#: characters of a session policy: the same page (Policy)
LONGEST_POLICY = 2048
_OPERATION = "credentials"


class IssuingSession(LoginSession):
    """A session that hands out credentials."""

    def credentials(self, repositories: str, *, push: bool, ttl: float, user: str | None = None) -> Credentials:
        """A token for these repositories alone. It is good for `ttl` seconds: until the session ends that it was had with.

        Raises PlatformError, and CredentialsDenied where AWS gives none so narrow, or for so long.
        """
        seconds = self._seconds(ttl)
        role = PUSH_ROLE if push else PULL_ROLE
        if user is not None:
            raise self._denied("credentials on AWS are of the registry's roles, and not of a user", "leave it out")
        if not self.registry.roles:
            raise self._denied(
                "the registry has no roles (roles: false), of which credentials would be",
                "log in with `aws ecr get-login-password`, which gives what the caller's own policies allow",
            )
        document = session_policy(role, [self._arn(at) for at in self._chosen(repositories)])
        if len(document) > LONGEST_POLICY:
            raise self._denied(
                f"a session policy for all that {repositories} selects would have {len(document):,} characters, and AWS takes"
                f" {LONGEST_POLICY:,}",
                "ask for fewer repositories at once",
            )
        try:
            given = assumed(self, role, seconds, document)
        except PlatformError as error:
            if error.code == TOO_LONG:
                raise self._denied(
                    f"AWS gives role {self.registry.role_name(role)} no session of {duration(seconds)}: {error.message}",
                    "whoever is a role already gets an hour at most; else max_session of the registry is the limit, once applied",
                ) from None
            raise
        return self.token_by(given)

    def _seconds(self, ttl: float) -> int:
        longest = self.registry.max_session_seconds
        if not SHORTEST <= ttl <= longest:
            raise self._denied(
                f"credentials of registry {self.name} are good for {duration(SHORTEST)} to {duration(longest)}, and not for"
                f" {duration(ceil(ttl))}",
                f"ask for that; max_session of the registry allows up to 12h, and is {duration(longest)} now"
                if longest < 43_200
                else f"ask for {duration(SHORTEST)} or more, and 12h at most",
            )
        return ceil(ttl)

    def _chosen(self, repositories: str) -> Sequence[Address]:
        """The registry's repositories in its own region that a name or a glob selects."""
        kind = self.platform.kinds[KIND]
        at = Address.of(self.name, KIND, repositories)
        if is_glob(repositories):
            there = registrys_own(self, {}, [self.registry.region])
            lives = [live_of(self.registry, at, *found) for at, found in there.items()]
            found = [live for live in lives if matches_any(live.address.name, [repositories])]
        else:
            found = [live for live in (kind.read_one(self, at),) if live is not None and not live.vacant]
        ours = [
            live.address for live in found if live.marks.owner == self.owner and not live.marks.elsewhere(self.name)
        ]
        if not ours:
            raise PlatformError(
                f"registry {self.name} has no repository {repositories}",
                address=self.name,
                operation=_OPERATION,
                code=NO_REPOSITORY,
                hint="add it to the spec and run `reconciler apply`, or make it with `reconciler repository create`",
            )
        return sorted(ours)

    def _arn(self, at: Address) -> str:
        return names.repository_arn(self.registry.account_id, self.region_of(at), self.native_of(at))

    def _denied(self, message: str, hint: str) -> CredentialsDenied:
        return CredentialsDenied(message, address=self.name, operation=_OPERATION, hint=hint)


def session_policy(role: str, arns: Sequence[str]) -> str:
    """What a session of a role can do no more than: log in, and what the role is for with these repositories. Pure."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": policy.LOGIN, "Resource": "*"},
                {"Effect": "Allow", "Action": list(policy.of_role(role)), "Resource": list(arns)},
            ],
        },
        separators=(",", ":"),
    )
