"""Pods and pod templates from their JSON form."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from spotkube.convert.requests import pod_requests
from spotkube.convert.selectors import to_affinity_terms, to_label_selector, to_preferred_terms, to_tolerations
from spotkube.convert.storage import to_claim_uses
from spotkube.model import labels as keys
from spotkube.model.pods import ALL_NAMESPACES, DaemonSet, Labels, Pod, PodPhase, PodShape, PodTerm, SpreadConstraint
from spotkube.model.selectors import LabelSelector, Operator, Requirement

Json = Mapping[str, Any]

_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_FOREIGN_OPT_OUTS = (
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
)
_NO_STATUS: Json = {}
_PLANNED_TOPOLOGIES = (keys.HOSTNAME, keys.ZONE)


def to_timestamp(text: str | None) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 where there is none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def to_labels(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


def to_pod(raw: Json) -> Pod | None:
    """A live pod, or None for one that has finished. Raises ValueError for requests that are no quantities."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return None
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    owner = _owner(metadata, labels)
    workload = labels.get(keys.WORKLOAD)
    return Pod(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=to_labels(labels),
        shape=to_shape(metadata["namespace"], labels, spec, status if spec.get("nodeName") else {}),
        owner=owner,
        workload=f"{metadata['namespace']}/{workload}" if workload else None,
        node=spec.get("nodeName") or None,
        nominated=status.get("nominatedNodeName") or None,
        gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
        phase=PodPhase.RUNNING if status.get("phase") == "Running" else PodPhase.PENDING,
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        unschedulable=scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable",
        daemon=owner.startswith("DaemonSet/"),
        mirror=_MIRROR_ANNOTATION in annotations,
        deleting=bool(metadata.get("deletionTimestamp")),
        do_not_disrupt=_opted_out(annotations),
        grace_seconds=_grace_seconds(spec),
        created_at=to_timestamp(metadata.get("creationTimestamp")),
        claims=to_claim_uses(metadata["namespace"], metadata["name"], spec),
    )


def to_shape(namespace: str, labels: Mapping[str, str], spec: Json, status: Json = _NO_STATUS) -> PodShape:
    """What kube-scheduler checks of a pod with this spec, these labels and, once it has a node, this status.

    Raises ValueError.
    """
    affinity = spec.get("affinity") or {}
    # One without a selector counts no pods at all, so that it always holds.
    spread = [
        constraint
        for constraint in spec.get("topologySpreadConstraints") or ()
        if constraint["whenUnsatisfiable"] == "DoNotSchedule" and constraint.get("labelSelector") is not None
    ]
    anti_affinity = (affinity.get("podAntiAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return PodShape(
        namespace=namespace,
        requests=pod_requests(spec, status),
        node_selector=to_labels(spec.get("nodeSelector")),
        affinity_terms=to_affinity_terms(affinity.get("nodeAffinity")),
        tolerations=to_tolerations(spec.get("tolerations")),
        spread=tuple(_to_spread(constraint, labels) for constraint in spread),
        anti_affinity=tuple(_to_term(term, namespace, labels) for term in anti_affinity),
        host_ports=_host_ports(spec),
        scheduler_name=spec.get("schedulerName") or "default-scheduler",
        preferred=to_preferred_terms(affinity.get("nodeAffinity")),
        priority=int(spec.get("priority") or 0),
        unsupported=tuple(_unsupported(spec, affinity, [*spread, *anti_affinity])),
    )


def to_daemonset(raw: Json) -> DaemonSet:
    metadata, template = raw["metadata"], raw["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    shape = to_shape(metadata["namespace"], labels, template.get("spec") or {})
    return DaemonSet(f"{metadata['namespace']}/{metadata['name']}", shape)


def _owner(metadata: Json, labels: Mapping[str, str]) -> str:
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            kind, name = reference["kind"], reference["name"]
            template_hash = labels.get("pod-template-hash")
            if kind == "ReplicaSet" and template_hash and name.endswith(f"-{template_hash}"):
                return f"Deployment/{name.removesuffix(f'-{template_hash}')}"
            return f"{kind}/{name}"
    return ""


def _opted_out(annotations: Mapping[str, str]) -> bool:
    ours = (keys.DO_NOT_DISRUPT, "true")
    return any(annotations.get(key) == value for key, value in (ours, *_FOREIGN_OPT_OUTS))


def _grace_seconds(spec: Json) -> int:
    grace = spec.get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)


def _to_spread(constraint: Json, labels: Mapping[str, str]) -> SpreadConstraint:
    selector = to_label_selector(constraint.get("labelSelector"))
    return SpreadConstraint(
        max_skew=int(constraint["maxSkew"]),
        topology_key=constraint["topologyKey"],
        selector=_with_own_labels(selector, constraint.get("matchLabelKeys") or (), labels),
        min_domains=int(constraint.get("minDomains") or 1),
    )


def _to_term(term: Json, namespace: str, labels: Mapping[str, str]) -> PodTerm:
    namespaces = frozenset(term.get("namespaces") or ())
    if term.get("namespaceSelector") is not None:
        # Which namespaces carry the labels is not looked up: all of them is the safe side for anti-affinity.
        namespaces = ALL_NAMESPACES
    selector = to_label_selector(term.get("labelSelector"))
    return PodTerm(
        topology_key=term["topologyKey"],
        selector=_with_own_labels(selector, term.get("matchLabelKeys") or (), labels),
        namespaces=namespaces or frozenset({namespace}),
    )


def _with_own_labels(
    selector: LabelSelector | None, keys: Iterable[str], labels: Mapping[str, str]
) -> LabelSelector | None:
    """matchLabelKeys: the pod's own value of each key is one more condition."""
    if selector is None:
        return None
    own = tuple(Requirement(key, Operator.IN, (labels[key],)) for key in keys if key in labels)
    return LabelSelector((*selector.requirements, *own))


def _host_ports(spec: Json) -> tuple[tuple[str, int], ...]:
    """Ports that the pod takes of its node; on the node's own network every port of a container is one."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    ports = [port for container in (*sidecars, *spec.get("containers", ())) for port in container.get("ports") or ()]
    on_host = bool(spec.get("hostNetwork"))
    taken = {
        (port.get("protocol") or "TCP", int(port.get("hostPort") or port["containerPort"]))
        for port in ports
        if port.get("hostPort") or (on_host and port.get("containerPort"))
    }
    return tuple(sorted(taken))


def _unsupported(spec: Json, affinity: Json, topologies: Iterable[Json]) -> Iterable[str]:
    if spec.get("resourceClaims"):
        yield "resourceClaims (dynamic resource allocation)"
    if (affinity.get("podAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution"):
        yield "required pod affinity"
    for topology in topologies:
        if topology["topologyKey"] not in _PLANNED_TOPOLOGIES:
            yield f"a rule over topology {topology['topologyKey']}"
        if topology.get("nodeAffinityPolicy") == "Ignore":
            yield "a topology spread with nodeAffinityPolicy Ignore"
