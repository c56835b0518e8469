"""botocore's clients as this platform uses them: their models, their settings, and as whom they call."""

from __future__ import annotations

import os
from functools import cache, partial
from typing import Any

import botocore
import botocore.config
import botocore.credentials
import botocore.loaders
import botocore.session

from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT

from .spec import AwsRegistry
from .troubles import not_botocores_to_retry

#: for errors that pass, but throttling: botocore's standard mode: exponential backoff with jitter, a quota against retry storms
MAX_ATTEMPTS = 10

#: codes of what is not there, or of a region that is not open to the account or to the credentials:
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html, and the codes for regions that must be enabled first
#: (https://docs.aws.amazon.com/general/latest/gr/rande-manage.html)
CLOSED = frozenset(
    {
        *(
            "RepositoryNotFoundException",
            "AccessDenied",
            "AccessDeniedException",
            "NotAuthorized",
            "UnauthorizedOperation",
        ),
        *(
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "AuthFailure",
            "OptInRequired",
            "SubscriptionRequiredException",
        ),
    }
)
#: for a question that a whole answer is not worth waiting for
IN_PASSING = botocore.config.Config(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
)


class _Loader(botocore.loaders.Loader):
    """botocore's loader of service models, which asks what services there are before it reads one: the names of their folders
    are enough for that, where botocore's own looks into all 400 of them."""

    def list_available_services(self, type_name: str) -> list[str]:
        return sorted({name for path in self.search_paths if os.path.isdir(path) for name in os.listdir(path)})


@cache
def loader(path: str | None) -> botocore.loaders.Loader:
    """One loader for all sessions: it keeps each service's model, which takes long to read. `path`: AWS_DATA_PATH, if set."""
    usual = botocore.loaders.create_loader(path)
    return _Loader(extra_search_paths=usual.search_paths, include_default_search_paths=False)


@cache
def config() -> botocore.config.Config:
    return botocore.config.Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        max_pool_connections=64,
        # botocore builds its own user agent anew for each call, at a tenth of the call's CPU; one that is given is taken as it is
        user_agent=f"reconciler Botocore/{botocore.__version__}",
        # the spec was validated, and AWS checks what it is sent: a second check before each call finds nothing
        parameter_validation=False,
    )


def client(base: botocore.session.Session, service: str, **settings: Any) -> Any:
    client = base.create_client(service, **settings)
    # first of those at this event, of which botocore's own handler is one
    event = f"needs-retry.{client.meta.service_model.service_id.hyphenize()}"
    client.meta.events.register_first(event, not_botocores_to_retry)
    return client


def assume(base: botocore.session.Session, registry: AwsRegistry, owner: str) -> None:
    """Makes the session's credentials those of the role; they are renewed before they end."""
    role = registry.assume_role
    source = base.get_credentials()
    if role is None or source is None:
        return
    arguments = {"RoleSessionName": f"reconciler-{owner}"}
    if role.external_id is not None:
        arguments["ExternalId"] = role.external_id
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        client_creator=partial(client, base, region_name=registry.region, config=config()),
        source_credentials=source,
        role_arn=role.role_arn,
        extra_args=arguments,
    )
    # botocore has no public way to set credentials that renew themselves; boto3's own users do the same
    vars(base)["_credentials"] = botocore.credentials.DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
