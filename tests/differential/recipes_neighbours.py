"""Constraints between pods: topology spread, affinity and anti-affinity, host ports."""

from __future__ import annotations

from differential.draft import FPGA, Draft, Group, namespace
from differential.recipes_places import other_zone, pinned
from differential.recipes_purchases import customers, own_pool
from differential.registry import Change, constraint
from differential.scenario import Json, Scenario, pod_specs
from spotkube.model import labels as keys

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _without_spread(key: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for spec in pod_specs(scenario):
            kept = [one for one in spec.pop("topologySpreadConstraints", []) if one["topologyKey"] != key]
            if kept:
                spec["topologySpreadConstraints"] = kept

    return misread


def _without_spread_field(field: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for spec in pod_specs(scenario):
            for one in spec.get("topologySpreadConstraints", []):
                one.pop(field, None)

    return misread


@constraint("spread-zone", _without_spread(keys.ZONE))
def _spread_zone(draft: Draft) -> None:
    draft.group(draft.rng.randint(2, 5)).spread(keys.ZONE)


@constraint("spread-hostname", _without_spread(keys.HOSTNAME))
def _spread_hostname(draft: Draft) -> None:
    draft.group(draft.rng.randint(3, 4), cpu="200m").spread(keys.HOSTNAME)


@constraint("spread-capacity-type", _without_spread(keys.CAPACITY_TYPE))
def _spread_capacity_type(draft: Draft) -> None:
    """There is a node on demand, which is full: on spot alone they would be uneven."""
    _, label = own_pool(draft)
    node = draft.node(pods=1)
    node["metadata"]["labels"]["for"] = label
    draft.runs(node)
    customers(draft, label, draft.rng.randint(2, 4), workload=True).spread(keys.CAPACITY_TYPE)


@constraint("spread-pool-label", _without_spread("rack"))
def _spread_pool_label(draft: Draft) -> None:
    for rack in ("a", "b"):
        draft.pool()["spec"]["template"]["metadata"]["labels"] = {"rack": rack}
    draft.group(draft.rng.randint(2, 4)).spread("rack")


@constraint("spread-min-domains", _without_spread_field("minDomains"))
def _min_domains(draft: Draft) -> None:
    """More domains are asked for than there are: each may have as many pods as the skew allows, and no more."""
    zones = len(draft.zones)
    draft.group(zones + draft.rng.randint(1, 2), cpu="100m").spread(keys.ZONE, minDomains=zones + 1)


@constraint("spread-match-label-keys", _without_spread_field("matchLabelKeys"))
def _spread_match_label_keys(draft: Draft) -> None:
    """Pods of the old version stand unevenly, which does not matter for those of the new one."""
    zone = draft.rng.choice(draft.zones)
    draft.runs(draft.node(zone=zone), 3, set="s", version="old")
    group = draft.group(draft.rng.randint(3, 4))
    group.labels |= {"set": "s", "version": "new"}
    group.spread(keys.ZONE, labelSelector={"matchLabels": {"set": "s"}}, matchLabelKeys=["version"])


@constraint("spread-node-affinity-policy", _without_spread_field("nodeAffinityPolicy"))
def _node_affinity_policy(draft: Draft) -> None:
    """Zones that the pods may not enter count, so that the others may not fill up."""
    zone, other = draft.rng.sample(draft.zones, 2)
    draft.node(zone=other)
    group = draft.group(draft.rng.randint(2, 3))
    group.require(keys.ZONE, "In", zone)
    group.spread(keys.ZONE, nodeAffinityPolicy="Ignore")


@constraint("spread-node-taints-policy", _without_spread_field("nodeTaintsPolicy"))
def _node_taints_policy(draft: Draft) -> None:
    """A zone that has a tainted node alone does not count."""
    draft.node(zone="zone-t", taints=[{"key": "team", "value": "a", "effect": "NoSchedule"}])
    draft.group(len(draft.zones) + 2).spread(keys.ZONE, nodeTaintsPolicy="Honor")


def _anyway_is_never(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        for one in spec.get("topologySpreadConstraints", []):
            one["whenUnsatisfiable"] = "DoNotSchedule"


@constraint("spread-schedule-anyway", _anyway_is_never)
def _schedule_anyway(draft: Draft) -> None:
    """What the pods need is for sale in one zone alone, and others count."""
    zone, other = draft.rng.sample(draft.zones, 2)
    draft.offer("f.xlarge")
    draft.offerings[:] = [one for one in draft.offerings if one["type"] != "f.xlarge" or one["zone"] == zone]
    draft.node(zone=other)
    group = draft.group(3, cpu="100m")
    group.container["resources"] = {"requests": {**group.requests, FPGA: "1"}, "limits": {FPGA: "1"}}
    group.spread(keys.ZONE, whenUnsatisfiable="ScheduleAnyway")


def _own_selector(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        for one in spec.get("topologySpreadConstraints", []):
            labels = one["labelSelector"].get("matchLabels", {})
            if "others" in labels:
                del labels["others"]


@constraint("spread-of-others", _own_selector)
def _spread_of_others(draft: Draft) -> None:
    """The rule counts pods of another kind, that run in one zone: the new ones must stay out of it."""
    zone = draft.cheapest()
    draft.runs(draft.node(zone=zone), 2, others="yes")
    draft.node(zone=next(one for one in draft.zones if one != zone), cpu="1")
    draft.group(draft.rng.randint(1, 3)).spread(keys.ZONE, labelSelector={"matchLabels": {"others": "yes"}})


def _without_affinity(kind: str, key: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for spec in pod_specs(scenario):
            part = spec.get("affinity", {}).get(kind, {})
            if REQUIRED in part:
                part[REQUIRED] = [one for one in part[REQUIRED] if one["topologyKey"] != key]

    return misread


def _without_term_field(field: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for spec in pod_specs(scenario):
            for kind in ("podAffinity", "podAntiAffinity"):
                for term in spec.get("affinity", {}).get(kind, {}).get(REQUIRED, []):
                    term.pop(field, None)

    return misread


def _term(key: str, **labels: str) -> Json:
    return {"topologyKey": key, "labelSelector": {"matchLabels": labels}}


@constraint("pod-affinity-zone", _without_affinity("podAffinity", keys.ZONE))
def _affinity_zone(draft: Draft) -> None:
    friend = draft.runs(draft.node(zone=other_zone(draft), cpu="1"))
    draft.group().affinity("podAffinity").append(_term(keys.ZONE, group=friend.name))


@constraint("pod-affinity-hostname", _without_affinity("podAffinity", keys.HOSTNAME))
def _affinity_hostname(draft: Draft) -> None:
    """With pods that run, or with others that wait too."""
    if draft.rng.random() < 0.5:
        friend = draft.runs(draft.node())
        draft.node()
    else:
        friend = draft.group(1, cpu="1500m")
    draft.group(draft.rng.randint(1, 2), cpu="100m").affinity("podAffinity").append(
        _term(keys.HOSTNAME, group=friend.name)
    )


@constraint("pod-affinity-self", _without_affinity("podAffinity", keys.CAPACITY_TYPE))
def _affinity_self(draft: Draft) -> None:
    """All of one kind: half of them must be on demand, so all must."""
    group = draft.group(4, workload=True)
    group.workload = {"onDemandBase": 1}
    group.require(keys.INSTANCE_CPU, "Gt", "1")  # only new nodes have the label
    group.affinity("podAffinity").append(_term(keys.CAPACITY_TYPE, group=group.name))


@constraint("pod-anti-affinity-hostname", _without_affinity("podAntiAffinity", keys.HOSTNAME))
def _anti_hostname(draft: Draft) -> None:
    group = draft.group(draft.rng.randint(2, 4), cpu="200m")
    group.affinity("podAntiAffinity").append(_term(keys.HOSTNAME, group=group.name))


@constraint("pod-anti-affinity-zone", _without_affinity("podAntiAffinity", keys.ZONE))
def _anti_zone(draft: Draft) -> None:
    group = draft.group(draft.rng.randint(2, len(draft.zones)), cpu="200m")
    group.affinity("podAntiAffinity").append(_term(keys.ZONE, group=group.name))


@constraint("pod-anti-affinity-other-key", _without_affinity("podAntiAffinity", keys.INSTANCE_TYPE))
def _anti_other_key(draft: Draft) -> None:
    group = draft.group(2, cpu="200m")
    group.require(keys.INSTANCE_CPU, "Gt", "1")  # only new nodes have the label
    group.affinity("podAntiAffinity").append(_term(keys.INSTANCE_TYPE, group=group.name))


def _elsewhere(draft: Draft, name: str, **labels: str) -> Group:
    """A pod that runs in another namespace, on a node with much room."""
    draft.others.append(namespace(name, **labels))
    running = draft.runs(draft.node())
    running.namespace = name
    return running


@constraint("pod-term-namespaces", _without_term_field("namespaces"))
def _namespaces(draft: Draft) -> None:
    foe = _elsewhere(draft, f"other-{len(draft.others)}")
    term = {**_term(keys.HOSTNAME, group=foe.name), "namespaces": [foe.namespace]}
    draft.group().affinity("podAntiAffinity").append(term)


@constraint("pod-term-namespace-selector", _without_term_field("namespaceSelector"))
def _namespace_selector(draft: Draft) -> None:
    """Where all namespaces are meant, the pods may go nowhere else: they have to wait."""
    foe = _elsewhere(draft, f"other-{len(draft.others)}", team="a")
    selector = draft.rng.choice([{}, {"matchLabels": {"team": "a"}}])
    term = {**_term(keys.HOSTNAME, group=foe.name), "namespaceSelector": selector}
    group = draft.group()
    group.affinity("podAntiAffinity").append(term)
    if not selector:
        group.spec["nodeSelector"] = {"own": foe.node}


def _every_namespace(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        for term in spec.get("affinity", {}).get("podAntiAffinity", {}).get(REQUIRED, []):
            if "namespaceSelector" in term:
                term["namespaceSelector"] = {}


@constraint("pod-term-namespace-selector-that-differs", _every_namespace)
def _other_namespace_selector(draft: Draft) -> None:
    """The pod on the only node is of a namespace that is not meant."""
    harmless = _elsewhere(draft, f"other-{len(draft.others)}", team="b")
    group = pinned(draft, draft.nodes[-1])
    term = {**_term(keys.HOSTNAME, group=harmless.name), "namespaceSelector": {"matchLabels": {"team": "a"}}}
    group.affinity("podAntiAffinity").append(term)


@constraint("pod-term-match-label-keys", _without_term_field("matchLabelKeys"))
def _term_match_label_keys(draft: Draft) -> None:
    """The pod on the only node is of another version, and so not meant."""
    node = draft.node()
    draft.runs(node, set="t", version="old")
    group = pinned(draft, node)
    group.labels |= {"set": "t", "version": "new"}
    group.affinity("podAntiAffinity").append({**_term(keys.HOSTNAME, set="t"), "matchLabelKeys": ["version"]})


@constraint("pod-term-mismatch-label-keys", _without_term_field("mismatchLabelKeys"))
def _term_mismatch_label_keys(draft: Draft) -> None:
    """The pod on the only node is of the same tenant, and only other tenants are repelled."""
    node = draft.node()
    draft.runs(node, set="u", tenant="a")
    group = pinned(draft, node)
    group.labels |= {"set": "u", "tenant": "a"}
    group.affinity("podAntiAffinity").append({**_term(keys.HOSTNAME, set="u"), "mismatchLabelKeys": ["tenant"]})


def _peaceful_residents(scenario: Scenario) -> None:
    for spec in pod_specs(scenario, running=True):
        spec.pop("affinity", None)


@constraint("anti-affinity-of-running-pods", _peaceful_residents)
def _symmetric(draft: Draft) -> None:
    node, group = draft.node(), draft.group()
    key = draft.rng.choice([keys.HOSTNAME, keys.ZONE])
    draft.runs(node).affinity("podAntiAffinity").append(_term(key, group=group.name))


def _ports(scenario: Scenario) -> list[Json]:
    return [port for spec in pod_specs(scenario) for one in spec["containers"] for port in one.get("ports", [])]


def _without_port_field(field: str) -> Change:
    def misread(scenario: Scenario) -> None:
        for port in _ports(scenario):
            port.pop(field, None)

    return misread


@constraint("host-ports", _without_port_field("hostPort"))
def _host_ports(draft: Draft) -> None:
    group = draft.group(draft.rng.randint(2, 3), cpu="200m")
    group.container["ports"] = [{"containerPort": 80, "hostPort": 8080}]


@constraint("host-port-ip", _without_port_field("hostIP"))
def _host_ip(draft: Draft) -> None:
    """The port is taken on another address of the only node."""
    node = draft.node()
    for group, address in ((draft.runs(node), "10.0.0.1"), (pinned(draft, node), "10.0.0.2")):
        group.container["ports"] = [{"containerPort": 80, "hostPort": 9090, "hostIP": address}]


@constraint("host-port-protocol", _without_port_field("protocol"))
def _protocol(draft: Draft) -> None:
    node = draft.node()
    for group, protocol in ((draft.runs(node), "TCP"), (pinned(draft, node), "UDP")):
        group.container["ports"] = [{"containerPort": 80, "hostPort": 9191, "protocol": protocol}]
