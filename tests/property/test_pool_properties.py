"""Volumes, priorities, preferences and the rules of pools, mixed into whatever the cluster looks like."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import ZONES, requirement
from property.test_build_properties import WORK, snapshots
from scheduler_check import complaints
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.pods import Pod
from spotkube.model.volumes import attachments
from spotkube.planner.decide import decide

DRIVER = "ebs.csi.aws.com"


def in_zones(*zones: str) -> tuple[tuple[Any, ...], ...]:
    return tuple((requirement(keys.ZONE, "In", zone),) for zone in zones)


@st.composite
def extras(draw: st.DrawFn) -> dict[str, Any]:
    """What the pods of one owner have besides: of its shape, and how many volumes of its own each brings."""
    shape: dict[str, Any] = {"priority": draw(st.sampled_from([0, 0, 1000, -1]))}
    if draw(st.booleans()):
        shape["preferred"] = ((draw(st.integers(1, 100)), in_zones(draw(st.sampled_from(ZONES)))[0]),)
    if draw(st.booleans()):
        shape["volume_terms"] = (in_zones(*draw(st.sets(st.sampled_from(ZONES), min_size=1, max_size=2))),)
    return {"shape": shape, "own": draw(st.integers(0, 2)), "shared": draw(st.booleans())}


def with_extras(pod: Pod, extra: dict[str, Any], of_owner: int) -> Pod:
    own = tuple((DRIVER, f"{pod.uid}-{number}") for number in range(extra["own"]))
    shared = ((DRIVER, pod.owner),) if extra["shared"] and of_owner > 1 else ()
    counts = {"attachments": len(own), "shared_attachments": len(shared)}
    shape = replace(pod.shape, **{name: attachments({DRIVER: n}) for name, n in counts.items()}, **extra["shape"])
    return replace(pod, shape=shape, volumes=(*own, *shared))


@st.composite
def richer(draw: st.DrawFn) -> Snapshot:
    snapshot = draw(snapshots())
    waiting = Counter(pod.owner for pod in snapshot.pods if pod.node is None)
    by_owner = {owner: draw(extras()) for owner in sorted(waiting)}
    fractions = st.sampled_from([None, None, 0.0, 0.3, 0.5])
    limits = st.sampled_from([(), ((DRIVER, 1),), ((DRIVER, 4),)])
    return replace(
        snapshot,
        pods=tuple(
            with_extras(pod, by_owner[pod.owner], waiting[pod.owner]) if pod.node is None else pod
            for pod in snapshot.pods
        ),
        nodes=tuple(replace(node, volume_limits=draw(limits)) for node in snapshot.nodes),
        workloads=tuple(replace(rule, max_fraction_per_pool=draw(fractions)) for rule in snapshot.workloads),
        pools=tuple(
            replace(
                pool,
                per_node_micro_usd_hour=draw(st.sampled_from([0, 15_000])),
                min_values=draw(st.sampled_from([(), ((keys.ZONE, 2),), ((keys.INSTANCE_TYPE, 2),)])),
                max_fraction_per_pool=draw(fractions),
                weight=draw(st.sampled_from([0, 7])),
            )
            for pool in snapshot.pools
        ),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(richer())
def test_a_plan_can_be_carried_out(snapshot: Snapshot) -> None:
    plan = decide(snapshot, Mode.RECOMMEND, seed=3, budget=WORK)
    assert complaints(snapshot, plan) == []
