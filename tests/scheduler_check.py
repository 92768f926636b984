"""A plain kube-scheduler of our own that judges a Plan. It shares no code with the planner, and is slow on purpose.

`complaints(snapshot, plan)` is empty for a plan that can be carried out as written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from spotkube.model.cluster import ClaimPhase, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.pods import HostPort, Pod, PodTerm, SpreadConstraint
from spotkube.model.selectors import LabelSelector, Requirement, Taint, Toleration

HOST, ZONE, CAPACITY = "kubernetes.io/hostname", "topology.kubernetes.io/zone", "spotkube.io/capacity-type"


@dataclass
class Place:
    """A node as it will be: its labels, taints and room, and the pods on it."""

    name: str
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    room: Mapping[str, int]
    new: bool
    volume_limits: Mapping[str, int] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)


def complaints(snapshot: Snapshot, plan: Plan) -> list[str]:
    places = _places(snapshot, plan)
    planned = {uid for node in plan.additions for uid in node.pods} | {p.pod for p in plan.placements}
    found = list(_accounts(snapshot, plan))
    for place in places:
        if any(pod.uid in planned for pod in place.pods):
            found += _room(snapshot, place)
        for pod in place.pods:
            if pod.uid in planned:
                found += [f"{pod.name} on {place.name}: {problem}" for problem in _pod(pod, place, places)]
    found += _spot_rules(snapshot, places, planned)
    found += _spot_pools(snapshot, places, planned)
    found += _purchases(snapshot, plan)
    if plan.lower_bound_micro_usd_hour > plan.cost_after_micro_usd_hour:
        found.append(f"bound {plan.lower_bound_micro_usd_hour} above cost {plan.cost_after_micro_usd_hour}")
    return found


def _places(snapshot: Snapshot, plan: Plan) -> list[Place]:
    by_uid = {pod.uid: pod for pod in snapshot.pods}
    leaving = {c.node or c.name for c in snapshot.claims if c.leaving}
    places = {
        node.name: Place(node.name, dict(node.labels), node.taints, node.allocatable, False, dict(node.volume_limits))
        for node in snapshot.nodes
        if node.name not in leaving
    }
    for claim in snapshot.claims:
        if claim.name not in places and not claim.leaving and claim.phase in (ClaimPhase.PENDING, ClaimPhase.LAUNCHED):
            labels = {**dict(claim.labels), HOST: claim.name}
            limits = _volume_limits(claim.allocatable)
            places[claim.name] = Place(claim.name, labels, claim.taints, claim.allocatable, False, limits)
    pools = {pool.name: pool for pool in snapshot.pools}
    for number, node in enumerate(plan.additions):
        name, pool = f"new-{number}", pools[node.pool]
        labels = {**dict(node.offering.labels), **dict(pool.labels), HOST: name, "spotkube.io/nodepool": pool.name}
        # By then the agent of the CSI driver has told in which zone the node is.
        labels["topology.ebs.csi.aws.com/zone"] = labels[ZONE]
        room = node.offering.allocatable
        places[name] = Place(name, labels, pool.taints, room, True, _volume_limits(room))
        places[name].pods += [by_uid[uid] for uid in node.pods]
    for pod in snapshot.pods:
        if pod.node in places:
            places[pod.node].pods.append(pod)
    for placement in plan.placements:
        places[placement.target].pods.append(by_uid[placement.pod])
    return list(places.values())


def _volume_limits(room: Mapping[str, int]) -> dict[str, int]:
    prefix = "attachable-volumes-csi-"
    return {name.removeprefix(prefix): room[name] for name in room if name.startswith(prefix)}


def _accounts(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Every pod that waits is told of exactly once."""
    told = Counter(uid for node in plan.additions for uid in node.pods)
    told.update(placement.pod for placement in plan.placements)
    told.update(uid for one in plan.unplaceable for uid in one.pods)
    waiting = {pod.uid for pod in snapshot.pods if pod.node is None}
    yield from (f"{uid} is told of {number} times" for uid, number in told.items() if number > 1)
    yield from (f"{uid} is not told of" for uid in sorted(waiting - set(told)))


def _room(snapshot: Snapshot, place: Place) -> Iterator[str]:
    taken: dict[str, int] = defaultdict(int)
    for pod in place.pods:
        for name in pod.shape.requests:
            taken[name] += pod.shape.requests[name]
    running = {f"{pod.namespace}/{pod.owner.split('/')[1]}" for pod in place.pods if pod.daemon}
    for daemonset in snapshot.daemonsets:
        if daemonset.key not in running and _node_accepts(daemonset.shape, place):
            for name in daemonset.shape.requests:
                taken[name] += daemonset.shape.requests[name]
    yield from (f"{place.name}: {name} {n} of {place.room[name]}" for name, n in taken.items() if n > place.room[name])
    volumes = Counter(driver for driver, _ in {volume for pod in place.pods for volume in pod.volumes})
    for driver, limit in place.volume_limits.items():
        if volumes[driver] > limit:
            yield f"{place.name}: {volumes[driver]} volumes of {driver}, which are {limit} at most"


def _node_accepts(shape: object, place: Place) -> bool:
    wanted = all(place.labels.get(key) == value for key, value in shape.node_selector)  # type: ignore[attr-defined]
    terms = shape.affinity_terms  # type: ignore[attr-defined]
    affine = not terms or any(all(_holds(r, place.labels) for r in term) for term in terms)
    return wanted and affine and all(_tolerated(t, shape.tolerations) for t in place.taints)  # type: ignore[attr-defined]


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    there, value = requirement.key in labels, labels.get(requirement.key, "")
    if requirement.operator == "Exists":
        return there
    if requirement.operator == "DoesNotExist":
        return not there
    if requirement.operator == "NotIn":
        return value not in requirement.values if there else True
    if requirement.operator == "In":
        return there and value in requirement.values
    if not there or not value.isdigit():
        return False
    bound = int(requirement.values[0])
    return int(value) > bound if requirement.operator == "Gt" else int(value) < bound


def _tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    if taint.effect == "PreferNoSchedule":
        return True
    for one in tolerations:
        if one.effect not in (None, taint.effect):
            continue
        if one.operator == "Exists" and one.key in ("", taint.key):
            return True
        if one.operator != "Exists" and one.key == taint.key and one.value == taint.value:
            return True
    return False


def _selected(selector: LabelSelector | None, pod: Pod) -> bool:
    return selector is not None and all(_holds(r, dict(pod.labels)) for r in selector.requirements)


def _pod(pod: Pod, place: Place, places: list[Place]) -> Iterator[str]:
    if not _node_accepts(pod.shape, place):
        yield "selector, affinity or taint"
    yield from _volumes(pod, place)
    for other in place.pods:
        if other is not pod and any(_same_port(a, b) for a in other.shape.host_ports for b in pod.shape.host_ports):
            yield f"host port of {other.name}"
    yield from _company(pod, place, places)
    for where in places:
        for other in where.pods:
            if other is not pod and (_repels(pod, place, other, where) or _repels(other, where, pod, place)):
                yield f"anti-affinity with {other.name}"
    for rule in pod.shape.spread:
        if rule.topology_key not in place.labels:
            yield f"no label {rule.topology_key}"
            continue
        counts: Counter[str] = Counter()
        for where in places:
            if _eligible(pod, where, rule):
                counted = [other for other in where.pods if _counted(rule.selector, pod, other)]
                counts[where.labels[rule.topology_key]] += len(counted)
        least = min(counts.values(), default=0) if len(counts) >= rule.min_domains else 0
        if counts[place.labels[rule.topology_key]] - least > rule.max_skew:
            yield f"spread over {rule.topology_key}: {dict(counts)}"


def _volumes(pod: Pod, place: Place) -> Iterator[str]:
    for terms in pod.shape.volume_terms:
        if not any(all(_holds(r, {**place.labels, "metadata.name": place.name}) for r in term) for term in terms):
            yield "a volume that is not reached"
    if pod.shape.refused:
        yield pod.shape.refused


def _same_port(one: HostPort, other: HostPort) -> bool:
    if one.port != other.port or one.protocol != other.protocol:
        return False
    return one.address == other.address or "0.0.0.0" in (one.address, other.address)


def _company(pod: Pod, place: Place, places: list[Place]) -> Iterator[str]:
    """Required pod affinity, as it is once all are there: the others that match all terms, or else the pod itself."""
    terms = pod.shape.affinity
    if not terms:
        return
    lacking = [term.topology_key for term in terms if term.topology_key not in place.labels]
    if lacking:
        yield f"no labels {lacking}"
        return
    friends = [
        (other, where)
        for where in places
        for other in where.pods
        if other is not pod and all(_meant(term, other) for term in terms)
    ]
    known = [w for _, w in friends if any(term.topology_key in w.labels for term in terms)]
    if not known and all(_meant(term, pod) for term in terms):
        return
    for term in terms:
        if not any(w.labels.get(term.topology_key) == place.labels[term.topology_key] for w in known):
            yield f"affinity over {term.topology_key} finds nobody"


def _meant(term: PodTerm, other: Pod) -> bool:
    return bool({"*", other.namespace} & term.namespaces) and _selected(term.selector, other)


def _eligible(pod: Pod, place: Place, rule: SpreadConstraint) -> bool:
    if any(one.topology_key not in place.labels for one in pod.shape.spread):
        return False
    if rule.honor_taints and not all(_tolerated(taint, pod.shape.tolerations) for taint in place.taints):
        return False
    if not rule.honor_affinity:
        return True
    wanted = all(place.labels.get(key) == value for key, value in pod.shape.node_selector)
    terms = pod.shape.affinity_terms
    return wanted and (not terms or any(all(_holds(r, place.labels) for r in term) for term in terms))


def _counted(selector: LabelSelector | None, pod: Pod, other: Pod) -> bool:
    if selector is None or not selector.requirements:
        return False
    return other.namespace == pod.namespace and not other.deleting and _selected(selector, other)


def _repels(one: Pod, on: Place, other: Pod, where: Place) -> bool:
    for term in one.shape.anti_affinity:
        domain = on.labels.get(term.topology_key)
        together = domain is not None and domain == where.labels.get(term.topology_key)
        if together and _meant(term, other):
            return True
    return False


def _spot_rules(snapshot: Snapshot, places: list[Place], planned: set[str]) -> Iterator[str]:
    pools = {pool.name: pool for pool in snapshot.pools}
    spot = [place for place in places if place.labels.get(CAPACITY) == "spot"]
    for place in spot:
        allowed = place.new and pools[place.labels["spotkube.io/nodepool"]].allow_unmanaged_on_spot
        if place.new and not allowed:
            yield from (f"{pod.name} of nobody on new spot" for pod in place.pods if pod.workload is None)
    for rule in snapshot.workloads:
        on_spot = [pod for place in spot for pod in place.pods if pod.workload == rule.key]
        on_demand_min = max(rule.spot.on_demand_base, rule.replicas - int(rule.spot.fraction * rule.replicas + 1e-9))
        too_many = len(on_spot) - max(0, rule.replicas - on_demand_min)
        if too_many > 0 and any(pod.uid in planned for pod in on_spot):
            yield f"{rule.key}: {too_many} too many on spot"


def _spot_pools(snapshot: Snapshot, places: list[Place], planned: set[str]) -> Iterator[str]:
    """Of each Workload at most its share on spot of one instance type in one zone; one pod is always allowed."""
    pools = {pool.name: pool for pool in snapshot.pools}
    for rule in snapshot.workloads:
        by_pool: dict[tuple[str, ...], list[Pod]] = defaultdict(list)
        for place in places:
            if place.labels.get(CAPACITY) == "spot":
                owner = "" if rule.max_fraction_per_pool is not None else place.labels.get("spotkube.io/nodepool", "")
                key = owner, place.labels["node.kubernetes.io/instance-type"], place.labels[ZONE]
                by_pool[key] += [pod for pod in place.pods if pod.workload == rule.key]
        for (owner, *where), pods in by_pool.items():
            share = pools[owner].max_fraction_per_pool if owner in pools else rule.max_fraction_per_pool
            most = len(pods) if share is None else max(1, int(share * rule.replicas + 1e-9))
            if len(pods) > most and any(pod.uid in planned for pod in pods):
                yield f"{rule.key}: {len(pods)} of {rule.replicas} in {' '.join(where)}"


def _purchases(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    for pool in snapshot.pools:
        bought = [node.offering for node in plan.additions if node.pool == pool.name]
        if not bought:
            continue
        held = [c for c in snapshot.claims if c.pool == pool.name and c.deadline is None and c.phase != "Terminated"]
        for offering in bought:
            labels = {**dict(offering.labels), **dict(pool.labels)}
            if not all(_holds(r, labels) for r in pool.requirements):
                yield f"{pool.name} may not buy {offering.key}"
            if offering.interruption_percent > pool.max_interruption_percent or offering.key in snapshot.resting:
                yield f"{offering.key} is too risky or rests"
        if pool.limit_nodes is not None and len(held) + len(bought) > pool.limit_nodes:
            yield f"{pool.name}: too many nodes"
        cost = sum(c.price_micro_usd_hour for c in held) + sum(o.price_micro_usd_hour for o in bought)
        if pool.limit_micro_usd_hour is not None and cost > pool.limit_micro_usd_hour:
            yield f"{pool.name}: too many dollars"
        for name, limit in pool.limit_resources:
            if sum(c.allocatable[name] for c in held) + sum(o.allocatable[name] for o in bought) > limit:
                yield f"{pool.name}: too much {name}"
