"""Groups of pods alike in all that matters for placing them: the planner's time grows with groups, not with pods."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

from spotkube.model.offerings import ON_DEMAND
from spotkube.model.pods import Labels, Pod, PodShape, shapes_of
from spotkube.model.resources import CPU, MEMORY, ResourceList
from spotkube.planner.formulation.scopes import Key
from spotkube.planner.formulation.subjects import Subject

ANY_CAPACITY = ""


@dataclass(frozen=True, slots=True)
class OnDemandNeed:
    """How many of a Workload's pods still to be placed must go onto on-demand nodes; `never_on_spot`: all, always."""

    pods: int = 0
    never_on_spot: bool = False


NO_NEED = OnDemandNeed()


@dataclass(frozen=True, slots=True)
class Group:
    """Like pods (their uids), in a stable order.

    `labels` are only those that some selector asks for. Groups of one `family` were one before a rule split them;
    `sure_count` as in `Problem`. What narrows where they may go: `capacity_type` ("" for any), `where`, the values that
    topology keys must have there, `barred`, those that they may not have (None: the node lacks the key), and `beside`,
    of which pods one has to be on the same node, planned ones only if their group's `turn` was before. `bundle` pods go
    onto one node together and count as one. `quota` is their Workload, where a limit counts its pods. `batch` are the
    pods of Jobs.
    """

    name: str
    shape: PodShape
    labels: Labels
    pods: tuple[str, ...]
    managed: bool
    family: int
    sure_count: int
    capacity_type: str = ANY_CAPACITY
    where: tuple[tuple[Key, str | None], ...] = ()
    barred: frozenset[tuple[str, str | None]] = frozenset()
    beside: frozenset[Subject] | None = None
    turn: int = 0
    bundle: int = 1
    quota: str = ""
    batch: bool = False

    @property
    def count(self) -> int:
        return len(self.pods) // self.bundle

    @property
    def subject(self) -> Subject:
        return self.shape.namespace, self.labels


def selected_keys(pods: Iterable[Pod]) -> frozenset[str]:
    """The label keys that rules between pods ask for; all other labels of pods are of no matter to the planner."""
    keys: set[str] = set()
    for shape in set(shapes_of(pods)):
        selectors = [rule.selector for rule in shape.spread]
        selectors += [term.selector for term in (*shape.affinity, *shape.anti_affinity)]
        keys.update(*(selector.keys for selector in selectors if selector is not None))
    return frozenset(keys)


def project(labels: Labels, keys: frozenset[str]) -> Labels:
    return tuple(item for item in labels if item[0] in keys)


class _Likeness(NamedTuple):
    """Pods that agree in all of these are interchangeable."""

    shape: PodShape
    labels: Labels
    managed: bool
    never_on_spot: bool
    split_by: str
    quota: str
    batch: bool


def group_pods(
    pods: Sequence[Pod],
    keys: frozenset[str],
    needs: Mapping[str, OnDemandNeed],
    apart: Collection[str] = (),
    *,
    open_ended: bool = False,
    let: Collection[str] = (),
) -> list[Group]:
    """Groups the pods to place, and sets apart those that must run on demand.

    Args:
        pods: what to place.
        keys: the labels that selectors ask for.
        needs: what the rule of each Workload leaves to be placed on demand, by its key.
        apart: Workloads (their keys) whose pods some limit counts.
        open_ended: whether pods may be put elsewhere than their group, where unlike pods share a need: then a part that
            has no pods here stays, into which others may come.
        let: pods (uids) that may be on spot though they belong to no Workload.
    """
    alike = _alike(sorted(pods, key=lambda pod: (pod.created_at, pod.uid)), keys, needs, apart, let)
    dealt = _deal_needs(alike, needs)
    # Pods of a Workload that are not alike (a rollout, say) share its need, so that nothing is sure of each kind.
    pods_of = Counter(pod.workload for pod in pods)
    groups: list[Group] = []
    for family, (likeness, like) in enumerate(alike.items()):
        group = Group(
            name=_name(like),
            shape=likeness.shape,
            labels=likeness.labels,
            pods=tuple(pod.uid for pod in like),
            managed=likeness.managed,
            family=family,
            sure_count=len(like),
            capacity_type=ON_DEMAND if likeness.never_on_spot else ANY_CAPACITY,
            quota=likeness.quota,
            batch=likeness.batch,
        )
        if likeness.split_by:
            on_demand = dealt[likeness]
            others = pods_of[likeness.split_by] - group.count
            sure = max(0, min(needs[likeness.split_by].pods - others, group.count))
            parts = _split_on_demand(group, on_demand, sure)
            groups += [part for part in parts if part.pods or (open_ended and sure < on_demand)]
        else:
            groups.append(group)
    return groups


def _alike(
    pods: Iterable[Pod],
    keys: frozenset[str],
    needs: Mapping[str, OnDemandNeed],
    apart: Collection[str],
    let: Collection[str],
) -> dict[_Likeness, list[Pod]]:
    """Those that are interchangeable, in the order of the first of each kind and of the pods."""
    alike: dict[_Likeness, list[Pod]] = defaultdict(list)
    # What a pod is like takes long to say and to compare; pods of one template mostly have the same objects.
    like: dict[tuple[object, ...], list[Pod]] = {}
    for pod in pods:
        template = (id(pod.shape), id(pod.labels), pod.workload, pod.batch, pod.uid in let)
        if template not in like:
            like[template] = alike[_likeness(pod, keys, needs, apart, let)]
        like[template].append(pod)
    return alike


def _likeness(
    pod: Pod,
    keys: frozenset[str],
    needs: Mapping[str, OnDemandNeed],
    apart: Collection[str],
    let: Collection[str],
) -> _Likeness:
    need = needs.get(pod.workload or "", NO_NEED)
    # Only the pods of a Workload that runs partly on demand are counted apart from others of their shape.
    split_by = pod.workload if pod.workload and need.pods and not need.never_on_spot else ""
    managed = pod.workload is not None or pod.uid in let
    quota = pod.workload if pod.workload in apart and not need.never_on_spot else ""
    labels = project(pod.labels, keys)
    return _Likeness(pod.shape, labels, managed, need.never_on_spot, split_by, quota or "", pod.batch)


def _deal_needs(alike: Mapping[_Likeness, Sequence[Pod]], needs: Mapping[str, OnDemandNeed]) -> Mapping[_Likeness, int]:
    """How many of each kind run on demand, where unlike pods of a Workload share its need: the smallest first."""
    left = {key: need.pods for key, need in needs.items()}
    dealt = {}
    for likeness in sorted((one for one in alike if one.split_by), key=lambda one: _size(one.shape.requests)):
        dealt[likeness] = min(left[likeness.split_by], len(alike[likeness]))
        left[likeness.split_by] -= dealt[likeness]
    return dealt


def _size(requests: ResourceList) -> tuple[int, float]:
    """Devices first, which cost most; a core costs about as much as 8 GiB."""
    devices = sum(amount for name, amount in requests.items() if "/" in name)
    return devices, requests[CPU] / 1000 + requests[MEMORY] / (8 * 2**30)


def _split_on_demand(group: Group, on_demand: int, sure: int) -> list[Group]:
    # More than these may run on demand as well, so nothing is sure of the rest.
    return [
        replace(group, pods=group.pods[:on_demand], sure_count=min(sure, on_demand), capacity_type=ON_DEMAND),
        replace(group, pods=group.pods[on_demand:], sure_count=0),
    ]


def is_whole_by_choice(group: Group, groups: Iterable[Group]) -> bool:
    """Whether all of these like pods run on demand although unlike ones of their Workload could instead."""
    return group.sure_count < group.count and sum(one.family == group.family for one in groups) == 1


def _name(like: Sequence[Pod]) -> str:
    """The owner of the pods; of several owners what their names begin with, as in team-a/index-*."""
    owners = list(dict.fromkeys(f"{pod.namespace}/{pod.owner.partition('/')[2] or pod.name}" for pod in like))
    if len(owners) == 1:
        return owners[0]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(min(owners), max(owners), strict=False))
    stem = "".join(character for character, _ in same).rstrip("0123456789")
    return f"{stem}*" if not stem.endswith("/") and "/" in stem else f"{owners[0]} and {len(owners) - 1} like it"
