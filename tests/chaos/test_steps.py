"""kill -9 before and after each call that changes something outside; the calls are found by a rehearsal.

`make chaos SEED=7 MINUTES=30` kills at as many of them as there is time for, in an order drawn from the seed. CHAOS_AT
and CHAOS_WHEN name one call, to see it again.
"""

from __future__ import annotations

import itertools
import os
import random
import time
import typing
from collections import Counter
from pathlib import Path

import pytest
from life import At, Scene, Unfinished, tell_plain

from chaos.gate import PROVIDER_WRITES
from chaos.report import Report
from spotkube.controllers.claims import steps
from support_operator import Site, Story

WHEN = ("before", "after")
# What needs a recommendation, or a volume that is still attached: the life has neither.
ELSEWHERE = {steps.RecordWarning.__name__, steps.Avoid.__name__, steps.RecordDrained.__name__}
# What is mostly done beside the cycle, by a call of its own.
BESIDE, BESIDE_CALL = steps.Cordon.__name__, "patch nodes by Doors.close"


def test_a_rehearsal_meets_every_step_of_a_claim(scene: Scene) -> None:
    before = scene.report.cases.copy()

    assert tell_plain(scene) == []
    never = {name for name, number in scene.report.cases.items() if number == before[name]}
    assert never == {"forced_when_due"}, "some invariant was never looked at; that one needs a budget that lets none go"
    met = scene.met()
    expected = {step.__name__ for step in typing.get_args(steps.Step)} - {steps.Wait.__name__, BESIDE} - ELSEWHERE
    assert {name.removeprefix("step ") for name in met if name.startswith("step ")} - {BESIDE} == expected
    assert BESIDE_CALL in met
    called = {name.split(" by ")[0] for name in met}
    assert {f"{verb} instance" for verb in PROVIDER_WRITES} <= called
    assert "evict pods" in called


def replayed() -> list[At]:
    return [At(os.environ["CHAOS_AT"], os.environ.get("CHAOS_WHEN", "before"))] if "CHAOS_AT" in os.environ else []


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_killed_at_any_call_it_goes_on(site: Site, namespace: str, tmp_path: Path, report: Report) -> None:
    minutes, told = float(os.environ.get("CHAOS_MINUTES", "30")), len(report.violations)
    until = time.monotonic() + 60 * minutes

    def one(number: int, at: At | None) -> Scene:
        scene = Scene(Story(site, namespace, f"-{number}"), tmp_path / f"gate-{number}.log", report)
        try:
            tell_plain(scene, at)
        except Unfinished:
            pass  # the report has it, and the other calls are still to be tried
        finally:
            scene.leave()
        return scene

    todo = replayed()
    if not todo:
        met = (name for name in one(0, None).met() if " by " in name and not name.startswith("gate "))
        todo = [At(name, when) for name, when in itertools.product(sorted(met), WHEN)]
        random.Random(report.seed).shuffle(todo)
    kills: Counter[str] = Counter()
    for number, at in enumerate(todo, 1):
        if time.monotonic() > until:
            break
        kills["killed" if one(number, at).reached() else "never reached"] += 1
    print(f"of {len(todo)} kills: {dict(kills)}")
    assert kills["killed"]
    assert report.violations[told:] == [], "see one again: CHAOS_AT='NAME' CHAOS_WHEN=before|after make chaos"
