"""The part of the page on whole operators: pods created to bound, beside the real Karpenter."""

from collections.abc import Sequence

from page_parts import Row, Target, at_most, dollars, seconds, table, targets_table

NOTE = """\
A control plane on this machine for each solver alone; 20 Deployments of plain pods that bear spot are scaled, all at
once, from none to the first number of pods and, when these are bound, to the next. *All bound* is from the command to
the last pod, *p50* and *p99* are over the new pods, each from its creation to its binding, as one watch saw them. Nodes
register 2 s after they were bought and are Ready then, and one that is not for these pods was there before, as in every
cluster: where there is none, kube-scheduler backs off for up to ten seconds. *Bound* is proven: no fleet for all these
pods costs less.
"""
NOTE_OF_FLOOR = """\
The row without a solver is the same with nodes that were there before, and no operator: what control plane and
scheduler take by themselves.
"""
PACED = """\
On SpotKube's cluster {pods:,} more pods then come over {seconds:.0f} s, evenly, in steps of five. Of these,
{bought_for:,} had nodes bought for them, {ahead:,} before they were made; the others were left to what was there. From
a pod's creation to the NodeClaim of its node took {p50} (p50) and {p99} (p99).
"""
# At a pace of 1,000 pods a minute, from a pod's creation to the claim of its node.
CLAIM_P50_SECONDS, CLAIM_P99_SECONDS = 2.5, 5.0
# Of the peer's time.
SHARE = 0.5


def render(rows: Sequence[Row]) -> tuple[str, list[Target]]:
    """The table, the pace, and the targets."""
    by_name = {row["solver"]: row for row in rows}
    ours, peer = by_name.get("SpotKube"), by_name.get("Karpenter")
    head = ("pods", "solver", "all bound", "p50", "p99", "nodes", "$/h", "bound", "over bound")
    lines = [line for row in rows for line in _lines(row)]
    lines.sort(key=lambda line: int(line[0].replace(",", "")))
    targets = [] if ours is None else _targets(ours, peer)
    paced = _paced(ours["paced"]) if ours is not None and "paced" in ours else ""
    floor = NOTE_OF_FLOOR if any(not step["nodes"] for row in rows for step in row["steps"]) else ""
    return "\n".join([NOTE + floor, table(head, lines), paced, targets_table(targets)]), targets


def _lines(row: Row) -> list[list[str]]:
    return [
        [
            f"{step['pods']:,}",
            row["solver"] if step["bound"] >= step["pods"] else f"{row['solver']} ({step['bound']} bound)",
            *(seconds(step[key]) for key in ("all_bound_seconds", "p50_seconds", "p99_seconds")),
            *_bought(step),
        ]
        for step in row["steps"]
    ]


def _bought(step: Row) -> list[str]:
    """Nothing of who bought nothing."""
    if not step["nodes"]:
        return [""] * 4
    over = step["cost_usd_hour"] / step["bound_usd_hour"]
    return [str(step["nodes"]), dollars(step["cost_usd_hour"]), dollars(step["bound_usd_hour"]), f"{over:.4f}"]


def _paced(paced: Row) -> str:
    return PACED.format(
        pods=paced["pods"], seconds=paced["seconds"], bought_for=paced["bought_for"],
        ahead=paced.get("bought_before_made", 0),
        p50=seconds(paced["to_claim_p50_seconds"]), p99=seconds(paced["to_claim_p99_seconds"]),
    )  # fmt: skip


def _targets(ours: Row, peer: Row | None) -> list[Target]:
    targets = []
    for step, theirs in zip(ours["steps"], peer["steps"] if peer else (), strict=False):
        for key in ("p50_seconds", "p99_seconds"):
            name = f"{step['pods']:,} pods: {key[:3]} created to bound, half of Karpenter's"
            targets.append(at_most(name, step[key], SHARE * theirs[key], "s", never="all"))
        name = f"{step['pods']:,} pods: cheaper nodes than Karpenter's"
        targets.append(at_most(name, step["cost_usd_hour"], theirs["cost_usd_hour"], "$/h"))
    if "paced" in ours:
        for key, limit in (("p50", CLAIM_P50_SECONDS), ("p99", CLAIM_P99_SECONDS)):
            reached = ours["paced"][f"to_claim_{key}_seconds"]
            targets.append(at_most(f"1,000 pods a minute: {key} created to claim", reached, limit, "s", never="all"))
    return targets
