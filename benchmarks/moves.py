#!/usr/bin/env python3
"""What it saves to pack a fleet anew that was bought well and then lost half of its pods, beside simpler ways."""

import dataclasses
import functools
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

import generate
import results
from spotkube.model import labels as keys
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Node, Pool, Snapshot, WorkloadRule
from spotkube.model.offerings import ON_DEMAND, Offering, OfferingKey
from spotkube.model.plan import Plan
from spotkube.model.pods import NEVER_ON_SPOT, Pod, PodPhase, PodShape, SpotRule
from spotkube.model.resources import ResourceList

EPILOG = """\
Pods are drawn as in benchmarks/scale.py: Workloads of like pods, three in ten of them on demand. `decide` buys the
fleet and a seeded half of the pods goes. Then the same cluster is given to each of the ways:
  empty       only nodes that are empty are given back
  one by one  what simple consolidation does: from the emptiest node on, each is given back if its pods fit onto the
              others, or replaced by the cheapest node that holds them and is cheaper, until nothing changes
  spotkube    whatever pays for its moves within an hour, m nodes for n

examples:
  benchmarks/moves.py --quick     1,000 pods: a minute
  benchmarks/moves.py             1,000 and 5,000 pods, three losses each
exit codes: 0 written to benchmarks/results/moves.json, 2 bad arguments
"""
T = TypeVar("T")
POOL = Pool("fleet")
LOST = 0.5
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Case:
    """`seconds` is the budget, for the purchase and for the moves alike."""

    pods: int
    groups: int
    seed: int
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.pods:,} pods of {self.groups} Workloads, loss {self.seed}"


QUICK = (Case(1_000, 40, 1, 10.0),)
CASES = (
    *(Case(1_000, 40, seed, 10.0) for seed in (1, 2, 3)),
    *(Case(5_000, 80, seed, 30.0) for seed in (1, 2, 3)),
)


def cluster(case: Case) -> Snapshot:
    """Pods that wait, and what may be bought."""
    from spotkube.catalog import load_catalog  # noqa: PLC0415

    sold = {(o["instance_type"], o["zone"], o["capacity_type"]) for o in generate.offerings()}
    offerings = [o for o in load_catalog().offerings if o.key in sold]
    pods, rules = [], []
    for group in generate.synthetic(case.pods, case.groups, case.seed):
        key = f"bench/{group['name']}"
        requests = {"cpu": group["cpu_milli"], "memory": group["memory_mib"] * MIB, "pods": 1}
        arch = ((keys.ARCH, group["arch"]),) if group["arch"] else ()
        shape = PodShape("bench", ResourceList(requests), node_selector=arch)
        rule = NEVER_ON_SPOT if group["capacity_type"] else SpotRule()
        rules.append(WorkloadRule(key, rule, group["count"]))
        for i in range(group["count"]):
            name = f"{group['name']}-{i}"
            pods.append(Pod(name, "bench", name, (), shape, f"Deployment/{group['name']}", key, unschedulable=True))
    return Snapshot(0.0, tuple(pods), pools=(POOL,), workloads=tuple(rules), offerings=tuple(offerings))


def carried_out(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The cluster once the plan was carried out."""
    gone = {drain.claim for drain in plan.drains}
    where = {placement.pod: placement.target for placement in plan.placements}
    claims = [claim for claim in snapshot.claims if claim.name not in gone]
    nodes = [node for node in snapshot.nodes if node.claim not in gone]
    for number, node in enumerate(plan.additions):
        claim, born = _born(f"node-{len(snapshot.claims)}-{number:04}", node.offering)
        claims.append(claim)
        nodes.append(born)
        where.update(dict.fromkeys(node.pods, claim.name))
    pods = tuple(
        dataclasses.replace(p, node=where.get(p.uid, p.node), unschedulable=False, phase=PodPhase.RUNNING)
        for p in snapshot.pods
    )
    return dataclasses.replace(snapshot, claims=tuple(claims), nodes=tuple(nodes), pods=pods)


def _born(name: str, offering: Offering) -> tuple[Claim, Node]:
    own = {**dict(offering.labels), keys.NODEPOOL: POOL.name, keys.NODECLAIM: name}
    labels = tuple(sorted({**own, keys.HOSTNAME: name}.items()))
    claim = Claim(
        name, name, POOL.name, offering.key, offering.price_micro_usd_hour, offering.allocatable,
        tuple(sorted(own.items())), (), ClaimPhase.READY, node=name,
    )  # fmt: skip
    return claim, Node(name, labels, (), offering.allocatable, ready=True, claim=name)


def half_lost(snapshot: Snapshot, seed: int) -> Snapshot:
    """The same without half of the pods, and with Workloads that want no more than what is left."""
    left = random.Random(seed).sample(snapshot.pods, round(len(snapshot.pods) * (1 - LOST)))
    there: dict[str | None, int] = defaultdict(int)
    for pod in left:
        there[pod.workload] += 1
    rules = tuple(dataclasses.replace(rule, replicas=there[rule.key]) for rule in snapshot.workloads)
    return dataclasses.replace(snapshot, pods=tuple(sorted(left, key=lambda pod: pod.uid)), workloads=rules)


class OneByOne:
    """Consolidation as autoscalers do it, one node at a time. Of the rules of these pods it knows all: size, arch, and
    whether they bear spot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.offerings = sorted(snapshot.offerings, key=lambda o: (o.price_micro_usd_hour, o.key))
        by_key = {offering.key: offering for offering in snapshot.offerings}
        self.never = {rule.key for rule in snapshot.workloads if rule.spot == NEVER_ON_SPOT}
        self.on: dict[str, list[Pod]] = {claim.name: [] for claim in snapshot.claims}
        for pod in snapshot.pods:
            self.on[pod.node or ""].append(pod)
        self.kind = {claim.name: by_key[OfferingKey(*claim.offering)] for claim in snapshot.claims}
        self.room = {name: list(_left(self.kind[name], pods)) for name, pods in self.on.items()}
        self.moved: set[str] = set()

    def run(self) -> "OneByOne":
        changed = True
        while changed:
            changed = False
            for name in sorted(self.on, key=lambda name: (self._fullness(name), name)):
                changed |= self._delete(name) or self._replace(name)
        return self

    @property
    def cost(self) -> int:
        return sum(offering.price_micro_usd_hour for offering in self.kind.values())

    def _fullness(self, name: str) -> float:
        whole = self.kind[name].allocatable
        return max(1 - self.room[name][0] / whole["cpu"], 1 - self.room[name][1] / whole["memory"])

    def _delete(self, name: str) -> bool:
        """First fit, the largest pods first, into the fullest nodes."""
        others = sorted((n for n in self.on if n != name), key=lambda n: (-self._fullness(n), n))
        room, where = {n: list(self.room[n]) for n in others}, []
        for pod in sorted(self.on[name], key=lambda pod: (-pod.shape.requests["cpu"], pod.uid)):
            size = _size(pod)
            fits = (n for n in others if self._takes(self.kind[n], pod) and all(map(int.__le__, size, room[n])))
            target = next(fits, None)
            if target is None:
                return False
            room[target] = [have - want for have, want in zip(room[target], size, strict=True)]
            where.append((pod, target))
        for pod, target in where:
            self.on[target].append(pod)
            self.moved.add(pod.uid)
        self.room.update(room)
        del self.on[name], self.room[name], self.kind[name]
        return True

    def _replace(self, name: str) -> bool:
        pods = self.on[name]
        for offering in self.offerings:
            if offering.price_micro_usd_hour >= self.kind[name].price_micro_usd_hour:
                return False
            left = _left(offering, pods)
            if min(left) >= 0 and all(self._takes(offering, pod) for pod in pods):
                self.kind[name], self.room[name] = offering, list(left)
                self.moved.update(pod.uid for pod in pods)
                return True
        return False

    def _takes(self, offering: Offering, pod: Pod) -> bool:
        labels = dict(offering.labels)
        bears = offering.capacity_type == ON_DEMAND or pod.workload not in self.never
        return bears and all(labels.get(key) == value for key, value in pod.shape.node_selector)


def _size(pod: Pod) -> tuple[int, int, int]:
    requests = pod.shape.requests
    return requests["cpu"], requests["memory"], requests["pods"]


def _left(offering: Offering, pods: Iterable[Pod]) -> tuple[int, int, int]:
    cpu, memory, slots = offering.allocatable["cpu"], offering.allocatable["memory"], offering.allocatable["pods"]
    for pod in pods:
        size = _size(pod)
        cpu, memory, slots = cpu - size[0], memory - size[1], slots - size[2]
    return cpu, memory, slots


def measure(case: Case) -> results.Row:
    from spotkube.planner.consolidation.consolidate import consolidate  # noqa: PLC0415
    from spotkube.planner.decide import decide  # noqa: PLC0415
    from spotkube.planner.problem import Budget  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415

    warm_up()
    budget = Budget(seconds=case.seconds)
    waiting = cluster(case)
    bought = decide(waiting, Mode.RECOMMEND, seed=0, budget=budget)
    snapshot = half_lost(carried_out(waiting, bought), case.seed)
    plan, seconds = _timed(lambda: consolidate(snapshot, Mode.RECOMMEND, seed=0, budget=budget))
    simple, simple_seconds = _timed(lambda: OneByOne(snapshot).run())
    in_use = {pod.node for pod in snapshot.pods}
    empties = sum(c.price_micro_usd_hour for c in snapshot.claims if c.name in in_use)
    again, again_seconds = _timed(
        lambda: consolidate(carried_out(snapshot, plan), Mode.RECOMMEND, seed=1, budget=budget)
    )
    return {
        "pods_left": len(snapshot.pods),
        "nodes": len(snapshot.claims),
        "before_usd_hour": plan.cost_now_micro_usd_hour / 1e6,
        "empty_usd_hour": empties / 1e6,
        "one_by_one": {"usd_hour": simple.cost / 1e6, "moved": len(simple.moved), "seconds": round(simple_seconds, 2)},
        "spotkube": {
            "usd_hour": plan.cost_after_micro_usd_hour / 1e6,
            "moved": plan.moved_pods,
            "moves_usd": plan.moves_micro_usd / 1e6,
            "payback_minutes": round(plan.payback_seconds / 60, 1),
            "drained": len(plan.drains),
            "bought": len(plan.additions),
            "seconds": round(seconds, 2),
            "evaluations": plan.work.evaluations,
            "replans": plan.work.replans,
        },
        "repack_usd_hour": plan.repack.cost_after_micro_usd_hour / 1e6 if plan.repack else None,
        "bound_usd_hour": plan.lower_bound_micro_usd_hour / 1e6,
        "again": {"drained": len(again.drains), "bought": len(again.additions), "seconds": round(again_seconds, 2),
                  "usd_hour": again.cost_after_micro_usd_hour / 1e6},
    }  # fmt: skip


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    done = work()
    return done, time.perf_counter() - started


def line(row: results.Row) -> str:
    """What is said when a row is done."""
    simple, own, again = row["one_by_one"], row["spotkube"], row["again"]
    return (
        f"{row['nodes']} nodes at {row['before_usd_hour']:.3f} $/h; without empty ones {row['empty_usd_hour']:.3f}; "
        f"one by one {simple['usd_hour']:.3f} ({simple['moved']} pods moved, {simple['seconds']:.1f} s); "
        f"spotkube {own['usd_hour']:.3f} ({own['moved']} moved, {own['drained']} nodes for {own['bought']}, "
        f"paid back in {own['payback_minutes']:.0f} min, {own['seconds']:.1f} s); bound {row['bound_usd_hour']:.3f}; "
        f"asked again: {again['drained']} nodes for {again['bought']}"
    )


def main() -> int:
    args = results.arguments(__doc__, EPILOG, quick="1,000 pods, one loss").parse_args()
    cases: Sequence[Case] = QUICK if args.quick else CASES
    jobs = [results.Job(case.name, functools.partial(measure, case), line) for case in cases]
    return results.run_part("moves", jobs, args)


if __name__ == "__main__":
    sys.exit(main())
