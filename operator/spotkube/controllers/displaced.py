"""Pods that we evicted and that their owners have not made anew yet.

A Job waits ten seconds before it makes a pod again. In that time nothing in the cluster shows that room will be needed,
and a replacement bought only then comes late. So a displaced pod goes on asking for its room until its heir is there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from spotkube.model.pods import Pod, PodPhase

# Longer than Kubernetes' controllers take to make a pod anew; who has not by then does not want to.
REMEMBERED_SECONDS = 60.0


@dataclass(slots=True)
class DisplacedPods:
    """Lives in memory: after a restart, the room is asked for by the new pods, which is later but never twice."""

    _since: dict[str, float] = field(default_factory=dict)
    _pods: dict[str, Pod] = field(default_factory=dict)
    _heirs: dict[str, tuple[str, float]] = field(default_factory=dict)
    _left: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def left(self) -> dict[str, str]:
        """The Node that a pod, or the one that it followed, was evicted from lately: by the uid of either."""
        left = {uid: node for uid, (node, _) in self._left.items()}
        return left | {heir: left[uid] for heir, (uid, _) in self._heirs.items() if uid in left}

    @property
    def heirs(self) -> dict[str, str]:
        """Who followed whom lately: uid of the displaced pod -> uid of the new one."""
        return {displaced: uid for uid, (displaced, _) in self._heirs.items()}

    @property
    def owners(self) -> frozenset[tuple[str, str]]:
        """Of those without an heir: namespace and "Kind/name"."""
        return frozenset((pod.namespace, pod.owner) for pod in self._pods.values())

    def add(self, pod: Pod, now: float) -> None:
        """A bare pod is not remembered: nobody makes it anew."""
        if pod.owner:
            self._left.setdefault(pod.uid, (pod.node or "", now))
            self._since.setdefault(pod.uid, now)
            # Made once, for what is made of each pod in a cycle is kept as long as it is the same object.
            self._pods.setdefault(pod.uid, _that_waits(pod))

    def settle(self, pods: Iterable[Pod], now: float) -> dict[str, str]:
        """Finds the heirs among the live pods: uid of the new pod -> uid of the displaced one, each told once."""
        self._forget_old(now)
        if not self._pods:
            return {}
        young: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        earliest = int(min(self._since.values()))
        came = (pod for pod in pods if pod.created_at >= earliest)
        for pod in sorted(came, key=lambda pod: (pod.created_at, pod.uid)):
            if pod.owner and not pod.deleting and pod.uid not in self._pods and pod.uid not in self._heirs:
                young[pod.namespace, pod.owner].append(pod)
        found = {}
        for uid, displaced in sorted(self._pods.items(), key=lambda item: (self._since[item[0]], item[0])):
            heir = self._heir_of(displaced, young[displaced.namespace, displaced.owner])
            if heir is not None:
                found[heir.uid] = uid
        for heir_uid, uid in found.items():
            self._heirs[heir_uid] = uid, now
            self._drop(uid)
        return found

    def waiting(self, missing: Mapping[tuple[str, str], int]) -> list[Pod]:
        """Those without an heir, as pods that wait: under their own uid, so that a place planned for one stays its.

        `missing` tells of owners (namespace, "Kind/name") how many pods they lack; others lack as many as were evicted.
        """
        left = dict(missing)
        pods = []
        for _, pod in sorted(self._pods.items()):
            owner = (pod.namespace, pod.owner)
            if left.get(owner, 1) > 0:
                left[owner] = left[owner] - 1 if owner in left else 1
                pods.append(pod)
        return pods

    def _heir_of(self, displaced: Pod, young: list[Pod]) -> Pod | None:
        # Creation times are whole seconds.
        since = int(self._since[displaced.uid])
        for index, pod in enumerate(young):
            if pod.created_at >= since and pod.shape == displaced.shape:
                return young.pop(index)
        return None

    def _forget_old(self, now: float) -> None:
        for uid in [uid for uid, since in self._since.items() if now - since > REMEMBERED_SECONDS]:
            self._drop(uid)
        self._heirs = {uid: (old, at) for uid, (old, at) in self._heirs.items() if now - at <= 2 * REMEMBERED_SECONDS}
        self._left = {uid: (node, at) for uid, (node, at) in self._left.items() if now - at <= 3 * REMEMBERED_SECONDS}

    def _drop(self, uid: str) -> None:
        del self._since[uid], self._pods[uid]


def _that_waits(pod: Pod) -> Pod:
    return replace(
        pod, node=None, nominated=None, phase=PodPhase.PENDING, ready=False, deleting=False, unschedulable=True
    )
