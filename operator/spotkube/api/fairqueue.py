"""FairQueue: who shares the cluster, with which weight, and up to what quota of resources and of dollars."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from spotkube.api.common import Column, KubeObject, ObservedStatus, Resource
from spotkube.api.fields import Count, LabelKey, Labels, LabelValue, PositiveDuration, Quantity, Time
from spotkube.api.rules import Keyed, Rule, SpecModel, StatusModel
from spotkube.model.quantities import parse_quantity

ACTIVE = "Active"
"""Condition of a FairQueue: whether it admits."""
OVERLAPS = "Overlaps"
"""Condition of a FairQueue: whether other queues are for some of its namespaces, too."""
INVALID = "Invalid"
"""Reason of Active."""


class StopPolicy(StrEnum):
    NONE = "None"
    HOLD = "Hold"
    HOLD_AND_DRAIN = "HoldAndDrain"


class SelectorOperator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class SelectorRequirement(SpecModel):
    """One expression of a metav1.LabelSelector."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.operator in ['In', 'NotIn'] == (has(self.values) && size(self.values) > 0)",
            "values don't fit the operator: In and NotIn need at least one, Exists and DoesNotExist take none",
            lambda item: (item.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)) == bool(item.values),
        ),
    )

    key: LabelKey
    """Label of the namespace that is looked at."""
    operator: SelectorOperator
    """In, NotIn, Exists or DoesNotExist."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=100)] = ()
    """Values for In and NotIn, at least one; none for Exists and DoesNotExist."""


class NamespaceSelector(SpecModel):
    """A metav1.LabelSelector; empty means every namespace."""

    match_labels: Labels = Field(default_factory=dict)
    """Labels that the namespace must have with exactly these values."""
    match_expressions: Annotated[tuple[SelectorRequirement, ...], Field(max_length=32)] = ()
    """Expressions that must all hold for the namespace's labels."""


class Tenant(SpecModel):
    """A tenant that shares the queue with a weight of its own."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The namespace; or, where the operator's setting queue_tenant_label names a label of Namespaces, the value of that
    label. Both say who a tenant is because RBAC guards them."""
    weight: Annotated[float, Field(ge=0)] = 1
    """The tenant's share relative to the others'; with 0 it gets only what nobody else wants."""


class ResourceQuota(SpecModel):
    """How much of one resource the queue may use."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.lendingLimit)"
            " || !isQuantity(string(self.lendingLimit)) || !isQuantity(string(self.nominalQuota))"
            " || quantity(string(self.lendingLimit)).compareTo(quantity(string(self.nominalQuota))) <= 0",
            "lendingLimit is above nominalQuota, and more than there is can't be lent: lower lendingLimit or "
            "raise nominalQuota",
            lambda quota: (
                quota.lending_limit is None
                or parse_quantity(quota.lending_limit) <= parse_quantity(quota.nominal_quota)
            ),
        ),
    )

    name: LabelKey
    """Name of the resource as in a container's requests, such as cpu, memory or nvidia.com/gpu."""
    nominal_quota: Quantity
    """The amount that the queue may always use; not negative."""
    borrowing_limit: Quantity | None = None
    """How much above nominalQuota it may use of what others in its cohort leave idle; left out, there is no limit.
    Needs cohort."""
    lending_limit: Quantity | None = None
    """How much of nominalQuota others in the cohort may use while it is idle; left out, all of it. Needs cohort."""


class Budget(SpecModel):
    """How many dollars the queue's pods may cost; each that is set holds."""

    usd_per_hour: Annotated[float, Field(ge=0)] | None = None
    """At most so many dollars an hour at any moment."""
    usd_per_day: Annotated[float, Field(ge=0)] | None = None
    """At most so many dollars from midnight to midnight UTC."""
    usd_per_month: Annotated[float, Field(ge=0)] | None = None
    """At most so many dollars in a calendar month UTC."""


class FairQueueSpec(SpecModel):
    """Who shares, with which weights, and within which quota and budget."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.cohort) || !has(self.resources)"
            " || self.resources.all(r, !has(r.borrowingLimit) && !has(r.lendingLimit))",
            "borrowingLimit and lendingLimit need somebody to share with: set cohort, or remove them",
            lambda spec: (
                spec.cohort is not None
                or all(quota.borrowing_limit is None and quota.lending_limit is None for quota in spec.resources)
            ),
        ),
    )

    cohort: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Queues that name the same cohort lend each other what they leave idle."""
    weight: Annotated[float, Field(ge=0)] = 1
    """The queue's share relative to other queues of its cohort; with 0 it gets only what nobody else wants."""
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=500), Keyed(("name",))] = ()
    """Tenants whose weight is not 1. Those that are not listed have weight 1."""
    namespace_selector: NamespaceSelector = NamespaceSelector()
    """Which namespaces may use the queue; left out or empty, all may."""
    resources: Annotated[tuple[ResourceQuota, ...], Field(max_length=32), Keyed(("name",))] = ()
    """Quota of each resource; one that is not listed has no limit."""
    budget: Budget = Budget()
    """Limits in dollars."""
    advisory_run_time: PositiveDuration | None = None
    """How long a pod should run at most, such as 10m: who waits for a divisible job to give back room waits as long as
    its pods run. Nothing is ended for it; status tells of pods that run longer. Left out, none does."""
    stop_policy: StopPolicy = StopPolicy.NONE
    """None: work is admitted. Hold: nothing new is admitted. HoldAndDrain: what runs is ended and waits again as
    well."""


class ResourceUsage(StatusModel):
    """How much of one resource the queue's jobs have been admitted with."""

    name: Annotated[str, Field(max_length=317)]
    """Name of the resource."""
    used: Annotated[str, Field(max_length=32)]
    """What all that run take, as a quantity."""
    borrowed: Annotated[str, Field(max_length=32)]
    """How much of it is above nominalQuota."""


class QueueSpend(StatusModel):
    """What the queue's pods cost: of each node that they run on, its price times their dominant share."""

    usd_per_hour: float = 0
    """Dollars an hour now."""
    usd_today: float = 0
    """Dollars since midnight UTC."""
    usd_this_month: float = 0
    """Dollars since the month began, UTC."""


class TenantStatus(StatusModel):
    """How one tenant stands in the queue."""

    name: Annotated[str, Field(max_length=63)]
    """The namespace, or what a label of its namespaces names."""
    namespaces: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=20)] = ()
    """Its namespaces where a label names the tenant, at most 20."""
    weight: float
    """Its weight."""
    pending: Count
    """How many of its jobs wait."""
    admitted: Count
    """How many of them run."""
    usd_per_hour: float = 0
    """What its pods cost now, in dollars an hour."""
    usd_this_month: float = 0
    """What they have cost since the month began, UTC."""


class Overrun(StatusModel):
    """A job with pods that run longer than the queue's advisoryRunTime."""

    job: Annotated[str, Field(max_length=320)]
    """Its namespace and name."""
    pods: Count
    """How many of its pods do."""
    since: Time
    """Since when the first of them does: so long it has delayed those who wait for its room."""


class FairQueueStatus(ObservedStatus):
    """How the queue stands. Written by SpotKube. Conditions: Active, False while stopPolicy keeps it from admitting
    (Stopped), or what is written can't be meant (Invalid); Overlaps, True and there only while other queues are for
    some of its namespaces, too."""

    pending_workloads: Count | None = None
    """How many jobs wait in the queue."""
    admitted_workloads: Count | None = None
    """How many jobs of the queue run."""
    usage: Annotated[tuple[ResourceUsage, ...], Field(max_length=32)] = ()
    """Of each resource that has a quota."""
    spend: QueueSpend = QueueSpend()
    """What it costs, accounted from what really ran at its real price."""
    tenants: Annotated[tuple[TenantStatus, ...], Field(max_length=500)] = ()
    """Those with jobs that wait or run, at most 500."""
    overruns: Annotated[tuple[Overrun, ...], Field(max_length=20)] = ()
    """Jobs with pods that run longer than advisoryRunTime, at most 20: those that have done so for longest."""


class FairQueue(KubeObject):
    """A queue that shares the cluster fairly among tenants. Jobs and pods with the label spotkube.io/queue-name, and
    batch Workloads with queueName, stand in it: they are suspended or gated until their turn comes, in the order of
    User-Weighted Fair Queueing, within its quotas and budget. Services are held by it only if the template of their
    pods has the label."""

    resource: ClassVar[Resource] = Resource(
        kind="FairQueue",
        plural="fairqueues",
        short_name="fq",
        namespaced=False,
        columns=(
            Column("Cohort", ".spec.cohort"),
            Column("Weight", ".spec.weight", "number"),
            Column("Active", ".status.conditions[?(@.type=='Active')].status"),
            Column("Reason", ".status.conditions[?(@.type=='Active')].reason"),
            Column("Pending", ".status.pendingWorkloads", "integer"),
            Column("Admitted", ".status.admittedWorkloads", "integer"),
        ),
    )

    kind: Literal["FairQueue"] = "FairQueue"
    spec: FairQueueSpec
    status: FairQueueStatus = FairQueueStatus()
