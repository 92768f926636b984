"""What can stand in a queue, one file a kind. Whoever adds one enters it here; nothing else knows them apart."""

from spotkube.controllers.queues.kinds.job import JobKind
from spotkube.controllers.queues.kinds.pod import PodKind
from spotkube.controllers.queues.kinds.protocol import Kind, Member, Terms
from spotkube.controllers.queues.kinds.successors import Successors
from spotkube.controllers.toolbox import Toolbox

__all__ = ["Kind", "Member", "Successors", "Terms", "all_kinds"]


def all_kinds(tools: Toolbox, successors: Successors) -> tuple[Kind, ...]:
    """In the order in which they are looked at. `successors` is what is known of pods in others' stead."""
    return JobKind(tools), PodKind(tools, successors)
