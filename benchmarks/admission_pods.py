"""Jobs whose pods run, on KWOK nodes that are bought for them: when each step of a job is done."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from admission_load import NAMESPACE, LoadJob, manifest
from admission_play import JOBS_PATH, Api

PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
SLOWER = 10
"""Run times are so many times those of the load without pods: KWOK's have whole seconds."""
Json = dict[str, Any]
STEPS = (
    ("admitted", "it is let go (waiting for its turn)"),
    ("made", "its pod is made (Job controller)"),
    ("placed", "its pod has a node (planner, cloud, kube-scheduler)"),
    ("running", "its pod runs (KWOK)"),
    ("succeeded", "its pod has ended (its run, by KWOK)"),
    ("complete", "the Job is complete (Job controller)"),
)


@dataclass
class Course:
    """`at` says when each step was seen first, in seconds of the monotonic clock."""

    job: LoadJob
    at: dict[str, float]


class Player:
    """One run of the load."""

    def __init__(self, api: Api, load: list[LoadJob]) -> None:
        self.courses = {job.name: Course(job, {}) for job in load}
        self._api = api
        self._tasks = asyncio.TaskGroup()

    async def play(self, patience_seconds: float) -> None:
        """Returns when all are complete. Raises TimeoutError if for so long none is, or what a call raised."""
        async with self._tasks:
            watching = [
                self._tasks.create_task(self._follow(JOBS_PATH, await self._version(JOBS_PATH), self._take_job)),
                self._tasks.create_task(self._follow(PODS_PATH, await self._version(PODS_PATH), self._take_pod)),
            ]
            self._tasks.create_task(self._create())
            seen, since = 0, time.monotonic()
            while (done := self._count("complete")) < len(self.courses):
                if done > seen:
                    seen, since = done, time.monotonic()
                elif time.monotonic() - since > patience_seconds:
                    raise TimeoutError(f"no job has ended for {patience_seconds:g} s; {self.said()}")
                await asyncio.sleep(0.1)
            for task in watching:
                task.cancel()

    def said(self) -> str:
        return ", ".join(f"{self._count(step)} {step}" for step, _ in STEPS) + f" of {len(self.courses)}"

    def steps(self) -> Json:
        """Of each step, the seconds since the one before: median and 95th percentile over all jobs."""
        found, before = {}, "asked"
        for step, _ in STEPS:
            taken = [max(0.0, one.at[step] - one.at[before]) for one in self.courses.values()]
            found[step] = {"p50": round(median(taken), 2), "p95": round(quantiles(taken, n=20)[-1], 2)}
            before = step
        return found

    def _count(self, step: str) -> int:
        return sum(step in one.at for one in self.courses.values())

    async def _version(self, path: str) -> str:
        return str(json.loads(await self._api.get(f"{path}?limit=1"))["metadata"]["resourceVersion"])

    async def _create(self) -> None:
        began = time.monotonic()
        for course in self.courses.values():
            if (wait := began + course.job.due_seconds - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            course.at["asked"] = time.monotonic()
            body = manifest(course.job, run_seconds=course.job.kind.run_seconds * SLOWER)
            self._tasks.create_task(self._api.send("POST", JOBS_PATH, body))

    async def _follow(self, path: str, version: str, take: Callable[[Json], None]) -> None:
        while True:
            async for event in self._api.watch(path, version):
                version = event["object"]["metadata"]["resourceVersion"]
                take(event["object"])

    def _take_job(self, raw: Json) -> None:
        self._mark(raw["metadata"]["name"], "admitted", not raw["spec"]["suspend"])
        self._mark(raw["metadata"]["name"], "complete", bool(raw["status"].get("completionTime")))

    def _take_pod(self, raw: Json) -> None:
        name, phase = raw["metadata"]["labels"]["batch.kubernetes.io/job-name"], raw["status"]["phase"]
        self._mark(name, "made", True)
        self._mark(name, "placed", "nodeName" in raw["spec"])
        self._mark(name, "running", phase in ("Running", "Succeeded"))
        self._mark(name, "succeeded", phase == "Succeeded")

    def _mark(self, name: str, step: str, done: bool) -> None:
        if done:
            self.courses[name].at.setdefault(step, time.monotonic())


def table(row: Json) -> str:
    head = f"{row['jobs']} jobs in {row['seconds']} s; the floor by quota is {row['floor_seconds']} s"
    lines = [f"{'seconds until':52} {'p50':>7} {'p95':>7}"]
    lines += [f"{words:52} {row['steps'][step]['p50']:>7} {row['steps'][step]['p95']:>7}" for step, words in STEPS]
    return "\n".join([head, *lines])
