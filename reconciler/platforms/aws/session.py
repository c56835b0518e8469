"""A session with AWS for one registry: credentials, clients per region, and every call's errors in words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from threading import Lock
from typing import Any, TypeVar

import botocore
import botocore.config
import botocore.credentials
import botocore.exceptions as aws_errors
import botocore.loaders
import botocore.paginate
import botocore.parsers
import botocore.session

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.call_log import current_address, working_on, wrote
from reconciler.model.platform import Estate, Platform
from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpSession, logged
from reconciler.platforms.rescue import Rescue

from .sign_in import log_sign_in
from .spec import AwsRegistry
from .troubles import (
    FAILURES,
    NotAws,
    Throttled,
    is_of_the_parser,
    not_botocores_to_retry,
    result_of,
    translated,
    understood,
)

T = TypeVar("T")

#: for errors that pass, but throttling: botocore's standard mode: exponential backoff with jitter, a quota against retry storms
MAX_ATTEMPTS = 10

#: seconds in which what was just made becomes known everywhere, and in which writers of one thing let each other through
PATIENCE = 60.0
#: it is not there, or not yet: IAM is eventually consistent
#: (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency), and so may ECR
#: be (hashicorp/terraform-provider-aws#3849)
_UNKNOWN = ("NoSuchEntity", "NoSuchEntityException", "RepositoryNotFoundException")
#: two writes to one role at once: cloud-custodian/cloud-custodian#11000
_CONCURRENT = "ConcurrentModification"


class AwsSession(HttpSession):
    """Clients for one registry's account, as who the spec says."""

    def __init__(self, platform: Platform, estate: Estate, registry: AwsRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.registry = registry
        self._base: botocore.session.Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()
        self._fresh: dict[tuple[str, str, str], float] = {}
        self.rescue = Rescue(estate.rescue, self.owner)
        #: what the listing of repositories has read of their policies, for the listing of those
        self.ahead: dict[Address, Any] = {}

    # -- who we are ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Fails unless the credentials are there and are for the spec's account; makes no other call before."""
        if self._credentials() is None:
            raise PlatformError(
                "there are no AWS credentials",
                operation="sts:GetCallerIdentity",
                hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`",
            )
        identity = self.call("sts", "get_caller_identity")
        if identity["Account"] != self.registry.account_id:
            raise PlatformError(
                f"these credentials are for account {identity['Account']},"
                f" registry {self.name} says {self.registry.account_id}",
                operation="sts:GetCallerIdentity",
                hint=f"they belong to {identity['Arn']}; use credentials for {self.registry.account_id}, or assume_role",
            )

    def _session(self) -> botocore.session.Session:
        # boto3's core, and all of boto3 that is used here: boto3 itself imports S3's transfer manager, 0.1 s of each start
        with self._lock:
            if self._base is None:
                base = botocore.session.Session()
                base.register_component("data_loader", _loader(base.get_config_variable("data_path")))
                log_sign_in(base)
                if self.registry.assume_role is not None:
                    _assume(base, self.registry, self.owner)
                self._base = base
            return self._base

    def _credentials(self) -> object | None:
        try:
            return self._session().get_credentials()
        except aws_errors.BotoCoreError as error:
            raise translated(error, "", "credentials", self.registry, self.registry.region) from None

    # -- calls --------------------------------------------------------------------------------------------------

    def client(self, service: str, region: str = "") -> Any:
        """A client for a service in a region (the registry's own if "")."""
        key = service, region or self.registry.region
        found = self._clients.get(key)
        if found is not None:
            return found
        base = self._session()
        with self._lock:
            if key not in self._clients:
                try:
                    self._clients[key] = _client(base, service, region_name=key[1], config=_config())
                except ValueError as error:  # AWS_ENDPOINT_URL is no URL, say
                    raise translated(error, "", "configuration", self.registry, key[1]) from None
            return self._clients[key]

    def call(
        self,
        service: str,
        operation: str,
        region: str = "",
        *,
        address: str = "",
        absent: tuple[str, ...] = (),
        **params: Any,
    ) -> Any:
        """The answer of one call, or None for an error whose code is in `absent`.

        Raises PlatformError with the address, the call, its request id, and what to do.
        """
        try:
            client = self.client(service, region)
            with working_on(address or current_address()):
                make = partial(self._once, service, operation, region, partial(getattr(client, operation), **params))
                return understood(client, operation, self._patiently(service, operation, region, params, make))
        except aws_errors.ClientError as error:
            if error.response.get("Error", {}).get("Code") in absent:
                return None
            raise self._translated(error, service, operation, region, address) from None
        except FAILURES as error:
            raise self._translated(error, service, operation, region, address) from None

    def repository_call(self, operation: str, at: Address, *, absent: tuple[str, ...] = (), **params: Any) -> Any:
        """`call` to ECR about the repository that an address is about, in its region."""
        return self.call(
            "ecr", operation, self.region_of(at), address=at, absent=absent, repositoryName=self.native_of(at), **params
        )

    def pages(
        self, service: str, operation: str, key: str, region: str = "", *, address: str = "", **params: Any
    ) -> list[Any]:
        """All items under `key` of a paged call, at the page size that `params` ask for."""
        try:
            client = self.client(service, region)

            def one_page(**asked: Any) -> Any:
                return self._once(service, operation, region, partial(getattr(client, operation), **asked))

            def every_page() -> list[Any]:
                pages = self._paginator(client, service, operation, one_page).paginate(**params)
                return [item for page in pages for item in understood(client, operation, page).get(key, ())]

            with working_on(address or current_address()):
                return self._patiently(service, operation, region, params, every_page)
        except (aws_errors.ClientError, *FAILURES) as error:
            raise self._translated(error, service, operation, region, address) from None

    def _paginator(
        self, client: Any, service: str, operation: str, one_page: Callable[..., Any]
    ) -> botocore.paginate.Paginator[Any]:
        """The client's own paginator, with `one_page` to call: a page that fails is the end of the iterator, so what is to be
        tried again is the call below it."""
        name = client.meta.method_to_api_mapping[operation]
        config = self._session().get_paginator_model(service).get_paginator(name)
        method: Any = one_page  # the stubs want a str, which botocore would call
        return botocore.paginate.Paginator(method, config, client.meta.service_model.operation_model(name))

    def made(self, service: str, region: str, *names: str) -> None:
        """Something was made now that a service may not know everywhere for a while, under these names and ARNs."""
        self._fresh |= {(service, region or self.registry.region, name): time.monotonic() for name in names}

    def forget(self, service: str, region: str, *names: str) -> None:
        """It is deleted now: whoever asks for it is answered at once."""
        for name in names:
            self._fresh.pop((service, region or self.registry.region, name), None)

    def _is_fresh(self, service: str, operation: str, region: str, params: Mapping[str, Any]) -> bool:
        """Whether a call is about something that was made a moment ago."""
        if "PolicyName" in params and not operation.startswith("put_"):
            names = [
                f"{params['RoleName']}/{params['PolicyName']}"
            ]  # not there is not the same as the role not being there
        else:
            names = [
                str(item) for value in params.values() for item in (value if isinstance(value, list) else (value,))
            ]
        born = (self._fresh.get((service, region or self.registry.region, name)) for name in names)
        return any(when is not None and time.monotonic() - when < PATIENCE for when in born)

    def _patiently(
        self, service: str, operation: str, region: str, params: Mapping[str, Any], make: Callable[[], T]
    ) -> T:
        """What `make` answers, asked again for a while where its failure will pass: what this session made is not known
        everywhere yet, or somebody else writes to the same thing."""

        def passes(error: BaseException) -> bool:
            code = str(error.response.get("Error", {}).get("Code")) if isinstance(error, aws_errors.ClientError) else ""
            if code in _UNKNOWN:
                return self._is_fresh(service, operation, region, params)
            return code.startswith(_CONCURRENT)

        return self.patiently(make, passes, PATIENCE)

    def _once(self, service: str, operation: str, region: str, make: Callable[[], Any]) -> Any:
        """One call, at the rate at which AWS takes it: one that is throttled is made again until the time limit is over."""
        action = _action(service, operation)
        rate = self.estate.rates.of(self.registry.account_id, region or self.registry.region, action)
        while True:
            if rate.limit:
                rate.wait(partial(self.pause, operation=action, cloud="AWS"))
            with self.under_way:
                sent = time.monotonic()
                try:
                    answer = self._sent(action, make)
                except Throttled:
                    rate.refused(sent)
                    continue
                except aws_errors.ClientError:
                    rate.taken()
                    raise
                except Exception:  # no answer came: it may be done
                    if not reads(operation):
                        wrote()
                    raise
            rate.taken()
            if not reads(operation):
                wrote()
            return answer

    def _sent(self, action: str, make: Callable[[], Any]) -> Any:
        """One call, and its line in the log."""
        with logged(action) as log:
            try:
                answer = make()
            except aws_errors.ClientError as error:
                log.answered(*result_of(error.response))
                raise
            except KeyError as error:  # botocore's parser of XML does not find the answer in what came
                if is_of_the_parser(error):
                    raise NotAws from None
                raise
            log.answered(*result_of(answer))
            return answer

    def _translated(self, error: Exception, service: str, operation: str, region: str, address: str) -> PlatformError:
        return translated(error, address, _action(service, operation), self.registry, region or self.registry.region)

    def close(self) -> None:
        super().close()
        for client in tuple(self._clients.values()):  # a thread that nobody waits for any more may still open one
            client.close()

    # -- names --------------------------------------------------------------------------------------------------

    def region_of(self, address: Address) -> str:
        """The region that an address is in."""
        return address.where or self.registry.region

    def where(self, region: str) -> str:
        """How an address names the region: "" for the registry's own."""
        return "" if region == self.registry.region else region

    def native_of(self, address: Address) -> str:
        """The ECR repository's name for the address of anything about it."""
        return self.registry.native_name(address.name)


class _Loader(botocore.loaders.Loader):
    """botocore's loader of service models, which asks what services there are before it reads one: the names of their folders
    are enough for that, where botocore's own looks into all 400 of them."""

    def list_available_services(self, type_name: str) -> list[str]:
        return sorted({name for path in self.search_paths if os.path.isdir(path) for name in os.listdir(path)})


@cache
def _loader(path: str | None) -> botocore.loaders.Loader:
    """One loader for all sessions: it keeps each service's model, which takes long to read. `path`: AWS_DATA_PATH, if set."""
    usual = botocore.loaders.create_loader(path)
    return _Loader(extra_search_paths=usual.search_paths, include_default_search_paths=False)


@cache
def _config() -> botocore.config.Config:
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


def _client(base: botocore.session.Session, service: str, **settings: Any) -> Any:
    client = base.create_client(service, **settings)
    # first of those at this event, of which botocore's own handler is one
    event = f"needs-retry.{client.meta.service_model.service_id.hyphenize()}"
    client.meta.events.register_first(event, not_botocores_to_retry)
    return client


def _assume(base: botocore.session.Session, registry: AwsRegistry, owner: str) -> None:
    """Makes the session's credentials those of the role; they are renewed before they end."""
    role = registry.assume_role
    source = base.get_credentials()
    if role is None or source is None:
        return
    arguments = {"RoleSessionName": f"reconciler-{owner}"}
    if role.external_id is not None:
        arguments["ExternalId"] = role.external_id
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        client_creator=partial(_client, base, region_name=registry.region, config=_config()),
        source_credentials=source,
        role_arn=role.role_arn,
        extra_args=arguments,
    )
    # botocore has no public way to set credentials that renew themselves; boto3's own users do the same
    vars(base)["_credentials"] = botocore.credentials.DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )


def reads(operation: str) -> bool:
    """Whether a call changes nothing."""
    return operation.startswith(("describe_", "get_", "list_"))


@cache
def _action(service: str, operation: str) -> str:
    """The call in IAM's words: `ecr:CreateRepository`."""
    words = "".join(word.capitalize() for word in operation.split("_"))
    return f"{'tag' if service == 'resourcegroupstaggingapi' else service}:{words}"
