"""The client against a small HTTP server that answers as an API server does, well or badly."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config

from spotkube.cluster import connecting, throttling, transport
from spotkube.cluster.client import KubeClient
from spotkube.cluster.clock import ServerClock
from spotkube.cluster.connecting import Connection
from spotkube.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KubeConfigError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from spotkube.cluster.resources import NODECLAIMS, NODES, PODS

Answer = Callable[[web.Request], web.Response]


def answer(status: int, body: Any) -> Answer:
    return lambda _: web.json_response(body, status=status)


def refusal(status: int, reason: str, message: str, **details: Any) -> Answer:
    return answer(status, {"kind": "Status", "reason": reason, "message": message, "details": details})


class FakeApi:
    """Gives the next answer of its list (the last one for ever) and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [answer(200, {})]
        self.requests: list[web.Request] = []
        self.bodies: list[Any] = []

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.requests.append(request)
        self.bodies.append(json.loads(text) if text else None)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_: float) -> None:
        return None

    monkeypatch.setattr(throttling, "sleep", sleep)


class Credentials:
    """A configuration whose token is the number of times that it was loaded."""

    def __init__(self, url: str) -> None:
        self.configuration = Configuration()
        self.configuration.host = url
        self.configuration.api_key["BearerToken"] = "Bearer 0"
        self.loads = 0

    async def reload(self) -> None:
        self.loads += 1
        self.configuration.api_key["BearerToken"] = f"Bearer {self.loads}"

    @property
    def connection(self) -> Connection:
        return Connection(self.configuration, self.reload, in_cluster=False)


@pytest.fixture
async def credentials(api: FakeApi) -> AsyncIterator[Credentials]:
    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(application) as server:
        yield Credentials(str(server.make_url("")).rstrip("/"))


@pytest.fixture
async def client(credentials: Credentials) -> AsyncIterator[KubeClient]:
    async with KubeClient(credentials.connection) as client:
        yield client


async def test_each_answer_tells_what_time_it_is_at_the_server(api: FakeApi, credentials: Credentials) -> None:
    ahead, clock = 300.0, ServerClock()
    date = formatdate(time.time() + ahead, usegmt=True)
    api.answers = [lambda _: web.json_response({}, headers={"Date": date})]
    async with KubeClient(credentials.connection, clock=clock) as client:
        await client.get(PODS, "web", "default")

    assert clock() == pytest.approx(time.time() + ahead, abs=2)


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (refusal(401, "Unauthorized", "who are you"), Unauthorized),
        (refusal(403, "Forbidden", "pods is forbidden"), Forbidden),
        (refusal(404, "NotFound", "no such pod"), NotFound),
        (refusal(409, "Conflict", "the object has been modified"), Conflict),
        (refusal(409, "AlreadyExists", "exists"), AlreadyExists),
        (refusal(410, "Expired", "too old"), Expired),
        (refusal(422, "Invalid", "spec.limits.cpu: must not be negative"), Invalid),
        (refusal(429, "TooManyRequests", "slow down"), TooManyRequests),
        (refusal(500, "InternalError", "oops"), Unavailable),
        (refusal(504, "Timeout", "etcd"), Unavailable),
        (refusal(418, "Teapot", "short and stout"), ApiError),
    ],
)
async def test_each_refusal_is_an_error_of_its_own(
    api: FakeApi, client: KubeClient, refused: Answer, kind: type[ApiError]
) -> None:
    api.answers = [refused]
    with pytest.raises(ApiError) as caught:
        await client.create(NODES, {"metadata": {"name": "a"}})
    assert type(caught.value) is kind
    assert caught.value.message == json.loads(refused(api.requests[0]).text or "")["message"]


async def test_a_proxy_that_answers_in_html_is_an_unavailable_server(api: FakeApi, client: KubeClient) -> None:
    api.answers = [lambda _: web.Response(status=502, text="<html>Bad Gateway</html>")]
    with pytest.raises(Unavailable, match="Bad Gateway"):
        await client.replace(NODES, "a", {})


async def test_a_two_hundred_that_is_no_json_is_an_error(api: FakeApi, client: KubeClient) -> None:
    api.answers = [lambda _: web.Response(text="<html>log in here</html>")]
    with pytest.raises(ApiError, match="log in here"):
        await client.get(NODES, "a")


async def test_nobody_listening_is_an_unavailable_server() -> None:
    async with KubeClient(Credentials(f"http://127.0.0.1:{unused_port()}").connection) as client:
        with pytest.raises(Unavailable) as caught:
            await client.create(NODES, {"metadata": {"name": "a"}})
    assert caught.value.status == Unavailable.NO_ANSWER


async def test_reads_are_repeated_and_writes_are_not(api: FakeApi, client: KubeClient) -> None:
    api.answers = [refusal(503, "ServiceUnavailable", "later"), answer(200, {"metadata": {"name": "a"}})]
    assert await client.get(NODES, "a") == {"metadata": {"name": "a"}}
    assert len(api.requests) == 2

    api.answers = [refusal(503, "ServiceUnavailable", "later"), answer(201, {})]
    with pytest.raises(Unavailable):
        await client.create(NODES, {"metadata": {"name": "a"}})
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    ("told", "version"),
    [({"major": "1", "minor": "36"}, (1, 36)), ({"major": "1", "minor": "34+"}, (1, 34)), ({}, (0, 0))],
)
async def test_the_version_of_the_server(
    api: FakeApi, client: KubeClient, told: dict[str, str], version: tuple[int, int]
) -> None:
    api.answers = [answer(200, told)]

    assert await client.server_version() == version


async def test_what_is_not_there_is_none(api: FakeApi, client: KubeClient) -> None:
    api.answers = [refusal(404, "NotFound", "no")]
    assert await client.get(NODES, "a") is None


async def test_credentials_that_ran_out_are_read_again_once(
    api: FakeApi, client: KubeClient, credentials: Credentials
) -> None:
    def check(request: web.Request) -> web.Response:
        fresh = request.headers["Authorization"] == "Bearer 1"
        return web.json_response({"metadata": {}}, status=200 if fresh else 401)

    api.answers = [check]
    await client.create(NODES, {"metadata": {"name": "a"}})
    await client.create(NODES, {"metadata": {"name": "b"}})
    assert credentials.loads == 1


async def test_a_list_comes_in_pages_and_knows_its_kind(api: FakeApi, client: KubeClient) -> None:
    api.answers = [
        answer(200, {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [{"metadata": {"name": "a"}}]}),
        answer(200, {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "b"}}]}),
    ]
    items, version = await client.list(PODS, "shop", label_selector="app=web")
    assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in items] == [
        ("Pod", "v1", "a"),
        ("Pod", "v1", "b"),
    ]
    assert version == "7"
    first, second = (dict(request.query) for request in api.requests)
    assert first == {"limit": "500", "labelSelector": "app=web"}
    assert second == {"limit": "500", "labelSelector": "app=web", "continue": "more"}


async def test_a_list_that_expires_between_pages_is_taken_whole(api: FakeApi, client: KubeClient) -> None:
    old = {"metadata": {"name": "deleted-meanwhile"}}
    api.answers = [
        answer(200, {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [old]}),
        refusal(410, "Expired", "the continue parameter is too old"),
        answer(200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "b"}}]}),
    ]
    items, version = await client.list(PODS)
    assert ([item["metadata"]["name"] for item in items], version) == (["b"], "9")
    assert "limit" not in api.requests[2].query


async def test_a_list_without_items_is_empty(api: FakeApi, client: KubeClient) -> None:
    api.answers = [answer(200, {"metadata": {"resourceVersion": "3"}, "items": None})]
    assert await client.list(PODS) == ([], "3")


@pytest.mark.parametrize(
    ("kind", "content_type", "force"),
    [
        ("merge", "application/merge-patch+json", None),
        ("strategic", "application/strategic-merge-patch+json", None),
        ("apply", "application/apply-patch+yaml", "true"),
    ],
)
async def test_patches(api: FakeApi, client: KubeClient, kind: Any, content_type: str, force: str | None) -> None:
    await client.patch(NODECLAIMS, "c", {"status": {"phase": "Ready"}}, subresource="status", kind=kind)
    request = api.requests[0]
    assert (request.method, request.path) == ("PATCH", "/apis/spotkube.io/v1alpha1/nodeclaims/c/status")
    assert request.content_type == content_type
    assert (request.query["fieldManager"], request.query.get("force")) == ("spotkube", force)
    assert api.bodies[0]["status"] == {"phase": "Ready"}


async def test_a_json_patch_is_a_list_of_operations(api: FakeApi, client: KubeClient) -> None:
    operations = [{"op": "remove", "path": "/spec/schedulingGates/0"}]
    await client.patch(PODS, "p", operations, namespace="shop", kind="json")
    assert api.requests[0].content_type == "application/json-patch+json"
    assert api.bodies[0] == operations


async def test_creating_takes_the_namespace_from_the_object(api: FakeApi, client: KubeClient) -> None:
    await client.create(PODS, {"metadata": {"name": "p", "namespace": "shop"}})
    assert api.requests[0].path == "/api/v1/namespaces/shop/pods"
    assert (api.bodies[0]["apiVersion"], api.bodies[0]["kind"]) == ("v1", "Pod")
    with pytest.raises(ValueError, match="needs a namespace"):
        await client.create(PODS, {"metadata": {"name": "p"}})


async def test_deleting_sends_what_guards_it(api: FakeApi, client: KubeClient) -> None:
    api.answers = [answer(200, {"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}})]
    going = await client.delete(
        PODS, "p", namespace="shop", uid="u", resource_version="7", grace_seconds=0, propagation="Background"
    )
    assert going is not None
    assert going["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert api.bodies[0] == {
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
    }


async def test_deleting_what_is_gone_returns_nothing(api: FakeApi, client: KubeClient) -> None:
    api.answers = [refusal(404, "NotFound", "no")]
    assert await client.delete(NODES, "a") is None


@pytest.mark.parametrize("now_there", [refusal(404, "NotFound", "no"), answer(200, {"metadata": {"uid": "other"}})])
async def test_a_namesake_is_never_deleted_or_evicted(api: FakeApi, client: KubeClient, now_there: Answer) -> None:
    precondition = refusal(409, "Conflict", "Precondition failed: UID in precondition: u, UID in object meta: other")
    api.answers = [precondition, now_there]
    assert not await client.delete(PODS, "p", namespace="shop", uid="u")
    api.answers = [precondition, now_there]
    assert not await client.evict("shop", "p", uid="u")


async def test_a_conflict_about_the_version_is_told(api: FakeApi, client: KubeClient) -> None:
    api.answers = [refusal(409, "Conflict", "Precondition failed"), answer(200, {"metadata": {"uid": "u"}})]
    with pytest.raises(Conflict):
        await client.delete(PODS, "p", namespace="shop", uid="u", resource_version="7")


async def test_evicting(api: FakeApi, client: KubeClient) -> None:
    assert await client.evict("shop", "p", uid="u", grace_seconds=30)
    assert api.requests[0].path == "/api/v1/namespaces/shop/pods/p/eviction"
    assert api.bodies[0] == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "p", "namespace": "shop"},
        "deleteOptions": {"preconditions": {"uid": "u"}, "gracePeriodSeconds": 30},
    }


async def test_a_disruption_budget_that_refuses_is_told_from_throttling(api: FakeApi, client: KubeClient) -> None:
    cause = {"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2"}
    api.answers = [refusal(429, "TooManyRequests", "Cannot evict pod", causes=[cause], retryAfterSeconds=10)]
    with pytest.raises(TooManyRequests) as caught:
        await client.evict("shop", "p", uid="u")
    assert (caught.value.disruption_budget, caught.value.retry_after_seconds) == (True, 10)

    api.answers = [lambda _: web.Response(status=429, text="Too many requests", headers={"Retry-After": "1"})]
    with pytest.raises(TooManyRequests) as caught:
        await client.evict("shop", "p", uid="u")
    assert (caught.value.disruption_budget, caught.value.retry_after_seconds) == (False, 1)


async def test_a_server_that_does_not_answer_in_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    hanging = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await hanging.wait()
        return web.Response()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(application) as server:
        slow = Credentials(str(server.make_url("")).rstrip("/"))
        async with KubeClient(slow.connection) as client:
            with pytest.raises(Unavailable, match="no answer in time"):
                await client.create(NODES, {"metadata": {"name": "a"}})
        hanging.set()


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: u, user: {token: secret}}]
"""


async def test_a_kubeconfig_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(KUBECONFIG)
    async with await KubeClient.connect(file) as client:
        assert client.connection.configuration.host == "https://127.0.0.1:6443"
        assert client.connection.configuration.api_key["BearerToken"] == "Bearer secret"
        assert not client.connection.in_cluster


@pytest.mark.parametrize(
    ("content", "context", "message"),
    [
        (None, None, "no kubeconfig at .*/config: give --kubeconfig FILE or set KUBECONFIG"),
        (KUBECONFIG, "there", "context there: .*; list the contexts with"),
        (KUBECONFIG.replace("token: secret", "client-certificate: nowhere.pem"), None, "nowhere.pem"),
        (
            KUBECONFIG.replace("token: secret", "client-certificate-data: eA==, client-key-data: eA=="),
            None,
            "certificates of the kubeconfig cannot be loaded",
        ),
        ("just a word", None, "cannot be read|context current"),
        ("{a: [", None, "cannot be read"),
    ],
)
async def test_a_bad_kubeconfig_is_told_with_its_remedy(
    tmp_path: Path, content: str | None, context: str | None, message: str
) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    with pytest.raises(KubeConfigError, match=message):
        await KubeClient.connect(file, context)


@pytest.mark.parametrize(
    ("others", "proxy"), [("", "http://proxy:3128"), ("example.com,127.0.0.1", None), ("*", None)], ids=repr
)
async def test_the_proxy_of_the_environment_is_found_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str, proxy: str | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", others)
    file = tmp_path / "config"
    file.write_text(KUBECONFIG)
    connection = await connecting.load_connection(file, None)
    assert connection.configuration.proxy == proxy
    monkeypatch.setenv("HTTPS_PROXY", "http://another:3128")
    await connection.reload()
    assert connection.configuration.proxy == proxy


async def test_a_proxy_of_the_kubeconfig_goes_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    file = tmp_path / "config"
    file.write_text(KUBECONFIG.replace('6443"', '6443", proxy-url: "http://own:3128"'))
    connection = await connecting.load_connection(file, None)
    assert connection.configuration.proxy == "http://own:3128"


async def test_no_request_asks_the_environment_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credentials: Credentials
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("aiohttp does this on another thread, for each request")

    monkeypatch.setattr("aiohttp.client.netrc_from_env", asked)
    monkeypatch.setattr("aiohttp.client.get_env_proxy_for_url", asked)
    file = tmp_path / "config"
    file.write_text(KUBECONFIG.replace("https://127.0.0.1:6443", credentials.configuration.host))
    async with await KubeClient.connect(file) as client:
        assert await client.get(NODES, "a") == {}


async def test_in_a_pod_the_service_account_is_used_and_its_token_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, certificate = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    certificate.write_text("certificate")
    monkeypatch.setattr(connecting, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    connection = await connecting.load_connection(None, None)
    assert connection.in_cluster
    assert connection.configuration.host == "https://10.0.0.1:443"
    assert connection.configuration.ssl_ca_cert == str(certificate)
    assert connection.configuration.api_key["BearerToken"].lower() == "bearer first"
    token.write_text("second")
    await connection.reload()
    assert connection.configuration.api_key["BearerToken"].lower() == "bearer second"


async def test_a_broken_service_account_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("")
    monkeypatch.setattr(connecting, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(KubeConfigError, match="service account cannot be used: Token file exists but empty"):
        await connecting.load_connection(None, None)
