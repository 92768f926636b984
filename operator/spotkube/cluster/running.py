"""The frame of the operator: the watches, the relists and the main task, started and ended together."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import kopf

from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import MissingKinds, NotFound
from spotkube.cluster.reflecting import keep_watching
from spotkube.cluster.relisting import Report, keep_relisting
from spotkube.cluster.watching import connection_info, register_login, register_watches, watch_settings
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
    all is down, since an operator whose loop died must die too and be restarted. End a run by `stop` rather than by
    cancelling it: kopf skips the orderly shutdown when cancelled.

    Raises MissingKinds before anything is started when CRDs are missing.
    """
    await require_kinds(client, cache)
    connection_info(client.connection.configuration)  # raises now rather than within kopf
    stop = stop if stop is not None else asyncio.Event()
    context = OperatorContext(client, cache)
    ours = [resource for resource in cache.resources if resource.group == GROUP]
    work: dict[str, Work] = {
        "relists": lambda: keep_relisting(client, cache, relist_seconds, report_relist),
        "watches": lambda: keep_watching(client, cache, [one for one in cache.resources if one not in ours]),
        MAIN: lambda: main(context),
    }
    frame = _Frame(context, work, stop, shutdown_seconds)
    registry = kopf.OperatorRegistry()
    register_login(registry, client.connection)
    register_watches(registry, cache, ours)
    permanent = kopf.ErrorsMode.PERMANENT  # the default is to try again for ever
    kopf.on.startup(id="start", errors=permanent, registry=registry)(frame.start)
    kopf.on.cleanup(id="end", errors=permanent, registry=registry)(frame.end)
    try:
        await kopf.operator(
            registry=registry, settings=watch_settings(), standalone=True, clusterwide=True, stop_flag=stop
        )
    except Exception as error:
        # Told to end while it still scans for kinds, kopf closes the connection below the feet of its own requests.
        if not context.stopping.is_set():
            raise
        logger.info("kopf did not end cleanly: %r", error)
    finally:
        await frame.cancel()
    frame.raise_error()


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
    """Starts and ends our tasks from kopf's hooks; when one ends, for whatever reason, all shall end."""

    def __init__(
        self, context: OperatorContext, work: Mapping[str, Work], stop: asyncio.Event, shutdown_seconds: float
    ) -> None:
        self._context = context
        self._work = work
        self._stop = stop
        self._shutdown_seconds = shutdown_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, **_: Any) -> None:
        for name, work in self._work.items():
            self._tasks[name] = asyncio.create_task(work(), name=name)
            self._tasks[name].add_done_callback(lambda _: self._stop.set())

    async def end(self, **_: Any) -> None:
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
