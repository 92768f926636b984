"""What waiting jobs are told in a replay, by us and by simple rivals, and what really happened."""

import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import results
from spotkube.model.resources import CPU
from spotkube.queueing.forecast import forecast
from spotkube.queueing.jobs import Job
from spotkube.queueing.scene import Scene
from spotkube.simulation.engine import Arrival, EngineCluster, Moment

OURS, UNCORRECTED, WORK, LAST = "spotkube", "spotkube uncorrected", "work ahead / capacity", "mean of the last waits"
LEAST_SECONDS = 60.0
"""An error is relative to the wait; a shorter wait counts as one of a minute."""
LAST_WAITS = 20
MOVES_BY = 0.2
"""A told start that goes by more of what is left to wait has moved."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What one job was told at one time, in Unix time; only we tell a range."""

    at: float
    start: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass
class Observer:
    """Asks everybody at most once in `gap_seconds` of virtual time, as soon as somebody waits who was told nothing."""

    cores: float
    gap_seconds: float
    learns: bool = True
    sayings: dict[str, dict[str, list[Saying]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """By who tells and by job."""
    _asked_at: float = -1e18
    _waits: deque[float] = field(default_factory=lambda: deque(maxlen=LAST_WAITS))
    _runs: set[str] = field(default_factory=set)

    def __call__(self, moment: Moment) -> None:
        scene, gone = moment.scene, {one.uid for one in moment.decisions.admitted}
        now = scene.now_seconds
        for uid in gone - self._runs:
            waiting = scene.backlog.get(uid)
            if waiting is not None:
                self._waits.append(now - waiting.job.submitted_seconds)
        self._runs |= gone
        if now < self._asked_at + self.gap_seconds or len(scene.backlog) == len(gone):
            return
        self._asked_at = now
        starts = {uid: one for uid, one in forecast(scene).items() if uid not in gone}
        if self.learns:
            moment.book.outcomes.tell(now, starts)
        work = work_ahead_seconds(scene, self.cores)
        mean = statistics.fmean(self._waits) if self._waits else 0.0
        for uid, one in starts.items():
            if uid in self._runs:
                continue  # It was taken back; what counts is its first start.
            self.sayings[OURS][uid].append(Saying(now, one.start_seconds, one.low_seconds, one.high_seconds))
            self.sayings[UNCORRECTED][uid].append(Saying(now, one.played_seconds))
            self.sayings[WORK][uid].append(Saying(now, now + work[uid]))
            waiting = scene.backlog.get(uid)
            submitted = waiting.job.submitted_seconds if waiting is not None else now
            self.sayings[LAST][uid].append(Saying(now, max(now, submitted + mean)))


def work_ahead_seconds(scene: Scene, cores: float) -> dict[str, float]:
    """Of each that waits, what is before it in the order and what runs, over the capacity."""
    now, ahead, found = scene.now_seconds, 0.0, {}
    for one in scene.running.values():
        ahead += max(0.0, one.end_seconds(now) - now) * one.amounts.get(CPU, 0) / 1000 / cores
    for waiting in sorted(scene.backlog, key=lambda one: one.key):
        found[waiting.job.uid] = ahead
        ahead += core_seconds(waiting.job) / cores
    return found


def core_seconds(job: Job) -> float:
    return job.run_seconds * job.full.get(CPU, 0) / 1000


def replay(
    cluster: EngineCluster, arrivals: Sequence[Arrival], gap_seconds: float, started: Callable[[int], None]
) -> Observer:
    """`started` is told how many have started so far."""
    observer = Observer(cluster.cores, gap_seconds)

    def watch(moment: Moment) -> None:
        observer(moment)
        started(len(cluster.starts))

    cluster.play(arrivals, watch)
    return observer


def measure(observer: Observer, starts: Mapping[str, float]) -> results.Row:
    """By who tells: what was told first, and all that was told while waiting."""
    return {who: _measure(by_job, starts) for who, by_job in observer.sayings.items()}


def _measure(by_job: Mapping[str, Sequence[Saying]], starts: Mapping[str, float]) -> results.Row:
    first = [(saying, starts[uid]) for uid, sayings in by_job.items() for saying in sayings[:1]]
    later = [(saying, starts[uid]) for uid, sayings in by_job.items() for saying in sayings[1:]]
    moves = [_moves(sayings) for sayings in by_job.values() if len(sayings) > 1]
    return {
        "at_submission": _errors(first),
        "while_waiting": _errors(later),
        "moves_a_job": round(statistics.fmean(moves), 2) if moves else 0.0,
    }


def _errors(pairs: Sequence[tuple[Saying, float]]) -> results.Row:
    if not pairs:
        return {"told": 0}
    seconds = [abs(saying.start - start) for saying, start in pairs]
    relative = [error / max(LEAST_SECONDS, start - one.at) for error, (one, start) in zip(seconds, pairs, strict=True)]
    ranges = [(one, start) for one, start in pairs if one.low == one.low]
    row = {
        "told": len(pairs),
        "median_error": quantile(relative, 0.5),
        "p90_error": quantile(relative, 0.9),
        "median_seconds": quantile(seconds, 0.5),
        "p90_seconds": quantile(seconds, 0.9),
        "median_wait_seconds": quantile([start - one.at for one, start in pairs], 0.5),
    }
    if ranges:
        inside = [one.low - 0.1 <= start <= one.high + 0.1 for one, start in ranges]
        widths = [(one.high - one.low) / max(LEAST_SECONDS, start - one.at) for one, start in ranges]
        row |= {"inside": statistics.fmean(inside), "median_width": quantile(widths, 0.5)}
    return row


def _moves(sayings: Sequence[Saying]) -> int:
    """How often it was told a start that differs by MOVES_BY of what was left to wait, from what it last was told."""
    last, moves = sayings[0], 0
    for one in sayings[1:]:
        if abs(one.start - last.start) > MOVES_BY * max(LEAST_SECONDS, last.start - one.at):
            last, moves = one, moves + 1
    return moves


def quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]
