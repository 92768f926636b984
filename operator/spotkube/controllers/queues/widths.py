"""Divided Jobs in the cluster: with how many pods each runs, and how it comes to another number.

The pods of such a Job are born behind a scheduling gate of ours, and `spec.parallelism` is the width that it has. To
grow, it is raised, and the pods that come are let go. To shrink, pods that follow those which ended stay behind the
gate, and `spec.parallelism` falls by as many: the Job controller then removes pods that have no node, before any that
has one. It goes by what it has seen, so none is let go until it has removed them, and none is removed until it can have
seen which ones run. Each step is found from what is there, so it may be the first one after a restart, or be
done twice.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spotkube.cluster.resources import JOBS, PODS
from spotkube.cluster.transport import Objects
from spotkube.controllers.expected import owner_of
from spotkube.controllers.queues.gates import lift
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.convert.dividing import Divisible
from spotkube.convert.workloads import JobFacts, Source, SourceKey
from spotkube.model import labels as keys
from spotkube.model.pods import Pod
from spotkube.queueing.dividing import Divided

# The Job controller knows by then that a pod has a node.
KNOWN_SECONDS = 2.0
_PARALLELISM, _GATES = "/spec/parallelism", "/spec/template/spec/schedulingGates"


@dataclass(frozen=True)
class Crew:
    """The pods of a divided Job that runs: those that its queue let go, and those behind the gate, oldest first.
    `known`: the Job controller can tell the ones from the others."""

    source: Source
    parallelism: int
    free: tuple[Pod, ...]
    gated: tuple[Pod, ...]
    known: bool = True


@dataclass(frozen=True)
class Steps:
    """What is to be written now, of a Job."""

    crew: Crew
    let_go: tuple[Pod, ...]
    parallelism: int


def divided(job: JobFacts) -> Divided | None:
    """How far a Job is that is divided, or was until it was suspended and has pods still; None for any other."""
    divisible = job.queued.divisible if job.queued is not None else None
    if divisible is None or not (divisible.is_divided or job.suspended):
        return None
    unfinished = max(1, divisible.completions - job.succeeded)
    at_once = job.active if job.suspended else job.parallelism
    width = max(1, min(at_once, unfinished, divisible.parallelism))
    return Divided(width, unfinished, math.ceil(divisible.completions / divisible.parallelism))


def crews(view: View, sources: Iterable[Source]) -> dict[str, Crew]:
    """Of those that are divided and run, by the UID of the Job."""
    running = [(source, source.job) for source in sources if source.job and _is_divided(source.job)]
    if not running:
        return {}
    wanted = {source.key for source, _ in running}
    pods: dict[SourceKey, list[Pod]] = defaultdict(list)
    for pod in view.pods.values():
        if not pod.deleting and (key := owner_of(pod)) in wanted:
            pods[key].append(pod)
    return {source.uid: _crew(source, job, pods[source.key], view.now) for source, job in running}


def _is_divided(job: JobFacts) -> bool:
    divisible = job.queued.divisible if job.queued is not None else None
    return divisible is not None and divisible.is_divided and job.end is None


def _crew(source: Source, job: JobFacts, pods: list[Pod], now: float) -> Crew:
    pods.sort(key=lambda pod: (pod.created_at, pod.name))
    gated = tuple(pod for pod in pods if keys.QUEUE_GATE in pod.gates)
    free = tuple(pod for pod in pods if keys.QUEUE_GATE not in pod.gates)
    known = all(pod.started_at and now - pod.started_at >= KNOWN_SECONDS for pod in free)
    return Crew(source, job.parallelism, free, gated, known)


def pod_starts(crews: Mapping[str, Crew], now: float) -> dict[str, list[float]]:
    """When the pods that were let go have begun (Unix times), by the UID of the Job."""
    return {uid: [pod.started_at or now for pod in crew.free] for uid, crew in crews.items()}


def steps(crew: Crew, width: int | None) -> Steps:
    """What brings the Job nearer to the width; None: it has the right one. No pod that was let go is given up.

    It shrinks only by pods that are there behind the gate. The Job controller made them for those that it knows to have
    ended; of one whose end we have seen before it, it would take another's life for that.
    """
    wanted = crew.parallelism if width is None else width
    due = crew.gated[: max(0, wanted - len(crew.free))]
    held = len(crew.gated) - len(due)
    least = max(len(crew.free) + len(due), crew.parallelism - held)
    parallelism = max(wanted, min(crew.parallelism, least))
    if parallelism < crew.parallelism and not crew.known:
        return Steps(crew, (), crew.parallelism)
    # Which of those behind the gate are to be removed is the Job controller's choice.
    removes = len(crew.free) + len(crew.gated) > parallelism
    return Steps(crew, () if removes else due, parallelism)


class WidthController:
    """Carries widths out. It remembers nothing."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    async def carry_out(self, crews: Mapping[str, Crew], widths: Mapping[str, int]) -> int:
        """`widths` are those that change, by the UID of the Job. How many objects were to be changed. Raises ApiError,
        NotLeading."""
        due = [steps(crew, widths.get(uid)) for uid, crew in crews.items()]
        narrower = [one for one in due if one.parallelism != one.crew.parallelism]
        pods = [pod for one in due for pod in one.let_go]
        await each(narrower, self._set_parallelism)
        await each(pods, self._let_go)
        return len(narrower) + len(pods)

    async def _set_parallelism(self, step: Steps) -> None:
        source = step.crew.source
        operations: Objects = [
            {"op": "test", "path": "/metadata/uid", "value": source.uid},
            {"op": "test", "path": "/spec/suspend", "value": False},
            {"op": "test", "path": _PARALLELISM, "value": step.crew.parallelism},
            {"op": "replace", "path": _PARALLELISM, "value": step.parallelism},
        ]
        await self._tools.patched(JOBS, source.namespace, source.name, operations)

    async def _let_go(self, pod: Pod) -> None:
        await self._tools.patched(PODS, pod.namespace, pod.name, lift(pod))


def divide(source: Source, width: int | None) -> Objects:
    """What is written besides when a divisible Job is let go with so many pods (None: all); nothing for any other."""
    divisible = _divisible(source)
    if divisible is None:
        return []
    own, gates = divisible.parallelism, [{"name": gate} for gate in divisible.gates]
    operations: Objects = [
        {"op": "test", "path": _PARALLELISM, "value": own},
        {"op": "replace", "path": _PARALLELISM, "value": own if width is None else min(width, own)},
        {"op": "add", "path": f"/metadata/annotations/{keys.PARALLELISM.replace('/', '~1')}", "value": str(own)},
    ]
    if keys.QUEUE_GATE not in divisible.gates:
        operations += [
            {"op": "test", "path": _GATES, "value": gates or None},
            {"op": "add", "path": _GATES, "value": [*gates, {"name": keys.QUEUE_GATE}]},
        ]
    return operations


def make_whole(source: Source) -> Objects:
    """What is written besides when a Job is suspended: its parallelism is its own again."""
    divisible = _divisible(source)
    if divisible is None or not divisible.is_divided:
        return []
    return [{"op": "replace", "path": _PARALLELISM, "value": divisible.parallelism}]


def _divisible(source: Source) -> Divisible | None:
    return source.job.queued.divisible if source.job is not None and source.job.queued is not None else None
