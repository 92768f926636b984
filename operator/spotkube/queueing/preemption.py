"""Who is ended so that a job which waits can run.

Two reasons allow it. *Reclaim*: the job stays within its queue's own quota; then jobs of other queues of the cohort
that were admitted on borrowed quota may go, while their queue uses more than its own. *Priority*: jobs of lower
priority in the same queue may go; those that stand within the quota only for one that will stand within it as well.

No loops. Count the running jobs within their quota by priority, highest first, and after them the borrowing ones the
same way. Every admission makes this vector larger in lexicographic order: a job within quota only ends borrowing ones
and lower ones within quota, a borrowing one only ends lower borrowing ones. A finite set of jobs has finitely many such
vectors, so without news the cycles come to rest. Besides, nobody ever preempts one of his own preemptors, and nobody is
preempted more than `Rules.max_preemptions` times, and nobody who could not come again (`Job.preemptible`).

Only where it pays. What is lost: of each victim the work since it started or was last saved, and `restart_seconds`
more. What is gained: the work that the room does from now until it would have come free by itself, of which no more
counts than waits in the job's queue. Both are in dollars (`Job.worth_usd_hour`). Loss must be below gain.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from spotkube.queueing.decisions import Cause
from spotkube.queueing.jobs import HOUR_SECONDS, MICRO, Amounts, Job, Running
from spotkube.queueing.room import Lack, Level, Room
from spotkube.queueing.rules import Rules


@dataclass(frozen=True, slots=True)
class Victim:
    """A job that may be ended, and what that destroys."""

    running: Running
    cause: Cause
    loss_usd: float

    @property
    def order(self) -> tuple[float, float, str]:
        """Cheapest first, then the one that was admitted last."""
        return self.loss_usd, -self.running.admitted_seconds, self.running.job.uid


def gain_usd(job: Job, width: int, earlier_seconds: float | None, waiting_micro_usd: int) -> float:
    """What it is worth that the job starts so much earlier; None: it would not start by itself."""
    waiting = waiting_micro_usd / MICRO
    if earlier_seconds is None:
        return waiting
    worth = job.worth_usd_hour * width / max(1, job.parallelism)
    return min(waiting, worth * earlier_seconds / HOUR_SECONDS)


def loss_usd(running: Running, now_seconds: float, rules: Rules) -> float:
    """What is destroyed when it is ended now."""
    worth = running.job.worth_usd_hour * running.width / max(1, running.job.parallelism)
    return worth * (running.unsaved_seconds(now_seconds) + rules.restart_seconds) / HOUR_SECONDS


def choose(
    job: Job, amounts: Amounts, room: Room, running: Iterable[Running], now_seconds: float, rules: Rules
) -> tuple[Victim, ...]:
    """The victims whose end gives the job its room, as cheap as found, none of whom could be spared; else empty.

    Args:
        amounts: what the job takes; there is no room for it in `room`.
        running: those of the job's cohort, its own queue among them.
    """
    reclaims = room.ledger.within_nominal(job.queue, amounts)
    candidates = sorted(_candidates(job, reclaims, running, now_seconds, rules), key=lambda victim: victim.order)
    if not candidates:
        return ()
    found = _cheapest(job, amounts, room, candidates)
    if reclaims or not found or all(not one.running.nominal for one in found):
        return found
    after = room.copy()
    for one in found:
        after.give_back(one.running.job.queue, one.running.amounts)
    if after.ledger.within_nominal(job.queue, amounts):
        return found
    return _cheapest(job, amounts, room, [one for one in candidates if not one.running.nominal])


def _candidates(
    job: Job, reclaims: bool, running: Iterable[Running], now_seconds: float, rules: Rules
) -> Iterable[Victim]:
    for one in running:
        if not one.job.preemptible or len(one.job.preemptors) >= rules.max_preemptions:
            continue
        if one.job.uid in job.preemptors:
            continue
        if one.job.queue == job.queue:
            if one.job.priority < job.priority:
                yield Victim(one, Cause.PRIORITY, loss_usd(one, now_seconds, rules))
        elif reclaims and not one.nominal:
            yield Victim(one, Cause.RECLAIMED, loss_usd(one, now_seconds, rules))


def _cheapest(job: Job, amounts: Amounts, room: Room, candidates: list[Victim]) -> tuple[Victim, ...]:
    several = _spared(job, amounts, room, _greedy(job, amounts, room, candidates))
    if len(several) <= 1:
        return several
    most = sum(one.loss_usd for one in several)
    alone = (one for one in candidates if one.loss_usd <= most and _suffices(job, amounts, room, one))
    single = next(alone, None)
    return several if single is None else (single,)


def _greedy(job: Job, amounts: Amounts, room: Room, candidates: list[Victim]) -> list[Victim]:
    trial, left, chosen = room.copy(), list(candidates), list[Victim]()
    while (lack := trial.lack(job.queue, amounts)) is not None:
        victim = next((one for one in left if _helps(one, lack, job, trial)), None)
        if victim is None:
            return []
        trial.give_back(victim.running.job.queue, victim.running.amounts)
        left.remove(victim)
        chosen.append(victim)
    return chosen


def _spared(job: Job, amounts: Amounts, room: Room, chosen: list[Victim]) -> tuple[Victim, ...]:
    """Without those that are not needed after all, the dearest first."""
    trial = room.copy()
    for one in chosen:
        trial.give_back(one.running.job.queue, one.running.amounts)
    kept = list(chosen)
    for one in sorted(chosen, key=lambda victim: victim.order, reverse=True):
        trial.take(one.running.job.queue, one.running.amounts)
        if trial.lack(job.queue, amounts) is None:
            kept.remove(one)
        else:
            trial.give_back(one.running.job.queue, one.running.amounts)
    return tuple(kept)


def _suffices(job: Job, amounts: Amounts, room: Room, victim: Victim) -> bool:
    lack = room.lack(job.queue, amounts)
    if lack is None or not _helps(victim, lack, job, room):
        return False
    trial = room.copy()
    trial.give_back(victim.running.job.queue, victim.running.amounts)
    return trial.lack(job.queue, amounts) is None


def _helps(victim: Victim, lack: Lack, job: Job, room: Room) -> bool:
    running = victim.running
    if not running.amounts.get(lack.resource):
        return False
    if running.job.queue == job.queue:
        return True
    if lack.level is Level.QUEUE:
        return False
    over = (lack.resource,) if lack.level is Level.COHORT else tuple(running.amounts)
    return any(room.ledger.borrowed(running.job.queue, name) > 0 for name in over)
