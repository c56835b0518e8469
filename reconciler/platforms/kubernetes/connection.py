"""Calls to one cluster, by the official client. Every call is for one named object: what a renewal needs are rights on named secrets.

https://kubernetes.io/docs/reference/kubernetes-api/
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from hashlib import sha256
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

from reconciler.errors import PlatformError, os_sentence
from reconciler.model.call_log import current_address, wrote
from reconciler.model.placed import Known
from reconciler.platforms.extras import needing
from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpSession, logged
from reconciler.platforms.paths import path_of
from reconciler.spec.cluster import Cluster

from .client import client_of, settings_with
from .kubeconfig import Reach, in_a_pod, load
from .plugin import NoLogin
from .trouble import (
    FORBIDDEN,
    GONE,
    NO_NAMESPACE,
    TAKEN,
    THROTTLED,
    NoAnswer,
    refused,
    retry_after,
    unreachable,
    unreadable,
)

T = TypeVar("T")
Document = dict[str, Any]

#: who writes, in an object's `metadata.managedFields`
MANAGER = "reconciler"
#: the kinds of object, as RBAC calls them, with what the client's methods call them
SECRETS, ACCOUNTS, NOTES = "secrets", "serviceaccounts", "configmaps"
#: the field of a service account that names its pull secrets
PULL_SECRETS = "imagePullSecrets"
_METHODS = {SECRETS: "secret", ACCOUNTS: "service_account", NOTES: "config_map"}
#: changes the fields that it names and no others; a list is replaced whole. Said at each patch: what the client would take instead
#: puts our entry in the place of everybody's (https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply)
MERGE = "application/merge-patch+json"
#: seconds for which what passes is asked for again
PATIENCE = 10.0


class Connection:
    """A cluster, as somebody reaches it. Every call raises PlatformError."""

    def __init__(self, session: HttpSession, cluster: Cluster) -> None:
        self.session = session
        self.cluster = cluster
        self._lock, self._one_renews = Lock(), Lock()
        self._asking, self._uids = Lock(), dict[str, str | None]()
        self._made: Any = None
        self._reach = Reach()

    @property
    def name(self) -> str:
        """The cluster's name in the spec."""
        return self.cluster.name

    def read(self, resource: str, namespace: str, name: str) -> Document | None:
        """The object; None if it isn't there, or its namespace isn't: with that the Role goes that let somebody look there."""
        try:
            return self._call("get", resource, namespace, partial(self._method("read", resource), name, namespace))
        except PlatformError as error:
            if error.code == GONE or (error.code == FORBIDDEN and self._uid_of(namespace) == ""):
                return None
            raise

    @cached_property
    def home(self) -> str | None:
        """The uid of the namespace of the spec's notes; "" if there is no such namespace, None if the login may not know."""
        return self._uid_of(self.cluster.namespace)

    def _uid_of(self, namespace: str) -> str | None:
        """The uid of a namespace as it was when it was first asked for; "" if there was none, None if the login may not know."""
        with self._asking:
            if namespace not in self._uids:
                self._uids[namespace] = self._asked(namespace)
            return self._uids[namespace]

    def _asked(self, name: str) -> str | None:
        client = self._client()
        from kubernetes.client import CoreV1Api

        try:
            found = self._call("get", "namespaces", name, partial(CoreV1Api(client).read_namespace, name))
        except PlatformError as error:
            if error.code not in (FORBIDDEN, GONE, NO_NAMESPACE):
                raise
            return None if error.code == FORBIDDEN else ""
        return str(found["metadata"]["uid"])

    def known_by(self) -> Known:
        """By what the cluster is known: the uid of the namespace of the spec's notes, if the login may know it, and its address.

        No two objects have one uid, in whichever clusters (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids).
        """
        home = {f"namespace {self.cluster.namespace} by its uid": self.home} if self.home else {}
        return {**home, "address": self._address()}

    def _address(self) -> str:
        """Where it is reached, and who vouches for it: two clusters behind one address have authorities of their own."""
        settings = self._client().configuration
        url = urlsplit(str(settings.host))
        name = f", as {settings.tls_server_name}" if settings.tls_server_name else ""
        host = url.netloc.rpartition("@")[2].lower()
        where = f"{url.scheme}://{host}{url.path.rstrip('/')}{name}"
        if not settings.verify_ssl:
            return f"{where}, not verified"
        return f"{where}, {authorities(self._reach.ca)}"

    def create(self, resource: str, namespace: str, body: Document) -> Document:
        """Makes an object. Its code is TAKEN if one of that name is there. If no answer comes, what is there afterwards says whether
        it was made: it counts if it carries the same annotations."""
        make = partial(self._method("create", resource), namespace, body, field_manager=MANAGER)
        try:
            return self._call("create", resource, namespace, make)
        except NoAnswer:
            there = self.read(resource, namespace, body["metadata"]["name"])
            if there is None or not annotations_of(body).items() <= annotations_of(there).items():
                raise
            return there

    def patch(self, resource: str, namespace: str, name: str, body: Document) -> Document:
        """Changes the fields that the body names. With a `resourceVersion` or a `uid` in it, its code is TAKEN if the object has
        another one."""
        make = partial(
            self._method("patch", resource), name, namespace, body, field_manager=MANAGER, _content_type=MERGE
        )
        return self._call("patch", resource, namespace, make)

    def delete(self, resource: str, namespace: str, seen: Document) -> None:
        """Deletes an object as it was seen; its code is TAKEN if it is another one now. It is no error if it is gone."""
        from kubernetes.client import V1DeleteOptions, V1Preconditions

        metadata = seen["metadata"]
        only = V1Preconditions(uid=metadata["uid"], resource_version=metadata["resourceVersion"])
        make = partial(
            self._method("delete", resource), metadata["name"], namespace, body=V1DeleteOptions(preconditions=only)
        )
        try:
            self._call("delete", resource, namespace, make)
        except PlatformError as error:
            if error.code != GONE:
                raise

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            if self._made is not None:
                self._made.rest_client.pool_manager.clear()

    def _method(self, verb: str, resource: str) -> Callable[..., Any]:
        client = self._client()  # which says what to install where the library isn't there
        from kubernetes.client import CoreV1Api

        found: Callable[..., Any] = getattr(CoreV1Api(client), f"{verb}_namespaced_{_METHODS[resource]}")
        return found

    def _call(self, verb: str, resource: str, namespace: str, make: Callable[..., Any]) -> Document:
        operation = f"{verb} {resource}"
        reads = verb == "get"

        def once() -> Document:
            while True:
                try:
                    return self._once(operation, namespace, make, reads=reads)
                except PlatformError as error:
                    if error.code != THROTTLED:
                        raise
                    self.session.pause(retry_after(error), operation, f"cluster {self.name}")

        if not reads:
            return once()
        return self.session.patiently(once, lambda error: isinstance(error, NoAnswer) and error.passes, PATIENCE)

    def _once(self, operation: str, namespace: str, make: Callable[..., Any], *, reads: bool) -> Document:
        import urllib3
        from kubernetes.client import ApiException

        at = current_address() or self.session.name
        with self.session.under_way, logged(operation) as line:
            try:
                found = make(_request_timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
            except ApiException as error:
                if error.status:
                    line.answered(str(error.status))
                    raise refused(error, at, operation, namespace, self.name) from None
                if not reads:
                    wrote()  # perhaps
                raise unreachable(error, at, operation, self.name) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not reads:
                    wrote()  # perhaps
                raise unreachable(error, at, operation, self.name) from None
            except (ValueError, TypeError) as error:
                if not reads:
                    wrote()
                raise unreadable(error, at, operation, self.name) from None
            line.answered("200")
            if not reads:
                wrote()
            document: Document = self._client().sanitize_for_serialization(found) or {}
            named = document.get("metadata") or {}
            if not operation.startswith("delete ") and not {"name", "uid", "resourceVersion"} <= named.keys():
                raise unreadable(ValueError("no object"), at, operation, self.name)
            return document

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                with needing("kubernetes", self.session.name, "a grant to a cluster"):
                    import kubernetes  # noqa: F401
                    import urllib3
                settings = settings_with(self._renewing)
                settings.retries = False  # what is asked for again is decided here
                settings.connection_pool_maxsize = self.session.estate.parallelism
                try:
                    self._reach = self._loaded(settings)
                    made = client_of(settings, self._reach)
                except Exception as error:  # whatever a file, or a command that it names, makes of it
                    raise self._not_configured(error) from None
                if not settings.verify_ssl and not self.cluster.in_cluster:
                    # the client would warn at each call, in its own words
                    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
                    self.session.notices.append(
                        f"cluster {self.name}: its certificate is not verified, as the kubeconfig says (insecure-skip-tls-verify)"
                    )
                self._made = made
            return self._made

    def _loaded(self, settings: Any) -> Reach:
        if self.cluster.in_cluster:
            return in_a_pod(settings)
        return load(settings, self._kubeconfig(), self.cluster.context, self.session.estate.timeout)

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        try:
            with self._one_renews:
                yield
        except Exception as error:  # whatever the command makes of it
            raise self._not_configured(error) from None

    def _kubeconfig(self) -> str | None:
        given = self.cluster.kubeconfig
        return str(path_of(given, self.session.estate.base, "its kubeconfig")) if given is not None else None

    def _not_configured(self, error: Exception) -> PlatformError:
        if self.cluster.in_cluster:
            return PlatformError(
                f"cluster {self.name} can't be reached as from one of its own pods: {_why(error)}",
                address=self.session.name,
                operation="log in",
                hint="`--in-cluster` and `in_cluster: true` are for a pod of the cluster; elsewhere give a context or a kubeconfig",
            )
        hint = "check the kubeconfig with `kubectl" + "".join(
            f" --{key} {value}"
            for key, value in (("kubeconfig", self._kubeconfig()), ("context", self.cluster.context))
            if value
        )
        hint += " get --raw /version`"
        return PlatformError(
            f"cluster {self.name} can't be reached as the spec says: {_why(error)}",
            address=self.session.name,
            operation="kubeconfig",
            hint=hint,
        )


def _why(error: Exception) -> str:
    """What is wrong with a kubeconfig, without what is in it, which may be a login."""
    if isinstance(error, OSError):
        return os_sentence(error)
    if isinstance(error, NoLogin):
        return str(error)
    text = str(error)
    if text == "Service host/port is not set.":
        return "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which each pod has, are not set"
    known = re.fullmatch(
        r"Invalid kube-config file\. (No configuration found\.|Expected object with name \S+ in \S+ list)"
        r"|Service (token|certificate) (file|is)[\w ]*\.?|Cert file does not exists\.",
        text,
    )
    return text if known else f"its kubeconfig can't be read ({type(error).__name__})"


def authorities(certificates: bytes | None) -> str:
    """Who vouches for a cluster, in words: a hash of certificates in PEM, whatever their order."""
    if not certificates:
        return "vouched for by the system's authorities"
    found = re.findall(rb"-----BEGIN [A-Z ]*CERTIFICATE-----(.*?)-----END", certificates, re.DOTALL)
    known = sha256(b"\n".join(sorted(b"".join(item.split()) for item in found))).hexdigest()
    return f"vouched for by authorities with the SHA-256 {known}"


def annotations_of(found: Mapping[str, Any]) -> dict[str, str]:
    """An object's annotations."""
    return dict(found.get("metadata", {}).get("annotations") or {})


def names_of(account: Document) -> list[str]:
    """The names of a service account's pull secrets, in its order."""
    return [str(item.get("name")) for item in account.get(PULL_SECRETS) or ()]


def is_taken(error: BaseException) -> bool:
    """Whether an object was not as the call said that it was."""
    return isinstance(error, PlatformError) and error.code == TAKEN
