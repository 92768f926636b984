"""The whole life of a node, told with an operator that has a gate, and another one that takes over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.history import History, acts
from chaos.invariants import check
from chaos.recording import recording
from chaos.report import Report
from demo.errors import DemoError
from demo.helpers import Helper
from spotkube.assemble import LEASE_NAME
from spotkube.cluster.resources import LEASES
from support import Answer
from support_operator import Site, Story, name_of, names

NOTICE_SECONDS = 25
GRACE_SECONDS = 5
CAP_USD_HOUR = 2.0
REPLICAS = 3


@dataclass(frozen=True)
class At:
    """Where the gate acts: at the first call of this name, `before` or `after` it; `do` is kill or stop."""

    name: str
    when: str = "before"
    do: str = "kill"


class Unfinished(AssertionError):  # noqa: N818 - says what happened
    """A life that did not come to its end; the report knows of it."""


@dataclass
class Scene:
    story: Story
    gate_log: Path
    report: Report
    replicas: int = REPLICAS
    evictable: int = 1
    """So many pods at once may be missing; with 0, the pods of a node that is taken back can only be forced."""

    @property
    def site(self) -> Site:
        return self.story.site

    def start_gated(self, at: At | None = None, clock_ahead_seconds: float = 0.0) -> Helper:
        """An operator, with a gate at this call, that leads by now."""
        options = [f"--at={at.name}", f"--when={at.when}", f"--do={at.do}"] if at else []
        options.append(f"--clock-ahead={clock_ahead_seconds}")
        operator = self.site.start_operator(("chaos.gate", f"--log={self.gate_log}", *options))
        self.story.wait(lambda: self.leads(operator), "the operator to lead")
        return operator

    def leads(self, operator: Helper) -> bool:
        lease = self.site.reader.get(LEASES, LEASE_NAME, self.site.namespace) or {}
        return f"-{operator.pid}-" in (lease.get("spec", {}).get("holderIdentity") or "")

    def let_the_lease_run_out(self) -> None:
        """Whoever was killed gave no lease back; its end is not what is told here."""
        lease = (LEASES.name, LEASE_NAME, "-n", self.site.namespace)
        self.site.cluster.kubectl("delete", *lease, "--ignore-not-found")

    def met(self) -> set[str]:
        """What the gates met, by name."""
        return {act.name for act in acts(self.gate_log)}

    def reached(self) -> bool:
        return any(name.startswith("gate ") for name in self.met())

    # The life itself.

    def begin(self, **pool: object) -> None:
        self.story.make_pool(limits={"usdPerHour": CAP_USD_HOUR}, **pool)
        service = self.story.service("web", self.replicas, cpu="1200m", minAvailable=self.replicas - self.evictable)
        self.story.apply(service)

    def interrupt_one(self) -> str:
        """The cloud takes back a node that pods run on; its name."""
        holders = {pod["spec"]["nodeName"] for pod in self.story.pods("web") if pod["spec"].get("nodeName")}
        victim = min(holders & names(self.story.claims()))
        self.site.interrupt(victim, NOTICE_SECONDS)
        return victim

    def play(self, gated: Helper, at: At | None) -> None:
        """From the first pod to the end of an interruption; whoever stops at the gate is followed by another."""
        story = self.story
        arrived = self._wait_running_or_reached()
        if not arrived:
            self._take_over(gated, at)
            story.wait_running(self.replicas, "web")
        victim = self.interrupt_one()
        if at and arrived:
            self._wait_without_operators(lambda: self.reached() or self._is_gone(victim), f"the call {at.name}")
            if self.reached():
                self._take_over(gated, at)
        story.wait_gone(victim)
        story.wait_running(self.replicas, "web")
        if at and at.do == "stop" and self.reached():
            self.wake(gated)
        self.end()

    def end(self) -> None:
        """All is decided, and nothing is under way."""
        self.story.settle()
        self.story.wait(self._is_quiet, "claims, instances and Nodes to be the same")

    def _wait_running_or_reached(self) -> bool:
        """True when all pods run, False when the gate was reached before."""

        def answer() -> str:
            if self.reached():
                return "reached"
            ready = [pod for pod in self.story.pods("web") if (pod["status"].get("phase")) == "Running"]
            return "running" if len(ready) == self.replicas else ""

        what = "pods to run, or the gate to be reached"
        return self._wait_without_operators(answer, what) == "running"

    def _wait_without_operators(self, condition: Callable[[], Answer | None], what: str) -> Answer:
        """The site would take an operator that was killed for a failure."""
        operators = self.site.operators[:]
        self.site.operators.clear()
        try:
            return self.story.wait(condition, what)
        finally:
            self.site.operators.extend(operators)

    def _take_over(self, gated: Helper, at: At | None) -> None:
        self.site.operators.remove(gated)
        if at is None or at.do == "kill":
            gated.kill()
            self.let_the_lease_run_out()
        self.start_gated()

    def wake(self, stopped: Helper) -> None:
        """The stale head goes on exactly where it was stopped."""
        self.site.operators.append(stopped)
        os.kill(stopped.pid, signal.SIGCONT)

    def _is_gone(self, name: str) -> bool:
        return self.story.claim(name) is None

    def _is_quiet(self) -> bool:
        claims = names(self.story.claims())
        return claims == {each["name"] for each in self.story.instances()} == set(self.story.nodes())

    def leave(self) -> None:
        """Also after a failure, when operators may be stopped, or dead without the site knowing."""
        if any(operator.ended for operator in self.site.operators):
            self.site.kill_operators()
        if not self.site.operators:
            self.let_the_lease_run_out()
            self.site.start_operator()
        self.story.leave()
        left = (self.story.claims, self.story.instances, self.story.pods)
        self.story.wait(lambda: not any(each() for each in left), "all to be gone")
        self.site.kill_operators()


def tell(
    scene: Scene, play: Callable[[], None], life: str, faults: Callable[[], Mapping[str, int]] = dict
) -> list[str]:
    """Plays a life and returns what it violated, which the report is told of, too; `faults` counts what was injected.

    Raises Unfinished: a life that did not come to its end is no case for the invariants.
    """
    site = scene.site
    with recording(site.cluster.kubeconfig, scene.story.namespace, site.namespace) as finish:
        scene.let_the_lease_run_out()
        try:
            play()
        except (AssertionError, DemoError) as error:
            scene.report.add(life, faults(), (), [str(error).partition("\n")[0]])
            raise Unfinished(str(error)) from error
        probes = {pod["metadata"]["uid"] for pod in scene.story.pods() if name_of(pod).startswith("settled")}
        events = [each for each in site.call_cloud("GET", "/v1/log")["events"] if _is_of(scene, each)]
        history = without(finish(events, acts(scene.gate_log)), probes)
    verdicts = check(history, CAP_USD_HOUR)
    scene.report.add(life, faults(), verdicts)
    return [f"{verdict.name}: {each}" for verdict in verdicts for each in verdict.violations]


def tell_plain(scene: Scene, at: At | None = None, clock_ahead_seconds: float = 0.0) -> list[str]:
    """The life with a gate at that call, and one interruption."""

    def play() -> None:
        gated = scene.start_gated(at, clock_ahead_seconds)
        scene.begin()
        scene.play(gated, at)

    def faults() -> Mapping[str, int]:
        clock = {f"clock {clock_ahead_seconds:+.0f} s": 1} if clock_ahead_seconds else {}
        return clock | ({f"{at.do} at a call": 1} if at and scene.reached() else {})

    return tell(scene, play, f"{at}" if at else "no kill", faults)


def _is_of(scene: Scene, event: dict[str, object]) -> bool:
    return str(event.get("name", "")).startswith(scene.story.pool)


def without(history: History, probes: set[str]) -> History:
    """What asks whether the operator is done never runs, and is no part of the story."""
    return replace(history, pods=tuple(pod for pod in history.pods if pod.uid not in probes))
