"""How often spot nodes are interrupted: the published band to begin with, and what this cluster has seen.

Gamma-Poisson: a spot pool's rate (interruptions of one instance in an hour) has a Gamma prior with the mean of the
pool's band, worth PRIOR_HOURS of watching an instance. With n interruptions in h instance-hours the posterior is
again a Gamma, with mean (PRIOR_HOURS * prior + n) / (PRIOR_HOURS + h). All NodePools count into the same spot pool
(instance type and zone): its machines are taken from one stock, whoever bought them. Pools say nothing of each other.
"""

import math
from collections.abc import Iterable, Mapping

from spotkube.model.history import HOURS_A_MONTH, SpotPool, SpotRecord
from spotkube.model.offerings import SPOT, Offering

# Ten months of one instance. In the band of 5-10 % a month this is about one interruption: own history has as
# much weight as the band once an interruption should have been seen.
PRIOR_HOURS = 10 * HOURS_A_MONTH
# Ends of the bands, in percent a month. The last one is open: it is taken to go as far as the end given here.
BAND_ENDS = (0.0, 5.0, 10.0, 15.0, 20.0, 40.0)


def prior_rate(percent: int) -> float:
    """Interruptions in an instance-hour where the band ends at so many percent a month: of those at its middle."""
    upper = min(float(percent), BAND_ENDS[-1])
    lower = max((end for end in BAND_ENDS if end < upper), default=0.0)
    return -math.log(1.0 - (lower + upper) / 200.0) / HOURS_A_MONTH


def posterior_rate(prior: float, hours: float, interruptions: int) -> float:
    """Mean of the posterior, interruptions in an instance-hour."""
    return (PRIOR_HOURS * prior + interruptions) / (PRIOR_HOURS + hours)


def spot_rates(offerings: Iterable[Offering], history: Iterable[SpotRecord]) -> Mapping[SpotPool, float]:
    """The rate of each spot pool that is offered. Records of other pools are passed over."""
    rates = {
        SpotPool(o.instance_type, o.zone): prior_rate(o.interruption_percent)
        for o in offerings
        if o.capacity_type == SPOT
    }
    seen: dict[SpotPool, SpotRecord] = {}
    for record in history:
        if record.pool in rates:
            seen[record.pool] = seen[record.pool] + record if record.pool in seen else record
    return rates | {pool: posterior_rate(rates[pool], one.hours, one.interruptions) for pool, one in seen.items()}
