"""When the jobs that wait will start, and how sure that is.

The queue is played forward: by its own cycles as far as that is cheap (`ahead`), then faster (`play`), and who still
waits when that has cost enough is told by the work before him (`pace`). What is not foreseen is new submissions, what
the planner refuses, and what budgets of a day or month have left later. The errors that were made lately, of which that
is a part, correct it and make the range that is meant for four starts of five (`outcomes`).

As long as too few errors are known the range is from those of the estimates of runs. If half of the runs are off by no
more than a factor r, and errors are lognormal, then the logarithm of a run's error has the standard deviation ln(r) /
0.6745. A wait of m runs, one after the other, is off by less by the root of m; but runs of one class err together, and
one that ends early or late changes who passes whom, so that no more than MOST_RUNS count.
"""

import math
from collections.abc import Mapping

from spotkube.queueing.ahead import MOST_WAITING, Ahead
from spotkube.queueing.jobs import Job
from spotkube.queueing.outcomes import Start, Waits
from spotkube.queueing.pace import Begun, at_pace
from spotkube.queueing.play import Play
from spotkube.queueing.scene import Scene

QUARTILE = 0.6745
TENTH = 1.2816
"""Standard deviations from the middle within which half, and four fifths, of a normal distribution lie."""
MOST_RUNS = 2
LOOKS, LOOKS_A_JOB = 2000, 2
"""What the fast part may cost: about a tenth of a second for 500 that wait, and a second for 10,000."""


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
    played = _played(scene)
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


def _played(scene: Scene) -> list[Begun]:
    """In order of time, but for those whom the play doesn't come to."""
    begun = list[Begun]()
    if len(scene.backlog) <= MOST_WAITING:
        ahead = Ahead(scene)
        ahead.play()
        begun += ahead.starts
        scene = ahead.scene
    play = Play(scene, LOOKS + LOOKS_A_JOB * len(scene.backlog))
    begun += play
    return begun if play.looks > 0 else [*begun, *at_pace(scene, begun)]
