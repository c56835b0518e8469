"""A session with Google Cloud for one registry: the library's client, the same authorised connections for what is kept as JSON, and
every call's errors in words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from threading import Lock
from typing import Any, TypeVar

import google.auth.transport.requests
import requests
from google.cloud import artifactregistry_v1
from google.protobuf.json_format import MessageToDict
from requests.adapters import HTTPAdapter

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.call_log import current_address, working_on, wrote
from reconciler.model.platform import Estate, Platform
from reconciler.model.resource import Desired, Live
from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpSession
from reconciler.platforms.rescue import Rescue

from . import calls, description, iam, sign_in
from .repository_settings import KIND
from .rules import IAM, NO_PLACE, OPERATION, REGISTRY
from .spec import GcpRegistry
from .troubles import (
    FAILURES,
    NoAnswer,
    NotGoogle,
    Refusal,
    is_unknown,
    json_of,
    of_note,
    refusal_of,
    translated,
)

T = TypeVar("T")
Document = dict[str, Any]

#: seconds in which a call that found no answer, or a service that is not there for a moment, is made again
PATIENCE = 60.0
#: repositories on one page: https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories/list
PAGE = 1_000


class GcpSession(HttpSession):
    """Calls for one registry's project, as who the spec says."""

    def __init__(self, platform: Platform, estate: Estate, registry: GcpRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.registry = registry
        self.rescue = Rescue(estate.rescue, self.owner)
        self._lock = Lock()
        self._known: tuple[artifactregistry_v1.ArtifactRegistryClient, requests.Session] | None = None
        self._bases: dict[str, str] = {}
        #: the service accounts that this run made and has seen: IAM may not know them everywhere yet
        self.made: set[Address] = set()
        #: the repositories that the plan names, with the names that the other layout gives them
        self.named: frozenset[Address] = frozenset()
        #: the locations that have something of the registry and whose notes are gone
        self.unnoted: set[str] = set()

    def learn(self, resources: Iterable[Desired | Live]) -> None:
        resources = list(resources)
        home = Address.of(self.name, "location", self.registry.location)
        self.unnoted.update(item.address.name for item in resources if item.kind == "location" and home in item.needs)
        found = [item for item in resources if item.kind == KIND]
        before = (at for item in found if isinstance(item, Desired) for at in item.instead_of)
        new = {*(item.address for item in found), *before} - self.named
        if new:
            self.named |= new

    # -- who we are ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Fails unless there are credentials that give a token; makes no other call. Which project they may see, Google says only of
        each call."""
        _, http = self._connected
        found = getattr(http, "credentials", None)
        if found is None or sign_in.is_anonymous() or found.valid:
            return
        request = google.auth.transport.requests.Request()
        try:
            self.patiently(
                lambda: calls.refreshed(found, request), lambda error: isinstance(error, NoAnswer), self.patience
            )
        except (NoAnswer, NotGoogle, *FAILURES) as error:
            raise translated(error, "", "credentials", self.registry) from None

    @property
    def _connected(self) -> tuple[artifactregistry_v1.ArtifactRegistryClient, requests.Session]:
        """The library's client and its connections, as many as calls may be under way."""
        with self._lock:
            if self._known is None:
                try:
                    client = artifactregistry_v1.ArtifactRegistryClient(
                        transport="rest",
                        credentials=sign_in.credentials(self.registry),
                        client_options={"api_endpoint": sign_in.endpoint(REGISTRY)},
                    )
                except FAILURES as error:
                    raise translated(error, "", "credentials", self.registry) from None
                # the library keeps 10 connections, and has no public way to more
                http: requests.Session = vars(client.transport)["_session"]
                # whoever sends calls elsewhere is none of Google's
                http.max_redirects = 0
                adapter = HTTPAdapter(pool_connections=4, pool_maxsize=self.estate.parallelism)
                for scheme in ("https://", "http://"):
                    http.mount(scheme, adapter)
                self._known = client, http
            return self._known

    @property
    def patience(self) -> float:
        """Seconds in which a call that found no answer is made again."""
        return min(PATIENCE, self.estate.timeout)

    # -- calls --------------------------------------------------------------------------------------------------

    def repositories(self, location: str, *, at: str, noted: bool = True) -> Iterator[Document]:
        """All repositories in a location of the project, as JSON. `noted`: whether that is one of the registry's. Raises
        PlatformError."""
        client, _ = self._connected
        token = ""
        while True:
            request = {"parent": f"{self.project}/locations/{location}", "page_size": PAGE, "page_token": token}
            list_page = partial(client.list_repositories, request=request, retry=None, timeout=READ_TIMEOUT)
            try:
                page: Any = self._call(REGISTRY, "ListRepositories", partial(_first, list_page), at=at)
            except PlatformError as error:
                raise (self._of_note(error, location) if noted else error) from None
            for item in page.repositories:
                yield as_json(item)
            token = page.next_page_token
            if not token:
                return

    def _of_note(self, error: PlatformError, location: str) -> PlatformError:
        """The error of listing a location; of one that may not exist and that only a note names, with where that note stands."""
        if location == self.registry.location or error.code not in NO_PLACE:
            return error
        carrier = description.carrier_of(self.registry)
        text = description.without(str((self.account(carrier) or {}).get("description", "")), location)
        return of_note(error, location, self.registry, self.registry.email(carrier.name), text)

    def repository(self, at: Address) -> Document | None:
        """The repository that an address is about, as JSON; None if it is not there. Raises PlatformError."""
        client, _ = self._connected
        make = partial(client.get_repository, request={"name": self.name_of(at)}, retry=None, timeout=READ_TIMEOUT)
        found = self._call(REGISTRY, "GetRepository", make, at=at, absent=("NOT_FOUND",))
        return as_json(found) if found is not None else None

    def raw_repository(self, at: Address) -> Document | None:
        """The repository whole, also what the library does not know; None if it is not there. Raises PlatformError."""
        found = self.json("GET", REGISTRY, "GetRepository", self.name_of(at), at=at, absent=("NOT_FOUND",))
        return dict(found) if found is not None else None

    def create_repository(self, at: Address, settings: Document) -> Document | None:
        """Makes a repository and waits until it is there; None if there is one of its name. Raises PlatformError."""
        client, _ = self._connected
        message = artifactregistry_v1.Repository.from_json(json.dumps(settings))
        request = artifactregistry_v1.CreateRepositoryRequest(
            parent=f"{self.project}/locations/{self.location_of(at)}",
            repository_id=self.name_of(at).rpartition("/")[2],
            repository=message,
        )
        make = partial(client.create_repository, request=request, retry=None, timeout=READ_TIMEOUT)
        started = self._call(REGISTRY, "CreateRepository", make, at=at, absent=("ALREADY_EXISTS",))
        if started is None:
            return None
        self._carried_out(started.operation, "CreateRepository", at)
        return self.repository(at)

    def delete_repository(self, at: Address) -> None:
        """Deletes a repository with its images and waits until it is gone; none is no error. Raises PlatformError."""
        client, _ = self._connected
        make = partial(client.delete_repository, request={"name": self.name_of(at)}, retry=None, timeout=READ_TIMEOUT)
        started = self._call(REGISTRY, "DeleteRepository", make, at=at, absent=("NOT_FOUND",))
        if started is not None:
            self._carried_out(started.operation, "DeleteRepository", at)

    def packages(self, at: Address, most: int) -> Iterator[str]:
        """The names of packages in a repository, in pages of `most`; none if it is not there. Raises PlatformError."""
        path, token = f"{self.name_of(at)}/packages", ""
        while True:
            query = {"pageSize": most, "pageToken": token}
            page = self.json("GET", REGISTRY, "ListPackages", path, at=at, query=query, absent=("NOT_FOUND",))
            if page is None:
                return
            yield from (str(item["name"]) for item in page.get("packages", ()))
            token = page.get("nextPageToken", "")
            if not token:
                return

    def patch(self, at: Address, settings: Document, mask: str) -> Document:
        """The repository as it is after these of its settings were written, which `mask` names. Raises PlatformError."""
        found = self.json(
            "PATCH",
            REGISTRY,
            "UpdateRepository",
            self.name_of(at),
            at=at,
            body={"name": self.name_of(at), **settings},
            query={"updateMask": mask},
        )
        return dict(found)

    def policy(self, at: Address) -> Document | None:
        """The IAM policy of the repository of an address, with conditions; None if that is not there. Raises PlatformError."""
        query = {"options.requestedPolicyVersion": iam.VERSION}
        path = f"{self.name_of(at)}:getIamPolicy"
        found = self.json("GET", REGISTRY, "GetIamPolicy", path, at=at, query=query, absent=("NOT_FOUND",))
        return _with_etag(found, at, f"{REGISTRY}:GetIamPolicy")

    def account(self, at: Address) -> Document | None:
        """The service account of an address; None if it is not there. Raises PlatformError."""
        found = self.json("GET", IAM, "GetServiceAccount", self.account_name(at), at=at, absent=("NOT_FOUND",))
        return dict(found) if found is not None else None

    def change_account(self, at: Address, fields: Document) -> None:
        """Writes these fields of a service account. Raises PlatformError."""
        body = {"serviceAccount": fields, "updateMask": ",".join(fields)}
        self.json("PATCH", IAM, "PatchServiceAccount", self.account_name(at), at=at, body=body)

    def account_policy(self, at: Address) -> Document | None:
        """The IAM policy of a service account; None if that is not there. Raises PlatformError."""
        query = {"options.requestedPolicyVersion": iam.VERSION}
        path = f"{self.account_name(at)}:getIamPolicy"
        found = self.json("POST", IAM, "GetIamPolicy", path, at=at, query=query, absent=("NOT_FOUND",))
        return _with_etag(found, at, f"{IAM}:GetIamPolicy")

    def json(
        self,
        verb: str,
        service: str,
        operation: str,
        path: str,
        *,
        at: str,
        body: Document | None = None,
        query: Mapping[str, Any] | None = None,
        absent: tuple[str, ...] = (),
    ) -> Any:
        """The JSON of one call, whole, as the library's messages would lose what they do not know; None for an error whose status is
        in `absent`. `path`: after the version. Raises PlatformError."""
        _, http = self._connected
        url = f"{self._base(service)}/v1/{path}"

        def make() -> Any:
            answer = http.request(
                verb, url, json=body, params=query, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), allow_redirects=False
            )
            found = json_of(answer)
            if answer.is_redirect:
                raise NotGoogle
            if answer.status_code >= 300:
                raise refusal_of(answer.status_code, found)
            if not isinstance(found, dict):
                raise NotGoogle
            return found

        return self._call(service, operation, make, at=at, absent=absent)

    def _base(self, service: str) -> str:
        if service not in self._bases:
            self._bases[service] = sign_in.endpoint(service)
        return self._bases[service]

    def _carried_out(self, operation: Any, verb: str, at: Address) -> None:
        """Returns once an operation is done. Raises PlatformError if it fails, or if that takes too long."""
        client, _ = self._connected
        until, pause = time.monotonic() + OPERATION, 0.2
        while not operation.done:
            if time.monotonic() > until:
                raise PlatformError(
                    f"{operation.name} is not done after {OPERATION:.0f} seconds",
                    address=at,
                    operation=f"{REGISTRY}:{verb}",
                    hint=f"Google may still carry it out: look with `gcloud artifacts operations describe"
                    f" {operation.name.rpartition('/')[2]} --location {self.location_of(at)} --project {self.registry.project}`,"
                    " then run again",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)
            make = partial(client.get_operation, {"name": operation.name}, retry=None, timeout=READ_TIMEOUT)
            operation = self._call(REGISTRY, "GetOperation", make, at=at)
        if operation.HasField("error"):
            raise PlatformError(
                f"{operation.name} failed: {operation.error.message}",
                address=at,
                operation=f"{REGISTRY}:{verb}",
                code=str(operation.error.code),
                hint="run again; changes already made are kept",
            )

    def _call(
        self, service: str, operation: str, make: Callable[[], T], *, at: str = "", absent: tuple[str, ...] = ()
    ) -> T | None:
        """What one call answers, made again while its failure may pass; None for an error whose status is in `absent`."""
        action = f"{service}:{operation}"

        def passes(error: BaseException) -> bool:
            return calls.passes_soon(operation, error) or (service == IAM and at in self.made and is_unknown(error))

        try:
            with working_on(at or current_address()):
                return self.patiently(lambda: self._once(action, make), passes, self.patience)
        except Refusal as error:
            if error.status in absent:
                return None
            raise translated(error, at, action, self.registry) from None
        except (NotGoogle, NoAnswer, *FAILURES) as error:
            raise translated(error, at, action, self.registry) from None

    def _once(self, action: str, make: Callable[[], T]) -> T:
        """One call, at the rate at which Google takes it: one that is throttled is made again until the time limit is over.

        Quotas are counted by project and location (https://cloud.google.com/artifact-registry/quotas).
        """
        rate = self.estate.rates.of(self.registry.project, self.registry.location, action)
        changes = not action.partition(":")[2].startswith(("Get", "List", "Generate"))
        while True:
            if rate.limit:
                rate.wait(partial(self.pause, operation=action, cloud="Google"))
            with self.under_way:
                sent = time.monotonic()
                try:
                    answer = calls.sent(action, make)
                except Refusal as error:
                    if error.throttles:
                        rate.refused(sent)
                        continue
                    rate.taken()
                    if changes and error.passes:  # it does not say whether it is done
                        wrote()
                    raise
                except Exception:  # no answer came: it may be done
                    if changes:
                        wrote()
                    raise
            rate.taken()
            if changes:
                wrote()
            return answer

    def close(self) -> None:
        super().close()
        if self._known is not None:
            self._known[1].close()

    # -- names --------------------------------------------------------------------------------------------------

    @property
    def project(self) -> str:
        """The project, as paths have it."""
        return f"projects/{self.registry.project}"

    def location_of(self, at: Address) -> str:
        """The location that an address is in."""
        return at.where or self.registry.location

    def name_of(self, at: Address) -> str:
        """The full name of the Artifact Registry repository that an address is about."""
        return f"{self.project}/locations/{self.location_of(at)}/repositories/{self.registry.repository_id(at.name)}"

    def account_name(self, at: Address) -> str:
        """The full name of a service account. With its project, since `-` in its place turns "not there" into "forbidden"."""
        return f"{self.project}/serviceAccounts/{self.registry.email(at.name)}"


def _with_etag(document: Any, at: Address, operation: str) -> Document | None:
    """The policy. Raises PlatformError if it has no etag: written without, it would overwrite what others wrote meanwhile."""
    if document is not None and not document.get("etag"):
        raise PlatformError(
            "the policy came without an etag",
            address=at,
            operation=operation,
            hint="check the endpoint override if one is set, and anything between here and Google",
        )
    return dict(document) if document is not None else None


def _first(ask: Callable[[], Any]) -> Any:
    """The page that a call answers; the library's iterator would make the next calls itself."""
    return next(iter(ask().pages))


def as_json(message: Any) -> Document:
    """A message of the library as the JSON that the API itself writes."""
    found: Document = MessageToDict(type(message).pb(message))
    return found
