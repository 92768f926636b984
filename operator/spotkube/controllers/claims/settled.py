"""Claims with which nothing is to be done, so that a cycle looks only at the others: of thousands nearly all are."""

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.steps import Step, Wait
from spotkube.controllers.view import View


class SettledClaims:
    """Knows of which claims a look showed that nothing is due, whatever the time, until something they are made of
    differs. Objects count as the same where they are identical."""

    def __init__(self) -> None:
        self._settled: dict[str, tuple[object, ...]] = {}
        self._pools: object = None

    def others(self, view: View) -> list[NodeClaim]:
        """Claims that must be looked at."""
        if view.snapshot.pools != self._pools:
            self._settled, self._pools = {}, view.snapshot.pools
        self._settled = {name: parts for name, parts in self._settled.items() if name in view.claims}
        return [claim for claim in view.claims.values() if not self._is_settled(claim, view)]

    def looked_at(self, claim: NodeClaim, step: Step, view: View) -> None:
        """`step` is what was due for the claim as it is in the view. Only one in force waits for nothing that time
        brings."""
        if step == Wait() and claim.status.phase is Phase.READY and claim is view.claims.get(claim.name):
            self._settled[claim.name] = _parts(claim, view)

    def _is_settled(self, claim: NodeClaim, view: View) -> bool:
        known = self._settled.get(claim.name)
        if known is None:
            return False
        parts = _parts(claim, view)
        return len(parts) == len(known) and all(a is b for a, b in zip(parts, known, strict=True))


def _parts(claim: NodeClaim, view: View) -> tuple[object, ...]:
    node = view.node_of(claim)
    instance = (view.instances or {}).get(claim.metadata.uid or "")
    return (claim, node, instance, *(view.pods_on.get(node.name, ()) if node else ()))
