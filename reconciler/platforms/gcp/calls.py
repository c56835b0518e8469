"""One call to Google, or to a server of tokens: what comes of it, and its line in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reconciler.platforms.http import logged

from .executable import failure_of
from .rules import RACED
from .troubles import FAILURES, NoAnswer, NotGoogle, Refusal, understood

T = TypeVar("T")
#: what google-auth raises of an answer that is of another form
OTHER_FORM = (ValueError, TypeError, LookupError, AttributeError)


def refreshed(credentials: Any, request: Any) -> None:
    """Gets a new token for the credentials. Raises NoAnswer, NotGoogle, and what is said of credentials."""
    try:
        credentials.refresh(request)
    except FAILURES as error:
        raise understood(error) from None
    except OTHER_FORM as error:
        raise failure_of(error) or NotGoogle() from None


def sent(action: str, make: Callable[[], T]) -> T:
    """One call, and its line in the log. Raises Refusal, NoAnswer, NotGoogle, and what is said of credentials."""
    with logged(action) as log:
        try:
            answer = make()
        except FAILURES as error:
            found = understood(error)
            log.answered(found.status if isinstance(found, Refusal) else type(found).__name__)
            raise found from None
        except OTHER_FORM as error:  # a new token is asked for whenever the old one is over
            failed = failure_of(error)
            if failed is None:
                raise
            log.answered(type(failed).__name__)
            raise failed from None
        except Refusal as error:
            log.answered(error.status)
            raise
        log.answered("200")
        return answer


def passes_soon(operation: str, error: BaseException) -> bool:
    """Whether the same call may succeed soon. A policy that somebody else wrote meanwhile is read and merged again first."""
    if isinstance(error, Refusal):
        return error.passes or (error.status == RACED and operation != "SetIamPolicy")
    return isinstance(error, NoAnswer)
