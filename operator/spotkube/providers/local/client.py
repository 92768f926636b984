"""The cloud port, spoken over HTTP to the local fake cloud."""

import asyncio
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ValidationError

from spotkube.model.offerings import Offering
from spotkube.providers.local.wire import InstanceMessage, InstancesMessage, OrderMessage, load_offerings, parse_key
from spotkube.providers.port import Instance, InstanceOrder, InsufficientCapacity, ProviderError, ProviderUnavailable

REQUEST_SECONDS = 10.0
CONNECT_SECONDS = 2.0

M = TypeVar("M", bound=BaseModel)


class _Error(BaseModel):
    code: str = ""
    message: str
    offering: str = ""


class _ErrorAnswer(BaseModel):
    error: _Error


class LocalProvider:
    """A CloudProvider. Connects at the first call, so it may be made before its server or an event loop runs."""

    def __init__(self, base_url: str, request_seconds: float = REQUEST_SECONDS) -> None:
        """`base_url` as in http://127.0.0.1:8080. Raises ValueError for anything else."""
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"endpoint: {base_url!r} is no URL; write it as in http://127.0.0.1:8080")
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=request_seconds, connect=CONNECT_SECONDS)
        self._session: aiohttp.ClientSession | None = None
        self._offerings: tuple[Offering, ...] = ()
        self._etag: str | None = None

    async def create(self, order: InstanceOrder) -> Instance:
        try:
            message = OrderMessage.of(order)
        except ValidationError as error:
            raise ProviderError(f"order {order.name!r}: {error}") from error
        body = await self._call("POST", "/v1/instances", message)
        return _parse(InstanceMessage, body).instance()

    async def delete(self, provider_id: str) -> None:
        await self._call("DELETE", _path(provider_id))

    async def get(self, provider_id: str) -> Instance | None:
        status, body, _ = await self._request("GET", _path(provider_id))
        if status == 404:
            return None
        _raise_for(status, body)
        return _parse(InstanceMessage, body).instance()

    async def list(self) -> tuple[Instance, ...]:
        message = _parse(InstancesMessage, await self._call("GET", "/v1/instances"))
        return tuple(each.instance() for each in message.instances)

    async def offerings(self) -> tuple[Offering, ...]:
        """The same tuple again, not only an equal one, for as long as nothing changed."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        status, body, etag = await self._request("GET", "/v1/offerings", headers=headers)
        if status != 304:
            _raise_for(status, body)
            try:
                # Thousands of them: too long a pause for an event loop.
                self._offerings = await asyncio.to_thread(load_offerings, body)
            except ValueError as error:
                raise ProviderUnavailable(f"the fake cloud sent offerings that can't be read: {error}") from error
            self._etag = etag
        return self._offerings

    async def interrupt(self, provider_id: str, notice_seconds: float) -> Instance:
        """Has a spot instance taken back after the notice; for demonstrations and tests, no part of the port."""
        path = f"{_path(provider_id)}/interrupt"
        return _parse(InstanceMessage, await self._call("POST", path, {"notice_seconds": notice_seconds})).instance()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, message: BaseModel | dict[str, Any] | None = None) -> bytes:
        status, body, _ = await self._request(method, path, message)
        _raise_for(status, body)
        return body

    async def _request(
        self,
        method: str,
        path: str,
        message: BaseModel | dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes, str | None]:
        """Status, body and ETag. Raises ProviderUnavailable when there is no answer."""
        content = message.model_dump(mode="json") if isinstance(message, BaseModel) else message
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.request(method, self._base_url + path, json=content, headers=headers) as response:
                return response.status, await response.read(), response.headers.get("ETag")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise ProviderUnavailable(
                f"no answer from the fake cloud at {self._base_url} to {method} {path} ({reason}); repeat the call"
            ) from error


def _path(provider_id: str) -> str:
    """An instance's path: its ID is the last part of spotkube-local:///ZONE/ID."""
    return f"/v1/instances/{quote(provider_id.rpartition('/')[2], safe='')}"


def _parse(kind: type[M], body: bytes) -> M:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise ProviderUnavailable(f"the fake cloud's answer can't be read: {error}") from error


def _raise_for(status: int, body: bytes) -> None:
    """Turns an error answer into the port's errors."""
    if status < 400:
        return
    try:
        error = _ErrorAnswer.model_validate_json(body).error
    except ValidationError:  # not from our server: something in between
        error = _Error(message=f"the fake cloud answered {status}: {body[:200].decode(errors='replace')}")
    if error.code == "InsufficientCapacity":
        raise InsufficientCapacity(parse_key(error.offering))
    if status >= 500 or status == 429:
        raise ProviderUnavailable(f"{error.message}; repeat the call")
    raise ProviderError(error.message)
