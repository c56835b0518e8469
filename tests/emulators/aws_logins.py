"""Logins to ECR: moto's authorization tokens are all the same, and ended in 2015."""

from __future__ import annotations

import base64
import re
import secrets
import time
from dataclasses import dataclass, field

from .aws import Quiet
from .serving import Answer, Call

#: seconds: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
LIFE = 12 * 3600


@dataclass
class AuthorizationTokens(Quiet):
    """Each is a new one, good for 12 hours. `made`: by the token, the access key of whoever asked for it."""

    made: dict[str, str] = field(default_factory=dict)

    def before(self, call: Call) -> Answer | None:
        if call.operation != "GetAuthorizationToken":
            return None
        signed = re.search(r"Credential=(\w+)/", call.headers["authorization"])
        assert signed is not None
        token = secrets.token_urlsafe(40)
        self.made[token] = signed[1]
        data = {
            "authorizationToken": base64.b64encode(f"AWS:{token}".encode()).decode(),
            "expiresAt": time.time() + LIFE,
            "proxyEndpoint": f"https://123456789012.dkr.ecr.{call.region}.amazonaws.com",
        }
        return Answer(body={"authorizationData": [data]})


@dataclass
class NotYetAssumed(Quiet):
    """Refuses to let a role be assumed, `times` times (-1: always), in the code of STS:
    https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html"""

    times: int = -1
    refused: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != "AssumeRole" or self.refused == self.times:
            return None
        self.refused += 1
        role = call.body["RoleArn"]
        message = (
            f"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: {role}"
        )
        return Answer(403, {"message": message}, "AccessDenied")


class OneHour(Quiet):
    """Whoever is a role already gets sessions of at most an hour: https://repost.aws/knowledge-center/iam-role-chaining-limit"""

    def before(self, call: Call) -> Answer | None:
        if call.operation != "AssumeRole" or int(call.body["DurationSeconds"]) <= 3600:
            return None
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        return Answer(400, {"message": message}, "ValidationError")
