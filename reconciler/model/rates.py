"""How often a platform lets each operation be called: unknown until it refuses a call, and learned from then on.

A platform counts an account's calls of an operation, whoever makes them. So one rate is shared by all threads of a run, and by all of
its sessions with that account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar, cast

T = TypeVar("T")

#: an operation that is refused is called at this part of the rate that the platform was seen to take
AFTER = 0.85
#: each call that had to wait makes the next ones come faster by this part, and by at least that many a second
GROWTH, LEAST_GROWTH = 0.01, 0.1
#: after so many that waited and none that was refused, the rate is taken for a wrong one and grows by that part
CALM, QUICK_GROWTH = 50, 0.1
#: calls a second, however often they are refused: botocore's own floor
SLOWEST = 0.5
#: so many calls that were taken show the platform's rate well enough; older ones are forgotten then
ENOUGH = 10
#: how much of the time that a sleep took too long is made up for, in seconds
LATE = 0.1


class Rate:
    """The rate of one operation: additive increase, and a decrease to what the platform takes.

    Between two refusals a platform has handed out no more than the calls that it took, plus one: that is how the rate is known, be
    the platform's a bucket of tokens or anything else. `clock`: seconds, never backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._turn = Lock()
        self._next = 0.0
        self._cut = 0.0  # when it was slowed down last
        self._since = 0.0  # since when calls that were taken are counted
        self._taken = 0
        self._calm = 0  # calls that waited since it was slowed down
        #: calls a second; 0 while the platform has refused none
        self.limit = 0.0

    def wait(self, pause: Callable[[float], None]) -> None:
        """Returns when it is this call's turn. `pause` sleeps for some seconds; what it raises ends the wait."""
        if not self.limit:
            return
        with (
            self._turn
        ):  # one sleeps, the others queue behind it: each of them waking for each call would take its time
            waited = False
            while (seconds := self._next - self._clock()) > 0:
                pause(seconds)
                waited = True
            with self._lock:
                now = self._clock()
                self._next = max(self._next, now - LATE) + 1 / self.limit
                if waited:
                    self._calm += 1
                    growth = QUICK_GROWTH if self._calm > CALM else GROWTH
                    self.limit += max(self.limit * growth, LEAST_GROWTH)
                else:  # the platform could have taken more meanwhile
                    self._since, self._taken = now, 0

    def taken(self) -> None:
        """The platform took a call."""
        if self.limit:
            with self._lock:
                self._taken += 1

    def refused(self, sent: float) -> None:
        """The platform refused a call that was sent at a time of the clock."""
        with self._lock:
            now = self._clock()
            if self.limit and sent < self._cut:
                return  # it was under way already when the rate was lowered
            if self.limit:
                known = (self._taken + 1) / max(now - self._since, 0.001)
                self.limit = max(min(self.limit, known) * AFTER, SLOWEST)
                self._calm = 0
            else:  # a guess: as if calls were made one after the other
                self.limit = max(1 / max(now - sent, 0.001), SLOWEST)
                self._calm = CALM
                self._since = now
            if self._taken >= ENOUGH:
                self._since, self._taken = now, 0
            self._cut = now
            self._next = max(self._next, now + 1 / self.limit)


class Rates:
    """The rates of a run, by whatever a platform counts calls by. Pickles as none: another process learns its own."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Rate] = {}
        self._made: dict[Hashable, Any] = {}

    def of(self, *key: Hashable) -> Rate:
        """The rate of that key, made when it is first asked for."""
        found = self._known.get(key)
        return found if found is not None else self._known.setdefault(key, Rate())

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What a platform knows beforehand of how often it may be called, made when it is first asked for."""
        found = self._made.get(key)
        return cast(T, found if found is not None else self._made.setdefault(key, make()))

    def __reduce__(self) -> tuple[object, ...]:
        return Rates, ()
