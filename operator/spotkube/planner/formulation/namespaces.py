"""Rules between pods that choose namespaces by label, as rules over namespaces by name."""

from dataclasses import replace

from spotkube.model.cluster import Snapshot
from spotkube.model.labels import NAMESPACE_NAME
from spotkube.model.pods import Pod, PodShape, shapes_of


def with_namespaces(snapshot: Snapshot) -> Snapshot:
    """The same snapshot, its terms resolved. A namespace that nobody told us of has its name as its only label."""
    if not any(map(_selects_namespaces, shapes_of(snapshot.pods))):
        return snapshot
    known = {pod.namespace: {NAMESPACE_NAME: pod.namespace} for pod in snapshot.pods}
    known |= {name: dict(labels) for name, labels in snapshot.namespaces}
    shapes: dict[PodShape, PodShape] = {}

    def resolved(pod: Pod) -> Pod:
        if not _selects_namespaces(pod.shape):
            return pod
        if pod.shape not in shapes:
            shapes[pod.shape] = replace(
                pod.shape,
                affinity=tuple(term.within(known) for term in pod.shape.affinity),
                anti_affinity=tuple(term.within(known) for term in pod.shape.anti_affinity),
            )
        return replace(pod, shape=shapes[pod.shape])

    return replace(snapshot, pods=tuple(resolved(pod) for pod in snapshot.pods))


def _selects_namespaces(shape: PodShape) -> bool:
    return any(term.namespace_selector is not None for term in (*shape.affinity, *shape.anti_affinity))
