"""Whether a plan that was made without a constraint keeps it all the same: then it costs nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from spotkube.model import labels as keys
from spotkube.model.cluster import Pool, Snapshot, WorkloadRule
from spotkube.model.explanation import NODE_POOL, POD, WORKLOAD, Change, Edit
from spotkube.model.offerings import ON_DEMAND, SPOT
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod, PodTerm, SpreadConstraint
from spotkube.model.selectors import matches_all
from spotkube.planner.formulation.bins import capacity_type_of, make_bins
from spotkube.planner.formulation.kinds import node_labels
from spotkube.planner.formulation.limits import within_limits
from spotkube.planner.formulation.namespaces import with_namespaces
from spotkube.planner.formulation.quotas import most_in_one_pool

Labels = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Stand:
    """Where each pod (uid) stands after the plan: the labels of its node."""

    snapshot: Snapshot
    plan: Plan
    pods: Mapping[str, Pod]
    node: Mapping[str, Labels]


def keeps(snapshot: Snapshot, plan: Plan, without: Change) -> bool:
    """Whether the plan keeps what the change took away. Where that is not looked at, it is said not to."""
    stand, edit = _stand(with_namespaces(snapshot), plan), without.edit
    match without.kind:
        case kind if kind == POD:
            return all(_pod_keeps(stand, stand.pods[uid], edit) for uid in edit.names if uid in stand.node)
        case kind if kind == WORKLOAD:
            return all(_workload_keeps(stand, rule, edit) for rule in snapshot.workloads if rule.key in edit.names)
        case kind if kind == NODE_POOL:
            pool = next(pool for pool in snapshot.pools if pool.name == edit.names[0])
            return _pool_keeps(stand, pool, edit)
        case _:
            return False


def _stand(snapshot: Snapshot, plan: Plan) -> _Stand:
    pools = {pool.name: pool for pool in snapshot.pools}
    node: dict[str, Labels] = {}
    bins = {b.name: dict(b.labels) for b in make_bins(snapshot)}
    nodes = {one.name: dict(one.labels) for one in snapshot.nodes}
    for pod in snapshot.pods:
        if pod.node in nodes:
            node[pod.uid] = nodes[pod.node]
    for placement in plan.placements:
        node[placement.pod] = bins.get(placement.target, {})
    for number, bought in enumerate(plan.additions):
        own = {**dict(node_labels(pools[bought.pool], bought.offering)), keys.HOSTNAME: f"\0{number}"}
        node.update(dict.fromkeys(bought.pods, own))
    return _Stand(snapshot, plan, {pod.uid: pod for pod in snapshot.pods}, node)


def _pod_keeps(stand: _Stand, pod: Pod, edit: Edit) -> bool:
    labels = stand.node[pod.uid]
    match edit:
        case Edit(attribute="node_selector", remove=((key, value),)):
            return bool(labels.get(key) == value)
        case Edit(attribute="affinity_terms"):
            return any(matches_all(term, labels) for term in pod.shape.affinity_terms)
        case Edit(attribute="anti_affinity", remove=(PodTerm() as term,)):
            return not _beside(stand, pod, _resolved(pod.shape.anti_affinity, term))
        case Edit(attribute="affinity", remove=(PodTerm() as term,)):
            return bool(_beside(stand, pod, _resolved(pod.shape.affinity, term)))
        case Edit(attribute="spread", remove=(SpreadConstraint() as rule,)):
            return _evenly(stand, pod, rule)
        case _:
            return False


def _resolved(terms: tuple[PodTerm, ...], term: PodTerm) -> PodTerm:
    """The term with its namespaces by name."""
    alike = [t for t in terms if (t.topology_key, t.selector) == (term.topology_key, term.selector)]
    return alike[0] if alike else term


def _beside(stand: _Stand, pod: Pod, term: PodTerm) -> list[str]:
    """The other pods that the term means, in the same domain."""
    domain = stand.node[pod.uid].get(term.topology_key)
    return [
        uid
        for uid, labels in stand.node.items()
        if uid != pod.uid and domain is not None and labels.get(term.topology_key) == domain
        if term.means(stand.pods[uid])
    ]


def _evenly(stand: _Stand, pod: Pod, rule: SpreadConstraint) -> bool:
    """No domain of what is there or for sale has more of the pods than the emptiest one and the skew."""
    counts: Counter[str] = Counter()
    for uid, labels in stand.node.items():
        other = stand.pods[uid]
        selected = rule.selector is not None and rule.selector.matches(dict(other.labels))
        if selected and other.namespace == pod.namespace and rule.topology_key in labels:
            counts[labels[rule.topology_key]] += 1
    there = [*(node.labels for node in stand.snapshot.nodes), *(o.labels for o in stand.snapshot.offerings)]
    domains = {*counts, *({dict(labels).get(rule.topology_key) for labels in there} - {None})}
    # A node more could always be bought, and has none of them.
    least = 0 if rule.topology_key == keys.HOSTNAME else min((counts[d or ""] for d in domains), default=0)
    least = 0 if len(domains) < rule.min_domains else least
    return max(counts.values(), default=0) - least <= rule.max_skew


def _workload_keeps(stand: _Stand, rule: WorkloadRule, edit: Edit) -> bool:
    mine = [labels for uid, labels in stand.node.items() if stand.pods[uid].workload == rule.key]
    if edit.attribute == "spot":
        on_demand = sum(capacity_type_of(tuple(labels.items())) == ON_DEMAND for labels in mine)
        return on_demand >= min(rule.spot.on_demand_count(rule.replicas), len(mine))
    return _shared_out(mine, rule.max_fraction_per_pool or 1.0, rule.replicas)


def _shared_out(mine: list[Labels], fraction: float, replicas: int) -> bool:
    spot = [labels for labels in mine if capacity_type_of(tuple(labels.items())) == SPOT]
    counts = Counter((labels.get(keys.INSTANCE_TYPE), labels.get(keys.ZONE)) for labels in spot)
    return max(counts.values(), default=0) <= most_in_one_pool(fraction, replicas)


def _pool_keeps(stand: _Stand, pool: Pool, edit: Edit) -> bool:
    bought = [node for node in stand.plan.additions if node.pool == pool.name]
    match edit:
        case Edit(attribute="requirements", remove=(requirement,)):
            return all(requirement.matches(dict(node_labels(pool, node.offering))) for node in bought)
        case Edit(attribute="max_interruption_percent"):
            return all(node.offering.interruption_percent <= pool.max_interruption_percent for node in bought)
        case Edit(attribute="allow_unmanaged_on_spot"):
            spot = [node for node in bought if node.offering.capacity_type == SPOT]
            return all(stand.pods[uid].workload is not None for node in spot for uid in node.pods)
        case Edit(attribute="taints", remove=(taint,)):
            on = [stand.pods[uid] for node in bought for uid in node.pods]
            return all(any(toleration.tolerates(taint) for toleration in pod.shape.tolerations) for pod in on)
        case Edit(attribute="max_fraction_per_pool"):
            return all(_shares_kept(stand, pool, rule) for rule in stand.snapshot.workloads)
        case Edit(attribute="limit_nodes" | "limit_micro_usd_hour" | "limit_resources"):
            return within_limits(stand.snapshot, pool, bought)
        case _:
            return False


def _shares_kept(stand: _Stand, pool: Pool, rule: WorkloadRule) -> bool:
    if rule.max_fraction_per_pool is not None:
        return True
    here = [
        labels
        for uid, labels in stand.node.items()
        if stand.pods[uid].workload == rule.key and labels.get(keys.NODEPOOL) == pool.name
    ]
    return _shared_out(here, pool.max_fraction_per_pool or 1.0, rule.replicas)
