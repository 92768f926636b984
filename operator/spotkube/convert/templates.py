"""What the pods of a Deployment will be, before the first of them is there."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from spotkube.convert.pods import as_it_was
from spotkube.model.pods import Pod

Json = Mapping[str, Any]

# The API server lets pods stay for a while on a node that is lost, where their template says nothing of it.
_LOST: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
# By these the API server and the Deployment's controller decide what is no part of the template.
_LEFT_OPEN: Final = ("priorityClassName", "runtimeClassName", "nodeName")
_BY_REVISION: Final = ("matchLabelKeys", "mismatchLabelKeys")


def to_template(raw: Json) -> Pod | None:
    """A pod that waits, as a Deployment's template has it and the API server makes it where no webhook, LimitRange or
    default PriorityClass has a say. None for a Deployment that is being deleted, and where more is added than we know.
    """
    metadata, template = raw["metadata"], raw["spec"].get("template")
    if template is None or metadata.get("deletionTimestamp"):
        return None
    spec = template.get("spec") or {}
    if any(spec.get(field) for field in _LEFT_OPEN) or _asks_for_its_revision(spec):
        return None
    tolerations = [*(spec.get("tolerations") or ()), *_added(spec.get("tolerations") or ())]
    about = {**(template.get("metadata") or {}), "uid": metadata["uid"], "name": metadata["name"]}
    made = {
        "metadata": {**about, "namespace": metadata["namespace"]},
        "spec": {**spec, "tolerations": tolerations},
    }
    return replace(as_it_was(made), owner=f"Deployment/{metadata['name']}")


def _added(tolerations: Iterable[Json]) -> list[Json]:
    borne = [one for one in tolerations if one.get("effect") in (None, "", "NoExecute")]
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute"}
        for key in _LOST
        if not any(not one.get("key") or one["key"] == key for one in borne)
    ]


def _asks_for_its_revision(spec: Json) -> bool:
    """Whether terms hold for pods of one revision, which has a name only once its ReplicaSet is made."""
    affinity = spec.get("affinity") or {}
    between = [affinity.get(kind) or {} for kind in ("podAffinity", "podAntiAffinity")]
    terms = [term for kind in between for some in kind.values() for term in some]
    return any(
        (term.get("podAffinityTerm") or term).get(field)
        for term in (*(spec.get("topologySpreadConstraints") or ()), *terms)
        for field in _BY_REVISION
    )
