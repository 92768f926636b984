"""HTTP in front of the fake cloud. Everything is JSON; errors are `{"error": {"code", "message"}}`.

POST   /v1/instances                    an order -> instance, 201 when bought now, 200 when its token was known
GET    /v1/instances                    {"instances": [...]}
GET    /v1/instances/{id}               404 when unknown
DELETE /v1/instances/{id}               204, whether known or not
POST   /v1/instances/{id}/interrupt     {"notice_seconds": 120} -> instance; 409 unless it is spot and runs
GET    /v1/offerings                    [...], with an ETag: 304 to If-None-Match
GET    /v1/capacity, PUT /v1/capacity   {"default": 3, "limits": {"m7i.large/us-east-1a/spot": 0}}
PUT    /v1/faults                       {"drop_answers": 1, "never_register": 1, "die_early": 1, "insufficient": [...],
                                        "price_times": 1.5}
GET    /v1/log?after=SEQUENCE           {"events": [...]}
GET    /healthz
"""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from spotkube.model.offerings import Offering
from spotkube.providers.local.cloud import FakeCloud
from spotkube.providers.local.machines import Machine, NotInterruptible
from spotkube.providers.local.wire import (
    CapacityMessage,
    FaultsMessage,
    InstanceMessage,
    InterruptMessage,
    Message,
    OrderMessage,
    dump_offerings,
    format_key,
)
from spotkube.providers.port import InsufficientCapacity, ProviderError

M = TypeVar("M", bound=Message)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(cloud: FakeCloud, offerings: tuple[Offering, ...], digest: str) -> web.Application:
    """The application; `digest` changes when `offerings` do."""
    app = web.Application(middlewares=[_report_errors])
    handlers = _Handlers(cloud, offerings, digest)
    app.add_routes(
        [
            web.post("/v1/instances", handlers.create),
            web.get("/v1/instances", handlers.list_all),
            web.get("/v1/instances/{id}", handlers.get),
            web.delete("/v1/instances/{id}", handlers.delete),
            web.post("/v1/instances/{id}/interrupt", handlers.interrupt),
            web.get("/v1/offerings", handlers.offerings),
            web.get("/v1/capacity", handlers.capacity),
            web.put("/v1/capacity", handlers.set_capacity),
            web.put("/v1/faults", handlers.set_faults),
            web.get("/v1/log", handlers.log),
            web.get("/healthz", handlers.healthz),
        ]
    )
    return app


class _Handlers:
    def __init__(self, cloud: FakeCloud, offerings: tuple[Offering, ...], digest: str) -> None:
        self._cloud = cloud
        self._offerings = offerings
        self._digest = digest
        self._body = 1.0, dump_offerings(offerings)

    async def create(self, request: web.Request) -> web.StreamResponse:
        order = (await _read(request, OrderMessage)).order()
        machine, bought = self._cloud.create(order)
        return await self._answer(request, _instance(machine, status=201 if bought else 200))

    async def list_all(self, request: web.Request) -> web.StreamResponse:
        instances = [InstanceMessage.of(each.instance).model_dump(mode="json") for each in self._cloud.list()]
        return web.json_response({"instances": instances})

    async def get(self, request: web.Request) -> web.StreamResponse:
        machine = self._cloud.get(request.match_info["id"])
        return _unknown(request) if machine is None else _instance(machine)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        self._cloud.delete(request.match_info["id"])
        return await self._answer(request, web.Response(status=204))

    async def interrupt(self, request: web.Request) -> web.StreamResponse:
        notice_seconds = (await _read(request, InterruptMessage)).notice_seconds
        machine = self._cloud.interrupt(request.match_info["id"], notice_seconds)
        return _unknown(request) if machine is None else _instance(machine)

    async def offerings(self, request: web.Request) -> web.StreamResponse:
        times = self._cloud.price_times
        digest = self._digest if times == 1.0 else f"{self._digest}-times-{times:g}"
        if any(tag.value == digest for tag in request.if_none_match or ()):
            response = web.Response(status=304)
        else:
            if self._body[0] != times:
                self._body = times, dump_offerings(self._offerings, times)
            response = web.Response(body=self._body[1], content_type="application/json")
        response.etag = digest
        return response

    async def capacity(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._cloud.capacity())

    async def set_capacity(self, request: web.Request) -> web.StreamResponse:
        self._cloud.set_capacity(await _read(request, CapacityMessage))
        return web.json_response(self._cloud.capacity())

    async def set_faults(self, request: web.Request) -> web.StreamResponse:
        faults = await _read(request, FaultsMessage)
        self._cloud.set_faults(faults)
        return web.json_response(faults.model_dump(mode="json"))

    async def log(self, request: web.Request) -> web.StreamResponse:
        after = request.query.get("after", "0")
        if not after.isdecimal():
            return _error(400, "BadRequest", f"after: {after!r} is no sequence; give the last one you have, or 0")
        return web.json_response({"events": [event.to_json() for event in self._cloud.events(int(after))]})

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def _answer(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        """The answer, or half of one where that fault was ordered: what was asked is done by then."""
        if not self._cloud.drops_answer():
            return response
        # Not merely a closed connection: HTTP clients hide that by repeating a DELETE on their own.
        half = web.StreamResponse(status=200, headers={"Content-Length": "2"})
        await half.prepare(request)
        await half.write(b"{")
        if request.transport is not None:
            request.transport.close()
        return half


async def _read(request: web.Request, kind: type[M]) -> M:
    return kind.model_validate_json(await request.read() or b"{}")


def _instance(machine: Machine, status: int = 200) -> web.Response:
    return web.json_response(InstanceMessage.of(machine.instance).model_dump(mode="json"), status=status)


def _error(status: int, code: str, message: str, **more: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, **more}}, status=status)


def _unknown(request: web.Request) -> web.Response:
    return _error(404, "NotFound", f"id: {request.match_info['id']!r} is no instance; GET /v1/instances lists them")


@web.middleware
async def _report_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as error:
        return _error(400, "BadRequest", _describe(error))
    except InsufficientCapacity as error:
        return _error(409, "InsufficientCapacity", str(error), offering=format_key(error.offering))
    except NotInterruptible as error:
        return _error(409, "NotInterruptible", str(error))
    except ProviderError as error:
        return _error(400, "BadRequest", str(error))


def _describe(error: ValidationError) -> str:
    """A line for each mistake: field, value and what is wrong with it."""

    def line(field: str, value: object, message: str) -> str:
        text = json.dumps(value, default=str)
        return f"{field or 'body'}: {message.removeprefix('Value error, ')} (got {text[:100]})"

    return "\n".join(
        line(".".join(map(str, each["loc"])), each["input"], each["msg"]) for each in error.errors(include_url=False)
    )
