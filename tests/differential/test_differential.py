"""A small part of `make differential`, in every run of the tests, and the test of that test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from differential.campaign import caught
from differential.demands import broken_promises, complaints
from differential.drawing import of_seed, scenarios
from differential.judge import Judge, JudgeError
from differential.registry import CONSTRAINTS
from differential.scenario import Scenario

SEEDS = range(60)
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.mark.parametrize("seed", SEEDS)
def test_kube_scheduler_agrees_with_the_plan(seed: int, judge: Judge) -> None:
    assert complaints(of_seed(seed), judge) == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(scenario=scenarios())
def test_kube_scheduler_takes_every_pod_planned_of_any_mix(judge: Judge, scenario: Scenario) -> None:
    """What is drawn depends on the modules that are loaded, so it may meet one of the few pods in a thousand clusters
    that are called impossible and are not (`make differential` names them): those are not judged here."""
    assert broken_promises(scenario, judge) == []


def test_kube_scheduler_agrees_where_it_once_did_not(judge: Judge) -> None:
    assert {path.stem: complaints(Scenario.read(path), judge) for path in REGRESSIONS} == {
        path.stem: [] for path in REGRESSIONS
    }


def test_a_planner_that_misreads_a_constraint_is_caught(judge: Judge) -> None:
    """Each constraint has a seed in which a planner that misreads it would be found wrong."""
    left = set(CONSTRAINTS)
    for seed in range(400):
        if not left:
            break
        scenario = of_seed(seed)
        for name in left & set(scenario.focus):
            seen = CONSTRAINTS[name].misread_in(scenario)
            if seen is not None and caught(scenario, seen, judge):
                left.discard(name)
    assert left == set()


def test_what_the_api_server_would_not_take_is_an_error(judge: Judge) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": []},
    }
    with pytest.raises(JudgeError, match=r"pod default/p: spec\.containers: Required value"):
        judge.ask({"objects": [pod]})
