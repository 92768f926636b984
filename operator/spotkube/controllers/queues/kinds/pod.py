"""Pods that name a queue by themselves: bare ones, and those of Deployments and StatefulSets whose template names it.

They are born with the scheduling gate `spotkube.io/queue` (the chart's policy), which is removed when their turn has
come. Each is a job of one pod, unless a group says otherwise. One that a ReplicaSet or StatefulSet made is taken back
by eviction: a gated one is made in its place. A bare pod is made by nobody again, so it is never taken back; how it
ended it tells as long as it is there.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace

from spotkube.cluster.errors import TooManyRequests
from spotkube.cluster.events import ObjectRef
from spotkube.cluster.resources import PODS
from spotkube.controllers.queues.gates import lift
from spotkube.controllers.queues.kinds.protocol import Member, Terms
from spotkube.controllers.queues.kinds.successors import Successors
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.model import resources
from spotkube.model.labels import QUEUE_GATE
from spotkube.model.pods import EndedPod, Pod
from spotkube.model.queued import QueuedPod
from spotkube.model.resources import ResourceList
from spotkube.queueing.estimates import DEFAULT_SECONDS
from spotkube.queueing.jobclasses import JobClass, owner_pattern
from spotkube.queueing.jobs import Job, PodSet
from spotkube.queueing.seen import Phase, Seen

SERVICE_SECONDS = 3600.0
"""How long a pod of a Deployment or StatefulSet is taken to run where nobody says: services don't end, and what one
runs longer is charged to its tenant as it runs. Were it much longer, services would wait behind all that others have;
were it much shorter, they would be let past reservations as if they made room again."""
logger = logging.getLogger(__name__)


class PodKind:
    """What is taken back keeps its place: `successors` knows which pods stand in others' stead."""

    def __init__(self, tools: Toolbox, successors: Successors) -> None:
        self._tools = tools
        self._known: dict[str, tuple[Pod, str, Member]] = {}
        self._known_ended: dict[str, tuple[EndedPod, Member]] = {}
        self._terms: Terms | None = None
        self._successors = successors

    def members(self, view: View, terms: Terms) -> Iterable[Member]:
        pods = [pod for pod in view.pods_as_stored.values() if pod.queued is not None and not _was_never_begun(pod)]
        self._successors.update(pods, view.heirs, view.now)
        before = self._known if terms is self._terms else {}
        known = dict[str, tuple[Pod, str, Member]]()
        for pod in pods:
            place, last = self._successors.place_of(pod.uid), before.get(pod.uid)
            if last is None or last[0] != pod or last[1] != place:
                last = pod, place, self._member(pod, place, terms)
            known[pod.uid] = last
        ended = self._ended(view, terms)
        self._known, self._terms = known, terms
        return [*(member for _, _, member in known.values()), *ended]

    def _ended(self, view: View, terms: Terms) -> list[Member]:
        before = self._known_ended if terms is self._terms else {}
        known = dict[str, tuple[EndedPod, Member]]()
        for ended in view.ended:
            last = before.get(ended.pod.uid)
            if last is None or last[0] is not ended:
                member = self._member(ended.pod, ended.pod.uid, terms)
                last = ended, replace(member, seen=_as_ended(member.seen, ended), continues=False)
            known[ended.pod.uid] = last
        self._known_ended = known
        return [member for _, member in known.values()]

    def _member(self, pod: Pod, place: str, terms: Terms) -> Member:
        assert pod.queued is not None, f"pod {pod.key} names no queue"
        return Member(
            self,
            ObjectRef("v1", "Pod", pod.name, pod.uid, pod.namespace),
            _seen(pod, pod.queued, place, terms),
            pod.queued.group,
            continues=QUEUE_GATE in pod.gates and self._successors.was_moved(pod.uid),
            mistake=pod.queued.mistake,
            made_of=pod,
        )

    def set_aside(self, ended: Iterable[Member]) -> None:
        """They are few: pods that ended do not stay for long."""

    def queue_of(self, pod: Pod, view: View) -> str | None:
        return pod.queued.queue if pod.queued is not None else None

    async def let_go(self, member: Member, width: int | None, now: float) -> bool:
        pod: Pod = member.made_of
        return await self._tools.patched(PODS, pod.namespace, pod.name, lift(pod))

    async def take_back(self, member: Member) -> bool:
        self._tools.require_leader()
        pod: Pod = member.made_of
        try:
            await self._tools.client.evict(pod.namespace, pod.name, uid=pod.uid)
        except TooManyRequests as error:
            logger.info("pod %s may not be evicted yet: %s", pod.key, error.message)
            return False
        self._successors.await_one_of(pod, member.seen.job.uid, self._tools.clock())
        return True

    async def hold(self, member: Member) -> None:
        """A pod can only be born gated; one that runs is never `unheld`."""


def _was_never_begun(pod: Pod) -> bool:
    return pod.deleting and QUEUE_GATE in pod.gates


def _phase(pod: Pod) -> Phase:
    if QUEUE_GATE in pod.gates:
        return Phase.WAITING
    return Phase.LEAVING if pod.deleting else Phase.RUNNING


def _seen(pod: Pod, queued: QueuedPod, place: str, terms: Terms) -> Seen:
    requests = ResourceList({name: amount for name, amount in pod.shape.requests.items() if name != resources.PODS})
    owner = pod.owner.partition("/")[2] or pod.name
    return Seen(
        Job(
            uid=place,
            name=f"Pod {pod.namespace}/{pod.name}",
            queue=queued.queue,
            tenant=terms.tenants.of(pod.namespace),
            pod_sets=(PodSet("main", 1, requests),),
            submitted_seconds=pod.created_at,
            priority=pod.shape.priority,
            price_usd_hour=terms.market.usd_hour(pod.shape.requests),
            preemptible=pod.made_anew,
        ),
        JobClass(pod.namespace, owner_pattern(owner), queued.image, queued.command, pod.shape.requests),
        _phase(pod),
        declared_seconds=queued.run_seconds,
        ready=pod.ready,
        default_seconds=SERVICE_SECONDS if pod.made_anew else DEFAULT_SECONDS,
    )


def _as_ended(seen: Seen, ended: EndedPod) -> Seen:
    """When the gate was lifted nothing says; a pod that has begun has none."""
    return replace(
        seen,
        phase=Phase.SUCCEEDED if ended.succeeded else Phase.FAILED,
        admitted_seconds=ended.pod.started_at or None,
        ended_seconds=ended.ended_at or None,
    )
