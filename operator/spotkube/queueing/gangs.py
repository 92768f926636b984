"""Jobs that run but should not: gangs that are not ready in time, and all of a queue that is drained."""

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
        queue = queues.get(one.job.queue)
        if queue is not None and queue.stop is Stop.HOLD_AND_DRAIN:
            ended.append(Ending(one.job.uid, Cause.DRAINED))
        elif one.job.gang and not one.ready and now_seconds - one.admitted_seconds >= rules.ready_seconds:
            ended.append(Ending(one.job.uid, Cause.NOT_READY))
    return tuple(sorted(ended, key=lambda ending: ending.uid))
