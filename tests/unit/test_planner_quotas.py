"""No more of a Workload than it says stands on spot of one instance type in one zone; and who goes first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from builders import attracts, make_claim, make_offering, make_pods, make_pool, make_rule, make_snapshot, node_of
from scheduler_check import complaints
from spotkube.api import Workload
from spotkube.convert.workloads import to_workload_rule
from spotkube.model.cluster import Mode, Snapshot, WorkloadRule
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod
from spotkube.planner.decide import decide
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.quotas import most_in_one_pool
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)
# The cheapest spot pool, two dearer ones, and on demand.
OFFERINGS = [
    make_offering("a.large", 0.03, spot=True),
    make_offering("a.large", 0.04, spot=True, zone="zone-b"),
    make_offering("b.large", 0.05, spot=True),
    make_offering("a.large", 0.10),
]


def rule(replicas: int, fraction: float | None, workload: str = "web") -> WorkloadRule:
    return replace(make_rule(workload, replicas), max_fraction_per_pool=fraction)


def plan_of(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    assert complaints(snapshot, plan) == []
    return plan


def spread_of(plan: Plan) -> Counter[str]:
    """How many pods the plan puts into each spot pool, and on demand."""
    counts: Counter[str] = Counter()
    for node in plan.additions:
        offering: Offering = node.offering
        where = f"{offering.instance_type} {offering.zone}" if offering.capacity_type == SPOT else "on demand"
        counts[where] += len(node.pods)
    return counts


@pytest.mark.parametrize(
    ("fraction", "replicas", "most"), [(0.5, 10, 5), (0.34, 10, 3), (0.3, 10, 3), (0.1, 3, 1), (0.0, 9, 1), (1.0, 4, 4)]
)
def test_rounded_down_but_one_is_always_allowed(fraction: float, replicas: int, most: int) -> None:
    assert most_in_one_pool(fraction, replicas) == most


def test_a_workload_from_the_api() -> None:
    spec = {
        "deployment": {"replicas": 4, "template": {"spec": {"containers": [{"name": "main"}]}}},
        "spot": {"maxFractionPerPool": 0.25},
    }
    body = {"kind": "Workload", "metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    assert to_workload_rule(Workload.from_dict(body), 4).max_fraction_per_pool == 0.25


class TestWorkload:
    def test_without_a_limit_all_go_to_the_cheapest(self) -> None:
        pods = make_pods(8, cpu="500m", workload="web")
        assert spread_of(plan_of(make_snapshot(pods, OFFERINGS, workloads=(rule(8, None),)))) == {"a.large zone-a": 8}

    @pytest.mark.parametrize(("fraction", "most"), [(0.5, 4), (0.25, 2), (0.0, 1)])
    def test_a_limit_spreads_them(self, fraction: float, most: int) -> None:
        pods = make_pods(8, cpu="500m", workload="web")
        plan = plan_of(make_snapshot(pods, OFFERINGS, workloads=(rule(8, fraction),)))
        counts = spread_of(plan)
        on_demand = counts.pop("on demand", 0)
        assert max(counts.values(), default=0) <= most
        assert sum(counts.values()) + on_demand == 8

    def test_several_nodes_of_a_pool_count_together(self) -> None:
        pods = make_pods(6, cpu="2", workload="web")
        plan = plan_of(make_snapshot(pods, OFFERINGS, workloads=(rule(6, 0.5),)))
        assert max(count for where, count in spread_of(plan).items() if where != "on demand") <= 3

    def test_other_workloads_pods_of_the_same_shape_are_not_counted(self) -> None:
        pods = [*make_pods(4, cpu="500m", workload="web"), *make_pods(4, cpu="500m", workload="free")]
        rules = (rule(4, 0.5), rule(4, None, "free"))
        plan = plan_of(make_snapshot(pods, OFFERINGS, workloads=rules))
        assert spread_of(plan) == {"a.large zone-a": 4, "a.large zone-b": 4}

    def test_pods_that_run_count(self) -> None:
        claim = make_claim("c1", OFFERINGS[0])
        running = make_pods(2, cpu="500m", workload="web", node="c1")
        waiting = make_pods(2, cpu="500m", workload="web")
        snapshot = make_snapshot(
            [*running, *waiting], OFFERINGS, workloads=(rule(4, 0.5),), claims=(claim,), nodes=(node_of(claim),)
        )
        plan = plan_of(snapshot)
        assert plan.placements == ()
        assert spread_of(plan)["a.large zone-a"] == 0
        assert plan.placed_pods == 4

    def test_why_pods_are_left_out(self) -> None:
        pods = make_pods(4, cpu="500m", workload="web")
        (left,) = plan_of(make_snapshot(pods, OFFERINGS[:1], workloads=(rule(4, 0.5),))).unplaceable
        assert len(left.pods) == 2
        assert "of Workload default/web at most 2 may stand on spot of one instance type in one zone" in left.reason

    def test_one_that_never_runs_on_spot_needs_no_counting(self) -> None:
        never = replace(make_rule("web", 2, fraction=0.0), max_fraction_per_pool=0.5)
        snapshot = make_snapshot(make_pods(2, workload="web"), OFFERINGS, workloads=(never,))
        assert not len(build(snapshot, snapshot.pools).problem.quotas.use)


class TestNodePool:
    def test_it_is_the_default_of_workloads(self) -> None:
        pool = make_pool(max_fraction_per_pool=0.5)
        pods = make_pods(4, cpu="500m", workload="web")
        counts = spread_of(plan_of(make_snapshot(pods, OFFERINGS, pools=(pool,), workloads=(rule(4, None),))))
        assert counts["a.large zone-a"] == 2

    def test_what_the_workload_says_goes_before(self) -> None:
        pool = make_pool(max_fraction_per_pool=0.25)
        pods = make_pods(4, cpu="500m", workload="web")
        plan = plan_of(make_snapshot(pods, OFFERINGS, pools=(pool,), workloads=(rule(4, 1.0),)))
        assert spread_of(plan) == {"a.large zone-a": 4}

    def test_it_counts_on_its_own_nodes_only(self) -> None:
        pools = (make_pool("careful", max_fraction_per_pool=0.25, weight=9), make_pool("other"))
        pods = make_pods(4, cpu="500m", workload="web")
        plan = plan_of(make_snapshot(pods, OFFERINGS[:1], pools=pools, workloads=(rule(4, None),)))
        assert plan.unplaceable == ()
        inside = sum(len(node.pods) for node in plan.additions if node.pool == "careful")
        assert inside <= 1


class TestPriority:
    def important(self, count: int, priority: int, cpu: str = "2") -> list:  # type: ignore[type-arg]
        return [replace(pod, shape=replace(pod.shape, priority=priority)) for pod in make_pods(count, cpu=cpu)]

    def test_ranks_are_the_order_of_priorities(self) -> None:
        pods = [*self.important(1, 1000), *self.important(1, -5), *self.important(1, 0)]
        snapshot = make_snapshot(pods, [make_offering()])
        built = build(snapshot, snapshot.pools)
        ranks = {group.shape.priority: int(rank) for group, rank in zip(built.groups, built.problem.rank, strict=True)}
        assert ranks == {1000: 2, 0: 1, -5: 0}

    def test_where_limits_leave_no_room_for_all_the_lower_priority_stays_out(self) -> None:
        pods = [*self.important(3, 0, cpu="500m"), *self.important(2, 1000)]
        pool = make_pool(limit_nodes=2)
        plan = plan_of(make_snapshot(pods, [make_offering()], pools=(pool,)))
        placed = {uid for node in plan.additions for uid in node.pods}
        assert placed == {pod.uid for pod in pods if pod.shape.priority}
        (left,) = plan.unplaceable
        assert "limits of NodePool pool leave no room; pods of a priority above 0 go first" in left.reason

    def jobs(self, count: int, cpu: str = "2") -> list[Pod]:
        return [replace(pod, owner="Job/etl", uid=f"job-{pod.uid}") for pod in make_pods(count, cpu=cpu)]

    def test_where_limits_leave_no_room_for_all_jobs_stay_out(self) -> None:
        services = make_pods(2, cpu="2")
        # Smaller, so that they would come last by size, and more, so that most pods would be placed with them.
        pods = [*self.jobs(3, cpu="500m"), *services]
        plan = plan_of(make_snapshot(pods, [make_offering()], pools=(make_pool(limit_nodes=2),)))
        assert {uid for node in plan.additions for uid in node.pods} == {pod.uid for pod in services}
        (left,) = plan.unplaceable
        assert "limits of NodePool pool leave no room; pods that are no Job's go first" in left.reason

    def test_a_job_of_higher_priority_goes_before_services(self) -> None:
        jobs = [replace(pod, shape=replace(pod.shape, priority=1)) for pod in self.jobs(2)]
        plan = plan_of(
            make_snapshot([*jobs, *make_pods(2, cpu="2")], [make_offering()], pools=(make_pool(limit_nodes=2),))
        )
        assert {uid for node in plan.additions for uid in node.pods} == {pod.uid for pod in jobs}

    def test_nodes_for_services_are_bought_first(self) -> None:
        plan = plan_of(make_snapshot([*self.jobs(3), *make_pods(2, cpu="2")], [make_offering()]))
        assert [uid.startswith("job-") for node in plan.additions for uid in node.pods] == [False] * 2 + [True] * 3

    def test_pods_of_the_highest_priority_have_nobody_above_them(self) -> None:
        pool = make_pool(limit_nodes=1)
        plan = plan_of(make_snapshot(self.important(2, 1000), [make_offering()], pools=(pool,)))
        assert "go first" not in plan.unplaceable[0].reason


def test_pods_that_stay_together_are_counted_one_by_one() -> None:
    """Three that must share a node are too many for spot where two may stand, so that they go on demand."""
    pods = make_pods(3, cpu="500m", workload="web", app="web", pod_affinity=[attracts(app="web")])
    plan = plan_of(make_snapshot(pods, OFFERINGS, workloads=(rule(3, 0.67),)))
    assert spread_of(plan) == {"on demand": 3}
