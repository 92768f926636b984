"""Nodes whose instances end are closed at once, by one patch each, whoever finds it out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller_builders import UNAVAILABLE, World
from spotkube.api import NodeClaim
from spotkube.cluster.errors import NotFound
from spotkube.cluster.resources import NODES
from spotkube.controllers.claims.doors import Doors, EndingNodes
from spotkube.controllers.claims.leaving import is_cordoned
from spotkube.controllers.toolbox import NotLeading
from spotkube.convert.nodes import to_node
from spotkube.model.cluster import Node
from spotkube.model.notices import Notice, NoticeKind

PATIENCE_SECONDS = 10.0
SIGN = Notice(NoticeKind.SPOT_INTERRUPTION, "taint", "1", 120.0)
WARNING = replace(SIGN, kind=NoticeKind.REBALANCE_RECOMMENDATION, ends_instance=False)


def node_of(world: World, name: str) -> Node:
    return to_node(world.kube.one(NODES, name))


async def noticed() -> tuple[World, str]:
    world = World()
    name = await world.up_and_running()
    world.notice(name, world.clock.now + 120)
    world.sync()
    world.kube.writes.clear()
    return world, name


async def run_for_a_while(doors: Doors, turns: int = 20) -> None:
    running = asyncio.create_task(doors.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class TestWhich:
    async def test_signs_and_messages_of_ours_that_end_the_instance(self) -> None:
        world = World()
        name = await world.up_and_running()
        node, claim = node_of(world, name), world.claim
        inbox = world.tools.inbox

        def found(node: Node, claims: dict[str, NodeClaim]) -> list[Node]:
            return EndingNodes().open_ones([node], claims.get, inbox)

        signed = replace(node, notice=SIGN)
        assert found(node, {name: claim}) == []
        assert found(signed, {name: claim}) == [signed]
        assert found(replace(node, notice=WARNING), {name: claim}) == []
        assert found(signed, {}) == []
        assert found(replace(signed, claim=None), {name: claim}) == []
        assert found(replace(signed, name="impostor"), {name: claim}) == []
        inbox._by_instance = {f"i-{name}": (WARNING, SIGN)}
        assert found(node, {name: claim}) == [node]
        inbox._by_instance = {f"i-{name}": (WARNING,)}
        assert found(node, {name: claim}) == []


class TestAtOnce:
    async def test_one_patch_and_no_other_write(self) -> None:
        world, name = await noticed()

        await run_for_a_while(world.doors)

        assert world.kube.writes == [f"patch nodes/{name}"]
        assert is_cordoned(node_of(world, name))

    async def test_then_the_cycle_stores_the_notice_and_goes_on(self) -> None:
        world, name = await noticed()
        await world.doors.close_all(PATIENCE_SECONDS)

        await world.cycle()

        assert world.claim.status.notice is not None
        assert world.kube.writes[:4] == [
            f"patch nodes/{name}",
            f"patch nodeclaims/{name}/status",
            f"delete nodeclaims/{name}",
            "evict pods/web-1",
        ]

    async def test_whoever_comes_second_waits_and_finds_it_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, name = await noticed()
        patch = world.kube.patch

        async def slow(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0.01)
            return await patch(*args, **kwargs)

        monkeypatch.setattr(world.kube, "patch", slow)

        first, second = await asyncio.gather(world.doors.close(name), world.doors.close(name))

        assert world.kube.writes == [f"patch nodes/{name}"]
        assert first is not None
        assert second is not None
        assert is_cordoned(first)
        assert is_cordoned(second)

    async def test_nobody_waits_for_the_slowest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        world.add_pool()
        world.add_pod("web-1")
        world.add_pod("web-2")
        await world.cycles(3)
        first, second = (claim.name for claim in world.claims)
        world.join(first)
        world.join(second)
        await world.cycles(3)
        patch, slow = world.kube.patch, asyncio.Event()

        async def patched(resource: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            if name == first:
                await slow.wait()
            return await patch(resource, name, *args, **kwargs)

        monkeypatch.setattr(world.kube, "patch", patched)
        world.notice(first, world.clock.now + 120)
        world.sync()
        assert not await world.doors.close_all()

        world.notice(second, world.clock.now + 120)
        world.sync()
        assert not await world.doors.close_all()
        for _ in range(100):
            await asyncio.sleep(0)

        assert is_cordoned(node_of(world, second))
        assert not is_cordoned(node_of(world, first))
        slow.set()
        assert await world.doors.close_all(PATIENCE_SECONDS)
        assert is_cordoned(node_of(world, first))


class TestTrouble:
    async def test_who_does_not_lead_closes_nothing(self) -> None:
        world, name = await noticed()
        world.leading = False

        assert not await world.doors.close_all()
        with pytest.raises(NotLeading):
            await world.doors.close(name)
        await run_for_a_while(world.doors)

        assert world.kube.writes == []

    async def test_what_fails_is_tried_again_though_nothing_changes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, name = await noticed()
        monkeypatch.setattr("spotkube.controllers.claims.doors.PAUSE_SECONDS", 0.0)
        monkeypatch.setattr("spotkube.controllers.claims.doors.RETRY_SECONDS", 0.0)
        world.kube.refuse["patch nodes"] = UNAVAILABLE
        running = asyncio.create_task(world.doors.run())
        while len(world.kube.writes) < 3:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        world.kube.refuse.clear()

        for _ in range(10_000):
            if is_cordoned(node_of(world, name)):
                break
            await asyncio.sleep(0.001)

        assert is_cordoned(node_of(world, name))

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_one_that_fails_holds_up_no_other_nor_does_a_mistake(self) -> None:
        world, name = await noticed()
        world.kube.refuse["patch nodes"] = KeyError("a mistake of ours")

        await run_for_a_while(world.doors)
        world.kube.refuse["patch nodes"] = NotFound(404, "NotFound", name)

        assert await world.doors.close_all(PATIENCE_SECONDS)  # nobody needs to close what is gone
