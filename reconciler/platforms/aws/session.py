"""A session with AWS for one registry: credentials, clients per region, and every call's errors in words."""

from __future__ import annotations

import contextvars
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Lock
from typing import Any, TypeVar

import botocore
import botocore.config
import botocore.credentials
import botocore.exceptions as aws_errors
import botocore.loaders
import botocore.session

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.call_log import LOGGER, current_address, log_call, working_on
from reconciler.model.platform import Platform, Session
from reconciler.model.resource import Estate, Live

from .spec import AwsRegistry

T = TypeVar("T")
R = TypeVar("R")

#: seconds; no call waits longer, whatever the network does
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60
#: botocore's standard mode: exponential backoff with jitter, a quota against retry storms
MAX_ATTEMPTS = 10

_EXPIRED_CODES = ("ExpiredToken", "RequestExpired")
_LOGIN_CODES = (
    "InvalidClientTokenId",
    "UnrecognizedClient",
    "SignatureDoesNotMatch",
    "InvalidSignature",
)
_DENIED_CODES = ("AccessDenied", "UnauthorizedOperation", "NotAuthorized")
_THROTTLE_CODES = ("Throttl", "TooManyRequests", "RequestLimitExceeded")


class AwsSession(Session):
    """Clients for one registry's account, as who the spec says."""

    def __init__(self, platform: Platform, estate: Estate, registry: AwsRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.registry = registry
        self._base: botocore.session.Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(estate.parallelism, thread_name_prefix=f"aws-{registry.name}")

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
                if self.registry.assume_role is not None:
                    _assume(base, self.registry, self.owner)
                self._base = base
            return self._base

    def _credentials(self) -> object | None:
        try:
            return self._session().get_credentials()
        except aws_errors.BotoCoreError as error:
            raise _translated(error, "", "credentials", self.registry, self.registry.region) from None

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
                client = base.create_client(service, region_name=key[1], config=_config())
                if LOGGER.isEnabledFor(20):
                    _log_calls_of(client)
                self._clients[key] = client
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
                return getattr(client, operation)(**params)
        except aws_errors.ClientError as error:
            if error.response.get("Error", {}).get("Code") in absent:
                return None
            raise self._translated(error, service, operation, region, address) from None
        except aws_errors.BotoCoreError as error:
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
            paginator = self.client(service, region).get_paginator(operation)
            with working_on(address or current_address()):
                return [item for page in paginator.paginate(**params) for item in page.get(key, ())]
        except (aws_errors.ClientError, aws_errors.BotoCoreError) as error:
            raise self._translated(error, service, operation, region, address) from None

    def _translated(
        self, error: Exception, service: str, operation: str, region: str, address: Address
    ) -> PlatformError:
        return _translated(error, address, _action(service, operation), self.registry, region or self.registry.region)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The function's results in the items' order. Calls run side by side; none starts after one has failed, and of
        several that fail the first item's error is raised."""
        todo = deque(enumerate(items))
        done: dict[int, R] = {}
        failed: dict[int, Exception] = {}

        def work() -> None:
            while todo and not failed:
                try:
                    at, item = todo.popleft()
                except IndexError:  # another worker was faster
                    return
                try:
                    done[at] = function(item)
                except Exception as error:
                    failed[at] = error

        # as many tasks as workers, which take one item after another: a task for each item costs a twentieth of a plan's CPU
        workers = min(len(todo), self.estate.parallelism)
        tasks = [self._pool.submit(contextvars.copy_context().run, work) for _ in range(workers)]
        try:
            for task in tasks:
                task.result()
        finally:
            todo.clear()
        if failed:
            raise failed[min(failed)]
        return [done[at] for at in range(len(done))]

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    # -- names --------------------------------------------------------------------------------------------------

    def region_of(self, address: Address) -> str:
        """The region that an address is in."""
        return address.where or self.registry.region

    def where(self, region: str) -> str:
        """How an address tells the region: "" for the registry's own."""
        return "" if region == self.registry.region else region

    def native_of(self, address: Address) -> str:
        """The ECR repository's name for the address of anything about it."""
        return self.registry.native_name(address.name)

    def count_images(self, live: Live) -> int:
        found = self.pages(
            "ecr",
            "list_images",
            "imageIds",
            self.region_of(live.address),
            address=live.address,
            repositoryName=self.native_of(live.address),
            maxResults=1000,
        )
        return len({item.get("imageDigest") or item.get("imageTag") for item in found})


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
        client_creator=partial(base.create_client, region_name=registry.region, config=_config()),
        source_credentials=source,
        role_arn=role.role_arn,
        extra_args=arguments,
    )
    # botocore has no public way to set credentials that renew themselves; boto3's own users do the same
    vars(base)["_credentials"] = botocore.credentials.DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )


def _log_calls_of(client: Any) -> None:
    def before(context: dict[str, Any], **_: Any) -> None:
        context["reconciler_started"] = time.monotonic()

    def after(model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        meta = parsed.get("ResponseMetadata", {})
        retried = meta.get("RetryAttempts", 0)
        result = parsed.get("Error", {}).get("Code") or str(meta.get("HTTPStatusCode", ""))
        seconds = time.monotonic() - context.get("reconciler_started", time.monotonic())
        log_call(
            f"{model.service_model.service_name}:{model.name}",
            seconds,
            f"{result}{f' after {retried} retries' if retried else ''}",
            str(meta.get("RequestId", "")),
        )

    def failed(exception: Exception, context: dict[str, Any], **_: Any) -> None:
        seconds = time.monotonic() - context.get("reconciler_started", time.monotonic())
        log_call("(no answer)", seconds, type(exception).__name__)

    client.meta.events.register("before-call.*.*", before)
    client.meta.events.register("after-call.*.*", after)
    client.meta.events.register("after-call-error.*.*", failed)


def _action(service: str, operation: str) -> str:
    words = "".join(word.capitalize() for word in operation.split("_"))
    return f"{'tag' if service == 'resourcegroupstaggingapi' else service}:{words}"


def _translated(
    error: Exception, address: Address, operation: str, registry: AwsRegistry, region: str
) -> PlatformError:
    """The error for people: what AWS said in a region, and what to do about it."""
    address = address or current_address()
    if isinstance(error, aws_errors.ClientError):
        details = error.response.get("Error", {})
        code, message = str(details.get("Code", "")), str(details.get("Message", "") or error)
        request_id = str(error.response.get("ResponseMetadata", {}).get("RequestId", ""))
        return PlatformError(
            f"{code}: {message}",
            address=address,
            operation=operation,
            request_id=request_id,
            code=code,
            hint=_hint(code, operation, registry, region),
        )
    if isinstance(
        error, aws_errors.NoCredentialsError | aws_errors.CredentialRetrievalError | aws_errors.ProfileNotFound
    ):
        hint = "log in again, or check AWS_PROFILE and the AWS config file"
    elif isinstance(error, aws_errors.HTTPClientError | aws_errors.ConnectionError):
        hint = f"check the network, the region {region}, and AWS_ENDPOINT_URL if it is set; then run again"
    else:
        hint = "check the AWS configuration (AWS_PROFILE, AWS_CONFIG_FILE, AWS_ENDPOINT_URL)"
    return PlatformError(str(error), address=address, operation=operation, code=type(error).__name__, hint=hint)


def _hint(code: str, operation: str, registry: AwsRegistry, region: str) -> str:
    if any(word in code for word in _EXPIRED_CODES):
        return "the credentials are expired: log in again"
    if any(word in code for word in _LOGIN_CODES):
        # the same code for both: hashicorp/terraform-provider-aws#12940
        return f"log in again; if that does not help, {region} is a region that the account has yet to enable"
    if any(word in code for word in _DENIED_CODES):
        return f"allow {operation} to these credentials in account {registry.account_id}"
    if any(word in code for word in _THROTTLE_CODES):
        return "AWS still throttles after many tries: run again, with a smaller --parallelism"
    if "LimitExceeded" in code:
        return "a quota of the account is used up: ask for more in Service Quotas"
    if code == "RepositoryNotEmptyException":
        return "images were pushed since the plan was made: make a new plan"
    if code == "DeleteConflict":
        return "something else still uses it (an instance profile, say): remove that first"
    if code.startswith(("5", "Server", "Internal")):
        return "AWS failed: run again; what is done stays done"
    return ""
