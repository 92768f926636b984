"""Pods, and the classes that admission reads."""

from typing import Annotated, Literal

from pydantic import Field

from spotkube.convert.schemas.parts import (
    Amounts,
    Condition,
    Count,
    Key,
    LabelSelector,
    Named,
    NodeTerm,
    NodeTerms,
    Part,
    Port,
    Positive,
    Resources,
    TemplateMetadata,
    Texts,
    Toleration,
)
from spotkube.convert.schemas.storage import ClaimTemplate


class PreferredTerm(Part):
    weight: Annotated[int, Field(ge=1, le=100)]
    preference: NodeTerm


class NodeAffinity(Part):
    required: Annotated[NodeTerms | None, Field(alias="requiredDuringSchedulingIgnoredDuringExecution")] = None
    preferred: Annotated[list[PreferredTerm] | None, Field(alias="preferredDuringSchedulingIgnoredDuringExecution")] = (
        None
    )


class PodTerm(Part):
    topology_key: Key
    label_selector: LabelSelector | None = None
    namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[str] | None = None
    mismatch_label_keys: list[str] | None = None


class PodAffinity(Part):
    required: Annotated[list[PodTerm] | None, Field(alias="requiredDuringSchedulingIgnoredDuringExecution")] = None


class Affinity(Part):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Spread(Part):
    max_skew: Positive
    topology_key: Key
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    min_domains: Positive | None = None
    match_label_keys: list[str] | None = None
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None


class ContainerPort(Part):
    container_port: Port | None = None
    host_port: Port | None = None
    protocol: str | None = None
    host_ip: Annotated[str | None, Field(alias="hostIP")] = None


class Container(Part):
    name: Key
    resources: Resources | None = None
    ports: list[ContainerPort] | None = None
    restart_policy: str | None = None


class Gate(Part):
    name: Key


class ClaimReference(Part):
    claim_name: Key


class Ephemeral(Part):
    volume_claim_template: ClaimTemplate | None = None


class Volume(Part):
    name: Key
    persistent_volume_claim: ClaimReference | None = None
    ephemeral: Ephemeral | None = None


class PodSpec(Part):
    containers: Annotated[list[Container], Field(min_length=1)]
    init_containers: list[Container] | None = None
    node_selector: Texts | None = None
    affinity: Affinity | None = None
    tolerations: list[Toleration] | None = None
    topology_spread_constraints: list[Spread] | None = None
    scheduling_gates: list[Gate] | None = None
    resources: Resources | None = None
    overhead: Amounts | None = None
    priority: int | None = None
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    volumes: list[Volume] | None = None
    node_name: str | None = None
    host_network: bool | None = None
    scheduler_name: str | None = None
    termination_grace_period_seconds: int | None = None


class PodTemplate(Part):
    metadata: TemplateMetadata | None = None
    spec: PodSpec


class ContainerStatus(Part):
    name: Key
    resources: Resources | None = None
    allocated_resources: Amounts | None = None


class Status(Part):
    phase: str | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    resources: Resources | None = None
    allocated_resources: Amounts | None = None
    nominated_node_name: str | None = None
    succeeded: Count | None = None
    conditions: list[Condition] | None = None


class Object(Named):
    """What the kinds with a status of interest have."""

    status: Status | None = None


class Pod(Object):
    spec: PodSpec


class PriorityClass(Named):
    value: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    global_default: bool | None = None


class Overhead(Part):
    pod_fixed: Amounts | None = None


class Scheduling(Part):
    node_selector: Texts | None = None
    tolerations: list[Toleration] | None = None


class RuntimeClass(Named):
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None
