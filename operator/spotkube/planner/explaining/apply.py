"""A change made in a Snapshot."""

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Any, TypeVar

from spotkube.model import explanation
from spotkube.model.cluster import Pool, Snapshot, WorkloadRule
from spotkube.model.explanation import Change, Edit
from spotkube.model.pods import Pod, PodShape
from spotkube.model.resources import ResourceList

T = TypeVar("T", Pool, PodShape, WorkloadRule)


def apply_change(snapshot: Snapshot, change: Change) -> Snapshot:
    """The snapshot as it would be with the change made. Changes of different fields may be made in any order."""
    edit = change.edit
    match change.kind:
        case explanation.POD:
            return replace(snapshot, pods=_edited_pods(snapshot.pods, edit))
        case explanation.WORKLOAD:
            rules = (_edited(rule, edit) if rule.key in edit.names else rule for rule in snapshot.workloads)
            return replace(snapshot, workloads=tuple(rules))
        case explanation.NODE_POOL if not edit.attribute:
            return replace(snapshot, pools=(*snapshot.pools, *edit.add))
        case explanation.NODE_POOL:
            pools = (_edited(pool, edit) if pool.name in edit.names else pool for pool in snapshot.pools)
            return replace(snapshot, pools=tuple(pools))
        case explanation.OFFERING:
            return replace(snapshot, resting=snapshot.resting - frozenset(edit.remove))
        case _:
            raise ValueError(f"{change.kind}: no such kind of change")


def apply_changes(snapshot: Snapshot, changes: Iterable[Change]) -> Snapshot:
    return reduce(apply_change, changes, snapshot)


def _edited_pods(pods: Iterable[Pod], edit: Edit) -> tuple[Pod, ...]:
    # Pods of one shape stay pods of one shape, and are looked at once.
    names, shapes = frozenset(edit.names), dict[PodShape, PodShape]()

    def edited(pod: Pod) -> Pod:
        if pod.uid not in names:
            return pod
        if pod.shape not in shapes:
            shapes[pod.shape] = _edited_shape(pod.shape, edit)
        return replace(pod, shape=shapes[pod.shape])

    return tuple(edited(pod) for pod in pods)


def _edited_shape(shape: PodShape, edit: Edit) -> PodShape:
    if edit.attribute == "requests":
        return replace(shape, requests=ResourceList({**shape.requests, **dict(edit.add)}))
    if edit.attribute == "affinity_terms" and edit.remove:
        terms = tuple(tuple(r for r in term if r not in edit.remove) for term in shape.affinity_terms)
        # A term that asks for nothing any more holds everywhere, and so do all of them.
        return replace(shape, affinity_terms=terms if all(terms) else ())
    return _edited(shape, edit)


def _edited(owner: T, edit: Edit) -> T:
    value: Any = edit.value
    if edit.remove or edit.add:
        kept: list[Any] = [item for item in getattr(owner, edit.attribute) if item not in edit.remove]
        value = (*kept, *(item for item in edit.add if item not in kept))
    return replace(owner, **{edit.attribute: value})
