"""Repositories of a registry that somebody else runs: they appear with the first push. Nothing is made, and nothing goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Found, Kind, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.platforms.distribution.refusal import Refusal
from reconciler.platforms.kubernetes.settings import GOOD, SECRET
from reconciler.words import all_of, counted, plural, some_of

from .hosts import HUB, host_of
from .spec import ExternalRegistry

if TYPE_CHECKING:
    from .session import ExternalSession

#: characters of a name that are shown; a registry may answer anything
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """Nothing of it is ours to set."""


class RepositoryKind(Kind):
    """A repository that the spec names. A listing says which of them are not there yet, and which others are."""

    name = "repository"
    after = (SECRET,)
    settings = RepositorySettings
    permissions = {Verb.LIST: ("GET /v2/_catalog", "GET /v2/NAME/tags/list")}

    def list(self, session: ExternalSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        named = {at.name: at for at, item in wanted.items() if item.kind == self.name}
        if session.trouble is not None:
            going = session.giving_up or any(live.address not in wanted for live in found[SECRET])
            if wanted and not going:
                raise session.trouble
            session.notices.append(f"registry {session.name} is not looked at: {session.trouble.message}")
            session.refused |= dict.fromkeys(_waiting(wanted, found[SECRET]), session.trouble.sentence)
        elif not session.giving_up:
            session.notices += _said(session, sorted(named))
        yield from self.read(session, list(named.values()))

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


def _not_ours(at: Address) -> PlatformError:
    return PlatformError(
        "an external registry's repositories are made and deleted there alone", address=at, hint="make a new plan"
    )


def _said(session: ExternalSession, named: Sequence[str]) -> Iterator[str]:
    """What there is to say of the repositories that the spec names, and of others."""
    there = _catalog(session)
    if isinstance(there, Refusal):
        yield f"which other repositories registry {session.name} has can't be known: {there.why}"
        listed = []
    else:
        listed = [name for name in named if session.asked_as(name) in there]
        if others := sorted(there - {session.asked_as(name) for name in named} - session.named_beside()):
            yield _others(session.name, [session.client.hidden(name) for name in others])
    # what a catalog leaves out may be there all the same, such as what a cache has not pulled yet
    # (https://github.com/distribution/distribution/issues/2307); and that the login may list is not that it may pull: the
    # first that is there is an example of all
    asked = [name for name in named if name not in listed[1:]]
    answers = dict(zip(asked, session.map(session.answer_for, asked), strict=True))
    for name in listed[:1]:
        answers[name] = answers[name] or True
    if unsure := {name: answer for name, answer in answers.items() if isinstance(answer, Refusal)}:
        yield _unsure(session.name, unsure)
    if missing := [name for name, answer in answers.items() if answer is False]:
        yield _missing(session.name, missing)


def _catalog(session: ExternalSession) -> frozenset[str] | Refusal:
    """The names of all repositories. One that can't be read is as good as one that is refused: each can be asked for by itself."""
    try:
        return session.client.repositories()
    except PlatformError as error:
        return Refusal(error.message)


def _missing(registry: str, names: Sequence[str]) -> str:
    they = plural(len(names), "it appears", "they appear")
    return f"registry {registry} does not have {all_of(names)} yet: {they} with the first push"


def _others(registry: str, names: Sequence[str]) -> str:
    count = counted(len(names), "repository", "repositories")
    return (
        f"registry {registry} has {count} that the spec does not name: {some_of([name[:_LONGEST] for name in names])}"
    )


def _unsure(registry: str, answers: Mapping[str, Refusal]) -> str:
    why = next(iter(answers.values())).why
    return f"registry {registry} does not say whether it has {all_of(list(answers))}: {why}"


def _waiting(wanted: Mapping[Address, Desired], secrets: Sequence[Live]) -> Iterator[Address]:
    """The pull secrets that are wanted and would get a login, which nobody knows to be good."""
    good = {live.address for live in secrets if live.moot or (not live.vacant and live.settings.login == GOOD)}
    yield from (at for at, item in wanted.items() if item.kind == SECRET and at not in good)
