"""Pods are brought onto the nodes that were planned for them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import make_node, make_pod
from controller_builders import UNAVAILABLE, World
from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS, NODES, PODS
from spotkube.controllers.claims.arriving import LANDING_SECONDS
from spotkube.controllers.entry import selector_of
from spotkube.controllers.placement import pods_landing
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.labels import HOSTNAME, NODECLAIM, PLACEMENT_GATE, PLANNED_PODS, UNREGISTERED_TAINT
from spotkube.model.plan import Placement, Plan, PlannedNode
from spotkube.planner.formulation.waiting import unsettled
from spotkube.providers.port import InstanceState

SPREAD = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}


def admitted(world: World, name: str = "web-1") -> str | None:
    """The claim (its uid) whose node the pod may enter before others."""
    tolerations = world.pod(name)["spec"].get("tolerations", ())
    return next((t["value"] for t in tolerations if t["key"] == UNREGISTERED_TAINT), None)


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


def add_room_elsewhere(world: World, *, tainted: bool = False) -> None:
    """On a node that is open to all; or only to those that tolerate its taint."""
    taints = [{"key": "theirs", "effect": "NoSchedule"}] if tainted else []
    status = {
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "9"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    world.kube.put(NODES, {"metadata": {"name": "theirs"}, "spec": {"taints": taints}, "status": status})


def crosswise(snapshot: Snapshot, mode: Mode) -> Plan:
    """The first and the last pod onto one node, the one between onto another."""
    first, *between, last = sorted(unsettled(snapshot))
    nodes = ((first, last), tuple(between))
    return Plan(tuple(PlannedNode("pool", snapshot.offerings[0], pods, "it is there") for pods in nodes))


def together(snapshot: Snapshot, mode: Mode) -> Plan:
    """All onto one node, told in the order of their names."""
    return Plan((PlannedNode("pool", snapshot.offerings[0], tuple(sorted(unsettled(snapshot))), "it is there"),))


def become_ready(world: World, name: str) -> None:
    world.kube.change(NODES, name, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})


class TestAdmitting:
    """Onto nodes that are still to come."""

    async def test_a_pod_may_enter_its_node_as_soon_as_the_claim_is_written(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()

        await world.cycles(3)

        assert admitted(world) == world.claim.metadata.uid
        assert "nominatedNodeName" not in world.pod()["status"]
        assert len(world.worker.asked) == 1

    async def test_and_not_only_once_the_next_cycle_comes_to_it(self) -> None:
        """Where hundreds are written, the first nodes may be there before the last claim is."""
        world = World()
        world.add_pool()
        world.add_pod()

        await world.decided()

        assert admitted(world) == world.claim.metadata.uid

    async def test_and_no_other(self) -> None:
        world = World()
        name = await node_on_its_way(world)

        [taint] = world.kube.one(NODES, name)["spec"]["taints"]
        assert (taint["key"], taint["value"]) == (UNREGISTERED_TAINT, world.claim.metadata.uid)

    @pytest.mark.parametrize("late", [False, True])
    async def test_in_the_order_in_which_kube_scheduler_comes_to_them(self, late: bool) -> None:
        """One that it tries too early takes the time of all behind it; `late`: by a cycle that comes after."""
        world = World()
        world.worker.answer = together
        if late:
            world.kube.refuse["patch pods"] = UNAVAILABLE
        world.add_pool()
        for name, second, priority in (("last", 9, 0), ("first", 9, 5), ("second", 1, 0)):
            raw = world.add_pod(name)
            raw["metadata"]["creationTimestamp"] = f"2027-01-15T08:00:0{second}Z"
            world.kube.put(PODS, raw | {"spec": {**raw["spec"], "priority": priority}})

        await world.decided()
        if late:
            world.kube.refuse.clear()
            world.kube.writes.clear()
            await world.cycle()

        patched = [line for line in world.kube.writes if line.startswith("patch pods/")]
        assert patched == [f"patch pods/{name}" for name in ("first", "second", "last")]

    async def test_its_own_tolerations_stay(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod()
        own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}
        world.kube.change(PODS, "web-1", {"spec": {"tolerations": [own]}}, "shop")

        await world.cycles(3)

        assert world.pod()["spec"]["tolerations"][0] == own
        assert admitted(world) == world.claim.metadata.uid

    async def test_pods_that_were_alike_are_alike_with_it(self) -> None:
        world = World()
        await node_on_its_way(world, gated=False)
        world.add_pod("web-2")

        view = await world.look()

        assert len({pod.shape for pod in view.pods.values()}) == 1

    async def test_once_and_not_each_cycle(self) -> None:
        world = World()
        await node_on_its_way(world, gated=False)

        await world.cycles(5)

        assert world.kube.writes.count("patch pods/web-1") == 1

    async def test_where_a_node_never_came_it_may_enter_the_next_one(self) -> None:
        world = World()
        name = await node_on_its_way(world, gated=False)
        old = world.claim.metadata.uid
        world.kube.mark_deleted(NODECLAIMS, name)
        world.cloud.become(f"i-{name}", InstanceState.TERMINATED)
        await world.cycles(12)
        [new] = [claim.metadata.uid for claim in world.claims if claim.metadata.uid != old]

        tolerations = [t["value"] for t in world.pod()["spec"]["tolerations"]]
        assert tolerations == [old, new]

    async def test_a_pod_that_we_hold_back_is_nominated_besides_if_another_node_may_take_it(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        add_room_elsewhere(world)
        await world.cycles(5)
        assert world.pod()["status"]["nominatedNodeName"] == name
        assert world.kube.writes.count("patch pods/web-1/status") == 1

        become_ready(world, name)
        await world.cycles(2)

        assert admitted(world) == world.claim.metadata.uid

    async def test_but_not_where_it_can_go_nowhere_else(self) -> None:
        """Each write delays a thousand pods by seconds, and every cluster has nodes that are not for them."""
        world = World()
        await node_on_its_way(world)
        add_room_elsewhere(world, tainted=True)
        await world.cycles(5)

        assert "patch pods/web-1/status" not in world.kube.writes

    async def test_nor_where_it_is_spread(self) -> None:
        """kube-scheduler counts those nominated onto a node, and would refuse each for the sake of the others."""
        world = World()
        world.add_pool()
        world.add_pod(gated=True)
        world.kube.change(PODS, "web-1", {"spec": {"topologySpreadConstraints": [SPREAD]}}, "shop")
        await world.cycles(3)
        world.join(world.claim.name)
        await world.cycles(3)

        assert "nominatedNodeName" not in world.pod()["status"]
        assert (gates(world), admitted(world)) == ([], world.claim.metadata.uid)

    async def test_after_a_restart_a_pod_goes_where_it_may_enter(self) -> None:
        world = World()
        name = await node_on_its_way(world, gated=False)
        world.kube.change(NODECLAIMS, name, {"metadata": {"annotations": {PLANNED_PODS: ""}}})
        world.restart()

        await world.cycles(3)

        assert world.placement.awaited == {name}
        assert world.worker.asked == []


class TestNominating:
    """Onto nodes that are open to all, and there as long as the pod is not bound."""

    async def nominated(self) -> tuple[World, str]:
        world = World()
        name = await world.up_and_running()
        world.add_pod("web-2")
        await world.cycles(3)
        return world, name

    async def test_a_pod_for_which_there_is_room(self) -> None:
        world, name = await self.nominated()

        assert world.pod("web-2")["status"]["nominatedNodeName"] == name
        assert admitted(world, "web-2") is None

    async def test_a_nomination_that_kube_scheduler_took_away_is_written_again(self) -> None:
        world, name = await self.nominated()
        world.kube.change(PODS, "web-2", {"status": {"nominatedNodeName": None}}, "shop")

        await world.cycle()

        assert world.pod("web-2")["status"]["nominatedNodeName"] == name

    async def test_a_pod_that_waits_for_a_node_of_another_name_learns_it_also_after_a_restart(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        add_room_elsewhere(world)
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
        add_room_elsewhere(world)
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
        world.kube.refuse["patch pods"] = UNAVAILABLE
        await world.decided()
        assert len(world.claims) == 2
        assert not any(admitted(world, name) for name in ("web-1", "web-2", "web-3"))
        world.restart()
        world.kube.refuse.clear()

        await world.cycles(3)

        first, second, third = (admitted(world, name) for name in ("web-1", "web-2", "web-3"))
        assert first == third != second
        assert first
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
        world.kube.refuse["patch pods"] = UNAVAILABLE
        await world.decided()
        view = await world.look()
        world.kube.refuse.clear()
        world.kube.change(PODS, "web-1", {"metadata": {"uid": "another"}}, "shop")
        await world.placement.reconcile(view)

        assert "nominatedNodeName" not in world.pod()["status"]
        assert admitted(world) is None


class TestLettingGo:
    async def test_the_gate_stays_until_the_node_is_ready(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        assert gates(world) == [PLACEMENT_GATE]

        become_ready(world, name)
        await world.cycles(2)

        assert gates(world) == []

    async def test_but_not_until_it_is_open_to_others(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        world.kube.refuse["patch nodes"] = UNAVAILABLE
        become_ready(world, name)

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


class TestLanding:
    async def landing(self, world: World) -> dict[str, int]:
        return dict(pods_landing(await world.look()))

    async def test_a_node_stays_closed_until_the_pods_of_its_plan_are_bound(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod("web-1")
        world.add_pod("web-2")
        world.worker.answer = apart
        await world.cycles(3)
        plan = world.claims[0].spec.plan
        first, second = (claim.name for claim in world.claims)
        assert await self.landing(world) == {plan: 2}

        world.join(first)
        await world.cycles(2)
        world.schedule()
        await world.cycles(2)
        assert world.kube.one(NODES, first)["spec"]["taints"]

        world.join(second)
        await world.cycles(2)
        world.schedule()
        await world.cycles(2)
        assert await self.landing(world) == {}
        assert [claim.status.phase for claim in world.claims] == ["Ready", "Ready"]

    async def test_but_not_for_ever(self) -> None:
        world = World()
        name = await node_on_its_way(world, gated=False)
        become_ready(world, name)
        await world.cycles(6)
        assert any(taint["key"] == UNREGISTERED_TAINT for taint in world.kube.one(NODES, name)["spec"]["taints"])

        world.clock.now += LANDING_SECONDS
        await world.cycles(2)

        assert world.claim.status.phase == "Ready"

    async def test_pods_that_are_gone_keep_nothing_closed(self) -> None:
        world = World()
        name = await node_on_its_way(world, gated=False)
        become_ready(world, name)
        world.kube.drop(PODS, "web-1", "shop")

        await world.cycles(2)

        assert world.claim.status.phase == "Ready"


class TestForeignSchedulers:
    """A scheduler that is not the default one need not go by nominations: nothing is pinned for it."""

    async def test_their_pods_are_not_nominated(self) -> None:
        world = World()
        name = await world.up_and_running()
        world.add_pod("web-2")
        world.kube.change(PODS, "web-2", {"spec": {"schedulerName": "mine"}}, "shop")

        await world.cycles(3)

        assert world.placement.awaited == {name}
        assert world.pod("web-2")["status"].get("nominatedNodeName") is None

    async def test_our_gate_on_them_is_lifted_once_there_is_room(self) -> None:
        world = World()
        world.add_pool()
        world.add_pod(gated=True)
        world.kube.change(PODS, "web-1", {"spec": {"schedulerName": "mine"}}, "shop")
        await world.cycles(3)
        assert gates(world) == [PLACEMENT_GATE]

        world.join(world.claim.name)
        await world.cycles(3)

        assert gates(world) == []
        assert world.pod()["status"].get("nominatedNodeName") is None


class TestBeforeNominations:
    """Kubernetes before 1.35: a node selector where it is harmless."""

    async def released(self, spec: dict[str, object]) -> dict[str, object]:
        world = World()
        world.placement._by_selector = True
        name = await node_on_its_way(world)
        world.kube.change(PODS, "web-1", {"spec": spec}, "shop")
        become_ready(world, name)
        await world.cycles(3)
        assert gates(world) == []
        found: dict[str, object] = world.pod()["spec"].get("nodeSelector", {})
        return {key: "the claim" if value == name else value for key, value in found.items()}

    async def test_a_gated_pod_is_pinned_to_its_claim_besides_what_it_asks_for(self) -> None:
        selector = await self.released({"nodeSelector": {"disk": "ssd"}})

        assert selector == {"disk": "ssd", NODECLAIM: "the claim"}

    async def test_one_that_is_spread_never_is(self) -> None:
        assert await self.released({"topologySpreadConstraints": [SPREAD]}) == {}

    async def test_from_1_35_on_none_is(self) -> None:
        world = World()
        name = await node_on_its_way(world)
        become_ready(world, name)
        await world.cycles(3)

        assert "nodeSelector" not in world.pod()["spec"]

    def test_on_a_node_of_nobodys_claim_its_hostname_says_which(self) -> None:
        node = make_node("old")

        assert selector_of(make_pod(), node) == {HOSTNAME: "old"}
        assert selector_of(make_pod(), replace(node, labels=())) == {}


def apart(snapshot: Snapshot, mode: Mode) -> Plan:
    """A node for each pod."""
    return Plan(tuple(PlannedNode("pool", snapshot.offerings[0], (uid,), "") for uid in sorted(unsettled(snapshot))))
