"""A registry in the hands of a program: `artifact_registry("images")`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Self

from reconciler.api.plan import open_session
from reconciler.engine.expand import estate_of
from reconciler.errors import CredentialsDenied, PlatformError, SpecError, UnsupportedAccess
from reconciler.model.call_log import working_on
from reconciler.model.platform import Session
from reconciler.model.resource import Live
from reconciler.model.runtime import AppearByPush, giving
from reconciler.model.service import NO_REPOSITORY, Credentials, IssuesCredentials
from reconciler.platforms.catalog import Spec
from reconciler.spec.binding import Binding

from . import runtime
from .access import GivenAccess, RegistryAccess, checked, given_by
from .found import registry_found

Permission = Literal["pull", "push-pull"]
_PERMISSIONS = ("pull", "push-pull")


@dataclass(frozen=True)
class Repository:
    """One repository of a registry.

    `name`: as the spec would call it. `native_name`: as its platform calls it. `uri`: what its images are pulled from (`docker pull
    URI:TAG`). `created_at`: with a time zone; None where the platform does not say it. `origin`: `spec` or `runtime`; `push` of what
    nobody but a first push makes.
    """

    name: str
    native_name: str
    uri: str
    created_at: datetime | None
    origin: str


class ArtifactRegistry:
    """A registry that a spec or a binding describes. A context manager; threads can share one.

    Each method raises PlatformError, with the call, its request id and what to do, and the more special errors that it names.
    """

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._spec = binding.spec(Spec)
        self._session: Session | None = None
        self._lock = Lock()
        self._known: dict[str, Repository] = {}

    @property
    def name(self) -> str:
        """The registry's name in the spec."""
        return self._binding.name

    @property
    def platform(self) -> str:
        """The name of its platform, such as aws."""
        return self._spec.registries[0].platform

    def __repr__(self) -> str:
        return f"<ArtifactRegistry {self.name} on {self.platform}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The registry can be used again."""
        with self._lock:
            opened, self._session = self._session, None
        if opened is not None:
            opened.close()

    def create_repository(self, name: str, **settings: Any) -> Repository:
        """Makes a repository; `settings` as a row of a spec's `repositories` has them, over the spec's defaults.
        Where a first push makes it, nothing is done here.

        Raises RepositoryExists, SpecError for a name or settings that no spec could have, and GuardViolation.
        """
        with self._opened() as session:
            row = {"name": name, **settings}
            if isinstance(session, AppearByPush):
                self._binding.spec(Spec, [row])
                return self._of(name)
            return self._of_live(runtime.create(session, self._binding, row))

    def get_repository(self, name: str) -> Repository:
        """The repository of that name, or of that name on its platform. Raises RepositoryNotFound."""
        with self._opened() as session:
            return self._found(session, name)

    def list_repositories(self) -> list[Repository]:
        """All repositories: the spec's, and those that were made at run time."""
        with self._opened() as session:
            if isinstance(session, AppearByPush):
                return list(self._repositories([(name, None, "push") for name in session.all_there()]))
            return list(self._repositories([_facts(live) for live in runtime.listed(session)]))

    def delete_repository(self, name: str, *, force: bool = False) -> None:
        """Deletes a repository that was made at run time. Without `force`, one that holds images, or access that others gave, stays.

        Raises RepositoryNotFound, RepositoryOfSpec, RepositoryNotEmpty.
        """
        with self._opened() as session:
            if isinstance(session, AppearByPush):
                raise PlatformError(
                    "repositories of an external registry are deleted there alone",
                    address=self.name,
                    operation="delete",
                )
            live = self._live(session, name)
            runtime.delete(session, self._binding, live, force=force)
            self._known = {key: item for key, item in self._known.items() if item.name != live.address.name}

    def generate_credentials(
        self, repository: str, permission: Permission = "pull", ttl_seconds: float = 3600
    ) -> Credentials:
        """What logs in to the registry, for this repository and no other, for so many seconds.

        Raises RepositoryNotFound, and CredentialsDenied where the platform can't narrow or limit credentials so; the message has
        its limits.
        """
        push = _pushes(permission)
        if ttl_seconds <= 0:
            raise CredentialsDenied("ttl_seconds must be more than 0", address=self.name, operation="credentials")
        with self._opened() as session:
            if not isinstance(session, IssuesCredentials):
                raise CredentialsDenied(
                    f"this build can't issue credentials for platform {self.platform}",
                    address=self.name,
                    operation="credentials",
                )
            found = self._repository(session, repository)
            try:
                return session.credentials(found.name, push=push, ttl=ttl_seconds)
            except PlatformError as error:
                if error.code == NO_REPOSITORY:
                    raise runtime.not_found(session, repository) from None
                raise

    def add_cross_account_access(
        self, repository: str, access: RegistryAccess, permission: Permission = "pull"
    ) -> None:
        """Lets somebody pull from a repository, or push too. What was given already is no error.

        Raises RepositoryNotFound, GuardViolation, and UnsupportedAccess for what the platform can't give.
        """
        with self._opened() as session:
            gives = giving(session)
            found = self._repository(session, repository)
            spec = self._granted(found.name, access, permission)
            gives.give(runtime.home_of(session, spec), spec.grants[0])

    def get_cross_account_access(self, repository: str) -> list[GivenAccess]:
        """What was given to others at run time; the spec's grants are not among it. Raises RepositoryNotFound."""
        with self._opened() as session:
            gives = giving(session)
            found = self._repository(session, repository)
            home = runtime.home_of(session, self._binding.spec(Spec, [{"name": found.name}]))
            return [given_by(item) for item in gives.given(home)]

    def remove_cross_account_access(
        self, repository: str, access: RegistryAccess, permission: Permission = "pull"
    ) -> None:
        """Takes back what was given at run time; of what the spec gives, nothing. What is not there is no error.

        Raises RepositoryNotFound.
        """
        with self._opened() as session:
            gives = giving(session)
            found = self._repository(session, repository)
            spec = self._granted(found.name, access, permission, guarded=False)
            gives.take(runtime.home_of(session, spec), spec.grants[0])

    # -- helpers ------------------------------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[Session]:
        with self._lock:
            if self._session is None:
                opened = open_session(estate_of(self._spec), self.name)
                try:
                    with working_on(self.name):
                        opened.check()
                except BaseException:
                    opened.close()
                    raise
                self._session = opened
            session = self._session
        session.begin()
        with working_on(self.name):
            yield session

    def _live(self, session: Session, name: str) -> Live:
        try:
            live = runtime.found(session, self._binding, self._names(name))
        except SpecError:  # it is no name of a repository
            live = None
        if live is None:
            raise runtime.not_found(session, name)
        return live

    def _names(self, name: str) -> list[str]:
        """The names in the spec that somebody may mean: it, or what the platform calls so."""
        # what the registry puts before a name
        before = self._spec.registries[0].native_name("a")[:-1]
        return [name, *([name.removeprefix(before)] if before and name.startswith(before) else [])]

    def _repository(self, session: Session, name: str) -> Repository:
        return self._known.get(name) or self._found(session, name)

    def _found(self, session: Session, name: str) -> Repository:
        if isinstance(session, AppearByPush):
            if session.is_there(name) is False:
                raise runtime.not_found(session, name, "it appears with the first push")
            return self._of(name)
        return self._of_live(self._live(session, name))

    def _of_live(self, live: Live) -> Repository:
        return self._of(*_facts(live))

    def _of(self, name: str, made: datetime | None = None, origin: str = "push") -> Repository:
        (found,) = self._repositories([(name, made, origin)])
        self._known[found.name] = found
        return found

    def _repositories(self, facts: Sequence[tuple[str, datetime | None, str]]) -> Iterator[Repository]:
        values = runtime.values_of(self._binding, [name for name, _, _ in facts])
        for (name, made, origin), found in zip(facts, values, strict=True):
            yield Repository(name, found.get("name", name), found.get("uri", ""), made, origin)

    def _granted(self, repository: str, access: RegistryAccess, permission: str, *, guarded: bool = True) -> Spec:
        _pushes(permission)
        grant: Mapping[str, Any] = {
            "name": runtime.RUNTIME,
            "repositories": [repository],
            "permission": permission,
            "to": checked(access).target(),
        }
        try:
            if guarded:
                runtime.plan_of(self._binding, {"name": repository}, [grant])
            return self._binding.spec(Spec, [{"name": repository}], [grant])
        except SpecError as error:
            said = "; ".join(f"{item.path.removeprefix('grants[0].')}: {item.message}" for item in error.problems)
            raise UnsupportedAccess(said, address=self.name, operation="access") from None


def artifact_registry(name: str | None = None, *, spec: str | Path | Spec | None = None) -> ArtifactRegistry:
    """A registry by its name in a spec. Makes no call.

    It is looked for in `spec`, if that is given; else in the environment's binding of it (RECONCILER_REGISTRY_NAME, as `reconciler
    output --format binding` prints it), in the spec that RECONCILER_SPEC names, and in the folder's registry.yaml.

    Raises RegistryNotFound, and SpecError.
    """
    return ArtifactRegistry(registry_found(name, spec))


def _facts(live: Live) -> tuple[str, datetime | None, str]:
    return live.address.name, live.created_at, live.marks.origin or "spec"


def _pushes(permission: str) -> bool:
    if permission not in _PERMISSIONS:
        raise UnsupportedAccess(f"permission is pull or push-pull, not {permission!r}", operation="access")
    return permission == "push-pull"
