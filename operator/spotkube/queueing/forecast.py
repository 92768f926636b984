"""When the jobs that wait will start, and how sure that is.

The start is that of the queue played forward (`play.Play`). Around it stands a range that is meant for four starts of
five. If half of the runs are off by no more than a factor r, and errors are lognormal, then the logarithm of a run's
error has the standard deviation ln(r) / 0.6745. A wait of m runs, one after the other, is off by less by the root of m;
but runs of one class err together, and one that ends early or late changes who passes whom, so that no more than
MOST_RUNS count. Played with random errors, 6 to 9 of 10 starts fall into the range: the fewer, the smaller the errors
and the more they go together. New submissions and budgets of a day or month are not foreseen, which can make a start
later, nor is reclaim, which can make it earlier.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from spotkube.queueing.jobs import Job
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
    for at_seconds, job, width in Play(scene):
        factor = seen.factor(at_seconds - now)
        seen.add(job, width)
        wait = at_seconds - now
        waiting = scene.backlog.get(job.uid)
        pause = now if waiting is None else max(now, waiting.backoff_until_seconds)
        found[job.uid] = Start(*(max(pause, now + one) for one in (wait, wait / factor, wait * factor)))
    return found
