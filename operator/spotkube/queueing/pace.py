"""When those start whom the play did not come to: what is before them in their queue, at the pace it had so far."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from spotkube.queueing.jobs import Job
from spotkube.queueing.queues import Stop
from spotkube.queueing.room import counted
from spotkube.queueing.scene import Scene

Begun = tuple[float, Job, int]
"""When (Unix time), and with how many pods."""


def at_pace(scene: Scene, begun: Sequence[Begun]) -> Iterator[Begun]:
    """The others of the backlog that can ever start, in the order of their queues. A queue of which nothing began has
    the pace of the others; nobody is told anything if nothing began at all."""
    now = scene.now_seconds
    until = max((at for at, _, _ in begun), default=now)
    gone, done = {job.uid for _, job, _ in begun}, Counter[str]()
    for at, job, _ in begun:
        done[job.queue] += _work(job) if at > now else 0
    if until <= now or not done.total():
        return
    other = done.total() / len(done)
    ahead: dict[str, float] = defaultdict(float)
    left = (one for one in scene.backlog if one.job.uid not in gone and can_ever_start(scene, one.job))
    for waiting in sorted(left, key=scene.backlog.order):
        job = waiting.job
        yield until + ahead[job.queue] / (done[job.queue] or other) * (until - now), job, job.least_width
        ahead[job.queue] += _work(job)


def _work(job: Job) -> int:
    return max(1, job.worth_micro_usd)


def can_ever_start(scene: Scene, job: Job) -> bool:
    """Whether it is complete, and would find room if nothing ran."""
    queue = scene.queues.get(job.queue)
    if queue is None or queue.stop is not Stop.NONE or job.missing_pods > 0:
        return False
    most = scene.capacity.most()
    for name, amount in job.amounts(job.least_width).items():
        limit = scene.ledger.most(job.queue, name)
        if limit is not None and amount > limit:
            return False
        if most is not None and counted(name, most) and amount > most.get(name, 0):
            return False
    return True
