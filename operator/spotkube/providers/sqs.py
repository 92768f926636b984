"""A queue of Amazon SQS: the three calls that a reader needs, by its JSON protocol.

AWS's own SDK for Python can't be installed beside the Kubernetes client (they want different versions of
python-dateutil). Its runtime, awscrt, finds credentials wherever a pod has them and signs; the rest is plain HTTP.
"""

import asyncio
import io
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.exceptions import AwsCrtError
from awscrt.http import HttpHeaders, HttpRequest

TIMEOUT_SECONDS = 10.0
MOST_MESSAGES = 10  # what SQS gives at once
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_REMEDIES = {
    "AccessDenied": "allow our role sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on it",
    "QueueDoesNotExist": "make the queue, or name another one in notice_queue_url",
    "ExpiredToken": "renew the credentials",
    "InvalidClientTokenId": "check the credentials",
    "Throttl": "it is tried again, later each time",
}


class QueueError(Exception):
    """The queue did not answer, or refused; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Message:
    """As it was received: `receipt` is what this reading of it is deleted by, `id` is the same each time it comes."""

    id: str
    receipt: str
    body: str


class SqsQueue:
    """All calls raise QueueError. `region` is told by the address of a queue at AWS."""

    def __init__(self, url: str, region: str | None = None, credentials: AwsCredentialsProvider | None = None) -> None:
        """Raises ValueError where no region can be told."""
        parts = urlsplit(url)
        named = (part for part in (parts.hostname or "").split(".") if _REGION.fullmatch(part))
        self._region = region or next(named, "")
        if not self._region:
            raise ValueError(f"notice_queue_region: {url} does not tell its region: set it, such as us-east-1")
        self._url = url
        self._address = f"{parts.scheme}://{parts.netloc}/"
        self._host = parts.netloc
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None

    async def receive(self, wait_seconds: int, hidden_seconds: int) -> tuple[Message, ...]:
        """Waits for messages for so long; what is received comes again after `hidden_seconds` unless it is deleted."""
        wanted = {
            "MaxNumberOfMessages": MOST_MESSAGES,
            "WaitTimeSeconds": wait_seconds,
            "VisibilityTimeout": hidden_seconds,
        }
        answer = await self._call("ReceiveMessage", wanted, TIMEOUT_SECONDS + wait_seconds)
        found = answer.get("Messages") or ()
        try:
            return tuple(Message(each["MessageId"], each["ReceiptHandle"], each["Body"]) for each in found)
        except (KeyError, TypeError) as error:
            raise QueueError(f"{self._url} answered ReceiveMessage with something else: {error!r}") from error

    async def hide(self, receipt: str, seconds: int) -> None:
        """Lets the message come again in so long."""
        await self._call("ChangeMessageVisibility", {"ReceiptHandle": receipt, "VisibilityTimeout": seconds})

    async def delete(self, receipt: str) -> None:
        await self._call("DeleteMessage", {"ReceiptHandle": receipt})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _call(
        self, action: str, body: dict[str, Any], timeout_seconds: float = TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        data = json.dumps({"QueueUrl": self._url, **body}).encode()
        try:
            async with asyncio.timeout(timeout_seconds):
                headers = await self._signed(action, data)
                if self._session is None:
                    self._session = aiohttp.ClientSession()
                async with self._session.post(self._address, data=data, headers=headers) as response:
                    text = await response.text()
        except (TimeoutError, aiohttp.ClientError, AwsCrtError, OSError) as error:
            raise QueueError(f"{self._url}: {action}: no answer: {error!r}") from error
        if response.status != 200:
            raise QueueError(_refusal(f"{self._url}: {action}", response.status, text))
        return _parsed(text)

    async def _signed(self, action: str, data: bytes) -> dict[str, str]:
        if self._credentials is None:
            self._credentials = AwsCredentialsProvider.new_default_chain()
        headers = HttpHeaders(
            [
                ("Host", self._host),
                ("Content-Type", "application/x-amz-json-1.0"),
                ("X-Amz-Target", f"AmazonSQS.{action}"),
            ]
        )
        config = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._credentials,
            region=self._region,
            service="sqs",
        )
        request = HttpRequest("POST", "/", headers, io.BytesIO(data))
        await asyncio.wrap_future(aws_sign_request(request, config))
        return dict(request.headers)


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise QueueError(f"the queue answered no JSON: {text:.200}") from error
    return found if isinstance(found, dict) else {}


def _refusal(what: str, status: int, text: str) -> str:
    remedy = next((words for name, words in _REMEDIES.items() if name in text), "it is tried again, later each time")
    return f"{what}: refused with {status}: {text:.300}; {remedy}"
