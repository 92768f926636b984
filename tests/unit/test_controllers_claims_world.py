"""The life of claims in a small world: bought, interrupted, restarted in between, and what goes wrong on the way."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from controller_builders import UNAVAILABLE, World
from fake_provider import OFFERING
from spotkube.api.nodeclaim import Phase
from spotkube.cluster.resources import EVENTS, NODECLAIMS, NODEPOOLS, NODES, PODS
from spotkube.controllers.claims.draining import PodAction
from spotkube.controllers.claims.evicting import Evictor
from spotkube.controllers.toolbox import NotLeading
from spotkube.model.labels import (
    TERMINATION_FINALIZER,
)
from spotkube.providers.port import ProviderError

Object = dict[str, Any]


class TestWholeLife:
    async def test_from_a_waiting_pod_to_a_node_and_back(self) -> None:
        world = World()
        name = await world.up_and_running()

        assert world.claim.status.phase is Phase.READY
        assert list(world.claim.status.phase_times) == [Phase.PENDING, Phase.LAUNCHED, Phase.REGISTERED, Phase.READY]
        assert world.pod()["spec"]["nodeName"] == name
        assert TERMINATION_FINALIZER in world.node(name)["metadata"]["finalizers"]

        world.kube.mark_deleted(NODECLAIMS, name)
        await world.cycles(2)
        assert world.node(name)["spec"]["unschedulable"] is True
        assert world.cloud.ended == []

        world.join_others()
        await world.cycles(3)
        world.pods_end()
        await world.cycles(8)
        assert world.cloud.ended == [f"i-{name}"]
        assert world.claim_named(name).status.phase is Phase.DRAINING

        world.instances_end()
        await world.cycles(2)
        assert (NODECLAIMS, None, name) not in world.kube.objects
        assert (NODES, None, name) not in world.kube.objects

    async def test_a_quiet_cluster_is_not_written_to(self) -> None:
        world = World()
        await world.up_and_running()

        await world.cycles(5, seconds=600)
        world.restart()
        await world.cycles(3, seconds=600)

        assert world.kube.writes == []

    @pytest.mark.parametrize("kind", ["claim", "node", "pool"])
    async def test_kubectl_delete_drains_first(self, kind: str) -> None:
        world = World()
        name = await world.up_and_running()
        resource, deleted = {
            "claim": (NODECLAIMS, name),
            "node": (NODES, name),
            "pool": (NODEPOOLS, "pool"),
        }[kind]

        world.kube.mark_deleted(resource, deleted)
        await world.cycles(3)
        assert "evict pods/web-1" not in world.kube.writes, "before there is room for it"
        world.join_others()
        await world.cycles(3, seconds=150 if kind == "pool" else 1)  # no other pool will ever have room
        assert "evict pods/web-1" in world.kube.writes
        assert world.cloud.ended == []
        assert (NODES, None, name) in world.kube.objects
        world.pods_end()
        await world.cycles(8)
        world.instances_end()
        await world.cycles(3)

        assert (NODECLAIMS, None, name) not in world.kube.objects
        assert (NODES, None, name) not in world.kube.objects
        assert ((NODEPOOLS, None, "pool") in world.kube.objects) == (kind != "pool")

    async def test_a_budget_holds_a_voluntary_drain_for_as_long_as_it_likes(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.budgets_hold = {"web-1"}

        world.kube.mark_deleted(NODECLAIMS, name)
        await world.cycles(5, seconds=3600)

        assert f"i-{name}" not in world.cloud.ended
        assert "delete pods/web-1" not in world.kube.writes

    async def test_an_object_with_the_finalizer_of_somebody_else_is_not_written_again_and_again(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.cycles(2)
        claim = world.claim
        world.kube.change(NODECLAIMS, claim.name, {"metadata": {"finalizers": [TERMINATION_FINALIZER, "x/y"]}})
        world.kube.drop(NODEPOOLS, "pool")
        for _ in range(4):
            await world.cycle()
            world.instances_end()
        await world.cycles(3)
        world.kube.writes.clear()

        await world.cycles(3)

        assert world.claim.metadata.finalizers == ("x/y",)
        assert world.kube.writes == []


class TestInterrupted:
    async def test_killed_between_any_two_writes_it_buys_once_and_arrives(self) -> None:
        """Each write of the way from a pod to its node is once the last one of a life."""
        for fatal in range(1, 12):
            world, lives = World(), 0
            world.add_pool()
            world.add_pod(gated=True)
            world.kube.before_write = _killing_after(fatal)
            for _ in range(20):
                try:
                    await world.cycle()
                except Killed:
                    lives += 1
                    world.kube.before_write = lambda line: None
                    world.restart()
                for order in world.cloud.sold:
                    if (NODES, None, order.name) not in world.kube.objects:
                        world.join(order.name)
                world.schedule()

            assert len(world.cloud.sold) == 1, fatal
            assert world.pod()["spec"].get("nodeName") == world.claim.name, fatal
            assert world.claim.status.phase is Phase.READY, fatal

    async def test_killed_between_any_two_writes_of_a_drain_the_instance_ends_last(self) -> None:
        for fatal in range(1, 9):
            world = World()
            name = await world.up_and_running()
            world.kube.mark_deleted(NODECLAIMS, name)
            world.kube.before_write = _killing_after(fatal)
            for _ in range(20):
                try:
                    await world.cycle()
                except Killed:
                    world.kube.before_write = lambda line: None
                    world.restart()
                world.join_others()
                if (PODS, "shop", "web-1") in world.kube.objects:
                    assert world.cloud.ended == [], fatal
                if "evict pods/web-1" in world.kube.writes:
                    world.pods_end()
                world.instances_end()

            assert (NODECLAIMS, None, name) not in world.kube.objects, fatal
            assert (NODES, None, name) not in world.kube.objects, fatal
            assert world.cloud.ended == [f"i-{name}"], fatal

    async def test_the_answer_of_the_purchase_is_lost(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.cycle()
        world.kube.refuse["patch nodeclaims"] = UNAVAILABLE
        await world.cycles(3)
        world.kube.refuse.clear()

        await world.cycles(2)

        assert len(world.cloud.sold) == 1
        assert world.claim.status.phase is Phase.LAUNCHED


class Killed(BaseException):
    """kill -9."""


def _killing_after(writes: int) -> Any:
    left = [writes]

    def before_write(line: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return before_write


async def two_running(world: World) -> tuple[str, str]:
    """Two nodes of a pod each."""
    first, second = await world.two_decided()
    await world.cycles(2)
    world.join_others()
    await world.cycles(3)
    world.schedule()
    await world.cycles(3)
    return first, second


async def pods_leave(world: World) -> None:
    """Ten cycles, in which whoever is asked to go goes at once."""
    for _ in range(10):
        await world.cycle()
        world.pods_end()


class TestNoticeInTheWorld:
    async def test_stored_closed_evicted_and_replaced(self) -> None:
        world = World()
        name = await world.up_and_running()
        deadline = world.clock.now + 120

        world.notice(name, deadline)
        await world.cycle()

        assert world.claim.status.notice is not None
        assert world.claim.status.notice.deadline.timestamp() == deadline
        assert world.claim.status.phase is Phase.DRAINING
        assert world.kube.writes[:4] == [
            f"patch nodes/{name}",
            f"patch nodeclaims/{name}/status",
            f"delete nodeclaims/{name}",
            "evict pods/web-1",
        ]

    async def test_its_instance_is_not_ended_while_others_wait_to_be_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World()
        first, second = await two_running(world)
        on_second = next(raw for raw in world.kube.all(PODS) if raw["spec"].get("nodeName") == second)
        act = Evictor.act

        async def slow(evictor: Evictor, actions: tuple[PodAction, ...]) -> bool:
            waits = on_second["metadata"]["uid"]
            return await act(evictor, tuple(one for one in actions if one.pod.uid != waits))

        monkeypatch.setattr(Evictor, "act", slow)
        for name in (first, second):
            world.notice(name, world.clock.now + 250)
        await pods_leave(world)
        assert world.cloud.ended == []

        monkeypatch.setattr(Evictor, "act", act)
        await world.cycles(2)
        assert f"i-{first}" in world.cloud.ended

    async def test_who_can_be_told_in_days_holds_up_no_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        first, second = await two_running(world)

        async def nobody_of_the_second(evictor: Evictor, actions: tuple[PodAction, ...]) -> bool:
            return await act(evictor, tuple(one for one in actions if one.pod.node == first))

        act = Evictor.act
        monkeypatch.setattr(Evictor, "act", nobody_of_the_second)
        world.notice(first, world.clock.now + 250)
        world.notice(second, world.clock.now + 86_400)
        await pods_leave(world)
        assert world.cloud.ended == [f"i-{first}"]

    async def test_who_was_asked_and_may_not_go_holds_up_no_end(self) -> None:
        world = World()
        first, second = await two_running(world)
        held = next(raw for raw in world.kube.all(PODS) if raw["spec"].get("nodeName") == second)
        world.kube.budgets_hold = {held["metadata"]["name"]}
        for name in (first, second):
            world.notice(name, world.clock.now + 250)
        await pods_leave(world)
        assert world.cloud.ended == [f"i-{first}"]

    async def test_room_is_bought_while_a_budget_still_holds_the_pod(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.budgets_hold = {"web-1"}
        world.cloud.for_sale = (OFFERING, replace(OFFERING, zone="zone-b"))

        world.notice(name, world.clock.now + 120)
        await world.cycles(4)

        assert [order.offering.zone for order in world.cloud.sold] == ["zone-a", "zone-b"]  # the other one rests

    async def test_a_budget_holds_until_the_forced_moment(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.budgets_hold = {"web-1"}
        world.notice(name, deadline := world.clock.now + 120)

        while "delete pods/web-1" not in world.kube.writes:
            assert world.clock.now < deadline
            await world.cycle()

        assert world.clock.now - 1 == deadline - 30 - 5
        assert world.kube.grace["web-1"] == 30
        assert world.cloud.ended == []

    async def test_it_drains_though_nothing_can_be_bought(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.cloud.sold_out = {OFFERING.key}

        world.notice(name, world.clock.now + 120)
        await world.cycles(2)
        world.pods_end()
        await world.cycles(8)

        assert world.cloud.ended == [f"i-{name}"]

    async def test_one_that_comes_while_a_budget_holds_up_a_drain_is_obeyed(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.budgets_hold = {"web-1"}
        world.kube.mark_deleted(NODECLAIMS, name)
        await world.cycles(3)

        world.notice(name, deadline := world.clock.now + 20)
        await world.cycle()

        assert "delete pods/web-1" in world.kube.writes
        assert world.kube.grace["web-1"] == 15
        stored = world.claim_named(name).status.notice
        assert stored is not None
        assert stored.deadline.timestamp() == deadline

    async def test_after_a_restart_the_deadline_is_still_the_one_that_was_stored(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.budgets_hold = {"web-1"}
        world.notice(name)  # a sign that tells no deadline: two minutes from when it is seen
        await world.cycle()
        first = {claim.name: claim.status.notice for claim in world.claims}[name]

        world.clock.now += 60
        world.restart()
        await world.cycle()

        assert first is not None
        assert {claim.name: claim.status.notice for claim in world.claims}[name] == first


class TestTroubles:
    async def test_an_offering_that_is_sold_out_rests_and_another_is_bought(self) -> None:
        world = World()
        world.cloud.for_sale = (OFFERING, replace(OFFERING, zone="zone-b"))
        world.cloud.sold_out = {OFFERING.key}
        world.add_pool()
        world.add_pod()

        await world.cycles(6)

        assert world.claim.spec.zone == "zone-b"
        assert world.claim.status.phase is Phase.LAUNCHED
        await world.tools.recorder.flush()
        told = {(event["reason"], event["type"]) for event in world.kube.all(EVENTS)}
        assert told == {("InsufficientCapacity", "Warning"), ("Launched", "Normal")}

    async def test_a_refused_order_is_told_on_the_claim_and_written_once(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.cycles(2)
        name = world.claim.name
        world.kube.change(NODECLAIMS, name, {"status": None})
        world.cloud.instances.clear()
        view = await world.look()
        world.cloud.error = ProviderError("zone: there is no zone-x; name another")

        await world.controllers.claims.reconcile(view)
        world.kube.writes.clear()
        world.sync()
        world.cloud.error = None
        view = await world.look()
        world.cloud.error = ProviderError("zone: there is no zone-x; name another")
        await world.controllers.claims.reconcile(view)

        assert world.claim.status.message == "zone: there is no zone-x; name another"
        assert world.claim.status.phase is Phase.PENDING
        assert world.kube.writes == []

    async def test_an_unreadable_pool_costs_no_node(self) -> None:
        world = World()
        await world.up_and_running()
        world.restart()
        world.kube.change(NODEPOOLS, "pool", {"spec": {"weight": "of a later version"}})

        await world.cycles(3)

        assert world.claim.metadata.deletion_timestamp is None

    async def test_a_node_that_only_the_cache_lost_is_kept(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.clock.now += 60
        view = await world.look()
        blind = replace(view, nodes={})

        await world.controllers.claims.reconcile(blind)
        assert world.claim.metadata.deletion_timestamp is None
        world.kube.drop(NODES, name)
        await world.controllers.claims.reconcile(blind)

        assert world.claim.metadata.deletion_timestamp is not None

    async def test_an_instance_that_only_an_old_listing_lacks_is_kept(self) -> None:
        world = World()
        await world.up_and_running()
        blind = replace(await world.look(), instances={})

        await world.controllers.claims.reconcile(blind)
        assert world.claim.metadata.deletion_timestamp is None
        world.cloud.instances.clear()
        await world.controllers.claims.reconcile(blind)

        assert world.kube.all(NODECLAIMS) == [], "nothing is left to be drained"

    async def test_so_are_the_node_and_pods_of_one_that_is_leaving(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.kube.mark_deleted(NODECLAIMS, name)
        await world.cycle()
        blind = replace(await world.look(), instances={})

        await world.controllers.claims.reconcile(blind)
        assert world.kube.all(NODES)
        world.cloud.instances.clear()
        await world.controllers.claims.reconcile(blind)

        assert world.kube.all(NODES) == []

    async def test_a_pod_that_only_the_api_server_knows_of_is_found_before_the_instance_ends(self) -> None:
        """kube-scheduler bound it just before it saw the cordon, and our watch lags."""
        world = World()
        name = await world.up_and_running()
        world.kube.mark_deleted(NODECLAIMS, name)
        await world.cycles(2)
        world.pods_end()
        world.clock.now += 5
        world.sync()
        world.add_pod("late", node=name)

        await world.loop.cycle()

        assert world.cloud.ended == []
        world.clock.now += 300  # nothing presses, so that it would wait for room elsewhere
        await world.cycle()
        assert f"i-{name}" not in world.cloud.ended
        assert "evict pods/late" in world.kube.writes
        world.pods_end()
        await world.cycle()
        assert f"i-{name}" in world.cloud.ended

    async def test_a_replica_that_lost_the_lease_in_between_changes_nothing(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.notice(name, world.clock.now + 120)
        view = await world.look()
        world.leading = False

        with pytest.raises(NotLeading):
            await world.controllers.claims.reconcile(view)

        assert world.kube.writes == []

    async def test_one_that_wakes_up_with_an_old_view_cannot_turn_the_claim_back(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.cycles(3)
        world.join(world.claim.name)
        old = await world.look()  # frozen here, at Launched
        await world.cycles(2)
        world.schedule()
        await world.cycles(2)
        assert world.claim.status.phase is Phase.READY

        await world.controllers.claims.reconcile(old)

        assert world.claim.status.phase is Phase.READY

    async def test_a_watch_that_hangs_holds_up_no_claim_that_others_write_to(self) -> None:
        world = World()
        name = await world.up_and_running()
        others = [resource for resource in world.cache.resources if resource != NODECLAIMS]
        world.notice(name, world.clock.now + 120)

        for number in range(6):
            world.kube.change(NODECLAIMS, name, {"metadata": {"annotations": {"seen": str(number // 3)}}})
            for resource in others:
                world.cache.relist(resource, copy.deepcopy(world.kube.all(resource)))
            await world.loop.cycle()

        assert world.claim_named(name).status.notice is not None
        assert "evict pods/web-1" in world.kube.writes

    async def test_a_claim_that_fails_does_not_hold_up_another(self) -> None:
        world = World(begins=False)
        first, second = await world.two_decided()
        world.kube.refuse[f"patch nodeclaims/{first}"] = UNAVAILABLE

        await world.cycle()

        phases = {claim.name: claim.status.phase for claim in world.claims}
        assert phases == {first: None, second: Phase.LAUNCHED}
