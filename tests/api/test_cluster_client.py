"""The cluster layer against a real API server: what it accepts, what it refuses, and what kopf really delivers."""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import kopf
import pytest
from aiohttp import web

from chaos.proxy import Proxy, Upstream, api_server, kubeconfig_to
from localcluster.cluster import Cluster
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.connecting import Connection
from spotkube.cluster.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    MissingKinds,
    NotFound,
    TooManyRequests,
    Unauthorized,
)
from spotkube.cluster.events import EventRecorder, ObjectRef
from spotkube.cluster.leader import LeaderElector
from spotkube.cluster.resources import EVENTS, LEASES, NODECLAIMS, PODDISRUPTIONBUDGETS, PODS, WORKLOADS, Resource
from spotkube.cluster.running import OperatorContext, run_operator
from spotkube.cluster.watching import keep_watching_with_kopf
from support_chart import install_operator_identity

CONFIGMAPS = Resource("", "v1", "configmaps", True, "ConfigMap")


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, **labels: str) -> dict[str, Any]:
    """A pod that no scheduler touches."""
    container = {"name": "main", "image": "none"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container], "schedulerName": "nobody", "terminationGracePeriodSeconds": 0},
    }


async def eventually(question: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes; pytest's timeout ends what never comes."""
    while not await question():  # noqa: ASYNC110 (the answer is in another process)
        await asyncio.sleep(0.1)


async def test_an_object_lives_and_dies(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIGMAPS, config("a", color="red"), namespace)
    assert await client.get(CONFIGMAPS, "a", namespace) == made
    made["data"]["color"] = "blue"
    replaced = await client.replace(CONFIGMAPS, "a", made, namespace=namespace)
    assert replaced["data"] == {"color": "blue"}
    assert await client.delete(CONFIGMAPS, "a", namespace=namespace, uid=made["metadata"]["uid"])
    assert await client.get(CONFIGMAPS, "a", namespace) is None
    assert not await client.delete(CONFIGMAPS, "a", namespace=namespace)


async def test_a_deletion_that_a_finalizer_holds_answers_with_the_object(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIGMAPS, {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}, namespace)
    going = await client.delete(CONFIGMAPS, "held", namespace=namespace)
    assert going is not None
    assert going == await client.get(CONFIGMAPS, "held", namespace)
    assert "deletionTimestamp" in going["metadata"]
    await client.patch(CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, namespace=namespace)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("merge", {"data": {"color": None, "size": "L"}}),
        ("strategic", {"data": {"color": None, "size": "L"}}),
        ("json", [{"op": "remove", "path": "/data/color"}, {"op": "add", "path": "/data/size", "value": "L"}]),
    ],
)
async def test_patches_say_the_same_in_their_own_ways(client: KubeClient, namespace: str, kind: Any, body: Any) -> None:
    await client.create(CONFIGMAPS, config("a", color="red"), namespace)
    patched = await client.patch(CONFIGMAPS, "a", body, namespace=namespace, kind=kind)
    assert patched["data"] == {"size": "L"}


async def test_applying_makes_what_is_not_there_and_keeps_what_others_set(client: KubeClient, namespace: str) -> None:
    await client.patch(CONFIGMAPS, "a", config("a", ours="1"), namespace=namespace, kind="apply")
    other = {"op": "add", "path": "/data/theirs", "value": "2"}
    await client.patch(CONFIGMAPS, "a", [other], namespace=namespace, kind="json")
    applied = await client.patch(CONFIGMAPS, "a", config("a", ours="3"), namespace=namespace, kind="apply")
    assert applied["data"]["ours"] == "3"
    (manager,) = {entry["manager"] for entry in applied["metadata"]["managedFields"]}
    assert manager == "spotkube"


async def test_refusals_have_their_kinds(client: KubeClient, namespace: str) -> None:
    made = await client.create(CONFIGMAPS, config("a"), namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIGMAPS, config("a"), namespace)
    await client.patch(CONFIGMAPS, "a", {"data": {"x": "1"}}, namespace=namespace)
    with pytest.raises(Conflict, match="modified"):
        await client.replace(CONFIGMAPS, "a", made, namespace=namespace)
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"x": "2"}}
    with pytest.raises(Conflict):
        await client.patch(CONFIGMAPS, "a", stale, namespace=namespace)
    with pytest.raises(Conflict):
        version = made["metadata"]["resourceVersion"]
        await client.delete(CONFIGMAPS, "a", namespace=namespace, resource_version=version)
    with pytest.raises(NotFound):
        await client.patch(CONFIGMAPS, "b", {"data": {}}, namespace=namespace)
    with pytest.raises(Invalid, match=r"metadata.name: Invalid value"):
        await client.create(CONFIGMAPS, config("No Name"), namespace)


async def test_a_namesake_survives(client: KubeClient, namespace: str) -> None:
    old = await client.create(PODS, pod("p"), namespace)
    assert await client.delete(PODS, "p", namespace=namespace, grace_seconds=0)
    new = await client.create(PODS, pod("p"), namespace)
    assert not await client.delete(PODS, "p", namespace=namespace, uid=old["metadata"]["uid"])
    assert not await client.evict(namespace, "p", uid=old["metadata"]["uid"])
    found = await client.get(PODS, "p", namespace)
    assert found is not None
    assert found["metadata"]["uid"] == new["metadata"]["uid"]


async def test_lists_in_pages_are_lists(client: KubeClient, namespace: str) -> None:
    for number in range(5):
        await client.create(PODS, pod(f"p{number}", parity=str(number % 2)), namespace)
    pages = [items async for items, _ in client.pages(PODS, namespace, page_size=2)]
    assert [len(items) for items in pages] == [2, 2, 1]
    items, version = await client.list(PODS, namespace, label_selector="parity=0")
    assert [(item["kind"], item["metadata"]["name"]) for item in items] == [("Pod", "p0"), ("Pod", "p2"), ("Pod", "p4")]
    assert version.isdecimal()


async def test_a_disruption_budget_holds_an_eviction_back(client: KubeClient, namespace: str) -> None:
    made = await client.create(PODS, pod("p", app="web"), namespace)
    running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await client.patch(PODS, "p", {"status": running}, namespace=namespace, subresource="status")
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    await client.create(PODDISRUPTIONBUDGETS, budget, namespace)

    async def counted() -> bool:
        found = await client.get(PODDISRUPTIONBUDGETS, "web", namespace)
        return found is not None and (found.get("status") or {}).get("currentHealthy") == 1

    await eventually(counted)
    with pytest.raises(TooManyRequests) as caught:
        await client.evict(namespace, "p", uid=made["metadata"]["uid"])
    assert caught.value.disruption_budget
    await client.delete(PODDISRUPTIONBUDGETS, "web", namespace=namespace)
    assert await client.evict(namespace, "p", uid=made["metadata"]["uid"], grace_seconds=0)
    assert not await client.evict(namespace, "p", uid=made["metadata"]["uid"])


async def test_a_stranger_is_told_so(client: KubeClient) -> None:
    configuration = client.connection.configuration
    certificates = configuration.cert_file, configuration.key_file
    configuration.cert_file = configuration.key_file = None
    configuration.api_key["BearerToken"] = "Bearer nonsense"
    loads: list[None] = []

    async def reload() -> None:
        loads.append(None)

    async with KubeClient(Connection(configuration, reload, in_cluster=False)) as stranger:
        with pytest.raises(Unauthorized):
            await stranger.list(PODS)
        configuration.api_key.clear()
        with pytest.raises(Forbidden, match="pods is forbidden"):
            await stranger.list(PODS)
    assert len(loads) == 1
    configuration.cert_file, configuration.key_file = certificates


async def test_two_electors_hand_the_lease_over(client: KubeClient, namespace: str) -> None:
    first, second = (
        LeaderElector(client, namespace=namespace, name="spotkube", identity=identity) for identity in ("one", "two")
    )
    await first.step()
    await second.step()
    assert (first.is_leader(), second.is_leader(), second.holder) == (True, False, "one")
    await first.step()
    await first.release()
    await second.step()
    assert (first.is_leader(), second.is_leader()) == (False, True)
    lease = await client.get(LEASES, "spotkube", namespace)
    assert lease is not None
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("two", 1)


async def test_the_api_server_accepts_our_events(client: KubeClient, namespace: str) -> None:
    about = ObjectRef.of(await client.create(PODS, pod("p"), namespace))
    now = 0.0
    recorder = EventRecorder(client, "spotkube-0", clock=lambda: now)
    for _ in range(3):
        recorder.record(about, "Warning", "Unplaceable", "no offering has 2000 cpu", "Plan")
        await recorder.flush()
        now += 400
    assert recorder.dropped == 0
    items, _ = await client.list(EVENTS, namespace)
    (event,) = [item for item in items if item["reason"] == "Unplaceable"]
    assert event["series"]["count"] == 3
    assert event["regarding"]["uid"] == about.uid


async def test_the_operator_sees_what_happens_until_it_is_stopped(client: KubeClient, namespace: str) -> None:
    await client.create(PODS, pod("before"), namespace)
    cache = Cache()
    pods = cache.add(PODS, lambda raw: raw["metadata"]["name"] if raw["metadata"]["namespace"] == namespace else None)
    stop = asyncio.Event()
    told: list[str] = []

    async def seen(*names: str) -> None:
        while list(pods.values()) != list(names):
            await cache.next_batch(cache.generation, idle_seconds=0, max_seconds=0, timeout_seconds=1)

    async def main(ctx: OperatorContext) -> None:
        await ctx.cache.wait_synced()
        await seen("before")
        made = await ctx.client.create(PODS, pod("later"), namespace)
        await seen("before", "later")
        await ctx.client.delete(PODS, "later", namespace=namespace, grace_seconds=0, uid=made["metadata"]["uid"])
        await seen("before")
        stop.set()
        await ctx.stopping.wait()
        told.append("stopping")

    # Relists are hours apart: what comes later came through a watch.
    await run_operator(client, cache, main, relist_seconds=3600, stop=stop)
    assert told == ["stopping"]


async def test_a_termination_signal_ends_it_in_order(client: KubeClient) -> None:
    cache = Cache()
    cache.add(PODS, lambda raw: raw)
    told: list[str] = []

    async def main(ctx: OperatorContext) -> None:
        await ctx.cache.wait_synced()
        signal.raise_signal(signal.SIGTERM)
        await ctx.stopping.wait()
        told.append("stopping")

    await run_operator(client, cache, main)
    assert told == ["stopping"]


@pytest.mark.parametrize("error", [RuntimeError("410 Expired"), asyncio.CancelledError()])
async def test_kopf_begins_anew_whatever_ended_it(
    client: KubeClient, crds: None, namespace: str, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    real, runs = kopf.spawn_tasks, list[str]()

    async def stumble() -> None:
        raise error

    async def stumbling(**kwargs: Any) -> Collection[asyncio.Task[None]]:
        runs.append(threading.current_thread().name)
        return [asyncio.create_task(stumble())] if len(runs) == 1 else await real(**kwargs)

    monkeypatch.setattr(kopf, "spawn_tasks", stumbling)
    cache = Cache()
    workloads = cache.add(
        WORKLOADS, lambda raw: raw["metadata"]["name"] if raw["metadata"]["namespace"] == namespace else None
    )

    async def main(ctx: OperatorContext) -> None:
        await ctx.cache.wait_synced()
        await eventually(lambda: asyncio.sleep(0, len(runs) == 2))
        spec = {"deployment": {"template": {"spec": pod("")["spec"]}}}
        await ctx.client.create(WORKLOADS, {"metadata": {"name": "later"}, "spec": spec}, namespace)
        while list(workloads.values()) != ["later"]:
            await cache.next_batch(cache.generation, idle_seconds=0, max_seconds=0, timeout_seconds=1)

    # Relists are hours apart: what comes later came through a watch.
    await run_operator(client, cache, main, relist_seconds=3600)
    assert runs == ["kopf", "kopf"]


class Troubled(Proxy):
    """Before the API server: the first watch of another kind is never answered, and then the first of NodeClaims has
    expired."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream, seed=0, share=0.0)
        self.watches: Counter[str] = Counter()
        self._other_waits = asyncio.Event()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.rpartition("/")[2]
        if "watch" in request.query:
            self.watches[kind] += 1
            if self.watches[kind] == 1 and kind == NODECLAIMS.plural:
                await self._other_waits.wait()
                return web.json_response({"kind": "Status", "code": 410, "reason": "Expired"}, status=410)
            if self.watches[kind] == 1:
                self._other_waits.set()
                await asyncio.sleep(60)
        return await super()._handle(request)


async def test_kopf_begins_anew_though_it_does_not_come_to_its_end(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """A watch that waits for its first answer takes being cancelled for a pause, and goes on."""
    identity = install_operator_identity(cluster, namespace)  # by a token, which the proxy can pass on
    proxy = Troubled(api_server(identity))
    runner, url = await proxy.start()
    written = kubeconfig_to(url, identity, tmp_path / "kubeconfig")
    cache = Cache()
    for resource in (NODECLAIMS, WORKLOADS):
        cache.add(resource, lambda raw: raw)
    try:
        async with await KubeClient.connect(written) as client:
            watching = asyncio.create_task(keep_watching_with_kopf(client.connection, cache, cache.resources))
            both = (NODECLAIMS.plural, WORKLOADS.plural)
            async with asyncio.timeout(30):
                await eventually(lambda: asyncio.sleep(0, all(proxy.watches[kind] > 1 for kind in both)))
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            # With it end those that it has waiting; they would keep the process from ending.
            await eventually(lambda: asyncio.sleep(0, all(one.name != "kopf" for one in threading.enumerate())))
    finally:
        await runner.cleanup()


async def test_reading_needs_no_more_than_list_and_watch(cluster: Cluster, client: KubeClient, namespace: str) -> None:
    """No patches, no finalizers, no CRDs or namespaces listed by kopf: the role of the service account forbids them."""
    role = f"{namespace}-reader"
    cluster.kubectl("create", "serviceaccount", "reader", f"--namespace={namespace}")
    cluster.kubectl("create", "clusterrole", role, "--verb=list,watch", "--resource=pods")
    cluster.kubectl(
        "create", "clusterrolebinding", role, f"--clusterrole={role}", f"--serviceaccount={namespace}:reader"
    )
    try:
        token = cluster.kubectl("create", "token", "reader", f"--namespace={namespace}").strip()
        configuration = client.connection.configuration
        configuration.cert_file = configuration.key_file = None
        configuration.api_key["BearerToken"] = f"Bearer {token}"
        async with KubeClient(client.connection) as reader:
            await _see_a_pod_come(reader, client_as_admin=await KubeClient.connect(cluster.kubeconfig), into=namespace)
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", role)


async def _see_a_pod_come(reader: KubeClient, client_as_admin: KubeClient, into: str) -> None:
    cache = Cache()
    pods = cache.add(PODS, lambda raw: raw["metadata"]["name"] if raw["metadata"]["namespace"] == into else None)

    async def main(ctx: OperatorContext) -> None:
        await ctx.cache.wait_synced()
        await client_as_admin.create(PODS, pod("seen"), into)
        while list(pods.values()) != ["seen"]:
            await cache.next_batch(cache.generation, idle_seconds=0, max_seconds=0, timeout_seconds=1)

    async with client_as_admin:
        await run_operator(reader, cache, main, relist_seconds=3600)
        found = await client_as_admin.get(PODS, "seen", into)
    assert found is not None
    assert set(found["metadata"]) & {"finalizers", "annotations"} == set()


async def test_a_main_task_that_dies_takes_the_operator_with_it(client: KubeClient) -> None:
    cache = Cache()
    cache.add(PODS, lambda raw: raw)

    async def main(ctx: OperatorContext) -> None:
        await ctx.cache.wait_synced()
        raise ArithmeticError("a bug")

    with pytest.raises(ArithmeticError, match="a bug"):
        await run_operator(client, cache, main)


async def test_a_main_task_that_does_not_end_is_cancelled(client: KubeClient) -> None:
    cache = Cache()
    stop = asyncio.Event()
    ended: list[str] = []

    async def main(ctx: OperatorContext) -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    await run_operator(client, cache, main, stop=stop, shutdown_seconds=0.1)
    assert ended == ["cancelled"]


async def test_missing_kinds_are_told_before_anything_starts(client: KubeClient) -> None:
    cache = Cache()
    cache.add(PODS, lambda raw: raw)
    cache.add(Resource("nowhere.example.com", "v1", "unicorns", False, "Unicorn"), lambda raw: raw)
    started: list[str] = []

    async def main(ctx: OperatorContext) -> None:
        started.append("main")

    with pytest.raises(MissingKinds, match=r"the cluster has no unicorns.nowhere.example.com: install them"):
        await run_operator(client, cache, main)
    assert started == []
