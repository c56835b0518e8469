"""Access tokens: of service accounts (IAM Service Account Credentials v1, as far as impersonation asks), and in exchange for those of
a workload identity provider (Security Token Service v1)."""

from __future__ import annotations

import re
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


#: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
PROVIDER = re.compile(
    r"//iam\.googleapis\.com/projects/\d+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+"
)


def exchange(state: State, asked: Asked) -> Document:
    """A federated token, which names the token that was given for it.

    https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token: fields, required ones, and the answer's. Errors here are
    OAuth's own (RFC 6749, 5.2), which the stand-in does not write: what it refuses has Google's usual form.
    """
    asked.only()
    sent = asked.body
    needed = ("audience", "grantType", "requestedTokenType", "subjectToken", "subjectTokenType")
    if any(not sent.get(name) for name in needed) or sent["grantType"] != EXCHANGE or not sent.get("scope"):
        raise invalid("Invalid request.")
    if sent["requestedTokenType"] != ACCESS_TOKEN or not PROVIDER.fullmatch(sent["audience"]):
        raise invalid('Invalid value for "audience".')
    return {
        "access_token": f"ya29.federated.{sent['subjectToken']}.{state.next_number()}",
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": LONGEST,
    }
