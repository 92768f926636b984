"""The time budget of a decision and where it went."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds since the start, and those of each phase; no limit if `seconds` is None."""

    seconds: float | None
    started: float = field(default_factory=time.perf_counter)
    phases: dict[str, float] = field(default_factory=dict)

    def over(self, share: float = 1.0) -> bool:
        """Whether that share of the budget is used up."""
        return self.seconds is not None and time.perf_counter() - self.started >= share * self.seconds

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def lap(self, phase: str) -> None:
        """Ends a phase."""
        self.phases[phase] = time.perf_counter() - self.started - sum(self.phases.values())
