"""What a claim needs next. Pure: from what is known of it to one step, so that any step may be repeated or be the first
after a restart."""

from spotkube.api import NodeClaim
from spotkube.controllers.claims.arriving import arriving
from spotkube.controllers.claims.leaving import leaving
from spotkube.controllers.claims.steps import Facts, Step


def next_step(claim: NodeClaim, facts: Facts) -> Step:
    return (arriving if claim.metadata.deletion_timestamp is None else leaving)(claim, facts)
