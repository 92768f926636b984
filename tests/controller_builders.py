"""A cluster and a cloud in memory, with which the controllers and the whole loop can be told stories."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from builders import make_offering
from spotkube.api import NodeClaim
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound, TooManyRequests
from spotkube.cluster.events import EventRecorder
from spotkube.cluster.resources import CAPACITYPLANS, NODECLAIMS, NODEPOOLS, NODES, PODS, Resource
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
from spotkube.controllers.workloads.reconcile import WorkloadController
from spotkube.loop import Controllers, Loop
from spotkube.metrics import Metrics
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.labels import UNREGISTERED_TAINT
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.plan import Placement, Plan, PlannedNode, Unplaceable
from spotkube.moving import MovesQuestion
from spotkube.observe import Observer
from spotkube.pacing import Pace
from spotkube.planner.formulation.bins import make_bins
from spotkube.planner.formulation.waiting import unsettled
from spotkube.planning import Planning
from spotkube.providers.port import Instance, InstanceOrder, InstanceState, InsufficientCapacity, ProviderUnavailable
from spotkube.providers.sqs import Message, QueueError
from spotkube.worker import Planned, PlannerWorker

Object = dict[str, Any]
START = 1_800_000_000.0
OFFERING = make_offering("m.large", 0.03, spot=True)


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class FakeKube:
    """An API server as far as controllers notice: versions, uids, preconditions, finalizers, budgets.

    Attributes:
        writes: what was asked to be changed, as "verb plural/name[/subresource]".
        refuse: an error by the beginning of such a line.
        budgets_hold: names of the pods that may not be evicted.
        before_write: called with each such line, to let things happen in between.
    """

    def __init__(self, clock: Clock) -> None:
        self.objects: dict[tuple[Resource, str | None, str], Object] = {}
        self.writes: list[str] = []
        self.refuse: dict[str, Exception] = {}
        self.budgets_hold: set[str] = set()
        self.before_write: Callable[[str], None] = lambda line: None
        self.grace: dict[str, int | None] = {}
        self._clock = clock
        self._versions = itertools.count(100)

    def put(self, resource: Resource, raw: Object) -> Object:
        """As somebody else would, who is not counted."""
        metadata = raw.setdefault("metadata", {})
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata.setdefault("creationTimestamp", rfc3339(self._clock()))
        metadata.setdefault("generation", 1)
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[resource, metadata.get("namespace"), metadata["name"]] = raw
        return raw

    def change(self, resource: Resource, name: str, patch: Object, namespace: str | None = None) -> None:
        """As somebody else would, who is not counted."""
        self._store(resource, namespace, name, merged(self.objects[resource, namespace, name], patch))

    def drop(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        del self.objects[resource, namespace, name]

    def all(self, resource: Resource) -> list[Object]:
        return [raw for (kind, _, _), raw in self.objects.items() if kind == resource]

    def one(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self.objects[resource, namespace, name]

    def mark_deleted(self, resource: Resource, name: str) -> None:
        """kubectl delete, which finalizers hold up."""
        self._delete(resource, None, name)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        return copy.deepcopy(self.objects.get((resource, namespace, name)))

    async def list(self, resource: Resource, field_selector: str | None = None) -> tuple[list[Object], str]:
        found = self.all(resource)
        if field_selector is not None:
            field, _, node = field_selector.partition("=")
            assert field == "spec.nodeName"
            found = [raw for raw in found if raw["spec"].get("nodeName") == node]
        return copy.deepcopy(found), str(next(self._versions))

    async def create(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        name = body["metadata"]["name"]
        self._writing(f"create {resource.plural}/{name}")
        if (resource, namespace, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", name)
        return copy.deepcopy(self.put(resource, copy.deepcopy(body)))

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Any,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        kind: str = "merge",
    ) -> Object:
        self._writing("/".join(["patch " + resource.plural, name, *([subresource] if subresource else [])]))
        old = self._existing(resource, namespace, name)
        body = copy.deepcopy(body)
        if kind == "json":
            new = json_patched(old, body)
        elif kind == "apply":
            raise AssertionError("nothing under test applies")
        else:
            _check_preconditions(old, body)
            new = merged(old, body)
        self._store(resource, namespace, name, new)
        return copy.deepcopy(new)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        grace_seconds: int | None = None,
    ) -> bool:
        self._writing(f"delete {resource.plural}/{name}")
        raw = self.objects.get((resource, namespace, name))
        if raw is None or (uid is not None and raw["metadata"]["uid"] != uid):
            return False
        if resource == PODS:
            self.grace[name] = grace_seconds
            self._begin_deletion(raw, grace_seconds)
        else:
            self._delete(resource, namespace, name)
        return True

    async def evict(self, namespace: str, name: str, *, uid: str, grace_seconds: int | None = None) -> bool:
        self._writing(f"evict pods/{name}")
        if name in self.budgets_hold:
            raise TooManyRequests(429, "TooManyRequests", "the budget holds", None, True)
        raw = self.objects.get((PODS, namespace, name))
        if raw is None or raw["metadata"]["uid"] != uid:
            return False
        self._begin_deletion(raw, grace_seconds)
        return True

    def _begin_deletion(self, pod: Object, grace_seconds: int | None) -> None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace_seconds is None else grace_seconds
        pod["metadata"]["deletionTimestamp"] = rfc3339(self._clock() + grace)
        self.put(PODS, pod)

    def _writing(self, line: str) -> None:
        self.before_write(line)
        self.writes.append(line)
        for beginning, error in self.refuse.items():
            if line.startswith(beginning):
                raise error

    def _existing(self, resource: Resource, namespace: str | None, name: str) -> Object:
        try:
            return self.objects[resource, namespace, name]
        except KeyError:
            raise NotFound(404, "NotFound", name) from None

    def _store(self, resource: Resource, namespace: str | None, name: str, new: Object) -> None:
        metadata = new["metadata"]
        for part, field in (("metadata", "finalizers"), ("spec", "taints")):  # empty lists of built-in kinds vanish
            if new.get(part, {}).get(field) == []:
                del new[part][field]
        if new != self.objects[resource, namespace, name]:
            metadata["resourceVersion"] = str(next(self._versions))
        self.objects[resource, namespace, name] = new
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and resource != PODS:
            del self.objects[resource, namespace, name]

    def _delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        raw = self.objects[resource, namespace, name]
        if raw["metadata"].get("finalizers"):
            raw["metadata"].setdefault("deletionTimestamp", rfc3339(self._clock()))
            self.put(resource, raw)
        else:
            del self.objects[resource, namespace, name]


def _check_preconditions(old: Object, body: Object) -> None:
    wanted = body.get("metadata", {})
    for field in ("uid", "resourceVersion"):
        if field in wanted and wanted[field] != old["metadata"][field]:
            raise Conflict(409, "Conflict", f"{field} is {old['metadata'][field]}")
        wanted.pop(field, None)


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(new.get(name), value)
    return new


def json_patched(old: Object, operations: list[Object]) -> Object:
    """RFC 6902, as far as it is used: test, add, remove and replace; all or nothing."""
    new = copy.deepcopy(old)
    for operation in operations:
        *path, last = [part.replace("~1", "/") for part in operation["path"].split("/")[1:]]
        place: Any = new
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _apply(place, last, operation)
    return new


def _apply(place: Any, last: str, operation: Object) -> None:
    value = operation.get("value")
    if isinstance(place, list):
        if operation["op"] == "add":
            place.insert(len(place) if last == "-" else int(last), value)
            return
        if int(last) >= len(place):
            raise Invalid(422, "Invalid", f"no item {last}")
        there, key = place[int(last)], cast("Any", int(last))
    else:
        there, key = place.get(last), last
        if operation["op"] == "add":
            place[last] = value
            return
    if operation["op"] == "test" and there != value:
        raise Invalid(422, "Invalid", f"testing {operation['path']}: {there!r} is not {value!r}")
    if operation["op"] == "remove":
        del place[key]
    if operation["op"] == "replace":
        place[key] = value


def _takes(node: Object, passes: set[str]) -> bool:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions") or ())
    taints = node["spec"].get("taints") or ()
    mine = all(taint["key"] == UNREGISTERED_TAINT and taint.get("value") in passes for taint in taints)
    return ready and mine and not node["spec"].get("unschedulable")


class FakeCloud:
    """Sells one offering unless told otherwise; nothing happens by itself.

    Attributes:
        sold: orders in their order, repeated ones not counted.
        sold_out: offerings of which there is none.
        error: raised by each call.
    """

    def __init__(self, clock: Clock) -> None:
        self.for_sale: tuple[Offering, ...] = (OFFERING,)
        self.instances: dict[str, Instance] = {}
        self.sold: list[InstanceOrder] = []
        self.sold_out: set[OfferingKey] = set()
        self.error: Exception | None = None
        self.ended: list[str] = []
        self._clock = clock

    async def create(self, order: InstanceOrder) -> Instance:
        self._answer()
        if order.token in self.instances:
            return self.instances[order.token]
        if order.offering in self.sold_out:
            raise InsufficientCapacity(order.offering)
        self.sold.append(order)
        instance = Instance(
            f"i-{order.name}", order.token, order.name, order.offering, InstanceState.RUNNING, self._clock()
        )
        self.instances[order.token] = instance
        return instance

    async def delete(self, provider_id: str) -> None:
        self._answer()
        self.ended.append(provider_id)
        self.become(provider_id, InstanceState.TERMINATING)

    async def get(self, provider_id: str) -> Instance | None:
        self._answer()
        return next((i for i in self.instances.values() if i.provider_id == provider_id), None)

    async def list(self) -> tuple[Instance, ...]:
        self._answer()
        return tuple(self.instances.values())

    async def offerings(self) -> tuple[Offering, ...]:
        self._answer()
        return self.for_sale

    async def close(self) -> None:
        return None

    def become(self, provider_id: str, state: InstanceState) -> None:
        for token, instance in self.instances.items():
            if instance.provider_id == provider_id:
                self.instances[token] = _with_state(instance, state)

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


def _with_state(instance: Instance, state: InstanceState) -> Instance:
    return Instance(instance.provider_id, instance.token, instance.name, instance.offering, state, instance.launched_at)


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


class FakeMessages:
    """A queue of notices; what was received stays until it is deleted, and comes again only when asked to."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.deleted: list[str] = []
        self.hidden: dict[str, int] = {}
        self.broken = ""

    async def receive(self, wait_seconds: int, hidden_seconds: int) -> tuple[Message, ...]:
        await asyncio.sleep(0)
        found, self.waiting = tuple(self.waiting), []
        return found

    async def hide(self, receipt: str, seconds: int) -> None:
        self._answer()
        self.hidden[receipt] = seconds

    async def delete(self, receipt: str) -> None:
        self._answer()
        self.deleted.append(receipt)

    async def close(self) -> None:
        return

    def _answer(self) -> None:
        if self.broken:
            raise QueueError(self.broken)


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
    `tenant_label` is the operator's setting."""

    def __init__(self, tenant_label: str = "") -> None:
        self.tenant_label = tenant_label
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.cloud = FakeCloud(self.clock)
        self.leading = True
        self.messages = FakeMessages()
        self.restart()

    def restart(self) -> None:
        self.cache = Cache()
        Observer.fill(self.cache)
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
        actor, carrier = ClaimActor(self.tools, self.doors), Carrier(self.tools, self.placement, 3)
        self.sick = SickNodes()
        self.controllers = Controllers(
            doors=self.doors,
            claims=ClaimController(self.tools, actor),
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
        """All up to the claims of a decision: nothing has been launched, and no pod was touched."""
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
