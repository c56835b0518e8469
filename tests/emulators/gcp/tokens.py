"""Access tokens of service accounts: IAM Service Account Credentials v1, as far as impersonation asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from .fields import DURATION, Message, Repeated, read
from .state import State
from .wire import Asked, Document, Refusal, invalid

#: https://iamcredentials.googleapis.com/$discovery/rest?version=v1
REQUEST = Message({"scope": Repeated(str), "lifetime": DURATION, "delegates": Repeated(str)})
LONGEST = 3600
DENIED = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."


def generate(state: State, asked: Asked) -> Document:
    """A token that names its account, for an hour unless a shorter time is asked; a scope is needed.

    https://iamcredentials.googleapis.com/$discovery/rest?version=v1: longer than an hour takes a constraint of the organization. An
    account that is not there: https://github.com/google-github-actions/auth/issues/340.
    """
    asked.only()
    sent = read(REQUEST, asked.body, "request")
    seconds = Decimal(str(sent.get("lifetime", f"{LONGEST}s")).removesuffix("s"))
    if not sent.get("scope") or not 0 < seconds <= LONGEST:
        raise invalid()
    key = asked.names["account"]
    found = next((one for one in state.accounts.values() if key in (one.email, one.unique_id)), None)
    if found is None or found.disabled:
        raise Refusal("PERMISSION_DENIED", DENIED)
    over = datetime.now(UTC) + timedelta(seconds=float(seconds))
    token = f"ya29.stand-in.{found.email}.{state.next_number()}"
    return {"accessToken": token, "expireTime": over.strftime("%Y-%m-%dT%H:%M:%SZ")}
