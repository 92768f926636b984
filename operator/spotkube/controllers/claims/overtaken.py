"""Claims that a stale head wrote after another head had decided. Pure.

The holder of the lease may be paused between its check and its call, for longer than the lease lasts. Another decides
meanwhile for the same pods, and then the first one wakes up and writes its claim. With one head all claims of a plan
are written before the first one of the next plan. Out of that order, a decision did not know what it should have known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.model import labels


@dataclass(frozen=True, slots=True)
class _Written:
    decided: datetime
    at: datetime
    plan: str | None


def overtaken(claims: Iterable[NodeClaim]) -> frozenset[str]:
    """Names of claims not bought yet whose plan was recorded before a claim of a later plan was written that is not
    younger than they are. All times are the API server's, so clocks of replicas may be apart."""
    history = {claim.name: (_is_new(claim), written) for claim in claims if (written := _written(claim)) is not None}
    all_written = {written for _, written in history.values()}
    return frozenset(
        name
        for name, (new, late) in history.items()
        if new and any(_came_between(late, other) for other in all_written)
    )


def _came_between(late: _Written, other: _Written) -> bool:
    return other.plan != late.plan and late.decided < other.decided and late.decided < other.at <= late.at


def _is_new(claim: NodeClaim) -> bool:
    return (claim.status.phase or Phase.PENDING) is Phase.PENDING and claim.metadata.deletion_timestamp is None


def _written(claim: NodeClaim) -> _Written | None:
    """None where it isn't told when its plan was recorded, or not as a time with its zone."""
    created = claim.metadata.creation_timestamp
    try:
        decided = datetime.fromisoformat((claim.metadata.annotations or {}).get(labels.DECIDED_AT, ""))
    except ValueError:
        return None
    return _Written(decided, created, claim.spec.plan) if created and decided.tzinfo else None
