"""The operator's machine takes it to be another time than the API server and the cloud do."""

from __future__ import annotations

import pytest
from life import Scene, tell_plain

MINUTES_5 = 300.0


# Who is behind believes that there is time, and forces pods too late; who is ahead, that there is none.
@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-MINUTES_5, MINUTES_5])
def test_a_clock_that_is_wrong_by_minutes_costs_no_pod_its_grace(scene: Scene, ahead: float) -> None:
    scene.evictable, before = 0, scene.report.cases["forced_when_due"]

    assert tell_plain(scene, clock_ahead_seconds=ahead) == []
    assert scene.report.cases["forced_when_due"] > before
