"""Puts the operator together from its settings, and runs it. Everything is made here once and handed down."""

import asyncio
import contextlib
import functools
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable

from spotkube.batching import Batch
from spotkube.catalog import load_catalog
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.clock import ServerClock
from spotkube.cluster.events import EventRecorder
from spotkube.cluster.leader import LeaderElector, SoleReplica
from spotkube.cluster.leases import LeaseTimes
from spotkube.cluster.resources import Resource
from spotkube.cluster.running import OperatorContext, run_operator
from spotkube.controllers.archive import Archive, Shelf
from spotkube.controllers.carrying import Carrier
from spotkube.controllers.claims.acting import ClaimActor
from spotkube.controllers.claims.doors import Doors
from spotkube.controllers.claims.reconcile import ClaimController
from spotkube.controllers.disruption.carry import DisruptionController
from spotkube.controllers.disruption.sources import sources
from spotkube.controllers.garbage import GarbageCollector
from spotkube.controllers.history import InterruptionHistory
from spotkube.controllers.inbox import Inbox
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.pools import PoolController
from spotkube.controllers.queues.reconcile import QueueController
from spotkube.controllers.resting import RestingOfferings
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.upkeep.sickness import SickNodes
from spotkube.controllers.watched import add_all
from spotkube.controllers.workloads.reconcile import WorkloadController
from spotkube.health import Health, serving
from spotkube.loop import Controllers, Loop
from spotkube.metrics import Metrics
from spotkube.model.cluster import Mode
from spotkube.moving import MovesQuestion
from spotkube.observe import Observer
from spotkube.pacing import Pace
from spotkube.pauses import keep_pauses_short
from spotkube.planning import Planning
from spotkube.providers import connect_provider
from spotkube.providers.catalogonly import CatalogOnly
from spotkube.providers.measured import MeasuredProvider
from spotkube.providers.port import CloudProvider
from spotkube.providers.remembered import RememberedProvider
from spotkube.providers.sqs import SqsQueue
from spotkube.settings import Settings, SettingsError
from spotkube.worker import PlannerWorker, decide_within

LEASE_NAME = "spotkube"
# Cycles that may be missed before a kubelet restarts us; a first plan's compilation fits in.
MISSED_CYCLES = 12
# From here on kube-scheduler goes by nominations from outside (NominatedNodeNameForExpectation).
NOMINATING_VERSION = (1, 35)
# Another replica waits for the Lease while the last events are posted.
FAREWELL_SECONDS = 2.0
logger = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Runs until SIGTERM, SIGINT or `stop`. Raises SettingsError, ClusterError, and what ends the loop."""
    keep_pauses_short()
    metrics, cache = Metrics(), Cache()
    provider, clock = RememberedProvider(_provider(settings, metrics)), ServerClock()
    metrics.clock_ahead_seconds.set_function(lambda: clock.ahead_seconds)
    async with await _connect(settings, clock) as client, await _connect(settings, clock) as lease_client:
        add_all(cache)
        identity = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"

        def began_to_lead() -> None:
            logger.info("this replica leads now")
            metrics.leader.set(1)
            provider.forget()
            cache.wake()

        elector = _elector(settings, lease_client, identity, metrics, began_to_lead)
        tools = Toolbox(
            client=client,
            cache=cache,
            provider=provider,
            recorder=EventRecorder(client, socket.gethostname()),
            metrics=metrics,
            resting=RestingOfferings(settings.resting_seconds, clock),
            is_leader=elector.is_leader,
            clock=clock,
            notice_margin_seconds=settings.notice_margin_seconds,
            inbox=Inbox(_notice_queue(settings), metrics, elector.is_leader, clock, cache.wake),
            balancer_seconds=settings.load_balancer_seconds,
        )
        silence = max(settings.cycle_seconds * MISSED_CYCLES, 60.0)
        health = Health(max_silence_seconds=silence, checks={"cache": lambda: cache.synced})

        async def main(context: OperatorContext) -> None:
            doors = Doors(tools)
            async with _background(tools, elector, doors):
                await _loop(settings, tools, doors, health, context)

        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(provider.close)
            stack.push_async_callback(tools.inbox.close)
            port = await stack.enter_async_context(serving(health, metrics, port=settings.health_port))
            logger.info("metrics and health are served on port %d", port)
            await run_operator(
                client,
                cache,
                main,
                relist_seconds=settings.relist_seconds,
                stop=stop,
                report_relist=_relist_counter(metrics),
            )


def _provider(settings: Settings, metrics: Metrics) -> CloudProvider:
    """Without a cloud only what buys nothing is possible. Raises SettingsError."""
    if settings.provider_url is not None:
        return MeasuredProvider(connect_provider("local", settings.provider_url), metrics)
    if settings.mode_override in (Mode.RECOMMEND, Mode.PAUSED):
        return CatalogOnly(load_catalog(settings.catalog_file).offerings)
    raise SettingsError(
        "provider_url is not set: say where the cloud is, as --provider-url http://127.0.0.1:9090; or set "
        "mode_override to Recommend, which plans from the catalog and needs no cloud"
    )


def _notice_queue(settings: Settings) -> SqsQueue | None:
    """Raises SettingsError."""
    if settings.notice_queue_url is None:
        return None
    try:
        return SqsQueue(settings.notice_queue_url, settings.notice_queue_region)
    except ValueError as error:
        raise SettingsError(str(error)) from error


async def _connect(settings: Settings, clock: ServerClock) -> KubeClient:
    return await KubeClient.connect(
        settings.kubeconfig, settings.context, qps=settings.api_qps, burst=settings.api_burst, clock=clock
    )


async def _loop(settings: Settings, tools: Toolbox, doors: Doors, health: Health, context: OperatorContext) -> None:
    worker = PlannerWorker(functools.partial(decide_within, enough_percent=settings.enough_percent))
    batch = Batch(settings.batch_idle_seconds, settings.batch_max_seconds)
    moves = MovesQuestion(settings.moves_seconds)
    planning = Planning(worker, tools.metrics, settings.seed, settings.planner_budget_seconds, batch, moves)
    version = await tools.client.server_version()
    if version < NOMINATING_VERSION:
        logger.warning(
            "Kubernetes %d.%d does not go by nominations: gated pods are pinned by a node selector where they are not "
            "spread, and others may land elsewhere than planned; from %d.%d on all land as planned",
            *version,
            *NOMINATING_VERSION,
        )
    placement = PlacementController(tools, by_selector=version < NOMINATING_VERSION)
    history = InterruptionHistory(tools, settings.namespace)
    observer = Observer(
        tools.cache,
        tools.provider,
        placement,
        tools.resting,
        tools.displaced,
        tools.clock,
        settings.mode_override,
        load_catalog(settings.catalog_file).offerings if settings.catalog_file else None,
        settings.preference_percent,
        settings.plan_policy,
        history,
        tools.brake,
    )
    shelf = Shelf(settings.namespace, settings.snapshot_max_kib, settings.snapshot_folder, settings.plan_history)
    archive = Archive(tools, shelf)
    sick = SickNodes()
    actor = ClaimActor(tools, doors)
    claims = ClaimController(tools, actor)
    carrier = Carrier(tools, placement, settings.plan_history, archive, claims.begin)
    controllers = Controllers(
        doors=doors,
        claims=claims,
        placement=placement,
        workloads=WorkloadController(
            tools.client, tools.recorder, lambda resource, raw: tools.cache.feed(resource, "MODIFIED", raw)
        ),
        pools=PoolController(tools, sick),
        queues=QueueController(tools, settings.namespace, settings.queue_tenant_label or ""),
        garbage=GarbageCollector(tools, actor),
        carrier=carrier,
        disruption=DisruptionController(
            tools, carrier, actor, placement, sources(placement, sick, tools.notice_margin_seconds)
        ),
        history=history,
    )
    pace = Pace(settings.cycle_seconds)
    warming = asyncio.create_task(worker.warm_up())
    try:
        await tools.cache.wait_synced()
        logger.info("the cache is filled, the loop begins")
        await Loop(tools, observer, planning, controllers, pace).run(context.stopping, health)
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
        await planning.stop()
        await archive.settled()


def _elector(
    settings: Settings, client: KubeClient, identity: str, metrics: Metrics, started: Callable[[], None]
) -> LeaderElector | SoleReplica:
    metrics.leader.set(0 if settings.leader_election else 1)
    if not settings.leader_election:
        return SoleReplica()

    def stopped() -> None:
        logger.info("this replica no longer leads")
        metrics.leader.set(0)

    return LeaderElector(
        client,
        namespace=settings.namespace,
        name=LEASE_NAME,
        identity=identity,
        times=LeaseTimes(
            settings.lease_duration_seconds, settings.lease_renew_deadline_seconds, settings.lease_retry_seconds
        ),
        on_started=started,
        on_stopped=stopped,
    )


@contextlib.asynccontextmanager
async def _background(tools: Toolbox, elector: LeaderElector | SoleReplica, doors: Doors) -> AsyncIterator[None]:
    """Posts events, renews the lease, reads notices and closes the nodes that they are about; gives the lease back at
    the end, so that another takes over fast."""
    work = (tools.recorder.run(), elector.run(), tools.inbox.run(), doors.run())
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await tools.recorder.flush()
        await elector.release()


def _relist_counter(metrics: Metrics) -> Callable[[Resource, bool], None]:
    def count(resource: Resource, succeeded: bool) -> None:
        metrics.relists_total.labels(resource.name, "ok" if succeeded else "error").inc()

    return count
