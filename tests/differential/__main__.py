"""`make differential`: a thousand scenarios against kube-scheduler. `--seed N` replays one and writes it down."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from differential.campaign import Score, run, try_seed
from differential.drawing import of_seed
from differential.judge import Judge
from differential.registry import CONSTRAINTS
from differential.shrinking import shrunk
from spotkube.planner.warmup import warm_up

REGRESSIONS = Path(__file__).resolve().parent / "regressions"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m differential", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=1000, help="how many seeds, from 0 on (default: 1000)")
    parser.add_argument("--seed", type=int, help="only this one: print it, what is wrong with it, and what binds in it")
    parser.add_argument("--shrink", action="store_true", help="with --seed: make a failing one smaller, and keep it")
    arguments = parser.parse_args()
    warm_up()
    Judge().close()  # builds it, if need be, before anybody waits for it
    if arguments.seed is not None:
        return replay(arguments.seed, shrink=arguments.shrink)
    return campaign(arguments.scenarios)


def campaign(count: int) -> int:
    console, score = Console(), Score()
    columns = (TextColumn("scenarios"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=count)
        for trial in run(range(count)):
            score.add(trial)
            progress.advance(task)
            for complaint in trial.complaints[:2]:
                console.print(f"seed {trial.seed}: {complaint}", markup=False)
    console.print(table(score))
    for name in score.idle():
        console.print(f"{name} binds in {score.binds[name]} scenarios only: a planner without it could pass")
    if score.failed:
        seeds = sorted(trial.seed for trial in score.failed)
        console.print(f"{len(seeds)} seeds failed: {seeds}. Keep one: python -m differential --seed N --shrink")
    else:
        console.print(f"kube-scheduler agrees with the plans of all {score.trials} scenarios")
    return 1 if score.failed or score.idle() else 0


def table(score: Score) -> Table:
    made = Table("constraint", "scenarios with it", "binding")
    for name in CONSTRAINTS:
        made.add_row(name, str(score.has[name]), str(score.binds[name]))
    return made


def replay(seed: int, *, shrink: bool) -> int:
    with Judge() as judge:
        trial = try_seed(seed, judge)
        scenario = of_seed(seed)
        if trial.complaints and shrink:
            scenario = shrunk(scenario, judge)
            path = REGRESSIONS / f"seed-{seed}.json"
            path.write_text(scenario.to_json() + "\n", encoding="utf-8")
            print(f"kept as {path}", file=sys.stderr)
    print(scenario.to_json())
    print(f"has: {', '.join(trial.has)}\nbinding: {', '.join(trial.binds)}", file=sys.stderr)
    for complaint in trial.complaints:
        print(complaint, file=sys.stderr)
    return 1 if trial.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
