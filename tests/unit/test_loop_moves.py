"""The whole loop where moves are recommended: they are told once, and nothing is touched. In mode Apply they begin."""

from __future__ import annotations

import asyncio

import pytest

from controller_builders import World
from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS, PODS
from spotkube.controllers.view import View
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan, PlannedDrain, PlannedNode


def replaced(snapshot: Snapshot, _mode: Mode) -> Plan:
    """The only node goes, for another of the same kind."""
    (claim,) = snapshot.claims
    pods = tuple(pod.uid for pod in snapshot.pods)
    drain = PlannedDrain(claim.name, pods, claim.price_micro_usd_hour, 2_000, "another one is cheaper")
    return Plan(
        additions=(PlannedNode(claim.pool, snapshot.offerings[0], pods, "cheap"),),
        cost_now_micro_usd_hour=100_000,
        cost_after_micro_usd_hour=60_000,
        drains=(drain,),
        saved_micro_usd_hour=40_000,
    )


async def recommending() -> World:
    """One node with a pod, of a pool that was set back to Recommend."""
    world = World()
    await world.up_and_running()
    world.worker.moves = replaced
    world.kube.change(NODEPOOLS, "pool", {"spec": {"mode": "Recommend"}})
    return world


def told(world: World) -> list[dict]:  # type: ignore[type-arg]
    return [plan for plan in world.plans if plan["status"].get("drains")]


async def test_it_is_told_once_and_nothing_is_touched() -> None:
    world = await recommending()
    await world.cycles(6, seconds=31)
    (plan,) = told(world)
    assert plan["spec"]["mode"] == "Recommend"
    assert plan["status"]["drains"][0]["reason"] == "another one is cheaper"
    assert plan["status"]["moves"] == {
        "pods": 1, "savedUSDPerHour": 0.04, "usd": 0.002, "paysBackMinutes": 3.0, "heldNodes": 0, "heldBy": "",
    }  # fmt: skip
    assert plan["status"]["nodes"] == {"add": 1, "keep": 0, "drain": 1}
    assert len(world.kube.all(NODECLAIMS)) == 1
    assert "deletionTimestamp" not in world.kube.one(NODECLAIMS, world.claim.name)["metadata"]
    assert world.pod()["status"].get("nominatedNodeName") in (None, world.claim.name)


async def test_another_recommendation_is_told_when_the_cluster_changed() -> None:
    world = await recommending()
    await world.cycles(5, seconds=31)
    world.worker.moves = lambda _snapshot, _mode: Plan()
    world.add_pod("web-2", node=world.claim.name)
    await world.cycles(4, seconds=31)
    assert len(told(world)) == 1
    world.kube.drop(PODS, "web-2", "shop")
    world.worker.moves = replaced
    await world.cycles(4, seconds=31)
    assert len(told(world)) == 1


async def test_in_mode_apply_only_pools_that_ask_for_it_are_looked_at() -> None:
    world = World()
    await world.up_and_running()
    world.worker.moves = replaced
    await world.cycles(5, seconds=31)
    assert told(world) == []
    world.kube.change(NODEPOOLS, "pool", {"spec": {"disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized"}}})
    await world.cycles(5, seconds=31)
    assert len(told(world)) == 1


async def test_they_wait_for_claims_that_are_taken_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await recommending()
    reconcile, known = world.controllers.claims.reconcile, []

    async def take_long(view: View) -> None:
        for _ in range(1000):
            await asyncio.sleep(0)
        if world.planning.moving and world.planning.done:
            known.append(len(told(world)))
        await reconcile(view)

    monkeypatch.setattr(world.controllers.claims, "reconcile", take_long)

    await world.cycles(6, seconds=31)

    assert known[0] == 0
    assert len(told(world)) == 1
