"""FairQueues with a status and a ConfigMap of those who wait, as `spotkube queue` finds them."""

from __future__ import annotations

import base64
import json
import lzma
from datetime import UTC, datetime
from typing import Any

from spotkube.convert.places import CONFIG_MAP, PLACES_KEY, PLACES_VERSION

Object = dict[str, Any]
NOW = datetime(2026, 11, 28, 14, 0, tzinfo=UTC).timestamp()


def fair_queue(name: str = "batch", *, spec: Object | None = None, status: Object | None = None) -> Object:
    """A queue of 40 cores and 20 dollars a day; tenant shop has the weight 2."""
    own = {
        "cohort": "science",
        "tenants": [{"name": "shop", "weight": 2}],
        "resources": [{"name": "cpu", "nominalQuota": "40"}],
        "budget": {"usdPerDay": 20.0},
    }
    return {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "FairQueue",
        "metadata": {"name": name},
        "spec": own if spec is None else spec,
        "status": queue_status() if status is None else status,
    }


def queue_status() -> Object:
    """Tenant shop has three quarters of what is spent, bank the rest."""
    condition = {
        "type": "Active",
        "status": "True",
        "reason": "Admits",
        "message": "it admits in turn",
        "lastTransitionTime": "2026-11-28T08:00:00Z",
    }
    return {
        "conditions": [condition],
        "pendingWorkloads": 3,
        "admittedWorkloads": 5,
        "usage": [{"name": "cpu", "used": "44", "borrowed": "4"}],
        "spend": {"usdPerHour": 1.6, "usdToday": 3.5, "usdThisMonth": 41.25},
        "tenants": [
            {"name": "bank", "weight": 1, "pending": 1, "admitted": 1, "usdPerHour": 0.4, "usdThisMonth": 11.25},
            {"name": "shop", "weight": 2, "pending": 2, "admitted": 4, "usdPerHour": 1.2, "usdThisMonth": 30.0},
        ],
    }


def place(name: str = "shop/report", position: int = 1, **fields: Any) -> Object:
    """A waiting job as the operator keeps it: it takes 4 % of all for 10 min, and starts in 12 min."""
    return {
        "uid": f"uid-{name}",
        "job": f"Job {name}",
        "queue": "batch",
        "tenant": name.partition("/")[0],
        "position": position,
        "overall": position,
        "reason": "Quota",
        "message": "it needs 4 cpu, and of the quota of queue batch 2 cpu are left",
        "estimatedStart": NOW + 720,
        "earliestStart": NOW + 480,
        "latestStart": NOW + 1200,
        "submitted": NOW - 3600,
        "priority": 0,
        "pods": 2,
        "usdPerHour": 0.4,
        "preemptions": 0,
        "runSeconds": 600.0,
        "estimateSource": "History",
        "estimate": "mean of the last 5 runs of report-* with image app",
        "errorRatio": 1.31,
        "size": 24.0,
        "weight": 2.0,
        "leftover": False,
        "virtualStart": 100.0,
        "virtualDeadline": 112.0,
        "queueDeadline": 250.0,
        **fields,
    }


LINE = (
    place("bank/urgent", 1, priority=100, virtualDeadline=190.0, overall=3),
    place("bank/close", 2, virtualDeadline=110.0, weight=1.0, overall=1),
    place("shop/report", 3, overall=2, preemptions=1),
)
"""Three that wait in queue batch."""


def kept(
    *places: Object, as_of: float = NOW - 12, namespace: str = "spotkube-system", version: int = PLACES_VERSION
) -> Object:
    """The operator's ConfigMap."""
    told = json.dumps({"version": version, "asOf": as_of, "places": places}).encode()
    text = base64.b64encode(lzma.compress(told)).decode()
    return {"metadata": {"name": CONFIG_MAP, "namespace": namespace}, "binaryData": {PLACES_KEY: text}}


def waiting_workload(name: str = "report", namespace: str = "shop") -> Object:
    """One whose status says that it waits in queue batch."""
    container = {"name": "main", "image": "app", "resources": {"requests": {"cpu": "2"}}}
    job = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    return {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"job": job, "queueName": "batch"},
        "status": {
            "waitingFor": "waits in queue batch: it needs 4 cpu, and 2 are left",
            "queue": {"reason": "Quota", "estimatedStart": "2026-11-28T14:12:00Z"},
        },
    }
