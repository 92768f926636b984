"""Creates the jobs at their times and plays their execution by a timer: no pod is made, a job just ends."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from admission_load import NAMESPACE, LoadJob, manifest

JOBS_PATH = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
CONNECTIONS = 32
WATCH_SECONDS = 3600
MERGE = "application/merge-patch+json"
Json = dict[str, Any]


class Api:
    """The API server as an administrator, by plain requests: what the benchmark itself costs must be little."""

    def __init__(self, server: str, pki: Path) -> None:
        """Inside of a running event loop; `pki` is the cluster's folder of certificates."""
        trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        trust.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        # One connection more for the watch.
        connector = aiohttp.TCPConnector(limit=CONNECTIONS + 1, ssl=trust)
        self._session = aiohttp.ClientSession(server, connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        self._gate = asyncio.Semaphore(CONNECTIONS)

    async def close(self) -> None:
        await self._session.close()

    async def get(self, path: str) -> str:
        async with self._session.get(path) as answer:
            return await answer.text()

    async def send(self, method: str, path: str, body: Json, content_type: str = "application/json") -> None:
        """Raises RuntimeError for an answer that says no."""
        headers = {"Content-Type": content_type}
        async with (
            self._gate,
            self._session.request(method, path, data=json.dumps(body), headers=headers) as answer,
        ):
            text = await answer.text()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text}")

    async def watch(self, path: str, version: str) -> AsyncIterator[Json]:
        """Events after this version, until the API server ends it."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        async with self._session.get(path, params=query, timeout=aiohttp.ClientTimeout(sock_read=None)) as answer:
            async for line in answer.content:
                yield json.loads(line)


@dataclass
class Course:
    """What became of one job; times are seconds of the monotonic clock."""

    job: LoadJob
    asked_at: float = 0.0
    admitted_at: float | None = None
    ended_at: float | None = None
    taken_back: int = 0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Player:
    """One run of the whole load."""

    def __init__(self, api: Api, load: list[LoadJob]) -> None:
        self.courses = {job.name: Course(job) for job in load}
        self.admitted = 0
        self.ended = 0
        self._api = api
        self._tasks = asyncio.TaskGroup()

    async def play(self, patience_seconds: float) -> None:
        """Returns when all have ended. Raises TimeoutError if for so long none of them ends, or what a call raised."""
        version = json.loads(await self._api.get(f"{JOBS_PATH}?limit=1"))["metadata"]["resourceVersion"]
        async with self._tasks:
            watching = self._tasks.create_task(self._follow(version))
            self._tasks.create_task(self._create())
            seen, since = 0, time.monotonic()
            while self.ended < len(self.courses):
                if self.ended > seen:
                    seen, since = self.ended, time.monotonic()
                elif time.monotonic() - since > patience_seconds:
                    raise TimeoutError(f"no job has ended for {patience_seconds:g} s; {self.said()}")
                await asyncio.sleep(0.05)
            watching.cancel()

    def said(self) -> str:
        return f"{self.admitted} admitted, {self.ended} ended of {len(self.courses)}"

    async def _create(self) -> None:
        began = time.monotonic()
        for course in self.courses.values():
            if (wait := began + course.job.due_seconds - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            course.asked_at = time.monotonic()
            self._tasks.create_task(self._api.send("POST", JOBS_PATH, manifest(course.job)))

    async def _follow(self, version: str) -> None:
        while True:
            async for event in self._api.watch(JOBS_PATH, version):
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(event["object"])

    def _take(self, raw: Json) -> None:
        course = self.courses[raw["metadata"]["name"]]
        if course.ended_at is not None:
            return
        if raw["status"].get("completionTime"):
            course.ended_at = time.monotonic()
            self.ended += 1
        elif raw["spec"]["suspend"] and course.timer is not None:
            course.timer.cancel()
            course.timer, course.taken_back = None, course.taken_back + 1
        elif not raw["spec"]["suspend"] and course.timer is None:
            self._begin(course)

    def _begin(self, course: Course) -> None:
        if course.admitted_at is None:
            course.admitted_at = time.monotonic()
            self.admitted += 1
        started, loop = datetime.now(UTC), asyncio.get_running_loop()
        course.timer = loop.call_later(
            course.job.kind.run_seconds, lambda: self._tasks.create_task(self._complete(course.job.name, started))
        )

    async def _complete(self, name: str, started: datetime) -> None:
        """As the Job controller does once the only pod has ended well. The API server wants both conditions."""
        now = _rfc3339(datetime.now(UTC))
        conditions = [
            {"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now}
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        status = {"startTime": _rfc3339(started), "completionTime": now, "succeeded": 1, "conditions": conditions}
        await self._api.send("PATCH", f"{JOBS_PATH}/{name}/status", {"status": status}, MERGE)


async def bare_patches(api: Api, names: list[str], seconds: float) -> int:
    """How many patches of one annotation the API server carries out in this time, as many at once as for the load."""
    deadline, done = time.monotonic() + seconds, 0

    async def keep_on(first: int) -> None:
        nonlocal done
        number = first
        while time.monotonic() < deadline:
            body = {"metadata": {"annotations": {"load": str(number)}}}
            await api.send("PATCH", f"{JOBS_PATH}/{names[number % len(names)]}", body, MERGE)
            number += CONNECTIONS
            done += 1

    await asyncio.gather(*(keep_on(first) for first in range(CONNECTIONS)))
    return done


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
