"""What a listing has read, for the kinds that list from it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


class Remembered:
    """What was read, by names."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[str, _Once] = {}

    def once(self, name: str, read: Callable[[], T]) -> T:
        """What was read under a name, read now if nothing was. Raises what the read does."""
        with self._lock:
            task = self._seen.setdefault(name, _Once(read))
        found: T = task.value()
        return found

    def read_already(self, name: str) -> Any:
        """What was read under a name; None if nothing was."""
        with self._lock:
            task = self._seen.get(name)
        return task.value() if task is not None else None

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._seen.clear()


class _Once:
    """What is read when it is first asked for, whichever thread asks."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._lock = Lock()
        self._found: list[Any] = []

    def value(self) -> Any:
        """What was read. Raises what the read does, and reads again then."""
        with self._lock:
            if not self._found:
                self._found.append(self._read())
            return self._found[0]
