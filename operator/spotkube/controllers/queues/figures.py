"""What Prometheus is told of queues and tenants."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from spotkube.controllers.queues.overruns import Overruns
from spotkube.controllers.queues.standing import Standing
from spotkube.metrics import Metrics
from spotkube.queueing.book import Book
from spotkube.queueing.decisions import Cause
from spotkube.queueing.estimates import Estimate, Source
from spotkube.queueing.fairness import entitlements, jain, served
from spotkube.queueing.jobs import Amounts
from spotkube.queueing.queues import Queue
from spotkube.queueing.records import dominant_share
from spotkube.queueing.scene import Scene
from spotkube.queueing.seen import Phase, Seen
from spotkube.queueing.spending import Account

WIDTH_STATES = ("now", "due", "most")
# A wait that is shorter counts as this long: the ratio of moments says nothing.
LEAST_WAIT_SECONDS = 1.0


@dataclass
class _Work:
    """Of the tenants of one queue, by dominant share of all there is: what their jobs have, and with those that wait
    what they want."""

    gets: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wants: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class Figures:
    """Of queues and tenants that are gone nothing is left in the registry: it never holds more than there are."""

    def __init__(self, metrics: Metrics, overruns: Overruns) -> None:
        self._metrics = metrics
        self._overruns = overruns
        self._queues: set[str] = set()
        self._accounts: set[Account] = set()
        self._standing: set[Account] = set()
        self._divided: set[Account] = set()
        self._late: set[Account] = set()

    def ended(self, jobs: Iterable[Seen], book: Book) -> None:
        """How far their estimates were off, of jobs that have ended well since the book met them last."""
        for one in jobs:
            if one.phase is Phase.SUCCEEDED and (told := book.estimate_of(one.job.uid)):
                at = book.admitted_at(one.job.uid) or one.admitted_seconds
                ran = one.run_seconds if at is None else one.ran_seconds(at)
                self._tell_run(one.job.queue, told, ran or 0.0)

    def _tell_run(self, queue: str, told: Estimate, ran_seconds: float) -> None:
        if ran_seconds > 0:
            self._queues.add(queue)
            self._metrics.queue_run_time_ratio.labels(queue, told.source.value).observe(ran_seconds / told.seconds)

    def spent(self, usd: Mapping[Account, float]) -> None:
        """Dollars since the last time."""
        for account, dollars in usd.items():
            self._accounts.add(account)
            self._metrics.queue_spent_usd_total.labels(*account).inc(dollars)

    def let_go(self, account: Account, waited_seconds: float, now: float, told: tuple[float, float] | None) -> None:
        """A job's turn has come. `told` is when it was told a start first, and which one; None if it never was."""
        self._accounts.add(account)
        self._metrics.queue_wait_seconds.labels(*account).observe(max(0.0, waited_seconds))
        if told is not None:
            told_at, start = told
            expected, took = (max(LEAST_WAIT_SECONDS, moment - told_at) for moment in (start, now))
            self._metrics.queue_start_ratio.labels(account[0]).observe(took / expected)

    def stand(
        self,
        scene: Scene,
        totals: Amounts,
        standings: Mapping[str, Standing],
        rates_usd_hour: Mapping[Account, float],
        tenants: Collection[str],
    ) -> None:
        """How things stand now. `tenants` are all that there are, with work or without."""
        work, waiting = _work(scene, totals), Counter(one.queue for one in standings.values())
        for name, queue in scene.queues.items():
            self._metrics.queue_waiting.labels(name).set(waiting[name])
            self._tell_tenants(queue, work[name])
        for account, usd_hour in rates_usd_hour.items():
            self._metrics.queue_usd_per_hour.labels(*account).set(usd_hour)
        standing = {(name, tenant) for name, one in work.items() for tenant in one.wants} | rates_usd_hour.keys()
        gone = {one for one in self._accounts - standing if one[0] not in scene.queues or one[1] not in tenants}
        self._drop_idle(self._standing - standing)
        self._drop_gone(gone)
        self._drop_queues(self._queues - scene.queues.keys())
        self._standing, self._queues = standing, set(scene.queues)
        self._tell_widths(scene)
        self._tell_overruns(self._overruns.delays)

    def clear(self) -> None:
        """Another replica may lead, or there are no queues any more."""
        self._drop_idle(self._standing)
        self._drop_gone(set(self._accounts))
        self._drop_queues(self._queues)
        self._standing, self._queues = set(), set()
        self._drop_widths(self._divided)
        self._tell_overruns({})

    def _tell_tenants(self, queue: Queue, work: _Work) -> None:
        metrics, used = self._metrics, sum(work.gets.values())
        weights = {tenant: queue.tenant_weights.get(tenant, 1.0) for tenant in work.wants}
        for tenant, part in entitlements(weights).items():
            metrics.queue_entitled_ratio.labels(queue.name, tenant).set(part)
            share = work.gets[tenant] / used if used > 0 else 0.0
            metrics.queue_share_ratio.labels(queue.name, tenant).set(share)
        if weights:
            parts = served(work.gets, work.wants, weights)
            metrics.queue_jain_index.labels(queue.name).set(jain(parts))
        else:
            metrics.queue_jain_index.remove(queue.name)

    def _tell_widths(self, scene: Scene) -> None:
        """In a queue that is stopped widths stay what they are."""
        pods: dict[Account, Counter[str]] = defaultdict(Counter)
        for one in scene.running.values():
            if (division := one.division) is not None:
                due = one.width if division.entitled is None else division.entitled
                most = min(one.job.parallelism, division.unfinished)
                pods[one.job.queue, one.job.tenant].update({"now": one.width, "due": due, "most": most})
        for account, numbers in pods.items():
            for state, number in numbers.items():
                self._metrics.queue_width_pods.labels(*account, state).set(number)
        self._drop_widths(self._divided - pods.keys())
        self._divided = set(pods)

    def _tell_overruns(self, delays: Mapping[Account, tuple[int, float]]) -> None:
        metrics = self._metrics
        for account, (pods, seconds) in delays.items():
            metrics.queue_overrun_pods.labels(*account).set(pods)
            metrics.queue_overrun_seconds.labels(*account).set(seconds)
        for account in self._late - delays.keys():
            metrics.queue_overrun_pods.remove(*account)
            metrics.queue_overrun_seconds.remove(*account)
        self._late = set(delays)

    def _drop_widths(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            for state in WIDTH_STATES:
                self._metrics.queue_width_pods.remove(*account, state)

    def _drop_idle(self, accounts: Iterable[Account]) -> None:
        metrics = self._metrics
        for account in accounts:
            for metric in (metrics.queue_usd_per_hour, metrics.queue_share_ratio, metrics.queue_entitled_ratio):
                metric.remove(*account)

    def _drop_gone(self, accounts: set[Account]) -> None:
        for account in accounts:
            self._metrics.queue_spent_usd_total.remove(*account)
            self._metrics.queue_wait_seconds.remove(*account)
        self._accounts -= accounts

    def _drop_queues(self, names: Iterable[str]) -> None:
        metrics = self._metrics
        for name in names:
            for metric in (metrics.queue_waiting, metrics.queue_jain_index, metrics.queue_start_ratio):
                metric.remove(name)
            for cause in Cause:
                metrics.queue_preemptions_total.remove(name, cause.value)
            for source in Source:
                metrics.queue_run_time_ratio.remove(name, source.value)


def _work(scene: Scene, totals: Amounts) -> dict[str, _Work]:
    found: dict[str, _Work] = defaultdict(_Work)
    for running in scene.running.values():
        share = dominant_share(running.amounts, totals)
        found[running.job.queue].gets[running.job.tenant] += share
        found[running.job.queue].wants[running.job.tenant] += share
    for waiting in scene.backlog:
        found[waiting.job.queue].wants[waiting.job.tenant] += dominant_share(waiting.job.full, totals)
    return found
