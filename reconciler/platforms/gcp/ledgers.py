"""Where marks stand on Google Cloud of what can't carry any: a policy's in the labels of its repository, a location's in the
description of the pull account."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.call_log import watching
from reconciler.model.kind import Write
from reconciler.model.ledger import Ledger, Texts
from reconciler.model.resource import Desired

from . import description, labels, record

if TYPE_CHECKING:
    from .session import GcpSession

#: a definite answer, after which nothing of the call was carried out
REFUSED = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED")


class RepositoryLedger(Ledger):
    """The labels of repositories, which say of the IAM policy what was applied and which of its members are ours."""

    session: GcpSession

    def carrier(self, at: Address) -> Address:
        return at.sibling("repository")

    def entries(self, desired: Desired, applied: str) -> Texts:
        hashes = {item.hash for item in desired.settings.bindings}
        return {self.key(desired.address): applied, **record.packed(labels.ACCESS, hashes)}

    def own(self, at: Address, texts: Mapping[str, str]) -> dict[str, str]:
        """What is noted of a policy among the labels of its repository."""
        keys = {self.key(at), *record.keys(labels.ACCESS, texts)}
        return {key: texts[key] for key in keys if key in texts}

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        return self.session.map(lambda at: (self.session.repository(at) or {}).get("labels", {}), carriers)

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        carrier = self.carrier(at)
        found = self.session.repository(carrier)
        if found is None:
            if put:
                raise PlatformError("its repository is gone", address=at, hint="make a new plan")
            return
        there: dict[str, str] = found.get("labels", {})
        wanted = {**{key: value for key, value in there.items() if key not in remove}, **put}
        if wanted != there:
            self.session.patch(carrier, {"labels": wanted}, "labels")

    def forget(self, at: Address) -> None:
        (texts,) = self.read([at])
        self.change(at, {}, list(self.own(at, texts)))

    @contextmanager
    def noting(self, write: Write, theirs: Collection[str] = ()) -> Iterator[None]:
        """The hashes of what is to be ours are recorded before the block writes the policy, beside those of what is ours; those of
        what is ours no longer go after it. So what a write that was cut off has left is never taken for somebody else's.

        `theirs`: what is recorded beside them meanwhile, where there is room. If Google refuses the block's write, the record is
        again what it was; where no answer came, it stays.
        """
        at = write.desired.address
        after = dict(self.entries(write.desired, self.note_of(write.marks)))
        if write.carried:
            before, there = {}, after
        else:
            (texts,) = self.read([at])
            before = self.own(at, texts)
            ours = labels.recorded(before) | labels.recorded(after)
            both = record.packed(labels.ACCESS, ours.union(theirs))
            if len({**texts, **both}) > labels.MAX_LABELS:
                both = record.packed(labels.ACCESS, ours)
            there = {**before, **both}
            if there != before:
                self.change(at, both)
        try:
            with watching() as written:
                yield
        except PlatformError as error:
            # one attempt may have been carried out and its answer lost, before another was refused
            if error.code in REFUSED and not written.is_set():
                with suppress(PlatformError):  # the first error is the one to report
                    self.change(at, before, [key for key in there if key not in before])
            raise
        if there != after:
            self.change(at, after, [key for key in there if key not in after])


class AccountLedger(Ledger):
    """The description of the pull account, which says in which locations the registry has repositories."""

    session: GcpSession

    def carrier(self, at: Address) -> Address:
        return at if at.kind == "account" else description.carrier_of(self.session.registry)

    def key(self, at: Address) -> str:
        return f"{description.AT}{at.name}"

    def locations(self, texts: Texts) -> Iterator[str]:
        """The locations that are noted, sorted."""
        return (
            key.removeprefix(description.AT) for key in sorted(texts) if key.startswith(description.AT) and texts[key]
        )

    def noted(self, at: Address) -> Collection[str]:
        return (self.key(at),)

    def fetch(self, carriers: Sequence[Address]) -> list[Texts]:
        return self.session.map(self._texts, carriers)

    def _texts(self, at: Address) -> Texts:
        found = self.session.account(at)
        return description.parsed(found.get("description", "")).texts if found else {}

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        carrier = self.carrier(at)
        found = self.session.account(carrier)
        if found is None:
            if put:
                raise PlatformError("its service account is gone", address=carrier, hint="make a new plan")
            return
        said = description.parsed(found.get("description", ""))
        texts = {**{key: value for key, value in said.texts.items() if key not in remove}, **put}
        if texts != said.texts:
            self.session.change_account(carrier, {"description": description.written(texts, said.before, said.behind)})
