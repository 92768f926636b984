"""What makes pods, and what keeps them."""

from typing import Annotated

from pydantic import Field

from spotkube.convert.schemas.parts import Count, LabelSelector, Named, Part
from spotkube.convert.schemas.pods import Object, PodTemplate
from spotkube.convert.schemas.storage import NamedClaimTemplate


class Ordinals(Part):
    start: Count | None = None


class ReplicatedSpec(Part):
    replicas: Count | None = None
    template: PodTemplate
    ordinals: Ordinals | None = None
    volume_claim_templates: list[NamedClaimTemplate] | None = None


class Replicated(Object):
    """A Deployment, StatefulSet, ReplicaSet or ReplicationController."""

    spec: ReplicatedSpec


class DaemonSetSpec(Part):
    template: PodTemplate


class DaemonSet(Object):
    spec: DaemonSetSpec


class JobSpec(Part):
    completions: Count | None = None
    parallelism: Count | None = None
    template: PodTemplate


class Job(Object):
    spec: JobSpec


class JobTemplate(Part):
    spec: JobSpec


class CronJobSpec(Part):
    suspend: bool | None = None
    job_template: JobTemplate


class CronJob(Object):
    spec: CronJobSpec


class Templated(Part):
    template: PodTemplate
    volume_claim_templates: list[NamedClaimTemplate] | None = None


class Role(Part):
    job: Templated


class WorkloadSources(Part):
    job: Templated | None = None
    roles: list[Role] | None = None
    deployment: Templated | None = None
    stateful_set: Templated | None = None


class WorkloadTemplates(Part):
    """The pod templates in a Workload; the rest of it is checked by its own model."""

    spec: WorkloadSources


CountOrShare = Count | Annotated[str, Field(pattern=r"^(100|[0-9]{1,2})%$")]


class BudgetSpec(Part):
    min_available: CountOrShare | None = None
    max_unavailable: CountOrShare | None = None
    selector: LabelSelector | None = None


class BudgetStatus(Part):
    disruptions_allowed: Count | None = None


class PodDisruptionBudget(Named):
    spec: BudgetSpec
    status: BudgetStatus | None = None
