"""When the work of a job that runs was last saved, as far as its owner says. It decides how much of it would be lost.

Where its pods say it, the one that saved its work longest ago decides. Owners write what they like, so it only ever
makes a job cheaper to end than one that saves nothing: what would not is as if it was not written.
"""

from dataclasses import dataclass
from typing import Protocol


class Saved(Protocol):
    """What is known of it."""

    def saved_at(self, started_seconds: float, now_seconds: float) -> float | None:
        """Unix time of when the work was last saved, of a job that started then; None if it never was."""


@dataclass(frozen=True, slots=True)
class PodSaved:
    """A pod of the job that has begun, and when it says that it saved its work last. Both are Unix times."""

    started_seconds: float
    last_seconds: float | None = None

    def counts(self, now_seconds: float) -> bool:
        """Whether it says something that can be."""
        return self.last_seconds is not None and self.started_seconds <= self.last_seconds <= now_seconds


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A job saves its work at each `interval_seconds` of its run, and did so at `last_seconds` (Unix time). None: its
    owner says nothing of it. `pods` are those that run, where any of them speaks for itself."""

    interval_seconds: float | None = None
    last_seconds: float | None = None
    pods: tuple[PodSaved, ...] = ()

    def saved_at(self, started_seconds: float, now_seconds: float) -> float | None:
        """As in `Saved`; None also before the first. A moment before the start, or yet to come, counts as not there."""
        found = []
        if self.interval_seconds is not None and self.interval_seconds > 0 and now_seconds > started_seconds:
            whole = (now_seconds - started_seconds) // self.interval_seconds
            found += [started_seconds + whole * self.interval_seconds] if whole else []
        own = PodSaved(started_seconds, self.last_seconds)
        last = self.last_seconds if own.counts(now_seconds) else None
        if any(pod.counts(now_seconds) for pod in self.pods):
            last = min(_since(pod, last, now_seconds) for pod in self.pods)
        if last is not None:
            found.append(max(started_seconds, last))
        return max(found, default=None)


@dataclass(frozen=True, slots=True)
class Together:
    """Of jobs that are ended together."""

    parts: tuple[Saved, ...]

    def saved_at(self, started_seconds: float, now_seconds: float) -> float | None:
        """As in `Saved`: the part that was saved longest ago decides."""
        told = [part.saved_at(started_seconds, now_seconds) for part in self.parts]
        saved = [moment for moment in told if moment is not None]
        return min(saved) if saved and len(saved) == len(told) else None


NO_CHECKPOINTS = Checkpoints()


def _since(pod: PodSaved, of_job: float | None, now_seconds: float) -> float:
    """When what the pod has was last saved, by what it says itself or else the job; it has nothing from before it
    began."""
    last = pod.last_seconds if pod.counts(now_seconds) else of_job
    return min(now_seconds, max(pod.started_seconds, last or 0.0))
