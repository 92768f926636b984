"""What one cycle looks at: everything the API server and the cloud said last, and the model made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from spotkube.api import NodeClaim, NodePool, Workload
from spotkube.convert.workloads import Budget, Source, SourceKey
from spotkube.model.cluster import Node, Pool, Snapshot
from spotkube.model.kept import Kept
from spotkube.model.labels import MOVING
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.pods import EndedPod, Pod
from spotkube.model.volumes import NodeVolume
from spotkube.planner.formulation.bins import Bin, KeptBins, make_bins
from spotkube.planner.formulation.waiting import unsettled
from spotkube.providers.port import Instance


def _unready(pod: Pod) -> Pod:
    return replace(pod, ready=False) if pod.ready else pod


def _by_key(offerings: tuple[Offering, ...]) -> Mapping[OfferingKey, Offering]:
    return {offering.key: offering for offering in offerings}


@dataclass(frozen=True)
class Memory:
    """What one view leaves to the next, so that it costs what has changed."""

    bins: KeptBins = field(default_factory=KeptBins)
    unready: Kept[Pod, Pod] = field(default_factory=lambda: Kept(_unready))
    pod_hashes: Kept[Pod, int] = field(default_factory=lambda: Kept(hash))
    node_hashes: Kept[Node, int] = field(default_factory=lambda: Kept(hash))
    offered: Kept[tuple[Offering, ...], Mapping[OfferingKey, Offering]] = field(default_factory=lambda: Kept(_by_key))


@dataclass(frozen=True)
class View:
    """Frozen for one cycle. Times are seconds since the epoch.

    Attributes:
        pods: live pods by UID, with the nominations that are still being written.
        pods_as_stored: the same pods as the API server has them.
        ended: pods of queues that have ended, are still there, and that nobody makes anew.
        displaced: pods (their UIDs) that we evicted and nobody has made anew yet; they are in the snapshot only.
        expected: pods by UID that their owners are about to make; they too are in the snapshot only.
        coming: whether more pods are about to be made of which nothing is known yet.
        heirs: pods (their UIDs) that came lately, by the displaced or expected one that they stand for.
        pods_on: live pods by the Node that they are bound to.
        attached: volumes by the Node that they are attached to.
        instances: by the UID of the claim that they were bought for; None when the cloud could not be asked.
        places: where plans put pods (by UID) that are not there yet: the name of a claim, or of a Node that has none.
        unreadable_pools: NodePools that are there, but not as we can read them: of them nothing may be concluded.
        doubted_prices: how many prices of the cloud are not believed.
        memory: that of the last view.
    """

    now: float
    snapshot: Snapshot
    pools: Mapping[str, NodePool]
    claims: Mapping[str, NodeClaim]
    workloads: tuple[Workload, ...]
    nodes: Mapping[str, Node]
    pods: Mapping[str, Pod]
    pods_as_stored: Mapping[str, Pod]
    ended: tuple[EndedPod, ...] = ()
    displaced: frozenset[str] = frozenset()
    expected: Mapping[str, Pod] = field(default_factory=dict)
    coming: bool = False
    heirs: Mapping[str, str] = field(default_factory=dict)
    pods_on: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    attached: Mapping[str, tuple[NodeVolume, ...]] = field(default_factory=dict)
    instances: Mapping[str, Instance] | None = None
    sources: Mapping[SourceKey, Source] = field(default_factory=dict)
    budgets: Mapping[tuple[str, str], Budget] = field(default_factory=dict)
    unreadable_pools: frozenset[str] = frozenset()
    places: Mapping[str, str] = field(default_factory=dict)
    doubted_prices: int = 0
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)

    @cached_property
    def offered(self) -> Mapping[OfferingKey, Offering]:
        """What is for sale."""
        return self.memory.offered.of_all([self.snapshot.offerings])[0]

    @cached_property
    def bins(self) -> list[Bin]:
        """What may take pods, with the room that is left."""
        return make_bins(self.snapshot, self.memory.bins)

    @cached_property
    def unsettled(self) -> frozenset[str]:
        """Pods (their uids) that wait for a place and have none yet, not even one that is being bought."""
        return unsettled(self.snapshot, self.memory.bins)

    @cached_property
    def steady(self) -> Snapshot:
        """The snapshot without what comes and goes and changes no plan: the moment, and which pods are ready."""
        return replace(self.snapshot, taken_at=0.0, pods=tuple(self.memory.unready.of_all(self.snapshot.pods)))

    def fingerprint(self, question: Snapshot) -> int:
        """Equal for equal snapshots, as `hash`, of which only pods and nodes are hashed that are new."""
        pods, nodes = self.memory.pod_hashes.of_all(question.pods), self.memory.node_hashes.of_all(question.nodes)
        return hash((replace(question, pods=(), nodes=()), tuple(pods), tuple(nodes)))

    @cached_property
    def _pool_models(self) -> Mapping[str, Pool]:
        return {pool.name: pool for pool in self.snapshot.pools}

    @cached_property
    def node_names(self) -> Mapping[str, str]:
        """The name that each claim's Node has or will have."""
        return {claim.name: claim.status.node_name or claim.name for claim in self.claims.values()}

    @cached_property
    def leaving_nodes(self) -> frozenset[str]:
        """Nodes whose claim is to take nothing new."""
        return frozenset(claim.node or claim.name for claim in self.snapshot.claims if claim.leaving)

    @cached_property
    def closing_nodes(self) -> frozenset[str]:
        """Nodes whose pods are being moved away though nothing forces them to."""
        moving = (claim for claim in self.claims.values() if MOVING in (claim.metadata.annotations or {}))
        return frozenset(self.node_names[claim.name] for claim in moving)

    def pool_model(self, name: str) -> Pool | None:
        return self._pool_models.get(name)

    def node_of(self, claim: NodeClaim) -> Node | None:
        return self.nodes.get(claim.status.node_name or claim.name)
