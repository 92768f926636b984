"""How evenly a queue serves those who ask it for something."""

from collections.abc import Mapping, Sequence
from itertools import accumulate


def jain(parts: Sequence[float]) -> float:
    """Jain's index (Jain, Chiu, Hawe: A Quantitative Measure of Fairness, DEC-TR-301, 1984) of what each got of its
    due: 1 if all got the same part, 1/n if one of n got all; 0 where nobody got anything."""
    squares = sum(part * part for part in parts)
    return sum(parts) ** 2 / (len(parts) * squares) if squares else 0.0


def entitlements(weights: Mapping[str, float]) -> dict[str, float]:
    """The part of the whole that each is entitled to; those of weight 0 share evenly once they are among themselves."""
    total = sum(weights.values())
    return {name: weight / total if total > 0 else 1 / len(weights) for name, weight in weights.items()}


def dues(wants: Mapping[str, float], weights: Mapping[str, float], total: float) -> dict[str, float]:
    """What each is due of `total`: by weight, none more than it wants, and what one doesn't want is the others'
    (weighted max-min fairness: Bertsekas and Gallager, Data Networks, 6.5.2). Those of weight 0 get what is left over.
    """
    weighted = {name: want for name, want in wants.items() if weights[name] > 0}
    found = _filled(weighted, weights, total)
    rest = {name: want for name, want in wants.items() if name not in weighted}
    return found | _filled(rest, dict.fromkeys(rest, 1.0), total - sum(found.values()))


def served(gets: Mapping[str, float], wants: Mapping[str, float], weights: Mapping[str, float]) -> list[float]:
    """What part of its due, from 0 to 1, each has of all that they have together. `wants` include what they have, and
    name everybody who asks. Who is due nothing lacks nothing, unless nobody has anything."""
    total = sum(gets.values())
    due = dues(wants, weights, total)
    return [min(1.0, gets.get(name, 0.0) / due[name]) if due[name] > 0 else float(total > 0) for name in wants]


def _filled(wants: Mapping[str, float], weights: Mapping[str, float], total: float) -> dict[str, float]:
    order = sorted(wants, key=lambda name: wants[name] / weights[name])
    # From the end, since what is left after subtracting may be less than what is still to come.
    with_later = list(accumulate(weights[name] for name in reversed(order)))
    left, found = max(0.0, total), dict[str, float]()
    for name, weight in zip(order, reversed(with_later), strict=True):
        found[name] = min(wants[name], left * (weights[name] / weight))
        left = max(0.0, left - found[name])
    return found
