"""Moto's server as a process: a stand-in for Amazon SQS, in an environment of its own (`make .venv-moto/.ready`)."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support import wait_until

SERVER = Path(__file__).parent.parent / ".venv-moto" / "bin" / "moto_server"
REGION = "us-east-1"
# Moto takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


class MotoQueue:
    """One queue as its owner sees it."""

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self.url = str(self.call("CreateQueue", QueueName=name)["QueueUrl"])

    def call(self, action: str, **body: Any) -> dict[str, Any]:
        scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0"
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Authorization": scope,
        }
        request = urllib.request.Request(self._address, json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.loads(answer.read() or "{}"))

    def send(self, body: str) -> None:
        self.call("SendMessage", QueueUrl=self.url, MessageBody=body)

    def left(self) -> int:
        """Messages that were not deleted, those too that are hidden for a while."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.call("GetQueueAttributes", QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def delete(self) -> None:
        self.call("DeleteQueue", QueueUrl=self.url)


@contextmanager
def moto_server() -> Iterator[str]:
    """Its address. Skips the test where moto is not set up."""
    if not SERVER.exists():
        pytest.skip(f"{SERVER} is not there: make .venv-moto/.ready")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port) or None, 60, lambda: f"moto to listen on port {port}")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def interruption(instance: str, id_: str = "event-1", kind: str = "EC2 Spot Instance Interruption Warning") -> str:
    """As EventBridge would send it just now."""
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = {"instance-id": instance, "instance-action": "terminate"}
    return json.dumps({"id": id_, "detail-type": kind, "source": "aws.ec2", "time": time, "detail": detail})
