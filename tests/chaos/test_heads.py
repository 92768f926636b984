"""The leader is stopped exactly between its check and its call; another leads; then the first one wakes up."""

from __future__ import annotations

import pytest
from life import At, Scene, tell_plain

# What buys or destroys, and what is planned from. The first is made in each run of all tests.
CALLS = [
    "create nodeclaims by Carrier._buy.<locals>.create",
    "create instance by ClaimActor._launch",
    "delete instance by ClaimActor.take",
    "evict pods by ask",
    "patch nodes by ClaimActor._patch_node",
    "patch nodes by Doors.close",
    "delete nodes by ClaimActor.remove_node",
    "delete nodeclaims by ClaimActor.give_back",
]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in CALLS[2:]]


@pytest.mark.parametrize("name", [*CALLS[:2], *SLOW])
def test_a_stale_head_at_most_repeats_what_is_stored(scene: Scene, name: str) -> None:
    violations = tell_plain(scene, At(name, do="stop"))

    assert scene.reached(), f"the call never came: {sorted(scene.met())}"
    assert violations == []
