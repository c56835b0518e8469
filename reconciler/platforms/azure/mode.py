"""The role assignment mode of a registry, as a resource of its own: it changes only after the role assignments that it honours are
there, and the old ones go only after it.

A change ends every credential that was issued before: https://learn.microsoft.com/azure/container-registry/
container-registry-rbac-abac-repository-permissions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash, text
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks, applied_key
from reconciler.model.resource import Desired, Live

from . import assignment, others, rules, tags
from .assignment_settings import AssignmentSettings
from .documents import mode_of, properties
from .identity import IDENTITIES
from .others import Here
from .reach import beyond, kept

if TYPE_CHECKING:
    from .session import AzureSession

KIND = "mode"
#: the registry's tag that says which mode was applied
APPLIED_MODE = applied_key(KIND)


@dataclass(frozen=True, slots=True)
class ModeSettings:
    """`abac` or `legacy`; "" where the spec leaves it to what is there."""

    mode: str = "abac"


def applied(mode: str) -> str:
    """What is noted of the mode that was applied."""
    return applied_hash(ModeSettings(mode))


class ModeKind(Kind, GivesAccess, DecidesWhatCounts):
    """Which role assignments the registry honours."""

    name = KIND
    settings = ModeSettings
    said = frozenset()
    traits = frozenset({Trait.INHERITS, Trait.OVERLAPS})
    after = ("registry",)
    permissions = {
        Verb.LIST: ("Microsoft.ContainerRegistry/registries/read",),
        Verb.READ: ("Microsoft.ContainerRegistry/registries/read",),
        Verb.UPDATE: ("Microsoft.ContainerRegistry/registries/write",),
    }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """The mode is always said: by it, other role assignments count."""
        return {}

    def altered(self, settings: ModeSettings) -> str | None:
        return None if settings.mode in rules.MODES else "mode"

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        """What the spec leaves open stays as it is in a registry that was there before; one that we make is `abac`."""
        if desired.settings.mode or (live is None and desired.adopt) or (live is not None and not live.settings.mode):
            return desired  # of an adopted registry, no spec says it
        kept = live is not None and not live.vacant and (live.marks.adopted or live.marks.owner is None)
        return replace(desired, settings=live.settings if live is not None and kept else ModeSettings())

    def danger(self, before: ModeSettings, after: ModeSettings) -> str:
        if before.mode == after.mode:
            return ""
        # two specs alone do not say which mode an adopted registry has
        other = before.mode or ("abac" if after.mode == "legacy" else "legacy")
        if_so = "" if before.mode else f"if the registry is in mode {other}, "
        return (
            f"{if_so}all credentials that were issued end, so that nodes and pipelines can't pull or push until they log in again,"
            f" which takes minutes to hours; role assignments of mode {other} count no longer"
        )

    def access(self, address: Address, settings: ModeSettings) -> Iterable[Access]:
        """By itself it gives nothing."""
        return ()

    def idle(self, settings: ModeSettings, given: Any) -> str:
        """A registry honours the roles of its own mode alone; which one it has may not be known."""
        mode = given.mode if isinstance(given, AssignmentSettings) else ""
        if not mode or settings.mode in ("", mode):
            return ""
        return f"it gives nothing until the registry is in mode {mode}"

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """By the role assignments of others that count from then on, and that count no longer."""
        then = {item for found in before.foreign for item in found.access}
        now = {item for found in before.foreign for item in found.left}
        return (beyond(now, then), beyond(then, now)) if after.settings is not None else ((), then)

    def beyond(self, these: set[Access], those: set[Access]) -> Iterator[Access]:
        return beyond(these, those)

    def kept(self, losses: set[Access], ours: set[Access], others: set[Access]) -> Iterator[Access]:
        return kept(losses, ours, others)

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        home = session.own_address()
        if (there := session.once("registry", lambda: session.acr(home))) is not None:
            live = _live(session, there)
            if switches(session, there):
                assigned = session.once("assignments", lambda: session.assignments(home))
                here = _here(session, there, assignment.granted(wanted))
                known = session.other_roles(others.unknown(assigned, here))
                given = given_by_others(session, live.address, there, assigned, here.granted)
                notes = tuple(others.switched(assigned, here, known))
                live = replace(live, notes=notes, foreign=tuple(given), rest=_assigned(assigned))
            yield live
        else:
            yield _vacant(session)

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        own = session.mode_address()
        home = session.own_address()
        if own not in addresses:
            return
        if (there := session.acr(home)) is None:
            yield _vacant(session)
            return
        live = _live(session, there)
        yield replace(live, rest=_assigned(session.assignments(home))) if switches(session, there) else live

    def create(self, session: AzureSession, write: Write) -> Live:
        """The registry was made with it."""
        return self._set(session, write)

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        return self._set(session, write)

    def _set(self, session: AzureSession, write: Write) -> Live:
        wanted, home = write.desired.settings.mode, session.own_address()
        with session.tagging:
            there = session.fresh(home)
            body: dict[str, Any] = {}
            if mode_of(there) != wanted:
                body["properties"] = {"roleAssignmentMode": rules.MODES[wanted]}
            noted = tags.read(there.get("tags"))
            if noted.get(APPLIED_MODE) != write.marks.applied:
                body["tags"] = {**noted, APPLIED_MODE: write.marks.applied or ""}
            after = session.patch_registry(home, body) if body else there
        return _live(session, after)

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        """It goes with the registry; alone, only what is noted of it."""


def _assigned(found: Iterable[Mapping[str, Any]]) -> str:
    """All assignments but those with a name of ours, each with what it gives. A plan that changes the mode says what each of these
    gains or loses, so that one that has come since, or was changed in place, makes it stale."""
    there = {}
    for item in found:
        if not others.named_as_ours(item):
            given = properties(item)
            # the rest of an assignment can't change: RoleAssignmentUpdateNotPermitted
            there[str(item.get("id", "")).lower()] = str(given.get("condition") or "")
    return text(there)


def switches(session: AzureSession, there: Mapping[str, Any]) -> bool:
    """Whether the registry is to have another mode than it has. Raises PlatformError."""
    return session.wanted_mode() != mode_of(there)


def given_by_others(
    session: AzureSession,
    at: Address,
    there: Mapping[str, Any],
    assigned: Iterable[Mapping[str, Any]],
    granted: frozenset[str],
    *,
    switched: bool = True,
) -> Iterator[ForeignAccess]:
    """The role assignments of others, which stand with the mode where that changes, else with the registry. `switched`: whether the
    mode may change by the plan. Raises PlatformError."""
    items, here = list(assigned), _here(session, there, granted)
    here = here if switched else replace(here, after=here.mode)
    yield from others.foreign(at, items, here, session.other_roles(others.unknown(items, here)))


def _here(session: AzureSession, there: Mapping[str, Any], granted: frozenset[str]) -> Here:
    registry = session.registry
    # each is a call, where they are not listed yet
    jobs = IDENTITIES if registry.adopt or switches(session, there) else ()
    own = {principal: job for job in jobs if (principal := session.principal(job))}
    return Here(
        session.name,
        registry.resource,
        session.owner,
        mode_of(there),
        session.wanted_mode(),
        granted,
        own,
        registry.adopt,
    )


def _vacant(session: AzureSession) -> Live:
    """That there is no registry yet, so that the mode is the one that it is made with."""
    return Live(session.mode_address(), KIND, ModeSettings(session.registry.made_with), Marks(), vacant=True)


def _live(session: AzureSession, there: Mapping[str, Any]) -> Live:
    noted = tags.read(there.get("tags"))
    marks = Marks.of(noted, APPLIED_MODE)
    return Live(
        address=session.mode_address(),
        kind=KIND,
        settings=ModeSettings(mode_of(there)),
        marks=marks,
        native=f"the role assignment mode of {there.get('id', '')}",
        needs=(session.own_address(),),
        parent=session.own_address(),
    )
