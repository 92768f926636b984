"""Pods and pod templates from their JSON form."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from spotkube.convert.declared import saved_at
from spotkube.convert.queued import to_queued_pod
from spotkube.convert.requests import pod_requests
from spotkube.convert.selectors import to_affinity_terms, to_label_selector, to_preferred_terms, to_tolerations
from spotkube.convert.storage import to_claim_uses
from spotkube.model import labels as keys
from spotkube.model.kept import shared
from spotkube.model.pods import (
    ANY_ADDRESS,
    DEFAULT_SCHEDULER,
    DaemonSet,
    HostPort,
    Labels,
    Pod,
    PodPhase,
    PodShape,
    PodTerm,
    SpreadConstraint,
)
from spotkube.model.selectors import LabelSelector, Operator, Requirement

Json = Mapping[str, Any]

_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_FOREIGN_OPT_OUTS = (
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
)
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NO_STATUS: Json = {}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def to_timestamp(text: str | None) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 where there is none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def to_labels(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


def to_pod(raw: Json) -> Pod | None:
    """A live pod, or None for one that has finished. Raises ValueError for requests that are no quantities."""
    return None if has_finished(raw) else as_it_was(raw)


def has_finished(raw: Json) -> bool:
    return (raw.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def as_it_was(raw: Json) -> Pod:
    """A pod, live or as it was when it finished. Raises ValueError for requests that are no quantities."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
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
        labels=shared(to_labels(labels)),
        shape=shared(to_shape(metadata["namespace"], labels, spec, status if spec.get("nodeName") else {})),
        owner=owner,
        workload=f"{metadata['namespace']}/{workload}" if workload else None,
        node=spec.get("nodeName") or None,
        nominated=status.get("nominatedNodeName") or None,
        admitted_by=tuple(t["value"] for t in spec.get("tolerations") or () if _is_ours(t)),
        gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
        phase=PodPhase.RUNNING if status.get("phase") == "Running" else PodPhase.PENDING,
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        unschedulable=scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable",
        daemon=owner.startswith("DaemonSet/"),
        mirror=_MIRROR_ANNOTATION in annotations,
        deleting=bool(metadata.get("deletionTimestamp")),
        ends_at=to_timestamp(metadata.get("deletionTimestamp")),
        told_deadline=_told_deadline(annotations),
        do_not_disrupt=_opted_out(annotations),
        deletion_cost=_deletion_cost(annotations),
        grace_seconds=_grace_seconds(spec),
        created_at=to_timestamp(metadata.get("creationTimestamp")),
        started_at=to_timestamp(status.get("startTime")),
        claims=to_claim_uses(metadata["namespace"], metadata["name"], spec),
        queued=to_queued_pod(raw),
        saved_at=saved_at(annotations),
    )


def to_shape(namespace: str, labels: Mapping[str, str], spec: Json, status: Json = _NO_STATUS) -> PodShape:
    """What kube-scheduler checks of a pod with this spec, these labels and, once it has a node, this status.

    Raises ValueError.
    """
    affinity = spec.get("affinity") or {}
    spread = [c for c in spec.get("topologySpreadConstraints") or () if c["whenUnsatisfiable"] == "DoNotSchedule"]

    def terms(kind: str) -> tuple[PodTerm, ...]:
        required = (affinity.get(kind) or {}).get(_REQUIRED) or ()
        return tuple(_to_term(term, namespace, labels) for term in required)

    return PodShape(
        namespace=namespace,
        requests=pod_requests(spec, status),
        node_selector=to_labels(spec.get("nodeSelector")),
        affinity_terms=to_affinity_terms(affinity.get("nodeAffinity")),
        # Ours is no wish of the pod: those that were alike are alike with it.
        tolerations=to_tolerations(t for t in spec.get("tolerations") or () if not _is_ours(t)),
        spread=tuple(_to_spread(constraint, labels) for constraint in spread),
        affinity=terms("podAffinity"),
        anti_affinity=terms("podAntiAffinity"),
        host_ports=_host_ports(spec),
        scheduler_name=spec.get("schedulerName") or DEFAULT_SCHEDULER,
        preferred=to_preferred_terms(affinity.get("nodeAffinity")),
        priority=int(spec.get("priority") or 0),
        unsupported=tuple(_unsupported(spec)),
    )


def _is_ours(toleration: Json) -> bool:
    return toleration.get("key") == keys.UNREGISTERED_TAINT and bool(toleration.get("value"))


def to_daemonset(raw: Json) -> DaemonSet:
    metadata, template = raw["metadata"], raw["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    shape = to_shape(metadata["namespace"], labels, template.get("spec") or {})
    return DaemonSet(f"{metadata['namespace']}/{metadata['name']}", shape)


def to_namespace(raw: Json) -> tuple[str, Labels]:
    """Its name and its labels, the one that the API server gives to each included."""
    name = raw["metadata"]["name"]
    return name, to_labels({**(raw["metadata"].get("labels") or {}), keys.NAMESPACE_NAME: name})


def _owner(metadata: Json, labels: Mapping[str, str]) -> str:
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            kind, name = reference["kind"], reference["name"]
            return owner_of_replica_set(name, labels) if kind == "ReplicaSet" else f"{kind}/{name}"
    return ""


def owner_of_replica_set(name: str, labels: Mapping[str, str]) -> str:
    """The Deployment as "Kind/name", or a ReplicaSet of nobody's. `labels` are its own, or those of a pod of it."""
    template_hash = labels.get(keys.POD_TEMPLATE_HASH)
    if template_hash and name.endswith(f"-{template_hash}"):
        return f"Deployment/{name.removesuffix(f'-{template_hash}')}"
    return f"ReplicaSet/{name}"


def _opted_out(annotations: Mapping[str, str]) -> bool:
    ours = (keys.DO_NOT_DISRUPT, "true")
    return any(annotations.get(key) == value for key, value in (ours, *_FOREIGN_OPT_OUTS))


def _deletion_cost(annotations: Mapping[str, str]) -> int:
    """0 where it is no whole number of 32 bits, as for kube-controller-manager."""
    try:
        cost = int(annotations.get(_DELETION_COST) or 0)
    except ValueError:
        return 0
    return cost if -(2**31) <= cost < 2**31 else 0


def _told_deadline(annotations: Mapping[str, str]) -> float:
    """0 where it can't be read: then the pod is told anew."""
    try:
        return to_timestamp(annotations.get(keys.TERMINATION_DEADLINE))
    except ValueError:
        return 0.0


def _grace_seconds(spec: Json) -> int:
    grace = spec.get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)


def _to_spread(constraint: Json, labels: Mapping[str, str]) -> SpreadConstraint:
    selector = to_label_selector(constraint.get("labelSelector"))
    return SpreadConstraint(
        max_skew=int(constraint["maxSkew"]),
        topology_key=constraint["topologyKey"],
        selector=_with_own_labels(selector, constraint.get("matchLabelKeys") or (), (), labels),
        min_domains=int(constraint.get("minDomains") or 1),
        honor_affinity=constraint.get("nodeAffinityPolicy") != "Ignore",
        honor_taints=constraint.get("nodeTaintsPolicy") == "Honor",
    )


def _to_term(term: Json, namespace: str, labels: Mapping[str, str]) -> PodTerm:
    selector = to_label_selector(term.get("labelSelector"))
    like, unlike = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    named, selected = term.get("namespaces") or (), to_label_selector(term.get("namespaceSelector"))
    return PodTerm(
        topology_key=term["topologyKey"],
        selector=_with_own_labels(selector, like, unlike, labels),
        # Where neither names nor labels say which, the pod's own namespace is meant.
        namespaces=frozenset(named) if named or selected is not None else frozenset({namespace}),
        namespace_selector=selected,
    )


def _with_own_labels(
    selector: LabelSelector | None, like: Sequence[str], unlike: Sequence[str], labels: Mapping[str, str]
) -> LabelSelector | None:
    """matchLabelKeys and mismatchLabelKeys: the pod's own value of each key is one more condition.

    The API server writes them into the selector of a live pod as well, so that one that is there is not added again.
    """
    if selector is None:
        return None
    own = [Requirement(key, Operator.IN, (labels[key],)) for key in like if key in labels]
    own += [Requirement(key, Operator.NOT_IN, (labels[key],)) for key in unlike if key in labels]
    return LabelSelector(tuple(sorted({*selector.requirements, *own}, key=str)))


def _host_ports(spec: Json) -> tuple[HostPort, ...]:
    """Ports that the pod takes of its node; on the node's own network every port of a container is one."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    ports = [port for container in (*sidecars, *spec.get("containers", ())) for port in container.get("ports") or ()]
    on_host = bool(spec.get("hostNetwork"))
    taken = {
        HostPort(
            int(port.get("hostPort") or port["containerPort"]),
            port.get("protocol") or "TCP",
            port.get("hostIP") or ANY_ADDRESS,
        )
        for port in ports
        if port.get("hostPort") or (on_host and port.get("containerPort"))
    }
    return tuple(sorted(taken, key=str))


def _unsupported(spec: Json) -> Iterable[str]:
    if spec.get("resourceClaims"):
        yield "resourceClaims (dynamic resource allocation)"
