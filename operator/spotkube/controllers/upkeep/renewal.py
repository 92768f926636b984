"""Nodes that have outlived their time, or are not what their NodePool says any more. Pure.

Drift is found by comparing what a claim was bought with to what its pool says now, and not by a hash: so a new version
of SpotKube does not renew a fleet, and the message can say what differs.
"""

import zlib
from collections.abc import Iterator, Sequence

from spotkube.controllers.view import View
from spotkube.model import labels
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Pool
from spotkube.model.disruption import Disruptable, DisruptionReason
from spotkube.model.offerings import Offering
from spotkube.model.selectors import Taint, matches_all
from spotkube.planner.formulation.kinds import node_labels

# A fleet that was bought at once does not end at once: nodes go up to so much of their time earlier.
SPREAD = 0.1


def expired(view: View) -> tuple[Disruptable, ...]:
    """Those that are older than their pool's expireAfter, the oldest first."""
    found = [(claim.created_at, claim, pool) for claim, pool in _in_use(view) if _is_expired(claim, pool, view.now)]
    found.sort(key=lambda one: (one[0], one[1].name))
    return tuple(
        Disruptable(claim.name, DisruptionReason.EXPIRED, f"it is {_hours(view.now - created)} old, {_limit(pool)}")
        for created, claim, pool in found
    )


def drifted(view: View) -> tuple[Disruptable, ...]:
    """Those that their pool would not buy like that any more."""
    found = ((claim, _difference(claim, pool, view.offered.get(claim.offering))) for claim, pool in _in_use(view))
    return tuple(Disruptable(claim.name, DisruptionReason.DRIFTED, words) for claim, words in found if words)


def _in_use(view: View) -> Iterator[tuple[Claim, Pool]]:
    for claim in view.snapshot.claims:
        pool = view.pool_model(claim.pool)
        if pool is not None and pool.mode is Mode.APPLY and claim.phase is ClaimPhase.READY and not claim.leaving:
            yield claim, pool


def _is_expired(claim: Claim, pool: Pool, now: float) -> bool:
    if pool.expire_after_seconds is None:
        return False
    part = zlib.crc32(claim.uid.encode()) / 2**32
    return now - claim.created_at >= pool.expire_after_seconds * (1 - SPREAD * part)


def _limit(pool: Pool) -> str:
    return f"and nodes of NodePool {pool.name} live for {_hours(pool.expire_after_seconds or 0.0)} at most"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.0f} s"


def _difference(claim: Claim, pool: Pool, offering: Offering | None) -> str:
    """What makes the node another one than its pool would buy; "" where nothing does. Startup taints count not: they
    are gone."""
    has, wanted = dict(claim.labels), dict(pool.labels)
    for key, value in wanted.items():
        if has.get(key) != value:
            return f"label {key} is {has.get(key)!r}, and {value!r} in its NodePool's template"
    bought = dict(node_labels(pool, offering)) if offering else has
    if gone := sorted(key for key in has.keys() - bought.keys() if not key.startswith(f"{labels.GROUP}/")):
        return f"label {gone[0]} is no longer in its NodePool's template"
    if not matches_all(pool.requirements, has):
        failed = next(one for one in pool.requirements if not matches_all((one,), has))
        return f"it does not meet its NodePool's requirements any more: {failed}"
    return _taints_differ(claim.taints, pool.taints)


def _taints_differ(has: Sequence[Taint], wanted: Sequence[Taint]) -> str:
    if set(has) == set(wanted):
        return ""
    odd = min({str(taint.key) for taint in set(has) ^ set(wanted)})
    return f"taint {odd} is not as in its NodePool's template"
