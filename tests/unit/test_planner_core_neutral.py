"""The neutral format: what is read, what is refused, and that plans pass an independent check."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spotkube.planner.neutral import plan_document, read_neutral
from spotkube.planner.problem import Budget
from spotkube.planner.solve import solve
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
    assert problem.cap_member.tolist() == [[True, True, False]]
    assert problem.cap_limit.tolist() == [1]


@pytest.mark.parametrize(
    ("offering", "group", "words"),
    [
        ({"price_usd_hour": 0}, {}, "offerings[0].price_usd_hour: 0"),
        ({"price_usd_hour": float("nan")}, {}, "offerings[0].price_usd_hour: nan"),
        ({"capacity_type": "od"}, {}, "offerings[0].capacity_type: 'od'"),
        ({"cpu_milli": -1}, {}, "offerings[0].cpu_milli: -1"),
        ({}, {"count": 1.5}, "groups[0].count: 1.5"),
        ({}, {"name": ""}, "groups[0].name"),
        ({}, {"memory_mib": "2Gi"}, "groups[0].memory_mib: '2Gi'"),
        ({}, {"capacity_type": "any"}, "groups[0].capacity_type: 'any'"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, offering: dict[str, Any], group: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_neutral(write(tmp_path, [{**OFFERING, **offering}], [{**GROUP, **group}]))
    assert words in str(caught.value)
    assert "give" in str(caught.value)


def test_two_groups_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name"):
        read_neutral(write(tmp_path, [OFFERING], [GROUP, GROUP]))


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


def test_the_benchmark_refuses_bad_input(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    for arguments in ((str(broken),), (str(tmp_path / "absent.json"),), (str(broken), "--budget", "-1")):
        done = benchmark(*arguments)
        assert done.returncode == 2
        assert done.stderr
        assert not done.stdout
