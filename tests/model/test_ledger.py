"""Marks that stand on another resource, on a carrier that is a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import pytest

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.kind import Write
from reconciler.model.ledger import Ledger, Texts
from reconciler.model.marks import APPLIED, ORIGIN, OWNER, Marks
from reconciler.model.resource import Desired

BOX, POLICY, OTHER = (Address.of("r", kind, "a") for kind in ("box", "policy", "other"))


@dataclass(frozen=True, slots=True)
class Settings:
    size: int = 0


class Boxes(Ledger):
    """Boxes carry the marks of what stands below them."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.boxes: dict[Address, dict[str, str]] = {BOX: {OWNER: "me", ORIGIN: "spec", "theirs": "x"}}
        self.fetched: list[Address] = []
        self.broken = False

    def carrier(self, at: Address) -> Address:
        return at.sibling("box")

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        self.fetched += carriers
        return [dict(self.boxes.get(at, {})) for at in carriers]

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        if self.broken:
            raise PlatformError("the box can't be written")
        box = self.boxes[self.carrier(at)]
        box.update(put)
        for key in remove:
            box.pop(key, None)


@pytest.fixture
def ledger() -> Boxes:
    return Boxes(None)


def write(at: Address = POLICY, *, carried: bool = False) -> Write:
    wanted = Desired(at, at.kind, Settings(1), parent=BOX)
    return Write(wanted, Marks("me", "spec", applied_hash(wanted.settings)), carried=carried)


NOTE = applied_hash(Settings(1))


def test_owner_and_origin_are_the_carriers_and_the_hash_is_an_entry_of_its_own(ledger: Boxes) -> None:
    ledger.boxes[BOX][f"{APPLIED}-policy"] = NOTE
    ledger.learn(BOX, ledger.boxes[BOX])
    assert ledger.marks(POLICY) == Marks("me", "spec", NOTE)
    assert ledger.marks(OTHER) == Marks("me", "spec", None), "nothing is recorded"
    assert ledger.marks(Address.of("r", "policy", "b")) == Marks(), "no such carrier was found"
    assert ledger.fetched == [], "a listing has found it already"


def test_reading_asks_anew_and_each_carrier_once(ledger: Boxes) -> None:
    ledger.learn(BOX, {OWNER: "somebody before"})
    first, second = ledger.read([POLICY, OTHER])
    assert ledger.marks(POLICY, first) == ledger.marks(OTHER, second) == Marks("me", "spec", None)
    assert ledger.fetched == [BOX]


def test_what_is_written_is_noted_after_it_and_nothing_else_changes(ledger: Boxes) -> None:
    with ledger.noting(write()):
        assert f"{APPLIED}-policy" not in ledger.boxes[BOX]
    assert ledger.boxes[BOX] == {OWNER: "me", ORIGIN: "spec", "theirs": "x", f"{APPLIED}-policy": NOTE}
    ledger.forget(POLICY)
    assert ledger.boxes[BOX] == {OWNER: "me", ORIGIN: "spec", "theirs": "x"}


def test_a_carrier_that_was_made_with_the_note_needs_no_other_call(ledger: Boxes) -> None:
    made = ledger.carried([write().desired, write(OTHER).desired])
    assert made == {f"{APPLIED}-policy": NOTE, f"{APPLIED}-other": NOTE}
    ledger.boxes[BOX] |= made
    ledger.broken = True  # nothing is called
    with ledger.noting(write(carried=True)):
        pass
    assert ledger.boxes[BOX][f"{APPLIED}-policy"] == NOTE


def test_a_note_that_proved_wrong_is_taken_back_and_the_first_error_is_raised(ledger: Boxes) -> None:
    ledger.boxes[BOX] |= ledger.carried([write().desired])
    with pytest.raises(PlatformError, match="refused"), ledger.noting(write(carried=True)):
        raise PlatformError("refused")
    assert f"{APPLIED}-policy" not in ledger.boxes[BOX]
    ledger.broken = True
    with pytest.raises(PlatformError, match="refused"), ledger.noting(write(carried=True)):
        raise PlatformError("refused")


def test_a_failure_without_a_note_notes_nothing(ledger: Boxes) -> None:
    with pytest.raises(PlatformError), ledger.noting(write()):
        raise PlatformError("refused")
    assert f"{APPLIED}-policy" not in ledger.boxes[BOX]


class Members(Boxes):
    """As on Google Cloud: what is written carries no mark at all, so each size of the settings is noted, and before the write."""

    def entries(self, desired: Desired, applied: str) -> Texts:
        return {**super().entries(desired, applied), f"member-{desired.settings.size}": ""}

    def claims(self, write: Write) -> Texts:
        return {f"member-{write.desired.settings.size}": ""}

    def noted(self, at: Address) -> list[str]:
        (texts,) = self.read([at])
        return [key for key in texts if key == self.key(at) or key.startswith("member-")]


def resized(size: int) -> Write:
    wanted = Desired(POLICY, "policy", Settings(size), parent=BOX)
    return Write(wanted, Marks("me", "spec", applied_hash(wanted.settings)))


def members(ledger: Boxes) -> list[str]:
    return sorted(key for key in ledger.boxes[BOX] if key.startswith("member-"))


def test_claims_stand_before_the_write_beside_the_old_notes_and_alone_after_it() -> None:
    ledger = Members(None)
    with ledger.noting(resized(1)):
        assert members(ledger) == ["member-1"]
        assert f"{APPLIED}-policy" not in ledger.boxes[BOX]
    with ledger.noting(resized(2)):
        assert members(ledger) == ["member-1", "member-2"], "a crash here leaves a note too many, none too few"
    assert members(ledger) == ["member-2"]
    assert ledger.boxes[BOX][f"{APPLIED}-policy"] == applied_hash(Settings(2))
    ledger.forget(POLICY)
    assert ledger.boxes[BOX] == {OWNER: "me", ORIGIN: "spec", "theirs": "x"}


def test_claims_of_a_write_that_was_refused_are_taken_back() -> None:
    """Else what somebody else makes later by hand would be taken for ours, and removed."""
    ledger = Members(None)
    with ledger.noting(resized(1)):
        pass
    good = dict(ledger.boxes[BOX])
    for size in (1, 2):
        with pytest.raises(PlatformError, match="refused"), ledger.noting(resized(size)):
            raise PlatformError("refused")
        assert ledger.boxes[BOX] == good, size


def test_one_writer_of_a_carrier_at_a_time() -> None:
    class Slow(Boxes):
        def __init__(self) -> None:
            super().__init__(None)
            self.inside = 0
            self.most = 0

        def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            super().write(at, put, remove)
            Event().wait(0.01)  # long enough for another to come in, if it may
            self.inside -= 1

    ledger = Slow()
    threads = [Thread(target=ledger.change, args=(POLICY, {f"k{number}": ""})) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.most == 1
    assert {f"k{number}" for number in range(8)} <= ledger.boxes[BOX].keys()
