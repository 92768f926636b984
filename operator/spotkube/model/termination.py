"""What a Workload asks for when a node under its pods leaves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TerminationRule:
    """`grace_seconds` is how long a pod needs to end, None: what the pod says itself.

    `notice_annotation` is the annotation by which pods learn of their node's end, "" for none, and `notice_seconds` how
    long they are left alone once they know. `surge`: a pod's successor is ready before it is evicted.
    """

    grace_seconds: int | None = None
    notice_annotation: str = ""
    notice_seconds: int = 0
    surge: bool = False
