"""What stands in the snapshot for pods that are still to be made."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spotkube.controllers.displaced import DisplacedPods
from spotkube.controllers.expected import ExpectedPods, missing_pods, owner_of
from spotkube.controllers.placement import PlacementController
from spotkube.convert.replicasets import ReplicaSet
from spotkube.convert.workloads import Source, SourceKey
from spotkube.model.pods import Pod


@dataclass
class StandIns:
    """For pods that we evicted, and for those that owners declare."""

    placement: PlacementController
    displaced: DisplacedPods
    expected: ExpectedPods = field(default_factory=ExpectedPods)

    @property
    def heirs(self) -> dict[str, str]:
        """Who came for whom lately: uid of the stand-in -> uid of the pod."""
        return {**self.displaced.heirs, **self.expected.heirs}

    def find(
        self,
        pods: Sequence[Pod],
        sources: Mapping[SourceKey, Source],
        replica_sets: Iterable[ReplicaSet],
        owned: Callable[[Pod], Pod],
        now: float,
    ) -> tuple[list[Pod], list[Pod]]:
        """In the stead of those evicted, and of those declared; `pods` that came meanwhile have taken their places.
        `owned` says of a pod to come whose Workload's it is."""
        self.placement.inherit(self.displaced.settle(pods, now))
        self.placement.inherit(self.expected.settle(pods, self.placement.planned, now))
        missing = missing_pods(sources, replica_sets, pods, self.displaced.owners)
        displaced = self.displaced.waiting(missing)
        made_anew = Counter(owner_of(pod) for pod in displaced)
        # A StatefulSet makes its pods one after the other.
        lacking = {
            key: number - made_anew[key] for key, number in missing.items() if not key[1].startswith("StatefulSet/")
        }
        makers = (sources[key] for key, number in lacking.items() if number > 0 and key in sources)
        templates = {one.key: owned(one.template) for one in makers if one.template is not None}
        expected = self.expected.waiting(pods, lacking, now, templates)
        overlay = self.placement.overlay
        return [overlay(pod) for pod in displaced], [overlay(pod) for pod in expected]
