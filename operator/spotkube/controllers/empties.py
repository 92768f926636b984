"""Nodes on which only daemons run are given back after the time that their pool sets."""

from collections.abc import Collection

from spotkube.controllers.claims.draining import must_leave
from spotkube.controllers.view import View
from spotkube.model.cluster import Claim, ClaimPhase, Mode
from spotkube.model.disruption import Disruptable, DisruptionReason

EMPTY = "only daemons have run on it for its pool's consolidateAfter"


class EmptyNodes:
    """Knows since when each claim's node has been empty. Lives in memory: a restart begins to count anew."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def due(self, view: View, awaited: Collection[str] = ()) -> tuple[Disruptable, ...]:
        """Those that have been empty for long enough, of pools in mode Apply.

        `awaited` are claims and Nodes that the plans in force keep for pods which have not come yet.
        """
        empty = empty_claims(view, awaited)
        self._since = {claim.name: self._since.get(claim.name, view.now) for claim in empty}
        return tuple(
            Disruptable(claim.name, DisruptionReason.EMPTY, EMPTY)
            for claim in empty
            if _is_due(view, claim, self._since[claim.name])
        )


def empty_claims(view: View, awaited: Collection[str] = ()) -> list[Claim]:
    """Ready claims whose node holds no pod but daemons, and that no pod is on its way to."""
    expected = {*awaited, *(pod.nominated for pod in view.pods.values() if pod.node is None)}
    return [
        claim
        for claim in view.snapshot.claims
        if claim.phase is ClaimPhase.READY
        and not claim.leaving
        and (claim.node or claim.name) not in view.closing_nodes
        and not expected & {claim.name, claim.node}
        and not any(must_leave(pod) for pod in view.pods_on.get(claim.node or claim.name, ()))
    ]


def _is_due(view: View, claim: Claim, since: float) -> bool:
    pool = view.pool_model(claim.pool)
    if pool is None or pool.mode is not Mode.APPLY or pool.empty_after_seconds is None:
        return False
    return view.now - since >= pool.empty_after_seconds
