"""Pods that name a queue, groups of pods and groups of Jobs: let go, taken back, and told why they wait."""

from __future__ import annotations

from typing import Any

import pytest

from controller_builders import World
from fake_kube import rfc3339
from queue_worlds import queue_world
from spotkube.cluster.errors import Unavailable
from spotkube.cluster.resources import CONFIGMAPS, FAIRQUEUES, JOBS, PODS
from spotkube.convert.places import CONFIG_MAP
from spotkube.model import labels as keys

Object = dict[str, Any]
UNAVAILABLE = Unavailable(500, "InternalError", "etcd is away")
GATE = {"name": keys.QUEUE_GATE}
PLACEMENT = {"name": keys.PLACEMENT_GATE}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
READY = {"type": "Ready", "status": "True"}


@pytest.fixture
def world() -> World:
    """A pool that may buy 100 cores, and a queue of 4."""
    return queue_world()


def add_queue(world: World, name: str = "batch", cpu: str = "4", **spec: Any) -> None:
    spec["resources"] = [{"name": "cpu", "nominalQuota": cpu}]
    raw = {"apiVersion": "spotkube.io/v1alpha1", "kind": "FairQueue", "metadata": {"name": name}, "spec": spec}
    world.kube.put(FAIRQUEUES, raw)


def add_pod(world: World, name: str, namespace: str = "team-a", *, cpu: str = "1", owner: str = "", **is_: Any) -> None:
    """As the chart's policy makes it: gated. `is_` are queue, group, size, gates, priority and annotations."""
    kind, _, owner_name = owner.partition("/")
    controller = {"kind": kind, "name": owner_name, "controller": True, "uid": f"uid-{owner_name}", "apiVersion": "v1"}
    annotations = {**is_.get("annotations", {}), **({keys.POD_GROUP_SIZE: is_["size"]} if "size" in is_ else {})}
    labels = {keys.QUEUE_NAME: is_.get("queue", "batch")}
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "labels": labels | ({keys.POD_GROUP_NAME: is_["group"]} if "group" in is_ else {}),
        "annotations": annotations,
        "creationTimestamp": rfc3339(world.clock()),
        "ownerReferences": [controller] if owner else [],
    }
    spec = {
        "containers": [{"name": "main", "image": "app", "resources": {"requests": {"cpu": cpu}}}],
        "schedulingGates": is_.get("gates", [GATE]),
        "priority": is_.get("priority", 0),
    }
    world.kube.put(PODS, {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})


def add_group(world: World, name: str, pods: int, **is_: Any) -> None:
    for n in range(pods):
        add_pod(world, f"{name}-{n}", group=name, **{"size": str(pods), **is_})


def add_job(world: World, name: str, pods: int, group: str, size: str, *, cpu: str = "1") -> None:
    """One role of a group of Jobs."""
    container = {"name": "main", "image": "app", "resources": {"requests": {"cpu": cpu}}}
    metadata = {
        "name": name,
        "namespace": "team-a",
        "labels": {keys.QUEUE_NAME: "batch", keys.POD_GROUP_NAME: group},
        "annotations": {keys.HELD_BY_QUEUE: "true", keys.POD_GROUP_SIZE: size},
        "creationTimestamp": rfc3339(world.clock()),
    }
    template = {"spec": {"containers": [container]}}
    spec = {"suspend": True, "parallelism": pods, "completions": pods, "template": template}
    world.kube.put(JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec, "status": {}})


def let_go(world: World) -> list[str]:
    """Pods that have not our queue's gate, and do not leave."""
    return sorted(
        raw["metadata"]["name"]
        for raw in world.kube.all(PODS)
        if GATE not in (raw["spec"].get("schedulingGates") or []) and not raw["metadata"].get("deletionTimestamp")
    )


def running_jobs(world: World) -> list[str]:
    return sorted(raw["metadata"]["name"] for raw in world.kube.all(JOBS) if not raw["spec"]["suspend"])


def run(world: World, *names: str, ready: bool = True, namespace: str = "team-a") -> None:
    """kube-scheduler and the kubelet did their work."""
    for name in names:
        status = {"phase": "Running", "conditions": [READY] if ready else []}
        world.kube.change(PODS, name, {"spec": {"nodeName": "somewhere"}, "status": status}, namespace)


def pods_end(world: World) -> list[str]:
    """The kubelet is done with those that are being deleted."""
    gone = [raw["metadata"] for raw in world.kube.all(PODS) if raw["metadata"].get("deletionTimestamp")]
    for metadata in gone:
        world.kube.drop(PODS, metadata["name"], metadata["namespace"])
    return [metadata["name"] for metadata in gone]


def why(world: World, name: str) -> str:
    return world.controllers.queues.standings[f"uid-{name}"].reason


def words(world: World, name: str) -> str:
    return world.controllers.queues.standings[f"uid-{name}"].message


def forget_all(world: World) -> None:
    """A restart without what the operator kept."""
    if (CONFIGMAPS, "spotkube-system", CONFIG_MAP) in world.kube.objects:
        world.kube.drop(CONFIGMAPS, CONFIG_MAP, "spotkube-system")
    world.restart()


class TestPods:
    async def test_as_many_as_the_quota_holds_and_the_next_when_one_has_ended(self, world: World) -> None:
        for n in range(6):
            add_pod(world, f"p{n}")

        await world.cycle()
        assert let_go(world) == ["p0", "p1", "p2", "p3"]
        assert why(world, "p4") == "Quota"

        world.kube.change(PODS, "p0", {"status": {"phase": "Succeeded"}}, "team-a")
        await world.cycle()
        assert let_go(world) == ["p0", "p1", "p2", "p3", "p4"]

    async def test_one_patch_removes_our_gate_and_no_other(self, world: World) -> None:
        other = {"name": "example.com/mine"}
        add_pod(world, "p", gates=[other, GATE, PLACEMENT])

        await world.cycle()

        assert world.kube.writes.count("patch pods/p") == 1
        assert world.kube.one(PODS, "p", "team-a")["spec"]["schedulingGates"] == [other, PLACEMENT]

    async def test_a_gate_that_is_not_where_it_was_seen_is_left_until_the_next_look(self, world: World) -> None:
        add_pod(world, "p", gates=[{"name": "example.com/mine"}, GATE])
        drop = {"spec": {"schedulingGates": [GATE]}}
        world.kube.before_write = lambda line: line == "patch pods/p" and world.kube.change(PODS, "p", drop, "team-a")
        await world.cycle()
        assert let_go(world) == []
        world.kube.before_write = lambda line: None

        await world.cycle()

        assert let_go(world) == ["p"]

    async def test_they_share_a_queue_with_jobs_and_among_tenants(self, world: World) -> None:
        for n in range(20):
            add_pod(world, f"burst-{n:02}")
        await world.cycle()
        add_pod(world, "single", "team-b")
        await world.cycle()

        world.kube.drop(PODS, "burst-00", "team-a")
        await world.cycle()

        assert "single" in let_go(world)

    async def test_priority_is_that_of_the_pod(self, world: World) -> None:
        for n in range(4):
            add_pod(world, f"low-{n}")
        add_pod(world, "urgent", cpu="2", priority=1000)

        await world.cycle()

        assert "urgent" in let_go(world)
        assert len(let_go(world)) == 3

    async def test_those_of_jobs_and_of_other_queues_are_left_alone(self, world: World) -> None:
        add_pod(world, "of-a-job", owner="Job/j")
        add_pod(world, "of-a-daemonset", owner="DaemonSet/d")
        add_pod(world, "of-kueue")
        world.kube.change(PODS, "of-kueue", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}}, "team-a")

        await world.cycles(2)

        assert let_go(world) == []
        assert not [line for line in world.kube.writes if line.startswith("patch pods")]

    async def test_what_they_cost_is_their_queues(self, world: World) -> None:
        add_pod(world, "p", owner="ReplicaSet/web")
        await world.cycle()
        world.kube.change(PODS, "p", {"status": {"conditions": [UNSCHEDULABLE]}}, "team-a")
        await world.cycles(3)
        (order,) = world.cloud.sold
        world.join(order.name)
        run(world, "p")
        world.kube.change(PODS, "p", {"spec": {"nodeName": order.name}}, "team-a")

        await world.cycles(2)

        status = world.kube.one(FAIRQUEUES, "batch")["status"]
        assert status["spend"]["usdPerHour"] > 0
        assert [(one["name"], one["admitted"]) for one in status["tenants"]] == [("team-a", 1)]


class TestNothingIsBought:
    async def test_for_pods_that_wait_for_their_queue(self, world: World) -> None:
        add_queue(world, stopPolicy="Hold")
        for name, gates in (("a", [GATE]), ("b", [PLACEMENT, GATE])):
            add_pod(world, name, gates=gates)
            world.kube.change(PODS, name, {"status": {"conditions": [UNSCHEDULABLE]}}, "team-a")

        await world.cycles(3)

        assert not world.cloud.sold
        assert why(world, "a") == "QueueHeld"

    async def test_until_they_are_let_go(self, world: World) -> None:
        add_pod(world, "a", gates=[PLACEMENT, GATE], cpu="2")
        add_pod(world, "b", cpu="2")

        await world.cycle()
        world.kube.change(PODS, "b", {"status": {"conditions": [UNSCHEDULABLE]}}, "team-a")
        await world.cycles(3)

        assert len(world.cloud.sold) == 2


class TestGroups:
    async def test_all_or_none(self, world: World) -> None:
        for n in range(2):
            add_pod(world, f"g-{n}", group="g", size="3")
        await world.cycle()
        assert let_go(world) == []
        assert why(world, "g-0") == "GangIncomplete"
        assert words(world, "g-1") == "of its 3 pods 2 exist; it starts with all or none"

        add_pod(world, "g-2", group="g", size="3")
        await world.cycle()

        assert let_go(world) == ["g-0", "g-1", "g-2"]

    async def test_one_that_does_not_fit_as_a_whole_waits_as_a_whole(self, world: World) -> None:
        add_pod(world, "first", cpu="2")
        await world.cycle()

        add_group(world, "g", 3)
        await world.cycle()

        assert let_go(world) == ["first"]
        assert {why(world, f"g-{n}") for n in range(3)} == {"Quota"}

    async def test_roles_that_differ_are_counted_each_as_it_is(self, world: World) -> None:
        add_queue(world, cpu="3")
        add_pod(world, "g-small", group="g", size="2", cpu="1")
        add_pod(world, "g-large", group="g", size="2", cpu="2")
        add_pod(world, "other", cpu="1", annotations={keys.EXPECTED_RUN_TIME: "200h"})

        await world.cycles(2)

        assert let_go(world) == ["g-large", "g-small"]
        assert why(world, "other") == "Quota"

    async def test_groups_of_one_name_in_two_namespaces_are_two(self, world: World) -> None:
        add_pod(world, "a", "team-a", group="g", size="2")
        add_pod(world, "b", "team-b", group="g", size="2")

        await world.cycle()

        assert {why(world, "a"), why(world, "b")} == {"GangIncomplete"}

    async def test_jobs_of_several_roles_start_together(self, world: World) -> None:
        add_job(world, "driver", 1, "train", "4")
        await world.cycle()
        assert running_jobs(world) == []
        assert words(world, "driver") == "of its 4 pods 1 exist; it starts with all or none"

        add_job(world, "workers", 3, "train", "4")
        await world.cycle()

        assert running_jobs(world) == ["driver", "workers"]

    async def test_a_pod_that_is_made_anew_goes_to_its_group_at_once(self, world: World) -> None:
        add_group(world, "g", 4, owner="ReplicaSet/g")
        await world.cycle()
        run(world, *(f"g-{n}" for n in range(4)))
        await world.cycle()
        world.kube.drop(PODS, "g-3", "team-a")
        add_pod(world, "g-new", group="g", size="4", owner="ReplicaSet/g")

        await world.cycle()

        assert "g-new" in let_go(world)


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("size", "says"),
        [
            (None, "annotation spotkube.io/pod-group-size is missing: say how many pods the whole group g has"),
            ("many", "'many' is no number of pods"),
            ("0", "'0' is no number of pods"),
            ("-1", "'-1' is no number of pods"),
            ("9" * 40, "is no number of pods"),
            ("1", "group g is said to have 1 pods, and 2 are there: correct the number, or delete some"),
        ],
    )
    async def test_a_size_that_can_not_be(self, world: World, size: str | None, says: str) -> None:
        for n in range(2):
            add_pod(world, f"g-{n}", group="g", **({} if size is None else {"size": size}))

        await world.cycle()

        assert let_go(world) == []
        assert why(world, "g-0") == "GroupInvalid"
        assert says in words(world, "g-0")

    async def test_members_that_do_not_agree(self, world: World) -> None:
        add_queue(world, "nightly")
        add_pod(world, "a", group="g", size="2")
        add_pod(world, "b", group="g", size="2", queue="nightly")
        add_pod(world, "c", group="h", size="2")
        add_pod(world, "d", group="h", size="3")

        await world.cycle()

        assert let_go(world) == []
        assert words(world, "a") == "group g has members in queues batch, nightly: name the same queue on all of them"
        assert words(world, "d") == "members of group h say that it has 2 and 3 pods: say the same on all"

    async def test_what_was_wrong_and_is_mended_is_admitted(self, world: World) -> None:
        add_group(world, "g", 2, size="1")
        await world.cycle()
        world.kube.drop(PODS, "g-1", "team-a")

        await world.cycle()

        assert let_go(world) == ["g-0"]

    async def test_a_group_that_runs_takes_no_more_than_it_was_admitted_with(self, world: World) -> None:
        add_group(world, "g", 2)
        await world.cycle()
        run(world, "g-0", "g-1")
        await world.cycle()
        add_pod(world, "g-more", group="g", size="50")
        await world.cycle()
        assert "runs already with as many pods as it has" in words(world, "g-more")

        world.kube.drop(PODS, "g-1", "team-a")
        world.kube.drop(PODS, "g-more", "team-a")
        add_pod(world, "g-wide", group="g", size="2", cpu="2")
        await world.cycle()

        assert let_go(world) == ["g-0"]
        assert "was admitted with less than it would take with this one" in words(world, "g-wide")

    async def test_ended_members_do_not_let_new_ones_past_the_queue(self, world: World) -> None:
        add_job(world, "a", 2, "g", "4")
        add_job(world, "b", 2, "g", "4")
        await world.cycle()
        for name in ("a", "b"):
            ended = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 2}
            world.kube.change(JOBS, name, {"status": ended}, "team-a")
        await world.cycles(2)
        world.kube.drop(JOBS, "b", "team-a")

        add_job(world, "b2", 2, "g", "4")
        await world.cycle()

        assert running_jobs(world) == ["a"]
        assert why(world, "b2") == "GangIncomplete"


class TestKilledInMidAdmission:
    """Some members were let go, and the operator is gone."""

    @pytest.mark.parametrize("with_memory", [True, False])
    async def test_the_rest_of_a_group_of_pods_is_let_go(self, world: World, with_memory: bool) -> None:
        add_group(world, "g", 4)
        world.kube.refuse["patch pods/g-2"] = world.kube.refuse["patch pods/g-3"] = UNAVAILABLE
        await world.cycle()
        assert let_go(world) == ["g-0", "g-1"]
        world.kube.refuse.clear()
        add_pod(world, "other", "team-b")
        (world.restart if with_memory else lambda: forget_all(world))()

        await world.cycle()

        assert let_go(world) == ["g-0", "g-1", "g-2", "g-3"]
        assert why(world, "other") == "Quota"

    @pytest.mark.parametrize("ended", [False, True])
    async def test_the_rest_of_a_group_of_jobs_is_let_go(self, world: World, ended: bool) -> None:
        """Also if what was let go has ended since."""
        add_job(world, "a", 2, "g", "4")
        add_job(world, "b", 2, "g", "4")
        world.kube.refuse["patch jobs/b"] = UNAVAILABLE
        await world.cycle()
        assert running_jobs(world) == ["a"]
        world.kube.refuse.clear()
        if ended:
            status = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 2}
            world.kube.change(JOBS, "a", {"status": status}, "team-a")
        world.restart()

        await world.cycle()

        assert running_jobs(world) == ["a", "b"]


class TestTakingBack:
    async def drain(self, world: World) -> None:
        world.kube.change(FAIRQUEUES, "batch", {"spec": {"stopPolicy": "HoldAndDrain"}})
        await world.cycle()

    async def test_a_pod_that_is_made_anew_is_evicted_and_its_successor_has_its_place(self, world: World) -> None:
        add_pod(world, "web-1", owner="ReplicaSet/web")
        await world.cycle()
        run(world, "web-1")
        await self.drain(world)
        assert "evict pods/web-1" in world.kube.writes
        world.clock.now += 20
        add_pod(world, "late", annotations={keys.EXPECTED_RUN_TIME: "1s"})
        add_pod(world, "web-2", owner="ReplicaSet/web")
        await world.cycle()
        assert pods_end(world) == ["web-1"]

        await world.cycle()

        memory = world.controllers.queues._memory
        assert memory is not None
        assert set(memory[0].clock.in_order()) == {"uid-web-1", "uid-late"}, "the successor stands where it stood"

    async def test_a_disruption_budget_holds_and_it_is_asked_again(self, world: World) -> None:
        add_group(world, "g", 2, owner="StatefulSet/g")
        await world.cycle()
        run(world, "g-0", "g-1")
        world.kube.budgets_hold.add("g-1")
        await self.drain(world)
        pods_end(world)
        add_pod(world, "g-0", group="g", size="2", owner="StatefulSet/g")
        await world.cycles(2)
        assert let_go(world) == ["g-1"]
        assert world.kube.writes.count("patch pods/g-0") == 1, "not let go again for those that are still there"

        world.kube.budgets_hold.clear()
        await world.cycle()

        assert let_go(world) == []

    async def test_bare_pods_can_not_come_again_and_are_let_be(self, world: World) -> None:
        for n in range(4):
            add_pod(world, f"bare-{n}", annotations={keys.EXPECTED_RUN_TIME: "10h"})
        await world.cycle()
        add_pod(world, "urgent", priority=1000)
        await world.cycles(2)
        await self.drain(world)

        assert let_go(world) == ["bare-0", "bare-1", "bare-2", "bare-3"]
        assert not [line for line in world.kube.writes if line.startswith(("evict", "delete"))]

    async def test_what_is_left_of_a_group_of_jobs_is_taken_back_and_comes_again(self, world: World) -> None:
        add_job(world, "a", 2, "g", "4")
        add_job(world, "b", 2, "g", "4")
        await world.cycle()
        ended = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 2}
        world.kube.change(JOBS, "a", {"status": ended}, "team-a")
        await self.drain(world)
        await world.cycles(2)
        assert world.kube.one(JOBS, "b", "team-a")["spec"]["suspend"]

        world.kube.change(FAIRQUEUES, "batch", {"spec": {"stopPolicy": "None"}})
        await world.cycle()

        assert not world.kube.one(JOBS, "b", "team-a")["spec"]["suspend"]

    async def test_services_give_way_to_a_higher_priority(self, world: World) -> None:
        for n in range(4):
            add_pod(world, f"web-{n}", owner="ReplicaSet/web")
        await world.cycle()
        run(world, *(f"web-{n}" for n in range(4)))
        add_pod(world, "urgent", priority=1000)
        await world.cycle()
        (evicted,) = [line for line in world.kube.writes if line.startswith("evict")]
        assert "urgent" not in let_go(world), "its room is still in use"
        pods_end(world)
        add_pod(world, "web-new", owner="ReplicaSet/web")

        await world.cycles(2)

        assert "urgent" in let_go(world)
        assert evicted.removeprefix("evict pods/") not in let_go(world)
        assert why(world, "web-new") == "Backoff", "it is known to have been preempted"

    async def test_a_group_that_is_not_ready_in_time(self, world: World) -> None:
        add_group(world, "g", 2, owner="StatefulSet/g")
        await world.cycle()
        run(world, "g-0")
        await world.cycles(2)

        await world.cycle(seconds=400)
        await world.cycle()

        assert sorted(line for line in world.kube.writes if line.startswith("evict")) == [
            "evict pods/g-0",
            "evict pods/g-1",
        ]

    async def test_a_group_that_was_ready_once_is_not_taken_back_for_a_pod_that_fails_later(self, world: World) -> None:
        add_group(world, "g", 2, owner="StatefulSet/g")
        await world.cycle()
        run(world, "g-0", "g-1")
        await world.cycle()
        run(world, "g-1", ready=False)

        await world.cycle(seconds=400)
        await world.cycles(2)

        assert let_go(world) == ["g-0", "g-1"]

    async def test_a_bare_group_that_is_not_ready_is_told_of(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[tuple[str, str]] = []
        monkeypatch.setattr(world.tools.recorder, "record", lambda ref, _, why, *__: told.append((ref.name, why)))
        add_group(world, "g", 2)
        await world.cycles(2)

        await world.cycle(seconds=400)
        await world.cycle()

        assert let_go(world) == ["g-0", "g-1"]
        assert ("g-0", "NotReady") in told


async def fill_queue(world: World) -> str:
    """The queue's four cores are in use, two of them by a pod that runs on a node of ours, and others wait; the
    node."""
    add_pod(world, "web-1", cpu="2", owner="ReplicaSet/web")
    await world.cycle()
    world.kube.change(PODS, "web-1", {"status": {"conditions": [UNSCHEDULABLE]}}, "team-a")
    await world.cycles(3)
    (order,) = world.cloud.sold
    world.join(order.name)
    await world.cycles(2)
    run(world, "web-1")
    world.kube.change(PODS, "web-1", {"spec": {"nodeName": order.name}}, "team-a")
    add_pod(world, "filler", cpu="2", annotations={keys.EXPECTED_RUN_TIME: "10h"})
    await world.cycle()
    for n in range(3):
        add_pod(world, f"waits-{n}", annotations={keys.EXPECTED_RUN_TIME: "1s"})
    await world.cycle()
    return order.name


class TestMoved:
    async def test_who_had_to_leave_its_node_does_not_wait_anew(self, world: World) -> None:
        """The queue is full, and others wait for the room."""
        node = await fill_queue(world)

        world.notice(node)
        await world.cycles(2)
        assert "evict pods/web-1" in world.kube.writes
        add_pod(world, "web-2", cpu="2", owner="ReplicaSet/web")
        await world.cycle()
        pods_end(world)
        await world.cycle()

        assert let_go(world) == ["filler", "web-2"]
