"""A session with AWS for one registry: credentials, clients per region, and every call's errors in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property, partial
from threading import Lock, RLock
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
from reconciler.model.resource import Desired, Live
from reconciler.platforms.http import HttpSession, logged
from reconciler.platforms.rescue import Rescue

from . import clients, names
from .access_settings import AccessSettings
from .repository_settings import NOT_SAID, RepositorySettings, native_of
from .sign_in import log_sign_in
from .spec import AwsRegistry
from .troubles import (
    FAILURES,
    NotAws,
    Throttled,
    is_of_the_parser,
    result_of,
    translated,
    understood,
)

T = TypeVar("T")

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
        #: what the spec asks of repository policies, and the names of its grants: where somebody has changed by hand a statement that
        #: grants share, or its id has their codes, the policy does not say who has access by which grant
        self.granted: dict[Address, Any] = {}
        self.grants: frozenset[str] = frozenset()
        #: what a listing has found to carry what is noted of the registry
        self.carriers: tuple[Address, ...] = ()
        #: held by whoever notes something there, or makes a carrier or gives one up
        self.ledger_lock = RLock()
        #: what ECR calls repositories, by their names in the spec and where they are
        self._natives: dict[tuple[str, str], str] = {}
        #: the names in the spec that their tags say, where these are not those of their addresses
        self._known_as: dict[tuple[str, str], str] = {}
        #: the repositories that it was told of
        self.named: set[Address] = set()

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
                f" but registry {self.name} says {self.registry.account_id}",
                operation="sts:GetCallerIdentity",
                hint=f"they belong to {identity['Arn']}; use credentials for {self.registry.account_id}, or set assume_role",
            )

    def _session(self) -> botocore.session.Session:
        # boto3's core, and all of boto3 that is used here: boto3 itself imports S3's transfer manager, 0.1 s of each start
        with self._lock:
            if self._base is None:
                base = botocore.session.Session()
                base.register_component("data_loader", clients.loader(base.get_config_variable("data_path")))
                log_sign_in(base)
                if self.registry.assume_role is not None:
                    clients.assume(base, self.registry, self.owner)
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
                    self._clients[key] = clients.client(base, service, region_name=key[1], config=clients.config())
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

    def as_role(self, service: str, operation: str, given: Mapping[str, str], **params: Any) -> Any:
        """The answer of one call in the home region with the credentials that `sts:AssumeRole` gave. Raises PlatformError."""
        region = self.registry.region
        client = clients.client(
            self._session(),
            service,
            region_name=region,
            config=clients.config(),
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )
        try:
            make = partial(getattr(client, operation), **params)
            return understood(client, operation, self._once(service, operation, region, make))
        except (aws_errors.ClientError, *FAILURES) as error:
            raise self._translated(error, service, operation, region, "") from None
        finally:
            client.close()

    def probe(self, service: str, operation: str, region: str, **params: Any) -> Any:
        """The answer of a call to a region that may not be open to us; None if it is not, or can't be reached soon. Raises
        PlatformError for anything else: it must not count as an answer."""
        settings = clients.config().merge(clients.IN_PASSING)
        client = clients.client(self._session(), service, region_name=region, config=settings)
        try:
            return self._once(service, operation, region, partial(getattr(client, operation), **params))
        except aws_errors.ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) in clients.CLOSED:
                return None
            raise self._translated(error, service, operation, region, "") from None
        except FAILURES:
            return None
        finally:
            client.close()

    @property
    def siblings(self) -> Iterator[AwsRegistry]:
        """The spec's other registries in the account."""
        for item in self.estate.registries:
            ours = isinstance(item, AwsRegistry) and item.account_id == self.registry.account_id
            if isinstance(item, AwsRegistry) and ours and item.name != self.name:
                yield item

    @cached_property
    def other_regions(self) -> list[str]:
        """The regions of the registry's partition that have ECR, but its own, sorted."""
        home = self.registry.region
        return sorted({*self._session().get_available_regions("ecr", names.partition(home))} - {home})

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
        return self.is_new(service, region, *names)

    def is_new(self, service: str, region: str, *names: str) -> bool:
        """Whether something of one of these names was made a moment ago."""
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
        """The ECR repository's name for the address of anything about it: as it was learned, else as the registry has it."""
        return self._natives.get((address.name, address.where)) or self.registry.native_name(address.name)

    def call_it(self, address: Address, native: str) -> None:
        """From now on the ECR repository of this name is what the address is about."""
        self._natives[address.name, address.where] = native

    def learn(self, resources: Iterable[Desired | Live]) -> None:
        for item in resources:
            if isinstance(item.settings, RepositorySettings):
                self.named.add(item.address)
                self.call_it(item.address, native_of(self.registry, item.address, item.settings))
                self._known_as[item.address.name, item.address.where] = item.settings.known_as
            elif isinstance(item.settings, AccessSettings):
                self.granted.setdefault(item.address, item.settings)

    def meant(self, live: Live) -> bool:
        """Whether a repository is the one that its address is about, as far as it says which it is: a plan that somebody wrote may
        have another of ours in its place."""
        said = live.settings.known_as
        ours = live.marks.owner == self.owner and live.marks.registry == self.name
        return not (ours and said) or said in (NOT_SAID, self._known_as.get((live.address.name, live.address.where)))


def reads(operation: str) -> bool:
    """Whether a call changes nothing."""
    return operation.startswith(("describe_", "get_", "list_", "assume_"))


@cache
def _action(service: str, operation: str) -> str:
    """The call in IAM's words: `ecr:CreateRepository`."""
    words = "".join(word.capitalize() for word in operation.split("_"))
    return f"{'tag' if service == 'resourcegroupstaggingapi' else service}:{words}"
