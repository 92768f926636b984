"""The part of the page on cost: ours over the bound, against the targets, and beside Karpenter."""

from collections.abc import Sequence

from page_parts import Row, Target, checked, dollars, mean, over_bound, seconds, span, table

NOTE = """\
Dollars an hour. *Over bound* is cost over the bound that the same run proved, the mean of all seeds and the worst;
*first plan* is when a plan was there that holds all pods, of the slowest seed; reading the file and loading compiled
code come before. *Checked* is what an independent program says of the plan, which knows nothing of the planner.
"""
KARPENTER_NOTE = """\
Karpenter's own scheduler, used as a library: one Solve of an empty cluster, each node at its cheapest offering, without
later consolidation. *Pinned* is the same with every pod that bears spot pinned to spot by hand, which is what it takes
to keep such pods off on-demand nodes; there is no need where no pod has to be on demand. It says only how many pods a
node holds and not which, so its nodes can't be checked as ours are; its program refuses nodes that are overfull. *We
save* is what ours costs less than pinned (or, without need, than the plain one), with the least budget.
"""


def render(rows: Sequence[Row]) -> tuple[str, list[Target]]:
    """The tables, and the targets: they are in the first one."""
    mine, peers, targets = [], [], []
    for name in dict.fromkeys(row["problem"] for row in rows):
        same = [row for row in rows if row["problem"] == name]
        for budget in sorted({run["budget_seconds"] for row in same for run in row["ours"]}):
            line, target = _ours(name, same, budget)
            mine.append(line)
            targets.append(target)
        peers.append(_beside(name, same))
    targets.append(_below_karpenter(rows))
    head = (
        "problem", "pods, groups, offerings", "seeds", "budget (took)", "first plan", "ours", "bound", "over bound",
        "worst", "target", "", "peak memory", "checked",
    )  # fmt: skip
    peer_head = ("problem", "bound", "ours", "Karpenter", "its Solve", "pinned", "its Solve", "we save")
    return "\n".join([NOTE, table(head, mine), KARPENTER_NOTE, table(peer_head, peers)]), targets


def _ours(name: str, same: Sequence[Row], budget: float) -> tuple[list[str], Target]:
    runs = [run for row in same for run in row["ours"] if run["budget_seconds"] == budget]
    overs = [None if run["gap"] is None else 1 + run["gap"] for run in runs]
    proven = [over for over in overs if over is not None]
    whole = len(proven) == len(runs)
    seeds = f", mean of {len(runs)} seeds" if len(runs) > 1 else ""
    target = over_bound(f"{name}, {budget:g} s{seeds}", mean(proven) if whole else None, runs[0]["target"])
    sizes = [span([row[size] for row in same]) for size in ("pods", "groups", "offerings")]
    firsts = [run["first_plan_seconds"] for run in runs]
    return [
        name + (" (own)" if same[0]["source"] == "own" else ""),
        ", ".join(sizes),
        str(len(runs)),
        f"{budget:g} s ({max(run['seconds'] for run in runs):.1f} s)",
        seconds(None if None in firsts else max(firsts)),
        f"{mean([run['cost_usd_hour'] for run in runs]):.3f}" + _missing(runs),
        f"{mean([run['lower_bound_usd_hour'] for run in runs]):.3f}",
        target.reached,
        f"{max(proven):.4f}" if whole else "",
        f"{runs[0]['target']:.4f}",
        target.verdict,
        f"{max(run['peak_rss_mib'] for run in runs):.0f} MiB",
        checked([run["verified"] for run in runs]),
    ], target


def _beside(name: str, same: Sequence[Row]) -> list[str]:
    runs = [row["ours"][0] for row in same]
    best = [max(run["lower_bound_usd_hour"] for run in row["ours"]) for row in same]
    ours, plain = mean([run["cost_usd_hour"] for run in runs]), [row["karpenter"] for row in same]
    fair = [row["karpenter_pinned" if row["mixed"] else "karpenter"] for row in same]
    known = all(peer is not None and "error" not in peer for peer in fair)
    saved = f"{1 - ours / mean([peer['cost_usd_hour'] for peer in fair]):.1%}" if known else ""
    return [
        name,
        f"{mean(best):.3f}",
        dollars(ours) + _missing(runs),
        *_peer(plain),
        *(_peer(fair) if any(row["mixed"] for row in same) else ("no need", "")),
        saved,
    ]


def _peer(runs: Sequence[Row | None]) -> tuple[str, str]:
    """Cost and time of Karpenter."""
    found = [run for run in runs if run is not None]
    if len(found) < len(runs):
        return "not run", ""
    errors = [run["error"] for run in found if "error" in run]
    if errors:
        return f"failed: {errors[0]}", ""
    cost = f"{mean([run['cost_usd_hour'] for run in found]):.3f}{_missing(found)}"
    return cost, seconds(mean([run["seconds"] for run in found]))


def _below_karpenter(rows: Sequence[Row]) -> Target:
    compared, dearer = 0, []
    for row in rows:
        peers = [row[name] for name in ("karpenter", "karpenter_pinned") if row[name] and "error" not in row[name]]
        placed = [peer["cost_usd_hour"] for peer in peers if not peer["unschedulable"]]
        compared += bool(placed)
        if placed and row["ours"][0]["cost_usd_hour"] >= min(placed):
            more = row["ours"][0]["cost_usd_hour"] / min(placed) - 1
            dearer.append(f"{more:.2%} on {row['problem']} (seed {row['seed']})")
    reached = f"on {compared - len(dearer)} of {compared}" if compared else "Karpenter was not run"
    missed = "all: Karpenter was not run" if not compared else ", ".join(dearer)
    return Target("cheaper than Karpenter, pinned or not", "on every problem and seed", reached, missed)


def _missing(runs: Sequence[Row]) -> str:
    pods = sum(run["unschedulable"] for run in runs)
    return f" ({pods} pods unplaced)" if pods else ""
