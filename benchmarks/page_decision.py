"""The part of the page on decisions in a cluster that runs."""

from collections.abc import Sequence

from page_parts import Row, Target, table

NOTE = """\
The fleet of so many pods runs, and the cloud takes back the node with most of them, then the one with next to most. How
long does the decision take that gives these pods another place, from the snapshot to the plan? *Allowed* is the search
that the operator gives it, which may use less; the rest is what the size of the cluster costs. The *next* decision
keeps what the first made of the nodes that are there. Cost and bound are of all nodes.
"""


def render(rows: Sequence[Row]) -> tuple[str, list[Target]]:
    """The table; there are no targets."""
    head = (
        "pods that run", "nodes", "pods to place", "allowed", "first", "next: allowed", "next", "bought", "no place",
        "$/h", "bound", "over bound", "peak memory",
    )  # fmt: skip
    return "\n".join([NOTE, table(head, [_line(row) for row in rows])]), []


def _line(row: Row) -> list[str]:
    first, then = row["first"], row["next"]
    return [
        f"{row['pods']:,}",
        f"{row['nodes']:,}",
        f"{first['pods']}, {then['pods']}",
        f"{first['allowed_seconds']:.1f} s",
        f"**{first['seconds']:.2f} s**",
        f"{then['allowed_seconds']:.1f} s",
        f"**{then['seconds']:.2f} s**",
        f"{first['bought']}, {then['bought']}",
        str(first["unplaceable"] + then["unplaceable"]),
        f"{first['usd_hour']:.3f}",
        f"{first['bound_usd_hour']:.3f}",
        f"{first['usd_hour'] / first['bound_usd_hour']:.4f}",
        f"{row['peak_rss_mib']:.0f} MiB",
    ]
