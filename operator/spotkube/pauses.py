"""Keeps Python's garbage collection from stopping a large cluster's operator for a second at a time."""

import gc
from typing import Any

# Each collection walks through all that is held in memory; by Python's own thresholds, with thousands of jobs, a sixth
# of the time goes into that. Next to nothing of ours is garbage in cycles.
_THRESHOLDS = (100_000, 20, 20)
_OLDEST = 2


def keep_pauses_short() -> None:
    """For this process, from now on."""
    gc.set_threshold(*_THRESHOLDS)
    if _spare_survivors not in gc.callbacks:
        gc.callbacks.append(_spare_survivors)


def _spare_survivors(phase: str, info: dict[str, Any]) -> None:
    """What has outlived a whole collection is left out of those to come. It goes as ever when nothing refers to it any
    more; only cycles that become garbage after that stay, of which there are few."""
    if phase == "stop" and info["generation"] == _OLDEST:
        gc.freeze()
