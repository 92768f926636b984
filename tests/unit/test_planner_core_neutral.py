"""The neutral format: what is read, what is refused, and that plans pass an independent check."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spotkube.planner.neutral import plan_document, read_neutral, why_unplaced
from spotkube.planner.problem import Budget
from spotkube.planner.search.solve import solve
from spotkube.planner.validate import validate

ROOT = Path(__file__).resolve().parents[2]
OFFERING = {
    "instance_type": "m.large", "zone": "a", "capacity_type": "spot", "price_usd_hour": 0.05, "arch": "amd64",
    "cpu_milli": 2000, "memory_mib": 8000, "pods": 20, "gpu": 0,
}  # fmt: skip
GROUP = {
    "name": "web", "count": 5, "cpu_milli": 500, "memory_mib": 1000, "gpu": 0, "arch": "", "capacity_type": "",
    "zone": "", "spread_zone_max_skew": 0, "anti_affinity_host": False,
}  # fmt: skip


def write(path: Path, offerings: list[dict[str, Any]], groups: list[dict[str, Any]]) -> Path:
    file = path / "problem.json"
    file.write_text(json.dumps({"offerings": offerings, "groups": groups}), encoding="utf-8")
    return file


def test_a_spread_group_becomes_one_for_each_zone(tmp_path: Path) -> None:
    offerings = [{**OFFERING, "zone": zone} for zone in "abc"]
    problem, _ = read_neutral(write(tmp_path, offerings, [{**GROUP, "spread_zone_max_skew": 1}]))
    assert sorted(problem.count.tolist()) == [1, 2, 2]
    assert problem.family.tolist() == [0, 0, 0]
    assert problem.sure_count.tolist() == [1, 1, 1]
    assert problem.compatible.sum(axis=1).tolist() == [1, 1, 1]


def test_groups_with_one_label_share_a_cap(tmp_path: Path) -> None:
    alone = {"anti_affinity_host": True, "selector_label": "db"}
    groups = [{**GROUP, **alone}, {**GROUP, **alone, "name": "other"}, {**GROUP, "name": "free"}]
    problem, _ = read_neutral(write(tmp_path, [OFFERING], groups))
    assert problem.cap_use.tolist() == [[1, 1, 0]]
    assert problem.cap_limit.tolist() == [1]


@pytest.mark.parametrize(
    ("offering", "words"),
    [
        ({"price_usd_hour": 0}, "offerings[0].price_usd_hour: 0"),
        ({"price_usd_hour": None}, "offerings[0].price_usd_hour: None"),
        ({"price_usd_hour": -0.1}, "offerings[0].price_usd_hour: -0.1"),
        ({"price_usd_hour": float("nan")}, "offerings[0].price_usd_hour: nan"),
        ({"price_usd_hour": float("inf")}, "offerings[0].price_usd_hour: inf"),
        ({"price_usd_hour": 1e12}, "offerings[0].price_usd_hour: 1000000000000.0"),
        ({"price_usd_hour": 1e-9}, "offerings[0].price_usd_hour: 1e-09"),
        ({"price_usd_hour": "0.1"}, "offerings[0].price_usd_hour: '0.1'"),
        ({"capacity_type": "od"}, "offerings[0].capacity_type: 'od'"),
        ({"cpu_milli": -1}, "offerings[0].cpu_milli: -1"),
        ({"memory_mib": float("nan")}, "offerings[0].memory_mib: nan"),
        ({"zone": 3}, "offerings[0].zone: 3"),
    ],
)
def test_a_bad_offering_is_left_out_and_the_rest_planned(tmp_path: Path, offering: dict[str, Any], words: str) -> None:
    offerings = [{**OFFERING, "instance_type": "bad", **offering}, OFFERING]
    problem, names = read_neutral(write(tmp_path, offerings, [GROUP]))
    (sentence,) = names.offerings_left_out
    assert words in sentence
    assert "give" in sentence
    assert names.kinds == (("m.large", "a", "spot"),)
    assert solve(problem, seed=0, budget=Budget(None, 3, 3)).solution.unplaced.sum() == 0


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"count": 1.5}, "groups[0].count: 1.5"),
        ({"count": 10**15}, "groups[0].count: 1000000000000000"),
        ({"name": ""}, "groups[0].name"),
        ({"memory_mib": "2Gi"}, "groups[0].memory_mib: '2Gi'"),
        ({"cpu_milli": float("nan")}, "groups[0].cpu_milli: nan"),
        ({"capacity_type": "any"}, "groups[0].capacity_type: 'any'"),
        ({"anti_affinity_host": "yes"}, "groups[0].anti_affinity_host: 'yes'"),
        ({"zone": "a", "spread_zone_max_skew": 1}, "groups[0]: zone 'a'"),
    ],
)
def test_a_bad_group_is_left_out_and_the_rest_planned(tmp_path: Path, group: dict[str, Any], words: str) -> None:
    problem, names = read_neutral(write(tmp_path, [OFFERING], [{**GROUP, "name": "bad", **group}, GROUP]))
    (sentence,) = names.groups_left_out
    assert words in sentence
    assert "give" in sentence
    assert names.groups == ("web",)
    assert problem.count.tolist() == [5]


def test_entries_that_are_no_objects_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    file.write_text(json.dumps({"offerings": [7, OFFERING], "groups": [None, GROUP]}), encoding="utf-8")
    _, names = read_neutral(file)
    assert "offerings[0]: 7" in names.offerings_left_out[0]
    assert "groups[0]: None" in names.groups_left_out[0]


def test_of_two_groups_of_one_name_the_first_stays(tmp_path: Path) -> None:
    problem, names = read_neutral(write(tmp_path, [OFFERING], [GROUP, {**GROUP, "count": 9}]))
    assert "same name" in names.groups_left_out[0]
    assert problem.count.tolist() == [5]


def test_offerings_that_contradict_each_other_are_all_left_out(tmp_path: Path) -> None:
    other = {**OFFERING, "instance_type": "c.large"}
    offerings = [OFFERING, {**OFFERING, "price_usd_hour": 0.04}, other, other]
    _, names = read_neutral(write(tmp_path, offerings, [GROUP]))
    assert names.kinds == (("c.large", "a", "spot"),)
    assert len(names.offerings_left_out) == 1
    assert "offerings[1]: 'm.large a spot'" in names.offerings_left_out[0]


def test_a_resource_that_only_some_offerings_have(tmp_path: Path) -> None:
    offerings = [OFFERING, {**OFFERING, "instance_type": "f.large", "price_usd_hour": 1.0, "fpga": 1}]
    groups = [{**GROUP, "count": 2, "fpga": 1}, {**GROUP, "name": "lost", "count": 1, "quantum": 1}]
    problem, names = read_neutral(write(tmp_path, offerings, groups))
    solution = solve(problem, seed=0, budget=Budget(None, 3, 3)).solution
    assert [names.kinds[kind][0] for kind in solution.node_kind] == ["f.large", "f.large"]
    (why,) = why_unplaced(problem, solution)
    assert "lost: 1 pods" in why
    assert "quantum" in why


@pytest.mark.parametrize("amount", [0, 10**15, 2**53])
def test_amounts_from_zero_to_the_largest_overflow_nothing(tmp_path: Path, amount: int) -> None:
    large = {**OFFERING, "instance_type": "huge", "cpu_milli": 2**53, "memory_mib": 2**53, "pods": 7}
    groups = [{**GROUP, "name": f"g{i}", "count": 4000, "cpu_milli": amount, "memory_mib": amount} for i in range(2)]
    problem, _ = read_neutral(write(tmp_path, [OFFERING, large], groups))
    result = solve(problem, seed=0, budget=Budget(None, 3, 3))
    assert validate(problem, result.solution) == []
    assert result.solution.unplaced.sum() == 0
    assert 0 < result.lower_bound <= result.solution.cost(problem)


def test_the_bound_stays_below_prices_that_were_rounded_up(tmp_path: Path) -> None:
    problem, names = read_neutral(write(tmp_path, [{**OFFERING, "price_usd_hour": 1.6e-6}], [GROUP]))
    assert problem.price.tolist() == [2]
    assert names.bound_usd_hour(problem, 4) == pytest.approx(3.2e-6)


@pytest.mark.parametrize("text", ["[]", '{"offerings": []}', '{"offerings": {}, "groups": []}', "[" * 100_000])
def test_a_file_that_is_no_problem_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "problem.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="give"):
        read_neutral(file)


def test_a_plan_places_every_pod_once(tmp_path: Path) -> None:
    offerings = [{**OFFERING, "zone": zone} for zone in "ab"] + [{**OFFERING, "capacity_type": "on-demand"}]
    groups = [{**GROUP, "spread_zone_max_skew": 1}, {**GROUP, "name": "db", "anti_affinity_host": True}]
    problem, names = read_neutral(write(tmp_path, offerings, groups))
    solution = solve(problem, seed=0, budget=Budget(None, 10, 5)).solution
    assert validate(problem, solution) == []
    nodes = plan_document(solution, names)["nodes"]
    for group in ("web", "db"):
        assert sum(node["pods"].get(group, 0) for node in nodes) == 5
    assert max(node["pods"].get("db", 0) for node in nodes) == 1


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "planner.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_benchmark_prints_one_line_of_json(tmp_path: Path) -> None:
    file, plan = write(tmp_path, [OFFERING], [GROUP]), tmp_path / "plan.json"
    done = benchmark(str(file), "--budget", "0.5", "--plan", str(plan))
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line["cost_usd_hour"] == 0.1
    assert line["unschedulable"] == 0
    assert line["nodes"] == len(json.loads(plan.read_text())["nodes"]) == 2


def test_the_benchmark_names_what_it_leaves_out(tmp_path: Path) -> None:
    offerings = [OFFERING, {**OFFERING, "zone": "b", "price_usd_hour": 0}]
    groups = [GROUP, {**GROUP, "name": "half", "count": 0.5}, {**GROUP, "name": "giant", "cpu_milli": 10**15}]
    done = benchmark(str(write(tmp_path, offerings, groups)), "--budget", "0.5")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["offerings_left_out"], line["groups_left_out"], line["unschedulable"]) == (1, 1, 5)
    for words in ("offerings[1].price_usd_hour: 0", "groups[1].count: 0.5", "giant: 5 pods are unplaced: they ask 10"):
        assert words in done.stderr


def test_the_benchmark_refuses_bad_input(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    for arguments in ((str(broken),), (str(tmp_path / "absent.json"),), (str(broken), "--budget", "-1")):
        done = benchmark(*arguments)
        assert done.returncode == 2
        assert done.stderr
        assert not done.stdout
