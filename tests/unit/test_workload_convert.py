"""What makes a Workload's pods, how many it wants, and whose a pod is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spotkube.api.workload import Workload
from spotkube.api.workloadsources import SourceKind
from spotkube.convert.workloads import (
    JobEnd,
    targets_of,
    to_budget,
    to_source,
    to_workload_rule,
    wanted_replicas,
    workload_of,
)
from spotkube.model.cluster import WorkloadRule
from spotkube.model.pods import NEVER_ON_SPOT, SpotRule
from unit.workload_builders import make_job, make_pod, make_target, make_target_ref, make_template, make_workload

Object = dict[str, Any]


def raw_job(status: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "crunch", "namespace": "shop", "uid": "u1"},
        "spec": {"parallelism": 3, "completions": 10, "backoffLimit": 6, **spec},
        "status": status or {},
    }


def raw_deployment(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u2"},
        "spec": {"replicas": 4, "template": {"spec": {}}, **spec},
    }


class TestSource:
    def test_a_deployment(self) -> None:
        raw = raw_deployment(selector={"matchLabels": {"app": "web"}})
        raw["metadata"] |= {
            "annotations": {"spotkube.io/applied": "abc"},
            "ownerReferences": [
                {"kind": "App", "name": "shop", "uid": "u0"},
                {
                    "apiVersion": "spotkube.io/v1alpha1",
                    "kind": "Workload",
                    "name": "web",
                    "uid": "u9",
                    "controller": True,
                },
            ],
        }

        source = to_source(raw)

        assert (source.kind, source.key, source.uid) == (SourceKind.DEPLOYMENT, ("shop", "Deployment/web"), "u2")
        assert (source.controller, source.workload, source.applied) == ("u9", "web", "abc")
        assert (source.replicas, source.job) == (4, None)
        assert source.selector == {"matchLabels": {"app": "web"}}

    def test_kueues_workloads_are_not_ours(self) -> None:
        raw = raw_deployment()
        owner = {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "Workload",
            "name": "x",
            "uid": "u",
            "controller": True,
        }
        raw["metadata"]["ownerReferences"] = [owner]

        assert (to_source(raw).controller, to_source(raw).workload) == ("u", "")

    def test_the_spec_digest_follows_edits_but_not_an_autoscaler_or_the_status(self) -> None:
        before = to_source(raw_deployment())

        assert to_source(raw_deployment(replicas=9)).spec_digest == before.spec_digest
        assert to_source(raw_deployment() | {"status": {"readyReplicas": 1}}).spec_digest == before.spec_digest
        assert to_source(raw_deployment(template={"spec": {"x": 1}})).spec_digest != before.spec_digest

    def test_no_replicas_is_one_and_zero_is_zero(self) -> None:
        assert to_source(raw_deployment(replicas=None)).replicas == 1
        assert to_source(raw_deployment(replicas=0)).replicas == 0

    def test_why_a_replica_set_cannot_make_pods_is_kept(self) -> None:
        failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team"}
        over = failure | {"status": "False"}

        assert to_source(raw_deployment() | {"status": {"conditions": [failure]}}).message == "exceeded quota: team"
        assert to_source(raw_deployment() | {"status": {"conditions": [over]}}).message == ""

    @pytest.mark.parametrize(
        ("spec", "status", "running_wanted"),
        [
            ({}, {}, 3),
            ({}, {"succeeded": 8}, 2),
            ({}, {"succeeded": 10}, 0),
            ({"parallelism": 20}, {}, 10),
            ({"suspend": True}, {}, 0),
            ({"completions": None}, {"active": 3}, 3),
            ({"completions": None}, {"active": 1, "succeeded": 2}, 1),
            ({}, {"succeeded": 2, "conditions": [{"type": "Failed", "status": "True"}]}, 0),
            ({}, {"succeeded": 2, "conditions": [{"type": "Failed", "status": "False"}]}, 3),
        ],
    )
    def test_how_many_pods_of_a_job_shall_run_now(self, spec: Object, status: Object, running_wanted: int) -> None:
        job = to_source(raw_job(status, **spec)).job

        assert job is not None
        assert job.running_wanted == running_wanted

    def test_the_end_of_a_job(self) -> None:
        failed = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}
        complete = {"type": "Complete", "status": "True"}

        source = to_source(raw_job({"conditions": [failed]}))

        assert source.job is not None
        assert (source.job.end, source.message) == (JobEnd.FAILED, failed["message"])
        done = to_source(raw_job({"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, complete]})).job
        assert done is not None
        assert done.end is JobEnd.COMPLETE

    def test_a_budget(self) -> None:
        owner = {"kind": "Workload", "name": "web", "uid": "u9", "controller": True}
        metadata = {"name": "web", "namespace": "shop", "uid": "u3", "ownerReferences": [owner]}

        budget = to_budget({"metadata": metadata, "spec": {"minAvailable": 1}})

        assert (budget.namespace, budget.name, budget.uid, budget.controller) == ("shop", "web", "u3", "u9")
        assert budget.spec_digest != to_budget({"metadata": metadata, "spec": {"minAvailable": 2}}).spec_digest


class TestRules:
    @pytest.mark.parametrize(
        ("spot", "rule"),
        [
            ({}, SpotRule()),
            ({"never": True}, NEVER_ON_SPOT),
            ({"onDemandBase": 2}, SpotRule(on_demand_base=2)),
            ({"onDemandBase": 0}, SpotRule()),
            ({"spotFraction": 0.7}, SpotRule(fraction=0.7)),
            ({"spotFraction": 0.0}, NEVER_ON_SPOT),
        ],
    )
    def test_how_much_spot_it_bears(self, spot: Object, rule: SpotRule) -> None:
        assert to_workload_rule(make_workload(spot=spot), 10) == WorkloadRule("shop/web", rule, 10)

    @pytest.mark.parametrize(
        ("workload", "seconds"),
        [
            (make_workload(), 300),
            (make_workload(restartTime="90s"), 90),
            (make_workload(restartTime="0s"), 0),
            (make_job(), 1800),
            (make_job(expectedRunTime="3h"), 5400),
            (make_job(expectedRunTime="3h", restartTime="10m"), 600),
            (make_job(expectedRunTime="3h", checkpointInterval="20m"), 600),
            (make_job(expectedRunTime="10m", checkpointInterval="20m"), 300),
            (make_job(checkpointInterval="20m"), 600),
        ],
    )
    def test_what_an_interruption_destroys(self, workload: Workload, seconds: float) -> None:
        assert to_workload_rule(workload, 2).restart_seconds == seconds

    def test_how_many_pods_it_wants(self) -> None:
        stateful_set = make_workload(statefulSet={"replicas": 5, "template": make_template()})

        assert wanted_replicas(make_workload()) == 2
        assert wanted_replicas(stateful_set) == 5
        assert wanted_replicas(make_job()) == 2
        assert wanted_replicas(make_job(job={"parallelism": 9, "completions": 4})) == 4

    def test_of_a_target_as_many_as_the_target(self) -> None:
        workload = make_workload(targetRef=make_target_ref("api"))
        jobs = make_workload(targetRef=make_target_ref("sweep", "Job"))

        assert wanted_replicas(workload, make_target("api", 7)) == 7
        assert wanted_replicas(jobs, make_target("sweep", 5, "Job", completions=3)) == 3
        assert wanted_replicas(jobs, make_target("sweep", 5, "Job")) == 5
        assert wanted_replicas(workload) == 0


class TestBelonging:
    def test_a_pod_belongs_by_label_or_by_its_owner(self) -> None:
        targets = targets_of([make_workload("front", targetRef=make_target_ref("api")), make_workload("web")])

        assert targets == {("shop", "Deployment/api"): "shop/front"}
        assert workload_of(make_pod(workload="web"), targets) == "shop/web"
        assert workload_of(make_pod(workload=None, owner="Deployment/api"), targets) == "shop/front"
        assert workload_of(make_pod(workload=None, owner="StatefulSet/api"), targets) is None
        assert workload_of(make_pod(workload=None), targets) is None
        elsewhere = replace(make_pod(workload=None, owner="Deployment/api"), namespace="other")
        assert workload_of(elsewhere, targets) is None

    def test_of_two_workloads_with_one_target_the_first_by_name_has_it(self) -> None:
        both = [make_workload(name, targetRef=make_target_ref("api")) for name in ("zeta", "alpha")]

        assert targets_of(both) == {("shop", "Deployment/api"): "shop/alpha"}
