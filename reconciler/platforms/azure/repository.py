"""A repository: on Azure it appears with its first push, so that all that is made of it is a note (`notes.py`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.kind import UNCOUNTED, Found, HoldsImages, Kind, Releasable, Uncounted, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.model.served import ServedElsewhere
from reconciler.model.weakening import Weakening
from reconciler.platforms.http import Trouble
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository
from reconciler.words import images_counted

from . import notes
from .limits import Estimate
from .notes import Note, Notes
from .spec import AzureRegistry

if TYPE_CHECKING:
    from .data import DataPlane
    from .session import AzureSession

KIND = "repository"
_MAPS = "Microsoft.ContainerRegistry/registries/scopeMaps"
_DATA = "Microsoft.ContainerRegistry/registries/repositories"


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What is noted of it: Azure has no setting of a repository. `noted_twice`, `moved_by_hand`: no spec asks for it."""

    protect: bool = False
    delete_images: bool = False
    noted_twice: bool = False
    moved_by_hand: bool = False


def settings_of(repository: Repository) -> RepositorySettings:
    """What the spec asks for."""
    return RepositorySettings(repository.protect, repository.delete_images)


class RepositoryKind(Kind, HoldsImages, Releasable, ServedElsewhere):
    """A repository of the registry."""

    name = KIND
    settings = RepositorySettings
    comes_back = True
    images_before = "images that were pushed to it before stay, and are the spec's from then on"
    after = ("registry",)
    permissions = {
        Verb.LIST: (f"{_MAPS}/read",),
        Verb.READ: (f"{_MAPS}/read",),
        Verb.CREATE: (f"{_MAPS}/write", f"{_MAPS}/read", f"{_MAPS}/operationStatuses/read"),
        Verb.UPDATE: (f"{_MAPS}/write", f"{_MAPS}/read", f"{_MAPS}/operationStatuses/read"),
        # in mode legacy Microsoft.ContainerRegistry/registries/pull/read, and to delete registries/artifacts/delete
        Verb.COUNT: (f"{_DATA}/metadata/read",),
        Verb.DELETE: (f"{_MAPS}/write", f"{_MAPS}/delete", f"{_DATA}/content/delete", f"{_DATA}/metadata/delete"),
        Verb.RELEASE: (f"{_MAPS}/write", f"{_MAPS}/delete"),
    }

    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        if not isinstance(registry, AzureRegistry):
            raise TypeError(f"registry {registry.name} is not on Azure")
        name = wanted.address.name
        note = "as soon as it holds an image, unless Azure adds a hash to the login server"
        return NativeName(name, f"{registry.usual_server}/{name}", note)

    def as_served(self, name: NativeName, live: Live) -> NativeName:
        """By the login server, once that is known."""
        if not live.vacant or not live.native:
            return name
        return replace(name, uri=live.native.partition(" ")[0], note="as soon as it holds an image")

    def fingerprint(self, live: Live | None) -> str:
        """Where nothing is, that the login server is known is no difference."""
        return super().fingerprint(None if live is not None and live.vacant else live)

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def altered(self, settings: RepositorySettings) -> str | None:
        return next((name for name in ("noted_twice", "moved_by_hand") if getattr(settings, name)), None)

    def labels(self, settings: RepositorySettings) -> Collection[str]:
        return ()

    def tags_movable(self, settings: RepositorySettings) -> bool:
        return True

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def weakens(self, before: RepositorySettings | None, after: RepositorySettings | None) -> Iterator[Weakening]:
        if before is not None and after is not None:
            if before.protect and not after.protect:
                yield Weakening("protect", "a later plan may delete it")
            if after.delete_images and not before.delete_images:
                yield Weakening("delete_images", "a later plan may delete it with all its images")

    def meanwhile(self, live: Live) -> Iterator[Live]:
        """Once this run has taken away what a hand put into the same map, the rest of it is as we wrote it."""
        settings: RepositorySettings = live.settings
        if settings.moved_by_hand:
            true = replace(settings, delete_images=True, moved_by_hand=False)
            yield replace(live, settings=true, marks=replace(live.marks, applied=_applied(true)))

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        if found["registry"]:
            own = session.own_address()
            maps = session.once("scope maps", lambda: session.scope_maps(own))
            tokens = session.once("tokens", lambda: session.tokens(own))
            held = Estimate(maps, tokens, wanted, session.owner, session.name).held()
            noted: set[Address] = set()
            for note in notes.read(maps):
                live = replace(_live(session, note), notes=tuple(filter(None, [held.get(note.name)])))
                noted.add(live.address)
                yield live
            yield from _without_note(session, (at for at in wanted if at.kind == KIND and at not in noted))

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        names = {at.name: at for at in addresses if not at.where}
        if not names:
            return
        for note in notes.read(session.scope_maps(session.own_address())):
            if note.name in names:
                yield _live(session, note)

    def create(self, session: AzureSession, write: Write) -> Live:
        return self._noted(session, write)

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        return self._noted(session, write)

    def _noted(self, session: AzureSession, write: Write) -> Live:
        wanted: RepositorySettings = write.desired.settings
        origin = write.marks.origin or "spec"
        flags = (wanted.protect, wanted.delete_images, write.marks.adopted)
        note = Note(write.desired.address.name, origin, *flags, session.owner, session.name)
        session.part(Notes).put(note, write.desired.address)
        return _live(session, note)

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        at = live.address
        count = now_in(partial(self.count, session, live), at, "repositories:delete", force=force)
        if count:
            session.part(data_plane).delete(at.name, at)
        session.part(Notes).remove(at.name, at)

    def left(self, settings: RepositorySettings) -> RepositorySettings:
        return RepositorySettings()

    def release(self, session: AzureSession, live: Live) -> Live | None:
        session.part(Notes).remove(live.address.name, live.address)
        return replace(live, settings=RepositorySettings(), marks=Marks())

    def count(self, session: AzureSession, live: Live) -> int:
        return session.part(data_plane).count(live.address.name, live.address)

    def given_by_others(self, session: AzureSession, live: Live) -> tuple[ForeignAccess, ...]:
        return ()


def _without_note(session: AzureSession, addresses: Iterable[Address]) -> Iterator[Live]:
    """That nothing is noted yet of what is wanted, and what its images will be pulled from."""
    if server := session.login_server:
        for at in addresses:
            # of which registry, too: one server may stand before several
            native = f"{server}/{at.name} of {session.registry.registry_name}"
            yield Live(at, KIND, RepositorySettings(), Marks(), native, (session.own_address(),), vacant=True)


def now_in(count: Callable[[], int], at: Address, operation: str, *, force: bool) -> int:
    """How many images it holds right before it is deleted; UNCOUNTED if nobody says that and `force` allows it. Raises PlatformError
    for what is not to be deleted."""
    try:
        found = count()
    except Uncounted as error:
        if force:
            return UNCOUNTED
        words, hint = f"its images can't be counted now: {error}", "make a new plan"
    else:
        if force or not found:
            return found
        words, hint = f"it holds {images_counted(found)}", Trouble.NOT_EMPTY.hint()
    raise PlatformError(words, address=at, operation=operation, hint=hint)


def _live(session: AzureSession, note: Note) -> Live:
    settings = RepositorySettings(note.protect, note.delete_images, note.twice, note.by_hand)
    return Live(
        address=Address.of(session.name, KIND, note.name),
        kind=KIND,
        settings=settings,
        marks=Marks(note.owner or None, note.origin, _applied(settings), note.registry or None, note.adopted),
        native=f"repository {note.name} of {session.registry.registry_name}",
        needs=(session.own_address(),),
    )


def _applied(settings: RepositorySettings) -> str:
    """What is noted is what was applied."""
    return applied_hash(replace(settings, noted_twice=False, moved_by_hand=False))


def data_plane(session: AzureSession) -> DataPlane:
    """The registry's own endpoint. Imported here: its library is for runs that delete something."""
    from .data import DataPlane

    return DataPlane(session)
