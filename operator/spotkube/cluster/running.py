"""The frame of the operator: the watches, the relists and the main task, started and ended together."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import MissingKinds, NotFound
from spotkube.cluster.reflecting import keep_watching
from spotkube.cluster.relisting import Report, keep_relisting
from spotkube.cluster.watching import connection_info, keep_watching_with_kopf
from spotkube.model.labels import GROUP

SHUTDOWN_SECONDS = 20.0
"""For the main task to end by itself; below the 30 s that a kubelet gives a pod."""

MAIN = "main"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OperatorContext:
    """What the main task gets. It should return soon after `stopping` is set; later it is cancelled."""

    client: KubeClient
    cache: Cache
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


Work = Callable[[], Coroutine[Any, Any, None]]
Main = Callable[[OperatorContext], Coroutine[Any, Any, None]]


async def run_operator(
    client: KubeClient,
    cache: Cache,
    main: Main,
    *,
    relist_seconds: float = 300,
    stop: asyncio.Event | None = None,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
    report_relist: Report | None = None,
) -> None:
    """Watch every kind of the cache and run `main` until SIGTERM, SIGINT, or `stop` is set, or main ends.

    `main` starts before the cache is filled: let it `await ctx.cache.wait_synced()`. Its error is raised here once
    all is down, since an operator whose loop died must die too and be restarted.

    Raises MissingKinds before anything is started when CRDs are missing, and KubeConfigError for what kopf cannot do.
    """
    await require_kinds(client, cache)
    connection_info(client.connection.configuration)
    stop = stop if stop is not None else asyncio.Event()
    context = OperatorContext(client, cache)
    ours = [resource for resource in cache.resources if resource.group == GROUP]
    work: dict[str, Work] = {
        "relists": lambda: keep_relisting(client, cache, relist_seconds, report_relist),
        "watches": lambda: keep_watching(client, cache, [one for one in cache.resources if one not in ours]),
        "our watches": lambda: keep_watching_with_kopf(client.connection, cache, ours),
        MAIN: lambda: main(context),
    }
    frame = _Frame(context, work, stop, shutdown_seconds)
    with _signals(stop):
        try:
            frame.start()
            await stop.wait()
            await frame.end()
        finally:
            await frame.cancel()
    frame.raise_error()


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set it."""
    loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def require_kinds(client: KubeClient, cache: Cache) -> None:
    """Raise MissingKinds naming those kinds of the cache that the API server does not serve.

    kopf would only warn, and never watch them, even if they appear later.
    """
    missing = []
    for resource in cache.resources:
        try:
            await anext(client.pages(resource, page_size=1))
        except NotFound:
            missing.append(resource.name)
    if missing:
        raise MissingKinds(
            f"the cluster has no {', '.join(missing)}: install them with `spotkube crds | kubectl apply -f -`"
        )


class _Frame:
    """Starts and ends our tasks; when one ends, for whatever reason, all shall end."""

    def __init__(
        self, context: OperatorContext, work: Mapping[str, Work], stop: asyncio.Event, shutdown_seconds: float
    ) -> None:
        self._context = context
        self._work = work
        self._stop = stop
        self._shutdown_seconds = shutdown_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for name, work in self._work.items():
            self._tasks[name] = asyncio.create_task(work(), name=name)
            self._tasks[name].add_done_callback(lambda _: self._stop.set())

    async def end(self) -> None:
        """Let main finish what it is doing, within limits."""
        self._context.stopping.set()
        main = self._tasks.get(MAIN)
        if main is not None:
            await asyncio.wait([main], timeout=self._shutdown_seconds)
            if not main.done():
                logger.warning("the main task did not end within %.0f s and is cancelled", self._shutdown_seconds)
        await self.cancel()

    async def cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def raise_error(self) -> None:
        """The first error of our tasks, if any."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
