"""FairQueues: says of each what is true of it, which for now is that admission by it is not in force."""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from spotkube.api import FairQueue
from spotkube.api.common import Condition, ConditionStatus, with_condition
from spotkube.api.fairqueue import ACTIVE, ADMISSION_NOT_IN_FORCE
from spotkube.cluster.errors import ApiError, NotFound
from spotkube.cluster.resources import FAIRQUEUES
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View

logger = logging.getLogger(__name__)


class QueueController:
    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    async def reconcile(self, queues: Iterable[FairQueue], view: View) -> None:
        members = Counter(workload.spec.queue_name for workload in view.workloads)

        async def one(queue: FairQueue) -> None:
            try:
                await self._write(queue, members[queue.name], view.now)
            except NotFound:
                return
            except ApiError as error:
                logger.warning("FairQueue %s: %s", queue.name, error)

        await each(queues, one)

    async def _write(self, queue: FairQueue, workloads: int, now: float) -> None:
        condition = Condition(
            type=ACTIVE,
            status=ConditionStatus.FALSE,
            observed_generation=queue.metadata.generation,
            last_transition_time=datetime.fromtimestamp(now, UTC),
            reason=ADMISSION_NOT_IN_FORCE,
            message="its Workloads run at once: admission by queues is not in force in this release",
        )
        status = queue.status.model_copy(
            update={
                "observed_generation": queue.metadata.generation,
                "conditions": with_condition(queue.status.conditions, condition),
                "pending_workloads": 0,
                "admitted_workloads": workloads,
            }
        )
        if status != queue.status:
            self._tools.require_leader()
            body = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
            raw = await self._tools.client.patch(FAIRQUEUES, queue.name, body, subresource="status")
            self._tools.cache.feed(FAIRQUEUES, "MODIFIED", raw)
