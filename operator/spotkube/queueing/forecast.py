"""When the jobs that wait will start, and how sure that is.

The queue is played forward: by its own cycles as far as that is cheap (`ahead`), then faster (`play`). New submissions
are not foreseen, nor budgets of a day or month where the fast part begins; the errors that were made lately, of which
that is a part, correct it and make the range that is meant for four starts of five (`outcomes`).

As long as too few errors are known the range is from those of the estimates of runs. If half of the runs are off by no
more than a factor r, and errors are lognormal, then the logarithm of a run's error has the standard deviation ln(r) /
0.6745. A wait of m runs, one after the other, is off by less by the root of m; but runs of one class err together, and
one that ends early or late changes who passes whom, so that no more than MOST_RUNS count.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spotkube.queueing.ahead import Ahead
from spotkube.queueing.jobs import Job
from spotkube.queueing.outcomes import Waits
from spotkube.queueing.play import Play
from spotkube.queueing.scene import Scene

QUARTILE = 0.6745
TENTH = 1.2816
"""Standard deviations from the middle within which half, and four fifths, of a normal distribution lie."""
MOST_RUNS = 2


@dataclass(frozen=True, slots=True)
class Start:
    """Unix times: when it is likeliest, and the range for four of five."""

    start_seconds: float
    low_seconds: float
    high_seconds: float
    played_seconds: float
    """When it starts in the queue played forward, uncorrected."""


class _Seen:
    """What ran or started so far: how long such runs are, and how far estimates of them are off."""

    def __init__(self) -> None:
        self._runs = 0
        self._seconds = 0.0
        self._squares = 0.0

    def add(self, job: Job, width: int) -> None:
        self._runs += 1
        self._seconds += job.run_seconds_at(width)
        self._squares += math.log(max(1.0, job.error_ratio)) ** 2

    def factor(self, wait_seconds: float) -> float:
        """By how much a wait may be longer or shorter."""
        if not self._runs or wait_seconds <= 0:
            return 1.0
        deviation = math.sqrt(self._squares / self._runs) / QUARTILE
        runs = min(MOST_RUNS, max(1.0, wait_seconds * self._runs / max(1e-9, self._seconds)))
        # No factor is above e^20, so that nothing gets infinite.
        return math.exp(min(20.0, TENTH * deviation / math.sqrt(runs)))


def forecast(scene: Scene) -> Mapping[str, Start]:
    """By UID. Jobs that would not start by themselves, since they are held, too large, or incomplete, are absent."""
    now, seen, found = scene.now_seconds, _Seen(), dict[str, Start]()
    for one in scene.running.values():
        seen.add(one.job, one.width)
    played = list(_played(scene))
    waits = scene.errors.waits([at - now for at, _, _ in played]) if scene.errors.known else []
    for number, (at_seconds, job, width) in enumerate(played):
        wait = at_seconds - now
        factor = seen.factor(wait)
        seen.add(job, width)
        waiting = scene.backlog.get(job.uid)
        if waiting is None or job.uid in found:
            continue  # It runs, and is ended and begun again; or it has begun before.
        told = waits[number] if waits else Waits(wait, wait / factor, wait * factor)
        pause = max(now, waiting.backoff_until_seconds)
        start, low, high = (max(pause, now + one) for one in (told.seconds, told.low_seconds, told.high_seconds))
        found[job.uid] = Start(start, low, high, at_seconds)
    return found


def _played(scene: Scene) -> Iterator[tuple[float, Job, int]]:
    ahead = Ahead(scene)
    ahead.play()
    yield from ahead.starts
    yield from Play(ahead.scene)
