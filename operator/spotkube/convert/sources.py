"""What makes pods: how many each Workload, Deployment, StatefulSet, ReplicaSet, ReplicationController, Job and
CronJob wants, and which."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from spotkube.api.workload import Workload
from spotkube.api.workloadsources import JobRole
from spotkube.convert import schemas
from spotkube.convert.admission import Admission
from spotkube.convert.checks import checked, converted
from spotkube.convert.documents import Document, ManifestError, Mistakes
from spotkube.convert.objects import Objects, Ref, controller_of, ref_of
from spotkube.convert.pods import to_labels, to_shape
from spotkube.convert.storage import to_claim_uses
from spotkube.convert.workloads import child_name, wanted_replicas
from spotkube.model.pods import Pod

Json = Mapping[str, Any]

_FINISHED = ("Complete", "Failed")


@dataclass(frozen=True, slots=True)
class Source:
    """`workload` is the key of the Workload that the pods belong to, `first` the number in the first pod's name."""

    document: Document
    replicas: int
    template: Json
    workload: str | None = None
    first: int = 1
    claim_templates: tuple[Json, ...] = ()
    role: str = ""

    @property
    def name(self) -> str:
        return self.role or self.document.name

    @property
    def owner(self) -> str:
        """Of pods that exist, where one document makes several kinds of pods; "" where it makes one."""
        return f"Job/{self.role}" if self.role else ""

    def pods(self, already: int) -> list[Pod]:
        """The pods that are still to be made when there are so many `already`."""
        return converted(self.document, self._make, already)

    def _make(self, already: int) -> list[Pod]:
        document, spec = self.document, self.template["spec"]
        labels = (self.template.get("metadata") or {}).get("labels") or {}
        shape = to_shape(document.namespace, labels, spec)
        gates = tuple(gate["name"] for gate in spec.get("schedulingGates") or ())
        return [
            Pod(
                # Padded, since pods of one group are taken in the order of their uids.
                uid=f"{document.kind}/{document.namespace}/{self.name}/{number:07}",
                namespace=document.namespace,
                name=f"{self.name}-{number}",
                labels=to_labels(labels),
                shape=shape,
                owner=f"{document.kind}/{self.name}",
                workload=self.workload,
                gates=gates,
                unschedulable=True,
                claims=to_claim_uses(document.namespace, f"{self.name}-{number}", spec, self.claim_templates),
            )
            for number in range(self.first + already, self.first + self.replicas)
        ]


def sources_of(
    objects: Objects, targets: Mapping[Ref, str], admission: Admission, mistakes: Mistakes
) -> Iterator[tuple[Ref, Source]]:
    """Every object that makes pods and that no other one in the files makes itself."""
    for ref, document in objects.items():
        if objects.root(ref) != ref or (document.kind == "CronJob" and _runs(ref, objects)):
            continue
        found: tuple[Source, ...] = ()
        with mistakes.collected():
            found = _read(document)
        for source in found:
            template = {**source.template, "spec": admission.admit(source.template["spec"])}
            yield ref, replace(source, workload=source.workload or targets.get(ref), template=template)


def _read(document: Document) -> tuple[Source, ...]:
    if document.kind == "Workload":
        return _own_templates(document)
    read = _READERS.get(document.kind)
    source = read(document) if read is not None else None
    return (source,) if source is not None else ()


def targets_in(workloads: Mapping[Ref, Workload], objects: Objects, mistakes: Mistakes) -> dict[Ref, str]:
    """Which Workload (its key) each target belongs to; a target that is not in the files is a mistake."""
    targets: dict[Ref, str] = {}
    for (_, namespace, name), workload in workloads.items():
        with mistakes.collected():
            if (ref := _target_of(workload, namespace, name, objects, targets)) is not None:
                targets[ref] = f"{namespace}/{name}"
    return targets


def _target_of(workload: Workload, namespace: str, name: str, objects: Objects, taken: Mapping[Ref, str]) -> Ref | None:
    """Raises ManifestError for one that is missing or `taken`."""
    target = workload.spec.target_ref
    if target is None:
        return None
    ref = (target.kind.value, namespace, target.name)
    field = f"{objects[('Workload', namespace, name)]}: spec.targetRef.name: {target.name!r}"
    if ref not in objects:
        raise ManifestError(f"{field}: there is no such {target.kind} in namespace {namespace} of these files; add it")
    if ref in taken:
        raise ManifestError(f"{field} belongs to Workload {taken[ref]} already; remove one of the two")
    return ref


def _runs(ref: Ref, objects: Objects) -> bool:
    """Whether a run of the CronJob is among the Jobs of the files."""
    return any(controller_of(job) == ref and not _finished(job) for job in objects.of_kind("Job"))


def _finished(job: Document) -> bool:
    conditions = (job.content.get("status") or {}).get("conditions") or ()
    return any(one["type"] in _FINISHED and one["status"] == "True" for one in conditions)


def _replicated(document: Document) -> Source:
    spec = document.content["spec"]
    replicas = spec.get("replicas")
    first = 0 if document.kind == "StatefulSet" else 1
    templates = tuple(spec.get("volumeClaimTemplates") or ()) if document.kind == "StatefulSet" else ()
    first += (spec.get("ordinals") or {}).get("start") or 0
    return Source(document, 1 if replicas is None else replicas, spec["template"], None, first, templates)


def _job(document: Document) -> Source | None:
    if _finished(document):
        return None
    spec, status = document.content["spec"], document.content.get("status") or {}
    return Source(document, _at_once(spec, status.get("succeeded") or 0), spec["template"])


def _cron_job(document: Document) -> Source | None:
    if document.content["spec"].get("suspend"):
        return None
    spec = document.content["spec"]["jobTemplate"]["spec"]
    return Source(document, _at_once(spec, 0), spec["template"])


def _at_once(spec: Json, succeeded: int) -> int:
    """How many pods of a Job run at the same time. Without completions it ends with its first pod that ends well."""
    parallelism = 1 if spec.get("parallelism") is None else int(spec["parallelism"])
    if spec.get("completions") is None:
        return 0 if succeeded else parallelism
    return min(parallelism, max(0, int(spec["completions"]) - succeeded))


def _own_templates(document: Document) -> tuple[Source, ...]:
    workload = Workload.from_dict(document.content)
    spec = workload.spec
    made = spec.job or spec.deployment or spec.stateful_set
    if made is None and not spec.roles:
        return ()
    checked(schemas.WorkloadTemplates, document)
    if made is None:
        return tuple(_role(document, workload, role) for role in spec.roles)
    first = 0 if spec.stateful_set else 1
    _, namespace, name = ref_of(document)
    templates = tuple(spec.stateful_set.volume_claim_templates) if spec.stateful_set else ()
    return (Source(document, wanted_replicas(workload), made.template, f"{namespace}/{name}", first, templates),)


def _role(document: Document, workload: Workload, role: JobRole) -> Source:
    _, namespace, name = ref_of(document)
    replicas = min(role.job.parallelism, role.job.completions)
    return Source(document, replicas, role.job.template, f"{namespace}/{name}", role=child_name(workload, role))


_READERS: Mapping[str, Callable[[Document], Source | None]] = {
    "Deployment": _replicated,
    "StatefulSet": _replicated,
    "ReplicaSet": _replicated,
    "ReplicationController": _replicated,
    "Job": _job,
    "CronJob": _cron_job,
}
