"""Nodes that have not been Ready for long are replaced; when many are sick at once, it is not the nodes."""

from collections import Counter, defaultdict

from spotkube.controllers.view import View
from spotkube.model.cluster import Claim, ClaimPhase, Mode
from spotkube.model.disruption import Disruptable, DisruptionReason

MOST_SICK_PERCENT = 20
"""Of a pool's nodes. One of them is always replaced."""


class SickNodes:
    """Knows since when each claim's node has not been Ready. Lives in memory: a restart begins to count anew."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.held: dict[str, str] = {}
        """By pool, why none of its sick nodes is replaced."""

    def due(self, view: View) -> tuple[Disruptable, ...]:
        """Those that have been sick for longer than their pool's repairAfter, the sickest first."""
        sick = [claim for claim in view.snapshot.claims if _is_sick(claim, view)]
        self._since = {claim.name: self._since.get(claim.name, view.now) for claim in sick}
        self.held = _held(sick, view)
        due = [
            (self._since[claim.name], claim.name)
            for claim in sick
            if claim.pool not in self.held and self._is_due(claim, view)
        ]
        return tuple(
            Disruptable(name, DisruptionReason.UNHEALTHY, f"its Node has not been Ready for {view.now - since:.0f} s")
            for since, name in sorted(due)
        )

    def _is_due(self, claim: Claim, view: View) -> bool:
        pool = view.pool_model(claim.pool)
        if pool is None or pool.mode is not Mode.APPLY or pool.repair_after_seconds is None:
            return False
        return view.now - self._since[claim.name] >= pool.repair_after_seconds


def _is_sick(claim: Claim, view: View) -> bool:
    node = view.nodes.get(claim.node or claim.name)
    return claim.phase is ClaimPhase.READY and not claim.leaving and node is not None and not node.ready


def _held(sick: list[Claim], view: View) -> dict[str, str]:
    """Counted over all that have been in use, so that those that are being replaced already do not open the brake."""
    nodes = Counter(claim.pool for claim in view.snapshot.claims if claim.phase is ClaimPhase.READY)
    by_pool: dict[str, list[Claim]] = defaultdict(list)
    for claim in sick:
        by_pool[claim.pool].append(claim)
    return {
        pool: f"{len(some)} of {nodes[pool]} nodes are not Ready at once: most likely it is not they, but the network "
        "or the API server, so none is replaced until fewer are"
        for pool, some in by_pool.items()
        if len(some) > max(1, MOST_SICK_PERCENT * nodes[pool] // 100)
    }
