"""The trace's pods, and the check that they stand where they were planned to."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo_builders import addition, claim, plan, pod, scene

from demo.errors import DemoError
from demo.trace import OPENB, check_places, read_pods

HEAD = "name,cpu_milli,memory_mib,num_gpu\n"


def test_pods_with_a_gpu_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "pods.csv"
    file.write_text(f"{HEAD}gpu,12000,16384,1\ncpu,2000,4096,0\n")
    (only,) = read_pods(file)
    assert only["metadata"]["name"] == "cpu"
    assert only["spec"]["schedulingGates"] == [{"name": "spotkube.io/placement"}]
    assert only["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2000m", "memory": "4096Mi"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"there is no .*pods\.csv"):
        read_pods(tmp_path / "pods.csv")


@pytest.mark.skipif(not OPENB.is_file(), reason=f"{OPENB} is not there")
def test_the_trace_has_1088_pods_without_gpu() -> None:
    assert len(read_pods()) == 1088


def test_pods_on_the_planned_nodes_are_fine() -> None:
    check_places(scene(pods=(pod("a", "n"),), claims=(claim("n"),), plans=(plan("p", additions=[addition("n")]),)))


@pytest.mark.parametrize(
    ("claims", "planned", "complaint"),
    [
        ((claim("n"), claim("m")), [addition("n")], "1 nodes were planned, 2 are there"),
        ((claim("n"),), [addition("n", pods=2)], "2 pods were planned onto n, 1 run there"),
    ],
)
def test_deviations_are_told(
    claims: tuple[dict[str, object]], planned: list[dict[str, object]], complaint: str
) -> None:
    with pytest.raises(DemoError, match=complaint):
        check_places(scene(pods=(pod("a", "n"),), claims=claims, plans=(plan("p", additions=planned),)))
