"""What a Workload is made of: a job, jobs of several roles, a service, or what is there already; and rules of spot."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from spotkube.api.fields import (
    Count,
    Fraction,
    Name,
    Replicas,
)
from spotkube.api.rules import Rule, SpecModel
from spotkube.api.templates import PodTemplate, VolumeClaimTemplate

_DNS_LABEL: Final = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class SourceKind(StrEnum):
    JOB = "Job"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Placement(StrEnum):
    PINNED = "Pinned"
    SCHEDULER = "Scheduler"


class PodManagementPolicy(StrEnum):
    ORDERED_READY = "OrderedReady"
    PARALLEL = "Parallel"


class JobSource(SpecModel):
    """A batch/v1 Job that we make and own."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.template.spec.restartPolicy) && self.template.spec.restartPolicy in ['Never', 'OnFailure']",
            "the pods of a job must be able to end: set template.spec.restartPolicy to Never or OnFailure",
            lambda job: job.template["spec"].get("restartPolicy") in ("Never", "OnFailure"),
        ),
        Rule(
            "self.completions == oldSelf.completions && self.template == oldSelf.template",
            "completions and template of a job can't change: delete the Workload and create it anew",
        ),
    )

    completions: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many pods must end well for the job to be done. Can't change."""
    parallelism: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many of them may run at the same time; nodes are planned for that many."""
    backoff_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 6
    """How many failed pods the job bears before it counts as failed."""
    template: PodTemplate
    """The job's pods, a core/v1 PodTemplateSpec. restartPolicy must be Never or OnFailure. Can't change."""


class JobRole(SpecModel):
    """One of several jobs that are one: all of them start together."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=61),
        Rule(
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "not a DNS label: write lower-case letters, digits and '-', with a letter or digit at both ends",
            lambda name: _DNS_LABEL.fullmatch(name) is not None,
        ),
    ]
    """Its Job is called after the Workload and this, as in WORKLOAD-NAME."""
    job: JobSource
    """What it runs."""


class DeploymentSource(SpecModel):
    """An apps/v1 Deployment that we make and own."""

    replicas: Replicas = 1
    """How many pods shall run."""
    template: PodTemplate
    """The pods, a core/v1 PodTemplateSpec. A change rolls them over as in any Deployment."""


class StatefulSetSource(SpecModel):
    """An apps/v1 StatefulSet that we make and own."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.serviceName == oldSelf.serviceName && self.podManagementPolicy == oldSelf.podManagementPolicy"
            " && (has(self.volumeClaimTemplates) ? self.volumeClaimTemplates : [])"
            " == (has(oldSelf.volumeClaimTemplates) ? oldSelf.volumeClaimTemplates : [])",
            "serviceName, podManagementPolicy and volumeClaimTemplates of a stateful set can't change:"
            " delete the Workload and create it anew",
        ),
    )

    replicas: Replicas = 1
    """How many pods shall run."""
    service_name: Annotated[str, Field(max_length=63, json_schema_extra={"default": ""})] = ""
    """The headless Service that gives the pods their DNS names; it must exist. Can't change."""
    pod_management_policy: PodManagementPolicy = PodManagementPolicy.ORDERED_READY
    """OrderedReady starts pods one after the other, each when the one before is ready; Parallel starts all at once.
    Can't change."""
    volume_claim_templates: Annotated[tuple[VolumeClaimTemplate, ...], Field(max_length=16)] = ()
    """Volumes that each pod gets of its own: core/v1 PersistentVolumeClaims. Can't change."""
    template: PodTemplate
    """The pods, a core/v1 PodTemplateSpec. A change rolls them over as in any StatefulSet."""


class TargetRef(SpecModel):
    """A Job, Deployment or StatefulSet in the same namespace that exists already and stays its owner's."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.apiVersion == (self.kind == 'Job' ? 'batch/v1' : 'apps/v1')",
            "apiVersion does not fit kind: write batch/v1 for a Job, apps/v1 for a Deployment or StatefulSet",
            lambda ref: ref.api_version == ("batch/v1" if ref.kind is SourceKind.JOB else "apps/v1"),
        ),
    )

    api_version: Annotated[str, Field(max_length=64)]
    """batch/v1 for a Job, apps/v1 for a Deployment or StatefulSet."""
    kind: SourceKind
    """Job, Deployment or StatefulSet."""
    name: Name
    """Its name."""


class SpotPolicy(SpecModel):
    """How much of a Workload may run on spot, and how spread. With none of the fields set all of it may, anywhere."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.never) && self.never, has(self.onDemandBase), has(self.spotFraction)]"
            ".filter(is_set, is_set).size() <= 1",
            "never, onDemandBase and spotFraction exclude each other: keep one of them",
            lambda spot: [spot.never, spot.on_demand_base is not None, spot.spot_fraction is not None].count(True) <= 1,
        ),
    )

    never: bool = False
    """True keeps every pod on on-demand nodes. For what must not be interrupted."""
    on_demand_base: Count | None = None
    """So many pods run on on-demand nodes, the others may run on spot. Nodes are planned for it; kube-scheduler does
    not know of it, so that only placement Pinned surely holds it. Excludes never and spotFraction."""
    spot_fraction: Fraction | None = None
    """The largest share of the pods that may run on spot, from 0 to 1; rounded down to whole pods. Needs
    placement Pinned to be surely held, as onDemandBase does. Excludes never and onDemandBase."""
    max_fraction_per_pool: Fraction | None = None
    """The largest share of the pods that may stand on spot nodes of one instance type in one zone, from 0 to 1:
    the cloud often takes these back together. Rounded down to whole pods, but one pod is always allowed. Needs
    placement Pinned to be surely held, as onDemandBase does. Left out: what the NodePool says."""
