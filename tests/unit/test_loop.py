"""The cycle as a whole: what fails stays alone, what is lost is asked anew, and who does not lead does nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller_builders import CLOUD_AWAY, UNAVAILABLE, World
from spotkube.api.nodeclaim import Phase
from spotkube.cluster.resources import (
    CSINODES,
    EVENTS,
    NODEPOOLS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
)
from spotkube.controllers.queues.reconcile import QueueController
from spotkube.controllers.toolbox import NotLeading, each
from spotkube.controllers.view import View
from spotkube.health import Health
from spotkube.loop import Loop
from spotkube.model.policy import PolicyUnsatisfiable
from spotkube.pacing import GATHERING_LONGEST_SECONDS, LONGEST_REST_SECONDS, REST_SHARE, Pace
from spotkube.planning import Planning
from spotkube.worker import PlannerFailed


def break_(world: World, monkeypatch: pytest.MonkeyPatch, controller: str, method: str, error: Exception) -> None:
    async def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(getattr(world.controllers, controller), method, broken)


async def waits_after_a_cycle(
    monkeypatch: pytest.MonkeyPatch, takes_seconds: float, *, moves_on: bool = False, gathers: bool = False
) -> dict[str, float]:
    """How long is waited for changes, and for more of them, where a queue `moves_on` or none does, and a batch of pods
    `gathers` or none does."""
    world, stopping, waits = World(), asyncio.Event(), dict[str, float]()
    loop = Loop(world.tools, world.observer, world.planning, world.controllers, Pace(10.0, 0.1, 0.4))

    async def cycle() -> bool:
        await asyncio.sleep(takes_seconds)
        return True

    async def next_batch(after: int, **seconds: float) -> int:
        waits.update(seconds)
        stopping.set()
        return after

    monkeypatch.setattr(QueueController, "moves_on", moves_on)
    monkeypatch.setattr(Planning, "gathers", gathers)
    monkeypatch.setattr(loop, "cycle", cycle)
    monkeypatch.setattr(world.tools.cache, "next_batch", next_batch)
    await loop.run(stopping, Health(max_silence_seconds=60.0, checks={}))
    return waits


STEPS = [
    ("placement", "reconcile"),
    ("workloads", "reconcile"),
    ("pools", "reconcile"),
    ("queues", "reconcile"),
    ("garbage", "collect"),
    ("history", "reconcile"),
    ("carrier", "prune"),
    ("carrier", "carry_out"),
]


class TestIsolation:
    @pytest.mark.parametrize(("controller", "method"), STEPS)
    @pytest.mark.parametrize("error", [UNAVAILABLE, KeyError("a mistake of ours")])
    async def test_a_step_that_fails_does_not_keep_a_node_from_draining(
        self, monkeypatch: pytest.MonkeyPatch, controller: str, method: str, error: Exception
    ) -> None:
        world = World()
        name = await world.up_and_running()
        break_(world, monkeypatch, controller, method, error)

        world.notice(name, world.clock.now + 120)
        await world.cycles(2)

        assert "evict pods/web-1" in world.kube.writes

    @pytest.mark.parametrize("step", [("claims", "reconcile"), *STEPS[1:-1]])
    async def test_nor_a_waiting_pod_from_getting_a_claim(
        self, monkeypatch: pytest.MonkeyPatch, step: tuple[str, str]
    ) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        break_(world, monkeypatch, *step, KeyError("a mistake of ours"))

        await world.cycles(2)

        assert len(world.claims) == 1

    async def test_what_is_decided_while_claims_take_long_is_bought_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        bought = []

        async def take_long(_view: Any) -> None:
            for _ in range(1000):
                await asyncio.sleep(0)
            bought.append(len(world.claims))

        monkeypatch.setattr(world.controllers.claims, "reconcile", take_long)

        await world.cycle()

        assert bought == [1]

    async def test_who_looks_for_empty_nodes_then_sees_for_whom_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        seen: list[View] = []

        async def take_long(_view: Any) -> None:
            for _ in range(1000):
                await asyncio.sleep(0)

        async def look(view: View, _must_wait: Any) -> bool:
            seen.append(view)
            return True

        monkeypatch.setattr(world.controllers.claims, "reconcile", take_long)
        monkeypatch.setattr(world.controllers.disruption, "reconcile", look)

        await world.cycle()

        assert [pod.nominated for pod in seen[0].pods.values()] == [world.claim.name]

    async def test_a_lease_that_is_lost_meanwhile_ends_the_cycle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        world.add_pool()
        world.add_pod()

        async def lose(_view: Any) -> None:
            world.leading = False
            for _ in range(1000):
                await asyncio.sleep(0)

        monkeypatch.setattr(world.controllers.claims, "reconcile", lose)
        world.sync()

        with pytest.raises(NotLeading):
            await world.loop.cycle()
        assert world.claims == []

    async def test_a_cycle_with_a_failed_step_is_counted_as_such(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        world.sync()
        await world.loop._guarded_cycle()
        break_(world, monkeypatch, "queues", "reconcile", UNAVAILABLE)
        await world.loop._guarded_cycle()

        text = world.metrics.render().decode()

        assert 'spotkube_cycles_total{result="ok"} 1.0' in text
        assert 'spotkube_cycles_total{result="error"} 1.0' in text

    async def test_a_cloud_that_is_away_ends_nothing(self) -> None:
        world = World()
        await world.up_and_running()
        world.cloud.error = CLOUD_AWAY

        await world.cycles(5, seconds=600)

        assert world.claim.status.phase is Phase.READY
        assert world.claim.metadata.deletion_timestamp is None

    async def test_a_planner_that_fails_leaves_the_nodes_and_gets_another_try(self) -> None:
        world = World()
        await world.up_and_running()
        world.add_pod("web-2")
        world.add_pod("web-3")
        world.worker.error = PlannerFailed("it died")
        await world.cycles(2)
        assert world.claim.metadata.deletion_timestamp is None
        world.worker.error = None

        await world.cycles(6)

        assert world.pod("web-2")["status"].get("nominatedNodeName")

    async def test_a_policy_that_nothing_satisfies_is_said_and_leaves_all_as_it_was(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = World()
        await world.up_and_running()
        world.add_pod("web-2")
        world.add_pod("web-3")
        world.worker.error = PolicyUnsatisfiable("policy safest: the objective usdPerHour blocks")
        await world.cycles(2)
        assert [line for line in world.kube.writes if "nodeclaims" in line or "nodes" in line] == []
        (record,) = [one for one in caplog.records if "usdPerHour blocks" in one.getMessage()]
        assert record.exc_info is None
        await world.cycle()
        assert ready_of(world) == ("False", "PolicyUnsatisfiable", "policy safest: the objective usdPerHour blocks")
        await world.tools.recorder.flush()
        assert "PolicyUnsatisfiable" in [event["reason"] for event in world.kube.all(EVENTS)]

        world.worker.error = None
        await world.cycles(6)
        assert ready_of(world)[:2] == ("True", "Planned")


def ready_of(world: World) -> tuple[str, str, str]:
    conditions = world.kube.one(NODEPOOLS, "pool")["status"]["conditions"]
    (ready,) = [condition for condition in conditions if condition["type"] == "Ready"]
    return ready["status"], ready["reason"], ready["message"]


class TestLeading:
    async def test_a_step_in_which_the_lease_is_lost_is_the_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        await world.up_and_running()
        seen: list[str] = []

        async def lose(*_: Any) -> None:
            seen.append("workloads")
            world.leading = False

        async def late(*_: Any) -> None:
            seen.append("pools")

        monkeypatch.setattr(world.controllers.workloads, "reconcile", lose)
        monkeypatch.setattr(world.controllers.pools, "reconcile", late)
        with pytest.raises(NotLeading):
            await world.cycle()

        assert seen == ["workloads"]

    async def test_who_leads_again_decides_on_what_is_there_then(self) -> None:
        """The search was under way when the lease was lost; another replica bought meanwhile."""
        world = World()
        world.add_pool()
        world.add_pod(gated=True)
        await world.cycle()
        world.leading = False
        await world.loop._guarded_cycle()

        other = World()
        other.kube, other.cloud, other.clock = world.kube, world.cloud, world.clock
        other.restart()
        await other.cycles(2)
        assert len(other.claims) == 1
        world.leading = True
        await world.cycles(4)

        assert len(world.claims) == len(world.cloud.sold) == 1

    async def test_without_the_lease_only_the_heart_beats(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        world.sync()
        world.leading = False
        health = Health(max_silence_seconds=60.0, checks={})
        stopping = asyncio.Event()
        running = asyncio.create_task(world.loop.run(stopping, health))
        await asyncio.sleep(0)
        stopping.set()
        await running

        assert world.kube.writes == []

    async def test_what_changed_during_a_long_cycle_waits_no_longer_for_company(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits = await waits_after_a_cycle(monkeypatch, 0.05)

        assert waits["max_seconds"] <= 0.36
        assert waits["idle_seconds"] == 0.1

    async def test_but_the_next_cycle_lets_others_have_a_share_of_the_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits = await waits_after_a_cycle(monkeypatch, 0.5)

        least = REST_SHARE * 0.5
        assert least <= waits["idle_seconds"] <= LONGEST_REST_SECONDS
        assert least <= waits["max_seconds"] <= LONGEST_REST_SECONDS

    async def test_nobody_rests_while_a_queue_moves_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits = await waits_after_a_cycle(monkeypatch, 0.5, moves_on=True)

        assert waits["idle_seconds"] < 0.1
        assert waits["max_seconds"] <= 0.0

    async def test_it_is_soon_seen_that_all_pods_of_a_batch_are_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waits = await waits_after_a_cycle(monkeypatch, 0.01, gathers=True)

        assert waits["max_seconds"] <= GATHERING_LONGEST_SECONDS

    async def test_losing_the_lease_among_many_calls_is_what_is_told(self) -> None:
        async def work(number: int) -> None:
            raise UNAVAILABLE if number == 0 else NotLeading

        with pytest.raises(NotLeading):
            await each(range(3), work)

    async def test_one_error_does_not_keep_the_others_from_being_done(self) -> None:
        done: list[int] = []

        async def work(number: int) -> None:
            if number == 0:
                raise UNAVAILABLE
            done.append(number)

        with pytest.raises(type(UNAVAILABLE)):
            await each(range(100), work)

        assert done == list(range(1, 100))


class TestDeciding:
    async def test_a_decision_that_could_not_be_written_is_made_again_though_nothing_changed(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        world.kube.refuse["create capacityplans"] = UNAVAILABLE
        await world.cycles(3)
        assert world.claims == []
        world.kube.refuse.clear()

        await world.cycles(3)

        assert len(world.claims) == 1

    @pytest.mark.parametrize("error", [UNAVAILABLE, KeyError("a mistake of ours")])
    async def test_one_that_can_never_be_written_is_tried_more_and_more_seldom(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        break_(world, monkeypatch, "carrier", "carry_out", error)

        await world.cycles(200)

        assert 5 <= len(world.worker.asked) <= 10

    async def test_what_says_the_same_as_the_last_one_is_not_written_again(self) -> None:
        world = World()
        world.add_pool(mode="Recommend")
        world.add_pod("web-1")
        await world.cycles(3)
        world.kube.change(NODEPOOLS, "pool", {"metadata": {"generation": 2}, "spec": {"weight": 1}})
        await world.cycles(3)

        assert world.worker.asked == ["Recommend", "Recommend"]
        assert len(world.plans) == 1

    async def test_limits_that_are_lowered_during_the_search_hold(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod("web-1")
        world.add_pod("web-2")
        await world.cycle()
        world.kube.change(NODEPOOLS, "pool", {"spec": {"limits": {"nodes": 1}}})

        await world.cycles(2)

        assert len(world.claims) == 1

    async def test_a_thousand_quiet_cycles_keep_nothing(self) -> None:
        world = World()
        await world.up_and_running()

        await world.cycles(1000, seconds=60)

        assert world.kube.writes == []
        assert len(world.placement.awaited) == 0
        assert world.tools.resting.current() == frozenset()


class TestObserving:
    async def test_volumes_are_looked_up_for_each_snapshot(self) -> None:
        world = World()
        raw = world.add_pod()
        raw["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        world.kube.put(PODS, raw)
        (pod,) = (await world.look()).snapshot.pods
        assert pod.shape.refused == "PersistentVolumeClaim shop/data does not exist: create it"

        world.kube.put(
            PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "data", "namespace": "shop"}, "spec": {"volumeName": "pv"}}
        )
        labels = {"topology.kubernetes.io/zone": "zone-a"}
        world.kube.put(PERSISTENTVOLUMES, {"metadata": {"name": "pv", "labels": labels}, "spec": {}})
        (pod,) = (await world.look()).snapshot.pods
        assert (pod.shape.refused, len(pod.shape.volume_terms)) == ("", 1)

    async def test_what_a_csi_node_says_belongs_to_its_node(self) -> None:
        world = World()
        world.kube.put(NODES, {"metadata": {"name": "n1"}, "spec": {}, "status": {}})
        drivers = [{"name": "ebs.csi.aws.com", "allocatable": {"count": 25}}]
        world.kube.put(CSINODES, {"metadata": {"name": "n1"}, "spec": {"drivers": drivers}})
        (node,) = (await world.look()).snapshot.nodes
        assert node.volume_limits == (("ebs.csi.aws.com", 25),)
