"""A Workload of several roles: a Job for each, one gang in a queue, one status."""

from __future__ import annotations

from spotkube.cluster.resources import JOBS
from spotkube.controllers.workloads import WorkloadController, desired_child
from spotkube.convert.workloads import to_workload_rule, wanted_replicas
from spotkube.model import labels as keys
from unit.test_workload_controller import FakeServer
from unit.workload_builders import make_roles

LEADER, WORKERS = (JOBS.name, "shop", "train-leader"), (JOBS.name, "shop", "train-workers")


def play() -> tuple[FakeServer, WorkloadController]:
    server = FakeServer()
    return server, WorkloadController(server, server)


class TestChildren:
    def test_in_a_queue_they_are_one_group(self) -> None:
        workload = make_roles(queueName="batch", expectedRunTime="10m", checkpointInterval="1m")
        leader, workers = (desired_child(workload, role) or {} for role in workload.spec.roles)

        assert (leader["metadata"]["name"], workers["metadata"]["name"]) == ("train-leader", "train-workers")
        for child in (leader, workers):
            assert child["spec"]["suspend"] is True
            assert child["metadata"]["labels"][keys.POD_GROUP_NAME] == "train"
            assert child["metadata"]["annotations"][keys.POD_GROUP_SIZE] == "3"
            assert child["metadata"]["annotations"][keys.CHECKPOINT_INTERVAL] == "1m"
            assert child["spec"]["template"]["metadata"]["labels"][keys.WORKLOAD] == "train"
        assert leader["metadata"]["annotations"][keys.EXPECTED_RUN_TIME] == "10m"
        assert workers["metadata"]["annotations"][keys.EXPECTED_RUN_TIME] == "1200s"

    def test_without_a_queue_they_just_run(self) -> None:
        workload = make_roles()
        child = desired_child(workload, workload.spec.roles[0]) or {}

        assert "suspend" not in child["spec"]
        assert keys.POD_GROUP_NAME not in child["metadata"]["labels"]

    def test_rules_of_spot_count_the_pods_of_all_roles(self) -> None:
        workload = make_roles(spot={"spotFraction": 0.5})
        assert to_workload_rule(workload, wanted_replicas(workload)).replicas == 3


class TestReconciling:
    async def test_a_job_is_made_for_each_role_once(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        assert server.writes == ["apply jobs/train-leader", "apply jobs/train-workers", "merge workloads/train/status"]
        await controller.reconcile(server.view())
        server.calls.clear()

        await controller.reconcile(server.view())

        assert server.calls == []
        assert server.status("train")["source"] == "Roles/leader,workers"
        assert server.status("train")["replicas"] == 3

    async def test_it_is_ready_when_all_jobs_are_done(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        done = {"conditions": [{"type": "Complete", "status": "True"}]}
        server.objects[LEADER]["status"] = done | {"succeeded": 1}
        await controller.reconcile(server.view())
        assert server.ready("train")[:2] == ("False", "PodsNotReady")

        server.objects[WORKERS]["status"] = done | {"succeeded": 4}
        await controller.reconcile(server.view())

        assert server.ready("train")[:2] == ("True", "JobComplete")
        assert server.status("train")["readyReplicas"] == 5

    async def test_one_that_fails_is_told_while_others_run(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        failed = {"type": "Failed", "status": "True", "message": "too many failures"}
        server.objects[LEADER]["status"] = {"conditions": [failed]}

        await controller.reconcile(server.view())

        assert server.ready("train") == ("False", "RoleFailed", "Job/train-leader has failed: too many failures")
