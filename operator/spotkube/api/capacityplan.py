"""CapacityPlan: the record of one decision, with what it costs and how cheap it could be at best."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from spotkube.api.common import Column, KubeObject, ObservedStatus, Resource
from spotkube.api.fields import Count, Fraction, Name, Text, UsdPerHour
from spotkube.api.nodeclaim import CapacityType
from spotkube.api.nodepool import PoolMode
from spotkube.api.rules import Rule, SpecModel, StatusModel

MAX_ADDITIONS = 500
MAX_DRAINS = 500
MAX_UNPLACEABLE = 100
MAX_FRONT = 20
MAX_CONCENTRATIONS = 100
MAX_CHANGES = 5


class CapacityPlanSpec(SpecModel):
    """What the decision was asked for. It can't change."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self == oldSelf",
            "a CapacityPlan is the record of a decision and can't change: change the NodePools or Workloads, and "
            "a new plan is made",
        ),
    )

    mode: PoolMode
    """The mode in force: in Recommend the plan stops at being written, in Apply it is carried out."""
    seed: int
    """Seed of the search; with the same state of the cluster and the same amount of work it gives the same plan."""
    trigger: Text = ""
    """What made the decision necessary, in words."""


class PodCounts(StatusModel):
    """How many pods the plan is about."""

    total: Count = 0
    """All pods that were planned for."""
    placed: Count = 0
    """Pods that have a node in the plan; costs and bound speak of these."""
    unplaceable: Count = 0
    """Pods that nothing that may be bought can hold; status.unplaceable tells why."""
    unmet_preferences: Count = 0
    """Pods planned onto nodes to buy that don't meet all of their preferences (preferred node affinity, taints with
    effect PreferNoSchedule)."""


class NodeCounts(StatusModel):
    """How many nodes the plan is about."""

    add: Count = 0
    """Nodes to buy."""
    keep: Count = 0
    """Nodes that stay."""
    drain: Count = 0
    """Nodes to drain and give back."""


class Addition(StatusModel):
    """A node to buy."""

    node_pool: Name
    """The NodePool that it belongs to."""
    instance_type: Annotated[str, Field(max_length=63)]
    """The instance type."""
    zone: Annotated[str, Field(max_length=63)]
    """The zone."""
    capacity_type: CapacityType
    """on-demand or spot."""
    price_usd_per_hour: UsdPerHour
    """Its price in dollars an hour."""
    pods: Count = 0
    """How many pods are planned onto it."""
    claim: Name | None = None
    """The NodeClaim that was made for it; absent in Recommend."""
    reason: Text = ""
    """Why it is bought, in words."""


class Drain(StatusModel):
    """A node to drain and give back."""

    claim: Name
    """Its NodeClaim."""
    pods: Count = 0
    """How many pods have to move first."""
    saved_usd_per_hour: UsdPerHour | None = None
    """Its price in dollars an hour, which is no longer paid."""
    moves_usd: Annotated[float, Field(ge=0)] | None = None
    """What moving its pods costs, in dollars once."""
    reason: Text = ""
    """Why it goes, in words."""


class HelpfulChange(StatusModel):
    """One change of one field."""

    kind: Annotated[str, Field(max_length=63)]
    """The kind of the object to change."""
    object: Annotated[str, Field(max_length=512)]
    """Its name; of pods that of what makes them, as namespace/name."""
    field: Annotated[str, Field(max_length=512)] = ""
    """The field to change."""
    to: Text = ""
    """The value that it would need; empty where it would have to go."""
    words: Text = ""
    """The change in words."""


class Moves(StatusModel):
    """What the drains save together, what moving their pods costs, and what a perfect fleet would save beside that."""

    pods: Count = 0
    """How many running pods move."""
    saved_usd_per_hour: Annotated[float, Field(ge=0)] = 0
    """What the nodes cost less afterwards, in dollars an hour."""
    usd: Annotated[float, Field(ge=0)] = 0
    """What all moves cost, in dollars once."""
    pays_back_minutes: Annotated[float, Field(ge=0)] | None = None
    """After so many minutes what is saved has paid for the moves. Absent where nothing moves."""
    repack_usd_per_hour: UsdPerHour | None = None
    """What the nodes would cost if all that may go were packed anew, as far as was found; the bound is what no packing
    can go below. Absent where that was not looked at."""
    repack_pods: Count | None = None
    """How many pods that would move."""
    repack_usd: Annotated[float, Field(ge=0)] | None = None
    """What those moves would cost, in dollars once. What they save beyond this plan does not pay for it in time."""
    held_nodes: Count = 0
    """How many nodes in force can't be given back, since a pod on them can't be moved."""
    held_by: Text = ""
    """One of those pods, and why it can't."""


class UnplaceablePods(StatusModel):
    """Pods of one group that have no place."""

    name: Annotated[str, Field(max_length=512)]
    """The group of pods or the pod, as namespace/name."""
    count: Count
    """How many pods of it have no place."""
    reason: Text = ""
    """Why, and what would help."""
    changes: Annotated[tuple[HelpfulChange, ...], Field(max_length=MAX_CHANGES)] = ()
    """The fewest changes that together would give them a place, which was tried; none where no such few are known."""


class FrontPoint(StatusModel):
    """An alternative that was weighed: none of the others is better in everything."""

    usd_per_hour: UsdPerHour
    """What it costs in dollars an hour."""
    interruption_usd_per_hour: UsdPerHour = 0
    """What interruptions of its spot nodes are expected to cost, in dollars an hour: their rate times what it costs to
    start the pods on them anew."""
    pods_lost_together: Annotated[float, Field(ge=0)] = 0
    """How many pods one interruption takes in the worst 5 % of cases, on average (CVaR at 95 %): spot nodes of one
    instance type in one zone go together."""
    interruptions_per_month: Annotated[float, Field(ge=0)]
    """How many pods would be interrupted in a month, by the published bands and what this cluster has seen."""
    moved_pods: Count = 0
    """How many running pods it moves."""
    chosen: bool = False
    """Whether this is the plan."""


class Concentration(StatusModel):
    """How much of a NodePool's spot may be lost at once."""

    node_pool: Name
    """The NodePool."""
    instance_type: Annotated[str, Field(max_length=63)]
    """The instance type of which it has the most pods on spot in one zone."""
    zone: Annotated[str, Field(max_length=63)]
    """The zone."""
    pods: Count
    """How many pods are on spot nodes of that type in that zone, after the plan."""
    share: Fraction
    """Which part that is of the NodePool's pods on spot, from 0 to 1."""


class WorkDone(StatusModel):
    """How much was computed in the search that made the plan. Its snapshot has every count, for a replay."""

    column_rounds: Count = 0
    """Rounds of column generation for the bound."""
    generations: Count = 0
    """Generations of the genetic search."""
    branch_programs: Count = 0
    """Linear programs of the branch and bound that sharpens the bound of small problems."""
    landing_tries: Count = 0
    """Simulated landings, those of rejected ways to mend the plan included."""
    evaluations: Count = 0
    """Sets of nodes to give back that were weighed."""
    replans: Count = 0
    """Those of them that were planned for real."""


class KeptSnapshot(StatusModel):
    """What the decision was made from, with the work that it took: `spotkube plan --snapshot` makes it again."""

    config_map: Name | None = None
    """The ConfigMap that holds it; it goes when the plan goes."""
    namespace: Name | None = None
    """The namespace of the ConfigMap: the operator's own."""
    file: Text | None = None
    """The file that holds it, where the setting snapshot_folder names a folder."""
    bytes: Count | None = None
    """Its size."""
    plan_digest: Annotated[str, Field(max_length=64)] | None = None
    """SHA-256 of the plan as it was decided, before anything of it was dropped that was no longer needed."""
    message: Text | None = None
    """Why it is not kept, where it is not."""


class Baselines(StatusModel):
    """What simpler ways would have cost for the same pods; absent where they can't place all of them."""

    first_fit_usd_per_hour: UsdPerHour | None = None
    """First-fit decreasing under the same rules."""
    all_on_demand_usd_per_hour: UsdPerHour | None = None
    """The same without any spot."""


class Landing(StatusModel):
    """How the plan stands up to kube-scheduler, by simulation: each try has other random ties and another order of the
    nodes' arrival. No tries mean that nothing can go wrong."""

    tries: Count = 0
    """How many tries there were; 100, unless the time was up."""
    failed: Count = 0
    """In how many of them pods found no place, or one that they may not have."""
    failed_before: Count = 0
    """The same before nodes were added for such pods."""
    nodes_added: Count = 0
    """How many nodes were added for them."""
    usd_per_hour_added: UsdPerHour = 0
    """What these cost in dollars an hour."""


class CapacityPlanStatus(ObservedStatus):
    """What was decided. Written by SpotKube. Conditions: Solved (every pod that can be placed is), Applied (the plan
    has been carried out)."""

    cost_now_usd_per_hour: UsdPerHour | None = None
    """What the nodes cost before the plan, in dollars an hour."""
    cost_after_usd_per_hour: UsdPerHour | None = None
    """What they cost after it."""
    lower_bound_usd_per_hour: UsdPerHour | None = None
    """Proven: no set of nodes that holds the placed pods costs less than this."""
    gap_percent: Annotated[float, Field(ge=0)] | None = None
    """By how much the plan's cost is above the cheapest possible, at most: cost / bound - 1, in percent. Absent where
    the bound is 0."""
    pods: PodCounts | None = None
    """How many pods were planned for, and how many found a place."""
    nodes: NodeCounts | None = None
    """How many nodes come, stay and go. The lists below are cut at a length; these counts are not."""
    additions: Annotated[tuple[Addition, ...], Field(max_length=MAX_ADDITIONS)] = ()
    """The nodes to buy, at most 500 of them; nodes.add counts all."""
    drains: Annotated[tuple[Drain, ...], Field(max_length=MAX_DRAINS)] = ()
    """The nodes to drain, at most 500 of them; nodes.drain counts all."""
    moves: Moves | None = None
    """What the drains save and what they cost; absent where no node in force may be given back."""
    unplaceable: Annotated[tuple[UnplaceablePods, ...], Field(max_length=MAX_UNPLACEABLE)] = ()
    """Pods that have no place and why, at most 100 groups; pods.unplaceable counts all pods."""
    front: Annotated[tuple[FrontPoint, ...], Field(max_length=MAX_FRONT)] = ()
    """The alternatives between cost, interruptions, pods lost together and moved pods, at most 20: none of them is
    beaten in all by another."""
    policy: Text = ""
    """How the plan was picked from them, in words; the operator's setting policy says it."""
    concentrations: Annotated[tuple[Concentration, ...], Field(max_length=MAX_CONCENTRATIONS)] = ()
    """Where each NodePool's spot is most concentrated, at most 100 pools."""
    work: WorkDone | None = None
    """How much was computed."""
    solve_seconds: Annotated[float, Field(ge=0)] | None = None
    """How long the decision took, in seconds."""
    landing: Landing | None = None
    """Whether all pods land, whichever way kube-scheduler decides where the plan leaves it a choice."""
    baselines: Baselines | None = None
    """What simpler ways would have cost for the same pods."""
    snapshot: KeptSnapshot | None = None
    """Where it is kept what the decision was made from; absent where no search was needed."""


class CapacityPlan(KubeObject):
    """One decision: nodes to add, keep and drain, what they cost before and after, the proven lower bound and the
    gap to it, the alternatives that were weighed, and a reason for each node. Made by SpotKube. In mode Recommend it
    stops there."""

    resource: ClassVar[Resource] = Resource(
        kind="CapacityPlan",
        plural="capacityplans",
        short_name="cplan",
        namespaced=False,
        columns=(
            Column("Mode", ".spec.mode"),
            Column("Add", ".status.nodes.add", "integer"),
            Column("Keep", ".status.nodes.keep", "integer"),
            Column("Drain", ".status.nodes.drain", "integer"),
            Column("Now $/h", ".status.costNowUSDPerHour", "number"),
            Column("After $/h", ".status.costAfterUSDPerHour", "number"),
            Column("Bound $/h", ".status.lowerBoundUSDPerHour", "number"),
            Column("Gap %", ".status.gapPercent", "number"),
            Column("Unplaceable", ".status.pods.unplaceable", "integer"),
            Column("Trigger", ".spec.trigger", priority=1),
        ),
    )

    kind: Literal["CapacityPlan"] = "CapacityPlan"
    spec: CapacityPlanSpec
    status: CapacityPlanStatus = CapacityPlanStatus()
