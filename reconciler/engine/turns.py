"""In which order registries change their parts of one document, so that what stays is there all the time. Pure.

What one of them takes away and another one gets stays if the other one comes first. Where each waits for another, one has to begin:
the order is that in which the least is missing meanwhile, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import product
from typing import Any

import networkx as nx

from reconciler.model.access import Access, Neighbour
from reconciler.model.address import Address
from reconciler.words import all_of

Around = tuple[Neighbour, ...]
#: what a change takes away beside these neighbours, in sentences
Lost = Callable[[Address, Around], frozenset[str]]
#: so many others are looked at before and after their changes, in all combinations
MOST_OTHERS = 5
#: so many beginnings are looked at for the order in which the least is missing
MOST_BEGINNINGS = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """What a change waits for; and what is missing once it is done, in sentences, `until` those others are done too."""

    waits: tuple[Address, ...] = ()
    missing: tuple[str, ...] = ()
    until: tuple[Address, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing and until when, in sentences."""
        return tuple(
            f"until {all_of(self.until)} {'is' if len(self.until) == 1 else 'are'} done, {item}"
            for item in self.missing
        )


def turns(near: Mapping[Address, Around], lost: Lost) -> Mapping[Address, Turn]:
    """The turns of the changes of one document. `near`: the neighbours of each change, whether they change or not."""
    document = _Document(near, lost)
    pairs = {(first, at) for at in near for first in document.helpers(at)}
    found: dict[Address, Turn] = {}
    # what has nothing to do with each other is ordered apart: together, there are as many beginnings as combinations
    graph: nx.Graph[Address] = nx.Graph()
    graph.add_edges_from(sorted(pairs))
    groups: Iterable[set[Address]] = nx.connected_components(graph)
    for group in groups:
        order = document.order(sorted(group))
        for place, at in enumerate(order):
            done = frozenset(order[:place])
            helpers = sorted(first for first, then in pairs if then == at)
            missing = tuple(sorted(document.missing(at, done)))
            # where what is missing is missing only beside others that move, it is there again once all of them are done
            until = [item for item in helpers if item not in done] or document.undone(at, done)
            found[at] = Turn(tuple(item for item in helpers if item in done), missing, tuple(until) if missing else ())
    return found


class _Document:
    def __init__(self, near: Mapping[Address, Around], lost: Lost) -> None:
        self._lost = lost
        moving = {at: [item for item in around if _moves(item) and item.address in near] for at, around in near.items()}
        self._still = {at: tuple(item for item in around if item not in moving[at]) for at, around in near.items()}
        #: those that move, and have before or after what this one takes away and nobody keeps
        self._moving = {at: tuple(self._concerned(at, some)) for at, some in moving.items()}

    def _concerned(self, at: Address, moving: Collection[Neighbour]) -> Iterator[Neighbour]:
        still = self._still[at]

        def have(some: Iterable[Neighbour]) -> frozenset[str]:
            found = (_has(item, settings) for item in some for settings in (item.before, item.after))
            return self._lost(at, still) - self._lost(at, (*still, *found))

        if moving and have(moving):
            yield from (item for item in moving if have((item,)))

    def helpers(self, at: Address) -> list[Address]:
        """The neighbours whose change gives what this one takes away and nobody else has all the time."""
        return [item.address for item in self._moving[at] if self._helps(at, item)]

    def _helps(self, at: Address, one: Neighbour) -> bool:
        others = [item for item in self._moving[at] if item is not one]
        if not self._given(at, (one,), ()):
            return False
        ways = product(*((_has(item, item.before), _has(item, item.after)) for item in others))
        return len(others) > MOST_OTHERS or any(self._given(at, (one,), way) for way in ways)

    def missing(self, at: Address, done: Collection[Address]) -> frozenset[str]:
        """What this change takes away when these are done, and would not if all were."""
        left = self.undone(at, done)
        undone = tuple(item for item in self._moving[at] if item.address in left)
        return self._given(at, undone, tuple(_has(x, x.after) for x in self._moving[at] if x.address in done))

    def undone(self, at: Address, done: Collection[Address]) -> list[Address]:
        """The neighbours that concern a change and are not done."""
        return [item.address for item in self._moving[at] if item.address not in done]

    def _given(self, at: Address, undone: Around, others: Around) -> frozenset[str]:
        """What of that which this change takes away some give that are not done. `others`: what there is beside these."""
        before = (*self._still[at], *others, *(_has(item, item.before) for item in undone))
        after = tuple(Neighbour(item.address, None, item.after) for item in undone)
        return self._lost(at, before) - self._lost(at, (*before, *after))

    def order(self, these: Collection[Address]) -> tuple[Address, ...]:
        """The order in which the least is missing meanwhile."""
        looked: set[frozenset[Address]] = set()
        left: list[tuple[tuple[int, int], int, tuple[Address, ...]]] = [((0, 0), 0, ())]
        while True:
            _, missing, begun = heappop(left)
            done = frozenset(begun)
            if len(done) == len(these):
                return begun
            if done in looked:
                continue
            looked.add(done)
            for at in these:
                if at not in done:
                    then = missing + len(self.missing(at, done))
                    # once there are too many, whichever has come furthest goes on
                    key = (then, -len(begun)) if len(looked) < MOST_BEGINNINGS else (-len(begun) - 1, then)
                    heappush(left, (key, then, (*begun, at)))


def _moves(item: Neighbour) -> bool:
    return bool(item.before != item.after)


def _has(item: Neighbour, settings: Any) -> Neighbour:
    """The neighbour as if it had this before the plan and after it."""
    return Neighbour(item.address, settings, settings)


def ended(item: Access) -> str:
    """That access is gone, as a sentence."""
    who, end = item.principal.label, f", {item.note}" if item.note else ""
    if who.partition(" (")[0] == "anyone":  # "anyone can't" would read as if nobody could
        return f"{'perhaps ' if item.may else ''}not {who.replace('anyone', 'everyone', 1)} can {item.verb}{end}"
    cannot = "may be unable to" if item.may else "can't"
    return f"{who} {cannot} {item.verb.replace(' every repository', ' any repository')}{end}"
