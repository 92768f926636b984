"""The whole life of a node, told with an operator that has a gate, and another one that takes over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos.history import History
from chaos.invariants import Verdict, check
from chaos.recording import recording
from demo.helpers import Helper
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


@dataclass
class Scene:
    story: Story
    gate_log: Path

    @property
    def site(self) -> Site:
        return self.story.site

    def start_gated(self, at: At | None = None) -> Helper:
        """The operator that leads, with a gate at this call."""
        self.let_the_lease_run_out()
        options = [f"--at={at.name}", f"--when={at.when}", f"--do={at.do}"] if at else []
        operator = self.site.start_operator(("chaos.gate", f"--log={self.gate_log}", *options))
        self.story.wait(lambda: self.leads(operator), "the gated operator to lead")
        return operator

    def leads(self, operator: Helper) -> bool:
        lease = self.site.reader.get(LEASES, "spotkube", self.site.namespace) or {}
        return f"-{operator.pid}-" in (lease.get("spec", {}).get("holderIdentity") or "")

    def let_the_lease_run_out(self) -> None:
        """Whoever was killed gave no lease back; its end is not what is told here."""
        lease = (LEASES.name, "spotkube", "-n", self.site.namespace)
        self.site.cluster.kubectl("delete", *lease, "--ignore-not-found")

    def lines(self) -> list[str]:
        return self.gate_log.read_text(encoding="utf-8").splitlines() if self.gate_log.exists() else []

    def reached(self) -> bool:
        return any(line.startswith("gate ") for line in self.lines())

    # The life itself.

    def begin(self) -> None:
        self.story.make_pool(limits={"usdPerHour": CAP_USD_HOUR})
        service = self.story.service("web", REPLICAS, cpu="1200m", minAvailable=REPLICAS - 1)
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
        self.begin()
        arrived = self._wait_running_or_reached()
        if not arrived:
            self._take_over(gated, at)
            story.wait_running(REPLICAS, "web")
        victim = self.interrupt_one()
        if at and arrived:
            self._wait_without_operators(lambda: self.reached() or self._is_gone(victim), f"the call {at.name}")
            if self.reached():
                self._take_over(gated, at)
        story.wait_gone(victim)
        story.wait_running(REPLICAS, "web")
        if at and at.do == "stop" and self.reached():
            self.wake(gated)
        story.settle()
        story.wait(self._is_quiet, "claims, instances and Nodes to be the same")

    def _wait_running_or_reached(self) -> bool:
        """True when all pods run, False when the gate was reached before."""

        def answer() -> str:
            if self.reached():
                return "reached"
            ready = [pod for pod in self.story.pods("web") if (pod["status"].get("phase")) == "Running"]
            return "running" if len(ready) == REPLICAS else ""

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
        other = self.site.start_operator()
        self.story.wait(lambda: self.leads(other), "another operator to lead")

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


def tell(scene: Scene, at: At | None = None) -> History:
    """Plays the life with a gate at that call, and returns what was seen of it."""
    namespace, site = scene.story.namespace, scene.site
    with recording(site.cluster.kubeconfig, namespace) as finish:
        scene.play(scene.start_gated(at), at)
        probes = [pod for pod in scene.story.pods() if name_of(pod).startswith("settled")]
        history = finish([each for each in site.call_cloud("GET", "/v1/log")["events"] if _is_of(scene, each)])
    return without(history, {pod["metadata"]["uid"] for pod in probes})


def _is_of(scene: Scene, event: dict[str, object]) -> bool:
    return str(event.get("name", "")).startswith(scene.story.pool)


def without(history: History, probes: set[str]) -> History:
    """What asks whether the operator is done never runs, and is no part of the story."""
    pods = tuple(pod for pod in history.pods if pod.uid not in probes)
    return History(history.claims, pods, history.instances, history.nodes, history.ended_at)


def verdicts(history: History) -> tuple[Verdict, ...]:
    return check(history, CAP_USD_HOUR)


def violations(history: History) -> list[str]:
    return [f"{verdict.name}: {each}" for verdict in verdicts(history) for each in verdict.violations]
