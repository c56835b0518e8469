"""The registry's own endpoint, asked only before something is deleted: how many images there are, and their delete.

Whoever may manage a registry need not reach its images: in mode abac not even its owner does
(https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from azure.containerregistry import ContainerRegistryClient
from azure.core.exceptions import HttpResponseError

from reconciler.errors import PlatformError
from reconciler.model.call_log import working_on
from reconciler.model.kind import Uncounted
from reconciler.redaction import redacted, unnamed_hidden

from . import endpoints
from .answers import NOTHING, Said, document_of, is_own, said_in
from .denials import counting, reason, unreached, way_out
from .lists import Repeats, gathered, pages_of
from .pipeline import PASSING, Patient, Sending, read_all
from .troubles import FAILURES, NotAzure, translated

if TYPE_CHECKING:
    from .session import AzureSession

T = TypeVar("T")


class DataPlane:
    """A registry's images."""

    def __init__(self, session: AzureSession) -> None:
        self._session = session
        self._known: ContainerRegistryClient | None = None
        self._lock, self._renewed = RLock(), False
        self._open = ExitStack()
        #: why nothing answers there, once that was waited for
        self._silent = ""

    @property
    def _client(self) -> ContainerRegistryClient:
        with self._lock:
            if self._known is None:
                session = self._session
                server = session.login_server
                if not server:
                    raise PlatformError(
                        "its login server is not known yet", operation="registries:get", hint="run again"
                    )
                self._known = ContainerRegistryClient(
                    f"https://{server}",
                    session.signed_in,
                    audience=endpoints.image_audience(session.registry, session.home),
                    transport=_OfRegistry(server, session.transport, session.sending),
                    retry_total=0,
                )
                self._open.enter_context(self._known)
            return self._known

    def count(self, name: str, at: str) -> int:
        """How many images a repository holds; 0 if the registry says that it is not there. Raises Uncounted if it says neither."""
        found = self._counting(at, lambda client: client.get_repository_properties(name))
        return int(found.manifest_count or 0) if found is not None else 0

    def count_beside(self, names: Collection[str]) -> int:
        """How many images are in repositories that are none of these. Raises Uncounted if the registry does not say that."""
        at = self._session.own_address()
        listed = self._counting(at, lambda client: _names(client.list_repository_names())) or []
        return sum(self.count(name, at) for name in sorted(listed) if name not in names)

    def delete(self, name: str, at: str) -> None:
        """Deletes a repository with its images; one that the registry says is not there is no error. Raises PlatformError."""
        try:
            self._asked(at, lambda client: client.delete_repository(name))
        except _Vain as vain:
            raise PlatformError(
                f"its images were not deleted: {vain}",
                address=at,
                operation="repositories:delete",
                request_id=vain.request_id,
                code=vain.code,
                hint=vain.hint or way_out(self._session.registry.registry_name, name, vain.status, vain.said),
            ) from None

    def _counting(self, at: str, ask: Callable[[ContainerRegistryClient], T]) -> T | None:
        """A plan is made without what is counted too: whoever reads it hears why it was not. What was waited for is not waited for
        again."""
        if self._silent:
            raise Uncounted(self._silent)
        try:
            return self._asked(at, ask)
        except _Vain as vain:
            if vain.waited:
                self._silent = str(vain)
            raise Uncounted(f"{vain}{counting(vain.status, vain.said)}") from None

    def _asked(self, at: str, ask: Callable[[ContainerRegistryClient], T]) -> T | None:
        """What the registry answers; None if it says that the repository is not there. Raises _Vain."""
        used, server = self._client, self._session.login_server
        try:
            with working_on(at):
                return ask(used)
        except NotAzure as error:
            raise _Vain(reason(server, error.status, NOTHING), error.status) from None
        except Repeats:
            raise _Vain(f"the pages of the catalog of {server} come again and again") from None
        except HttpResponseError as error:
            if error.response is None:  # of the credentials
                raise self._unanswered(error, at) from None
            status = int(error.status_code or 0)
            if status == 404:
                return None
            if status == 401 and self._again(used):
                return self._asked(at, ask)
            raise _refused(error, server, status) from None
        except FAILURES as error:
            raise self._unanswered(error, at) from None
        except (LookupError, TypeError, ValueError, AttributeError):
            # of the library, which takes an answer, a challenge or a token apart as one of the registry's
            raise _Vain(reason(server, 0, NOTHING)) from None

    def _unanswered(self, error: Exception, at: str) -> _Vain:
        found = translated(error, at, "", self._session.registry)
        no_token = found.code == "auth"
        words = found.message if no_token else unreached(self._session.login_server, error)
        return _Vain(words, code=found.code, hint=found.hint, waited=not no_token)

    def _again(self, used: ContainerRegistryClient) -> bool:
        """Logs in anew, once: a change of the role assignment mode ends every login that there was, ours too. Whether there is now
        another one than was used."""
        with self._lock:
            if used is self._known and not self._renewed:
                self._known, self._renewed = None, True
            return used is not self._known

    def close(self) -> None:
        """Lets go of what it holds; its connections are the session's."""
        self._open.close()


class _Vain(Exception):
    """What was asked for did not come. `status`: of HTTP, 0 if nothing was answered; `said`: by the registry; `hint`: what to do,
    where that hangs on nothing that it said; `waited`: whether it was asked again until no patience was left."""

    def __init__(
        self,
        words: str,
        status: int = 0,
        said: Said = NOTHING,
        *,
        code: str = "",
        hint: str = "",
        request_id: str = "",
        waited: bool = False,
    ) -> None:
        super().__init__(redacted(words))
        self.status, self.said, self.hint, self.waited, self.request_id = status, said, hint, waited, request_id
        self.code = code or said.code or str(status or "NotAzure")


def _names(listed: Any) -> list[str]:
    """The names of a catalog, each once. Raises Repeats."""
    return gathered(pages_of(listed), str)


def _refused(error: HttpResponseError, server: str, status: int) -> _Vain:
    response: Any = error.response
    said = said_in(document_of(response.text()))
    if status == 401:  # it may repeat what it was sent
        said = replace(said, message=unnamed_hidden(said.message))
    number = str(response.headers.get("x-ms-correlation-request-id", ""))
    return _Vain(reason(server, status, said), status, said, request_id=number, waited=status in PASSING)


class _OfRegistry(Patient):
    """Connections over which nobody but the registry answers: the library takes each 404 of a delete, and a catalog without names,
    for "there is nothing"."""

    def __init__(self, server: str, transport: Any, sending: Sending) -> None:
        super().__init__(transport, sending)
        self._server = server

    def send(self, request: Any, **options: Any) -> Any:
        """The answer of one request. Raises NotAzure if it is none of the registry's, or the request would take a token to somebody
        else: where the next page of a catalog is said to be there."""
        if urlsplit(request.url).netloc.lower() != self._server.lower():
            raise NotAzure
        answer = super().send(request, **options)
        read_all(answer)
        if not is_own(request.method, request.url, answer.status_code, answer.text()):
            raise NotAzure(answer.status_code)
        return answer
