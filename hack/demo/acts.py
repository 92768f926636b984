"""The play: examples/ is applied, all pods get nodes, a spot node is taken back, and nobody is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from demo.closing import Outcome, buying, closing_table
from demo.errors import DemoError
from demo.helpers import REPOSITORY, run_python
from demo.interruption import Timeline, choose
from demo.scene import Scene
from demo.show import Screen, additions_table
from demo.stage import Stage

EXAMPLES = REPOSITORY / "examples"
POLL_SECONDS = 0.5
RUN_SECONDS = 120.0
NOTICE_SECONDS = 120
REPLACE_SECONDS = NOTICE_SECONDS + 30.0


def play(stage: Stage, screen: Screen) -> None:
    """All acts. Raises DemoError when something did not come true in time."""
    screen.heading("1. Work arrives: a shop, 200 batch jobs of two teams, a GPU job, and pods of nobody")
    *work, pools = sorted(EXAMPLES.glob("*.yaml"))
    apply(stage, screen, work)
    wait_until_all_wait(stage, screen)
    screen.heading("2. NodePools say what may be bought")
    apply(stage, screen, [pools])
    scene = wait_until_all_run(stage, screen, RUN_SECONDS)
    outcome = show_plans(scene, screen)
    screen.heading("3. The cloud takes a spot node back, with two minutes' notice")
    scene = interrupt(stage, screen)
    show_end(scene, outcome, screen)


def apply(stage: Stage, screen: Screen, files: Sequence[Path]) -> None:
    """Applies manifests as a user would."""
    named = " ".join(f"-f {file.relative_to(REPOSITORY)}" for file in files)
    text = f"kubectl apply --server-side {named if len(files) == 1 else f'-f examples/ ({len(files)} files)'}"
    with screen.step(text):
        stage.cluster.kubectl("apply", "--server-side", *(f"--filename={file}" for file in files))


def wait_until_all_wait(stage: Stage, screen: Screen) -> None:
    """Until each Workload has its pods. No pool lets anything be bought yet, so the first plan will see all."""
    with screen.progress() as progress:
        for scene in scenes(stage, RUN_SECONDS, lambda scene: f"only {len(scene.work)} pods were made"):
            progress.update(scene)
            if scene.workloads and scene.all_made():
                break
    screen.say(f"{len(scene.work)} pods wait")


def wait_until_all_run(stage: Stage, screen: Screen, seconds: float, at_least: int = 1) -> Scene:
    """Shows the cluster until all its pods run; the scene then. Raises DemoError when the time is over."""
    with screen.progress() as progress:
        for scene in scenes(stage, seconds, lambda scene: f"not all pods run: {_waiting(scene)}"):
            progress.update(scene)
            if scene.all_run(at_least) and scene.all_open:
                break
    screen.say(f"all {len(scene.work)} pods run, on {len(scene.claims)} nodes that were bought")
    return scene


def show_plans(scene: Scene, screen: Screen) -> Outcome:
    """What was bought and why; the numbers for the end."""
    plans = buying(scene)
    for plan in plans:
        status = plan.status
        pods, seconds = status.pods.placed if status.pods else 0, status.solve_seconds or 0.0
        screen.say(f"plan {plan.name}: {len(status.additions)} nodes for {pods} pods, found in {seconds:.1f} s")
    screen.show(additions_table([node for plan in plans for node in plan.status.additions]))
    return Outcome.of(scene)


def interrupt(stage: Stage, screen: Screen) -> Scene:
    """Takes a spot node back and shows what follows; the scene when all is well again."""
    victim = choose(stage.eyes.look())
    spec = victim.claim.spec
    screen.say(
        f"chosen: {victim.node} ({spec.instance_type} {spec.zone} {spec.capacity_type}) with {len(victim.pods)} pods,"
        f" {victim.covered} of them under a PodDisruptionBudget"
    )
    command = ["interrupt", victim.node, "--endpoint", stage.cloud_url, "--notice", f"{NOTICE_SECONDS}s"]
    run_python("-m", "spotkube.providers.local", *command)
    began = time.monotonic()
    timeline = Timeline(victim)
    with screen.progress() as progress:
        progress.say(f"python -m spotkube.providers.local {' '.join(command)}")
        for scene in scenes(stage, REPLACE_SECONDS, lambda _: f"after the notice: no {', '.join(timeline.missing)}"):
            progress.update(scene)
            passed = time.monotonic() - began
            for text in timeline.observe(scene, passed):
                progress.say(f"  +{passed:5.1f} s  {text}")
            if timeline.is_over:
                break
    screen.say(f"{NOTICE_SECONDS - timeline.told['drained']:.0f} s before its end the node was empty")
    return scene


def show_end(scene: Scene, outcome: Outcome, screen: Screen) -> None:
    screen.heading("4. What it came to, when all pods ran")
    screen.show(closing_table(outcome))
    screen.say(f"now {len(scene.claims)} nodes for ${scene.usd_per_hour:.4f} an hour")


def scenes(stage: Stage, seconds: float, complaint: Callable[[Scene], str]) -> Iterator[Scene]:
    """The cluster again and again. Raises DemoError, with the end of the operator's log, when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        stage.check()
        scene = stage.eyes.look()
        yield scene
        if time.monotonic() > deadline:
            log = stage.operator.tail()
            raise DemoError(f"after {seconds:.0f} s {complaint(scene)}\nthe end of the operator's log:\n{log}")
        time.sleep(POLL_SECONDS)


def _waiting(scene: Scene) -> str:
    waiting = [pod.key for pod in scene.work if pod.phase == "Pending"]
    reasons = {w.status.waiting_for for w in scene.workloads if w.status.waiting_for}
    return (
        f"{len(waiting)} wait, such as {', '.join(waiting[:3])}; their Workloads say: {'; '.join(sorted(reasons)[:3])}"
    )
