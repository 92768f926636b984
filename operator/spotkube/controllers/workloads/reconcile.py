"""The Workload controller: makes what Workloads ask for and writes how they stand.

It is called once a cycle with all that is known, and compares; when nothing differs it does not ask the API server
anything. What was made goes with its Workload, by owner references: there is nothing to do when one is deleted.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spotkube.api.common import find_condition
from spotkube.api.workload import Workload, WorkloadStatus
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import WORKLOADS, Resource
from spotkube.controllers.workloads.children import Object
from spotkube.controllers.workloads.ending import RoleEnder
from spotkube.controllers.workloads.roles import combined, failed_of, failure
from spotkube.controllers.workloads.status import JOB_FAILED, READY, NodeFacts, Problem, is_over, workload_status
from spotkube.controllers.workloads.waiting import Outlook
from spotkube.controllers.workloads.writing import Client, Observe, Recorder, Writer, ref_of
from spotkube.convert.workloads import Budget, Source, SourceKey, key_of, source_key, targets_of, workload_of
from spotkube.model.pods import Pod

WRITERS = 16
"""Workloads written for at the same time; the client's rate limit holds besides."""

TOLD_A_SECOND = 50
"""So many Workloads that wait for their queue are told in a second how they stand; the others in later cycles."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """What one cycle knows. `now` is seconds since the epoch; `sources` holds the Jobs, Deployments and StatefulSets
    of the cluster, `budgets` its PodDisruptionBudgets by namespace and name, `pods` all live pods, ours or not."""

    now: float
    workloads: Sequence[Workload] = ()
    sources: Mapping[SourceKey, Source] = field(default_factory=dict)
    budgets: Mapping[tuple[str, str], Budget] = field(default_factory=dict)
    pods: Iterable[Pod] = ()
    nodes: Mapping[str, NodeFacts] = field(default_factory=dict)
    outlook: Outlook = field(default_factory=Outlook)


def _ignore(resource: Resource, answer: Object) -> None:
    """The watches will bring it."""


class WorkloadController:
    """Level-triggered and idempotent: whatever it remembers only saves calls."""

    def __init__(self, client: Client, recorder: Recorder, observe: Observe = _ignore) -> None:
        self._client = client
        self._recorder = recorder
        self._observe = observe
        self._writer = Writer(client, recorder, observe)
        self._ender = RoleEnder(client, observe)
        self._allowance = Allowance(TOLD_A_SECOND)

    async def reconcile(self, view: WorkloadView) -> None:
        """One pass over all Workloads. What goes wrong with one is told there and does not stop the others."""
        targets = targets_of(view.workloads)
        pods: dict[str, list[Pod]] = defaultdict(list)
        for pod in view.pods:
            if (key := workload_of(pod, targets)) is not None:
                pods[key].append(pod)
        self._allowance.grow(view.now)
        limit = asyncio.Semaphore(WRITERS)

        async def guarded(workload: Workload) -> None:
            async with limit:
                try:
                    await self._reconcile_one(workload, view, targets, pods.get(key_of(workload), []))
                except ApiError as error:
                    logger.warning("Workload %s waits for the next cycle: %s", key_of(workload), error)
                except Exception:  # a mistake of ours about one must not cost the others
                    logger.exception("Workload %s could not be handled", key_of(workload))

        await asyncio.gather(*(guarded(w) for w in view.workloads if w.metadata.deletion_timestamp is None))
        self._writer.forget_all_but({workload.metadata.uid or "" for workload in view.workloads})

    async def _reconcile_one(
        self, workload: Workload, view: WorkloadView, targets: Mapping[SourceKey, str], pods: Sequence[Pod]
    ) -> None:
        source = view.sources.get(source_key(workload))
        if workload.spec.target_ref is not None:
            source, problem = _find_target(workload, source, targets)
        elif is_over(workload) and not _is_there(workload, view):
            return
        elif workload.spec.roles:
            source, problem = await self._ensure_roles(workload, view)
        else:
            source, problem = await self._writer.ensure_child(workload, source, view.now)
        budget = view.budgets.get((workload.metadata.namespace or "", workload.name))
        budget_problem = await self._writer.ensure_budget(workload, source, budget, view.now)
        problem = problem or budget_problem
        status = workload_status(
            workload,
            pods=pods,
            nodes=view.nodes,
            source=source,
            outlook=view.outlook,
            now=view.now,
            problem=problem,
        )
        await self._write_status(workload, status, problem)

    async def _ensure_roles(self, workload: Workload, view: WorkloadView) -> tuple[Source | None, Problem | None]:
        """All roles as one, None as long as one of them is missing; with the first problem. Where one has failed, the
        others are ended."""
        there, problems = list[Source](), list[Problem | None]()
        known = [view.sources.get(source_key(workload, role)) for role in workload.spec.roles]
        ours = [one for one in known if one is not None and one.controller == workload.metadata.uid]
        if failed_of(ours) is not None:
            there = await self._ender.end_others(ours)
            return combined(there), failure(there)
        for role in workload.spec.roles:
            job = view.sources.get(source_key(workload, role))
            source, problem = await self._writer.ensure_child(workload, job, view.now, role)
            there += [source] if source is not None else []
            problems.append(problem)
        first = next((problem for problem in problems if problem is not None), None)
        return combined(there) if len(there) == len(workload.spec.roles) else None, first

    async def _write_status(self, workload: Workload, status: WorkloadStatus, problem: Problem | None) -> None:
        change = status_patch(workload.status, status)
        if not change or (status.queue is not None and problem is None and not self._allowance.take()):
            return
        if problem is not None and _is_news(workload.status, problem):
            self._recorder.record(ref_of(workload), "Warning", problem.reason, problem.message, "Reconcile")
        answer = await self._client.patch(
            WORKLOADS,
            workload.name,
            {"status": change},
            namespace=workload.metadata.namespace,
            subresource="status",
        )
        self._observe(WORKLOADS, answer)


class Allowance:
    """So many a second on average, and no more at once than in a second."""

    def __init__(self, per_second: float) -> None:
        self._per_second = self._left = per_second
        self._at = 0.0

    def grow(self, now: float) -> None:
        """At a moment (Unix time); where the clock stepped back, nothing has passed."""
        self._left = min(self._per_second, self._left + self._per_second * max(0.0, now - self._at))
        self._at = now

    def take(self) -> bool:
        """Whether one more is allowed."""
        allowed = self._left >= 1
        self._left -= allowed
        return allowed


def status_patch(old: WorkloadStatus, new: WorkloadStatus) -> Object:
    """The merge patch from one status to the other; empty when they are equal."""
    before = old.model_dump(mode="json", by_alias=True)
    after = new.model_dump(mode="json", by_alias=True)
    return {name: _without_nulls(value) for name, value in after.items() if value != before[name]}


def _without_nulls(value: object) -> object:
    """A list is replaced as a whole, and null within its items would be stored or refused."""
    if not isinstance(value, list):
        return value
    return [{key: item for key, item in entry.items() if item is not None} for entry in value]


def _is_news(old: WorkloadStatus, problem: Problem) -> bool:
    """What a role failed of stands there with the reason of the end of all."""
    ready = find_condition(old.conditions, READY)
    return ready is None or ready.reason not in (problem.reason, JOB_FAILED) or ready.message != problem.message


def _is_there(workload: Workload, view: WorkloadView) -> bool:
    return all(source_key(workload, role) in view.sources for role in workload.spec.roles or (None,))


def _find_target(
    workload: Workload, source: Source | None, targets: Mapping[SourceKey, str]
) -> tuple[Source | None, Problem | None]:
    name, key = source_key(workload)[1], key_of(workload)
    if source is None:
        message = f"targetRef {name} does not exist: create it or delete this Workload"
        return None, Problem("TargetNotFound", message)
    if source.workload:
        message = f"{name} is made by Workload {source.workload} already: delete this one"
        return None, Problem("TargetTaken", message)
    if (other := targets[source.key]) != key:
        message = f"{name} is the target of Workload {other} already: delete one of the two"
        return None, Problem("TargetTaken", message)
    return source, None
