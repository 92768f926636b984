"""Which pods were made in the stead of others, so that a pod's place in the queue outlives the pod."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spotkube.convert.workloads import SourceKey
from spotkube.model.labels import QUEUE_GATE
from spotkube.model.pods import Pod

# Longer than Kubernetes' controllers take to make a pod anew.
REMEMBERED_SECONDS = 60.0


@dataclass
class Successors:
    """Lives in memory: after a restart, a pod that was made in another's stead has a place of its own, at the end."""

    _inherited: dict[str, str] = field(default_factory=dict)
    """Pod (its uid) -> the place that it has from another, which is the first one's uid."""
    _vacant: dict[SourceKey, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    """Places of pods that were taken back, and since when, by owner."""
    _moved: frozenset[str] = frozenset()

    def await_one_of(self, pod: Pod, place: str, now: float) -> None:
        """The pod was taken back: the next gated one of its owner has its place."""
        vacant = self._vacant[pod.namespace, pod.owner]
        if all(place != other for _, other in vacant):
            vacant.append((now, place))

    def update(self, pods: Iterable[Pod], moved: Mapping[str, str], now: float) -> None:
        """`pods` are all that name a queue; `moved` says who (uid) came for whom that had to leave its node."""
        by_uid = {pod.uid: pod for pod in pods}
        self._inherited = {uid: at for uid, at in self._inherited.items() if uid in by_uid or uid in moved}
        heirs = {heir: old for old, heir in moved.items() if heir in by_uid}
        self._inherited |= {heir: self.place_of(old) for heir, old in heirs.items()}
        self._moved = frozenset(heirs)
        self._vacant = defaultdict(list, self._still_vacant(now))
        if self._vacant:
            for pod in sorted(by_uid.values(), key=lambda pod: (pod.created_at, pod.uid)):
                self._fill_vacancy(pod)

    def place_of(self, uid: str) -> str:
        """Of a pod: its own uid unless it came for another."""
        return self._inherited.get(uid, uid)

    def was_moved(self, uid: str) -> bool:
        """Whether it stands in for one that was let go already and had to leave its node."""
        return uid in self._moved

    def _still_vacant(self, now: float) -> dict[SourceKey, list[tuple[float, str]]]:
        young = {
            owner: [(since, place) for since, place in vacant if now - since <= REMEMBERED_SECONDS]
            for owner, vacant in self._vacant.items()
        }
        return {owner: vacant for owner, vacant in young.items() if vacant}

    def _fill_vacancy(self, pod: Pod) -> None:
        vacant = self._vacant.get((pod.namespace, pod.owner))
        if not vacant or pod.uid in self._inherited or QUEUE_GATE not in pod.gates:
            return
        if pod.created_at >= int(vacant[0][0]):  # Creation times are whole seconds.
            self._inherited[pod.uid] = vacant.pop(0)[1]
