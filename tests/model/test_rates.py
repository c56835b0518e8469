"""The rate of an operation, learned from what the platform refuses: on a clock of its own."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.rates import Rate, Rates

pytestmark = pytest.mark.slow  # many random rates


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


class Platform:
    """Takes `rate` calls a second, and `burst` at once."""

    def __init__(self, clock: Clock, rate: float, burst: float) -> None:
        self.clock, self.rate, self.burst = clock, rate, burst
        self.tokens, self.then, self.taken, self.refused = burst, clock(), 0, 0

    def takes(self) -> bool:
        now = self.clock()
        self.tokens, self.then = min(self.burst, self.tokens + (now - self.then) * self.rate), now
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        self.taken += 1
        return True


def call(rate: Rate, platform: Platform, clock: Clock, latency: float) -> None:
    """One call until it is taken."""
    while True:
        rate.wait(clock.sleep)
        sent = clock()
        clock.now += latency
        if platform.takes():
            rate.taken()
            return
        rate.refused(sent)


def test_what_is_never_refused_never_waits() -> None:
    clock = Clock()
    rate = Rate(clock)
    platform = Platform(clock, rate=1, burst=1000)
    for _ in range(1000):
        call(rate, platform, clock, latency=0.001)
    assert (rate.limit, clock.slept) == (0, [])


@given(
    st.sampled_from([0.2, 1.0, 10.0, 100.0, 1000.0]),
    st.integers(3, 100),
    st.floats(0.01, 0.5),
    st.integers(200, 600),
)
def test_calls_come_at_the_platforms_own_rate_whatever_that_is(
    per_second: float, burst: int, share: float, number: int
) -> None:
    clock = Clock()
    rate, platform = Rate(clock), Platform(clock, per_second, burst)
    latency = share / per_second
    for _ in range(number):
        call(rate, platform, clock, latency)
    bound = max((number - burst) / per_second, number * latency)
    assert clock() - 1000 <= 1.15 * bound + 1 / per_second, "in the time of this clock"
    # below a call in two seconds, each try comes after two seconds, and so most are refused
    assert platform.refused <= number / 3 + 12 or per_second < 0.5


def test_a_rate_that_falls_and_rises_is_followed() -> None:
    clock = Clock()
    rate, platform = Rate(clock), Platform(clock, 50, 10)
    for per_second in (50, 5, 200):
        platform.rate = per_second
        for _ in range(300):  # to learn it
            call(rate, platform, clock, latency=0.002)
        before = clock()
        for _ in range(300):
            call(rate, platform, clock, latency=0.002)
        assert 0.8 * per_second <= 300 / (clock() - before) <= 1.1 * per_second


def test_time_in_which_nothing_was_called_does_not_count_as_the_platforms_rate() -> None:
    clock = Clock()
    rate, platform = Rate(clock), Platform(clock, 10, 20)
    for _ in range(100):
        call(rate, platform, clock, latency=0.01)
    clock.now += 3600
    before = clock()
    for _ in range(220):
        call(rate, platform, clock, latency=0.01)
    assert clock() - before <= 1.15 * 220 / 10


def test_calls_that_were_under_way_when_the_rate_was_lowered_do_not_lower_it_again() -> None:
    clock = Clock()
    rate = Rate(clock)
    sent = clock()
    clock.now += 0.1
    rate.refused(sent)
    limit = rate.limit
    assert limit == pytest.approx(10)
    for _ in range(31):
        rate.refused(sent)
    assert rate.limit == limit


def test_what_pause_raises_ends_the_wait_and_lets_the_next_one_come() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.refused(clock())

    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rate.wait(stopped)
    rate.wait(clock.sleep)
    assert len(clock.slept) == 1


def test_rates_are_one_for_each_key_and_another_process_learns_its_own() -> None:
    rates = Rates()
    assert rates.of("1", "here", "Get") is rates.of("1", "here", "Get")
    others = {rates.of("2", "here", "Get"), rates.of("1", "there", "Get"), rates.of("1", "here", "Put")}
    assert len(others) == 3
    rates.of("1", "here", "Get").refused(0)
    assert not pickle.loads(pickle.dumps(rates)).of("1", "here", "Get").limit
