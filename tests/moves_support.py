"""Clusters of nodes with pods on them, and what they are once a plan was carried out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from builders import make_claim, make_snapshot, node_of
from spotkube.model.cluster import Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod, PodPhase


def fleet(nodes: Sequence[tuple[Offering, Iterable[Pod]]], offerings: Sequence[Offering], **fields: object) -> Snapshot:
    """Ready nodes a, b, ... of these offerings, with these pods running on them."""
    names = [chr(ord("a") + i) if i < 26 else f"n{i}" for i in range(len(nodes))]
    claims = [make_claim(name, offering, node=name) for name, (offering, _) in zip(names, nodes, strict=True)]
    pods = [_on(pod, name) for name, (_, there) in zip(names, nodes, strict=True) for pod in there]
    return make_snapshot(pods, offerings, claims=claims, nodes=[node_of(claim) for claim in claims], **fields)


def after(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The cluster once the plan was carried out: what it gives back is gone, what it buys is Ready, pods have moved."""
    gone = {drain.claim for drain in plan.drains}
    where = {placement.pod: placement.target for placement in plan.placements}
    claims = [claim for claim in snapshot.claims if claim.name not in gone]
    nodes = [node for node in snapshot.nodes if node.claim not in gone or node.claim is None]
    for number, node in enumerate(plan.additions):
        name = f"bought-{len(snapshot.claims)}-{number}"
        claim = make_claim(name, node.offering, pool=node.pool, node=name)
        claims.append(claim)
        nodes.append(node_of(claim))
        where.update(dict.fromkeys(node.pods, name))
    names = {claim.name: claim.node or claim.name for claim in claims}
    pods = [_on(pod, names.get(where[pod.uid], where[pod.uid])) if pod.uid in where else pod for pod in snapshot.pods]
    return replace(snapshot, claims=tuple(claims), nodes=tuple(nodes), pods=tuple(pods))


def _on(pod: Pod, node: str) -> Pod:
    return replace(pod, node=node, nominated=None, gates=(), unschedulable=False, phase=PodPhase.RUNNING)
