"""The part of the page on the search: what each solver reaches over time."""

from collections.abc import Sequence

from page_parts import Row, Target, checked, dollars, seconds, table, targets_table

NOTE = """\
Dollars an hour after so many seconds of one run; all solvers have the same time and machine. *first-fit* is
first-fit decreasing; *rounding* dives into the columns that the search would have; *MIP* is HiGHS, on one thread, over
all those columns, started from the best of both; *paper* is the GA of the SpotKube paper (arXiv 2405.12311), written
from its description, in Python. The cheapest plan of each is checked by an independent program.
"""
AREA_NOTE = """\
*Area* is the hypervolume of the front of cost and expected interruptions, as a part of the area up to a point a tenth
beyond the worst of all fronts. To *seeds and MIP* belongs a first-fit plan of nothing but on-demand nodes. The search
wins where its cheapest plan is cheaper than those of first-fit, rounding and MIP, or its area is larger.
"""


def render(rows: Sequence[Row]) -> tuple[str, list[Target]]:
    """The tables, and the target: to win on half of the families."""
    lines = [line for row in rows for line in _solvers(row)]
    areas = [_areas(row) for row in rows]
    won = sum(row["cheaper"] or row["wider"] for row in rows)
    short = -(-len(rows) // 2) - won
    target = Target(
        "the search beats its seeds and a MIP", "on half of the families", f"on {won} of {len(rows)}",
        f"{short} of them" if short > 0 else "",
    )  # fmt: skip
    times = [f"{at:g} s" for at in rows[0]["times"]]
    head = ("problem", "solver", *times, "over bound", "first plan", "last better", "checked")
    area_head = ("problem", "our area", "seeds and MIP's", "paper's", "its generations", "the search is")
    parts = [NOTE, table(head, lines), AREA_NOTE, table(area_head, areas), targets_table([target])]
    return "\n".join(parts), [target]


def _solvers(row: Row) -> list[list[str]]:
    lines = []
    for name, solver in row["solvers"].items():
        last, bound = solver["cost_usd_hour"][-1], row["lower_bound_usd_hour"]
        lines.append([
            row["problem"] + (" (own)" if row["source"] == "own" else "") if name == "ours" else "",
            name,
            *(dollars(cost) for cost in solver["cost_usd_hour"]),
            f"{last / bound:.4f}" if last is not None and bound else "",
            seconds(solver["first_plan_seconds"]),
            seconds(solver["last_plan_seconds"]),
            "no plan" if last is None else checked([solver["verified"]]),
        ])  # fmt: skip
    return lines


def _areas(row: Row) -> list[str]:
    how = " and ".join(word for word in ("cheaper", "wider") if row[word])
    areas = (f"{row['hypervolume'][name]:.4f}" for name in ("ours", "seeds and MIP", "paper"))
    return [row["problem"], *areas, str(row["papers_generations"]), how or "neither cheaper nor wider"]
