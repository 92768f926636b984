"""Pods that a Deployment, a ReplicaSet or a Job has said it wants and has not made yet.

Controllers make pods a few at a time: when the last of a thousand is there, the first has waited for seconds. What is
declared is known at once. So each missing pod is stood in for by a copy of one that waits already, or of its
Deployment's template, is planned for with it, and gives its place to the next pod that its owner makes.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spotkube.convert.replicasets import ReplicaSet
from spotkube.convert.workloads import Source, SourceKey
from spotkube.model.labels import QUEUE_GATE
from spotkube.model.pods import Pod, PodShape

# An owner that has made no pod for so long is held up by something, as a quota: nothing is bought on its word then.
STUCK_SECONDS = 10.0
# Of one owner no more are planned for at once: one digit too many must not fill the memory.
MOST_AT_ONCE = 10_000
# Of whom no pod has been seen yet, the first is waited for so long.
FIRST_SECONDS = 3.0
# Where pods did not come out as their template has them, something changes them that may be taken away again.
DOUBTED_SECONDS = 3600.0
# A decision that was asked for before the pod came is carried out by then.
REMEMBERED_SECONDS = 120.0
NO_TEMPLATES: Mapping[SourceKey, Pod] = {}


@dataclass(slots=True)
class _Owner:
    """`model` is a pod of it that waits, or its template; `stand_ins` are in its missing pods' stead, by their uids.
    They are the same objects each time, for what is made of each pod in a cycle is kept as long as it is."""

    model: Pod
    by_template: bool = False
    stand_ins: dict[str, Pod] = field(default_factory=dict)
    missing: int = 0
    since: float = 0.0


@dataclass(slots=True)
class ExpectedPods:
    """Lives in memory: after a restart, pods that have not come by then are planned for when they do."""

    _owners: dict[SourceKey, _Owner] = field(default_factory=dict)
    _known: frozenset[str] = frozenset()
    _heirs: dict[str, tuple[str, float]] = field(default_factory=dict)
    _made: int = 0
    _silent: dict[SourceKey, float] = field(default_factory=dict)
    _doubted: dict[str, float] = field(default_factory=dict)

    @property
    def heirs(self) -> dict[str, str]:
        """Who came for whom lately: uid of the stand-in -> uid of the pod."""
        return {stand_in: uid for stand_in, (uid, _) in self._heirs.items()}

    def are_coming(self, now: float) -> bool:
        """Whether somebody is about to make pods that nothing is known of yet: they are worth waiting for."""
        return any(now - since < FIRST_SECONDS for since in self._silent.values())

    def settle(self, pods: Iterable[Pod], planned: Container[str], now: float) -> dict[str, str]:
        """Finds the pods that came meanwhile: uid of the pod -> uid of its stand-in, each told once.

        Places that are `planned` (uids) already are given away first.
        """
        self._heirs = {uid: (heir, at) for uid, (heir, at) in self._heirs.items() if now - at <= REMEMBERED_SECONDS}
        if not self._owners:
            return {}
        found = {}
        came = (pod for pod in pods if pod.uid not in self._known and owner_of(pod) in self._owners)
        for pod in sorted(came, key=lambda pod: (pod.created_at, pod.uid)):
            owner = self._owners[owner_of(pod)]
            if owner.stand_ins and pod.shape == owner.model.shape:
                stand_in = next((uid for uid in owner.stand_ins if uid in planned), next(iter(owner.stand_ins)))
                del owner.stand_ins[stand_in]
                found[pod.uid] = stand_in
                self._heirs[stand_in] = pod.uid, now
        return found

    def waiting(
        self,
        pods: Sequence[Pod],
        missing: Mapping[SourceKey, int],
        now: float,
        templates: Mapping[SourceKey, Pod] = NO_TEMPLATES,
    ) -> list[Pod]:
        """A stand-in for each pod that its owner (namespace, "Kind/name") lacks by `missing`, as far as one of it
        waits, or its template tells what will; `pods` are those that `settle` was told of."""
        lacking = {key for key, number in missing.items() if number > 0}
        models = _models(pods, lacking)
        declared = self._believed({key: templates[key] for key in lacking & templates.keys()}, pods, now)
        silent = lacking.difference(map(owner_of, pods), declared) if lacking else ()
        self._silent = {key: self._silent.get(key, now) for key in silent}
        self._owners = {key: self._owner(key, model, now) for key, model in models.items()} | {
            key: self._declared(key, model) for key, model in declared.items()
        }
        self._known = frozenset(pod.uid for pod in pods) if self._owners else frozenset()
        stand_ins: list[Pod] = []
        for key, owner in self._owners.items():
            if owner.missing != missing[key]:
                owner.missing, owner.since = missing[key], now
            wanted = min(owner.missing, MOST_AT_ONCE) if now - owner.since < STUCK_SECONDS else 0
            self._resize(owner, key, wanted, now)
            stand_ins += owner.stand_ins.values()
        return stand_ins

    def _believed(self, templates: Mapping[SourceKey, Pod], pods: Iterable[Pod], now: float) -> dict[SourceKey, Pod]:
        """Of those no pod of which waits: a template that its pods, if there are any, came out as."""
        if not templates:
            return {}
        there: dict[SourceKey, set[PodShape]] = defaultdict(set)
        waits = set[SourceKey]()
        for pod in pods:
            if not pod.deleting and (key := owner_of(pod)) in templates:
                there[key].add(pod.shape)
                if pod.node is None:
                    waits.add(key)
        return {
            key: template
            for key, template in templates.items()
            if key not in waits
            and not _is_its_own(template)
            and (template.shape in there[key] if key in there else not self._doubts(key[0], now))
        }

    def _doubts(self, namespace: str, now: float) -> bool:
        return now - self._doubted.get(namespace, -math.inf) < DOUBTED_SECONDS

    def _owner(self, key: SourceKey, model: Pod, now: float) -> _Owner:
        """Of one of which a pod waits."""
        owner = self._owners.get(key)
        if owner is None or not owner.by_template:
            return owner or _Owner(model)
        if owner.model.shape != model.shape:
            self._doubted[key[0]] = now
            return _Owner(model)
        if owner.model.gates != model.gates:  # as our policy puts them on: those to come wait behind them, too
            owner.model, owner.stand_ins = model, {uid: _stand_in(model, uid, now) for uid in owner.stand_ins}
        return owner

    def _declared(self, key: SourceKey, template: Pod) -> _Owner:
        owner = self._owners.get(key)
        return owner if owner is not None and owner.model.shape == template.shape else _Owner(template, True)

    def _resize(self, owner: _Owner, key: SourceKey, wanted: int, now: float) -> None:
        for surplus in list(owner.stand_ins)[wanted:]:
            del owner.stand_ins[surplus]
        while len(owner.stand_ins) < wanted:
            uid = f"{'/'.join(key)}#{self._made:09}"
            owner.stand_ins[uid] = _stand_in(owner.model, uid, now)
            self._made += 1


def missing_pods(
    sources: Mapping[SourceKey, Source],
    replica_sets: Iterable[ReplicaSet],
    pods: Iterable[Pod],
    displaced: Collection[SourceKey],
) -> dict[SourceKey, int]:
    """How many pods each Job, StatefulSet, Deployment and ReplicaSet has still to make, and can.

    What a Deployment wants its ReplicaSets say, the old and the new ones, as soon as there are any; and where there is
    one only, the Deployment's own number is what that will say in a moment, or in seconds where many are scaled. Of
    thousands of Jobs that wait or have ended none is named but those of which pods were `displaced`.
    """
    there = Counter(owner_of(pod) for pod in pods if not pod.deleting)
    wanted = {key: source.wanted for key, source in sources.items() if source.wanted or key in displaced}
    revisions: dict[SourceKey, list[ReplicaSet]] = defaultdict(list)
    for one in replica_sets:
        revisions[one.owner].append(one)
    wanted |= {key: _wanted(some, sources.get(key)) for key, some in revisions.items()}
    return {key: max(0, number - there[key]) for key, number in wanted.items()}


def _wanted(revisions: Sequence[ReplicaSet], deployment: Source | None) -> int:
    declared = sum(0 if one.blocked else one.replicas for one in revisions)
    if deployment is None or deployment.template is None or len(revisions) > 1 or revisions[0].blocked:
        return declared
    return max(declared, deployment.wanted)


def owner_of(pod: Pod) -> SourceKey:
    return pod.namespace, pod.owner


def unmade(planned: str) -> SourceKey | None:
    """Whose missing pod a uid stands for; None for that of a pod."""
    owner, mark, _ = planned.rpartition("#")
    namespace, _, rest = owner.partition("/")
    return (namespace, rest) if mark else None


def _models(pods: Iterable[Pod], lacking: Container[SourceKey]) -> dict[SourceKey, Pod]:
    """The youngest pod that waits, of each owner that lacks some. Whose volumes are each pod's own can't be copied.

    Where pods stand in a queue, those that the owner has still to make will wait there: they count once it lets them.
    """
    waiting: dict[SourceKey, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.node is None and pod.owner and not pod.deleting and owner_of(pod) in lacking:
            waiting[owner_of(pod)].append(pod)
    return {
        key: max(some, key=lambda pod: (pod.created_at, pod.uid))
        for key, some in waiting.items()
        if not any(map(_is_its_own, some))
    }


def _is_its_own(pod: Pod) -> bool:
    return pod.queued is not None or QUEUE_GATE in pod.gates or any(use.ephemeral for use in pod.claims)


def _stand_in(model: Pod, uid: str, now: float) -> Pod:
    """It waits since now: those that were made before it have the places that are there sooner."""
    name = f"{model.name} (to be made)"
    return replace(model, uid=uid, name=name, created_at=now, nominated=None, admitted_by=())
