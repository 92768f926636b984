"""A notice where containers run: a real kubelet tells real processes, and these tell when they were told.

Pods that KWOK plays show what the operator asks, and when. Here the machine that it buys is a real node on this host
(`localcluster.realnode`): the fake cloud only sells it, takes it back at the deadline, and gives the operator notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from localcluster.build import ensure_binaries, is_built
from localcluster.cluster import Cluster, LocalCluster
from localcluster.errors import BuildError
from localcluster.golang import find_go
from localcluster.groups import group_of
from localcluster.realnode.needs import what_is_missing
from localcluster.realnode.node import WITNESS_IMAGE, RealNode, Registration, join
from spotkube.api import NodeClaim
from spotkube.controllers.claims.patches import order_of
from spotkube.model import labels
from spotkube.model.offerings import SPOT
from spotkube.settings import Settings
from support_operator import Object, Site, Story, is_running, name_of, phase

NOTICE_SECONDS = 45
# An operator as users have it; those of other tests are in a hurry.
MARGIN_SECONDS = Settings.model_fields["notice_margin_seconds"].default
# From the notice until a process that is told at once has its SIGTERM: the operator learns of it, and the kubelet does.
TELLING_SECONDS = 6.0
# How late a kubelet may kill, and a grace be rounded up: deadlines and graces are whole seconds.
KEEPING_SECONDS = 3.0
# The last sign of life is no older than this.
HEARTBEAT_SECONDS = 0.2
# The kubelet is built from source when there is none yet, and that takes some minutes.
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Process:
    """What a pod runs: it ends so long after SIGTERM, or never by itself; `held` by a budget that lets no pod go."""

    name: str
    grace_seconds: int
    ends: str
    held: bool = False


QUICK = Process("quick", grace_seconds=15, ends="200ms")
SAVING = Process("saving", grace_seconds=20, ends="18s", held=True)
DEAF = Process("deaf", grace_seconds=10, ends="never", held=True)
ENDLESS = Process("endless", grace_seconds=300, ends="never")
# Deleted by somebody before the notice, with a grace that reaches beyond the deadline. Kubelets shorten no grace that
# they already wait for (kubernetes issue 113606), though the API server tells them: it ends with its machine.
GOING = Process("going", grace_seconds=300, ends="never")
PROCESSES = (QUICK, SAVING, DEAF, ENDLESS, GOING)


@dataclass(frozen=True)
class Account:
    """What a process wrote of itself. Times are seconds since the epoch; `last` is its last sign of life."""

    sigterm: float | None
    ended: float | None
    last: float

    @classmethod
    def read(cls, path: Path) -> Account:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        times: dict[str, float] = {}
        for event, at in lines:
            times.setdefault(event, float(at))
        return cls(times.get("sigterm"), times.get("ended"), float(lines[-1][1]))


@pytest.fixture(scope="session", autouse=True)
def containers() -> None:
    """Skips where no real node can run. Before anything is started, so that this costs nothing there."""
    if missing := what_is_missing():
        pytest.skip(f"no real kubelet can run here: {missing}")
    kubelet = group_of("kubelet")
    try:
        if not is_built(kubelet):
            find_go(kubelet.go_version)
    except BuildError as error:
        pytest.skip(f"no kubelet can be built here: {error}")
    ensure_binaries(("kubelet", "witness"))


@pytest.fixture
def operator_by_default(cluster: Cluster, site: Site) -> Iterator[None]:
    """An operator that keeps the margin that one keeps by default."""
    if not isinstance(cluster, LocalCluster):
        pytest.skip("the node is made for the local cluster: leave out --kubeconfig")
    before = site.settings
    site.stop_operators()
    site.settings = {**before, "notice_margin_seconds": MARGIN_SECONDS}
    site.start_operator()
    yield
    site.stop_operators()
    site.settings = before
    site.start_operator()


def test_real_processes_have_their_sigterm_in_time_and_are_killed_no_sooner_than_told(
    operator_by_default: None, story: Story, tmp_path: Path
) -> None:
    folder = tmp_path / "accounts"
    folder.mkdir()
    claim = bought_without_a_node(story, folder)
    with machine_of(story, claim, tmp_path / "node") as machine:
        pods = wait_alive(story, machine, folder)
        story.kubectl("delete", "pod", GOING.name, "--wait=false")
        story.wait(lambda: accounts_of(folder, pods)[GOING].sigterm, "the pod that is deleted to be told")
        story.site.interrupt(name_of(claim), NOTICE_SECONDS)
        [end] = story.wait(
            lambda: story.site.events("terminated", [name_of(claim)]), "the machine's end", NOTICE_SECONDS + 30
        )
    [notice] = story.site.events("noticed", [name_of(claim)])
    told = accounts_of(folder, pods)
    show(told, deadline := notice["at"] + NOTICE_SECONDS)

    for process, account in told.items():
        assert account.sigterm is not None, f"{process.name} was killed without a word"
        lead = deadline - account.sigterm
        assert lead >= min(process.grace_seconds, NOTICE_SECONDS - TELLING_SECONDS), f"{process.name} was told too late"
        if process is not GOING:
            assert account.last < end["at"], f"{process.name} died with its machine"
    assert {pod["name"] for pod in end["lost_pods"]} == {GOING.name}

    assert told[QUICK].ended is not None
    assert told[SAVING].ended is not None, "it was killed though its grace was not over"
    forced_at = deadline - MARGIN_SECONDS - SAVING.grace_seconds
    assert told[SAVING].sigterm > forced_at - KEEPING_SECONDS, "its budget did not hold up to its forced moment"
    for process in (DEAF, ENDLESS):
        assert told[process].ended is None
        given = min(process.grace_seconds, int(deadline) - MARGIN_SECONDS - told[process].sigterm)
        lived = told[process].last - told[process].sigterm
        assert given - HEARTBEAT_SECONDS <= lived < given + KEEPING_SECONDS, f"{process.name} lived {lived:.1f} s"


def bought_without_a_node(story: Story, folder: Path) -> Object:
    """The claim of a machine that was bought for all processes, and that the cloud itself makes no Node of."""
    story.site.set_faults(never_register=1)
    story.make_pool(requirements=[{"key": labels.CAPACITY_TYPE, "operator": "In", "values": [SPOT]}], cpu_below=3)
    story.apply(*(body_of(story, process, folder) for process in PROCESSES))
    [claim] = story.wait(
        lambda: [each for each in story.claims() if phase(each) == "Launched"], "a machine to be bought"
    )
    [launched] = story.site.events("launched", [name_of(claim)])
    assert not launched["joins"]
    return claim


def body_of(story: Story, process: Process, folder: Path) -> Object:
    """A Workload of one pod; for the one that is deleted by hand a bare pod, which nobody makes anew."""
    template = story.template(cpu="50m", memory="32Mi")
    [container] = template["spec"]["containers"]
    container |= {
        "image": WITNESS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["/accounts", process.ends],
        "volumeMounts": [{"name": "accounts", "mountPath": "/accounts"}],
    }
    volume = {"name": "accounts", "hostPath": {"path": str(folder)}}
    template["spec"] |= {"terminationGracePeriodSeconds": process.grace_seconds, "volumes": [volume]}
    if process is GOING:
        metadata = {"name": process.name, "namespace": story.namespace}
        return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}
    budget = {"minAvailable": 1} if process.held else {}
    return story.workload(process.name, deployment={"replicas": 1, "template": template}, **budget)


@contextmanager
def machine_of(story: Story, claim: Object, folder: Path) -> Iterator[RealNode]:
    """The machine that was bought; its power is cut at the end, of which the cloud knows, however the test ends."""
    order, provider_id = order_of(NodeClaim.from_dict(claim), {}), claim["status"]["providerID"]
    taints = [{key: str(value) for key, value in asdict(taint).items()} for taint in order.taints]
    registration = Registration(order.name, provider_id, dict(order.labels), taints)
    with join(folder, story.site.cluster.kubeconfig, registration) as node:
        try:
            yield node
        finally:
            node.kill()
            story.site.call_cloud("DELETE", f"/v1/instances/{provider_id.rpartition('/')[2]}")


def wait_alive(story: Story, machine: RealNode, folder: Path) -> dict[Process, str]:
    """The pod of each process, once all run on the machine and have said so, and nothing is left to be done there."""

    def alive() -> dict[Process, str]:
        machine.check()
        pods = {process: name_of(pod) for pod in story.pods() for process in PROCESSES if is_of(pod, process)}
        running = all(map(is_running, story.pods())) and all((folder / name).exists() for name in pods.values())
        return pods if running and len(pods) == len(PROCESSES) else {}

    pods = story.wait(alive, f"all processes to run; the logs are in {machine.folder}")
    story.wait(lambda: all(phase(claim) == "Ready" for claim in story.claims()), "the node to be open to others too")
    held = [process.name for process in PROCESSES if process.held]
    story.wait(
        lambda: all(story.budget(name).get("currentHealthy") == 1 for name in held), "budgets to count their pods"
    )
    return pods


def is_of(pod: Object, process: Process) -> bool:
    return name_of(pod) == process.name or name_of(pod).startswith(f"{process.name}-")


def accounts_of(folder: Path, pods: dict[Process, str]) -> dict[Process, Account]:
    return {process: Account.read(folder / pod) for process, pod in pods.items()}


def show(told: dict[Process, Account], deadline: float) -> None:
    """How long before the deadline each was told and seen last, with `pytest -s` or when the test fails."""
    print(f"\n{NOTICE_SECONDS} s of notice, margin {MARGIN_SECONDS:.0f} s; seconds before the deadline:")
    for process, account in told.items():
        sigterm = "never" if account.sigterm is None else f"{deadline - account.sigterm:6.2f}"
        end = f"{'ended ' if account.ended else 'killed'} {deadline - account.last:6.2f}"
        print(f"{process.name:8} grace {process.grace_seconds:3}  SIGTERM {sigterm}  {end}")
