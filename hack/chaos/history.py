"""What was seen of a cluster and its cloud while faults were injected: frozen, and all that the invariants know.

Times are seconds since the epoch, those of the API server and of the cloud, which share a machine in tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from spotkube.model import labels

Object = Mapping[str, Any]
# What stands on a pod that was deleted, and not evicted, since its machine was about to end.
FORCED = "TerminationNotice"


@dataclass(frozen=True, slots=True)
class ClaimLife:
    """A NodeClaim. `leaving_at` is when its deletion was asked for, `gone_at` when it was seen to be gone."""

    name: str
    uid: str
    planned_pods: frozenset[str]
    price_usd_hour: float
    created_at: float
    leaving_at: float | None = None
    gone_at: float | None = None


@dataclass(frozen=True, slots=True)
class PodLife:
    """A pod. `told_at` is when it got SIGTERM, `gone_at` when it was seen to be gone; `forced` where it was deleted
    without asking its budgets, since its machine was about to end."""

    uid: str
    key: str
    node: str | None
    grace_seconds: float
    running: bool
    created_at: float
    told_at: float | None = None
    gone_at: float | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class InstanceLife:
    """A machine, from the cloud's own log. `lost_pods` are UIDs of pods that were on it when it was switched
    off, daemons left out."""

    id: str
    name: str
    token: str
    launched_at: float
    noticed_at: float | None = None
    deadline: float | None = None
    ended_at: float | None = None
    lost_pods: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Act:
    """A call by which an operator, the process `pid`, changed something outside, right before it was made."""

    name: str
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Reign:
    """From when on the process `pid` was seen to hold the lease; None: nobody."""

    pid: int | None
    since: float


@dataclass(frozen=True)
class History:
    """`ended_at` is when the recording ended; `nodes` are those that were there then, by name. `reigns` follow each
    other; `acts` are those of all operators."""

    claims: tuple[ClaimLife, ...]
    pods: tuple[PodLife, ...]
    instances: tuple[InstanceLife, ...]
    nodes: frozenset[str]
    ended_at: float
    reigns: tuple[Reign, ...] = ()
    acts: tuple[Act, ...] = ()


def claim_life(raw: Object, gone_at: float | None = None) -> ClaimLife:
    metadata = raw["metadata"]
    planned = (metadata.get("annotations") or {}).get(labels.PLANNED_PODS, "")
    return ClaimLife(
        name=metadata["name"],
        uid=metadata["uid"],
        planned_pods=frozenset(filter(None, planned.split(","))),
        price_usd_hour=float(raw["spec"]["priceUSDPerHour"]),
        created_at=seconds(metadata["creationTimestamp"]),
        leaving_at=_asked_at(metadata),
        gone_at=gone_at,
    )


def pod_life(raw: Object, gone_at: float | None = None) -> PodLife:
    metadata, spec, conditions = raw["metadata"], raw["spec"], (raw.get("status") or {}).get("conditions") or ()
    return PodLife(
        uid=metadata["uid"],
        key=f"{metadata['namespace']}/{metadata['name']}",
        node=spec.get("nodeName"),
        grace_seconds=float(spec.get("terminationGracePeriodSeconds", 30)),
        running=(raw.get("status") or {}).get("phase") == "Running",
        created_at=seconds(metadata["creationTimestamp"]),
        told_at=_asked_at(metadata),
        gone_at=gone_at,
        forced=any(one["type"] == "DisruptionTarget" and one["reason"] == FORCED for one in conditions),
    )


def reign(lease: Object | None, now: float) -> Reign:
    """What a Lease says; its holder is HOST-PID-TAIL."""
    holder = ((lease or {}).get("spec") or {}).get("holderIdentity") or ""
    return Reign(int(holder.rsplit("-", 2)[1]) if holder else None, now)


def acts(log: Path) -> tuple[Act, ...]:
    """What the gates wrote; a line that a kill has cut off is left out."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return tuple(Act(**json.loads(line)) for line in lines if line.endswith("}"))


def instance_lives(events: Iterable[Object]) -> tuple[InstanceLife, ...]:
    """From the fake cloud's log, oldest event first."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        id_, at = event.get("instance"), float(event["at"])
        if not id_:
            continue
        match event["event"]:
            case "launched":
                found[id_] = {"id": id_, "name": event["name"], "token": event["token"], "launched_at": at}
            case "noticed":
                found[id_] |= {"noticed_at": at, "deadline": seconds(event["deadline"])}
            case "terminated":
                lost = frozenset(pod["uid"] for pod in event["lost_pods"] if not pod["owner"].startswith("DaemonSet/"))
                found[id_] |= {"ended_at": at, "lost_pods": lost}
    return tuple(InstanceLife(**fields) for fields in found.values())


def _asked_at(metadata: Object) -> float | None:
    """A deletionTimestamp is when the grace ends: the signal came that much earlier."""
    if not (until := metadata.get("deletionTimestamp")):
        return None
    return seconds(until) - float(metadata.get("deletionGracePeriodSeconds") or 0)


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
