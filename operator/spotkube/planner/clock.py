"""The time budget of a decision and where it went."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds since the start, and those of each phase; no limit if `seconds` is None."""

    seconds: float | None
    started: float = field(default_factory=time.perf_counter)
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @property
    def left(self) -> float | None:
        return None if self.seconds is None else max(0.0, self.seconds - self.elapsed)

    def over(self, share: float = 1.0) -> bool:
        """Whether that share of the budget is used up."""
        return self.seconds is not None and self.elapsed >= share * self.seconds

    def lap(self, phase: str) -> None:
        """Ends a phase."""
        self.phases[phase] = self.elapsed - sum(self.phases.values())
