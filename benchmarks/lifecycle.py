#!/usr/bin/env python3
"""How soon nodes are closed and replaced when many are taken back at once, on a real API server."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[1] / part) for part in ("operator", "hack"))

import lifecycle_fleet
from fair_queue import Target
from lifecycle_play import Burst, Json, measure
from live import percentile
from results import provenance

EPILOG = """\
2,000 spot nodes are bought through NodeClaims, more than half of them in one zone, and 20,000 pods of 20 ReplicaSets
fill them. When all run, the fake cloud gives 1, 100 and 1,000 of the nodes in that zone notice, one right after the
other. A watch sees when each Node is closed, which counts from when it saw the cloud's sign on it (and, in a column
of its own, from when the cloud was told to take it), and when each new NodeClaim is written, which counts from the
first order. As many bare patches of Nodes are timed on the same cluster, and before all that bare evictions of pods of
nobody: more pods than these let through cannot be told in time by anybody. KWOK plays nodes and kubelets; that
pods run, which takes it long, the load says by itself. No controller makes pods anew, so that what is bought is bought
for the pods that have to leave, and a pod's SIGTERM is when the API server began to delete it.

examples:
  benchmarks/lifecycle.py --nodes 200 --pods 2000 --bursts 1,20,100    two minutes
  benchmarks/lifecycle.py --json                                       all of it: ten minutes
  benchmarks/lifecycle.py --nodes 5000 --pods 100000 --bursts 1        memory at that size
  benchmarks/lifecycle.py --events 100000                              and what so many events leave behind
exit codes: 0 all targets are met, 1 one is missed, 2 bad arguments
"""
CORDON_SECONDS = 1.0
REPLACED_SECONDS = 30.0
MEMORY_MIB = 1536.0
FLOOR_FACTOR = 2.0
HUNDRED, THOUSAND = 100, 1000


def row_of(burst: Burst) -> Json:
    """As `Burst`, in figures."""
    return {
        "notices": burst.notices,
        "cordon_p50_seconds": _rounded(percentile(burst.cordons, 50)),
        "cordon_p99_seconds": _rounded(percentile(burst.cordons, 99)),
        "ordered_p99_seconds": _rounded(percentile(burst.ordered, 99)),
        "claims": len(burst.claims),
        "claim_p50_seconds": _rounded(percentile(burst.claims, 50)),
        "claim_p99_seconds": _rounded(percentile(burst.claims, 99)),
        "closed": len(burst.cordons),
        "calls_a_notice": round(burst.calls / burst.notices, 2),
        "late_pods": burst.late_pods,
        "bare_patches_seconds": round(burst.bare_seconds, 3),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def targets(row: Json) -> list[Target]:
    """Only those of bursts that were measured."""
    found = [Target("memory of operator and planner, MiB", row["memory_mib"], MEMORY_MIB)]
    for burst in row["bursts"]:
        number, cordon, claim = burst["notices"], burst["cordon_p99_seconds"], burst["claim_p99_seconds"]
        if burst["closed"] < number or cordon is None:
            found.append(Target(f"nodes left open of {number}", number - burst["closed"], 0))
        elif number == HUNDRED:
            found.append(Target("p99 to cordon of 100, s", cordon, CORDON_SECONDS))
        elif number >= THOUSAND:
            most = round(FLOOR_FACTOR * burst["bare_patches_seconds"], 3)
            found.append(Target(f"p99 to cordon of {number}, s (twice as many bare patches)", cordon, most))
        if claim is not None:
            found.append(Target(f"p99 to replacement claim of {number}, s", claim, REPLACED_SECONDS))
        found.append(Target(f"pods of {number} nodes told too late", burst["late_pods"], 0))
    return found


def table(row: Json) -> str:
    head = (
        "notices", "closed", "cordon p50", "p99", "from order", "claims", "claim p50", "p99", "calls each",
        "bare patches", "late pods",
    )  # fmt: skip
    keys = (
        "notices", "closed", "cordon_p50_seconds", "cordon_p99_seconds", "ordered_p99_seconds", "claims",
        "claim_p50_seconds", "claim_p99_seconds", "calls_a_notice", "bare_patches_seconds",
        "late_pods",
    )  # fmt: skip
    lines = [head, *(tuple(burst[key] for key in keys) for burst in row["bursts"])]
    text = "\n".join("".join(f"{cell!s:>13}" for cell in line) for line in lines)
    head_line = (
        f"{row['nodes']} nodes, {row['pods']} pods; {row['memory_mib']} MiB, at the end {row['threads']} threads; "
        f"{row['bare_evictions_a_second']} bare evictions a second"
    )
    return f"{head_line}\n{text}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=2000, help="spot nodes")
    parser.add_argument("--pods", type=int, default=20_000, help="pods on them, which fill them")
    parser.add_argument("--bursts", default="1,100,1000", help="how many notices at once, one burst after the other")
    parser.add_argument("--events", type=int, default=0, help="changes of pods afterwards, to see what they leave")
    parser.add_argument("--json", action="store_true", help="print all figures as one object")
    args = parser.parse_args()
    try:
        bursts = [int(word) for word in args.bursts.split(",")]
    except ValueError:
        parser.error(f"--bursts {args.bursts} must be numbers with commas between them")
    if args.nodes < 1 or not 0 <= args.pods <= lifecycle_fleet.MOST_PODS_A_NODE * args.nodes:
        parser.error(f"--pods {args.pods}: at most {lifecycle_fleet.MOST_PODS_A_NODE} on each of {args.nodes} nodes")
    if min(bursts) < 1 or sum(bursts) > args.nodes:
        parser.error(f"--bursts {args.bursts} must be 1 or more, together at most {args.nodes} nodes")
    measured = asyncio.run(measure(args.nodes, args.pods, bursts, args.events))
    row = {**provenance(), **measured, "bursts": [row_of(burst) for burst in measured["bursts"]]}
    print(file=sys.stderr)
    judged = targets(row)
    print(json.dumps(row, indent=1) if args.json else table(row))
    print("\n".join(map(str, judged)), file=sys.stderr if args.json else sys.stdout)
    return 0 if all(target.met for target in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
