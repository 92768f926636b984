"""Who says that nodes should go though nothing forces them to: the one list of all of them."""

from collections.abc import Callable, Sequence

from spotkube.controllers.empties import EmptyNodes
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.upkeep.advice import advised
from spotkube.controllers.upkeep.renewal import drifted, expired
from spotkube.controllers.upkeep.sickness import SickNodes
from spotkube.controllers.view import View
from spotkube.model.disruption import Disruptable

Source = Callable[[View], Sequence[Disruptable]]


def sources(placement: PlacementController, sick: SickNodes, margin_seconds: float) -> tuple[Source, ...]:
    """What they name is given back by deleting its claim, which moves its pods onto room that is there first. Moves of
    many nodes onto fewer are decided by the planner and carried out by themselves.

    `margin_seconds` is what a drain keeps for itself.
    """
    empties = EmptyNodes()
    return (
        sick.due,
        lambda view: advised(view, margin_seconds),
        lambda view: empties.due(view, placement.awaited),
        drifted,
        expired,
    )
