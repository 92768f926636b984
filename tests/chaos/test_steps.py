"""kill -9 before and after each call that changes something outside; the calls are found by a rehearsal.

`make chaos SEED=7 MINUTES=30` kills at as many of them as there is time for, in an order drawn from the seed, and tells
what was looked at. CHAOS_AT and CHAOS_WHEN name one call, to see it again.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import typing
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from life import At, Scene, tell, verdicts, violations

from chaos.gate import PROVIDER_WRITES
from demo.errors import DemoError
from spotkube.controllers.claims import steps
from support_operator import Site, Story

WHEN = ("before", "after")
# What needs a recommendation, or a volume that is still attached: the life has neither.
ELSEWHERE = {steps.RecordWarning.__name__, steps.Avoid.__name__, steps.RecordDrained.__name__}
# What is mostly done beside the cycle, by a call of its own.
BESIDE, BESIDE_CALL = steps.Cordon.__name__, "patch nodes by Doors.close"


def calls(lines: Iterable[str]) -> list[str]:
    """The names of calls in a gate's log, each once."""
    return sorted({line for line in lines if " by " in line and not line.startswith("gate ")})


def test_a_rehearsal_meets_every_step_of_a_claim(scene: Scene) -> None:
    history = tell(scene)

    assert violations(history) == []
    assert all(verdict.cases for verdict in verdicts(history)), "some invariant was never looked at"
    met = set(scene.lines())
    expected = {step.__name__ for step in typing.get_args(steps.Step)} - {steps.Wait.__name__, BESIDE} - ELSEWHERE
    assert {line.removeprefix("step ") for line in met if line.startswith("step ")} - {BESIDE} == expected
    assert BESIDE_CALL in met
    called = {line.split(" by ")[0] for line in met}
    assert {f"{verb} instance" for verb in PROVIDER_WRITES} <= called
    assert "evict pods" in called


def replayed() -> list[At]:
    return [At(os.environ["CHAOS_AT"], os.environ.get("CHAOS_WHEN", "before"))] if "CHAOS_AT" in os.environ else []


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_killed_at_any_call_it_goes_on(site: Site, namespace: str, tmp_path: Path) -> None:
    seed, minutes = int(os.environ.get("CHAOS_SEED", "0")), float(os.environ.get("CHAOS_MINUTES", "30"))
    until = time.monotonic() + 60 * minutes
    cases: Counter[str] = Counter()
    failures: list[str] = []

    def one(number: int, at: At | None) -> Scene:
        scene = Scene(Story(site, namespace, f"-{number}"), tmp_path / f"gate-{number}.log")
        try:
            history = tell(scene, at)
            cases.update({verdict.name: verdict.cases for verdict in verdicts(history)})
            failures.extend(f"{at}: {each}" for each in violations(history))
        except (AssertionError, DemoError) as error:
            failures.append(f"{at}: {error}")
        finally:
            scene.leave()
        return scene

    todo = replayed()
    if not todo:
        todo = [At(name, when) for name, when in itertools.product(calls(one(0, None).lines()), WHEN)]
        random.Random(seed).shuffle(todo)
    kills: Counter[str] = Counter()
    for number, at in enumerate(todo, 1):
        if time.monotonic() > until:
            break
        kills["killed" if one(number, at).reached() else "never reached"] += 1
    report = {"seed": seed, "of": len(todo), "kills": kills, "cases": cases, "violations": failures}
    print(json.dumps(report, indent=2))
    assert kills["killed"]
    assert failures == [], "see one again: CHAOS_AT='NAME' CHAOS_WHEN=before|after make chaos"
