"""Repositories of a registry that somebody else runs: they appear with the first push. Nothing is made, and nothing goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Found, Kind, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.platforms.distribution.auth import LoginRefused
from reconciler.platforms.distribution.client import Refusal
from reconciler.words import all_of, counted, plural, some_of

from .login import HUB, host_of
from .session import ExternalSession
from .spec import ExternalRegistry


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """Nothing of it is ours to set."""


class RepositoryKind(Kind):
    """A repository that the spec names. A listing says which of them are not there yet, and which others are."""

    name = "repository"
    settings = RepositorySettings
    permissions = {Verb.LIST: ("GET /v2/_catalog", "GET /v2/NAME/tags/list")}

    def list(self, session: ExternalSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        named = {at.name: at for at, item in wanted.items() if item.kind == self.name}
        there = session.client.repositories()
        _check_pull(session, sorted(named if isinstance(there, Refusal) else named.keys() & there))
        if isinstance(there, Refusal):
            answers = dict(zip(named, session.map(session.client.holds, named), strict=True))
            missing = [name for name, holds in answers.items() if holds is False]
            unsure = [name for name, holds in answers.items() if isinstance(holds, Refusal)]
            if unsure:
                session.notices.append(_unsure(session.name, unsure, there))
        else:
            missing = [name for name in named if name not in there]
            if others := sorted(there - named.keys()):
                session.notices.append(_others(session.name, others))
        if missing:
            session.notices.append(_missing(session.name, sorted(missing)))
        for at in named.values():
            yield Live(at, self.name, RepositorySettings(), Marks(), vacant=True, moot=True)

    def read(self, session: ExternalSession, addresses: Sequence[Address]) -> Iterator[Live]:
        yield from (Live(at, self.name, RepositorySettings(), Marks(), vacant=True, moot=True) for at in addresses)

    def create(self, session: ExternalSession, write: Write) -> Live:
        raise _not_ours(write.desired.address)

    def update(self, session: ExternalSession, write: Write, live: Live) -> Live:
        raise _not_ours(live.address)

    def delete(self, session: ExternalSession, live: Live, *, force: bool) -> None:
        raise _not_ours(live.address)


def uri_of(registry: ExternalRegistry, name: str) -> str:
    """What a repository's images are pulled from."""
    host = host_of(registry)
    return f"{'docker.io' if host == HUB else host}/{name}"


def _check_pull(session: ExternalSession, names: Sequence[str]) -> None:
    """Whether the login may pull the first of these, which is asked where logins are decided: for a token to pull it. Raises
    PlatformError where nobody takes the login, and notes where it is taken and may not pull that."""
    if session.login is None or not names:
        return
    try:
        session.client.check_login(names[0])
    except LoginRefused as error:
        if error.wrong:
            raise
        session.notices.append(f"registry {session.name} does not let user {session.login.username} pull {names[0]}")


def _not_ours(at: Address) -> PlatformError:
    return PlatformError(
        "an external registry's repositories are made and deleted there alone", address=at, hint="make a new plan"
    )


def _missing(registry: str, names: Sequence[str]) -> str:
    they = plural(len(names), "it appears", "they appear")
    return f"registry {registry} does not have {all_of(names)} yet: {they} with the first push"


def _others(registry: str, names: Sequence[str]) -> str:
    count = counted(len(names), "repository", "repositories")
    return f"registry {registry} has {count} that the spec does not name: {some_of(names)}"


def _unsure(registry: str, names: Sequence[str], why: Refusal) -> str:
    return f"registry {registry} does not say whether it has {all_of(names)}: {why.why}"
