"""The part of the page on moves: what it saves to pack a fleet anew that lost half of its pods."""

from collections.abc import Sequence

from page_parts import Row, Target, seconds, table, targets_table

NOTE = """\
A fleet is bought by `decide` for drawn pods; then a random half of them goes. Of the cluster that is left, what do its
nodes cost before and after? *Without empty ones* gives back only nodes that hold nothing. *One by one* is simple
consolidation, written by ourselves: each node is given back if its pods fit onto the others, or replaced by a cheaper
one, until nothing changes; it knows no price of moves. *SpotKube* moves only what pays within an hour. The *bound* is
that of the whole fleet from nothing. *Asked again* says how many nodes the next plan would give back, of what the
first led to.
"""


def render(rows: Sequence[Row]) -> tuple[str, list[Target]]:
    """The table, and the target that a second plan finds nothing to do."""
    head = (
        "pods left", "nodes", "before", "without empty ones", "one by one", "SpotKube", "bound", "over bound",
        "pods moved: one by one", "SpotKube", "paid back in", "time", "asked again",
    )  # fmt: skip
    targets = [target for row in rows for target in _targets(row)]
    return "\n".join([NOTE, table(head, [_line(row) for row in rows]), targets_table(targets)]), targets


def _line(row: Row) -> list[str]:
    simple, own, again = row["one_by_one"], row["spotkube"], row["again"]
    return [
        f"{row['pods_left']:,}",
        str(row["nodes"]),
        *(f"{row[f'{name}_usd_hour']:.3f}" for name in ("before", "empty")),
        f"{simple['usd_hour']:.3f}",
        f"**{own['usd_hour']:.3f}**",
        f"{row['bound_usd_hour']:.3f}",
        f"{own['usd_hour'] / row['bound_usd_hour']:.4f}",
        f"{simple['moved']:,}",
        f"{own['moved']:,}",
        f"{own['payback_minutes']:.0f} min",
        f"{seconds(own['seconds'])}",
        f"{again['drained']} nodes",
    ]


def _targets(row: Row) -> list[Target]:
    own, simple, again = row["spotkube"], row["one_by_one"], row["again"]
    dearer = own["usd_hour"] / simple["usd_hour"] - 1
    return [
        Target(
            f"moves, {row['name']}: no dearer than one by one",
            f"at most {simple['usd_hour']:.3f} $/h",
            f"{own['usd_hour']:.3f} $/h",
            f"{dearer:.1%}" if dearer > 0 else "",
        ),
        Target(
            f"moves, {row['name']}: nothing to do afterwards",
            "no node",
            f"{again['drained']} nodes",
            f"{again['drained']} nodes" if again["drained"] else "",
        ),
    ]
