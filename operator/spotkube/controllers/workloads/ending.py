"""Ends the Jobs of a Workload of which one role has failed for good.

They are suspended, and no longer their queue's: their pods end with their grace, and the Jobs stay to be looked into.
Deleted ones would say nothing any more, and be made anew by an operator that did not see why they went.
"""

from collections.abc import Sequence

from spotkube.cluster.errors import Conflict, NotFound
from spotkube.cluster.resources import JOBS
from spotkube.controllers.workloads.children import Object
from spotkube.controllers.workloads.roles import still_to_end
from spotkube.controllers.workloads.writing import Client, Observe
from spotkube.convert.workloads import Source, to_source
from spotkube.model import labels as keys


def ended(uid: str) -> Object:
    """A patch of the Job with this uid; another one of its name is left alone."""
    return {"metadata": {"uid": uid, "annotations": {keys.HELD_BY_QUEUE: None}}, "spec": {"suspend": True}}


class RoleEnder:
    """Remembers nothing: what is ended already is left alone."""

    def __init__(self, client: Client, observe: Observe) -> None:
        self._client = client
        self._observe = observe

    async def end_others(self, sources: Sequence[Source]) -> list[Source]:
        """All of them as they are then. Raises ApiError."""
        due = {source.uid for source in still_to_end(sources)}
        return [await self._end(source) if source.uid in due else source for source in sources]

    async def _end(self, source: Source) -> Source:
        try:
            answer = await self._client.patch(JOBS, source.name, ended(source.uid), namespace=source.namespace)
        except (NotFound, Conflict):  # It is not what was seen; the next cycle sees what it is.
            return source
        self._observe(JOBS, answer)
        return to_source(answer)
