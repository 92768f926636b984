"""What Prometheus can ask us. `python -m spotkube.metrics` prints docs/reference/metrics.md.

Units are in the names, dollars and seconds; labels have few values each (pools, phases, kinds, tenants; never
objects that come and go).
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from spotkube import __version__
from spotkube.model.cluster import ClaimPhase

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FAST = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: calls, cycles, the planner under its budget."""
_SLOW = (5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)
"""Seconds: from an order to a Ready node."""
_LONG = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
"""Seconds: a job's wait in its queue."""
_RATIO = (0.1, 0.25, 0.5, 0.67, 0.8, 0.9, 1.0, 1.11, 1.25, 1.5, 2, 4, 10)
"""What came over what was estimated."""


_ACCOUNT = {"queue": "FairQueue", "tenant": "as in the FairQueue's status; gone when all its namespaces are"}


@dataclass(frozen=True)
class Row:
    """One metric as the documentation shows it; `labels` maps each label to its values."""

    name: str
    type: str
    labels: dict[str, str]
    meaning: str


class Metrics:
    """One set of metrics with a registry of its own: two operators in one process (in tests) do not mix.

    The attributes are prometheus_client's: `metrics.plan_cost_usd_per_hour.labels("now").set(1.5)`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows: list[Row] = []
        self._add_plan()
        self._add_cycle()
        self._add_capacity()
        self._add_termination()
        self._add_queues()
        self._add_tenants()
        self._add_widths()
        self._add_operator()

    def render(self) -> bytes:
        """All samples in the text format; its content type is CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _add_plan(self) -> None:
        self.plan_cost_usd_per_hour = self._gauge(
            "plan_cost_usd_per_hour",
            "Cost of the nodes in force, and of those that the last plan wants.",
            {"state": "now, after"},
        )
        self.plan_lower_bound_usd_per_hour = self._gauge(
            "plan_lower_bound_usd_per_hour", "Proven: no plan for the same placed pods can cost less."
        )
        self.plan_gap_ratio = self._gauge("plan_gap_ratio", "Cost after / lower bound - 1 of the last plan.")
        self.plan_solve_seconds = self._histogram("plan_solve_seconds", "Time that the planner took for a plan.", _FAST)
        self.pods = self._gauge(
            "pods",
            "Pods that are ours to place, by what the last plan says.",
            {"state": "placed, pending, unplaceable"},
        )

    def _add_cycle(self) -> None:
        self.cycle_seconds = self._histogram("cycle_seconds", "Time of one cycle from observing to recording.", _FAST)
        self.cycles_total = self._counter("cycles_total", "Cycles by how they ended.", {"result": "ok, error"})
        self.last_cycle_timestamp_seconds = self._gauge(
            "last_cycle_timestamp_seconds", "When the last cycle ended without an error (Unix time)."
        )

    def _add_capacity(self) -> None:
        kind = {"pool": "name of the NodePool", "capacity_type": "spot, on-demand"}
        self.nodeclaims = self._gauge(
            "nodeclaims",
            "NodeClaims by phase.",
            {**kind, "phase": ", ".join(ClaimPhase)},
        )
        self.nodes_usd_per_hour = self._gauge("nodes_usd_per_hour", "Cost of what is bought, by pool.", kind)
        self.claim_ready_seconds = self._histogram(
            "claim_ready_seconds", "Time from a NodeClaim's creation to its node being Ready.", _SLOW
        )
        self.claims_launched_total = self._counter(
            "claims_launched_total", "NodeClaims whose instance was launched.", kind
        )
        self.claims_failed_total = self._counter(
            "claims_failed_total",
            "NodeClaims given back, by reason.",
            {"reason": "one word, as in the claim's condition"},
        )
        self.provider_calls_total = self._counter(
            "provider_calls_total",
            "Calls to the cloud provider.",
            {"call": "create, delete, get, list, offerings", "result": "ok, error"},
        )
        self.provider_call_seconds = self._histogram(
            "provider_call_seconds",
            "Time of calls to the cloud provider.",
            _FAST,
            {"call": "create, delete, get, list, offerings"},
        )
        self.prices_doubted = self._gauge(
            "prices_doubted", "Prices of the cloud that are not believed, so that the last ones stay in force."
        )

    def _add_termination(self) -> None:
        self.notices_total = self._counter(
            "notices_total", "Termination notices seen, one a node.", {"kind": "the notice's source, as in its claim"}
        )
        self.notice_messages_total = self._counter(
            "notice_messages_total",
            "Messages in the queue of notices, and readings of it that failed.",
            {"result": "notice, nothing, unknown, unreadable, error"},
        )
        self.evictions_total = self._counter(
            "evictions_total", "Evictions asked for.", {"result": "evicted, gone, refused, forced, error"}
        )

    def _add_queues(self) -> None:
        self.queue_waiting = self._gauge("queue_waiting", "Jobs that wait in a FairQueue.", {"queue": "FairQueue"})
        self.queue_wait_seconds = self._histogram(
            "queue_wait_seconds",
            "Time from a job's creation until its queue let it go.",
            _LONG,
            _ACCOUNT,
        )
        self.queue_preemptions_total = self._counter(
            "queue_preemptions_total",
            "Jobs that were taken back, by why.",
            {"queue": "FairQueue", "cause": "Reclaimed, Priority, NotReady, Drained"},
        )
        self.queue_run_time_ratio = self._histogram(
            "queue_run_time_ratio",
            "Run time over its estimate, of jobs that ended well.",
            _RATIO,
            {"queue": "FairQueue", "source": "Declared, History, Default"},
        )
        self.queue_start_ratio = self._histogram(
            "queue_start_ratio",
            "Wait until a job was let go over the wait that was told first; both from then on. What was told "
            "is kept, over restarts, of 1,000 that wait.",
            _RATIO,
            {"queue": "FairQueue"},
        )

    def _add_tenants(self) -> None:
        self.queue_spent_usd_total = self._counter(
            "queue_spent_usd_total", "Dollars that pods of a queue's jobs have cost.", _ACCOUNT
        )
        self.queue_usd_per_hour = self._gauge(
            "queue_usd_per_hour", "What pods of a queue's jobs cost now, in dollars an hour.", _ACCOUNT
        )
        self.queue_share_ratio = self._gauge(
            "queue_share_ratio",
            "Part of what a queue's running jobs take, by dominant share, of each tenant with work.",
            _ACCOUNT,
        )
        self.queue_entitled_ratio = self._gauge(
            "queue_entitled_ratio", "Part that each tenant with work is entitled to, by weight.", _ACCOUNT
        )
        self.queue_jain_index = self._gauge(
            "queue_jain_index",
            "Jain's index over all tenants with work of what each has of its due, at most 1: 1 is even, and who has "
            "nothing counts as 0. The due is by weight, and no more than asked for.",
            {"queue": "FairQueue"},
        )

    def _add_widths(self) -> None:
        self.queue_width_pods = self._gauge(
            "queue_width_pods",
            "Pods of a queue's divisible jobs that run: with how many they run now, how many are their due, and how "
            "many they ask for. With more than their due they shrink as pods end.",
            {**_ACCOUNT, "state": "now, due, most"},
        )
        self.queue_overrun_pods = self._gauge(
            "queue_overrun_pods", "Pods that run longer than the queue's advisoryRunTime.", _ACCOUNT
        )
        self.queue_overrun_seconds = self._gauge(
            "queue_overrun_seconds",
            "By how much the longest of them does, so far: as much later comes the room that others wait for.",
            _ACCOUNT,
        )

    def _add_operator(self) -> None:
        self.cache_objects = self._gauge(
            "cache_objects", "Objects in the cache.", {"resource": "as in pods, nodeclaims.spotkube.io"}
        )
        self.relists_total = self._counter(
            "relists_total",
            "Whole lists asked of the API server.",
            {"resource": "as in pods, nodeclaims.spotkube.io", "result": "ok, error"},
        )
        self.clock_ahead_seconds = self._gauge(
            "clock_ahead_seconds",
            "How far the API server's clock, which deadlines are told by, is ahead of this machine's; 0 within 2 s.",
        )
        self.leader = self._gauge("leader", "1 while this replica holds the lease, else 0.")
        self.build_info = self._gauge("build_info", "Always 1; the label says what runs.", {"version": "of SpotKube"})
        self.build_info.labels(__version__).set(1)

    def _gauge(self, name: str, meaning: str, labels: dict[str, str] | None = None) -> Gauge:
        return Gauge(self._row(name, "gauge", labels, meaning), meaning, list(labels or {}), registry=self.registry)

    def _counter(self, name: str, meaning: str, labels: dict[str, str] | None = None) -> Counter:
        return Counter(self._row(name, "counter", labels, meaning), meaning, list(labels or {}), registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], labels: dict[str, str] | None = None
    ) -> Histogram:
        full = self._row(name, "histogram", labels, meaning)
        return Histogram(full, meaning, list(labels or {}), registry=self.registry, buckets=buckets)

    def _row(self, name: str, type_: str, labels: dict[str, str] | None, meaning: str) -> str:
        full = f"spotkube_{name}"
        self.rows.append(Row(full, type_, labels or {}, meaning))
        return full


def reference_markdown() -> str:
    """docs/reference/metrics.md."""
    head = (
        "# Metrics\n\n"
        "<!-- Generated by `python -m spotkube.metrics`; do not edit. -->\n\n"
        "Served in the Prometheus text format at `/metrics` on `health_port`.\n\n"
        "| metric | type | labels | meaning |\n|---|---|---|---|\n"
    )
    rows = [f"| `{row.name}` | {row.type} | {_labels(row)} | {row.meaning} |" for row in Metrics().rows]
    return head + "\n".join(rows) + "\n"


def _labels(row: Row) -> str:
    return "; ".join(f"`{label}`: {values}" for label, values in row.labels.items())


if __name__ == "__main__":
    print(reference_markdown(), end="")
