#!/usr/bin/env python3
"""How long a decision takes in a cluster that runs, when the cloud takes back one of its nodes."""

import argparse
import dataclasses
import functools
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

import moves
import results
from memory import peak_rss_mib
from spotkube.model.cluster import Claim, Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.planner.formulation.bins import KeptBins

EPILOG = """\
Pods are drawn as in benchmarks/moves.py. `decide` buys the fleet, all pods run, and a notice comes for the node with
most pods, whose pods need another place: the plan may put them onto the nodes that are there, or buy. Then one comes
for the node with next to most. The first decision knows nothing; the second keeps what the first made of the nodes, as
the operator's planner does from decision to decision. Both have the seconds of search that the operator gives to a
notice, and everything around it counts: the problem is made, the whole fleet's bound is proven, and how the pods land
is tried. Each case has a process of its own. Karpenter's scheduler can't be asked this without its controllers; beside
them see benchmarks/end_to_end.py.

examples:
  benchmarks/decision.py --quick     2,000 pods
  benchmarks/decision.py             2,000, 20,000 and 100,000 pods: two minutes
exit codes: 0 written to benchmarks/results/decision.json, 2 bad arguments
"""
BUYING_SECONDS = 20.0
SEED = 1


@dataclasses.dataclass(frozen=True)
class Case:
    """Pods that run, of so many Workloads."""

    pods: int
    groups: int

    @property
    def name(self) -> str:
        return f"{self.pods:,} pods of {self.groups} Workloads"


QUICK = (Case(2_000, 40),)
CASES = (*QUICK, Case(20_000, 100), Case(100_000, 300))


def taken_back(snapshot: Snapshot, rank: int) -> tuple[Snapshot, Claim]:
    """The cluster once a notice came for the node that has most pods, or second to most, and so on."""
    held = dict.fromkeys((claim.name for claim in snapshot.claims), 0)
    for pod in snapshot.pods:
        held[pod.node or ""] += 1
    victim = sorted(snapshot.claims, key=lambda claim: (-held[claim.name], claim.name))[rank]
    noticed = dataclasses.replace(victim, deadline=snapshot.taken_at + 120)
    claims = tuple(noticed if claim is victim else claim for claim in snapshot.claims)
    return dataclasses.replace(snapshot, claims=claims), victim


def run_case(case: Case) -> results.Row:
    """Both decisions, in this process."""
    from spotkube.planner.decide import decide  # noqa: PLC0415
    from spotkube.planner.problem import Budget  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415
    from spotkube.planning import URGENT_SECONDS, search_seconds  # noqa: PLC0415
    from spotkube.settings import Settings  # noqa: PLC0415
    from spotkube.worker import enough_for  # noqa: PLC0415

    warm_up()
    percent = Settings.model_fields["enough_percent"].default
    waiting = moves.cluster(moves.Case(case.pods, case.groups, SEED, BUYING_SECONDS))
    running = moves.carried_out(waiting, decide(waiting, Mode.RECOMMEND, seed=0, budget=Budget(seconds=BUYING_SECONDS)))
    kept = KeptBins()

    def decided(rank: int) -> results.Row:
        snapshot, victim = taken_back(running, rank)
        pods = [pod for pod in snapshot.pods if pod.node == victim.name]
        allowed = min(URGENT_SECONDS, search_seconds(pods))
        budget = Budget(seconds=allowed, enough=enough_for(snapshot.policy, percent))
        started = time.perf_counter()
        plan = decide(snapshot, Mode.RECOMMEND, seed=0, budget=budget, kept=kept)
        took = round(time.perf_counter() - started, 2)
        return {"seconds": took, "allowed_seconds": allowed, **_told(plan, len(pods))}

    first, second = decided(0), decided(1)
    return {"nodes": len(running.claims), "first": first, "next": second, "peak_rss_mib": peak_rss_mib()}


def _told(plan: Plan, pods: int) -> results.Row:
    return {
        "pods": pods,
        "unplaceable": sum(len(group.pods) for group in plan.unplaceable),
        "bought": len(plan.additions),
        "usd_hour": plan.cost_after_micro_usd_hour / 1e6,
        "bound_usd_hour": plan.lower_bound_micro_usd_hour / 1e6,
    }


def measure(case: Case) -> results.Row:
    """The row of a case."""
    words = [sys.executable, __file__, "--child", json.dumps(dataclasses.asdict(case))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"decision.py: {case.name} failed: {done.stderr.strip()[-500:]}")
    row: results.Row = json.loads(done.stdout)
    return {**dataclasses.asdict(case), **row}


def line(row: results.Row) -> str:
    """What is said when a row is done."""
    said = [
        f"{name} {one['seconds']:.2f} s ({one['allowed_seconds']:.1f} s of search) for {one['pods']} pods: "
        f"{one['bought']} bought, {one['unplaceable']} without a place, {one['usd_hour']:.3f} $/h of all nodes, "
        f"bound {one['bound_usd_hour']:.3f}"
        for name, one in (("first", row["first"]), ("next", row["next"]))
    ]
    return f"{row['nodes']} nodes; {'; '.join(said)}; {row['peak_rss_mib']:.0f} MiB"


def main() -> int:
    parser = results.arguments(__doc__, EPILOG, quick="2,000 pods")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run_case(Case(**json.loads(args.child)))))
        return 0
    cases = QUICK if args.quick else CASES
    return results.run_part("decision", [results.Job(c.name, functools.partial(measure, c), line) for c in cases], args)


if __name__ == "__main__":
    sys.exit(main())
