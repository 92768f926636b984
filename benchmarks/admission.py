#!/usr/bin/env python3
"""How fast the fair queue admits: 15,000 Jobs in 30 queues on a real API server, in the shape of Kueue's benchmark."""

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

sys.path.extend(str(Path(__file__).resolve().parents[1] / part) for part in ("operator", "hack"))

import admission_pods
import live_rivals
from admission_load import KINDS, Json, floor_seconds, jobs, surroundings
from admission_play import CONNECTIONS, Api, Course, Player, bare_patches
from fair_queue import Target
from localcluster.cluster import LocalCluster
from results import provenance

EPILOG = """\
5 cohorts of 6 queues with a quota of 20 cpu, of which each may borrow 100 more. In each queue 350 jobs of 1 cpu that
take 200 ms come every 100 ms, 100 of 5 cpu and 500 ms every 500 ms, 50 of 20 cpu and 1 s every 1.2 s; larger ones have
higher priority. Jobs are batch/v1 Jobs without pods: kube-controller-manager runs without its job controller, and a
timer writes that a job is complete. The operator is the real one; its pool has no limits, so that only quotas hold jobs
back. Then it is ended, and bare patches of the same Jobs are made for a few seconds. Kueue's figures are those of
0.15.2 with its minimal manager on a machine of 2 cores.

With --pods the Job controller makes pods, nodes are bought for them, and KWOK runs them ten times as long as said
above: it is shown which step of a job takes how long. There are no targets for that.

examples:
  benchmarks/admission.py --scale 0.1          a tenth of the jobs at the same pace: half a minute
  benchmarks/admission.py --json               all of them: minutes
  benchmarks/admission.py --pods --scale 0.05  750 jobs with pods
exit codes: 0 all targets are met (or --scale is not 1), 1 one is missed, 2 bad arguments
"""
# Of the controllers only that one without which the local cluster is not ready.
CONTROLLERS = "serviceaccount-controller"
KUEUE = {
    "seconds": 386.0, "admissions_a_second": 39.0, "large": 16.0, "medium": 95.0, "small": 233.0,
    "taken_back": 148, "cpu_seconds": 82.0, "memory_mib": 366.0,
}  # fmt: skip
TARGET_SECONDS = 132.0
PATIENCE_SECONDS = 120.0
SETTLING_SECONDS = 20.0
BARE_SECONDS = 5.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)


def measure_with_pods(scale: float) -> Json:
    """One row: the load with Jobs whose pods run, on nodes that are bought for them."""
    with LocalCluster.start(name="admission-pods") as cluster:
        return asyncio.run(_measure_pods_on(cluster, scale))


async def _measure_pods_on(cluster: LocalCluster, scale: float) -> Json:
    api = Api(cluster.server, cluster.directory / "pki")
    try:
        with live_rivals.our_operator(cluster):
            live_rivals.apply(cluster, surroundings())
            await asyncio.sleep(SETTLING_SECONDS)
            player, began = admission_pods.Player(api, jobs(scale)), time.monotonic()
            telling = asyncio.create_task(_tell(player.said))
            try:
                await player.play(PATIENCE_SECONDS)
            finally:
                telling.cancel()
            seconds, load = time.monotonic() - began, [one.job for one in player.courses.values()]
    finally:
        await api.close()
    return {
        "jobs": len(load),
        "seconds": round(seconds, 1),
        "floor_seconds": round(floor_seconds(load, admission_pods.SLOWER), 1),
        "steps": player.steps(),
    }


def measure(scale: float) -> Json:
    """One row: a cluster of its own, the whole load, then bare patches."""
    with LocalCluster.start(name="admission", controllers=CONTROLLERS) as cluster:
        return asyncio.run(_measure_on(cluster, scale))


async def _measure_on(cluster: LocalCluster, scale: float) -> Json:
    api = Api(cluster.server, cluster.directory / "pki")
    try:
        with live_rivals.our_operator(cluster) as operator:
            live_rivals.apply(cluster, surroundings())
            await asyncio.sleep(SETTLING_SECONDS)  # until the planner is compiled, as it long is in an operator
            player = Player(api, jobs(scale))
            row = await _run(api, player, operator.pid, _server_pids(cluster))
            log = operator.log.read_text(encoding="utf-8")
        row["warnings"] = sum(" WARNING " in line or " ERROR " in line for line in log.splitlines())
        return row | {"bare": await _bare(api, list(player.courses), _server_pids(cluster))}
    finally:
        await api.close()


async def _run(api: Api, player: Player, operator: int, servers: list[int]) -> Json:
    calls, cpu, began = await _calls(api), _cpu_seconds(_tree(operator)), time.monotonic()
    server_cpu, own_cpu = _cpu_seconds(servers), time.process_time()
    telling = asyncio.create_task(_tell(player.said))
    try:
        await player.play(PATIENCE_SECONDS)
    finally:
        telling.cancel()
    seconds = time.monotonic() - began
    courses, pids = list(player.courses.values()), _tree(operator)
    operators = _operators(await _calls(api) - calls)
    return {
        "jobs": len(courses),
        "seconds": round(seconds, 1),
        "floor_seconds": round(floor_seconds([one.job for one in courses]), 1),
        "admissions_a_second": round(len(courses) / seconds, 1),
        "mean_seconds_to_admission": {kind.name: _mean_wait(courses, kind.name) for kind in KINDS},
        "taken_back": sum(one.taken_back for one in courses),
        "operator_cpu_seconds": round(_cpu_seconds(pids) - cpu, 1),
        "operator_memory_mib": round(_peak_mib(operator)),
        "workers_memory_mib": round(sum(_peak_mib(pid) for pid in pids) - _peak_mib(operator)),
        "server_cpu_seconds": round(_cpu_seconds(servers) - server_cpu, 1),
        "load_cpu_seconds": round(time.process_time() - own_cpu, 1),
        "calls": dict(operators.most_common()),
        "calls_an_admission": round(operators.total() / len(courses), 3),
    }


async def _bare(api: Api, names: list[str], servers: list[int]) -> Json:
    """`patches_a_second` is what one client in Python gets done, the other one what patches cost the servers."""
    cpu = _cpu_seconds(servers)
    done = await bare_patches(api, names, BARE_SECONDS)
    return {
        "patches_a_second": round(done / BARE_SECONDS),
        "at_once": CONNECTIONS,
        "server_cpu_ms_a_patch": round(1000 * (_cpu_seconds(servers) - cpu) / done, 3),
    }


async def _tell(said: Callable[[], str]) -> None:
    while True:
        print(f"\r{said()} ", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(1)


def _mean_wait(courses: list[Course], kind: str) -> float:
    waits = [one.admitted_at - one.asked_at for one in courses if one.job.kind.name == kind and one.admitted_at]
    return round(fmean(waits), 2)


async def _calls(api: Api) -> Counter[str]:
    """Answers of the API server so far, by verb and resource; watches count when they end."""
    found: Counter[str] = Counter()
    for labels, number in _REQUESTS.findall(await api.get("/metrics")):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        resource = "/".join(part for part in (label["resource"], label["subresource"]) if part)
        found[f"{label['verb']} {resource}"] += int(float(number))
    return found


def _operators(calls: Counter[str]) -> Counter[str]:
    """The writes that only the operator makes; the load creates Jobs and writes their status."""
    ours = ("PATCH jobs", "POST events", "PATCH events", "PATCH fairqueues/status", "PATCH configmaps")
    return Counter({name: calls[name] for name in ours if calls[name]})


def _server_pids(cluster: LocalCluster) -> list[int]:
    """Of API server and etcd."""
    parts = json.loads((cluster.directory / "parts.json").read_text(encoding="utf-8"))
    return [parts[name]["pid"] for name in ("kube-apiserver", "etcd")]


def _tree(pid: int) -> list[int]:
    """The process and its children, the planner's worker among them."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [pid, *(one for child in listed for one in _tree(int(child)))]


def _cpu_seconds(pids: list[int]) -> float:
    """What these processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / CLOCK_TICKS


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def targets(row: Json) -> list[Target]:
    waits = row["mean_seconds_to_admission"]
    halves = [Target(f"mean seconds to admission, {name}", waits[name], KUEUE[name] / 2) for name in waits]
    return [Target("seconds for all", row["seconds"], TARGET_SECONDS), *halves]


def table(row: Json) -> str:
    waits, bare = row["mean_seconds_to_admission"], row["bare"]
    lines = [
        ("", "here", "Kueue 0.15.2"),
        ("seconds for all", row["seconds"], KUEUE["seconds"]),
        ("admissions a second", row["admissions_a_second"], KUEUE["admissions_a_second"]),
        *((f"mean seconds to admission, {name}", wait, KUEUE[name]) for name, wait in waits.items()),
        ("taken back", row["taken_back"], KUEUE["taken_back"]),
        ("CPU seconds of the operator", row["operator_cpu_seconds"], KUEUE["cpu_seconds"]),
        ("memory of the operator, MiB", row["operator_memory_mib"], KUEUE["memory_mib"]),
        ("that of its planner besides, MiB", row["workers_memory_mib"], ""),
        ("its calls an admission", row["calls_an_admission"], ""),
        ("CPU seconds of API server and etcd", row["server_cpu_seconds"], ""),
        ("CPU seconds of the load", row["load_cpu_seconds"], ""),
        ("bare patches a second", bare["patches_a_second"], ""),
        ("CPU ms of API server and etcd a patch", bare["server_cpu_ms_a_patch"], ""),
    ]
    head = f"{row['jobs']} jobs; the floor by quota is {row['floor_seconds']} s"
    return "\n".join([head, *(f"{what:38} {here!s:>8} {kueue!s:>13}" for what, here, kueue in lines)])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="so much of the jobs of each kind, above 0 to 1")
    parser.add_argument("--pods", action="store_true", help="with pods that run on KWOK nodes; shows where time goes")
    parser.add_argument("--json", action="store_true", help="print the row as JSON")
    args = parser.parse_args()
    if not 0 < args.scale <= 1:
        parser.error(f"--scale {args.scale} must be above 0 and at most 1")
    measured = measure_with_pods(args.scale) if args.pods else measure(args.scale)
    row = {"scale": args.scale, **provenance(), **measured}
    print(file=sys.stderr)
    if args.pods:
        print(json.dumps(row, indent=1) if args.json else admission_pods.table(row))
        return 0
    print(json.dumps(row, indent=1) if args.json else table(row))
    if args.scale < 1:
        print("Targets are those of the whole load: leave out --scale to see them.", file=sys.stderr)
        return 0
    judged = targets(row)
    print("\n".join(map(str, judged)), file=sys.stderr if args.json else sys.stdout)
    return 0 if all(target.met for target in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
