"""The changes that a user can make to pods and to their Workload, each of one field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spotkube.model.cluster import WorkloadRule
from spotkube.model.explanation import POD, WORKLOAD, Change, Edit
from spotkube.model.pods import PodShape, PodTerm, SpotRule, SpreadConstraint
from spotkube.model.resources import EPHEMERAL_STORAGE, MEMORY, ResourceList
from spotkube.model.selectors import Requirement, Taint, Toleration

# What asks least of a user first: the pods' own manifest, then the Workload, then what a whole pool may buy, then what
# others pay for.
RANKS: Mapping[str, int] = {
    name: rank
    for rank, name in enumerate(
        (
            "toleration",
            "nodeSelector",
            "nodeAffinity",
            "requests",
            "spread",
            "podAntiAffinity",
            "podAffinity",
            "hostPorts",
            "volumes",
            "unsupported",
            "spot",
            "maxFractionPerPool",
            "allowUnmanagedPods",
            "requirements",
            "taint",
            "maxInterruptionPercent",
            "minValues",
            "mode",
            "limits",
            "pool's share",
            "others' podAntiAffinity",
            "new pool",
            "resting",
            "priority",
        ),
        start=1,
    )
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose manifest is changed: what it is called, and the pods (uids) that are made from it and wait."""

    name: str
    pods: frozenset[str]

    def change(self, rank: str, field: str, before: str, after: str, words: str, **edit: Any) -> Change:
        return Change(POD, self.name, field, before, after, words, RANKS[rank], Edit(tuple(sorted(self.pods)), **edit))

    def tolerate(self, taint: Taint) -> Change:
        toleration = Toleration(taint.key, "Equal" if taint.value else "Exists", taint.value, taint.effect)
        words = f"let {self.name} tolerate the taint {taint}"
        return self.change(
            "toleration", "spec.tolerations", "", str(taint), words, attribute="tolerations", add=(toleration,)
        )

    def no_selector(self, key: str, value: str) -> Change:
        words = f"take {key}={value} out of the nodeSelector of {self.name}"
        return self.change(
            "nodeSelector",
            f"spec.nodeSelector[{key}]",
            value,
            "",
            words,
            attribute="node_selector",
            remove=((key, value),),
        )

    def no_requirement(self, requirement: Requirement) -> Change:
        words = f"take {requirement} out of the node affinity of {self.name}"
        field = "spec.affinity.nodeAffinity"
        edit = {"attribute": "affinity_terms", "remove": (requirement,)}
        return self.change("nodeAffinity", field, str(requirement), "", words, **edit)

    def request(self, resource: str, asked: int, amount: int) -> Change:
        before, after = quantity(resource, asked), quantity(resource, amount)
        words = f"lower the {resource} request of {self.name} from {before} to {after}"
        field = f"spec.containers[].resources.requests[{resource}]"
        return self.change("requests", field, before, after, words, attribute="requests", add=((resource, amount),))

    def no_spread(self, rule: SpreadConstraint) -> Change:
        words = f"take the spread over {rule.topology_key} (maxSkew {rule.max_skew}) from {self.name}"
        before = f"{rule.topology_key} maxSkew {rule.max_skew}"
        edit = {"attribute": "spread", "remove": (rule,)}
        return self.change("spread", "spec.topologySpreadConstraints", before, "", words, **edit)

    def no_term(self, term: PodTerm, *, anti: bool) -> Change:
        kind, attribute = ("podAntiAffinity", "anti_affinity") if anti else ("podAffinity", "affinity")
        words = f"take the required {kind} over {term.topology_key} from {self.name}"
        edit = {"attribute": attribute, "remove": (term,)}
        return self.change(kind, f"spec.affinity.{kind}", term_words(term), "", words, **edit)

    def no_ports(self, shape: PodShape) -> Change:
        ports = ", ".join(str(port.port) for port in shape.host_ports)
        words = f"take no ports of the node ({ports}) for {self.name}"
        return self.change("hostPorts", "spec.containers[].ports[].hostPort", ports, "", words, attribute="host_ports",
                           value=())  # fmt: skip

    def other_volume(self, terms: tuple[Any, ...]) -> Change:
        where = " or ".join("; ".join(map(str, term)) for term in terms)
        words = f"give {self.name} another volume than the one that is reached only where {where}"
        edit = {"attribute": "volume_terms", "remove": (terms,)}
        return self.change("volumes", "spec.volumes", where, "", words, **edit)

    def repaired(self, refused: str) -> Change:
        words = f"mend the volume of {self.name}: {refused}"
        return self.change("volumes", "spec.volumes", refused, "", words, attribute="refused", value="")

    def without_unsupported(self, used: tuple[str, ...]) -> Change:
        named = ", ".join(used)
        words = f"do without {named} in {self.name}, which the planner does not model"
        return self.change("unsupported", "spec", named, "", words, attribute="unsupported", value=())

    def raise_priority(self, before: int, after: int) -> Change:
        words = f"raise the priority of {self.name} from {before} to {after}, at the expense of others"
        return self.change("priority", "spec.priorityClassName", str(before), str(after), words, attribute="priority",
                           value=after)  # fmt: skip


def others_term(subject: Subject, term: PodTerm, pods: frozenset[str]) -> Change:
    words = (
        f"take the required podAntiAffinity over {term.topology_key} from {subject.name}, whose pods keep others off"
    )
    edit = Edit(tuple(sorted(pods)), "anti_affinity", remove=(term,))
    rank = RANKS["others' podAntiAffinity"]
    return Change(POD, subject.name, "spec.affinity.podAntiAffinity", term_words(term), "", words, rank, edit)


def all_on_spot(rule: WorkloadRule) -> Change:
    before = f"at least {rule.spot.on_demand_count(rule.replicas)} of {rule.replicas} on demand"
    words = f"let all of Workload {rule.key} run on spot"
    edit = Edit((rule.key,), "spot", value=SpotRule())
    return Change(WORKLOAD, rule.key, "spec.spot", before, "all on spot", words, RANKS["spot"], edit)


def no_share(rule: WorkloadRule) -> Change:
    """Its own share becomes 1, which also stands above that of its pools."""
    before = "" if rule.max_fraction_per_pool is None else f"{rule.max_fraction_per_pool:g}"
    words = f"let Workload {rule.key} have all of its pods on spot of one type and zone (maxFractionPerPool 1)"
    edit = Edit((rule.key,), "max_fraction_per_pool", value=1.0)
    return Change(
        WORKLOAD, rule.key, "spec.spot.maxFractionPerPool", before, "1", words, RANKS["maxFractionPerPool"], edit
    )


def quantity(resource: str, amount: int) -> str:
    """As a user would write it."""
    for suffix, unit in (("Gi", 2**30), ("Mi", 2**20)) if resource in (MEMORY, EPHEMERAL_STORAGE) else ():
        if amount and amount % unit == 0:
            return f"{amount // unit}{suffix}"
    return ResourceList({resource: amount}).to_quantities().get(resource, "0")


def term_words(term: PodTerm) -> str:
    selected = "" if term.selector is None else "; ".join(map(str, term.selector.requirements))
    return f"{term.topology_key}: {selected or 'all pods'}"
