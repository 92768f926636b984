"""Moves carried out: the new node first, then the pods one by one, then the old node; or given up, losing nothing."""

from __future__ import annotations

from typing import Any

import pytest

from controller_builders import World
from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS, PODS
from spotkube.controllers.disruption.moves import STARTING_SECONDS, move_of
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.labels import DISRUPTED_TAINT, DO_NOT_DISRUPT, MOVING
from spotkube.model.plan import Plan, PlannedDrain, PlannedNode

CONSOLIDATING = {"consolidationPolicy": "WhenEmptyOrUnderutilized"}


def replaced(snapshot: Snapshot, _mode: Mode) -> Plan:
    """The only node goes, for another of the same kind; nothing where there are others, or it may not go."""
    claims = [claim for claim in snapshot.claims if not claim.stays]
    if len(claims) != 1 or len(snapshot.claims) != 1:
        return Plan()
    pods = tuple(pod.uid for pod in snapshot.pods)
    drain = PlannedDrain(claims[0].name, pods, claims[0].price_micro_usd_hour, 2_000, "another one is cheaper")
    addition = PlannedNode(claims[0].pool, snapshot.offerings[0], pods, "cheap")
    return Plan(additions=(addition,), drains=(drain,), saved_micro_usd_hour=40_000)


async def begun(**disruption: Any) -> tuple[World, str, str]:
    """A node with a pod that shall go, and the one that is bought for it: its claim is written, nothing more."""
    world = World()
    old = await world.up_and_running()
    world.worker.moves = replaced
    world.kube.change(NODEPOOLS, "pool", {"spec": {"disruption": CONSOLIDATING | disruption}})
    for _ in range(10):
        await world.cycle(seconds=31)
        others = [claim.name for claim in world.claims if claim.name != old]
        if others:
            world.worker.moves = lambda _snapshot, _mode: Plan()
            await world.cycles(2)
            return world, old, others[0]
    raise AssertionError("nothing was bought")


def is_closed(world: World, node: str) -> bool:
    return any(taint["key"] == DISRUPTED_TAINT for taint in world.node(node)["spec"].get("taints") or ())


def evicted(world: World) -> bool:
    return "evict pods/web-1" in world.kube.writes


def applied(world: World) -> tuple[str, str]:
    (plan,) = [one for one in world.plans if one["status"].get("drains")]
    (told,) = [one for one in plan["status"]["conditions"] if one["type"] == "Applied"]
    return told["status"], told["reason"]


def leaving(world: World, name: str) -> bool:
    return "deletionTimestamp" in world.kube.one(NODECLAIMS, name)["metadata"]


async def is_given_up(world: World, old: str) -> None:
    await world.cycles(3)
    assert not is_closed(world, old)
    assert MOVING not in world.kube.one(NODECLAIMS, old)["metadata"].get("annotations", {})
    assert not leaving(world, old)
    assert not evicted(world)
    assert applied(world) == ("False", "GivenUp")


async def heir_comes(world: World) -> None:
    world.pods_end()
    world.add_pod("web-2")
    await world.cycles(2)
    world.schedule()


async def test_the_pod_goes_once_its_new_node_is_ready_and_then_the_old_node() -> None:
    world, old, new = await begun()
    await world.cycles(5)
    assert is_closed(world, old)
    assert not evicted(world), "before there is room for it"
    assert applied(world) == ("False", "InProgress")

    world.join(new)
    await world.cycles(3)
    assert evicted(world)
    await heir_comes(world)
    await world.cycles(3)

    assert world.pod("web-2")["spec"]["nodeName"] == new
    assert leaving(world, old)
    assert not leaving(world, new)
    assert applied(world) == ("True", "Applied")
    assert len(world.cloud.sold) == 2


@pytest.mark.parametrize("joined", [False, True])
async def test_a_restart_goes_on_with_it(joined: bool) -> None:
    world, old, new = await begun()
    if joined:
        world.join(new)
    world.restart()
    await world.cycles(2)
    world.join(new)
    await world.cycles(4)
    assert evicted(world)
    world.restart()
    await heir_comes(world)
    await world.cycles(3)

    assert leaving(world, old)
    assert len(world.cloud.sold) == 2


async def test_a_pod_that_opts_out_in_between_ends_it() -> None:
    world, old, new = await begun()
    world.kube.change(PODS, "web-1", {"metadata": {"annotations": {DO_NOT_DISRUPT: "true"}}}, "shop")
    world.join(new)
    await is_given_up(world, old)

    await world.cycles(3, seconds=40)
    assert leaving(world, new), "it is empty, and goes back"


async def test_so_does_a_pod_that_comes() -> None:
    world, old, _ = await begun()
    world.add_pod("late-1", node=old, owner="ReplicaSet/late")
    await is_given_up(world, old)


async def test_so_does_a_pool_that_does_not_want_it_any_more() -> None:
    world, old, _ = await begun()
    world.kube.change(NODEPOOLS, "pool", {"spec": {"disruption": {"consolidationPolicy": "WhenEmpty"}}})
    await is_given_up(world, old)


async def test_so_does_a_new_node_that_never_comes_and_it_is_not_asked_again_for_a_while() -> None:
    world, old, new = await begun()
    await world.cycles(3, seconds=150)
    assert leaving(world, new)
    await is_given_up(world, old)

    world.worker.moves = replaced
    world.instances_end()
    asked = len(world.worker.asked)
    await world.cycles(5, seconds=60)
    assert len(world.worker.asked) == asked
    await world.cycles(5, seconds=100)
    assert len(world.worker.asked) > asked


async def test_so_does_what_is_stored_when_nobody_can_read_it() -> None:
    world, old, _ = await begun()
    world.kube.change(NODECLAIMS, old, {"metadata": {"annotations": {MOVING: "edited by hand"}}})
    await world.cycles(2)
    assert not is_closed(world, old)
    assert MOVING not in world.kube.one(NODECLAIMS, old)["metadata"]["annotations"]


async def test_a_budget_of_none_begins_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing was bought"):
        await begun(budgets=[{"nodes": "0"}])


async def test_one_that_closes_in_between_holds_the_pods_where_they_are() -> None:
    world, _, new = await begun()
    world.kube.change(NODEPOOLS, "pool", {"spec": {"disruption": {"budgets": [{"nodes": "0"}]}}})
    world.join(new)
    await world.cycles(5)
    assert not evicted(world)

    world.kube.change(NODEPOOLS, "pool", {"spec": {"disruption": {"budgets": [{"nodes": "1"}]}}})
    await world.cycles(2)
    assert evicted(world)


async def test_nobody_is_moved_while_a_pod_like_it_is_starting() -> None:
    world, _, new = await begun()
    world.join(new)
    world.add_pod("web-9", node="elsewhere")
    await world.cycles(3)
    assert not evicted(world)


async def test_a_quiet_time_comes_first() -> None:
    world = World()
    old = await world.up_and_running()
    world.worker.moves = replaced
    pool = {"spec": {"disruption": CONSOLIDATING | {"consolidateAfter": "10m"}}}
    world.kube.change(NODEPOOLS, "pool", pool)
    await world.cycles(9, seconds=61)
    assert [claim.name for claim in world.claims] == [old]
    await world.cycles(4, seconds=61)
    assert len(world.claims) == 2
    assert STARTING_SECONDS < 61


async def test_killed_between_any_two_writes_of_the_beginning_nothing_is_bought_twice() -> None:
    for fatal in range(1, 7):
        world = World()
        old = await world.up_and_running()
        world.worker.moves = replaced
        world.kube.change(NODEPOOLS, "pool", {"spec": {"disruption": CONSOLIDATING}})
        world.kube.before_write = killing_after(fatal)
        for _ in range(12):
            try:
                await world.cycle(seconds=31)
            except Killed:
                world.kube.before_write = lambda line: None
                world.restart()
            world.join_others()
            assert len([claim for claim in world.claims if not leaving(world, claim.name)]) <= 2, fatal
            assert len(world.cloud.sold) <= 2, fatal
        assert (NODECLAIMS, None, old) in world.kube.objects or evicted(world), fatal


class Killed(BaseException):
    pass


def killing_after(writes: int) -> Any:
    seen = iter(range(writes))

    def before(_line: str) -> None:
        if next(seen, None) is None:
            raise Killed

    return before


async def test_what_is_stored_is_read_back() -> None:
    world, old, new = await begun()
    move = move_of(world.claim_named(old))
    assert move is not None
    assert dict(move.places) == {"uid-web-1": new}
    assert move.to_text() == world.kube.one(NODECLAIMS, old)["metadata"]["annotations"][MOVING]
