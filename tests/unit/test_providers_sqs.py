"""The reader of a queue, against moto's server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from awscrt.auth import AwsCredentialsProvider

from spotkube.providers.sqs import QueueError, SqsQueue
from support_moto import REGION, MotoQueue, moto_server


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with moto_server() as address:
        yield address


@pytest.fixture
async def queue(address: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[MotoQueue, SqsQueue]]:
    """As its owner has it, and as we read it."""
    owned = MotoQueue(address, request.node.name)
    reader = SqsQueue(owned.url, REGION, AwsCredentialsProvider.new_static("test", "test"))
    yield owned, reader
    await reader.close()


async def test_received_hidden_and_deleted(queue: tuple[MotoQueue, SqsQueue]) -> None:
    owned, reader = queue
    owned.send("first")
    owned.send("second")

    found = await reader.receive(0, 60)
    assert {message.body for message in found} == {"first", "second"}
    assert await reader.receive(0, 60) == ()

    first, second = sorted(found, key=lambda message: message.body)
    await reader.hide(first.receipt, 0)
    (again,) = await reader.receive(0, 60)
    assert (again.id, again.body) == (first.id, "first")

    await reader.delete(again.receipt)
    await reader.delete(second.receipt)
    assert owned.left() == 0


async def test_a_queue_that_is_gone_is_told_with_a_remedy(queue: tuple[MotoQueue, SqsQueue]) -> None:
    owned, reader = queue
    owned.delete()

    with pytest.raises(QueueError, match="make the queue, or name another one in notice_queue_url"):
        await reader.receive(0, 60)


async def test_nobody_listens() -> None:
    reader = SqsQueue("http://127.0.0.1:1/123/q", REGION, AwsCredentialsProvider.new_static("test", "test"))
    with pytest.raises(QueueError, match="no answer"):
        await reader.receive(0, 60)
    await reader.close()


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/q", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("https://us-east-2.queue.amazonaws.com/123456789012/q", "us-east-2"),
        ("https://vpce-0a-b.sqs.us-east-1.vpce.amazonaws.com/123456789012/q", "us-east-1"),
    ],
)
def test_the_address_tells_the_region(url: str, region: str) -> None:
    assert SqsQueue(url)._region == region


def test_an_address_that_tells_no_region_asks_for_it() -> None:
    with pytest.raises(ValueError, match="notice_queue_region"):
        SqsQueue("http://localhost:5000/123/q")
