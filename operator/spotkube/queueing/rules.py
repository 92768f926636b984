"""What the queue's decisions are held to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """Times are in seconds."""

    aging_seconds: float = 600.0
    """Once the start that a job was first promised is passed by this, nobody passes it any more. Until then it may be
    passed by those who, as far as estimates go, don't push it back."""
    max_preemptions: int = 3
    """A job that was preempted so often is left alone."""
    restart_seconds: float = 30.0
    """What each victim loses besides its unsaved work, as time of its run: its pods end and start again. Hence nobody
    is preempted for what comes by itself as soon."""
    backoff_seconds: float = 10.0
    """Pause before the first new try; doubled for each further one."""
    max_backoff_seconds: float = 600.0
    ready_seconds: float = 300.0
    """A gang whose pods are not all ready by then is given back."""

    def backoff(self, tries: int) -> float:
        """How long a job waits after its `tries`-th end before its time, from 1."""
        # 2.0**40 is beyond any limit; larger exponents would end in infinity.
        return float(min(self.max_backoff_seconds, self.backoff_seconds * 2.0 ** min(40, max(0, tries - 1))))


DEFAULTS = Rules()
