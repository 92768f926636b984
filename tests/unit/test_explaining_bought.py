"""Why a node is bought, in a sentence that can be checked against the offerings."""

from __future__ import annotations

from dataclasses import replace

from builders import both_ways, make_offering, make_pod, make_pods, make_pool, make_rule, make_snapshot
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import PlannedNode
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)


def bought(snapshot: Snapshot) -> PlannedNode:
    (node,) = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK).additions
    return node


def test_the_cheapest_and_the_next() -> None:
    offerings = [make_offering(name, usd, cpu="2") for name, usd in (("a", 0.1), ("b", 0.104), ("c", 0.2))]
    small = make_offering("s", 0.06, cpu="1")
    node = bought(make_snapshot(make_pods(2, cpu="900m", owner="Deployment/web"), [*offerings, small]))
    assert node.reason == (
        "holds 2 x default/web; on demand for default/web (no Workload); full to 90% of cpu, 25% of memory; "
        "the cheapest of 3 offerings that hold these pods; next: b zone-a on-demand, +$0.0040/h"
    )
    assert node.choice == 3
    assert [(other.offering.instance_type, other.more_micro_usd_hour) for other in node.alternatives] == [
        ("b", 4_000), ("c", 100_000),
    ]  # fmt: skip


def test_who_keeps_it_off_spot() -> None:
    pods = [*make_pods(1, workload="db", owner="StatefulSet/db"), *make_pods(1, workload="web", owner="Deployment/web")]
    node = bought(make_snapshot(pods, [make_offering()], workloads=[make_rule("db", 1, fraction=0)]))
    assert "on demand for default/db (spot rule);" in node.reason


def test_on_demand_where_it_is_no_dearer() -> None:
    offerings = [make_offering(usd=0.1), make_offering(usd=0.2, spot=True)]
    node = bought(make_snapshot(make_pods(1, workload="w"), offerings))
    assert "on demand, though all would bear spot" in node.reason


def test_spot() -> None:
    node = bought(make_snapshot(make_pods(1, workload="w"), both_ways(usd=0.09)))
    assert "spot, which all of them bear" in node.reason
    assert "next: m.large zone-a on-demand, +$0.0600/h" in node.reason


def test_nothing_else_holds_them() -> None:
    assert "the only offering that holds these pods" in bought(make_snapshot([make_pod()], [make_offering()])).reason


def test_pools_that_sell_the_same_are_no_choice() -> None:
    node = bought(make_snapshot([make_pod()], [make_offering()], pools=[make_pool("a"), make_pool("b")]))
    assert (node.choice, node.alternatives) == (1, ())


def test_limits_that_keep_from_a_cheaper_one() -> None:
    offerings = [make_offering("wide", 0.08, cpu="8"), make_offering("slim", 0.1, cpu="2")]
    node = bought(make_snapshot([make_pod()], offerings, pools=[make_pool(limit_resources=(("cpu", 4000),))]))
    assert node.offering.instance_type == "slim"
    assert "limits or shares leave no room for wide zone-a on-demand, -$0.0200/h" in node.reason


def test_a_scheduler_of_its_own_may_put_the_pod_elsewhere() -> None:
    pod = make_pod(owner="Deployment/batch")
    pod = replace(pod, shape=replace(pod.shape, scheduler_name="volcano"))
    node = bought(make_snapshot([pod], [make_offering()]))
    assert "default/batch is placed by volcano, which may put it elsewhere" in node.reason
