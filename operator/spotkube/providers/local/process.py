"""The fake cloud as a process: store, scheduler and server together, until it is told to stop."""

import asyncio
import json
import logging
import signal
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException
from yaml import YAMLError

from spotkube.catalog import Catalog
from spotkube.providers.local.cloud import Delays, FakeCloud
from spotkube.providers.local.nodes import ClusterNodes
from spotkube.providers.local.scheduler import Scheduler
from spotkube.providers.local.server import make_app
from spotkube.providers.local.store import Store
from spotkube.providers.local.wire import CapacityMessage

# Nothing in it is authenticated: nobody but this machine may reach it.
LOOPBACK = "127.0.0.1"
# Time for answers under way; orders and errands that are cut off are repeated anyway.
SHUTDOWN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """`port` 0 takes a free one; `port_file` is written once the server listens; `ready_seconds` as in ClusterNodes."""

    state: Path
    kubeconfig: Path
    port: int
    port_file: Path | None
    catalog: Catalog
    capacity: CapacityMessage
    delays: Delays
    ready_seconds: float | None = None


async def serve(options: Options) -> None:
    """Runs until SIGTERM or SIGINT. Raises StoreError, OSError when the port is taken, ConfigException."""
    async with AsyncExitStack() as stack:
        store = Store(options.state)
        stack.callback(store.close)
        offerings = options.catalog.offerings
        cloud = FakeCloud(store, [each.key for each in offerings], options.delays, time.time)
        cloud.set_capacity(options.capacity)

        api = await connect(options.kubeconfig)
        stack.push_async_callback(api.close)
        scheduler = asyncio.create_task(Scheduler(cloud, ClusterNodes(api, options.ready_seconds), time.time).run())
        stack.push_async_callback(_cancel, scheduler)

        runner = web.AppRunner(make_app(cloud, offerings, options.catalog.digest), shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, options.port).start()
        port = runner.addresses[0][1]
        if options.port_file:
            _write_whole(options.port_file, f"{port}\n")
        print(f"The fake cloud sells {len(offerings)} offerings at http://{LOOPBACK}:{port}", flush=True)
        await _until_told_to_stop(scheduler)


async def connect(kubeconfig: Path) -> ApiClient:
    """A client for the kubeconfig's current context; nothing is sent yet. Raises ConfigException.

    A proxy is used only where the kubeconfig names one. Left to itself, aiohttp asks the environment for each request,
    and for a netrc file too, on other threads.
    """
    configuration = Configuration()
    try:
        await kube_config.load_kube_config(
            config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
        )
    except (YAMLError, TypeError) as error:  # TypeError: an empty file, or one that is no mapping
        raise ConfigException(f"kubeconfig: {kubeconfig} is no kubeconfig: {error}") from error
    configuration.client_session_kwargs = {"trust_env": False}
    return ApiClient(configuration)


async def _until_told_to_stop(scheduler: asyncio.Task[None]) -> None:
    """Returns at a signal; raises what the scheduler raised if that ends first."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    told = asyncio.create_task(stop.wait())
    await asyncio.wait((told, scheduler), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if scheduler.done():
        scheduler.result()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _write_whole(path: Path, text: str) -> None:
    """Whoever waits for the file never reads half of it."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": record.created, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | getattr(record, "event", {}))


def log_to(path: Path | None) -> None:
    """Log lines are JSON objects, appended to the file or written to standard error."""
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
