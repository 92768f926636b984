"""Jobs that run but should not: gangs that are not ready in time, and all of a queue that is drained. Those that could
not come again (`Job.preemptible`) are let be."""

from collections.abc import Iterable, Mapping

from spotkube.queueing.decisions import Cause, Ending
from spotkube.queueing.jobs import Running
from spotkube.queueing.queues import Queue, Stop
from spotkube.queueing.rules import Rules


def given_back(
    queues: Mapping[str, Queue], running: Iterable[Running], now_seconds: float, rules: Rules
) -> tuple[Ending, ...]:
    """Those that end without anybody needing their room. It counts as free only when they have left."""
    ended = []
    for one in running:
        if not one.job.preemptible:
            continue
        queue = queues.get(one.job.queue)
        if queue is not None and queue.stop is Stop.HOLD_AND_DRAIN:
            ended.append(Ending(one.job.uid, Cause.DRAINED))
        elif is_late(one, now_seconds, rules):
            ended.append(Ending(one.job.uid, Cause.NOT_READY))
    return tuple(sorted(ended, key=lambda ending: ending.uid))


def is_late(running: Running, now_seconds: float, rules: Rules) -> bool:
    """Whether it is a gang that should be ready by now."""
    return running.job.gang and not running.ready and now_seconds - running.admitted_seconds >= rules.ready_seconds
