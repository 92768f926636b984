"""Puts everything up that the demo needs, and takes it down again: cluster, CRDs, account, fake cloud, operator."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo import identity
from demo.errors import DemoError
from demo.helpers import REPOSITORY, Helper, run_python
from demo.launch import CLOUD, OPERATOR, POLL_SECONDS, START_SECONDS, launch_cloud, launch_operator
from demo.scene import Eyes
from demo.show import Screen
from localcluster.build import ensure_binaries
from localcluster.cluster import Cluster, LocalCluster, running, stop_running
from localcluster.folders import ClusterFolder

NAME = "demo"
CRDS = REPOSITORY / "crds"


@dataclass(frozen=True)
class Stage:
    """What the acts play on."""

    cluster: Cluster
    folder: Path
    cloud_url: str
    operator: Helper
    eyes: Eyes
    helpers: tuple[Helper, ...]

    def check(self) -> None:
        """Raises DemoError or PartError if a process that is needed has ended."""
        if isinstance(self.cluster, LocalCluster):
            self.cluster.check()
        for helper in self.helpers:
            helper.check()


@contextlib.contextmanager
def local_stage(screen: Screen, *, keep: bool) -> Iterator[Stage]:
    """A stage on a cluster of its own, gone afterwards unless `keep` is set and all went well."""
    if any((folder.read("cluster.json") or {}).get("name") == NAME for folder in running()):
        raise DemoError("a demo runs already: end it with `python -m demo --stop` (PYTHONPATH=operator:hack)")
    ensure_binaries()
    compile_planner(screen)
    with screen.step("starting a Kubernetes control plane on this machine"):
        cluster = LocalCluster.start(name=NAME)
    with cluster, raised(screen, cluster, cluster.directory, keep=keep) as stage:
        yield stage
        if keep:
            folder = ClusterFolder(cluster.directory)
            for helper in stage.helpers:
                folder.write_process(_role(helper.name), helper.pid)
            cluster.detach()


def compile_planner(screen: Screen) -> None:
    """Machine code is kept beside the sources, so this takes long only once for a checkout."""
    with screen.step("compiling the planner, which takes a minute or two the first time", slow=True):
        run_python("-c", "from spotkube.planner.warmup import warm_up; warm_up()")


@contextlib.contextmanager
def raised(screen: Screen, cluster: Cluster, folder: Path, *, keep: bool) -> Iterator[Stage]:
    """The rest of the stage on a cluster that runs. `folder` is private and holds kubeconfig, state and logs."""
    with contextlib.ExitStack() as stack:
        with screen.step("kubectl apply --server-side -f crds/"):
            cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        with screen.step(f"account {identity.NAMESPACE}/{identity.SERVICE_ACCOUNT} with the chart's rights"):
            kubeconfig = identity.install(cluster, folder)
        helpers = contextlib.ExitStack()
        stack.enter_context(helpers)
        with screen.step("starting the fake cloud and the operator"):
            cloud, url = launch_cloud(cluster.kubeconfig, folder, keep=keep)
            helpers.callback(cloud.stop)
            log = folder / "operator.log"
            operator = launch_operator(kubeconfig, identity.NAMESPACE, url, log, keep=keep)
            helpers.callback(operator.stop)
        eyes = Eyes(cluster.kubeconfig)
        stack.callback(eyes.close)
        yield Stage(cluster, folder, url, operator, eyes, (operator, cloud))
        if keep:
            helpers.pop_all()  # from here on `--stop` ends them


def stop_kept(screen: Screen) -> None:
    """Ends a demo that was left running."""
    kept = [folder for folder in running() if (folder.read("cluster.json") or {}).get("name") == NAME]
    for folder in kept:
        processes = [folder.process(_role(name)) for name in (CLOUD, OPERATOR)]
        for process in filter(None, processes):
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + START_SECONDS
        while any(process.is_alive() for process in filter(None, processes)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        stop_running(folder)
    screen.say("the demo has ended" if kept else "no demo runs")


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of the demo's own that goes when the demo ends."""
    folder = Path(tempfile.mkdtemp(prefix="spotkube-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _role(helper: str) -> str:
    return f"demo-{helper.replace(' ', '-')}"
