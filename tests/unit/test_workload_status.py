"""What `kubectl get workloads.spotkube.io` says, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from spotkube.api import NodeClaim
from spotkube.api.common import Condition, find_condition
from spotkube.api.workload import Workload, WorkloadStatus
from spotkube.controllers.workloads import NodeFacts, Outlook, Problem, node_facts, workload_status
from spotkube.controllers.workloads.status import is_over
from spotkube.controllers.workloads.waiting import MAX_CHARACTERS, in_one_line
from spotkube.convert.workloads import Source
from spotkube.model.cluster import Claim, ClaimPhase, Node
from spotkube.model.offerings import OfferingKey
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList
from unit.workload_builders import (
    GI,
    NOW,
    make_job,
    make_node,
    make_pod,
    make_source,
    make_target,
    make_target_ref,
    make_template,
    make_workload,
)

GATE = "spotkube.io/placement"
NODES = {"od": make_node(usd_per_hour=0.2), "spot": make_node(usd_per_hour=0.08, spot=True)}


def status_of(
    workload: Workload,
    pods: Sequence[Pod] = (),
    *,
    source: Source | str | None = "child",
    nodes: dict[str, NodeFacts] | None = None,
    outlook: Outlook | None = None,
    problem: Problem | None = None,
    now: float = NOW,
) -> WorkloadStatus:
    """With its child as it was made, unless another `source` is given."""
    return workload_status(
        workload,
        pods=pods,
        nodes=NODES if nodes is None else nodes,
        source=make_source(workload) if isinstance(source, str) else source,
        outlook=outlook or Outlook(),
        now=now,
        problem=problem,
    )


def condition(status: WorkloadStatus, type_: str) -> Condition:
    found = find_condition(status.conditions, type_)
    assert found is not None
    return found


def verdicts(status: WorkloadStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (str(c.status), c.reason) for c in status.conditions}


def make_claim(name: str = "general-7", **status: Any) -> NodeClaim:
    spec = {
        "nodePool": "general",
        "instanceType": "m7g.large",
        "zone": "us-east-1a",
        "capacityType": "spot",
        "arch": "arm64",
        "priceUSDPerHour": 0.03,
        "allocatable": {"cpu": "2"},
    }
    return NodeClaim.from_dict({"metadata": {"name": name}, "spec": spec, "status": status})


class TestNumbers:
    def test_a_service_that_stands(self) -> None:
        pods = [make_pod("a", node="od", ready=True), make_pod("b", node="spot", ready=True)]

        status = status_of(make_workload(generation=7), pods)

        assert status.source == "Deployment/web"
        assert (status.replicas, status.ready_replicas, status.nodes) == (2, 2, 2)
        assert (status.spot_replicas, status.spot_percent) == (1, 50.0)
        assert status.waiting_for is None
        assert status.observed_generation == 7
        assert verdicts(status) == {"Placed": ("True", "AllPlaced"), "Ready": ("True", "AllReady")}
        assert {c.observed_generation for c in status.conditions} == {7}

    def test_more_pods_on_spot_than_the_rule_allows_are_told_of_with_a_remedy(self) -> None:
        workload = make_workload(spot={"onDemandBase": 1})
        pods = [make_pod("a", node="spot", ready=True), make_pod("b", node="spot", ready=True)]

        placed = find_condition(status_of(workload, pods).conditions, "Placed")

        assert placed is not None
        assert (placed.status, placed.reason) == ("True", "TooMuchSpot")
        assert placed.message.startswith(
            "2 pods are on spot where 1 may be: delete pods on spot nodes; placement Pinned"
        )

    def test_without_a_placed_pod_there_is_no_share(self) -> None:
        status = status_of(make_workload(), [make_pod()])

        assert (status.nodes, status.spot_replicas, status.spot_percent, status.usd_per_hour) == (0, 0, None, 0.0)

    def test_pods_that_leave_do_not_count(self) -> None:
        pods = [make_pod("a", node="od", ready=True), make_pod("b", node="spot", ready=True, deleting=True)]

        status = status_of(make_workload(), pods)

        assert (status.ready_replicas, status.nodes, status.spot_replicas) == (1, 1, 0)
        assert verdicts(status)["Placed"] == ("False", "PodsWaiting")

    def test_surplus_pods_of_a_rollout_do_not_make_more_than_all(self) -> None:
        pods = [make_pod(name, node="od", ready=True) for name in "abc"]

        status = status_of(make_workload(), pods)

        assert (status.replicas, status.ready_replicas) == (2, 2)

    def test_nothing_wanted_is_all_there(self) -> None:
        status = status_of(make_workload(deployment={"replicas": 0, "template": make_template()}))

        assert (status.replicas, status.ready_replicas, status.waiting_for) == (0, 0, None)
        assert verdicts(status) == {"Placed": ("True", "AllPlaced"), "Ready": ("True", "AllReady")}

    def test_a_target_wants_what_the_target_wants(self) -> None:
        workload = make_workload("front", targetRef=make_target_ref("api"))
        pods = [make_pod("a", workload=None, node="od", ready=True)]

        status = status_of(workload, pods, source=make_target("api", 3))

        assert (status.source, status.replicas, status.ready_replicas) == ("Deployment/api", 3, 1)


class TestCost:
    def test_a_pod_pays_its_dominant_share(self) -> None:
        # 1 of 4 cores is more than 1 of 16 Gi.
        assert status_of(make_workload(), [make_pod("a", node="od")]).usd_per_hour == pytest.approx(0.05)
        # 12 of 16 Gi is more than 1 of 4 cores.
        big = make_pod("a", node="od", requests={"memory": 12 * GI})
        assert status_of(make_workload(), [big]).usd_per_hour == pytest.approx(0.15)

    def test_pods_on_one_node_are_taken_together(self) -> None:
        # Cores add up to 2 of 4, memory to 13 of 16 Gi: shares of single pods would add up to 1/4 + 3/4.
        pods = [make_pod("a", node="od"), make_pod("b", node="od", requests={"memory": 12 * GI})]

        assert status_of(make_workload(), pods).usd_per_hour == pytest.approx(0.2 * 13 / 16)

    def test_nodes_add_up(self) -> None:
        pods = [make_pod("a", node="od"), make_pod("b", node="spot")]

        assert status_of(make_workload(), pods).usd_per_hour == pytest.approx(0.05 + 0.02)

    def test_nobody_pays_more_than_the_node(self) -> None:
        pods = [make_pod("a", node="od", requests={"cpu": 9000})]

        assert status_of(make_workload(), pods).usd_per_hour == pytest.approx(0.2)

    def test_nodes_that_we_did_not_buy_or_do_not_know_cost_nothing(self) -> None:
        pods = [make_pod("a", node="own"), make_pod("b", node="unknown")]

        status = status_of(make_workload(), pods, nodes={"own": make_node(usd_per_hour=0.0)})

        assert (status.usd_per_hour, status.nodes) == (0.0, 2)

    def test_facts_of_nodes_come_from_their_claims(self) -> None:
        allocatable = ResourceList({"cpu": 2000})
        claim = Claim(
            "general-7", "u", "general", OfferingKey("m7g.large", "a", "spot"), 30_000, allocatable, (), (),
            ClaimPhase.READY,
        )  # fmt: skip
        nodes = [
            Node("n1", (), (), allocatable, True, claim="general-7"),
            Node("n2", (), (), allocatable, True),
            Node("n3", (), (), allocatable, True, claim="gone"),
        ]

        facts = node_facts(nodes, [claim])

        assert facts == {
            "n1": NodeFacts(allocatable, 30_000, spot=True),
            "n2": NodeFacts(allocatable),
            "n3": NodeFacts(allocatable),
        }


class TestWaiting:
    def waiting(self, *pods: Pod, **outlook: Any) -> str | None:
        """Of a service that wants as many pods as there are."""
        workload = make_workload(deployment={"replicas": len(pods), "template": make_template()})
        return status_of(workload, pods, outlook=Outlook(**outlook)).waiting_for

    def test_for_a_claim_that_is_on_its_way(self) -> None:
        claim = make_claim(phase="Launched", phaseTimes={"Launched": "2026-11-24T10:15:02Z"})

        line = self.waiting(make_pod("a"), claims={"general-7": claim}, expected={"uid-a": "general-7"})

        assert line == (
            "1 pod: waits for NodeClaim general-7 (m7g.large spot in us-east-1a),"
            " which is Launched since 2026-11-24T10:15:02Z"
        )

    def test_for_a_claim_that_nobody_bought_yet(self) -> None:
        line = self.waiting(make_pod("a"), claims={"general-7": make_claim()}, expected={"uid-a": "general-7"})

        assert line == "1 pod: waits for NodeClaim general-7 (m7g.large spot in us-east-1a), which is not bought yet"

    def test_for_a_claim_that_we_do_not_know(self) -> None:
        assert self.waiting(make_pod("a"), expected={"uid-a": "general-7"}) == "1 pod: waits for NodeClaim general-7"

    def test_for_a_scheduler_that_is_not_the_default_one(self) -> None:
        pod = make_pod("a", nominated="node-1")
        pod = replace(pod, shape=replace(pod.shape, scheduler_name="volcano"))

        assert self.waiting(pod) == (
            "1 pod: scheduler volcano has not bound it yet: we plan for it, and leave its place to that"
        )

    def test_what_has_no_place_says_why_whatever_else_holds(self) -> None:
        line = self.waiting(
            make_pod("a", gates=("example.com/quota",)),
            unplaceable={"uid-a": "no instance type has 900 cores"},
            expected={"uid-a": "general-7"},
        )

        assert line == "1 pod: no instance type has 900 cores"

    def test_a_recommendation_is_not_bought(self) -> None:
        line = self.waiting(make_pod("a", gates=(GATE,)), recommended={"uid-a": "general"})

        assert line == "1 pod: a node is recommended only: set mode of NodePool general to Apply"

    def test_a_recommendation_says_more_than_that_nothing_may_be_bought(self) -> None:
        outlook = {"unplaceable": {"uid-a": "none of 35 offerings fits"}, "recommended": {"uid-a": "general"}}

        assert "set mode of NodePool general to Apply" in (self.waiting(make_pod("a"), **outlook) or "")
        bought = self.waiting(make_pod("a"), **outlook, expected={"uid-a": "general-7"})
        assert "recommended" not in (bought or "")

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"gates": ("example.com/quota", GATE)}, "held by scheduling gate example.com/quota, which"),
            ({"gates": (GATE,)}, "held by our scheduling gate until a plan gives it a node"),
            ({"nominated": "node-7"}, "nominated onto node node-7, kube-scheduler has not bound it yet"),
            ({"unschedulable": True}, "kube-scheduler finds no node with room"),
            ({}, "kube-scheduler has not seen it yet"),
        ],
    )
    def test_what_the_pod_itself_tells(self, fields: dict[str, Any], words: str) -> None:
        assert (self.waiting(make_pod("a", **fields)) or "").startswith(f"1 pod: {words}")

    def test_equal_reasons_are_told_once_the_commonest_first_and_not_all(self) -> None:
        reasons = {f"uid-p{i}": f"reason {i % 5}" for i in range(12)}

        line = self.waiting(*(make_pod(f"p{i}") for i in range(12)), unplaceable=reasons)

        assert line == "3 pods: reason 0; 3 pods: reason 1; 2 pods: reason 2; 4 pods for other reasons"

    def test_pods_that_are_missing_are_told_with_the_reason(self) -> None:
        workload = make_workload()
        failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team"}
        held_up = make_source(workload, status={"conditions": [failure]})
        one = [make_pod("a", node="od", ready=True)]

        assert status_of(workload, one).waiting_for == "1 pod not made yet"
        assert status_of(workload, [], source=held_up).waiting_for == "2 pods not made yet: exceeded quota: team"

    def test_a_stateful_set_makes_one_pod_after_the_other(self) -> None:
        workload = make_workload(statefulSet={"replicas": 3, "template": make_template()})

        line = status_of(workload, [make_pod("web-0", node="od")]).waiting_for

        assert line == "2 pods not made yet: OrderedReady makes a pod when the one before it is ready"

    def test_the_line_keeps_within_the_apis_limit(self) -> None:
        assert in_one_line(["a", "", "b"]) == "a; b"
        assert in_one_line([]) is None
        line = in_one_line(["x" * 2000])
        assert line is not None
        assert len(line) == MAX_CHARACTERS


class TestProblems:
    def test_a_child_that_was_refused_says_what_the_server_said(self) -> None:
        problem = Problem("ChildRefused", "Deployment/web was refused: image: Required value")

        status = status_of(make_workload(), source=None, problem=problem)

        assert verdicts(status) == {"Placed": ("False", "ChildRefused"), "Ready": ("False", "ChildRefused")}
        assert condition(status, "Ready").message == problem.message
        assert status.waiting_for == problem.message

    def test_a_target_that_is_missing(self) -> None:
        problem = Problem("TargetNotFound", "targetRef Deployment/api does not exist: create it")

        status = status_of(make_workload(targetRef=make_target_ref("api")), source=None, problem=problem)

        assert (status.source, status.replicas, status.waiting_for) == ("Deployment/api", 0, problem.message)
        assert verdicts(status)["Ready"] == ("False", "TargetNotFound")

    def test_pods_that_run_without_their_budget_wait_for_nothing(self) -> None:
        pods = [make_pod(name, node="od", ready=True) for name in "ab"]
        problem = Problem("BudgetRefused", "PodDisruptionBudget/web was refused", holds_pods=False)

        status = status_of(make_workload(), pods, problem=problem)

        assert verdicts(status) == {"Placed": ("True", "AllPlaced"), "Ready": ("False", "BudgetRefused")}
        assert status.waiting_for is None


class TestJobs:
    def job_status(self, job_status: dict[str, Any], *pods: Pod, **spec: Any) -> WorkloadStatus:
        workload = make_job()
        return status_of(workload, pods, source=make_source(workload, status=job_status, **spec))

    def test_pods_that_have_ended_well_count_as_ready(self) -> None:
        running = [make_pod(name, "crunch", node="spot", ready=True) for name in "ab"]

        status = self.job_status({"succeeded": 2, "active": 2}, *running)

        assert (status.replicas, status.ready_replicas) == (4, 4)
        assert verdicts(status) == {"Placed": ("True", "AllPlaced"), "Ready": ("True", "AllReady")}

    def test_ready_is_never_more_than_all(self) -> None:
        running = [make_pod(name, "crunch", node="spot", ready=True) for name in "ab"]

        status = self.job_status({"succeeded": 3}, *running)

        assert (status.replicas, status.ready_replicas) == (4, 4)

    def test_a_job_that_is_done(self) -> None:
        status = self.job_status({"succeeded": 4, "conditions": [{"type": "Complete", "status": "True"}]})

        assert (status.replicas, status.ready_replicas, status.waiting_for) == (4, 4, None)
        assert verdicts(status) == {"Placed": ("True", "JobEnded"), "Ready": ("True", "JobComplete")}
        assert is_over(make_job(status=status.model_dump(by_alias=True)))

    def test_a_job_that_has_failed_says_why(self) -> None:
        failed = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}

        status = self.job_status({"conditions": [failed]})

        assert verdicts(status)["Ready"] == ("False", "JobFailed")
        assert condition(status, "Ready").message == failed["message"]
        assert is_over(make_job(status=status.model_dump(by_alias=True)))

    def test_a_suspended_job_says_so(self) -> None:
        status = self.job_status({}, suspend=True)

        assert status.waiting_for == "Job/crunch is suspended: it makes pods when spec.suspend of it becomes false"
        assert verdicts(status) == {"Placed": ("False", "Suspended"), "Ready": ("False", "Suspended")}
        assert not is_over(make_job(status=status.model_dump(by_alias=True)))


class TestTransitions:
    def test_times_change_with_the_status_and_not_with_the_reason(self) -> None:
        first = status_of(make_workload(), [make_pod("a")])
        seen = make_workload(status=first.model_dump(by_alias=True))

        waiting = status_of(seen, [make_pod("a", node="od")], now=NOW + 60)
        ready = status_of(seen, [make_pod(name, node="od", ready=True) for name in "ab"], now=NOW + 60)

        assert condition(waiting, "Ready").last_transition_time == datetime.fromtimestamp(NOW, UTC)
        assert condition(waiting, "Placed").message == "1 of 2 pods have a node"
        assert condition(ready, "Ready").last_transition_time == datetime.fromtimestamp(NOW + 60, UTC)

    def test_the_same_state_is_the_same_status_later(self) -> None:
        pods = [make_pod("a", node="od", ready=True), make_pod("b", gates=(GATE,))]
        first = status_of(make_workload(), pods)
        seen = make_workload(status=first.model_dump(by_alias=True))

        assert status_of(seen, pods[::-1], now=NOW + 3600) == first

    def test_conditions_of_others_stay(self) -> None:
        admitted = {
            "type": "Admitted",
            "status": "True",
            "reason": "Quota",
            "lastTransitionTime": "2026-11-24T10:00:00Z",
        }

        status = status_of(make_workload(status={"conditions": [admitted]}))

        assert [c.type for c in status.conditions] == ["Admitted", "Placed", "Ready"]
