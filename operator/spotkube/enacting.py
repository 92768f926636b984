"""Carries out decisions, and knows what was told last: what says the same again is dropped."""

from collections import Counter
from collections.abc import Mapping

from spotkube.controllers.carrying import Carrier
from spotkube.controllers.disruption.carry import DisruptionController
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.metrics import Metrics
from spotkube.model.cluster import Mode
from spotkube.model.plan import Plan
from spotkube.planning import Planning
from spotkube.recording import record_decision

_Gist = tuple[frozenset[object], frozenset[object]]
_NOTHING: _Gist = (frozenset(), frozenset())


class Enactor:
    def __init__(
        self,
        metrics: Metrics,
        planning: Planning,
        placement: PlacementController,
        carrier: Carrier,
        disruption: DisruptionController,
    ) -> None:
        self._metrics = metrics
        self._planning = planning
        self._placement = placement
        self._carrier = carrier
        self._disruption = disruption
        self._told: dict[Mode, _Gist] = {}
        self._told_moves: dict[Mode, _Gist] = {}
        self._last_plans: dict[Mode, Plan] = {}

    async def enact(self, decision: Decision, view: View) -> None:
        """Raises ApiError and NotLeading; what was not carried out is asked again."""
        await (self._tell_moves if decision.moves else self._act_on)(decision, view)

    async def _act_on(self, decision: Decision, view: View) -> None:
        """Records and carries out what is new in it; a decision that says the same as the last one is dropped."""
        # Using what is there is nothing to be recommended first: pods behind our gate would else wait for ever.
        self._placement.remember(decision.plan.placements)
        if decision.fills:
            self._planning.succeeded()
            return
        self._last_plans[decision.mode] = decision.plan
        record_decision(self._metrics, decision)
        gist = _gist(decision)
        buys = decision.mode is Mode.APPLY and bool(decision.plan.additions)
        if buys or self._told.get(decision.mode, _NOTHING) != gist:
            try:
                await self._carrier.carry_out(decision, view)
            except Exception:
                self._planning.postpone(view.now)
                raise
        self._told[decision.mode] = gist
        self._planning.succeeded()

    async def _tell_moves(self, decision: Decision, view: View) -> None:
        """Begins the moves; in mode Recommend it is recorded what they would save, if it is not what was told last."""
        if decision.mode is Mode.APPLY:
            if decision.plan.drains and not await self._disruption.begin(decision, view):
                self._planning.forget_moves()
            return
        gist = _moves_gist(decision.plan)
        if self._told_moves.get(decision.mode) != gist:
            await self._carrier.carry_out(decision, view)
        self._told_moves[decision.mode] = gist

    def reasons(self, view: View) -> Mapping[str, str]:
        """Why pods have no place, from the plan that may buy, or else from the one that recommends."""
        modes = {pool.mode for pool in view.snapshot.pools}
        mode = Mode.APPLY if Mode.APPLY in modes else Mode.RECOMMEND
        plan = self._last_plans.get(mode)
        return {uid: group.in_short for group in plan.unplaceable for uid in group.pods} if plan else {}

    def recommended(self, view: View) -> Mapping[str, str]:
        """The pool of the node that is recommended for each pod; a plan of old says nothing of pools that apply now."""
        pools = {pool.name for pool in view.snapshot.pools if pool.mode is Mode.RECOMMEND}
        plan = self._last_plans.get(Mode.RECOMMEND)
        additions = plan.additions if plan else ()
        return {uid: node.pool for node in additions if node.pool in pools for uid in node.pods}


def _moves_gist(plan: Plan) -> _Gist:
    bought = Counter((node.pool, node.offering.key, len(node.pods)) for node in plan.additions)
    return frozenset(drain.claim for drain in plan.drains), frozenset(bought.items())


def _gist(decision: Decision) -> _Gist:
    """What makes one decision news to a reader: what a recommendation would buy, and what has no place."""
    plan = decision.plan
    additions = plan.additions if decision.mode is Mode.RECOMMEND else ()
    bought = Counter((node.pool, node.offering.key, len(node.pods)) for node in additions)
    missing = Counter({group.name: len(group.pods) for group in plan.unplaceable})
    return frozenset(bought.items()), frozenset(missing.items())
