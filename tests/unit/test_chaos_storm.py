"""What a seed draws, and what is told of it."""

from __future__ import annotations

import json

from rich.console import Console

from chaos.invariants import Verdict
from chaos.report import Report
from chaos.storm import Storm, Victims

MACHINES = {"n1": "a", "n2": "a", "n3": "b", "n4": "b", "n5": "b"}


def test_a_seed_always_draws_the_same_storm_and_seeds_draw_all_there_is() -> None:
    storms = [Storm.drawn(seed) for seed in range(200)]

    assert storms == [Storm.drawn(seed) for seed in range(200)]
    assert {storm.victims for storm in storms} == set(Victims)
    assert {storm.clock_ahead_seconds for storm in storms} == {-300, 0, 300}
    assert {storm.price_times for storm in storms} == {0.02, 1.0, 1.5}
    for chosen in (
        {storm.kill_after_seconds is None for storm in storms},
        {storm.sold_out for storm in storms},
        {storm.neighbour for storm in storms},
        {storm.meddler for storm in storms},
    ):
        assert chosen == {True, False}
    assert all(max(values) > 0 for values in zip(*((s.never_register, s.die_early) for s in storms), strict=True))


def test_victims_are_one_half_or_a_whole_zone() -> None:
    picked = {storm.victims: storm.pick(MACHINES) for storm in map(Storm.drawn, range(50))}

    assert len(picked[Victims.ONE]) == 1
    assert len(picked[Victims.HALF]) == 3
    assert picked[Victims.ZONE] in (["n1", "n2"], ["n3", "n4", "n5"])


def test_a_report_adds_up_and_tells_each_violation() -> None:
    report = Report(seed=7)
    report.add("storm 7", {"500": 2}, [Verdict("warned", 3)])
    report.add("storm 8", {"500": 1, "kill": 1}, [Verdict("warned", 1, ("pod a/b was told late",))], ["it never ended"])

    found = json.loads(report.to_json())
    assert (found["lives"], found["faults"], found["cases"]) == (2, {"500": 3, "kill": 1}, {"warned": 4})
    assert found["violations"] == ["storm 8: it never ended", "storm 8: warned: pod a/b was told late"]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(report.to_table())
    assert "2 lives from seed 7, 2 violations" in shown.get()
    [row] = [line for line in shown.get().splitlines() if line.startswith("warned")]
    assert row.split() == ["warned", "4", "1"]
