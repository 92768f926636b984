"""What one solver reaches on one problem over time: its cheapest plan, and the front of cost and interruptions."""

import time
from dataclasses import dataclass, field

from spotkube.model.history import HOURS_A_MONTH
from spotkube.planner.problem import Problem, Solution

# (micro-dollars an hour, expected interrupted pods a month)
Point = tuple[float, float]


@dataclass
class Attempt:
    """Plans that leave pods out don't count.

    Attributes:
        started: of the clock that time.perf_counter reads.
        curve: (seconds since the start, micro-dollars an hour) of each plan that was cheaper than those before it.
        front: what all plans were worth.
        best: the cheapest.
    """

    problem: Problem
    started: float
    curve: list[tuple[float, int]] = field(default_factory=list)
    front: list[Point] = field(default_factory=list)
    best: Solution | None = None

    def plan(self, solution: Solution) -> None:
        """Takes note of a plan that is there now."""
        point = point_of(self.problem, solution)
        if point is None:
            return
        self.front.append(point)
        if not self.curve or point[0] < self.curve[-1][1]:
            self.curve.append((time.perf_counter() - self.started, int(point[0])))
            self.best = solution


def point_of(problem: Problem, solution: Solution) -> Point | None:
    """What a plan is worth; None if pods are missing."""
    if solution.unplaced.any():
        return None
    risk = problem.interruption_rate[solution.node_kind] * HOURS_A_MONTH
    return float(solution.cost(problem)), float((risk * solution.node_pods.sum(axis=1)).sum())


def unbeaten(points: list[Point]) -> list[Point]:
    """Those that no other beats in both, by cost."""
    kept: list[Point] = []
    for point in sorted(set(points)):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


def hypervolume(front: list[Point], reference: Point) -> float:
    """The area between the points and the reference, both objectives to be small, as a part of the reference's own."""
    area, height = 0.0, reference[1]
    for cost, risk in sorted(p for p in front if p[0] < reference[0] and p[1] < reference[1]):
        if risk < height:
            area += (reference[0] - cost) * (height - risk)
            height = risk
    return area / (reference[0] * reference[1])
