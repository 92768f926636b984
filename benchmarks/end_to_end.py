#!/usr/bin/env python3
"""Pods created to bound on a real control plane, beside the real Karpenter: how soon, and on what nodes."""

import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[1] / part) for part in ("operator", "hack"))

import generate
import live
import live_rivals
import results
import runs
from cases import PEERS
from live_rivals import FLOOR, KARPENTER, MOST_VCPU, SPOTKUBE, Rival
from localcluster.build import ensure_binaries
from localcluster.cluster import LocalCluster

EPILOG = """\
A local control plane (kube-apiserver, etcd, kube-scheduler, kube-controller-manager, KWOK) is started for each solver
alone. 20 Deployments are scaled at once to 1,000 pods in all, and when these are bound, to 5,000. Pods are
plain ones that bear spot. Both solvers buy from the same catalog (c, m, r of at most 32 vCPU) nodes with the same room,
which register 2 s after they were bought, and are Ready then. Karpenter is its controller with the KWOK provider of
../shared/peers, with its default batching; where that is absent it is left out. A third row has no operator: its nodes
are there before the first pod, so that it tells what the control plane takes by itself on this machine. Each cluster
has a Node of its control plane, as every cluster has, that is not for these pods. On SpotKube's cluster 1,000 more pods
come evenly over a minute, five of one Deployment each 0.3 s, for the time from a pod's creation to the claim of its
node.

examples:
  benchmarks/end_to_end.py --quick                   200 and then 1,000 pods, without the minute
  benchmarks/end_to_end.py                           about five minutes
exit codes: 0 written to benchmarks/results/end_to_end.json, 2 bad arguments
"""
DEPLOYMENTS, SEED = 20, 0
SIZES, QUICK_SIZES = (1000, 5000), (200, 1000)
PACED_PODS, PACED_SECONDS = 1000, 60.0
PATIENCE_SECONDS = 600.0
# Both are given the time to load what they need, as an operator that runs has long done.
SETTLING_SECONDS = 15.0
BOUND_SECONDS = 5.0
CLAIMS_PATH = "/apis/spotkube.io/v1alpha1/nodeclaims"


def measure(rival: Rival, sizes: tuple[int, ...], paced: bool) -> results.Row | None:
    """One row; None where the rival can't be had here."""
    if rival is KARPENTER and not _has_karpenter():
        return None
    ensure_binaries()
    offerings = generate.offerings(MOST_VCPU)
    prices = {(o["instance_type"], o["zone"], o["capacity_type"]): o["price_usd_hour"] for o in offerings}
    wanted = live.shapes(DEPLOYMENTS, SEED)
    steps: list[results.Row] = []
    with LocalCluster.start() as cluster, rival.raised(cluster, offerings):
        live_rivals.control_plane_node(cluster)
        live.create_deployments(cluster, wanted)
        time.sleep(SETTLING_SECONDS)
        watch = live.watch_pods(cluster)
        try:
            for size in sizes:
                steps.append(_grow(cluster, watch, size, rival, prices))
                steps[-1]["bound_usd_hour"] = _bound(offerings, wanted, size)
            row: results.Row = {"solver": rival.name, "deployments": DEPLOYMENTS, "steps": steps}
            return {**row, "paced": _paced(cluster, sizes[-1])} if paced else row
        finally:
            watch.stop()


def _grow(
    cluster: LocalCluster, watch: live.Watch, size: int, rival: Rival, prices: dict[tuple[str, str, str], float]
) -> results.Row:
    """Scales to so many pods in all, and waits until they are bound."""
    before, began = set(watch.seen["created"]), time.monotonic()
    live.scale(cluster, DEPLOYMENTS, size // DEPLOYMENTS)
    for bound in live.wait_for(watch, size, PATIENCE_SECONDS):
        print(f"\r{rival.name} {bound}/{size} bound ", end="", file=sys.stderr, flush=True)
    created, bound_at = watch.seen["created"], dict(watch.seen["bound"])
    waits = [bound_at[uid] - at for uid, at in created.items() if uid not in before and uid in bound_at]
    nodes = [
        node for node in live.items(cluster, "nodes") if rival.capacity_label in (node["metadata"].get("labels") or {})
    ]
    return {
        "pods": size,
        "bound": len(bound_at),
        "all_bound_seconds": round(max(bound_at.values(), default=began) - began, 2),
        "p50_seconds": _rounded(live.percentile(waits, 50)),
        "p99_seconds": _rounded(live.percentile(waits, 99)),
        "nodes": len(nodes),
        "cost_usd_hour": round(live.usd_hour(nodes, prices, rival.capacity_label), 4),
    }


def _paced(cluster: LocalCluster, have: int) -> results.Row:
    """Pods created to the claim of their node, while pods come evenly; of those for which a node was bought."""
    pods = live.watch_pods(cluster)
    claims = live.Watch(cluster, CLAIMS_PATH, {"written": lambda _: True})
    time.sleep(2)
    old_pods, old_claims = set(pods.seen["created"]), set(claims.seen["written"])
    live.trickle(cluster, DEPLOYMENTS, have // DEPLOYMENTS, PACED_PODS, PACED_SECONDS)
    for _ in live.wait_for(pods, have + PACED_PODS, PATIENCE_SECONDS):
        pass
    pods.stop()
    claims.stop()
    waits, ahead = [], 0
    for uid, at in claims.seen["written"].items():
        annotations = claims.objects[uid]["metadata"].get("annotations", {})
        planned = annotations.get("spotkube.io/planned-pods", "").split(",") if uid not in old_claims else []
        new = [pod for pod in planned if pod in pods.seen["created"] and pod not in old_pods]
        waits += [max(0.0, at - pods.seen["created"][pod]) for pod in new]
        ahead += sum("#" in pod for pod in planned)  # planned before it was made: its claim was there first
    waits += [0.0] * ahead
    return {
        "pods": PACED_PODS,
        "seconds": PACED_SECONDS,
        "bought_for": len(waits),
        "bought_before_made": ahead,
        "to_claim_p50_seconds": _rounded(live.percentile(waits, 50)),
        "to_claim_p99_seconds": _rounded(live.percentile(waits, 99)),
    }


def _bound(offerings: list[live.Json], wanted: list[tuple[int, int]], pods: int) -> float:
    """What no fleet for all these pods can cost less than."""
    groups = [
        {
            "name": live.deployment_name(i), "count": pods // DEPLOYMENTS, "cpu_milli": cpu, "memory_mib": mib,
            "gpu": 0, "arch": "", "capacity_type": "", "zone": "", "spread_zone_max_skew": 0,
            "anti_affinity_host": False,
        }
        for i, (cpu, mib) in enumerate(wanted)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = live.write(Path(folder), "problem.json", {"offerings": offerings, "groups": groups})
        bound: float = runs.planner(file, BOUND_SECONDS)["lower_bound_usd_hour"]
    return bound


def _has_karpenter() -> bool:
    if not (PEERS / "karpenter-kwok").exists():
        print("(../shared/peers/karpenter-kwok is not here) ", end="", file=sys.stderr)
        return False
    try:
        live_rivals.karpenter_binary()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"(Karpenter is left out: {error}) ", end="", file=sys.stderr)
        return False
    return True


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def line(row: results.Row) -> str:
    """What is said when a row is done."""
    said = [
        f"{s['pods']} pods: p50 {s['p50_seconds']} s, p99 {s['p99_seconds']} s, {s['nodes']} nodes, "
        f"{s['cost_usd_hour']} $/h (bound {s['bound_usd_hour']:.3f})"
        for s in row["steps"]
    ]
    return "; ".join([*said, json.dumps(row["paced"])] if "paced" in row else said)


def main() -> int:
    parser = results.arguments(__doc__, EPILOG, quick="200 and then 1,000 pods, without the minute")
    args = parser.parse_args()
    sizes = QUICK_SIZES if args.quick else SIZES
    jobs = [
        results.Job(rival.name, functools.partial(measure, rival, sizes, rival is SPOTKUBE and not args.quick), line)
        for rival in (SPOTKUBE, KARPENTER, FLOOR)
    ]
    return results.run_part("end_to_end", jobs, args)


if __name__ == "__main__":
    sys.exit(main())
