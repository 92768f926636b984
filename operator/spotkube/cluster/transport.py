"""One request to the API server, and what its answer means: the only place with a network in it."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from spotkube import __version__
from spotkube.cluster.clock import ServerClock
from spotkube.cluster.connecting import Connection
from spotkube.cluster.errors import ApiError, KubeConfigError, Unauthorized, Unavailable, error_from_answer
from spotkube.cluster.throttling import RateLimiter

Object = dict[str, Any]
"""An object of the API as it is in JSON."""
Objects = list[Object]

CONNECT_SECONDS = 10
TOTAL_SECONDS = 30
_TIMEOUT = aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str | None]
    body: Object | Objects | None
    content_type: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Sends requests at the limiter's pace. Reads the credentials again, once, when they were refused."""

    def __init__(self, connection: Connection, limiter: RateLimiter, clock: ServerClock | None = None) -> None:
        """`clock` hears when each answer was written."""
        self._connection = connection
        self._limiter = limiter
        self._clock = clock
        self._api = self._new_api()
        self._reloading = asyncio.Lock()
        self._retired: list[Any] = []

    async def close(self) -> None:
        for api in (self._api, *self._retired):
            await api.close()
        self._retired.clear()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: Object | Objects | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """The answer's object. Raises the ApiError that stands for any other answer, or for none."""
        request = _Request(method, path, query or {}, body, content_type)
        await self._limiter.acquire()
        api = self._api
        try:
            return await self._send(api, request)
        except Unauthorized:  # a token or certificate of an exec plugin or a token file ran out
            await self._reload_credentials(refused=api)
            return await self._send(self._api, request)

    async def stream(self, path: str, query: Mapping[str, str | None], silence_seconds: float) -> AsyncIterator[Object]:
        """The objects of an answer that goes on, one a line, until the server ends it.

        Raises the ApiError that stands for any other answer, or for a server that is silent for so long.
        """
        request, limits = _Request("GET", path, query, None, "application/json"), _silence(silence_seconds)
        await self._limiter.acquire()
        api = self._api
        try:
            response = await self._call(api, request, limits)
        except Unauthorized:
            await self._reload_credentials(refused=api)
            response = await self._call(self._api, request, limits)
        with _failures_told(request), contextlib.closing(response.response):
            rest = b""
            async for chunk in response.response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _decoded(request, line)

    async def _send(self, api: Any, request: _Request) -> Object:
        response = await self._call(api, request, _TIMEOUT)
        with _failures_told(request):
            data: bytes = await response.read()
        return _decoded(request, data)

    async def _call(self, api: Any, request: _Request, limits: aiohttp.ClientTimeout) -> Any:
        """The answer, its body still to be read. Raises the ApiError that stands for one that says no, or for none."""
        headers = {"Accept": "application/json", "Content-Type": request.content_type}
        query = [(key, value) for key, value in request.query.items() if value is not None]
        with _failures_told(request):
            arguments = await api.param_serialize(
                request.method,
                request.path,
                query_params=query,
                header_params=headers,
                body=request.body,
                auth_settings=["BearerToken"],
            )
            asked_at = self._clock.wall() if self._clock else 0.0
            response = await api.call_api(*arguments, _request_timeout=limits)
            if self._clock:
                self._clock.heard(response.headers.get("Date"), asked_at)
            if 200 <= response.status < 300:
                return response
            data: bytes = await response.read()
        raise error_from_answer(response.status, response.reason or "", response.headers, data)

    async def _reload_credentials(self, refused: Any) -> None:
        """Certificates are bound to the session, so a new one is made; calls under way end on the old one."""
        async with self._reloading:
            if self._api is not refused:
                return  # another call did it while we waited
            try:
                await self._connection.reload()
            except Exception as error:  # whatever a plugin or a file system may raise
                raise KubeConfigError(f"the credentials were refused and cannot be read again: {error}") from error
            self._retired.append(refused)
            self._api = self._new_api()
            while len(self._retired) > 1:
                with contextlib.suppress(aiohttp.ClientError):
                    await self._retired.pop(0).close()

    def _new_api(self) -> Any:
        """Raises KubeConfigError for certificates that cannot be loaded."""
        try:
            api = ApiClient(self._connection.configuration)
        except (ssl.SSLError, OSError) as error:
            raise KubeConfigError(f"the certificates of the kubeconfig cannot be loaded: {error}") from error
        api.user_agent = f"spotkube/{__version__}"
        return api


@contextlib.contextmanager
def _failures_told(request: _Request) -> Iterator[None]:
    """Raises the ApiError that stands for an answer that does not come, or not to its end."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(Unavailable.NO_ANSWER, "Timeout", f"{request}: no answer in time") from error
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        raise Unavailable(Unavailable.NO_ANSWER, type(error).__name__, f"{request}: {error}") from error


def _silence(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=seconds)


def _decoded(request: _Request, data: bytes) -> Object:
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise ApiError(200, "NotJson", f"{request} answered {data[:200]!r}") from error
    if not isinstance(answer, dict):
        raise ApiError(200, "NotAnObject", f"{request} answered {data[:200]!r}")
    return answer
