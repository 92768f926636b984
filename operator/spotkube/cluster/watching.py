"""kopf as we use it: it keeps the watches of our kinds alive and calls us for each event. Nothing else of it is used.

No handler here touches an object: no finalizers, no annotations, no posted events. Handlers feed the cache, and the
one loop decides by what the cache holds, never by what an event says.

kopf takes many an answer of an API server in trouble for the end, 410 among them, and when it ends it cancels whatever
runs in its event loop. So it has a thread and a loop of its own, and begins anew there. How it ends is not left to it
either: it waits without limit for tasks of which one may have taken its cancellation for something else.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, cast

import kopf

from spotkube.cluster.cache import Cache
from spotkube.cluster.client import INACTIVITY_TIMEOUT_SECONDS, SERVER_TIMEOUT_SECONDS
from spotkube.cluster.connecting import Connection
from spotkube.cluster.errors import KubeConfigError
from spotkube.cluster.reflecting import pause_seconds
from spotkube.cluster.resources import Resource
from spotkube.model.labels import GROUP

CONNECT_TIMEOUT_SECONDS = 10
REQUEST_TIMEOUT_SECONDS = 30

_LOGIN_PAUSE_SECONDS = 5
_LASTING_SECONDS = 60.0
"""Whoever ran for longer did not fail at once: the next pause is the first one again."""
_SHUTDOWN_SECONDS, _CANCEL_AGAIN_SECONDS = 5.0, 0.5
logger = logging.getLogger(__name__)
Feed = Callable[[Resource, str | None, dict[str, Any]], object]


async def keep_watching_with_kopf(connection: Connection, cache: Cache, resources: Iterable[Resource]) -> None:
    """Feeds the events of these kinds, cluster-wide, into the cache until cancelled; whatever ends kopf, it begins
    anew.

    Raises KubeConfigError for what kopf cannot do.
    """
    connection_info(connection.configuration)  # raises now rather than within kopf
    home, kinds, failures = asyncio.get_running_loop(), tuple(resources), 0

    def feed(*event: Any) -> None:
        home.call_soon_threadsafe(cache.feed, *event)

    def reload() -> Awaitable[None]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(connection.reload()), home))

    while True:
        began, why = time.monotonic(), "nobody knows why"
        try:
            await _run_kopf(replace(connection, reload=reload), feed, kinds)
        except Exception as error:
            why = repr(error)
        logger.warning("the watches of our own kinds have ended and begin anew: %s", why)
        failures = 1 if time.monotonic() - began > _LASTING_SECONDS else failures + 1
        await asyncio.sleep(pause_seconds(failures, random.uniform(0.5, 1.0)))


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _run_kopf(connection: Connection, feed: Feed, resources: Iterable[Resource]) -> None:
    """Once, in a thread of its own, which is told to end when this is cancelled."""
    home, stop = asyncio.get_running_loop(), threading.Event()
    ended: asyncio.Future[None] = home.create_future()
    registry = kopf.OperatorRegistry()
    register_login(registry, connection)
    register_watches(registry, feed, resources)

    async def work() -> None:
        error: Exception | None = None
        try:
            await _until_the_first_end(registry, stop)
        except BaseException as caught:  # a cancellation too: whatever it was, the watches have ended
            error = caught if isinstance(caught, Exception) else RuntimeError(repr(caught))
        with contextlib.suppress(RuntimeError):  # nobody has waited for it
            home.call_soon_threadsafe(_settle, ended, error)

    threading.Thread(target=lambda: asyncio.run(work()), name="kopf", daemon=True).start()
    try:
        await asyncio.shield(ended)
    except asyncio.CancelledError:
        stop.set()
        # Told to end while it scans for kinds, kopf closes the connection below the feet of its own requests.
        await asyncio.wait([ended], timeout=_SHUTDOWN_SECONDS)
        raise


async def _until_the_first_end(registry: kopf.OperatorRegistry, stop: threading.Event) -> None:
    """Runs kopf until any of its tasks ends, as all do at `stop`, and raises what that one raised."""
    tasks = await kopf.spawn_tasks(
        registry=registry, settings=watch_settings(), standalone=True, clusterwide=True, stop_flag=stop
    )
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()  # a thread waits for it, and this process for that thread
        await _end_all_others()
    for task in ended:
        task.result()


async def _end_all_others() -> None:
    """Cancels all that runs in this loop until it has ended. Once is not enough: a watch that waits for its first
    answer takes it for a pause and begins anew."""
    myself, until = {asyncio.current_task()}, time.monotonic() + _SHUTDOWN_SECONDS
    while (others := asyncio.all_tasks() - myself) and time.monotonic() < until:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=_CANCEL_AGAIN_SECONDS)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        future.exception()  # who was cancelled does not ask for it


def register_watches(registry: kopf.OperatorRegistry, feed: Feed, resources: Iterable[Resource]) -> None:
    """Let kopf feed the events of these kinds, cluster-wide."""
    for resource in resources:
        kopf.on.event(
            group=resource.group,
            version=resource.version,
            plural=resource.plural,
            id=f"cache-{resource.plural}",
            registry=registry,
        )(_handler(feed, resource))


def _handler(feed: Feed, resource: Resource) -> Any:
    async def handle(event: dict[str, Any], **_: Any) -> None:
        feed(resource, event["type"], dict(event["object"]))

    return handle


def watch_settings() -> kopf.OperatorSettings:
    """kopf's settings: finite timeouts everywhere, and no trace left in the cluster."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = SERVER_TIMEOUT_SECONDS
    settings.watching.connect_timeout = CONNECT_TIMEOUT_SECONDS
    settings.watching.inactivity_timeout = INACTIVITY_TIMEOUT_SECONDS
    settings.networking.request_timeout = REQUEST_TIMEOUT_SECONDS
    settings.networking.connect_timeout = CONNECT_TIMEOUT_SECONDS
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None  # it would kill the whole process
    # Unused as long as all handlers are on.event; ours all the same, should that change.
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = _NoDiffs()
    return settings


class _NoDiffs(kopf.DiffBaseStorage):
    """Who only listens to events needs no copy of what an object was before; kopf makes a deep one for each event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


def register_login(
    registry: kopf.OperatorRegistry, connection: Connection, clock: Callable[[], float] = time.monotonic
) -> None:
    """Let kopf authenticate as our own client does, and read the credentials again when they are refused."""
    last_login: float | None = None

    async def reload() -> None:
        try:
            await connection.reload()
        except Exception as error:  # whatever a plugin or a file system may raise
            raise kopf.TemporaryError(f"credentials cannot be read: {error}", delay=_LOGIN_PAUSE_SECONDS) from error

    async def login(**_: Any) -> kopf.ConnectionInfo:
        nonlocal last_login
        if last_login is not None:
            if clock() - last_login < _LOGIN_PAUSE_SECONDS:
                await asyncio.sleep(_LOGIN_PAUSE_SECONDS)  # refused at once: do not hammer the API server
            await reload()
        last_login = clock()
        return connection_info(connection.configuration, priority=int(last_login))

    kopf.on.login(id="login", registry=registry)(login)


def connection_info(configuration: Any, priority: int = 0) -> kopf.ConnectionInfo:
    """kopf's form of the official client's configuration.

    kopf never again accepts credentials that were refused once, not even after an API server's passing weakness.
    So `priority`, which means nothing with one login handler, tells one login's from the next one's.
    Raises KubeConfigError for what kopf cannot do.
    """
    if configuration.tls_server_name:
        raise KubeConfigError("tls-server-name in the kubeconfig is not supported: use a server name that matches")
    scheme, _, token = (configuration.api_key.get("BearerToken") or "").partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme.capitalize() or None,
        token=token.strip() or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
        trust_env=True,  # HTTPS_PROXY and NO_PROXY, as our own client does
        priority=priority,
    )
