"""The client keeps the port's promises over a real connection, also when answers are lost or make no sense."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fakecloud import ON_DEMAND_KEY, SPOT_KEY, Clock, make_offering, make_order, open_cloud

from spotkube.model.resources import ResourceList
from spotkube.providers import connect_provider
from spotkube.providers.local.client import LocalProvider
from spotkube.providers.local.cloud import FakeCloud
from spotkube.providers.local.server import make_app
from spotkube.providers.local.wire import CapacityMessage, FaultsMessage, OrderMessage, format_key
from spotkube.providers.port import InstanceState, InsufficientCapacity, ProviderError, ProviderUnavailable

OFFERINGS = (make_offering(SPOT_KEY), make_offering(ON_DEMAND_KEY, 100_800))


@dataclasses.dataclass
class World:
    cloud: FakeCloud
    clock: Clock
    provider: LocalProvider
    url: str

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, data=json.dumps(body)) as answer,
        ):
            return answer.status, json.loads(await answer.read() or "null")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    cloud, store = open_cloud(tmp_path / "cloud.db", clock)
    async with TestServer(make_app(cloud, OFFERINGS, "sha256:1")) as server:
        url = str(server.make_url("/")).rstrip("/")
        provider = LocalProvider(url)
        yield World(cloud, clock, provider, url)
        await provider.close()
    store.close()


async def test_an_order_arrives_as_it_was_sent(world: World) -> None:
    order = make_order()
    instance = await world.provider.create(order)
    [machine] = world.cloud.list()
    assert machine.order == order
    assert instance == machine.instance
    assert instance.provider_id == f"spotkube-local:///us-east-1a/{machine.id}"
    assert (instance.token, instance.state, instance.tags) == (order.token, InstanceState.PENDING, order.tags)
    assert await world.provider.get(instance.provider_id) == instance
    assert await world.provider.list() == (instance,)


async def test_a_lost_answer_is_found_again_by_its_token(world: World) -> None:
    world.cloud.set_faults(FaultsMessage(drop_answers=1))
    with pytest.raises(ProviderUnavailable, match="repeat the call"):
        await world.provider.create(make_order())
    instance = await world.provider.create(make_order())
    assert await world.provider.list() == (instance,)


async def test_deleting_may_be_repeated(world: World) -> None:
    instance = await world.provider.create(make_order())
    world.cloud.set_faults(FaultsMessage(drop_answers=1))
    with pytest.raises(ProviderUnavailable):
        await world.provider.delete(instance.provider_id)
    await world.provider.delete(instance.provider_id)
    world.clock.pass_by(1)
    await world.provider.delete(instance.provider_id)
    ended = await world.provider.create(make_order())
    assert (ended.provider_id, ended.state) == (instance.provider_id, InstanceState.TERMINATED)


@pytest.mark.parametrize("provider_id", ["spotkube-local:///us-east-1a/i-0", "aws:///us-east-1a/i-0", "no/../id ?#"])
async def test_the_unknown_is_no_error(world: World, provider_id: str) -> None:
    await world.provider.delete(provider_id)
    assert await world.provider.get(provider_id) is None


async def test_no_capacity_names_the_offering(world: World) -> None:
    world.cloud.set_capacity(CapacityMessage(limits={format_key(SPOT_KEY): 0}))
    with pytest.raises(InsufficientCapacity) as refusal:
        await world.provider.create(make_order())
    assert refusal.value.offering == SPOT_KEY


async def test_an_order_that_can_not_be_is_not_sent(world: World) -> None:
    with pytest.raises(ProviderError, match="name") as refusal:
        await world.provider.create(make_order("No Name"))
    assert type(refusal.value) is ProviderError
    assert world.cloud.events() == ()


async def test_a_notice_gives_its_deadline(world: World) -> None:
    instance = await world.provider.create(make_order())
    noticed = await world.provider.interrupt(instance.provider_id, notice_seconds=120)
    assert noticed.termination_deadline == world.clock() + 120
    on_demand = await world.provider.create(make_order("b", ON_DEMAND_KEY))
    with pytest.raises(ProviderError, match="only spot is taken back"):
        await world.provider.interrupt(on_demand.provider_id, notice_seconds=120)


async def test_offerings_are_sent_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []
    request = LocalProvider._request

    async def spied(*arguments: Any, **named: Any) -> Any:
        answer = await request(*arguments, **named)
        statuses.append(answer[0])
        return answer

    monkeypatch.setattr(LocalProvider, "_request", spied)
    first = await world.provider.offerings()
    assert first == OFFERINGS
    assert await world.provider.offerings() is first
    assert statuses == [200, 304]


async def test_a_cloud_with_another_catalog_sends_it(tmp_path: Path, world: World) -> None:
    await world.provider.offerings()
    async with TestServer(make_app(world.cloud, OFFERINGS[:1], "sha256:2")) as other:
        world.provider._base_url = str(other.make_url("/")).rstrip("/")
        assert await world.provider.offerings() == OFFERINGS[:1]


async def test_prices_that_rise_are_sent_again(world: World) -> None:
    before = await world.provider.offerings()
    world.cloud.set_faults(FaultsMessage(price_times=1.5))
    risen = await world.provider.offerings()
    assert [one.price_micro_usd_hour for one in risen] == [round(1.5 * one.price_micro_usd_hour) for one in before]
    assert await world.provider.offerings() is risen
    world.cloud.set_faults(FaultsMessage())
    assert await world.provider.offerings() == before


async def test_an_error_says_which_field_is_wrong(world: World) -> None:
    body = OrderMessage.of(make_order()).model_dump(mode="json")
    body |= {"name": "No Name", "allocatable": {"cpu": "many"}, "offering": "m7i.large", "extra": 1}
    status, answer = await world.request("POST", "/v1/instances", body)
    assert (status, answer["error"]["code"]) == (400, "BadRequest")
    lines = answer["error"]["message"].splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["allocatable", "extra", "name", "offering"]
    assert (
        "offering: 'm7i.large' is no offering; write TYPE/ZONE/spot or TYPE/ZONE/on-demand (got \"m7i.large\")" in lines
    )
    assert world.cloud.list() == ()


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/v1/instances", "no order", "body"),
        ("PUT", "/v1/capacity", {"limits": {"a/b/spot": -1}}, "limits"),
        ("PUT", "/v1/capacity", {"default": -1}, "default"),
        ("PUT", "/v1/faults", {"insufficient": ["a/b/reserved"]}, "insufficient"),
        ("POST", "/v1/instances/i-0/interrupt", {"notice_seconds": -5}, "notice_seconds"),
        ("GET", "/v1/log?after=yesterday", None, "after"),
    ],
)
async def test_bad_requests_are_refused(world: World, method: str, path: str, body: Any, field: str) -> None:
    status, answer = await world.request(method, path, body)
    assert status == 400
    assert answer["error"]["message"].startswith(f"{field}: ")


async def test_the_log_can_be_followed(world: World) -> None:
    instance = await world.provider.create(make_order())
    _, answer = await world.request("GET", "/v1/log")
    [event] = answer["events"]
    assert (event["event"], event["name"], event["offering"]) == ("launched", "node-1", "m7i.large/us-east-1a/spot")
    await world.provider.delete(instance.provider_id)
    _, answer = await world.request("GET", f"/v1/log?after={event['sequence']}")
    assert [each["event"] for each in answer["events"]] == ["deleting"]


async def answering(status: int, body: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    return handler


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, "", ProviderUnavailable),
        (429, '{"error": {"code": "Throttled", "message": "slow down"}}', ProviderUnavailable),
        (200, "<html>", ProviderUnavailable),
        (200, '{"unexpected": 1}', ProviderUnavailable),
        (418, "teapot", ProviderError),
    ],
)
async def test_strange_answers_become_the_ports_errors(status: int, body: str, error: type[ProviderError]) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", await answering(status, body))
    async with TestServer(app) as server:
        provider = LocalProvider(str(server.make_url("/")))
        calls = (provider.create(make_order()), provider.get("x/i-1"), provider.list(), provider.offerings())
        for call in calls:
            with pytest.raises(ProviderError) as caught:
                await call
            assert type(caught.value) is error
        await provider.close()


async def test_no_server_is_unavailable(unused_tcp_port: int) -> None:
    provider = connect_provider("local", f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ProviderUnavailable, match=f"no answer from the fake cloud at .*{unused_tcp_port}"):
        await provider.list()
    await provider.close()


def test_wrong_kinds_and_endpoints_are_refused() -> None:
    with pytest.raises(ValueError, match="provider: 'azure' is not known; use one of: local"):
        connect_provider("azure", "http://127.0.0.1:1")
    with pytest.raises(ValueError, match=r"endpoint: '127\.0\.0\.1:1' is no URL"):
        connect_provider("local", "127.0.0.1:1")


def test_amounts_survive_the_wire() -> None:
    odd = ResourceList({"cpu": 1937, "memory": 7_654_321_987, "pods": 29, "nvidia.com/gpu": 1, "ephemeral-storage": 3})
    order = dataclasses.replace(make_order(), allocatable=odd)
    assert OrderMessage.of(order).order() == order
