"""A proxy before the API server, or before the fake cloud, that harms what goes through it, by chance from a seed.

What is drawn for the n-th request is the same for the same seed; which request is the n-th is up to the operator.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import ssl
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

START_SECONDS = 30.0
LONGEST_DELAY_SECONDS = 2.0
# Longer than the operator bears a watch without a word.
HANG_SECONDS = 90.0
# So many answers to each list are kept; the oldest is the one that is served again.
STALE_LISTS = 3
_HOP_BY_HOP = ("Host", "Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding", "Accept-Encoding")


class Fault(StrEnum):
    DELAY = "delay"
    DROP = "connection dropped"
    LOSE_ANSWER = "done, but the answer lost"
    TWICE = "sent twice"
    CONFLICT = "409"
    EXPIRED = "410"
    DENIED = "403"
    THROTTLE = "429 with Retry-After"
    ERROR = "500"
    UNAVAILABLE = "503"
    HANG = "watch hangs"
    STALE = "stale list"


_STATUS = {
    Fault.DENIED: (403, "Forbidden"),
    Fault.CONFLICT: (409, "Conflict"),
    Fault.EXPIRED: (410, "Expired"),
    Fault.THROTTLE: (429, "TooManyRequests"),
    Fault.ERROR: (500, "InternalError"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
}
_ANY: tuple[Fault, ...] = (Fault.DELAY, Fault.DROP, Fault.THROTTLE, Fault.ERROR, Fault.UNAVAILABLE)
_OF_WRITES: tuple[Fault, ...] = (*_ANY, Fault.LOSE_ANSWER, Fault.TWICE)
# Only what goes on from a version can have expired.
_OF_WATCHES: tuple[Fault, ...] = (*_ANY, Fault.EXPIRED, Fault.HANG)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who is behind the proxy. `is_list` tells requests whose answers may be served again when they are old."""

    url: str
    tls: ssl.SSLContext | None
    is_list: Callable[[web.Request], bool]
    faults_of_reads: tuple[Fault, ...]
    faults_of_writes: tuple[Fault, ...]


def api_server(kubeconfig: Path) -> Upstream:
    """The real one."""
    cluster = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    if (data := cluster.get("certificate-authority-data")) is not None:
        tls = ssl.create_default_context(cadata=base64.b64decode(data).decode())
    else:
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    return Upstream(
        cluster["server"], tls, lambda request: "limit" in request.query, _ANY, (*_OF_WRITES, Fault.CONFLICT)
    )


def cloud(url: str) -> Upstream:
    """The fake one. Access may be denied there, as where credentials run out."""

    def is_list(request: web.Request) -> bool:
        return request.path == "/v1/instances" and request.method == "GET"

    return Upstream(url, None, is_list, (*_ANY, Fault.DENIED), (*_OF_WRITES, Fault.DENIED))


def kubeconfig_to(url: str, kubeconfig: Path, written: Path) -> Path:
    """The same identity, whose calls go to `url`."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"] = {"server": url}
    written.write_text(yaml.safe_dump(config), encoding="utf-8")
    return written


class Proxy:
    """`share` of all requests are harmed while it is not 0; `injected` counts faults by kind."""

    def __init__(self, upstream: Upstream, seed: int, share: float) -> None:
        self.share = share
        self.injected: Counter[Fault] = Counter()
        self._upstream = upstream
        self._chance = random.Random(seed)
        self._lists: dict[str, list[bytes]] = defaultdict(list)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> tuple[web.AppRunner, str]:
        """Its server, to be cleaned up, and the server's URL."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None), connector=aiohttp.TCPConnector(limit=0), auto_decompress=True
        )
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_cleanup.append(self._close)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _close(self, _: web.Application) -> None:
        if self._session is not None:
            await self._session.close()

    def _draw(self, request: web.Request) -> Fault | None:
        """Drawn once for each request, harmed or not, so that the seed alone says what the n-th one gets."""
        hit, which = self._chance.random(), self._chance.random()
        if hit >= self.share:
            return None
        if request.method != "GET":
            kinds = self._upstream.faults_of_writes
        elif "watch" in request.query:
            kinds = _OF_WATCHES
        else:
            kinds = self._upstream.faults_of_reads
            kinds = (*kinds, Fault.STALE) if self._upstream.is_list(request) else kinds
        return kinds[int(which * len(kinds))]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._draw(request)
        if fault is Fault.STALE and not self._lists[request.path_qs]:
            fault = None
        if fault is not None:
            self.injected[fault] += 1
        match fault:
            case Fault.DELAY:
                await asyncio.sleep(self._chance.uniform(0, LONGEST_DELAY_SECONDS))
            case Fault.DROP:
                return _cut(request)
            case Fault.STALE:
                return web.Response(body=self._lists[request.path_qs][0], content_type="application/json")
            case _ if fault in _STATUS:
                return _refusal(*_STATUS[fault])
        return await self._forward(request, fault)

    async def _forward(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        body = await request.read()
        async with await self._ask(request, body) as answer:
            if "watch" in request.query and answer.status == 200:
                return await self._stream(request, answer, hangs=fault is Fault.HANG)
            content = await answer.read()
            if fault is Fault.TWICE:
                async with await self._ask(request, body):
                    pass
            if fault is Fault.LOSE_ANSWER:
                return _cut(request)
            if self._upstream.is_list(request) and answer.status == 200:
                self._lists[request.path_qs] = [*self._lists[request.path_qs], content][-STALE_LISTS:]
            return web.Response(status=answer.status, body=content, headers=_headers(answer.headers))

    async def _ask(self, request: web.Request, body: bytes) -> aiohttp.ClientResponse:
        assert self._session is not None
        url, headers = self._upstream.url + request.path_qs, _headers(request.headers)
        return await self._session.request(
            request.method, url, data=body or None, headers=headers, ssl=self._upstream.tls or True
        )

    @staticmethod
    async def _stream(request: web.Request, answer: aiohttp.ClientResponse, *, hangs: bool) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_headers(answer.headers))
        await response.prepare(request)
        if hangs:
            await asyncio.sleep(HANG_SECONDS)
            return response
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        return response


def _headers(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}


def _cut(request: web.Request) -> web.Response:
    """No answer at all."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refusal(code: int, reason: str) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    headers = {"Retry-After": "1"} if code == 429 else {}
    text = json.dumps({**status, "message": "injected by the proxy"})
    return web.Response(status=code, text=text, content_type="application/json", headers=headers)


@contextmanager
def proxying(upstream: Upstream, seed: int, share: float) -> Iterator[tuple[Proxy, str]]:
    """A proxy in a thread of its own, and its URL."""
    proxy, loop, urls = Proxy(upstream, seed, share), asyncio.new_event_loop(), list[str]()
    started, stopping = threading.Event(), asyncio.Event()

    async def serve() -> None:
        runner, url = await proxy.start()
        urls.append(url)
        started.set()
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimeoutError(f"the proxy did not start within {START_SECONDS:.0f} s")
        yield proxy, urls[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(START_SECONDS)
