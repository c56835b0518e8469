"""boto3's clients of moto itself, behind our code's back."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config


@cache
def moto_client(url: str, service: str, region: str) -> Any:
    """The client of a service in a region of the moto at `url`; the same each time, since to make one takes ten times as long as
    a call."""
    session = boto3.Session(aws_access_key_id="hand", aws_secret_access_key="hand", region_name=region)
    config = Config(user_agent="hand")
    client: Any = session.client(service, endpoint_url=url, config=config)  # type: ignore[call-overload]  # the stubs want a literal
    return client
