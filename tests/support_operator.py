"""A site for end-to-end tests: the fake cloud and the operator as processes of their own, and a story on it.

The operator has the rights that the chart gives it. Each story has a NodePool and a namespace of its own; a taint that
only its own pods tolerate keeps stories apart, so that one may still be tidied up while the next one is told.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo.helpers import Helper
from demo.launch import launch_cloud, launch_operator
from localcluster.cluster import Cluster
from spotkube.cluster.client import KubeClient
from spotkube.cluster.resources import (
    CAPACITYPLANS,
    DEPLOYMENTS,
    FAIRQUEUES,
    JOBS,
    NODECLAIMS,
    NODEPOOLS,
    NODES,
    PODDISRUPTIONBUDGETS,
    PODS,
    STATEFULSETS,
    WORKLOADS,
    Resource,
)
from spotkube.model import labels
from spotkube.model.offerings import ON_DEMAND, SPOT
from support import Answer, wait_until

Object = dict[str, Any]

# Generous, since the machine may be busy: nothing here is a measurement.
PATIENCE_SECONDS = 90.0
LOG_LINES = 30
TAINT = "e2e.spotkube.io/story"
PROBE_TAINT = "e2e.spotkube.io/probe"
FAMILIES = ("m6i", "m7i")
# Quick, but not so quick that a busy machine loses its lease by itself.
SETTINGS = {
    "cycle_seconds": 2,
    "batch_idle_seconds": 0.2,
    "batch_max_seconds": 1,
    "planner_budget_seconds": 2,
    "plan_history": 30,
    "notice_margin_seconds": 2,
    "load_balancer_seconds": 0.5,
    "moves_seconds": 4,
    "resting_seconds": 60,
    "lease_duration_seconds": 6,
    "lease_renew_deadline_seconds": 4,
    "lease_retry_seconds": 0.5,
}
# Nodes arrive in any order.
CLOUD_OPTIONS = ("--registration-delay=500ms", "--registration-jitter=1s", "--terminate-delay=200ms")


class Reader:
    """Lists objects as an admin, without starting a kubectl each time."""

    def __init__(self, kubeconfig: Path) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(KubeClient.connect(kubeconfig, qps=1000, burst=1000))

    def list(self, resource: Resource, namespace: str | None = None, selector: str | None = None) -> list[Object]:
        items, _ = self._runner.run(self._client.list(resource, namespace, selector))
        return items

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        return self._runner.run(self._client.get(resource, name, namespace))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@dataclass
class Site:
    """The cloud and the operators; both may be killed and started again, and go on from what they find."""

    cluster: Cluster
    operator_kubeconfig: Path
    namespace: str
    folder: Path
    reader: Reader
    settings: Mapping[str, object] = field(default_factory=dict)
    cloud: Helper | None = None
    cloud_url: str = ""
    operator_cloud_url: str = ""
    """Where operators find the cloud, if not where tests do."""
    cloud_port: int = 0
    operators: list[Helper] = field(default_factory=list)

    def start(self) -> None:
        self.start_cloud()
        self.start_operator()

    def start_cloud(self) -> None:
        """At the same port as before, since the operator does not look for another one."""
        port = (f"--port={self.cloud_port}",) if self.cloud_port else ()
        self.cloud, self.cloud_url = launch_cloud(self.cluster.kubeconfig, self.folder, *CLOUD_OPTIONS, *port)
        self.cloud_port = int(self.cloud_url.rpartition(":")[2])

    def kill_cloud(self) -> None:
        assert self.cloud is not None
        self.cloud.kill()

    def start_operator(self, program: Sequence[str] = ("spotkube",)) -> Helper:
        """One more operator; the first one that gets the lease acts. `program`: see `launch_operator`."""
        config = self.folder / "settings.yaml"
        config.write_text(yaml.safe_dump({**SETTINGS, **self.settings}), encoding="utf-8")
        log = self.folder / f"operator-{len(list(self.folder.glob('operator-*.log')))}.log"
        options = (f"--config={config}",)
        cloud_url = self.operator_cloud_url or self.cloud_url
        operator = launch_operator(self.operator_kubeconfig, self.namespace, cloud_url, log, *options, program=program)
        self.operators.append(operator)
        return operator

    def kill_operators(self) -> None:
        """As a crash or the kernel would: nothing is given back, no lease, no connection."""
        for operator in self.operators:
            operator.kill()
        self.operators.clear()

    def stop_operators(self) -> None:
        for operator in self.operators:
            operator.stop()
        self.operators.clear()

    def stop(self) -> None:
        self.stop_operators()
        if self.cloud is not None:
            self.cloud.stop()

    def check(self) -> None:
        """Raises DemoError, with the end of the log, if a process has ended by itself."""
        for helper in (self.cloud, *self.operators):
            if helper is not None:
                helper.check()

    def log(self, lines: int = LOG_LINES) -> str:
        """The end of the log of each operator that should run."""
        return "\n".join(operator.tail(lines) for operator in self.operators)

    # The fake cloud's own API.

    def call_cloud(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cloud_url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def instances(self) -> list[Object]:
        """All that live."""
        found: list[Object] = self.call_cloud("GET", "/v1/instances")["instances"]
        return [instance for instance in found if instance["state"] != "terminated"]

    def interrupt(self, node: str, notice_seconds: float) -> None:
        [instance] = [each for each in self.instances() if each["name"] == node]
        id_ = instance["provider_id"].rpartition("/")[2]
        self.call_cloud("POST", f"/v1/instances/{id_}/interrupt", {"notice_seconds": notice_seconds})

    def set_capacity(self, limits: Mapping[str, int | None]) -> None:
        """By TYPE/ZONE/CAPACITY; None is no limit."""
        self.call_cloud("PUT", "/v1/capacity", {"limits": dict(limits)})

    def set_faults(self, **faults: object) -> None:
        self.call_cloud("PUT", "/v1/faults", faults)

    def events(self, kind: str, names: Iterable[str] = ()) -> list[Object]:
        """What the cloud logged, oldest first; of machines of these names, or of all."""
        wanted = set(names)
        found: list[Object] = self.call_cloud("GET", "/v1/log")["events"]
        return [each for each in found if each["event"] == kind and (not wanted or each.get("name") in wanted)]


class Story:
    """One test's NodePool, namespace and words for what should come true."""

    def __init__(self, site: Site, namespace: str, part: str = "") -> None:
        """`part` tells stories apart that are told side by side in one namespace."""
        self.site = site
        self.namespace = namespace
        self.title = f"{namespace}{part}"
        self.pool = f"pool-{self.title.partition('-')[2]}"
        self.pools: list[str] = []
        self.patience_seconds = PATIENCE_SECONDS
        self.tolerations = [{"key": TAINT, "value": self.title, "effect": "NoSchedule"}]

    # Making things.

    def apply(self, *bodies: Object) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(bodies)})
        self.site.cluster.kubectl("apply", "--server-side", "-f", "-", input=text)

    def kubectl(self, *args: str) -> str:
        return self.site.cluster.kubectl("-n", self.namespace, *args)

    def make_pool(
        self,
        name: str | None = None,
        *,
        requirements: Iterable[Object] = (),
        after: str | None = None,
        for_probes: bool = False,
        cpu_below: int = 9,
        **spec: Any,
    ) -> str:
        """A NodePool in mode Apply of cheap general-purpose types.

        `after` gives empty nodes back after that time; `for_probes` leaves it to what `settle` asks with; `cpu_below`
        bounds the size of its nodes.
        """
        name = name or self.pool
        gives_back = {"consolidateAfter": after} if after else {"consolidationPolicy": "Never"}
        chosen = [
            {"key": labels.INSTANCE_FAMILY, "operator": "In", "values": list(FAMILIES)},
            {"key": labels.INSTANCE_CPU, "operator": "Lt", "values": [str(cpu_below)]},
            *requirements,
        ]
        taints = [{"key": TAINT, "value": self.title, "effect": "NoSchedule"}]
        taints += [{"key": PROBE_TAINT, "effect": "NoSchedule"}] if for_probes else []
        body = {
            "apiVersion": labels.API_VERSION,
            "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {
                "mode": "Apply",
                "disruption": gives_back,
                "template": {"spec": {"requirements": chosen, "taints": taints}},
                **spec,
            },
        }
        if name not in self.pools:
            self.pools.append(name)
        self.apply(body)
        return name

    def template(self, cpu: str = "500m", memory: str = "512Mi", **metadata: Any) -> Object:
        """A pod template that tolerates the story's taint; further arguments go into its metadata."""
        container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
        spec = {"containers": [container], "tolerations": self.tolerations, "terminationGracePeriodSeconds": 5}
        return {"metadata": metadata, "spec": spec}

    def workload(self, name: str, **spec: Any) -> Object:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": labels.API_VERSION, "kind": "Workload", "metadata": metadata, "spec": spec}

    def service(self, name: str, replicas: int, cpu: str = "500m", memory: str = "512Mi", **spec: Any) -> Object:
        """A Workload with a Deployment of its own."""
        return self.workload(name, deployment={"replicas": replicas, "template": self.template(cpu, memory)}, **spec)

    def deployment(self, name: str, replicas: int, cpu: str = "500m") -> Object:
        """A Deployment that is nobody's: no Workload speaks of it."""
        template = self.template(cpu, labels={"app": name})
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    def job(self, name: str, pods: int, seconds: int, cpu: str = "500m", **spec: Any) -> Object:
        """A Workload with a Job of its own whose pods all run at once, each so long."""
        template = self.template(cpu, annotations={"spotkube.io/run-seconds": f"{seconds}s"})
        template["spec"]["restartPolicy"] = "Never"
        return self.workload(name, job={"completions": pods, "parallelism": pods, "template": template}, **spec)

    # Seeing things.

    def pods(self, name: str | None = None) -> list[Object]:
        """The namespace's pods, or those whose name begins so."""
        found = self.site.reader.list(PODS, self.namespace)
        return [pod for pod in found if name is None or pod["metadata"]["name"].startswith(f"{name}-")]

    def claims(self, pool: str | None = None) -> list[Object]:
        return self.site.reader.list(NODECLAIMS, selector=f"{labels.NODEPOOL}={pool or self.pool}")

    def claim(self, name: str) -> Object | None:
        return self.site.reader.get(NODECLAIMS, name)

    def nodes(self, pool: str | None = None) -> dict[str, Object]:
        found = self.site.reader.list(NODES, selector=f"{labels.NODEPOOL}={pool or self.pool}")
        return {node["metadata"]["name"]: node for node in found}

    def instances(self) -> list[Object]:
        """The pools' instances that live."""
        return [each for each in self.site.instances() if each["tags"].get(labels.NODEPOOL) in self.pools]

    def plans(self, mode: str = "Apply") -> list[Object]:
        """From the oldest to the newest; one that is still being written (made, its status not yet) is left out."""
        found = [plan for plan in self.site.reader.list(CAPACITYPLANS) if plan.get("status")]
        return sorted((p for p in found if p["spec"]["mode"] == mode), key=lambda plan: plan["metadata"]["name"])

    def plan_of(self, claim: Object) -> Object:
        found = self.site.reader.get(CAPACITYPLANS, claim["spec"]["plan"])
        assert found is not None
        return found

    def events_about(self, name: str) -> set[str]:
        """The reasons of the Kubernetes Events on a cluster-wide object."""
        shown = self.site.cluster.kubectl(
            "get", "events", "-A", f"--field-selector=involvedObject.name={name}", "-o", "jsonpath={.items[*].reason}"
        )
        return set(shown.split())

    def pool_exists(self, pool: str) -> bool:
        return self.site.reader.get(NODEPOOLS, pool) is not None

    def status(self, workload: str) -> Object:
        found = self.site.reader.get(WORKLOADS, workload, self.namespace)
        return (found or {}).get("status") or {}

    def pool_status(self, pool: str | None = None) -> Object:
        found = self.site.reader.get(NODEPOOLS, pool or self.pool)
        return (found or {}).get("status") or {}

    def budget(self, name: str) -> Object:
        return (self.site.reader.get(PODDISRUPTIONBUDGETS, name, self.namespace) or {}).get("status") or {}

    # Waiting for things.

    def wait(self, condition: Callable[[], Answer | None], what: str, timeout: float | None = None) -> Answer:
        def checked() -> Answer | None:
            self.site.check()
            return condition()

        seconds = timeout or self.patience_seconds
        return wait_until(checked, seconds, lambda: f"{what}\n{self.describe()}\n{self.site.log()}")

    def wait_running(self, count: int, name: str | None = None) -> list[Object]:
        """The pods, once so many of them run (and no other lives beside them)."""

        def running() -> list[Object]:
            alive = [pod for pod in self.pods(name) if pod["status"]["phase"] not in ("Succeeded", "Failed")]
            return alive if len(alive) == count and all(map(is_running, alive)) else []

        return self.wait(running, f"{count} pods of {name or 'all'} to run")

    def wait_ready_claims(self, count: int) -> list[Object]:
        def ready() -> list[Object]:
            claims = self.claims()
            return claims if len(claims) == count and all(phase(c) == "Ready" for c in claims) else []

        return self.wait(ready, f"{count} claims to be Ready")

    def wait_gone(self, claim: str) -> None:
        """Until nothing is left of a claim: the object, its Node, its instance."""

        def gone() -> bool:
            return (
                self.claim(claim) is None
                and self.site.reader.get(NODES, claim) is None
                and claim not in [each["name"] for each in self.site.instances()]
            )

        self.wait(gone, f"claim {claim}, its Node and its instance to be gone")

    def settle(self, workload: str = "settled") -> None:
        """Returns when the operator has seen and decided about all that was there before the call.

        It does so by asking for something that can't be, and waiting for the answer; a pool in mode Apply must be there
        to give one.
        """
        template = self.template(cpu="500")
        template["spec"]["tolerations"] = [*self.tolerations, {"key": PROBE_TAINT, "operator": "Exists"}]
        self.apply(self.workload(workload, deployment={"replicas": 1, "template": template}))
        self.wait(lambda: refused(self.status(workload)), f"Workload {workload} to be told that nothing holds it")

    def describe(self, *namespaces: str) -> str:
        """What the cluster looks like, for messages of failed tests: the story's namespace, or those named."""
        lines = []
        for workload in self.site.reader.list(WORKLOADS, self.namespace):
            status = workload.get("status") or {}
            counts = f"{status.get('readyReplicas')}/{status.get('replicas')}"
            lines.append(f"workload {workload['metadata']['name']}: {counts} {status.get('waitingFor') or ''}")
        for pool in self.pools:
            for claim in self.claims(pool):
                ending = " ending" if claim["metadata"].get("deletionTimestamp") else ""
                message = (claim.get("status") or {}).get("message") or ""
                lines.append(f"claim {claim['metadata']['name']} {offering(claim)} {phase(claim)}{ending} {message}")
        for pod in [each for of in namespaces or (self.namespace,) for each in self.site.reader.list(PODS, of)]:
            where = pod["spec"].get("nodeName") or f"({pod['status'].get('nominatedNodeName') or 'nowhere'})"
            gates = [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]
            lines.append(f"pod {pod['metadata']['name']} {pod['status']['phase']} {where} {gates or ''}")
        return "\n".join(lines)

    # The end.

    def leave(self) -> None:
        """Takes everything down without waiting for it; the pool takes its nodes along."""
        kinds = ",".join(each.name for each in (WORKLOADS, DEPLOYMENTS, STATEFULSETS, JOBS, PODDISRUPTIONBUDGETS))
        self.kubectl("delete", kinds, "--all", "--wait=false")
        self.kubectl("delete", "pods", "--all", "--wait=false", "--grace-period=1")
        if self.pools:
            self.kubectl("delete", NODEPOOLS.name, *self.pools, "--wait=false", "--ignore-not-found")


def phase(claim: Object) -> str:
    return str((claim.get("status") or {}).get("phase") or "Pending")


def name_of(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def names(things: Iterable[Object]) -> set[str]:
    return {name_of(thing) for thing in things}


def offering(claim: Object) -> str:
    """TYPE/ZONE/CAPACITY, as the fake cloud writes it."""
    spec = claim["spec"]
    return f"{spec['instanceType']}/{spec['zone']}/{spec['capacityType']}"


def is_spot(claim: Object) -> bool:
    assert claim["spec"]["capacityType"] in (SPOT, ON_DEMAND)
    return bool(claim["spec"]["capacityType"] == SPOT)


def is_leaving(claim: Object) -> bool:
    return "deletionTimestamp" in claim["metadata"]


def is_running(pod: Object) -> bool:
    """Running, Ready, and not about to go."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
    return pod["status"]["phase"] == "Running" and ready and "deletionTimestamp" not in pod["metadata"]


def condition(status: Object, type_: str) -> Object:
    return next((each for each in status.get("conditions") or () if each["type"] == type_), {})


def refused(status: Object) -> str:
    """The reason why a Workload's pods have no place, once the planner has said one."""
    text = str(status.get("waitingFor") or "")
    undecided = ("kube-scheduler", "held by our scheduling gate", "waits for NodeClaim", "nominated onto")
    return "" if any(words in text for words in undecided) else text


@contextmanager
def queue_of(story: Story, cores: int, **spec: Any) -> Iterator[str]:
    """A pool, and a queue of a few cores, by its name."""
    story.make_pool()
    name = f"queue-{story.namespace}"
    spec = {"resources": [{"name": "cpu", "nominalQuota": str(cores)}], **spec}
    story.apply({"apiVersion": labels.API_VERSION, "kind": "FairQueue", "metadata": {"name": name}, "spec": spec})
    yield name
    story.site.cluster.kubectl("delete", FAIRQUEUES.name, name, "--wait=false")
