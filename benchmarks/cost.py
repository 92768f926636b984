#!/usr/bin/env python3
"""Cost, proven bound and gap on the neutral problems, against the targets, with Karpenter in the same run."""

import argparse
import sys

from rich.console import Console
from rich.progress import track

import cases
import runs

EPILOG = """\
Each problem is planned by benchmarks/planner.py in a process of its own, and each plan is checked by the independent
checker beside the checkout (../shared/peers) where that is there. Karpenter runs as it is, and with every pod that
bears spot pinned to spot. Without ../shared the problems are drawn from the shipped catalog and Karpenter is left out.

examples:
  benchmarks/cost.py --quick      two problems, 2 s each
  benchmarks/cost.py              all problems, 5 and 60 s: about an hour
exit codes: 0 written to benchmarks/results/cost.json, 1 a plan was refused by the checker
"""


def measure(case: cases.Case, budgets: tuple[float, ...]) -> runs.Row | None:
    """One row of the table; None where the problem can't be made here."""
    file = cases.problem_file(case)
    if file is None:
        print(f"{case.name}: skipped, its pods are in ../shared/data, which is not here", file=sys.stderr)
        return None
    ours = []
    for seconds in budgets:
        row = runs.planner(file, seconds)
        ours.append({"budget_seconds": seconds, "target": case.target_at(seconds), **row})
    return {
        "problem": case.name,
        "seed": case.seed,
        "source": "neutral" if cases.maker_python() else "own",
        "ours": ours,
        "karpenter": runs.karpenter(file),
        "karpenter_pinned": runs.karpenter(cases.problem_file(case, pin_spot=True)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two small problems, 2 s each: a smoke test")
    parser.add_argument("--budgets", type=float, nargs="+", metavar="SECONDS", help="default: 5 60")
    args = parser.parse_args()
    budgets = tuple(args.budgets or ((2.0,) if args.quick else (5.0, 60.0)))
    wanted = cases.QUICK if args.quick else cases.CASES
    measured = (measure(case, budgets) for case in track(wanted, "cost", console=Console(stderr=True)))
    rows = [row for row in measured if row is not None]
    print(runs.save("cost", rows))
    refused = [row["problem"] for row in rows if any(run["verified"] is False for run in row["ours"])]
    if refused:
        print(f"plans refused by the independent checker: {', '.join(refused)}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
