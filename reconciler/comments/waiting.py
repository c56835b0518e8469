"""How long a host asks to wait before a call is made again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

#: how often a call is made, and seconds that a run waits in all
ATTEMPTS, PATIENCE = 5, 600.0
#: seconds to wait at least where GitHub gives no time, and twice as long each time after
#: (https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately)
LEAST = 60.0
#: what answers in the place of the host, which may have carried out the call all the same
GATEWAY = (502, 503, 504)

#: the clock in seconds since 1970, and what waits so many seconds
now: Callable[[], float] = time.time
sleep: Callable[[float], object] = time.sleep


class Later(Exception):
    """The host asks to come back in so many seconds. `growing`: twice as many each time, since it did not say how many."""

    def __init__(self, seconds: float, *, growing: bool = False) -> None:
        self.seconds = seconds
        self.growing = growing
        super().__init__(f"asked to wait for {seconds:.0f} s")


def asked_to_wait(answer: httpx.Response) -> Later | None:
    """What the host asks; None if the answer is not about a limit and not a gateway's.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit: 403 or 429, with
    `retry-after`; or with `x-ratelimit-remaining: 0` and the time in `x-ratelimit-reset`; or, for a secondary limit, with nothing
    but a message. https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/: 429 with `Retry-After`.
    """
    status, headers = answer.status_code, answer.headers
    spent = headers.get("x-ratelimit-remaining") == "0"
    limited = status == 429 or (status == 403 and ("retry-after" in headers or spent or _secondary(answer)))
    if not limited and status not in GATEWAY:
        return None
    if (seconds := _retry_after(headers.get("retry-after", ""))) is not None:
        return Later(seconds)
    if spent and (reset := headers.get("x-ratelimit-reset", "")).isdecimal():
        return Later(max(1.0, float(reset) - now() + 1))  # its clock may be a little ahead
    return Later(LEAST if limited else 1.0, growing=True)


def words_of(answer: httpx.Response) -> str:
    """What an answer says as text, whatever it says that its own encoding is: both hosts write UTF-8."""
    return answer.content.decode("utf-8", "replace")


def _secondary(answer: httpx.Response) -> bool:
    """Whether a 403 is about a secondary limit. Its words are all that distinguishes it from a missing right."""
    text = words_of(answer).lower()
    return any(words in text for words in ("secondary rate limit", "secondary-rate-limit", "abuse detection"))


def _retry_after(text: str) -> float | None:
    """The seconds of a Retry-After header, which may be a date (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after); None if it
    is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a time zone as far away as none is
        return None
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now())
