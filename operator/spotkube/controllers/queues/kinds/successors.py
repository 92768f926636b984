"""Which pods were made in the stead of others, so that a pod's place in the queue outlives the pod.

It outlives the operator as well: which pods have which places is kept with the queue's memory. Who was let go, and is
not there any more after a restart, has left its place to the next pod that its owner makes like it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spotkube.convert.workloads import SourceKey
from spotkube.model.labels import QUEUE_GATE
from spotkube.model.pods import Pod

# Longer than Kubernetes' controllers take to make a pod anew.
REMEMBERED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A place that the next gated pod of its owner has, if it was made after `since_seconds`.

    `requests` are those that it must have, None for any; `moved` says that who had the place was let go and still is.
    """

    place: str
    since_seconds: float
    until_seconds: float
    requests: Mapping[str, int] | None = None
    moved: bool = False

    def suits(self, pod: Pod) -> bool:
        alike = self.requests is None or dict(pod.shape.requests) == self.requests
        return alike and pod.created_at >= int(self.since_seconds)  # Creation times are whole seconds.


@dataclass(frozen=True, slots=True)
class _Holder:
    """A pod that had a place when it was last kept; `runs` if it was let go, or stood in for one that was."""

    uid: str
    place: str
    owner: SourceKey
    requests: Mapping[str, int]
    runs: bool


@dataclass
class Successors:
    """Owned by the leader."""

    _inherited: dict[str, str] = field(default_factory=dict)
    """Pod (its uid) -> the place that it has from another, which is the first one's uid."""
    _vacant: dict[SourceKey, list[Vacancy]] = field(default_factory=lambda: defaultdict(list))
    """By owner."""
    _moved: frozenset[str] = frozenset()
    _stand_ins: set[str] = field(default_factory=set)
    """Pods (their uids) that have the place of one that was let go before a restart."""
    _pods: dict[str, Pod] = field(default_factory=dict)
    _recalled: tuple[float, tuple[_Holder, ...]] | None = None
    """Since when it is so, and who had places then; until the next look at the pods."""

    def await_one_of(self, pod: Pod, place: str, now: float) -> None:
        """The pod was taken back: the next gated one of its owner has its place."""
        vacant = self._vacant[pod.namespace, pod.owner]
        if all(place != other.place for other in vacant):
            vacant.append(Vacancy(place, now, now + REMEMBERED_SECONDS))

    def update(self, pods: Iterable[Pod], moved: Mapping[str, str], now: float) -> None:
        """`pods` are all that name a queue; `moved` says who (uid) came for whom that had to leave its node."""
        by_uid = {pod.uid: pod for pod in pods}
        self._take_up(by_uid, now)
        self._inherited = {uid: at for uid, at in self._inherited.items() if uid in by_uid or uid in moved}
        heirs = {heir: old for old, heir in moved.items() if heir in by_uid}
        self._inherited |= {heir: self.place_of(old) for heir, old in heirs.items()}
        self._moved, self._stand_ins = frozenset(heirs), self._stand_ins & by_uid.keys()
        self._vacant = defaultdict(list, self._still_vacant(now))
        if self._vacant:
            for pod in sorted(by_uid.values(), key=lambda pod: (pod.created_at, pod.uid)):
                self._fill_vacancy(pod)
        self._pods = by_uid

    def place_of(self, uid: str) -> str:
        """Of a pod: its own uid unless it came for another."""
        return self._inherited.get(uid, uid)

    def was_moved(self, uid: str) -> bool:
        """Whether it stands in for one that was let go already and had to leave its node."""
        return uid in self._moved or uid in self._stand_ins

    def state(self, now: float) -> dict[str, Any]:
        """As plain numbers and names, for JSON."""
        holders = (self._holder(pod) for pod in self._pods.values() if pod.made_anew)
        return {
            "at": now,
            "holders": [
                [one.uid, one.place, *one.owner, dict(one.requests), one.runs]
                for one in holders
                if one.runs or one.place != one.uid
            ],
            "vacant": [[*owner, one.place, one.since_seconds] for owner, some in self._vacant.items() for one in some],
        }

    def recall(self, state: Mapping[str, Any] | None, now: float) -> None:
        """From now on only that is known which gave the state; nothing where that is None. Raises KeyError, TypeError,
        ValueError."""
        self._inherited, self._vacant, self._moved, self._stand_ins = {}, defaultdict(list), frozenset(), set()
        self._pods, self._recalled = {}, None
        if state is None:
            return
        holders = tuple(
            _Holder(str(uid), str(place), (namespace, owner), dict(requests), bool(runs))
            for uid, place, namespace, owner, requests, runs in state["holders"]
        )
        for namespace, owner, place, since in state["vacant"]:
            vacancy = Vacancy(str(place), float(since), now + REMEMBERED_SECONDS)
            self._vacant[namespace, owner].append(vacancy)
        self._recalled = float(state["at"]), holders

    def _holder(self, pod: Pod) -> _Holder:
        runs = QUEUE_GATE not in pod.gates or self.was_moved(pod.uid)
        return _Holder(pod.uid, self.place_of(pod.uid), (pod.namespace, pod.owner), pod.shape.requests, runs)

    def _take_up(self, there: Mapping[str, Pod], now: float) -> None:
        """After a restart: who is still there keeps his place; that of who ran and is going, or gone, is vacant."""
        if self._recalled is None:
            return
        (at, holders), self._recalled = self._recalled, None
        staying = [one for one in holders if one.uid in there and not there[one.uid].deleting]
        taken = {one.place for one in staying} | {one.place for some in self._vacant.values() for one in some}
        for one in holders:
            if one.uid in there and one.place != one.uid:
                self._inherited[one.uid] = one.place
            if one.uid in there and one.runs:
                self._stand_ins.add(one.uid)
            if one.runs and one.place not in taken:
                taken.add(one.place)
                left = Vacancy(one.place, at, now + REMEMBERED_SECONDS, one.requests, moved=True)
                self._vacant[one.owner].append(left)

    def _still_vacant(self, now: float) -> dict[SourceKey, list[Vacancy]]:
        young = {owner: [one for one in vacant if now <= one.until_seconds] for owner, vacant in self._vacant.items()}
        return {owner: vacant for owner, vacant in young.items() if vacant}

    def _fill_vacancy(self, pod: Pod) -> None:
        vacant = self._vacant.get((pod.namespace, pod.owner))
        if not vacant or pod.uid in self._inherited or QUEUE_GATE not in pod.gates:
            return
        found = next((one for one in vacant if one.suits(pod)), None)
        if found is not None:
            vacant.remove(found)
            self._inherited[pod.uid] = found.place
            self._stand_ins |= {pod.uid} if found.moved else set()
