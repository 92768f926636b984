"""The Workload controller against a real API server, with Kubernetes' own controllers and scheduler at work."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from api.cases import manifest, pods
from localcluster.cluster import Cluster
from spotkube.api.workload import Workload
from spotkube.cluster.client import KubeClient
from spotkube.cluster.events import EventRecorder
from spotkube.cluster.resources import (
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    WORKLOADS,
    Resource,
)
from spotkube.controllers.workloads import WorkloadController, WorkloadView
from spotkube.convert.pods import to_pod
from spotkube.convert.workloads import to_budget, to_source
from spotkube.model import labels as keys
from support import fake_node

Object = dict[str, Any]
TIMEOUT_SECONDS = 90.0
"""The garbage collector learns of new CRDs only every 30 s."""
SOURCES = (JOBS, DEPLOYMENTS, STATEFULSETS)


class Writes:
    """A `KubeClient` that keeps a list of what was written."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def patch(self, resource: Resource, name: str, body: Object, **how: Any) -> Object:
        self.calls.append(f"patch {resource.plural}/{name}")
        return await self._client.patch(resource, name, body, **how)

    async def delete(self, resource: Resource, name: str, **how: Any) -> Object | None:
        self.calls.append(f"delete {resource.plural}/{name}")
        return await self._client.delete(resource, name, **how)


class Operator:
    """Runs the controller over one namespace, each cycle on a fresh list of everything."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.writes = Writes(client)
        self._recorder = EventRecorder(client, "test")
        self._controller = WorkloadController(self.writes, self._recorder)

    async def cycle(self) -> list[str]:
        """One cycle; what it wrote."""
        self.writes.calls.clear()
        sources = [to_source(raw) for resource in SOURCES for raw in await self.list(resource)]
        budgets = [to_budget(raw) for raw in await self.list(PODDISRUPTIONBUDGETS)]
        view = WorkloadView(
            now=time.time(),
            workloads=[Workload.from_dict(raw) for raw in await self.list(WORKLOADS)],
            sources={source.key: source for source in sources},
            budgets={(budget.namespace, budget.name): budget for budget in budgets},
            pods=[pod for raw in await self.list(PODS) if (pod := to_pod(raw)) is not None],
        )
        await self._controller.reconcile(view)
        await self._recorder.flush()
        return list(self.writes.calls)

    async def list(self, resource: Resource) -> list[Object]:
        return (await self.client.list(resource, self.namespace))[0]

    async def get(self, resource: Resource, name: str) -> Object:
        found = await self.client.get(resource, name, self.namespace)
        assert found is not None, f"there is no {resource.kind} {name}"
        return found

    async def create(self, name: str, spec: Object) -> None:
        await self.client.create(WORKLOADS, manifest("Workload", spec, name), self.namespace)

    async def change(self, name: str, spec: Object) -> None:
        await self.client.patch(WORKLOADS, name, {"spec": spec}, namespace=self.namespace)

    async def ready(self, name: str) -> tuple[str, str, str]:
        status = (await self.get(WORKLOADS, name))["status"]
        ready = next(condition for condition in status["conditions"] if condition["type"] == "Ready")
        return ready["status"], ready["reason"], ready["message"]

    async def until(self, holds: Callable[[], Awaitable[Any]]) -> Any:
        """Cycles until it holds; what it then is."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            await self.cycle()
            if answer := await holds():
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {TIMEOUT_SECONDS} s: {json.dumps(await self.list(WORKLOADS))}")
            await asyncio.sleep(0.1)

    async def until_quiet(self) -> None:
        """Until two cycles in a row write nothing."""

        async def is_quiet() -> bool:
            await asyncio.sleep(0.2)
            return not await self.cycle()

        await self.until(is_quiet)


@pytest_asyncio.fixture
async def operator(cluster: Cluster, crds: None, namespace: str) -> AsyncIterator[Operator]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield Operator(client, namespace)


@pytest.fixture
def node(cluster: Cluster, namespace: str, fake_nodes: None) -> Iterator[Callable[..., str]]:
    """Makes nodes that only this test's pods select."""
    made: list[str] = []

    def make(capacity_type: str) -> str:
        name = f"{capacity_type}-{namespace}"
        labels = {"test": namespace, keys.CAPACITY_TYPE: capacity_type}
        cluster.kubectl("create", "-f", "-", input=json.dumps(fake_node(name, labels=labels)))
        made.append(name)
        cluster.kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=20s")
        return name

    yield make
    for name in made:
        cluster.kubectl("delete", "node", name, "--ignore-not-found")


class TestChildren:
    async def test_each_kind_is_accepted_and_then_left_in_peace(self, operator: Operator) -> None:
        volume = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        zone = {"key": keys.ZONE, "operator": "In", "values": ["us-east-1a"]}
        affinity = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [zone]}, {"matchExpressions": [zone]}]
                }
            }
        }
        rules: Object = {"spot": {"never": True}, "placement": "Pinned"}
        services: Object = {**rules, "minAvailable": "50%"}
        await operator.create("web", {"deployment": {"replicas": 2, "template": pods(affinity=affinity)}, **services})
        await operator.create(
            "db",
            {"statefulSet": {"replicas": 2, "volumeClaimTemplates": [volume], "template": pods()}, **services},
        )
        await operator.create("crunch", {"job": {"completions": 2, "template": pods(restartPolicy="Never")}, **rules})
        await operator.create("sweep", {"job": {"template": pods(restartPolicy="OnFailure")}, **rules})

        await operator.until_quiet()

        workloads = {raw["metadata"]["name"]: raw for raw in await operator.list(WORKLOADS)}
        for resource, name in ((DEPLOYMENTS, "web"), (STATEFULSETS, "db"), (JOBS, "crunch"), (JOBS, "sweep")):
            child = await operator.get(resource, name)
            template = child["spec"]["template"]
            assert child["metadata"]["ownerReferences"][0]["uid"] == workloads[name]["metadata"]["uid"]
            assert template["metadata"]["labels"][keys.WORKLOAD] == name
            assert template["spec"]["schedulingGates"] == [{"name": keys.PLACEMENT_GATE}]
            assert workloads[name]["status"]["source"] == f"{resource.kind}/{name}"
        born = [pod for pod in await operator.list(PODS) if pod["metadata"]["labels"][keys.WORKLOAD] == "web"]
        assert len(born) == 2
        assert workloads["web"]["status"]["waitingFor"].startswith("2 pods: held by our scheduling gate")

    async def test_the_status_is_a_subresource_and_what_kubectl_shows(
        self, operator: Operator, cluster: Cluster
    ) -> None:
        await operator.create("web", {"deployment": {"replicas": 2, "template": pods(nodeSelector={"no": "where"})}})

        await operator.until_quiet()

        workload = await operator.get(WORKLOADS, "web")
        assert workload["metadata"]["generation"] == workload["status"]["observedGeneration"] == 1
        shown = cluster.kubectl("-n", operator.namespace, "get", "workloads.spotkube.io", "web", "--no-headers")
        assert shown.split()[:4] == ["web", "Deployment/web", "0", "2"]
        assert "kube-scheduler finds no node with room" in shown

    async def test_a_change_rolls_over_and_what_is_removed_goes(self, operator: Operator) -> None:
        template = pods(terminationGracePeriodSeconds=1)
        container = template["spec"]["containers"][0]
        container["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        await operator.create("web", {"deployment": {"replicas": 1, "template": template}})
        await operator.until_quiet()
        container["env"] = [{"name": "B", "value": "3"}]
        await operator.change("web", {"deployment": {"replicas": 2, "template": template}})

        await operator.until_quiet()

        spec = (await operator.get(DEPLOYMENTS, "web"))["spec"]
        assert spec["replicas"] == 2
        assert spec["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "3"}]
        assert len(await operator.list(REPLICASETS)) == 2
        assert (await operator.get(WORKLOADS, "web"))["status"]["observedGeneration"] == 2

    async def test_an_edit_is_taken_back_but_not_an_autoscaler(self, operator: Operator, cluster: Cluster) -> None:
        await operator.create("web", {"deployment": {"replicas": 1, "template": pods()}})
        await operator.until_quiet()
        cluster.kubectl("-n", operator.namespace, "scale", "deployment/web", "--replicas=3")
        await operator.until_quiet()
        assert (await operator.get(DEPLOYMENTS, "web"))["spec"]["replicas"] == 3
        cluster.kubectl("-n", operator.namespace, "set", "image", "deployment/web", "main=evil")

        await operator.until_quiet()

        template = (await operator.get(DEPLOYMENTS, "web"))["spec"]["template"]
        assert template["spec"]["containers"][0]["image"] == "busybox"

    async def test_a_jobs_parallelism_follows(self, operator: Operator) -> None:
        job = {"completions": 9, "parallelism": 1, "template": pods(restartPolicy="Never")}
        await operator.create("crunch", {"job": job})
        await operator.until_quiet()
        await operator.change("crunch", {"job": {"parallelism": 3, "backoffLimit": 2}})

        await operator.until_quiet()

        spec = (await operator.get(JOBS, "crunch"))["spec"]
        assert (spec["parallelism"], spec["backoffLimit"], len(await operator.list(PODS))) == (3, 2, 3)

    async def test_children_go_with_their_workload(self, operator: Operator) -> None:
        await operator.create("web", {"deployment": {"template": pods()}, "minAvailable": 1})
        await operator.until_quiet()
        await operator.client.delete(WORKLOADS, "web", namespace=operator.namespace)

        async def all_gone() -> bool:
            return not await operator.list(DEPLOYMENTS) and not await operator.list(PODDISRUPTIONBUDGETS)

        await operator.until(all_gone)


class TestRoles:
    async def test_when_one_has_failed_the_others_are_ended(self, operator: Operator) -> None:
        template = pods(restartPolicy="Never", terminationGracePeriodSeconds=1, nodeSelector={"no": "where"})
        workers = {"completions": 2, "parallelism": 2, "template": template}
        roles = [
            {"name": "leader", "job": {"backoffLimit": 0, "template": template}},
            {"name": "workers", "job": workers},
        ]
        await operator.create("train", {"roles": roles})

        async def born() -> list[str]:
            names = sorted(pod["metadata"]["name"] for pod in await operator.list(PODS))
            return names if len(names) == 3 else []

        leader, *_ = await operator.until(born)
        failed = {"status": {"phase": "Failed"}}
        await operator.client.patch(PODS, leader, failed, namespace=operator.namespace, subresource="status")

        async def over() -> bool:
            left = [pod["metadata"]["name"] for pod in await operator.list(PODS)]
            return left == [leader] and (await operator.ready("train"))[1] == "JobFailed"

        await operator.until(over)
        await operator.until_quiet()

        assert (await operator.ready("train"))[2].startswith("role leader has failed, so the others are ended: ")
        ended = await operator.get(JOBS, "train-workers")
        assert ended["spec"]["suspend"] and not ended["status"].get("active")
        told = [event for event in await operator.list(EVENTS) if event["reason"] == "RoleFailed"]
        assert [event["regarding"]["name"] for event in told] == ["train"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "template", "says"),
        [
            ("no-image", {"spec": {"containers": [{"name": "main"}]}}, "image: Required value"),
            ("misspelt", {"spec": {"containers": [{"name": "main", "image": "i", "imagePolicy": "x"}]}}, "imagePolicy"),
            ("wrong-type", {"spec": {"containers": [{"name": "main", "image": 7}]}}, "image"),
        ],
    )
    async def test_a_broken_template_is_told_in_the_servers_words(
        self, operator: Operator, name: str, template: Object, says: str
    ) -> None:
        await operator.create(name, {"deployment": {"template": template}})
        await operator.create(f"{name}-job", {"job": {"template": _never_restarting(template)}})
        await operator.create("fine", {"deployment": {"template": pods()}})

        await operator.until_quiet()

        for kind, workload in (("Deployment", name), ("Job", f"{name}-job")):
            status, reason, message = await operator.ready(workload)
            assert (status, reason) == ("False", "ChildRefused")
            assert message.startswith(f"{kind}/{workload} was refused: ")
            assert says in message
            events = [e for e in await operator.list(EVENTS) if e["regarding"]["name"] == workload]
            assert [(e["type"], e["reason"], e["note"]) for e in events] == [("Warning", "ChildRefused", message)]
        assert (await operator.get(DEPLOYMENTS, "fine"))["metadata"]["name"] == "fine"

    async def test_a_mended_template_is_taken_at_once(self, operator: Operator) -> None:
        await operator.create("web", {"deployment": {"template": {"spec": {"containers": [{"name": "main"}]}}}})
        await operator.until_quiet()
        await operator.change("web", {"deployment": {"template": pods()}})

        await operator.cycle()

        assert (await operator.ready("web"))[1] == "PodsNotReady"

    async def test_a_deployment_of_somebody_else_stays_as_it_is(self, operator: Operator, cluster: Cluster) -> None:
        cluster.kubectl("-n", operator.namespace, "create", "deployment", "web", "--image=theirs")
        await operator.create("web", {"deployment": {"template": pods()}})

        await operator.until_quiet()

        assert (await operator.ready("web"))[1] == "NameTaken"
        theirs = await operator.get(DEPLOYMENTS, "web")
        assert "ownerReferences" not in theirs["metadata"]
        assert theirs["spec"]["template"]["spec"]["containers"][0]["image"] == "theirs"


class TestBudget:
    async def test_it_covers_the_pods_follows_and_goes(self, operator: Operator) -> None:
        await operator.create("web", {"deployment": {"replicas": 3, "template": pods()}, "minAvailable": 2})

        async def covers_all() -> Any:  # the controller counts pods as they come
            budgets = await operator.list(PODDISRUPTIONBUDGETS)
            return budgets and budgets[0].get("status", {}).get("expectedPods") == 3

        assert await operator.until(covers_all)
        await operator.change("web", {"minAvailable": "50%"})
        await operator.until_quiet()
        assert (await operator.get(PODDISRUPTIONBUDGETS, "web"))["spec"]["minAvailable"] == "50%"
        await operator.change("web", {"minAvailable": None})
        await operator.until_quiet()
        assert await operator.list(PODDISRUPTIONBUDGETS) == []


class TestTargets:
    async def test_a_target_is_followed_and_not_touched(self, operator: Operator, cluster: Cluster) -> None:
        ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
        await operator.create("front", {"targetRef": ref, "minAvailable": 1})
        await operator.until_quiet()
        assert await operator.ready("front") == (
            "False",
            "TargetNotFound",
            "targetRef Deployment/shop does not exist: create it or delete this Workload",
        )
        cluster.kubectl("-n", operator.namespace, "create", "deployment", "shop", "--image=theirs", "--replicas=2")

        await operator.until_quiet()

        status = (await operator.get(WORKLOADS, "front"))["status"]
        assert (status["source"], status["replicas"]) == ("Deployment/shop", 2)
        assert status["waitingFor"].startswith("2 pods: ")
        target = await operator.get(DEPLOYMENTS, "shop")
        assert {entry["manager"] for entry in target["metadata"]["managedFields"]} == {
            "kubectl-create",
            "kube-controller-manager",
        }
        budget = await operator.get(PODDISRUPTIONBUDGETS, "front")
        assert budget["spec"]["selector"] == {"matchLabels": {"app": "shop"}}


class TestPromises:
    async def test_the_scheduler_itself_keeps_never_off_spot(
        self, operator: Operator, node: Callable[..., str]
    ) -> None:
        select = pods(nodeSelector={"test": operator.namespace})
        node("spot")
        await operator.create("picky", {"deployment": {"template": select}, "spot": {"never": True}})
        await operator.create("easy", {"deployment": {"template": select}})

        async def placed(name: str) -> int:
            return int((await operator.get(WORKLOADS, name)).get("status", {}).get("nodes", 0))

        await operator.until(lambda: placed("easy"))
        await operator.until_quiet()
        assert await placed("picky") == 0
        on_demand = node("on-demand")

        await operator.until(lambda: placed("picky"))

        names = {pod["metadata"]["labels"][keys.WORKLOAD]: pod["spec"]["nodeName"] for pod in await operator.list(PODS)}
        assert names["picky"] == on_demand

    async def test_an_eviction_is_not_a_jobs_failure(self, operator: Operator, node: Callable[..., str]) -> None:
        node("spot")
        template = pods(
            restartPolicy="Never", nodeSelector={"test": operator.namespace}, terminationGracePeriodSeconds=1
        )
        template["metadata"] = {"annotations": {"spotkube.io/run-seconds": "600"}}
        await operator.create("crunch", {"job": {"backoffLimit": 0, "template": template}, "placement": "Scheduler"})

        async def running() -> list[str]:
            found = await operator.list(PODS)
            return [p["metadata"]["uid"] for p in found if p["status"]["phase"] == "Running"]

        first = (await operator.until(running))[0]
        name = (await operator.list(PODS))[0]["metadata"]["name"]
        assert await operator.client.evict(operator.namespace, name, uid=first)

        async def another() -> bool:
            return any(uid != first for uid in await running())

        await operator.until(another)
        status = (await operator.get(JOBS, "crunch"))["status"]
        assert not [c for c in status.get("conditions") or () if c["type"] in ("Failed", "FailureTarget")]


def _never_restarting(template: Object) -> Object:
    return {"spec": {**template["spec"], "restartPolicy": "Never"}}
