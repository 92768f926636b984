"""Brings a Workload's child and budget to what they should be, and writes only what differs.

Deployments, StatefulSets and budgets are applied server-side: fields that others set beside ours stay theirs, ours are
taken back. Whether something differs is told by an annotation with the digest of what was applied, and, against edits
by others, by a digest of the object's spec that is remembered after each apply (not across restarts: an edit made
while we are down stands until the Workload changes). A Job is made once; its parallelism and backoffLimit follow the
Workload, the rest of it can't change.

An object of that name that is not controlled by the Workload is never touched.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from spotkube.api.workload import Workload
from spotkube.api.workloadsources import JobRole, JobSource, SourceKind
from spotkube.cluster.client import PatchKind
from spotkube.cluster.errors import ApiError
from spotkube.cluster.events import EventType, ObjectRef
from spotkube.cluster.resources import DEPLOYMENTS, JOBS, PODDISRUPTIONBUDGETS, STATEFULSETS, Resource
from spotkube.controllers.workloads.budgets import desired_budget
from spotkube.controllers.workloads.children import MalformedTemplateError, Object, desired_child
from spotkube.controllers.workloads.refusals import Refusals, is_refusal
from spotkube.controllers.workloads.status import Problem
from spotkube.convert.workloads import Budget, JobFacts, Source, child_name, to_budget, to_source
from spotkube.model import labels as keys

RESOURCES: Final[Mapping[SourceKind, Resource]] = {
    SourceKind.JOB: JOBS,
    SourceKind.DEPLOYMENT: DEPLOYMENTS,
    SourceKind.STATEFUL_SET: STATEFULSETS,
}
Observe = Callable[[Resource, Object], None]
"""Told of the API server's answer to each write: `Cache.feed`, so that the next cycle sees what this one did."""


class Client(Protocol):
    """What is needed of `KubeClient`."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None: ...

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Object,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        kind: PatchKind = "merge",
    ) -> Object: ...

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None
    ) -> Object | None: ...


class Recorder(Protocol):
    """What is needed of `EventRecorder`."""

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str, action: str) -> None: ...


class Writer:
    """Children and budgets. Remembers refusals and the specs that it left behind; both may be lost at any time."""

    def __init__(self, client: Client, recorder: Recorder, observe: Observe) -> None:
        self._client = client
        self._recorder = recorder
        self._observe = observe
        self._refusals = Refusals()
        self._desired: dict[tuple[str, str], tuple[int | None, Object]] = {}
        self._left_behind: dict[tuple[str, str], tuple[str, str]] = {}

    def forget_all_but(self, workload_uids: Collection[str]) -> None:
        """Drop what is remembered of Workloads that are gone."""
        self._refusals.forget_all_but(workload_uids)
        self._desired = {key: desired for key, desired in self._desired.items() if key[0] in workload_uids}
        self._left_behind = {key: spec for key, spec in self._left_behind.items() if key[0] in workload_uids}

    async def ensure_child(
        self, workload: Workload, source: Source | None, now: float, role: JobRole | None = None
    ) -> tuple[Source | None, Problem | None]:
        """The child as it is now (None: there is none of ours), and why it is not as it should be.

        Raises ApiError where the API server could not be asked: try again in the next cycle.
        """
        name = f"{workload.spec.source_kind}/{child_name(workload, role)}"
        if source is not None and source.controller != workload.metadata.uid:
            return None, _not_ours(workload, source)
        try:
            desired = self._desired_child(workload, role)
        except MalformedTemplateError as error:
            return source, Problem("TemplateInvalid", f"{name} is not made: {error}", holds_pods=source is None)
        applied, uid = _applied(desired), workload.metadata.uid or ""
        if problem := self._refusals.standing(uid, name, applied, now):
            return source, problem
        try:
            changed = await self._bring_child(workload, source, desired, role)
        except ApiError as error:
            if not is_refusal(error):
                raise
            problem = Problem("ChildRefused", f"{name} was refused: {error.message}", holds_pods=source is None)
            return source, self._refusals.add(uid, name, applied, now, problem)
        if changed.controller != uid:  # the cache did not know of it yet
            return None, _not_ours(workload, changed)
        return changed, None

    async def ensure_budget(
        self, workload: Workload, source: Source | None, budget: Budget | None, now: float
    ) -> Problem | None:
        """Why the Workload has not the budget that it asks for. Raises ApiError as `ensure_child` does."""
        desired = desired_budget(workload, source.selector if source is not None else None)
        uid, name = workload.metadata.uid or "", f"PodDisruptionBudget/{workload.name}"
        ours = budget is not None and budget.controller == uid
        if desired is None:
            if budget is not None and ours and workload.spec.min_available is None:
                await self._client.delete(PODDISRUPTIONBUDGETS, budget.name, namespace=budget.namespace, uid=budget.uid)
            return None
        taken = _name_taken(name, "remove minAvailable if it covers the same pods, or rename it", holds_pods=False)
        if budget is not None and not ours:
            return taken
        if budget is not None and self._is_current(workload, budget, desired):
            return None
        applied = _applied(desired)
        if problem := self._refusals.standing(uid, name, applied, now):
            return problem
        try:
            changed = to_budget(await self._apply(PODDISRUPTIONBUDGETS, desired, is_new=budget is None))
        except ApiError as error:
            if not is_refusal(error):
                raise
            problem = Problem("BudgetRefused", f"{name} was refused: {error.message}", holds_pods=False)
            return self._refusals.add(uid, name, applied, now, problem)
        self._remember(workload, changed)
        return None if changed.controller == uid else taken

    async def _bring_child(
        self, workload: Workload, source: Source | None, desired: Object, role: JobRole | None
    ) -> Source:
        resource = RESOURCES[workload.spec.source_kind]
        if source is None:
            made = to_source(await self._apply(resource, desired, is_new=True))
            self._say(workload, "Normal", "ChildMade", f"made {made.key[1]}", "MakeChild")
        elif workload.spec.is_job:
            return await self._bring_job(workload, source, desired, role.job if role else workload.spec.job)
        elif self._is_current(workload, source, desired):
            return source
        else:
            made = to_source(await self._apply(resource, desired, is_new=False))
            self._say(workload, "Normal", "ChildUpdated", f"brought {made.key[1]} up to date", "UpdateChild")
        self._remember(workload, made)
        return made

    async def _bring_job(self, workload: Workload, source: Source, desired: Object, wanted: JobSource | None) -> Source:
        job = source.job
        if wanted is None or job is None or job.end is not None:
            return source
        if source.applied != _applied(desired):
            message = (
                "spot.never and placement do not reach the pods of a job that is made: delete the Workload and create"
                " it anew"
            )
            self._say(workload, "Warning", "JobIsFixed", message, "UpdateChild")
        change = _job_change(job, wanted, desired)
        if not change:
            return source
        answer = await self._client.patch(JOBS, source.name, change, namespace=source.namespace)
        self._observe(JOBS, answer)
        return to_source(answer)

    def _is_current(self, workload: Workload, known: Source | Budget, desired: Object) -> bool:
        uid, spec = self._left_behind.get(_memory_key(workload, known), ("", ""))
        if uid != known.uid:  # not seen before, or seen before a restart
            self._remember(workload, known)
            spec = known.spec_digest
        return known.applied == _applied(desired) and known.spec_digest == spec

    def _remember(self, workload: Workload, known: Source | Budget) -> None:
        self._left_behind[_memory_key(workload, known)] = known.uid, known.spec_digest

    async def _apply(self, resource: Resource, body: Object, *, is_new: bool) -> Object:
        """The object as it is then. Apply makes and changes alike, so something that is new to us is looked for
        first: it may be somebody else's."""
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        answer = await self._client.get(resource, name, namespace) if is_new else None
        if answer is None:
            answer = await self._client.patch(resource, name, body, namespace=namespace, kind="apply")
        self._observe(resource, answer)
        return answer

    def _desired_child(self, workload: Workload, role: JobRole | None) -> Object:
        """Made once for each generation: a sweep over a thousand Workloads costs no copies."""
        key, generation = (workload.metadata.uid or "", role.name if role else ""), workload.metadata.generation
        known = self._desired.get(key)
        if known is not None and known[0] == generation:
            return known[1]
        desired = desired_child(workload, role)
        if desired is None:
            raise ValueError(f"Workload {workload.name} has a targetRef and no child")
        self._desired[key] = generation, desired
        return desired

    def _say(self, workload: Workload, type_: EventType, reason: str, message: str, action: str) -> None:
        self._recorder.record(ref_of(workload), type_, reason, message, action)


def ref_of(workload: Workload) -> ObjectRef:
    metadata = workload.metadata
    return ObjectRef(workload.api_version, workload.kind, workload.name, metadata.uid or "", metadata.namespace)


def _memory_key(workload: Workload, known: Source | Budget) -> tuple[str, str]:
    return workload.metadata.uid or "", type(known).__name__


def _applied(desired: Mapping[str, Any]) -> str:
    return str(desired["metadata"]["annotations"][keys.APPLIED])


def _not_ours(workload: Workload, source: Source) -> Problem:
    name = source.key[1]
    if source.workload == workload.name:
        message = f"{name} of an earlier Workload of this name is still there: wait until Kubernetes has removed it"
        return Problem("PredecessorLeaves", message)
    return _name_taken(name, "use a targetRef to it, or give the Workload another name")


def _job_change(job: JobFacts, wanted: JobSource, desired: Object) -> Object:
    """A merge patch. Of a Job that its queue has divided the parallelism is its queue's; its own is noted beside."""
    spec, metadata = Object(), Object()
    if job.own_parallelism != wanted.parallelism:
        if job.queued is not None and job.queued.divisible is not None and job.queued.divisible.is_divided:
            metadata["annotations"] = {keys.PARALLELISM: str(wanted.parallelism)}
        else:
            spec["parallelism"] = wanted.parallelism
    if job.backoff_limit != wanted.backoff_limit:
        spec["backoffLimit"] = wanted.backoff_limit
    # The size of a group changes with the pods of each role.
    size = desired["metadata"]["annotations"].get(keys.POD_GROUP_SIZE)
    group = job.queued.group if job.queued is not None else None
    if size is not None and group is not None and str(group.size) != size:
        metadata.setdefault("annotations", {})[keys.POD_GROUP_SIZE] = size
    return {name: part for name, part in (("metadata", metadata), ("spec", spec)) if part}


def _name_taken(name: str, remedy: str, *, holds_pods: bool = True) -> Problem:
    return Problem("NameTaken", f"{name} exists already and is not this Workload's: {remedy}", holds_pods)
