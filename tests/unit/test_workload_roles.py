"""A Workload of several roles: a Job for each, one gang in a queue, one status."""

from __future__ import annotations

from spotkube.cluster.errors import Conflict
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


def fail(server: FakeServer, key: tuple[str, str, str], message: str = "too many failures") -> None:
    failed = {"type": "Failed", "status": "True", "message": message}
    server.objects[key]["status"] = {"conditions": [failed]}


def complete(server: FakeServer, key: tuple[str, str, str], succeeded: int) -> None:
    server.objects[key]["status"] = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": succeeded}


class TestOneFails:
    """For good: its Job says so."""

    WORDS = "role leader has failed, so the others are ended: Job/train-leader: too many failures"

    async def test_the_others_are_ended_and_the_workload_has_failed(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        fail(server, LEADER)
        server.objects[WORKERS]["status"] = {"active": 2}
        server.calls.clear()

        await controller.reconcile(server.view())

        assert server.writes == ["merge jobs/train-workers", "merge workloads/train/status"]
        assert server.objects[WORKERS]["spec"]["suspend"] is True
        assert server.ready("train") == ("False", "JobFailed", self.WORDS)
        assert [event for event in server.events if event[1] == "RoleFailed"] == [("train", "RoleFailed", self.WORDS)]

    async def test_once(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        fail(server, LEADER)
        for active in (2, 1, 0):
            server.objects[WORKERS]["status"] = {"active": active}
            await controller.reconcile(server.view())
        server.calls.clear()

        await WorkloadController(server, server).reconcile(server.view())

        assert server.calls == []
        assert len([event for event in server.events if event[1] == "RoleFailed"]) == 1

    async def test_its_queue_does_not_let_them_go_again(self) -> None:
        server, controller = play()
        server.put(make_roles(queueName="batch"))
        await controller.reconcile(server.view())
        server.objects[LEADER]["spec"]["suspend"] = False
        fail(server, LEADER)
        assert server.objects[WORKERS]["metadata"]["annotations"][keys.HELD_BY_QUEUE] == "true"

        await controller.reconcile(server.view())

        assert server.objects[WORKERS]["spec"]["suspend"] is True
        assert keys.HELD_BY_QUEUE not in server.objects[WORKERS]["metadata"]["annotations"]
        assert server.ready("train")[1] == "JobFailed"

    async def test_a_role_that_is_done_is_left_alone(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        complete(server, WORKERS, 4)
        await controller.reconcile(server.view())
        assert server.ready("train")[1] == "PodsNotReady", "to be done is no failure"
        fail(server, LEADER)
        server.calls.clear()

        await controller.reconcile(server.view())

        assert server.writes == ["merge workloads/train/status"]
        assert server.ready("train")[:2] == ("False", "JobFailed")

    async def test_one_that_is_missing_is_not_made(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        fail(server, LEADER)
        del server.objects[WORKERS]

        await controller.reconcile(server.view())

        assert WORKERS not in server.objects
        assert server.ready("train")[1] == "JobFailed"

    async def test_what_can_not_be_ended_now_is_ended_later(self) -> None:
        server, controller = play()
        server.put(make_roles())
        await controller.reconcile(server.view())
        fail(server, LEADER)
        server.refuse["jobs/train-workers"] = Conflict(409, "Conflict", "somebody was quicker")
        await controller.reconcile(server.view())
        assert server.ready("train") == ("False", "RoleFailed", self.WORDS)
        server.refuse.clear()

        await controller.reconcile(server.view())

        assert server.objects[WORKERS]["spec"]["suspend"] is True
        assert server.ready("train")[1] == "JobFailed"
        assert len([event for event in server.events if event[1] == "RoleFailed"]) == 1
