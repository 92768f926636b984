"""Which pods of leaving nodes have to wait for their successors. Pure.

Successors are not counted one by one: a pod may go as long as its Workload has more ready pods than it wants.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule


def succeeded_later(
    pods: Iterable[Pod], leaving: Set[str], rules: Mapping[str, TerminationRule], replicas: Mapping[str, int]
) -> frozenset[str]:
    """The UIDs of ready pods on the nodes that are `leaving` whose going would leave too few.

    `replicas` are how many pods each Workload wants; of one that is not in it nobody waits.
    """
    ready: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        key = pod.workload or ""
        if key in replicas and _surges(pod, rules):
            ready[key].append(pod)
    waiting: set[str] = set()
    for key, theirs in ready.items():
        spare = max(0, len(theirs) - replicas[key])
        # Those that were released first: they are why there are more.
        leavers = sorted((p for p in theirs if p.node in leaving), key=lambda pod: (not pod.released, pod.uid))
        waiting |= {pod.uid for pod in leavers[spare:]}
    return frozenset(waiting)


def not_succeeded_yet(pods: Iterable[Pod], rules: Mapping[str, TerminationRule]) -> frozenset[str]:
    """The same for a node that begins to leave just now: nobody was released there yet."""
    return frozenset(pod.uid for pod in pods if _surges(pod, rules)) if rules else frozenset()


def _surges(pod: Pod, rules: Mapping[str, TerminationRule]) -> bool:
    """One that serves nobody needs no successor first."""
    rule = rules.get(pod.workload or "")
    return rule is not None and rule.surge and pod.ready and not pod.deleting
