"""Nodes on which only daemons run are given back after the time that their pool sets."""

from collections.abc import Mapping

from spotkube.controllers.claims.draining import must_leave
from spotkube.controllers.view import View
from spotkube.model.cluster import ClaimPhase, Mode


class EmptyNodes:
    """Knows since when each claim's node has been empty. Lives in memory: a restart begins to count anew."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def due(self, view: View) -> tuple[str, ...]:
        """Claims whose node has been empty for long enough, of pools in mode Apply."""
        empty = {name: self._since.get(name, view.now) for name in empty_claims(view)}
        self._since = empty
        return tuple(name for name, since in empty.items() if _is_due(view, name, since))


def empty_claims(view: View) -> list[str]:
    """Ready claims whose node holds no pod but daemons, and that no pod is on its way to."""
    expected = {pod.nominated for pod in view.pods.values() if pod.node is None}
    return [
        claim.name
        for claim in view.snapshot.claims
        if claim.phase is ClaimPhase.READY
        and not claim.leaving
        and not expected & {claim.name, claim.node}
        and not any(must_leave(pod) for pod in view.pods_on.get(claim.node or claim.name, ()))
    ]


def _is_due(view: View, name: str, since: float) -> bool:
    claims: Mapping[str, str] = {claim.name: claim.pool for claim in view.snapshot.claims}
    pool = view.pool_model(claims[name])
    if pool is None or pool.mode is not Mode.APPLY or pool.empty_after_seconds is None:
        return False
    return view.now - since >= pool.empty_after_seconds
