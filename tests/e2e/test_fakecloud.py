"""The fake cloud on a real cluster: instances become Nodes with what was ordered, and take their pods with them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcluster.cluster import Cluster
from spotkube.catalog import load_catalog
from spotkube.model.offerings import ON_DEMAND, SPOT, Offering
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.providers import connect_provider
from spotkube.providers.local.client import LocalProvider
from spotkube.providers.port import Instance, InstanceOrder, InstanceState
from support import wait_until

Kubectl = Callable[..., str]
ROOT = Path(__file__).resolve().parents[2]
# KWOK would have renewed a Lease by then: it does so every 10 s.
RENEWAL_SECONDS = 12
TAINT = Taint("test", TaintEffect.NO_SCHEDULE, "here")


class CloudProcess:
    """The fake cloud as users start it; `start` after `stop` or `kill` goes on with the same state."""

    def __init__(self, folder: Path, kubeconfig: Path, *options: str) -> None:
        self._port_file = folder / "port"
        self._log = folder / "cloud.log"
        self._command = [sys.executable, "-m", "spotkube.providers.local", f"--state={folder / 'cloud.db'}"]
        self._command += [
            f"--kubeconfig={kubeconfig}",
            f"--port-file={self._port_file}",
            f"--log={self._log}",
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._port_file.unlink(missing_ok=True)
        process = self._process = subprocess.Popen(
            self._command, env=os.environ | {"PYTHONPATH": str(ROOT / "operator")}
        )
        wait_until(lambda: self._port_file.exists() or process.poll() is not None, 30, "the fake cloud to listen")
        assert process.poll() is None, "the fake cloud ended; standard error says why"

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port_file.read_text().strip()}"

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "spotkube.providers.local", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "operator"), "SPOTKUBE_PROVIDER_ENDPOINT": self.url}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, fake_nodes: None) -> Iterator[CloudProcess]:
    """One for all tests: each orders a machine of its own."""
    folder = tmp_path_factory.mktemp("cloud")
    process = CloudProcess(folder, cluster.kubeconfig, "--registration-delay=500ms", "--terminate-delay=200ms")
    process.start()
    yield process
    assert process.end() == 0


@pytest.fixture
async def provider(cloud: CloudProcess) -> AsyncIterator[LocalProvider]:
    provider = connect_provider("local", cloud.url)
    assert isinstance(provider, LocalProvider)
    yield provider
    await provider.close()


@pytest.fixture
def order(kubectl: Kubectl, namespace: str) -> Iterator[InstanceOrder]:
    """An order for one arm64 spot machine, with an allocatable that is nobody's default."""
    offering = offering_of(SPOT)
    allocatable = ResourceList.from_quantities({"cpu": "1937m", "memory": "3211Mi", "pods": 23})
    yield InstanceOrder(
        token=f"uid-{namespace}",
        name=f"node-{namespace}",
        offering=offering.key,
        labels=(*offering.labels, ("test", namespace)),
        taints=(TAINT,),
        capacity=offering.capacity,
        allocatable=allocatable,
        tags=(("spotkube.io/nodepool", "default"),),
    )
    kubectl("delete", "nodes", "-l", f"test={namespace}", "--wait=false")


def offering_of(capacity_type: str) -> Offering:
    offerings = load_catalog().offerings
    return next(each for each in offerings if each.capacity_type == capacity_type and each.arch == "arm64")


def pod(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "nodeSelector": {"test": namespace},
            "tolerations": [{"key": TAINT.key, "value": TAINT.value, "effect": TAINT.effect.value}],
            "containers": [{"name": "main", "image": "none"}],
        },
    }


def get(kubectl: Kubectl, *what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", *what, "-o", "json", "--ignore-not-found") or "{}")
    return found


def is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ready_node(kubectl: Kubectl, name: str) -> dict[str, Any]:
    def node() -> dict[str, Any]:
        found = get(kubectl, "node", name)
        return found if is_ready(found) and not has_taint(found, "node.kubernetes.io/not-ready") else {}

    return wait_until(node, 30, lambda: f"node {name} to be Ready: {get(kubectl, 'node', name)}")


def has_taint(node: dict[str, Any], key: str) -> bool:
    return any(taint["key"] == key for taint in node["spec"].get("taints", []))


def run_pod(kubectl: Kubectl, namespace: str, name: str) -> None:
    kubectl("create", "-f", "-", input=json.dumps(pod(namespace, name)))
    wait_until(
        lambda: get(kubectl, "pod", name, "-n", namespace)["status"].get("phase") == "Running",
        30,
        lambda: f"pod {name} to run: {get(kubectl, 'pod', name, '-n', namespace)}",
    )


async def log_of(provider_url: str, instance: Instance) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{provider_url}/v1/log") as response:
        events = (await response.json())["events"]
    return [event for event in events if event["instance"] == instance.provider_id.rpartition("/")[2]]


async def test_an_instance_becomes_a_node_with_exactly_what_was_ordered(
    provider: LocalProvider, order: InstanceOrder, kubectl: Kubectl, namespace: str
) -> None:
    instance = await provider.create(order)
    assert instance.state is InstanceState.PENDING

    node = ready_node(kubectl, order.name)
    assert node["spec"]["providerID"] == instance.provider_id
    assert node["metadata"]["labels"].items() >= dict(order.labels).items()
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == order.name
    assert has_taint(node, TAINT.key)
    assert node["status"]["nodeInfo"]["architecture"] == "arm64"
    assert ResourceList.from_quantities(node["status"]["allocatable"]) == order.allocatable
    assert ResourceList.from_quantities(node["status"]["capacity"]) == order.capacity
    run_pod(kubectl, namespace, "guest")

    again = await provider.create(order)
    assert (again.provider_id, again.state) == (instance.provider_id, InstanceState.RUNNING)
    assert [each.provider_id for each in await provider.list() if each.name == order.name] == [instance.provider_id]


async def test_no_pod_is_bound_before_the_node_is_ready(
    provider: LocalProvider, order: InstanceOrder, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "-f", "-", input=json.dumps(pod(namespace, "eager")))
    await provider.create(order)
    wait_until(lambda: get(kubectl, "pod", "eager", "-n", namespace)["spec"].get("nodeName"), 30)
    bound_at = transition_time(get(kubectl, "pod", "eager", "-n", namespace), "PodScheduled")
    assert bound_at >= transition_time(get(kubectl, "node", order.name), "Ready")


def transition_time(thing: dict[str, Any], condition: str) -> datetime:
    """When the condition became True; the API server keeps whole seconds."""
    [found] = [each for each in thing["status"]["conditions"] if each["type"] == condition]
    assert found["status"] == "True"
    return datetime.fromisoformat(found["lastTransitionTime"])


async def test_a_node_vanishes_with_its_instance(
    provider: LocalProvider, cloud: CloudProcess, order: InstanceOrder, kubectl: Kubectl, namespace: str
) -> None:
    instance = await provider.create(order)
    ready_node(kubectl, order.name)
    run_pod(kubectl, namespace, "guest")

    await provider.delete(instance.provider_id)
    wait_until(lambda: not get(kubectl, "node", order.name), 30, "the node to be gone")
    await provider.delete(instance.provider_id)

    ended = await provider.get(instance.provider_id)
    assert ended is not None
    assert ended.state is InstanceState.TERMINATED
    assert (await provider.create(order)).provider_id == instance.provider_id
    [termination] = [each for each in await log_of(cloud.url, instance) if each["event"] == "terminated"]
    assert termination["cause"] == "deleted"
    assert [each["name"] for each in termination["lost_pods"]] == ["guest"]


async def test_a_notice_shows_on_the_node_and_kills_at_the_deadline(
    provider: LocalProvider, cloud: CloudProcess, order: InstanceOrder, kubectl: Kubectl, namespace: str
) -> None:
    instance = await provider.create(order)
    ready_node(kubectl, order.name)
    run_pod(kubectl, namespace, "victim")

    cloud.run("interrupt", order.name, "--notice=3s")
    noticed = await provider.get(instance.provider_id)
    assert noticed is not None
    assert noticed.termination_deadline is not None
    node = wait_until(lambda: _noticed(get(kubectl, "node", order.name)), 30, "the sign of the notice")
    assert has_taint(node, TAINT.key)
    written = datetime.fromisoformat(node["metadata"]["annotations"]["spotkube.io/termination-deadline"])
    assert written.timestamp() == pytest.approx(noticed.termination_deadline, abs=0.001)

    wait_until(lambda: not get(kubectl, "node", order.name), 30, "the node to be gone")
    assert time.time() >= noticed.termination_deadline
    [termination] = [each for each in await log_of(cloud.url, instance) if each["event"] == "terminated"]
    assert (termination["cause"], termination["at"]) == ("deadline", noticed.termination_deadline)
    [lost] = termination["lost_pods"]
    assert (lost["namespace"], lost["name"], lost["phase"]) == (namespace, "victim", "Running")


def _noticed(node: dict[str, Any]) -> dict[str, Any]:
    return node if has_taint(node, "aws-node-termination-handler/spot-itn") else {}


async def test_a_finalizer_keeps_the_node_but_its_heartbeat_ends(
    provider: LocalProvider, order: InstanceOrder, kubectl: Kubectl
) -> None:
    instance = await provider.create(order)
    ready_node(kubectl, order.name)
    kubectl("patch", "node", order.name, "--type=merge", "-p", '{"metadata": {"finalizers": ["spotkube.io/test"]}}')

    await provider.delete(instance.provider_id)
    wait_until(lambda: _deleting(get(kubectl, "node", order.name)), 20, "the node's deletion to be asked for")
    ended = await provider.get(instance.provider_id)
    assert ended is not None
    assert ended.state is InstanceState.TERMINATED

    renewed = renew_time(kubectl, order.name)
    await asyncio.sleep(RENEWAL_SECONDS)
    assert renew_time(kubectl, order.name) == renewed, "no machine is there that could send a heartbeat"

    kubectl("patch", "node", order.name, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    wait_until(lambda: not get(kubectl, "node", order.name), 30, "the node to be gone")


def renew_time(kubectl: Kubectl, node: str) -> str:
    renewed: str = get(kubectl, "lease", node, "-n", "kube-node-lease")["spec"]["renewTime"]
    return renewed


def _deleting(node: dict[str, Any]) -> dict[str, Any]:
    return node if node.get("metadata", {}).get("deletionTimestamp") else {}


async def test_a_killed_cloud_goes_on_where_it_was(
    tmp_path: Path, cluster: Cluster, kubectl: Kubectl, order: InstanceOrder, fake_nodes: None
) -> None:
    cloud = CloudProcess(tmp_path, cluster.kubeconfig, "--registration-delay=3s")
    cloud.start()
    before = LocalProvider(cloud.url)
    bought = await before.create(order)
    noticed = await before.interrupt(bought.provider_id, notice_seconds=25)
    await before.close()
    cloud.end(signal.SIGKILL)

    cloud.start()
    after = LocalProvider(cloud.url)
    try:
        resumed = await after.create(order)
        assert resumed.provider_id == bought.provider_id
        assert resumed.termination_deadline == noticed.termination_deadline
        ready_node(kubectl, order.name)
        wait_until(lambda: _noticed(get(kubectl, "node", order.name)), 20, "the sign of the notice")
        wait_until(lambda: not get(kubectl, "node", order.name), 60, "the node to be gone at its deadline")
        assert len(await after.list()) == 1
    finally:
        await after.close()
        assert cloud.end() == 0


async def test_the_command_line_lists_instances(
    provider: LocalProvider, cloud: CloudProcess, order: InstanceOrder
) -> None:
    await provider.create(order)
    [listed] = [each for each in json.loads(cloud.run("instances", "-o", "json")) if each["name"] == order.name]
    assert listed["offering"] == "/".join(order.offering)
    [line] = [line for line in cloud.run("instances").splitlines() if line.split()[:1] == [order.name]]
    assert line.split()[1:4] == list(order.offering)


async def test_on_demand_is_never_taken_back(
    provider: LocalProvider, cloud: CloudProcess, order: InstanceOrder
) -> None:
    await provider.create(replace(order, offering=offering_of(ON_DEMAND).key))
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        cloud.run("interrupt", order.name)
    assert "only spot is taken back" in refusal.value.stderr
