"""Rules that depend on other pods, and shares: what may have to go so that pods find a place."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from spotkube.model.cluster import Snapshot
from spotkube.model.explanation import Change
from spotkube.model.pods import Pod, PodTerm
from spotkube.planner.explaining import changes, poolchanges
from spotkube.planner.explaining.changes import Subject
from spotkube.planner.explaining.hurdles import Wanting
from spotkube.planner.formulation.namespaces import with_namespaces
from spotkube.planner.formulation.waiting import pods_to_place


def rules_between(snapshot: Snapshot, pods: Wanting, uids: Iterable[str]) -> Iterator[Change]:
    """Each rule of the pods and about them that depends on where others are, as the change that takes it away."""
    shape, subject = pods.shape, pods.subject
    yield from (subject.no_spread(rule) for rule in shape.spread)
    yield from (subject.no_term(term, anti=True) for term in shape.anti_affinity)
    yield from (subject.no_term(term, anti=False) for term in shape.affinity)
    if shape.host_ports:
        yield subject.no_ports(shape)
    yield from shares(snapshot, pods.workload)
    own = frozenset(uids)
    yield from _others_terms(snapshot, pods, own)
    waiting = pods_to_place(snapshot)
    # A Job's pods come after others of the same priority.
    batch = all(pod.batch for pod in waiting if pod.uid in own)
    rank = (shape.priority, not batch)
    higher = [pod.shape.priority for pod in waiting if (pod.shape.priority, not pod.batch) > rank]
    if higher:
        yield subject.raise_priority(shape.priority, max(higher) + 1)


def shares(snapshot: Snapshot, workload: str | None) -> Iterator[Change]:
    """The largest share of the Workload in one spot pool: its own, or else those of NodePools."""
    rules = [rule for rule in snapshot.workloads if rule.key == workload]
    for rule in rules:
        if rule.max_fraction_per_pool is None:
            sharing = [pool for pool in snapshot.pools if pool.max_fraction_per_pool is not None]
            yield from (poolchanges.no_pool_share(pool) for pool in sharing)
        else:
            yield changes.no_share(rule)


def _others_terms(snapshot: Snapshot, pods: Wanting, uids: frozenset[str]) -> Iterator[Change]:
    """Anti-affinity of others that is about these pods."""
    resolved = {pod.uid: pod for pod in with_namespaces(snapshot).pods}
    meant = resolved[min(uids)]
    holders: dict[tuple[str, PodTerm], set[str]] = defaultdict(set)
    for pod in snapshot.pods:
        if pod.uid in pods.subject.pods:
            continue
        for term, known in zip(pod.shape.anti_affinity, resolved[pod.uid].shape.anti_affinity, strict=True):
            if known.means(meant):
                holders[_named(pod), term].add(pod.uid)
    for (name, term), holding in sorted(holders.items(), key=lambda item: (item[0][0], str(item[0][1]))):
        yield changes.others_term(Subject(name, frozenset(holding)), term, frozenset(holding))


def _named(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.owner.partition('/')[2] or pod.name}"
