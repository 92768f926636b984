"""The parts of Kubernetes' objects that the converters read, as models: a manifest is checked against them first.

Live objects have been through the API server; files have not. What is not listed here is of no matter for planning.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from spotkube.model.resources import parse_request


def _amounts(value: Any) -> Any:
    if isinstance(value, Mapping):
        for name, quantity in value.items():
            if not isinstance(quantity, str | int | float):
                raise ValueError(f"{name}: {quantity!r} is no quantity; write it as in 500m, 2, 1.5Gi")
            parse_request(str(name), quantity)
    return value


def _time(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no time; write it as in 2026-01-31T08:00:00Z") from error
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, alias_generator=to_camel)


Amounts = Annotated[dict[str, Any], BeforeValidator(_amounts)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[int, Field(ge=1)]
# 0 counts as none.
Port = Annotated[int, Field(ge=0, le=65535)]
Time = Annotated[str, AfterValidator(_time)]
Key = Annotated[str, Field(min_length=1)]
Texts = dict[str, str]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class OwnerReference(_Part):
    kind: str
    name: str
    controller: bool | None = None


class Metadata(_Part):
    name: Key
    namespace: str | None = None
    uid: str | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None


class Named(_Part):
    """What every object has."""

    metadata: Metadata


class _NodeRequirement(_Part):
    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] | None = None


class _LabelRequirement(_Part):
    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] | None = None


class LabelSelector(_Part):
    match_labels: Texts | None = None
    match_expressions: list[_LabelRequirement] | None = None


class _NodeTerm(_Part):
    match_expressions: list[_NodeRequirement] | None = None
    match_fields: list[_NodeRequirement] | None = None


class _NodeTerms(_Part):
    node_selector_terms: list[_NodeTerm]


class _PreferredTerm(_Part):
    weight: Annotated[int, Field(ge=1, le=100)]
    preference: _NodeTerm


class _NodeAffinity(_Part):
    required: Annotated[_NodeTerms | None, Field(alias="requiredDuringSchedulingIgnoredDuringExecution")] = None
    preferred: Annotated[
        list[_PreferredTerm] | None, Field(alias="preferredDuringSchedulingIgnoredDuringExecution")
    ] = None


class _PodTerm(_Part):
    topology_key: Key
    label_selector: LabelSelector | None = None
    namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[str] | None = None
    mismatch_label_keys: list[str] | None = None


class _PodAffinity(_Part):
    required: Annotated[list[_PodTerm] | None, Field(alias="requiredDuringSchedulingIgnoredDuringExecution")] = None


class _Affinity(_Part):
    node_affinity: _NodeAffinity | None = None
    pod_affinity: _PodAffinity | None = None
    pod_anti_affinity: _PodAffinity | None = None


class _Toleration(_Part):
    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute", ""] | None = None


class _Spread(_Part):
    max_skew: Positive
    topology_key: Key
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    min_domains: Positive | None = None
    match_label_keys: list[str] | None = None
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None


class _Port(_Part):
    container_port: Port | None = None
    host_port: Port | None = None
    protocol: str | None = None
    host_ip: Annotated[str | None, Field(alias="hostIP")] = None


class _Resources(_Part):
    requests: Amounts | None = None
    limits: Amounts | None = None


class _Container(_Part):
    name: Key
    resources: _Resources | None = None
    ports: list[_Port] | None = None
    restart_policy: str | None = None


class _Gate(_Part):
    name: Key


class _ClaimSpec(_Part):
    storage_class_name: str | None = None
    volume_name: str | None = None
    volume_mode: Literal["Filesystem", "Block"] | None = None
    access_modes: list[str] | None = None
    resources: _Resources | None = None
    selector: LabelSelector | None = None
    volume_attributes_class_name: str | None = None


class _TemplateMetadata(_Part):
    labels: Texts | None = None
    annotations: Texts | None = None


class _ClaimTemplate(_Part):
    metadata: _TemplateMetadata | None = None
    spec: _ClaimSpec


class _NamedClaimTemplate(_Part):
    metadata: Metadata
    spec: _ClaimSpec


class _ClaimReference(_Part):
    claim_name: Key


class _Ephemeral(_Part):
    volume_claim_template: _ClaimTemplate | None = None


class _Volume(_Part):
    name: Key
    persistent_volume_claim: _ClaimReference | None = None
    ephemeral: _Ephemeral | None = None


class PodSpec(_Part):
    containers: Annotated[list[_Container], Field(min_length=1)]
    init_containers: list[_Container] | None = None
    node_selector: Texts | None = None
    affinity: _Affinity | None = None
    tolerations: list[_Toleration] | None = None
    topology_spread_constraints: list[_Spread] | None = None
    scheduling_gates: list[_Gate] | None = None
    resources: _Resources | None = None
    overhead: Amounts | None = None
    priority: int | None = None
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    volumes: list[_Volume] | None = None
    node_name: str | None = None
    host_network: bool | None = None
    scheduler_name: str | None = None
    termination_grace_period_seconds: int | None = None


class PodTemplate(_Part):
    metadata: _TemplateMetadata | None = None
    spec: PodSpec


class _Condition(_Part):
    type: str
    status: str


class _ContainerStatus(_Part):
    name: Key
    resources: _Resources | None = None
    allocated_resources: Amounts | None = None


class _Status(_Part):
    phase: str | None = None
    container_statuses: list[_ContainerStatus] | None = None
    init_container_statuses: list[_ContainerStatus] | None = None
    resources: _Resources | None = None
    allocated_resources: Amounts | None = None
    nominated_node_name: str | None = None
    succeeded: Count | None = None
    conditions: list[_Condition] | None = None


class _Ordinals(_Part):
    start: Count | None = None


class _ReplicatedSpec(_Part):
    replicas: Count | None = None
    template: PodTemplate
    ordinals: _Ordinals | None = None
    volume_claim_templates: list[_NamedClaimTemplate] | None = None


class _DaemonSetSpec(_Part):
    template: PodTemplate


class _JobSpec(_Part):
    completions: Count | None = None
    parallelism: Count | None = None
    template: PodTemplate


class _JobTemplate(_Part):
    spec: _JobSpec


class _CronJobSpec(_Part):
    suspend: bool | None = None
    job_template: _JobTemplate


class _Taint(_Part):
    key: Key
    value: str | None = None
    effect: Effect


class _NodeSpec(_Part):
    taints: list[_Taint] | None = None
    unschedulable: bool | None = None
    provider_id: Annotated[str | None, Field(alias="providerID")] = None


class _NodeStatus(_Part):
    allocatable: Amounts | None = None
    capacity: Amounts | None = None
    conditions: list[_Condition] | None = None


class Object(Named):
    """What the kinds with a status of interest have."""

    status: _Status | None = None


class Pod(Object):
    spec: PodSpec


class Replicated(Object):
    """A Deployment, StatefulSet, ReplicaSet or ReplicationController."""

    spec: _ReplicatedSpec


class DaemonSet(Object):
    spec: _DaemonSetSpec


class Job(Object):
    spec: _JobSpec


class CronJob(Object):
    spec: _CronJobSpec


class Node(Named):
    spec: _NodeSpec | None = None
    status: _NodeStatus


class _ClaimStatus(_Part):
    phase: str | None = None


class PersistentVolumeClaim(Named):
    spec: _ClaimSpec
    status: _ClaimStatus | None = None


class _VolumeAffinity(_Part):
    required: _NodeTerms | None = None


class _ClaimOfVolume(_Part):
    namespace: str | None = None
    name: str | None = None


class _Csi(_Part):
    driver: Key
    volume_handle: str | None = None


class _VolumeSpec(_Part):
    capacity: Amounts | None = None
    storage_class_name: str | None = None
    volume_mode: Literal["Filesystem", "Block"] | None = None
    access_modes: list[str] | None = None
    node_affinity: _VolumeAffinity | None = None
    claim_ref: _ClaimOfVolume | None = None
    csi: _Csi | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolume(Named):
    spec: _VolumeSpec
    status: _ClaimStatus | None = None


class _TopologyExpression(_Part):
    key: Key
    values: list[str] | None = None


class _Topology(_Part):
    match_label_expressions: list[_TopologyExpression] | None = None


class StorageClass(Named):
    provisioner: str | None = None
    volume_binding_mode: Literal["Immediate", "WaitForFirstConsumer"] | None = None
    allowed_topologies: list[_Topology] | None = None


class _DriverAllocatable(_Part):
    count: Count | None = None


class _Driver(_Part):
    name: Key
    allocatable: _DriverAllocatable | None = None


class _CsiNodeSpec(_Part):
    drivers: list[_Driver] | None = None


class CSINode(Named):
    spec: _CsiNodeSpec | None = None


class PriorityClass(Named):
    value: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    global_default: bool | None = None


class _Overhead(_Part):
    pod_fixed: Amounts | None = None


class _Scheduling(_Part):
    node_selector: Texts | None = None
    tolerations: list[_Toleration] | None = None


class RuntimeClass(Named):
    overhead: _Overhead | None = None
    scheduling: _Scheduling | None = None


class _Templated(_Part):
    template: PodTemplate
    volume_claim_templates: list[_NamedClaimTemplate] | None = None


class _WorkloadSources(_Part):
    job: _Templated | None = None
    deployment: _Templated | None = None
    stateful_set: _Templated | None = None


class WorkloadTemplates(_Part):
    """The pod templates in a Workload; the rest of it is checked by its own model."""

    spec: _WorkloadSources
