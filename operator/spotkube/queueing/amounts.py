"""What the order may be told: sizes, weights, capacities and times, refused or held within what floats bear."""

import math

WEIGHT_UNIT = 1_000_000
"""Weights are counted in whole millionths, so that sums of them never drift."""
LEAST_SIZE = 1e-3
"""Smaller jobs count as this large: were nothing free, a flood of it would stand in front of everybody."""
MOST_SIZE = 1e12
"""Larger ones count as this large: 30,000 years of one core. Beyond it sums would lose the seconds of the others."""
MOST_WEIGHT = 1e6
MOST_CAPACITY = 1e12


def checked_size(size: float) -> float:
    """Units of capacity times seconds, held within bounds. Raises ValueError for what is no number or negative."""
    return min(max(_amount("size", size), LEAST_SIZE), MOST_SIZE)


def checked_weight(weight: float) -> int:
    """In millionths; only 0 is nothing. Raises ValueError for what is no number or negative."""
    value = _amount("weight", weight)
    return max(1, round(min(value, MOST_WEIGHT) * WEIGHT_UNIT)) if value else 0


def checked_capacity(capacity: float) -> float:
    """Units of capacity. Raises ValueError for what is no number or negative."""
    return min(_amount("capacity", capacity), MOST_CAPACITY)


def checked_seconds(seconds: float) -> float:
    """A moment. Raises ValueError for what is no finite number."""
    if not math.isfinite(seconds):
        raise ValueError(f"now: {seconds!r} is no moment; give seconds as a finite number")
    return float(seconds)


def _amount(field: str, value: float) -> float:
    if math.isnan(value) or value < 0:
        raise ValueError(f"{field}: {value!r} is no amount; give a number of zero or more")
    return float(value)
