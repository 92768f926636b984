"""What a kubelet and Prometheus ask: /healthz, /readyz and /metrics on one port."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from spotkube.metrics import CONTENT_TYPE, Metrics
from spotkube.settings import SettingsError


class Health:
    """Whether the loop lives, and whether it has what it needs.

    The loop calls `beat()` once a cycle, leader or not. `checks` are questions by name that must all be answered with
    True for the replica to be ready: `{"cache": lambda: cache.synced}`.
    """

    def __init__(
        self,
        *,
        max_silence_seconds: float,
        checks: Mapping[str, Callable[[], bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_silence_seconds = max_silence_seconds
        self._checks = checks
        self._clock = clock
        self._last_beat = clock()  # starting up counts as a first beat

    def beat(self) -> None:
        self._last_beat = self._clock()

    def silent_seconds(self) -> float:
        """Since the last beat."""
        return self._clock() - self._last_beat

    def alive(self) -> bool:
        return self.silent_seconds() <= self._max_silence_seconds

    def unready(self) -> list[str]:
        """Names of the checks that fail."""
        return [name for name, check in self._checks.items() if not check()]


@asynccontextmanager
async def serving(health: Health, metrics: Metrics, *, port: int, host: str | None = None) -> AsyncIterator[int]:
    """Serve while the context lasts, on all addresses unless `host` is given; yields the port (0 picks a free one).

    Raises SettingsError when the port is taken.
    """
    runner = web.AppRunner(_application(health, metrics), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            message = f"health_port {port} cannot be listened on: {error.strerror}; set another one, or 0 for any"
            raise SettingsError(message) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _application(health: Health, metrics: Metrics) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        if health.alive():
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"the loop has been silent for {health.silent_seconds():.0f} s\n")

    async def readyz(_: web.Request) -> web.Response:
        unready = health.unready()
        if not unready:
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"not ready: {', '.join(unready)}\n")

    async def samples(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", samples)
    return application
