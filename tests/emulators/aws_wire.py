"""How AWS's APIs travel over HTTP: a request's operation, and an answer as botocore reads it."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

from aiohttp import web

from .proxy import Answer, Call, Request

#: the services whose answers are XML, by the query protocol; the others of ours speak JSON
QUERY_SERVICES = frozenset({"iam", "sts"})


class AwsWire:
    """The JSON and the query protocol. https://smithy.io/2.0/aws/protocols/index.html"""

    def call(self, request: Request) -> Call | None:
        """The call of a signed request: region and service stand in its signature."""
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", request.headers.get("authorization", ""))
        if scope is None:
            return None
        region, service = scope.groups()
        target = request.headers.get("x-amz-target", "")
        if target:
            body = json.loads(request.body or b"{}")
            return Call(service, target.rpartition(".")[2], region, body, request.headers)
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        return Call(service, form.pop("Action", ""), region, form, request.headers)

    def response(self, call: Call, answer: Answer) -> web.Response:
        """The answer in the protocol of the call's service."""
        if answer.text:
            return web.Response(status=answer.status, text=answer.text, content_type="text/html")
        if call.service in QUERY_SERVICES:
            # the query protocol's errors: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
            text = (
                "<ErrorResponse><Error><Type>Sender</Type>"
                f"<Code>{answer.error}</Code><Message>{answer.body.get('message', '')}</Message>"
                "</Error><RequestId>proxy-request</RequestId></ErrorResponse>"
            )
            return web.Response(status=answer.status, text=text, content_type="text/xml")
        body = {"__type": answer.error, **answer.body} if answer.error else answer.body
        headers = {"x-amzn-RequestId": "proxy-request", "x-amzn-ErrorType": answer.error} if answer.error else {}
        return web.Response(
            status=answer.status, body=json.dumps(body), headers=headers, content_type="application/x-amz-json-1.1"
        )
