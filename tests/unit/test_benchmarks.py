"""The benchmarks' pure parts: problems that are drawn, targets, and the page."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import cases
import decision
import generate
import live
import live_rivals
import moves
import page
import page_end_to_end
import page_scale
import papers_ga
import results
import rivals
import runs
import scale
from attempts import Attempt, hypervolume, unbeaten
from spotkube.model.history import HOURS_A_MONTH
from spotkube.planner.formulation.waiting import pods_to_place
from spotkube.planner.neutral import plan_document, read_neutral, to_problem
from spotkube.planner.problem import Budget
from spotkube.planner.search.solve import solve
from spotkube.planner.validate import validate

PAGE = cases.ROOT / "docs" / "benchmarks.md"
MACHINE = {"cpu": "Some CPU", "cores": 2, "memory_gib": 8.0, "os": "Linux", "versions": {"numba": "1.0"}}


def document(*rows: dict[str, Any]) -> dict[str, Any]:
    dated = [
        {"name": str(i), "date": f"2026-01-0{i + 1} 10:00", "took_seconds": 30, **row} for i, row in enumerate(rows)
    ]
    about = {"command": "benchmarks/some.py", "commit": "abc", "code": "def", "machine": MACHINE, "load": 0.1}
    return {**about, "rows": dated}


def cost_row(gap: float | None, seed: int = 0, verified: bool | None = True, pinned: float = 4.5) -> dict[str, Any]:
    ours = {
        "budget_seconds": 5.0, "target": 1.03, "cost_usd_hour": 3.0, "lower_bound_usd_hour": 2.9, "gap": gap,
        "unschedulable": 0, "verified": verified, "first_plan_seconds": 0.2, "seconds": 5.1, "peak_rss_mib": 220.0,
    }  # fmt: skip
    peer = {"cost_usd_hour": 9.5, "unschedulable": 2, "seconds": 0.1, "version": "v9"}
    return {
        "problem": "synthetic 200", "seed": seed, "source": "neutral", "mixed": True, "pods": 200, "groups": 13 + seed,
        "offerings": 100, "ours": [ours], "karpenter": peer,
        "karpenter_pinned": {**peer, "cost_usd_hour": pinned, "unschedulable": 0},
    }  # fmt: skip


def scale_row(**fields: Any) -> dict[str, Any]:
    return {
        "sweep": "groups", "pods": 1000, "groups": 10, "offerings": 10, "nodes": 0, "first_seconds": 0.5,
        "near_seconds": {"0.03": 1.0, "0.01": None}, "seconds": 5.0, "budget_seconds": 5.0, "gap": 0.02,
        "unschedulable": 0, "peak_rss_mib": 200.0, "verified": True, "karpenter": None, **fields,
    }  # fmt: skip


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


def test_the_page_tells_what_moves_save_and_whether_they_end() -> None:
    row = {
        "name": "some pods", "date": "2026-01-01 00:00", "took_seconds": 1.0, "pods_left": 500, "nodes": 20,
        "before_usd_hour": 10.0, "empty_usd_hour": 9.0, "bound_usd_hour": 5.0,
        "one_by_one": {"usd_hour": 7.0, "moved": 90, "seconds": 0.1},
        "spotkube": {"usd_hour": 5.5, "moved": 80, "payback_minutes": 6.0, "seconds": 3.0},
        "again": {"drained": 2},
    }  # fmt: skip
    text = page.render({"moves": document(row)})
    assert (
        "| 500 | 20 | 10.000 | 9.000 | 7.000 | **5.500** | 5.000 | 1.1000 | 90 | 80 | 6 min | 3.00 s | 2 nodes |"
        in text
    )
    assert "no dearer than one by one | at most 7.000 $/h | 5.500 $/h | met" in text
    assert "nothing to do afterwards | no node | 2 nodes | **missed by 2 nodes**" in text


def test_a_decision_is_asked_for_the_pods_of_the_fullest_nodes() -> None:
    waiting = moves.cluster(moves.Case(12, 2, 1, 1.0))
    offering = max(waiting.offerings, key=lambda one: one.allocatable["cpu"])
    claims, nodes = zip(*(moves._born(f"n{i}", offering) for i in range(3)), strict=True)
    where = ["n0"] * 2 + ["n1"] * 7 + ["n2"] * 3
    pods = tuple(dataclasses.replace(pod, node=name) for pod, name in zip(waiting.pods, where, strict=True))
    running = dataclasses.replace(waiting, pods=pods, claims=claims, nodes=nodes)

    snapshot, victim = decision.taken_back(running, 0)
    assert victim.name == "n1"
    assert [claim.name for claim in snapshot.claims if claim.leaving] == ["n1"]
    assert {pod.node for pod in pods_to_place(snapshot)} == {"n1"}
    assert decision.taken_back(running, 1)[1].name == "n2"


def test_the_page_tells_how_long_decisions_take() -> None:
    first = {"pods": 30, "seconds": 1.5, "allowed_seconds": 0.5, "bought": 2, "unplaceable": 0}
    first |= {"usd_hour": 11.0, "bound_usd_hour": 10.0}
    row = {
        "name": "some pods", "date": "2026-01-01 00:00", "took_seconds": 1.0, "pods": 20000, "nodes": 800,
        "first": first, "next": {**first, "pods": 29, "seconds": 1.0, "bought": 0}, "peak_rss_mib": 300.0,
    }  # fmt: skip
    text = page.render({"decision": document(row)})
    times = "30, 29 | 0.5 s | **1.50 s** | 0.5 s | **1.00 s**"
    assert f"| 20,000 | 800 | {times} | 2, 0 | 0 | 11.000 | 10.000 | 1.1000 | 300 MiB |" in text


def test_one_by_one_gives_back_what_fits_elsewhere() -> None:
    """Three like nodes, of which two are enough, and then one of half the size for what one of them holds."""
    snapshot = moves.cluster(moves.Case(40, 4, 1, 1.0))
    offering = max(snapshot.offerings, key=lambda one: one.allocatable["cpu"])
    pods = sorted(snapshot.pods, key=lambda pod: pod.uid)[:3]
    claims, nodes = zip(*(moves._born(f"n{i}", offering) for i in range(3)), strict=True)
    standing = tuple(dataclasses.replace(pod, node=f"n{i}") for i, pod in enumerate(pods))
    simple = moves.OneByOne(dataclasses.replace(snapshot, pods=standing, claims=claims, nodes=nodes)).run()
    assert len(simple.on) < 3
    assert sum(len(held) for held in simple.on.values()) == 3
    assert simple.cost < offering.price_micro_usd_hour
    for name, held in simple.on.items():
        assert min(moves._left(simple.kind[name], held)) >= 0


def test_the_page_shows_means_peers_and_targets() -> None:
    text = page.render({"cost": document(cost_row(0.02), cost_row(0.03, seed=1))})
    assert "| synthetic 200 | 200, 13-14, 100 | 2 | 5 s (5.1 s) | 0.20 s | 3.000 | 2.900 | 1.0250 | 1.0300 |" in text
    assert "| 1.0300 | met |" in text
    assert "| synthetic 200 | 2.900 | 3.000 | 9.500 (4 pods unplaced) | 0.10 s | 4.500 | 0.10 s | 33.3% |" in text
    alike = page.render({"cost": document({**cost_row(0.02), "mixed": False})})
    assert "| 9.500 (2 pods unplaced) | 0.10 s | no need |  | 68.4% |" in alike
    assert "2 cores of Some CPU" in text
    assert "Karpenter v9" in text
    assert "done 2026-01-02 10:00 UTC, 1.0 minutes, commit abc" in text
    assert "2 of 2 targets are met." in text
    assert "## Scale\n\nNot run." in text


def test_the_page_shows_misses_and_refusals_as_such() -> None:
    text = page.render({"cost": document(cost_row(0.042, pinned=2.5))})
    assert "0 of 2 targets are met." in text
    missed = "- Missed: synthetic 200, 5 s: wanted at most 1.0300, reached 1.0420, missed by 1.20 points"
    assert f"{missed}; the columns have not all converged" in text
    assert "20.00% on synthetic 200 (seed 0)" in text
    diverse = page.render({"cost": document({**cost_row(0.042), "problem": "diverse 500"})})
    assert "missed by 1.20 points; no near bound is known" in diverse
    assert "nothing was proven" in page.render({"cost": document(cost_row(0.01), cost_row(None, seed=1))})
    refused = {"cost": document(cost_row(0.01, verified=False))}
    assert "| **REFUSED** |" in page.render(refused)
    assert page.refused(refused) == ["cost: 0"]


@pytest.mark.skipif(not PAGE.exists(), reason="no whole run has been kept yet")
def test_the_page_says_what_its_results_say() -> None:
    files = {name: results.RESULTS / f"{name}.json" for name in page.PARTS}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    assert {"cost", "search", "scale"} <= found.keys()
    assert PAGE.read_text() == page.render(found)


def test_the_page_fits_how_time_grows() -> None:
    rows = [scale_row(groups=groups, first_seconds=groups**1.5 / 1000) for groups in (10, 100, 1000)]
    rows += [scale_row(sweep="pods", pods=pods, first_seconds=pods**0.25) for pods in (1000, 100_000)]
    text = page.render({"scale": document(*rows)})
    assert "| groups | the first plan | 1.50 | 3 |" in text
    assert "| over pods 0.25, over groups 1.50 | **missed by 0.15 in the exponent** |" in text
    assert "| 1.00 s | never |" in text


def test_the_page_says_by_how_much_a_target_of_scale_is_missed() -> None:
    near = {"0.03": 10.0, "0.01": 32.5}
    row = scale_row(sweep="target", pods=150_000, groups=100, near_seconds=near, peak_rss_mib=1000.0)
    text = page.render({"scale": document(row)})
    assert "within 1 % | at most 30 s | 32.50 s | **missed by 2.50 s** |" in text
    never = page.render({"scale": document({**row, "near_seconds": {"0.03": 10.0, "0.01": None}})})
    assert "within 1 % | at most 30 s | never | **missed by 1.00 points after 5.0 s** |" in never
    assert "memory | at most 1024 MiB | 1000.00 MiB | met |" in text
    assert page_scale.slope([(1.0, 3.0), (10.0, 3.0)]) == pytest.approx(0.0)


def test_the_hypervolume_is_the_area_that_the_front_dominates() -> None:
    assert hypervolume([(1.0, 1.0)], (2.0, 2.0)) == 0.25
    assert hypervolume([(1.0, 1.0), (0.5, 1.5), (1.5, 1.5)], (2.0, 2.0)) == pytest.approx(1.25 / 4)
    assert hypervolume([(3.0, 0.0)], (2.0, 2.0)) == 0.0
    assert unbeaten([(2.0, 1.0), (1.0, 2.0), (2.0, 2.0), (1.0, 2.0)]) == [(1.0, 2.0), (2.0, 1.0)]


def test_no_rival_is_below_the_bound_and_their_plans_keep_the_rules() -> None:
    problem, _ = to_problem(generate.offerings()[:60], generate.synthetic(60, 5, seed=2))
    bound = solve(problem, seed=0, budget=Budget(None, 30, 5)).lower_bound
    found = rivals.seeds_and_mip(problem, 3.0)
    papers = Attempt(problem, time.perf_counter())
    assert papers_ga.evolve(problem, 1, 1.0, papers) > 0
    for attempt in (*found.values(), papers):
        assert attempt.best is not None
        # The paper's genes count nodes, also such as hold nothing; a search that was cut short may have some left.
        assert [one for one in validate(problem, attempt.best) if attempt is not papers or "empty" not in one] == []
        assert attempt.curve[-1][1] == attempt.best.cost(problem) >= bound > 0
        assert min(attempt.front)[0] == attempt.best.cost(problem)
    assert found["MIP"].curve[-1][1] <= min(found["rounding"].curve[-1][1], found["first-fit"].curve[-1][1])


def test_the_papers_plan_is_worth_what_its_genes_were_valued_at() -> None:
    problem, _ = to_problem(generate.offerings()[:60], generate.synthetic(60, 5, seed=2))
    order, genes = np.arange(problem.groups), np.zeros(problem.kinds, np.int64)
    genes[[3, 17, 40]] = 2
    missing, cost, interrupted = papers_ga.decode(problem, genes, order)
    plan = papers_ga.plan_of(problem, genes, order)
    assert validate(problem, plan) == []
    assert (plan.unplaced.sum(), plan.cost(problem)) == (missing, cost)
    risk = problem.interruption_rate[plan.node_kind] * HOURS_A_MONTH
    assert (risk * plan.node_pods.sum(axis=1)).sum() == pytest.approx(interrupted)


def search_row(**fields: Any) -> dict[str, Any]:
    def solver(*costs: float | None) -> dict[str, Any]:
        return {"cost_usd_hour": costs, "first_plan_seconds": 0.1, "last_plan_seconds": 1.5, "verified": True}

    return {
        "problem": "synthetic 200", "source": "neutral", "times": [1.0, 2.0], "lower_bound_usd_hour": 3.0,
        "solvers": {"ours": solver(3.3, 3.15), "MIP": solver(None, 3.3), "paper": solver(None, None)},
        "papers_generations": 40, "hypervolume": {"ours": 0.5, "seeds and MIP": 0.6, "paper": 0.0},
        "cheaper": True, "wider": False, **fields,
    }  # fmt: skip


def test_the_page_counts_the_families_that_the_search_wins() -> None:
    text = page.render({"search": document(search_row(), search_row(cheaper=False), search_row(cheaper=False))})
    assert "| synthetic 200 | ours | 3.300 | 3.150 | 1.0500 | 0.10 s | 1.50 s | yes |" in text
    assert "|  | paper | none | none |  | 0.10 s | 1.50 s | no plan |" in text
    assert "| on 1 of 3 | **missed by 1 of them** |" in text
    assert "| synthetic 200 | 0.5000 | 0.6000 | 0.0000 | 40 | cheaper |" in text


class Part:
    """A part of two jobs that counts what it measures."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(results, "RESULTS", tmp_path)
        self.file, self.measured, self.monkeypatch = tmp_path / "some.json", list[str](), monkeypatch

    def run(self, *flags: str, fails: str = "") -> int:
        def measure(name: str) -> dict[str, Any]:
            if name == fails:
                raise KeyboardInterrupt
            self.measured.append(name)
            return {"value": len(self.measured)}

        jobs = [results.Job(name, partial(measure, name), lambda row: str(row["value"])) for name in ("one", "two")]
        return results.run_part("some", jobs, results.arguments("", "", "").parse_args(flags))

    def values(self) -> dict[str, int]:
        return {row["name"]: row["value"] for row in json.loads(self.file.read_text())["rows"]}


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    return Part(tmp_path, monkeypatch)


def test_an_interrupted_part_goes_on_where_it_stopped(part: Part) -> None:
    with pytest.raises(KeyboardInterrupt):
        part.run(fails="two")
    assert part.values() == {"one": 1}
    assert part.run("--resume") == 0
    assert part.values() == {"one": 1, "two": 2}
    assert part.run() == 0
    assert part.values() == {"one": 3, "two": 4}


def test_single_rows_can_be_measured_again(part: Part) -> None:
    part.run()
    assert part.run("--only", "tw") == 0
    assert part.values() == {"one": 1, "two": 3}
    assert part.run("--only", "three") == 2


def test_rows_of_other_code_are_not_mixed_in(part: Part, capsys: pytest.CaptureFixture[str]) -> None:
    part.run()
    part.monkeypatch.setattr(results, "_code", lambda: "other")
    assert part.run("--only", "two") == 2
    assert "made by other code" in capsys.readouterr().err
    part.run("--resume")
    assert part.values() == {"one": 3, "two": 4}


@pytest.mark.skipif(not (cases.PEERS / "check_plan.py").exists(), reason="../shared/peers is not here")
def test_the_independent_checker_judges_plans_on_nodes_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    offerings = generate.scaled(generate.offerings(), 60, seed=1)
    file.write_text(json.dumps({"offerings": offerings, "groups": generate.synthetic(400, 5, seed=2)}))
    problem, names = read_neutral(file)
    problem = scale.with_nodes(problem, 20)
    solution = solve(problem, seed=0, budget=Budget(None, 10, 5)).solution
    assert solution.bin_pods.any()
    assert len(solution.node_kind)
    both = scale.checkable(file, problem, names, solution)
    file.write_text(json.dumps(both["problem"]))
    cost = names.cost_usd_hour(solution)
    assert runs.check_document(file, both["plan"], cost) is True
    assert runs.check_document(file, both["plan"], cost * 1.01) is False
    assert runs.check_document(file, plan_document(solution, names), cost) is False


def live_row(solver: str, p99: float, usd: float, nodes: int = 7, **fields: Any) -> dict[str, Any]:
    step = {
        "pods": 1000, "bound": 1000, "all_bound_seconds": 9.0, "p50_seconds": 3.0, "p99_seconds": p99, "nodes": nodes,
        "cost_usd_hour": usd, "bound_usd_hour": 4.0,
    }  # fmt: skip
    return {"solver": solver, "deployments": 20, "steps": [step], **fields}


def test_whole_operators_are_held_to_half_of_the_peers_time_and_to_less_than_its_price() -> None:
    _, targets = page_end_to_end.render([live_row("SpotKube", 5.0, 4.1), live_row("Karpenter", 8.0, 4.2)])
    assert [target.missed for target in targets] == ["1.50 s", "1.00 s", ""]


def test_whole_operators_without_the_peer_have_nothing_to_be_held_to() -> None:
    body, targets = page_end_to_end.render([live_row("SpotKube", 5.0, 4.1)])
    assert targets == []
    assert "| 1,000 | SpotKube | 9.00 s |" in body


def test_who_buys_nothing_has_no_price() -> None:
    body, _ = page_end_to_end.render([live_row("SpotKube", 5.0, 4.1), live_row("none", 2.0, 0.0, nodes=0)])
    assert "| 1,000 | none | 9.00 s | 3.00 s | 2.00 s |  |  |  |  |" in body
    assert page_end_to_end.NOTE_OF_FLOOR in body
    alone, _ = page_end_to_end.render([live_row("SpotKube", 5.0, 4.1)])
    assert page_end_to_end.NOTE_OF_FLOOR not in alone, "there is no such row to speak of"


def test_the_share_below_which_so_many_percent_lie() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [live.percentile(values, percent) for percent in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert live.percentile([7.0], 1) == 7.0
    assert live.percentile([], 50) is None


def test_karpenter_gets_the_same_room_as_we_do() -> None:
    (made,) = live_rivals.instance_types([{**generate.offerings(2)[0], "cpu_milli": 1900, "memory_mib": 3000}])
    assert (made["resources"]["cpu"], made["resources"]["memory"]) == ("2000m", "3010Mi")


@pytest.mark.parametrize("name", ["admission", "end_to_end", "lifecycle"])
def test_what_measures_on_a_cluster_runs_as_its_help_says(name: str) -> None:
    """They ended with an ImportError unless PYTHONPATH was set."""
    script = cases.ROOT / "benchmarks" / f"{name}.py"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(script), "--help"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"benchmarks/{name}.py" in done.stdout
