"""The fluid reference: at every moment tenants share the capacity by weight, and a tenant's jobs its part evenly.

No job uses more than its width; what it leaves goes to the tenant's others, and what a tenant leaves to other tenants
(max-min fairness, by filling up). Weight 0 shares evenly what nobody with a weight wants.
"""

import numpy as np
from numpy.typing import NDArray

from spotkube.simulation.jobs import Job, Run, Trace

Floats = NDArray[np.float64]


class Fluid:
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        # By tenant: the jobs there, and their work left, width and rate in units.
        self._tenants: dict[str, _Tenant] = {}

    def play(self) -> list[Run]:
        """All runs, in the order in which they end."""
        jobs, coming, now, runs = self._trace.jobs, 0, 0.0, list[Run]()
        while coming < len(jobs) or self._tenants:
            ends = [now + tenant.seconds_to_end() for tenant in self._tenants.values()]
            moment = min(ends + [job.submit for job in jobs[coming : coming + 1]])
            for name in list(self._tenants):
                runs += self._tenants[name].advance(moment - now, moment)
                if not self._tenants[name].jobs:
                    del self._tenants[name]
            now = moment
            while coming < len(jobs) and jobs[coming].submit <= now:
                self._tenants.setdefault(jobs[coming].tenant, _Tenant()).add(jobs[coming])
                coming += 1
            self._share(now)
        return runs

    def _share(self, now: float) -> None:
        tenants = list(self._tenants.values())
        left = self._trace.capacity
        for band in ([t for t in tenants if t.weight > 0], [t for t in tenants if t.weight <= 0]):
            demands = np.array([tenant.demand for tenant in band])
            weights = np.array([tenant.weight or 1.0 for tenant in band])
            parts = filled(left, demands, weights)
            left = max(0.0, left - float(parts.sum()))
            for tenant, part in zip(band, parts, strict=True):
                tenant.give(float(part), now)


class _Tenant:
    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.weight = 1.0
        self._starts: list[float | None] = []
        self._part = -1.0
        self._sizes: Floats = np.zeros(0)
        self._left: Floats = np.zeros(0)
        self._widths: Floats = np.zeros(0)
        self._rates: Floats = np.zeros(0)

    @property
    def demand(self) -> float:
        return float(self._widths.sum())

    def add(self, job: Job) -> None:
        self.weight = job.weight
        self.jobs.append(job)
        self._starts.append(None)
        self._sizes = np.append(self._sizes, job.size)
        self._left = np.append(self._left, job.size)
        self._widths = np.append(self._widths, job.width)
        self._part = -1.0

    def give(self, part: float, now: float) -> None:
        """So many units from now on."""
        if part != self._part:
            self._part = part
            self._rates = filled(part, self._widths, np.ones(len(self.jobs)))
        if part > 0:
            self._starts = [now if start is None else start for start in self._starts]

    def seconds_to_end(self) -> float:
        """Until the first of the jobs ends."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.min(np.where(self._left <= 0, 0.0, self._left / self._rates)))

    def advance(self, seconds: float, now: float) -> list[Run]:
        """Those that end."""
        if seconds > 0:
            self._left = self._left - self._rates * seconds
        # What is left is rounding, of the work or of the time.
        done = self._left <= np.maximum(1e-9 * self._sizes, self._rates * abs(now) * 2e-15)
        if not done.any():
            return []
        ended = [
            Run(self.jobs[i], now if (start := self._starts[i]) is None else start, now) for i in np.flatnonzero(done)
        ]
        keep = np.flatnonzero(~done)
        self.jobs = [self.jobs[i] for i in keep]
        self._starts = [self._starts[i] for i in keep]
        self._sizes, self._left, self._widths = self._sizes[keep], self._left[keep], self._widths[keep]
        self._part = -1.0
        return ended


def filled(amount: float, most: Floats, weights: Floats) -> Floats:
    """`amount` shared by weight, none getting more than its `most`: the level up to which all are filled is found by
    going through them from the one that is full first. Arrays of equal length."""
    if amount >= most.sum():
        return most.copy()
    order = np.argsort(most / weights, kind="stable")
    full = np.cumsum(most[order]) - most[order]
    others = np.cumsum(weights[order][::-1])[::-1]
    levels = (amount - full) / others
    first_open = int(np.argmax(levels * weights[order] <= most[order]))
    return np.asarray(np.minimum(most, levels[first_open] * weights), dtype=np.float64)
