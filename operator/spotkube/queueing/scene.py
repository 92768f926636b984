"""All that a cycle looks at, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spotkube.queueing.backlog import Backlog
from spotkube.queueing.budgets import Spent
from spotkube.queueing.capacity import NO_LIMIT, Capacity
from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.jobs import Running
from spotkube.queueing.outcomes import NO_ERRORS, Errors
from spotkube.queueing.queues import Queue
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.rules import DEFAULTS, Rules


@dataclass(frozen=True)
class Scene:
    """What is there, and what waits. Nothing in it is changed by a cycle."""

    now_seconds: float
    """Unix time."""
    queues: Mapping[str, Queue]
    backlog: Backlog
    running: Mapping[str, Running]
    """By UID."""
    ledger: Ledger
    """What `running` uses (`Ledger.of`)."""
    capacity: Capacity = NO_LIMIT
    spent: Mapping[str, Spent] = field(default_factory=dict)
    """By queue; one that is absent has spent nothing."""
    rules: Rules = DEFAULTS
    clock: VirtualClock | None = None
    """What the keys of those who wait are from; None if they stay as they are. It is copied to be played forward."""
    errors: Errors = NO_ERRORS
    """Of what was told before."""
