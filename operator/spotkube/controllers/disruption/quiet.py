"""Nodes to which no pod has come, and which none has left, for the time that their pool sets."""

from spotkube.controllers.claims.draining import must_leave
from spotkube.controllers.view import View
from spotkube.model.cluster import Claim


class QuietNodes:
    """Knows since when each claim's node has held the same pods. Lives in memory: a restart begins to count anew."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[frozenset[str], float]] = {}

    def look(self, view: View) -> frozenset[str]:
        """Names of the claims whose node is quiet; daemons and static pods do not count."""
        seen = {claim.name: _pods_of(claim, view) for claim in view.snapshot.claims}
        self._since = {
            name: before if (before := self._since.get(name)) and before[0] == pods else (pods, view.now)
            for name, pods in seen.items()
        }
        return frozenset(claim.name for claim in view.snapshot.claims if self._is_quiet(claim, view))

    def _is_quiet(self, claim: Claim, view: View) -> bool:
        pool = view.pool_model(claim.pool)
        if pool is None or pool.empty_after_seconds is None:
            return False
        return view.now - self._since[claim.name][1] >= pool.empty_after_seconds


def _pods_of(claim: Claim, view: View) -> frozenset[str]:
    return frozenset(pod.uid for pod in view.pods_on.get(claim.node or claim.name, ()) if must_leave(pod))
