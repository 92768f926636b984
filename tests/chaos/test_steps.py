"""kill -9 before and after each call that changes something outside; the calls are found by a rehearsal."""

from __future__ import annotations

import typing

from life import Scene, tell, verdicts, violations

from chaos.gate import PROVIDER_WRITES
from spotkube.controllers.claims import steps


def test_a_rehearsal_meets_every_step_of_a_claim(scene: Scene) -> None:
    history = tell(scene)

    assert violations(history) == []
    assert all(verdict.cases for verdict in verdicts(history)), "some invariant was never looked at"
    met = set(scene.lines())
    expected = {step.__name__ for step in typing.get_args(steps.Step)} - {steps.Wait.__name__}
    assert {line.removeprefix("step ") for line in met if line.startswith("step ")} == expected
    called = {line.split(" by ")[0] for line in met}
    assert {f"{verb} instance" for verb in PROVIDER_WRITES} <= called
    assert "evict pods" in called
