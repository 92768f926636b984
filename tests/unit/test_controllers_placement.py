"""Pods are brought onto the nodes that were planned for them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from controller_builders import UNAVAILABLE, World
from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS, NODES, PODS
from spotkube.controllers.placement import exposed_plans, pods_held
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.labels import PLACEMENT_GATE, PLANNED_PODS
from spotkube.model.plan import Placement, Plan, PlannedNode
from spotkube.planning import unsettled


def gates(world: World, name: str = "web-1") -> list[str]:
    return [gate["name"] for gate in world.pod(name)["spec"].get("schedulingGates", ())]


async def node_on_its_way(world: World, *, gated: bool = True) -> str:
    """One pod, and a Node for it that has joined but is not Ready."""
    world.add_pool()
    world.add_pod(gated=gated)
    await world.cycles(3)
    name = world.claim.name
    world.join(name, ready=False)
    await world.cycle()
    return name


def crosswise(snapshot: Snapshot, mode: Mode) -> Plan:
    """The first and the last pod onto one node, the one between onto another."""
    first, *between, last = sorted(unsettled(snapshot))
    nodes = ((first, last), tuple(between))
    return Plan(tuple(PlannedNode("pool", snapshot.offerings[0], pods, "it is there") for pods in nodes))


def become_ready(world: World, name: str) -> None:
    world.kube.change(NODES, name, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})


class TestNominating:
    async def test_a_pod_is_nominated_as_soon_as_its_claim_is_written(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()

        await world.cycles(3)

        assert world.pod()["status"]["nominatedNodeName"] == world.claim.name
        assert len(world.worker.asked) == 1

    async def test_once_and_not_each_cycle(self) -> None:
        world = World()
        await node_on_its_way(world)

        await world.cycles(5)

        assert world.kube.writes.count("patch pods/web-1/status") == 1

    async def test_a_nomination_that_kube_scheduler_took_away_is_written_again(self) -> None:
        world = World()
        name = await node_on_its_way(world, gated=False)
        world.kube.change(PODS, "web-1", {"status": {"nominatedNodeName": None}}, "shop")

        await world.cycle()

        assert world.pod()["status"]["nominatedNodeName"] == name

    async def test_a_pod_that_waits_for_a_node_of_another_name_learns_it_also_after_a_restart(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        world.restart()
        world.kube.change(NODECLAIMS, name, {"status": {"nodeName": "ip-10-0-0-1"}})

        await world.cycle()

        assert world.pod()["status"]["nominatedNodeName"] == "ip-10-0-0-1"

    async def test_after_a_restart_what_was_not_nominated_is_planned_onto_the_claim_that_exists(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod(gated=True)
        world.kube.refuse["patch pods"] = UNAVAILABLE
        await world.cycles(3)
        world.restart()
        world.kube.refuse.clear()

        await world.cycles(4)

        assert len(world.cloud.sold) == 1
        assert world.pod()["status"]["nominatedNodeName"] == world.claim.name

    async def test_after_a_restart_they_go_where_they_were_planned_and_nothing_is_planned_anew(self) -> None:
        """Two nodes that are just large enough: filled in another order, a third would be bought."""
        world = World()
        world.add_pool()
        for name in ("web-1", "web-2", "web-3"):
            world.add_pod(name)
        world.worker.answer = crosswise
        await world.cycles(2)
        assert len(world.claims) == 2
        assert not any("nominatedNodeName" in pod["status"] for pod in world.kube.all(PODS))
        world.restart()

        await world.cycles(3)

        where = {pod["metadata"]["name"]: pod["status"]["nominatedNodeName"] for pod in world.kube.all(PODS)}
        assert where["web-1"] == where["web-3"] != where["web-2"]
        assert world.worker.asked == []

    async def test_places_of_old_are_not_recalled_once_the_node_is_open(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.add_pod("web-2")
        world.kube.change(NODECLAIMS, name, {"metadata": {"annotations": {PLANNED_PODS: "uid-web-1,uid-web-2"}}})
        world.restart()

        await world.look()

        assert world.placement.awaited == frozenset()

    async def test_a_pod_of_the_same_name_that_came_later_is_not_meant(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        await world.cycles(2)
        view = await world.look()
        world.kube.change(PODS, "web-1", {"metadata": {"uid": "another"}}, "shop")
        await world.placement.reconcile(view)

        assert "nominatedNodeName" not in world.pod()["status"]


class TestLettingGo:
    async def test_the_gate_stays_until_the_node_is_ready(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        assert gates(world) == [PLACEMENT_GATE]

        become_ready(world, name)
        await world.cycles(2)

        assert gates(world) == []

    async def test_and_open(self) -> None:
        """While the node still has our taint, kube-scheduler would refuse it and put the pod elsewhere."""
        world = World()
        name = await node_on_its_way(world)
        world.kube.refuse["patch nodes"] = UNAVAILABLE
        become_ready(world, name)

        await world.cycles(3)
        assert gates(world) == [PLACEMENT_GATE]
        world.kube.refuse.clear()
        await world.cycles(3)

        assert gates(world) == []

    async def test_a_gate_of_somebody_else_stays(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        world.kube.change(
            PODS, "web-1", {"spec": {"schedulingGates": [{"name": "x/y"}, {"name": PLACEMENT_GATE}]}}, "shop"
        )
        become_ready(world, name)

        await world.cycles(2)

        assert gates(world) == ["x/y"]

    async def test_not_onto_a_node_that_is_leaving(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        become_ready(world, name)
        world.kube.mark_deleted(NODECLAIMS, name)
        view = await world.look()

        await world.placement.reconcile(view)

        assert gates(world) == [PLACEMENT_GATE]

    async def test_nor_onto_one_that_somebody_cordoned_or_deletes(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        become_ready(world, name)
        view = await world.look()
        for node in (replace(view.nodes[name], unschedulable=True), replace(view.nodes[name], deleting=True)):
            await world.placement.reconcile(replace(view, nodes={name: node}))

        assert gates(world) == [PLACEMENT_GATE]

    async def test_after_a_restart_too(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        world.restart()
        become_ready(world, name)

        await world.cycles(2)

        assert gates(world) == []

    async def test_onto_nodes_that_are_there_even_where_nothing_may_be_bought(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        become_ready(world, name)
        await world.cycles(3)
        world.kube.drop(PODS, "web-1", "shop")
        world.restart()
        world.kube.change(NODEPOOLS, "pool", {"spec": {"mode": "Recommend"}})
        world.add_pod("job-1", gated=True)

        await world.cycles(3)

        assert gates(world, "job-1") == []
        assert world.pod("job-1")["status"]["nominatedNodeName"] == name


class TestMemory:
    async def test_places_of_claims_and_pods_that_are_gone_are_forgotten(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        world.placement.remember([Placement("uid-gone", name), Placement("uid-web-1", "no-such-claim")])

        await world.placement.reconcile(await world.look())

        assert world.placement.awaited == frozenset()

    async def test_places_of_pods_that_still_run_on_a_leaving_node_are_kept(self) -> None:
        world = World()
        old = await world.up_and_running()
        world.kube.budgets_hold = {"web-1"}
        world.kube.mark_deleted(NODECLAIMS, old)
        await world.cycles(4)
        new = next(claim.name for claim in world.claims if claim.name != old)

        assert world.placement.awaited == {new}

    async def test_nothing_is_kept_from_a_time_as_leader_that_is_over(self) -> None:
        world = World()
        await node_on_its_way(world)

        world.placement.forget()

        assert world.placement.awaited == frozenset()


class TestHeld:
    async def test_only_a_nomination_that_is_not_stored_holds(self) -> None:
        """kube-scheduler keeps room for a nominated pod also while it has a gate."""
        world = World()
        name = await node_on_its_way(world)
        assert gates(world) == [PLACEMENT_GATE]
        assert pods_held(await world.look())[name] == 0

        world.kube.change(PODS, "web-1", {"status": {"nominatedNodeName": None}}, "shop")
        assert pods_held(await world.look())[name] == 1


class TestExposed:
    """Pods that would end on spot because a spot node of their plan opens before they are on their on-demand node."""

    async def exposed(self, world: World) -> frozenset[str]:
        return exposed_plans(await world.look())

    async def test_a_pod_without_a_gate_exposes_its_plan_until_it_is_on_its_on_demand_node(self) -> None:
        world = World()
        name = await node_on_its_way(world, gated=False)
        world.kube.change(NODECLAIMS, name, {"spec": {"capacityType": "on-demand"}})
        assert await self.exposed(world) == {world.claim.spec.plan}

        become_ready(world, name)
        await world.cycles(3)
        assert world.claim.status.phase == "Ready"
        assert await self.exposed(world) == {world.claim.spec.plan}

        world.schedule()
        assert world.pod()["spec"]["nodeName"] == name
        assert await self.exposed(world) == frozenset()

    async def test_none_that_has_a_gate_or_belongs_on_spot(self) -> None:
        gated, spot = World(), World()
        name = await node_on_its_way(gated, gated=True)
        gated.kube.change(NODECLAIMS, name, {"spec": {"capacityType": "on-demand"}})
        name = await node_on_its_way(spot, gated=False)
        spot.kube.change(NODECLAIMS, name, {"spec": {"capacityType": "spot"}})

        assert await self.exposed(gated) == await self.exposed(spot) == frozenset()
