"""How often Azure Resource Manager is called: 250 reads at once and 25 a second from then on, 200 writes and 10."""

from __future__ import annotations

import pytest

from reconciler.platforms.azure.buckets import READS, WRITES, Bucket


class Clock:
    """Seconds that pass only where somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("size", "refill"), [READS, WRITES])
def test_calls_go_at_once_while_there_are_tokens_and_at_the_rate_from_then_on(size: int, refill: float) -> None:
    clock = Clock()
    bucket = Bucket(size, refill, clock)
    for _ in range(size):
        bucket.wait(clock.pause)
    assert clock.now == 0
    for _ in range(100):
        bucket.wait(clock.pause)
    assert clock.now == pytest.approx(100 / refill)


def test_a_pause_that_azure_asks_for_holds_up_whoever_comes_next() -> None:
    clock = Clock()
    bucket = Bucket(*READS, clock)
    bucket.refused(7.0)
    bucket.wait(clock.pause)
    assert clock.now == pytest.approx(7 + 1 / READS[1])


def test_the_buckets_are_those_that_azure_documents() -> None:
    assert (READS, WRITES) == ((250, 25.0), (200, 10.0))
