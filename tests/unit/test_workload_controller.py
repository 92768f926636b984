"""The controller writes what differs, and nothing else; one Workload's trouble is nobody else's."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fake_kube import merged
from spotkube.api.workload import Workload
from spotkube.cluster.client import PatchKind
from spotkube.cluster.errors import ApiError, Forbidden, Invalid, Unavailable
from spotkube.cluster.events import ObjectRef
from spotkube.cluster.resources import DEPLOYMENTS, JOBS, PODDISRUPTIONBUDGETS, WORKLOADS, Resource
from spotkube.controllers.queues.standing import Standing
from spotkube.controllers.workloads import WorkloadController, WorkloadView
from spotkube.controllers.workloads.reconcile import status_patch
from spotkube.controllers.workloads.refusals import RETRY_SECONDS
from spotkube.controllers.workloads.waiting import Outlook
from spotkube.convert.workloads import to_budget, to_source
from spotkube.model import labels as keys
from spotkube.model.labels import APPLIED
from spotkube.model.pods import Pod
from unit.workload_builders import (
    NOW,
    make_job,
    make_pod,
    make_target,
    make_target_ref,
    make_template,
    make_workload,
)

Object = dict[str, Any]
Key = tuple[str, str | None, str]


@dataclass
class FakeServer:
    """Stores what is written as an API server does, as far as the controller can tell. `refuse` raises instead."""

    objects: dict[Key, Object] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuse: dict[str, ApiError] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    _uids: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("get ")]

    def put(self, workload: Workload) -> Workload:
        key = (WORKLOADS.name, workload.metadata.namespace, workload.name)
        status = self.objects.get(key, {}).get("status", {})
        self.objects[key] = {**workload.to_dict(), "status": status}
        return workload

    def merge(self, resource: Resource, name: str, patch: Object) -> None:
        self.objects[resource.name, "shop", name] = merged(self.objects[resource.name, "shop", name], patch)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        self.calls.append(f"get {resource.plural}/{name}")
        return copy.deepcopy(self.objects.get((resource.name, namespace, name)))

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Object,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        kind: PatchKind = "merge",
    ) -> Object:
        path = "/".join(part for part in (resource.plural, name, subresource) if part)
        self.calls.append(f"{kind} {path}")
        if (error := self.refuse.get(path)) is not None:
            raise error
        key = (resource.name, namespace, name)
        old = self.objects.get(key) or {"kind": resource.kind, "metadata": {"uid": f"made-{next(self._uids)}"}}
        assert kind == "apply" or key in self.objects
        self.objects[key] = merged(old, body)
        return copy.deepcopy(self.objects[key])

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
    ) -> Object:
        self.calls.append(f"delete {resource.plural}/{name}")
        gone = self.objects.pop((resource.name, namespace, name))
        assert gone["metadata"]["uid"] == uid
        return gone

    def record(self, ref: ObjectRef, type: str, reason: str, message: str, action: str) -> None:
        self.events.append((ref.name, reason, message))

    def view(self, pods: tuple[Pod, ...] = (), now: float = NOW, **extra: Any) -> WorkloadView:
        """What caches that are up to date would show."""
        raws = list(self.objects.values())
        sources = [to_source(raw) for raw in raws if raw["kind"] in ("Job", "Deployment", "StatefulSet")]
        budgets = [to_budget(raw) for raw in raws if raw["kind"] == "PodDisruptionBudget"]
        return WorkloadView(
            now=now,
            workloads=[Workload.from_dict(raw) for raw in raws if raw["kind"] == "Workload"],
            sources={source.key: source for source in sources} | extra,
            budgets={(budget.namespace, budget.name): budget for budget in budgets},
            pods=pods,
        )

    def status(self, name: str) -> Object:
        status: Object = self.objects[WORKLOADS.name, "shop", name]["status"]
        return status

    def ready(self, name: str) -> tuple[str, str, str]:
        ready = next(c for c in self.status(name)["conditions"] if c["type"] == "Ready")
        return ready["status"], ready["reason"], ready["message"]


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def controller(server: FakeServer) -> WorkloadController:
    return WorkloadController(server, server)


class TestMaking:
    async def test_the_child_is_made_and_told_of(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload())

        await controller.reconcile(server.view())

        assert server.writes == ["apply deployments/web", "merge workloads/web/status"]
        assert server.status("web")["source"] == "Deployment/web"
        assert ("web", "ChildMade", "made Deployment/web") in server.events

    async def test_the_budget_is_made_too(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload(minAvailable="50%"))

        await controller.reconcile(server.view())

        assert "apply poddisruptionbudgets/web" in server.writes

    async def test_a_cache_that_is_late_makes_nothing_twice(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload(minAvailable=1))
        late = server.view()
        await controller.reconcile(late)
        server.calls.clear()

        await controller.reconcile(late)

        assert [call for call in server.writes if "workloads" not in call] == []

    async def test_a_workload_that_is_being_deleted_makes_nothing(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        workload = make_workload()
        deleted = workload.metadata.model_copy(update={"deletion_timestamp": datetime.fromtimestamp(NOW, UTC)})
        server.put(workload.model_copy(update={"metadata": deleted}))

        await controller.reconcile(server.view())

        assert server.calls == []

    async def test_a_deleted_child_is_made_again(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload())
        await controller.reconcile(server.view())
        del server.objects[DEPLOYMENTS.name, "shop", "web"]
        server.calls.clear()

        await controller.reconcile(server.view())

        assert "apply deployments/web" in server.writes

    async def test_an_answer_is_passed_on(self, server: FakeServer) -> None:
        seen: list[str] = []
        controller = WorkloadController(server, server, lambda resource, answer: seen.append(resource.plural))
        server.put(make_workload())

        await controller.reconcile(server.view())

        assert seen == ["deployments", "workloads"]


class TestQuiet:
    async def test_a_thousand_workloads_without_change_cost_no_call(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        for number in range(1000):
            server.put(make_workload(f"web-{number}", minAvailable=1) if number % 2 else make_job(f"job-{number}"))
        pods = tuple(make_pod(f"p-{number}", f"web-{number}", node="n") for number in range(1000))
        await controller.reconcile(server.view(pods))
        await controller.reconcile(server.view(pods))
        server.calls.clear()

        await controller.reconcile(server.view(pods, now=NOW + 3600))

        assert server.calls == []

    async def test_of_thousands_that_wait_for_a_queue_fifty_are_told_a_second(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        for number in range(120):
            server.put(make_job(f"job-{number}", queueName="batch"))
        await controller.reconcile(server.view())
        told = []

        for second in range(1, 4):
            server.calls.clear()
            view = server.view(now=NOW + second)
            queued = {
                one.uid: Standing(one.uid, "batch", "Quota", "too little is left") for one in view.sources.values()
            }
            await controller.reconcile(replace(view, outlook=Outlook(queued=queued)))
            told.append(server.calls.count("merge workloads/job-7/status"))
            told.append(len(server.calls))

        assert told[1::2] == [50, 50, 20]
        assert sum(told[::2]) == 1

    async def test_neither_does_a_restart(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload(minAvailable=1))
        server.put(make_job())
        await controller.reconcile(server.view())
        server.calls.clear()

        await WorkloadController(server, server).reconcile(server.view(now=NOW + 60))

        assert server.calls == []

    async def test_nor_does_what_is_wrong_and_stays_wrong(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload("lost", targetRef=make_target_ref("api")))
        server.put(make_workload("broken"))
        server.refuse["deployments/broken"] = Invalid(422, "Invalid", "image: Required value")
        await controller.reconcile(server.view())
        server.calls.clear()

        await controller.reconcile(server.view(now=NOW + 1))

        assert server.calls == []


class TestUpdates:
    async def test_a_change_is_applied_once(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload())
        await controller.reconcile(server.view())
        server.put(make_workload(generation=2, deployment={"replicas": 5, "template": make_template()}))
        server.calls.clear()

        await controller.reconcile(server.view())
        await controller.reconcile(server.view())

        assert server.writes == ["apply deployments/web", "merge workloads/web/status"]
        assert server.objects[DEPLOYMENTS.name, "shop", "web"]["spec"]["replicas"] == 5
        assert server.status("web")["observedGeneration"] == 2

    async def test_an_edit_by_somebody_else_is_taken_back(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload())
        await controller.reconcile(server.view())
        server.merge(DEPLOYMENTS, "web", {"spec": {"template": {"spec": {"containers": []}}}})
        server.calls.clear()

        await controller.reconcile(server.view())
        await controller.reconcile(server.view())

        assert server.writes == ["apply deployments/web"]
        assert server.objects[DEPLOYMENTS.name, "shop", "web"]["spec"]["template"]["spec"]["containers"]

    async def test_an_autoscaler_is_left_alone(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload())
        await controller.reconcile(server.view())
        server.merge(DEPLOYMENTS, "web", {"spec": {"replicas": 9}})
        server.calls.clear()

        await controller.reconcile(server.view())

        assert server.calls == []

    async def test_of_a_job_only_what_may_change_is_patched(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_job())
        await controller.reconcile(server.view())
        server.put(make_job(generation=2, job={"parallelism": 3, "backoffLimit": 9}))
        server.calls.clear()

        await controller.reconcile(server.view())
        await controller.reconcile(server.view())

        assert server.writes == ["merge jobs/crunch", "merge workloads/crunch/status"]
        spec = server.objects[JOBS.name, "shop", "crunch"]["spec"]
        assert (spec["parallelism"], spec["backoffLimit"]) == (3, 9)
        assert server.events[1:] == []

    async def test_the_parallelism_of_a_job_that_its_queue_divided_is_noted_beside_its_width(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        queued = {"queueName": "batch", "minParallelism": 1}
        server.put(make_job(**queued))
        await controller.reconcile(server.view())
        server.merge(
            JOBS,
            "crunch",
            {"metadata": {"annotations": {keys.PARALLELISM: "2"}}, "spec": {"suspend": False, "parallelism": 1}},
        )
        await controller.reconcile(server.view())
        assert server.objects[JOBS.name, "shop", "crunch"]["spec"]["parallelism"] == 1

        server.put(make_job(generation=2, job={"parallelism": 3}, **queued))
        await controller.reconcile(server.view())

        job = server.objects[JOBS.name, "shop", "crunch"]
        assert (job["spec"]["parallelism"], job["metadata"]["annotations"][keys.PARALLELISM]) == (1, "3")

    async def test_what_does_not_reach_a_job_any_more_is_told(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_job())
        await controller.reconcile(server.view())
        server.put(make_job(generation=2, spot={"never": True}))
        server.calls.clear()

        await controller.reconcile(server.view())

        assert not any("jobs" in call for call in server.calls)
        assert server.events[-1][1] == "JobIsFixed"

    async def test_a_budget_follows_and_goes(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload(minAvailable=1))
        await controller.reconcile(server.view())
        server.put(make_workload(generation=2, minAvailable=2))
        await controller.reconcile(server.view())
        assert server.objects[PODDISRUPTIONBUDGETS.name, "shop", "web"]["spec"]["minAvailable"] == 2
        server.put(make_workload(generation=3))

        await controller.reconcile(server.view())

        assert "delete poddisruptionbudgets/web" in server.writes
        assert (PODDISRUPTIONBUDGETS.name, "shop", "web") not in server.objects


class TestFinishedJobs:
    async def test_a_job_that_has_ended_is_not_run_again_when_somebody_deletes_it(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_job())
        await controller.reconcile(server.view())
        server.merge(
            JOBS, "crunch", {"status": {"succeeded": 4, "conditions": [{"type": "Complete", "status": "True"}]}}
        )
        await controller.reconcile(server.view())
        del server.objects[JOBS.name, "shop", "crunch"]
        server.calls.clear()

        await controller.reconcile(server.view())

        assert server.calls == []
        assert server.ready("crunch")[:2] == ("True", "JobComplete")

    async def test_a_job_that_was_deleted_before_is_run_again(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_job())
        await controller.reconcile(server.view())
        del server.objects[JOBS.name, "shop", "crunch"]
        server.calls.clear()

        await controller.reconcile(server.view())

        assert "apply jobs/crunch" in server.writes


class TestWhatIsNotOurs:
    async def test_an_object_of_the_name_is_not_touched(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload(minAvailable=1))
        for resource in (DEPLOYMENTS, PODDISRUPTIONBUDGETS):
            metadata = {"name": "web", "namespace": "shop", "uid": "theirs", "annotations": {APPLIED: "x"}}
            server.objects[resource.name, "shop", "web"] = {"kind": resource.kind, "metadata": metadata, "spec": {}}

        await controller.reconcile(server.view())

        assert server.writes == ["merge workloads/web/status"]
        status, reason, message = server.ready("web")
        assert (status, reason) == ("False", "NameTaken")
        assert message.startswith("Deployment/web exists already and is not this Workload's: use a targetRef to it")

    async def test_not_even_when_the_cache_does_not_know_it(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload())
        before = server.view()
        metadata = {"name": "web", "namespace": "shop", "uid": "theirs"}
        server.objects[DEPLOYMENTS.name, "shop", "web"] = {"kind": "Deployment", "metadata": metadata, "spec": {}}

        await controller.reconcile(before)

        assert "apply deployments/web" not in server.calls
        assert server.ready("web")[1] == "NameTaken"

    async def test_the_child_of_a_predecessor_is_waited_for(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload(uid="first"))
        await controller.reconcile(server.view())
        server.put(make_workload(uid="second"))
        server.calls.clear()

        await controller.reconcile(server.view())

        assert "apply deployments/web" not in server.calls
        assert server.ready("web")[1] == "PredecessorLeaves"
        del server.objects[DEPLOYMENTS.name, "shop", "web"]
        await controller.reconcile(server.view())
        assert server.ready("web")[1] == "PodsNotReady"

    async def test_a_budget_of_that_name_is_told_but_holds_no_pods(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload(minAvailable=1))
        metadata = {"name": "web", "namespace": "shop", "uid": "theirs"}
        server.objects[PODDISRUPTIONBUDGETS.name, "shop", "web"] = {
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {},
        }

        await controller.reconcile(server.view())

        assert "apply deployments/web" in server.writes
        assert "apply poddisruptionbudgets/web" not in server.writes
        assert server.ready("web")[1] == "NameTaken"


class TestTargets:
    async def test_a_target_is_looked_at_and_left_alone(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload("front", targetRef=make_target_ref("api")))
        target = make_target("api", 1)
        pod = make_pod("api-1", None, owner="Deployment/api", node="n", ready=True)
        view = server.view((pod,))

        await controller.reconcile(replace(view, sources={target.key: target}))

        assert server.writes == ["merge workloads/front/status"]
        assert server.status("front")["readyReplicas"] == 1
        assert server.ready("front")[:2] == ("True", "AllReady")

    async def test_a_target_that_is_missing(self, server: FakeServer, controller: WorkloadController) -> None:
        server.put(make_workload("front", targetRef=make_target_ref("api"), minAvailable=1))

        await controller.reconcile(server.view())

        message = "targetRef Deployment/api does not exist: create it or delete this Workload"
        assert server.ready("front") == ("False", "TargetNotFound", message)
        assert server.status("front")["waitingFor"] == message
        assert server.events == [("front", "TargetNotFound", message)]

    async def test_one_target_has_one_workload(self, server: FakeServer, controller: WorkloadController) -> None:
        for name in ("alpha", "beta"):
            server.put(make_workload(name, targetRef=make_target_ref("api")))
        target = make_target("api")

        await controller.reconcile(replace(server.view(), sources={target.key: target}))

        assert server.ready("alpha")[1] == "PodsNotReady"
        assert server.ready("beta")[1:] == (
            "TargetTaken",
            "Deployment/api is the target of Workload shop/alpha already: delete one of the two",
        )

    async def test_what_a_workload_makes_needs_no_second_one(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload("web"))
        await controller.reconcile(server.view())
        server.put(make_workload("again", targetRef=make_target_ref("web")))

        await controller.reconcile(server.view())

        assert server.ready("again")[1:] == (
            "TargetTaken",
            "Deployment/web is made by Workload web already: delete this one",
        )


class TestRefusals:
    async def test_the_servers_words_reach_the_status_and_an_event(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload("broken"))
        server.put(make_workload("fine"))
        server.refuse["deployments/broken"] = Invalid(422, "Invalid", "image: Required value")

        await controller.reconcile(server.view())

        message = "Deployment/broken was refused: image: Required value"
        assert server.ready("broken") == ("False", "ChildRefused", message)
        assert server.status("broken")["waitingFor"] == message
        assert ("broken", "ChildRefused", message) in server.events
        assert "apply deployments/fine" in server.writes

    async def test_it_is_tried_again_after_a_while_or_at_once_after_a_change(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload())
        server.refuse["deployments/web"] = Forbidden(403, "Forbidden", "exceeded quota")

        async def attempts(now: float) -> int:
            server.calls.clear()
            await controller.reconcile(server.view(now=now))
            return server.calls.count("apply deployments/web")

        assert await attempts(NOW) == 1
        assert await attempts(NOW + RETRY_SECONDS - 1) == 0
        assert await attempts(NOW + RETRY_SECONDS) == 1
        server.put(make_workload(generation=2, deployment={"template": make_template()}))
        assert await attempts(NOW + RETRY_SECONDS + 1) == 1
        server.refuse.clear()
        assert await attempts(NOW + 3 * RETRY_SECONDS) == 1
        assert server.ready("web")[1] == "PodsNotReady"

    async def test_an_update_that_is_refused_leaves_the_old_pods_in_place(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        pods = tuple(make_pod(name, node="n", ready=True) for name in "ab")
        server.put(make_workload())
        await controller.reconcile(server.view(pods))
        server.put(make_workload(generation=2, deployment={"replicas": 2, "template": make_template(hostname="_")}))
        server.refuse["deployments/web"] = Invalid(422, "Invalid", "hostname: Invalid value")

        await controller.reconcile(server.view(pods))

        assert server.ready("web")[:2] == ("False", "ChildRefused")
        assert server.status("web")["readyReplicas"] == 2
        assert "waitingFor" not in server.status("web")

    async def test_a_template_that_nothing_can_be_added_to(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload(deployment={"template": make_template(affinity="x")}, spot={"never": True}))

        await controller.reconcile(server.view())

        assert server.writes == ["merge workloads/web/status"]
        assert server.ready("web")[1] == "TemplateInvalid"

    async def test_a_server_that_cannot_be_asked_is_no_ones_fault(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload("unlucky"))
        server.put(make_workload("fine"))
        server.refuse["deployments/unlucky"] = Unavailable(503, "ServiceUnavailable", "etcd has no leader")

        await controller.reconcile(server.view())

        assert server.status("unlucky") == {}
        assert server.status("fine") != {}
        server.refuse.clear()
        await controller.reconcile(server.view())
        assert server.status("unlucky") != {}


class TestStatusPatch:
    def test_it_has_what_differs_and_null_for_what_went(self) -> None:
        old = make_workload(status={"replicas": 2, "readyReplicas": 1, "waitingFor": "a claim"}).status
        new = old.model_copy(update={"ready_replicas": 2, "waiting_for": None})

        assert status_patch(old, new) == {"readyReplicas": 2, "waitingFor": None}
        assert status_patch(old, old) == {}

    async def test_a_reason_that_is_gone_leaves_the_status(
        self, server: FakeServer, controller: WorkloadController
    ) -> None:
        server.put(make_workload())
        await controller.reconcile(server.view())
        assert server.status("web")["waitingFor"] == "2 pods not made yet"

        await controller.reconcile(server.view(tuple(make_pod(name, node="n") for name in "ab")))

        assert "waitingFor" not in server.status("web")
