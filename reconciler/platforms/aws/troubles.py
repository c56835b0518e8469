"""What goes wrong with a call to AWS, in words: its errors, and answers that aren't AWS's."""

from __future__ import annotations

import re
import traceback
from functools import cache
from typing import Any

import botocore.exceptions as aws_errors
import botocore.parsers
from botocore.retries.standard import RetryEventAdapter, ThrottlingErrorDetector

from reconciler.errors import PlatformError
from reconciler.model.call_log import current_address
from reconciler.platforms.http import Trouble

from .spec import AwsRegistry

#: words in AWS's error codes, and what they mean; the first that is found counts
_TROUBLES = (
    (("ExpiredToken", "RequestExpired"), Trouble.EXPIRED),
    (("InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "InvalidSignature"), Trouble.LOGIN),
    (("AccessDenied", "UnauthorizedOperation", "NotAuthorized"), Trouble.DENIED),
    (("Throttl", "TooManyRequests", "RequestLimitExceeded"), Trouble.THROTTLED),
    (("LimitExceeded",), Trouble.QUOTA),
    (("RepositoryNotEmptyException",), Trouble.NOT_EMPTY),
    (("DeleteConflict",), Trouble.IN_USE),
)
#: what AWS's own users add to the general advice
_MORE = {
    Trouble.QUOTA: " in Service Quotas",
    Trouble.IN_USE: " (an instance profile, say)",
}


class NotAws(Exception):
    """The answer has nothing of what the operation answers: a proxy's page, say. It must not count as "there is nothing"."""

    def __init__(self) -> None:
        super().__init__("the answer did not come from AWS")


class Throttled(aws_errors.ClientError):
    """AWS says that the operation is called too often."""


#: botocore counts it among the throttling errors; ECR and IAM say it of quotas, which no waiting changes
#: (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html#API_CreateRepository_Errors)
_QUOTA = "LimitExceededException"
_throttling = ThrottlingErrorDetector(RetryEventAdapter())


def not_botocores_to_retry(response: Any = None, operation: Any = None, **event: Any) -> None:
    """What `needs-retry` calls first: raises what botocore must not try again.

    That is throttling, for which botocore has a quota of tries for each client, and waits for each call by itself; and quotas.
    https://docs.aws.amazon.com/boto3/latest/guide/retries.html, https://docs.aws.amazon.com/boto3/latest/guide/events.html
    """
    if response is None or response[0].status_code < 300:
        return
    answer = response[1]
    if answer.get("Error", {}).get("Code") == _QUOTA:
        raise aws_errors.ClientError(answer, operation.name)
    if _throttling.is_throttling_error(response=response, operation=operation, **event):
        raise Throttled(answer, operation.name)


#: how a call fails beside AWS's own errors
FAILURES = (aws_errors.BotoCoreError, botocore.parsers.ResponseParserError, NotAws)


def is_of_the_parser(error: Exception) -> bool:
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1] == botocore.parsers.__file__


def understood(client: Any, operation: str, answer: Any) -> Any:
    """The answer, if it is one. Raises NotAws."""
    if len(answer) > 1 or not _answers(client.meta.service_model, client.meta.method_to_api_mapping[operation]):
        return answer  # more than the metadata that botocore adds
    raise NotAws


@cache
def _answers(service: Any, operation: str) -> bool:
    """Whether the operation answers anything at all."""
    shape = service.operation_model(operation).output_shape
    return shape is not None and bool(shape.members)


def result_of(answer: Any) -> tuple[str, str]:
    """What a call came to, and its request id."""
    meta = answer.get("ResponseMetadata", {})
    retried = meta.get("RetryAttempts", 0)
    result = answer.get("Error", {}).get("Code") or str(meta.get("HTTPStatusCode", ""))
    return f"{result}{f' after {retried} retries' if retried else ''}", str(meta.get("RequestId", ""))


def translated(error: Exception, address: str, operation: str, registry: AwsRegistry, region: str) -> PlatformError:
    """The error for people: what AWS said in a region, and what to do about it."""
    address = address or current_address()
    if isinstance(error, aws_errors.ClientError):
        details = error.response.get("Error", {})
        code, message = str(details.get("Code", "")), str(details.get("Message", "") or error)
        request_id = str(error.response.get("ResponseMetadata", {}).get("RequestId", ""))
        return PlatformError(
            f"{code}: {message}",
            address=address,
            operation=operation,
            request_id=request_id,
            code=code,
            hint=_hint(code, _denied(message) or operation, registry, region),
        )
    if isinstance(
        error, aws_errors.NoCredentialsError | aws_errors.CredentialRetrievalError | aws_errors.ProfileNotFound
    ):
        hint = "log in again, or check AWS_PROFILE and the AWS config file"
    elif isinstance(error, NotAws | botocore.parsers.ResponseParserError):
        hint = "check AWS_ENDPOINT_URL and anything between here and AWS, such as a proxy with a login page"
    elif isinstance(error, aws_errors.HTTPClientError | aws_errors.ConnectionError):
        hint = f"check the network, the region {region}, and AWS_ENDPOINT_URL if it is set; then run again"
    else:
        hint = "check the AWS configuration (AWS_PROFILE, AWS_CONFIG_FILE, AWS_ENDPOINT_URL)"
    return PlatformError(str(error), address=address, operation=operation, code=type(error).__name__, hint=hint)


def _denied(message: str) -> str:
    """The action that AWS says is missing: a call may need more than the action of its name."""
    found = re.search(r"not authorized to perform: ([a-z-]+:[A-Za-z*]+)", message)
    return found[1] if found else ""


def _hint(code: str, operation: str, registry: AwsRegistry, region: str) -> str:
    trouble = next((trouble for words, trouble in _TROUBLES if any(word in code for word in words)), None)
    if trouble is None and code.startswith(("5", "Server", "ServiceUnavailable", "ServiceFailure", "Internal")):
        trouble = Trouble.SERVER
    if trouble is None:
        return ""
    hint = trouble.hint(operation=operation, cloud="AWS", account=f"account {registry.account_id}")
    if trouble is Trouble.LOGIN:
        # the same code for both: hashicorp/terraform-provider-aws#12940
        return f"{hint}; if that does not help, the account has not enabled the region {region}"
    return hint + _MORE.get(trouble, "")
