"""What one cycle looks at: everything the API server and the cloud said last, and the model made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spotkube.api import NodeClaim, NodePool, Workload
from spotkube.convert.workloads import Budget, Source, SourceKey
from spotkube.model.cluster import Mode, Node, Pool, Snapshot
from spotkube.model.pods import Pod
from spotkube.providers.port import Instance


@dataclass(frozen=True)
class View:
    """Frozen for one cycle. Times are seconds since the epoch.

    Attributes:
        pods: live pods by UID, with the nominations that are still being written.
        pods_as_stored: the same pods as the API server has them.
        pods_on: live pods by the Node that they are bound to.
        instances: by the UID of the claim that they were bought for; None when the cloud could not be asked.
    """

    now: float
    snapshot: Snapshot
    pools: Mapping[str, NodePool]
    claims: Mapping[str, NodeClaim]
    workloads: tuple[Workload, ...]
    nodes: Mapping[str, Node]
    pods: Mapping[str, Pod]
    pods_as_stored: Mapping[str, Pod]
    pods_on: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    instances: Mapping[str, Instance] | None = None
    sources: Mapping[SourceKey, Source] = field(default_factory=dict)
    budgets: Mapping[tuple[str, str], Budget] = field(default_factory=dict)

    def pool_model(self, name: str) -> Pool | None:
        return next((pool for pool in self.snapshot.pools if pool.name == name), None)

    def mode_of(self, name: str) -> Mode:
        """The mode in force of a pool; one that is gone buys nothing."""
        pool = self.pool_model(name)
        return pool.mode if pool else Mode.PAUSED

    def node_of(self, claim: NodeClaim) -> Node | None:
        return self.nodes.get(claim.status.node_name or claim.name)
