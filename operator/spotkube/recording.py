"""What a cycle saw and decided, as metrics."""

from collections import Counter

from spotkube.cluster.cache import Cache
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.convert.kinds import MICRO
from spotkube.metrics import Metrics
from spotkube.planner.formulation.waiting import pods_to_place


def record_view(metrics: Metrics, cache: Cache, view: View) -> None:
    """Gauges of what is there; those of pools and phases that are gone vanish."""
    claims = view.snapshot.claims
    metrics.nodeclaims.clear()
    for key, number in Counter((c.pool, c.offering.capacity_type, c.phase.value) for c in claims).items():
        metrics.nodeclaims.labels(*key).set(number)
    dollars: Counter[tuple[str, str]] = Counter()
    for claim in claims:
        dollars[(claim.pool, claim.offering.capacity_type)] += claim.price_micro_usd_hour
    metrics.nodes_usd_per_hour.clear()
    for key2, micro in dollars.items():
        metrics.nodes_usd_per_hour.labels(*key2).set(micro / MICRO)
    metrics.prices_doubted.set(view.doubted_prices)
    waiting = [pod for pod in pods_to_place(view.snapshot) if pod.node is None]
    metrics.pods.labels("pending").set(len(waiting))
    for resource, store in cache.stores.items():
        metrics.cache_objects.labels(resource.name).set(len(store))


def record_decision(metrics: Metrics, decision: Decision) -> None:
    plan = decision.plan
    metrics.plan_cost_usd_per_hour.labels("now").set(plan.cost_now_micro_usd_hour / MICRO)
    metrics.plan_cost_usd_per_hour.labels("after").set(plan.cost_after_micro_usd_hour / MICRO)
    metrics.plan_lower_bound_usd_per_hour.set(plan.lower_bound_micro_usd_hour / MICRO)
    metrics.plan_gap_ratio.set(plan.gap)
    metrics.pods.labels("placed").set(plan.placed_pods)
    metrics.pods.labels("unplaceable").set(sum(len(group.pods) for group in plan.unplaceable))
