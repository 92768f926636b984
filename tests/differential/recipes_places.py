"""Constraints between a pod and the labels, taints and name of a node."""

from __future__ import annotations

from differential.draft import Draft, Group
from differential.registry import Change, constraint
from differential.scenario import Json, Scenario, pod_specs
from spotkube.model import labels as keys

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _terms(spec: Json) -> list[Json]:
    terms: list[Json] = spec.get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {}).get("nodeSelectorTerms", [])
    return terms


def _without_operator(operator: str) -> Change:
    """Expressions with it count as kept; a term of which nothing is left would always hold."""

    def misread(scenario: Scenario) -> None:
        for spec in pod_specs(scenario):
            for term in _terms(spec):
                kept = [one for one in term.get("matchExpressions", []) if one["operator"] != operator]
                if kept:
                    term["matchExpressions"] = kept
                elif "matchExpressions" in term:
                    del term["matchExpressions"]
            _drop_idle(spec)

    return misread


def _drop_idle(spec: Json) -> None:
    if any(not term for term in _terms(spec)):
        del spec["affinity"]["nodeAffinity"]


def pinned(draft: Draft, node: Json, count: int = 1, cpu: str = "100m", workload: bool | None = None) -> Group:
    """Pods that may only go onto one node that is there."""
    group = draft.group(count, cpu=cpu, workload=workload)
    group.spec["nodeSelector"] = {"own": node["metadata"]["name"]}
    return group


def other_zone(draft: Draft) -> str:
    """A zone that is not the cheapest."""
    return draft.rng.choice([zone for zone in draft.zones if zone != draft.cheapest()])


def _no_node_selector(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.pop("nodeSelector", None)


@constraint("node-selector", _no_node_selector)
def _node_selector(draft: Draft) -> None:
    draft.group().spec["nodeSelector"] = {keys.ZONE: other_zone(draft)}


@constraint("node-affinity-in", _without_operator("In"))
def _in(draft: Draft) -> None:
    draft.group().require(keys.ZONE, "In", other_zone(draft), "elsewhere")


@constraint("node-affinity-not-in", _without_operator("NotIn"))
def _not_in(draft: Draft) -> None:
    there = {node["metadata"]["labels"][keys.ZONE] for node in draft.nodes}
    barred = sorted({draft.cheapest(), *there})
    draft.group().require(keys.ZONE, "NotIn", *(barred[:-1] if len(barred) == len(draft.zones) > 1 else barred))


@constraint("node-affinity-exists", _without_operator("Exists"))
def _exists(draft: Draft) -> None:
    """Only a pool that sells nothing cheap has the label."""
    _dear_pool(draft, team="a")
    draft.group().require("team", "Exists")


@constraint("node-affinity-does-not-exist", _without_operator("DoesNotExist"))
def _does_not_exist(draft: Draft) -> None:
    draft.pool(weight=100)["spec"]["template"]["metadata"]["labels"] = {"noisy": "yes"}
    draft.node()["metadata"]["labels"]["noisy"] = "yes"
    draft.group(3, cpu="1500m").require("noisy", "DoesNotExist")


def _dear_pool(draft: Draft, **labels: str) -> Json:
    pool = draft.pool()
    dearest = max(draft.offerings, key=lambda row: row["price"])
    template = pool["spec"]["template"]
    template["metadata"]["labels"] = labels
    template["spec"]["requirements"] = [
        {"key": keys.INSTANCE_TYPE, "operator": "In", "values": [dearest["type"]]},
        {"key": keys.CAPACITY_TYPE, "operator": "In", "values": ["on-demand"]},
    ]
    return pool


@constraint("node-affinity-gt", _without_operator("Gt"))
def _gt(draft: Draft) -> None:
    draft.group(1, cpu="500m").require(keys.INSTANCE_CPU, "Gt", "2")


@constraint("node-affinity-lt", _without_operator("Lt"))
def _lt(draft: Draft) -> None:
    draft.group(4, cpu=draft.rng.choice(["900m", "1"])).require(keys.INSTANCE_CPU, "Lt", "4")


def _first_term_only(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        del _terms(spec)[1:]


@constraint("node-affinity-or-terms", _first_term_only)
def _or_terms(draft: Draft) -> None:
    group = draft.group()
    group.require(keys.ZONE, "In", "nowhere")
    terms = _terms(group.spec)
    terms.append(
        {"matchExpressions": [{"key": keys.ZONE, "operator": "In", "values": [draft.rng.choice(draft.zones)]}]}
    )


def _no_match_fields(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        for term in _terms(spec):
            term.pop("matchFields", None)
        _drop_idle(spec)


@constraint("node-affinity-match-fields", _no_match_fields)
def _match_fields(draft: Draft) -> None:
    node = draft.node()
    operator = draft.rng.choice(["In", "NotIn"])
    if operator == "In":
        draft.node()
    field = {"key": "metadata.name", "operator": operator, "values": [node["metadata"]["name"]]}
    draft.group().node_term()["matchFields"] = [field]


def _without_effect(effect: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for node in scenario.of_kind("Node"):
            node["spec"]["taints"] = [one for one in node["spec"]["taints"] if one["effect"] != effect]

    return misread


def _taint(effect: str, value: str = "a") -> Json:
    return {"key": "team", "value": value, "effect": effect}


@constraint("taint-no-schedule", _without_effect("NoSchedule"))
def _no_schedule(draft: Draft) -> None:
    draft.node(taints=[_taint("NoSchedule")])
    draft.group()


@constraint("taint-no-execute", _without_effect("NoExecute"))
def _no_execute(draft: Draft) -> None:
    draft.node(taints=[_taint("NoExecute")])
    draft.group()


def _prefer_is_must(scenario: Scenario) -> None:
    for node in scenario.of_kind("Node"):
        for taint in node["spec"]["taints"]:
            taint["effect"] = taint["effect"].removeprefix("Prefer")


@constraint("taint-prefer-no-schedule", _prefer_is_must)
def _prefer_no_schedule(draft: Draft) -> None:
    pinned(draft, draft.node(taints=[_taint("PreferNoSchedule")]))


def _no_tolerations(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.pop("tolerations", None)


@constraint("tolerations", _no_tolerations)
def _tolerations(draft: Draft) -> None:
    effect = draft.rng.choice(["NoSchedule", "NoExecute"])
    group = pinned(draft, draft.node(taints=[_taint(effect)]))
    toleration = draft.rng.choice(
        [
            {"operator": "Exists"},
            {"key": "team", "operator": "Exists"},
            {"key": "team", "value": "a"},
            {"key": "team", "operator": "Equal", "value": "a", "effect": effect},
        ]
    )
    group.spec["tolerations"] = [toleration]


def _any_toleration(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        if "tolerations" in spec:
            spec["tolerations"] = [{"operator": "Exists"}]


@constraint("tolerations-that-differ", _any_toleration)
def _differing_tolerations(draft: Draft) -> None:
    """Pods that tolerate another value or effect than the node has."""
    draft.node(taints=[_taint("NoSchedule")])
    group = draft.group()
    group.spec["tolerations"] = [
        draft.rng.choice(
            [
                {"key": "team", "value": "b"},
                {"key": "team", "operator": "Exists", "effect": "NoExecute"},
                {"key": "crew", "operator": "Exists"},
            ]
        )
    ]


def _no_pool_taints(scenario: Scenario) -> None:
    for pool in scenario.of_kind("NodePool"):
        pool["spec"]["template"]["spec"]["taints"] = []


@constraint("pool-taints", _no_pool_taints)
def _pool_taints(draft: Draft) -> None:
    effect = draft.rng.choice(["NoSchedule", "NoExecute"])
    draft.pool(weight=100)["spec"]["template"]["spec"]["taints"] = [_taint(effect)]
    draft.group(cpu="1500m")


def _no_cordons(scenario: Scenario) -> None:
    for node in scenario.of_kind("Node"):
        node["spec"].pop("unschedulable", None)


@constraint("cordons", _no_cordons)
def _cordons(draft: Draft) -> None:
    draft.node()["spec"]["unschedulable"] = True
    draft.group()
