"""How wide divisible jobs run: runtime partitioning (arXiv 2510.15485, section 4), in whole pods.

A divisible job that runs keeps its least width, and asks for all further pods anew in each cycle, at its place in the
order among those that wait:

    entitled    the width that it would have if all divisible jobs had their least one and asked for the rest anew
    shrinks     to that as its pods end: they are not followed by others, and none is interrupted
    grows       up to that, into what is free when its turn comes

What a job is entitled to does not depend on how wide anybody runs, so that widths come to rest once there is no news.
Nobody is preempted for growth, and nobody is entitled to what preemption would give him.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from spotkube.queueing.capacity import Capacity, Refusal
from spotkube.queueing.cycle import decide
from spotkube.queueing.decisions import Decisions
from spotkube.queueing.jobs import Amounts, Job, Running, Waiting, not_passed
from spotkube.queueing.queues import Stop
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.scene import Scene


@dataclass(frozen=True)
class Growth(Job):
    """Pods that a job which runs could have besides. Their room comes back when they end, however many they are."""

    @property
    def may_preempt(self) -> bool:
        return False

    @property
    def worth_micro_usd(self) -> int:
        return 0  # It is no reason to end others, either.

    def run_seconds_at(self, width: int) -> float:
        return self.run_seconds


@dataclass(frozen=True)
class Shared:
    """A cycle's decisions, and the widths that change. In `scene` those that shrink give back what they shed, and all
    that may change are told their due."""

    scene: Scene
    decisions: Decisions
    widths: Mapping[str, int]
    """By UID. One below its present width is come to as pods end."""


def share(scene: Scene, pod_starts: Mapping[str, Sequence[float]] | None = None) -> Shared:
    """Decides a cycle, with the widths of those divisible jobs that run in queues which are not stopped.

    Args:
        scene: nothing in it is changed in the end.
        pod_starts: when the pods that run have begun, by the UID of their job (Unix times); those that are missing are
            taken to begin now. They only say when room will be there.
    """
    divided = {uid: one for uid, one in scene.running.items() if _may_change(scene, one)}
    if not divided:
        return Shared(scene, decide(scene), {})
    entitled = _entitled(scene, divided)
    divided = {uid: _with_due(one, entitled[uid]) for uid, one in divided.items()}
    shrinking = {
        uid: _shrinking(one, entitled[uid], (pod_starts or {}).get(uid, ()), scene.now_seconds)
        for uid, one in divided.items()
        if entitled[uid] < one.width
    }
    scene = replace(scene, running={**scene.running, **divided, **shrinking})
    growths = {uid: _growth(one, more) for uid, one in divided.items() if (more := entitled[uid] - one.width) > 0}
    decisions, granted = _decide(scene, growths)
    widths = {uid: entitled[uid] for uid in shrinking}
    widths |= {uid: divided[uid].width + pods for uid, pods in granted.items()}
    ended = {one.uid for one in decisions.ended}
    return Shared(scene, decisions, {uid: width for uid, width in widths.items() if uid not in ended})


def _may_change(scene: Scene, one: Running) -> bool:
    return one.division is not None and scene.queues[one.job.queue].stop is Stop.NONE


def _entitled(scene: Scene, divided: Mapping[str, Running]) -> dict[str, int]:
    """By two walks: what a job borrows it is given when all others had what is their own, which the first one finds."""
    widths = {uid: _least(one) for uid, one in divided.items()}
    for _ in range(2):
        granted = _granted(scene, divided, widths)
        widths = {uid: width + granted.get(uid, 0) for uid, width in widths.items()}
        if not any(scene.queues[one.job.queue].cohort for one in divided.values()):
            break
    return widths


def _granted(scene: Scene, divided: Mapping[str, Running], widths: Mapping[str, int]) -> dict[str, int]:
    """How many pods each would have besides, if they had these widths."""
    freed: Counter[str] = Counter()
    narrow = {}
    for uid, one in divided.items():
        narrow[uid] = replace(one, width=widths[uid])
        freed.update({name: amount - narrow[uid].amounts.get(name, 0) for name, amount in one.amounts.items()})
    running = {**scene.running, **narrow}
    trial = replace(
        scene,
        running=running,
        ledger=Ledger.of(scene.queues, running.values()),
        capacity=_Freed(scene.capacity, freed),
        rules=replace(scene.rules, max_preemptions=0),
    )
    growths = {uid: _growth(one, more) for uid, one in narrow.items() if (more := _most(one) - one.width) > 0}
    return _decide(trial, growths)[1]


def _least(one: Running) -> int:
    """Never more than it has: what is missing it asks for, too."""
    return min(one.job.least_width, _most(one), one.width)


def _most(one: Running) -> int:
    assert one.division is not None
    return max(1, min(one.job.parallelism, one.division.unfinished))


def _decide(scene: Scene, growths: Mapping[str, Waiting]) -> tuple[Decisions, dict[str, int]]:
    """What is decided, and how many pods each growth is granted, by the UID of its job."""
    with _asking(scene, growths.values()):
        decisions = decide(scene)
    owners = {growth.job.uid: uid for uid, growth in growths.items()}
    granted = {owners[one.uid]: one.width for one in decisions.admitted if one.uid in owners}
    admitted = tuple(one for one in decisions.admitted if one.uid not in owners)
    reservations = tuple(one for one in decisions.reservations if one.uid not in owners)
    return replace(decisions, admitted=admitted, reservations=reservations), granted


@contextmanager
def _asking(scene: Scene, growths: Collection[Waiting]) -> Iterator[None]:
    """They wait with the others meanwhile. To make a backlog anew would take the time of all that wait."""
    for growth in growths:
        scene.backlog.put(growth)
    try:
        yield
    finally:
        for growth in growths:
            scene.backlog.remove(growth.job.uid)


def _growth(one: Running, pods: int) -> Waiting:
    job, division = one.job, one.division
    assert division is not None
    (pod_set,) = job.pod_sets
    price = job.price_usd_hour
    growth = Growth(
        uid=f"{job.uid}+",
        name=f"{job.name} (more pods of it)",
        queue=job.queue,
        tenant=job.tenant,
        # A name of its own, so that it is in no line with jobs that wait.
        pod_sets=(replace(pod_set, name="growth", count=pods),),
        submitted_seconds=job.submitted_seconds,
        priority=job.priority,
        run_seconds=division.pod_seconds,
        price_usd_hour=None if price is None else price * pods / job.parallelism,
        min_parallelism=1,
    )
    return Waiting(growth, one.key)


def _with_due(one: Running, entitled: int) -> Running:
    assert one.division is not None
    return replace(one, division=replace(one.division, entitled=entitled))


def _shrinking(one: Running, target: int, starts: Sequence[float], now_seconds: float) -> Running:
    division = one.division
    assert division is not None
    ends = sorted(start + not_passed(division.pod_seconds, now_seconds - start) for start in starts)
    sheds = one.width - target
    at = ends[sheds - 1] if sheds <= len(ends) else now_seconds + division.pod_seconds
    return replace(one, division=replace(division, target=target, shed_seconds=at))


@dataclass(frozen=True)
class _Freed:
    """A capacity in which so much less is used."""

    capacity: Capacity
    freed: Amounts

    def room(self) -> Amounts | None:
        room = self.capacity.room()
        return None if room is None else {name: amount + self.freed.get(name, 0) for name, amount in room.items()}

    def most(self) -> Amounts | None:
        return self.capacity.most()

    def refusals(self, placed: Sequence[tuple[Job, int]]) -> Mapping[str, Refusal]:
        return self.capacity.refusals(placed)
