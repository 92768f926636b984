"""The history of interruptions on the API server itself: made, changed, and read after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from fake_provider import OFFERING
from localcluster.cluster import Cluster
from spotkube.api import NodeClaim
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.resources import NODECLAIMS
from spotkube.controllers.history import InterruptionHistory
from spotkube.controllers.resting import RestingOfferings
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.model.history import SpotPool, SpotRecord
from support_chart import install_operator_identity

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def client(cluster: Cluster, namespace: str) -> AsyncIterator[KubeClient]:
    """With the rights that the chart gives to the operator."""
    async with await KubeClient.connect(install_operator_identity(cluster, namespace)) as client:
        yield client


def history_of(client: KubeClient, namespace: str) -> InterruptionHistory:
    cache = Cache()
    cache.add(NODECLAIMS, NodeClaim.from_dict)
    resting = RestingOfferings(180.0, NOW.timestamp)
    tools = SimpleNamespace(client=client, require_leader=lambda: None, cache=cache, resting=resting)
    return InterruptionHistory(cast("Toolbox", tools), namespace)


def view_of(*claims: NodeClaim, seconds: float = 0.0) -> View:
    named = {claim.name: claim for claim in claims}
    view = SimpleNamespace(now=NOW.timestamp() + seconds, claims=named, instances=None)
    return cast("View", view)


def claim(name: str, *, hours: float, interrupted: bool) -> NodeClaim:
    """A spot node that was launched so many hours ago."""
    notice = {
        "kind": "SpotInterruption",
        "source": "test",
        "deadline": NOW.isoformat(),
        "receivedAt": NOW.isoformat(),
        "id": name,
    }
    launched = (NOW - timedelta(hours=hours)).isoformat()
    spec = {
        "nodePool": "pool",
        "instanceType": OFFERING.instance_type,
        "zone": OFFERING.zone,
        "capacityType": "spot",
        "arch": "amd64",
        "priceUSDPerHour": 0.03,
        "allocatable": {"cpu": "2"},
    }
    status = {"phase": "Ready", "phaseTimes": {"Launched": launched}, **({"notice": notice} if interrupted else {})}
    return NodeClaim.from_dict(
        {
            "apiVersion": "spotkube.io/v1alpha1",
            "kind": "NodeClaim",
            "metadata": {"name": name, "uid": name},
            "spec": spec,
            "status": status,
        }
    )


async def test_it_survives_restarts_with_the_charts_rights(client: KubeClient, namespace: str) -> None:
    """Two claims in two lives of the operator, the first of them seen in both."""
    first, second = (claim(name, hours=hours, interrupted=True) for name, hours in (("a", 2.0), ("b", 3.0)))
    running = claim("c", hours=1.0, interrupted=False)
    await history_of(client, namespace).reconcile(view_of(first))
    await history_of(client, namespace).reconcile(view_of(first, second))
    anew = history_of(client, namespace)
    await anew.reconcile(view_of(second, running))
    pool = SpotPool(OFFERING.instance_type, OFFERING.zone)
    assert anew.records([second, running], [OFFERING], NOW.timestamp()) == (SpotRecord(pool, 6.0, 3, 2),)
