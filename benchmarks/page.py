#!/usr/bin/env python3
"""Writes docs/benchmarks.md from the results of the runs in benchmarks/results."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
INTRO = """\
<!-- Written by `make bench` from benchmarks/results; don't edit. -->
# Benchmarks

`make bench` runs everything again and writes this page; `make bench QUICK=1` is a smoke test of minutes. *Bound* is
proven: no plan of the same pods can cost less. A target that is missed is shown as missed, and by how much.
"""
COST_NOTE = """\
*Karpenter* is its own scheduler (one Solve for an empty cluster, each node at its cheapest offering, without later
consolidation); *pinned* is the same with every pod that bears spot pinned to spot by hand. Dollars an hour.
"""

SEARCH_NOTE = """\
Dollars an hour after so many seconds. *MIP* is HiGHS over the generated columns in the same time; *paper* is the GA of
the SpotKube paper. *Area* is the hypervolume of the front of cost and expected interruptions.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def verdict(over: float | None, target: float) -> str:
    """Whether cost over bound meets the target, or by how much it does not."""
    if over is None:
        return "missed: nothing was proven"
    if over <= target:
        return "met"
    return f"missed by {(over - target) * 100:.2f} points"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The exponent b of the least squares fit y = a * x**b; needs two different x, all above zero."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = sum(x for x, _ in logs) / len(logs), sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def render(documents: dict[str, Row]) -> str:
    """The page; a part whose results are missing says so."""
    parts = [INTRO]
    for name, note, body in (("cost", COST_NOTE, _cost), ("search", SEARCH_NOTE, _search), ("scale", "", _scale)):
        parts.append(f"## {name.capitalize()}\n")
        if name in documents:
            parts += [_about(documents[name]), note, body(documents[name]["rows"])]
        else:
            parts.append("Not run.\n")
    return "\n".join(parts)


def _about(document: Row) -> str:
    machine = document["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"`{document['command']}` on {machine['date']}: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gib']} GiB, {machine['os']}; {versions}.\n"
    )


def _cost(rows: Sequence[Row]) -> str:
    lines = []
    for name in dict.fromkeys(row["problem"] for row in rows):
        same = [row for row in rows if row["problem"] == name]
        for at in range(len(same[0]["ours"])):
            lines.append(_cost_line(name, same, at))
    head = ("problem", "seeds", "budget", "ours", "bound", "over bound", "target", "", "checked", "Karpenter", "pinned")
    return table(head, lines)


def _cost_line(name: str, same: Sequence[Row], at: int) -> list[str]:
    runs = [row["ours"][at] for row in same]
    gaps = [run["gap"] for run in runs]
    over = None if any(gap is None for gap in gaps) else 1 + sum(gaps) / len(gaps)
    checked = (
        "not here" if runs[0]["verified"] is None else "yes" if all(run["verified"] for run in runs) else "REFUSED"
    )
    return [
        name + (" (own)" if same[0]["source"] == "own" else ""),
        str(len(same)),
        f"{runs[0]['budget_seconds']:g} s",
        f"{_mean([run['cost_usd_hour'] for run in runs]):.3f}" + _missing(runs),
        f"{_mean([run['lower_bound_usd_hour'] for run in runs]):.3f}",
        "" if over is None else f"{over:.4f}",
        f"{runs[0]['target']:.4f}",
        verdict(over, runs[0]["target"]),
        checked,
        *(_peer([row[peer] for row in same]) for peer in ("karpenter", "karpenter_pinned")),
    ]


def _missing(runs: Sequence[Row]) -> str:
    pods = sum(run["unschedulable"] for run in runs)
    return f" ({pods} pods unplaced)" if pods else ""


def _peer(runs: Sequence[Row | None]) -> str:
    found = [run for run in runs if run is not None]
    if len(found) < len(runs):
        return "not run"
    if any("error" in run for run in found):
        return "failed"
    return f"{_mean([run['cost_usd_hour'] for run in found]):.3f}{_missing(found)}"


def _search(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        areas = row["hypervolume"]
        how = [word for word in ("cheaper", "wider") if row[word]]
        lines.append([
            row["problem"],
            ", ".join(f"{seconds:g} s: {_dollars(cost)}" for seconds, cost in row["curve"]),
            *(_dollars(row["rivals"].get(name)) for name in ("first-fit", "rounding", "MIP")),
            _dollars(row["paper"]),
            *(f"{areas[name]:.4f}" for name in ("ours", "seeds and MIP", "paper")),
            f"beats seeds and MIP: {' and '.join(how)}" if how else "does not beat seeds and MIP",
        ])  # fmt: skip
    head = ("problem", "ours", "first-fit", "rounding", "MIP", "paper", "our area", "seeds and MIP's", "paper's", "")
    won = sum(row["cheaper"] or row["wider"] for row in rows)
    target = "met" if 2 * won >= len(rows) else "missed"
    return table(head, lines) + f"\nThe search wins on {won} of {len(rows)} families; target, half of them: {target}.\n"


def _dollars(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _scale(rows: Sequence[Row]) -> str:
    head = (
        "pods",
        "groups",
        "offerings",
        "nodes there",
        "first plan",
        "within 3 %",
        "to the end",
        "over bound",
        "peak",
        "Karpenter",
    )
    lines = [
        [
            f"{row['pods']:,}", str(row["groups"]), f"{row['offerings']:,}", f"{row['nodes']:,}",
            f"{row['first_seconds']:.2f} s",
            "never" if row["near_seconds"] is None else f"{row['near_seconds']:.2f} s",
            f"{row['seconds']:.1f} s",
            "" if row["gap"] is None else f"{1 + row['gap']:.4f}",
            f"{row['peak_rss_mib']:.0f} MiB",
            "not run" if row["karpenter"] is None else f"{row['karpenter'].get('seconds', math.nan):.1f} s",
        ]
        for row in rows
    ]  # fmt: skip
    return table(head, lines) + "\n" + "".join(_fit(rows, axis) for axis in ("pods", "groups"))


def _fit(rows: Sequence[Row], axis: str) -> str:
    points = [(row[axis], row["first_seconds"]) for row in rows if row["sweep"] == axis]
    if len({x for x, _ in points}) < 2:
        return ""
    power = f"{slope(points):.2f} (least squares, {len(points)} points)"
    return f"The time to the first plan grows with {axis} to the power {power}.\n"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON files"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the page")
    args = parser.parse_args()
    files = sorted(args.results.glob("*.json"))
    if not files:
        print(f"page.py: {args.results} has no results; run benchmarks/cost.py first", file=sys.stderr)
        return 2
    documents = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}
    args.out.write_text(render(documents), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
