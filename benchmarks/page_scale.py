"""The part of the page on scale: how time and memory grow."""

import math
from collections.abc import Sequence

from page_parts import Row, Target, at_most, checked, seconds, table, targets_table

NOTE = """\
Each row is one solve in a fresh process. The first are the neutral problem that targets are set for; in the others,
drawn from the shipped catalog, the size in bold is changed. Times are from the arrays of the problem to the plan:
reading manifests and gathering like pods into groups come before. *Within* is when a plan was there whose cost was no
more than that over the bound proven by then; *peak* is the most memory that was resident, with all libraries.
"""
# With this exponent ten times the pods take a quarter more time.
FLAT = 0.1
MIB = "MiB"


def render(rows: Sequence[Row]) -> tuple[str, list[Target]]:
    """The table, the fits, and the targets."""
    head = (
        "pods", "groups", "offerings", "nodes there", "first plan", "within 3 %", "within 1 %", "to the end (budget)",
        "over bound", "peak", "checked", "Karpenter's Solve",
    )  # fmt: skip
    targets = [target for row in rows if row["sweep"] == "target" for target in _targets(row)]
    targets += [_flat(rows)]
    return "\n".join([NOTE, table(head, [_line(row) for row in rows]), _fits(rows), targets_table(targets)]), targets


def _line(row: Row) -> list[str]:
    size = f"{row['pods']:,}"
    if row["unschedulable"]:
        size += f" ({row['unschedulable']} unplaced)"
    return [
        f"**{size}**" if row["sweep"] == "pods" else size,
        *(
            f"**{row[axis]:,}**" if row["sweep"] == axis else f"{row[axis]:,}"
            for axis in ("groups", "offerings", "nodes")
        ),
        seconds(row["first_seconds"]),
        *(seconds(row["near_seconds"][near]) for near in ("0.03", "0.01")),
        f"{row['seconds']:.1f} s ({row['budget_seconds']:g} s)",
        "" if row["gap"] is None else f"{1 + row['gap']:.4f}",
        f"{row['peak_rss_mib']:.0f} MiB",
        checked([row["verified"]]),
        _karpenter(row["karpenter"]),
    ]


def _karpenter(run: Row | None) -> str:
    if run is None:
        return "not run"
    return run.get("error") or seconds(run["seconds"])


def _targets(row: Row) -> list[Target]:
    name = f"{row['pods']:,} pods of {row['groups']} groups"
    if row["pods"] < 100_000:
        return [
            at_most(f"{name}: first plan", row["first_seconds"], 1.0, "s", never="all: there was no plan of all pods")
        ]
    return [
        at_most(f"{name}: within 1 %", row["near_seconds"]["0.01"], 30.0, "s", never=_short_of(row)),
        at_most(f"{name}: memory", row["peak_rss_mib"], 1024.0, MIB),
    ]


def _short_of(row: Row) -> str:
    if row["gap"] is None:
        return "all: nothing was proven"
    return f"{(row['gap'] - 0.01) * 100:.2f} points after {row['seconds']:.1f} s"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The exponent b of the least squares fit y = a * x**b; needs two different x, all above zero."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = sum(x for x, _ in logs) / len(logs), sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def _points(rows: Sequence[Row], axis: str, near: str | None) -> list[tuple[float, float]]:
    """(size, seconds) of a sweep: to the first plan, or to near the bound where it came there."""
    timed = [(row[axis], row["near_seconds"][near] if near else row["first_seconds"]) for row in rows]
    swept = [row["sweep"] == axis for row in rows]
    return [(size, at) for (size, at), of_it in zip(timed, swept, strict=True) if of_it and at]


def _exponent(rows: Sequence[Row], axis: str, near: str | None) -> float | None:
    points = _points(rows, axis, near)
    return slope(points) if len({size for size, _ in points}) > 1 else None


def _fits(rows: Sequence[Row]) -> str:
    lines = []
    for axis in ("pods", "groups"):
        for near, words in ((None, "the first plan"), ("0.03", "within 3 %"), ("0.01", "within 1 %")):
            points, exponent = _points(rows, axis, near), _exponent(rows, axis, near)
            if exponent is None:
                continue
            low, high = min(points), max(points)
            lines.append([
                axis, words, f"{exponent:.2f}", str(len(points)), f"{low[1]:.2f} s at {low[0]:,}",
                f"{high[1]:.2f} s at {high[0]:,}",
            ])  # fmt: skip
    head = ("over", "time to", "exponent", "points", "smallest", "largest")
    words = (
        "Least squares fit of time = a * size ^ exponent over each sweep; points that never came so near are left out."
    )
    return f"{words}\n\n{table(head, lines)}" if lines else ""


def _flat(rows: Sequence[Row]) -> Target:
    pods, groups = _exponent(rows, "pods", None), _exponent(rows, "groups", None)
    name, wanted = "time to the first plan grows with groups, not with pods", f"over pods to the power {FLAT} at most"
    if pods is None or groups is None:
        return Target(name, wanted, "not measured", "all: it was not measured")
    missed = f"{pods - FLAT:.2f} in the exponent" if pods > FLAT else ""
    return Target(name, wanted, f"over pods {pods:.2f}, over groups {groups:.2f}", missed)
