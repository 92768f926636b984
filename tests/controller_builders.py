"""A cluster and a cloud in memory, with which the controllers and the whole loop can be told stories."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from fake_kube import Clock, FakeKube, rfc3339
from fake_provider import FakeCloud, FakeMessages
from spotkube.api import NodeClaim
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import ApiError
from spotkube.cluster.events import EventRecorder
from spotkube.cluster.resources import CAPACITYPLANS, NODECLAIMS, NODEPOOLS, NODES, PODS
from spotkube.controllers.carrying import Carrier
from spotkube.controllers.claims.acting import ClaimActor
from spotkube.controllers.claims.doors import Doors
from spotkube.controllers.claims.reconcile import ClaimController
from spotkube.controllers.disruption.carry import DisruptionController
from spotkube.controllers.disruption.sources import sources
from spotkube.controllers.garbage import GarbageCollector
from spotkube.controllers.history import InterruptionHistory
from spotkube.controllers.inbox import Inbox
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.pools import PoolController
from spotkube.controllers.queues.reconcile import QueueController
from spotkube.controllers.resting import RestingOfferings
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.upkeep.sickness import SickNodes
from spotkube.controllers.view import View
from spotkube.controllers.watched import add_all
from spotkube.controllers.workloads.reconcile import WorkloadController
from spotkube.loop import Controllers, Loop
from spotkube.metrics import Metrics
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.labels import UNREGISTERED_TAINT
from spotkube.model.plan import Placement, Plan, PlannedNode, Unplaceable
from spotkube.moving import MovesQuestion
from spotkube.observe import Observer
from spotkube.pacing import Pace
from spotkube.planner.formulation.bins import make_bins
from spotkube.planner.formulation.waiting import unsettled
from spotkube.planning import Planning
from spotkube.providers.port import InstanceState, ProviderUnavailable
from spotkube.worker import Planned, PlannerWorker

Object = dict[str, Any]


def _takes(node: Object, passes: set[str]) -> bool:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions") or ())
    taints = node["spec"].get("taints") or ()
    mine = all(taint["key"] == UNREGISTERED_TAINT and taint.get("value") in passes for taint in taints)
    return ready and mine and not node["spec"].get("unschedulable")


def plan_simply(snapshot: Snapshot, mode: Mode) -> Plan:
    """Each pod onto the first bin with room, or else onto a node of its own of the first offering."""
    pools = [pool for pool in snapshot.pools if pool.mode is mode]
    offerings = [offering for offering in snapshot.offerings if offering.key not in snapshot.resting]
    pods = {pod.uid: pod for pod in snapshot.pods}
    free = {bin_.name: bin_.free for bin_ in make_bins(snapshot)}
    placements: list[Placement] = []
    additions: list[PlannedNode] = []
    left: list[str] = []
    for uid in sorted(unsettled(snapshot)):
        requests = pods[uid].shape.requests
        name = next((name for name, room in free.items() if requests.fits(room)), None)
        if name is not None:
            free[name] = free[name] - requests
            placements.append(Placement(uid, name))
        elif offerings:
            additions.append(PlannedNode(pools[0].name, offerings[0], (uid,), "it is there"))
        else:
            left.append(uid)
    unplaceable = (Unplaceable("web", tuple(left), "nothing is for sale"),) if left else ()
    prices = [claim.price_micro_usd_hour for claim in snapshot.claims if not claim.leaving]
    prices += [node.offering.price_micro_usd_hour for node in additions]
    placed = len(additions) + len(placements)
    return Plan(
        tuple(additions), tuple(placements), unplaceable, cost_after_micro_usd_hour=sum(prices), placed_pods=placed
    )


class FakeWorker(PlannerWorker):
    """Plans at once, in this process. `error` is raised instead."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Mode] = []
        self.seconds: list[float] = []
        self.filled: list[Snapshot] = []
        self.kept_up: list[Snapshot] = []
        self.error: Exception | None = None
        self.answer: Callable[[Snapshot, Mode], Plan] = plan_simply
        self.moves: Callable[[Snapshot, Mode], Plan] = lambda _snapshot, _mode: Plan()

    async def plan(self, snapshot: Snapshot, mode: Mode, seed: int, seconds: float, moves: bool = False) -> Planned:
        self.asked.append(mode)
        self.seconds.append(seconds)
        if self.error is not None:
            raise self.error
        return Planned((self.moves if moves else self.answer)(snapshot, mode), 0.1)

    async def fill(self, snapshot: Snapshot) -> tuple[Placement, ...]:
        self.filled.append(snapshot)
        if self.error is not None:
            raise self.error
        return self.answer(replace(snapshot, offerings=()), Mode.APPLY).placements

    async def keep_up(self, snapshot: Snapshot) -> None:
        self.kept_up.append(snapshot)
        if self.error is not None:
            raise self.error


class World:
    """The operator's loop over the fakes. `restart` gives it a new life with the same cluster and cloud.
    `tenant_label` is the operator's setting. Without `begins` claims take their first steps in the next cycle only."""

    def __init__(self, tenant_label: str = "", *, begins: bool = True) -> None:
        self.tenant_label = tenant_label
        self.begins = begins
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.cloud = FakeCloud(self.clock)
        self.leading = True
        self.messages = FakeMessages()
        self.restart()

    def restart(self) -> None:
        self.cache = Cache()
        add_all(self.cache)
        self.metrics = Metrics()
        client = cast("KubeClient", self.kube)
        self.tools = Toolbox(
            client=client,
            cache=self.cache,
            provider=self.cloud,
            recorder=EventRecorder(client, "test"),
            metrics=self.metrics,
            resting=RestingOfferings(180.0, self.clock),
            is_leader=lambda: self.leading,
            clock=self.clock,
            notice_margin_seconds=5.0,
            inbox=Inbox(self.messages, self.metrics, lambda: self.leading, self.clock),
        )
        self.worker = FakeWorker()
        self.planning = Planning(self.worker, self.metrics, 0, 1.0, moves=MovesQuestion(60.0))
        self.placement = PlacementController(self.tools)
        self.history = InterruptionHistory(self.tools, "spotkube-system")
        self.observer = Observer(
            self.cache,
            self.cloud,
            self.placement,
            self.tools.resting,
            self.tools.displaced,
            self.clock,
            history=self.history,
            brake=self.tools.brake,
        )
        self.doors = Doors(self.tools)
        actor = ClaimActor(self.tools, self.doors)
        claims = ClaimController(self.tools, actor)
        carrier = Carrier(self.tools, self.placement, 3, begin=claims.begin if self.begins else None)
        self.sick = SickNodes()
        self.controllers = Controllers(
            doors=self.doors,
            claims=claims,
            placement=self.placement,
            workloads=WorkloadController(client, self.tools.recorder),
            pools=PoolController(self.tools, self.sick),
            queues=QueueController(self.tools, "spotkube-system", self.tenant_label),
            garbage=GarbageCollector(self.tools, actor),
            carrier=carrier,
            disruption=DisruptionController(
                self.tools, carrier, actor, self.placement, sources(self.placement, self.sick, 5.0)
            ),
            history=self.history,
        )
        self.loop = Loop(self.tools, self.observer, self.planning, self.controllers, Pace(10.0, 0.0, 0.0))

    def sync(self) -> None:
        """The watches catch up."""
        for resource in self.cache.resources:
            self.cache.relist(resource, copy.deepcopy(self.kube.all(resource)))

    async def look(self) -> View:
        self.sync()
        return await self.observer.look()

    async def cycle(self, seconds: float = 1.0) -> None:
        """The watches catch up, one cycle runs, and time passes."""
        self.sync()
        try:
            await self.loop.cycle()
        finally:
            await _settled(self.planning)
            self.clock.now += seconds

    async def decided(self) -> None:
        """All up to the claims of a decision, and what is begun with each: no instance has been launched."""
        await self.cycle()
        self.sync()
        await self.loop.act()
        self.sync()

    async def two_decided(self) -> tuple[str, str]:
        """Two pods, for each of which a node has been decided: the names of their claims."""
        self.add_pool()
        self.add_pod("web-1")
        self.add_pod("web-2")
        await self.decided()
        first, second = (claim.name for claim in self.claims)
        return first, second

    async def cycles(self, count: int, seconds: float = 1.0) -> None:
        for _ in range(count):
            await self.cycle(seconds)

    # What others do.

    def add_pool(self, name: str = "pool", mode: str = "Apply", **spec: Any) -> None:
        finalizers = [keys.TERMINATION_FINALIZER]
        self.kube.put(
            NODEPOOLS,
            {
                "apiVersion": "spotkube.io/v1alpha1",
                "kind": "NodePool",
                "metadata": {"name": name, "finalizers": finalizers},
                "spec": {"mode": mode, **spec},
            },
        )

    def add_pod(self, name: str = "web-1", *, node: str | None = None, gated: bool = False, **extra: Any) -> Object:
        """A pod of nobody's Workload that waits, or runs on `node`. `extra` are owner, grace, labels, annotations,
        gates."""
        unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        gates = [*extra.get("gates", ()), *([keys.PLACEMENT_GATE] if gated else [])]
        kind, owner = extra.get("owner", "ReplicaSet/web").split("/")
        metadata = {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "labels": extra.get("labels", {}),
            "annotations": extra.get("annotations", {}),
            "ownerReferences": [{"kind": kind, "name": owner, "controller": True, "uid": "o", "apiVersion": "v1"}],
        }
        spec = {
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}],
            "terminationGracePeriodSeconds": extra.get("grace", 30),
            "schedulingGates": [{"name": gate} for gate in gates],
            **({"nodeName": node} if node else {}),
        }
        conditions = [] if node or gates else [unschedulable]
        raw = {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", "conditions": conditions}}
        return self.kube.put(PODS, raw)

    def join(self, claim: str, *, ready: bool = True) -> None:
        """The claim's instance registers its Node."""
        order = next(order for order in self.cloud.sold if order.name == claim)
        taints = [{"key": t.key, "value": t.value, "effect": t.effect.value} for t in order.taints]
        self.kube.put(
            NODES,
            {
                "metadata": {"name": claim, "labels": {**dict(order.labels), keys.HOSTNAME: claim}},
                "spec": {"providerID": f"i-{claim}", "taints": taints},
                "status": {
                    "allocatable": order.allocatable.to_quantities(),
                    "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                },
            },
        )

    def join_others(self) -> None:
        """All instances that were bought and have not joined yet do so."""
        nodes = {node["metadata"]["name"] for node in self.kube.all(NODES)}
        ended = {claim.name for claim in self.claims if claim.metadata.deletion_timestamp is not None}
        for order in self.cloud.sold:
            if order.name not in nodes | ended and (NODECLAIMS, None, order.name) in self.kube.objects:
                self.join(order.name)

    def schedule(self) -> None:
        """kube-scheduler: pods go onto the node that they are nominated onto, or that they alone may enter, if it is
        ready."""
        for raw in self.kube.all(PODS):
            if raw["spec"].get("nodeName") or raw["spec"].get("schedulingGates"):
                continue
            passes = {
                t.get("value") for t in raw["spec"].get("tolerations") or () if t.get("key") == UNREGISTERED_TAINT
            }
            taken = [node["metadata"]["name"] for node in self.kube.all(NODES) if _takes(node, passes)]
            nominated = raw["status"].get("nominatedNodeName")
            own = [name for name in taken if self.kube.one(NODES, name)["spec"].get("taints")]
            where = nominated if nominated in taken else next(iter(own), None)
            if where is not None:
                raw["spec"]["nodeName"] = where
                raw["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                self.kube.put(PODS, raw)

    def notice(
        self, node: str, deadline: float | None = None, key: str = "aws-node-termination-handler/spot-itn"
    ) -> None:
        """The cloud says that the instance ends."""
        raw = self.kube.one(NODES, node)
        raw["spec"]["taints"] = [*(raw["spec"].get("taints") or ()), {"key": key, "effect": "NoSchedule"}]
        if deadline is not None:
            raw["metadata"]["annotations"] = {keys.TERMINATION_DEADLINE: rfc3339(deadline)}
        self.kube.put(NODES, raw)

    def pods_end(self) -> None:
        """The kubelet is done with all pods that are being deleted."""
        for raw in self.kube.all(PODS):
            if raw["metadata"].get("deletionTimestamp"):
                self.kube.drop(PODS, raw["metadata"]["name"], "shop")

    def instances_end(self) -> None:
        for instance in list(self.cloud.instances.values()):
            if instance.state is InstanceState.TERMINATING:
                self.cloud.become(instance.provider_id, InstanceState.TERMINATED)

    # What can be seen.

    @property
    def claims(self) -> list[NodeClaim]:
        return [NodeClaim.from_dict(raw) for raw in self.kube.all(NODECLAIMS)]

    @property
    def claim(self) -> NodeClaim:
        """The only one there is."""
        (claim,) = self.claims
        return claim

    def claim_named(self, name: str) -> NodeClaim:
        return NodeClaim.from_dict(self.kube.one(NODECLAIMS, name))

    @property
    def plans(self) -> list[Object]:
        return self.kube.all(CAPACITYPLANS)

    def node(self, name: str) -> Object:
        return self.kube.one(NODES, name)

    def pod(self, name: str = "web-1") -> Object:
        return self.kube.one(PODS, name, "shop")

    async def up_and_running(self) -> str:
        """One pod on one Ready node, all of it bought by the loop. Returns the claim's name."""
        self.add_pool()
        self.add_pod()
        await self.cycles(3)
        name = self.claim.name
        self.join(name)
        await self.cycles(3)
        self.schedule()
        await self.cycles(3)
        self.kube.writes.clear()
        return name


async def _settled(planning: Planning) -> None:
    if planning._search is not None:
        await asyncio.wait([planning._search])


UNAVAILABLE = ApiError(500, "InternalError", "etcd is away")
CLOUD_AWAY = ProviderUnavailable("no answer")
