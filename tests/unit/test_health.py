"""What a kubelet and Prometheus get for an answer."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from spotkube.health import Health, serving
from spotkube.metrics import Metrics
from spotkube.settings import SettingsError


class Operator:
    def __init__(self) -> None:
        self.now = 0.0
        self.synced = False
        self.health = Health(max_silence_seconds=30, checks={"cache": lambda: self.synced}, clock=lambda: self.now)
        self.metrics = Metrics()


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
async def url(operator: Operator) -> AsyncIterator[str]:
    async with serving(operator.health, operator.metrics, port=0, host="127.0.0.1") as port:
        yield f"http://127.0.0.1:{port}"


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_a_loop_that_is_silent_for_too_long_is_dead_until_it_beats(operator: Operator, url: str) -> None:
    assert await get(f"{url}/healthz") == (200, "ok\n")
    operator.now = 31
    assert await get(f"{url}/healthz") == (503, "the loop has been silent for 31 s\n")
    operator.health.beat()
    assert (await get(f"{url}/healthz"))[0] == 200


async def test_ready_means_that_all_checks_hold(operator: Operator, url: str) -> None:
    assert await get(f"{url}/readyz") == (503, "not ready: cache\n")
    operator.synced = True
    assert await get(f"{url}/readyz") == (200, "ok\n")


async def test_metrics_are_served(operator: Operator, url: str) -> None:
    operator.metrics.leader.set(1)
    status, text = await get(f"{url}/metrics")
    assert status == 200
    assert "spotkube_leader 1.0\n" in text


async def test_a_port_that_is_taken_is_told(operator: Operator, url: str) -> None:
    port = int(url.rsplit(":", 1)[1])
    with pytest.raises(SettingsError, match=f"health_port {port} cannot be listened on"):
        async with serving(operator.health, operator.metrics, port=port, host="127.0.0.1"):
            pass
