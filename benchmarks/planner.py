#!/usr/bin/env python3
"""Plans one problem file and prints one line of JSON: cost, proven lower bound, gap, nodes, time and memory."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

from memory import peak_rss_mib

EPILOG = """\
The problem is an empty cluster that has to hold all groups at the least dollars an hour:
  {"offerings": [{"instance_type", "zone", "capacity_type", "price_usd_hour", "arch", "cpu_milli", "memory_mib",
                  "pods", "gpu"}],
   "groups": [{"name", "count", "cpu_milli", "memory_mib", "gpu", "arch", "capacity_type", "zone",
               "spread_zone_max_skew", "anti_affinity_host", "selector_label"}]}

It prints
  cost_usd_hour         of the plan
  lower_bound_usd_hour  no plan of the same pods can cost less
  gap                   cost over bound, minus one; null when nothing is placed
  nodes, unschedulable  nodes to buy, and pods that fit nowhere
  offerings_left_out, groups_left_out
                        entries that can't be used; standard error names field, value and remedy of each
  first_plan_seconds    wall time until there was a plan that places all pods that fit anywhere; null without one
  seconds               wall time of the decision, without reading the file and compiling
  setup_seconds         wall time of loading and compiling
  peak_rss_mib          of this process

Any other field in which a group gives an amount is a further resource, which offerings may have by the same name.

example:
  benchmarks/planner.py problem.json --budget 5 --plan plan.json
exit codes: 0 planned, 2 bad input
"""


def main() -> int:
    args = _arguments()
    started = time.perf_counter()
    # Imported here: loading numba and the compiled code is part of the set-up that is timed.
    from spotkube.planner.neutral import plan_document, read_neutral, why_unplaced  # noqa: PLC0415
    from spotkube.planner.problem import Budget  # noqa: PLC0415
    from spotkube.planner.search.solve import solve  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415

    loaded = time.perf_counter() - started
    try:
        problem, names = read_neutral(args.problem)
    except (OSError, ValueError) as error:
        print(f"planner.py: {error}", file=sys.stderr)
        return 2
    setup = loaded + warm_up()
    plans: list[float] = []
    started = time.perf_counter()
    result = solve(
        problem, seed=args.seed, budget=Budget(seconds=args.budget), progress=lambda at, *_: plans.append(round(at, 4))
    )
    seconds = time.perf_counter() - started
    if args.plan:
        args.plan.write_text(json.dumps(plan_document(result.solution, names)), encoding="utf-8")
    for sentence in (*names.offerings_left_out, *names.groups_left_out):
        print(f"planner.py: left out: {sentence}", file=sys.stderr)
    for sentence in why_unplaced(problem, result.solution):
        print(f"planner.py: {sentence}", file=sys.stderr)
    cost = names.cost_usd_hour(result.solution)
    bound = names.bound_usd_hour(problem, result.lower_bound)
    line: dict[str, Any] = {
        "cost_usd_hour": round(cost, 6),
        "lower_bound_usd_hour": bound,
        # No minus before a zero.
        "gap": round(cost / bound - 1, 6) + 0.0 if bound else None,
        "nodes": len(result.solution.node_kind),
        "unschedulable": int(result.solution.unplaced.sum()),
        "offerings_left_out": len(names.offerings_left_out),
        "groups_left_out": len(names.groups_left_out),
        "first_plan_seconds": plans[0] if plans else None,
        "seconds": round(seconds, 3),
        "setup_seconds": round(setup, 3),
        "peak_rss_mib": peak_rss_mib(),
    }
    print(json.dumps(line))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("problem", type=Path, metavar="PROBLEM.json", help="the problem in the neutral format")
    parser.add_argument("--seed", type=int, default=0, help="of the search (default 0)")
    parser.add_argument("--budget", type=_seconds, default=5.0, metavar="SECONDS", help="wall time (default 5)")
    parser.add_argument("--plan", type=Path, metavar="OUT.json", help="write the plan here")
    return parser.parse_args()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds above zero, for example 5")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
