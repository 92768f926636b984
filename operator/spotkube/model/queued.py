"""What a pod says of the queue that it stands in, and of the group that it waits with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PodGroup:
    """Jobs and pods of one namespace that start with all or none. `size` counts the pods of all; None if nothing that
    can be used is said, which `mistake` tells, with the remedy."""

    name: str
    size: int | None = None
    mistake: str = ""


@dataclass(frozen=True, slots=True)
class QueuedPod:
    """A pod that stands in a queue by itself, and not through a Job. `image` and `command` are those of its first
    container, `run_seconds` is what its owner says, `mistake` what he wrote and can't be used, with the remedy."""

    queue: str
    image: str = ""
    command: tuple[str, ...] = ()
    run_seconds: float | None = None
    group: PodGroup | None = None
    mistake: str = ""
