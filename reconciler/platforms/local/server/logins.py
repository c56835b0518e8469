"""Logins by password: each secret is hashed once, slowly, in a thread of its own; whoever guesses waits for nobody but themselves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from reconciler.platforms.local.credentials import USERNAME, CredentialStore, is_right
from reconciler.platforms.local.documents import CredentialsDocument

#: seconds for which a login that was right is remembered after its last use
REMEMBERED = 60.0
#: logins that are remembered
REMEMBERED_MOST = 1024
#: secrets that may wait to be checked for one ID, of those from one address, and for one ID if each is its address's only one
QUEUE, QUEUE_OF_ADDRESS, QUEUE_OF_STRANGERS = 8, 4, 64
#: seconds after which a client that was sent away may try again
RETRY = 1
#: what the checking thread adds to its niceness: requests of those who have logged in come first
BEHIND = 10
_PASSWORD = re.compile(r"rcl_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


class TooMany(Exception):
    """As many secrets as may wait for this ID are waiting."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login whose secret has to be checked yet."""

    issued: CredentialsDocument
    secret: str = field(repr=False)


@dataclass(slots=True)
class _Check:
    """A check under way, and who waits for it: whether each is still there."""

    answer: asyncio.Task[bool]
    waiting: list[Callable[[], bool]]


class Logins:
    """Checks passwords `rcl_ID_SECRET`, one at a time: each check takes 7 MiB and tens of milliseconds."""

    def __init__(self, credentials: CredentialStore) -> None:
        self._credentials = credentials
        self._key = secrets.token_bytes(32)
        self._right: dict[str, tuple[bytes, str, float]] = {}
        self._checks: dict[tuple[str, bytes], _Check] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._turn = asyncio.Lock()
        #: an address has one place in the queue for the turn, however many secrets it sends and for how many IDs
        self._turn_of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._thread = ThreadPoolExecutor(1, "logins", initializer=_stand_behind)

    def known(self, username: str, password: str) -> CredentialsDocument | Attempt | None:
        """The credentials of a login that was right a moment ago; an Attempt to check; None for one that is wrong. Reads files."""
        match = _PASSWORD.fullmatch(password)
        found = self._credentials.find(match[1]) if match else None
        if match is None or found is None or found.expired or username != (found.user or USERNAME):
            return None
        right = self._right.get(found.name)
        if right is not None:
            digest, document, until = right
            same = secrets.compare_digest(digest, self._keyed(match[2]))
            if same and document == found.hash and time.monotonic() < until:
                self._right[found.name] = (digest, document, time.monotonic() + REMEMBERED)
                return found
        return Attempt(found, match[2])

    def is_too_much(self, password: str, address: str) -> bool:
        """Whether the password is one more guess than may wait: it need not be looked at. Costs next to nothing: for the loop."""
        match = _PASSWORD.fullmatch(password)
        if match is None or not self._is_full(match[1], address):
            return False
        digest, right = self._keyed(match[2]), self._right.get(match[1])
        return (match[1], digest) not in self._checks and (
            right is None or not secrets.compare_digest(right[0], digest)
        )

    def _is_full(self, number: str, address: str) -> bool:
        all_of_them, own = self._waiting[number, ""], self._waiting[number, address]
        return own >= QUEUE_OF_ADDRESS or all_of_them >= (QUEUE if own else QUEUE_OF_STRANGERS)

    async def check(self, attempt: Attempt, address: str, here: Callable[[], bool]) -> bool:
        """Whether the attempt's secret is right. `here`: whether the client still waits; nothing is computed for one that left.

        Raises TooMany at once if too many others wait for this ID. The same secret is checked once for all who send it.
        """
        number = attempt.issued.name
        key = (number, self._keyed(attempt.secret))
        check = self._checks.get(key)
        if check is not None:
            check.waiting.append(here)
            return await asyncio.shield(check.answer)
        if self._is_full(number, address):
            raise TooMany
        self._waiting.update(_places(number, address))
        waiting = [here]
        self._checks[key] = check = _Check(asyncio.create_task(self._in_turn(attempt, address, key, waiting)), waiting)
        return await asyncio.shield(check.answer)

    async def _in_turn(
        self, attempt: Attempt, address: str, key: tuple[str, bytes], waiting: list[Callable[[], bool]]
    ) -> bool:
        places = _places(attempt.issued.name, address)
        try:
            own = self._turn_of.setdefault(address, asyncio.Lock())
            async with own, self._turn:
                if not any(here() for here in waiting):
                    return False
                loop = asyncio.get_running_loop()
                right = await loop.run_in_executor(self._thread, is_right, attempt.issued.hash, attempt.secret)
            if right:
                self._remember(attempt, key[1])
            return right
        finally:
            del self._checks[key]
            self._waiting.subtract(places)
            for place in places:
                if not self._waiting[place]:
                    del self._waiting[place]

    def _remember(self, attempt: Attempt, digest: bytes) -> None:
        if len(self._right) >= REMEMBERED_MOST:
            self._right.clear()
        self._right[attempt.issued.name] = (digest, attempt.issued.hash, time.monotonic() + REMEMBERED)

    def _keyed(self, secret: str) -> bytes:
        """A hash that says nothing without this process's key."""
        return hashlib.blake2b(secret.encode(), key=self._key, digest_size=32).digest()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(cancel_futures=True)


def _places(number: str, address: str) -> set[tuple[str, str]]:
    """Whose queues a check stands in: the ID's, and the ID's of that address."""
    return {(number, ""), (number, address)}


def _stand_behind() -> None:
    with suppress(OSError, AttributeError):  # Linux: a thread has a niceness of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
