"""Many faults at once, drawn from a seed: a mass interruption by a cloud that fails, an API server that fails too, a
clock that is wrong, and a kill in the midst of it.

`make chaos SEED=7 MINUTES=30` plays as many seeds as there is time for, from that one on. CHAOS_STORM=12 plays that one
alone.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from disturbing import disturbed_api, disturbed_cloud
from life import Scene, Unfinished, tell

from chaos.proxy import Proxy
from chaos.report import Report
from chaos.storm import Storm, Victims
from demo.helpers import Helper
from support_operator import Site, Story, names, offering

REPLICAS = 9
# Machines of 4 cores at most hold three pods each.
CPU_BELOW = 5
READY_TIMEOUT = "40s"
# Harsh, and still over within a minute or two.
SHORT = Storm(
    seed=0,
    api_share=0.1,
    cloud_share=0.2,
    clock_ahead_seconds=-300.0,
    victims=Victims.HALF,
    evictable=0,
    notice_seconds=45.0,
    sold_out=True,
    never_register=0,
    die_early=1,
    kill_after_seconds=2.0,
    neighbour=True,
    meddler=True,
    price_times=1.5,
)
MEDDLES_EACH_SECONDS = 1.0


def play(scene: Scene, storm: Storm) -> None:
    site, story = scene.site, scene.story
    operator = scene.start_gated(clock_ahead_seconds=storm.clock_ahead_seconds)
    scene.begin(cpu_below=CPU_BELOW, readyTimeout=READY_TIMEOUT)
    story.wait_running(REPLICAS, "web")
    claims = {claim["metadata"]["name"]: claim for claim in story.claims()}
    spot = {each["name"] for each in site.instances() if each["offering"].endswith("/spot")}
    victims = storm.pick({name: claim["spec"]["zone"] for name, claim in claims.items() if name in spot})
    if storm.sold_out:
        site.set_capacity({offering(claims[name]): 0 for name in victims})
    site.set_faults(never_register=storm.never_register, die_early=storm.die_early, price_times=storm.price_times)
    for name in victims:
        site.interrupt(name, storm.notice_seconds)
    with ExitStack() as others:
        if storm.neighbour:
            others.enter_context(beside(drain, scene, victims))
        if storm.meddler:
            others.enter_context(beside(meddle, scene, victims))
        come_through(scene, storm, operator, victims)
    scene.end()


def come_through(scene: Scene, storm: Storm, operator: Helper, victims: list[str]) -> None:
    """Until the victims are gone and all pods run, with a kill on the way."""
    site, story = scene.site, scene.story
    if storm.kill_after_seconds is not None:
        time.sleep(storm.kill_after_seconds)
        site.operators.remove(operator)
        operator.kill()
        scene.let_the_lease_run_out()
        scene.start_gated(clock_ahead_seconds=storm.clock_ahead_seconds)
    for name in victims:
        story.wait_gone(name)
    story.wait_running(REPLICAS, "web")
    assert not names(story.claims()) & set(victims)


@contextmanager
def beside(act: Callable[[Scene, list[str], threading.Event], None], scene: Scene, nodes: list[str]) -> Iterator[None]:
    """What others do meanwhile, until it is said to be over."""
    over = threading.Event()
    thread = threading.Thread(target=act, args=(scene, nodes, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def drain(scene: Scene, nodes: list[str], _over: threading.Event) -> None:
    """What another controller does, or somebody by hand. It may fail: the nodes vanish meanwhile."""
    scene.site.cluster.kubectl("drain", *nodes, "--ignore-daemonsets", "--force", "--timeout=20s", check=False)


def meddle(scene: Scene, nodes: list[str], over: threading.Event) -> None:
    """People who mean well. What they edit may be gone."""

    def kubectl(*words: str) -> str:
        return scene.site.cluster.kubectl(*words, check=False)

    for number, missing in enumerate(itertools.chain([1], itertools.repeat(0))):
        # The Workload leaves its Deployment's replicas to whoever scales it.
        kubectl("-n", scene.story.namespace, "scale", "deployment/web", f"--replicas={scene.replicas - missing}")
        ours = kubectl("get", "nodeclaims.spotkube.io", "-o", "name").split()
        kubectl("annotate", *ours, f"chaos/seen={number}", "--overwrite")
        kubectl("label", "nodes", *(name.partition("/")[2] for name in ours), f"chaos/seen={number}", "--overwrite")
        kubectl("uncordon", *nodes)
        if over.wait(MEDDLES_EACH_SECONDS):
            return


def weather(scene: Scene, storm: Storm, folder: Path) -> list[str]:
    """Tells one storm; what it violated."""
    proxies: dict[str, Proxy] = {}

    def faults() -> Mapping[str, int]:
        found = Counter({f"{who}: {kind}": n for who, proxy in proxies.items() for kind, n in proxy.injected.items()})
        found[f"taken back: {storm.victims}"] += 1
        found["taken back and sold out"] += storm.sold_out
        found["machine never joined"] += storm.never_register
        found["machine ended at once"] += storm.die_early
        found["drained by a neighbour too"] += storm.neighbour
        found["edited by a meddler"] += storm.meddler
        found[f"prices {storm.price_times:g} times"] += storm.price_times != 1
        found["kill amid a storm"] += storm.kill_after_seconds is not None
        found[f"clock {storm.clock_ahead_seconds:+.0f} s"] += storm.clock_ahead_seconds != 0
        return +found

    try:
        with ExitStack() as stack:
            proxies["API server"] = stack.enter_context(disturbed_api(scene, storm.seed, storm.api_share, folder))
            proxies["cloud"] = stack.enter_context(disturbed_cloud(scene, storm.seed, storm.cloud_share))
            return tell(scene, lambda: play(scene, storm), f"storm {storm.seed}", faults)
    finally:
        scene.site.set_faults()
        limited = scene.site.call_cloud("GET", "/v1/capacity")["limits"]
        scene.site.set_capacity(dict.fromkeys(limited))


@pytest.mark.timeout(600)
def test_a_storm_costs_nothing_but_time(site: Site, namespace: str, tmp_path: Path, report: Report) -> None:
    scene = Scene(Story(site, namespace), tmp_path / "gate.log", report, REPLICAS, SHORT.evictable)
    try:
        before = report.faults.copy()
        assert weather(scene, SHORT, tmp_path) == []
        harmed = {name.partition(":")[0] for name in report.faults - before if ": " in name}
        assert harmed >= {"API server", "cloud"}, "too little was harmed to say anything"
    finally:
        scene.leave()


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_storms_of_many_seeds(site: Site, namespace: str, tmp_path: Path, report: Report) -> None:
    until, told = time.monotonic() + 60 * float(os.environ.get("CHAOS_MINUTES", "30")), len(report.violations)
    seed = int(os.environ.get("CHAOS_STORM", report.seed))
    while time.monotonic() < until:
        storm = Storm.drawn(seed)
        scene = Scene(
            Story(site, namespace, f"-{seed}"), tmp_path / f"gate-{seed}.log", report, REPLICAS, storm.evictable
        )
        try:
            weather(scene, storm, tmp_path)
        except Unfinished:
            pass  # the report has it
        finally:
            scene.leave()
        if "CHAOS_STORM" in os.environ:
            break
        seed += 1
    assert report.violations[told:] == [], "see one again: CHAOS_STORM=SEED make chaos"
