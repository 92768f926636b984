"""Divisible jobs that run, and a small world in which their pods begin, end, and are followed by others or not."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from queue_support import NOON, make_job
from spotkube.queueing.backlog import Backlog
from spotkube.queueing.capacity import Aggregate
from spotkube.queueing.decisions import started
from spotkube.queueing.jobs import Division, Job, Running, Waiting
from spotkube.queueing.queues import Queue
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.scene import Scene
from spotkube.queueing.widths import Shared, share

POD_SECONDS = 60.0


def divided(
    uid: str, width: int, *, of: int, least: int = 1, place: float = 1.0, unfinished: int = 1000, **more: Any
) -> Running:
    """A divisible job of pods of a minute that runs, and stands at `place` in the order with what it wants besides."""
    job = make_job(uid=uid, pods=of, run=36000, min_parallelism=least, **more)
    division = Division(unfinished, POD_SECONDS, 0.0)
    return Running(job, NOON, width, key=place, division=division)


def waiting(job: Job, place: float) -> Waiting:
    return Waiting(job, place)


def make_scene(
    queues: Iterable[Queue], running: Iterable[Running], backlog: Iterable[Waiting] = (), cores: int | None = None
) -> Scene:
    by_name, there = {queue.name: queue for queue in queues}, {one.job.uid: one for one in running}
    capacity = Aggregate()
    if cores is not None:
        capacity = Aggregate({"cpu": 1000 * cores}, {"cpu": sum(one.amounts.get("cpu", 0) for one in there.values())})
    return Scene(NOON, by_name, Backlog(by_name, backlog), there, Ledger.of(by_name, there.values()), capacity)


def carried_out(scene: Scene, shared: Shared, *, shrinks: bool = True) -> Scene:
    """The scene once all is done: who was ended is gone, who was admitted runs, and widths are what they shall be
    (those that shrink only where pods have ended)."""
    ended = {one.uid for one in shared.decisions.ended}
    running = {uid: one for uid, one in scene.running.items() if uid not in ended}
    for uid, width in shared.widths.items():
        if shrinks or width > running[uid].width:
            running[uid] = replace(running[uid], width=width)
    backlog = {one.job.uid: one for one in scene.backlog}
    for admission in shared.decisions.admitted:
        one = backlog.pop(admission.uid)
        begun = started(one, admission, scene.now_seconds)
        if one.job.divisible:
            begun = replace(begun, division=Division(1000, POD_SECONDS, 0.0))
        running[admission.uid] = begun
    cores = scene.capacity.most()
    return make_scene(
        scene.queues.values(), running.values(), backlog.values(), None if cores is None else cores["cpu"] // 1000
    )


@dataclass
class Cluster:
    """Jobs with pods that end in any order. A pod that ends is followed by one behind the gate; of these each cycle
    lets go as many as the width allows."""

    scene: Scene
    random: random.Random
    pods: dict[str, int] = field(default_factory=dict)
    """How many were let go and have not ended, by job."""

    def __post_init__(self) -> None:
        self.pods = {uid: one.width for uid, one in self.scene.running.items()}

    def cycle(self) -> Shared:
        shared = share(self.scene)
        after = carried_out(self.scene, shared, shrinks=False)
        self.pods = {uid: count for uid, count in self.pods.items() if uid in after.running}
        running = dict(after.running)
        for uid, one in after.running.items():
            target = shared.widths.get(uid, one.width)
            if target < self.scene.running[uid].width if uid in self.scene.running else False:
                running[uid] = replace(one, width=max(target, self.pods[uid]))
            else:
                self.pods[uid] = one.width
        self.scene = self._with(running.values(), after.backlog)
        return shared

    def end_a_pod(self) -> None:
        uid = self.random.choice([uid for uid, count in sorted(self.pods.items()) if count])
        self.pods[uid] -= 1
        one = self.scene.running[uid]
        if one.division is None:
            if not self.pods[uid]:
                self._drop(uid)
            return
        left = one.division.unfinished - 1
        if not left:
            self._drop(uid)
            return
        running = dict(self.scene.running)
        running[uid] = replace(one, width=min(one.width, left), division=replace(one.division, unfinished=left))
        self.scene = self._with(running.values(), self.scene.backlog)

    def submit(self, one: Waiting) -> None:
        self.scene = self._with(self.scene.running.values(), [*self.scene.backlog, one])

    def _drop(self, uid: str) -> None:
        del self.pods[uid]
        self.scene = self._with((o for u, o in self.scene.running.items() if u != uid), self.scene.backlog)

    def _with(self, running: Iterable[Running], backlog: Iterable[Waiting]) -> Scene:
        cores = self.scene.capacity.most()
        whole = None if cores is None else cores["cpu"] // 1000
        return make_scene(self.scene.queues.values(), running, list(backlog), whole)
