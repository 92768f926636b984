"""Builders for the tests of the fake cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from spotkube.model.offerings import SPOT, Offering, OfferingKey
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.providers.local.cloud import Delays, FakeCloud
from spotkube.providers.local.machines import Machine
from spotkube.providers.local.nodes import BoundPod
from spotkube.providers.local.store import Store
from spotkube.providers.port import InstanceOrder

SPOT_KEY = OfferingKey("m7i.large", "us-east-1a", SPOT)
ON_DEMAND_KEY = SPOT_KEY._replace(capacity_type="on-demand")
START = 1_800_000_000.0


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def make_order(name: str = "node-1", key: OfferingKey = SPOT_KEY, token: str = "") -> InstanceOrder:
    return InstanceOrder(
        token=token or f"uid-of-{name}",
        name=name,
        offering=key,
        labels=(("topology.kubernetes.io/zone", key.zone), ("team", "a")),
        taints=(Taint("dedicated", TaintEffect.NO_SCHEDULE, "a"), Taint("busy", TaintEffect.PREFER_NO_SCHEDULE)),
        capacity=ResourceList.from_quantities({"cpu": 2, "memory": "8Gi", "pods": 29}),
        allocatable=ResourceList.from_quantities({"cpu": "1930m", "memory": "7031Mi", "pods": 29}),
        tags=(("spotkube.io/nodepool", "default"),),
    )


def make_offering(key: OfferingKey = SPOT_KEY, price_micro_usd_hour: int = 35_500) -> Offering:
    order = make_order()
    return Offering(
        *key,
        price_micro_usd_hour=price_micro_usd_hour,
        arch="amd64",
        capacity=order.capacity,
        allocatable=order.allocatable,
        labels=(("kubernetes.io/arch", "amd64"),),
        interruption_percent=5,
    )


def make_machine(key: OfferingKey = SPOT_KEY) -> Machine:
    """Launched at START, up two seconds later."""
    return Machine(id="i-1", order=make_order(key=key), launched_at=START, boots_at=START + 2)


def make_pod(name: str = "web-1") -> BoundPod:
    return BoundPod("shop", name, f"uid-of-{name}", "Running", "ReplicaSet/web", deleting=False)


def open_cloud(path: Path, clock: Clock) -> tuple[FakeCloud, Store]:
    """A cloud that sells both offerings; opened again with the same path it goes on."""
    store = Store(path)
    return FakeCloud(store, (SPOT_KEY, ON_DEMAND_KEY), Delays(2.0, 1.0), clock), store


async def settle(condition: Callable[[], object]) -> None:
    """Lets other tasks run until the condition holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")
