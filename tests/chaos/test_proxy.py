"""The whole life of a node, while the API server's answers are late, lost, refused, repeated, stale or never come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from disturbing import disturbed_api
from life import Scene, tell

from chaos.proxy import Fault

SHARE = 0.2


@pytest.mark.slow
def test_an_api_server_that_fails_costs_nothing_but_time(scene: Scene, tmp_path: Path) -> None:
    seed = scene.report.seed
    with disturbed_api(scene, seed, SHARE, tmp_path) as proxy:

        def play() -> None:
            gated = scene.start_gated()
            scene.begin()
            scene.play(gated, None)

        def faults() -> Mapping[str, int]:
            return {f"API server: {kind}": count for kind, count in proxy.injected.items()}

        violations = tell(scene, play, f"a bad API server, seed {seed}", faults)
    assert set(proxy.injected) > {Fault.DELAY, Fault.DROP}, "too little was harmed to say anything"
    assert violations == [], f"see it again: make chaos SEED={seed}"
