"""From the cache and the cloud to the View that one cycle works with."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from spotkube.api import NodeClaim, NodePool, Workload
from spotkube.cluster.cache import Cache
from spotkube.cluster.resources import (
    CAPACITYPLANS,
    CSINODES,
    DAEMONSETS,
    DEPLOYMENTS,
    FAIRQUEUES,
    JOBS,
    NAMESPACES,
    NODECLAIMS,
    NODEPOOLS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    STORAGECLASSES,
    VOLUMEATTACHMENTS,
    WORKLOADS,
)
from spotkube.cluster.store import Store
from spotkube.controllers.displaced import DisplacedPods
from spotkube.controllers.history import InterruptionHistory
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.resting import RestingOfferings
from spotkube.controllers.standins import StandIns
from spotkube.controllers.upkeep.brake import PurchaseBrake
from spotkube.controllers.upkeep.prices import PriceCheck
from spotkube.controllers.view import Memory, View
from spotkube.convert.joining import JoinedVolumes
from spotkube.convert.kinds import to_claim, to_pool
from spotkube.convert.nodes import with_volume_limits
from spotkube.convert.storage import (
    attached_to_nodes,
)
from spotkube.convert.workloads import (
    Budget,
    Source,
    SourceKey,
    key_of,
    source_key,
    targets_of,
    to_workload_rule,
    wanted_replicas,
    workload_of,
)
from spotkube.model.cluster import Claim, Mode, Pool, Snapshot
from spotkube.model.kept import Kept
from spotkube.model.offerings import Offering
from spotkube.model.pods import EndedPod, Pod
from spotkube.model.policy import CHEAPEST, Policy
from spotkube.model.volumes import Storage, StorageClass, Volume, VolumeClaim
from spotkube.providers.catalogonly import NoCloud
from spotkube.providers.port import CloudProvider, Instance, ProviderError

logger = logging.getLogger(__name__)


class Observer:
    """Owns the stores of the cache, and the last offerings that the cloud told of."""

    def __init__(
        self,
        cache: Cache,
        provider: CloudProvider,
        placement: PlacementController,
        resting: RestingOfferings,
        displaced: DisplacedPods,
        clock: Callable[[], float],
        mode_override: Mode | None = None,
        catalog: tuple[Offering, ...] | None = None,
        preference_percent: float = 5.0,
        policy: Policy = CHEAPEST,
        history: InterruptionHistory | None = None,
        brake: PurchaseBrake | None = None,
    ) -> None:
        """`catalog` stands in for what the cloud says of types and prices; `preference_percent` and `policy` as in
        Snapshot."""
        self.pods = cache.stores[PODS]
        self.nodes = cache.stores[NODES]
        self.daemonsets = cache.stores[DAEMONSETS]
        self.namespaces = cache.stores[NAMESPACES]
        self.sources = [cache.stores[resource] for resource in (JOBS, DEPLOYMENTS, STATEFULSETS)]
        self._jobs: Store[Source] = cache.stores[JOBS]
        self._replica_sets = cache.stores[REPLICASETS]
        self.budgets = cache.stores[PODDISRUPTIONBUDGETS]
        self.workloads = cache.stores[WORKLOADS]
        self.pools = cache.stores[NODEPOOLS]
        self.claims = cache.stores[NODECLAIMS]
        self.plans = cache.stores[CAPACITYPLANS]
        self.queues = cache.stores[FAIRQUEUES]
        self._volume_claims = cache.stores[PERSISTENTVOLUMECLAIMS]
        self._volumes = cache.stores[PERSISTENTVOLUMES]
        self._storage_classes = cache.stores[STORAGECLASSES]
        self._csi_nodes = cache.stores[CSINODES]
        self._attachments = cache.stores[VOLUMEATTACHMENTS]
        self._provider = provider
        self._placement = placement
        self._resting = resting
        self._standing_in = StandIns(placement, displaced)
        self._clock = clock
        self._mode_override = mode_override
        self._catalog = catalog
        self._preference_percent = preference_percent
        self._policy = policy
        self._history = history
        self._brake = brake or PurchaseBrake()
        self._prices = PriceCheck()
        self._offerings: tuple[Offering, ...] = ()
        self._models: Kept[NodeClaim, Claim] = Kept(to_claim)
        self._targets: dict[SourceKey, str] = {}
        self._owned: Kept[Pod, Pod] = Kept(lambda pod: pod)
        self._volumes_joined = JoinedVolumes()
        self._memory = Memory()

    async def look(self) -> View:
        """What is known right now. A cloud that does not answer leaves `instances` None and the offerings as they
        were."""
        instances = await self._instances()
        offerings = await self._current_offerings()
        sources: dict[SourceKey, Source] = {s.key: s for store in self.sources for s in store.values()}
        workloads: tuple[Workload, ...] = self.workloads.values()
        targets = targets_of(workloads)
        sources |= self._set_aside(targets.keys() - sources.keys())
        stored, ended = self._stored(targets)
        claims: tuple[NodeClaim, ...] = self.claims.values()
        self._placement.recall(claims, stored)
        displaced, expected = self._standing_in.find(
            stored, sources, self._replica_sets.values(), self._of_its_workload, self._clock()
        )
        pods = [pod if pod.node is not None else self._placement.overlay(pod) for pod in stored]
        gone = frozenset(pod.uid for pod in displaced)
        live = [pod for pod in pods if pod.uid not in gone] if gone else pods
        pods_on: dict[str, list[Pod]] = defaultdict(list)
        for pod in pods:
            if pod.node is not None:
                pods_on[pod.node].append(pod)
        pools: tuple[NodePool, ...] = self.pools.values()
        models = tuple(self._models.of_all(claims))
        snapshot = Snapshot(
            taken_at=self._clock(),
            pods=tuple(self._volumes_joined.of_all([*live, *displaced, *expected], self._storage())),
            nodes=tuple(with_volume_limits(self.nodes.values(), dict(self._csi_nodes.values()))),
            claims=models,
            pools=self._pools(pools, models),
            workloads=tuple(
                to_workload_rule(workload, wanted_replicas(workload, sources.get(source_key(workload))))
                for workload in sorted(workloads, key=key_of)
            ),
            daemonsets=tuple(self.daemonsets.values()),
            namespaces=tuple(self.namespaces.values()),
            budgets=tuple(budget.model for budget in self.budgets.values()),
            offerings=offerings,
            resting=self._resting.current(),
            preference_percent=self._preference_percent,
            policy=self._policy,
            spot_history=self._history.records(claims, offerings, self._clock()) if self._history else (),
        )
        return View(
            now=snapshot.taken_at,
            snapshot=snapshot,
            pools={pool.name: pool for pool in pools},
            claims={claim.name: claim for claim in claims},
            workloads=workloads,
            nodes={node.name: node for node in snapshot.nodes},
            pods={pod.uid: pod for pod in pods},
            pods_as_stored={pod.uid: pod for pod in stored},
            ended=tuple(ended),
            displaced=gone,
            expected={pod.uid: pod for pod in expected},
            coming=self._standing_in.expected.are_coming(snapshot.taken_at),
            heirs=self._standing_in.heirs,
            pods_on={name: tuple(there) for name, there in pods_on.items()},
            attached=attached_to_nodes(self._attachments.values(), self._volumes.values()),
            instances=instances,
            sources=sources,
            budgets=self._budgets(),
            places=self._placement.places,
            unreadable_pools=frozenset(name for _, name in self.pools.rejected),
            doubted_prices=self._prices.doubted,
            memory=self._memory,
        )

    def _set_aside(self, targets: Iterable[SourceKey]) -> dict[SourceKey, Source]:
        """Jobs that have ended long ago, and whose end Workloads tell."""
        ended = (
            (key, self._jobs.get(key[1].partition("/")[2], key[0])) for key in targets if key[1].startswith("Job/")
        )
        return {key: job for key, job in ended if job is not None}

    def _stored(self, targets: dict[SourceKey, str]) -> tuple[list[Pod], list[EndedPod]]:
        """The live pods as the API server has them, and whose they are by the Workloads' `targets`; and those that have
        ended."""
        if targets != self._targets:
            self._targets = targets
            self._owned = Kept(self._of_its_workload)
        live, ended = list[Pod](), list[EndedPod]()
        for pod in self.pods.values():
            if isinstance(pod, EndedPod):
                ended.append(pod)
            else:
                live.append(pod)
        return self._owned.of_all(live), ended

    def _of_its_workload(self, pod: Pod) -> Pod:
        workload = workload_of(pod, self._targets)
        return pod if pod.workload == workload else replace(pod, workload=workload)

    def _storage(self) -> Storage:
        claims: tuple[VolumeClaim, ...] = self._volume_claims.values()
        volumes: tuple[Volume, ...] = self._volumes.values()
        classes: tuple[StorageClass, ...] = self._storage_classes.values()
        return Storage({one.key: one for one in claims}, {v.name: v for v in volumes}, {c.name: c for c in classes})

    def _budgets(self) -> dict[tuple[str, str], Budget]:
        budgets: tuple[Budget, ...] = self.budgets.values()
        return {(budget.namespace, budget.name): budget for budget in budgets}

    def _pools(self, pools: Sequence[NodePool], claims: Sequence[Claim]) -> tuple[Pool, ...]:
        """With what they may buy now."""
        self._brake.recall(pools)
        now = self._clock()
        return tuple(self._brake.limited(self._pool(pool), claims, now) for pool in pools)

    def _pool(self, pool: NodePool) -> Pool:
        model = to_pool(pool)
        if self._mode_override is None or model.mode is Mode.PAUSED:
            return model
        return replace(model, mode=self._mode_override)

    async def _instances(self) -> dict[str, Instance] | None:
        try:
            instances = await self._provider.list()
        except NoCloud:  # by choice, so not worth a warning each cycle
            return None
        except ProviderError as error:
            logger.warning("the cloud's instances are not known: %s", error)
            return None
        return {instance.token: instance for instance in instances}

    async def _current_offerings(self) -> tuple[Offering, ...]:
        if self._catalog is not None:
            return self._catalog
        self._prices.recall(to_claim(claim) for claim in self.claims.values())
        try:
            self._offerings = self._prices.check(await self._provider.offerings(), self._clock())
        except ProviderError as error:
            logger.warning("the cloud's offerings are not known, those told last stay in force: %s", error)
        return self._offerings
