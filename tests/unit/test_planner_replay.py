"""Plans made again from recorded work: wherever time ran out, and whatever the clock says the second time."""

from __future__ import annotations

import ast
import hashlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from test_planner_core_solve import make_problem

import spotkube.planner
from builders import (
    both_ways,
    make_claim,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_snapshot,
    node_of,
    spread,
)
from differential.drawing import of_seed
from differential.planned import WORK, read
from differential.registry import CONSTRAINTS
from moves_support import fleet
from spotkube.catalog import load_catalog
from spotkube.convert.documents import Mistakes, read_documents
from spotkube.convert.manifests import to_snapshot
from spotkube.convert.snapshots import _PODS_AT_ONCE, Record, _parts, from_bytes, to_bytes, to_record
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.history import SpotPool, SpotRecord
from spotkube.model.plan import Plan
from spotkube.model.policy import Pick, Policy
from spotkube.planner import clock
from spotkube.planner.clock import Clock, Stop
from spotkube.planner.consolidation.consolidate import consolidate
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget, Enough, Problem, Result
from spotkube.planner.relaxation import columns, pricing
from spotkube.planner.relaxation.bound import lower_bound
from spotkube.planner.search.solve import solve
from spotkube.planner.solver import Solver

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 1.0
# What the planner may know of time: its clock; when it tells of progress; how long it took to compile.
TELL_TIME = {"clock.py", "progress.py", "warmup.py"}


def set_time(monkeypatch: pytest.MonkeyPatch, now: Callable[[], float]) -> None:
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=now))


def uneven_time(seed: int, step: float) -> Callable[[], float]:
    """Passes only while it is looked at, by any thread, and by no two looks alike."""
    random, lock, now = np.random.default_rng(seed), threading.Lock(), 0.0

    def look() -> float:
        nonlocal now
        with lock:
            now += float(random.exponential(step))
            return now

    return look


# The second time no time passes at all, all of it has passed before the first look, or it is the real one.
OTHER_TIMES: dict[str, Callable[[], Callable[[], float]]] = {
    "standing": lambda: lambda: 0.0,
    "over": lambda: itertools.count(1e6, 1e6).__next__,
    "real": lambda: time.perf_counter,
}


class TestStops:
    def test_it_counts_how_often_it_let_the_work_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_time(monkeypatch, itertools.count().__next__)
        stop = Clock(4.5).stop()
        assert [stop() for _ in range(8)] == [False] * 4 + [True] * 4
        assert stop.passes == 4

    def test_its_count_is_all_that_it_needs_to_say_the_same_again(self) -> None:
        stop = Clock(0.0, recorded=(3,)).stop()
        assert [(stop.near(), stop()) for _ in range(5)] == [(False, False)] * 3 + [(True, True)] * 2

    def test_a_look_amid_the_work_counts_for_nothing(self) -> None:
        stop = Stop(None, 1)
        assert [stop.near() for _ in range(5)] == [False] * 5
        assert not stop() and stop.near() and stop()

    def test_shares_end_one_after_the_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_time(monkeypatch, lambda: 0.0)
        budget = Clock(10.0)
        early, late, none = budget.stop(0.2), budget.stop(), Clock(None).stop()
        set_time(monkeypatch, lambda: 5.0)
        assert (early(), late(), none()) == (True, False, False)
        assert budget.passes == (0, 1)

    def test_what_is_not_recorded_ends_at_once(self) -> None:
        budget = Clock(None, recorded=(2,))
        assert (budget.stop().near(), budget.stop().near()) == (False, True)

    def test_who_breaks_off_leaves_no_count(self) -> None:
        budget = Clock(None)
        budget.stop().break_off()
        assert budget.passes is None

    def test_nothing_else_in_the_planner_knows_the_time(self) -> None:
        folder = Path(spotkube.planner.__file__).parent
        knowing = {
            file.name
            for file in folder.glob("*.py")
            for node in ast.walk(ast.parse(file.read_text()))
            if (isinstance(node, ast.Import) and {name.name for name in node.names} & {"time", "datetime", "timeit"})
            or (isinstance(node, ast.ImportFrom) and node.module in {"time", "datetime", "timeit"})
        }
        assert knowing == TELL_TIME


def alike(one: Result, other: Result) -> bool:
    arrays = ("node_kind", "node_pods", "bin_pods", "unplaced")
    same = all(np.array_equal(getattr(one.solution, name), getattr(other.solution, name)) for name in arrays)
    values = ("lower_bound", "column_rounds", "generations", "front", "branch_programs", "passes")
    return same and all(getattr(one, name) == getattr(other, name) for name in values)


def random_problem(seed: int, bins: int) -> Problem:
    random = np.random.default_rng(seed)
    groups = int(random.integers(2, 40))
    demand, count = random.integers(110, 990, groups).tolist(), random.integers(1, 12, groups).tolist()
    stock = tuple(random.integers(300, 4000, bins).tolist())
    return make_problem(demand, count, [1000, 2100, 4000, 7900], [100, 185, 330, 610], stock)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 10_000),
    st.sampled_from([0, 0, 5, 40]),
    st.floats(-2.3, -0.5),
    st.sampled_from(sorted(OTHER_TIMES)),
    st.sampled_from([None, Enough(), Enough(5), Enough(50), Enough(part=0.03), Enough(part=0.2)]),
)
def test_a_search_ends_the_same_way_wherever_time_ran_out(
    monkeypatch: pytest.MonkeyPatch, seed: int, bins: int, speed: float, other: str, enough: Enough | None
) -> None:
    """Or where it was good enough, of which a replay need not be told."""
    problem, budget = random_problem(seed, bins), Budget(seconds=SECONDS)
    with monkeypatch.context() as patch:
        # Several threads look at the clock in the midst of the work, even where this machine has few cores.
        patch.setattr(pricing, "THREADS", 3)
        set_time(patch, uneven_time(seed, 10**speed))
        first = solve(problem, seed=seed, budget=replace(budget, enough=enough))
        bound = lower_bound(problem, budget)
    with monkeypatch.context() as patch:
        patch.setattr(pricing, "THREADS", 1)
        set_time(patch, OTHER_TIMES[other]())
        assert alike(solve(problem, seed=seed, budget=budget.part(1.0, first.passes)), first)
        again = lower_bound(problem, budget.part(1.0, bound.passes))
    assert (again.value, again.column_rounds, again.passes) == (bound.value, bound.column_rounds, bound.passes)


def of_examples() -> Snapshot:
    mistakes = Mistakes()
    documents = read_documents([str(EXAMPLES)], None, mistakes)  # type: ignore[arg-type]
    snapshot = to_snapshot(documents, load_catalog().offerings, mistakes).snapshot
    return replace(snapshot, pools=tuple(replace(pool, mode=Mode.RECOMMEND) for pool in snapshot.pools))


def with_nodes() -> Snapshot:
    """Thirty nodes, half full, and more pods than fit onto them."""
    large = make_offering("m.large", 0.1, cpu="4", memory="16Gi")
    claims = [make_claim(f"node-{n}", large, node=f"node-{n}") for n in range(30)]
    there = [pod for claim in claims for pod in make_pods(2, cpu="1", node=claim.name, workload="old")]
    waiting = [pod for n in range(12) for pod in make_pods(9, cpu=0.3 + n / 7, memory=f"{300 + 211 * n}Mi")]
    return make_snapshot(
        [*there, *waiting],
        [large, *both_ways("m.xlarge", 0.19, cpu="8", memory="32Gi")],
        claims=claims,
        nodes=[node_of(claim) for claim in claims],
        pools=[make_pool(allow_unmanaged_on_spot=True)],
    )


def in_rounds() -> Snapshot:
    """Pods that spread over two zones, of which one has room for few: what others may hold is found by solving."""
    offerings = [make_offering(cpu="2", zone=zone) for zone in ("zone-a", "zone-b")]
    claim = make_claim("full", offerings[0], node="full")
    pods = [
        *make_pods(9, cpu="1", app="web", spreads=[spread(app="web")]),
        *make_pods(5, cpu="700m", app="db", spreads=[spread(skew=2, app="db")]),
    ]
    limited = make_pool(limit_nodes=4)
    return make_snapshot(pods, offerings, claims=[claim], nodes=[node_of(claim)], pools=[limited])


def with_spot() -> Snapshot:
    """Spot pools to spread over, of which one was taken often, and a policy that does not take the cheapest plan."""
    zones = enumerate(("zone-a", "zone-b", "zone-c"))
    offerings = [make_offering("m.large", 0.030 + n / 1000, spot=True, zone=zone) for n, zone in zones]
    return make_snapshot(
        make_pods(30, cpu="500m", workload="web"),
        [*offerings, make_offering("m.large", 0.1)],
        workloads=(make_rule("web", 30),),
        spot_history=(SpotRecord(SpotPool("m.large", "zone-a"), 5000.5, 60, 50),),
        policy=Policy(Pick.SAFEST, within_percent=10.0),
    )


SNAPSHOTS = {"examples": of_examples, "nodes": with_nodes, "rounds": in_rounds, "spot": with_spot}


def half_empty() -> Snapshot:
    """Sixteen nodes, more than all sets of can be planned, and cheaper ones to be had; some pods wait."""
    small, large = make_offering("small", 0.1, cpu="2"), make_offering("large", 0.17, cpu="4", memory="16Gi")
    there = [(small, make_pods(1 + n % 2, cpu="500m", owner="ReplicaSet/some")) for n in range(16)]
    snapshot = fleet(there, [small, large])
    return replace(snapshot, pods=(*snapshot.pods, *make_pods(3, cpu="1500m", workload="new")))


@pytest.mark.parametrize("other", OTHER_TIMES)
@pytest.mark.parametrize("speed", [1e-4, 1e-3, 1e-2])
def test_moves_are_planned_again_wherever_time_ran_out(
    monkeypatch: pytest.MonkeyPatch, other: str, speed: float
) -> None:
    snapshot, budget = half_empty(), Budget(seconds=SECONDS)
    with monkeypatch.context() as patch:
        set_time(patch, uneven_time(7, speed))
        first = consolidate(snapshot, Mode.RECOMMEND, seed=3, budget=budget)
    assert first.drains
    monkeypatch.setattr(pricing, "THREADS", 1)
    set_time(monkeypatch, OTHER_TIMES[other]())

    assert consolidate(snapshot, Mode.RECOMMEND, seed=3, budget=budget, repeat=first.work) == first


@pytest.mark.parametrize("other", OTHER_TIMES)
@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_decision_is_made_again_bit_for_bit(monkeypatch: pytest.MonkeyPatch, name: str, other: str) -> None:
    snapshot, budget = SNAPSHOTS[name](), Budget(seconds=SECONDS)
    first = decide(snapshot, Mode.RECOMMEND, seed=3, budget=budget)
    monkeypatch.setattr(pricing, "THREADS", 1)
    set_time(monkeypatch, OTHER_TIMES[other]())

    assert decide(snapshot, Mode.RECOMMEND, seed=3, budget=budget, repeat=first.work) == first


def test_a_record_has_the_policy_and_what_was_seen_of_spot() -> None:
    snapshot = with_spot()
    first = decide(snapshot, Mode.RECOMMEND, seed=3, budget=Budget(seconds=SECONDS))
    record = from_bytes(to_bytes(to_record(snapshot, Mode.RECOMMEND, 3, SECONDS, first)))

    assert decide(record.snapshot, Mode.RECOMMEND, seed=3, budget=Budget(), repeat=record.work) == first
    # It takes no part in whether snapshots are equal, and yet makes another plan.
    unseen = replace(snapshot, spot_history=())
    assert unseen == record.snapshot
    assert decide(unseen, Mode.RECOMMEND, seed=3, budget=Budget(), repeat=record.work).front != first.front


def test_a_decision_of_several_searches_records_each() -> None:
    assert len(decide(in_rounds(), Mode.RECOMMEND, seed=0, budget=Budget(SECONDS)).work.passes) > 3
    assert len(decide(with_nodes(), Mode.RECOMMEND, seed=0, budget=Budget(SECONDS)).work.passes) == 3


def test_all_parts_of_a_decision_are_kept_in_their_order() -> None:
    problem = make_problem([600, 400], [3, 3], [1000], [100])

    def work(solver: Solver) -> list[object]:
        clock = solver.clock()
        found = [solver.solve(problem, 0.2).column_rounds, solver.within(Budget(None, 2)).bound(problem).value]
        stop = clock.stop()
        return [*found, [stop() for _ in range(4)].count(False)]

    first = Solver(0, Budget(SECONDS))
    came_to = work(first)
    assert len(first.passes) == 3 and first.passes[0] == (4,)
    again = Solver(0, Budget(0.0), [passes or () for passes in first.passes])
    assert (work(again), again.passes) == (came_to, first.passes)


def test_a_busy_machine_makes_no_difference() -> None:
    snapshot, budget = of_examples(), Budget(seconds=SECONDS)
    first = decide(snapshot, Mode.RECOMMEND, seed=0, budget=budget)
    done = threading.Event()

    def waste() -> None:
        while not done.is_set():
            # It takes a core, and not the interpreter's lock with it.
            hashlib.sha256(bytes(10**7))

    busy = [threading.Thread(target=waste) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        again = decide(snapshot, Mode.RECOMMEND, seed=0, budget=budget, repeat=first.work)
    finally:
        done.set()
        for thread in busy:
            thread.join()
    assert again == first


def without(plan: Plan, search: int, stop: int) -> Plan:
    """The plan that comes out where this count is left out of its work."""
    passes = [list(of_search or ()) for of_search in plan.work.passes]
    passes[search][stop] = 0
    left = replace(plan.work, passes=tuple(map(tuple, passes)))
    return decide(with_nodes(), Mode.RECOMMEND, seed=0, budget=Budget(SECONDS), repeat=left)


def test_no_count_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    # As where there is too much for the fluid: from its prices on, no round would prove more here.
    monkeypatch.setattr(columns, "fluid_duals", lambda *_: None)
    with monkeypatch.context() as patch:
        set_time(patch, uneven_time(seed=1, step=0.003))
        plan = decide(with_nodes(), Mode.RECOMMEND, seed=0, budget=Budget(SECONDS))
    (_, _, rounds, _, search, *_), bound, _ = plan.work.passes  # type: ignore[misc]
    assert rounds > 0 and search > 0 and any(bound)

    assert without(plan, 0, 2).work.column_rounds < plan.work.column_rounds
    assert without(plan, 0, 4).work.generations < plan.work.generations
    assert without(plan, 1, 1).lower_bound_micro_usd_hour < plan.lower_bound_micro_usd_hour


AGAIN = """
import sys
from pathlib import Path
from differential.planned import WORK
from spotkube.convert.snapshots import digest, from_bytes
from spotkube.planner.decide import decide
for file in sorted(Path(sys.argv[1]).iterdir()):
    record = from_bytes(file.read_bytes())
    plan = decide(record.snapshot, record.mode, seed=record.seed, budget=WORK, repeat=record.work)
    print(file.name, digest(plan) == record.plan)
"""


def test_rules_of_every_kind_are_planned_alike_however_strings_are_hashed(tmp_path: Path) -> None:
    """Sets have another order in each process. The clusters are drawn so that each constraint matters in some."""
    for seed in range(len(CONSTRAINTS)):
        snapshot = read(of_seed(seed)).snapshot
        plan = decide(snapshot, Mode.RECOMMEND, seed=seed, budget=WORK)
        (tmp_path / f"{seed:03}").write_bytes(to_bytes(to_record(snapshot, Mode.RECOMMEND, seed, None, plan)))
    environment = {**os.environ, "PYTHONHASHSEED": "4", "PYTHONPATH": os.pathsep.join(sys.path)}
    again = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path)], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert [line for line in again.splitlines() if not line.endswith("True")] == []
    assert len(again.splitlines()) == len(CONSTRAINTS)


def test_a_record_of_many_pods_is_written_in_steps_and_reads_the_same() -> None:
    pods = [make_pod(f"p{i}") for i in range(2 * _PODS_AT_ONCE + 1)]
    record = to_record(make_snapshot(pods, []), Mode.APPLY, 1, 2.0, Plan())

    assert from_bytes(to_bytes(record)) == record
    assert b"".join(_parts(record)) == TypeAdapter(Record).dump_json(record)
