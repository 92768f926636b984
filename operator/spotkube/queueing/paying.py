"""What the virtual clock is told of a job that has, or had, its turn: who pays for it, and how much."""

from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.records import Record
from spotkube.queueing.seen import Seen


def end_turn(clock: VirtualClock, uid: str, record: Record) -> None:
    """From now on whoever waits is before it."""
    if record.has_turn:
        clock.dispatch(uid)
    record.has_turn = False


def go_on(clock: VirtualClock, uid: str, record: Record, one: Seen, now: float) -> None:
    """It has its turn until its last pod has begun, or it has had what its size said."""
    record.progress = record.progress.turned(one.width / one.job.parallelism, now)
    if one.divided is None or one.divided.all_begun or record.progress.at(now) >= record.run_seconds:
        end_turn(clock, uid, record)
        _charge_if_late(clock, uid, record, now)


def hand_over(clock: VirtualClock, uid: str, record: Record, tenant: str, now: float) -> None:
    """Its namespace is another tenant's now, with whom it stands as if it came at this moment. What it ran so far is
    its former tenant's to pay."""
    record.path = record.path[0], tenant
    if not record.runs:
        clock.withdraw(uid)
        clock.submit(uid, record.path, record.size, record.submitted)
        return
    had_turn, paid = record.has_turn, record.taken(record.progress.at(now))
    end_turn(clock, uid, record)
    clock.finish(uid, paid)
    record.paid_by_others += paid
    clock.submit(uid, record.path, max(0.0, record.size - record.paid_by_others), record.submitted)
    record.has_turn = True
    if not had_turn:
        end_turn(clock, uid, record)


def take_back(clock: VirtualClock, uid: str, record: Record) -> None:
    """It waits again, at its place."""
    if not record.has_turn:
        clock.requeue(uid)
    record.runs = record.has_turn = record.leaving = record.was_ready = False
    record.paid_by_others = 0.0


def _charge_if_late(clock: VirtualClock, uid: str, record: Record, now: float) -> None:
    """What a late job takes beyond its estimate is its tenant's to pay, as soon as it is seen."""
    worked = record.progress.at(now)
    if worked > record.run_seconds:
        clock.correct(uid, record.taken(worked))
