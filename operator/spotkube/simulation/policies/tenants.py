"""Tenants that each wait in a line of their own, first come, first served within it."""

from collections.abc import Callable, Iterator
from typing import Any

from spotkube.simulation.jobs import Job

Lines = dict[str, dict[str, Job]]


class TenantLines:
    """Jobs by tenant; tenants without a waiting job are not in there."""

    def __init__(self) -> None:
        self.lines: Lines = {}

    def add(self, job: Job) -> None:
        self.lines.setdefault(job.tenant, {})[job.id] = job

    def remove(self, job: Job) -> None:
        del self.lines[job.tenant][job.id]
        if not self.lines[job.tenant]:
            del self.lines[job.tenant]

    def heads_first(self, key: Callable[[Job], Any]) -> Iterator[Job]:
        """The head of the line with the least key, then that of the next line; then all seconds, and so on."""
        lines = [iter(line.values()) for line in self.lines.values()]
        while lines:
            heads = [(job, line) for line in lines if (job := next(line, None)) is not None]
            heads.sort(key=lambda head: key(head[0]))
            yield from (job for job, _ in heads)
            lines = [line for _, line in heads]
