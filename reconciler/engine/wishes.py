"""What a caller adds to a spec: the options of a plan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from reconciler.model.platform import PARALLELISM, TIMEOUT


@dataclass(frozen=True)
class Wishes:
    """What the command line adds to a spec: the options of a plan.

    `adopt`, `allow_delete`, `allow`: addresses; what `allow` names may be changed although that is dangerous. `targets`: globs over
    addresses (empty: everything).
    `release`: addresses of repositories to let go of. Each of these is a list or another collection; raises TypeError for a string,
    whose letters would be taken one by one.
    `destroy`: plan to delete all that the owner owns; `max_deletes` then does not apply.
    `parallelism`: concurrent calls per registry while reading. `timeout`: for how many seconds throttled calls are retried.
    `rescue`: the folder of rescue files. `count_expiring`: ask the platforms how many images expire by the changes.
    """

    adopt: Collection[str] = ()
    allow_delete: Collection[str] = ()
    targets: Collection[str] = ()
    destroy: bool = False
    release: Collection[str] = ()
    parallelism: int = PARALLELISM
    timeout: float = TIMEOUT
    rescue: str = "."
    count_expiring: bool = False
    allow: Collection[str] = ()

    def __post_init__(self) -> None:
        for name in ("adopt", "allow_delete", "allow", "targets", "release"):
            given: object = getattr(self, name)
            if isinstance(given, str | bytes):
                raise TypeError(f"Wishes.{name} takes a list of strings, not a string: {name}=[{given!r}]")
