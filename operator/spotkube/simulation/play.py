"""The policies by name, and a trace played under one of them."""

from collections.abc import Callable, Mapping

from spotkube.simulation.estimates import Estimates, Estimator
from spotkube.simulation.jobs import Run, Trace
from spotkube.simulation.partitioned import PartitionedServer
from spotkube.simulation.policies.clocks import ByClock
from spotkube.simulation.policies.dominant import DominantShare
from spotkube.simulation.policies.fifo import Fifo
from spotkube.simulation.policies.policy import Policy
from spotkube.simulation.policies.round_robin import RoundRobin
from spotkube.simulation.server import Server

REFERENCE = "processor-sharing"
PARTITIONED = "uwfq-partitioned"
_WHOLE_JOBS: Mapping[str, Callable[[], Policy]] = {
    "fifo": Fifo,
    "round-robin": RoundRobin,
    "drf": DominantShare,
    "virtual-clock": lambda: ByClock(lambda job: job.id),
    "uwfq": lambda: ByClock(lambda job: job.tenant),
}
POLICIES = (*_WHOLE_JOBS, PARTITIONED, REFERENCE)
"""uwfq is the order of this project; virtual-clock the same without tenants; processor-sharing the fluid reference."""


def play(trace: Trace, policy: str, estimates: Estimates, advisory_seconds: float) -> list[Run]:
    """All runs, in the order in which they end. `policy` is one of POLICIES; pods of uwfq-partitioned run at most so
    many seconds. The same trace gives the same runs."""
    if policy == REFERENCE:
        # Imported late: commands that play nothing start without numpy.
        from spotkube.simulation.fluid import Fluid  # noqa: PLC0415

        return Fluid(trace).play()
    if policy == PARTITIONED:
        return PartitionedServer(trace, Estimator(estimates), advisory_seconds).play()
    return Server(trace, _WHOLE_JOBS[policy](), Estimator(estimates)).play()
