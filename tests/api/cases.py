"""Objects that must be accepted, refused, or refused as a change; judged by the API server and by the models alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """`says` is part of the API server's refusal (empty: it accepts), `models_say` of pydantic's if that differs."""

    title: str
    kind: str
    spec: Spec
    says: str = ""
    models_say: str = ""
    name: str = "case"

    def manifest(self) -> dict[str, Any]:
        return manifest(self.kind, self.spec, self.name)


@dataclass(frozen=True, slots=True)
class Change:
    """An update of the spec by JSON merge patch; accepted when `says` is empty. The rule lives on the server only."""

    title: str
    kind: str
    before: Spec
    patch: Spec
    says: str = ""


def manifest(kind: str, spec: Spec, name: str) -> dict[str, Any]:
    return {"apiVersion": "spotkube.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def pods(**pod_spec: Any) -> Spec:
    return {"spec": {"containers": [{"name": "main", "image": "busybox"}], **pod_spec}}


def job(**fields: Any) -> Spec:
    return {"job": {"template": pods(restartPolicy="Never"), **fields}}


def divisible(completions: int = 9, **fields: Any) -> Spec:
    spec = {**job(parallelism=4, completions=completions), "queueName": "batch", "minParallelism": 2, **fields}
    return {name: value for name, value in spec.items() if value is not None}


def roles(*names: str, **fields: Any) -> Spec:
    return {"roles": [{"name": name, **job()} for name in names], **fields}


def deployment(**fields: Any) -> Spec:
    return {"deployment": {"template": pods(), **fields}}


def stateful_set(**fields: Any) -> Spec:
    return {"statefulSet": {"template": pods(), **fields}}


def target(kind: str, api_version: str = "apps/v1") -> Spec:
    return {"targetRef": {"apiVersion": api_version, "kind": kind, "name": "shop"}}


def requirement(key: str, operator: str, *values: str) -> Spec:
    entry = {"key": key, "operator": operator} | ({"values": list(values)} if values else {})
    return {"template": {"spec": {"requirements": [entry]}}}


def choice(least: int, operator: str = "Exists", *values: str) -> Spec:
    """A requirement with minValues."""
    entry = {"key": "topology.kubernetes.io/zone", "operator": operator, "minValues": least}
    return {"template": {"spec": {"requirements": [entry | ({"values": list(values)} if values else {})]}}}


def node_labels(**labels: str) -> Spec:
    return {"template": {"metadata": {"labels": labels}}}


def claim(**fields: Any) -> Spec:
    bought = {
        "nodePool": "general",
        "instanceType": "m7g.large",
        "zone": "us-east-1a",
        "capacityType": "spot",
        "arch": "arm64",
        "priceUSDPerHour": 0.0312,
        "allocatable": {"cpu": "1930m", "memory": "6804Mi", "pods": 29},
    }
    return bought | fields


def quota(**fields: Any) -> Spec:
    return {"resources": [{"name": "cpu", "nominalQuota": "10", **fields}]}


OTHER_ROLES = "roles can't be added, renamed or taken out"
NEED_ONE_SOURCE = "set exactly one of job, roles, deployment, statefulSet and targetRef"
SPOT_EXCLUSIVE = "never, onDemandBase and spotFraction exclude each other: keep one of them"
VALUES_FIT = "give In and NotIn at least one, Gt and Lt exactly one, Exists and DoesNotExist none"
NOT_NEGATIVE = "a quantity may not be negative: write 0 for none, or leave the entry out for no limit"
ZERO_OR_MORE = "greater than or equal to 0"
DURATION = "write hours, minutes and seconds in this order, such as 0s, 90s, 20m or 1h30m"
POSITIVE_DURATION = "must be a duration above zero"

WORKLOADS = (
    Case("a job", "Workload", job()),
    Case("a job of two roles", "Workload", roles("leader", "workers", queueName="batch", expectedRunTime="1h")),
    Case("as many roles as there may be", "Workload", roles(*(f"role-{n}" for n in range(16)))),
    Case("more roles than there may be", "Workload", roles(*(f"role-{n}" for n in range(17))), "16"),
    Case("no role", "Workload", roles(), NEED_ONE_SOURCE),
    Case("roles and a job", "Workload", roles("leader") | job(), NEED_ONE_SOURCE),
    Case("two roles of one name", "Workload", roles("leader", "leader"), "Duplicate value", "leader"),
    Case("a role that is no DNS label", "Workload", roles("Leader"), "not a DNS label"),
    Case("a long name of role and Workload", "Workload", roles("r" * 58), name="case"),
    Case("one that is too long", "Workload", roles("r" * 59), "shorten one of the two names"),
    Case("roles that can be divided", "Workload", roles("leader", queueName="q", minParallelism=1),
         "minParallelism needs queueName"),
    Case("roles that must stay available", "Workload", roles("leader", minAvailable=1), "for services only"),
    Case("a deployment", "Workload", deployment(replicas=3)),
    Case("a stateful set", "Workload", stateful_set(podManagementPolicy="Parallel")),
    Case("a target", "Workload", target("Deployment")),
    Case("a job as target", "Workload", target("Job", "batch/v1")),
    Case("nothing that runs", "Workload", {}, NEED_ONE_SOURCE),
    Case("two things that run", "Workload", job() | deployment(), NEED_ONE_SOURCE),
    Case("a target's wrong version", "Workload", target("Job"), "write batch/v1 for a Job, apps/v1 for a Deployment"),
    Case("a target of a foreign kind", "Workload", target("DaemonSet"), "Unsupported value", "'Job', 'Deployment' or"),
    Case("no containers", "Workload", {"deployment": {"template": {"spec": {"containers": []}}}},
         "containers in body should have at least 1 items", "must have at least one container"),
    Case("a container without name", "Workload",
         {"deployment": {"template": {"spec": {"containers": [{"image": "x"}]}}}},
         "containers[0].name: Required value", "has no name"),
    Case("template metadata in one word", "Workload", deployment(template=pods() | {"metadata": "app"}),
         "must be of type object", "metadata must be an object"),
    Case("a volume claim in one word", "Workload", stateful_set(volumeClaimTemplates=[{"metadata": "a", "spec": {}}]),
         "must be of type object", "needs metadata.name and spec"),
    Case("no template", "Workload", {"deployment": {"replicas": 1}}, "template: Required value", "Field required"),
    Case("a job that restarts for ever", "Workload", job(template=pods(restartPolicy="Always")),
         "set template.spec.restartPolicy to Never or OnFailure"),
    Case("a job that says nothing of restarts", "Workload", job(template=pods()),
         "set template.spec.restartPolicy to Never or OnFailure"),
    Case("a job that restarts on failure", "Workload", job(template=pods(restartPolicy="OnFailure"))),
    Case("a job without completions", "Workload", job(completions=0), "greater than or equal to 1"),
    Case("a volume claim without name", "Workload", stateful_set(volumeClaimTemplates=[{"metadata": {}, "spec": {}}]),
         "metadata.name: Required value", "needs metadata.name and spec"),
    Case("a volume claim", "Workload", stateful_set(volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}])),
    Case("a misspelt field", "Workload", deployment() | {"queuename": "a"}, "unknown field", "Extra inputs"),
    Case("never on spot", "Workload", deployment() | {"spot": {"never": True}}),
    Case("some on demand", "Workload", deployment() | {"spot": {"onDemandBase": 2}}),
    Case("half on spot", "Workload", deployment() | {"spot": {"spotFraction": 0.5}}),
    Case("an explicit not-never", "Workload", deployment() | {"spot": {"never": False, "spotFraction": 0.5}}),
    Case("two spot rules", "Workload", deployment() | {"spot": {"onDemandBase": 2, "spotFraction": 0.5}},
         SPOT_EXCLUSIVE),
    Case("never and a fraction", "Workload", deployment() | {"spot": {"never": True, "spotFraction": 0.5}},
         SPOT_EXCLUSIVE),
    Case("more than all on spot", "Workload", deployment() | {"spot": {"spotFraction": 1.5}},
         "less than or equal to 1"),
    Case("a third in one pool", "Workload", deployment() | {"spot": {"maxFractionPerPool": 0.33}}),
    Case("a third of a half in one pool", "Workload",
         deployment() | {"spot": {"spotFraction": 0.5, "maxFractionPerPool": 0.33}}),
    Case("a percentage in one pool", "Workload", deployment() | {"spot": {"maxFractionPerPool": 33}},
         "less than or equal to 1"),
    Case("less than nothing in one pool", "Workload", deployment() | {"spot": {"maxFractionPerPool": -0.1}},
         ZERO_OR_MORE),
    Case("a negative base", "Workload", deployment() | {"spot": {"onDemandBase": -1}}, ZERO_OR_MORE),
    Case("a job that can be divided", "Workload", divisible()),
    Case("one of no queue", "Workload", divisible(queueName=None), "minParallelism needs queueName"),
    Case("one of a single wave", "Workload", divisible(completions=4), "more completions than parallelism"),
    Case("one that needs more pods than it has", "Workload", divisible(minParallelism=5), "of at least that"),
    Case("a job that can do without pods", "Workload", divisible(minParallelism=0), "greater than or equal to 1"),
    Case("a job's run time", "Workload", job() | {"expectedRunTime": "1h30m"}),
    Case("a target job's run time", "Workload", target("Job", "batch/v1") | {"expectedRunTime": "90s"}),
    Case("a service's run time", "Workload", deployment() | {"expectedRunTime": "20m"},
         "a service does not end: remove it"),
    Case("a run time of nothing", "Workload", job() | {"expectedRunTime": "0s"}, POSITIVE_DURATION),
    Case("a run time in words", "Workload", job() | {"expectedRunTime": "an hour"}, POSITIVE_DURATION),
    Case("a run time in days", "Workload", job() | {"expectedRunTime": "2d"}, POSITIVE_DURATION),
    Case("a job's checkpoints", "Workload", job() | {"checkpointInterval": "10m"}),
    Case("a service's checkpoints", "Workload", deployment() | {"checkpointInterval": "10m"},
         "checkpointInterval is for jobs only"),
    Case("checkpoints all the time", "Workload", job() | {"checkpointInterval": "0s"}, POSITIVE_DURATION),
    Case("an empty run time", "Workload", job() | {"expectedRunTime": ""}, POSITIVE_DURATION),
    Case("a restart of no time", "Workload", deployment() | {"restartTime": "0s"}),
    Case("a job's restart", "Workload", job() | {"restartTime": "1h30m"}),
    Case("a restart in words", "Workload", deployment() | {"restartTime": "a while"}, DURATION),
    Case("a number to keep", "Workload", deployment() | {"minAvailable": 2}),
    Case("a share to keep", "Workload", stateful_set() | {"minAvailable": "50%"}),
    Case("everything to keep", "Workload", deployment() | {"minAvailable": "100%"}),
    Case("more than everything", "Workload", deployment() | {"minAvailable": "101%"}, "percentage from 0% to 100%"),
    Case("a quoted number", "Workload", deployment() | {"minAvailable": "2"},
         "a number of pods such as 2 without quotes"),
    Case("fewer than none", "Workload", deployment() | {"minAvailable": -1}, "a number of pods such as 2"),
    Case("pods that are told and succeeded first", "Workload", deployment() | {
        "termination": {"grace": "90s", "noticeAnnotation": "example.com/save", "noticeTime": "30s", "surge": True},
    }),
    Case("a target that is succeeded first", "Workload", target("Deployment") | {"termination": {"surge": True}}),
    Case("a job that is succeeded first", "Workload", job() | {"termination": {"surge": True}}, "for Deployments only"),
    Case("names that are succeeded first", "Workload", stateful_set() | {"termination": {"surge": True}},
         "for Deployments only"),
    Case("names that are not", "Workload", stateful_set() | {"termination": {"surge": False}}),
    Case("time without being told", "Workload", job() | {"termination": {"noticeTime": "30s"}},
         "set noticeAnnotation too"),
    Case("no time without being told", "Workload", job() | {"termination": {"noticeTime": "0s"}}),
    Case("told by a name of ours", "Workload", job() | {"termination": {"noticeAnnotation": "spotkube.io/save"}},
         "are the operator's"),
    Case("told by no name", "Workload", job() | {"termination": {"noticeAnnotation": ""}}, "not a label key"),
    Case("no grace at all", "Workload", job() | {"termination": {"grace": "0s"}}, "above zero"),
    Case("a job to keep", "Workload", job() | {"minAvailable": 1}, "to keep a job off spot, set spot.never to true"),
    Case("a pinned service", "Workload", deployment() | {"placement": "Pinned"}),
    Case("an unknown placement", "Workload", deployment() | {"placement": "Anywhere"}, "supported values: \"Pinned\"",
         "'Pinned' or 'Scheduler'"),
    Case("a pinned target", "Workload", target("Deployment") | {"placement": "Pinned"}, "not allowed with targetRef"),
    Case("a long name", "Workload", deployment(), name="a" * 63),
    Case("too long a name", "Workload", deployment(), "choose one of at most 63 characters", name="a" * 64),
    Case("too long a name for a stateful set", "Workload", stateful_set(), "or 52 for a statefulSet", name="a" * 53),
)  # fmt: skip

FAIR_QUEUES = (
    Case("an empty queue", "FairQueue", {}),
    Case("a run time to keep to", "FairQueue", {"advisoryRunTime": "10m"}),
    Case("no run time to keep to", "FairQueue", {"advisoryRunTime": "0s"}, POSITIVE_DURATION),
    Case("tenants", "FairQueue", {"tenants": [{"name": "team-a", "weight": 2.5}, {"name": "team-b"}]}),
    Case("a tenant twice", "FairQueue", {"tenants": [{"name": "team-a"}, {"name": "team-a"}]}, "Duplicate value",
         "keep one entry"),
    Case("a negative weight", "FairQueue", {"weight": -1}, ZERO_OR_MORE),
    Case("a negative weight of a tenant", "FairQueue", {"tenants": [{"name": "a", "weight": -0.5}]}, ZERO_OR_MORE),
    Case("weights of zero", "FairQueue", {"weight": 0, "tenants": [{"name": "team-a", "weight": 0}]}),
    Case("a quota of zero", "FairQueue", quota(nominalQuota="0")),
    Case("a quota without an amount", "FairQueue", {"resources": [{"name": "cpu"}]}, "Required value",
         "Field required"),
    Case("a negative borrowing limit", "FairQueue", quota(borrowingLimit="-1") | {"cohort": "all"}, NOT_NEGATIVE),
    Case("a quota", "FairQueue", quota()),
    Case("a quota as number", "FairQueue", quota(nominalQuota=10)),
    Case("a negative quota", "FairQueue", quota(nominalQuota="-1"), NOT_NEGATIVE),
    Case("a negative quota as number", "FairQueue", quota(nominalQuota=-1), NOT_NEGATIVE),
    Case("a quota that is none", "FairQueue", quota(nominalQuota="ten"), "not a quantity: write a number"),
    Case("borrowing", "FairQueue", quota(borrowingLimit="5") | {"cohort": "all"}),
    Case("borrowing from nobody", "FairQueue", quota(borrowingLimit="5"), "set cohort, or remove them"),
    Case("lending", "FairQueue", quota(lendingLimit="10000m") | {"cohort": "all"}),
    Case("lending more than there is", "FairQueue", quota(lendingLimit="10001m") | {"cohort": "all"},
         "lower lendingLimit or raise nominalQuota"),
    Case("a selector", "FairQueue", {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
    Case("a selector without values", "FairQueue",
         {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
         "In and NotIn need at least one, Exists and DoesNotExist take none"),
    Case("a selector with values too many", "FairQueue",
         {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
         "In and NotIn need at least one, Exists and DoesNotExist take none"),
    Case("a budget", "FairQueue", {"budget": {"usdPerHour": 1.5, "usdPerMonth": 900}}),
    Case("a negative budget", "FairQueue", {"budget": {"usdPerDay": -3}}, ZERO_OR_MORE),
    Case("an unknown stop", "FairQueue", {"stopPolicy": "Stop"}, "\"None\", \"Hold\", \"HoldAndDrain\"",
         "'HoldAndDrain'"),
)  # fmt: skip

NODE_POOLS = (
    Case("an empty pool", "NodePool", {}),
    Case("an unknown mode", "NodePool", {"mode": "Auto"}, "\"Apply\", \"Recommend\", \"Paused\"", "'Recommend'"),
    Case("an unknown provider", "NodePool", {"provider": "moon"}, "\"local\"", "'local'"),
    Case("too high a weight", "NodePool", {"weight": 101}, "less than or equal to 100"),
    Case("families", "NodePool", requirement("spotkube.io/instance-family", "In", "m7g", "c7g")),
    Case("a lower bound", "NodePool", requirement("spotkube.io/instance-cpu", "Gt", "3")),
    Case("any GPU", "NodePool", requirement("spotkube.io/instance-gpu-name", "Exists")),
    Case("In without values", "NodePool", requirement("topology.kubernetes.io/zone", "In"), VALUES_FIT),
    Case("Exists with values", "NodePool", requirement("topology.kubernetes.io/zone", "Exists", "a"), VALUES_FIT),
    Case("Gt with two", "NodePool", requirement("spotkube.io/instance-cpu", "Gt", "3", "4"), VALUES_FIT),
    Case("Gt with a word", "NodePool", requirement("spotkube.io/instance-cpu", "Gt", "few"),
         "write the bound as one, in quotes"),
    Case("an unknown operator", "NodePool", requirement("a", "Near", "b"), "supported values: \"In\"",
         "'DoesNotExist'"),
    Case("a misspelt label of ours", "NodePool", requirement("spotkube.io/instance-famly", "Exists"),
         "no such label of ours: choose from"),
    Case("a label of yours", "NodePool", requirement("example.com/team", "In", "shop")),
    Case("a broken key", "NodePool", requirement("a b", "Exists"), "write name or domain/name"),
    Case("spot only", "NodePool", requirement("spotkube.io/capacity-type", "In", "spot")),
    Case("reserved only", "NodePool", requirement("spotkube.io/capacity-type", "In", "reserved"),
         "write spot or on-demand"),
    Case("one host", "NodePool", requirement("kubernetes.io/hostname", "In", "a"),
         "is not known before a node is bought"),
    Case("node labels", "NodePool", node_labels(team="shop")),
    Case("a node label with a broken key", "NodePool", node_labels(**{"a b": "c"}),
         "a key here is not of the form of a label"),
    Case("a node label with a broken value", "NodePool", node_labels(team="a b"), "not a label value: write letters"),
    Case("an empty node label", "NodePool", node_labels(team="")),
    Case("node labels of ours", "NodePool", node_labels(**{"spotkube.io/instance-family": "m7g"}),
         "labels in spotkube.io/ are set by SpotKube"),
    Case("node labels of the offering", "NodePool", node_labels(**{"kubernetes.io/arch": "arm64"}),
         "write spec.template.spec.requirements instead"),
    Case("taints", "NodePool", {"template": {"spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}}),
    Case("a taint without a known effect", "NodePool",
         {"template": {"spec": {"taints": [{"key": "gpu", "effect": "No"}]}}},
         "\"NoSchedule\"", "'NoSchedule'"),
    Case("limits", "NodePool",
         {"limits": {"resources": {"cpu": 100, "memory": "1Ti"}, "nodes": 10, "usdPerHour": 3.5}}),
    Case("limits of nothing", "NodePool", {"limits": {"resources": {"cpu": 0}, "nodes": 0, "usdPerHour": 0}}),
    Case("a negative limit", "NodePool", {"limits": {"resources": {"cpu": "-500m"}}}, NOT_NEGATIVE),
    Case("a negative number of nodes", "NodePool", {"limits": {"nodes": -1}}, ZERO_OR_MORE),
    Case("negative dollars", "NodePool", {"limits": {"usdPerHour": -0.1}}, ZERO_OR_MORE),
    Case("a cost of each node", "NodePool", {"perNodeCost": 0.0125}),
    Case("no cost of each node", "NodePool", {"perNodeCost": 0}),
    Case("a negative cost of each node", "NodePool", {"perNodeCost": -0.01}, ZERO_OR_MORE),
    Case("an absurd cost of each node", "NodePool", {"perNodeCost": 10_001}, "less than or equal to 10000"),
    Case("a choice of three zones", "NodePool", choice(3)),
    Case("a choice of two of three", "NodePool", choice(2, "In", "a", "b", "c")),
    Case("a choice of more than there are", "NodePool", choice(3, "In", "a", "b"),
         "lower it, or add values"),
    Case("a choice without values to choose", "NodePool", choice(1, "DoesNotExist"), "remove one of the two"),
    Case("a choice of others", "NodePool", choice(2, "NotIn", "a")),
    Case("a choice of none", "NodePool", choice(0), "greater than or equal to 1"),
    Case("too wide a choice", "NodePool", choice(51), "less than or equal to 50"),
    Case("a share in one spot pool", "NodePool", {"spot": {"maxFractionPerPool": 0.5}}),
    Case("more than all in one spot pool", "NodePool", {"spot": {"maxFractionPerPool": 1.5}},
         "less than or equal to 1"),
    Case("a published band", "NodePool", {"spot": {"maxInterruptionPercent": 15}}),
    Case("no such band", "NodePool", {"spot": {"maxInterruptionPercent": 7}},
         "\"5\", \"10\", \"15\", \"20\", \"100\"", "5, 10, 15, 20"),
    Case("a timeout", "NodePool", {"readyTimeout": "2m30s"}),
    Case("no timeout", "NodePool", {"readyTimeout": "0m"}, POSITIVE_DURATION),
    Case("at once when empty", "NodePool", {"disruption": {"consolidateAfter": "0s"}}),
    Case("when empty for a while", "NodePool", {"disruption": {"consolidateAfter": "a while"}}, DURATION),
    Case("moves too", "NodePool", {"disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized"}}),
    Case("a policy of older peers", "NodePool", {"disruption": {"consolidationPolicy": "WhenUnderutilized"}},
         "\"WhenEmpty\", \"WhenEmptyOrUnderutilized\", \"Never\"", "'Never'"),
    Case("a share of nodes at a time", "NodePool", {"disruption": {"budgets": [{"nodes": "10%"}]}}),
    Case("more than all of them", "NodePool", {"disruption": {"budgets": [{"nodes": "101%"}]}}, "a number of nodes"),
    Case(
        "none in working hours",
        "NodePool",
        {"disruption": {"budgets": [{"nodes": "0", "schedule": "0 9 * * mon-fri", "duration": "8h"}]}},
    ),
    Case(
        "a schedule without an end",
        "NodePool",
        {"disruption": {"budgets": [{"nodes": "0", "schedule": "@daily"}]}},
        "belong together",
    ),
    Case("moves that pay back soon", "NodePool", {"disruption": {"payBackWithin": "20m"}}),
    Case("moves that pay back at once", "NodePool", {"disruption": {"payBackWithin": "0s"}}, POSITIVE_DURATION),
    Case("a long name", "NodePool", {}, name="a" * 50),
    Case("too long a name", "NodePool", {}, "choose one of at most 50 characters", name="a" * 51),
)  # fmt: skip

NODE_CLAIMS = (
    Case("a claim", "NodeClaim", claim()),
    Case("a free node", "NodeClaim", claim(priceUSDPerHour=0), "greater than 0"),
    Case(
        "a reserved node", "NodeClaim", claim(capacityType="reserved"), '"on-demand", "spot"', "'on-demand' or 'spot'"
    ),
    Case("negative allocatable", "NodeClaim", claim(allocatable={"cpu": "-1"}), NOT_NEGATIVE),
    Case("too long a name", "NodeClaim", claim(), "choose one of at most 63 characters", name="a" * 64),
)

CAPACITY_PLANS = (
    Case("a plan", "CapacityPlan", {"mode": "Recommend", "seed": 7, "trigger": "3 pods wait"}),
    Case("a plan without mode", "CapacityPlan", {"seed": 7}, "mode: Required value", "Field required"),
)

CASES = (*WORKLOADS, *FAIR_QUEUES, *NODE_POOLS, *NODE_CLAIMS, *CAPACITY_PLANS)

FROZEN_JOB = "completions and template of a job can't change: delete the Workload and create it anew"
FROZEN_SET = "of a stateful set can't change: delete the Workload and create it anew"
OTHER_SOURCE = "what runs can't turn into another kind: create a second Workload for it and delete this one"
FROZEN_CLAIM = "a NodeClaim is one purchase and can't change: delete the claim"
VOLUME = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}

CHANGES = (
    Change("more parallel pods", "Workload", job(), {"job": {"parallelism": 4}}),
    Change("more completions", "Workload", job(), {"job": {"completions": 4}}, FROZEN_JOB),
    Change("a job's image", "Workload", job(), {"job": {"template": pods(nodeSelector={"a": "b"})}}, FROZEN_JOB),
    Change("a deployment's template", "Workload", deployment(),
           {"deployment": {"template": pods(nodeSelector={"a": "b"})}}),
    Change("more replicas", "Workload", stateful_set(), {"statefulSet": {"replicas": 4}}),
    Change("another service", "Workload", stateful_set(), {"statefulSet": {"serviceName": "b"}}, FROZEN_SET),
    Change("another start order", "Workload", stateful_set(), {"statefulSet": {"podManagementPolicy": "Parallel"}},
           FROZEN_SET),
    Change("more volumes", "Workload", stateful_set(), {"statefulSet": {"volumeClaimTemplates": [VOLUME]}}, FROZEN_SET),
    Change("no volumes in other words", "Workload", stateful_set(), {"statefulSet": {"volumeClaimTemplates": []}}),
    Change("more pods of a role", "Workload", roles("leader", "workers"),
           {"roles": [{"name": "leader", **job()}, {"name": "workers", "job": {"parallelism": 2, **job()["job"]}}]}),
    Change("a role taken out", "Workload", roles("leader", "workers"), roles("leader"), OTHER_ROLES),
    Change("a role more", "Workload", roles("leader"), roles("leader", "workers"), OTHER_ROLES),
    Change("a role renamed", "Workload", roles("leader", "workers"), roles("leader", "others"), OTHER_ROLES),
    Change("from job to service", "Workload", job(), deployment() | {"job": None}, OTHER_SOURCE),
    Change("from own to target", "Workload", deployment(), target("Deployment") | {"deployment": None}, OTHER_SOURCE),
    Change("another target", "Workload", target("Deployment"), {"targetRef": {"name": "b"}}, "targetRef can't change"),
    Change("another spot rule", "Workload", deployment(), {"spot": {"onDemandBase": 1}}),
    Change("a pool's limits", "NodePool", {}, {"limits": {"usdPerHour": 2}}),
    Change("a claim's type", "NodeClaim", claim(), {"instanceType": "m7g.xlarge"}, FROZEN_CLAIM),
    Change("a claim's price", "NodeClaim", claim(), {"priceUSDPerHour": 9}, FROZEN_CLAIM),
    Change("a claim's new label", "NodeClaim", claim(), {"labels": {"a": "b"}}, FROZEN_CLAIM),
    Change("a claim as it is", "NodeClaim", claim(), {"instanceType": "m7g.large"}),
    Change("a plan's seed", "CapacityPlan", {"mode": "Apply", "seed": 1}, {"seed": 2}, "a CapacityPlan is the record"),
)  # fmt: skip
