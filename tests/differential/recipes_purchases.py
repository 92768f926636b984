"""Constraints of NodePools and Workloads, which kube-scheduler does not know, and scheduling gates, which it does."""

from __future__ import annotations

from differential.draft import Draft, Group
from differential.recipes_places import other_zone
from differential.registry import Change, constraint
from differential.scenario import Json, Scenario, pod_specs
from spotkube.model import labels as keys


def own_pool(draft: Draft, **spec: Json) -> tuple[Json, str]:
    """A pool, and the value of the label `for` by which pods ask for it."""
    pool = draft.pool(**spec)
    name = pool["metadata"]["name"]
    pool["spec"]["template"]["metadata"]["labels"]["for"] = name
    return pool, name


def customers(draft: Draft, label: str, count: int = 0, cpu: str = "", workload: bool | None = None) -> Group:
    group = draft.group(count, cpu=cpu, workload=workload)
    group.spec["nodeSelector"] = {"for": label}
    return group


def _without_operator(operator: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for pool in scenario.of_kind("NodePool"):
            template = pool["spec"]["template"]["spec"]
            template["requirements"] = [one for one in template["requirements"] if one["operator"] != operator]

    return misread


def _requiring(draft: Draft, key: str, operator: str, *values: str, count: int = 0, cpu: str = "") -> None:
    pool, label = own_pool(draft)
    expression = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
    pool["spec"]["template"]["spec"]["requirements"] = [expression]
    customers(draft, label, count, cpu)


@constraint("pool-requirement-in", _without_operator("In"))
def _in(draft: Draft) -> None:
    others = [zone for zone in draft.zones if zone != draft.cheapest()]
    _requiring(draft, keys.ZONE, "In", *others)


@constraint("pool-requirement-not-in", _without_operator("NotIn"))
def _not_in(draft: Draft) -> None:
    _requiring(draft, keys.ZONE, "NotIn", draft.cheapest())


@constraint("pool-requirement-exists", _without_operator("Exists"))
def _exists(draft: Draft) -> None:
    _requiring(draft, keys.INSTANCE_GPU_COUNT, "Exists")


@constraint("pool-requirement-does-not-exist", _without_operator("DoesNotExist"))
def _does_not_exist(draft: Draft) -> None:
    _requiring(draft, keys.REGION, "DoesNotExist")


@constraint("pool-requirement-gt", _without_operator("Gt"))
def _gt(draft: Draft) -> None:
    _requiring(draft, keys.INSTANCE_CPU, "Gt", "2", count=1, cpu="500m")


@constraint("pool-requirement-lt", _without_operator("Lt"))
def _lt(draft: Draft) -> None:
    _requiring(draft, keys.INSTANCE_CPU, "Lt", "4", count=4, cpu="900m")


def _no_min_values(scenario: Scenario) -> None:
    for pool in scenario.of_kind("NodePool"):
        for one in pool["spec"]["template"]["spec"]["requirements"]:
            one.pop("minValues", None)


@constraint("pool-min-values", _no_min_values)
def _min_values(draft: Draft) -> None:
    """More choice is asked for than there is."""
    pool, label = own_pool(draft)
    key, there = draft.rng.choice([(keys.ZONE, len(draft.zones)), (keys.INSTANCE_TYPE, len(draft.types))])
    pool["spec"]["template"]["spec"]["requirements"] = [{"key": key, "operator": "Exists", "minValues": there + 1}]
    customers(draft, label)


def _without_limit(name: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for pool in scenario.of_kind("NodePool"):
            pool["spec"].get("limits", {}).pop(name, None)

    return misread


def _limited(draft: Draft, **limits: object) -> None:
    _, label = own_pool(draft, limits=limits)
    customers(draft, label, 4, "1900m")


@constraint("limit-nodes", _without_limit("nodes"))
def _limit_nodes(draft: Draft) -> None:
    _limited(draft, nodes=1)


@constraint("limit-resources", _without_limit("resources"))
def _limit_resources(draft: Draft) -> None:
    _limited(draft, resources={"cpu": "4"})


@constraint("limit-usd-per-hour", _without_limit("usdPerHour"))
def _limit_usd(draft: Draft) -> None:
    _limited(draft, usdPerHour=0.1)


def _any_interruptions(scenario: Scenario) -> None:
    for pool in scenario.of_kind("NodePool"):
        pool["spec"].get("spot", {}).pop("maxInterruptionPercent", None)


@constraint("limit-interruptions", _any_interruptions)
def _limit_interruptions(draft: Draft) -> None:
    quiet = other_zone(draft)
    for row in draft.offerings:
        row["percent"] = 5 if row["zone"] == quiet else 20
    _, label = own_pool(draft, spot={"maxInterruptionPercent": 5})
    customers(draft, label, workload=True)


def _all_on_spot(scenario: Scenario) -> None:
    for pool in scenario.of_kind("NodePool"):
        pool["spec"]["spot"] = {**pool["spec"].get("spot", {}), "allowUnmanagedPods": True}


@constraint("unmanaged-pods-off-spot", _all_on_spot)
def _unmanaged(draft: Draft) -> None:
    _, label = own_pool(draft)
    customers(draft, label, workload=False)


def without_spot_rule(name: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for workload in scenario.of_kind("Workload"):
            workload["spec"]["spot"].pop(name, None)

    return misread


def _ruled(draft: Draft, **rule: object) -> None:
    _, label = own_pool(draft)
    customers(draft, label, 4, workload=True).workload = dict(rule)


@constraint("spot-never", without_spot_rule("never"))
def _never(draft: Draft) -> None:
    _ruled(draft, never=True)


@constraint("spot-on-demand-base", without_spot_rule("onDemandBase"))
def _on_demand_base(draft: Draft) -> None:
    _ruled(draft, onDemandBase=draft.rng.randint(1, 3))


@constraint("spot-fraction", without_spot_rule("spotFraction"))
def _fraction(draft: Draft) -> None:
    _ruled(draft, spotFraction=draft.rng.choice([0, 0.3, 0.5, 0.7]))


def _no_gates(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.pop("schedulingGates", None)


@constraint("scheduling-gates", _no_gates)
def _gates(draft: Draft) -> None:
    draft.group().spec["schedulingGates"] = [{"name": "example.com/wait"}]
