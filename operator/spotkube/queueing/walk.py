"""One walk through the jobs that wait: the part of a cycle that keeps what is left up to date."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from spotkube.queueing import budgets, reasons
from spotkube.queueing.backlog import Line, LineKey, Turn
from spotkube.queueing.capacity import Refusal
from spotkube.queueing.decisions import Admission, Ending, Reservation, own_reason, started
from spotkube.queueing.jobs import Amounts, Job, Running, Waiting
from spotkube.queueing.preemption import Victim, choose, gain_usd
from spotkube.queueing.queues import Stop
from spotkube.queueing.reasons import Reason, Why
from spotkube.queueing.reservations import Ends, Reservations, first_fit
from spotkube.queueing.room import Level, Room, counted
from spotkube.queueing.scene import Scene


class Walk:
    """Decides for each job in turn. `refused` are those that capacity was asked for in vain; `leaving` run, but are
    ended anyway, and nobody need be preempted for what they leave.
    """

    def __init__(self, scene: Scene, refused: Mapping[str, Refusal], leaving: frozenset[str]) -> None:
        self._scene = scene
        self._refused = refused
        self._leaving = leaving
        self._now_seconds = scene.now_seconds
        self._room = Room(scene.ledger.copy(), scene.capacity.room())
        self._most = scene.capacity.most()
        self._left: dict[str, tuple[budgets.Left, ...]] = {}
        open_queues = [name for name, queue in scene.queues.items() if queue.stop is Stop.NONE]
        self._turn = Turn(scene.backlog, [(line, 0) for name in open_queues for line in scene.backlog.lines(name)])
        self._ends = Ends(scene.running.values(), scene.now_seconds)
        self.reservations = Reservations(self._room, scene.now_seconds, scene.rules.aging_seconds)
        self.admitted: list[Admission] = []
        self.ended: list[Ending] = []
        self.lines: dict[LineKey, Reason] = {}
        self.placed: list[tuple[Job, int]] = []
        """What is admitted, with the number of its pods."""

    def go(self) -> None:
        """Through all lines."""
        for waiting, line in self._turn:
            if own_reason(waiting, self._now_seconds) is None:
                self._consider(waiting, line)

    def _consider(self, waiting: Waiting, line: Line) -> None:
        job = waiting.job
        if (never := self._never(job)) is not None:
            self._close(line, job, never)
        elif (refusal := self._refused.get(job.uid)) is not None:
            self._refuse(waiting, line, refusal)
        elif (over := self._over_budget(job, job.least_width)) is not None:
            self._leave_out(line, job, over)
        elif self._would_borrow(job) and self._turn.put_off(job.queue):
            return
        elif width := self._width(job):
            self._admit_unless_in_the_way(waiting, line, width)
        else:
            self._preempt_or_reserve(waiting, line)

    def _would_borrow(self, job: Job) -> bool:
        return self._room.ledger.would_borrow(job.queue, job.amounts(job.least_width))

    def _width(self, job: Job) -> int:
        """With how many pods it may run; as long as others have not had what is their own, no more than is its own."""
        if self._turn.is_put_off(job.queue):
            return self._room.width(job)
        return self._room.width(job, self._room.ledger.within_nominal)

    def _never(self, job: Job) -> Reason | None:
        queue = self._scene.queues[job.queue]
        if job.price_usd_hour is None and queue.budget.limited:
            words = f"no price is known for it, and queue {job.queue} has a budget: let a NodePool offer what it needs"
            return Reason(Why.BUDGET, words)
        for name, amount in job.amounts(job.least_width).items():
            most = self._room.ledger.most(job.queue, name)
            if most is not None and amount > most:
                return reasons.too_large(name, amount, most, f"queue {job.queue}")
            if self._most is not None and counted(name, self._most) and amount > self._most.get(name, 0):
                return reasons.too_large(name, amount, self._most.get(name, 0), "the cluster with all it may buy")
        return None

    def _refuse(self, waiting: Waiting, line: Line, refusal: Refusal) -> None:
        job = waiting.job
        if refusal.for_ever:
            self._close(line, job, Reason(Why.TOO_LARGE, f"{refusal.words}: ask for less, or raise that"))
            return
        amounts = job.amounts(job.least_width)
        if self._room.lack(job.queue, amounts) is None and self._reservable(Level.CLUSTER, job, amounts):
            nothing = dict.fromkeys(amounts, 0)
            # By the sums it fits, so they don't say when; nothing that outlasts the next end may pass.
            self.reservations.make(waiting, amounts, Level.CLUSTER, self._ends.first(), {Level.CLUSTER: nothing})
        self._close(line, job, Reason(Why.NO_CAPACITY, refusal.words))

    def _over_budget(self, job: Job, width: int) -> tuple[Reason, float] | None:
        """Why the day or month doesn't pay for the job, and how long one of its kind may run."""
        usd_hour = (job.price_usd_hour or 0.0) * width / max(1, job.parallelism)
        end = self._now_seconds + job.run_seconds_at(width)
        for left in self._lefts(job.queue):
            cost = left.cost_usd(self._now_seconds, end, usd_hour)
            if cost > left.usd:
                longest = left.longest_seconds(self._now_seconds, usd_hour)
                return reasons.over_budget(left, job.queue, cost), longest * width / max(1, job.parallelism)
        return None

    def _lefts(self, queue: str) -> tuple[budgets.Left, ...]:
        if queue not in self._left:
            spent = self._scene.spent.get(queue, budgets.Spent())
            running = self._running_of_queue.get(queue, ())
            self._left[queue] = budgets.lefts(self._scene.queues[queue].budget, spent, running, self._now_seconds)
        return self._left[queue]

    def _admit_unless_in_the_way(self, waiting: Waiting, line: Line, width: int) -> None:
        job = waiting.job
        if self._over_budget(job, width) is not None:
            width = job.least_width  # More of it falls into this day the wider it runs; this much is paid for.
        moved = self._moved(job, width)
        if moved is not None and width > job.least_width:
            width = job.least_width
            moved = self._moved(job, width)
        if moved is None:
            self._admit(waiting, width)
            return
        reason = reasons.behind(moved.uid, moved.name, moved.start_seconds)
        if moved.strict or moved.start_seconds is None:
            self._close(line, job, reason)
        else:
            self._leave_out(line, job, (reason, moved.start_seconds - self._now_seconds))

    def _moved(self, job: Job, width: int) -> Reservation | None:
        end = self._now_seconds + job.run_seconds_at(width)
        return self.reservations.in_the_way(job.queue, job.amounts(width), end)

    def _preempt_or_reserve(self, waiting: Waiting, line: Line) -> None:
        job = waiting.job
        amounts = job.amounts(job.least_width)
        lack = self._room.lack(job.queue, amounts)
        assert lack is not None, f"{job.name} fits with {job.least_width} pods, and has no width"
        free = self._reservable(lack.level, job, amounts)
        if free or self._may_preempt(job, amounts):
            start, spare = first_fit(self._ends, self._room, job, amounts, lack.level)
            if self._preempt(waiting, amounts, start):
                return
            if free and start is not None:
                self.reservations.make(waiting, amounts, lack.level, start, spare)
        self._close(line, job, reasons.of_lack(lack, job.queue, self._room.ledger.cohort_of(job.queue)))

    def _may_preempt(self, job: Job, amounts: Amounts) -> bool:
        """Whether there may be victims: quick, and true too often. Who has no weight has no claim on anybody."""
        if not job.may_preempt or self._scene.queues[job.queue].comes_last(job.tenant):
            return False
        if job.priority > self._lowest_priority.get(job.queue, job.priority):
            return True
        cohort = self._room.ledger.cohort_of(job.queue)
        return cohort in self._cohorts_with_borrowers and self._room.ledger.within_nominal(job.queue, amounts)

    def _reservable(self, level: Level, job: Job, amounts: Amounts) -> bool:
        return self.reservations.holder(level, job, amounts) is None

    def _preempt(self, waiting: Waiting, amounts: Amounts, start_seconds: float | None) -> bool:
        job, now = waiting.job, self._now_seconds
        if not self._may_preempt(job, amounts):
            return False
        if self._moved(job, job.least_width) is not None:
            return False
        victims = choose(job, amounts, self._room, self._eligible(job.queue), now, self._scene.rules)
        earlier = None if start_seconds is None else start_seconds - now
        gain = gain_usd(job, job.least_width, earlier, self._scene.backlog.worth_micro_usd(job.queue))
        if not victims or sum(one.loss_usd for one in victims) >= gain:
            return False
        for victim in victims:
            self._end(victim, job, gain)
        self._admit(waiting, job.least_width, tuple(one.running.job.uid for one in victims))
        return True

    def _eligible(self, queue: str) -> list[Running]:
        """Those that run in the queue and its cohort, were not admitted just now, and are not ended already."""
        cohort = self._room.ledger.cohort_of(queue)
        gone = {one.uid for one in self.ended} | self._leaving
        return [
            one
            for name, jobs in self._running_of_queue.items()
            if name == queue or (cohort is not None and self._room.ledger.cohort_of(name) == cohort)
            for one in jobs
            if one.job.uid not in gone
        ]

    def _end(self, victim: Victim, by: Job, gain: float) -> None:
        running = victim.running
        self._room.give_back(running.job.queue, running.amounts)
        self._ends.drop(running.job.uid)
        self.ended.append(Ending(running.job.uid, victim.cause, by.uid, victim.loss_usd, gain))

    def _admit(self, waiting: Waiting, width: int, after: tuple[str, ...] = ()) -> None:
        job, amounts = waiting.job, waiting.job.amounts(width)
        last = self._scene.queues[job.queue].comes_last(job.tenant)
        nominal = not last and self._room.ledger.within_nominal(job.queue, amounts)
        admission = Admission(job.uid, width, nominal, after)
        end = self._now_seconds + job.run_seconds_at(width)
        self.reservations.take(job.queue, amounts, end)
        self._room.take(job.queue, amounts)
        usd_hour = (job.price_usd_hour or 0.0) * width / max(1, job.parallelism)
        self._left[job.queue] = budgets.committed(self._lefts(job.queue), self._now_seconds, end, usd_hour)
        self.admitted.append(admission)
        self.placed.append((job, width))
        self._ends.add(started(waiting, admission, self._now_seconds))

    def _close(self, line: Line, job: Job, reason: Reason) -> None:
        self.lines[job.queue, job.shape] = reason
        self._turn.close(line)

    def _leave_out(self, line: Line, job: Job, found: tuple[Reason, float]) -> None:
        reason, longest_seconds = found
        self.lines[job.queue, job.shape] = reason
        self._turn.leave_out_longer(line, longest_seconds)

    @cached_property
    def _running_of_queue(self) -> dict[str, list[Running]]:
        found: dict[str, list[Running]] = defaultdict(list)
        for one in self._scene.running.values():
            found[one.job.queue].append(one)
        return found

    @cached_property
    def _cohorts_with_borrowers(self) -> set[str]:
        borrowing = {one.job.queue for one in self._scene.running.values() if not one.nominal}
        return {cohort for queue in borrowing if (cohort := self._room.ledger.cohort_of(queue)) is not None}

    @cached_property
    def _lowest_priority(self) -> dict[str, int]:
        return {name: min(one.job.priority for one in jobs) for name, jobs in self._running_of_queue.items()}
