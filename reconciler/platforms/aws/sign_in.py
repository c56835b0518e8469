"""The calls by which botocore itself gets credentials, in the log of calls: of an `assume_role`, and of a profile's roles and SSO."""

from __future__ import annotations

import time
from typing import Any

import botocore.session

from reconciler.model.call_log import log_call

from .troubles import result_of

#: by the names that botocore's events have
#: (https://docs.aws.amazon.com/boto3/latest/guide/events.html): what its providers of credentials call
#: (https://github.com/boto/botocore/blob/develop/botocore/credentials.py)
_CALLS = {
    "sts.AssumeRole": "sts:AssumeRole",
    "sts.AssumeRoleWithWebIdentity": "sts:AssumeRoleWithWebIdentity",
    "sso.GetRoleCredentials": "sso:GetRoleCredentials",
}
_SENT = "reconciler_sent"


def log_sign_in(base: botocore.session.Session) -> None:
    """Notes each such call of the session's clients, those that botocore opens for itself included."""
    for name in _CALLS:
        base.register(f"before-call.{name}", _sent)
        base.register(f"after-call.{name}", _answered)
        base.register(f"after-call-error.{name}", _failed)


def _sent(**event: Any) -> None:
    event["context"][_SENT] = time.monotonic()


def _answered(**event: Any) -> None:
    log_call(_name(event), _since(event), *result_of(event["parsed"]))


def _failed(**event: Any) -> None:
    log_call(_name(event), _since(event), type(event["exception"]).__name__)


def _name(event: dict[str, Any]) -> str:
    return _CALLS[event["event_name"].partition(".")[2]]


def _since(event: dict[str, Any]) -> float:
    now = time.monotonic()
    return now - float(event["context"].get(_SENT, now))
