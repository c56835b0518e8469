"""New connections of an address that guesses passwords wait for their turn: who guesses waits, and nobody else."""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

#: new connections that are looked at, at once and then in a second, of an address from which a wrong secret came in the last
#: SUSPECT seconds
AT_ONCE, A_SECOND, SUSPECT = 4, 50.0, 60.0
#: connections that are looked at, at a time
BURST = 4


@dataclass(frozen=True, slots=True)
class _Waiting:
    client: socket.socket
    begin: Callable[[], None]
    left: Callable[[], None]


@dataclass(slots=True)
class _Address:
    """An address that guesses: when it last did, when its next connection is looked at, and which connections wait for that."""

    guessed: float
    next: float = 0.0
    waiting: deque[_Waiting] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class Turns:
    """Whose new connections wait. It is made and used in the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._addresses: dict[str, _Address] = {}

    def guessed(self, address: str) -> None:
        """A wrong secret has come from the address."""
        self._addresses.setdefault(address, _Address(0.0)).guessed = self._loop.time()

    def take(self, address: str, client: socket.socket, begin: Callable[[], None], left: Callable[[], None]) -> None:
        """Calls `begin` when it is the connection's turn, at once for an address that guesses nothing; `left` if its client has gone
        before that: then the socket is closed, and the turn is the next one's."""
        found = self._addresses.get(address)
        if found is None:
            begin()
            return
        found.waiting.append(_Waiting(client, begin, left))
        self._go_on(found)

    def _go_on(self, found: _Address) -> None:
        """Begins what may begin (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm), and comes again for the rest."""
        if found.timer is not None:
            return
        looked_at = 0
        while found.waiting:
            now = self._loop.time()
            turn = max(found.next, now - (AT_ONCE - 1) / A_SECOND)
            if turn > now or looked_at == BURST:  # others want their turn too
                found.timer = self._loop.call_at(max(turn, now), self._come_again, found)
                return
            looked_at += 1
            first = found.waiting.popleft()
            if _has_left(first.client):
                _forget(first)
            else:
                found.next = turn + 1 / A_SECOND
                first.begin()

    def _come_again(self, found: _Address) -> None:
        found.timer = None
        self._go_on(found)

    def sweep(self) -> None:
        """Forgets clients that have left, whose places are others' then, and addresses that guess no more."""
        over = self._loop.time() - SUSPECT
        for address, found in list(self._addresses.items()):
            here: deque[_Waiting] = deque()
            for waiting in found.waiting:
                if _has_left(waiting.client):
                    _forget(waiting)
                else:
                    here.append(waiting)
            found.waiting = here
            if found.guessed <= over and not here and found.timer is None:
                del self._addresses[address]

    def close(self) -> None:
        """Closes all that wait."""
        for found in self._addresses.values():
            if found.timer is not None:
                found.timer.cancel()
            for waiting in found.waiting:
                _forget(waiting)
        self._addresses.clear()


def _forget(waiting: _Waiting) -> None:
    waiting.client.close()
    waiting.left()


def _has_left(client: socket.socket) -> bool:
    """Whether nobody is there to read an answer. On Linux also if something was asked before: the kernel tells of the end that comes
    after it (https://man7.org/linux/man-pages/man2/poll.2.html, POLLRDHUP)."""
    if hasattr(select, "POLLRDHUP"):
        asked = select.poll()
        asked.register(client, select.POLLRDHUP)
        return bool(asked.poll(0))
    try:
        return not client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
