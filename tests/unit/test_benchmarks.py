"""The benchmarks' pure parts: problems that are drawn, targets, and the page."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import cases
import generate
import page
import papers_ga
import rivals
from spotkube.planner.neutral import to_problem
from spotkube.planner.problem import Budget
from spotkube.planner.solve import solve

MACHINE = {
    "date": "2026-01-02", "cpu": "Some CPU", "cores": 2, "memory_gib": 8.0, "os": "Linux", "versions": {"numba": "1.0"},
}  # fmt: skip


def run(gap: float | None, verified: bool | None = True) -> dict[str, Any]:
    return {
        "budget_seconds": 5.0, "target": 1.03, "cost_usd_hour": 3.0, "lower_bound_usd_hour": 2.9, "gap": gap,
        "unschedulable": 0, "verified": verified,
    }  # fmt: skip


def cost_document(*gaps: float | None, verified: bool | None = True) -> dict[str, Any]:
    peer = {"cost_usd_hour": 4.5, "unschedulable": 2}
    rows = [
        {"problem": "synthetic 200", "seed": seed, "source": "neutral", "ours": [run(gap, verified)],
         "karpenter": peer, "karpenter_pinned": None}
        for seed, gap in enumerate(gaps)
    ]  # fmt: skip
    return {"command": "benchmarks/cost.py", "machine": MACHINE, "rows": rows}


@pytest.mark.parametrize("pods", [7, 200, 5001])
def test_drawn_groups_have_just_so_many_pods(pods: int) -> None:
    groups = generate.synthetic(pods, 14, seed=3)
    assert sum(group["count"] for group in groups) == pods
    assert groups == generate.synthetic(pods, 14, seed=3)
    assert groups != generate.synthetic(pods, 14, seed=4)


def test_diverse_groups_share_labels_only_where_asked() -> None:
    def labels(shared: bool) -> set[str]:
        return {g.get("selector_label", "") for g in generate.diverse(500, 1, shared) if g["anti_affinity_host"]}

    assert labels(shared=False) == {""}
    assert "anti" in labels(shared=True)
    assert len(labels(shared=True)) == 8


def test_a_larger_catalog_copies_offerings_at_other_prices() -> None:
    source = generate.offerings()
    made = generate.scaled(source, len(source) + 10, seed=1)
    assert len({(o["instance_type"], o["zone"], o["capacity_type"]) for o in made}) == len(source) + 10
    assert made[-1]["cpu_milli"] == source[9]["cpu_milli"]
    assert 0.84 < made[-1]["price_usd_hour"] / source[9]["price_usd_hour"] < 1.16
    assert generate.scaled(source, 5, seed=1) == source[:5]


def test_the_target_of_a_minute_is_half_the_gap_unless_it_has_its_own() -> None:
    assert cases.Case("synthetic", 200, "all", 1.03).target_at(60) == pytest.approx(1.015)
    assert cases.Case("diverse", 200, "all", 1.10, long=1.05).target_at(60) == 1.05
    assert cases.Case("synthetic", 200, "all", 1.03).target_at(5) == 1.03


def test_the_page_shows_means_peers_and_targets() -> None:
    text = page.render({"cost": cost_document(0.02, 0.03)})
    assert "| synthetic 200 | 2 | 5 s | 3.000 | 2.900 | 1.0250 | 1.0300 | met | yes |" in text
    assert "4.500 (4 pods unplaced) | not run |" in text
    assert "2 cores of Some CPU" in text
    assert "## Scale\n\nNot run." in text


def test_the_page_shows_misses_and_refusals_as_such() -> None:
    assert "missed by 1.20 points" in page.render({"cost": cost_document(0.042)})
    assert "missed: nothing was proven" in page.render({"cost": cost_document(0.01, None)})
    assert "| REFUSED |" in page.render({"cost": cost_document(0.01, verified=False)})


def test_the_page_fits_how_time_grows() -> None:
    common = {"sweep": "groups", "offerings": 10, "nodes": 0, "near_seconds": None, "seconds": 5.0, "gap": 0.01}
    common |= {"peak_rss_mib": 200.0, "karpenter": None, "pods": 1000}
    rows = [{**common, "groups": groups, "first_seconds": groups**1.5 / 1000} for groups in (10, 100, 1000)]
    text = page.render({"scale": {"command": "benchmarks/scale.py", "machine": MACHINE, "rows": rows}})
    assert "grows with groups to the power 1.50 (least squares, 3 points)" in text
    assert "| never |" in text


def test_the_hypervolume_is_the_area_that_the_front_dominates() -> None:
    assert rivals.hypervolume([(1.0, 1.0)], (2.0, 2.0)) == 0.25
    assert rivals.hypervolume([(1.0, 1.0), (0.5, 1.5), (1.5, 1.5)], (2.0, 2.0)) == pytest.approx(1.25 / 4)
    assert rivals.hypervolume([(3.0, 0.0)], (2.0, 2.0)) == 0.0


def test_no_rival_is_below_the_bound() -> None:
    problem, _ = to_problem(generate.offerings()[:60], generate.synthetic(60, 5, seed=2))
    bound = solve(problem, seed=0, budget=Budget(None, 30, 5)).lower_bound
    found = rivals.seeds_and_mip(problem, 3.0)
    costs = [point[0] for point in found.values() if point is not None]
    costs += [cost for cost, _ in papers_ga.evolve(problem, 1, 1.0).front]
    assert found["MIP"] is not None
    assert len(costs) >= 3
    assert min(costs) >= bound > 0


def test_the_page_counts_the_families_that_the_search_wins() -> None:
    row = {
        "problem": "synthetic 200", "curve": [[1.0, 3.1], [2.0, None]], "paper": None, "cheaper": True, "wider": False,
        "rivals": {"first-fit": 4.0, "rounding": 3.3, "MIP": None},
        "hypervolume": {"ours": 0.5, "seeds and MIP": 0.6, "paper": 0.0},
    }  # fmt: skip
    rows = [row, {**row, "cheaper": False}, {**row, "cheaper": False}]
    text = page.render({"search": {"command": "benchmarks/search.py", "machine": MACHINE, "rows": rows}})
    assert "1 s: 3.100, 2 s: none | 4.000 | 3.300 | none | none |" in text
    assert "wins on 1 of 3 families; target, half of them: missed" in text
